# The guest's first process once the host's files are there: what every Linux has, then the tests, then the end.
# `node` and `repository` are in the environment; this file was copied to the top folder by init.sh.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8

# A repository or a Node below /tmp stays where it is.
case "$repository$node" in */tmp/*) ;; *) mount -t tmpfs tmpfs /tmp ;; esac
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --make-rshared /
ip link set lo up

# Not exec: this process takes in the orphans.
cd "$repository" && "$node" dist/test/kernel/guest/main.js /run/aoe-csi-guest
echo "aoe-csi guest: the tests ended with exit code $?" >/dev/console
echo o >/proc/sysrq-trigger
sleep 60

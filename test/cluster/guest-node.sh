# First process of a guest that is a node of a cluster, once the host's files are there: what every Linux has, a disk, networks; then
# it does what the host asks for (test/support/cluster-guest-commands.ts): scripts in a folder, whose names come in at a serial port.
# `name`, `address` and `gateway` are in the environment.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
exchange=/run/aoe-csi-guest

# A node's pods open more files than a first process may.
ulimit -n 1048576
hostname "$name"
mkdir -p /dev/pts /dev/shm /data
ln -s /proc/self/fd /dev/fd
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup

for module in virtio_blk ext4 virtio_net bridge veth; do
  modprobe "$module" || echo "aoe-csi guest: cannot load $module" >/dev/console
done
mount -t ext4 /dev/vda /data || echo 'aoe-csi guest: cannot mount the disk' >/dev/console
mkdir -p /data/lib/kubelet "$exchange/log"
# What CNI keeps of networks is empty after a power cut, and no pod of before could be taken away then: "unexpected end of JSON input".
rm -rf /data/lib/cni
mount --bind /data/lib /var/lib
mount --bind "$exchange/log" /var/log
mount --make-rshared /

ip link set lo up
ip link set eth1 name san0
for interface in eth0 san0; do ip link set "$interface" addrgenmode none; done
ip address add "$address/24" dev eth0
for interface in eth0 san0; do ip link set "$interface" up; done
ip route add default via "$gateway"
echo 1 >/proc/sys/net/ipv4/ip_forward

cd "$exchange/commands" || exit 1
stty -F /dev/ttyS1 raw -echo
exec 3</dev/ttyS1
touch "$exchange/up"
while read -r id <&3; do
  (
    sh "$id.command" >"$id.output" 2>"$id.errors" </dev/null 3<&-
    echo "$?" >"$id.ending"
    mv "$id.ending" "$id.ended"
  ) &
done

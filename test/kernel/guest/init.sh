#!/bin/busybox sh
# First process of a kernel guest, from its initramfs: loads what it takes to see the host's files, puts a layer of memory over them
# and goes on there with the script `stage` of the repository. The kernel's command line says where things are on the host.
B=/bin/busybox
$B mkdir -p /proc /sys /dev /host /layer /top
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev

give_up() {
  echo "aoe-csi guest: $1" >/dev/console
  $B poweroff -f
}

while read -r module; do
  $B insmod "/modules/$module" || give_up "cannot load $module"
done </modules/order

for word in $($B cat /proc/cmdline); do
  case $word in
    aoe_csi.*=*) export "${word#aoe_csi.}" ;;
  esac
done

options=trans=virtio,version=9p2000.L,msize=262144
$B mount -t 9p -o $options,cache=loose,ro host /host || give_up 'cannot mount the files of the host'
$B mount -t tmpfs tmpfs /layer
$B mkdir /layer/upper /layer/work
$B mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /top || give_up 'cannot mount the layer'

$B mount -t proc proc /top/proc
$B mount -t sysfs sysfs /top/sys
$B mount -t devtmpfs devtmpfs /top/dev
# All modules of this kernel, where modprobe looks for them.
$B mkdir -p "/top/usr/lib/modules/$($B uname -r)"
$B mount --bind "/host$modules" "/top/usr/lib/modules/$($B uname -r)" || give_up 'cannot find the modules'
if [ "$put" = yes ]; then
  $B mkdir -p "/top$repository"
  $B mount -t 9p -o $options,cache=loose,ro repository "/top$repository" || give_up 'cannot mount the repository'
fi
# Before /tmp is covered: these may be there.
$B cp "/top$repository/$stage" /top/second-stage.sh || give_up 'cannot find the repository'
$B mount -t tmpfs tmpfs /top/run
$B mkdir /top/run/aoe-csi-guest
$B mount -t 9p -o $options,cache=none exchange /top/run/aoe-csi-guest || give_up 'cannot mount the folder of results'
$B umount /proc
$B umount /sys
exec $B switch_root /top /bin/sh /second-stage.sh

#!/bin/busybox sh
# The machine's first program: the files of the machine outside below, and a disk over them that
# takes all that is written. MODULES is replaced by their names.
b=/bin/busybox
$b mount -t proc proc /proc
for module in MODULES; do [ ! -e /modules/$module.ko ] || $b insmod /modules/$module.ko; done
$b mount -t devtmpfs dev /dev
$b mkdir /below /above /new
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro host /below
$b mount -t ext4 /dev/vda /above
$b mkdir -p /above/files /above/work /above/tmp
$b chmod 1777 /above/tmp
$b mount -t overlay -o lowerdir=/below,upperdir=/above/files,workdir=/above/work overlay /new
$b mount --bind /above/tmp /new/var/tmp
for place in proc:proc sysfs:sys devtmpfs:dev tmpfs:run; do
  $b mount -t ${place%:*} ${place%:*} /new/${place#*:}
done
$b mkdir -p /new/run/systemd/system /new/run/out
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 out /new/run/out
$b cp /new/run/out/*.service /new/run/out/*.target /new/run/systemd/system
# systemd would take the machine for a container, and not read its command line
$b rm -f /new/.dockerenv
$b umount /dev /proc
exec $b switch_root /new /lib/systemd/systemd

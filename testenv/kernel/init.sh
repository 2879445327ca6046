#!/bin/sh
# The first process of the virtual machine: makes it a Linux machine like others, runs the command, says how it ended, and
# switches the machine off. It tells the two apart by a word that only the other side knows besides, in /vnlab/token.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/busybox HOME=/root TERM=dumb
read -r token </vnlab/token

# end STATUS: after this line the other side waits for nothing.
end() {
	echo "vnlab-kernel $token exit $1"
	sleep 1
	poweroff -f
}

busybox mkdir -p /proc /sys /dev /run /tmp /root /var/run /var/lib/dhcp /usr/lib/busybox
mount() { busybox mount "$@"; }
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=0755 run /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
busybox mkdir -p /dev/pts /dev/shm /run/netns
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
busybox --install -s /usr/lib/busybox
[ -e /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }

while read -r module; do
	insmod "/vnlab/modules/$module.ko" || { echo "module $module cannot be loaded"; end 125; }
done </vnlab/modules.order
[ -e /sys/kernel/btf/vmlinux ] || echo "the kernel describes no types (BTF)"
ip link set lo up
hostname vnlab-kernel

# An ovs-vswitchd of release 3.1 that is started in the first seconds believes to have no processor, and loses every packet
# that the datapath hands to it.
until read -r up _ </proc/uptime && [ "${up%.*}" -ge 11 ]; do sleep 0.2; done
echo "Linux $(uname -r), $(nproc) processors, up for $up s"

/vnlab/command </dev/null
status=$?
if [ $status -ne 0 ]; then
	echo "the end of the kernel's log:"
	dmesg | tail -n 40
fi
end $status

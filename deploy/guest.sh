#!/bin/sh
# Plugs a guest into the bridge of this host: a network namespace with a DHCP client, as in the lab of vnlab, for
# machines where vnlab does not run (Vagrant). Run again it leaves a guest that exists alone; "guest.sh --delete NAME"
# removes one.
# shellcheck disable=SC2086 # lists are split on purpose
set -eu

bridge=br0 lib=/usr/lib/openvnet
if [ "${1:-}" = --delete ] && [ $# -eq 2 ]; then
	pids=$(ip netns pids "$2")
	if [ -n "$pids" ]; then kill $pids; fi
	ip netns delete "$2"
	rm -rf "/etc/netns/$2"
	exit 0
fi
if [ $# -ne 4 ]; then
	echo "usage: guest.sh NAME PORT MAC MTU | guest.sh --delete NAME" >&2
	exit 2
fi
name=$1 port=$2 mac=$3 mtu=$4

if [ -e "/run/netns/$name" ]; then exit 0; fi
ip netns add "$name"
ip link add "$port" type veth peer name eth0 netns "$name" address "$mac" mtu "$mtu"
ip -n "$name" link set lo up
ip -n "$name" link set eth0 up
ip link set "$port" up
ip netns exec "$name" ethtool -K eth0 tx off >/dev/null # the userspace datapath takes frames as they are
ovs-vsctl --timeout=30 --may-exist add-port "$bridge" "$port"

mkdir -p "/etc/netns/$name"
: >>"/etc/netns/$name/resolv.conf"
RESOLV_CONF=/etc/netns/$name/resolv.conf setsid ip netns exec "$name" \
	udhcpc -b -S -i eth0 -s "$lib/dhcp-script.sh" -O staticroutes -O mtu -t 3 -T 1 -A 1 -x "hostname:$name" >/dev/null 2>&1 </dev/null

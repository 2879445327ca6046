#!/bin/sh
# Prepares Open vSwitch on a hypervisor host for vna: one bridge that drops by default, the NIC as a port of it, and the
# host's addresses on the bridge itself (its LOCAL port), so that tunnels of every datapath find their way out.
# It may be run again at any time, also beside a running agent: what is right already is left alone. It must be run
# again after a restart of ovs-vswitchd, which loses flows and, with the userspace datapath, the bridge's device.
# ovs-vsctl and ovs-ofctl find another Open vSwitch than the system's through OVS_RUNDIR.
# shellcheck disable=SC2086 # lists are split on purpose
set -eu

usage() {
	cat <<-'USAGE'
	usage: host.sh [options]
	  --bridge NAME      the bridge (br0)
	  --datapath TYPE    system or netdev (system where the kernel has it, else netdev)
	  --dpid HEX         datapath id, 16 hexadecimal digits (Open vSwitch's choice)
	  --mac MAC          hardware address of the bridge (Open vSwitch's choice)
	  --nic NAME         the NIC of the underlay: becomes a port, connected to the host until an agent takes over
	  --address A/LEN    address of the host there; repeat for more (those that the NIC has now)
	  --gateway A        default gateway; repeat for IPv6 (the routes over the NIC move with its addresses)
	  --route DST=A      route to a network by way of a gateway; repeat for more
	  --mtu N            MTU of the bridge (the NIC's)
	  --port NAME        another NIC that only becomes a port; repeat for more
	USAGE
}

bridge=br0 datapath='' dpid='' mac='' nic='' addresses='' gateways='' routes='' mtu='' ports=''
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage; exit 0 ;;
	--bridge | --datapath | --dpid | --mac | --nic | --address | --gateway | --route | --mtu | --port)
		[ $# -ge 2 ] || { echo "host.sh: $1 needs a value" >&2; exit 2; } ;;
	*) echo "host.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
	esac
	case $1 in
	--bridge) bridge=$2 ;;
	--datapath) datapath=$2 ;;
	--dpid) dpid=${2#0x} ;;
	--mac) mac=$2 ;;
	--nic) nic=$2 ;;
	--address) addresses="$addresses $2" ;;
	--gateway) gateways="$gateways $2" ;;
	--route) routes="$routes $2" ;;
	--mtu) mtu=$2 ;;
	--port) ports="$ports $2" ;;
	esac
	shift 2
done

if [ -z "$datapath" ]; then
	datapath=netdev
	if [ -d /sys/module/openvswitch ] || modprobe openvswitch 2>/dev/null; then datapath=system; fi
fi
# What the NIC has now; some of it is lost when it becomes a port.
if [ -n "$nic" ]; then
	[ -n "$mtu" ] || mtu=$(cat "/sys/class/net/$nic/mtu")
	[ -n "$addresses" ] || addresses=$(ip -o addr show dev "$nic" scope global | awk '{print $4}')
	routes4=$(ip -4 route show dev "$nic" | grep -v 'proto kernel' || true)
	routes6=$(ip -6 route show dev "$nic" | grep -v -e 'proto kernel' -e '^fe80' -e '^multicast' || true)
fi

# One transaction. ovs-vsctl returns when the switch has carried it out, but at once when nothing had to be changed, and
# then a switch that is just starting may not be ready yet.
set -- --may-exist add-br "$bridge" \
	-- set bridge "$bridge" "datapath_type=$datapath" fail_mode=secure \
	protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15 other_config:disable-in-band=true
if [ -n "$dpid" ]; then set -- "$@" "other_config:datapath-id=$dpid"; fi
if [ -n "$mac" ]; then set -- "$@" "other_config:hwaddr=\"$mac\""; fi
if [ -n "$mtu" ]; then set -- "$@" -- set interface "$bridge" "mtu_request=$mtu"; fi
for p in $nic $ports; do set -- "$@" -- --may-exist add-port "$bridge" "$p"; done
ovs-vsctl --timeout=30 -- "$@"
tries=0
until flows=$(ovs-ofctl -O OpenFlow15 --no-stats dump-flows "$bridge" 2>&1); do
	tries=$((tries + 1))
	if [ $tries -ge 300 ]; then echo "host.sh: $bridge does not answer: $flows" >&2; exit 1; fi
	sleep 0.1
done

# The userspace datapath copies frames off a port, and the kernel would handle its own copy too: let it neither answer
# ARP nor speak IPv6 there.
for p in $nic $ports; do
	if [ "$datapath" = netdev ]; then
		ip link set dev "$p" arp off
		if [ -e "/proc/sys/net/ipv6/conf/$p/disable_ipv6" ]; then echo 1 >"/proc/sys/net/ipv6/conf/$p/disable_ipv6"; fi
	fi
	ip link set dev "$p" up
done

# Bootstrap flows, recognisable by their cookie. An agent that has installed anything is in charge, and gets no more of them.
if [ -n "$nic" ] && ! echo "$flows" | grep actions= | grep -qv 'cookie=0xb007,'; then
	ovs-ofctl -O OpenFlow15 add-flows "$bridge" - <<-FLOWS
	table=0,cookie=0xb007,priority=50,in_port=$nic,actions=LOCAL
	table=0,cookie=0xb007,priority=50,in_port=LOCAL,actions=$nic
	FLOWS
fi

ip link set dev "$bridge" up
[ -n "$nic" ] || exit 0

# Addresses and routes go from the NIC to the bridge.
if [ -n "$addresses" ]; then
	if [ -e "/proc/sys/net/ipv6/conf/$bridge/disable_ipv6" ]; then echo 0 >"/proc/sys/net/ipv6/conf/$bridge/disable_ipv6"; fi
	ip addr flush dev "$nic" scope global
fi
for a in $addresses; do
	case $a in
	*:*) ip addr replace "$a" dev "$bridge" nodad ;;
	*) ip addr replace "$a" brd + dev "$bridge" ;;
	esac
done
if [ -n "$routes4" ]; then echo "$routes4" | while read -r r; do ip -4 route replace ${r%linkdown} dev "$bridge"; done; fi
if [ -n "$routes6" ]; then echo "$routes6" | while read -r r; do ip -6 route replace ${r%linkdown} dev "$bridge"; done; fi
for g in $gateways; do routes="$routes default=$g"; done
for r in $routes; do
	case $r in
	*:*) ip -6 route replace "${r%=*}" via "${r#*=}" dev "$bridge" ;;
	*) ip -4 route replace "${r%=*}" via "${r#*=}" dev "$bridge" ;;
	esac
done

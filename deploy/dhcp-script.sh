#!/bin/sh
# What a DHCP client of a guest does with its lease. Serves udhcpc (-s) and dhclient (-sf). It sets the IPv4 address, the
# MTU (option 26), the routes (option 121 if the server sent it, which RFC 3442 prefers to option 3, else option 3) and
# the name servers, in the file that $RESOLV_CONF names. A renewal that changes nothing leaves no moment without them.
# shellcheck disable=SC2086,SC2154 # lists are split on purpose, and clients set variables
set -eu

# One shape for both clients: event, iface, addr/len, routers, routes ("dst via gw" per line), dns, domain, mtu.
# RFC 3442, page 3: the length, then as many octets of the destination as matter, then the router.
classless() {
	while [ $# -ge 5 ]; do
		len=$1 o='' n=0
		shift
		while [ $n -lt 4 ]; do
			if [ $((n * 8)) -lt "$len" ]; then o="$o.$1"; shift; else o="$o.0"; fi
			n=$((n + 1))
		done
		[ $# -ge 4 ] || return 0
		echo "${o#.}/$len $1.$2.$3.$4"
		shift 4
	done
}

if [ -n "${reason:-}" ]; then # dhclient
	iface=$interface addr=${new_ip_address:-}/${new_subnet_mask:-} routers=${new_routers:-} mtu=${new_interface_mtu:-}
	dns=${new_domain_name_servers:-} domain=${new_domain_name:-}
	routes=$(classless ${new_rfc3442_classless_static_routes:-})
	case $reason in
	BOUND | RENEW | REBIND | REBOOT) event=bound ;;
	PREINIT | EXPIRE | FAIL | RELEASE | STOP) event=deconfig ;;
	*) exit 0 ;;
	esac
else # udhcpc
	iface=$interface addr=${ip:-}/${mask:-} routers=${router:-} mtu=${mtu:-} dns=${dns:-} domain=${domain:-}
	routes=$(set -- ${staticroutes:-}; while [ $# -ge 2 ]; do echo "$1 $2"; shift 2; done)
	case ${1:-} in
	bound | renew) event=bound ;;
	deconfig) event=deconfig ;;
	*) exit 0 ;;
	esac
fi

if [ $event = deconfig ]; then
	ip -4 addr flush dev "$iface"
	ip link set dev "$iface" up
	exit 0
fi

case $addr in
*/255.*)
	len=$(echo "${addr#*/}" | tr . '\n' | awk '{while ($1 >= 128) {n++; $1 = ($1 - 128) * 2}} END {print n + 0}')
	addr=${addr%/*}/$len ;;
esac
if [ -n "$mtu" ]; then ip link set dev "$iface" mtu "$mtu"; fi
ip addr replace "$addr" brd + dev "$iface"
ip -o -4 addr show dev "$iface" | awk '{print $4}' | while read -r a; do
	if [ "$a" != "$addr" ]; then ip addr del "$a" dev "$iface"; fi
done

if [ -z "$routes" ]; then
	for r in $routers; do routes="0.0.0.0/0 $r"; break; done
fi
wanted=' '
while read -r dst gw; do
	[ -n "$dst" ] || continue
	case $dst in 0.0.0.0/0 | 0.0.0.0) dst=default ;; esac
	if [ "$gw" = 0.0.0.0 ]; then
		ip route replace "$dst" dev "$iface" proto dhcp
	else
		ip route replace "$dst" via "$gw" dev "$iface" proto dhcp onlink
	fi
	wanted="$wanted${dst%/32} "
done <<ROUTES
$routes
ROUTES
ip -4 route show dev "$iface" proto dhcp | while read -r dst rest; do
	case $wanted in *" $dst "*) ;; *) ip route del "$dst" dev "$iface" proto dhcp ;; esac
done

if [ -n "${RESOLV_CONF:-}" ]; then
	{
		if [ -n "$domain" ]; then echo "search $domain"; fi
		for d in $dns; do echo "nameserver $d"; done
	} >"$RESOLV_CONF" # in place: it may be bind-mounted over /etc/resolv.conf
fi

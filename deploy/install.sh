#!/bin/sh
# Installs a manager, a hypervisor host, or both on Debian: packages, the binaries that "make build" has left in bin/,
# scripts, systemd units, and example configurations where there are none. It starts nothing. Run it in the top directory
# of the source tree.
set -eu

usage="usage: deploy/install.sh manager|host..."
[ $# -ge 1 ] || { echo "$usage" >&2; exit 2; }
for role in "$@"; do
	case $role in manager | host) ;; *) echo "$usage" >&2; exit 2 ;; esac
done
[ -x bin/vnctl ] || { echo "install.sh: bin/vnctl is missing: run \"make build\" first" >&2; exit 1; }

# config FILE: an administrator's changes are not overwritten.
config() {
	if [ ! -e "/etc/openvnet/$1" ]; then install -D -m 644 "deploy/config/$1" "/etc/openvnet/$1"; fi
}

install -D -t /usr/bin bin/vnctl
for role in "$@"; do
	case $role in
	manager)
		install -D -t /usr/bin bin/vnmgr
		install -D -m 644 -t /etc/systemd/system deploy/systemd/vnmgr.service
		config vnmgr.yaml
		echo "install.sh: vnmgr puts an admin's token into /var/lib/openvnet/vnmgr/admin.token when it first starts" ;;
	host)
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
			openvswitch-switch iproute2 ethtool udhcpc tcpdump
		install -D -t /usr/bin bin/vna
		install -D -t /usr/lib/openvnet deploy/host.sh deploy/guest.sh deploy/dhcp-script.sh
		install -D -m 644 -t /etc/systemd/system deploy/systemd/vna.service deploy/systemd/openvnet-host.service
		config host.env
		config vna.env
		echo "install.sh: let this host join before vna can start: on the manager \"vnmgr token host\", here \"vna join TOKEN\"" ;;
	esac
done
systemctl daemon-reload

#!/usr/bin/env bash
# Installs, with apt, the programs that the project calls and that are not there. Says what it installs and why;
# when nothing is missing it says nothing and takes a few milliseconds, so that every make target can call it.
#
# usage: scripts/deps.sh [lint] [test] [generate] [kernel]    each word adds what that target needs to what all need
#
# It looks for programs, not for packages: where they come from another source than apt, nothing is installed.
# Open vSwitch need not run: the lab and the tests start instances of their own. (Where systemd runs, the package
# starts one of its own; it is neither used nor touched.)
set -euo pipefail

go_needed=1.26
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where an ordinary user's PATH has none of them

# "program package", or "/a/file package"; in the order of what all need, then of each group.
all=(
  "ovs-vswitchd openvswitch-switch" # the switch that agents program
  "ovs-ofctl openvswitch-switch"
  "ip iproute2"      # namespaces, veth pairs
  "sysctl procps"    # forwarding in the lab's routers
  "udhcpc udhcpc"    # DHCP clients of guests
  "dhclient isc-dhcp-client"
  "dig bind9-dnsutils" # DNS clients of guests
  "nslookup bind9-dnsutils"
  "dnsmasq dnsmasq-base" # DNS servers elsewhere
  "ping iputils-ping"
  "tracepath iputils-tracepath"
  "traceroute traceroute"
  "mtr mtr-tiny"
  "curl curl"
  "wget wget"
  "arping arping"
  "iperf3 iperf3"
  "tcpdump tcpdump"
  "ethtool ethtool"  # checksum offload of guests' links
)
lint=("shellcheck shellcheck")
test=(
  "gcc gcc" "/usr/include/stdlib.h libc6-dev" # the race detector links with C
  "dhcpcd dhcpcd-base"                        # DHCP clients that the server is tried with, besides those of guests
  "/lib/systemd/systemd-networkd systemd"
  "/usr/lib/python3/dist-packages/cloudinit cloud-init" # reads metadata in guests of the tests
)
generate=("clang clang" "llvm-strip llvm" "/usr/include/bpf/bpf_helpers.h libbpf-dev")
kernel=(
  "qemu-system-x86_64 qemu-system-x86" # runs Debian's kernel
  "busybox busybox"                    # the programs of a machine that has nothing else
  "xz xz-utils"                        # modules of Debian 13 and later are compressed
)

wanted=("${all[@]}")
for group in "$@"; do
  case $group in
    lint) wanted+=("${lint[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    generate) wanted+=("${generate[@]}") ;;
    kernel) wanted+=("${kernel[@]}") ;;
    *) echo "deps: no group '$group'; there are: lint test generate kernel" >&2; exit 2 ;;
  esac
done

missing=()
for entry in "${wanted[@]}"; do
  read -r program package <<<"$entry"
  if [[ $program == /* ]]; then
    [[ -e $program ]] && continue
  else
    type -P "$program" >/dev/null && continue
  fi
  [[ " ${missing[*]} " == *" $package "* ]] || missing+=("$package")
done

if ! type -P go >/dev/null; then
  echo "deps: Go is not there; install Go $go_needed or later from https://go.dev/dl/ (Debian's is older)" >&2
  exit 1
fi

((${#missing[@]})) || exit 0

echo "deps: missing, installing with apt: ${missing[*]}"
if ! type -P apt-get >/dev/null; then
  echo "deps: there is no apt-get here; install by your own means what these Debian packages hold" >&2
  exit 1
fi
as_root=(env DEBIAN_FRONTEND=noninteractive)
if ((EUID != 0)); then
  if ! type -P sudo >/dev/null; then
    echo "deps: installing takes root and there is no sudo; run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo "${as_root[@]}")
fi
"${as_root[@]}" apt-get update -q </dev/null
if [[ " ${missing[*]} " == *" cloud-init "* ]]; then # it is for the tests, and must not set up this machine when it starts the next time
  "${as_root[@]}" mkdir -p /etc/cloud
  "${as_root[@]}" touch /etc/cloud/cloud-init.disabled
fi
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
echo "deps: installed ${missing[*]}"

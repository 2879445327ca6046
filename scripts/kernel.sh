#!/usr/bin/env bash
# Runs, on Debian's stock kernel in an emulated machine (vnlab kernel), the tests for which the kernel makes a difference:
# those of what the product does with Open vSwitch's kernel datapath and with the programs at tc, and those of what it
# builds on. docs/kernel.md says more. It takes bin/ as make build leaves it, and no root.
#
# usage: scripts/kernel.sh [PATTERN]
#   PATTERN          of the names of tests (go test -run), instead of the core that is run otherwise
#   KERNEL_FLAGS     more flags of vnlab kernel, such as "--accel kvm"
#   KERNEL_TIMEOUT   longest time of all (default 12m)
#   OPENVNET_SLOW    how many times longer tests wait than elsewhere (default 5)
set -euo pipefail
cd "$(dirname "$0")/.."

core='^(TestPrivilegedARP|TestPrivilegedND|TestPrivilegedClasses|TestPrivilegedBuckets|TestPrivilegedConntrack|TestPrivilegedMeter|TestPrivilegedTunnels|TestPrivilegedDatapath|TestPrivilegedAgentsFirst|TestPrivilegedSecured)$'
pattern=${1:-$core}
packages=(./bpf ./testenv/kernel ./testenv/scenarios)
read -ra flags <<<"${KERNEL_FLAGS:-}"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go test -c -trimpath -ldflags '-s -w' -o "$dir/" "${packages[@]}"
for package in "${packages[@]}"; do
  flags+=(--add "$dir/$(basename "$package").test")
done

# shellcheck disable=SC2016 # the machine's shell expands it
bin/vnlab kernel --timeout "${KERNEL_TIMEOUT:-12m}" "${flags[@]}" \
  --env OPENVNET_SLOW="${OPENVNET_SLOW:-5}" --env OPENVNET_BIN=/usr/local/bin --env OPENVNET_PRIVILEGED_TESTS=1 \
  -- sh -c 'failed=0
    for tests in ./*.test; do "$tests" -test.v -test.timeout 30m -test.run "$1" || failed=1; done
    exit $failed' sh "$pattern"

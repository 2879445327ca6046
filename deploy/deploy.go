// Package deploy holds the scripts that provision hosts and guests, the same for machines of Vagrant or of flesh and
// blood (which copy the files) and for the lab (testenv/lab, which imports this package to carry them along). The
// systemd units and example configurations beside them are not embedded.
package deploy

import _ "embed"

// HostScript is host.sh: it prepares Open vSwitch on a host. "host.sh --help" lists its options.
//
//go:embed host.sh
var HostScript string

// DHCPScript is dhcp-script.sh: what a guest's udhcpc or dhclient does with a lease.
//
//go:embed dhcp-script.sh
var DHCPScript string

// DHClientConfig is the configuration for dhclient that goes with DHCPScript.
//
//go:embed dhclient.conf
var DHClientConfig string

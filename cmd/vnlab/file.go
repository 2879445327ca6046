package main

import "github.com/spf13/cobra"

// fileCommand is no command but a topic of help.
func fileCommand() *cobra.Command {
	return &cobra.Command{Use: "file", Short: "The format of a lab description", Long: fileHelp}
}

const fileHelp = `A lab description is a YAML file. Unknown keys are errors. Where a list is expected,
one value will do. Everything but hosts and what they refer to may be left out.

` + fileExample + `
Names have up to 31 lower-case letters, digits, '-' and '_', and are unique in the lab.
A host's addresses are on its bridge br0, whose port the NIC is; its default route
goes to the first router on that underlay, as do those of untagged machines. Guests
without a host are plugged in later with "vnlab guest attach".
`

// fileExample shows every key; a test parses it.
const fileExample = `  name: example                      # default: the file's name
  management: 198.18.0.0/24          # agents reach the manager here; default: a free /24
  underlays:                         # layer 2 segments
    a: 172.16.90.0/24
    b: [172.16.91.0/24, "fd00:91::/64"]
    c: {prefixes: 172.16.92.0/24, mtu: 9000}
    wire:                            # carries frames, knows no addresses
  routers:                           # join underlays, at these addresses
    r: {a: 172.16.90.2, b: [172.16.91.2, "fd00:91::2"]}
  hosts:
    node1:
      dpid: 0000aaaaaaaaaaaa         # default: from the MAC
      mac: "02:01:00:00:00:01"       # of br0; default: counted up
      nics:
        eth0: {underlay: a, address: 172.16.90.10}   # one NIC has addresses
        eth1: {underlay: wire, mac: "02:0a:00:00:00:01"}
  guests:
    vm1:
      host: node1
      port: if-v1                    # on br0; default: if-NAME
      iface_id: if-vm1               # external_ids:iface-id of the port; default: none
      mac: "02:00:00:00:00:01"       # default: counted up
      mtu: 1400                      # the default
      dhcp: true
      dhcp_client: udhcpc            # or dhclient
      addresses: "fd00:1::1/64"      # fixed ones; IPv4 not beside dhcp
    vm2: {host: node1, addresses: [10.0.0.2/24], gateway: 10.0.0.1}
  machines:                          # computers on an underlay
    outside: {underlay: a, addresses: 172.16.90.200/24}
    tagged: {underlay: wire, vlan: 100, mtu: 1496, addresses: 10.1.0.1/24, gateway: 10.1.0.254}
`

package scenarios

import (
	"testing"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
)

// classes are all classes of scenarios, in the order in which they run.
var classes = []class{
	apart, segments, routed, physical, translated, promiscuous, vlans, distant, internals, filters, groups, members, leased,
}

// Two networks with the same subnets and addresses, of which neither has anything of the other; addresses, interfaces and MAC addresses that go
// and come.
var apart = class{
	name:     "networks apart",
	together: []string{"vm1 vm3 vm5 vm7", "vm2 vm4 vm6"},
	make: func(p *plan) {
		for _, name := range []string{"blue", "green"} {
			p.network(name, []string{"10.0.0.0/24", "fd00::/64"}, nil)
		}
		for k, n := range []int{1, 3, 5, 7} {
			p.vm(n, "blue", v4("10.0.0", k+11), v6("fd00", k+11))
		}
		for k, n := range []int{2, 4, 6} {
			p.vm(n, "green", v4("10.0.0", k+11), v6("fd00", k+11))
		}
	},
	steps: []step{
		{name: "an ip lease gone", change: func(p *plan) { p.drop("il-vm3k1") }},
		{name: "a mac lease gone, the ip lease again", change: func(p *plan) {
			p.lease("vm3", "blue", nil, v4("10.0.0", 12))
			p.drop("ml-vm5", "il-vm5k1", "il-vm5k2")
		}},
		{name: "an interface gone, the mac lease again", change: func(p *plan) {
			p.put("mac_leases", "ml-vm5", of("interface_uuid=if-vm5 mac_address=02:00:00:00:00:05"))
			p.lease("vm5", "blue", nil, v4("10.0.0", 13), v6("fd00", 13))
			p.drop("if-vm4", "ml-vm4", "il-vm4k1", "il-vm4k2")
		}},
		{name: "the interface again, in the other network", change: func(p *plan) {
			delete(p.nodes, "vm4")
			p.vm(4, "blue", v4("10.0.0", 15), v6("fd00", 15))
		}},
	},
}

// Pure layer 2 segments, in which guests choose their addresses.
var segments = class{
	name:     "segments",
	together: []string{"vm1 vm3 vm5", "vm2 vm4 vm6"},
	make: func(p *plan) {
		p.segment("one")
		p.segment("two")
		for n := 1; n <= 6; n++ {
			segment := []string{"seg-two", "seg-one"}[n%2]
			p.vm(n, "")
			p.put("mac_leases", vmMAC(n), client.Params{"segment_uuid": segment})
			p.set(vmName(n), []string{v4("192.168.7", n/2+n%2), v6("fd07", n/2+n%2)}, nil)
		}
	},
	steps: []step{
		{name: "another address", change: func(p *plan) {
			p.nodes["vm3"] = nil
			delete(p.nodes, "vm3")
			p.set("vm3", []string{v4("192.168.7", 77), v6("fd07", 77)}, nil)
		}},
		{name: "into the other segment", change: func(p *plan) { p.put("mac_leases", "ml-vm3", of("segment_uuid=seg-two")) }},
	},
}

// Networks, segments and hosts that leave topologies, and come back.
var members = class{
	name:     "members of topologies",
	together: []string{"vm1 vm3 vm5 vm7", "vm2 vm4 vm6"},
	make: func(p *plan) {
		p.network("one", []string{prefix4(1), prefix6(1)}, nil)
		p.segment("two")
		for _, n := range []int{1, 3, 5, 7} {
			p.vm(n, "one", host4(1, 10+n), host6(1, 10+n))
		}
		for _, n := range []int{2, 4, 6} {
			p.vm(n, "")
			p.put("mac_leases", vmMAC(n), of("segment_uuid=seg-two"))
			p.set(vmName(n), []string{v4("192.168.7", n), v6("fd07", n)}, nil)
		}
	},
	steps: []step{
		{name: "a network less", reason: "is not wired", change: func(p *plan) { p.drop("tpn-one") }},
		{name: "a segment less, the network again", reason: "is not wired", change: func(p *plan) {
			p.put("topology_networks", "tpn-one", client.Params{"topology_uuid": overlay, "network_uuid": "nw-one"})
			p.drop("tps-two")
		}},
		{name: "the segment again", change: func(p *plan) {
			p.put("topology_segments", "tps-two", client.Params{"topology_uuid": overlay, "segment_uuid": "seg-two"})
		}},
		{name: "a host less", act: func(t *testing.T, m *matrix) { m.remove(t, "tpd-node3") }},
		{name: "the host again", act: func(t *testing.T, m *matrix) {
			for _, h := range m.lab.Spec().Hosts {
				if h.Name == "node3" {
					create[model.TopologyDatapath](t, m.scene, member(h))
				}
			}
		}},
		{name: "no layer", act: func(t *testing.T, m *matrix) { m.remove(t, "tpl-matrix") }},
		{name: "the layer again", act: func(t *testing.T, m *matrix) {
			create[model.TopologyLayer](t, m.scene, client.Params{"uuid": "tpl-matrix", "overlay_uuid": overlay, "underlay_uuid": underlay})
		}},
	},
}

// Addresses by DHCP, of a service that is changed.
var leased = class{
	name:     "DHCP",
	together: []string{"vm1 vm3 vm5 vm7"},
	make: func(p *plan) {
		p.network("one", []string{prefix4(1), prefix6(1)}, nil)
		p.iface("dhcp", gatewayMAC("dhcp"), of("mode=simulated"))
		p.lease("dhcp", "one", nil, host4(1, 1))
		p.put("network_services", "ns-one", of("mode=dhcp interface_uuid=if-dhcp"))
		for _, n := range []int{1, 3, 5, 7} {
			p.vm(n, "one", host4(1, 10+n), host6(1, 10+n))
			p.nodes[vmName(n)].dhcp = true
		}
	},
	steps: []step{
		{name: "another address", change: func(p *plan) {
			p.put("ip_leases", leaseOf("vm3", 1), client.Params{"ipv4_address": bare(host4(1, 99))})
			p.nodes["vm3"] = &addressed{dhcp: true}
			p.set("vm3", []string{host4(1, 99), host6(1, 13)}, nil)
		}},
		{name: "the server at another address", change: func(p *plan) {
			p.put("ip_leases", leaseOf("dhcp", 1), client.Params{"ipv4_address": bare(host4(1, 2))})
		}},
		{name: "no service", change: func(p *plan) {
			p.drop("ns-one")
			p.nodes["vm5"] = &addressed{dhcp: true}
			for _, n := range []int{1, 3, 7} {
				p.nodes[vmName(n)].dhcp = false
			}
		}},
		{name: "the service again", change: func(p *plan) {
			p.put("network_services", "ns-one", of("mode=dhcp interface_uuid=if-dhcp"))
			p.set("vm5", []string{host4(1, 15)}, nil)
		}},
	},
}

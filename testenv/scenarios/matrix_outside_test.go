package scenarios

import "github.com/openvnet/openvnet/client"

// outside adds a network whose devices beyond the second NIC of the host edge are in it, without VLAN.
func (p *plan) outside(name string, subnets ...string) {
	p.network(name, subnets, nil)
	p.iface("outer", "", client.Params{"mode": "promiscuous", "owner_datapath_uuid": datapathOf(edgeHost), "port_name": outer})
	p.put("interface_networks", "ifn-outer", client.Params{"interface_uuid": "if-outer", "network_uuid": "nw-" + name, "static": true})
}

// A segment of which an outside network is a part: everybody there speaks with every guest.
var promiscuous = class{
	name:     "promiscuous",
	together: []string{"vm1 vm3 vm5 vm7 office inet"},
	make: func(p *plan) {
		p.segment("one")
		p.iface("outer", "", client.Params{"mode": "promiscuous", "owner_datapath_uuid": datapathOf(edgeHost), "port_name": outer})
		p.put("interface_segments", "ifs-outer", of("interface_uuid=if-outer segment_uuid=seg-one static=true"))
		for _, n := range []int{1, 3, 5, 7} {
			p.vm(n, "")
			p.put("mac_leases", vmMAC(n), of("segment_uuid=seg-one"))
			p.set(vmName(n), []string{v4("192.168.7", n), v6("fd07", n)}, nil)
		}
		for k, name := range []string{"office", "inet", "red"} {
			p.set(name, []string{v4("192.168.7", 101+k), v6("fd07", 101+k)}, nil)
		}
	},
	steps: []step{
		{name: "not on the segment", change: func(p *plan) { p.drop("ifs-outer") }},
		{name: "on the segment again", change: func(p *plan) {
			p.put("interface_segments", "ifs-outer", of("interface_uuid=if-outer segment_uuid=seg-one static=true"))
		}},
	},
}

// Two VLANs beyond the edge, each one with a virtual network; both have the same subnet.
var vlans = class{
	name:     "VLAN edges",
	together: []string{"vm1 vm3 vm5 red", "vm2 vm7 vm6 blue"},
	make: func(p *plan) {
		p.iface("outer", "", client.Params{"mode": "edge", "owner_datapath_uuid": datapathOf(edgeHost), "port_name": outer})
		p.put("translations", "tr-edge", of("mode=vnet_edge interface_uuid=if-outer"))
		for k, name := range []string{"red", "blue"} {
			p.network(name, []string{"10.0.0.0/24", "fd00::/64"}, nil)
			p.put("vlan_translations", "vt-"+name, client.Params{"translation_uuid": "tr-edge", "network_uuid": "nw-" + name, "vlan_id": 100 * (k + 1)})
			p.set(name, []string{v4("10.0.0", 50), v6("fd00", 50)}, nil)
		}
		for k, n := range []int{1, 3, 5} {
			p.vm(n, "red", v4("10.0.0", 11+k), v6("fd00", 11+k))
		}
		for k, n := range []int{2, 7, 6} {
			p.vm(n, "blue", v4("10.0.0", 11+k), v6("fd00", 11+k))
		}
		p.set("office", []string{v4("10.0.0", 60), v6("fd00", 60)}, nil)
	},
	steps: []step{
		{name: "a VLAN less", change: func(p *plan) { p.drop("vt-blue") }},
		{name: "the VLANs exchanged", change: func(p *plan) {
			p.put("vlan_translations", "vt-red", of("vlan_id=200"))
			p.put("vlan_translations", "vt-blue", of("translation_uuid=tr-edge network_uuid=nw-blue vlan_id=100"))
		}},
	},
}

// A network of devices beyond the edge, routed to from hosts that have nothing of it, by a gateway that is everywhere.
var distant = class{
	name:     "routed to devices of another host",
	together: []string{"vm1 vm3 vm5 vm7 office inet"},
	also: func() []also {
		return []also{{"vm1", "10.210.0.99"}, {"vm1", "fd21::99"}, {"vm1", "10.66.0.1"}, {"office", "10.1.0.1"}}
	},
	make: func(p *plan) {
		p.network("one", []string{prefix4(1), prefix6(1)}, nil)
		p.gateway("gwone", "one", "", host4(1, 1), host6(1, 1))
		p.outside("out", "10.210.0.0/24", "fd21::/64")
		p.gateway("gwout", "out", "", "10.210.0.2/24", "fd21::2/64")
		p.router("core")
		p.route("one", "core", "gwone", "one", nil, prefix4(1), prefix6(1))
		p.route("out", "core", "gwout", "out", of("ipv4_gateway=10.210.0.1 ipv6_gateway=fd21::1"), everything...)
		p.route("near", "core", "gwout", "out", nil, "10.210.0.0/24", "fd21::/64")
		for _, n := range []int{1, 3, 5, 7} {
			p.vm(n, "one", host4(1, 10+n), host6(1, 10+n))
			p.set(vmName(n), nil, []string{bare(host4(1, 1)), bare(host6(1, 1))})
		}
		p.set("office", []string{"10.210.0.1/24", "fd21::1/64", "10.66.0.1/32"}, []string{"10.210.0.2", "fd21::2"})
		p.set("inet", []string{"10.210.0.9/24", "fd21::9/64"}, []string{"10.210.0.2", "fd21::2"})
	},
	steps: []step{
		{name: "a guest of the network", change: func(p *plan) {
			p.vm(2, "out", "10.210.0.22/24", "fd21::22/64")
			p.set("vm2", nil, []string{"10.210.0.2", "fd21::2"})
		}},
		{name: "the guest gone", change: func(p *plan) {
			p.drop("if-vm2", "ml-vm2", "il-vm2k1", "il-vm2k2")
			delete(p.nodes, "vm2")
		}},
		{name: "the devices not in the network", change: func(p *plan) { p.drop("ifn-outer") }},
		{name: "the devices in the network again", change: func(p *plan) {
			p.put("interface_networks", "ifn-outer", of("interface_uuid=if-outer network_uuid=nw-out static=true"))
		}},
	},
}

// Networks of one host each: its guests and the host itself.
var internals = class{
	name:     "internal networks",
	together: []string{"vm1 vm2 node1", "vm3 vm4", "vm5 vm6"},
	make: func(p *plan) {
		p.network("inner", []string{"10.0.0.0/24", "fd00::/64"}, of("mode=internal"))
		for n := 1; n <= 7; n++ {
			p.vm(n, "inner", v4("10.0.0", 10+n), v6("fd00", 10+n))
		}
		p.iface("inside", "02:01:00:00:00:01", client.Params{"mode": "internal", "owner_datapath_uuid": datapathOf(own.host), "port_name": "br0"})
		p.lease("inside", "inner", nil, v4("10.0.0", 1), v6("fd00", 1))
		p.set(own.host, []string{v4("10.0.0", 1), v6("fd00", 1)}, nil)
	},
	steps: []step{
		{name: "a guest less", change: func(p *plan) { p.drop("if-vm2", "ml-vm2", "il-vm2k1", "il-vm2k2") }},
	},
}

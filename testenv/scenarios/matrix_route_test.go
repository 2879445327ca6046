package scenarios

import "github.com/openvnet/openvnet/client"

// everything is all addresses of both families.
var everything = []string{"0.0.0.0/0", "::/0"}

// by gives a route's next hop: the h-th addresses of the n-th subnets.
func by(n, h int) client.Params {
	return client.Params{"ipv4_gateway": bare(host4(n, h)), "ipv6_gateway": bare(host6(n, h))}
}

// Routers one behind the other, with default routes, two ways of the same cost between them, and a hole.
var routed = class{
	name:     "routed",
	together: []string{"vm1 vm2 vm3 vm4 vm5 vm6 vm7"},
	also: func() []also {
		return []also{
			{"vm1", "10.1.0.1"}, {"vm1", "fd01::1"}, {"vm5", "10.1.0.1"}, {"vm1", "10.2.0.1"}, {"vm6", "10.3.0.1"}, {"vm6", "fd03::1"},
			{"vm1", "10.66.0.1"}, {"vm1", "10.3.0.99"},
		}
	},
	make: func(p *plan) {
		p.router("near")
		p.router("far")
		for k, name := range []string{"one", "two", "three"} {
			n := k + 1
			subnets := []string{prefix4(n), prefix6(n)}
			p.network(name, subnets, nil)
			p.gateway("gw"+name, name, "", host4(n, 1), host6(n, 1))
			link := "near"
			if name == "three" {
				link = "far"
			}
			p.route(name, link, "gw"+name, name, nil, subnets...)
		}
		for k, name := range []string{"transit", "detour"} {
			n := k + 8
			p.network(name, []string{prefix4(n), prefix6(n)}, nil)
			p.gateway("near"+name, name, "", host4(n, 1), host6(n, 1))
			p.gateway("far"+name, name, "", host4(n, 2), host6(n, 2))
			p.route("near"+name, "near", "near"+name, name, by(n, 2), everything...)
			p.route("far"+name, "far", "far"+name, name, by(n, 1), everything...)
		}
		p.put("routes", "r-hole", of("route_link_uuid=rl-near mode=blackhole ipv4_network=10.66.0.0 ipv4_prefix=24 ipv6_network=fd66:: ipv6_prefix=64"))
		for n, network := range map[int]int{1: 1, 5: 1, 2: 2, 3: 2, 4: 3, 6: 3, 7: 3} {
			p.vm(n, []string{"one", "two", "three"}[network-1], host4(network, 10+n), host6(network, 10+n))
			p.set(vmName(n), nil, []string{bare(host4(network, 1)), bare(host6(network, 1))})
		}
	},
	steps: []step{
		{name: "a hole for one guest", change: func(p *plan) {
			p.put("routes", "r-hole", of("ipv4_network=10.3.0.14 ipv4_prefix=32 ipv6_network=fd03::e ipv6_prefix=128"))
		}},
		{name: "one way less", change: func(p *plan) { p.drop("r-hole", "r-neardetour", "r-fardetour") }},
		{name: "no way back", change: func(p *plan) { p.put("routes", "r-two", of("egress=false")) }},
		{name: "no way in", change: func(p *plan) { p.put("routes", "r-two", of("egress=true ingress=false")) }},
		{name: "no gateway", change: func(p *plan) {
			p.put("routes", "r-two", of("ingress=true"))
			p.drop("il-gwonek1", "il-fartransitk2")
		}},
	},
}

// A virtual network routed to the network of the hosts, with computers there that nobody has registered and a guest that is on it.
var physical = class{
	name:     "routed to a physical network",
	together: []string{"vm1 vm3 vm5 vm7 phys", "vm7 phys node2 edge"},
	also:     func() []also { return []also{{"phys", "172.16.90.50"}, {"phys", "fd90::50"}, {"vm7", "172.16.90.50"}} },
	make: func(p *plan) {
		p.network("one", []string{prefix4(1), prefix6(1)}, nil)
		p.gateway("gwone", "one", "", host4(1, 1), host6(1, 1))
		p.gateway("gwphysical", "physical", "node2", "172.16.90.50/24", "fd90::50/64")
		p.router("core")
		p.route("one", "core", "gwone", "one", nil, prefix4(1), prefix6(1))
		p.route("physical", "core", "gwphysical", "physical", nil, "172.16.90.0/24", "fd90::/64")
		for _, n := range []int{1, 3, 5} {
			p.vm(n, "one", host4(1, 10+n), host6(1, 10+n))
			p.set(vmName(n), nil, []string{bare(host4(1, 1)), bare(host6(1, 1))})
		}
		p.vm(7, "physical", "172.16.90.77/24", "fd90::77/64")
		p.set("vm7", nil, []string{"172.16.90.50", "fd90::50"})
		p.set("node2", []string{"172.16.90.11/24"}, nil)
		p.set("edge", []string{"172.16.90.12/24"}, nil)
		p.set("phys", []string{"172.16.90.200/24", "fd90::200/64"}, []string{"172.16.90.50", "fd90::50"})
	},
	steps: []step{
		{name: "the gateway elsewhere", change: func(p *plan) { p.put("interfaces", "if-gwphysical", of("owner_datapath_uuid=dp-edge")) }},
	},
}

// One address for another, ports forwarded, and one address for all, at a leg on the host edge; from inside to the addresses outside as well.
var translated = class{
	name:     "translated to the outside",
	together: []string{"vm1 vm3 vm5 vm7", "vm1 office", "office vm3"},
	also: func() []also {
		var as []also
		for _, from := range []string{"office", "inet", "vm1", "vm3", "vm5", "vm7"} {
			for _, to := range []string{"10.210.0.50", "fd21::50", "10.210.0.51:8443", "[fd21::51]:8443", "10.210.0.51:7007", "10.210.0.2", "fd21::2"} {
				as = append(as, also{from, to})
			}
		}
		return as
	},
	make: func(p *plan) {
		p.network("one", []string{prefix4(1), prefix6(1)}, nil)
		p.gateway("gwone", "one", "", host4(1, 1), host6(1, 1))
		p.outside("out", "10.210.0.0/24", "fd21::/64")
		p.gateway("gwout", "out", edgeHost, "10.210.0.2/24", "fd21::2/64")
		p.put("interfaces", "if-gwout", of("enable_route_translation=true"))
		p.lease("gwout", "out", of("enable_routing=true"), "10.210.0.50/24", "fd21::50/64", "10.210.0.51/24", "fd21::51/64")
		p.router("core")
		p.route("one", "core", "gwone", "one", nil, prefix4(1), prefix6(1))
		p.route("out", "core", "gwout", "out", of("ipv4_gateway=10.210.0.1 ipv6_gateway=fd21::1"), everything...)
		p.put("translations", "tr-static", of("mode=static_address interface_uuid=if-gwout"))
		p.put("translation_static_addresses", "trs-whole4", of("translation_uuid=tr-static ingress_ipv4_address=10.210.0.50 egress_ipv4_address=10.1.0.11"))
		p.put("translation_static_addresses", "trs-whole6", of("translation_uuid=tr-static ingress_ipv6_address=fd21::50 egress_ipv6_address=fd01::b"))
		p.put("translation_static_addresses", "trs-port4", of("translation_uuid=tr-static ingress_port_number=8443 egress_port_number=7007 "+
			"ingress_ipv4_address=10.210.0.51 egress_ipv4_address=10.1.0.13"))
		p.put("translation_static_addresses", "trs-port6", of("translation_uuid=tr-static ingress_port_number=8443 egress_port_number=7007 "+
			"ingress_ipv6_address=fd21::51 egress_ipv6_address=fd01::d"))
		p.put("translations", "tr-masq", of("mode=masquerade interface_uuid=if-gwout"))
		for _, n := range []int{1, 3, 5, 7} {
			p.vm(n, "one", host4(1, 10+n), host6(1, 10+n))
			p.set(vmName(n), nil, []string{bare(host4(1, 1)), bare(host6(1, 1))})
		}
		p.set("office", []string{"10.210.0.1/24", "fd21::1/64", "10.196.36.199/32", "fd36::199/128"}, nil)
		p.set("inet", []string{"10.210.0.9/24", "fd21::9/64"}, []string{"10.210.0.2", "fd21::2"})
	},
	steps: []step{
		{name: "another guest behind the address", change: func(p *plan) {
			p.put("translation_static_addresses", "trs-whole4", of("egress_ipv4_address=10.1.0.15"))
			p.put("translation_static_addresses", "trs-whole6", of("egress_ipv6_address=fd01::f"))
		}},
		{name: "without masquerade", change: func(p *plan) { p.drop("tr-masq") }},
		{name: "what is not translated passes", change: func(p *plan) { p.put("translations", "tr-static", of("passthrough=true")) }},
	},
}

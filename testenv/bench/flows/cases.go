package flows

import (
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// scenario is a world, what of it is to be measured by its difference, and one more of what there is many of.
type scenario struct {
	name string
	make func(scale) built
}

// scale is by how much scenarios are smaller than they are called: a test does with less.
type scale int

func (s scale) of(n int) int { return max(n/int(s), 3) }

// built is a scenario's world.
type built struct {
	*world
	// without are the objects without which the world is the one that "added" is counted from; none, if nothing is.
	without []model.Object
	// change is one more: objects that are added, and then removed again.
	change []model.Object
}

// The scenarios. Host 0 is the one that is looked at.
var scenarios = []scenario{
	{"groups-1000x10", groups1000x10},
	{"group-1000", func(s scale) built { return group(s.of(1000), 3) }},
	{"routers-100x100", func(s scale) built { return routers(s.of(100), s.of(100)) }},
	{"rule-15-excluded", func(s scale) built {
		return rule(s, func(r *model.SecurityGroupRule) { r.ExcludedAddresses = prefixes("10.9.%d.1/32", 15) })
	}},
	{"rule-3-prefixes", func(s scale) built {
		return rule(s, func(r *model.SecurityGroupRule) { r.RemoteAddresses = prefixes("2001:db8:%d::/48", 3) })
	}},
	{"network@100", func(s scale) built { return flat(s.of(100)) }},
	{"network@1000", func(s scale) built { return flat(s.of(1000)) }},
	{"network@10000", func(s scale) built { return flat(s.of(10_000)) }},
	{"group@100", func(s scale) built { return group(s.of(100), 3) }},
	{"group@10000", func(s scale) built { return group(s.of(10_000), 3) }},
	{"routers@10", func(s scale) built { return routers(s.of(10), s.of(10)) }},
	{"routers@1000", func(s scale) built { return routers(s.of(100), s.of(10)) }},
}

// groups1000x10 has 1,000 hosts with 10 ports each, one network to a host, and two security groups of 2,000 members with 10 rules that allow members.
func groups1000x10(s scale) built {
	hosts, ports := s.of(1000), 10
	w := newWorld(hosts)
	var groups []*model.SecurityGroup
	for range 2 {
		groups = append(groups, w.group(10, func(r *model.SecurityGroupRule, g *model.SecurityGroup) { r.RemoteGroupUUID = g.UUID }))
	}
	var b built
	for h := range hosts {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(h >> 8), byte(h), 0}), 24)
		n := w.network(p)
		for k := range ports {
			i := w.port(h, n, address(p, 10+k))
			if k < 4 {
				m := w.join(groups[k/2], i)
				b.without = append(b.without, m)
				continue
			}
			if h == hosts-1 && k == ports-1 { // one more member, on another host, with what the host is not told before
				b.change = []model.Object{i}
				for _, l := range graph.Children[*model.MACLease](w.g, i.UUID, "mac_leases.interface_uuid") {
					b.change = append(b.change, l)
				}
				for _, l := range graph.Children[*model.IPLease](w.g, i.UUID, "ip_leases.interface_uuid") {
					b.change = append(b.change, l)
				}
				b.change = append(b.change, &model.SecurityGroupInterface{Meta: w.next(model.SecurityGroupInterfaces), SecurityGroupUUID: groups[0].UUID, InterfaceUUID: i.UUID})
			}
		}
	}
	b.world = w
	return b
}

// group has one network with so many ports on some hosts, all in one group with 10 stateful rules that allow its own members.
func group(ports, hosts int) built {
	w := newWorld(hosts)
	p := netip.MustParsePrefix("10.0.0.0/16")
	n := w.network(p)
	g := w.group(10, func(r *model.SecurityGroupRule, g *model.SecurityGroup) { r.RemoteGroupUUID = g.UUID })
	b := built{world: w}
	for k := range ports {
		b.without = append(b.without, w.join(g, w.port(k%hosts, n, address(p, 10+k))))
	}
	last := w.port(hosts-1, n, address(p, 10+ports))
	b.change = []model.Object{&model.SecurityGroupInterface{Meta: w.next(model.SecurityGroupInterfaces), SecurityGroupUUID: g.UUID, InterfaceUUID: last.UUID}}
	return b
}

// routers has networks with ports on three hosts, and a router between all of them.
func routers(networks, ports int) built {
	w := newWorld(3)
	w.vni++
	link := &model.RouteLink{MACAddress: model.MAC{2, 0xff, 0, 0, 0, 1}, VNI: w.vni}
	w.put(link)
	b := built{world: w}
	for k := range networks {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(k), 0, 0}), 16)
		n := w.network(p)
		leg := &model.Interface{Mode: model.InterfaceSimulated, EnableRouting: true}
		w.put(leg)
		w.put(&model.InterfacePort{InterfaceUUID: leg.UUID})
		w.lease(leg.UUID, w.mac(leg.UUID), n.UUID, address(p, 1))
		w.put(&model.Route{Mode: model.RouteGateway, InterfaceUUID: leg.UUID, NetworkUUID: n.UUID, RouteLinkUUID: link.UUID, IPv4Network: p.Addr(), IPv4Prefix: p.Bits(), Ingress: true, Egress: true})
		for j := range ports {
			w.port(j%3, n, address(p, 10+j))
		}
		if k == networks-1 {
			b.change = w.onePort(2, n, address(p, 10+ports))
		}
	}
	return b
}

// rule has a few ports in a group with one rule more.
func rule(s scale, edit func(*model.SecurityGroupRule)) built {
	b := group(s.of(10), 3)
	r := &model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Direction: model.RuleIngress, Protocol: "tcp", PortFirst: 22, ICMPType: -1, ICMPCode: -1, Action: model.RuleAllow}
	edit(r)
	b.put(r)
	b.without = []model.Object{r}
	return b
}

// flat has one network with so many ports on three hosts, without any rules.
func flat(ports int) built {
	w := newWorld(3)
	p := netip.MustParsePrefix("10.0.0.0/16")
	n := w.network(p)
	for k := range ports {
		w.port(k%3, n, address(p, 10+k))
	}
	return built{world: w, change: w.onePort(2, n, address(p, 10+ports))}
}

// onePort gives the objects of one more port, which are not in the world.
func (w *world) onePort(hostN int, n *model.Network, a netip.Addr) []model.Object {
	i := w.port(hostN, n, a)
	g := w.g
	os := []model.Object{i}
	for _, ref := range []string{"interface_ports.interface_uuid", "mac_leases.interface_uuid", "ip_leases.interface_uuid"} {
		os = append(os, graph.Children[model.Object](g, i.UUID, ref)...)
	}
	for _, o := range os {
		g.Delete(o.Base().UUID)
	}
	return os
}

// next gives the identity of an object that is not in the world yet.
func (w *world) next(r *model.Resource) model.Meta {
	return model.Meta{UUID: r.Prefix + "-more", ID: w.ids[r] + 1_000_000}
}

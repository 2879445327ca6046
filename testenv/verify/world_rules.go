package verify

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// The prefixes and ports that routes, filters and rules are drawn from.
var (
	prefixes4 = []string{"10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/23", "10.0.0.2/32", "10.0.0.0/30", "0.0.0.0/0", "192.168.7.0/29", "8.8.8.0/24"}
	prefixes6 = []string{"fd00:a::/64", "fd00:b::/64", "fd00:a::/48", "fd00:a::2/128", "::/0", "2001:db8::/32"}
	rulePorts = []uint16{0, 22, 80, 1000}
)

func (b *builder) prefix() netip.Prefix {
	if b.oneIn(3) {
		return netip.MustParsePrefix(pick(b, prefixes6))
	}
	return netip.MustParsePrefix(pick(b, prefixes4))
}

// routers makes route links with legs, routes and translations.
func (b *builder) routers() {
	for range b.n(3) {
		l := &model.RouteLink{MACAddress: b.mac(), VNI: b.nextVNI()}
		b.put(l)
		b.links = append(b.links, l)
	}
	if len(b.links) == 0 {
		return
	}
	var legs []*model.Interface
	of := map[string]*model.Network{}
	if len(b.hosts) > 1 && b.oneIn(2) {
		l := pick(b, b.links)
		for _, n := range b.away() { // routed to from where guests are
			near := b.inhabited()
			b.route(l, b.simulated(near, true, false), near, near.Prefix4(), near.Prefix6())
			leg := b.simulated(n, true, false)
			b.route(l, leg, n, n.Prefix4(), n.Prefix6())
			if !b.oneIn(3) {
				b.route(l, leg, n, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
			}
			legs, of[leg.UUID] = append(legs, leg), n
			b.networks = append(b.networks, n)
		}
	}
	for range 2 + b.n(3) {
		n := pick(b, b.networks)
		leg := b.simulated(n, !b.oneIn(10), false)
		legs, of[leg.UUID] = append(legs, leg), n
		// Mostly the network's own subnets, by one of the links.
		b.route(pick(b, b.links), leg, n, n.Prefix4(), n.Prefix6())
		if b.oneIn(3) {
			p := b.prefix()
			if p.Addr().Is4() {
				b.route(pick(b, b.links), leg, n, p, netip.Prefix{})
			} else {
				b.route(pick(b, b.links), leg, n, netip.Prefix{}, p)
			}
		}
	}
	for range b.n(2) {
		p := b.prefix()
		r := &model.Route{Mode: model.RouteBlackhole, RouteLinkUUID: pick(b, b.links).UUID, Ingress: true, Egress: true}
		if p.Addr().Is4() {
			r.IPv4Network, r.IPv4Prefix = p.Addr(), p.Bits()
		} else {
			r.IPv6Network, r.IPv6Prefix = p.Addr(), p.Bits()
		}
		b.put(r)
	}
	for _, leg := range legs {
		if b.oneIn(3) {
			b.translate(leg, of[leg.UUID])
		}
	}
}

// inhabited gives a network that a guest is in, or else any.
func (b *builder) inhabited() *model.Network {
	guest := pick(b, b.interfaces).UUID
	for _, o := range b.w.Objects {
		l, ok := o.(*model.IPLease)
		if !ok || l.InterfaceUUID != guest {
			continue
		}
		for _, n := range b.networks {
			if n.UUID == l.NetworkUUID {
				return n
			}
		}
	}
	return pick(b, b.networks)
}

func (b *builder) route(l *model.RouteLink, leg *model.Interface, n *model.Network, p4, p6 netip.Prefix) {
	r := &model.Route{Mode: model.RouteGateway, InterfaceUUID: leg.UUID, NetworkUUID: n.UUID, RouteLinkUUID: l.UUID, Ingress: !b.oneIn(8), Egress: !b.oneIn(8)}
	if p4.IsValid() {
		r.IPv4Network, r.IPv4Prefix = p4.Addr(), p4.Bits()
	}
	if p6.IsValid() {
		r.IPv6Network, r.IPv6Prefix = p6.Addr(), p6.Bits()
	}
	if !p4.IsValid() && !p6.IsValid() {
		return
	}
	if b.oneIn(4) {
		if p := n.Prefix4(); p.IsValid() {
			r.IPv4Gateway = p.Addr().Next().Next()
		}
		if p := n.Prefix6(); p.IsValid() {
			r.IPv6Gateway = p.Addr().Next().Next()
		}
	}
	b.put(r)
}

// translate gives a leg translations: rows for addresses that it has in its network, for guests' addresses.
func (b *builder) translate(leg *model.Interface, n *model.Network) {
	leg.EnableRouteTranslation = !b.oneIn(6)
	ml := b.macs[leg.UUID][0]
	t := &model.Translation{Mode: model.TranslationStatic, InterfaceUUID: leg.UUID, Passthrough: b.oneIn(3)}
	b.put(t)
	for range b.n(4) {
		v6 := b.oneIn(3)
		out, in := b.address(n, v6), b.someAddress(v6)
		if !out.IsValid() || !in.IsValid() {
			continue
		}
		l := &model.IPLease{NetworkUUID: n.UUID, InterfaceUUID: leg.UUID, MACLeaseUUID: ml.UUID, EnableRouting: true}
		row := &model.TranslationStaticAddress{TranslationUUID: t.UUID}
		if v6 {
			l.IPv6Address, row.IngressIPv6Address, row.EgressIPv6Address = out, out, in
		} else {
			l.IPv4Address, row.IngressIPv4Address, row.EgressIPv4Address = out, out, in
		}
		if b.oneIn(3) {
			row.IngressPortNumber, row.EgressPortNumber = pick(b, rulePorts[1:]), pick(b, rulePorts[1:])
		}
		if b.oneIn(3) {
			row.RouteLinkUUID = pick(b, b.links).UUID
		}
		b.put(l)
		b.put(row)
	}
	if b.oneIn(2) {
		m := &model.Translation{Mode: model.TranslationMasquerade, InterfaceUUID: leg.UUID, Passthrough: b.oneIn(4)}
		if b.oneIn(3) {
			m.NetworkUUID = pick(b, b.networks).UUID
		}
		b.put(m)
	}
}

// someAddress gives a leased address of the family, the zero Addr if there is none.
func (b *builder) someAddress(v6 bool) netip.Addr {
	var as []netip.Addr
	for _, o := range b.w.Objects {
		if l, ok := o.(*model.IPLease); ok && l.Addr().Is6() == v6 && l.NetworkUUID != "nw-under" {
			as = append(as, l.Addr())
		}
	}
	if len(as) == 0 {
		return netip.Addr{}
	}
	return pick(b, as)
}

// filters gives some guests static filters.
func (b *builder) filters() {
	for _, i := range b.interfaces {
		if !b.oneIn(4) {
			continue
		}
		i.EnableFiltering = !b.oneIn(6)
		if b.oneIn(6) {
			continue
		}
		f := &model.Filter{InterfaceUUID: i.UUID, Mode: "static", IngressPassthrough: b.oneIn(3), EgressPassthrough: b.oneIn(2)}
		b.put(f)
		seen := map[string]bool{}
		for range b.n(5) {
			s := &model.FilterStatic{FilterUUID: f.UUID, Protocol: pick(b, []string{"tcp", "udp", "icmp", "arp", "ip", "tcp", "udp"}), Action: pick(b, []string{"pass", "drop", "conn", "pass"})}
			p := b.prefix()
			if s.Protocol != "arp" || p.Addr().Is4() {
				if b.oneIn(2) {
					s.SrcAddress = p
				} else if b.oneIn(2) {
					s.DstAddress = p
				}
			}
			if s.Protocol == "tcp" || s.Protocol == "udp" {
				s.SrcPort, s.DstPort = pick(b, rulePorts), pick(b, rulePorts)
			}
			key := fmt.Sprint(s.Protocol, s.SrcAddress, s.DstAddress, s.SrcPort, s.DstPort)
			if seen[key] {
				continue
			}
			seen[key] = true
			b.put(s)
		}
	}
}

// addressGroups makes address groups.
func (b *builder) addressGroups() {
	for range b.n(2) {
		g := &model.AddressGroup{DisplayName: "set", Addresses: b.prefixList()}
		b.put(g)
		b.sets = append(b.sets, g)
	}
}

func (b *builder) prefixList() model.PrefixList {
	var texts []string
	for range 1 + b.n(3) {
		texts = append(texts, b.prefix().String())
	}
	v, err := model.AddressGroups.Field("addresses").ParseText(strings.Join(texts, ","))
	if err != nil {
		panic(err) //nolint:forbidigo // the prefixes are constants
	}
	return v.(model.PrefixList)
}

// securityGroups makes groups with members and rules.
func (b *builder) securityGroups() {
	for range b.n(3) {
		g := &model.SecurityGroup{DisplayName: "group", TrustMembers: b.oneIn(2), EgressFilteringEnabled: b.oneIn(3)}
		b.put(g)
		b.groups = append(b.groups, g)
	}
	for _, g := range b.groups {
		if b.oneIn(2) {
			g.Rules = model.SecurityRules(pick(b, []string{"tcp:22:0.0.0.0/0", "icmp:-1:0.0.0.0/0", "udp:1000:10.0.0.0/24\ntcp:0:" + pick(b, b.groups).UUID, "icmp:-1:::/0,tcp:80:fd00:a::/64"}))
		}
		for range b.n(4) {
			b.rule(g)
		}
		for _, i := range b.interfaces {
			if b.oneIn(2) {
				b.put(&model.SecurityGroupInterface{SecurityGroupUUID: g.UUID, InterfaceUUID: i.UUID})
			}
		}
	}
	for _, i := range b.interfaces {
		i.IngressFilteringEnabled = b.oneIn(10)
	}
}

func (b *builder) rule(g *model.SecurityGroup) {
	r := &model.SecurityGroupRule{
		SecurityGroupUUID: g.UUID, Direction: pick(b, []string{model.RuleIngress, model.RuleIngress, model.RuleEgress}),
		Protocol: pick(b, []string{"any", "tcp", "udp", "icmp", "tcp", "sctp"}), ICMPType: -1, ICMPCode: -1,
		Action: pick(b, []string{model.RuleAllow, model.RuleAllow, model.RuleAllow, model.RuleDrop, model.RuleReject}), Priority: uint16(b.n(3)), Log: b.oneIn(8),
	}
	switch r.Protocol {
	case "tcp", "udp", "sctp":
		if b.n(3) > 0 {
			r.PortFirst = pick(b, rulePorts[1:])
			if b.oneIn(3) {
				r.PortLast = r.PortFirst + uint16(b.n(100))
			}
		}
	case "icmp":
		if b.oneIn(2) {
			r.ICMPType = pick(b, []int{0, 8, 128, 129, 3})
			if b.oneIn(3) {
				r.ICMPCode = b.n(2)
			}
		}
	}
	switch b.n(5) {
	case 0:
		r.RemoteAddresses = b.prefixList()
		if b.oneIn(2) {
			r.ExcludedAddresses = b.prefixList()
		}
	case 1:
		r.RemoteGroupUUID = pick(b, b.groups).UUID
	case 2:
		if len(b.sets) > 0 {
			r.RemoteAddressGroupUUID = pick(b, b.sets).UUID
		}
	case 3:
		r.ExcludedAddresses = b.prefixList()
	}
	r.Stateless = r.Action == model.RuleAllow && b.oneIn(4)
	b.put(r)
}

// mirrors copies some guests' frames to others.
func (b *builder) mirrors() {
	if len(b.interfaces) < 2 || !b.oneIn(5) {
		return
	}
	from := b.n(len(b.interfaces))
	to := (from + 1 + b.n(len(b.interfaces)-1)) % len(b.interfaces)
	b.put(&model.Mirror{
		InterfaceUUID: b.interfaces[from].UUID, TargetInterfaceUUID: b.interfaces[to].UUID, VNI: b.nextVNI(),
		Direction: pick(b, []string{model.MirrorBoth, model.MirrorIngress, model.MirrorEgress}),
	})
}

// wire makes the default topology, and in some worlds wires by hand instead of automatically.
func (b *builder) wire() {
	t := &model.Topology{Meta: model.Meta{UUID: model.DefaultTopology}, Mode: model.TopologyOverlay, Automatic: !b.mac2mac && b.n(3) > 0, Encapsulation: b.encapsulation(), MAC2MAC: b.mac2mac}
	b.put(t)
	if t.Automatic {
		return
	}
	tops := []*model.Topology{t}
	if b.oneIn(2) {
		o := &model.Topology{Mode: model.TopologyOverlay, Encapsulation: b.encapsulation(), MAC2MAC: b.mac2mac && b.oneIn(2)}
		b.put(o)
		tops = append(tops, o)
	}
	for n, host := range b.hosts {
		iface := b.hostInterfaces[n]
		top := func() string {
			if o := pick(b, tops); o != t {
				return o.UUID
			}
			return ""
		}
		for _, nw := range b.networks {
			if nw.Mode == model.NetworkVirtual && !b.oneIn(6) {
				b.put(&model.DatapathNetwork{DatapathUUID: host, NetworkUUID: nw.UUID, InterfaceUUID: iface, MACAddress: b.mac(), TopologyUUID: top()})
			}
		}
		for _, s := range b.segments {
			if s.Mode == model.SegmentVirtual && !b.oneIn(6) {
				b.put(&model.DatapathSegment{DatapathUUID: host, SegmentUUID: s.UUID, InterfaceUUID: iface, MACAddress: b.mac(), TopologyUUID: top()})
			}
		}
		for _, l := range b.links {
			if !b.oneIn(6) {
				b.put(&model.DatapathRouteLink{DatapathUUID: host, RouteLinkUUID: l.UUID, InterfaceUUID: iface, MACAddress: b.mac(), TopologyUUID: top()})
			}
		}
	}
}

func (b *builder) encapsulation() string {
	return pick(b, []string{model.Geneve, model.Geneve, model.VXLAN, model.GRE})
}

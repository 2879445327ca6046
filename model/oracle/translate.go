package oracle

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
)

// translations are those of a leg.
type translations struct {
	rows        []row // with ports before without
	masquerades []masquerade
	passthrough bool
	first4      netip.Addr // the leg's first addresses
	first6      netip.Addr
}

// row is a static row: outside is what is called ingress, inside what is called egress. Ports are 0 in a row without.
type row struct {
	outside, inside netip.AddrPort
	link            string
}

// masquerade is a translation of sources in the prefixes, or of all.
type masquerade struct {
	all      bool
	prefixes []netip.Prefix
}

func (w *World) addTranslations(i *iface) {
	i.translations = &translations{}
	ts := i.translations
	for l := range w.leases(i) {
		switch a := l.lease.Addr(); {
		case a.Is4() && !ts.first4.IsValid():
			ts.first4 = a
		case a.Is6() && !ts.first6.IsValid():
			ts.first6 = a
		}
	}
	for _, t := range graph.Children[*model.Translation](w.g, i.UUID, "translations.interface_uuid") {
		ts.passthrough = ts.passthrough || t.Passthrough
		switch t.Mode {
		case model.TranslationStatic:
			for _, s := range graph.Children[*model.TranslationStaticAddress](w.g, t.UUID, "translation_static_addresses.translation_uuid") {
				n := row{link: s.RouteLinkUUID, outside: netip.AddrPortFrom(s.IngressIPv4Address, s.IngressPortNumber),
					inside: netip.AddrPortFrom(s.EgressIPv4Address, s.EgressPortNumber)}
				if s.IngressIPv6Address.IsValid() {
					n.outside = netip.AddrPortFrom(s.IngressIPv6Address, s.IngressPortNumber)
					n.inside = netip.AddrPortFrom(s.EgressIPv6Address, s.EgressPortNumber)
				}
				ts.rows = append(ts.rows, n)
			}
		case model.TranslationMasquerade:
			m := masquerade{all: t.NetworkUUID == ""}
			if n, ok := graph.Lookup[*model.Network](w.g, t.NetworkUUID); ok {
				m.prefixes = subnets(n)
			}
			ts.masquerades = append(ts.masquerades, m)
		}
	}
	slices.SortStableFunc(ts.rows, func(a, b row) int {
		return cmp.Or(first(a.outside.Port() != 0, b.outside.Port() != 0), first(a.link != "", b.link != ""))
	})
}

// isOf reports whether a side of a row, with its port if it has one, is that address and port of the packet.
func (p *packet) isOf(side netip.AddrPort, a netip.Addr, port uint16) bool {
	if !p.parsed || side.Addr() != a {
		return false
	}
	return side.Port() == 0 || p.hasPorts && (p.proto == protoTCP || p.proto == protoUDP) && side.Port() == port
}

// other gives what the other side of a row makes of an address and port.
func other(side netip.AddrPort, port uint16) netip.AddrPort {
	if side.Port() != 0 {
		port = side.Port()
	}
	return netip.AddrPortFrom(side.Addr(), port)
}

// translateInward translates what comes from the network into the route link, and gives the link that it is led to, "" if the routes decide.
//
// Open: a pinned leg, which knows conversations, puts fragments together, and one whose packet's first was not seen is not translated [translation]. What passes a
// pinned leg untranslated is a conversation as well. Who would be answered in another conversation has another port inside, or goes nowhere [translation].
func (r *run) translateInward(leg *iface, p *packet) (string, reason.Reason) {
	ts := leg.translations
	rowOf := func(p *packet) int {
		return slices.IndexFunc(ts.rows, func(n row) bool { return p.isOf(n.outside, p.to, p.toPort) })
	}
	p.begun, p.through = nil, nil
	if !leg.pinned() {
		at := rowOf(p)
		if at < 0 {
			return "", ts.untranslated()
		}
		p.own()
		p.setTo(ts.rows[at].inside.Addr())
		if port := ts.rows[at].inside.Port(); port != 0 {
			p.setToPort(port)
		}
		return ts.rows[at].link, reason.None
	}
	whole, ok := r.together(p)
	if !ok {
		return "", reason.Translation
	}
	if m, ok := r.recall(leg, towardsOutside, p, &whole); ok && (m.answers || m.isError) {
		return "", reason.None
	}
	at, link := rowOf(&whole), ""
	if at >= 0 {
		link = ts.rows[at].link
	}
	if m, ok := r.recall(leg, towardsInside, p, &whole); ok {
		switch {
		case m.answers && !ts.passthrough:
			return "", reason.Translation
		case m.answers || m.isError || m.passed:
			p.through = leg
		default:
			p.begun = leg
		}
		return link, reason.None
	}
	t, ok := whole.tuple()
	switch {
	case !ok || !whole.begins(t):
		return "", ts.untranslated()
	case at < 0 && !ts.passthrough:
		return "", reason.Translation
	}
	b := binding{outside: t.sides(towardsInside), inside: t.sides(towardsInside), passed: at < 0}
	if at >= 0 {
		b.inside.own = other(ts.rows[at].inside, t.to.Port())
	}
	if b.inside.peer, ok = r.freePort(leg, t, towardsInside, t.from, func(peer netip.AddrPort) sides { return sides{peer, b.inside.own} }); !ok {
		return "", reason.Translation
	}
	r.begin(leg, t, towardsInside, b)
	p.setTranslated(b.inside, towardsInside)
	if b.passed {
		p.through = leg
	} else {
		p.begun = leg
	}
	return link, reason.None
}

// translateOutward translates what goes from the route link into the network.
//
// Open: an ICMP error about a translated conversation gets the outer source address that the conversation has outside, whoever sent it. Answers in a conversation
// that has begun inside enter as all else does, even if the row that translated it names a route link. What has come in by the leg untranslated leaves it so.
func (r *run) translateOutward(leg *iface, l *link, p *packet) reason.Reason {
	ts := leg.translations
	rowOf := func(p *packet) int {
		return slices.IndexFunc(ts.rows, func(n row) bool {
			return (n.link == "" || n.link == l.uuid) && p.isOf(n.inside, p.from, p.fromPort)
		})
	}
	if !leg.pinned() {
		at := rowOf(p)
		if at < 0 {
			return ts.untranslated()
		}
		p.own()
		p.setFrom(ts.rows[at].outside.Addr())
		if port := ts.rows[at].outside.Port(); port != 0 {
			p.setFromPort(port)
		}
		return reason.None
	}
	if p.through == leg {
		return reason.None
	}
	whole, ok := r.together(p)
	if !ok {
		return reason.Translation
	}
	if p.begun != leg {
		if m, ok := r.recall(leg, towardsInside, p, &whole); ok && (m.answers || m.isError || m.passed) {
			return reason.None
		}
	}
	at, hidden := rowOf(&whole), ts.masquerade(p.from)
	if m, ok := r.recall(leg, towardsOutside, p, &whole); ok {
		if m.answers {
			return ts.untranslated()
		}
		return reason.None
	}
	t, ok := whole.tuple()
	if !ok || !whole.begins(t) {
		return ts.untranslated()
	}
	b := binding{outside: t.sides(towardsOutside), inside: t.sides(towardsOutside)}
	fixed := false
	switch {
	case at >= 0:
		b.outside.own, fixed = other(ts.rows[at].outside, t.from.Port()), ts.rows[at].outside.Port() != 0
	case hidden.IsValid():
		b.outside.own = netip.AddrPortFrom(hidden, t.from.Port())
	case !ts.passthrough:
		return reason.Translation
	}
	ends := func(own netip.AddrPort) sides {
		if t.echo != noEcho { // both ends have its id
			return sides{netip.AddrPortFrom(t.to.Addr(), own.Port()), own}
		}
		return sides{t.to, own}
	}
	own, ok := r.freePort(leg, t, towardsOutside, b.outside.own, ends)
	if !ok || fixed && own != b.outside.own {
		return reason.Translation
	}
	b.outside = ends(own)
	r.begin(leg, t, towardsOutside, b)
	p.setTranslated(b.outside, towardsOutside)
	return reason.None
}

// begin remembers a conversation that begins with a packet of that tuple, which passes the leg that way.
func (r *run) begin(leg *iface, t tuple, way towards, b binding) {
	key := func(s sides) translated { return translated{leg.UUID, way, t.proto, s} }
	r.out.memos = append(r.out.memos, bound{key(b.outside), key(b.inside), b})
}

// untranslated is what becomes of a packet that nothing translates.
func (ts *translations) untranslated() reason.Reason {
	if ts.passthrough {
		return reason.None
	}
	return reason.Translation
}

// masquerade gives the address that a source is hidden behind, the zero Addr if it is not.
func (ts *translations) masquerade(from netip.Addr) netip.Addr {
	applies := slices.ContainsFunc(ts.masquerades, func(m masquerade) bool {
		return m.all || slices.ContainsFunc(m.prefixes, func(p netip.Prefix) bool { return p.Contains(from) })
	})
	switch {
	case !applies:
		return netip.Addr{}
	case from.Is4():
		return ts.first4
	}
	return ts.first6
}

// freePort gives the end of the one who begins a conversation as it is on the other side of the leg: with its own port, or if answers would be taken for those of
// another conversation with another one. Ends are the sides there with that end. It is false if there is none: for want of ports, or as the protocol has none.
//
// Open: whether an echo may have another id.
func (r *run) freePort(leg *iface, t tuple, way towards, end netip.AddrPort, ends func(netip.AddrPort) sides) (netip.AddrPort, bool) {
	with := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(end.Addr(), port) }
	free := func(port uint16) bool {
		k := translated{leg.UUID, way, t.proto, ends(with(port))}
		_, taken := r.bound(k, way.back()) // by answers in another conversation
		if !taken && t.echo == noEcho {
			k.peer, k.own = k.own, k.peer
			_, taken = r.bound(k, way) // or by what began it
		}
		return !taken
	}
	if free(end.Port()) {
		return end, true
	}
	if t.proto != protoTCP && t.proto != protoUDP && t.proto != protoSCTP && (t.echo == noEcho || r.choose(2) == 0) {
		return end, false
	}
	var ports []uint16
	for _, port := range r.chosen {
		if port != 0 && free(port) {
			ports = append(ports, port)
		}
	}
	for port := end.Port() + 1; len(ports) == 0 && port != end.Port(); port++ {
		if port != 0 && free(port) {
			ports = append(ports, port)
		}
	}
	if len(ports) == 0 {
		return end, false
	}
	return with(ports[r.choose(len(ports))]), true
}

// towards says which way a packet passes a leg.
type towards uint8

const (
	towardsInside  towards = iota // into the route link: the destination is translated
	towardsOutside                // into the network: the source is
)

func (w towards) back() towards { return towardsOutside - w }

// sides gives the ends of a packet with that tuple which passes a leg that way.
func (t tuple) sides(way towards) sides {
	if way == towardsInside {
		return sides{t.from, t.to}
	}
	return sides{t.to, t.from}
}

// setTranslated writes the ends of a conversation: the address of our own, and both ports.
func (p *packet) setTranslated(s sides, way towards) {
	p.own()
	if way == towardsInside {
		p.setTo(s.own.Addr())
		p.setToPort(s.own.Port())
		p.setFromPort(s.peer.Port())
	} else {
		p.setFrom(s.own.Addr())
		p.setFromPort(s.own.Port())
		p.setToPort(s.peer.Port())
	}
}

// isNow makes a packet that was put together say what its parts say now.
func (p *packet) isNow(s sides, way towards) {
	from, to := s.peer, s.own
	if way == towardsOutside {
		from, to = to, from
	}
	p.from, p.to = from.Addr(), to.Addr()
	if p.hasPorts {
		p.fromPort, p.toPort = from.Port(), to.Port()
	} else {
		p.icmp.id = to.Port()
	}
}

// setTranslatedError writes them into an ICMP error, and into the packet that the error is about, which has gone the other way.
func (p *packet) setTranslatedError(s sides, way towards) {
	p.own()
	in, _ := p.embedded()
	sums := p.transportSums(nil)
	if way == towardsInside {
		in.setFrom(s.own.Addr(), sums...)
		in.setFromPort(s.own.Port(), sums...)
		in.setToPort(s.peer.Port(), sums...)
		p.setTo(s.own.Addr())
	} else {
		in.setTo(s.own.Addr(), sums...)
		in.setToPort(s.own.Port(), sums...)
		in.setFromPort(s.peer.Port(), sums...)
		p.setFrom(s.own.Addr())
	}
}

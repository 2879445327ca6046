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
// Open: a pinned leg, which knows conversations, puts fragments together, and one whose packet's first was not seen is not translated
// [translation]. What passes a pinned leg untranslated is a conversation as well, so that its answers are not translated. What would be taken for
// another conversation inside is not translated [translation].
func (r *run) translateInward(leg *iface, p *packet) (string, reason.Reason) {
	ts := leg.translations
	p.begun, p.through = nil, nil
	whole := *p
	if leg.pinned() {
		var ok bool
		if whole, ok = r.together(p); !ok {
			return "", reason.Translation
		}
	}
	t, isTuple := whole.tuple()
	remembers := leg.pinned() && isTuple
	if leg.pinned() {
		if in, ok := p.embedded(); ok {
			if b, began, ok := r.about(leg, &in, towardsInside); ok {
				p.setTranslatedError(b.inside, towardsInside)
				if began == towardsInside {
					p.through = leg
				}
				return b.link, reason.None
			}
		}
	}
	if remembers {
		if b, ok := r.conversation(leg, p, t, towardsInside); ok {
			p.setTranslated(b.inside, towardsInside)
			if p.begun == leg && b.inside == b.outside {
				p.through = leg
			}
			return b.link, reason.None
		}
	}
	if remembers && !whole.begins(t) || leg.pinned() && !isTuple {
		return "", ts.untranslated()
	}
	b := binding{outside: t.to, inside: t.to}
	at := slices.IndexFunc(ts.rows, func(n row) bool { return whole.isOf(n.outside, p.to, whole.toPort) })
	switch {
	case at >= 0:
		b.inside, b.link = other(ts.rows[at].inside, t.to.Port()), ts.rows[at].link
	case !ts.passthrough:
		return "", reason.Translation
	}
	if remembers {
		inside := translated{leg.UUID, towardsInside, t.proto, t.from, b.inside}
		switch _, taken := r.bound(inside, towardsOutside); {
		case !taken:
			r.out.memos = append(r.out.memos, bound{translated{leg.UUID, towardsInside, t.proto, t.from, t.to}, inside, b})
			p.begun = leg
			if at < 0 {
				p.through = leg
			}
		case at >= 0:
			return "", reason.Translation
		}
	}
	if at >= 0 {
		p.setTranslated(b.inside, towardsInside)
	}
	return b.link, reason.None
}

// translateOutward translates what goes from the route link into the network.
//
// Open: an ICMP error about a translated conversation gets the outer source address that the conversation has outside, whoever sent it. Answers in a conversation
// that has begun inside enter as all else does, even if the row that translated it names a route link.
func (r *run) translateOutward(leg *iface, l *link, p *packet) reason.Reason {
	if p.through == leg {
		return reason.None
	}
	ts := leg.translations
	whole := *p
	if leg.pinned() {
		var ok bool
		if whole, ok = r.together(p); !ok {
			return reason.Translation
		}
	}
	t, isTuple := whole.tuple()
	remembers := leg.pinned() && isTuple
	if leg.pinned() {
		if in, ok := p.embedded(); ok {
			if b, _, ok := r.about(leg, &in, towardsOutside); ok {
				p.setTranslatedError(b.outside, towardsOutside)
				return reason.None
			}
		}
	}
	if remembers {
		if b, ok := r.conversation(leg, p, t, towardsOutside); ok {
			p.setTranslated(b.outside, towardsOutside)
			return reason.None
		}
	}
	if remembers && !whole.begins(t) || leg.pinned() && !isTuple {
		return ts.untranslated()
	}
	b := binding{outside: t.from, inside: t.from}
	changes := true
	at := slices.IndexFunc(ts.rows, func(n row) bool {
		return (n.link == "" || n.link == l.uuid) && whole.isOf(n.inside, p.from, whole.fromPort)
	})
	switch {
	case at >= 0:
		b.outside = other(ts.rows[at].outside, t.from.Port())
	case leg.pinned() && ts.masquerade(p.from).IsValid():
		port, ok := r.freePort(leg, t, ts.masquerade(p.from))
		if !ok {
			return reason.Translation
		}
		b.outside = netip.AddrPortFrom(ts.masquerade(p.from), port)
	case ts.passthrough && remembers:
		port, ok := r.freePort(leg, t, p.from)
		if !ok {
			return reason.None
		}
		b.outside = netip.AddrPortFrom(p.from, port)
	case ts.passthrough:
		changes = false
	default:
		return reason.Translation
	}
	if remembers {
		outside := outsideOf(leg, t, b.outside)
		switch _, taken := r.bound(outside, towardsInside); {
		case !taken:
			r.out.memos = append(r.out.memos, bound{outside, translated{leg.UUID, towardsOutside, t.proto, t.to, t.from}, b})
		case changes:
			return reason.Translation
		}
	}
	if changes {
		p.setTranslated(b.outside, towardsOutside)
	}
	return reason.None
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

// outsideOf gives the key of a conversation with that own end outside. Both ends of an echo have its id.
func outsideOf(leg *iface, t tuple, own netip.AddrPort) translated {
	peer := t.to
	if t.echo != noEcho {
		peer = netip.AddrPortFrom(peer.Addr(), own.Port())
	}
	return translated{leg.UUID, towardsOutside, t.proto, peer, own}
}

// freePort gives the port, or the echo id, with which a conversation is hidden behind the address: its own, or if that is taken another one. It
// is false if there is none.
func (r *run) freePort(leg *iface, t tuple, a netip.Addr) (uint16, bool) {
	free := func(port uint16) bool {
		k := outsideOf(leg, t, netip.AddrPortFrom(a, port))
		_, taken := r.bound(k, towardsInside) // by answers in another conversation
		if !taken && t.echo == noEcho {
			k.peer, k.own = k.own, k.peer
			_, taken = r.bound(k, towardsOutside) // or by what began it
		}
		return !taken
	}
	own := t.from.Port()
	if !t.from.IsValid() || free(own) { // without a tuple nothing is remembered
		return own, true
	}
	if t.proto != protoTCP && t.proto != protoUDP && t.proto != protoSCTP && t.echo == noEcho {
		return 0, false
	}
	var ports []uint16
	for _, port := range r.chosen {
		if port != 0 && free(port) {
			ports = append(ports, port)
		}
	}
	for port := own + 1; len(ports) == 0 && port != own; port++ {
		if port != 0 && free(port) {
			ports = append(ports, port)
		}
	}
	if len(ports) == 0 {
		return 0, false
	}
	return ports[r.choose(len(ports))], true
}

// towards says which way a packet passes a leg.
type towards uint8

const (
	towardsInside  towards = iota // into the route link: the destination is translated
	towardsOutside                // into the network: the source is
)

func (w towards) back() towards { return towardsOutside - w }

// setTranslated writes the other end of a conversation.
func (p *packet) setTranslated(end netip.AddrPort, way towards) {
	p.own()
	if way == towardsInside {
		p.setTo(end.Addr())
		p.setToPort(end.Port())
	} else {
		p.setFrom(end.Addr())
		p.setFromPort(end.Port())
	}
}

// setTranslatedError writes it into an ICMP error, and into the packet that the error is about, which has gone the other way.
func (p *packet) setTranslatedError(end netip.AddrPort, way towards) {
	p.own()
	in, _ := p.embedded()
	sums := p.transportSums(nil)
	if way == towardsInside {
		in.setFrom(end.Addr(), sums...)
		in.setFromPort(end.Port(), sums...)
		p.setTo(end.Addr())
	} else {
		in.setTo(end.Addr(), sums...)
		in.setToPort(end.Port(), sums...)
		p.setFrom(end.Addr())
	}
}

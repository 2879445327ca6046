package oftest

import (
	"net/netip"

	"github.com/openvnet/openvnet/ofctl/flow"
)

func natOf(a *flow.NAT) natKind {
	if a.Kind == flow.NATSrc {
		return natSrc
	}
	return natDst
}

// span is a range of ports with the one to try first.
type span struct{ first, low, high uint16 }

// each calls try with the ports of the span from the first one on, and around.
func (s span) each(try func(uint16) bool) bool {
	for i, n := uint32(0), uint32(s.high-s.low)+1; i < n; i++ {
		if try(s.low + uint16((uint32(s.first-s.low)+i)%n)) {
			return true
		}
	}
	return false
}

// sourcePorts gives the ports that the source may have: those of the action, or else those of the port's own kind (privileged or
// not), its own first.
func sourcePorts(a *flow.NAT, port uint16) span {
	switch {
	case a.Kind == flow.NATSrc && a.PortMin != 0:
		return ported(a, port)
	case port < 512:
		return span{port, 1, 511}
	case port < 1024:
		return span{port, 600, 1023}
	}
	return span{port, 1024, 65535}
}

// ported is the range of an action; it begins at a place that depends on the connection.
func ported(a *flow.NAT, port uint16) span {
	high := max(a.PortMax, a.PortMin)
	n := uint32(high-a.PortMin) + 1
	return span{a.PortMin + uint16(uint32(port)%n), a.PortMin, high}
}

// translate gives the connection a translation that makes its reply tuple unique. It reports whether there is one.
func (ct *tracker) translate(n *ctConn, a *flow.NAT) bool {
	ports := n.key.proto == protoTCP || n.key.proto == protoUDP || n.key.proto == protoSCTP
	if a.Kind == flow.NATRestore {
		// Open vSwitch 3.1 treats ct(commit,nat) on a new connection as a translation to the address and port zero, for
		// which it then translates nothing: replies are not recognised.
		n.rev.src = [16]byte{}
		if ports {
			n.rev.dport = 0
		}
		_, taken := ct.halves[n.rev]
		return !taken
	}
	n.nat = natOf(a)
	// Where the action names no address, the packet's own stays.
	own := addrOf(n.key.src, n.key.v6)
	if a.Kind == flow.NATDst {
		own = addrOf(n.key.dst, n.key.v6)
	}
	low, high := own, own
	if a.AddrMin.IsValid() {
		low, high = a.AddrMin, a.AddrMin
		if a.AddrMax.IsValid() {
			high = a.AddrMax
		}
	}
	start := startAddr(low, high, hashTuple(&n.key))
	for addr := start; ; {
		if a.Kind == flow.NATSrc {
			putAddr(&n.rev.dst, addr)
		} else {
			putAddr(&n.rev.src, addr)
		}
		if ct.freePorts(n, a, ports) {
			return true
		}
		if addr = addr.Next(); !addr.IsValid() || high.Less(addr) {
			addr = low
		}
		if addr == start {
			return false
		}
	}
}

// freePorts finds ports for the address at hand.
func (ct *tracker) freePorts(n *ctConn, a *flow.NAT, ports bool) bool {
	free := func() bool { _, taken := ct.halves[n.rev]; return !taken }
	if !ports {
		return free()
	}
	if a.Kind == flow.NATDst {
		n.rev.sport = n.key.dport
		if a.PortMin != 0 && ported(a, n.key.dport).each(func(p uint16) bool { n.rev.sport = p; return free() }) {
			return true
		}
	}
	return sourcePorts(a, n.key.sport).each(func(p uint16) bool { n.rev.dport = p; return free() })
}

// startAddr picks an address of a range.
func startAddr(low, high netip.Addr, hash uint64) netip.Addr {
	if low == high {
		return low
	}
	first, last := flow.AddrValue(low), flow.AddrValue(high)
	span := last.Lo - first.Lo + 1
	if last.Hi != first.Hi || span == 0 {
		span = 1 << 32
	}
	v := first
	v.Lo += hash % span
	if v.Lo < first.Lo {
		v.Hi++
	}
	if low.Is4() {
		return v.Addr4()
	}
	return v.Addr6()
}

func hashTuple(t *tuple) uint64 {
	h := uint64(t.sport)<<32 | uint64(t.dport)<<16 | uint64(t.proto)
	for _, w := range [...]uint64{be64(t.src[:]), be64(t.src[8:]), be64(t.dst[:]), be64(t.dst[8:])} {
		h = mix(h, w)
	}
	return h >> 1
}

func putAddr(b *[16]byte, a netip.Addr) {
	if a.Is4() {
		v := a.As4()
		*b = [16]byte{}
		copy(b[12:], v[:])
		return
	}
	*b = a.As16()
}

// handleNAT translates a packet of a connection that has a translation, unless that was done in this zone before.
func (p *packet) handleNAT(n *ctConn, zone uint16, reply, related bool) {
	const both = flow.CTSNAT | flow.CTDNAT
	if n.nat == 0 || p.ct.state&both != 0 && zone == p.ct.zone {
		return
	}
	p.ct.state &^= both
	p.nat(n, reply, related)
}

// nat translates a packet: of the original direction to what the reply tuple says, of the other to the original tuple.
func (p *packet) nat(n *ctConn, reply, related bool) {
	to, kind := &n.rev, n.nat
	if reply {
		to, kind = &n.key, n.nat.opposite()
	}
	p.ct.state |= kind.state()
	p.own()
	l4 := p.l4Bytes()
	p.setAddrs(p.frame[p.l3:], p.l4, to, kind, p.proto)
	if related {
		p.natInner(to, kind.opposite())
		return
	}
	ports := uint32(to.dport)<<16 | uint32(to.sport)
	if n.key.proto == protoTCP || n.key.proto == protoUDP || n.key.proto == protoSCTP {
		p.setPorts(l4, n.key.proto, ports)
	}
}

// setAddrs writes the addresses that are translated to an IP header; to is the tuple of the other direction.
func (p *packet) setAddrs(h []byte, l4 int, to *tuple, kind natKind, proto uint8) {
	write := func(at4, at6 int, addr *[16]byte) {
		if !to.v6 {
			old := h[at4 : at4+4]
			patch(proto, l4Sum(proto, p.frame[l4:len(p.frame)-p.pad]), old, addr[12:])
			put16(h[10:], updateBytes(be16(h[10:]), old, addr[12:]))
			copy(old, addr[12:])
			return
		}
		old := h[at6 : at6+16]
		patch(proto, l4Sum(proto, p.frame[l4:len(p.frame)-p.pad]), old, addr[:])
		copy(old, addr[:])
	}
	if kind&natSrc != 0 {
		write(12, 8, &to.dst)
	}
	if kind&natDst != 0 {
		write(16, 24, &to.src)
	}
}

// natInner translates the packet inside an ICMP error, which went the other way.
func (p *packet) natInner(to *tuple, kind natKind) {
	l4 := p.l4Bytes()
	in := p.l4 + icmpHeader
	h := p.frame[in:]
	if to.v6 {
		c := cursor{h[ipv6Header : len(h)-p.pad], in + ipv6Header}
		proto, _, _ := extensions(&c, h[6])
		p.setAddrs(h, c.off, reversed(to), kind, proto)
		p.setInnerPorts(c.b, proto, to)
		put16(l4[2:], 0)
		put16(l4[2:], ^fold(add(p.pseudo6(protoICMPv6, len(l4)), l4)))
		return
	}
	at := in + int(h[0]&15)*4
	p.setAddrs(h, at, reversed(to), kind, h[9])
	p.setInnerPorts(p.frame[at:len(p.frame)-p.pad], h[9], to)
	put16(l4[2:], 0)
	put16(l4[2:], ^fold(add(0, l4)))
}

func reversed(t *tuple) *tuple {
	r := t.reverse()
	return &r
}

// setInnerPorts writes the ports of the packet inside, the other way round.
func (p *packet) setInnerPorts(l4 []byte, proto uint8, to *tuple) {
	if (proto == protoTCP || proto == protoUDP) && len(l4) >= 8 {
		p.setPorts(l4, proto, uint32(to.sport)<<16|uint32(to.dport))
	}
}

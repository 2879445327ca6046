package oftest

import "github.com/openvnet/openvnet/ofctl/flow"

// tuple reads what conntrack knows a packet by. A packet that is not whole or has a wrong checksum has none. related: it is an ICMP error about the connection of the tuple.
func (p *packet) tuple(zone uint16) (t tuple, related, ok bool) {
	l4 := p.l4Bytes()
	if !p.ip || l4 == nil {
		return t, false, false
	}
	t.zone, t.proto, t.v6 = zone, p.proto, p.ip6
	h := p.frame[p.l3:]
	if p.ip6 {
		t.src, t.dst = [16]byte(h[8:]), [16]byte(h[24:])
	} else {
		if fold(add(0, h[:int(h[0]&15)*4])) != 0xffff {
			return t, false, false
		}
		copy(t.src[12:], h[12:16])
		copy(t.dst[12:], h[16:20])
	}
	related, ok = t.readL4(l4, p.pseudo(len(l4)), true)
	return t, related, ok
}

// pseudo sums up the pseudo header of the packet.
func (p *packet) pseudo(size int) uint32 {
	if p.ip6 {
		return p.pseudo6(p.proto, size)
	}
	return add(uint32(p.proto)+uint32(size), p.frame[p.l3+12:p.l3+20])
}

// readL4 reads the part of the tuple behind the IP header. outer: it is the packet itself, not one in an ICMP error, which
// may be cut and has no checksum to look at.
func (t *tuple) readL4(b []byte, pseudo uint32, outer bool) (related, ok bool) {
	good := func(sum uint32) bool { return !outer || fold(add(sum, b)) == 0xffff }
	switch {
	case t.proto == protoTCP:
		// An ICMPv6 error has to quote the whole header, one of IPv4 its first 8 bytes.
		if outer && (len(b) < tcpHeader || int(b[12]>>4)*4 < tcpHeader || int(b[12]>>4)*4 > len(b)) || len(b) < 8 || t.v6 && len(b) < tcpHeader || !good(pseudo) {
			return false, false
		}
		t.sport, t.dport = be16(b), be16(b[2:])
		return false, t.sport != 0 && t.dport != 0
	case t.proto == protoUDP:
		if len(b) < udpHeader || outer && int(be16(b[4:])) != len(b) || be16(b[6:]) != 0 && !good(pseudo) || t.v6 && outer && be16(b[6:]) == 0 {
			return false, false
		}
		t.sport, t.dport = be16(b), be16(b[2:])
		return false, t.sport != 0 && t.dport != 0
	case t.proto == protoSCTP:
		if len(b) < 8 || outer && len(b) < sctpHeader {
			return false, false
		}
		t.sport, t.dport = be16(b), be16(b[2:])
		return false, t.sport != 0 && t.dport != 0
	case t.proto == protoICMP && !t.v6:
		if len(b) < icmpHeader || !good(0) {
			return false, false
		}
		return t.readICMP(b, outer)
	case t.proto == protoICMPv6 && t.v6:
		if len(b) < icmpHeader || !good(pseudo) {
			return false, false
		}
		return t.readICMPv6(b, outer)
	}
	return false, true // known by its addresses alone
}

// replyTypes are the types of ICMP that answer each other.
var replyTypes = map[uint8]uint8{8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15}

func (t *tuple) readICMP(b []byte, outer bool) (related, ok bool) {
	if other, ok := replyTypes[b[0]]; ok {
		if b[1] != 0 {
			return false, false
		}
		t.styp, t.dtyp = b[0], other
		t.sport = be16(b[4:])
		t.dport = t.sport
		return false, true
	}
	switch b[0] {
	case 3, 4, 5, 11, 12: // unreachable, source quench, redirect, time exceeded, parameter problem
	default:
		return false, false
	}
	if !outer {
		return false, false
	}
	h := b[icmpHeader:]
	if len(h) < ipv4Header {
		return false, false
	}
	size := int(h[0]&15) * 4
	if size < ipv4Header || size > len(h) || be16(h[6:])&0x3fff != 0 {
		return false, false
	}
	inner := tuple{zone: t.zone, proto: h[9]}
	copy(inner.src[12:], h[12:16])
	copy(inner.dst[12:], h[16:20])
	return t.errorAbout(inner, h[size:])
}

func (t *tuple) readICMPv6(b []byte, outer bool) (related, ok bool) {
	switch b[0] {
	case 128, 129:
		if b[1] != 0 {
			return false, false
		}
		t.styp, t.dtyp = b[0], b[0]^1
		t.sport = be16(b[4:])
		t.dport = t.sport
		return false, true
	case 1, 2, 3, 4: // unreachable, too big, time exceeded, parameter problem
	default:
		return false, false
	}
	h := b[icmpHeader:]
	if !outer || len(h) < ipv6Header {
		return false, false
	}
	c := cursor{b: h[ipv6Header:]}
	proto, frag, ok := extensions(&c, h[6])
	if !ok || frag != 0 {
		return false, false
	}
	inner := tuple{zone: t.zone, proto: proto, v6: true, src: [16]byte(h[8:]), dst: [16]byte(h[24:])}
	return t.errorAbout(inner, c.b)
}

// errorAbout takes the tuple of the packet that an ICMP error is about, the other way round: as the error goes.
func (t *tuple) errorAbout(inner tuple, l4 []byte) (related, ok bool) {
	if inner.src != t.dst {
		return false, false
	}
	if _, ok := inner.readL4(l4, 0, false); !ok {
		return false, false
	}
	*t = inner.reverse()
	return true, true
}

// natKind is what of a connection is translated.
type natKind uint8

const (
	natSrc natKind = 1 << iota
	natDst
)

func (k natKind) state() uint8 {
	var s uint8
	if k&natSrc != 0 {
		s |= flow.CTSNAT
	}
	if k&natDst != 0 {
		s |= flow.CTDNAT
	}
	return s
}

// opposite is what is translated in the packets of the other direction.
func (k natKind) opposite() natKind { return k&natSrc<<1 | k&natDst>>1 }

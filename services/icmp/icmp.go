// Package icmp tells senders what has become of their packets: it builds the ICMP error, or the TCP reset, that answers a packet which a router, a simulated interface or a
// rule has refused, and cuts packets that are too big. It answers nothing that must not be answered (RFC 1122, 3.2.2; RFC 1812, 4.3.2.7; RFC 4443, 2.4): errors, resets,
// fragments but the first, and what was for or from anybody but a single station. How many answers there are is bounded by meters in the switch, before packets come here.
//
// It is pure and reads bytes that a guest chose: it never panics, and looks at nothing beyond them. The agent imports it.
package icmp

import (
	"encoding/binary"
	"net/netip"
)

const (
	ethernetLen = 14
	vlanLen     = 4
	ipv4Len     = 20
	ipv6Len     = 40
	tcpLen      = 20
	icmpLen     = 8

	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	typeVLAN = 0x8100

	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoNone   = 59 // nothing follows (RFC 8200, section 4.7)

	ttl = 64

	// Packets with ICMP errors are no longer: RFC 1812, 4.3.2.3; RFC 4443, 2.4.
	maxError4 = 576
	maxError6 = 1280
)

// Kind says why a packet was refused.
type Kind uint8

// The kinds.
const (
	Prohibited   Kind = iota // by a rule
	TimeExceeded             // its TTL or hop limit is used up
	NoRoute                  // to its destination
	NoEntry                  // no route lets its source in
	NoNeighbor               // nobody has the address of the next hop
	Closed                   // it came to an address where nothing serves it
	TooBig                   // for the network that it is routed into
)

// message is type and code of an error.
type message struct{ typ, code uint8 }

// messages are the errors of IPv4 (RFC 792; RFC 1812, 5.2.7) and IPv6 (RFC 4443, section 3). Those of Closed are for UDP; see closed.
var messages = [...]struct{ v4, v6 message }{
	Prohibited:   {message{3, 13}, message{1, 1}},
	TimeExceeded: {message{11, 0}, message{3, 0}},
	NoRoute:      {message{3, 0}, message{1, 0}},
	NoEntry:      {message{3, 0}, message{1, 5}},
	NoNeighbor:   {message{3, 1}, message{1, 3}},
	Closed:       {message{3, 3}, message{1, 4}},
	TooBig:       {message{3, 4}, message{2, 0}},
}

// Error is what a sender is told.
type Error struct {
	Kind Kind
	From netip.Addr // who tells; without, the address that the packet was for
	MTU  int        // of the network that a packet was too big for
}

// packet is what an answer needs to know of a refused packet.
type packet struct {
	link     []byte // Ethernet header with its tags
	ip       []byte // the packet, without padding
	src, dst []byte // addresses
	proto    uint8
	named    int    // offset of what names the protocol
	payload  []byte // what follows the headers of IP
	v6       bool
}

// Sender gives the address that a packet is from. The bool is false if it must not be answered, whatever becomes of it.
func Sender(frame []byte) (netip.Addr, bool) {
	p, ok := decode(frame)
	if !ok || p.isError() {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(p.src)
}

// Answer gives the frame that tells the sender of a frame what has become of it, addressed to where that came from. It is nil if there is nothing to say.
func Answer(frame []byte, e Error) []byte {
	p, ok := decode(frame)
	if !ok {
		return nil
	}
	from := p.dst
	if e.From.IsValid() {
		if e.From.Is6() != p.v6 {
			return nil
		}
		from = e.From.AsSlice()
	}
	if p.proto == protoTCP && (e.Kind == Prohibited || e.Kind == Closed) {
		return p.reset()
	}
	return p.tell(e, from)
}

// decode takes a frame apart. The bool is false for what must not be answered.
func decode(frame []byte) (packet, bool) {
	link := ethernetLen
	if len(frame) >= ethernetLen+vlanLen && binary.BigEndian.Uint16(frame[12:]) == typeVLAN {
		link += vlanLen
	}
	// Bit 0 of a MAC address is set of broadcast and multicast.
	if len(frame) < link || frame[0]&1 != 0 || frame[6]&1 != 0 {
		return packet{}, false
	}
	p := packet{link: frame[:link]}
	ok := false
	switch binary.BigEndian.Uint16(frame[link-2:]) {
	case typeIPv4:
		ok = p.ipv4(frame[link:])
	case typeIPv6:
		ok = p.ipv6(frame[link:])
	}
	return p, ok
}

func (p *packet) ipv4(b []byte) bool {
	if len(b) < ipv4Len || b[0]>>4 != 4 {
		return false
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < ipv4Len || total < head || len(b) < total || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return false
	}
	p.ip, p.src, p.dst, p.proto, p.named, p.payload = b[:total], b[12:16], b[16:20], b[9], 9, b[head:total]
	return unicast4(p.src) && unicast4(p.dst)
}

// unicast4 reports whether an IPv4 address is of a single host: not 0.0.0.0/8, loopback, multicast, reserved or broadcast.
func unicast4(a []byte) bool { return a[0] != 0 && a[0] != 127 && a[0] < 224 }

// maxExtensions bounds how many extension headers are skipped.
const maxExtensions = 8

func (p *packet) ipv6(b []byte) bool {
	if len(b) < ipv6Len || b[0]>>4 != 6 {
		return false
	}
	total := ipv6Len + int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < total {
		return false
	}
	p.ip, p.src, p.dst, p.v6 = b[:total], b[8:24], b[24:40], true
	if p.src[0] == 0xff || p.dst[0] == 0xff || unspecified(p.src) || unspecified(p.dst) {
		return false
	}
	next, rest := b[6], b[ipv6Len:total]
	p.named = 6
	for range maxExtensions {
		size := 0
		switch next {
		case 0, 43, 60: // hop by hop, routing, destination options
			if len(rest) < 8 {
				return false
			}
			size = 8 + 8*int(rest[1])
		case 44: // fragment
			if len(rest) < 8 || binary.BigEndian.Uint16(rest[2:])>>3 != 0 {
				return false
			}
			size = 8
		default:
			p.proto, p.payload = next, rest
			return true
		}
		if len(rest) < size {
			return false
		}
		p.named = total - len(rest)
		next, rest = rest[0], rest[size:]
	}
	return false
}

func unspecified(a []byte) bool {
	for _, b := range a {
		if b != 0 {
			return false
		}
	}
	return true
}

// Flags of TCP.
const (
	fin = 1 << 0
	syn = 1 << 1
	rst = 1 << 2
	ack = 1 << 4
)

// reset gives a TCP reset that the sender accepts: with the sequence number that it expects, or acknowledging what it has sent.
func (p *packet) reset() []byte {
	t := p.payload
	if len(t) < tcpLen {
		return nil
	}
	head, flags := int(t[12]>>4)*4, t[13]
	if head < tcpLen || len(t) < head || flags&rst != 0 {
		return nil
	}
	answer := make([]byte, tcpLen)
	copy(answer[0:], t[2:4])
	copy(answer[2:], t[0:2])
	answer[12] = tcpLen / 4 << 4
	if flags&ack != 0 {
		copy(answer[4:], t[8:12])
		answer[13] = rst
	} else {
		sent := uint32(len(t) - head)
		if flags&syn != 0 {
			sent++
		}
		if flags&fin != 0 {
			sent++
		}
		binary.BigEndian.PutUint32(answer[8:], binary.BigEndian.Uint32(t[4:])+sent)
		answer[13] = rst | ack
	}
	return p.answer(p.dst, protoTCP, answer, 16)
}

// tell gives an ICMP error with as much of the packet as there is room for.
func (p *packet) tell(e Error, from []byte) []byte {
	if p.isError() {
		return nil
	}
	m, says := messages[e.Kind].v4, uint32(0) // what stands behind the checksum
	if p.v6 {
		m = messages[e.Kind].v6
	}
	switch {
	case e.Kind == TooBig && !p.v6:
		says = uint32(min(max(e.MTU, 0), 0xffff)) //nolint:gosec // RFC 1191, section 4
	case e.Kind == TooBig:
		says = uint32(max(e.MTU, 0)) //nolint:gosec // RFC 4443, section 3.2
	case e.Kind != Closed || p.proto == protoUDP:
	case p.proto == protoNone || p.proto == protoICMP && !p.v6 || p.proto == protoICMPv6 && p.v6: // RFC 1122, 3.2.2; RFC 4443, 2.4 (b): what is not known is passed over
		return nil
	case p.v6: // unrecognized next header
		m, says = message{4, 1}, uint32(p.named) //nolint:gosec // within the packet
	default: // protocol unreachable
		m = message{3, 2}
	}
	room, proto := maxError4-ipv4Len-icmpLen, uint8(protoICMP)
	if p.v6 {
		room, proto = maxError6-ipv6Len-icmpLen, protoICMPv6
	}
	b := binary.BigEndian.AppendUint32([]byte{m.typ, m.code, 0, 0}, says)
	return p.answer(from, proto, append(b, p.ip[:min(len(p.ip), room)]...), 2)
}

// isError reports whether the packet is an ICMP error or a redirect, or may be one.
func (p *packet) isError() bool {
	switch {
	case p.proto == protoICMPv6 && p.v6: // types below 128 are errors; 137 is a redirect
		return len(p.payload) < 1 || p.payload[0] < 128 || p.payload[0] == 137
	case p.proto != protoICMP || p.v6:
		return false
	case len(p.payload) < 1:
		return true
	}
	switch p.payload[0] {
	case 3, 4, 5, 11, 12: // unreachable, quench, redirect, time exceeded, parameter problem
		return true
	}
	return false
}

// precedence is that of ICMP errors of IPv4: internetwork control (RFC 1812, 4.3.2.5).
const precedence = 0xc0

// answer gives the frame back to the sender that carries payload, whose checksum is at that place.
func (p *packet) answer(from []byte, proto uint8, payload []byte, sumAt int) []byte {
	s := uint64(0)
	if proto != protoICMP { // with the pseudo header
		s = sum(sum(uint64(proto)+uint64(len(payload)), p.src), from)
	}
	binary.BigEndian.PutUint16(payload[sumAt:], ^fold(sum(s, payload)))

	b := make([]byte, 0, len(p.link)+ipv6Len+len(payload))
	b = append(b, p.link[6:12]...)
	b = append(b, p.link[0:6]...)
	b = append(b, p.link[12:]...)
	if p.v6 {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
		b = append(b, proto, ttl)
		b = append(b, from...)
		b = append(b, p.src...)
		return append(b, payload...)
	}
	ip := make([]byte, ipv4Len)
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+len(payload)))
	ip[6] = 0x40 // not to be fragmented
	ip[8], ip[9] = ttl, proto
	if proto == protoICMP {
		ip[1] = precedence
	}
	copy(ip[12:], from)
	copy(ip[16:], p.src)
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip)))
	return append(append(b, ip...), payload...)
}

// sum adds the words of b to s, a running Internet checksum (RFC 1071).
func sum(s uint64, b []byte) uint64 {
	for ; len(b) > 1; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// Package reject says no: it builds the answer by which a sender is told that a rule has rejected its packet, a TCP reset (RFC 793, 3.4) or an ICMP error,
// administratively prohibited (RFC 792 with RFC 1812, 5.2.7.1; RFC 4443, 3.1). It answers nothing that must not be answered (RFC 1122, 3.2.2; RFC 4443,
// 2.4): errors, resets, fragments but the first, and what was for or from anybody but a single station. How many answers there are is bounded by the
// meter in the switch, before packets come here.
//
// It is pure and reads bytes that a guest chose: it never panics, and looks at nothing beyond them. The agent imports it.
package reject

import (
	"encoding/binary"
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
	protoICMPv6 = 58

	ttl = 64

	// Packets with ICMP errors are no longer: RFC 1812, 4.3.2.3; RFC 4443, 2.4.
	maxError4 = 576
	maxError6 = 1280
)

// packet is what an answer needs to know of a rejected packet.
type packet struct {
	link     []byte // Ethernet header with its tags
	ip       []byte // the packet, without padding
	src, dst []byte // addresses
	proto    uint8
	payload  []byte // what follows the headers of IP
	v6       bool
}

// Answer gives the frame that tells the sender of a frame that it was rejected, from the address that it was for. It is nil if there is nothing to say.
func Answer(frame []byte) []byte {
	p, ok := decode(frame)
	if !ok {
		return nil
	}
	if p.proto == protoTCP {
		return p.reset()
	}
	return p.prohibited()
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
	p.ip, p.src, p.dst, p.proto, p.payload = b[:total], b[12:16], b[16:20], b[9], b[head:total]
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
	return p.answer(protoTCP, answer, 16, true)
}

// prohibited gives an ICMP error with as much of the packet as there is room for.
func (p *packet) prohibited() []byte {
	if p.v6 {
		// Types below 128 are errors; 137 is a redirect.
		if p.proto == protoICMPv6 && (len(p.payload) < 1 || p.payload[0] < 128 || p.payload[0] == 137) {
			return nil
		}
		about := p.ip[:min(len(p.ip), maxError6-ipv6Len-icmpLen)]
		return p.answer(protoICMPv6, append([]byte{1, 1, 0, 0, 0, 0, 0, 0}, about...), 2, true)
	}
	if p.proto == protoICMP {
		if len(p.payload) < 1 {
			return nil
		}
		switch p.payload[0] {
		case 3, 4, 5, 11, 12: // unreachable, quench, redirect, time exceeded, parameter problem
			return nil
		}
	}
	about := p.ip[:min(len(p.ip), maxError4-ipv4Len-icmpLen)]
	return p.answer(protoICMP, append([]byte{3, 13, 0, 0, 0, 0, 0, 0}, about...), 2, false)
}

// answer gives the frame back to the sender that carries payload, whose checksum is at that place, with or without the pseudo header.
func (p *packet) answer(proto uint8, payload []byte, sumAt int, pseudo bool) []byte {
	s := uint64(0)
	if pseudo {
		s = sum(sum(uint64(proto)+uint64(len(payload)), p.src), p.dst)
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
		b = append(b, p.dst...)
		b = append(b, p.src...)
		return append(b, payload...)
	}
	ip := make([]byte, ipv4Len)
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+len(payload)))
	ip[6] = 0x40 // not to be fragmented
	ip[8], ip[9] = ttl, proto
	copy(ip[12:], p.dst)
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

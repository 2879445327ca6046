package oracle

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// sum is a checksum field (RFC 1071) of a frame. What it covers is changed by set, which updates it by the difference (RFC 1624): a wrong
// checksum stays wrong.
type sum struct {
	at   int
	udp  bool  // 0 says that there is none, and is written as 0xffff
	over []sum // checksums that cover this one
}

func (s sum) update(frame []byte, was, is uint16) {
	old := binary.BigEndian.Uint16(frame[s.at:])
	if s.udp && old == 0 {
		return
	}
	n := uint32(^old) + uint32(^was) + uint32(is)
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	sum := ^uint16(n)
	if s.udp && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(frame[s.at:], sum)
	for _, o := range s.over {
		o.update(frame, old, sum)
	}
}

// set writes 16-bit words, which start at an even offset of what the checksums cover.
func set(frame []byte, at int, value []byte, sums ...sum) {
	for i := 0; i+1 < len(value); i += 2 {
		was, is := binary.BigEndian.Uint16(frame[at+i:]), binary.BigEndian.Uint16(value[i:])
		binary.BigEndian.PutUint16(frame[at+i:], is)
		for _, s := range sums {
			s.update(frame, was, is)
		}
	}
}

func set16(frame []byte, at int, value uint16, sums ...sum) {
	set(frame, at, []byte{byte(value >> 8), byte(value)}, sums...)
}

// own gives the packet a frame of its own, so that writing changes nobody else's.
func (p *packet) own() { p.frame = slices.Clone(p.frame) }

// headerSums gives the checksum of the IP header, which IPv6 has none of.
func (p *packet) headerSums(over []sum) []sum {
	if p.ether == etherIPv4 {
		return []sum{{at: p.l3 + 10, over: over}}
	}
	return nil
}

// transportSums gives the checksum of the transport header, if the packet has all of that.
func (p *packet) transportSums(over []sum) []sum {
	if p.later || p.l4 == 0 {
		return nil
	}
	at, udp := 0, false
	switch {
	case p.proto == protoTCP:
		at = 16
	case p.proto == protoUDP:
		at, udp = 6, true
	case p.proto == protoICMPv6 && p.ether == etherIPv6, p.proto == protoICMP && p.ether == etherIPv4:
		at = 2
	default:
		return nil
	}
	if p.end < p.l4+at+2 {
		return nil
	}
	return []sum{{at: p.l4 + at, udp: udp, over: over}}
}

// addressSums gives the checksums that cover the addresses: the transport's, with its pseudo header, as well. ICMP in IPv4 has none.
func (p *packet) addressSums(over []sum) []sum {
	sums := p.headerSums(over)
	if p.proto != protoICMP {
		sums = append(sums, p.transportSums(over)...)
	}
	return sums
}

// setMACs writes the Ethernet addresses.
func (p *packet) setMACs(dst, src model.MAC) {
	copy(p.frame, dst[:])
	copy(p.frame[6:], src[:])
	p.dst, p.src = dst, src
}

// setFrom writes the source address; over are the checksums that cover the whole packet.
func (p *packet) setFrom(a netip.Addr, over ...sum) {
	p.from = a
	p.setAddress(a, 12, 8, over)
}

// setTo writes the destination address.
func (p *packet) setTo(a netip.Addr, over ...sum) {
	p.to = a
	p.setAddress(a, 16, 24, over)
}

func (p *packet) setAddress(a netip.Addr, at4, at6 int, over []sum) {
	at := p.l3 + at6
	if p.ether == etherIPv4 {
		at = p.l3 + at4
	}
	set(p.frame, at, a.AsSlice(), append(p.addressSums(over), over...)...)
}

// setFromPort writes the source port, or the id of an echo; setToPort the destination port, or the id.
func (p *packet) setFromPort(n uint16, over ...sum) { p.setPort(n, 0, over) }
func (p *packet) setToPort(n uint16, over ...sum)   { p.setPort(n, 2, over) }

func (p *packet) setPort(n uint16, at int, over []sum) {
	says := &p.transport
	if p.fragment {
		says = &p.first
	}
	switch request, answer := says.isEcho(p.proto); {
	case request || answer:
		at, says.icmp.id = 4, n
	case !says.hasPorts:
		return
	case at == 0:
		says.fromPort = n
	default:
		says.toPort = n
	}
	switch {
	case p.proto != protoSCTP:
		set16(p.frame, p.l4+at, n, append(p.transportSums(over), over...)...)
	case len(over) == 0: // not in an ICMP error
		was := p.sctpSum()
		set16(p.frame, p.l4+at, n)
		sum := p.frame[p.l4+8 : p.l4+12]
		binary.LittleEndian.PutUint32(sum, binary.LittleEndian.Uint32(sum)^was^p.sctpSum()) // what was right or wrong stays so
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sctpSum gives the checksum that the SCTP packet must have (RFC 9260, section 6.8).
func (p *packet) sctpSum() uint32 {
	b := slices.Clone(p.frame[p.l4:p.end]) // 12 bytes at least, or it had no ports
	clear(b[8:12])
	return crc32.Checksum(b, castagnoli)
}

// setTTL writes the TTL or hop limit.
func (p *packet) setTTL(ttl uint8) {
	p.ttl = ttl
	at := p.l3 + 6 // of IPv6: next header, hop limit
	word := []byte{p.frame[at], ttl}
	if p.ether == etherIPv4 {
		at = p.l3 + 8 // TTL, protocol
		word = []byte{ttl, p.frame[at+1]}
	}
	set(p.frame, at, word, p.headerSums(nil)...)
}

// setDSCP writes the code point (RFC 2474) and leaves the two bits of ECN.
func (p *packet) setDSCP(dscp uint16) {
	word := binary.BigEndian.Uint16(p.frame[p.l3:])
	if p.ether == etherIPv4 {
		word = word&0xff03 | dscp<<2
	} else {
		word = word&0xf03f | dscp<<6
	}
	set16(p.frame, p.l3, word, p.headerSums(nil)...)
}

// setICMPType writes the type.
func (p *packet) setICMPType(kind uint8) {
	p.icmp.kind = kind
	set16(p.frame, p.l4, uint16(kind)<<8|uint16(p.icmp.code), p.transportSums(nil)...)
}

// tag gives the frame with a VLAN tag, untag without its outer one.
func tag(frame []byte, vlan uint16) []byte {
	return slices.Concat(frame[:12], []byte{etherVLAN >> 8, etherVLAN & 0xff, byte(vlan >> 8), byte(vlan)}, frame[12:])
}

func untag(frame []byte) []byte { return slices.Concat(frame[:12], frame[16:]) }

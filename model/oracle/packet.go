package oracle

import (
	"encoding/binary"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// EtherTypes, IP protocols, and the few numbers that the rules name.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherIPv6 = 0x86dd

	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132

	arpRequest = 1
	arpReply   = 2

	dhcpClient = 68
	dhcpServer = 67

	dhcp6Client = 546
	dhcp6Server = 547
	dnsServer   = 53
)

var (
	zero4 = netip.IPv4Unspecified()
	zero6 = netip.IPv6Unspecified()
)

// packet is a frame with what its headers say. A header that does not parse (short, or lying about lengths) says nothing: its fields are zero,
// and those of the headers before it stand, as in Open vSwitch. Of fragments, the first too, ports and ICMP type are not known.
type packet struct {
	frame    []byte
	dst, src model.MAC
	tagged   bool
	vlan     uint16 // VLAN id of the outer tag
	ether    uint16 // of the payload behind one tag
	l3       int    // offset of the payload

	arp arp // if ether is ARP

	// Of IPv4 and IPv6; unspecified addresses if the header does not parse.
	parsed   bool
	from, to netip.Addr
	proto    uint8 // 0 if the headers before the transport's do not parse
	ttl      uint8
	l4, end  int    // where the transport header and the packet end; 0 without proto
	fragment bool   // any, the first one too
	later    bool   // not the first
	id       uint32 // of the packet that it is a fragment of
	transport
	first transport // of the first fragment: what it would say if it were the whole packet

	begun   *iface // the pinned leg that it came in by, in a conversation that began this way
	through *iface // the pinned leg that it came in by untranslated, or as an ICMP error about a conversation that began this way
}

// transport is what the transport header says.
type transport struct {
	hasPorts         bool // TCP, UDP, SCTP
	fromPort, toPort uint16
	syn              bool // TCP with SYN and without ACK: a beginning
	synAck           bool // TCP with SYN and ACK: the answer to a beginning
	ack              bool // TCP with ACK
	icmp             icmp // ICMP in IPv4, ICMPv6 in IPv6
}

type arp struct {
	op       uint16
	sender   model.MAC // hardware address
	from, to netip.Addr
}

// isIP reports whether the frame calls itself IPv4 or IPv6.
func (p *packet) isIP() bool { return p.ether == etherIPv4 || p.ether == etherIPv6 }

func (p *packet) isARP() bool { return p.ether == etherARP }

// isUDP reports whether it is UDP over IPv4 of these ports.
func (p *packet) isUDP4(from, to uint16) bool {
	return p.ether == etherIPv4 && p.proto == protoUDP && p.hasPorts && p.fromPort == from && p.toPort == to
}

// isUDP6 is isUDP4 over IPv6.
func (p *packet) isUDP6(from, to uint16) bool {
	return p.ether == etherIPv6 && p.proto == protoUDP && p.hasPorts && p.fromPort == from && p.toPort == to
}

// isDNS reports whether it is a question for a name, or of a connection for such.
func (p *packet) isDNS() bool {
	return p.isIP() && (p.proto == protoUDP || p.proto == protoTCP) && p.hasPorts && p.toPort == dnsServer
}

// parse reads a frame, which it keeps. A frame that is too short for Ethernet has zero addresses and no EtherType.
func parse(frame []byte) packet {
	p := packet{frame: frame}
	if len(frame) < 14 {
		return p
	}
	p.dst, p.src = model.MAC(frame[0:6]), model.MAC(frame[6:12])
	at := 12
	p.ether = binary.BigEndian.Uint16(frame[at:])
	if (p.ether == etherVLAN || p.ether == etherQinQ) && len(frame) >= 18 {
		p.tagged, p.vlan = true, binary.BigEndian.Uint16(frame[14:])&0xfff
		at = 16
		p.ether = binary.BigEndian.Uint16(frame[at:])
	}
	p.l3 = at + 2
	if p.ether < 0x600 { // a length: IEEE 802.2, of which SNAP carries EtherTypes
		p.ether = 0
		snap := frame[p.l3:]
		if len(snap) >= 8 && [6]byte(snap) == [6]byte{0xaa, 0xaa, 3} && binary.BigEndian.Uint16(snap[6:]) >= 0x600 {
			p.ether, p.l3 = binary.BigEndian.Uint16(snap[6:]), p.l3+8
		}
	}
	switch p.ether {
	case etherARP:
		p.parseARP()
	case etherIPv4:
		p.parseIPv4(whole)
	case etherIPv6:
		p.parseIPv6(whole)
	}
	return p
}

func (p *packet) parseARP() {
	p.arp.from, p.arp.to = zero4, zero4
	b := p.frame[p.l3:]
	if len(b) < 28 || [6]byte(b) != [6]byte{0, 1, 8, 0, 6, 4} { // Ethernet and IPv4
		return
	}
	p.arp.op = binary.BigEndian.Uint16(b[6:])
	p.arp.sender, p.arp.from = model.MAC(b[8:14]), netip.AddrFrom4([4]byte(b[14:18]))
	p.arp.to = netip.AddrFrom4([4]byte(b[24:28]))
}

// extent says whether all of a packet is there.
type extent bool

const (
	whole extent = true
	cut   extent = false // the beginning, in an ICMP error
)

func (p *packet) parseIPv4(e extent) {
	p.from, p.to = zero4, zero4
	b := p.frame[p.l3:]
	if len(b) < 20 {
		return
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || header > len(b) || header > total || total > len(b) && e == whole {
		return
	}
	p.parsed = true
	p.from, p.to = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.ttl, p.proto = b[8], b[9]
	fragment := binary.BigEndian.Uint16(b[6:])
	p.fragment, p.later = fragment&0x3fff != 0, fragment&0x1fff != 0
	p.id = uint32(binary.BigEndian.Uint16(b[4:]))
	p.l4, p.end = p.l3+header, p.l3+min(total, len(b))
	p.parseTransport(e)
}

func (p *packet) parseIPv6(e extent) {
	p.from, p.to = zero6, zero6
	b := p.frame[p.l3:]
	if len(b) < 40 {
		return
	}
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) && e == whole {
		return
	}
	p.parsed = true
	p.from, p.to = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	p.ttl = b[7]
	b = b[:min(total, len(b))]
	next, at := b[6], 40
	for { // extension headers (RFC 8200, section 4)
		size := 0
		switch next {
		case 0, 43, 60, 51, 44: // hop by hop, routing, destination, authentication, fragment
			if len(b) < at+8 {
				return
			}
			switch next {
			case 51:
				size = (int(b[at+1]) + 2) * 4
			case 44:
				size = 8
				if offset := binary.BigEndian.Uint16(b[at+2:]); offset&0xfff9 != 0 {
					p.fragment, p.later = true, offset&0xfff8 != 0
					p.id = binary.BigEndian.Uint32(b[at+4:])
				}
			default:
				size = (int(b[at+1]) + 1) * 8
			}
			if len(b) < at+size {
				return
			}
		}
		if size == 0 || p.later {
			break
		}
		next, at = b[at], at+size
	}
	if p.later { // the loop has stopped at the fragment header
		next, at = b[at], at+8
	}
	p.proto, p.l4, p.end = next, p.l3+at, p.l3+len(b)
	p.parseTransport(e)
}

func (p *packet) parseTransport(e extent) {
	if p.later {
		return
	}
	tcp, sctp := 20, 12
	if e == cut {
		sctp = 8 // what an ICMP error tells at least (RFC 792); of IPv6 it is more than any header (RFC 4443, section 2.4)
		if p.ether == etherIPv4 {
			tcp = 8
		}
	}
	b := p.frame[p.l4:p.end]
	switch {
	case p.proto == protoTCP && len(b) >= tcp, p.proto == protoUDP && len(b) >= 8, p.proto == protoSCTP && len(b) >= sctp:
		p.hasPorts, p.fromPort, p.toPort = true, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		p.syn = p.proto == protoTCP && len(b) > 13 && b[13]&0x12 == 0x02
		p.synAck = p.proto == protoTCP && len(b) > 13 && b[13]&0x12 == 0x12
		p.ack = p.proto == protoTCP && len(b) > 13 && b[13]&0x10 == 0x10
	case p.proto == protoICMP && p.ether == etherIPv4 && len(b) >= 8, p.proto == protoICMPv6 && p.ether == etherIPv6 && len(b) >= 8:
		p.parseICMP(b)
	}
	if p.fragment {
		p.first, p.transport = p.transport, transport{}
	}
}

package frame

import (
	"encoding/binary"
	"net/netip"
)

// IPv6 is an IPv6 header (RFC 8200) without extension headers, which services do not look behind.
type IPv6 struct {
	HopLimit uint8
	Protocol uint8      // next header
	Src, Dst netip.Addr // both IPv6
}

// DecodeIPv6 reads the header and gives the payload, cut to its length: what follows is Ethernet's padding.
func DecodeIPv6(b []byte) (IPv6, []byte, Reason) {
	if len(b) < ipv6Len || b[0]>>4 != 6 {
		return IPv6{}, nil, IPv6Header
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n > len(b)-ipv6Len {
		return IPv6{}, nil, IPv6Length
	}
	return IPv6{
		HopLimit: b[7],
		Protocol: b[6],
		Src:      netip.AddrFrom16([16]byte(b[8:24])),
		Dst:      netip.AddrFrom16([16]byte(b[24:40])),
	}, b[ipv6Len : ipv6Len+n], OK
}

// Append adds the header of a packet with payloadLen bytes, at most 65535, after it.
func (h IPv6) Append(b []byte, payloadLen int) []byte {
	b = append(b, 6<<4, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(payloadLen))
	b = append(b, h.Protocol, h.HopLimit)
	src, dst := h.Src.As16(), h.Dst.As16()
	return append(append(b, src[:]...), dst[:]...)
}

// Datagram6 is a UDP datagram over IPv6 over Ethernet.
type Datagram6 struct {
	Ethernet Ethernet
	IP       IPv6
	UDP      UDP
	Payload  []byte
}

// DecodeDatagram6 takes a whole frame apart. The payload is a slice of b.
func DecodeDatagram6(b []byte) (Datagram6, Reason) {
	eth, ip, rest, reason := decode6(b)
	if reason != OK {
		return Datagram6{}, reason
	}
	if ip.Protocol != ProtocolUDP {
		return Datagram6{}, NotUDP
	}
	udp, payload, reason := DecodeUDP(rest, ip.Src, ip.Dst)
	if reason != OK {
		return Datagram6{}, reason
	}
	return Datagram6{eth, ip, udp, payload}, OK
}

// Encode builds the frame, as that of [Datagram] does.
func (d Datagram6) Encode() []byte {
	d.Ethernet.Type, d.IP.Protocol = TypeIPv6, ProtocolUDP
	b := d.Ethernet.Append(make([]byte, 0, ethernetLen+vlanLen+ipv6Len+udpLen+len(d.Payload)))
	b = d.IP.Append(b, udpLen+len(d.Payload))
	return d.UDP.Append(b, d.IP.Src, d.IP.Dst, d.Payload)
}

// ICMPv6 is a message of ICMPv6 (RFC 4443) over Ethernet.
type ICMPv6 struct {
	Ethernet Ethernet
	IP       IPv6
	Type     uint8
	Code     uint8
	Body     []byte // what comes behind the checksum
}

const icmpv6Len = 4

// DecodeICMPv6 takes a whole frame apart. The body is a slice of b.
func DecodeICMPv6(b []byte) (ICMPv6, Reason) {
	eth, ip, m, reason := decode6(b)
	switch {
	case reason != OK:
		return ICMPv6{}, reason
	case ip.Protocol != protocolICMPv6:
		return ICMPv6{}, NotICMPv6
	case len(m) < icmpv6Len:
		return ICMPv6{}, ICMPv6Short
	case fold(sum(pseudoSum(ip.Src, ip.Dst, protocolICMPv6, len(m)), m)) != 0xffff:
		return ICMPv6{}, ICMPv6Checksum
	}
	return ICMPv6{eth, ip, m[0], m[1], m[icmpv6Len:]}, OK
}

// Encode builds the frame, with lengths and checksum. EtherType and next header are those of ICMPv6, whatever m says.
func (m ICMPv6) Encode() []byte {
	m.Ethernet.Type, m.IP.Protocol = TypeIPv6, protocolICMPv6
	n := icmpv6Len + len(m.Body)
	b := m.Ethernet.Append(make([]byte, 0, ethernetLen+vlanLen+ipv6Len+n))
	b = m.IP.Append(b, n)
	at := len(b)
	b = append(append(b, m.Type, m.Code, 0, 0), m.Body...)
	binary.BigEndian.PutUint16(b[at+2:], ^fold(sum(pseudoSum(m.IP.Src, m.IP.Dst, protocolICMPv6, n), b[at:])))
	return b
}

// decode6 takes what is below the transport apart.
func decode6(b []byte) (Ethernet, IPv6, []byte, Reason) {
	eth, rest, reason := DecodeEthernet(b)
	if reason != OK {
		return Ethernet{}, IPv6{}, nil, reason
	}
	if eth.Type != TypeIPv6 {
		return Ethernet{}, IPv6{}, nil, NotIPv6
	}
	ip, rest, reason := DecodeIPv6(rest)
	if reason != OK {
		return Ethernet{}, IPv6{}, nil, reason
	}
	return eth, ip, rest, OK
}

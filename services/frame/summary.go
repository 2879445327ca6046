package frame

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Summary is what a line of a log says of an IP packet.
type Summary struct {
	Protocol         uint8
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16 // of TCP, UDP and SCTP
	Type, Code       uint8  // of ICMP
	Ports            bool   // ports, or type and code, are there: not so in fragments but the first, and in other protocols
}

const (
	protocolICMP = 1
	protocolTCP  = 6
	protocolSCTP = 132

	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extOptions  = 60
	// maxExtensions is as many extension headers as are skipped.
	maxExtensions = 8
)

// Summarize reads as much of a frame as a log needs, which may be cut. Checksums and lengths are not looked at.
func Summarize(b []byte) (Summary, Reason) {
	eth, b, reason := DecodeEthernet(b)
	if reason != OK {
		return Summary{}, reason
	}
	var s Summary
	var first bool // or the only fragment
	switch eth.Type {
	case TypeIPv4:
		if len(b) < ipv4Len {
			return s, IPv4Short
		}
		header := int(b[0]&15) * 4
		if b[0]>>4 != 4 {
			return s, IPv4Version
		}
		if header < ipv4Len || header > len(b) {
			return s, IPv4HeaderLength
		}
		s = Summary{Protocol: b[9], Src: netip.AddrFrom4([4]byte(b[12:16])), Dst: netip.AddrFrom4([4]byte(b[16:20]))}
		first = binary.BigEndian.Uint16(b[6:])&0x1fff == 0
		b = b[header:]
	case TypeIPv6:
		if len(b) < ipv6Len || b[0]>>4 != 6 {
			return s, IPv6Header
		}
		s = Summary{Protocol: b[6], Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40]))}
		s.Protocol, b, first = skipExtensions(b[6], b[ipv6Len:])
	default:
		return s, NotIP
	}
	switch s.Protocol {
	case protocolTCP, ProtocolUDP, protocolSCTP:
		if s.Ports = first && len(b) >= 4; s.Ports {
			s.SrcPort, s.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		}
	case protocolICMP, protocolICMPv6:
		if s.Ports = first && len(b) >= 2; s.Ports {
			s.Type, s.Code = b[0], b[1]
		}
	}
	return s, OK
}

// skipExtensions gives the protocol behind the extension headers of an IPv6 packet, with what follows, and whether that is the beginning of it.
func skipExtensions(next uint8, b []byte) (protocol uint8, rest []byte, first bool) {
	for range maxExtensions {
		size := 8
		switch next {
		case extHopByHop, extRouting, extOptions:
			if len(b) >= 2 {
				size += int(b[1]) * 8
			}
		case extFragment:
			if len(b) >= 4 && binary.BigEndian.Uint16(b[2:])&0xfff8 != 0 {
				return b[0], nil, false
			}
		default:
			return next, b, true
		}
		if len(b) < size {
			return next, nil, false
		}
		next, b = b[0], b[size:]
	}
	return next, nil, false
}

// ProtocolName gives the protocol as rules name it, or its number.
func (s Summary) ProtocolName() string {
	switch s.Protocol {
	case protocolTCP:
		return "tcp"
	case ProtocolUDP:
		return "udp"
	case protocolSCTP:
		return "sctp"
	case protocolICMP, protocolICMPv6:
		return "icmp"
	}
	return fmt.Sprint(s.Protocol)
}

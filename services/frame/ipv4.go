package frame

import (
	"encoding/binary"
	"net/netip"
)

// ProtocolUDP is the IP protocol number of UDP.
const ProtocolUDP = 17

const (
	ipv4Len          = 20
	ipv4DontFragment = 0x4000
	ipv4Reserved     = 0x8000
)

// IPv4 is an IPv4 header (RFC 791) without its options.
type IPv4 struct {
	TOS          uint8
	ID           uint16
	DontFragment bool
	TTL          uint8
	Protocol     uint8
	Src, Dst     netip.Addr // both IPv4
}

// DecodeIPv4 reads the header, skips its options and gives the payload, cut to the total length: what follows is
// Ethernet's padding. The header checksum is verified and fragments are refused.
func DecodeIPv4(b []byte) (IPv4, []byte, Reason) {
	if len(b) < ipv4Len {
		return IPv4{}, nil, IPv4Short
	}
	if b[0]>>4 != 4 {
		return IPv4{}, nil, IPv4Version
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4Len || header > len(b) {
		return IPv4{}, nil, IPv4HeaderLength
	}
	if total < header || total > len(b) {
		return IPv4{}, nil, IPv4TotalLength
	}
	if fold(sum(0, b[:header])) != 0xffff {
		return IPv4{}, nil, IPv4Checksum
	}
	// What is left beside the two known flags is "more fragments" and the offset.
	fragment := binary.BigEndian.Uint16(b[6:])
	if fragment&^(ipv4DontFragment|ipv4Reserved) != 0 {
		return IPv4{}, nil, IPv4Fragment
	}
	return IPv4{
		TOS:          b[1],
		ID:           binary.BigEndian.Uint16(b[4:]),
		DontFragment: fragment&ipv4DontFragment != 0,
		TTL:          b[8],
		Protocol:     b[9],
		Src:          netip.AddrFrom4([4]byte(b[12:16])),
		Dst:          netip.AddrFrom4([4]byte(b[16:20])),
	}, b[header:total], OK
}

// Append adds the header of a packet with payloadLen bytes, at most 65515, after it, with its checksum and no options.
func (h IPv4) Append(b []byte, payloadLen int) []byte {
	var fragment uint16
	if h.DontFragment {
		fragment = ipv4DontFragment
	}
	start := len(b)
	b = append(b, 4<<4|ipv4Len/4, h.TOS)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4Len+payloadLen))
	b = binary.BigEndian.AppendUint16(b, h.ID)
	b = binary.BigEndian.AppendUint16(b, fragment)
	b = append(b, h.TTL, h.Protocol, 0, 0)
	src, dst := h.Src.As4(), h.Dst.As4()
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	binary.BigEndian.PutUint16(b[start+10:], ^fold(sum(0, b[start:])))
	return b
}

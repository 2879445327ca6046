package frame

import (
	"encoding/binary"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

const (
	ipv6Len        = 40
	protocolICMPv6 = 58
	ndLen          = 24
	ndHopLimit     = 255

	ndSolicitation  = 135
	ndAdvertisement = 136
	ndSourceLink    = 1
	ndTargetLink    = 2
)

// ND is a neighbour solicitation or advertisement (RFC 4861, sections 4.3 and 4.4).
type ND struct {
	Advertisement bool
	Src, Dst      netip.Addr
	Flags         uint32 // of an advertisement: router, solicited, override in the highest three bits
	Target        netip.Addr
	Link          model.MAC // of the option with the sender's or target's link-layer address; zero without one
}

// DecodeND reads a frame with a neighbour solicitation or advertisement, in an IPv6 packet without extension headers.
func DecodeND(b []byte) (Ethernet, ND, Reason) {
	refuse := func(r Reason) (Ethernet, ND, Reason) { return Ethernet{}, ND{}, r }
	eth, b, reason := DecodeEthernet(b)
	switch {
	case reason != OK:
		return refuse(reason)
	case eth.Type != TypeIPv6:
		return refuse(NotND)
	case len(b) < ipv6Len:
		return refuse(NDShort)
	case b[0]>>4 != 6 || b[6] != protocolICMPv6:
		return refuse(NotND)
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	m := ND{Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40]))}
	hops := b[7]
	if b = b[ipv6Len:]; n > len(b) || n < ndLen {
		return refuse(NDShort)
	}
	b = b[:n]
	switch {
	case b[0] != ndSolicitation && b[0] != ndAdvertisement || b[1] != 0:
		return refuse(NotND)
	case hops != ndHopLimit:
		return refuse(NDHopLimit)
	case fold(sum(pseudoSum(m.Src, m.Dst, protocolICMPv6, n), b)) != 0xffff:
		return refuse(NDChecksum)
	}
	m.Advertisement, m.Flags, m.Target = b[0] == ndAdvertisement, binary.BigEndian.Uint32(b[4:]), netip.AddrFrom16([16]byte(b[8:24]))
	for b = b[ndLen:]; len(b) > 0; {
		size := 0
		if len(b) >= 2 {
			size = int(b[1]) * 8
		}
		if size == 0 || size > len(b) {
			return refuse(NDOption)
		}
		if b[0] == m.option() && size == 8 {
			m.Link = model.MAC(b[2:8])
		}
		b = b[size:]
	}
	return eth, m, OK
}

// option gives the type of the option with the link-layer address.
func (m ND) option() uint8 {
	if m.Advertisement {
		return ndTargetLink
	}
	return ndSourceLink
}

// Encode builds the frame, with the option if Link is not zero.
func (m ND) Encode(eth Ethernet) []byte {
	eth.Type = TypeIPv6
	n := ndLen
	if m.Link != (model.MAC{}) {
		n += 8
	}
	b := eth.Append(make([]byte, 0, ethernetLen+vlanLen+ipv6Len+n))
	b = append(b, 0x60, 0, 0, 0, byte(n>>8), byte(n), protocolICMPv6, ndHopLimit)
	b = append(append(b, m.Src.AsSlice()...), m.Dst.AsSlice()...)
	at := len(b)
	t := uint8(ndSolicitation)
	if m.Advertisement {
		t = ndAdvertisement
	}
	b = append(b, t, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, m.Flags)
	b = append(b, m.Target.AsSlice()...)
	if m.Link != (model.MAC{}) {
		b = append(append(b, m.option(), 1), m.Link[:]...)
	}
	binary.BigEndian.PutUint16(b[at+2:], ^fold(sum(pseudoSum(m.Src, m.Dst, protocolICMPv6, n), b[at:])))
	return b
}

// SolicitedNode gives the multicast address on which the holder of an address listens for solicitations, and its MAC address (RFC 4291, section 2.7.1; RFC 2464, section 7).
func SolicitedNode(a netip.Addr) (netip.Addr, model.MAC) {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]}), model.MAC{0x33, 0x33, 0xff, b[13], b[14], b[15]}
}

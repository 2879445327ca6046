package frame

import (
	"encoding/binary"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

const (
	typeARP = 0x0806
	arpLen  = 28
)

// Operations of ARP.
const (
	ARPRequest = 1
	ARPReply   = 2
)

// ARP is an ARP packet of IPv4 over Ethernet (RFC 826).
type ARP struct {
	Op                     uint16
	SenderMAC, TargetMAC   model.MAC
	SenderAddr, TargetAddr netip.Addr
}

// DecodeARP reads a frame with an ARP packet; what follows it is padding.
func DecodeARP(b []byte) (Ethernet, ARP, Reason) {
	eth, b, reason := DecodeEthernet(b)
	switch {
	case reason != OK:
		return Ethernet{}, ARP{}, reason
	case eth.Type != typeARP:
		return Ethernet{}, ARP{}, NotARP
	case len(b) < arpLen:
		return Ethernet{}, ARP{}, ARPShort
	case binary.BigEndian.Uint64(b)>>16 != 0x0001_0800_0604:
		return Ethernet{}, ARP{}, ARPFormat
	}
	return eth, ARP{
		Op: binary.BigEndian.Uint16(b[6:]), SenderMAC: model.MAC(b[8:14]), SenderAddr: netip.AddrFrom4([4]byte(b[14:18])),
		TargetMAC: model.MAC(b[18:24]), TargetAddr: netip.AddrFrom4([4]byte(b[24:28])),
	}, OK
}

// Encode builds the frame, padded to Ethernet's minimum.
func (a ARP) Encode(eth Ethernet) []byte {
	eth.Type = typeARP
	b := eth.Append(make([]byte, 0, 60))
	b = append(b, 0, 1, 8, 0, 6, 4)
	b = binary.BigEndian.AppendUint16(b, a.Op)
	b = append(append(b, a.SenderMAC[:]...), a.SenderAddr.AsSlice()...)
	b = append(append(b, a.TargetMAC[:]...), a.TargetAddr.AsSlice()...)
	return append(b, make([]byte, max(0, 60-len(b)))...)
}

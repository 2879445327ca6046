package frame

import (
	"encoding/binary"

	"github.com/openvnet/openvnet/model"
)

// EtherTypes (IEEE 802 numbers).
const (
	TypeIPv4 = 0x0800
	TypeIPv6 = 0x86dd
	typeVLAN = 0x8100 // the C-tag of IEEE 802.1Q

	typeLowest = 0x0600 // below it the field is a length (IEEE 802.3, 3.2.6)
)

const (
	ethernetLen = 14
	vlanLen     = 4
)

// Broadcast is the MAC address of all stations.
func Broadcast() model.MAC { return model.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// Ethernet is an Ethernet II header with at most one IEEE 802.1Q tag.
type Ethernet struct {
	Dst, Src model.MAC
	Tagged   bool
	TCI      uint16 // priority, drop eligibility and VLAN id; 0 unless Tagged
	Type     uint16 // EtherType of the payload, after the tag
}

// DecodeEthernet reads the header and gives what follows it, padding included. Of several tags only the first is taken;
// the second shows as Type.
func DecodeEthernet(b []byte) (Ethernet, []byte, Reason) {
	if len(b) < ethernetLen {
		return Ethernet{}, nil, EthernetShort
	}
	h := Ethernet{Dst: model.MAC(b[0:6]), Src: model.MAC(b[6:12]), Type: binary.BigEndian.Uint16(b[12:])}
	b = b[ethernetLen:]
	if h.Type == typeVLAN {
		if len(b) < vlanLen {
			return Ethernet{}, nil, EthernetShort
		}
		h.Tagged, h.TCI, h.Type = true, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		b = b[vlanLen:]
	}
	if h.Type < typeLowest {
		return Ethernet{}, nil, EthernetType
	}
	return h, b, OK
}

// Append adds the header's bytes to b.
func (h Ethernet) Append(b []byte) []byte {
	b = append(b, h.Dst[:]...)
	b = append(b, h.Src[:]...)
	if h.Tagged {
		b = binary.BigEndian.AppendUint16(b, typeVLAN)
		b = binary.BigEndian.AppendUint16(b, h.TCI)
	}
	return binary.BigEndian.AppendUint16(b, h.Type)
}

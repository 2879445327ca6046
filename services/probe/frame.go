package probe

import (
	"encoding/binary"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

// The phases of a probe.
const (
	small uint8 = iota
	large
)

const (
	etherType = 0x88b5      // for local experiments (IEEE 802): no station of a network takes it for its own
	magic     = 0x766e_7062 // that the frame is a probe
	header    = 14 + 4 + 4 + 4 + 1 + 1 + 8

	// smallest is the size of a small frame, Ethernet's minimum.
	smallest = 60
	// Captured is how many bytes of a frame Heard needs.
	Captured = smallest
)

// message is what a probe says. It comes back as it was sent.
type message struct {
	from, to      uint32 // datapath ids
	tunnel, phase uint8
	nonce         uint64
}

// encode gives the frame, padded to that size.
func (m message) encode(size int) []byte {
	eth := frame.Ethernet{Src: model.MAC{2, 'v', 'n', 'p', 'b', 1}, Dst: model.MAC{2, 'v', 'n', 'p', 'b', 2}, Type: etherType}
	b := eth.Append(make([]byte, 0, size))
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint32(b, m.from)
	b = binary.BigEndian.AppendUint32(b, m.to)
	b = append(b, m.tunnel, m.phase)
	b = binary.BigEndian.AppendUint64(b, m.nonce)
	return append(b, make([]byte, size-len(b))...)
}

func decode(b []byte) (message, bool) {
	if len(b) < header || binary.BigEndian.Uint16(b[12:]) != etherType || binary.BigEndian.Uint32(b[14:]) != magic {
		return message{}, false
	}
	return message{binary.BigEndian.Uint32(b[18:]), binary.BigEndian.Uint32(b[22:]), b[26], b[27], binary.BigEndian.Uint64(b[28:])}, true
}

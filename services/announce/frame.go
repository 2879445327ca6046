package announce

import (
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

const (
	typeRARP = 0x8035
	smallest = 60 // Ethernet's minimum
)

// Frame gives the frame that announces an address: the question of RARP (RFC 903) that hypervisors send for a guest that has moved, and Open vSwitch for what is behind a
// bond. Nobody answers it. It goes to a group address of its own instead of to everybody: switches learn from it all the same, and the NICs of other devices do not take it.
func Frame(mac model.MAC) []byte {
	eth := frame.Ethernet{Src: mac, Dst: model.AnnouncementGroup(), Type: typeRARP}
	b := eth.Append(make([]byte, 0, smallest))
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 3) // Ethernet, IPv4, lengths, request reverse
	for range 2 {                         // sender and target, without addresses
		b = append(append(b, mac[:]...), 0, 0, 0, 0)
	}
	return append(b, make([]byte, smallest-len(b))...)
}

// Package ra is the simulated router advertisement of virtual networks (RFC 4861, section 6.2): what a network says of itself as the frames that
// carry it, the answer to a solicitation, and when each guest is told without having asked. There is one router for each guest, on its own host: no other
// advertises, so nothing waits for others, and what is for all nodes goes to the one that asked.
//
// It knows no flow, no socket and no clock: the agent feeds it packet-ins and the time, and the tests run it alone on a raw socket.
package ra

import (
	"encoding/binary"
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

// Types of messages and of options.
const (
	typeSolicitation  = 133
	typeAdvertisement = 134

	optSourceLink = 1
	optPrefix     = 3
	optMTU        = 5
	optRoute      = 24 // RFC 4191
	optRDNSS      = 25 // RFC 8106
	optDNSSL      = 31 // RFC 8106

	hopLimit = 255
)

var (
	allNodes    = netip.IPv6LinkLocalAllNodes()
	allNodesMAC = model.MAC{0x33, 0x33, 0, 0, 0, 1}
)

// Lookup gives what is advertised to a guest in the network of the interface from which the frame came, by each router.
type Lookup func(guest model.MAC) []*Advertisement

// Respond answers one frame, from the Ethernet header on, of an interface that the caller knows; the replies, one of each router, are to leave through that same interface.
// Replies come with an answering verdict, and with no other. Solicitations are validated as RFC 4861, section 6.1.1, has it. Who has an address is answered there, others at the address of all
// nodes, which the caller may have said not long ago: see [Schedule.Asked].
//
// It reads f only during the call and is safe for concurrent use if lookup is. lookup is called at most once, for a valid solicitation.
func Respond(f []byte, lookup Lookup) (replies [][]byte, verdict Verdict) {
	m, reason := frame.DecodeICMPv6(f)
	if reason != frame.OK {
		return nil, refusedFrame(reason)
	}
	if refusal := invalid(&m); refusal != 0 {
		return nil, refusal
	}
	all := lookup(m.Ethernet.Src)
	if len(all) == 0 {
		return nil, NoRouter
	}
	eth, to, verdict := m.Ethernet, m.IP.Src, ToAsker
	eth.Dst = m.Ethernet.Src
	if to.IsUnspecified() {
		eth.Dst, to, verdict = allNodesMAC, allNodes, ToAll
	}
	for _, a := range all {
		replies = append(replies, a.frame(eth, to))
	}
	return replies, verdict
}

// invalid gives the reason why a message is no valid solicitation, 0 if it is one.
func invalid(m *frame.ICMPv6) Verdict {
	switch {
	case m.Type != typeSolicitation:
		return NotSolicitation
	case m.IP.HopLimit != hopLimit:
		return BadHopLimit
	case m.Code != 0:
		return BadCode
	case len(m.Body) < 4:
		return Short
	case m.IP.Src.IsMulticast() || m.IP.Src.IsLoopback():
		return BadSource
	}
	for b := m.Body[4:]; len(b) > 0; {
		if len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return BadOption
		}
		if b[0] == optSourceLink && m.IP.Src.IsUnspecified() {
			return LinkOfNobody
		}
		b = b[int(b[1])*8:]
	}
	return 0
}

// Frame gives the advertisement to a guest that has not asked.
func (a *Advertisement) Frame() []byte {
	return a.frame(frame.Ethernet{Dst: allNodesMAC}, allNodes)
}

// frame gives the advertisement to an address; the Ethernet header says where to, and with which tag.
func (a *Advertisement) frame(eth frame.Ethernet, dst netip.Addr) []byte {
	eth.Src = a.config.Source
	return frame.ICMPv6{
		Ethernet: eth,
		IP:       frame.IPv6{HopLimit: hopLimit, Src: a.config.Source.LinkLocal(), Dst: dst},
		Type:     typeAdvertisement,
		Body:     a.body,
	}.Encode()
}

// writer appends options to a message that has to fit into a bound.
type writer struct{ b []byte }

// maxBody is what the smallest MTU of IPv6 leaves behind the headers of IPv6 and ICMPv6.
const maxBody = 1280 - 40 - 4

// option adds an option, filled up to a multiple of 8 bytes, if there is room.
func (w *writer) option(kind uint8, data []byte) {
	n := (2 + len(data) + 7) / 8
	if len(w.b)+8*n > maxBody {
		return
	}
	w.b = append(append(w.b, kind, uint8(n)), data...)
	for len(w.b)%8 != 4 { // the body begins in the middle of 8 bytes
		w.b = append(w.b, 0)
	}
}

func be32(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

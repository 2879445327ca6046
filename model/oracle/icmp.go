package oracle

import (
	"encoding/binary"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// The ICMPv6 types of RFC 4861, and of multicast listener discovery (RFC 2710, RFC 3810).
const (
	icmp6Query         = 130
	icmp6Report        = 131
	icmp6Done          = 132
	icmp6RouterSolicit = 133
	icmp6RouterAdvert  = 134
	icmp6Solicit       = 135
	icmp6Advert        = 136
	icmp6Redirect      = 137
	icmp6ReportV2      = 143
)

// icmp is what ICMP and ICMPv6 say; known is false for all other packets.
type icmp struct {
	known      bool
	kind, code uint8
	id         uint16 // of echo

	// Of neighbour discovery; as if absent if the options do not parse.
	target netip.Addr
	link   model.MAC // source link-layer option of a solicitation, target link-layer option of an advertisement; zero without
	linkAt int       // offset of that option in the frame
}

func (p *packet) parseICMP(b []byte) {
	p.icmp = icmp{known: true, kind: b[0], code: b[1], id: binary.BigEndian.Uint16(b[4:])}
	if !p.isND() {
		return
	}
	p.icmp.target = zero6
	if len(b) < 24 {
		return
	}
	p.icmp.target = netip.AddrFrom16([16]byte(b[8:24]))
	want := byte(1)
	if p.icmp.kind == icmp6Advert {
		want = 2
	}
	for at := 24; len(b) >= at+8; {
		size := int(b[at+1]) * 8
		if size == 0 || len(b) < at+size {
			return
		}
		if b[at] == want && size == 8 {
			if p.icmp.linkAt != 0 { // said twice: nothing of it counts
				p.icmp.target, p.icmp.link, p.icmp.linkAt = zero6, model.MAC{}, 0
				return
			}
			p.icmp.link, p.icmp.linkAt = model.MAC(b[at+2:at+8]), p.l4+at
		}
		at += size
	}
}

// isND reports whether it is a neighbour solicitation or advertisement.
func (p *packet) isND() bool {
	return p.proto == protoICMPv6 && p.icmp.known && p.icmp.code == 0 && (p.icmp.kind == icmp6Solicit || p.icmp.kind == icmp6Advert)
}

func (p *packet) isICMP6(kinds ...uint8) bool {
	if p.proto == protoICMPv6 && p.icmp.known {
		for _, k := range kinds {
			if p.icmp.kind == k {
				return true
			}
		}
	}
	return false
}

// isEcho reports whether a packet of the protocol is an echo request, or an answer to one.
func (t *transport) isEcho(proto uint8) (request, answer bool) {
	if !t.icmp.known || t.icmp.code != 0 {
		return false, false
	}
	if proto == protoICMP {
		return t.icmp.kind == 8, t.icmp.kind == 0
	}
	return t.icmp.kind == 128, t.icmp.kind == 129
}

// isEchoRequest reports whether it is an echo request.
func (p *packet) isEchoRequest() bool {
	request, _ := p.isEcho(p.proto)
	return request
}

// embedded gives the packet that an ICMP error is about, with offsets in the same frame. It is false for all else, and for an error that is
// not addressed to the embedded packet's sender, as an error about it is.
func (p *packet) embedded() (packet, bool) {
	if !p.icmp.known {
		return packet{}, false
	}
	switch k := p.icmp.kind; {
	case p.proto == protoICMP && (k == 3 || k == 4 || k == 5 || k == 11 || k == 12): // RFC 792
	case p.proto == protoICMPv6 && k >= 1 && k <= 4: // RFC 4443
	default:
		return packet{}, false
	}
	in := packet{frame: p.frame[:p.end], ether: p.ether, l3: p.l4 + 8}
	if p.ether == etherIPv4 {
		in.parseIPv4(cut)
	} else {
		in.parseIPv6(cut)
	}
	return in, in.parsed && in.from == p.to
}

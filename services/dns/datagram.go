package dns

import (
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

const (
	port        = 53
	hopLimit    = 64
	ethernetMTU = 1500
	overhead4   = 20 + 8 // bytes of IP and UDP before an answer
	overhead6   = 40 + 8
)

// Datagram is a frame with a question over UDP.
type Datagram struct {
	Src, Dst netip.AddrPort
	MAC      model.MAC // that it was sent to
	Payload  []byte

	v4 frame.Datagram
	v6 frame.Datagram6
}

// ReadDatagram takes a frame apart. The payload is a slice of b.
func ReadDatagram(b []byte) (Datagram, Verdict) {
	var d Datagram
	v4, why := frame.DecodeDatagram(b)
	switch why {
	case frame.OK:
		d = Datagram{Src: netip.AddrPortFrom(v4.IP.Src, v4.UDP.SrcPort), Dst: netip.AddrPortFrom(v4.IP.Dst, v4.UDP.DstPort), MAC: v4.Ethernet.Dst, Payload: v4.Payload, v4: v4}
	case frame.NotIPv4:
		v6, why := frame.DecodeDatagram6(b)
		if why != frame.OK {
			return Datagram{}, refusedFrame(why)
		}
		d = Datagram{Src: netip.AddrPortFrom(v6.IP.Src, v6.UDP.SrcPort), Dst: netip.AddrPortFrom(v6.IP.Dst, v6.UDP.DstPort), MAC: v6.Ethernet.Dst, Payload: v6.Payload, v6: v6}
	default:
		return Datagram{}, refusedFrame(why)
	}
	if d.Dst.Port() != port {
		return Datagram{}, NotDNS
	}
	return d, 0
}

// Room gives how long an answer may be in a network that takes IP packets of so many bytes; 0 for those of Ethernet.
func (d *Datagram) Room(mtu int) int {
	if mtu == 0 {
		mtu = ethernetMTU
	}
	if d.Src.Addr().Is4() {
		return mtu - overhead4
	}
	return mtu - overhead6
}

// Answer gives the frame that brings an answer back to who asked.
func (d *Datagram) Answer(payload []byte) []byte {
	if d.Src.Addr().Is4() {
		a := d.v4
		a.Ethernet.Dst, a.Ethernet.Src = a.Ethernet.Src, a.Ethernet.Dst
		a.IP = frame.IPv4{TTL: hopLimit, Src: a.IP.Dst, Dst: a.IP.Src}
		a.UDP.SrcPort, a.UDP.DstPort = a.UDP.DstPort, a.UDP.SrcPort
		a.Payload = payload
		return a.Encode()
	}
	a := d.v6
	a.Ethernet.Dst, a.Ethernet.Src = a.Ethernet.Src, a.Ethernet.Dst
	a.IP = frame.IPv6{HopLimit: hopLimit, Src: a.IP.Dst, Dst: a.IP.Src}
	a.UDP.SrcPort, a.UDP.DstPort = a.UDP.DstPort, a.UDP.SrcPort
	a.Payload = payload
	return a.Encode()
}

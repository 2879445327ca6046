package verify

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

// ask draws an ARP request or a neighbour solicitation.
func (d *drawer) ask(e ends, v6 bool) ([]byte, string) {
	if !v6 {
		if !d.oneIn(4) {
			e.dstMAC = broadcast
		}
		return d.arp(e, layers.ARPRequest), "arp request"
	}
	target := e.dst
	if !target.Is6() || target.IsMulticast() {
		target = d.someForeign(true)
	}
	if d.oneIn(8) {
		if target = d.freshIn(target); d.oneIn(3) {
			target = d.freshIn(model.LinkLocals().Addr())
		}
	}
	if d.oneIn(12) {
		e.src = d.freshIn(model.LinkLocals().Addr())
	}
	b := target.As16()
	if !d.oneIn(4) {
		e.dst = netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
		e.dstMAC = groupMAC(e.dst)
	}
	var opts []byte
	switch {
	case d.oneIn(6):
		e.src = netip.IPv6Unspecified() // duplicate address detection
	case !d.oneIn(4):
		mac := e.srcMAC
		if d.oneIn(10) {
			mac = d.anyMAC()
		}
		opts = append([]byte{1, 1}, mac[:]...)
	}
	return e.nd(layers.ICMPv6TypeNeighborSolicitation, target, 0, opts), "neighbour solicitation"
}

// tell draws an ARP reply or a neighbour advertisement.
func (d *drawer) tell(e ends, v6 bool) ([]byte, string) {
	if !v6 {
		return d.arp(e, layers.ARPReply), "arp reply"
	}
	target := e.src
	if d.oneIn(4) || !target.Is6() {
		target = d.someAddr(true)
	}
	var opts []byte
	if !d.oneIn(3) {
		mac := e.srcMAC
		if d.oneIn(10) {
			mac = d.anyMAC()
		}
		opts = append([]byte{2, 1}, mac[:]...)
	}
	if d.oneIn(6) {
		e.dstMAC = model.ClaimAsker()
	}
	return e.nd(layers.ICMPv6TypeNeighborAdvertisement, target, 0x60000000, opts), "neighbour advertisement"
}

// freshIn gives an address of the same 64 bits that a guest may make and nobody has.
func (d *drawer) freshIn(a netip.Addr) netip.Addr {
	b := a.As16()
	binary.BigEndian.PutUint64(b[8:], 0xbeef_0000_0000_0000|uint64(d.r.IntN(3)))
	return netip.AddrFrom16(b)
}

func (d *drawer) arp(e ends, op uint16) []byte {
	sha := e.srcMAC
	if d.oneIn(12) {
		sha = d.anyMAC()
	}
	tha := model.MAC{}
	if op == layers.ARPReply {
		tha = e.dstMAC
	}
	return e.frame(layers.EthernetTypeARP, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
		SourceHwAddress: sha[:], SourceProtAddress: as4(e.src), DstHwAddress: tha[:], DstProtAddress: as4(e.dst),
	}, gopacket.Payload(make([]byte, 18)))
}

// nd gives a neighbour discovery message.
func (e ends) nd(t uint8, target netip.Addr, flags uint32, opts []byte) []byte {
	if !e.src.Is6() {
		e.src = netip.IPv6Unspecified()
	}
	if !e.dst.Is6() {
		e.dst = netip.MustParseAddr("ff02::1")
	}
	e.ttl = 255
	b := binary.BigEndian.AppendUint32(nil, flags)
	b = append(b, target.AsSlice()...)
	return e.ip(&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(t, 0)}, append(b, opts...))
}

func (d *drawer) routerDiscovery(e ends) []byte {
	switch {
	case d.oneIn(3):
		e.src = e.srcMAC.LinkLocal()
	case d.oneIn(4):
		e.src = netip.IPv6Unspecified()
	case !e.src.Is6():
		e.src = netip.MustParseAddr("fe80::1")
	case d.oneIn(4):
		e.src = d.freshIn(model.LinkLocals().Addr())
	}
	e.dst, e.ttl = draw(d, casts6), 255
	e.dstMAC = groupMAC(e.dst)
	t := draw(d, []uint8{133, 134, 137, 131, 132, 143})
	if t == 143 && d.oneIn(2) {
		e.src = netip.IPv6Unspecified()
	}
	return e.ip(&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(t, 0)}, make([]byte, 20))
}

func (d *drawer) dhcp(e ends) []byte {
	e.src, e.dst, e.dstMAC = netip.IPv4Unspecified(), netip.MustParseAddr("255.255.255.255"), broadcast
	sport, dport := layers.UDPPort(68), layers.UDPPort(67)
	v6 := d.oneIn(2)
	if v6 {
		sport, dport = 546, 547
	}
	if d.oneIn(4) {
		sport, dport = dport, sport
	}
	if v6 {
		e.src, e.dst = e.srcMAC.LinkLocal(), netip.MustParseAddr("ff02::1:2")
		if e.dstMAC = groupMAC(e.dst); d.oneIn(3) {
			e.src = d.someAddr(true)
		}
		if d.oneIn(8) {
			e.src = d.freshIn(model.LinkLocals().Addr())
		}
		if !e.src.Is6() {
			e.src = netip.IPv6Unspecified()
		}
		return e.ip(&layers.UDP{SrcPort: sport, DstPort: dport}, make([]byte, 60))
	}
	if d.oneIn(3) {
		if a := d.someAddr(false); a.Is4() {
			e.src = a
		}
	}
	return e.ip(&layers.UDP{SrcPort: sport, DstPort: dport}, make([]byte, 240))
}

// fragment draws a first or later fragment of a UDP datagram.
func (d *drawer) fragment(e ends, sport, dport uint16) []byte {
	if e.src.Is6() || e.dst.Is6() {
		return e.ip(&layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}, make([]byte, 8))
	}
	h := &layers.IPv4{Version: 4, IHL: 5, TTL: e.ttl, Protocol: layers.IPProtocolUDP, SrcIP: as4(e.src), DstIP: as4(e.dst), Id: uint16(d.r.IntN(3)), Flags: layers.IPv4MoreFragments}
	body := make([]byte, 24)
	binary.BigEndian.PutUint16(body, sport)
	binary.BigEndian.PutUint16(body[2:], dport)
	if d.oneIn(2) {
		h.FragOffset, h.Flags = 3, 0
	}
	return e.frame(layers.EthernetTypeIPv4, h, gopacket.Payload(body))
}

// icmpError draws an error about a packet that has arrived somewhere.
func (d *drawer) icmpError(e ends, v6 bool, about []byte) ([]byte, string) {
	p := gopacket.NewPacket(about, layers.LayerTypeEthernet, gopacket.NoCopy)
	inner := p.NetworkLayer()
	if inner == nil || (inner.LayerType() == layers.LayerTypeIPv6) != v6 || !e.src.IsValid() || e.src.Is6() != v6 || e.dst.Is6() != v6 {
		return e.ip(echo(v6, true, 1, 1), make([]byte, 8)), "echo request"
	}
	quoted := append(bytes.Clone(inner.LayerContents()), inner.LayerPayload()...)
	if d.oneIn(2) && len(quoted) > 48 {
		quoted = quoted[:48]
	}
	if v6 {
		t := draw(d, []uint8{1, 2, 3})
		return e.ip(&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(t, 0)}, append(make([]byte, 4), quoted...)), "icmp error"
	}
	t := draw(d, []uint8{3, 11})
	return e.ip(&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(t, 0)}, quoted), "icmp error"
}

// answer draws what whoever has got a frame may send back: an answer, or an error about it. The bool is false if it calls for none.
func (d *drawer) answer(got Delivery) (Step, bool) {
	p := gopacket.NewPacket(got.Frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, ok := p.LinkLayer().(*layers.Ethernet)
	if !ok {
		return Step{}, false
	}
	e := ends{ttl: 64, srcMAC: model.MAC(eth.DstMAC), dstMAC: model.MAC(eth.SrcMAC)}
	if q, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		e.vlan = q.VLANIdentifier
	}
	if e.srcMAC.IsMulticast() {
		return Step{}, false
	}
	step := func(frame []byte, note string) (Step, bool) {
		return Step{Entry{got.Datapath, got.Port}, frame, note}, true
	}
	if a, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok && a.Operation == layers.ARPRequest {
		e.src, _ = netip.AddrFromSlice(a.DstProtAddress)
		e.dst, _ = netip.AddrFromSlice(a.SourceProtAddress)
		return step(d.arp(e, layers.ARPReply), "answer: arp reply")
	}
	v6 := false
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		e.src, e.dst = addr(ip.DstIP), addr(ip.SrcIP)
	case *layers.IPv6:
		e.src, e.dst, v6 = addr(ip.DstIP), addr(ip.SrcIP), true
	default:
		return Step{}, false
	}
	if e.src.IsMulticast() || e.src == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return Step{}, false
	}
	if d.oneIn(8) {
		return step(d.icmpError(e, v6, got.Frame))
	}
	payload := gopacket.Payload(make([]byte, 12))
	switch t := p.TransportLayer().(type) {
	case *layers.TCP:
		if t.SrcPort == 0 || t.DstPort == 0 {
			return Step{}, false // cut short
		}
		back := &layers.TCP{SrcPort: t.DstPort, DstPort: t.SrcPort, Window: 8192, ACK: true}
		switch {
		case t.SYN && !t.ACK:
			if d.hasSentSYN(e, back) {
				return Step{}, false
			}
			back.SYN, back.Seq, back.Ack = true, 5000, t.Seq+1
		case t.SYN:
			back.Seq, back.Ack = t.Ack, t.Seq+1
		default:
			back.Seq, back.Ack = t.Ack, t.Seq
		}
		return step(e.ip(back, nil), "answer: tcp")
	case *layers.UDP:
		return step(e.ip(&layers.UDP{SrcPort: t.DstPort, DstPort: t.SrcPort}, payload), "answer: udp")
	}
	if c, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok && c.TypeCode.Type() == layers.ICMPv4TypeEchoRequest {
		return step(e.ip(echo(false, false, c.Id, c.Seq), payload), "answer: echo reply")
	}
	if c, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok && c.TypeCode.Type() == layers.ICMPv6TypeEchoRequest {
		return step(e.ip(echo(true, false, 0, 0), payload), "answer: echo reply")
	}
	return Step{}, false
}

// hasSentSYN reports whether the end that is to answer a SYN has sent one itself, which the answer would not go together with: its sequence numbers are others, and the
// connection trackers of Open vSwitch do not follow a simultaneous open (RFC 9293, section 3.5).
func (d *drawer) hasSentSYN(e ends, back *layers.TCP) bool {
	return slices.ContainsFunc(d.sent, func(s Step) bool {
		p := gopacket.NewPacket(s.Frame, layers.LayerTypeEthernet, gopacket.NoCopy)
		t, ok := p.TransportLayer().(*layers.TCP)
		if !ok || !t.SYN || t.ACK || t.SrcPort != back.SrcPort || t.DstPort != back.DstPort {
			return false
		}
		from, to := p.NetworkLayer().NetworkFlow().Endpoints()
		return bytes.Equal(from.Raw(), e.src.AsSlice()) && bytes.Equal(to.Raw(), e.dst.AsSlice())
	})
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a
}

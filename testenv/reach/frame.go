package reach

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

// datagram is a question or an answer of a probe.
type datagram struct {
	from, to         netip.Addr
	proto            Protocol
	fromPort, toPort uint16 // of a ping question its id is fromPort, of an answer toPort
	answer           bool
}

// frame puts a datagram into a frame.
func (d datagram) frame(src, dst model.MAC) ([]byte, error) {
	switch d.proto {
	case TCP:
		t := &layers.TCP{SrcPort: layers.TCPPort(d.fromPort), DstPort: layers.TCPPort(d.toPort), SYN: true, ACK: d.answer, Window: 1000}
		return above(src, dst, d.from, d.to, layers.IPProtocolTCP, t)
	case UDP:
		text := "question"
		if d.answer {
			text = "answer"
		}
		u := &layers.UDP{SrcPort: layers.UDPPort(d.fromPort), DstPort: layers.UDPPort(d.toPort)}
		return above(src, dst, d.from, d.to, layers.IPProtocolUDP, u, gopacket.Payload(text))
	}
	id := d.fromPort
	if d.answer {
		id = d.toPort
	}
	if d.from.Is4() {
		kind := uint8(layers.ICMPv4TypeEchoRequest)
		if d.answer {
			kind = layers.ICMPv4TypeEchoReply
		}
		return above(src, dst, d.from, d.to, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(kind, 0), Id: id, Seq: 1})
	}
	kind := uint8(layers.ICMPv6TypeEchoRequest)
	if d.answer {
		kind = layers.ICMPv6TypeEchoReply
	}
	return icmp6(src, dst, d.from, d.to, kind, &layers.ICMPv6Echo{Identifier: id, SeqNumber: 1})
}

// who asks for the node that has an address.
func who(mac model.MAC, from, to netip.Addr) ([]byte, error) {
	if to.Is4() {
		return arp(mac, model.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, layers.ARPRequest, from, model.MAC{}, to)
	}
	b := to.As16()
	group := netip.AddrFrom16([16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]}) // RFC 4291, section 2.7.1
	o := layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: mac[:]}}
	return icmp6(mac, model.MAC{0x33, 0x33, 0xff, b[13], b[14], b[15]}, from, group, layers.ICMPv6TypeNeighborSolicitation,
		&layers.ICMPv6NeighborSolicitation{TargetAddress: to.AsSlice(), Options: o})
}

// here answers who.
func here(mac model.MAC, addr netip.Addr, asker model.MAC, askerAddr netip.Addr) ([]byte, error) {
	if addr.Is4() {
		return arp(mac, asker, layers.ARPReply, addr, asker, askerAddr)
	}
	o := layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: mac[:]}}
	return icmp6(mac, asker, addr, askerAddr, layers.ICMPv6TypeNeighborAdvertisement,
		&layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: addr.AsSlice(), Options: o})
}

func arp(src, dst model.MAC, op uint16, from netip.Addr, target model.MAC, to netip.Addr) ([]byte, error) {
	a := &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
		SourceHwAddress: src[:], SourceProtAddress: from.AsSlice(), DstHwAddress: target[:], DstProtAddress: to.AsSlice(),
	}
	return serialize(&layers.Ethernet{SrcMAC: src[:], DstMAC: dst[:], EthernetType: layers.EthernetTypeARP}, a)
}

func icmp6(src, dst model.MAC, from, to netip.Addr, kind uint8, body gopacket.SerializableLayer) ([]byte, error) {
	return above(src, dst, from, to, layers.IPProtocolICMPv6, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)}, body)
}

// above puts layers above IP. The hop limit of IPv6 is what neighbour discovery asks for.
func above(src, dst model.MAC, from, to netip.Addr, proto layers.IPProtocol, ls ...gopacket.SerializableLayer) ([]byte, error) {
	e := &layers.Ethernet{SrcMAC: src[:], DstMAC: dst[:], EthernetType: layers.EthernetTypeIPv4}
	var n interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	} = &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	if to.Is6() {
		e.EthernetType = layers.EthernetTypeIPv6
		n = &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: proto, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	}
	if sums, ok := ls[0].(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		if err := sums.SetNetworkLayerForChecksum(n); err != nil {
			return nil, fmt.Errorf("build a frame from %v to %v: %w", from, to, err)
		}
	}
	return serialize(append([]gopacket.SerializableLayer{e, n}, ls...)...)
}

func serialize(ls ...gopacket.SerializableLayer) ([]byte, error) {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		return nil, fmt.Errorf("build a frame: %w", err)
	}
	return b.Bytes(), nil
}

// kind says what a message is.
type kind int

const (
	other   kind = iota
	asks         // an ARP request or neighbour solicitation for target
	tells        // an ARP reply or neighbour advertisement of target
	carries      // a datagram
)

// message is what a stack reads of a frame.
type message struct {
	dst            model.MAC
	kind           kind
	target, sender netip.Addr
	senderMAC      model.MAC
	datagram       datagram
}

// read takes a frame apart.
func read(frame []byte) message {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	e, ok := p.LinkLayer().(*layers.Ethernet)
	if !ok {
		return message{}
	}
	m := message{dst: model.MAC(e.DstMAC), senderMAC: model.MAC(e.SrcMAC)}
	if a, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
		m.sender, _ = netip.AddrFromSlice(a.SourceProtAddress)
		m.senderMAC = model.MAC(a.SourceHwAddress)
		m.kind, m.target = asks, addr(a.DstProtAddress)
		if a.Operation == layers.ARPReply {
			m.kind, m.target = tells, m.sender
		}
		return m
	}
	switch n := p.NetworkLayer().(type) {
	case *layers.IPv4:
		m.sender, m.datagram.to = addr(n.SrcIP.To4()), addr(n.DstIP.To4())
	case *layers.IPv6:
		m.sender, m.datagram.to = addr(n.SrcIP), addr(n.DstIP)
	default:
		return m
	}
	m.datagram.from = m.sender
	m.kind = carries
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.ICMPv6NeighborSolicitation:
			m.kind, m.target = asks, addr(l.TargetAddress)
		case *layers.ICMPv6NeighborAdvertisement:
			m.kind, m.target = tells, addr(l.TargetAddress)
		case *layers.TCP:
			m.datagram.proto, m.datagram.fromPort, m.datagram.toPort, m.datagram.answer = TCP, uint16(l.SrcPort), uint16(l.DstPort), l.ACK
		case *layers.UDP:
			m.datagram.proto, m.datagram.fromPort, m.datagram.toPort = UDP, uint16(l.SrcPort), uint16(l.DstPort)
			m.datagram.answer = string(l.Payload) == "answer"
		case *layers.ICMPv4:
			m.datagram.proto = Ping
			switch l.TypeCode.Type() {
			case layers.ICMPv4TypeEchoRequest:
				m.datagram.fromPort = l.Id
			case layers.ICMPv4TypeEchoReply:
				m.datagram.toPort, m.datagram.answer = l.Id, true
			default:
				m.kind = other
			}
		case *layers.ICMPv6Echo:
			m.datagram.proto = Ping
			c := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
			m.datagram.fromPort = l.Identifier
			if c.TypeCode.Type() == layers.ICMPv6TypeEchoReply {
				m.datagram.fromPort, m.datagram.toPort, m.datagram.answer = 0, l.Identifier, true
			}
		}
	}
	if m.kind == carries && m.datagram.proto == "" {
		m.kind = other
	}
	return m
}

func addr(b net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// tag adds an 802.1Q tag.
func tag(f []byte, vlan uint16) []byte {
	out := binary.BigEndian.AppendUint32(append([]byte{}, f[:12]...), 0x8100<<16|uint32(vlan))
	return append(out, f[12:]...)
}

// untag takes an 802.1Q tag off and gives its VLAN, 0 where there is none.
func untag(f []byte) ([]byte, uint16) {
	if len(f) < 16 || binary.BigEndian.Uint16(f[12:]) != 0x8100 {
		return f, 0
	}
	return append(append([]byte{}, f[:12]...), f[16:]...), binary.BigEndian.Uint16(f[14:]) & 0xfff
}

package scenarios

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

var (
	broadcast = model.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	nobody    = model.MAC{2, 0, 0, 0, 0xee, 0xee}
	stranger4 = netip.MustParseAddr("10.0.0.99")
	stranger6 = netip.MustParseAddr("fd00::99")
)

func hw(m model.MAC) net.HardwareAddr { return net.HardwareAddr(m[:]) }

// build gives the bytes of layers, with lengths and checksums as they should be.
func build(t *testing.T, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ether(src, dst model.MAC, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: hw(src), DstMAC: hw(dst), EthernetType: kind}
}

// ip gives the header of a packet and its Ethernet type.
func ip(src, dst netip.Addr, proto layers.IPProtocol) (gopacket.NetworkLayer, gopacket.SerializableLayer, layers.EthernetType) {
	if src.Is4() {
		l := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		return l, l, layers.EthernetTypeIPv4
	}
	l := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	return l, l, layers.EthernetTypeIPv6
}

// udp gives a datagram.
func udp(t *testing.T, srcMAC, dstMAC model.MAC, src, dst netip.AddrPort, text string) []byte {
	t.Helper()
	n, l, kind := ip(src.Addr(), dst.Addr(), layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	if err := u.SetNetworkLayerForChecksum(n); err != nil {
		t.Fatal(err)
	}
	return build(t, ether(srcMAC, dstMAC, kind), l, u, gopacket.Payload(text))
}

// arp gives an ARP packet over Ethernet for IPv4 (RFC 826); op is 1 for a request, 2 for a reply.
func arp(t *testing.T, srcMAC, dstMAC model.MAC, op uint16, sha model.MAC, spa netip.Addr, tha model.MAC, tpa netip.Addr) []byte {
	t.Helper()
	return build(t, ether(srcMAC, dstMAC, layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
		SourceHwAddress: hw(sha), SourceProtAddress: spa.AsSlice(), DstHwAddress: hw(tha), DstProtAddress: tpa.AsSlice(),
	})
}

// nd is a message of neighbour discovery (RFC 4861): its Ethernet and IPv6 addresses, and what it says.
type nd struct {
	srcMAC, dstMAC model.MAC
	src, dst       netip.Addr
	target         netip.Addr
	ll             model.MAC // link-layer address option
}

func (n nd) solicitation(t *testing.T) []byte {
	t.Helper()
	o := layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: hw(n.ll)}}
	return n.icmp(t, layers.ICMPv6TypeNeighborSolicitation, &layers.ICMPv6NeighborSolicitation{TargetAddress: n.target.AsSlice(), Options: o})
}

func (n nd) advertisement(t *testing.T) []byte {
	t.Helper()
	o := layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: hw(n.ll)}}
	return n.icmp(t, layers.ICMPv6TypeNeighborAdvertisement, &layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: n.target.AsSlice(), Options: o})
}

func (n nd) icmp(t *testing.T, kind uint8, body gopacket.SerializableLayer) []byte {
	t.Helper()
	nl, l, et := ip(n.src, n.dst, layers.IPProtocolICMPv6)
	c := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)}
	if err := c.SetNetworkLayerForChecksum(nl); err != nil {
		t.Fatal(err)
	}
	return build(t, ether(n.srcMAC, n.dstMAC, et), l, c, body)
}

// solicited gives the multicast address at which the owner of an address is asked for (RFC 4291, section 2.7.1), and its MAC address.
func solicited(a netip.Addr) (netip.Addr, model.MAC) {
	b := a.As16()
	m := [16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]}
	return netip.AddrFrom16(m), model.MAC{0x33, 0x33, 0xff, b[13], b[14], b[15]}
}

// tagged gives a frame with an 802.1Q tag.
func tagged(f []byte, vid byte) []byte {
	out := append([]byte{}, f[:12]...)
	return append(append(out, 0x81, 0x00, 0, vid), f[12:]...)
}

// untagged gives a frame without its 802.1Q tag.
func untagged(f []byte) []byte {
	if f[12] != 0x81 {
		return f
	}
	return append(append([]byte{}, f[:12]...), f[16:]...)
}

// whoHas asks by ARP and gives the answer.
func (s *scene) whoHas(t *testing.T, from, target guest) model.MAC {
	t.Helper()
	w := s.watches[from.name]
	mark := w.mark()
	s.send(t, from, arp(t, from.mac, broadcast, 1, from.mac, from.v4(), model.MAC{}, target.v4()))
	isReply := func(f []byte) bool {
		a, ok := parse(f).Layer(layers.LayerTypeARP).(*layers.ARP)
		return ok && a.Operation == layers.ARPReply && netip.AddrFrom4([4]byte(a.SourceProtAddress)) == target.v4()
	}
	reply := w.await(t, 2*time.Second, "an ARP reply for "+target.String(), mark, isReply)
	return model.MAC(parse(reply).Layer(layers.LayerTypeARP).(*layers.ARP).SourceHwAddress)
}

// Package flood is a guest that asks too much: the frames of each kind of which hosts limit how many a port may send, a sender of very many of them, and questions
// whose answers are timed. It knows no lab: who uses it opens a port in a network namespace. Imported by benchmarks and scenarios.
package flood

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

// Station is who sends, or who is asked.
type Station struct {
	MAC    model.MAC
	V4, V6 netip.Addr
}

// Kind is a kind of frames that a guest may flood its host with.
type Kind struct {
	Name   string
	Class  string // that limits it, as vnctl host limits names it; "" for what the program at the port answers
	Frames [][]byte
}

// variants is how many different frames there are of a kind: so many flows of the datapath, where their addresses make a difference.
const variants = 64

var everyone = model.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Kinds gives what a guest may send to its host: known is another guest of its network, gateway a simulated interface, and unknown an address that is nobody's; that and
// the next ones are asked for.
func Kinds(from, known, gateway Station, unknown netip.Addr) []Kind {
	far := netip.MustParseAddr("198.51.100.1")
	kind := func(name, class string, frame func(n int) []gopacket.SerializableLayer) Kind {
		k := Kind{Name: name, Class: class}
		for n := range variants {
			k.Frames = append(k.Frames, build(frame(n)...))
		}
		return k
	}
	toGateway := func(ttl uint8, dst netip.Addr, l4 ...gopacket.SerializableLayer) []gopacket.SerializableLayer {
		return over(from, gateway.MAC, ttl, from.V4, dst, l4...)
	}
	multicast := func(src netip.Addr, dst string, l4 ...gopacket.SerializableLayer) []gopacket.SerializableLayer {
		group := netip.MustParseAddr(dst)
		b := group.As16()
		return over(from, model.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}, 255, src, group, l4...)
	}
	linkLocal := linkLocal(from.MAC)
	return []Kind{
		kind("arp", "arp", func(n int) []gopacket.SerializableLayer { return arp(from, plus(unknown, n)) }),
		kind("arp-known", "", func(int) []gopacket.SerializableLayer { return arp(from, known.V4) }),
		kind("nd", "nd", func(n int) []gopacket.SerializableLayer {
			target := from.V6.As16()
			target[14], target[15] = 0x77, byte(n)
			m := &layers.ICMPv6NeighborSolicitation{TargetAddress: target[:], Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: from.MAC[:]}}}
			return multicast(from.V6, fmt.Sprintf("ff02::1:ff%02x:%02x%02x", target[13], target[14], target[15]), icmp6(layers.ICMPv6TypeNeighborSolicitation), m)
		}),
		kind("ra", "ra", func(int) []gopacket.SerializableLayer {
			return multicast(linkLocal, "ff02::2", icmp6(layers.ICMPv6TypeRouterSolicitation), &layers.ICMPv6RouterSolicitation{})
		}),
		kind("dhcp4", "dhcp4", func(n int) []gopacket.SerializableLayer { return discover(from, uint32(n)) }),
		kind("dhcp6", "dhcp6", func(n int) []gopacket.SerializableLayer {
			solicit := []byte{1, 0, 0, byte(n), 0, 1, 0, 10, 0, 3, 0, 1} // SOLICIT, with the client's identifier by its MAC address (RFC 8415)
			return multicast(linkLocal, "ff02::1:2", &layers.UDP{SrcPort: 546, DstPort: 547}, gopacket.Payload(append(solicit, from.MAC[:]...)))
		}),
		kind("dns", "dns", func(n int) []gopacket.SerializableLayer { return name(from, gateway, uint16(n)) }),
		kind("metadata", "metadata", func(n int) []gopacket.SerializableLayer {
			return toGateway(64, gateway.V4, &layers.TCP{SrcPort: layers.TCPPort(20000 + n), DstPort: 80, SYN: true, Window: 1000})
		}),
		kind("ttl", "error", func(int) []gopacket.SerializableLayer {
			return toGateway(1, far, &layers.UDP{SrcPort: 5000, DstPort: 33434}, gopacket.Payload("traceroute"))
		}),
		kind("echo", "echo", func(n int) []gopacket.SerializableLayer { return toGateway(64, gateway.V4, ping(1, uint16(n))) }),
	}
}

// plus gives the address that comes so many after another.
func plus(a netip.Addr, n int) netip.Addr {
	for range n {
		a = a.Next()
	}
	return a
}

// linkLocal is the address that a guest makes of its MAC address (RFC 4291, appendix A).
func linkLocal(m model.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

func hw(m model.MAC) net.HardwareAddr { return net.HardwareAddr(m[:]) }

func arp(from Station, target netip.Addr) []gopacket.SerializableLayer {
	return []gopacket.SerializableLayer{
		&layers.Ethernet{SrcMAC: hw(from.MAC), DstMAC: hw(everyone), EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
			SourceHwAddress: hw(from.MAC), SourceProtAddress: from.V4.AsSlice(), DstHwAddress: make([]byte, 6), DstProtAddress: target.AsSlice(),
		},
	}
}

// over gives a packet, whose family is that of the addresses.
func over(from Station, to model.MAC, ttl uint8, src, dst netip.Addr, l4 ...gopacket.SerializableLayer) []gopacket.SerializableLayer {
	eth := &layers.Ethernet{SrcMAC: hw(from.MAC), DstMAC: hw(to), EthernetType: layers.EthernetTypeIPv4}
	proto := layers.IPProtocolUDP
	switch l4[0].LayerType() {
	case layers.LayerTypeTCP:
		proto = layers.IPProtocolTCP
	case layers.LayerTypeICMPv4:
		proto = layers.IPProtocolICMPv4
	case layers.LayerTypeICMPv6:
		proto = layers.IPProtocolICMPv6
	}
	var head interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	} = &layers.IPv4{Version: 4, TTL: ttl, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	if src.Is6() {
		eth.EthernetType = layers.EthernetTypeIPv6
		head = &layers.IPv6{Version: 6, HopLimit: ttl, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	}
	if sums, ok := l4[0].(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		_ = sums.SetNetworkLayerForChecksum(head) // it takes both families
	}
	return append([]gopacket.SerializableLayer{eth, head}, l4...)
}

func icmp6(kind uint8) *layers.ICMPv6 {
	return &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)}
}

func ping(id, seq uint16) *layers.ICMPv4 {
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: id, Seq: seq}
}

func discover(from Station, xid uint32) []gopacket.SerializableLayer {
	return over(from, everyone, 64, netip.IPv4Unspecified(), netip.MustParseAddr("255.255.255.255"), &layers.UDP{SrcPort: 68, DstPort: 67}, &layers.DHCPv4{
		Operation: layers.DHCPOpRequest, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: xid, ClientHWAddr: hw(from.MAC),
		Options: layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(layers.DHCPMsgTypeDiscover)})},
	})
}

// name asks for the address of a name that nobody has.
func name(from, server Station, id uint16) []gopacket.SerializableLayer {
	return over(from, server.MAC, 64, from.V4, server.V4, &layers.UDP{SrcPort: 5000, DstPort: 53}, &layers.DNS{
		ID: id, RD: true, Questions: []layers.DNSQuestion{{Name: []byte("nobody.example"), Type: layers.DNSTypeA, Class: layers.DNSClassIN}},
	})
}

// build gives the bytes of layers. What cannot be built is a mistake of this package, whose tests build everything.
func build(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		return nil
	}
	return b.Bytes()
}

// Question is a frame, and what its answer is like.
type Question struct {
	Frame   []byte
	Answers func(frame []byte) bool
}

// AskARP asks who has the address of another.
func AskARP(from, to Station) Question {
	return Question{build(arp(from, to.V4)...), func(f []byte) bool {
		return len(f) >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 && netip.AddrFrom4([4]byte(f[28:])) == to.V4
	}}
}

// AskEcho sends an echo request; the number makes its answer another one's than those of other numbers.
func AskEcho(from, to Station, number uint16) Question {
	return Question{build(over(from, to.MAC, 64, from.V4, to.V4, ping(0x7075, number), gopacket.Payload("are you there"))...), func(f []byte) bool {
		return len(f) >= 42 && f[12] == 8 && f[13] == 0 && f[23] == 1 && f[34] == 0 && netip.AddrFrom4([4]byte(f[26:])) == to.V4 &&
			binary.BigEndian.Uint16(f[38:]) == 0x7075 && binary.BigEndian.Uint16(f[40:]) == number
	}}
}

// AskDHCP asks for an address, as a client that has none.
func AskDHCP(from Station, xid uint32) Question {
	return Question{build(discover(from, xid)...), func(f []byte) bool {
		return len(f) >= 50 && f[12] == 8 && f[13] == 0 && f[23] == 17 && binary.BigEndian.Uint16(f[34:]) == 67 && f[42] == 2 && binary.BigEndian.Uint32(f[46:]) == xid
	}}
}

// AskDNS asks for a name that nobody has; any answer is one.
func AskDNS(from, server Station, id uint16) Question {
	return Question{build(name(from, server, id)...), func(f []byte) bool {
		return len(f) >= 54 && f[12] == 8 && f[13] == 0 && f[23] == 17 && netip.AddrFrom4([4]byte(f[26:])) == server.V4 &&
			binary.BigEndian.Uint16(f[34:]) == 53 && binary.BigEndian.Uint16(f[42:]) == id && f[44]&0x80 != 0
	}}
}

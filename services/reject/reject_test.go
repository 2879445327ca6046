package reject

import (
	"bytes"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	mac1, mac2 = net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	ip1, ip2   = net.IPv4(10, 0, 0, 1).To4(), net.IPv4(10, 0, 0, 2).To4()
	ip61, ip62 = net.ParseIP("fd00::1"), net.ParseIP("fd00::2")
	fixed      = gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
)

func ethernet(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: mac1, DstMAC: mac2, EthernetType: typ}
}

// build serialises a packet from station 1 to 2.
func build(t testing.TB, v6 bool, proto layers.IPProtocol, inner ...gopacket.SerializableLayer) []byte {
	t.Helper()
	ls := []gopacket.SerializableLayer{ethernet(layers.EthernetTypeIPv4), &layers.IPv4{Version: 4, TTL: 9, Protocol: proto, SrcIP: ip1, DstIP: ip2}}
	if v6 {
		ls = []gopacket.SerializableLayer{ethernet(layers.EthernetTypeIPv6), &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: proto, SrcIP: ip61, DstIP: ip62}}
	}
	for _, l := range inner {
		switch l := l.(type) {
		case *layers.TCP:
			_ = l.SetNetworkLayerForChecksum(ls[1].(gopacket.NetworkLayer))
		case *layers.UDP:
			_ = l.SetNetworkLayerForChecksum(ls[1].(gopacket.NetworkLayer))
		case *layers.ICMPv6:
			_ = l.SetNetworkLayerForChecksum(ls[1].(gopacket.NetworkLayer))
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, fixed, append(ls, inner...)...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// check decodes an answer, whose addresses and checksums must be right.
func check(t *testing.T, b []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatal(e.Error())
	}
	for _, l := range p.Layers() {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			_ = c.SetNetworkLayerForChecksum(p.NetworkLayer())
		}
	}
	if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
		t.Errorf("checksums: %v, %v", bad, err)
	}
	eth := p.LinkLayer().(*layers.Ethernet)
	src, dst := p.NetworkLayer().NetworkFlow().Endpoints()
	if !bytes.Equal(eth.SrcMAC, mac2) || !bytes.Equal(eth.DstMAC, mac1) || src.String() != ip2.String() && src.String() != ip62.String() || dst.String() != ip1.String() && dst.String() != ip61.String() {
		t.Errorf("from %v %v to %v %v", eth.SrcMAC, src, eth.DstMAC, dst)
	}
	return p
}

func TestReset(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, tc := range []struct {
			in       layers.TCP
			payload  string
			seq, ack uint32
			flagAck  bool
		}{
			{layers.TCP{SYN: true, Seq: 1000}, "", 0, 1001, true},
			{layers.TCP{SYN: true, Seq: 0xffffffff}, "", 0, 0, true},
			{layers.TCP{ACK: true, Seq: 5, Ack: 77}, "abc", 77, 0, false},
			{layers.TCP{FIN: true, Seq: 5}, "abc", 0, 9, true},
		} {
			tc.in.SrcPort, tc.in.DstPort = 1000, 80
			p := check(t, Answer(build(t, v6, layers.IPProtocolTCP, &tc.in, gopacket.Payload(tc.payload))))
			got := p.TransportLayer().(*layers.TCP)
			if !got.RST || got.SYN || got.ACK != tc.flagAck || got.Seq != tc.seq || got.Ack != tc.ack || got.SrcPort != 80 || got.DstPort != 1000 {
				t.Errorf("IPv6 %v: %+v", v6, got)
			}
		}
		if b := Answer(build(t, v6, layers.IPProtocolTCP, &layers.TCP{RST: true})); b != nil {
			t.Error("a reset is answered")
		}
	}
}

func TestProhibited(t *testing.T) {
	udp := func() *layers.UDP { return &layers.UDP{SrcPort: 7, DstPort: 8} }
	for _, size := range []int{0, 100, 1400} {
		in := build(t, false, layers.IPProtocolUDP, udp(), gopacket.Payload(make([]byte, size)))
		b := Answer(append(in, 0, 0, 0)) // with padding
		icmp := check(t, b).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if icmp.TypeCode != layers.CreateICMPv4TypeCode(3, 13) || !bytes.HasPrefix(in[14:], icmp.Payload) || len(icmp.Payload) != min(28+size, 548) {
			t.Errorf("%d bytes: %v about %d bytes", size, icmp.TypeCode, len(icmp.Payload))
		}
		in = build(t, true, layers.IPProtocolUDP, udp(), gopacket.Payload(make([]byte, size)))
		icmp6 := check(t, Answer(in)).Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		if icmp6.TypeCode != layers.CreateICMPv6TypeCode(1, 1) || len(icmp6.Payload) != 4+min(48+size, 1232) {
			t.Errorf("%d bytes: %v about %d bytes", size, icmp6.TypeCode, len(icmp6.Payload))
		}
	}
	// Behind a tag, and behind extension headers.
	in := build(t, false, layers.IPProtocolUDP, udp())
	tagged := append(append(append([]byte{}, in[:12]...), 0x81, 0, 0, 5), in[12:]...)
	if b := Answer(tagged); len(b) < 18 || !bytes.Equal(b[12:18], tagged[12:18]) {
		t.Errorf("tagged: %x", b)
	}
	ext := build(t, true, 60, gopacket.Payload(append([]byte{17, 0, 1, 4, 0, 0, 0, 0}, make([]byte, 8)...)))
	if Answer(ext) == nil {
		t.Error("extension headers are not skipped")
	}
}

// What must not be answered.
func TestSilence(t *testing.T) {
	udp := func(change func(b []byte)) []byte {
		b := build(t, false, layers.IPProtocolUDP, &layers.UDP{SrcPort: 7, DstPort: 8})
		change(b)
		return b
	}
	udp6 := func(change func(b []byte)) []byte {
		b := build(t, true, layers.IPProtocolUDP, &layers.UDP{SrcPort: 7, DstPort: 8})
		change(b)
		return b
	}
	for name, frame := range map[string][]byte{
		"nothing":             nil,
		"broadcast":           udp(func(b []byte) { b[0] = 0xff }),
		"later fragment":      udp(func(b []byte) { b[21] = 1 }),
		"to multicast":        udp(func(b []byte) { b[30] = 224 }),
		"to broadcast":        udp(func(b []byte) { copy(b[30:], net.IPv4bcast.To4()) }),
		"from nobody":         udp(func(b []byte) { copy(b[26:], net.IPv4zero.To4()) }),
		"total length":        udp(func(b []byte) { b[16] = 0xff }),
		"header length":       udp(func(b []byte) { b[14] = 0x44 }),
		"version":             udp(func(b []byte) { b[14] = 0x65 }),
		"ICMP error":          build(t, false, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 1)}),
		"ICMPv6 error":        build(t, true, layers.IPProtocolICMPv6, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(1, 0)}),
		"redirect":            build(t, true, layers.IPProtocolICMPv6, &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(137, 0)}),
		"ARP":                 udp(func(b []byte) { b[13] = 6 }),
		"IPv6 to multicast":   udp6(func(b []byte) { b[38] = 0xff }),
		"IPv6 from multicast": udp6(func(b []byte) { b[22] = 0xff }),
		"IPv6 from nobody":    udp6(func(b []byte) { copy(b[22:38], make([]byte, 16)) }),
		"IPv6 later fragment": build(t, true, 44, gopacket.Payload([]byte{17, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0})),
		"IPv6 extension":      build(t, true, 60, gopacket.Payload([]byte{17, 9, 0, 0, 0, 0, 0, 0})),
	} {
		if b := Answer(frame); b != nil {
			t.Errorf("%s: answered with %x", name, b)
		}
	}
	if b := Answer(build(t, false, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)})); b == nil {
		t.Error("an echo request is not answered")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		f.Add(build(f, v6, layers.IPProtocolTCP, &layers.TCP{SYN: true}))
		f.Add(build(f, v6, layers.IPProtocolUDP, &layers.UDP{}, gopacket.Payload("x")))
		f.Add(build(f, v6, 60, gopacket.Payload([]byte{44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1})))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		b := Answer(frame)
		if !bytes.Equal(frame, before) {
			t.Error("the frame was changed")
		}
		if b == nil {
			return
		}
		// An answer is sound, and is itself not answered unless it asks: there is no loop.
		if p, ok := decode(b); !ok || len(b)-len(p.link) > maxError6 {
			t.Errorf("answer %x", b)
		}
		if again := Answer(b); again != nil {
			t.Errorf("the answer %x is answered", b)
		}
	})
}

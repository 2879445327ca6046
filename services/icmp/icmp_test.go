package icmp

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
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

var (
	router4, router6 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	prohibited       = Error{}
)

// check decodes an answer from station 2, or a router, to 1, whose addresses and checksums must be right.
func check(t *testing.T, b []byte, from ...netip.Addr) gopacket.Packet {
	t.Helper()
	want := []string{ip2.String(), ip62.String()}
	for _, a := range from {
		want = []string{a.String()}
	}
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
	if !bytes.Equal(eth.SrcMAC, mac2) || !bytes.Equal(eth.DstMAC, mac1) || !slices.Contains(want, src.String()) || dst.String() != ip1.String() && dst.String() != ip61.String() {
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
			p := check(t, Answer(build(t, v6, layers.IPProtocolTCP, &tc.in, gopacket.Payload(tc.payload)), prohibited))
			got := p.TransportLayer().(*layers.TCP)
			if !got.RST || got.SYN || got.ACK != tc.flagAck || got.Seq != tc.seq || got.Ack != tc.ack || got.SrcPort != 80 || got.DstPort != 1000 {
				t.Errorf("IPv6 %v: %+v", v6, got)
			}
		}
		if b := Answer(build(t, v6, layers.IPProtocolTCP, &layers.TCP{RST: true}), prohibited); b != nil {
			t.Error("a reset is answered")
		}
	}
}

func TestProhibited(t *testing.T) {
	udp := func() *layers.UDP { return &layers.UDP{SrcPort: 7, DstPort: 8} }
	for _, size := range []int{0, 100, 1400} {
		in := build(t, false, layers.IPProtocolUDP, udp(), gopacket.Payload(make([]byte, size)))
		b := Answer(append(in, 0, 0, 0), prohibited) // with padding
		icmp := check(t, b).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if icmp.TypeCode != layers.CreateICMPv4TypeCode(3, 13) || !bytes.HasPrefix(in[14:], icmp.Payload) || len(icmp.Payload) != min(28+size, 548) {
			t.Errorf("%d bytes: %v about %d bytes", size, icmp.TypeCode, len(icmp.Payload))
		}
		in = build(t, true, layers.IPProtocolUDP, udp(), gopacket.Payload(make([]byte, size)))
		icmp6 := check(t, Answer(in, prohibited)).Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		if icmp6.TypeCode != layers.CreateICMPv6TypeCode(1, 1) || len(icmp6.Payload) != 4+min(48+size, 1232) {
			t.Errorf("%d bytes: %v about %d bytes", size, icmp6.TypeCode, len(icmp6.Payload))
		}
	}
	// Behind a tag, and behind extension headers.
	in := build(t, false, layers.IPProtocolUDP, udp())
	tagged := append(append(append([]byte{}, in[:12]...), 0x81, 0, 0, 5), in[12:]...)
	if b := Answer(tagged, prohibited); len(b) < 18 || !bytes.Equal(b[12:18], tagged[12:18]) {
		t.Errorf("tagged: %x", b)
	}
	ext := build(t, true, 60, gopacket.Payload(append([]byte{17, 0, 1, 4, 0, 0, 0, 0}, make([]byte, 8)...)))
	if Answer(ext, prohibited) == nil {
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
		for kind := range Kind(len(messages)) {
			if b := Answer(frame, Error{Kind: kind, MTU: 1400}); b != nil {
				t.Errorf("%s: answered with %x", name, b)
			}
		}
	}
	if b := Answer(build(t, false, layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}), prohibited); b == nil {
		t.Error("an echo request is not answered")
	}
}

// What is said of each kind of packet, in each case: type and code, and what stands behind the checksum.
func TestErrors(t *testing.T) {
	type says struct {
		typ, code uint8
		rest      uint32
	}
	const none, reset = 255, 254 // types that stand for no answer, and for a reset
	packets := []struct {
		name  string
		v6    bool
		proto layers.IPProtocol
		inner []gopacket.SerializableLayer
	}{
		{"udp", false, layers.IPProtocolUDP, []gopacket.SerializableLayer{&layers.UDP{SrcPort: 7, DstPort: 8}}},
		{"tcp", false, layers.IPProtocolTCP, []gopacket.SerializableLayer{&layers.TCP{SYN: true, Seq: 1}}},
		{"echo", false, layers.IPProtocolICMPv4, []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}}},
		{"gre", false, layers.IPProtocolGRE, []gopacket.SerializableLayer{gopacket.Payload(make([]byte, 8))}},
		{"udp6", true, layers.IPProtocolUDP, []gopacket.SerializableLayer{&layers.UDP{SrcPort: 7, DstPort: 8}}},
		{"tcp6", true, layers.IPProtocolTCP, []gopacket.SerializableLayer{&layers.TCP{SYN: true, Seq: 1}}},
		{"echo6", true, layers.IPProtocolICMPv6, []gopacket.SerializableLayer{&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}, gopacket.Payload(make([]byte, 4))}},
		{"gre6", true, layers.IPProtocolGRE, []gopacket.SerializableLayer{gopacket.Payload(make([]byte, 8))}},
		{"gre6 behind options", true, 60, []gopacket.SerializableLayer{gopacket.Payload(append([]byte{47, 0, 1, 4, 0, 0, 0, 0}, make([]byte, 8)...))}},
		{"nothing", true, 59, []gopacket.SerializableLayer{gopacket.Payload(make([]byte, 8))}},
	}
	same := func(v4, v6 says) map[string]says {
		m := map[string]says{}
		for _, p := range packets {
			m[p.name] = v4
			if p.v6 {
				m[p.name] = v6
			}
		}
		return m
	}
	with := func(m map[string]says, more map[string]says) map[string]says {
		maps.Copy(m, more)
		return m
	}
	for _, tc := range []struct {
		kind Kind
		mtu  int
		want map[string]says
	}{
		{TimeExceeded, 0, same(says{11, 0, 0}, says{3, 0, 0})},
		{NoRoute, 0, same(says{3, 0, 0}, says{1, 0, 0})},
		{NoEntry, 0, same(says{3, 0, 0}, says{1, 5, 0})},
		{NoNeighbor, 0, same(says{3, 1, 0}, says{1, 3, 0})},
		{TooBig, 1400, same(says{3, 4, 1400}, says{2, 0, 1400})},
		{TooBig, 70000, same(says{3, 4, 65535}, says{2, 0, 70000})},
		{Prohibited, 0, with(same(says{3, 13, 0}, says{1, 1, 0}), map[string]says{"tcp": {typ: reset}, "tcp6": {typ: reset}})},
		{Closed, 0, map[string]says{
			"udp": {3, 3, 0}, "tcp": {typ: reset}, "echo": {typ: none}, "gre": {3, 2, 0},
			"udp6": {1, 4, 0}, "tcp6": {typ: reset}, "echo6": {typ: none}, "gre6": {4, 1, 6}, "gre6 behind options": {4, 1, 40}, "nothing": {typ: none},
		}},
	} {
		for _, p := range packets {
			in := build(t, p.v6, p.proto, p.inner...)
			from := router4
			if p.v6 {
				from = router6
			}
			want := tc.want[p.name]
			b := Answer(in, Error{tc.kind, from, tc.mtu})
			if want.typ == none {
				if b != nil {
					t.Errorf("%s, kind %d: answered with %x", p.name, tc.kind, b)
				}
				continue
			}
			if want.typ == reset { // which comes from whom the segment was for
				if r, ok := check(t, b).TransportLayer().(*layers.TCP); !ok || !r.RST {
					t.Errorf("%s, kind %d: no reset but %x", p.name, tc.kind, b)
				}
				continue
			}
			answer := check(t, b, from)
			l := answer.Layer(layers.LayerTypeICMPv4)
			if p.v6 {
				l = answer.Layer(layers.LayerTypeICMPv6)
			} else if ip := answer.NetworkLayer().(*layers.IPv4); ip.TOS != 0xc0 || ip.TTL != 64 || ip.Length > 576 {
				t.Errorf("%s: %+v", p.name, ip)
			}
			if l == nil {
				t.Fatalf("%s, kind %d: %x", p.name, tc.kind, b)
			}
			got := l.LayerContents()
			if g := (says{got[0], got[1], binary.BigEndian.Uint32(append(got, l.LayerPayload()...)[4:])}); g != want {
				t.Errorf("%s, kind %d: %v, want %v", p.name, tc.kind, g, want)
			}
			quoted := gopacket.NewPacket(in, layers.LayerTypeEthernet, gopacket.Default).NetworkLayer() // without padding
			if !bytes.HasSuffix(b, append(quoted.LayerContents(), quoted.LayerPayload()...)) {
				t.Errorf("%s: does not quote the packet", p.name)
			}
		}
	}
	if b := Answer(build(t, false, layers.IPProtocolUDP, &layers.UDP{}), Error{Kind: TimeExceeded, From: router6}); b != nil {
		t.Errorf("from an address of the other family: %x", b)
	}
}

// Fragments are what a second implementation puts together again.
func TestCut(t *testing.T) {
	body := make([]byte, 3000)
	for i := range body {
		body[i] = byte(i * 7)
	}
	for _, tc := range []struct {
		name    string
		options []layers.IPv4Option
		mtu     int
		parts   int
		later   uint8 // words of the header of later fragments
	}{
		{"plain", nil, 1400, 3, 5},
		{"small", nil, 68, 63, 5},
		{"fits", nil, 3028, 1, 5},
		{"one byte less", nil, 3027, 2, 5},
		{"an option that is copied", []layers.IPv4Option{{OptionType: 0x94, OptionLength: 4, OptionData: []byte{0, 0}}}, 1400, 3, 6},
		{"one that is not", []layers.IPv4Option{{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}}, 1400, 3, 5},
	} {
		ip := &layers.IPv4{Version: 4, TTL: 9, Protocol: layers.IPProtocolUDP, SrcIP: ip1, DstIP: ip2, Id: 99, Options: tc.options}
		udp := &layers.UDP{SrcPort: 7, DstPort: 8}
		_ = udp.SetNetworkLayerForChecksum(ip)
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, fixed, ethernet(layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(body)); err != nil {
			t.Fatal(err)
		}
		whole := bytes.Clone(buf.Bytes())
		parts := Cut(append(whole, 0, 0), tc.mtu)
		if len(parts) != tc.parts {
			t.Errorf("%s: %d fragments, want %d", tc.name, len(parts), tc.parts)
		}
		if first, last := len(parts[0]), len(parts[len(parts)-1]); first-last > 8*len(parts) {
			t.Errorf("%s: the first fragment has %d bytes, the last one %d", tc.name, first, last)
		}
		d := ip4defrag.NewIPv4Defragmenter()
		var got *layers.IPv4
		for n, f := range parts {
			p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
			l, ok := p.NetworkLayer().(*layers.IPv4)
			if !ok || len(f)-14 > tc.mtu || int(l.Length) != len(f)-14 || n > 0 && l.IHL != tc.later || sum(0, f[14:14+4*int(l.IHL)])%0xffff != 0 {
				t.Fatalf("%s: fragment %d: %x", tc.name, n, f)
			}
			if len(parts) == 1 {
				got = l
				break
			}
			if w, err := d.DefragIPv4(l); err != nil {
				t.Fatal(err)
			} else if w != nil {
				got = w
			}
		}
		if got == nil || !bytes.Equal(got.Payload, whole[14+4*int(ip.IHL):]) {
			t.Errorf("%s: put together it is another packet", tc.name)
		}
	}
	df := build(t, false, layers.IPProtocolUDP, &layers.UDP{}, gopacket.Payload(body))
	if df[20] |= 0x40; MayCut(df) || Cut(df, 1400) != nil {
		t.Error("what must not be cut is")
	}
	if six := build(t, true, layers.IPProtocolUDP, &layers.UDP{}, gopacket.Payload(body)); MayCut(six) || Cut(six, 1400) != nil {
		t.Error("routers do not cut IPv6")
	}
	if Cut(build(t, false, layers.IPProtocolUDP, &layers.UDP{}, gopacket.Payload(body)), 20) != nil {
		t.Error("no room, and yet cut")
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
		for kind := range Kind(len(messages)) {
			b := Answer(frame, Error{Kind: kind, MTU: 1400})
			if b == nil {
				continue
			}
			// An answer is sound, and is itself not answered unless it asks: there is no loop.
			if p, ok := decode(b); !ok || len(b)-len(p.link) > maxError6 {
				t.Errorf("answer %x", b)
			}
			if again := Answer(b, Error{Kind: kind}); again != nil {
				t.Errorf("the answer %x is answered", b)
			}
		}
		size := 0
		for _, f := range Cut(frame, 68) {
			if b, ok := cuttable(f); !ok || len(b) > 68 {
				t.Errorf("fragment %x", f)
			}
			size += len(f)
		}
		if size > 8*len(frame)+200 {
			t.Errorf("%d bytes become %d", len(frame), size)
		}
		if !bytes.Equal(frame, before) {
			t.Error("the frame was changed")
		}
	})
}

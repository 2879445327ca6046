package frame_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/services/frame"
)

func serialize(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func ethernetOf(t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: t}
}

func ipv4Of(p layers.IPProtocol, fragment uint16) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: p, FragOffset: fragment, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
}

func TestSummarize(t *testing.T) {
	a4, b4 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a6, b6 := netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
	ipv6 := func(next layers.IPProtocol, payload ...byte) []byte {
		return serialize(t, ethernetOf(layers.EthernetTypeIPv6), &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: a6.AsSlice(), DstIP: b6.AsSlice()}, gopacket.Payload(payload))
	}
	ports := []byte{0x04, 0xd2, 0, 80, 0, 0, 0, 0}
	for name, tc := range map[string]struct {
		frame []byte
		want  frame.Summary
		why   frame.Reason
	}{
		"tcp":            {serialize(t, ethernetOf(layers.EthernetTypeIPv4), ipv4Of(6, 0), &layers.TCP{SrcPort: 1234, DstPort: 80}), frame.Summary{6, a4, b4, 1234, 80, 0, 0, true}, frame.OK},
		"udp":            {serialize(t, ethernetOf(layers.EthernetTypeIPv4), ipv4Of(17, 0), &layers.UDP{SrcPort: 1234, DstPort: 80}), frame.Summary{17, a4, b4, 1234, 80, 0, 0, true}, frame.OK},
		"icmp":           {serialize(t, ethernetOf(layers.EthernetTypeIPv4), ipv4Of(1, 0), &layers.ICMPv4{TypeCode: 0x0301}), frame.Summary{1, a4, b4, 0, 0, 3, 1, true}, frame.OK},
		"a fragment":     {serialize(t, ethernetOf(layers.EthernetTypeIPv4), ipv4Of(6, 10), gopacket.Payload(ports)), frame.Summary{Protocol: 6, Src: a4, Dst: b4}, frame.OK},
		"another":        {serialize(t, ethernetOf(layers.EthernetTypeIPv4), ipv4Of(47, 0), gopacket.Payload(ports)), frame.Summary{Protocol: 47, Src: a4, Dst: b4}, frame.OK},
		"ipv6":           {ipv6(17, ports...), frame.Summary{17, a6, b6, 1234, 80, 0, 0, true}, frame.OK},
		"icmpv6":         {ipv6(58, 128, 0, 0, 0), frame.Summary{58, a6, b6, 0, 0, 128, 0, true}, frame.OK},
		"extensions":     {ipv6(0, append([]byte{60, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}, ports...)...), frame.Summary{6, a6, b6, 1234, 80, 0, 0, true}, frame.OK},
		"first fragment": {ipv6(44, append([]byte{17, 0, 0, 1, 0, 0, 0, 0}, ports...)...), frame.Summary{17, a6, b6, 1234, 80, 0, 0, true}, frame.OK},
		"later fragment": {ipv6(44, append([]byte{17, 0, 0, 9, 0, 0, 0, 0}, ports...)...), frame.Summary{Protocol: 17, Src: a6, Dst: b6}, frame.OK},
		"a lying length": {ipv6(0, 6, 200, 0, 0, 0, 0, 0, 0), frame.Summary{Src: a6, Dst: b6}, frame.OK},
		"arp":            {serialize(t, ethernetOf(layers.EthernetTypeARP), gopacket.Payload(ports)), frame.Summary{}, frame.NotIP},
		"short":          {serialize(t, ethernetOf(layers.EthernetTypeIPv4), gopacket.Payload(ports))[:22], frame.Summary{}, frame.IPv4Short},
		"nothing":        {nil, frame.Summary{}, frame.EthernetShort},
	} {
		got, why := frame.Summarize(tc.frame)
		if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || why != tc.why {
			t.Errorf("%s: %s\n%s", name, why, diff)
		}
	}
}

func FuzzSummarize(f *testing.F) {
	f.Add(serialize(f, ethernetOf(layers.EthernetTypeIPv4), ipv4Of(17, 0), &layers.UDP{SrcPort: 1234, DstPort: 80}))
	f.Add(serialize(f, ethernetOf(layers.EthernetTypeIPv6), &layers.IPv6{Version: 6, NextHeader: 0, SrcIP: net.IPv6zero, DstIP: net.IPv6zero}, gopacket.Payload{44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, why := frame.Summarize(b)
		if (why == frame.OK) != s.Src.IsValid() {
			t.Errorf("%+v, %s", s, why)
		}
	})
}

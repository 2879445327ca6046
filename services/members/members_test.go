package members_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/members"
)

var (
	start  = time.Unix(1_000_000, 0)
	group4 = netip.MustParseAddr("239.1.2.3")
	group6 = netip.MustParseAddr("ff05::123")
	guest  = members.Member{ID: 7}
	peer   = members.Member{Remote: true, ID: 2}
)

// ip4 gives a frame with an IGMP message, ip6 one with an MLD message behind a router alert.
func ip4(b ...byte) []byte {
	return frame(layers.EthernetTypeIPv4, &layers.IPv4{Version: 4, TTL: 1, Protocol: 2, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{224, 0, 0, 22}}, gopacket.Payload(b))
}

func ip6(b ...byte) []byte {
	h := &layers.IPv6{Version: 6, HopLimit: 1, NextHeader: 0, SrcIP: net.ParseIP("fe80::1"), DstIP: net.ParseIP("ff02::16")}
	return frame(layers.EthernetTypeIPv6, h, gopacket.Payload(append([]byte{58, 0, 5, 2, 0, 0, 1, 0}, b...)))
}

func frame(t layers.EthernetType, ls ...gopacket.SerializableLayer) []byte {
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{1, 0, 0x5e, 0, 0, 22}, EthernetType: t}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append([]gopacket.SerializableLayer{eth}, ls...)...); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// record gives a group record of IGMPv3 or MLDv2.
func record(t byte, group netip.Addr, sources int) []byte {
	b := []byte{t, 0, 0, byte(sources)}
	b = append(b, group.AsSlice()...)
	return append(b, make([]byte, sources*len(group.AsSlice()))...)
}

func report(t byte, records ...[]byte) []byte {
	b := []byte{t, 0, 0, 0, 0, 0, 0, byte(len(records))}
	return append(b, bytes.Join(records, nil)...)
}

func TestDecode(t *testing.T) {
	other := netip.MustParseAddr("239.9.9.9")
	local := netip.MustParseAddr("224.0.0.251")
	for name, tc := range map[string]struct {
		frame []byte
		want  []members.Report
	}{
		"v1":                 {ip4(0x12, 0, 0, 0, 239, 1, 2, 3), []members.Report{{Group: group4}}},
		"v2":                 {ip4(0x16, 0, 0, 0, 239, 1, 2, 3), []members.Report{{Group: group4}}},
		"v2 leave":           {ip4(0x17, 0, 0, 0, 239, 1, 2, 3), []members.Report{{Group: group4, Leave: true}}},
		"v3":                 {ip4(report(0x22, record(4, group4, 0), record(3, other, 0))...), []members.Report{{Group: group4}, {Group: other, Leave: true}}},
		"v3 with sources":    {ip4(report(0x22, record(1, other, 2), record(5, group4, 1))...), []members.Report{{Group: other}, {Group: group4}}},
		"blocked sources":    {ip4(report(0x22, record(6, group4, 1))...), nil},
		"link-local":         {ip4(0x16, 0, 0, 0, 224, 0, 0, 251), nil},
		"link-local in v3":   {ip4(report(0x22, record(4, local, 0))...), nil},
		"a query":            {ip4(0x11, 0, 0, 0, 0, 0, 0, 0), nil},
		"mld 1":              {ip6(append(make([]byte, 0), append([]byte{131, 0, 0, 0, 0, 0, 0, 0}, group6.AsSlice()...)...)...), []members.Report{{Group: group6}}},
		"mld done":           {ip6(append([]byte{132, 0, 0, 0, 0, 0, 0, 0}, group6.AsSlice()...)...), []members.Report{{Group: group6, Leave: true}}},
		"mld 2":              {ip6(report(143, record(2, group6, 0))...), []members.Report{{Group: group6}}},
		"solicited node":     {ip6(report(143, record(4, netip.MustParseAddr("ff02::1:ff00:1"), 0))...), nil},
		"a lying count":      {ip4(0x22, 0, 0, 0, 0, 0, 0, 200), nil},
		"a lying source":     {ip4(append(report(0x22, record(5, group4, 0)[:2]), 0xff, 0xff, 239, 1, 2, 3)...), []members.Report{{Group: group4}}},
		"cut short":          {ip4(0x16, 0, 0), nil},
		"not multicast":      {ip4(0x16, 0, 0, 0, 10, 0, 0, 1), nil},
		"a lying extension":  {frame(layers.EthernetTypeIPv6, &layers.IPv6{Version: 6, NextHeader: 0, SrcIP: net.IPv6zero, DstIP: net.IPv6zero}, gopacket.Payload{58, 9, 0, 0, 0, 0, 0, 0}), nil},
		"no message at all":  {nil, nil},
		"another ip payload": {frame(layers.EthernetTypeIPv4, &layers.IPv4{Version: 4, Protocol: 17, SrcIP: net.IP{1, 1, 1, 1}, DstIP: net.IP{1, 1, 1, 1}}, gopacket.Payload{0x16, 0, 0, 0, 239, 1, 2, 3}), nil},
	} {
		if diff := cmp.Diff(tc.want, members.Decode(tc.frame), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestTable(t *testing.T) {
	m := members.New(members.Options{PerMember: 2})
	join, leave := ip4(0x16, 0, 0, 0, 239, 1, 2, 3), ip4(0x17, 0, 0, 0, 239, 1, 2, 3)
	k := members.Key{Domain: 5, Group: group4}
	if got := m.Heard(start, 5, guest, join); !slices.Equal(got, []members.Key{k}) {
		t.Errorf("the first report changes %v", got)
	}
	if got := m.Heard(start.Add(time.Second), 5, guest, join); got != nil {
		t.Errorf("the second report changes %v", got)
	}
	m.Heard(start, 5, peer, join)
	if got := m.Members(k); len(got) != 2 || !slices.Contains(got, guest) || !slices.Contains(got, peer) {
		t.Errorf("members %v", got)
	}
	if got := m.Heard(start, 5, guest, leave); !slices.Equal(got, []members.Key{k}) || len(m.Members(k)) != 1 {
		t.Errorf("the leave changes %v, members %v", got, m.Members(k))
	}
	if got := m.Expire(start.Add(time.Hour)); !slices.Equal(got, []members.Key{k}) || m.Members(k) != nil {
		t.Errorf("the time changes %v, members %v", got, m.Members(k))
	}
	for n := range byte(3) {
		m.Heard(start, 5, guest, ip4(0x16, 0, 0, 0, 239, 1, 2, n))
	}
	if m.Refused() != 1 {
		t.Errorf("%d refused", m.Refused())
	}
	if got := m.Retain(func(_ uint32, who members.Member) bool { return who != guest }); len(got) != 2 {
		t.Errorf("forgetting the guest changes %v", got)
	}
	m.Heard(start, 6, guest, join)
	if got := m.Retain(func(domain uint32, _ members.Member) bool { return domain != 6 }); len(got) != 1 {
		t.Errorf("forgetting the domain changes %v", got)
	}
}

// A second implementation reads the queries, with good checksums.
func TestQuery(t *testing.T) {
	q := members.Query(model.MAC{2, 0, 0, 0, 0, 9}, 5*time.Second)
	p := gopacket.NewPacket(q[0], layers.LayerTypeEthernet, gopacket.Default)
	g, _ := p.Layer(layers.LayerTypeIGMP).(*layers.IGMP)
	if p.ErrorLayer() != nil || g == nil || g.Type != layers.IGMPMembershipQuery || g.MaxResponseTime != 5*time.Second {
		t.Errorf("the second implementation reads %v", p)
	}
	for _, b := range [][]byte{q[0][14:38], q[0][38:]} {
		if s := sum(b); s != 0xffff {
			t.Errorf("the checksum of %x is wrong: %#x", b, s)
		}
	}
	p = gopacket.NewPacket(q[1], layers.LayerTypeEthernet, gopacket.Default)
	c, _ := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if c == nil || c.TypeCode.Type() != 130 {
		t.Fatalf("the second implementation reads %v", p)
	}
	ip := q[1][14:]
	if wait := binary.BigEndian.Uint16(ip[52:]); wait != 5000 {
		t.Errorf("answers are asked for within %d ms", wait)
	}
	if s := sum(append(append(bytes.Clone(ip[8:40]), 0, 0, 0, 28, 0, 0, 0, 58), ip[48:]...)); s != 0xffff {
		t.Errorf("the checksum of the MLD query is wrong: %#x", s)
	}
}

func sum(b []byte) uint32 {
	s := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return s
}

func FuzzHeard(f *testing.F) {
	f.Add(ip4(report(0x22, record(4, group4, 1))...))
	f.Add(ip6(report(143, record(2, group6, 0))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := members.New(members.Options{PerMember: 3})
		for _, k := range m.Heard(start, 1, guest, b) {
			if !k.Group.IsMulticast() || members.LinkLocal(k.Group) {
				t.Fatalf("%v is kept", k)
			}
		}
		if n := len(m.Retain(func(_ uint32, who members.Member) bool { return who != guest })); n > 3 {
			t.Fatalf("%d groups of one member", n)
		}
	})
}

package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
)

// world is networks nw-a and nw-b, the latter with an MTU of 1,400 bytes, that a route link joins, each with a guest at this host (10.0.0.1 and fd00:a::1 at port 11, 10.1.0.1 and
// fd00:b::1 at port 12), and a leg at .254 and ::fe. In nw-a there is a simulated interface at .53 and ::53 that routes nothing.
func world() []model.Object {
	var objects []model.Object
	id := uint32(0)
	station := func(uuid, network string, m byte, i model.Interface, addrs ...string) {
		id++
		i.Meta = model.Meta{UUID: "if-" + uuid, ID: id}
		objects = append(objects, &i, &model.MACLease{Meta: model.Meta{UUID: "ml-" + uuid, ID: id}, InterfaceUUID: i.UUID, MACAddress: mac(m)})
		if i.Mode == model.InterfaceVIF {
			objects = append(objects, &model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + uuid, ID: id}, InterfaceUUID: i.UUID, DatapathUUID: "dp-0", PortName: uuid})
		}
		for n, a := range addrs {
			l := &model.IPLease{Meta: model.Meta{UUID: fmt.Sprintf("il-%s%d", uuid, n), ID: 10*id + uint32(n)}, InterfaceUUID: i.UUID, NetworkUUID: network, MACLeaseUUID: "ml-" + uuid}
			if l.IPv4Address = netip.MustParseAddr(a); l.IPv4Address.Is6() {
				l.IPv4Address, l.IPv6Address = netip.Addr{}, l.IPv4Address
			}
			objects = append(objects, l)
		}
	}
	leg := model.Interface{Mode: model.InterfaceSimulated, EnableRouting: true}
	station("a", "nw-a", 1, model.Interface{Mode: model.InterfaceVIF}, "10.0.0.1", "fd00:a::1")
	station("b", "nw-b", 2, model.Interface{Mode: model.InterfaceVIF}, "10.1.0.1", "fd00:b::1")
	station("la", "nw-a", 101, leg, "10.0.0.254", "fd00:a::fe")
	station("lb", "nw-b", 102, leg, "10.1.0.254", "fd00:b::fe")
	station("dns", "nw-a", 53, model.Interface{Mode: model.InterfaceSimulated}, "10.0.0.53", "fd00:a::53")
	network := func(n uint32, name, v4, v6 string, mtu uint16) {
		objects = append(objects,
			&model.Network{
				Meta: model.Meta{UUID: "nw-" + name, ID: n}, Mode: model.NetworkVirtual, VNI: 99 + n, MTU: mtu,
				IPv4Network: netip.MustParseAddr(v4), IPv4Prefix: 24, IPv6Network: netip.MustParseAddr(v6), IPv6Prefix: 64,
			},
			&model.Route{
				Meta: model.Meta{UUID: "r-" + name, ID: n}, InterfaceUUID: "if-l" + name, NetworkUUID: "nw-" + name, RouteLinkUUID: "rl-a", Mode: model.RouteGateway,
				IPv4Network: netip.MustParseAddr(v4), IPv4Prefix: 24, IPv6Network: netip.MustParseAddr(v6), IPv6Prefix: 64, Ingress: true, Egress: true,
			})
	}
	network(1, "a", "10.0.0.0", "fd00:a::", 0)
	network(2, "b", "10.1.0.0", "fd00:b::", 1400)
	return append(objects,
		&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}, Automatic: true},
		&model.Datapath{Meta: model.Meta{UUID: "dp-0", ID: 1}, DPID: 1},
		&model.RouteLink{Meta: model.Meta{UUID: "rl-a", ID: 1}, VNI: 900, MACAddress: mac(250)},
		&model.Route{Meta: model.Meta{UUID: "r-hole", ID: 3}, RouteLinkUUID: "rl-a", Mode: model.RouteBlackhole, IPv4Network: netip.MustParseAddr("10.9.0.0"), IPv4Prefix: 16, Egress: true},
	)
}

// sentTo is a packet of the guest at port 11, to a MAC address.
type sentTo struct {
	mac     byte
	to      string
	ttl     uint8
	proto   layers.IPProtocol
	inner   gopacket.SerializableLayer
	size    int // of the IP packet
	df      bool
	unheard bool // nobody is told
	from    string
}

func (s sentTo) frame(t *testing.T) []byte {
	t.Helper()
	m1, m2 := mac(1), mac(s.mac)
	eth := &layers.Ethernet{SrcMAC: m1[:], DstMAC: m2[:], EthernetType: layers.EthernetTypeIPv4}
	to := netip.MustParseAddr(s.to)
	ls := []gopacket.SerializableLayer{eth}
	head := 20
	if to.Is6() {
		eth.EthernetType, head = layers.EthernetTypeIPv6, 40
		from := s.from
		if from == "" {
			from = "fd00:a::1"
		}
		ls = append(ls, &layers.IPv6{Version: 6, HopLimit: s.ttl, NextHeader: s.proto, SrcIP: netip.MustParseAddr(from).AsSlice(), DstIP: to.AsSlice()})
	} else {
		ip := &layers.IPv4{Version: 4, TTL: s.ttl, Id: 5, Protocol: s.proto, SrcIP: []byte{10, 0, 0, 1}, DstIP: to.AsSlice()}
		if s.df {
			ip.Flags = layers.IPv4DontFragment
		}
		ls = append(ls, ip)
	}
	switch l := s.inner.(type) {
	case *layers.TCP:
		head += 20
		_ = l.SetNetworkLayerForChecksum(ls[1].(gopacket.NetworkLayer))
		ls = append(ls, l)
	case *layers.UDP:
		head += 8
		_ = l.SetNetworkLayerForChecksum(ls[1].(gopacket.NetworkLayer))
		ls = append(ls, l)
	case *layers.ICMPv4:
		head += 8
		ls = append(ls, l)
	}
	body := make([]byte, max(s.size-head, 60))
	for i := range body {
		body[i] = byte(i)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(ls, gopacket.Payload(body))...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What routers and simulated interfaces say (RFC 792, RFC 1122, RFC 1812, RFC 4443), as a guest hears it.
func TestSendersAreTold(t *testing.T) {
	b := newBench(t, world(), port("a", "", 11), port("b", "", 12))
	newUDP := func() gopacket.SerializableLayer { return &layers.UDP{SrcPort: 7, DstPort: 8} }
	newTCP := func() gopacket.SerializableLayer { return &layers.TCP{SrcPort: 7, DstPort: 8, SYN: true, Seq: 9} }
	const reset = 255
	type says struct {
		from      string
		ttl       uint8
		typ, code uint8
		rest      uint32
	}
	const tcp, udp, gre, icmp4 = layers.IPProtocolTCP, layers.IPProtocolUDP, layers.IPProtocolGRE, layers.IPProtocolICMPv4
	for _, tc := range []struct {
		name string
		sent sentTo
		want says
	}{
		{"ttl", sentTo{mac: 101, to: "10.1.0.1", ttl: 1, proto: udp, inner: newUDP()}, says{"10.0.0.254", 63, 11, 0, 0}},
		{"ttl, tcp", sentTo{mac: 101, to: "10.1.0.1", ttl: 1, proto: tcp, inner: newTCP()}, says{"10.0.0.254", 63, 11, 0, 0}},
		{"ttl, echo", sentTo{mac: 101, to: "10.1.0.1", ttl: 1, proto: icmp4, inner: &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}}, says{"10.0.0.254", 63, 11, 0, 0}},
		{"ttl 6", sentTo{mac: 101, to: "fd00:b::1", ttl: 1, proto: udp, inner: newUDP()}, says{"fd00:a::fe", 63, 3, 0, 0}},
		{"ttl of an error", sentTo{mac: 101, to: "10.1.0.1", ttl: 1, proto: icmp4, inner: &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 1)}, unheard: true}, says{}},
		{"no route", sentTo{mac: 101, to: "10.5.0.1", ttl: 9, proto: udp, inner: newUDP()}, says{"10.0.0.254", 63, 3, 0, 0}},
		{"no route 6", sentTo{mac: 101, to: "fd00:e::1", ttl: 9, proto: udp, inner: newUDP()}, says{"fd00:a::fe", 63, 1, 0, 0}},
		{"black hole", sentTo{mac: 101, to: "10.9.0.1", ttl: 9, proto: udp, inner: newUDP(), unheard: true}, says{}},
		{"no neighbour", sentTo{mac: 101, to: "10.1.0.77", ttl: 9, proto: udp, inner: newUDP()}, says{"10.0.0.254", 63, 3, 1, 0}},
		{"no neighbour 6", sentTo{mac: 101, to: "fd00:b::77", ttl: 9, proto: udp, inner: newUDP()}, says{"fd00:a::fe", 63, 1, 3, 0}},
		{"no way in 6", sentTo{mac: 101, to: "fd00:b::1", ttl: 9, proto: udp, inner: newUDP(), from: "fe80::ff:fe00:1"}, says{"fe80::ff:fe00:65", 64, 1, 5, 0}},
		{"gateway, udp", sentTo{mac: 101, to: "10.0.0.254", ttl: 9, proto: udp, inner: newUDP()}, says{"10.0.0.254", 63, 3, 3, 0}},
		{"gateway, the far address", sentTo{mac: 101, to: "10.1.0.254", ttl: 9, proto: udp, inner: newUDP()}, says{"10.1.0.254", 63, 3, 3, 0}},
		{"gateway, tcp", sentTo{mac: 101, to: "10.0.0.254", ttl: 9, proto: tcp, inner: newTCP()}, says{"10.0.0.254", 63, reset, 0, 0}},
		{"gateway, gre", sentTo{mac: 101, to: "10.0.0.254", ttl: 9, proto: gre}, says{"10.0.0.254", 63, 3, 2, 0}},
		{"gateway, echo reply", sentTo{mac: 101, to: "10.0.0.254", ttl: 9, proto: icmp4, inner: &layers.ICMPv4{}, unheard: true}, says{}},
		{"gateway 6, udp", sentTo{mac: 101, to: "fd00:a::fe", ttl: 9, proto: udp, inner: newUDP()}, says{"fd00:a::fe", 63, 1, 4, 0}},
		{"gateway 6, tcp", sentTo{mac: 101, to: "fd00:a::fe", ttl: 9, proto: tcp, inner: newTCP()}, says{"fd00:a::fe", 63, reset, 0, 0}},
		{"gateway 6, gre", sentTo{mac: 101, to: "fd00:a::fe", ttl: 9, proto: gre}, says{"fd00:a::fe", 63, 4, 1, 6}},
		{"station, udp", sentTo{mac: 53, to: "10.0.0.53", ttl: 9, proto: udp, inner: newUDP()}, says{"10.0.0.53", 64, 3, 3, 0}},
		{"station, tcp", sentTo{mac: 53, to: "10.0.0.53", ttl: 9, proto: tcp, inner: newTCP()}, says{"10.0.0.53", 64, reset, 0, 0}},
		{"station 6, udp", sentTo{mac: 53, to: "fd00:a::53", ttl: 9, proto: udp, inner: newUDP()}, says{"fd00:a::53", 64, 1, 4, 0}},
		{"station, for somebody else", sentTo{mac: 53, to: "10.5.0.1", ttl: 9, proto: udp, inner: newUDP(), unheard: true}, says{}},
		{"too big", sentTo{mac: 101, to: "10.1.0.1", ttl: 9, proto: udp, inner: newUDP(), size: 1401, df: true}, says{"10.0.0.254", 63, 3, 4, 1400}},
		{"too big 6", sentTo{mac: 101, to: "fd00:b::1", ttl: 9, proto: udp, inner: newUDP(), size: 1401}, says{"fd00:a::fe", 63, 2, 0, 1400}},
		{"too big and at its end", sentTo{mac: 101, to: "10.1.0.1", ttl: 1, proto: udp, inner: newUDP(), size: 1401, df: true}, says{"10.0.0.254", 63, 11, 0, 0}},
	} {
		before := b.count("error", dropNotAnswered)
		in := tc.sent.frame(t)
		if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: in}); len(out) > 0 {
			t.Errorf("%s: passes: %v", tc.name, out)
			continue
		}
		if tc.sent.unheard {
			if tc.name != "black hole" && tc.name != "station, for somebody else" { // where the agent is not asked
				b.until(tc.name, func() bool { return b.count("error", dropNotAnswered) == before+1 })
			}
			continue
		}
		f := b.sent(tc.name, func(f ovstest.Frame) bool { return f.Port == 11 })
		p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default)
		if m := mac(1); !bytes.Equal(p.LinkLayer().LinkFlow().Dst().Raw(), m[:]) || p.ErrorLayer() != nil {
			t.Errorf("%s: %s", tc.name, p)
			continue
		}
		got := says{from: p.NetworkLayer().NetworkFlow().Src().String()}
		switch l := p.NetworkLayer().(type) {
		case *layers.IPv4:
			got.ttl = l.TTL
		case *layers.IPv6:
			got.ttl = l.HopLimit
		}
		if r, ok := p.TransportLayer().(*layers.TCP); ok && r.RST && r.Ack == 9+1+60 {
			got.typ = reset
		} else {
			l := p.Layer(layers.LayerTypeICMPv4)
			if l == nil {
				l = p.Layer(layers.LayerTypeICMPv6)
			}
			if l == nil {
				t.Errorf("%s: %s", tc.name, p)
				continue
			}
			all := append(bytes.Clone(l.LayerContents()), l.LayerPayload()...)
			got.typ, got.code, got.rest = all[0], all[1], binary.BigEndian.Uint32(all[4:])
			quoted := all[8:]
			ttl := 8 // IPv4
			if quoted[0]>>4 == 6 {
				ttl = 7
			}
			if left := in[14+ttl] - quoted[ttl]; left > 1 || !bytes.Equal(quoted[12:28], in[26:42]) {
				t.Errorf("%s: quotes %x of %x", tc.name, quoted, in[14:])
			}
		}
		if got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// What is too big and may be cut is cut, and goes on. What just fits passes as it is.
func TestTooBigIsCut(t *testing.T) {
	b := newBench(t, world(), port("a", "", 11), port("b", "", 12))
	whole := sentTo{mac: 101, to: "10.1.0.1", ttl: 9, proto: layers.IPProtocolUDP, inner: &layers.UDP{SrcPort: 7, DstPort: 8}, size: 3000}.frame(t)
	if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: whole}); len(out) > 0 {
		t.Fatalf("passes: %v", out)
	}
	d := ip4defrag.NewIPv4Defragmenter()
	for n := range 3 {
		f := b.sent("a fragment", func(f ovstest.Frame) bool { return f.Port == 12 })
		ip := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default).NetworkLayer().(*layers.IPv4)
		if ip.Length > 1400 || ip.TTL != 8 {
			t.Errorf("fragment of %d bytes with TTL %d", ip.Length, ip.TTL)
		}
		got, err := d.DefragIPv4(ip)
		if err != nil {
			t.Fatal(err)
		}
		if n == 2 && (got == nil || !bytes.Equal(got.Payload, whole[34:])) {
			t.Error("the fragments are not the packet")
		}
	}
	if n := b.teller.oversize.Load(); n != 1 {
		t.Errorf("%d packets too big, want 1", n)
	}
	fits := sentTo{mac: 101, to: "10.1.0.1", ttl: 9, proto: layers.IPProtocolUDP, inner: &layers.UDP{SrcPort: 7, DstPort: 8}, size: 1400, df: true}.frame(t)
	if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: fits}); len(out) != 1 || out[0].Port != 12 {
		t.Errorf("what fits: %v", out)
	}
	// The other way nothing is looked at: no network of the link's routes has a larger MTU than that which nothing bounds.
	if n := strings.Count(b.flows(), "check_pkt_larger"); n != 1 {
		t.Errorf("%d flows look at sizes, want 1", n)
	}
}

// Who sends to a next hop that does not answer is told when it is given up, and from then on at once.
func TestNobodyAnswers(t *testing.T) {
	b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1"), router()), port("p1", "", 11))
	packet := udp(mac(1), mac(101), "10.0.0.1", "192.0.2.7")
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet})
	b.sent("a question", func(f ovstest.Frame) bool { return f.Port == portNIC })
	began := time.Now()
	unreachable := func() {
		t.Helper()
		f := b.sent("an answer", func(f ovstest.Frame) bool { return f.Port == 11 })
		l, ok := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if !ok || l.TypeCode != layers.CreateICMPv4TypeCode(3, 1) {
			t.Errorf("told %x", f.Data)
		}
	}
	unreachable()
	if waited := time.Since(began); waited < 2*time.Second {
		t.Errorf("given up after %s", waited)
	}
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet})
	unreachable()
}

// What is refused behind a leg that translates comes back through the translation: the guest hears of its own packet.
func TestTellingIsTranslatedBack(t *testing.T) {
	objects := slices.Concat(base(), guest(1, "dp-0", "p1"), router(), []model.Object{
		&model.Translation{Meta: model.Meta{UUID: "tr-a", ID: 1}, Mode: model.TranslationMasquerade, InterfaceUUID: "if-out"},
	})
	for _, o := range objects {
		if i, ok := o.(*model.Interface); ok && i.UUID == "if-out" {
			i.EnableRouteTranslation = true
		}
	}
	b := newBench(t, objects, port("p1", "", 11))
	packet := udp(mac(1), mac(101), "10.0.0.1", "192.0.2.7")
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet})
	question := b.sent("a question", func(f ovstest.Frame) bool { return f.Port == portNIC })
	f := b.sent("an answer", func(f ovstest.Frame) bool { return f.Port == 11 })
	p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.Default)
	l, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if !ok || l.TypeCode != layers.CreateICMPv4TypeCode(3, 1) {
		t.Fatalf("told %x after %x", f.Data, question.Data)
	}
	if from, to := p.NetworkLayer().NetworkFlow().Endpoints(); from.String() != "192.0.2.1" || to.String() != "10.0.0.1" {
		t.Errorf("from %s to %s", from, to)
	}
	if !bytes.Equal(l.Payload[12:24], packet[26:38]) { // addresses and ports
		t.Errorf("quotes %x of %x", l.Payload, packet[14:])
	}
	if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
		t.Errorf("checksums: %v, %v", bad, err)
	}
}

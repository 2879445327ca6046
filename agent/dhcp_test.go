package agent

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp"
	"github.com/openvnet/openvnet/services/frame"
)

// dhcpFrame is a client's message as a frame.
func dhcpFrame(t testing.TB, from model.MAC, tag uint16, mods ...dhcpv4.Modifier) []byte {
	t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(from[:]), dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover)}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	return frame.Datagram{
		Ethernet: frame.Ethernet{Dst: frame.Broadcast(), Src: from, Tagged: tag != 0, TCI: tag},
		IP:       frame.IPv4{TTL: 64, Src: netip.IPv4Unspecified(), Dst: netip.AddrFrom4([4]byte{255, 255, 255, 255})},
		UDP:      frame.UDP{SrcPort: 68, DstPort: 67}, Payload: m.ToBytes(),
	}.Encode()
}

// told is what an answer tells, as a second decoder reads it.
type told struct {
	addr, server string
	vlan         uint16
	options      map[byte]string
}

func readAnswer(t *testing.T, b []byte) told {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	m, ok := p.Layer(layers.LayerTypeDHCPv4).(*layers.DHCPv4)
	if !ok {
		t.Fatalf("no DHCP: %v", p)
	}
	out := told{addr: m.YourClientIP.String(), options: map[byte]string{}}
	if tag, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		out.vlan = tag.VLANIdentifier
	}
	for _, o := range m.Options {
		switch o.Type {
		case layers.DHCPOptServerID:
			out.server = netip.AddrFrom4([4]byte(o.Data)).String()
		case layers.DHCPOptPad, layers.DHCPOptMessageType:
		default:
			out.options[byte(o.Type)] += string(o.Data)
		}
	}
	return out
}

// servedIn gives a simulated interface with a DHCP service and an address in a network, pinned to a host if one is named.
func servedIn(network, addr, at string) []model.Object {
	objects := dhcpServer()
	l := objects[2].(*model.IPLease)
	l.NetworkUUID, l.IPv4Address = network, netip.MustParseAddr(addr)
	if at != "" {
		objects = append(objects, &model.InterfacePort{Meta: model.Meta{UUID: "ifp-dhcp", ID: 99}, InterfaceUUID: "if-dhcp", DatapathUUID: at})
	}
	return objects
}

// edit changes the objects of one type.
func edit[T model.Object](objects []model.Object, change func(T)) []model.Object {
	objects = slices.Clone(objects)
	for i, o := range objects {
		if v, ok := o.(T); ok {
			v = model.Clone(v)
			change(v)
			objects[i] = v
		}
	}
	return objects
}

// Guests of every kind of network and segment are answered, and who is behind a port or the wire too, back where the question came from.
func TestDHCPInEveryNetwork(t *testing.T) {
	vif := guest(1, "dp-0", "p1")
	device := []model.Object{ // is registered, and behind a port or the wire
		&model.Interface{Meta: model.Meta{UUID: "if-dev", ID: 7}, Mode: model.InterfaceVIF},
		&model.MACLease{Meta: model.Meta{UUID: "ml-dev", ID: 7}, InterfaceUUID: "if-dev", MACAddress: mac(7)},
		&model.IPLease{Meta: model.Meta{UUID: "il-dev", ID: 7}, InterfaceUUID: "if-dev", NetworkUUID: "nw-a", MACLeaseUUID: "ml-dev", IPv4Address: netip.MustParseAddr("10.0.0.7")},
	}
	inNetwork := func(mode string) []model.Object {
		return edit(base(), func(n *model.Network) {
			if n.Mode = mode; mode != model.NetworkVirtual {
				n.VNI = 0
			}
		})
	}
	onSegment := func(mode string) []model.Object {
		s := &model.Segment{Meta: model.Meta{UUID: "seg-a", ID: 1}, Mode: mode}
		if mode == model.SegmentVirtual {
			s.VNI = 200
		}
		objects := edit(base(), func(n *model.Network) { n.SegmentUUID, n.VNI = "seg-a", 0 })
		return append(objects, s)
	}
	edge := []model.Object{
		&model.Interface{Meta: model.Meta{UUID: "if-edge", ID: 3}, Mode: model.InterfaceEdge},
		&model.InterfacePort{Meta: model.Meta{UUID: "ifp-edge", ID: 3}, InterfaceUUID: "if-edge", DatapathUUID: "dp-0", PortName: "p3"},
		&model.Translation{Meta: model.Meta{UUID: "tr-edge", ID: 3}, Mode: model.TranslationEdge, InterfaceUUID: "if-edge"},
		&model.VLANTranslation{Meta: model.Meta{UUID: "vt-edge", ID: 3}, TranslationUUID: "tr-edge", NetworkUUID: "nw-a", VLANID: 42},
	}
	patch := edit(attached(3, "p3"), func(i *model.Interface) { i.Mode = model.InterfacePatch })
	promiscuousOn := func(mode string) []model.Object {
		return slices.Concat(onSegment(mode), []model.Object{
			&model.Interface{Meta: model.Meta{UUID: "if-d", ID: 3}, Mode: model.InterfacePromiscuous},
			&model.InterfacePort{Meta: model.Meta{UUID: "ifp-d", ID: 3}, InterfaceUUID: "if-d", DatapathUUID: "dp-0", PortName: "p3"},
			&model.InterfaceSegment{Meta: model.Meta{UUID: "ifs-d", ID: 3}, InterfaceUUID: "if-d", SegmentUUID: "seg-a", Static: true},
		})
	}
	onSegmentMAC := func(objects []model.Object) []model.Object {
		return edit(objects, func(l *model.MACLease) { l.SegmentUUID = "seg-a" })
	}
	internal := []model.Object{
		&model.Interface{Meta: model.Meta{UUID: "if-int", ID: 9}, Mode: model.InterfaceInternal},
		&model.InterfacePort{Meta: model.Meta{UUID: "ifp-int", ID: 9}, InterfaceUUID: "if-int", DatapathUUID: "dp-0"},
		&model.MACLease{Meta: model.Meta{UUID: "ml-int", ID: 9}, InterfaceUUID: "if-int", MACAddress: mac(9)},
		&model.IPLease{Meta: model.Meta{UUID: "il-int", ID: 9}, InterfaceUUID: "if-int", NetworkUUID: "nw-a", MACLeaseUUID: "ml-int", IPv4Address: netip.MustParseAddr("10.0.0.9")},
	}
	other := []model.Object{ // another host's own interface
		&model.Datapath{Meta: model.Meta{UUID: "dp-1", ID: 2}, DPID: 2},
		&model.Interface{Meta: model.Meta{UUID: "if-host", ID: 8}, Mode: model.InterfaceHost},
		&model.InterfacePort{Meta: model.Meta{UUID: "ifp-host", ID: 8}, InterfaceUUID: "if-host", DatapathUUID: "dp-1"},
		&model.MACLease{Meta: model.Meta{UUID: "ml-host", ID: 8}, InterfaceUUID: "if-host", MACAddress: mac(8)},
		&model.IPLease{Meta: model.Meta{UUID: "il-host", ID: 8}, InterfaceUUID: "if-host", NetworkUUID: "nw-a", MACLeaseUUID: "ml-host", IPv4Address: netip.MustParseAddr("10.0.0.8")},
	}
	virtual, physical := inNetwork(model.NetworkVirtual), inNetwork(model.NetworkPhysical)
	service := servedIn("nw-a", "10.0.0.99", "")
	here := servedIn("nw-a", "10.0.0.99", "dp-0")
	for name, c := range map[string]struct {
		objects []model.Object
		port    uint32 // of question and answer
		from    byte   // last byte of the MAC address, and of the address
		tag     uint16
		silent  bool
	}{
		"virtual":                             {slices.Concat(virtual, service, vif), 11, 1, 0, false},
		"virtual, pinned here":                {slices.Concat(virtual, here, vif), 11, 1, 0, false},
		"virtual, pinned elsewhere":           {slices.Concat(virtual, servedIn("nw-a", "10.0.0.99", "dp-1"), vif, other[:1]), 11, 1, 0, false},
		"no service":                          {slices.Concat(virtual, vif), 11, 1, 0, true},
		"behind a promiscuous port":           {slices.Concat(virtual, service, attached(3, "p3"), device), 13, 7, 0, false},
		"behind a patch port":                 {slices.Concat(virtual, service, patch, device), 13, 7, 0, false},
		"behind an edge port":                 {slices.Concat(virtual, service, edge, device), 13, 7, 42, false},
		"behind an edge port, another tag":    {slices.Concat(virtual, service, edge, device), 13, 7, 43, true},
		"behind a port, unknown":              {slices.Concat(virtual, service, attached(3, "p3")), 13, 7, 0, true},
		"behind a port, another's address":    {slices.Concat(virtual, service, attached(3, "p3"), vif), 13, 1, 0, true},
		"internal":                            {slices.Concat(inNetwork(model.NetworkInternal), service, vif), 11, 1, 0, false},
		"internal, the host itself":           {slices.Concat(inNetwork(model.NetworkInternal), service, internal), portLocal, 9, 0, false},
		"physical, a guest":                   {slices.Concat(physical, here, vif), 11, 1, 0, false},
		"physical, from the wire":             {slices.Concat(physical, here, device), portNIC, 7, 0, false},
		"physical, another host":              {slices.Concat(physical, here, other), portNIC, 8, 0, false},
		"physical, unknown on the wire":       {slices.Concat(physical, here, vif), portNIC, 66, 0, true},
		"physical, for another host to say":   {slices.Concat(physical, servedIn("nw-a", "10.0.0.99", "dp-1"), other[:1], vif, device), portNIC, 7, 0, true},
		"physical, by a device behind a port": {slices.Concat(physical, here, attached(3, "p3"), device), 13, 7, 0, false},
		"segment":                             {slices.Concat(onSegment(model.SegmentVirtual), onSegmentMAC(service), onSegmentMAC(vif)), 11, 1, 0, false},
		"physical segment":                    {slices.Concat(onSegment(model.SegmentPhysical), onSegmentMAC(here), onSegmentMAC(vif)), 11, 1, 0, false},
		"segment, behind a promiscuous port":  {slices.Concat(promiscuousOn(model.SegmentVirtual), onSegmentMAC(service), onSegmentMAC(device)), 13, 7, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.objects, port("p1", "", 11), port("p3", "", 13), compile.Port{Name: "br0", OFPort: portLocal})
			out := b.sw.Receive(t, ovstest.Frame{Port: c.port, Data: dhcpFrame(t, mac(c.from), c.tag)})
			if c.silent {
				asked := b.dhcp.verdicts.of(dhcp.Offer)
				b.sw.Receive(t, ovstest.Frame{Port: c.port, Data: dhcpFrame(t, mac(c.from), c.tag)})
				if asked != 0 || b.dhcp.verdicts.of(dhcp.Offer) != 0 {
					t.Error("answered")
				}
				return
			}
			if c.port != portNIC && len(out) != 0 {
				t.Errorf("the question goes to %v", out)
			}
			f := b.sent("an offer", func(f ovstest.Frame) bool { return true })
			got := readAnswer(t, f.Data)
			want := told{"10.0.0." + netip.AddrFrom4([4]byte{0, 0, 0, c.from}).String()[6:], "10.0.0.99", c.tag, nil}
			if got.options = nil; f.Port != c.port || cmp.Diff(want, got, cmp.AllowUnexported(told{})) != "" {
				t.Errorf("out of port %d: %+v, want %+v", f.Port, got, want)
			}
		})
	}
}

// retained gives a container of that lease time with a lease in it.
func retained(lease string, seconds int64) []model.Object {
	container := fmt.Sprintf("irc-%d", seconds)
	return []model.Object{
		&model.IPRetentionContainer{Meta: model.Meta{UUID: container, ID: uint32(seconds)}, LeaseTime: &seconds},
		&model.IPRetention{Meta: model.Meta{UUID: fmt.Sprintf("ipret-%d-%s", seconds, lease), ID: uint32(seconds)}, IPRetentionContainerUUID: container, IPLeaseUUID: lease},
	}
}

// What is told follows from what the replica has at the time: the next answer has it, in whatever order it has come.
func TestDHCPFollowsChanges(t *testing.T) {
	b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1")), port("p1", "", 11))
	revision := int64(1)
	change := func(objects []model.Object, deletes ...string) {
		revision++
		b.replica.change(revision, objects, deletes)
		signal(b.wakes)
	}
	ask := func() told {
		t.Helper()
		b.sw.Receive(t, ovstest.Frame{Port: 11, Data: dhcpFrame(t, mac(1), 0, dhcpv4.WithRequestedOptions(dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionDomainNameServer))})
		return readAnswer(t, b.sent("an offer", func(f ovstest.Frame) bool { return f.Port == 11 }).Data)
	}
	served := func() bool {
		return slices.ContainsFunc(strings.Split(b.flows(), "\n"), func(f string) bool {
			return strings.Contains(f, "udp,reg0=0x64,tp_src=68,tp_dst=67")
		})
	}
	if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: dhcpFrame(t, mac(1), 0)}); len(out) != 0 {
		t.Errorf("without a service: %v", out)
	}
	change(dhcpServer())
	b.until("there is a service", served)

	leg := func(n byte, network, addr string) []model.Object {
		uuid, id := "if-g"+string('a'+rune(n)), uint32(200+n)
		return []model.Object{
			&model.Interface{Meta: model.Meta{UUID: uuid, ID: id}, Mode: model.InterfaceSimulated, EnableRouting: true},
			&model.MACLease{Meta: model.Meta{UUID: "ml" + uuid[2:], ID: id}, InterfaceUUID: uuid, MACAddress: mac(200 + n)},
			&model.IPLease{Meta: model.Meta{UUID: "il" + uuid[2:], ID: id}, InterfaceUUID: uuid, NetworkUUID: network, MACLeaseUUID: "ml" + uuid[2:], IPv4Address: netip.MustParseAddr(addr)},
		}
	}
	route := func(name, iface, network, prefix string, id uint32) *model.Route {
		p := netip.MustParsePrefix(prefix)
		return &model.Route{Meta: model.Meta{UUID: "r-" + name, ID: id}, Mode: model.RouteGateway, InterfaceUUID: iface, NetworkUUID: network, RouteLinkUUID: "rl-a", IPv4Network: p.Addr(), IPv4Prefix: p.Bits(), Ingress: true, Egress: true}
	}
	option := func(id uint32, code uint16, format, value string) *model.DHCPOption {
		return &model.DHCPOption{Meta: model.Meta{UUID: "dhco-" + string('a'+rune(id)), ID: id}, NetworkServiceUUID: "ns-dhcp", Family: 4, Code: code, Format: format, Value: model.DHCPOptionValue(value)}
	}
	network := *base()[2].(*model.Network)
	network.DomainName, network.DHCPLeaseTime = "a.example", 600
	named := *guest(1, "", "")[0].(*model.Interface)
	named.Hostname = "web"
	const routes = "\x18\x0a\x02\x00\x0a\x00\x00\xc8"
	type want map[byte]string
	steps := []struct {
		what    string
		change  []model.Object
		deletes []string
		want    want
	}{
		{"a service alone", nil, nil, want{1: "\xff\xff\xff\x00", 28: "\x0a\x00\x00\xff", 51: "\x00\x01\x51\x80", 12: "b", 3: "", 6: "", 15: "a", 121: "", 54: ""}},
		{"the network's domain and time", []model.Object{&network}, nil, want{15: "a.example", 119: "\x01a\x07example\x00", 51: "\x00\x00\x02\x58", 58: "\x00\x00\x01\x2c", 59: "\x00\x00\x02\x0d"}},
		{"a lease that lives shorter", append(retained("il-b", 300), retained("il-b", 3600)...), nil, want{51: "\x00\x00\x01\x2c", 58: "\x00\x00\x00\x96", 59: "\x00\x00\x01\x06"}},
		{"it lives longer", nil, []string{"ipret-300-il-b"}, want{51: "\x00\x00\x02\x58"}},
		{"for ever", []model.Object{&model.IPRetentionContainer{Meta: model.Meta{UUID: "irc-3600", ID: 3600}}}, nil, want{51: "\x00\x00\x02\x58"}},
		{"hardly", retained("il-b", 0), nil, want{51: "\x00\x00\x00\x08", 58: "\x00\x00\x00\x04", 59: "\x00\x00\x00\x07"}},
		{"another's lease", retained("il-x", 60), []string{"ipret-0-il-b"}, want{51: "\x00\x00\x02\x58"}},
		{"a name", []model.Object{&named}, nil, want{12: "web"}},
		{"a router's networks", slices.Concat(leg(0, "nw-a", "10.0.0.200"), leg(1, "nw-b", "10.2.0.1"), []model.Object{
			&model.Network{Meta: model.Meta{UUID: "nw-b", ID: 2}, Mode: model.NetworkVirtual, VNI: 101, IPv4Network: netip.MustParseAddr("10.2.0.0"), IPv4Prefix: 24},
			&model.RouteLink{Meta: model.Meta{UUID: "rl-a", ID: 1}, VNI: 300}, route("a", "if-ga", "nw-a", "10.0.0.0/24", 1), route("b", "if-gb", "nw-b", "10.2.0.0/24", 2),
		}), nil, want{121: routes, 3: ""}},
		{"a default route", []model.Object{route("out", "if-gb", "nw-b", "0.0.0.0/0", 3)}, nil, want{121: "\x00\x0a\x00\x00\xc8" + routes, 3: ""}},
		{"a name server", []model.Object{&model.NetworkService{Meta: model.Meta{UUID: "ns-dns", ID: 5}, Mode: model.ServiceDNS, InterfaceUUID: "if-dhcp"}}, nil, want{6: "\x0a\x00\x00\x63"}},
		{"options", []model.Object{option(1, 6, "ip", "192.0.2.53"), option(2, 138, "ip", "192.0.2.1"), option(3, 15, "text", "")}, nil, want{6: "\xc0\x00\x02\x35", 138: "\xc0\x00\x02\x01", 15: "", 119: "\x01a\x07example\x00"}},
		{"another value", []model.Object{option(2, 138, "ip", "192.0.2.2")}, nil, want{138: "\xc0\x00\x02\x02"}},
		{"an MTU", []model.Object{func() *model.Network { n := network; n.MTU = 1280; return &n }()}, nil, want{26: "\x05\x00"}},
		{"no options any more", nil, []string{"dhco-b", "dhco-c", "dhco-d"}, want{6: "\x0a\x00\x00\x63", 138: "", 15: "a.example"}},
		{"no default route any more", nil, []string{"r-out"}, want{121: routes}},
		{"no routes any more", nil, []string{"r-a"}, want{121: ""}},
	}
	for _, s := range steps {
		if s.change != nil || s.deletes != nil {
			change(s.change, s.deletes...)
		}
		got := ask()
		for code, want := range s.want {
			if got.options[code] != want {
				t.Errorf("%s: option %d is %q, want %q", s.what, code, got.options[code], want)
			}
		}
	}
	change(nil, "ns-dhcp")
	b.until("there is no service", func() bool { return !served() })
	change(dhcpServer()[3:])
	b.until("there is one again", served)
	if got := ask(); got.addr != "10.0.0.1" {
		t.Errorf("offered %s", got.addr)
	}
	change([]model.Object{&model.IPLease{
		Meta: model.Meta{UUID: "il-b", ID: 1}, InterfaceUUID: "if-b", NetworkUUID: "nw-a", MACLeaseUUID: "ml-b", IPv4Address: netip.MustParseAddr("10.0.0.77"),
	}})
	b.until("another address", func() bool { return ask().addr == "10.0.0.77" })
}

// What clients say of their leases reaches the manager, is shown, and ends.
func TestDHCPTenants(t *testing.T) {
	objects := edit(slices.Concat(base(), dhcpServer(), guest(1, "dp-0", "p1")), func(n *model.Network) { n.DHCPLeaseTime = 600 })
	r := newReplica()
	r.load("store", "dp-0", 1, objects, true)
	r.setPorts(bridge(port("p1", "", 11)))
	var logged lockedBuffer
	woken := 0
	s := newDHCPService(&desk{replica: r, log: logTo(&logged), wake: func() { woken++ }})
	type news struct {
		lease    string
		released bool
	}
	var said []news
	s.tenants.tell = func(lease string, released bool) { said = append(said, news{lease, released}) }
	server, own := dhcpv4.WithOption(dhcpv4.OptServerIdentifier([]byte{10, 0, 0, 99})), []byte{10, 0, 0, 1}
	now := start
	say := func(typ dhcpv4.MessageType, mods ...dhcpv4.Modifier) {
		t.Helper()
		f := dhcpFrame(t, mac(1), 0, append(mods, dhcpv4.WithMessageType(typ))...)
		s.answer(ovs.Packet{Ingress: 1, Network: 100, Data: f}, now)
	}
	select_ := func() { say(dhcpv4.MessageTypeRequest, server, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(own))) }
	decline := func() { say(dhcpv4.MessageTypeDecline, server, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(own))) }
	rebind := func() { say(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(own)) }
	release := func() { say(dhcpv4.MessageTypeRelease, server, dhcpv4.WithClientIP(own)) }
	expect := func(what string, want ...news) {
		t.Helper()
		if !slices.Equal(said, want) {
			t.Errorf("%s: said %v, want %v", what, said, want)
		}
		said = nil
	}
	used, gone := news{"il-b", false}, news{"il-b", true}

	say(dhcpv4.MessageTypeDiscover)
	expect("an offer")
	select_()
	expect("a lease", used)
	rebind()
	now = now.Add(200 * time.Second)
	rebind()
	expect("renewals before half of the time")
	now = now.Add(100 * time.Second)
	rebind()
	rebind()
	expect("a renewal at half of the time", used)
	release()
	release()
	expect("given back, said again", gone)
	now = now.Add(releaseAgain)
	release()
	expect("later", gone)
	select_()
	select_()
	expect("asked for before the manager has heard", used)
	now = now.Add(releaseAgain)
	release()
	expect("given back again", gone)

	decline()
	if p := s.tenants.problems()["il-b"]; !strings.Contains(p, "10.0.0.1") || woken != 1 {
		t.Errorf("problem %q, woken %d", p, woken)
	}
	select_()
	decline()
	if len(s.tenants.problems()) != 1 || woken != 1 {
		t.Errorf("declined again: %v, woken %d", s.tenants.problems(), woken)
	}
	rebind()
	if len(s.tenants.problems()) != 0 || woken != 2 {
		t.Errorf("renewed: %v, woken %d", s.tenants.problems(), woken)
	}
	decline()
	s.tick(t.Context(), now.Add(declinedFor))
	if len(s.tenants.problems()) != 1 || woken != 3 {
		t.Errorf("not so long ago: %v, woken %d", s.tenants.problems(), woken)
	}
	s.tick(t.Context(), now.Add(declinedFor+time.Second))
	if len(s.tenants.problems()) != 0 || woken != 4 {
		t.Errorf("long ago: %v, woken %d", s.tenants.problems(), woken)
	}
	now = now.Add(2 * declinedFor)
	decline()
	r.change(2, nil, []string{"il-b"})
	s.tick(t.Context(), now)
	if len(s.tenants.problems()) != 0 || len(s.tenants.last) != 0 {
		t.Errorf("without the lease: %v", s.tenants.problems())
	}
	if n := strings.Count(logged.String(), "found another station"); n != 2 {
		t.Errorf("%d lines of what came in two minutes: %s", n, logged.String())
	}
	if s.verdicts.of(dhcp.Declined) != 4 || s.verdicts.of(dhcp.Released) != 4 {
		t.Error("not counted")
	}
}

func TestTenantsAreBounded(t *testing.T) {
	var n int
	ts := tenants{tell: func(string, bool) { n++ }}
	client := func(n uint32) held {
		a := binary.BigEndian.AppendUint32(nil, n)
		return held{"if-a", string(a), netip.AddrFrom4([4]byte(a)), time.Hour, time.Hour / 2}
	}
	for k := range uint32(2 * maxTenants) {
		ts.heard(client(k), used, start)
	}
	if len(ts.last) != maxTenants || n != maxTenants {
		t.Errorf("%d are remembered, %d told", len(ts.last), n)
	}
	ts.heard(client(1<<20), used, start.Add(2*time.Hour))
	if len(ts.last) != 1 {
		t.Errorf("%d are remembered that are long over", len(ts.last))
	}
	ts.expire(start.Add(4*time.Hour), func(held) bool { return true })
	if len(ts.last) != 0 {
		t.Errorf("%d are left", len(ts.last))
	}
}

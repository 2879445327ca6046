package agent

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/mdlayher/ndp"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

const net6 = "fd00:6::/64"

// six gives the objects of network nw-a with an IPv6 subnet, a guest with an address in it, and an interface with a DHCP service.
func six(addressing string) []model.Object {
	n := *base()[2].(*model.Network)
	n.IPv6Network, n.IPv6Prefix, n.IPv6Addressing, n.MTU, n.DomainName = netip.MustParsePrefix(net6).Addr(), 64, addressing, 1400, "a.example"
	return slices.Concat(base()[:2], []model.Object{&n}, guest(1, "dp-0", "p1"), dhcpServer(), []model.Object{
		addressed6(1, "nw-a", "fd00:6::10"),
		&model.IPLease{Meta: model.Meta{UUID: "il-dhcp6", ID: 98}, InterfaceUUID: "if-dhcp", NetworkUUID: "nw-a", MACLeaseUUID: "ml-dhcp", IPv6Address: netip.MustParseAddr("fd00:6::99")},
	})
}

// advertisement gives in words what a frame advertises, "" if nothing.
func advertisement(f []byte) string {
	m, reason := frame.DecodeICMPv6(f)
	if reason != frame.OK || m.Type != 134 {
		return ""
	}
	msg, err := ndp.ParseMessage(append([]byte{m.Type, m.Code, 0, 0}, m.Body...))
	if err != nil {
		return err.Error()
	}
	a := msg.(*ndp.RouterAdvertisement)
	text := fmt.Sprintf("%s>%s from %s, M=%t O=%t router %s", m.IP.Src, m.IP.Dst, m.Ethernet.Src, a.ManagedConfiguration, a.OtherConfiguration, a.RouterLifetime)
	for _, o := range a.Options {
		switch o := o.(type) {
		case *ndp.PrefixInformation:
			text += fmt.Sprintf(", %s/%d A=%t %s", o.Prefix, o.PrefixLength, o.AutonomousAddressConfiguration, o.ValidLifetime)
		case *ndp.MTU:
			text += fmt.Sprintf(", mtu %d", o.MTU)
		case *ndp.RouteInformation:
			text += fmt.Sprintf(", route %s/%d %s", o.Prefix, o.PrefixLength, o.RouteLifetime)
		case *ndp.RecursiveDNSServer:
			text += fmt.Sprintf(", dns %v", o.Servers)
		case *ndp.DNSSearchList:
			text += fmt.Sprintf(", search %v", o.DomainNames)
		}
	}
	return text
}

func solicit(from string) []byte {
	return frame.ICMPv6{
		Ethernet: frame.Ethernet{Src: mac(1), Dst: model.MAC{0x33, 0x33, 0, 0, 0, 2}},
		IP:       frame.IPv6{HopLimit: 255, Src: netip.MustParseAddr(from), Dst: netip.MustParseAddr("ff02::2")},
		Type:     133, Body: make([]byte, 4),
	}.Encode()
}

// advertised waits for an advertisement out of the guest's port that says something.
func (b *bench) advertised(want string) {
	b.t.Helper()
	var said []string
	if b.sw.Sent(b.ctx(), func(f ovstest.Frame) bool {
		if text := advertisement(f.Data); text != "" && f.Port == 11 {
			said = append(said, text)
			return strings.Contains(text, want)
		}
		return false
	}) == nil {
		b.t.Fatalf("nothing with %q is advertised, but:\n%s", want, strings.Join(said, "\n"))
	}
}

// change takes changes of objects, as the manager sends them.
func (b *bench) change(objects []model.Object, gone ...string) {
	b.replica.change(2, objects, gone)
	signal(b.wakes)
}

// What is advertised follows from the objects, at once; the end is said; and who asks is answered.
func TestNetworksAreAdvertised(t *testing.T) {
	b := newBench(t, six(model.AddressingStateful), port("p1", "", 11))
	network := func(change func(n *model.Network)) {
		n := *six(model.AddressingStateful)[2].(*model.Network)
		change(&n)
		b.change([]model.Object{&n})
	}
	const from = "fe80::ff:fe00:63>"
	b.advertised(from + "ff02::1 from 02:00:00:00:00:63, M=true O=false router 0s, mtu 1400, fd00:6::/64 A=false 24h0m0s, search [a.example]")
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: solicit("fe80::ff:fe00:1")})
	b.advertised(from + "fe80::ff:fe00:1 from 02:00:00:00:00:63, M=true")
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: solicit("fd00:6::10")})
	b.advertised(from + "fd00:6::10 from")

	network(func(n *model.Network) { n.IPv6Addressing, n.DHCPLeaseTime = model.AddressingStateless, 3600 })
	b.advertised("ff02::1 from 02:00:00:00:00:63, M=false O=true router 0s, mtu 1400, fd00:6::/64 A=true 1h0m0s, search")
	network(func(n *model.Network) { n.IPv6Addressing, n.MTU = model.AddressingSLAAC, 1300 })
	b.advertised("M=false O=false router 0s, mtu 1300, fd00:6::/64 A=true")

	option := &model.DHCPOption{Meta: model.Meta{UUID: "dhco-1", ID: 1}, NetworkServiceUUID: "ns-dhcp", Family: 6, Code: 23, Format: "ip", Value: "fd00:6::53,fd00:6::54"}
	search := &model.DHCPOption{Meta: model.Meta{UUID: "dhco-2", ID: 2}, NetworkServiceUUID: "ns-dhcp", Family: 6, Code: 24, Format: "domain", Value: "b.example,c.example"}
	b.change([]model.Object{option, search})
	b.advertised("dns [fd00:6::53 fd00:6::54], search [b.example c.example]")

	// A leg besides: it routes to another network, and it alone says so.
	b.change([]model.Object{
		&model.Network{Meta: model.Meta{UUID: "nw-b", ID: 2}, Mode: model.NetworkVirtual, VNI: 101, IPv6Network: netip.MustParseAddr("fd00:7::"), IPv6Prefix: 64},
		&model.Interface{Meta: model.Meta{UUID: "if-leg", ID: 97}, Mode: model.InterfaceSimulated, EnableRouting: true},
		&model.MACLease{Meta: model.Meta{UUID: "ml-leg", ID: 97}, InterfaceUUID: "if-leg", MACAddress: mac(97)},
		&model.IPLease{Meta: model.Meta{UUID: "il-leg", ID: 97}, InterfaceUUID: "if-leg", NetworkUUID: "nw-a", MACLeaseUUID: "ml-leg", IPv6Address: netip.MustParseAddr("fd00:6::1")},
		&model.RouteLink{Meta: model.Meta{UUID: "rl-x", ID: 1}, VNI: 500},
		&model.Route{Meta: model.Meta{UUID: "r-a", ID: 1}, InterfaceUUID: "if-leg", NetworkUUID: "nw-a", RouteLinkUUID: "rl-x", IPv6Network: netip.MustParseAddr("fd00:6::"), IPv6Prefix: 64, Ingress: true, Egress: true},
		&model.Route{Meta: model.Meta{UUID: "r-b", ID: 2}, InterfaceUUID: "if-legb", NetworkUUID: "nw-b", RouteLinkUUID: "rl-x", IPv6Network: netip.MustParseAddr("fd00:7::"), IPv6Prefix: 64, Egress: true},
	})
	b.advertised("from 02:00:00:00:00:61, M=false O=false router 0s, mtu 1300, fd00:6::/64 A=true 24h0m0s, dns [fd00:6::53 fd00:6::54], search [b.example c.example], route fd00:7::/64 30m0s")
	b.change([]model.Object{
		&model.Route{Meta: model.Meta{UUID: "r-d", ID: 3}, InterfaceUUID: "if-legb", NetworkUUID: "nw-b", RouteLinkUUID: "rl-x", IPv6Network: netip.MustParseAddr("::"), Egress: true},
	})
	b.advertised("from 02:00:00:00:00:61, M=false O=false router 30m0s")
	b.change(nil, "r-a")
	b.advertised("from 02:00:00:00:00:61, M=false O=false router 0s, mtu 1300, fd00:6::/64 A=true 24h0m0s, dns [fd00:6::53 fd00:6::54], search [b.example c.example], route fd00:7::/64 0s")

	b.change(nil, "il-leg", "ns-dhcp")
	b.advertised("from 02:00:00:00:00:61, M=false O=false router 0s, fd00:6::/64 A=true 0s")
	if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: solicit("fe80::ff:fe00:1")}); len(out) != 0 {
		t.Errorf("a solicitation goes to %v", out)
	}
}

// In either order, a service and its network's way come to the guest with the next packet.
func TestDHCP6FollowsTheObjects(t *testing.T) {
	objects := six(model.AddressingStateful)
	b := newBench(t, objects[:len(objects)-1], port("p1", "", 11)) // the service has no IPv6 address yet
	ask := func() *dhcpv6.Message {
		b.t.Helper()
		hw := mac(1)
		m, err := dhcpv6.NewSolicit(net.HardwareAddr(hw[:]))
		if err != nil {
			t.Fatal(err)
		}
		b.sw.Receive(t, ovstest.Frame{Port: 11, Data: frame.Datagram6{
			Ethernet: frame.Ethernet{Src: mac(1), Dst: model.MAC{0x33, 0x33, 0, 1, 0, 2}},
			IP:       frame.IPv6{HopLimit: 1, Src: netip.MustParseAddr("fe80::ff:fe00:1"), Dst: netip.MustParseAddr("ff02::1:2")},
			UDP:      frame.UDP{SrcPort: 546, DstPort: 547}, Payload: m.ToBytes(),
		}.Encode()})
		var answer *dhcpv6.Message
		if b.sw.Sent(b.ctx(), func(f ovstest.Frame) bool {
			d, reason := frame.DecodeDatagram6(f.Data)
			if reason == frame.OK && d.UDP.SrcPort == 547 && f.Port == 11 {
				answer, err = dhcpv6.MessageFromBytes(d.Payload)
				return err == nil && answer.TransactionID == m.TransactionID
			}
			return false
		}) == nil {
			t.Fatal("not answered")
		}
		return answer
	}
	is := func(want string) {
		b.t.Helper()
		m := ask()
		got := fmt.Sprint(m.Options.DNS(), m.Options.DomainSearchList())
		if ia := m.Options.OneIANA(); ia != nil {
			if a := ia.Options.OneAddress(); a != nil {
				got = a.IPv6Addr.String() + " " + a.ValidLifetime.String() + " " + got
			} else {
				got = ia.Options.Status().StatusCode.String() + " " + got
			}
		}
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	b.change(objects[len(objects)-1:])
	b.until("the service is there", func() bool { return strings.Contains(b.flows(), "set_field:0xa00/0xff00") })
	is("fd00:6::10 24h0m0s [] [a.example]")
	lease := *addressed6(1, "nw-a", "fd00:6::20")
	b.change([]model.Object{&lease})
	is("fd00:6::20 24h0m0s [] [a.example]")
	n := *six(model.AddressingStateful)[2].(*model.Network)
	n.DHCPLeaseTime = 600
	b.change([]model.Object{&n, &model.DHCPOption{Meta: model.Meta{UUID: "dhco-1", ID: 1}, NetworkServiceUUID: "ns-dhcp", Family: 6, Code: 23, Format: "ip", Value: "fd00:6::53"}})
	is("fd00:6::20 10m0s [fd00:6::53] [a.example]")
	b.change(retained(lease.UUID, 300))
	is("fd00:6::20 5m0s [fd00:6::53] [a.example]")
	b.change(retained(lease.UUID, 3600))
	is("fd00:6::20 5m0s [fd00:6::53] [a.example]")
	n.IPv6Addressing = model.AddressingStateless
	b.change([]model.Object{&n})
	is("NoAddrsAvail [fd00:6::53] [a.example]")
}

// A guest that has no IPv6 address yet asks for routers, or by DHCPv6: the manager is told, and when the lease is there the guest is told that it is to ask by DHCPv6.
func TestFirstIPv6Address(t *testing.T) {
	for name, question := range map[string][]byte{"router solicitation": solicit("fe80::ff:fe00:1"), "DHCPv6": question6(t, mac(1), dhcpv6.MessageTypeSolicit)} {
		t.Run(name, func(t *testing.T) {
			objects := slices.DeleteFunc(six(model.AddressingStateful), func(o model.Object) bool { return o.Base().UUID == "il-sixb" })
			b := newBench(t, objects, port("p1", "", 11))
			for range 3 {
				if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: question}); len(out) != 0 {
					t.Errorf("it goes to %v", out)
				}
			}
			select {
			case got := <-b.asked:
				if got != "6 if-b" {
					t.Errorf("told %s", got)
				}
			case <-b.ctx().Done():
				t.Fatal("the manager is not told")
			}
			b.change([]model.Object{addressed6(1, "nw-a", "fd00:6::10")})
			b.advertised("M=true")
			b.sw.Receive(t, ovstest.Frame{Port: 11, Data: question6(t, mac(1), dhcpv6.MessageTypeSolicit)})
			b.sent("an offer", func(f ovstest.Frame) bool {
				d, reason := frame.DecodeDatagram6(f.Data)
				return reason == frame.OK && d.UDP.SrcPort == 547 && f.Port == 11
			})
			if len(b.asked) != 0 {
				t.Errorf("told again: %s", <-b.asked)
			}
		})
	}
}

// question6 is a message of DHCPv6 of a guest as a frame.
func question6(t *testing.T, from model.MAC, kind dhcpv6.MessageType, mods ...dhcpv6.Modifier) []byte {
	t.Helper()
	m, err := dhcpv6.NewSolicit(net.HardwareAddr(from[:]), mods...)
	if err != nil {
		t.Fatal(err)
	}
	m.MessageType = kind
	return frame.Datagram6{
		Ethernet: frame.Ethernet{Src: from, Dst: model.MAC{0x33, 0x33, 0, 1, 0, 2}},
		IP:       frame.IPv6{HopLimit: 1, Src: from.LinkLocal(), Dst: netip.MustParseAddr("ff02::1:2")},
		UDP:      frame.UDP{SrcPort: 546, DstPort: 547}, Payload: m.ToBytes(),
	}.Encode()
}

// What clients of DHCPv6 say of their leases reaches the manager, of those leases that a message names.
func TestDHCP6Tenants(t *testing.T) {
	r := newReplica()
	second := addressed6(2, "nw-a", "fd00:6::11")
	second.InterfaceUUID, second.MACLeaseUUID = "if-b", "ml-b"
	r.load("store", "dp-0", 1, append(six(model.AddressingStateful), second), true)
	r.setPorts(bridge(port("p1", "", 11)))
	var said []string
	d := &desk{replica: r, log: slog.New(slog.DiscardHandler), wake: func() {}}
	s := &dhcp6Service{desk: d, tenants: newDHCPService(d).tenants}
	s.tenants.tell = func(lease string, released bool) { said = append(said, fmt.Sprint(lease, " ", released)) }
	server := dhcpv6.WithServerID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 99}})
	naming := dhcpv6.WithIANA(dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("fd00:6::11")})
	now := start
	for _, step := range []struct {
		kind  dhcpv6.MessageType
		after time.Duration
		mods  []dhcpv6.Modifier
		want  []string
	}{
		{dhcpv6.MessageTypeSolicit, 0, nil, nil},
		{dhcpv6.MessageTypeRequest, 0, []dhcpv6.Modifier{server}, []string{"il-sixb false", "il-sixc false"}},
		{dhcpv6.MessageTypeRenew, 5 * time.Hour, []dhcpv6.Modifier{server, naming}, nil},
		{dhcpv6.MessageTypeRenew, time.Hour, []dhcpv6.Modifier{server, naming}, []string{"il-sixb false", "il-sixc false"}},
		{dhcpv6.MessageTypeRelease, 0, []dhcpv6.Modifier{server, naming}, []string{"il-sixc true"}},
		{dhcpv6.MessageTypeRequest, 0, []dhcpv6.Modifier{server}, []string{"il-sixc false"}},
		{dhcpv6.MessageTypeDecline, 0, []dhcpv6.Modifier{server, naming}, nil},
	} {
		now = now.Add(step.after)
		said = nil
		if s.answer(ovs.Packet{Ingress: 1, Network: 100, Data: question6(t, mac(1), step.kind, step.mods...)}, now) == nil {
			t.Errorf("%s is not answered", step.kind)
		}
		if !slices.Equal(said, step.want) {
			t.Errorf("%s: said %v, want %v", step.kind, said, step.want)
		}
	}
	if p := s.tenants.problems(); len(p) != 1 || !strings.Contains(p["il-sixc"], "fd00:6::11") {
		t.Errorf("declined: %v", p)
	}
}

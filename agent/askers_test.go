package agent

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp"
	"github.com/openvnet/openvnet/services/dhcp6"
	"github.com/openvnet/openvnet/services/frame"
)

// discover is what a client with that MAC address sends first.
func discover(t *testing.T, mac model.MAC) []byte {
	t.Helper()
	m, err := dhcpv4.NewDiscovery(mac[:])
	if err != nil {
		t.Fatal(err)
	}
	return frame.Datagram{
		Ethernet: frame.Ethernet{Dst: frame.Broadcast(), Src: mac},
		IP:       frame.IPv4{TTL: 64, Src: netip.IPv4Unspecified(), Dst: netip.AddrFrom4([4]byte{255, 255, 255, 255})},
		UDP:      frame.UDP{SrcPort: 68, DstPort: 67},
		Payload:  m.ToBytes(),
	}.Encode()
}

// dhcpServer gives the objects of a simulated interface with a DHCP service.
func dhcpServer() []model.Object {
	return []model.Object{
		&model.Interface{Meta: model.Meta{UUID: "if-dhcp", ID: 99}, Mode: model.InterfaceSimulated},
		&model.MACLease{Meta: model.Meta{UUID: "ml-dhcp", ID: 99}, InterfaceUUID: "if-dhcp", MACAddress: model.MAC{2, 0, 0, 0, 0, 99}},
		&model.IPLease{Meta: model.Meta{UUID: "il-dhcp", ID: 99}, InterfaceUUID: "if-dhcp", NetworkUUID: "nw-a", MACLeaseUUID: "ml-dhcp", IPv4Address: netip.AddrFrom4([4]byte{10, 0, 0, 99})},
		&model.NetworkService{Meta: model.Meta{UUID: "ns-dhcp", ID: 99}, Mode: model.ServiceDHCP, InterfaceUUID: "if-dhcp"},
	}
}

// A guest without lease asks; the manager is told once, and when the lease has come the question is answered.
func TestAskerIsAnsweredWhenItsLeaseComes(t *testing.T) {
	four := guest(1, "dp-0", "p1")
	six := six(model.AddressingStateful)
	for name, c := range map[string]struct {
		objects  []model.Object
		lease    model.Object
		question []byte
		service  func(*services) *askers
		answers  func(*services) uint64
		address  string
	}{
		"DHCP": {
			slices.Concat(base(), dhcpServer(), four[:len(four)-1]), four[len(four)-1], discover(t, mac(1)),
			func(s *services) *askers { return s.dhcp.askers }, func(s *services) uint64 { return s.dhcp.verdicts.of(dhcp.Offer) }, "10.0.0.1",
		},
		"DHCPv6": {
			slices.DeleteFunc(six, func(o model.Object) bool { return o.Base().UUID == "il-sixb" }), addressed6(1, "nw-a", "fd00:6::10"), question6(t, mac(1), dhcpv6.MessageTypeSolicit),
			func(s *services) *askers { return s.dhcp6.askers }, func(s *services) uint64 { return s.dhcp6.verdicts.of(dhcp6.Advertise) }, "fd00:6::10",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplica()
			r.load("store", "dp-0", 1, c.objects, true)
			r.setPorts(bridge(port("p1", "", 11)))
			s := newServices(&desk{replica: r, log: slog.New(slog.DiscardHandler), wake: func() {}})
			var told []string
			c.service(s).tell = func(iface string, _ int) { told = append(told, iface) }
			for range 3 {
				p := ovs.Packet{Ingress: 1, Data: c.question}
				if s.dhcp.answer(p, start) != nil || s.dhcp6.answer(p, start) != nil {
					t.Fatal("answered without a lease")
				}
			}
			if !slices.Equal(told, []string{"if-b"}) {
				t.Errorf("told %v", told)
			}
			var replies [][]byte
			reply := func(_ context.Context, p ovs.Packet, f []byte) error {
				if p.Ingress != 1 {
					t.Errorf("reply to interface %d", p.Ingress)
				}
				replies = append(replies, f)
				return nil
			}
			if err := s.answerAskers(t.Context(), start, reply); err != nil || len(replies) != 0 {
				t.Fatalf("%d replies before the lease, %v", len(replies), err)
			}
			r.change(2, []model.Object{c.lease}, nil)
			for range 2 {
				if err := s.answerAskers(t.Context(), start, reply); err != nil {
					t.Fatal(err)
				}
			}
			if len(replies) != 1 || c.answers(s) != 1 {
				t.Fatalf("%d replies, %d offers", len(replies), c.answers(s))
			}
			if a := netip.MustParseAddr(c.address).AsSlice(); !bytes.Contains(replies[0], a) {
				t.Errorf("offered %x", replies[0])
			}
		})
	}
}

// Who has an address of the family, or is no guest, asks for none.
func TestWhoDoesNotAsk(t *testing.T) {
	r := newReplica()
	r.load("store", "dp-0", 1, slices.Concat(six(model.AddressingStateful), attached(2, "p2")), true)
	r.setPorts(bridge(port("p1", "", 11), port("p2", "", 12)))
	for _, family := range []int{4, 6} {
		a := newAskers(family)
		a.tell = func(iface string, _ int) { t.Errorf("%s asks", iface) }
		for _, ingress := range []uint32{0, 1, 2, 77} {
			a.unleased(r, ovs.Packet{Ingress: ingress}, start)
		}
	}
}

func TestAskersAreBounded(t *testing.T) {
	var a askers
	now := time.Now()
	for id := range uint32(2 * maxAskers) {
		if !a.keep(ovs.Packet{Ingress: id}, now) {
			t.Fatalf("the manager is not told of asker %d", id)
		}
	}
	if n := len(a.take(now)); n != maxAskers {
		t.Errorf("%d questions are kept", n)
	}
	if a.keep(ovs.Packet{Ingress: 1}, now.Add(askAgain/2)) || !a.keep(ovs.Packet{Ingress: 1}, now.Add(askAgain)) {
		t.Error("how often the manager is told")
	}
	later := now.Add(2 * askedFor)
	a.keep(ovs.Packet{Ingress: 10_000}, later)
	if n := len(a.take(later)); n != 1 {
		t.Errorf("%d old questions are kept", n)
	}
}

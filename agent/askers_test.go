package agent

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp"
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
	r := newReplica()
	objects := slices.Concat(base(), dhcpServer(), guest(1, "dp-0", "p1"))
	lease := objects[len(objects)-1]
	r.load("store", "dp-0", 1, objects[:len(objects)-1], true)
	r.setPorts(bridge(port("p1", "", 11)))
	s := newDHCPService(&desk{replica: r, log: slog.New(slog.DiscardHandler), wake: func() {}})
	var told []string
	s.askers.tell = func(iface string) { told = append(told, iface) }

	mac := model.MAC{2, 0, 0, 0, 0, 1}
	for range 3 {
		if reply := s.answer(ovs.Packet{Class: pipeline.PuntDHCP4, Ingress: 1, Data: discover(t, mac)}, time.Now()); reply != nil {
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
	if err := s.answerAskers(t.Context(), reply); err != nil || len(replies) != 0 {
		t.Fatalf("%d replies before the lease, %v", len(replies), err)
	}
	r.change(2, []model.Object{lease}, nil)
	for range 2 {
		if err := s.answerAskers(t.Context(), reply); err != nil {
			t.Fatal(err)
		}
	}
	if len(replies) != 1 || s.verdicts.of(dhcp.Offer) != 1 {
		t.Fatalf("%d replies, %d offers", len(replies), s.verdicts.of(dhcp.Offer))
	}
	d, reason := frame.DecodeDatagram(replies[0])
	if reason != frame.OK {
		t.Fatal(reason)
	}
	m, err := dhcpv4.FromBytes(d.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if m.YourIPAddr.String() != "10.0.0.1" {
		t.Errorf("offered %s", m.YourIPAddr)
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

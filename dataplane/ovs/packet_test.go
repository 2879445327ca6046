package ovs_test

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/rig"
)

// loaded gives a state with the flows that f builds.
func loaded(t *testing.T, f func(*pipeline.Builder)) *state.Full {
	t.Helper()
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	f(b)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	s := state.New()
	if err := s.Replace(state.Unit{Kind: "host"}, state.Items{Flows: b.Flows()}, &state.Changes{}); err != nil {
		t.Fatal(err)
	}
	full := s.Full()
	return &full
}

var arp = append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6}, make([]byte, 46)...)

// A packet goes up with what the registers say of it, and comes back with them.
func TestPacketUpAndDown(t *testing.T) {
	sw := ovstest.New(t, ovstest.Port{Number: 1}, ovstest.Port{Number: 2}, ovstest.Port{Number: 9, Tunnel: true})
	up := make(chan ovs.Packet, 10)
	session := sw.Dial(t, func(p ovs.Packet) { up <- p })
	hop := netip.MustParseAddr("192.0.2.7")
	ovstest.Load(t, session, loaded(t, func(b *pipeline.Builder) {
		b.Flow(pipeline.Classify, 1, pipeline.Preds{flow.InPort.Is(1)}, pipeline.Ingress.Set(77), flow.GotoTable{Table: pipeline.GuardMAC.ID})
		b.Flow(pipeline.GuardMAC, 1, nil, flow.GotoTable{Table: pipeline.GuardAddress.ID})
		b.Flow(pipeline.GuardAddress, 1, nil, pipeline.Network.Set(100), pipeline.Class.Set(uint32(pipeline.PuntDHCP4)), flow.GotoTable{Table: pipeline.Punt.ID})
		b.Flow(pipeline.Punt, 1, nil, flow.Controller{Userdata: []byte("of a rule")})
		b.Flow(pipeline.Output, 1, pipeline.Preds{pipeline.Egress.Is(5), pipeline.Network.Is(100)}, flow.Output{Port: 2})
		b.Flow(pipeline.Output, 2, pipeline.Preds{pipeline.Egress.Is(6)}, flow.Output{Port: 1})
		b.Flow(pipeline.NextHopMAC, 1, pipeline.Preds{pipeline.NextHop.IsValue(flow.AddrValue(hop))}, pipeline.Class.Set(uint32(pipeline.PuntNeighbor)), flow.Resubmit{Table: pipeline.Punt.ID})
		b.Flow(pipeline.L2, 1, pipeline.Preds{pipeline.Network.Is(300)}, flow.GotoTable{Table: pipeline.Output.ID})
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	next := func() ovs.Packet {
		select {
		case p := <-up:
			return p
		case <-ctx.Done():
			t.Fatal("no packet")
		}
		return ovs.Packet{}
	}
	sw.Receive(t, ovstest.Frame{Port: 1, Data: arp})
	p := next()
	if p.Class != pipeline.PuntDHCP4 || p.Table != pipeline.Punt.ID || p.Network != 100 || p.Ingress != 77 || p.Remote || !bytes.Equal(p.Data, arp) || p.Length != len(arp) ||
		string(p.Userdata) != "of a rule" || p.NextHop().IsValid() || p.TunnelSource().IsValid() {
		t.Errorf("up: %+v", p)
	}
	if err := session.Reply(ctx, p, arp); err != nil {
		t.Fatal(err)
	}
	if f := sw.Sent(ctx, func(f ovstest.Frame) bool { return f.Port == 1 }); f == nil {
		t.Error("the reply does not come out where the question came in")
	}
	// One frame, several ways: none sees the registers of another.
	if err := session.Inject(ctx, arp, ovs.Through(pipeline.Output, pipeline.Network.Set(100), pipeline.Egress.Set(6)), ovs.Through(pipeline.Output, pipeline.Egress.Set(5)),
		ovs.Through(pipeline.Output, pipeline.Network.Set(100), pipeline.Egress.Set(5))); err != nil {
		t.Fatal(err)
	}
	one := sw.Sent(ctx, func(ovstest.Frame) bool { return true })
	two := sw.Sent(ctx, func(ovstest.Frame) bool { return true })
	if one == nil || two == nil || one.Port != 1 || two.Port != 2 {
		t.Errorf("out: %v and %v", one, two)
	}
	// A packet that waited keeps its registers.
	ip := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}, make([]byte, 46)...)
	ip[14] = 0x45
	if err := session.Inject(ctx, ip, ovs.Through(pipeline.NextHopMAC, pipeline.Network.Set(300), pipeline.Egress.Set(6), pipeline.NextHop.SetValue(flow.AddrValue(hop)))); err != nil {
		t.Fatal(err)
	}
	p = next()
	if p.Class != pipeline.PuntNeighbor || p.NextHop() != hop || p.Network != 300 || p.Egress != 6 {
		t.Errorf("up: %+v", p)
	}
	if err := session.Inject(ctx, p.Data, p.Again(pipeline.L2)); err != nil {
		t.Fatal(err)
	}
	if f := sw.Sent(ctx, func(f ovstest.Frame) bool { return f.Port == 1 }); f == nil {
		t.Error("the packet does not go on")
	}
	before := session.Sent()
	for range 100 {
		if err := session.Reply(ctx, p, arp); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := session.Flows(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if n := session.Sent(); n > before+10 {
		t.Errorf("packets count as changes: %d messages, %d before", n, before)
	}
}

// Counters of what was found out say which device and which next hop.
func TestLearned(t *testing.T) {
	sw := ovstest.New(t, ovstest.Port{Number: 1})
	session := sw.Dial(t, func(ovs.Packet) {})
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	hop := netip.MustParseAddr("2001:db8::7")
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindLearned, ID: 5})
	b.Flow(pipeline.Outside, 1, pipeline.Preds{pipeline.Ingress.Is(5), pipeline.Network.Is(100), flow.EthSrc.MAC(mac)}, flow.GotoTable{Table: pipeline.Service.ID})
	b.Flow(pipeline.NextHopMAC, 1, pipeline.Preds{flow.EthType.Is(0x86dd), pipeline.Network.Is(100), pipeline.NextHop.IsValue(flow.AddrValue(hop))}, flow.Resubmit{Table: pipeline.L2.ID})
	b.Flow(pipeline.L2, 1, pipeline.Preds{pipeline.Network.Is(100), flow.EthDst.MAC(mac)}, pipeline.Egress.Set(5), flow.GotoTable{Table: pipeline.Deliver.ID})
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	ovstest.Load(t, session, loaded(t, func(host *pipeline.Builder) {
		host.Flow(pipeline.Classify, 1, nil, pipeline.Ingress.Set(5), pipeline.Network.Set(100), flow.GotoTable{Table: pipeline.Outside.ID})
	}))
	s := state.New()
	var c state.Changes
	if err := s.Replace(state.Unit{Kind: "learned"}, state.Items{Flows: b.Flows()}, &c); err != nil {
		t.Fatal(err)
	}
	if refused, err := session.Apply(t.Context(), &c); err != nil || len(refused) > 0 {
		t.Fatal(err, refused)
	}
	sw.Receive(t, ovstest.Frame{Port: 1, Data: arp})
	got, err := session.Learned(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, l := range got {
		if l.Domain != 100 || l.Source && (l.MAC != mac || l.Packets != 1) || !l.Source && (l.Addr != hop || l.Packets != 0) {
			t.Errorf("%+v", l)
		}
	}
}

// Open vSwitch itself takes a frame on several ways, of which none sees the registers of another, and one with the registers that it had.
func TestInjectIntoOpenVSwitch(t *testing.T) {
	privileged.Programs(t, ovsenv.Programs...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := rig.Start(ctx, rig.Options{Hosts: []rig.HostOptions{{
		Name: "one", MAC: model.MAC{2, 1, 0, 0, 0, 1}, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, NIC: rig.Port{Name: "eth0", OFPort: 1},
		Ports: []rig.Port{{Name: "p2", OFPort: 2}, {Name: "p3", OFPort: 3}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	session := dial(t, w.Host("one").Mgmt())
	up := make(chan ovs.Packet, 10)
	go session.Serve(func(p ovs.Packet) { up <- p })
	ovstest.Load(t, session, loaded(t, func(b *pipeline.Builder) {
		b.Flow(pipeline.Output, 1, pipeline.Preds{pipeline.Egress.Is(5), pipeline.Network.Is(100)}, flow.Output{Port: 2})
		b.Flow(pipeline.Output, 2, pipeline.Preds{pipeline.Egress.Is(6)}, flow.Output{Port: 3})
		b.Flow(pipeline.NextHopMAC, 1, pipeline.Preds{pipeline.Network.Is(100), pipeline.NextHop.IsValue(flow.AddrValue(netip.MustParseAddr("2001:db8::7")))}, pipeline.Class.Set(uint32(pipeline.PuntNeighbor)), flow.Resubmit{Table: pipeline.Punt.ID})
		b.Flow(pipeline.Punt, 1, nil, flow.Controller{})
		b.Flow(pipeline.L2, 1, pipeline.Preds{pipeline.Network.Is(100), pipeline.Remote.Is(0)}, flow.GotoTable{Table: pipeline.Output.ID})
	}))
	left := func(want ...string) {
		t.Helper()
		if _, err := session.Flows(ctx, pipeline.KindHost); err != nil { // the switch has done what came before
			t.Fatal(err)
		}
		r, err := w.Collect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range r.Delivered {
			got = append(got, d.Port)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("left at %v, want %v", got, want)
		}
	}
	if err := session.Inject(ctx, arp, ovs.Through(pipeline.Output, pipeline.Network.Set(100), pipeline.Egress.Set(6)), ovs.Through(pipeline.Output, pipeline.Egress.Set(5)),
		ovs.Through(pipeline.Output, pipeline.Network.Set(100), pipeline.Egress.Set(5))); err != nil {
		t.Fatal(err)
	}
	left("p2", "p3")
	hop := netip.MustParseAddr("2001:db8::7")
	if err := session.Inject(ctx, arp, ovs.Through(pipeline.NextHopMAC, pipeline.Hops.Set(3), pipeline.RouteLink.Set(900), pipeline.Network.Set(100), pipeline.Egress.Set(5),
		pipeline.NextHop.SetValue(flow.AddrValue(hop)))); err != nil {
		t.Fatal(err)
	}
	left()
	select {
	case p := <-up:
		if p.Class != pipeline.PuntNeighbor || p.NextHop() != hop || p.Network != 100 || p.Egress != 5 {
			t.Errorf("up: %+v to %s", p, p.NextHop())
		}
		if err := session.Inject(ctx, p.Data, p.Again(pipeline.L2)); err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatal("no packet comes up")
	}
	left("p2")
}

package agent

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/fastpath"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
)

// What interfaces send and get, and what rules, routes and translations let pass, is counted by object.
func TestCounters(t *testing.T) {
	filter := []model.Object{
		&model.Filter{Meta: model.Meta{UUID: "fil-a", ID: 1}, InterfaceUUID: "if-c", Mode: "static", EgressPassthrough: true},
		&model.FilterStatic{Meta: model.Meta{UUID: "fils-a", ID: 5}, FilterUUID: "fil-a", Protocol: "udp", DstPort: 2000, Action: "pass"},
	}
	objects := slices.Concat(base(), guest(1, "dp-0", "p1"), guest(2, "dp-0", "p2"), filter, guarded(model.RuleEgress, 1), router())
	for _, o := range objects {
		switch o := o.(type) {
		case *model.Interface:
			o.EnableFiltering = o.UUID == "if-c"
		case *model.SecurityGroupRule:
			o.Action, o.Priority = model.RuleAllow, uint16(10-o.ID)
		}
	}
	b := newBench(t, objects, port("p1", "", 11), port("p2", "", 12))
	packet := udp(mac(1), mac(2), "10.0.0.1", "10.0.0.2")
	for range 3 {
		if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet}); len(out) != 1 || out[0].Port != 12 {
			t.Fatalf("out: %v", out)
		}
	}
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: udp(mac(1), mac(101), "10.0.0.1", "192.0.2.9")})
	stats, err := b.current.Load().Flows(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(len(packet))
	counted := slices.DeleteFunc(b.replica.counters(stats, ""), func(c local.Counter) bool { return c.Packets == 0 })
	want := []local.Counter{
		{Resource: "filter_static", Object: "fils-a", What: "ingress", Packets: 3, Bytes: 3 * n},
		{Resource: "interface", Object: "if-b", What: "sent", Packets: 4, Bytes: 4 * n},
		{Resource: "interface", Object: "if-c", What: "received", Packets: 3, Bytes: 3 * n},
		{Resource: "route", Object: "r-in", What: "in", Packets: 1, Bytes: n},
		{Resource: "route", Object: "r-out", What: "out", Packets: 1, Bytes: n},
		{Resource: "security_group_rule", Object: "sgr-a", What: "egress", Packets: 4, Bytes: 4 * n},
	}
	if diff := cmp.Diff(want, counted); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, b.flows())
	}
	if one := b.replica.counters(stats, "r-in"); len(one) == 0 || slices.ContainsFunc(one, func(c local.Counter) bool { return c.Object != "r-in" }) {
		t.Errorf("of r-in: %v", one)
	}
}

// A class whose service does not keep up loses packets of its own only, and the session waits for nobody.
func TestLanesAreBounded(t *testing.T) {
	s := newServices(&desk{replica: newReplica()})
	for range laneSize + 10 {
		s.take(ovs.Packet{Class: pipeline.PuntLearn})
	}
	s.take(ovs.Packet{Class: pipeline.PuntReject})
	s.take(ovs.Packet{Class: 99})
	got := map[string]uint64{}
	for _, d := range s.dropped() {
		got[d.Where+" "+d.Reason] = d.Packets
		if d.Doc == "" {
			t.Errorf("%s %s has no words", d.Where, d.Reason)
		}
	}
	if diff := cmp.Diff(map[string]uint64{"learn queue_full": 10, "agent stray": 1}, got); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	for _, l := range s.status() {
		if want := map[string]uint64{"learn": laneSize + 10, "reject": 1}[l.Class]; l.Packets != want {
			t.Errorf("%s: %d packets, want %d", l.Class, l.Packets, want)
		}
	}
}

// Limits and what ports have had of them stand by port and class, once for each place that counts.
func TestLimits(t *testing.T) {
	r := newReplica()
	r.limit(pipeline.Limits{"dns": {Rate: 7, Burst: 8}})
	r.load("s", "dp-0", 1, slices.Concat(base(), guest(1, "dp-0", "p1")), true)
	r.setPorts(bridge(port("p1", "", 11), port("p2", "", 12)))
	meters := map[uint32]ovs.MeterCount{
		pipeline.PuntDNS.Meter(11): {Passed: 1, Dropped: 2}, pipeline.PuntDNS.Meter(12): {Dropped: 3}, pipeline.PuntDNS.Meter(13): {}, pipeline.PuntDNS.Meter(pipeline.HostSlot): {},
	}
	programs := map[string][]fastpath.Limited{"p1": {{Class: "arp", Passed: 4, Dropped: 5}, {Class: "dns", Passed: 6}, {Class: "unknown"}}, "p9": {{Class: "arp"}}}
	got := r.limits(meters, programs)
	for n := range got {
		if got[n].Doc == "" {
			t.Errorf("%s has no words", got[n].Class)
		}
		got[n].Doc = ""
	}
	arp := slices.IndexFunc(pipeline.Limits(nil).Ports(), func(l pipeline.PortLimit) bool { return l.Name == "arp" })
	declared := pipeline.Limits(nil).Ports()[arp].Limit
	want := []local.Limit{
		{Port: "p1", Interface: "if-b", Class: "arp", Where: "fast path", Rate: declared.Rate, Burst: declared.Burst, Passed: 4, Dropped: 5},
		{Port: "p1", Interface: "if-b", Class: "dns", Where: "fast path", Rate: 7, Burst: 8, Passed: 6},
		{Port: "p1", Interface: "if-b", Class: "dns", Where: "meter", Rate: 7, Burst: 8, Passed: 1, Dropped: 2},
		{Port: "p2", Class: "dns", Where: "meter", Rate: 7, Burst: 8, Dropped: 3},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if m := r.state.Meters; m != nil {
		if got, ok := m.Get(pipeline.PuntDNS.Meter(11)); !ok || got.Rate != 7 || got.Burst != 8 {
			t.Errorf("the meter is %+v", got)
		}
	}
}

// recorder is a service that says who sent what it gets.
type recorder struct{ got chan uint32 }

func (r recorder) handle(_ context.Context, _ time.Time, p ovs.Packet) string {
	r.got <- p.Ingress
	return ""
}

func (recorder) tick(context.Context, time.Time) {}

// Packets of an interface that floods wait for each other: others have their turn, and lose none.
func TestLanesAreFair(t *testing.T) {
	l := newLane(pipeline.PuntDHCP4)
	for range 4 * laneSize {
		l.offer(ovs.Packet{Ingress: 7})
	}
	for i := range uint32(20) {
		l.offer(ovs.Packet{Ingress: 100 + i})
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, done := recorder{make(chan uint32)}, make(chan error, 1)
	go func() { done <- l.run(ctx, r, time.Hour) }()
	for i := range uint32(21) {
		want := 99 + i
		if i == 0 {
			want = 7
		}
		if got := <-r.got; got != want {
			t.Fatalf("turn %d is that of %d, want %d", i, got, want)
		}
	}
	for range laneSize - 21 {
		if got := <-r.got; got != 7 {
			t.Fatalf("a packet of %d, want one of 7", got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := l.drops.all()[dropQueueFull]; n != 3*laneSize+20 {
		t.Errorf("%d packets dropped, want %d", n, 3*laneSize+20)
	}
}

// Without a switch, and of senders that nobody knows, packets are dropped and counted.
func TestDropsAreCounted(t *testing.T) {
	d := &desk{replica: newReplica(), wake: func() {}}
	s := newServices(d)
	garbage, packet := []byte("garbage"), udp(mac(1), mac(2), "10.0.0.1", "10.0.0.2")
	for class, tc := range map[pipeline.PuntClass]struct {
		data []byte
		want string
	}{
		pipeline.PuntNeighbor: {garbage, dropNotAsked},
		pipeline.PuntLearn:    {garbage, dropMalformed},
		pipeline.PuntMembers:  {garbage, dropSender},
		pipeline.PuntReject:   {packet, dropNoSwitch},
		pipeline.PuntLog:      {packet, dropMalformed},
		pipeline.PuntProbe:    {garbage, dropNotAsked},
		pipeline.PuntND:       {garbage, dropMalformed},
	} {
		for _, l := range s.lanes {
			if l.class != class {
				continue
			}
			if got := s.workers[l].handle(t.Context(), start, ovs.Packet{Class: class, Data: tc.data, Length: len(tc.data)}); got != tc.want {
				t.Errorf("%s: dropped for %q, want %q", class, got, tc.want)
			}
		}
	}
}

// The log of rules is bounded, and says how much it does not say.
func TestRuleLogIsBounded(t *testing.T) {
	r := newReplica()
	r.load("store", "dp-0", 1, slices.Concat(base(), guest(1, "dp-0", "p1"), guarded(model.RuleEgress, 1)), true)
	var out lockedBuffer
	l := &ruleLog{desk: &desk{replica: r, log: logTo(&out)}}
	p := ovs.Packet{Table: pipeline.OutRules.ID, Ingress: 1, Userdata: []byte{byte(pipeline.KindRule) << 4, 0, 0, 7}, Data: udp(mac(1), mac(2), "10.0.0.1", "10.0.0.2")}
	for range 3 * logLines {
		l.handle(t.Context(), start, p)
	}
	l.tick(t.Context(), start)
	l.tick(t.Context(), start)
	l.handle(t.Context(), start.Add(logWindow), p)
	text := out.String()
	if n := strings.Count(text, `"rule":"sgr-a"`); n != logLines+1 {
		t.Errorf("%d lines, want %d", n, logLines+1)
	}
	if strings.Count(text, "further packets") != 1 || !strings.Contains(text, `"packets":20`) {
		t.Errorf("what is not said: %s", text)
	}
	p.Userdata[3] = 99
	if got := l.handle(t.Context(), start.Add(2*logWindow), p); got != dropUnknownRule {
		t.Errorf("a rule that is gone: %q", got)
	}
}

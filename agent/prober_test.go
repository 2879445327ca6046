package agent

import (
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// The way to another host is probed, which answers without its agent; what is wrong with it is said, and taken back.
func TestWaysAreProbed(t *testing.T) {
	objects := slices.Concat(base(), guest(1, "dp-0", "p1"), peer())
	b := newBench(t, objects, port("p1", "", 11))

	other := newReplica()
	other.load("store", "dp-1", 1, objects, true)
	other.setPorts(bridge(port("far", "", 11)))
	far := ovstest.New(t, ovstest.Port{Number: portNIC}, ovstest.Port{Number: portGeneve, Tunnel: true}, ovstest.Port{Number: 11})
	ovstest.Load(t, far.Dial(t, func(p ovs.Packet) { t.Errorf("the other host's agent gets %s", p.Class) }), other.work(true).full)

	var limit atomic.Int32 // the underlay's MTU
	limit.Store(1500)
	here, there := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	const overhead = 20 + 8 + 8
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			f := b.sw.Sent(b.ctx(), func(f ovstest.Frame) bool { return f.Port == portGeneve && f.Remote == there })
			if f == nil {
				return
			}
			if len(f.Data)+overhead > int(limit.Load()) {
				continue
			}
			for _, back := range far.Receive(t, ovstest.Frame{Port: portGeneve, Key: f.Key, Remote: here, Data: f.Data}) {
				if back.Remote != here || back.Port != portGeneve {
					t.Errorf("the other host sends %+v", back)
				}
				b.sw.Receive(t, ovstest.Frame{Port: portGeneve, Key: back.Key, Remote: there, Data: back.Data})
			}
		}
	}()
	b.until("probes come back", func() bool { return b.count("probe", "") >= 2 })
	for _, step := range []struct {
		limit int32
		want  map[string]string
	}{
		{1499, map[string]string{"dp-1": "host node2 cannot be reached with packets of 1450 bytes (geneve): the underlay's MTU on the way there is less than 1500"}},
		{0, map[string]string{"dp-1": "host node2 does not answer through the tunnel (geneve)"}},
		{1500, nil},
	} {
		limit.Store(step.limit)
		b.until("the way's state", func() bool { return maps.Equal(b.prober.problems(), step.want) })
	}
	b.stop()
	<-done
}

// What is wrong with the way to a host is said of its datapath, beside whatever else is.
func TestProblems(t *testing.T) {
	a := &applier{Agent: &Agent{services: newServices(&desk{replica: newReplica()})}, refused: map[string]string{"if-a": "refused", "dp-1": "refused"}}
	a.services.prober.found.Store(&map[string]string{"dp-1": "not reached", "dp-2": "not reached"})
	got := a.problemsWith(&work{problems: map[string]string{"if-a": "not compiled"}})
	want := []wire.Problem{{UUID: "dp-1", Reason: "refused; not reached"}, {UUID: "dp-2", Reason: "not reached"}, {UUID: "if-a", Reason: "not compiled"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Guests that come and go are of no account for the ways to other hosts; hosts, networks and what carries them are.
func TestWaysChange(t *testing.T) {
	r := newReplica()
	r.load("store", "dp-0", 1, slices.Concat(base(), guest(1, "dp-0", "p1"), peer()), true)
	r.setPorts(bridge(port("p1", "", 11)))
	for _, tc := range []struct {
		name    string
		do      func()
		changes bool
	}{
		{"a guest comes", func() { r.change(2, guest(2, "dp-0", "p2"), nil) }, false},
		{"its port comes", func() { r.setPorts(bridge(port("p1", "", 11), port("p2", "", 12))) }, false},
		{"it goes", func() { r.change(3, nil, []string{"if-c", "ifp-c", "ml-c", "il-c"}) }, false},
		{"a network has another MTU", func() {
			r.change(4, []model.Object{&model.Network{Meta: model.Meta{UUID: "nw-a", ID: 1}, Mode: model.NetworkVirtual, VNI: 100, IPv4Network: netip.MustParseAddr("10.0.0.0"), IPv4Prefix: 24, MTU: 1300}}, nil)
		}, true},
		{"the last guest of a host goes", func() { r.change(5, nil, []string{"if-far", "ifp-far", "ml-far", "il-far"}) }, true},
		{"a host's end goes", func() { r.change(6, nil, []string{"if-host1", "ifp-host1", "ml-host1", "il-host1"}) }, true},
		{"a host goes", func() { r.change(7, nil, []string{"dp-1"}) }, true},
		{"a tunnel port comes", func() {
			p := bridge(port("p1", "", 11))
			p.Tunnels[1] = 3
			r.setPorts(p)
		}, true},
	} {
		before := r.waysNow()
		tc.do()
		if got := r.waysNow() != before; got != tc.changes {
			t.Errorf("%s: changed %v", tc.name, got)
		}
	}
}

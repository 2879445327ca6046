package agent

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/learn"
	"github.com/openvnet/openvnet/services/neighbor"
)

// What is in use is what has counted since the last time.
func TestUse(t *testing.T) {
	device := func(n byte, packets uint64) ovs.Learned {
		return ovs.Learned{Source: true, Domain: 100, MAC: mac(n), Packets: packets}
	}
	hop := func(addr string, packets uint64) ovs.Learned {
		return ovs.Learned{Domain: 100, Addr: netip.MustParseAddr(addr), Packets: packets}
	}
	u := use{}
	for n, step := range []struct {
		flows   []ovs.Learned
		devices []learn.Key
		hops    []neighbor.Key
	}{
		{[]ovs.Learned{device(1, 5), device(2, 0), hop("10.0.0.1", 1)}, []learn.Key{{Domain: 100, MAC: mac(1)}}, []neighbor.Key{{Domain: 100, Addr: netip.MustParseAddr("10.0.0.1")}}},
		{[]ovs.Learned{device(1, 5), device(2, 0), hop("10.0.0.1", 1)}, []learn.Key{}, []neighbor.Key{}},
		{[]ovs.Learned{device(1, 3), device(2, 1)}, []learn.Key{{Domain: 100, MAC: mac(1)}, {Domain: 100, MAC: mac(2)}}, []neighbor.Key{}},
		{nil, []learn.Key{}, []neighbor.Key{}},
		{[]ovs.Learned{device(1, 3)}, []learn.Key{{Domain: 100, MAC: mac(1)}}, []neighbor.Key{}},
	} {
		devices, hops := u.update(step.flows)
		if !slices.Equal(devices, step.devices) || !slices.Equal(hops, step.hops) {
			t.Errorf("step %d: %v and %v", n, devices, hops)
		}
	}
}

// A device that sends stays, as long as the switch says so; without a word from the switch nothing is too old; what is silent goes.
func TestLearnedAge(t *testing.T) {
	r := newReplica()
	r.load("store", "dp-0", 1, slices.Concat(base(), attached(2, "p2")), true)
	r.setPorts(bridge(port("p2", "", 12)))
	l := newLearner(&desk{replica: r, wake: func() {}})
	for n := range byte(2) {
		if reason := l.handle(t.Context(), start, ovs.Packet{Class: pipeline.PuntLearn, Network: 100, Ingress: 2, Data: udp(mac(70+n), mac(1), "10.0.0.70", "10.0.0.1")}); reason != "" {
			t.Fatal(reason)
		}
	}
	learned := func() []model.MAC {
		var macs []model.MAC
		for k, iface := range r.in.Bridge.AllLearned() {
			if k.Domain != 100 || iface != "if-c" {
				t.Errorf("learned %v behind %s", k, iface)
			}
			macs = append(macs, k.MAC)
		}
		slices.SortFunc(macs, func(a, b model.MAC) int { return int(a[5]) - int(b[5]) })
		return macs
	}
	now := start.Add(time.Hour)
	l.tick(t.Context(), now)
	if diff := cmp.Diff([]model.MAC{mac(70), mac(71)}, learned()); diff != "" {
		t.Errorf("without a word from the switch: %s", diff)
	}
	l.used <- []learn.Key{{Domain: 100, MAC: mac(71)}}
	l.tick(t.Context(), now)
	if diff := cmp.Diff([]model.MAC{mac(71)}, learned()); diff != "" {
		t.Errorf("after a silent hour: %s", diff)
	}
	if _, ok := r.in.Bridge.Learned(compile.LearnedKey{Domain: 100, MAC: mac(70)}); ok {
		t.Error("the silent one is still there")
	}
	// It is no interface with devices outside any more.
	r.change(2, []model.Object{&model.Interface{Meta: model.Meta{UUID: "if-c", ID: 2}, Mode: model.InterfaceVIF}}, nil)
	l.tick(t.Context(), now)
	if got := learned(); len(got) != 0 {
		t.Errorf("behind an interface of another mode: %v", got)
	}
}

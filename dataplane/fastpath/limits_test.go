package fastpath

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// The classes that programs tell are those that the pipeline declares for them.
func TestClassesAreDeclared(t *testing.T) {
	declared, told := map[string]bool{}, map[string]bool{}
	for _, l := range (pipeline.Limits{}).Ports() {
		if l.Program {
			declared[l.Name] = true
		}
	}
	for _, c := range bpf.Classes() {
		told[c.String()] = true
	}
	if d := cmp.Diff(declared, told); d != "" {
		t.Errorf("classes (-pipeline +programs):\n%s", d)
	}
}

// What is read back of limits and simulated addresses is what was written, and a port of an earlier version, which has no buckets, gets some.
func TestPrivilegedLimits(t *testing.T) {
	privileged.Require(t)
	h := newHost(t)
	ifindex := h.addVeth(t, "v1", 1)
	items := household("v1", ifindex, state.HookAuto)
	for n, l := range (pipeline.Limits{}).Ports() {
		if l.Program {
			items.Limits = append(items.Limits, state.FastLimit{Class: l.Name, Rate: l.Rate + uint32(n), Burst: l.Burst})
		}
	}
	items.Simulated = []state.Simulated{{MAC: macOf(9), Interface: 9}, {MAC: macOf(9), Addr: addr(9), Interface: 9}}
	d := h.open(t)
	_, err := d.Sync(t.Context(), stateOf(t, items))
	check(t, err)
	dump, err := d.Dump()
	check(t, err)
	if df := cmp.Diff(items.Limits, dump.Limits); df != "" {
		t.Errorf("limits (-want +got):\n%s", df)
	}
	if df := cmp.Diff(items.Simulated, dump.Simulated, cmpNetip); df != "" {
		t.Errorf("simulated (-want +got):\n%s", df)
	}
	if n := len(dump.Ports[0].Limited); n != len(bpf.Classes()) {
		t.Errorf("%d buckets", n)
	}
	buckets := bucketsTable{d.pins.maps[bpf.BucketsMap]}
	check(t, buckets.remove(ifindex))
	if w, err := d.Sync(t.Context(), stateOf(t, items)); err != nil || w != (Work{Puts: 1}) {
		t.Errorf("%+v %v", w, err)
	}
	if w, err := d.Sync(t.Context(), stateOf(t, items)); err != nil || w != (Work{}) {
		t.Errorf("there is work left: %+v %v", w, err)
	}
	check(t, buckets.make(ifindex+1)) // of an agent that died
	if w, err := d.Sync(t.Context(), stateOf(t, state.Items{})); err != nil || w.Detached != 1 {
		t.Errorf("%+v %v", w, err)
	}
	if left, err := buckets.read(); err != nil || len(left) > 0 {
		t.Errorf("buckets are left: %v %v", left, err)
	}
}

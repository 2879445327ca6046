package compile_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/modeltest"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Recompiling what changes have made dirty must give what compiling everything gives, and the changes that this yields must bring
// a mirror of the old state to the new one.
func TestIncrementalEqualsFull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := &compile.Input{X: span.New(graph.New()), Self: "dp-0", Bridge: compile.NewBridge()}
		in.Bridge.Uplink, in.Bridge.Tunnel = 1, 2
		for k, name := range []string{"port0", "port1", "port2"} {
			in.Bridge.SetPort(compile.Port{Name: name, OFPort: flow.Port(10 + k), Ifindex: 100 + k})
		}
		s, mirror := state.New(), mirrors{}
		full(t, in, s, &state.Changes{})
		for f := range s.Flows.All() {
			v, _ := s.Flows.Get(f)
			mirror.set(f, v)
		}
		for rev := int64(1); rev <= 25; rev++ {
			e := in.X.Apply(modeltest.Batch(t, rev))
			var c state.Changes
			for u := range in.Dirty(e, s) {
				compileUnit(t, in, s, u, &c)
			}
			want := state.New()
			full(t, in, want, &state.Changes{})
			if diff := cmp.Diff(dump(want), dump(s)); diff != "" {
				t.Fatalf("revision %d: incremental differs from full (-full +incremental):\n%s", rev, diff)
			}
			for k, v := range c.Flows.Set {
				mirror.set(k, v)
			}
			for k := range c.Flows.Del {
				delete(mirror, k)
			}
			if !maps.Equal(mirror, maps.Collect(s.Flows.All())) {
				t.Fatalf("revision %d: the changes do not lead to the new state", rev)
			}
		}
	})
}

type mirrors map[flow.Key]flow.Flow

func (m mirrors) set(k flow.Key, v flow.Flow) { m[k] = v }

func full(t *rapid.T, in *compile.Input, s *state.State, c *state.Changes) {
	for u := range in.Units() {
		compileUnit(t, in, s, u, c)
	}
}

func compileUnit(t *rapid.T, in *compile.Input, s *state.State, u state.Unit, c *state.Changes) {
	items, err := in.Unit(u)
	if err != nil && !errors.Is(err, compile.ErrUnrealised) {
		t.Fatalf("compile %s: %v", u, err)
	}
	_ = s.Replace(u, items, c) // conflicts are possible in a world where two leases may hold one address
}

func dump(s *state.State) string { return pretty(s.Full()) }

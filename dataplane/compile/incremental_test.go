package compile_test

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
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
		in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{2}
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
			compileDrawn(t, in, s, in.Dirty(e, s), &c)
			compileDrawn(t, in, s, slices.Values(foundOut(t, in.Bridge)), &c)
			compileDrawn(t, in, s, plugged(t, in), &c)
			want := state.New()
			full(t, &compile.Input{X: in.X, Self: in.Self, Bridge: in.Bridge}, want, &state.Changes{}) // one that remembers nothing
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
	compileDrawn(t, in, s, in.Units(), c)
}

// compileDrawn compiles units. Conflicts are possible in a world where two leases may hold one address.
func compileDrawn(t *rapid.T, in *compile.Input, s *state.State, units iter.Seq[state.Unit], c *state.Changes) {
	s.ReplaceAll(units, func(u state.Unit) (state.Items, error) {
		items, err := in.Realised(u)
		if err != nil {
			t.Fatalf("compile %s: %v", u, err)
		}
		return items, nil
	}, c)
}

// plugged draws a port that comes or goes.
func plugged(t *rapid.T, in *compile.Input) iter.Seq[state.Unit] {
	k := rapid.IntRange(0, 8).Draw(t, "port")
	p := compile.Port{Name: fmt.Sprintf("port%d", k), OFPort: flow.Port(10 + k), Ifindex: 100 + k}
	switch _, there := in.Bridge.Port(p.Name); {
	case k > 2:
		return slices.Values([]state.Unit(nil))
	case there:
		in.Bridge.RemovePort(p.Name)
	default:
		in.Bridge.SetPort(p)
	}
	return in.PortsChanged(slices.Values(in.InterfacesOfPort(p)))
}

// foundOut draws what is found out about devices outside and members of multicast groups.
func foundOut(t *rapid.T, b *compile.Bridge) []state.Unit {
	domain := rapid.SampledFrom([]uint32{100, 101, 200, pipeline.LocalDomain(3, false), pipeline.LocalDomain(1, true)})
	iface := func() string { return fmt.Sprintf("if-%d", rapid.IntRange(0, 6).Draw(t, "interface")) }
	learned := compile.LearnedKey{Domain: domain.Draw(t, "domain"), MAC: model.MAC{2, 0xee, 0, 0, 0, rapid.Byte().Draw(t, "mac") % 3}}
	group := compile.MemberKey{Domain: domain.Draw(t, "domain"), Group: netip.AddrFrom4([4]byte{239, 0, 0, rapid.Byte().Draw(t, "group") % 3})}
	switch rapid.IntRange(0, 5).Draw(t, "found") {
	case 0:
		return b.Learn(learned, iface())
	case 1:
		return b.Forget(learned)
	case 2:
		return b.Join(group, iface())
	case 3:
		return b.Join(group, rapid.SampledFrom(modeltest.Hosts).Draw(t, "host"))
	case 4:
		for k, members := range b.Members() {
			if k == group {
				return b.Leave(group, slices.Min(slices.Collect(maps.Keys(members))))
			}
		}
	}
	return nil
}

func dump(s *state.State) string { return pretty(s.Full()) }

package ovs_test

import (
	"context"
	"iter"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/modeltest"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
)

// dial gives a session with bridge br0 of the instance.
func dial(t *testing.T, target string) *ovs.Switch {
	t.Helper()
	sw, err := ovs.Dial(t.Context(), target, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = sw.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return sw
}

// After every batch of changes the switch holds exactly what is compiled: comparing finds nothing to do.
func TestSwitchHoldsWhatIsCompiled(t *testing.T) {
	i := ovsenv.StartSandbox(t)
	i.AddBridge("br0")
	sw := dial(t, i.Mgmt("br0"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	rapid.Check(t, func(t *rapid.T) {
		in := &compile.Input{X: span.New(graph.New()), Self: "dp-0", Bridge: compile.NewBridge()}
		in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{2}
		for k, name := range []string{"port0", "port1", "port2"} {
			in.Bridge.SetPort(compile.Port{Name: name, OFPort: flow.Port(10 + k)})
		}
		s := state.New()
		var c state.Changes
		replace(t, in, s, in.Units(), &c)
		full := s.Full()
		if refused, _, err := sw.Sync(ctx, &full, false); err != nil || len(refused) > 0 {
			t.Fatalf("first comparison: %v, refused %v", err, refused)
		}
		for rev := int64(1); rev <= 12; rev++ {
			var c state.Changes
			replace(t, in, s, in.Dirty(in.X.Apply(modeltest.Batch(t, rev)), s), &c)
			refused, err := sw.Apply(ctx, &c)
			if err != nil || len(refused) > 0 {
				t.Fatalf("revision %d: %v, refused %v", rev, err, refused)
			}
		}
		full = s.Full()
		refused, n, err := sw.Sync(ctx, &full, false)
		if err != nil || len(refused) > 0 || n != 0 {
			t.Fatalf("the switch differs from what is compiled: %d messages, %v, refused %v", n, err, refused)
		}
	})
}

func replace(t *rapid.T, in *compile.Input, s *state.State, units iter.Seq[state.Unit], c *state.Changes) {
	s.ReplaceAll(units, func(u state.Unit) (state.Items, error) {
		items, err := in.Realised(u)
		if err != nil {
			t.Fatal(err)
		}
		return items, nil
	}, c)
}

// What the datapath cannot do is found out, and leaves no trace.
func TestTakes(t *testing.T) {
	f, err := compile.Advertisement()
	if err != nil {
		t.Fatal(err)
	}
	i := ovsenv.StartSandbox(t)
	i.AddBridge("br0")
	sw := dial(t, i.Mgmt("br0"))
	if takes, err := sw.Takes(t.Context(), f); err != nil || !takes {
		t.Errorf("Open vSwitch takes the flow: %v, %v", takes, err)
	}
	if flows, err := sw.Flows(t.Context(), 0); err != nil || len(flows) > 0 {
		t.Errorf("left behind: %v, %v", flows, err)
	}
	for _, cannot := range []bool{false, true} {
		sw := ovstest.NewWith(t, ovstest.Options{NoND: cannot})
		session := sw.Dial(t, func(ovs.Packet) {})
		takes, err := session.Takes(t.Context(), f)
		if err != nil || takes == cannot {
			t.Errorf("a switch without extensions of neighbour discovery (%v) takes the flow: %v, %v", cannot, takes, err)
		}
		if flows := sw.Flows(); len(flows) > 0 {
			t.Errorf("left behind: %v", flows)
		}
	}
}

package pipeline_test

import (
	"testing"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/ofctl/flow"
)

func TestConjoin(t *testing.T) {
	k := flow.Key{Table: pipeline.InRules.ID, Priority: 7, Match: flow.MustMatch(pipeline.Network.Is(5))}
	for _, tc := range []struct {
		n, flows int
		fails    bool
	}{{1, 1, false}, {3900, 1, false}, {3901, 2, false}, {62400, 16, false}, {62401, 16, true}} {
		cs := make([]flow.Conjunction, tc.n)
		for i := range cs {
			cs[i] = flow.Conjunction{ID: uint32(i + 1), Clause: 1, N: 2}
		}
		fs, err := pipeline.Conjoin(k, cs)
		if len(fs) != tc.flows || (err != nil) != tc.fails {
			t.Fatalf("%d conjunctions: %d flows, %v; want %d, an error %v", tc.n, len(fs), err, tc.flows, tc.fails)
		}
		keys := map[flow.Key]bool{}
		for _, f := range fs {
			if keys[f.Key()] || f.Priority != 7 || pipeline.Cookie(f.Cookie).Owner().Kind != pipeline.KindPeers {
				t.Errorf("flow %v", f.Key())
			}
			keys[f.Key()] = true
		}
		if fs[0].Key() != k {
			t.Errorf("the first flow is %v", fs[0].Key())
		}
	}
	if _, err := pipeline.Conjoin(flow.Key{Table: pipeline.L2.ID}, []flow.Conjunction{{ID: 1, Clause: 1, N: 2}}); err == nil {
		t.Error("a table without conjunctions lists some")
	}
}

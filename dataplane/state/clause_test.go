package state

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// A flow lists what the clauses of all units say of it, whatever the order in which they came, and the changes lead there.
func TestClauses(t *testing.T) {
	key := func(n int) flow.Key {
		return flow.Key{Table: pipeline.InRules.ID, Priority: 1000, Match: flow.MustMatch(pipeline.Network.Is(uint32(n)))}
	}
	rapid.Check(t, func(t *rapid.T) {
		s, mirror := New(), map[flow.Key]flow.Flow{}
		units := map[Unit][]Clause{}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			var batch []Unit
			for range rapid.IntRange(1, 3).Draw(t, "units") {
				batch = append(batch, Unit{Kind: "rule", UUID: fmt.Sprintf("sgr-%d", rapid.IntRange(0, 4).Draw(t, "unit"))})
			}
			var c Changes
			for u, err := range s.ReplaceAll(slices.Values(batch), func(u Unit) (Items, error) {
				var cs []Clause
				for range rapid.IntRange(0, 4).Draw(t, "clauses") {
					id := rapid.Uint32Range(1, 5).Draw(t, "id")
					cs = append(cs, Clause{Flow: key(rapid.IntRange(0, 2).Draw(t, "flow")), ID: id, Dim: uint8(id%3 + 1), Dims: 3})
				}
				units[u] = cs
				return Items{Clauses: cs}, nil
			}, &c) {
				t.Fatal(u, err)
			}
			maps.Copy(mirror, c.Flows.Set)
			for k := range c.Flows.Del {
				delete(mirror, k)
			}
		}
		want := map[flow.Key][]flow.Conjunction{}
		for _, cs := range units {
			for _, c := range cs {
				if conj := (flow.Conjunction{ID: c.ID, Clause: c.Dim, N: c.Dims}); !slices.Contains(want[c.Flow], conj) {
					want[c.Flow] = append(want[c.Flow], conj)
				}
			}
		}
		flows := map[flow.Key]flow.Flow{}
		for k, cs := range want {
			slices.SortFunc(cs, func(a, b flow.Conjunction) int { return cmp.Compare(a.ID, b.ID) })
			fs, err := pipeline.Conjoin(k, cs)
			if err != nil {
				t.Fatal(err)
			}
			flows[k] = fs[0]
		}
		if d := gocmp.Diff(flows, maps.Collect(s.Flows.All())); d != "" {
			t.Fatal(d)
		}
		if d := gocmp.Diff(flows, mirror); d != "" {
			t.Fatalf("the changes do not lead to the state: %s", d)
		}
	})
}

// Items that are only clauses make a unit, and go with it.
func TestClausesOfAUnit(t *testing.T) {
	s, u := New(), Unit{Kind: "rule", UUID: "sgr-1"}
	k := flow.Key{Table: pipeline.InRules.ID, Priority: 1000}
	if err := s.Replace(u, Items{Clauses: []Clause{{Flow: k, ID: 1, Dim: 1, Dims: 2}}}, &Changes{}); err != nil {
		t.Fatal(err)
	}
	if us := s.Units(); len(us) != 1 || us[0] != u {
		t.Errorf("units %v", us)
	}
	var c Changes
	if err := s.Replace(u, Items{}, &c); err != nil || s.Flows.Len() != 0 || len(c.Flows.Del) != 1 || len(s.Units()) != 0 {
		t.Errorf("%d flows left, changes %v, %v", s.Flows.Len(), c, err)
	}
	if err := s.Replace(u, Items{Clauses: []Clause{{Flow: flow.Key{Table: 250}, ID: 1, Dim: 1, Dims: 2}}}, &Changes{}); err == nil {
		t.Error("a clause in a table that there is not is no error")
	}
}

// What many units say of one flow is put together once.
func BenchmarkSharedClauses(b *testing.B) {
	k := flow.Key{Table: pipeline.InRules.ID, Priority: 1000, Match: flow.MustMatch(pipeline.Network.Is(1))}
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var units []Unit
			ids := map[Unit]uint32{}
			for id := range uint32(n) {
				u := Unit{Kind: "rule", UUID: fmt.Sprintf("sgr-%d", id)}
				units, ids[u] = append(units, u), id+1
			}
			for b.Loop() {
				New().ReplaceAll(slices.Values(units), func(u Unit) (Items, error) {
					return Items{Clauses: []Clause{{Flow: k, ID: ids[u], Dim: 3, Dims: 3}}}, nil
				}, &Changes{})
			}
		})
	}
}

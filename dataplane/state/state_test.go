package state_test

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/dataplane/state"
)

// Whatever units claim, in whatever order: an item has the value of the first unit that claims it, and the changes lead a
// mirror from state to state.
func TestReplace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := state.New()
		claims := map[state.Unit]map[uint32]uint32{}
		mirror := map[uint32]state.Meter{}
		for range 30 {
			u := state.Unit{Kind: "interface", UUID: rapid.SampledFrom([]string{"if-a", "if-b", "if-c"}).Draw(t, "unit")}
			own := map[uint32]uint32{}
			var items state.Items
			for range rapid.IntRange(0, 3).Draw(t, "items") {
				id, rate := rapid.Uint32Range(1, 4).Draw(t, "id"), rapid.Uint32Range(1, 2).Draw(t, "rate")
				own[id] = rate
			}
			for id, rate := range own {
				items.Meters = append(items.Meters, state.Meter{ID: id, Rate: rate})
			}
			claims[u] = own
			var c state.Changes
			err := s.Replace(u, items, &c)

			want := map[uint32]state.Meter{}
			conflict := false
			for _, name := range []string{"if-c", "if-b", "if-a"} {
				for id, rate := range claims[state.Unit{Kind: "interface", UUID: name}] {
					want[id] = state.Meter{ID: id, Rate: rate}
				}
			}
			for id, rate := range own {
				conflict = conflict || want[id].Rate != rate
			}
			if conflict != (err != nil) {
				t.Fatalf("conflict %t, error %v", conflict, err)
			}
			for id, m := range c.Meters.Set {
				mirror[id] = m
			}
			for id := range c.Meters.Del {
				delete(mirror, id)
			}
			if got := maps.Collect(s.Meters.All()); !maps.Equal(got, want) || !maps.Equal(mirror, want) {
				t.Fatalf("state %v, mirror %v, want %v", got, mirror, want)
			}
		}
	})
}

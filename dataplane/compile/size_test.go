package compile_test

import (
	"strings"
	"testing"

	"github.com/openvnet/openvnet/model"
)

// Sizes are looked at where they may be too big, and nowhere else.
func TestSizesAreLookedAt(t *testing.T) {
	for _, tc := range []struct {
		name   string
		world  *world
		a, b   uint16 // MTU
		there  string // what is looked at on dp-1
		others string // on dp-2
	}{
		{"nothing bounds", routed(), 0, 0, "", ""},
		{"equal", routed(), 1400, 1400, "", ""},
		{"b is smaller", routed(), 1500, 1400, "1414", "1414"},
		{"a is smaller", routed(), 1300, 1400, "1314", "1314"},
		{"nothing bounds a", routed(), 0, 1400, "1414", "1414"},
		{"a leg elsewhere", natted(false), 1400, 1400, "1414 1414", "1414 1414"}, // of a network of which nothing is known, or nothing bounds
	} {
		for network, mtu := range map[string]uint16{"nw-a": tc.a, "nw-b": tc.b} {
			o, _ := tc.world.g.Get(network)
			n := model.Clone(o.(*model.Network))
			n.MTU = mtu
			tc.world.g.Put(n)
		}
		f := newFabric(t, tc.world)
		for dp, want := range map[string]string{"dp-1": tc.there, "dp-2": tc.others} {
			var sizes []string
			for _, x := range f.hosts[dp].Flows() {
				if _, rest, ok := strings.Cut(x.String(), "check_pkt_larger("); ok {
					size, _, _ := strings.Cut(rest, ")")
					sizes = append(sizes, size)
				}
			}
			if got := strings.Join(sizes, " "); got != want {
				t.Errorf("%s: %s looks at %q, want %q", tc.name, dp, got, want)
			}
		}
	}
}

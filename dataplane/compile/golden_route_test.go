package compile_test

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// What routing and translation compile to, without what the rest of the same worlds does.
func TestGoldenRouting(t *testing.T) {
	kinds := map[string]bool{"router": true, "leg": true, "route": true, "route_link": true, "translation_static_address": true, "next_hop": true, "outside_hop": true, "neighbor": true}
	equal := natted(true)
	equal.leg("if-gy", "", "02:00:00:00:0b:fd", "nw-b", "10.0.1.253")
	equal.route("r-y", "if-gy", "nw-b", "rl-1", "0.0.0.0/0")
	equal.route("r-hole", "", "", "rl-1", "198.51.100.0/24")
	outside := routed()
	withOutside(outside)
	elsewhere := distant() // to whose host the route link goes in a way of its own
	elsewhere.put(&model.Topology{Meta: model.Meta{UUID: "topo-v"}, Encapsulation: model.VXLAN})
	elsewhere.put(&model.DatapathRouteLink{DatapathUUID: "dp-2", RouteLinkUUID: "rl-1", InterfaceUUID: "if-dp-2", TopologyUUID: "topo-v"})
	for _, tc := range []struct {
		name, self string
		w          *world
	}{
		{"routed", "dp-1", routed()},
		{"translated", "dp-2", natted(false)},
		{"translated-elsewhere", "dp-1", equal},
		{"translated-everywhere", "dp-1", stateless()},
		{"routed-outside", "dp-1", outside},
		{"routed-elsewhere", "dp-1", elsewhere},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := &compile.Input{X: span.New(tc.w.g), Self: tc.self, Bridge: compile.NewBridge()}
			in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{tunnelPort, tunnelPort + 1}
			in.Bridge.SetNeighbor(compile.NeighborKey{Domain: 200, Addr: netip.MustParseAddr("10.0.1.77")}, model.MAC{2, 0, 0, 0, 0x0d, 77})
			s := state.New()
			for u := range in.Units() {
				if !kinds[u.Kind] {
					continue
				}
				items, err := in.Unit(u)
				if err != nil {
					t.Fatalf("%s: %v", u, err)
				}
				if err := s.Replace(u, items, &state.Changes{}); err != nil {
					t.Fatal(err)
				}
			}
			golden(t, filepath.Join("testdata", tc.name+".txt"), text(s))
		})
	}
}

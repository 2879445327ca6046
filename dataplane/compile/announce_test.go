package compile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// What other hosts send as it is is announced where it is, and only as long as there is such a host.
func TestAnnounced(t *testing.T) {
	stands, guest := "02:09:00:00:00:01 nw-a", "02:00:00:00:0a:01 if-a1"
	linked := func(w *world) {
		w.put(&model.RouteLink{Meta: model.Meta{UUID: "rl-a"}, VNI: 700})
		for n, dp := range []string{"dp-1", "dp-3"} {
			w.put(&model.DatapathRouteLink{DatapathUUID: dp, RouteLinkUUID: "rl-a", InterfaceUUID: "if-" + dp, MACAddress: model.MAC{2, 8, 0, 0, 0, byte(n + 1)}, TopologyUUID: "topo-m"})
		}
		w.put(&model.Route{InterfaceUUID: "if-leg", NetworkUUID: "nw-a", RouteLinkUUID: "rl-a", Ingress: true, Egress: true})
	}
	moves := func(from, to, before string) func(*world) {
		return func(w *world) {
			w.iface("if-moves", model.InterfaceVIF, "", "moves", "02:00:00:00:00:77", "nw-a", "10.0.0.77")
			w.put(&model.ActiveInterface{InterfaceUUID: "if-moves", DatapathUUID: from, TargetDatapathUUID: to, PreviousDatapathUUID: before, PortName: "moves"})
		}
	}
	for name, tc := range map[string]struct {
		change func(*world)
		self   string
		want   []string
	}{
		"as it is to one of two": {want: []string{stands, guest}},
		"the other end":          {self: "dp-3", want: []string{"02:09:00:00:00:03 nw-a", "02:00:00:00:0a:03 if-a3"}},
		"by tunnels only":        {self: "dp-2"},
		"the topology changes":   {change: func(w *world) { change(w, "topo-m", func(t *model.Topology) { t.MAC2MAC = false }) }},
		"another physical network": {change: func(w *world) {
			w.network("nw-else", 0, "172.16.91.0/24", "")
			for _, l := range graph.Children[*model.IPLease](w.g, "if-dp-3", "ip_leases.interface_uuid") {
				change(w, l.UUID, func(l *model.IPLease) { l.NetworkUUID = "nw-else" })
			}
		}},
		"the domain has left": {change: func(w *world) { w.g.Delete("if-a1") }},
		"its peer has left": {change: func(w *world) {
			for _, d := range graph.Children[*model.DatapathNetwork](w.g, "dp-3", "datapath_networks.datapath_uuid") {
				w.g.Delete(d.UUID)
			}
		}},
		"a guest without a port": {change: func(w *world) {
			w.iface("if-a4", model.InterfaceVIF, "dp-1", "", "02:00:00:00:0a:04", "nw-a", "10.0.0.4")
		}, want: []string{stands, guest}},
		"a leg here":       {change: func(w *world) { w.leg("if-leg", "dp-1", "02:00:00:00:0a:fe", "nw-a", "10.0.0.254") }, want: []string{stands, guest, "02:00:00:00:0a:fe if-leg"}},
		"a leg everywhere": {change: func(w *world) { w.leg("if-leg", "", "02:00:00:00:0a:fe", "nw-a", "10.0.0.254") }, want: []string{stands, guest}},
		"found here":       {change: moves("dp-1", "", ""), want: []string{stands, "02:00:00:00:00:77 if-moves", guest}},
		"to move away":     {change: moves("dp-1", "dp-3", ""), want: []string{stands, guest}},
		"to move here":     {change: moves("dp-3", "dp-1", ""), want: []string{stands, guest}},
		"has moved here":   {change: moves("dp-1", "", "dp-3"), want: []string{stands, "02:00:00:00:00:77 if-moves", guest}},
		"has moved away":   {change: moves("dp-3", "", "dp-1"), want: []string{stands, guest}},
		"behind a port": {change: func(w *world) {
			w.iface("if-prom", model.InterfacePromiscuous, "dp-1", "prom", "02:00:00:00:0a:05", "nw-a", "10.0.0.5")
			w.put(&model.InterfaceNetwork{InterfaceUUID: "if-prom", NetworkUUID: "nw-a", Static: true})
		}, want: []string{stands, guest}},
		"a route link to a leg here": {change: func(w *world) {
			w.leg("if-leg", "dp-1", "02:00:00:00:0a:fe", "nw-a", "10.0.0.254")
			linked(w)
		}, want: []string{"02:08:00:00:00:01 rl-a", stands, guest, "02:00:00:00:0a:fe if-leg"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := wires()
			if tc.change != nil {
				tc.change(w)
			}
			if tc.self == "" {
				tc.self = "dp-1"
			}
			b := w.bridge(tc.self)
			b.SetPort(compile.NewPort("moves", "", 77, 0))
			in := &compile.Input{X: span.New(w.g), Self: tc.self, Bridge: b}
			if diff := cmp.Diff(tc.want, announced(in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if b.Uplink = 0; len(announced(in)) != 0 {
				t.Errorf("without a NIC: %v", announced(in))
			}
		})
	}
}

func announced(in *compile.Input) []string {
	var out []string
	for _, a := range in.Announced() {
		out = append(out, a.MAC.String()+" "+a.UUID)
	}
	return out
}

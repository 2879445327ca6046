package compile_test

import (
	"errors"
	"net/netip"
	"strings"
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

// A MAC address in several domains tells none of them apart when its frames come without encapsulation, which is said where they come; not where the tunnel tells the domain.
func TestAmbiguousWithoutEncapsulation(t *testing.T) {
	also := func(w *world, iface, network, addr string) {
		ml := graph.Children[*model.MACLease](w.g, iface, "mac_leases.interface_uuid")[0]
		w.put(&model.IPLease{InterfaceUUID: iface, NetworkUUID: network, MACLeaseUUID: ml.UUID, IPv4Address: netip.MustParseAddr(addr)})
	}
	base := func() *world {
		w := wires()
		w.network("nw-b", 200, "10.1.0.0/24", "")
		for n, dp := range []string{"dp-1", "dp-2", "dp-3"} {
			w.put(&model.DatapathNetwork{
				Meta: model.Meta{UUID: "dpn-b" + dp[3:]}, DatapathUUID: dp, NetworkUUID: "nw-b", InterfaceUUID: "if-" + dp, MACAddress: model.MAC{2, 9, 0, 0, 1, byte(n + 1)}, TopologyUUID: "topo-m",
			})
			w.iface("if-b"+dp[3:], model.InterfaceVIF, dp, "b"+dp[3:], "02:00:00:00:0b:0"+dp[3:], "nw-b", "10.1.0."+dp[3:])
		}
		return w
	}
	for name, tc := range map[string]struct {
		change func(*world)
		iface  string
		want   string
	}{
		"in one": {func(*world) {}, "if-a3", ""},
		"in two": {
			func(w *world) { also(w, "if-a3", "nw-b", "10.1.0.33") }, "if-a3",
			"MAC address 02:00:00:00:0a:03 is in nw-a and in nw-b: what other hosts send from it without encapsulation (mac2mac) is taken to be of nw-a; lease one for each",
		},
		"in two, of which one comes by a tunnel": {func(w *world) { also(w, "if-a2", "nw-b", "10.1.0.22") }, "if-a2", ""},
		"in two, on this host":                   {func(w *world) { also(w, "if-a1", "nw-b", "10.1.0.11") }, "if-a1", ""},
		"in two, with a MAC address for each": {func(w *world) {
			w.put(&model.MACLease{Meta: model.Meta{UUID: "ml-more"}, InterfaceUUID: "if-a3", MACAddress: model.MAC{2, 0, 0, 0, 0x0b, 0x33}})
			w.put(&model.IPLease{InterfaceUUID: "if-a3", NetworkUUID: "nw-b", MACLeaseUUID: "ml-more", IPv4Address: netip.MustParseAddr("10.1.0.33")})
		}, "if-a3", ""},
		"and in a physical one": {
			func(w *world) { also(w, "if-a3", "nw-under", "172.16.90.33") }, "if-a3",
			"MAC address 02:00:00:00:0a:03 is in nw-a and in nw-under: what other hosts send from it without encapsulation (mac2mac) is taken to be of nw-a; lease one for each",
		},
		"a leg everywhere": {
			func(w *world) {
				w.leg("if-leg", "", "02:00:00:00:0a:fe", "nw-a", "10.0.0.254")
				also(w, "if-leg", "nw-b", "10.1.0.254")
			}, "if-leg",
			"MAC address 02:00:00:00:0a:fe is in nw-a and in nw-b: what other hosts send from it without encapsulation (mac2mac) is taken to be of nw-a; lease one for each",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := base()
			tc.change(w)
			in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: w.bridge("dp-1")}
			_, err := in.Unit(compile.InterfaceUnit(tc.iface))
			switch {
			case tc.want == "" && err != nil, tc.want != "" && (!errors.Is(err, compile.ErrUnrealised) || !strings.HasSuffix(err.Error(), tc.want)):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

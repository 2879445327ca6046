package compile_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// busy is a world in which everything that routes meets: legs here, elsewhere and everywhere, routes of equal prefix, rows that translate the same, a segment
// with two networks, devices outside here and where this host has nothing of the network, domains that are wired to hosts one by one.
func busy() *world {
	w := natted(true)
	w.datapath("dp-3", "172.16.90.3")
	w.put(&model.Segment{Meta: model.Meta{UUID: "seg-1"}, Mode: model.SegmentVirtual, VNI: 500})
	w.put(&model.RouteLink{Meta: model.Meta{UUID: "rl-2"}, VNI: 301, MACAddress: model.MAC{2, 0, 0, 0, 3, 1}})
	w.leg("if-gy", "dp-1", "02:00:00:00:0b:fd", "nw-b", "10.0.1.253", "fd00:b::fd")
	w.edit("if-gy", func(i *model.Interface) { i.EnableRouteTranslation = true })
	w.leg("if-gu", "dp-1", "02:00:00:00:0e:01", "nw-under", "172.16.90.100")
	w.route("r-y", "if-gy", "nw-b", "rl-1", "0.0.0.0/0", "::/0")
	w.route("r-y2", "if-gy", "nw-b", "rl-2", "0.0.0.0/0", "::/0")
	w.route("r-b2", "if-gb", "nw-b", "rl-2", "10.0.1.0/24", "fd00:b::/64")
	w.route("r-u", "if-gu", "nw-under", "rl-1", "172.16.90.0/24")
	w.route("r-hole", "", "", "rl-2", "0.0.0.0/0")
	w.put(&model.Translation{Meta: model.Meta{UUID: "tr-y"}, Mode: model.TranslationStatic, InterfaceUUID: "if-gy"})
	for n, out := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.1"} {
		w.put(&model.TranslationStaticAddress{Meta: model.Meta{UUID: fmt.Sprintf("trs-%d", n)}, TranslationUUID: "tr-y",
			IngressIPv4Address: netip.MustParseAddr("10.0.1.253"), EgressIPv4Address: netip.MustParseAddr(out)})
	}
	w.iface("if-p", model.InterfacePromiscuous, "dp-2", "p1", "02:00:00:00:0d:01", "")
	w.put(&model.InterfaceNetwork{Meta: model.Meta{UUID: "ifn-p"}, InterfaceUUID: "if-p", NetworkUUID: "nw-b", Static: true})
	w.network("nw-o", 600, "10.0.9.0/24", "fd00:9::/64")
	w.leg("if-go", "", "02:00:00:00:09:fe", "nw-o", "10.0.9.254")
	w.route("r-o", "if-go", "nw-o", "rl-1", "10.0.9.0/24", "fd00:9::/64")
	w.iface("if-o1", model.InterfaceVIF, "dp-2", "o1", "02:00:00:00:09:01", "nw-o", "10.0.9.1", "fd00:9::7")
	for n, dp := range []string{"dp-2", "dp-3"} {
		p := fmt.Sprintf("if-po%d", n)
		w.iface(p, model.InterfacePromiscuous, dp, "po"+dp, fmt.Sprintf("02:00:00:00:0d:1%d", n), "")
		w.put(&model.InterfaceNetwork{Meta: model.Meta{UUID: "ifn-" + p}, InterfaceUUID: p, NetworkUUID: "nw-o", Static: true})
	}
	w.route("r-o2", "if-go", "nw-o", "rl-2", "10.0.9.0/24")
	change(w, model.DefaultTopology, func(t *model.Topology) { t.Automatic = false })
	w.put(&model.Topology{Meta: model.Meta{UUID: "topo-v"}, Encapsulation: model.VXLAN})
	for _, dp := range []string{"dp-1", "dp-2", "dp-3"} {
		for _, n := range []string{"nw-a", "nw-b", "nw-o", "nw-x"} {
			w.put(&model.DatapathNetwork{DatapathUUID: dp, NetworkUUID: n, InterfaceUUID: "if-" + dp})
		}
		w.put(&model.DatapathSegment{DatapathUUID: dp, SegmentUUID: "seg-1", InterfaceUUID: "if-" + dp})
		w.put(&model.DatapathRouteLink{DatapathUUID: dp, RouteLinkUUID: "rl-1", InterfaceUUID: "if-" + dp, TopologyUUID: "topo-v"})
	}
	return w
}

// another draws a change of an object that routing depends on.
func another(t *rapid.T, o model.Object) model.Object {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	flag := func(label string) bool { return rapid.Bool().Draw(t, label) }
	leg := func() string { return pick("leg", "if-ga", "if-gb", "if-gx", "if-gy", "if-gu", "if-go", "if-a1") }
	switch o := o.(type) {
	case *model.Route:
		c := *o
		c.RouteLinkUUID, c.Ingress, c.Egress = pick("link", "rl-1", "rl-2"), flag("ingress"), flag("egress")
		if c.InterfaceUUID != "" {
			c.InterfaceUUID, c.NetworkUUID = leg(), pick("network", "nw-a", "nw-b", "nw-x", "nw-o")
		}
		p := netip.MustParsePrefix(pick("prefix", "0.0.0.0/0", "10.0.1.0/24"))
		c.IPv4Network, c.IPv4Prefix = p.Addr(), p.Bits()
		return &c
	case *model.Interface:
		c := *o
		if c.Mode == model.InterfaceSimulated {
			c.EnableRouting, c.EnableRouteTranslation = rapid.IntRange(0, 4).Draw(t, "routing") > 0, flag("translates")
			if c.UUID == "if-gy" && flag("moved") { // to the zones of if-gu, whose id is the next
				c.ID += 2*pipeline.LegZoneStep + 1
			}
		}
		return &c
	case *model.InterfacePort:
		c := *o
		c.DatapathUUID = pick("host", "", "dp-1", "dp-2")
		return &c
	case *model.DatapathRouteLink:
		c := *o
		c.TopologyUUID = pick("topology", "", "topo-v")
		return &c
	case *model.InterfaceNetwork:
		c := *o
		c.NetworkUUID, c.Static = pick("network", "nw-b", "nw-o"), flag("static")
		return &c
	case *model.IPLease:
		c := *o
		c.EnableRouting = !c.EnableRouting
		return &c
	case *model.Network:
		c := *o
		if c.Mode == model.NetworkVirtual {
			c.SegmentUUID = pick("segment", "", "seg-1")
		}
		return &c
	case *model.RouteLink:
		c := *o
		c.VNI = rapid.SampledFrom([]uint32{0, c.VNI, c.VNI + 10}).Draw(t, "vni")
		return &c
	case *model.Translation:
		c := *o
		c.InterfaceUUID, c.Passthrough = leg(), flag("passthrough")
		if c.Mode == model.TranslationMasquerade {
			c.NetworkUUID = pick("network", "", "nw-a", "nw-b")
		}
		return &c
	case *model.TranslationStaticAddress:
		c := *o
		c.RouteLinkUUID, c.TranslationUUID = pick("link", "", "rl-1", "rl-2"), pick("translation", "tr-s", "tr-y")
		return &c
	}
	return o
}

// In a world full of routing, recompiling what is dirty gives what compiling everything gives.
func TestReroutedEqualsFull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := busy()
		var all []model.Object
		for o := range w.g.All() {
			all = append(all, o)
		}
		in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: compile.NewBridge()}
		in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{tunnelPort, tunnelPort + 1}
		s := state.New()
		full(t, in, s, &state.Changes{})
		for rev := range 12 {
			var batch []graph.Change
			for range rapid.IntRange(1, 3).Draw(t, "batch") {
				o := rapid.SampledFrom(all).Draw(t, "object")
				c := graph.Change{UUID: o.Base().UUID, Object: o}
				switch rapid.IntRange(0, 5).Draw(t, "change") {
				case 0:
					c.Object = nil
				case 1:
				default:
					c.Object = another(t, o)
				}
				batch = append(batch, c)
			}
			compileDrawn(t, in, s, in.Dirty(in.X.Apply(batch), s), &state.Changes{})
			// An input of its own: nothing may depend on what this one has seen.
			fresh := &compile.Input{X: in.X, Self: in.Self, Bridge: in.Bridge}
			want := state.New()
			full(t, fresh, want, &state.Changes{})
			if diff := cmp.Diff(dump(want), dump(s)); diff != "" {
				t.Fatalf("revision %d, %+v: incremental differs from full (-full +incremental):\n%s", rev, batch, diff)
			}
		}
	})
}

// A row, a route or a guest more costs as many units and flows in a large network as in a small one.
func TestRoutingCostsDoNotGrow(t *testing.T) {
	for name, more := range map[string]func(w *world) []model.Object{
		"route": func(w *world) []model.Object {
			return []model.Object{&model.Route{Meta: model.Meta{UUID: "r-new", ID: 9000}, Mode: model.RouteGateway, InterfaceUUID: "if-gb", NetworkUUID: "nw-b", RouteLinkUUID: "rl-1",
				IPv4Network: netip.MustParseAddr("192.0.2.0"), IPv4Prefix: 24, Ingress: true, Egress: true}}
		},
		"row": func(w *world) []model.Object {
			return []model.Object{&model.TranslationStaticAddress{Meta: model.Meta{UUID: "trs-new", ID: 9000}, TranslationUUID: "tr-s",
				IngressIPv4Address: netip.MustParseAddr("203.0.113.77"), EgressIPv4Address: netip.MustParseAddr("10.0.0.1")}}
		},
		"guest": func(w *world) []model.Object {
			return []model.Object{
				&model.Interface{Meta: model.Meta{UUID: "if-new", ID: 9000}, Mode: model.InterfaceVIF},
				&model.InterfacePort{Meta: model.Meta{UUID: "ifp-new", ID: 9000}, InterfaceUUID: "if-new", DatapathUUID: "dp-1"},
				&model.MACLease{Meta: model.Meta{UUID: "ml-new", ID: 9000}, InterfaceUUID: "if-new", MACAddress: model.MAC{2, 9}},
				&model.IPLease{Meta: model.Meta{UUID: "il-new", ID: 9000}, InterfaceUUID: "if-new", MACLeaseUUID: "ml-new", NetworkUUID: "nw-b", IPv4Address: netip.MustParseAddr("10.0.1.99")},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var units, flows [2]int
			for n, size := range []int{1, 40} {
				w := natted(false)
				for k := range size {
					w.iface(fmt.Sprintf("if-n%d", k), model.InterfaceVIF, "dp-1", fmt.Sprintf("n%d", k), fmt.Sprintf("02:00:00:01:00:%02x", k), "nw-b", fmt.Sprintf("10.0.1.%d", 100+k))
					w.route(fmt.Sprintf("r-n%d", k), "if-gb", "nw-b", "rl-1", fmt.Sprintf("192.168.%d.0/24", k))
					w.put(&model.TranslationStaticAddress{TranslationUUID: "tr-s",
						IngressIPv4Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + k)}), EgressIPv4Address: netip.AddrFrom4([4]byte{10, 0, 2, byte(k)})})
				}
				in := &compile.Input{X: span.New(w.g), Self: "dp-2", Bridge: compile.NewBridge()}
				s := compileAll(t, in)
				var batch []graph.Change
				for _, o := range more(w) {
					batch = append(batch, graph.Change{UUID: o.Base().UUID, Object: o})
				}
				var c state.Changes
				for u := range in.Dirty(in.X.Apply(batch), s) {
					units[n]++
					items, err := in.Unit(u)
					if err != nil {
						t.Fatalf("%s: %v", u, err)
					}
					if err := s.Replace(u, items, &c); err != nil {
						t.Fatal(err)
					}
				}
				flows[n] = len(c.Flows.Set) + len(c.Flows.Del)
			}
			if units[0] != units[1] || flows[0] != flows[1] || flows[0] == 0 {
				t.Errorf("units %v, flows %v", units, flows)
			}
			t.Logf("%d units, %d flows", units[0], flows[0])
		})
	}
}

package compile_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// hosts makes hosts dp-1 to dp-3 on one physical network.
func hosts() *world {
	w := newWorld()
	w.network("nw-under", 0, "172.16.90.0/24", "")
	for _, n := range []string{"1", "2", "3"} {
		w.datapath("dp-"+n, "172.16.90."+n)
	}
	return w
}

// on puts the interface's MAC lease on a segment.
func (w *world) on(iface, segment string) {
	for _, ml := range graph.Children[*model.MACLease](w.g, iface, "mac_leases.interface_uuid") {
		ml = model.Clone(ml)
		ml.SegmentUUID = segment
		w.g.Put(ml)
	}
}

// change changes the object of that uuid.
func change[T model.Object](w *world, uuid string, by func(T)) {
	o, _ := w.g.Get(uuid)
	c := model.Clone(o.(T))
	by(c)
	w.g.Put(c)
}

// port makes an interface without MAC address, on a port of a host.
func (w *world) port(uuid, mode, datapath, port string) {
	w.put(&model.Interface{Meta: model.Meta{UUID: uuid}, Mode: mode})
	w.put(&model.InterfacePort{InterfaceUUID: uuid, DatapathUUID: datapath, PortName: port})
}

// segments is a segment with guests on two hosts, one of them without an address, and a network that lies on it; a network with a guest that routes.
func segments() *world {
	w := hosts()
	w.put(&model.Segment{Meta: model.Meta{UUID: "seg-a"}, Mode: model.SegmentVirtual, VNI: 500})
	w.network("nw-on", 501, "10.5.0.0/24", "")
	change(w, "nw-on", func(n *model.Network) { n.SegmentUUID = "seg-a" })
	w.network("nw-r", 600, "10.6.0.0/24", "fd00:6::/64")
	w.iface("if-s1", model.InterfaceVIF, "dp-1", "s1", "02:00:00:00:05:01", "nw-on", "10.5.0.1")
	w.on("if-s1", "seg-a")
	w.iface("if-s2", model.InterfaceVIF, "dp-2", "s2", "02:00:00:00:05:02", "nw-on", "10.5.0.2")
	w.on("if-s2", "seg-a")
	w.iface("if-s3", model.InterfaceVIF, "dp-1", "s3", "02:00:00:00:05:03", "")
	w.on("if-s3", "seg-a")
	w.iface("if-r1", model.InterfaceVIF, "dp-1", "r1", "02:00:00:00:06:01", "nw-r", "10.6.0.1", "fd00:6::1")
	w.edit("if-r1", func(i *model.Interface) { i.EnableRouting = true })
	w.iface("if-r2", model.InterfaceVIF, "dp-2", "r2", "02:00:00:00:06:02", "nw-r", "10.6.0.2", "fd00:6::2")
	return w
}

// outsiders is a network with a patch port here, a promiscuous one on another host, and an edge port by VLAN.
func outsiders() *world {
	w := hosts()
	w.network("nw-a", 100, "10.0.0.0/24", "")
	w.iface("if-a1", model.InterfaceVIF, "dp-1", "a1", "02:00:00:00:0a:01", "nw-a", "10.0.0.1")
	w.iface("if-a2", model.InterfaceVIF, "dp-2", "a2", "02:00:00:00:0a:02", "nw-a", "10.0.0.2")
	w.port("if-patch", model.InterfacePatch, "dp-1", "patch1")
	w.put(&model.InterfaceNetwork{InterfaceUUID: "if-patch", NetworkUUID: "nw-a", Static: true})
	w.port("if-prom", model.InterfacePromiscuous, "dp-2", "prom2")
	w.put(&model.InterfaceNetwork{InterfaceUUID: "if-prom", NetworkUUID: "nw-a", Static: true})
	w.port("if-edge", model.InterfaceEdge, "dp-1", "edge1")
	w.put(&model.Translation{Meta: model.Meta{UUID: "tr-e"}, Mode: model.TranslationEdge, InterfaceUUID: "if-edge"})
	w.put(&model.VLANTranslation{TranslationUUID: "tr-e", NetworkUUID: "nw-a", VLANID: 7})
	return w
}

// underlay is guests in the physical network of the hosts, and an internal network with the host in it.
func underlay() *world {
	w := hosts()
	w.iface("if-u1", model.InterfaceVIF, "dp-1", "u1", "02:00:00:00:09:01", "nw-under", "172.16.90.101")
	w.iface("if-u2", model.InterfaceVIF, "dp-2", "u2", "02:00:00:00:09:02", "nw-under", "172.16.90.102")
	w.put(&model.Network{Meta: model.Meta{UUID: "nw-int"}, Mode: model.NetworkInternal, IPv4Network: netip.MustParseAddr("192.168.9.0"), IPv4Prefix: 24})
	w.iface("if-int", model.InterfaceInternal, "dp-1", "", "02:00:00:00:08:fe", "nw-int", "192.168.9.254")
	w.iface("if-i1", model.InterfaceVIF, "dp-1", "i1", "02:00:00:00:08:01", "nw-int", "192.168.9.1")
	return w
}

// wires is a network with three hosts: one that the default topology's Geneve leads to, one by VXLAN to another address, one without encapsulation.
func wires() *world {
	w := hosts()
	w.network("nw-a", 100, "10.0.0.0/24", "fd00:a::/64")
	change(w, model.DefaultTopology, func(t *model.Topology) { t.Automatic = false })
	w.put(&model.Topology{Meta: model.Meta{UUID: "topo-x"}, Mode: model.TopologyOverlay, Encapsulation: model.VXLAN})
	w.put(&model.Topology{Meta: model.Meta{UUID: "topo-m"}, Mode: model.TopologyOverlay, Encapsulation: model.GRE, MAC2MAC: true})
	w.put(&model.IPLease{Meta: model.Meta{UUID: "il-other"}, NetworkUUID: "nw-under", InterfaceUUID: "if-dp-2", IPv4Address: netip.MustParseAddr("172.16.90.22")})
	for n, t := range []string{"topo-m", "topo-x", "topo-m"} {
		row := &model.DatapathNetwork{DatapathUUID: []string{"dp-1", "dp-2", "dp-3"}[n], NetworkUUID: "nw-a", MACAddress: model.MAC{2, 9, 0, 0, 0, byte(n + 1)}, TopologyUUID: t}
		row.InterfaceUUID = "if-" + row.DatapathUUID
		if n == 1 {
			row.IPLeaseUUID = "il-other"
		}
		w.put(row)
	}
	for _, n := range []string{"1", "2", "3"} {
		w.iface("if-a"+n, model.InterfaceVIF, "dp-"+n, "a"+n, "02:00:00:00:0a:0"+n, "nw-a", "10.0.0."+n)
		change(w, "dp-"+n, func(d *model.Datapath) { d.MTU = 1500 })
	}
	return w
}

// shaped is an interface with rates and a code point, and mirrors of it: for one here and for one on another host.
func shaped() *world {
	w := hosts()
	w.network("nw-a", 100, "10.0.0.0/24", "")
	w.iface("if-a1", model.InterfaceVIF, "dp-1", "a1", "02:00:00:00:0a:01", "nw-a", "10.0.0.1")
	w.iface("if-a2", model.InterfaceVIF, "dp-2", "a2", "02:00:00:00:0a:02", "nw-a", "10.0.0.2")
	w.iface("if-a3", model.InterfaceVIF, "dp-1", "a3", "02:00:00:00:0a:03", "nw-a", "10.0.0.3")
	w.edit("if-a1", func(i *model.Interface) {
		i.EgressRate, i.IngressRate, i.IngressBurst, i.DSCP = 10_000, 20_000, 500, 46
	})
	w.put(&model.Mirror{Meta: model.Meta{UUID: "mir-1"}, InterfaceUUID: "if-a1", TargetInterfaceUUID: "if-a3", Direction: model.MirrorBoth, VNI: 900})
	w.put(&model.Mirror{Meta: model.Meta{UUID: "mir-2"}, InterfaceUUID: "if-a1", TargetInterfaceUUID: "if-a2", Direction: model.MirrorIngress, VNI: 901})
	return w
}

// snooped is a network whose multicast goes to those that have joined.
func snooped() *world {
	w := outsiders()
	change(w, "nw-a", func(n *model.Network) { n.Multicast = model.MulticastSnoop })
	return w
}

// bridge gives the bridge of a host: the NIC, a tunnel port of each kind, and the ports of the world's interfaces on that host.
func (w *world) bridge(datapath string) *compile.Bridge {
	b := compile.NewBridge()
	b.Name, b.Uplink, b.Tunnels = "br0", 1, compile.Tunnels{2, 3, 4}
	for n, o := range w.g.List(model.InterfacePorts) {
		p := o.(*model.InterfacePort)
		if p.DatapathUUID == datapath && p.PortName != "" && p.PortName != "eth0" {
			b.SetPort(compile.NewPort(p.PortName, "", uint32(n)+10, n+100)) //nolint:gosec // small
		}
	}
	return b
}

// layer2 are the kinds of units of layer 2.
var layer2 = []string{"domain", "interface", "datapath", "learned", "multicast", "route_link_wire"}

func TestGoldenLayer2(t *testing.T) {
	for _, tc := range []struct {
		name  string
		w     *world
		known func(*compile.Bridge)
	}{
		{name: "segment", w: segments()},
		{name: "outside", w: outsiders(), known: func(b *compile.Bridge) {
			b.Learn(compile.LearnedKey{Domain: 100, MAC: model.MAC{2, 0xee, 0, 0, 0, 1}}, "if-patch")
		}},
		{name: "physical", w: underlay()},
		{name: "transport", w: wires()},
		{name: "shaped", w: shaped()},
		{name: "leaving", w: mover("dp-1 dp-2", false)},
		{name: "arriving", w: mover("dp-2 dp-1", false), known: func(b *compile.Bridge) { b.SetPort(compile.NewPort("x1", "if-x", 50, 150)) }},
		{name: "arrived", w: mover("dp-1 - dp-2", true), known: func(b *compile.Bridge) { b.SetPort(compile.NewPort("x1", "if-x", 50, 150)) }},
		{name: "left", w: mover("dp-2 - dp-1", false)},
		{name: "snoop", w: snooped(), known: func(b *compile.Bridge) {
			k := compile.MemberKey{Domain: 100, Group: netip.MustParseAddr("239.1.2.3")}
			b.Join(k, "if-a1")
			b.Join(k, "dp-3")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := &compile.Input{X: span.New(tc.w.g), Self: "dp-1", Bridge: tc.w.bridge("dp-1")}
			if tc.known != nil {
				tc.known(in.Bridge)
			}
			s := state.New()
			for u := range in.Units() {
				if !slices.Contains(layer2, u.Kind) {
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
			golden(t, filepath.Join("testdata", "l2-"+tc.name+".txt"), text(s))
		})
	}
}

// A promiscuous port in two domains cannot tell them apart, and that is said.
func TestAmbiguousAttachmentIsSaid(t *testing.T) {
	w := outsiders()
	w.network("nw-b", 200, "10.1.0.0/24", "")
	w.put(&model.InterfaceNetwork{InterfaceUUID: "if-patch", NetworkUUID: "nw-b", Static: true})
	in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: w.bridge("dp-1")}
	if _, err := in.Unit(compile.InterfaceUnit("if-patch")); !errors.Is(err, compile.ErrUnrealised) {
		t.Errorf("error %v", err)
	}
}

func TestMTU(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world)
		want   int
	}{
		"vxlan to one, none to the other": {func(*world) {}, 1450},
		"geneve":                          {func(w *world) { change(w, "topo-x", func(t *model.Topology) { t.Encapsulation = model.Geneve }) }, 1450},
		"gre": {func(w *world) {
			change(w, "topo-x", func(t *model.Topology) { t.Encapsulation = model.GRE })
			change(w, "topo-m", func(t *model.Topology) { t.MAC2MAC = false })
		}, 1458},
		"none at all": {func(w *world) { change(w, "topo-x", func(t *model.Topology) { t.MAC2MAC = true }) }, 1500},
		"over IPv6": {func(w *world) {
			change(w, "il-other", func(l *model.IPLease) { l.IPv4Address, l.IPv6Address = netip.Addr{}, netip.MustParseAddr("fd90::2") })
		}, 1430},
		"a smaller host":  {func(w *world) { change(w, "dp-3", func(d *model.Datapath) { d.MTU = 1400 }) }, 1400},
		"the network's":   {func(w *world) { change(w, "nw-a", func(n *model.Network) { n.MTU = 1280 }) }, 1280},
		"nobody knows it": {func(w *world) { w.mtus(0) }, 0},
		"large frames":    {func(w *world) { w.mtus(9000) }, 8950},
	} {
		t.Run(name, func(t *testing.T) {
			w := wires()
			tc.change(w)
			in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: w.bridge("dp-1")}
			if got := in.MTU("nw-a"); got != tc.want {
				t.Errorf("MTU %d, want %d", got, tc.want)
			}
		})
	}
}

func (w *world) mtus(mtu uint16) {
	for _, dp := range []string{"dp-1", "dp-2", "dp-3"} {
		change(w, dp, func(d *model.Datapath) { d.MTU = mtu })
	}
}

// Ports beyond the first 512 of a domain are in further groups, and one more port costs one bucket.
func TestFloodShards(t *testing.T) {
	w := hosts()
	w.network("nw-a", 100, "10.0.0.0/24", "")
	w.iface("if-a1", model.InterfaceVIF, "dp-1", "a1", "02:00:00:00:0a:01", "nw-a", "10.0.0.1")
	w.iface("if-a2", model.InterfaceVIF, "dp-1", "a2", "02:00:00:00:0a:02", "nw-a", "10.0.0.2")
	w.iface("if-a3", model.InterfaceVIF, "dp-1", "a3", "02:00:00:00:0a:03", "nw-a", "10.0.0.3")
	b := compile.NewBridge()
	for n, name := range []string{"a1", "a2", "a3"} {
		b.SetPort(compile.NewPort(name, "", []uint32{511, 512, 513}[n], 0))
	}
	in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: b}
	s := state.New()
	add := func(uuid string) (c state.Changes) {
		u := compile.InterfaceUnit(uuid)
		items, err := in.Unit(u)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Replace(u, items, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for n, want := range []struct{ groups, buckets int }{{1, 1}, {1, 2}, {0, 1}} {
		c := add([]string{"if-a1", "if-a2", "if-a3"}[n])
		if len(c.Groups.Set) != want.groups || len(c.Buckets.Set) != want.buckets {
			t.Errorf("port %d: %d groups and %d buckets more, want %+v", n, len(c.Groups.Set), len(c.Buckets.Set), want)
		}
	}
	if _, ok := s.Groups.Get(pipeline.FloodGroup(100, 1, false)); !ok {
		t.Error("there is no second group")
	}
}

package compile_test

import (
	"fmt"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// What numbers of all kinds are called on dp-node1 of the example, and where nobody has them.
func TestNames(t *testing.T) {
	w := example()
	w.put(&model.Segment{Meta: model.Meta{UUID: "seg-lan"}, Mode: model.SegmentPhysical})
	in := &compile.Input{X: span.New(w.g), Self: "dp-node1", Bridge: compile.NewBridge()}
	in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{2, 0, 4}
	in.Bridge.SetPort(compile.Port{Name: "tap-web1", OFPort: 12})
	id := func(uuid string) uint32 {
		o, _ := w.g.Get(uuid)
		return o.Base().ID
	}
	n := in.Names()
	zoneIn, zoneOut := pipeline.LegZones(id("if-gwout"))
	filter, groups := pipeline.PortZones(12)
	lost, _ := pipeline.LegZones(id("if-gwfront")) // remembers nothing
	for _, tc := range []struct{ got, want string }{
		{n.Domain(300), "nw-out"}, {n.Domain(400), "rl-1"}, {n.Domain(999), "999"}, {n.Domain(0), "none"},
		{n.Domain(pipeline.LocalDomain(id("nw-under"), false)), "nw-under"}, {n.Domain(pipeline.LocalDomain(id("seg-lan"), true)), "seg-lan"},
		{n.Domain(compile.ProbeVNI(pipeline.EncapVXLAN)), "probe/vxlan"}, {n.Domain(model.ReservedVNI + 255), "16777215"},
		{n.Zone(zoneIn), "if-gwout/in"}, {n.Zone(zoneOut), "if-gwout/out"}, {n.Zone(filter), "tap-web1/filter"}, {n.Zone(groups), "tap-web1/groups"}, {n.Zone(lost), fmt.Sprintf("leg-%d/in", id("if-gwfront"))},
		{n.Interface(id("if-web1")), "if-web1"}, {n.Interface(500), "500"},
		{n.Rule(1<<31 | id("sgr-ssh")), "sgr-ssh"}, {n.Rule(id("sg-web")<<9 | 1), "sg-web.2"}, {n.Rule(id("sg-web")<<9 | 510), "sg-web.trust"},
		{n.Rule(77 << 9), ""}, {n.RuleSet(1), ""}, {n.Port[1], "uplink"}, {n.Port[4], "gre"},
		{n.Group(pipeline.RouteGroup(id("r-out"), false, false)), "choose r-out"}, {n.Meter(pipeline.PuntDHCP4.Meter(12)), "tap-web1/dhcp4"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
	if _, ok := n.Port[0]; ok {
		t.Error("a tunnel port that is not there has a name")
	}
}

// Zones repeat with ids: the leg that has one is looked for among all that may.
func TestNamesOfZonesOfHighIDs(t *testing.T) {
	w := example()
	w.ids[model.Interfaces] += pipeline.LegZoneStep
	w.leg("if-late", "dp-node1", "02:00:00:00:0d:fe", "nw-back", "10.0.1.253")
	w.edit("if-late", func(i *model.Interface) { i.EnableRouteTranslation = true })
	o, _ := w.g.Get("if-late")
	in := &compile.Input{X: span.New(w.g), Self: "dp-node1", Bridge: compile.NewBridge()}
	zone, _ := pipeline.LegZones(o.Base().ID)
	if got := in.Names().Zone(zone); got != "if-late/in" {
		t.Errorf("zone %d is %q", zone, got)
	}
}

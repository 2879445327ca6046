package span_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// uplink is a chain of networks and what hangs from them. The guest on dp-1 is in nw-1, which a router joins to nw-2, and another one that to nw-3; the
// guest of nw-3 is on dp-3. The uplink of nw-2's router is a leg pinned to dp-4, in the physical network nw-p, with a masquerade. The guest on dp-5 gets
// copies of what the one on dp-1 sends. nw-6 lies on seg-6, and has nothing to do with any of this but that its guest on dp-6 is in a group.
func uplink() []model.Object {
	os := []model.Object{
		&model.Topology{Meta: named(model.DefaultTopology), Automatic: true},
		&model.Topology{Meta: named("topo-1"), Mode: model.TopologyOverlay}, &model.Topology{Meta: named("topo-2"), Mode: model.TopologyOverlay},
		&model.RouteLink{Meta: named("rl-12")}, &model.RouteLink{Meta: named("rl-23")}, &model.RouteLink{Meta: named("rl-lone")},
		&model.Network{Meta: named("nw-p"), Mode: model.NetworkPhysical}, &model.Segment{Meta: named("seg-6"), Mode: model.SegmentVirtual},
		&model.DatapathRouteLink{Meta: named("dprl-4"), DatapathUUID: "dp-4", RouteLinkUUID: "rl-23", InterfaceUUID: "if-h4", TopologyUUID: "topo-1"},
		&model.Interface{Meta: named("if-h4"), Mode: model.InterfaceHost},
		&model.InterfacePort{Meta: named("ifp-h4"), InterfaceUUID: "if-h4", DatapathUUID: "dp-4"},
		&model.IPLease{Meta: named("il-h4"), InterfaceUUID: "if-h4", NetworkUUID: "nw-p", IPv4Address: netip.MustParseAddr("172.16.0.4")},
		&model.Interface{Meta: named("if-up"), Mode: model.InterfaceSimulated},
		&model.InterfacePort{Meta: named("ifp-up"), InterfaceUUID: "if-up", DatapathUUID: "dp-4"},
		&model.MACLease{Meta: named("ml-up"), InterfaceUUID: "if-up"},
		&model.IPLease{Meta: named("il-up"), InterfaceUUID: "if-up", NetworkUUID: "nw-p", IPv4Address: netip.MustParseAddr("172.16.0.9")},
		&model.Route{Meta: named("r-up"), InterfaceUUID: "if-up", NetworkUUID: "nw-p", RouteLinkUUID: "rl-23"},
		&model.Route{Meta: named("r-hole"), Mode: model.RouteBlackhole, RouteLinkUUID: "rl-23"},
		&model.Translation{Meta: named("tr-up"), Mode: model.TranslationMasquerade, InterfaceUUID: "if-up", NetworkUUID: "nw-1"},
		&model.Filter{Meta: named("fil-up"), InterfaceUUID: "if-up"},
		&model.Mirror{Meta: named("mir-15"), InterfaceUUID: "if-1", TargetInterfaceUUID: "if-5"},
		&model.SecurityGroup{Meta: named("sg-1")}, &model.SecurityGroup{Meta: named("sg-6")}, &model.SecurityGroup{Meta: named("sg-none")},
		&model.SecurityGroupInterface{Meta: named("sgi-1"), SecurityGroupUUID: "sg-1", InterfaceUUID: "if-1"},
		&model.SecurityGroupInterface{Meta: named("sgi-6"), SecurityGroupUUID: "sg-6", InterfaceUUID: "if-6"},
		&model.SecurityGroupRule{Meta: named("sgr-1"), SecurityGroupUUID: "sg-1", RemoteGroupUUID: "sg-6"},
		&model.SecurityGroupRule{Meta: named("sgr-2"), SecurityGroupUUID: "sg-1", RemoteAddressGroupUUID: "ag-1"},
		&model.SecurityGroupRule{Meta: named("sgr-6"), SecurityGroupUUID: "sg-6", RemoteAddressGroupUUID: "ag-2"},
		&model.AddressGroup{Meta: named("ag-1")}, &model.AddressGroup{Meta: named("ag-2")},
	}
	for _, leg := range [][3]string{{"1", "1", "12"}, {"2a", "2", "12"}, {"2b", "2", "23"}, {"3", "3", "23"}} {
		os = append(os, &model.Interface{Meta: named("if-r" + leg[0]), Mode: model.InterfaceSimulated},
			&model.IPLease{Meta: named("il-r" + leg[0]), InterfaceUUID: "if-r" + leg[0], NetworkUUID: "nw-" + leg[1]},
			&model.Route{Meta: named("r-" + leg[0]), InterfaceUUID: "if-r" + leg[0], NetworkUUID: "nw-" + leg[1], RouteLinkUUID: "rl-" + leg[2]})
	}
	for _, n := range []string{"1", "2", "3", "4", "5", "6"} {
		os = append(os, &model.Datapath{Meta: named("dp-" + n)})
		if n == "4" {
			continue
		}
		nw := &model.Network{Meta: named("nw-" + n), Mode: model.NetworkVirtual}
		if os = append(os, nw); n == "6" {
			nw.SegmentUUID = "seg-6"
		}
		if n == "2" {
			continue
		}
		os = append(os, &model.Interface{Meta: named("if-" + n), Mode: model.InterfaceVIF},
			&model.InterfacePort{Meta: named("ifp-" + n), InterfaceUUID: "if-" + n, DatapathUUID: "dp-" + n},
			&model.IPLease{Meta: named("il-" + n), InterfaceUUID: "if-" + n, NetworkUUID: "nw-" + n})
	}
	for i, o := range os {
		o.Base().ID = uint32(i + 1)
	}
	return os
}

// A host is sent what packets lead to from there, hop by hop, and not what is behind a leg of another host.
func TestSharesOfRoutedHosts(t *testing.T) {
	x := indexOf(uplink())
	routers := "if-r1 if-r2a if-r2b if-r3 il-r1 il-r2a il-r2b il-r3 nw-1 nw-2 nw-3 r-1 r-2a r-2b r-3 r-hole r-up rl-12 rl-23 " +
		"if-1 ifp-1 il-1 if-3 ifp-3 il-3 if-up ifp-up ml-up dprl-4 topo-1 topo-default dp-1 dp-3 dp-4 if-h4 ifp-h4 il-h4 "
	for host, want := range map[string]string{
		"dp-1": routers + "sg-1 sgi-1 sgr-1 sgr-2 ag-1 sg-6 sgi-6 if-6 ifp-6 il-6 mir-15 dp-5 if-5 ifp-5",
		"dp-2": "dp-2 topo-default",
		"dp-3": routers,
		"dp-4": routers + "nw-p il-up fil-up tr-up",
		"dp-5": "dp-5 if-5 ifp-5 il-5 nw-5 mir-15 dp-1 if-1 ifp-1 topo-default",
		"dp-6": "dp-6 if-6 ifp-6 il-6 nw-6 seg-6 sg-6 sgi-6 sgr-6 ag-2 topo-default",
	} {
		if diff := cmp.Diff(slices.Sorted(strings.FieldsSeq(want)), strings.Fields(share(x, host))); diff != "" {
			t.Errorf("%s is sent (-want +got):\n%s", host, diff)
		}
	}
	for iface, hosts := range map[string]string{"if-r1": "dp-1 dp-3 dp-4", "if-up": "dp-4", "if-1": "dp-1", "if-none": ""} {
		var at []string
		for _, h := range []string{"dp-1", "dp-2", "dp-3", "dp-4", "dp-5", "dp-6"} {
			if x.At(iface, h) {
				at = append(at, h)
			}
		}
		if got := strings.Join(at, " "); got != hosts {
			t.Errorf("%s is at %q, want %q", iface, got, hosts)
		}
	}
	if got := slices.Sorted(x.DatapathsOf("rl-23")); !slices.Equal(got, []string{"dp-4"}) {
		t.Errorf("rl-23 is pinned to %v", got)
	}
}

// Guests are told where a router leads that is on another host, so that their host is told of it: of its routes, not of what is behind them.
func TestRoutesOfRoutersElsewhere(t *testing.T) {
	objects := append(uplink(),
		&model.Interface{Meta: named("if-nat"), Mode: model.InterfaceSimulated}, &model.InterfacePort{Meta: named("ifp-nat"), InterfaceUUID: "if-nat", DatapathUUID: "dp-4"},
		&model.IPLease{Meta: named("il-nat"), InterfaceUUID: "if-nat", NetworkUUID: "nw-5", IPv4Address: netip.MustParseAddr("10.5.0.1")},
		&model.Route{Meta: named("r-nat"), InterfaceUUID: "if-nat", NetworkUUID: "nw-5", RouteLinkUUID: "rl-lone", Ingress: true},
		&model.Route{Meta: named("r-out"), InterfaceUUID: "if-up", NetworkUUID: "nw-p", RouteLinkUUID: "rl-lone", Egress: true})
	for i, o := range objects {
		o.Base().ID = uint32(i + 1)
	}
	x := indexOf(objects)
	const before = "dp-5 if-5 ifp-5 il-5 nw-5 mir-15 dp-1 if-1 ifp-1 topo-default dp-4 if-h4 ifp-h4 il-h4 if-nat ifp-nat il-nat "
	check := func(when, want string) {
		t.Helper()
		if diff := cmp.Diff(slices.Sorted(strings.FieldsSeq(want)), strings.Fields(share(x, "dp-5"))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("at first", before+"r-nat r-out")
	views := map[string]*span.View{"dp-5": span.NewView("dp-5")}
	views["dp-5"].Snapshot(x)
	change := func(o model.Object, id uint32) *span.Delta {
		o.Base().ID = id
		if d := span.Update(x, x.Apply([]graph.Change{{UUID: o.Base().UUID, Object: o}}), views)["dp-5"]; d != nil {
			return d
		}
		return &span.Delta{}
	}
	if d := change(&model.Route{Meta: named("r-more"), InterfaceUUID: "if-up", NetworkUUID: "nw-p", RouteLinkUUID: "rl-lone", Egress: true}, 2000); len(d.Upserts) != 1 {
		t.Errorf("another route: %+v", d)
	}
	check("with another route", before+"r-nat r-out r-more")
	if d := change(&model.Route{Meta: named("r-nat"), InterfaceUUID: "if-nat", NetworkUUID: "nw-5", RouteLinkUUID: "rl-lone"}, 1999); len(d.Deletes) != 3 {
		t.Errorf("packets of the network do not enter it any more: %+v", d)
	}
	check("without entry", before)
}

// What changes in one of these wakes the hosts that it concerns alone.
func TestChangesOfRoutedHosts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change graph.Change
		want   string // hosts
	}{
		{"a guest two routers away", graph.Change{Object: &model.IPLease{Meta: named("il-9"), InterfaceUUID: "if-3", NetworkUUID: "nw-3"}}, "dp-1 dp-3 dp-4"},
		{"the uplink goes to another host", graph.Change{Object: &model.InterfacePort{Meta: named("ifp-up"), InterfaceUUID: "if-up", DatapathUUID: "dp-6"}}, "dp-1 dp-3 dp-4 dp-6"},
		{"a filter of the uplink", graph.Change{Object: &model.Filter{Meta: named("fil-up"), InterfaceUUID: "if-up", EgressPassthrough: true}}, "dp-4"},
		{"a second hole", graph.Change{Object: &model.Route{Meta: named("r-hole2"), Mode: model.RouteBlackhole, RouteLinkUUID: "rl-12"}}, "dp-1 dp-3 dp-4"},
		{"an address of the uplink", graph.Change{Object: &model.IPLease{Meta: named("il-up2"), InterfaceUUID: "if-up", NetworkUUID: "nw-p"}}, "dp-4"},
		{"a row of the masquerade's leg", graph.Change{Object: &model.TranslationStaticAddress{Meta: named("trs-1"), TranslationUUID: "tr-up", RouteLinkUUID: "rl-lone"}}, "dp-4"},
		{"an address group", graph.Change{Object: &model.AddressGroup{Meta: named("ag-1"), Addresses: "10.0.0.0/8"}}, "dp-1"},
		{"a rule of a group that another rule names", graph.Change{Object: &model.SecurityGroupRule{Meta: named("sgr-7"), SecurityGroupUUID: "sg-6"}}, "dp-6"},
		{"a mirror's direction", graph.Change{Object: &model.Mirror{Meta: named("mir-15"), InterfaceUUID: "if-1", TargetInterfaceUUID: "if-5", Direction: model.MirrorIngress}}, "dp-1 dp-5"},
		{"the mirror goes", graph.Change{UUID: "mir-15"}, "dp-1 dp-5"},
		{"the topology of a route link", graph.Change{Object: &model.Topology{Meta: named("topo-1"), Encapsulation: model.VXLAN}}, "dp-1 dp-3 dp-4"},
		{"a topology of nothing", graph.Change{Object: &model.Topology{Meta: named("topo-2"), Encapsulation: model.VXLAN}}, ""},
		{"another topology's row", graph.Change{Object: &model.DatapathNetwork{Meta: named("dpn-5"), DatapathUUID: "dp-5", NetworkUUID: "nw-5", TopologyUUID: "topo-2"}}, "dp-5"},
		{"a network leaves its segment", graph.Change{Object: &model.Network{Meta: named("nw-6"), Mode: model.NetworkVirtual}}, "dp-6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := indexOf(uplink())
			views := map[string]*span.View{}
			for _, o := range x.Graph().List(model.Datapaths) {
				views[o.Base().UUID] = span.NewView(o.Base().UUID)
				views[o.Base().UUID].Snapshot(x)
			}
			if o := tc.change.Object; o != nil {
				tc.change.UUID, o.Base().ID = o.Base().UUID, 1000
			}
			var hosts []string
			for h := range span.Update(x, x.Apply([]graph.Change{tc.change}), views) {
				hosts = append(hosts, h)
			}
			slices.Sort(hosts)
			if got := strings.Join(hosts, " "); got != tc.want {
				t.Errorf("it wakes %q, want %q", got, tc.want)
			}
		})
	}
}

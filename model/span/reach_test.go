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

func named(uuid string) model.Meta { return model.Meta{UUID: uuid} }

// routed is a network with a guest on each of four hosts. A router joins nw-1 and nw-2, the guest on dp-1 is in a security group
// that accepts another one, of which the guest on dp-3 is a member, and nw-4 has nothing to do with any of them.
func routed() []model.Object {
	os := []model.Object{
		&model.Topology{Meta: named(model.DefaultTopology), Automatic: true},
		&model.Topology{Meta: named("topo-other"), Mode: model.TopologyOverlay},
		&model.RouteLink{Meta: named("rl-12")},
		&model.SecurityGroup{Meta: named("sg-1"), Rules: "tcp:22:sg-3"},
		&model.SecurityGroup{Meta: named("sg-3")},
		&model.SecurityGroupInterface{Meta: named("sgi-1"), SecurityGroupUUID: "sg-1", InterfaceUUID: "if-1"},
		&model.SecurityGroupInterface{Meta: named("sgi-3"), SecurityGroupUUID: "sg-3", InterfaceUUID: "if-3"},
		&model.Filter{Meta: named("fil-2"), InterfaceUUID: "if-2"},
		&model.FilterStatic{Meta: named("fils-2"), FilterUUID: "fil-2"},
		&model.Filter{Meta: named("fil-r1"), InterfaceUUID: "if-r1"},
		&model.NetworkService{Meta: named("ns-1"), Mode: model.ServiceDNS, InterfaceUUID: "if-r1"},
		&model.DNSService{Meta: named("dnss-1"), NetworkServiceUUID: "ns-1"},
		&model.DNSRecord{Meta: named("dnsr-1"), DNSServiceUUID: "dnss-1"},
		&model.Translation{Meta: named("tr-2"), Mode: model.TranslationStatic, InterfaceUUID: "if-r2"},
		&model.TranslationStaticAddress{Meta: named("trs-2"), TranslationUUID: "tr-2"},
		&model.Segment{Meta: named("seg-4"), Mode: model.SegmentVirtual},
		&model.MACLease{Meta: named("ml-4"), InterfaceUUID: "if-4", SegmentUUID: "seg-4"},
		&model.IPRangeGroup{Meta: named("iprg-1")}, &model.MACRangeGroup{Meta: named("mrg-1")}, &model.LeasePolicy{Meta: named("lp-1")},
		&model.LeasePolicyBaseInterface{Meta: named("lpi-1"), LeasePolicyUUID: "lp-1", InterfaceUUID: "if-1"},
		&model.IPLeaseContainer{Meta: named("ilc-1")}, &model.IPRetentionContainer{Meta: named("irc-1")}, &model.IPRetention{Meta: named("ipret-2"), IPRetentionContainerUUID: "irc-1", IPLeaseUUID: "il-2"},
		&model.IPRetention{Meta: named("ipret-5"), IPRetentionContainerUUID: "irc-1", IPLeaseUUID: "il-5"}, &model.IPLease{Meta: named("il-5"), NetworkUUID: "nw-1"}, &model.Tenant{Meta: named("tn-1")},
	}
	for _, n := range []string{"1", "2", "3", "4"} {
		os = append(os, &model.Datapath{Meta: named("dp-" + n)},
			&model.Network{Meta: named("nw-" + n), Mode: model.NetworkVirtual},
			&model.Interface{Meta: named("if-" + n), Mode: model.InterfaceVIF},
			&model.InterfacePort{Meta: named("ifp-" + n), InterfaceUUID: "if-" + n, DatapathUUID: "dp-" + n},
			&model.IPLease{Meta: named("il-" + n), InterfaceUUID: "if-" + n, NetworkUUID: "nw-" + n, IPv4Address: netip.MustParseAddr("10.0.0.1")})
	}
	for _, n := range []string{"1", "2"} {
		os = append(os, &model.Interface{Meta: named("if-r" + n), Mode: model.InterfaceSimulated},
			&model.IPLease{Meta: named("il-r" + n), InterfaceUUID: "if-r" + n, NetworkUUID: "nw-" + n, IPv4Address: netip.MustParseAddr("10.0.0.254")},
			&model.Route{Meta: named("r-" + n), InterfaceUUID: "if-r" + n, NetworkUUID: "nw-" + n, RouteLinkUUID: "rl-12"})
	}
	os = append(os, &model.Interface{Meta: named("if-r4"), Mode: model.InterfaceSimulated}, &model.IPLease{Meta: named("il-r4"), InterfaceUUID: "if-r4", NetworkUUID: "nw-4"})
	for i, o := range os {
		o.Base().ID = uint32(i + 1)
	}
	return os
}

func indexOf(os []model.Object) *span.Index {
	g := graph.New()
	for _, o := range os {
		g.Put(o)
	}
	return span.New(g)
}

func share(x *span.Index, host string) string {
	var us []string
	for _, o := range span.NewView(host).Snapshot(x) {
		us = append(us, o.Base().UUID)
	}
	slices.Sort(us)
	return strings.Join(us, " ")
}

// A host is sent what it has, what that leads to by a router or a group's rules, and nothing else.
func TestShares(t *testing.T) {
	x := indexOf(routed())
	router := "dnsr-1 dnss-1 dp-1 dp-2 "
	for host, want := range map[string]string{
		"dp-1": router + "fil-r1 if-1 if-2 if-3 if-r1 if-r2 ifp-1 ifp-2 ifp-3 il-1 il-2 il-3 il-r1 il-r2 irc-1 ns-1 nw-1 nw-2 r-1 r-2 rl-12 sg-1 sg-3 sgi-1 sgi-3 topo-default tr-2 trs-2",
		"dp-2": router + "fil-2 fil-r1 fils-2 if-1 if-2 if-r1 if-r2 ifp-1 ifp-2 il-1 il-2 il-r1 il-r2 ipret-2 irc-1 ns-1 nw-1 nw-2 r-1 r-2 rl-12 topo-default tr-2 trs-2",
		"dp-3": "dp-3 if-3 ifp-3 il-3 irc-1 nw-3 sg-3 sgi-3 topo-default",
		"dp-4": "dp-4 if-4 if-r4 ifp-4 il-4 il-r4 irc-1 ml-4 nw-4 seg-4 topo-default",
	} {
		if diff := cmp.Diff(strings.Fields(want), strings.Fields(share(x, host))); diff != "" {
			t.Errorf("%s is sent (-want +got):\n%s", host, diff)
		}
	}
}

// A change wakes the hosts that it concerns alone.
func TestChangesReachWhomTheyConcern(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change graph.Change
		want   string // hosts
	}{
		{"a filter's rule", graph.Change{Object: &model.FilterStatic{Meta: named("fils-9"), FilterUUID: "fil-2"}}, "dp-2"},
		{"a filter of a simulated interface", graph.Change{Object: &model.Filter{Meta: named("fil-r1"), InterfaceUUID: "if-r1", EgressPassthrough: true}}, "dp-1 dp-2"},
		{"a filter that moves", graph.Change{Object: &model.Filter{Meta: named("fil-2"), InterfaceUUID: "if-4"}}, "dp-2 dp-4"},
		{"a name", graph.Change{Object: &model.DNSRecord{Meta: named("dnsr-2"), DNSServiceUUID: "dnss-1"}}, "dp-1 dp-2"},
		{"a translated address goes", graph.Change{UUID: "trs-2"}, "dp-1 dp-2"},
		{"a member of a group that another accepts", graph.Change{Object: &model.SecurityGroupInterface{Meta: named("sgi-4"), SecurityGroupUUID: "sg-3", InterfaceUUID: "if-4"}}, "dp-1 dp-3 dp-4"},
		{"rules that name no group any more", graph.Change{Object: &model.SecurityGroup{Meta: named("sg-1")}}, "dp-1"},
		{"a route goes", graph.Change{UUID: "r-2"}, "dp-1 dp-2"},
		{"a network joins the router", graph.Change{Object: &model.Route{Meta: named("r-4"), InterfaceUUID: "if-r4", NetworkUUID: "nw-4", RouteLinkUUID: "rl-12"}}, "dp-1 dp-2 dp-4"},
		{"a guest of a network that is routed to", graph.Change{Object: &model.IPLease{Meta: named("il-9"), InterfaceUUID: "if-2", NetworkUUID: "nw-2", IPv4Address: netip.MustParseAddr("10.0.0.9")}}, "dp-1 dp-2"},
		{"a range", graph.Change{Object: &model.IPRange{Meta: named("ipr-1"), IPRangeGroupUUID: "iprg-1"}}, ""},
		{"a tenant", graph.Change{Object: &model.Tenant{Meta: named("tn-2")}}, ""},
		{"another topology", graph.Change{UUID: "topo-other"}, ""},
		{"a lease container", graph.Change{Object: &model.IPLeaseContainerIPLease{Meta: named("ilci-1"), IPLeaseContainerUUID: "ilc-1", IPLeaseUUID: "il-1"}}, ""},
		{"a retention container", graph.Change{Object: &model.IPRetentionContainer{Meta: named("irc-2")}}, "dp-1 dp-2 dp-3 dp-4"},
		{"a lease's time begins anew", graph.Change{Object: &model.IPRetention{Meta: named("ipret-2"), IPRetentionContainerUUID: "irc-1", IPLeaseUUID: "il-2"}}, "dp-2"},
		{"a released lease is in a container", graph.Change{Object: &model.IPRetention{Meta: named("ipret-9"), IPRetentionContainerUUID: "irc-1", IPLeaseUUID: "il-5"}}, ""},
		{"a lease of two hosts is released", graph.Change{Object: &model.IPLease{Meta: named("il-2"), NetworkUUID: "nw-2"}}, "dp-1 dp-2"},
		{"a segment's member", graph.Change{Object: &model.MACLease{Meta: named("ml-3"), InterfaceUUID: "if-3", SegmentUUID: "seg-4"}}, "dp-1 dp-3 dp-4"}, // dp-1 knows the interface by its group
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := indexOf(routed())
			views := map[string]*span.View{}
			for _, h := range []string{"dp-1", "dp-2", "dp-3", "dp-4"} {
				views[h] = span.NewView(h)
				views[h].Snapshot(x)
			}
			if o := tc.change.Object; o != nil {
				tc.change.UUID, o.Base().ID = o.Base().UUID, 1000
				if old, ok := x.Graph().Get(tc.change.UUID); ok {
					o.Base().ID = old.Base().ID
				}
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

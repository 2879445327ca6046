package span_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/modeltest"
	"github.com/openvnet/openvnet/model/span"
)

// What hosts need, and which other hosts they know, is what the rules say, read one by one until nothing is added.
func TestNeedsFollowTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := span.New(graph.New())
		x.Apply(modeltest.World(t, 1))
		for rev := int64(21); rev <= 30; rev++ {
			x.Apply(modeltest.Batch(t, rev))
		}
		has := map[string]map[string]bool{}
		for _, host := range modeltest.Hosts {
			has[host] = spelledOut(x, host)
			for o := range x.Graph().All() {
				uuid := o.Base().UUID
				if got := x.Has(span.Pair{Network: uuid, Datapath: host}); got != has[host][uuid] {
					t.Fatalf("%s has %s: %v, not %v", host, uuid, got, has[host][uuid])
				}
			}
		}
		for _, host := range modeltest.Hosts {
			for _, o := range x.Graph().List(model.Routes) {
				link := o.(*model.Route).RouteLinkUUID
				_, there := x.Graph().Get(link)
				if got, want := x.Reaches(host, o), there && (has[host][link] || hears(x, host, link)); got != want {
					t.Fatalf("%s knows %s: %v, not %v", host, o.Base().UUID, got, want)
				}
			}
			for _, o := range x.Graph().List(model.Datapaths) {
				other := o.Base().UUID
				if got, want := x.Reaches(host, o), host == other || meet(x, has, host, other); got != want {
					t.Fatalf("%s knows %s: %v, not %v", host, other, got, want)
				}
			}
		}
	})
}

// hears reports whether a leg that is pinned to another host takes packets of a network that is present on the host into the route link.
func hears(x *span.Index, host, link string) bool {
	for _, r := range graph.Children[*model.Route](x.Graph(), link, "routes.route_link_uuid") {
		i, ok := graph.Lookup[*model.Interface](x.Graph(), r.InterfaceUUID)
		at := x.Location(r.InterfaceUUID)
		if !ok || i.Mode != model.InterfaceSimulated || at == "" || at == host || !r.Ingress || r.Mode == model.RouteBlackhole {
			continue
		}
		if x.Present(span.Pair{Network: r.NetworkUUID, Datapath: host}) && slices.Contains(slices.Collect(x.InterfacesOf(r.NetworkUUID)), i.UUID) {
			return true
		}
	}
	return false
}

// meet reports whether two hosts exchange frames: of a domain that is present on one of them, the other has it, and hosts carry it.
func meet(x *span.Index, has map[string]map[string]bool, a, b string) bool {
	for o := range x.Graph().All() {
		domain := o.Base().UUID
		there := x.Present(span.Pair{Network: domain, Datapath: a}) && has[b][domain] || x.Present(span.Pair{Network: domain, Datapath: b}) && has[a][domain]
		if there && (virtual(x.Graph(), domain) || model.Of(o) == model.RouteLinks || model.Of(o) == model.Mirrors) {
			return true
		}
	}
	return false
}

func virtual(g *graph.Graph, domain string) bool {
	if n, ok := graph.Lookup[*model.Network](g, domain); ok {
		if n.SegmentUUID == "" {
			return n.Mode == model.NetworkVirtual
		}
		domain = n.SegmentUUID
	}
	s, ok := graph.Lookup[*model.Segment](g, domain)
	return ok && s.Mode == model.SegmentVirtual
}

func physical(g *graph.Graph, domain string) bool {
	if n, ok := graph.Lookup[*model.Network](g, domain); ok {
		if n.SegmentUUID == "" {
			return n.Mode == model.NetworkPhysical
		}
		domain = n.SegmentUUID
	}
	s, ok := graph.Lookup[*model.Segment](g, domain)
	return ok && s.Mode == model.SegmentPhysical
}

// spelledOut gives what the host has.
func spelledOut(x *span.Index, host string) map[string]bool {
	g, has := x.Graph(), map[string]bool{}
	for o := range g.All() {
		if uuid := o.Base().UUID; x.Present(span.Pair{Network: uuid, Datapath: host}) {
			has[uuid] = true
		}
	}
	here := func(r *model.Route) bool {
		i, ok := graph.Lookup[*model.Interface](g, r.InterfaceUUID)
		if !ok || i.Mode != model.InterfaceSimulated || r.Mode == model.RouteBlackhole {
			return false
		}
		at := x.Location(i.UUID)
		if !slices.Contains(x.Networks(i.UUID), r.NetworkUUID) {
			return false
		}
		return at == host || at == "" && !physical(g, r.NetworkUUID)
	}
	there := func(uuid string) bool { _, ok := g.Get(uuid); return ok }
	present := func(uuid string) bool { return x.Present(span.Pair{Network: uuid, Datapath: host}) }
	for before := -1; before != len(has); {
		before = len(has)
		add := func(uuid string) {
			if uuid != "" {
				has[uuid] = true
			}
		}
		for o := range g.All() {
			switch o := o.(type) {
			case *model.Network:
				if has[o.UUID] {
					add(o.SegmentUUID)
				}
				if o.SegmentUUID != "" && has[o.SegmentUUID] && there(o.SegmentUUID) {
					add(o.UUID)
				}
			case *model.Route:
				if has[o.NetworkUUID] && there(o.NetworkUUID) && here(o) {
					add(o.RouteLinkUUID)
				}
				if has[o.RouteLinkUUID] && there(o.RouteLinkUUID) && here(o) && virtual(g, o.NetworkUUID) {
					add(o.NetworkUUID)
				}
			case *model.Translation:
				for r := range g.Referrers(o.InterfaceUUID, "routes.interface_uuid") {
					if r := r.(*model.Route); has[r.NetworkUUID] && there(r.NetworkUUID) && here(r) && there(r.RouteLinkUUID) && x.Location(o.InterfaceUUID) == host {
						add(o.NetworkUUID)
					}
				}
			case *model.TranslationStaticAddress:
				tr, ok := graph.Lookup[*model.Translation](g, o.TranslationUUID)
				if !ok {
					continue
				}
				for r := range g.Referrers(tr.InterfaceUUID, "routes.interface_uuid") {
					if r := r.(*model.Route); has[r.NetworkUUID] && there(r.NetworkUUID) && here(r) && there(r.RouteLinkUUID) {
						add(o.RouteLinkUUID)
					}
				}
			case *model.SecurityGroup:
				if present(o.UUID) {
					for _, named := range o.Rules.Groups() {
						add(named)
					}
				}
			case *model.SecurityGroupRule:
				if present(o.SecurityGroupUUID) {
					add(o.RemoteGroupUUID)
					add(o.RemoteAddressGroupUUID)
				}
			case *model.DatapathNetwork:
				if has[o.NetworkUUID] && there(o.NetworkUUID) {
					add(o.TopologyUUID)
				}
			case *model.DatapathSegment:
				if has[o.SegmentUUID] && there(o.SegmentUUID) {
					add(o.TopologyUUID)
				}
			case *model.DatapathRouteLink:
				if has[o.RouteLinkUUID] && there(o.RouteLinkUUID) {
					add(o.TopologyUUID)
				}
			}
		}
	}
	return has
}

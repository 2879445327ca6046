package compile

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Priorities in the tables of routing: a longer prefix comes first, and before all routes the addresses of the legs themselves.
const (
	prioRoute   = 1000 // and the length of the prefix
	prioGateway = 2000
	prioEcho    = 2001
	prioLost    = 3000 // what should have been translated, and has not been
)

// routeFeature is each route: from its leg into the route link, and from the route link to its leg.
var routeFeature = feature{
	kind: "route",
	units: func(in *Input, yield func(state.Unit)) {
		in.alike = nil // everything is compiled anew
		for _, o := range in.X.Graph().List(model.Routes) {
			yield(state.Unit{Kind: "route", UUID: o.Base().UUID})
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.route(u.UUID) },
	dirty: (*Input).dirtyRouter,
}

// way is what a route comes to on this host: a leg that is here, a leg on another host, or nothing at all.
type way struct {
	*model.Route
	blackhole bool
	leg       leg
	network   *model.Network
	domain    Domain
	carry     []flow.Action // to the host of a leg that is not here
}

// counts reports whether what another host has carried here may leave by it: through a leg that is pinned here, or into a domain that is present here.
func (w way) counts() bool { return w.leg.here && (w.leg.at != "" || w.domain.Present) }

// routeLink gives the route link if this host has to do with it.
func (in *Input) routeLink(uuid string) (*model.RouteLink, bool) {
	l, ok := graph.Lookup[*model.RouteLink](in.X.Graph(), uuid)
	return l, ok && l.VNI != 0 && in.X.Has(span.Pair{Network: uuid, Datapath: in.Self})
}

// way gives what a route comes to. The bool is false if nothing can be routed by it: its leg is none; it is here and has no address in the network, or
// does not stand in it; it is on a host that this one does not know.
func (in *Input) way(r *model.Route) (way, bool) {
	link, ok := in.routeLink(r.RouteLinkUUID)
	if !ok {
		return way{}, false
	}
	if r.Mode == model.RouteBlackhole {
		return way{Route: r, blackhole: true}, true
	}
	w := way{Route: r}
	if w.leg, ok = in.leg(r.InterfaceUUID); !ok {
		return way{}, false
	}
	if !w.leg.here { // what is behind it concerns its host only
		w.carry, ok = in.carry(link, w.leg.at)
		return w, ok
	}
	w.network, ok = graph.Lookup[*model.Network](in.X.Graph(), r.NetworkUUID)
	if !ok {
		return w, false
	}
	w.domain, ok = in.domain(r.NetworkUUID)
	return w, ok && in.stationIn(w.leg.Interface)(w.domain) && in.leases(w.leg.UUID, r.NetworkUUID)
}

// route gives the flows of a route.
func (in *Input) route(uuid string) (state.Items, error) {
	r, ok := graph.Lookup[*model.Route](in.X.Graph(), uuid)
	if !ok {
		return state.Items{}, nil
	}
	if i, ok := graph.Lookup[*model.Interface](in.X.Graph(), r.InterfaceUUID); ok && i.Mode != model.InterfaceSimulated && r.Mode != model.RouteBlackhole {
		return state.Items{}, fmt.Errorf("%w: a route through interface %s of mode %s; those of mode %s route", ErrUnrealised, i.UUID, i.Mode, model.InterfaceSimulated)
	}
	if _, ok := in.routeLink(r.RouteLinkUUID); !ok {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindRoute, ID: r.ID})
	items := state.Items{}
	for _, p := range prefixes(r) {
		in.routeIn(b, r, p)
		in.routeOut(b, &items, r, p)
	}
	return result(b, items)
}

// routeIn lets packets from the prefix into the route link, if the route is the first of its leg that says so.
func (in *Input) routeIn(b *pipeline.Builder, r *model.Route, p netip.Prefix) {
	l, ok := in.leg(r.InterfaceUUID)
	if !ok || !l.here || !in.enters(r) {
		return
	}
	if first := competing(in, routeOf{r.InterfaceUUID, p}, in.enters); len(first) == 0 || first[0] != r {
		return
	}
	link, _ := in.routeLink(r.RouteLinkUUID)
	f := familyOf(p.Addr())
	b.Flow(pipeline.L3Source, prioRoute+uint16(p.Bits()), pipeline.Preds{pipeline.Egress.Is(l.ID), f.is, f.src.Prefix(p)}, //nolint:gosec // at most 128
		pipeline.RouteLink.Set(link.VNI), flow.GotoTable{Table: pipeline.L3Route.ID})
}

// enters reports whether the route lets anything into its route link.
func (in *Input) enters(r *model.Route) bool {
	_, ok := in.routeLink(r.RouteLinkUUID)
	return ok && r.Ingress && r.Mode != model.RouteBlackhole && in.leases(r.InterfaceUUID, r.NetworkUUID)
}

// routeOut leads packets to the prefix out of the route link. Of several routes to it the first makes the group that chooses, and each its
// bucket. What another host has carried into the route link is not carried on.
func (in *Input) routeOut(b *pipeline.Builder, items *state.Items, r *model.Route, p netip.Prefix) {
	var all, here []way
	hole := false
	for _, o := range competing(in, routeOf{r.RouteLinkUUID, p}, func(o *model.Route) bool { return o.Egress }) {
		w, ok := in.way(o)
		switch {
		case !ok:
		case w.blackhole && !hole: // among several routes it decides
			all, hole = []way{w}, true
		case w.blackhole:
		default:
			if !hole {
				all = append(all, w)
			}
			if w.counts() {
				here = append(here, w)
			}
		}
	}
	if len(here) == len(all) && !hole {
		in.choose(b, items, r, p, here, false)
		return
	}
	in.choose(b, items, r, p, all, false, pipeline.Remote.Is(0))
	in.choose(b, items, r, p, here, true, pipeline.Remote.Is(1))
}

// choose gives the part of route r in leading packets one of several ways, which are all to the prefix and sorted by id.
func (in *Input) choose(b *pipeline.Builder, items *state.Items, r *model.Route, p netip.Prefix, ways []way, here bool, preds ...flow.Pred) {
	f := familyOf(p.Addr())
	for n, w := range ways {
		if w.Route != r {
			continue
		}
		link, _ := in.routeLink(r.RouteLinkUUID)
		match := append(pipeline.Preds{pipeline.RouteLink.Is(link.VNI), f.is, f.dst.Prefix(p)}, preds...)
		priority := prioRoute + uint16(p.Bits()) //nolint:gosec // at most 128
		if len(ways) == 1 {
			in.lead(b, f, priority, match, w)
			return
		}
		group := pipeline.RouteGroup(ways[0].ID, f.v6, here)
		if n == 0 {
			items.Groups = append(items.Groups, state.Group{ID: group, Choose: true})
			b.Flow(pipeline.L3Route, priority, match, flow.ToGroup{Group: group})
		}
		actions, next := in.leave(w, f)
		bucket := b.Bucket(pipeline.L3Route, r.ID, append(actions, flow.Resubmit{Table: next})...)
		bucket.Weight = 1
		items.Buckets = append(items.Buckets, state.Bucket{Group: group, Bucket: bucket})
	}
}

// lead leads packets the one way there is.
func (in *Input) lead(b *pipeline.Builder, f family, priority uint16, match pipeline.Preds, w way) {
	if w.blackhole {
		b.Drop(pipeline.L3Route, priority, reason.Blackhole, match...)
		return
	}
	actions, next := in.leave(w, f)
	b.Flow(pipeline.L3Route, priority, match, append(actions, flow.GotoTable{Table: next})...)
}

// leave gives what leads a packet through the leg, and the table that goes on with it.
func (in *Input) leave(w way, f family) ([]flow.Action, uint8) {
	if !w.leg.here {
		return w.carry, pipeline.Transport.ID
	}
	var gateway flow.Value // none: table l3_send finds it
	if a := f.gateway(w.Route); a.IsValid() {
		gateway = flow.AddrValue(a)
	}
	actions := []flow.Action{pipeline.Egress.Set(w.leg.ID), pipeline.Subnet.Set(w.network.ID), pipeline.NextHop.SetValue(gateway)}
	if _, away := in.away(w.domain); away && w.leg.at == "" {
		return append(actions, pipeline.Network.Set(w.domain.Number)), pipeline.L3Away.ID
	}
	return actions, pipeline.L3Out.ID
}

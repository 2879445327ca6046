package compile

import (
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// rerouted collects the units of routing that effects concern.
type rerouted struct {
	in  *Input
	add func(state.Unit)

	legs     map[string]bool // seen to
	moved    map[string]bool // routes that may lead elsewhere than before, or nowhere
	into     map[string]bool // networks that moved routes lead, or led, into
	sizes    map[string]bool // route links between networks whose MTU may have changed
	outsides map[string]bool // domains whose devices outside have been seen to
	outside  bool            // whether an interface with devices outside behind it has changed
}

// dirtyRouter gives the units of routing that the effects concern.
func (in *Input) dirtyRouter(e *span.Effects, add func(state.Unit)) {
	in.alike.changed(e)
	d := rerouted{in: in, add: add, legs: map[string]bool{}, moved: map[string]bool{}, into: map[string]bool{}, outsides: map[string]bool{}, sizes: map[string]bool{}}
	for _, c := range e.Changed {
		d.object(c.Old)
		d.object(c.New)
	}
	for i, m := range e.Interfaces {
		d.iface(i, m)
	}
	for p := range e.Flips {
		d.flip(p)
	}
	for _, p := range e.NeedFlips {
		d.flip(p)
	}
	in.rewiredPairs(e, func(p span.Pair) { d.sized(p.Network) })
	d.settle()
}

func (d *rerouted) unit(kind, uuid string) {
	if uuid != "" {
		d.add(state.Unit{Kind: kind, UUID: uuid})
	}
}

// object sees to what has changed itself, as it was or as it is.
func (d *rerouted) object(o model.Object) {
	g := d.in.X.Graph()
	switch o := o.(type) {
	case *model.Route:
		d.route(o)
	case *model.RouteLink:
		d.link(o.UUID)
	case *model.Network:
		d.network(o.UUID)
		d.domain(o.SegmentUUID)
		d.outsideHop(o.SegmentUUID)
		for t := range g.Referrers(o.UUID, "translations.network_uuid") {
			d.unit("leg", t.(*model.Translation).InterfaceUUID)
		}
	case *model.Segment:
		d.segment(o.UUID)
	case *model.Datapath:
		for uuid := range d.in.X.NetworksOn(o.UUID) {
			d.sized(uuid)
		}
		for i := range d.in.X.InterfacesAt(o.UUID) {
			s, ok := graph.Lookup[*model.Interface](g, i)
			if ok && s.Mode == model.InterfaceSimulated {
				d.leg(i)
			}
			if ok && outside(s.Mode) {
				for _, uuid := range d.in.X.Domains(i) {
					d.outsideHop(uuid)
				}
			}
		}
	case *model.Interface:
		d.leg(o.UUID)
		d.later(o)
		d.outside = d.outside || outside(o.Mode)
	case *model.MACLease:
		d.leg(o.InterfaceUUID)
	case *model.IPLease:
		d.leg(o.InterfaceUUID)
	case *model.Translation:
		d.leg(o.InterfaceUUID)
		for r := range g.Referrers(o.UUID, "translation_static_addresses.translation_uuid") {
			d.row(r.(*model.TranslationStaticAddress))
		}
	case *model.TranslationStaticAddress:
		d.row(o)
	case *model.InterfaceNetwork:
		d.outsideHop(o.NetworkUUID)
	case *model.InterfaceSegment:
		d.outsideHop(o.SegmentUUID)
	case *model.VLANTranslation:
		d.outsideHop(o.NetworkUUID)
	}
}

// iface sees to an interface whose object, leases, port or memberships have changed. A leg is one for each of its routes, too: whatever else of it has changed
// is among the objects.
func (d *rerouted) iface(uuid string, m span.Moved) {
	d.unit("next_hop", uuid)
	i, ok := graph.Lookup[*model.Interface](d.in.X.Graph(), uuid)
	if was, is := m.Datapaths(); was != is && ok {
		d.leg(uuid)
		d.later(i)
	}
	if d.outside || ok && outside(i.Mode) {
		before, after := m.Domains()
		for _, uuids := range [][]string{before, after} {
			for _, uuid := range uuids {
				d.outsideHop(uuid)
			}
		}
	}
}

// later sees to the legs that have no zones as long as this interface has them.
func (d *rerouted) later(i *model.Interface) {
	if i.Mode != model.InterfaceSimulated {
		return
	}
	g := d.in.X.Graph()
	all := g.List(model.Interfaces)
	for id := i.ID + pipeline.LegZoneStep; len(all) > 0 && id <= all[len(all)-1].Base().ID; id += pipeline.LegZoneStep {
		if o, ok := g.ByID(model.Interfaces, id); ok {
			d.leg(o.Base().UUID)
		}
	}
}

// leg sees to all that depends on a leg.
func (d *rerouted) leg(uuid string) {
	if d.legs[uuid] {
		return
	}
	d.legs[uuid] = true
	d.unit("leg", uuid)
	g := d.in.X.Graph()
	for r := range g.Referrers(uuid, "routes.interface_uuid") {
		d.route(r.(*model.Route))
	}
	for t := range g.Referrers(uuid, "translations.interface_uuid") {
		for r := range g.Referrers(t.Base().UUID, "translation_static_addresses.translation_uuid") {
			d.unit("translation_static_address", r.Base().UUID)
		}
	}
}

// route sees to a route that leads, or led, elsewhere: to those that it competes with, and to its leg.
func (d *rerouted) route(r *model.Route) {
	d.unit("route", r.UUID)
	d.unit("leg", r.InterfaceUUID)
	if r.InterfaceUUID != "" {
		d.add(state.Unit{Kind: "route_link", UUID: r.RouteLinkUUID, Peer: r.InterfaceUUID})
		d.add(state.Unit{Kind: "leg", UUID: r.InterfaceUUID, Peer: r.NetworkUUID})
	}
	for _, k := range alikeKeys(r) {
		for _, other := range d.in.alikes()[k] {
			d.unit("route", other)
		}
	}
	d.moved[r.UUID], d.sizes[r.RouteLinkUUID] = true, true
	d.add(state.Unit{Kind: "size", UUID: r.RouteLinkUUID, Peer: r.NetworkUUID})
	d.into[r.NetworkUUID] = true
}

func (d *rerouted) link(uuid string) {
	d.unit("route_link", uuid)
	g := d.in.X.Graph()
	for r := range g.Referrers(uuid, "routes.route_link_uuid") {
		d.route(r.(*model.Route))
	}
	for r := range g.Referrers(uuid, "translation_static_addresses.route_link_uuid") {
		d.row(r.(*model.TranslationStaticAddress))
	}
}

// row sees to a row, and to those of its leg that translate the same.
func (d *rerouted) row(r *model.TranslationStaticAddress) {
	g := d.in.X.Graph()
	d.unit("translation_static_address", r.UUID)
	t, ok := graph.Lookup[*model.Translation](g, r.TranslationUUID)
	if !ok {
		return
	}
	for _, out := range []bool{false, true} {
		key := rowKey(r, out)
		for t := range g.Referrers(t.InterfaceUUID, "translations.interface_uuid") {
			key.translation = t.Base().UUID
			for _, other := range d.in.alikes()[key] {
				d.unit("translation_static_address", other)
			}
		}
	}
}

// flip sees to what has come to this host or left it, and to the ways to legs and devices outside on another host that it has come to or left.
func (d *rerouted) flip(p span.Pair) {
	if p.Datapath != d.in.Self {
		d.sized(p.Network)
		for i := range d.in.X.InterfacesAt(p.Datapath) {
			o, ok := graph.Lookup[*model.Interface](d.in.X.Graph(), i)
			if !ok || o.Mode != model.InterfaceSimulated && !outside(o.Mode) || !slices.Contains(d.in.X.Domains(i), p.Network) {
				continue
			}
			if d.unit("leg", i); outside(o.Mode) {
				d.outsideHop(p.Network)
				d.unit("next_hop", i) // devices behind it may be registered
			}
		}
		return
	}
	switch model.ByUUID(p.Network) {
	case model.Networks:
		d.network(p.Network)
	case model.Segments:
		d.segment(p.Network)
	case model.RouteLinks:
		d.link(p.Network)
	}
}

func (d *rerouted) segment(uuid string) {
	d.domain(uuid)
	for n := range d.in.X.Graph().Referrers(uuid, "networks.segment_uuid") {
		d.network(n.Base().UUID)
	}
}

// network sees to the routes of a network, and to its stations and legs.
func (d *rerouted) network(uuid string) {
	for r := range d.in.X.Graph().Referrers(uuid, "routes.network_uuid") {
		d.route(r.(*model.Route))
	}
	d.domain(uuid)
}

// domain sees to the stations and legs of a network or segment.
func (d *rerouted) domain(uuid string) {
	if uuid == "" {
		return
	}
	d.unit("outside_hop", uuid)
	for i := range d.in.X.InterfacesOf(uuid) {
		d.unit("next_hop", i)
		if o, ok := graph.Lookup[*model.Interface](d.in.X.Graph(), i); ok && o.Mode == model.InterfaceSimulated {
			d.leg(i)
		}
	}
}

// sized sees to the sizes of what is routed between a network, or the networks on a segment, and others.
func (d *rerouted) sized(uuid string) {
	dom, ok := d.in.domain(uuid)
	if !ok {
		return
	}
	d.in.networksOf(dom, func(n string) {
		for r := range d.in.X.Graph().Referrers(n, "routes.network_uuid") {
			d.sizes[r.(*model.Route).RouteLinkUUID] = true
		}
	})
}

// outsideHop sees to the next hops outside a network or segment: where it is not present to all routes and next hops, as these say what is carried away.
func (d *rerouted) outsideHop(uuid string) {
	dom, ok := d.in.domain(uuid)
	if !ok || d.outsides[dom.UUID] {
		return
	}
	d.outsides[dom.UUID] = true
	d.unit("outside_hop", dom.UUID)
	if dom.Present {
		return
	}
	d.in.networksOf(dom, func(n string) {
		for r := range d.in.X.Graph().Referrers(n, "routes.network_uuid") {
			d.unit("route", r.Base().UUID)
		}
	})
	for i := range d.in.X.InterfacesOf(dom.UUID) {
		d.unit("next_hop", i)
	}
}

// settle sees to domains that may be routed into from now on, or no more: those that no other route than the moved ones leads into. What is carried away from a domain goes by its
// routes' links.
func (d *rerouted) settle() {
	for l := range d.sizes {
		for r := range d.in.X.Graph().Referrers(l, "routes.route_link_uuid") {
			d.add(state.Unit{Kind: "size", UUID: l, Peer: r.(*model.Route).NetworkUUID})
		}
	}
	for n := range d.into {
		dom, ok := d.in.domain(n)
		if ok && !dom.Present {
			d.unit("outside_hop", dom.UUID)
		}
		if !ok || d.in.routedInto(dom, func(r *model.Route) bool { return d.moved[r.UUID] }) {
			continue
		}
		d.unit("outside_hop", dom.UUID)
		for i := range d.in.X.InterfacesOf(dom.UUID) {
			d.unit("next_hop", i)
		}
	}
}

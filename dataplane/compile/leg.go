package compile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// legFeature is what a leg needs on each host that knows it: the way to it, its translations but for their rows, and the way from it into each network that its routes
// lead to (the unit's peer).
var legFeature = feature{
	kind: "leg",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.Interfaces) {
			if o.(*model.Interface).Mode == model.InterfaceSimulated {
				yield(state.Unit{Kind: "leg", UUID: o.Base().UUID})
			}
		}
		for _, o := range in.X.Graph().List(model.Routes) {
			if r := o.(*model.Route); r.InterfaceUUID != "" {
				yield(state.Unit{Kind: "leg", UUID: r.InterfaceUUID, Peer: r.NetworkUUID})
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) {
		if u.Peer != "" {
			return in.send(u.UUID, u.Peer)
		}
		return in.legItems(u.UUID)
	},
	dirty: byRouter,
}

// leg is a simulated interface that routes.
type leg struct {
	*model.Interface
	at   string // the host that it is pinned to; "" if it is at every host that has its domain
	here bool
}

// translates reports whether translations apply to what passes the leg on this host.
func (l leg) translates() bool { return l.here && l.EnableRouteTranslation }

// remembers reports whether they have a memory of conversations, as those of pinned legs have.
func (l leg) remembers() bool { return l.translates() && l.at != "" }

// leg gives the leg, false if the interface is none, or one that is closed on this host.
func (in *Input) leg(uuid string) (leg, bool) {
	l, err := in.openLeg(uuid)
	return l, err == nil
}

// Why an interface is no leg.
var errNoLeg = errors.New("it does not route")

// openLeg gives the leg, and the error says why there is none.
func (in *Input) openLeg(uuid string) (leg, error) {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), uuid)
	if !ok || i.Mode != model.InterfaceSimulated || !i.EnableRouting {
		return leg{}, errNoLeg
	}
	at := in.X.Location(uuid)
	l := leg{i, at, at == "" || at == in.Self}
	if !l.remembers() {
		return l, nil
	}
	for id := i.ID; id > pipeline.LegZoneStep; { // of legs with the same zones, the one with the lowest id has them
		id -= pipeline.LegZoneStep
		if o, ok := in.X.Graph().ByID(model.Interfaces, id); ok && in.hasLegZones(o.(*model.Interface)) {
			return leg{}, fmt.Errorf("%w: interface %s remembers conversations in the same connection tracking zones on this host (their ids differ by a multiple of %d), so that this one stays closed",
				ErrUnrealised, o.Base().UUID, pipeline.LegZoneStep)
		}
	}
	return l, nil
}

func (in *Input) hasLegZones(i *model.Interface) bool {
	return i.Mode == model.InterfaceSimulated && i.EnableRouting && i.EnableRouteTranslation && in.X.Location(i.UUID) == in.Self
}

// unserved gives the networks that the leg has addresses in for nothing.
func (in *Input) unserved(l leg) []string {
	var out []string
	for _, lease := range graph.Children[*model.IPLease](in.X.Graph(), l.UUID, "ip_leases.interface_uuid") {
		if d, ok := in.domain(lease.NetworkUUID); ok && !in.stationIn(l.Interface)(d) && !slices.Contains(out, lease.NetworkUUID) {
			out = append(out, lease.NetworkUUID)
		}
	}
	return out
}

// carry gives the actions that take a packet of a route link to the host where it is routed on; table transport knows how. The bool is false if that host is not
// known.
func (in *Input) carry(link *model.RouteLink, host string) ([]flow.Action, bool) {
	dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), host)
	if !ok {
		return nil, false
	}
	return append([]flow.Action{pipeline.Network.Set(link.VNI)}, toHost(dp)...), true
}

// toHost gives the actions that take a packet of a route link, whose number is in register network, to another host.
func toHost(dp *model.Datapath) []flow.Action {
	return []flow.Action{pipeline.Egress.Set(dp.ID), flow.SetField(flow.InPort16.Is(0))} // it may go out of the tunnel port that it came in by
}

// legItems gives what the leg needs.
func (in *Input) legItems(uuid string) (state.Items, error) {
	g := in.X.Graph()
	named := false
	for o := range g.Referrers(uuid, "routes.interface_uuid") {
		r := o.(*model.Route)
		named = named || r.Mode != model.RouteBlackhole && in.leases(uuid, r.NetworkUUID)
	}
	l, err := in.openLeg(uuid)
	switch {
	case !named || errors.Is(err, errNoLeg):
		return state.Items{}, nil
	case err != nil:
		return state.Items{}, err
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: l.ID})
	var errs []error
	for _, s := range in.Stations(uuid) {
		in.towardsLeg(b, l, s)
	}
	for _, n := range in.unserved(l) {
		errs = append(errs, fmt.Errorf("%w: in %s, which is physical, an interface that routes needs a host of its own (owner_datapath_uuid)", ErrUnrealised, n))
	}
	items, err := result(b, state.Items{})
	errs = append(errs, err)
	if l.translates() {
		flows, err := in.translations(l)
		items.Flows, errs = append(items.Flows, flows...), append(errs, err)
	}
	return items, errors.Join(errs...)
}

// towardsLeg leads what is for the leg's MAC address to the tables of routing, or to the host that the leg is pinned to.
func (in *Input) towardsLeg(b *pipeline.Builder, l leg, s Station) {
	preds := pipeline.Preds{pipeline.Network.Is(s.Domain.Number), flow.EthDst.MAC(s.MAC)}
	if l.here {
		b.Flow(pipeline.L2, prioAllow, preds, pipeline.Egress.Set(l.ID), flow.GotoTable{Table: pipeline.L3In.ID})
		if s.Domain.physical() {
			b.Flow(pipeline.Underlay, prioAllow+1, fromHost(s), pipeline.Network.Set(s.Domain.Number), pipeline.Egress.Set(l.ID), flow.GotoTable{Table: pipeline.L3In.ID})
		}
		return
	}
	dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), l.at)
	switch {
	case !s.Domain.carried():
		if s.Domain.physical() {
			return // the wire leads there
		}
	case !ok || !in.X.Present(span.Pair{Network: s.Domain.UUID, Datapath: l.at}):
		b.Drop(pipeline.L2, prioAllow, reason.Transport, append(preds, pipeline.Remote.Is(0))...)
	default:
		b.Flow(pipeline.L2, prioAllow, append(preds, pipeline.Remote.Is(0)), pipeline.Egress.Set(dp.ID), flow.GotoTable{Table: pipeline.Transport.ID})
	}
}

// send gives what leaves through the leg into a network its source MAC address there, and its next hop: where the route has no gateway, the destination if it is in a
// subnet of the network, else the first address of that subnet. As the packet is a new one in its domain, it may go back to the port or host that it came from.
func (in *Input) send(iface, network string) (state.Items, error) {
	l, ok := in.leg(iface)
	n, known := graph.Lookup[*model.Network](in.X.Graph(), network)
	if !ok || !known || !l.here || !in.leadsInto(iface, network) {
		return state.Items{}, nil
	}
	d, m, ok := in.sender(l, network)
	if !ok {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: l.ID})
	from := func(preds ...flow.Pred) pipeline.Preds {
		return append(pipeline.Preds{pipeline.Egress.Is(l.ID), pipeline.Subnet.Is(n.ID)}, preds...)
	}
	send := func(priority uint16, preds pipeline.Preds, first ...flow.Action) {
		b.Flow(pipeline.L3Send, priority, preds, append(first, flow.SetField(flow.EthSrc.MAC(m)), pipeline.Network.Set(d.Number),
			pipeline.Remote.Set(0), pipeline.FromOut.Set(0), pipeline.Ingress.Set(0), flow.SetField(flow.InPort16.Is(0)), flow.GotoTable{Table: pipeline.NextHopMAC.ID})...)
	}
	send(prioAllow, from())
	for _, f := range families {
		subnet := f.subnet(n)
		if !subnet.IsValid() {
			continue
		}
		unset := pipeline.NextHop.IsValue(flow.Value{})
		send(prioAllow+1, from(f.is, unset), pipeline.NextHop.SetValue(flow.AddrValue(firstOf(subnet))))
		send(prioAllow+2, from(f.is, unset, f.dst.Prefix(subnet)), flow.Move{Src: f.dst.All(), Dst: f.nextHop.Bits})
	}
	return result(b, state.Items{})
}

// leadsInto reports whether a route leads through the interface into the network.
func (in *Input) leadsInto(iface, network string) bool {
	for o := range in.X.Graph().Referrers(iface, "routes.interface_uuid") {
		if r := o.(*model.Route); r.NetworkUUID == network && r.Mode != model.RouteBlackhole {
			return true
		}
	}
	return false
}

// leases reports whether the interface has an address in the network.
func (in *Input) leases(iface, network string) bool {
	for o := range in.X.Graph().Referrers(iface, "ip_leases.interface_uuid") {
		if l := o.(*model.IPLease); l.NetworkUUID == network && !l.Addr().IsUnspecified() {
			return true
		}
	}
	return false
}

// sender gives the domain of the network and the leg's MAC address there: that of its first lease in the network.
func (in *Input) sender(l leg, network string) (Domain, model.MAC, bool) {
	d, ok := in.domain(network)
	if !ok {
		return d, model.MAC{}, false
	}
	stations := slices.DeleteFunc(in.Stations(l.UUID), func(s Station) bool { return s.Domain.UUID != d.UUID })
	for _, lease := range graph.Children[*model.IPLease](in.X.Graph(), l.UUID, "ip_leases.interface_uuid") {
		if lease.NetworkUUID != network {
			continue
		}
		for _, s := range stations {
			if slices.ContainsFunc(s.Addrs, func(a Address) bool { return a.Network != nil && a.Network.UUID == network && a.Addr == lease.Addr() }) {
				return d, s.MAC, true
			}
		}
	}
	return d, model.MAC{}, false
}

package compile

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// nextHopFeature is the MAC addresses of next hops: those of each interface's stations in domains that are routed into from here.
var nextHopFeature = feature{
	kind: "next_hop",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.Interfaces) {
			yield(state.Unit{Kind: "next_hop", UUID: o.Base().UUID})
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.nextHops(u.UUID) },
	dirty: byRouter,
}

func (in *Input) nextHops(uuid string) (state.Items, error) {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), uuid)
	if !ok {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: i.ID})
	for _, s := range in.Stations(uuid) {
		if !in.routedInto(s.Domain, nil) {
			continue
		}
		_, away := in.away(s.Domain)
		for _, a := range s.Addrs {
			nextHop(b, prioAllow, s.Domain.Number, a.Addr, s.MAC)
			if away {
				in.leavesHere(b, s.Domain, a.Addr)
			}
		}
	}
	return result(b, state.Items{})
}

// nextHop sends what has that next hop in the domain of that number to the MAC address.
func nextHop(b *pipeline.Builder, priority uint16, domain uint32, a netip.Addr, m model.MAC) {
	b.Flow(pipeline.NextHopMAC, priority, pipeline.Preds{familyOf(a).is, pipeline.Network.Is(domain), pipeline.NextHop.IsValue(flow.AddrValue(a))},
		flow.SetField(flow.EthDst.MAC(m)), flow.Resubmit{Table: pipeline.L2.ID})
}

// routedInto reports whether a route leads into the domain through a leg that is here, not counting routes that skip, which may be nil, says are to be left out.
func (in *Input) routedInto(d Domain, skip func(*model.Route) bool) bool {
	found := false
	in.networksOf(d, func(n string) {
		if found {
			return
		}
		for o := range in.X.Graph().Referrers(n, "routes.network_uuid") {
			if r := o.(*model.Route); r.Egress && (skip == nil || !skip(r)) {
				if w, ok := in.way(r); ok && !w.blackhole && w.leg.here {
					found = true
					return
				}
			}
		}
	})
	return found
}

// networksOf gives the networks in the domain.
func (in *Input) networksOf(d Domain, yield func(uuid string)) {
	if !d.Segment {
		yield(d.UUID)
		return
	}
	for n := range in.X.Graph().Referrers(d.UUID, "networks.segment_uuid") {
		yield(n.Base().UUID)
	}
}

// outsideHopFeature is what becomes of a packet whose next hop nobody is known to be, in a domain that is routed into from here and has devices outside: the
// agent asks for it where the domain is present, and elsewhere the packet is carried to such a host.
var outsideHopFeature = feature{
	kind: "outside_hop",
	units: func(in *Input, yield func(state.Unit)) {
		for _, r := range []*model.Resource{model.Networks, model.Segments} {
			for _, o := range in.X.Graph().List(r) {
				yield(state.Unit{Kind: "outside_hop", UUID: o.Base().UUID})
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) {
		d, ok := in.domain(u.UUID)
		if !ok || d.UUID != u.UUID || !in.routedInto(d, nil) {
			return state.Items{}, nil
		}
		if dp, ok := in.away(d); ok {
			return in.carriedAway(d, dp)
		}
		if !in.hasOutside(d) {
			return state.Items{}, nil
		}
		b := pipeline.NewBuilder(d.owner())
		for _, f := range families {
			b.Flow(pipeline.NextHopMAC, prioRefuse, pipeline.Preds{f.is, pipeline.Network.Is(d.Number)},
				pipeline.Class.Set(uint32(pipeline.PuntNeighbor)), flow.Resubmit{Table: pipeline.Punt.ID})
		}
		return result(b, state.Items{})
	},
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) { // byRouter, and where route links are carried in another way than before
		in.rewiredPairs(e, func(p span.Pair) {
			for o := range in.X.Graph().Referrers(p.Network, "routes.route_link_uuid") {
				if d, ok := in.domain(o.(*model.Route).NetworkUUID); ok && !d.Present {
					add(state.Unit{Kind: "outside_hop", UUID: d.UUID})
				}
			}
		})
	},
}

// hasOutside reports whether this host can ask devices in the domain that nobody registered: behind an attachment, on whichever host, or, of a physical one, behind the NIC.
func (in *Input) hasOutside(d Domain) bool {
	if d.physical() {
		return d.Present && in.Bridge.Uplink != 0
	}
	return d.Present && len(in.attachments(d)) > 0
}

// away gives the host to which packets are carried that have a next hop in the domain which nobody registered: the one with the lowest id of those with an attachment of it. The
// bool is false if the domain is present here, or has no devices outside.
func (in *Input) away(d Domain) (*model.Datapath, bool) {
	if d.Present || !d.carried() {
		return nil, false
	}
	var first *model.Datapath
	for _, a := range in.attachments(d) {
		if dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), a.at); ok && (first == nil || dp.ID < first.ID) {
			first = dp
		}
	}
	return first, first != nil
}

// Priorities in table l3_away.
const (
	prioAway      = 100 // whatever the next hop is
	prioAwayFirst = 101 // what leaves the network's subnet, if the subnet's first address is registered
	prioAwayNear  = 102 // what does not leave it
	prioAwayKnown = 103 // for one that is registered
)

// carriedAway gives the way to the host dp for what has a next hop in the domain that nobody registered, in each of the route links that lead there.
func (in *Input) carriedAway(d Domain, dp *model.Datapath) (state.Items, error) {
	b := pipeline.NewBuilder(d.owner())
	domain, unset := pipeline.Network.Is(d.Number), pipeline.NextHop.IsValue(flow.Value{})
	carry := append([]flow.Action{flow.Move{Src: pipeline.RouteLink.Bits, Dst: pipeline.Network.Bits.Field.Bits(0, 24)}}, append(toHost(dp), flow.GotoTable{Table: pipeline.Transport.ID})...)
	for _, f := range families {
		b.Flow(pipeline.L3Away, prioAway, pipeline.Preds{domain, f.is}, carry...)
	}
	links := map[string]bool{}
	var wires []flow.Flow // of the route links
	var errs []error
	in.networksOf(d, func(uuid string) {
		n, ok := graph.Lookup[*model.Network](in.X.Graph(), uuid)
		if !ok {
			return
		}
		for _, f := range families {
			if subnet := f.subnet(n); subnet.IsValid() {
				b.Flow(pipeline.L3Away, prioAwayNear, pipeline.Preds{domain, pipeline.Subnet.Is(n.ID), unset, f.is, f.dst.Prefix(subnet)}, carry...)
			} else { // there is no next hop
				b.Flow(pipeline.L3Away, prioAwayNear, pipeline.Preds{domain, pipeline.Subnet.Is(n.ID), unset, f.is}, flow.GotoTable{Table: pipeline.L3Out.ID})
			}
		}
		for o := range in.X.Graph().Referrers(uuid, "routes.network_uuid") {
			l, ok := in.routeLink(o.(*model.Route).RouteLinkUUID)
			if !ok || links[l.UUID] {
				continue
			}
			links[l.UUID] = true
			own := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindRouteLink, ID: l.ID})
			in.carriedTo(own, l.UUID, l.VNI, dp)
			items, err := result(own, state.Items{})
			wires, errs = append(wires, items.Flows...), append(errs, err)
		}
	})
	items, err := result(b, state.Items{})
	items.Flows = append(items.Flows, wires...)
	return items, errors.Join(append(errs, err)...)
}

// leavesHere lets packets leave here, for a domain that others are carried away for, that have this registered next hop: as the route's gateway; as the destination in a subnet of the
// network; as the network's first address.
func (in *Input) leavesHere(b *pipeline.Builder, d Domain, a netip.Addr) {
	f, domain, unset := familyOf(a), pipeline.Network.Is(d.Number), pipeline.NextHop.IsValue(flow.Value{})
	out := flow.GotoTable{Table: pipeline.L3Out.ID}
	b.Flow(pipeline.L3Away, prioAwayKnown, pipeline.Preds{domain, pipeline.NextHop.IsValue(flow.AddrValue(a)), f.is}, out)
	in.networksOf(d, func(uuid string) {
		n, ok := graph.Lookup[*model.Network](in.X.Graph(), uuid)
		if !ok || !f.subnet(n).Contains(a) {
			return
		}
		route := pipeline.Preds{domain, pipeline.Subnet.Is(n.ID), unset, f.is}
		b.Flow(pipeline.L3Away, prioAwayKnown, append(route[:4:4], f.dst.Addr(a)), out)
		if firstOf(f.subnet(n)) == a {
			b.Flow(pipeline.L3Away, prioAwayFirst, route, out)
		}
	})
}

// neighborFeature is the next hops that devices outside have said they are.
var neighborFeature = feature{
	kind: "neighbor",
	units: func(in *Input, yield func(state.Unit)) {
		for k := range in.Bridge.Neighbors() {
			yield(NeighborUnit(k))
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) {
		number, address, _ := strings.Cut(u.UUID, "/")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return state.Items{}, fmt.Errorf("neighbor %s: %w", u.UUID, err)
		}
		a, err := netip.ParseAddr(address)
		if err != nil {
			return state.Items{}, fmt.Errorf("neighbor %s: %w", u.UUID, err)
		}
		m, ok := in.Bridge.Neighbor(NeighborKey{uint32(n), a})
		if !ok {
			return state.Items{}, nil
		}
		b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindLearned})
		nextHop(b, prioAllow-1, uint32(n), a, m) // who is registered comes first
		return result(b, state.Items{})
	},
	dirty: func(*Input, *span.Effects, func(state.Unit)) {}, // the agent names the unit when it changes the Bridge
}

// NeighborUnit gives the unit to compile when what the Bridge says of a device outside changes.
func NeighborUnit(k NeighborKey) state.Unit {
	return state.Unit{Kind: "neighbor", UUID: fmt.Sprintf("%d/%s", k.Domain, k.Addr)}
}

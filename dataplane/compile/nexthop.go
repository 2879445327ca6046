package compile

import (
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
		for _, a := range s.Addrs {
			nextHop(b, prioAllow, s.Domain.Number, a.Addr, s.MAC)
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
// agent asks for it.
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
		if !ok || d.UUID != u.UUID || !in.hasOutside(d) || !in.routedInto(d, nil) {
			return state.Items{}, nil
		}
		b := pipeline.NewBuilder(d.owner())
		for _, f := range families {
			b.Flow(pipeline.NextHopMAC, prioRefuse, pipeline.Preds{f.is, pipeline.Network.Is(d.Number)},
				pipeline.Class.Set(uint32(pipeline.PuntNeighbor)), flow.Resubmit{Table: pipeline.Punt.ID})
		}
		return result(b, state.Items{})
	},
	dirty: byRouter,
}

// hasOutside reports whether devices that nobody registered may be in the domain: behind an attachment, on whichever host, or, of a physical one, behind the NIC.
func (in *Input) hasOutside(d Domain) bool {
	if d.physical() {
		return d.Present && in.Bridge.Uplink != 0
	}
	return len(in.attachments(d)) > 0
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

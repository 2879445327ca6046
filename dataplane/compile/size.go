package compile

import (
	"math"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// sizeFeature is the size of what leaves a route link into a network (the unit's peer).
var sizeFeature = feature{
	kind: "size",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.Routes) {
			if r := o.(*model.Route); r.InterfaceUUID != "" {
				yield(state.Unit{Kind: "size", UUID: r.RouteLinkUUID, Peer: r.NetworkUUID})
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.size(u.UUID, u.Peer) },
	dirty: byRouter,
}

// size gives the flow that looks whether packets are too big for the network. There is none where all networks of the route link's routes have no larger MTU.
func (in *Input) size(link, network string) (state.Items, error) {
	l, ok := in.routeLink(link)
	n, known := graph.Lookup[*model.Network](in.X.Graph(), network)
	if !ok || !known {
		return state.Items{}, nil
	}
	mtu := in.sizeOf(network)
	if mtu == 0 || mtu+bytesEthernet > math.MaxUint16 || !in.mayExceed(link, network, mtu) {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindRouteLink, ID: l.ID})
	b.Flow(pipeline.L3Out, prioFirst-2, pipeline.Preds{pipeline.RouteLink.Is(l.VNI), pipeline.Subnet.Is(n.ID), pipeline.Sized.Is(0)},
		pipeline.Sized.Set(1), flow.CheckPktLarger{Len: uint16(mtu + bytesEthernet), Dst: pipeline.Oversize.Bits}, flow.Resubmit{Table: pipeline.L3Out.ID})
	return result(b, state.Items{})
}

// mayExceed reports whether a route leads out of the route link into the network here, and another is of a network with a larger MTU, or of one whose MTU is not known here.
func (in *Input) mayExceed(link, network string, mtu int) bool {
	leaves, larger := false, false
	for o := range in.X.Graph().Referrers(link, "routes.route_link_uuid") {
		r := o.(*model.Route)
		w, ok := in.way(r)
		if !ok || w.blackhole {
			continue
		}
		if !w.leg.here {
			larger = true
			continue
		}
		leaves = leaves || r.Egress && r.NetworkUUID == network
		if !larger {
			size := in.sizeOf(r.NetworkUUID)
			larger = size == 0 || size > mtu
		}
	}
	return leaves && larger
}

// sizeOf is MTU, which is worked out once for all route links.
func (in *Input) sizeOf(network string) int {
	mtu, ok := in.sizes[network]
	if !ok {
		if in.sizes == nil {
			in.sizes = map[string]int{}
		}
		mtu = in.MTU(network)
		in.sizes[network] = mtu
	}
	return mtu
}

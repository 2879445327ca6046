package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// routeLinkFeature is a route link's way in from other hosts, and the addresses of each of its legs here (the unit's peer).
var routeLinkFeature = feature{
	kind: "route_link",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.RouteLinks) {
			yield(state.Unit{Kind: "route_link", UUID: o.Base().UUID})
		}
		for _, o := range in.X.Graph().List(model.Routes) {
			if r := o.(*model.Route); r.InterfaceUUID != "" {
				yield(state.Unit{Kind: "route_link", UUID: r.RouteLinkUUID, Peer: r.InterfaceUUID})
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) {
		link, ok := in.routeLink(u.UUID)
		switch {
		case !ok:
			return state.Items{}, nil
		case u.Peer != "":
			return in.gateway(link, u.Peer)
		}
		b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindRouteLink, ID: link.ID})
		b.Flow(pipeline.TunnelKey, prioAllow, pipeline.Preds{flow.TunID.Is(uint64(link.VNI))}, pipeline.RouteLink.Set(link.VNI), flow.GotoTable{Table: pipeline.L3Route.ID})
		return result(b, state.Items{})
	},
	dirty: byRouter,
}

// gateway gives what the addresses of a leg are for packets in the route link: they answer echo requests, the answer being routed from the same route link
// on as a new packet, and of all else the sender is told that nothing serves it. Packets to an address with enable_routing are routed as any.
func (in *Input) gateway(link *model.RouteLink, iface string) (state.Items, error) {
	l, ok := in.leg(iface)
	if !ok || !l.here || !in.legOf(link.UUID, iface) {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindRouteLink, ID: link.ID}) // two legs may have the same address
	for _, s := range in.Stations(iface) {
		for _, a := range s.Addrs {
			if a.Network == nil || a.Routed {
				continue
			}
			f := familyOf(a.Addr)
			to := pipeline.Preds{pipeline.RouteLink.Is(link.VNI), f.is, f.dst.Addr(a.Addr)}
			refuse(b, pipeline.L3Route, prioGateway, reason.Gateway, to...)
			b.Flow(pipeline.L3Route, prioEcho, append(to, f.icmp, f.icmpType.Is(f.request), f.code.Is(0)),
				flow.Move{Src: f.src.All(), Dst: f.dst.All()}, flow.SetField(f.src.Addr(a.Addr)), flow.SetField(f.icmpType.Is(f.reply)), flow.SetTTL{TTL: 64},
				pipeline.Remote.Set(0), flow.SetField(flow.InPort16.Is(0)), flow.CTClear{}, flow.Resubmit{Table: pipeline.L3Route.ID})
		}
	}
	return result(b, state.Items{})
}

// legOf reports whether a route joins the route link to the interface.
func (in *Input) legOf(link, iface string) bool {
	for o := range in.X.Graph().Referrers(iface, "routes.interface_uuid") {
		if r := o.(*model.Route); r.RouteLinkUUID == link && r.Mode != model.RouteBlackhole {
			return true
		}
	}
	return false
}

package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// routerFeature is what routing has on every host.
var routerFeature = feature{
	kind:  "router",
	units: func(_ *Input, yield func(state.Unit)) { yield(state.Unit{Kind: "router"}) },
	items: func(*Input, state.Unit) (state.Items, error) { return router() },
	dirty: byRouter,
}

func router() (state.Items, error) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	b.Drop(pipeline.L3In, prioFirst, reason.Hops, pipeline.Hops.Bits.Field.Bit(int(pipeline.Hops.Bits.Ofs)+maxHops-1).Is(1))
	for _, f := range families {
		b.Flow(pipeline.L3In, prioUnderlay, pipeline.Preds{f.is}, append(arrival(), flow.GotoTable{Table: pipeline.L3Source.ID})...)
		for _, ttl := range []uint64{0, 1} {
			refuse(b, pipeline.L3Out, prioFirst, reason.TTL, f.is, flow.IPTTL.Is(ttl))
		}
		b.Flow(pipeline.L3Out, prioFirst-1, pipeline.Preds{f.is, pipeline.Oversize.Is(1)}, telling(reason.TooBig)...) // no drop of a flow: Open vSwitch counts it for the packets that are not too big as well
		refuse(b, pipeline.L3Source, prioRefuse, reason.NoIngressRoute, f.is)
		refuse(b, pipeline.L3Route, prioRefuse, reason.NoRoute, f.is)
		refuse(b, pipeline.NextHopMAC, prioUnderlay, reason.NoNeighbor, f.is)
		refuse(b, pipeline.NextHopMAC, prioFirst, reason.NoNeighbor, f.is, pipeline.NextHop.IsValue(flow.Value{}))
		b.Flow(pipeline.L3Out, prioUnderlay, pipeline.Preds{f.is}, flow.DecTTL{}, flow.GotoTable{Table: pipeline.L3Send.ID})
	}
	for _, t := range []uint64{icmpNS, icmpNA} { // which are for neighbours, not for routers to pass on
		b.Drop(pipeline.L3In, prioFirst-1, reason.Destination, isIPv6, isICMPv6, flow.ICMPv6Type.Is(t))
	}
	b.Flow(pipeline.Punt, prioRefuse, pipeline.Preds{pipeline.Class.Is(uint32(pipeline.PuntNeighbor))}) // what guests say of themselves is known, and a copy of it is no drop
	for _, answer := range []pipeline.Preds{{isARP, flow.ARPOp.Is(2)}, {isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNA)}} {
		heard := pipeline.Class.Set(uint32(pipeline.PuntNeighbor))
		b.Flow(pipeline.L3In, prioFirst+1, append(answer, pipeline.Class.Is(0)),
			flow.Clone{Actions: []flow.Action{heard, flow.Resubmit{Table: pipeline.Punt.ID}}}, heard, flow.Resubmit{Table: pipeline.L3In.ID})
	}
	return result(b, state.Items{})
}

// refuse drops packets, whose senders the agent tells why.
func refuse(b *pipeline.Builder, t *pipeline.Table, priority uint16, why reason.Reason, preds ...flow.Pred) {
	b.Refuse(t, priority, why, preds, telling(why)...)
}

// telling gives a packet to the agent, which tells its sender why it is dropped.
func telling(why reason.Reason) []flow.Action {
	return []flow.Action{pipeline.Class.Set(uint32(pipeline.PuntError)), pipeline.Refused.Set(uint32(why)), flow.Resubmit{Table: pipeline.Punt.ID}}
}

// maxHops is how many routers a packet may meet on one host.
const maxHops = 15

// arrival gives what happens to every packet that a router takes: one more router is counted, and wherever it came from, it is this host's from now on.
func arrival() []flow.Action {
	hops := pipeline.Hops.Bits
	ofs := int(hops.Ofs)
	return []flow.Action{
		flow.Move{Src: hops.Field.Bits(ofs, maxHops-1), Dst: hops.Field.Bits(ofs+1, maxHops-1)}, flow.Load(hops.Field.Bit(ofs), 1),
		pipeline.Remote.Set(0), pipeline.FromOut.Set(0), pipeline.Sized.Set(0), flow.CTClear{}, // a zone that has translated it before would take it for an answer
	}
}

// byRouter is dirty of the features whose units dirtyRouter gives.
func byRouter(*Input, *span.Effects, func(state.Unit)) {}

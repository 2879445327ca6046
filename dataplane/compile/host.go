package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Priorities, by what a flow is rather than by number.
const (
	prioUnderlay = 50
	prioRefuse   = 60  // a known reason to drop, below what is allowed
	prioAllow    = 100 // an object's own flow
	prioOwn      = 110 // what concerns the sender itself, before what concerns everybody
	prioFirst    = 200 // before everything
)

var multicastMAC = [6]byte{0x01}

// host gives what every host has: the way of the underlay's frames, what tables do by default, and refusals that need no object.
func (in *Input) host() (state.Items, error) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	b.Misses()
	if p := in.Bridge.Uplink; p != 0 {
		b.Flow(pipeline.Classify, prioUnderlay, pipeline.Preds{flow.InPort.Is(uint64(p))}, flow.Output{Port: flow.PortLocal})
		b.Flow(pipeline.Classify, prioUnderlay, pipeline.Preds{flow.InPort.Is(uint64(flow.PortLocal))}, flow.Output{Port: p})
	}
	if p := in.Bridge.Tunnel; p != 0 {
		b.Flow(pipeline.Classify, prioAllow, pipeline.Preds{flow.InPort.Is(uint64(p))}, pipeline.Remote.Set(1), flow.GotoTable{Table: pipeline.TunnelPeer.ID})
	}
	b.Drop(pipeline.GuardMAC, prioFirst, pipeline.DropTagged, flow.VLANVID.Masked(flow.VLANPresent, flow.VLANPresent))

	nd := func(icmpType uint64) pipeline.Preds {
		return pipeline.Preds{isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpType)}
	}
	// What the guards of the interfaces have not let pass, by reason.
	b.Drop(pipeline.GuardAddress, prioRefuse, pipeline.DropARPSender, isARP)
	b.Drop(pipeline.GuardAddress, prioRefuse, pipeline.DropIPv4Source, isIPv4)
	b.Drop(pipeline.GuardAddress, prioRefuse, pipeline.DropIPv6Source, isIPv6)
	for _, t := range []uint64{icmpNS, icmpNA} {
		b.Drop(pipeline.GuardAddress, prioGuardND-1, pipeline.DropNDSender, nd(t)...)
	}
	b.Drop(pipeline.GuardAddress, prioFirst, pipeline.DropMLD, append(nd(icmpMLDv2Report), flow.IPv6Src.Addr(unspecified))...)

	// Services: what nobody answers.
	b.Drop(pipeline.Service, prioRefuse, pipeline.DropARPUnknown, isARP, flow.ARPOp.Is(1))
	b.Drop(pipeline.Service, prioRefuse-1, pipeline.DropARPReply, isARP)
	b.Drop(pipeline.Service, prioRefuse, pipeline.DropNDUnknown, nd(icmpNS)...)
	b.Drop(pipeline.Service, prioRefuse, pipeline.DropNDUnasked, nd(icmpNA)...)
	for _, t := range []uint64{icmpRS, icmpRA, icmpRedirect} {
		b.Drop(pipeline.Service, prioRefuse, pipeline.DropNDRouter, nd(t)...)
	}
	for _, t := range []uint64{icmpMLDReport, icmpMLDDone, icmpMLDv2Report} {
		b.Drop(pipeline.Service, prioRefuse, pipeline.DropMLD, nd(t)...)
	}
	b.Drop(pipeline.Service, prioRefuse, pipeline.DropDHCPNone, isIPv4, isUDP, flow.UDPSrc.Is(68), flow.UDPDst.Is(67))
	b.Drop(pipeline.Service, prioRefuse, pipeline.DropDHCPRogue, isIPv4, isUDP, flow.UDPSrc.Is(67), flow.UDPDst.Is(68))
	b.Flow(pipeline.ND, prioAllow, nd(icmpNA), advertise...)

	b.Flow(pipeline.L2, prioUnderlay, pipeline.Preds{flow.EthDst.MACMasked(multicastMAC, multicastMAC)}, flow.GotoTable{Table: pipeline.Flood.ID})
	return result(b, state.Items{})
}

// datapath gives what a host has of another one: that it may send through the tunnel, and how to reach it.
func (in *Input) datapath(uuid string) (state.Items, error) {
	d, ok := graph.Lookup[*model.Datapath](in.X.Graph(), uuid)
	if !ok || uuid == in.Self || in.Bridge.Tunnel == 0 {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindDatapath, ID: d.ID})
	for n, a := range in.TunnelEnds(uuid) {
		src, dst := flow.TunSrc, flow.TunDst
		if a.Is6() {
			src, dst = flow.TunIPv6Src, flow.TunIPv6Dst
		}
		b.Flow(pipeline.TunnelPeer, prioAllow, pipeline.Preds{src.Addr(a)}, flow.GotoTable{Table: pipeline.TunnelKey.ID})
		if n > 0 {
			continue // it may send from any of its addresses; it is sent to at the first
		}
		b.Flow(pipeline.Transport, prioAllow, pipeline.Preds{pipeline.Egress.Is(d.ID)},
			flow.SetField(dst.Addr(a)),
			flow.Move{Src: pipeline.Network.Bits, Dst: flow.TunID.Bits(0, 24)},
			flow.Output{Port: in.Bridge.Tunnel})
	}
	return result(b, state.Items{})
}

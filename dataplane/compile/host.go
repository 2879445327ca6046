package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Priorities, by what a flow is rather than by number.
const (
	prioUnderlay = 50
	prioRefuse   = 60  // a known reason to drop, below what is allowed
	prioPass     = 80  // what a domain's kind lets pass, above the refusals
	prioAllow    = 100 // an object's own flow
	prioOwn      = 110 // what concerns the sender itself, before what concerns everybody
	prioFirst    = 200 // before everything
)

var multicastMAC = [6]byte{0x01}

// hostFeature is what every host has.
var hostFeature = feature{
	kind:  "host",
	units: func(_ *Input, yield func(state.Unit)) { yield(state.Unit{Kind: "host"}) },
	items: func(in *Input, _ state.Unit) (state.Items, error) { return in.host() },
	dirty: func(*Input, *span.Effects, func(state.Unit)) {},
}

// host gives what every host has: the way of the underlay's frames, what tables do by default, and refusals that need no object.
func (in *Input) host() (state.Items, error) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	b.Misses()
	if p := in.Bridge.Uplink; p != 0 {
		b.Flow(pipeline.Classify, prioUnderlay, pipeline.Preds{flow.InPort.Is(uint64(p))}, flow.Output{Port: flow.PortLocal})
		b.Flow(pipeline.Classify, prioUnderlay, pipeline.Preds{flow.InPort.Is(uint64(flow.PortLocal))}, flow.Output{Port: p})
		b.Drop(pipeline.Classify, prioFirst, reason.Announcement, flow.InPort.Is(uint64(p)), flow.EthDst.MAC(model.AnnouncementGroup()))
	}
	for _, p := range in.Bridge.Tunnels {
		if p != 0 {
			b.Flow(pipeline.Classify, prioAllow, pipeline.Preds{flow.InPort.Is(uint64(p))}, pipeline.Remote.Set(1), flow.GotoTable{Table: pipeline.TunnelPeer.ID})
		}
	}
	var items state.Items
	for _, c := range pipeline.PuntClasses {
		in.toAgent(b, &items, 0, pipeline.HostSlot, c.Class)
	}
	for _, l := range in.Bridge.Limits.Ports() {
		if l.Program {
			items.Limits = append(items.Limits, state.FastLimit{Class: l.Name, Rate: l.Rate, Burst: l.Burst})
		}
	}
	b.Drop(pipeline.GuardMAC, prioFirst, reason.Tagged, flow.VLANVID.Masked(flow.VLANPresent, flow.VLANPresent))

	// What the guards of the interfaces have not let pass, by reason.
	b.Drop(pipeline.GuardAddress, prioRefuse, reason.ARPSender, isARP)
	b.Drop(pipeline.GuardAddress, prioRefuse, reason.IPv4Source, isIPv4)
	b.Drop(pipeline.GuardAddress, prioRefuse, reason.IPv6Source, isIPv6)
	for _, t := range []uint64{icmpNS, icmpNA} {
		b.Drop(pipeline.GuardAddress, prioRefuseND, reason.NDSender, discovery(t)...)
	}
	b.Drop(pipeline.GuardAddress, prioRefuseND, reason.MLD, append(discovery(icmpMLDv2Report), flow.IPv6Src.Addr(unspecified))...)

	// Services: what nobody answers.
	b.Drop(pipeline.Service, prioRefuse, reason.ARPUnknown, isARP, flow.ARPOp.Is(1))
	b.Drop(pipeline.Service, prioRefuse-1, reason.ARPReply, isARP)
	b.Drop(pipeline.Service, prioRefuse, reason.NDUnknown, discovery(icmpNS)...)
	b.Drop(pipeline.Service, prioRefuse, reason.NDUnasked, discovery(icmpNA)...)
	for _, t := range []uint64{icmpRS, icmpRA, icmpRedirect} {
		b.Drop(pipeline.Service, prioRefuse, reason.NDRouter, discovery(t)...)
	}
	for _, t := range append([]uint64{icmpMLDQuery}, mldReports...) {
		b.Drop(pipeline.Service, prioRefuse, reason.MLD, discovery(t)...)
	}
	b.Drop(pipeline.Service, prioRefuse, reason.DHCPNone, isIPv4, isUDP, flow.UDPSrc.Is(68), flow.UDPDst.Is(67))
	b.Drop(pipeline.Service, prioRefuse, reason.DHCPRogue, isIPv4, isUDP, flow.UDPSrc.Is(67), flow.UDPDst.Is(68))
	b.Drop(pipeline.Service, prioRefuse, reason.DHCPNone, isIPv6, isUDP, flow.UDPSrc.Is(546), flow.UDPDst.Is(547))
	b.Drop(pipeline.Service, prioRefuse, reason.DHCPRogue, isIPv6, isUDP, flow.UDPSrc.Is(547), flow.UDPDst.Is(546))
	// Devices outside may be routers and DHCP servers.
	outside := func(preds ...flow.Pred) {
		b.Flow(pipeline.Service, prioPass, append(preds, pipeline.FromOut.Is(1)), flow.GotoTable{Table: pipeline.OutFilter.ID})
	}
	outside(isIPv4, isUDP, flow.UDPSrc.Is(67), flow.UDPDst.Is(68))
	outside(isIPv6, isUDP, flow.UDPSrc.Is(547), flow.UDPDst.Is(546))
	for _, t := range []uint64{icmpRS, icmpRA, icmpRedirect} {
		outside(discovery(t)...)
	}
	in.advertises(b)

	b.Drop(pipeline.Outside, prioFirst, reason.Tagged, flow.VLANVID.Masked(flow.VLANPresent, flow.VLANPresent))
	restore(b)
	b.Flow(pipeline.L2, prioUnderlay, pipeline.Preds{flow.EthDst.MACMasked(multicastMAC, multicastMAC)}, flow.GotoTable{Table: pipeline.Flood.ID})
	return result(b, items)
}

// discovery matches ICMPv6 of a type.
func discovery(icmpType uint64) pipeline.Preds {
	return pipeline.Preds{isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpType)}
}

// result gathers what a builder made.
func result(b *pipeline.Builder, items state.Items) (state.Items, error) {
	items.Flows = b.Flows()
	return items, b.Err()
}

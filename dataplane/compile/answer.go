package compile

import (
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// back sends an answer to the interface that asked, as anything that is delivered to it. What came from the NIC has no interface, and goes to the NIC.
var back = []flow.Action{
	flow.Move{Src: pipeline.Ingress.Bits, Dst: pipeline.Egress.Bits}, flow.SetField(flow.InPort16.Is(0)), flow.GotoTable{Table: pipeline.Output.ID},
}

// answer answers ARP and ND for the station's addresses on the asking guest's own host. If the interface is here, its own questions
// about its own addresses (announcements, duplicate address detection) get no answer. The wire of a physical network asks every host, of which the one
// that has the address answers, also while it is about to have it no more.
func (in *Input) answer(b *pipeline.Builder, i *model.Interface, s Station, here bool) {
	network := pipeline.Network.Is(s.Domain.Number)
	who := pipeline.Preds{network}
	if s.Domain.physical() && (!here || in.arriving(i)) {
		who = append(who, pipeline.FromOut.Is(0))
	}
	own := here && i.Mode != model.InterfaceSimulated
	self := pipeline.Ingress.Is(i.ID)
	if outside(i.Mode) { // others may be behind the port
		self = flow.EthSrc.MAC(s.MAC)
	}
	for _, a := range s.Addrs {
		if a.Is4() {
			asked := pipeline.Preds{isARP, flow.ARPOp.Is(1), flow.ARPTPA.Addr(a.Addr)}
			b.Flow(pipeline.Service, prioAllow, append(asked, who...), arpReply(s.MAC, a.Addr)...)
			if own {
				b.Drop(pipeline.Service, prioOwn, reason.ARPOwn, append(asked[:3:3], network, self)...)
			}
			continue
		}
		asked := pipeline.Preds{isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNS), flow.ICMPv6Code.Is(0), flow.NDTarget.Addr(a.Addr)}
		b.Flow(pipeline.Service, prioAllow, append(asked, who...),
			flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}, flow.SetField(flow.EthSrc.MAC(s.MAC)), flow.GotoTable{Table: pipeline.ND.ID})
		if own {
			b.Drop(pipeline.Service, prioOwn, reason.NDOwn, append(asked[:5:5], network, self)...)
		}
	}
}

// arpReply makes a request the answer that the MAC address has the address.
func arpReply(mac model.MAC, a netip.Addr) []flow.Action {
	return append([]flow.Action{
		flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}, flow.SetField(flow.EthSrc.MAC(mac)),
		flow.SetField(flow.ARPOp.Is(2)),
		flow.Move{Src: flow.ARPSHA.All(), Dst: flow.ARPTHA.All()}, flow.SetField(flow.ARPSHA.MAC(mac)),
		flow.Move{Src: flow.ARPSPA.All(), Dst: flow.ARPTPA.All()}, flow.SetField(flow.ARPSPA.Addr(a)),
	}, back...)
}

// advertises gives what a solicitation becomes, whose MAC addresses are turned round by now: an advertisement, or a packet for the agent, which answers it through table output.
func (in *Input) advertises(b *pipeline.Builder) {
	if !in.Bridge.NoND {
		b.Flow(pipeline.ND, prioAllow, discovery(icmpNS), flow.SetField(flow.ICMPv6Type.Is(icmpNA)), flow.Resubmit{Table: pipeline.ND.ID})
		advertise(b)
		return
	}
	b.Flow(pipeline.ND, prioAllow, discovery(icmpNS), pipeline.Class.Set(uint32(pipeline.PuntND)), flow.Resubmit{Table: pipeline.Punt.ID})
}

// SetNoND says whether the bridge's datapath refuses Advertisement. It gives the units that have to be compiled, none if that is nothing new.
func (in *Input) SetNoND(refuses bool) []state.Unit {
	if in.Bridge.NoND == refuses {
		return nil
	}
	in.Bridge.NoND = refuses
	units := []state.Unit{HostUnit()}
	for p := range in.Bridge.Ports() {
		for _, i := range in.InterfacesOfPort(p) {
			units = append(units, InterfaceUnit(i))
		}
	}
	return units
}

// advertise makes an advertisement (solicited, override) of what is a solicitation but for its type: to the asker, from the
// target, with the target's link-layer address, which is the frame's source by now. (RFC 4861, section 4.4)
func advertise(b *pipeline.Builder) {
	b.Flow(pipeline.ND, prioAllow, discovery(icmpNA), append([]flow.Action{
		flow.Move{Src: flow.IPv6Src.All(), Dst: flow.IPv6Dst.All()},
		flow.Move{Src: flow.NDTarget.All(), Dst: flow.IPv6Src.All()},
		flow.Move{Src: flow.EthSrc.All(), Dst: flow.NDTLL.All()},
		flow.SetField(flow.NDOptionsType.Is(2)),
		flow.SetField(flow.NDReserved.Is(0x6000_0000)),
	}, back...)...)
}

// Advertisement gives the flow that makes a solicitation an advertisement. A switch whose datapath cannot set these fields refuses it; then Bridge.NoND is to be set.
func Advertisement() (flow.Flow, error) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	advertise(b)
	if err := b.Err(); err != nil {
		return flow.Flow{}, err
	}
	return b.Flows()[0], nil
}

// echo answers pings of a simulated interface's addresses.
func echo(b *pipeline.Builder, s Station) {
	for _, a := range s.Addrs {
		f := familyOf(a.Addr)
		b.Flow(pipeline.Service, prioAllow,
			pipeline.Preds{pipeline.Network.Is(s.Domain.Number), flow.EthDst.MAC(s.MAC), f.is, f.icmp, f.icmpType.Is(f.request), f.code.Is(0), f.dst.Addr(a.Addr)}, echoReply(f, s.MAC, a.Addr)...)
	}
}

// echoReply makes an echo request the answer of that address.
func echoReply(f family, mac model.MAC, a netip.Addr) []flow.Action {
	return append([]flow.Action{
		flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}, flow.SetField(flow.EthSrc.MAC(mac)),
		flow.Move{Src: f.src.All(), Dst: f.dst.All()}, flow.SetField(f.src.Addr(a)),
		flow.SetTTL{TTL: 64}, flow.SetField(f.icmpType.Is(f.reply)),
	}, back...)
}

// neighbors gives the fast path's answers to ARP and ND for the station's addresses.
func neighbors(i *model.Interface, s Station) []state.Neighbor {
	var ns []state.Neighbor
	for _, a := range s.Addrs {
		ns = append(ns, state.Neighbor{Network: s.Domain.Number, Addr: a.Addr, MAC: s.MAC, Interface: i.ID})
	}
	return ns
}

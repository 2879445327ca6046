package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

var back = flow.Output{Port: flow.PortInPort}

// answer answers ARP and ND for the station's addresses on the asking guest's own host. If the interface is here, its own questions
// about its own addresses (announcements, duplicate address detection) get no answer.
func answer(b *pipeline.Builder, i *model.Interface, s Station, here bool) {
	network := pipeline.Network.Is(s.Network.VNI)
	for _, a := range s.Addrs {
		if a.Is4() {
			asked := pipeline.Preds{isARP, flow.ARPOp.Is(1), flow.ARPTPA.Addr(a)}
			b.Flow(pipeline.Service, prioAllow, append(asked, network),
				flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}, flow.SetField(flow.EthSrc.MAC(s.MAC)),
				flow.SetField(flow.ARPOp.Is(2)),
				flow.Move{Src: flow.ARPSHA.All(), Dst: flow.ARPTHA.All()}, flow.SetField(flow.ARPSHA.MAC(s.MAC)),
				flow.Move{Src: flow.ARPSPA.All(), Dst: flow.ARPTPA.All()}, flow.SetField(flow.ARPSPA.Addr(a)),
				back)
			if here {
				b.Drop(pipeline.Service, prioOwn, pipeline.DropARPOwn, append(asked[:3:3], network, pipeline.Ingress.Is(i.ID))...)
			}
			continue
		}
		asked := pipeline.Preds{isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNS), flow.ICMPv6Code.Is(0), flow.NDTarget.Addr(a)}
		b.Flow(pipeline.Service, prioAllow, append(asked, network),
			flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}, flow.SetField(flow.EthSrc.MAC(s.MAC)),
			flow.SetField(flow.ICMPv6Type.Is(icmpNA)), flow.GotoTable{Table: pipeline.ND.ID})
		if here {
			b.Drop(pipeline.Service, prioOwn, pipeline.DropNDOwn, append(asked[:5:5], network, pipeline.Ingress.Is(i.ID))...)
		}
	}
}

// advertise makes an advertisement (solicited, override) of what is a solicitation but for its type: to the asker, from the
// target, with the target's link-layer address, which is the frame's source by now. (RFC 4861, section 4.4)
var advertise = []flow.Action{
	flow.Move{Src: flow.IPv6Src.All(), Dst: flow.IPv6Dst.All()},
	flow.Move{Src: flow.NDTarget.All(), Dst: flow.IPv6Src.All()},
	flow.Move{Src: flow.EthSrc.All(), Dst: flow.NDTLL.All()},
	flow.SetField(flow.NDOptionsType.Is(2)),
	flow.SetField(flow.NDReserved.Is(0x6000_0000)),
	back,
}

// echo answers pings of a simulated interface's addresses.
func echo(b *pipeline.Builder, s Station) {
	for _, a := range s.Addrs {
		proto, typ, code, src, dst, request, reply := isICMP, flow.ICMPType, flow.ICMPCode, flow.IPv4Src, flow.IPv4Dst, uint64(8), uint64(0)
		ip := isIPv4
		if a.Is6() {
			ip, proto, typ, code, src, dst, request, reply = isIPv6, isICMPv6, flow.ICMPv6Type, flow.ICMPv6Code, flow.IPv6Src, flow.IPv6Dst, 128, 129
		}
		b.Flow(pipeline.Service, prioAllow, pipeline.Preds{pipeline.Network.Is(s.Network.VNI), flow.EthDst.MAC(s.MAC), ip, proto, typ.Is(request), code.Is(0), dst.Addr(a)},
			flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}, flow.SetField(flow.EthSrc.MAC(s.MAC)),
			flow.Move{Src: src.All(), Dst: dst.All()}, flow.SetField(src.Addr(a)),
			flow.SetTTL{TTL: 64}, flow.SetField(typ.Is(reply)), back)
	}
}

// neighbors gives the fast path's answers to ARP for the station's addresses.
func neighbors(i *model.Interface, s Station) []state.Neighbor {
	var ns []state.Neighbor
	for _, a := range s.Addrs {
		if a.Is4() {
			ns = append(ns, state.Neighbor{Network: s.Network.VNI, Addr: a, MAC: s.MAC, Interface: i.ID})
		}
	}
	return ns
}

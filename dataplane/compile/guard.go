package compile

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// ICMPv6 types of neighbour and router discovery (RFC 4861) and of multicast listener discovery (RFC 2710, RFC 3810).
const (
	icmpMLDQuery    = 130
	icmpMLDReport   = 131
	icmpMLDDone     = 132
	icmpRS          = 133
	icmpRA          = 134
	icmpNS          = 135
	icmpNA          = 136
	icmpRedirect    = 137
	icmpMLDv2Report = 143
)

// Priorities in table guard_address, above and below an interface's own addresses (prioAllow).
const (
	prioGuardND  = prioOwn       // ND of an own address must be checked further than what it sends in general
	prioClaimND  = prioOwn - 2   // ND that asks whether an address may become an own one
	prioFreeND   = prioOwn - 3   // ND where addresses are free
	prioRefuseND = prioOwn - 5   // all other ND
	prioFree     = prioAllow - 1 // what is not of an own address, on a segment
	prioClaim    = prioAllow - 1 // what is not of an own link-local address, on no segment
	prioFreeIP   = prioAllow - 2 // the same, of an interface that routes
	prioMine     = 20            // above what is kept from others, in table guard_free
)

var unspecified = netip.IPv6Unspecified()

// guards gives port security of an interface with its stations: which frames it may send, and in which domain each is.
func (in *Input) guards(b *pipeline.Builder, i *model.Interface, stations []Station) {
	stations = slices.DeleteFunc(slices.Clone(stations), func(s Station) bool { return !s.Domain.Present })
	for _, s := range senders(stations) {
		guard(b, i, s)
	}
	for _, ml := range graph.Children[*model.MACLease](in.X.Graph(), i.UUID, "mac_leases.interface_uuid") {
		actions := []flow.Action{flow.GotoTable{Table: pipeline.GuardAddress.ID}}
		if in.arriving(i) {
			actions = append([]flow.Action{flow.Clone{Actions: []flow.Action{pipeline.Class.Set(uint32(pipeline.PuntActivate)), flow.Resubmit{Table: pipeline.Punt.ID}}}}, actions...)
		}
		b.Flow(pipeline.GuardMAC, prioAllow, pipeline.Preds{pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(ml.MACAddress)}, actions...)
		own := slices.DeleteFunc(slices.Clone(stations), func(s Station) bool { return s.MAC != ml.MACAddress })
		segment, onSegment := in.domain(ml.SegmentUUID)
		if onSegment = onSegment && segment.Present; onSegment {
			free(b, i, ml.MACAddress, segment)
		}
		first4, first6 := first(own, netip.Addr.Is4), first(own, netip.Addr.Is6)
		if first4 != nil {
			asking(b, i, *first4)
		} else if i.Mode == model.InterfaceVIF {
			unleased(b, i, ml.MACAddress)
		}
		if first6 != nil {
			soliciting(b, i, *first6)
		} else if i.Mode == model.InterfaceVIF && !onSegment {
			unleased6(b, i, ml.MACAddress)
		}
		if i.Mode == model.InterfaceVIF {
			claiming(b, i, own)
			if first6 != nil && ml.SegmentUUID == "" && !first6.Domain.physical() {
				choosing(b, i, *first6)
			}
		}
		if i.EnableRouting && i.Mode == model.InterfaceVIF {
			freeIP(b, i, first4, isIPv4)
			freeIP(b, i, first6, isIPv6)
		}
	}
}

// free lets an interface send anything from a MAC address on a segment, but from the addresses of other stations.
func free(b *pipeline.Builder, i *model.Interface, m model.MAC, d Domain) {
	pass := func(priority uint16, preds ...flow.Pred) {
		b.Flow(pipeline.GuardAddress, priority, append(pipeline.Preds{pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(m)}, preds...),
			pipeline.Network.Set(d.Number), flow.GotoTable{Table: pipeline.GuardFree.ID})
	}
	pass(prioFree)
	for _, t := range []uint64{icmpNS, icmpNA} {
		pass(prioFreeND, isIPv6, isICMPv6, flow.ICMPv6Type.Is(t))
	}
	pass(prioFreeND, isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpMLDv2Report), flow.IPv6Src.Addr(unspecified))
}

// freeIP lets an interface that routes send packets of one family from any address but those of other stations. s is where its first address
// of the family is, nil if it has none.
func freeIP(b *pipeline.Builder, i *model.Interface, s *Station, family flow.Pred) {
	if s == nil {
		return
	}
	b.Flow(pipeline.GuardAddress, prioFreeIP, pipeline.Preds{pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(s.MAC), family},
		pipeline.Network.Set(s.Domain.Number), flow.GotoTable{Table: pipeline.GuardFree.ID})
}

// taken keeps the station's addresses from others whose addresses are free. here: it is on this host, and not kept from them itself.
func taken(b *pipeline.Builder, i *model.Interface, s Station, here bool) {
	network := pipeline.Network.Is(s.Domain.Number)
	refuse := func(priority uint16, r reason.Reason, preds ...flow.Pred) {
		b.Drop(pipeline.GuardFree, priority, r, append(pipeline.Preds{network}, preds...)...)
		if here && s.Domain.Segment {
			b.Flow(pipeline.GuardFree, priority+prioMine, append(preds, network, pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(s.MAC)), flow.GotoTable{Table: pipeline.GuardTarget.ID})
		}
	}
	for _, a := range s.Addrs {
		if a.Is4() {
			refuse(prioAllow, reason.IPv4Source, isIPv4, flow.IPv4Src.Addr(a.Addr))
			if s.Domain.Segment {
				refuse(prioAllow, reason.ARPSender, isARP, flow.ARPSPA.Addr(a.Addr))
			}
			continue
		}
		refuse(prioAllow, reason.IPv6Source, isIPv6, flow.IPv6Src.Addr(a.Addr))
		if !s.Domain.Segment {
			continue
		}
		for _, t := range []uint64{icmpNS, icmpNA} {
			b.Drop(pipeline.GuardFree, prioOwn, reason.NDSender, network, isIPv6, isICMPv6, flow.ICMPv6Type.Is(t), flow.IPv6Src.Addr(a.Addr))
		}
		target := []flow.Pred{network, isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNA), flow.ICMPv6Code.Is(0), flow.NDTarget.Addr(a.Addr)}
		b.Drop(pipeline.GuardTarget, prioAllow, reason.NDSender, target...)
		if here {
			b.Flow(pipeline.GuardTarget, prioOwn, append(target[:len(target):len(target)], pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(s.MAC)), flow.GotoTable{Table: pipeline.Service.ID})
		}
	}
}

// unleased lets an interface ask by DHCP with a MAC address that has no IPv4 lease yet: the agent tells the manager, which may make one.
func unleased(b *pipeline.Builder, i *model.Interface, m model.MAC) {
	from := pipeline.Preds{pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(m)}
	b.Flow(pipeline.GuardAddress, prioAllow, append(from, isIPv4, isUDP, flow.IPv4Src.Addr(netip.IPv4Unspecified()), flow.UDPSrc.Is(68), flow.UDPDst.Is(67)),
		pipeline.Class.Set(uint32(pipeline.PuntDHCP4)), flow.GotoTable{Table: pipeline.Punt.ID})
}

// unleased6 is unleased of IPv6: DHCPv6, and the question for routers that comes before it, from whatever link-local address.
func unleased6(b *pipeline.Builder, i *model.Interface, m model.MAC) {
	for _, question := range []struct {
		class pipeline.PuntClass
		preds pipeline.Preds
	}{
		{pipeline.PuntDHCP6, pipeline.Preds{isIPv6, isUDP, flow.UDPSrc.Is(546), flow.UDPDst.Is(547)}},
		{pipeline.PuntRA, discovery(icmpRS)},
	} {
		b.Flow(pipeline.GuardAddress, prioAllow, append(question.preds, pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(m), flow.IPv6Src.Prefix(model.LinkLocals())),
			pipeline.Class.Set(uint32(question.class)), flow.GotoTable{Table: pipeline.Punt.ID})
	}
}

// guard lets pass what the interface may send with one MAC address in one domain, and says which domain it is.
func guard(b *pipeline.Builder, i *model.Interface, s Station) {
	from := func(preds ...flow.Pred) pipeline.Preds {
		return append(pipeline.Preds{pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(s.MAC)}, preds...)
	}
	pass := func(priority uint16, preds pipeline.Preds) {
		b.Flow(pipeline.GuardAddress, priority, preds, pipeline.Network.Set(s.Domain.Number), flow.GotoTable{Table: pipeline.Service.ID})
	}
	for _, a := range s.Addrs {
		if a.Is4() {
			pass(prioAllow, from(isIPv4, flow.IPv4Src.Addr(a.Addr)))
			pass(prioAllow, from(isARP, flow.ARPSHA.MAC(s.MAC), flow.ARPSPA.Addr(a.Addr)))
			continue
		}
		pass(prioAllow, from(isIPv6, flow.IPv6Src.Addr(a.Addr)))
		// A solicitation names the sender's link-layer address, or none; an advertisement is for an own address; duplicate
		// address detection asks from the unspecified address for an own one (RFC 4861, 4.3 and 4.4; RFC 4862, 5.4.2).
		for _, ll := range []flow.Pred{flow.NDSLL.MAC(s.MAC), flow.NDSLL.Is(0)} {
			pass(prioGuardND, from(isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNS), flow.ICMPv6Code.Is(0), flow.IPv6Src.Addr(a.Addr), ll))
		}
		for _, target := range s.Addrs {
			if !target.Is6() {
				continue
			}
			for _, ll := range []flow.Pred{flow.NDTLL.MAC(s.MAC), flow.NDTLL.Is(0)} {
				pass(prioGuardND, from(isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNA), flow.ICMPv6Code.Is(0), flow.IPv6Src.Addr(a.Addr), flow.NDTarget.Addr(target.Addr), ll))
			}
		}
		pass(prioGuardND, from(isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNS), flow.ICMPv6Code.Is(0), flow.IPv6Src.Addr(unspecified), flow.NDTarget.Addr(a.Addr), flow.NDSLL.Is(0)))
	}
}

// asking lets pass what the interface sends with a MAC address before it has an address: it is in the domain of the MAC address's first IPv4 address.
func asking(b *pipeline.Builder, i *model.Interface, s Station) {
	any4 := netip.IPv4Unspecified()
	for _, question := range []pipeline.Preds{
		{isARP, flow.ARPSHA.MAC(s.MAC), flow.ARPSPA.Addr(any4)},
		{isIPv4, isUDP, flow.IPv4Src.Addr(any4), flow.UDPSrc.Is(68), flow.UDPDst.Is(67)},
	} {
		b.Flow(pipeline.GuardAddress, prioAllow, append(question, pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(s.MAC)),
			pipeline.Network.Set(s.Domain.Number), flow.GotoTable{Table: pipeline.Service.ID})
	}
}

// soliciting lets pass that the interface asks for a router with a MAC address before it has an address: it is in the domain of the MAC address's first IPv6 address.
func soliciting(b *pipeline.Builder, i *model.Interface, s Station) {
	b.Flow(pipeline.GuardAddress, prioAllow, append(discovery(icmpRS), pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(s.MAC), flow.IPv6Src.Addr(unspecified)),
		pipeline.Network.Set(s.Domain.Number), flow.GotoTable{Table: pipeline.Service.ID})
}

// claiming sends to the agent that the interface asks with one MAC address whether an address is free that it has made of a network's subnet, and what it answers when it is asked whether it has
// such an address yet. In segments addresses are free, and nothing has to be claimed.
func claiming(b *pipeline.Builder, i *model.Interface, stations []Station) {
	seen := map[netip.Prefix]bool{} // a subnet in two domains is one of the first
	for _, s := range stations {
		for _, a := range s.Addrs {
			if s.Domain.Segment || !a.Is6() || a.Network == nil {
				continue
			}
			p := a.Network.Autonomous()
			if !p.IsValid() || seen[p] {
				continue
			}
			seen[p] = true
			claim(b, i, s, prioClaimND, append(discovery(icmpNS), flow.ICMPv6Code.Is(0), flow.IPv6Src.Addr(unspecified), flow.NDTarget.Prefix(p), flow.NDSLL.Is(0)))
		}
	}
}

// choosing sends to the agent what the interface asks with one MAC address for, or from, a link-local address that it has chosen and has not yet: such an address is claimed by its use too,
// as a guest may have made it before anybody could hear of it. s is where its first IPv6 address is.
func choosing(b *pipeline.Builder, i *model.Interface, s Station) {
	from := flow.IPv6Src.Prefix(model.LinkLocals())
	claim(b, i, s, prioClaimND, append(discovery(icmpNS), flow.ICMPv6Code.Is(0), flow.IPv6Src.Addr(unspecified), flow.NDTarget.Prefix(model.LinkLocals()), flow.NDSLL.Is(0)))
	for _, ll := range []flow.Pred{flow.NDSLL.MAC(s.MAC), flow.NDSLL.Is(0)} {
		claim(b, i, s, prioClaimND, append(discovery(icmpNS), flow.ICMPv6Code.Is(0), from, ll))
	}
	claim(b, i, s, prioClaim, append(discovery(icmpRS), from))
	claim(b, i, s, prioClaim, pipeline.Preds{isIPv6, isUDP, from, flow.UDPSrc.Is(546), flow.UDPDst.Is(547)})
}

// claim sends to the agent what claims an address, and what the interface answers when it is asked for those that it has claimed.
func claim(b *pipeline.Builder, i *model.Interface, s Station, priority uint16, preds pipeline.Preds) {
	self, punt := pipeline.Ingress.Is(i.ID), []flow.Action{pipeline.Class.Set(uint32(pipeline.PuntClaim)), flow.GotoTable{Table: pipeline.Punt.ID}}
	b.Flow(pipeline.GuardAddress, priority, append(preds, self, flow.EthSrc.MAC(s.MAC)), append([]flow.Action{pipeline.Network.Set(s.Domain.Number)}, punt...)...)
	b.Flow(pipeline.Service, prioAllow, append(discovery(icmpNA), flow.ICMPv6Code.Is(0), self, flow.EthDst.MAC(model.ClaimAsker())), punt...)
}

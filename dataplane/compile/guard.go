package compile

import (
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// ICMPv6 types of neighbour and router discovery (RFC 4861) and of multicast listener discovery (RFC 2710, RFC 3810).
const (
	icmpMLDReport   = 131
	icmpMLDDone     = 132
	icmpRS          = 133
	icmpRA          = 134
	icmpNS          = 135
	icmpNA          = 136
	icmpRedirect    = 137
	icmpMLDv2Report = 143
)

// prioGuardND is above what an address may send in general: ND from it must be checked further.
const prioGuardND = prioOwn

var unspecified = netip.IPv6Unspecified()

// unleased lets an interface ask by DHCP with a MAC address that has no IPv4 lease yet: the agent tells the manager, which may make one.
// guarded: another flow lets the MAC address through to table guard_address.
func unleased(b *pipeline.Builder, i *model.Interface, m model.MAC, guarded bool) {
	from := pipeline.Preds{pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(m)}
	if !guarded {
		b.Flow(pipeline.GuardMAC, prioAllow, from, flow.GotoTable{Table: pipeline.GuardAddress.ID})
	}
	b.Flow(pipeline.GuardAddress, prioAllow, append(from, isIPv4, isUDP, flow.IPv4Src.Addr(netip.IPv4Unspecified()), flow.UDPSrc.Is(68), flow.UDPDst.Is(67)),
		pipeline.Class.Set(uint32(pipeline.PuntDHCP4)), flow.GotoTable{Table: pipeline.Punt.ID})
}

// guard lets pass what the interface may send with one MAC address in one network, and says which network it is. firstOfMAC:
// the station is the MAC address's first one, whose network is taken for frames that have no address yet.
func (in *Input) guard(b *pipeline.Builder, i *model.Interface, s Station, firstOfMAC bool) {
	from := func(preds ...flow.Pred) pipeline.Preds {
		return append(pipeline.Preds{pipeline.Ingress.Is(i.ID), flow.EthSrc.MAC(s.MAC)}, preds...)
	}
	pass := func(priority uint16, preds pipeline.Preds) {
		b.Flow(pipeline.GuardAddress, priority, preds, pipeline.Network.Set(s.Network.VNI), flow.GotoTable{Table: pipeline.Service.ID})
	}
	if firstOfMAC {
		b.Flow(pipeline.GuardMAC, prioAllow, from(), flow.GotoTable{Table: pipeline.GuardAddress.ID})
	}
	has4 := false
	for _, a := range s.Addrs {
		if a.Is4() {
			has4 = true
			pass(prioAllow, from(isIPv4, flow.IPv4Src.Addr(a)))
			pass(prioAllow, from(isARP, flow.ARPSHA.MAC(s.MAC), flow.ARPSPA.Addr(a)))
			continue
		}
		pass(prioAllow, from(isIPv6, flow.IPv6Src.Addr(a)))
		// A solicitation names the sender's link-layer address, or none; an advertisement is for an own address; duplicate
		// address detection asks from the unspecified address for an own one (RFC 4861, 4.3 and 4.4; RFC 4862, 5.4.2).
		for _, ll := range []flow.Pred{flow.NDSLL.MAC(s.MAC), flow.NDSLL.Is(0)} {
			pass(prioGuardND, from(isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNS), flow.ICMPv6Code.Is(0), flow.IPv6Src.Addr(a), ll))
		}
		for _, ll := range []flow.Pred{flow.NDTLL.MAC(s.MAC), flow.NDTLL.Is(0)} {
			pass(prioGuardND, from(isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNA), flow.ICMPv6Code.Is(0), flow.NDTarget.Addr(a), ll))
		}
		pass(prioGuardND, from(isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNS), flow.ICMPv6Code.Is(0), flow.IPv6Src.Addr(unspecified), flow.NDTarget.Addr(a), flow.NDSLL.Is(0)))
	}
	if has4 && firstOfMAC {
		any4 := netip.IPv4Unspecified()
		pass(prioAllow, from(isARP, flow.ARPSHA.MAC(s.MAC), flow.ARPSPA.Addr(any4)))
		pass(prioAllow, from(isIPv4, isUDP, flow.IPv4Src.Addr(any4), flow.UDPSrc.Is(68), flow.UDPDst.Is(67)))
	}
}

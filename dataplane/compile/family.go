package compile

import (
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// family is what routing has for IPv4 and for IPv6.
type family struct {
	v6             bool
	all            netip.Prefix // of all addresses
	is             flow.Pred    // that the packet is of it
	src, dst       flow.Field
	nextHop        pipeline.Register // where an address of the family stands in register NextHop
	icmp           flow.Pred
	icmpType, code flow.Field
	request, reply uint64 // types of echo
	subnet         func(*model.Network) netip.Prefix
	gateway        func(*model.Route) netip.Addr
}

var families = [2]family{
	{
		all: netip.PrefixFrom(netip.IPv4Unspecified(), 0), is: isIPv4, src: flow.IPv4Src, dst: flow.IPv4Dst, nextHop: pipeline.NextHop4, icmp: isICMP, icmpType: flow.ICMPType, code: flow.ICMPCode, request: 8,
		subnet: (*model.Network).Prefix4, gateway: func(r *model.Route) netip.Addr { return r.IPv4Gateway },
	},
	{
		v6: true, all: netip.PrefixFrom(netip.IPv6Unspecified(), 0), is: isIPv6, src: flow.IPv6Src, dst: flow.IPv6Dst, nextHop: pipeline.NextHop, icmp: isICMPv6, icmpType: flow.ICMPv6Type, code: flow.ICMPv6Code, request: 128, reply: 129,
		subnet: (*model.Network).Prefix6, gateway: func(r *model.Route) netip.Addr { return r.IPv6Gateway },
	},
}

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return families[0]
	}
	return families[1]
}

// firstOf gives the first address of a subnet that an interface may have: the one after the subnet's own, or, in a subnet of one or two addresses, that.
func firstOf(p netip.Prefix) netip.Addr {
	if p.Bits() >= p.Addr().BitLen()-1 {
		return p.Masked().Addr()
	}
	return p.Masked().Addr().Next()
}

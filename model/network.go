package model

import "net/netip"

// The modes of a network.
const (
	NetworkVirtual  = "virtual"  // carried between hosts by the topology's transport; every address is registered
	NetworkPhysical = "physical" // an existing IP network that hosts are attached to: the underlay
)

// Network is a layer 2 broadcast domain with one IPv4 subnet, one IPv6 subnet, or both.
type Network struct {
	Meta
	DisplayName string     `json:"display_name" vn:"mutable" doc:"Name for people."`
	DomainName  string     `json:"domain_name" vn:"mutable" doc:"DNS domain of the guests; the uuid's suffix when absent."`
	Mode        string     `json:"mode" vn:"default=virtual,enum=virtual|physical" doc:"virtual, or physical for an underlay that exists already."`
	IPv4Network netip.Addr `json:"ipv4_network" vn:"ip=4" doc:"Address of the IPv4 subnet. At least one of ipv4_network and ipv6_network is required."`
	IPv4Prefix  int        `json:"ipv4_prefix" vn:"default=24,min=1,max=32" doc:"Prefix length of the IPv4 subnet."`
	IPv6Network netip.Addr `json:"ipv6_network" vn:"ip=6" doc:"Address of the IPv6 subnet."`
	IPv6Prefix  int        `json:"ipv6_prefix" vn:"default=64,min=1,max=128" doc:"Prefix length of the IPv6 subnet."`
	VNI         uint32     `json:"vni" vn:"readonly,unique=vni" doc:"24-bit virtual network identifier on the wire; allocated for virtual networks, 0 for physical ones."`
}

// Networks declares the resource.
var Networks = declare(spec[Network]{
	name: "network", plural: "networks", prefix: "nw",
	doc:   "A virtual layer 2 network with an IPv4 subnet, an IPv6 subnet or both, or a physical one that hosts are attached to.",
	reach: Reach{Rule: "network"},
	validate: func(n *Network) error {
		if !n.IPv4Network.IsValid() && !n.IPv6Network.IsValid() {
			return Errorf(MissingArgument, "ipv4_network", "is required (or ipv6_network)")
		}
		for _, s := range []struct {
			field string
			p     netip.Prefix
		}{{"ipv4_network", n.Prefix4()}, {"ipv6_network", n.Prefix6()}} {
			if s.p.IsValid() && s.p != s.p.Masked() {
				return Errorf(ArgumentError, s.field, "%s has bits set beyond its prefix; the subnet's address is %s", s.p, s.p.Masked().Addr())
			}
			if a := s.p.Addr(); s.p.IsValid() && (a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast()) {
				return Errorf(ArgumentError, s.field, "%s is not a subnet for guests (multicast, loopback or link-local)", s.p)
			}
		}
		return nil
	},
})

// Prefix4 gives the IPv4 subnet, the zero Prefix where there is none.
func (n *Network) Prefix4() netip.Prefix {
	if !n.IPv4Network.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(n.IPv4Network, n.IPv4Prefix)
}

// Prefix6 gives the IPv6 subnet, the zero Prefix where there is none.
func (n *Network) Prefix6() netip.Prefix {
	if !n.IPv6Network.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(n.IPv6Network, n.IPv6Prefix)
}

// PrefixOf gives the subnet of the address's family.
func (n *Network) PrefixOf(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return n.Prefix4()
	}
	return n.Prefix6()
}

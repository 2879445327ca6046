package model

import (
	"net/netip"
	"strings"
)

// The modes of a network.
const (
	NetworkVirtual  = "virtual"  // carried between hosts by the topology's transport; every address is registered
	NetworkPhysical = "physical" // an existing IP network that hosts are attached to: the underlay
	NetworkInternal = "internal" // of one host each: its guests and its own interface of mode internal
)

// How guests of a network come by their IPv6 addresses, as its router advertisements say.
const (
	AddressingStateful  = "stateful"  // by DHCPv6
	AddressingStateless = "stateless" // they make them of the subnet; what else there is to know by DHCPv6
	AddressingSLAAC     = "slaac"     // they make them of the subnet; what else there is to know the advertisement says
)

// The policies of a network or segment for frames to a MAC address that nobody has.
const (
	UnknownOutside = "outside" // to ports with devices behind them that nobody registered
	UnknownFlood   = "flood"   // to everybody
	UnknownDrop    = "drop"    // to nobody
)

// The policies of a network or segment for multicast.
const (
	MulticastFlood = "flood" // to everybody
	MulticastSnoop = "snoop" // to those that have joined the group (IGMP, MLD), and link-local groups to everybody
	MulticastDrop  = "drop"  // only link-local groups
)

// ReservedVNI is the first of the ReservedVNIs highest identifiers, which are the data plane's own: no network gets one.
const (
	ReservedVNI  = 1<<24 - ReservedVNIs
	ReservedVNIs = 256
)

// AnnouncementGroup gives the group address to which hosts announce the MAC addresses that they send frames without encapsulation from, for the switches between them.
// It is locally administered (IEEE 802, 8.4): no device but hosts takes what is sent to it.
func AnnouncementGroup() MAC { return MAC{0x03, 'v', 'n', 'a', 'n', 0x01} }

// ClaimAsker gives the MAC address from which hosts ask guests for the addresses that they have claimed; no interface has it, it is of no vendor.
func ClaimAsker() MAC { return MAC{2, 'v', 'n', 'c', 'l', 'm'} }

// Network is a layer 2 broadcast domain with one IPv4 subnet, one IPv6 subnet, or both.
type Network struct {
	Meta
	DisplayName    string     `json:"display_name" vn:"mutable" doc:"Name for people."`
	DomainName     string     `json:"domain_name" vn:"domain,mutable" doc:"DNS domain of the guests; the uuid's suffix when absent."`
	Mode           string     `json:"mode" vn:"default=virtual,enum=virtual|physical|internal,alias=network_mode" doc:"virtual; physical for an underlay that exists already; internal for one that joins guests and their own host."`
	SegmentUUID    string     `json:"segment_uuid" vn:"ref=segments,cascade,mutable" doc:"Segment that the network lies on: its subnet is routed, the rest is layer 2."`
	IPv4Network    netip.Addr `json:"ipv4_network" vn:"ip=4,mutable" doc:"Address of the IPv4 subnet. At least one of ipv4_network and ipv6_network is required."`
	IPv4Prefix     int        `json:"ipv4_prefix" vn:"default=24,min=1,max=32,mutable" doc:"Prefix length of the IPv4 subnet."`
	IPv6Network    netip.Addr `json:"ipv6_network" vn:"ip=6,mutable" doc:"Address of the IPv6 subnet."`
	IPv6Prefix     int        `json:"ipv6_prefix" vn:"default=64,min=1,max=128,mutable" doc:"Prefix length of the IPv6 subnet."`
	IPv6Addressing string     `json:"ipv6_addressing" vn:"default=stateful,enum=stateful|stateless|slaac,mutable" doc:"How guests come by IPv6 addresses, as router advertisements say where the network has a router or a dhcp service with an IPv6 address: stateful, by DHCPv6, those leased; stateless, they make addresses of the subnet, which has 64 bits, and ask DHCPv6 for all else; slaac, the same without DHCPv6. Addresses that they make are leased to them when they ask whether they are free. Link-local ones they may choose in any case."`
	MTU            uint16     `json:"mtu" vn:"min=0,max=65535,mutable" doc:"Largest IP packet of the guests, in bytes; 0 for what hosts and encapsulation leave, which is also the upper bound."`
	UnknownUnicast string     `json:"unknown_unicast" vn:"default=outside,enum=outside|flood|drop,mutable" doc:"Where frames go to a MAC address that nobody has: outside, to ports with devices behind them that nobody registered; flood, to everybody; drop. On a segment, the segment's counts."`
	Multicast      string     `json:"multicast" vn:"default=flood,enum=flood|snoop|drop,mutable" doc:"Where multicast goes: flood, to everybody; snoop, to those that have joined; drop. Link-local groups go to everybody. On a segment, the segment's counts."`
	DHCPLeaseTime  uint32     `json:"dhcp_lease_time" vn:"default=86400,min=60,max=4294967295,mutable" doc:"Seconds for which guests may use an address that DHCP or DHCPv6 gave them before they must have asked again, which they do at half of it; 4294967295 for ever. Of a lease in a retention container they are told no longer than the container's lease_time."`
	VNI            uint32     `json:"vni" vn:"readonly,unique=@vni" doc:"24-bit virtual network identifier on the wire; allocated for virtual networks, 0 for others."`
}

// NetworkInputs are the parameters of a network's creation that make other objects.
type NetworkInputs struct {
	TopologyUUID string `json:"topology_uuid" vn:"ref=topologies" doc:"Topology that the network becomes a member of."`
}

// Networks declares the resource.
var Networks = declare(spec[Network]{
	name: "network", plural: "networks", prefix: "nw",
	doc:    "A virtual layer 2 network with an IPv4 subnet, an IPv6 subnet or both, or a physical one that hosts are attached to.",
	inputs: NetworkInputs{},
	reach:  Reach{Rule: "needed"},
	validate: func(n *Network) error {
		if n.makesAddresses() && n.Prefix6().Bits() != 64 {
			return Errorf(ArgumentError, "ipv6_addressing", "%s needs an IPv6 subnet with a prefix of 64 bits, of which guests make addresses", n.IPv6Addressing)
		}
		return validateSubnets(n.Prefix4(), n.Prefix6())
	},
})

// GuestDomain gives the DNS domain of the guests: domain_name, or else the uuid's suffix.
func (n *Network) GuestDomain() string {
	if n.DomainName != "" {
		return n.DomainName
	}
	_, suffix, _ := strings.Cut(n.UUID, "-")
	return suffix
}

// Prefix4 gives the IPv4 subnet, the zero Prefix where there is none.
func (n *Network) Prefix4() netip.Prefix {
	return prefixFrom(n.IPv4Network, n.IPv4Prefix)
}

// Prefix6 gives the IPv6 subnet, the zero Prefix where there is none.
func (n *Network) Prefix6() netip.Prefix {
	return prefixFrom(n.IPv6Network, n.IPv6Prefix)
}

// Autonomous gives the IPv6 subnet of which guests may make addresses, the zero Prefix where they may not.
func (n *Network) Autonomous() netip.Prefix {
	if n.makesAddresses() {
		return n.Prefix6()
	}
	return netip.Prefix{}
}

// ChoosesLinkLocal reports whether guests that have an IPv6 address in the network may choose a link-local one: not on a segment, where addresses are free, and not in a physical network, as nobody
// knows the devices there.
func (n *Network) ChoosesLinkLocal() bool {
	return n.Prefix6().IsValid() && n.SegmentUUID == "" && n.Mode != NetworkPhysical
}

func (n *Network) makesAddresses() bool {
	return n.IPv6Addressing == AddressingStateless || n.IPv6Addressing == AddressingSLAAC
}

// PrefixOf gives the subnet of the address's family.
func (n *Network) PrefixOf(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return n.Prefix4()
	}
	return n.Prefix6()
}

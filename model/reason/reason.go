// Package reason declares why a packet is dropped, once for all that drop or count: the flow pipeline, the fast path, the services, and
// the oracle that judges them. Numbers stand in cookies and counters: they are constants and never used again for something else.
package reason

import "fmt"

// Reason says why a packet is dropped.
type Reason uint8

// The reasons.
const (
	None            Reason = 0
	Port            Reason = 1
	TunnelPeer      Reason = 2
	TunnelKey       Reason = 3
	MACSource       Reason = 4
	IPv4Source      Reason = 5
	IPv6Source      Reason = 6
	ARPSender       Reason = 7
	NDSender        Reason = 8
	EtherType       Reason = 9
	ARPOwn          Reason = 10
	ARPUnknown      Reason = 11
	ARPReply        Reason = 12
	NDOwn           Reason = 13
	NDUnknown       Reason = 14
	NDUnasked       Reason = 15
	NDRouter        Reason = 16
	MLD             Reason = 17
	DHCPNone        Reason = 18
	DHCPRogue       Reason = 19
	Destination     Reason = 20
	Transport       Reason = 21
	Flood           Reason = 22
	NoPort          Reason = 23
	Tagged          Reason = 24
	Punt            Reason = 25
	WireSource      Reason = 26
	VLAN            Reason = 27
	Filter          Reason = 28
	SecurityGroup   Reason = 29
	Rule            Reason = 30
	Reject          Reason = 31
	Multicast       Reason = 32
	Hops            Reason = 33
	TTL             Reason = 34
	NoIngressRoute  Reason = 35
	NoRoute         Reason = 36
	Blackhole       Reason = 37
	Gateway         Reason = 38
	NoNeighbor      Reason = 39
	Translation     Reason = 40
	Rate            Reason = 41
	Announcement    Reason = 42
	TooBig          Reason = 43
	Metadata        Reason = 44
	numberOfReasons Reason = 45
)

var reasons = [numberOfReasons]struct{ name, doc string }{
	None:           {"none", "not dropped"},
	Port:           {"port", "the port belongs to no interface"},
	TunnelPeer:     {"tunnel_peer", "a packet between hosts from an address that is no host's"},
	TunnelKey:      {"tunnel_key", "a packet between hosts of a network that is not on this host"},
	MACSource:      {"mac_source", "the source MAC address is not the interface's"},
	IPv4Source:     {"ipv4_source", "the source IPv4 address is not the interface's"},
	IPv6Source:     {"ipv6_source", "the source IPv6 address is not the interface's"},
	ARPSender:      {"arp_sender", "the ARP sender's MAC or IPv4 address is not the interface's"},
	NDSender:       {"nd_sender", "the ND source, target or link-layer address is not the interface's"},
	EtherType:      {"ethertype", "neither IPv4, IPv6 nor ARP"},
	ARPOwn:         {"arp_own", "ARP for the interface's own address: a probe or announcement, which nobody answers"},
	ARPUnknown:     {"arp_unknown", "ARP for an address that nobody in the network has"},
	ARPReply:       {"arp_reply", "an ARP reply that nobody asked for"},
	NDOwn:          {"nd_own", "ND for the interface's own address: duplicate address detection, which nobody answers"},
	NDUnknown:      {"nd_unknown", "ND for an address that nobody in the network has"},
	NDUnasked:      {"nd_unasked", "a neighbour advertisement that nobody asked for"},
	NDRouter:       {"nd_router", "a router solicitation without a router, or a router advertisement or redirect of a guest"},
	MLD:            {"mld", "multicast listener reports, which are not needed"},
	DHCPNone:       {"dhcp_none", "a DHCP request in a network without a DHCP service"},
	DHCPRogue:      {"dhcp_rogue", "a DHCP answer of a guest"},
	Destination:    {"destination", "the destination MAC address is nobody's in the network"},
	Transport:      {"transport", "the destination's host cannot be reached"},
	Flood:          {"flood", "broadcast or multicast in a network that is not on this host"},
	NoPort:         {"no_port", "the destination's interface has no port on this host now"},
	Tagged:         {"tagged", "a frame with a VLAN tag from a port that is not a trunk"},
	Punt:           {"punt", "for a service, from a port that is gone"},
	WireSource:     {"wire_source", "a frame from outside with the source MAC address of an interface inside"},
	VLAN:           {"vlan", "a frame from outside without a VLAN tag that is translated"},
	Filter:         {"filter", "the interface's filter does not pass it"},
	SecurityGroup:  {"security_group", "no rule of the interface's security groups allows it"},
	Rule:           {"rule", "a rule of the interface's security groups drops it"},
	Reject:         {"reject", "a rule of the interface's security groups rejects it"},
	Multicast:      {"multicast", "multicast in a network that carries none"},
	Hops:           {"hops", "too many virtual routers on one host: a routing loop"},
	TTL:            {"ttl", "the TTL or hop limit is used up"},
	NoIngressRoute: {"no_ingress_route", "no route lets the source enter a router"},
	NoRoute:        {"no_route", "the router has no route to the destination"},
	Blackhole:      {"blackhole", "the route to the destination is a black hole"},
	Gateway:        {"gateway", "for a router itself, which does not serve it"},
	NoNeighbor:     {"no_neighbor", "nobody has the address of the next hop"},
	Translation:    {"translation", "no translation of the interface is for it"},
	Rate:           {"rate", "more than the interface's rate"},
	TooBig:         {"too_big", "larger than the MTU of the network that it is routed into; what may be cut is, and goes on"},
	Announcement:   {"announcement", "another host says which MAC addresses it sends from: for the switches between the hosts"},
	Metadata:       {"metadata", "for the address at which guests are told their metadata, where there is nothing but HTTP"},
}

// String gives the reason's name, as counters show it.
func (r Reason) String() string {
	if r < numberOfReasons {
		return reasons[r].name
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// Doc says in words why the packet was dropped.
func (r Reason) Doc() string {
	if r < numberOfReasons {
		return reasons[r].doc
	}
	return "a reason of another version"
}

// Told says what the sender of a packet that is dropped for the reason is told, "" if nothing. What must not be answered is not (RFC 1122, section 3.2.2; RFC 4443, section 2.4).
func (r Reason) Told() string {
	switch r {
	case Reject:
		return "TCP reset, or administratively prohibited"
	case TTL:
		return "time exceeded"
	case NoRoute:
		return "network unreachable; of IPv6 no route"
	case NoIngressRoute:
		return "network unreachable; of IPv6 source address failed policy"
	case NoNeighbor:
		return "host unreachable; of IPv6 address unreachable"
	case Gateway:
		return "TCP reset, port unreachable, or protocol unreachable; of IPv6 unrecognized next header"
	case Destination:
		return "as of gateway, if it was for an address of a simulated interface that is here"
	case TooBig:
		return "fragmentation needed; of IPv6 packet too big"
	}
	return ""
}

// All gives all reasons but None.
func All() []Reason {
	var rs []Reason
	for r := Reason(1); r < numberOfReasons; r++ {
		rs = append(rs, r)
	}
	return rs
}

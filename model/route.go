package model

import "net/netip"

// The modes of a route.
const (
	RouteGateway   = "gateway"   // through an interface
	RouteBlackhole = "blackhole" // nowhere
)

// Route joins a subnet of a network to a route link, through an interface that may route.
type Route struct {
	Meta
	Mode          string     `json:"mode" vn:"default=gateway,enum=gateway|blackhole,mutable" doc:"gateway: through the interface. blackhole: packets to the subnet are dropped; interface_uuid and network_uuid are not needed."`
	InterfaceUUID string     `json:"interface_uuid" vn:"ref=interfaces,cascade,mutable" doc:"The interface through which packets pass between the network and the route link."`
	NetworkUUID   string     `json:"network_uuid" vn:"ref=networks,cascade,mutable" doc:"The network of the interface."`
	RouteLinkUUID string     `json:"route_link_uuid" vn:"required,ref=route_links,cascade,mutable" doc:"The route link."`
	IPv4Network   netip.Addr `json:"ipv4_network" vn:"ip=4,mutable" doc:"Address of the IPv4 subnet; 0.0.0.0 with prefix 0 for everything. At least one of ipv4_network and ipv6_network is required."`
	IPv4Prefix    int        `json:"ipv4_prefix" vn:"default=24,min=0,max=32,mutable" doc:"Prefix length of the IPv4 subnet."`
	IPv6Network   netip.Addr `json:"ipv6_network" vn:"ip=6,mutable" doc:"Address of the IPv6 subnet; :: with prefix 0 for everything."`
	IPv6Prefix    int        `json:"ipv6_prefix" vn:"default=64,min=0,max=128,mutable" doc:"Prefix length of the IPv6 subnet."`
	IPv4Gateway   netip.Addr `json:"ipv4_gateway" vn:"ip=4,mutable" doc:"Next hop in the network for what is in no subnet of it; the first address of the network's subnet when absent."`
	IPv6Gateway   netip.Addr `json:"ipv6_gateway" vn:"ip=6,mutable" doc:"The same for IPv6."`
	Ingress       bool       `json:"ingress" vn:"default=true,mutable" doc:"Whether packets from the subnet may enter the route link."`
	Egress        bool       `json:"egress" vn:"default=true,mutable" doc:"Whether packets to the subnet may leave the route link."`
}

// Routes declares the resource.
var Routes = declare(spec[Route]{
	name: "route", plural: "routes", prefix: "r",
	doc:      "A subnet that is reached from a route link through an interface, and whose packets enter it there.",
	reach:    Reach{Rule: "route", With: []string{"route_link_uuid"}},
	validate: (*Route).validate,
	check:    (*Route).check,
})

func (r *Route) validate() error {
	switch {
	case r.Mode == RouteBlackhole && r.IPv4Gateway.IsValid():
		return Errorf(ArgumentError, "ipv4_gateway", "is of routes of mode %s", RouteGateway)
	case r.Mode == RouteBlackhole && r.IPv6Gateway.IsValid():
		return Errorf(ArgumentError, "ipv6_gateway", "is of routes of mode %s", RouteGateway)
	case r.Mode == RouteBlackhole:
	case r.InterfaceUUID == "":
		return Errorf(MissingArgument, "interface_uuid", "is required")
	case r.NetworkUUID == "":
		return Errorf(MissingArgument, "network_uuid", "is required")
	}
	return validateSubnets(r.Prefix4(), r.Prefix6())
}

// check lets routes through guests and hosts pass, which OpenVNet's documents may have; hosts report that such a one leads nowhere.
func (r *Route) check(rd Reader) error {
	if r.Mode == RouteBlackhole {
		return nil
	}
	o, _ := rd.Get(r.InterfaceUUID)
	switch i := o.(*Interface); i.Mode {
	case InterfaceSimulated, InterfaceVIF, InterfaceHost:
	default:
		return Errorf(ArgumentError, "interface_uuid", "%s has mode %s; routes lead through interfaces of mode %s", i.UUID, i.Mode, InterfaceSimulated)
	}
	o, _ = rd.Get(r.NetworkUUID)
	n := o.(*Network)
	for i, a := range []netip.Addr{r.IPv4Gateway, r.IPv6Gateway} {
		if p := n.PrefixOf(a); a.IsValid() && !p.Contains(a) {
			field := [...]string{"ipv4_gateway", "ipv6_gateway"}[i]
			if !p.IsValid() {
				return Errorf(ArgumentError, field, "%s has no subnet of the family of %s", n.UUID, a)
			}
			return Errorf(ArgumentError, field, "%s is outside %s, the subnet of %s", a, p, n.UUID)
		}
	}
	return nil
}

// Prefix4 gives the IPv4 subnet, the zero Prefix where there is none.
func (r *Route) Prefix4() netip.Prefix { return prefixFrom(r.IPv4Network, r.IPv4Prefix) }

// Prefix6 gives the IPv6 subnet, the zero Prefix where there is none.
func (r *Route) Prefix6() netip.Prefix { return prefixFrom(r.IPv6Network, r.IPv6Prefix) }

// prefixFrom gives a prefix, the zero Prefix of an address that is not set.
func prefixFrom(a netip.Addr, bits int) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits)
}

// validateSubnets looks at an object's fields ipv4_network and ipv6_network, of which it needs one.
func validateSubnets(p4, p6 netip.Prefix) error {
	if !p4.IsValid() && !p6.IsValid() {
		return Errorf(MissingArgument, "ipv4_network", "is required (or ipv6_network)")
	}
	for i, p := range []netip.Prefix{p4, p6} {
		field := [...]string{"ipv4", "ipv6"}[i]
		switch {
		case !p.IsValid():
		case p != p.Masked():
			return Errorf(ArgumentError, field+"_network", "%s has bits set beyond its prefix; the subnet's address is %s", p, p.Masked().Addr())
		case p.Addr().IsUnspecified() && p.Bits() != 0:
			return Errorf(ArgumentError, field+"_prefix", "must be 0 with %s, which means everything", p.Addr())
		case p.Addr().IsMulticast() || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast():
			return Errorf(ArgumentError, field+"_network", "%s is not a subnet for guests (multicast, loopback or link-local)", p)
		}
	}
	return nil
}

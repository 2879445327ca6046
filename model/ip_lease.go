package model

import (
	"net/netip"
)

// IPLease gives an interface an address of a network, IPv4 or IPv6.
type IPLease struct {
	Meta
	NetworkUUID   string     `json:"network_uuid" vn:"required,ref=networks,cascade,unique=ipv4,unique=ipv6,mutable" doc:"The network of the address."`
	IPv4Address   netip.Addr `json:"ipv4_address" vn:"ip=4,unique=ipv4,mutable" doc:"IPv4 address within the network's subnet. Exactly one of ipv4_address and ipv6_address is given."`
	IPv6Address   netip.Addr `json:"ipv6_address" vn:"ip=6,unique=ipv6,mutable" doc:"IPv6 address within the network's subnet."`
	MACLeaseUUID  string     `json:"mac_lease_uuid" vn:"ref=mac_leases,cascade,mutable" doc:"The MAC address that the IP address is used with; the interface's first one when only interface_uuid is given."`
	InterfaceUUID string     `json:"interface_uuid" vn:"ref=interfaces,cascade,mutable" doc:"The interface; that of the MAC lease when absent. A lease may be without either: its address is taken, and nobody has it."`
	EnableRouting bool       `json:"enable_routing" vn:"mutable" doc:"Whether packets to this address may be routed on."`
	Origin        string     `json:"origin" vn:"readonly" doc:"slaac: the guest has made the address itself, and the lease goes when the network's ipv6_addressing does not let it any more. Empty for any other."`
}

// OriginSLAAC is the origin of a lease of an address that a guest has made itself.
const OriginSLAAC = "slaac"

// MaxClaims is how many addresses a guest may have made itself for each MAC address.
const MaxClaims = 16

// IPLeases declares the resource.
var IPLeases = declare(spec[IPLease]{
	name: "ip_lease", plural: "ip_leases", prefix: "il",
	doc:   "An IPv4 or IPv6 address of a network that an interface may use.",
	reach: Reach{Rule: "lease"},
	validate: func(l *IPLease) error {
		switch {
		case !l.IPv4Address.IsValid() && !l.IPv6Address.IsValid():
			return Errorf(MissingArgument, "ipv4_address", "is required (or ipv6_address)")
		case l.IPv4Address.IsValid() && l.IPv6Address.IsValid():
			return Errorf(ArgumentError, "ipv6_address", "cannot be given together with ipv4_address: a lease is of one address")
		}
		return nil
	},
	check: func(l *IPLease, rd Reader) error {
		o, _ := rd.Get(l.NetworkUUID)
		n := o.(*Network)
		field := "ipv4_address"
		if l.Addr().Is6() {
			field = "ipv6_address"
		}
		if err := checkInSubnet(field, l.Addr(), n); err != nil {
			return err
		}
		if l.MACLeaseUUID == "" {
			return nil
		}
		o, _ = rd.Get(l.MACLeaseUUID)
		switch ml := o.(*MACLease); {
		case ml.InterfaceUUID != l.InterfaceUUID:
			return Errorf(ArgumentError, "mac_lease_uuid", "%s belongs to %q, not to interface %q", ml.UUID, ml.InterfaceUUID, l.InterfaceUUID)
		case n.SegmentUUID != "" && ml.SegmentUUID != n.SegmentUUID:
			return Errorf(InvalidID, "mac_lease_uuid", "%s is not on segment %s, on which network %s lies; give it that segment_uuid", ml.UUID, n.SegmentUUID, n.UUID)
		}
		return nil
	},
})

// Addr gives the address, of whichever family.
func (l *IPLease) Addr() netip.Addr {
	if l.IPv4Address.IsValid() {
		return l.IPv4Address
	}
	return l.IPv6Address
}

func checkInSubnet(field string, a netip.Addr, n *Network) error {
	p := n.PrefixOf(a)
	switch {
	case a == netip.IPv4Unspecified() && p.IsValid():
		return nil // of an edge interface, which has no address
	case !p.IsValid():
		return Errorf(ArgumentError, field, "network %s has no subnet of the family of %s", n.UUID, a)
	case !p.Contains(a):
		return Errorf(ArgumentError, field, "%s is outside %s, the subnet of %s", a, p, n.UUID)
	case a.Is4() && p.Bits() < 31 && a == p.Addr():
		return Errorf(ArgumentError, field, "%s is the address of the subnet %s itself", a, p)
	case a.Is4() && p.Bits() < 31 && a == broadcast(p):
		return Errorf(ArgumentError, field, "%s is the broadcast address of %s", a, p)
	}
	return nil
}

// broadcast gives the last address of an IPv4 prefix.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

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
	Origin        string     `json:"origin" vn:"readonly" doc:"slaac: the guest has made the address itself. The lease goes when the network's ipv6_addressing does not let it any more; that of a link-local address with the last other IPv6 address that the MAC address has in the network. Empty for any other."`
}

// OriginSLAAC is the origin of a lease of an address that a guest has made itself.
const OriginSLAAC = "slaac"

// MaxClaims is how many addresses a guest may have made itself for each MAC address. A link-local one counts once, in however many networks it is leased.
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
		if l.LinkLocal() {
			if err := checkLinkLocal(l, n); err != nil {
				return err
			}
		} else if err := checkInSubnet(field, l.Addr(), n); err != nil {
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

// LinkLocal reports whether the lease is of a link-local address, which a guest has chosen itself. One that is made from a MAC address needs no lease.
func (l *IPLease) LinkLocal() bool { return l.IPv6Address.Is6() && l.IPv6Address.IsLinkLocalUnicast() }

// LinkLocals gives the prefix of the addresses that are link-local (RFC 4291, section 2.5.6).
func LinkLocals() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80}), 64)
}

// OfMAC gives the MAC address that an IPv6 address is made from, by its form (RFC 4291, appendix A); the bool is false if that is another.
func OfMAC(a netip.Addr) (MAC, bool) {
	b := a.As16()
	return MAC{b[8] ^ 2, b[9], b[10], b[13], b[14], b[15]}, a.Is6() && b[11] == 0xff && b[12] == 0xfe
}

// CheckChosen refuses a link-local address that no guest may choose.
func CheckChosen(a netip.Addr) error {
	_, ofMAC := OfMAC(a)
	switch {
	case !LinkLocals().Contains(a):
		return Errorf(ArgumentError, "ipv6_address", "%s is outside %s, of which link-local addresses are", a, LinkLocals())
	case a == LinkLocals().Addr():
		return Errorf(ArgumentError, "ipv6_address", "%s is the address of the subnet %s itself", a, LinkLocals())
	case ofMAC:
		return Errorf(ArgumentError, "ipv6_address", "%s has the form of an address that is made from a MAC address: who has that has it, without a lease", a)
	}
	return nil
}

func checkLinkLocal(l *IPLease, n *Network) error {
	switch {
	case l.Origin != OriginSLAAC:
		return Errorf(ArgumentError, "ipv6_address", "%s is link-local: guests choose such addresses, and get them leased when they ask whether they are free", l.IPv6Address)
	case !n.ChoosesLinkLocal():
		return Errorf(ArgumentError, "ipv6_address", "guests of network %s choose no link-local addresses: it lies on a segment, is physical, or has no IPv6 subnet", n.UUID)
	}
	return CheckChosen(l.IPv6Address)
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

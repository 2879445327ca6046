package compile

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Station is one MAC address of an interface in one domain that this host has to do with, with the addresses used with it there.
type Station struct {
	MAC    model.MAC
	Domain Domain
	Addrs  []Address // leased, by id; then, if one of them is IPv6, the link-local ones: those that the guest has chosen, and the one made from the MAC address
}

// Address is an address of a station.
type Address struct {
	netip.Addr
	Network *model.Network // nil of a link-local address
	Routed  bool           // packets to it may be routed on: its lease has enable_routing
	Lease   uint32         // id of the lease; 0 of the link-local address made from the MAC address
}

// linkLocal is a link-local address that a guest has chosen for a domain.
type linkLocal struct {
	at Domain
	Address
}

// Stations gives the interface's MAC addresses with their addresses, by domain.
func (in *Input) Stations(uuid string) []Station {
	g := in.X.Graph()
	i, ok := graph.Lookup[*model.Interface](g, uuid)
	if !ok {
		return nil
	}
	stands := in.stationIn(i)
	leases := graph.Children[*model.IPLease](g, uuid, "ip_leases.interface_uuid")
	var out []Station
	for n, ml := range graph.Children[*model.MACLease](g, uuid, "mac_leases.interface_uuid") {
		first := len(out)
		var chosen []linkLocal
		at := func(d Domain) *Station {
			for k := first; k < len(out); k++ {
				if out[k].Domain == d {
					return &out[k]
				}
			}
			out = append(out, Station{MAC: ml.MACAddress, Domain: d})
			return &out[len(out)-1]
		}
		for _, l := range leases {
			if l.MACLeaseUUID != ml.UUID && (l.MACLeaseUUID != "" || n > 0) {
				continue
			}
			d, ok := in.domain(l.NetworkUUID)
			if !ok || !stands(d) || l.Addr().IsUnspecified() { // 0.0.0.0 says that it has none
				continue
			}
			if l.LinkLocal() {
				chosen = append(chosen, linkLocal{d, Address{Addr: l.Addr(), Lease: l.ID}})
				continue
			}
			nw, _ := graph.Lookup[*model.Network](g, l.NetworkUUID)
			s := at(d)
			s.Addrs = append(s.Addrs, Address{l.Addr(), nw, l.EnableRouting, l.ID})
		}
		if ml.SegmentUUID != "" {
			if d, ok := in.domain(ml.SegmentUUID); ok && stands(d) {
				at(d)
			}
		}
		for k := first; k < len(out); k++ {
			if out[k].lease6() == 0 {
				continue
			}
			for _, c := range chosen {
				if c.at == out[k].Domain {
					out[k].Addrs = append(out[k].Addrs, c.Address)
				}
			}
			out[k].Addrs = append(out[k].Addrs, Address{Addr: ml.MACAddress.LinkLocal()})
		}
	}
	return out
}

// stationIn gives what says of a domain whether the interface may be a station of it: the host's own in physical or in internal networks only; a simulated one in a
// physical one only if it is pinned to a host, and in an internal one where it is at this host; devices behind a port that are registered where that is attached.
func (in *Input) stationIn(i *model.Interface) func(Domain) bool {
	switch i.Mode {
	case model.InterfaceHost: // those of other hosts are behind the wire, as any device
		here := in.X.Location(i.UUID) == in.Self
		return func(d Domain) bool { return here && d.physical() }
	case model.InterfaceInternal:
		here := in.X.At(i.UUID, in.Self)
		return func(d Domain) bool { return here && d.internal() }
	case model.InterfaceSimulated:
		pinned, here := in.X.Location(i.UUID) != "", in.X.At(i.UUID, in.Self)
		return func(d Domain) bool {
			switch {
			case d.physical():
				return pinned
			case d.internal():
				return here && d.Present
			}
			return true
		}
	case model.InterfacePromiscuous, model.InterfacePatch, model.InterfaceEdge:
		joins := in.attachedTo(i)
		return func(d Domain) bool {
			return slices.ContainsFunc(joins, func(j joined) bool { return j.UUID == d.UUID })
		}
	}
	here := in.X.Location(i.UUID) == in.Self
	return func(d Domain) bool { return here || !d.internal() }
}

// IPv4 gives the first IPv4 address and its network, the zero Address if there is none.
func (s *Station) IPv4() Address {
	for _, a := range s.Addrs {
		if a.Is4() {
			return a
		}
	}
	return Address{}
}

// first gives the station with the oldest lease of an address of the family, nil if there is none.
func first(stations []Station, family func(netip.Addr) bool) *Station {
	var oldest *Station
	var lease uint32
	for k := range stations {
		for _, a := range stations[k].Addrs {
			if a.Network != nil && family(a.Addr) && (oldest == nil || a.Lease < lease) {
				oldest, lease = &stations[k], a.Lease
			}
		}
	}
	return oldest
}

// senders gives the stations with the addresses that say of what is sent that it is in their domain: of an address that a MAC address has in several, that is the first lease's.
func senders(stations []Station) []Station {
	type sender struct {
		model.MAC
		netip.Addr
	}
	order := func(s *Station, a Address) uint32 {
		if a.Network == nil {
			return s.lease6()
		}
		return a.Lease
	}
	first := map[sender]uint32{}
	for k := range stations {
		s := &stations[k]
		for _, a := range s.Addrs {
			if was, ok := first[sender{s.MAC, a.Addr}]; !ok || order(s, a) < was {
				first[sender{s.MAC, a.Addr}] = order(s, a)
			}
		}
	}
	out := slices.Clone(stations)
	for k := range out {
		s := &stations[k]
		out[k].Addrs = slices.DeleteFunc(slices.Clone(s.Addrs), func(a Address) bool { return order(s, a) != first[sender{s.MAC, a.Addr}] })
	}
	return out
}

// lease6 gives the id of the first lease of an IPv6 address, 0 if there is none.
func (s *Station) lease6() uint32 {
	for _, a := range s.Addrs {
		if a.Is6() && a.Network != nil {
			return a.Lease
		}
	}
	return 0
}

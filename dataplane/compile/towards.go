package compile

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// What the agent asks of routing, to tell senders what has become of their packets.

// AddressTowards gives who answers for the router to an address, in the route link of that VNI: the leg through which the address is reached, by its first address in the network there,
// or else its first of the family; if this host does not know one, another leg of the link. The bool is false if no route leads to the address, or nobody has an address of its family.
func (in *Input) AddressTowards(vni uint32, to netip.Addr) (netip.Addr, bool) {
	g := in.X.Graph()
	link, _ := g.ByUnique(model.RouteLinks, "vni", fmt.Sprint(vni))
	var best *model.Route
	bits := -1
	var all []*model.Route
	for _, r := range graph.Children[*model.Route](g, link, "routes.route_link_uuid") {
		w, ok := in.way(r)
		if !ok || w.blackhole {
			continue
		}
		all = append(all, r)
		for _, p := range prefixes(r) {
			if r.Egress && p.Contains(to) && p.Bits() > bits {
				best, bits = r, p.Bits()
			}
		}
	}
	if best == nil {
		return netip.Addr{}, false
	}
	for _, r := range append([]*model.Route{best}, all...) {
		if a, ok := in.AddressIn(r.InterfaceUUID, r.NetworkUUID, to.Is6()); ok {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// AddressIn gives the first address of the family that an interface has in a network, or else its first of the family anywhere.
func (in *Input) AddressIn(iface, network string, v6 bool) (netip.Addr, bool) {
	var other netip.Addr
	for _, l := range graph.Children[*model.IPLease](in.X.Graph(), iface, "ip_leases.interface_uuid") {
		a := l.Addr()
		if !a.IsValid() || a.IsUnspecified() || a.Is6() != v6 {
			continue
		}
		if l.NetworkUUID == network {
			return a, true
		}
		if !other.IsValid() {
			other = a
		}
	}
	return other, other.IsValid()
}

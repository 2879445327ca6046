// Package guide is what guests of a network are told of it: its routers, the routes that lead out of it, its name servers, its domain, and the options that
// DHCP services have been given. All of it follows from a graph of objects, by a pure function for both families: DHCP, DHCPv6 and router advertisements say the same. It
// knows no message and no flow. Imported by the agent's services.
package guide

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Family is a family of addresses.
type Family int

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) has(a netip.Addr) bool { return a.IsValid() && a.Is4() == (f == IPv4) }

func (f Family) route(r *model.Route) netip.Prefix {
	if f == IPv4 {
		return r.Prefix4()
	}
	return r.Prefix6()
}

func (f Family) subnet(n *model.Network) netip.Prefix {
	if f == IPv4 {
		return n.Prefix4()
	}
	return n.Prefix6()
}

// Bounds of what is told: what is beyond them is left out, the routes of the longest prefixes first.
const (
	MaxRoutes  = 256
	maxRouters = 8
	maxDNS     = 16
)

// Guide is what guests of a network are told of one family.
type Guide struct {
	Routers []Router     // that lead everywhere, by id of the interface
	Routes  []Route      // into other networks, shorter prefixes first, each destination once; no default route
	DNS     []netip.Addr // of the services of mode dns, by id of the service
	Domain  string       // "" if the network has none
	// Metadata is the address in the network of a service of mode metadata, by which guests that cannot have a route on the link reach the addresses of metadata; the zero
	// Addr if there is none.
	Metadata netip.Addr
}

// Router is a leg in the network.
type Router struct {
	Interface string // its uuid
	Addr      netip.Addr
}

// Route is a destination and where packets to it go.
type Route struct {
	Destination netip.Prefix
	Via         Router // without address if the destination is on the link
}

// Metadata is the address at which guests ask for what is known of them.
var Metadata = model.MetadataIPv4()

// Of gives the guide of a network.
func Of(g *graph.Graph, n *model.Network, f Family) Guide {
	out := Guide{Domain: n.GuestDomain()}
	for i := range serving(g, model.ServiceDNS) {
		if a := address(g, i, n, f); a.IsValid() && !slices.Contains(out.DNS, a) && len(out.DNS) < maxDNS {
			out.DNS = append(out.DNS, a)
		}
	}
	known := map[netip.Prefix]bool{}
	add := func(r Route) {
		if !known[r.Destination] {
			known[r.Destination] = true
			out.Routes = append(out.Routes, r)
		}
	}
	for i := range serving(g, model.ServiceMetadata) {
		if a := address(g, i, n, f); !out.Metadata.IsValid() {
			out.Metadata = a
		}
		if f == IPv4 && (address(g, i, n, IPv4).IsValid() || address(g, i, n, IPv6).IsValid()) {
			add(Route{Destination: netip.PrefixFrom(Metadata, 32)})
		}
	}
	for _, l := range legs(g, n, f) {
		for _, p := range beyond(g, l.link, n, f) {
			switch {
			case p.Bits() > 0:
				add(Route{p, l.Router})
			case !slices.Contains(out.Routers, l.Router) && len(out.Routers) < maxRouters:
				out.Routers = append(out.Routers, l.Router)
			}
		}
	}
	slices.SortStableFunc(out.Routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Destination.Bits(), b.Destination.Bits()), a.Destination.Addr().Compare(b.Destination.Addr()))
	})
	if len(out.Routes) > MaxRoutes { // what is on the link stays: no router knows the way
		onLink := slices.DeleteFunc(slices.Clone(out.Routes), func(r Route) bool { return r.Via.Addr.IsValid() })
		others := slices.DeleteFunc(out.Routes, func(r Route) bool { return !r.Via.Addr.IsValid() })
		out.Routes = append(others[:MaxRoutes-len(onLink)], onLink...)
	}
	return out
}

// leg is a router of a network with a route link that packets of the network enter there.
type leg struct {
	Router
	id   uint32 // of the interface
	link string
}

// legs gives the legs that take packets of the whole network, by id.
func legs(g *graph.Graph, n *model.Network, f Family) []leg {
	subnet := f.subnet(n)
	if !subnet.IsValid() {
		return nil
	}
	entries := map[string]*model.Route{} // by interface: of several the longest prefix decides, then the lowest id
	for _, r := range graph.Children[*model.Route](g, n.UUID, "routes.network_uuid") {
		p := f.route(r)
		if r.Mode == model.RouteBlackhole || !r.Ingress || !p.IsValid() || p.Bits() > subnet.Bits() || !p.Contains(subnet.Addr()) {
			continue
		}
		if best := entries[r.InterfaceUUID]; best == nil || f.route(best).Bits() < p.Bits() {
			entries[r.InterfaceUUID] = r
		}
	}
	var out []leg
	for uuid, r := range entries {
		i, ok := graph.Lookup[*model.Interface](g, uuid)
		if !ok || i.Mode != model.InterfaceSimulated || !i.EnableRouting {
			continue
		}
		if a := address(g, i, n, f); a.IsValid() {
			out = append(out, leg{Router{uuid, a}, i.ID, r.RouteLinkUUID})
		}
	}
	slices.SortFunc(out, func(a, b leg) int { return cmp.Compare(a.id, b.id) })
	return out
}

// beyond gives the prefixes that a route link leads to in other networks than n. A black hole takes away its own.
func beyond(g *graph.Graph, link string, n *model.Network, f Family) []netip.Prefix {
	var out []netip.Prefix
	holes := map[netip.Prefix]bool{}
	own := f.subnet(n)
	for _, r := range graph.Children[*model.Route](g, link, "routes.route_link_uuid") {
		p := f.route(r)
		if !r.Egress || !p.IsValid() {
			continue
		}
		if r.Mode == model.RouteBlackhole {
			holes[p] = true
		} else if r.NetworkUUID != n.UUID && !(own.Contains(p.Addr()) && p.Bits() >= own.Bits()) {
			out = append(out, p)
		}
	}
	return slices.DeleteFunc(out, func(p netip.Prefix) bool { return holes[p] })
}

// serving gives the simulated interfaces with a service of that mode, by id of the service.
func serving(g *graph.Graph, mode string) iter.Seq[*model.Interface] {
	return func(yield func(*model.Interface) bool) {
		for _, o := range g.List(model.NetworkServices) {
			s := o.(*model.NetworkService)
			if s.Mode != mode {
				continue
			}
			if i, ok := graph.Lookup[*model.Interface](g, s.InterfaceUUID); ok && i.Mode == model.InterfaceSimulated && !yield(i) {
				return
			}
		}
	}
}

// address gives the first address of a simulated interface in a network, the zero Addr if it has none that anybody answers for: in a physical network an
// interface without a host of its own does nothing.
func address(g *graph.Graph, i *model.Interface, n *model.Network, f Family) netip.Addr {
	if physical(g, n) && !pinned(g, i) {
		return netip.Addr{}
	}
	for _, l := range graph.Children[*model.IPLease](g, i.UUID, "ip_leases.interface_uuid") {
		if a := l.Addr(); l.NetworkUUID == n.UUID && f.has(a) && !a.IsUnspecified() {
			return a
		}
	}
	return netip.Addr{}
}

func physical(g *graph.Graph, n *model.Network) bool {
	if s, ok := graph.Lookup[*model.Segment](g, n.SegmentUUID); ok {
		return s.Mode == model.SegmentPhysical
	}
	return n.Mode == model.NetworkPhysical
}

func pinned(g *graph.Graph, i *model.Interface) bool {
	for _, p := range graph.Children[*model.InterfacePort](g, i.UUID, "interface_ports.interface_uuid") {
		if p.DatapathUUID != "" {
			return true
		}
	}
	return false
}

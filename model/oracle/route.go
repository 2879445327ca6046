package oracle

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
)

// maxRouters is how many routers a packet passes on one host.
const maxRouters = 15

// link is a route link.
type link struct {
	uuid      string
	all       []*route                // through legs
	routes    []*route                // with egress, by id
	addresses map[netip.Addr][]*iface // legs of the link by the addresses that are theirs alone: leases without enable_routing
}

// route is a route of a link, through a leg or into a black hole.
type route struct {
	uuid     string
	leg      *iface // nil for a black hole
	link     *link
	network  *model.Network
	domain   *domain           // of the network
	internal map[*host]*domain // instead, of an internal network
	mac      model.MAC         // the leg's first in the network
	stands   bool              // the leg has an address in the network
	prefixes []netip.Prefix
	gateway4 netip.Addr
	gateway6 netip.Addr
}

// addRouting finds the legs, and what routes lead where.
//
// Open: a black hole lets nothing in.
func (w *World) addRouting() {
	for o := range each[*model.Route](w.g, model.Routes) {
		l := w.links[o.RouteLinkUUID]
		if l == nil {
			l = &link{uuid: o.RouteLinkUUID, addresses: map[netip.Addr][]*iface{}}
			w.links[o.RouteLinkUUID] = l
		}
		t := &route{uuid: o.UUID, link: l, gateway4: o.IPv4Gateway, gateway6: o.IPv6Gateway}
		t.prefixes = slices.DeleteFunc([]netip.Prefix{o.Prefix4(), o.Prefix6()}, func(p netip.Prefix) bool { return !p.IsValid() })
		if o.Mode == model.RouteBlackhole {
			if o.Egress {
				l.routes = append(l.routes, t)
			}
			continue
		}
		i := w.interfaces[o.InterfaceUUID]
		n, ok := graph.Lookup[*model.Network](w.g, o.NetworkUUID)
		if i == nil || !ok || i.Mode != model.InterfaceSimulated || !i.EnableRouting {
			continue
		}
		t.leg, t.network = i, n
		l.all = append(l.all, t)
		w.addLegAddresses(l, i)
		if t.stands = w.resolve(t); !t.stands {
			if o.Egress {
				l.routes = append(l.routes, t) // which other hosts cannot see
			}
			continue
		}
		i.leg = true
		if o.Ingress {
			i.routes = append(i.routes, t)
		}
		if o.Egress {
			l.routes = append(l.routes, t)
		}
	}
	for o := range each[*model.Interface](w.g, model.Interfaces) {
		if i := w.interfaces[o.UUID]; i.leg && i.EnableRouteTranslation {
			w.addTranslations(i)
		}
	}
}

func (w *World) addLegAddresses(l *link, i *iface) {
	for le := range w.leases(i) {
		a := le.lease.Addr()
		isStation := slices.ContainsFunc(i.stations, func(s *station) bool { return slices.Contains(s.addresses, a) })
		if !le.lease.EnableRouting && isStation && !slices.Contains(l.addresses[a], i) {
			l.addresses[a] = append(l.addresses[a], i)
		}
	}
}

// resolve finds the domain and the MAC address with which the route's leg sends: the first with a lease in the network. Without one the route counts for nothing.
func (w *World) resolve(t *route) bool {
	t.domain = w.domainAt(t.network.UUID, nil)
	if t.domain == nil {
		t.internal = map[*host]*domain{}
	}
	stands := false
	for _, s := range t.leg.stations {
		if t.domain == nil && s.domain.uuid == t.network.UUID {
			t.internal[s.domain.home] = s.domain
		}
		stands = stands || s.domain.uuid == t.network.UUID || s.domain == t.domain
	}
	for le := range w.leases(t.leg) {
		if stands && le.lease.NetworkUUID == t.network.UUID {
			t.mac = le.mac
			return true
		}
	}
	return false
}

// at gives the domain that the route leads into at the host.
func (t *route) at(h *host) *domain {
	if t.domain != nil {
		return t.domain
	}
	return t.internal[h]
}

// bits gives the length of the route's prefix that has the address, -1 if none has.
func (t *route) bits(a netip.Addr) int {
	for _, p := range t.prefixes {
		if p.Contains(a) {
			return p.Bits()
		}
	}
	return -1
}

// enterRouter is section 6, from the start: a frame for the MAC address of a leg, at a host where the leg is.
func (r *run) enterRouter(h *host, leg *iface, p packet, routers int) {
	if !p.isIP() || p.isICMP6(icmp6Solicit, icmp6Advert) {
		r.drop(h, reason.Destination, leg)
		return
	}
	if routers++; routers > maxRouters {
		r.drop(h, reason.Hops, leg)
		return
	}
	if leg.EnableRouteTranslation {
		uuid, why := r.translateInward(leg, &p)
		if why != reason.None {
			r.drop(h, why, leg)
			return
		}
		if uuid != "" {
			l := r.w.links[uuid]
			if l == nil { // which no route is of
				r.refuse(h, reason.NoRoute, leg)
				return
			}
			r.inLink(h, l, p, routers, everywhere)
			return
		}
	}
	var best *route
	for _, t := range leg.routes {
		if n := t.bits(p.from); n >= 0 && (best == nil || n > best.bits(p.from)) {
			best = t
		}
	}
	if best == nil {
		r.refuse(h, reason.NoIngressRoute, leg)
		return
	}
	r.inLink(h, best.link, p, routers, everywhere)
}

// reach says which legs of a route link count.
type reach uint8

const (
	everywhere reach = iota
	onlyHere         // for what was carried to this host
)

// counts reports whether what was carried to the host may leave by the route: through a leg that is pinned there, or into a domain that is present there.
func (t *route) counts(h *host) bool {
	if t.leg == nil || t.leg.location != nil {
		return t.leg != nil && t.leg.location == h
	}
	d := t.at(h)
	return d != nil && d.present[h]
}

// inLink is step 4: a packet in a route link.
//
// Open: a leg that is not pinned is at every host, whether or not one of its domains is present there. Of routes of equal cost each may be taken; a conversation's packets
// of one direction take the same.
func (r *run) inLink(h *host, l *link, p packet, routers int, legs reach) {
	for _, leg := range l.addresses[p.to] {
		if !leg.at(h) || !leg.hasAddress(p.to, h) {
			continue
		}
		if !p.isEchoRequest() {
			r.refuse(h, reason.Gateway, leg)
			r.reset(p, func(r *run, p packet) { r.inLink(h, l, p, 0, everywhere) })
			return
		}
		p.own()
		p.answerEcho()
		r.inLink(h, l, p, routers, everywhere)
		return
	}
	longest := -1
	var routes []*route
	for _, t := range l.routes {
		if legs == onlyHere && !t.counts(h) || t.leg != nil && t.leg.at(h) && (!t.stands || t.at(h) == nil) {
			continue
		}
		switch n := t.bits(p.to); {
		case n > longest:
			longest, routes = n, []*route{t}
		case n == longest && n >= 0:
			routes = append(routes, t)
		}
	}
	if len(routes) == 0 {
		r.refuse(h, reason.NoRoute, nil)
		return
	}
	if slices.ContainsFunc(routes, func(t *route) bool { return t.leg == nil }) {
		r.drop(h, reason.Blackhole, nil)
		return
	}
	t := r.balance(h, l, legs, routes, &p, routers)
	to := t.leg.location
	if legs == everywhere && to == nil {
		to = t.attached(h, p.to)
	}
	if to != nil && to != h {
		r.inLink(to, l, p, 0, onlyHere)
		return
	}
	r.leaveRouter(h, t, p, routers)
}

// attached gives the host to which a packet is carried because its next hop may be a device outside, which only hosts can ask for where the domain is present. It
// is nil if the packet leaves at h.
func (t *route) attached(h *host, to netip.Addr) *host {
	d, next := t.at(h), t.nextHop(to)
	if !d.carried || d.present[h] || !next.IsValid() || d.addresses[next] != nil {
		return nil
	}
	var first *host
	for _, a := range d.outside {
		if first == nil || a.host.id < first.id {
			first = a.host
		}
	}
	return first
}

// hasAddress reports whether an address is the interface's in a domain that the host may have to do with: each host has internal networks of its own.
func (i *iface) hasAddress(a netip.Addr, h *host) bool {
	return slices.ContainsFunc(i.stations, func(s *station) bool {
		return (s.domain.home == nil || s.domain.home == h) && slices.Contains(s.addresses, a)
	})
}

// balance takes one of routes of equal cost: the one that the conversation takes already, or any.
func (r *run) balance(h *host, l *link, among reach, routes []*route, p *packet, routers int) *route {
	if len(routes) == 1 {
		return routes[0]
	}
	k := balance{h.uuid, l.uuid, among, routers, r.entered, p.flow()}
	uuid := r.balancedRoute(k)
	if at := slices.IndexFunc(routes, func(t *route) bool { return t.uuid == uuid }); at >= 0 {
		return routes[at]
	}
	taken := routes[r.choose(len(routes))]
	r.out.memos = append(r.out.memos, balancedTo{k, taken.uuid})
	return taken
}

// flow gives the packet's tuple, one without ports where it has none.
func (p *packet) flow() tuple {
	if t, ok := p.tuple(); ok {
		return t
	}
	return tuple{proto: p.proto, from: netip.AddrPortFrom(p.from, 0), to: netip.AddrPortFrom(p.to, 0)}
}

// leaveRouter is steps 5 to 8: a packet leaves a route link by a route, at a host where its leg is.
//
// Open: the next hop is asked for, if nobody is known to have it, where the domain is present and has an outside attachment that is reached from this host.
func (r *run) leaveRouter(h *host, t *route, p packet, routers int) {
	if p.ttl <= 1 {
		r.refuse(h, reason.TTL, t.leg)
		return
	}
	if mtu := r.w.mtu(t, h); mtu > 0 && p.size() > mtu && t.link.mayExceed(r.w, t, h, mtu) {
		r.refuse(h, reason.TooBig, t.leg)
		return
	}
	p.own()
	p.setTTL(p.ttl - 1)
	if t.leg.EnableRouteTranslation {
		if why := r.translateOutward(t.leg, t.link, &p); why != reason.None {
			r.drop(h, why, t.leg)
			return
		}
	}
	d := t.at(h)
	next := t.nextHop(p.to)
	if d == nil || !next.IsValid() {
		r.refuse(h, reason.NoNeighbor, t.leg)
		return
	}
	mac, known := d.neighbors[next]
	known = known && d.present[h]
	if s := d.addresses[next]; s.known(h) {
		mac, known = s.mac, true
	}
	switch {
	case known:
		p.setMACs(mac, t.mac)
		r.forward(h, d, nil, p, routers)
	case d.present[h] && len(d.outsideFrom(h, nil)) > 0:
		r.punt(PuntNeighbor, h, t.leg)
	default:
		r.refuse(h, reason.NoNeighbor, t.leg)
	}
}

// nextHop gives the route's gateway; without one the destination if that is in the network's subnet, or else the subnet's first address. It is
// the zero Addr if the network has no subnet of the family.
//
// Open: the first address is the one behind that of the subnet, in a subnet of less than three addresses that one itself.
func (t *route) nextHop(to netip.Addr) netip.Addr {
	gateway := t.gateway4
	if to.Is6() {
		gateway = t.gateway6
	}
	if gateway.IsValid() {
		return gateway
	}
	subnet := t.network.PrefixOf(to)
	switch {
	case !subnet.IsValid():
		return netip.Addr{}
	case subnet.Contains(to):
		return to
	case subnet.Bits() >= to.BitLen()-1:
		return subnet.Addr()
	}
	return subnet.Addr().Next()
}

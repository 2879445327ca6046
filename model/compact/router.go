package compact

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// router is a route link with the networks' gateways on it, and ways out.
type router struct {
	object
	name     string
	uuid     string
	networks []*network
	mac      located
	uplinks  []*uplink
}

// uplink is a router's interface in a network that it does not serve: the way to everything else.
type uplink struct {
	object
	name       string
	attachment attachment
	mac        located
	host       string
	to         []netip.Prefix
	gateways   []located // next hops, at most one of a family
	masquerade bool
	public     []translation
}

// translation is a public address, or a port of one, that stands for a guest's.
type translation struct {
	at           node
	outer, inner netip.AddrPort // port 0 for all of the address
}

func (x *expansion) readRouter(m member) {
	r := &router{name: m.name}
	x.routers = append(x.routers, r)
	if m.none() || m.v.Kind == document.Map {
		r.object = x.object(m.node, "uuid", "networks", "mac", "uplinks")
	} else { // the networks alone
		r.object = object{m.node, map[string]member{"networks": m}}
	}
	r.uuid = x.uuidOf(r.object, model.RouteLinks, m.name)
	if r.has("mac") {
		if mac, ok := x.mac(r.get("mac")); ok {
			r.mac = located{mac: mac, at: r.get("mac")}
			x.takeMAC(mac, r.mac.at)
		}
	}
	items := x.list(r.get("networks"))
	for _, item := range items {
		s, ok := x.text(item)
		if !ok {
			continue
		}
		n := x.byName.networks[s]
		switch {
		case n == nil:
			x.addf(item, "there is no network %q in this document; a network outside of it can be an uplink", clip(s))
			continue
		case n.routed != "":
			x.addf(item, "network %s is routed by %s already", n.name, n.routed)
			continue
		case n.has("gateway") && isBoolean(n.get("gateway")) && !n.gateway:
			x.addf(item, "network %s has no gateway, by its own words", n.name)
			continue
		}
		n.routed = r.path
		r.networks = append(r.networks, n)
		x.needGateway(n)
	}
	if len(items) == 0 {
		x.addf(r.node, "lacks networks")
	}
	for _, u := range x.named(r.get("uplinks"), nil) {
		x.readUplink(r, u)
	}
}

func (x *expansion) readUplink(r *router, m member) {
	u := &uplink{object: x.object(m.node, "network", "address", "mac", "host", "to", "gateway", "masquerade", "public"), name: m.name}
	r.uplinks = append(r.uplinks, u)
	for _, name := range []string{"network", "address"} {
		if !u.has(name) {
			x.addf(m.node, "lacks %s", name)
		}
	}
	if s, ok := x.text(u.get("network")); ok {
		n, uuid, ok := x.reference(s, u.get("network"))
		if ok {
			u.attachment = attachment{n, uuid, s, x.addressesIn(n, uuid, u.get("address"))}
		}
		if n != nil && n.routed == r.path {
			x.addf(u.get("network"), "network %s is one that the router serves; an uplink leads elsewhere", n.name)
		}
	}
	if u.has("mac") {
		if mac, ok := x.mac(u.get("mac")); ok {
			u.mac = located{mac: mac, at: u.get("mac")}
		}
	}
	if u.has("host") {
		u.host = x.uuid(u.get("host"), model.Datapaths)
	}
	x.readGateways(u)
	if u.masquerade = u.has("masquerade") && x.boolean(u.get("masquerade")); u.masquerade && u.host == "" {
		x.addf(u.get("masquerade"), "needs the host that the uplink is at: conversations are remembered there")
	}
	for _, item := range x.list(u.get("to")) {
		if p, ok := x.prefix(item); ok {
			u.to = append(u.to, p)
		}
	}
	if !u.has("to") {
		u.to = defaultRoutes(u.attachment.addresses)
	}
	x.readPublic(r, u)
}

// readGateways reads the next hops of an uplink, in its network, one of each family.
func (x *expansion) readGateways(u *uplink) {
	for _, item := range x.list(u.get("gateway")) {
		a, ok := x.address(item)
		if !ok {
			continue
		}
		why := ""
		if n := u.attachment.network; n != nil && n.subnets != nil {
			why = n.misfit(a)
		}
		if slices.ContainsFunc(u.gateways, func(l located) bool { return l.addr.Is4() == a.Is4() }) {
			why = "there is a gateway of this family already"
		}
		if why != "" {
			x.addf(item, "%s", why)
			continue
		}
		u.gateways = append(u.gateways, located{addr: a, at: item})
	}
}

// defaultRoutes gives all of each family that there is an address of.
func defaultRoutes(addresses []located) []netip.Prefix {
	var out []netip.Prefix
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		p := netip.MustParsePrefix(all)
		for _, l := range addresses {
			if l.addr.Is4() == p.Addr().Is4() {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// readPublic reads the map from public addresses to guests.
func (x *expansion) readPublic(r *router, u *uplink) {
	seen := map[netip.AddrPort]string{} // outer, to its path
	parts := map[netip.Addr]string{}    // addresses of which there is any, to the first path
	whole := map[netip.Addr]string{}    // inner addresses that stand for one, to the path
	for _, m := range x.members(u.get("public")) {
		outer, ok := endpoint(m.name)
		if !ok {
			x.addf(m.node, "%q is no address, nor address:port", clip(m.name))
			continue
		}
		if u.attachment.network != nil && u.attachment.network.subnets != nil {
			if why := u.attachment.network.misfit(outer.Addr()); why != "" {
				x.addf(m.node, "%s", why)
				continue
			}
		}
		s, ok := x.text(m.node)
		if !ok {
			if m.none() {
				x.addf(m.node, "needs the guest or address that it stands for")
			}
			continue
		}
		inner, why := x.inner(r, s, outer)
		all := netip.AddrPortFrom(outer.Addr(), 0)
		switch {
		case why != "":
		case seen[outer] != "":
			why = "is translated by " + seen[outer] + " already"
		case seen[all] != "" || outer.Port() == 0 && parts[outer.Addr()] != "":
			why = "overlaps with " + seen[all] + parts[outer.Addr()] + ": all of an address, or ports of it"
		case outer.Port() == 0 && whole[inner.Addr()] != "":
			why = fmt.Sprintf("%s has a public address by %s already", inner.Addr(), whole[inner.Addr()])
		}
		if why != "" {
			x.addf(m.node, "%s", why)
			continue
		}
		seen[outer] = m.path
		if outer.Port() == 0 {
			whole[inner.Addr()] = m.path
		} else if parts[outer.Addr()] == "" {
			parts[outer.Addr()] = m.path
		}
		u.public = append(u.public, translation{m.node, outer, inner})
	}
	x.takePublic(u)
}

// takePublic gives the uplink the public addresses that are not its own.
func (x *expansion) takePublic(u *uplink) {
	if u.attachment.uuid == "" {
		return
	}
	own := map[netip.Addr]bool{}
	for _, l := range u.attachment.addresses {
		own[l.addr] = true
	}
	for _, t := range u.public {
		if a := t.outer.Addr(); !own[a] {
			own[a] = true
			x.take(u.attachment.uuid, a, t.at)
			u.attachment.addresses = append(u.attachment.addresses, located{addr: a, at: t.at})
		}
	}
}

// endpoint reads an address, or an address and a port: 10.0.0.1, 10.0.0.1:80, fd00::1, [fd00::1]:80.
func endpoint(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 0), a.Zone() == "" && !a.Is4In6()
	}
	e, err := netip.ParseAddrPort(s)
	return e, err == nil && e.Port() > 0 && e.Addr().Zone() == "" && !e.Addr().Is4In6()
}

// inner finds what a public address stands for: a guest or an address, with a port or without, in a network of the router.
func (x *expansion) inner(r *router, s string, outer netip.AddrPort) (netip.AddrPort, string) {
	e, ok := endpoint(s)
	if !ok {
		name, number, hasPort := strings.Cut(s, ":")
		p := uint16(0)
		if hasPort {
			if p, ok = port(number); !ok {
				return e, fmt.Sprintf("%q is no port", clip(number))
			}
		}
		g := x.byName.guests[name]
		if g == nil {
			return e, fmt.Sprintf("%q is neither an address nor a guest of this document", clip(name))
		}
		a := g.behind(r, outer.Addr().Is4())
		if !a.IsValid() {
			return e, fmt.Sprintf("guest %s has no fixed address of the family of %s in a network of the router", name, outer.Addr())
		}
		e = netip.AddrPortFrom(a, p)
	} else if !r.serves(e.Addr()) {
		return e, fmt.Sprintf("%s is in no network of the router", e.Addr())
	}
	switch {
	case e.Addr().Is4() != outer.Addr().Is4():
		return e, fmt.Sprintf("%s and %s are of different families", outer.Addr(), e.Addr())
	case outer.Port() == 0 && e.Port() != 0:
		return e, "a port is translated to a port: give the public address one too"
	case outer.Port() != 0 && e.Port() == 0:
		e = netip.AddrPortFrom(e.Addr(), outer.Port())
	}
	return e, ""
}

// behind gives the guest's first address of a family in a network of the router.
func (g *guest) behind(r *router, is4 bool) netip.Addr {
	for _, a := range g.attached {
		for _, l := range a.addresses {
			if a.network != nil && a.network.routed == r.path && l.addr.Is4() == is4 {
				return l.addr
			}
		}
	}
	return netip.Addr{}
}

func (r *router) serves(a netip.Addr) bool {
	for _, n := range r.networks {
		if p := n.subnet(a); p.IsValid() && p.Contains(a) {
			return true
		}
	}
	return false
}

func (x *expansion) routerDocuments() {
	links, rows := model.RouteLinks, model.TopologyRouteLinks
	for _, r := range x.routers {
		x.add(r.node, links, r.uuid, "mac_address", r.mac.mac).at("mac_address", r.get("mac"))
		if x.topology != "" {
			x.add(r.node, rows, derived(rows, x.name, r.name, r.name), "topology_uuid", x.topology, "route_link_uuid", r.uuid)
		}
		for _, n := range r.networks {
			for _, p := range n.subnets {
				x.route(r, r.node, n.name, x.iface(n), n.uuid, p, nil)
			}
		}
		for _, u := range r.uplinks {
			x.uplinkDocuments(r, u)
		}
	}
}

// route makes a route to a subnet through an interface, by the gateway of its family if there is one.
func (x *expansion) route(r *router, at node, hint, iface, network string, to netip.Prefix, gateways []located) {
	routes, f := model.Routes, family(to.Addr())
	d := x.add(at, routes, derived(routes, x.name, hint, r.name, hint, iface, to.String()), "interface_uuid", iface, "route_link_uuid", r.uuid,
		"network_uuid", network, f+"_network", to.Addr(), f+"_prefix", to.Bits())
	for _, g := range gateways {
		if g.addr.Is4() == to.Addr().Is4() {
			d.Params[f+"_gateway"] = g.addr.String()
			d.at(f+"_gateway", g.at)
		}
	}
}

func (x *expansion) uplinkDocuments(r *router, u *uplink) {
	iface := derived(model.Interfaces, x.name, "up"+u.name, "uplink", r.name, u.name)
	x.add(u.node, model.Interfaces, iface, "mode", model.InterfaceSimulated, "display_name", clipName(r.name+" uplink "+u.name),
		"owner_datapath_uuid", u.host, "enable_routing", true, "enable_route_translation", u.public != nil || u.masquerade).at("owner_datapath_uuid", u.get("host"))
	x.leases(u.node, iface, u.mac, []string{"uplink", u.name, r.name}, []attachment{u.attachment}, true)
	for _, p := range u.to {
		x.route(r, u.node, u.name, iface, u.attachment.uuid, p, u.gateways)
	}
	translations, rows := model.Translations, model.TranslationStaticAddresses
	if u.masquerade {
		x.add(u.get("masquerade"), translations, derived(translations, x.name, u.name, "masquerade", r.name, u.name), "interface_uuid", iface, "mode", model.TranslationMasquerade)
	}
	if u.public == nil {
		return
	}
	tr := derived(translations, x.name, u.name, r.name, u.name)
	x.add(u.get("public"), translations, tr, "interface_uuid", iface, "mode", model.TranslationStatic)
	for _, t := range u.public {
		f := family(t.outer.Addr())
		x.add(t.at, rows, derived(rows, x.name, u.name, r.name, u.name, t.outer.String()), "translation_uuid", tr, "route_link_uuid", r.uuid,
			"ingress_"+f+"_address", t.outer.Addr(), "egress_"+f+"_address", t.inner.Addr(),
			"ingress_port_number", t.outer.Port(), "egress_port_number", t.inner.Port())
	}
}

package compact

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// guest is an interface of mode vif with its addresses.
type guest struct {
	object
	name     string
	uuid     string
	mac      located
	host     string
	attached []attachment
	security []string // uuids of security groups
	filter   *filter
}

// attachment is an interface's part in a network: its addresses, or none where the pool gives them.
type attachment struct {
	network   *network // nil for one outside of the document
	uuid      string   // of the network
	name      string
	addresses []located
}

// fixed gives the addresses that the document gives the guest.
func (g *guest) fixed() []located {
	var out []located
	for _, a := range g.attached {
		out = append(out, a.addresses...)
	}
	return out
}

func (x *expansion) readGuest(m member) {
	g := &guest{object: x.object(m.node, "uuid", "display_name", "network", "address", "networks", "mac", "host", "port", "routing", "security", "filter", "keys", "user_data"), name: m.name}
	x.guests = append(x.guests, g)
	x.byName.guests[m.name] = g
	if _, err := netip.ParseAddr(m.name); err == nil {
		x.addf(m.node, "%q is no name: it is an address", m.name)
	}
	g.uuid = x.uuidOf(g.object, model.Interfaces, m.name)
	if g.has("mac") {
		if mac, ok := x.mac(g.get("mac")); ok {
			g.mac = located{mac: mac, at: g.get("mac")}
		}
	}
	if g.has("host") {
		g.host = x.uuid(g.get("host"), model.Datapaths)
	}
	if s, ok := x.text(g.get("port")); ok {
		if other := x.ports[g.host+" "+s]; other != "" {
			x.addf(g.get("port"), "%q is the port of %s", clip(s), other)
		}
		x.ports[g.host+" "+s] = g.path
	}
	switch {
	case g.has("network") && g.has("networks"):
		x.addf(g.get("networks"), "network is given as well: one network, or several")
	case g.has("network"):
		if s, ok := x.text(g.get("network")); ok {
			x.attach(g, s, g.get("network"), g.get("address"))
		}
	case g.has("networks"):
		x.readAttachments(g, g.get("networks"))
	default:
		x.addf(g.node, "lacks network (or networks)")
	}
	if g.has("address") && !g.has("network") {
		x.addf(g.get("address"), "needs network; with networks, each network has its addresses: {web: 10.1.0.10, db: 10.2.0.10}")
	}
	if g.has("filter") {
		x.readFilter(g, g.get("filter"))
	}
}

// readAttachments reads a list of networks, or a map from networks to addresses.
func (x *expansion) readAttachments(g *guest, n node) {
	if n.v.Kind != document.Map {
		for _, item := range x.list(n) {
			if s, ok := x.text(item); ok {
				x.attach(g, s, item, node{})
			}
		}
		return
	}
	for _, m := range x.members(n) {
		x.attach(g, m.name, m.node, m.node)
	}
}

// reference gives the network that a name or uuid means; the name of none is a mistake.
func (x *expansion) reference(name string, at node) (n *network, uuid string, ok bool) {
	if n := x.byName.networks[name]; n != nil {
		return n, n.uuid, true
	}
	if model.Networks.CheckUUID(name) == nil {
		for _, n := range x.networks {
			if n.uuid == name {
				return n, name, true
			}
		}
		return nil, name, true
	}
	x.addf(at, "there is no network %q in this document", clip(name))
	return nil, "", false
}

func (x *expansion) attach(g *guest, name string, at, addresses node) {
	n, uuid, ok := x.reference(name, at)
	if !ok {
		return
	}
	for _, other := range g.attached {
		if other.uuid == uuid {
			x.addf(at, "%s is in network %s already", g.name, name)
			return
		}
	}
	a := attachment{network: n, uuid: uuid, name: name, addresses: x.addressesIn(n, uuid, addresses)}
	g.attached = append(g.attached, a)
	switch {
	case !addresses.none():
	case n == nil:
		x.addf(at, "an address is required in %s, which is not in this document", uuid)
	default:
		n.drawn = true
	}
}

// addressesIn reads addresses and takes them in the network, which may be outside of the document.
func (x *expansion) addressesIn(n *network, uuid string, list node) []located {
	var out []located
	for _, item := range x.list(list) {
		a, ok := x.address(item)
		if !ok {
			continue
		}
		if n != nil {
			if why := n.misfit(a); why != "" && n.subnets != nil {
				x.addf(item, "%s", why)
				continue
			}
		}
		x.take(uuid, a, item)
		out = append(out, located{addr: a, at: item})
	}
	return out
}

func (x *expansion) guestDocuments() {
	base, members := model.LeasePolicyBaseInterfaces, model.SecurityGroupInterfaces
	for _, g := range x.guests {
		name, port := g.name, ""
		if g.has("display_name") {
			name, _ = x.text(g.get("display_name"))
		}
		if g.has("port") {
			port, _ = x.text(g.get("port"))
		}
		x.add(g.node, model.Interfaces, g.uuid, "mode", model.InterfaceVIF, "display_name", name,
			"owner_datapath_uuid", g.host, "port_name", port,
			"enable_routing", g.has("routing") && x.boolean(g.get("routing")),
			"enable_filtering", g.filter != nil, "ingress_filtering_enabled", g.security != nil).
			at("owner_datapath_uuid", g.get("host")).at("port_name", g.get("port")).at("display_name", g.get("display_name"))
		x.leases(g.node, g.uuid, g.mac, []string{"guest", g.name}, g.attached, false)
		for _, a := range g.attached {
			if a.addresses != nil {
				continue
			}
			for _, p := range a.network.subnets {
				x.add(g.node, base, derived(base, x.name, g.name, g.name, a.network.name, family(p.Addr())),
					"lease_policy_uuid", x.policy(a.network, p), "interface_uuid", g.uuid)
			}
		}
		for _, group := range g.security {
			x.add(g.get("security"), members, derived(members, x.name, g.name, g.name, group), "security_group_uuid", group, "interface_uuid", g.uuid)
		}
		if g.filter != nil {
			x.filterDocuments(g)
		}
		x.metadataDocument(g)
	}
}

// metadataDocument makes what the guest is told of itself, if the document says any of it.
func (x *expansion) metadataDocument(g *guest) {
	if !g.has("keys") && !g.has("user_data") {
		return
	}
	var keys []string
	for _, item := range x.list(g.get("keys")) {
		if s, ok := x.text(item); ok {
			keys = append(keys, s)
		}
	}
	var data string
	if g.has("user_data") {
		data, _ = x.text(g.get("user_data"))
	}
	r := model.InterfaceMetadatas
	x.add(g.node, r, derived(r, x.name, g.name, g.name), "interface_uuid", g.uuid, "public_keys", strings.Join(keys, "\n"), "user_data", data).
		at("public_keys", g.get("keys")).at("user_data", g.get("user_data"))
}

// leases makes an interface's MAC lease, whose address follows from the names where none is given, and its IP leases. The first lease
// of a family in a network has the same uuid whatever its address, so that a changed address changes it; those of further
// addresses are named by them.
func (x *expansion) leases(at node, iface string, mac located, of []string, attached []attachment, routing bool) {
	if mac.at.v == nil {
		mac = located{mac: derivedMAC(x.name, of...), at: at}
	}
	x.takeMAC(mac.mac, mac.at)
	ml := derived(model.MACLeases, x.name, of[1], of...)
	x.add(at, model.MACLeases, ml, "interface_uuid", iface, "mac_address", mac.mac).at("mac_address", mac.at)
	for _, a := range attached {
		done := map[string]bool{}
		for _, l := range a.addresses {
			param, addr := leasePair(l.addr)
			parts := append(slices.Clone(of), a.uuid, param)
			if done[param] {
				parts = append(parts, addr.String())
			}
			done[param] = true
			x.add(l.at, model.IPLeases, derived(model.IPLeases, x.name, of[1], parts...), "network_uuid", a.uuid,
				param, addr, "mac_lease_uuid", ml, "interface_uuid", iface, "enable_routing", routing)
		}
	}
}

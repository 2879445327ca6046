package compact

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/openvnet/openvnet/internal/document"
	"github.com/openvnet/openvnet/model"
)

// network is a network of the document with the simulated interface that answers for it: its gateway, DHCP and DNS.
type network struct {
	object
	name    string
	uuid    string
	subnets []netip.Prefix
	dhcp    bool
	dns     bool
	meta    bool // guests are told their metadata

	servers   []node // DNS servers to ask further
	recorded  []record
	gateway   bool // there is the interface
	addresses []located
	mac       located
	routed    string // path of the router that it belongs to

	ranges []addressRange // of the pool
	drawn  bool           // a guest gets an address from the pool
}

// located is an address with its place.
type located struct {
	addr netip.Addr
	mac  model.MAC
	at   node
}

type addressRange struct {
	first, last netip.Addr
	at          node
}

type record struct {
	name string
	addr netip.Addr
	at   node
}

func (x *expansion) readNetwork(m member) {
	n := &network{name: m.name}
	x.networks = append(x.networks, n)
	x.byName.networks[m.name] = n
	if m.none() || m.v.Kind == document.Map {
		n.object = x.object(m.node, "uuid", "display_name", "subnets", "mode", "domain", "gateway", "mac", "dhcp", "dns", "metadata", "pool")
	} else { // the subnets alone
		n.object = object{m.node, map[string]member{"subnets": m}}
	}
	n.uuid = x.uuidOf(n.object, model.Networks, m.name)
	for _, item := range x.list(n.get("subnets")) {
		p, ok := x.prefix(item)
		if !ok {
			continue
		}
		if other := n.subnet(p.Addr()); other.IsValid() {
			x.addf(item, "there is a subnet of this family already, %s: a network has one of each", other)
			continue
		}
		n.subnets = append(n.subnets, p)
	}
	if !n.has("subnets") {
		x.addf(n.node, "lacks subnets")
		return
	}
	if len(n.subnets) == 0 {
		return
	}
	n.dhcp = n.has("dhcp") && x.boolean(n.get("dhcp"))
	n.dns = n.has("dns") && (!isBoolean(n.get("dns")) || x.boolean(n.get("dns")))
	n.meta = n.has("metadata") && x.boolean(n.get("metadata"))
	x.readGateway(n)
	x.readPool(n)
}

// subnet gives the subnet of an address's family, the zero Prefix where there is none.
func (n *network) subnet(a netip.Addr) netip.Prefix {
	for _, p := range n.subnets {
		if p.Addr().Is4() == a.Is4() {
			return p
		}
	}
	return netip.Prefix{}
}

// misfit says why an address cannot be one of the network's, "" if it can.
func (n *network) misfit(a netip.Addr) string {
	p := n.subnet(a)
	switch {
	case !p.IsValid():
		return fmt.Sprintf("network %s has no subnet of the family of %s", n.name, a)
	case !p.Contains(a):
		return fmt.Sprintf("%s is outside %s, the subnet of network %s", a, p, n.name)
	case a.Is4() && p.Bits() < 31 && a == p.Addr():
		return fmt.Sprintf("%s is the address of the subnet %s itself", a, p)
	case a.Is4() && p.Bits() < 31 && a == last(p):
		return fmt.Sprintf("%s is the broadcast address of %s", a, p)
	}
	return ""
}

// last gives the last address of a subnet.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// firstOf gives the first address of a subnet that an interface may have.
func (n *network) firstOf(p netip.Prefix) netip.Addr {
	if a := p.Addr().Next(); a.IsValid() && n.misfit(a) == "" {
		return a
	}
	return p.Addr()
}

// readGateway reads the addresses of the simulated interface. It is there if it is asked for, or has something to answer.
func (x *expansion) readGateway(n *network) {
	g := n.get("gateway")
	given := n.has("gateway")
	refused := given && isBoolean(g) && !x.boolean(g)
	n.gateway = n.dhcp || n.dns || n.meta || given && !refused
	if refused && n.gateway {
		x.addf(g, "dhcp, dns and metadata need an address to answer from: leave gateway out, or give the address")
	}
	if given && !isBoolean(g) {
		for _, item := range x.list(g) {
			a, ok := x.address(item)
			if !ok {
				continue
			}
			if why := n.misfit(a); why != "" {
				x.addf(item, "%s", why)
				continue
			}
			n.addresses = append(n.addresses, located{addr: a, at: item})
		}
	}
	if n.has("mac") {
		if m, ok := x.mac(n.get("mac")); ok {
			n.mac = located{mac: m, at: n.get("mac")}
		}
	}
	for _, l := range n.addresses {
		x.take(n.uuid, l.addr, l.at)
	}
	if n.gateway {
		x.needGateway(n)
	}
}

// needGateway makes the network have a simulated interface, with the first address of each subnet that none was given for.
func (x *expansion) needGateway(n *network) {
	n.gateway = true
	for _, p := range n.subnets {
		given := false
		for _, l := range n.addresses {
			given = given || p.Contains(l.addr)
		}
		if !given {
			l := located{addr: n.firstOf(p), at: n.node}
			n.addresses = append(n.addresses, l)
			x.take(n.uuid, l.addr, node{n.v, n.path + ".gateway", n.line})
		}
	}
}

// readPool reads the ranges that guests without an address get one from; without any, the whole subnets.
func (x *expansion) readPool(n *network) {
	for _, item := range x.list(n.get("pool")) {
		s, ok := x.text(item)
		if !ok {
			continue
		}
		r, why := n.parseRange(s)
		for _, other := range n.ranges {
			if why == "" && r.first.Compare(other.last) <= 0 && other.first.Compare(r.last) <= 0 {
				why = fmt.Sprintf("%s-%s overlaps with %s-%s", r.first, r.last, other.first, other.last)
			}
		}
		if why != "" {
			x.addf(item, "%s", why)
			continue
		}
		r.at = item
		n.ranges = append(n.ranges, r)
	}
}

// parseRange reads first-last, a subnet, or one address.
func (n *network) parseRange(s string) (r addressRange, why string) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		if strings.Contains(s, "/") {
			p, why := parsePrefix(s)
			if why != "" {
				return r, why
			}
			if whole := n.subnet(p.Addr()); !whole.IsValid() || !whole.Contains(p.Addr()) || p.Bits() < whole.Bits() {
				return r, fmt.Sprintf("%s is no part of a subnet of network %s", p, n.name)
			}
			r = n.rangeOf(p)
			return r, ""
		}
		to = from
	}
	var err1, err2 error
	r.first, err1 = netip.ParseAddr(strings.TrimSpace(from))
	r.last, err2 = netip.ParseAddr(strings.TrimSpace(to))
	if err1 != nil || err2 != nil {
		return r, fmt.Sprintf("%q is no range: first-last, a subnet, or an address", clip(s))
	}
	for _, a := range []netip.Addr{r.first, r.last} {
		if a.Zone() != "" || a.Is4In6() {
			return r, fmt.Sprintf("%q is no range: first-last, a subnet, or an address", clip(s))
		}
		if why := n.misfit(a); why != "" {
			return r, why
		}
	}
	if r.first.Is4() != r.last.Is4() || r.first.Compare(r.last) > 0 {
		return r, fmt.Sprintf("%s is not before %s", r.first, r.last)
	}
	return r, ""
}

// rangeOf gives the addresses of a part of the network that interfaces may have; of IPv6 at most the first 65,535.
func (n *network) rangeOf(p netip.Prefix) addressRange {
	r := addressRange{first: p.Addr(), last: last(p)}
	if p.Addr().Is6() && p.Bits() < 112 {
		r.last = last(netip.PrefixFrom(p.Addr(), 112))
	}
	if p.Addr().Is6() && p.Bits() < 127 || n.misfit(r.first) != "" { // the first of an IPv6 subnet is the routers' anycast
		r.first = r.first.Next()
	}
	if n.misfit(r.last) != "" {
		r.last = r.last.Prev()
	}
	return r
}

// pool gives the ranges of a family.
func (n *network) pool(p netip.Prefix) []addressRange {
	var out []addressRange
	for _, r := range n.ranges {
		if r.first.Is4() == p.Addr().Is4() {
			out = append(out, r)
		}
	}
	if out == nil && n.drawn {
		r := n.rangeOf(p)
		r.at = n.node
		out = append(out, r)
	}
	return out
}

// policy gives the uuid of the lease policy that draws addresses of a subnet.
func (x *expansion) policy(n *network, p netip.Prefix) string {
	return derived(model.LeasePolicies, x.name, n.name, "pool", n.name, family(p.Addr()))
}

// readRecords reads the DNS records, which may name guests.
func (x *expansion) readRecords(n *network) {
	if !n.dns || isBoolean(n.get("dns")) {
		if n.dns {
			x.guestRecords(n)
		}
		return
	}
	o := x.object(n.get("dns"), "servers", "records", "guests")
	for _, item := range x.list(o.get("servers")) {
		if _, ok := x.address(item); ok {
			n.servers = append(n.servers, item)
		}
	}
	for _, m := range x.members(o.get("records")) {
		if m.none() {
			x.addf(m.node, "needs an address or the name of a guest")
		}
		for _, item := range x.list(m.node) {
			s, ok := x.text(item)
			if !ok {
				continue
			}
			if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.Is4In6() {
				n.recorded = append(n.recorded, record{m.name, a, item})
				continue
			}
			g := x.byName.guests[s]
			if g == nil {
				x.addf(item, "%q is neither an address nor a guest of this document", clip(s))
				continue
			}
			before := len(n.recorded)
			for _, l := range g.fixed() {
				n.recorded = append(n.recorded, record{m.name, l.addr, item})
			}
			if len(n.recorded) == before {
				x.addf(item, "guest %s has no fixed address", g.name)
			}
		}
	}
	if !o.has("guests") || x.boolean(o.get("guests")) {
		x.guestRecords(n)
	}
}

// guestRecords adds the names of the network's guests that have a fixed address in it, as far as no record has the name.
func (x *expansion) guestRecords(n *network) {
	taken := map[string]bool{}
	for _, r := range n.recorded {
		taken[n.qualified(r.name)] = true
	}
	for _, g := range x.guests {
		if taken[n.qualified(g.name)] {
			continue
		}
		for _, a := range g.attached {
			for _, l := range a.addresses {
				if a.uuid == n.uuid {
					n.recorded = append(n.recorded, record{g.name, l.addr, g.node})
				}
			}
		}
	}
}

// qualified gives the full name of a record: one without a dot is within the network's domain.
func (n *network) qualified(name string) string {
	if strings.Contains(name, ".") {
		return strings.TrimSuffix(name, ".")
	}
	return name + "." + n.domain()
}

// domain gives the network's DNS domain; that of the manager's choice is the uuid's suffix.
func (n *network) domain() string {
	if n.has("domain") {
		if s, ok := n.get("domain").v.Scalar.(string); ok {
			return strings.TrimSuffix(s, ".")
		}
	}
	_, suffix, _ := strings.Cut(n.uuid, "-")
	return suffix
}

func (x *expansion) networkDocuments() {
	for _, n := range x.networks {
		x.networkDocument(n)
		if n.gateway {
			x.gatewayDocuments(n)
		}
		x.poolDocuments(n)
	}
}

func (x *expansion) networkDocument(n *network) {
	at := n.node
	name, mode, domain := n.name, "", ""
	if n.has("display_name") {
		name, _ = x.text(n.get("display_name"))
	}
	if n.has("mode") {
		mode, _ = x.text(n.get("mode"))
	}
	if n.has("domain") {
		domain, _ = x.text(n.get("domain"))
	}
	pairs := []any{"display_name", name, "mode", mode, "domain_name", domain}
	for _, p := range n.subnets {
		f := family(p.Addr())
		pairs = append(pairs, f+"_network", p.Addr(), f+"_prefix", p.Bits())
	}
	d := x.add(at, model.Networks, n.uuid, pairs...)
	d.at("mode", n.get("mode")).at("domain_name", n.get("domain")).at("display_name", n.get("display_name"))
	d.at("ipv4_network", n.get("subnets")).at("ipv6_network", n.get("subnets"))
	if x.topology != "" && (mode == "" || mode == model.NetworkVirtual) {
		r := model.TopologyNetworks
		x.add(at, r, derived(r, x.name, n.name, n.name), "topology_uuid", x.topology, "network_uuid", n.uuid)
	}
}

// iface gives the uuid of the network's simulated interface.
func (x *expansion) iface(n *network) string {
	return derived(model.Interfaces, x.name, "gw"+n.name, "gateway", n.name)
}

// gatewayDocuments makes the simulated interface with its services.
func (x *expansion) gatewayDocuments(n *network) {
	at, iface := n.node, x.iface(n)
	x.add(at, model.Interfaces, iface, "mode", model.InterfaceSimulated, "display_name", clipName(n.name+" gateway"), "enable_routing", n.routed != "")
	x.leases(at, iface, n.mac, []string{"gateway", n.name}, []attachment{{uuid: n.uuid, name: n.name, addresses: n.addresses}}, n.routed != "")
	if n.dhcp {
		x.add(at, model.NetworkServices, derived(model.NetworkServices, x.name, n.name, "dhcp", n.name), "mode", model.ServiceDHCP, "interface_uuid", iface).
			at("mode", n.get("dhcp"))
	}
	if n.meta {
		x.add(at, model.NetworkServices, derived(model.NetworkServices, x.name, n.name, "metadata", n.name), "mode", model.ServiceMetadata, "interface_uuid", iface).
			at("mode", n.get("metadata"))
	}
	if !n.dns {
		return
	}
	service := derived(model.NetworkServices, x.name, n.name, "dns", n.name)
	x.add(at, model.NetworkServices, service, "mode", model.ServiceDNS, "interface_uuid", iface).at("mode", n.get("dns"))
	servers := make([]string, len(n.servers))
	for i, s := range n.servers {
		servers[i], _ = x.text(s)
	}
	r := model.DNSServices
	dns := derived(r, x.name, n.name, n.name)
	x.add(n.get("dns"), r, dns, "network_service_uuid", service, "public_dns", strings.Join(servers, ","))
	count := map[string]int{}
	r = model.DNSRecords
	for _, rec := range n.recorded {
		name := n.qualified(rec.name)
		param, a := leasePair(rec.addr)
		key := name + " " + param
		x.add(rec.at, r, derived(r, x.name, rec.name, n.name, key, fmt.Sprint(count[key])), "dns_service_uuid", dns, "name", name, param, a)
		count[key]++
	}
}

// clipName keeps a made up name for people within the length of a field.
func clipName(s string) string { return strings.ToValidUTF8(s[:min(len(s), 255)], "") }

// poolDocuments makes the ranges and the policy by which the manager gives addresses of each subnet.
func (x *expansion) poolDocuments(n *network) {
	groups, ranges := model.IPRangeGroups, model.IPRanges
	policies, bases := model.LeasePolicies, model.LeasePolicyBaseNetworks
	for _, p := range n.subnets {
		pool := n.pool(p)
		if len(pool) == 0 {
			continue
		}
		f := family(p.Addr())
		group, policy := derived(groups, x.name, n.name, n.name, f), x.policy(n, p)
		at := pool[0].at
		x.add(at, groups, group)
		for i, r := range pool {
			x.add(r.at, ranges, derived(ranges, x.name, n.name, n.name, f, fmt.Sprint(i)), "ip_range_group_uuid", group,
				"begin_"+f+"_address", r.first, "end_"+f+"_address", r.last)
		}
		x.add(at, policies, policy, "timing", model.LeaseImmediate)
		x.add(at, bases, derived(bases, x.name, n.name, n.name, f), "lease_policy_uuid", policy, "network_uuid", n.uuid, "ip_range_group_uuid", group)
	}
}

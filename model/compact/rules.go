package compact

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// group is a security group of the document: what its members let in, and if a rule says so, out.
type group struct {
	name, uuid string
	at         node     // where it is first named as the target of a rule
	rules      []string // in the syntax of the resource
	rows       []ruleRow
}

// peer is what a rule names as the other side: a subnet, a security group, a set of addresses, or else any.
type peer struct {
	subnet    netip.Prefix
	group     string // uuid
	addresses string // uuid
}

// sources gives the peer in the syntax of a security group's rules.
func (p peer) sources() []string {
	switch {
	case p.group != "":
		return []string{p.group}
	case p.subnet.IsValid():
		return []string{p.subnet.String()}
	}
	return []string{"0.0.0.0/0", "::/0"}
}

// clause is "tcp 80,443,8000-8099 from any".
type clause struct {
	protocol string
	ports    []portRange
	from     bool // rather than to
	peers    []peer
}

// portRange is some ports; the first is the last of a single one, and both are 0 of any.
type portRange struct{ first, last uint16 }

// readRules reads "group <- tcp 80,443 from any" and "group -> tcp 25 to any". The groups are those that rules are for.
func (x *expansion) readRules(n node) {
	type rule struct {
		at     node
		target string
		text   string
		egress bool
	}
	var rules []rule
	for _, item := range x.list(n) {
		s, ok := x.text(item)
		if !ok {
			continue
		}
		target, rest, ok := strings.Cut(s, "<-")
		egress := !ok
		if egress {
			target, rest, ok = strings.Cut(s, "->")
		}
		target = strings.TrimSpace(target)
		switch {
		case !ok:
			x.addf(item, "%q is no rule: GROUP <- PROTOCOL [PORTS] from SOURCES, or GROUP -> PROTOCOL [PORTS] to DESTINATIONS", clip(s))
			continue
		case !isName(target) || model.SecurityGroups.CheckUUID(target) == nil || target == "any" || target == "all":
			x.addf(item, "%q is no name for a security group", clip(target))
			continue
		}
		if x.byName.groups[target] == nil {
			g := &group{name: target, uuid: readable(model.SecurityGroups, x.name, target), at: item}
			x.byName.groups[target] = g
			x.groups = append(x.groups, g)
		}
		rules = append(rules, rule{item, target, rest, egress})
	}
	for _, r := range rules {
		x.readGroupRule(x.byName.groups[r.target], r.egress, r.text, r.at)
	}
}

// clause reads PROTOCOL [PORTS] from|to PEERS. Without ports there is the port 0, which is any. A port may be a range of them: 8000-8099.
func (x *expansion) clause(s string, at node) (c clause, ok bool) {
	words := strings.Fields(strings.ReplaceAll(s, ",", " , "))
	way := slices.IndexFunc(words, func(w string) bool { return w == "from" || w == "to" })
	if way < 1 || way == len(words)-1 {
		x.addf(at, "%q is no rule: PROTOCOL [PORTS] from PEERS", clip(strings.TrimSpace(s)))
		return c, false
	}
	c.protocol, c.from = words[0], words[way] == "from"
	if !slices.Contains([]string{"tcp", "udp", "sctp", "icmp", "any", "arp", "ip"}, c.protocol) {
		x.addf(at, "%q is no protocol: tcp, udp or icmp", clip(c.protocol))
		return c, false
	}
	ok = true
	numbers := items(words[1:way])
	if len(numbers) > 0 && c.protocol != "tcp" && c.protocol != "udp" && c.protocol != "sctp" {
		x.addf(at, "%s has no ports", c.protocol)
		return c, false
	}
	for _, w := range numbers {
		from, to, isRange := strings.Cut(w, "-")
		r, valid := portRange{}, false
		if r.first, valid = port(from); isRange && valid {
			r.last, valid = port(to)
			valid = valid && r.first < r.last
		} else {
			r.last = r.first
		}
		if !valid {
			x.addf(at, "%q is no port, 1 to 65535", clip(w))
			ok = false
		}
		c.ports = append(c.ports, r)
	}
	if len(numbers) == 0 {
		c.ports = []portRange{{}}
	}
	for _, w := range items(words[way+1:]) {
		peers := x.peers(w, at)
		ok = ok && peers != nil
		c.peers = append(c.peers, peers...)
	}
	return c, ok
}

// items joins what stands between commas.
func items(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	var out []string
	item := []string{}
	for _, w := range append(slices.Clone(words), ",") {
		if w != "," {
			item = append(item, w)
			continue
		}
		out = append(out, strings.Join(item, " "))
		item = item[:0]
	}
	return out
}

// peers gives what a name in a rule stands for: any, an address, a subnet, a security group, "guest NAME" for its fixed addresses,
// "network NAME" for its subnets, "addresses NAME" for a set of the document.
func (x *expansion) peers(s string, at node) []peer {
	if s == "any" {
		return []peer{{}}
	}
	if g := x.byName.groups[s]; g != nil {
		return []peer{{group: g.uuid}}
	}
	if model.SecurityGroups.CheckUUID(s) == nil {
		return []peer{{group: s}}
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.Is4In6() {
		return []peer{{subnet: netip.PrefixFrom(a, a.BitLen())}}
	}
	if strings.Contains(s, "/") {
		p, why := parsePrefix(s)
		if why != "" {
			x.addf(at, "%s", why)
			return nil
		}
		return []peer{{subnet: p}}
	}
	var out []peer
	kind, name, _ := strings.Cut(s, " ")
	switch kind {
	case "guest":
		g := x.byName.guests[name]
		if g == nil {
			x.addf(at, "there is no guest %q in this document", clip(name))
			return nil
		}
		for _, l := range g.fixed() {
			out = append(out, peer{subnet: netip.PrefixFrom(l.addr, l.addr.BitLen())})
		}
		if out == nil {
			x.addf(at, "guest %s has no fixed address", name)
		}
	case "network":
		n := x.byName.networks[name]
		if n == nil {
			x.addf(at, "there is no network %q in this document", clip(name))
			return nil
		}
		for _, p := range n.subnets {
			out = append(out, peer{subnet: p})
		}
	case "addresses":
		set := x.byName.sets[name]
		if set == nil {
			x.addf(at, "there are no addresses %q in this document", clip(name))
			return nil
		}
		out = append(out, peer{addresses: set.uuid})
	default:
		x.addf(at, "%q is neither any, an address, a subnet, a group that a rule is for, guest NAME nor network NAME", clip(s))
	}
	return out
}

// resolveGroups finds the security groups of a guest: of the document, or others by their uuid.
func (x *expansion) resolveGroups(g *guest) {
	for _, item := range x.list(g.get("security")) {
		s, ok := x.text(item)
		if !ok {
			continue
		}
		switch group := x.byName.groups[s]; {
		case group != nil:
			s = group.uuid
		case model.SecurityGroups.CheckUUID(s) != nil:
			x.addf(item, "no rule is for a group %q", clip(s))
			continue
		}
		if slices.Contains(g.security, s) {
			x.addf(item, "is given twice")
			continue
		}
		g.security = append(g.security, s)
	}
}

// filter is what an interface lets through, in both directions.
type filter struct {
	object
	rows []filterRow
}

type filterRow struct {
	at                node
	action, protocol  string
	peer              netip.Prefix // the zero Prefix for any, of both families
	peerPort, ownPort uint16       // 0 for any
}

// readFilter reads {incoming: pass|drop, outgoing: pass|drop, rules: [pass tcp 22 from 10.0.0.0/8]}.
func (x *expansion) readFilter(g *guest, n node) {
	f := &filter{object: x.object(n, "incoming", "outgoing", "rules")}
	g.filter = f
	for _, name := range []string{"incoming", "outgoing"} {
		if s, ok := x.text(f.get(name)); ok && s != "pass" && s != "drop" {
			x.addf(f.get(name), "%q is neither pass nor drop", clip(s))
		}
	}
}

// readFilterRules reads the rules of a guest's filter, which may name other guests and networks.
func (x *expansion) readFilterRules(g *guest) {
	if g.filter == nil {
		return
	}
	seen := map[filterRow]string{} // without place and action, to the path
	for _, item := range x.list(g.filter.get("rules")) {
		s, ok := x.text(item)
		if !ok {
			continue
		}
		action, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
		if action != "pass" && action != "drop" && action != "conn" {
			x.addf(item, "%q is no rule: pass|drop|conn PROTOCOL [PORTS] from|to PEERS", clip(s))
			continue
		}
		c, ok := x.clause(rest, item)
		if !ok {
			continue
		}
		switch {
		case slices.ContainsFunc(c.peers, func(p peer) bool { return p.group != "" || p.addresses != "" }):
			x.addf(item, "a filter knows no groups: name addresses, guests or networks")
			continue
		case c.protocol == "any" || c.protocol == "sctp":
			x.addf(item, "a filter's rules are for tcp, udp, icmp, arp or ip, which is everything else")
			continue
		case slices.ContainsFunc(c.ports, func(r portRange) bool { return r.first != r.last }):
			x.addf(item, "a filter knows no ranges of ports: name each")
			continue
		}
		for _, row := range c.filterRows() {
			if other, ok := seen[row]; ok {
				x.addf(item, "says of the same packets as %s", other)
				break
			}
			seen[row] = item.path
			row.at, row.action = item, action
			g.filter.rows = append(g.filter.rows, row)
		}
	}
}

// filterRows gives a row for each port and peer. A row is written in the direction to the guest: the peer is the source. The ports
// of what comes from the peer are the guest's, those of what goes to it are the peer's.
func (c clause) filterRows() []filterRow {
	var out []filterRow
	for _, p := range c.peers {
		for _, number := range c.ports {
			r := filterRow{protocol: c.protocol, peer: p.subnet}
			if c.from {
				r.ownPort = number.first
			} else {
				r.peerPort = number.first
			}
			out = append(out, r)
		}
	}
	return out
}

func (x *expansion) filterDocuments(g *guest) {
	f := g.filter
	uuid := derived(model.Filters, x.name, g.name, g.name)
	passes := func(name string) bool { s, _ := x.text(f.get(name)); return s == "pass" }
	x.add(f.node, model.Filters, uuid, "interface_uuid", g.uuid, "mode", "static", "ingress_passthrough", passes("incoming"), "egress_passthrough", passes("outgoing"))
	for _, r := range f.rows {
		row := derived(model.FilterStatics, x.name, g.name, g.name, r.protocol, r.peer.String(), fmt.Sprint(r.peerPort), fmt.Sprint(r.ownPort))
		x.add(r.at, model.FilterStatics, row, "filter_uuid", uuid, "protocol", r.protocol, "action", r.action,
			"src_address", r.peer, "src_port", r.peerPort, "dst_port", r.ownPort).at("src_address", r.at)
	}
}

package compact

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// addressSet is a set of addresses of the document, which rules name.
type addressSet struct {
	at       node
	name     string
	uuid     string
	prefixes []netip.Prefix
}

// readAddresses reads {office: [198.51.100.0/24, 203.0.113.7]}.
func (x *expansion) readAddresses(n node) {
	for _, m := range x.named(n, model.AddressGroups) {
		s := &addressSet{at: m.node, name: m.name, uuid: readable(model.AddressGroups, x.name, m.name)}
		for _, item := range x.list(m.node) {
			if text, ok := x.text(item); ok {
				s.prefixes = append(s.prefixes, x.subnets(text, item)...)
			}
		}
		x.sets = append(x.sets, s)
		x.byName.sets[m.name] = s
	}
}

// subnets gives the addresses that a name in a rule stands for.
func (x *expansion) subnets(s string, at node) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range x.peers(s, at) {
		if !p.subnet.IsValid() {
			x.addf(at, "%q is neither an address, a subnet, guest NAME nor network NAME", clip(s))
			return nil
		}
		out = append(out, p.subnet)
	}
	return out
}

// ruleRow is a rule that the text of a security group has no words for.
type ruleRow struct {
	at          node
	egress      bool
	action      string
	priority    uint16
	protocol    string
	ports       portRange
	subnets     []netip.Prefix // of the peer
	except      []netip.Prefix
	group, sets string // uuid of what else the peer may be
}

// readGroupRule reads what is to the right of the arrow: [drop|reject] PROTOCOL [PORTS] from|to PEERS [except SUBNETS] [priority NUMBER]. "all from"
// the group itself is what its members let in anyway: it makes a group without further rules.
func (x *expansion) readGroupRule(g *group, egress bool, s string, at node) {
	words := strings.Fields(s)
	if !egress && slices.Equal(words, []string{"all", "from", g.name}) {
		return
	}
	row := ruleRow{at: at, egress: egress, action: model.RuleAllow}
	if len(words) > 0 && (words[0] == model.RuleDrop || words[0] == model.RuleReject) {
		row.action, words = words[0], words[1:]
	}
	if n := len(words); n > 2 && words[n-2] == "priority" {
		p, err := strconv.ParseUint(words[n-1], 10, 16)
		if err != nil || p > 1000 {
			x.addf(at, "%q is no priority, 0 to 1000", clip(words[n-1]))
			return
		}
		row.priority, words = uint16(p), words[:n-2]
	}
	if i := slices.Index(words, "except"); i >= 0 {
		for _, w := range items(strings.Fields(strings.ReplaceAll(strings.Join(words[i+1:], " "), ",", " , "))) {
			row.except = append(row.except, x.subnets(w, at)...)
		}
		if words = words[:i]; row.except == nil {
			x.addf(at, "needs addresses behind except")
			return
		}
	}
	c, ok := x.clause(strings.Join(words, " "), at)
	switch {
	case !ok:
		return
	case c.from == egress || c.protocol == "arp" || c.protocol == "ip":
		x.addf(at, "a group's rules are for tcp, udp, sctp, icmp or any, and say from whom with <-, to whom with ->")
		return
	case row.except != nil && slices.ContainsFunc(c.peers, func(p peer) bool { return p.group != "" || p.addresses != "" }):
		x.addf(at, "except is of subnets or of any, not of groups")
		return
	}
	if row.plain(c) {
		g.addText(c)
		return
	}
	g.addRows(row, c)
}

// plain reports whether the text of a security group can say it.
func (r ruleRow) plain(c clause) bool {
	return !r.egress && r.action == model.RuleAllow && r.priority == 0 && r.except == nil && slices.Contains([]string{"tcp", "udp", "icmp"}, c.protocol) &&
		!slices.ContainsFunc(c.ports, func(p portRange) bool { return p.first != p.last }) && !slices.ContainsFunc(c.peers, func(p peer) bool { return p.addresses != "" })
}

// addText adds a rule to the text of the group.
func (g *group) addText(c clause) {
	for _, p := range c.peers {
		for _, source := range p.sources() {
			for _, number := range c.ports {
				n := fmt.Sprint(number.first)
				if c.protocol == "icmp" {
					n = "-1"
				}
				text := c.protocol + ":" + n + ":" + source
				if !slices.Contains(g.rules, text) {
					g.rules = append(g.rules, text)
				}
			}
		}
	}
}

// addRows adds a rule for each range of ports and each kind of peers: the subnets are together, and any is all there is.
func (g *group) addRows(r ruleRow, c clause) {
	var peers []ruleRow
	var subnets []netip.Prefix
	for _, p := range c.peers {
		switch {
		case p.group != "" || p.addresses != "":
			peers = append(peers, ruleRow{group: p.group, sets: p.addresses})
		case p.subnet.IsValid():
			subnets = append(subnets, p.subnet)
		}
	}
	if slices.Contains(c.peers, peer{}) {
		subnets, peers = nil, []ruleRow{{}}
	}
	if subnets != nil {
		peers = append(peers, ruleRow{subnets: subnets})
	}
	r.protocol = c.protocol
	for _, ports := range c.ports {
		for _, p := range peers {
			r.ports, r.subnets, r.group, r.sets = ports, p.subnets, p.group, p.sets
			g.rows = append(g.rows, r)
		}
	}
}

// prefixText gives subnets in the syntax of a field.
func prefixText(ps []netip.Prefix) string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

func (x *expansion) groupDocuments() {
	for _, s := range x.sets {
		x.add(s.at, model.AddressGroups, s.uuid, "display_name", s.name, "addresses", prefixText(s.prefixes)).at("addresses", s.at)
	}
	for _, g := range x.groups {
		pairs := []any{"display_name", g.name, "rules", strings.Join(g.rules, ",")}
		if slices.ContainsFunc(g.rows, func(r ruleRow) bool { return r.egress }) {
			pairs = append(pairs, "egress_filtering_enabled", true)
		}
		x.add(g.at, model.SecurityGroups, g.uuid, pairs...).at("rules", g.at)
		for _, r := range g.rows {
			x.rowDocument(g, r)
		}
	}
}

func (x *expansion) rowDocument(g *group, r ruleRow) {
	params := []any{"protocol", r.protocol, "port_first", r.ports.first, "port_last", r.ports.last, "remote_addresses", prefixText(r.subnets),
		"excluded_addresses", prefixText(r.except), "remote_group_uuid", r.group, "remote_address_group_uuid", r.sets, "action", r.action, "priority", r.priority}
	if r.ports.first == r.ports.last {
		params[5] = ""
	}
	if r.egress {
		params = append(params, "direction", model.RuleEgress)
	}
	uuid := derived(model.SecurityGroupRules, x.name, g.name, fmt.Sprint(append(params, g.name)...))
	if x.uuids[uuid] != "" { // the same is said twice
		return
	}
	x.add(r.at, model.SecurityGroupRules, uuid, append(params, "security_group_uuid", g.uuid)...)
}

package oracle

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
)

// group is a security group.
type group struct {
	*model.SecurityGroup
	ingress, egress []rule
	members         map[netip.Addr][]*station // the members' stations by their addresses
	leased          map[netip.Addr]bool       // all that members have leases of
}

// rule is a rule of a security group.
type rule struct {
	protocol    string // any, tcp, udp, sctp, icmp
	first, last uint16 // ports; 0 and 0 for all
	kind, code  int    // of ICMP; -1 for all
	anybody     bool   // the peer need not be in what follows
	prefixes    []netip.Prefix
	group       *group
	excluded    []netip.Prefix
	action      ruleAction
	priority    uint16
	log         bool
}

// ruleAction is in the order in which rules of equal priority decide.
type ruleAction uint8

const (
	ruleDrop ruleAction = iota
	ruleReject
	ruleStateless
	ruleAllow
)

func (w *World) addGroups() {
	for g := range each[*model.SecurityGroup](w.g, model.SecurityGroups) {
		w.groups[g.UUID] = &group{SecurityGroup: g, members: map[netip.Addr][]*station{}, leased: map[netip.Addr]bool{}}
	}
	for m := range each[*model.SecurityGroupInterface](w.g, model.SecurityGroupInterfaces) {
		g, i := w.groups[m.SecurityGroupUUID], w.interfaces[m.InterfaceUUID]
		if g == nil || i == nil {
			continue
		}
		i.groups = append(i.groups, g)
		for l := range w.leases(i) {
			if !l.lease.LinkLocal() {
				g.leased[l.lease.Addr()] = true
			}
		}
		for _, s := range i.stations {
			for _, a := range s.addresses {
				g.members[a] = append(g.members[a], s)
			}
		}
	}
	for _, g := range w.groups {
		w.addRules(g)
	}
	for _, i := range w.interfaces {
		i.judgedInward = i.IngressFilteringEnabled || len(i.groups) > 0
		for _, g := range i.groups {
			i.ingress, i.egress = append(i.ingress, g.ingress...), append(i.egress, g.egress...)
			i.judgedOutward = i.judgedOutward || g.EgressFilteringEnabled
		}
		slices.SortStableFunc(i.ingress, compareRules)
		slices.SortStableFunc(i.egress, compareRules)
	}
}

// compareRules is negative if a decides before b. Of rules that say the same one that logs comes first.
func compareRules(a, b rule) int {
	return cmp.Or(-cmp.Compare(a.priority, b.priority), cmp.Compare(a.action, b.action), first(a.log, b.log))
}

// addRules reads a group's rules: those of the text form, trust_members, and security group rules.
func (w *World) addRules(g *group) {
	text, err := g.Rules.Parse()
	if err != nil {
		text = nil // which no stored group has
	}
	for _, t := range text {
		n := rule{protocol: t.Protocol, first: t.Port, last: t.Port, kind: -1, code: -1, action: ruleAllow}
		if t.Group != "" {
			n.group = w.groups[t.Group]
		} else {
			n.prefixes = []netip.Prefix{t.Source}
		}
		g.ingress = append(g.ingress, n)
	}
	if g.TrustMembers {
		trust := rule{protocol: "any", kind: -1, code: -1, group: g, action: ruleStateless}
		g.ingress, g.egress = append(g.ingress, trust), append(g.egress, trust)
	}
	for _, s := range graph.Children[*model.SecurityGroupRule](w.g, g.UUID, "security_group_rules.security_group_uuid") {
		n := rule{
			protocol: s.Protocol, first: s.PortFirst, last: max(s.PortFirst, s.PortLast), kind: s.ICMPType, code: s.ICMPCode,
			excluded: s.ExcludedAddresses.Prefixes(), priority: s.Priority, log: s.Log,
		}
		switch {
		case s.RemoteAddresses != "":
			n.prefixes = s.RemoteAddresses.Prefixes()
		case s.RemoteGroupUUID != "":
			n.group = w.groups[s.RemoteGroupUUID]
		case s.RemoteAddressGroupUUID != "":
			if a, ok := graph.Lookup[*model.AddressGroup](w.g, s.RemoteAddressGroupUUID); ok {
				n.prefixes = a.Addresses.Prefixes()
			}
		default:
			n.anybody = true
		}
		switch {
		case s.Action == model.RuleDrop:
			n.action = ruleDrop
		case s.Action == model.RuleReject:
			n.action = ruleReject
		case s.Stateless:
			n.action = ruleStateless
		default:
			n.action = ruleAllow
		}
		if s.Direction == model.RuleEgress {
			g.egress = append(g.egress, n)
		} else {
			g.ingress = append(g.ingress, n)
		}
	}
}

// judgesGroups reports whether security groups have to do with the interface.
func (i *iface) judgesGroups() bool { return i.judgedInward || i.judgedOutward }

// judgeByGroups gives the verdict of the interface's security groups for a packet in the domain.
func (i *iface) judgeByGroups(dir direction, d *domain, p *packet) verdict {
	judged, rules, peer := i.judgedInward, i.ingress, p.from
	if dir == outward {
		judged, rules, peer = i.judgedOutward, i.egress, p.to
	}
	switch {
	case p.isARP() || p.isND() || !i.judgesGroups():
		return verdict{action: pass}
	case !judged: // outwards; who is judged outwards is inwards too
		if at := slices.IndexFunc(rules, func(n rule) bool { return n.action == ruleStateless && n.matches(d, p, peer) }); at >= 0 {
			return verdict{action: pass, log: rules[at].log}
		}
		return verdict{action: passWithMemory}
	}
	at := slices.IndexFunc(rules, func(n rule) bool { return n.matches(d, p, peer) })
	if at < 0 {
		return verdict{why: reason.SecurityGroup}
	}
	v := verdict{log: rules[at].log}
	switch rules[at].action {
	case ruleDrop:
		v.why = reason.Rule
	case ruleReject:
		v.why = reason.Reject
	case ruleAllow:
		v.action = passWithMemory
	case ruleStateless:
		v.action = pass
	}
	return v
}

// matches reports whether the rule matches a packet in the domain with that peer. To fragments rules that refuse apply whatever ports and types
// they name, others if they name none.
func (n *rule) matches(d *domain, p *packet, peer netip.Addr) bool {
	switch {
	case !matchesProtocol(n.protocol, p):
	case p.fragment && n.refuses():
		return n.hasPeer(d, peer)
	case (n.first != 0 || n.last != 0) && (!p.hasPorts || p.toPort < n.first || p.toPort > n.last):
	case n.kind >= 0 && (!p.icmp.known || int(p.icmp.kind) != n.kind):
	case n.code >= 0 && (!p.icmp.known || int(p.icmp.code) != n.code):
	default:
		return n.hasPeer(d, peer)
	}
	return false
}

func (n *rule) refuses() bool { return n.action == ruleDrop || n.action == ruleReject }

// hasPeer reports whether the rule means that peer.
func (n *rule) hasPeer(d *domain, peer netip.Addr) bool {
	contains := func(prefix netip.Prefix) bool { return prefix.Contains(peer) }
	if slices.ContainsFunc(n.excluded, contains) {
		return false
	}
	return n.anybody || slices.ContainsFunc(n.prefixes, contains) || n.group != nil && n.group.has(peer, d)
}

// has reports whether the address, as a peer in the domain, is a member's: of its stations there, or a leased one that is in no subnet of the domain.
func (g *group) has(a netip.Addr, d *domain) bool {
	return slices.ContainsFunc(g.members[a], func(s *station) bool { return s.domain == d }) || g.leased[a] && !d.inSubnet(a)
}

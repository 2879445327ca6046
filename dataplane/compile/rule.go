package compile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/internal/cover"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// effect is what a rule does. Of rules of equal priority the highest decides.
type effect uint16

const (
	allow     effect = iota // and remember the conversation
	stateless               // allow without
	reject
	drop
	effects
)

// rule is one rule of a security group, whatever way it was written.
type rule struct {
	id       uint32 // of its conjunction, unique on the host
	owner    pipeline.Owner
	out      bool
	priority uint16
	effect   effect
	log      bool
	service  service

	// The peer: a member of the group, or one of the prefixes, or anybody.
	group    string
	prefixes []netip.Prefix
	anybody  bool
}

func (r *rule) side() side {
	if r.out {
		return outwards
	}
	return inwards
}

// level gives the OpenFlow priority of the rule: of rules that say the same, those that log come first.
func (r *rule) level() uint16 {
	l := (r.priority*uint16(effects) + uint16(r.effect)) * 2
	if r.log {
		l++
	}
	return prioRules + l
}

// dims gives how many dimensions the rule's conjunction has: the rule set, the service, and the peer if it is not anybody.
func (r *rule) dims() uint8 {
	if r.anybody {
		return 2
	}
	return 3
}

const (
	dimRuleSet = 1
	dimService = 2
	dimPeer    = 3
)

// clause says that packets which match meet a dimension of the rule.
func (r *rule) clause(dim uint8, preds ...flow.Pred) (state.Clause, error) {
	m, err := flow.NewMatch(preds...)
	return r.says(dim, m), err
}

func (r *rule) says(dim uint8, m flow.Match) state.Clause {
	return state.Clause{Flow: flow.Key{Table: r.side().rules.ID, Priority: r.level(), Match: m}, ID: r.id, Dim: dim, Dims: r.dims()}
}

// Ids of conjunctions. Rules that are objects have their own id with the highest bit; rules of a group's text, and those of trust, that of the
// group with the place in the group.
const (
	ruleIDs    = 1 << 31
	placeBits  = 9
	trustIn    = 1<<placeBits - 2
	trustOut   = 1<<placeBits - 1
	maxGroupID = 1<<22 - 1
)

func groupIDError(g *model.SecurityGroup) error {
	return fmt.Errorf("security group %s has id %d, and its rules have numbers up to id %d only: its interfaces are closed", g.UUID, g.ID, maxGroupID)
}

// ownRules gives the rules of a group that are no objects: those of its text, and of trust.
func ownRules(g *model.SecurityGroup) ([]rule, error) {
	if g.ID > maxGroupID {
		return nil, groupIDError(g)
	}
	owner := pipeline.Owner{Kind: pipeline.KindGroup, ID: g.ID}
	texts, err := g.Rules.Parse()
	if err != nil {
		return nil, err
	}
	var rules []rule
	for n, t := range texts {
		r := rule{id: g.ID<<placeBits | uint32(n), owner: owner, group: t.Group, service: service{protocol: t.Protocol, first: t.Port, last: t.Port, icmpType: -1, icmpCode: -1}}
		if t.Group == "" {
			r.prefixes = []netip.Prefix{t.Source.Masked()}
		}
		rules = append(rules, r)
	}
	if g.TrustMembers {
		for _, out := range []bool{false, true} {
			place := uint32(trustIn)
			if out {
				place = trustOut
			}
			rules = append(rules, rule{id: g.ID<<placeBits | place, owner: owner, out: out, effect: stateless, service: anyService, group: g.UUID})
		}
	}
	return rules, nil
}

// objectRule gives the rule of a security group rule.
func (in *Input) objectRule(o *model.SecurityGroupRule) rule {
	r := rule{
		id: ruleIDs | o.ID, owner: pipeline.Owner{Kind: pipeline.KindRule, ID: o.ID}, out: o.Direction == model.RuleEgress, priority: o.Priority, log: o.Log,
		service: service{o.Protocol, o.PortFirst, max(o.PortFirst, o.PortLast), o.ICMPType, o.ICMPCode}, group: o.RemoteGroupUUID,
	}
	switch {
	case o.Action == model.RuleDrop:
		r.effect = drop
	case o.Action == model.RuleReject:
		r.effect = reject
	case o.Stateless:
		r.effect = stateless
	}
	switch {
	case o.RemoteGroupUUID != "":
	case o.RemoteAddressGroupUUID != "":
		if ag, ok := graph.Lookup[*model.AddressGroup](in.X.Graph(), o.RemoteAddressGroupUUID); ok {
			r.prefixes = cover.Union(ag.Addresses.Prefixes()...)
		}
	default:
		r.prefixes = o.RemotePrefixes()
		r.anybody = o.RemoteAddresses == "" && o.ExcludedAddresses == ""
	}
	return r
}

const (
	refRuleGroup   = "security_group_rules.security_group_uuid"
	refRulePeer    = "security_group_rules.remote_group_uuid"
	refRuleAddress = "security_group_rules.remote_address_group_uuid"
	refTextPeer    = "security_groups.rules"
)

// groupPresent reports whether the group has a member on this host.
func (in *Input) groupPresent(group string) bool {
	return in.X.Present(span.Pair{Network: group, Datapath: in.Self})
}

// groupRules gives all rules of a group.
func (in *Input) groupRules(group string) []rule {
	var rules []rule
	if g, ok := graph.Lookup[*model.SecurityGroup](in.X.Graph(), group); ok {
		rules, _ = ownRules(g) // the group's unit tells of an error, and the interfaces are closed
	}
	for o := range in.X.Graph().Referrers(group, refRuleGroup) {
		rules = append(rules, in.objectRule(o.(*model.SecurityGroupRule)))
	}
	return rules
}

// rulesOf gives the rules on this host that name the group as the peer, by their own group.
func (in *Input) rulesOf(group string) map[string][]rule {
	g := in.X.Graph()
	rules := map[string][]rule{}
	own := func(uuid string) {
		o, ok := graph.Lookup[*model.SecurityGroup](g, uuid)
		if _, done := rules[uuid]; !ok || done || !in.groupPresent(uuid) {
			return
		}
		all, _ := ownRules(o)
		for _, r := range all {
			if r.group == group {
				rules[uuid] = append(rules[uuid], r)
			}
		}
	}
	own(group)
	for o := range g.Referrers(group, refTextPeer) {
		own(o.Base().UUID)
	}
	for o := range g.Referrers(group, refRulePeer) {
		if r := o.(*model.SecurityGroupRule); in.groupPresent(r.SecurityGroupUUID) {
			rules[r.SecurityGroupUUID] = append(rules[r.SecurityGroupUUID], in.objectRule(r))
		}
	}
	return rules
}

// groupFeature is the rules of a security group that are no objects of their own, ruleFeature those that are.
var (
	groupFeature = feature{
		kind: "security_group",
		units: func(in *Input, yield func(state.Unit)) {
			for _, o := range in.X.Graph().List(model.SecurityGroups) {
				yield(state.Unit{Kind: "security_group", UUID: o.Base().UUID})
			}
		},
		items: func(in *Input, u state.Unit) (state.Items, error) {
			g, ok := graph.Lookup[*model.SecurityGroup](in.X.Graph(), u.UUID)
			if !ok || !in.groupPresent(u.UUID) {
				return state.Items{}, nil
			}
			rules, err := ownRules(g)
			if err != nil {
				return state.Items{}, err
			}
			return compileRules(rules)
		},
		dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
			for _, c := range e.Changed {
				for _, o := range []model.Object{c.Old, c.New} {
					if g, ok := o.(*model.SecurityGroup); ok {
						add(state.Unit{Kind: "security_group", UUID: g.UUID})
					}
				}
			}
			for p := range e.Flips {
				if p.Datapath == in.Self && model.ByUUID(p.Network) == model.SecurityGroups {
					add(state.Unit{Kind: "security_group", UUID: p.Network})
				}
			}
		},
	}
	ruleFeature = feature{
		kind: "security_group_rule",
		units: func(in *Input, yield func(state.Unit)) {
			for _, o := range in.X.Graph().List(model.SecurityGroupRules) {
				yield(ruleUnit(o))
			}
		},
		items: func(in *Input, u state.Unit) (state.Items, error) {
			o, ok := graph.Lookup[*model.SecurityGroupRule](in.X.Graph(), u.UUID)
			if !ok || !in.groupPresent(o.SecurityGroupUUID) {
				return state.Items{}, nil
			}
			return compileRules([]rule{in.objectRule(o)})
		},
		dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
			g := in.X.Graph()
			each := func(uuid, ref string) {
				for o := range g.Referrers(uuid, ref) {
					add(ruleUnit(o))
				}
			}
			for _, c := range e.Changed {
				for _, o := range []model.Object{c.Old, c.New} {
					switch o := o.(type) {
					case *model.SecurityGroupRule:
						add(ruleUnit(o))
					case *model.AddressGroup:
						each(o.UUID, refRuleAddress)
					}
				}
			}
			for p := range e.Flips {
				if p.Datapath == in.Self {
					each(p.Network, refRuleGroup)
				}
			}
		},
	}
)

func ruleUnit(o model.Object) state.Unit {
	return state.Unit{Kind: "security_group_rule", UUID: o.Base().UUID}
}

// compileRules gives what the rules do, and what they say themselves of the packets that they are about.
func compileRules(rules []rule) (state.Items, error) {
	var items state.Items
	var errs []error
	for n := range rules {
		r := &rules[n]
		b := pipeline.NewBuilder(r.owner)
		r.decide(b)
		items.Flows = append(items.Flows, b.Flows()...)
		errs = append(errs, b.Err())
		add := func(dim uint8, preds ...flow.Pred) {
			c, err := r.clause(dim, preds...)
			items.Clauses = append(items.Clauses, c)
			errs = append(errs, err)
		}
		for _, preds := range r.service.matches(r.effect == drop || r.effect == reject) {
			add(dimService, preds...)
		}
		for _, p := range r.prefixes {
			if p.Bits() > 0 {
				add(dimPeer, r.side().peer.prefix(p)...)
				continue
			}
			// All of a family would be the same match as any service of it, and a flow is in one dimension of a rule only.
			low, high := cover.Halves(p)
			add(dimPeer, r.side().peer.prefix(low)...)
			add(dimPeer, r.side().peer.prefix(high)...)
		}
	}
	return items, errors.Join(errs...)
}

// prefix gives the predicates of an end that is in p.
func (f fields) prefix(p netip.Prefix) pipeline.Preds {
	if p.Addr().Is4() {
		return pipeline.Preds{isIPv4, f.ipv4.Prefix(p)}
	}
	return pipeline.Preds{isIPv6, f.ipv6.Prefix(p)}
}

// decide adds the flows that a packet meets which is in all dimensions of the rule.
func (r *rule) decide(b *pipeline.Builder) {
	s := r.side()
	on := flow.GotoTable{Table: s.next.ID}
	var actions []flow.Action
	if r.log {
		of := binary.BigEndian.AppendUint32(nil, uint32(r.owner.Kind)<<28|r.owner.ID)
		actions = append(actions, pipeline.Class.Set(uint32(pipeline.PuntLog)), flow.Controller{Userdata: of, Meter: pipeline.PuntLog.Meter(pipeline.HostSlot)}, pipeline.Class.Set(0))
	}
	conj := flow.ConjID.Is(uint64(r.id))
	if r.effect == stateless {
		b.Flow(s.rules, r.level(), pipeline.Preds{conj}, append(actions, on)...)
		return
	}
	switch r.effect {
	case allow:
		actions = append(actions, remember(pipeline.GroupZone), on)
	case drop:
		actions = append(actions, pipeline.Verdict.Set(verdictDrop), s.ask(pipeline.GroupZone, s.answer))
	case reject:
		actions = append(actions, pipeline.Verdict.Set(verdictReject), s.ask(pipeline.GroupZone, s.answer))
	}
	for _, v := range ipVersions { // the connection tracker takes nothing else
		b.Flow(s.rules, r.level(), pipeline.Preds{conj, v}, actions...)
	}
}

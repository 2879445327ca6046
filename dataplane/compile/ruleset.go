package compile

import (
	"errors"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// ruleSetFeature is each set of security groups that an interface of this host has.
var ruleSetFeature = feature{
	kind: "rule_set",
	units: func(in *Input, yield func(state.Unit)) {
		for i := range in.X.InterfacesAt(in.Self) {
			if o, ok := graph.Lookup[*model.Interface](in.X.Graph(), i); ok {
				if set, judged := in.ruleSet(o); judged {
					yield(set.unit())
				}
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.compileRuleSet(ruleSet(u.UUID)) },
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		for _, m := range e.Interfaces {
			was, is := m.Attached(in.Self)
			before, after := m.Domains()
			if was {
				add(ruleSetOf(before).unit())
			}
			if is {
				add(ruleSetOf(after).unit())
			}
		}
		groups := map[string]struct{}{}
		for _, c := range e.Changed {
			for _, o := range []model.Object{c.Old, c.New} {
				switch o := o.(type) {
				case *model.SecurityGroup:
					groups[o.UUID] = struct{}{}
				case *model.SecurityGroupRule:
					groups[o.SecurityGroupUUID] = struct{}{}
				}
			}
		}
		for g := range groups {
			for i := range in.localMembers(g) {
				add(ruleSetOf(in.X.Domains(i)).unit())
			}
		}
	},
}

func (s ruleSet) unit() state.Unit { return state.Unit{Kind: "rule_set", UUID: string(s)} }

// localMembers gives the interfaces of a group that are on this host.
func (in *Input) localMembers(group string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range in.X.InterfacesOf(group) {
			if in.X.Attached(i, in.Self) && !yield(i) {
				return
			}
		}
	}
}

// compileRuleSet says which rules count for a rule set, and remembers what its interfaces send where it does not judge that.
func (in *Input) compileRuleSet(set ruleSet) (state.Items, error) {
	if !in.any(countRuleSet, string(set)) {
		return state.Items{}, nil
	}
	is := pipeline.RuleSet.IsValue(flow.Uint(set.hash()))
	judgesOut := false
	var rules []rule
	for _, uuid := range set.groups() {
		if g, ok := graph.Lookup[*model.SecurityGroup](in.X.Graph(), uuid); ok {
			judgesOut = judgesOut || g.EgressFilteringEnabled
		}
		rules = append(rules, in.groupRules(uuid)...)
	}
	var items state.Items
	var errs []error
	for n := range rules {
		if r := &rules[n]; !r.out || judgesOut || r.effect == stateless {
			c, err := r.clause(dimRuleSet, is)
			items.Clauses = append(items.Clauses, c)
			errs = append(errs, err)
		}
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindPeers})
	if s := outwards; !judgesOut {
		on := flow.GotoTable{Table: s.next.ID}
		b.Flow(s.rules, prioNotSet-1, pipeline.Preds{is}, on)
		for _, v := range ipVersions {
			b.Flow(s.rules, prioNotSet, pipeline.Preds{is, v}, remember(pipeline.GroupZone), on)
		}
	}
	items, err := result(b, items)
	return items, errors.Join(append(errs, err)...)
}

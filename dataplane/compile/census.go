package compile

import (
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// census counts interfaces of this host that flows of other interfaces hang on. What it says follows from the graph alone; it is
// kept beside it so that one interface is compiled without a look at the others.
type census struct {
	of     map[string][]question // by interface
	counts map[question]int
	groups map[string]map[string]struct{} // by security group: the domains that its members are in
	moved  map[question]struct{}          // those of which the answer may have changed by the last changes
}

// question is whether any interface counts.
type question struct{ what, of string }

const (
	countGuests  = "guests"   // interfaces but the host's own, of a domain
	countRouting = "routing"  // guests of a domain that may send from any address
	countRuleSet = "rule set" // interfaces that have it
	// What else is counted is members of a security group, which is named by its uuid, of a domain.
)

// census gives the census, which is made when it is first needed.
func (in *Input) census() *census {
	if in.counted == nil {
		in.counted = &census{map[string][]question{}, map[question]int{}, map[string]map[string]struct{}{}, map[question]struct{}{}}
		for _, o := range in.X.Graph().List(model.Interfaces) {
			in.counted.count(in, o.Base().UUID)
		}
		in.counted.moved = map[question]struct{}{}
	}
	return in.counted
}

// count counts an interface anew.
func (c *census) count(in *Input, iface string) {
	add := func(q question, by int) {
		before := c.counts[q]
		if c.counts[q] = before + by; before+by == 0 {
			delete(c.counts, q)
		}
		if (before == 0) != (before+by == 0) {
			c.moved[q] = struct{}{}
			c.note(q, before == 0)
		}
	}
	now := in.questions(iface)
	for _, q := range now {
		add(q, 1)
	}
	for _, q := range c.of[iface] {
		add(q, -1)
	}
	if c.of[iface] = now; now == nil {
		delete(c.of, iface)
	}
}

// note keeps the domains of security groups.
func (c *census) note(q question, any bool) {
	switch {
	case !q.ofGroup():
	case !any:
		if delete(c.groups[q.what], q.of); len(c.groups[q.what]) == 0 {
			delete(c.groups, q.what)
		}
	case c.groups[q.what] == nil:
		c.groups[q.what] = map[string]struct{}{q.of: {}}
	default:
		c.groups[q.what][q.of] = struct{}{}
	}
}

func (q question) ofGroup() bool {
	return q.what != countGuests && q.what != countRouting && q.what != countRuleSet
}

// questions gives what an interface counts for.
func (in *Input) questions(iface string) []question {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), iface)
	if !ok || !in.X.Attached(iface, in.Self) {
		return nil
	}
	var qs []question
	groups := securityGroups(in.X.Domains(iface))
	for _, d := range in.X.Domains(iface) {
		if !addressed(d) {
			continue
		}
		for _, g := range groups {
			qs = append(qs, question{g, d})
		}
		if i.Mode != model.InterfaceHost {
			qs = append(qs, question{countGuests, d})
		}
		if i.Mode == model.InterfaceVIF && i.EnableRouting {
			qs = append(qs, question{countRouting, d})
		}
	}
	if set, judged := in.ruleSet(i); judged {
		qs = append(qs, question{countRuleSet, string(set)})
	}
	return qs
}

// recount brings the census up to date.
func (in *Input) recount(e *span.Effects) {
	if in.counted == nil {
		return // not asked for yet
	}
	in.counted.moved = map[question]struct{}{} // not cleared: it would stay as large as it has ever been
	for i := range e.Interfaces {
		in.counted.count(in, i)
	}
}

// domainsRecounted gives the domains for which an answer may have changed by the last recount, some more than once.
func (in *Input) domainsRecounted(yield func(uuid string) bool) {
	in.recounted(func(q question) bool { return q.ofGroup() || q.what == countRuleSet || yield(q.of) })
}

// groupsRecounted gives the security groups of which members have come into a domain that no other member here is in, or left one so, some more than once.
func (in *Input) groupsRecounted(yield func(uuid string) bool) {
	in.recounted(func(q question) bool { return !q.ofGroup() || yield(q.what) })
}

func (in *Input) recounted(yield func(question) bool) {
	if in.counted == nil {
		return
	}
	for q := range in.counted.moved {
		if !yield(q) {
			return
		}
	}
}

// any reports whether any interface of this host counts.
func (in *Input) any(what, of string) bool { return in.census().counts[question{what, of}] > 0 }

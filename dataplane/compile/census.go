package compile

import (
	"strings"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// census counts, by domain, interfaces of this host that flows of all other interfaces of the domain hang on. What it says follows from the graph alone; it is
// kept beside it so that one interface is compiled without a look at the others.
type census struct {
	of     map[string][]question // by interface
	counts map[question]int
	moved  map[string]struct{} // domains for which an answer has changed by the last changes
}

// question is what is counted in a domain.
type question struct{ what, domain string }

const (
	countGuests  = "guests"  // interfaces but the host's own
	countRouting = "routing" // guests that may send from any address
)

// census gives the census, which is made when it is first needed.
func (in *Input) census() *census {
	if in.counted == nil {
		in.counted = &census{map[string][]question{}, map[question]int{}, map[string]struct{}{}}
		for _, o := range in.X.Graph().List(model.Interfaces) {
			in.counted.count(in, o.Base().UUID)
		}
		clear(in.counted.moved)
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
			c.moved[q.domain] = struct{}{}
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

// questions gives what an interface counts for.
func (in *Input) questions(iface string) []question {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), iface)
	if !ok || i.Mode == model.InterfaceHost || in.X.Location(iface) != in.Self {
		return nil
	}
	var qs []question
	for _, d := range in.X.Domains(iface) {
		if !strings.HasPrefix(d, model.Networks.Prefix+"-") && !strings.HasPrefix(d, model.Segments.Prefix+"-") {
			continue
		}
		qs = append(qs, question{countGuests, d})
		if i.Mode == model.InterfaceVIF && i.EnableRouting {
			qs = append(qs, question{countRouting, d})
		}
	}
	return qs
}

// recount brings the census up to date.
func (in *Input) recount(e *span.Effects) {
	if in.counted == nil {
		return // not asked for yet
	}
	clear(in.counted.moved)
	for i := range e.Interfaces {
		in.counted.count(in, i)
	}
}

// recounted gives the domains for which an answer has changed by the last recount.
func (in *Input) recounted() map[string]struct{} {
	if in.counted == nil {
		return nil
	}
	return in.counted.moved
}

// any reports whether any interface of this host counts in the domain, or in a network that lies on it.
func (in *Input) any(what string, d Domain) bool {
	return in.census().counts[question{what, d.UUID}] > 0
}

package state

import (
	"cmp"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Clause says that packets which a flow matches meet one dimension of a conjunction. The flow lists what the clauses of all units say of it:
// so units share a flow without knowing of each other, and none has to be compiled again when another one comes or goes.
type Clause struct {
	Flow flow.Key
	ID   uint32 // of the conjunction
	Dim  uint8  // from 1
	Dims uint8
}

// clauseKey is the identity of a clause: a flow is of one dimension of a conjunction.
type clauseKey struct {
	flow flow.Key
	id   uint32
}

func (c Clause) key() clauseKey { return clauseKey{c.Flow, c.ID} }

// lists are the clauses, and what is made of them.
type lists struct {
	clauses *Table[clauseKey, Clause]
	of      map[flow.Key][]flow.Conjunction // by id
	flows   map[flow.Key][]flow.Flow
	touched map[flow.Key]Unit // of which of is not in flows yet, with a unit that has changed it
}

func newLists() lists {
	return lists{newTable(Clause.key), map[flow.Key][]flow.Conjunction{}, map[flow.Key][]flow.Flow{}, map[flow.Key]Unit{}}
}

// listing is the unit that the flows belong to which list clauses.
var listing = &unit{Unit: Unit{Kind: "clauses"}}

// replace changes what the flows list of a unit; put makes flows of it.
func (l *lists) replace(u *unit, old, new []Clause, conflicts *[]string) {
	var changed Delta[clauseKey, Clause]
	l.clauses.replace(u, old, new, &changed, conflicts)
	find := func(k clauseKey) ([]flow.Conjunction, int, bool) {
		l.touched[k.flow] = u.Unit
		cs := l.of[k.flow]
		i, ok := slices.BinarySearchFunc(cs, k.id, func(c flow.Conjunction, id uint32) int { return cmp.Compare(c.ID, id) })
		return cs, i, ok
	}
	for k := range changed.Del {
		if cs, i, ok := find(k); ok {
			l.of[k.flow] = slices.Delete(cs, i, i+1)
		}
	}
	for k, c := range changed.Set {
		conj := flow.Conjunction{ID: c.ID, Clause: c.Dim, N: c.Dims}
		cs, i, ok := find(k)
		if ok {
			cs[i] = conj
		} else {
			l.of[k.flow] = slices.Insert(cs, i, conj)
		}
	}
}

// put puts together the flows whose clauses have changed, and calls failed for a unit that has changed what cannot be.
func (s *State) put(d *Delta[flow.Key, flow.Flow], failed func(Unit, string)) {
	l := &s.lists
	for k, u := range l.touched {
		var flows []flow.Flow
		if cs := l.of[k]; len(cs) > 0 {
			var err error
			if flows, err = pipeline.Conjoin(k, cs); err != nil {
				failed(u, err.Error())
			}
		} else {
			delete(l.of, k)
		}
		var conflicts []string
		s.Flows.replace(listing, l.flows[k], flows, d, &conflicts)
		if conflicts != nil {
			failed(u, conflicts[0])
		}
		if l.flows[k] = flows; flows == nil {
			delete(l.flows, k)
		}
	}
	l.touched = map[flow.Key]Unit{} // not cleared: it would stay as large as it has ever been
}

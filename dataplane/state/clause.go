package state

import (
	"cmp"
	"fmt"
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
}

func newLists() lists {
	return lists{newTable(Clause.key), map[flow.Key][]flow.Conjunction{}, map[flow.Key][]flow.Flow{}}
}

// listing is the unit that the flows belong to which list clauses.
var listing = Unit{Kind: "clauses"}

func (s *State) replaceClauses(u Unit, old, new []Clause, d *Delta[flow.Key, flow.Flow], conflicts *[]string) {
	if len(old) == 0 && len(new) == 0 {
		return
	}
	var changed Delta[clauseKey, Clause]
	s.lists.clauses.replace(u, old, new, &changed, conflicts)
	touched := make(map[flow.Key]struct{}, len(changed.Set)+len(changed.Del))
	find := func(k clauseKey) ([]flow.Conjunction, int, bool) {
		touched[k.flow] = struct{}{}
		cs := s.lists.of[k.flow]
		i, ok := slices.BinarySearchFunc(cs, k.id, func(c flow.Conjunction, id uint32) int { return cmp.Compare(c.ID, id) })
		return cs, i, ok
	}
	for k := range changed.Del {
		if cs, i, ok := find(k); ok {
			s.lists.of[k.flow] = slices.Delete(cs, i, i+1)
		}
	}
	for k, c := range changed.Set {
		conj := flow.Conjunction{ID: c.ID, Clause: c.Dim, N: c.Dims}
		cs, i, ok := find(k)
		if ok {
			cs[i] = conj
		} else {
			s.lists.of[k.flow] = slices.Insert(cs, i, conj)
		}
	}
	for k := range touched {
		var flows []flow.Flow
		if cs := s.lists.of[k]; len(cs) > 0 {
			var err error
			if flows, err = pipeline.Conjoin(k, cs); err != nil {
				*conflicts = append(*conflicts, fmt.Sprint(err))
			}
		} else {
			delete(s.lists.of, k)
		}
		s.Flows.replace(listing, s.lists.flows[k], flows, d, conflicts)
		if s.lists.flows[k] = flows; flows == nil {
			delete(s.lists.flows, k)
		}
	}
}

package oftest

import (
	"cmp"
	"slices"
	"time"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// rule is a flow in a table.
type rule struct {
	flow.Flow
	acts    []flow.Action
	conj    []flow.Conjunction // if it is a part of conjunctive matches
	values  []uint64           // of its match, for the words of its subtable
	packets uint64
	bytes   uint64
	added   time.Time
}

// table is one flow table: a tuple space, one subtable for each set of bits that matches look at.
type table struct {
	rules  map[flow.Key]*rule
	byMask map[string]*subtable
	subs   []*subtable // by falling priority of the highest rule
	sorted bool
}

// subtable holds the rules that look at the same bits.
type subtable struct {
	words   []uint8
	masks   []uint64
	entries map[uint64]*entry // by hash of the values
	count   map[uint16]int    // rules by priority
	top     uint16            // highest priority
}

// entry holds the rules of a subtable that differ in nothing but their priority, the highest first.
type entry struct {
	values []uint64
	rules  []*rule
	next   *entry // another with the same hash
}

func newTable() *table {
	return &table{rules: map[flow.Key]*rule{}, byMask: map[string]*subtable{}}
}

// compileMatch gives the words that a match looks at, with masks and values.
func compileMatch(m flow.Match) (words []uint8, masks, values []uint64) {
	var mask, value key
	for p := range m.Preds() {
		mask.put(p.Field, p.Mask, p.Mask)
		value.put(p.Field, p.Value, p.Mask)
	}
	mask[wVLAN], value[wVLAN] = 0, 0 // put keeps the type of a tag there
	for i, w := range mask {
		if w != 0 {
			words, masks, values = append(words, uint8(i)), append(masks, w), append(values, value[i])
		}
	}
	return words, masks, values
}

func maskName(words []uint8, masks []uint64) string {
	b := make([]byte, 0, 9*len(words))
	for i, w := range words {
		m := masks[i]
		b = append(b, w, byte(m>>56), byte(m>>48), byte(m>>40), byte(m>>32), byte(m>>24), byte(m>>16), byte(m>>8), byte(m))
	}
	return string(b)
}

const hashMul = 0x9e3779b97f4a7c15

func mix(h, v uint64) uint64 {
	h = (h ^ v) * hashMul
	return h ^ h>>29
}

func hashValues(values []uint64) uint64 {
	h := uint64(0)
	for _, v := range values {
		h = mix(h, v)
	}
	return h
}

// insert adds a rule whose key the table does not have.
func (t *table) insert(r *rule) {
	words, masks, values := compileMatch(r.Match)
	r.values = values
	name := maskName(words, masks)
	s := t.byMask[name]
	if s == nil {
		s = &subtable{words: words, masks: masks, entries: map[uint64]*entry{}, count: map[uint16]int{}}
		t.byMask[name] = s
		t.subs = append(t.subs, s)
	}
	h := hashValues(values)
	e := s.entries[h]
	for e != nil && !slices.Equal(e.values, values) {
		e = e.next
	}
	if e == nil {
		e = &entry{values: values, next: s.entries[h]}
		s.entries[h] = e
	}
	i, _ := slices.BinarySearchFunc(e.rules, r.Priority, func(x *rule, p uint16) int { return cmp.Compare(p, x.Priority) })
	e.rules = slices.Insert(e.rules, i, r)
	s.count[r.Priority]++
	if r.Priority > s.top || len(s.count) == 1 {
		s.top = r.Priority
	}
	t.rules[r.Key()] = r
	t.sorted = false
}

// remove takes a rule of the table out.
func (t *table) remove(r *rule) {
	delete(t.rules, r.Key())
	words, masks, values := compileMatch(r.Match)
	name := maskName(words, masks)
	s := t.byMask[name]
	h := hashValues(values)
	for at := s.entries[h]; at != nil; at = at.next {
		if slices.Equal(at.values, values) {
			at.rules = slices.DeleteFunc(at.rules, func(x *rule) bool { return x == r })
			if len(at.rules) == 0 {
				s.drop(h, at)
			}
			break
		}
	}
	if s.count[r.Priority]--; s.count[r.Priority] == 0 {
		delete(s.count, r.Priority)
	}
	if len(s.count) == 0 {
		delete(t.byMask, name)
		t.subs = slices.DeleteFunc(t.subs, func(x *subtable) bool { return x == s })
		return
	}
	if r.Priority == s.top && s.count[r.Priority] == 0 {
		s.top = 0
		for p := range s.count {
			s.top = max(s.top, p)
		}
		t.sorted = false
	}
}

// drop unlinks an entry without rules.
func (s *subtable) drop(h uint64, gone *entry) {
	if s.entries[h] == gone {
		if gone.next == nil {
			delete(s.entries, h)
		} else {
			s.entries[h] = gone.next
		}
		return
	}
	for e := s.entries[h]; e != nil; e = e.next {
		if e.next == gone {
			e.next = gone.next
		}
	}
}

func (t *table) sort() {
	if !t.sorted {
		slices.SortStableFunc(t.subs, func(a, b *subtable) int { return cmp.Compare(b.top, a.top) })
		t.sorted = true
	}
}

// find gives the entry that the key falls into.
func (s *subtable) find(k *key) *entry {
	h := uint64(0)
	for i, w := range s.words {
		h = mix(h, k[w]&s.masks[i])
	}
next:
	for e := s.entries[h]; e != nil; e = e.next {
		for i, w := range s.words {
			if k[w]&s.masks[i] != e.values[i] {
				continue next
			}
		}
		return e
	}
	return nil
}

// lookup gives the rule for a packet; nil: none matches. Ports of fragments are not seen (OFPC_FRAG_NORMAL).
func (t *table) lookup(k *key) *rule {
	if k.frag()&fragAny != 0 {
		saved := k[wTp]
		k[wTp] &= 0xffffffff
		defer func() { k[wTp] = saved }()
	}
	return t.classify(k, true)
}

// classify is the lookup of the classifier of Open vSwitch, with conjunctive matches (ovs-fields(7)) or without.
func (t *table) classify(k *key, conjunctive bool) *rule {
	t.sort()
	var hard *rule
	var store [16]soft
	softs := store[:0]
	for _, s := range t.subs {
		if hard != nil && s.top <= hard.Priority {
			break
		}
		e := s.find(k)
		if e == nil {
			continue
		}
		r := e.rules[0]
		switch {
		case hard != nil && r.Priority <= hard.Priority:
		case len(r.conj) == 0:
			hard = r
		case conjunctive:
			softs = append(softs, soft{e.rules})
		}
	}
	for len(softs) > 0 {
		top := -1
		for i := range softs {
			if p := int(softs[i].rules[0].Priority); p > top {
				top = p
			}
		}
		if hard != nil && int(hard.Priority) >= top {
			break
		}
		if id, ok := complete(softs, uint16(top)); ok {
			saved := k[wMark]
			k[wMark] = saved&^0xffffffff | uint64(id)
			r := t.classify(k, false)
			k[wMark] = saved
			if r != nil {
				return r
			}
		}
		softs, hard = lower(softs, uint16(top), hard)
	}
	return hard
}

// soft is what is left of an entry whose first rule is a part of conjunctive matches.
type soft struct{ rules []*rule }

// complete finds a conjunctive match all of whose clauses are met by rules of one priority.
func complete(softs []soft, priority uint16) (uint32, bool) {
	type met struct {
		id      uint32
		clauses uint64
	}
	var store [16]met
	seen := store[:0]
	for _, s := range softs {
		r := s.rules[0]
		if r.Priority != priority {
			continue
		}
		for _, c := range r.conj {
			i := slices.IndexFunc(seen, func(m met) bool { return m.id == c.ID })
			if i < 0 {
				i = len(seen)
				seen = append(seen, met{c.ID, ^uint64(0) << c.N})
			}
			seen[i].clauses |= 1 << (c.Clause - 1)
			if seen[i].clauses == ^uint64(0) {
				return c.ID, true
			}
		}
	}
	return 0, false
}

// lower goes on to the rules below a priority; those of them that are no part of a conjunctive match compete as such.
func lower(softs []soft, priority uint16, hard *rule) ([]soft, *rule) {
	out := softs[:0]
	for _, s := range softs {
		if s.rules[0].Priority == priority {
			if s.rules = s.rules[1:]; len(s.rules) == 0 {
				continue
			}
			if r := s.rules[0]; len(r.conj) == 0 {
				if hard == nil || r.Priority > hard.Priority {
					hard = r
				}
				continue
			}
		}
		out = append(out, s)
	}
	return out, hard
}

package state

import (
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Delta is the change of one kind of item: new or other values by key, and keys that go.
type Delta[K comparable, V comparable] struct {
	Set map[K]V
	Del map[K]struct{}
}

// Empty reports whether nothing changes.
func (d *Delta[K, V]) Empty() bool { return len(d.Set) == 0 && len(d.Del) == 0 }

func (d *Delta[K, V]) set(k K, v V) {
	if d.Set == nil {
		d.Set = map[K]V{}
	}
	d.Set[k] = v
	delete(d.Del, k)
}

func (d *Delta[K, V]) del(k K) {
	if d.Del == nil {
		d.Del = map[K]struct{}{}
	}
	d.Del[k] = struct{}{}
	delete(d.Set, k)
}

// Table is the items of one kind by key. An item may be claimed by several units; the value is that of the one that sorts
// first.
type Table[K comparable, V comparable] struct {
	key    func(V) K
	claims map[K]claims[V]
}

// claims is one claim, nearly always, and more only where units share an item.
type claims[V comparable] struct {
	unit  *unit
	value V
	more  map[*unit]V // of units that all sort after unit
}

func newTable[K comparable, V comparable](key func(V) K) *Table[K, V] {
	return &Table[K, V]{key: key, claims: map[K]claims[V]{}}
}

// Len gives the number of items.
func (t *Table[K, V]) Len() int { return len(t.claims) }

// Get gives the item of that key.
func (t *Table[K, V]) Get(k K) (V, bool) {
	c, ok := t.claims[k]
	return c.value, ok
}

// Unit gives the unit whose item it is.
func (t *Table[K, V]) Unit(k K) (Unit, bool) {
	c, ok := t.claims[k]
	if !ok {
		return Unit{}, false
	}
	return c.unit.Unit, true
}

// All gives the items, in no order.
func (t *Table[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, c := range t.claims {
			if !yield(k, c.value) {
				return
			}
		}
	}
}

func (t *Table[K, V]) replace(u *unit, old, new []V, d *Delta[K, V], conflicts *[]string) {
	if len(old) == 0 && len(new) == 0 {
		return
	}
	keep := make(map[K]struct{}, len(new))
	for _, v := range new {
		k := t.key(v)
		keep[k] = struct{}{}
		before, had := t.Get(k)
		c := t.claims[k]
		t.claims[k] = c.with(u, v, had)
		after, _ := t.Get(k)
		if !had || before != after {
			d.set(k, after)
		}
		if after != v {
			*conflicts = append(*conflicts, fmt.Sprintf("%v is also claimed by %s", k, t.claims[k].unit.Unit))
		}
	}
	for _, v := range old {
		k := t.key(v)
		if _, ok := keep[k]; ok {
			continue
		}
		c, had := t.claims[k]
		if !had {
			continue
		}
		before := c.value
		c, any := c.without(u)
		if !any {
			delete(t.claims, k)
			d.del(k)
			continue
		}
		t.claims[k] = c
		if c.value != before {
			d.set(k, c.value)
		}
	}
}

func (c claims[V]) with(u *unit, v V, had bool) claims[V] {
	if !had || c.unit == u {
		return claims[V]{u, v, c.more}
	}
	if c.more == nil {
		c.more = map[*unit]V{}
	}
	if compareUnits(u.Unit, c.unit.Unit) > 0 {
		c.more[u] = v
		return c
	}
	c.more[c.unit] = c.value
	return claims[V]{u, v, c.more}
}

func (c claims[V]) without(u *unit) (claims[V], bool) {
	delete(c.more, u)
	if c.unit == u {
		if len(c.more) == 0 {
			return claims[V]{}, false
		}
		c.unit = slices.MinFunc(slices.Collect(maps.Keys(c.more)), func(a, b *unit) int { return compareUnits(a.Unit, b.Unit) })
		c.value = c.more[c.unit]
		delete(c.more, c.unit)
	}
	if len(c.more) == 0 {
		c.more = nil
	}
	return c, true
}

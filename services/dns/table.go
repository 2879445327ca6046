package dns

import "maps"

// shards is as many maps as a table is made of: a change copies one of them.
const shards = 1024

// table is a map from names that does not change: an editor makes another one, which shares with it what is the same.
type table[V any] struct {
	shards [shards]map[string]V
	size   int
}

func (t *table[V]) get(name string) (V, bool) {
	v, ok := t.shards[shardOf(name)][name]
	return v, ok
}

// shardOf gives the shard of a name (FNV-1a).
func shardOf(name string) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h % shards
}

// editor changes a copy of a table.
type editor[V any] struct {
	table *table[V]
	own   [shards]bool // shards that are not the former table's any more
}

func (t *table[V]) edit() *editor[V] {
	c := *t
	return &editor[V]{table: &c}
}

func (e *editor[V]) shard(name string) map[string]V {
	i := shardOf(name)
	if !e.own[i] {
		e.own[i] = true
		if e.table.shards[i] = maps.Clone(e.table.shards[i]); e.table.shards[i] == nil {
			e.table.shards[i] = map[string]V{}
		}
	}
	return e.table.shards[i]
}

func (e *editor[V]) put(name string, v V) {
	s := e.shard(name)
	if _, ok := s[name]; !ok {
		e.table.size++
	}
	s[name] = v
}

func (e *editor[V]) remove(name string) {
	s := e.shard(name)
	if _, ok := s[name]; ok {
		e.table.size--
		delete(s, name)
	}
}

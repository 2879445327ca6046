// Package graph holds a set of the domain's objects in memory, with the references between them in both directions, their
// unique keys, and their order of creation. The manager's copy of the store, a host's replica, a plan of documents and the
// state that a test describes are all one of these.
//
// It checks nothing: what goes in was checked when it was stored, and a reference may point at an object that is not there
// (a host is not sent everything). It is not safe for concurrent use; owners lock. Imported by store, manager, agent,
// dataplane/compile and model/span.
package graph

import (
	"cmp"
	"iter"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// Change is one object that was written, or removed (Object is nil then).
type Change struct {
	UUID   string
	Object model.Object
}

// Graph is the set. The zero value is not ready; use New.
type Graph struct {
	objects map[string]model.Object
	tables  map[*model.Resource]*table
	refs    map[refKey]*members
}

type table struct {
	order   []model.Object        // by id
	uniques []map[string]string   // as the resource's Uniques; of a shared group, the one that all have
	indexes []map[string]*members // as the resource's Indexes
}

type refKey struct {
	target string
	ref    string // Reference.Name
}

// New gives an empty set.
func New() *Graph { return sized(nil) }

// sized gives an empty set with room for so many objects of each resource.
func sized(sizes map[*model.Resource]int) *Graph {
	all := 0
	for _, n := range sizes {
		all += n
	}
	g := &Graph{objects: make(map[string]model.Object, all), tables: map[*model.Resource]*table{}, refs: make(map[refKey]*members, all)}
	shared := map[string]map[string]string{} // by group
	for _, r := range model.All() {
		t := &table{order: make([]model.Object, 0, sizes[r])}
		for _, u := range r.Uniques {
			m := make(map[string]string, sizes[r])
			if u.Shared {
				if shared[u.Name] == nil {
					shared[u.Name] = m
				}
				m = shared[u.Name]
			}
			t.uniques = append(t.uniques, m)
		}
		for range r.Indexes {
			t.indexes = append(t.indexes, make(map[string]*members, sizes[r]))
		}
		g.tables[r] = t
	}
	return g
}

// Put adds an object, or replaces the one of the same uuid, which it returns.
func (g *Graph) Put(o model.Object) (old model.Object) {
	r, uuid := model.Of(o), o.Base().UUID
	old = g.objects[uuid]
	if old != nil {
		g.unindex(r, old)
	}
	g.objects[uuid] = o
	t := g.tables[r]
	for i, u := range r.Uniques {
		if k, ok := u.Key(o); ok {
			t.uniques[i][k] = uuid
		}
	}
	for i, u := range r.Indexes {
		if k, ok := u.Key(o); ok {
			join(t.indexes[i], k, uuid)
		}
	}
	for _, ref := range r.Refs {
		for target := range ref.Targets(o) {
			join(g.refs, refKey{target, ref.Name}, uuid)
		}
	}
	if old != nil && old.Base().ID == o.Base().ID {
		i, _ := t.find(o.Base().ID)
		t.order[i] = o
		return old
	}
	if old != nil {
		t.remove(old.Base().ID)
	}
	t.insert(o)
	return old
}

// Delete removes the object of that uuid and returns it, nil if there was none.
func (g *Graph) Delete(uuid string) (old model.Object) {
	old = g.objects[uuid]
	if old == nil {
		return nil
	}
	r := model.Of(old)
	g.unindex(r, old)
	g.tables[r].remove(old.Base().ID)
	delete(g.objects, uuid)
	return old
}

func (g *Graph) unindex(r *model.Resource, o model.Object) {
	t := g.tables[r]
	for i, u := range r.Uniques {
		if k, ok := u.Key(o); ok && t.uniques[i][k] == o.Base().UUID {
			delete(t.uniques[i], k)
		}
	}
	for i, u := range r.Indexes {
		if k, ok := u.Key(o); ok {
			leave(t.indexes[i], k, o.Base().UUID)
		}
	}
	for _, ref := range r.Refs {
		for target := range ref.Targets(o) {
			leave(g.refs, refKey{target, ref.Name}, o.Base().UUID)
		}
	}
}

func join[K comparable](sets map[K]*members, k K, uuid string) {
	m := sets[k]
	if m == nil {
		m = &members{}
		sets[k] = m
	}
	m.add(uuid)
}

func leave[K comparable](sets map[K]*members, k K, uuid string) {
	if m := sets[k]; m != nil && m.remove(uuid) {
		delete(sets, k)
	}
}

// Apply makes one change and returns the object that was there before, or nil.
func (g *Graph) Apply(c Change) (old model.Object) {
	if c.Object == nil {
		return g.Delete(c.UUID)
	}
	return g.Put(c.Object)
}

// Get gives the object of that uuid.
func (g *Graph) Get(uuid string) (model.Object, bool) {
	o, ok := g.objects[uuid]
	return o, ok
}

// Lookup gives the object of that uuid if there is one of that type: Lookup[*model.Network](g, "nw-a").
func Lookup[T model.Object](g *Graph, uuid string) (T, bool) {
	o, ok := g.objects[uuid].(T)
	return o, ok
}

// Referrers gives the objects whose reference of that name ("ip_leases.interface_uuid") points at uuid, in no order. The
// set may not be changed during the iteration.
func (g *Graph) Referrers(uuid, ref string) iter.Seq[model.Object] {
	return g.these(g.refs[refKey{uuid, ref}])
}

func (g *Graph) these(m *members) iter.Seq[model.Object] {
	return func(yield func(model.Object) bool) {
		if m == nil {
			return
		}
		for u := range m.all() {
			if !yield(g.objects[u]) {
				return
			}
		}
	}
}

// Alike gives the objects of o's resource that have the values of o in an index, in no order, whether o is in the set or not. The set may not be changed during the iteration.
func (g *Graph) Alike(o model.Object, index string) iter.Seq[model.Object] {
	r := model.Of(o)
	i, u := r.Index(index)
	k, ok := u.Key(o)
	if !ok {
		return g.these(nil)
	}
	return g.these(g.tables[r].indexes[i][k])
}

// Children is Referrers with the objects' type, sorted by id: Children[*model.IPLease](g, "if-a", "ip_leases.interface_uuid").
func Children[T model.Object](g *Graph, uuid, ref string) []T {
	var os []T
	for o := range g.Referrers(uuid, ref) {
		os = append(os, o.(T))
	}
	slices.SortFunc(os, func(a, b T) int { return cmp.Compare(a.Base().ID, b.Base().ID) })
	return os
}

// ByUnique gives the uuid of the object of the resource, or of a shared group of any resource, that has these values in the uniqueness group;
// the values are the text forms in the order of the group's fields.
func (g *Graph) ByUnique(r *model.Resource, group string, values ...string) (string, bool) {
	for i, u := range r.Uniques {
		if u.Name != group {
			continue
		}
		key := ""
		for j, v := range values {
			if j > 0 {
				key += "/"
			}
			key += model.KeyPart(v)
		}
		uuid, ok := g.tables[r].uniques[i][key]
		return uuid, ok
	}
	panic("graph: " + r.Name + " has no uniqueness group " + group)
}

// List gives the objects of a resource by ascending id. The slice is the set's own: do not change it, and do not keep it
// beyond the lock under which it was read.
func (g *Graph) List(r *model.Resource) []model.Object { return g.tables[r].order }

// ByID gives the object of the resource with that id.
func (g *Graph) ByID(r *model.Resource, id uint32) (model.Object, bool) {
	t := g.tables[r]
	if i, ok := t.find(id); ok {
		return t.order[i], true
	}
	return nil, false
}

// All gives every object, resources in order of reference (model.All), each by ascending id.
func (g *Graph) All() iter.Seq[model.Object] {
	return func(yield func(model.Object) bool) {
		for _, r := range model.All() {
			for _, o := range g.tables[r].order {
				if !yield(o) {
					return
				}
			}
		}
	}
}

// Len gives the number of objects.
func (g *Graph) Len() int { return len(g.objects) }

func (t *table) find(id uint32) (int, bool) {
	return slices.BinarySearchFunc(t.order, id, func(o model.Object, id uint32) int { return cmp.Compare(o.Base().ID, id) })
}

func (t *table) insert(o model.Object) {
	if n := len(t.order); n == 0 || t.order[n-1].Base().ID < o.Base().ID {
		t.order = append(t.order, o)
		return
	}
	i, _ := t.find(o.Base().ID)
	t.order = slices.Insert(t.order, i, o)
}

func (t *table) remove(id uint32) {
	if i, ok := t.find(id); ok {
		t.order = slices.Delete(t.order, i, i+1)
	}
}

package store

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Tx is a transaction under way: the copy of the store as of one revision with the transaction's own writes over it. It is a
// model.Reader. What it reads is guarded: the commit fails, and the function runs again, if any of it has changed meanwhile.
// A Tx is for one goroutine, and only within the function that it was handed to. Objects that it gives out are shared:
// change a model.Clone.
type Tx struct {
	s      *Store
	base   *graph.Graph
	rev    int64 // of base
	now    time.Time
	writes map[string]*write
	order  []string     // uuids in the order of their first write
	over   *graph.Graph // the objects of writes
	guards guards
	fresh  uint32 // objects created so far
	held   []hold
}

// write is what the transaction has done to one object: nil for its absence.
type write struct{ old, new model.Object }

// freshID is the least of the provisional numbers that created objects have until the commit; they sort behind all others.
const freshID = 1 << 31

// ObjectError is a refusal that one written object is the cause of. It unwraps to a *model.Error, whose text is its own.
type ObjectError struct {
	UUID string
	Err  error
}

func (e *ObjectError) Error() string { return e.Err.Error() }

// Unwrap gives the *model.Error.
func (e *ObjectError) Unwrap() error { return e.Err }

// Get gives the object of that uuid. The bool is false if there is none.
func (tx *Tx) Get(uuid string) (model.Object, bool) {
	if w, ok := tx.writes[uuid]; ok {
		return w.new, w.new != nil
	}
	o, ok := tx.base.Get(uuid)
	tx.guards.object(uuid, o)
	return o, ok
}

// Referrers gives the objects whose reference of that name ("ip_leases.interface_uuid") points at uuid, in no order. The
// transaction may not write during the iteration.
func (tx *Tx) Referrers(uuid, ref string) iter.Seq[model.Object] {
	return func(yield func(model.Object) bool) {
		if w, ok := tx.writes[uuid]; !ok || w.old != nil {
			tx.guards.referrers(uuid)
			for o := range tx.base.Referrers(uuid, ref) {
				if _, ok := tx.writes[o.Base().UUID]; ok {
					continue
				}
				tx.guards.object(o.Base().UUID, o)
				if !yield(o) {
					return
				}
			}
		}
		for o := range tx.over.Referrers(uuid, ref) {
			if !yield(o) {
				return
			}
		}
	}
}

// Alike gives the objects of o's resource, o or not, that have the values of o in an index.
func (tx *Tx) Alike(o model.Object, index string) iter.Seq[model.Object] {
	return func(yield func(model.Object) bool) {
		r := model.Of(o)
		_, u := r.Index(index)
		if k, ok := u.Key(o); ok {
			tx.guards.value(indexName(r, u, k))
		}
		for o := range tx.base.Alike(o, index) {
			if _, ok := tx.writes[o.Base().UUID]; ok {
				continue
			}
			tx.guards.object(o.Base().UUID, o)
			if !yield(o) {
				return
			}
		}
		for o := range tx.over.Alike(o, index) {
			if !yield(o) {
				return
			}
		}
	}
}

// ByUnique gives the object of the resource that has these values in the uniqueness group, nil if there is none; the values are
// the text forms in the order of the group's fields.
func (tx *Tx) ByUnique(r *model.Resource, group string, values ...string) model.Object {
	if uuid, ok := tx.over.ByUnique(r, group, values...); ok {
		o, _ := tx.over.Get(uuid)
		return o
	}
	uuid, ok := tx.base.ByUnique(r, group, values...)
	if w := tx.writes[uuid]; ok && w != nil {
		return nil // this transaction has deleted it, or changed the values
	}
	for _, u := range r.Uniques {
		if u.Name == group {
			tx.guards.value(valueName(r, u, uniqueKey(values)))
		}
	}
	if !ok {
		return nil
	}
	o, _ := tx.Get(uuid)
	return o
}

// List gives the objects of a resource by ascending id, the transaction's own last. The commit notices if another one has been
// created or changed meanwhile, but a deletion only of those that Get gave as well; and it costs a read of the table:
// for small tables.
func (tx *Tx) List(r *model.Resource) []model.Object {
	tx.guards.table(tx.s.keys.table(r))
	base, over := tx.base.List(r), tx.over.List(r)
	os := make([]model.Object, 0, len(base)+len(over))
	for _, o := range base {
		if _, ok := tx.writes[o.Base().UUID]; !ok {
			os = append(os, o)
		}
	}
	return append(os, over...)
}

// Create adds an object, which becomes the store's. It gets a uuid if it has none, and its times; its number is known when
// Update has returned. The error is an *ObjectError: the uuid is taken, or model.Resource.Validate refuses.
func (tx *Tx) Create(o model.Object) error {
	r, m := model.Of(o), o.Base()
	if m.UUID == "" {
		for {
			m.UUID = r.NewUUID()
			if _, taken := tx.Get(m.UUID); !taken {
				break
			}
		}
	} else if _, taken := tx.Get(m.UUID); taken {
		return &ObjectError{m.UUID, model.Errorf(model.DuplicateUUID, "uuid", "there is %s %s already", r.Indefinite(), m.UUID)}
	}
	m.ID, m.CreatedAt, m.UpdatedAt, m.Revision = freshID+tx.fresh, tx.now, tx.now, 0
	tx.fresh++
	return tx.put(r, o)
}

// Update replaces the object of the same uuid; o becomes the store's. Its number and its time of creation stay. If o says nothing new,
// nothing is written. The error is an *ObjectError: there is no such object, or model.Resource.Validate refuses.
func (tx *Tx) Update(o model.Object) error {
	r, m := model.Of(o), o.Base()
	old, ok := tx.Get(m.UUID)
	if !ok {
		return &ObjectError{m.UUID, unknown(m.UUID)}
	}
	if old == o {
		return fmt.Errorf("%s was changed in place, not in a clone", m.UUID)
	}
	m.ID, m.CreatedAt, m.UpdatedAt, m.Revision = old.Base().ID, old.Base().CreatedAt, old.Base().UpdatedAt, old.Base().Revision
	if model.Equal(old, o) {
		return nil
	}
	m.UpdatedAt = tx.now
	return tx.put(r, o)
}

func (tx *Tx) put(r *model.Resource, o model.Object) error {
	uuid := o.Base().UUID
	if err := r.Validate(o); err != nil {
		return &ObjectError{uuid, err}
	}
	tx.write(uuid, o)
	return nil
}

func (tx *Tx) write(uuid string, o model.Object) {
	w, ok := tx.writes[uuid]
	if !ok {
		old, _ := tx.base.Get(uuid)
		w = &write{old: old}
		tx.writes[uuid] = w
		tx.order = append(tx.order, uuid)
	}
	w.new = o
	if o == nil {
		tx.over.Delete(uuid)
	} else {
		tx.over.Put(o)
	}
}

// Written reports whether the transaction has changed anything so far.
func (tx *Tx) Written() bool {
	for _, w := range tx.writes {
		if w.old != nil || w.new != nil {
			return true
		}
	}
	return false
}

func unknown(uuid string) *model.Error {
	if r := model.ByUUID(uuid); r != nil {
		return model.Errorf(model.UnknownUUIDResource, "uuid", "there is no %s %s", r.Title(), uuid)
	}
	return model.Errorf(model.InvalidUUID, "uuid", "%q is the uuid of no resource", uuid)
}

// check looks at every written object, in the order of the writes, against the state with all of them.
func (tx *Tx) check() error {
	taken := map[string]string{} // names of unique values that written objects have
	for _, uuid := range tx.order {
		w := tx.writes[uuid]
		if w.new == nil {
			continue
		}
		r := model.Of(w.new)
		if err := r.Check(w.new, tx); err != nil {
			return &ObjectError{uuid, err}
		}
		for _, u := range r.Uniques {
			k, ok := u.Key(w.new)
			if !ok {
				continue
			}
			name := valueName(r, u, k)
			if other, ok := taken[name]; ok {
				return &ObjectError{uuid, duplicate(r, u, w.new, other)}
			}
			taken[name] = uuid
			holder := tx.holder(r, u, w.new)
			if holder == uuid {
				continue
			}
			if holder != "" && tx.writes[holder] == nil {
				return &ObjectError{uuid, duplicate(r, u, w.new, holder)}
			}
			tx.guards.value(name) // nobody has it, or one that gives it up now
		}
	}
	return tx.checkReferrers()
}

// checkReferrers looks again at what refers to a changed object, as its rules may look at what has changed.
func (tx *Tx) checkReferrers() error {
	for _, uuid := range tx.order {
		w := tx.writes[uuid]
		if w.old == nil || w.new == nil || !consequential(w) {
			continue
		}
		for _, ref := range model.References() {
			if ref.To != model.Of(w.new) {
				continue
			}
			for o := range tx.Referrers(uuid, ref.Name) {
				if tx.writes[o.Base().UUID] != nil {
					continue
				}
				if err := ref.From.Check(o, tx); err != nil {
					return &ObjectError{uuid, fmt.Errorf("%s: %w", o.Base().UUID, err)}
				}
			}
		}
	}
	return nil
}

// consequential reports whether more than a text for people has changed.
func consequential(w *write) bool {
	for _, f := range model.Of(w.new).Fields {
		if f.Type == model.Time || f.Mutable && f.Type == model.String && f.Enum == nil && f.Ref == "" {
			continue
		}
		if f.Text(w.old) != f.Text(w.new) {
			return true
		}
	}
	return false
}

// holder gives who has the object's values of the group in the base.
func (tx *Tx) holder(r *model.Resource, u *model.Unique, o model.Object) string {
	values := make([]string, len(u.Fields))
	for i, f := range u.Fields {
		values[i] = f.Text(o)
	}
	uuid, _ := tx.base.ByUnique(r, u.Name, values...)
	return uuid
}

func uniqueKey(values []string) string {
	key := ""
	for i, v := range values {
		if i > 0 {
			key += "/"
		}
		key += model.KeyPart(v)
	}
	return key
}

// duplicate says that another object has the values of a group already.
func duplicate(r *model.Resource, u *model.Unique, o model.Object, holder string) *model.Error {
	class := model.Conflict
	if u.Name == "pair" {
		class = model.RelationAlreadyExists
	}
	last := u.Fields[len(u.Fields)-1]
	text := last.Text(o)
	for _, f := range u.Fields[:len(u.Fields)-1] {
		if v := f.Text(o); v != "" {
			text += fmt.Sprintf(", with %s %s,", f.Name, v)
		}
	}
	return model.Errorf(class, last.Name, "%s is taken by %s %s", text, model.ByUUID(holder).Title(), holder)
}

// errBusy makes Update run the function again: something is in the hands of a transaction that may yet fail.
var errBusy = errors.New("a value is held by another transaction")

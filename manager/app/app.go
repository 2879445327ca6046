// Package app is the manager's use cases: what an operator or an agent may ask for, each as one transaction on the store. A creation
// may make further objects (an interface its port and its leases), and says in notes what followed that was not asked
// for. In every transaction follows what depends on its changes, whoever has made them: the rows that say where an interface
// belongs, those that topologies make, the times of retained leases.
//
// Addresses are taken from ranges by spaces in memory, which follow the store; nothing about them is stored but the leases
// themselves. Retention, the only thing here that runs by itself, ends leases when their time is over.
//
// It knows neither HTTP nor streams, and what it refuses is a *model.Error. Imported by manager/api, manager/sync and cmd/vnmgr.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// App is the use cases on one store. Its methods may be called concurrently.
type App struct {
	store    *store.Store
	log      *slog.Logger
	spaces   *spaces
	since    int64 // the store's revision when it began
	began    time.Time
	presence Presence
}

// New gives the use cases on a store, which must run when they are used.
func New(s *store.Store, log *slog.Logger) *App {
	a := &App{store: s, log: log, spaces: newSpaces(), began: time.Now()}
	s.Observe(a.spaces.observe)
	s.View(func(_ *span.Index, revision int64) { a.since = revision })
	return a
}

// Presence knows which datapaths' agents are connected: sync.Hub.
type Presence interface{ Connected(datapath string) bool }

// settling is how long agents have after a start of the manager to come back, before another datapath may take over what they had.
const settling = time.Minute

// SetPresence says who knows. It is for before the first use case; without it no interface is taken over from a datapath whose agent
// is gone.
func (a *App) SetPresence(p Presence) { a.presence = p }

// Write says how to do a change.
type Write struct {
	DryRun     bool  // check everything, commit nothing
	IfRevision int64 // refuse unless the object is at this revision; 0 for any
}

// The actions of an Outcome.
const (
	Created   = "created"
	Updated   = "updated"
	Unchanged = "unchanged"
	Deleted   = "deleted"
)

// Outcome is what has become of one object.
type Outcome struct {
	Object  model.Object // as it was, of a deletion
	Action  string
	Changes []FieldChange // of a creation from nothing; none of a deletion
}

// FieldChange is a changed parameter, in text form. Those of an interface's port and leases are among the interface's.
type FieldChange struct{ Field, From, To string }

// Result is what a change has done.
type Result struct {
	Revision int64
	Outcomes []Outcome // of a creation or change one; of Apply one for each document, in their order, and then one for each object that was pruned
	Deleted  []string  // all that was deleted, of a deletion the object's uuid first
	Notes    []string  // what followed that was not asked for, in sentences
}

// Bootstrap makes what a store must have: the default topology, which wires every network to every datapath, and the rows of
// associations that an older version has not made.
func (a *App) Bootstrap(ctx context.Context) error {
	_, err := a.store.Update(ctx, func(tx *store.Tx) error {
		if _, ok := tx.Get(model.DefaultTopology); ok {
			return nil
		}
		t := model.Topologies.New().(*model.Topology)
		t.UUID, t.Mode, t.Automatic = model.DefaultTopology, model.TopologyOverlay, true
		return tx.Create(t)
	})
	if err != nil {
		return fmt.Errorf("make the default topology: %w", err)
	}
	if err := a.associateAll(ctx); err != nil {
		return fmt.Errorf("associate interfaces with their networks: %w", err)
	}
	return nil
}

// Create makes an object. The parent of a sub-resource stands among the parameters.
func (a *App) Create(ctx context.Context, r *model.Resource, p Params, w Write) (*Result, error) {
	d, err := decode(r, p)
	if err != nil {
		return nil, err
	}
	return a.transact(ctx, w, func(u *unit) error {
		out, err := u.create(r, d)
		u.res.Outcomes = []Outcome{out}
		return err
	})
}

// Update changes the mutable fields that are given.
func (a *App) Update(ctx context.Context, r *model.Resource, uuid string, p Params, w Write) (*Result, error) {
	if err := r.CheckUUID(uuid); err != nil {
		return nil, model.Errorf(model.InvalidUUID, "uuid", "%v", err)
	}
	d, err := decode(r, p)
	if err != nil {
		return nil, err
	}
	for _, f := range d.fields {
		if err := mayChange(r, f); err != nil {
			return nil, err
		}
	}
	if h := hooks[r]; h.reconcile == nil {
		for _, f := range d.inputs {
			return nil, model.Errorf(model.ArgumentError, f.Name, "is for creation only: it makes other objects, which are changed themselves")
		}
	}
	return a.transact(ctx, w, func(u *unit) error {
		old, err := u.get(r, uuid, w)
		if err != nil {
			return err
		}
		o := model.Clone(old)
		d.set(o)
		out, err := u.change(r, old, o, d)
		u.res.Outcomes = []Outcome{out}
		return err
	})
}

// change makes o of old, and brings the creation parameters about that were given.
func (u *unit) change(r *model.Resource, old, o model.Object, d *decodedParams) (Outcome, error) {
	h := hooks[r]
	fill(r, o)
	if h.change != nil && !model.Equal(old, o) {
		if err := h.change(u, old, o, d); err != nil {
			return Outcome{}, err
		}
	}
	out := Outcome{o, Unchanged, changes(r, old, o)}
	if len(out.Changes) > 0 {
		if err := u.replace(o); err != nil {
			return Outcome{}, err
		}
		if h.updated != nil {
			if err := h.updated(u, old, o); err != nil {
				return Outcome{}, err
			}
		}
	}
	if h.reconcile != nil {
		more, err := h.reconcile(u, o, d)
		if err != nil {
			return Outcome{}, err
		}
		out.Changes = append(out.Changes, more...)
	}
	if len(out.Changes) > 0 {
		out.Action = Updated
	}
	return out, nil
}

// changes gives the parameters in which an object differs from the old one, nil for none.
func changes(r *model.Resource, old, o model.Object) []FieldChange {
	var cs []FieldChange
	for _, f := range r.Fields {
		if f.ReadOnly {
			continue
		}
		c := FieldChange{Field: f.Name, To: f.Text(o)}
		if old != nil {
			c.From = f.Text(old)
		} else if !f.IsSet(o) {
			continue
		}
		if c.From != c.To {
			cs = append(cs, c)
		}
	}
	return cs
}

// Delete removes an object and what goes with it.
func (a *App) Delete(ctx context.Context, r *model.Resource, uuid string, w Write) (*Result, error) {
	if err := r.CheckUUID(uuid); err != nil {
		return nil, model.Errorf(model.InvalidUUID, "uuid", "%v", err)
	}
	if uuid == model.DefaultTopology {
		return nil, model.Errorf(model.Conflict, "uuid", "%s cannot be deleted; set its automatic to false instead", uuid)
	}
	return a.transact(ctx, w, func(u *unit) error {
		o, err := u.get(r, uuid, w)
		if err != nil {
			return err
		}
		u.res.Outcomes = []Outcome{{Object: o, Action: Deleted}}
		u.res.Deleted, err = u.remove(o)
		return err
	})
}

// DeleteMatching removes the objects of a resource that have all these values in their fields (the text forms; "" for none), and what goes
// with them. The result's outcomes are those objects. That there is none is an error of class UnknownResource.
func (a *App) DeleteMatching(ctx context.Context, r *model.Resource, match map[string]string, w Write) (*Result, error) {
	want := r.New()
	fields := make([]*model.Field, 0, len(match))
	for _, name := range slices.Sorted(maps.Keys(match)) {
		f := r.Field(name)
		if f == nil {
			return nil, unknown(r, name)
		}
		v, err := f.Parse(match[name])
		if err != nil {
			return nil, err
		}
		f.Set(want, v)
		fields = append(fields, f)
	}
	return a.transact(ctx, w, func(u *unit) error {
		for _, o := range u.matching(r, fields, want) {
			if _, ok := u.tx.Get(o.Base().UUID); !ok || o.Base().UUID == model.DefaultTopology {
				continue
			}
			deleted, err := u.remove(o)
			if err != nil {
				return err
			}
			u.res.Outcomes = append(u.res.Outcomes, Outcome{Object: o, Action: Deleted})
			u.res.Deleted = append(u.res.Deleted, deleted...)
		}
		if len(u.res.Outcomes) == 0 {
			return model.Errorf(model.UnknownResource, "", "there is no %s with these values", r.Title())
		}
		return nil
	})
}

// matching gives the objects with the values that want has in the fields, the oldest first.
func (u *unit) matching(r *model.Resource, fields []*model.Field, want model.Object) (found []model.Object) {
	all := slices.Values(u.tx.Base().List(r))
	for _, ref := range r.Refs {
		if uuid := ref.Field.Text(want); uuid != "" && slices.Contains(fields, ref.Field) {
			all = u.tx.Referrers(uuid, ref.Name)
			break
		}
	}
	for o := range all {
		if !slices.ContainsFunc(fields, func(f *model.Field) bool { return f.Text(o) != f.Text(want) }) {
			found = append(found, o)
		}
	}
	return oldest[model.Object](slices.Values(found))
}

func fill(r *model.Resource, o model.Object) {
	if h := hooks[r]; h.fill != nil {
		h.fill(o)
	}
}

// create makes an object of decoded parameters, and what follows from it.
func (u *unit) create(r *model.Resource, d *decodedParams) (Outcome, error) {
	o := r.New()
	d.set(o)
	if o.Base().UUID == "" {
		o.Base().UUID = u.freeUUID(r)
	}
	h := hooks[r]
	fill(r, o)
	if h.before != nil {
		if err := h.before(u, o); err != nil {
			return Outcome{}, err
		}
	}
	u.inherit(o)
	for _, f := range d.inputs {
		if uuid, ok := d.values[f].(string); ok && f.Ref != "" && o.Base().TenantUUID == "" {
			u.inheritFrom(o, uuid)
		}
	}
	if err := u.add(o); err != nil {
		return Outcome{}, err
	}
	if h.after != nil {
		if err := h.after(u, o, d); err != nil {
			return Outcome{}, err
		}
	}
	out := Outcome{o, Created, changes(r, nil, o)}
	for _, f := range d.inputs {
		if v := d.values[f]; !d.empty[f] && v != nil {
			out.Changes = append(out.Changes, FieldChange{Field: f.Name, To: fmt.Sprint(v)})
		}
	}
	return out, nil
}

func (u *unit) freeUUID(r *model.Resource) string {
	for {
		uuid := r.NewUUID()
		if _, taken := u.tx.Get(uuid); !taken {
			return uuid
		}
	}
}

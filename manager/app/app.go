// Package app is the manager's use cases: what an operator or an agent may ask for, each as one transaction on the store. A creation
// may make further objects (an interface its port and its leases), and says in notes what followed that was not asked
// for.
//
// It knows neither HTTP nor streams, and what it refuses is a *model.Error. Imported by manager/api, manager/sync and cmd/vnmgr.
package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store"
)

// App is the use cases on one store. Its methods may be called concurrently.
type App struct {
	store *store.Store
	log   *slog.Logger
}

// New gives the use cases on a store, which must be running.
func New(s *store.Store, log *slog.Logger) *App { return &App{store: s, log: log} }

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
)

// Outcome is what has become of one object.
type Outcome struct {
	Object model.Object
	Action string
}

// Result is what a change has done.
type Result struct {
	Revision int64
	Outcomes []Outcome // of a creation or change one; of Apply one for each document, in their order
	Deleted  []string  // of a deletion: the object's uuid first, then what went with it
	Notes    []string  // what followed that was not asked for, in sentences
}

// Bootstrap makes what a store must have: the default topology, which wires every network to every datapath.
func (a *App) Bootstrap(ctx context.Context) error {
	_, err := a.store.Update(ctx, func(tx *store.Tx) error {
		if _, ok := tx.Get(model.DefaultTopology); ok {
			return nil
		}
		return tx.Create(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology}, Mode: "simple_overlay", Automatic: true})
	})
	if err != nil {
		return fmt.Errorf("make the default topology: %w", err)
	}
	return nil
}

// Create makes an object. The parent of a sub-resource stands among the parameters.
func (a *App) Create(ctx context.Context, r *model.Resource, p Params, w Write) (*Result, error) {
	d, err := decode(r, p)
	if err != nil {
		return nil, err
	}
	return a.write(ctx, w, func(u *unit) error {
		o, err := u.create(r, d)
		u.res.Outcomes = []Outcome{{o, Created}}
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
	for _, f := range d.inputs {
		return nil, model.Errorf(model.ArgumentError, f.Name, "is for creation only: it makes other objects, which are changed themselves")
	}
	return a.write(ctx, w, func(u *unit) error {
		old, err := u.get(r, uuid, w)
		if err != nil {
			return err
		}
		o := model.Clone(old)
		d.set(o)
		fill(r, o)
		if err := u.update(r, old, o); err != nil {
			return err
		}
		u.res.Outcomes = []Outcome{{o, actionOf(old, o)}}
		return nil
	})
}

func actionOf(old, o model.Object) string {
	if model.Equal(old, o) {
		return Unchanged
	}
	return Updated
}

// Delete removes an object and what goes with it.
func (a *App) Delete(ctx context.Context, r *model.Resource, uuid string, w Write) (*Result, error) {
	if err := r.CheckUUID(uuid); err != nil {
		return nil, model.Errorf(model.InvalidUUID, "uuid", "%v", err)
	}
	if uuid == model.DefaultTopology {
		return nil, model.Errorf(model.Conflict, "uuid", "%s cannot be deleted; set its automatic to false instead", uuid)
	}
	return a.write(ctx, w, func(u *unit) error {
		o, err := u.get(r, uuid, w)
		if err != nil {
			return err
		}
		if u.res.Deleted, err = u.tx.Delete(uuid); err != nil {
			return err
		}
		if h := hooks[r]; h.deleted != nil {
			more, err := h.deleted(u, o)
			u.res.Deleted = append(u.res.Deleted, more...)
			return err
		}
		return nil
	})
}

// unit is one transaction under way, with what it will have done.
type unit struct {
	tx  *store.Tx
	res Result

	// Of Apply:
	document    int            // the one being applied
	written     map[string]int // by uuid of what was written, the last document that it was for
	wiringGiven bool           // a document says whether the default topology is automatic
}

// add and replace are the transaction's writes, remembered for the document.
func (u *unit) add(o model.Object) error {
	err := u.tx.Create(o)
	u.wrote(o)
	return err
}

func (u *unit) replace(o model.Object) error {
	u.wrote(o)
	return u.tx.Update(o)
}

func (u *unit) wrote(o model.Object) {
	if u.written != nil {
		u.written[o.Base().UUID] = u.document
	}
}

func fill(r *model.Resource, o model.Object) {
	if h := hooks[r]; h.fill != nil {
		h.fill(o)
	}
}

// write runs f as a transaction, or with DryRun without a commit.
func (a *App) write(ctx context.Context, w Write, f func(*unit) error) (*Result, error) {
	var u *unit
	run := a.store.Update
	if w.DryRun {
		run = a.store.Plan
	}
	rev, err := run(ctx, func(tx *store.Tx) error {
		u = &unit{tx: tx} // anew each time that it runs
		return f(u)
	})
	if err != nil {
		return nil, err
	}
	u.res.Revision = rev
	for _, n := range u.res.Notes {
		if w.DryRun {
			break
		}
		a.log.Info("a change had a consequence", "note", n, "revision", rev)
	}
	return &u.res, nil
}

// get gives an object for a change.
func (u *unit) get(r *model.Resource, uuid string, w Write) (model.Object, error) {
	o, ok := u.tx.Get(uuid)
	if !ok {
		return nil, model.Errorf(model.UnknownUUIDResource, "uuid", "there is no %s %s", r.Title(), uuid)
	}
	if w.IfRevision != 0 && o.Base().Revision != w.IfRevision {
		return nil, model.Errorf(model.Conflict, "If-Match", "%s is at revision %d, not %d", uuid, o.Base().Revision, w.IfRevision)
	}
	return o, nil
}

// create makes an object of decoded parameters, and what follows from it.
func (u *unit) create(r *model.Resource, d *decodedParams) (model.Object, error) {
	o := r.New()
	d.set(o)
	if o.Base().UUID == "" {
		o.Base().UUID = u.freeUUID(r)
	}
	h := hooks[r]
	fill(r, o)
	if h.before != nil {
		if err := h.before(u, o); err != nil {
			return nil, err
		}
	}
	if err := u.add(o); err != nil {
		return nil, err
	}
	if h.after != nil {
		if err := h.after(u, o, d); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (u *unit) freeUUID(r *model.Resource) string {
	for {
		uuid := r.NewUUID()
		if _, taken := u.tx.Get(uuid); !taken {
			return uuid
		}
	}
}

func (u *unit) update(r *model.Resource, old, o model.Object) error {
	if err := u.replace(o); err != nil {
		return err
	}
	if h := hooks[r]; h.updated != nil {
		return h.updated(u, old, o)
	}
	return nil
}

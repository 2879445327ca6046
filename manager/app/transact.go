package app

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// unit is one transaction under way, with what it will have done.
type unit struct {
	app *App
	tx  *store.Tx
	res Result

	held []holding       // addresses that it has taken
	busy <-chan struct{} // with errBusy: closed when it may run again

	// Of Apply:
	document    int             // the one being applied
	written     map[string]int  // by uuid of what was written, the last document that it was for
	meant       map[string]int  // by uuid of what the documents mean, the document
	claimed     map[string]bool // leases that documents of their own mean
	wiringGiven bool            // a document says whether the default topology is automatic
}

// maxBusy bounds how often a transaction waits for addresses that others hold.
const maxBusy = 1000

// transact runs f as one transaction, or with DryRun without a commit, and what follows from what f has written. f may run several times.
func (a *App) transact(ctx context.Context, w Write, f func(*unit) error) (*Result, error) {
	run := a.store.Update
	if w.DryRun {
		run = a.store.Plan
	}
	for range maxBusy {
		var u *unit
		rev, err := run(ctx, func(tx *store.Tx) error {
			if u != nil { // it runs again
				a.spaces.release(u.held, tx.Base(), false)
			}
			u = &unit{app: a, tx: tx}
			if err := f(u); err != nil {
				return err
			}
			return u.follow()
		})
		if u != nil {
			a.store.View(func(x *span.Index, _ int64) { a.spaces.release(u.held, x.Graph(), err == nil && !w.DryRun) })
		}
		if errors.Is(err, errBusy) {
			select {
			case <-u.busy:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
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
	return nil, model.Errorf(model.Conflict, "", "other changes hold the addresses that are left; try again")
}

// follow does what follows from what the transaction has written, whoever has written it.
func (u *unit) follow() error {
	if err := u.retain(); err != nil {
		return err
	}
	if err := u.linkLocals(); err != nil {
		return err
	}
	if err := u.associate(); err != nil {
		return err
	}
	return u.wire()
}

// add and replace are the transaction's writes, remembered for the document. What is made without a tenant gets that of its parent, or of
// the first that it refers to and that has one.
func (u *unit) add(o model.Object) error {
	u.inherit(o)
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

func (u *unit) inherit(o model.Object) {
	r := model.Of(o)
	if o.Base().TenantUUID != "" || r == model.Tenants {
		return
	}
	if r.Parent != "" && u.inheritFrom(o, r.Field(r.Parent).Text(o)) || r.CrossTenant {
		return
	}
	for _, ref := range r.Refs {
		for uuid := range ref.Targets(o) {
			if u.inheritFrom(o, uuid) {
				return
			}
		}
	}
}

// inheritFrom gives o the tenant of another object, if it has one.
func (u *unit) inheritFrom(o model.Object, uuid string) bool {
	if target, ok := u.tx.Get(uuid); ok {
		o.Base().TenantUUID = target.Base().TenantUUID
	}
	return o.Base().TenantUUID != ""
}

// remove deletes an object and what goes with it, and gives the uuids of all, its own first.
func (u *unit) remove(o model.Object) ([]string, error) {
	return u.removeAll([]model.Object{o}, []string{o.Base().UUID})
}

// removeAll deletes objects at once, which may use each other, and what goes with them.
func (u *unit) removeAll(os []model.Object, uuids []string) ([]string, error) {
	deleted, err := u.tx.Delete(uuids...)
	if err != nil {
		return nil, err
	}
	for _, o := range os {
		if h := hooks[model.Of(o)]; h.deleted != nil {
			more, err := h.deleted(u, o)
			if err != nil {
				return nil, err
			}
			deleted = append(deleted, more...)
		}
	}
	return deleted, nil
}

// alsoDeleted notes what a deletion took along.
func (u *unit) alsoDeleted(uuids []string) {
	if len(u.res.Deleted) > 0 {
		u.res.Deleted = append(u.res.Deleted, uuids...)
	}
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

// find gives an object that another one is to refer to by the field.
func find[T model.Object](u *unit, r *model.Resource, field, uuid string) (T, error) {
	o, _ := u.tx.Get(uuid)
	t, ok := o.(T)
	if !ok {
		return t, unknownReference(r, field, uuid)
	}
	return t, nil
}

func unknownReference(r *model.Resource, field, uuid string) error {
	return model.Errorf(model.UnknownUUIDResource, field, "there is no %s %s", r.Title(), uuid)
}

// children gives the objects that refer to uuid by the reference, the oldest first.
func children[T model.Object](u *unit, uuid, ref string) []T {
	return oldest[T](u.tx.Referrers(uuid, ref))
}

// known is children, but another that comes to refer to uuid meanwhile does not make the transaction run again: for what many
// transactions refer to at once.
func known[T model.Object](u *unit, uuid, ref string) []T { return oldest[T](u.tx.Glance(uuid, ref)) }

func oldest[T model.Object](all iter.Seq[model.Object]) []T {
	var os []T
	for o := range all {
		os = append(os, o.(T))
	}
	slices.SortFunc(os, func(a, b T) int { return cmp.Compare(a.Base().ID, b.Base().ID) })
	return os
}

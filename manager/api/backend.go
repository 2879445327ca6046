package api

import (
	"context"
	"iter"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// Reader is the manager's copy of the store, for reading: store.Store.
type Reader interface {
	// View calls f with the state as of a revision, which holds all that a use case committed before it returned. Neither the
	// index nor what it lists may be kept beyond f; objects may. f may not call the store.
	View(f func(x *span.Index, revision int64))
	// Watch gives what each revision after one has changed, until ctx is done or an error: store.ErrCompacted, store.ErrClosed.
	Watch(ctx context.Context, after int64) iter.Seq2[store.Batch, error]
}

// UseCases are the changes that requests ask for: app.App. Errors that are the client's are, or wrap, a *model.Error.
type UseCases interface {
	Create(ctx context.Context, r *model.Resource, p app.Params, w app.Write) (*app.Result, error)
	Update(ctx context.Context, r *model.Resource, uuid string, p app.Params, w app.Write) (*app.Result, error)
	Delete(ctx context.Context, r *model.Resource, uuid string, w app.Write) (*app.Result, error)
	Apply(ctx context.Context, docs []app.Document, o app.ApplyOptions) (*app.Result, error)
	// DeleteMatching deletes the objects whose fields have these texts; none is an error of class UnknownResource.
	DeleteMatching(ctx context.Context, r *model.Resource, match map[string]string, w app.Write) (*app.Result, error)

	AttachIPLease(ctx context.Context, uuid string, p app.Params, w app.Write) (*app.Result, error)
	ReleaseIPLease(ctx context.Context, uuid string, w app.Write) (*app.Result, error)
	MoveInterface(ctx context.Context, uuid string, p app.Params, w app.Write) (*app.Result, error)
	CancelMove(ctx context.Context, uuid string, w app.Write) (*app.Result, error)
	AllocateIPLease(ctx context.Context, policyUUID string, p app.Params, w app.Write) (*app.Result, error)
}

// Status is what hosts have realised: sync.Hub.
type Status interface {
	// Status gives what has become of the object on each host that it concerns.
	Status(o model.Object) []model.HostStatus
	// Wait waits until every connected host that the revision concerned, or that has one of the objects, has acknowledged it.
	Wait(ctx context.Context, revision int64, uuids []string) error
}

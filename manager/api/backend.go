package api

import (
	"context"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// Reader is the manager's copy of the store, for reading: store.Store.
type Reader interface {
	// View calls f with the state as of a revision, which holds all that a use case committed before it returned. Neither the
	// index nor what it lists may be kept beyond f; objects may. f may not call the store.
	View(f func(x *span.Index, revision int64))
}

// UseCases are the changes that requests ask for: app.App. Errors that are the client's are, or wrap, a *model.Error.
type UseCases interface {
	Create(ctx context.Context, r *model.Resource, p app.Params, w app.Write) (*app.Result, error)
	Update(ctx context.Context, r *model.Resource, uuid string, p app.Params, w app.Write) (*app.Result, error)
	Delete(ctx context.Context, r *model.Resource, uuid string, w app.Write) (*app.Result, error)
	Apply(ctx context.Context, docs []app.Document, w app.Write) (*app.Result, error)
}

// Status is what hosts have realised: sync.Hub.
type Status interface {
	// Status gives what has become of the object on each host that it concerns.
	Status(o model.Object) []model.HostStatus
	// Wait waits until every connected host that the revision concerned, or that has one of the objects, has acknowledged it.
	Wait(ctx context.Context, revision int64, uuids []string) error
}

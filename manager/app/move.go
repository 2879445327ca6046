package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// A move of an interface has three steps, all of them in the record of where it was found. It is announced: the other host gets ready. The guest sends from
// there: the interface is there, and the former host sends on what still comes to it. That is over after a while.

// followed is how long an interface's former host sends on what still comes to it, and how long the present one lets pass the middle of conversations that it does
// not remember: hosts hear of it within milliseconds, guests that have lost something send it again after seconds.
const followed = 30 * time.Second

// MoveInterface announces that an interface moves to the host named by datapath_uuid, which gets ready for it. It is there from its guest's first frame on.
func (a *App) MoveInterface(ctx context.Context, uuid string, p Params, w Write) (*Result, error) {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if name != "datapath_uuid" {
			return nil, model.Errorf(model.ArgumentError, name, "is not a parameter of move; it takes datapath_uuid")
		}
	}
	r := model.ActiveInterfaces
	v, err := r.Field("datapath_uuid").Parse(p["datapath_uuid"])
	if err != nil {
		return nil, err
	}
	to := v.(string)
	if to == "" {
		return nil, model.Errorf(model.MissingArgument, "datapath_uuid", "is required: the host that the interface moves to")
	}
	return a.changePlace(ctx, uuid, w, func(u *unit, at *model.ActiveInterface) error {
		if _, err := find[*model.Datapath](u, model.Datapaths, "datapath_uuid", to); err != nil {
			return err
		}
		if at.DatapathUUID == to {
			return model.Errorf(model.Conflict, "datapath_uuid", "%s is on %s already", uuid, to)
		}
		if at.TargetDatapathUUID != "" && at.TargetDatapathUUID != to {
			return model.Errorf(model.Conflict, "datapath_uuid", "%s is moving to %s; cancel that first", uuid, at.TargetDatapathUUID)
		}
		at.TargetDatapathUUID = to
		return nil
	})
}

// CancelMove takes an announcement back. The interface stays where it is.
func (a *App) CancelMove(ctx context.Context, uuid string, w Write) (*Result, error) {
	return a.changePlace(ctx, uuid, w, func(_ *unit, at *model.ActiveInterface) error {
		at.TargetDatapathUUID = ""
		return nil
	})
}

// changePlace changes the record of where an interface was found to what f makes of it. The outcome is the interface's.
func (a *App) changePlace(ctx context.Context, uuid string, w Write, f func(*unit, *model.ActiveInterface) error) (*Result, error) {
	r := model.Interfaces
	if err := r.CheckUUID(uuid); err != nil {
		return nil, model.Errorf(model.InvalidUUID, "uuid", "%v", err)
	}
	return a.transact(ctx, w, func(u *unit) error {
		o, err := u.get(r, uuid, w)
		if err != nil {
			return err
		}
		old, err := u.placeOf(o.(*model.Interface))
		if err != nil {
			return err
		}
		at := model.Clone(old)
		if err := f(u, at); err != nil {
			return err
		}
		u.res.Outcomes = []Outcome{{Object: o, Action: Unchanged}}
		if model.Equal(old, at) {
			return nil
		}
		field := model.ActiveInterfaces.Field("target_datapath_uuid")
		u.res.Outcomes[0].Action = Updated
		u.res.Outcomes[0].Changes = []FieldChange{{Field: field.Name, From: field.Text(old), To: field.Text(at)}}
		return u.replace(at)
	})
}

// placeOf gives the record of where an interface was found. The error says why it cannot move.
func (u *unit) placeOf(i *model.Interface) (*model.ActiveInterface, error) {
	if i.Mode != model.InterfaceVIF {
		return nil, model.Errorf(model.Conflict, "uuid", "%s is of mode %s; only those of mode vif move", i.UUID, i.Mode)
	}
	for _, p := range children[*model.InterfacePort](u, i.UUID, "interface_ports.interface_uuid") {
		if p.DatapathUUID != "" {
			return nil, model.Errorf(model.Conflict, "uuid", "%s is pinned to %s by its owner_datapath_uuid; without one it is where its port is, and moves", i.UUID, p.DatapathUUID)
		}
	}
	o := u.tx.ByUnique(model.ActiveInterfaces, "interface", i.UUID)
	if o == nil {
		return nil, model.Errorf(model.Conflict, "uuid", "%s is on no host yet; it will be where its port appears", i.UUID)
	}
	return o.(*model.ActiveInterface), nil
}

// Arrive takes an agent's word that guests send from its host whose interfaces are to move there: from now on they are there, and the former hosts send on. It gives
// the uuids of those; what is not to move there is left alone.
func (a *App) Arrive(ctx context.Context, datapath string, arrivals []wire.Arrival) ([]string, error) {
	var due []wire.Arrival
	a.store.View(func(x *span.Index, _ int64) {
		for _, v := range arrivals {
			if expected(copied{x.Graph()}, v.UUID, datapath) != nil {
				due = append(due, v)
			}
		}
	})
	if len(due) == 0 {
		return nil, nil
	}
	var arrived []string
	_, err := a.transact(ctx, Write{}, func(u *unit) error {
		arrived = nil
		for _, v := range due {
			old := expected(u.tx, v.UUID, datapath)
			if old == nil {
				continue
			}
			at := model.Clone(old)
			at.DatapathUUID, at.TargetDatapathUUID, at.PreviousDatapathUUID = datapath, "", old.DatapathUUID
			if unowned(u.tx, v.Port) == v.UUID {
				at.PortName = v.Port
			}
			if err := u.replace(at); err != nil {
				return err
			}
			arrived = append(arrived, v.UUID)
		}
		return nil
	})
	return arrived, err
}

// expected gives the record of an interface that is to move to the datapath, nil if it is not.
func expected(rd reader, iface, datapath string) *model.ActiveInterface {
	if at, ok := rd.ByUnique(model.ActiveInterfaces, "interface", iface).(*model.ActiveInterface); ok && at.TargetDatapathUUID == datapath && datapath != "" {
		return at
	}
	return nil
}

// movedUntil says when a move is over; not ok if none is.
func movedUntil(at *model.ActiveInterface) (time.Time, bool) {
	return at.UpdatedAt.Add(followed), at.PreviousDatapathUUID != ""
}

// endMove ends a move that is over.
func (u *unit) endMove(at *model.ActiveInterface, now time.Time) error {
	if until, ok := movedUntil(at); !ok || until.After(now) {
		return nil
	}
	at = model.Clone(at)
	at.PreviousDatapathUUID = ""
	return u.replace(at)
}

// trackMove notes when a move is over.
func (r *Retention) trackMove(at *model.ActiveInterface) {
	if until, ok := movedUntil(at); ok {
		r.trackAt(at.UUID, until)
	} else {
		delete(r.at, at.UUID)
	}
}

// retrack notes again when something is due of an object.
func (r *Retention) retrack(g *graph.Graph, uuid string) {
	switch o, _ := g.Get(uuid); o := o.(type) {
	case *model.IPRetention:
		r.track(g, o)
	case *model.ActiveInterface:
		r.trackMove(o)
	}
}

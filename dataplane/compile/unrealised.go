package compile

import (
	"errors"
	"fmt"

	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
)

// unrealisedFeature says of objects that have no items that there is no feature for them.
var unrealisedFeature = feature{
	kind: "unrealised",
	units: func(in *Input, yield func(state.Unit)) {
		for _, r := range model.All() {
			if !unrealised(r) {
				continue
			}
			for _, o := range in.X.Graph().List(r) {
				yield(state.Unit{Kind: "unrealised", UUID: o.Base().UUID})
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.unrealised(u.UUID) },
	dirty: func(_ *Input, e *span.Effects, add func(state.Unit)) {
		for _, c := range e.Changed {
			for _, o := range []model.Object{c.Old, c.New} {
				if o != nil && unrealised(model.Of(o)) {
					add(state.Unit{Kind: "unrealised", UUID: o.Base().UUID})
				}
			}
		}
	},
}

// ErrUnrealised is of an object, or a field of it, that the data plane has no feature for.
var ErrUnrealised = errors.New("not realised by this version of the agent")

// unrealised tells whether there is no feature for a resource that hosts are sent. A host that has such an object says so: nobody is to
// take it for working.
func unrealised(r *model.Resource) bool {
	switch r {
	case model.DNSServices, model.DNSRecords:
		return true
	}
	return false
}

func (in *Input) unrealised(uuid string) (state.Items, error) {
	o, ok := in.X.Graph().Get(uuid)
	if !ok {
		return state.Items{}, nil
	}
	return state.Items{}, fmt.Errorf("%w: there is no feature for %s", ErrUnrealised, model.Of(o).Indefinite())
}

package compile

import (
	"errors"
	"iter"
	"maps"

	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model/span"
)

// feature is a part of the data plane that has units of its own.
type feature struct {
	// kind of its units.
	kind string
	// units gives every unit that may have items.
	units func(in *Input, yield func(state.Unit))
	// items gives what a unit compiles to, none if its object is not there or not of concern here.
	items func(in *Input, u state.Unit) (state.Items, error)
	// dirty gives the units whose items the effects may have changed. Those of the objects that have changed themselves are given as well, where
	// they have any.
	dirty func(in *Input, e *span.Effects, add func(state.Unit))
}

// features are all there is, in no order of importance.
func features() []*feature {
	return []*feature{&hostFeature, &datapathFeature, &domainFeature, &interfaceFeature, &linkWireFeature, &learnedFeature, &multicastFeature, &judgeFeature, &filterFeature, &groupFeature, &ruleFeature, &ruleSetFeature, &memberFeature,
		&routerFeature, &legFeature, &routeFeature, &routeLinkFeature, &rowFeature, &nextHopFeature, &outsideHopFeature, &sizeFeature, &neighborFeature, &probeFeature}
}

// ErrUnrealised is of an object, or a field of it, that the data plane has no feature for. A host that has such an object says so: nobody is to take it for working.
var ErrUnrealised = errors.New("not realised by this version of the agent")

// featureOf gives the feature of a kind of units.
func featureOf(kind string) *feature {
	for _, f := range features() {
		if f.kind == kind {
			return f
		}
	}
	return nil
}

// Unit gives the items of one unit, none if its object is not there. The error is of the unit's object: what could not be
// compiled is left out, the rest is in the items.
func (in *Input) Unit(u state.Unit) (state.Items, error) {
	if f := featureOf(u.Kind); f != nil {
		return f.items(in, u)
	}
	return state.Items{}, nil
}

// Realised is Unit, for which what the data plane has no feature for is no error.
func (in *Input) Realised(u state.Unit) (state.Items, error) {
	items, err := in.Unit(u)
	if errors.Is(err, ErrUnrealised) {
		err = nil
	}
	return items, err
}

// Units gives every unit that may have items.
func (in *Input) Units() iter.Seq[state.Unit] {
	in.attached, in.sizes = nil, nil
	units := map[state.Unit]struct{}{}
	for _, f := range features() {
		f.units(in, func(u state.Unit) { units[u] = struct{}{} })
	}
	return maps.Keys(units)
}

// Dirty gives the units whose items the effects may have changed; s is the state before.
func (in *Input) Dirty(e *span.Effects, s *state.State) iter.Seq[state.Unit] {
	in.attached, in.sizes = nil, nil
	in.recount(e)
	if e.Rewired {
		return in.Everything(s)
	}
	dirty := map[state.Unit]struct{}{}
	for _, f := range features() {
		f.dirty(in, e, func(u state.Unit) { dirty[u] = struct{}{} })
	}
	return maps.Keys(dirty)
}

// PortsChanged gives the units whose items may have changed because ports of these interfaces came, went or changed.
func (in *Input) PortsChanged(ifaces iter.Seq[string]) iter.Seq[state.Unit] {
	return func(yield func(state.Unit) bool) {
		for i := range ifaces {
			if !yield(InterfaceUnit(i)) {
				return
			}
		}
	}
}

// Everything gives every unit that may have items now or has some in s.
func (in *Input) Everything(s *state.State) iter.Seq[state.Unit] {
	units := map[state.Unit]struct{}{}
	for _, u := range s.Units() {
		units[u] = struct{}{}
	}
	for u := range in.Units() {
		units[u] = struct{}{}
	}
	return maps.Keys(units)
}

// Package compile turns a host's replica and the ports of its bridge into the desired state of its data plane. It is a pure
// function, unit by unit: same input, same items, no memory and no I/O. Which units a change concerns is worked out beside it,
// and a test asserts that recompiling those gives what compiling everything gives.
//
// One file per feature. It knows the domain (model, model/span) and the pipeline's declaration; it knows no driver. Imported
// by agent, by the tests that compare it with other executors, and by tools that show what would be installed.
package compile

import (
	"iter"
	"maps"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Input is everything that the result depends on.
type Input struct {
	X      *span.Index // the host's replica
	Self   string      // uuid of its datapath
	Bridge *Bridge
}

// The kinds of units, besides the resources' names.
const (
	kindHost      = "host"
	kindDatapath  = "datapath"
	kindNetwork   = "network"
	kindInterface = "interface"
)

// InterfaceUnit gives the unit of an interface.
func InterfaceUnit(uuid string) state.Unit { return state.Unit{Kind: kindInterface, UUID: uuid} }

// Unit gives the items of one unit, none if its object is not there. The error is of the unit's object: what could not be
// compiled is left out, the rest is in the items.
func (in *Input) Unit(u state.Unit) (state.Items, error) {
	switch {
	case u.Kind == kindHost:
		return in.host()
	case u.Kind == kindDatapath:
		return in.datapath(u.UUID)
	case u.Kind == kindNetwork && u.Peer != "":
		return in.networkOn(u.UUID, u.Peer)
	case u.Kind == kindNetwork:
		return in.network(u.UUID)
	case u.Kind == kindUnrealised:
		return in.unrealised(u.UUID)
	default:
		return in.iface(u.UUID)
	}
}

// Units gives every unit that may have items.
func (in *Input) Units() iter.Seq[state.Unit] {
	return func(yield func(state.Unit) bool) {
		if !yield(state.Unit{Kind: kindHost}) {
			return
		}
		g := in.X.Graph()
		for _, o := range g.List(model.Datapaths) {
			if !yield(state.Unit{Kind: kindDatapath, UUID: o.Base().UUID}) {
				return
			}
		}
		for _, o := range g.List(model.Networks) {
			if !yield(state.Unit{Kind: kindNetwork, UUID: o.Base().UUID}) {
				return
			}
			for d := range in.X.DatapathsOf(o.Base().UUID) {
				if !yield(state.Unit{Kind: kindNetwork, UUID: o.Base().UUID, Peer: d}) {
					return
				}
			}
		}
		for _, o := range g.List(model.Interfaces) {
			if !yield(state.Unit{Kind: kindInterface, UUID: o.Base().UUID}) {
				return
			}
		}
		for _, r := range model.All() {
			if !unrealised(r) {
				continue
			}
			for _, o := range g.List(r) {
				if !yield(state.Unit{Kind: kindUnrealised, UUID: o.Base().UUID}) {
					return
				}
			}
		}
	}
}

// Dirty gives the units whose items the effects may have changed; s is the state before.
func (in *Input) Dirty(e *span.Effects, s *state.State) iter.Seq[state.Unit] {
	dirty := map[state.Unit]struct{}{}
	if e.Rewired {
		return in.Everything(s)
	}
	add := func(kind, uuid, peer string) { dirty[state.Unit{Kind: kind, UUID: uuid, Peer: peer}] = struct{}{} }
	g := in.X.Graph()
	network := func(uuid string) {
		add(kindNetwork, uuid, "")
		for i := range in.X.InterfacesOf(uuid) {
			add(kindInterface, i, "")
		}
		for d := range in.X.DatapathsOf(uuid) {
			add(kindNetwork, uuid, d)
		}
	}
	hosts := map[string]bool{} // interfaces that are, or were, tunnel ends
	for i := range e.Interfaces {
		o, ok := graph.Lookup[*model.Interface](g, i)
		hosts[i] = ok && o.Mode == model.InterfaceHost
	}
	for _, c := range e.Changed {
		o := c.New
		if o == nil {
			o = c.Old
		}
		if i, ok := c.Old.(*model.Interface); ok && i.Mode == model.InterfaceHost {
			hosts[i.UUID] = true
		}
		if unrealised(model.Of(o)) {
			add(kindUnrealised, o.Base().UUID, "")
		}
		appeared := c.New == nil || c.Old == nil
		switch o := o.(type) {
		case *model.Datapath:
			add(kindDatapath, o.UUID, "")
			if appeared {
				for n := range in.X.NetworksOn(o.UUID) {
					add(kindNetwork, n, o.UUID)
				}
				for i := range in.X.InterfacesAt(o.UUID) {
					add(kindInterface, i, "")
				}
			}
		case *model.Network:
			if appeared {
				network(o.UUID)
			}
		case *model.SecurityGroupInterface:
			add(kindInterface, o.InterfaceUUID, "")
		case *model.NetworkService:
			for _, s := range []model.Object{c.Old, c.New} {
				if s != nil {
					for _, n := range in.X.Networks(s.(*model.NetworkService).InterfaceUUID) {
						add(kindNetwork, n, "")
					}
				}
			}
		}
	}
	for i, m := range e.Interfaces {
		add(kindInterface, i, "")
		if hosts[i] {
			before, after := m.Datapaths()
			add(kindDatapath, before, "")
			add(kindDatapath, after, "")
		}
		for range g.Referrers(i, "network_services.interface_uuid") {
			for _, n := range m.Networks() {
				add(kindNetwork, n, "")
			}
		}
	}
	for p := range e.Flips {
		add(kindNetwork, p.Network, p.Datapath)
		if p.Datapath == in.Self {
			network(p.Network)
		}
	}
	return maps.Keys(dirty)
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

// present gives the network if it is virtual and present on this host.
func (in *Input) present(uuid string) (*model.Network, bool) {
	n, ok := graph.Lookup[*model.Network](in.X.Graph(), uuid)
	return n, ok && n.Mode == model.NetworkVirtual && in.X.Present(span.Pair{Network: uuid, Datapath: in.Self})
}

// result gathers what a builder made.
func result(b *pipeline.Builder, items state.Items) (state.Items, error) {
	items.Flows = b.Flows()
	return items, b.Err()
}

// ethTypes and protocols that flows match.
var (
	isARP    = flow.EthType.Is(0x0806)
	isIPv4   = flow.EthType.Is(0x0800)
	isIPv6   = flow.EthType.Is(0x86dd)
	isUDP    = flow.IPProto.Is(17)
	isICMP   = flow.IPProto.Is(1)
	isICMPv6 = flow.IPProto.Is(58)
)

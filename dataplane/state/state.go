// Package state is what a host's data plane should be: flows, groups, meters, and the entries of the fast path, as plain
// comparable values, each claimed by the unit (an interface, a network, another host ...) that it was compiled for. Replacing
// the items of one unit gives exactly the changes to make.
//
// It does no I/O and compiles nothing: dataplane/compile makes the items, the drivers (dataplane/ovs, dataplane/fastpath)
// put them into the kernel and the switch.
package state

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// Unit is one piece of compilation: the object for which items are made. A network on another host is a unit of its own
// (Peer is the host), so that a host that comes or goes costs one bucket and not a network.
type Unit struct {
	Kind string // the object's resource, singular: "interface"; "host" for what is always there
	UUID string
	Peer string
}

func (u Unit) String() string {
	switch {
	case u.UUID == "":
		return u.Kind
	case u.Peer != "":
		return u.Kind + " " + u.UUID + " on " + u.Peer
	}
	return u.Kind + " " + u.UUID
}

func compareUnits(a, b Unit) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.UUID, b.UUID), cmp.Compare(a.Peer, b.Peer))
}

// Group is a group without its buckets, which are items of their own.
type Group struct {
	ID     uint32
	Choose bool // one bucket gets a packet, the same for all of one conversation (type select); otherwise every bucket a copy (type all)
}

// Bucket is a bucket of a group.
type Bucket struct {
	Group  uint32
	Bucket flow.Bucket
}

// BucketKey is the identity of a bucket.
type BucketKey struct{ Group, ID uint32 }

// Meter limits what passes it.
type Meter struct {
	ID    uint32
	Bits  bool   // kilobits rather than packets
	Rate  uint32 // packets per second, or kbit/s
	Burst uint32 // packets, or kbit
}

// ZoneLimit bounds the conversations that are remembered in a zone of connection tracking.
type ZoneLimit struct {
	Zone  uint16
	Limit uint32
	Owner uint32 // id of the interface whose conversations they are; another owner's are forgotten
}

// Items is what one unit compiles to.
type Items struct {
	Flows     []flow.Flow
	Clauses   []Clause
	Groups    []Group
	Buckets   []Bucket
	Meters    []Meter
	Zones     []ZoneLimit
	Ports     []FastPort
	Sources   []FastSource
	Neighbors []Neighbor
	Limits    []FastLimit
	Simulated []Simulated
}

// Changes is what has to be done to bring a data plane from one state to another. The old value of what is deleted or replaced is
// not kept: the drivers know it by its key.
type Changes struct {
	Flows     Delta[flow.Key, flow.Flow]
	Groups    Delta[uint32, Group]
	Buckets   Delta[BucketKey, Bucket]
	Meters    Delta[uint32, Meter]
	Zones     Delta[uint16, ZoneLimit]
	Ports     Delta[string, FastPort]
	Sources   Delta[SourceKey, FastSource]
	Neighbors Delta[NeighborKey, Neighbor]
	Limits    Delta[string, FastLimit]
	Simulated Delta[SimulatedKey, Simulated]
}

// Empty reports whether there is nothing to do.
func (c *Changes) Empty() bool {
	return c.Flows.Empty() && c.Groups.Empty() && c.Buckets.Empty() && c.Meters.Empty() && c.Zones.Empty() && c.Ports.Empty() && c.Sources.Empty() && c.Neighbors.Empty() &&
		c.Limits.Empty() && c.Simulated.Empty()
}

// unit is a unit with its items. As long as it has any there is one of it only.
type unit struct {
	Unit
	items Items
}

// State is the whole desired state. The zero value is not ready; use New. Not safe for concurrent use.
type State struct {
	Flows     *Table[flow.Key, flow.Flow]
	Groups    *Table[uint32, Group]
	Buckets   *Table[BucketKey, Bucket]
	Meters    *Table[uint32, Meter]
	Zones     *Table[uint16, ZoneLimit]
	Ports     *Table[string, FastPort]
	Sources   *Table[SourceKey, FastSource]
	Neighbors *Table[NeighborKey, Neighbor]
	Limits    *Table[string, FastLimit]
	Simulated *Table[SimulatedKey, Simulated]

	units map[Unit]*unit
	lists lists
}

// New gives an empty state.
func New() *State {
	return &State{
		Flows: newTable(flow.Flow.Key), Groups: newTable(func(g Group) uint32 { return g.ID }),
		Buckets: newTable(func(b Bucket) BucketKey { return BucketKey{b.Group, b.Bucket.ID} }), Meters: newTable(func(m Meter) uint32 { return m.ID }),
		Zones: newTable(func(z ZoneLimit) uint16 { return z.Zone }),
		Ports: newTable(func(p FastPort) string { return p.Name }), Sources: newTable(FastSource.Key), Neighbors: newTable(Neighbor.Key),
		Limits: newTable(func(l FastLimit) string { return l.Class }), Simulated: newTable(Simulated.Key),
		units: map[Unit]*unit{}, lists: newLists(),
	}
}

// Replace gives the unit new items (none to remove it), and adds to c what that changes. The error names items that another
// unit claims as well, with another value: the unit that sorts first has it, and the other's comes in when that one lets go.
func (s *State) Replace(u Unit, items Items, c *Changes) error {
	return s.ReplaceAll(slices.Values([]Unit{u}), func(Unit) (Items, error) { return items, nil }, c)[u]
}

// ReplaceAll replaces the items of many units by what compile gives for them. The errors are those of compile and of Replace, by unit. It takes as long as
// there are items: one by one, units that share a flow by their clauses would each put it together again.
func (s *State) ReplaceAll(units iter.Seq[Unit], compile func(Unit) (Items, error), c *Changes) map[Unit]error {
	errs := map[Unit]error{}
	conflict := func(u Unit, what string) {
		if errs[u] == nil {
			errs[u] = fmt.Errorf("%s conflicts: %s", u, what)
		}
	}
	for u := range units {
		items, err := compile(u)
		if err != nil {
			errs[u] = err
		}
		for _, what := range s.replace(u, items, c) {
			conflict(u, what)
		}
	}
	s.put(&c.Flows, conflict)
	return errs
}

func (s *State) replace(u Unit, items Items, c *Changes) (conflicts []string) {
	of := s.units[u]
	if of == nil {
		of = &unit{Unit: u}
	}
	old := of.items
	s.Flows.replace(of, old.Flows, items.Flows, &c.Flows, &conflicts)
	s.lists.replace(of, old.Clauses, items.Clauses, &conflicts)
	s.Groups.replace(of, old.Groups, items.Groups, &c.Groups, &conflicts)
	s.Buckets.replace(of, old.Buckets, items.Buckets, &c.Buckets, &conflicts)
	s.Meters.replace(of, old.Meters, items.Meters, &c.Meters, &conflicts)
	s.Zones.replace(of, old.Zones, items.Zones, &c.Zones, &conflicts)
	s.Ports.replace(of, old.Ports, items.Ports, &c.Ports, &conflicts)
	s.Sources.replace(of, old.Sources, items.Sources, &c.Sources, &conflicts)
	s.Neighbors.replace(of, old.Neighbors, items.Neighbors, &c.Neighbors, &conflicts)
	s.Limits.replace(of, old.Limits, items.Limits, &c.Limits, &conflicts)
	s.Simulated.replace(of, old.Simulated, items.Simulated, &c.Simulated, &conflicts)
	if items.empty() {
		delete(s.units, u)
	} else {
		s.units[u], of.items = of, items
	}
	return conflicts
}

// Units gives the units that have items, in no order.
func (s *State) Units() []Unit {
	us := make([]Unit, 0, len(s.units))
	for u := range s.units {
		us = append(us, u)
	}
	return us
}

func (i *Items) empty() bool {
	return len(i.Flows)+len(i.Clauses)+len(i.Groups)+len(i.Buckets)+len(i.Meters)+len(i.Zones)+len(i.Ports)+len(i.Sources)+len(i.Neighbors)+len(i.Limits)+len(i.Simulated) == 0
}

// Full is a state as plain maps, to be read without the lock that guards the State.
type Full struct {
	Flows     map[flow.Key]flow.Flow
	Groups    map[uint32]Group
	Buckets   map[BucketKey]Bucket
	Meters    map[uint32]Meter
	Zones     map[uint16]ZoneLimit
	Ports     map[string]FastPort
	Sources   map[SourceKey]FastSource
	Neighbors map[NeighborKey]Neighbor
	Limits    map[string]FastLimit
	Simulated map[SimulatedKey]Simulated
}

// Full copies the state.
func (s *State) Full() Full {
	return Full{
		maps.Collect(s.Flows.All()), maps.Collect(s.Groups.All()), maps.Collect(s.Buckets.All()), maps.Collect(s.Meters.All()),
		maps.Collect(s.Zones.All()),
		maps.Collect(s.Ports.All()), maps.Collect(s.Sources.All()), maps.Collect(s.Neighbors.All()),
		maps.Collect(s.Limits.All()), maps.Collect(s.Simulated.All()),
	}
}

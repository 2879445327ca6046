package ovs

import (
	"cmp"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Ref names one item of a state, to say which one the switch refused.
type Ref struct {
	Flow   flow.Key        // of a flow
	Group  uint32          // of a group
	Bucket state.BucketKey // of a bucket
	Meter  uint32          // of a meter
	Zone   uint16          // of a zone of connection tracking
}

// step is one message and the item that it is for.
type step struct {
	message ofp.Message
	ref     Ref
}

// installed is what the switch has of groups and meters, which cannot be written without knowing.
type installed struct {
	groups map[uint32]*group
	meters map[uint32]state.Meter
}

// group is a group that the switch has.
type group struct {
	typ     flow.GroupType
	buckets map[uint32]flow.Bucket
}

// bucket gives a bucket that the switch has.
func (h *installed) bucket(k state.BucketKey) (flow.Bucket, bool) {
	if g := h.groups[k.Group]; g != nil {
		b, ok := g.buckets[k.ID]
		return b, ok
	}
	return flow.Bucket{}, false
}

// groupType gives the type of a group as OpenFlow has it.
func groupType(g state.Group) flow.GroupType {
	if g.Choose {
		return flow.Select
	}
	return flow.All
}

// plan is the messages that make a change, in the order in which they must take effect: what is referred to before what refers
// to it, removals last. Meters cannot be in a bundle.
type plan struct {
	before, bundle, after []step
}

// bucketsPerMessage keeps a group message well below 65,535 bytes; a bucket here is under 64 bytes.
const bucketsPerMessage = 500

func newPlan(c *state.Changes, have *installed) *plan {
	p := &plan{}
	for id, m := range sorted(c.Meters.Set, cmp.Compare) {
		command := ofp.MeterAdd
		if old, ok := have.meters[id]; ok {
			if old == m {
				continue
			}
			command = ofp.MeterModify
		}
		p.before = append(p.before, step{&ofp.MeterMod{Command: command, Meter: meter(m)}, Ref{Meter: id}})
	}
	p.groups(c, have)
	for k, f := range sorted(c.Flows.Set, compareKeys) {
		p.bundle = append(p.bundle, step{&ofp.FlowMod{Command: ofp.FlowAdd, Flow: f}, Ref{Flow: k}})
	}
	for k := range sorted(c.Flows.Del, compareKeys) {
		p.bundle = append(p.bundle, step{&ofp.FlowMod{Command: ofp.FlowDeleteStrict, Flow: flow.Flow{Table: k.Table, Priority: k.Priority, Match: k.Match}}, Ref{Flow: k}})
	}
	for k := range sorted(c.Buckets.Del, compareBuckets) {
		if _, ok := have.bucket(k); ok && !gone(c, k.Group) {
			p.bundle = append(p.bundle, step{&ofp.GroupMod{Command: ofp.GroupRemoveBucket, Group: flow.Group{ID: k.Group, Type: have.groups[k.Group].typ}, BucketID: k.ID}, Ref{Bucket: k}})
		}
	}
	for id := range sorted(c.Groups.Del, cmp.Compare) {
		if _, ok := have.groups[id]; ok {
			p.bundle = append(p.bundle, step{&ofp.GroupMod{Command: ofp.GroupDelete, Group: flow.Group{ID: id, Type: flow.All}}, Ref{Group: id}})
		}
	}
	for id := range sorted(c.Meters.Del, cmp.Compare) {
		if _, ok := have.meters[id]; ok {
			p.after = append(p.after, step{&ofp.MeterMod{Command: ofp.MeterDelete, Meter: flow.Meter{ID: id}}, Ref{Meter: id}})
		}
	}
	// A zone that is used anew, or no more, forgets what it remembers: it is of another port, or of another interface. Not before the flows are there
	// that go with it.
	forget := func(zone uint16) {
		p.after = append(p.after, step{&ofp.CTFlushZone{Zone: zone}, Ref{Zone: zone}})
	}
	for zone := range sorted(c.Zones.Del, cmp.Compare) {
		forget(zone)
	}
	for zone := range sorted(c.Zones.Set, cmp.Compare) {
		forget(zone)
	}
	return p
}

func gone(c *state.Changes, group uint32) bool {
	_, ok := c.Groups.Del[group]
	return ok
}

// groups adds new groups with their buckets, and buckets to groups that are there. A bucket that changes is taken out first.
func (p *plan) groups(c *state.Changes, have *installed) {
	buckets := map[uint32][]flow.Bucket{}
	for k, b := range sorted(c.Buckets.Set, compareBuckets) {
		old, ok := have.bucket(k)
		if ok && old == b.Bucket {
			continue
		}
		if ok {
			p.bundle = append(p.bundle, step{&ofp.GroupMod{Command: ofp.GroupRemoveBucket, Group: flow.Group{ID: k.Group, Type: have.groups[k.Group].typ}, BucketID: k.ID}, Ref{Bucket: k}})
		}
		buckets[k.Group] = append(buckets[k.Group], b.Bucket)
	}
	types := map[uint32]flow.GroupType{} // of groups that buckets are added to
	for id := range buckets {
		if g := have.groups[id]; g != nil {
			types[id] = g.typ
		}
	}
	for id, g := range sorted(c.Groups.Set, cmp.Compare) {
		if _, ok := have.groups[id]; ok {
			continue
		}
		types[id] = groupType(g)
		first := buckets[id]
		if len(first) > bucketsPerMessage {
			first = first[:bucketsPerMessage]
		}
		buckets[id] = buckets[id][len(first):]
		p.bundle = append(p.bundle, step{&ofp.GroupMod{Command: ofp.GroupAdd, Group: flow.Group{ID: id, Type: types[id], Buckets: first}}, Ref{Group: id}})
	}
	for id, bs := range sorted(buckets, cmp.Compare) {
		for part := range slices.Chunk(bs, bucketsPerMessage) {
			p.bundle = append(p.bundle, step{
				&ofp.GroupMod{Command: ofp.GroupInsertBucket, Group: flow.Group{ID: id, Type: types[id], Buckets: part}, BucketID: ofp.BucketLast},
				Ref{Bucket: state.BucketKey{Group: id, ID: part[0].ID}},
			})
		}
	}
}

func (p *plan) empty() bool { return len(p.before)+len(p.bundle)+len(p.after) == 0 }

// took notes what the switch has after the changes went in.
func (h *installed) took(c *state.Changes, refused map[Ref]error) {
	ok := func(r Ref) bool { return refused[r] == nil }
	for id, m := range c.Meters.Set {
		if ok(Ref{Meter: id}) {
			h.meters[id] = m
		}
	}
	for id := range c.Meters.Del {
		delete(h.meters, id)
	}
	for id := range c.Groups.Set {
		if h.groups[id] == nil && ok(Ref{Group: id}) {
			h.groups[id] = &group{groupType(c.Groups.Set[id]), map[uint32]flow.Bucket{}}
		}
	}
	for k, b := range c.Buckets.Set {
		if h.groups[k.Group] != nil && ok(Ref{Bucket: k}) {
			h.groups[k.Group].buckets[k.ID] = b.Bucket
		}
	}
	for k := range c.Buckets.Del {
		if g := h.groups[k.Group]; g != nil {
			delete(g.buckets, k.ID)
		}
	}
	for id := range c.Groups.Del {
		delete(h.groups, id)
	}
}

func meter(m state.Meter) flow.Meter {
	unit := flow.Pktps
	if m.Bits {
		unit = flow.Kbps
	}
	return flow.Meter{ID: m.ID, Unit: unit, Burst: true, Bands: []flow.Band{{Rate: m.Rate, Burst: m.Burst}}}
}

// difference gives the changes from what the switch has to what it should have. A flow is current if its cookie is: the
// cookie holds a hash of what the flow does. With keep, nothing that is there is removed or replaced: for an agent that does
// not know yet whether its share is complete.
func difference(want *state.Full, flows []flow.Flow, have *installed, keep bool) *state.Changes {
	c := &state.Changes{}
	c.Flows.Set, c.Flows.Del = map[flow.Key]flow.Flow{}, map[flow.Key]struct{}{}
	current := make(map[flow.Key]struct{}, len(flows))
	for _, f := range flows {
		k := f.Key()
		w, ok := want.Flows[k]
		switch {
		case ok && (w.Cookie == f.Cookie || keep && pipeline.Cookie(f.Cookie).Owner().Kind != 0):
			current[k] = struct{}{}
		case !ok && !keep:
			c.Flows.Del[k] = struct{}{}
		}
	}
	for k, f := range want.Flows {
		if _, ok := current[k]; !ok {
			c.Flows.Set[k] = f
		}
	}
	c.Groups.Set, c.Groups.Del = map[uint32]state.Group{}, map[uint32]struct{}{}
	c.Buckets.Set, c.Buckets.Del = map[state.BucketKey]state.Bucket{}, map[state.BucketKey]struct{}{}
	for id, g := range want.Groups {
		if _, ok := have.groups[id]; !ok {
			c.Groups.Set[id] = g
		}
	}
	for k, b := range want.Buckets {
		if old, ok := have.bucket(k); !ok || old != b.Bucket && !keep {
			c.Buckets.Set[k] = b
		}
	}
	c.Meters.Set, c.Meters.Del = map[uint32]state.Meter{}, map[uint32]struct{}{}
	for id, m := range want.Meters {
		if old, ok := have.meters[id]; !ok || old != m && !keep {
			c.Meters.Set[id] = m
		}
	}
	if keep {
		return c
	}
	for id, g := range have.groups {
		if _, ok := want.Groups[id]; !ok {
			c.Groups.Del[id] = struct{}{}
		}
		for b := range g.buckets {
			if k := (state.BucketKey{Group: id, ID: b}); want.Buckets[k] == (state.Bucket{}) {
				c.Buckets.Del[k] = struct{}{}
			}
		}
	}
	for id := range have.meters {
		if _, ok := want.Meters[id]; !ok {
			c.Meters.Del[id] = struct{}{}
		}
	}
	return c
}

func compareKeys(a, b flow.Key) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Match.Encoded(), b.Match.Encoded()))
}

func compareBuckets(a, b state.BucketKey) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID))
}

// sorted iterates a map in the order of its keys, so that the same changes are the same messages.
func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) func(func(K, V) bool) {
	return func(yield func(K, V) bool) {
		keys := slices.SortedFunc(maps.Keys(m), compare)
		for _, k := range keys {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

package oftest

import (
	"slices"
	"time"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// group is an entry of the group table with its buckets' actions at hand.
type group struct {
	flow.Group
	acts           [][]flow.Action // of the buckets, as an action set is carried out
	packets, bytes uint64
	since          time.Time
}

func newGroup(g flow.Group, since time.Time) *group {
	n := &group{Group: g, since: since}
	for i := range g.Buckets {
		var set actionSet
		set.write(g.Buckets[i].Actions.List())
		n.acts = append(n.acts, set.list())
	}
	return n
}

func (g *group) copy() flow.Group {
	c := g.Group
	c.Buckets, c.Fields = slices.Clone(c.Buckets), slices.Clone(c.Fields)
	return c
}

func groupError(code uint16) *ofp.Error { return refuse(ofp.ErrGroupModFailed, code) }

// Codes of ErrGroupModFailed.
const (
	groupExists   = 0
	groupInvalid  = 1
	groupUnknown  = 8
	groupBadType  = 10
	groupBadCmd   = 11
	bucketBad     = 12
	bucketUnknown = 15
	bucketExists  = 16
)

// checkGroup finds what is wrong with a group-mod alone.
func checkGroup(m *ofp.GroupMod) *ofp.Error {
	g := &m.Group
	if g.ID >= ofp.BucketFirst-0xfd && g.ID != ofp.GroupAll {
		return groupError(groupInvalid)
	}
	if g.Type > flow.FF {
		return groupError(groupBadType)
	}
	for i := range g.Buckets {
		b := &g.Buckets[i]
		for _, a := range b.Actions.List() {
			if err := (&checker{table: 0}).bucketAction(a); err != nil {
				return err
			}
		}
		if g.Type != flow.Select && b.Weight != 0 || g.Type == flow.FF && b.WatchPort == 0 && b.WatchGroup == 0 {
			return groupError(groupInvalid)
		}
		if slices.ContainsFunc(g.Buckets[:i], func(x flow.Bucket) bool { return x.ID == b.ID }) {
			return groupError(bucketBad)
		}
	}
	if g.Type == flow.Indirect && len(g.Buckets) != 1 && (m.Command == ofp.GroupAdd || m.Command == ofp.GroupModify || m.Command == ofp.GroupAddOrModify) {
		return groupError(groupInvalid)
	}
	return nil
}

// bucketAction checks an action of a bucket, where nothing is known of the packet.
func (c *checker) bucketAction(a flow.Action) *ofp.Error {
	switch a := a.(type) {
	case flow.Output:
		return checkPort(a.Port)
	case flow.Unknown:
		return badType()
	case flow.SetField:
		return checkField(a.Field)
	}
	return nil
}

// groupMod applies a group-mod that checkGroup has passed.
func (s *Switch) groupMod(m *ofp.GroupMod) *ofp.Error {
	old := s.groups[m.Group.ID]
	g := m.Group
	switch m.Command {
	case ofp.GroupAdd:
		if old != nil {
			return groupError(groupExists)
		}
	case ofp.GroupModify:
		if old == nil {
			return groupError(groupUnknown)
		}
	case ofp.GroupAddOrModify:
	case ofp.GroupDelete:
		s.deleteGroups(m.Group.ID)
		return nil
	case ofp.GroupInsertBucket, ofp.GroupRemoveBucket:
		if old == nil {
			return groupError(groupUnknown)
		}
		var err *ofp.Error
		if m.Command == ofp.GroupInsertBucket {
			g, err = insertBuckets(old.copy(), g.Buckets, m.BucketID)
		} else {
			g, err = removeBucket(old.copy(), m.BucketID)
		}
		if err != nil {
			return err
		}
	default:
		return groupError(groupBadCmd)
	}
	if g.ID == ofp.GroupAll {
		return groupError(groupInvalid)
	}
	n := newGroup(g, s.opt.Now())
	if old != nil {
		n.packets, n.bytes, n.since = old.packets, old.bytes, old.since
	}
	s.setGroup(g.ID, n)
	return nil
}

func (s *Switch) setGroup(id uint32, g *group) {
	old := s.groups[id]
	set := func(g *group) {
		if g == nil {
			delete(s.groups, id)
		} else {
			s.groups[id] = g
		}
	}
	set(g)
	s.onUndo(func() { set(old) })
}

// deleteGroups deletes a group or all, with the flows that use them.
func (s *Switch) deleteGroups(id uint32) {
	for _, g := range s.sortedGroups() {
		if id != ofp.GroupAll && g.ID != id {
			continue
		}
		for _, r := range s.filter(ruleFilter{table: ofp.TableAll, group: g.ID}) {
			s.replace(r, nil)
			s.tellRemoved(r, ofp.RemovedGroupDelete)
		}
		s.setGroup(g.ID, nil)
	}
}

func insertBuckets(g flow.Group, buckets []flow.Bucket, after uint32) (flow.Group, *ofp.Error) {
	for i := range buckets {
		if slices.ContainsFunc(g.Buckets, func(b flow.Bucket) bool { return b.ID == buckets[i].ID }) {
			return g, groupError(bucketExists)
		}
	}
	at := len(g.Buckets)
	switch after {
	case ofp.BucketLast:
	case ofp.BucketFirst:
		at = 0
	default:
		i := slices.IndexFunc(g.Buckets, func(b flow.Bucket) bool { return b.ID == after })
		if i < 0 {
			return g, groupError(bucketUnknown)
		}
		at = i + 1
	}
	g.Buckets = slices.Insert(g.Buckets, at, buckets...)
	return g, nil
}

func removeBucket(g flow.Group, id uint32) (flow.Group, *ofp.Error) {
	i := 0
	switch {
	case id == ofp.BucketAll:
		g.Buckets = nil
		return g, nil
	case id == ofp.BucketFirst:
	case id == ofp.BucketLast:
		i = len(g.Buckets) - 1
	default:
		i = slices.IndexFunc(g.Buckets, func(b flow.Bucket) bool { return b.ID == id })
	}
	if i < 0 || i >= len(g.Buckets) {
		return g, groupError(bucketUnknown)
	}
	g.Buckets = slices.Delete(g.Buckets, i, i+1)
	return g, nil
}

// live reports whether a bucket can be used: what it watches is up, if it watches anything.
func (s *Switch) live(b *flow.Bucket, depth int) bool {
	if b.WatchPort == 0 && b.WatchGroup == 0 {
		return true
	}
	if p := s.ports[b.WatchPort]; p != nil && !p.Down && p.Cfg&ofp.PortDown == 0 {
		return true
	}
	g := s.groups[b.WatchGroup]
	return b.WatchGroup != 0 && g != nil && depth < maxLiveness && s.firstLive(g, depth+1) >= 0
}

// maxLiveness bounds chains of groups that watch each other.
const maxLiveness = 128

func (s *Switch) firstLive(g *group, depth int) int {
	for i := range g.Buckets {
		if s.live(&g.Buckets[i], depth) {
			return i
		}
	}
	return -1
}

// choose picks the bucket of a select group; -1: none.
func (s *Switch) choose(g *group, k *key) int {
	var live []int
	total := uint64(0)
	for i := range g.Buckets {
		if s.live(&g.Buckets[i], 0) {
			live = append(live, i)
			total += uint64(g.Buckets[i].Weight)
		}
	}
	if len(live) == 0 || total == 0 && s.opt.Bucket == nil {
		return -1
	}
	if s.opt.Bucket != nil {
		if i := s.opt.Bucket(&g.Group, live); i >= 0 && i < len(live) {
			return live[i]
		}
		return -1
	}
	n := flowHash(k) % total
	for _, i := range live {
		if w := uint64(g.Buckets[i].Weight); n < w {
			return i
		} else {
			n -= w
		}
	}
	return live[len(live)-1]
}

// flowHash is the same for all packets of a flow of a protocol in one direction.
func flowHash(k *key) uint64 {
	h := uint64(0)
	for _, w := range [...]int{wEthSrc, wEthDst, wIPv4, wIPv6Src, wIPv6Src + 1, wIPv6Dst, wIPv6Dst + 1} {
		h = mix(h, k[w])
	}
	return mix(mix(h, uint64(k.proto())), k[wTp]>>32) >> 1
}

func meterError(code uint16) *ofp.Error { return refuse(ofp.ErrMeterModFailed, code) }

// meterMod applies a meter-mod.
func (s *Switch) meterMod(m *ofp.MeterMod) *ofp.Error {
	const exists, invalid, unknown, badCommand = 1, 2, 3, 4
	old := s.meters[m.Meter.ID]
	if m.Command != ofp.MeterDelete && (m.Meter.ID == 0 || m.Meter.ID > 0xffff0000) {
		return meterError(invalid)
	}
	n := &meterEntry{Meter: m.Meter, since: s.opt.Now()}
	switch m.Command {
	case ofp.MeterAdd:
		if old != nil {
			return meterError(exists)
		}
	case ofp.MeterModify:
		if old == nil {
			return meterError(unknown)
		}
		n.packets, n.bytes, n.since = old.packets, old.bytes, old.since
	case ofp.MeterDelete:
		for _, t := range s.sortedMeters() {
			if m.Meter.ID == ofp.MeterAll || t.ID == m.Meter.ID {
				s.deleteMeter(t.ID)
			}
		}
		return nil
	default:
		return meterError(badCommand)
	}
	s.meters[m.Meter.ID] = n
	return nil
}

// deleteMeter deletes a meter with the flows that use it.
func (s *Switch) deleteMeter(id uint32) {
	for _, r := range s.sortedRules() {
		if usesMeter(r.acts, id) {
			s.replace(r, nil)
			s.tellRemoved(r, ofp.RemovedMeterDelete)
		}
	}
	delete(s.meters, id)
}

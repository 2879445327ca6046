package ofp

import (
	"fmt"
	"time"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// GroupCommand is what a GroupMod does (OFPGC_*).
type GroupCommand uint16

// Commands of GroupMod.
const (
	GroupAdd          GroupCommand = 0
	GroupModify       GroupCommand = 1
	GroupDelete       GroupCommand = 2
	GroupInsertBucket GroupCommand = 3
	GroupRemoveBucket GroupCommand = 5
	GroupAddOrModify  GroupCommand = 0x8000 // extension of Open vSwitch
)

// Places of buckets for GroupMod.BucketID (OFPG_BUCKET_*).
const (
	BucketFirst = 0xfffffffd
	BucketLast  = 0xfffffffe
	BucketAll   = 0xffffffff
)

// GroupAll stands for all groups in GroupDelete and in requests (OFPG_ALL).
const GroupAll = 0xfffffffc

// GroupMod changes the group table (OpenFlow 1.5, section 7.3.4.3).
type GroupMod struct {
	Command GroupCommand
	Group   flow.Group
	// BucketID is the bucket after which GroupInsertBucket inserts, or which GroupRemoveBucket removes. The other
	// commands ignore it.
	BucketID uint32
}

func (*GroupMod) typ() uint8 { return typeGroupMod }

func (m *GroupMod) appendTo(b []byte) ([]byte, error) {
	id := m.BucketID
	if m.Command != GroupInsertBucket && m.Command != GroupRemoveBucket {
		id = BucketAll
	}
	b = append(append16(b, uint16(m.Command)), byte(m.Group.Type), 0)
	b = append32(b, m.Group.ID)
	at := len(b)
	b = append32(append(b, 0, 0, 0, 0), id)
	return appendBuckets(b, at, &m.Group)
}

func decodeGroupMod(r *reader) Message {
	m := &GroupMod{Command: GroupCommand(r.u16())}
	m.Group.Type = flow.GroupType(r.u8())
	r.skip(1)
	m.Group.ID = r.u32()
	n := int(r.u16())
	r.skip(2)
	if m.BucketID = r.u32(); m.Command != GroupInsertBucket && m.Command != GroupRemoveBucket {
		m.BucketID = 0
	}
	r.buckets(&m.Group, n)
	return m
}

// Properties of buckets and groups.
const (
	bucketWeight     = 0
	bucketWatchPort  = 1
	bucketWatchGroup = 2
	propExperimenter = 0xffff

	vendorNetronome = 0x0000154d
	ntrSelection    = 1
	ntrNameSize     = 16
)

// appendBuckets appends buckets and properties of a group and writes the size of the buckets at the offset at.
func appendBuckets(b []byte, at int, g *flow.Group) ([]byte, error) {
	first := len(b)
	for i := range g.Buckets {
		k := &g.Buckets[i]
		list, err := k.Actions.EncodedList()
		if err != nil {
			return nil, fmt.Errorf("group %d, bucket %d: %w", g.ID, k.ID, err)
		}
		start := len(b)
		b = append16(append16(b, 0), uint16(len(list)))
		b = append(append32(b, k.ID), list...)
		if g.Type == flow.Select || k.Weight != 0 {
			b = appendProperty(b, bucketWeight, append16(append16(nil, k.Weight), 0))
		}
		if k.WatchPort != 0 {
			b = appendProperty(b, bucketWatchPort, append32(nil, uint32(k.WatchPort)))
		}
		if k.WatchGroup != 0 {
			b = appendProperty(b, bucketWatchGroup, append32(nil, k.WatchGroup))
		}
		if len(b)-first > MaxSize {
			return nil, ErrTooLong
		}
		setLen16(b, start, start)
	}
	setLen16(b, at, first)
	if g.Selection == "" {
		return b, nil
	}
	if len(g.Selection) >= ntrNameSize {
		return nil, fmt.Errorf("group %d: selection method %q is too long", g.ID, g.Selection)
	}
	v := append32(append32(append32(nil, vendorNetronome), ntrSelection), 0)
	v = append64(appendText(v, g.Selection, ntrNameSize), g.Param)
	for _, f := range g.Fields {
		p, err := flow.AppendField(v, f)
		if err != nil {
			return nil, fmt.Errorf("group %d: %w", g.ID, err)
		}
		v = p
	}
	return appendProperty(b, propExperimenter, v), nil
}

// buckets reads n bytes of buckets, and properties to the end.
func (r *reader) buckets(g *flow.Group, n int) {
	list := r.sub(n)
	for len(list.b) > 0 && list.err == nil {
		size := int(list.u16())
		if size < 8 {
			list.fail("bucket of length %d", size)
			break
		}
		v := list.sub(size - 2)
		actions := int(v.u16())
		k := flow.Bucket{ID: v.u32(), Actions: v.actions(actions)}
		for len(v.b) > 0 && v.err == nil {
			typ, p := v.property()
			switch typ {
			case bucketWeight:
				k.Weight = p.u16()
				p.skip(2)
			case bucketWatchPort:
				k.WatchPort = flow.Port(p.orZero())
			case bucketWatchGroup:
				k.WatchGroup = p.orZero()
			default:
				p.fail("unknown bucket property %d", typ)
			}
			v.join(p)
		}
		list.join(v)
		g.Buckets = append(g.Buckets, k)
	}
	r.join(list)
	for len(r.b) > 0 && r.err == nil {
		typ, p := r.property()
		if vendor, exp := p.u32(), p.u32(); typ != propExperimenter || vendor != vendorNetronome || exp != ntrSelection {
			p.fail("unknown group property %d of experimenter %#x", typ, vendor)
		}
		p.skip(4)
		if g.Selection, g.Param = p.text(ntrNameSize), p.u64(); g.Selection == "" {
			p.fail("a selection method without a name")
		}
		for len(p.b) > 0 && p.err == nil {
			f, rest, err := flow.DecodeField(p.b)
			if err != nil {
				p.fail("%w", err)
				break
			}
			p.b = rest
			g.Fields = append(g.Fields, f)
		}
		r.join(p)
	}
}

// GroupRequest asks for a GroupDescReply, or with Stats for a GroupStatsReply. Group is GroupAll for all groups.
type GroupRequest struct {
	Stats bool
	Group uint32
}

func (*GroupRequest) typ() uint8 { return typeMultipartRequest }

func (m *GroupRequest) appendTo(b []byte) ([]byte, error) {
	typ := uint16(mpGroupDesc)
	if m.Stats {
		typ = mpGroupStats
	}
	return append32(append32(appendMultipart(b, typ, false), m.Group), 0), nil
}

// GroupDescReply is one part of the list of groups.
type GroupDescReply struct {
	More   bool
	Groups []flow.Group
}

func (*GroupDescReply) typ() uint8 { return typeMultipartReply }

func (m *GroupDescReply) appendTo(b []byte) ([]byte, error) {
	b = appendMultipart(b, mpGroupDesc, m.More)
	for i := range m.Groups {
		g := &m.Groups[i]
		start := len(b)
		b = append32(append(b, 0, 0, byte(g.Type), 0), g.ID)
		at := len(b)
		var err error
		if b, err = appendBuckets(appendZeros(b, 8), at, g); err != nil {
			return nil, err
		}
		if len(b)-start > MaxSize {
			return nil, ErrTooLong
		}
		setLen16(b, start, start)
	}
	return b, nil
}

func decodeGroupDescReply(r *reader, more bool) Message {
	m := &GroupDescReply{More: more}
	for len(r.b) > 0 && r.err == nil {
		n := int(r.u16())
		if n < 16 {
			r.fail("group of length %d", n)
			break
		}
		v := r.sub(n - 2)
		g := flow.Group{Type: flow.GroupType(v.u8())}
		v.skip(1)
		g.ID = v.u32()
		size := int(v.u16())
		v.skip(6)
		v.buckets(&g, size)
		r.join(v)
		m.Groups = append(m.Groups, g)
	}
	return m
}

// GroupStatsReply is one part of the statistics of groups.
type GroupStatsReply struct {
	More   bool
	Groups []GroupStats
}

// GroupStats are the statistics of a group.
type GroupStats struct {
	Group    uint32
	RefCount uint32 // flows and groups that go to it
	Duration time.Duration
	Packets  uint64
	Bytes    uint64
	Buckets  []Counter // in the order of the group's buckets
}

// Counter counts packets and bytes.
type Counter struct{ Packets, Bytes uint64 }

func (*GroupStatsReply) typ() uint8 { return typeMultipartReply }

func (m *GroupStatsReply) appendTo(b []byte) ([]byte, error) {
	b = appendMultipart(b, mpGroupStats, m.More)
	for i := range m.Groups {
		g := &m.Groups[i]
		start := len(b)
		b = append32(append32(append32(append32(b, 0), g.Group), g.RefCount), 0)
		b = append64(append64(b, g.Packets), g.Bytes)
		b = appendCounters(appendDuration(b, g.Duration), g.Buckets)
		setLen16(b, start, start)
	}
	return b, nil
}

func decodeGroupStatsReply(r *reader, more bool) Message {
	m := &GroupStatsReply{More: more}
	for len(r.b) > 0 && r.err == nil {
		n := int(r.u16())
		if n < 40 {
			r.fail("group statistics of length %d", n)
			break
		}
		v := r.sub(n - 2)
		v.skip(2)
		g := GroupStats{Group: v.u32(), RefCount: v.u32()}
		v.skip(4)
		g.Packets, g.Bytes, g.Duration = v.u64(), v.u64(), v.duration()
		g.Buckets = v.counters()
		r.join(v)
		m.Groups = append(m.Groups, g)
	}
	return m
}

func appendDuration(b []byte, d time.Duration) []byte {
	return append32(append32(b, uint32(d/time.Second)), uint32(d%time.Second))
}

func (r *reader) duration() time.Duration {
	return seconds(r.u32()) + time.Duration(min(r.u32(), 999999999))
}

func appendCounters(b []byte, c []Counter) []byte {
	for i := range c {
		b = append64(append64(b, c[i].Packets), c[i].Bytes)
	}
	return b
}

func (r *reader) counters() []Counter {
	var c []Counter
	for len(r.b) > 0 && r.err == nil {
		c = append(c, Counter{r.u64(), r.u64()})
	}
	return c
}

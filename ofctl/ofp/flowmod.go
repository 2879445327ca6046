package ofp

import (
	"bytes"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// FlowCommand is what a FlowMod does (OFPFC_*).
type FlowCommand uint8

// Commands of FlowMod.
const (
	FlowAdd          FlowCommand = iota // add, or replace the flow with the same key
	FlowModify                          // change the actions of all flows that the match covers
	FlowModifyStrict                    // change the actions of the flow with this key
	FlowDelete                          // delete all flows that the match covers
	FlowDeleteStrict                    // delete the flow with this key
)

// FlowMod changes a flow table (OpenFlow 1.5, section 7.3.4.2).
type FlowMod struct {
	Command FlowCommand
	Flow    flow.Flow
	// CookieMask restricts the commands other than FlowAdd to flows whose cookie has the bits of Flow.Cookie under it.
	CookieMask uint64
	OutPort    flow.Port // deletes only flows that output to it; 0: all
	OutGroup   uint32    // deletes only flows that go to it; 0: all
}

// TableAll stands for all tables in deletes and requests (OFPTT_ALL).
const TableAll = 255

const (
	noBuffer = 0xffffffff
	anyID    = 0xffffffff // OFPP_ANY, OFPG_ANY, OFPG_ALL, OFPM_ALL
)

func (*FlowMod) typ() uint8 { return typeFlowMod }

func (m *FlowMod) appendTo(b []byte) ([]byte, error) {
	f := &m.Flow
	b = append64(append64(b, f.Cookie), m.CookieMask)
	b = append(b, f.Table, byte(m.Command))
	b = append16(append16(append16(b, f.IdleTimeout), f.HardTimeout), f.Priority)
	b = append32(append32(append32(b, noBuffer), orAny(uint32(m.OutPort))), orAny(m.OutGroup))
	b = append16(append16(b, uint16(f.Flags)), f.Importance)
	b = appendMatch(b, f.Match)
	return append(b, f.Actions.Encoded()...), nil
}

func decodeFlowMod(r *reader) Message {
	m := &FlowMod{}
	f := &m.Flow
	f.Cookie, m.CookieMask = r.u64(), r.u64()
	f.Table, m.Command = r.u8(), FlowCommand(r.u8())
	f.IdleTimeout, f.HardTimeout, f.Priority = r.u16(), r.u16(), r.u16()
	if id := r.u32(); id != noBuffer && r.err == nil {
		r.fail("buffer %#x: buffers are not supported", id)
	}
	m.OutPort, m.OutGroup = flow.Port(r.orZero()), r.orZero()
	f.Flags, f.Importance = flow.Flags(r.u16()), r.u16()
	if m.Command > FlowDeleteStrict {
		r.fail("command %d", m.Command)
	}
	f.Match = r.match()
	f.Actions = r.instructions()
	return m
}

// orAny writes the zero that stands for "any" in this package.
func orAny(v uint32) uint32 {
	if v == 0 {
		return anyID
	}
	return v
}

// orZero reads an id, "any" as 0.
func (r *reader) orZero() uint32 {
	if v := r.u32(); v != anyID {
		return v
	}
	return 0
}

// instructions reads instructions to the end.
func (r *reader) instructions() flow.Actions {
	a, err := flow.DecodeActions(r.take(len(r.b)))
	if err != nil {
		r.fail("%w", err)
	}
	return a
}

// actions reads an action list of n bytes.
func (r *reader) actions(n int) flow.Actions {
	a, err := flow.ActionsFromList(r.take(n))
	if err != nil {
		r.fail("%w", err)
	}
	return a
}

// FlowStatsRequest asks for the flows that all of its parts cover (OFPMP_FLOW_DESC). The zero value of a part covers
// all, but for Table. Open vSwitch 3.1 always answers with statistics.
type FlowStatsRequest struct {
	Table      uint8 // TableAll: all
	OutPort    flow.Port
	OutGroup   uint32
	Cookie     uint64
	CookieMask uint64
	Match      flow.Match
	Aggregate  bool // ask for sums only: AggregateReply (OFPMP_AGGREGATE_STATS)
}

func (*FlowStatsRequest) typ() uint8 { return typeMultipartRequest }

func (m *FlowStatsRequest) appendTo(b []byte) ([]byte, error) {
	typ := uint16(mpFlowDesc)
	if m.Aggregate {
		typ = mpAggregate
	}
	b = append(appendMultipart(b, typ, false), m.Table, 0, 0, 0)
	b = append32(append32(b, orAny(uint32(m.OutPort))), orAny(m.OutGroup))
	b = append64(append64(append32(b, 0), m.Cookie), m.CookieMask)
	return appendMatch(b, m.Match), nil
}

func decodeFlowStatsRequest(r *reader, aggregate bool) Message {
	m := &FlowStatsRequest{Aggregate: aggregate, Table: r.u8()}
	r.skip(3)
	m.OutPort, m.OutGroup = flow.Port(r.orZero()), r.orZero()
	r.skip(4)
	m.Cookie, m.CookieMask = r.u64(), r.u64()
	m.Match = r.match()
	return m
}

// FlowStatsReply is one part of the answer to a FlowStatsRequest.
type FlowStatsReply struct {
	More    bool // further parts follow
	Flows   []FlowStats
	Unknown []UnknownFlow
}

// UnknownFlow is a flow that this package cannot read, such as one with a field that ofctl/flow does not declare.
type UnknownFlow struct {
	Table    uint8
	Priority uint16
	Cookie   uint64
	Reason   string
	Entry    []byte // as it was on the wire
}

// FlowStats is a flow with its statistics.
type FlowStats struct {
	Flow flow.Flow
	Stats
}

func (*FlowStatsReply) typ() uint8 { return typeMultipartReply }

func (m *FlowStatsReply) appendTo(b []byte) ([]byte, error) {
	b = appendMultipart(b, mpFlowDesc, m.More)
	for i := range m.Flows {
		start := len(b)
		s := &m.Flows[i]
		f := &s.Flow
		b = append(b, 0, 0, 0, 0, f.Table, 0)
		b = append16(append16(append16(b, f.Priority), f.IdleTimeout), f.HardTimeout)
		b = append64(append16(append16(b, uint16(f.Flags)), f.Importance), f.Cookie)
		b = s.Stats.appendTo(appendMatch(b, f.Match))
		b = append(b, f.Actions.Encoded()...)
		if len(b)-start > MaxSize {
			return nil, ErrTooLong
		}
		setLen16(b, start, start)
	}
	for i := range m.Unknown {
		b = append(b, m.Unknown[i].Entry...)
	}
	return b, nil
}

func decodeFlowStatsReply(r *reader, more bool) Message {
	m := &FlowStatsReply{More: more}
	for len(r.b) > 0 && r.err == nil {
		start := r.b
		n := int(r.u16())
		if n < flowStatsSize {
			r.fail("flow of length %d", n)
			break
		}
		e := r.sub(n - 2)
		if r.err != nil {
			break
		}
		s, err := decodeFlowStats(&e)
		if err != nil {
			m.Unknown = append(m.Unknown, UnknownFlow{
				s.Flow.Table, s.Flow.Priority, s.Flow.Cookie, err.Error(), bytes.Clone(start[:n]),
			})
			continue
		}
		m.Flows = append(m.Flows, s)
	}
	return m
}

const flowStatsSize = 24

// decodeFlowStats reads an entry after its length, to the end.
func decodeFlowStats(r *reader) (FlowStats, error) {
	var s FlowStats
	f := &s.Flow
	r.skip(2)
	f.Table = r.u8()
	r.skip(1)
	f.Priority, f.IdleTimeout, f.HardTimeout = r.u16(), r.u16(), r.u16()
	f.Flags, f.Importance, f.Cookie = flow.Flags(r.u16()), r.u16(), r.u64()
	f.Match = r.match()
	s.Stats = r.stats()
	f.Actions = r.instructions()
	return s, r.err
}

// AggregateReply answers a FlowStatsRequest with Aggregate.
type AggregateReply struct{ Stats }

func (*AggregateReply) typ() uint8 { return typeMultipartReply }

func (m *AggregateReply) appendTo(b []byte) ([]byte, error) {
	return m.Stats.appendTo(appendMultipart(b, mpAggregate, false)), nil
}

// RemovedReason says why a flow was removed (OFPRR_*).
type RemovedReason uint8

// Reasons of FlowRemoved.
const (
	RemovedIdleTimeout RemovedReason = iota
	RemovedHardTimeout
	RemovedDelete
	RemovedGroupDelete
	RemovedMeterDelete
	RemovedEviction
)

// FlowRemoved tells that a flow with flow.SendFlowRem is gone (OpenFlow 1.5, section 7.4.2). Its Flow has no actions.
type FlowRemoved struct {
	Flow   flow.Flow
	Reason RemovedReason
	Stats
}

func (*FlowRemoved) typ() uint8 { return typeFlowRemoved }

func (m *FlowRemoved) appendTo(b []byte) ([]byte, error) {
	f := &m.Flow
	b = append(b, f.Table, byte(m.Reason))
	b = append16(append16(append16(b, f.Priority), f.IdleTimeout), f.HardTimeout)
	return m.Stats.appendTo(appendMatch(append64(b, f.Cookie), f.Match)), nil
}

func decodeFlowRemoved(r *reader) Message {
	m := &FlowRemoved{}
	f := &m.Flow
	f.Table, m.Reason = r.u8(), RemovedReason(r.u8())
	f.Priority, f.IdleTimeout, f.HardTimeout, f.Cookie = r.u16(), r.u16(), r.u16(), r.u64()
	f.Match = r.match()
	m.Stats = r.stats()
	return m
}

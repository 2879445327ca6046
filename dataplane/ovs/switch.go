package ovs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// packetOutWait is how long a packet waits for room among the messages to the switch.
const packetOutWait = time.Second

// Switch is a session with a bridge whose flow, group and meter tables it owns. Sync first, then Apply; both from one
// goroutine.
type Switch struct {
	conn *conn.Conn
	log  *slog.Logger
	have installed

	packets atomic.Uint64 // sent
}

// Dial connects to the bridge at target (see conn.Dial). Run must run for anything to happen.
func Dial(ctx context.Context, target string, log *slog.Logger) (*Switch, error) {
	c, err := conn.Dial(ctx, target, conn.Options{Log: log, PacketOutWait: packetOutWait})
	if err != nil {
		return nil, fmt.Errorf("connect to the switch at %s: %w", target, err)
	}
	return &Switch{conn: c, log: log}, nil
}

// Run moves messages until the session ends, and says why it did.
func (s *Switch) Run(ctx context.Context) error { return s.conn.Run(ctx) }

// FlowStats is a flow that the switch has, with its counters.
type FlowStats struct {
	flow.Flow
	Packets, Bytes uint64
}

// Flows reads the flows that the switch has; with a kind only those of owners of that kind.
func (s *Switch) Flows(ctx context.Context, kind pipeline.Kind) ([]FlowStats, error) {
	var filter conn.FlowFilter
	if kind != 0 {
		filter.Cookie, filter.CookieMask = pipeline.KindCookie(kind)
	}
	stats, err := s.conn.DumpFlowStats(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("read the flows: %w", err)
	}
	flows := make([]FlowStats, len(stats))
	for i, f := range stats {
		flows[i] = FlowStats{f.Flow, f.Packets, f.Bytes}
	}
	return flows, nil
}

// Takes reports whether the switch would take a flow, as its datapath can do it. It changes nothing.
func (s *Switch) Takes(ctx context.Context, f flow.Flow) (bool, error) {
	err := s.conn.Bundle(ctx, []ofp.Message{&ofp.FlowMod{Command: ofp.FlowAdd, Flow: f}}, conn.BundleOptions{Try: true})
	var failed *conn.ApplyError
	if errors.As(err, &failed) && len(failed.Failed) > 0 {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("try a flow: %w", err)
	}
	return true, nil
}

// Sent counts the messages that were sent to the switch, but for packets. While packets are on their way it may be too low by as many.
func (s *Switch) Sent() uint64 {
	all, packets := s.conn.Counters().SentMessages, s.packets.Load()
	return all - min(all, packets)
}

// Refused are the items that the switch refused, with its errors. All others went in.
type Refused map[Ref]error

// Sync reads what the switch has and applies the difference to what it should have. With keep, it adds only what is missing.
// It gives how many messages that took: 0 if the switch was as it should be.
func (s *Switch) Sync(ctx context.Context, want *state.Full, keep bool) (Refused, int, error) {
	if err := s.conn.Listen(ctx, 0); err != nil {
		return nil, 0, fmt.Errorf("ask for packet-ins: %w", err)
	}
	flows, err := s.conn.DumpFlows(ctx, conn.FlowFilter{})
	if err != nil {
		return nil, 0, fmt.Errorf("read the flows: %w", err)
	}
	groups, err := s.conn.DumpGroups(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read the groups: %w", err)
	}
	meters, err := s.conn.DumpMeters(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("read the meters: %w", err)
	}
	s.have = installed{groups: map[uint32]*group{}, meters: map[uint32]state.Meter{}}
	for _, g := range groups {
		have := &group{g.Type, map[uint32]flow.Bucket{}}
		for _, b := range g.Buckets {
			have.buckets[b.ID] = b
		}
		s.have.groups[g.ID] = have
	}
	for _, m := range meters {
		var have state.Meter // one that is not ours in form is none that we want
		if m.Burst && len(m.Bands) == 1 {
			have = state.Meter{ID: m.ID, Bits: m.Unit == flow.Kbps, Rate: m.Bands[0].Rate, Burst: m.Bands[0].Burst}
		}
		s.have.meters[m.ID] = have
	}
	c := difference(want, flows, &s.have, keep)
	p := newPlan(c, &s.have)
	refused, err := s.apply(ctx, c)
	return refused, len(p.before) + len(p.bundle) + len(p.after), err
}

// Apply makes the changes: as one bundle, closed by a barrier, what is referred to before what refers to it. An error means that
// the session is lost or in doubt: dial again and Sync.
func (s *Switch) Apply(ctx context.Context, c *state.Changes) (Refused, error) {
	return s.apply(ctx, c)
}

func (s *Switch) apply(ctx context.Context, c *state.Changes) (Refused, error) {
	p := newPlan(c, &s.have)
	refused := Refused{}
	if p.empty() {
		return refused, nil
	}
	if err := s.send(ctx, p.before, refused, s.conn.Send); err != nil {
		return refused, fmt.Errorf("set meters: %w", err)
	}
	bundle := func(ctx context.Context, ms []ofp.Message) error {
		return s.conn.Bundle(ctx, ms, conn.BundleOptions{Ordered: true, Atomic: true})
	}
	if err := s.send(ctx, p.bundle, refused, bundle); err != nil {
		return refused, fmt.Errorf("change flows and groups: %w", err)
	}
	if err := s.send(ctx, p.after, refused, s.conn.Send); err != nil {
		return refused, fmt.Errorf("remove meters and forget conversations: %w", err)
	}
	s.have.took(c, refused)
	return refused, nil
}

// send sends steps; those that the switch refuses are noted, and the others sent again if that kept them out.
func (s *Switch) send(ctx context.Context, steps []step, refused Refused, do func(context.Context, []ofp.Message) error) error {
	for len(steps) > 0 {
		messages := make([]ofp.Message, len(steps))
		for i, st := range steps {
			messages[i] = st.message
		}
		err := do(ctx, messages)
		var failed *conn.ApplyError
		if err == nil || !errors.As(err, &failed) || len(failed.Failed) == 0 {
			return err
		}
		bad := map[int]error{}
		for _, f := range failed.Failed {
			bad[f.Index] = f.Err
			refused[steps[f.Index].ref] = f.Err
			s.log.Warn("the switch refused a change", "message", ofp.Name(steps[f.Index].message), "error", f.Err)
		}
		if failed.Applied {
			return nil
		}
		var rest []step
		for i, st := range steps {
			if bad[i] == nil {
				rest = append(rest, st)
			}
		}
		steps = rest
	}
	return nil
}

// MeterCount is what a meter has seen.
type MeterCount struct{ Passed, Dropped uint64 }

// Meters reads what the meters have seen, by id.
func (s *Switch) Meters(ctx context.Context) (map[uint32]MeterCount, error) {
	stats, err := s.conn.MeterStats(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the meters: %w", err)
	}
	counts := map[uint32]MeterCount{}
	for _, m := range stats {
		var c MeterCount
		for _, b := range m.Bands {
			c.Dropped += b.Packets
		}
		c.Passed = m.Packets - min(m.Packets, c.Dropped)
		counts[m.Meter] = c
	}
	return counts, nil
}

package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Failure is what is wrong with one message.
type Failure struct {
	Index int   // of the message among those given
	Err   error // an *ofp.Error of the switch, or why the message cannot be encoded
}

// ApplyError tells which messages of Send or Bundle failed.
type ApplyError struct {
	Total  int       // messages given
	Failed []Failure // by index
	// Bundle is the switch's error about the bundle itself, if any.
	Bundle *ofp.Error
	// Applied tells whether the messages that are not in Failed were applied.
	Applied bool
}

// Error names the first failures.
func (e *ApplyError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d of %d messages failed", len(e.Failed), e.Total)
	if !e.Applied {
		s.WriteString(", none was applied")
	}
	for i, f := range e.Failed {
		if i == 3 {
			s.WriteString(", ...")
			break
		}
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&s, "%smessage %d: %v", sep, f.Index, f.Err)
	}
	if e.Bundle != nil && len(e.Failed) == 0 {
		fmt.Fprintf(&s, ": bundle: %v", e.Bundle)
	}
	return s.String()
}

// Unwrap gives the errors of the messages and of the bundle.
func (e *ApplyError) Unwrap() []error {
	var errs []error
	for _, f := range e.Failed {
		errs = append(errs, f.Err)
	}
	if e.Bundle != nil {
		errs = append(errs, e.Bundle)
	}
	return errs
}

// refuse notes an error of the switch. Its data is a copy of what the caller has.
func (e *ApplyError) refuse(i int, err *ofp.Error) {
	err.Data = nil
	e.Failed = append(e.Failed, Failure{i, err})
}

// result gives the error, sorted, or nil if nothing failed.
func (e *ApplyError) result() error {
	if len(e.Failed) == 0 && e.Bundle == nil {
		return nil
	}
	slices.SortStableFunc(e.Failed, func(a, b Failure) int { return a.Index - b.Index })
	return e
}

// Post sends a message and does not wait. An error of the switch is logged and counted.
func (c *Conn) Post(ctx context.Context, m ofp.Message) error {
	b, err := ofp.Append(nil, c.takeXIDs(1), m)
	if err != nil {
		return err
	}
	return c.post(ctx, 0, b)
}

// PacketOut sends a packet and waits for nothing but room in the queue, for Options.PacketOutWait at most. An error of the switch is logged and counted.
func (c *Conn) PacketOut(ctx context.Context, m *ofp.PacketOut) error {
	b, err := ofp.Append(make([]byte, 0, 256+len(m.Data)), c.takeXIDs(1), m)
	if err != nil {
		return err
	}
	return c.post(ctx, c.opt.PacketOutWait, b)
}

// Listen asks the switch for packet-ins with all that it knows (NXT_PACKET_IN2), for port-status and flow-removed
// messages. Controller actions name this session by id.
func (c *Conn) Listen(ctx context.Context, id uint16) error {
	return c.Send(ctx, []ofp.Message{
		&ofp.SetControllerID{ID: id},
		&ofp.SetPacketInFormat{Format: ofp.PacketInNicira2},
		&ofp.SetConfig{MissSendLen: 0xffff}, // until it is set, the management socket gets no packet-ins
		&ofp.SetAsync{PacketIn: 0x3f, PortStatus: 0x7, FlowRemoved: 0x3f},
	})
}

// Send sends messages one by one in order, without waiting for each, and waits until the switch has done them all. Those
// that fail are named in an *ApplyError; the others are applied.
func (c *Conn) Send(ctx context.Context, msgs []ofp.Message) error {
	n := len(msgs)
	failed := &ApplyError{Total: n, Applied: true}
	var barrier *ofp.Error
	k := c.begin(n+1, func(i int, m ofp.Message) bool {
		e, refused := m.(*ofp.Error)
		switch {
		case refused && i < n:
			failed.refuse(i, e)
		case refused:
			barrier = e
		}
		return i == n
	})
	defer c.end(k)
	t := batch{c: c, ctx: ctx}
	for i, m := range msgs {
		err, lost := t.add(k.first+uint32(i), m)
		if lost != nil {
			return fmt.Errorf("send %d messages: %w", n, lost)
		}
		c.encodeFailed(failed, i, err)
	}
	err := t.finish(k.first+uint32(n), &ofp.BarrierRequest{})
	if err == nil {
		err = c.wait(ctx, k)
	}
	if err == nil && barrier != nil {
		err = barrier
	}
	if err != nil {
		return fmt.Errorf("send %d messages: %w", n, err)
	}
	return failed.result()
}

// encodeFailed notes that a message could not be encoded, while the reader may note other failures.
func (c *Conn) encodeFailed(failed *ApplyError, i int, err error) {
	if err != nil {
		c.mu.Lock()
		failed.Failed = append(failed.Failed, Failure{i, err})
		c.mu.Unlock()
	}
}

// BundleOptions say how a bundle is applied.
type BundleOptions struct {
	// Atomic: if any message fails, none is applied. Otherwise those that the switch can read are applied, unless the
	// switch refuses one of them when it applies them: Open vSwitch then reverts all of them.
	Atomic  bool
	Ordered bool // in the order given; Open vSwitch always does
	// Try: nothing is applied. Those that fail are the messages that the switch cannot read or its datapath cannot do.
	Try bool
}

// Bundle applies messages (*ofp.FlowMod, *ofp.GroupMod, *ofp.PortMod, *ofp.PacketOut) in one step: packets see all of
// them or none. It streams them without waiting for each; the cost is two round trips. An *ApplyError names the messages
// that failed and tells whether the others were applied. With another error, or if ctx ends, it is not known whether the
// bundle was applied.
func (c *Conn) Bundle(ctx context.Context, msgs []ofp.Message, opt BundleOptions) error {
	if len(msgs) == 0 {
		return nil
	}
	err := c.bundle(ctx, msgs, opt)
	if err == nil || errors.As(err, new(*ApplyError)) {
		return err
	}
	return fmt.Errorf("bundle of %d messages: %w", len(msgs), err)
}

func (c *Conn) bundle(ctx context.Context, msgs []ofp.Message, opt BundleOptions) error {
	var flags ofp.BundleFlags
	if opt.Atomic {
		flags |= ofp.BundleAtomic
	}
	if opt.Ordered {
		flags |= ofp.BundleOrdered
	}
	// The messages of a bundle, in order: open, the messages, a barrier, commit or discard. Their errors come while they
	// are added, or when the bundle is committed.
	n := len(msgs)
	barrier, last := n+1, n+2
	failed := &ApplyError{Total: n}
	added := make(chan struct{}, 1)
	k := c.begin(n+3, func(i int, m ofp.Message) bool {
		e, refused := m.(*ofp.Error)
		switch {
		case refused && i >= 1 && i <= n:
			failed.refuse(i-1, e)
		case refused && failed.Bundle == nil:
			failed.Bundle = e
		}
		if i == barrier {
			select {
			case added <- struct{}{}:
			default:
			}
		}
		return i == last
	})
	defer c.end(k)
	id := k.first // unique in the session
	control := func(typ ofp.BundleControlType) ofp.Message {
		return &ofp.BundleControl{ID: id, Type: typ, Flags: flags}
	}

	t := batch{c: c, ctx: ctx}
	if _, lost := t.add(k.first, control(ofp.BundleOpenRequest)); lost != nil {
		return lost
	}
	add := ofp.BundleAdd{ID: id, Flags: flags}
	for i, m := range msgs {
		add.Message = m
		err, lost := t.add(k.first+1+uint32(i), &add)
		if lost != nil {
			return lost
		}
		c.encodeFailed(failed, i, err)
	}
	if err := t.finish(k.first+uint32(barrier), &ofp.BarrierRequest{}); err != nil {
		return err
	}
	if err := c.await(ctx, k, added); err != nil {
		return err
	}

	// Open vSwitch would commit the messages that it could read, also of an atomic bundle.
	c.mu.Lock()
	discard := opt.Try || failed.Bundle != nil || len(failed.Failed) == n || len(failed.Failed) > 0 && opt.Atomic
	unreadable := len(failed.Failed)
	c.mu.Unlock()
	typ := ofp.BundleCommitRequest
	if discard {
		typ = ofp.BundleDiscardRequest
	}
	if err := t.finish(k.first+uint32(last), control(typ)); err != nil {
		return err
	}
	if err := c.wait(ctx, k); err != nil {
		return err
	}
	failed.Applied = !discard && failed.Bundle == nil && len(failed.Failed) == unreadable
	if e := failed.Bundle; e != nil && len(failed.Failed) > 0 {
		failed.Bundle = nil // says no more than Failed
	}
	return failed.result()
}

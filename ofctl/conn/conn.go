// Package conn is a session with one OpenFlow 1.5 switch: it dials, agrees on the version, matches replies and errors
// with requests, applies bundles, dumps tables, and gives out what the switch sends unasked. It keeps no state of the
// switch and does not redial: when the connection is lost, Run returns, pending calls fail, and the owner dials again.
// It is imported by the data plane's Open vSwitch driver and by tools.
package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/ofctl/ofp"
)

// ErrClosed is what calls return, with its cause, when the session has ended.
var ErrClosed = errors.New("OpenFlow session closed")

// Conn is a session. After Dial its owner calls Run, once; the other methods do their work while Run runs, and may be
// called from several goroutines at once.
type Conn struct {
	opt    Options
	target string
	net    net.Conn
	in     *messageReader

	out    chan []byte   // whole messages, for the writer
	echoes chan []byte   // echo replies, in front of out
	done   chan struct{} // closed when Run returns
	cause  error         // why; set before done is closed

	mu    sync.Mutex
	xid   uint32 // last one that was given out
	calls []*call

	packetIns chan *ofp.PacketIn
	events    chan ofp.Message

	lastRecv atomic.Int64 // nanoseconds of the monotonic clock since start
	start    time.Time
	counters counters
}

// Counters count what a session has done.
type Counters struct {
	SentMessages, SentBytes         uint64
	ReceivedMessages, ReceivedBytes uint64
	DroppedPacketIns                uint64 // because nobody took them from PacketIns
	DroppedEvents                   uint64 // because nobody took them from Events
	StrayErrors                     uint64 // errors for messages that nobody waits for, such as packet-outs
	Unreadable                      uint64 // messages and flows that ofctl/ofp cannot read
}

type counters struct {
	sentMessages, sentBytes, receivedMessages, receivedBytes atomic.Uint64
	droppedPacketIns, droppedEvents, strayErrors, unreadable atomic.Uint64
}

// Counters gives the counters as they are now.
func (c *Conn) Counters() Counters {
	n := &c.counters
	return Counters{
		SentMessages: n.sentMessages.Load(), SentBytes: n.sentBytes.Load(),
		ReceivedMessages: n.receivedMessages.Load(), ReceivedBytes: n.receivedBytes.Load(),
		DroppedPacketIns: n.droppedPacketIns.Load(), DroppedEvents: n.droppedEvents.Load(),
		StrayErrors: n.strayErrors.Load(), Unreadable: n.unreadable.Load(),
	}
}

// PacketIns gives the packets that the switch sends (see Listen). It is closed when the session ends. What does not fit
// the queue is dropped and counted.
func (c *Conn) PacketIns() <-chan *ofp.PacketIn { return c.packetIns }

// Events gives *ofp.PortStatus, *ofp.FlowRemoved, and messages that ofctl/ofp does not know. It is closed when the session
// ends. What does not fit the queue is dropped and counted: after a drop the owner must read the state again.
func (c *Conn) Events() <-chan ofp.Message { return c.events }

// Run moves messages until ctx is done, the connection is lost, or the peer breaks the protocol. It closes the
// connection and always returns an error: that of ctx or what happened.
func (c *Conn) Run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.read() })
	g.Go(func() error { return c.write(gctx) })
	g.Go(func() error { return c.keepAlive(gctx) })
	g.Go(func() error { // unblocks the reader and the writer
		<-gctx.Done()
		c.net.Close()
		return gctx.Err()
	})
	err := g.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	err = fmt.Errorf("OpenFlow session with %s: %w", c.target, err)
	c.mu.Lock()
	c.cause = err
	close(c.done)
	c.mu.Unlock()
	close(c.packetIns)
	close(c.events)
	return err
}

// Close ends a session whose Run was not called.
func (c *Conn) Close() error { return c.net.Close() }

func (c *Conn) closedErr() error { return fmt.Errorf("%w: %w", ErrClosed, c.cause) }

func (c *Conn) read() error {
	for {
		h, m, err := c.in.next()
		c.lastRecv.Store(int64(time.Since(c.start)))
		var bad *unreadable
		switch {
		case errors.As(err, &bad):
			c.unreadable(h, bad)
			continue
		case errors.Is(err, io.EOF):
			return errors.New("the switch closed the connection")
		case err != nil:
			return err
		}
		c.counters.receivedMessages.Add(1)
		c.counters.receivedBytes.Add(uint64(h.Length))
		if err := c.dispatch(h.XID, m); err != nil {
			return err
		}
	}
}

// unreadable fails the call that waits for a message which cannot be read.
func (c *Conn) unreadable(h ofp.Header, err error) {
	c.counters.unreadable.Add(1)
	if !c.fail(h.XID, err) {
		c.opt.Log.Warn("switch sent a message that cannot be read", "target", c.target, "xid", h.XID, "error", err)
	}
}

// dispatch hands a message to whom it is for. It never blocks.
func (c *Conn) dispatch(xid uint32, m ofp.Message) error {
	switch m := m.(type) {
	case *ofp.EchoRequest:
		b, err := ofp.Append(nil, xid, &ofp.EchoReply{Data: m.Data})
		if err != nil {
			return err
		}
		select {
		case c.echoes <- b:
		default: // the switch has sent many and reads no answer
		}
		return nil
	case *ofp.PacketIn:
		select {
		case c.packetIns <- m:
		default:
			c.counters.droppedPacketIns.Add(1)
		}
		return nil
	case *ofp.PortStatus, *ofp.FlowRemoved:
		c.event(m)
		return nil
	case *ofp.Hello, *ofp.EchoReply:
		return nil
	}
	if c.answer(xid, m) {
		return nil
	}
	if e, ok := m.(*ofp.Error); ok {
		c.counters.strayErrors.Add(1)
		c.opt.Log.Warn("switch refused a message that nobody waits for", "target", c.target, "xid", xid, "error", e.Error())
		return nil
	}
	c.event(m)
	return nil
}

func (c *Conn) event(m ofp.Message) {
	select {
	case c.events <- m:
	default:
		c.counters.droppedEvents.Add(1)
	}
}

func (c *Conn) write(ctx context.Context) error {
	var several []byte
	for {
		var b []byte
		select {
		case b = <-c.echoes:
		default:
			select {
			case b = <-c.echoes:
			case b = <-c.out:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		// What else waits goes with it, in one system call.
		if len(c.out) > 0 && len(b) < batchSize {
			several = append(several[:0], b...)
			for more := true; more && len(several) < batchSize; {
				select {
				case b = <-c.out:
					several = append(several, b...)
				default:
					more = false
				}
			}
			b = several
		}
		// Before the write, so that who has an answer finds its question counted.
		c.counters.sentBytes.Add(uint64(len(b)))
		c.counters.sentMessages.Add(countMessages(b))
		if _, err := c.net.Write(b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
}

func countMessages(b []byte) (n uint64) {
	for len(b) >= ofp.HeaderSize {
		h, err := ofp.ParseHeader(b)
		if err != nil || int(h.Length) > len(b) {
			break
		}
		b = b[h.Length:]
		n++
	}
	return n
}

// keepAlive asks for an echo when the switch is silent, and ends the session when it stays so.
func (c *Conn) keepAlive(ctx context.Context) error {
	if c.opt.EchoInterval < 0 {
		return nil
	}
	tick := time.NewTicker(c.opt.EchoInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		silent := time.Since(c.start) - time.Duration(c.lastRecv.Load())
		switch {
		case silent > c.opt.EchoInterval+c.opt.EchoTimeout:
			return fmt.Errorf("the switch is silent for %v", silent.Round(time.Millisecond))
		case silent > c.opt.EchoInterval/2:
			b, err := ofp.Append(nil, c.takeXIDs(1), &ofp.EchoRequest{})
			if err != nil {
				return err
			}
			select {
			case c.echoes <- b:
			default: // the writer is stuck: no need to add to it
			}
		}
	}
}

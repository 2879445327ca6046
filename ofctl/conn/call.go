package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openvnet/openvnet/ofctl/ofp"
)

// call waits for the answers to one or more messages with successive transaction ids.
type call struct {
	first, n uint32
	// receive takes an answer to the message number i and reports whether it was the last one. It runs in the reader's
	// goroutine, under Conn.mu, and must not block.
	receive func(i int, m ofp.Message) (done bool)
	done    chan struct{}
	err     error // why the call ended without its answers; set before done is closed
}

// takeXIDs gives out n successive transaction ids, none of them 0.
func (c *Conn) takeXIDs(n uint32) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeXIDsLocked(n)
}

func (c *Conn) takeXIDsLocked(n uint32) uint32 {
	if c.xid+n < c.xid {
		c.xid = 0
	}
	first := c.xid + 1
	c.xid += n
	return first
}

// begin registers a call for n messages.
func (c *Conn) begin(n int, receive func(i int, m ofp.Message) bool) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &call{first: c.takeXIDsLocked(uint32(n)), n: uint32(n), receive: receive, done: make(chan struct{})}
	c.calls = append(c.calls, k)
	return k
}

// end forgets a call, whether it is done or not.
func (c *Conn) end(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.calls, k); i >= 0 {
		c.calls = slices.Delete(c.calls, i, i+1)
	}
}

// answer gives a message to the call that waits for it, if there is one.
func (c *Conn) answer(xid uint32, m ofp.Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range c.calls {
		if xid-k.first < k.n {
			if k.receive(int(xid-k.first), m) {
				c.calls = slices.Delete(c.calls, i, i+1)
				close(k.done)
			}
			return true
		}
	}
	return false
}

// fail ends the call that waits for an answer with an error, if there is one.
func (c *Conn) fail(xid uint32, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range c.calls {
		if xid-k.first < k.n {
			k.err = err
			c.calls = slices.Delete(c.calls, i, i+1)
			close(k.done)
			return true
		}
	}
	return false
}

// wait waits until the call is done.
func (c *Conn) wait(ctx context.Context, k *call) error {
	if err := c.await(ctx, k, k.done); err != nil {
		return err
	}
	return k.err
}

// await waits for a signal from the reader, or for the end of the call.
func (c *Conn) await(ctx context.Context, k *call, signal <-chan struct{}) error {
	select {
	case <-signal:
		return nil
	default:
	}
	select {
	case <-signal:
		return nil
	case <-k.done:
		return k.err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.closedErr()
	}
}

// post gives bytes to the writer, for which it waits for no longer than limit; 0 is for as long as ctx lets it.
func (c *Conn) post(ctx context.Context, limit time.Duration, b []byte) error {
	select {
	case <-c.done:
		return c.closedErr()
	default:
	}
	select {
	case c.out <- b:
		return nil
	default: // only who has to wait needs a timer
	}
	var late <-chan time.Time
	if limit > 0 {
		late = time.After(limit)
	}
	select {
	case c.out <- b:
		return nil
	case <-late:
		return fmt.Errorf("the switch has taken nothing for %v", limit)
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.closedErr()
	}
}

// batch encodes messages and posts them in buffers of about 64 kB.
type batch struct {
	c   *Conn
	ctx context.Context //nolint:containedctx // lives as long as one call
	b   []byte
}

const batchSize = 64 << 10

// add encodes a message; err is about the message, lost about the session.
func (t *batch) add(xid uint32, m ofp.Message) (err, lost error) {
	if t.b == nil {
		t.b = make([]byte, 0, batchSize+4096)
	}
	if t.b, err = ofp.Append(t.b, xid, m); err != nil {
		return err, nil
	}
	if len(t.b) >= batchSize {
		return nil, t.flush()
	}
	return nil, nil
}

func (t *batch) flush() error {
	if len(t.b) == 0 {
		return nil
	}
	b := t.b
	t.b = nil
	return t.c.post(t.ctx, 0, b)
}

// finish encodes the last message and posts what there is.
func (t *batch) finish(xid uint32, m ofp.Message) error {
	if err, lost := t.add(xid, m); err != nil || lost != nil {
		return errors.Join(err, lost)
	}
	return t.flush()
}

// request sends one message and calls receive for each answer, until it reports that it was the last one. An error of
// the switch is returned.
func (c *Conn) request(ctx context.Context, m ofp.Message, receive func(m ofp.Message) (done bool, err error)) error {
	var failed error
	k := c.begin(1, func(_ int, a ofp.Message) bool {
		if e, ok := a.(*ofp.Error); ok {
			failed = e
			return true
		}
		done, err := receive(a)
		if err != nil {
			failed = err
			return true
		}
		return done
	})
	defer c.end(k)
	b, err := ofp.Append(nil, k.first, m)
	if err == nil {
		if err = c.post(ctx, 0, b); err == nil {
			err = c.wait(ctx, k)
		}
	}
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", ofp.Name(m), err)
	}
	return nil
}

// one asks for a single answer of type R.
func one[R ofp.Message](ctx context.Context, c *Conn, m ofp.Message) (R, error) {
	var answer R
	err := c.request(ctx, m, func(a ofp.Message) (bool, error) {
		r, ok := a.(R)
		if !ok {
			return true, fmt.Errorf("the switch answered with a %s", ofp.Name(a))
		}
		answer = r
		return true, nil
	})
	if err != nil {
		var none R
		return none, err
	}
	return answer, nil
}

// parts asks for an answer in parts of type R and calls take for each.
func parts[R ofp.MultipartReply](ctx context.Context, c *Conn, m ofp.Message, take func(R)) error {
	return c.request(ctx, m, func(a ofp.Message) (bool, error) {
		r, ok := a.(R)
		if !ok {
			return true, fmt.Errorf("the switch answered with a %s", ofp.Name(a))
		}
		take(r)
		return !r.HasMore(), nil
	})
}

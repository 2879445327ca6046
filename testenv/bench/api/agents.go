package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model/wire"
)

// joiningAtOnce is how many agents connect at a time. The kernel resets connections when too many come at once.
const joiningAtOnce = 64

// agent is a host's stream, of which it keeps nothing.
type agent struct {
	n      int
	has    bool // the network in which something changes
	out    *io.PipeWriter
	joined chan struct{} // closed at the end of the snapshot
	deltas atomic.Int64  // since then
}

// arrival is a change that an agent has got.
type arrival struct {
	agent int
	at    time.Time
}

// fanOut connects all agents, and times changes.
func (w *world) fanOut(ctx context.Context, f *figures) error {
	if err := w.makeHosts(ctx); err != nil {
		return fmt.Errorf("make the hosts: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals := make(chan arrival, w.o.Agents)
	agents := make([]*agent, w.o.Agents+w.o.Bystanders)
	streams, sctx := errgroup.WithContext(ctx)
	began := time.Now()
	joining := make(chan struct{}, joiningAtOnce)
	for n := range agents {
		a := &agent{n: n, has: n < w.o.Agents, joined: make(chan struct{})}
		agents[n] = a
		streams.Go(func() error {
			select {
			case joining <- struct{}{}:
			case <-sctx.Done():
				return nil
			}
			go func() { // its place goes to the next
				select {
				case <-a.joined:
				case <-sctx.Done():
				}
				<-joining
			}()
			if err := a.run(sctx, w.m.address, arrivals); ctx.Err() == nil {
				return fmt.Errorf("the stream of agent %d has ended: %w", n, err)
			}
			return nil
		})
	}
	err := w.changes(sctx, agents, arrivals, began, f)
	cancel()
	if broken := streams.Wait(); broken != nil {
		err = broken // and what follows from it
	}
	for _, a := range agents[w.o.Agents:] {
		f.strays += int(a.deltas.Load())
	}
	return err
}

func (w *world) changes(ctx context.Context, agents []*agent, arrivals <-chan arrival, began time.Time, f *figures) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("not all agents were told"))
	defer cancel()
	for _, a := range agents {
		select {
		case <-a.joined:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	f.join = time.Since(began)
	for n := range w.o.Changes {
		sent := time.Now()
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() error { return w.change(gctx, fmt.Sprintf("change %d at %v", n, sent)) })
		var last time.Duration
		for range w.o.Agents {
			select {
			case a := <-arrivals:
				f.deliveries = append(f.deliveries, a.at.Sub(sent))
				last = max(last, a.at.Sub(sent))
			case <-gctx.Done():
				return errors.Join(g.Wait(), context.Cause(ctx))
			}
		}
		f.everywhere = append(f.everywhere, last)
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// run keeps the stream until ctx ends or it breaks.
func (a *agent) run(ctx context.Context, address string, arrivals chan<- arrival) error {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	in, out := io.Pipe()
	a.out = out
	defer out.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+wire.Path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", wire.ContentType)
	transport := &http.Transport{Protocols: &p, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	context.AfterFunc(ctx, func() { _ = out.CloseWithError(context.Canceled) })
	hello := wire.Hello{Version: wire.Version, NodeID: nodeID(a.n), DPID: dpid(a.n), Instance: "bench", Software: "bench"}
	if err := a.say(wire.FromAgent{Hello: &hello}); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.read(ctx, resp.Body, arrivals) })
	g.Go(func() error {
		tick := time.NewTicker(wire.PingInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				if err := a.say(wire.FromAgent{}); err != nil {
					return err
				}
			}
		}
	})
	return g.Wait()
}

func (a *agent) say(m wire.FromAgent) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = a.out.Write(append(b, '\n')) // one write is whole
	return err
}

// read follows the stream. Objects are skipped: what an agent makes of them is not measured here.
func (a *agent) read(ctx context.Context, r io.Reader, arrivals chan<- arrival) error {
	lines := bufio.NewReaderSize(r, 1<<14)
	for {
		line, skipped, err := lines.ReadLine()
		at := time.Now()
		if err != nil {
			return err
		}
		objects := bytes.HasPrefix(line, []byte(`{"objects":`))
		for whole := line; skipped; {
			if line, skipped, err = lines.ReadLine(); err != nil {
				return err
			}
			if !objects {
				return fmt.Errorf("a message that is longer than expected: %.100s", whole)
			}
		}
		if objects {
			continue
		}
		var m wire.FromManager
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("a malformed message: %w", err)
		}
		var revision int64
		switch {
		case m.Refused != nil:
			return errors.New(m.Refused.Reason)
		case m.Bookmark != nil:
			revision = m.Bookmark.Revision
			close(a.joined)
		case m.Delta != nil:
			revision = m.Delta.Revision
			a.deltas.Add(1)
			if !a.has {
				break
			}
			select {
			case arrivals <- arrival{a.n, at}:
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			continue
		}
		if err := a.say(wire.FromAgent{Ack: &wire.Ack{Revision: revision}}); err != nil {
			return err
		}
	}
}

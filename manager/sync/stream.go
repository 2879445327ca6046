package sync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// Why a stream ends.
var (
	errShutdown = errors.New("the manager is shutting down")
	errSilent   = errors.New("the agent was silent for three intervals")
	errStalled  = errors.New("the agent took nothing for three intervals")
	errBehind   = fmt.Errorf("the agent was more than %d removals behind", maxDeletes)
	errDeleted  = errors.New("the datapath was deleted")
	errRevoked  = refusal("the host's admission has been revoked")
	errExpired  = refusal("the certificate of the connection has expired")
)

// refusal is an end that the agent is told the reason of.
type refusal string

func (r refusal) Error() string { return string(r) }

// stream is one agent's connection. Its handler's goroutine writes; one reads and one places ports beside it.
type stream struct {
	hub    *Hub
	log    *slog.Logger
	remote string
	r      *http.Request
	since  time.Time
	cancel context.CancelCauseFunc
	out    *output
	in     *wire.Reader[wire.FromAgent]
	heard  *time.Timer   // ends the stream
	wake   chan struct{} // the queue has something, or the stream is to end when it is empty
	report chan struct{} // there are ports to be placed
	ask    chan struct{} // there are askers
	come   chan struct{} // there are arrivals
	want   chan struct{} // there are claims
	word   chan struct{} // guests have said something of their leases

	// The hub's lock guards what follows.
	hello    wire.Hello // set by claim, and not changed any more
	admitted string     // node id of the host that it is admitted as
	released bool
	view     *span.View // nil until attached
	queue    queue
	progress progress
	placing  placing
	askers   askers
	claims   []wire.Claim            // of addresses, until they have been leased
	arrivals map[string]wire.Arrival // by interface; guests that have come, until that is in the store
	said     map[string]bool         // by lease, what guests have said of it: true if it was given back
	draining bool
}

// ServeHTTP serves one agent's stream (see package wire) until either side ends it.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "the stream of agents is opened by POST", http.StatusMethodNotAllowed)
		return
	case r.ProtoMajor != 2:
		http.Error(w, "the stream of agents takes HTTP/2", http.StatusHTTPVersionNotSupported)
		return
	case r.Header.Get("Content-Type") != wire.ContentType:
		http.Error(w, "the stream of agents is "+wire.ContentType, http.StatusUnsupportedMediaType)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	s := &stream{
		hub: h, log: h.log.With("remote", r.RemoteAddr), remote: r.RemoteAddr, r: r, since: time.Now(), cancel: cancel,
		in:   wire.NewReader[wire.FromAgent](r.Body),
		wake: make(chan struct{}, 1), report: make(chan struct{}, 1), ask: make(chan struct{}, 1), come: make(chan struct{}, 1), want: make(chan struct{}, 1), word: make(chan struct{}, 1),
	}
	s.out = newOutput(w, 3*h.interval, func() { s.end(errStalled) })
	if !h.enter(s) {
		http.Error(w, errShutdown.Error(), http.StatusServiceUnavailable)
		return
	}
	s.heard = time.AfterFunc(3*h.interval, func() { s.end(errSilent) })
	defer s.heard.Stop()
	// At the end the host counts as lost, the reader is woken, and what is being written has an interval left.
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		h.release(s, reason(context.Cause(ctx)))
		s.out.hurry(h.interval)
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
		close(stopped)
	})
	w.Header().Set("Content-Type", wire.ContentType)
	cancel(s.serve(ctx))
	<-stopped
	h.exit(s)
}

// reason puts the end of a stream in words.
func reason(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "the agent closed the stream"
	case errors.Is(err, context.Canceled):
		return "the connection was lost"
	}
	return err.Error()
}

// end makes the stream end, for the first reason given.
func (s *stream) end(err error) { s.cancel(err) }

// serve speaks with the agent until the stream ends; it always gives the reason.
func (s *stream) serve(ctx context.Context) error {
	if err := s.out.flush(); err != nil { // the agent's client waits for the header
		return err
	}
	hello, err := s.greet()
	if err != nil {
		return s.refuse(ctx, err)
	}
	s.log = s.log.With("node", hello.NodeID, "dpid", hello.DPID)
	until, err := s.admit(hello)
	if err != nil {
		return s.refuse(ctx, err)
	}
	if !until.IsZero() {
		defer time.AfterFunc(time.Until(until), func() { s.end(errExpired) }).Stop()
	}
	if err := s.hub.claim(s, hello); err != nil {
		return s.refuse(ctx, err)
	}
	datapath, err := s.hub.app.Register(ctx, *hello)
	if err != nil {
		return s.refuse(ctx, s.registration(err))
	}
	select {
	case s.hub.joining <- struct{}{}:
	case <-ctx.Done():
		return s.refuse(ctx, ctx.Err())
	}
	objects, revision, err := s.hub.attach(s, datapath)
	<-s.hub.joining
	if err != nil {
		return s.refuse(ctx, err)
	}
	s.log = s.log.With("datapath", datapath)
	s.log.Info("agent connected", "software", hello.Software, "revision", revision, "objects", len(objects))

	var wg sync.WaitGroup
	wg.Go(func() { s.end(s.read()) })
	wg.Go(func() { s.place(ctx, datapath) })
	wg.Go(func() { s.lease(ctx) })
	wg.Go(func() { s.arrive(ctx, datapath) })
	wg.Go(func() { s.lend(ctx) })
	wg.Go(func() { s.keep(ctx, datapath) })
	err = s.write(ctx, datapath, objects, revision)
	s.end(err)
	wg.Wait()
	err = context.Cause(ctx)
	level := slog.LevelWarn
	if errors.Is(err, errShutdown) || errors.Is(err, io.EOF) {
		level = slog.LevelInfo
	}
	s.log.Log(context.WithoutCancel(ctx), level, "agent disconnected", "reason", reason(err), "connected", time.Since(s.since).Round(time.Millisecond))
	return err
}

// Bounds of what a hello may say.
const (
	maxName     = 255
	maxInstance = 128
)

// greet reads the hello.
func (s *stream) greet() (*wire.Hello, error) {
	m, err := s.in.Next()
	if err != nil {
		return nil, fmt.Errorf("no hello: %w", err)
	}
	h := m.Hello
	switch {
	case h == nil || m.Ack != nil || m.Ports != nil:
		return nil, refusal("the first message is not a hello")
	case h.Version != wire.Version:
		return nil, refusal(fmt.Sprintf("the agent speaks version %d of the protocol, this manager version %d", h.Version, wire.Version))
	case h.DPID == 0:
		return nil, refusal("hello: dpid is not set")
	case h.NodeID == "" || len(h.NodeID) > maxName:
		return nil, refusal(fmt.Sprintf("hello: node_id is empty or longer than %d", maxName))
	case h.Instance == "" || len(h.Instance) > maxInstance:
		return nil, refusal(fmt.Sprintf("hello: instance is empty or longer than %d", maxInstance))
	case len(h.Software) > maxName:
		return nil, refusal(fmt.Sprintf("hello: software is longer than %d", maxName))
	}
	return h, nil
}

// admit looks whether the connection may speak as the host of the hello.
func (s *stream) admit(hello *wire.Hello) (until time.Time, err error) {
	if s.hub.admit == nil {
		return until, nil
	}
	s.hub.mu.Lock()
	s.admitted = hello.NodeID // first: no revocation may be missed
	s.hub.mu.Unlock()
	if until, err = s.hub.admit(s.r, *hello); err == nil {
		return until, nil
	}
	var refused *model.Error
	if errors.As(err, &refused) {
		s.log.Warn("agent refused", "reason", err)
	}
	return until, refusal(err.Error())
}

// registration turns a failure of Register into what the agent may know of it.
func (s *stream) registration(err error) error {
	var refused *model.Error
	if errors.As(err, &refused) {
		s.log.Warn("agent refused", "reason", err)
		return refusal(err.Error())
	}
	s.log.Error("agent cannot be registered", "error", err)
	return refusal("the manager cannot register the host now")
}

// refuse ends a stream that has not come to a welcome.
func (s *stream) refuse(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	s.log.Debug("stream ended before its welcome", "reason", err)
	s.farewell(err)
	return err
}

// farewell tells the agent the reason, if it is for the agent.
func (s *stream) farewell(err error) {
	var r refusal
	if errors.As(err, &r) {
		_ = s.out.message(wire.FromManager{Refused: &wire.Refused{Reason: string(r)}}) // it ends anyway
	}
}

// attached gives the stream its share. The hub's lock is held.
func (s *stream) attached(view *span.View, revision int64) {
	s.view = view
	s.progress = progress{snapshot: revision, since: time.Now(), last: revision, unacked: map[string]int64{}}
}

// enqueue adds a change to what is to be sent. The hub's lock is held, and the store's.
func (s *stream) enqueue(revision int64, now time.Time, d *span.Delta) {
	s.queue.put(revision, d)
	s.progress.add(revision, now, d)
	if s.queue.deletes > maxDeletes {
		s.end(errBehind)
	}
	nudge(s.wake)
}

// drain makes the stream end when its queue is empty. The hub's lock is held.
func (s *stream) drain() {
	s.draining = true
	nudge(s.wake)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write sends the snapshot and then what the queue gets.
func (s *stream) write(ctx context.Context, datapath string, objects []model.Object, revision int64) (err error) {
	defer func() {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		s.farewell(err)
	}()
	welcome := wire.Welcome{Datapath: datapath, Store: s.hub.store.ID()}
	if err := s.out.message(wire.FromManager{Welcome: &welcome}); err != nil {
		return err
	}
	emit := func(line []byte) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.out.send(line)
	}
	s.sending(revision)
	if err := snapshotLines(&s.hub.encoder, objects, revision, emit); err != nil {
		return err
	}
	ping := time.NewTicker(s.hub.interval)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ping.C:
			if err := s.out.message(wire.FromManager{}); err != nil {
				return err
			}
			continue
		case <-s.wake:
		}
		upserts, deletes, revision, draining := s.take()
		if revision > 0 {
			ping.Reset(s.hub.interval)
			if err := deltaLines(&s.hub.encoder, upserts, deletes, revision, emit); err != nil {
				return err
			}
		}
		if draining {
			return errDeleted
		}
	}
}

// sending notes that the agent may from now on acknowledge the revision.
func (s *stream) sending(revision int64) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.progress.sent = revision
}

// take takes the queue for sending; revision is 0 if it was empty.
func (s *stream) take() (upserts []model.Object, deletes []string, revision int64, draining bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	upserts, deletes, revision = s.queue.take()
	if revision > 0 {
		s.progress.sent = revision
	}
	return upserts, deletes, revision, s.draining
}

// read takes the agent's messages until the stream ends; it always gives the reason.
func (s *stream) read() error {
	for {
		m, err := s.in.Next()
		if err != nil {
			return err
		}
		s.heard.Reset(3 * s.hub.interval)
		said := 0
		for _, is := range []bool{m.Ack != nil, m.Ports != nil, m.Asked != nil, m.Arrived != nil, m.Leases != nil, m.Claimed != nil} {
			if is {
				said++
			}
		}
		switch {
		case m.Hello != nil || said > 1:
			return errors.New("the agent breaks the protocol: a second hello, or several messages in one")
		case m.Ack != nil:
			if err := s.acknowledge(m.Ack); err != nil {
				return err
			}
		case m.Ports != nil:
			s.reported(m.Ports)
		case m.Asked != nil:
			s.asked(m.Asked)
		case m.Arrived != nil:
			s.arrived(m.Arrived)
		case m.Claimed != nil:
			s.claimed(m.Claimed)
		case m.Leases != nil:
			s.leases(m.Leases)
		}
	}
}

func (s *stream) acknowledge(a *wire.Ack) error {
	s.hub.mu.Lock()
	before := len(s.progress.problems)
	err := s.progress.ack(a)
	s.hub.mu.Unlock()
	switch {
	case err != nil:
		return err
	case len(a.Problems) > 0 && before == 0:
		s.log.Warn("host reports problems", "revision", a.Revision, "problems", len(a.Problems), "object", a.Problems[0].UUID, "reason", clip(a.Problems[0].Reason))
	case len(a.Problems) == 0 && before > 0:
		s.log.Info("host's problems are over", "revision", a.Revision)
	}
	return nil
}

package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
)

// watching is one stream of server-sent events (WHATWG HTML, section 9.2).
type watching struct {
	*call
	h         *handler
	resources []*model.Resource // nil for all
	uuids     []string          // nil for all
	after     int64             // revision up to which the client knows all
	w         http.ResponseWriter
	bytes     int
	gone      bool // the client is, or it is too slow
}

// watch answers with the changes after a revision as they happen. The connection's own buffer is the only one: a client that takes nothing
// for two heartbeats is cut, and one that is behind what the store remembers is told to list again.
func (h *handler) watch(c *call) (*response, error) {
	s := &watching{call: c, h: h}
	if err := s.parameters(); err != nil {
		return nil, err
	}
	var now int64
	h.Reader.View(func(_ *span.Index, rev int64) { now = rev })
	if s.after < 0 {
		s.after = now
	}
	if h.streams.Add(1) > int64(h.MaxStreams) {
		h.streams.Add(-1)
		return nil, refusef(model.TooManyRequests, "", "there are %d streams of events already, and no more are possible", h.MaxStreams)
	}
	return &response{kind: "text/event-stream; charset=utf-8", revision: now, stream: func(w http.ResponseWriter) (int, error) {
		s.w = w
		err := s.run(c.r.Context(), now)
		return s.bytes, err
	}, done: func() { h.streams.Add(-1) }}, nil
}

// parameters reads what is to be watched.
func (s *watching) parameters() error {
	if err := refuseUnknown(s.q, []string{"resource", "uuid", "since"}); err != nil {
		return err
	}
	if v := s.q["resource"]; v != "" {
		for plural := range strings.SplitSeq(v, ",") {
			r := exposed(plural)
			if r == nil {
				return refusef(model.ArgumentError, "resource", "%q is not a resource; there are %s", clip(plural), plurals())
			}
			s.resources = append(s.resources, r)
		}
	}
	if v := s.q["uuid"]; v != "" {
		for uuid := range strings.SplitSeq(v, ",") {
			r := model.ByUUID(uuid)
			if r == nil || r.Hidden {
				return refusef(model.InvalidUUID, "uuid", "%q is the uuid of no resource", clip(uuid))
			}
			if err := checkUUID(r, "uuid", uuid); err != nil {
				return err
			}
			s.uuids = append(s.uuids, uuid)
		}
	}
	since, name := s.q["since"], "since"
	if v := s.r.Header.Get("Last-Event-ID"); v != "" {
		since, name = v, "Last-Event-ID"
	}
	s.after = -1
	if since != "" {
		n, err := strconv.ParseInt(since, 10, 64)
		if err != nil || n < 0 {
			return refusef(model.ArgumentError, name, "%q is not a revision", clip(since))
		}
		s.after = n
	}
	return nil
}

// change is what a watcher reads: a batch, or why there is none any more.
type change struct {
	batch store.Batch
	err   error
}

// run sends events until the client is gone, the manager stops, or the store fails; only that is an error.
func (s *watching) run(ctx context.Context, now int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		if !s.gone {
			_ = http.NewResponseController(s.w).SetWriteDeadline(time.Time{})
		}
	}()
	if s.send([]byte(": watching\n\n")) != nil {
		return nil
	}
	if s.after > now && s.resync(now) != nil { // of another store, or of a manager that is ahead
		return nil
	}
	beat := time.NewTicker(s.h.Heartbeat)
	defer beat.Stop()
	changes := s.follow(ctx)
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-s.h.Stopping:
			return nil
		case <-beat.C:
			err = s.send(fmt.Appendf(nil, ": alive\nid: %d\n\n", s.after))
		case c := <-changes:
			switch {
			case errors.Is(c.err, store.ErrCompacted):
				var rev int64
				s.h.Reader.View(func(_ *span.Index, r int64) { rev = r })
				err = s.resync(rev)
				changes = s.follow(ctx)
			case errors.Is(c.err, store.ErrClosed):
				return nil
			case c.err != nil:
				return c.err
			default:
				var b []byte
				if b, err = s.events(c.batch); err != nil {
					return err
				}
				s.after = c.batch.Revision
				if len(b) > 0 {
					err = s.send(b)
				}
			}
		}
		if err != nil {
			return nil
		}
	}
}

// follow reads the store's changes until ctx ends or there is an error, which comes last.
func (s *watching) follow(ctx context.Context) <-chan change {
	out, after := make(chan change), s.after
	go func() {
		for b, err := range s.h.Reader.Watch(ctx, after) {
			select {
			case out <- change{b, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// resync tells the client that it has missed something: it lists again, and is told what changes after the revision.
func (s *watching) resync(rev int64) error {
	s.after = rev
	return s.send(fmt.Appendf(nil, "id: %d\nevent: resync\ndata: {\"revision\":%d}\n\n", rev, rev))
}

// events gives a batch's events. Only the last has the id: a client that comes back with an id has missed nothing.
func (s *watching) events(b store.Batch) ([]byte, error) {
	var out bytes.Buffer
	var err error
	s.h.Reader.View(func(x *span.Index, _ int64) {
		var last []byte
		for _, c := range b.Changes {
			o, kind := c.New, "upsert"
			if o == nil || !s.sees(o) {
				o, kind = c.Old, "delete"
			}
			if o == nil || !s.wants(o) {
				continue
			}
			var data []byte
			if data, err = appendJSON(nil, record{{"resource", model.Of(o).Plural}, {"uuid", o.Base().UUID}, {"revision", b.Revision},
				{"object", objectRecord(x.Graph(), o, nil)}}); err != nil {
				return
			}
			out.Write(last)
			last = fmt.Appendf(last[:0], "event: %s\ndata: %s\n\n", kind, data)
		}
		if last != nil {
			fmt.Fprintf(&out, "id: %d\n", b.Revision)
			out.Write(last)
		}
	})
	return out.Bytes(), err
}

func (s *watching) wants(o model.Object) bool {
	r := model.Of(o)
	return !r.Hidden && s.sees(o) && (s.resources == nil || slices.Contains(s.resources, r)) && (s.uuids == nil || slices.Contains(s.uuids, o.Base().UUID))
}

// send writes to the client, which has to take it within two heartbeats.
func (s *watching) send(b []byte) error {
	rc := http.NewResponseController(s.w)
	_ = rc.SetWriteDeadline(time.Now().Add(2 * s.h.Heartbeat)) // a recorder of a test has none
	n, err := s.w.Write(b)
	s.bytes += n
	if err == nil {
		err = rc.Flush()
	}
	s.gone = err != nil
	return err
}

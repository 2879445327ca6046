package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// WatchOptions are what Watch takes.
type WatchOptions struct {
	Resources []string      // optional: plurals; all without
	UUIDs     []string      // optional: of objects; all without
	Since     int64         // optional: revision up to which all is known; from now on without
	Silence   time.Duration // optional: so long without a sign of life, and the connection counts as lost; 1 min
}

// What events say.
const (
	Upsert = "upsert" // the object was created or changed; it is as Object says
	Delete = "delete" // the object is gone, or cannot be seen any more; Object is what it was
	Resync = "resync" // changes before Revision were missed: what is known has to be read again
)

// Event is a change of an object.
type Event struct {
	Type     string          `json:"type"`
	Revision int64           `json:"revision"`
	Resource string          `json:"resource,omitempty"` // plural
	UUID     string          `json:"uuid,omitempty"`
	Object   json.RawMessage `json:"object,omitempty"` // as Get answers it, without status; Read reads it
}

// Watch gives the changes of objects as they are made, in order, each at least once: after a lost connection it comes back and goes
// on where it was. An error that wraps ErrUnreachable tells of such a loss; the next try follows if the loop goes on. Any other error,
// and a server that cannot be trusted, ends it. It ends without an error when ctx does.
func (c *Client) Watch(ctx context.Context, o WatchOptions) iter.Seq2[*Event, error] {
	if o.Silence == 0 {
		o.Silence = time.Minute
	}
	return func(yield func(*Event, error) bool) {
		const first, longest = 100 * time.Millisecond, 5 * time.Second
		for pause := first; ; pause = min(2*pause, longest) {
			s := stream{c: c, WatchOptions: o, yield: yield}
			err := s.run(ctx)
			if s.stopped || ctx.Err() != nil {
				return
			}
			if o.Since = s.Since; s.lived {
				pause = first
			}
			if passing(err) && !errors.Is(err, ErrUnreachable) {
				err = fmt.Errorf("%w: %w", ErrUnreachable, err)
			}
			if !yield(nil, err) || !passing(err) {
				return
			}
			if sleep(ctx, pause, err) != nil {
				return
			}
		}
	}
}

// stream is one connection of a Watch.
type stream struct {
	c *Client
	WatchOptions
	yield   func(*Event, error) bool
	lived   bool // the server has answered
	stopped bool // yield has had enough
}

// run reads the stream until it breaks; Since says then up to where.
func (s *stream) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(s.Silence, func() { cancel(fmt.Errorf("silent for %s", s.Silence)) })
	defer silent.Stop()
	lost := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return s.c.unreachable(err)
	}
	q := url.Values{}
	if len(s.Resources) > 0 {
		q.Set("resource", strings.Join(s.Resources, ","))
	}
	if len(s.UUIDs) > 0 {
		q.Set("uuid", strings.Join(s.UUIDs, ","))
	}
	if s.Since > 0 {
		q.Set("since", strconv.FormatInt(s.Since, 10))
	}
	r, err := s.c.request(ctx, Request{Method: http.MethodGet, Path: "watch", Query: q}, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := s.c.http.Do(r)
	if err != nil {
		return lost(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s.c.refused(resp)
	}
	s.lived = true
	if s.Since == 0 {
		s.Since, _ = strconv.ParseInt(resp.Header.Get("OpenVNet-Revision"), 10, 64)
	}
	in := bufio.NewReader(resp.Body)
	var kind string
	var id int64
	var data []byte
	for !s.stopped {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return lost(err)
		}
		silent.Reset(s.Silence)
		name, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(name) > 0:
			switch string(name) {
			case "event":
				kind = string(value)
			case "id":
				id, _ = strconv.ParseInt(string(value), 10, 64) // what is no revision does not move it
			case "data":
				data = append(data, value...)
			}
		case len(value) == 0 && line[0] != ':': // an event is complete
			if len(data) > 0 {
				if err := s.event(kind, data); err != nil {
					return err
				}
			}
			s.Since = max(s.Since, id)
			kind, id, data = "", 0, nil
		}
	}
	return nil
}

func (s *stream) event(kind string, data []byte) error {
	if kind != Upsert && kind != Delete && kind != Resync {
		return nil // of a newer manager
	}
	ev := &Event{Type: kind}
	if err := json.Unmarshal(data, ev); err != nil {
		return fmt.Errorf("read an event of %s: %w", s.c.Server(), err)
	}
	ev.Type = kind
	if kind == Resync {
		s.Since = ev.Revision // may be less: the manager has another store
	}
	s.stopped = !s.yield(ev, nil)
	return nil
}

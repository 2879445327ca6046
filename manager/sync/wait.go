package sync

import (
	"context"
	"slices"
)

// Wait returns nil when every connected host that revision (which Observe has been told of) concerned has acknowledged
// it, and the newest change of those of the objects that it has. An interface without a host of its own whose port a
// host has reported is placed first. A host whose connection is lost is not waited for, nor is one connected to another
// manager; Status tells of them. The error is the context's.
func (h *Hub) Wait(ctx context.Context, revision int64, uuids []string) error {
	err := h.await(ctx, func(s *stream) (*waiters, int64) {
		return &s.placing.waiters, s.placing.needs(revision)
	})
	if err != nil {
		return err
	}
	return h.await(ctx, func(s *stream) (*waiters, int64) {
		return &s.progress.waiters, s.progress.needs(s.view, revision, uuids)
	})
}

// await returns when all streams have come to what need says of them; of a stream where that is 0 nothing is needed.
func (h *Hub) await(ctx context.Context, need func(*stream) (*waiters, int64)) error {
	w := &barrier{done: make(chan struct{})}
	var asked []*waiters
	h.mu.Lock()
	for _, s := range h.streams {
		if ws, n := need(s); n > 0 {
			*ws = append(*ws, waiter{n, w})
			asked = append(asked, ws)
		}
	}
	w.left = len(asked)
	h.mu.Unlock()
	if len(asked) == 0 {
		return nil
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ws := range asked {
		*ws = slices.DeleteFunc(*ws, func(o waiter) bool { return o.wait == w })
	}
	if w.left == 0 {
		return nil // at the last moment
	}
	return ctx.Err()
}

// barrier is a call of await. The hub's lock guards left.
type barrier struct {
	left int // streams
	done chan struct{}
}

func (b *barrier) met() {
	if b.left--; b.left == 0 {
		close(b.done)
	}
}

// waiters are those who wait for one stream to come to a revision. The hub's lock guards them.
type waiters []waiter

type waiter struct {
	need int64
	wait *barrier
}

// reached lets those go who wait for no more than the revision.
func (ws *waiters) reached(revision int64) {
	*ws = slices.DeleteFunc(*ws, func(w waiter) bool {
		if w.need <= revision {
			w.wait.met()
			return true
		}
		return false
	})
}

// release lets all go.
func (ws *waiters) release() {
	for _, w := range *ws {
		w.wait.met()
	}
	*ws = nil
}

package store

import (
	"context"
	"iter"

	"github.com/openvnet/openvnet/model/span"
)

// Batch is what one revision of the store has changed. A batch without changes only moves the clock. After the store's own
// connection was interrupted for long, one batch may stand for many revisions.
type Batch struct {
	Revision int64
	Changes  []span.Changed
}

// history keeps the last batches, so that any number of watchers read the same ones at their own pace.
type history struct {
	batches []Batch
	base    int64 // number of batches that were dropped
	floor   int64 // revision before the first batch
	changes int   // in batches
	limit   int   // of changes, and of batches
	more    chan struct{}
}

func (h *history) reset(revision int64, limit int) {
	*h = history{base: h.base, floor: revision, limit: limit, more: make(chan struct{})}
}

func (h *history) add(b Batch) {
	h.batches = append(h.batches, b)
	h.changes += len(b.Changes)
	drop := 0
	for drop < len(h.batches)-1 && (h.changes > h.limit || len(h.batches)-drop > h.limit) {
		h.changes -= len(h.batches[drop].Changes)
		h.floor = h.batches[drop].Revision
		h.batches[drop] = Batch{}
		drop++
	}
	h.batches = h.batches[drop:]
	h.base += int64(drop)
	close(h.more)
	h.more = make(chan struct{})
}

// Watch gives the batches after a revision, which a View or an earlier batch gave, until ctx is done (the sequence ends) or
// an error: ErrCompacted when the store does not look back that far, at first or because the caller is too slow;
// ErrClosed. The last 100,000 changes are kept (Options.History), once for all watchers.
func (s *Store) Watch(ctx context.Context, after int64) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		s.mu.RLock()
		h := &s.history
		behind := after < h.floor
		next := h.base
		for _, b := range h.batches {
			if b.Revision > after {
				break
			}
			next++
		}
		s.mu.RUnlock()
		if behind {
			yield(Batch{}, ErrCompacted)
			return
		}
		for {
			s.mu.RLock()
			behind, have, more := next < h.base, next < h.base+int64(len(h.batches)), h.more
			var b Batch
			if !behind && have {
				b = h.batches[next-h.base]
			}
			s.mu.RUnlock()
			switch {
			case behind:
				yield(Batch{}, ErrCompacted)
				return
			case have:
				next++
				if ctx.Err() != nil || !yield(b, nil) {
					return
				}
				continue
			}
			select {
			case <-more:
			case <-s.stopped:
				yield(Batch{}, ErrClosed)
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

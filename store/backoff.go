package store

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff waits longer from one failure to the next, 20 ms to 2 s, with jitter.
type backoff struct{ last time.Duration }

// sleep waits, and reports whether it may go on: false when ctx is done.
func (b *backoff) sleep(ctx context.Context) bool {
	b.last = min(max(2*b.last, 20*time.Millisecond), 2*time.Second)
	t := time.NewTimer(b.last/2 + rand.N(b.last/2))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

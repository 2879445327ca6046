// Package wait polls a condition until it holds or time is up, so that no test and no start-up path sleeps a fixed
// time. It is not a scheduler and starts no goroutine. Tests and the other packages of testenv import it.
package wait

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// DefaultInterval is the pause between two looks at a condition when the caller names none. It is short because
// conditions here are cheap (a file, a socket, a counter).
const DefaultInterval = 5 * time.Millisecond

// Until calls cond at once and then every interval (DefaultInterval when zero) until cond returns nil. When ctx ends
// first, the error joins the context's cause with the last error of cond, so that it tells what was still missing.
func Until(ctx context.Context, interval time.Duration, cond func() error) error {
	if interval <= 0 {
		interval = DefaultInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// For fails the test when cond has not returned nil within limit. what completes the sentence "waiting for ...".
func For(t testing.TB, limit time.Duration, what string, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	if err := Until(ctx, 0, cond); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

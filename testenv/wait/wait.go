// Package wait polls a condition until it holds or time is up, so that no test and no start-up path sleeps a fixed
// time. It is not a scheduler and starts no goroutine. Tests and the other packages of testenv import it.
package wait

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
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

// SlowEnv is the variable that says how many times longer tests wait, on a machine that is emulated.
const SlowEnv = "OPENVNET_SLOW"

// Scaled gives a limit that is meant for a machine of ordinary speed times the factor in SlowEnv; without one, or with one
// that is not a number above 1, the limit itself. For does so by itself.
func Scaled(limit time.Duration) time.Duration {
	factor, err := strconv.ParseFloat(os.Getenv(SlowEnv), 64)
	if err != nil || !(factor > 1 && factor <= maxFactor) {
		return limit
	}
	return time.Duration(float64(limit) * factor)
}

// maxFactor keeps limits of hours within a time.Duration.
const maxFactor = 1000

// For fails the test when cond has not returned nil within limit, which is Scaled. what completes the sentence "waiting for ...".
func For(t testing.TB, limit time.Duration, what string, cond func() error) {
	t.Helper()
	limit = Scaled(limit)
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	if err := Until(ctx, 0, cond); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

package wait_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/wait"
)

func TestUntil(t *testing.T) {
	calls := 0
	err := wait.Until(t.Context(), time.Millisecond, func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Fatalf("Until = %v after %d calls, want nil after 3", err, calls)
	}
}

func TestUntilTellsWhatWasMissing(t *testing.T) {
	missing := errors.New("the socket is missing")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := wait.Until(ctx, time.Millisecond, func() error { return missing })
	if !errors.Is(err, missing) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Until = %v, want the deadline and the last error of the condition", err)
	}
}

func TestScaled(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": time.Second, "5": 5 * time.Second, "1.5": 1500 * time.Millisecond, "0.1": time.Second, "-3": time.Second, "x": time.Second, "NaN": time.Second, "1e300": time.Second,
	} {
		t.Setenv(wait.SlowEnv, value)
		if got := wait.Scaled(time.Second); got != want {
			t.Errorf("%s=%q: %v, want %v", wait.SlowEnv, value, got, want)
		}
	}
}

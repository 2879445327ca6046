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

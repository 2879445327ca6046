package agent

import (
	"context"
	"errors"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
)

// How often a switch that needs it is asked whether its cached flows must be mended, which it tells nobody by itself and which costs it 50 µs, and how
// long it is left in peace after that: to make a cached flow again takes some 0.1 ms, a tenth of perCached.
const (
	mendEvery = 250 * time.Millisecond
	perCached = time.Millisecond
	mendPause = 30 * time.Second // at most, however many there were
	mendRetry = time.Second      // after an error, and so much longer after each
)

// mend keeps a switch's cached flows right where it does not itself, until ctx ends.
func (a *Agent) mend(ctx context.Context) {
	c := ovs.NewCached(a.opts.OVSDB)
	defer c.Close()
	for failures := 0; ; {
		rest := mendEvery
		n, err := c.Mend(ctx)
		switch {
		case errors.Is(err, ovs.ErrSound) || ctx.Err() != nil:
			return
		case err != nil:
			failures++
			if failures == 2 { // of a daemon that has gone the session ends before
				a.opts.Logger.Warn("the switch's cached flows may be out of date after changes", "error", err)
			}
			rest = time.Duration(failures) * mendRetry
		default:
			failures = 0
			if n > 0 {
				a.opts.Logger.Debug("had the switch forget its cached flows, some of which it had written to", "flows", n)
			}
			rest = max(rest, time.Duration(n)*perCached)
		}
		if !pause(ctx, min(rest, mendPause)) {
			return
		}
	}
}

// pause reports whether a time has passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

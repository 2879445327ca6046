package agent

import (
	"context"
	"errors"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
)

// Times of dialling the switch.
const (
	redialFirst = 10 * time.Millisecond // doubled up to redialLast
	redialLast  = 200 * time.Millisecond
)

// session is a switch with the way to end its session.
type session struct {
	*ovs.Switch
	hangUp context.CancelFunc
}

// dial keeps a session with the switch: each new one goes to the apply loop, nil when one is lost. A switch that comes back is
// found within redialLast.
func (a *Agent) dial(ctx context.Context) error {
	pause := redialFirst
	for complained := false; ; {
		sw, err := ovs.Dial(ctx, a.opts.OpenFlow, a.opts.Logger)
		if err == nil {
			a.opts.Logger.Info("connected to the switch", "address", a.opts.OpenFlow)
			err = a.hold(ctx, sw)
			pause, complained = redialFirst, false
		}
		if ctx.Err() != nil {
			return nil
		}
		if !complained {
			a.opts.Logger.Warn("no session with the switch, dialling again", "address", a.opts.OpenFlow, "error", err)
			complained = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			pause = min(2*pause, redialLast)
		}
	}
}

// hold runs a session to its end.
func (a *Agent) hold(ctx context.Context, sw *ovs.Switch) error {
	sctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	served := make(chan struct{})
	go func() { defer close(served); sw.Serve(a.services.take) }()
	done := make(chan error, 1)
	go func() { done <- sw.Run(sctx) }()
	mended := make(chan struct{})
	go func() { defer close(mended); a.mend(sctx) }()
	err := a.explore(sctx, sw)
	if err != nil || !a.hand(ctx, &session{sw, hangUp}) {
		hangUp()
		err = errors.Join(err, <-done)
		<-served
		<-mended
		return err
	}
	err = <-done
	hangUp()
	<-served
	<-mended
	a.sent.Add(sw.Sent())
	a.services.lost.Add(sw.Lost())
	a.hand(ctx, nil)
	return err
}

// explore finds out what the switch's datapath can do, which what is compiled depends on.
func (a *Agent) explore(ctx context.Context, sw *ovs.Switch) error {
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	news, err := a.replica.explore(ctx, sw)
	if news {
		a.opts.Logger.Info("found out who answers neighbour solicitations: the datapath, or the agent if it cannot", "by", a.replica.advertiser())
	}
	return err
}

// hand gives the apply loop a session, or nil.
func (a *Agent) hand(ctx context.Context, s *session) bool {
	select {
	case <-ctx.Done():
		return false
	case a.sessions <- s:
		return true
	}
}

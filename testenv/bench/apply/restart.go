package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// patience is how long a restarted process may take until all is as before.
const patience = 3 * time.Minute

// restart kills a process of the measured host under traffic through it, starts it again, and measures until all is as before. The agent
// is dead for a while, so that what nobody changes meanwhile shows; the switch comes back at once, as by systemctl restart.
func (s *setup) restart(ctx context.Context, c restarted, flows int, traffic time.Duration) (sample, error) {
	r := sample{flows: flows}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not as before within %v", patience))
	defer cancel()
	p, err := startPing(ctx, s.lab, guestName(0), address(1))
	if err != nil {
		return r, err
	}
	defer p.kill()
	if err := pause(ctx, traffic); err != nil {
		return r, err
	}
	if c.process == lab.Agent {
		err = s.lab.Kill(ctx, measured, c.process)
	} else {
		err = s.lab.Stop(ctx, measured, c.process)
	}
	if err != nil {
		return r, err
	}
	if c.process == lab.Agent {
		if err := pause(ctx, traffic); err != nil {
			return r, err
		}
	}
	log := s.lab.Log(measured, lab.Agent)
	st, err := os.Stat(log)
	if err != nil {
		return r, err
	}
	started := time.Now()
	if err := s.lab.Start(ctx, measured, c.process); err != nil {
		return r, err
	}
	var compared []comparison
	look := func() error {
		all, err := comparisons(log, st.Size())
		if err != nil {
			return err
		}
		if compared = since(all, started); whole(compared) < 0 {
			return fmt.Errorf("the agent of %s has not compared the switch since", measured)
		}
		return nil
	}
	if err := wait.Until(ctx, 20*time.Millisecond, look); err != nil {
		return r, err
	}
	if _, err := s.settled(ctx, 0); err != nil {
		return r, err
	}
	if err := errors.Join(look(), s.reaches(ctx), pause(ctx, traffic)); err != nil {
		return r, err
	}
	replies, err := p.end()
	if err != nil {
		return r, err
	}
	r.lost = lost(replies)
	if c.process == lab.Agent {
		r.remembered, r.compared = compared[0].at.Sub(started), compared[whole(compared)].at.Sub(started)
	} else {
		last := lastThatChanged(compared)
		r.recovered, r.programmed = last.at.Sub(started), last.took
		first, ok := firstSince(replies, started)
		if !ok {
			return r, errors.New("there was no answer any more")
		}
		r.firstReply = first.Sub(started)
	}
	if r.agentRSS, err = s.resident(lab.Agent); err != nil {
		return r, err
	}
	r.switchRSS, err = s.resident(lab.Switch)
	return r, err
}

// pause lets a time pass in which packets go.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// comparison is a line of an agent's log: it has compared the switch with what its share asks for, and sent what was not so.
type comparison struct {
	at       time.Time // when it was done
	took     time.Duration
	messages int
	whole    bool // the share was what the manager says, not what the disk remembers
}

var comparedLine = regexp.MustCompile(`(?m)^time=(\S+) level=INFO msg="compared the switch with what it should be" flows=\d+ messages=(\d+) complete=(true|false) took=(\S+)$`)

// comparisons reads a log from an offset on.
func comparisons(log string, from int64) ([]comparison, error) {
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, from, 1<<24))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", log, err)
	}
	var all []comparison
	for _, m := range comparedLine.FindAllSubmatch(text, -1) {
		at, err1 := time.Parse(time.RFC3339Nano, string(m[1]))
		messages, err2 := strconv.Atoi(string(m[2]))
		took, err3 := time.ParseDuration(string(m[4]))
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("read %s: %w", log, err)
		}
		all = append(all, comparison{at, took, messages, string(m[3]) == "true"})
	}
	return all, nil
}

// since gives those that ended after a time.
func since(all []comparison, t time.Time) []comparison {
	for n, c := range all {
		if c.at.After(t) {
			return all[n:]
		}
	}
	return nil
}

// whole gives where the first is with what the manager says, -1 if there is none.
func whole(all []comparison) int {
	return slices.IndexFunc(all, func(c comparison) bool { return c.whole })
}

// lastThatChanged gives the last that found something to send: one before may have failed half way, and one after only looked. Of none it is the first.
func lastThatChanged(all []comparison) comparison {
	last := all[0]
	for _, c := range all {
		if c.messages > 0 {
			last = c
		}
	}
	return last
}

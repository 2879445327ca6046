package punt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openvnet/openvnet/testenv/flood"
)

const (
	// patience is how long an answer is waited for.
	patience = time.Second
	// pause is how often questions are asked, each once: a guest that asks without end would measure itself.
	pause = 5 * time.Millisecond
)

// measurement is a round of one case.
type measurement struct {
	*setup
	from *flood.Port // who floods; nil: nobody
	kind *flood.Kind
	span time.Duration
	rate int
}

// run asks, while the flood goes on.
func (m measurement) run(ctx context.Context, r *result) error {
	var before uint64
	if m.from == m.flooder && m.kind != nil {
		var err error
		if before, err = m.limited(m.kind.Class); err != nil {
			return err
		}
	}
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	type end struct {
		sent int
		took time.Duration
		err  error
	}
	ended := make(chan end, 1)
	if m.from != nil {
		go func() {
			sent, took, err := m.from.Flood(flooding, m.kind.Frames, m.rate)
			ended <- end{sent, took, err}
		}()
	} else {
		ended <- end{took: m.span}
	}
	err := m.ask(ctx, r)
	stop()
	e := <-ended
	if err := errors.Join(err, e.err); err != nil {
		return err
	}
	r.sent = append(r.sent, float64(e.sent)/e.took.Seconds())
	if m.from != m.flooder || m.kind == nil || m.kind.Class == "" {
		return nil
	}
	after, err := m.limited(m.kind.Class)
	if err != nil {
		return err
	}
	if dropped := after - before; dropped < uint64(e.sent)/2 && e.took > time.Second {
		return fmt.Errorf("of %d frames the program at the port has dropped %d as too many of class %s: they were not what they should be", e.sent, dropped, m.kind.Class)
	}
	return nil
}

// ask asks every question in turn, for the span of time.
func (m measurement) ask(ctx context.Context, r *result) error {
	times, lost := map[string][]time.Duration{}, map[string]float64{}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	began := time.Now()
	for n := 0; time.Since(began) < m.span || n < 2*len(m.probes); n++ {
		for _, p := range m.probes {
			if n%p.every != 0 {
				continue
			}
			m.asked++
			took, ok, err := m.asker.Ask(p.ask(m.asked), patience)
			switch {
			case err != nil:
				return err
			case ok:
				times[p.name] = append(times[p.name], took)
			default:
				lost[p.name]++
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	for _, p := range m.probes {
		if len(times[p.name]) == 0 {
			return fmt.Errorf("none of %.0f questions was answered: %s", lost[p.name], p.name)
		}
		r.times[p.name] = append(r.times[p.name], times[p.name])
		r.lost[p.name] = append(r.lost[p.name], lost[p.name])
	}
	return nil
}

// Package punt measures what guests notice while another guest of their host floods the host's services: how long they wait for answers of the program at their port, of
// flows, of the agent and of other guests, before and during a flood of each kind. It tests nothing: what it measures is checked only for being what it says.
// Imported by cmd/vnlab.
package punt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/flood"
	"github.com/openvnet/openvnet/testenv/lab"
)

// Options of a run.
type Options struct {
	run.Options
	Span  time.Duration // required: how long each case of a round takes
	Rate  int           // required: frames per second of a flood
	Kinds []string      // optional: only floods of these kinds
}

// The cases that are no flood of a host: nothing, and the same flood into a cable that goes nowhere.
const (
	caseIdle    = "idle"
	caseControl = "control"
)

// probe is what is asked, and how long its answers have taken by case and round.
type probe struct {
	name  string
	every int // of the rounds of questions, one asks it: the agent's services have limits for who asks, too
	ask   func(n uint16) flood.Question
}

// result is what is measured of one case, a sample each round.
type result struct {
	times map[string][][]time.Duration // by probe
	lost  map[string][]float64
	sent  []float64 // frames of the flood, per second
}

// Run builds a lab, measures, writes the report and removes the lab, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Check("punt", run.Positive("seconds", o.Span.Seconds()), run.Within("rate", o.Rate, 100, 1_000_000)); err != nil {
		return err
	}
	chosen, err := choose(o.Kinds)
	if err != nil {
		return err
	}
	say := o.Say()
	say("a lab of two hosts, with three guests on one and one on the other")
	return o.Lab(ctx, spec(), lab.StartAgents, func(l *lab.Lab) error { return runIn(ctx, l, chosen, o, say) })
}

// choose gives the kinds of floods of those names, all if there are none.
func choose(names []string) ([]flood.Kind, error) {
	all := kinds()
	if names == nil {
		return all, nil
	}
	var chosen []flood.Kind
	for _, name := range names {
		n := slices.IndexFunc(all, func(k flood.Kind) bool { return k.Name == name })
		if n < 0 {
			var have []string
			for _, k := range all {
				have = append(have, k.Name)
			}
			return nil, fmt.Errorf("benchmark punt: --kinds has %q, and there are %s", name, strings.Join(have, ", "))
		}
		chosen = append(chosen, all[n])
	}
	return chosen, nil
}

func runIn(ctx context.Context, l *lab.Lab, chosen []flood.Kind, o Options, say func(format string, args ...any)) (err error) {
	say("forwarding by the %s datapath", l.Datapath())
	s := &setup{lab: l}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.start(ctx); err != nil {
		return err
	}
	order := []string{caseIdle, caseControl}
	for _, k := range chosen {
		order = append(order, k.Name)
	}
	results := map[string]*result{}
	for _, name := range order {
		results[name] = &result{times: map[string][][]time.Duration{}, lost: map[string][]float64{}}
	}
	for round := range o.Rounds {
		for n, name := range order {
			m := measurement{setup: s, span: o.Span, rate: o.Rate}
			switch {
			case name == caseControl:
				m.from, m.kind = s.nowhere, &kinds()[0]
			case n >= 2:
				m.from, m.kind = s.flooder, &chosen[n-2]
			}
			if err := m.run(ctx, results[name]); err != nil {
				return fmt.Errorf("case %s: %w", name, err)
			}
			say("round %d of %d  %-10s %s", round+1, o.Rounds, name, results[name].line(s.probes, round))
		}
	}
	return report(order, s.probes, results).Write(o.Table, o.Out)
}

// line says what a round has given.
func (r *result) line(probes []probe, round int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%7.0f/s", r.sent[round])
	for _, p := range probes {
		times := r.times[p.name][round]
		fmt.Fprintf(&b, "  %s %.0f/%.0f us", p.name, us(bench.Quantile(times, 0.50)), us(bench.Quantile(times, 0.99)))
		if lost := r.lost[p.name][round]; lost > 0 {
			fmt.Fprintf(&b, " LOST %.0f of %d", lost, len(times)+int(lost))
		}
	}
	return b.String()
}

func us(t time.Duration) float64 { return float64(t) / float64(time.Microsecond) }

// report makes the rows.
func report(order []string, probes []probe, results map[string]*result) *bench.Report {
	r := bench.New("punt")
	for _, name := range order {
		res := results[name]
		for _, p := range probes {
			r.Latencies(name, p.name+"_", "us", res.times[p.name]...)
			r.Add(name, p.name+"_lost", "1", res.lost[p.name]...)
		}
		if name != caseIdle {
			r.Add(name, "sent", "1/s", res.sent...)
		}
	}
	r.Compare(caseIdle, order[1:]...)
	return r
}

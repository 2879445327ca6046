// Package arp measures how long a guest waits for the answer to an ARP request, and how many it gets in a second, when the answer comes
// from the eBPF program at its port, from a flow of its host's Open vSwitch, and from a controller behind packet-in and packet-out.
// It tests nothing: what it measures is checked only for being what it says. Imported by cmd/vnlab.
package arp

import (
	"context"
	"fmt"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/lab"
)

// Options of a run.
type Options struct {
	run.Options
	Requests int           // required: round trips of a case in a round, in each manner
	Limit    time.Duration // required: of either half of them; those that are not done by then are left out
	Burst    time.Duration // required: how long a case's rate is measured in a round
}

// outstanding is how many requests are under way while the rate is measured.
const outstanding = 32

// result is what is measured of one case, a sample each round.
type result struct {
	times [2][][]time.Duration // by manner
	rates []float64            // answers per second
	lost  []float64            // requests without answer, of all measurements
}

// Run builds a lab, measures, writes the report and removes the lab, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Check("arp", run.AtLeast("requests", o.Requests, 1), run.Positive("limit", o.Limit), run.Positive("burst", o.Burst)); err != nil {
		return err
	}
	say := o.Say()
	say("a lab of three hosts: one answers by eBPF, one by a flow, one by a controller")
	return o.Lab(ctx, spec(), lab.NoAgents, func(l *lab.Lab) error { return runIn(ctx, l, o, say) })
}

func runIn(ctx context.Context, l *lab.Lab, o Options, say func(format string, args ...any)) error {
	s := &setup{lab: l, o: o}
	defer s.close()
	if err := s.start(ctx); err != nil {
		return err
	}
	results := map[string]*result{}
	for _, c := range s.cases {
		results[c.name] = &result{}
		if _, _, err := c.guest.roundTrips(ctx, asleep, o.Requests/10+1, o.Limit/10); err != nil {
			return fmt.Errorf("warm up %s: %w", c.name, err)
		}
	}
	for round := range o.Rounds {
		for _, c := range s.cases {
			if err := measure(ctx, c, o, results[c.name]); err != nil {
				return fmt.Errorf("case %s: %w", c.name, err)
			}
			r := results[c.name]
			times, spun := r.times[asleep][round], r.times[awake][round]
			say("round %d of %d  %-10s  p50 %.1f us, p99 %.1f us of %d, p50 %.1f us looking busily, %.0f /s, %.0f lost", round+1, o.Rounds, c.name,
				us(bench.Quantile(times, 0.50)), us(bench.Quantile(times, 0.99)), len(times), us(bench.Quantile(spun, 0.50)), r.rates[round], r.lost[round])
		}
	}
	if err := s.check(ctx, results); err != nil {
		return err
	}
	return report(results).Write(o.Table, o.Out)
}

func us(t time.Duration) float64 { return float64(t) / float64(time.Microsecond) }

// measure adds a round of one case.
func measure(ctx context.Context, c *subject, o Options, r *result) error {
	lost := 0
	for _, m := range []manner{asleep, awake} {
		times, n, err := c.guest.roundTrips(ctx, m, o.Requests, o.Limit)
		if err != nil {
			return err
		}
		if len(times) == 0 {
			return fmt.Errorf("none of %d requests was answered", n)
		}
		r.times[m] = append(r.times[m], times)
		lost += n
	}
	answers, took, n, err := c.guest.stream(ctx, outstanding, o.Burst)
	if err != nil {
		return err
	}
	r.rates = append(r.rates, float64(answers)/took.Seconds())
	r.lost = append(r.lost, float64(lost+n))
	return nil
}

// report makes the rows.
func report(results map[string]*result) *bench.Report {
	r := bench.New("arp")
	for _, a := range guests {
		res := results[a.name]
		r.Latencies(a.name, "", "us", res.times[asleep]...)
		r.Latencies(a.name, "spin_", "us", res.times[awake]...)
		r.Add(a.name, "rate", "1/s", res.rates...)
		r.Add(a.name, "lost", "1", res.lost...)
	}
	for _, a := range guests {
		if a.baseline != "" {
			r.Compare(a.baseline, a.name)
		}
	}
	return r
}

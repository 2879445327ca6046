// Package forward measures how a virtual network forwards: throughput of one TCP stream, small packets per second, and how long a request
// waits for its response, on one host, between hosts by each transport, through a router and past stateful rules; and in the same run a Linux
// bridge, and two with the kernel's VXLAN between them. It tests nothing: what it measures is checked only for being what it says. Imported by
// cmd/vnlab.
package forward

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/lab"
)

// Options of a run.
type Options struct {
	run.Options
	Span  time.Duration // required: how long each of a case's three measurements takes in a round; below a second the stream is a MiB instead
	Cases []string      // optional: only these, and the baselines they are compared with
}

// result is what is measured of one case, a sample each round.
type result struct {
	stream  []float64         // Gb/s
	packets []float64         // per second
	times   [][]time.Duration // of requests
}

// Run builds a lab and the bridges, measures, writes the report and removes all of it, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Check("forward", run.Positive("seconds", o.Span.Seconds())); err != nil {
		return err
	}
	chosen, err := choose(o.Cases)
	if err != nil {
		return err
	}
	say := o.Say()
	say("a lab of two hosts, and beside it Linux bridges")
	return o.Lab(ctx, spec(), lab.StartAgents, func(l *lab.Lab) error { return runIn(ctx, l, chosen, o, say) })
}

func runIn(ctx context.Context, l *lab.Lab, chosen []subject, o Options, say func(format string, args ...any)) (err error) {
	say("forwarding by the %s datapath", l.Datapath())
	b := newBridges(l.Tag())
	defer func() { err = errors.Join(err, b.remove()) }()
	s := &setup{lab: l, bridges: b}
	if err := s.start(ctx); err != nil {
		return err
	}
	results := map[string]*result{}
	for _, c := range chosen {
		results[c.name] = &result{}
		if err := s.ready(ctx, c); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
	}
	if err := s.check(ctx, chosen); err != nil {
		return err
	}
	for round := range o.Rounds {
		for _, c := range chosen {
			r := results[c.name]
			if err := s.measure(ctx, c, o.Span, r); err != nil {
				return fmt.Errorf("case %s: %w", c.name, err)
			}
			say("round %d of %d  %-20s  %6.2f Gb/s, %7.0f packets/s, p50 %.1f us, p99 %.1f us of %d", round+1, o.Rounds, c.name, r.stream[round], r.packets[round],
				us(bench.Quantile(r.times[round], 0.50)), us(bench.Quantile(r.times[round], 0.99)), len(r.times[round]))
		}
	}
	return report(chosen, results).Write(o.Table, o.Out)
}

func us(t time.Duration) float64 { return float64(t) / float64(time.Microsecond) }

// measure adds a round of one case.
func (s *setup) measure(ctx context.Context, c subject, span time.Duration, r *result) error {
	from, to := s.place(c.from), s.place(c.to)
	times, err := requests(ctx, from, to, c.to.addr(), span)
	if err != nil {
		return fmt.Errorf("requests: %w", err)
	}
	pps, err := packets(ctx, from, to, c.to.addr(), span)
	if err != nil {
		return fmt.Errorf("packets: %w", err)
	}
	gbps, err := stream(ctx, from, to, c.to.addr(), span)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	r.times, r.packets, r.stream = append(r.times, times), append(r.packets, pps), append(r.stream, gbps)
	return nil
}

// report makes the rows.
func report(chosen []subject, results map[string]*result) *bench.Report {
	r := bench.New("forward")
	for _, c := range chosen {
		res := results[c.name]
		r.Add(c.name, "tcp", "Gb/s", res.stream...)
		r.Add(c.name, "pps", "1/s", res.packets...)
		r.Latencies(c.name, "rr_", "us", res.times...)
	}
	for _, c := range chosen {
		if c.baseline != "" {
			r.Compare(c.baseline, c.name)
		}
	}
	return r
}

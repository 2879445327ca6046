// Package forward measures how a virtual network forwards: throughput of one TCP stream, small packets per second, and how long a request
// waits for its response, on one host, between hosts by each transport, through a router and past stateful rules; and in the same run a Linux
// bridge, and two with the kernel's VXLAN between them. It tests nothing: what it measures is checked only for being what it says. Imported by
// cmd/vnlab.
package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/ovs"
)

// Options of a run.
type Options struct {
	Rounds   int           // required: each measures all cases, one after another
	Span     time.Duration // required: how long each of a case's three measurements takes in a round; below a second the stream is a MiB instead
	Cases    []string      // optional: only these, and the baselines they are compared with
	API      string        // required: a free host:port for the lab's manager
	Out      string        // required: directory of forward.json
	Table    io.Writer     // required: the table of results
	Progress io.Writer     // required: a line for each thing done
	Root     string        // optional: where labs are kept
	Bin      string        // optional: directory of vnmgr and vna, see lab.Options
}

// result is what is measured of one case, a sample each round.
type result struct {
	stream  []float64         // Gb/s
	packets []float64         // per second
	times   [][]time.Duration // of requests
}

// Run builds a lab and the bridges, measures, writes the report and removes all of it, also when ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	if o.Rounds < 1 || o.Span <= 0 {
		return errors.New("benchmark forward: rounds and the span must be more than 0")
	}
	chosen, err := choose(o.Cases)
	if err != nil {
		return err
	}
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(o.Progress, "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	say("a lab of two hosts, and beside it Linux bridges")
	l, err := lab.Up(ctx, spec(), lab.Options{Root: o.Root, API: o.API, Bin: o.Bin, Existing: lab.Replace})
	if err != nil {
		return err
	}
	say("forwarding by the %s datapath", l.Datapath())
	b := newBridges(l.Tag())
	defer func() {
		down, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, b.remove(), l.Down(down))
	}()
	s := &setup{lab: l, bridges: b}
	if err := s.start(ctx); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w\n%s", err, s.logs())
		}
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

// logs gives the last lines of what the manager and the agents have logged, for an error.
func (s *setup) logs() string {
	text := "vnmgr:\n" + ovs.Tail(s.lab.Log(string(lab.Manager), lab.Manager), 10)
	for _, h := range hosts {
		text += "\nvna of " + h + ":\n" + ovs.Tail(s.lab.Log(h, lab.Agent), 10)
	}
	return text
}

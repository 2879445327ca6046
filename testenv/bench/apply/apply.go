// Package apply measures what guests notice, and how long it takes, when the agent of a host with very many flows dies and comes back, and when its
// Open vSwitch does, with real programs and real packets. It tests nothing: what it measures is checked only for being what it says. Imported by
// cmd/vnlab.
package apply

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/lab"
)

// Options of a run.
type Options struct {
	run.Options
	Flows   []int         // required: how many flows the host has at least; the least is what others are compared with
	Traffic time.Duration // required: how long packets go before a process is killed, and before it is started again, and after all is well
}

// sample is what is measured of one restart. Of the times, the zero value is one that the case does not have.
type sample struct {
	flows      int
	lost       int
	remembered time.Duration // from the start of the agent until it has compared the switch with what its disk remembers
	compared   time.Duration // and with what the manager says
	recovered  time.Duration // from the start of ovs-vswitchd until all flows are there
	programmed time.Duration // of this the agent's own comparing and sending
	firstReply time.Duration // from the start of ovs-vswitchd until the first answer
	agentRSS   float64       // MiB, when all is done
	switchRSS  float64
}

// restarted is a case's process.
type restarted struct {
	name    string
	process lab.Component
}

var cases = []restarted{{"agent", lab.Agent}, {"vswitchd", lab.Switch}}

func caseName(c restarted, flows int) string { return fmt.Sprintf("%s@%d", c.name, flows) }

// Run builds a lab, measures, writes the report and removes the lab, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Check("apply", run.Each("flows", o.Flows, 1, math.MaxInt), run.Positive("traffic", o.Traffic)); err != nil {
		return err
	}
	o.Flows = slices.Compact(slices.Sorted(slices.Values(o.Flows)))
	say := o.Say()
	say("a lab of three hosts with a guest each")
	return o.Lab(ctx, spec(), lab.StartAgents, func(l *lab.Lab) error {
		say("forwarding by the %s datapath", l.Datapath())
		s, err := newSetup(l)
		if err != nil {
			return err
		}
		results, err := s.measure(ctx, o, say)
		if err != nil {
			return err
		}
		return report(o.Flows, results).Write(o.Table, o.Out)
	})
}

// measure measures all sizes, one after another in one lab, and gives the samples by case.
func (s *setup) measure(ctx context.Context, o Options, say func(string, ...any)) (map[string][]sample, error) {
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	results := map[string][]sample{}
	for _, size := range o.Flows {
		n, err := s.grow(ctx, size, say)
		if err != nil {
			return nil, fmt.Errorf("get %d flows: %w", size, err)
		}
		say("%s has %d flows, of %d further interfaces on other hosts", measured, n, s.interfaces)
		for round := range o.Rounds {
			for _, c := range cases {
				r, err := s.restart(ctx, c, n, o.Traffic)
				if err != nil {
					return nil, fmt.Errorf("case %s: %w", caseName(c, size), err)
				}
				results[caseName(c, size)] = append(results[caseName(c, size)], r)
				took := fmt.Sprintf("recovered after %v (programmed in %v), first reply after %v", ms(r.recovered), ms(r.programmed), ms(r.firstReply))
				if c.process == lab.Agent {
					took = fmt.Sprintf("compared after %v with what the disk remembers, after %v with what the manager says", ms(r.remembered), ms(r.compared))
				}
				say("round %d of %d  %-15s  %d lost, %s, agent %.0f MiB, switch %.0f MiB", round+1, o.Rounds, caseName(c, size), r.lost, took, r.agentRSS, r.switchRSS)
			}
		}
	}
	return results, nil
}

func ms(t time.Duration) time.Duration { return t.Round(time.Millisecond) }

// report makes the rows.
func report(sizes []int, results map[string][]sample) *bench.Report {
	r := bench.New("apply")
	for _, size := range sizes {
		for _, c := range cases {
			add := func(metric, unit string, value func(sample) float64) {
				var vs []float64
				for _, s := range results[caseName(c, size)] {
					vs = append(vs, value(s))
				}
				r.Add(caseName(c, size), metric, unit, vs...)
			}
			took := func(metric string, value func(sample) time.Duration) {
				add(metric, "ms", func(s sample) float64 { return float64(value(s)) / float64(time.Millisecond) })
			}
			add("flows", "1", func(s sample) float64 { return float64(s.flows) })
			add("lost", "1", func(s sample) float64 { return float64(s.lost) })
			if c.process == lab.Agent {
				took("remembered_ms", func(s sample) time.Duration { return s.remembered })
				took("compared_ms", func(s sample) time.Duration { return s.compared })
			} else {
				took("recovered_ms", func(s sample) time.Duration { return s.recovered })
				took("programmed_ms", func(s sample) time.Duration { return s.programmed })
				took("first_reply_ms", func(s sample) time.Duration { return s.firstReply })
			}
			add("agent_rss", "MiB", func(s sample) float64 { return s.agentRSS })
			add("switch_rss", "MiB", func(s sample) float64 { return s.switchRSS })
		}
	}
	for _, c := range cases {
		for _, size := range sizes[1:] {
			r.Compare(caseName(c, sizes[0]), caseName(c, size))
		}
	}
	return r
}

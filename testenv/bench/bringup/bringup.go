// Package bringup measures what one more interface costs when there are many already: how long from the Web API's call until every host
// has it, and how many OpenFlow messages and how much CPU that takes on the hosts. The manager, the agents and three Open vSwitches are
// the real ones; ports are dummies, since with a thousand real ones the machine would measure those. Imported by cmd/vnlab.
package bringup

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/cluster"
	"github.com/openvnet/openvnet/testenv/bench/run"
)

// Options of a run.
type Options struct {
	run.Options
	Sizes   []int // required: how many interfaces there are already; each at least minSize
	Repeats int   // required: how often one more is made in a case of a round; rounded up to whole batches

	// Pause is for how long nothing is done before each one more, optional. A switch with hundreds of ports goes on working for
	// milliseconds after it has answered, and here all hosts share the cores of one machine.
	Pause time.Duration
}

// shape is how interfaces are spread over networks, and what says on which host they are.
type shape struct {
	suffix   string // in the names of cases
	networks int
	found    bool // where their ports are found, instead of by owner_datapath_uuid
}

var shapes = []shape{{suffix: "", networks: 10}, {suffix: "-flat", networks: 1}, {suffix: "-found", networks: 10, found: true}}

const (
	hosts = 3
	// batch is how many are made, and then deleted again, between two readings of the counters: four on each host.
	batch = 4 * hosts
	// portRepeats is how often Open vSwitch adds a port to a bridge of each size.
	portRepeats = 10
)

// minSize puts every network on every host.
const minSize = 10 * hosts

// figures are what is measured of a case in one round.
type figures struct {
	bulk    time.Duration   // all interfaces by one call
	applied []time.Duration // one more, each
	perOne  cluster.Usage   // of one more, on average
	memory  cluster.Memory  // at the end
	ports   []time.Duration // Open vSwitch's own cost of one more port; not of all shapes
}

// key names a case without its metric.
type key struct {
	shape shape
	size  int
}

// Run measures, writes the report, and leaves nothing behind, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Check("bringup", run.Each("sizes", o.Sizes, minSize, math.MaxInt), run.AtLeast("repeats", o.Repeats, 1), run.AtLeast("pause", o.Pause, 0)); err != nil {
		return err
	}
	o.Sizes = slices.Compact(slices.Sorted(slices.Values(o.Sizes)))
	say := o.Say()
	rounds := map[key][]figures{}
	for round := range o.Rounds {
		for _, size := range o.Sizes {
			for _, sh := range shapes {
				p := plan{size: size, networks: sh.networks, found: sh.found}
				f, err := measure(ctx, o, p, sh.suffix == "", func(format string, args ...any) {
					say("round %d of %d  %-19s  %s", round+1, o.Rounds, name("one-more", sh, size), fmt.Sprintf(format, args...))
				})
				if err != nil {
					return fmt.Errorf("case %s: %w", name("one-more", sh, size), err)
				}
				k := key{sh, size}
				rounds[k] = append(rounds[k], f)
			}
		}
	}
	return report(o.Sizes, rounds).Write(o.Table, o.Out)
}

// name is that of a case.
func name(what string, sh shape, size int) string {
	return fmt.Sprintf("%s%s@%d", what, sh.suffix, size)
}

// report makes the rows; those of each size are compared with those of the smallest.
func report(sizes []int, rounds map[key][]figures) *bench.Report {
	r := bench.New("bringup")
	for _, sh := range shapes {
		for _, size := range sizes {
			of := rounds[key{sh, size}]
			one := name("one-more", sh, size)
			r.Latencies(one, "applied_", "ms", each(of, func(f figures) []time.Duration { return f.applied })...)
			r.Add(one, "openflow_messages", "1", each(of, func(f figures) float64 { return f.perOne.Messages })...)
			r.Add(one, "agent_cpu", "ms", each(of, func(f figures) float64 { return f.perOne.Agents })...)
			r.Add(one, "agent_rss", "MiB", each(of, func(f figures) float64 { return f.memory.Agent })...)
			r.Add(one, "manager_cpu", "ms", each(of, func(f figures) float64 { return f.perOne.Manager })...)
			r.Add(one, "switch_cpu", "ms", each(of, func(f figures) float64 { return f.perOne.Switches })...)
			r.Add(one, "manager_rss", "MiB", each(of, func(f figures) float64 { return f.memory.Manager })...)
		}
	}
	for _, sh := range shapes {
		for _, size := range sizes {
			r.Add(name("bulk", sh, size), "applied", "ms", each(rounds[key{sh, size}], func(f figures) float64 { return ms(f.bulk) })...)
		}
	}
	for _, size := range sizes {
		r.Add(name("ovs-port", shapes[0], size), "ovs_port_p50", "ms", each(rounds[key{shapes[0], size}], func(f figures) float64 {
			return ms(bench.Quantile(f.ports, 0.50))
		})...)
	}
	for _, size := range sizes[1:] {
		for _, sh := range shapes {
			r.Compare(name("one-more", sh, sizes[0]), name("one-more", sh, size))
			r.Compare(name("bulk", sh, sizes[0]), name("bulk", sh, size))
		}
		r.Compare(name("ovs-port", shapes[0], sizes[0]), name("ovs-port", shapes[0], size))
	}
	return r
}

func each[T any](of []figures, value func(figures) T) []T {
	values := make([]T, len(of))
	for i, f := range of {
		values[i] = value(f)
	}
	return values
}

func ms(t time.Duration) float64 { return float64(t) / float64(time.Millisecond) }

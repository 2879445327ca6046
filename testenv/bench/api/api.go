// Package api measures the manager alone, a real vnmgr process, with many interfaces in its store: requests through the Web API, a bulk
// apply, a cold start, and how soon a thousand agents' streams have a change. The agents are simulated: they read their streams and
// acknowledge at once. Imported by cmd/vnlab.
package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/testenv/bench/run"
	"github.com/openvnet/openvnet/testenv/proc"
)

// Options of a run.
type Options struct {
	run.Options
	Sizes      []int // required: how many interfaces there are
	Requests   int   // required: how many are created one by one, and as many pages listed; ten times as many are read
	Clients    int   // required: how many requests are under way at a time
	Starts     int   // required: cold starts of a size in a round
	Agents     int   // required: hosts that have the network in which something changes
	Bystanders int   // required: hosts that do not
	Changes    int   // required: changes of a size in a round
}

const (
	// applyBatch is how many interfaces one apply makes at most.
	applyBatch = 10_000
	// page is how many objects a list asks for.
	page = 100
)

// figures are what is measured of a size in one round.
type figures struct {
	applied            time.Duration // the last apply of applyBatch, or fewer
	batch              int           // how many that made
	create, read, list requests
	starts             []start
	deliveries         []time.Duration // from before the call, to each agent
	everywhere         []time.Duration // from before the call, to the last agent
	join               time.Duration   // of all agents, from the first connection to the last snapshot's end
	strays             int             // deltas to bystanders
	memory             float64         // at the end, MiB
}

// requests are many of a kind.
type requests struct {
	times []time.Duration // of each
	took  time.Duration   // all of them
}

func (r requests) rate() float64 { return float64(len(r.times)) / r.took.Seconds() }

// start is a cold start.
type start struct {
	ready time.Duration // until the API answers
	rss   float64       // then, MiB
	cpu   time.Duration // used up then
}

// Run measures, writes the report, and leaves nothing behind, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	err := o.Check("api", run.AtLeast("requests", o.Requests, 1), run.AtLeast("clients", o.Clients, 1), run.AtLeast("starts", o.Starts, 1), run.AtLeast("changes", o.Changes, 1),
		run.Within("agents", o.Agents, 1, maxAgents), run.Within("bystanders", o.Bystanders, 1, maxAgents), run.Each("sizes", o.Sizes, 1, maxSize))
	if err != nil {
		return err
	}
	o.Sizes = slices.Compact(slices.Sorted(slices.Values(o.Sizes)))
	sayAll := o.Say()
	rounds := map[int][]figures{}
	for round := range o.Rounds {
		say := func(size int, format string, args ...any) {
			sayAll("round %d of %d  %7d interfaces  %s", round+1, o.Rounds, size, fmt.Sprintf(format, args...))
		}
		if err := measure(ctx, o, rounds, say); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	return report(o.Sizes, rounds).Write(o.Table, o.Out)
}

// measure does a round.
func measure(ctx context.Context, o Options, rounds map[int][]figures, say func(size int, format string, args ...any)) (err error) {
	m, err := newManager(o.Bin, o.API)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\n%s", err, m.logs())
		}
		err = errors.Join(err, m.remove(ctx))
	}()
	if _, err := m.start(ctx); err != nil {
		return err
	}
	w := &world{m: m, o: o}
	for _, size := range o.Sizes {
		f, err := w.measure(ctx, size, func(format string, args ...any) { say(size, format, args...) })
		if err != nil {
			return fmt.Errorf("%d interfaces: %w", size, err)
		}
		rounds[size] = append(rounds[size], f)
	}
	return nil
}

// measure brings the store to a size and does all that is measured of it.
func (w *world) measure(ctx context.Context, size int, say func(format string, args ...any)) (f figures, err error) {
	if f.batch, f.applied, err = w.grow(ctx, size); err != nil {
		return f, fmt.Errorf("apply: %w", err)
	}
	say("there are %d; the last apply made %d in %.0f ms", w.interfaces, f.batch, ms(f.applied))
	for _, kind := range []struct {
		name string
		do   func(context.Context) (requests, error)
		to   *requests
	}{{"create", w.create, &f.create}, {"read", w.read, &f.read}, {"list", w.list, &f.list}} {
		r, err := kind.do(ctx)
		if err != nil {
			return f, fmt.Errorf("%s: %w", kind.name, err)
		}
		*kind.to = r
		say("%-6s  %.0f in a second, p50 %.2f ms, p99 %.2f ms", kind.name, r.rate(), ms(bench.Quantile(r.times, 0.50)), ms(bench.Quantile(r.times, 0.99)))
	}
	for range w.o.Starts {
		if err := w.m.stop(ctx); err != nil {
			return f, err
		}
		s, err := w.m.start(ctx)
		if err != nil {
			return f, fmt.Errorf("cold start: %w", err)
		}
		f.starts = append(f.starts, s)
		say("cold start %.0f ms with %.0f ms of CPU, %.0f MiB", ms(s.ready), ms(s.cpu), s.rss)
	}
	if err := w.fanOut(ctx, &f); err != nil {
		return f, fmt.Errorf("fan-out: %w", err)
	}
	say("all %d agents after %.0f ms; a change reaches them in p50 %.1f ms, p99 %.1f ms, the last in p50 %.1f ms; %d strays", w.o.Agents+w.o.Bystanders, ms(f.join),
		ms(bench.Quantile(f.deliveries, 0.50)), ms(bench.Quantile(f.deliveries, 0.99)), ms(bench.Quantile(f.everywhere, 0.50)), f.strays)
	if f.strays > 0 {
		return f, fmt.Errorf("agents without the network got %d deltas", f.strays)
	}
	f.memory, err = proc.Resident(w.m.process.PID)
	return f, err
}

// report makes the rows; those of each size are compared with those of the smallest.
func report(sizes []int, rounds map[int][]figures) *bench.Report {
	r := bench.New("api")
	for _, size := range sizes {
		of := rounds[size]
		for _, kind := range []struct {
			name string
			of   func(figures) requests
		}{
			{"create", func(f figures) requests { return f.create }},
			{"read", func(f figures) requests { return f.read }},
			{"list", func(f figures) requests { return f.list }},
		} {
			name := name(kind.name, size)
			r.Add(name, "rate", "1/s", each(of, func(f figures) float64 { return kind.of(f).rate() })...)
			r.Latencies(name, "", "ms", each(of, func(f figures) []time.Duration { return kind.of(f).times })...)
		}
		apply := name("apply", size)
		r.Add(apply, "interfaces", "1", each(of, func(f figures) float64 { return float64(f.batch) })...)
		r.Add(apply, "stored", "ms", each(of, func(f figures) float64 { return ms(f.applied) })...)
		var starts []start
		for _, f := range of {
			starts = append(starts, f.starts...)
		}
		cold := name("coldstart", size)
		r.Add(cold, "ready", "ms", each(starts, func(s start) float64 { return ms(s.ready) })...)
		r.Add(cold, "cpu", "ms", each(starts, func(s start) float64 { return ms(s.cpu) })...)
		r.Add(cold, "rss", "MiB", each(starts, func(s start) float64 { return s.rss })...)
		fan := name("fanout", size)
		r.Latencies(fan, "delivery_", "ms", each(of, func(f figures) []time.Duration { return f.deliveries })...)
		r.Latencies(fan, "everywhere_", "ms", each(of, func(f figures) []time.Duration { return f.everywhere })...)
		r.Add(fan, "without_network", "1", each(of, func(f figures) float64 { return float64(f.strays) })...)
		r.Add(fan, "join", "ms", each(of, func(f figures) float64 { return ms(f.join) })...)
		r.Add(fan, "manager_rss", "MiB", each(of, func(f figures) float64 { return f.memory })...)
	}
	for _, size := range sizes[1:] {
		for _, what := range []string{"create", "read", "list", "apply", "coldstart", "fanout"} {
			r.Compare(name(what, sizes[0]), name(what, size))
		}
	}
	return r
}

// name is that of a case.
func name(what string, size int) string { return fmt.Sprintf("%s@%d", what, size) }

func each[F, T any](of []F, value func(F) T) []T {
	values := make([]T, len(of))
	for i, f := range of {
		values[i] = value(f)
	}
	return values
}

func ms(t time.Duration) float64 { return float64(t) / float64(time.Millisecond) }

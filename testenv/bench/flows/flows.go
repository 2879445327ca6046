// Package flows measures what a network costs one host: how many flows and bytes, how long compiling takes, all of it and for one change, and how much memory; and with real programs how long
// one more member of a security group takes from the call until all hosts have it. Imported by cmd/vnlab.
package flows

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/openvnet/openvnet/internal/bench"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/bench/run"
)

// Options of a run.
type Options struct {
	run.Options
	Members int      // required: how often one more member is made with real programs; 0 leaves that out
	Self    []string // required: the command that measures one scenario, whose name is added, and prints Figures as JSON
}

// Run measures, writes the report, and leaves nothing behind, also when ctx ends.
func Run(ctx context.Context, o Options) error {
	if err := o.Check("flows", run.AtLeast("members", o.Members, 0)); err != nil {
		return err
	}
	say := o.Say()
	figures := map[string][]Figures{}
	for round := range o.Rounds {
		for _, s := range scenarios {
			f, err := apart(ctx, o.Self, s.name)
			if err != nil {
				return fmt.Errorf("case %s: %w", s.name, err)
			}
			figures[s.name] = append(figures[s.name], f)
			say("round %d of %d  %-17s %6d flows, %6d added, compiled in %7.1f ms, one more in %.3f ms by %d changes, %.0f MiB", round+1, o.Rounds, s.name, f.Flows, f.Added, f.Full, f.Change, f.Changed, f.RSS)
		}
	}
	var members [][]time.Duration
	for round := range o.Rounds {
		if o.Members == 0 {
			break
		}
		times, err := member(ctx, o)
		if err != nil {
			return fmt.Errorf("one more member: %w", err)
		}
		members = append(members, times)
		say("round %d of %d  one more member of 1,000 on three hosts: p50 %.2f ms, p99 %.2f ms", round+1, o.Rounds, ms(bench.Quantile(times, 0.5)), ms(bench.Quantile(times, 0.99)))
	}
	return report(figures, members).Write(o.Table, o.Out)
}

// apart measures one scenario in a process of its own.
func apart(ctx context.Context, self []string, name string) (f Figures, err error) {
	cmd := exec.CommandContext(ctx, self[0], append(slices.Clone(self[1:]), name)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return f, fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	return f, json.Unmarshal(out, &f)
}

func report(figures map[string][]Figures, members [][]time.Duration) *bench.Report {
	r := bench.New("flows")
	for _, s := range scenarios {
		of := figures[s.name]
		add := func(metric, unit string, value func(Figures) float64) {
			var vs []float64
			for _, f := range of {
				vs = append(vs, value(f))
			}
			r.Add(s.name, metric, unit, vs...)
		}
		add("flows_per_host", "1", func(f Figures) float64 { return float64(f.Flows) })
		if of[0].Added != 0 {
			add("flows_added", "1", func(f Figures) float64 { return float64(f.Added) })
		}
		add("bytes", "B", func(f Figures) float64 { return float64(f.Bytes) })
		add("full_ms", "ms", func(f Figures) float64 { return f.Full })
		add("change_ms", "ms", func(f Figures) float64 { return f.Change })
		add("rss", "MiB", func(f Figures) float64 { return f.RSS })
	}
	if len(members) > 0 {
		r.Latencies("group-1000", "applied_", "ms", members...)
	}
	r.Compare("network@100", "network@1000", "network@10000")
	r.Compare("group@100", "group-1000", "group@10000")
	r.Compare("routers@10", "routers@1000", "routers-100x100")
	return r
}

func median(vs []float64) float64 {
	vs = slices.Sorted(slices.Values(vs))
	return vs[len(vs)/2]
}

// prefixes gives a list of n prefixes of a form.
func prefixes(form string, n int) model.PrefixList {
	var ps []string
	for k := range n {
		ps = append(ps, fmt.Sprintf(form, k))
	}
	v, err := model.AddressGroups.Field("addresses").ParseText(strings.Join(ps, ","))
	if err != nil {
		panic(err) //nolint:forbidigo // the forms are constants
	}
	return v.(model.PrefixList)
}

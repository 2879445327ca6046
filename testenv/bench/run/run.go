// Package run is what all benchmarks have in common: their options, what is said of a wrong one, progress, and a lab for those that need one. It
// measures nothing. Imported by the benchmarks and by cmd/vnlab, which has a flag for each option; an option's flag is how an error names it.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/ovs"
)

// Options of every benchmark.
type Options struct {
	Rounds   int       // required: how often all cases are measured
	API      string    // required: a free host:port for the manager
	Bin      string    // required: directory of vnmgr and vna
	Out      string    // required: directory of the file with the figures
	Table    io.Writer // required: the table of results
	Progress io.Writer // required: a line for each thing done
	Root     string    // optional: where labs are kept
}

// Check says of an option of the benchmark by what flag and value it is wrong.
func (o Options) Check(benchmark string, options ...error) error {
	for _, err := range append([]error{AtLeast("rounds", o.Rounds, 1)}, options...) {
		if err != nil {
			return fmt.Errorf("benchmark %s: %w", benchmark, err)
		}
	}
	return nil
}

// AtLeast reports an error unless the flag's value is at least that.
func AtLeast[T cmp.Ordered](flag string, v, least T) error {
	if v < least {
		return fmt.Errorf("--%s is %v, and must be at least %v", flag, v, least)
	}
	return nil
}

// Within is AtLeast with a most.
func Within[T cmp.Ordered](flag string, v, least, most T) error {
	if v > most {
		return fmt.Errorf("--%s is %v, and must be at most %v", flag, v, most)
	}
	return AtLeast(flag, v, least)
}

// Positive reports an error unless the flag's value is more than nothing.
func Positive[T time.Duration | float64](flag string, v T) error {
	if v <= 0 {
		return fmt.Errorf("--%s is %v, and must be more than 0", flag, v)
	}
	return nil
}

// Each is Within for a list, of which there must be something.
func Each[T cmp.Ordered](flag string, vs []T, least, most T) error {
	if len(vs) == 0 {
		return fmt.Errorf("--%s is empty, and must have at least one number", flag)
	}
	for _, v := range vs {
		if err := Within(flag, v, least, most); err != nil {
			return err
		}
	}
	return nil
}

// Say gives what reports progress: a line with the time that has passed since this call.
func (o Options) Say() func(format string, args ...any) {
	began := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(o.Progress, "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// Lab calls measure with a lab, which is removed again, also when ctx ends. What goes wrong is told with the end of what the manager and the agents have logged.
func (o Options) Lab(ctx context.Context, spec lab.Spec, agents lab.Agents, measure func(*lab.Lab) error) error {
	l, err := lab.Up(ctx, spec, lab.Options{Root: o.Root, API: o.API, Bin: o.Bin, Agents: agents, Existing: lab.Replace})
	if err != nil {
		return err
	}
	if err = measure(l); err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w\nvnmgr:\n%s", err, ovs.Tail(l.Log(string(lab.Manager), lab.Manager), 10))
		for _, h := range spec.Hosts {
			err = fmt.Errorf("%w\nvna of %s:\n%s", err, h.Name, ovs.Tail(l.Log(h.Name, lab.Agent), 10))
		}
	}
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(err, l.Down(down))
}

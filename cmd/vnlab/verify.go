package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openvnet/openvnet/testenv/verify"
)

var errDifferences = errors.New("the data plane does not do what it must")

func (a *app) verifyCommand() *cobra.Command {
	o := verify.Options{Out: a.out, Progress: a.errs}
	var walks int
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Hold the data plane against the oracle in random networks",
		Long: `Draw random networks and packets, and compare what the compiled flows do with them with
what docs/packets.md says, in memory and in Open vSwitch, to the byte. A difference is
shrunk to a small network and printed. Before, it walks from network to network by random
changes, a tenth of which fail, and compares what hosts have with what they must have.
Takes no root. The last lines say how to repeat each difference, and how many cases there
were and how many differences.`,
		Example: `  vnlab verify --cases 1000000 --real 20000
  vnlab verify --time 60s
  vnlab verify --cases 60 --seed 4711`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkVerify(cmd.Flags(), &o, walks); err != nil {
				return err
			}
			if o.Cases == 0 && o.Time == 0 {
				o.Cases = 100_000
			}
			if !cmd.Flags().Changed("seed") {
				o.Seed = rand.Uint64() >> 1
			}
			fmt.Fprintf(a.errs, "seed %d\n", o.Seed)
			return a.verify(cmd.Context(), o, walks)
		},
	}
	cmd.Flags().IntVar(&o.Cases, "cases", 0, "packets (default 100,000 unless --time is given)")
	cmd.Flags().DurationVar(&o.Time, "time", 0, "draw new packets for so long instead")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 0, "equal seeds draw the same (default: a random one, which is printed)")
	cmd.Flags().IntVar(&o.Real, "real", 0, "packets that go through Open vSwitch as well")
	cmd.Flags().IntVar(&o.Workers, "workers", runtime.GOMAXPROCS(0), "networks at a time")
	cmd.Flags().IntVar(&o.Most, "most", 5, "stop after so many differences")
	cmd.Flags().IntVar(&walks, "walks", 20, "walks from network to network")
	return cmd
}

// checkVerify refuses numbers that mean nothing.
func checkVerify(flags *pflag.FlagSet, o *verify.Options, walks int) error {
	var errs []error
	for _, f := range []struct {
		name         string
		value, least int
		why          string
	}{
		{"cases", o.Cases, 1, "at least one packet is to be drawn; left out, it is 100,000, or as many as --time leaves room for"},
		{"real", o.Real, 0, "no fewer than 0 packets can go through Open vSwitch"},
		{"walks", walks, 0, "no fewer than 0 walks can be made"},
		{"workers", o.Workers, 1, "at least one network at a time is to be verified"},
		{"most", o.Most, 1, "it ends after so many differences, at least one"},
	} {
		if flags.Changed(f.name) && f.value < f.least {
			errs = append(errs, fmt.Errorf("--%s %d: %s", f.name, f.value, f.why))
		}
	}
	if flags.Changed("time") && o.Time <= 0 {
		errs = append(errs, fmt.Errorf("--time %s: cases are drawn for so long, such as 60s", o.Time))
	}
	return errors.Join(errs...)
}

// verify walks and verifies.
func (a *app) verify(ctx context.Context, o verify.Options, walks int) error {
	began := time.Now()
	walked := 0
	var wrong []uint64 // seeds
	for ; walked < walks; walked++ {
		if o.Time > 0 && time.Since(began) > o.Time/2 {
			break
		}
		seed := o.Seed + uint64(walked) //nolint:gosec // not negative
		if err := verify.Walk(ctx, verify.WalkOptions{Seed: seed, Worlds: 6, Faults: seed%2 == 0}); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			wrong = append(wrong, seed)
			fmt.Fprintf(a.out, "%v\n", err)
		}
	}
	found, err := verify.Run(ctx, o)
	if err != nil {
		return err
	}
	return a.verified(walked, wrong, found)
}

// verified says what was found, and how to repeat it. walked is how many walks there were, wrong the seeds of those that went wrong.
func (a *app) verified(walked int, wrong []uint64, found verify.Result) error {
	fmt.Fprintf(a.out, "walks %d, %d of them wrong; packets through Open vSwitch %d; worlds %d\n", walked, len(wrong), found.Real, found.Worlds)
	for _, seed := range wrong {
		fmt.Fprintf(a.out, "to repeat: vnlab verify --seed %d --walks 1 --cases 1\n", seed)
	}
	for _, d := range found.Differences {
		through := ""
		if d.Real {
			through = " --real 1"
		}
		fmt.Fprintf(a.out, "to repeat: vnlab verify --seed %d --walks 0 --cases 1 --workers 1%s\n", d.Seed, through)
	}
	differences := len(wrong) + len(found.Differences)
	fmt.Fprintf(a.out, "cases %d differences %d\n", found.Cases, differences)
	if differences > 0 {
		return errDifferences
	}
	return nil
}

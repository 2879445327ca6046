package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/spf13/cobra"

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
shrunk to a small network and printed; its seed repeats it. Between packets it walks from
network to network by random changes, a tenth of which fail, and compares what hosts have
with what they must have. Takes no root. The last line says how many cases there were and
how many differences.`,
		Example: `  vnlab verify --cases 1000000 --real 20000
  vnlab verify --time 60s
  vnlab verify --cases 60 --seed 4711`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Cases == 0 && o.Time == 0 {
				o.Cases = 100_000
			}
			if o.Seed == 0 {
				o.Seed = rand.Uint64() >> 1
			}
			fmt.Fprintf(a.errs, "seed %d\n", o.Seed)
			began := time.Now()
			failed := 0
			for n := range walks {
				if o.Time > 0 && time.Since(began) > o.Time/2 {
					break
				}
				if err := verify.Walk(cmd.Context(), verify.WalkOptions{Seed: o.Seed + uint64(n), Worlds: 6, Faults: n%2 == 0}); err != nil {
					if cmd.Context().Err() != nil {
						return cmd.Context().Err()
					}
					failed++
					fmt.Fprintf(a.out, "%v\n", err)
				}
			}
			found, err := verify.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "walks %d, %d of them wrong; packets through Open vSwitch %d; worlds %d\n", walks, failed, found.Real, found.Worlds)
			fmt.Fprintf(a.out, "cases %d differences %d\n", found.Cases, found.Differences+failed)
			if found.Differences+failed > 0 {
				return errDifferences
			}
			return nil
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

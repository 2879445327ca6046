package main

import (
	"fmt"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/forward"
)

func (a *app) benchForwardCommand() *cobra.Command {
	var f benchFlags
	var seconds float64
	o := forward.Options{Table: a.out, Progress: a.errs}
	cmd := &cobra.Command{
		Use:   "forward",
		Short: "Throughput, packets per second and latency, beside a Linux bridge",
		Long: `Measure what a virtual network carries on one host, between two hosts by Geneve, VXLAN, GRE
and without encapsulation, through a router, and past stateful rules: one TCP stream, small
packets per second, and how long a request waits for its response; and the same of a Linux
bridge, and of two with the kernel's VXLAN between them. Needs root and iperf3. Writes
forward.json.`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := exec.LookPath("iperf3"); err != nil {
				return fmt.Errorf("find iperf3, which measures the stream: %w", err)
			}
			if err := f.complete(cmd.Context()); err != nil {
				return err
			}
			o.Rounds, o.Out, o.Bin, o.API, o.Root = f.rounds, f.out, f.bin, f.api, a.root
			o.Span = time.Duration(seconds * float64(time.Second))
			return stopped(cmd.Context(), forward.Run(cmd.Context(), o))
		},
	}
	f.add(cmd, 5)
	cmd.Flags().Float64Var(&seconds, "seconds", 3, "time of each of a case's three measurements in a round; below 1 the stream is a MiB instead")
	cmd.Flags().StringSliceVar(&o.Cases, "cases", nil, "only these, with what they are compared with (default: all)")
	return cmd
}

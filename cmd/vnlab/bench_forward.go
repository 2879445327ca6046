package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/forward"
)

func (a *app) benchForwardCommand() *cobra.Command {
	var seconds float64
	var o forward.Options
	cmd := a.benchmark(&cobra.Command{
		Use:   "forward",
		Short: "Throughput, packets per second and latency, beside a Linux bridge",
		Long: `Measure what a virtual network carries on one host, between two hosts by Geneve, VXLAN, GRE
and without encapsulation, through a router, and past stateful rules: one TCP stream, small
packets per second, and how long a request waits for its response; and the same of a Linux
bridge, and of two with the kernel's VXLAN between them. Needs root and iperf3. Writes
forward.json.`,
	}, &o.Options, 5, func(ctx context.Context) error {
		if _, err := exec.LookPath("iperf3"); err != nil {
			return fmt.Errorf("find iperf3, which measures the stream: %w", err)
		}
		o.Span = time.Duration(seconds * float64(time.Second))
		return forward.Run(ctx, o)
	})
	cmd.Flags().Float64Var(&seconds, "seconds", 3, "time of each of a case's three measurements in a round; below 1 the stream is a MiB instead")
	cmd.Flags().StringSliceVar(&o.Cases, "cases", nil, "only these, with what they are compared with (default: all)")
	return cmd
}

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/punt"
)

func (a *app) benchPuntCommand() *cobra.Command {
	var seconds float64
	var o punt.Options
	cmd := a.benchmark(&cobra.Command{
		Use:   "punt",
		Short: "What guests notice of one that floods its host's services",
		Long: `Measure how long a guest waits for answers of the program at its port (ARP), of a flow (echo
of the gateway), of the agent (DHCP) and of guests on its own and another host, while
nothing else happens, and while another guest of its host sends 100,000 frames a second of
each kind that hosts limit. Needs root. Writes punt.json.`,
	}, &o.Options, 3, func(ctx context.Context) error {
		o.Span = time.Duration(seconds * float64(time.Second))
		return punt.Run(ctx, o)
	})
	cmd.Flags().Float64Var(&seconds, "seconds", 10, "time of a case in a round")
	cmd.Flags().IntVar(&o.Rate, "rate", 100_000, "frames per second of a flood")
	cmd.Flags().StringSliceVar(&o.Kinds, "kinds", nil, "only floods of these kinds (default: all)")
	return cmd
}

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/apply"
)

func (a *app) benchApplyCommand() *cobra.Command {
	var o apply.Options
	cmd := a.benchmark(&cobra.Command{
		Use:   "apply",
		Short: "Restarts of the agent and of ovs-vswitchd with 200,000 flows under traffic",
		Long: `Measure what guests notice, and how long it takes until all is as before, when the agent of a
host with 1,000, and with 200,000, flows is killed and started again, and when its
ovs-vswitchd is restarted, while a guest sends a packet every 10 ms. Needs root. Writes
apply.json.`,
	}, &o.Options, 3, func(ctx context.Context) error { return apply.Run(ctx, o) })
	cmd.Flags().IntSliceVar(&o.Flows, "flows", []int{1000, 200_000}, "how many flows the host has at least; the least is what others are compared with")
	cmd.Flags().DurationVar(&o.Traffic, "traffic", time.Second, "how long packets go before, and after, and while the agent is dead")
	return cmd
}

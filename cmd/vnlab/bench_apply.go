package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/apply"
)

func (a *app) benchApplyCommand() *cobra.Command {
	var f benchFlags
	o := apply.Options{Table: a.out, Progress: a.errs}
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Restarts of the agent and of ovs-vswitchd with 200,000 flows under traffic",
		Long: `Measure what guests notice, and how long it takes until all is as before, when the agent of a
host with 1,000, and with 200,000, flows is killed and started again, and when its
ovs-vswitchd is restarted, while a guest sends a packet every 10 ms. Needs root. Writes
apply.json.`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.complete(cmd.Context()); err != nil {
				return err
			}
			o.Rounds, o.Out, o.Bin, o.API, o.Root = f.rounds, f.out, f.bin, f.api, a.root
			return stopped(cmd.Context(), apply.Run(cmd.Context(), o))
		},
	}
	f.add(cmd, 3)
	cmd.Flags().IntSliceVar(&o.Flows, "flows", []int{1000, 200_000}, "how many flows the host has at least; the first is what others are compared with")
	cmd.Flags().DurationVar(&o.Traffic, "traffic", time.Second, "how long packets go before, and after, and while the agent is dead")
	return cmd
}

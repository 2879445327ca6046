package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/flows"
)

func (a *app) benchFlowsCommand() *cobra.Command {
	var o flows.Options
	var one string
	cmd := a.benchmark(&cobra.Command{
		Use:   "flows",
		Short: "What a network costs one host: flows, bytes, time to compile, memory",
		Long: `Measure what large networks cost one host: how many flows and bytes, how long it takes to
compile all of it and one change, and how much memory; and with real programs how long one
more member of a security group takes. Takes no root. Writes flows.json.`,
	}, &o.Options, 3, func(ctx context.Context) error {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		o.Self = []string{self, "bench", "flows", "--one"}
		return flows.Run(ctx, o)
	})
	all := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if one == "" {
			return all(cmd, args)
		}
		figures, err := flows.Measure(one)
		if err != nil {
			return err
		}
		return json.NewEncoder(a.out).Encode(figures)
	}
	cmd.Flags().IntVar(&o.Members, "members", 100, "how often one more member is made with real programs in a round; 0: not at all")
	cmd.Flags().StringVar(&one, "one", "", "measure one scenario in this process and print it as JSON")
	return cmd
}

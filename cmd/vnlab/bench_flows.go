package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/flows"
)

func (a *app) benchFlowsCommand() *cobra.Command {
	var f benchFlags
	o := flows.Options{Table: a.out, Progress: a.errs}
	var one string
	cmd := &cobra.Command{
		Use:   "flows",
		Short: "What a network costs one host: flows, bytes, time to compile, memory",
		Long: `Measure what large networks cost one host: how many flows and bytes, how long it takes to
compile all of it and one change, and how much memory; and with real programs how long one
more member of a security group takes. Takes no root. Writes flows.json.`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if one != "" {
				figures, err := flows.Measure(one)
				if err != nil {
					return err
				}
				return json.NewEncoder(a.out).Encode(figures)
			}
			if err := f.complete(cmd.Context()); err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Rounds, o.Out, o.Bin, o.API, o.Self = f.rounds, f.out, f.bin, f.api, []string{self, "bench", "flows", "--one"}
			return stopped(cmd.Context(), flows.Run(cmd.Context(), o))
		},
	}
	f.add(cmd, 3)
	cmd.Flags().IntVar(&o.Members, "members", 100, "how often one more member is made with real programs in a round; 0: not at all")
	cmd.Flags().StringVar(&one, "one", "", "measure one scenario in this process and print it as JSON")
	return cmd
}

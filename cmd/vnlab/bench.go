package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/api"
	"github.com/openvnet/openvnet/testenv/bench/arp"
	"github.com/openvnet/openvnet/testenv/bench/bringup"
	benchmarks "github.com/openvnet/openvnet/testenv/bench/run"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "bench",
		Short: "Measure the product with its real programs",
		Long: `Measure the product with its real programs, and write the figures to a table and to a file.
Every figure is the median of several rounds, with the least and the largest; run
nothing else meanwhile. docs/benchmarks.md says what is measured and how.`,
		Example: `  vnlab bench arp
  vnlab bench bringup --sizes 100,1000`,
	})
	cmd.AddCommand(a.benchARPCommand(), a.benchBringupCommand(), a.benchAPICommand(), a.benchFlowsCommand(), a.benchForwardCommand(), a.benchApplyCommand(), a.benchPuntCommand(), a.benchServicesCommand())
	return cmd
}

// benchmark makes the command of a benchmark: o are the options that all have, and run measures.
func (a *app) benchmark(cmd *cobra.Command, o *benchmarks.Options, rounds int, measure func(context.Context) error) *cobra.Command {
	o.Table, o.Progress = a.out, a.errs
	cmd.Args = positional
	cmd.Flags().IntVar(&o.Rounds, "rounds", rounds, "how often all cases are measured")
	cmd.Flags().StringVar(&o.Out, "out", "out/bench", "directory of the file with the figures")
	cmd.Flags().StringVar(&o.Bin, "bin", "", "directory of vnmgr and vna (default: that of vnlab)")
	cmd.Flags().StringVar(&o.API, "api", "", "where the manager answers on this machine (default: a free port)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Root = a.root
		if err := complete(cmd.Context(), o); err != nil {
			return err
		}
		return stopped(cmd.Context(), measure(cmd.Context()))
	}
	return cmd
}

// complete fills in what was not said.
func complete(ctx context.Context, o *benchmarks.Options) error {
	if o.Bin == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find vnmgr and vna: %w", err)
		}
		o.Bin = filepath.Dir(self)
	}
	for _, program := range []string{"vnmgr", "vna"} {
		if _, err := os.Stat(filepath.Join(o.Bin, program)); err != nil {
			return fmt.Errorf("find the programs to measure (--bin): %w", err)
		}
	}
	if o.API != "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port for the manager: %w", err)
	}
	o.API = l.Addr().String()
	return l.Close()
}

// stopped says of an error that follows from an interrupt that it does.
func stopped(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("stopped, and all removed (%w): %w", ctx.Err(), err)
}

func (a *app) benchARPCommand() *cobra.Command {
	var o arp.Options
	cmd := a.benchmark(&cobra.Command{
		Use:   "arp",
		Short: "ARP answered by eBPF, by a flow, and by a controller",
		Long: `Measure how long a guest waits for the answer to an ARP request, and how many it gets in
a second with 32 under way, when the answer comes from the eBPF program at its port, from
a flow of its host's Open vSwitch, and from a controller. Needs root. Writes arp.json.`,
	}, &o.Options, 5, func(ctx context.Context) error { return arp.Run(ctx, o) })
	cmd.Flags().IntVar(&o.Requests, "requests", 20_000, "round trips of a case in a round")
	cmd.Flags().DurationVar(&o.Limit, "limit", 10*time.Second, "longest time of a case's round trips in a round")
	cmd.Flags().DurationVar(&o.Burst, "burst", time.Second, "time of a case's rate in a round")
	return cmd
}

func (a *app) benchBringupCommand() *cobra.Command {
	var o bringup.Options
	cmd := a.benchmark(&cobra.Command{
		Use:   "bringup",
		Short: "One more interface when there are many",
		Long: `Measure what one more interface takes when there are 100, or 1,000, on three hosts: from
the call to the answer that all hosts have it, OpenFlow messages, CPU and memory. Writes
bringup.json.`,
	}, &o.Options, 3, func(ctx context.Context) error { return bringup.Run(ctx, o) })
	cmd.Flags().IntSliceVar(&o.Sizes, "sizes", []int{100, 1000}, "how many interfaces there are already; the least is what others are compared with")
	cmd.Flags().DurationVar(&o.Pause, "pause", 0, "how long nothing is done before each, so that what the last one leaves to do is done")
	cmd.Flags().IntVar(&o.Repeats, "repeats", 120, "how often one more is made in a case of a round")
	return cmd
}

func (a *app) benchAPICommand() *cobra.Command {
	var o api.Options
	cmd := a.benchmark(&cobra.Command{
		Use:   "api",
		Short: "The manager with many interfaces: requests, cold start, fan-out",
		Long: `Measure a manager with 10,000, and with 100,000, interfaces in its store: requests through
the Web API, 10,000 interfaces in one call, a cold start, and how soon a thousand
simulated agents have a change. Writes api.json.`,
	}, &o.Options, 1, func(ctx context.Context) error { return api.Run(ctx, o) })
	cmd.Flags().IntSliceVar(&o.Sizes, "sizes", []int{10_000, 100_000}, "how many interfaces there are; the least is what others are compared with")
	cmd.Flags().IntVar(&o.Requests, "requests", 3000, "how many interfaces are created one by one in a case of a round, and as many pages listed; ten times as many are read")
	cmd.Flags().IntVar(&o.Clients, "clients", 8, "how many requests are under way at a time")
	cmd.Flags().IntVar(&o.Starts, "starts", 5, "cold starts of a case of a round")
	cmd.Flags().IntVar(&o.Agents, "agents", 1000, "agents that are told of a change")
	cmd.Flags().IntVar(&o.Bystanders, "bystanders", 100, "agents that must not be told")
	cmd.Flags().IntVar(&o.Changes, "changes", 100, "changes in a case of a round")
	return cmd
}

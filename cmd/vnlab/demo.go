package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/demo"
	"github.com/openvnet/openvnet/testenv/lab"
)

func (a *app) demoCommand() *cobra.Command {
	o := demo.Options{Out: a.out}
	keep := os.Getenv("DEMO_KEEP") == "1"
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job on real traffic: two tenants, three hosts, eight guests",
		Long: `Build a lab of three hosts and eight guests, make two tenants' networks with the same subnet through the Web API, let the
guests get their addresses by DHCP, measure who reaches whom, and kill the agent and the manager under traffic. The exit
status is 0 only if everything measured is as it must be. DEMO_KEEP=1 leaves the lab up.`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Root, o.Keep = a.root, keep
			if f, ok := a.out.(*os.File); ok {
				st, err := f.Stat()
				o.TTY = err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), 3*time.Minute, errors.New("the demonstration has not ended within 3 minutes"))
			defer cancel()
			return demo.Run(ctx, o)
		},
	}
	cmd.Flags().StringVar(&o.API, "api", lab.DefaultAPI, "where the manager answers on this machine")
	cmd.Flags().StringVar(&o.Bin, "bin", "", "directory of vnmgr and vna (default: that of vnlab, else $PATH)")
	cmd.Flags().BoolVar(&keep, "keep", keep, "leave the lab up (DEMO_KEEP=1)")
	return cmd
}

package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/bench/services"
)

func (a *app) benchServicesCommand() *cobra.Command {
	var o services.Options
	var web string
	cmd := a.benchmark(&cobra.Command{
		Use:   "services",
		Short: "DHCP, router advertisements, names and metadata, beside dnsmasq",
		Long: `Measure how long a guest waits for an answer of each service that the agent simulates, and
how many answers it gets in a second with 16 questions under way; and the same with 200
guests that ask at once; and what dnsmasq, and for metadata a Go server, on a Linux bridge
does with the same questions.
Needs root and dnsmasq. Writes services.json.`,
	}, &o.Options, 3, func(ctx context.Context) error { return services.Run(ctx, o) })
	all := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if web == "" {
			return all(cmd, args)
		}
		return services.ServeWeb(cmd.Context(), web)
	}
	cmd.Flags().StringVar(&web, "web", "", "be the server that metadata is measured beside, at this address")
	cmd.Flags().IntVar(&o.Guests, "guests", 200, "how many guests there are")
	cmd.Flags().DurationVar(&o.Span, "span", 300*time.Millisecond, "how long each measurement takes in a round")
	cmd.Flags().StringSliceVar(&o.Cases, "cases", nil, "only these services (default: all)")
	return cmd
}

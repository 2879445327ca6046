// Command vna is the agent of one hypervisor host. It wires flags, a configuration file and signals; the work is in package
// agent.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/agent"
	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/internal/config"
	"github.com/openvnet/openvnet/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "vna:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var (
		opts       agent.Options
		configFile string
		insecure   bool
		level      slog.Level
	)
	cmd := &cobra.Command{
		Use:   "vna",
		Short: "Agent of one hypervisor host",
		Long: `vna is the agent of one hypervisor host. It takes its share of the virtual networks from the
manager and keeps the host's Open vSwitch bridge and eBPF fast path as they should be.

The bridge must exist (ovs-vsctl add-br br0). vna sets its fail mode to secure, adds the tunnel
port and owns its flows. Stopping or killing vna changes nothing in the data plane.`,
		Example:       "  vna --manager http://10.0.0.1:9090 --uplink eth0 --insecure",
		Args:          cobra.NoArgs,
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if configFile != "" {
				if err := config.Load(cmd.Flags(), configFile); err != nil {
					return err
				}
			}
			opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			switch {
			case len(opts.Managers) == 0:
				return errors.New("--manager is required: the URL of the manager, http://HOST:9090")
			case !insecure:
				return errors.New("there is no access control between agent and manager yet: say --insecure to go without")
			}
			opts.Logger.Warn("the manager is not authenticated (--insecure)")
			if opts.OpenFlow == "" {
				sock, ok := strings.CutPrefix(opts.OVSDB, "unix:")
				if !ok {
					return errors.New("--openflow is required when --ovsdb is not a unix socket")
				}
				opts.OpenFlow = "unix:" + filepath.Join(filepath.Dir(sock), opts.Bridge+".mgmt")
			}
			a, err := agent.New(opts)
			if err != nil {
				return err
			}
			return a.Run(cmd.Context())
		},
	}
	host, _ := os.Hostname()
	f := cmd.Flags()
	f.StringVar(&configFile, "config", "", "YAML file with these settings")
	f.StringSliceVar(&opts.Managers, "manager", nil, "URL of the manager; several are tried in turn")
	f.StringVar(&opts.NodeID, "node-id", host, "name of this host")
	f.StringVar(&opts.Bridge, "bridge", "br0", "Open vSwitch bridge")
	f.StringVar(&opts.Uplink, "uplink", "", "NIC that is a port of the bridge")
	f.StringVar(&opts.OVSDB, "ovsdb", "unix:/run/openvswitch/db.sock", "address of Open vSwitch's database")
	f.StringVar(&opts.OpenFlow, "openflow", "", "address of the bridge's OpenFlow (default: the bridge's .mgmt socket beside the database's)")
	f.StringVar(&opts.StateDir, "state-dir", "/var/lib/openvnet/vna", "directory for the replica and the agent's identity")
	f.StringVar(&opts.BPFDir, "bpffs", "", "directory in a bpf file system for the eBPF fast path, for example /sys/fs/bpf/openvnet; no fast path without")
	f.StringVar(&opts.Socket, "socket", local.DefaultSocket, "unix socket for vnctl host")
	f.BoolVar(&insecure, "insecure", false, "go without access control")
	f.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	return cmd
}

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
	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/agent"
	"github.com/openvnet/openvnet/agent/join"
	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/pipeline"
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

const defaultStateDir = "/var/lib/openvnet/vna"

// identityDir is where a host's identity is in the state directory.
func identityDir(state string) string { return filepath.Join(state, "pki") }

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

A host joins once, by a token of the manager's administrator (vnmgr token host): vna join TOKEN.
From then on agent and manager know each other by certificates, which vna renews by itself.

The bridge must exist (ovs-vsctl add-br br0). vna sets its fail mode to secure, adds the tunnel
port and owns its flows. Stopping or killing vna changes nothing in the data plane.`,
		Example:       "  vna join TOKEN && vna --uplink eth0\n  vna --manager http://10.0.0.1:9090 --uplink eth0 --insecure",
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
			var id *join.Identity
			if insecure {
				if len(opts.Managers) == 0 {
					return errors.New("--manager is required: the URL of the manager, http://HOST:9090")
				}
				opts.Logger.Warn("the manager is not authenticated (--insecure)")
			} else {
				var err error
				if id, err = identify(&opts, cmd.Flags().Changed("node-id")); err != nil {
					return err
				}
			}
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
			g, ctx := errgroup.WithContext(cmd.Context())
			if id != nil {
				g.Go(func() error { return id.Keep(ctx, opts.Managers, opts.Logger) })
			}
			g.Go(func() error { return a.Run(ctx) })
			return g.Wait()
		},
	}
	host, _ := os.Hostname()
	f := cmd.Flags()
	f.StringVar(&configFile, "config", "", "YAML file with these settings")
	f.StringSliceVar(&opts.Managers, "manager", nil, "URL of the manager; several are tried in turn (default: those that the host has joined by)")
	f.StringVar(&opts.NodeID, "node-id", host, "name of this host; that of its certificate if it has joined")
	f.StringVar(&opts.Bridge, "bridge", "br0", "Open vSwitch bridge")
	f.StringVar(&opts.Uplink, "uplink", "", "NIC that is a port of the bridge")
	f.StringVar(&opts.OVSDB, "ovsdb", "unix:/run/openvswitch/db.sock", "address of Open vSwitch's database")
	f.StringVar(&opts.OpenFlow, "openflow", "", "address of the bridge's OpenFlow (default: the bridge's .mgmt socket beside the database's)")
	f.StringVar(&opts.StateDir, "state-dir", defaultStateDir, "directory for the replica and the host's identity")
	f.StringVar(&opts.BPFDir, "bpffs", "", "directory in a bpf file system for the eBPF fast path, for example /sys/fs/bpf/openvnet; no fast path without")
	f.StringSliceVar(&opts.Limits, "limit", nil, "what a port may ask the host for, as CLASS=RATE/BURST in packets per second and packets; may be repeated. Classes: "+classes())
	f.StringVar(&opts.Socket, "socket", local.DefaultSocket, "unix socket for vnctl host")
	f.BoolVar(&insecure, "insecure", false, "go without certificates: neither side knows the other")
	f.TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	cmd.AddCommand(newJoinCommand())
	return cmd
}

// classes gives the classes that ports have limits of, with the limits that they have if nothing is said.
func classes() string {
	var all []string
	for _, l := range (pipeline.Limits{}).Ports() {
		all = append(all, l.Name+"="+l.Limit.String())
	}
	return strings.Join(all, " ")
}

// identify takes up the host's identity, and what the options leave open from it.
func identify(opts *agent.Options, named bool) (*join.Identity, error) {
	id, err := join.Load(identityDir(opts.StateDir))
	if errors.Is(err, join.ErrNotJoined) {
		return nil, fmt.Errorf("%w: get a token of the manager's administrator (vnmgr token host) and run: vna join TOKEN; or say --insecure to go without certificates", err)
	}
	if err != nil {
		return nil, err
	}
	if named && opts.NodeID != id.NodeID() {
		return nil, fmt.Errorf("--node-id is %q, but the host has joined as %q", opts.NodeID, id.NodeID())
	}
	opts.NodeID, opts.TLS = id.NodeID(), id.TLS()
	if len(opts.Managers) == 0 {
		opts.Managers = id.Managers()
	}
	for _, m := range opts.Managers {
		if !strings.HasPrefix(m, "https://") {
			return nil, fmt.Errorf("--manager %s: a host that has joined takes https URLs only; say --insecure to go without certificates", m)
		}
	}
	if len(opts.Managers) == 0 {
		return nil, errors.New("--manager is required: the URL of the manager, https://HOST:9090")
	}
	expires, err := id.Expires()
	if err != nil {
		return nil, err
	}
	opts.Logger.Info("the host has joined", "node", id.NodeID(), "certificate_expires", expires)
	return id, nil
}

func newJoinCommand() *cobra.Command {
	var o join.Options
	var state string
	host, _ := os.Hostname()
	o.Default = host
	cmd := &cobra.Command{
		Use:   "join TOKEN",
		Short: "Make this host one of the manager's",
		Long: `join takes a token, which the manager's administrator makes with "vnmgr token host", to the manager,
and keeps the certificate that it gets for it in the state directory. The token says where the manager is
and how to recognise it. It serves once. A vna that waits for it to join starts by itself under systemd;
one that runs takes the new certificate for its next connection.`,
		Example: "  vna join vnj1.eyJtIjpb...\n  vna join vnj1.eyJtIjpb... --node-id node1 --manager https://10.0.0.1:9090",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Token, o.Dir = args[0], identityDir(state)
			id, err := join.Join(cmd.Context(), o)
			if err != nil {
				return err
			}
			expires, err := id.Expires()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "joined as %s, certificate valid until %s (renewed by vna)\n", id.NodeID(), expires.UTC().Format("2006-01-02"))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.NodeID, "node-id", "", "name of this host (default: the one that the token names, or "+host+")")
	f.StringSliceVar(&o.Managers, "manager", nil, "URL of the manager, instead of those in the token; may be repeated")
	f.StringVar(&state, "state-dir", defaultStateDir, "directory for the host's identity: the same as of vna")
	return cmd
}

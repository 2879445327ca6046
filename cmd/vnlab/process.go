package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/lab"
)

func (a *app) execCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NAME [--] COMMAND [ARG...]",
		Short: "Run a command at a host, guest, router, machine or underlay",
		Long: `Run a command in the network namespace of a node; its exit code is passed on. On a
host ovs-vsctl, ovs-ofctl and ovs-appctl find the host's Open vSwitch, and vnctl its
agent and the manager. At an underlay the command sees the Linux bridge that it is,
and so all frames.`,
		Example: `  vnlab exec vm1 -- ip addr
  vnlab exec node1 -- ovs-vsctl show
  vnlab exec a -- tcpdump -ni a`,
		Args:              positional,
		ValidArgsFunction: a.nodes(func(n lab.NodeStatus) bool { return n.Namespace != "" }),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := a.open()
			if err != nil {
				return err
			}
			argv := args[1:]
			if argv[0] == "--" {
				argv = argv[1:]
			}
			return l.Become(args[0], argv)
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (a *app) startCommand() *cobra.Command {
	return a.processCommand("start", "Start a process that does not run",
		func(ctx context.Context, l *lab.Lab, node string, c lab.Component) error {
			return l.Start(ctx, node, c)
		})
}

func (a *app) stopCommand() *cobra.Command {
	return a.processCommand("stop", "End a process with SIGTERM and wait for it",
		func(ctx context.Context, l *lab.Lab, node string, c lab.Component) error { return l.Stop(ctx, node, c) })
}

func (a *app) killCommand() *cobra.Command {
	return a.processCommand("kill", "End a process with SIGKILL",
		func(ctx context.Context, l *lab.Lab, node string, c lab.Component) error { return l.Kill(ctx, node, c) })
}

const componentHelp = `
COMPONENT is vna, ovs (or one of its two processes, ovsdb and vswitchd) of a host, dhcp
of a guest; the manager is the node vnmgr with the only component vnmgr. NAME may be
"all": every node that has the component.`

func (a *app) processCommand(verb, short string, do func(context.Context, *lab.Lab, string, lab.Component) error) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: verb + " NAME [COMPONENT]", Short: short, Long: short + ".\n" + componentHelp,
		Example:           fmt.Sprintf("  vnlab %s node1 vna\n  vnlab %s vnmgr\n  vnlab %s all vna", verb, verb, verb),
		Args:              positional,
		ValidArgsFunction: a.components,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.open()
			if err != nil {
				return err
			}
			component, err := componentOf(args)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("not within %v", timeout))
			defer cancel()
			var errs []error
			for _, node := range nodesWith(l, args[0], component) {
				if err := do(ctx, l, node, component); err != nil {
					errs = append(errs, fmt.Errorf("%s %s %s: %w", verb, node, component, err))
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "give up after this time")
	return cmd
}

func componentOf(args []string) (lab.Component, error) {
	if len(args) == 2 {
		return lab.Component(args[1]), nil
	}
	if args[0] != string(lab.Manager) {
		return "", fmt.Errorf("which process of %s? vna, ovs, ovsdb, vswitchd or dhcp", args[0])
	}
	return lab.Manager, nil
}

func nodesWith(l *lab.Lab, node string, c lab.Component) []string {
	if node != "all" {
		return []string{node}
	}
	if c == lab.Manager {
		return []string{string(lab.Manager)}
	}
	var names []string
	spec := l.Spec()
	for _, h := range spec.Hosts {
		if c != lab.DHCPClient {
			names = append(names, h.Name)
		}
	}
	for _, g := range spec.Guests {
		if c == lab.DHCPClient && g.DHCP {
			names = append(names, g.Name)
		}
	}
	for _, m := range spec.Machines {
		if c == lab.DHCPClient && m.DHCP {
			names = append(names, m.Name)
		}
	}
	return names
}

func (a *app) components(cmd *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.nodes(func(n lab.NodeStatus) bool { return len(n.Processes) > 0 })(cmd, args, part)
	}
	l, err := a.open()
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, c := range l.Components(args[0]) {
		names = append(names, string(c))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:               "logs NAME [COMPONENT]",
		Short:             "Show the log of a process",
		Long:              "Show the log of a process.\n" + componentHelp,
		Example:           "  vnlab logs node1 vna -f\n  vnlab logs vnmgr\n  vnlab logs vm1 dhcp",
		Args:              positional,
		ValidArgsFunction: a.components,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := a.name()
			if err != nil {
				return err
			}
			component, err := componentOf(args)
			if err != nil {
				return err
			}
			l, err := lab.Open(a.root, name)
			if err != nil {
				return err
			}
			return show(cmd.Context(), a.out, l.Log(args[0], component), lines, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written until interrupted")
	cmd.Flags().IntVarP(&lines, "lines", "n", -1, "only the last lines")
	return cmd
}

// show writes the last lines of a file (all if negative) and, when following, what is added until ctx ends.
func show(ctx context.Context, out io.Writer, path string, lines int, follow bool) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("nothing is logged: it has never run (%s)", path)
	} else if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if _, err := out.Write(lastLines(b, lines)); err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for follow {
		if _, err := io.Copy(out, f); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
}

func lastLines(b []byte, n int) []byte {
	if n < 0 {
		return b
	}
	at := len(bytes.TrimSuffix(b, []byte("\n")))
	for ; n > 0 && at >= 0; n-- {
		at = bytes.LastIndexByte(b[:at], '\n')
	}
	return b[at+1:]
}

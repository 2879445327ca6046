package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/lab"
)

func (a *app) guestCommand() *cobra.Command {
	cmd := group(&cobra.Command{Use: "guest", Short: "Plug guests into hosts, unplug and move them"})
	isGuest := a.nodes(func(n lab.NodeStatus) bool { return n.Kind == "guest" })
	guestAndHost := func(cmd *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
		if len(args) != 1 {
			return isGuest(cmd, args, part)
		}
		return a.nodes(func(n lab.NodeStatus) bool { return n.Kind == "host" })(cmd, nil, part)
	}
	attach := func(cmd *cobra.Command, args []string) error {
		l, err := a.open()
		if err != nil {
			return err
		}
		host := ""
		if len(args) == 2 {
			host = args[1]
		} else if g := guestOf(l, args[0]); g != nil {
			host = g.Host
		}
		return l.Attach(cmd.Context(), args[0], host)
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "attach NAME [HOST]", Short: "Plug a guest in, by default where the lab's description has it",
			Example: "  vnlab guest attach vm1\n  vnlab guest attach vm1 node2",
			Args:    positional, ValidArgsFunction: guestAndHost, RunE: attach,
		},
		&cobra.Command{
			Use: "move NAME HOST", Short: "Unplug a guest and plug it into another host",
			Example: "  vnlab guest move vm1 node2",
			Args:    positional, ValidArgsFunction: guestAndHost, RunE: attach,
		},
		&cobra.Command{
			Use: "migrate NAME HOST", Short: "Move a guest that is live to another host while it runs",
			Example: "  vnlab guest migrate vm1 node2",
			Args:    positional, ValidArgsFunction: guestAndHost,
			RunE: func(cmd *cobra.Command, args []string) error {
				l, err := a.open()
				if err != nil {
					return err
				}
				m, err := l.Migrate(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				return errors.Join(m.Switch(), m.Finish(cmd.Context()))
			},
		},
		&cobra.Command{
			Use: "detach NAME", Short: "Unplug a guest; it keeps its addresses and processes",
			Example: "  vnlab guest detach vm1",
			Args:    positional, ValidArgsFunction: isGuest,
			RunE: func(cmd *cobra.Command, args []string) error {
				l, err := a.open()
				if err != nil {
					return err
				}
				return l.Detach(cmd.Context(), args[0])
			},
		},
	)
	return cmd
}

func guestOf(l *lab.Lab, name string) *lab.Guest {
	for _, g := range l.Spec().Guests {
		if g.Name == name {
			return &g
		}
	}
	return nil
}

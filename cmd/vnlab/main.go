// Command vnlab brings up a network of hypervisor hosts on one machine, in network namespaces with a real Open vSwitch
// each, runs programs in it, starts and kills its processes, and takes it down again. The work is done by testenv/lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/kernel"
	"github.com/openvnet/openvnet/testenv/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	err := newCommand(os.Stdout, os.Stderr).ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "vnlab:", err)
	os.Exit(exitCode(err))
}

// exitCode is 1, but for a program that is not there 127, as shells have it, after a signal 130, and after a command in a
// machine that command's.
func exitCode(err error) int {
	var ended *kernel.ExitError
	switch {
	case errors.As(err, &ended):
		return ended.Status
	case errors.Is(err, exec.ErrNotFound):
		return 127
	case errors.Is(err, context.Canceled):
		return 130
	}
	return 1
}

// app is what all commands share.
type app struct {
	out, errs io.Writer
	root      string // directory of labs
	lab       string // name; "" means the only one
}

func newCommand(out, errs io.Writer) *cobra.Command {
	a := &app{out: out, errs: errs}
	cmd := &cobra.Command{
		Use:   "vnlab",
		Short: "A lab of hypervisor hosts, routers, machines and guests on one machine",
		Long: `vnlab builds a network of hypervisor hosts on one machine: every host is a network
namespace with an Open vSwitch of its own, underlays and routers join them, guests
are plugged into their bridges, and the manager (vnmgr) and the agents (vna) run as
they would on real hosts. It needs root.`,
		Example: `  vnlab up testenv/labs/three-hosts.yaml
  vnlab list
  vnlab exec vm1 -- ping -c 3 10.0.0.2
  vnlab exec node1 -- ovs-ofctl dump-flows br0
  vnlab kill node1 vna
  vnlab down`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetOut(out)
	cmd.SetErr(errs)
	cmd.SetFlagErrorFunc(flagError)
	root, name := os.Getenv("VNLAB_ROOT"), os.Getenv("VNLAB")
	if root == "" {
		root = lab.DefaultRoot
	}
	cmd.PersistentFlags().StringVar(&a.root, "root", root, "directory where labs are kept ($VNLAB_ROOT)")
	cmd.PersistentFlags().StringVar(&a.lab, "lab", name, "the lab meant, where there are several ($VNLAB)")
	cmd.AddCommand(a.upCommand(), a.downCommand(), a.listCommand(), a.execCommand(), a.logsCommand(),
		a.startCommand(), a.stopCommand(), a.killCommand(), a.guestCommand(), a.validateCommand(), fileCommand(), a.serveCommand(), a.demoCommand(), a.benchCommand(), a.verifyCommand(), a.kernelCommand())
	completeFlag(cmd, "lab", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names, _ := lab.Names(a.root)
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the command has no such flag
	}
}

// open opens the lab that is meant.
func (a *app) open() (*lab.Lab, error) {
	name, err := a.name()
	if err != nil {
		return nil, err
	}
	return lab.Open(a.root, name)
}

// name is the lab that is meant: the one that --lab or $VNLAB names, else the only one.
func (a *app) name() (string, error) {
	if a.lab != "" {
		return a.lab, nil
	}
	names, err := lab.Names(a.root)
	if err != nil {
		return "", err
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("%w: none is up below %s", lab.ErrNoLab, a.root)
	case 1:
		return names[0], nil
	}
	return "", fmt.Errorf("several labs are up: say which with --lab %v", names)
}

// nodes completes the first argument with the names of nodes that pass the filter.
func (a *app) nodes(is func(lab.NodeStatus) bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		name, err := a.name()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		st, _ := lab.ReadStatus(a.root, name)
		var names []string
		for _, n := range st.Nodes {
			if is(n) {
				names = append(names, n.Name+"\t"+n.Kind)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/lab"
)

func (a *app) upCommand() *cobra.Command {
	var o lab.Options
	var noAgents, replace bool
	var name string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "up FILE",
		Short: "Build the lab that a file describes",
		Long: `Build the lab that a YAML file describes ("vnlab help file"), and return when every Open vSwitch answers
and the guests are plugged in. DHCP clients, the manager and the agents have been
started by then; what they do is not waited for. When anything fails, or at an
interrupt, everything is removed again; what an earlier up could not remove is
removed first.`,
		Example: `  vnlab up testenv/labs/three-hosts.yaml
  vnlab up --no-agents my.yaml      # vnlab start all vna  later
  vnlab up --name second --api 127.0.0.1:9091 my.yaml`,
		Args:              positional,
		ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := lab.ParseFile(args[0])
			if err != nil {
				return err
			}
			if name != "" {
				spec.Name = name
			}
			o.Root = a.root
			if noAgents {
				o.Agents = lab.NoAgents
			}
			if replace {
				o.Existing = lab.Replace
			}
			var mu sync.Mutex
			o.Progress = func(e lab.Event) {
				mu.Lock()
				defer mu.Unlock()
				node := e.Node
				if node == "" {
					node = spec.Name
				}
				fmt.Fprintf(a.out, "%6.2fs  %-10s %s\n", e.Elapsed.Seconds(), node, e.Text)
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("not up within %v", timeout))
			defer cancel()
			_, err = lab.Up(ctx, spec, o)
			if errors.Is(err, lab.ErrIsUp) {
				return fmt.Errorf("%w; --replace removes it first", err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&noAgents, "no-agents", false, "start neither vnmgr nor vna")
	f.BoolVar(&replace, "replace", false, "remove a lab of the same name first, if it is up")
	f.StringVar(&name, "name", "", "name of the lab (default: name in the file, else the file's name)")
	f.StringVar(&o.API, "api", lab.DefaultAPI, "where the manager answers on this machine")
	f.StringVar(&o.Bin, "bin", "", "directory of vnmgr and vna (default: that of vnlab, else $PATH)")
	f.DurationVar(&timeout, "timeout", 2*time.Minute, "give up after this time")
	return cmd
}

func (a *app) downCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down [NAME]",
		Short: "Remove a lab with all its processes, namespaces, links and files",
		Long: `Remove a lab: all processes in it, also those started by hand, namespaces, links,
mounts and files, logs too. A lab that was only half built is removed as well. That
there is none is no error.`,
		Args: positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := lab.Names(a.root)
			if err != nil {
				return err
			}
			if !all {
				if len(args) == 1 {
					a.lab = args[0]
				}
				name, err := a.name()
				if errors.Is(err, lab.ErrNoLab) {
					fmt.Fprintln(a.out, "no lab is up")
					return nil
				} else if err != nil {
					return err
				}
				names = []string{name}
			}
			var errs []error
			for _, name := range names {
				start := time.Now()
				switch err := lab.Remove(cmd.Context(), a.root, name); {
				case errors.Is(err, lab.ErrNoLab):
					fmt.Fprintf(a.out, "%s was not up\n", name)
				case err != nil:
					errs = append(errs, err)
				default:
					fmt.Fprintf(a.out, "%6.2fs  %-10s down\n", time.Since(start).Seconds(), name)
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all labs")
	return cmd
}

func (a *app) validateCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a lab description and show it with its defaults", Example: "  vnlab validate testenv/labs/three-hosts.yaml",
		Args: positional, ValidArgsFunction: yamlFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			spec, err := lab.ParseFile(args[0])
			if err != nil {
				return err
			}
			if format != "table" {
				return write(a.out, format, spec)
			}
			_, err = fmt.Fprintf(a.out, "%s is valid: %d underlays, %d routers, %d hosts, %d guests, %d machines\n", spec.Name,
				len(spec.Underlays), len(spec.Routers), len(spec.Hosts), len(spec.Guests), len(spec.Machines))
			return err
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

func yamlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

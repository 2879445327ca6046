// Package cli is vnctl, the command line over the Web API: commands, flags, tables and explanations derive from the declarations of
// package model, so that a new resource needs no line here. It speaks to the manager through package client alone, and to the
// process only through Env, so that tests run it inside themselves. Imported by cmd/vnctl.
//
// # Exit status
//
//	0  done
//	1  refused by the server
//	2  wrong usage: unknown command or flag, a missing argument, a file that cannot be read or has a mistake
//	3  stored, but with --wait not applied on every connected host in time, or a host reports a problem
//	4  the server cannot be reached, or what answers is not vnmgr
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/cmd/vnctl/host"
	"github.com/openvnet/openvnet/internal/version"
)

// Env is the world of a command line. All members are required but Commands and Files.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Home           string   // directory of ~/.vnctlrc; "" for none
	Files          []string // configuration files of the system, the first that exists counts
	// Commands makes further commands of the root, such as "host": each is called once per Run.
	Commands []func(*Env) *cobra.Command

	flags  globalFlags
	client *client.Client // made at first use
	format format
}

type globalFlags struct {
	server string
	output string
}

// The exit statuses; see the package comment.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitNotApplied  = 3
	exitUnreachable = 4
)

// errNotApplied is wrapped by the error of a write that is stored but not realised everywhere.
var errNotApplied = errors.New("not applied everywhere")

// Run runs one command line, args without the program's name, and gives the exit status. It writes at most one sentence and a hint to
// Stderr.
func (e *Env) Run(ctx context.Context, args []string) int {
	e.client, e.flags = nil, globalFlags{}
	root := e.root()
	root.SetArgs(plainBooleans(args))
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	code := exitStatus(err)
	fmt.Fprintf(e.Stderr, "vnctl: %s\n", strings.TrimSpace(err.Error()))
	if code == exitUsage {
		fmt.Fprintf(e.Stderr, "See \"%s --help\".\n", cmd.CommandPath())
	}
	return code
}

// Output gives the output format that the command line asks for, "" for none; for Commands.
func (e *Env) Output() string { return e.flags.output }

func exitStatus(err error) int {
	var refused *client.Error
	switch {
	case errors.Is(err, errNotApplied):
		return exitNotApplied
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, host.ErrNoAgent):
		return exitUnreachable
	case errors.As(err, &refused):
		if refused.Class == "" || refused.Status == http.StatusServiceUnavailable {
			return exitUnreachable
		}
		return exitRefused
	}
	return exitUsage
}

const (
	groupResources = "resources"
	groupOthers    = "others"
)

func (e *Env) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "vnctl",
		Short: "Virtual networks, from the command line",
		Long: `vnctl creates, shows, changes and deletes the objects of virtual networks through vnmgr's Web API.

Names of commands and flags may be written with hyphens or underscores. The server is, in this order: --server, the
variable VNET_WEBAPI (host:port or a URL), ~/.vnctlrc, ~/.vnctl.conf, /etc/openvnet/vnctl.conf (lines "key: value" with
the keys webapi_protocol, webapi_uri, webapi_port, webapi_version, output_format), 127.0.0.1:9090.

Exit status: 0 done, 1 refused by the server, 2 wrong usage, 3 stored but not applied everywhere (--wait), 4 no server.`,
		Example:       rootExamples,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName { return pflag.NormalizedName(hyphens(name)) })
	root.PersistentFlags().StringVar(&e.flags.server, "server", "", "`host:port` or URL of vnmgr's Web API")
	root.PersistentFlags().StringVarP(&e.flags.output, "output", "o", "", "`format` of the output: table, json, yaml or name")
	noError(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml", "name"}, cobra.ShellCompDirectiveNoFileComp)))
	root.AddGroup(&cobra.Group{ID: groupResources, Title: "Resources:"}, &cobra.Group{ID: groupOthers, Title: "Other commands:"})
	root.SetHelpCommandGroupID(groupOthers)
	root.SetCompletionCommandGroupID(groupOthers)
	for _, cmd := range e.resources() {
		cmd.GroupID = groupResources
		root.AddCommand(cmd)
	}
	others := []*cobra.Command{e.applyCommand(), e.explainCommand(), e.versionCommand()}
	for _, make := range e.Commands {
		others = append(others, make(e))
	}
	for _, cmd := range others {
		cmd.GroupID = groupOthers
		root.AddCommand(cmd)
	}
	return root
}

// group is a command that only holds others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%q is no command of %s", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

// connect reads the configuration and gives the client.
func (e *Env) connect() (*client.Client, error) {
	if e.client != nil {
		return e.client, nil
	}
	conf, err := e.config()
	if err != nil {
		return nil, err
	}
	if e.format, err = parseFormat(conf.output); err != nil {
		return nil, err
	}
	e.client, err = client.New(client.Options{Server: conf.server})
	return e.client, err
}

func (e *Env) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show the versions of vnctl and of the server", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintf(e.Stdout, "vnctl %s\n", version.String())
			c, err := e.connect()
			if err != nil {
				return err
			}
			v, err := c.Version(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "vnmgr %s at %s, Web API %s, revision %d\n", v.Version, c.Server(), v.API, v.Revision)
			return nil
		},
	}
}

func hyphens(name string) string { return strings.ReplaceAll(name, "_", "-") }

// noError panics at a mistake in the static construction of the commands.
func noError(err error) {
	if err != nil {
		panic("cli: " + err.Error()) //nolint:forbidigo // a programmer's error in a static declaration
	}
}

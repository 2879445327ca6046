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
//	5  diff, and plan with --detailed-exitcode: there is something to change
//
// A batch ends with the status of the first command that failed.
package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"

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
	conf   config         // what client was made by
	format format
	batch  bool // within a batch
}

type globalFlags struct {
	server    string
	output    string
	tokenFile string
	ca        string
}

// The exit statuses; see the package comment.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitNotApplied  = 3
	exitUnreachable = 4
	exitDiffers     = 5
)

var (
	// errNotApplied is wrapped by the error of a write that is stored but not realised everywhere.
	errNotApplied = errors.New("not applied everywhere")
	// errDiffers says, by the exit status alone, that there is something to change.
	errDiffers = errors.New("")
)

// Run runs one command line, args without the program's name, and gives the exit status. It writes at most one sentence and a hint to
// Stderr.
func (e *Env) Run(ctx context.Context, args []string) int {
	e.client, e.flags = nil, globalFlags{}
	cmd, err := e.execute(ctx, args)
	if err == nil {
		return 0
	}
	code := exitStatus(err)
	if text := strings.TrimSpace(err.Error()); text != "" {
		fmt.Fprintf(e.Stderr, "vnctl: %s%s\n", text, advice(err))
	}
	if line := (*lineError)(nil); code == exitUsage && !errors.As(err, &line) {
		fmt.Fprintf(e.Stderr, "See \"%s --help\".\n", cmd.CommandPath())
	}
	return code
}

// execute runs a command line; the global flags that e has already are its defaults.
func (e *Env) execute(ctx context.Context, args []string) (*cobra.Command, error) {
	// All of the commands take longer to make than most take to run, which counts in a batch.
	root := e.root(func(names []string) bool {
		return slices.ContainsFunc(args, func(arg string) bool { return slices.Contains(names, arg) })
	})
	root.SetArgs(plainBooleans(args))
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	return root.ExecuteContextC(ctx)
}

// Output gives the output format that the command line asks for, "" for none; for Commands.
func (e *Env) Output() string { return e.flags.output }

// advice says what to do where there was no answer.
func advice(err error) string {
	var stranger x509.UnknownAuthorityError
	switch {
	case errors.As(err, &stranger):
		return `; name the authority that vouches for the server by --ca or VNET_CA ("vnmgr ca export" prints it)`
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; is vnmgr running there? --server or VNET_WEBAPI name another one"
	}
	return ""
}

func exitStatus(err error) int {
	var refused *client.Error
	var line *lineError
	switch {
	case errors.As(err, &line):
		return line.code
	case errors.Is(err, errDiffers):
		return exitDiffers
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

// root makes the commands; see resources for wanted.
func (e *Env) root(wanted func(names []string) bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "vnctl",
		Short: "Virtual networks, from the command line",
		Long: `vnctl creates, shows, changes and deletes the objects of virtual networks through vnmgr's Web API.

Names of commands and flags may be written with hyphens or underscores; booleans as --flag, --no-flag, --flag true.

Configuration, first what comes first:
  server   --server, VNET_WEBAPI (host:port or a URL), webapi_protocol, webapi_uri, webapi_port, webapi_version
  token    --token-file, VNET_TOKEN, token_file
  CA       --ca, VNET_CA, ca_file: a file of certificates to trust; naming one makes https the protocol
  output   --output, output_format
Names in small letters are keys of the first of these files that exists: ~/.vnctlrc, ~/.vnctl.conf,
/etc/openvnet/vnctl.conf, /etc/wakame-vnet/vnctl.conf; lines "key: value" or "key value". A token is sent with TLS, or to
this machine, only.

Exit status:
  0  done
  1  refused by the server
  2  wrong usage: command, flag, argument, file, configuration
  3  stored, but with --wait not applied on every connected host in time
  4  no answer from the server
  5  diff, and plan with --detailed-exitcode: there is something to change
A batch ends with the status of the first command that failed.`,
		Example:       rootExamples,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName { return pflag.NormalizedName(hyphens(name)) })
	global := root.PersistentFlags()
	global.StringVar(&e.flags.server, "server", e.flags.server, "`host:port` or URL of vnmgr's Web API")
	global.StringVar(&e.flags.tokenFile, "token-file", e.flags.tokenFile, "`file` that holds the token")
	global.StringVar(&e.flags.ca, "ca", e.flags.ca, "`file` of certificates (PEM), one of which vouches for the server")
	global.StringVarP(&e.flags.output, "output", "o", e.flags.output, "`format` of the output: table, json, yaml or name")
	global.VisitAll(func(f *pflag.Flag) { f.DefValue = "" }) // within a batch they have values already
	noError(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml", "name"}, cobra.ShellCompDirectiveNoFileComp)))
	root.AddGroup(&cobra.Group{ID: groupResources, Title: "Resources:"}, &cobra.Group{ID: groupOthers, Title: "Other commands:"})
	root.SetHelpCommandGroupID(groupOthers)
	root.SetCompletionCommandGroupID(groupOthers)
	for _, cmd := range e.resources(wanted) {
		cmd.GroupID = groupResources
		root.AddCommand(cmd)
	}
	others := slices.Concat(e.documentCommands(), e.accessCommands(), []*cobra.Command{e.batchCommand(), e.watchCommand(), e.explainCommand(), e.versionCommand()})
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
			if len(args) > 0 && args[0] != "help" {
				return fmt.Errorf("%q is no command of %s", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { // "networks help add" is OpenVNet's way to say "help networks add"
			if len(args) > 0 {
				if sub, _, err := cmd.Find(args[1:]); err == nil {
					return sub.Help()
				}
			}
			return cmd.Help()
		},
	}
}

// connect reads the configuration and gives the client.
func (e *Env) connect() (*client.Client, error) {
	conf, err := e.config()
	if err != nil {
		return nil, err
	}
	if e.format, err = parseFormat(conf.output); err != nil {
		return nil, err
	}
	conf.output = ""
	if e.client != nil && e.conf == conf {
		return e.client, nil // the lines of a batch share the connection
	}
	o, err := conf.options()
	if err != nil {
		return nil, err
	}
	if e.client, err = client.New(o); err != nil {
		return nil, err
	}
	e.conf = conf
	return e.client, nil
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

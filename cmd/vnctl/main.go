// Command vnctl is the command line over vnmgr's Web API; package cli is all of it but the process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/cmd/vnctl/cli"
	"github.com/openvnet/openvnet/cmd/vnctl/host"
)

// commands are those that package cli does not have, because they do not speak to the Web API.
var commands = []func(*cli.Env) *cobra.Command{
	func(e *cli.Env) *cobra.Command { return host.Command(e.Stdout, e.Getenv, e.Output) },
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	home, _ := os.UserHomeDir() // without one there are no files of the user's
	env := &cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Home: home,
		Files:    []string{"/etc/openvnet/vnctl.conf", "/etc/wakame-vnet/vnctl.conf"},
		Commands: commands,
	}
	code := env.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

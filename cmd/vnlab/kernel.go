package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openvnet/openvnet/testenv/kernel"
)

func (a *app) kernelCommand() *cobra.Command {
	var o kernel.Options
	var bin string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "kernel [--] COMMAND [ARG...]",
		Short: "Run a command on Debian's stock kernel, in an emulated machine",
		Long: `Boot the stock kernel of Debian in qemu and run a command there, as root, with the programs of
OpenVNet and of this machine that labs need: on a kernel that has Open vSwitch's datapath,
also where the machine's own has not. The exit status is that of the command, or 1 with a
message if it has not come to its end. It needs no root and changes nothing of this machine;
kernels are kept in the user's cache. An emulated processor is 20 to 50 times slower than a real
one; --accel kvm is not, where it works.`,
		Example: `  vnlab kernel uname -a
  vnlab kernel --add testenv/labs/three-hosts.yaml -- sh -c 'vnlab up three-hosts.yaml && vnlab exec node1 -- ovs-vsctl show'
  vnlab kernel --timeout 10m vnlab demo`,
		Args: positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Programs, err = programsBeside(bin); err != nil {
				return err
			}
			o.Command, o.Out = args, a.out
			start := time.Now()
			o.Say = func(format string, args ...any) {
				fmt.Fprintf(a.errs, "%6.2fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("not within %v", timeout))
			defer cancel()
			return kernel.Run(ctx, o)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringArrayVar(&o.Files, "add", nil, "a file that the command finds in its working directory; may be repeated")
	f.StringArrayVar(&o.Env, "env", nil, "NAME=VALUE in the command's environment; may be repeated")
	f.StringVar(&o.Package, "package", kernel.DefaultPackage, "Debian's package of the kernel, or one that depends on it")
	f.StringVar(&o.Cache, "cache", "", "folder where kernels are kept (default: openvnet/kernel in the user's cache)")
	f.StringVar(&o.Accel, "accel", "tcg", "qemu's accelerator: tcg works anywhere, kvm only on some machines")
	f.IntVar(&o.CPUs, "cpus", 2, "processors of the machine")
	f.IntVar(&o.Memory, "memory", 2048, "MiB of memory of the machine")
	f.StringVar(&bin, "bin", "", "directory of vnmgr, vna, vnctl and vnlab, statically linked (default: that of vnlab)")
	f.DurationVar(&timeout, "timeout", 5*time.Minute, "stop the machine after this time, which is a failure")
	return cmd
}

// programsBeside gives the programs of OpenVNet in a directory, "" being that of this program.
func programsBeside(bin string) ([]string, error) {
	if bin == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		bin = filepath.Dir(self)
	}
	var files []string
	var missing []string
	for _, name := range []string{"vnmgr", "vna", "vnctl", "vnlab"} {
		path := filepath.Join(bin, name)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			missing = append(missing, name)
		} else if err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s missing in %s: make build, or name another directory with --bin", strings.Join(missing, ", "), bin)
	}
	return files, nil
}

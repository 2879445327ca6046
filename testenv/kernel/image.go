package kernel

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/testenv/ovs"
)

//go:embed init.sh
var initScript string

// Where files that go along are in the virtual machine.
const (
	workDir = "/work"          // Options.Files; the command is started here
	binDir  = "/usr/local/bin" // Options.Programs
)

// contents is what the root file system holds besides what every one holds.
type contents struct {
	token   string
	command []string
	env     []string
	files   []string
	bin     []string
}

// writeImage writes the root file system.
func writeImage(ctx context.Context, w io.Writer, k fetched, c contents) error {
	a := newArchive(w)
	addFixed(a, c)
	if err := addKernel(a, k); err != nil {
		return err
	}
	if err := addPrograms(ctx, a); err != nil {
		return err
	}
	return a.close()
}

// addFixed adds what a machine has before anything else, and the files that go along.
func addFixed(a *archive, c contents) {
	for _, dir := range []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/var", workDir, "/usr/sbin", "/sbin"} {
		a.dir(dir)
	}
	a.link("/bin", "usr/bin")
	a.text("/init", 0o755, initScript)
	a.text("/vnlab/token", 0o644, c.token+"\n")
	a.text("/vnlab/command", 0o755, commandScript(c.command, c.env))
	a.text("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n")
	a.text("/etc/group", 0o644, "root:x:0:\n")
	a.text("/etc/hosts", 0o644, "127.0.0.1 localhost\n::1 localhost\n")
	a.text("/etc/resolv.conf", 0o644, "") // what a guest has of its own is laid over it
	for dir, files := range map[string][]string{workDir: c.files, binDir: c.bin} {
		for _, f := range files {
			a.copy(filepath.Join(dir, filepath.Base(f)), f, 0o755)
		}
	}
}

// addKernel adds the modules, and the list of them in the order to load.
func addKernel(a *archive, k fetched) error {
	order, err := os.ReadFile(k.order())
	if err != nil {
		return fmt.Errorf("read the list of modules: %w", err)
	}
	a.text("/vnlab/modules.order", 0o644, string(order))
	for _, m := range strings.Fields(string(order)) {
		a.copy("/vnlab/modules/"+m+".ko", filepath.Join(k.modules(), m+".ko"), 0o644)
	}
	return nil
}

// addPrograms adds programs of this machine with their libraries, and the schema of Open vSwitch's database.
func addPrograms(ctx context.Context, a *archive) error {
	var missing []error
	var files []string
	for _, p := range slices.Concat(programs, clients) {
		f, err := find(p)
		if err != nil {
			if !slices.Contains(clients, p) {
				missing = append(missing, err)
			}
			continue
		}
		files = append(files, f)
		a.copy("/usr/bin/"+p, f, 0o755)
	}
	if err := errors.Join(missing...); err != nil {
		return err
	}
	a.link("/usr/bin/udhcpc", "busybox")
	libs, err := libraries(ctx, files)
	if err != nil {
		return err
	}
	for _, l := range libs {
		a.copy(l, l, 0o755)
	}
	a.copy(ovs.Schema, ovs.Schema, 0o644)
	return nil
}

// commandScript runs a command with variables in its environment. It calls no applet of busybox for that, which would take
// others for the programs that the command names.
func commandScript(command, env []string) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\ncd " + workDir + "\n")
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		b.WriteString("export " + name + "=" + quote(value) + "\n")
	}
	b.WriteString("exec")
	for _, word := range command {
		b.WriteString(" " + quote(word))
	}
	return b.String() + "\n"
}

// quote makes one word of a shell's of any text.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

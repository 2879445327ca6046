package kernel

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what is run, and on what.
type Options struct {
	Command  []string             // required: the command with its arguments, run as root in the folder of Files
	Env      []string             // optional: NAME=VALUE, added to the command's environment
	Files    []string             // optional: files of this machine that lie in the folder where the command is started
	Programs []string             // optional: static programs of this machine that the command finds in $PATH
	Package  string               // optional: Debian's package with the kernel, or one that depends on it; DefaultPackage
	Cache    string               // optional: folder that keeps kernels; openvnet/kernel in the user's cache
	Accel    string               // optional: qemu's accelerator; "tcg", which works anywhere, and "kvm" is some 20 times faster
	CPUs     int                  // optional; 2
	Memory   int                  // optional: MiB; 2048
	Out      io.Writer            // optional: gets what the machine's console shows, from the start of the command on
	Say      func(string, ...any) // optional: is told of each step
}

// ExitError says that the command was run and ended with another status than 0.
type ExitError struct{ Status int }

func (e *ExitError) Error() string {
	return fmt.Sprintf("the command ended with exit status %d", e.Status)
}

// Run boots a machine, runs the command in it, and returns when that has ended: nil if its exit status was 0, an *ExitError
// if it was another. A machine that stops before the command has ended, as after a panic of the kernel, is an error, and so
// is the end of ctx. Whatever happens, the machine is gone afterwards.
func Run(ctx context.Context, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	qemu, err := find("qemu-system-x86_64")
	if err != nil {
		return err
	}
	k, err := fetch(ctx, o.Package, o.Cache, o.Say)
	if err != nil {
		return err
	}
	initrd, err := os.CreateTemp("", "vnlab-kernel-")
	if err != nil {
		return err
	}
	defer os.Remove(initrd.Name())
	token := rand.Text()
	err = writeImage(ctx, initrd, k, contents{token, o.Command, o.Env, o.Files, o.Programs})
	if err := errors.Join(err, initrd.Close()); err != nil {
		return fmt.Errorf("make the root file system: %w", err)
	}
	st, err := os.Stat(initrd.Name())
	if err != nil {
		return err
	}
	o.Say("booting %s with a root file system of %d MiB", filepath.Base(k.dir), st.Size()>>20)
	return o.boot(ctx, qemu, k.vmlinuz(), initrd.Name(), token)
}

// variable is one of an environment that a shell can set.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

func (o *Options) complete() error {
	if len(o.Command) == 0 {
		return errors.New("no command was given for the machine to run")
	}
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("a machine of the architecture %s cannot be made, only of amd64", runtime.GOARCH)
	}
	for _, e := range o.Env {
		if !variable.MatchString(e) {
			return fmt.Errorf("%q is not NAME=VALUE", e)
		}
	}
	if o.Package == "" {
		o.Package = DefaultPackage
	}
	if o.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("find the folder to keep kernels in: %w", err)
		}
		o.Cache = filepath.Join(dir, "openvnet", "kernel")
	}
	if o.Accel == "" {
		o.Accel = "tcg"
	}
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	if o.Memory == 0 {
		o.Memory = 2048
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	return nil
}

// boot runs the machine until its console shows how the command ended.
func (o *Options) boot(ctx context.Context, qemu, vmlinuz, initrd, token string) error {
	accel, cpu := o.Accel, "max"
	if accel == "tcg" {
		accel += ",thread=multi"
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, "-machine", "q35", "-accel", accel, "-cpu", cpu, "-smp", strconv.Itoa(o.CPUs), "-m", strconv.Itoa(o.Memory),
		"-kernel", vmlinuz, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 oops=panic mitigations=off rdinit=/init",
		"-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot")
	// The machine goes with this program, also when that is killed: the signal comes when the thread ends that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	var complaints strings.Builder
	cmd.Stderr = &complaints
	console, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start qemu: %w", err)
	}
	status, err := follow(console, o.Out, token)
	cause := context.Cause(ctx)
	if !errors.Is(err, errNoEnd) { // else qemu ends by itself
		cancel()
	}
	ended := cmd.Wait()
	switch {
	case err == nil && status == 0:
		return nil
	case err == nil:
		return &ExitError{status}
	case cause != nil:
		return fmt.Errorf("the machine was stopped before the command had ended: %w", cause)
	case errors.Is(err, errNoEnd) && ended != nil:
		return fmt.Errorf("%w (qemu: %w) %s", err, ended, strings.TrimSpace(complaints.String()))
	case errors.Is(err, errNoEnd):
		return err
	}
	return fmt.Errorf("read the machine's console: %w", err)
}

var errNoEnd = errors.New("the machine stopped before the command had ended: it did not boot, or its kernel panicked")

// follow copies what the console shows, line by line, until it says how the command ended.
func follow(console io.Reader, out io.Writer, token string) (status int, err error) {
	marker := "vnlab-kernel " + token + " exit "
	r := bufio.NewReaderSize(console, 64<<10)
	for {
		line, readErr := r.ReadString('\n')
		line = strings.ReplaceAll(line, "\r", "")
		text, rest, found := strings.Cut(line, marker)
		if _, err := io.WriteString(out, text); err != nil {
			return 0, err
		}
		if found {
			return strconv.Atoi(strings.TrimSpace(rest))
		}
		if errors.Is(readErr, io.EOF) {
			return 0, errNoEnd
		}
		if readErr != nil {
			return 0, readErr
		}
	}
}

package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// EtcDir holds per namespace the files that replace those of /etc for processes in it, as ip-netns(8) defines: the
// file EtcDir/NAME/resolv.conf is seen as /etc/resolv.conf.
const EtcDir = "/etc/netns"

// Start starts cmd inside the namespace, in a mount namespace of its own where /sys shows the namespace's links and
// the files of EtcDir/NAME lie over those of /etc. Other mounts of the machine stay visible, later ones do not appear.
func (n *NS) Start(cmd *exec.Cmd) error {
	return onThrowawayThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		return cmd.Start()
	})
}

// Output runs cmd as Start does, waits, and gives its standard output; the error carries its standard error.
func (n *NS) Output(cmd *exec.Cmd) ([]byte, error) {
	var out, errs limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := n.Start(cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return out.b, fmt.Errorf("%s in network namespace %s: %w: %s%s", cmd.Args[0], n.name, err, errs.b, out.b)
	}
	return out.b, nil
}

// Exec replaces the running program by argv inside the namespace, with the view of Start. It returns only on error.
func (n *NS) Exec(argv, env []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return onThrowawayThread(func() error {
		if err := n.enter(); err != nil {
			return err
		}
		return fmt.Errorf("exec %s: %w", path, syscall.Exec(path, argv, env))
	})
}

// enter moves the calling thread into the namespace and into a private mount namespace. The thread is spoilt for
// other work afterwards.
func (n *NS) enter() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	if err := vns.Set(n.fd); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", n.name, err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs of network namespace %s: %w", n.name, err)
	}
	files, err := os.ReadDir(filepath.Join(EtcDir, n.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		src, dst := filepath.Join(EtcDir, n.name, f.Name()), filepath.Join("/etc", f.Name())
		if err := unix.Mount(src, dst, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s over %s: %w", src, dst, err)
		}
	}
	return nil
}

// onThrowawayThread runs fn on a thread that ends afterwards. The main thread cannot end, so when the new goroutine
// lands on it, it is held there while another one does the work.
func onThrowawayThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThrowawayThread(fn)
			runtime.UnlockOSThread()
			return
		}
		done <- fn()
	}()
	return <-done
}

// limitedBuffer keeps the first MiB, enough for any tool that a test runs.
type limitedBuffer struct{ b []byte }

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), 1<<20-len(l.b))]...)
	return len(p), nil
}

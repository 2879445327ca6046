package proc

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/netns"
)

// startTied starts cmd with a death signal. The kernel sends it when the starting thread ends, so the goroutine that
// starts the process stays locked to its thread until the process has ended.
func startTied(cmd *exec.Cmd, ns *netns.NS) error {
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		run := cmd.Start
		if ns != nil {
			run = func() error { return ns.Do(cmd.Start) }
		}
		err := run()
		started <- err
		if err == nil {
			cmd.Wait() //nolint:errcheck // only reaps
		}
	}()
	return <-started
}

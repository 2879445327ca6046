package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// manager is a vnmgr process with a directory of its own. It dies with this program.
type manager struct {
	dir     string
	bin     string
	address string
	api     *client.Client
	process proc.Record
}

// limit is how long anything may take that is not measured.
const limit = 2 * time.Minute

func newManager(bin, address string) (*manager, error) {
	api, err := client.New(client.Options{Server: address, Timeout: limit, Retries: -1})
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vnbench")
	if err != nil {
		return nil, err
	}
	return &manager{dir: dir, bin: bin, address: address, api: api}, nil
}

// start starts the process, and returns when it answers.
func (m *manager) start(ctx context.Context) (s start, err error) {
	began := time.Now()
	m.process, err = proc.Start(proc.Spec{
		Args: []string{filepath.Join(m.bin, "vnmgr"), "--data", filepath.Join(m.dir, "data"), "--api", m.address, "--insecure"},
		Log:  filepath.Join(m.dir, "vnmgr.log"), Record: filepath.Join(m.dir, "vnmgr.json"), Session: proc.Tied,
	})
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("the manager does not answer"))
	defer cancel()
	err = wait.Until(ctx, 5*time.Millisecond, func() error {
		_, err := m.api.Version(ctx)
		return err
	})
	if err != nil {
		return s, err
	}
	s.ready = time.Since(began)
	if s.rss, err = m.resident(); err != nil {
		return s, err
	}
	s.cpu, err = cpuTime(m.process.PID)
	return s, err
}

// stop ends the process as an operator does.
func (m *manager) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("it does not end"))
	defer cancel()
	if err := m.process.Stop(ctx); err != nil {
		return fmt.Errorf("stop the manager: %w", err)
	}
	return nil
}

// remove ends the process and deletes the directory.
func (m *manager) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var err error
	if m.process.PID != 0 {
		err = m.process.Kill(ctx)
	}
	return errors.Join(err, os.RemoveAll(m.dir))
}

// logs gives the last lines of what the manager has logged, for an error.
func (m *manager) logs() string { return "vnmgr:\n" + ovs.Tail(filepath.Join(m.dir, "vnmgr.log"), 5) }

// resident gives the resident memory, of which the database's file is a part, MiB.
func (m *manager) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.process.PID))
	if err != nil {
		return 0, fmt.Errorf("read the manager's memory: %w", err)
	}
	kib, err := vmRSS(string(text))
	if err != nil {
		return 0, fmt.Errorf("read the manager's memory: %w", err)
	}
	return float64(kib) / 1024, nil
}

// vmRSS finds VmRSS, in KiB, in what proc_pid_status(5) describes.
func vmRSS(status string) (int, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			number, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB")
			if !ok {
				return 0, fmt.Errorf("VmRSS is %q", strings.TrimSpace(rest))
			}
			return strconv.Atoi(strings.TrimSpace(number))
		}
	}
	return 0, errors.New("there is no VmRSS")
}

// cpuTime gives the CPU time that all threads of a process have used.
func cpuTime(pid int) (time.Duration, error) {
	// The clock of another process's CPU time, as clock_getcpuclockid(3) makes it: include/linux/posix-timers_types.h,
	// make_process_cpuclock and CPUCLOCK_SCHED.
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// Package proc starts processes that outlive the program that started them and recognises them later from a record on
// disk. A record names a process by pid and start time, so a recycled pid is never taken for ours, and signals go
// through a pidfd, so that the one that was checked is the one that gets it. It also reads what a process uses. It is not a supervisor: nothing is
// restarted. testenv/ovs, testenv/lab and the benchmarks import it.
package proc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/netns"
)

// ErrGone says that the process of a record no longer runs.
var ErrGone = errors.New("the process is gone")

// Spec is a process to start.
type Spec struct {
	Args    []string  // required; Args[0] is a path or is looked for in $PATH
	Env     []string  // optional; added to the environment of this program
	Log     string    // required; standard output and error are appended to this file
	Record  string    // required; the record is written here, beside it the pid alone as <record without .json>.pid
	NS      *netns.NS // optional; nil means the network namespace of this program
	Session Session   // optional
}

// Session says how a process is tied to the one that starts it.
type Session int

// The kinds of session.
const (
	Detached Session = iota // a session of its own, lives on
	Tied                    // killed by the kernel when the starting program dies: for tests
)

// Record is what is kept about a started process.
type Record struct {
	PID     int       `json:"pid"`
	Start   uint64    `json:"start"` // clock ticks since boot: field 22 of proc(5) stat
	Args    []string  `json:"args"`
	Log     string    `json:"log"`
	Started time.Time `json:"started"`
}

// Start starts the process and writes its record. The caller need not wait for it: it is reaped when it ends.
func Start(s Spec) (Record, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Args[0], err)
	}
	defer log.Close()
	cmd := exec.Command(s.Args[0], s.Args[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := start(cmd, s.NS, s.Session); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", s.Args[0], err)
	}
	r := Record{PID: cmd.Process.Pid, Args: s.Args, Log: s.Log, Started: time.Now().UTC()}
	st, err := readStat(r.PID)
	r.Start = st.start
	if err == nil {
		err = r.save(s.Record)
	}
	if err != nil {
		return Record{}, errors.Join(fmt.Errorf("record %s: %w", s.Args[0], err), cmd.Process.Kill())
	}
	return r, nil
}

// start starts cmd and leaves a goroutine that reaps it. For a tied process that goroutine keeps the thread that
// started it, since the kernel sends the death signal when that thread ends.
func start(cmd *exec.Cmd, ns *netns.NS, session Session) error {
	run := cmd.Start
	if ns != nil {
		run = func() error { return ns.Start(cmd) }
	}
	if session == Detached {
		if err := run(); err != nil {
			return err
		}
		go cmd.Wait() //nolint:errcheck // only reaps; Record.Alive and Wait look at the process itself
		return nil
	}
	return startTied(cmd, ns)
}

// Load reads a record; one that does not exist is fs.ErrNotExist.
func Load(path string) (Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Record{}, fmt.Errorf("read process record: %w", err)
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("process record %s: %w", path, err)
	}
	return r, nil
}

func (r Record) save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	pidFile := path[:len(path)-len(filepath.Ext(path))] + ".pid"
	return errors.Join(WriteFile(pidFile, []byte(strconv.Itoa(r.PID)+"\n")), WriteFile(path, b))
}

// WriteFile replaces a file atomically: a reader sees the old or the new content, also after a crash.
func WriteFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Alive reports whether this very process runs. A zombie does not, unless a thread of it is still on its way out: until the last one has
// gone the process holds its files and their locks.
func (r Record) Alive() bool {
	st, err := readStat(r.PID)
	return err == nil && st.start == r.Start && st.alive()
}

// Signal sends sig to the process, and to nothing else; ErrGone when it has ended.
func (r Record) Signal(sig syscall.Signal) error {
	fd, err := r.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err == unix.ESRCH {
		return ErrGone
	} else if err != nil {
		return fmt.Errorf("signal %d to process %d: %w", sig, r.PID, err)
	}
	return nil
}

// Wait returns when the process has ended, or with the context's error.
func (r Record) Wait(ctx context.Context) error {
	fd, err := r.open()
	if errors.Is(err, ErrGone) {
		return nil
	} else if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		switch n, err := unix.Poll(fds, 20); {
		case err != nil && err != unix.EINTR:
			return fmt.Errorf("wait for process %d: %w", r.PID, err)
		case n > 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("process %d (%s) still runs: %w", r.PID, filepath.Base(r.Args[0]), context.Cause(ctx))
		}
	}
}

// Stop sends SIGTERM and waits; a process that is still there when ctx ends is left running and reported.
func (r Record) Stop(ctx context.Context) error { return r.end(ctx, unix.SIGTERM) }

// Kill sends SIGKILL and waits until the process has ended.
func (r Record) Kill(ctx context.Context) error { return r.end(ctx, unix.SIGKILL) }

func (r Record) end(ctx context.Context, sig syscall.Signal) error {
	if err := r.Signal(sig); errors.Is(err, ErrGone) {
		return nil
	} else if err != nil {
		return err
	}
	return r.Wait(ctx)
}

// open gives a pidfd of the process. The start time is compared after opening: from then on the descriptor cannot
// come to mean another process.
func (r Record) open() (int, error) {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if err == unix.ESRCH || err == unix.EINVAL {
		return -1, ErrGone
	} else if err != nil {
		return -1, fmt.Errorf("open process %d: %w", r.PID, err)
	}
	if !r.Alive() {
		unix.Close(fd)
		return -1, ErrGone
	}
	return fd, nil
}

type stat struct {
	state   byte
	threads int
	start   uint64
	// children is the CPU time of those that have ended, in ticks: fields 16 and 17.
	children uint64
}

func (s stat) alive() bool { return s.state != 'Z' && s.state != 'X' || s.threads > 1 }

// readStat reads /proc/PID/stat. The second field, the name, may hold spaces and parentheses, so the count starts
// after the last ')'.
func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat has %d fields after the name", pid, len(f))
	}
	threads, err := strconv.Atoi(string(f[17]))
	if err != nil {
		return stat{}, fmt.Errorf("/proc/%d/stat: threads: %w", pid, err)
	}
	user, err1 := strconv.ParseUint(string(f[13]), 10, 64)
	system, err2 := strconv.ParseUint(string(f[14]), 10, 64)
	start, err3 := strconv.ParseUint(string(f[19]), 10, 64)
	return stat{state: f[0][0], threads: threads, start: start, children: user + system}, errors.Join(err1, err2, err3)
}

package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// leaderless asks this program to be a process whose first thread ends at once and whose others do not.
const leaderless = "PROC_TEST_LEADERLESS"

func init() { //nolint:gochecknoinits // what runs later need not run on the first thread
	if os.Getenv(leaderless) != "" {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(leaderless) != "" {
		go unix.Poll(nil, 60_000)
		unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0) // ends this thread
	}
	os.Exit(m.Run())
}

func startSh(t *testing.T, script string, env ...string) (proc.Record, string) {
	t.Helper()
	dir := t.TempDir()
	rec := filepath.Join(dir, "sh.json")
	r, err := proc.Start(proc.Spec{
		Args: []string{"sh", "-c", script}, Env: env, Log: filepath.Join(dir, "sh.log"), Record: rec, Session: proc.Tied,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Kill(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r, rec
}

func TestRecordRoundTrip(t *testing.T) {
	r, path := startSh(t, "echo started; sleep 60")
	got, err := proc.Load(path)
	if err != nil || got.PID != r.PID || got.Start != r.Start || !got.Alive() {
		t.Fatalf("Load = %+v, %v; want the running %+v", got, err, r)
	}
	wait.For(t, 5*time.Second, "the log", func() error {
		if b, _ := os.ReadFile(r.Log); !strings.Contains(string(b), "started") {
			return errors.New("empty")
		}
		return nil
	})
	if err := got.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Alive() {
		t.Error("alive after Stop")
	}
	if err := got.Signal(unix.SIGTERM); !errors.Is(err, proc.ErrGone) {
		t.Errorf("Signal to an ended process = %v, want ErrGone", err)
	}
}

func TestStopLeavesAStubbornProcess(t *testing.T) {
	r, _ := startSh(t, "trap '' TERM; echo ready; while :; do sleep 1; done")
	wait.For(t, 5*time.Second, "the trap", func() error {
		if b, _ := os.ReadFile(r.Log); len(b) == 0 {
			return errors.New("not set")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || !r.Alive() {
		t.Fatalf("Stop = %v, alive %v; want the deadline and a running process", err, r.Alive())
	}
	if err := r.Kill(t.Context()); err != nil || r.Alive() {
		t.Fatalf("Kill = %v, alive %v", err, r.Alive())
	}
}

func TestRecycledPIDIsNotOurs(t *testing.T) {
	self := proc.Record{PID: os.Getpid(), Start: 1} // this pid, but started at another time
	if self.Alive() {
		t.Error("a process with another start time is taken for ours")
	}
	if err := self.Signal(unix.SIGKILL); !errors.Is(err, proc.ErrGone) {
		t.Errorf("Signal = %v, want ErrGone", err)
	}
}

func TestFindEnv(t *testing.T) {
	mark := "PROC_TEST_MARK=" + t.TempDir()
	r, _ := startSh(t, "exec sleep 60", mark)
	wait.For(t, 5*time.Second, "the process to be found", func() error {
		found := proc.FindEnv(mark)
		if len(found) != 1 || found[0].PID != r.PID || found[0].Start != r.Start {
			return errors.New("not found")
		}
		return nil
	})
	if found := proc.FindEnv(mark + "x"); len(found) != 0 {
		t.Errorf("another mark finds %v", found)
	}
}

func TestStartFailureLeavesNoRecord(t *testing.T) {
	dir := t.TempDir()
	_, err := proc.Start(proc.Spec{Args: []string{"/nonexistent/program"}, Log: filepath.Join(dir, "l"), Record: filepath.Join(dir, "r.json")})
	if err == nil {
		t.Fatal("no error")
	}
	if _, err := proc.Load(filepath.Join(dir, "r.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load = %v, want not exist", err)
	}
}

func TestZombieWithThreadsIsAlive(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := proc.Start(proc.Spec{
		Args: []string{self}, Env: []string{leaderless + "=1"}, Log: filepath.Join(dir, "log"), Record: filepath.Join(dir, "self.json"), Session: proc.Tied,
	})
	if err != nil {
		t.Fatal(err)
	}
	wait.For(t, 10*time.Second, "the first thread's end", func() error {
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.PID)); !strings.Contains(string(b), ") Z ") {
			return errors.New(string(b))
		}
		return nil
	})
	if !r.Alive() {
		t.Error("not alive with threads that run")
	}
	if err := r.Kill(t.Context()); err != nil || r.Alive() {
		t.Errorf("after Kill: alive %v, %v", r.Alive(), err)
	}
}

package ovs

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/proc"
)

// Sandbox is an instance with the dummy datapath whose errors fail the test. It needs Open vSwitch but not root.
type Sandbox struct {
	*Instance
	t testing.TB
}

// StartSandbox starts one and removes it when the test ends; the daemons die with the test program. The test is
// skipped where Open vSwitch is not installed (see testenv/privileged).
func StartSandbox(t testing.TB) *Sandbox {
	t.Helper()
	privileged.Programs(t, Programs...)
	i, err := Open(Options{Dir: TempDir(t), Dummy: true, Session: proc.Tied})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Kill(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := i.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &Sandbox{i, t}
}

// AddBridge adds a bridge that drops by default (fail_mode=secure), with dummy ports that get the OpenFlow numbers 1,
// 2, ... in order.
func (s *Sandbox) AddBridge(name string, ports ...string) {
	s.t.Helper()
	args := []string{"add-br", name, "--", "set", "bridge", name, "datapath_type=dummy", "fail_mode=secure"}
	for n, p := range ports {
		args = append(args, "--", "add-port", name, p, "--",
			"set", "interface", p, "type=dummy", fmt.Sprintf("ofport_request=%d", n+1))
	}
	s.MustVsctl(args...)
}

// MustVsctl is Vsctl that fails the test on an error, as the other methods of this kind do.
func (s *Sandbox) MustVsctl(args ...string) string {
	s.t.Helper()
	return s.must(s.Vsctl(s.t.Context(), args...))
}

// MustOfctl is Ofctl, see MustVsctl.
func (s *Sandbox) MustOfctl(args ...string) string {
	s.t.Helper()
	return s.must(s.Ofctl(s.t.Context(), args...))
}

// MustAppctl is Appctl, see MustVsctl.
func (s *Sandbox) MustAppctl(args ...string) string {
	s.t.Helper()
	return s.must(s.Appctl(s.t.Context(), args...))
}

// MustTrace is Trace, see MustVsctl.
func (s *Sandbox) MustTrace(bridge, flow string, options ...string) string {
	s.t.Helper()
	return s.must(s.Trace(s.t.Context(), bridge, flow, options...))
}

func (s *Sandbox) must(out string, err error) string {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// TempDir is t.TempDir with a path that is short enough for sockets in it and a few directories below.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vnt") //nolint:usetesting // t.TempDir has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Package privileged lets tests that need root say so. A test named TestPrivileged... calls Require first: it is
// skipped for an ordinary user, and fails instead where OPENVNET_PRIVILEGED_TESTS=1 promises that it can run (CI), so
// that no such test is skipped in silence. Only tests import it.
package privileged

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Env is the variable that turns every skip of this package into a failure when its value is 1.
const Env = "OPENVNET_PRIVILEGED_TESTS"

// Require skips the test (or fails it, see the package comment) unless it runs as root and every named program is
// in $PATH.
func Require(t testing.TB, programs ...string) {
	t.Helper()
	if !strings.Contains(t.Name(), "Privileged") && !strings.HasPrefix(t.Name(), "Benchmark") {
		t.Fatalf("%s needs root, so its name must start with TestPrivileged", t.Name())
	}
	if os.Geteuid() != 0 {
		miss(t, "needs root")
	}
	Programs(t, programs...)
}

// Programs skips the test (or fails it) unless every named program is in $PATH; for tests that need Open vSwitch but
// not root.
func Programs(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			miss(t, "needs the program "+p)
		}
	}
}

func miss(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(Env) == "1" {
		t.Fatalf("%s, and %s=1 does not allow a skip", reason, Env)
	}
	t.Skip(reason)
}

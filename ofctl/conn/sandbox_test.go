package conn

import (
	"errors"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"

	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sandbox is an Open vSwitch of its own with the dummy datapath: no packet leaves it, and it needs no device.
type sandbox struct {
	t   testing.TB
	dir string
}

// newSandbox starts ovsdb-server and ovs-vswitchd with a bridge br0 in secure mode, and ends them with the test. The test
// is skipped where there is no Open vSwitch or no root, but fails with OPENVNET_PRIVILEGED_TESTS=1.
func newSandbox(t testing.TB) *sandbox {
	t.Helper()
	privileged.Require(t, "ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")
	dir, err := os.MkdirTemp("", "ofc") //nolint:usetesting // short: socket paths are limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &sandbox{t, dir}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "ovs-vswitchd.log"))
			t.Logf("ovs-vswitchd.log ends with:\n%s", log[max(0, len(log)-2000):])
		}
		os.RemoveAll(dir)
	})
	s.run("ovsdb-tool", "create", filepath.Join(dir, "conf.db"), "/usr/share/openvswitch/vswitch.ovsschema")
	s.daemon("ovsdb-server", filepath.Join(dir, "conf.db"), "--remote=punix:"+filepath.Join(dir, "db.sock"))
	s.vsctl("--no-wait", "init")
	s.daemon("ovs-vswitchd", "unix:"+filepath.Join(dir, "db.sock"),
		"--enable-dummy=override", "--disable-system", "--disable-system-route")
	s.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure",
		"other_config:hwaddr=aa:55:aa:55:00:00",
		"protocols=OpenFlow10,OpenFlow13,OpenFlow15")
	return s
}

// target is the bridge's management socket.
func (s *sandbox) target() string { return "unix:" + filepath.Join(s.dir, "br0.mgmt") }

func (s *sandbox) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_DBDIR="+s.dir, "OVS_LOGDIR="+s.dir, "OVS_SYSCONFDIR="+s.dir)
	return cmd
}

// run runs a command and gives what it prints; the test fails if it fails.
func (s *sandbox) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.try("", name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out
}

// try runs a command with an input.
func (s *sandbox) try(stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := s.command(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

func (s *sandbox) vsctl(args ...string) string {
	s.t.Helper()
	return s.run("ovs-vsctl", append([]string{"--db=unix:" + filepath.Join(s.dir, "db.sock"), "--timeout=20"}, args...)...)
}

// ofctl runs ovs-ofctl for OpenFlow 1.5.
func (s *sandbox) ofctl(args ...string) string {
	s.t.Helper()
	return s.run("ovs-ofctl", append([]string{"-O", "OpenFlow15"}, args...)...)
}

// daemon starts a daemon, which ends with the test.
func (s *sandbox) daemon(name string, args ...string) {
	s.t.Helper()
	args = append(args, "-vconsole:off", "--log-file", "--pidfile", "--unixctl="+filepath.Join(s.dir, name+".ctl"))
	cmd := s.command(context.Background(), name, args...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	s.wait(name, func() bool {
		_, err := s.try("", "ovs-appctl", "-t", filepath.Join(s.dir, name+".ctl"), "version")
		return err == nil
	})
}

// wait waits for a condition.
func (s *sandbox) wait(what string, ok func() bool) {
	s.t.Helper()
	wait.For(s.t, 20*time.Second, what, func() error {
		if !ok() {
			return errors.New("not yet")
		}
		return nil
	})
}

// addPorts adds dummy ports with numbers from 1.
func (s *sandbox) addPorts(names ...string) {
	s.t.Helper()
	for i, name := range names {
		s.vsctl("add-port", "br0", name, "--", "set", "interface", name, "type=dummy", fmt.Sprintf("ofport_request=%d", i+1))
	}
}

// dial makes a session that runs until the test ends.
func (s *sandbox) dial(opt Options) *Conn {
	s.t.Helper()
	return dialAndRun(s.t, s.target(), opt)
}

func dialAndRun(t testing.TB, target string, opt Options) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), target, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return c
}

package ovs

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/dataplane/ovs/unixctl"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/proc"
)

func TestControl(t *testing.T) {
	s := StartSandbox(t)
	for _, d := range []Daemon{Database, Switch} {
		c, err := s.Control(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 2 {
			if out, err := c.Call(t.Context(), "version"); err != nil || !strings.Contains(out, "Open vSwitch") {
				t.Errorf("version of %s: %q, %v", d, out, err)
			}
		}
		var refused *unixctl.RefusedError
		if _, err := c.Call(t.Context(), "no-such-command", "x"); !errors.As(err, &refused) {
			t.Errorf("an unknown command of %s: %v, want a RefusedError", d, err)
		}
		if out, err := c.Call(t.Context(), "version"); err != nil {
			t.Errorf("version of %s after a refusal: %q, %v", d, out, err)
		}
	}
	if _, err := s.Control(t.Context(), "other"); err == nil {
		t.Error("an unknown daemon has a control socket")
	}
}

func TestControlAfterCancelIsOfNoUse(t *testing.T) {
	s := StartSandbox(t)
	c, err := s.Control(t.Context(), Switch)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Call(ctx, "version"); !errors.Is(err, context.Canceled) {
		t.Errorf("Call with a context that is done: %v", err)
	}
	if _, err := c.Call(t.Context(), "version"); !errors.Is(err, context.Canceled) {
		t.Errorf("Call after that: %v, want the first error", err)
	}
}

func TestSandboxHasRealTunnels(t *testing.T) {
	privileged.Programs(t, Programs...)
	i, err := Open(Options{Dir: TempDir(t), Dummy: true, Tunnels: true, Session: proc.Tied})
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
	if _, err := i.Vsctl(t.Context(), "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "--",
		"add-port", "br0", "g", "--", "set", "interface", "g", "type=geneve", "options:remote_ip=flow"); err != nil {
		t.Fatal(err)
	}
	if out, err := i.Appctl(t.Context(), "dpctl/show"); err != nil || !strings.Contains(out, "genev_sys_6081 (geneve") {
		t.Errorf("no tunnel port in the datapath: %v\n%s", err, out)
	}
}

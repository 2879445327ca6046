package ovs_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/testenv/ovs"
)

func TestSandboxTraces(t *testing.T) {
	s := ovs.StartSandbox(t)
	s.AddBridge("br0", "p1", "p2")
	const packet = "in_port=p1,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,ip,nw_src=10.0.0.1,nw_dst=10.0.0.2"
	if out := s.MustTrace("br0", packet); !strings.Contains(out, "Datapath actions: drop") {
		t.Errorf("an empty secure bridge does not drop:\n%s", out)
	}
	s.MustOfctl("add-flow", "br0", "table=0,priority=10,in_port=p1,actions=output:p2")
	if out := s.MustTrace("br0", packet, "--names"); !strings.Contains(out, "Datapath actions: p2") {
		t.Errorf("the flow is not followed:\n%s", out)
	}
	if out := s.MustOfctl("dump-flows", "--no-stats", "--names", "br0"); !strings.Contains(out, "in_port=p1 actions=output:p2") {
		t.Errorf("dump-flows: %q", out)
	}
	if out := s.MustAppctl("version"); !strings.Contains(out, "Open vSwitch") {
		t.Errorf("version: %q", out)
	}
}

func TestSandboxSurvivesRestart(t *testing.T) {
	s := ovs.StartSandbox(t)
	s.AddBridge("br0", "p1")
	if err := s.KillDaemon(t.Context(), ovs.Switch); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Record(ovs.Switch); err != nil || r.Alive() {
		t.Fatalf("after Kill: alive %v, %v", r.Alive(), err)
	}
	if r, err := s.Record(ovs.Database); err != nil || !r.Alive() {
		t.Fatalf("the database went too: %v", err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := s.MustVsctl("list-ports", "br0"); strings.TrimSpace(out) != "p1" {
		t.Errorf("ports after the restart: %q", out)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vsctl(t.Context(), "--retry=no", "show"); err == nil {
		t.Error("the database answers after Stop")
	}
}

func TestTwoSandboxesAreApart(t *testing.T) {
	a, b := ovs.StartSandbox(t), ovs.StartSandbox(t)
	a.AddBridge("br0", "p1")
	if out := b.MustVsctl("list-br"); out != "" {
		t.Errorf("the other sandbox has bridges %q", out)
	}
}

func TestOpenRefusesLongDirectory(t *testing.T) {
	if _, err := ovs.Open(ovs.Options{Dir: "/tmp/" + strings.Repeat("x", 90)}); err == nil {
		t.Error("no error")
	}
}

func TestStartReportsTheLog(t *testing.T) {
	dir := ovs.TempDir(t)
	if err := os.WriteFile(dir+"/conf.db", []byte("not a database"), 0o644); err != nil {
		t.Fatal(err)
	}
	i, err := ovs.Open(ovs.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.StartDaemon(t.Context(), ovs.Database); err == nil || !strings.Contains(err.Error(), "conf.db") || errors.Is(err, t.Context().Err()) {
		t.Errorf("Start = %v, want the reason from the log", err)
	}
}

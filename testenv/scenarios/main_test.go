package scenarios

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/labs"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// How long tests wait for what takes milliseconds on a calm machine.
const patience = 20 * time.Second

// binEnv names the directory where the programs under test are already, for a machine without Go.
const binEnv = "OPENVNET_BIN"

// built is the programs under test, built once, when the first test needs them.
type built struct {
	dir   string
	build func() error
}

var programs built

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sc-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs = built{dir, sync.OnceValue(func() error {
		cmd := exec.Command("go", "build", "-trimpath", "-o", dir+"/", "../../cmd/vnmgr", "../../cmd/vna", "../../cmd/vnctl")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as "make build" does, whose cache serves here then
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the programs: %w\n%s", err, out)
		}
		return nil
	})}
	if there := os.Getenv(binEnv); there != "" {
		programs = built{there, func() error { return nil }}
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// scene is a lab under test.
type scene struct {
	lab     *lab.Lab
	api     *client.Client    // whose writes wait until they are applied
	watches map[string]*watch // by guest
}

// threeHosts is the description of the lab that most tests use, changed as the test wants.
func threeHosts(t *testing.T, name string, change func(*lab.Spec)) lab.Spec {
	t.Helper()
	spec, err := lab.Parse(labs.ThreeHosts, name)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&spec)
	}
	return spec
}

// guestOf gives a guest of a description.
func guestOf(s *lab.Spec, name string) *lab.Guest {
	for i := range s.Guests {
		if s.Guests[i].Name == name {
			return &s.Guests[i]
		}
	}
	panic("no guest " + name)
}

// up brings a lab up and watches what arrives at its guests; at the end of the test it is taken down, and if the test has failed its logs
// are shown first.
func up(t *testing.T, spec lab.Spec, agents lab.Agents) *scene {
	t.Helper()
	if os.Getenv(binEnv) == "" {
		privileged.Programs(t, "go")
	}
	privileged.Require(t, "ip", "ovs-vswitchd", "udhcpc")
	if err := programs.build(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	l, err := lab.Up(t.Context(), spec, lab.Options{API: freeAddress(t), Bin: programs.dir, Agents: agents, Existing: lab.Replace})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("lab %s is up after %v", spec.Name, time.Since(start).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	api, err := client.New(client.Options{Server: l.API(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{lab: l, api: api.With(client.Write{Wait: patience}), watches: map[string]*watch{}}
	t.Cleanup(func() {
		if t.Failed() {
			s.show(t)
		}
	})
	for _, g := range spec.Guests {
		s.watches[g.Name] = watchGuest(t, l, g.Name)
	}
	return s
}

// freeAddress gives an address of this machine where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// show logs what helps to understand a failure, the longest first, so that the end of it is what matters most.
func (s *scene) show(t *testing.T) {
	hosts := s.lab.Spec().Hosts
	for _, h := range hosts {
		t.Logf("cached flows of %s:\n%s", h.Name, s.cached(h.Name))
	}
	t.Logf("log of vnmgr:\n%s", ovs.Tail(s.lab.Log("vnmgr", lab.Manager), 20))
	for _, h := range hosts {
		var b strings.Builder
		drops, err := ask[[]local.Drop](s, h.Name, local.PathDrops)
		fmt.Fprintf(&b, "drops on %s (%v):", h.Name, err)
		for _, d := range drops {
			if d.Packets > 0 {
				fmt.Fprintf(&b, " %s/%s=%d", d.Where, d.Reason, d.Packets)
			}
		}
		status, err := ask[local.Status](s, h.Name, local.PathStatus)
		t.Logf("log of vna:\n%s\nstatus: %+v %v\n%s", ovs.Tail(s.lab.Log(h.Name, lab.Agent), 20), status, err, b.String())
	}
}

// cachedShown bounds how many cached flows of a host are shown.
const cachedShown = 40

// cached gives what the datapath of a host has cached of the flows, for a reader: without what matches nothing. The test's context may be over.
func (s *scene) cached(host string) string {
	sw, err := s.lab.OVS(host)
	if err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := sw.Appctl(ctx, "dpctl/dump-flows", "--names", s.datapath())
	if err != nil {
		return err.Error()
	}
	lines := slices.Sorted(strings.Lines(out))
	if len(lines) > cachedShown {
		lines = append(lines[:cachedShown], fmt.Sprintf("and %d more\n", len(lines)-cachedShown))
	}
	return strings.Join(lines, "")
}

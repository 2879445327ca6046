package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// reach fails the test unless the node gets an answer from the address within the time.
func reach(t *testing.T, l *lab.Lab, from, to string) {
	t.Helper()
	wait.For(t, 10*time.Second, from+" to reach "+to, func() error {
		_, err := l.Exec(t.Context(), from, "ping", "-c", "1", "-W", "1", to)
		return err
	})
}

// noReach fails the test if the node gets an answer from the address to any of three requests.
func noReach(t *testing.T, l *lab.Lab, from, to string) {
	t.Helper()
	if out, err := l.Exec(t.Context(), from, "ping", "-c", "3", "-i", "0.1", "-W", "1", to); err == nil {
		t.Errorf("%s reaches %s:\n%s", from, to, out)
	}
}

func run(t *testing.T, l *lab.Lab, node string, argv ...string) string {
	t.Helper()
	out, err := l.Exec(t.Context(), node, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPrivilegedThreeHosts(t *testing.T) {
	dir := root(t)
	l := up(t, threeHosts(t), lab.Options{Root: dir, Agents: lab.NoAgents})

	t.Run("underlay", func(t *testing.T) {
		reach(t, l, "node1", "172.16.90.11")
		reach(t, l, "node1", "172.16.91.10") // across the router
		reach(t, l, "node3", "172.16.90.200")
		reach(t, l, "outside", "172.16.91.10")
		reach(t, l, "node2", l.Spec().Management.Addr().Next().String()) // the manager's leg
	})
	t.Run("guests are isolated without flows", func(t *testing.T) {
		noReach(t, l, "vm1", "10.0.0.2")
		// Nor does the kernel of the host listen on their ports, not even to frames with the MAC of a port.
		mac := strings.TrimSpace(run(t, l, "node1", "cat", "/sys/class/net/if-v1/address"))
		for _, addr := range []string{"172.16.90.10", l.Spec().Management.Addr().Next().String()} {
			run(t, l, "vm1", "ip", "route", "add", addr+"/32", "dev", "eth0")
			noReach(t, l, "vm1", addr)
			run(t, l, "vm1", "ip", "neigh", "replace", addr, "lladdr", mac, "dev", "eth0")
			noReach(t, l, "vm1", addr)
		}
	})
	t.Run("guests on one host", func(t *testing.T) {
		run(t, l, "node1", "ovs-ofctl", "add-flow", "br0", "priority=100,in_port=if-v1,actions=if-v2")
		run(t, l, "node1", "ovs-ofctl", "add-flow", "br0", "priority=100,in_port=if-v2,actions=if-v1")
		reach(t, l, "vm1", "10.0.0.2")
		reach(t, l, "vm1", "fd00::2")
		noReach(t, l, "vm1", "10.0.0.7")
	})
	t.Run("guests across hosts over Geneve", func(t *testing.T) {
		for host, f := range map[string]struct{ guest, peer string }{"node2": {"if-v3", "172.16.91.10"}, "node3": {"if-v5", "172.16.90.11"}} {
			run(t, l, host, "ovs-vsctl", "add-port", "br0", "tun", "--", "set", "interface", "tun", "type=geneve", "options:remote_ip=flow", "options:key=flow")
			run(t, l, host, "ovs-ofctl", "add-flow", "br0", fmt.Sprintf("priority=100,in_port=%s,actions=set_field:%s->tun_dst,set_field:7->tun_id,output:tun", f.guest, f.peer))
			run(t, l, host, "ovs-ofctl", "add-flow", "br0", "priority=100,in_port=tun,tun_id=7,actions="+f.guest)
		}
		reach(t, l, "vm3", "10.0.0.5")
		reach(t, l, "vm3", "fd00::5")
	})
	t.Run("exit codes and output", func(t *testing.T) {
		var exit *exec.ExitError
		if _, err := l.Exec(t.Context(), "vm1", "sh", "-c", "exit 7"); !errors.As(err, &exit) || exit.ExitCode() != 7 {
			t.Errorf("Exec = %v, want exit code 7", err)
		}
		if _, err := l.Exec(t.Context(), "nobody", "true"); err == nil {
			t.Error("a node that does not exist runs programs")
		}
	})
	t.Run("switch killed and started", func(t *testing.T) {
		if err := l.Kill(t.Context(), "node1", lab.OpenVSwitch); err != nil {
			t.Fatal(err)
		}
		noReach(t, l, "node2", "172.16.90.10")
		if err := l.Start(t.Context(), "node1", lab.OpenVSwitch); err != nil {
			t.Fatal(err)
		}
		reach(t, l, "node2", "172.16.90.10")
		reach(t, l, "node1", "172.16.91.10")
		if out := run(t, l, "node1", "ovs-vsctl", "list-ports", "br0"); out != "eth0\nif-v1\nif-v2\nif-v7\n" {
			t.Errorf("ports after the restart: %q", out)
		}
	})
	t.Run("provisioning leaves an agent's flows alone", func(t *testing.T) {
		run(t, l, "node1", "ovs-ofctl", "del-flows", "br0")
		run(t, l, "node1", "ovs-ofctl", "add-flow", "br0", "table=0,cookie=0x1,priority=10,actions=NORMAL")
		if err := l.Start(t.Context(), "node1", lab.Switch); err != nil {
			t.Fatal(err)
		}
		if out := run(t, l, "node1", "ovs-ofctl", "dump-flows", "--no-stats", "br0"); strings.Contains(out, "0xb007") {
			t.Errorf("bootstrap flows beside an agent's:\n%s", out)
		}
	})
	if err := l.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, dir, l); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the empty root is left: %v", err)
	}
}

func TestPrivilegedUpRefusesAndReplaces(t *testing.T) {
	spec := parse(t, "again", `{hosts: {node1: {}}}`)
	l := up(t, spec, lab.Options{Agents: lab.NoAgents})
	o := lab.Options{Root: filepath.Dir(l.Dir("")), Agents: lab.NoAgents}
	if _, err := lab.Up(t.Context(), spec, o); !errors.Is(err, lab.ErrIsUp) {
		t.Fatalf("Up = %v, want ErrIsUp", err)
	}
	if _, err := l.Exec(t.Context(), "node1", "ovs-vsctl", "show"); err != nil {
		t.Fatalf("the refused Up harmed the lab: %v", err)
	}
	o.Existing = lab.Replace
	if _, err := lab.Up(t.Context(), spec, o); err != nil {
		t.Fatal(err)
	}
}

func TestPrivilegedInterruptedUp(t *testing.T) {
	privileged.Require(t)
	const example = "../labs/three-hosts.yaml"
	dir, bin := root(t), t.TempDir()
	link(t, bin, "interrupted-up")
	victim := exec.Command(filepath.Join(bin, "interrupted-up"), dir, example, "cut")
	if out, err := victim.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the interrupted program ended with %v:\n%s", err, out)
	}
	other := parse(t, "other", `{hosts: {node1: {}}}`)
	neighbour := up(t, other, lab.Options{Root: dir, Agents: lab.NoAgents})

	if _, err := lab.Open(dir, "cut"); !errors.Is(err, lab.ErrNoLab) {
		t.Errorf("Open of a half built lab = %v, want ErrNoLab", err)
	}
	spec, err := lab.ParseFile(example)
	if err != nil {
		t.Fatal(err)
	}
	spec.Name = "cut"
	l := up(t, spec, lab.Options{Root: dir, Agents: lab.NoAgents})
	reach(t, l, "node1", "172.16.91.10")
	if _, err := neighbour.Exec(t.Context(), "node1", "ovs-vsctl", "show"); err != nil {
		t.Errorf("the other lab was harmed: %v", err)
	}

	// A cancelled one cleans up by itself, whenever the interrupt comes.
	if err := l.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"underlays", "machine", "Open vSwitch answers", "if-v1"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := lab.Up(ctx, spec, lab.Options{Root: dir, Agents: lab.NoAgents, Progress: func(e lab.Event) {
			if strings.Contains(e.Text, at) {
				cancel(errors.New("interrupted"))
			}
		}})
		cancel(nil)
		if err == nil {
			t.Logf("at %q the interrupt came too late", at)
			if err := l.Down(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if left := traces(t, dir, l); len(left) > 0 {
			t.Errorf("interrupted at %q, left behind:\n%s", at, strings.Join(left, "\n"))
		}
	}
}

func TestPrivilegedTwoLabsSideBySide(t *testing.T) {
	privileged.Require(t)
	dir := root(t)
	const doc = `
underlays: {a: 172.16.90.0/24}
hosts:
  node1: {nics: {eth0: {underlay: a, address: 172.16.90.10}}}
  node2: {nics: {eth0: {underlay: a, address: 172.16.90.11}}}
`
	labs := make([]*lab.Lab, 2)
	var g errgroup.Group
	for i := range labs {
		g.Go(func() error {
			l, err := lab.Up(t.Context(), parse(t, fmt.Sprintf("side%d", i), doc), lab.Options{Root: dir, Agents: lab.NoAgents})
			labs[i] = l
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := labs[1].Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if a, b := labs[0].Spec().Management, labs[1].Spec().Management; a == b {
		t.Errorf("both labs have the management network %v", a)
	}
	reach(t, labs[0], "node1", "172.16.90.11")
	reach(t, labs[1], "node1", "172.16.90.11")
	if err := labs[0].Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, dir, labs[0]); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	reach(t, labs[1], "node2", "172.16.90.10")
	if names, err := lab.Names(dir); err != nil || !slices.Equal(names, []string{"side1"}) {
		t.Errorf("Names = %v, %v", names, err)
	}
}

func TestPrivilegedManagementConflict(t *testing.T) {
	l := up(t, parse(t, "first", `{hosts: {node1: {}}}`), lab.Options{Agents: lab.NoAgents})
	spec := parse(t, "second", `{hosts: {node1: {}}}`)
	spec.Management = l.Spec().Management
	dir := root(t)
	if _, err := lab.Up(t.Context(), spec, lab.Options{Root: dir, Agents: lab.NoAgents}); err == nil || !strings.Contains(err.Error(), "overlaps") {
		t.Errorf("Up = %v, want an error about the overlap", err)
	}
}

func TestPrivilegedRouterChainIPv6(t *testing.T) {
	l := up(t, parse(t, "chain", `
underlays: {a: [10.1.0.0/24, "fd01::/64"], b: [10.2.0.0/24, "fd02::/64"], c: [10.3.0.0/24, "fd03::/64"]}
routers:
  r1: {a: [10.1.0.1, "fd01::1"], b: [10.2.0.1, "fd02::1"]}
  r2: {b: [10.2.0.2, "fd02::2"], c: [10.3.0.2, "fd03::2"]}
hosts:
  a-host-with-a-long-name: {nics: {eth0: {underlay: a, address: [10.1.0.10, "fd01::10"]}, eth1: {underlay: c}}}
  other: {nics: {eth0: {underlay: c, address: ["fd03::10"]}}}
machines:
  far: {underlay: c, addresses: [10.3.0.200/24, "fd03::200/64"]}
`), lab.Options{Agents: lab.NoAgents})
	for _, to := range []string{"10.3.0.200", "fd03::200", "fd03::10", "10.2.0.2"} {
		reach(t, l, "a-host-with-a-long-name", to)
	}
}

// A live guest is behind another host's port from one moment to the next, and its own link knows nothing of it.
func TestPrivilegedGuestMigrates(t *testing.T) {
	l := up(t, parse(t, "migrates", `
hosts: {node1: {}, node2: {}}
guests:
  vm1: {host: node1, live: true, addresses: [10.0.0.1/24]}
  vm2: {host: node2, addresses: [10.0.0.2/24]}
  vm3: {host: node1, addresses: [10.0.0.3/24]}
`), lab.Options{Agents: lab.NoAgents})
	for _, h := range []string{"node1", "node2"} {
		run(t, l, h, "ovs-ofctl", "add-flow", "br0", "priority=100,actions=NORMAL")
	}
	link := run(t, l, "vm1", "ip", "-br", "link", "show", "eth0")
	with := []string{"10.0.0.3", "10.0.0.2"} // on either host
	for n := range 3 {
		reach(t, l, "vm1", with[n%2])
		m, err := l.Migrate(t.Context(), "vm1", []string{"node2", "node1"}[n%2])
		if err != nil {
			t.Fatal(err)
		}
		reach(t, l, "vm1", with[n%2])
		if err := errors.Join(m.Switch(), m.Finish(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	reach(t, l, "vm1", with[1])
	noReach(t, l, "vm1", with[0])
	if now := run(t, l, "vm1", "ip", "-br", "link", "show", "eth0"); now != link {
		t.Errorf("the guest's link is %s, was %s", now, link)
	}
	if out := run(t, l, "node1", "ovs-vsctl", "list-ports", "br0"); strings.TrimSpace(out) != "if-vm3" {
		t.Errorf("ports of the host that it has left: %q", out)
	}
	for guest, host := range map[string]string{"vm1": "node2", "vm2": "node1", "vmx": "node1", "vm3": "nodex"} {
		if _, err := l.Migrate(t.Context(), guest, host); err == nil {
			t.Errorf("%s migrates to %s", guest, host)
		}
	}
	if err := l.Attach(t.Context(), "vm1", "node1"); err != nil {
		t.Fatal(err)
	}
	reach(t, l, "vm1", with[0])
}

func TestPrivilegedGuestMoves(t *testing.T) {
	l := up(t, parse(t, "moves", `
hosts: {node1: {}, node2: {}}
guests:
  vm1: {host: node1, port: if-v1, addresses: [10.0.0.1/24], iface_id: if-vm1}
  vm2: {host: node2, port: if-v2, addresses: [10.0.0.2/24]}
  vm3: {port: if-v2, addresses: [10.0.0.3/24]}
`), lab.Options{Agents: lab.NoAgents})
	for _, h := range []string{"node1", "node2"} {
		run(t, l, h, "ovs-ofctl", "add-flow", "br0", "priority=100,actions=NORMAL")
	}
	if out := run(t, l, "node1", "ovs-vsctl", "get", "interface", "if-v1", "external_ids:iface-id"); strings.TrimSpace(out) != "if-vm1" {
		t.Errorf("iface-id is %q", out)
	}
	noReach(t, l, "vm1", "10.0.0.2")
	ctx := t.Context()
	if err := l.Attach(ctx, "vm1", "node2"); err != nil {
		t.Fatal(err)
	}
	reach(t, l, "vm1", "10.0.0.2")
	if out := run(t, l, "node1", "ovs-vsctl", "list-ports", "br0"); out != "" {
		t.Errorf("the old host keeps ports %q", out)
	}
	if err := l.Attach(ctx, "vm3", "node2"); err == nil {
		t.Error("a port name was plugged in twice on one host")
	}
	if err := l.Attach(ctx, "vm3", "node1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Detach(ctx, "vm1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Detach(ctx, "vm1"); err != nil {
		t.Errorf("a second detach: %v", err)
	}
	if err := l.Attach(ctx, "vm1", "node1"); err != nil {
		t.Fatal(err)
	}
	reach(t, l, "vm1", "10.0.0.3")
	st, err := lab.ReadStatus(filepath.Dir(l.Dir("")), l.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range st.Nodes {
		if n.Name == "vm1" && (n.At != "node1" || !slices.Contains(n.Addresses, netip.MustParsePrefix("10.0.0.1/24"))) {
			t.Errorf("status of vm1 after its moves: %+v", n)
		}
	}
}

func TestPrivilegedAgents(t *testing.T) {
	privileged.Require(t)
	bin := t.TempDir()
	link(t, bin, "vnmgr", "vna")
	spec := parse(t, "agents", `
underlays: {a: 172.16.90.0/24}
hosts:
  node1: {nics: {eth0: {underlay: a, address: 172.16.90.10}}}
  node2: {nics: {eth0: {underlay: a, address: 172.16.90.11}}}
`)
	l := up(t, spec, lab.Options{Bin: bin, API: "127.0.0.1:19090"})
	ctx := t.Context()
	logSays := func(node string, c lab.Component, want string) {
		t.Helper()
		wait.For(t, 10*time.Second, fmt.Sprintf("the log of %s %s to end with %q", node, c, want), func() error {
			b, err := os.ReadFile(l.Log(node, c))
			if lines := strings.Split(strings.TrimSpace(string(b)), "\n"); err == nil && lines[len(lines)-1] != want {
				err = fmt.Errorf("it ends with %q", lines[len(lines)-1])
			}
			return err
		})
	}
	logSays("node1", lab.Agent, "manager reached")
	logSays("node2", lab.Agent, "manager reached")
	if out := run(t, l, "node1", "sh", "-c", "test -S $VNA_SOCKET && echo $VNET_WEBAPI"); !strings.Contains(out, ":9090") {
		t.Errorf("environment on a host: %q", out)
	}

	run(t, l, "node1", "ip", "link", "set", "mgmt0", "down")
	logSays("node1", lab.Agent, "manager lost")
	run(t, l, "node1", "ip", "link", "set", "mgmt0", "up")
	logSays("node1", lab.Agent, "manager reached")

	if err := l.Kill(ctx, "vnmgr", lab.Manager); err != nil {
		t.Fatal(err)
	}
	logSays("node1", lab.Agent, "manager lost")
	if err := l.Start(ctx, "vnmgr", lab.Manager); err != nil {
		t.Fatal(err)
	}
	logSays("node1", lab.Agent, "manager reached")
	if err := l.Stop(ctx, "vnmgr", lab.Manager); err != nil {
		t.Fatal(err)
	}
	logSays("vnmgr", lab.Manager, "stopped") // it had time to end by itself

	before, err := l.Record("node1", lab.Agent)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(ctx, "node1", lab.Agent); err != nil { // runs already
		t.Fatal(err)
	}
	if err := l.Kill(ctx, "node1", lab.Agent); err != nil || before.Alive() {
		t.Fatalf("Kill = %v, alive %v", err, before.Alive())
	}
	if err := l.Start(ctx, "node1", lab.Agent); err != nil {
		t.Fatal(err)
	}
	after, err := l.Record("node1", lab.Agent)
	if err != nil || after.PID == before.PID || !after.Alive() {
		t.Errorf("after the restart: %+v, %v", after, err)
	}
	if err := l.Start(ctx, "node1", lab.Manager); err == nil {
		t.Error("a host has a manager")
	}

	// A second lab is told that the address is taken, and leaves nothing.
	spec.Name = "agents2"
	if err := l.Start(ctx, "vnmgr", lab.Manager); err != nil {
		t.Fatal(err)
	}
	wait.For(t, 10*time.Second, "the manager on the machine", func() error {
		resp, err := http.Get("http://" + l.API())
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	dir := root(t)
	if _, err := lab.Up(ctx, spec, lab.Options{Root: dir, Bin: bin, API: "127.0.0.1:19090"}); err == nil || !strings.Contains(err.Error(), "19090") {
		t.Errorf("Up = %v, want an error that names the address", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the refused lab left its root: %v", err)
	}
}

func TestPrivilegedUpNamesMissingPrograms(t *testing.T) {
	privileged.Require(t, "ovs-vswitchd", "ip", "sh")
	_, err := lab.Up(t.Context(), parse(t, "missing", `{hosts: {node1: {}}}`), lab.Options{Root: root(t), Bin: "/nonexistent"})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/vnmgr") {
		t.Errorf("Up = %v, want an error that names the program", err)
	}
}

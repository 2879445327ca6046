package lab_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/proc"
)

// The test program stands in for the product's programs, and for one that is killed while it builds a lab.
func TestMain(m *testing.M) {
	var err error
	switch filepath.Base(os.Args[0]) {
	case "vnmgr":
		err = standInManager(os.Args[1:])
	case "vna":
		err = standInAgent(os.Args[1:])
	case "interrupted-up":
		err = upAndDie(os.Args[1:])
	default:
		m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// many collects a flag that may be repeated.
type many []string

func (m *many) String() string     { return strings.Join(*m, ",") }
func (m *many) Set(s string) error { *m = append(*m, s); return nil }

func standInManager(args []string) error {
	var api many
	flags := flag.NewFlagSet("vnmgr", flag.ContinueOnError)
	flags.Var(&api, "api", "")
	data := flags.String("data", "", "")
	flags.Bool("insecure", false, "")
	flags.String("log-level", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	failed := make(chan error, len(api))
	for _, a := range api {
		l, err := net.Listen("tcp", a)
		if err != nil {
			return err
		}
		go func() {
			failed <- http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "stand-in", *data) }))
		}()
	}
	fmt.Fprintln(os.Stdout, "serving", api)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(os.Stdout, "stopped")
	return nil
}

func standInAgent(args []string) error {
	flags := flag.NewFlagSet("vna", flag.ContinueOnError)
	manager := flags.String("manager", "", "")
	socket := flags.String("socket", "", "")
	bpffs := flags.String("bpffs", "", "")
	for _, name := range []string{"node-id", "bridge", "uplink", "ovsdb", "state-dir", "log-level"} {
		flags.String(name, "", "")
	}
	flags.Bool("insecure", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*bpffs, "no-pin"), nil, 0o600); err == nil {
		return errors.New("the bpffs is none: it takes ordinary files")
	}
	os.Remove(*socket)
	if _, err := net.Listen("unix", *socket); err != nil {
		return err
	}
	client := http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	for range time.Tick(20 * time.Millisecond) {
		resp, err := client.Get(*manager)
		if err != nil {
			fmt.Fprintln(os.Stdout, "manager lost")
			continue
		}
		resp.Body.Close()
		fmt.Fprintln(os.Stdout, "manager reached")
	}
	return nil
}

// upAndDie kills itself when the lab is half built: what SIGKILL leaves. Its arguments are root, file and name of the
// lab.
func upAndDie(args []string) error {
	spec, err := lab.ParseFile(args[1])
	if err != nil {
		return err
	}
	spec.Name = args[2]
	_, err = lab.Up(context.Background(), spec, lab.Options{Root: args[0], Agents: lab.NoAgents, Progress: func(e lab.Event) {
		if strings.Contains(e.Text, "Open vSwitch answers") {
			unix.Kill(os.Getpid(), unix.SIGKILL) // either it works or the test sees that it did not
		}
	}})
	return err
}

// root gives a directory for labs with a path that is short enough for sockets. The test fails if a lab is left in it.
func root(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(ovs.TempDir(t), "r") // labs make it, and remove it with the last of them
	t.Cleanup(func() {
		names, _ := lab.Names(dir)
		for _, n := range names {
			t.Errorf("lab %s was left (%v)", n, lab.Remove(context.Background(), dir, n))
		}
	})
	return dir
}

func up(t testing.TB, spec lab.Spec, o lab.Options) *lab.Lab {
	t.Helper()
	privileged.Require(t, "ip", "ovs-vswitchd", "ping", "udhcpc")
	if o.Root == "" {
		o.Root = root(t)
	}
	o.Progress = func(e lab.Event) { t.Logf("%6.3fs %-8s %s", e.Elapsed.Seconds(), e.Node, e.Text) }
	start := time.Now()
	l, err := lab.Up(t.Context(), spec, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up in %v", time.Since(start))
	t.Cleanup(func() {
		if t.Failed() {
			for _, h := range spec.Hosts {
				out, _ := l.Exec(context.Background(), h.Name, "sh", "-c", "ovs-vsctl show; ovs-ofctl -O OpenFlow15 dump-flows br0; ip addr; ip route")
				t.Logf("%s:\n%s", h.Name, out)
			}
		}
		start := time.Now()
		if err := l.Down(context.Background()); err != nil && !errors.Is(err, lab.ErrNoLab) {
			t.Error(err)
		}
		t.Logf("down in %v", time.Since(start))
	})
	return l
}

func parse(t testing.TB, name, doc string) lab.Spec {
	t.Helper()
	s, err := lab.Parse([]byte(doc), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// threeHosts is the example with fixed addresses in place of DHCP: vmN has 10.0.0.N and fd00::N.
func threeHosts(t testing.TB) lab.Spec {
	t.Helper()
	s, err := lab.ParseFile("../labs/three-hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Guests {
		g := &s.Guests[i]
		g.IP = lab.IP{Addresses: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/24", i+1)), netip.MustParsePrefix(fmt.Sprintf("fd00::%d/64", i+1)),
		}}
	}
	return s
}

// traces lists what the machine holds of a lab, to be compared with nothing: namespaces, links, mounts, processes,
// files.
func traces(t testing.TB, root string, l *lab.Lab) []string {
	t.Helper()
	tag := l.Tag()
	var out []string
	names, err := netns.List("vl" + tag)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		out = append(out, "namespace "+n)
	}
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Attrs().Name, "vl"+tag) {
			out = append(out, "link "+link.Attrs().Name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, filepath.Join(root, l.Name())) || strings.Contains(line, "vl"+tag) {
			out = append(out, "mount "+strings.TrimSpace(line))
		}
	}
	for _, p := range proc.FindEnv("VNLAB_TAG=" + tag) {
		out = append(out, fmt.Sprintf("process %d %v", p.PID, p.Args))
	}
	for _, pattern := range []string{filepath.Join(root, l.Name()+"*"), filepath.Join(root, "."+l.Name()+"*"), "/etc/netns/vl" + tag + "*"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			out = append(out, "file "+f)
		}
	}
	return out
}

// link makes the test program known by another name.
func link(t testing.TB, dir string, names ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := os.Symlink(self, filepath.Join(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/alone"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// lines is an output that is read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Programs and the kernel get from one interface all that a guest asks its host for.
func TestPrivilegedServe(t *testing.T) {
	privileged.Require(t, "ip", "udhcpc", "dig", "curl", "ping")
	guest, ours := fmt.Sprintf("serve-%d-guest", os.Getpid()), fmt.Sprintf("serve-%d-ours", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	for _, name := range []string{guest, ours} {
		ns, err := netns.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(ns.Close(), netns.Delete(name)); err != nil {
				t.Error(err)
			}
		})
	}
	ip("-n", ours, "link", "add", "alone", "type", "veth", "peer", "name", "eth0", "address", "02:00:00:00:00:01", "netns", guest)
	ip("-n", ours, "link", "set", "alone", "up")

	var out, errs lines
	cmd := newCommand(&out, &errs)
	cmd.SetArgs([]string{"serve", "--interface", "alone", "--netns", ours, "--file", "testdata/serve.yaml", "--output", "json"})
	ctx, interrupt := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		if interrupt(); t.Failed() {
			t.Logf("%s\n%s", &errs, &out)
		}
	})
	const patience = 30 * time.Second
	wait.For(t, patience, "it answers", func() error {
		select {
		case err := <-done:
			t.Fatalf("it has ended: %v", err)
		default:
		}
		if !strings.Contains(errs.String(), "answering if-vm1 (02:00:00:00:00:01 10.0.0.11 fd00:6::11) on alone") {
			return errors.New(errs.String())
		}
		return nil
	})

	script := filepath.Join(t.TempDir(), "script")
	text := `#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr replace $ip/$mask dev $interface
ip link set $interface mtu $mtu
set -- $staticroutes # destinations and routers, in turn
[ "$2" != 0.0.0.0 ] || ip route replace $1 dev $interface
echo $dns $domain
`
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil { //nolint:gosec // a script
		t.Fatal(err)
	}
	ip("-n", guest, "link", "set", "eth0", "up") // the kernel solicits routers
	says := func(want string, argv ...string) {
		t.Helper()
		wait.For(t, patience, strings.Join(argv, " "), func() error {
			said, err := exec.Command("ip", append([]string{"netns", "exec", guest}, argv...)...).CombinedOutput()
			if !strings.Contains(string(said), want) {
				return fmt.Errorf("%w, no %q in\n%s", err, want, said)
			}
			return nil
		})
	}
	says("10.0.0.53 shop.example\n", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-O", "staticroutes", "-s", script)
	says("inet 10.0.0.11/24", "ip", "addr", "show", "dev", "eth0")
	says("mtu 1400", "ip", "addr", "show", "dev", "eth0")
	says("10.0.0.80\n", "dig", "+short", "@10.0.0.53", "www.shop.example")
	says("web.shop.example.\n", "dig", "+short", "+tcp", "@10.0.0.53", "-x", "10.0.0.11")
	says("#cloud-config", "curl", "-sS", "--max-time", "5", "http://169.254.169.254/latest/user-data")
	says("fd00:6::ff:fe00:1/64 scope global dynamic", "ip", "-6", "addr", "show", "dev", "eth0", "-tentative")
	says("default via fe80::ff:fe00:53 dev eth0 proto ra", "ip", "-6", "route")
	says(" 0% packet loss", "ping", "-c1", "-W5", "fd00:6::53")
	says("10.0.0.11", "curl", "-gsS", "--max-time", "5", "http://[fd00:ec2::254]/latest/meta-data/local-ipv4")

	interrupt()
	if err := <-done; err != nil {
		t.Errorf("it ends with %v", err)
	}
	events := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last struct {
		Counts []struct {
			Service, Verdict string
			Count            int
		}
	}
	if err := json.Unmarshal([]byte(events[len(events)-1]), &last); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][2]string{
		{"arp", "answered"}, {"dhcp4", "offer"}, {"dhcp4", "ack: selecting"}, {"dns", "answered"}, {"metadata", "200 OK"}, {"nd", "answered"}, {"nd", "claim: done"},
		{"ra", "advertised to the asker"}, {"icmp", "answered"},
	} {
		counted := 0
		for _, c := range last.Counts {
			if c.Service == want[0] && c.Verdict == want[1] {
				counted = c.Count
			}
		}
		said := 0
		for _, line := range events[:len(events)-1] {
			var e alone.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if e.Service == want[0] && e.Verdict == want[1] && e.Interface == "if-vm1" {
				said++
			}
		}
		if counted == 0 || said != counted {
			t.Errorf("%s %q: said %d times, counted %d", want[0], want[1], said, counted)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("networks:\n  - {uuid: nw-a, ipv4_network: 10.0.0.0}\ninterfaces:\n  - uuid: if-a\n    mode: vif\n    network_uuid: nw-b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ args, want string }{
		{"", "--interface is missing"},
		{"-i x", "--file is missing"},
		{"-i x -f " + bad + " -o yaml", `--output is table or json, not "yaml"`},
		{"-i x -f testdata/none.yaml", "testdata/none.yaml"},
		{"-i x -f " + bad, bad + ":6: "},
		{"-i x -f testdata/serve.yaml --service smtp", `there is no service "smtp"`},
		{"-i none-there -f testdata/serve.yaml", "listen on none-there: "},
		{"-i x x", `"x" is one argument too many: vnlab serve`},
	} {
		if out, err := run(t, append([]string{"serve"}, strings.Fields(tc.args)...)...); err == nil || !strings.Contains(err.Error(), tc.want) || out != "" {
			t.Errorf("vnlab serve %s: %v, output %q; want %q", tc.args, err, out, tc.want)
		}
	}
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	r := report{out: &out, counts: map[verdictCount]int{}}
	r.begin()
	for _, v := range []string{"offer", "ack: selecting", "offer"} {
		r.say(alone.Event{Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Interface: "if-vm1", Service: "dhcp4", Question: "DISCOVER", Verdict: v, Answered: true})
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	got := slices.Collect(strings.Lines(out.String()))
	for n, want := range map[int]string{
		0: "TIME INTERFACE SERVICE QUESTION VERDICT", 1: "03:04:05.006 if-vm1 dhcp4 DISCOVER offer", 6: "1 dhcp4 ack: selecting", 7: "2 dhcp4 offer",
	} {
		if n >= len(got) || strings.Join(strings.Fields(got[n]), " ") != want {
			t.Errorf("line %d is not %q:\n%s", n, want, out.String())
		}
	}
}

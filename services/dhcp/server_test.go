package dhcp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// deadline is how long a test waits for a client to do anything.
const deadline = 20 * time.Second

// server is the service alone: Respond on a raw socket, in a namespace with a veth to the client's.
type server struct {
	clientNS string
	serverNS string
	binding  atomic.Pointer[Binding]
	drop     atomic.Uint32 // a Verdict whose replies are lost
	verdicts chan Verdict
}

// serve makes both namespaces and runs the server until the test ends. The client's end is eth0, with the test client's
// MAC address.
func serve(t *testing.T, c Config) *server {
	t.Helper()
	privileged.Require(t)
	s := &server{
		clientNS: fmt.Sprintf("svc-%d-client", os.Getpid()),
		serverNS: fmt.Sprintf("svc-%d-server", os.Getpid()),
		verdicts: make(chan Verdict, 1000),
	}
	for _, ns := range []string{s.clientNS, s.serverNS} {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { run(t, "ip", "netns", "del", ns) })
	}
	run(t, "ip", "-n", s.serverNS, "link", "add", "srv0", "address", c.ServerMAC.String(), "type", "veth",
		"peer", "name", "eth0", "address", c.Client.String(), "netns", s.clientNS)
	run(t, "ip", "-n", s.serverNS, "link", "set", "srv0", "up")
	run(t, "ip", "-n", s.clientNS, "link", "set", "eth0", "up")

	s.offer(t, c)
	wire, err := netns.Listen(s.serverNS, "srv0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- wire.Serve(func(f []byte) { s.answer(t, wire, f) }) }()
	t.Cleanup(func() {
		if err := errors.Join(wire.Close(), <-done); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return s
}

// offer changes the client's configuration from now on.
func (s *server) offer(t *testing.T, c Config) {
	s.binding.Store(binding(t, c))
}

func (s *server) answer(t *testing.T, wire *netns.Wire, question []byte) {
	reply, verdict := Respond(question, func(model.MAC) *Binding { return s.binding.Load() })
	if reply != nil && verdict != Verdict(s.drop.Load()) {
		if err := wire.Send(reply); err != nil {
			t.Errorf("server: %v", err)
		}
	}
	s.verdicts <- verdict
}

// await waits until the server has come to each of the verdicts, in this order, whatever comes between them.
func (s *server) await(t *testing.T, want ...Verdict) {
	t.Helper()
	timeout := time.After(deadline)
	for _, w := range want {
		for got := Verdict(0); got != w; {
			select {
			case got = <-s.verdicts:
				t.Logf("server: %s", got)
			case <-timeout:
				t.Fatalf("no %q", w)
			}
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// client is a DHCP client program in the client's namespace, and the directory of its files.
type client struct {
	dir string
	cmd *exec.Cmd
}

// start runs a client program until the test ends. Its output goes to the test's log if the test fails.
func (s *server) start(t *testing.T, dir, name string, args ...string) *client {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: `make deps` installs it", err)
	}
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", s.clientNS, path}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &client{dir: dir, cmd: cmd}
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			b, _ := os.ReadFile(out.Name())
			t.Logf("%s:\n%s", name, b)
		}
	})
	return c
}

func (c *client) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// stop kills the client as a crash would: nothing is released.
func (c *client) stop() {
	if c.cmd.ProcessState == nil {
		c.cmd.Process.Kill()
		c.cmd.Wait()
	}
}

// writeScript writes the program that the client calls at each event: it runs the shell code apply and keeps the
// environment of the event, which the shell knows as event. Nothing answers ARP for the server here, and the kernel forgets
// its neighbours with its last address, so each event tells it anew.
func writeScript(t *testing.T, dir, event, apply string) string {
	t.Helper()
	path := filepath.Join(dir, "script")
	text := fmt.Sprintf(`#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
%s
[ -n "$interface" ] && ip neigh replace %s lladdr %s dev $interface nud permanent
env > %s/new && mv %s/new %s/env.%s
`, apply, serverIP, serverMAC, dir, dir, dir, event)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// event waits for an event of the client's script and gives its environment.
func (c *client) event(t *testing.T, name string) map[string]string {
	t.Helper()
	file := filepath.Join(c.dir, "env."+name)
	text := waitForFile(t, file, "")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[k] = v
	}
	return env
}

// waitForFile waits until a file is there and contains a text, and gives what it contains.
func waitForFile(t *testing.T, path, text string) string {
	t.Helper()
	timeout := time.After(deadline)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
			return string(b)
		}
		select {
		case <-timeout:
			t.Fatalf("no %s with %q", path, text)
		case <-tick.C:
		}
	}
}

// hasAddress checks what the kernel has after the client's script.
func (s *server) hasAddress(t *testing.T, p netip.Prefix, mtu int) {
	t.Helper()
	out := run(t, "ip", "-n", s.clientNS, "-4", "addr", "show", "dev", "eth0")
	for _, want := range []string{"inet " + p.String(), fmt.Sprintf("mtu %d", mtu)} {
		if !strings.Contains(out, want) {
			t.Errorf("eth0 has no %q:\n%s", want, out)
		}
	}
}

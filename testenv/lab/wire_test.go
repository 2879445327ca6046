package lab_test

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// capture runs tcpdump at a node until the test ends; the buffer grows as frames pass.
func capture(t *testing.T, l *lab.Lab, node, link, filter string) *buffer {
	t.Helper()
	privileged.Programs(t, "tcpdump")
	var out, errs buffer
	cmd := exec.CommandContext(t.Context(), "tcpdump", "-l", "-n", "-e", "-i", link, filter)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := l.StartAt(node, cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() }) // it is killed with the test's context
	wait.For(t, 10*time.Second, "tcpdump", func() error {
		if !strings.Contains(errs.String(), "listening on") {
			return &errs
		}
		return nil
	})
	return &out
}

// buffer is written by a program and read by a test at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestPrivilegedTaggedMachine(t *testing.T) {
	l := up(t, parse(t, "tags", `
underlays: {trunk: 10.7.0.0/24}
hosts: {node1: {nics: {eth0: {underlay: trunk}}}}
machines:
  red1: {underlay: trunk, vlan: 100, addresses: [10.7.0.1/24, "fd07::1/64"]}
  red2: {underlay: trunk, vlan: 100, addresses: [10.7.0.2/24, "fd07::2/64"]}
  blue: {underlay: trunk, vlan: 200, addresses: 10.7.0.3/24}
  plain: {underlay: trunk, addresses: 10.7.0.4/24}
  plain2: {underlay: trunk, addresses: 10.7.0.5/24}
`), lab.Options{Agents: lab.NoAgents})
	run(t, l, "node1", "ovs-ofctl", "add-flow", "br0", "priority=100,in_port=eth0,dl_vlan=100,actions=drop")
	wire := capture(t, l, "trunk", "trunk", "icmp or icmp6 or arp or vlan")

	reach(t, l, "red1", "10.7.0.2")
	reach(t, l, "red1", "fd07::2")
	reach(t, l, "plain", "10.7.0.5")
	noReach(t, l, "red1", "10.7.0.3")
	noReach(t, l, "red1", "10.7.0.4")
	noReach(t, l, "plain", "10.7.0.1")

	wait.For(t, 5*time.Second, "the capture", func() error {
		if strings.Count(wire.String(), "10.7.0.2 > 10.7.0.1: ICMP echo reply") < 1 {
			return wire
		}
		return nil
	})
	for line := range strings.Lines(wire.String()) {
		red, plain := strings.Contains(line, "vlan 100,"), !strings.Contains(line, "vlan ")
		switch {
		case strings.Contains(line, "10.7.0.1 > 10.7.0.2") && !red, strings.Contains(line, "10.7.0.2 > 10.7.0.1") && !red:
			t.Errorf("a frame of a tagged machine without its tag: %s", line)
		case strings.Contains(line, "10.7.0.4 > 10.7.0.5") && !plain:
			t.Errorf("a frame of a plain machine with a tag: %s", line)
		}
	}
	// Open vSwitch sees the tags on its NIC.
	if out := run(t, l, "node1", "ovs-ofctl", "dump-flows", "br0", "dl_vlan=100"); strings.Contains(out, "n_packets=0,") || !strings.Contains(out, "n_packets=") {
		t.Errorf("the host saw no tagged frame:\n%s", out)
	}
}

func (b *buffer) Error() string { return "so far: " + b.String() }

package ovs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestSound(t *testing.T) {
	for version, want := range map[string]bool{
		"ovs-vswitchd (Open vSwitch) 3.1.0": false, "ovs-vswitchd (Open vSwitch) 2.17.9": false, "ovs-vswitchd (Open vSwitch) 3.2.90": false,
		"ovs-vswitchd (Open vSwitch) 3.3.0\nDPDK 23.11.0": true, "ovs-vswitchd (Open vSwitch) 3.10.1": true, "ovs-vswitchd (Open vSwitch) 4.0.0": true, "": false,
	} {
		if got := sound(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestReadUpcalls(t *testing.T) {
	const flows = "  flows         : (current 57) (avg 9) (max 10000) (limit 77000)\n  dump duration : 1ms\n  ufid enabled : true\n\n  5: (keys 0)\n"
	if n, err := readUpcalls("netdev@ovs-netdev:\n" + flows); n != 57 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := readUpcalls("system@ovs-system:\n" + flows); !errors.Is(err, ErrSound) {
		t.Errorf("a kernel datapath: %v", err)
	}
	for _, text := range []string{"", "netdev@ovs-netdev:\n", "system@ovs-system:\n" + flows + "netdev@ovs-netdev:\n" + flows} {
		if _, err := readUpcalls(text); err == nil || errors.Is(err, ErrSound) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// stale has a switch cache flows that are out of date, if it is one that does, and gives how many are. Packets to some addresses are passed, then dropped,
// which changes their cached flows; a packet to another address then makes a wider drop. When they are passed again, the wider flow goes and the narrow
// ones are changed. The drops that Open vSwitch comes to before it comes to the wider one stay, since the wider one is found in their place: masks are
// looked through by age, and a packet of IPv6 has made its mask first. In which order it comes to them is random.
func stale(t *testing.T, s *ovsenv.Sandbox) int {
	t.Helper()
	const narrow = 24
	send := func(what string) {
		s.MustAppctl("netdev-dummy/receive", "a1", "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),"+what)
	}
	send4 := func(last int) {
		send(fmt.Sprintf("eth_type(0x0800),ipv4(src=10.0.0.100,dst=10.0.0.%d,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)", last))
	}
	var pass strings.Builder
	for n := range narrow {
		fmt.Fprintf(&pass, "ip,nw_dst=10.0.0.%d,actions=output:2\n", n)
	}
	file := filepath.Join(t.TempDir(), "flows")
	if err := os.WriteFile(file, []byte(pass.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.MustOfctl("del-flows", "br0")
	s.MustAppctl("revalidator/purge")
	send("eth_type(0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=59,tclass=0,hlimit=64,frag=no)")
	s.MustOfctl("--bundle", "add-flows", "br0", file)
	for n := range narrow {
		send4(n)
	}
	s.MustOfctl("del-flows", "br0")
	settle(s)
	send4(200)
	s.MustOfctl("--bundle", "add-flows", "br0", file)
	settle(s)
	return drops(s)
}

// settle waits until the switch has compared its cached flows with the flows as they are.
func settle(s *ovsenv.Sandbox) {
	for range 2 { // the first may have begun before
		s.MustAppctl("revalidator/wait")
	}
}

// drops counts the cached flows that drop IPv4 packets.
func drops(s *ovsenv.Sandbox) int {
	n := 0
	for l := range strings.Lines(s.MustAppctl("dpctl/dump-flows", "dummy@ovs-dummy")) {
		if strings.Contains(l, "ipv4(") && strings.Contains(l, "actions:drop") {
			n++
		}
	}
	return n
}

func TestPrivilegedCached(t *testing.T) {
	s := ovsenv.StartSandbox(t)
	s.AddBridge("br0", "a1", "a2")
	c := NewCached(s.DB())
	defer c.Close()
	_, err := c.Mend(t.Context())
	if errors.Is(err, ErrSound) {
		for range 5 {
			if n := stale(t, s); n > 0 {
				t.Fatalf("%d cached flows are out of date, and nobody mends them: %s", n, s.MustAppctl("version"))
			}
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	mend := func(want bool) {
		t.Helper()
		wait.For(t, 20*time.Second, "the switch to be mended", func() error {
			n, err := c.Mend(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 != want {
				return fmt.Errorf("%d flows were forgotten", n)
			}
			return nil
		})
	}
	wait.For(t, 20*time.Second, "cached flows that are out of date", func() error {
		if stale(t, s) == 0 {
			return errors.New("none is")
		}
		return nil
	})
	mend(true)
	if n := drops(s); n > 0 {
		t.Errorf("%d cached flows are out of date", n)
	}
	mend(false)
}

package deploy_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/deploy"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// host is a namespace with an Open vSwitch and a NIC that is connected to nothing.
type host struct {
	t  *testing.T
	ns *netns.NS
	sw *ovs.Instance
}

func newHost(t *testing.T) host {
	t.Helper()
	privileged.Require(t, append([]string{"ip", "sh"}, ovs.Programs...)...)
	ns, err := netns.Create(fmt.Sprintf("tdeploy%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	sw, err := ovs.Open(ovs.Options{Dir: ovs.TempDir(t), NS: ns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sw.Kill(context.Background()); err != nil {
			t.Error(err)
		}
		ns.Close()
		if err := netns.Delete(ns.Name()); err != nil {
			t.Error(err)
		}
	})
	if err := sw.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return host{t, ns, sw}
}

func (h host) sh(script string, args ...string) string {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "sh", append([]string{"-c", script, "host.sh"}, args...)...)
	cmd.Env = append(os.Environ(), h.sw.Env()...)
	out, err := h.ns.Output(cmd)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(out)
}

func TestPrivilegedHostMovesAddressesOfTheNIC(t *testing.T) {
	h := newHost(t)
	h.sh(`ip link add eth9 mtu 1450 type veth peer name far
		ip link set far up; ip link set eth9 up
		ip addr add 192.0.2.10/24 dev eth9; ip addr add 2001:db8::10/64 dev eth9 nodad
		ip route add default via 192.0.2.1; ip route add 198.51.100.0/24 via 192.0.2.2; ip -6 route add default via 2001:db8::1`)
	const look = `ip -o addr show dev eth9 scope global
		ip -o addr show dev br0 scope global | awk '{print $4}'
		ip route; ip -6 route show default
		cat /sys/class/net/br0/mtu /sys/class/net/br0/address
		ovs-vsctl get bridge br0 datapath_id fail_mode; ovs-ofctl --names --no-stats dump-flows br0 | sort`
	args := []string{"--datapath", "netdev", "--dpid", "0x00000000000000ab", "--mac", "02:01:00:00:00:09", "--nic", "eth9"}
	h.sh(deploy.HostScript, args...)
	once := strings.ReplaceAll(h.sh(look), " \n", "\n")
	want := `192.0.2.10/24
2001:db8::10/64
default via 192.0.2.1 dev br0
192.0.2.0/24 dev br0 proto kernel scope link src 192.0.2.10
198.51.100.0/24 via 192.0.2.2 dev br0
default via 2001:db8::1 dev br0 metric 1024 pref medium
1450
02:01:00:00:00:09
"00000000000000ab"
secure
 cookie=0xb007, priority=50,in_port=LOCAL actions=output:eth9
 cookie=0xb007, priority=50,in_port=eth9 actions=LOCAL
`
	if once != want {
		t.Errorf("after host.sh:\n%s\nwant:\n%s", once, want)
	}
	h.sh(deploy.HostScript, args...)
	if again := strings.ReplaceAll(h.sh(look), " \n", "\n"); again != once {
		t.Errorf("a second run changed\n%s\nto\n%s", once, again)
	}
	h.sh("ovs-ofctl del-flows br0; ovs-ofctl add-flow br0 cookie=5,actions=drop")
	h.sh(deploy.HostScript, append(args, "--route", "203.0.113.0/24=192.0.2.3", "--route", "2001:db8:1::/48=2001:db8::3")...)
	out := h.sh("ovs-ofctl --no-stats dump-flows br0; ip route; ip -6 route")
	if strings.Contains(out, "0xb007") {
		t.Errorf("bootstrap flows were added beside an agent's:\n%s", out)
	}
	for _, r := range []string{"203.0.113.0/24 via 192.0.2.3 dev br0", "2001:db8:1::/48 via 2001:db8::3 dev br0"} {
		if !strings.Contains(out, r) {
			t.Errorf("no route %q:\n%s", r, out)
		}
	}
}

func TestHostRefusesUnknownOptions(t *testing.T) {
	for _, args := range [][]string{{"--dpdi", "1"}, {"--dpid"}} {
		cmd := exec.Command("sh", append([]string{"-c", deploy.HostScript, "host.sh"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), args[0]) {
			t.Errorf("host.sh %v: %v, %q", args, err, out)
		}
	}
}

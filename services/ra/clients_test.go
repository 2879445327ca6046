package ra_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp6"
	"github.com/openvnet/openvnet/services/ra"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// The clients of these tests are the kernel's and Debian's. The router and the server are ra and dhcp6 alone on a raw socket.

const patience = 20 * time.Second

var clientMAC, routerMAC = model.MAC{2, 0, 0, 0, 0, 1}, model.MAC{2, 0, 0, 0, 1, 0}

// network is a namespace with a router at the other end of its cable.
type network struct {
	t        *testing.T
	ns       string
	wire     *netns.Wire
	mu       sync.Mutex
	says     *ra.Advertisement
	binding  *dhcp6.Binding
	verdicts map[string]int
}

func serve(t *testing.T, programs ...string) *network {
	t.Helper()
	privileged.Require(t, append(programs, "ip", "sysctl")...)
	n := &network{t: t, ns: fmt.Sprintf("ra-%d-client", os.Getpid()), verdicts: map[string]int{}}
	router := fmt.Sprintf("ra-%d-router", os.Getpid())
	for _, ns := range []string{n.ns, router} {
		n.run("ip", "netns", "add", ns)
		t.Cleanup(func() { n.run("ip", "netns", "del", ns) })
	}
	n.run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
	n.run("ip", "-n", router, "link", "add", "r0", "address", routerMAC.String(), "type", "veth", "peer", "name", "eth0", "address", clientMAC.String(), "netns", n.ns)
	n.inside("sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=1", "net.ipv6.conf.eth0.use_tempaddr=2", "net.ipv6.conf.eth0.accept_ra_rt_info_max_plen=64")
	n.run("ip", "-n", router, "link", "set", "r0", "up")
	var err error
	if n.wire, err = netns.Listen(router, "r0"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.wire.Serve(n.answer) }()
	t.Cleanup(func() {
		if err := errors.Join(n.wire.Close(), <-done); err != nil {
			t.Errorf("router: %v", err)
		}
	})
	return n
}

func (n *network) answer(question []byte) {
	n.mu.Lock()
	replies, verdict := ra.Respond(question, func(model.MAC) []*ra.Advertisement {
		if n.says == nil {
			return nil
		}
		return []*ra.Advertisement{n.says}
	})
	n.verdicts["ra "+verdict.String()]++
	reply, answer, _ := dhcp6.Respond(question, func(model.MAC) *dhcp6.Binding { return n.binding })
	n.verdicts["dhcp6 "+answer.String()]++
	n.mu.Unlock()
	if reply != nil {
		replies = append(replies, reply)
	}
	for _, r := range replies {
		n.send(r)
	}
}

func (n *network) send(frame []byte) {
	n.t.Helper()
	if err := n.wire.Send(frame); err != nil {
		n.t.Errorf("router: %v", err)
	}
}

// advertise says what the network is from now on, and tells it at once.
func (n *network) advertise(a *ra.Advertisement) {
	n.t.Helper()
	n.mu.Lock()
	n.says = a
	n.mu.Unlock()
	n.send(a.Frame())
}

func (n *network) lease(c dhcp6.Config) {
	n.t.Helper()
	b, err := dhcp6.NewBinding(c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	n.binding = b
	n.mu.Unlock()
}

// saw waits until something has come that often.
func (n *network) saw(verdict string, times int) {
	n.t.Helper()
	wait.For(n.t, patience, verdict, func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.verdicts[verdict] < times {
			return fmt.Errorf("%d times, not %d: %v", n.verdicts[verdict], times, n.verdicts)
		}
		return nil
	})
}

func (n *network) run(argv ...string) string {
	n.t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}

func (n *network) inside(argv ...string) string {
	n.t.Helper()
	return n.run(append([]string{"ip", "netns", "exec", n.ns}, argv...)...)
}

// shows waits until a command inside says each of the texts, and none of those that begin with "no ".
func (n *network) shows(command string, texts ...string) {
	n.t.Helper()
	wait.For(n.t, patience, command, func() error {
		out := n.inside(strings.Fields(command)...)
		for _, text := range texts {
			if text, no := strings.CutPrefix(text, "no "); strings.Contains(out, text) == no {
				return fmt.Errorf("%q in\n%s", text, out)
			}
		}
		return nil
	})
}

func advertisement(t *testing.T, c ra.Config) *ra.Advertisement {
	t.Helper()
	a, err := ra.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The kernel makes its addresses, takes MTU and routes, and gives up what is over.
func TestPrivilegedKernel(t *testing.T) {
	n := serve(t)
	c := ra.Config{
		Source: routerMAC, Default: true, MTU: 1400, Prefixes: []ra.Prefix{{Prefix: netip.MustParsePrefix("fd00:1::/64"), Autonomous: true, Lifetime: time.Hour}},
		Routes: []netip.Prefix{netip.MustParsePrefix("fd00:2::/64"), netip.MustParsePrefix("fd00:3::/48")},
	}
	before := advertisement(t, c)
	n.mu.Lock()
	n.says = before // who comes asks
	n.mu.Unlock()
	n.run("ip", "-n", n.ns, "link", "set", "eth0", "up")
	n.saw("ra advertised to the asker", 1)
	n.shows("ip -6 addr show dev eth0", "fd00:1::ff:fe00:1/64", "temporary", "no tentative")
	n.shows("ip -6 route show", "default via fe80::ff:fe00:100 dev eth0", "fd00:2::/64 via fe80::ff:fe00:100", "fd00:3::/48 via fe80::ff:fe00:100", "fd00:1::/64 dev eth0")
	n.shows("cat /proc/sys/net/ipv6/conf/eth0/mtu", "1400")

	c.Default, c.MTU, c.Routes = false, 1300, c.Routes[1:]
	after := advertisement(t, c).After(before)
	n.advertise(after)
	n.shows("ip -6 route show", "no default", "no fd00:2::/64", "fd00:3::/48 via fe80::ff:fe00:100")
	n.shows("cat /proc/sys/net/ipv6/conf/eth0/mtu", "1300")

	c.Prefixes = []ra.Prefix{{Prefix: netip.MustParsePrefix("fd00:1::/64"), Lifetime: time.Hour}}
	after = advertisement(t, c).After(after)
	n.advertise(after)
	n.shows("ip -6 addr show dev eth0", "deprecated")
	n.shows("ip -6 route show", "fd00:1::/64 dev eth0")
	n.advertise(after.Final())
	n.shows("ip -6 route show", "no fd00:3::/48", "no proto ra")
}

// client6 is what clients are given.
func client6() dhcp6.Config {
	return dhcp6.Config{
		Client: clientMAC, Prefix: netip.MustParsePrefix("fd00:1::/64"), Addresses: []netip.Addr{netip.MustParseAddr("fd00:1::10")}, ServerMAC: routerMAC,
		DNS: []netip.Addr{netip.MustParseAddr("fd00:1::53")}, Search: []string{"example.org"}, Lease: 10 * time.Minute, Renew: 2 * time.Second, Rebind: 4 * time.Second,
	}
}

// script writes a client's script, which keeps the environment of each event.
func script(t *testing.T, dir, apply string) string {
	t.Helper()
	path := filepath.Join(dir, "script")
	text := fmt.Sprintf("#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n%s\nenv > %[2]s/new && mv %[2]s/new %[2]s/env.$reason\nexit 0\n", apply, dir)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // a script
		t.Fatal(err)
	}
	return path
}

// event waits for an event of a client's script, whose environment has these lines.
func event(t *testing.T, dir, name string, lines ...string) {
	t.Helper()
	wait.For(t, patience, name, func() error {
		b, err := os.ReadFile(filepath.Join(dir, "env."+name))
		for _, l := range lines {
			if err == nil && !strings.Contains("\n"+string(b), "\n"+l+"\n") {
				err = fmt.Errorf("no %q in\n%s", l, b)
			}
		}
		return err
	})
}

func TestPrivilegedDhclient6(t *testing.T) {
	n := serve(t, "dhclient")
	n.lease(client6())
	n.run("ip", "-n", n.ns, "link", "set", "eth0", "up")
	n.shows("ip -6 addr show dev eth0", "fe80::ff:fe00:1/64", "no tentative")
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("also request dhcp6.name-servers, dhcp6.domain-search;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sf := script(t, dir, "case $reason in BOUND6|RENEW6|REBIND6) ip -6 addr replace $new_ip6_address/128 dev $interface;; esac")
	start := func(flags ...string) {
		n.inside(append([]string{"dhclient", "-6", "-cf", conf, "-sf", sf, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0"}, flags...)...)
	}
	start()
	n.saw("dhcp6 advertise", 1)
	n.saw("dhcp6 reply: request", 1)
	told := []string{"new_ip6_address=fd00:1::10", "new_dhcp6_name_servers=fd00:1::53", "new_dhcp6_domain_search=example.org.", "new_max_life=600", "new_preferred_life=375"}
	event(t, dir, "BOUND6", told...)
	n.saw("dhcp6 reply: renew", 1)
	event(t, dir, "RENEW6", told...)

	// The address becomes another one: the old one is over, and the new one is there, with the next renewal.
	c := client6()
	c.Addresses = []netip.Addr{netip.MustParseAddr("fd00:1::11")}
	n.lease(c)
	n.shows("ip -6 addr show dev eth0", "fd00:1::11/128")
	start("-r")
	n.saw("dhcp6 reply: released", 1)

	start("-S") // options only
	n.saw("dhcp6 reply: information", 1)
	n.inside("sh", "-c", "p=$(cat "+filepath.Join(dir, "pid")+") && kill $p && tail -s 0.1 --pid=$p -f /dev/null || true") // until it writes no more
}

// dhcpcd goes by what the router says: it asks DHCPv6 where addresses are managed.
func TestPrivilegedDhcpcd(t *testing.T) {
	n := serve(t, "dhcpcd")
	c := client6()
	c.Renew, c.Rebind = 0, 0
	n.lease(c)
	says := ra.Config{Source: routerMAC, Managed: true, MTU: 1400, DNS: []netip.Addr{netip.MustParseAddr("fd00:1::54")}, Search: []string{"ra.example"},
		Prefixes: []ra.Prefix{{Prefix: netip.MustParsePrefix("fd00:1::/64"), Lifetime: time.Hour}}}
	n.mu.Lock()
	n.says = advertisement(t, says)
	n.mu.Unlock()
	n.run("ip", "-n", n.ns, "link", "set", "eth0", "up")
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("duid\noption dhcp6_name_servers, dhcp6_domain_search\nscript "+script(t, dir, "")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := exec.Command("ip", "netns", "exec", n.ns, "sh", "-c", "mount -t tmpfs tmpfs /var/lib/dhcpcd && exec dhcpcd -6 -B -q -f "+conf+" eth0") // it would remember leases of other tests
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Process.Signal(syscall.SIGTERM)
		_ = client.Wait() // that it was told to end
	})
	event(t, dir, "ROUTERADVERT", "nd1_rdnss1_servers=fd00:1::54", "nd1_dnssl1_search=ra.example", "nd1_mtu=1400")
	event(t, dir, "BOUND6", "new_dhcp6_ia_na1_ia_addr1=fd00:1::10", "new_dhcp6_name_servers=fd00:1::53", "new_dhcp6_domain_search=example.org")
	n.saw("dhcp6 reply: request", 1)
}

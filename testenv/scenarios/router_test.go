package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Two routers one behind the other, on two hosts, with smaller networks the farther one goes:
//
//	vm1 (node1) ── one, 1400 ── rl-near ── middle, 1350 ── rl-far ── two, 1300 ── vm3 (node2)
//	                                                          └── the hosts' own network
var path = struct{ networks, interfaces, routes []client.Params }{
	networks: []client.Params{
		{"uuid": "nw-one", "ipv4_network": "10.1.0.0", "ipv4_prefix": 24, "ipv6_network": "fd01::", "ipv6_prefix": 64, "mtu": 1400},
		{"uuid": "nw-middle", "ipv4_network": "10.8.0.0", "ipv4_prefix": 24, "ipv6_network": "fd08::", "ipv6_prefix": 64, "mtu": 1350},
		{"uuid": "nw-two", "ipv4_network": "10.2.0.0", "ipv4_prefix": 24, "ipv6_network": "fd02::", "ipv6_prefix": 64, "mtu": 1300},
	},
	interfaces: []client.Params{
		{"uuid": "if-one", "network_uuid": "nw-one", "ipv4_address": "10.1.0.1", "ipv6_address": "fd01::1", "mac_address": "02:0c:00:00:00:01"},
		{"uuid": "if-near", "network_uuid": "nw-middle", "ipv4_address": "10.8.0.1", "ipv6_address": "fd08::1", "mac_address": "02:0c:00:00:00:02", "owner_datapath_uuid": "dp-node1"},
		{"uuid": "if-far", "network_uuid": "nw-middle", "ipv4_address": "10.8.0.2", "ipv6_address": "fd08::2", "mac_address": "02:0c:00:00:00:03", "owner_datapath_uuid": "dp-node2"},
		{"uuid": "if-two", "network_uuid": "nw-two", "ipv4_address": "10.2.0.1", "ipv6_address": "fd02::1", "mac_address": "02:0c:00:00:00:04"},
		{"uuid": "if-wire", "ipv4_address": "172.16.90.50", "mac_address": "02:0c:00:00:00:05", "owner_datapath_uuid": "dp-node2"}, // in the hosts' own network
	},
	routes: []client.Params{
		{"uuid": "r-one", "interface_uuid": "if-one", "network_uuid": "nw-one", "route_link_uuid": "rl-near", "ipv4_network": "10.1.0.0", "ipv4_prefix": 24, "ipv6_network": "fd01::", "ipv6_prefix": 64},
		{
			"uuid": "r-near", "interface_uuid": "if-near", "network_uuid": "nw-middle", "route_link_uuid": "rl-near", "ipv4_network": "0.0.0.0", "ipv4_prefix": 0, "ipv6_network": "::", "ipv6_prefix": 0,
			"ipv4_gateway": "10.8.0.2", "ipv6_gateway": "fd08::2",
		},
		{
			"uuid": "r-far", "interface_uuid": "if-far", "network_uuid": "nw-middle", "route_link_uuid": "rl-far", "ipv4_network": "10.1.0.0", "ipv4_prefix": 24, "ipv6_network": "fd01::", "ipv6_prefix": 64,
			"ipv4_gateway": "10.8.0.1", "ipv6_gateway": "fd08::1",
		},
		{"uuid": "r-two", "interface_uuid": "if-two", "network_uuid": "nw-two", "route_link_uuid": "rl-far", "ipv4_network": "10.2.0.0", "ipv4_prefix": 24, "ipv6_network": "fd02::", "ipv6_prefix": 64},
		{"uuid": "r-wire", "interface_uuid": "if-wire", "route_link_uuid": "rl-far", "ipv4_network": "172.16.90.0", "ipv4_prefix": 24},
	},
}

// Real tools see the routers: the hops of a path, its MTU, what nobody serves and who is not there. So they do however hosts have come to know of it all, and
// what changes they see changed.
func TestPrivilegedRoutersAreSeen(t *testing.T) {
	privileged.Require(t, "traceroute", "tracepath", "mtr", "ping", "curl")
	still := func(g *lab.Guest, mtu int, as ...string) {
		g.DHCP, g.DHCPClient, g.MTU = false, "", mtu
		for n, a := range as {
			if p, err := netip.ParsePrefix(a); err == nil {
				g.Addresses = append(g.Addresses, p)
			} else {
				g.Gateways = append(g.Gateways, netip.MustParseAddr(as[n]))
			}
		}
	}
	s := up(t, threeHosts(t, "sc-routers", func(spec *lab.Spec) {
		still(guestOf(spec, "vm1"), 1400, "10.1.0.11/24", "fd01::11/64", "10.1.0.1", "fd01::1")
		still(guestOf(spec, "vm3"), 1300, "10.2.0.13/24", "fd02::13/64", "10.2.0.1", "fd02::1")
	}), lab.StartAgents)
	s.joined(t)
	s.connect(t)
	seen := func(t *testing.T) { s.seen(t, 1300, "10.2.0.13", "fd02::13") }
	t.Run("configured while agents run", seen)
	for _, h := range []string{"node1", "node2"} {
		s.kill(t, h, lab.Agent)
	}
	for _, h := range []string{"node2", "node1"} {
		s.start(t, h, lab.Agent)
		s.settled(t, h, ofManager)
	}
	t.Run("agents started after it", seen)
	t.Run("a smaller MTU", func(t *testing.T) {
		if _, err := client.Update[model.Network](t.Context(), s.api, "nw-two", client.Params{"mtu": 1280}); err != nil {
			t.Fatal(err)
		}
		s.pathMTU(t, 1280, "10.2.0.13", "fd02::13")
	})
	// Errors about what a masquerade has translated find back to who sent it. (docs/packets.md, section 7, has what the userspace datapath does otherwise: the MTU told of UDP over IPv6.)
	t.Run("behind a masquerade", func(t *testing.T) {
		s.masquerade(t)
		s.seen(t, 1280, "10.2.0.13")
	})
	t.Run("a route less", func(t *testing.T) {
		s.remove(t, "r-two")
		s.says(t, "10.8.0.2 .*Destination Net Unreachable", "ping", "-n", "-c", "1", "-W", "2", "10.2.0.13")
		s.says(t, "fd08::2 .*Destination unreachable: No route", "ping", "-n", "-c", "1", "-W", "2", "fd02::13")
	})
}

// connect configures the routers and their guests.
func (s *scene) connect(t *testing.T) {
	t.Helper()
	wire := ""
	for n, err := range client.List[model.Network](t.Context(), s.api, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if n.Object.IPv4Network == netip.MustParseAddr("172.16.90.0") {
			wire = n.Object.UUID
		}
	}
	docs := client.Documents{"networks": path.networks, "route_links": {{"uuid": "rl-near"}, {"uuid": "rl-far"}}}
	for _, p := range path.interfaces {
		i := client.Params{"mode": "simulated", "enable_routing": true, "network_uuid": wire}
		for k, v := range p {
			i[k] = v
		}
		docs["interfaces"] = append(docs["interfaces"], i)
	}
	for _, p := range path.routes {
		r := client.Params{"network_uuid": wire}
		for k, v := range p {
			r[k] = v
		}
		docs["routes"] = append(docs["routes"], r)
	}
	spec := s.lab.Spec()
	for vm, network := range map[string]client.Params{
		"vm1": {"network_uuid": "nw-one", "ipv4_address": "10.1.0.11", "ipv6_address": "fd01::11"}, "vm3": {"network_uuid": "nw-two", "ipv4_address": "10.2.0.13", "ipv6_address": "fd02::13"},
	} {
		g := guestOf(&spec, vm)
		network["uuid"], network["mode"], network["port_name"], network["mac_address"] = "if-"+vm, "vif", g.Port, g.MAC
		docs["interfaces"] = append(docs["interfaces"], network)
	}
	s.apply(t, docs)
}

// masquerade hides network one behind the near router's leg in the middle: the far router knows no way to it any more, so that answers and errors come to the leg's addresses.
func (s *scene) masquerade(t *testing.T) {
	t.Helper()
	s.remove(t, "r-far")
	s.apply(t, client.Documents{
		"routes": {{
			"uuid": "r-far", "interface_uuid": "if-far", "network_uuid": "nw-middle", "route_link_uuid": "rl-far", "ipv4_network": "10.8.0.0", "ipv4_prefix": 24, "ipv6_network": "fd08::", "ipv6_prefix": 64,
		}},
		"translations": {{"uuid": "tr-near", "interface_uuid": "if-near", "mode": "masquerade", "network_uuid": "nw-one"}},
	})
	if _, err := client.Update[model.Interface](t.Context(), s.api, "if-near", client.Params{"enable_route_translation": true}); err != nil {
		t.Fatal(err)
	}
}

// seen has the tools look at the path, of both families, and find out its MTU.
func (s *scene) seen(t *testing.T, mtu int, byUDP ...string) {
	s.reaches(t, guest{name: "vm1"}, netip.MustParseAddr("10.2.0.13"))
	s.reaches(t, guest{name: "vm1"}, netip.MustParseAddr("fd02::13"))
	var all []saying
	for _, f := range []struct {
		family, near, far, to, nobody, unserved string
	}{
		{"-4", "10.1.0.1", "10.8.0.2", "10.2.0.13", "10.2.0.99", "10.1.0.1"},
		{"-6", "fd01::1", "fd08::2", "fd02::13", "fd02::99", "[fd01::1]"},
	} {
		hops := fmt.Sprintf(`(?s)\b1[ :.|?-]+%s .*\b2[ :.|?-]+%s .*\b3[ :.|?-]+%s`, regexp.QuoteMeta(f.near), regexp.QuoteMeta(f.far), regexp.QuoteMeta(f.to))
		for _, by := range [][]string{{}, {"-I"}, {"-T", "-p", "9"}} {
			all = append(all, saying{hops, append(append([]string{"traceroute", f.family, "-n", "-q", "1", "-w", "2", "-m", "6"}, by...), f.to)})
		}
		all = append(all,
			saying{hops, []string{"mtr", f.family, "-n", "--report", "--report-cycles", "2", f.to}},
			saying{"(?i)connection refused|couldn't connect", []string{"curl", f.family, "-sS", "-m", "5", "http://" + f.unserved + ":8080/"}},
			saying{"100% packet loss|unreachable", []string{"ping", f.family, "-n", "-c", "1", "-W", "1", f.nobody}},
		)
	}
	s.say(t, append(all, saying{"10.8.0.2 .*Destination Host Unreachable", []string{"ping", "-n", "-c", "1", "-W", "10", "172.16.90.222"}})...)
	s.pathMTU(t, mtu, byUDP...)
	s.says(t, "1200 bytes|1208 bytes", "ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", "1200", "10.2.0.13")
	s.says(t, "1368 bytes from 10.2.0.13", "ping", "-n", "-c", "1", "-W", "3", "-M", "dont", "-s", "1360", "10.2.0.13") // cut on the way
	s.says(t, "3008 bytes from 10.2.0.13", "ping", "-n", "-c", "1", "-W", "3", "-M", "dont", "-s", "3000", "10.2.0.13") // in fragments that are cut again
}

// pathMTU has the tools find out the smallest MTU of the path by echo requests, and by UDP to these addresses.
func (s *scene) pathMTU(t *testing.T, mtu int, byUDP ...string) {
	t.Helper()
	for _, to := range byUDP {
		s.exec(t, "vm1", "ip", "route", "flush", "cache")
		s.exec(t, "vm1", "ip", "-6", "route", "flush", "cache")
		s.says(t, fmt.Sprintf(`(?s)pmtu 1350.*pmtu %d.*Resume: pmtu %d`, mtu, mtu), "tracepath", "-n", "-m", "6", to)
	}
	for _, to := range []string{"10.2.0.13", "fd02::13"} {
		s.exec(t, "vm1", "ip", "route", "flush", "cache")
		s.exec(t, "vm1", "ip", "-6", "route", "flush", "cache")
		s.says(t, `(?i)mtu ?= ?1350`, "ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", "1350", to)
		s.says(t, fmt.Sprintf(`(?i)mtu ?= ?%d`, mtu), "ping", "-n", "-c", "2", "-i", "0.3", "-W", "2", "-M", "do", "-s", "1300", to)
	}
}

// saying is a command at vm1, and what its output is to match.
type saying struct {
	pattern string
	argv    []string
}

// says waits until a command at vm1 says what matches.
func (s *scene) says(t *testing.T, pattern string, argv ...string) {
	t.Helper()
	s.say(t, saying{pattern, argv})
}

// say waits until each command says what matches; all run at once.
func (s *scene) say(t *testing.T, all ...saying) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait.Scaled(patience))
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for n, c := range all {
		re := regexp.MustCompile(c.pattern)
		wg.Go(func() {
			errs[n] = wait.Until(ctx, 0, func() error {
				began := time.Now()
				out, err := s.lab.Exec(ctx, "vm1", c.argv...)
				var failed *exec.ExitError
				if errors.As(err, &failed) {
					out += err.Error()
				}
				if !re.MatchString(out) {
					return fmt.Errorf("%s is to say %s; after %s it says %s (%w)", strings.Join(c.argv, " "), re, time.Since(began).Round(time.Millisecond), out, err)
				}
				return nil
			})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

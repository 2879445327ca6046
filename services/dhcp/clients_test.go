package dhcp

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The clients of these tests are Debian's, and the server is Respond alone on a raw socket.

func clientConfig() Config {
	c := config()
	c.Routes = []Route{{prefix("10.200.0.0/16"), addr("10.100.0.2")}, {prefix("192.0.2.128/25"), addr("10.100.0.3")}}
	c.Search = []string{"example.org", "lab.example.org"}
	c.Lease = 10 * time.Minute
	return c
}

// expect compares the variables that matter of a script's environment.
func expect(t *testing.T, env, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for k := range want {
		got[k] = env[k]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment of the script (-want +got):\n%s", diff)
	}
}

func udhcpc(t *testing.T, s *server, args ...string) *client {
	dir := t.TempDir()
	script := writeScript(t, dir, "$1", `case $1 in
bound|renew) ip addr replace $ip/$mask dev $interface; ip link set $interface mtu $mtu;;
deconfig) ip addr flush dev $interface;;
esac`)
	return s.start(t, dir, "udhcpc", append([]string{"-f", "-i", "eth0", "-s", script, "-O", "mtu", "-O", "staticroutes", "-O", "search"}, args...)...)
}

func TestPrivilegedUdhcpc(t *testing.T) {
	s := serve(t, clientConfig())
	c := udhcpc(t, s)

	s.await(t, Offer, AckSelecting)
	lease := map[string]string{
		"ip": "10.100.0.10", "mask": "24", "subnet": "255.255.255.0", "broadcast": "10.100.0.255", "serverid": "10.100.0.100",
		"siaddr": "10.100.0.100", "dns": "10.100.0.53 192.0.2.53", "domain": "example.org",
		"search": "example.org lab.example.org", "mtu": "1400", "lease": "600",
		"router":       "", // because of the routes
		"staticroutes": "0.0.0.0/0 10.100.0.1 10.200.0.0/16 10.100.0.2 192.0.2.128/25 10.100.0.3",
	}
	expect(t, c.event(t, "bound"), lease)
	s.hasAddress(t, prefix("10.100.0.10/24"), 1400)

	c.signal(t, syscall.SIGUSR1)
	s.await(t, AckRenewing)
	expect(t, c.event(t, "renew"), lease)

	// A changed configuration arrives with the next renewal.
	cfg := clientConfig()
	cfg.MTU = 1300
	s.offer(t, cfg)
	c.signal(t, syscall.SIGUSR1)
	s.await(t, AckRenewing)
	expect(t, c.event(t, "renew"), map[string]string{"mtu": "1300"})
	s.hasAddress(t, prefix("10.100.0.10/24"), 1300)

	// A changed address is refused at the next renewal, and the client asks anew.
	cfg.Address = prefix("10.100.0.11/24")
	s.offer(t, cfg)
	c.signal(t, syscall.SIGUSR1)
	s.await(t, Nak, Offer, AckSelecting)
	expect(t, c.event(t, "nak"), map[string]string{"message": nakText})
	expect(t, c.event(t, "bound"), map[string]string{"ip": "10.100.0.11"})

	c.signal(t, syscall.SIGUSR2)
	s.await(t, Released)
}

func TestPrivilegedUdhcpcDeclines(t *testing.T) {
	s := serve(t, clientConfig())
	// Another station at the leased address: the kernel at the other end answers ARP for it.
	run(t, "ip", "-n", s.serverNS, "addr", "add", "10.100.0.10/24", "dev", "srv0")
	udhcpc(t, s, "-a")
	s.await(t, Offer, AckSelecting, Declined)
}

func dhclient(t *testing.T, s *server, dir string) *client {
	t.Helper()
	conf := filepath.Join(dir, "conf")
	err := os.WriteFile(conf, []byte(`
option classless-routes code 121 = array of unsigned integer 8;
request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, domain-search, interface-mtu, classless-routes;
initial-interval 1;
initial-delay 0;
timeout 10;
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	script := writeScript(t, dir, "$reason", `case $reason in
BOUND|RENEW|REBIND|REBOOT) ip addr replace $new_ip_address/24 dev $interface; ip link set $interface mtu $new_interface_mtu;;
EXPIRE|FAIL|RELEASE|STOP) ip addr flush dev $interface;;
esac`)
	return s.start(t, dir, "dhclient", "-4", "-d", "-v", "-cf", conf, "-sf", script, "-lf", filepath.Join(dir, "leases"),
		"-pf", filepath.Join(dir, "pid"), "eth0")
}

func TestPrivilegedDhclient(t *testing.T) {
	cfg := clientConfig()
	cfg.Renew, cfg.Rebind = 2*time.Second, 4*time.Second
	s := serve(t, cfg)
	dir := t.TempDir()
	c := dhclient(t, s, dir)

	s.await(t, Offer, AckSelecting)
	lease := map[string]string{
		"new_ip_address": "10.100.0.10", "new_subnet_mask": "255.255.255.0", "new_broadcast_address": "10.100.0.255",
		"new_dhcp_server_identifier": "10.100.0.100", "new_domain_name_servers": "10.100.0.53 192.0.2.53",
		"new_domain_name": "example.org", "new_domain_search": "example.org. lab.example.org.", "new_interface_mtu": "1400",
		"new_dhcp_lease_time": "600", "new_dhcp_renewal_time": "2", "new_dhcp_rebinding_time": "4",
		"new_routers":          "", // because of the routes
		"new_classless_routes": "0 10 100 0 1 16 10 200 10 100 0 2 25 192 0 2 128 10 100 0 3",
	}
	expect(t, c.event(t, "BOUND"), lease)
	s.hasAddress(t, prefix("10.100.0.10/24"), 1400)

	s.await(t, AckRenewing)
	expect(t, c.event(t, "RENEW"), lease)

	// When the answers to renewals are lost, the client asks everyone.
	s.drop.Store(uint32(AckRenewing))
	s.await(t, AckRenewing, AckRebinding)
	expect(t, c.event(t, "RENEW"), lease) // the name that it has for both
	s.drop.Store(0)

	// A client that comes back remembers its address.
	c.stop()
	c = dhclient(t, s, dir)
	s.await(t, AckInitReboot)
	expect(t, c.event(t, "REBOOT"), lease)

	// ... and is told when it is no longer its own.
	c.stop()
	cfg.Address = prefix("10.100.0.11/24")
	s.offer(t, cfg)
	c = dhclient(t, s, dir)
	s.await(t, Nak, Offer, AckSelecting)
	expect(t, c.event(t, "BOUND"), map[string]string{"new_ip_address": "10.100.0.11"})

	waitForFile(t, filepath.Join(dir, "leases"), "fixed-address 10.100.0.11;") // it writes that after the script
	c.stop()
	s.start(t, t.TempDir(), "dhclient", "-4", "-r", "-d", "-cf", filepath.Join(dir, "conf"), "-sf", filepath.Join(dir, "script"),
		"-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid2"), "eth0")
	s.await(t, Released)
}

// private runs a client that keeps its state in the system's directories with such of its own.
func (s *server) private(t *testing.T, dir, setup, name string, args ...string) *client {
	t.Helper()
	return s.start(t, dir, "sh", append([]string{"-c", "set -e; mount -t tmpfs tmpfs /run; " + setup + "; exec \"$@\"", "sh", name}, args...)...)
}

// waitFor waits until a program's output in the client's namespace contains all the texts.
func (s *server) waitFor(t *testing.T, texts []string, name string, args ...string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(deadline)
	for {
		out := run(t, "ip", append([]string{"netns", "exec", s.clientNS, name}, args...)...)
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(out, text) }) {
			return
		}
		select {
		case <-timeout:
			t.Fatalf("%s %s: not all of %q in\n%s", name, strings.Join(args, " "), texts, out)
		case <-tick.C:
		}
	}
}

func TestPrivilegedDhcpcd(t *testing.T) {
	cfg := clientConfig()
	cfg.Host, cfg.Renew, cfg.Rebind = "vm1", 2*time.Second, 4*time.Second
	s := serve(t, cfg)
	dir := t.TempDir()
	script := writeScript(t, dir, "$reason", "")
	conf := filepath.Join(dir, "conf")
	err := os.WriteFile(conf, []byte(`
hostname
option subnet_mask, broadcast_address, routers, classless_static_routes, domain_name_servers, domain_name, domain_search, host_name, interface_mtu
noarp
noipv6
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	// The processes that it makes go with it: they are in a PID namespace of which it is the first.
	c := s.private(t, dir, "mount -t tmpfs tmpfs /var/lib/dhcpcd", "unshare", "--pid", "--fork", "--kill-child", "dhcpcd", "-4", "-B", "-d", "-f", conf, "-c", script, "eth0")
	s.await(t, Offer, AckSelecting)
	lease := map[string]string{
		"new_ip_address": "10.100.0.10", "new_subnet_cidr": "24", "new_broadcast_address": "10.100.0.255", "new_dhcp_server_identifier": "10.100.0.100",
		"new_domain_name_servers": "10.100.0.53 192.0.2.53", "new_domain_name": "example.org", "new_domain_search": "example.org lab.example.org",
		"new_host_name": "vm1", "new_interface_mtu": "1400", "new_dhcp_lease_time": "600", "new_dhcp_renewal_time": "2", "new_dhcp_rebinding_time": "4",
		"new_routers":                 "", // because of the routes
		"new_classless_static_routes": "0.0.0.0/0 10.100.0.1 10.200.0.0/16 10.100.0.2 192.0.2.128/25 10.100.0.3",
	}
	expect(t, c.event(t, "BOUND"), lease)
	s.hasAddress(t, prefix("10.100.0.10/24"), 1500)
	s.waitFor(t, []string{"default via 10.100.0.1 ", "10.200.0.0/16 via 10.100.0.2 ", "192.0.2.128/25 via 10.100.0.3 ", "mtu 1400"}, "ip", "route")
	s.await(t, AckRenewing)
	expect(t, c.event(t, "RENEW"), lease)

	cfg.Address = prefix("10.100.0.11/24")
	s.offer(t, cfg)
	s.await(t, Nak, Offer, AckSelecting)
	expect(t, c.event(t, "BOUND"), map[string]string{"new_ip_address": "10.100.0.11"})
}

func TestPrivilegedNetworkd(t *testing.T) {
	cfg := clientConfig()
	cfg.Host, cfg.Renew, cfg.Rebind = "vm1", 2*time.Second, 4*time.Second
	s := serve(t, cfg)
	dir := t.TempDir()
	network := filepath.Join(dir, "eth0.network")
	err := os.WriteFile(network, []byte(`
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
UseMTU=yes
UseDomains=yes
UseHostname=no
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	// It takes a read-only /sys for a container's, where no udev says when a link is there. It has neither bus nor systemd to talk to.
	setup := "mount -o remount,ro /sys; mkdir -p /run/systemd/network /run/systemd/netif; cp " + network + " /run/systemd/network/; chown systemd-network:systemd-network /run/systemd/netif"
	c := s.private(t, dir, setup, "/lib/systemd/systemd-networkd")
	s.await(t, Offer, AckSelecting)
	s.waitFor(t, []string{"inet 10.100.0.10/24", "brd 10.100.0.255", "mtu 1400"}, "ip", "addr", "show", "dev", "eth0")
	s.waitFor(t, []string{"default via 10.100.0.1 ", "10.200.0.0/16 via 10.100.0.2 ", "192.0.2.128/25 via 10.100.0.3 "}, "ip", "route")
	run(t, "ip", "-n", s.clientNS, "neigh", "replace", serverIP.String(), "lladdr", serverMAC.String(), "dev", "eth0", "nud", "permanent")
	s.await(t, AckRenewing)
	s.waitFor(t, []string{
		"ADDRESS=10.100.0.10", "NETMASK=255.255.255.0", "BROADCAST=10.100.0.255", "SERVER_ADDRESS=10.100.0.100", "T1=2", "T2=4", "LIFETIME=600", "MTU=1400",
		"DNS=10.100.0.53 192.0.2.53", "DOMAINNAME=example.org", "DOMAIN_SEARCH_LIST=example.org lab.example.org", "HOSTNAME=vm1",
		"ROUTES=0.0.0.0/0,10.100.0.1 10.200.0.0/16,10.100.0.2 192.0.2.128/25,10.100.0.3",
	}, "nsenter", "-t", fmt.Sprint(c.cmd.Process.Pid), "-m", "sh", "-c", "cat /run/systemd/netif/leases/*")

	cfg.Address = prefix("10.100.0.11/24")
	s.offer(t, cfg)
	s.await(t, Nak, Offer, AckSelecting)
	s.waitFor(t, []string{"inet 10.100.0.11/24"}, "ip", "addr", "show", "dev", "eth0")
}

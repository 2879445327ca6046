package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// Guests come by their IPv6 addresses as the network says: by DHCPv6, or by making them, temporary ones too, and talk with each other from host to host; clients that were there before the network, and
// those that come after it; and what changes they hear of at once.
func TestPrivilegedIPv6Guests(t *testing.T) {
	privileged.Programs(t, "dhclient", "dhcpcd")
	s := up(t, threeHosts(t, "sc-ipv6", nil), lab.StartAgents)
	s.joined(t)
	for _, g := range []string{"vm1", "vm3", "vm5"} {
		s.exec(t, g, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=1", "net.ipv6.conf.eth0.use_tempaddr=2")
	}
	dir := t.TempDir()
	s.has6(t, "vm1", "fe80::", "")     // without which it does not begin
	defer s.dhclient6(t, "vm1", dir)() // it asks before anybody could answer

	create[model.Network](t, s, client.Params{"uuid": "nw-six", "ipv6_network": "fd00:6::", "mtu": 1340, "domain_name": "six.example"})
	create[model.Interface](t, s, client.Params{"uuid": "if-six", "mode": "simulated", "network_uuid": "nw-six", "ipv6_address": "fd00:6::1", "mac_address": "02:dc:00:00:00:06"})
	service := create[model.NetworkService](t, s, client.Params{"uuid": "ns-six", "mode": "dhcp", "interface_uuid": "if-six"})
	create[model.DHCPOption](t, s, client.Params{"network_service_uuid": service.Object.UUID, "family": 6, "code": 23, "format": "ip", "value": "fd00:6::53"})
	s.guest6(t, "vm1", client.Params{"ipv6_address": "fd00:6::11"})
	s.guest6(t, "vm3", client.Params{"ipv6_address": "fd00:6::13"})

	s.has6(t, "vm1", "fd00:6::11", "")
	if env := s.leased6(t, dir); !strings.Contains(env, "new_dhcp6_name_servers=fd00:6::53\n") || !strings.Contains(env, "new_dhcp6_domain_search=six.example.\n") {
		t.Errorf("the client of vm1 has\n%s", env)
	}
	s.hasMTU6(t, "vm3", "1340")
	if got := s.exec(t, "vm3", "ip", "-6", "addr", "show", "dev", "eth0", "scope", "global"); got != "" {
		t.Errorf("vm3 has made addresses:\n%s", got)
	}
	s.dhcpcd6(t, "vm3", "fd00:6::13") // a client that comes when all is there

	// Guests make their addresses from now on.
	s.network6(t, client.Params{"ipv6_addressing": "slaac"})
	s.has6(t, "vm3", "fd00:6::ff:fe00:3", "mngtmpaddr")
	s.has6(t, "vm3", "fd00:6:", "temporary")
	s.exec(t, "vm3", "ip", "-6", "addr", "del", "fd00:6::13/128", "dev", "eth0")
	s.pings6(t, "vm3", "fd00:6::11")
	s.pings6(t, "vm1", "fd00:6::ff:fe00:3")
	s.guest6(t, "vm5", nil)
	s.exec(t, "vm5", "ip", "link", "set", "eth0", "down")
	s.exec(t, "vm5", "ip", "link", "set", "eth0", "up") // it solicits
	s.has6(t, "vm5", "fd00:6::ff:fe00:5", "mngtmpaddr")
	s.has6(t, "vm5", "fd00:6:", "temporary")
	s.pings6(t, "vm5", "fd00:6::11")
	s.pings6(t, "vm5", "fd00:6::ff:fe00:3")

	// An address that another has is not the guest's.
	s.exec(t, "vm5", "ip", "-6", "addr", "add", "fd00:6::11/64", "dev", "eth0")
	s.has6(t, "vm5", "fd00:6::11", "dadfailed")

	s.network6(t, client.Params{"mtu": 1320})
	s.hasMTU6(t, "vm5", "1320")

	// And no more.
	s.network6(t, client.Params{"ipv6_addressing": "stateful"})
	s.has6(t, "vm5", "fd00:6::ff:fe00:5", "deprecated")
	for l, err := range client.List[model.IPLease](t.Context(), s.api, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Object.Origin != "" {
			t.Errorf("%s stays leased to %s", l.Object.Addr(), l.Object.InterfaceUUID)
		}
	}
	s.pings6(t, "vm1", "fd00:6::1")
}

// Guests whose link-local addresses are not made from their MAC addresses are guests like any other: kernels that make stable private or random ones, a client that makes its own, and one that is set by hand. They are
// their owners' alone, from host to host.
func TestPrivilegedLinkLocalGuests(t *testing.T) {
	privileged.Programs(t, "dhclient", "dhcpcd")
	s := up(t, threeHosts(t, "sc-linklocal", nil), lab.StartAgents)
	s.joined(t)
	s.exec(t, "vm1", "sysctl", "-qw", "net.ipv6.conf.eth0.stable_secret=2001:db8::1234") // addr_gen_mode 2
	s.exec(t, "vm5", "sysctl", "-qw", "net.ipv6.conf.eth0.addr_gen_mode=3", "net.ipv6.conf.eth0.accept_ra=1")
	for _, g := range []string{"vm1", "vm5"} {
		s.exec(t, g, "ip", "link", "set", "eth0", "down")
		s.exec(t, g, "ip", "link", "set", "eth0", "up")
		s.has6(t, g, "fe80::", "") // nobody has heard of it
	}
	dir := t.TempDir()
	defer s.dhclient6(t, "vm1", dir)()

	create[model.Network](t, s, client.Params{"uuid": "nw-six", "ipv6_network": "fd00:6::"})
	create[model.Interface](t, s, client.Params{"uuid": "if-six", "mode": "simulated", "network_uuid": "nw-six", "ipv6_address": "fd00:6::1", "mac_address": "02:dc:00:00:00:06"})
	create[model.NetworkService](t, s, client.Params{"uuid": "ns-six", "mode": "dhcp", "interface_uuid": "if-six"})
	s.guest6(t, "vm1", client.Params{"ipv6_address": "fd00:6::11"})
	s.guest6(t, "vm3", client.Params{"ipv6_address": "fd00:6::13"})

	s.has6(t, "vm1", "fd00:6::11", "") // by DHCPv6
	stable := s.chosen6(t, "vm1")
	s.dhcpcd6(t, "vm3", "fd00:6::13", "slaac private")
	s.pings6(t, "vm3", stable+"%eth0")

	s.network6(t, client.Params{"ipv6_addressing": "slaac"})
	s.guest6(t, "vm5", nil)
	s.exec(t, "vm5", "ip", "link", "set", "eth0", "down")
	s.exec(t, "vm5", "ip", "link", "set", "eth0", "up") // it makes another one, and solicits
	s.has6(t, "vm5", "fd00:6::", "mngtmpaddr")
	random := s.chosen6(t, "vm5")
	s.pings6(t, "vm1", random+"%eth0")
	s.pings6(t, "vm5", "fd00:6::11")

	s.exec(t, "vm3", "ip", "-6", "addr", "add", "fe80::2/64", "dev", "eth0")
	s.has6(t, "vm3", "fe80::2/64", "")
	s.pings6(t, "vm5", "fe80::2%eth0")

	// They outlive who has been told of them.
	s.kill(t, "vnmgr", lab.Manager)
	s.kill(t, "node1", lab.Agent)
	s.start(t, "vnmgr", lab.Manager)
	s.start(t, "node1", lab.Agent)
	for _, node := range []string{"node1", "node2", "node3"} {
		s.settled(t, node, ofManager)
	}
	s.pings6(t, "vm3", stable+"%eth0")

	// What another has is not the guest's, whether it asks or not: another guest, a router, a guest that may come yet.
	for _, a := range []string{stable, "fe80::2", "fe80::dc:ff:fe00:6", "fe80::99:ff:fe00:99"} {
		s.exec(t, "vm5", "ip", "-6", "addr", "add", a+"/64", "dev", "eth0")
		s.has6(t, "vm5", a, "dadfailed")
		s.exec(t, "vm5", "ip", "-6", "addr", "del", a+"/64", "dev", "eth0")
	}
	s.exec(t, "vm5", "ip", "-6", "addr", "add", stable+"/64", "dev", "eth0", "nodad")
	if out := s.exec(t, "vm5", "sh", "-c", "ping -6 -c3 -i0.3 -W1 -I "+stable+"%eth0 fe80::2%eth0 || true"); !strings.Contains(out, " 0 received") {
		t.Errorf("vm5 sends from the address of vm1:\n%s", out)
	}
	s.pings6(t, "vm3", stable+"%eth0") // which vm1 still has
	want := map[string]string{stable: "if-vm1", "fe80::2": "if-vm3", random: "if-vm5"}
	for l, err := range client.List[model.IPLease](t.Context(), s.api, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if owner, ok := want[l.Object.Addr().String()]; ok && l.Object.Origin == model.OriginSLAAC && l.Object.InterfaceUUID == owner {
			delete(want, l.Object.Addr().String())
		}
	}
	if len(want) > 0 {
		t.Errorf("there are no leases of %v", want)
	}
}

// chosen6 gives a guest's link-local address, which must not be made from its MAC address.
func (s *scene) chosen6(t *testing.T, guest string) string {
	t.Helper()
	out := strings.Fields(s.exec(t, guest, "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"))
	at := slices.Index(out, "inet6")
	if at < 0 || at+1 >= len(out) || strings.Contains(out[at+1], "ff:fe") {
		t.Fatalf("%s has %v", guest, out)
	}
	a, _, _ := strings.Cut(out[at+1], "/")
	return a
}

// guest6 gives a guest its interface in the network.
func (s *scene) guest6(t *testing.T, name string, p client.Params) {
	t.Helper()
	spec := s.lab.Spec()
	g := guestOf(&spec, name)
	q := client.Params{"uuid": "if-" + name, "mode": "vif", "port_name": g.Port, "mac_address": g.MAC, "network_uuid": "nw-six"}
	for k, v := range p {
		q[k] = v
	}
	create[model.Interface](t, s, q)
}

// network6 changes the network.
func (s *scene) network6(t *testing.T, p client.Params) {
	t.Helper()
	if _, err := client.Update[model.Network](t.Context(), s.api, "nw-six", p); err != nil {
		t.Fatal(err)
	}
}

// has6 waits until a guest has an address that begins so, with that flag, and that is not being asked for any more.
func (s *scene) has6(t *testing.T, guest, address, flag string) {
	t.Helper()
	wait.For(t, patience, guest+" to have "+address+" "+flag, func() error {
		out := s.exec(t, guest, "ip", "-6", "-o", "addr", "show", "dev", "eth0")
		for line := range strings.Lines(out) {
			if strings.Contains(line, " "+address) && strings.Contains(line, flag) && (!strings.Contains(line, "tentative") || flag == "dadfailed") && (flag == "dadfailed" || !strings.Contains(line, "dadfailed")) {
				return nil
			}
		}
		return fmt.Errorf("it has\n%s", out)
	})
}

func (s *scene) hasMTU6(t *testing.T, guest, mtu string) {
	t.Helper()
	wait.For(t, patience, guest+"'s MTU", func() error {
		if got := strings.TrimSpace(s.exec(t, guest, "cat", "/proc/sys/net/ipv6/conf/eth0/mtu")); got != mtu {
			return fmt.Errorf("it is %s, want %s", got, mtu)
		}
		return nil
	})
}

func (s *scene) pings6(t *testing.T, guest, to string) {
	t.Helper()
	wait.For(t, patience, guest+" to reach "+to, func() error {
		if out := s.exec(t, guest, "sh", "-c", "ping -6 -c1 -W1 "+to+" || true"); !strings.Contains(out, " 1 received") {
			return fmt.Errorf("it says\n%s", out)
		}
		return nil
	})
}

// dhclient6 starts a client of DHCPv6 in a guest, and gives what ends it; its script applies the address, and keeps what it was told.
func (s *scene) dhclient6(t *testing.T, guest, dir string) (stop func()) {
	t.Helper()
	script := filepath.Join(dir, "script")
	text := fmt.Sprintf(`#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
case $reason in
BOUND6|RENEW6|REBIND6) ip -6 addr replace $new_ip6_address/128 dev $interface; env > %[1]s/new && mv %[1]s/new %[1]s/env;;
esac
exit 0
`, dir)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil { //nolint:gosec // a script
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("also request dhcp6.name-servers, dhcp6.domain-search;\n"), 0o644); err != nil { //nolint:gosec // no secret
		t.Fatal(err)
	}
	s.exec(t, guest, "dhclient", "-6", "-nw", "-cf", conf, "-sf", script, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0")
	return func() { s.exec(t, guest, "sh", "-c", "kill $(cat "+filepath.Join(dir, "pid")+")") }
}

// leased6 gives the environment of the script of the last lease.
func (s *scene) leased6(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dhcpcd6 has another client ask for a guest's address, as it does where a router says that addresses are managed.
func (s *scene) dhcpcd6(t *testing.T, guest, address string, config ...string) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(conf, []byte("ipv6only\nipv6rs\noption dhcp6_name_servers\nscript /bin/true\nnohook resolv.conf\nduid\n"+strings.Join(config, "\n")+"\n"), 0o644); err != nil { //nolint:gosec // no secret
		t.Fatal(err)
	}
	s.exec(t, guest, "sh", "-c", "dhcpcd -6 -1 -q -t 20 -f "+conf+" eth0 2>&1")
	s.has6(t, guest, address, "")
	s.exec(t, guest, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=1", "net.ipv6.conf.eth0.autoconf=1") // it had taken that over from the kernel
}

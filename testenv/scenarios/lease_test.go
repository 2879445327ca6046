package scenarios

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// pool is two hosts with two guests who have their addresses from a lease policy with one IPv4 address.
const pool = `
underlays:
  a: 172.16.90.0/24
hosts:
  node1: {nics: {eth0: {underlay: a, address: 172.16.90.10}}}
  node2: {nics: {eth0: {underlay: a, address: 172.16.90.11}}}
guests:
  vm1: {host: node1, port: if-vm1, mac: "02:00:00:00:00:01", dhcp: true}
  vm2: {host: node2, port: if-vm2, mac: "02:00:00:00:00:02", dhcp: true}
`

func poolDocuments() client.Documents {
	return client.Documents{
		"networks": {{"uuid": "nw-pool", "ipv4_network": "10.7.0.0", "ipv4_prefix": 24, "ipv6_network": "fd00:7::"}},
		"interfaces": {
			{"uuid": "if-pool", "mode": "simulated", "network_uuid": "nw-pool", "mac_address": "02:dd:00:00:00:01", "ipv4_address": "10.7.0.1", "ipv6_address": "fd00:7::1"},
			{"uuid": "if-vm1", "mode": "vif", "port_name": "if-vm1", "mac_address": "02:00:00:00:00:01"},
			{"uuid": "if-vm2", "mode": "vif", "port_name": "if-vm2", "mac_address": "02:00:00:00:00:02"},
		},
		"network_services":                     {{"uuid": "ns-pool", "mode": "dhcp", "interface_uuid": "if-pool"}},
		"ip_range_groups":                      {{"uuid": "iprg-pool"}},
		"ip_ranges":                            {{"uuid": "ipr-four", "ip_range_group_uuid": "iprg-pool", "begin_ipv4_address": "10.7.0.10", "end_ipv4_address": "10.7.0.10"}},
		"ip_retention_containers":              {{"uuid": "irc-pool", "lease_time": 86400, "grace_time": 3600}},
		"lease_policies":                       {{"uuid": "lp-pool", "timing": "dhcp"}},
		"lease_policy_base_networks":           {{"lease_policy_uuid": "lp-pool", "network_uuid": "nw-pool", "ip_range_group_uuid": "iprg-pool"}},
		"lease_policy_ip_retention_containers": {{"lease_policy_uuid": "lp-pool", "ip_retention_container_uuid": "irc-pool"}},
		"lease_policy_base_interfaces":         {{"lease_policy_uuid": "lp-pool", "interface_uuid": "if-vm1"}, {"lease_policy_uuid": "lp-pool", "interface_uuid": "if-vm2"}},
	}
}

// A guest that gives its address back and asks again has the same one, and no other guest has it meanwhile.
func TestPrivilegedFormerAddress(t *testing.T) {
	spec, err := lab.Parse([]byte(pool), "sc-lease")
	if err != nil {
		t.Fatal(err)
	}
	s := up(t, spec, lab.StartAgents)
	s.joined(t)
	s.kill(t, "vm2", lab.DHCPClient)
	s.apply(t, poolDocuments())
	s.has4(t, "vm1", "10.7.0.10/24")
	signal := func(what unix.Signal) {
		t.Helper()
		c, err := s.lab.Record("vm1", lab.DHCPClient)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Signal(what); err != nil {
			t.Fatal(err)
		}
	}
	lease := s.leases(t, "if-vm1")

	signal(unix.SIGUSR2) // it gives the address back
	s.has4(t, "vm1", "")
	wait.For(t, patience, "the lease to be released", func() error {
		if got := s.leases(t, "if-vm1"); len(got) != 0 {
			return fmt.Errorf("there is %v", got)
		}
		return nil
	})
	if out := s.exec(t, "vm2", "sh", "-c", "udhcpc -f -n -q -i eth0 -s /bin/true -t 3 -T 1 2>&1 || true"); !strings.Contains(out, "no lease") {
		t.Errorf("the other guest gets an address:\n%s", out)
	}
	signal(unix.SIGUSR1) // it asks again
	s.has4(t, "vm1", "10.7.0.10/24")

	// At once, too, when its question may be answered before the release is known.
	for range 5 {
		signal(unix.SIGUSR2)
		signal(unix.SIGUSR1)
		s.has4(t, "vm1", "10.7.0.10/24")
	}
	wait.For(t, patience, "the lease to be as it was", func() error {
		if got := s.leases(t, "if-vm1"); !slices.Equal(got, lease) || len(got) != 1 {
			return fmt.Errorf("there is %v, want %v", got, lease)
		}
		return nil
	})
}

// A guest without any IPv6 address gets its first one by DHCPv6 from a policy, as soon as it asks or when a router has told it to; and has it again after it has given it back.
func TestPrivilegedFirstIPv6Address(t *testing.T) {
	privileged.Programs(t, "dhclient", "dhcpcd")
	spec, err := lab.Parse([]byte(pool), "sc-lease6")
	if err != nil {
		t.Fatal(err)
	}
	s := up(t, spec, lab.StartAgents)
	s.joined(t)
	docs := poolDocuments()
	docs["ip_ranges"] = []client.Params{{"uuid": "ipr-six", "ip_range_group_uuid": "iprg-pool", "begin_ipv6_address": "fd00:7::10", "end_ipv6_address": "fd00:7::11"}}
	for _, g := range []string{"vm1", "vm2"} {
		s.kill(t, g, lab.DHCPClient) // who asks for an IPv4 address gets both
		s.has6(t, g, "fe80::", "")
		s.exec(t, g, "sysctl", "-qw", "net.ipv6.conf.eth0.router_solicitations=0") // from now on
	}
	s.apply(t, docs)
	dir := t.TempDir()
	stop := s.dhclient6(t, "vm1", dir)
	s.has6(t, "vm1", "fd00:7::10", "")
	lease := s.leases(t, "if-vm1")

	// A client that asks when a router has said that addresses are managed.
	s.dhcpcd6(t, "vm2", "fd00:7::11")
	s.pings6(t, "vm2", "fd00:7::10")

	stop()
	s.exec(t, "vm1", "ip", "-6", "addr", "flush", "dev", "eth0", "scope", "global")
	s.exec(t, "vm1", "dhclient", "-6", "-r", "-sf", "/bin/true", "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0")
	wait.For(t, patience, "the lease to be released", func() error {
		if got := s.leases(t, "if-vm1"); len(got) != 0 {
			return fmt.Errorf("there is %v", got)
		}
		return nil
	})
	defer s.dhclient6(t, "vm1", dir)()
	s.has6(t, "vm1", "fd00:7::10", "")
	if got := s.leases(t, "if-vm1"); !slices.Equal(got, lease) || len(got) != 1 {
		t.Errorf("there is %v, want %v", got, lease)
	}
	s.pings6(t, "vm1", "fd00:7::11")
}

// has4 waits until a guest has that IPv4 address, or none.
func (s *scene) has4(t *testing.T, guest, address string) {
	t.Helper()
	wait.For(t, patience, guest+" to have the address "+address, func() error {
		if got := strings.TrimSpace(s.exec(t, guest, "sh", "-c", "ip -o -4 addr show dev eth0 | awk '{print $4}'")); got != address {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

// leases gives the leases that an interface has, as uuid and address.
func (s *scene) leases(t *testing.T, iface string) (out []string) {
	t.Helper()
	for l, err := range client.List[model.IPLease](t.Context(), s.api, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Object.InterfaceUUID == iface {
			out = append(out, l.Object.UUID+" "+l.Object.Addr().String())
		}
	}
	return out
}

package scenarios

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// tenant is a network with its guests, in the order of their addresses.
type tenant struct {
	name   string
	guests []guest
}

// guest is a guest of the lab with what its tenant has given it.
type guest struct {
	name   string
	tenant string
	n      int // its place in the tenant, from which its addresses follow
	mac    model.MAC
	port   string
}

func (g guest) String() string   { return g.tenant + "/" + g.name }
func (g guest) iface() string    { return "if-" + g.name }
func (g guest) v4() netip.Addr   { return addr4(g.n) }
func (g guest) v6() netip.Addr   { return addr6(g.n) }
func (t tenant) network() string { return "nw-" + t.name }
func (t tenant) server() string  { return "if-dhcp" + t.name }
func (t tenant) service() string { return "ns-" + t.name }

// serverMAC is of the tenant's simulated interface.
func (t tenant) serverMAC() model.MAC { return model.MAC{2, 0xdc, 0, 0, 0, t.name[0]} }

// The n-th guest of every tenant has the same addresses.
func addr4(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + n)}) }
func addr6(n int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(0x11 + n)})
}

var (
	server4 = netip.MustParseAddr("10.0.0.1")
	subnet4 = netip.MustParsePrefix("10.0.0.0/24")
	subnet6 = netip.MustParsePrefix("fd00::/64")
)

// twoTenants gives the tenants of the lab of three hosts, both with guests on all hosts.
func (s *scene) twoTenants() []tenant {
	return []tenant{s.tenant("blue", "vm1", "vm2", "vm3", "vm5"), s.tenant("green", "vm7", "vm4", "vm6", "vm8")}
}

func (s *scene) tenant(name string, guests ...string) tenant {
	t := tenant{name: name}
	spec := s.lab.Spec()
	for n, g := range guests {
		lg := guestOf(&spec, g)
		t.guests = append(t.guests, guest{name: g, tenant: name, n: n, mac: lg.MAC, port: lg.Port})
	}
	return t
}

// documents gives all that the tenants have.
func documents(tenants []tenant) client.Documents {
	docs := client.Documents{}
	for _, t := range tenants {
		docs["networks"] = append(docs["networks"], t.networkParams())
		docs["interfaces"] = append(docs["interfaces"], t.serverParams())
		docs["network_services"] = append(docs["network_services"], t.serviceParams())
		for _, g := range t.guests {
			docs["interfaces"] = append(docs["interfaces"], g.params())
		}
	}
	return docs
}

func (t tenant) networkParams() client.Params {
	return client.Params{
		"uuid": t.network(), "ipv4_network": subnet4.Addr(), "ipv4_prefix": subnet4.Bits(), "ipv6_network": subnet6.Addr(), "ipv6_prefix": subnet6.Bits(),
	}
}

func (t tenant) serverParams() client.Params {
	return client.Params{"uuid": t.server(), "mode": "simulated", "network_uuid": t.network(), "ipv4_address": server4, "mac_address": t.serverMAC()}
}

func (t tenant) serviceParams() client.Params {
	return client.Params{"uuid": t.service(), "mode": "dhcp", "interface_uuid": t.server()}
}

func (g guest) params() client.Params {
	return client.Params{
		"uuid": g.iface(), "mode": "vif", "port_name": g.port, "mac_address": g.mac,
		"network_uuid": "nw-" + g.tenant, "ipv4_address": g.v4(), "ipv6_address": g.v6(),
	}
}

// addressed waits until the guests' DHCP clients have the IPv4 addresses meant for them, and gives them the IPv6 addresses.
func (s *scene) addressed(t *testing.T, guests ...guest) {
	t.Helper()
	for _, g := range guests {
		s.exec(t, g.name, "ip", "-6", "addr", "replace", g.v6().String()+"/64", "dev", "eth0", "nodad")
		s.leased(t, g)
	}
}

// leased waits until the guest has its IPv4 address.
func (s *scene) leased(t *testing.T, g guest) {
	t.Helper()
	wait.For(t, patience, g.String()+" to get its address", func() error {
		out, err := s.lab.Exec(t.Context(), g.name, "ip", "-4", "-o", "addr", "show", "dev", "eth0")
		if err == nil && !strings.Contains(out, netip.PrefixFrom(g.v4(), subnet4.Bits()).String()) {
			err = fmt.Errorf("it has %q", strings.TrimSpace(out))
		}
		return err
	})
}

// renew takes the guest's address away and starts its DHCP client again, which must get it.
func (s *scene) renew(t *testing.T, g guest) {
	t.Helper()
	s.kill(t, g.name, lab.DHCPClient)
	s.exec(t, g.name, "ip", "-4", "addr", "flush", "dev", "eth0")
	s.start(t, g.name, lab.DHCPClient)
	s.leased(t, g)
}

func (s *scene) exec(t *testing.T, node string, argv ...string) string {
	t.Helper()
	out, err := s.lab.Exec(t.Context(), node, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// all gives the guests of all tenants.
func all(tenants []tenant) []guest {
	var gs []guest
	for _, t := range tenants {
		gs = append(gs, t.guests...)
	}
	return gs
}

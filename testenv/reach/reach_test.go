package reach

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/oracle"
)

// world makes a world of objects in their text form, with ids in their order; defaults are set.
func world(t *testing.T, env oracle.Environment, objects ...[]string) *oracle.World {
	t.Helper()
	g := graph.New()
	for n, fields := range objects {
		r := model.ByPlural(fields[0])
		o := r.New()
		o.Base().ID = uint32(n + 1)
		for k := 1; k < len(fields); k += 2 {
			f := r.Field(fields[k])
			v, err := f.ParseText(fields[k+1])
			if err != nil {
				t.Fatal(err)
			}
			f.Set(o, v)
		}
		if o.Base().UUID == "" {
			o.Base().UUID = r.NewUUID()
		}
		g.Put(o)
	}
	return oracle.New(g, env)
}

// guest gives the objects of a guest with one lease of each family.
func guest(name, host, mac, network, four, six string) [][]string {
	return [][]string{
		{"interfaces", "uuid", "if-" + name, "mode", "vif"},
		{"interface_ports", "interface_uuid", "if-" + name, "port_name", name, "datapath_uuid", host},
		{"mac_leases", "uuid", "ml-" + name, "interface_uuid", "if-" + name, "mac_address", mac},
		{"ip_leases", "interface_uuid", "if-" + name, "mac_lease_uuid", "ml-" + name, "network_uuid", network, "ipv4_address", four},
		{"ip_leases", "interface_uuid", "if-" + name, "mac_lease_uuid", "ml-" + name, "network_uuid", network, "ipv6_address", six},
	}
}

func prefixes(s ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, p := range s {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}

func addresses(s ...string) []netip.Addr {
	var as []netip.Addr
	for _, a := range s {
		as = append(as, netip.MustParseAddr(a))
	}
	return as
}

// Two guests of a network on two hosts, one of another network with the same subnet, and a device behind a port that a third network shares by VLAN.
func TestPredict(t *testing.T) {
	env := oracle.Environment{Hosts: map[string]oracle.Host{
		"dp-1": {Ports: []oracle.Port{{Name: "a"}, {Name: "c"}}},
		"dp-2": {Ports: []oracle.Port{{Name: "b"}, {Name: "wire"}}},
	}}
	objects := [][]string{
		{"topologies", "uuid", model.DefaultTopology, "mode", model.TopologyOverlay, "automatic", "true"},
		{"datapaths", "uuid", "dp-1"}, {"datapaths", "uuid", "dp-2"},
		{"networks", "uuid", "nw-x", "ipv4_network", "10.0.0.0", "ipv6_network", "fd00::"},
		{"networks", "uuid", "nw-y", "ipv4_network", "10.0.0.0", "ipv6_network", "fd00::"},
		{"interfaces", "uuid", "if-wire", "mode", "edge"},
		{"interface_ports", "interface_uuid", "if-wire", "port_name", "wire", "datapath_uuid", "dp-2"},
		{"translations", "uuid", "tr-wire", "interface_uuid", "if-wire", "mode", "vnet_edge"},
		{"vlan_translations", "translation_uuid", "tr-wire", "network_uuid", "nw-y", "vlan_id", "7"},
		{"interfaces", "uuid", "if-gw", "mode", "simulated"},
		{"interface_ports", "interface_uuid", "if-gw"},
		{"mac_leases", "uuid", "ml-gw", "interface_uuid", "if-gw", "mac_address", "02:00:00:00:00:fe"},
		{"ip_leases", "interface_uuid", "if-gw", "mac_lease_uuid", "ml-gw", "network_uuid", "nw-x", "ipv4_address", "10.0.0.254"},
	}
	objects = append(objects, guest("a", "dp-1", "02:00:00:00:00:01", "nw-x", "10.0.0.1", "fd00::1")...)
	objects = append(objects, guest("b", "dp-2", "02:00:00:00:00:02", "nw-x", "10.0.0.2", "fd00::2")...)
	objects = append(objects, guest("c", "dp-1", "02:00:00:00:00:03", "nw-y", "10.0.0.2", "fd00::2")...)
	net := &Net{
		Nodes: []Node{
			{Name: "a", MAC: model.MAC{2, 0, 0, 0, 0, 1}, Addresses: prefixes("10.0.0.1/24", "fd00::1/64"), At: oracle.Entry{Datapath: "dp-1", Port: "a"}},
			{Name: "b", MAC: model.MAC{2, 0, 0, 0, 0, 2}, Addresses: prefixes("10.0.0.2/24", "fd00::2/64"), At: oracle.Entry{Datapath: "dp-2", Port: "b"}},
			{Name: "c", MAC: model.MAC{2, 0, 0, 0, 0, 3}, Addresses: prefixes("10.0.0.2/24", "fd00::2/64"), At: oracle.Entry{Datapath: "dp-1", Port: "c"}},
			{Name: "tagged", MAC: model.MAC{2, 15, 0, 0, 0, 1}, Addresses: prefixes("10.0.0.9/24", "fd00::9/64"), Wire: "out", VLAN: 7},
			{Name: "beside", MAC: model.MAC{2, 15, 0, 0, 0, 2}, Addresses: prefixes("10.0.0.8/24"), Wire: "out", VLAN: 7},
			{Name: "untagged", MAC: model.MAC{2, 15, 0, 0, 0, 3}, Addresses: prefixes("10.0.0.7/24"), Wire: "out"},
		},
		Wires: map[string][]oracle.Entry{"out": {{Datapath: "dp-2", Port: "wire"}}},
	}
	w := world(t, env, objects...)
	for _, tc := range []struct {
		from, to, want string
	}{
		{"a", "10.0.0.2", "b"}, {"a", "fd00::2", "b"}, {"b", "10.0.0.1", "a"}, {"b", "fd00::1", "a"},
		{"a", "10.0.0.9", ""}, {"a", "10.0.0.77", ""}, {"a", "192.0.2.1", ""},
		{"c", "10.0.0.1", ""}, {"c", "fd00::1", ""}, {"c", "10.0.0.9", "tagged"}, {"c", "fd00::9", "tagged"},
		{"tagged", "10.0.0.2", "c"}, {"tagged", "fd00::2", "c"}, {"tagged", "10.0.0.8", "beside"}, {"tagged", "10.0.0.7", ""}, {"untagged", "10.0.0.2", ""},
	} {
		probes := net.Probes(tc.from, netip.MustParseAddr(tc.to), 80)
		if len(probes) != 3 {
			t.Fatalf("%s to %s: %v", tc.from, tc.to, probes)
		}
		answers, err := net.Predict(w, probes)
		if err != nil {
			t.Fatal(err)
		}
		for p, got := range answers {
			if got != tc.want {
				t.Errorf("%v: %q answers, want %q", p, got, tc.want)
			}
		}
	}
	gateway := Probe{"a", netip.MustParseAddr("10.0.0.254"), Ping, 0}
	if got, err := net.Predict(w, []Probe{gateway}); err != nil || got[gateway] != Itself {
		t.Errorf("%v: %q answers (%v)", gateway, got[gateway], err)
	}
	if net.Probes("c", netip.MustParseAddr("10.0.0.2")) != nil || net.Probes("beside", netip.MustParseAddr("fd00::1")) != nil {
		t.Error("a node asks for itself, or in a family that it does not speak")
	}
	// a, b and c ask each other's, and whoever has no IPv6 is asked by IPv4 alone; b and c have the same addresses.
	want := map[string]int{"a": 3 * 6, "b": 3 * 6, "c": 3 * 6, "tagged": 3 * 6, "beside": 3 * 4, "untagged": 3 * 4}
	got := map[string]int{}
	for _, p := range net.Pairs(80) {
		got[p.From]++
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("probes of all pairs: (-want +got)\n%s", d)
	}
}

func TestNextHop(t *testing.T) {
	n := Node{Addresses: prefixes("10.0.0.1/24", "192.0.2.1/32", "fd00::1/64"), Gateways: addresses("fd00::fe", "10.0.0.254")}
	for _, tc := range [][3]string{
		{"10.0.0.7", "10.0.0.7", "10.0.0.1"}, {"198.51.100.1", "10.0.0.254", "10.0.0.1"},
		{"fd00::7", "fd00::7", "fd00::1"}, {"2001:db8::1", "fd00::fe", "fd00::1"},
	} {
		to := netip.MustParseAddr(tc[0])
		if hop, source := n.nextHop(to), n.source(to); hop.String() != tc[1] || source.String() != tc[2] {
			t.Errorf("to %s: by %v from %v, want %s from %s", to, hop, source, tc[1], tc[2])
		}
	}
	alone := Node{Addresses: prefixes("10.0.0.1/24")}
	if hop := alone.nextHop(netip.MustParseAddr("fd00::7")); hop.IsValid() {
		t.Errorf("by %v without any way", hop)
	}
}

// A guest whose group rejects TCP, allows ping, and says nothing of UDP.
func TestRefused(t *testing.T) {
	objects := [][]string{
		{"topologies", "uuid", model.DefaultTopology, "mode", model.TopologyOverlay, "automatic", "true"},
		{"datapaths", "uuid", "dp-1"},
		{"networks", "uuid", "nw-x", "ipv4_network", "10.0.0.0", "ipv6_network", "fd00::"},
		{"security_groups", "uuid", "sg-b", "display_name", "b"},
		{"security_group_interfaces", "security_group_uuid", "sg-b", "interface_uuid", "if-b"},
		{"security_group_rules", "security_group_uuid", "sg-b", "protocol", "tcp", "action", "reject"},
		{"security_group_rules", "security_group_uuid", "sg-b", "protocol", "icmp"},
	}
	objects = append(objects, guest("a", "dp-1", "02:00:00:00:00:01", "nw-x", "10.0.0.1", "fd00::1")...)
	objects = append(objects, guest("b", "dp-1", "02:00:00:00:00:02", "nw-x", "10.0.0.2", "fd00::2")...)
	w := world(t, oracle.Environment{Hosts: map[string]oracle.Host{"dp-1": {Ports: []oracle.Port{{Name: "a"}, {Name: "b"}}}}}, objects...)
	net := &Net{Nodes: []Node{
		{Name: "a", MAC: model.MAC{2, 0, 0, 0, 0, 1}, Addresses: prefixes("10.0.0.1/24", "fd00::1/64"), At: oracle.Entry{Datapath: "dp-1", Port: "a"}},
		{Name: "b", MAC: model.MAC{2, 0, 0, 0, 0, 2}, Addresses: prefixes("10.0.0.2/24", "fd00::2/64"), At: oracle.Entry{Datapath: "dp-1", Port: "b"}},
	}}
	b4, b6 := netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")
	want := Answers{
		{"a", b4, TCP, 80}: Refused, {"a", b4, UDP, 80}: "", {"a", b4, Ping, 0}: "b",
		{"a", b6, TCP, 80}: Refused, {"a", b6, UDP, 80}: "", {"a", b6, Ping, 0}: "b",
	}
	got, err := net.Predict(w, append(net.Probes("a", b4, 80), net.Probes("a", b6, 80)...))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// Who asks a router, or a simulated interface that is none, for a port is refused by it, wherever the answer has to go.
func TestRefusedByRouters(t *testing.T) {
	objects := [][]string{
		{"topologies", "uuid", model.DefaultTopology, "mode", model.TopologyOverlay, "automatic", "true"},
		{"datapaths", "uuid", "dp-1"}, {"datapaths", "uuid", "dp-2"},
		{"route_links", "uuid", "rl-1"},
	}
	for n, name := range []string{"x", "y"} {
		text := func(format string) string { return fmt.Sprintf(format, n+1) }
		objects = append(objects, [][]string{
			{"networks", "uuid", "nw-" + name, "ipv4_network", text("10.%d.0.0"), "ipv6_network", text("fd0%d::")},
			{"interfaces", "uuid", "if-gw" + name, "mode", "simulated", "enable_routing", "true"},
			{"interface_ports", "interface_uuid", "if-gw" + name},
			{"mac_leases", "uuid", "ml-gw" + name, "interface_uuid", "if-gw" + name, "mac_address", text("02:00:00:00:0%d:fe")},
			{"ip_leases", "interface_uuid", "if-gw" + name, "mac_lease_uuid", "ml-gw" + name, "network_uuid", "nw-" + name, "ipv4_address", text("10.%d.0.254")},
			{"ip_leases", "interface_uuid", "if-gw" + name, "mac_lease_uuid", "ml-gw" + name, "network_uuid", "nw-" + name, "ipv6_address", text("fd0%d::fe")},
			{"routes", "interface_uuid", "if-gw" + name, "network_uuid", "nw-" + name, "route_link_uuid", "rl-1", "ipv4_network", text("10.%d.0.0"), "ipv6_network", text("fd0%d::")},
		}...)
	}
	objects = append(objects, [][]string{
		{"interfaces", "uuid", "if-dns", "mode", "simulated"},
		{"interface_ports", "interface_uuid", "if-dns"},
		{"mac_leases", "uuid", "ml-dns", "interface_uuid", "if-dns", "mac_address", "02:00:00:00:01:fd"},
		{"ip_leases", "interface_uuid", "if-dns", "mac_lease_uuid", "ml-dns", "network_uuid", "nw-x", "ipv4_address", "10.1.0.253"},
	}...)
	objects = append(objects, guest("a", "dp-1", "02:00:00:00:00:01", "nw-x", "10.1.0.1", "fd01::1")...)
	objects = append(objects, guest("b", "dp-2", "02:00:00:00:00:02", "nw-y", "10.2.0.1", "fd02::1")...)
	w := world(t, oracle.Environment{Hosts: map[string]oracle.Host{"dp-1": {Ports: []oracle.Port{{Name: "a"}}}, "dp-2": {Ports: []oracle.Port{{Name: "b"}}}}}, objects...)
	net := &Net{Nodes: []Node{{
		Name: "a", MAC: model.MAC{2, 0, 0, 0, 0, 1}, Addresses: prefixes("10.1.0.1/24", "fd01::1/64"), Gateways: addresses("10.1.0.254", "fd01::fe"),
		At: oracle.Entry{Datapath: "dp-1", Port: "a"},
	}}}
	for to, pinged := range map[string]string{"10.1.0.254": Itself, "fd01::fe": Itself, "10.2.0.254": Itself, "fd02::fe": Itself, "10.1.0.253": Itself} {
		at := netip.MustParseAddr(to)
		want := Answers{{"a", at, TCP, 80}: Refused, {"a", at, UDP, 80}: "", {"a", at, Ping, 0}: pinged}
		got, err := net.Predict(w, net.Probes("a", at, 80))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Errorf("%s: (-want +got)\n%s", to, d)
		}
	}
}

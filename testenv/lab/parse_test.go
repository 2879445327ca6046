package lab_test

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
)

var update = flag.Bool("update", false, "write the golden files")

func TestParseProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			doc, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = lab.Parse(doc, "bad")
			var problems lab.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("Parse = %v, want Problems", err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

var equateNet = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestParseShortFormsAndDefaults(t *testing.T) {
	got, err := lab.Parse([]byte(`
underlays:
  a: 172.16.90.0/24
  b: [172.16.91.0/24, "fd00:91::/64"]
  wire:
  jumbo: {prefix: 10.9.0.0/16, mtu: 9000}
routers:
  r: {a: 172.16.90.2, b: [172.16.91.2, "fd00:91::2"]}
hosts:
  node1: {nics: {eth0: {underlay: a, address: 172.16.90.10}, eth1: {underlay: wire}}}
guests:
  vm1: {host: node1, live: true}
  vm2: {mac: "02:00:00:00:00:01", dhcp: true, iface_id: abc}
machines:
  tagged: {underlay: wire, vlan: 7, addresses: 10.7.0.1/24, gateway: 10.7.0.254}
  big: {underlay: jumbo}
`), "short")
	if err != nil {
		t.Fatal(err)
	}
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	want := lab.Spec{
		Name: "short",
		Underlays: []lab.Underlay{
			{Name: "a", Prefixes: []netip.Prefix{prefix("172.16.90.0/24")}, MTU: 1500},
			{Name: "b", Prefixes: []netip.Prefix{prefix("172.16.91.0/24"), prefix("fd00:91::/64")}, MTU: 1500},
			{Name: "wire", MTU: 1500},
			{Name: "jumbo", Prefixes: []netip.Prefix{prefix("10.9.0.0/16")}, MTU: 9000},
		},
		Routers: []lab.Router{{Name: "r", Legs: []lab.RouterLeg{
			{Underlay: "a", Addresses: []netip.Addr{addr("172.16.90.2")}},
			{Underlay: "b", Addresses: []netip.Addr{addr("172.16.91.2"), addr("fd00:91::2")}},
		}}},
		Hosts: []lab.Host{{Name: "node1", DPID: "0000020100000001", MAC: model.MAC{2, 1, 0, 0, 0, 1}, NICs: []lab.NIC{
			{Name: "eth0", Underlay: "a", Addresses: []netip.Addr{addr("172.16.90.10")}}, {Name: "eth1", Underlay: "wire"},
		}}},
		Guests: []lab.Guest{
			{Name: "vm1", Host: "node1", Port: "if-vm1", MAC: model.MAC{2, 0, 0, 0, 0, 2}, MTU: 1400, Live: true},
			{Name: "vm2", Port: "if-vm2", IfaceID: "abc", MAC: model.MAC{2, 0, 0, 0, 0, 1}, MTU: 1400, IP: lab.IP{DHCP: true, DHCPClient: "udhcpc"}},
		},
		Machines: []lab.Machine{
			{Name: "tagged", Underlay: "wire", VLAN: 7, MTU: 1500, IP: lab.IP{
				Addresses: []netip.Prefix{prefix("10.7.0.1/24")}, Gateways: []netip.Addr{addr("10.7.0.254")},
			}},
			{Name: "big", Underlay: "jumbo", MTU: 9000},
		},
	}
	if diff := cmp.Diff(want, got, equateNet); diff != "" {
		t.Errorf("Parse differs (-want +got):\n%s", diff)
	}
}

func TestExampleIsTheOriginalsLab(t *testing.T) {
	s, err := lab.ParseFile("../labs/three-hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	perHost := map[string]int{}
	for _, g := range s.Guests {
		perHost[g.Host]++
	}
	want := map[string]int{"node1": 3, "node2": 2, "node3": 3}
	if diff := cmp.Diff(want, perHost); s.Name != "three-hosts" || diff != "" {
		t.Errorf("lab %s, guests per host (-want +got):\n%s", s.Name, diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "../labs/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := lab.Parse(doc, "fuzz")
		if err == nil {
			if err := s.Validate(); err != nil {
				t.Errorf("a parsed lab is not valid: %v", err)
			}
		} else if err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}

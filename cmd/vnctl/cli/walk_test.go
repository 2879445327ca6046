package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/model"
)

// OpenVNet's guide for newcomers, as one writes it with its vnctl, in one batch.
const guide = `# one host
vnctl datapaths add --uuid dp-test1 --display-name test1 --dpid 0x0000aaaaaaaaaaaa --node-id vna
vnctl mac_range_groups add --uuid mrg-dpg
vnctl mac_ranges add mrg-dpg --begin_mac_address 52:56:01:00:00:00 --end_mac_address 52:56:01:ff:ff:ff
# a network with two guests
vnctl networks add nw-test1 10.100.0.0/24 virtual
vnctl interfaces add --uuid if-inst1 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:01 --network-uuid nw-test1 --ipv4-address 10.100.0.10 --port-name inst1
vnctl interfaces add --uuid if-inst2 --mode vif --owner_datapath_uuid dp-test1 --mac_address 10:54:ff:00:00:02 --network_uuid nw-test1 --ipv4_address 10.100.0.11 --port_name inst2
# DHCP
vnctl interfaces add --uuid if-dhcp --mode simulated --network-uuid nw-test1 --ipv4-address 10.100.0.100 --mac-address 02:00:00:00:01:01
vnctl network-services add --uuid ns-dhcp --interface-uuid if-dhcp --mode dhcp
# another network; inst2 moves to it
vnctl networks add --uuid nw-test2 --display-name "test 2" --ipv4-network 192.168.50.0 --ipv4-prefix 24 --network_mode virtual
vnctl interfaces del if-inst2
vnctl interfaces add --uuid if-inst2 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:02 --network-uuid nw-test2 --ipv4-address 192.168.50.10 --port-name inst2
# a router
vnctl interfaces add --uuid if-gw1 --mode simulated --enable_routing true --network-uuid nw-test1 --ipv4-address 10.100.0.1 --mac-address 02:00:00:00:02:01
vnctl interfaces add --uuid if-gw2 --mode simulated --enable-routing --network-uuid nw-test2 --ipv4-address 192.168.50.1 --mac-address 02:00:00:00:02:02
vnctl route-links add --uuid rl-1 --mac-address 02:00:10:00:00:01
vnctl routes add --uuid r-1 --interface-uuid if-gw1 --network-uuid nw-test1 --route-link-uuid rl-1 --ipv4-network 10.100.0.0
vnctl routes add --uuid r-2 --interface-uuid if-gw2 --network-uuid nw-test2 --route-link-uuid rl-1 --ipv4-network 192.168.50.0 --ipv4-prefix 24
# a firewall
vnctl interfaces modify if-inst1 --enable-filtering true
vnctl filters add --uuid fil-1 --interface-uuid if-inst1 --mode static
vnctl filters static add fil-1 --protocol tcp --src_address 0.0.0.0/0 --dst_address 0.0.0.0/0 --src_port 0 --dst_port 22 --action pass
vnctl filters static add fil-1 --protocol icmp --action pass
vnctl filters static del fil-1 --protocol icmp
# what else there is
vnctl topologies add --uuid topo-u --mode simple_underlay
vnctl topologies add --uuid topo-o --mode simple_overlay
vnctl topologies underlays add topo-o topo-u
vnctl topologies networks add topo-o nw-test1
vnctl topologies mac_range_groups add topo-u mrg-dpg
vnctl translations add --uuid tr-1 --interface-uuid if-gw1 --mode static_address
vnctl translations static_address add tr-1 --ingress_ipv4_address 10.100.0.200 --egress_ipv4_address 192.168.50.10 --route_link_uuid rl-1
vnctl ip_leases add --uuid il-1 --network_uuid nw-test1 --ipv4_address 10.100.0.77
vnctl ip_leases attach il-1 --interface_uuid if-inst1
vnctl ip_leases release il-1
vnctl ip_lease_containers add --uuid ilc-1
vnctl ip_lease_containers ip_leases add ilc-1 il-1
vnctl ip_lease_containers ip_leases ilc-1
vnctl ip_range_groups add --uuid iprg-1 --allocation_type incremental
vnctl ip_range_groups ip_ranges add iprg-1 --uuid ipr-1 --begin_ipv4_address 10.100.0.30 --end_ipv4_address 10.100.0.40
vnctl lease_policies add --uuid lp-1 --timing immediate
vnctl lease_policies networks add lp-1 nw-test1 --ip_range_group_uuid iprg-1
vnctl lease_policies ip_lease_containers add lp-1 ilc-1 --label x
vnctl lease_policies interfaces add lp-1 if-inst1 --label x
vnctl lease_policies allocate lp-1 --ip_lease_uuid il-2
vnctl ip_retention_containers add --uuid irc-1 --lease_time 3600 --grace_time 60
vnctl network_services add --uuid ns-dns --interface-uuid if-dhcp --type dns
vnctl dns_services add --uuid dnss-1 --network_service_uuid ns-dns --public_dns 8.8.8.8,8.8.4.4
vnctl dns_services dns_records add dnss-1 --uuid dnsr-1 --name www --ipv4_address 10.100.0.10
vnctl interfaces networks modify if-inst1 nw-test2 --static true
vnctl interfaces ports show if-inst1
vnctl segments add --uuid seg-1 --mode virtual
vnctl security_groups add --uuid sg-1 --display_name web --rules tcp:22:0.0.0.0/0
vnctl security_groups interfaces add sg-1 if-inst1
`

func TestGuide(t *testing.T) {
	s, _ := withManager(t)
	s.in = guide
	s.ok("batch")
	for line, want := range map[string]string{
		"networks show nw-test1 -o json --fields ipv4_network,ipv4_prefix,mode": `{"mode":"virtual","ipv4_network":"10.100.0.0","ipv4_prefix":24}`,
		"filters static show fil-1 --fields protocol,dst_port":                  "PROTOCOLDST_PORTtcp22",
		"ip_leases show il-2 --fields ipv4_address":                             "ipv4_address:10.100.0.31",
		"datapaths networks show dp-test1 -o name":                              "",
	} {
		if got := strings.Join(strings.Fields(s.ok(line)), ""); got != want {
			t.Errorf("vnctl %s: %s, want %s", line, got, want)
		}
	}

	// All of it is in an export, and applying that changes nothing.
	text := s.ok("export")
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.ok("plan --detailed-exitcode -f " + file); !strings.HasPrefix(got, "0 to create, 0 to change, 0 to delete, ") {
		t.Errorf("applying an export would change something:\n%s", got)
	}
	if names := s.ok("export networks -o name"); names != "nw-test1\nnw-test2\n" {
		t.Errorf("names: %q", names)
	}
	// Another manager makes the same of it.
	other, _ := withManager(t)
	other.ok("apply -f " + file)
	if got := other.ok("plan --detailed-exitcode -f " + file); !strings.HasPrefix(got, "0 to create, 0 to change, 0 to delete, ") {
		t.Errorf("applying it twice changes something:\n%s", got)
	}
}

func TestPrune(t *testing.T) {
	s, _ := withManager(t)
	s.ok("networks add nw-other 10.9.0.0/24")
	s.in = "networks:\n- {uuid: nw-a, ipv4_network: 10.0.0.0}\n- {uuid: nw-b, ipv4_network: 10.1.0.0, labels: {tier: x}}\n"
	s.ok("apply -f - --prune app=shop")
	if got := s.ok("networks show --labels app=shop --fields uuid,labels"); strings.Join(strings.Fields(got), " ") != "UUID LABELS nw-a app=shop nw-b app=shop,tier=x" {
		t.Errorf("labels:\n%s", got)
	}
	s.in = "networks:\n- {uuid: nw-a, ipv4_network: 10.0.0.0, display_name: a}\n"
	if code, stdout, _ := s.run("diff", "-f", "-", "--prune", "app=shop"); code != exitDiffers || !strings.Contains(stdout, "+     display_name: a\n") || !strings.Contains(stdout, "\n- networks nw-b\n") {
		t.Errorf("diff: %d\n%s", code, stdout)
	}
	if got := s.ok("apply -f - --prune app=shop"); got != "nw-a updated (display_name)\nnw-b deleted\n" {
		t.Errorf("apply: %q", got)
	}
	if got := s.ok("networks show -o name"); got != "nw-other\nnw-a\n" {
		t.Errorf("left: %q", got)
	}
}

func TestCompact(t *testing.T) {
	s, _ := withManager(t)
	const example = "../../../docs/examples/shop.yaml"
	if _, err := os.Stat(example); err != nil {
		t.Fatal(err)
	}
	s.ok("datapaths add --uuid dp-node1 --display-name node1 --dpid 1 --node-id node1")
	plan := s.ok("plan -f " + example)
	if !strings.Contains(plan, " 0 to change, 0 to delete, 0 unchanged.") {
		t.Errorf("plan:\n%s", plan)
	}
	s.ok("apply -f " + example)
	if got := s.ok("plan --detailed-exitcode -f " + example); !strings.HasPrefix(got, "0 to create, 0 to change, ") {
		t.Errorf("a second time:\n%s", got)
	}
}

func TestWatchWithManager(t *testing.T) {
	s, _ := withManager(t)
	s.ok("networks add nw-a 10.0.0.0/24")
	rev := strings.TrimSpace(strings.TrimPrefix(s.ok("networks show nw-a --fields revision"), "revision:"))
	s.ok("networks modify nw-a --display-name b")
	s.ok("interfaces add if-a vif")
	s.ok("networks del nw-a")
	if got := s.ok("watch networks --since " + rev + " --count 2"); !strings.Contains(got, " upsert nw-a display_name=b ") || !strings.Contains(got, " delete nw-a ") {
		t.Errorf("%s", got)
	}
}

// Every flag of show is a condition that the server knows: with a value that fits nothing there is nothing, and no refusal.
func TestFiltersAreKnown(t *testing.T) {
	s, _ := withManager(t)
	for _, r := range exposed() {
		if r.Parent != "" {
			continue
		}
		for _, f := range filters(r) {
			value := "x"
			switch f.Type {
			case model.Boolean, model.Integer:
				value = "1"
			case model.MACAddress:
				value = "02:00:00:00:00:01"
			case model.IPAddress:
				value = map[int]string{0: "10.0.0.1", 4: "10.0.0.1", 6: "fd00::1"}[f.Family]
			case model.IPPrefix:
				value = "10.0.0.0/24"
			case model.DatapathID:
				value = "0xaa"
			}
			if f.Min != nil {
				value = fmt.Sprint(max(1, *f.Min))
			}
			if f.Enum != nil {
				value = f.Enum[0]
			}
			if text, ok := map[string]string{
				"public_dns": "8.8.8.8", "rules": "tcp:22:10.0.0.0/8", "addresses": "10.0.0.0/8", "remote_addresses": "10.0.0.0/8", "excluded_addresses": "10.0.0.0/8",
				"public_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+3zz3T0u7Q9NWl2a0lzpyOqDmHUPKo6vCeRuaqZbDN",
			}[f.Name]; ok {
				value = text
			} else if f.Ref != "" {
				value = model.ByPlural(f.Ref).Prefix + "-x"
			}
			if code, _, stderr := s.run(r.Plural, "show", "--"+f.Name, value, "--limit", "1"); code != 0 {
				t.Errorf("%s show --%s %s: %s", r.Plural, f.Name, value, stderr)
			}
		}
	}
}

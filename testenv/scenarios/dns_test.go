package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/client"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// shop is two hosts with two guests of a network, one of another behind a router, and two DNS servers outside.
const shop = `
underlays:
  a: 172.16.90.0/24
hosts:
  node1: {nics: {eth0: {underlay: a, address: 172.16.90.10}}}
  node2: {nics: {eth0: {underlay: a, address: 172.16.90.11}}}
guests:
  vm1: {host: node1, port: if-vm1, mac: "02:00:00:00:00:01", dhcp: true}
  vm2: {host: node2, port: if-vm2, mac: "02:00:00:00:00:02", dhcp: true}
  far: {host: node1, port: if-far, mac: "02:00:00:00:00:03", addresses: [10.0.1.13/24], gateway: 10.0.1.254}
machines:
  ns1: {underlay: a, addresses: [172.16.90.201/24]}
  ns2: {underlay: a, addresses: [172.16.90.202/24]}
`

func shopDocuments() client.Documents {
	nic := func(uuid, mode, network, mac string, more client.Params) client.Params {
		p := client.Params{"uuid": uuid, "mode": mode, "network_uuid": network, "mac_address": mac}
		for name, v := range more {
			p[name] = v
		}
		return p
	}
	route := func(uuid, iface, network, subnet string) client.Params {
		return client.Params{"uuid": uuid, "route_link_uuid": "rl-shop", "interface_uuid": iface, "network_uuid": network, "ipv4_network": subnet, "ipv4_prefix": 24}
	}
	docs := client.Documents{
		"networks": {
			{"uuid": "nw-shop", "domain_name": "shop.example", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24, "ipv6_network": "fd00::", "ipv6_prefix": 64},
			{"uuid": "nw-far", "ipv4_network": "10.0.1.0", "ipv4_prefix": 24},
		},
		"interfaces": {
			nic("if-ns", "simulated", "nw-shop", "02:dd:00:00:00:01", client.Params{"hostname": "ns", "ipv4_address": "10.0.0.1", "ipv6_address": "fd00::1"}),
			nic("if-gwshop", "simulated", "nw-shop", "02:dd:00:00:00:02", client.Params{"enable_routing": true, "ipv4_address": "10.0.0.254"}),
			nic("if-gwfar", "simulated", "nw-far", "02:dd:00:00:00:03", client.Params{"enable_routing": true, "ipv4_address": "10.0.1.254"}),
			nic("if-vm1", "vif", "nw-shop", "02:00:00:00:00:01", client.Params{"port_name": "if-vm1", "ipv4_address": "10.0.0.11"}),
			nic("if-vm2", "vif", "nw-shop", "02:00:00:00:00:02", client.Params{"port_name": "if-vm2", "hostname": "db", "ipv4_address": "10.0.0.12"}),
			nic("if-far", "vif", "nw-far", "02:00:00:00:00:03", client.Params{"port_name": "if-far", "ipv4_address": "10.0.1.13"}),
		},
		"ip_leases":        {{"uuid": "il-six", "network_uuid": "nw-shop", "interface_uuid": "if-vm1", "ipv6_address": "fd00::11"}},
		"network_services": {{"uuid": "ns-dhcp", "mode": "dhcp", "interface_uuid": "if-ns"}, {"uuid": "ns-dns", "mode": "dns", "interface_uuid": "if-ns"}},
		"dns_services":     {{"uuid": "dnss-shop", "network_service_uuid": "ns-dns", "public_dns": "172.16.90.201,172.16.90.202"}},
		"route_links":      {{"uuid": "rl-shop"}},
		"routes":           {route("r-shop", "if-gwshop", "nw-shop", "10.0.0.0"), route("r-far", "if-gwfar", "nw-far", "10.0.1.0")},
	}
	for i, p := range []client.Params{
		{"name": "www.shop.example", "ipv4_address": "10.0.0.80", "ipv6_address": "fd00::80"}, {"name": "alias.shop.example", "type": "cname", "target": "www.shop.example"},
		{"name": "out.shop.example", "type": "cname", "target": "www.remote.test"}, {"name": "_sip._udp.shop.example", "type": "srv", "target": "www.shop.example", "port": 5060, "priority": 10, "weight": 5},
		{"name": "shop.example", "type": "txt", "text": "v=spf1 -all"}, {"name": "10.0.0.12", "type": "ptr", "target": "database.shop.example"}, {"name": "*.apps.shop.example", "ipv4_address": "10.0.0.81"},
	} {
		p["uuid"], p["dns_service_uuid"] = fmt.Sprint("dnsr-", i), "dnss-shop"
		docs["dns_records"] = append(docs["dns_records"], p)
	}
	for i := range 60 {
		docs["dns_records"] = append(docs["dns_records"], client.Params{"uuid": fmt.Sprint("dnsr-many", i), "dns_service_uuid": "dnss-shop", "name": "many.shop.example", "ipv4_address": netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + i)})})
	}
	return docs
}

// Guests' own programs ask for names: of records, of guests, of addresses, and of servers outside; also through a router, and whichever of agents and objects were first.
func TestPrivilegedDNS(t *testing.T) {
	privileged.Require(t, "dig", "nslookup", "dnsmasq")
	for name, agentsFirst := range map[string]bool{"agents first": true, "objects first": false} {
		t.Run(name, func(t *testing.T) {
			spec, err := lab.Parse([]byte(shop), "sc-dns")
			if err != nil {
				t.Fatal(err)
			}
			agents := lab.NoAgents
			if agentsFirst {
				agents = lab.StartAgents
			}
			s := up(t, spec, agents)
			if agentsFirst {
				s.joined(t)
			} else {
				s.start(t, "vnmgr", lab.Manager)
				s.answering(t)
			}
			s.apply(t, shopDocuments())
			if !agentsFirst {
				for _, h := range spec.Hosts {
					s.start(t, h.Name, lab.Agent)
				}
			}
			servers := map[string]func(){"ns1": s.outside(t, "ns1", "192.0.2.1"), "ns2": s.outside(t, "ns2", "192.0.2.2")}
			s.names(t)
			s.recordsChange(t)
			s.failsOver(t, servers)
		})
	}
}

// outside starts a DNS server on a machine, which says that everything in remote.test has an address. It gives what stops it.
func (s *scene) outside(t *testing.T, machine, address string) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	args := []string{"--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--cache-size=0", "--local-ttl=60", "--address=/remote.test/" + address}
	for i := range 12 {
		args = append(args, fmt.Sprintf("--txt-record=long.remote.test,%03d%s", i, strings.Repeat("x", 200)))
	}
	cmd := exec.CommandContext(ctx, "dnsmasq", args...)
	if err := s.lab.StartAt(machine, cmd); err != nil {
		cancel()
		t.Fatal(err)
	}
	stop := func() { cancel(); _ = cmd.Wait() }
	t.Cleanup(stop)
	wait.For(t, patience, "the server on "+machine, func() error {
		_, err := s.lab.Exec(t.Context(), machine, "dig", "+time=1", "+tries=1", "@127.0.0.1", "a.remote.test")
		return err
	})
	return stop
}

// prints waits until a program in a guest says something that matches.
func (s *scene) prints(t *testing.T, guest, want string, argv ...string) string {
	t.Helper()
	re := regexp.MustCompile(want)
	var out string
	wait.For(t, patience, fmt.Sprintf("%s: %s: %s", guest, strings.Join(argv, " "), want), func() error {
		var err error
		if out, err = s.lab.Exec(t.Context(), guest, argv...); !re.MatchString(out) {
			return fmt.Errorf("it says %q, %w", out, err)
		}
		return nil
	})
	return out
}

func dig(args ...string) []string { return append([]string{"dig", "+time=2", "+tries=1"}, args...) }

func (s *scene) names(t *testing.T) {
	t.Helper()
	// The lease has told who answers, and in which domain the guest is.
	s.prints(t, "vm1", `nameserver 10\.0\.0\.1\n`, "cat", "/etc/resolv.conf")
	s.exec(t, "vm1", "ip", "-6", "addr", "replace", "fd00::11/64", "dev", "eth0", "nodad")
	for _, tc := range []struct {
		want string
		argv []string
	}{
		{`^10\.0\.0\.80\n$`, dig("+short", "www.shop.example")},
		{`^10\.0\.0\.80\n$`, dig("+short", "+tcp", "www.shop.example")},
		{`^10\.0\.0\.80\n$`, dig("+short", "@fd00::1", "www.shop.example")},
		{`^10\.0\.0\.80\n$`, dig("+short", "+tcp", "@fd00::1", "www.shop.example")},
		{`^fd00::80\n$`, dig("+short", "www.shop.example", "AAAA")},
		{`^fd00::11\n$`, dig("+short", "vm1.shop.example", "AAAA")},
		{`^10\.0\.0\.12\n$`, dig("+short", "db.shop.example")},
		{`^10\.0\.0\.12\n$`, dig("+short", "+search", "db")},
		{`^www\.shop\.example\.\n10\.0\.0\.80\n$`, dig("+short", "alias.shop.example")},
		{`^10 5 5060 www\.shop\.example\.\n$`, dig("+short", "_sip._udp.shop.example", "SRV")},
		{`^"v=spf1 -all"\n$`, dig("+short", "shop.example", "TXT")},
		{`^10\.0\.0\.81\n$`, dig("+short", "any.thing.apps.shop.example")},
		{`^database\.shop\.example\.\n$`, dig("+short", "-x", "10.0.0.12")},
		{`^vm1\.shop\.example\.\n$`, dig("+short", "-x", "10.0.0.11")},
		{`^vm1\.shop\.example\.\n$`, dig("+short", "-x", "fd00::11")},
		{`^www\.shop\.example\.\n$`, dig("+short", "-x", "10.0.0.80")},
		{`flags: qr aa rd ra;`, dig("www.shop.example")},
		{`status: NXDOMAIN(.|\n)*shop\.example\.\s+\d+\s+IN\s+SOA`, dig("nobody.shop.example")},
		{`status: NOERROR(.|\n)*ANSWER: 0(.|\n)*SOA`, dig("www.shop.example", "MX")},
		{`"RFC8482"`, dig("www.shop.example", "ANY", "+notcp")},
		{`status: BADVERS`, dig("+edns=1", "+noednsnegotiation", "www.shop.example")},
		{`status: NOTIMP`, dig("+opcode=status", "www.shop.example")},
		{`status: REFUSED`, dig("-c", "CH", "-t", "TXT", "version.bind")},
		{`WwW\.sHop\.ExaMple\.\s+\d+\s+IN\s+A\s+10\.0\.0\.80`, dig("WwW.sHop.ExaMple")},
		{`flags: qr aa tc rd ra;.*ANSWER: [1-9]`, dig("+ignore", "+bufsize=512", "many.shop.example")},
		{`flags: qr aa rd ra;.*ANSWER: 60`, dig("+ignore", "+bufsize=1232", "many.shop.example")},
		{`Truncated, retrying in TCP mode(.|\n)*ANSWER: 60`, dig("+noedns", "many.shop.example")},
		{`udp: 1232`, dig("+bufsize=4096", "www.shop.example")},
		{`Name:\s+www\.shop\.example\nAddress: 10\.0\.0\.80\n`, []string{"nslookup", "www.shop.example"}},
		{`name = database\.shop\.example\.`, []string{"nslookup", "10.0.0.12"}},
		{`^10\.0\.0\.12\s`, []string{"getent", "ahostsv4", "db"}},
		{`^fd00::80\s+www\.shop\.example`, []string{"getent", "hosts", "www.shop.example"}},
		{`^10\.0\.0\.12\s+database\.shop\.example`, []string{"getent", "hosts", "10.0.0.12"}},
		{`^192\.0\.2\.1\n$`, dig("+short", "www.remote.test")},
		{`^www\.remote\.test\.\n192\.0\.2\.1\n$`, dig("+short", "out.shop.example")},
		{`Truncated, retrying in TCP mode(.|\n)*ANSWER: 12,`, dig("+noedns", "long.remote.test", "TXT")},
		{`status: NXDOMAIN`, dig("-x", "192.168.7.7")},
	} {
		s.prints(t, "vm1", tc.want, tc.argv...)
	}
	s.prints(t, "vm2", `^10\.0\.0\.11\n$`, dig("+short", "vm1.shop.example")...)
	s.prints(t, "far", `^10\.0\.0\.80\n$`, dig("+short", "@10.0.0.1", "www.shop.example")...)
	s.prints(t, "far", `^10\.0\.0\.80\n$`, dig("+short", "+tcp", "@10.0.0.1", "www.shop.example")...)
	s.prints(t, "far", `^192\.0\.2\.1\n$`, dig("+short", "@10.0.0.1", "far.remote.test")...)
	// The time to live of what is kept runs.
	ttl := regexp.MustCompile(`www\.remote\.test\.\s+(\d+)\s`)
	wait.For(t, patience, "a lower time to live", func() error {
		m := ttl.FindStringSubmatch(s.exec(t, "vm1", dig("www.remote.test")...))
		if m == nil {
			return fmt.Errorf("no answer")
		}
		if n, _ := strconv.Atoi(m[1]); n >= 60 || n < 1 {
			return fmt.Errorf("it is %d", n)
		}
		return nil
	})
}

// recordsChange: what a write that has waited has changed is answered at once.
func (s *scene) recordsChange(t *testing.T) {
	t.Helper()
	at := func(want, name string) {
		t.Helper()
		if got := s.exec(t, "vm1", dig("+short", name)...); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	r := create[model.DNSRecord](t, s, client.Params{"dns_service_uuid": "dnss-shop", "name": "new.shop.example", "ipv4_address": "10.0.0.90"})
	at("10.0.0.90\n", "new.shop.example")
	if _, err := client.Update[model.DNSRecord](t.Context(), s.api, r.Object.UUID, client.Params{"ipv4_address": "10.0.0.91"}); err != nil {
		t.Fatal(err)
	}
	at("10.0.0.91\n", "new.shop.example")
	s.remove(t, r.Object.UUID)
	at("", "new.shop.example")
	if _, err := client.Update[model.Interface](t.Context(), s.api, "if-vm2", client.Params{"hostname": "store"}); err != nil {
		t.Fatal(err)
	}
	at("10.0.0.12\n", "store.shop.example")
	at("", "db.shop.example")
	if _, err := client.Update[model.Network](t.Context(), s.api, "nw-shop", client.Params{"domain_name": "store.example"}); err != nil {
		t.Fatal(err)
	}
	at("10.0.0.11\n", "vm1.store.example")
	at("10.0.0.80\n", "www.shop.example")
}

// failsOver: the first server is left out while it does not answer, and nothing else waits for it.
func (s *scene) failsOver(t *testing.T, stop map[string]func()) {
	t.Helper()
	n := 0
	next := func() string { n++; return fmt.Sprintf("n%d.remote.test", n) }
	s.prints(t, "vm1", `^192\.0\.2\.1\n$`, dig("+short", next())...)
	s.exec(t, "ns1", "ip", "link", "set", "eth0", "down")
	if got := s.exec(t, "vm1", dig("+short", next())...); got != "192.0.2.2\n" {
		t.Errorf("the second server says %q", got)
	}
	var took []time.Duration
	for range 20 {
		began := time.Now()
		if got := s.exec(t, "vm1", dig("+short", next())...); got != "192.0.2.2\n" {
			t.Errorf("the second server says %q", got)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("without the first server: %v in the middle, %v at most", took[10], took[19])
	if took[15] > wait.Scaled(500*time.Millisecond) {
		t.Errorf("questions wait for the server that does not answer: %v", took)
	}
	s.exec(t, "ns1", "ip", "link", "set", "eth0", "up")
	wait.For(t, patience, "the first server to be asked again", func() error {
		if got := s.exec(t, "vm1", dig("+short", next())...); got != "192.0.2.1\n" {
			return fmt.Errorf("%q says so", got)
		}
		return nil
	})
	for _, f := range stop {
		f()
	}
	s.prints(t, "vm1", `status: SERVFAIL`, "dig", "+time=5", "+tries=1", next())
	s.prints(t, "vm1", `^10\.0\.0\.80\n$`, dig("+short", "www.shop.example")...)
}

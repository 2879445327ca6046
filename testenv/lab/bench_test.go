package lab_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/privileged"
)

// BenchmarkUpDown reports how long a lab without agents takes to come up and to go.
func BenchmarkUpDown(b *testing.B) {
	privileged.Require(b, "ip", "ovs-vswitchd", "udhcpc")
	example, err := lab.ParseFile("../labs/three-hosts.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for _, spec := range []lab.Spec{example, manyHosts(20, 100)} {
		b.Run(fmt.Sprintf("hosts=%d/guests=%d", len(spec.Hosts), len(spec.Guests)), func(b *testing.B) {
			dir := root(b)
			var up, down time.Duration
			for b.Loop() {
				start := time.Now()
				l, err := lab.Up(b.Context(), spec, lab.Options{Root: dir, Agents: lab.NoAgents})
				if err != nil {
					b.Fatal(err)
				}
				built := time.Now()
				if err := l.Down(b.Context()); err != nil {
					b.Fatal(err)
				}
				up, down = up+built.Sub(start), down+time.Since(built)
			}
			b.ReportMetric(float64(up.Milliseconds())/float64(b.N), "up-ms/op")
			b.ReportMetric(float64(down.Milliseconds())/float64(b.N), "down-ms/op")
		})
	}
}

// manyHosts is a lab of hosts on one underlay, with guests spread over them.
func manyHosts(hosts, guests int) lab.Spec {
	s := lab.Spec{Name: "many", Underlays: []lab.Underlay{{Name: "a", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}}}}
	for i := range hosts {
		addr := netip.AddrFrom4([4]byte{10, 77, 1, byte(i + 1)})
		s.Hosts = append(s.Hosts, lab.Host{Name: fmt.Sprintf("h%d", i), NICs: []lab.NIC{{Name: "eth0", Underlay: "a", Addresses: []netip.Addr{addr}}}})
	}
	for i := range guests {
		s.Guests = append(s.Guests, lab.Guest{Name: fmt.Sprintf("g%d", i), Host: s.Hosts[i%hosts].Name})
	}
	return s
}

package lab_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/lab"
	"github.com/openvnet/openvnet/testenv/wait"
)

// serveDHCP leases 10.0.0.N to the guest with the MAC 02:00:00:00:00:N, with the options that are set at the time.
func serveDHCP(t *testing.T, l *lab.Lab, node string, options *atomic.Pointer[[]dhcpv4.Modifier]) {
	t.Helper()
	self := net.IPv4(10, 0, 0, 250)
	var srv *server4.Server
	err := l.Do(node, func() error {
		var err error
		srv, err = server4.NewServer("eth0", &net.UDPAddr{Port: 67}, func(conn net.PacketConn, _ net.Addr, req *dhcpv4.DHCPv4) {
			typ := dhcpv4.MessageTypeOffer
			if req.MessageType() == dhcpv4.MessageTypeRequest {
				typ = dhcpv4.MessageTypeAck
			}
			mods := append([]dhcpv4.Modifier{
				dhcpv4.WithMessageType(typ), dhcpv4.WithServerIP(self), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(self)),
				dhcpv4.WithYourIP(net.IPv4(10, 0, 0, req.ClientHWAddr[5])), dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithLeaseTime(3600),
			}, *options.Load()...)
			resp, err := dhcpv4.NewReplyFromRequest(req, mods...)
			if err != nil {
				return
			}
			dst := &net.UDPAddr{IP: net.IPv4bcast, Port: 68}
			if ip := req.ClientIPAddr; ip != nil && !ip.IsUnspecified() {
				dst.IP = ip
			}
			if _, err := conn.WriteTo(resp.ToBytes(), dst); err != nil {
				t.Logf("answer %v: %v", dst, err)
			}
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve() // ends with an error when it is closed
	t.Cleanup(func() { srv.Close() })
}

func TestPrivilegedDHCPClients(t *testing.T) {
	l := up(t, parse(t, "dhcp", `
hosts: {node1: {}}
guests:
  vm1: {host: node1, dhcp: true}
  vm2: {host: node1, dhcp: true, dhcp_client: dhclient, addresses: ["fd00::2/64"]}
  server: {host: node1, addresses: [10.0.0.250/24]}
`), lab.Options{Agents: lab.NoAgents})
	var options atomic.Pointer[[]dhcpv4.Modifier]
	set := func(mods ...dhcpv4.Modifier) { options.Store(&mods) }
	_, net8, _ := net.ParseCIDR("10.8.0.0/16")
	_, net9, _ := net.ParseCIDR("10.9.9.128/25")
	_, all, _ := net.ParseCIDR("0.0.0.0/0")
	_, onlink, _ := net.ParseCIDR("10.99.0.0/24")
	set(
		dhcpv4.WithOption(dhcpv4.OptRouter(net.IPv4(10, 0, 0, 9))), // option 121 outranks it
		dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(
			&dhcpv4.Route{Dest: all, Router: net.IPv4(10, 0, 0, 254)}, &dhcpv4.Route{Dest: net8, Router: net.IPv4(10, 0, 0, 253)},
			&dhcpv4.Route{Dest: net9, Router: net.IPv4(10, 0, 0, 252)}, &dhcpv4.Route{Dest: onlink, Router: net.IPv4zero},
		)),
		dhcpv4.WithDNS(net.IPv4(10, 0, 0, 53)), dhcpv4.WithOption(dhcpv4.OptDomainName("lab.test")),
		dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x05, 0x14}), // 1300
	)
	serveDHCP(t, l, "server", &options)
	run(t, l, "node1", "ovs-ofctl", "add-flow", "br0", "priority=100,actions=NORMAL")

	// show is what a guest has from its lease.
	show := func(guest string) string {
		return run(t, l, guest, "sh", "-c", `ip -o -4 addr show dev eth0 | awk '{print $4}'
			cat /sys/class/net/eth0/mtu; ip -4 route show proto dhcp | sed 's/ *$//' | sort; cat /etc/resolv.conf`)
	}
	expect := func(guest, want string) {
		t.Helper()
		wait.For(t, 20*time.Second, guest+"'s lease", func() error {
			if got := show(guest); got != want {
				return fmt.Errorf("got:\n%swant:\n%s", got, want)
			}
			return nil
		})
	}
	const tail = `1300
10.8.0.0/16 via 10.0.0.253 dev eth0 onlink
10.9.9.128/25 via 10.0.0.252 dev eth0 onlink
10.99.0.0/24 dev eth0 scope link
default via 10.0.0.254 dev eth0 onlink
search lab.test
nameserver 10.0.0.53
`
	expect("vm1", "10.0.0.1/24\n"+tail)
	expect("vm2", "10.0.0.2/24\n"+tail)
	reach(t, l, "vm1", "10.0.0.2")

	// A renewal with other options: stale routes go, the address stays.
	set(dhcpv4.WithOption(dhcpv4.OptRouter(net.IPv4(10, 0, 0, 9))), dhcpv4.WithDNS(net.IPv4(10, 0, 0, 54)))
	client, err := l.Record("vm1", lab.DHCPClient)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	expect("vm1", "10.0.0.1/24\n1300\ndefault via 10.0.0.9 dev eth0 onlink\nnameserver 10.0.0.54\n")

	st, err := lab.ReadStatus(strings.TrimSuffix(l.Dir(""), "/"+l.Name()), l.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range st.Nodes {
		if n.Name == "vm1" && (len(n.Addresses) != 1 || n.Addresses[0] != netip.MustParsePrefix("10.0.0.1/24")) {
			t.Errorf("status shows the addresses %v", n.Addresses)
		}
	}
	// The client can be killed and started as any other process.
	if err := l.Kill(t.Context(), "vm1", lab.DHCPClient); err != nil {
		t.Fatal(err)
	}
	run(t, l, "vm1", "ip", "addr", "flush", "dev", "eth0")
	if err := l.Start(t.Context(), "vm1", lab.DHCPClient); err != nil {
		t.Fatal(err)
	}
	wait.For(t, 20*time.Second, "vm1's new lease", func() error {
		if !strings.HasPrefix(show("vm1"), "10.0.0.1/24\n") {
			log, _ := os.ReadFile(l.Log("vm1", lab.DHCPClient))
			return fmt.Errorf("none: %s", log)
		}
		return nil
	})
}

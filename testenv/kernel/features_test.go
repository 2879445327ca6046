package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/deploy"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/wait"
)

// These are what the pipeline builds on or will build on, tried with flows written by hand, on the datapath that there is: the
// kernel's in the virtual machine, the userspace one elsewhere.

// host is a namespace with an Open vSwitch of its own and a NIC.
type host struct {
	t  *testing.T
	ns *netns.NS
	sw *ovs.Instance
}

func namespace(t *testing.T, name string) *netns.NS {
	t.Helper()
	ns, err := netns.Create(fmt.Sprintf("tkernel%d-%s", os.Getpid(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ns.Close()
		if err := netns.Delete(ns.Name()); err != nil {
			t.Error(err)
		}
	})
	return ns
}

// newHost makes a host whose NIC, eth0, is to be the end of a cable.
func newHost(t *testing.T, name string) *host {
	t.Helper()
	privileged.Require(t, append([]string{"ip", "sh", "ping", "ethtool"}, ovs.Programs...)...)
	ns := namespace(t, name)
	sw, err := ovs.Open(ovs.Options{Dir: ovs.TempDir(t), NS: ns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sw.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := sw.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &host{t, ns, sw}
}

// provision makes the bridge as on a host of production.
func (h *host) provision(args ...string) {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "sh", append([]string{"-c", deploy.HostScript, "host.sh"}, args...)...)
	cmd.Env = append(os.Environ(), h.sw.Env()...)
	if _, err := h.ns.Output(cmd); err != nil {
		h.t.Fatal(err)
	}
}

func sh(t *testing.T, ns *netns.NS, script string) string {
	t.Helper()
	out, err := ns.Output(exec.CommandContext(t.Context(), "sh", "-ec", script))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (h *host) must(out string, err error) string {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *host) vsctl(args ...string) string { return h.must(h.sw.Vsctl(h.t.Context(), args...)) }
func (h *host) ofctl(args ...string) string { return h.must(h.sw.Ofctl(h.t.Context(), args...)) }
func (h *host) appctl(args ...string) string {
	return h.must(h.sw.Appctl(h.t.Context(), args...))
}

// flows adds flows to those of the bridge.
func (h *host) flows(flows ...string) {
	h.t.Helper()
	for _, f := range flows {
		h.ofctl("add-flow", "br0", f)
	}
}

// guest makes a guest behind the port of that name, with that address, whose neighbours do not have to be asked for.
func (h *host) guest(port string, addr netip.Prefix) *netns.NS {
	h.t.Helper()
	ns := namespace(h.t, port)
	sh(h.t, h.ns, fmt.Sprintf("ip link add name %s type veth peer name eth0 netns %s; ip link set dev %s arp off up", port, ns.Name(), port))
	sh(h.t, ns, fmt.Sprintf("ethtool -K eth0 tx off >/dev/null; ip link set dev eth0 address %s mtu 1400 up; ip addr add %s dev eth0", mac(addr.Addr()), addr))
	h.vsctl("add-port", "br0", port)
	return ns
}

// mac gives the hardware address of who has an address.
func mac(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}

func knows(t *testing.T, ns *netns.NS, addrs ...netip.Addr) {
	t.Helper()
	for _, a := range addrs {
		sh(t, ns, fmt.Sprintf("ip neigh replace %s lladdr %s dev eth0", a, mac(a)))
	}
}

// pings sends three echo requests; the error says how many came back.
func pings(t *testing.T, ns *netns.NS, to netip.Addr) error {
	t.Helper()
	out, err := ns.Output(exec.CommandContext(t.Context(), "ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "2", to.String()))
	if err == nil && !strings.Contains(string(out), " 0% packet loss") {
		err = errors.New(string(out))
	}
	return err
}

var addrA, addrB, addrNAT = netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.100")

func on(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 24) }

// A stateful filter with translation: a may open connections to b, which sees another address; b may open none.
func TestPrivilegedConntrack(t *testing.T) {
	h := newHost(t, "ct")
	h.provision()
	a, b := h.guest("a", on(addrA)), h.guest("b", on(addrB))
	knows(t, a, addrB)
	knows(t, b, addrA)
	sh(t, b, fmt.Sprintf("ip neigh replace %s lladdr %s dev eth0", addrNAT, mac(addrA)))
	h.flows(
		"table=0,ip,in_port=a,actions=ct(table=1,zone=7,nat)",
		"table=0,ip,in_port=b,actions=ct(table=1,zone=7,nat)",
		fmt.Sprintf("table=1,ip,in_port=a,ct_state=+trk+new,actions=ct(commit,zone=7,nat(src=%s),exec(set_field:0x5->ct_mark)),b", addrNAT),
		"table=1,ip,in_port=a,ct_state=+trk+est,ct_mark=0x5,actions=b",
		"table=1,ip,in_port=b,ct_state=+trk+est+rpl,ct_mark=0x5,actions=a",
		"table=1,ip,ct_state=+trk+inv,priority=40000,actions=drop")
	if err := pings(t, a, addrB); err != nil {
		t.Errorf("a does not reach b: %v", err)
	}
	if err := pings(t, b, addrA); err == nil {
		t.Error("b reaches a, and nobody allowed it")
	}
	entries := h.appctl("dpctl/dump-conntrack", "zone=7")
	if !strings.Contains(entries, "src="+addrA.String()) || !strings.Contains(entries, "dst="+addrNAT.String()) || !strings.Contains(entries, "mark=5") {
		t.Errorf("the connection is not tracked with its translation and mark:\n%s", entries)
	}
	h.appctl("dpctl/flush-conntrack", "zone=7")
	if left := h.appctl("dpctl/dump-conntrack", "zone=7"); strings.TrimSpace(left) != "" {
		t.Errorf("connections are left:\n%s", left)
	}
}

// A meter lets a few packets a second pass and drops the others.
func TestPrivilegedMeter(t *testing.T) {
	h := newHost(t, "meter")
	h.provision()
	a, b := h.guest("a", on(addrA)), h.guest("b", on(addrB))
	knows(t, a, addrB)
	knows(t, b, addrA)
	h.ofctl("add-meter", "br0", "meter=1,pktps,burst,stats,bands=type=drop,rate=10,burst_size=10")
	h.flows("ip,in_port=a,actions=meter:1,b", "ip,in_port=b,actions=a")
	out, err := a.Output(exec.CommandContext(t.Context(), "ping", "-n", "-q", "-f", "-c", "300", "-W", "1", addrB.String()))
	received := regexp.MustCompile(`(\d+) received`).FindSubmatch(out)
	if received == nil {
		t.Fatalf("ping: %v: %s", err, out)
	}
	n, err := strconv.Atoi(string(received[1]))
	if err != nil || n < 5 || n > 200 {
		t.Errorf("%d of 300 packets passed a meter of 10 a second (%v)", n, err)
	}
	wait.For(t, 10*time.Second, "the meter's counters", func() error {
		stats := h.ofctl("meter-stats", "br0")
		if m := regexp.MustCompile(`0: packet_count:(\d+)`).FindStringSubmatch(stats); m == nil || m[1] == "0" {
			return fmt.Errorf("it has dropped nothing:\n%s", stats)
		}
		return nil
	})
}

// Every kind of tunnel carries packets between two hosts, with a key and with the tunnel's end from the flow. The datapath has the device.
func TestPrivilegedTunnels(t *testing.T) {
	one, two := newHost(t, "one"), newHost(t, "two")
	sh(t, one.ns, "ip link add eth0 type veth peer name eth0 netns "+two.ns.Name())
	ends := map[*host]string{one: "192.0.2.1", two: "192.0.2.2"}
	for h, address := range ends {
		sh(t, h.ns, "ethtool -K eth0 tx off >/dev/null")
		h.provision("--nic", "eth0", "--address", address+"/24")
	}
	a, b := one.guest("a", on(addrA)), two.guest("b", on(addrB))
	knows(t, a, addrB)
	knows(t, b, addrA)
	for _, kind := range []string{"geneve", "vxlan", "gre"} {
		t.Run(kind, func(t *testing.T) {
			for h, guest := range map[*host]string{one: "a", two: "b"} {
				far := ends[one]
				if h == one {
					far = ends[two]
				}
				h.vsctl("add-port", "br0", "t-"+kind, "--", "set", "interface", "t-"+kind, "type="+kind, "options:remote_ip=flow", "options:key=flow")
				h.flows(fmt.Sprintf("ip,in_port=%s,actions=set_field:0x1234->tun_id,set_field:%s->tun_dst,t-%s", guest, far, kind),
					fmt.Sprintf("ip,in_port=t-%s,tun_id=0x1234,actions=%s", kind, guest))
			}
			// Tunnels of the userspace datapath lose a packet while they ask for the neighbour.
			wait.For(t, 10*time.Second, "a to reach b", func() error { return pings(t, a, addrB) })
			// Packets of full size must neither be fragmented wrongly nor lost.
			if _, err := a.Output(exec.CommandContext(t.Context(), "ping", "-n", "-q", "-c", "1", "-s", "1372", "-M", "do", "-W", "5", addrB.String())); err != nil {
				t.Errorf("packets of full size: %v", err)
			}
			show := one.appctl("dpctl/show")
			if !strings.Contains(show, "("+kind) {
				t.Errorf("the datapath has no port for %s:\n%s", kind, show)
			}
			if _, err := os.Stat("/sys/module/openvswitch"); err == nil {
				if links := sh(t, one.ns, "ip -o -d link show type "+kindOfLink(kind)); !strings.Contains(links, "_sys") {
					t.Errorf("the kernel has no device for %s:\n%s", kind, links)
				}
			}
			for h := range ends {
				h.vsctl("del-port", "br0", "t-"+kind)
			}
		})
	}
}

// kindOfLink is how iproute2 calls the device of a kind of tunnel.
func kindOfLink(kind string) string {
	if kind == "gre" {
		return "gretap"
	}
	return kind
}

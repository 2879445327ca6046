package rig_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/rig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The guests' addresses: macA is 02:..:01 with 10.0.0.1, and so on.
var (
	macA = model.MAC{2, 0, 0, 0, 0, 1}
	macB = model.MAC{2, 0, 0, 0, 0, 2}
	ipA  = netip.MustParseAddr("10.0.0.1")
	ipB  = netip.MustParseAddr("10.0.0.2")
)

// options are three hosts: one and two share a subnet, three is behind the router.
func options() rig.Options {
	host := func(name string, n byte, addresses ...string) rig.HostOptions {
		o := rig.HostOptions{
			Name: name, MAC: model.MAC{2, 0, 0, 0, 1, n}, NIC: rig.Port{Name: "nic", OFPort: 1},
			Tunnels: []rig.Tunnel{
				{Port: rig.Port{Name: "gnv", OFPort: 2}, Kind: rig.Geneve},
				{Port: rig.Port{Name: "vxl", OFPort: 3}, Kind: rig.VXLAN},
				{Port: rig.Port{Name: "gre", OFPort: 4}, Kind: rig.GRE},
			},
			Ports: []rig.Port{{Name: "p1", OFPort: 11}, {Name: "p2", OFPort: 12}, {Name: "p3", OFPort: 13}, {Name: "p4", OFPort: 14}},
		}
		for _, a := range addresses {
			o.Addresses = append(o.Addresses, netip.MustParsePrefix(a))
		}
		return o
	}
	return rig.Options{Hosts: []rig.HostOptions{
		host("one", 1, "192.0.2.1/26", "2001:db8:1::1/64"),
		host("two", 2, "192.0.2.2/26", "2001:db8:1::2/64"),
		host("three", 3, "192.0.2.65/26", "2001:db8:2::1/64"),
	}}
}

func start(t testing.TB, opt rig.Options) *rig.World {
	t.Helper()
	privileged.Programs(t, ovs.Programs...)
	w, err := rig.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// program adds flows and groups (lines with group_id) by the syntax of ovs-ofctl, and meters (lines with meter=), and settles.
func program(t testing.TB, w *rig.World, host string, lines ...string) {
	t.Helper()
	change(t, w, host, lines...)
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func change(t testing.TB, w *rig.World, host string, lines ...string) {
	t.Helper()
	if err := w.Host(host).Session().Send(t.Context(), messages(t, lines...)); err != nil {
		t.Fatal(err)
	}
}

func messages(t testing.TB, lines ...string) (all []ofp.Message) {
	t.Helper()
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "group_id"):
			g, err := flow.ParseGroup(l, flow.Names{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &ofp.GroupMod{Group: g})
		case strings.HasPrefix(l, "meter"):
			m, err := flow.ParseMeter(l)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &ofp.MeterMod{Meter: m})
		default:
			f, err := flow.Parse(l, flow.Names{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, &ofp.FlowMod{Flow: f})
		}
	}
	return all
}

// underlayFlows join NIC and LOCAL, and give guests of p1 to what comes from tunnels.
var underlayFlows = []string{
	"table=0,priority=1,in_port=1,actions=LOCAL", "table=0,priority=1,in_port=LOCAL,actions=output:1",
	"table=0,in_port=2,tun_id=0x4d,actions=output:11", "table=0,in_port=3,tun_id=0x4d,actions=output:11", "table=0,in_port=4,tun_id=0x4d,actions=output:11",
}

func inject(t testing.TB, w *rig.World, host, port string, frame []byte) *rig.Result {
	t.Helper()
	r, err := w.Inject(t.Context(), host, port, frame)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func serialize(t testing.TB, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func udp(t testing.TB, src, dst model.MAC, from, to netip.AddrPort, size int) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	u := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return serialize(t, &layers.Ethernet{SrcMAC: src[:], DstMAC: dst[:], EthernetType: layers.EthernetTypeIPv4}, ip, u, gopacket.Payload(make([]byte, size)))
}

func aToB(t testing.TB, size int) []byte {
	return udp(t, macA, macB, netip.AddrPortFrom(ipA, 40001), netip.AddrPortFrom(ipB, 40002), size)
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// TestPrivilegedWorld runs the cases in one world, as its users do: Reset is between them.
func TestPrivilegedWorld(t *testing.T) {
	opt := options()
	opt.PacketIns = true
	worldCases(t, opt)
}

// TestPrivilegedStoppedClock has the cases of time, and those of the others that a stopped clock must not disturb.
func TestPrivilegedStoppedClock(t *testing.T) {
	opt := options()
	opt.PacketIns, opt.StopClock = true, true
	worldCases(t, opt, cases{{"meter and time", testMeterTime}, {"connections and time", testConntrackTime}, {"incomplete fragments", testIncomplete}}...)
}

// Without caches nothing needs Settle; the cases call it nevertheless.
func TestPrivilegedUncachedWorld(t *testing.T) {
	opt := options()
	opt.PacketIns, opt.Uncached = true, true
	worldCases(t, opt)
}

// When a switch dies, the error says so, and the world can be closed.
func TestPrivilegedDeath(t *testing.T) {
	opt := options()
	opt.Hosts = opt.Hosts[:1]
	w := start(t, opt)
	if err := w.Host("one").Instance().KillDaemon(t.Context(), ovs.Switch); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Inject(t.Context(), "one", "p1", aToB(t, 0)); err == nil || !strings.Contains(err.Error(), "ovs-vswitchd is gone") {
		t.Errorf("Inject = %v", err)
	}
}

// A port that cannot be made fails the start and leaves nothing behind (TestMain looks for goroutines).
func TestPrivilegedStartFails(t *testing.T) {
	privileged.Programs(t, ovs.Programs...)
	opt := options()
	opt.Hosts[1].Tunnels[0].Kind = "no such kind"
	if w, err := rig.Start(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "host two") {
		t.Errorf("Start = %v, %v", w, err)
	}
}

// Two worlds do not meet.
func TestPrivilegedTwoWorlds(t *testing.T) {
	opt := options()
	opt.Hosts = opt.Hosts[:1]
	a, b := start(t, opt), start(t, opt)
	program(t, a, "one", "in_port=11,actions=output:12")
	program(t, b, "one", "in_port=11,actions=output:13")
	same(t, "first", ports(inject(t, a, "one", "p1", aToB(t, 0))), []string{"one/p2"})
	same(t, "second", ports(inject(t, b, "one", "p1", aToB(t, 0))), []string{"one/p3"})
}

type cases []struct {
	name string
	run  func(*testing.T, *rig.World)
}

func worldCases(t *testing.T, opt rig.Options, more ...struct {
	name string
	run  func(*testing.T, *rig.World)
}) {
	w := start(t, opt)
	all := cases{
		{"guests of a host", testLocal},
		{"group", testGroup},
		{"tunnels", testTunnels},
		{"conntrack", testConntrack},
		{"fragments", testFragments},
		{"packet-in", testPacketIn},
		{"packet-out", testPacketOut},
		{"change", testChange},
		{"learn", testLearn},
		{"meter", testMeter},
		{"counters", testCounters},
		{"big frames", testBig},
		{"ARP for LOCAL", testLocalARP},
		{"broadcast on the underlay", testBroadcast},
		{"loop", testLoop},
		{"reset", testReset},
		{"trace", testTrace},
		{"another port", testAnotherPort},
		{"refusals", testRefusals},
	}
	for _, c := range append(all, more...) {
		t.Run(c.name, func(t *testing.T) {
			if err := w.Reset(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.run(t, w)
		})
	}
}

func testLocal(t *testing.T, w *rig.World) {
	frame := aToB(t, 0)
	if r := inject(t, w, "one", "p1", frame); len(r.Delivered) != 0 {
		t.Errorf("without flows: %v", r.Delivered)
	}
	program(t, w, "one", "in_port=11,actions=output:12")
	same(t, "delivered", inject(t, w, "one", "p1", frame), &rig.Result{Delivered: []rig.Delivery{{Host: "one", Port: "p2", Frame: frame}}})
	short := frame[:14]
	same(t, "the shortest frame", inject(t, w, "one", "p1", short).Delivered, []rig.Delivery{{Host: "one", Port: "p2", Frame: short}})
}

func testGroup(t *testing.T, w *rig.World) {
	program(t, w, "one",
		"group_id=7,type=all,bucket=bucket_id:1,actions=output:12,bucket=bucket_id:2,actions=set_field:02:00:00:00:00:09->eth_dst,output:13,"+
			"bucket=bucket_id:3,actions=output:14", "in_port=11,actions=group:7")
	frame := aToB(t, 10)
	changed := append([]byte{2, 0, 0, 0, 0, 9}, frame[6:]...)
	same(t, "delivered", inject(t, w, "one", "p1", frame).Delivered, []rig.Delivery{
		{Host: "one", Port: "p2", Frame: frame}, {Host: "one", Port: "p3", Frame: changed}, {Host: "one", Port: "p4", Frame: frame},
	})
}

func testTunnels(t *testing.T, w *rig.World) {
	for _, h := range []string{"one", "two", "three"} {
		program(t, w, h, underlayFlows...)
	}
	tunnels := map[string]string{"geneve": "2", "vxlan": "3", "gre": "4"}
	ends := []struct{ from, to, src, dst, field string }{
		{"one", "two", "192.0.2.1", "192.0.2.2", "tun_dst"},
		{"one", "three", "192.0.2.1", "192.0.2.65", "tun_dst"},
		{"three", "one", "192.0.2.65", "192.0.2.1", "tun_dst"},
		{"one", "two", "2001:db8:1::1", "2001:db8:1::2", "tun_ipv6_dst"},
		{"two", "three", "2001:db8:1::2", "2001:db8:2::1", "tun_ipv6_dst"},
	}
	frame := aToB(t, 30)
	for kind, port := range tunnels {
		for _, e := range ends {
			t.Run(kind+" "+e.src+" "+e.dst, func(t *testing.T) {
				program(t, w, e.from, "in_port=12,actions=set_field:"+e.dst+"->"+e.field+",set_field:0x4d->tun_id,output:"+port)
				r := inject(t, w, e.from, "p2", frame)
				same(t, "delivered", r.Delivered, []rig.Delivery{{Host: e.to, Port: "p1", Frame: frame}})
				if len(r.Wire) != 1 || r.Wire[0].From != e.from || r.Wire[0].To != e.to || len(r.Local) != 0 {
					t.Fatalf("on the wire: %+v, for LOCAL %v", r.Wire, r.Local)
				}
				router := e.from == "three" || e.to == "three"
				checkOuter(t, w, kind, r.Wire[0].Sent, e.src, e.dst, hostMAC(e.from), nextHop(e.to, router), 64, frame)
				if router {
					checkOuter(t, w, kind, r.Wire[0].Received, e.src, e.dst, nextHop("", true), hostMAC(e.to), 63, frame)
				} else {
					same(t, "received", r.Wire[0].Received, r.Wire[0].Sent)
				}
			})
		}
	}
}

func hostMAC(name string) model.MAC {
	for _, h := range options().Hosts {
		if h.Name == name {
			return h.MAC
		}
	}
	return model.MAC{}
}

func nextHop(host string, router bool) model.MAC {
	if router {
		return model.MAC{0x02, 0x00, 0x5e, 0x00, 0x53, 0xfe}
	}
	return hostMAC(host)
}

// checkOuter parses an encapsulated frame and checks every layer, and the checksum of IPv4 by computing it anew.
func checkOuter(t *testing.T, _ *rig.World, kind string, b []byte, src, dst string, srcMAC, dstMAC model.MAC, ttl uint8, inner []byte) {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("%x: %v", b, e.Error())
	}
	ls := p.Layers()
	eth := ls[0].(*layers.Ethernet)
	same(t, "outer source MAC", eth.SrcMAC, net.HardwareAddr(srcMAC[:]))
	same(t, "outer destination MAC", eth.DstMAC, net.HardwareAddr(dstMAC[:]))
	switch ip := ls[1].(type) {
	case *layers.IPv4:
		same(t, "outer addresses", []string{ip.SrcIP.String(), ip.DstIP.String()}, []string{src, dst})
		same(t, "TTL", ip.TTL, ttl)
		var sum uint32
		for i := 0; i < 20; i += 2 {
			sum += uint32(ip.Contents[i])<<8 | uint32(ip.Contents[i+1])
		}
		if sum = sum>>16 + sum&0xffff; sum>>16+sum&0xffff != 0xffff {
			t.Errorf("checksum of the outer header is wrong: %x", ip.Contents)
		}
	case *layers.IPv6:
		same(t, "outer addresses", []string{ip.SrcIP.String(), ip.DstIP.String()}, []string{src, dst})
		same(t, "hop limit", ip.HopLimit, ttl)
	default:
		t.Fatalf("no IP: %v", p)
	}
	var key uint32
	var payload []byte
	for _, l := range ls[2:] {
		switch l := l.(type) {
		case *layers.Geneve:
			key, payload = l.VNI, l.Payload
			kind = strings.TrimPrefix(kind, "geneve")
		case *layers.VXLAN:
			key, payload = l.VNI, l.Payload
			kind = strings.TrimPrefix(kind, "vxlan")
		case *layers.GRE:
			key, payload = l.Key, l.Payload
			kind = strings.TrimPrefix(kind, "gre")
		}
	}
	same(t, "key", key, uint32(0x4d))
	same(t, "the encapsulated frame", payload, inner)
	if kind != "" {
		t.Errorf("encapsulation is not %s: %v", kind, p)
	}
}

func ports(r *rig.Result) (names []string) {
	for _, d := range r.Delivered {
		names = append(names, d.Host+"/"+d.Port)
	}
	return names
}

// dump tells the state of a host after a failure.
func dump(t *testing.T, h *rig.Host) {
	t.Helper()
	for _, c := range []string{"dpctl/dump-flows", "dpctl/dump-conntrack"} {
		out, err := h.Control(context.WithoutCancel(t.Context()), c)
		t.Logf("%s: %v\n%s", c, err, out)
	}
}

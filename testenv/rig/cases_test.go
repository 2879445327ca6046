package rig_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/testenv/rig"
)

func testConntrack(t *testing.T, w *rig.World) {
	program(t, w, "one",
		"table=0,in_port=11,ip,actions=ct(commit,zone=5,nat(src=198.51.100.9),table=1)",
		"table=0,in_port=12,ip,actions=ct(zone=5,nat,table=1)",
		"table=1,in_port=11,ip,ct_state=+trk,actions=output:12",
		"table=1,in_port=12,ip,ct_state=+trk+est+rpl,actions=output:11")
	out, a, b := netip.MustParseAddr("198.51.100.9"), netip.AddrPortFrom(ipA, 40001), netip.AddrPortFrom(ipB, 40002)
	natted := udp(t, macA, macB, netip.AddrPortFrom(out, 40001), b, 5)
	reply, back := udp(t, macB, macA, b, netip.AddrPortFrom(out, 40001), 6), udp(t, macB, macA, b, a, 6)
	if r := inject(t, w, "one", "p2", reply); len(r.Delivered) > 0 {
		t.Errorf("a reply to nothing passes: %v", ports(r))
	}
	same(t, "translated", inject(t, w, "one", "p1", udp(t, macA, macB, a, b, 5)).Delivered, []rig.Delivery{{Host: "one", Port: "p2", Frame: natted}})
	same(t, "reply", inject(t, w, "one", "p2", reply).Delivered, []rig.Delivery{{Host: "one", Port: "p1", Frame: back}})
	if err := w.FlushConntrack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := inject(t, w, "one", "p2", reply); len(r.Delivered) > 0 {
		t.Errorf("a reply passes after the connections were flushed: %v", ports(r))
	}
	if t.Failed() {
		dump(t, w.Host("one"))
	}
}

// Fragments wait in conntrack until the last is there, and leave together.
func testFragments(t *testing.T, w *rig.World) {
	program(t, w, "one", "table=0,in_port=11,ip,actions=ct(zone=6,table=1)", "table=1,ip,ct_state=+trk+new,actions=output:12")
	whole := aToB(t, 3000)
	parts := [][]byte{fragment(t, whole, 0, 1400, true), fragment(t, whole, 1400, 2800, true), fragment(t, whole, 2800, 3008, false)}
	for _, p := range parts[:2] {
		if r := inject(t, w, "one", "p1", p); len(r.Delivered) > 0 {
			t.Fatalf("a fragment leaves alone: %v", ports(r))
		}
	}
	r := inject(t, w, "one", "p1", parts[2])
	if len(r.Delivered) != 3 {
		dump(t, w.Host("one"))
		t.Fatalf("delivered: %v", ports(r))
	}
	for i, d := range r.Delivered {
		same(t, "fragment", d, rig.Delivery{Host: "one", Port: "p2", Frame: parts[i]})
	}
}

// fragment gives a part of a frame's payload.
func fragment(t testing.TB, whole []byte, from, to int, more bool) []byte {
	t.Helper()
	h := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Id: 77, Protocol: layers.IPProtocolUDP, SrcIP: ipA.AsSlice(), DstIP: ipB.AsSlice(), FragOffset: uint16(from / 8)}
	if more {
		h.Flags = layers.IPv4MoreFragments
	}
	return append(bytes.Clone(whole[:14]), serialize(t, h, gopacket.Payload(whole[34+from:34+to]))...)
}

// A fragment that waits is forgotten by Reset: the rest does not complete it.
func testIncomplete(t *testing.T, w *rig.World) {
	flows := []string{"table=0,in_port=11,ip,actions=ct(zone=6,table=1)", "table=1,ip,ct_state=+trk+new,actions=output:12"}
	whole := aToB(t, 2000)
	program(t, w, "one", flows...)
	inject(t, w, "one", "p1", fragment(t, whole, 0, 1400, true))
	if err := w.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	program(t, w, "one", flows...)
	if r := inject(t, w, "one", "p1", fragment(t, whole, 1400, 2008, false)); len(r.Delivered) > 0 {
		t.Errorf("delivered at %v", ports(r))
	}
}

func testMeterTime(t *testing.T, w *rig.World) {
	program(t, w, "one", "meter=1,pktps,burst,bands=type=drop,rate=1,burst_size=3", "in_port=11,actions=meter:1,output:12")
	count := func() (passed int) {
		for range 20 {
			passed += len(inject(t, w, "one", "p1", aToB(t, 0)).Delivered)
		}
		return passed
	}
	first := count()
	if err := w.Advance(t.Context(), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if again := count(); first < 3 || first > 4 || again != 2 {
		t.Errorf("%d and, 2 s later, %d of 20 frames passed a meter of 1 per second with a burst of 3", first, again)
	}
}

func testConntrackTime(t *testing.T, w *rig.World) {
	program(t, w, "one",
		"table=0,in_port=11,ip,actions=ct(commit,zone=5,table=1)", "table=0,in_port=12,ip,actions=ct(zone=5,table=2)",
		"table=1,actions=output:12", "table=2,ip,ct_state=+trk+est,actions=output:11")
	reply := udp(t, macB, macA, netip.AddrPortFrom(ipB, 40002), netip.AddrPortFrom(ipA, 40001), 0)
	inject(t, w, "one", "p1", aToB(t, 0))
	for _, c := range []struct {
		after time.Duration
		want  []string
	}{{10 * time.Second, []string{"one/p1"}}, {70 * time.Minute, nil}} {
		if err := w.Advance(t.Context(), c.after); err != nil {
			t.Fatal(err)
		}
		same(t, "reply after "+c.after.String(), ports(inject(t, w, "one", "p2", reply)), c.want)
	}
	if err := w.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	testTunnels(t, w) // the neighbours are still known
}

// The counters of flows tell where frames went.
func testCounters(t *testing.T, w *rig.World) {
	program(t, w, "one", "cookie=7,table=0,in_port=11,actions=resubmit(,3)", "cookie=8,table=3,priority=0,actions=drop")
	for n := range uint64(3) {
		inject(t, w, "one", "p1", aToB(t, 0))
		if err := w.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		stats, err := w.Host("one").Session().DumpFlowStats(t.Context(), conn.FlowFilter{Cookie: 8, CookieMask: ^uint64(0)})
		if err != nil || len(stats) != 1 || stats[0].Packets != n+1 {
			t.Errorf("after %d frames: %+v, %v", n+1, stats, err)
		}
	}
}

// A packet-in at the second host is in the result too, and in another session after its barrier.
func testPacketIn(t *testing.T, w *rig.World) {
	frame := aToB(t, 20)
	program(t, w, "one", append(slices.Clone(underlayFlows),
		"in_port=11,actions=controller(reason=action,max_len=65535,userdata=01.02),set_field:192.0.2.2->tun_dst,set_field:9->tun_id,output:2")...)
	program(t, w, "two", append(slices.Clone(underlayFlows), "in_port=2,tun_id=9,actions=controller(max_len=65535)")...)
	other, err := conn.Dial(t.Context(), w.Host("two").Mgmt(), conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); other.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	if err := other.Listen(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r := inject(t, w, "one", "p1", frame)
		if len(r.PacketIns) != 2 {
			t.Fatalf("%d packet-ins", len(r.PacketIns))
		}
		if err := other.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case p := <-other.PacketIns():
			same(t, "packet-in of the other session", p.Data, frame)
		default:
			t.Error("the other session has no packet-in")
		}
		one, two := r.PacketIns[0], r.PacketIns[1]
		if one.Host != "one" || two.Host != "two" || !bytes.Equal(one.Data, frame) || !bytes.Equal(two.Data, frame) ||
			one.InPort() != 11 || two.InPort() != 2 || !bytes.Equal(one.Userdata, []byte{1, 2}) {
			t.Errorf("packet-ins: %+v, %+v", one, two)
		}
	}
}

func testPacketOut(t *testing.T, w *rig.World) {
	frame := aToB(t, 0)
	program(t, w, "two", underlayFlows...)
	program(t, w, "one", append(slices.Clone(underlayFlows), "in_port=11,actions=set_field:192.0.2.2->tun_dst,set_field:0x4d->tun_id,output:3")...)
	s := w.Host("one").Session()
	for _, to := range []flow.Port{flow.PortTable, 12} {
		m := &ofp.PacketOut{InPort: 11, Actions: flow.MustActions(flow.Output{Port: to}), Data: frame}
		if err := s.PacketOut(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if err := s.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "delivered", ports(r), []string{"one/p2", "two/p1"})
}

// The very next frame takes the flows as they are.
func testChange(t *testing.T, w *rig.World) {
	frame := aToB(t, 0)
	for i := range 500 {
		to := []string{"12", "13", "14"}[i%3]
		program(t, w, "one", "table=0,in_port=11,actions=resubmit(,3)", "table=3,udp,actions=output:"+to)
		for range 2 {
			same(t, "delivered", ports(inject(t, w, "one", "p1", frame)), []string{"one/p" + string(to[1])})
		}
		if t.Failed() {
			break
		}
	}
}

func testLearn(t *testing.T, w *rig.World) {
	program(t, w, "one",
		"table=0,actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,1)",
		"table=1,priority=0,actions=output:12,output:13")
	frame := aToB(t, 0)
	reply := udp(t, macB, macA, netip.AddrPortFrom(ipB, 40002), netip.AddrPortFrom(ipA, 40001), 0)
	same(t, "to an unknown address", ports(inject(t, w, "one", "p1", frame)), []string{"one/p2", "one/p3"})
	for _, step := range []struct {
		port  string
		frame []byte
		want  []string
	}{{"p2", reply, []string{"one/p1"}}, {"p1", frame, []string{"one/p2"}}} {
		if err := w.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "to a learned address", ports(inject(t, w, "one", step.port, step.frame)), step.want)
	}
	// What has been learned does not come back after a Reset.
	if err := w.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	flows, err := w.Host("one").Instance().Ofctl(t.Context(), "--no-stats", "dump-flows", "br0")
	if err != nil || strings.Contains(flows, "actions=") {
		t.Errorf("after Reset: %v\n%s", err, flows)
	}
}

func testMeter(t *testing.T, w *rig.World) {
	program(t, w, "one", "meter=1,pktps,burst,bands=type=drop,rate=1,burst_size=3", "in_port=11,actions=meter:1,output:12")
	passed := 0
	for range 20 {
		passed += len(inject(t, w, "one", "p1", aToB(t, 0)).Delivered)
	}
	if passed < 3 || passed > 10 {
		t.Errorf("%d of 20 frames passed a meter of 1 per second with a burst of 3", passed)
	}
}

// Frames of the full MTU pass, also encapsulated; longer ones do not.
func testBig(t *testing.T, w *rig.World) {
	program(t, w, "two", underlayFlows...)
	program(t, w, "one", append(slices.Clone(underlayFlows), "in_port=11,actions=output:12,set_field:192.0.2.2->tun_dst,set_field:0x4d->tun_id,output:2")...)
	full := aToB(t, 1500-28)
	same(t, "delivered", inject(t, w, "one", "p1", full).Delivered, []rig.Delivery{{Host: "one", Port: "p2", Frame: full}, {Host: "two", Port: "p1", Frame: full}})
	same(t, "delivered of a longer frame", ports(inject(t, w, "one", "p1", aToB(t, 1500-27))), []string(nil))
}

func arpRequest(t testing.TB, src model.MAC, from, to string) []byte {
	t.Helper()
	a, b := netip.MustParseAddr(from), netip.MustParseAddr(to)
	return serialize(t, &layers.Ethernet{SrcMAC: src[:], DstMAC: layers.EthernetBroadcast, EthernetType: layers.EthernetTypeARP}, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
		SourceHwAddress: src[:], SourceProtAddress: a.AsSlice(), DstHwAddress: make([]byte, 6), DstProtAddress: b.AsSlice(),
	})
}

// LOCAL answers a request of another host, in the same Inject.
func testLocalARP(t *testing.T, w *rig.World) {
	for _, h := range []string{"one", "two", "three"} {
		program(t, w, h, underlayFlows...)
	}
	for range 300 {
		r := inject(t, w, "two", "br0", arpRequest(t, hostMAC("two"), "192.0.2.2", "192.0.2.1"))
		if len(r.Local) != 2 || len(r.Wire) != 2 || r.Wire[0].To != "one" || r.Wire[1].From != "one" || r.Wire[1].To != "two" {
			t.Fatalf("not request and answer: %+v", r)
		}
		one := hostMAC("one")
		if a := r.Local[1].Frame; !bytes.Equal(a[22:28], one[:]) {
			t.Errorf("the answer does not say the address: %x", a)
		}
	}
}

func testBroadcast(t *testing.T, w *rig.World) {
	for _, h := range []string{"one", "two", "three"} {
		program(t, w, h, "in_port=1,actions=output:11", "in_port=12,actions=output:1")
	}
	frame := aToB(t, 0)
	copy(frame, layers.EthernetBroadcast)
	same(t, "broadcast", ports(inject(t, w, "one", "p2", frame)), []string{"two/p1"})
	copy(frame, []byte{2, 9, 9, 9, 9, 9})
	same(t, "unknown address", ports(inject(t, w, "two", "p2", frame)), []string{"one/p1"})
	r := inject(t, w, "three", "p2", frame)
	if len(r.Delivered) != 0 || len(r.Wire) != 1 || r.Wire[0].To != "" {
		t.Errorf("alone in its segment: %+v", r)
	}
}

func testLoop(t *testing.T, w *rig.World) {
	for _, h := range []string{"one", "two"} {
		program(t, w, h, "in_port=1,actions=in_port", "in_port=12,actions=output:1")
	}
	frame := aToB(t, 0)
	copy(frame, layers.EthernetBroadcast)
	if _, err := w.Inject(t.Context(), "one", "p2", frame); !errors.Is(err, rig.ErrLoop) {
		t.Errorf("Inject = %v, want ErrLoop", err)
	}
}

func testReset(t *testing.T, w *rig.World) {
	program(t, w, "one", "group_id=1,type=all,bucket=bucket_id:1,actions=output:12", "meter=1,pktps,bands=type=drop,rate=1000",
		"in_port=11,ip,actions=ct(commit,zone=1),group:1", "in_port=12,actions=NORMAL")
	inject(t, w, "one", "p1", aToB(t, 0))
	inject(t, w, "one", "p2", aToB(t, 0))
	for range 2 {
		if err := w.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h := w.Host("one")
	for _, c := range [][]string{{"dpctl/dump-conntrack"}, {"dpctl/dump-flows"}} {
		if out, err := h.Control(t.Context(), c[0], c[1:]...); err != nil || strings.TrimSpace(out) != "" {
			t.Errorf("%v after Reset: %q, %v", c, out, err)
		}
	}
	if out, err := h.Control(t.Context(), "fdb/show", h.Bridge()); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("learned MAC addresses after Reset: %q, %v", out, err)
	}
	s := h.Session()
	groups, err := s.DumpGroups(t.Context())
	if err != nil || len(groups) > 0 {
		t.Errorf("groups after Reset: %v, %v", groups, err)
	}
	meters, err := s.DumpMeters(t.Context())
	if err != nil || len(meters) > 0 {
		t.Errorf("meters after Reset: %v, %v", meters, err)
	}
	if r := inject(t, w, "one", "p1", aToB(t, 0)); len(r.Delivered) > 0 {
		t.Errorf("after Reset: %v", ports(r))
	}
}

func testTrace(t *testing.T, w *rig.World) {
	program(t, w, "one", "table=0,in_port=11,ip,actions=ct(zone=5,table=1)", "table=1,ip,ct_state=+trk+est,actions=output:12")
	h := w.Host("one")
	for _, c := range []struct{ state, want string }{{"trk,est", "12"}, {"trk,new", "drop"}} {
		for name, trace := range map[string]func() (string, error){
			"text":  func() (string, error) { return h.Trace(t.Context(), "in_port=p1,udp,nw_src=10.0.0.1", c.state) },
			"frame": func() (string, error) { return h.TraceFrame(t.Context(), "p1", aToB(t, 0), c.state) },
		} {
			out, err := trace()
			if err != nil || strings.Contains(out, "output:12") != (c.want == "12") {
				t.Errorf("%s with %s: %v\n%s", name, c.state, err, out)
			}
		}
	}
}

// A change of the database does not disturb the ports that there are.
func testAnotherPort(t *testing.T, w *rig.World) {
	frame := aToB(t, 0)
	i := w.Host("one").Instance()
	for _, args := range [][]string{
		{"--may-exist", "add-port", "br0", "p99", "--", "set", "interface", "p99", "type=dummy", "ofport_request=99"},
		{"--if-exists", "del-port", "p99"}, {"set", "interface", "p2", "options:x=1"}, {"remove", "interface", "p2", "options", "x"},
	} {
		for range 2 { // at files that Reset has emptied, and at others
			if _, err := i.Vsctl(t.Context(), args...); err != nil {
				t.Fatal(err)
			}
			program(t, w, "one", "in_port=11,actions=output:12")
			same(t, "delivered", inject(t, w, "one", "p1", frame).Delivered, []rig.Delivery{{Host: "one", Port: "p2", Frame: frame}})
		}
		if err := w.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func testRefusals(t *testing.T, w *rig.World) {
	for _, c := range []struct {
		name, host, port string
		frame            []byte
	}{
		{"unknown host", "nine", "p1", aToB(t, 0)},
		{"unknown port", "one", "p9", aToB(t, 0)},
		{"no header", "one", "p1", make([]byte, 13)},
	} {
		if _, err := w.Inject(t.Context(), c.host, c.port, c.frame); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
	if w.Host("nine") != nil || len(w.Hosts()) != 3 || w.Hosts()[2].Name() != "three" {
		t.Error("Host or Hosts is wrong")
	}
	program(t, w, "one", "in_port=11,actions=output:12")
	same(t, "afterwards", ports(inject(t, w, "one", "p1", aToB(t, 0))), []string{"one/p2"})
}

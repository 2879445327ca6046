package compile_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/model"
)

// mover is a network with a guest on each of three hosts, and if-x, which is on its way: where it is, where it goes to and where it came from, "-" for none.
// judged: it is in a security group that allows it to be asked on TCP port 80, and judges what it says too.
func mover(way string, judged bool) *world {
	w := hosts()
	w.network("nw-a", 100, "10.0.0.0/24", "")
	for _, n := range []string{"1", "2", "3"} {
		w.iface("if-a"+n, model.InterfaceVIF, "dp-"+n, "a"+n, "02:00:00:00:0a:0"+n, "nw-a", "10.0.0."+n)
	}
	w.iface("if-x", model.InterfaceVIF, "", "", "02:00:00:00:0c:01", "nw-a", "10.0.0.9")
	f := append(strings.Fields(way), "-", "-")
	place := func(s string) string { return strings.TrimSuffix(s, "-") }
	w.put(&model.ActiveInterface{InterfaceUUID: "if-x", DatapathUUID: f[0], TargetDatapathUUID: place(f[1]), PreviousDatapathUUID: place(f[2])})
	if judged {
		w.group("sg-x", "", model.SecurityGroup{EgressFilteringEnabled: true}, "x")
		w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-x", Protocol: "tcp", PortFirst: 80})
	}
	return w
}

// onHosts gives if-x a port on these hosts: x1 on dp-1, and so on.
func onHosts(hosts ...string) func(string, *compile.Bridge) {
	return func(dp string, b *compile.Bridge) {
		if slices.Contains(hosts, dp) {
			b.SetPort(compile.NewPort("x"+dp[3:], "if-x", 50, 150))
		}
	}
}

// While an interface moves each frame for it comes once, wherever it is sent from and whoever has heard what: to the port of the host that others send to as long as
// that is there, else to the other host's.
func TestMoveInSwitches(t *testing.T) {
	to := func(from string) []byte { return udp4("0c01", "0a0"+from[1:], "10.0.0.9", "10.0.0."+from[1:]) }
	x := func(port, from string) string { return port + ": 0a0" + from[1:] + ">0c01 10.0.0.9 tos 0" }
	via := func(hosts ...string) []string {
		var out []string
		for _, h := range hosts {
			out = append(out, "tunnel 2 to 172.16.90."+h)
		}
		return out
	}
	for _, tc := range []struct {
		name  string
		heard map[string]string // the way by host; "" for all others
		ports []string
		want  map[string][]string
	}{
		{"announced", map[string]string{"": "dp-1 dp-2"}, []string{"dp-1", "dp-2"}, map[string][]string{
			"a1": {x("x1", "a1")}, "a2": append(via("1"), x("x1", "a2")), "a3": append(via("1"), x("x1", "a3"))}},
		{"the port is gone", map[string]string{"": "dp-1 dp-2"}, []string{"dp-2"}, map[string][]string{
			"a1": append(via("2"), x("x2", "a1")), "a2": append(via("1", "2"), x("x2", "a2")), "a3": append(via("1", "2"), x("x2", "a3"))}},
		{"only the former host has heard", map[string]string{"": "dp-1 dp-2", "dp-1": "dp-2 - dp-1"}, []string{"dp-1", "dp-2"}, map[string][]string{
			"a1": append(via("2"), x("x2", "a1")), "a2": append(via("1", "2"), x("x2", "a2")), "a3": append(via("1", "2"), x("x2", "a3"))}},
		{"only the present host has heard", map[string]string{"": "dp-1 dp-2", "dp-2": "dp-2 - dp-1"}, []string{"dp-2"}, map[string][]string{
			"a1": append(via("2"), x("x2", "a1")), "a2": {x("x2", "a2")}, "a3": append(via("1", "2"), x("x2", "a3"))}},
		{"only another host has heard", map[string]string{"": "dp-1 dp-2", "dp-3": "dp-2 - dp-1"}, []string{"dp-1", "dp-2"}, map[string][]string{
			"a3": append(via("2"), x("x2", "a3"))}},
		{"all have heard", map[string]string{"": "dp-2 - dp-1"}, []string{"dp-1", "dp-2"}, map[string][]string{
			"a1": append(via("2"), x("x2", "a1")), "a2": {x("x2", "a2")}, "a3": append(via("2"), x("x2", "a3"))}},
		{"on its way back, the port there is not gone", map[string]string{"": "dp-2 dp-1 dp-1"}, []string{"dp-1", "dp-2"}, map[string][]string{
			"a1": append(via("2"), x("x2", "a1")), "a2": {x("x2", "a2")}, "a3": append(via("2"), x("x2", "a3"))}},
		{"the former host has not heard that it comes back", map[string]string{"": "dp-2 dp-1 dp-1", "dp-1": "dp-2 - dp-1"}, nil, map[string][]string{
			"a1": via("2", "1"), "a3": via("2", "1")}},
		{"the new host has no port yet", map[string]string{"": "dp-1 dp-2"}, nil, map[string][]string{
			"a1": via("2"), "a3": via("1", "2")}},
		{"nobody expects it", map[string]string{"": "dp-1"}, []string{"dp-2"}, map[string][]string{"a1": {"dropped: no_port"}, "a3": via("1")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSiteOf(t, func(dp string) *world {
				if way, ok := tc.heard[dp]; ok {
					return mover(way, false)
				}
				return mover(tc.heard[""], false)
			}, onHosts(tc.ports...))
			for from, want := range tc.want {
				s.want(from, to(from), want...)
			}
		})
	}
}

// What the guest sends from the host that it moves to goes on, and the agent hears of it; from a port where it is not expected it sends nothing. Its hypervisor may
// speak for it by RARP, which goes nowhere.
func TestArrivalInSwitches(t *testing.T) {
	w := mover("dp-1 dp-2", false)
	s := newSite(t, w, onHosts("dp-1", "dp-2", "dp-3"))
	s.want("x2", udp4("0a03", "0c01", "10.0.0.3", "10.0.0.9"), "agent of dp-2, class 8", "tunnel 2 to 172.16.90.3", "a3: 0c01>0a03 10.0.0.3 tos 0")
	s.want("x2", udp4("0a02", "0c01", "10.0.0.2", "10.0.0.9"), "agent of dp-2, class 8", "a2: 0c01>0a02 10.0.0.2 tos 0")
	s.want("x2", arp(1, "ff", "0c01", "10.0.0.9", "10.0.0.9"), "agent of dp-2, class 8")
	s.want("x2", eth("ff", "0c01", 0x8035, make([]byte, 46)...), "agent of dp-2, class 8")
	s.want("x2", udp4("0a02", "0c02", "10.0.0.2", "10.0.0.9"), "dropped: mac_source")
	s.want("x1", udp4("0a03", "0c01", "10.0.0.3", "10.0.0.9"), "tunnel 2 to 172.16.90.3", "a3: 0c01>0a03 10.0.0.3 tos 0")
	s.want("x3", udp4("0a03", "0c01", "10.0.0.3", "10.0.0.9"), "dropped: port")
	s = newSite(t, mover("dp-2 - dp-1", false), onHosts("dp-1", "dp-2"))
	s.want("x2", udp4("0a02", "0c01", "10.0.0.2", "10.0.0.9"), "a2: 0c01>0a02 10.0.0.2 tos 0")
	s.want("x1", udp4("0a02", "0c01", "10.0.0.2", "10.0.0.9"), "dropped: port")
}

// Without encapsulation what is sent on goes through the tunnel: the wire leads the guest's MAC address elsewhere, and the sender's must not seem to move.
func TestMoveWithoutEncapsulation(t *testing.T) {
	for _, ports := range [][]string{{"dp-3"}, {"dp-1", "dp-3"}} {
		way := "dp-1 dp-3"
		if len(ports) == 2 {
			way = "dp-3 - dp-1"
		}
		heard := func(way string) *world {
			w := wires()
			w.iface("if-x", model.InterfaceVIF, "", "", "02:00:00:00:0c:01", "nw-a", "10.0.0.9")
			f := append(strings.Fields(way), "", "")
			w.put(&model.ActiveInterface{InterfaceUUID: "if-x", DatapathUUID: f[0], TargetDatapathUUID: strings.Trim(f[1], "-"), PreviousDatapathUUID: f[2]})
			return w
		}
		s := newSiteOf(t, func(dp string) *world {
			if dp == "dp-1" {
				return heard(way)
			}
			return heard("dp-1 dp-3") // the others send to dp-1 still
		}, onHosts(ports...))
		s.want("a3", udp4("0c01", "0a03", "10.0.0.9", "10.0.0.3"), "dp-3 wire: 0a03>0c01 10.0.0.9 tos 0", "tunnel 2 to 172.16.90.3", "x3: 0a03>0c01 10.0.0.9 tos 0")
		s.want("a1", udp4("0c01", "0a01", "10.0.0.9", "10.0.0.1"), "tunnel 2 to 172.16.90.3", "x3: 0a01>0c01 10.0.0.9 tos 0")
		s.want("x3", udp4("0a01", "0c01", "10.0.0.1", "10.0.0.9"), "agent of dp-3, class 8", "dp-3 wire: 0c01>0a01 10.0.0.1 tos 0", "a1: 0c01>0a01 10.0.0.1 tos 0")
	}
}

// In a physical network the wire leads frames where the guest has sent from.
func TestMoveInPhysicalNetwork(t *testing.T) {
	w := underlay()
	w.iface("if-x", model.InterfaceVIF, "", "", "02:00:00:00:0c:01", "nw-under", "172.16.90.109")
	w.put(&model.ActiveInterface{InterfaceUUID: "if-x", DatapathUUID: "dp-1", TargetDatapathUUID: "dp-2"})
	s := newSite(t, w, onHosts("dp-2"))
	s.want("x2", udp4("0901", "0c01", "172.16.90.101", "172.16.90.109"), "agent of dp-2, class 8", "dp-2 wire: 0c01>0901 172.16.90.101 tos 0", "u1: 0c01>0901 172.16.90.101 tos 0")
	s.want("dp-3 host", udp4("0c01", "0888", "172.16.90.109", "172.16.90.3"), "dp-3 wire: 0888>0c01 172.16.90.109 tos 0", "x2: 0888>0c01 172.16.90.109 tos 0")
	s.want("dp-2 host", udp4("0c01", "0887", "172.16.90.109", "172.16.90.2"), "dp-2 wire: 0887>0c01 172.16.90.109 tos 0")
}

// tcp4 makes a TCP segment of those flags.
func tcp4(dst, src, to, from string, sport, dport uint16, flags byte) []byte {
	f := udp4(dst, src, to, from)
	ip := f[14:34]
	ip[3], ip[9] = 40, 6
	ip[10], ip[11] = 0, 0
	sum := uint32(0)
	for n := 0; n < 20; n += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[n:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	seg := make([]byte, 20)
	binary.BigEndian.PutUint16(seg, sport)
	binary.BigEndian.PutUint16(seg[2:], dport)
	seg[7], seg[12], seg[13], seg[14] = 1, 5<<4, flags, 0x20
	if flags&0x10 != 0 {
		seg[11] = 1
	}
	a, b := netip.MustParseAddr(from).As4(), netip.MustParseAddr(to).As4()
	sum = 6 + 20
	for _, part := range [][]byte{a[:], b[:], seg} {
		for n := 0; n < len(part); n += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[n:]))
		}
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(seg[16:], ^uint16(sum+sum>>16))
	return append(f[:34:34], seg...)
}

// A static filter that remembers lets them pass as well, but not what it drops.
func TestConversationsOfAStaticFilterSurviveAMove(t *testing.T) {
	const syn, ack = 2, 16
	in := func(sport, dport uint16, flags byte) []byte {
		return tcp4("0c01", "0a02", "10.0.0.9", "10.0.0.2", sport, dport, flags)
	}
	for way, want := range map[string][4]string{
		"dp-2 - dp-1": {"x2: 0a02>0c01 10.0.0.9 tos 0", "dropped: filter", "dropped: filter", "dropped: filter"},
		"dp-2":        {"dropped: filter", "dropped: filter", "dropped: filter", "dropped: filter"},
	} {
		w := mover(way, false)
		w.edit("if-x", func(i *model.Interface) { i.EnableFiltering = true })
		w.put(&model.Filter{Meta: model.Meta{UUID: "fil-x"}, InterfaceUUID: "if-x"})
		for _, r := range []model.FilterStatic{{Protocol: "tcp", Action: "conn"}, {Protocol: "tcp", DstPort: 23, Action: "drop"}} {
			r.FilterUUID = "fil-x"
			w.put(&r)
		}
		s := newSite(t, w, onHosts("dp-2"))
		s.want("a2", in(443, 5000, ack), want[0])
		s.want("a2", in(443, 5000, syn), want[1])
		s.want("a2", in(443, 23, ack), want[2])
		s.want("a2", udp4("0c01", "0a02", "10.0.0.9", "10.0.0.2"), want[3])
	}
}

// Conversations of an interface that has just come go on, whoever speaks first, although what was remembered of them is on the host that it left; none begins, and
// what a rule drops stays so. When the move is over, what the guest has said meanwhile keeps them.
func TestConversationsSurviveAMove(t *testing.T) {
	const syn, ack = 2, 16
	in := func(sport, dport uint16, flags byte) []byte {
		return tcp4("0c01", "0a02", "10.0.0.9", "10.0.0.2", sport, dport, flags)
	}
	out := func(sport, dport uint16, flags byte) []byte {
		return tcp4("0a02", "0c01", "10.0.0.2", "10.0.0.9", sport, dport, flags)
	}
	got, said := "x2: 0a02>0c01 10.0.0.9 tos 0", "a2: 0c01>0a02 10.0.0.2 tos 0"
	for _, egress := range []bool{false, true} {
		world := func(way string) *world {
			w := mover(way, true)
			change(w, "sg-x", func(g *model.SecurityGroup) { g.EgressFilteringEnabled = egress })
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-x", Protocol: "tcp", PortFirst: 23, Action: model.RuleDrop, Priority: 5})
			return w
		}
		s := newSite(t, world("dp-2 - dp-1"), onHosts("dp-2"))
		s.want("a2", in(443, 5000, ack), got) // from a server that it has asked before
		s.want("a2", in(443, 5000, syn), "dropped: security_group")
		s.want("a2", in(443, 5000, syn|ack), "dropped: security_group")
		s.want("a2", in(443, 23, ack), "dropped: rule")
		s.want("a2", udp4("0c01", "0a02", "10.0.0.9", "10.0.0.2"), "dropped: security_group")
		s.want("x2", out(80, 6000, ack), said) // to a client that has asked before
		if egress {
			s.want("x2", out(7000, 443, syn), "dropped: security_group")
		}
		s = newSite(t, world("dp-2"), onHosts("dp-2"))
		s.want("a2", in(443, 5000, ack), "dropped: security_group")
		if egress {
			s.want("x2", out(80, 6000, ack), "dropped: security_group")
		}
	}
}

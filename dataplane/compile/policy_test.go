package compile_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/ofctl/oftest"
)

// guests are three interfaces of one network on this host: a1, a2 and a3, with the addresses 10.0.0.n and fd00:a::n, on ports 11 to 13.
func guests() *world {
	w := newWorld()
	w.network("nw-under", 0, "172.16.90.0/24", "")
	w.datapath("dp-1", "172.16.90.1")
	w.network("nw-a", 100, "10.0.0.0/24", "fd00:a::/64")
	for _, n := range []string{"1", "2", "3"} {
		w.iface("if-a"+n, model.InterfaceVIF, "dp-1", "a"+n, "02:00:00:00:00:0"+n, "nw-a", "10.0.0."+n, "fd00:a::"+n)
	}
	return w
}

func (w *world) group(uuid, rules string, g model.SecurityGroup, members ...string) {
	g.UUID, g.Rules = uuid, model.SecurityRules(rules)
	w.put(&g)
	for _, m := range members {
		w.put(&model.SecurityGroupInterface{SecurityGroupUUID: uuid, InterfaceUUID: "if-" + m})
	}
}

// rule adds a rule, of any ICMP type and code unless it is given a type.
func (w *world) rule(r model.SecurityGroupRule) {
	if r.ICMPType == 0 {
		r.ICMPType, r.ICMPCode = -1, -1
	}
	if r.Direction == "" {
		r.Direction = model.RuleIngress
	}
	if r.Action == "" {
		r.Action = model.RuleAllow
	}
	if r.Protocol == "" {
		r.Protocol = "any"
	}
	w.put(&r)
}

// filter turns filtering on for an interface.
func (w *world) filter(iface string, f model.Filter, rules ...model.FilterStatic) {
	w.edit("if-"+iface, func(i *model.Interface) { i.EnableFiltering = true })
	f.InterfaceUUID = "if-" + iface
	w.put(&f)
	for _, r := range rules {
		r.FilterUUID = f.UUID
		w.put(&r)
	}
}

// host compiles a world for dp-1.
func host(t testing.TB, w *world) *state.State {
	t.Helper()
	in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: compile.NewBridge()}
	in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{2}
	for n, name := range []string{"a1", "a2", "a3"} {
		in.Bridge.SetPort(compile.Port{Name: name, OFPort: flow.Port(11 + n), Ifindex: 111 + n})
	}
	return compileAll(t, in)
}

// memorySwitch gives a switch in memory that has what the state says.
func memorySwitch(t testing.TB, s *state.State) *oftest.Switch {
	t.Helper()
	sw := oftest.New(oftest.Options{Ports: []oftest.Port{{No: 1}, {No: 2, Kind: oftest.PortTunnel}, {No: 11}, {No: 12}, {No: 13}}})
	apply := func(m ofp.Message) {
		if err := sw.Apply(m); err != nil {
			t.Fatalf("%v: %v", m, err)
		}
	}
	f := s.Full()
	for _, m := range f.Meters {
		apply(&ofp.MeterMod{Command: ofp.MeterAdd, Meter: flow.Meter{ID: m.ID, Burst: true, Unit: flow.Pktps, Bands: []flow.Band{{Rate: m.Rate, Burst: m.Burst}}}})
	}
	for id := range f.Groups {
		g := flow.Group{ID: id, Type: flow.All}
		for _, b := range f.Buckets {
			if b.Group == id {
				g.Buckets = append(g.Buckets, b.Bucket)
			}
		}
		apply(&ofp.GroupMod{Command: ofp.GroupAdd, Group: g})
	}
	for _, fl := range f.Flows {
		apply(&ofp.FlowMod{Command: ofp.FlowAdd, Flow: fl})
	}
	return sw
}

// packet is a frame from one guest to another, in words: "a1 > a2 tcp 1000 80", "a2 > a1 udp6 53 1000", "a1 > a2 icmp 8" (of type 8), "a1 > a2 sctp 1 2",
// "a2 > a1 error udp 1000 53", an ICMP error about such a packet of a1.
func packet(t testing.TB, words string) (from flow.Port, frame []byte) {
	t.Helper()
	f := strings.Fields(words)
	src, dst := f[0], f[2]
	n := func(guest string) byte { return guest[1] - '0' }
	l3 := func(src, dst string, v6 bool, proto layers.IPProtocol) (gopacket.SerializableLayer, gopacket.NetworkLayer) {
		if v6 {
			ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: net.ParseIP("fd00:a::" + src[1:]), DstIP: net.ParseIP("fd00:a::" + dst[1:])}
			return ip, ip
		}
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: net.ParseIP("10.0.0." + src[1:]), DstIP: net.ParseIP("10.0.0." + dst[1:])}
		return ip, ip
	}
	number := func(s string) (v uint16) {
		for _, c := range s {
			v = 10*v + uint16(c-'0')
		}
		return v
	}
	serialize := func(ls ...gopacket.SerializableLayer) []byte {
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	ip := func(src, dst string, w []string) []gopacket.SerializableLayer {
		proto, v6 := strings.CutSuffix(w[0], "6")
		switch proto {
		case "tcp":
			l, nw := l3(src, dst, v6, layers.IPProtocolTCP)
			tcp := &layers.TCP{SrcPort: layers.TCPPort(number(w[1])), DstPort: layers.TCPPort(number(w[2])), Window: 1000, SYN: len(w) < 4 || w[3] != "ack", ACK: len(w) > 3, Seq: 1}
			_ = tcp.SetNetworkLayerForChecksum(nw)
			return []gopacket.SerializableLayer{l, tcp}
		case "udp":
			l, nw := l3(src, dst, v6, layers.IPProtocolUDP)
			udp := &layers.UDP{SrcPort: layers.UDPPort(number(w[1])), DstPort: layers.UDPPort(number(w[2]))}
			_ = udp.SetNetworkLayerForChecksum(nw)
			return []gopacket.SerializableLayer{l, udp, gopacket.Payload("12345678")}
		case "icmp":
			if v6 {
				l, nw := l3(src, dst, v6, layers.IPProtocolICMPv6)
				icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(uint8(number(w[1])), 0)}
				_ = icmp.SetNetworkLayerForChecksum(nw)
				return []gopacket.SerializableLayer{l, icmp, gopacket.Payload("\x00\x01\x00\x01")}
			}
			l, _ := l3(src, dst, v6, layers.IPProtocolICMPv4)
			return []gopacket.SerializableLayer{l, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(uint8(number(w[1])), 0), Id: 1, Seq: 1}}
		}
		t.Fatalf("packet %q", words)
		return nil
	}
	var inner []gopacket.SerializableLayer
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, n(src)}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, n(dst)}, EthernetType: layers.EthernetTypeIPv4}
	if f[3] == "error" {
		about := serialize(ip(dst, src, f[4:])...)
		l, _ := l3(src, dst, false, layers.IPProtocolICMPv4)
		inner = []gopacket.SerializableLayer{l, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(about)}
	} else {
		inner = ip(src, dst, f[3:])
	}
	if _, v6 := inner[0].(*layers.IPv6); v6 {
		eth.EthernetType = layers.EthernetTypeIPv6
	}
	return flow.Port(10 + n(src)), serialize(append([]gopacket.SerializableLayer{eth}, inner...)...)
}

// send gives what becomes of a packet: pass, or why not.
func send(t testing.TB, sw *oftest.Switch, words string) string {
	t.Helper()
	from, frame := packet(t, words)
	res := sw.Process(oftest.Packet{InPort: from, Frame: frame})
	if len(res.Errors) > 0 {
		t.Fatalf("%s: %v", words, res.Errors)
	}
	if want := flow.Port(10 + words[strings.Index(words, "> a")+3] - '0'); slices.ContainsFunc(res.Outputs, func(o oftest.Output) bool { return o.Port == want }) {
		return pass
	}
	for _, in := range res.PacketIns {
		if uint32(in.Field(pipeline.Class.Bits.Field).Lo)>>pipeline.Class.Bits.Ofs&0xff == uint32(pipeline.PuntReject) {
			return reason.Reject.String()
		}
	}
	return pipeline.Cookie(res.LastCookie).Reason().String()
}

func prefix(p string) netip.Prefix { return netip.MustParsePrefix(p) }

// filterCase is a world and packets with what becomes of them, in order.
type filterCase struct {
	name  string
	world func(w *world)
	steps [][2]string
}

const pass = "passes"

func filterCases() []filterCase {
	filter, groups, ruled, rejected := reason.Filter.String(), reason.SecurityGroup.String(), reason.Rule.String(), reason.Reject.String()
	return []filterCase{
		{"nobody is judged", func(*world) {}, [][2]string{{"a1 > a2 tcp 1000 80", pass}, {"a1 > a2 icmp6 128", pass}}},
		{"filtering without a filter", func(w *world) {
			w.edit("if-a2", func(i *model.Interface) { i.EnableFiltering = true })
		}, [][2]string{{"a1 > a2 tcp 1000 80", filter}, {"a2 > a1 udp6 1 2", filter}, {"a1 > a3 tcp 1 2", pass}}},
		{"static pass, both ways", func(w *world) {
			w.filter("a2", model.Filter{}, model.FilterStatic{Protocol: "tcp", DstPort: 80, Action: "pass"})
		}, [][2]string{
			{"a1 > a2 tcp 1000 80", pass}, {"a2 > a1 tcp 80 1000 ack", pass}, {"a1 > a2 tcp6 1000 80", pass}, {"a2 > a1 tcp6 80 1000", pass},
			{"a1 > a2 tcp 1000 81", filter}, {"a2 > a1 tcp 1000 80", filter}, {"a1 > a2 udp 1000 80", filter},
		}},
		{"static order", func(w *world) {
			w.filter("a2", model.Filter{IngressPassthrough: true},
				model.FilterStatic{Protocol: "ip", SrcAddress: prefix("10.0.0.0/24"), Action: "drop"},
				model.FilterStatic{Protocol: "ip", SrcAddress: prefix("10.0.0.1/32"), Action: "pass"},
				model.FilterStatic{Protocol: "udp", DstPort: 53, Action: "drop"},
				model.FilterStatic{Protocol: "ip", DstAddress: prefix("10.0.0.2/32"), SrcAddress: prefix("10.0.0.3/32"), Action: "pass"})
		}, [][2]string{
			{"a1 > a2 tcp 1000 80", pass}, {"a1 > a2 udp 1000 53", filter}, {"a3 > a2 udp 1000 53", pass}, {"a1 > a2 udp6 1000 53", filter}, {"a1 > a2 udp6 1000 54", pass},
			{"a2 > a1 udp6 1000 54", filter}, {"a2 > a1 tcp 1 2", pass},
		}},
		{"static conn", func(w *world) {
			w.filter("a2", model.Filter{}, model.FilterStatic{Protocol: "udp", SrcPort: 53, Action: "conn"}, model.FilterStatic{Protocol: "icmp", Action: "drop"})
		}, [][2]string{
			{"a1 > a2 udp 53 1000", filter}, {"a2 > a1 udp 1000 53", pass}, {"a1 > a2 udp 53 1000", pass}, {"a1 > a2 udp 53 1001", filter},
			{"a1 > a2 error udp 1000 53", pass}, {"a1 > a2 error udp 1001 53", filter}, {"a1 > a2 icmp 8", filter},
			{"a1 > a2 udp6 53 1000", filter}, {"a2 > a1 udp6 1000 53", pass}, {"a1 > a2 udp6 53 1000", pass},
		}},
		{"text rules", func(w *world) {
			w.group("sg-1", "tcp:80:10.0.0.1\nicmp:-1:0.0.0.0/0,udp:0:fd00:a::/64", model.SecurityGroup{}, "a2")
		}, [][2]string{
			{"a1 > a2 tcp 1000 80", pass}, {"a3 > a2 tcp 1000 80", groups}, {"a1 > a2 tcp 1000 81", groups}, {"a1 > a2 icmp 8", pass}, {"a1 > a2 icmp6 128", groups},
			{"a1 > a2 udp6 1 2", pass}, {"a1 > a2 udp 1 2", groups},
			{"a2 > a1 udp 7 8", pass}, {"a1 > a2 udp 8 7", pass},
		}},
		{"judged without a group", func(w *world) {
			w.edit("if-a2", func(i *model.Interface) { i.IngressFilteringEnabled = true })
		}, [][2]string{{"a1 > a2 tcp 1000 80", groups}, {"a2 > a1 udp 7 8", pass}, {"a1 > a2 udp 8 7", pass}, {"a1 > a2 error udp 7 8", pass}, {"a1 > a2 error udp 7 9", groups}}},
		{"trust", func(w *world) {
			w.group("sg-1", "", model.SecurityGroup{TrustMembers: true}, "a1", "a2")
		}, [][2]string{{"a1 > a2 tcp 1000 80", pass}, {"a1 > a2 udp6 1 2", pass}, {"a3 > a1 udp 1 2", groups}, {"a1 > a3 udp 1 2", pass}, {"a3 > a1 udp 2 1", pass}}},
		{"egress", func(w *world) {
			w.group("sg-1", "udp:1:0.0.0.0/0", model.SecurityGroup{EgressFilteringEnabled: true}, "a1")
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Direction: model.RuleEgress, Protocol: "udp", PortFirst: 50, PortLast: 60, RemoteAddresses: "10.0.0.2/32"})
		}, [][2]string{
			{"a1 > a2 udp 9 49", groups}, {"a1 > a2 udp 9 50", pass}, {"a1 > a2 udp 9 60", pass}, {"a1 > a2 udp 9 61", groups}, {"a1 > a3 udp 9 50", groups}, {"a1 > a2 udp6 9 50", groups},
			{"a2 > a1 udp 50 9", pass}, {"a2 > a1 udp 5 1", pass}, {"a1 > a2 udp 1 5", pass}, {"a1 > a3 udp 1 5", groups},
		}},
		{"priorities and actions", func(w *world) {
			w.group("sg-1", "", model.SecurityGroup{}, "a2")
			w.group("sg-2", "", model.SecurityGroup{}, "a2")
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp"})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-2", Protocol: "udp", PortFirst: 1, PortLast: 100, Action: model.RuleReject})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 50, Action: model.RuleDrop})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-2", Protocol: "udp", PortFirst: 50, Priority: 1, RemoteAddresses: "10.0.0.3/32", Log: true})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-2", Protocol: "udp", PortFirst: 7, Priority: 1000, Action: model.RuleDrop})
		}, [][2]string{
			{"a1 > a2 udp 9 200", pass}, {"a1 > a2 udp 9 60", rejected}, {"a1 > a2 udp6 9 60", rejected}, {"a1 > a2 udp 9 50", ruled}, {"a3 > a2 udp 9 50", pass}, {"a3 > a2 udp6 9 50", ruled},
			{"a1 > a2 udp 9 7", ruled}, {"a2 > a1 udp 7 9", pass}, {"a1 > a2 udp 9 7", pass}, {"a1 > a2 tcp 1 2", groups},
		}},
		{"stateless", func(w *world) {
			w.group("sg-1", "", model.SecurityGroup{EgressFilteringEnabled: true}, "a2")
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 53, Stateless: true})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 53, PortLast: 54})
		}, [][2]string{{"a1 > a2 udp 9 53", pass}, {"a2 > a1 udp 53 9", groups}, {"a1 > a2 udp 9 54", pass}, {"a2 > a1 udp 54 9", pass}}},
		{"peers of several rules", func(w *world) {
			w.group("sg-1", "tcp:80:sg-2\nudp:0:sg-2", model.SecurityGroup{}, "a2")
			w.group("sg-2", "tcp:22:sg-3", model.SecurityGroup{}, "a1", "a3")
			w.group("sg-3", "tcp:0:10.0.0.0/8", model.SecurityGroup{}, "a3")
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "tcp", PortFirst: 443, RemoteGroupUUID: "sg-3"})
		}, [][2]string{
			{"a1 > a2 tcp 1 80", pass}, {"a3 > a2 tcp 1 80", pass}, {"a1 > a2 tcp 1 443", groups}, {"a3 > a2 tcp 1 443", pass}, {"a3 > a2 tcp6 1 443", pass}, {"a1 > a2 udp6 1 5", pass},
			{"a3 > a1 tcp 1 22", pass}, {"a2 > a1 tcp 1 22", groups}, {"a2 > a3 tcp 1 22", pass},
		}},
		{"addresses", func(w *world) {
			w.put(&model.AddressGroup{Meta: model.Meta{UUID: "ag-1"}, Addresses: "10.0.0.1/32,fd00:a::3/128"})
			w.group("sg-1", "", model.SecurityGroup{}, "a2")
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "tcp", RemoteAddressGroupUUID: "ag-1"})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", ExcludedAddresses: "10.0.0.1/32"})
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "icmp", ICMPType: 8, ICMPCode: 0})
		}, [][2]string{
			{"a1 > a2 tcp 1 2", pass}, {"a3 > a2 tcp 1 2", groups}, {"a3 > a2 tcp6 1 2", pass}, {"a1 > a2 tcp6 1 2", groups}, {"a1 > a2 udp 1 2", groups}, {"a3 > a2 udp 1 2", pass}, {"a1 > a2 udp6 1 2", pass},
			{"a1 > a2 icmp 8", pass}, {"a1 > a2 icmp 13", groups},
		}},
		{"answers through all filters", func(w *world) {
			w.group("sg-1", "udp:53:0.0.0.0/0,udp:53:::/0", model.SecurityGroup{EgressFilteringEnabled: true}, "a1")
			w.group("sg-2", "", model.SecurityGroup{}, "a2")
			w.filter("a2", model.Filter{}, model.FilterStatic{Protocol: "udp", SrcPort: 53, Action: "conn"})
		}, [][2]string{
			{"a1 > a2 udp 53 9", groups}, {"a2 > a1 udp 9 53", pass}, {"a1 > a2 udp 53 9", pass}, {"a1 > a2 error udp 9 53", pass}, {"a2 > a1 udp6 9 53", pass}, {"a1 > a2 udp6 53 9", pass},
		}},
		{"both filters", func(w *world) {
			w.filter("a2", model.Filter{EgressPassthrough: true}, model.FilterStatic{Protocol: "udp", DstPort: 53, Action: "pass"})
			w.group("sg-1", "udp:53:10.0.0.1,udp:54:10.0.0.1", model.SecurityGroup{}, "a2")
		}, [][2]string{{"a1 > a2 udp 1 53", pass}, {"a1 > a2 udp 1 54", filter}, {"a3 > a2 udp 1 53", groups}}},
	}
}

func TestFilters(t *testing.T) {
	for _, tc := range filterCases() {
		t.Run(tc.name, func(t *testing.T) {
			w := guests()
			tc.world(w)
			sw := memorySwitch(t, host(t, w))
			for n, s := range tc.steps {
				if got := send(t, sw, s[0]); got != s[1] {
					t.Errorf("%d. %s: %s, not %s", n+1, s[0], got, s[1])
				}
			}
		})
	}
}

// What rules reject goes to the agent, which tells the sender, and so does a copy of what a rule with log decides.
func TestRulesTellTheAgent(t *testing.T) {
	w := guests()
	w.group("sg-1", "", model.SecurityGroup{EgressFilteringEnabled: true}, "a2")
	w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 1, Action: model.RuleReject})
	w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 2, Log: true})
	w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 3, Log: true, Action: model.RuleDrop})
	w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Direction: model.RuleEgress, Action: model.RuleReject})
	sw := memorySwitch(t, host(t, w))
	for _, tc := range []struct {
		packet   string
		class    pipeline.PuntClass
		userdata string
		passes   bool
		table    uint8
	}{
		{"a1 > a2 udp 9 1", pipeline.PuntReject, "", false, pipeline.Punt.ID},
		{"a1 > a2 udp 9 2", pipeline.PuntLog, "\xb0\x00\x00\x02", true, pipeline.InRules.ID},
		{"a1 > a2 udp6 9 3", pipeline.PuntLog, "\xb0\x00\x00\x03", false, pipeline.InRules.ID},
		{"a2 > a1 tcp 9 3", pipeline.PuntReject, "", false, pipeline.Punt.ID},
	} {
		port, frame := packet(t, tc.packet)
		res := sw.Process(oftest.Packet{InPort: port, Frame: frame})
		if len(res.PacketIns) != 1 || (len(res.Outputs) == 1) != tc.passes {
			t.Errorf("%s: %d packets to the agent, %d out", tc.packet, len(res.PacketIns), len(res.Outputs))
			continue
		}
		in := res.PacketIns[0]
		class := in.Field(pipeline.Class.Bits.Field).Lo >> pipeline.Class.Bits.Ofs & 0xff
		if pipeline.PuntClass(class) != tc.class || string(in.Userdata) != tc.userdata || in.Table != tc.table || in.Field(pipeline.Network.Bits.Field).Lo != 100 {
			t.Errorf("%s: class %d, userdata %x, table %d", tc.packet, class, in.Userdata, in.Table)
		}
	}
}

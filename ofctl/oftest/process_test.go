package oftest

import (
	"encoding/hex"
	"testing"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

func mustHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// FuzzProcess: no frame makes the switch panic, and what is not changed comes out as it went in.
func FuzzProcess(f *testing.F) {
	g := newGen(3)
	for range 50 {
		f.Add(g.frame(frameOptions{}))
	}
	flows, groups := g.flows(frameOptions{}, true), g.groups()
	f.Fuzz(func(t *testing.T, frame []byte) {
		s := model(t, flows, groups)
		in := Packet{InPort: 1, Frame: frame}
		res := s.Process(in)
		_ = res.Trace()
		s.Process(in)
		plain := model(t, parseFlows(t, "ip actions=ct(commit,table=1)\ntable=1, actions=output:2\npriority=1 actions=output:2"), nil)
		res = plain.Process(in)
		for _, o := range res.Outputs {
			if hex.EncodeToString(o.Frame) != hex.EncodeToString(frame) {
				t.Errorf("%x came out as %x", frame, o.Frame)
			}
		}
	})
}

// sequence builds TCP segments between two hosts.
func segment(reply bool, flags uint16, seq, ack uint32) []byte {
	h := mustHex("020000000002020000000001080045000028000000004006" + "0000" + "0a0000010a000002")
	b := make([]byte, 20)
	put16(b, 1000)
	put16(b[2:], 80)
	if reply {
		copy(h[26:], mustHex("0a0000020a000001"))
		put16(b, 80)
		put16(b[2:], 1000)
	}
	put32(b[4:], seq)
	put32(b[8:], ack)
	put16(b[12:], 0x5000|flags)
	put16(b[14:], 500)
	put16(h[24:], ^fold(add(0, h[14:34])))
	seal(6, b, add(6+20, h[26:34]))
	return append(h, b...)
}

// States that Open vSwitch gives the packets of a connection (TestPrivilegedConntrack compares many more).
func TestStates(t *testing.T) {
	const program = "ip actions=ct(table=1,zone=3)\ntable=1, ip actions=ct(commit,zone=3),output:2"
	for _, c := range stateCases {
		t.Run(c.name, func(t *testing.T) {
			s := model(t, parseFlows(t, program), nil)
			for i, f := range c.frames {
				res := s.Process(Packet{InPort: 1, Frame: f})
				if got := StateText(res.Conntrack[0].State); got != c.want[i] {
					t.Errorf("packet %d: %s, want %s", i, got, c.want[i])
				}
			}
		})
	}
}

// stateCase is a conversation with the state of each packet.
type stateCase struct {
	name   string
	frames [][]byte
	want   []string
}

var stateCases = []stateCase{
	{"handshake", [][]byte{
		segment(false, tcpSYN, 100, 0), segment(false, tcpSYN, 100, 0), segment(true, tcpSYN|tcpACK, 300, 101), segment(false, tcpACK, 101, 301),
		segment(false, tcpFIN|tcpACK, 101, 301), segment(true, tcpFIN|tcpACK, 301, 102), segment(false, tcpACK, 102, 302), segment(false, tcpSYN, 900, 0),
	}, []string{"new,trk", "new,trk", "est,rpl,trk", "est,trk", "est,trk", "est,rpl,trk", "est,trk", "new,trk"}},
	{"answer first", [][]byte{segment(true, tcpSYN|tcpACK, 300, 101)}, []string{"inv,trk"}},
	{"reset first", [][]byte{segment(false, tcpRST, 100, 0)}, []string{"new,trk"}},
	{"middle", [][]byte{segment(false, tcpACK, 100, 9)}, []string{"new,trk"}},
	{"no flags", [][]byte{segment(false, 0, 100, 0)}, []string{"inv,trk"}},
	{"udp", [][]byte{udp(false), udp(false), udp(true), udp(false)}, []string{"new,trk", "new,trk", "est,rpl,trk", "est,trk"}},
}

// icmpError is an error from a router about what was sent in the frame, to where that came from.
func icmpError(about []byte, size int) []byte {
	inner := about[14:]
	inner = inner[:min(len(inner), size)]
	h := mustHex("0200000000010200000000020800450000000000000040010000" + "c0000263")
	h = append(h, about[26:30]...)
	body := append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, inner...)
	put16(h[16:], uint16(20+len(body)))
	put16(h[24:], ^fold(add(0, h[14:34])))
	seal(1, body, 0)
	return append(h, body...)
}

// errorCases are ICMP errors about packets in both directions, whole and cut.
func errorCases() []stateCase {
	var out []stateCase
	for _, size := range []int{28, 40, 100} {
		out = append(out,
			stateCase{name: "udp error", frames: [][]byte{udp(false), icmpError(udp(false), size), icmpError(udp(true), size), udp(true)}},
			stateCase{name: "tcp error", frames: [][]byte{
				segment(false, tcpSYN, 100, 0), icmpError(segment(false, tcpSYN, 100, 0), size), segment(true, tcpSYN|tcpACK, 300, 101),
			}},
			stateCase{name: "error about nothing", frames: [][]byte{icmpError(udp(false), size)}},
			stateCase{name: "error about a translated packet", frames: [][]byte{udp(false), icmpError(translated(), size)}},
		)
	}
	return out
}

// translated is the packet of udp after "source" of TestPrivilegedStates.
func translated() []byte {
	f := udp(false)
	copy(f[26:], mustHex("c0000201"))
	copy(f[34:], mustHex("1b58"))
	put16(f[24:], 0)
	put16(f[24:], ^fold(add(0, f[14:34])))
	return f
}

func udp(reply bool) []byte {
	f := mustHex(udpFrame)
	if reply {
		copy(f[26:], mustHex("0a0000020a000001"))
		copy(f[34:], mustHex("005003e8"))
	}
	return f
}

func TestNATPortsAndLimits(t *testing.T) {
	s := model(t, parseFlows(t, "ip actions=ct(commit,table=1,zone=1,nat(src=192.0.2.1:5000-5001))\ntable=1, actions=output:2"), nil)
	seen := map[uint16]bool{}
	for i := range 3 {
		f := udp(false)
		put16(f[34:], uint16(2000+i))
		res := s.Process(Packet{InPort: 1, Frame: f})
		port := be16(res.Outputs[0].Frame[34:])
		if i < 2 && (seen[port] || port < 5000 || port > 5001) || i == 2 && port != 2002 {
			t.Errorf("packet %d has the port %d", i, port)
		}
		seen[port] = true
	}
	if c := s.Connections(); len(c) != 2 || c[0].ReplyDst.String() != "192.0.2.1" {
		t.Errorf("connections %v", c)
	}
	s.Flush(1)
	s.SetZoneLimit(1, 0)
	s.Process(Packet{InPort: 1, Frame: udp(false)})
	if c := s.Connections(); len(c) != 0 {
		t.Errorf("connections above the limit: %v", c)
	}
}

func TestTunnels(t *testing.T) {
	s := New(Options{Ports: []Port{{No: 1}, {No: 2, Kind: PortTunnel}}})
	for _, m := range modAdd(parseFlows(t, `in_port=1 actions=output:2,set_field:0x7->tun_id,set_field:192.0.2.9->tun_dst,output:2
		in_port=2,tun_id=0x9,tun_src=192.0.2.8 actions=output:1`)...) {
		if err := s.Apply(&m); err != nil {
			t.Fatal(err)
		}
	}
	res := s.Process(Packet{InPort: 1, Frame: mustHex(udpFrame)})
	if len(res.Outputs) != 1 || res.Outputs[0].Tunnel.ID != 7 || res.Outputs[0].Tunnel.Dst.String() != "192.0.2.9" {
		t.Errorf("%+v", res.Outputs)
	}
	in := Packet{InPort: 2, Frame: mustHex(udpFrame), Tunnel: Tunnel{ID: 9, Src: flow.Uint(0xc0000208).Addr4(), Dst: flow.Uint(0xc0000201).Addr4()}}
	if res := s.Process(in); len(res.Outputs) != 1 {
		t.Errorf("from the tunnel: %+v", res)
	}
}

func TestBucketChoice(t *testing.T) {
	var asked []int
	s := New(Options{
		Ports:  []Port{{No: 1}, {No: 2}, {No: 3, Down: true}, {No: 4}},
		Bucket: func(_ *flow.Group, live []int) int { asked = live; return len(live) - 1 },
	})
	out := func(p flow.Port) flow.Actions { return flow.MustActions(flow.Output{Port: p}) }
	ms := []ofp.Message{
		&ofp.GroupMod{Group: flow.Group{ID: 1, Type: flow.Select, Buckets: []flow.Bucket{
			{ID: 1, Weight: 1, WatchPort: 2, Actions: out(2)}, {ID: 2, Weight: 1, WatchPort: 3, Actions: out(3)}, {ID: 3, Weight: 1, Actions: out(4)},
		}}},
		&ofp.GroupMod{Group: flow.Group{ID: 2, Type: flow.FF, Buckets: []flow.Bucket{{ID: 1, WatchPort: 3, Actions: out(3)}, {ID: 2, WatchPort: 2, Actions: out(2)}}}},
		&ofp.FlowMod{Flow: flow.Flow{Actions: flow.MustActions(flow.ToGroup{Group: 1}, flow.ToGroup{Group: 2})}},
	}
	for _, m := range ms {
		if err := s.Apply(m); err != nil {
			t.Fatal(err)
		}
	}
	res := s.Process(Packet{InPort: 1, Frame: mustHex(udpFrame)})
	if len(asked) != 2 || len(res.Outputs) != 2 || res.Outputs[0].Port != 4 || res.Outputs[1].Port != 2 {
		t.Errorf("asked %v, outputs %+v", asked, res.Outputs)
	}
}

// BenchmarkProcess sends packets through 12 tables with 500 flows, two of them conntrack.
func BenchmarkProcess(b *testing.B) {
	s := New(Options{Ports: []Port{{No: 1}, {No: 2}}})
	g := newGen(5)
	for table := range uint8(12) {
		last := flow.GotoTable{Table: table + 1}
		acts := []flow.Action{flow.Load(flow.Reg(int(table)).All(), 5), last}
		if table == 11 {
			acts = []flow.Action{flow.SetField(flow.EthDst.MAC(macs[2])), flow.DecTTL{}, flow.Output{Port: 2}}
		}
		flows := []flow.Flow{{Table: table, Priority: 1000, Match: flow.MustMatch(flow.EthType.Is(0x800)), Actions: flow.MustActions(acts...)}}
		if table == 2 || table == 8 {
			flows[0].Actions = flow.MustActions(flow.CT{Commit: true, Recirc: true, Zone: uint16(table), Table: table + 1})
		}
		for i := range 42 {
			flows = append(flows, flow.Flow{Table: table, Priority: uint16(i), Match: g.match(frameOptions{}), Actions: flow.Actions{}})
		}
		for _, m := range modAdd(flows...) {
			if err := s.Apply(&m); err != nil {
				b.Fatal(err)
			}
		}
	}
	in := Packet{InPort: 1, Frame: segment(false, tcpSYN, 100, 0)}
	if res := s.Process(in); len(res.Outputs) != 1 || res.Hits != 12 {
		b.Fatal(res)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Process(in)
	}
}

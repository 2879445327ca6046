package oftest

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/wait"
)

func modAdd(flows ...flow.Flow) []ofp.FlowMod {
	var out []ofp.FlowMod
	for _, f := range flows {
		out = append(out, ofp.FlowMod{Command: ofp.FlowAdd, Flow: f})
	}
	return out
}

// rig is a real Open vSwitch with ports 1 to 4 whose frames can be read, and a port 6 for the marker that follows every
// packet.
type rig struct {
	t    *testing.T
	dir  string
	conn *conn.Conn
	ctl  net.Conn
	dec  *json.Decoder
	read map[int]int // bytes of the captures that were read
	id   int
	log  string
}

const markerPort = 6

var markerFrame = func() string {
	b := make([]byte, 20)
	b[12], b[13] = 0x88, 0xb6
	return hex.EncodeToString(b)
}()

func newRig(t *testing.T) *rig {
	s := ovs.StartSandbox(t)
	s.AddBridge("br0", "p1", "p2", "p3", "p4", "p5", "p6")
	r := &rig{t: t, dir: ovs.TempDir(t), log: s.Log(ovs.Switch), read: map[int]int{}}
	for i := 1; i <= 6; i++ {
		s.MustVsctl("set", "interface", fmt.Sprintf("p%d", i), "options:tx_pcap="+r.pcap(i))
	}
	rec, err := s.Record(ovs.Switch)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(s.Log(ovs.Switch))
	if r.ctl, err = net.Dial("unix", fmt.Sprintf("%s/ovs-vswitchd.%d.ctl", dir, rec.PID)); err != nil {
		t.Fatal(err)
	}
	r.dec = json.NewDecoder(r.ctl)
	if r.conn, err = conn.Dial(t.Context(), s.Mgmt("br0"), conn.Options{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = r.conn.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended; r.ctl.Close() })
	return r
}

func (r *rig) pcap(port int) string { return fmt.Sprintf("%s/p%d.pcap", r.dir, port) }

// appctl sends a command to ovs-vswitchd.
func (r *rig) appctl(method string, args ...string) string {
	r.t.Helper()
	r.id++
	if args == nil {
		args = []string{}
	}
	b, err := json.Marshal(map[string]any{"id": r.id, "method": method, "params": args})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.ctl.Write(b); err != nil {
		r.t.Fatal(err)
	}
	var reply struct{ Result, Error any }
	if err := r.dec.Decode(&reply); err != nil {
		r.t.Fatalf("%s %s: %v\n%s", method, strings.Join(args, " "), err, ovs.Tail(r.log, 20))
	}
	if reply.Error != nil {
		r.t.Fatalf("%s %s: %v", method, strings.Join(args, " "), reply.Error)
	}
	return fmt.Sprint(reply.Result)
}

// load replaces all flows and groups and forgets all connections. It gives the refusals.
func (r *rig) load(flows []flow.Flow, groups []flow.Group) error {
	var msgs []ofp.Message
	msgs = append(msgs, &ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}},
		&ofp.GroupMod{Command: ofp.GroupDelete, Group: flow.Group{ID: ofp.GroupAll}})
	for _, g := range groups {
		msgs = append(msgs, &ofp.GroupMod{Command: ofp.GroupAdd, Group: g})
	}
	marker := flow.Flow{
		Priority: 65535, Match: flow.MustMatch(flow.EthType.Is(0x88b6)), Actions: flow.MustActions(flow.Output{Port: markerPort}),
	}
	for _, m := range modAdd(append(flows, marker)...) {
		msgs = append(msgs, &m)
	}
	err := r.conn.Bundle(r.t.Context(), msgs, conn.BundleOptions{Atomic: true, Ordered: true})
	r.appctl("revalidator/purge")
	r.appctl("dpctl/flush-conntrack")
	return err
}

// inject gives the frames that come out, by port.
func (r *rig) inject(port flow.Port, frame []byte) map[flow.Port][]string {
	r.t.Helper()
	r.appctl("revalidator/purge") // Open vSwitch may apply a cached flow to a malformed packet that is not for it
	in := fmt.Sprintf("p%d", port)
	r.appctl("netdev-dummy/receive", in, hex.EncodeToString(frame))
	for range 2 {
		r.appctl("netdev-dummy/receive", in, markerFrame)
		ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
		err := wait.Until(ctx, 100*time.Microsecond, func() error {
			if len(r.frames(markerPort)) == 0 {
				return fmt.Errorf("no marker")
			}
			return nil
		})
		cancel()
		if err != nil {
			r.t.Fatal(err)
		}
	}
	out := map[flow.Port][]string{}
	for i := 1; i <= 4; i++ {
		for _, f := range r.frames(i) {
			out[flow.Port(i)] = append(out[flow.Port(i)], hex.EncodeToString(f))
		}
	}
	return out
}

// frames gives what was written to a capture since the last call.
func (r *rig) frames(port int) [][]byte {
	b, err := os.ReadFile(r.pcap(port))
	if err != nil {
		r.t.Fatal(err)
	}
	at := max(24, r.read[port])
	var out [][]byte
	for len(b) >= at+16 {
		n := int(binary.LittleEndian.Uint32(b[at+8:]))
		if len(b) < at+16+n {
			break
		}
		out = append(out, b[at+16:at+16+n])
		at += 16 + n
	}
	r.read[port] = at
	return out
}

// model is a switch with the rig's ports, flows and groups.
func model(t testing.TB, flows []flow.Flow, groups []flow.Group) *Switch {
	t.Helper()
	s := New(Options{Trace: true, Ports: []Port{{No: 1}, {No: 2}, {No: 3}, {No: 4}, {No: 5}, {No: 6}}})
	for _, g := range groups {
		if err := s.Apply(&ofp.GroupMod{Command: ofp.GroupAdd, Group: g}); err != nil {
			t.Fatal(g, err)
		}
	}
	for _, m := range modAdd(flows...) {
		if err := s.Apply(&m); err != nil {
			t.Fatal(m.Flow, err)
		}
	}
	return s
}

func byPort(res Result) map[flow.Port][]string {
	out := map[flow.Port][]string{}
	for _, o := range res.Outputs {
		if o.Port <= 4 {
			out[o.Port] = append(out[o.Port], hex.EncodeToString(o.Frame))
		}
	}
	return out
}

func sameOutputs(a, b map[flow.Port][]string) bool {
	for p := flow.Port(1); p <= 4; p++ {
		if !slices.Equal(a[p], b[p]) {
			return false
		}
	}
	return true
}

func dump(flows []flow.Flow) string {
	slices.SortStableFunc(flows, func(a, b flow.Flow) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority))
	})
	var b strings.Builder
	for _, f := range flows {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// tail gives the last lines of a text.
func tail(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// compare sends random packets through random tables of both.
func compare(t *testing.T, seeds uint64, packets int, o frameOptions, ct bool) {
	r := newRig(t)
	bad := 0
	for seed := range seeds {
		g := newGen(seed)
		flows, groups := g.flows(o, ct), g.groups()
		if err := r.load(flows, groups); err != nil {
			t.Errorf("seed %d: Open vSwitch refuses what the model takes: %v\n%s", seed, err, dump(flows))
			continue
		}
		s := model(t, flows, groups)
		for i := range packets {
			in := flow.Port(1 + g.IntN(4))
			frame := g.frame(o)
			want := r.inject(in, frame)
			res := s.Process(Packet{InPort: in, Frame: frame})
			if ct {
				if real, got := r.appctl("dpctl/dump-conntrack"), s.Connections(); strings.Count(real, "\n") != len(got) {
					t.Fatalf("seed %d packet %d in_port %d %x\nOpen vSwitch has\n%s\nthe model %v\n%s", seed, i, in, frame, real, got, tail(res.Trace()))
				}
			}
			if got := byPort(res); !sameOutputs(got, want) {
				real := r.appctl("ofproto/trace", "br0", fmt.Sprintf("in_port=%d", in), hex.EncodeToString(frame))
				t.Errorf("seed %d packet %d in_port %d %x\nwant %v\ngot  %v\n%s\n%s", seed, i, in, frame, want, got, tail(res.Trace()), tail(real))
				if bad++; bad > 3 {
					t.FailNow()
				}
				break
			}
		}
	}
}

func TestPrivilegedStateless(t *testing.T) {
	compare(t, 40, 40, frameOptions{}, false)
}

func TestPrivilegedConntrack(t *testing.T) {
	compare(t, 40, 40, frameOptions{valid: true, track: true}, true)
}

func TestPrivilegedActions(t *testing.T) {
	r := newRig(t)
	cases := slices.Clone(actionCases)
	for _, c := range conjunctionCases {
		cases = append(cases, actionCase{c.name, c.flows, udpFrame, ""})
	}
	for _, c := range cases {
		flows := parseFlowsLoose(t, c.flows)
		if err := r.load(flows, nil); err != nil {
			t.Fatal(c.name, err)
		}
		s := model(t, flows, nil)
		frame := mustHex(c.in)
		want := r.inject(1, frame)
		res := s.Process(Packet{InPort: 1, Frame: frame})
		if got := byPort(res); !sameOutputs(got, want) {
			t.Errorf("%s:\nwant %v\ngot  %v\n%s", c.name, want, got, res.Trace())
		}
	}
}

// The states of connections come out in the low byte of eth_dst.
func TestPrivilegedStates(t *testing.T) {
	r := newRig(t)
	show := "move:NXM_NX_CT_STATE[0..7]->NXM_OF_ETH_DST[0..7],output:2"
	programs := []struct{ name, flows string }{
		{"plain", "ip actions=ct(table=1,zone=3)\ntable=1, ip actions=ct(commit,zone=3)," + show + "\n" +
			"ipv6 actions=ct(table=1,zone=3)\ntable=1, ipv6 actions=ct(commit,zone=3)," + show},
		{"source", "ip actions=ct(commit,table=1,zone=3,nat(src=192.0.2.1:7000))\ntable=1, ip actions=" + show + "\n" +
			"priority=40000,ip,nw_dst=192.0.2.1 actions=ct(table=1,zone=3,nat)"},
		{"destination", "ip actions=ct(commit,table=1,zone=3,nat(dst=192.0.2.1:7000))\ntable=1, ip actions=" + show + "\n" +
			"priority=40000,ip,nw_src=192.0.2.1 actions=ct(table=1,zone=3,nat)"},
		{"two zones", "ip actions=ct(commit,table=1,zone=3,nat(dst=10.0.0.2))\ntable=1, ip actions=ct(commit,table=2,zone=4)\ntable=2, ip actions=" + show},
	}
	sequences := append(slices.Clone(stateCases), errorCases()...)
	for _, p := range programs {
		flows := parseFlows(t, p.flows)
		for _, q := range sequences {
			if err := r.load(flows, nil); err != nil {
				t.Fatal(p.name, err)
			}
			s := model(t, flows, nil)
			for i, frame := range q.frames {
				want := r.inject(1, frame)
				res := s.Process(Packet{InPort: 1, Frame: frame})
				if got := byPort(res); !sameOutputs(got, want) {
					t.Errorf("%s, %s, packet %d: %x\nwant %v\ngot  %v\n%s\n%s", p.name, q.name, i, frame, want, got, res.Trace(), r.appctl("dpctl/dump-conntrack"))
					break
				}
			}
		}
	}
}

func TestPrivilegedRefusals(t *testing.T) {
	r := newRig(t)
	if err := r.load([]flow.Flow{overlapped}, []flow.Group{{ID: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range refusals(t) {
		err := r.conn.Send(t.Context(), []ofp.Message{c.m})
		var refused *ofp.Error
		var failed *conn.ApplyError
		if !errors.As(err, &failed) || !errors.As(failed.Failed[0].Err, &refused) || refused.Name() != c.want {
			t.Errorf("%s: Open vSwitch says %v, want %s", c.name, err, c.want)
		}
	}
}

// A packet recirculates so many times and not more.
func TestPrivilegedDepth(t *testing.T) {
	r := newRig(t)
	var text strings.Builder
	for n := range 12 {
		fmt.Fprintf(&text, "table=%d, ip actions=output:%d,ct(table=%d,zone=%d)\n", n, 2+n%3, n+1, n+1)
	}
	flows := parseFlows(t, text.String())
	if err := r.load(flows, nil); err != nil {
		t.Fatal(err)
	}
	s := model(t, flows, nil)
	want := r.inject(1, udp(false))
	res := s.Process(Packet{InPort: 1, Frame: udp(false)})
	if got := byPort(res); !sameOutputs(got, want) {
		t.Errorf("want %v\ngot  %v\n%s", want, got, res.Trace())
	}
}

package oftest

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// parseFlows reads flows in the text of ovs-ofctl, one a line.
func parseFlows(t testing.TB, text string) []flow.Flow {
	t.Helper()
	var out []flow.Flow
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		f, err := flow.Parse(line, flow.Names{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

const udpFrame = "020000000002" + "020000000001" + "0800" + "4500001e00000000401166cd0a0000010a000002" + "03e80050000a" + "0000" + "610000"

type actionCase struct{ name, flows, in, out string }

// One packet through each action: the golden frames are those of Open vSwitch (TestPrivilegedActions).
var actionCases = []actionCase{
	{"output", "actions=output:2", udpFrame, udpFrame},
	{"nothing to the port it came from", "actions=output:1", udpFrame, ""},
	{"in_port", "actions=IN_PORT", udpFrame, udpFrame},
	{"truncated", "actions=output(port=2,max_len=20)", udpFrame, udpFrame[:40]},
	{"set eth", "actions=set_field:02:00:00:00:00:09->eth_dst,output:2", udpFrame, "020000000009" + udpFrame[12:]},
	{"set ip", "ip actions=set_field:10.0.0.9->ip_dst,output:2", udpFrame,
		"02000000000202000000000108004500001e00000000401166c60a0000010a00000903e80050000a0000610000"},
	{"push vlan", "actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:2", udpFrame, udpFrame[:24] + "81000005" + udpFrame[24:]},
	{"dec ttl", "ip actions=dec_ttl,output:2", udpFrame,
		"02000000000202000000000108004500001e000000003f1167cd0a0000010a00000203e80050000a0000610000"},
	{"clone puts back", "actions=clone(set_field:02:00:00:00:00:09->eth_dst),output:2", udpFrame, udpFrame},
	{"write actions", "actions=write_actions(output:2)", udpFrame, udpFrame},
	{"exit", "actions=exit,output:2", udpFrame, ""},
	{"stack", "actions=push:NXM_OF_ETH_SRC[],pop:NXM_OF_ETH_DST[],output:2", udpFrame, udpFrame[12:24] + udpFrame[12:]},
	{"larger", "actions=check_pkt_larger(43)->NXM_NX_REG0[0],resubmit(,1)\ntable=1, reg0=0x1 actions=output:2", udpFrame, udpFrame},
	{"not larger without its padding", "actions=check_pkt_larger(44)->NXM_NX_REG0[0],resubmit(,1)\ntable=1, reg0=0x1 actions=output:2", udpFrame, ""},
	{"resubmit keeps registers", "actions=resubmit(,1),resubmit(,2)\ntable=1, actions=set_field:0x5->reg1\ntable=2, reg1=0x5 actions=output:2",
		udpFrame, udpFrame},
	{"metadata", "actions=write_metadata:0x3,goto_table:1\ntable=1, metadata=0x3 actions=output:2", udpFrame, udpFrame},
	{"learn", "actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),goto_table:2\ntable=2, actions=" +
		"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],clone(set_field:2->in_port,resubmit(,1)),output:2", udpFrame, udpFrame[12:24] + udpFrame[12:]},
	{"conjunction", "actions=resubmit(,1)\ntable=1, priority=9,ip,nw_src=10.0.0.1 actions=conjunction(7,1/2)\n" +
		"table=1, priority=9,udp,tp_dst=80 actions=conjunction(7,2/2)\ntable=1, priority=7,conj_id=7 actions=output:2\ntable=1, priority=5 actions=drop",
		udpFrame, udpFrame},
}

func TestActions(t *testing.T) {
	for _, c := range actionCases {
		t.Run(c.name, func(t *testing.T) {
			s := model(t, parseFlowsLoose(t, c.flows), nil)
			in, err := hex.DecodeString(c.in)
			if err != nil {
				t.Fatal(err)
			}
			res := s.Process(Packet{InPort: 1, Frame: in})
			out := ""
			for _, o := range res.Outputs {
				if o.Port == 2 || c.name == "in_port" {
					out = hex.EncodeToString(o.Frame)
				}
			}
			if out != c.out {
				t.Errorf("got  %s\nwant %s\n%s", out, c.out, res.Trace())
			}
		})
	}
}

// parseFlowsLoose leaves out flows whose text flow.Parse cannot read: set_field of in_port is written as a load.
func parseFlowsLoose(t testing.TB, text string) []flow.Flow {
	return parseFlows(t, strings.ReplaceAll(text, "set_field:2->in_port,", ""))
}

func TestBundleIsAtomic(t *testing.T) {
	s := model(t, parseFlows(t, "actions=output:1"), nil)
	before := s.Flows()
	const atomic = ofp.BundleAtomic | ofp.BundleOrdered
	control := func(typ ofp.BundleControlType) error {
		return s.Apply(&ofp.BundleControl{ID: 1, Type: typ, Flags: atomic})
	}
	add := func(m ofp.Message) {
		t.Helper()
		if err := s.Apply(&ofp.BundleAdd{ID: 1, Flags: atomic, Message: m}); err != nil {
			t.Fatal(err)
		}
	}
	if err := control(ofp.BundleOpenRequest); err != nil {
		t.Fatal(err)
	}
	add(&ofp.GroupMod{Command: ofp.GroupAdd, Group: flow.Group{ID: 1}})
	add(&ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}})
	add(&ofp.FlowMod{Command: ofp.FlowAdd, Flow: flow.Flow{Actions: flow.MustActions(flow.ToGroup{Group: 1})}})
	add(&ofp.FlowMod{Command: ofp.FlowAdd, Flow: flow.Flow{Priority: 1, Actions: flow.MustActions(flow.ToGroup{Group: 2})}})
	err := control(ofp.BundleCommitRequest)
	var refused *ofp.Error
	if !errors.As(err, &refused) || refused.Name() != "OFPBAC_BAD_OUT_GROUP" {
		t.Errorf("commit: %v", err)
	}
	if diff := cmp.Diff(before, s.Flows()); diff != "" {
		t.Errorf("the refused bundle left traces: %s", diff)
	}
	if len(s.Groups()) != 0 {
		t.Error("the refused bundle left a group")
	}
}

// refusal is a message that Open vSwitch refuses where there is a group 1 and no meter, and the error.
type refusal struct {
	name string
	m    ofp.Message
	want string
}

func refusals(t *testing.T) []refusal {
	add := func(text string) ofp.Message {
		return &ofp.FlowMod{Command: ofp.FlowAdd, Flow: parseFlows(t, text)[0]}
	}
	out := flow.MustActions(flow.Output{Port: 1})
	return []refusal{
		{"unknown group", add("actions=group:9"), "OFPBAC_BAD_OUT_GROUP"},
		{"unknown meter", &ofp.FlowMod{Flow: flow.Flow{Actions: flow.MustActions(flow.ToMeter{Meter: 3})}}, "OFPMMFC_INVALID_METER"},
		{"goto back", add("table=3, actions=goto_table:2"), "OFPBIC_BAD_TABLE_ID"},
		{"ttl of no ip", add("actions=dec_ttl"), "OFPBAC_MATCH_INCONSISTENT"},
		{"ct of no ip", add("actions=ct(commit)"), "OFPBAC_MATCH_INCONSISTENT"},
		{"no group to modify", &ofp.GroupMod{Command: ofp.GroupModify, Group: flow.Group{ID: 3}}, "OFPGMFC_UNKNOWN_GROUP"},
		{"no bucket to remove", &ofp.GroupMod{Command: ofp.GroupRemoveBucket, Group: flow.Group{ID: 1}, BucketID: 3}, "OFPGMFC_UNKNOWN_BUCKET"},
		{"group twice", &ofp.GroupMod{Command: ofp.GroupAdd, Group: flow.Group{ID: 1}}, "OFPGMFC_GROUP_EXISTS"},
		{"no meter to modify", &ofp.MeterMod{Command: ofp.MeterModify, Meter: flow.Meter{ID: 3, Bands: []flow.Band{{Rate: 1}}}}, "OFPMMFC_UNKNOWN_METER"},
		{"meter 0", &ofp.MeterMod{Command: ofp.MeterAdd, Meter: flow.Meter{Bands: []flow.Band{{Rate: 1}}}}, "OFPMMFC_INVALID_METER"},
		{"indirect without bucket", &ofp.GroupMod{Command: ofp.GroupAdd, Group: flow.Group{ID: 5, Type: flow.Indirect}}, "OFPGMFC_INVALID_GROUP"},
		{"nothing to watch", &ofp.GroupMod{Command: ofp.GroupAdd, Group: flow.Group{ID: 5, Type: flow.FF, Buckets: []flow.Bucket{{ID: 1, Actions: out}}}}, "OFPGMFC_INVALID_GROUP"},
		{"weight in all", &ofp.GroupMod{Command: ofp.GroupAdd, Group: flow.Group{ID: 5, Buckets: []flow.Bucket{{ID: 1, Weight: 2, Actions: out}}}}, "OFPGMFC_INVALID_GROUP"},
		{"bucket twice", &ofp.GroupMod{Command: ofp.GroupAdd, Group: flow.Group{ID: 5, Buckets: []flow.Bucket{{ID: 1}, {ID: 1}}}}, "OFPGMFC_BAD_BUCKET"},
		{"after no bucket", &ofp.GroupMod{Command: ofp.GroupInsertBucket, Group: flow.Group{ID: 1, Buckets: []flow.Bucket{{ID: 4}}}, BucketID: 9}, "OFPGMFC_UNKNOWN_BUCKET"},
		{"overlap", &ofp.FlowMod{Flow: flow.Flow{Table: 7, Flags: flow.CheckOverlap, Match: flow.MustMatch(flow.InPort.Is(1))}}, "OFPFMFC_OVERLAP"},
		{"all tables", &ofp.FlowMod{Flow: flow.Flow{Table: 255}}, "OFPFMFC_BAD_TABLE_ID"},
		{"conjunction beside output", &ofp.FlowMod{Flow: flow.Flow{Actions: flow.MustActions(flow.Conjunction{ID: 1, Clause: 1, N: 2}, flow.Output{Port: 1})}}, "NXBAC_BAD_CONJUNCTION"},
	}
}

// overlapped is the flow that the flow of "overlap" meets.
var overlapped = flow.Flow{Table: 7, Match: flow.MustMatch(flow.EthType.Is(0x800))}

func TestRefusals(t *testing.T) {
	for _, c := range refusals(t) {
		t.Run(c.name, func(t *testing.T) {
			s := model(t, []flow.Flow{overlapped}, []flow.Group{{ID: 1}})
			var refused *ofp.Error
			if err := s.Apply(c.m); !errors.As(err, &refused) || refused.Name() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestModifyAndDelete(t *testing.T) {
	s := model(t, parseFlows(t, `cookie=0x11, priority=1,ip actions=output:1
		cookie=0x12, priority=2,ip,nw_src=10.0.0.0/8 actions=output:1
		cookie=0x22, table=1, priority=3,udp actions=output:2`), nil)
	apply := func(m *ofp.FlowMod) {
		t.Helper()
		if err := s.Apply(m); err != nil {
			t.Fatal(err)
		}
	}
	ip := flow.MustMatch(flow.EthType.Is(0x800))
	apply(&ofp.FlowMod{Command: ofp.FlowModify, Flow: flow.Flow{Match: ip, Actions: flow.MustActions(flow.Output{Port: 3})}})
	apply(&ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll, Cookie: 0x11, Match: ip}, CookieMask: 0xf1})
	want := parseFlows(t, "cookie=0x12, priority=2,ip,nw_src=10.0.0.0/8 actions=output:3\ncookie=0x22, table=1, priority=3,udp actions=output:2")
	if diff := cmp.Diff(want, s.Flows()); diff != "" {
		t.Error(diff)
	}
	apply(&ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}, OutPort: 2})
	if diff := cmp.Diff(want[:1], s.Flows()); diff != "" {
		t.Error(diff)
	}
	apply(&ofp.FlowMod{Command: ofp.FlowDeleteStrict, Flow: flow.Flow{Priority: 2, Match: want[0].Match}})
	if f := s.Flows(); f != nil {
		t.Error(f)
	}
}

// dial serves s and connects ofctl/conn to it.
func dial(t *testing.T, s *Switch) *conn.Conn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	go func() { _ = s.Serve(ctx, l); ended <- struct{}{} }()
	c, err := conn.Dial(t.Context(), "unix:"+path, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.Run(ctx); ended <- struct{}{} }()
	t.Cleanup(func() { cancel(); <-ended; <-ended })
	return c
}

func TestServe(t *testing.T) {
	sent := make(chan Result, 1)
	s := New(Options{DatapathID: 7, Ports: []Port{{No: 1, Name: "p1"}, {No: 2, Name: "p2"}}, Sent: func(_ *ofp.PacketOut, r Result) { sent <- r }})
	c := dial(t, s)
	ctx := t.Context()
	if err := c.Listen(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Features(ctx); err != nil || f.DatapathID != 7 {
		t.Errorf("features %v, %v", f, err)
	}
	if p, err := c.PortDesc(ctx); err != nil || len(p) != 2 {
		t.Errorf("ports %v, %v", p, err)
	}
	meter := flow.Meter{ID: 1, Unit: flow.Pktps, Bands: []flow.Band{{Rate: 5}}}
	if err := c.Send(ctx, []ofp.Message{&ofp.MeterMod{Meter: meter}}); err != nil {
		t.Fatal(err)
	}
	g := newGen(1)
	flows := g.flows(frameOptions{}, false)
	flows = append(flows, flow.Flow{Table: 9, Actions: flow.MustActions(flow.Controller{Userdata: []byte("why")})})
	var msgs []ofp.Message
	for _, x := range g.groups() {
		msgs = append(msgs, &ofp.GroupMod{Group: x})
	}
	for _, m := range modAdd(flows...) {
		msgs = append(msgs, &m)
	}
	if err := c.Bundle(ctx, msgs, conn.BundleOptions{Atomic: true, Ordered: true}); err != nil {
		t.Fatal(err)
	}
	got, err := c.DumpFlows(ctx, conn.FlowFilter{})
	byText := cmpopts.SortSlices(func(a, b flow.Flow) bool { return a.String() < b.String() })
	if diff := cmp.Diff(flows, got, byText); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	if groups, err := c.DumpGroups(ctx); err != nil || !cmp.Equal(groups, s.Groups(), cmpopts.EquateEmpty()) {
		t.Errorf("groups %v, %v", groups, err)
	}
	if meters, err := c.DumpMeters(ctx); err != nil || len(meters) != 1 || !meters[0].Equal(meter) {
		t.Errorf("meters %v, %v", meters, err)
	}
	sum, err := c.Aggregate(ctx, conn.FlowFilter{})
	if err != nil || sum.Flows != uint64(len(flows)) {
		t.Errorf("aggregate %v, %v", sum, err)
	}

	frame, _ := hex.DecodeString(udpFrame)
	out := &ofp.PacketOut{InPort: 1, Actions: flow.MustActions(flow.Load(flow.Reg(3).All(), 5), flow.Output{Port: 2}, flow.Resubmit{Table: 9}), Data: frame}
	if err := c.PacketOut(ctx, out); err != nil {
		t.Fatal(err)
	}
	if r := <-sent; len(r.Outputs) != 1 || r.Outputs[0].Port != 2 {
		t.Errorf("packet-out: %+v", r.Outputs)
	}
	in := <-c.PacketIns()
	if v, _ := in.Metadata.Get(flow.Reg(3)); in.InPort() != 1 || v.Lo != 5 || string(in.Userdata) != "why" || hex.EncodeToString(in.Data) != udpFrame {
		t.Errorf("packet-in %+v", in)
	}

	bad := []ofp.Message{
		&ofp.FlowMod{Flow: flow.Flow{Priority: 9}},
		&ofp.FlowMod{Flow: flow.Flow{Actions: flow.MustActions(flow.ToGroup{Group: 99})}},
	}
	var failed *conn.ApplyError
	if err := c.Bundle(ctx, bad, conn.BundleOptions{Atomic: true}); !errors.As(err, &failed) || failed.Applied || len(failed.Failed) != 1 || failed.Failed[0].Index != 1 {
		t.Errorf("bad bundle: %v", err)
	}
	if err := c.Send(ctx, bad); !errors.As(err, &failed) || !failed.Applied || len(failed.Failed) != 1 || failed.Failed[0].Index != 1 {
		t.Errorf("bad messages: %v", err)
	}
}

func TestFaults(t *testing.T) {
	s := New(Options{Fault: TenthFails(1)})
	refused := 0
	for i := range 1000 {
		if s.Apply(&ofp.FlowMod{Flow: flow.Flow{Priority: uint16(i)}}) != nil {
			refused++
		}
	}
	if refused < 60 || refused > 140 || len(s.Flows()) != 1000-refused {
		t.Errorf("%d of 1000 refused, %d flows", refused, len(s.Flows()))
	}
}

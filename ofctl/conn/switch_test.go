package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

func TestPrivilegedQueries(t *testing.T) {
	s := newSandbox(t)
	s.addPorts("p1", "if-v1", "p3")
	c := s.dial(Options{})
	ctx := t.Context()
	f, err := c.Features(ctx)
	if err != nil || f.DatapathID != 0xaa55aa550000 || f.Tables == 0 {
		t.Errorf("features %+v, %v", f, err)
	}
	d, err := c.Desc(ctx)
	if err != nil || !strings.Contains(d.Hardware, "Open vSwitch") {
		t.Errorf("desc %+v, %v", d, err)
	}
	ports, err := c.PortDesc(ctx)
	names := map[flow.Port]string{}
	for _, p := range ports {
		names[p.No] = p.Name
	}
	want := map[flow.Port]string{1: "p1", 2: "if-v1", 3: "p3", flow.PortLocal: "br0"}
	if d := cmp.Diff(want, names); d != "" || err != nil {
		t.Errorf("ports: %v\n%s", err, d)
	}
	r, err := c.Role(ctx, ofp.ControllerRole{})
	if err != nil || r.Role != ofp.RoleEqual {
		t.Errorf("role %+v, %v", r, err)
	}
	if err := c.Barrier(ctx); err != nil {
		t.Error(err)
	}
	if n := c.Counters(); n.SentMessages < 5 || n.ReceivedMessages < 5 || n.SentBytes < 40 || n.StrayErrors != 0 {
		t.Errorf("counters %+v", n)
	}
}

func TestPrivilegedFilters(t *testing.T) {
	s := newSandbox(t)
	c := s.dial(Options{})
	ctx := t.Context()
	var flows []flow.Flow
	for i := range 20 {
		flows = append(flows, flow.Flow{
			Table: uint8(i % 2), Priority: 10, Cookie: uint64(i%4)<<56 | uint64(i),
			Match:   flow.MustMatch(flow.Reg(0).Is(uint64(i))),
			Actions: flow.MustActions(flow.Output{Port: flow.Port(1 + i%5)}),
		})
	}
	mods := flowMods(flows)
	explain(t, c.Bundle(ctx, mods, BundleOptions{Atomic: true}), mods)
	tests := []struct {
		name   string
		filter FlowFilter
		keep   func(flow.Flow) bool
	}{
		{"all", FlowFilter{}, func(flow.Flow) bool { return true }},
		{"table", FlowFilter{OneTable: true, Table: 1}, func(f flow.Flow) bool { return f.Table == 1 }},
		{"table 0", FlowFilter{OneTable: true}, func(f flow.Flow) bool { return f.Table == 0 }},
		{"cookie", FlowFilter{Cookie: 2 << 56, CookieMask: 0xff << 56}, func(f flow.Flow) bool { return f.Cookie>>56 == 2 }},
		{"port", FlowFilter{OutPort: 3}, func(f flow.Flow) bool { return strings.HasSuffix(f.String(), "output:3") }},
		{"match", FlowFilter{Match: flow.MustMatch(flow.Reg(0).Is(7))}, func(f flow.Flow) bool { return f.Cookie&0xff == 7 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := c.DumpFlows(ctx, test.filter)
			if err != nil {
				t.Fatal(err)
			}
			var want []flow.Flow
			for _, f := range flows {
				if test.keep(f) {
					want = append(want, f)
				}
			}
			diffFlows(t, want, got)
			if a, err := c.Aggregate(ctx, test.filter); err != nil || a.Flows != uint64(len(want)) || a.Packets != 0 {
				t.Errorf("aggregate %+v, %v", a, err)
			}
		})
	}
	stats, err := c.DumpFlowStats(ctx, FlowFilter{})
	if err != nil || len(stats) != len(flows) || stats[0].Packets != 0 || stats[0].Duration < 0 {
		t.Errorf("statistics %+v, %v", stats, err)
	}
	// Delete by cookie.
	del := &ofp.FlowMod{Command: ofp.FlowDelete, CookieMask: 0xff << 56, Flow: flow.Flow{Table: ofp.TableAll, Cookie: 1 << 56}}
	explain(t, c.Bundle(ctx, []ofp.Message{del}, BundleOptions{}), nil)
	got, err := c.DumpFlows(ctx, FlowFilter{})
	if err != nil || len(got) != 15 {
		t.Errorf("%d flows, %v", len(got), err)
	}
}

// badFlows gives n flow-mods where some are bad: the switch cannot read "unreadable", and refuses to apply "refused".
func badFlows(n int, unreadable, refused []int) []ofp.Message {
	var msgs []ofp.Message
	for i := range n {
		f := flow.Flow{Table: 1, Priority: 5, Match: flow.MustMatch(flow.Reg(0).Is(uint64(i))),
			Actions: flow.MustActions(flow.Output{Port: 1})}
		if slices.Contains(unreadable, i) {
			f.Actions = flow.MustActions(flow.GotoTable{Table: 1}) // not forward
		}
		if slices.Contains(refused, i) {
			f.Flags = flow.CheckOverlap
			f.Match = flow.MustMatch(flow.Reg(1).Is(1))
		}
		msgs = append(msgs, &ofp.FlowMod{Flow: f})
	}
	return msgs
}

func TestPrivilegedBundleFailures(t *testing.T) {
	s := newSandbox(t)
	c := s.dial(Options{})
	badTable := &ofp.Error{Type: ofp.ErrBadInstruction, Code: 2}
	overlap := &ofp.Error{Type: ofp.ErrFlowModFailed, Code: 3}
	tests := []struct {
		name                string
		unreadable, refused []int
		atomic              bool
		want                *ApplyError
		flows               int
	}{
		{"good", nil, nil, true, nil, 100},
		{"atomic, unreadable", []int{7, 50}, nil, true,
			&ApplyError{Total: 100, Failed: []Failure{{7, badTable}, {50, badTable}}}, 0},
		{"atomic, refused", nil, []int{33}, true, &ApplyError{Total: 100, Failed: []Failure{{33, overlap}}}, 0},
		{"unreadable", []int{7, 99}, nil, false,
			&ApplyError{Total: 100, Failed: []Failure{{7, badTable}, {99, badTable}}, Applied: true}, 98},
		{"unreadable and refused", []int{0}, []int{33}, false,
			&ApplyError{Total: 100, Failed: []Failure{{0, badTable}, {33, overlap}}}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clean := &ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}}
			if err := c.Send(t.Context(), []ofp.Message{clean}); err != nil {
				t.Fatal(err)
			}
			err := c.Bundle(t.Context(), badFlows(100, test.unreadable, test.refused), BundleOptions{Atomic: test.atomic})
			var got *ApplyError
			if err != nil && !errors.As(err, &got) {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			t.Log(err)
			flows, err := c.DumpFlows(t.Context(), FlowFilter{})
			if err != nil || len(flows) != test.flows {
				t.Errorf("%d flows, want %d, %v", len(flows), test.flows, err)
			}
		})
	}
}

func TestPrivilegedSendFailures(t *testing.T) {
	s := newSandbox(t)
	c := s.dial(Options{})
	msgs := append(badFlows(50, []int{3}, nil),
		&ofp.MeterMod{Meter: flow.Meter{ID: 1, Unit: flow.Pktps, Bands: []flow.Band{{Rate: 10}}}},
		&ofp.MeterMod{Meter: flow.Meter{ID: 1, Unit: flow.Pktps, Bands: []flow.Band{{Rate: 10}}}},
		&ofp.GroupMod{Group: flow.Group{ID: 1, Buckets: []flow.Bucket{{Actions: flow.MustActions(flow.GotoTable{Table: 1})}}}},
		&ofp.GroupMod{Group: flow.Group{ID: 1, Buckets: []flow.Bucket{{Actions: flow.MustActions(flow.ToGroup{Group: 9})}}}},
	)
	err := c.Send(t.Context(), msgs)
	var got *ApplyError
	if !errors.As(err, &got) {
		t.Fatal(err)
	}
	var names []string
	for _, f := range got.Failed {
		names = append(names, fmt.Sprintf("%d: %v", f.Index, f.Err))
	}
	want := []string{
		"3: OFPBIC_BAD_TABLE_ID", "51: OFPMMFC_METER_EXISTS",
		"52: encode group-mod: group 1, bucket 0: actions: instructions are not allowed here",
	}
	if d := cmp.Diff(want, names); d != "" || !got.Applied {
		t.Errorf("%+v (-want +got):\n%s", got, d)
	}
	var meter *ofp.Error
	if !errors.As(err, &meter) {
		t.Error("no ofp.Error inside")
	}
}

// A group that is added in a bundle can be used by a flow in the same bundle; buckets can be inserted and removed.
func TestPrivilegedGroups(t *testing.T) {
	s := newSandbox(t)
	c := s.dial(Options{})
	ctx := t.Context()
	bucket := func(id uint32) flow.Bucket {
		return flow.Bucket{ID: id, Actions: flow.MustActions(flow.Output{Port: flow.Port(id)})}
	}
	group := flow.Group{ID: 5, Buckets: []flow.Bucket{bucket(1), bucket(2)}}
	explain(t, c.Bundle(ctx, []ofp.Message{
		&ofp.GroupMod{Group: group},
		&ofp.FlowMod{Flow: flow.Flow{Actions: flow.MustActions(flow.ToGroup{Group: 5})}},
	}, BundleOptions{Atomic: true, Ordered: true}), nil)
	explain(t, c.Bundle(ctx, []ofp.Message{
		&ofp.GroupMod{Command: ofp.GroupInsertBucket, BucketID: ofp.BucketLast,
			Group: flow.Group{ID: 5, Buckets: []flow.Bucket{bucket(3), bucket(4)}}},
		&ofp.GroupMod{Command: ofp.GroupRemoveBucket, BucketID: 1, Group: flow.Group{ID: 5}},
	}, BundleOptions{Atomic: true, Ordered: true}), nil)
	groups, err := c.DumpGroups(ctx)
	want := []flow.Group{{ID: 5, Buckets: []flow.Bucket{bucket(2), bucket(3), bucket(4)}}}
	if d := cmp.Diff(want, groups); d != "" || err != nil {
		t.Errorf("groups: %v\n%s", err, d)
	}
	stats, err := c.GroupStats(ctx)
	if err != nil || len(stats) != 1 || stats[0].RefCount != 1 || len(stats[0].Buckets) != 3 {
		t.Errorf("group statistics %+v, %v", stats, err)
	}
	explain(t, c.Send(ctx, []ofp.Message{&ofp.MeterMod{Meter: flow.Meter{ID: 3, Unit: flow.Kbps, Burst: true, Stats: true,
		Bands: []flow.Band{{Rate: 1000, Burst: 100}}}}}), nil)
	meters, err := c.MeterStats(ctx)
	if err != nil || len(meters) != 1 || meters[0].Meter != 3 || len(meters[0].Bands) != 1 {
		t.Errorf("meter statistics %+v, %v", meters, err)
	}
	tlv := []ofp.TLVMap{{Class: 0x102, Type: 0x80, Len: 4, Index: 0}, {Class: 0x102, Type: 0x81, Len: 8, Index: 5}}
	explain(t, c.Send(ctx, []ofp.Message{&ofp.TLVTableMod{Maps: tlv}}), nil)
	table, err := c.TLVTable(ctx)
	if d := cmp.Diff(tlv, table.Maps); d != "" || err != nil {
		t.Errorf("TLV table: %v\n%s", err, d)
	}
	f := flow.Flow{Table: 7, Match: flow.MustMatch(flow.TunMetadata(0, 4).Is(0x1234), flow.TunMetadata(5, 8).Masked(0xff00, 0xff00)),
		Actions: flow.MustActions(flow.SetField(flow.TunMetadata(0, 4).Is(7)), flow.Move{Src: flow.Reg(0).All(), Dst: flow.TunMetadata(5, 8).Bits(32, 32)})}
	explain(t, c.Send(ctx, []ofp.Message{&ofp.FlowMod{Flow: f}}), nil)
	flows, err := c.DumpFlows(ctx, FlowFilter{OneTable: true, Table: 7})
	if err != nil {
		t.Fatal(err)
	}
	diffFlows(t, []flow.Flow{f}, flows)
	if d := cmp.Diff([]string{f.String()}, lines(s.ofctl("dump-flows", "br0", "table=7", "--no-stats"))); d != "" {
		t.Errorf("tunnel metadata:\n%s", d)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-c:
		if !ok {
			t.Fatal("closed")
		}
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
	}
	panic("not reached")
}

// A packet-out runs through the tables to a Controller action, and comes back with what the flow gave it.
func TestPrivilegedPacketRoundTrip(t *testing.T) {
	s := newSandbox(t)
	s.addPorts("p1")
	c := s.dial(Options{})
	ctx := t.Context()
	if err := c.Listen(ctx, 77); err != nil {
		t.Fatal(err)
	}
	userdata := []byte("hello\x00\xff")
	flows := []flow.Flow{
		{Cookie: 0xabc, Match: flow.MustMatch(flow.InPort.Is(1), flow.Reg(3).Is(9)), Actions: flow.MustActions(
			flow.Load(flow.XXReg(1).All(), 5), flow.SetField(flow.TunID.Is(0x42)),
			flow.Controller{ID: 77, Userdata: userdata}, flow.Controller{ID: 78})},
		{Table: 4, Cookie: 0xdef, Actions: flow.MustActions(
			flow.Controller{ID: 77, MaxLen: 20, Pause: true}, flow.Load(flow.Reg(1).All(), 6), flow.Controller{ID: 77})},
	}
	explain(t, c.Bundle(ctx, flowMods(flows), BundleOptions{Atomic: true}), nil)
	frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x12, 0x34}, make([]byte, 46)...)
	if err := c.PacketOut(ctx, &ofp.PacketOut{InPort: 1, Data: frame, Metadata: flow.MustMatch(flow.Reg(3).Is(9)),
		Actions: flow.MustActions(flow.Output{Port: flow.PortTable})}); err != nil {
		t.Fatal(err)
	}
	got := receive(t, c.PacketIns())
	want := &ofp.PacketIn{Cookie: 0xabc, Data: frame, Length: 60, Userdata: userdata,
		Metadata: flow.MustMatch(flow.InPort.Is(1), flow.TunID.Is(0x42), flow.Reg(3).Is(9), flow.Reg(7).Is(5))}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("packet-in (-want +got):\n%s", d)
	}
	if got.InPort() != 1 {
		t.Errorf("in_port %v", got.InPort())
	}

	// A paused packet goes on when it is resumed.
	if err := c.PacketOut(ctx, &ofp.PacketOut{InPort: flow.PortController, Data: frame,
		Actions: flow.MustActions(flow.Resubmit{Table: 4})}); err != nil {
		t.Fatal(err)
	}
	paused := receive(t, c.PacketIns())
	if len(paused.Continuation) == 0 {
		t.Fatalf("not paused: %+v", paused)
	}
	if err := c.Post(ctx, &ofp.Resume{PacketIn: *paused}); err != nil {
		t.Fatal(err)
	}
	resumed := receive(t, c.PacketIns())
	if v, _ := resumed.Metadata.Get(flow.Reg(1)); v.Lo != 6 || resumed.Table != 4 || len(resumed.Continuation) > 0 {
		t.Errorf("resumed %+v", resumed)
	}

	// The standard form too.
	if err := c.Send(ctx, []ofp.Message{&ofp.SetPacketInFormat{Format: ofp.PacketInStandard}}); err != nil {
		t.Fatal(err)
	}
	if err := c.PacketOut(ctx, &ofp.PacketOut{InPort: 1, Data: frame,
		Actions: flow.MustActions(flow.Controller{ID: 77, MaxLen: 64})}); err != nil {
		t.Fatal(err)
	}
	std := receive(t, c.PacketIns())
	if !std.Standard || std.Reason != flow.ReasonAction || std.InPort() != 1 || !cmp.Equal(std.Data, frame) {
		t.Errorf("standard packet-in %+v", std)
	}
	if n := c.Counters(); n.StrayErrors != 0 || n.DroppedPacketIns != 0 {
		t.Errorf("counters %+v", n)
	}
}

// What a learn action adds, and what others add, is dumped as well.
func TestPrivilegedForeignFlows(t *testing.T) {
	s := newSandbox(t)
	s.addPorts("p1")
	c := s.dial(Options{})
	ctx := t.Context()
	explain(t, c.Send(ctx, []ofp.Message{
		&ofp.FlowMod{Flow: flow.Flow{Table: 2, Match: flow.MustMatch(flow.EthType.Is(0x800), flow.IPProto.Is(6)), Actions: flow.MustActions(
			flow.Learn{Table: 9, Priority: 3, Cookie: 4, IdleTimeout: 60, FinIdleTimeout: 5, FinHardTimeout: 6, Specs: []flow.LearnSpec{
				{Op: flow.LearnMatch, Dst: flow.EthType.All(), Value: flow.Uint(0x800)},
				{Op: flow.LearnMatch, Dst: flow.IPProto.All(), Value: flow.Uint(6)},
				{Op: flow.LearnMatch, Dst: flow.TCPDst.All(), Src: flow.TCPSrc.All()},
				{Op: flow.LearnMatch, Dst: flow.IPv4Src.All(), Src: flow.IPv4Dst.All()},
				{Op: flow.LearnMatch, Dst: flow.VLANTCI.Bits(0, 12), Src: flow.VLANTCI.Bits(0, 12)},
				{Op: flow.LearnMatch, Dst: flow.Reg(0).Bits(0, 4), Value: flow.Uint(7)},
				{Op: flow.LearnLoad, Dst: flow.Reg(1).Bits(0, 16), Src: flow.InPort16.All()},
				{Op: flow.LearnLoad, Dst: flow.XXReg(1).All(), Value: flow.Value{Hi: 5, Lo: 6}},
				{Op: flow.LearnOutput, Src: flow.InPort16.All()},
			}})}},
	}), nil)
	frame := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 80}, make([]byte, 60)...)
	explain(t, c.Send(ctx, []ofp.Message{&ofp.PacketOut{InPort: 1, Data: frame, Actions: flow.MustActions(flow.Resubmit{Table: 2})}}), nil)
	learned, err := c.DumpFlows(ctx, FlowFilter{OneTable: true, Table: 9})
	if err != nil || len(learned) != 1 {
		t.Fatal(learned, err)
	}
	if d := cmp.Diff(lines(s.ofctl("dump-flows", "br0", "table=9", "--no-stats", "--no-names")), []string{learned[0].String()}); d != "" {
		t.Errorf("learned flow (-ovs-ofctl +ours):\n%s", d)
	}
	// A field that ofctl/flow does not have, and an action that it does not have.
	s.ofctl("add-flow", "br0", "table=9,priority=1,tun_erspan_ver=1,actions=output:1")
	s.ofctl("add-flow", "br0", "table=9,priority=2,actions=sample(probability=1,collector_set_id=1,obs_domain_id=2,obs_point_id=3),output:1")
	flows, err := c.DumpFlows(ctx, FlowFilter{OneTable: true, Table: 9})
	if err != nil || len(flows) != 2 || c.Counters().Unreadable != 1 {
		t.Fatal(flows, err, c.Counters())
	}
	for _, f := range flows {
		if _, ok := f.Actions.List()[0].(flow.Unknown); f.Priority == 2 && !ok {
			t.Errorf("unknown action %v", f)
		}
	}
}

func TestPrivilegedEvents(t *testing.T) {
	s := newSandbox(t)
	c := s.dial(Options{Events: 3})
	ctx := t.Context()
	if err := c.Listen(ctx, 1); err != nil {
		t.Fatal(err)
	}
	s.addPorts("p1")
	for {
		e, ok := receive(t, c.Events()).(*ofp.PortStatus)
		if ok && e.Reason == ofp.PortAdd && e.Port.Name == "p1" && e.Port.No == 1 {
			break
		}
	}
	f := flow.Flow{Cookie: 5, Table: 3, Priority: 9, Match: flow.MustMatch(flow.Reg(0).Is(1)), Flags: flow.SendFlowRem}
	del := &ofp.FlowMod{Command: ofp.FlowDeleteStrict, Flow: flow.Flow{Table: 3, Priority: 9, Match: f.Match}}
	explain(t, c.Send(ctx, []ofp.Message{&ofp.FlowMod{Flow: f}, del}), nil)
	for {
		e, ok := receive(t, c.Events()).(*ofp.FlowRemoved)
		if !ok {
			continue
		}
		e.Flow.Flags = f.Flags
		if e.Flow != f || e.Reason != ofp.RemovedDelete || e.Packets != 0 {
			t.Errorf("flow-removed %+v", e)
		}
		break
	}
	// What nobody takes is dropped and counted.
	var msgs []ofp.Message
	for range 10 {
		msgs = append(msgs, &ofp.FlowMod{Flow: f}, del)
	}
	explain(t, c.Send(ctx, msgs), nil)
	s.wait("dropped events", func() bool { return c.Counters().DroppedEvents > 0 })
	if err := c.Barrier(ctx); err != nil {
		t.Error(err)
	}
}

// The switch ends: calls in progress fail and say so, and Run returns.
func TestPrivilegedLostConnection(t *testing.T) {
	s := newSandbox(t)
	c, err := Dial(t.Context(), s.target(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- c.Run(context.Background()) }()
	if err := c.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.run("ovs-appctl", "-t", s.dir+"/ovs-vswitchd.ctl", "exit")
	if err := receive(t, ran); err == nil || !strings.Contains(err.Error(), "closed the connection") {
		t.Errorf("Run: %v", err)
	}
	for _, err := range []error{
		c.Barrier(t.Context()), c.Post(t.Context(), &ofp.BarrierRequest{}),
		c.Bundle(t.Context(), badFlows(10, nil, nil), BundleOptions{}),
	} {
		if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "closed the connection") {
			t.Errorf("call: %v", err)
		}
	}
	if _, ok := <-c.PacketIns(); ok {
		t.Error("PacketIns not closed")
	}
}

func TestPrivilegedWrongVersion(t *testing.T) {
	s := newSandbox(t)
	s.vsctl("set", "bridge", "br0", "protocols=OpenFlow10,OpenFlow13")
	_, err := Dial(t.Context(), s.target(), Options{})
	if err == nil || !strings.Contains(err.Error(), "the switch speaks OpenFlow 1.0, OpenFlow 1.3, not OpenFlow 1.5") {
		t.Error(err)
	}
}

package pipeline_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// words are names that say which number they are for.
func words() pipeline.Names {
	return pipeline.Names{
		Object: func(o pipeline.Owner) string {
			if o.ID == 99 {
				return "" // nobody knows it
			}
			return fmt.Sprintf("%s-%d", o.Kind, o.ID)
		},
		Number:  func(n uint32) string { return fmt.Sprint("nw-", n) },
		Leg:     func(zone uint16) string { return map[uint16]string{0x8009: "if-leg"}[zone] },
		RuleSet: func(n uint64) string { return map[uint64]string{0x1_0000_0007: "sg-a+sg-b"}[n] },
		Rule:    func(conj uint32) string { return fmt.Sprint("sgr-", conj) },
		Port:    map[uint32]string{11: "tap1"}, Slot: map[pipeline.Slot]string{11: "tap1"},
	}
}

func TestDescribe(t *testing.T) {
	goOn := flow.GotoTable{Table: pipeline.L2.ID}
	to4 := netip.MustParseAddr("10.0.0.1")
	for _, tc := range []struct {
		name         string
		table        *pipeline.Table
		preds        pipeline.Preds
		actions      []flow.Action
		match, words string
	}{
		{"a port", pipeline.Classify, pipeline.Preds{flow.InPort.Is(11)}, []flow.Action{pipeline.Ingress.Set(3), flow.GotoTable{Table: pipeline.GuardMAC.ID}}, "in_port=tap1", "ingress:=interface-3, goto guard_mac"},
		{"an interface that is gone", pipeline.GuardMAC, pipeline.Preds{pipeline.Ingress.Is(99), flow.EthSrc.Is(1)}, []flow.Action{flow.GotoTable{Table: pipeline.GuardAddress.ID}},
			"ingress=99 dl_src=00:00:00:00:00:01", "goto guard_address"},
		{"a host", pipeline.L2, pipeline.Preds{pipeline.Network.Is(7), pipeline.Remote.Is(0)}, []flow.Action{pipeline.Egress.Set(2), flow.GotoTable{Table: pipeline.Transport.ID}},
			"network=nw-7 remote=0", "egress:=datapath-2, goto transport"},
		{"one table after the other", pipeline.Flood, pipeline.Preds{pipeline.Network.Is(7)}, []flow.Action{
			pipeline.Egress.Set(2), flow.Resubmit{Table: pipeline.Transport.ID}, pipeline.Egress.Set(3), flow.Resubmit{Table: pipeline.Deliver.ID}, flow.ToGroup{Group: pipeline.FloodGroup(7, 0, false)},
		}, "network=nw-7", "egress:=datapath-2, resubmit transport, egress:=interface-3, resubmit deliver, flood nw-7 local"},
		{"wide registers", pipeline.InRules, pipeline.Preds{pipeline.RuleSet.IsValue(flow.Uint(0x1_0000_0007))}, []flow.Action{flow.Conjunction{ID: 5, Clause: 1, N: 3}}, "rule_set=sg-a+sg-b", "conjunction(sgr-5, 1/3)"},
		{"a next hop", pipeline.NextHopMAC, pipeline.Preds{pipeline.NextHop.IsValue(flow.AddrValue(to4)), pipeline.Network.Is(7)}, []flow.Action{flow.SetField(flow.EthDst.Is(1)), flow.Resubmit{Table: pipeline.L2.ID}},
			"network=nw-7 next_hop=10.0.0.1", "eth_dst:=00:00:00:00:00:01, resubmit l2"},
		{"zones", pipeline.OutRules, pipeline.Preds{flow.ConjID.Is(9)}, []flow.Action{flow.CT{Commit: true, ZoneSrc: pipeline.GroupZone.Bits}, goOn}, "conj_id=sgr-9", "ct(commit, zone=group_zone), goto l2"},
		{"zones of ports", pipeline.Deliver, nil, []flow.Action{pipeline.FilterZone.Set(22), pipeline.GroupZone.Set(23), pipeline.RuleSet.Set(0), flow.GotoTable{Table: pipeline.InFilter.ID}},
			"", "filter_zone:=tap1/filter, group_zone:=tap1/groups, rule_set:=none, goto in_filter"},
		{"zones of legs", pipeline.L3Send, pipeline.Preds{flow.CTZone.Is(0x8009)}, nil, "ct_zone=if-leg/out", "drop"},
		{"a zone of a leg that is gone", pipeline.L3Send, pipeline.Preds{flow.CTZone.Is(0x800a)}, nil, "ct_zone=leg-5/in", "drop"},
		{"translation", pipeline.TranslateOut, pipeline.Preds{pipeline.Egress.Is(4)}, []flow.Action{
			flow.CT{Commit: true, Zone: 0x8009, NAT: &flow.NAT{Kind: flow.NATSrc, AddrMin: to4, PortMin: 80}, Recirc: true, Table: pipeline.L3Send.ID},
		}, "egress=interface-4", "ct(commit, zone=if-leg/out, nat(src=10.0.0.1:80), goto l3_send)"},
		{"the agent", pipeline.Punt, pipeline.Preds{pipeline.Ingress.Is(0), pipeline.Class.Is(uint32(pipeline.PuntDHCP4))}, []flow.Action{flow.Controller{Meter: pipeline.PuntDHCP4.Meter(11), MaxLen: 64}},
			"ingress=none class=dhcp4", "agent(meter tap1/dhcp4, the first 64 bytes)"},
		{"a part of a register", pipeline.L3In, pipeline.Preds{pipeline.Hops.Bits.Masked(1, 1)}, []flow.Action{
			flow.Move{Src: flow.Reg(3).Bits(16, 14), Dst: flow.Reg(3).Bits(17, 14)}, flow.CTClear{}, flow.GotoTable{Table: pipeline.L3Source.ID},
		}, "hops=0x1/0x1", "hops[1..14]:=hops[0..13], ct_clear, goto l3_source"},
		{"a meter of the host, and a copy", pipeline.Punt, pipeline.Preds{pipeline.Class.Is(5)}, []flow.Action{flow.ToMeter{Meter: pipeline.PuntReject.Meter(pipeline.HostSlot)}, flow.Clone{Actions: []flow.Action{flow.Controller{}}}},
			"class=reject", "meter host/reject, clone(agent)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindRoute, ID: 8})
			b.Flow(tc.table, 1, tc.preds, tc.actions...)
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			want := pipeline.Description{Table: tc.table.Name, Owner: "route route-8", Match: tc.match, Actions: tc.words}
			if diff := cmp.Diff(want, pipeline.Describe(b.Flows()[0], words())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A drop says why, and without any names numbers are shown.
func TestDescribeDrop(t *testing.T) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	b.Drop(pipeline.GuardMAC, 0, reason.MACSource, pipeline.Ingress.Is(3))
	want := pipeline.Description{Table: "guard_mac", Owner: "drop mac_source", Match: "ingress=3", Actions: "drop: " + reason.MACSource.Doc()}
	if diff := cmp.Diff(want, pipeline.Describe(b.Flows()[0], pipeline.Names{})); diff != "" {
		t.Error(diff)
	}
	if d := pipeline.Describe(flow.Flow{Table: 200}, pipeline.Names{}); d.Owner != "nobody" || d.Table != "200" {
		t.Errorf("a flow of nobody is described as %+v", d)
	}
}

func TestNamesOfNumbers(t *testing.T) {
	n := words()
	for id, want := range map[uint32]string{
		pipeline.FloodGroup(7, 2, true): "flood nw-7 remote 2", pipeline.GroupFromNIC: "flood physical, from the NIC", pipeline.OutsideGroup(7, true): "outside nw-7 remote",
		pipeline.MembersGroup(4, false): "members 4 local", pipeline.RouteGroup(5, true, true): "choose route-5",
	} {
		if got := n.Group(id); got != want {
			t.Errorf("group %#x is %q, want %q", id, got, want)
		}
	}
	for id, want := range map[uint32]string{pipeline.PuntProbe.Meter(0): "host/probe", pipeline.PortMeter(11, pipeline.MeterIngress): "tap1/ingress", pipeline.PortMeter(12, pipeline.MeterEgress): "slot-12/egress", 29: "host/class_29"} {
		if got := n.Meter(id); got != want {
			t.Errorf("meter %d is %q, want %q", id, got, want)
		}
	}
	for _, d := range []struct {
		number  uint32
		id      uint32
		segment bool
		ok      bool
	}{{pipeline.LocalDomain(5, false), 5, false, true}, {pipeline.LocalDomain(6, true), 6, true, true}, {100, 100, false, false}} {
		if id, segment, ok := pipeline.LocalID(d.number); id != d.id || segment != d.segment || ok != d.ok {
			t.Errorf("domain %#x is %d, %t, %t", d.number, id, segment, ok)
		}
	}
}

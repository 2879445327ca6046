package flow

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func cmpHex(s string) string { return hex.EncodeToString([]byte(s)) }

// Encodings and texts are those of ovs-ofctl and ovs-vswitchd 3.1.
func TestActions(t *testing.T) {
	ip := netip.MustParseAddr
	tests := []struct {
		action Action
		text   string
		hex    string // without the instruction around it, if it is an action
	}{
		{Output{1}, "output:1", "0000001000000001 0000000000000000"},
		{Output{PortLocal}, "LOCAL", "00000010fffffffe 0000000000000000"},
		{Output{PortInPort}, "IN_PORT", "00000010fffffff8 0000000000000000"},
		{OutputReg{Reg(1).Bits(0, 16)}, "output:NXM_NX_REG1[0..15]", "ffff001800002320 000f000f00010204 ffff000000000000"},
		{OutputTrunc{1, 100}, "output(port=1,max_len=100)", "ffff001000002320 0027000100000064"},
		{Controller{}, "CONTROLLER:65535", "00000010fffffffd ffff000000000000"},
		{Controller{MaxLen: 128}, "CONTROLLER:128", "00000010fffffffd 0080000000000000"},
		{Controller{NoData: true}, "CONTROLLER:0", "00000010fffffffd 0000000000000000"},
		{Controller{ID: 5}, "controller(id=5)", "ffff001000002320 0014ffff00050100"},
		{Controller{Reason: ReasonNoMatch}, "controller(reason=no_match)", "ffff001000002320 0014ffff00000000"},
		{Controller{ID: 5, MaxLen: 64, Reason: ReasonInvalidTTL, Userdata: []byte{1, 2, 0xff}, Pause: true, Meter: 9},
			"controller(reason=invalid_ttl,max_len=64,id=5,userdata=01.02.ff,pause,meter_id=9)",
			"ffff004000002320 0025000000000000 0000000800400000 0001000800050000 0002000502000000 000300070102ff00 0004000400000000 0005000800000009"},
		{Load(Reg(0).Bits(0, 8), 5), "set_field:0x5/0xff->reg0", "0019001000010108 00000005000000ff"},
		{SetField(EthDst.MAC([6]byte{2, 0, 0, 0, 0, 1})), "set_field:02:00:00:00:00:01->eth_dst", "0019001080000606 0200000000010000"},
		{SetField(TunDst.Addr(ip("10.0.0.1"))), "set_field:10.0.0.1->tun_dst", "0019001000014004 0a00000100000000"},
		{SetField(TunIPv6Dst.Addr(ip("2001:db8::1"))), "set_field:2001:db8::1->tun_ipv6_dst",
			"001900180001dc10 20010db800000000 0000000000000001"},
		{SetField(VLANVID.Is(VLANPresent | 5)), "set_field:4101->vlan_vid", "0019001080000c02 1005000000000000"},
		{SetField(InPort16.Is(0xfffe)), "set_field:LOCAL->in_port", "0019001000000002 fffe000000000000"},
		{SetField(TunMetadata(2, 8).Is(0x102)), "set_field:0x102->tun_metadata2", "0019001000015402 0102000000000000"},
		{SetField(TunMetadata(2, 8).Is(0)), "set_field:0->tun_metadata2", "0019000800015400"},
		{SetField(TunMetadata(2, 8).Masked(1, 0xff)), "set_field:0x1/0xff->tun_metadata2", "0019001000015502 01ff000000000000"},
		{Move{EthSrc.All(), EthDst.All()}, "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
			"001c001800300000 0000000080000806 8000060600000000"},
		{Move{Reg(1).Bits(3, 5), XReg(2).Bits(40, 5)}, "move:NXM_NX_REG1[3..7]->OXM_OF_PKT_REG2[40..44]",
			"001c001800050003 0028000000010204 8001040800000000"},
		{PushVLAN{0x8100}, "push_vlan:0x8100", "0011000881000000"},
		{PopVLAN{}, "pop_vlan", "0012000800000000"},
		{DecTTL{}, "dec_ttl", "0018000800000000"},
		{SetTTL{64}, "mod_nw_ttl:64", "0017000840000000"},
		{SetQueue{7}, "set_queue:7", "0015000800000007"},
		{PopQueue{}, "pop_queue", "ffff001000002320 0005000000000000"},
		{ToGroup{8}, "group:8", "0016000800000008"},
		{ToMeter{3}, "meter:3", "001d000800000003"},
		{Resubmit{Table: 10}, "resubmit(,10)", "ffff001000002320 000efff80a000000"},
		{Resubmit{Port: 3, Table: 255}, "resubmit:3", "ffff001000002320 000e0003ff000000"},
		{Resubmit{Port: 3, Table: 10, CT: true}, "resubmit(3,10,ct)", "ffff001000002320 002c00030a000000"},
		{CT{}, "ct()", "ffff001800002320 0023000000000000 0000ff0000000000"},
		{CT{Commit: true, Force: true, Recirc: true, Table: 4, Zone: 9, ALG: 21,
			NAT:  &NAT{Kind: NATSrc, AddrMin: ip("10.0.0.1"), AddrMax: ip("10.0.0.9"), PortMin: 80, PortMax: 90, Persistent: true, Random: true},
			Exec: []Action{SetField(CTMark.Is(1)), Move{Reg(0).All(), CTLabel.Bits(0, 32)}}},
			"ct(commit,force,table=4,zone=9,nat(src=10.0.0.1-10.0.0.9:80-90,persistent,random),exec(set_field:0x1->ct_mark,move:NXM_NX_REG0[]->NXM_NX_CT_LABEL[0..31]),alg=ftp)",
			"ffff006000002320 0023000300000000 0009040000000015" +
				"ffff002000002320 0024000000150033 0a0000010a000009 0050005a00000000" +
				"001900100001d604 0000000100000000" + "001c001800200000 0000000000010004 0001d81000000000"},
		{CT{ZoneSrc: Reg(6).Bits(0, 16), Recirc: true, NAT: &NAT{}}, "ct(table=0,zone=NXM_NX_REG6[0..15],nat)",
			"ffff002800002320 0023000000010c04 000f000000000000 ffff001000002320 0024000000000000"},
		{CT{Commit: true, NAT: &NAT{Kind: NATDst, AddrMin: ip("fd00::1"), PortMin: 80}}, "ct(commit,nat(dst=[fd00::1]:80))",
			"ffff004000002320 0023000100000000 0000ff0000000000 ffff002800002320 0024000000020014 fd00000000000000 0000000000000001 0050000000000000"},
		{CT{Commit: true, NAT: &NAT{Kind: NATSrc}}, "ct(commit,nat(src))",
			"ffff002800002320 0023000100000000 0000ff0000000000 ffff001000002320 0024000000010000"},
		{CTClear{}, "ct_clear", "ffff001000002320 002b000000000000"},
		{Learn{Table: 1, Priority: DefaultPriority, HardTimeout: 10, Specs: []LearnSpec{
			{Op: LearnMatch, Dst: VLANTCI.Bits(0, 12), Src: VLANTCI.Bits(0, 12)},
			{Op: LearnMatch, Dst: EthDst.All(), Src: EthSrc.All()},
			{Op: LearnMatch, Dst: EthType.All(), Value: Uint(0x806)},
			{Op: LearnMatch, Dst: Reg(0).Bits(0, 4), Value: Uint(0xa)},
			{Op: LearnLoad, Dst: Reg(1).Bits(0, 16), Value: Uint(7)},
			{Op: LearnLoad, Dst: Reg(2).All(), Src: Reg(3).All()},
			{Op: LearnOutput, Src: InPort16.All()},
		}}, "learn(table=1,hard_timeout=10,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],eth_type=0x806,NXM_NX_REG0[0..3]=0xa," +
			"load:0x7->NXM_NX_REG1[0..15],load:NXM_NX_REG3[]->NXM_NX_REG2[],output:NXM_OF_IN_PORT[])",
			"ffff007000002320 00100000000a8000 0000000000000000 0000010000000000" +
				"000c000008020000000008020000" + "0030000004060000000002060000" + "20100806000006020000" + "2004000a000100040000" +
				"28100007000102040000" + "0820000106040000000104040000" + "1010000000020000"},
		{Learn{Table: 2, Priority: 5, Cookie: 0x1234, SendFlowRem: true, DeleteLearned: true, Limit: 10, FinIdleTimeout: 1, FinHardTimeout: 2,
			IdleTimeout: 3, ResultDst: Reg(0).Bit(31)},
			"learn(table=2,idle_timeout=3,fin_idle_timeout=1,fin_hard_timeout=2,priority=5,send_flow_rem,delete_learned,cookie=0x1234,limit=10,result_dst=NXM_NX_REG0[31])",
			"ffff003000002320 002d000300000005 0000000000001234 0007020000010002 0000000a001f0000 0001000400000000"},
		{Conjunction{9, 1, 2}, "conjunction(9,1/2)", "ffff001000002320 0022000200000009"},
		{Note{[]byte{1, 2, 3, 4, 5, 6}}, "note:01.02.03.04.05.06", "ffff001000002320 0008010203040506"},
		{CheckPktLarger{1500, Reg(0).Bit(3)}, "check_pkt_larger(1500)->NXM_NX_REG0[3]", "ffff001800002320 003105dc00030001 0004000000000000"},
		{FinTimeout{10, 20}, "fin_timeout(idle_timeout=10,hard_timeout=20)", "ffff001000002320 0013000a00140000"},
		{Push{Reg(1).Bits(0, 8)}, "push:NXM_NX_REG1[0..7]", "ffff001800002320 001b000000010204 0008000000000000"},
		{Pop{Metadata.All()}, "pop:OXM_OF_METADATA[]", "ffff001800002320 001c000080000408 0040000000000000"},
		{DeleteField{TunMetadata(0, 4)}, "delete_field:tun_metadata0", "ffff001800002320 0032000150040000 0000000000000000"},
		{Exit{}, "exit", "ffff001000002320 0011000000000000"},
		{Clone{[]Action{Output{1}, DecTTL{}}}, "clone(output:1,dec_ttl)",
			"ffff002800002320 002a000000000000 0000001000000001 0000000000000000 0018000800000000"},
		{Unknown{[]byte{0, 99, 0, 8, 1, 2, 3, 4}}, "unknown(0063000801020304)", "0063000801020304"},
		{ClearActions{}, "clear_actions", "0005000800000000"},
		{WriteActions{[]Action{Output{2}}}, "write_actions(output:2)", "0003001800000000 0000001000000002 0000000000000000"},
		{WriteMetadata{5, 0xff}, "write_metadata:0x5/0xff", "0002001800000000 0000000000000005 00000000000000ff"},
		{WriteMetadata{5, ^uint64(0)}, "write_metadata:0x5", "0002001800000000 0000000000000005 ffffffffffffffff"},
		{GotoTable{20}, "goto_table:20", "0001000814000000"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			a, err := NewActions(test.action)
			if err != nil {
				t.Fatal(err)
			}
			got := a.Encoded()
			if list, err := a.EncodedList(); err == nil {
				got = list
				if b, err := ActionsFromList([]byte(list)); err != nil || b != a {
					t.Errorf("from list: %v, %v", b, err)
				}
			}
			if got, want := cmpHex(got), strings.ReplaceAll(test.hex, " ", ""); got != want {
				t.Errorf("encoded\n%s\nwant\n%s", got, want)
			}
			if a.String() != test.text {
				t.Errorf("text %q", a.String())
			}
			b, err := DecodeActions([]byte(a.Encoded()))
			if err != nil || b != a {
				t.Fatalf("decoded %v, %v", b, err)
			}
			again, err := NewActions(b.List()...)
			if err != nil || again != a {
				t.Errorf("list %+v: %v", b.List(), err)
			}
			if _, trimmed := test.action.(SetField); !trimmed {
				if d := cmp.Diff([]Action{test.action}, b.List(), cmpopts.EquateComparable(netip.Addr{})); d != "" {
					t.Errorf("list (-want +got):\n%s", d)
				}
			}
			if parsed, err := ParseActions(test.text, Names{}); err != nil || parsed != a {
				t.Errorf("parsed %v, %v", parsed, err)
			}
		})
	}
	if s := (Actions{}).String(); s != "drop" || !(Actions{}).IsDrop() {
		t.Error(s)
	}
}

func TestBadActions(t *testing.T) {
	tests := []struct {
		acts []Action
		want string
	}{
		{[]Action{nil}, "action is nil"},
		{[]Action{Output{PortController}}, "use Controller"},
		{[]Action{Output{0x10000}}, "not a port"},
		{[]Action{OutputReg{}}, "not a subfield"},
		{[]Action{OutputTrunc{1, 5}}, "less than 14"},
		{[]Action{Controller{NoData: true, MaxLen: 4}}, "NoData"},
		{[]Action{SetField(Reg(0).Is(1 << 40))}, "does not fit 32 bits"},
		{[]Action{SetField(Reg(0).Masked(0, 0))}, "no bit"},
		{[]Action{SetField(EthType.Is(1))}, "eth_type is not writable"},
		{[]Action{SetField(InPort.Is(1))}, "not writable"},
		{[]Action{SetField(VLANVID.Is(5))}, "without VLANPresent"},
		{[]Action{SetField(CTMark.Is(5))}, "only writable in ct"},
		{[]Action{Move{Reg(0).All(), EthDst.All()}}, "equal size"},
		{[]Action{Move{Reg(0).Bits(0, 16), EthType.All()}}, "eth_type is not writable"},
		{[]Action{PushVLAN{0x800}}, "0x8100"},
		{[]Action{Resubmit{Table: 255}}, "same table"},
		{[]Action{CT{Force: true}}, "needs commit"},
		{[]Action{CT{Exec: []Action{SetField(CTMark.Is(1))}}}, "needs commit"},
		{[]Action{CT{Commit: true, Exec: []Action{Output{1}}}}, "other than ct_mark and ct_label"},
		{[]Action{CT{ZoneSrc: Reg(0).All()}}, "not 16 bits"},
		{[]Action{CT{Commit: true, NAT: &NAT{Kind: NATSrc, AddrMin: netip.MustParseAddr("1.2.3.4"), AddrMax: netip.MustParseAddr("1.2.3.3")}}}, "not a range"},
		{[]Action{CT{Commit: true, NAT: &NAT{Kind: NATSrc, PortMin: 4}}}, "nat from address"},
		{[]Action{CT{NAT: &NAT{Persistent: true}}}, "no range and no flags"},
		{[]Action{NAT{}}, "outside of ct"},
		{[]Action{Conjunction{1, 3, 2}}, "a clause of 2 to 64"},
		{[]Action{CheckPktLarger{1, Reg(0).Bits(0, 2)}}, "writable bit"},
		{[]Action{Learn{Table: 255}}, "table 255"},
		{[]Action{Learn{Specs: []LearnSpec{{Op: LearnMatch, Dst: Reg(0).Bits(0, 4), Value: Uint(16)}}}}, "does not fit"},
		{[]Action{Learn{Specs: []LearnSpec{{Op: LearnMatch, Dst: Reg(0).All(), Src: EthSrc.All()}}}}, "differ in size"},
		{[]Action{Learn{Specs: []LearnSpec{{Op: LearnOutput, Dst: Reg(0).All()}}}}, "nothing else"},
		{[]Action{Clone{[]Action{GotoTable{1}}}}, "not allowed here"},
		{[]Action{WriteActions{}}, "without actions"},
		{[]Action{GotoTable{1}, Output{1}}, "after a later instruction"},
		{[]Action{GotoTable{1}, GotoTable{2}}, "twice"},
		{[]Action{WriteMetadata{1, 1}, ClearActions{}}, "after a later instruction"},
		{[]Action{Unknown{[]byte{1, 2, 3}}}, "not one action"},
		{[]Action{ToGroup{1}, ToGroup{2}, Clone{[]Action{ToGroup{1}}}}, "group:1 twice"},
		{[]Action{Note{make([]byte, 70000)}}, "longer than"},
		{[]Action{Controller{Userdata: make([]byte, 70000)}}, "longer than"},
	}
	for _, test := range tests {
		if a, err := NewActions(test.acts...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, %v, want %q", test.acts, a, err, test.want)
		}
	}
}

func TestFormatNames(t *testing.T) {
	names := NewNames(map[uint8]string{0: "classify", 10: "l2 lookup", 11: "dup", 12: "dup"},
		map[Port]string{1: "eth0", 2: "if-v1", 3: `a"b`, 4: "same", 5: "same"})
	f := Flow{Priority: 5, Cookie: 7, Match: MustMatch(InPort.Is(2)), Actions: MustActions(Output{1}, Output{3}, Output{4}, Output{PortLocal},
		Resubmit{Port: 2, Table: 10}, CT{Recirc: true, Table: 11}, GotoTable{10})}
	want := `cookie=0x7, table=classify, priority=5,in_port="if-v1" actions=output:eth0,output:"a\"b",output:4,LOCAL,resubmit("if-v1","l2 lookup"),ct(table=11),goto_table:"l2 lookup"`
	if got := Format(f, names); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	if got, err := Parse(want, names); err != nil || got != f {
		t.Errorf("parsed %v, %v", got, err)
	}
	if _, err := Parse(want, Names{}); err == nil || !strings.Contains(err.Error(), "classify") {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	f := Flow{Table: 1, Priority: DefaultPriority, Cookie: 9, IdleTimeout: 5, Match: MustMatch(EthType.Is(0x800)), Actions: MustActions(Output{PortNormal})}
	for _, text := range []string{
		" cookie=0x9, duration=12.3s, table=1, n_packets=4, n_bytes=5, idle_timeout=5, idle_age=3, ip actions=NORMAL",
		"cookie=9,table=1,idle_timeout=5,ip,actions=normal",
		"table=1 cookie=9 idle_timeout=5 priority=32768 dl_type=0x0800 actions=output:NORMAL",
	} {
		if got, err := Parse(text, Names{}); err != nil || got != f {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                                     "no actions",
		"table=1":                              "no actions",
		"table=300,actions=drop":               "unknown table 300",
		"priority=70000,actions=drop":          "more than 16 bits",
		"foo=1,actions=drop":                   `"foo" is not a field`,
		"tp_src=1,actions=drop":                "without a protocol",
		"actions=foo":                          "unknown action",
		"actions=drop,output:1":                "drop with other actions",
		"actions=output:eth9":                  "unknown port eth9",
		"actions=ct(":                          "missing parenthesis",
		`in_port="x,actions=drop`:              "missing quote",
		"dl_src=1:2:3,actions=drop":            "not a MAC address",
		"ip,nw_src=1.2.3,actions=drop":         "IPv4 address too short",
		"ct_state=+foo,actions=drop":           `unknown flag "foo"`,
		"actions=learn(table=1,foo)":           "unknown field",
		"actions=move:NXM_NX_REG0[]":           "no destination",
		"actions=set_field:1->NXM_NX_REG0[99]": "unknown field",
		"actions=load:1->NXM_NX_REG0[99]":      "not a subfield",
		"actions=controller(foo=1)":            "unknown argument",
	} {
		if got, err := Parse(text, Names{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", text, got, err, want)
		}
	}
	if a, err := ParseActions("enqueue:3:7", Names{}); err != nil || a != MustActions(SetQueue{7}, Output{3}, PopQueue{}) {
		t.Error(a, err)
	}
}

func TestGroupText(t *testing.T) {
	g := Group{ID: 4, Type: Select, Selection: "hash", Param: 3, Fields: []Field{EthSrc, IPv4Dst}, Buckets: []Bucket{
		{ID: 1, Weight: 1, Actions: MustActions(Output{1})},
		{ID: 2, Weight: 50, WatchPort: 2, WatchGroup: 9, Actions: MustActions(DecTTL{}, Output{2})},
		{ID: 3, Weight: 1},
	}}
	want := "group_id=4,type=select,selection_method=hash,selection_method_param=3,fields(eth_src,ip_dst),bucket=bucket_id:1,actions=output:1," +
		"bucket=bucket_id:2,weight:50,watch_port:2,watch_group:9,actions=dec_ttl,output:2,bucket=bucket_id:3,actions=drop"
	if g.String() != want {
		t.Errorf("\n%s\nwant\n%s", g, want)
	}
	if got, err := ParseGroup(want, Names{}); err != nil || !got.Equal(g) {
		t.Errorf("%v, %v", got, err)
	}
	m := Meter{ID: 3, Unit: Pktps, Burst: true, Stats: true, Bands: []Band{{10, 20}}}
	want = "meter=3 pktps burst stats bands=\ntype=drop rate=10 burst_size=20"
	if m.String() != want {
		t.Errorf("%q", m)
	}
	if got, err := ParseMeter(want); err != nil || !got.Equal(m) {
		t.Errorf("%v, %v", got, err)
	}
}

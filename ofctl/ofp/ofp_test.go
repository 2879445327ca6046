package ofp

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/ofctl/flow"
)

var update = flag.Bool("update", false, "write the golden files anew")

type sample struct {
	name string
	m    Message
}

var sampleFlow = flow.Flow{
	Table: 10, Priority: 100, Cookie: 0x1122334455667788, IdleTimeout: 5, HardTimeout: 6, Importance: 7,
	Flags:   flow.SendFlowRem | flow.NoByteCounts,
	Match:   flow.MustMatch(flow.InPort.Is(3), flow.EthType.Is(0x800), flow.Reg(1).Bits(0, 8).Is(5)),
	Actions: flow.MustActions(flow.Load(flow.Reg(2).All(), 9), flow.Output{Port: 4}, flow.GotoTable{Table: 20}),
}

// samples has a message of every kind.
func samples() []sample {
	drop := flow.Actions{}
	out := flow.MustActions(flow.Output{Port: 1})
	stats := Stats{Duration: 1500 * time.Millisecond, Idle: 2 * time.Second, Packets: 3, Bytes: 4, Flows: NoCount}
	port := Port{No: 3, HWAddr: [6]byte{2, 0, 0, 0, 0, 3}, Name: "if-v3", Config: PortDown, State: LinkDown,
		Features: PortFeatures{1, 2, 3, 4}, CurrSpeed: 10000, MaxSpeed: 20000}
	group := flow.Group{ID: 7, Type: flow.Select, Selection: "hash", Param: 5, Fields: []flow.Field{flow.EthSrc, flow.IPv4Dst},
		Buckets: []flow.Bucket{{ID: 1, Weight: 10, Actions: out}, {ID: 2, Weight: 0, WatchPort: 5, WatchGroup: 6, Actions: drop}}}
	meter := flow.Meter{ID: 4, Unit: flow.Pktps, Burst: true, Stats: true, Bands: []flow.Band{{Rate: 100, Burst: 200}}}
	pin := PacketIn{Reason: flow.ReasonNoMatch, Table: 4, Cookie: 5, Length: 100, Data: []byte("packet"),
		Metadata: flow.MustMatch(flow.InPort.Is(1), flow.TunID.Is(5)), Userdata: []byte{1, 2}, Continuation: []byte{0, 0, 0, 0, 1}}
	std := PacketIn{Standard: true, Reason: flow.ReasonAction, Cookie: 5, Length: 6, Data: []byte("packet"),
		Metadata: flow.MustMatch(flow.InPort.Is(1))}
	maps := []TLVMap{{0x102, 0x80, 4, 0}, {0x102, 0x81, 8, 5}}
	counters := []Counter{{1, 2}, {3, 4}}
	return []sample{
		{"hello", &Hello{VersionBit}},
		{"error", &Error{Type: ErrBadMatch, Code: 9, Data: []byte("data")}},
		{"error of experimenter", &Error{Type: ErrExperimenter, Code: 15, Experimenter: vendorNicira}},
		{"echo request", &EchoRequest{[]byte("ping")}},
		{"echo reply", &EchoReply{}},
		{"features request", &FeaturesRequest{}},
		{"features reply", &FeaturesReply{0xaabbccddeeff, 0, 254, 0, 0x4f}},
		{"get config request", &GetConfigRequest{}},
		{"get config reply", &GetConfigReply{1, 128}},
		{"set config", &SetConfig{0, 0xffff}},
		{"packet-in", &std},
		{"packet-in 2", &pin},
		{"resume", &Resume{pin}},
		{"flow removed", &FlowRemoved{Flow: flow.Flow{Table: 1, Priority: 2, Cookie: 3, IdleTimeout: 4, Match: sampleFlow.Match},
			Reason: RemovedDelete, Stats: stats}},
		{"port status", &PortStatus{PortModify, port}},
		{"packet-out", &PacketOut{InPort: 1, Actions: out, Data: []byte("packet"), Metadata: flow.MustMatch(flow.Reg(1).Is(2))}},
		{"flow add", &FlowMod{Flow: sampleFlow}},
		{"flow delete", &FlowMod{Command: FlowDelete, CookieMask: 0xff, OutPort: 3, OutGroup: 4, Flow: flow.Flow{Table: TableAll, Cookie: 1}}},
		{"group add", &GroupMod{Group: group}},
		{"group insert bucket", &GroupMod{Command: GroupInsertBucket, BucketID: BucketLast, Group: flow.Group{ID: 7, Buckets: []flow.Bucket{{ID: 3, Actions: out}}}}},
		{"group delete", &GroupMod{Command: GroupDelete, Group: flow.Group{ID: GroupAll}}},
		{"port mod", &PortMod{3, port.HWAddr, PortNoFwd, PortNoFwd | PortDown}},
		{"meter add", &MeterMod{Meter: meter}},
		{"meter delete", &MeterMod{Command: MeterDelete, Meter: flow.Meter{ID: MeterAll}}},
		{"barrier request", &BarrierRequest{}},
		{"barrier reply", &BarrierReply{}},
		{"role request", &RoleRequest{ControllerRole{RolePrimary, 0, 9}}},
		{"role reply", &RoleReply{ControllerRole{RoleEqual, 0, 9}}},
		{"set async", &SetAsync{0x3f, 7, 0x3f}},
		{"bundle open", &BundleControl{1, BundleOpenRequest, BundleAtomic | BundleOrdered}},
		{"bundle add", &BundleAdd{1, BundleAtomic, &FlowMod{Flow: sampleFlow}}},
		{"desc request", &DescRequest{}},
		{"desc reply", &DescReply{"m", "h", "s", "n", "d"}},
		{"flow request", &FlowStatsRequest{Table: TableAll, OutPort: 1, OutGroup: 2, Cookie: 3, CookieMask: 4, Match: sampleFlow.Match}},
		{"aggregate request", &FlowStatsRequest{Table: 3, Aggregate: true}},
		{"flow reply", &FlowStatsReply{More: true, Flows: []FlowStats{{sampleFlow, stats}, {flow.Flow{}, stats}}}},
		{"aggregate reply", &AggregateReply{Stats{-1, -1, 5, 6, 7}}},
		{"group desc request", &GroupRequest{false, GroupAll}},
		{"group desc reply", &GroupDescReply{false, []flow.Group{group, {ID: 9}}}},
		{"group stats request", &GroupRequest{true, 5}},
		{"group stats reply", &GroupStatsReply{true, []GroupStats{{1, 2, 3 * time.Second, 4, 5, counters}, {Group: 9}}}},
		{"meter desc request", &MeterRequest{false, MeterAll}},
		{"meter desc reply", &MeterDescReply{false, []flow.Meter{meter, {ID: 9}}}},
		{"meter stats request", &MeterRequest{true, 5}},
		{"meter stats reply", &MeterStatsReply{false, []MeterStats{{1, 2, 3, 4, 5 * time.Second, counters}}}},
		{"port desc request", &PortDescRequest{flow.PortAny}},
		{"port desc reply", &PortDescReply{false, []Port{port, {No: flow.PortLocal, Name: "br0"}}}},
		{"set packet-in format", &SetPacketInFormat{PacketInNicira2}},
		{"set controller id", &SetControllerID{7}},
		{"ct flush zone", &CTFlushZone{7}},
		{"tlv table mod", &TLVTableMod{TLVAdd, maps}},
		{"tlv table request", &TLVTableRequest{}},
		{"tlv table reply", &TLVTableReply{256, 64, maps}},
		{"experimenter", &Experimenter{0x1234, 5, []byte("body")}},
		{"unknown multipart", &UnknownMultipart{true, 4, true, []byte("body....")}},
		{"unknown", &Unknown{99, []byte("body")}},
	}
}

// The encodings are those of the golden file, and every message reads as what was written.
func TestGolden(t *testing.T) {
	const file = "testdata/golden.txt"
	var out bytes.Buffer
	for _, s := range samples() {
		b, err := Append(nil, 0x01020304, s.m)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		fmt.Fprintf(&out, "%s: %x\n", s.name, b)
		h, m, err := Decode(b)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if d := cmp.Diff(s.m, m); d != "" || h.XID != 0x01020304 || int(h.Length) != len(b) || h.Version != Version {
			t.Errorf("%s: %+v (-want +got):\n%s", s.name, h, d)
		}
		// What is cut off anywhere is refused.
		for n := range len(b) {
			cut := bytes.Clone(b[:n])
			if n >= 4 {
				cut[2], cut[3] = byte(n>>8), byte(n)
			}
			if _, m, err := Decode(cut); (m == nil) == (err == nil) {
				t.Errorf("%s cut to %d: %v, %v", s.name, n, m, err)
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(out.String(), "\n")); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

type captured struct {
	side string
	b    []byte
}

// captures gives messages of ovs-ofctl and ovs-vswitchd 3.1 (see TestPrivilegedCapture in ofctl/conn).
func captures(t testing.TB) []captured {
	t.Helper()
	f, err := os.Open("testdata/captured.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []captured
	s := bufio.NewScanner(f)
	for s.Scan() {
		side, text, _ := strings.Cut(s.Text(), " ")
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, captured{side, b})
	}
	if s.Err() != nil || len(out) == 0 {
		t.Fatal(s.Err(), len(out))
	}
	return out
}

// What Open vSwitch says is read, and read again after it was encoded. Where there is one encoding only, it is the same.
func TestCaptured(t *testing.T) {
	same, kinds := 0, map[string]int{}
	for _, c := range captures(t) {
		h, m, err := Decode(c.b)
		if err != nil {
			t.Errorf("%s %x: %v", c.side, c.b, err)
			continue
		}
		kinds[fmt.Sprintf("%s %T", c.side, m)]++
		b, err := Append(nil, h.XID, m)
		if err != nil {
			t.Errorf("%s %x: %v", c.side, c.b, err)
			continue
		}
		if _, again, err := Decode(b); err != nil || !cmp.Equal(m, again) {
			t.Errorf("%s %x: encoded %x, %v\n%s", c.side, c.b, b, err, cmp.Diff(m, again))
		}
		if bytes.Equal(b, c.b) {
			same++
			continue
		}
		switch m := m.(type) {
		case *FlowMod, *FlowStatsReply, *FlowRemoved, *PacketIn, *PacketOut, *Resume:
			// Open vSwitch orders the fields of a match differently, and writes registers in pairs.
		case *BundleAdd:
			if _, ok := m.Message.(*FlowMod); !ok {
				t.Errorf("%s %T\n%x encoded\n%x", c.side, m, c.b, b)
			}
		case *SetAsync, *Hello: // with more properties
		case *MeterMod, *MeterDescReply: // with a burst that does not count
		default:
			t.Errorf("%s %T\n%x encoded\n%x", c.side, m, c.b, b)
		}
	}
	if same < 40 {
		t.Errorf("only %d messages are encoded as Open vSwitch does", same)
	}
	for kind, n := range kinds {
		t.Log(kind, n)
	}
	for _, kind := range []string{"switch *ofp.FlowStatsReply", "switch *ofp.PacketIn", "switch *ofp.PortStatus", "switch *ofp.Error",
		"switch *ofp.GroupDescReply", "switch *ofp.MeterDescReply", "switch *ofp.TLVTableReply", "controller *ofp.BundleAdd",
		"controller *ofp.GroupMod", "controller *ofp.MeterMod", "controller *ofp.PacketOut", "controller *ofp.PortMod"} {
		if kinds[kind] == 0 {
			t.Errorf("nothing captured of %s", kind)
		}
	}
}

func TestErrorNames(t *testing.T) {
	for want, e := range map[string]*Error{
		"OFPBMC_BAD_PREREQ":                  {Type: ErrBadMatch, Code: 9},
		"OFPFMFC_OVERLAP":                    {Type: ErrFlowModFailed, Code: 3},
		"OFPBFC_MSG_FAILED":                  {Type: ErrBundleFailed, Code: BundleMsgFailed},
		"OFPBAC_BAD_METER":                   {Type: ErrBadAction, Code: 17},
		"OFPGMFC_BUCKET_EXISTS":              {Type: ErrGroupModFailed, Code: 16},
		"OFPMMFC_OUT_OF_BANDS":               {Type: ErrMeterModFailed, Code: 11},
		"NXBAC_BAD_CONJUNCTION":              {Type: ErrExperimenter, Code: 15, Experimenter: vendorNicira},
		"OFPHFC_INCOMPATIBLE: no":            {Type: ErrHelloFailed, Data: []byte("no")},
		"error of type 4, code 99":           {Type: ErrBadMatch, Code: 99},
		"error of type 99, code 1":           {Type: 99, Code: 1},
		"error 7 of experimenter 0x00000005": {Type: ErrExperimenter, Code: 7, Experimenter: 5},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
	for i, names := range errorNames {
		if names == "" {
			t.Errorf("type %d has no names", i)
		}
	}
}

func TestBadMessages(t *testing.T) {
	big := flow.MustActions(flow.Note{Data: make([]byte, 60000)})
	for want, m := range map[string]Message{
		"encode packet-out: actions: instructions are not allowed here": &PacketOut{InPort: 1, Actions: flow.MustActions(flow.GotoTable{Table: 1})},
		"encode packet-out: match: in_port_oxm=0x10000":                 &PacketOut{InPort: 0x10000},
		"encode bundle-add of nothing: no message to add":               &BundleAdd{},
		"longer than 65535": &PacketOut{InPort: 1, Data: make([]byte, 65530)},
		"message is longer": &FlowStatsReply{Flows: []FlowStats{{Flow: flow.Flow{Actions: big}}, {Flow: flow.Flow{Actions: big}}}},
		"selection method":  &GroupMod{Group: flow.Group{Selection: "a name that is too long"}},
	} {
		if b, err := Append([]byte("x"), 1, m); err == nil || !strings.Contains(err.Error(), want) || string(b) != "x" {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Append(nil, 1, &EchoRequest{make([]byte, 65528)}); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"":                   "header of 0 bytes",
		"0614000700000000":   "length 7",
		"0614001000000000":   "length 16 in 8 bytes",
		"0414000800000000":   "version 0x4, not 0x6",
		"061400090000000000": "decode barrier-request: 1 bytes too many",
		"06010008000000ff":   "decode error: truncated",
		"062200100000000100000001000000010614000800000002": "length 16 in 24 bytes",
		"062200180000000100000001000000010614000800000002": "another xid",
		"0622001800000001000000010000000106220008000000ff": "a bundle-add inside",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, m, err := Decode(b); m != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", text, m, err, want)
		}
	}
}

// A hello without a version bitmap is for all versions up to that of its header.
func TestHelloVersions(t *testing.T) {
	for text, want := range map[string]uint32{
		"0600000800000000":                                      0x7e,
		"0100000800000000":                                      0x02,
		"0400001000000000000100080000001e":                      0x1e,
		"06000018000000000099000500000000" + "0001000800000040": 0x40,
	} {
		b, _ := hex.DecodeString(text)
		_, m, err := Decode(b)
		if h, ok := m.(*Hello); err != nil || !ok || h.Versions != want {
			t.Errorf("%s: %+v, %v, want %#x", text, m, err, want)
		}
	}
}

func BenchmarkEncodeFlowMod(b *testing.B) {
	m := &FlowMod{Flow: sampleFlow}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = Append(buf[:0], 1, m)
	}
}

func BenchmarkDecodeFlowMod(b *testing.B) {
	buf, _ := Append(nil, 1, &FlowMod{Flow: sampleFlow})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePacketIn(b *testing.B) {
	buf, _ := Append(nil, 1, &PacketIn{Data: make([]byte, 60), Length: 60, Userdata: make([]byte, 16),
		Metadata: flow.MustMatch(flow.InPort.Is(1), flow.Reg(0).Is(1), flow.Reg(1).Is(2))})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}

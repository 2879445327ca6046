package flow

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every field is declared once and completely.
func TestFieldTable(t *testing.T) {
	if reg15-reg0 != 15 || Reg(15).String() != "reg15" || XXReg(3).String() != "xxreg3" || nFields > 0xff {
		t.Fatalf("registers %d to %d, %d fields", reg0, reg15, nFields)
	}
	seen := map[string]Field{}
	for f := noField + 1; f < nFields; f++ {
		fi := &fields[f]
		if fi.name == "" || fi.nxName == "" || fi.nxm == 0 && fi.oxm == 0 {
			t.Errorf("field %d is not declared: %+v", f, *fi)
		}
		for _, name := range []string{fi.name, fi.nxName} {
			if other, ok := seen[name]; ok {
				t.Errorf("%s is field %d and %d", name, other, f)
			}
			seen[name] = f
		}
		if got, ok := FieldByName(fi.name); !ok || got.index() != f {
			t.Errorf("%s is found as %v", fi.name, got)
		}
		if f.isTunMetadata() != (f >= tunMetadata0 && f <= tunMetadata63) {
			t.Errorf("%v: is it tunnel metadata?", f)
		}
		if f.isTunMetadata() {
			continue
		}
		if !f.Valid() || f.Width() == 0 || f.Width() > 8*f.bytes() {
			t.Errorf("%v: %d bits in %d bytes", f, f.Width(), f.bytes())
		}
		for _, h := range []uint32{fi.nxm, fi.oxm} {
			if got, ok := fieldByHeader(h, f.bytes()); h != 0 && (!ok || got != f) {
				t.Errorf("header %#x of %v is that of %v", h, f, got)
			}
		}
		if fi.form == formMAC && f.Width() != 48 || fi.form == formIPv4 && f.Width() != 32 || fi.form == formIPv6 && f.Width() != 128 {
			t.Errorf("%v: form %d of %d bits", f, fi.form, f.Width())
		}
	}
	for i := range prereqText {
		if prereqText[i] == "" && prereq(i) != preNone {
			t.Errorf("prerequisite %d has no text", i)
		}
	}
}

func TestMatch(t *testing.T) {
	mac := [6]byte{2, 0, 0, 0, 0, 1}
	tests := []struct {
		name  string
		preds []Pred
		text  string
		hex   string
	}{
		{"empty", nil, "", ""},
		{"packet type Ethernet is implied", []Pred{PacketType.Is(0)}, "", ""},
		{"empty mask", []Pred{Reg(3).Masked(5, 0), IPv4Src.Prefix(netip.MustParsePrefix("0.0.0.0/0"))}, "", ""},
		{"full mask", []Pred{Reg(3).Masked(5, 0xffffffff)}, "reg3=0x5", "00010604 00000005"},
		{"value outside of mask", []Pred{Reg(3).Masked(0xff, 0x0f)}, "reg3=0xf/0xf", "00010708 0000000f0000000f"},
		{"merged", []Pred{Reg(0).Bits(0, 24).Is(5), Reg(0).Bits(24, 8).Is(6)}, "reg0=0x6000005", "00010004 06000005"},
		{"merged overlap", []Pred{Reg(0).Bits(0, 16).Is(5), Reg(0).Bits(8, 16).Is(0)}, "reg0=0x5/0xffffff", "00010108 0000000500ffffff"},
		{"ordered", []Pred{IPProto.Is(6), EthType.Is(0x800), InPort.Is(7)}, "tcp,in_port=7",
			"80000004 00000007 80000a02 0800 80001401 06"},
		{"xreg", []Pred{XReg(1).Is(0x100000002)}, "reg2=0x1,reg3=0x2", "00010404 00000001 00010604 00000002"},
		{"xreg low", []Pred{XReg(1).Masked(2, 0xf)}, "reg3=0x2/0xf", "00010708 000000020000000f"},
		{"xxreg", []Pred{XXReg(0).Addr(netip.MustParseAddr("2001:db8::1"))}, "reg0=0x20010db8,reg1=0,reg2=0,reg3=0x1",
			"00010004 20010db8 00010204 00000000 00010404 00000000 00010604 00000001"},
		{"mac", []Pred{EthDst.MAC(mac), EthSrc.MACMasked([6]byte{1}, [6]byte{1})},
			"dl_src=01:00:00:00:00:00/01:00:00:00:00:00,dl_dst=02:00:00:00:00:01",
			"8000090c 010000000000010000000000 80000606 020000000001"},
		{"vlan", []Pred{VLANVID.Is(VLANPresent | 5), VLANPCP.Is(3)}, "dl_vlan=5,dl_vlan_pcp=3", "80000c02 1005 80000e01 03"},
		{"vlan tci", []Pred{VLANTCI.Is(3<<13 | VLANPresent | 5)}, "dl_vlan=5,dl_vlan_pcp=3", "80000c02 1005 80000e01 03"},
		{"untagged", []Pred{VLANTCI.Is(0)}, "vlan_tci=0x0000/0x1fff", "80000c02 0000"},
		{"tagged", []Pred{VLANVID.Masked(VLANPresent, VLANPresent)}, "vlan_tci=0x1000/0x1000", "80000d04 10001000"},
		{"ip tos", []Pred{EthType.Is(0x800), IPTOS.Is(184)}, "ip,nw_tos=184", "80000a02 0800 80001001 2e"},
		{"in_port 16", []Pred{InPort16.Is(0xfffe)}, "in_port=LOCAL", "80000004 fffffffe"},
		{"prefixes", []Pred{EthType.Is(0x86dd), IPv6Dst.Prefix(netip.MustParsePrefix("fe80::/10"))}, "ipv6,ipv6_dst=fe80::/10",
			"80000a02 86dd 80003720 fe800000000000000000000000000000 ffc00000000000000000000000000000"},
		{"host bits", []Pred{EthType.Is(0x806), ARPSPA.Prefix(netip.MustParsePrefix("10.1.2.3/8"))}, "arp,arp_spa=10.0.0.0/8",
			"80000a02 0806 80002d08 0a000000ff000000"},
		{"nd", []Pred{EthType.Is(0x86dd), IPProto.Is(58), ICMPv6Type.Is(136), ICMPv6Code.Is(0), NDReserved.Is(0x60000000), NDOptionsType.Is(2)},
			"icmp6,icmp_type=136,icmp_code=0,nd_reserved=1610612736,nd_options_type=2",
			"80000a02 86dd 80001401 3a 80003a01 88 80003c01 00 10000204 60000000 10000401 02"},
		{"ct", []Pred{CTState.Masked(CTTracked|CTEstablished, CTTracked|CTEstablished|CTNew), CTLabel.Bits(64, 4).Is(9)},
			"ct_state=-new+est+trk,ct_label=0x90000000000000000/0xf0000000000000000",
			"0001d308 0000002200000023 0001d920 00000000000000090000000000000000 000000000000000f0000000000000000"},
		{"present tunnel metadata", []Pred{{Field: TunMetadata(3, 4)}}, "tun_metadata3", "00015708 0000000000000000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := NewMatch(test.preds...)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := cmpHex(m.Encoded()), strings.ReplaceAll(test.hex, " ", ""); got != want {
				t.Errorf("encoded\n%s\nwant\n%s", got, want)
			}
			if m.String() != test.text {
				t.Errorf("text %q, want %q", m.String(), test.text)
			}
			if got, err := DecodeMatch([]byte(m.Encoded())); err != nil || got != m {
				t.Errorf("decoded %v, %v", got, err)
			}
			// The text does not tell the size of tunnel metadata.
			if got, err := ParseMatch(m.String(), Names{}); err != nil || got.String() != test.text || got != m && !strings.Contains(test.text, "tun_metadata") {
				t.Errorf("parsed %v, %v", got, err)
			}
		})
	}
}

func TestBadMatch(t *testing.T) {
	tests := []struct {
		name  string
		preds []Pred
		want  string
	}{
		{"too wide", []Pred{Reg(0).Is(1 << 32)}, "reg0=0x100000000/0xffffffff: does not fit 32 bits"},
		{"too wide for bits", []Pred{Reg(0).Bits(0, 8).Is(256)}, "reg0=0x100/0xff: the value is too wide"},
		{"too wide at the top", []Pred{XXReg(0).Bits(120, 8).Is(256)}, "xxreg0=0x100/0: the value is too wide"},
		{"mask too wide for bits", []Pred{Reg(0).Bits(4, 4).Masked(0, 0x1f)}, "reg0=0x1f/0: the value is too wide"},
		{"IPv6 in IPv4", []Pred{EthType.Is(0x800), IPv4Src.Addr(netip.MustParseAddr("::1"))}, "ip_src=0x1/0: the value is too wide for the mask or of another kind"},
		{"IPv4 in IPv6", []Pred{IPv6Src.Addr(netip.MustParseAddr("1.2.3.4"))}, "ipv6_src=0x1020304/0: the value is too wide"},
		{"no address", []Pred{IPv6Src.Addr(netip.Addr{})}, "of another kind"},
		{"no prefix", []Pred{IPv4Src.Prefix(netip.Prefix{})}, "ip_src"},
		{"contradiction", []Pred{Reg(1).Is(1), Reg(1).Bit(0).Is(0)}, "reg1 is to be 0x1/0xffffffff and 0/0x1 at once"},
		{"not maskable", []Pred{EthType.Masked(0x800, 0xff00)}, "eth_type=0x800/0xff00: the field cannot be masked"},
		{"pcp not maskable", []Pred{VLANTCI.Masked(0x3000, 0x3000)}, "vlan_pcp=0x1/0x1: the field cannot be masked"},
		{"no field", []Pred{{Field: 0}}, "is not a field"},
		{"bad port", []Pred{InPort.Is(0x10000)}, "not a port number"},
		{"tcp without protocol", []Pred{EthType.Is(0x800), TCPDst.Is(80)}, "tcp_dst needs ip_proto 6"},
		{"tcp of udp", []Pred{EthType.Is(0x800), IPProto.Is(17), TCPDst.Is(80)}, "tcp_dst needs ip_proto 6"},
		{"nw_src of arp", []Pred{EthType.Is(0x806), IPv4Src.Is(1)}, "ip_src needs eth_type 0x800"},
		{"pcp without tag", []Pred{VLANPCP.Is(1)}, "vlan_pcp needs vlan_vid with VLANPresent"},
		{"nd without code", []Pred{EthType.Is(0x86dd), IPProto.Is(58), ICMPv6Type.Is(135), NDTarget.Is(1)}, "nd_target needs icmpv6_type 135 or 136, icmpv6_code 0"},
		{"sll of advertisement", []Pred{EthType.Is(0x86dd), IPProto.Is(58), ICMPv6Type.Is(136), ICMPv6Code.Is(0), NDSLL.Is(1)}, "nd_sll needs icmpv6_type 135"},
		{"ports of later fragments", []Pred{EthType.Is(0x800), IPProto.Is(17), IPFrag.Is(3), UDPSrc.Is(1)}, "not a later fragment"},
		{"ct tuple", []Pred{EthType.Is(0x800), CTNwSrc.Is(1)}, "ct_nw_src needs eth_type 0x800, and ct_state"},
		{"sizes of tunnel metadata", []Pred{TunMetadata(1, 4).Is(0), TunMetadata(1, 8).Is(0)}, "with 4 and with 8 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := NewMatch(test.preds...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %v, want %q", m, err, test.want)
			}
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("MustMatch does not panic")
		}
	}()
	MustMatch(Reg(0).Is(1 << 32))
}

func TestMatchGet(t *testing.T) {
	m := MustMatch(XXReg(1).Masked(0x123400000000, 0xffff00000000), VLANVID.Is(VLANPresent|9), VLANPCP.Is(2), EthType.Is(0x800), IPDSCP.Is(46), InPort.Is(uint64(PortLocal)))
	type vm struct{ v, m Value }
	got := map[Field]vm{}
	for _, f := range []Field{Reg(6), Reg(7), XReg(3), XXReg(1), VLANTCI, VLANVID, IPTOS, InPort16, EthSrc} {
		v, k := m.Get(f)
		got[f] = vm{v, k}
	}
	want := map[Field]vm{
		Reg(6): {Uint(0x1234), Uint(0xffff)}, Reg(7): {}, XReg(3): {Uint(0x123400000000), Uint(0xffff00000000)},
		XXReg(1): {Uint(0x123400000000), Uint(0xffff00000000)},
		VLANTCI:  {Uint(0x5009), Uint(0xffff)}, VLANVID: {Uint(0x1009), Uint(0x1fff)}, IPTOS: {Uint(184), Uint(0xfc)},
		InPort16: {Uint(0xfffe), Uint(0xffff)}, EthSrc: {},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(vm{})); d != "" {
		t.Error(d)
	}
	more, err := m.And(IPv4Src.Is(1))
	if err != nil || more == m {
		t.Error(err)
	}
	if _, err := m.And(IPDSCP.Is(1)); err == nil {
		t.Error("contradiction")
	}
}

// Flows are map keys.
func TestKeys(t *testing.T) {
	a := Flow{Table: 1, Match: MustMatch(Reg(0).Bits(0, 8).Is(1), Reg(0).Bits(8, 24).Is(0)), Actions: MustActions(Output{1})}
	b := Flow{Table: 1, Match: MustMatch(Reg(0).Is(1)), Actions: MustActions(Output{1})}
	if a != b || map[Key]int{a.Key(): 1}[b.Key()] != 1 {
		t.Error("equal flows differ")
	}
	c := MustActions(Output{2})
	if a.Actions == c {
		t.Error("different flows are equal")
	}
}

func TestManyPreds(t *testing.T) {
	var preds []Pred
	for i := range 64 {
		preds = append(preds, TunMetadata(63-i, 16).Is(uint64(i)))
	}
	for i := range 16 {
		preds = append(preds, Reg(i).Is(1))
	}
	m, err := NewMatch(preds...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeMatch([]byte(m.Encoded())); err != nil || got != m {
		t.Error(err)
	}
	if got, err := ParseMatch(m.String(), Names{}); err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

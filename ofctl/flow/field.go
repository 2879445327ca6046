package flow

import (
	"net/netip"
	"strconv"
)

// Field is a match field, a register or a piece of metadata. The zero Field is none. Fields are small comparable values;
// what is known about each is declared in one table (fields). Of two fields the one with the smaller number comes first
// in a canonical match.
//
// The low byte is the index in the table; the high byte is the size in bytes of a tunnel metadata field (TunMetadata).
type Field uint16

// The fields, in canonical order: a prerequisite comes before what needs it. Names of the groups are those of
// ovs-fields(7).
const (
	noField Field = iota

	PacketType   // packet_type: only other than Ethernet; (0,0x0) is implied and dropped
	ConjID       // conj_id
	InPort       // in_port, as a 32-bit port of OpenFlow 1.1+ (Port)
	ActsetOutput // actset_output

	TunID      // tun_id, 64 bits
	TunSrc     // tun_src, IPv4
	TunDst     // tun_dst, IPv4
	TunIPv6Src // tun_ipv6_src
	TunIPv6Dst // tun_ipv6_dst
	TunFlags   // tun_flags: bit 0 is oam
	TunGBPID   // tun_gbp_id
	TunGBPFlag // tun_gbp_flags

	Metadata // metadata, 64 bits
	PktMark  // pkt_mark

	reg0
	_
	_
	_
	_
	_
	_
	_
	_
	_
	_
	_
	_
	_
	_
	reg15

	EthSrc  // eth_src
	EthDst  // eth_dst
	EthType // eth_type
	VLANVID // vlan_vid: 12 bits of id, and bit 12 (VLANPresent) set when there is a tag
	VLANPCP // vlan_pcp

	MPLSLabel // mpls_label
	MPLSTC    // mpls_tc
	MPLSBOS   // mpls_bos
	MPLSTTL   // mpls_ttl

	IPv4Src   // ip_src (nw_src)
	IPv4Dst   // ip_dst (nw_dst)
	IPv6Src   // ipv6_src
	IPv6Dst   // ipv6_dst
	IPv6Label // ipv6_label
	IPProto   // nw_proto
	IPDSCP    // ip_dscp, 6 bits
	IPECN     // nw_ecn, 2 bits
	IPTTL     // nw_ttl
	IPFrag    // ip_frag: bit 0 any fragment, bit 1 not the first one

	ARPOp  // arp_op
	ARPSPA // arp_spa
	ARPTPA // arp_tpa
	ARPSHA // arp_sha
	ARPTHA // arp_tha

	TCPSrc     // tcp_src
	TCPDst     // tcp_dst
	TCPFlags   // tcp_flags, 12 bits
	UDPSrc     // udp_src
	UDPDst     // udp_dst
	SCTPSrc    // sctp_src
	SCTPDst    // sctp_dst
	ICMPType   // icmp_type (ICMPv4)
	ICMPCode   // icmp_code (ICMPv4)
	ICMPv6Type // icmpv6_type
	ICMPv6Code // icmpv6_code

	NDTarget      // nd_target
	NDSLL         // nd_sll: source link layer address of a solicitation
	NDTLL         // nd_tll: target link layer address of an advertisement
	NDReserved    // nd_reserved: the flags word of an advertisement, 32 bits
	NDOptionsType // nd_options_type

	CTState   // ct_state: bits CTNew ... CTDNAT
	CTZone    // ct_zone
	CTMark    // ct_mark
	CTLabel   // ct_label, 128 bits
	CTNwProto // ct_nw_proto
	CTNwSrc   // ct_nw_src, IPv4
	CTNwDst   // ct_nw_dst, IPv4
	CTIPv6Src // ct_ipv6_src
	CTIPv6Dst // ct_ipv6_dst
	CTTpSrc   // ct_tp_src
	CTTpDst   // ct_tp_dst

	tunMetadata0
)

// Fields that are other views of fields above: a match on them is taken apart into those, but actions name them.
const (
	tunMetadata63 = tunMetadata0 + 63

	xreg0  = tunMetadata63 + 1
	xreg7  = xreg0 + 7
	xxreg0 = xreg7 + 1
	xxreg3 = xxreg0 + 3

	VLANTCI  = xxreg3 + 1  // vlan_tci: VLANPCP above VLANVID
	IPTOS    = VLANTCI + 1 // nw_tos: IPDSCP shifted left by 2
	InPort16 = IPTOS + 1   // in_port in 16 bits (NXM_OF_IN_PORT); the form that learn and move use

	nFields = InPort16 + 1
)

// VLANPresent is the bit of VLANVID that is set in every tagged packet (OFPVID_PRESENT).
const VLANPresent = 0x1000

// Bits of CTState (ovs-fields(7)).
const (
	CTNew         = 1 << iota // new
	CTEstablished             // est
	CTRelated                 // rel
	CTReply                   // rpl
	CTInvalid                 // inv
	CTTracked                 // trk
	CTSNAT                    // snat
	CTDNAT                    // dnat
)

// Reg is the 32-bit register n, 0 <= n <= 15.
func Reg(n int) Field { return nth(reg0, n, 16) }

// XReg is the 64-bit register n, 0 <= n <= 7: Reg(2n) above Reg(2n+1).
func XReg(n int) Field { return nth(xreg0, n, 8) }

// XXReg is the 128-bit register n, 0 <= n <= 3: Reg(4n) above ... above Reg(4n+3).
func XXReg(n int) Field { return nth(xxreg0, n, 4) }

// TunMetadata is the option n (0 to 63) of the switch's tunnel option table with a size of 1 to 16 bytes. (Open vSwitch
// allows up to 124.) The size must be the one of the table, see ofp.TLVTableMod.
func TunMetadata(n, bytes int) Field {
	if bytes < 1 || bytes > 16 {
		panic("flow: tunnel metadata of " + strconv.Itoa(bytes) + " bytes: not 1 to 16")
	}
	return nth(tunMetadata0, n, 64) | Field(bytes)<<8
}

func nth(first Field, n, count int) Field {
	if n < 0 || n >= count {
		panic("flow: there is no " + fields[first].name + " with index " + strconv.Itoa(n))
	}
	return first + Field(n)
}

func (f Field) index() Field        { return f & 0xff }
func (f Field) isTunMetadata() bool { i := f.index(); return i >= tunMetadata0 && i <= tunMetadata63 }
func (f Field) info() *fieldInfo    { return &fields[f.index()] }

func (f Field) bytes() int {
	if n := f >> 8; n != 0 {
		return int(n)
	}
	return int(f.info().bytes)
}

// Valid reports whether f is a declared field.
func (f Field) Valid() bool {
	i := f.index()
	return i != noField && i < nFields && f.isTunMetadata() == (f>>8 != 0)
}

// String gives the name that ovs-fields(7) uses for the field in actions, such as eth_src, reg0, tun_metadata3.
func (f Field) String() string {
	if !f.Valid() {
		return "field(" + strconv.Itoa(int(f)) + ")"
	}
	return f.info().name
}

// Width is the number of bits that a match sees, 0 for an invalid field. VLANVID has 13, with the bit VLANPresent.
func (f Field) Width() int {
	if f.isTunMetadata() {
		return f.bytes() * 8
	}
	return int(f.info().width)
}

// Maskable reports whether a match may look at some bits of the field only.
func (f Field) Maskable() bool { return f.info().has(maskable) }

// Writable reports whether an action may set the field.
func (f Field) Writable() bool { return f.info().has(writable) }

// Parts gives the fields that a match on f is made of: f itself, or the canonical fields of which f is another view
// (XReg, XXReg, VLANTCI, IPTOS, InPort16), the most significant first.
func (f Field) Parts() []Field {
	i := f.index()
	switch {
	case i >= xreg0 && i <= xreg7:
		r := reg0 + 2*(i-xreg0)
		return []Field{r, r + 1}
	case i >= xxreg0 && i <= xxreg3:
		r := reg0 + 4*(i-xxreg0)
		return []Field{r, r + 1, r + 2, r + 3}
	case i == VLANTCI:
		return []Field{VLANPCP, VLANVID}
	case i == IPTOS:
		return []Field{IPDSCP}
	case i == InPort16:
		return []Field{InPort}
	}
	return []Field{f}
}

// FieldByName finds a field by its name as String gives it, by the names that dumps use in matches (dl_src, nw_src ...),
// or by its NXM/OXM name (NXM_NX_REG0). "in_port" is InPort16, as in actions. tp_src depends on the protocol and is not
// a name. The tunnel metadata fields get a size of 4 bytes.
func FieldByName(name string) (Field, bool) {
	f, ok := byName[name]
	if f.index() >= tunMetadata0 && f.index() <= tunMetadata63 {
		f |= 4 << 8
	}
	return f, ok
}

// Subfield is a run of bits of a field: Bits bits from bit Ofs (0 is the least significant). The zero Subfield is none.
type Subfield struct {
	Field Field
	Ofs   uint8
	Bits  uint8
}

// All is the whole field as a Subfield.
func (f Field) All() Subfield { return Subfield{f, 0, uint8(f.subWidth())} }

// Bits is the run of n bits from bit ofs. It panics if that is not in the field: a programmer's error.
func (f Field) Bits(ofs, n int) Subfield {
	if ofs < 0 || n < 1 || ofs+n > f.subWidth() {
		panic("flow: " + f.String() + " has no bits " + strconv.Itoa(ofs) + " to " + strconv.Itoa(ofs+n-1))
	}
	return Subfield{f, uint8(ofs), uint8(n)}
}

// Bit is the single bit n of the field, like Bits(n, 1).
func (f Field) Bit(n int) Subfield { return f.Bits(n, 1) }

// subWidth is the width that actions see: they name 12 bits of VLANVID and 32 of CTState.
func (f Field) subWidth() int {
	switch f {
	case VLANVID:
		return 12
	case CTState:
		return 32
	}
	return f.Width()
}

func (s Subfield) valid() bool {
	return s.Field.Valid() && s.Bits > 0 && int(s.Ofs)+int(s.Bits) <= s.Field.subWidth()
}

// String gives the form of ovs-actions(7), such as NXM_NX_REG0[0..23].
func (s Subfield) String() string { return string(appendSubfield(nil, s)) }

// mask is the mask of the bits within the field.
func (s Subfield) mask() Value { return Ones(int(s.Bits)).Shl(int(s.Ofs)) }

// Pred says that the bits of Field that are set in Mask have the values that they have in Value. A Pred is a part of a
// match (NewMatch), or what SetField writes. The constructors never fail: NewMatch and NewActions refuse a value that
// does not fit the field, such as an IPv6 address in an IPv4 field.
type Pred struct {
	Field       Field
	Value, Mask Value
}

// Is says that the field has the value v.
func (f Field) Is(v uint64) Pred { return f.IsValue(Value{Lo: v}) }

// IsValue says that the field has the value v.
func (f Field) IsValue(v Value) Pred { return Pred{f, v, Ones(f.Width())} }

// Masked says that the bits in mask are as in v; the other bits of v do not matter.
func (f Field) Masked(v, mask uint64) Pred { return f.MaskedValue(Value{Lo: v}, Value{Lo: mask}) }

// MaskedValue says that the bits in mask are as in v; the other bits of v do not matter.
func (f Field) MaskedValue(v, mask Value) Pred { return Pred{f, v.And(mask), mask} }

// MAC says that the field is that MAC address.
func (f Field) MAC(m [6]byte) Pred { return f.IsValue(MACValue(m)) }

// MACMasked says that the bits of the MAC address in mask are as in m.
func (f Field) MACMasked(m, mask [6]byte) Pred { return f.MaskedValue(MACValue(m), MACValue(mask)) }

// Addr says that the field is that IP address, which must be of the field's family.
func (f Field) Addr(a netip.Addr) Pred {
	if a.BitLen() != f.Width() {
		return notAddr(f, a)
	}
	return f.IsValue(AddrValue(a))
}

// Prefix says that the field is in that prefix, which must be of the field's family. /0 says nothing.
func (f Field) Prefix(p netip.Prefix) Pred {
	n := f.Width()
	if !p.IsValid() || p.Addr().BitLen() != n {
		return notAddr(f, p.Addr())
	}
	return f.MaskedValue(AddrValue(p.Addr()), Ones(p.Bits()).Shl(n-p.Bits()))
}

// notAddr is a Pred that NewMatch and NewActions refuse: a value without a mask.
func notAddr(f Field, a netip.Addr) Pred {
	v := AddrValue(a)
	if v.IsZero() {
		v = Ones(128)
	}
	return Pred{Field: f, Value: v}
}

// Is says that the bits have the value v.
func (s Subfield) Is(v uint64) Pred { return s.IsValue(Value{Lo: v}) }

// IsValue says that the bits have the value v.
func (s Subfield) IsValue(v Value) Pred {
	p := Pred{s.Field, v.Shl(int(s.Ofs)), s.mask()}
	if p.Value.Shr(int(s.Ofs)) != v { // bits left the 128
		return Pred{Field: s.Field, Value: v} // which is refused
	}
	return p
}

// Masked says that those of the bits that are set in mask are as in v; bit 0 of both is the bit s.Ofs of the field.
func (s Subfield) Masked(v, mask uint64) Pred {
	m := Value{Lo: mask}.Shl(int(s.Ofs))
	if (Value{Lo: mask}).Len() > int(s.Bits) {
		return Pred{Field: s.Field, Value: Value{Lo: mask}} // which is refused
	}
	return Pred{s.Field, Value{Lo: v}.Shl(int(s.Ofs)).And(m), m}
}

package oftest

import (
	"github.com/openvnet/openvnet/ofctl/flow"
)

// key is what the tables see of a packet: every field of ofctl/flow at a fixed place in an array of words, so that a match
// is a few masked comparisons and a copy is one move of memory. Fields that never exist together (TCP, UDP, SCTP and ICMP)
// share a place, as in Open vSwitch.
type key [nWords]uint64

// The words of a key. High parts come first.
const (
	wPort     = iota // in_port, actset_output
	wTunID           // tun_id
	wTunIPv4         // tun_src, tun_dst
	wTunSrc6         // tun_ipv6_src
	_                //
	wTunDst6         // tun_ipv6_dst
	_                //
	wTunMisc         // tun_flags 8, gbp_flags 8, gbp_id 16
	wMetadata        // metadata
	wMark            // pkt_mark, conj_id
	wReg             // 16 registers in 8 words
	_                //
	_                //
	_                //
	_                //
	_                //
	_                //
	_                //
	wEthSrc          // eth_src 48, eth_type 16
	wEthDst          // eth_dst 48, tci of the outer tag 16
	wVLAN            // tpid of the outer tag, tci and tpid of the inner tag
	wMPLS            // label stack entry: label 20, tc 3, bos 1, ttl 8
	wIPv4            // ip_src, ip_dst
	wIPv6Src         // ipv6_src
	_                //
	wIPv6Dst         // ipv6_dst
	_                //
	wIP              // ipv6_label 32, proto 8, tos 8, ttl 8, frag 8
	wARPSHA          // arp_sha 48, arp_op 16
	wARPTHA          // arp_tha 48
	wARPIP           // arp_spa, arp_tpa
	wTp              // source 16, destination 16, tcp_flags 16, nd_options_type 8
	wNDTarget        // nd_target
	_                //
	wNDSLL           // nd_sll 48
	wNDTLL           // nd_tll 48
	wNDFlags         // nd_reserved 32
	wCT              // ct_state, ct_mark
	wCTTuple         // ct_zone 16, ct_nw_proto 8, ct_tp_src 16, ct_tp_dst 16
	wCTLabel         // ct_label
	_                //
	wCTIPv4          // ct_nw_src, ct_nw_dst
	wCTSrc6          // ct_ipv6_src
	_                //
	wCTDst6          // ct_ipv6_dst
	_                //
	nWords           //
)

// headerWords are the words that come from the frame and that actions may change.
const (
	firstHeader = wEthSrc
	lastHeader  = wNDFlags
)

// place says where a field is: Bits bits from bit Shift of the word, or 128 bits in two words.
type place struct {
	word, shift, bits uint8
}

func (p place) known() bool { return p.bits != 0 }

// places gives the place of every field, by the low byte of its number.
var places = func() (t [256]place) {
	set := func(f flow.Field, word, shift, bits int) { t[f&0xff] = place{uint8(word), uint8(shift), uint8(bits)} }
	set(flow.InPort, wPort, 32, 32)
	set(flow.InPort16, wPort, 32, 16)
	set(flow.ActsetOutput, wPort, 0, 32)
	set(flow.TunID, wTunID, 0, 64)
	set(flow.TunSrc, wTunIPv4, 32, 32)
	set(flow.TunDst, wTunIPv4, 0, 32)
	set(flow.TunIPv6Src, wTunSrc6, 0, 128)
	set(flow.TunIPv6Dst, wTunDst6, 0, 128)
	set(flow.TunFlags, wTunMisc, 24, 1)
	set(flow.TunGBPFlag, wTunMisc, 16, 8)
	set(flow.TunGBPID, wTunMisc, 0, 16)
	set(flow.Metadata, wMetadata, 0, 64)
	set(flow.PktMark, wMark, 32, 32)
	set(flow.ConjID, wMark, 0, 32)
	for i := range 16 {
		set(flow.Reg(i), wReg+i/2, 32-i%2*32, 32)
	}
	for i := range 8 {
		set(flow.XReg(i), wReg+i, 0, 64)
	}
	for i := range 4 {
		set(flow.XXReg(i), wReg+2*i, 0, 128)
	}
	set(flow.EthSrc, wEthSrc, 16, 48)
	set(flow.EthType, wEthSrc, 0, 16)
	set(flow.EthDst, wEthDst, 16, 48)
	set(flow.VLANTCI, wEthDst, 0, 16)
	set(flow.VLANVID, wEthDst, 0, 13)
	set(flow.VLANPCP, wEthDst, 13, 3)
	set(flow.MPLSLabel, wMPLS, 12, 20)
	set(flow.MPLSTC, wMPLS, 9, 3)
	set(flow.MPLSBOS, wMPLS, 8, 1)
	set(flow.MPLSTTL, wMPLS, 0, 8)
	set(flow.IPv4Src, wIPv4, 32, 32)
	set(flow.IPv4Dst, wIPv4, 0, 32)
	set(flow.IPv6Src, wIPv6Src, 0, 128)
	set(flow.IPv6Dst, wIPv6Dst, 0, 128)
	set(flow.IPv6Label, wIP, 32, 20)
	set(flow.IPProto, wIP, 24, 8)
	set(flow.IPDSCP, wIP, 18, 6)
	set(flow.IPTOS, wIP, 16, 8)
	set(flow.IPECN, wIP, 16, 2)
	set(flow.IPTTL, wIP, 8, 8)
	set(flow.IPFrag, wIP, 0, 2)
	set(flow.ARPOp, wARPSHA, 0, 16)
	set(flow.ARPSHA, wARPSHA, 16, 48)
	set(flow.ARPTHA, wARPTHA, 16, 48)
	set(flow.ARPSPA, wARPIP, 32, 32)
	set(flow.ARPTPA, wARPIP, 0, 32)
	for _, f := range []flow.Field{flow.TCPSrc, flow.UDPSrc, flow.SCTPSrc} {
		set(f, wTp, 48, 16)
	}
	for _, f := range []flow.Field{flow.TCPDst, flow.UDPDst, flow.SCTPDst} {
		set(f, wTp, 32, 16)
	}
	set(flow.ICMPType, wTp, 48, 8)
	set(flow.ICMPv6Type, wTp, 48, 8)
	set(flow.ICMPCode, wTp, 32, 8)
	set(flow.ICMPv6Code, wTp, 32, 8)
	set(flow.TCPFlags, wTp, 16, 12)
	set(flow.NDOptionsType, wTp, 0, 8)
	set(flow.NDTarget, wNDTarget, 0, 128)
	set(flow.NDSLL, wNDSLL, 16, 48)
	set(flow.NDTLL, wNDTLL, 16, 48)
	set(flow.NDReserved, wNDFlags, 0, 32)
	set(flow.CTState, wCT, 32, 32)
	set(flow.CTMark, wCT, 0, 32)
	set(flow.CTZone, wCTTuple, 48, 16)
	set(flow.CTNwProto, wCTTuple, 32, 8)
	set(flow.CTTpSrc, wCTTuple, 16, 16)
	set(flow.CTTpDst, wCTTuple, 0, 16)
	set(flow.CTLabel, wCTLabel, 0, 128)
	set(flow.CTNwSrc, wCTIPv4, 32, 32)
	set(flow.CTNwDst, wCTIPv4, 0, 32)
	set(flow.CTIPv6Src, wCTSrc6, 0, 128)
	set(flow.CTIPv6Dst, wCTDst6, 0, 128)
	return t
}()

func placeOf(f flow.Field) place { return places[f&0xff] }

// get reads a field.
func (k *key) get(f flow.Field) flow.Value {
	p := placeOf(f)
	if p.bits == 128 {
		return flow.Value{Hi: k[p.word], Lo: k[p.word+1]}
	}
	v := flow.Uint(k[p.word] >> p.shift).And(flow.Ones(int(p.bits)))
	if f == flow.IPTOS {
		v.Lo &^= 3
	}
	return v
}

// put writes the bits of a field that are in mask.
func (k *key) put(f flow.Field, v, mask flow.Value) {
	switch f {
	case flow.IPTOS:
		mask.Lo &^= 3
	case flow.InPort16: // a port of 16 bits stands for one of 32
		old := k.get(flow.InPort16)
		n := v.Lo&mask.Lo | old.Lo&^mask.Lo
		if n >= 0xff00 {
			n |= 0xffff0000
		}
		f, v, mask = flow.InPort, flow.Uint(n), flow.Ones(32)
	}
	p := placeOf(f)
	if p.bits == 128 {
		k[p.word] = k[p.word]&^mask.Hi | v.Hi&mask.Hi
		k[p.word+1] = k[p.word+1]&^mask.Lo | v.Lo&mask.Lo
		return
	}
	m := mask.And(flow.Ones(int(p.bits))).Lo << p.shift
	k[p.word] = k[p.word]&^m | v.Lo<<p.shift&m
	if f == flow.VLANVID || f == flow.VLANTCI {
		k.fixTPID()
	}
}

// fixTPID gives a tag that an action has made a type, and takes the type of one that is gone.
func (k *key) fixTPID() {
	switch {
	case !k.tagged():
		k[wVLAN] &^= 0xffff << 32
	case k[wVLAN]>>32&0xffff == 0:
		k[wVLAN] |= 0x8100 << 32
	}
}

// sub reads a subfield.
func (k *key) sub(s flow.Subfield) flow.Value {
	return k.get(s.Field).Shr(int(s.Ofs)).And(flow.Ones(int(s.Bits)))
}

// putSub writes a subfield.
func (k *key) putSub(s flow.Subfield, v flow.Value) {
	m := flow.Ones(int(s.Bits))
	k.put(s.Field, v.And(m).Shl(int(s.Ofs)), m.Shl(int(s.Ofs)))
}

func (k *key) inPort() flow.Port { return flow.Port(k[wPort] >> 32) }
func (k *key) setInPort(p flow.Port) {
	k[wPort] = k[wPort]&0xffffffff | uint64(p)<<32
}
func (k *key) ethType() uint16 { return uint16(k[wEthSrc]) }
func (k *key) proto() uint8    { return uint8(k[wIP] >> 24) }
func (k *key) ttl() uint8      { return uint8(k[wIP] >> 8) }
func (k *key) frag() uint8     { return uint8(k[wIP]) }
func (k *key) tagged() bool    { return k[wEthDst]&flow.VLANPresent != 0 }
func (k *key) tp() (src, dst uint16) {
	return uint16(k[wTp] >> 48), uint16(k[wTp] >> 32)
}
func (k *key) isIP() bool { t := k.ethType(); return t == etherIPv4 || t == etherIPv6 }

// clearCT makes the packet untracked.
func (k *key) clearCT() {
	clear(k[wCT:nWords])
}

// Numbers of protocols.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherRARP = 0x8035
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherMPLS = 0x8847
	etherMPLM = 0x8848

	protoICMP     = 1
	protoIGMP     = 2
	protoTCP      = 6
	protoUDP      = 17
	protoFragment = 44
	protoICMPv6   = 58
	protoSCTP     = 132

	fragAny   = 1
	fragLater = 2

	ndSolicit   = 135
	ndAdvertise = 136
)

// isND reports whether the packet is a neighbor solicitation or advertisement.
func (k *key) isND() bool {
	typ, code := k.tp()
	return k.ethType() == etherIPv6 && k.proto() == protoICMPv6 && code == 0 && (typ == ndSolicit || typ == ndAdvertise)
}

// has reports whether the packet has the field: actions on one that it has not do nothing.
func (k *key) has(f flow.Field) bool {
	l4 := func(proto uint8) bool { return k.isIP() && k.proto() == proto && k.frag()&fragLater == 0 }
	switch f {
	case flow.VLANPCP:
		return k.tagged()
	case flow.MPLSLabel, flow.MPLSTC, flow.MPLSBOS, flow.MPLSTTL:
		return k.ethType() == etherMPLS || k.ethType() == etherMPLM
	case flow.IPv4Src, flow.IPv4Dst:
		return k.ethType() == etherIPv4
	case flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label:
		return k.ethType() == etherIPv6
	case flow.IPProto, flow.IPDSCP, flow.IPTOS, flow.IPECN, flow.IPTTL, flow.IPFrag:
		return k.isIP()
	case flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA:
		return k.ethType() == etherARP || k.ethType() == etherRARP
	case flow.TCPSrc, flow.TCPDst, flow.TCPFlags:
		return l4(protoTCP)
	case flow.UDPSrc, flow.UDPDst:
		return l4(protoUDP)
	case flow.SCTPSrc, flow.SCTPDst:
		return l4(protoSCTP)
	case flow.ICMPType, flow.ICMPCode:
		return k.ethType() == etherIPv4 && k.proto() == protoICMP
	case flow.ICMPv6Type, flow.ICMPv6Code:
		return k.ethType() == etherIPv6 && k.proto() == protoICMPv6
	case flow.NDTarget, flow.NDReserved, flow.NDOptionsType:
		return k.isND()
	case flow.NDSLL:
		typ, _ := k.tp()
		return k.isND() && typ == ndSolicit
	case flow.NDTLL:
		typ, _ := k.tp()
		return k.isND() && typ == ndAdvertise
	}
	return true
}

package flow

import (
	"encoding/hex"
	"math/bits"
	"strconv"
)

// Format gives the line of "ovs-ofctl -O OpenFlow15 dump-flows --no-stats" for a flow, with --names if names has any,
// without the leading space.
func Format(f Flow, names Names) string { return string(AppendFormat(nil, f, names)) }

// AppendFormat appends Format.
func AppendFormat(b []byte, f Flow, names Names) []byte {
	if f.Cookie != 0 {
		b = append(appendHex(append(b, "cookie=0x"...), f.Cookie), ", "...)
	}
	if _, named := names.Table(f.Table); named || f.Table != 0 {
		b = append(appendTable(append(b, "table="...), f.Table, names), ", "...)
	}
	b = appendNonzero(b, "idle_timeout=", f.IdleTimeout)
	b = appendNonzero(b, "hard_timeout=", f.HardTimeout)
	for i, name := range flagNames {
		if f.Flags&(1<<i) != 0 {
			b = append(append(b, name...), ' ')
		}
	}
	b = appendNonzero(b, "importance=", f.Importance)
	start := len(b)
	if f.Priority != DefaultPriority {
		b = append(appendUint(append(b, "priority="...), uint64(f.Priority)), ',')
	}
	if b = appendMatch(b, f.Match, names); len(b) > start {
		b[len(b)-1] = ' ' // instead of the last comma
	}
	return appendActions(append(b, "actions="...), f.Actions, names)
}

var flagNames = [...]string{"send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts"}

func appendUint(b []byte, v uint64) []byte { return strconv.AppendUint(b, v, 10) }
func appendHex(b []byte, v uint64) []byte  { return strconv.AppendUint(b, v, 16) }

// appendHash appends like C's %#x: 0x and hexadecimal, 0 for zero.
func appendHash(b []byte, v uint64) []byte {
	if v == 0 {
		return append(b, '0')
	}
	return appendHex(append(b, "0x"...), v)
}

// appendPadded appends 0x and at least n hexadecimal digits.
func appendPadded(b []byte, v uint64, n int) []byte {
	b = append(b, "0x"...)
	for d := max(1, (bits.Len64(v)+3)/4); d < n; d++ {
		b = append(b, '0')
	}
	return appendHex(b, v)
}

func appendNonzero(b []byte, name string, v uint16) []byte {
	if v == 0 {
		return b
	}
	return append(appendUint(append(b, name...), uint64(v)), ", "...)
}

func appendValueHex(b []byte, v Value) []byte {
	if v.Hi == 0 {
		return appendHash(b, v.Lo)
	}
	b = appendHex(append(b, "0x"...), v.Hi)
	return append(b, appendPadded(nil, v.Lo, 16)[2:]...)
}

// appendMatch appends the fields in the order of ovs-ofctl, each with a comma after it.
func appendMatch(b []byte, m Match, names Names) []byte {
	if m.tlv == "" {
		return b
	}
	var set [int(tunMetadata63) + 1]*Pred
	var store [48]Pred
	preds := store[:0]
	for p := range m.Preds() {
		preds = append(preds, p)
	}
	for i := range preds {
		set[preds[i].Field.index()] = &preds[i]
	}
	w := matchWriter{set: &set, names: names}
	if p := set[EthType]; p != nil {
		w.ethType = p.Value.Lo
	}
	if p := set[IPProto]; p != nil {
		w.proto = p.Value.Lo
	}
	return w.append(b)
}

// matchWriter writes a match; it knows the order and the names that ovs-ofctl uses.
type matchWriter struct {
	set            *[int(tunMetadata63) + 1]*Pred
	names          Names
	ethType, proto uint64
}

func (w *matchWriter) append(b []byte) []byte {
	b = w.hex(b, PktMark, "pkt_mark=")
	b = w.dec(b, ConjID, "conj_id=")
	b = w.port(b, ActsetOutput, "actset_output=")
	if p := w.set[CTState]; p != nil {
		b = append(appendFlags(append(b, "ct_state="...), p, ctStateNames[:], 0xff), ',')
	}
	b = w.dec(b, CTZone, "ct_zone=")
	b = w.hex(b, CTMark, "ct_mark=")
	b = w.hex(b, CTLabel, "ct_label=")
	b = w.addr(b, CTNwSrc, "ct_nw_src=")
	b = w.addr(b, CTIPv6Src, "ct_ipv6_src=")
	b = w.addr(b, CTNwDst, "ct_nw_dst=")
	b = w.addr(b, CTIPv6Dst, "ct_ipv6_dst=")
	if w.set[CTNwProto] != nil {
		b = w.dec(b, CTNwProto, "ct_nw_proto=")
		b = w.dec(b, CTTpSrc, "ct_tp_src=")
		b = w.dec(b, CTTpDst, "ct_tp_dst=")
	}
	if p := w.set[PacketType]; p != nil {
		b = append(appendPacketType(b, p.Value.Lo), ',')
		if p.Value.Lo>>16 == 1 {
			w.ethType = p.Value.Lo & 0xffff
		}
	}
	b, skipType, skipProto := w.protocol(b)
	for f := reg0; f <= reg15; f++ {
		if w.set[f] != nil {
			b = w.hex(b, f, fields[f].name+"=")
		}
	}
	b = w.tunnel(b)
	b = w.hex(b, Metadata, "metadata=")
	b = w.port(b, InPort, "in_port=")
	b = w.vlan(b)
	b = w.mac(b, EthSrc, "dl_src=")
	b = w.mac(b, EthDst, "dl_dst=")
	if p := w.set[EthType]; p != nil && !skipType {
		b = append(appendPadded(append(b, "dl_type="...), p.Value.Lo, 4), ',')
	}
	b = w.network(b)
	if !skipProto {
		b = w.dec(b, IPProto, "nw_proto=")
	}
	b = w.dec(b, ARPOp, "arp_op=")
	b = w.mac(b, ARPSHA, "arp_sha=")
	b = w.mac(b, ARPTHA, "arp_tha=")
	if p := w.set[IPDSCP]; p != nil {
		b = append(appendUint(append(b, "nw_tos="...), p.Value.Lo<<2), ',')
	}
	b = w.dec(b, IPECN, "nw_ecn=")
	b = w.dec(b, IPTTL, "nw_ttl=")
	b = w.dec(b, MPLSLabel, "mpls_label=")
	b = w.dec(b, MPLSTC, "mpls_tc=")
	b = w.dec(b, MPLSTTL, "mpls_ttl=")
	b = w.dec(b, MPLSBOS, "mpls_bos=")
	if p := w.set[IPFrag]; p != nil {
		b = append(append(append(b, "nw_frag="...), fragName(p.Value.Lo, p.Mask.Lo)...), ',')
	}
	return w.transport(b)
}

// protocol writes the shorthand of Ethernet type and IP protocol.
func (w *matchWriter) protocol(b []byte) (out []byte, skipType, skipProto bool) {
	if w.set[EthType] == nil && w.set[PacketType] == nil {
		return b, false, false
	}
	name, suffix := "", ""
	switch w.ethType {
	case etherIPv4:
		name = "ip"
	case etherIPv6:
		name, suffix = "ipv6", "6"
	case etherARP:
		name = "arp"
	case etherRARP:
		name = "rarp"
	case 0x8847:
		name = "mpls"
	case 0x8848:
		name = "mplsm"
	default:
		return b, false, false
	}
	if w.set[IPProto] != nil {
		proto := ""
		switch {
		case w.proto == protoICMP && w.ethType == etherIPv4, w.proto == protoICMPv6 && w.ethType == etherIPv6:
			proto = "icmp"
		case w.proto == protoTCP:
			proto = "tcp"
		case w.proto == protoUDP:
			proto = "udp"
		case w.proto == protoSCTP:
			proto = "sctp"
		}
		if proto != "" {
			return append(append(append(b, proto...), suffix...), ','), true, true
		}
	}
	return append(append(b, name...), ','), true, false
}

func (w *matchWriter) tunnel(b []byte) []byte {
	b = w.hex(b, TunID, "tun_id=")
	b = w.addr(b, TunSrc, "tun_src=")
	b = w.addr(b, TunDst, "tun_dst=")
	b = w.addr(b, TunIPv6Src, "tun_ipv6_src=")
	b = w.addr(b, TunIPv6Dst, "tun_ipv6_dst=")
	b = w.dec(b, TunGBPID, "tun_gbp_id=")
	if p := w.set[TunGBPFlag]; p != nil {
		b = append(appendHash(append(b, "tun_gbp_flags="...), p.Value.Lo), ',')
	}
	if p := w.set[TunFlags]; p != nil {
		b = append(appendTunFlags(append(b, "tun_flags="...), p), ',')
	}
	for f := tunMetadata0; f <= tunMetadata63; f++ {
		p := w.set[f]
		if p == nil {
			continue
		}
		b = append(b, fields[f].name...)
		if !p.Mask.IsZero() {
			b = appendValueHex(append(b, '='), p.Value)
			if p.Mask != Ones(p.Field.Width()) {
				b = appendValueHex(append(b, '/'), p.Mask)
			}
		}
		b = append(b, ',')
	}
	return b
}

func (w *matchWriter) vlan(b []byte) []byte {
	var tci, mask uint64
	if p := w.set[VLANVID]; p != nil {
		tci, mask = p.Value.Lo, p.Mask.Lo
	}
	if p := w.set[VLANPCP]; p != nil {
		tci, mask = tci|p.Value.Lo<<13, mask|p.Mask.Lo<<13
	}
	vid, pcp := mask&0xfff, mask>>13
	switch {
	case mask == 0:
		return b
	case tci&mask&VLANPresent != 0 && (vid == 0 || vid == 0xfff) && (pcp == 0 || pcp == 7) && vid|pcp != 0:
		if vid != 0 {
			b = append(appendUint(append(b, "dl_vlan="...), tci&0xfff), ',')
		}
		if pcp != 0 {
			b = append(appendUint(append(b, "dl_vlan_pcp="...), tci>>13), ',')
		}
		return b
	}
	b = appendPadded(append(b, "vlan_tci="...), tci, 4)
	if mask != 0xffff {
		b = appendPadded(append(b, '/'), mask, 4)
	}
	return append(b, ',')
}

func (w *matchWriter) network(b []byte) []byte {
	b = w.addr(b, IPv6Src, "ipv6_src=")
	b = w.addr(b, IPv6Dst, "ipv6_dst=")
	if p := w.set[IPv6Label]; p != nil {
		b = appendPadded(append(b, "ipv6_label="...), p.Value.Lo, 5)
		if p.Mask != Ones(20) {
			b = appendPadded(append(b, '/'), p.Mask.Lo, 5)
		}
		b = append(b, ',')
	}
	b = w.addr(b, ARPSPA, "arp_spa=")
	b = w.addr(b, ARPTPA, "arp_tpa=")
	b = w.addr(b, IPv4Src, "nw_src=")
	return w.addr(b, IPv4Dst, "nw_dst=")
}

func (w *matchWriter) transport(b []byte) []byte {
	b = w.dec(b, ICMPType, "icmp_type=")
	b = w.dec(b, ICMPCode, "icmp_code=")
	b = w.dec(b, ICMPv6Type, "icmp_type=")
	b = w.dec(b, ICMPv6Code, "icmp_code=")
	b = w.addr(b, NDTarget, "nd_target=")
	b = w.mac(b, NDSLL, "nd_sll=")
	b = w.mac(b, NDTLL, "nd_tll=")
	b = w.dec(b, NDReserved, "nd_reserved=")
	b = w.dec(b, NDOptionsType, "nd_options_type=")
	for _, f := range [...]Field{TCPSrc, UDPSrc, SCTPSrc} {
		b = w.dec(b, f, "tp_src=")
	}
	for _, f := range [...]Field{TCPDst, UDPDst, SCTPDst} {
		b = w.dec(b, f, "tp_dst=")
	}
	if p := w.set[TCPFlags]; p != nil {
		b = append(appendFlags(append(b, "tcp_flags="...), p, tcpFlagNames[:], 0xfff), ',')
	}
	return b
}

// dec writes decimal, or hexadecimal with a mask.
func (w *matchWriter) dec(b []byte, f Field, name string) []byte {
	p := w.set[f]
	if p == nil {
		return b
	}
	b = append(b, name...)
	if p.Mask == Ones(f.Width()) {
		b = appendUint(b, p.Value.Lo)
	} else {
		b = appendHex(append(b, "0x"...), p.Value.Lo)
		b = appendHex(append(b, "/0x"...), p.Mask.Lo)
	}
	return append(b, ',')
}

// hex writes hexadecimal.
func (w *matchWriter) hex(b []byte, f Field, name string) []byte {
	p := w.set[f]
	if p == nil {
		return b
	}
	b = appendValueHex(append(b, name...), p.Value)
	if p.Mask != Ones(f.Width()) {
		b = appendValueHex(append(b, '/'), p.Mask)
	}
	return append(b, ',')
}

func (w *matchWriter) addr(b []byte, f Field, name string) []byte {
	p := w.set[f]
	if p == nil {
		return b
	}
	return append(appendAddr(append(b, name...), *p), ',')
}

func (w *matchWriter) mac(b []byte, f Field, name string) []byte {
	p := w.set[f]
	if p == nil {
		return b
	}
	return append(appendMACMasked(append(b, name...), *p), ',')
}

func (w *matchWriter) port(b []byte, f Field, name string) []byte {
	p := w.set[f]
	if p == nil {
		return b
	}
	return append(appendPort(append(b, name...), Port(p.Value.Lo), w.names), ',')
}

// appendAddr writes an address of either family, with prefix length or mask.
func appendAddr(b []byte, p Pred) []byte {
	v4 := p.Field.Width() == 32
	w := p.Field.Width()
	b = appendIP(b, p.Value, v4)
	if p.Mask == Ones(w) {
		return b
	}
	if n := p.Mask.trailingZeros(); p.Mask == Ones(w-n).Shl(n) {
		return appendUint(append(b, '/'), uint64(w-n))
	}
	return appendIP(append(b, '/'), p.Mask, v4)
}

// appendIP writes an address as inet_ntop of glibc does, which netip does too except for ::ffff:0:0/96 and ::/96.
func appendIP(b []byte, v Value, v4 bool) []byte {
	if v4 {
		return v.Addr4().AppendTo(b)
	}
	if v.Hi == 0 && v.Lo>>32 == 0 && v.Lo > 0xffff {
		return v.Addr4().AppendTo(append(b, "::"...))
	}
	return v.Addr6().AppendTo(b)
}

func appendMAC(b []byte, v Value) []byte {
	m := v.MAC()
	for i, o := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = hex.AppendEncode(b, []byte{o})
	}
	return b
}

func appendMACMasked(b []byte, p Pred) []byte {
	b = appendMAC(b, p.Value)
	if p.Mask != Ones(48) {
		b = appendMAC(append(b, '/'), p.Mask)
	}
	return b
}

var ctStateNames = [...]string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}
var tcpFlagNames = [...]string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"}

// appendFlags writes set flags joined by |, or +set and -unset ones of a mask.
func appendFlags(b []byte, p *Pred, names []string, full uint64) []byte {
	if p.Mask.Lo&full != full {
		for i, name := range names {
			if p.Mask.Lo>>i&1 != 0 {
				b = append(append(b, "-+"[p.Value.Lo>>i&1]), name...)
			}
		}
		return b
	}
	start := len(b)
	for i, name := range names {
		if p.Value.Lo>>i&1 != 0 {
			if len(b) > start {
				b = append(b, '|')
			}
			b = append(b, name...)
		}
	}
	if len(b) == start {
		b = append(b, '0')
	}
	return b
}

// appendTunFlags: of the flags only oam is public.
func appendTunFlags(b []byte, p *Pred) []byte {
	return append(append(b, "-+"[p.Value.Lo&1]), "oam"...)
}

func appendPacketType(b []byte, v uint64) []byte {
	b = appendUint(append(b, "packet_type=("...), v>>16)
	return append(appendHash(append(b, ','), v&0xffff), ')')
}

func fragName(v, mask uint64) string {
	switch mask<<4 | v {
	case 0x10, 0x30:
		return "no"
	case 0x11:
		return "yes"
	case 0x20:
		return "not_later"
	case 0x22, 0x33:
		return "later"
	case 0x31:
		return "first"
	}
	return "<error>"
}

package flow

import "strconv"

// prereq is what a match must say before it may look at a field (ovs-fields(7), "Prerequisites").
type prereq uint8

const (
	preNone prereq = iota
	preEthernet
	preVLAN
	preMPLS
	preIPv4
	preIPv6
	preIP
	preARP
	preTCP
	preUDP
	preSCTP
	preICMP
	preICMPv6
	preND
	preNDSolicit
	preNDAdvert
	preCT
	preCTIPv4
	preCTIPv6
	preCTProto
)

var prereqText = [...]string{
	preEthernet: "an Ethernet packet", preVLAN: "vlan_vid with VLANPresent", preMPLS: "eth_type 0x8847 or 0x8848",
	preIPv4: "eth_type 0x800", preIPv6: "eth_type 0x86dd", preIP: "eth_type 0x800 or 0x86dd",
	preARP: "eth_type 0x806 or 0x8035", preTCP: "ip_proto 6, not a later fragment",
	preUDP: "ip_proto 17, not a later fragment", preSCTP: "ip_proto 132, not a later fragment",
	preICMP: "eth_type 0x800 and ip_proto 1", preICMPv6: "eth_type 0x86dd and ip_proto 58",
	preND: "icmpv6_type 135 or 136, icmpv6_code 0", preNDSolicit: "icmpv6_type 135, icmpv6_code 0",
	preNDAdvert: "icmpv6_type 136, icmpv6_code 0",
	preCT:       "ct_state with +trk-inv or one of +new, +est, +rel, +rpl, +snat, +dnat",
	preCTIPv4:   "eth_type 0x800, and ct_state with +trk-inv or a state of a connection",
	preCTIPv6:   "eth_type 0x86dd, and ct_state with +trk-inv or a state of a connection",
	preCTProto:  "ct_nw_proto",
}

// form is how dumps write a value of the field in an action.
type form uint8

const (
	formDec form = iota
	formHex
	formMAC
	formIPv4
	formIPv6
	formPort
	formFrag
	formTunFlags
	formTCPFlags
	formCTState
	formPacketType
)

const (
	maskable = 1 << iota
	writable
	rw = maskable | writable
)

// fieldInfo is what is known about a field. A field may have two headers on the wire: the old one of Nicira (NXM) and the
// standard one (OXM), which Open vSwitch prefers in some places each: see Field.oxmHeader and Field.nxmHeader.
type fieldInfo struct {
	name   string // ovs text name in actions
	alias  string // a second text name, used in matches
	nxName string // NXM/OXM name that subfields are written with
	nxm    uint32 // class << 16 | number << 9 | bytes; 0: none
	oxm    uint32
	bytes  uint8
	width  uint8
	flags  uint8
	prereq prereq
	form   form
}

func (fi *fieldInfo) has(flag uint8) bool { return fi.flags&flag != 0 }

const (
	classNXMOF  = 0x0000
	classNXMNX  = 0x0001
	classEric   = 0x1000
	classOXM    = 0x8000
	classPktReg = 0x8001
)

// noHeader marks a missing number below. (NXM_OF_IN_PORT has class 0 and number 0.)
const noHeader = -1

func decl(name, alias, nxName string, nxClass, nx, oxClass, ox, bytes, width int, flags uint8, pre prereq, fm form) fieldInfo {
	fi := fieldInfo{name: name, alias: alias, nxName: nxName, bytes: uint8(bytes), width: uint8(width),
		flags: flags, prereq: pre, form: fm}
	if nx != noHeader {
		fi.nxm = uint32(nxClass)<<16 | uint32(nx)<<9 | uint32(bytes)
	}
	if ox != noHeader {
		fi.oxm = uint32(oxClass)<<16 | uint32(ox)<<9 | uint32(bytes)
	}
	return fi
}

// fields declares every field once. Sources: OpenFlow 1.5 section 7.2.3 (OXM), ovs-fields(7) of Open vSwitch 3.1.
var fields = func() (t [nFields]fieldInfo) {
	const OF, NX, OX, no = classNXMOF, classNXMNX, classOXM, noHeader

	t[PacketType] = decl("packet_type", "", "OXM_OF_PACKET_TYPE", 0, no, OX, 44, 4, 32, 0, preNone, formPacketType)
	t[ConjID] = decl("conj_id", "", "NXM_NX_CONJ_ID", NX, 37, 0, no, 4, 32, 0, preNone, formDec)
	t[InPort] = decl("in_port_oxm", "in_port", "OXM_OF_IN_PORT", 0, no, OX, 0, 4, 32, writable, preNone, formPort)
	t[ActsetOutput] = decl("actset_output", "", "OXM_OF_ACTSET_OUTPUT", 0, no, OX, 43, 4, 32, 0, preNone, formPort)

	t[TunID] = decl("tun_id", "tunnel_id", "NXM_NX_TUN_ID", NX, 16, OX, 38, 8, 64, rw, preNone, formHex)
	t[TunSrc] = decl("tun_src", "", "NXM_NX_TUN_IPV4_SRC", NX, 31, 0, no, 4, 32, rw, preNone, formIPv4)
	t[TunDst] = decl("tun_dst", "", "NXM_NX_TUN_IPV4_DST", NX, 32, 0, no, 4, 32, rw, preNone, formIPv4)
	t[TunIPv6Src] = decl("tun_ipv6_src", "", "NXM_NX_TUN_IPV6_SRC", NX, 109, 0, no, 16, 128, rw, preNone, formIPv6)
	t[TunIPv6Dst] = decl("tun_ipv6_dst", "", "NXM_NX_TUN_IPV6_DST", NX, 110, 0, no, 16, 128, rw, preNone, formIPv6)
	t[TunFlags] = decl("tun_flags", "", "NXM_NX_TUN_FLAGS", NX, 104, 0, no, 2, 1, rw, preNone, formTunFlags)
	t[TunGBPID] = decl("tun_gbp_id", "", "NXM_NX_TUN_GBP_ID", NX, 38, 0, no, 2, 16, rw, preNone, formDec)
	t[TunGBPFlag] = decl("tun_gbp_flags", "", "NXM_NX_TUN_GBP_FLAGS", NX, 39, 0, no, 1, 8, rw, preNone, formHex)

	t[Metadata] = decl("metadata", "", "OXM_OF_METADATA", 0, no, OX, 2, 8, 64, rw, preNone, formHex)
	t[PktMark] = decl("pkt_mark", "", "NXM_NX_PKT_MARK", NX, 33, 0, no, 4, 32, rw, preNone, formHex)
	for i := range 16 {
		n := strconv.Itoa(i)
		t[reg0+Field(i)] = decl("reg"+n, "", "NXM_NX_REG"+n, NX, i, 0, no, 4, 32, rw, preNone, formHex)
	}

	t[EthSrc] = decl("eth_src", "dl_src", "NXM_OF_ETH_SRC", OF, 2, OX, 4, 6, 48, rw, preEthernet, formMAC)
	t[EthDst] = decl("eth_dst", "dl_dst", "NXM_OF_ETH_DST", OF, 1, OX, 3, 6, 48, rw, preEthernet, formMAC)
	t[EthType] = decl("eth_type", "dl_type", "NXM_OF_ETH_TYPE", OF, 3, OX, 5, 2, 16, 0, preEthernet, formHex)
	t[VLANVID] = decl("vlan_vid", "", "OXM_OF_VLAN_VID", 0, no, OX, 6, 2, 13, rw, preEthernet, formDec)
	t[VLANPCP] = decl("vlan_pcp", "", "OXM_OF_VLAN_PCP", 0, no, OX, 7, 1, 3, writable, preVLAN, formDec)

	t[MPLSLabel] = decl("mpls_label", "", "OXM_OF_MPLS_LABEL", 0, no, OX, 34, 4, 20, writable, preMPLS, formDec)
	t[MPLSTC] = decl("mpls_tc", "", "OXM_OF_MPLS_TC", 0, no, OX, 35, 1, 3, writable, preMPLS, formDec)
	t[MPLSBOS] = decl("mpls_bos", "", "OXM_OF_MPLS_BOS", 0, no, OX, 36, 1, 1, 0, preMPLS, formDec)
	t[MPLSTTL] = decl("mpls_ttl", "", "NXM_NX_MPLS_TTL", NX, 30, 0, no, 1, 8, writable, preMPLS, formDec)

	t[IPv4Src] = decl("ip_src", "nw_src", "NXM_OF_IP_SRC", OF, 7, OX, 11, 4, 32, rw, preIPv4, formIPv4)
	t[IPv4Dst] = decl("ip_dst", "nw_dst", "NXM_OF_IP_DST", OF, 8, OX, 12, 4, 32, rw, preIPv4, formIPv4)
	t[IPv6Src] = decl("ipv6_src", "", "NXM_NX_IPV6_SRC", NX, 19, OX, 26, 16, 128, rw, preIPv6, formIPv6)
	t[IPv6Dst] = decl("ipv6_dst", "", "NXM_NX_IPV6_DST", NX, 20, OX, 27, 16, 128, rw, preIPv6, formIPv6)
	t[IPv6Label] = decl("ipv6_label", "", "NXM_NX_IPV6_LABEL", NX, 27, OX, 28, 4, 20, rw, preIPv6, formHex)
	t[IPProto] = decl("nw_proto", "ip_proto", "NXM_OF_IP_PROTO", OF, 6, OX, 10, 1, 8, 0, preIP, formDec)
	t[IPDSCP] = decl("ip_dscp", "", "OXM_OF_IP_DSCP", 0, no, OX, 8, 1, 6, writable, preIP, formDec)
	t[IPECN] = decl("nw_ecn", "ip_ecn", "NXM_NX_IP_ECN", NX, 28, OX, 9, 1, 2, writable, preIP, formDec)
	t[IPTTL] = decl("nw_ttl", "", "NXM_NX_IP_TTL", NX, 29, 0, no, 1, 8, writable, preIP, formDec)
	t[IPFrag] = decl("ip_frag", "nw_frag", "NXM_NX_IP_FRAG", NX, 26, 0, no, 1, 2, maskable, preIP, formFrag)

	t[ARPOp] = decl("arp_op", "", "NXM_OF_ARP_OP", OF, 15, OX, 21, 2, 16, writable, preARP, formDec)
	t[ARPSPA] = decl("arp_spa", "", "NXM_OF_ARP_SPA", OF, 16, OX, 22, 4, 32, rw, preARP, formIPv4)
	t[ARPTPA] = decl("arp_tpa", "", "NXM_OF_ARP_TPA", OF, 17, OX, 23, 4, 32, rw, preARP, formIPv4)
	t[ARPSHA] = decl("arp_sha", "", "NXM_NX_ARP_SHA", NX, 17, OX, 24, 6, 48, rw, preARP, formMAC)
	t[ARPTHA] = decl("arp_tha", "", "NXM_NX_ARP_THA", NX, 18, OX, 25, 6, 48, rw, preARP, formMAC)

	t[TCPSrc] = decl("tcp_src", "", "NXM_OF_TCP_SRC", OF, 9, OX, 13, 2, 16, rw, preTCP, formDec)
	t[TCPDst] = decl("tcp_dst", "", "NXM_OF_TCP_DST", OF, 10, OX, 14, 2, 16, rw, preTCP, formDec)
	t[TCPFlags] = decl("tcp_flags", "", "NXM_NX_TCP_FLAGS", NX, 34, OX, 42, 2, 12, maskable, preTCP, formTCPFlags)
	t[UDPSrc] = decl("udp_src", "", "NXM_OF_UDP_SRC", OF, 11, OX, 15, 2, 16, rw, preUDP, formDec)
	t[UDPDst] = decl("udp_dst", "", "NXM_OF_UDP_DST", OF, 12, OX, 16, 2, 16, rw, preUDP, formDec)
	t[SCTPSrc] = decl("sctp_src", "", "OXM_OF_SCTP_SRC", 0, no, OX, 17, 2, 16, rw, preSCTP, formDec)
	t[SCTPDst] = decl("sctp_dst", "", "OXM_OF_SCTP_DST", 0, no, OX, 18, 2, 16, rw, preSCTP, formDec)
	t[ICMPType] = decl("icmp_type", "", "NXM_OF_ICMP_TYPE", OF, 13, OX, 19, 1, 8, writable, preICMP, formDec)
	t[ICMPCode] = decl("icmp_code", "", "NXM_OF_ICMP_CODE", OF, 14, OX, 20, 1, 8, writable, preICMP, formDec)
	t[ICMPv6Type] = decl("icmpv6_type", "", "NXM_NX_ICMPV6_TYPE", NX, 21, OX, 29, 1, 8, writable, preICMPv6, formDec)
	t[ICMPv6Code] = decl("icmpv6_code", "", "NXM_NX_ICMPV6_CODE", NX, 22, OX, 30, 1, 8, writable, preICMPv6, formDec)

	t[NDTarget] = decl("nd_target", "", "NXM_NX_ND_TARGET", NX, 23, OX, 31, 16, 128, rw, preND, formIPv6)
	t[NDSLL] = decl("nd_sll", "", "NXM_NX_ND_SLL", NX, 24, OX, 32, 6, 48, rw, preNDSolicit, formMAC)
	t[NDTLL] = decl("nd_tll", "", "NXM_NX_ND_TLL", NX, 25, OX, 33, 6, 48, rw, preNDAdvert, formMAC)
	t[NDReserved] = decl("nd_reserved", "", "ERICOXM_OF_ICMPV6_ND_RESERVED", 0, no, classEric, 1, 4, 32, writable, preND, formDec)
	t[NDOptionsType] = decl("nd_options_type", "", "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", 0, no, classEric, 2, 1, 8, writable, preND, formDec)

	t[CTState] = decl("ct_state", "", "NXM_NX_CT_STATE", NX, 105, 0, no, 4, 8, maskable, preNone, formCTState)
	t[CTZone] = decl("ct_zone", "", "NXM_NX_CT_ZONE", NX, 106, 0, no, 2, 16, 0, preNone, formHex)
	t[CTMark] = decl("ct_mark", "", "NXM_NX_CT_MARK", NX, 107, 0, no, 4, 32, rw, preNone, formHex)
	t[CTLabel] = decl("ct_label", "", "NXM_NX_CT_LABEL", NX, 108, 0, no, 16, 128, rw, preNone, formHex)
	t[CTNwProto] = decl("ct_nw_proto", "", "NXM_NX_CT_NW_PROTO", NX, 119, 0, no, 1, 8, 0, preCT, formDec)
	t[CTNwSrc] = decl("ct_nw_src", "", "NXM_NX_CT_NW_SRC", NX, 120, 0, no, 4, 32, maskable, preCTIPv4, formIPv4)
	t[CTNwDst] = decl("ct_nw_dst", "", "NXM_NX_CT_NW_DST", NX, 121, 0, no, 4, 32, maskable, preCTIPv4, formIPv4)
	t[CTIPv6Src] = decl("ct_ipv6_src", "", "NXM_NX_CT_IPV6_SRC", NX, 122, 0, no, 16, 128, maskable, preCTIPv6, formIPv6)
	t[CTIPv6Dst] = decl("ct_ipv6_dst", "", "NXM_NX_CT_IPV6_DST", NX, 123, 0, no, 16, 128, maskable, preCTIPv6, formIPv6)
	t[CTTpSrc] = decl("ct_tp_src", "", "NXM_NX_CT_TP_SRC", NX, 124, 0, no, 2, 16, maskable, preCTProto, formDec)
	t[CTTpDst] = decl("ct_tp_dst", "", "NXM_NX_CT_TP_DST", NX, 125, 0, no, 2, 16, maskable, preCTProto, formDec)

	for i := range 64 {
		n := strconv.Itoa(i)
		t[tunMetadata0+Field(i)] = decl("tun_metadata"+n, "", "NXM_NX_TUN_METADATA"+n, NX, 40+i, 0, no, 0, 0, rw, preNone, formHex)
	}
	for i := range 8 {
		n := strconv.Itoa(i)
		t[xreg0+Field(i)] = decl("xreg"+n, "", "OXM_OF_PKT_REG"+n, 0, no, classPktReg, i, 8, 64, rw, preNone, formHex)
	}
	for i := range 4 {
		n := strconv.Itoa(i)
		t[xxreg0+Field(i)] = decl("xxreg"+n, "", "NXM_NX_XXREG"+n, NX, 111+i, 0, no, 16, 128, rw, preNone, formHex)
	}
	t[VLANTCI] = decl("vlan_tci", "", "NXM_OF_VLAN_TCI", OF, 4, 0, no, 2, 16, rw, preEthernet, formHex)
	t[IPTOS] = decl("nw_tos", "", "NXM_OF_IP_TOS", OF, 5, 0, no, 1, 8, writable, preIP, formDec)
	t[InPort16] = decl("in_port", "", "NXM_OF_IN_PORT", OF, 0, 0, no, 2, 16, writable, preNone, formPort)
	return t
}()

// byHeader finds a field by the class and number of its header.
var byHeader = func() map[uint32]Field {
	m := make(map[uint32]Field, 2*int(nFields))
	for f := noField + 1; f < nFields; f++ {
		fi := &fields[f]
		if fi.nxm != 0 {
			m[fi.nxm>>9] = f
		}
		if fi.oxm != 0 {
			m[fi.oxm>>9] = f
		}
	}
	return m
}()

// byName finds a field by its names; a field's own name goes before another's alias.
var byName = func() map[string]Field {
	m := make(map[string]Field, 3*int(nFields))
	for f := noField + 1; f < nFields; f++ {
		m[fields[f].nxName] = f
		if a := fields[f].alias; a != "" {
			m[a] = f
		}
	}
	for f := noField + 1; f < nFields; f++ {
		m[fields[f].name] = f
	}
	return m
}()

// oxmHeader is the header without mask that Open vSwitch uses for OpenFlow 1.5 in matches, set_field and copy_field.
func (f Field) oxmHeader() uint32 {
	fi := f.info()
	if fi.oxm != 0 {
		return fi.oxm
	}
	return f.nxmHeader()
}

// nxmHeader is the header without mask that Open vSwitch uses in the extension actions (learn, output_reg, ct ...).
func (f Field) nxmHeader() uint32 {
	fi := f.info()
	switch {
	case f.isTunMetadata():
		return fi.nxm&^0xff | uint32(f.bytes())
	case fi.nxm != 0:
		return fi.nxm
	}
	return fi.oxm
}

// fieldByHeader finds the field of a header without its mask bit: n is the size of the value in bytes.
func fieldByHeader(h uint32, n int) (Field, bool) {
	f, ok := byHeader[h>>9]
	if !ok {
		return noField, false
	}
	if f.isTunMetadata() {
		if n < 1 || n > 16 {
			return noField, false
		}
		return f | Field(n)<<8, true
	}
	return f, int(fields[f].bytes) == n
}

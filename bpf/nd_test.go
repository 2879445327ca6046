package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// ndFrame builds a solicitation; the zero values of a field are those of one to the solicited-node address, with the sender's link-layer
// address as its only option.
type ndFrame struct {
	dst, src, link     mac
	src6, dst6, target ip6
	options            [][]byte // instead of the link-layer address
	hops, code         uint8
	answer             bool // an advertisement of target
	trailer            int
}

func solicitedNode(a ip6) ip6 {
	return ip6{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
}

func linkOption(typ byte, m mac) []byte { return append([]byte{typ, 1}, m[:]...) }

func (n ndFrame) bytes(t testing.TB) []byte {
	t.Helper()
	if n.dst6 == (ip6{}) {
		n.dst6 = solicitedNode(n.target)
	}
	if n.dst == (mac{}) {
		n.dst = mac{0x33, 0x33, n.dst6[12], n.dst6[13], n.dst6[14], n.dst6[15]}
	}
	if n.src == (mac{}) {
		n.src = me
	}
	if n.link == (mac{}) {
		n.link = n.src
	}
	if n.hops == 0 {
		n.hops = 255
	}
	if n.options == nil {
		n.options = [][]byte{linkOption(1, n.link)}
		if n.answer {
			n.options[0][0] = 2
		}
	}
	message := append(make([]byte, 4), n.target[:]...)
	typ := uint8(layers.ICMPv6TypeNeighborSolicitation)
	if n.answer {
		typ, message[0] = layers.ICMPv6TypeNeighborAdvertisement, 0x60
	}
	message = append(message, slices.Concat(n.options...)...)
	ip := layers.IPv6{Version: 6, TrafficClass: 0xb8, FlowLabel: 0x12345, HopLimit: n.hops, NextHeader: layers.IPProtocolICMPv6, SrcIP: n.src6[:], DstIP: n.dst6[:]}
	icmp := layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, n.code)}
	if err := icmp.SetNetworkLayerForChecksum(&ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: n.src[:], DstMAC: n.dst[:], EthernetType: layers.EthernetTypeIPv6}, &ip, &icmp, gopacket.Payload(message))
	if err != nil {
		t.Fatal(err)
	}
	return append(buf.Bytes(), make([]byte, n.trailer)...)
}

// advertised is the answer to a question of the world: the target is at owner.
func advertised(t testing.TB, owner mac, target ip6, to mac, to6 ip6) ndFrame {
	t.Helper()
	return ndFrame{answer: true, src: owner, dst: to, src6: target, dst6: to6, target: target}
}

func TestPrivilegedND(t *testing.T) {
	full := ndFrame{src6: mine6, target: peers6}.bytes(t)
	answer := advertised(t, peer, peers6, me, mine6).bytes(t)
	plain := ndFrame{src6: mine6, target: peers6, dst6: peers6, dst: peer, options: [][]byte{}}
	plainAnswer := advertised(t, peer, peers6, me, mine6)
	plainAnswer.options = [][]byte{}
	longAnswer := advertised(t, peer, peers6, me, mine6)
	longAnswer.trailer = 9
	change := func(at int, v byte) []byte {
		f := slices.Clone(full)
		f[at] = v
		return f
	}
	with := func(f ndFrame, options ...[]byte) []byte {
		f.options = append([][]byte{}, options...)
		return f.bytes(t)
	}
	ask := ndFrame{src6: mine6, target: peers6}
	cases := []testCase{
		{"solicitation of a known lease", full, AnswerND, answer},
		{"with a trailer", ndFrame{src6: mine6, target: peers6, trailer: 9}.bytes(t), AnswerND, longAnswer.bytes(t)},
		{"from the second address", ndFrame{src6: mine26, target: peers6}.bytes(t), AnswerND, advertised(t, peer, peers6, me, mine26).bytes(t)},
		{"in the second network", ndFrame{src: meToo, src6: mineToo6, target: elsewhere6}.bytes(t), AnswerND, advertised(t, peer, elsewhere6, meToo, mineToo6).bytes(t)},
		{"is it still there", ndFrame{dst: peer, dst6: peers6, src6: mine6, target: peers6}.bytes(t), AnswerND, answer},
		{"is it still there, without option", plain.bytes(t), AnswerND, plainAnswer.bytes(t)},
		{"checksum wrong", change(56, full[56]^1), AnswerND, answer},
		{"reserved bits set", change(59, 1), AnswerND, answer},

		{"unknown address", ndFrame{src6: mine6, target: unknown6}.bytes(t), PassNDMiss, nil},
		{"known in the other network only", ndFrame{src6: mine6, target: elsewhere6}.bytes(t), PassNDMiss, nil},
		{"the first network's from the second", ndFrame{src: meToo, src6: mineToo6, target: peers6}.bytes(t), PassNDMiss, nil},
		{"for ::", ndFrame{src6: mine6, target: nothing6}.bytes(t), PassNDMiss, nil},

		{"duplicate address detection", with(ndFrame{src6: nothing6, target: mine6}), PassNDOwn, nil},
		{"duplicate address detection with an option", ndFrame{src6: nothing6, target: mine6}.bytes(t), PassNDOwn, nil},
		{"detection of the address of another", with(ndFrame{src6: nothing6, target: peers6}), PassNDOwn, nil},
		{"for the other own address", ndFrame{src6: mine6, target: mine26}.bytes(t), PassNDOwn, nil},
		{"for the own address", ndFrame{src6: mine6, target: mine6}.bytes(t), PassNDOwn, nil},

		{"to everybody without option", with(ask), PassNDOther, nil},
		{"a nonce", with(ask, linkOption(14, me)), PassNDOther, nil},
		{"target link-layer address", with(ask, linkOption(2, me)), PassNDOther, nil},
		{"two options", with(ask, linkOption(1, me), linkOption(14, me)), PassNDOther, nil},
		{"two options, the second one without length", with(ask, linkOption(1, me), make([]byte, 8)), PassNDOther, nil},
		{"unicast to a stranger", ndFrame{dst: stranger, dst6: peers6, src6: mine6, target: peers6}.bytes(t), PassNDOther, nil},
		{"unicast for another address", ndFrame{dst: peer, dst6: unknown6, src6: mine6, target: peers6}.bytes(t), PassNDOther, nil},
		{"the address of all nodes", ndFrame{dst6: ip6{0: 0xff, 1: 2, 15: 1}, src6: mine6, target: peers6}.bytes(t), PassNDOther, nil},
		{"the solicited-node address of another", ndFrame{dst6: solicitedNode(mine6), src6: mine6, target: peers6}.bytes(t), PassNDOther, nil},
		{"multicast to one MAC address", ndFrame{dst: peer, src6: mine6, target: peers6}.bytes(t), PassNDOther, nil},
		{"unicast by broadcast", ndFrame{dst: everyone, dst6: peers6, src6: mine6, target: peers6}.bytes(t), PassNDOther, nil},

		{"spoofed link-layer address", ndFrame{link: peer, src6: mine6, target: peers6}.bytes(t), DropNDSender, nil},
		{"no link-layer address in the option", with(ask, linkOption(1, mac{})), DropNDSender, nil},
		{"spoofed Ethernet source", ndFrame{src: stranger, link: me, src6: mine6, target: peers6}.bytes(t), DropNDSender, nil},
		{"spoofed both MACs", ndFrame{src: peer, src6: mine6, target: peers6}.bytes(t), DropNDSender, nil},
		{"spoofed source address", ndFrame{src6: peers6, target: unknown6}.bytes(t), DropNDSender, nil},
		{"spoofed source address without option", with(ndFrame{src6: peers6, target: unknown6}), DropNDSender, nil},
		{"unregistered source address", ndFrame{src6: unknown6, target: peers6}.bytes(t), DropNDSender, nil},
		{"the second MAC with the first address", ndFrame{src: meToo, src6: mine6, target: peers6}.bytes(t), DropNDSender, nil},

		{"from a link-local address that nobody registered", ndFrame{src6: chosen6, target: peers6}.bytes(t), PassNDOther, nil},
		{"from such an address, without option", with(ndFrame{src6: chosen6, target: peers6}), PassNDOther, nil},
		{"from such an address with a spoofed link-layer address", ndFrame{link: peer, src6: chosen6, target: peers6}.bytes(t), DropNDSender, nil},
		{"from one like it", ndFrame{src6: ip6{0: 0xfe, 1: 0x80, 7: 1, 15: 9}, target: peers6}.bytes(t), DropNDSender, nil},

		{"through a router", ndFrame{hops: 254, src6: mine6, target: peers6}.bytes(t), DropNDMalformed, nil},
		{"code 1", ndFrame{code: 1, src6: mine6, target: peers6}.bytes(t), DropNDMalformed, nil},
		{"multicast target", ndFrame{src6: mine6, target: ip6{0: 0xff, 1: 2, 15: 1}}.bytes(t), DropNDMalformed, nil},
		{"option without length", change(79, 0), DropNDMalformed, nil},
		{"option beyond the message", change(79, 2), DropNDMalformed, nil},
		{"message too short", change(19, 23), DropNDMalformed, nil},
		{"half an option", change(19, 28), DropNDMalformed, nil},

		{"advertisement", answer, uncounted, nil},
		{"next header TCP", change(20, 6), uncounted, nil},
		{"hop-by-hop options", change(20, 0), uncounted, nil},
		{"only a header", change(20, 58)[:54], uncounted, nil},
		{"VLAN-tagged", slices.Concat(full[:12], []byte{0x81, 0, 0, 5}, full[12:]), uncounted, nil},
	}
	for n := 55; n < len(full); n++ {
		cases = append(cases, testCase{fmt.Sprintf("truncated to %d bytes", n), full[:n], DropNDMalformed, nil})
	}
	runCases(t, cases)
}

// expectND is what the programs must do with IPv6, written again in Go.
func expectND(f []byte) (Reason, []byte) {
	if len(f) < 55 || f[20] != 58 || f[54] != 135 {
		return uncounted, nil
	}
	if len(f) < 78 || f[21] != 255 || f[55] != 0 || f[62] == 0xff {
		return DropNDMalformed, nil
	}
	dst, src, src6, dst6, target := mac(f[0:]), mac(f[6:]), ip6(f[22:]), ip6(f[38:]), ip6(f[62:])
	if src6 == nothing6 {
		return PassNDOwn, nil
	}
	n := int(binary.BigEndian.Uint16(f[18:]))
	switch {
	case n > 32:
		return PassNDOther, nil
	case n != 24 && n != 32 || len(f) < 54+n || n == 32 && f[79] != 1:
		return DropNDMalformed, nil
	case n == 32 && f[78] != 1:
		return PassNDOther, nil
	}
	source, ok := world.sources6[Source6Key{InterfaceId: myInterface, Addr: src6}]
	ok = ok && source.Mac == src
	switch chosen := bytes.Equal(src6[:8], chosen6[:8]); {
	case n == 32 && mac(f[80:]) != src, !ok && !chosen:
		return DropNDSender, nil
	case !ok:
		return PassNDOther, nil
	}
	owner, ok := world.neighbors6[Neighbor6Key{NetworkId: source.NetworkId, Addr: target}]
	switch {
	case !ok:
		return PassNDMiss, nil
	case owner.InterfaceId == myInterface:
		return PassNDOwn, nil
	case n == 32 && dst6 == solicitedNode(target) && bytes.Equal(dst[:], append([]byte{0x33, 0x33}, dst6[12:]...)):
	case dst6 == target && dst == owner.Mac:
	default:
		return PassNDOther, nil
	}
	a := slices.Concat(src[:], owner.Mac[:], f[12:22], target[:], src6[:], []byte{136, 0, 0, 0, 0x60, 0, 0, 0}, target[:])
	if n == 32 {
		a = append(a, linkOption(2, owner.Mac)...)
	}
	binary.BigEndian.PutUint16(a[56:], sum6(a))
	return AnswerND, append(a, f[54+n:]...)
}

// sum6 is the checksum of a message of ICMPv6 whose field for it is 0 (RFC 8200, section 8.1).
func sum6(f []byte) uint16 {
	s := uint32(58 + len(f) - 54)
	for at := 22; at < len(f); at += 2 {
		s += uint32(binary.BigEndian.Uint16(f[at:]))
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

package oftest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/openvnet/openvnet/ofctl/flow"
)

func put16(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }
func put32(b []byte, v uint32) { binary.BigEndian.PutUint32(b, v) }
func put64(b []byte, v uint64) { binary.BigEndian.PutUint64(b, v) }
func putMAC(b []byte, v uint64) {
	put16(b, uint16(v>>32))
	put32(b[2:], uint32(v))
}

// fold brings a sum of 16-bit words to 16 bits.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// update gives the checksum after one word changed from old to now (RFC 1624): a wrong one stays as wrong.
func update(sum, old, now uint16) uint16 {
	return ^fold(uint32(^sum) + uint32(^old) + uint32(now))
}

// updateBytes is update for an even number of bytes.
func updateBytes(sum uint16, old, now []byte) uint16 {
	for i := 0; i+1 < len(old); i += 2 {
		sum = update(sum, be16(old[i:]), be16(now[i:]))
	}
	return sum
}

// add sums up 16-bit words.
func add(sum uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		if sum += uint32(be16(b)); sum >= 1<<31 {
			sum = uint32(fold(sum))
		}
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// rewrite brings the words of the headers that an edit changes into the frame, in the order of Open vSwitch.
func (p *packet) rewrite(e *edit) {
	from, to := &e.from, &e.to
	if from[wEthDst]^to[wEthDst] > 0xffff {
		putMAC(p.frame, to[wEthDst]>>16)
	}
	if from[wEthSrc]^to[wEthSrc] > 0xffff {
		putMAC(p.frame[6:], to[wEthSrc]>>16)
	}
	switch from.ethType() {
	case etherIPv4:
		if to.proto() != 0 { // else Open vSwitch takes the header for missing
			p.rewriteIPv4(from, to)
		}
	case etherIPv6:
		if to.proto() != 0 {
			p.rewriteIPv6(from, to)
		}
	case etherARP, etherRARP:
		if to[wARPSHA]&0xffff != 0 {
			p.rewriteARP(from, to)
		}
	case etherMPLS, etherMPLM:
		if l := p.l3; from[wMPLS] != to[wMPLS] && len(p.frame) >= l+4 {
			put32(p.frame[l:], uint32(to[wMPLS]))
		}
	}
	if tags(from) != tags(to) {
		p.retag(from, to)
	}
}

// tags gives the VLAN tags of a key: types and control information, zero for none.
func tags(k *key) (t [2]uint32) {
	if k.tagged() {
		t[0] = uint32(k[wVLAN]>>32)<<16 | uint32(k[wEthDst]&0xffff)
	}
	if k[wVLAN]>>16&flow.VLANPresent != 0 {
		t[1] = uint32(k[wVLAN]&0xffff)<<16 | uint32(k[wVLAN]>>16&0xffff)
	}
	return t
}

// retag replaces the VLAN tags but for those inside that stay.
func (p *packet) retag(from, to *key) {
	old, now := tagList(from), tagList(to)
	for len(old) > 0 && len(now) > 0 && old[len(old)-1] == now[len(now)-1] {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	b := make([]byte, 0, len(p.frame)+2*vlanHeader)
	b = append(b, p.frame[:12]...)
	for _, t := range now {
		b = binary.BigEndian.AppendUint32(b, t&^flow.VLANPresent)
	}
	p.frame = append(b, p.frame[12+len(old)*vlanHeader:]...)
	moved := (len(now) - len(old)) * vlanHeader
	p.l3 += moved
	if p.l4 != 0 {
		p.l4 += moved
	}
}

// tagList is tags without the zeros.
func tagList(k *key) []uint32 {
	t := tags(k)
	n := 0
	for n < len(t) && t[n] != 0 {
		n++
	}
	return t[:n]
}

// l4Bytes gives what follows the IP header, without padding.
func (p *packet) l4Bytes() []byte {
	if p.l4 == 0 || p.l4 > len(p.frame)-p.pad {
		return nil
	}
	return p.frame[p.l4 : len(p.frame)-p.pad]
}

// l4Sum gives the place of the checksum that covers the addresses; nil: there is none.
func l4Sum(proto uint8, l4 []byte) []byte {
	switch {
	case proto == protoTCP && len(l4) >= tcpHeader:
		return l4[16:18]
	case proto == protoUDP && len(l4) >= udpHeader && be16(l4[6:]) != 0:
		return l4[6:8]
	case proto == protoICMPv6 && len(l4) >= icmpHeader:
		return l4[2:4]
	}
	return nil
}

// patch updates a checksum for a change.
func patch(proto uint8, sum, old, now []byte) {
	if sum == nil {
		return
	}
	v := updateBytes(be16(sum), old, now)
	if proto == protoUDP && v == 0 {
		v = 0xffff
	}
	put16(sum, v)
}

func (p *packet) rewriteIPv4(from, to *key) {
	if p.l4 == 0 { // not sane
		return
	}
	h := p.frame[p.l3:]
	changed := from[wIPv4] ^ to[wIPv4]
	if changed>>32 != 0 {
		p.setIPv4(h[12:16], uint32(to[wIPv4]>>32))
	}
	if uint32(changed) != 0 {
		p.setIPv4(h[16:20], uint32(to[wIPv4]))
	}
	word := func(at int, v uint8, shift int) {
		old := be16(h[at:])
		now := old&^(0xff<<shift) | uint16(v)<<shift
		put16(h[10:], update(be16(h[10:]), old, now))
		put16(h[at:], now)
	}
	ip := from[wIP] ^ to[wIP]
	if ip>>16&0xff != 0 {
		word(0, uint8(to[wIP]>>16), 0)
	}
	if ip>>8&0xff != 0 {
		word(8, to.ttl(), 8)
	}
	p.rewritePorts(from, to)
	p.rewriteICMP(from, to, protoICMP)
}

// setIPv4 writes an address of the IPv4 header.
func (p *packet) setIPv4(at []byte, addr uint32) {
	var now [4]byte
	put32(now[:], addr)
	patch(p.proto, l4Sum(p.proto, p.l4Bytes()), at, now[:]) // also of later fragments, whose data suffers
	sum := p.frame[p.l3+10:]
	put16(sum, updateBytes(be16(sum), at, now[:]))
	copy(at, now[:])
}

func (p *packet) rewriteIPv6(from, to *key) {
	h := p.frame[p.l3:]
	if len(h) < ipv6Header {
		return
	}
	if from[wIPv6Src] != to[wIPv6Src] || from[wIPv6Src+1] != to[wIPv6Src+1] {
		p.setIPv6(h[8:24], to[wIPv6Src], to[wIPv6Src+1], true)
	}
	if from[wIPv6Dst] != to[wIPv6Dst] || from[wIPv6Dst+1] != to[wIPv6Dst+1] {
		p.setIPv6(h[24:40], to[wIPv6Dst], to[wIPv6Dst+1], !p.routed())
	}
	ip := from[wIP] ^ to[wIP]
	if ip>>16&0xff != 0 || ip>>32 != 0 {
		put32(h, be32(h)&0xf0000000|uint32(to[wIP]>>16&0xff)<<20|uint32(to[wIP]>>32)&0xfffff)
	}
	if ip>>8&0xff != 0 {
		h[7] = to.ttl()
	}
	if from.proto() == protoICMPv6 {
		p.rewriteND(from, to)
	}
	p.rewritePorts(from, to)
	p.rewriteICMP(from, to, protoICMPv6)
}

func (p *packet) setIPv6(at []byte, hi, lo uint64, sum bool) {
	var now [16]byte
	put64(now[:], hi)
	put64(now[8:], lo)
	if sum && !p.atomic() {
		patch(p.proto, l4Sum(p.proto, p.l4Bytes()), at, now[:])
	}
	copy(at, now[:])
}

// routed reports whether there is a routing header with segments left: then the checksum is over another destination.
func (p *packet) routed() bool {
	found := false
	p.walk(func(proto uint8, b []byte) { found = found || proto == 43 && b[3] > 0 })
	return found
}

// atomic reports whether there is a fragment header on a packet that is whole. Open vSwitch 3.1 does not find the checksum of
// such a packet.
func (p *packet) atomic() bool {
	found := false
	p.walk(func(proto uint8, b []byte) { found = found || proto == protoFragment && be16(b[2:]) == 0 })
	return found
}

// walk visits the extension headers of IPv6 up to a fragment header.
func (p *packet) walk(visit func(proto uint8, b []byte)) {
	b := p.frame[p.l3:]
	next := b[6]
	c := cursor{b: b[ipv6Header:]}
	for len(c.b) >= 8 {
		switch next {
		case protoFragment:
			visit(next, c.b)
			return
		case 0, 43, 51, 60:
			visit(next, c.b)
		default:
			return
		}
		size := (int(c.b[1]) + 1) * 8
		if next == 51 {
			size = (int(c.b[1]) + 2) * 4
		}
		next = c.b[0]
		if !c.skip(size) {
			return
		}
	}
}

func (p *packet) rewriteARP(from, to *key) {
	b := p.frame[p.l3:]
	if len(b) < arpHeader {
		return
	}
	if uint16(from[wARPSHA]) != uint16(to[wARPSHA]) {
		put16(b[6:], uint16(to[wARPSHA]))
	}
	if from[wARPSHA]^to[wARPSHA] > 0xffff {
		putMAC(b[8:], to[wARPSHA]>>16)
	}
	if from[wARPTHA] != to[wARPTHA] {
		putMAC(b[18:], to[wARPTHA]>>16)
	}
	changed := from[wARPIP] ^ to[wARPIP]
	if changed>>32 != 0 {
		put32(b[14:], uint32(to[wARPIP]>>32))
	}
	if uint32(changed) != 0 {
		put32(b[24:], uint32(to[wARPIP]))
	}
}

// rewritePorts writes the ports of TCP, UDP and SCTP.
func (p *packet) rewritePorts(from, to *key) {
	if p.frag&fragLater != 0 || from[wTp]>>32 == to[wTp]>>32 {
		return
	}
	p.setPorts(p.l4Bytes(), p.proto, uint32(to[wTp]>>32))
}

// setPorts writes both ports and the checksum over them.
func (p *packet) setPorts(l4 []byte, proto uint8, ports uint32) {
	var now [4]byte
	put32(now[:], ports)
	switch {
	case proto == protoTCP && len(l4) >= tcpHeader, proto == protoUDP && len(l4) >= udpHeader:
		patch(proto, l4Sum(proto, l4), l4[:4], now[:])
		copy(l4, now[:])
	case proto == protoSCTP && len(l4) >= sctpHeader:
		old := binary.LittleEndian.Uint32(l4[8:])
		was := sctpSum(l4)
		copy(l4, now[:])
		binary.LittleEndian.PutUint32(l4[8:], old^was^sctpSum(l4))
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sctpSum is the checksum of an SCTP packet (RFC 9260, appendix A).
func sctpSum(l4 []byte) uint32 {
	sum := crc32.Update(0, castagnoli, l4[:8])
	sum = crc32.Update(sum, castagnoli, []byte{0, 0, 0, 0})
	return crc32.Update(sum, castagnoli, l4[12:])
}

// rewriteICMP writes type and code.
func (p *packet) rewriteICMP(from, to *key, proto uint8) {
	l4 := p.l4Bytes()
	if p.proto != proto || p.frag&fragLater != 0 || len(l4) < icmpHeader || from[wTp]>>32 == to[wTp]>>32 {
		return
	}
	typ, code := to.tp()
	old, now := be16(l4), typ<<8|code&0xff
	put16(l4[2:], update(be16(l4[2:]), old, now))
	put16(l4, now)
}

// rewriteND writes the body of a neighbor solicitation or advertisement: first flags and option type, for which the checksum is
// made anew, then target and address.
func (p *packet) rewriteND(from, to *key) {
	l4 := p.l4Bytes()
	if len(l4) < ndHeader {
		return
	}
	if from[wNDFlags] != to[wNDFlags] || uint8(from[wTp]) != uint8(to[wTp]) {
		put32(l4[4:], uint32(to[wNDFlags]))
		if len(l4) > ndHeader {
			l4[ndHeader] = uint8(to[wTp])
		}
		put16(l4[2:], 0)
		put16(l4[2:], ^fold(add(p.pseudo6(protoICMPv6, len(l4)), l4)))
	}
	if from[wNDTarget] != to[wNDTarget] || from[wNDTarget+1] != to[wNDTarget+1] {
		var now [16]byte
		put64(now[:], to[wNDTarget])
		put64(now[8:], to[wNDTarget+1])
		patch(protoICMPv6, l4[2:4], l4[8:24], now[:])
		copy(l4[8:], now[:])
	}
	if from[wNDSLL] == to[wNDSLL] && from[wNDTLL] == to[wNDTLL] {
		return
	}
	for opts := l4[ndHeader:]; len(opts) >= 8 && opts[1] != 0; {
		if opts[1] == 1 && (opts[0] == 1 || opts[0] == 2) {
			lla := to[wNDSLL]
			if opts[0] == 2 {
				lla = to[wNDTLL]
			}
			var now [6]byte
			putMAC(now[:], lla>>16)
			patch(protoICMPv6, l4[2:4], opts[2:8], now[:])
			copy(opts[2:], now[:])
			return
		}
		opts = opts[min(len(opts), int(opts[1])*8):]
	}
}

// pseudo6 sums up the pseudo header of IPv6.
func (p *packet) pseudo6(proto uint8, size int) uint32 {
	return add(uint32(proto)+uint32(size), p.frame[p.l3+8:p.l3+40])
}

package oftest

import "encoding/binary"

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func mac(b []byte) uint64 { return uint64(be16(b))<<32 | uint64(be32(b[2:])) }

const (
	ethHeader  = 14
	vlanHeader = 4
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
	udpHeader  = 8
	sctpHeader = 12
	icmpHeader = 8
	arpHeader  = 28
	ndHeader   = 24 // up to the options
)

// layout says where the headers of a frame are; 0: there is none. pad is the number of bytes after the IP packet.
type layout struct {
	l3, l4, pad int
}

// cursor takes headers off the front of a frame.
type cursor struct {
	b   []byte // what is left
	off int    // of b in the frame
}

func (c *cursor) skip(n int) bool {
	if n > len(c.b) {
		return false
	}
	c.b, c.off = c.b[n:], c.off+n
	return true
}

// parse reads the headers of a frame into k, whose header words must be zero, as flow_extract of Open vSwitch 3.1 does with
// its default vlan-limit of 1: a header that is not whole or not sane ends it, and what follows stays zero.
func parse(frame []byte, k *key) (l layout) {
	if len(frame) < ethHeader {
		return l
	}
	k[wEthDst] = mac(frame) << 16
	k[wEthSrc] = mac(frame[6:]) << 16
	c := cursor{frame[12:], 12}
	if t := be16(c.b); (t == etherVLAN || t == etherQinQ) && len(c.b) >= vlanHeader+2 {
		k[wEthDst] |= uint64(be16(c.b[2:]) | 0x1000)
		k[wVLAN] = uint64(t) << 32
		c.skip(vlanHeader)
	}
	typ := etherType(&c)
	k[wEthSrc] |= uint64(typ)
	l.l3 = c.off
	switch typ {
	case etherIPv4:
		parseIPv4(&c, k, &l)
	case etherIPv6:
		parseIPv6(&c, k, &l)
	case etherARP, etherRARP:
		parseARP(c.b, k)
	case etherMPLS, etherMPLM:
		if len(c.b) >= 4 {
			k[wMPLS] = uint64(be32(c.b))
		}
	}
	return l
}

// noType is the type of frames of IEEE 802.2 without SNAP.
const noType = 0x05ff

// etherType takes the type, also behind an LLC and SNAP header.
func etherType(c *cursor) uint16 {
	typ := be16(c.b)
	c.skip(2)
	if typ >= 0x600 {
		return typ
	}
	if b := c.b; len(b) >= 8 && b[0] == 0xaa && b[1] == 0xaa && b[2] == 3 && b[3]|b[4]|b[5] == 0 {
		if typ = be16(b[6:]); typ >= 0x600 {
			c.skip(8)
			return typ
		}
	}
	return noType
}

func parseARP(b []byte, k *key) {
	if len(b) < arpHeader || be16(b) != 1 || be16(b[2:]) != etherIPv4 || b[4] != 6 || b[5] != 4 {
		return
	}
	if op := be16(b[6:]); op <= 0xff {
		k[wARPSHA] = uint64(op)
	}
	k[wARPSHA] |= mac(b[8:]) << 16
	k[wARPTHA] = mac(b[18:]) << 16
	k[wARPIP] = uint64(be32(b[14:]))<<32 | uint64(be32(b[24:]))
}

// saneIPv4 checks the lengths of an IPv4 header.
func saneIPv4(b []byte) (header, total int, ok bool) {
	if len(b) < ipv4Header {
		return 0, 0, false
	}
	header, total = int(b[0]&15)*4, int(be16(b[2:]))
	return header, total, header >= ipv4Header && header <= len(b) && total <= len(b) && header <= total
}

func parseIPv4(c *cursor, k *key, l *layout) {
	header, total, ok := saneIPv4(c.b)
	if !ok {
		return
	}
	b := c.b[:total]
	l.pad = len(c.b) - total
	k[wIPv4] = be64(b[12:])
	frag := uint8(0)
	if off := be16(b[6:]); off&0x3fff != 0 {
		frag = fragAny
		if off&0x1fff != 0 {
			frag |= fragLater
		}
	}
	k[wIP] = uint64(b[9])<<24 | uint64(b[1])<<16 | uint64(b[8])<<8 | uint64(frag)
	l.l4 = c.off + header
	if frag&fragLater == 0 {
		parseL4(b[header:], k)
	}
}

func parseIPv6(c *cursor, k *key, l *layout) {
	if len(c.b) < ipv6Header {
		return
	}
	b := c.b
	plen := int(be16(b[4:]))
	if plen > len(b)-ipv6Header {
		return
	}
	l.pad = len(b) - ipv6Header - plen
	k[wIPv6Src], k[wIPv6Src+1] = be64(b[8:]), be64(b[16:])
	k[wIPv6Dst], k[wIPv6Dst+1] = be64(b[24:]), be64(b[32:])
	x := cursor{b[ipv6Header : ipv6Header+plen], c.off + ipv6Header}
	proto, frag, ok := extensions(&x, b[6])
	if !ok {
		return
	}
	word := be32(b)
	k[wIP] = uint64(word&0xfffff)<<32 | uint64(proto)<<24 | uint64(word>>20&0xff)<<16 | uint64(b[7])<<8 | uint64(frag)
	l.l4 = x.off
	if frag&fragLater == 0 {
		parseL4(x.b, k)
	}
}

// extensions skips the extension headers of IPv6. A later fragment has the protocol "fragment".
func extensions(c *cursor, next uint8) (proto, frag uint8, ok bool) {
	for {
		switch next {
		case 0, 43, 51, 60, protoFragment: // hop by hop, routing, authentication, destination options
		default:
			return next, frag, true
		}
		if len(c.b) < 8 {
			return 0, 0, false
		}
		this, size := next, (int(c.b[1])+1)*8
		off := be16(c.b[2:])
		next = c.b[0]
		switch this {
		case 51:
			size = (int(c.b[1]) + 2) * 4
		case protoFragment:
			size = 8
			if off != 0 {
				frag = fragAny
				if off&0xfff8 != 0 {
					return protoFragment, frag | fragLater, c.skip(size)
				}
			}
		}
		if !c.skip(size) {
			return 0, 0, false
		}
	}
}

func parseL4(b []byte, k *key) {
	switch k.proto() {
	case protoTCP:
		if len(b) >= tcpHeader {
			k[wTp] = uint64(be32(b))<<32 | uint64(be16(b[12:])&0xfff)<<16
		}
	case protoUDP:
		if len(b) >= udpHeader {
			k[wTp] = uint64(be32(b)) << 32
		}
	case protoSCTP:
		if len(b) >= sctpHeader {
			k[wTp] = uint64(be32(b)) << 32
		}
	case protoICMP:
		if len(b) >= icmpHeader && k.ethType() == etherIPv4 {
			k[wTp] = uint64(b[0])<<48 | uint64(b[1])<<32
		}
	case protoICMPv6:
		if len(b) >= icmpHeader && k.ethType() == etherIPv6 {
			k[wTp] = uint64(b[0])<<48 | uint64(b[1])<<32
			if k.isND() {
				parseND(b, k)
			}
		}
	}
}

// parseND reads target and options. If an option is malformed or comes twice, none of them counts.
func parseND(b []byte, k *key) {
	k[wNDFlags] = uint64(be32(b[4:]))
	if len(b) < ndHeader {
		return
	}
	k[wNDTarget], k[wNDTarget+1] = be64(b[8:]), be64(b[16:])
	typ := b[0]
	for opts := b[ndHeader:]; len(opts) >= 8; {
		size := int(opts[1]) * 8
		if size == 0 || size > len(opts) {
			k.noND()
			return
		}
		if size == 8 {
			lla := mac(opts[2:]) << 16
			switch {
			case typ == ndSolicit && opts[0] == 1:
				if k[wNDSLL] != 0 {
					k.noND()
					return
				}
				k[wNDSLL] = lla
				k[wTp] = k[wTp]&^0xff | uint64(opts[0])
			case typ == ndAdvertise && opts[0] == 2:
				if k[wNDTLL] != 0 {
					k.noND()
					return
				}
				k[wNDTLL] = lla
				k[wTp] = k[wTp]&^0xff | uint64(opts[0])
			}
		}
		opts = opts[size:]
	}
}

func (k *key) noND() {
	k[wNDTarget], k[wNDTarget+1], k[wNDSLL], k[wNDTLL] = 0, 0, 0, 0
	k[wTp] &^= 0xff
}

package frame

import (
	"encoding/binary"
	"net/netip"
)

// sum adds the big-endian words of b to s, the running value of the Internet checksum (RFC 1071). An odd last byte counts
// as the high half of a word, so only the last piece of a packet may have an odd length. The words are taken by
// fours, which the end-around carry of fold makes equal; 64 bits cannot overflow below 16 GiB.
func sum(s uint64, b []byte) uint64 {
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(binary.BigEndian.Uint32(b))
	}
	if len(b) >= 2 {
		s += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

// pseudoSum is the sum of the pseudo-header that transport checksums cover, over IPv4 (RFC 768) or IPv6 (RFC 8200, section 8.1).
func pseudoSum(src, dst netip.Addr, protocol uint8, length int) uint64 {
	if src.Is6() {
		s, d := src.As16(), dst.As16()
		return sum(sum(uint64(protocol)+uint64(length), s[:]), d[:])
	}
	s, d := src.As4(), dst.As4()
	return sum(sum(uint64(protocol)+uint64(length), s[:]), d[:])
}

// fold brings a sum to 16 bits.
func fold(s uint64) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

package members

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/openvnet/openvnet/model"
)

// Query gives the frames that ask everybody in a domain for the groups that they are in: IGMPv3 and MLDv2 general queries, from nobody (RFC 4541, section 2.1.1) and from the link-local address
// of mac. Without a router that asks, hosts report once only. They answer at a time of their choice within that time, which is rounded down to tenths of a second and is
// 12.7 s at most.
func Query(mac model.MAC, within time.Duration) [2][]byte {
	tenths := uint16(min(within/(100*time.Millisecond), 127))
	four := append([]byte{0x01, 0x00, 0x5e, 0, 0, 1}, mac[:]...)
	four = append(four, 0x08, 0x00)
	at := len(four)
	// A header of 24 bytes with the router alert option (RFC 2113), TTL 1, from 0.0.0.0 to 224.0.0.1.
	four = append(four, 0x46, 0xc0, 0, 36, 0, 0, 0, 0, 1, protocolIGMP, 0, 0, 0, 0, 0, 0, 224, 0, 0, 1, 0x94, 4, 0, 0)
	binary.BigEndian.PutUint16(four[at+10:], checksum(0, four[at:]))
	body := []byte{0x11, byte(tenths), 0, 0, 0, 0, 0, 0, 2, 125, 0, 0} // robustness 2; every 125 s
	binary.BigEndian.PutUint16(body[2:], checksum(0, body))
	four = append(four, body...)

	src := mac.LinkLocal()
	all := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 1})
	six := append([]byte{0x33, 0x33, 0, 0, 0, 1}, mac[:]...)
	six = append(six, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 36, hopByHop, 1)
	six = append(append(six, src.AsSlice()...), all.AsSlice()...)
	six = append(six, protocolICMPv6, 0, 5, 2, 0, 0, 1, 0) // router alert for MLD (RFC 2711), padded
	body = make([]byte, 28)
	body[0] = 130
	binary.BigEndian.PutUint16(body[4:], 100*tenths)
	body[24], body[25] = 2, 125
	pseudo := append(append(src.AsSlice(), all.AsSlice()...), 0, 0, 0, 28, 0, 0, 0, protocolICMPv6)
	binary.BigEndian.PutUint16(body[2:], checksum(partial(0, pseudo), body))
	return [2][]byte{four, append(six, body...)}
}

func partial(s uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return s
}

// checksum is the Internet checksum (RFC 1071) of b, of even length, after s.
func checksum(s uint32, b []byte) uint16 {
	s = partial(s, b)
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

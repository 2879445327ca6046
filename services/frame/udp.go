package frame

import (
	"encoding/binary"
	"net/netip"
)

const udpLen = 8

// MaxUDPPayload is the longest payload of a UDP datagram over IPv4, in bytes. Over IPv6 there is room for 20 more.
const MaxUDPPayload = 0xffff - ipv4Len - udpLen

// UDP is a UDP header (RFC 768).
type UDP struct {
	SrcPort, DstPort uint16
}

// DecodeUDP reads the header of a datagram that IP carried from src to dst, of one family, and gives its payload. b is the
// whole IP payload: a length other than b's is refused, because two readers of such a datagram see different payloads.
//
// A checksum of 0 says that the sender computed none (RFC 768), which it may not over IPv6 (RFC 8200, section 8.1). A checksum that covers the pseudo-header alone is
// taken too: a guest whose device offloads checksums leaves it so, and on a virtual port no hardware ever finishes it.
func DecodeUDP(b []byte, src, dst netip.Addr) (UDP, []byte, Reason) {
	if len(b) < udpLen {
		return UDP{}, nil, UDPShort
	}
	if int(binary.BigEndian.Uint16(b[4:])) != len(b) {
		return UDP{}, nil, UDPLength
	}
	if got := binary.BigEndian.Uint16(b[6:]); got != 0 || src.Is6() {
		pseudo := pseudoSum(src, dst, ProtocolUDP, len(b))
		if got != fold(pseudo) && fold(sum(pseudo, b)) != 0xffff {
			return UDP{}, nil, UDPChecksum
		}
	}
	return UDP{SrcPort: binary.BigEndian.Uint16(b), DstPort: binary.BigEndian.Uint16(b[2:])}, b[udpLen:], OK
}

// Append adds the header and the payload, which is at most [MaxUDPPayload] long, of a datagram that IP carries from src
// to dst, of one family, with its checksum.
func (h UDP) Append(b []byte, src, dst netip.Addr, payload []byte) []byte {
	start, length := len(b), udpLen+len(payload)
	b = binary.BigEndian.AppendUint16(b, h.SrcPort)
	b = binary.BigEndian.AppendUint16(b, h.DstPort)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0)
	b = append(b, payload...)
	check := ^fold(sum(pseudoSum(src, dst, ProtocolUDP, length), b[start:]))
	if check == 0 {
		check = 0xffff // 0 would say "none"
	}
	binary.BigEndian.PutUint16(b[start+6:], check)
	return b
}

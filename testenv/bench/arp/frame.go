package arp

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// An ARP frame for IPv4 over Ethernet (RFC 826): 14 bytes of Ethernet, 28 of ARP.
const (
	frameLen  = 42
	etherARP  = 0x0806
	opRequest = 1
	opReply   = 2

	offOp  = 20
	offSHA = 22
	offSPA = 28
	offTHA = 32
	offTPA = 38
)

// prologue is hardware type Ethernet, protocol IPv4, and the lengths of their addresses.
var prologue = []byte{0, 1, 8, 0, 6, 4}

func frame(dst, src model.MAC, op uint16, sha model.MAC, spa netip.Addr, tha model.MAC, tpa netip.Addr) []byte {
	b := make([]byte, 0, frameLen)
	b = append(append(b, dst[:]...), src[:]...)
	b = binary.BigEndian.AppendUint16(b, etherARP)
	b = append(b, prologue...)
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(append(b, sha[:]...), spa.AsSlice()...)
	return append(append(b, tha[:]...), tpa.AsSlice()...)
}

// request asks who has target.
func request(src model.MAC, addr, target netip.Addr) []byte {
	return frame(model.MAC{255, 255, 255, 255, 255, 255}, src, opRequest, src, addr, model.MAC{}, target)
}

// answers reports whether the frame is the answer to the request.
func answers(b, request []byte) bool {
	return len(b) >= frameLen && bytes.Equal(b[12:offOp], request[12:offOp]) && binary.BigEndian.Uint16(b[offOp:]) == opReply &&
		bytes.Equal(b[offSPA:offTHA], request[offTPA:frameLen]) && bytes.Equal(b[offTHA:frameLen], request[offSHA:offTHA]) &&
		bytes.Equal(b[:6], request[6:12])
}

// reply answers a request in the name of mac; nil for what is no request.
func reply(b []byte, mac model.MAC) []byte {
	if len(b) < frameLen || binary.BigEndian.Uint16(b[12:]) != etherARP || !bytes.Equal(b[14:offOp], prologue) ||
		binary.BigEndian.Uint16(b[offOp:]) != opRequest {
		return nil
	}
	asker := model.MAC(b[offSHA:offSPA])
	spa, target := netip.AddrFrom4([4]byte(b[offSPA:offTHA])), netip.AddrFrom4([4]byte(b[offTPA:frameLen]))
	return frame(asker, mac, opReply, mac, target, asker, spa)
}

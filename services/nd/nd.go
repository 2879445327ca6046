// Package nd answers neighbour solicitations (RFC 4861) for who is asked for, where flows cannot: byte for byte as they would, in place of the
// question, so that what the question's IPv6 header says of its class is the answer's. How many questions there are is bounded by the meter in the switch, before
// packets come here; who may ask, and for whom, is decided there too.
//
// It is pure and reads bytes that a guest chose: it never panics, and looks at nothing beyond them. The agent imports it.
package nd

import (
	"bytes"
	"encoding/binary"
)

const (
	ethernetLen = 14
	ipv6Len     = 40
	messageLen  = 24
	optionLen   = 8

	typeIPv6    = 0x86dd
	protoICMPv6 = 58

	solicitation  = 135
	advertisement = 136
	sourceLink    = 1
	targetLink    = 2

	solicited = 1 << 6 // in the first byte of the flags
	override  = 1 << 5

	maxExtensions = 8 // bounds how many extension headers are skipped
)

// Answer gives the advertisement, solicited and overriding, that answers the solicitation in a frame, whose Ethernet header is the answer's already: to the asker, from
// the target. Its link-layer option, if it has one, becomes the target's. It is nil if there is no solicitation in the frame, or one that says
// its option twice. Neither hop limit nor checksum of the question are looked at; the answer's checksum is made anew.
func Answer(frame []byte) []byte {
	at, end, ok := message(frame)
	if !ok || frame[at] != solicitation || frame[at+1] != 0 {
		return nil
	}
	link, ok := option(frame[at+messageLen : end])
	if !ok {
		return nil
	}
	b := bytes.Clone(frame)
	ip, m := b[ethernetLen:ethernetLen+ipv6Len], b[at:end]
	copy(ip[24:40], ip[8:24])
	copy(ip[8:24], m[8:24])
	m[0] = advertisement
	copy(m[4:8], []byte{solicited | override, 0, 0, 0})
	if link >= 0 {
		o := m[messageLen+link:]
		o[0] = targetLink
		copy(o[2:optionLen], frame[6:12])
	}
	m[2], m[3] = 0, 0
	binary.BigEndian.PutUint16(m[2:], checksum(ip, m))
	return b
}

// message gives where the message of ICMPv6 begins that a frame carries, and where it ends, padding aside. The bool is false of what is too short for neighbour
// discovery, or has none.
func message(frame []byte) (at, end int, ok bool) {
	if len(frame) < ethernetLen+ipv6Len || binary.BigEndian.Uint16(frame[12:]) != typeIPv6 || frame[ethernetLen]>>4 != 6 {
		return 0, 0, false
	}
	at, end = ethernetLen+ipv6Len, ethernetLen+ipv6Len+int(binary.BigEndian.Uint16(frame[ethernetLen+4:]))
	if end > len(frame) {
		return 0, 0, false
	}
	next := frame[ethernetLen+6]
	for range maxExtensions {
		switch next {
		case protoICMPv6:
			return at, end, end-at >= messageLen
		case 0, 43, 60: // hop by hop, routing, destination options
			if end-at < 8 {
				return 0, 0, false
			}
			size := 8 + 8*int(frame[at+1])
			if end-at < size {
				return 0, 0, false
			}
			next, at = frame[at], at+size
		default:
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// option gives where the source link-layer option is among options, -1 if there is none. What comes after an option that lies about its length is not
// looked at. The bool is false if the option is there twice.
func option(b []byte) (at int, ok bool) {
	link := -1
	for at := 0; len(b)-at >= optionLen; {
		size := 8 * int(b[at+1])
		if size == 0 || len(b)-at < size {
			break
		}
		if b[at] == sourceLink && size == optionLen {
			if link >= 0 {
				return 0, false
			}
			link = at
		}
		at += size
	}
	return link, true
}

// checksum is that of a message of ICMPv6 whose field for it is 0 (RFC 8200, section 8.1; RFC 1071).
func checksum(ip, m []byte) uint16 {
	s := uint64(protoICMPv6) + uint64(len(m))
	for _, b := range [][]byte{ip[8:40], m} {
		for ; len(b) > 1; b = b[2:] {
			s += uint64(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			s += uint64(b[0]) << 8
		}
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

package icmp

import "encoding/binary"

// Fragments of IPv4 (RFC 791, sections 2.3 and 3.1).
const (
	dontFragment  = 0x4000
	moreFragments = 0x2000
	offsetMask    = 0x1fff

	optionEnd    = 0
	optionNoOp   = 1
	optionCopied = 0x80 // the option stands in all fragments
)

// MayCut reports whether a frame has an IPv4 packet that routers may cut into fragments.
func MayCut(frame []byte) bool {
	b, ok := cuttable(frame)
	return ok && binary.BigEndian.Uint16(b[6:])&dontFragment == 0
}

// cuttable gives the IPv4 packet of a frame, without padding.
func cuttable(frame []byte) ([]byte, bool) {
	if len(frame) < ethernetLen+ipv4Len || binary.BigEndian.Uint16(frame[12:]) != typeIPv4 {
		return nil, false
	}
	b := frame[ethernetLen:]
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>4 != 4 || head < ipv4Len || total < head || len(b) < total {
		return nil, false
	}
	return b[:total], true
}

// Cut gives the frames of the fragments of an IPv4 packet, none of which is larger than the MTU, and all of about the same size: who puts packets together may refuse small fragments. It gives none of what cannot be cut: packets that may not be (MayCut), and MTUs that
// have no room for a header and eight bytes.
func Cut(frame []byte, mtu int) [][]byte {
	b, ok := cuttable(frame)
	if !ok || !MayCut(frame) {
		return nil
	}
	head := int(b[0]&15) * 4
	field := binary.BigEndian.Uint16(b[6:])
	offset, body := int(field&offsetMask), b[head:]
	first, later := b[:head], laterHeader(b[:head])
	each := len(body)
	if head+each > mtu {
		most := (mtu - head) &^ 7
		if most <= 0 {
			return nil
		}
		number := (each + most - 1) / most
		each = ((each+number-1)/number + 7) &^ 7
	}
	var frames [][]byte
	for h := first; ; h = later {
		size := min(each, len(body))
		more := size < len(body)
		f := make([]byte, 0, ethernetLen+len(h)+size)
		f = append(append(append(f, frame[:ethernetLen]...), h...), body[:size]...)
		ip := f[ethernetLen : ethernetLen+len(h)]
		flags := field & moreFragments
		if more {
			flags = moreFragments
		}
		binary.BigEndian.PutUint16(ip[2:], uint16(len(h)+size))             //nolint:gosec // no more than before
		binary.BigEndian.PutUint16(ip[6:], flags|uint16(offset)&offsetMask) //nolint:gosec // no more than before
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip)))
		frames = append(frames, f)
		if body = body[size:]; !more {
			return frames
		}
		offset += size / 8
	}
}

// laterHeader gives the header of all fragments but the first: with the options that are to be copied.
func laterHeader(h []byte) []byte {
	out := append([]byte{}, h[:ipv4Len]...)
	for o := h[ipv4Len:]; len(o) > 0 && o[0] != optionEnd; {
		size := 1
		if o[0] != optionNoOp {
			if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
				break
			}
			if size = int(o[1]); o[0]&optionCopied != 0 {
				out = append(out, o[:size]...)
			}
		}
		o = o[size:]
	}
	for len(out)%4 != 0 {
		out = append(out, optionEnd)
	}
	out[0] = 4<<4 | byte(len(out)/4) //nolint:gosec // at most 60 bytes
	return out
}

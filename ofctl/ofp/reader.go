package ofp

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// reader takes fields off the front of a message. The first failure stays in err, and everything after it reads as zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

// take gives the next n bytes, or nil.
func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.fail("truncated: %d bytes where %d are needed", len(r.b), n)
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) skip(n int) { r.take(n) }

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) mac() (m [6]byte) {
	copy(m[:], r.take(6))
	return m
}

// text reads a field of n bytes that ends at the first zero, or at its last byte.
func (r *reader) text(n int) string {
	v := r.take(n)
	v = v[:max(0, len(v)-1)]
	if i := bytes.IndexByte(v, 0); i >= 0 {
		v = v[:i]
	}
	return string(v)
}

// rest takes a copy of what is left; nil if nothing is.
func (r *reader) rest() []byte {
	if len(r.b) == 0 {
		return nil
	}
	return bytes.Clone(r.take(len(r.b)))
}

// sub gives a reader of the next n bytes; its failures must be taken over with join.
func (r *reader) sub(n int) reader { return reader{b: r.take(n), err: r.err} }

// join takes over the failure of a reader of a part, which must have been read to its end.
func (r *reader) join(s reader) {
	if s.err == nil && len(s.b) > 0 {
		s.fail("%d bytes too many", len(s.b))
	}
	if s.err != nil && r.err == nil {
		r.err, r.b = s.err, nil
	}
}

// match reads an OpenFlow 1.2+ match with its header and padding.
func (r *reader) match() flow.Match {
	tlvs := r.matchTLVs()
	if r.err != nil {
		return flow.Match{}
	}
	m, err := flow.DecodeMatch(tlvs)
	if err != nil {
		r.fail("%w", err)
	}
	return m
}

func (r *reader) metadata() flow.Match {
	m, err := flow.DecodeMetadata(r.matchTLVs())
	if err != nil {
		r.fail("%w", err)
	}
	return m
}

func (r *reader) matchTLVs() []byte {
	if t := r.u16(); t != matchOXM && r.err == nil {
		r.fail("match of type %d", t)
	}
	n := int(r.u16())
	if n < 4 {
		r.fail("match of length %d", n)
		return nil
	}
	tlvs := r.take(n - 4)
	r.skip(pad8(n))
	return tlvs
}

// property reads one property of the form type, length, value, padding to 8 bytes.
func (r *reader) property() (typ uint16, v reader) {
	typ = r.u16()
	n := int(r.u16())
	if n < 4 {
		r.fail("property of length %d", n)
	}
	v = r.sub(n - 4)
	r.skip(min(pad8(n), len(r.b))) // the last one may come without padding
	return typ, v
}

const matchOXM = 1 // OFPMT_OXM

// pad8 gives the bytes from n to the next multiple of 8.
func pad8(n int) int { return (8 - n%8) % 8 }

func append16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func append32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func append64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

func appendZeros(b []byte, n int) []byte {
	for range n {
		b = append(b, 0)
	}
	return b
}

// appendText appends s in a field of n bytes with at least one zero at the end.
func appendText(b []byte, s string, n int) []byte {
	s = s[:min(len(s), n-1)]
	return appendZeros(append(b, s...), n-len(s))
}

func appendMatch(b []byte, m flow.Match) []byte {
	tlvs := m.Encoded()
	n := 4 + len(tlvs)
	b = append16(append16(b, matchOXM), uint16(n))
	return appendZeros(append(b, tlvs...), pad8(n))
}

// appendProperty appends a property with padding.
func appendProperty(b []byte, typ uint16, v []byte) []byte {
	n := 4 + len(v)
	b = append(append16(append16(b, typ), uint16(n)), v...)
	return appendZeros(b, pad8(n))
}

// setLen16 writes the number of bytes from start at the offset at.
func setLen16(b []byte, at, start int) { binary.BigEndian.PutUint16(b[at:], uint16(len(b)-start)) }

package flow

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
)

// Value is the content of a field: an unsigned number of up to 128 bits, Hi above Lo. A MAC address or an IP address is
// the number that its bytes spell in network order, so that an IPv4 address occupies the low 32 bits.
type Value struct{ Hi, Lo uint64 }

// Uint gives the Value of a number.
func Uint(v uint64) Value { return Value{Lo: v} }

// MACValue gives the Value of a MAC address.
func MACValue(m [6]byte) Value {
	return Value{Lo: uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(binary.BigEndian.Uint32(m[2:]))}
}

// AddrValue gives the Value of an IP address: 32 bits for IPv4, 128 bits for IPv6. The zero Addr gives zero.
func AddrValue(a netip.Addr) Value {
	switch {
	case a.Is4():
		b := a.As4()
		return Value{Lo: uint64(binary.BigEndian.Uint32(b[:]))}
	case a.IsValid():
		b := a.As16()
		return Value{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	}
	return Value{}
}

// MAC gives the low 48 bits as a MAC address.
func (v Value) MAC() [6]byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v.Lo)
	return [6]byte(b[2:])
}

// Addr4 gives the low 32 bits as an IPv4 address.
func (v Value) Addr4() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(v.Lo))
	return netip.AddrFrom4(b)
}

// Addr6 gives the value as an IPv6 address.
func (v Value) Addr6() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], v.Hi)
	binary.BigEndian.PutUint64(b[8:], v.Lo)
	return netip.AddrFrom16(b)
}

// IsZero reports whether no bit is set.
func (v Value) IsZero() bool { return v == Value{} }

// And is the bitwise and.
func (v Value) And(w Value) Value { return Value{v.Hi & w.Hi, v.Lo & w.Lo} }

// Or is the bitwise or.
func (v Value) Or(w Value) Value { return Value{v.Hi | w.Hi, v.Lo | w.Lo} }

// AndNot clears the bits of w.
func (v Value) AndNot(w Value) Value { return Value{v.Hi &^ w.Hi, v.Lo &^ w.Lo} }

// Shl shifts left by n bits; what leaves the 128 bits is lost.
func (v Value) Shl(n int) Value {
	switch {
	case n >= 128:
		return Value{}
	case n >= 64:
		return Value{v.Lo << (n - 64), 0}
	case n == 0:
		return v
	}
	return Value{v.Hi<<n | v.Lo>>(64-n), v.Lo << n}
}

// Shr shifts right by n bits.
func (v Value) Shr(n int) Value {
	switch {
	case n >= 128:
		return Value{}
	case n >= 64:
		return Value{0, v.Hi >> (n - 64)}
	case n == 0:
		return v
	}
	return Value{v.Hi >> n, v.Lo>>n | v.Hi<<(64-n)}
}

// Ones gives the Value with the low n bits set, 0 <= n <= 128.
func Ones(n int) Value {
	switch {
	case n <= 0:
		return Value{}
	case n < 64:
		return Value{0, 1<<n - 1}
	case n < 128:
		return Value{1<<(n-64) - 1, ^uint64(0)}
	}
	return Value{^uint64(0), ^uint64(0)}
}

// Len gives the position of the highest set bit plus one: 0 for zero.
func (v Value) Len() int {
	if v.Hi != 0 {
		return 64 + bits.Len64(v.Hi)
	}
	return bits.Len64(v.Lo)
}

// String gives the hexadecimal form, 0 for zero.
func (v Value) String() string {
	if v.Hi != 0 {
		return fmt.Sprintf("0x%x%016x", v.Hi, v.Lo)
	}
	if v.Lo == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", v.Lo)
}

// trailingZeros is 128 for zero.
func (v Value) trailingZeros() int {
	if v.Lo != 0 {
		return bits.TrailingZeros64(v.Lo)
	}
	return 64 + bits.TrailingZeros64(v.Hi)
}

// appendValue appends the low n bytes of v in network order, n <= 16.
func appendValue(b []byte, v Value, n int) []byte {
	for i := n - 1; i >= 8; i-- {
		b = append(b, byte(v.Hi>>(8*(i-8))))
	}
	for i := min(n, 8) - 1; i >= 0; i-- {
		b = append(b, byte(v.Lo>>(8*i)))
	}
	return b
}

// readValue reads up to 16 bytes in network order.
func readValue[T []byte | string](b T) Value {
	var v Value
	for i := 0; i < len(b); i++ {
		v.Hi = v.Hi<<8 | v.Lo>>56
		v.Lo = v.Lo<<8 | uint64(b[i])
	}
	return v
}

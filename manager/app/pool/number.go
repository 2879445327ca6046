// Package pool finds what is still free in ranges of MAC or IP addresses: as long as nothing but the set is asked, in a time that does
// not grow with how many are taken.
//
// It is pure and knows no objects: manager/app says what is taken, and checks again in its transaction. Imported by
// manager/app.
package pool

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// Number is an address as a number of 128 bits. Comparable, so that it can be a map key.
type Number struct{ hi, lo uint64 }

// OfMAC gives a MAC address as a number.
func OfMAC(m model.MAC) Number {
	var b [8]byte
	copy(b[2:], m[:])
	return Number{0, binary.BigEndian.Uint64(b[:])}
}

// MAC gives the number as a MAC address.
func (n Number) MAC() (m model.MAC) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n.lo)
	copy(m[:], b[2:])
	return m
}

// OfAddr gives an IP address as a number. Those of the two families meet: a set is of one.
func OfAddr(a netip.Addr) Number {
	if a.Is4() {
		b := a.As4()
		return Number{0, uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return Number{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Addr gives the number as an IP address of the family, 4 or 6.
func (n Number) Addr(family int) netip.Addr {
	if family == 4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(n.lo))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	return netip.AddrFrom16(b)
}

// Compare gives -1, 0 or +1.
func (n Number) Compare(o Number) int {
	switch {
	case n == o:
		return 0
	case n.hi < o.hi || n.hi == o.hi && n.lo < o.lo:
		return -1
	}
	return 1
}

// next and prev give the neighbours, and whether there is one.
func (n Number) next() (Number, bool) {
	lo, carry := bits.Add64(n.lo, 1, 0)
	hi, carry := bits.Add64(n.hi, 0, carry)
	return Number{hi, lo}, carry == 0
}

func (n Number) prev() (Number, bool) {
	lo, borrow := bits.Sub64(n.lo, 1, 0)
	hi, borrow := bits.Sub64(n.hi, 0, borrow)
	return Number{hi, lo}, borrow == 0
}

func (n Number) plus(o Number) Number {
	lo, carry := bits.Add64(n.lo, o.lo, 0)
	hi, _ := bits.Add64(n.hi, o.hi, carry)
	return Number{hi, lo}
}

func (n Number) minus(o Number) Number {
	lo, borrow := bits.Sub64(n.lo, o.lo, 0)
	hi, _ := bits.Sub64(n.hi, o.hi, borrow)
	return Number{hi, lo}
}

// shift6 is n / 64.
func (n Number) shift6() Number { return Number{n.hi >> 6, n.lo>>6 | n.hi<<58} }

// unshift6 is n * 64 + bit.
func (n Number) unshift6(bit int) Number {
	return Number{n.hi<<6 | n.lo>>58, n.lo<<6 | uint64(bit)}
}

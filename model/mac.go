package model

import (
	"fmt"
	"net/netip"
	"strconv"
)

// MAC is an Ethernet hardware address in wire order. It is comparable, so that it can be a map key, and its zero value
// means "none".
type MAC [6]byte

// ParseMAC reads the form aa:bb:cc:dd:ee:ff (also with hyphens, in either case). Anything else, including shorter and
// longer hardware addresses, is an error.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	if len(s) != 17 {
		return MAC{}, fmt.Errorf("%q is not a MAC address of the form aa:bb:cc:dd:ee:ff", s)
	}
	for i := range m {
		if i > 0 && s[3*i-1] != s[2] {
			return MAC{}, fmt.Errorf("%q is not a MAC address of the form aa:bb:cc:dd:ee:ff", s)
		}
		b, err := strconv.ParseUint(s[3*i:3*i+2], 16, 8)
		if err != nil {
			return MAC{}, fmt.Errorf("%q is not a MAC address of the form aa:bb:cc:dd:ee:ff", s)
		}
		m[i] = byte(b)
	}
	if s[2] != ':' && s[2] != '-' {
		return MAC{}, fmt.Errorf("%q is not a MAC address of the form aa:bb:cc:dd:ee:ff", s)
	}
	return m, nil
}

// String gives the lower-case form with colons, and "" for the zero value.
func (m MAC) String() string {
	if m == (MAC{}) {
		return ""
	}
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, o := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hex[o>>4], hex[o&15])
	}
	return string(b)
}

// IsMulticast reports whether the group bit is set (IEEE 802, section 8.2), as it is in the broadcast address.
func (m MAC) IsMulticast() bool { return m[0]&1 != 0 }

// MarshalText gives the form of String.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the form of ParseMAC; an empty text gives the zero value.
func (m *MAC) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*m = MAC{}
		return nil
	}
	v, err := ParseMAC(string(b))
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// Uint64 gives the address as a number; numbers are in the order of addresses.
func (m MAC) Uint64() uint64 {
	var n uint64
	for _, b := range m {
		n = n<<8 | uint64(b)
	}
	return n
}

// MACFromUint64 gives the address of the low 48 bits of a number.
func MACFromUint64(n uint64) MAC {
	var m MAC
	for i := range m {
		m[i] = byte(n >> (8 * (len(m) - 1 - i)))
	}
	return m
}

// LinkLocal gives the link-local address that a host derives from its MAC address (RFC 4291, appendix A).
func (m MAC) LinkLocal() netip.Addr {
	return m.AddressIn(LinkLocals())
}

// AddressIn gives the address that a host derives from its MAC address in an IPv6 prefix of 64 bits (RFC 4291, appendix A; RFC 4862, section 5.5.3).
func (m MAC) AddressIn(p netip.Prefix) netip.Addr {
	a := p.Addr().As16()
	copy(a[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	return netip.AddrFrom16(a)
}

package model

import (
	"fmt"
	"regexp"
	"strconv"
)

// DPID is the 64-bit datapath id of an OpenFlow switch (OpenFlow 1.5.1, section 7.3.1). Its text form is 0x and 16
// hexadecimal digits.
type DPID uint64

var dpidSyntax = regexp.MustCompile(`^(0x)?[0-9a-f]{1,16}$`)

// ParseDPID reads up to 16 lower-case hexadecimal digits, with or without 0x.
func ParseDPID(s string) (DPID, error) {
	m := dpidSyntax.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a datapath id: up to 16 hexadecimal digits, with or without 0x", s)
	}
	n, err := strconv.ParseUint(s[len(m[1]):], 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a datapath id: %w", s, err)
	}
	return DPID(n), nil
}

// String gives 0x and 16 hexadecimal digits.
func (d DPID) String() string { return fmt.Sprintf("0x%016x", uint64(d)) }

// MarshalText gives the form of String.
func (d DPID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of ParseDPID.
func (d *DPID) UnmarshalText(b []byte) error {
	v, err := ParseDPID(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

package members

import (
	"encoding/binary"
	"net/netip"

	"github.com/openvnet/openvnet/services/frame"
)

// Report is what a host says of one group.
type Report struct {
	Group netip.Addr
	Leave bool
}

// Message types: RFC 2236 and 3376 (IGMP), RFC 2710 and 3810 (MLD).
const (
	igmpReport1 = 0x12
	igmpReport2 = 0x16
	igmpLeave   = 0x17
	igmpReport3 = 0x22
	mldReport1  = 131
	mldDone     = 132
	mldReport2  = 143

	// Types of group records of IGMPv3 and MLDv2. Who includes no source has left; sources are not told apart otherwise.
	includeIs = 1
	excludeIs = 2
	includeTo = 3
	excludeTo = 4
	allowNew  = 5
)

const (
	typeIPv6       = 0x86dd
	protocolIGMP   = 2
	hopByHop       = 0
	protocolICMPv6 = 58
	maxReports     = 64 // of one message
)

// Decode reads the reports of a frame with an IGMP or MLD message; none if it has none or is malformed.
func Decode(b []byte) []Report {
	eth, b, reason := frame.DecodeEthernet(b)
	if reason != frame.OK {
		return nil
	}
	switch eth.Type {
	case frame.TypeIPv4:
		ip, b, reason := frame.DecodeIPv4(b)
		if reason == frame.OK && ip.Protocol == protocolIGMP {
			return igmp(b)
		}
	case typeIPv6:
		if len(b) < 40 || b[0]>>4 != 6 {
			return nil
		}
		next, n := b[6], int(binary.BigEndian.Uint16(b[4:]))
		if b = b[40:]; n > len(b) {
			return nil
		}
		b = b[:n]
		if next == hopByHop { // with the router alert (RFC 2711)
			if len(b) < 8 || len(b) < 8+int(b[1])*8 {
				return nil
			}
			next, b = b[0], b[8+int(b[1])*8:]
		}
		if next == protocolICMPv6 {
			return mld(b)
		}
	}
	return nil
}

func igmp(b []byte) []Report {
	if len(b) < 8 {
		return nil
	}
	switch b[0] {
	case igmpReport1, igmpReport2, igmpLeave:
		return valid(Report{netip.AddrFrom4([4]byte(b[4:8])), b[0] == igmpLeave})
	case igmpReport3:
		return records(b, 4)
	}
	return nil
}

func mld(b []byte) []Report {
	if len(b) < 8 {
		return nil
	}
	switch b[0] {
	case mldReport1, mldDone:
		if len(b) >= 24 {
			return valid(Report{netip.AddrFrom16([16]byte(b[8:24])), b[0] == mldDone})
		}
	case mldReport2:
		return records(b, 16)
	}
	return nil
}

// records reads the group records of IGMPv3 and MLDv2, whose addresses have size bytes.
func records(b []byte, size int) []Report {
	var rs []Report
	count := int(binary.BigEndian.Uint16(b[6:]))
	for b = b[8:]; count > 0 && len(rs) < maxReports; count-- {
		if len(b) < 4+size {
			return rs
		}
		sources := int(binary.BigEndian.Uint16(b[2:]))
		a, _ := netip.AddrFromSlice(b[4 : 4+size])
		r := Report{Group: a}
		switch b[0] {
		case includeIs, includeTo:
			r.Leave = sources == 0
			rs = append(rs, valid(r)...)
		case excludeIs, excludeTo, allowNew:
			rs = append(rs, valid(r)...)
		}
		n := 4 + size + sources*size + int(b[1])*4
		if n > len(b) {
			return rs
		}
		b = b[n:]
	}
	return rs
}

// valid leaves out what is no group, or one that everybody gets.
func valid(r Report) []Report {
	if !r.Group.IsMulticast() || LinkLocal(r.Group) {
		return nil
	}
	return []Report{r}
}

// LinkLocal reports whether everybody in a domain gets what is sent to the group: 224.0.0.0/24 (RFC 4541, section 2.1.2) and link-local or narrower scope in IPv6.
func LinkLocal(group netip.Addr) bool {
	if group.Is4() {
		b := group.As4()
		return b[0] == 224 && b[1] == 0 && b[2] == 0
	}
	b := group.As16()
	return b[1]&0xf <= 2
}

package model

import (
	"net/netip"
	"strings"
)

// IPRange is a range of addresses to lease from, both ends included.
type IPRange struct {
	Meta
	IPRangeGroupUUID string     `json:"ip_range_group_uuid" vn:"required,ref=ip_range_groups,cascade" doc:"The group."`
	BeginIPv4Address netip.Addr `json:"begin_ipv4_address" vn:"ip=4,mutable" doc:"First IPv4 address. A range is of IPv4 or of IPv6 addresses."`
	EndIPv4Address   netip.Addr `json:"end_ipv4_address" vn:"ip=4,mutable" doc:"Last IPv4 address."`
	BeginIPv6Address netip.Addr `json:"begin_ipv6_address" vn:"ip=6,mutable" doc:"First IPv6 address."`
	EndIPv6Address   netip.Addr `json:"end_ipv6_address" vn:"ip=6,mutable" doc:"Last IPv6 address."`
}

// IPRanges declares the resource.
var IPRanges = declare(spec[IPRange]{
	name: "ip_range", plural: "ip_ranges", prefix: "ipr",
	parent: "ip_range_group_uuid", path: "ip_ranges",
	doc: "A range of IPv4 or IPv6 addresses that leases are taken from.",
	validate: func(r *IPRange) error {
		if err := onePair("begin_ipv4_address", "end_ipv4_address", r.BeginIPv4Address, r.EndIPv4Address, r.BeginIPv6Address, r.EndIPv6Address); err != nil {
			return err
		}
		if begin, end := r.Bounds(); end.Less(begin) {
			return Errorf(ArgumentError, "end_ipv"+familyDigit(end)+"_address", "%s is before %s, where the range begins", end, begin)
		}
		return nil
	},
})

// onePair looks at two IPv4 and two IPv6 addresses, of which those of one family must be given. The names are those of the IPv4 fields.
func onePair(first, second string, a4, b4, a6, b6 netip.Addr) error {
	six := func(name string) string { return strings.Replace(name, "ipv4", "ipv6", 1) }
	switch {
	case (a4.IsValid() || b4.IsValid()) && (a6.IsValid() || b6.IsValid()):
		return Errorf(ArgumentError, six(first), "cannot be given together with IPv4 addresses: both are of one family")
	case a6.IsValid() && !b6.IsValid():
		return Errorf(MissingArgument, six(second), "is required with %s", six(first))
	case b6.IsValid() && !a6.IsValid():
		return Errorf(MissingArgument, six(first), "is required with %s", six(second))
	case a6.IsValid():
		return nil
	case !a4.IsValid():
		return Errorf(MissingArgument, first, "is required (or %s)", six(first))
	case !b4.IsValid():
		return Errorf(MissingArgument, second, "is required (or %s)", six(second))
	}
	return nil
}

// Bounds gives the first and the last address, of whichever family.
func (r *IPRange) Bounds() (begin, end netip.Addr) {
	if r.BeginIPv4Address.IsValid() {
		return r.BeginIPv4Address, r.EndIPv4Address
	}
	return r.BeginIPv6Address, r.EndIPv6Address
}

func familyDigit(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

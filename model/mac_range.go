package model

// MACRange is a range of MAC addresses, both ends included. Multicast addresses between them are not taken.
type MACRange struct {
	Meta
	MACRangeGroupUUID string `json:"mac_range_group_uuid" vn:"required,ref=mac_range_groups,cascade" doc:"The group."`
	BeginMACAddress   MAC    `json:"begin_mac_address" vn:"required,mutable" doc:"First address."`
	EndMACAddress     MAC    `json:"end_mac_address" vn:"required,mutable" doc:"Last address."`
}

// MACRanges declares the resource.
var MACRanges = declare(spec[MACRange]{
	name: "mac_range", plural: "mac_ranges", prefix: "mr",
	parent: "mac_range_group_uuid", path: "mac_ranges",
	doc: "A range of MAC addresses that addresses are taken from.",
	validate: func(r *MACRange) error {
		if r.EndMACAddress.Uint64() < r.BeginMACAddress.Uint64() {
			return Errorf(ArgumentError, "end_mac_address", "%s is before %s, where the range begins", r.EndMACAddress, r.BeginMACAddress)
		}
		return nil
	},
})

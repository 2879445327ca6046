package model

// MACRangeGroup is a set of ranges that MAC addresses are taken from.
type MACRangeGroup struct {
	Meta
	AllocationType string `json:"allocation_type" vn:"default=random,enum=incremental|decremental|random,mutable" doc:"incremental: the next address after the last one taken. decremental: the one before. random: any."`
}

// MACRangeGroups declares the resource.
var MACRangeGroups = declare(spec[MACRangeGroup]{
	name: "mac_range_group", plural: "mac_range_groups", prefix: "mrg",
	doc: "A set of ranges of MAC addresses for interfaces, route links and topologies to take addresses from.",
})

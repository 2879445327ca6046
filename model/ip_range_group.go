package model

// The orders in which a range group's values are taken.
const (
	AllocateIncremental = "incremental"
	AllocateDecremental = "decremental"
	AllocateRandom      = "random"
)

// IPRangeGroup is a set of ranges that lease policies take addresses from.
type IPRangeGroup struct {
	Meta
	AllocationType string `json:"allocation_type" vn:"default=incremental,enum=incremental|decremental|random,mutable" doc:"incremental: the next address after the last one taken. decremental: the one before. random: any."`
}

// IPRangeGroups declares the resource.
var IPRangeGroups = declare(spec[IPRangeGroup]{
	name: "ip_range_group", plural: "ip_range_groups", prefix: "iprg",
	doc: "A set of ranges of IP addresses for lease policies to take addresses from.",
})

package model

// AddressGroup is a set of addresses that rules name.
type AddressGroup struct {
	Meta
	DisplayName string     `json:"display_name" vn:"required,mutable" doc:"Name for people."`
	Addresses   PrefixList `json:"addresses" vn:"mutable" doc:"Addresses and prefixes, separated by commas."`
}

// AddressGroups declares the resource.
var AddressGroups = declare(spec[AddressGroup]{
	name: "address_group", plural: "address_groups", prefix: "ag",
	doc:   "A set of addresses and prefixes that security group rules name. Rules follow its changes.",
	reach: Reach{Rule: "needed"},
})

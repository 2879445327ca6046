package model

// MACLease gives an interface a MAC address.
type MACLease struct {
	Meta
	InterfaceUUID string `json:"interface_uuid" vn:"ref=interfaces,cascade,mutable" doc:"The interface that may use the address."`
	MACAddress    MAC    `json:"mac_address" vn:"required,unique=@mac,mutable" doc:"Unicast Ethernet address, unique over all networks and segments."`
	SegmentUUID   string `json:"segment_uuid" vn:"ref=segments,cascade,mutable" doc:"Segment that the address is used on."`
}

// MACLeases declares the resource.
var MACLeases = declare(spec[MACLease]{
	name: "mac_lease", plural: "mac_leases", prefix: "ml",
	doc:   "A MAC address that an interface may use.",
	reach: Reach{With: []string{"interface_uuid"}},
})

package model

// The timings of a lease policy.
const (
	LeaseImmediate = "immediate"
	LeaseDHCP      = "dhcp"
)

// LeasePolicy says from where interfaces get addresses, and what becomes of the leases.
type LeasePolicy struct {
	Meta
	Mode   string `json:"mode" vn:"default=simple,enum=simple" doc:"simple: addresses of the policy's networks, from the range group of each."`
	Timing string `json:"timing" vn:"default=immediate,enum=immediate|dhcp,mutable" doc:"immediate: an interface gets its lease when it is added. dhcp: when its guest first asks by DHCP or DHCPv6, or of IPv6 for a router."`
}

// LeasePolicies declares the resource.
var LeasePolicies = declare(spec[LeasePolicy]{
	name: "lease_policy", plural: "lease_policies", prefix: "lp",
	doc: "From where interfaces get addresses by themselves, when, and into which containers the leases go.",
})

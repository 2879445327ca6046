package model

// LeasePolicyBaseInterface is an interface that gets an address by a policy.
type LeasePolicyBaseInterface struct {
	Meta
	LeasePolicyUUID string `json:"lease_policy_uuid" vn:"required,ref=lease_policies,cascade,unique=pair" doc:"The policy."`
	InterfaceUUID   string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=pair" doc:"The interface."`
	Label           string `json:"label" vn:"mutable" doc:"Selects the policy's lease containers of the same label for the lease; all without one."`
}

// LeasePolicyBaseInterfaces declares the resource.
var LeasePolicyBaseInterfaces = declare(spec[LeasePolicyBaseInterface]{
	name: "lease_policy_base_interface", plural: "lease_policy_base_interfaces", prefix: "lpi",
	parent: "lease_policy_uuid", path: "interfaces", key: "interface_uuid",
	after: []string{"ip_leases", "ip_ranges", "lease_policy_base_networks", "lease_policy_ip_lease_containers", "lease_policy_ip_retention_containers"},
	doc:   "An interface that gets an address by a lease policy. Removing it leaves its leases.",
})

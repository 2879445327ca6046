package model

// LeasePolicyIPLeaseContainer is a container for the leases of a policy.
type LeasePolicyIPLeaseContainer struct {
	Meta
	LeasePolicyUUID      string `json:"lease_policy_uuid" vn:"required,ref=lease_policies,cascade,unique=pair" doc:"The policy."`
	IPLeaseContainerUUID string `json:"ip_lease_container_uuid" vn:"required,ref=ip_lease_containers,cascade,unique=pair" doc:"The container."`
	Label                string `json:"label" vn:"mutable" doc:"The leases that it gets: those that are made with the same label, or with none."`
}

// LeasePolicyIPLeaseContainers declares the resource.
var LeasePolicyIPLeaseContainers = declare(spec[LeasePolicyIPLeaseContainer]{
	name: "lease_policy_ip_lease_container", plural: "lease_policy_ip_lease_containers", prefix: "lpilc",
	parent: "lease_policy_uuid", path: "ip_lease_containers", key: "ip_lease_container_uuid",
	doc: "A container that a lease policy puts its leases into.",
})

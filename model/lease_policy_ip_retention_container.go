package model

// LeasePolicyIPRetentionContainer is a retention container for the leases of a policy.
type LeasePolicyIPRetentionContainer struct {
	Meta
	LeasePolicyUUID          string `json:"lease_policy_uuid" vn:"required,ref=lease_policies,cascade,unique=pair" doc:"The policy."`
	IPRetentionContainerUUID string `json:"ip_retention_container_uuid" vn:"required,ref=ip_retention_containers,cascade,unique=pair" doc:"The container."`
}

// LeasePolicyIPRetentionContainers declares the resource.
var LeasePolicyIPRetentionContainers = declare(spec[LeasePolicyIPRetentionContainer]{
	name: "lease_policy_ip_retention_container", plural: "lease_policy_ip_retention_containers", prefix: "lpirc",
	parent: "lease_policy_uuid", path: "ip_retention_containers", key: "ip_retention_container_uuid",
	doc: "A retention container that a lease policy puts its leases into.",
})

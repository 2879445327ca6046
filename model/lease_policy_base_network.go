package model

// LeasePolicyBaseNetwork is a network that a policy takes addresses of.
type LeasePolicyBaseNetwork struct {
	Meta
	LeasePolicyUUID  string `json:"lease_policy_uuid" vn:"required,ref=lease_policies,cascade,unique=pair" doc:"The policy."`
	NetworkUUID      string `json:"network_uuid" vn:"required,ref=networks,cascade,unique=pair" doc:"The network."`
	IPRangeGroupUUID string `json:"ip_range_group_uuid" vn:"required,ref=ip_range_groups,mutable" doc:"Where in the network the addresses are."`
}

// LeasePolicyBaseNetworks declares the resource.
var LeasePolicyBaseNetworks = declare(spec[LeasePolicyBaseNetwork]{
	name: "lease_policy_base_network", plural: "lease_policy_base_networks", prefix: "lpn",
	parent: "lease_policy_uuid", path: "networks", key: "network_uuid",
	doc: "A network that a lease policy takes addresses of. The networks are tried in the order in which they were added.",
})

package model

// SecurityGroup is a set of interfaces with common rules: its text of rules, and its security group rules.
type SecurityGroup struct {
	Meta
	DisplayName            string        `json:"display_name" vn:"required,mutable" doc:"Name for people."`
	Description            Text          `json:"description" vn:"mutable" doc:"Some sentences for people."`
	TrustMembers           bool          `json:"trust_members" vn:"default=true,mutable" doc:"Whether members accept everything from each other."`
	EgressFilteringEnabled bool          `json:"egress_filtering_enabled" vn:"mutable" doc:"Whether members may send only what egress rules of their groups allow, and answers."`
	Rules                  SecurityRules `json:"rules" vn:"mutable,names=security_groups" doc:"What members accept: protocol:port:source, one on a line or separated by commas; tcp or udp with a port or 0 for all, icmp with -1; the source an address, a prefix, or a security group; # begins a comment."`
}

// SecurityGroups declares the resource.
var SecurityGroups = declare(spec[SecurityGroup]{
	name: "security_group", plural: "security_groups", prefix: "sg",
	doc:   "A set of interfaces with common rules for what they accept, and if it says so for what they send. What no rule allows is dropped.",
	reach: Reach{Rule: "needed"},
})

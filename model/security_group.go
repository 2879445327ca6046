package model

// SecurityGroup is a set of interfaces that accept everything from each other, and from others what the rules say.
type SecurityGroup struct {
	Meta
	DisplayName string        `json:"display_name" vn:"required,mutable" doc:"Name for people."`
	Description Text          `json:"description" vn:"mutable" doc:"Some sentences for people."`
	Rules       SecurityRules `json:"rules" vn:"mutable,names=security_groups" doc:"What members accept: protocol:port:source, one on a line or separated by commas; tcp or udp with a port or 0 for all, icmp with -1; the source an address, a prefix, or a security group; # begins a comment."`
}

// SecurityGroups declares the resource.
var SecurityGroups = declare(spec[SecurityGroup]{
	name: "security_group", plural: "security_groups", prefix: "sg",
	doc:   "A set of interfaces with common rules for what they accept. It applies to interfaces with ingress_filtering_enabled.",
	reach: Reach{Rule: "needed"},
})

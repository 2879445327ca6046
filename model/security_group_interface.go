package model

// SecurityGroupInterface is the membership of an interface in a security group.
type SecurityGroupInterface struct {
	Meta
	SecurityGroupUUID string `json:"security_group_uuid" vn:"required,ref=security_groups,cascade,unique=pair" doc:"The group."`
	InterfaceUUID     string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=pair" doc:"The interface."`
}

// SecurityGroupInterfaces declares the resource.
var SecurityGroupInterfaces = declare(spec[SecurityGroupInterface]{
	name: "security_group_interface", plural: "security_group_interfaces", prefix: "sgi",
	parent: "security_group_uuid", path: "interfaces", key: "interface_uuid",
	doc:   "An interface that is a member of a security group.",
	reach: Reach{With: []string{"security_group_uuid", "interface_uuid"}},
})

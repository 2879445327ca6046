package model

// ActiveInterface records that the port of an interface without a host of its own was found on a datapath. The manager
// writes it when an agent reports the port; it outlives both processes, so that a restart moves nothing.
type ActiveInterface struct {
	Meta
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=interface" doc:"The interface."`
	DatapathUUID  string `json:"datapath_uuid" vn:"required,ref=datapaths,cascade" doc:"Where it is."`
	PortName      string `json:"port_name" doc:"The port that it was recognised by."`
}

// ActiveInterfaces declares the resource.
var ActiveInterfaces = declare(spec[ActiveInterface]{
	name: "active_interface", plural: "active_interfaces", prefix: "aif", hidden: true, crossTenant: true,
	doc:   "Where an interface without a host of its own was found.",
	reach: Reach{With: []string{"interface_uuid"}},
})

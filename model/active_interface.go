package model

// ActiveInterface records where the port of an interface without a host of its own was found, and, while the interface moves, where it goes and where
// it came from. The manager writes it when an agent reports the port, or a move is announced; it outlives both processes, so that a restart moves nothing.
type ActiveInterface struct {
	Meta
	InterfaceUUID        string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=interface" doc:"The interface."`
	DatapathUUID         string `json:"datapath_uuid" vn:"required,ref=datapaths,cascade" doc:"Where it is: other hosts send there."`
	PortName             string `json:"port_name" doc:"The port that it was recognised by."`
	TargetDatapathUUID   string `json:"target_datapath_uuid" vn:"ref=datapaths,clear" doc:"Where it moves to: that host is ready for it, and it is there with its guest's first frame."`
	PreviousDatapathUUID string `json:"previous_datapath_uuid" vn:"ref=datapaths,clear" doc:"Where it was until a moment ago: that host sends on what still comes to it."`
}

// ActiveInterfaces declares the resource.
var ActiveInterfaces = declare(spec[ActiveInterface]{
	name: "active_interface", plural: "active_interfaces", prefix: "aif", hidden: true, crossTenant: true,
	doc:   "Where an interface without a host of its own was found.",
	reach: Reach{With: []string{"interface_uuid"}},
})

// SentOnVNI is added to the identifier of a network or segment: the key of its frames that an interface's former host sends on to the present one.
const SentOnVNI = 1 << 23

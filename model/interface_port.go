package model

// InterfacePort says on which port, and of which datapath, an interface is to be found.
type InterfacePort struct {
	Meta
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=interface" doc:"The interface."`
	DatapathUUID  string `json:"datapath_uuid" vn:"ref=datapaths,cascade,mutable,uniquezero=interface,uniquezero=port" doc:"The only datapath where it may be; empty for any."`
	PortName      string `json:"port_name" vn:"unique=port,mutable" doc:"Name of the Open vSwitch port, or its external_ids:iface-id."`
	Singular      bool   `json:"singular" vn:"mutable" doc:"Whether the interface may be on one datapath only at a time."`
}

// InterfacePorts declares the resource.
var InterfacePorts = declare(spec[InterfacePort]{
	name: "interface_port", plural: "interface_ports", prefix: "ifp",
	parent: "interface_uuid", path: "ports", crossTenant: true,
	doc:   "Where an interface is to be found: a port's name, on one datapath or on any.",
	reach: Reach{With: []string{"interface_uuid"}},
	validate: func(p *InterfacePort) error {
		if p.DatapathUUID == "" && p.PortName == "" && p.Singular {
			return Errorf(MissingArgument, "port_name", "is required with singular when there is no datapath_uuid")
		}
		return nil
	},
})

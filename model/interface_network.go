package model

// InterfaceNetwork says that an interface belongs to a network. The manager keeps a row as long as a lease justifies it.
type InterfaceNetwork struct {
	Meta
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=pair" doc:"The interface."`
	NetworkUUID   string `json:"network_uuid" vn:"required,ref=networks,cascade,unique=pair" doc:"The network."`
	Static        bool   `json:"static" vn:"mutable" doc:"Whether the row stays without a lease that justifies it."`
}

// InterfaceNetworks declares the resource.
var InterfaceNetworks = declare(spec[InterfaceNetwork]{
	name: "interface_network", plural: "interface_networks", prefix: "ifn",
	parent: "interface_uuid", path: "networks", key: "network_uuid", rows: true,
	doc:   "A network that an interface belongs to: by its leases, or always (static).",
	reach: Reach{With: []string{"interface_uuid", "network_uuid"}, If: "static"},
})

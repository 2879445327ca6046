package model

// TopologyNetwork is a network of a topology.
type TopologyNetwork struct {
	Meta
	TopologyUUID string `json:"topology_uuid" vn:"required,ref=topologies,cascade,unique=pair" doc:"The topology."`
	NetworkUUID  string `json:"network_uuid" vn:"required,ref=networks,cascade,unique=pair" doc:"The network."`
}

// TopologyNetworks declares the resource.
var TopologyNetworks = declare(spec[TopologyNetwork]{
	name: "topology_network", plural: "topology_networks", prefix: "tpn",
	parent: "topology_uuid", path: "networks", key: "network_uuid", rows: true, crossTenant: true,
	doc: "A network that a topology carries.",
})

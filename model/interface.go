package model

import "net/netip"

// The modes of an interface.
const (
	InterfaceVIF       = "vif"       // a guest's port on the bridge
	InterfaceHost      = "host"      // the host's own interface to an underlay; its address is the tunnel end
	InterfaceSimulated = "simulated" // exists on every host of its networks as flows and services only
)

// Interface is an attachment to networks: a guest's port, a host's underlay interface, or a simulated one.
type Interface struct {
	Meta
	DisplayName            string `json:"display_name" vn:"mutable" doc:"Name for people."`
	Mode                   string `json:"mode" vn:"required,enum=vif|host|simulated" doc:"vif: a guest's port. host: the host's interface to an underlay. simulated: services and gateways."`
	EnableRouting          bool   `json:"enable_routing" vn:"mutable" doc:"Whether the interface may forward packets that are not its own."`
	EnableRouteTranslation bool   `json:"enable_route_translation" vn:"mutable" doc:"Whether address translation applies to routed packets."`
	EnableFiltering        bool   `json:"enable_filtering" vn:"mutable" doc:"Whether filters apply; what they do not pass is dropped."`
}

// InterfaceInputs are the parameters of an interface's creation which make other objects in the same transaction: its port,
// its MAC lease and its IP leases.
type InterfaceInputs struct {
	OwnerDatapathUUID string     `json:"owner_datapath_uuid" vn:"ref=datapaths" doc:"Host of the interface. Without it a vif is where its port appears, and a simulated one everywhere."`
	PortName          string     `json:"port_name" doc:"Name of the Open vSwitch port (or its external_ids:iface-id). Without it the interface's uuid."`
	NetworkUUID       string     `json:"network_uuid" vn:"ref=networks" doc:"Network of the addresses."`
	IPv4Address       netip.Addr `json:"ipv4_address" vn:"ip=4" doc:"IPv4 address to lease in the network."`
	IPv6Address       netip.Addr `json:"ipv6_address" vn:"ip=6" doc:"IPv6 address to lease in the network."`
	MACAddress        MAC        `json:"mac_address" doc:"MAC address to lease. Generated when absent and a network is given."`
}

// Interfaces declares the resource.
var Interfaces = declare(spec[Interface]{
	name: "interface", plural: "interfaces", prefix: "if",
	doc:    "An attachment to networks: a guest's port (vif), a host's underlay interface (host), or a simulated one that services and gateways answer on.",
	inputs: InterfaceInputs{},
	reach:  Reach{Rule: "interface"},
})

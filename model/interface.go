package model

import (
	"net/netip"
	"strings"
)

// The modes of an interface.
const (
	InterfaceVIF         = "vif"         // a guest's port on the bridge
	InterfaceHost        = "host"        // the host's own interface to an underlay; its address is the tunnel end
	InterfaceSimulated   = "simulated"   // exists on every host of its networks as flows and services only
	InterfaceInternal    = "internal"    // the bridge's own port as a member of internal networks
	InterfacePatch       = "patch"       // a patch port to another bridge
	InterfacePromiscuous = "promiscuous" // a physical port that carries a whole outside layer 2 network
	InterfaceEdge        = "edge"        // a physical port that carries outside networks by VLAN
)

// Interface is an attachment to networks: a guest's port, a host's underlay interface, or a simulated one.
type Interface struct {
	Meta
	DisplayName             string `json:"display_name" vn:"mutable" doc:"Name for people."`
	Hostname                string `json:"hostname" vn:"domain,mutable" doc:"Name of the guest, one label, in the domains of its networks, told to it by DHCP and metadata; the uuid's suffix when absent."`
	Mode                    string `json:"mode" vn:"required,enum=vif|host|simulated|internal|patch|promiscuous|edge,mutable" doc:"vif: a guest's port. host: the host's interface to an underlay. simulated: services and gateways. internal: the bridge's own port. patch: a port to another bridge. promiscuous: a port with a whole outside network. edge: a port with outside networks by VLAN."`
	EnableRouting           bool   `json:"enable_routing" vn:"mutable" doc:"Whether the interface may forward packets that are not its own."`
	EnableRouteTranslation  bool   `json:"enable_route_translation" vn:"mutable" doc:"Whether address translation applies to routed packets."`
	EnableFiltering         bool   `json:"enable_filtering" vn:"mutable" doc:"Whether filters apply; what they do not pass is dropped."`
	IngressFilteringEnabled bool   `json:"ingress_filtering_enabled" vn:"mutable" doc:"Whether what the interface receives is judged by security groups although it is in none; in one, it always is."`
	IngressRate             uint32 `json:"ingress_rate" vn:"mutable,min=0,max=400000000" doc:"Limit of what the interface receives, in kbit/s; 0 for none."`
	IngressBurst            uint32 `json:"ingress_burst" vn:"mutable,min=0,max=400000000" doc:"What it may receive at once above ingress_rate, in kbit; a tenth of a second's worth when 0."`
	EgressRate              uint32 `json:"egress_rate" vn:"mutable,min=0,max=400000000" doc:"Limit of what the interface sends, in kbit/s; 0 for none."`
	EgressBurst             uint32 `json:"egress_burst" vn:"mutable,min=0,max=400000000" doc:"What it may send at once above egress_rate, in kbit; a tenth of a second's worth when 0."`
	DSCP                    uint16 `json:"dscp" vn:"mutable,min=0,max=63" doc:"Code point set in the IP packets that the interface sends (RFC 2474); 0 leaves them as they are."`
	ConnectionLimit         uint32 `json:"connection_limit" vn:"mutable,min=0,max=10000000" doc:"How many conversations are remembered for the interface's filters at a time; 0 for the agents' default."`
}

// InterfaceInputs are the parameters of an interface's creation which make other objects in the same transaction: its port,
// its MAC lease and its IP leases.
type InterfaceInputs struct {
	OwnerDatapathUUID string     `json:"owner_datapath_uuid" vn:"ref=datapaths" doc:"Host of the interface. Without it a vif is where its port appears, and a simulated one everywhere."`
	PortName          string     `json:"port_name" doc:"Name of the Open vSwitch port (or its external_ids:iface-id). Without it the interface's uuid."`
	SegmentUUID       string     `json:"segment_uuid" vn:"ref=segments" doc:"Segment of the MAC address; that of the network, if it lies on one, when absent."`
	NetworkUUID       string     `json:"network_uuid" vn:"ref=networks" doc:"Network of the addresses."`
	IPv4Address       netip.Addr `json:"ipv4_address" vn:"ip=4" doc:"IPv4 address to lease in the network."`
	IPv6Address       netip.Addr `json:"ipv6_address" vn:"ip=6" doc:"IPv6 address to lease in the network."`
	MACAddress        MAC        `json:"mac_address" doc:"MAC address to lease. When absent and a network or segment is given, taken from the mac_range_group_uuid or generated."`
	MACRangeGroupUUID string     `json:"mac_range_group_uuid" vn:"ref=mac_range_groups" doc:"Range group that the MAC address is taken from."`
}

// Interfaces declares the resource.
var Interfaces = declare(spec[Interface]{
	name: "interface", plural: "interfaces", prefix: "if",
	doc:     "An attachment to networks: a guest's port (vif), a host's underlay interface (host), or a simulated one that services and gateways answer on.",
	after:   []string{"mac_ranges"},
	inputs:  InterfaceInputs{},
	refused: map[string]map[string]string{"mode": {"remote": "an interface is remote to the hosts where it is not, by itself; give vif, and the host as owner_datapath_uuid"}},
	reach:   Reach{Rule: "interface"},
	validate: func(i *Interface) error {
		if strings.Contains(i.Hostname, ".") {
			return Errorf(ArgumentError, "hostname", "%q has dots; it is one label, of which the network's domain_name makes a whole name", i.Hostname)
		}
		return nil
	},
})

// GuestName gives the name of the guest, one label: its hostname, or else the uuid's suffix.
func (i *Interface) GuestName() string {
	if i.Hostname != "" {
		return i.Hostname
	}
	_, suffix, _ := strings.Cut(i.UUID, "-")
	return suffix
}

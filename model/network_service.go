package model

// The modes of a network service.
const (
	ServiceDHCP   = "dhcp"
	ServiceDNS    = "dns"
	ServiceRouter = "router"
	// ServiceMetadata answers at MetadataIPv4 and MetadataIPv6.
	ServiceMetadata = "metadata"
)

// NetworkService is a service that a simulated interface answers on every host of its networks.
type NetworkService struct {
	Meta
	DisplayName   string `json:"display_name" vn:"mutable" doc:"Name for people."`
	Mode          string `json:"mode" vn:"required,enum=dhcp|dns|router|metadata,alias=type,mutable" doc:"dhcp: addresses from the interface's networks' leases. dns: names from its dns_services. router: nothing more than the interface's routes. metadata: a guest's own data, as cloud-init reads it, at 169.254.169.254 and fd00:ec2::254."`
	InterfaceUUID string `json:"interface_uuid" vn:"ref=interfaces,cascade,mutable" doc:"The simulated interface that answers. Without one nobody does."`
	IncomingPort  uint16 `json:"incoming_port" vn:"min=0,max=65535,mutable" doc:"Port that the service listens on, for people; the services' own are fixed."`
	OutgoingPort  uint16 `json:"outgoing_port" vn:"min=0,max=65535,mutable" doc:"Port that the service answers from, for people."`
}

// NetworkServices declares the resource.
var NetworkServices = declare(spec[NetworkService]{
	name: "network_service", plural: "network_services", prefix: "ns",
	doc:   "A service answered on every host of the networks of a simulated interface.",
	reach: Reach{With: []string{"interface_uuid"}},
	check: func(s *NetworkService, rd Reader) error {
		if s.InterfaceUUID == "" {
			return nil
		}
		o, _ := rd.Get(s.InterfaceUUID)
		if i := o.(*Interface); i.Mode != InterfaceSimulated {
			return Errorf(ArgumentError, "interface_uuid", "%s has mode %s; a service needs one of mode %s", i.UUID, i.Mode, InterfaceSimulated)
		}
		return nil
	},
})

package model

// The modes of a network service.
const (
	ServiceDHCP = "dhcp"
)

// NetworkService is a service that a simulated interface answers on every host of its networks.
type NetworkService struct {
	Meta
	DisplayName   string `json:"display_name" vn:"mutable" doc:"Name for people."`
	Mode          string `json:"mode" vn:"required,enum=dhcp" doc:"dhcp: addresses from the interface's networks' leases."`
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade" doc:"The simulated interface that answers."`
}

// NetworkServices declares the resource.
var NetworkServices = declare(spec[NetworkService]{
	name: "network_service", plural: "network_services", prefix: "ns",
	doc:   "A service answered on every host of the networks of a simulated interface.",
	reach: Reach{With: []string{"interface_uuid"}},
	check: func(s *NetworkService, rd Reader) error {
		o, _ := rd.Get(s.InterfaceUUID)
		if i := o.(*Interface); i.Mode != InterfaceSimulated {
			return Errorf(ArgumentError, "interface_uuid", "%s has mode %s; a service needs one of mode %s", i.UUID, i.Mode, InterfaceSimulated)
		}
		return nil
	},
})

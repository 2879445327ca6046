package model

// MACLease gives an interface a MAC address.
type MACLease struct {
	Meta
	InterfaceUUID string `json:"interface_uuid" vn:"ref=interfaces,cascade,mutable" doc:"The interface that may use the address."`
	MACAddress    MAC    `json:"mac_address" vn:"required,unique=mac" doc:"Unicast Ethernet address, unique over all networks."`
}

// MACLeases declares the resource.
var MACLeases = declare(spec[MACLease]{
	name: "mac_lease", plural: "mac_leases", prefix: "ml",
	doc:   "A MAC address that an interface may use.",
	reach: Reach{With: []string{"interface_uuid"}},
	validate: func(l *MACLease) error {
		if l.MACAddress.IsMulticast() {
			return Errorf(ArgumentError, "mac_address", "%s is a multicast address", l.MACAddress)
		}
		return nil
	},
})

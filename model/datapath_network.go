package model

// DatapathNetwork wires a network to a datapath by hand: the network may have guests there and is carried to it.
type DatapathNetwork struct {
	Meta
	DatapathUUID  string `json:"datapath_uuid" vn:"required,ref=datapaths,cascade,unique=pair" doc:"The datapath."`
	NetworkUUID   string `json:"network_uuid" vn:"required,ref=networks,cascade,unique=pair" doc:"The network."`
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade" doc:"Host interface of the datapath that carries the network."`
	IPLeaseUUID   string `json:"ip_lease_uuid" vn:"ref=ip_leases,cascade" doc:"Lease whose address is the tunnel end; the host interface's first one when absent."`
	MACAddress    MAC    `json:"mac_address" vn:"unique=mac" doc:"Address that stands for the network on this datapath where frames travel without encapsulation. Generated when absent."`
}

// DatapathNetworks declares the resource.
var DatapathNetworks = declare(spec[DatapathNetwork]{
	name: "datapath_network", plural: "datapath_networks", prefix: "dpn",
	parent: "datapath_uuid", path: "networks", key: "network_uuid",
	doc:   "A network wired to a datapath by hand.",
	reach: Reach{With: []string{"network_uuid"}},
	check: func(d *DatapathNetwork, rd Reader) error {
		o, _ := rd.Get(d.InterfaceUUID)
		i := o.(*Interface)
		if i.Mode != InterfaceHost {
			return Errorf(ArgumentError, "interface_uuid", "%s has mode %s; a datapath's network needs one of mode %s", i.UUID, i.Mode, InterfaceHost)
		}
		for p := range rd.Referrers(i.UUID, "interface_ports.interface_uuid") {
			if p.(*InterfacePort).DatapathUUID == d.DatapathUUID {
				return nil
			}
		}
		return Errorf(ArgumentError, "interface_uuid", "%s is not on datapath %s", i.UUID, d.DatapathUUID)
	},
})

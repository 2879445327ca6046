package model

// DatapathNetwork wires a network to a datapath: the network may have guests there and is carried to it.
type DatapathNetwork struct {
	Meta
	DatapathUUID              string `json:"datapath_uuid" vn:"required,ref=datapaths,cascade,unique=pair" doc:"The datapath."`
	NetworkUUID               string `json:"network_uuid" vn:"required,ref=networks,cascade,unique=pair" doc:"The network."`
	InterfaceUUID             string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,mutable" doc:"Host interface of the datapath that carries the network."`
	IPLeaseUUID               string `json:"ip_lease_uuid" vn:"ref=ip_leases,cascade,mutable" doc:"Lease whose address is the tunnel end; the host interface's first one when absent."`
	MACAddress                MAC    `json:"mac_address" vn:"unique=@mac,mutable,alias=broadcast_mac_address" doc:"Address that stands for the network on this datapath where frames travel without encapsulation. Generated when absent."`
	TopologyUUID              string `json:"topology_uuid" vn:"readonly,ref=topologies,cascade" doc:"Topology that made the row; empty for one made by hand."`
	TopologyLayerUUID         string `json:"topology_layer_uuid" vn:"readonly,ref=topology_layers,cascade" doc:"Layer that made the row."`
	TopologyMACRangeGroupUUID string `json:"topology_mac_range_group_uuid" vn:"readonly,ref=topology_mac_range_groups,cascade" doc:"Where the topology took the MAC address from."`
}

// DatapathNetworks declares the resource.
var DatapathNetworks = declare(spec[DatapathNetwork]{
	name: "datapath_network", plural: "datapath_networks", prefix: "dpn",
	parent: "datapath_uuid", path: "networks", key: "network_uuid", crossTenant: true,
	doc:   "A network wired to a datapath, by hand or by a topology.",
	reach: Reach{With: []string{"network_uuid"}},
	check: func(d *DatapathNetwork, rd Reader) error {
		return checkHostInterface(rd, d.DatapathUUID, d.InterfaceUUID, d.IPLeaseUUID)
	},
})

// checkHostInterface refuses an interface that is not of mode host and on the datapath, and a lease (if any) that is not the
// interface's.
func checkHostInterface(rd Reader, datapath, iface, lease string) error {
	o, _ := rd.Get(iface)
	if i := o.(*Interface); i.Mode != InterfaceHost {
		return Errorf(ArgumentError, "interface_uuid", "%s has mode %s; one of mode %s is needed", iface, i.Mode, InterfaceHost)
	}
	found := false
	for p := range rd.Referrers(iface, "interface_ports.interface_uuid") {
		found = found || p.(*InterfacePort).DatapathUUID == datapath
	}
	if !found {
		return Errorf(ArgumentError, "interface_uuid", "%s is not on datapath %s", iface, datapath)
	}
	if lease == "" {
		return nil
	}
	if o, _ := rd.Get(lease); o.(*IPLease).InterfaceUUID != iface {
		return Errorf(ArgumentError, "ip_lease_uuid", "%s is not a lease of the host interface %s", lease, iface)
	}
	return nil
}

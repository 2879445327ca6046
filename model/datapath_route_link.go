package model

// DatapathRouteLink wires a route link to a datapath.
type DatapathRouteLink struct {
	Meta
	DatapathUUID              string `json:"datapath_uuid" vn:"required,ref=datapaths,cascade,unique=pair" doc:"The datapath."`
	RouteLinkUUID             string `json:"route_link_uuid" vn:"required,ref=route_links,cascade,unique=pair" doc:"The route link."`
	InterfaceUUID             string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,mutable" doc:"Host interface of the datapath that carries the route link."`
	IPLeaseUUID               string `json:"ip_lease_uuid" vn:"ref=ip_leases,cascade,mutable" doc:"Lease whose address is the tunnel end; the host interface's first one when absent."`
	MACAddress                MAC    `json:"mac_address" vn:"unique=@mac,mutable,alias=broadcast_mac_address" doc:"Address that stands for the route link on this datapath where frames travel without encapsulation. Generated when absent."`
	TopologyUUID              string `json:"topology_uuid" vn:"readonly,ref=topologies,cascade" doc:"Topology that made the row; empty for one made by hand."`
	TopologyLayerUUID         string `json:"topology_layer_uuid" vn:"readonly,ref=topology_layers,cascade" doc:"Layer that made the row."`
	TopologyMACRangeGroupUUID string `json:"topology_mac_range_group_uuid" vn:"readonly,ref=topology_mac_range_groups,cascade" doc:"Where the topology took the MAC address from."`
}

// DatapathRouteLinks declares the resource.
var DatapathRouteLinks = declare(spec[DatapathRouteLink]{
	name: "datapath_route_link", plural: "datapath_route_links", prefix: "dprl",
	parent: "datapath_uuid", path: "route_links", key: "route_link_uuid", crossTenant: true,
	doc:   "A route link wired to a datapath, by hand or by a topology.",
	reach: Reach{With: []string{"route_link_uuid"}},
	check: func(d *DatapathRouteLink, rd Reader) error {
		return checkHostInterface(rd, d.DatapathUUID, d.InterfaceUUID, d.IPLeaseUUID)
	},
})

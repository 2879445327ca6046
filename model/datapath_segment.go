package model

// DatapathSegment wires a segment to a datapath.
type DatapathSegment struct {
	Meta
	DatapathUUID              string `json:"datapath_uuid" vn:"required,ref=datapaths,cascade,unique=pair" doc:"The datapath."`
	SegmentUUID               string `json:"segment_uuid" vn:"required,ref=segments,cascade,unique=pair" doc:"The segment."`
	InterfaceUUID             string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,mutable" doc:"Host interface of the datapath that carries the segment."`
	IPLeaseUUID               string `json:"ip_lease_uuid" vn:"ref=ip_leases,cascade,mutable" doc:"Lease whose address is the tunnel end; the host interface's first one when absent."`
	MACAddress                MAC    `json:"mac_address" vn:"unique=@mac,mutable,alias=broadcast_mac_address" doc:"Address that stands for the segment on this datapath where frames travel without encapsulation. Generated when absent."`
	TopologyUUID              string `json:"topology_uuid" vn:"readonly,ref=topologies,cascade" doc:"Topology that made the row; empty for one made by hand."`
	TopologyLayerUUID         string `json:"topology_layer_uuid" vn:"readonly,ref=topology_layers,cascade" doc:"Layer that made the row."`
	TopologyMACRangeGroupUUID string `json:"topology_mac_range_group_uuid" vn:"readonly,ref=topology_mac_range_groups,cascade" doc:"Where the topology took the MAC address from."`
}

// DatapathSegments declares the resource.
var DatapathSegments = declare(spec[DatapathSegment]{
	name: "datapath_segment", plural: "datapath_segments", prefix: "dps",
	parent: "datapath_uuid", path: "segments", key: "segment_uuid", crossTenant: true,
	doc:   "A segment wired to a datapath, by hand or by a topology.",
	reach: Reach{With: []string{"segment_uuid"}},
	check: func(d *DatapathSegment, rd Reader) error {
		return checkHostInterface(rd, d.DatapathUUID, d.InterfaceUUID, d.IPLeaseUUID)
	},
})

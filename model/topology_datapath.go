package model

// TopologyDatapath makes a datapath a member of an underlay.
type TopologyDatapath struct {
	Meta
	TopologyUUID  string `json:"topology_uuid" vn:"required,ref=topologies,cascade,unique=pair" doc:"The topology, of mode simple_underlay."`
	DatapathUUID  string `json:"datapath_uuid" vn:"required,ref=datapaths,cascade,unique=pair" doc:"The datapath."`
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,mutable" doc:"Host interface of the datapath."`
	IPLeaseUUID   string `json:"ip_lease_uuid" vn:"ref=ip_leases,cascade,mutable" doc:"Lease whose address is the tunnel end; the host interface's first one when absent."`
}

// TopologyDatapaths declares the resource.
var TopologyDatapaths = declare(spec[TopologyDatapath]{
	name: "topology_datapath", plural: "topology_datapaths", prefix: "tpd",
	parent: "topology_uuid", path: "datapaths", key: "datapath_uuid", rows: true, crossTenant: true,
	doc: "A datapath of an underlay, by one of its host interfaces.",
	check: func(t *TopologyDatapath, rd Reader) error {
		if err := checkMode(rd, "topology_uuid", t.TopologyUUID, TopologyUnderlay); err != nil {
			return err
		}
		return checkHostInterface(rd, t.DatapathUUID, t.InterfaceUUID, t.IPLeaseUUID)
	},
})

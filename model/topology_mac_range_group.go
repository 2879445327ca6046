package model

// TopologyMACRangeGroup is a MAC range group of a topology.
type TopologyMACRangeGroup struct {
	Meta
	TopologyUUID      string `json:"topology_uuid" vn:"required,ref=topologies,cascade,unique=pair" doc:"The topology."`
	MACRangeGroupUUID string `json:"mac_range_group_uuid" vn:"required,ref=mac_range_groups,cascade,unique=pair" doc:"The MAC range group."`
}

// TopologyMACRangeGroups declares the resource.
var TopologyMACRangeGroups = declare(spec[TopologyMACRangeGroup]{
	name: "topology_mac_range_group", plural: "topology_mac_range_groups", prefix: "tpmrg",
	parent: "topology_uuid", path: "mac_range_groups", key: "mac_range_group_uuid", rows: true, crossTenant: true,
	doc: "A range group that an underlay takes the MAC addresses of its datapaths from; the next one is used when one is exhausted.",
	check: func(t *TopologyMACRangeGroup, rd Reader) error {
		return checkMode(rd, "topology_uuid", t.TopologyUUID, TopologyUnderlay)
	},
})

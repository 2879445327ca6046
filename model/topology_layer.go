package model

// TopologyLayer lays an overlay over an underlay.
type TopologyLayer struct {
	Meta
	OverlayUUID  string `json:"overlay_uuid" vn:"required,ref=topologies,cascade,unique=pair" doc:"The topology above, of mode simple_overlay."`
	UnderlayUUID string `json:"underlay_uuid" vn:"required,ref=topologies,cascade,unique=pair" doc:"The topology below, of mode simple_underlay: its datapaths carry the overlay's networks."`
}

// TopologyLayers declares the resource.
var TopologyLayers = declare(spec[TopologyLayer]{
	name: "topology_layer", plural: "topology_layers", prefix: "tpl",
	parent: "overlay_uuid", path: "underlays", key: "underlay_uuid", rows: true, crossTenant: true,
	doc: "An overlay over an underlay.",
	check: func(l *TopologyLayer, rd Reader) error {
		if err := checkMode(rd, "overlay_uuid", l.OverlayUUID, TopologyOverlay); err != nil {
			return err
		}
		return checkMode(rd, "underlay_uuid", l.UnderlayUUID, TopologyUnderlay)
	},
})

package model

// TopologyRouteLink is a route link of a topology.
type TopologyRouteLink struct {
	Meta
	TopologyUUID  string `json:"topology_uuid" vn:"required,ref=topologies,cascade,unique=pair" doc:"The topology."`
	RouteLinkUUID string `json:"route_link_uuid" vn:"required,ref=route_links,cascade,unique=pair" doc:"The route link."`
}

// TopologyRouteLinks declares the resource.
var TopologyRouteLinks = declare(spec[TopologyRouteLink]{
	name: "topology_route_link", plural: "topology_route_links", prefix: "tprl",
	parent: "topology_uuid", path: "route_links", key: "route_link_uuid", rows: true, crossTenant: true,
	doc: "A route link that a topology carries.",
	check: func(t *TopologyRouteLink, rd Reader) error {
		return checkMode(rd, "topology_uuid", t.TopologyUUID, TopologyOverlay)
	},
})

package model

// RouteLink is the core of a virtual router: routes bring packets into it and out of it.
type RouteLink struct {
	Meta
	MACAddress MAC    `json:"mac_address" vn:"unique=@mac,mutable" doc:"Address of the router on the way between hosts. Generated when absent."`
	VNI        uint32 `json:"vni" vn:"readonly,unique=@vni" doc:"24-bit identifier on the wire, of the same numbers as networks'."`
}

// RouteLinkInputs are the parameters of a route link's creation that make other objects.
type RouteLinkInputs struct {
	TopologyUUID string `json:"topology_uuid" vn:"ref=topologies" doc:"Topology that the route link becomes a member of."`
}

// RouteLinks declares the resource.
var RouteLinks = declare(spec[RouteLink]{
	name: "route_link", plural: "route_links", prefix: "rl",
	doc:    "The core of a virtual router. Routes lead into it from networks, and out of it to networks.",
	after:  []string{"mac_ranges"},
	inputs: RouteLinkInputs{},
	reach:  Reach{Rule: "needed"},
})

package model

// InterfaceRouteLink says that an interface takes part in a route link. The manager keeps a row as long as a route justifies it.
type InterfaceRouteLink struct {
	Meta
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=pair" doc:"The interface."`
	RouteLinkUUID string `json:"route_link_uuid" vn:"required,ref=route_links,cascade,unique=pair" doc:"The route link."`
	Static        bool   `json:"static" vn:"mutable" doc:"Whether the row stays without a route that justifies it."`
}

// InterfaceRouteLinks declares the resource.
var InterfaceRouteLinks = declare(spec[InterfaceRouteLink]{
	name: "interface_route_link", plural: "interface_route_links", prefix: "ifrl",
	parent: "interface_uuid", path: "route_links", key: "route_link_uuid", rows: true,
	doc:   "A route link that an interface takes part in: by its routes, or always (static).",
	reach: Reach{With: []string{"interface_uuid", "route_link_uuid"}, If: "static"},
})

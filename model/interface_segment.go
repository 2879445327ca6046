package model

// InterfaceSegment says that an interface belongs to a segment. The manager keeps a row as long as a MAC lease justifies it.
type InterfaceSegment struct {
	Meta
	InterfaceUUID string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=pair" doc:"The interface."`
	SegmentUUID   string `json:"segment_uuid" vn:"required,ref=segments,cascade,unique=pair" doc:"The segment."`
	Static        bool   `json:"static" vn:"mutable" doc:"Whether the row stays without a MAC lease that justifies it. A promiscuous interface needs one that does."`
}

// InterfaceSegments declares the resource.
var InterfaceSegments = declare(spec[InterfaceSegment]{
	name: "interface_segment", plural: "interface_segments", prefix: "ifs",
	parent: "interface_uuid", path: "segments", key: "segment_uuid", rows: true,
	doc:   "A segment that an interface belongs to: by its MAC leases, or always (static).",
	reach: Reach{With: []string{"interface_uuid", "segment_uuid"}, If: "static"},
})

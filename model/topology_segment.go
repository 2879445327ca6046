package model

// TopologySegment is a segment of a topology.
type TopologySegment struct {
	Meta
	TopologyUUID string `json:"topology_uuid" vn:"required,ref=topologies,cascade,unique=pair" doc:"The topology."`
	SegmentUUID  string `json:"segment_uuid" vn:"required,ref=segments,cascade,unique=pair" doc:"The segment."`
}

// TopologySegments declares the resource.
var TopologySegments = declare(spec[TopologySegment]{
	name: "topology_segment", plural: "topology_segments", prefix: "tps",
	parent: "topology_uuid", path: "segments", key: "segment_uuid", rows: true, crossTenant: true,
	doc: "A segment that a topology carries.",
})

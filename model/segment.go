package model

// The modes of a segment.
const (
	SegmentVirtual  = "virtual"
	SegmentPhysical = "physical"
)

// Segment is a layer 2 broadcast domain without addresses of its own: who is on it is known by MAC address alone.
type Segment struct {
	Meta
	Mode           string `json:"mode" vn:"required,enum=virtual|physical" doc:"virtual: carried between hosts as a virtual network is. physical: of an underlay."`
	MTU            uint16 `json:"mtu" vn:"min=0,max=65535,mutable" doc:"Largest IP packet of the guests, in bytes; 0 for what hosts and encapsulation leave, which is also the upper bound."`
	UnknownUnicast string `json:"unknown_unicast" vn:"default=outside,enum=outside|flood|drop,mutable" doc:"Where frames go to a MAC address that nobody has: outside, to ports with devices behind them that nobody registered; flood, to everybody; drop."`
	Multicast      string `json:"multicast" vn:"default=flood,enum=flood|snoop|drop,mutable" doc:"Where multicast goes: flood, to everybody; snoop, to those that have joined; drop. Link-local groups go to everybody."`
	VNI            uint32 `json:"vni" vn:"readonly,unique=@vni" doc:"24-bit identifier on the wire, of the same numbers as networks'; 0 for physical ones."`
}

// SegmentInputs are the parameters of a segment's creation that make other objects.
type SegmentInputs struct {
	TopologyUUID string `json:"topology_uuid" vn:"ref=topologies" doc:"Topology that the segment becomes a member of."`
}

// Segments declares the resource.
var Segments = declare(spec[Segment]{
	name: "segment", plural: "segments", prefix: "seg",
	doc:    "A pure layer 2 network: MAC addresses are registered, IP addresses are free. A network may lie on a segment.",
	inputs: SegmentInputs{},
	reach:  Reach{Rule: "needed"},
})

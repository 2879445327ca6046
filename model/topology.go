package model

// DefaultTopology is the uuid of the topology that the manager makes when it first starts.
const DefaultTopology = "topo-default"

// The modes of a topology.
const (
	TopologyOverlay  = "simple_overlay"
	TopologyUnderlay = "simple_underlay"
)

// The encapsulations.
const (
	Geneve = "geneve" // RFC 8926
	VXLAN  = "vxlan"  // RFC 7348
	GRE    = "gre"    // RFC 2784 and 2890, with the key
)

// Topology says how networks are carried between datapaths.
type Topology struct {
	Meta
	Mode          string `json:"mode" vn:"required,enum=simple_overlay|simple_underlay" doc:"simple_overlay: virtual networks carried over others. simple_underlay: networks that exist already."`
	Automatic     bool   `json:"automatic" vn:"mutable" doc:"Of topo-default: every virtual network reaches every datapath, and agents register their own. The first explicit wiring (another topology, or a datapath's network) turns it off."`
	Encapsulation string `json:"encapsulation" vn:"default=geneve,enum=geneve|vxlan|gre,mutable" doc:"How frames travel between datapaths."`
	MAC2MAC       bool   `json:"mac2mac" vn:"mutable" doc:"Whether frames travel without encapsulation between datapaths whose host interfaces are in one physical network. Guests' MAC addresses are then seen there."`
	Activity      bool   `json:"activity" vn:"mutable" doc:"Of an overlay: a network, segment or route link is wired only to the datapaths where an interface of it is, and for as long. Without it, to all datapaths of the underlays."`
}

// Topologies declares the resource.
var Topologies = declare(spec[Topology]{
	name: "topology", plural: "topologies", prefix: "topo",
	doc:   "How networks are carried between datapaths. topo-default wires everything to everything until something is wired by hand.",
	reach: Reach{Rule: "default"},
	validate: func(t *Topology) error {
		if t.Automatic && t.UUID != DefaultTopology {
			return Errorf(ArgumentError, "automatic", "is for %s only", DefaultTopology)
		}
		if t.Activity && t.Mode != TopologyOverlay {
			return Errorf(ArgumentError, "activity", "is for topologies of mode %s only", TopologyOverlay)
		}
		return nil
	},
})

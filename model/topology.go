package model

// DefaultTopology is the uuid of the topology that the manager makes when it first starts.
const DefaultTopology = "topo-default"

// Topology says how networks are carried between datapaths.
type Topology struct {
	Meta
	Mode      string `json:"mode" vn:"required,enum=simple_overlay|simple_underlay" doc:"simple_overlay: virtual networks carried over others. simple_underlay: networks that exist already."`
	Automatic bool   `json:"automatic" vn:"mutable" doc:"Of topo-default: every virtual network reaches every datapath, and agents register their own. The first explicit wiring (another topology, or a datapath's network) turns it off."`
}

// Topologies declares the resource.
var Topologies = declare(spec[Topology]{
	name: "topology", plural: "topologies", prefix: "topo",
	doc:   "How networks are carried between datapaths. topo-default wires everything to everything until something is wired by hand.",
	reach: Reach{Rule: "everywhere"},
	validate: func(t *Topology) error {
		if t.Automatic && t.UUID != DefaultTopology {
			return Errorf(ArgumentError, "automatic", "is for %s only", DefaultTopology)
		}
		return nil
	},
})

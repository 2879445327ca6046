package model

// The directions of a mirror, seen from the interface that is mirrored.
const (
	MirrorBoth    = "both"
	MirrorIngress = "ingress"
	MirrorEgress  = "egress"
)

// Mirror gives one interface a copy of what another sends and receives.
type Mirror struct {
	Meta
	InterfaceUUID       string `json:"interface_uuid" vn:"required,ref=interfaces,cascade,unique=pair" doc:"The interface whose frames are copied, of mode vif."`
	TargetInterfaceUUID string `json:"target_interface_uuid" vn:"required,ref=interfaces,cascade,unique=pair" doc:"The interface, of mode vif, whose port gets the copies."`
	Direction           string `json:"direction" vn:"default=both,enum=both|ingress|egress,mutable" doc:"ingress: what the interface receives. egress: what it sends. both."`
	VNI                 uint32 `json:"vni" vn:"readonly,unique=@vni" doc:"24-bit identifier of the copies between hosts, of the same numbers as networks'."`
}

// Mirrors declares the resource.
var Mirrors = declare(spec[Mirror]{
	name: "mirror", plural: "mirrors", prefix: "mir",
	doc:   "Copies of an interface's frames for another interface, wherever that is.",
	reach: Reach{Rule: "needed"},
	check: func(m *Mirror, rd Reader) error {
		if err := checkMode(rd, "interface_uuid", m.InterfaceUUID, InterfaceVIF); err != nil {
			return err
		}
		if err := checkMode(rd, "target_interface_uuid", m.TargetInterfaceUUID, InterfaceVIF); err != nil {
			return err
		}
		if m.InterfaceUUID == m.TargetInterfaceUUID {
			return Errorf(ArgumentError, "target_interface_uuid", "is the interface that is mirrored itself")
		}
		return nil
	},
})

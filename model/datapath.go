package model

// Datapath is one Open vSwitch bridge under the control of one agent: a hypervisor host.
type Datapath struct {
	Meta
	DisplayName          string `json:"display_name" vn:"required,mutable" doc:"Name for people."`
	DPID                 DPID   `json:"dpid" vn:"required,unique=dpid" doc:"OpenFlow datapath id of the bridge."`
	NodeID               string `json:"node_id" vn:"required,mutable" doc:"Name by which the host's agent reports."`
	MTU                  uint16 `json:"mtu" vn:"readonly" doc:"Largest IP packet of the host's interface to the underlay, in bytes, as its agent says; 0 as long as it has not."`
	EnableOVSLearnAction bool   `json:"enable_ovs_learn_action" vn:"mutable,default=true" doc:"Has no effect, and is kept for who sets it. The switch learns nothing by itself: MAC addresses of devices outside are learned by the agent, which lets them age, bounds them for each port, and limits how often they move. That is what false asked for."`
}

// Datapaths declares the resource.
var Datapaths = declare(spec[Datapath]{
	name: "datapath", plural: "datapaths", prefix: "dp",
	doc:   "A hypervisor host: one Open vSwitch bridge and the agent that programs it. An agent that joins registers its own.",
	reach: Reach{Rule: "datapath"},
})

// Package local is what the agent tells the debugger of its own host over a unix socket: the paths and the values of that small
// HTTP API. It holds no logic. Imported by agent, which answers, and by the command line, which asks.
package local

import (
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// DefaultSocket is where the agent listens unless it is told otherwise.
const DefaultSocket = "/run/openvnet/vna.sock"

// The paths, all GET.
const (
	PathStatus   = "/v1/status"
	PathPorts    = "/v1/ports"
	PathFlows    = "/v1/flows" // ?object=UUID
	PathDrops    = "/v1/drops"
	PathMaps     = "/v1/maps"
	PathCounters = "/v1/counters" // ?object=UUID
	PathLimits   = "/v1/limits"
)

// Status is how the agent is.
type Status struct {
	Node     string `json:"node"`
	Datapath string `json:"datapath"`
	Revision int64  `json:"revision"`
	Complete bool   `json:"complete"` // the share is what the manager said, not what the disk remembers
	Switch   bool   `json:"switch"`   // there is a session with the switch
	Objects  int    `json:"objects"`
	Flows    int    `json:"flows"`
	// OpenFlowSent counts the messages that were sent to the switch since the agent started, but for packets.
	OpenFlowSent uint64         `json:"openflow_sent"`
	Services     []Service      `json:"services"`           // what works on packets that the switch sends up
	Unplaced     []string       `json:"unplaced,omitempty"` // ports without an interface
	Problems     []wire.Problem `json:"problems,omitempty"`
}

// Service is the work on one class of packets that the switch sends up.
type Service struct {
	Class   string            `json:"class"`
	Packets uint64            `json:"packets"` // since the agent started
	Dropped map[string]uint64 `json:"dropped,omitempty"`
}

// Port is a port of the bridge.
type Port struct {
	Name      string    `json:"name"`
	IfaceID   string    `json:"iface_id,omitempty"`
	OFPort    uint32    `json:"ofport"`
	Ifindex   int       `json:"ifindex,omitempty"`
	Interface string    `json:"interface,omitempty"` // uuid; "" for a port that belongs to none
	Addresses []Address `json:"addresses,omitempty"`
	FastPath  string    `json:"fast_path,omitempty"` // the hook of its program
}

// Address is one that a port's interface may use.
type Address struct {
	Network string     `json:"network"`
	MAC     model.MAC  `json:"mac"`
	Addr    netip.Addr `json:"addr"`
}

// Flow is a flow of the switch.
type Flow struct {
	TableID  uint8  `json:"table_id"`
	Priority uint16 `json:"priority"`
	pipeline.Description
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	Text    string `json:"text"`    // as ovs-ofctl writes it
	Foreign bool   `json:"foreign"` // not as it should be
}

// Drop counts packets that were dropped for a reason.
type Drop struct {
	Where   string `json:"where"` // flow, fast path, dhcp, dhcp6, ra, or the class of the agent's service
	Reason  string `json:"reason"`
	Doc     string `json:"doc,omitempty"`
	Packets uint64 `json:"packets"`
}

// Counter counts what an object has let pass, or refused.
type Counter struct {
	Resource string `json:"resource"`
	Object   string `json:"object"` // uuid; the id in digits of one that is not known any more
	What     string `json:"what"`   // sent, received; ingress, egress; in, out; announced
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"bytes"`
}

// Limit is what a port may ask the host for, of a class, and what it has had.
type Limit struct {
	Port      string `json:"port"`
	Interface string `json:"interface"`
	Class     string `json:"class"`
	Doc       string `json:"doc"`
	Where     string `json:"where"` // fast path: the program at the port; meter: of packets for the agent
	Rate      uint32 `json:"rate"`  // packets per second
	Burst     uint32 `json:"burst"` // packets
	Passed    uint64 `json:"passed"`
	Dropped   uint64 `json:"dropped"`
}

// Maps are the entries of the fast path.
type Maps struct {
	Ports     []MapPort      `json:"ports"`
	Sources   []MapSource    `json:"sources"`
	Neighbors []MapNeighbor  `json:"neighbors"`
	Simulated []MapSimulated `json:"simulated"`
	Counters  []MapCounter   `json:"counters"`
}

// MapPort is a port at which the fast path's program sits.
type MapPort struct {
	Name      string    `json:"name"`
	Ifindex   int       `json:"ifindex"`
	Hook      string    `json:"hook"`
	Interface string    `json:"interface"`
	Network   string    `json:"network"`
	MAC       model.MAC `json:"mac"`
}

// MapSource is an address that an interface may send from.
type MapSource struct {
	Interface string     `json:"interface"`
	Addr      netip.Addr `json:"addr"`
	MAC       model.MAC  `json:"mac"`
	Network   string     `json:"network"`
}

// MapNeighbor is an address that is answered for.
type MapNeighbor struct {
	Network   string     `json:"network"`
	Addr      netip.Addr `json:"addr"`
	MAC       model.MAC  `json:"mac"`
	Interface string     `json:"interface"`
}

// MapSimulated is a MAC address of a simulated interface, or one of its addresses, by which what is for it is limited.
type MapSimulated struct {
	MAC       model.MAC `json:"mac"`
	Addr      string    `json:"addr,omitempty"`
	Interface string    `json:"interface"`
}

// MapCounter is one of the fast path's counters.
type MapCounter struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

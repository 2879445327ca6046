package model

// HostState is what has become of an object on one host.
type HostState string

// The states of an object on a host.
const (
	StateApplied     HostState = "applied"     // the host's data plane has the object's last change
	StatePending     HostState = "pending"     // sent, or about to be, and not yet acknowledged
	StateError       HostState = "error"       // the host could not realise it; Reason says why
	StateUnreachable HostState = "unreachable" // the host's agent is not connected; what it had before goes on
)

// HostStatus is the realised state of an object on one host.
type HostStatus struct {
	DatapathUUID string    `json:"datapath_uuid"`
	NodeID       string    `json:"node_id"`
	State        HostState `json:"state"`
	Reason       string    `json:"reason,omitempty"`
}

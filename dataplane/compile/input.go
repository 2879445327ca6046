// Package compile turns a host's replica and the ports of its bridge into the desired state of its data plane. It is a pure
// function, unit by unit: same input, same items, no memory and no I/O. Which units a change concerns is worked out beside it,
// and a test asserts that recompiling those gives what compiling everything gives.
//
// One file per feature. It knows the domain (model, model/span) and the pipeline's declaration; it knows no driver. Imported
// by agent, by the tests that compare it with other executors, and by tools that show what would be installed.
package compile

import (
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model/span"
)

// Input is everything that the result depends on.
type Input struct {
	X      *span.Index // the host's replica
	Self   string      // uuid of its datapath
	Bridge *Bridge

	alike    alike // derived of X
	counted  *census
	attached map[string]bool // the same: domains that were asked for, with whether they have an outside attachment here
	sizes    map[string]int  // and networks, with their MTU
}

// HostUnit gives the unit of what every host has.
func HostUnit() state.Unit { return state.Unit{Kind: hostFeature.kind} }

// InterfaceUnit gives the unit of an interface.
func InterfaceUnit(uuid string) state.Unit {
	return state.Unit{Kind: interfaceFeature.kind, UUID: uuid}
}

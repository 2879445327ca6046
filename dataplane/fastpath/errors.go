package fastpath

import (
	"errors"
	"fmt"

	"github.com/openvnet/openvnet/dataplane/state"
)

// ItemError is one item that could not be brought into the kernel, or out of it. Errors.Is and As look into Err.
type ItemError struct {
	Kind Kind
	Key  any // string (name of a port or class), state.SourceKey, state.NeighborKey or state.SimulatedKey, by Kind
	Err  error
}

// Kind is a kind of item.
type Kind string

// The kinds.
const (
	KindPort     Kind = "port"
	KindSource   Kind = "source"
	KindNeighbor Kind = "neighbor"
	KindLimit    Kind = "limit"
	// KindSimulated is of simulated interfaces' addresses.
	KindSimulated Kind = "simulated address"
)

func (e *ItemError) Error() string {
	switch k := e.Key.(type) {
	case state.SourceKey:
		return fmt.Sprintf("fast path source %s of interface %d: %v", k.Addr, k.Interface, e.Err)
	case state.SimulatedKey:
		return fmt.Sprintf("fast path address %s of simulated %s: %v", k.Addr, k.MAC, e.Err)
	case state.NeighborKey:
		return fmt.Sprintf("fast path neighbor %s of network %d: %v", k.Addr, k.Network, e.Err)
	}
	return fmt.Sprintf("fast path %s %v: %v", e.Kind, e.Key, e.Err)
}

// Unwrap gives Err.
func (e *ItemError) Unwrap() error { return e.Err }

// Errors is every item of one call that failed; all others are done. Never empty where it is an error.
type Errors []*ItemError

func (e Errors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more items)", e[0], len(e)-1)
}

// Unwrap gives each ItemError.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, x := range e {
		all[i] = x
	}
	return all
}

// ErrNotSynced is what Apply gives before the first Sync.
var ErrNotSynced = errors.New("fast path is not synced yet")

// ErrOtherOwner is in an ItemError of a port that has an XDP program of somebody else.
var ErrOtherOwner = errors.New("the XDP hook is taken by another owner")

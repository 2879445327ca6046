package state

import (
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// SourceKey is the identity of a FastSource.
type SourceKey struct {
	Interface uint32
	Addr      netip.Addr
}

// Key gives the identity.
func (s FastSource) Key() SourceKey { return SourceKey{s.Interface, s.Addr} }

// NeighborKey is the identity of a Neighbor.
type NeighborKey struct {
	Network uint32
	Addr    netip.Addr
}

// Key gives the identity.
func (n Neighbor) Key() NeighborKey { return NeighborKey{n.Network, n.Addr} }

// SimulatedKey is the identity of a Simulated.
type SimulatedKey struct {
	MAC  model.MAC
	Addr netip.Addr
}

// Key gives the identity.
func (s Simulated) Key() SimulatedKey { return SimulatedKey{s.MAC, s.Addr} }

package state

import "net/netip"

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

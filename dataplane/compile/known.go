package compile

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
)

// What this host has found out about devices that nobody registered is an input like the ports: the agent puts it into the Bridge, and
// forgets it again. Each change says which units it concerns.

// LearnedKey is a MAC address of a device outside, in the domain of that number.
type LearnedKey struct {
	Domain uint32
	MAC    model.MAC
}

// NeighborKey is an address whose MAC address a device outside has told, in the domain of that number.
type NeighborKey struct {
	Domain uint32
	Addr   netip.Addr
}

// MemberKey is a multicast group in the domain of that number.
type MemberKey struct {
	Domain uint32
	Group  netip.Addr
}

// known is what was found out.
type known struct {
	learned   map[LearnedKey]string // the interface it is behind
	neighbors map[NeighborKey]model.MAC
	members   map[MemberKey]*membership
	numbers   map[uint32]struct{} // of memberships
}

// membership is a multicast group that somebody has joined.
type membership struct {
	number  uint32              // of its groups in the switch
	members map[string]struct{} // interfaces of this host, and other hosts, by uuid
}

func newKnown() known {
	return known{learned: map[LearnedKey]string{}, neighbors: map[NeighborKey]model.MAC{}, members: map[MemberKey]*membership{}, numbers: map[uint32]struct{}{}}
}

// Learn says that a MAC address is behind an interface of this host, of mode promiscuous, patch or edge. It gives the units that have to be compiled.
func (b *Bridge) Learn(k LearnedKey, iface string) []state.Unit {
	old, ok := b.learned[k]
	if ok && old == iface {
		return nil
	}
	b.learned[k] = iface
	units := []state.Unit{learnedUnit(k, iface)}
	if ok {
		units = append(units, learnedUnit(k, old))
	}
	return units
}

// Forget takes back what Learn said. It gives the units that have to be compiled.
func (b *Bridge) Forget(k LearnedKey) []state.Unit {
	iface, ok := b.learned[k]
	if !ok {
		return nil
	}
	delete(b.learned, k)
	return []state.Unit{learnedUnit(k, iface)}
}

// Learned gives the interface that a MAC address was learned behind.
func (b *Bridge) Learned(k LearnedKey) (iface string, ok bool) {
	iface, ok = b.learned[k]
	return iface, ok
}

// AllLearned gives all that was learned, with the interfaces, in no order.
func (b *Bridge) AllLearned() iter.Seq2[LearnedKey, string] { return maps.All(b.learned) }

// SetNeighbor says which MAC address has an address. It reports whether that is new.
func (b *Bridge) SetNeighbor(k NeighborKey, m model.MAC) bool {
	old, ok := b.neighbors[k]
	b.neighbors[k] = m
	return !ok || old != m
}

// RemoveNeighbor takes back what SetNeighbor said. It reports whether there was anything.
func (b *Bridge) RemoveNeighbor(k NeighborKey) bool {
	_, ok := b.neighbors[k]
	delete(b.neighbors, k)
	return ok
}

// Neighbor gives the MAC address that has an address.
func (b *Bridge) Neighbor(k NeighborKey) (model.MAC, bool) {
	m, ok := b.neighbors[k]
	return m, ok
}

// Neighbors gives all that SetNeighbor said, in no order.
func (b *Bridge) Neighbors() iter.Seq2[NeighborKey, model.MAC] { return maps.All(b.neighbors) }

// maxMemberships is as many multicast groups as have numbers.
const maxMemberships = 1 << 24

// Join says that a member, an interface of this host or another host by uuid, has joined a multicast group. It gives the units that have to be compiled.
func (b *Bridge) Join(k MemberKey, member string) []state.Unit {
	m := b.members[k]
	var units []state.Unit
	if m == nil {
		number := uint32(len(b.members)) // one of as many numbers and this one is free
		for ; ; number = (number + 1) % (uint32(len(b.members)) + 1) {
			if _, taken := b.numbers[number]; !taken {
				break
			}
		}
		if number >= maxMemberships {
			return nil
		}
		m = &membership{number, map[string]struct{}{}}
		b.members[k], b.numbers[number] = m, struct{}{}
		units = append(units, multicastUnit(k, ""))
	}
	if _, ok := m.members[member]; ok {
		return nil
	}
	m.members[member] = struct{}{}
	return append(units, multicastUnit(k, member))
}

// Leave takes back what Join said. It gives the units that have to be compiled.
func (b *Bridge) Leave(k MemberKey, member string) []state.Unit {
	m := b.members[k]
	if m == nil {
		return nil
	}
	if _, ok := m.members[member]; !ok {
		return nil
	}
	delete(m.members, member)
	units := []state.Unit{multicastUnit(k, member)}
	if len(m.members) == 0 {
		delete(b.members, k)
		delete(b.numbers, m.number)
		units = append(units, multicastUnit(k, ""))
	}
	return units
}

// Members gives the multicast groups that have members, in no order, with a set of these. Do not change it.
func (b *Bridge) Members() iter.Seq2[MemberKey, map[string]struct{}] {
	return func(yield func(MemberKey, map[string]struct{}) bool) {
		for k, m := range b.members {
			if !yield(k, m.members) {
				return
			}
		}
	}
}

// The text of keys in units.
func (k LearnedKey) String() string { return fmt.Sprintf("%d/%s", k.Domain, k.MAC) }
func (k MemberKey) String() string  { return fmt.Sprintf("%d/%s", k.Domain, k.Group) }

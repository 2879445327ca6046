package fastpath

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/state"
)

// bpfTable is a table in a BPF hash map whose keys and values are BK and BV.
type bpfTable[K, V comparable, BK, BV any] struct {
	m      *ebpf.Map
	key    func(K) BK
	value  func(V) BV
	decode func(BK, BV) (K, V)
}

func (t bpfTable[K, V, BK, BV]) all() (map[K]V, error) {
	const chunk = 4096
	entries := map[K]V{}
	keys, values := make([]BK, chunk), make([]BV, chunk)
	var at ebpf.MapBatchCursor
	for {
		n, err := t.m.BatchLookup(&at, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, fmt.Errorf("read map %v: %w", t.m, err)
		}
		for i := range n {
			k, v := t.decode(keys[i], values[i])
			entries[k] = v
		}
		if err != nil {
			return entries, nil
		}
	}
}

func (t bpfTable[K, V, BK, BV]) put(k K, v V) error {
	err := t.m.Put(t.key(k), t.value(v))
	if errors.Is(err, unix.E2BIG) {
		return fmt.Errorf("map %v is full with %d entries", t.m, t.m.MaxEntries())
	}
	if err != nil {
		return fmt.Errorf("write map %v: %w", t.m, err)
	}
	return nil
}

func (t bpfTable[K, V, BK, BV]) remove(k K) error {
	if err := t.m.Delete(t.key(k)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("delete from map %v: %w", t.m, err)
	}
	return nil
}

func portsTable(m *ebpf.Map) table[int, portEntry] {
	return bpfTable[int, portEntry, uint32, bpf.Port]{
		m:   m,
		key: func(ifindex int) uint32 { return uint32(ifindex) },
		value: func(p portEntry) bpf.Port {
			return bpf.Port{InterfaceId: p.iface, NetworkId: p.network, Features: p.features, Mac: p.mac}
		},
		decode: func(ifindex uint32, p bpf.Port) (int, portEntry) {
			return int(ifindex), portEntry{p.InterfaceId, p.NetworkId, p.Features, p.Mac}
		},
	}
}

// byFamily is a table with a map for each family of addresses.
type byFamily[K, V comparable] struct {
	v4, v6 table[K, V]
	is4    func(K) bool
}

func (t byFamily[K, V]) of(k K) table[K, V] {
	if t.is4(k) {
		return t.v4
	}
	return t.v6
}

func (t byFamily[K, V]) all() (map[K]V, error) {
	entries, err := t.v4.all()
	if err != nil {
		return nil, err
	}
	more, err := t.v6.all()
	maps.Copy(entries, more)
	return entries, err
}

func (t byFamily[K, V]) put(k K, v V) error { return t.of(k).put(k, v) }
func (t byFamily[K, V]) remove(k K) error   { return t.of(k).remove(k) }

func sourcesTable(v4, v6 *ebpf.Map) table[state.SourceKey, state.FastSource] {
	value := func(s state.FastSource) bpf.Source { return bpf.Source{NetworkId: s.Network, Mac: s.MAC} }
	decode := func(iface uint32, a netip.Addr, v bpf.Source) (state.SourceKey, state.FastSource) {
		s := state.FastSource{Interface: iface, Addr: a, MAC: v.Mac, Network: v.NetworkId}
		return s.Key(), s
	}
	return byFamily[state.SourceKey, state.FastSource]{
		v4: bpfTable[state.SourceKey, state.FastSource, bpf.SourceKey, bpf.Source]{
			m: v4, value: value,
			key: func(k state.SourceKey) bpf.SourceKey {
				return bpf.SourceKey{InterfaceId: k.Interface, Addr: k.Addr.As4()}
			},
			decode: func(k bpf.SourceKey, v bpf.Source) (state.SourceKey, state.FastSource) {
				return decode(k.InterfaceId, netip.AddrFrom4(k.Addr), v)
			},
		},
		v6: bpfTable[state.SourceKey, state.FastSource, bpf.Source6Key, bpf.Source]{
			m: v6, value: value,
			key: func(k state.SourceKey) bpf.Source6Key {
				return bpf.Source6Key{InterfaceId: k.Interface, Addr: k.Addr.As16()}
			},
			decode: func(k bpf.Source6Key, v bpf.Source) (state.SourceKey, state.FastSource) {
				return decode(k.InterfaceId, netip.AddrFrom16(k.Addr), v)
			},
		},
		is4: func(k state.SourceKey) bool { return k.Addr.Is4() },
	}
}

func neighborsTable(v4, v6 *ebpf.Map) table[state.NeighborKey, state.Neighbor] {
	value := func(n state.Neighbor) bpf.Neighbor { return bpf.Neighbor{InterfaceId: n.Interface, Mac: n.MAC} }
	decode := func(network uint32, a netip.Addr, v bpf.Neighbor) (state.NeighborKey, state.Neighbor) {
		n := state.Neighbor{Network: network, Addr: a, MAC: v.Mac, Interface: v.InterfaceId}
		return n.Key(), n
	}
	return byFamily[state.NeighborKey, state.Neighbor]{
		v4: bpfTable[state.NeighborKey, state.Neighbor, bpf.NeighborKey, bpf.Neighbor]{
			m: v4, value: value,
			key: func(k state.NeighborKey) bpf.NeighborKey {
				return bpf.NeighborKey{NetworkId: k.Network, Addr: k.Addr.As4()}
			},
			decode: func(k bpf.NeighborKey, v bpf.Neighbor) (state.NeighborKey, state.Neighbor) {
				return decode(k.NetworkId, netip.AddrFrom4(k.Addr), v)
			},
		},
		v6: bpfTable[state.NeighborKey, state.Neighbor, bpf.Neighbor6Key, bpf.Neighbor]{
			m: v6, value: value,
			key: func(k state.NeighborKey) bpf.Neighbor6Key {
				return bpf.Neighbor6Key{NetworkId: k.Network, Addr: k.Addr.As16()}
			},
			decode: func(k bpf.Neighbor6Key, v bpf.Neighbor) (state.NeighborKey, state.Neighbor) {
				return decode(k.NetworkId, netip.AddrFrom16(k.Addr), v)
			},
		},
		is4: func(k state.NeighborKey) bool { return k.Addr.Is4() },
	}
}

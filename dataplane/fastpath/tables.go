package fastpath

import (
	"errors"
	"fmt"
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

// The maps of addresses hold IPv4; an IPv6 item is ignored until ND is in the programs.

func sourcesTable(m *ebpf.Map) table[state.SourceKey, state.FastSource] {
	return bpfTable[state.SourceKey, state.FastSource, bpf.SourceKey, bpf.Source]{
		m: m,
		key: func(k state.SourceKey) bpf.SourceKey {
			return bpf.SourceKey{InterfaceId: k.Interface, Addr: k.Addr.As4()}
		},
		value: func(s state.FastSource) bpf.Source {
			return bpf.Source{NetworkId: s.Network, Mac: s.MAC}
		},
		decode: func(k bpf.SourceKey, v bpf.Source) (state.SourceKey, state.FastSource) {
			s := state.FastSource{Interface: k.InterfaceId, Addr: netip.AddrFrom4(k.Addr), MAC: v.Mac, Network: v.NetworkId}
			return s.Key(), s
		},
	}
}

func neighborsTable(m *ebpf.Map) table[state.NeighborKey, state.Neighbor] {
	return bpfTable[state.NeighborKey, state.Neighbor, bpf.NeighborKey, bpf.Neighbor]{
		m: m,
		key: func(k state.NeighborKey) bpf.NeighborKey {
			return bpf.NeighborKey{NetworkId: k.Network, Addr: k.Addr.As4()}
		},
		value: func(n state.Neighbor) bpf.Neighbor {
			return bpf.Neighbor{InterfaceId: n.Interface, Mac: n.MAC}
		},
		decode: func(k bpf.NeighborKey, v bpf.Neighbor) (state.NeighborKey, state.Neighbor) {
			n := state.Neighbor{Network: k.NetworkId, Addr: netip.AddrFrom4(k.Addr), MAC: v.Mac, Interface: v.InterfaceId}
			return n.Key(), n
		},
	}
}

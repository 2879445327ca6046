package fastpath

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

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

// portsTable is that of ports and of their buckets, whose values are the programs' own.
func portsTable(ports, buckets *ebpf.Map) table[int, portEntry] {
	return withBuckets{buckets: bucketsTable{buckets}, ports: bpfTable[int, portEntry, uint32, bpf.Port]{
		m:   ports,
		key: func(ifindex int) uint32 { return uint32(ifindex) },
		value: func(p portEntry) bpf.Port {
			return bpf.Port{InterfaceId: p.iface, NetworkId: p.network, Features: p.features, Mac: p.mac}
		},
		decode: func(ifindex uint32, p bpf.Port) (int, portEntry) {
			return int(ifindex), portEntry{iface: p.InterfaceId, network: p.NetworkId, features: p.Features, mac: p.Mac}
		},
	}}
}

type withBuckets struct {
	ports   table[int, portEntry]
	buckets bucketsTable
}

// all gives as unlimited what has only one of the two, such as a port of an earlier version.
func (t withBuckets) all() (map[int]portEntry, error) {
	entries, err := t.ports.all()
	if err != nil {
		return nil, err
	}
	buckets, err := t.buckets.read()
	for ifindex, e := range entries {
		if _, limited := buckets[ifindex]; !limited {
			e.unlimited = true
			entries[ifindex] = e
		}
	}
	for ifindex := range buckets {
		if _, ok := entries[ifindex]; !ok {
			entries[ifindex] = portEntry{unlimited: true}
		}
	}
	return entries, err
}

func (t withBuckets) put(ifindex int, e portEntry) error {
	if err := t.buckets.make(ifindex); err != nil {
		return err
	}
	return t.ports.put(ifindex, e)
}

func (t withBuckets) remove(ifindex int) error {
	return errors.Join(t.ports.remove(ifindex), t.buckets.remove(ifindex))
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

// limitsTable has classes by name; those of another version, which have none, are only read.
func limitsTable(m *ebpf.Map) table[string, state.FastLimit] {
	return named{bpfTable[bpf.Class, state.FastLimit, bpf.Class, bpf.Limit]{
		m:     m,
		key:   func(c bpf.Class) bpf.Class { return c },
		value: limitOf,
		decode: func(c bpf.Class, l bpf.Limit) (bpf.Class, state.FastLimit) {
			rate := (uint64(time.Second) + l.Interval/2) / max(l.Interval, 1)
			return c, state.FastLimit{Class: c.String(), Rate: uint32(rate), Burst: uint32(l.Saved / max(l.Interval, 1))} //nolint:gosec // as limitOf has made it
		},
	}}
}

// limitOf gives a limit as the program has it.
func limitOf(l state.FastLimit) bpf.Limit {
	interval := uint64(time.Second) / uint64(max(l.Rate, 1))
	return bpf.Limit{Interval: interval, Saved: interval * uint64(l.Burst)}
}

// named is a table of classes by their names.
type named struct {
	t table[bpf.Class, state.FastLimit]
}

func (n named) all() (map[string]state.FastLimit, error) {
	entries, err := n.t.all()
	byName := map[string]state.FastLimit{}
	for _, l := range entries {
		byName[l.Class] = l
	}
	return byName, err
}

func (n named) put(name string, l state.FastLimit) error {
	c, ok := bpf.ParseClass(name)
	if !ok {
		return fmt.Errorf("no program tells packets of class %s", name)
	}
	return n.t.put(c, l)
}

func (n named) remove(name string) error {
	c, ok := bpf.ParseClass(name)
	if !ok {
		return nil
	}
	return n.t.remove(c)
}

func simulatedTable(m *ebpf.Map) table[state.SimulatedKey, state.Simulated] {
	return bpfTable[state.SimulatedKey, state.Simulated, bpf.SimulatedKey, uint32]{
		m: m,
		key: func(k state.SimulatedKey) bpf.SimulatedKey {
			key := bpf.SimulatedKey{Mac: k.MAC}
			if k.Addr.IsValid() {
				key.Addr = k.Addr.As16()
			}
			return key
		},
		value: func(s state.Simulated) uint32 { return s.Interface },
		decode: func(k bpf.SimulatedKey, iface uint32) (state.SimulatedKey, state.Simulated) {
			s := state.Simulated{MAC: k.Mac, Interface: iface}
			if k.Addr != ([16]byte{}) {
				s.Addr = netip.AddrFrom16(k.Addr).Unmap()
			}
			return s.Key(), s
		},
	}
}

// bucketsTable has ports with buckets, by ifindex.
type bucketsTable struct{ m *ebpf.Map }

// read gives what ports have taken.
func (t bucketsTable) read() (map[int]bpf.Buckets, error) {
	all := map[int]bpf.Buckets{}
	var ifindex uint32
	var b bpf.Buckets
	entries := t.m.Iterate()
	for entries.Next(&ifindex, &b) {
		all[int(ifindex)] = b
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("read map %v: %w", t.m, err)
	}
	return all, nil
}

// make gives a port buckets if it has none.
func (t bucketsTable) make(ifindex int) error {
	err := t.m.Update(uint32(ifindex), bpf.Buckets{}, ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("write map %v: %w", t.m, err)
	}
	return nil
}

func (t bucketsTable) remove(ifindex int) error {
	if err := t.m.Delete(uint32(ifindex)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("delete from map %v: %w", t.m, err)
	}
	return nil
}

package fastpath

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/openvnet/openvnet/bpf"
	"github.com/openvnet/openvnet/dataplane/state"
)

// Dump is the fast path as it is in the kernel, sorted.
type Dump struct {
	Ports     []PortDump
	Sources   []state.FastSource
	Neighbors []state.Neighbor
	Limits    []state.FastLimit
	Simulated []state.Simulated
	Counters  []Counter
}

// PortDump is a port, with the hook where the program is now; HookNone where there is an entry and no program.
type PortDump struct {
	state.FastPort
	LinkID    uint32 // 0 for a tc filter, on a kernel without tcx
	ProgramID uint32
	Program   string // tag: programs with the same one are the same code
	Gone      bool   // the device has gone, and the next Sync removes what is left
	Limited   []Limited
}

// Counter is how many frames had that end since the map was made.
type Counter struct {
	Reason  bpf.Reason
	Verdict bpf.Verdict
	Frames  uint64
}

// Dropped reports whether the frames were dropped.
func (c Counter) Dropped() bool { return c.Verdict == bpf.Drop }

// Limited is what a port has sent of a class that is limited.
type Limited struct {
	Class           string
	Passed, Dropped uint64 // frames since the program came to the port
}

// Reader reads the fast path of any process, or of none. Safe for concurrent use.
type Reader struct {
	dir  string
	maps map[string]*ebpf.Map
}

// OpenReadOnly opens what is pinned in dir (see Options) without changing, locking or keeping alive anything. A directory
// without a fast path gives an error that is fs.ErrNotExist.
func OpenReadOnly(dir string) (*Reader, error) {
	r := &Reader{dir: dir, maps: map[string]*ebpf.Map{}}
	for _, name := range []string{
		bpf.PortsMap, bpf.SourcesMap, bpf.Sources6Map, bpf.NeighborsMap, bpf.Neighbor6Map, bpf.CountersMap, bpf.LimitsMap, bpf.BucketsMap, bpf.SimulatedMap,
	} {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, mapsDir, name), &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open fast path in %s: map %s: %w", dir, name, err), r.Close())
		}
		r.maps[name] = m
	}
	return r, nil
}

// Close ends the reading; the fast path stays as it is.
func (r *Reader) Close() error {
	var errs []error
	for _, m := range r.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Dump reads everything. What changes meanwhile may be seen or not.
func (r *Reader) Dump() (*Dump, error) {
	d, err := r.dump()
	if err != nil {
		return nil, fmt.Errorf("dump fast path in %s: %w", r.dir, err)
	}
	return d, nil
}

func (r *Reader) dump() (*Dump, error) {
	var d Dump
	entries, err := portsTable(r.maps[bpf.PortsMap], r.maps[bpf.BucketsMap]).all()
	if err != nil {
		return nil, err
	}
	sources, err := sourcesTable(r.maps[bpf.SourcesMap], r.maps[bpf.Sources6Map]).all()
	if err != nil {
		return nil, err
	}
	neighbors, err := neighborsTable(r.maps[bpf.NeighborsMap], r.maps[bpf.Neighbor6Map]).all()
	if err != nil {
		return nil, err
	}
	limits, err := limitsTable(r.maps[bpf.LimitsMap]).all()
	if err != nil {
		return nil, err
	}
	simulated, err := simulatedTable(r.maps[bpf.SimulatedMap]).all()
	if err != nil {
		return nil, err
	}
	buckets, err := bucketsTable{r.maps[bpf.BucketsMap]}.read()
	if err != nil {
		return nil, err
	}
	links, err := readAll(r.dir)
	if err != nil {
		return nil, err
	}
	if d.Counters, err = r.Counters(); err != nil {
		return nil, err
	}
	for _, s := range sources {
		d.Sources = append(d.Sources, s)
	}
	for _, n := range neighbors {
		d.Neighbors = append(d.Neighbors, n)
	}
	for _, l := range limits {
		d.Limits = append(d.Limits, l)
	}
	for _, s := range simulated {
		d.Simulated = append(d.Simulated, s)
	}
	limited := func(ifindex int) []Limited {
		var all []Limited
		for _, c := range bpf.Classes() {
			if b, ok := buckets[ifindex]; ok {
				all = append(all, Limited{c.String(), b.Of[c].Passed, b.Of[c].Dropped})
			}
		}
		return all
	}
	tags := map[ebpf.ProgramID]string{}
	for _, l := range links {
		tag, ok := tags[l.program]
		if !ok && l.program != 0 {
			if tag, err = tagOf(l.program); err != nil {
				return nil, err
			}
			tags[l.program] = tag
		}
		port := portOf(l.name, l.ifindex, l.hook, entries[l.ifindex])
		d.Ports = append(d.Ports, PortDump{port, uint32(l.id), uint32(l.program), tag, l.gone, limited(l.ifindex)})
		delete(entries, l.ifindex)
	}
	for ifindex, e := range entries {
		d.Ports = append(d.Ports, PortDump{FastPort: portOf("", ifindex, state.HookNone, e), Limited: limited(ifindex)})
	}
	slices.SortFunc(d.Ports, func(a, b PortDump) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Ifindex, b.Ifindex)) })
	slices.SortFunc(d.Sources, func(a, b state.FastSource) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Addr.Compare(b.Addr))
	})
	slices.SortFunc(d.Neighbors, func(a, b state.Neighbor) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), a.Addr.Compare(b.Addr))
	})
	slices.SortFunc(d.Limits, func(a, b state.FastLimit) int { return cmp.Compare(a.Class, b.Class) })
	slices.SortFunc(d.Simulated, func(a, b state.Simulated) int {
		return cmp.Or(bytes.Compare(a.MAC[:], b.MAC[:]), a.Addr.Compare(b.Addr))
	})
	return &d, nil
}

func portOf(name string, ifindex int, hook state.FastHook, e portEntry) state.FastPort {
	return state.FastPort{Name: name, Ifindex: ifindex, Interface: e.iface, Network: e.network, MAC: e.mac, Hook: hook, Guard: e.features != 0}
}

func tagOf(id ebpf.ProgramID) (string, error) {
	p, err := ebpf.NewProgramFromID(id)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open program id %d: %w", id, err)
	}
	info, err := p.Info()
	if err := errors.Join(err, p.Close()); err != nil {
		return "", fmt.Errorf("read program id %d: %w", id, err)
	}
	return info.Tag, nil
}

// Counters reads every counter that has a reason, in the order of the reasons, zeros too.
func (r *Reader) Counters() ([]Counter, error) {
	var all []Counter
	for _, reason := range bpf.Reasons() {
		var perCPU []uint64
		if err := r.maps[bpf.CountersMap].Lookup(reason, &perCPU); err != nil {
			return nil, fmt.Errorf("read counter of %s: %w", reason, err)
		}
		c := Counter{Reason: reason, Verdict: reason.Verdict()}
		for _, n := range perCPU {
			c.Frames += n
		}
		all = append(all, c)
	}
	return all, nil
}

package fastpath

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/dataplane/state"
)

var errInjected = errors.New("injected")

// fakeKernel is a kernel in memory that survives a driver, logs every write, and fails when told.
type fakeKernel struct {
	ports     *fakeTable[int, portEntry]
	sources   *fakeTable[state.SourceKey, state.FastSource]
	neighbors *fakeTable[state.NeighborKey, state.Neighbor]
	limits    *fakeTable[string, state.FastLimit]
	simulated *fakeTable[state.SimulatedKey, state.Simulated]

	devices map[int]device
	pins    map[string]attachment // by pin name
	foreign map[int]bool          // ifindex with an XDP program of somebody else
	noXDP   map[int]bool          // ifindex without native XDP
	log     []string
	fail    func() bool
}

func newFakeKernel() *fakeKernel {
	f := &fakeKernel{pins: map[string]attachment{}, fail: func() bool { return false }}
	f.ports = &fakeTable[int, portEntry]{f, "port", map[int]portEntry{}}
	f.sources = &fakeTable[state.SourceKey, state.FastSource]{f, "source", map[state.SourceKey]state.FastSource{}}
	f.neighbors = &fakeTable[state.NeighborKey, state.Neighbor]{f, "neighbor", map[state.NeighborKey]state.Neighbor{}}
	f.limits = &fakeTable[string, state.FastLimit]{f, "limit", map[string]state.FastLimit{}}
	f.simulated = &fakeTable[state.SimulatedKey, state.Simulated]{f, "simulated", map[state.SimulatedKey]state.Simulated{}}
	return f
}

func (f *fakeKernel) kernel() kernel {
	return kernel{f.ports, f.sources, f.neighbors, f.limits, f.simulated, f}
}

// setDevices makes these the links that exist; an attachment to one that does not is dead.
func (f *fakeKernel) setDevices(devices map[int]device) {
	f.devices = devices
	for name, a := range f.pins {
		if _, ok := devices[a.ifindex]; !ok {
			a.gone = true
			f.pins[name] = a
		}
	}
}

func (f *fakeKernel) write(format string, args ...any) error {
	if f.fail() {
		return errInjected
	}
	f.log = append(f.log, fmt.Sprintf(format, args...))
	return nil
}

type fakeTable[K, V comparable] struct {
	f       *fakeKernel
	kind    string
	entries map[K]V
}

func (t *fakeTable[K, V]) all() (map[K]V, error) { return maps.Clone(t.entries), nil }

func (t *fakeTable[K, V]) put(k K, v V) error {
	if err := t.f.write("put %s %v", t.kind, k); err != nil {
		return err
	}
	t.entries[k] = v
	return nil
}

func (t *fakeTable[K, V]) remove(k K) error {
	if err := t.f.write("remove %s %v", t.kind, k); err != nil {
		return err
	}
	delete(t.entries, k)
	return nil
}

func (f *fakeKernel) device(ifindex int) (device, error) {
	d, ok := f.devices[ifindex]
	if !ok {
		return device{}, fmt.Errorf("no link with ifindex %d", ifindex)
	}
	return d, nil
}

func (f *fakeKernel) attached() ([]attachment, error) {
	return slices.Collect(maps.Values(f.pins)), nil
}

func (f *fakeKernel) attach(name string, ifindex int, hook state.FastHook) (attachment, error) {
	if f.foreign[ifindex] {
		return attachment{}, ErrOtherOwner
	}
	if f.noXDP[ifindex] && hook == state.HookXDPNative {
		return attachment{}, errors.ErrUnsupported
	}
	for _, a := range f.pins {
		if a.ifindex == ifindex && !a.gone {
			return attachment{}, fmt.Errorf("%s is attached to ifindex %d", a.name, ifindex)
		}
	}
	a := attachment{name: name, ifindex: ifindex, hook: hook}
	if _, ok := f.pins[pinName(name, ifindex)]; ok {
		return attachment{}, errors.New("the pin exists")
	}
	if err := f.write("attach %s %d %s", name, ifindex, hook); err != nil {
		return attachment{}, err
	}
	f.pins[pinName(name, ifindex)] = a
	return a, nil
}

func (f *fakeKernel) update(a attachment) (attachment, error) {
	if err := f.write("update %s", a.name); err != nil {
		return a, err
	}
	a.stale = false
	f.pins[pinName(a.name, a.ifindex)] = a
	return a, nil
}

func (f *fakeKernel) rename(a attachment, name string) (attachment, error) {
	if err := f.write("rename %s %s", a.name, name); err != nil {
		return a, err
	}
	delete(f.pins, pinName(a.name, a.ifindex))
	a.name = name
	f.pins[pinName(a.name, a.ifindex)] = a
	return a, nil
}

func (f *fakeKernel) detach(a attachment) error {
	if _, ok := f.pins[pinName(a.name, a.ifindex)]; !ok {
		return fmt.Errorf("no pin of %s", a.name)
	}
	if err := f.write("detach %s %d", a.name, a.ifindex); err != nil {
		return err
	}
	delete(f.pins, pinName(a.name, a.ifindex))
	return nil
}

func (f *fakeKernel) prune() ([]string, error) { return nil, nil }

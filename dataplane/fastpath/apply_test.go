package fastpath

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
)

// scene is a state of a host: what links there are, and what is desired.
type scene struct {
	devices map[int]device
	items   state.Items
}

func veth(names map[int]string) map[int]device {
	ds := map[int]device{}
	for i, n := range names {
		ds[i] = device{name: n, kind: "veth"}
	}
	return ds
}

func port(name string, ifindex int, iface uint32, hook state.FastHook) state.FastPort {
	return state.FastPort{Name: name, Ifindex: ifindex, Interface: iface, Network: 100, MAC: macOf(iface), Hook: hook, Guard: true}
}

func macOf(iface uint32) model.MAC { return model.MAC{2, 0, 0, 0, byte(iface >> 8), byte(iface)} }

func addr(iface uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(iface >> 8), byte(iface)})
}

func source(iface uint32) state.FastSource {
	return state.FastSource{Interface: iface, Addr: addr(iface), MAC: macOf(iface), Network: 100}
}

func neighbor(iface uint32) state.Neighbor {
	return state.Neighbor{Network: 100, Addr: addr(iface), MAC: macOf(iface), Interface: iface}
}

// scenes: any of them may follow any other.
var scenes = map[string]scene{
	"nothing":                {},
	"links without anything": {devices: veth(map[int]string{5: "a", 6: "b"})},
	"one port": {veth(map[int]string{5: "a"}), state.Items{
		Ports: []state.FastPort{port("a", 5, 1, state.HookAuto)}, Sources: []state.FastSource{source(1)},
		Neighbors: []state.Neighbor{neighbor(1), neighbor(2)}}},
	"two ports": {veth(map[int]string{5: "a", 6: "b"}), state.Items{
		Ports:   []state.FastPort{port("a", 5, 1, state.HookAuto), port("b", 6, 2, state.HookAuto)},
		Sources: []state.FastSource{source(1), source(2)}, Neighbors: []state.Neighbor{neighbor(1), neighbor(2), neighbor(3)}}},
	"interfaces changed places": {veth(map[int]string{5: "a", 6: "b"}), state.Items{
		Ports:   []state.FastPort{port("a", 5, 2, state.HookAuto), port("b", 6, 1, state.HookAuto)},
		Sources: []state.FastSource{source(1), source(2)}, Neighbors: []state.Neighbor{neighbor(1), neighbor(2)}}},
	"links changed names": {veth(map[int]string{5: "b", 6: "a"}), state.Items{
		Ports: []state.FastPort{port("a", 6, 1, state.HookAuto), port("b", 5, 2, state.HookAuto)}}},
	"link came back": {veth(map[int]string{9: "a", 6: "b"}), state.Items{
		Ports: []state.FastPort{port("a", 9, 1, state.HookAuto), port("b", 6, 2, state.HookAuto)}}},
	"another link has the ifindex": {veth(map[int]string{5: "c"}), state.Items{Ports: []state.FastPort{port("c", 5, 1, state.HookAuto)}}},
	"dots":                         {veth(map[int]string{5: "a.1"}), state.Items{Ports: []state.FastPort{port("a.1", 5, 1, state.HookAuto)}}},
	"tc":                           {veth(map[int]string{5: "a"}), state.Items{Ports: []state.FastPort{port("a", 5, 1, state.HookTC)}}},
	"none":                         {veth(map[int]string{5: "a"}), state.Items{Ports: []state.FastPort{port("a", 5, 1, state.HookNone)}}},
	"taps": {map[int]device{15: {name: "ta", kind: "tuntap"}, 16: {name: "tb", kind: "tuntap"}}, state.Items{
		Ports: []state.FastPort{port("ta", 15, 1, state.HookAuto), port("tb", 16, 1, state.HookXDPGeneric)}}},
	"the kernel's datapath": {map[int]device{25: {name: "ka", kind: "veth", inKernel: true}, 26: {name: "kb", kind: "tuntap", inKernel: true}, 27: {name: "kc", kind: "openvswitch", inKernel: true}}, state.Items{
		Ports: []state.FastPort{port("ka", 25, 1, state.HookAuto), port("kb", 26, 2, state.HookXDPNative), port("kc", 27, 3, state.HookAuto)}}},
	"limits": {veth(map[int]string{5: "a", 6: "b"}), state.Items{
		Ports:     []state.FastPort{port("a", 5, 1, state.HookAuto), {Name: "b", Ifindex: 6, Interface: 2}},
		Sources:   []state.FastSource{source(1)},
		Limits:    []state.FastLimit{{Class: "arp", Rate: 200, Burst: 100}, {Class: "dns", Rate: 1000, Burst: 1000}},
		Simulated: []state.Simulated{{MAC: macOf(9), Interface: 9}, {MAC: macOf(9), Addr: addr(9), Interface: 9}}}},
	"other limits": {veth(map[int]string{5: "a"}), state.Items{
		Ports:     []state.FastPort{{Name: "a", Ifindex: 5, Interface: 1}},
		Limits:    []state.FastLimit{{Class: "arp", Rate: 300, Burst: 100}},
		Simulated: []state.Simulated{{MAC: macOf(9), Addr: addr(9), Interface: 8}}}},
	"moved leases": {veth(map[int]string{5: "a"}), state.Items{
		Ports:     []state.FastPort{port("a", 5, 1, state.HookAuto)},
		Sources:   []state.FastSource{{Interface: 1, Addr: addr(1), MAC: macOf(9), Network: 200}},
		Neighbors: []state.Neighbor{{Network: 100, Addr: addr(1), MAC: macOf(9), Interface: 9}}}},
	"IPv6 beside IPv4": {veth(map[int]string{5: "a"}), state.Items{
		Sources:   []state.FastSource{source(1), {Interface: 1, Addr: netip.MustParseAddr("fd00::1"), Network: 100}},
		Neighbors: []state.Neighbor{neighbor(1), {Network: 100, Addr: netip.MustParseAddr("fd00::2"), Interface: 2}}}},
}

// desired is a state.State with one unit, and its changes.
type desired struct {
	*state.State
	changes state.Changes
}

func newDesired() *desired { return &desired{State: state.New()} }

func (d *desired) set(t testing.TB, items state.Items) *state.Changes {
	t.Helper()
	d.changes = state.Changes{}
	if err := d.Replace(state.Unit{Kind: "test"}, items, &d.changes); err != nil {
		t.Fatal(err)
	}
	return &d.changes
}

func stateOf(t testing.TB, items state.Items) *state.State {
	t.Helper()
	d := newDesired()
	d.set(t, items)
	return d.State
}

func fakeDriver(f *fakeKernel) *Driver {
	return newDriver(Options{Logger: slog.New(slog.DiscardHandler)}, f.kernel())
}

// picture is what a kernel must hold for a scene.
func (f *fakeKernel) picture() any {
	return fmt.Sprintf("%v\n%v\n%v\n%v\n%v\n%v", f.ports.entries, f.sources.entries, f.neighbors.entries, f.limits.entries, f.simulated.entries, f.pins)
}

func pictureOf(t *testing.T, s scene) any {
	t.Helper()
	f := newFakeKernel()
	f.setDevices(s.devices)
	for _, p := range s.items.Ports {
		hook := p.Hook
		switch dev := s.devices[p.Ifindex]; {
		case hook == state.HookNone:
			continue
		case hook == state.HookAuto && dev.inKernel:
			hook = state.HookTC
		case hook == state.HookAuto && dev.kind == "veth":
			hook = state.HookXDPGeneric
		case hook == state.HookAuto:
			hook = state.HookXDPNative
		}
		f.ports.entries[p.Ifindex] = entryOf(p)
		f.pins[pinName(p.Name, p.Ifindex)] = attachment{name: p.Name, ifindex: p.Ifindex, hook: hook}
	}
	for _, x := range s.items.Sources {
		f.sources.entries[x.Key()] = x
	}
	for _, x := range s.items.Neighbors {
		f.neighbors.entries[x.Key()] = x
	}
	for _, x := range s.items.Limits {
		f.limits.entries[x.Class] = x
	}
	for _, x := range s.items.Simulated {
		f.simulated.entries[x.Key()] = x
	}
	return f.picture()
}

// TestAnyStateToAnyState moves a kernel from scene to scene by Sync of a new driver with no memory, by Sync of the old one,
// and by Apply, with and without writes that fail; a driver that was told to by a Sync without failures has always arrived.
func TestAnyStateToAnyState(t *testing.T) {
	names := make([]string, 0, len(scenes))
	for n := range scenes {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, faults := range []int{0, 10, 50} {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		f := newFakeKernel()
		d := fakeDriver(f)
		want := newDesired()
		trace := fmt.Sprintf("faults %d %%, seed %d:", faults, seed)
		for step := range 1000 {
			name := names[r.IntN(len(names))]
			s := scenes[name]
			f.setDevices(s.devices)
			c := want.set(t, s.items)
			f.fail = func() bool { return r.IntN(100) < faults }
			f.log = nil
			var err error
			by := r.IntN(3)
			if step == 0 || by == 0 {
				by = 0
				d = fakeDriver(f)
				_, err = d.Sync(t.Context(), want.State)
			} else if by == 1 {
				_, err = d.Sync(t.Context(), want.State)
			} else if d.synced {
				_, err = d.Apply(t.Context(), c)
			}
			trace = fmt.Sprintf("%s\n%s by %d: %v %q", trace[max(0, len(trace)-3000):], name, by, err, f.log)
			checkOrder(t, f.log)
			var items Errors
			if err != nil && !errors.As(err, &items) {
				t.Fatalf("%s", trace)
			}
			for _, e := range items {
				// Where writes fail, what they leave undone may stand in the way of others.
				if faults == 0 || !errors.Is(e, errInjected) && !strings.Contains(e.Error(), "attached to ifindex") &&
					!strings.Contains(e.Error(), "is also that of port") && !strings.Contains(e.Error(), "the pin exists") && !strings.Contains(e.Error(), "no pin of") {
					t.Fatalf("%v\n%s", e, trace)
				}
			}
			// Apply does not know that links have gone; the agent's Sync cleans up after them.
			f.fail = func() bool { return false }
			for range 2 {
				if _, err = d.Sync(t.Context(), want.State); err == nil {
					break
				}
			}
			if err != nil {
				t.Fatalf("sync: %v\n%s", err, trace)
			}
			if df := cmp.Diff(pictureOf(t, s), f.picture()); df != "" {
				t.Fatalf("%s\n(-want +got):\n%s", trace, df)
			}
			f.log = nil
			if w, err := fakeDriver(f).Sync(t.Context(), want.State); err != nil || w != (Work{}) || f.log != nil {
				t.Fatalf("a driver without memory has work left: %+v %v %q\n%s", w, err, f.log, trace)
			}
		}
	}
}

// checkOrder: entries before ports, and what goes goes last. (A port that changes its hook is detached and attached at once.)
func checkOrder(t *testing.T, log []string) {
	t.Helper()
	rank := func(op string) int {
		switch {
		case strings.HasPrefix(op, "put source"), strings.HasPrefix(op, "put neighbor"), strings.HasPrefix(op, "put limit"), strings.HasPrefix(op, "put simulated"):
			return 0
		case strings.HasPrefix(op, "remove source"), strings.HasPrefix(op, "remove neighbor"), strings.HasPrefix(op, "remove limit"), strings.HasPrefix(op, "remove simulated"):
			return 2
		}
		return 1
	}
	if !slices.IsSortedFunc(log, func(a, b string) int { return rank(a) - rank(b) }) {
		t.Fatalf("out of order: %q", log)
	}
	for i, op := range log {
		var name string
		var ifindex int
		if n, _ := fmt.Sscanf(op, "attach %s %d", &name, &ifindex); n == 2 && slices.Contains(log[i:], fmt.Sprintf("put port %d", ifindex)) {
			t.Fatalf("attached before its entry: %q", log)
		}
	}
}

// With the devices as they are, Apply alone arrives where Sync would.
func TestApplyArrivesWhereSyncDoes(t *testing.T) {
	devices := veth(map[int]string{5: "a", 6: "b", 9: "a9", 10: "c"})
	at := func(hook state.FastHook, sources ...uint32) state.Items {
		i := state.Items{Ports: []state.FastPort{port("a", 5, 1, hook)}}
		for _, s := range sources {
			i.Sources = append(i.Sources, source(s))
			i.Neighbors = append(i.Neighbors, neighbor(s+1))
		}
		return i
	}
	states := []state.Items{
		{}, at(state.HookAuto, 1), at(state.HookTC, 1, 2), at(state.HookNone, 2), at(state.HookXDPGeneric),
		{Ports: []state.FastPort{port("a", 5, 1, state.HookAuto), port("b", 6, 2, state.HookAuto), port("c", 10, 3, state.HookAuto)}},
		{Ports: []state.FastPort{port("a", 5, 7, state.HookAuto), port("c", 10, 1, state.HookTC)}},
	}
	f := newFakeKernel()
	f.setDevices(devices)
	d := fakeDriver(f)
	want := newDesired()
	if _, err := d.Sync(t.Context(), want.State); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		items := states[r.IntN(len(states))]
		c := want.set(t, items)
		f.log = nil
		w, err := d.Apply(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		checkOrder(t, f.log)
		if n := w.Puts + w.Removes + w.Attached + w.Updated + w.Detached + w.Pins; n != len(f.log) {
			t.Errorf("%+v for %q", w, f.log)
		}
		if df := cmp.Diff(pictureOf(t, scene{devices, items}), f.picture()); df != "" {
			t.Fatalf("(-want +got):\n%s", df)
		}
	}
}

func TestErrorsNameTheItem(t *testing.T) {
	devices := map[int]device{
		5: {name: "a", kind: "veth"}, 6: {name: "b", kind: "veth"}, 7: {name: "c", kind: "dummy"},
		8: {name: "d", kind: "tuntap"}, 10: {name: "f", kind: "veth"}, 11: {name: "g", kind: "veth"},
	}
	f := newFakeKernel()
	f.setDevices(devices)
	f.foreign = map[int]bool{6: true}
	f.noXDP = map[int]bool{8: true}
	d := fakeDriver(f)
	items := state.Items{
		Ports: []state.FastPort{
			port("a", 5, 1, state.HookAuto), port("a2", 5, 1, state.HookAuto), // two ports, one link
			port("b", 6, 2, state.HookAuto),       // somebody else's XDP program
			port("c", 7, 3, state.HookAuto),       // no hook known
			port("d", 8, 4, state.HookAuto),       // falls back
			port("e", 9, 5, state.HookAuto),       // no link
			port("f", 10, 6, state.HookXDPNative), // would not answer
			port("g", 11, 7, state.FastHook(77)),
		},
		Sources: []state.FastSource{source(1)}, Neighbors: []state.Neighbor{neighbor(1)},
	}
	w, err := d.Sync(t.Context(), stateOf(t, items))
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	want := []string{
		"fast path port a2: ifindex 5 is a",
		"fast path port b: attach xdp-generic: the XDP hook is taken by another owner",
		"fast path port c: no hook is known for a link of kind dummy, choose one for the port",
		"fast path port e: no link with ifindex 9",
		"fast path port f: native XDP on a veth delivers no answers, use generic XDP or tc",
		"fast path port g: unknown hook 77",
	}
	if df := cmp.Diff(want, got); df != "" {
		t.Errorf("(-want +got):\n%s", df)
	}
	if !errors.Is(err, ErrOtherOwner) || errs[1].Kind != KindPort || errs[1].Key != "b" {
		t.Errorf("cannot be told apart: %#v", errs[1])
	}
	if w.Attached != 2 || f.pins["d-8"].hook != state.HookXDPGeneric || len(f.ports.entries) != 2 {
		t.Errorf("%+v, ports %v, pins %v", w, f.ports.entries, f.pins)
	}

	f.fail = func() bool { return true }
	_, err = d.Apply(t.Context(), &state.Changes{
		Sources:   state.Delta[state.SourceKey, state.FastSource]{Set: map[state.SourceKey]state.FastSource{source(3).Key(): source(3)}},
		Neighbors: state.Delta[state.NeighborKey, state.Neighbor]{Del: map[state.NeighborKey]struct{}{neighbor(1).Key(): {}}},
		Ports:     state.Delta[string, state.FastPort]{Del: map[string]struct{}{"a": {}}},
	})
	got = nil
	if errors.As(err, &errs) {
		for _, e := range errs {
			got = append(got, e.Error())
		}
	}
	want = []string{
		"fast path source 10.0.0.3 of interface 3: injected",
		"fast path port a: detach xdp-generic: injected",
		"fast path neighbor 10.0.0.1 of network 100: injected",
	}
	if df := cmp.Diff(want, got); df != "" {
		t.Errorf("(-want +got):\n%s", df)
	}
}

func TestNothingIsRemovedEarly(t *testing.T) {
	f := newFakeKernel()
	f.setDevices(scenes["two ports"].devices)
	if _, err := fakeDriver(f).Sync(t.Context(), stateOf(t, scenes["two ports"].items)); err != nil {
		t.Fatal(err)
	}
	f.log = nil
	d := fakeDriver(f)
	if _, err := d.Apply(t.Context(), &state.Changes{}); !errors.Is(err, ErrNotSynced) {
		t.Errorf("apply before sync: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Sync(ended, state.New()); !errors.Is(err, context.Canceled) {
		t.Errorf("sync with an ended context: %v", err)
	}
	if _, err := d.Apply(t.Context(), &state.Changes{}); !errors.Is(err, ErrNotSynced) {
		t.Errorf("apply after half a sync: %v", err)
	}
	if f.log != nil {
		t.Errorf("writes: %q", f.log)
	}
}

func TestStaleProgramsAreUpdated(t *testing.T) {
	f := newFakeKernel()
	s := scenes["two ports"]
	f.setDevices(s.devices)
	want := stateOf(t, s.items)
	if _, err := fakeDriver(f).Sync(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for name, a := range f.pins {
		a.stale = true
		f.pins[name] = a
	}
	w, err := fakeDriver(f).Sync(t.Context(), want)
	if err != nil || w != (Work{Updated: 2}) {
		t.Errorf("%+v %v", w, err)
	}
}

func FuzzPinName(f *testing.F) {
	f.Add("tap0", 5)
	f.Add("veth-1.100%2e", 1<<31-1)
	f.Add(".", 1)
	f.Fuzz(func(t *testing.T, name string, ifindex int) {
		if name == "" || ifindex < 1 {
			return
		}
		pin := pinName(name, ifindex)
		if n, i, ok := parsePinName(pin); !ok || n != name || i != ifindex || strings.Contains(pin, ".") {
			t.Errorf("%q %d is pinned as %q, which is %q %d %v", name, ifindex, pin, n, i, ok)
		}
	})
}

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/ofctl/oftest"
)

// WalkOptions describe a walk.
type WalkOptions struct {
	Seed   uint64 // required
	Worlds int    // required: how many states it goes through
	Faults bool   // a tenth of the writes to switches fail
}

// Walk goes from one random world to the next by batches of changes, in no order that makes sense, as a manager with hosts would: each host is told its part of the batch,
// compiles what that makes dirty, and writes the difference to its switch, where writes may fail. In each world what a host has compiled must be what compiling
// its share anew gives, and, after a comparison without faults, what its switch has.
func Walk(ctx context.Context, o WalkOptions) error {
	r := rand.New(rand.NewPCG(o.Seed, 1))
	w := &walk{x: span.New(graph.New()), hosts: map[string]*walker{}, faults: o.Faults, r: r}
	dir, err := os.MkdirTemp("", "walk")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	for n := range 3 {
		if err := w.join(gctx, g, dir, fmt.Sprintf("dp-%d", n+1)); err != nil {
			cancel()
			return errors.Join(err, g.Wait(), os.RemoveAll(dir))
		}
	}
	err = w.run(gctx, o.Worlds)
	cancel()
	if gerr := g.Wait(); gerr != nil && !errors.Is(gerr, context.Canceled) && err == nil {
		err = gerr
	}
	if err != nil {
		err = fmt.Errorf("walk with seed %d: %w", o.Seed, err)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// walk is a manager's index and the hosts that follow it.
type walk struct {
	x      *span.Index
	views  map[string]*span.View
	hosts  map[string]*walker
	faults bool
	r      *rand.Rand
}

// walker is a host with its switch in memory, behind an OpenFlow session.
type walker struct {
	*host
	memory  *oftest.Switch
	session *ovs.Switch
	failing bool
}

// join adds a host, whose switch answers until ctx ends.
func (w *walk) join(ctx context.Context, g *errgroup.Group, dir, datapath string) error {
	k := &walker{host: newHost(datapath, len(w.hosts)+1, graph.New())}
	fail := oftest.TenthFails(w.r.Uint64())
	opt := k.switchOptions(&memory{}, false)
	opt.Fault = func(m ofp.Message) *ofp.Error {
		if k.failing {
			return fail(m)
		}
		return nil
	}
	for n := range 40 { // whatever ports a world wants
		opt.Ports = append(opt.Ports, oftest.Port{No: flow.Port(firstGuest + n), Name: fmt.Sprintf("p%d", n)})
	}
	k.memory = oftest.New(opt)
	path := filepath.Join(dir, datapath)
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	g.Go(func() error { return k.memory.Serve(ctx, l) })
	if k.session, err = ovs.Dial(ctx, "unix:"+path, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	g.Go(func() error { return k.session.Run(ctx) })
	w.hosts[datapath] = k
	if w.views == nil {
		w.views = map[string]*span.View{}
	}
	v := span.NewView(datapath)
	v.Snapshot(w.x)
	w.views[datapath] = v
	if err := k.compile(k.in.Units()); err != nil {
		return err
	}
	return k.settle(ctx)
}

func (w *walk) run(ctx context.Context, worlds int) error {
	for n := range worlds {
		next := Generate(w.r)
		if err := w.to(ctx, next); err != nil {
			return fmt.Errorf("world %d: %w", n+1, err)
		}
	}
	return nil
}

// to goes to a world.
func (w *walk) to(ctx context.Context, next *World) error {
	var changes []graph.Change
	want := map[string]model.Object{}
	for _, o := range next.Objects {
		want[o.Base().UUID] = o
		if old, ok := w.x.Graph().Get(o.Base().UUID); !ok || !model.Equal(old, o) {
			changes = append(changes, graph.Change{UUID: o.Base().UUID, Object: o})
		}
	}
	for o := range w.x.Graph().All() {
		if want[o.Base().UUID] == nil {
			changes = append(changes, graph.Change{UUID: o.Base().UUID})
		}
	}
	w.r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	for _, k := range w.hosts {
		if err := w.ports(ctx, k, next); err != nil {
			return err
		}
		k.failing = w.faults
	}
	for len(changes) > 0 {
		var now []graph.Change
		now, changes = w.together(changes, min(len(changes), 1+w.r.IntN(12)))
		if err := w.batch(ctx, now); err != nil {
			return err
		}
	}
	for _, k := range w.hosts {
		k.failing = false
		if err := k.agrees(w.x); err != nil {
			return fmt.Errorf("%s: %w", k.datapath, err)
		}
		if err := k.settle(ctx); err != nil {
			return fmt.Errorf("%s: %w", k.datapath, err)
		}
	}
	return nil
}

// together parts the first so many changes from the others, with those that have to come with them: no store has two objects with one unique key.
func (w *walk) together(changes []graph.Change, size int) (now, later []graph.Change) {
	holders := map[string]string{}
	for o := range w.x.Graph().All() {
		for _, k := range uniqueKeys(o) {
			holders[k] = o.Base().UUID
		}
	}
	with := map[string]bool{}
	for n, c := range changes {
		if n < size {
			with[c.UUID] = true
		}
	}
	for again := true; again; {
		again = false
		for _, c := range changes {
			if !with[c.UUID] || c.Object == nil {
				continue
			}
			for _, k := range uniqueKeys(c.Object) {
				if holder := holders[k]; holder != "" && holder != c.UUID && !with[holder] {
					with[holder], again = true, true
				}
			}
		}
	}
	for _, c := range changes {
		if with[c.UUID] {
			now = append(now, c)
		} else {
			later = append(later, c)
		}
	}
	return now, later
}

// uniqueKeys gives what of an object no other may have.
func uniqueKeys(o model.Object) []string {
	r := model.Of(o)
	var keys []string
	for _, u := range r.Uniques {
		k, ok := u.Key(o)
		switch {
		case !ok:
		case u.Shared:
			keys = append(keys, u.Name+" "+k)
		default:
			keys = append(keys, r.Plural+" "+u.Name+" "+k)
		}
	}
	return keys
}

// ports gives a host's bridge the ports of the next world.
func (w *walk) ports(ctx context.Context, k *walker, next *World) error {
	touched := map[string]bool{}
	note := func(name string) {
		if p, ok := k.in.Bridge.Port(name); ok {
			for _, i := range k.in.InterfacesOfPort(p) {
				touched[i] = true
			}
		}
	}
	for _, p := range k.ports {
		note(p.Name)
		k.in.Bridge.RemovePort(p.Name)
	}
	k.ports = next.PortsOf(k.datapath)
	for _, p := range k.ports {
		k.setPort(p)
		note(p.Name)
	}
	return k.write(ctx, k.in.PortsChanged(maps.Keys(touched)))
}

// batch makes changes everywhere.
func (w *walk) batch(ctx context.Context, changes []graph.Change) error {
	deltas := span.Update(w.x, w.x.Apply(changes), w.views)
	for datapath, d := range deltas {
		k := w.hosts[datapath]
		var own []graph.Change
		for _, o := range d.Upserts {
			own = append(own, graph.Change{UUID: o.Base().UUID, Object: o})
		}
		for _, uuid := range d.Deletes {
			own = append(own, graph.Change{UUID: uuid})
		}
		e := k.in.X.Apply(own)
		if err := k.write(ctx, k.in.Dirty(e, k.state)); err != nil {
			return fmt.Errorf("%s: %w", datapath, err)
		}
	}
	return nil
}

// write compiles units and writes what that changes to the switch. What the switch refuses is left for the comparison.
func (k *walker) write(ctx context.Context, units func(func(state.Unit) bool)) error {
	var c state.Changes
	k.state.ReplaceAll(units, k.in.Unit, &c) // what is wrong in a half changed world is right when it is whole
	_, err := k.session.Apply(ctx, &c)
	return err
}

// agrees reports an error unless the host's state is what compiling its share anew gives.
func (k *walker) agrees(x *span.Index) error {
	g := graph.New()
	for _, o := range span.NewView(k.datapath).Snapshot(x) {
		g.Put(o)
	}
	fresh := newHost(k.datapath, k.number, g)
	for _, p := range k.ports {
		fresh.setPort(p)
	}
	fresh.ports = k.ports
	if err := fresh.compile(fresh.in.Units()); err != nil {
		return err
	}
	if d := difference(full(fresh.state), full(k.state)); d != "" {
		return fmt.Errorf("what was compiled step by step (+) is not what compiling at once gives (-):\n%s", d)
	}
	return nil
}

// settle compares the switch with the state, and reports an error unless it has exactly that afterwards.
func (k *walker) settle(ctx context.Context) error {
	f := k.state.Full()
	refused, _, err := k.session.Sync(ctx, &f, false)
	if err != nil {
		return err
	}
	for ref, err := range refused {
		return fmt.Errorf("the switch refuses %+v: %w", ref, err)
	}
	var have, want []string
	for _, x := range k.memory.Flows() {
		have = append(have, x.String())
	}
	for _, x := range f.Flows {
		want = append(want, x.String())
	}
	for _, x := range k.memory.Groups() {
		have = append(have, fmt.Sprintf("group %d", x.ID))
		for _, b := range x.Buckets {
			have = append(have, fmt.Sprintf("group %d: %s", x.ID, flow.Group{Type: x.Type, Buckets: []flow.Bucket{b}}))
		}
	}
	for _, x := range f.Groups {
		want = append(want, fmt.Sprintf("group %d", x.ID))
	}
	for _, x := range f.Buckets {
		t := flow.All
		if f.Groups[x.Group].Choose {
			t = flow.Select
		}
		want = append(want, fmt.Sprintf("group %d: %s", x.Group, flow.Group{Type: t, Buckets: []flow.Bucket{x.Bucket}}))
	}
	if d := difference(want, have); d != "" {
		return fmt.Errorf("the switch (+) does not hold what it should (-):\n%s", d)
	}
	return nil
}

// full gives a state's items as lines.
func full(s *state.State) []string {
	f := s.Full()
	var lines []string
	for _, x := range f.Flows {
		lines = append(lines, x.String())
	}
	for _, x := range f.Groups {
		lines = append(lines, fmt.Sprintf("group %+v", x))
	}
	for _, x := range f.Buckets {
		lines = append(lines, fmt.Sprintf("bucket of %d: %s", x.Group, flow.Group{Buckets: []flow.Bucket{x.Bucket}}))
	}
	for _, x := range f.Meters {
		lines = append(lines, fmt.Sprintf("meter %+v", x))
	}
	return lines
}

// difference gives the lines that only one of two sets has, marked by - and +, at most some.
func difference(want, have []string) string {
	count := map[string]int{}
	for _, l := range want {
		count[l]--
	}
	for _, l := range have {
		count[l]++
	}
	var lines []string
	for l, n := range count {
		switch {
		case n < 0:
			lines = append(lines, "- "+l)
		case n > 0:
			lines = append(lines, "+ "+l)
		}
	}
	slices.SortFunc(lines, func(a, b string) int { return cmp.Or(cmp.Compare(a[2:], b[2:]), cmp.Compare(a, b)) })
	if len(lines) > 20 {
		lines = append(lines[:20], fmt.Sprintf("and %d more", len(lines)-20))
	}
	return strings.Join(lines, "\n")
}

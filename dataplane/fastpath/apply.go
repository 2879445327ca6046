package fastpath

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"

	"github.com/openvnet/openvnet/dataplane/state"
)

// Work counts what a call changed in the kernel. What is right already is not written.
type Work struct {
	Puts     int // entries written to maps
	Removes  int // entries removed from maps
	Attached int // ports that got a program
	Updated  int // ports moved to another version of it
	Detached int // ports that lost it
	Pins     int // pins renamed, or removed with their version
}

// Sync reads back what is in the kernel and makes it what s says; nothing is kept from before, so it is also what puts right
// whatever went wrong. New entries first, then ports, deletions last, so that no port is ever served by half of its
// entries. Of s only Ports, Sources, Neighbors, Limits and Simulated count; it is only read.
//
// The error is Errors where single items failed (they need another Sync, or an Apply that sets them again), and any other
// error where reading back failed or ctx ended; then nothing has been deleted.
func (d *Driver) Sync(ctx context.Context, s *state.State) (Work, error) {
	r := run{ctx: ctx, driver: d}
	if err := r.sync(s); err != nil {
		return r.work, fmt.Errorf("sync fast path: %w", err)
	}
	d.synced = true
	return r.work, r.result()
}

// Apply makes the changes of c, of which only these count, in the same order as Sync. It costs as
// much as there is in c. It refuses with ErrNotSynced before the first Sync. For the other errors see Sync.
func (d *Driver) Apply(ctx context.Context, c *state.Changes) (Work, error) {
	if !d.synced {
		return Work{}, ErrNotSynced
	}
	r := run{ctx: ctx, driver: d}
	if err := r.apply(c); err != nil {
		return r.work, fmt.Errorf("apply to fast path: %w", err)
	}
	return r.work, r.result()
}

// run is one Sync or Apply.
type run struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call
	driver *Driver
	work   Work
	errs   Errors
	have   map[int]portEntry // what was read back of the ports' map, less what was removed since; nil in an Apply
}

func (r *run) result() error {
	if len(r.errs) == 0 {
		return nil
	}
	return r.errs
}

// failed notes the error of an item, and reports whether there was one.
func (r *run) failed(kind Kind, key any, err error) bool {
	if err != nil {
		r.errs = append(r.errs, &ItemError{kind, key, err})
	}
	return err != nil
}

func (r *run) sync(s *state.State) error {
	d, k := r.driver, &r.driver.kernel
	var err error
	if r.have, err = k.ports.all(); err != nil {
		return err
	}
	sources, err := k.sources.all()
	if err != nil {
		return err
	}
	neighbors, err := k.neighbors.all()
	if err != nil {
		return err
	}
	limits, err := k.limits.all()
	if err != nil {
		return err
	}
	simulated, err := k.simulated.all()
	if err != nil {
		return err
	}
	attached, err := k.links.attached()
	if err != nil {
		return err
	}

	put(r, KindNeighbor, k.neighbors, s.Neighbors.All(), neighbors)
	put(r, KindSource, k.sources, s.Sources.All(), sources)
	put(r, KindLimit, k.limits, s.Limits.All(), limits)
	put(r, KindSimulated, k.simulated, s.Simulated.All(), simulated)
	gone := d.remember(attached)
	r.setPorts(s.Ports.All(), func(name string, ifindex int) bool {
		p, ok := s.Ports.Get(name)
		return ok && p.Hook != state.HookNone && p.Ifindex == ifindex
	})
	if err := r.ctx.Err(); err != nil {
		return err
	}

	for _, a := range gone {
		r.removePort(a)
	}
	for _, a := range d.attached {
		if p, ok := s.Ports.Get(a.name); !ok || p.Hook == state.HookNone || p.Ifindex != a.ifindex {
			r.removePort(a)
		}
	}
	for ifindex := range r.have {
		if _, ok := d.attached[ifindex]; !ok {
			r.removeEntry(fmt.Sprintf("with ifindex %d", ifindex), ifindex)
		}
	}
	remove(r, KindSource, k.sources, missing(sources, s.Sources))
	remove(r, KindNeighbor, k.neighbors, missing(neighbors, s.Neighbors))
	remove(r, KindLimit, k.limits, missing(limits, s.Limits))
	remove(r, KindSimulated, k.simulated, missing(simulated, s.Simulated))
	pruned, err := k.links.prune()
	r.work.Pins += len(pruned)
	for _, name := range pruned {
		d.log.Info("fast path of another version removed", "pin", name)
	}
	return errors.Join(err, r.ctx.Err())
}

func (r *run) apply(c *state.Changes) error {
	d, k := r.driver, &r.driver.kernel
	put(r, KindNeighbor, k.neighbors, maps.All(c.Neighbors.Set), nil)
	put(r, KindSource, k.sources, maps.All(c.Sources.Set), nil)
	put(r, KindLimit, k.limits, maps.All(c.Limits.Set), nil)
	put(r, KindSimulated, k.simulated, maps.All(c.Simulated.Set), nil)
	before := map[string]int{} // ifindex of the ports that change
	for name := range c.Ports.Set {
		if ifindex, ok := d.ifindex[name]; ok {
			before[name] = ifindex
		}
	}
	for name := range c.Ports.Del {
		if ifindex, ok := d.ifindex[name]; ok {
			before[name] = ifindex
		}
	}
	r.setPorts(maps.All(c.Ports.Set), func(name string, ifindex int) bool {
		if p, ok := c.Ports.Set[name]; ok {
			return p.Hook != state.HookNone && p.Ifindex == ifindex
		}
		_, going := c.Ports.Del[name]
		return !going
	})
	if err := r.ctx.Err(); err != nil {
		return err
	}

	for name, ifindex := range before {
		p, ok := c.Ports.Set[name]
		if ok && p.Hook != state.HookNone && p.Ifindex == ifindex {
			continue
		}
		if a, ok := d.attached[ifindex]; ok && a.name == name {
			r.removePort(a)
		}
	}
	remove(r, KindSource, k.sources, maps.Keys(c.Sources.Del))
	remove(r, KindNeighbor, k.neighbors, maps.Keys(c.Neighbors.Del))
	remove(r, KindLimit, k.limits, maps.Keys(c.Limits.Del))
	remove(r, KindSimulated, k.simulated, maps.Keys(c.Simulated.Del))
	return r.ctx.Err()
}

// put writes what is wanted and not there already. It ends early with ctx.
func put[K, V comparable](r *run, kind Kind, t table[K, V], want iter.Seq2[K, V], have map[K]V) {
	for k, v := range want {
		if r.ctx.Err() != nil {
			return
		}
		if h, ok := have[k]; ok && h == v {
			continue
		}
		if !r.failed(kind, k, t.put(k, v)) {
			r.work.Puts++
		}
	}
}

// remove deletes keys. It ends early with ctx.
func remove[K, V comparable](r *run, kind Kind, t table[K, V], keys iter.Seq[K]) {
	for k := range keys {
		if r.ctx.Err() != nil {
			return
		}
		if !r.failed(kind, k, t.remove(k)) {
			r.work.Removes++
		}
	}
}

// missing gives the keys of have that are not wanted.
func missing[K, V comparable](have map[K]V, want *state.Table[K, V]) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range have {
			if _, ok := want.Get(k); !ok && !yield(k) {
				return
			}
		}
	}
}

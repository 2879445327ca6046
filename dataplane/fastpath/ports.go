package fastpath

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/dataplane/state"
)

// remember takes over what the pins say, and gives those that are of no use: their device has gone, or has another.
func (d *Driver) remember(attached []attachment) (gone []attachment) {
	d.attached, d.ifindex = map[int]attachment{}, map[string]int{}
	for _, a := range attached {
		_, twice := d.attached[a.ifindex]
		if a.gone = a.gone || twice; a.gone {
			gone = append(gone, a)
			continue
		}
		d.keep(a)
	}
	return gone
}

func (d *Driver) keep(a attachment) {
	if before, ok := d.attached[a.ifindex]; ok && d.ifindex[before.name] == a.ifindex {
		delete(d.ifindex, before.name)
	}
	d.attached[a.ifindex] = a
	d.ifindex[a.name] = a.ifindex
}

func (d *Driver) forget(a attachment) {
	delete(d.attached, a.ifindex)
	if d.ifindex[a.name] == a.ifindex {
		delete(d.ifindex, a.name)
	}
}

// setPorts brings ports into the kernel, in the order of their names. claims says whether the port of that name is to be at
// that ifindex.
func (r *run) setPorts(ports iter.Seq2[string, state.FastPort], claims func(string, int) bool) {
	byName := maps.Collect(ports)
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if r.ctx.Err() != nil {
			return
		}
		if p := byName[name]; p.Hook != state.HookNone {
			r.failed(KindPort, name, r.setPort(p, claims))
		}
	}
}

func (r *run) setPort(p state.FastPort, claims func(string, int) bool) error {
	d, k := r.driver, &r.driver.kernel
	dev, err := k.links.device(p.Ifindex)
	if err != nil {
		return err
	}
	if dev.name != p.Name {
		return fmt.Errorf("ifindex %d is %s", p.Ifindex, dev.name)
	}
	hooks, err := hooks(p, dev)
	if err != nil {
		return err
	}
	a, attached := d.attached[p.Ifindex]
	if attached && a.name != p.Name && claims(a.name, p.Ifindex) {
		return fmt.Errorf("ifindex %d is also that of port %s", p.Ifindex, a.name)
	}

	entry := entryOf(p)
	if h, ok := r.have[p.Ifindex]; !ok || h != entry {
		if err := k.ports.put(p.Ifindex, entry); err != nil {
			return err
		}
		r.work.Puts++
	}
	if attached && !slices.Contains(hooks, a.hook) {
		if err := r.detach(a); err != nil {
			return err
		}
		attached = false
	}
	if !attached {
		return r.attach(p, hooks)
	}
	if a.stale {
		if a, err = k.links.update(a); err != nil {
			return err
		}
		d.keep(a)
		r.work.Updated++
		d.log.Info("fast path updated", "port", p.Name, "hook", a.hook)
	}
	if a.name != p.Name {
		if a, err = k.links.rename(a, p.Name); err != nil {
			return err
		}
		d.keep(a)
		r.work.Pins++
	}
	return nil
}

// attach takes the first hook that the device has. Where none works, the port's entry goes again.
func (r *run) attach(p state.FastPort, hooks []state.FastHook) error {
	d, k := r.driver, &r.driver.kernel
	var errs []error
	for _, hook := range hooks {
		a, err := k.links.attach(p.Name, p.Ifindex, hook)
		if err != nil {
			errs = append(errs, fmt.Errorf("attach %s: %w", hook, err))
			if errors.Is(err, errors.ErrUnsupported) {
				continue
			}
			break
		}
		d.keep(a)
		r.work.Attached++
		d.log.Info("fast path attached", "port", p.Name, "hook", hook)
		return nil
	}
	return errors.Join(append(errs, k.ports.remove(p.Ifindex))...)
}

func (r *run) detach(a attachment) error {
	if err := r.driver.kernel.links.detach(a); err != nil {
		return fmt.Errorf("detach %s: %w", a.hook, err)
	}
	r.driver.forget(a)
	r.work.Detached++
	r.driver.log.Info("fast path detached", "port", a.name, "hook", a.hook)
	return nil
}

// removePort takes the program off a port, and then removes the port's entry.
func (r *run) removePort(a attachment) {
	if a.gone {
		if !r.failed(KindPort, a.name, r.driver.kernel.links.detach(a)) {
			r.work.Pins++
		}
		return
	}
	if !r.failed(KindPort, a.name, r.detach(a)) {
		r.removeEntry(a.name, a.ifindex)
	}
}

func (r *run) removeEntry(name string, ifindex int) {
	if !r.failed(KindPort, name, r.driver.kernel.ports.remove(ifindex)) {
		r.work.Removes++
		delete(r.have, ifindex)
	}
}

// hooks gives where the program may sit at a port, best first; an error says why nowhere.
func hooks(p state.FastPort, dev device) ([]state.FastHook, error) {
	switch p.Hook {
	case state.HookXDPNative:
		if dev.kind == "veth" {
			return nil, errors.New("native XDP on a veth delivers no answers, use generic XDP or tc")
		}
		return []state.FastHook{p.Hook}, nil
	case state.HookXDPGeneric, state.HookTC:
		return []state.FastHook{p.Hook}, nil
	case state.HookAuto:
	default:
		return nil, fmt.Errorf("unknown hook %d", p.Hook)
	}
	switch {
	case dev.inKernel:
		return []state.FastHook{state.HookTC}, nil
	case dev.kind == "veth":
		// tc is too late: userspace Open vSwitch reads from a packet tap, which is before it.
		return []state.FastHook{state.HookXDPGeneric}, nil
	case dev.kind == "tuntap":
		return []state.FastHook{state.HookXDPNative, state.HookXDPGeneric}, nil
	}
	return nil, fmt.Errorf("no hook is known for a link of kind %s, choose one for the port", dev.kind)
}

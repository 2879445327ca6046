package agent

import (
	"context"
	"maps"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/learn"
	"github.com/openvnet/openvnet/services/neighbor"
)

// learner keeps which MAC addresses of devices outside are behind which port. After a restart it learns them again; until then frames for them go to all ports with
// devices outside.
type learner struct {
	*desk
	table      *learn.Table
	used       chan []learn.Key // that have sent; has room for one list
	generation uint64           // of the replica, when it was last looked whether domains and ports are still there
}

func newLearner(d *desk) *learner {
	return &learner{desk: d, table: learn.New(learn.Options{}), used: make(chan []learn.Key, 1)}
}

func (l *learner) handle(_ context.Context, now time.Time, p ovs.Packet) string {
	mac, ok := sourceOf(p.Data)
	if !ok {
		return dropMalformed
	}
	iface, ok := l.replica.outsidePort(p.Ingress)
	if !ok {
		return dropSender
	}
	k := learn.Key{Domain: p.Network, MAC: mac}
	switch v := l.table.Saw(now, k, p.Ingress); v {
	case learn.Fresh, learn.Moved:
		l.replica.found(func(b *compile.Bridge) []state.Unit { return b.Learn(compile.LearnedKey(k), iface) })
		l.wake()
	case learn.Full, learn.Held:
		return v.String()
	}
	return ""
}

func (l *learner) tick(_ context.Context, now time.Time) {
	var gone []learn.Key
	select {
	case keys := <-l.used: // as long as nobody can say who has sent, nothing is too old
		for _, k := range keys {
			l.table.Used(now, k)
		}
		gone = l.table.Expire(now)
	default:
	}
	if g := l.replica.generationNow(); g != l.generation {
		l.generation = g
		gone = append(gone, l.table.Retain(l.replica.isAttached)...)
	}
	if len(gone) == 0 {
		return
	}
	l.replica.found(func(b *compile.Bridge) []state.Unit {
		var units []state.Unit
		for _, k := range gone {
			units = append(units, b.Forget(compile.LearnedKey(k))...)
		}
		return units
	})
	l.wake()
}

// outsidePort gives the interface of that id if it is one with devices outside, and its port is here.
func (r *replica) outsidePort(id uint32) (uuid string, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.outsidePortLocked(id)
}

func (r *replica) outsidePortLocked(id uint32) (uuid string, ok bool) {
	o, ok := r.in.X.Graph().ByID(model.Interfaces, id)
	if !ok {
		return "", false
	}
	i := o.(*model.Interface)
	switch i.Mode {
	case model.InterfacePromiscuous, model.InterfacePatch, model.InterfaceEdge:
		_, ok = r.in.PortOf(i.UUID)
		return i.UUID, ok
	}
	return "", false
}

// isAttached reports whether an interface is still one with devices outside, with a port here, in a domain that is here.
func (r *replica) isAttached(domain, iface uint32) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.in.DomainByNumber(domain)
	if !ok || !d.Present {
		return false
	}
	_, ok = r.outsidePortLocked(iface)
	return ok
}

// hasFound reports whether anything is known of devices outside.
func (r *replica) hasFound() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for range r.in.Bridge.AllLearned() {
		return true
	}
	for range r.in.Bridge.Neighbors() {
		return true
	}
	return false
}

// usageEvery is how often counters are read of what was found out about devices outside.
const usageEvery = 30 * time.Second

// usage tells the learner and the next hops what of theirs is in use, as the counters of its flows say.
func (s *services) usage(ctx context.Context) error {
	before := use{}
	t := time.NewTicker(usageEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		sess := s.current.Load()
		if sess == nil || !s.replica.hasFound() {
			continue
		}
		flows, err := sess.Learned(ctx)
		if err != nil {
			continue // the session is lost, which others say
		}
		devices, hops := before.update(flows)
		handOver(ctx, s.learner.used, devices)
		handOver(ctx, s.nextHops.used, hops)
	}
}

// use is how many packets have passed flows of what was found out: by learn.Key or neighbor.Key.
type use map[any]uint64

// update takes the counters of now, and gives what has been in use since the last time.
func (u use) update(flows []ovs.Learned) (devices []learn.Key, hops []neighbor.Key) {
	devices, hops = []learn.Key{}, []neighbor.Key{}
	now := make(use, len(flows))
	for _, f := range flows {
		device, hop := learn.Key{Domain: f.Domain, MAC: f.MAC}, neighbor.Key{Domain: f.Domain, Addr: f.Addr}
		k := any(hop)
		if f.Source {
			k = device
		}
		now[k] = f.Packets
		switch before := u[k]; {
		case f.Packets == before: // a flow that is made again begins at 0, so that less than before is use as well
		case f.Source:
			devices = append(devices, device)
		default:
			hops = append(hops, hop)
		}
	}
	clear(u)
	maps.Copy(u, now)
	return devices, hops
}

// handOver gives a list to who takes one at each tick.
func handOver[T any](ctx context.Context, c chan<- []T, list []T) {
	select {
	case <-ctx.Done():
	case c <- list:
	}
}

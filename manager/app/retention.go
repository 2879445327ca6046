package app

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// beginRetention has a lease's time begin when it comes into a container.
func beginRetention(u *unit, o model.Object) error {
	o.(*model.IPRetention).LeasedAt = u.tx.Now()
	return nil
}

// retain notes in a lease's retentions that the transaction has released the lease, or has given it to an interface again, when its
// time begins anew.
func (u *unit) retain() error {
	type change struct{ was, is *model.IPLease }
	var changed []change
	for old, o := range u.tx.Changes() {
		was, ok := old.(*model.IPLease)
		is, still := o.(*model.IPLease)
		if ok && still && (was.InterfaceUUID == "") != (is.InterfaceUUID == "") {
			changed = append(changed, change{was, is})
		}
	}
	for _, c := range changed {
		l := c.is
		for _, r := range children[*model.IPRetention](u, l.UUID, "ip_retentions.ip_lease_uuid") {
			r = model.Clone(r)
			switch {
			case l.InterfaceUUID == "" && r.ReleasedAt.IsZero():
				if r.ReleasedAt = u.tx.Now(); u.isThere(c.was.InterfaceUUID) {
					r.FormerInterfaceUUID = c.was.InterfaceUUID
				}
			case l.InterfaceUUID != "" && !r.ReleasedAt.IsZero():
				r.ReleasedAt, r.LeasedAt, r.FormerInterfaceUUID = time.Time{}, u.tx.Now(), ""
			}
			if err := u.replace(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// due says what becomes of a lease in a container next, and when; not ok if nothing does.
func due(r *model.IPRetention, c *model.IPRetentionContainer) (at time.Time, ok bool) {
	since, seconds := r.LeasedAt, c.LeaseTime
	if !r.ReleasedAt.IsZero() {
		since, seconds = r.ReleasedAt, c.GraceTime
	}
	if seconds == nil {
		return time.Time{}, false
	}
	return since.Add(time.Duration(*seconds) * time.Second), true
}

// expire does what is due of some retentions and moves at a time.
func (a *App) expire(ctx context.Context, uuids []string, now time.Time) (*Result, error) {
	return a.transact(ctx, Write{}, func(u *unit) error {
		for _, uuid := range uuids {
			o, _ := u.tx.Get(uuid)
			if at, ok := o.(*model.ActiveInterface); ok {
				if err := u.endMove(at, now); err != nil {
					return err
				}
				continue
			}
			r, ok := o.(*model.IPRetention)
			if !ok {
				continue
			}
			o, _ = u.tx.Get(r.IPRetentionContainerUUID)
			c, ok := o.(*model.IPRetentionContainer)
			if !ok {
				continue
			}
			if at, ok := due(r, c); !ok || at.After(now) {
				continue
			}
			if err := u.expireOne(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (u *unit) expireOne(r *model.IPRetention) error {
	if !r.ReleasedAt.IsZero() {
		deleted, err := u.tx.Delete(r.IPLeaseUUID)
		u.res.Deleted = append(u.res.Deleted, deleted...)
		return err
	}
	o, _ := u.tx.Get(r.IPLeaseUUID)
	if l, ok := o.(*model.IPLease); ok && l.InterfaceUUID != "" {
		l = model.Clone(l)
		l.InterfaceUUID, l.MACLeaseUUID = "", ""
		u.res.Outcomes = append(u.res.Outcomes, Outcome{Object: l, Action: Updated})
		return u.replace(l) // which notes it in all its retentions
	}
	r = model.Clone(r)
	r.ReleasedAt = u.tx.Now()
	return u.replace(r)
}

// Clock is the time by which retentions end: that of the store's transactions.
type Clock interface {
	Now() time.Time
	// After gives a channel that receives once when d has passed.
	After(d time.Duration) <-chan time.Time
}

type wallClock struct{}

func (wallClock) Now() time.Time                         { return time.Now() }
func (wallClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// RetentionOptions are of NewRetention.
type RetentionOptions struct {
	App   *App         // required
	Log   *slog.Logger // required
	Clock Clock        // optional: the system's
}

// Retention releases and destroys leases when their containers say so, and ends moves of interfaces. All times are in the store: another manager, or this one after a
// restart, goes on where it was.
type Retention struct {
	app   *App
	log   *slog.Logger
	clock Clock
	nudge chan struct{}

	mu       sync.Mutex
	loaded   bool
	at       map[string]time.Time // by retention, or record of where an interface was found: when something is due
	deadline deadlines            // of at, and older ones, which are passed over
}

// NewRetention gives one that does nothing until it runs.
func NewRetention(o RetentionOptions) (*Retention, error) {
	if o.App == nil || o.Log == nil {
		return nil, errors.New("retention: App and Log are required")
	}
	r := &Retention{app: o.App, log: o.Log, clock: o.Clock, nudge: make(chan struct{}, 1), at: map[string]time.Time{}}
	if r.clock == nil {
		r.clock = wallClock{}
	}
	o.App.store.Observe(r.observe)
	return r, nil
}

const (
	// expireAtOnce is how many retentions are looked at in one transaction.
	expireAtOnce = 256
	// expireRetry is the wait after a failure, and longestWait that for a far deadline.
	expireRetry = time.Second
	longestWait = 24 * time.Hour
)

// Run does what is due until ctx is done. It waits for the next deadline, or for a change of a retention or container.
func (r *Retention) Run(ctx context.Context) error {
	r.app.store.View(func(x *span.Index, _ int64) { r.load(x.Graph()) })
	for ctx.Err() == nil {
		now := r.clock.Now()
		uuids, wait := r.next(now)
		if len(uuids) > 0 {
			res, err := r.app.expire(ctx, uuids, now)
			if err == nil {
				for _, out := range res.Outcomes {
					r.log.Info("ip lease released: its time is over", "ip_lease", out.Object.Base().UUID, "revision", res.Revision)
				}
				if len(res.Deleted) > 0 {
					r.log.Info("ip leases destroyed: their grace time is over", "deleted", res.Deleted, "revision", res.Revision)
				}
				continue
			}
			if ctx.Err() != nil {
				return nil
			}
			r.log.Warn("leases and moves whose time is over cannot be ended; trying again", "error", err)
			r.again(uuids)
			wait = expireRetry
		}
		select {
		case <-ctx.Done():
		case <-r.nudge:
		case <-r.clock.After(wait):
		}
	}
	return nil
}

// load takes up all retentions; what comes later comes by observe.
func (r *Retention) load(g *graph.Graph) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = true
	for _, o := range g.List(model.IPRetentions) {
		r.track(g, o.(*model.IPRetention))
	}
	for _, o := range g.List(model.ActiveInterfaces) {
		r.trackMove(o.(*model.ActiveInterface))
	}
}

// observe follows retentions, containers and moves: a store.Observer.
func (r *Retention) observe(_ int64, x *span.Index, e *span.Effects) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.loaded {
		return
	}
	moved := false
	for _, c := range e.Changed {
		o := cmp.Or(c.New, c.Old)
		switch o := o.(type) {
		case *model.IPRetention:
			if c.New == nil {
				delete(r.at, o.UUID)
				continue
			}
			r.track(x.Graph(), o)
			moved = true
		case *model.IPRetentionContainer:
			for k := range x.Graph().Referrers(o.UUID, "ip_retentions.ip_retention_container_uuid") {
				r.track(x.Graph(), k.(*model.IPRetention))
				moved = true
			}
		case *model.ActiveInterface:
			if c.New == nil {
				delete(r.at, o.UUID)
				continue
			}
			_, tracked := r.at[o.UUID]
			r.trackMove(o)
			moved = moved || tracked || o.PreviousDatapathUUID != ""
		}
	}
	if moved {
		r.wake()
	}
}

func (r *Retention) wake() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// track notes when something is due of a retention.
func (r *Retention) track(g *graph.Graph, o *model.IPRetention) {
	c, ok := graph.Lookup[*model.IPRetentionContainer](g, o.IPRetentionContainerUUID)
	if !ok {
		delete(r.at, o.UUID)
		return
	}
	at, ok := due(o, c)
	if !ok {
		delete(r.at, o.UUID)
		return
	}
	r.trackAt(o.UUID, at)
}

func (r *Retention) trackAt(uuid string, at time.Time) {
	if r.at[uuid].Equal(at) {
		return
	}
	r.at[uuid] = at
	heap.Push(&r.deadline, deadline{at, uuid})
	if len(r.deadline) > 2*len(r.at)+expireAtOnce { // most are old ones
		r.deadline = r.deadline[:0]
		for uuid, at := range r.at {
			r.deadline = append(r.deadline, deadline{at, uuid})
		}
		heap.Init(&r.deadline)
	}
}

// next gives the retentions and moves of which something is due, or else how long nothing will be. Those that it gives are no longer tracked
// until they change.
func (r *Retention) next(now time.Time) (uuids []string, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.deadline) > 0 {
		d := r.deadline[0]
		if !r.at[d.uuid].Equal(d.at) {
			heap.Pop(&r.deadline)
			continue
		}
		if d.at.After(now) {
			return uuids, min(d.at.Sub(now), longestWait)
		}
		if len(uuids) == expireAtOnce {
			return uuids, 0
		}
		heap.Pop(&r.deadline)
		delete(r.at, d.uuid)
		uuids = append(uuids, d.uuid)
	}
	return uuids, longestWait
}

// again takes up retentions whose expiry has failed.
func (r *Retention) again(uuids []string) {
	r.app.store.View(func(x *span.Index, _ int64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, uuid := range uuids {
			r.retrack(x.Graph(), uuid)
		}
	})
}

type deadline struct {
	at   time.Time
	uuid string
}

// deadlines is a heap.Interface, the next one first.
type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	old := *d
	last := old[len(old)-1]
	*d = slices.Delete(old, len(old)-1, len(old))
	return last
}

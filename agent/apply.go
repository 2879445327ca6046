package agent

import (
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/openvnet/openvnet/dataplane/fastpath"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// Times of the apply loop.
const (
	retryFirst = time.Second // after a refusal; doubled up to retryLast
	retryLast  = time.Minute
	auditEvery = 5 * time.Minute  // the switch and the fast path are compared with what they should be, without a cause
	applyLimit = 30 * time.Second // of one application; a switch that takes longer is given up and dialled again
)

// applier brings what the replica compiles to into the switch and the fast path, one step at a time: while a step is under
// way changes gather, so that under load the steps grow rather than their number.
type applier struct {
	*Agent
	session *session // nil while there is none

	compared bool          // the session's switch has been compared with what it should be
	whole    bool          // and that was by a complete share
	due      time.Time     // when everything is compared again
	retry    time.Duration // how long after a refusal
	refused  map[string]string
	told     *wire.Ports // what the manager has been told of
}

// run is the apply loop.
func (a *applier) run(ctx context.Context) error {
	a.refused = map[string]string{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case a.session = <-a.sessions:
			a.services.current.Store(a.session)
			a.services.ready.Store(false)
			a.compared = false
		case <-a.wake:
		case <-time.After(time.Until(a.due)):
			a.compared = false
		}
		if a.step(ctx) {
			debug.FreeOSMemory() // a comparison holds all twice, and what was decoded for it: the heap is never as large again
		}
	}
}

// step applies what has changed. It reports whether it has compared everything by a complete share.
func (a *applier) step(ctx context.Context) (compared bool) {
	full := a.session != nil && (!a.compared || !a.whole && a.replica.isComplete())
	w := a.replica.work(full)
	if w.ports != nil && (a.told == nil || !slices.Equal(w.ports.Unplaced, a.told.Unplaced) || !slices.Equal(w.ports.Placed, a.told.Placed)) {
		a.told = w.ports
		a.manager.Ports(*w.ports)
	}
	if a.session == nil {
		a.due = time.Now().Add(auditEvery) // what has changed meanwhile comes with the next session
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()

	var refused ovs.Refused
	var err error
	if full {
		var n int
		began := time.Now()
		refused, n, err = a.session.Sync(ctx, w.full, !w.complete)
		a.opts.Logger.Info("compared the switch with what it should be", "flows", len(w.full.Flows), "messages", n, "complete", w.complete, "took", time.Since(began).Round(time.Millisecond))
	} else {
		refused, err = a.session.Apply(ctx, &w.changes)
	}
	if err != nil {
		a.opts.Logger.Warn("the switch could not be changed, dialling again", "error", err)
		a.session.hangUp()
		a.session = nil
		a.services.ready.Store(false)
		a.due = time.Now().Add(auditEvery)
		return false
	}
	if full {
		clear(a.refused)
	}
	for ref, err := range refused {
		a.refused[a.replica.owner(ref)] = "the switch refused it: " + err.Error()
	}
	if err := a.fast.apply(ctx, &w); err != nil {
		maps.Copy(a.refused, a.fastRefused(err))
	}
	if err := a.applyZones(ctx, &w); err != nil {
		a.refused[a.replica.self()] = err.Error()
	}
	back := func(ctx context.Context, p ovs.Packet, frame []byte) error {
		return a.session.Inject(ctx, frame, p.Back())
	}
	if err := a.services.answerAskers(ctx, time.Now(), back); err != nil {
		a.opts.Logger.Warn("DHCP questions that waited for a lease could not be answered", "error", err)
	}
	if w.concernsTunnels() {
		signal(a.tunnels)
	}
	if w.complete {
		a.bridge.Want(w.tunnels) // what is not wanted any more no flow refers to any more
	}
	a.compared = true
	a.services.ready.Store(true)
	if full {
		a.whole = w.complete
	}
	switch {
	case len(a.refused) == 0:
		a.retry = 0
		if full {
			a.due = time.Now().Add(auditEvery)
		}
	case full:
		a.retry = min(max(2*a.retry, retryFirst), retryLast)
		a.due = time.Now().Add(a.retry)
	case time.Until(a.due) > retryFirst:
		a.due = time.Now().Add(retryFirst)
	}
	if w.complete {
		a.tellApplied(&w)
	}
	return full && w.complete
}

// applyZones brings the bounds of how many conversations are remembered into the datapath.
func (a *applier) applyZones(ctx context.Context, w *work) error {
	zones := ovs.NewZones(ovs.ZonesOptions{OVSDB: a.opts.OVSDB, Datapath: w.datapath})
	if w.full == nil {
		return zones.Apply(ctx, &w.changes.Zones)
	}
	_, err := zones.Sync(ctx, w.full.Zones, !w.complete)
	if err != nil && len(w.full.Zones) == 0 {
		a.opts.Logger.Debug("bounds of conversations cannot be read, and none is asked for", "error", err)
		return nil
	}
	return err
}

// fastRefused gives the objects that an error of the fast path concerns; one that concerns none in particular is the host's.
func (a *applier) fastRefused(err error) map[string]string {
	a.replica.mu.RLock()
	defer a.replica.mu.RUnlock()
	refused := map[string]string{}
	var items fastpath.Errors
	if !errors.As(err, &items) {
		return map[string]string{a.replica.in.Self: "fast path: " + err.Error()}
	}
	for _, e := range items {
		refused[a.replica.object(a.fast.owner(a.replica.state, e))] = "fast path: " + e.Error()
	}
	return refused
}

func (a *applier) tellApplied(w *work) {
	ack := wire.Ack{Revision: w.revision, Problems: a.problemsWith(w)}
	a.problems.Store(&ack.Problems)
	a.manager.Ack(ack)
}

// problemsWith gives what is wrong with objects: what could not be compiled, else what the switch or the fast path refused, which hosts are not reached, and
// what DHCP has found.
func (a *applier) problemsWith(w *work) []wire.Problem {
	problems := maps.Clone(a.refused)
	maps.Copy(problems, w.problems)
	for _, found := range []map[string]string{a.services.prober.problems(), a.services.dhcp.tenants.problems()} {
		for uuid, reason := range found {
			if before := problems[uuid]; before != "" {
				reason = before + "; " + reason
			}
			problems[uuid] = reason
		}
	}
	var out []wire.Problem
	for _, uuid := range slices.Sorted(maps.Keys(problems)) {
		out = append(out, wire.Problem{UUID: uuid, Reason: problems[uuid]})
	}
	return out
}

// work is what one step has to do.
type work struct {
	revision int64
	complete bool
	changes  state.Changes
	full     *state.Full       // when everything is to be compared, instead of changes
	problems map[string]string // object -> reason, of compilation
	ports    *wire.Ports       // nil until the bridge and the share are known
	tunnels  [3]bool           // the kinds of tunnel ports that the flows have a use for
	datapath string            // the bridge's datapath_type
}

// work gives what has changed since the last call; with full, everything instead.
func (r *replica) work(full bool) work {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := work{revision: r.revision, complete: r.complete, problems: map[string]string{}}
	if !full {
		w.changes = r.pending
	}
	r.pending = state.Changes{}
	if r.in.Self != "" && r.bridged {
		w.ports = r.report()
	}
	w.tunnels, w.datapath = r.in.Encapsulations(), r.datapath
	if full {
		f := r.state.Full()
		w.full = &f
	}
	for u, err := range r.errs {
		w.problems[r.object(u)] = err.Error()
	}
	return w
}

// report gives what the manager has to know of the ports. The lists are never nil: an empty one says something.
func (r *replica) report() *wire.Ports {
	return &wire.Ports{
		Unplaced: append([]string{}, slices.Sorted(maps.Keys(r.unplaced))...),
		Placed:   append([]string{}, slices.Sorted(maps.Values(r.placed))...),
	}
}

// isComplete reports whether the share is what a manager has said since the agent started.
func (r *replica) isComplete() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.complete
}

// self gives the uuid of the host's datapath.
func (r *replica) self() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.in.Self
}

// owner gives the uuid of the object to which an item of the state belongs.
func (r *replica) owner(ref ovs.Ref) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	u, ok := r.state.Flows.Unit(ref.Flow)
	if !ok {
		if u, ok = r.state.Buckets.Unit(ref.Bucket); !ok {
			if u, ok = r.state.Groups.Unit(ref.Group); !ok {
				u, _ = r.state.Meters.Unit(ref.Meter)
			}
		}
	}
	return r.object(u)
}

// object gives the uuid of the object of a unit; what belongs to no other is the host's.
func (r *replica) object(u state.Unit) string {
	if model.ByUUID(u.UUID) == nil {
		return r.in.Self
	}
	return u.UUID
}

package sync

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// An agent says which of its ports belong to no interface when that changes, which may be long before the interface is made.
// So the hub remembers what was said, and has it placed again when something changes that the ports are waiting for.

// placing is what one agent has said of its ports, and what came of it. The hub's lock guards it.
type placing struct {
	ports     *wire.Ports
	want      int64 // the newest revision for which the ports are to be placed again
	done      int64 // the newest for which they have been
	conflicts map[string]string
	waiters   waiters
}

// needs gives the revision up to which the ports have to be placed before a revision's placements have been done; 0 if they have.
func (p *placing) needs(revision int64) int64 {
	if need := min(revision, p.want); need > p.done {
		return need
	}
	return 0
}

func (p *placing) release() { p.waiters.release() }

// waitingPorts are the streams with a port of a name that belongs to no interface there.
type waitingPorts map[string]map[*stream]struct{}

func (w waitingPorts) add(s *stream) {
	for _, name := range s.placing.ports.Unplaced {
		if w[name] == nil {
			w[name] = map[*stream]struct{}{}
		}
		w[name][s] = struct{}{}
	}
}

func (w waitingPorts) remove(s *stream) {
	if s.placing.ports == nil {
		return
	}
	for _, name := range s.placing.ports.Unplaced {
		if delete(w[name], s); len(w[name]) == 0 {
			delete(w, name)
		}
	}
}

// wake has the ports placed that may belong to an interface which has changed.
func (w waitingPorts) wake(revision int64, x *span.Index, e *span.Effects) {
	if len(w) == 0 {
		return
	}
	for iface := range e.Interfaces {
		w.wakeName(revision, iface, x.Location(iface))
		for _, p := range graph.Children[*model.InterfacePort](x.Graph(), iface, "interface_ports.interface_uuid") {
			if p.PortName != "" {
				w.wakeName(revision, p.PortName, x.Location(iface))
			}
		}
	}
}

func (w waitingPorts) wakeName(revision int64, name, location string) {
	for s := range w[name] {
		if s.view.Host() != location {
			s.placing.want = revision
			nudge(s.report)
		}
	}
}

// reported takes an agent's list.
func (s *stream) reported(p *wire.Ports) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.view.Host()] != s {
		return
	}
	h.waiting.remove(s)
	s.placing.ports = p
	h.waiting.add(s)
	nudge(s.report)
}

// place has the agent's ports placed until ctx ends, again after a failure: an agent says it once.
func (s *stream) place(ctx context.Context, datapath string) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.report:
		case <-retry.C:
		}
		retry.Stop()
		s.hub.mu.Lock()
		ports, want := s.placing.ports, s.placing.want
		s.hub.mu.Unlock()
		if ports == nil {
			continue
		}
		conflicts, err := s.hub.app.Place(ctx, datapath, *ports)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("ports cannot be placed; trying again", "error", err)
			retry.Reset(s.hub.interval)
		default:
			if len(conflicts) > 0 {
				retry.Reset(s.hub.interval) // the other host may go
			}
			s.placed(want, conflicts)
		}
	}
}

// placed takes what came of a placement.
func (s *stream) placed(revision int64, conflicts []wire.Problem) {
	now := make(map[string]string, len(conflicts))
	for _, c := range conflicts {
		now[c.UUID] = c.Reason
	}
	s.hub.mu.Lock()
	before := s.placing.conflicts
	s.placing.conflicts, s.placing.done = now, max(s.placing.done, revision)
	s.placing.waiters.reached(s.placing.done)
	s.hub.mu.Unlock()
	for _, uuid := range slices.Sorted(maps.Keys(now)) {
		if before[uuid] != now[uuid] {
			s.log.Error("two hosts have a port of one interface", "interface", uuid, "reason", now[uuid])
		}
	}
}

package sync

import (
	"context"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// arrived takes what an agent says. Those that are too many are dropped: their guests will send again.
func (s *stream) arrived(m *wire.Arrived) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.arrivals == nil {
		s.arrivals = map[string]wire.Arrival{}
	}
	for _, a := range m.Interfaces {
		if len(s.arrivals) >= wire.MaxArrived {
			break
		}
		s.arrivals[a.UUID] = a
	}
	nudge(s.come)
}

// arrive has the interfaces be where their guests have come to until ctx ends.
func (s *stream) arrive(ctx context.Context, datapath string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.come:
		}
		s.hub.mu.Lock()
		taken := s.arrivals
		s.arrivals = nil
		s.hub.mu.Unlock()
		here, err := s.hub.app.Arrive(ctx, datapath, slices.Collect(maps.Values(taken)))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("interfaces whose guests have come to the host cannot be moved there; the guests will send again", "error", err)
		case len(here) > 0:
			s.log.Info("interfaces have moved to the host", "interfaces", here)
		}
	}
}

// movesEnd has ports placed again which a move that is over, or was cancelled, has kept from being looked at. The hub's lock is held.
func (h *Hub) movesEnd(revision int64, e *span.Effects) {
	for _, c := range e.Changed {
		was, ok := c.Old.(*model.ActiveInterface)
		if !ok || was.TargetDatapathUUID == "" && was.PreviousDatapathUUID == "" {
			continue
		}
		for _, d := range []string{was.DatapathUUID, was.TargetDatapathUUID, was.PreviousDatapathUUID} {
			if s := h.streams[d]; s != nil && s.placing.ports != nil {
				s.placing.want = revision
				nudge(s.report)
			}
		}
	}
}

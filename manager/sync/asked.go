package sync

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// askers are the interfaces whose guests ask by DHCP and have no lease, until the policies have been asked for one. The hub's lock
// guards it.
type askers map[string]struct{}

// asked takes what an agent says. Those that are too many are dropped: their guests will ask again.
func (s *stream) asked(m *wire.Asked) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.askers == nil {
		s.askers = askers{}
	}
	for _, i := range m.Interfaces {
		if len(s.askers) >= wire.MaxAsked {
			break
		}
		s.askers[i] = struct{}{}
	}
	nudge(s.ask)
}

// lease has leases made for askers until ctx ends.
func (s *stream) lease(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ask:
		}
		s.hub.mu.Lock()
		taken, host := s.askers, s.view.Host()
		s.askers = nil
		s.hub.mu.Unlock()
		for _, iface := range slices.Sorted(maps.Keys(taken)) {
			here := false
			s.hub.store.View(func(x *span.Index, _ int64) { here = x.Location(iface) == host })
			if !here {
				continue // a host asks for its own interfaces only
			}
			leases, err := s.hub.app.LeaseForDHCP(ctx, iface)
			var refused *model.Error
			switch {
			case ctx.Err() != nil:
				return
			case errors.As(err, &refused):
				s.log.Debug("no lease for a guest that asks by DHCP", "interface", iface, "reason", err)
			case err != nil:
				s.log.Warn("a guest that asks by DHCP cannot be given a lease; it will ask again", "interface", iface, "error", err)
			case len(leases) > 0:
				s.log.Info("lease made for a guest that asked by DHCP", "interface", iface, "lease", leases[0].UUID, "address", leases[0].Addr())
			}
		}
	}
}

package sync

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// askers are the interfaces whose guests ask for a lease and have none, until the policies have been asked for one. The hub's lock
// guards it.
type askers map[asker]struct{}

// asker is an interface, and the family that its guest asks for, 4 or 6.
type asker struct {
	iface  string
	family int
}

// asked takes what an agent says. Those that are too many are dropped: their guests will ask again.
func (s *stream) asked(m *wire.Asked) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.askers == nil {
		s.askers = askers{}
	}
	note := func(interfaces []string, family int) {
		for _, i := range interfaces[:min(len(interfaces), wire.MaxAsked-len(s.askers))] {
			s.askers[asker{i, family}] = struct{}{}
		}
	}
	note(m.Interfaces, 4)
	note(m.Interfaces6, 6)
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
		for _, a := range slices.SortedFunc(maps.Keys(taken), func(a, b asker) int { return cmp.Or(cmp.Compare(a.iface, b.iface), a.family-b.family) }) {
			here, iface := false, a.iface
			s.hub.store.View(func(x *span.Index, _ int64) { here = x.Location(iface) == host })
			if !here {
				continue // a host asks for its own interfaces only
			}
			leases, err := s.hub.app.LeaseForDHCP(ctx, iface, a.family)
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

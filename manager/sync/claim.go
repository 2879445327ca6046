package sync

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
)

// claimed takes what an agent says. Claims that are too many are dropped.
func (s *stream) claimed(m *wire.Claimed) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	room := max(0, wire.MaxClaims-len(s.claims))
	s.claims = append(s.claims, m.Claims[:min(len(m.Claims), room)]...)
	nudge(s.want)
}

// lend has leases made of what guests claim until ctx ends.
func (s *stream) lend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.want:
		}
		s.hub.mu.Lock()
		claims, host := s.claims, s.view.Host()
		s.claims = nil
		s.hub.mu.Unlock()
		s.hub.store.View(func(x *span.Index, _ int64) { // a host asks for its own interfaces only
			claims = slices.DeleteFunc(claims, func(c wire.Claim) bool { return x.Location(c.InterfaceUUID) != host })
		})
		refused, err := s.hub.app.Claim(ctx, claims)
		for _, a := range slices.SortedFunc(maps.Keys(refused), netip.Addr.Compare) {
			s.log.Info("an address that a guest has made is not leased to it", "address", a, "reason", refused[a])
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("addresses that guests have made cannot be leased to them", "error", err)
		}
	}
}

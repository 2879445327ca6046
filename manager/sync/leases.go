package sync

import (
	"context"

	"github.com/openvnet/openvnet/model/wire"
)

// leases takes what an agent says, of each lease the last word. Those that are too many are dropped: guests renew in time.
func (s *stream) leases(m *wire.Leases) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.said == nil {
		s.said = map[string]bool{}
	}
	note := func(uuids []string, released bool) {
		for _, uuid := range uuids {
			if _, known := s.said[uuid]; known || len(s.said) < wire.MaxLeases {
				s.said[uuid] = released
			}
		}
	}
	note(m.Renewed, false)
	note(m.Released, true)
	nudge(s.word)
}

// keep has leases last as their guests say until ctx ends.
func (s *stream) keep(ctx context.Context, datapath string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.word:
		}
		s.hub.mu.Lock()
		said := s.said
		s.said = nil
		s.hub.mu.Unlock()
		var m wire.Leases
		for uuid, released := range said {
			if released {
				m.Released = append(m.Released, uuid)
			} else {
				m.Renewed = append(m.Renewed, uuid)
			}
		}
		released, err := s.hub.app.LeasesOfDHCP(ctx, datapath, m)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("what guests have said of their leases by DHCP cannot be noted; they will renew again", "error", err)
		case len(released) > 0:
			s.log.Info("ip leases released: their guests gave them back", "ip_leases", released)
		}
	}
}

package agent

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
)

const (
	maxAskers = 256             // of whom the question is kept
	askedFor  = 5 * time.Second // how long it is kept: clients ask again after some seconds
	askAgain  = time.Second     // how often the manager is told of one asker
)

// askers are guests who ask by DHCP and have no lease yet. Their last question is kept, and answered when a lease has come: a client
// that has to ask again waits for seconds.
type askers struct {
	mu   sync.Mutex
	last map[uint32]asker // by id of the interface
	tell func(iface string)
}

type asker struct {
	packet ovs.Packet
	at     time.Time
}

// unleased takes a question that cannot be answered yet.
func (s *dhcpService) unleased(p ovs.Packet) {
	s.replica.mu.RLock()
	i, ok := s.replica.in.X.Graph().ByID(model.Interfaces, p.Ingress)
	s.replica.mu.RUnlock()
	if ok && s.askers.keep(p, time.Now()) {
		s.askers.tell(i.Base().UUID)
	}
}

// keep keeps a question, and reports whether the manager is to be told.
func (a *askers) keep(p ovs.Packet, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		a.last = map[uint32]asker{}
	}
	before, known := a.last[p.Ingress]
	if known && now.Sub(before.at) < askAgain {
		return false
	}
	if !known && len(a.last) >= maxAskers {
		for id, q := range a.last {
			if now.Sub(q.at) > askedFor {
				delete(a.last, id)
			}
		}
		if len(a.last) >= maxAskers {
			return true
		}
	}
	p.Data = bytes.Clone(p.Data)
	a.last[p.Ingress] = asker{p, now}
	return true
}

// take gives the questions that are kept, and forgets those that are too old.
func (a *askers) take(now time.Time) []ovs.Packet {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ps []ovs.Packet
	for id, q := range a.last {
		if now.Sub(q.at) > askedFor {
			delete(a.last, id)
			continue
		}
		ps = append(ps, q.packet)
	}
	return ps
}

func (a *askers) forget(id uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, id)
}

// answerAskers answers the questions for which a lease has come: the switch has it when this is called.
func (s *dhcpService) answerAskers(ctx context.Context, reply func(ctx context.Context, p ovs.Packet, frame []byte) error) error {
	for _, p := range s.askers.take(time.Now()) {
		vni, ok := s.networkOf(p.Ingress)
		if !ok {
			continue
		}
		s.askers.forget(p.Ingress)
		p.Network = vni
		frame := s.answer(p, time.Now())
		if frame == nil {
			continue
		}
		if err := reply(ctx, p, frame); err != nil {
			return err
		}
	}
	return nil
}

// networkOf gives the domain of an interface's first IPv4 address that is present here.
func (s *dhcpService) networkOf(iface uint32) (vni uint32, ok bool) {
	s.replica.mu.RLock()
	defer s.replica.mu.RUnlock()
	i, ok := s.replica.in.X.Graph().ByID(model.Interfaces, iface)
	if !ok {
		return 0, false
	}
	for _, st := range s.replica.in.Stations(i.Base().UUID) {
		if st.IPv4().IsValid() {
			return st.Domain.Number, true
		}
	}
	return 0, false
}

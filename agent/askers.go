package agent

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
)

const (
	maxAskers = 256             // of whom the question is kept
	askedFor  = 5 * time.Second // how long it is kept: clients ask again after some seconds
	askAgain  = time.Second     // how often the manager is told of one asker
)

// askers are guests who ask for a lease and have none yet. Their last question is kept, and answered when a lease has come: a client
// that has to ask again waits for seconds.
type askers struct {
	family int // 4 or 6
	tell   func(iface string, family int)

	mu   sync.Mutex
	last map[uint32]asker // by id of the interface
}

func newAskers(family int) *askers { return &askers{family: family, tell: func(string, int) {}} }

type asker struct {
	packet ovs.Packet
	at     time.Time
}

// unleased takes a question that cannot be answered yet, if it is of a guest without an address of the family.
func (a *askers) unleased(r *replica, p ovs.Packet, now time.Time) {
	if _, leased := r.domainOf(p.Ingress, a.family); leased {
		return
	}
	r.mu.RLock()
	o, ok := r.in.X.Graph().ByID(model.Interfaces, p.Ingress)
	r.mu.RUnlock()
	if ok && o.(*model.Interface).Mode == model.InterfaceVIF && a.keep(p, now) {
		a.tell(o.Base().UUID, a.family)
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

// reply sends an answer to a question.
type reply func(ctx context.Context, p ovs.Packet, frame []byte) error

// serve answers the questions for which a lease of the family has come: the switch has it when this is called.
func (a *askers) serve(ctx context.Context, r *replica, answer func(p ovs.Packet, now time.Time) []byte, now time.Time, reply reply) error {
	for _, p := range a.take(now) {
		vni, ok := r.domainOf(p.Ingress, a.family)
		if !ok {
			continue
		}
		a.forget(p.Ingress)
		p.Network = vni
		frame := answer(p, now)
		if frame == nil {
			continue
		}
		if err := reply(ctx, p, frame); err != nil {
			return err
		}
	}
	return nil
}

// answerAskers answers the questions of both DHCP and DHCPv6 for which a lease has come.
func (s *services) answerAskers(ctx context.Context, now time.Time, reply reply) error {
	return errors.Join(s.dhcp.askers.serve(ctx, s.replica, s.dhcp.answer, now, reply), s.dhcp6.askers.serve(ctx, s.replica, s.dhcp6.answer, now, reply))
}

// domainOf gives the domain of an interface's first address of a family that is present here.
func (r *replica) domainOf(iface uint32, family int) (vni uint32, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	i, ok := r.in.X.Graph().ByID(model.Interfaces, iface)
	if !ok {
		return 0, false
	}
	for _, st := range r.in.Stations(i.Base().UUID) {
		if st.Domain.Present && slices.ContainsFunc(st.Addrs, func(a compile.Address) bool { return a.Is4() == (family == 4) && !a.IsLinkLocalUnicast() }) {
			return st.Domain.Number, true
		}
	}
	return 0, false
}

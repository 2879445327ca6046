package agent

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/services/neighbor"
)

// nextHops finds out the MAC addresses of next hops that nobody registered. Packets wait for them here, and devices outside answer.
type nextHops struct {
	*desk
	tell       func(context.Context, ovs.Packet, reason.Reason) string
	known      *neighbor.Resolver[ovs.Packet]
	used       chan []neighbor.Key // to which packets have gone; has room for one list
	generation uint64              // of the replica, when it was last looked whether domains and legs are still there
}

func newNextHops(d *desk, t *teller) *nextHops {
	return &nextHops{desk: d, tell: t.tell, known: neighbor.New[ovs.Packet](neighbor.Options{}), used: make(chan []neighbor.Key, 1)}
}

func (h *nextHops) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	if to := p.NextHop(); to.IsValid() {
		return h.want(ctx, now, p, neighbor.Key{Domain: p.Network, Addr: to})
	}
	return h.heard(ctx, now, p)
}

// want sends a packet on, or keeps it and asks.
func (h *nextHops) want(ctx context.Context, now time.Time, p ovs.Packet, k neighbor.Key) string {
	if len(p.Data) < p.Length {
		return dropCut
	}
	if mac, ok := h.known.Known(k); ok { // it was on its way when the answer came
		h.known.Used(now, k)
		return h.forward(ctx, p, mac)
	}
	leg, ok := h.replica.leg(k.Domain, p.Egress, k.Addr)
	if !ok {
		return dropSender
	}
	if h.known.Absent(k) {
		h.tell(ctx, p, reason.NoNeighbor)
	}
	before := h.known.Dropped()
	q, ask := h.known.Want(now, k, leg, p)
	if ask {
		h.ask(ctx, q)
	}
	if h.known.Dropped() > before {
		return dropNoAnswer
	}
	return ""
}

// ask sends a question into the domain, to where devices outside are.
func (h *nextHops) ask(ctx context.Context, q neighbor.Question) {
	h.send(ctx, q.Frame, ovs.Through(pipeline.L2, pipeline.Network.Set(q.Key.Domain)))
}

// forward sends a packet on as table next_hop would: the flow may not be there yet.
func (h *nextHops) forward(ctx context.Context, p ovs.Packet, mac model.MAC) string {
	b := bytes.Clone(p.Data)
	copy(b, mac[:])
	if err := h.inject(ctx, b, p.Again(pipeline.L2)); err != nil {
		return dropNoSwitch
	}
	return ""
}

// heard takes an answer. A leg that is at several hosts asks from one of them, and the answer may come in at another.
func (h *nextHops) heard(ctx context.Context, now time.Time, p ovs.Packet) string {
	k, mac, released, news := h.known.Heard(now, p.Network, p.Data)
	if news {
		h.replica.found(func(b *compile.Bridge) []state.Unit {
			if at := (compile.NeighborKey{Domain: k.Domain, Addr: k.Addr}); b.SetNeighbor(at, mac) {
				return []state.Unit{compile.NeighborUnit(at)}
			}
			return nil
		})
		h.wake()
	}
	for _, w := range released {
		h.forward(ctx, w, mac)
	}
	if !p.Remote && h.replica.elsewhere(p.Network) {
		h.send(ctx, p.Data, ovs.ToOtherHosts(p.Network))
	} else if !k.Addr.IsValid() {
		return dropNotAsked
	}
	return ""
}

func (h *nextHops) tick(ctx context.Context, now time.Time) {
	select {
	case keys := <-h.used:
		for _, k := range keys {
			h.known.Used(now, k)
		}
	default:
	}
	questions, gone, lost := h.known.Tick(now)
	for _, p := range lost {
		h.tell(ctx, p, reason.NoNeighbor)
	}
	for _, q := range questions {
		h.ask(ctx, q)
	}
	if g := h.replica.generationNow(); g != h.generation {
		h.generation = g
		gone = append(gone, h.known.Retain(h.replica.hasLeg)...)
	}
	if len(gone) == 0 {
		return
	}
	h.replica.found(func(b *compile.Bridge) []state.Unit {
		var units []state.Unit
		for _, k := range gone {
			if at := (compile.NeighborKey{Domain: k.Domain, Addr: k.Addr}); b.RemoveNeighbor(at) {
				units = append(units, compile.NeighborUnit(at))
			}
		}
		return units
	})
	h.wake()
}

// leg gives who asks for an address in a domain: the interface of that id, with an address of the same subnet, or else any of the family.
func (r *replica) leg(domain, id uint32, to netip.Addr) (neighbor.Leg, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.legStation(domain, id)
	if !ok {
		return neighbor.Leg{}, false
	}
	l := neighbor.Leg{ID: id, MAC: s.MAC}
	for _, a := range s.Addrs {
		switch near := a.Network != nil && subnet(a).Contains(to) || to.IsLinkLocalUnicast() && a.IsLinkLocalUnicast(); {
		case a.Is4() != to.Is4():
		case near:
			l.Addr = a.Addr
			return l, true
		case !l.Addr.IsValid():
			l.Addr = a.Addr
		}
	}
	return l, true
}

// subnet gives the subnet of a leased address.
func subnet(a compile.Address) netip.Prefix {
	bits := a.Network.IPv4Prefix
	if a.Is6() {
		bits = a.Network.IPv6Prefix
	}
	p, _ := a.Prefix(bits)
	return p
}

// hasLeg reports whether the interface of that id is a leg in the domain.
func (r *replica) hasLeg(domain, id uint32) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.legStation(domain, id)
	return ok
}

func (r *replica) legStation(domain, id uint32) (compile.Station, bool) {
	o, ok := r.in.X.Graph().ByID(model.Interfaces, id)
	if !ok {
		return compile.Station{}, false
	}
	if i := o.(*model.Interface); i.Mode != model.InterfaceSimulated || !i.EnableRouting {
		return compile.Station{}, false
	}
	for _, s := range r.in.Stations(o.Base().UUID) {
		if s.Domain.Number == domain && s.Domain.Present { // elsewhere nobody answers
			return s, true
		}
	}
	return compile.Station{}, false
}

// elsewhere reports whether other hosts are sent frames of the domain of that number.
func (r *replica) elsewhere(domain uint32) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, ok := r.in.DomainByNumber(domain)
	return ok && r.in.Elsewhere(d)
}

// sourceOf gives the MAC address that a frame is from.
func sourceOf(b []byte) (model.MAC, bool) {
	eth, _, reason := frame.DecodeEthernet(b)
	return eth.Src, reason == frame.OK && !eth.Src.IsMulticast() && eth.Src != (model.MAC{})
}

package agent

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/services/icmp"
)

// teller tells senders why routers, and simulated interfaces, have dropped their packets; and cuts those that are too big, if they may be cut.
type teller struct {
	*desk
	oversize atomic.Uint64 // packets that were too big
}

func (t *teller) handle(ctx context.Context, _ time.Time, p ovs.Packet) string {
	return t.tell(ctx, p, p.Refused)
}

func (*teller) tick(context.Context, time.Time) {}

// tell works on a packet that was dropped. It gives the reason why nobody is told, "" if somebody is. It is safe for concurrent use.
func (t *teller) tell(ctx context.Context, p ovs.Packet, why reason.Reason) string {
	if len(p.Data) < p.Length {
		return dropCut
	}
	mtu := 0
	if why == reason.TooBig {
		t.oversize.Add(1)
		mtu = t.replica.mtuInto(p.Subnet)
		if icmp.MayCut(p.Data) {
			return t.cut(ctx, p, mtu)
		}
	}
	sender, ok := icmp.Sender(p.Data)
	if !ok {
		return dropNotAnswered
	}
	e, way, ok := t.replica.answers(p, why, sender)
	if !ok {
		return dropSender
	}
	e.MTU = mtu
	answer := icmp.Answer(p.Data, e)
	if answer == nil {
		return dropNotAnswered
	}
	if err := t.inject(ctx, answer, way); err != nil {
		return dropNoSwitch
	}
	return ""
}

// cut sends fragments of a packet on from where it was found to be too big.
func (t *teller) cut(ctx context.Context, p ovs.Packet, mtu int) string {
	parts := icmp.Cut(p.Data, mtu)
	if parts == nil {
		return dropNotAnswered
	}
	for _, f := range parts {
		if err := t.inject(ctx, f, p.Again(pipeline.L3Out, pipeline.Sized.Set(1), pipeline.Oversize.Set(0), pipeline.Refused.Set(0))); err != nil {
			return dropNoSwitch
		}
	}
	return ""
}

// mtuInto gives the MTU of the network of that id, 0 if it is not known.
func (r *replica) mtuInto(network uint32) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n, ok := r.in.X.Graph().ByID(model.Networks, network); ok {
		return r.in.MTU(n.Base().UUID)
	}
	return 0
}

// kinds are what senders are told, by the reason.
var kinds = map[reason.Reason]icmp.Kind{
	reason.TTL: icmp.TimeExceeded, reason.NoRoute: icmp.NoRoute, reason.NoIngressRoute: icmp.NoEntry, reason.NoNeighbor: icmp.NoNeighbor,
	reason.Gateway: icmp.Closed, reason.Destination: icmp.Closed, reason.TooBig: icmp.TooBig,
}

// answers gives what a sender is told of a packet, and how that goes on its way: as any packet in the route link, or, where none was entered, in the domain. What was refused behind
// a leg's translations comes back through them, as if somebody in the leg's network had refused it. The bool is false if nobody is left who could tell.
func (r *replica) answers(p ovs.Packet, why reason.Reason, sender netip.Addr) (icmp.Error, ovs.Way, bool) {
	e := icmp.Error{Kind: kinds[why]}
	inDomain := ovs.Through(pipeline.L2, pipeline.Network.Set(p.Network))
	inLink := ovs.Through(pipeline.L3Route, pipeline.RouteLink.Set(p.Link))
	switch why {
	case reason.Gateway: // by the address that the packet was for
		return e, inLink, true
	case reason.Destination:
		return e, inDomain, true
	case reason.NoIngressRoute:
		l, ok := r.leg(p.Network, p.Egress, sender)
		e.From = l.Addr
		return e, inDomain, ok && l.Addr.IsValid() && !r.translates(p.Egress)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.in.X.Graph()
	var ok bool
	if why == reason.NoNeighbor {
		leg, translates := r.translating(p.Egress)
		if n, there := g.ByID(model.Networks, p.Subnet); there && translates {
			e.From, ok = r.in.AddressIn(leg, n.Base().UUID, sender.Is6())
			return e, ovs.Through(pipeline.L3In, pipeline.Network.Set(p.Network), pipeline.Egress.Set(p.Egress)), ok
		}
	}
	e.From, ok = r.in.AddressTowards(p.Link, sender)
	return e, inLink, ok
}

// translates reports whether the interface of that id translates what it routes.
func (r *replica) translates(id uint32) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, yes := r.translating(id)
	return yes
}

// translating gives the interface of that id, if it translates what it routes.
func (r *replica) translating(id uint32) (uuid string, ok bool) {
	o, ok := r.in.X.Graph().ByID(model.Interfaces, id)
	if !ok {
		return "", false
	}
	return o.Base().UUID, o.(*model.Interface).EnableRouteTranslation
}

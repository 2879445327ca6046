package agent

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/services/frame"
)

// Bounds of asking guests which of their addresses they have yet.
const (
	maxAsked   = 64              // guests that are asked at a time
	askedTimes = 3               // questions for each address, one a tick
	askedRest  = 5 * time.Second // at least, between two rounds for one guest
)

// claims tells the manager of addresses that guests have made themselves and ask for whether they are free: it leases them. Whoever has such an address is
// answered for. A guest that has as many as it may have is asked which it has yet, and those that it does not answer for it gives up for the new one.
type claims struct {
	*desk
	tell  func(wire.Claim)
	asked map[claimant]*inventory
}

// claimant is a guest with one of its MAC addresses.
type claimant struct {
	iface uint32
	mac   model.MAC
}

// inventory is what a guest is asked.
type inventory struct {
	uuid   string
	domain uint32
	wants  netip.Addr
	left   []netip.Addr // not answered for yet
	rounds int          // that were asked; no more than askedTimes
	over   time.Time    // when the last one was
}

func newClaims(d *desk) *claims {
	return &claims{desk: d, tell: func(wire.Claim) {}, asked: map[claimant]*inventory{}}
}

func (c *claims) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	eth, m, reason := frame.DecodeND(p.Data)
	if reason != frame.OK {
		return dropMalformed
	}
	who := claimant{p.Ingress, eth.Src}
	if m.Advertisement {
		if inv := c.asked[who]; inv != nil {
			inv.left = slices.DeleteFunc(inv.left, func(a netip.Addr) bool { return a == m.Target })
			return ""
		}
		return dropNotAsked
	}
	s := c.replica.standing(p.Ingress, p.Network, eth.Src, m.Target)
	switch {
	case s.uuid == "":
		return dropSender
	case s.holder == eth.Src:
		return "" // it has it, and the switch will soon
	case s.holder != model.MAC{}:
		if err := c.inject(ctx, defend(eth, m.Target, s.holder), p.Back()); err != nil {
			return dropNoSwitch
		}
		return dropTaken
	case len(s.made) < model.MaxClaims:
		c.tell(wire.Claim{InterfaceUUID: s.uuid, MAC: eth.Src, Address: m.Target})
		return ""
	}
	if inv := c.asked[who]; inv != nil && inv.rounds > 0 || len(c.asked) >= maxAsked && c.asked[who] == nil {
		return dropLimit
	}
	if inv := c.asked[who]; inv != nil && now.Sub(inv.over) < askedRest {
		return dropLimit
	}
	inv := &inventory{uuid: s.uuid, domain: p.Network, wants: m.Target, left: s.made}
	c.asked[who] = inv
	c.ask(ctx, who, inv)
	return ""
}

// ask asks a guest for the addresses that it has not answered for.
func (c *claims) ask(ctx context.Context, who claimant, inv *inventory) {
	inv.rounds++
	from := model.ClaimAsker()
	for _, a := range inv.left {
		group, _ := frame.SolicitedNode(a)
		f := frame.ND{Src: from.LinkLocal(), Dst: group, Target: a, Link: from}.Encode(frame.Ethernet{Src: from, Dst: who.mac})
		c.send(ctx, f, ovs.Through(pipeline.Output, pipeline.Network.Set(inv.domain), pipeline.Egress.Set(who.iface)))
	}
}

func (c *claims) tick(ctx context.Context, now time.Time) {
	for who, inv := range c.asked {
		switch {
		case inv.rounds == 0:
			if now.Sub(inv.over) >= askedRest {
				delete(c.asked, who)
			}
		case inv.rounds < askedTimes && len(inv.left) > 0:
			c.ask(ctx, who, inv)
		default:
			inv.rounds, inv.over = 0, now
			if len(inv.left) > 0 {
				c.tell(wire.Claim{InterfaceUUID: inv.uuid, MAC: who.mac, Address: inv.wants, Gone: inv.left})
			}
		}
	}
}

// standing is what there is to know of a claim.
type standing struct {
	uuid   string       // of the interface; "" if it may not have the address
	holder model.MAC    // who has the address; zero for nobody
	made   []netip.Addr // the addresses that the MAC address has by claims
}

// standing looks a claim up.
func (r *replica) standing(iface, domain uint32, mac model.MAC, target netip.Addr) standing {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.in.X.Graph()
	guest, at := guestAt(&r.in, iface, domain, mac)
	if guest == nil {
		return standing{}
	}
	var s standing
	for _, a := range at.Addrs {
		if a.Network == nil || !a.Is6() {
			continue
		}
		if l, ok := leaseByID(g, a.Lease); ok && l.Origin == model.OriginSLAAC {
			s.made = append(s.made, a.Addr)
		}
		if p := a.Network.Autonomous(); s.uuid == "" && p.IsValid() && p.Contains(target) {
			s.uuid, s.holder = guest.UUID, holder(&r.in, a.Network, target)
		}
	}
	return s
}

func leaseByID(g *graph.Graph, id uint32) (*model.IPLease, bool) {
	o, ok := g.ByID(model.IPLeases, id)
	if !ok {
		return nil, false
	}
	l, ok := o.(*model.IPLease)
	return l, ok
}

// holder gives the MAC address of who has an address in a network, zero for nobody. A lease of no MAC address is of an address that is taken, too: the network's own answers for it.
func holder(in *compile.Input, n *model.Network, a netip.Addr) model.MAC {
	g := in.X.Graph()
	uuid, ok := g.ByUnique(model.IPLeases, "ipv6", n.UUID, a.String())
	l, isLease := graph.Lookup[*model.IPLease](g, uuid)
	if !ok || !isLease {
		return model.MAC{}
	}
	ml, _ := graph.Lookup[*model.MACLease](g, l.MACLeaseUUID)
	if ml == nil {
		return model.ClaimAsker()
	}
	return cmp.Or(ml.MACAddress, model.ClaimAsker())
}

// defend gives the advertisement that tells all who hear it, above all who asks, that an address is taken (RFC 4861, section 7.2.4).
func defend(question frame.Ethernet, target netip.Addr, by model.MAC) []byte {
	question.Src, question.Dst = by, model.MAC{0x33, 0x33, 0, 0, 0, 1}
	return frame.ND{Advertisement: true, Src: target, Dst: netip.IPv6LinkLocalAllNodes(), Flags: 1 << 29, Target: target, Link: by}.Encode(question)
}

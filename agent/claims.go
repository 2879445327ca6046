package agent

import (
	"cmp"
	"context"
	"maps"
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

// Bounds of what the manager is told, and of asking guests which of their addresses they have yet.
const (
	maxTold    = 4096            // claims that are remembered; of more the manager is told each time
	toldRest   = 2 * time.Second // between two of one address by one guest: it claims a link-local one with each question from it
	maxAsked   = 64              // guests that are asked at a time
	askedTimes = 3               // questions for each address, one a tick
	askedRest  = 5 * time.Second // at least, between two rounds for one guest
)

// claims tells the manager of addresses that guests have made themselves and ask for whether they are free, and of link-local ones that they use: it leases them. Whoever has such an address is
// answered for. A guest that has as many as it may have is asked which it has yet, and those that it does not answer for it gives up for the new one.
type claims struct {
	*desk
	tell  func(wire.Claim)
	told  map[claimed]time.Time
	asked map[claimant]*inventory
}

// claimed is an address that a guest claims.
type claimed struct {
	claimant
	addr netip.Addr
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
	return &claims{desk: d, tell: func(wire.Claim) {}, told: map[claimed]time.Time{}, asked: map[claimant]*inventory{}}
}

func (c *claims) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	eth, target, answers, reason := readClaim(p.Data)
	if reason != frame.OK {
		return dropMalformed
	}
	who := claimant{p.Ingress, eth.Src}
	if answers {
		if inv := c.asked[who]; inv != nil {
			inv.left = slices.DeleteFunc(inv.left, func(a netip.Addr) bool { return a == target })
			return ""
		}
		return dropNotAsked
	}
	s := c.replica.standing(p.Ingress, p.Network, eth.Src, target)
	switch {
	case s.uuid == "":
		return dropSender
	case s.holder == eth.Src:
		return "" // it has it, and the switch will soon
	case s.holder != model.MAC{}:
		if err := c.inject(ctx, defend(eth, target, s.holder), p.Back()); err != nil {
			return dropNoSwitch
		}
		return dropTaken
	case len(s.made) < model.MaxClaims:
		key := claimed{who, target}
		if now.Sub(c.told[key]) < toldRest {
			return ""
		}
		if len(c.told) < maxTold {
			c.told[key] = now
		}
		c.tell(wire.Claim{InterfaceUUID: s.uuid, MAC: eth.Src, Address: target})
		return ""
	}
	if inv := c.asked[who]; inv != nil && inv.rounds > 0 || len(c.asked) >= maxAsked && c.asked[who] == nil {
		return dropLimit
	}
	if inv := c.asked[who]; inv != nil && now.Sub(inv.over) < askedRest {
		return dropLimit
	}
	inv := &inventory{uuid: s.uuid, domain: p.Network, wants: target, left: s.made}
	c.asked[who] = inv
	c.ask(ctx, who, inv)
	return ""
}

// readClaim gives the address that a frame is about: the sender's, if that is a link-local one, or else that which a solicitation asks for. What is sent to the asker answers for the target.
func readClaim(b []byte) (eth frame.Ethernet, about netip.Addr, answers bool, reason frame.Reason) {
	eth, rest, reason := frame.DecodeEthernet(b)
	if reason != frame.OK {
		return eth, about, false, reason
	}
	ip, _, reason := frame.DecodeIPv6(rest)
	if reason != frame.OK || ip.Src.IsLinkLocalUnicast() && eth.Dst != model.ClaimAsker() {
		return eth, ip.Src, false, reason
	}
	_, m, reason := frame.DecodeND(b)
	return eth, m.Target, m.Advertisement, reason
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
	maps.DeleteFunc(c.told, func(_ claimed, at time.Time) bool { return now.Sub(at) >= toldRest })
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
	made   []netip.Addr // the addresses that the MAC address has by claims, each once
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
	for _, st := range r.in.Stations(guest.UUID) {
		for _, a := range st.Addrs {
			if l, ok := leaseByID(g, a.Lease); ok && st.MAC == mac && l.Origin == model.OriginSLAAC && !slices.Contains(s.made, a.Addr) {
				s.made = append(s.made, a.Addr)
			}
		}
		for _, n := range networksOf(&st) {
			switch {
			case st.MAC != mac:
			case target.IsLinkLocalUnicast() && n.ChoosesLinkLocal(): // it is to be free in all of them
				s.uuid, s.holder = guest.UUID, cmp.Or(s.holder, holder(&r.in, n, target))
			case s.uuid == "" && st.Domain == at.Domain && n.Autonomous().IsValid() && n.Autonomous().Contains(target):
				s.uuid, s.holder = guest.UUID, holder(&r.in, n, target)
			}
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

// holder gives the MAC address of who has an address in a network, zero for nobody. A lease of no MAC address is of an address that is taken, too: the network's own answers for it. A link-local address
// of the form that is made from a MAC address is that one's, whether anybody has it yet or not.
func holder(in *compile.Input, n *model.Network, a netip.Addr) model.MAC {
	if mac, ok := model.OfMAC(a); ok && a.IsLinkLocalUnicast() {
		return mac
	}
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

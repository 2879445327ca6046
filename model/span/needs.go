package span

import (
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// updateNeeds works out again what the datapaths need on which something has changed that it follows from. wirers are domains that other
// topologies wire now.
func (x *Index) updateNeeds(e *Effects, wirers map[string]struct{}) {
	dirty := map[string]struct{}{}
	for p := range e.Flips {
		dirty[p.Datapath] = struct{}{}
	}
	for d := range wirers {
		x.having(d, dirty)
	}
	for _, c := range e.Changed {
		x.dirtyNeeds(e, c, dirty)
	}
	for i, m := range e.Interfaces {
		if leg := m.old.simulated || m.new.simulated; leg && !m.old.equal(m.new) {
			x.havingLeg(i, dirty)
		}
	}
	if e.Rewired {
		for d := range x.on {
			dirty[d] = struct{}{}
		}
		for d := range x.needs {
			dirty[d] = struct{}{}
		}
	}
	for d := range dirty {
		x.settleNeeds(d, e)
	}
}

// dirtyNeeds adds the datapaths whose needs follow from what the change replaces or brings.
func (x *Index) dirtyNeeds(e *Effects, c Changed, dirty map[string]struct{}) {
	for _, o := range []model.Object{c.Old, c.New} {
		switch o := o.(type) {
		case *model.Route:
			x.having(o.NetworkUUID, dirty)
			x.having(o.RouteLinkUUID, dirty)
		case *model.Network:
			if n, ok := other(c, o).(*model.Network); !ok || n.Mode != o.Mode || n.SegmentUUID != o.SegmentUUID {
				x.havingNetwork(o.UUID, dirty)
				x.having(o.SegmentUUID, dirty)
			}
		case *model.Segment:
			if s, ok := other(c, o).(*model.Segment); !ok || s.Mode != o.Mode {
				x.having(o.UUID, dirty)
				for n := range x.g.Referrers(o.UUID, refNetworkSegment) {
					x.havingNetwork(n.Base().UUID, dirty)
				}
			}
		case *model.RouteLink:
			if other(c, o) == nil {
				x.having(o.UUID, dirty)
			}
		case *model.Translation:
			x.havingLeg(o.InterfaceUUID, dirty)
		case *model.TranslationStaticAddress:
			now, _ := x.g.Get(o.TranslationUUID)
			for _, t := range []model.Object{now, e.before[o.TranslationUUID]} {
				if t, ok := t.(*model.Translation); ok {
					x.havingLeg(t.InterfaceUUID, dirty)
				}
			}
		case *model.SecurityGroup:
			x.having(o.UUID, dirty)
		case *model.SecurityGroupRule:
			x.having(o.SecurityGroupUUID, dirty)
		}
	}
}

// other gives the change's other side.
func other(c Changed, o model.Object) model.Object {
	if c.Old == o {
		return c.New
	}
	return c.Old
}

// having adds the datapaths that have interfaces of the domain, or need it.
func (x *Index) having(domain string, ds map[string]struct{}) {
	for d := range x.counts[domain] {
		ds[d] = struct{}{}
	}
	maps.Copy(ds, x.neededOn[domain])
}

// havingNetwork adds the datapaths that have the network, or a route link that leads to it.
func (x *Index) havingNetwork(network string, ds map[string]struct{}) {
	x.having(network, ds)
	for r := range x.g.Referrers(network, refRouteNetwork) {
		x.having(r.(*model.Route).RouteLinkUUID, ds)
	}
}

// havingLeg adds the datapaths that have to do with the leg's routes.
func (x *Index) havingLeg(iface string, ds map[string]struct{}) {
	for r := range x.g.Referrers(iface, refRouteInterface) {
		x.having(r.(*model.Route).NetworkUUID, ds)
		x.having(r.(*model.Route).RouteLinkUUID, ds)
	}
}

// settleNeeds brings what one datapath needs and hears of up to date, and records in e, which may be nil, what has changed.
func (x *Index) settleNeeds(datapath string, e *Effects) {
	flip := func(uuid string) {
		if e != nil {
			e.NeedFlips = append(e.NeedFlips, Pair{uuid, datapath})
			e.flipsOfNetwork[uuid] = append(e.flipsOfNetwork[uuid], datapath)
			e.flipsAtDatapath[datapath] = append(e.flipsAtDatapath[datapath], uuid)
		}
	}
	settle(x.needs, x.neededOn, datapath, x.deriveNeeds(datapath), flip)
	settle(x.hears, x.heardOn, datapath, x.deriveHears(datapath), flip)
}

// settle replaces what one datapath has of a relation, and calls flip for what it gains and loses.
func settle(of, on map[string]map[string]struct{}, datapath string, now map[string]struct{}, flip func(uuid string)) {
	old := of[datapath]
	for uuid := range old {
		if _, ok := now[uuid]; !ok {
			if delete(on[uuid], datapath); len(on[uuid]) == 0 {
				delete(on, uuid)
			}
			flip(uuid)
		}
	}
	for uuid := range now {
		if _, ok := old[uuid]; !ok {
			if on[uuid] == nil {
				on[uuid] = map[string]struct{}{}
			}
			on[uuid][datapath] = struct{}{}
			flip(uuid)
		}
	}
	if of[datapath] = now; len(now) == 0 {
		delete(of, datapath)
	}
}

// deriveHears gives the route links that legs of networks which are present here lead into at other hosts. The packets are routed there; guests here are told
// where the routes lead.
func (x *Index) deriveHears(datapath string) map[string]struct{} {
	hears := map[string]struct{}{}
	for network := range x.NetworksOn(datapath) {
		if model.ByUUID(network) != model.Networks {
			continue
		}
		for o := range x.g.Referrers(network, refRouteNetwork) {
			r := o.(*model.Route)
			a := x.interfaces[r.InterfaceUUID]
			if r.Ingress && r.Mode != model.RouteBlackhole && a.simulated && a.datapath != "" && a.datapath != datapath && slices.Contains(a.networks(), network) {
				hears[r.RouteLinkUUID] = struct{}{}
			}
		}
	}
	return hears
}

// deriveNeeds gives what follows from the domains that are present:
//
//   - of a network the segment that it lies on, of a segment the networks on it;
//   - of a network the route links of its routes whose legs are at the host, and those that translations of these legs lead into;
//   - of a route link the virtual networks of its routes whose legs are at the host, and again what follows from these. Through a leg
//     that is pinned to another host it goes no further: that one takes over there;
//   - of a masquerade by a leg that is pinned here the network that it is for;
//   - of security groups the groups and address groups that their rules name;
//   - of all these the topologies that have wired them.
func (x *Index) deriveNeeds(datapath string) map[string]struct{} {
	c := closure{x: x, host: datapath, needs: map[string]struct{}{}, seen: map[string]struct{}{}}
	for domain := range x.NetworksOn(datapath) {
		c.visit(domain)
	}
	for len(c.queue) > 0 {
		domain := c.queue[len(c.queue)-1]
		c.queue = c.queue[:len(c.queue)-1]
		if _, ok := x.g.Get(domain); !ok {
			continue // nor is the host sent what refers to it
		}
		switch model.ByUUID(domain) {
		case model.Networks:
			c.network(domain)
		case model.Segments:
			for n := range x.g.Referrers(domain, refNetworkSegment) {
				c.need(n.Base().UUID)
			}
		case model.RouteLinks:
			c.routeLink(domain)
		case model.SecurityGroups:
			c.group(domain)
		}
		for t := range x.topologies[domain] {
			c.needs[t] = struct{}{}
		}
	}
	return c.needs
}

// closure is what one host needs while it is being worked out. Each domain is looked at once.
type closure struct {
	x     *Index
	host  string
	needs map[string]struct{}
	seen  map[string]struct{}
	queue []string
}

func (c *closure) visit(domain string) {
	if _, ok := c.seen[domain]; !ok {
		c.seen[domain] = struct{}{}
		c.queue = append(c.queue, domain)
	}
}

// need adds a domain that the host routes to, and what follows from it.
func (c *closure) need(domain string) {
	if domain != "" {
		c.needs[domain] = struct{}{}
		c.visit(domain)
	}
}

// leg reports whether the route leads through a leg in its network, physical or not, that is at the host if the host has the network.
func (c *closure) leg(r *model.Route, physical bool) bool {
	a := c.x.interfaces[r.InterfaceUUID]
	return r.Mode != model.RouteBlackhole && a.simulated && (a.datapath == c.host || a.datapath == "" && !physical) && slices.Contains(a.networks(), r.NetworkUUID)
}

func (c *closure) network(network string) {
	x := c.x
	if n, ok := graph.Lookup[*model.Network](x.g, network); ok {
		c.need(n.SegmentUUID)
	}
	physical := x.physical(network)
	for o := range x.g.Referrers(network, refRouteNetwork) {
		r := o.(*model.Route)
		if !c.leg(r, physical) {
			continue
		}
		c.need(r.RouteLinkUUID)
		if _, ok := x.g.Get(r.RouteLinkUUID); !ok {
			continue // nor does the host get the route
		}
		for t := range x.g.Referrers(r.InterfaceUUID, refTranslationInterface) {
			for row := range x.g.Referrers(t.Base().UUID, refTranslationRow) {
				c.need(row.(*model.TranslationStaticAddress).RouteLinkUUID)
			}
			if x.interfaces[r.InterfaceUUID].datapath == c.host {
				c.need(t.(*model.Translation).NetworkUUID)
			}
		}
	}
}

func (c *closure) routeLink(link string) {
	for o := range c.x.g.Referrers(link, refRouteLink) {
		r := o.(*model.Route)
		if c.x.virtual(r.NetworkUUID) && c.leg(r, false) {
			c.need(r.NetworkUUID)
		}
	}
}

// group is asked for groups that are present alone: of one that is only named the members count, not the rules.
func (c *closure) group(group string) {
	g, ok := graph.Lookup[*model.SecurityGroup](c.x.g, group)
	if !ok {
		return
	}
	for _, named := range g.Rules.Groups() {
		c.needs[named] = struct{}{}
	}
	for o := range c.x.g.Referrers(group, refGroupRule) {
		r := o.(*model.SecurityGroupRule)
		for _, named := range []string{r.RemoteGroupUUID, r.RemoteAddressGroupUUID} {
			if named != "" {
				c.needs[named] = struct{}{}
			}
		}
	}
}

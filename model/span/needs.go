package span

import (
	"maps"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// updateNeeds works out again what the datapaths need on which something has changed that it follows from.
func (x *Index) updateNeeds(e *Effects) {
	dirty := map[string]struct{}{}
	of := func(domain string) {
		for d := range x.counts[domain] {
			dirty[d] = struct{}{}
		}
	}
	for p := range e.Flips {
		dirty[p.Datapath] = struct{}{}
	}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			switch o := o.(type) {
			case *model.Route:
				of(o.NetworkUUID)
				maps.Copy(dirty, x.neededOn[o.RouteLinkUUID])
			case *model.SecurityGroup:
				of(o.UUID)
			}
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

// settleNeeds brings what one datapath needs up to date, and records in e, which may be nil, what has changed.
func (x *Index) settleNeeds(datapath string, e *Effects) {
	old, needs := x.needs[datapath], x.deriveNeeds(datapath)
	flip := func(uuid string) {
		if e != nil {
			e.needFlips = append(e.needFlips, Pair{uuid, datapath})
			e.flipsOfNetwork[uuid] = append(e.flipsOfNetwork[uuid], datapath)
		}
	}
	for uuid := range old {
		if _, ok := needs[uuid]; !ok {
			if delete(x.neededOn[uuid], datapath); len(x.neededOn[uuid]) == 0 {
				delete(x.neededOn, uuid)
			}
			flip(uuid)
		}
	}
	for uuid := range needs {
		if _, ok := old[uuid]; !ok {
			if x.neededOn[uuid] == nil {
				x.neededOn[uuid] = map[string]struct{}{}
			}
			x.neededOn[uuid][datapath] = struct{}{}
			flip(uuid)
		}
	}
	if x.needs[datapath] = needs; len(needs) == 0 {
		delete(x.needs, datapath)
	}
}

// deriveNeeds gives what follows from the domains that are present: of networks the route links and the networks that these
// lead to, of security groups the groups that their rules name.
func (x *Index) deriveNeeds(datapath string) map[string]struct{} {
	needs := map[string]struct{}{}
	for domain := range x.NetworksOn(datapath) {
		if g, ok := graph.Lookup[*model.SecurityGroup](x.g, domain); ok {
			for _, other := range g.Rules.Groups() {
				needs[other] = struct{}{}
			}
			continue
		}
		for r := range x.g.Referrers(domain, refRouteNetwork) {
			link := r.(*model.Route).RouteLinkUUID
			if _, ok := needs[link]; ok {
				continue
			}
			needs[link] = struct{}{}
			for other := range x.g.Referrers(link, refRouteLink) {
				needs[other.(*model.Route).NetworkUUID] = struct{}{}
			}
		}
	}
	return needs
}

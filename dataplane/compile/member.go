package compile

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// memberFeature is each interface as a member of the groups that rules on this host name.
var memberFeature = feature{
	kind: "member",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.SecurityGroupInterfaces) {
			yield(memberUnit(o.(*model.SecurityGroupInterface).InterfaceUUID))
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.member(u.UUID) },
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		for i := range e.Interfaces {
			add(memberUnit(i))
		}
		named := map[string]struct{}{} // groups all of whose members are concerned
		in.namedAnew(e, named)
		for h := range in.groupsRecounted {
			in.namedBy(h, named)
		}
		for d := range in.domainsChanged(e) {
			in.interfacesIn(d, func(i string) {
				add(memberUnit(i))
				if in.X.Attached(i, in.Self) {
					for _, h := range securityGroups(in.X.Domains(i)) {
						in.namedBy(h, named)
					}
				}
			})
		}
		for g := range named {
			for i := range in.X.InterfacesOf(g) {
				add(memberUnit(i))
			}
		}
	},
}

func memberUnit(iface string) state.Unit { return state.Unit{Kind: "member", UUID: iface} }

// namedBy adds the groups that rules of a group name.
func (in *Input) namedBy(group string, to map[string]struct{}) {
	if g, ok := graph.Lookup[*model.SecurityGroup](in.X.Graph(), group); ok {
		textNames(g, to)
	}
	for o := range in.X.Graph().Referrers(group, refRuleGroup) {
		to[o.(*model.SecurityGroupRule).RemoteGroupUUID] = struct{}{}
	}
	delete(to, "")
}

// textNames adds the groups that a group's own rules name: those of its text, and itself for trust. The group may be nil.
func textNames(g *model.SecurityGroup, to map[string]struct{}) {
	if g == nil {
		return
	}
	for _, other := range g.Rules.Groups() {
		to[other] = struct{}{}
	}
	to[g.UUID] = struct{}{}
}

// namedAnew adds the groups that rules have come to name, in another way, or no more.
func (in *Input) namedAnew(e *span.Effects, named map[string]struct{}) {
	for _, c := range e.Changed {
		if g, old, ok := change[*model.SecurityGroup](c); ok {
			if g == nil || old == nil || g.Rules != old.Rules || g.TrustMembers != old.TrustMembers {
				textNames(g, named)
				textNames(old, named)
			}
		} else if r, old, ok := change[*model.SecurityGroupRule](c); ok {
			if r == nil || old == nil || in.clauseOf(r) != in.clauseOf(old) { // not if it is about ports only
				for _, r := range []*model.SecurityGroupRule{r, old} {
					if r != nil && r.RemoteGroupUUID != "" {
						named[r.RemoteGroupUUID] = struct{}{}
					}
				}
			}
		}
	}
	for p := range e.Flips {
		if p.Datapath == in.Self && model.ByUUID(p.Network) == model.SecurityGroups {
			in.namedBy(p.Network, named)
		}
	}
}

// change gives the two versions of an object that has changed, nil for none. The bool is false if it is of another type.
func change[T model.Object](c span.Changed) (now, before T, ok bool) {
	now, isNow := c.New.(T)
	before, wasBefore := c.Old.(T)
	return now, before, isNow || wasBefore
}

// peerClause is what a member's clauses have of a rule that names its group.
type peerClause struct {
	id           uint32
	owner, group string
	out          bool
	level        uint16
}

func (in *Input) clauseOf(o *model.SecurityGroupRule) peerClause {
	r := in.objectRule(o)
	return peerClause{r.id, o.SecurityGroupUUID, r.group, r.out, r.level()}
}

// addressed reports whether interfaces have addresses in a domain of that uuid: whether it is a network or a segment.
func addressed(uuid string) bool {
	r := model.ByUUID(uuid)
	return r == model.Networks || r == model.Segments
}

// domainsChanged gives the networks and segments that have changed, or have come to this host's attention or gone from it.
func (in *Input) domainsChanged(e *span.Effects) map[string]struct{} {
	ds := map[string]struct{}{}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			switch o := o.(type) {
			case *model.Network:
				ds[o.UUID], ds[o.SegmentUUID] = struct{}{}, struct{}{}
			case *model.Segment:
				ds[o.UUID] = struct{}{}
			}
		}
	}
	for p := range e.Flips {
		if p.Datapath == in.Self && addressed(p.Network) {
			ds[p.Network] = struct{}{}
		}
	}
	for _, p := range e.NeedFlips {
		if p.Datapath == in.Self && addressed(p.Network) {
			ds[p.Network] = struct{}{}
		}
	}
	delete(ds, "")
	return ds
}

// interfacesIn gives the interfaces with something in a network, or in a segment or a network that lies on it.
func (in *Input) interfacesIn(domain string, yield func(uuid string)) {
	for i := range in.X.InterfacesOf(domain) {
		yield(i)
	}
	for n := range in.X.Graph().Referrers(domain, "networks.segment_uuid") {
		for i := range in.X.InterfacesOf(n.Base().UUID) {
			yield(i)
		}
	}
}

// member says that packets from and to an interface's addresses are of the peer that rules mean which name its groups.
func (in *Input) member(uuid string) (state.Items, error) {
	var items state.Items
	var errs []error
	var stations []Station
	for _, group := range securityGroups(in.X.Domains(uuid)) {
		for owner, rules := range in.rulesOf(group) {
			if stations == nil {
				stations = in.Stations(uuid)
			}
			for _, d := range in.domainsOf(owner) {
				for _, a := range in.peerAddrs(uuid, stations, d) {
					for _, s := range []side{inwards, outwards} {
						m, err := flow.NewMatch(append(s.peer.prefix(netip.PrefixFrom(a, a.BitLen())), pipeline.Network.Is(d.Number))...)
						errs = append(errs, err)
						for k := range rules {
							if rules[k].out == (s == outwards) {
								items.Clauses = append(items.Clauses, rules[k].says(dimPeer, m))
							}
						}
					}
				}
			}
		}
	}
	return items, errors.Join(errs...)
}

// domainsOf gives the domains that members of a group on this host are in.
func (in *Input) domainsOf(group string) []Domain {
	var out []Domain
	for uuid := range in.census().groups[group] {
		if d, ok := in.domain(uuid); ok && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// peerAddrs gives the addresses of an interface, which has these stations, as a peer in a domain: those it has there, and leased elsewhere those
// that are in no subnet of the domain.
func (in *Input) peerAddrs(iface string, stations []Station, d Domain) []netip.Addr {
	var addrs []netip.Addr
	for _, s := range stations {
		if s.Domain == d {
			for _, a := range s.Addrs {
				addrs = append(addrs, a.Addr)
			}
		}
	}
	g := in.X.Graph()
	for _, l := range graph.Children[*model.IPLease](g, iface, "ip_leases.interface_uuid") {
		if l.NetworkUUID == d.UUID || l.Addr().IsUnspecified() || l.LinkLocal() || !hasMAC(g, l) {
			continue
		}
		if n, ok := graph.Lookup[*model.Network](g, l.NetworkUUID); ok && n.SegmentUUID == d.UUID || in.inSubnet(d, l.Addr()) {
			continue
		}
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// hasMAC reports whether the interface of a lease has a MAC address that the lease's address is used with.
func hasMAC(g *graph.Graph, l *model.IPLease) bool {
	for o := range g.Referrers(l.InterfaceUUID, "mac_leases.interface_uuid") {
		if l.MACLeaseUUID == "" || l.MACLeaseUUID == o.Base().UUID {
			return true
		}
	}
	return false
}

// inSubnet reports whether the address is in a subnet of the domain.
func (in *Input) inSubnet(d Domain, a netip.Addr) bool {
	g := in.X.Graph()
	has := func(n *model.Network) bool {
		p4, p6 := netip.PrefixFrom(n.IPv4Network, n.IPv4Prefix), netip.PrefixFrom(n.IPv6Network, n.IPv6Prefix)
		return p4.Contains(a) || p6.Contains(a)
	}
	if n, ok := graph.Lookup[*model.Network](g, d.UUID); ok {
		return has(n)
	}
	for o := range g.Referrers(d.UUID, "networks.segment_uuid") {
		if has(o.(*model.Network)) {
			return true
		}
	}
	return false
}

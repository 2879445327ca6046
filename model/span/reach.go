package span

import (
	"slices"
	"sync"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Reaches reports whether the host has to be sent the object, by the reach that the object's resource declares:
//
//	everywhere   every host
//	default      every host, the default topology; hosts that have something wired by them, others
//	needed       hosts on which it is present, or which need it because of what is present on them
//	present      hosts on which what the object refers to is present
//	datapath     the host itself, and hosts with which it exchanges frames of a virtual network, a segment, a route link or a mirror: the one has
//	             it present, the other has it or needs it
//	interface    the host where it is, and those of a move; a host interface also hosts that have its datapath, another one hosts that have a domain that it is in: a leg
//	             those that have a route link which it leads into, for one. Internal networks do not count, as each host has its own
//	lease        hosts that have the interface and the network; of a host interface, and of one that shares a security group with
//	             them, also hosts without the network
//	route        hosts that have the route link, or hear of it
//	local        the hosts where the interface that the object refers to is, or that of the lease; of a lease of an interface that is nowhere hosts that are
//	             sent the lease, as its device may be behind ports or the wire
//	translation  the same; of an edge interface all hosts that have it
//	With         hosts that have all the objects referred to, if the field If is set
func (x *Index) Reaches(host string, o model.Object) bool {
	reaches := x.Reach(o)
	return reaches != nil && reaches(host)
}

// Reach gives the function that says for each host whether it is sent the object, nil if none is: what it is to be asked of many hosts, as
// what the object alone decides is worked out once. It holds until the next Apply.
func (x *Index) Reach(o model.Object) func(host string) bool {
	r, uuid := model.Of(o), o.Base().UUID
	switch r.Reach.Rule {
	case "everywhere":
		return func(string) bool { return true }
	case "default":
		if uuid == model.DefaultTopology {
			return func(string) bool { return true }
		}
		return func(host string) bool { return x.has(host, uuid) }
	case "needed":
		return func(host string) bool { return x.has(host, uuid) }
	case "present":
		domain := r.Field(r.Reach.With[0]).Text(o)
		return func(host string) bool { return x.Present(Pair{domain, host}) }
	case "datapath":
		return func(host string) bool { return x.reachesDatapath(host, uuid) }
	case "interface":
		return x.reachOfInterface(o.(*model.Interface))
	case "route":
		link := o.(*model.Route).RouteLinkUUID
		if _, ok := x.g.Get(link); !ok {
			return nil
		}
		return func(host string) bool { _, hears := x.hears[host][link]; return hears || x.has(host, link) }
	case "lease":
		l := o.(*model.IPLease)
		i, ok := graph.Lookup[*model.Interface](x.g, l.InterfaceUUID)
		if !ok {
			return nil
		}
		reaches := x.reachOfInterface(i)
		if i.Mode == model.InterfaceHost {
			return reaches
		}
		a := x.interfaces[i.UUID]
		return func(host string) bool {
			return reaches(host) && (x.has(host, l.NetworkUUID) && (a.has(host) || a.datapath == "" || !x.internal(l.NetworkUUID)) || x.hasGroupOf(host, i.UUID))
		}
	case "local", "translation":
		iface := r.Field(r.Reach.With[0]).Text(o)
		if l, ok := graph.Lookup[*model.IPLease](x.g, iface); ok {
			if iface = l.InterfaceUUID; x.Location(iface) == "" {
				return x.Reach(l)
			}
		}
		i, ok := graph.Lookup[*model.Interface](x.g, iface)
		if !ok {
			return nil
		}
		if t, ok := o.(*model.Translation); ok && t.Mode == model.TranslationEdge {
			return x.reachOfInterface(i)
		}
		return func(host string) bool { return x.At(i.UUID, host) }
	}
	if len(r.Reach.With) == 0 || r.Reach.If != "" && !r.Field(r.Reach.If).IsSet(o) {
		return nil
	}
	var all []func(string) bool
	for _, name := range r.Reach.With {
		target, ok := x.g.Get(r.Field(name).Text(o))
		if !ok {
			return nil
		}
		reaches := x.Reach(target)
		if reaches == nil {
			return nil
		}
		all = append(all, reaches)
	}
	return func(host string) bool {
		return !slices.ContainsFunc(all, func(reaches func(string) bool) bool { return !reaches(host) })
	}
}

func (x *Index) reachOfInterface(i *model.Interface) func(host string) bool {
	a := x.interfaces[i.UUID]
	return func(host string) bool {
		if a.datapath == host || a.has(host) {
			return true
		}
		if i.Mode == model.InterfaceHost {
			return a.datapath != "" && x.reachesDatapath(host, a.datapath)
		}
		return slices.ContainsFunc(a.domains, func(n string) bool { return x.has(host, n) && (a.datapath == "" || !x.internal(n)) })
	}
}

// hasGroupOf reports whether the host has a security group that the interface is in.
func (x *Index) hasGroupOf(host, iface string) bool {
	return slices.ContainsFunc(x.interfaces[iface].of(model.SecurityGroups), func(g string) bool { return x.has(host, g) })
}

func (x *Index) reachesDatapath(host, datapath string) bool {
	if host == datapath {
		return true
	}
	for n := range x.on[host] {
		if x.carried(n) && x.Present(Pair{n, host}) && x.has(datapath, n) {
			return true
		}
	}
	for n := range x.needs[host] {
		if x.counts[n][datapath] > 0 && x.carried(n) && x.Present(Pair{n, datapath}) {
			return true
		}
	}
	return false
}

// followers gives, by the plural of a resource, the references by which the reach of others follows it.
var followers = sync.OnceValue(func() map[string][]string {
	m := map[string][]string{"interfaces": {refLeaseInterface}}
	for _, ref := range model.References() {
		if slices.Contains(ref.From.Reach.With, ref.Field.Name) {
			m[ref.To.Plural] = append(m[ref.To.Plural], ref.Name)
		}
	}
	return m
})

package span

import (
	"slices"
	"sync"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Reaches reports whether the host has to be sent the object, by the reach that the object's resource declares:
//
//	everywhere  every host
//	network     hosts on which the network is present
//	datapath    the host itself, and hosts that share a virtual network with it
//	interface   the host where it is; a vif or simulated one also hosts on which a network of its leases is present; a host
//	            interface also hosts that have its datapath
//	lease       hosts that have the interface and, unless it is a host interface, the network
//	With        hosts that have all the objects referred to
func (x *Index) Reaches(host string, o model.Object) bool {
	r := model.Of(o)
	switch r.Reach.Rule {
	case "everywhere":
		return true
	case "network":
		return x.Present(Pair{o.Base().UUID, host})
	case "datapath":
		return x.reachesDatapath(host, o.Base().UUID)
	case "interface":
		return x.reachesInterface(host, o.(*model.Interface))
	case "lease":
		l := o.(*model.IPLease)
		i, ok := graph.Lookup[*model.Interface](x.g, l.InterfaceUUID)
		return ok && x.reachesInterface(host, i) && (i.Mode == model.InterfaceHost || x.Present(Pair{l.NetworkUUID, host}))
	}
	if len(r.Reach.With) == 0 {
		return false
	}
	for _, name := range r.Reach.With {
		target, ok := x.g.Get(r.Field(name).Text(o))
		if !ok || !x.Reaches(host, target) {
			return false
		}
	}
	return true
}

func (x *Index) reachesInterface(host string, i *model.Interface) bool {
	a := x.interfaces[i.UUID]
	if a.datapath == host {
		return true
	}
	if i.Mode == model.InterfaceHost {
		return a.datapath != "" && x.reachesDatapath(host, a.datapath)
	}
	return slices.ContainsFunc(a.networks, func(n string) bool { return x.Present(Pair{n, host}) })
}

func (x *Index) reachesDatapath(host, datapath string) bool {
	if host == datapath {
		return true
	}
	for n := range x.on[host] {
		if x.counts[n][datapath] == 0 || !x.Present(Pair{n, host}) || !x.Present(Pair{n, datapath}) {
			continue
		}
		if nw, ok := graph.Lookup[*model.Network](x.g, n); ok && nw.Mode != model.NetworkPhysical {
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

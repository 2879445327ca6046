package span

import (
	"iter"
	"maps"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Automatic reports whether every virtual network reaches every datapath, nothing having been wired by hand.
func (x *Index) Automatic() bool {
	t, ok := graph.Lookup[*model.Topology](x.g, model.DefaultTopology)
	return ok && t.Automatic
}

// Wired reports whether the network or segment may be on the datapath: by the automatic wiring, or by a row that says so. A network
// that lies on a segment goes where that goes. What is not virtual is wherever an interface is attached to it, and so are the other
// domains.
func (x *Index) Wired(p Pair) bool {
	o, _ := x.g.Get(p.Network)
	if n, ok := o.(*model.Network); ok && n.SegmentUUID != "" {
		p.Network = n.SegmentUUID
		o, _ = x.g.Get(p.Network)
	}
	ok := false
	switch o := o.(type) {
	case *model.Network:
		if o.Mode == model.NetworkVirtual && !x.Automatic() {
			_, ok = x.g.ByUnique(model.DatapathNetworks, "pair", p.Datapath, p.Network)
			return ok
		}
	case *model.Segment:
		if o.Mode == model.SegmentVirtual && !x.Automatic() {
			_, ok = x.g.ByUnique(model.DatapathSegments, "pair", p.Datapath, p.Network)
			return ok
		}
	case nil:
		return false
	}
	return true
}

// physical reports whether the network, or the segment that it lies on, or the segment, is a physical one.
func (x *Index) physical(domain string) bool {
	o, _ := x.g.Get(domain)
	if n, ok := o.(*model.Network); ok && n.SegmentUUID != "" {
		o, _ = x.g.Get(n.SegmentUUID)
	}
	switch o := o.(type) {
	case *model.Network:
		return o.Mode == model.NetworkPhysical
	case *model.Segment:
		return o.Mode == model.SegmentPhysical
	}
	return false
}

// virtual reports whether hosts carry the network or segment between them: a network that lies on a segment if the segment is virtual.
func (x *Index) virtual(domain string) bool {
	o, _ := x.g.Get(domain)
	if n, ok := o.(*model.Network); ok && n.SegmentUUID != "" {
		o, _ = x.g.Get(n.SegmentUUID)
	}
	switch o := o.(type) {
	case *model.Network:
		return o.Mode == model.NetworkVirtual
	case *model.Segment:
		return o.Mode == model.SegmentVirtual
	}
	return false
}

// internal reports whether the domain is an internal network, of which each host has one of its own.
func (x *Index) internal(domain string) bool {
	n, ok := graph.Lookup[*model.Network](x.g, domain)
	return ok && n.Mode == model.NetworkInternal && n.SegmentUUID == ""
}

// carried reports whether hosts send each other anything of the domain.
func (x *Index) carried(domain string) bool {
	switch model.ByUUID(domain) {
	case model.Networks, model.Segments:
		return x.virtual(domain)
	case model.RouteLinks, model.Mirrors:
		return true
	}
	return false
}

// Present reports whether the domain is present on the datapath: an interface of it is there, and it is wired. A route link is where
// legs of it are pinned, a mirror where its ends are.
func (x *Index) Present(p Pair) bool { return x.counts[p.Network][p.Datapath] > 0 && x.Wired(p) }

// Needs reports whether the datapath needs the domain or other object without its being present there: what is present routes to
// it, names it in its rules, or was wired by it.
func (x *Index) Needs(p Pair) bool {
	_, ok := x.needs[p.Datapath][p.Network]
	return ok && !x.Present(p)
}

// Has reports whether the domain is present on the datapath, or needed there.
func (x *Index) Has(p Pair) bool { return x.has(p.Datapath, p.Network) }

func (x *Index) has(host, domain string) bool {
	if _, ok := x.needs[host][domain]; ok {
		return true
	}
	return x.Present(Pair{domain, host})
}

// NetworksOn gives the networks and other domains that are present on the datapath, in no order.
func (x *Index) NetworksOn(datapath string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for n := range x.on[datapath] {
			if x.Wired(Pair{n, datapath}) && !yield(n) {
				return
			}
		}
	}
}

// DatapathsOf gives the datapaths on which the network, or other domain, is present, in no order. Of a route link these are the hosts
// which legs of it are pinned to.
func (x *Index) DatapathsOf(network string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for d := range maps.Keys(x.counts[network]) {
			if x.Wired(Pair{network, d}) && !yield(d) {
				return
			}
		}
	}
}

// InterfacesOf gives the interfaces in the network, or other domain, in no order and some of them more than once. Those of a network
// that lies on a segment are in the segment, those that routes name are in the route link.
func (x *Index) InterfacesOf(domain string) iter.Seq[string] {
	return func(yield func(string) bool) { x.interfacesOf(domain, yield) }
}

func (x *Index) interfacesOf(domain string, yield func(string) bool) bool {
	each := func(ref string, iface func(model.Object) string) bool {
		for o := range x.g.Referrers(domain, ref) {
			if i := iface(o); i != "" && !yield(i) {
				return false
			}
		}
		return true
	}
	switch model.ByUUID(domain) {
	case model.Networks:
		return each(refLeaseNetwork, func(o model.Object) string { return o.(*model.IPLease).InterfaceUUID }) &&
			each(refInterfaceNetwork, func(o model.Object) string {
				if n := o.(*model.InterfaceNetwork); n.Static {
					return n.InterfaceUUID
				}
				return ""
			}) &&
			each(refVLANNetwork, func(o model.Object) string {
				if t, ok := graph.Lookup[*model.Translation](x.g, o.(*model.VLANTranslation).TranslationUUID); ok {
					return t.InterfaceUUID
				}
				return ""
			})
	case model.Segments:
		for n := range x.g.Referrers(domain, refNetworkSegment) {
			if !x.interfacesOf(n.Base().UUID, yield) {
				return false
			}
		}
		return each(refMACSegment, func(o model.Object) string { return o.(*model.MACLease).InterfaceUUID }) &&
			each(refInterfaceSegment, func(o model.Object) string {
				if s := o.(*model.InterfaceSegment); s.Static {
					return s.InterfaceUUID
				}
				return ""
			})
	case model.SecurityGroups:
		return each(refInterfaceGroup, func(o model.Object) string { return o.(*model.SecurityGroupInterface).InterfaceUUID })
	case model.RouteLinks:
		return each(refRouteLink, func(o model.Object) string { return o.(*model.Route).InterfaceUUID })
	case model.Mirrors:
		if m, ok := graph.Lookup[*model.Mirror](x.g, domain); ok {
			return yield(m.InterfaceUUID) && yield(m.TargetInterfaceUUID)
		}
	}
	return true
}

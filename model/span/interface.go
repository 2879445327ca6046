package span

import (
	"iter"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// attachment is what is derived of one interface.
type attachment struct {
	datapath  string   // where it is; "" for nowhere, or of a simulated one that is not pinned wherever a virtual domain of it is
	simulated bool     // it may be a leg
	domains   []string // sorted: mirrors, networks, route links, segments, security groups
}

func (a attachment) equal(b attachment) bool {
	return a.datapath == b.datapath && a.simulated == b.simulated && slices.Equal(a.domains, b.domains)
}

// networks gives the networks among the domains.
func (a attachment) networks() []string { return a.of(model.Networks) }

// of gives the domains of one resource, which are together: they begin with its prefix.
func (a attachment) of(r *model.Resource) []string {
	from, _ := slices.BinarySearch(a.domains, r.Prefix+"-")
	to, _ := slices.BinarySearch(a.domains, r.Prefix+".") // the character after "-"
	return a.domains[from:to]
}

func (a *attachment) join(domain string) {
	if domain != "" && !slices.Contains(a.domains, domain) {
		a.domains = append(a.domains, domain)
	}
}

// joinNetwork adds a network, and the segment that it lies on, with which it is one.
func (x *Index) joinNetwork(a *attachment, network string) {
	a.join(network)
	if n, ok := graph.Lookup[*model.Network](x.g, network); ok {
		a.join(n.SegmentUUID)
	}
}

func (x *Index) derive(uuid string) attachment {
	i, ok := graph.Lookup[*model.Interface](x.g, uuid)
	if !ok {
		return attachment{}
	}
	a := attachment{simulated: i.Mode == model.InterfaceSimulated}
	a.datapath = x.owner(uuid)
	if a.datapath == "" && !a.simulated {
		a.datapath = x.found(uuid)
	}
	for o := range x.g.Referrers(uuid, refLeaseInterface) {
		x.joinNetwork(&a, o.(*model.IPLease).NetworkUUID)
	}
	for o := range x.g.Referrers(uuid, refNetworkInterface) {
		if n := o.(*model.InterfaceNetwork); n.Static {
			x.joinNetwork(&a, n.NetworkUUID)
		}
	}
	for o := range x.g.Referrers(uuid, refTranslationInterface) {
		for v := range x.g.Referrers(o.Base().UUID, refVLANTranslation) {
			x.joinNetwork(&a, v.(*model.VLANTranslation).NetworkUUID)
		}
	}
	for o := range x.g.Referrers(uuid, refMACInterface) {
		a.join(o.(*model.MACLease).SegmentUUID)
	}
	for o := range x.g.Referrers(uuid, refSegmentInterface) {
		if s := o.(*model.InterfaceSegment); s.Static {
			a.join(s.SegmentUUID)
		}
	}
	for o := range x.g.Referrers(uuid, refGroupInterface) {
		a.join(o.(*model.SecurityGroupInterface).SecurityGroupUUID)
	}
	if a.simulated {
		for o := range x.g.Referrers(uuid, refRouteInterface) {
			if r := o.(*model.Route); r.Mode != model.RouteBlackhole {
				a.join(r.RouteLinkUUID)
			}
		}
	}
	for _, ref := range []string{refMirrorInterface, refMirrorTarget} {
		for o := range x.g.Referrers(uuid, ref) {
			a.join(o.Base().UUID)
		}
	}
	slices.Sort(a.domains)
	return a
}

// owner gives the datapath that the interface is pinned to by its port, of several ports by the one that was made first.
func (x *Index) owner(iface string) string {
	var first *model.InterfacePort
	for o := range x.g.Referrers(iface, refPortInterface) {
		if p := o.(*model.InterfacePort); p.DatapathUUID != "" && (first == nil || p.ID < first.ID) {
			first = p
		}
	}
	if first == nil {
		return ""
	}
	return first.DatapathUUID
}

// found gives the datapath where the interface's port was found.
func (x *Index) found(iface string) string {
	var first *model.ActiveInterface
	for o := range x.g.Referrers(iface, refActiveInterface) {
		if a := o.(*model.ActiveInterface); first == nil || a.ID < first.ID {
			first = a
		}
	}
	if first == nil {
		return ""
	}
	return first.DatapathUUID
}

// Location gives the datapath where the interface is: its owner, or where its port was found. It is "" for one that is nowhere yet,
// and for a simulated interface without an owner, which At knows more of.
func (x *Index) Location(iface string) string { return x.interfaces[iface].datapath }

// At reports whether the interface is at the host: located there, or simulated, without an owner, and in a network or
// segment that the host has and that is not physical.
func (x *Index) At(iface, host string) bool {
	a := x.interfaces[iface]
	if a.datapath != "" || !a.simulated {
		return a.datapath == host && host != ""
	}
	here := func(domain string) bool { return !x.physical(domain) && x.has(host, domain) }
	return slices.ContainsFunc(a.networks(), here) || slices.ContainsFunc(a.of(model.Segments), here)
}

// Networks gives the networks that the interface is in, by its leases or otherwise, sorted. Do not change the slice.
func (x *Index) Networks(iface string) []string { return x.interfaces[iface].networks() }

// Domains gives the domains that the interface is in: networks with their segments, segments, security groups, mirrors, and of a leg the
// route links. Do not change the slice.
func (x *Index) Domains(iface string) []string { return x.interfaces[iface].domains }

// InterfacesAt gives the interfaces that are located on the datapath, host interfaces among them, in no order and some of them more
// than once.
func (x *Index) InterfacesAt(datapath string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for o := range x.g.Referrers(datapath, refPortDatapath) {
			if i := o.(*model.InterfacePort).InterfaceUUID; x.Location(i) == datapath && !yield(i) {
				return
			}
		}
		for o := range x.g.Referrers(datapath, refActiveDatapath) {
			if i := o.(*model.ActiveInterface).InterfaceUUID; x.Location(i) == datapath && !yield(i) {
				return
			}
		}
	}
}

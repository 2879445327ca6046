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
	move      Move
}

// Move says that an interface is on its way: where it goes to, and where it came from. A host that is neither is "".
type Move struct{ Target, Previous string }

func (a attachment) equal(b attachment) bool {
	return a.datapath == b.datapath && a.simulated == b.simulated && a.move == b.move && slices.Equal(a.domains, b.domains)
}

// places gives the hosts where its domains are present by it: those of a move too, each once.
func (a attachment) places() iter.Seq[string] {
	return func(yield func(string) bool) {
		if a.datapath == "" || !yield(a.datapath) {
			return
		}
		if a.move.Target != "" && !yield(a.move.Target) {
			return
		}
		if p := a.move.Previous; p != "" && p != a.move.Target {
			yield(p)
		}
	}
}

// has reports whether the host is one of places.
func (a attachment) has(host string) bool {
	return host != "" && a.datapath != "" && (host == a.datapath || host == a.move.Target || host == a.move.Previous)
}

// holds reports whether the host has its port, or is about to.
func (a attachment) holds(host string) bool {
	return host != "" && a.datapath != "" && (host == a.datapath || host == a.move.Target)
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
		a.datapath, a.move = x.found(uuid)
	}
	if i.Mode != model.InterfaceVIF {
		a.move = Move{}
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

// found gives the datapath where the interface's port was found, and on which way it is.
func (x *Index) found(iface string) (string, Move) {
	var first *model.ActiveInterface
	for o := range x.g.Referrers(iface, refActiveInterface) {
		if a := o.(*model.ActiveInterface); first == nil || a.ID < first.ID {
			first = a
		}
	}
	if first == nil {
		return "", Move{}
	}
	m := Move{first.TargetDatapathUUID, first.PreviousDatapathUUID}
	if m.Target == first.DatapathUUID {
		m.Target = ""
	}
	if m.Previous == first.DatapathUUID {
		m.Previous = ""
	}
	return first.DatapathUUID, m
}

// Location gives the datapath where the interface is, where others send to: its owner, or where its port was found. It is "" for one that is
// nowhere yet, and for a simulated interface without an owner, which At knows more of.
func (x *Index) Location(iface string) string { return x.interfaces[iface].datapath }

// Move says whether the interface is on its way.
func (x *Index) Move(iface string) Move { return x.interfaces[iface].move }

// Attached reports whether the host has the interface's port, or is about to: the interface is located there, or moves there.
func (x *Index) Attached(iface, host string) bool { return x.interfaces[iface].holds(host) }

// At reports whether the interface is at the host: attached there, or simulated, without an owner, and in a network or
// segment that the host has and that is not physical.
func (x *Index) At(iface, host string) bool {
	a := x.interfaces[iface]
	if a.datapath != "" || !a.simulated {
		return a.holds(host)
	}
	here := func(domain string) bool { return !x.physical(domain) && x.has(host, domain) }
	return slices.ContainsFunc(a.networks(), here) || slices.ContainsFunc(a.of(model.Segments), here)
}

// Networks gives the networks that the interface is in, by its leases or otherwise, sorted. Do not change the slice.
func (x *Index) Networks(iface string) []string { return x.interfaces[iface].networks() }

// Domains gives the domains that the interface is in: networks with their segments, segments, security groups, mirrors, and of a leg the
// route links. Do not change the slice.
func (x *Index) Domains(iface string) []string { return x.interfaces[iface].domains }

// InterfacesAt gives the interfaces that are attached to the datapath, host interfaces among them, in no order and some of them more
// than once.
func (x *Index) InterfacesAt(datapath string) iter.Seq[string] {
	return x.interfacesAt(datapath, attachment.holds, refActiveDatapath, refActiveTarget)
}

// placedAt is InterfacesAt, with those that have just left the datapath.
func (x *Index) placedAt(datapath string) iter.Seq[string] {
	return x.interfacesAt(datapath, attachment.has, refActiveDatapath, refActiveTarget, refActivePrevious)
}

func (x *Index) interfacesAt(datapath string, is func(attachment, string) bool, refs ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for o := range x.g.Referrers(datapath, refPortDatapath) {
			if i := o.(*model.InterfacePort).InterfaceUUID; is(x.interfaces[i], datapath) && !yield(i) {
				return
			}
		}
		for _, ref := range refs {
			for o := range x.g.Referrers(datapath, ref) {
				if i := o.(*model.ActiveInterface).InterfaceUUID; is(x.interfaces[i], datapath) && !yield(i) {
					return
				}
			}
		}
	}
}

// Package span says what concerns which host. From a graph of objects it derives where each interface is, and on which hosts
// each domain is present: a domain is a network, a segment or a security group, and it is present where an interface of it
// is. From what is present on a host follows what it needs besides: the route links of its networks, the networks that these
// lead to, and the groups that its groups' rules name. So a host is sent its own interfaces, and of every domain that is
// present or needed the interfaces, addresses, services, routes and other hosts that its data plane needs. Nothing else,
// and nobody else: a change in one network reaches no host that neither has it nor routes to it.
//
// Everything here is arithmetic over a graph in memory; who stores, sends or compiles is elsewhere. The manager uses it to
// cut the store into shares, an agent to know which units of its share a change concerns.
package span

import (
	"iter"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Names of the references that relations are derived from.
const (
	refPortInterface   = "interface_ports.interface_uuid"
	refPortDatapath    = "interface_ports.datapath_uuid"
	refActiveInterface = "active_interfaces.interface_uuid"
	refActiveDatapath  = "active_interfaces.datapath_uuid"
	refLeaseInterface  = "ip_leases.interface_uuid"
	refLeaseNetwork    = "ip_leases.network_uuid"

	refMACInterface         = "mac_leases.interface_uuid"
	refMACSegment           = "mac_leases.segment_uuid"
	refNetworkInterface     = "interface_networks.interface_uuid"
	refInterfaceNetwork     = "interface_networks.network_uuid"
	refSegmentInterface     = "interface_segments.interface_uuid"
	refInterfaceSegment     = "interface_segments.segment_uuid"
	refTranslationInterface = "translations.interface_uuid"
	refVLANTranslation      = "vlan_translations.translation_uuid"
	refVLANNetwork          = "vlan_translations.network_uuid"
	refGroupInterface       = "security_group_interfaces.interface_uuid"
	refInterfaceGroup       = "security_group_interfaces.security_group_uuid"
	refRouteNetwork         = "routes.network_uuid"
	refRouteLink            = "routes.route_link_uuid"
)

// Index is a graph with the relations derived from it, kept up to date change by change. All changes go through Apply. Not
// safe for concurrent use.
type Index struct {
	g          *graph.Graph
	interfaces map[string]attachment
	counts     map[string]map[string]int      // domain -> datapath -> interfaces that are there
	on         map[string]map[string]struct{} // datapath -> domains with a count
	needs      map[string]map[string]struct{} // datapath -> what it needs because of what is present on it
	neededOn   map[string]map[string]struct{} // the other way round
}

// attachment is what is derived of one interface.
type attachment struct {
	datapath string   // where it is; "" for nowhere, or everywhere (simulated)
	domains  []string // sorted: networks, then segments, then security groups
}

// networks gives the networks among the domains. Their prefix sorts before those of the others.
func (a attachment) networks() []string {
	i, _ := slices.BinarySearch(a.domains, model.Segments.Prefix+"-")
	return a.domains[:i]
}

// Pair is a network, or another domain, on a datapath.
type Pair struct{ Network, Datapath string }

// Effects is what a batch of changes has moved.
type Effects struct {
	// Changed are the changes, with the objects that were there before (nil for none).
	Changed []Changed
	// Interfaces are those whose own object, leases, ports or memberships have changed, with the hosts and domains before and after.
	Interfaces map[string]Moved
	// Flips are the domains that have become present (true) or absent on a datapath.
	Flips map[Pair]bool
	// Rewired: the default topology's automatic wiring went on or off, so that any network may have come or gone anywhere;
	// Flips says nothing then.
	Rewired bool

	needFlips                       []Pair              // what datapaths have come to need, or need no more
	flipsOfNetwork, flipsAtDatapath map[string][]string // the other side of each flip; the former of needFlips too
	before                          map[string]model.Object
}

// Changed is one change with what it replaced.
type Changed struct {
	Old, New model.Object
}

// Moved is an interface's attachment before and after.
type Moved struct{ old, new attachment }

// Datapaths gives where the interface was and is, "" for nowhere.
func (m Moved) Datapaths() (before, after string) { return m.old.datapath, m.new.datapath }

// Networks gives the networks that the interface was or is in.
func (m Moved) Networks() []string {
	ns := slices.Concat(m.old.networks(), m.new.networks())
	slices.Sort(ns)
	return slices.Compact(ns)
}

// New makes the index of a graph, which the index owns from then on.
func New(g *graph.Graph) *Index {
	x := &Index{
		g: g, interfaces: map[string]attachment{}, counts: map[string]map[string]int{}, on: map[string]map[string]struct{}{},
		needs: map[string]map[string]struct{}{}, neededOn: map[string]map[string]struct{}{},
	}
	for _, o := range g.List(model.Interfaces) {
		x.attach(o.Base().UUID, x.derive(o.Base().UUID))
	}
	for d := range x.on {
		x.settleNeeds(d, nil)
	}
	return x
}

// Graph gives the underlying graph, for reading.
func (x *Index) Graph() *graph.Graph { return x.g }

// Apply makes the changes in the graph and says what they moved.
func (x *Index) Apply(changes []graph.Change) *Effects {
	e := &Effects{Interfaces: map[string]Moved{}, Flips: map[Pair]bool{}, flipsOfNetwork: map[string][]string{}, flipsAtDatapath: map[string][]string{}, before: map[string]model.Object{}}
	was := map[Pair]bool{}
	automatic := x.Automatic()

	note := func(o model.Object) {
		switch o := o.(type) {
		case *model.Interface:
			e.Interfaces[o.UUID] = Moved{}
		case *model.InterfacePort:
			e.Interfaces[o.InterfaceUUID] = Moved{}
		case *model.ActiveInterface:
			e.Interfaces[o.InterfaceUUID] = Moved{}
		case *model.MACLease:
			e.Interfaces[o.InterfaceUUID] = Moved{}
		case *model.IPLease:
			e.Interfaces[o.InterfaceUUID] = Moved{}
		case *model.InterfaceNetwork:
			if o.Static {
				e.Interfaces[o.InterfaceUUID] = Moved{}
			}
		case *model.InterfaceSegment:
			if o.Static {
				e.Interfaces[o.InterfaceUUID] = Moved{}
			}
		case *model.SecurityGroupInterface:
			e.Interfaces[o.InterfaceUUID] = Moved{}
		case *model.Translation:
			e.Interfaces[o.InterfaceUUID] = Moved{}
		case *model.VLANTranslation:
			if t, ok := graph.Lookup[*model.Translation](x.g, o.TranslationUUID); ok {
				e.Interfaces[t.InterfaceUUID] = Moved{}
			}
		case *model.DatapathNetwork:
			p := Pair{o.NetworkUUID, o.DatapathUUID}
			was[p] = x.Present(p)
		case *model.DatapathSegment:
			p := Pair{o.SegmentUUID, o.DatapathUUID}
			was[p] = x.Present(p)
		case *model.Network, *model.Segment, *model.SecurityGroup:
			for d := range x.counts[o.Base().UUID] {
				p := Pair{o.Base().UUID, d}
				was[p] = x.Present(p)
			}
		}
	}
	for _, c := range changes {
		if old, ok := x.g.Get(c.UUID); ok {
			note(old)
		}
		if c.Object != nil {
			note(c.Object)
		}
	}
	delete(e.Interfaces, "")
	for i := range e.Interfaces {
		for _, n := range x.interfaces[i].domains {
			p := Pair{n, x.interfaces[i].datapath}
			was[p] = x.Present(p)
		}
	}

	for _, c := range changes {
		old := x.g.Apply(c)
		if old != nil || c.Object != nil {
			e.Changed = append(e.Changed, Changed{Old: old, New: c.Object})
		}
		if old != nil {
			e.before[c.UUID] = old
		}
	}
	for i := range e.Interfaces {
		m := Moved{old: x.interfaces[i], new: x.derive(i)}
		for _, n := range m.new.domains {
			p := Pair{n, m.new.datapath}
			if _, ok := was[p]; !ok {
				was[p] = x.Present(p)
			}
		}
		e.Interfaces[i] = m
	}
	for i, m := range e.Interfaces {
		x.detach(m.old)
		x.attach(i, m.new)
	}
	e.Rewired = automatic != x.Automatic()
	for p, before := range was {
		if now := x.Present(p); p.Datapath != "" && now != before {
			e.Flips[p] = now
			e.flipsOfNetwork[p.Network] = append(e.flipsOfNetwork[p.Network], p.Datapath)
			e.flipsAtDatapath[p.Datapath] = append(e.flipsAtDatapath[p.Datapath], p.Network)
		}
	}
	x.updateNeeds(e)
	return e
}

func (x *Index) derive(uuid string) attachment {
	i, ok := graph.Lookup[*model.Interface](x.g, uuid)
	if !ok {
		return attachment{}
	}
	var a attachment
	for o := range x.g.Referrers(uuid, refActiveInterface) {
		a.datapath = o.(*model.ActiveInterface).DatapathUUID
	}
	for o := range x.g.Referrers(uuid, refPortInterface) {
		if p := o.(*model.InterfacePort); p.DatapathUUID != "" {
			a.datapath = p.DatapathUUID
		}
	}
	if i.Mode == model.InterfaceSimulated {
		a.datapath = ""
	}
	for o := range x.g.Referrers(uuid, refLeaseInterface) {
		a.join(o.(*model.IPLease).NetworkUUID)
	}
	for o := range x.g.Referrers(uuid, refNetworkInterface) {
		if n := o.(*model.InterfaceNetwork); n.Static {
			a.join(n.NetworkUUID)
		}
	}
	for o := range x.g.Referrers(uuid, refTranslationInterface) {
		for v := range x.g.Referrers(o.Base().UUID, refVLANTranslation) {
			a.join(v.(*model.VLANTranslation).NetworkUUID)
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
	slices.Sort(a.domains)
	return a
}

func (a *attachment) join(domain string) {
	if domain != "" && !slices.Contains(a.domains, domain) {
		a.domains = append(a.domains, domain)
	}
}

func (x *Index) attach(uuid string, a attachment) {
	if a.datapath == "" && a.domains == nil {
		delete(x.interfaces, uuid)
		return
	}
	x.interfaces[uuid] = a
	if a.datapath == "" {
		return
	}
	for _, n := range a.domains {
		if x.counts[n] == nil {
			x.counts[n] = map[string]int{}
		}
		x.counts[n][a.datapath]++
		if x.on[a.datapath] == nil {
			x.on[a.datapath] = map[string]struct{}{}
		}
		x.on[a.datapath][n] = struct{}{}
	}
}

func (x *Index) detach(a attachment) {
	if a.datapath == "" {
		return
	}
	for _, n := range a.domains {
		if x.counts[n][a.datapath]--; x.counts[n][a.datapath] > 0 {
			continue
		}
		if delete(x.counts[n], a.datapath); len(x.counts[n]) == 0 {
			delete(x.counts, n)
		}
		if delete(x.on[a.datapath], n); len(x.on[a.datapath]) == 0 {
			delete(x.on, a.datapath)
		}
	}
}

// Location gives the datapath where the interface is: its owner, or where its port was found. It is "" for a simulated
// interface, and for one that is nowhere yet.
func (x *Index) Location(iface string) string { return x.interfaces[iface].datapath }

// Networks gives the networks that the interface is in, by its leases or otherwise, sorted. Do not change the slice.
func (x *Index) Networks(iface string) []string { return x.interfaces[iface].networks() }

// Domains gives the networks, segments and security groups that the interface is in. Do not change the slice.
func (x *Index) Domains(iface string) []string { return x.interfaces[iface].domains }

// Automatic reports whether every virtual network reaches every datapath, nothing having been wired by hand.
func (x *Index) Automatic() bool {
	t, ok := graph.Lookup[*model.Topology](x.g, model.DefaultTopology)
	return ok && t.Automatic
}

// Wired reports whether the network or segment may be on the datapath: by the automatic wiring, or by a row that says so. One
// that is not virtual is wherever an interface is attached to it, and so is a security group.
func (x *Index) Wired(p Pair) bool {
	o, _ := x.g.Get(p.Network)
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

// Present reports whether the network, or other domain, is present on the datapath: an interface of it is there, and it is wired.
func (x *Index) Present(p Pair) bool { return x.counts[p.Network][p.Datapath] > 0 && x.Wired(p) }

// Needs reports whether the datapath needs the domain or route link without its being present there: what is present routes to
// it, or names it in its rules.
func (x *Index) Needs(p Pair) bool {
	_, ok := x.needs[p.Datapath][p.Network]
	return ok && !x.Present(p)
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

// DatapathsOf gives the datapaths on which the network, or other domain, is present, in no order.
func (x *Index) DatapathsOf(network string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for d := range maps.Keys(x.counts[network]) {
			if x.Wired(Pair{network, d}) && !yield(d) {
				return
			}
		}
	}
}

// InterfacesOf gives the interfaces in the network, or other domain, in no order and some of them more than once.
func (x *Index) InterfacesOf(domain string) iter.Seq[string] {
	return func(yield func(string) bool) {
		more := true
		each := func(domain, ref string, iface func(model.Object) string) {
			if !more {
				return
			}
			for o := range x.g.Referrers(domain, ref) {
				if i := iface(o); i != "" && !yield(i) {
					more = false
					return
				}
			}
		}
		switch model.ByUUID(domain) {
		case model.Networks:
			each(domain, refLeaseNetwork, func(o model.Object) string { return o.(*model.IPLease).InterfaceUUID })
			each(domain, refInterfaceNetwork, func(o model.Object) string {
				if n := o.(*model.InterfaceNetwork); n.Static {
					return n.InterfaceUUID
				}
				return ""
			})
			each(domain, refVLANNetwork, func(o model.Object) string {
				if t, ok := graph.Lookup[*model.Translation](x.g, o.(*model.VLANTranslation).TranslationUUID); ok {
					return t.InterfaceUUID
				}
				return ""
			})
		case model.Segments:
			each(domain, refMACSegment, func(o model.Object) string { return o.(*model.MACLease).InterfaceUUID })
			each(domain, refInterfaceSegment, func(o model.Object) string {
				if s := o.(*model.InterfaceSegment); s.Static {
					return s.InterfaceUUID
				}
				return ""
			})
		case model.SecurityGroups:
			each(domain, refInterfaceGroup, func(o model.Object) string { return o.(*model.SecurityGroupInterface).InterfaceUUID })
		}
	}
}

// InterfacesAt gives the interfaces that are on the datapath, host interfaces among them, in no order and some of them more than
// once.
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

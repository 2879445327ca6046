// Package span says what concerns which host. From a graph of objects it derives where each interface is, and on which hosts
// each domain is present: where an interface of it is. A domain is a network, a segment or a security group; the same holds of
// route links, whose interfaces are the legs that their routes name, and of mirrors, whose interfaces are the two ends. From what is
// present on a host follows what it needs besides: the route links of its networks, the networks that these lead to, on and on as
// far as packets are routed by the host itself, the groups that its groups' rules name, and the topologies that wired all this. Of route links that its
// networks enter at other hosts it hears the routes, which its guests are told. So a host is sent its own interfaces, and of every domain that is present or needed the interfaces, addresses, services, routes and
// other hosts that its data plane needs. Nothing else, and nobody else: a change in one network reaches no host that neither has it
// nor routes to it.
//
// Everything here is arithmetic over a graph in memory; who stores, sends or compiles is elsewhere. The manager uses it to
// cut the store into shares, an agent to know which units of its share a change concerns.
package span

import (
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
	refActiveTarget    = "active_interfaces.target_datapath_uuid"
	refActivePrevious  = "active_interfaces.previous_datapath_uuid"
	refLeaseInterface  = "ip_leases.interface_uuid"
	refLeaseNetwork    = "ip_leases.network_uuid"
	refNetworkSegment  = "networks.segment_uuid"

	refMACInterface         = "mac_leases.interface_uuid"
	refMACSegment           = "mac_leases.segment_uuid"
	refNetworkInterface     = "interface_networks.interface_uuid"
	refInterfaceNetwork     = "interface_networks.network_uuid"
	refSegmentInterface     = "interface_segments.interface_uuid"
	refInterfaceSegment     = "interface_segments.segment_uuid"
	refTranslationInterface = "translations.interface_uuid"
	refTranslationRow       = "translation_static_addresses.translation_uuid"
	refVLANTranslation      = "vlan_translations.translation_uuid"
	refVLANNetwork          = "vlan_translations.network_uuid"
	refGroupInterface       = "security_group_interfaces.interface_uuid"
	refInterfaceGroup       = "security_group_interfaces.security_group_uuid"
	refGroupRule            = "security_group_rules.security_group_uuid"
	refRouteInterface       = "routes.interface_uuid"
	refRouteNetwork         = "routes.network_uuid"
	refRouteLink            = "routes.route_link_uuid"
	refMirrorInterface      = "mirrors.interface_uuid"
	refMirrorTarget         = "mirrors.target_interface_uuid"
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
	hears      map[string]map[string]struct{} // datapath -> route links whose routes it is told of only
	heardOn    map[string]map[string]struct{} // the other way round
	topologies map[string]map[string]int      // domain -> topology -> rows that wire it and are the topology's
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

	// NeedFlips is what datapaths have come to need or to hear of, or do no more.
	NeedFlips []Pair

	flipsOfNetwork, flipsAtDatapath map[string][]string // the other side of each flip; the former of NeedFlips too
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

// Attached tells whether the host had the interface's port, and has it, or was or is about to.
func (m Moved) Attached(host string) (before, after bool) {
	return m.old.holds(host), m.new.holds(host)
}

// Networks gives the networks that the interface was or is in.
func (m Moved) Networks() []string {
	ns := slices.Concat(m.old.networks(), m.new.networks())
	slices.Sort(ns)
	return slices.Compact(ns)
}

// Domains gives the networks, segments, security groups and other domains that the interface was and is in. Do not change the slices.
func (m Moved) Domains() (before, after []string) { return m.old.domains, m.new.domains }

// New makes the index of a graph, which the index owns from then on.
func New(g *graph.Graph) *Index {
	x := &Index{
		g: g, interfaces: map[string]attachment{}, counts: map[string]map[string]int{}, on: map[string]map[string]struct{}{},
		needs: map[string]map[string]struct{}{}, neededOn: map[string]map[string]struct{}{},
		hears: map[string]map[string]struct{}{}, heardOn: map[string]map[string]struct{}{}, topologies: map[string]map[string]int{},
	}
	for _, r := range []*model.Resource{model.DatapathNetworks, model.DatapathSegments, model.DatapathRouteLinks} {
		for _, o := range g.List(r) {
			x.countTopology(o, 1)
		}
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

	everywhere := func(domain string) {
		for d := range x.counts[domain] {
			p := Pair{domain, d}
			was[p] = x.Present(p)
		}
	}
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
		case *model.Route:
			e.Interfaces[o.InterfaceUUID] = Moved{}
		case *model.Mirror:
			e.Interfaces[o.InterfaceUUID], e.Interfaces[o.TargetInterfaceUUID] = Moved{}, Moved{}
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
			for n := range x.g.Referrers(o.SegmentUUID, refNetworkSegment) {
				p.Network = n.Base().UUID
				was[p] = x.Present(p)
			}
		case *model.Segment:
			everywhere(o.UUID)
			for n := range x.g.Referrers(o.UUID, refNetworkSegment) {
				everywhere(n.Base().UUID)
			}
		case *model.Network, *model.SecurityGroup, *model.RouteLink:
			everywhere(o.Base().UUID)
		}
	}
	for _, c := range changes {
		old, ok := x.g.Get(c.UUID)
		if ok {
			note(old)
		}
		if c.Object != nil {
			note(c.Object)
		}
		if segmentOf(old) != segmentOf(c.Object) { // its interfaces leave the one and come to the other
			for i := range x.InterfacesOf(c.UUID) {
				e.Interfaces[i] = Moved{}
			}
		}
	}
	delete(e.Interfaces, "")
	for i := range e.Interfaces {
		for d := range x.interfaces[i].places() {
			for _, n := range x.interfaces[i].domains {
				p := Pair{n, d}
				was[p] = x.Present(p)
			}
		}
	}

	wirers := map[string]struct{}{} // domains that have come to be wired by another topology, or by one less
	for _, c := range changes {
		old := x.g.Apply(c)
		x.countTopologies(old, c.Object, wirers)
		if old != nil || c.Object != nil {
			e.Changed = append(e.Changed, Changed{Old: old, New: c.Object})
		}
		if old != nil {
			e.before[c.UUID] = old
		}
	}
	for i := range e.Interfaces {
		m := Moved{old: x.interfaces[i], new: x.derive(i)}
		for d := range m.new.places() {
			for _, n := range m.new.domains {
				p := Pair{n, d}
				if _, ok := was[p]; !ok {
					was[p] = x.Present(p)
				}
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
	x.updateNeeds(e, wirers)
	return e
}

func (x *Index) attach(uuid string, a attachment) {
	if a.datapath == "" && a.domains == nil {
		delete(x.interfaces, uuid)
		return
	}
	x.interfaces[uuid] = a
	for d := range a.places() {
		for _, n := range a.domains {
			if x.counts[n] == nil {
				x.counts[n] = map[string]int{}
			}
			x.counts[n][d]++
			if x.on[d] == nil {
				x.on[d] = map[string]struct{}{}
			}
			x.on[d][n] = struct{}{}
		}
	}
}

func (x *Index) detach(a attachment) {
	for d := range a.places() {
		for _, n := range a.domains {
			if x.counts[n][d]--; x.counts[n][d] > 0 {
				continue
			}
			if delete(x.counts[n], d); len(x.counts[n]) == 0 {
				delete(x.counts, n)
			}
			if delete(x.on[d], n); len(x.on[d]) == 0 {
				delete(x.on, d)
			}
		}
	}
}

// segmentOf gives the segment that a network lies on, "" for any other object and for none.
func segmentOf(o model.Object) string {
	if n, ok := o.(*model.Network); ok {
		return n.SegmentUUID
	}
	return ""
}

// countTopologies goes from an old row (if it is one) to a new one, and adds to moved the domains whose topologies are others now.
func (x *Index) countTopologies(before, after model.Object, moved map[string]struct{}) {
	was, wasTopology := wiring(before)
	now, nowTopology := wiring(after)
	if was == now && wasTopology == nowTopology {
		return
	}
	if x.countTopology(before, -1) {
		moved[was] = struct{}{}
	}
	if x.countTopology(after, 1) {
		moved[now] = struct{}{}
	}
}

// countTopology counts a topology's row, and reports whether its domain has come to be wired by the topology, or no more.
func (x *Index) countTopology(row model.Object, by int) bool {
	domain, topology := wiring(row)
	if topology == "" {
		return false
	}
	if x.topologies[domain] == nil {
		x.topologies[domain] = map[string]int{}
	}
	before := x.topologies[domain][topology]
	if x.topologies[domain][topology] = before + by; before+by == 0 {
		if delete(x.topologies[domain], topology); len(x.topologies[domain]) == 0 {
			delete(x.topologies, domain)
		}
	}
	return before == 0 || before+by == 0
}

// wiring gives what a row wires, and the topology that made it.
func wiring(row model.Object) (domain, topology string) {
	switch o := row.(type) {
	case *model.DatapathNetwork:
		return o.NetworkUUID, o.TopologyUUID
	case *model.DatapathSegment:
		return o.SegmentUUID, o.TopologyUUID
	case *model.DatapathRouteLink:
		return o.RouteLinkUUID, o.TopologyUUID
	}
	return "", ""
}

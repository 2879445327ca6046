// Package span says what concerns which host. From a graph of objects it derives where each interface is, on which hosts each
// network is present, and so which objects a host has to be sent: its own interfaces, and of every network that is present
// on it the interfaces, addresses, services and other hosts that its data plane needs. Nothing else, and nobody else: a
// change in one network reaches no host without it.
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
	refWireNetwork     = "datapath_networks.network_uuid"
)

// Index is a graph with the relations derived from it, kept up to date change by change. All changes go through Apply. Not
// safe for concurrent use.
type Index struct {
	g          *graph.Graph
	interfaces map[string]attachment
	counts     map[string]map[string]int      // network -> datapath -> interfaces that are there
	on         map[string]map[string]struct{} // datapath -> networks with a count
}

// attachment is what is derived of one interface.
type attachment struct {
	datapath string   // where it is; "" for nowhere, or everywhere (simulated)
	networks []string // of its leases, sorted
}

// Pair is a network on a datapath.
type Pair struct{ Network, Datapath string }

// Effects is what a batch of changes has moved.
type Effects struct {
	// Changed are the changes, with the objects that were there before (nil for none).
	Changed []Changed
	// Interfaces are those whose own object, leases or ports have changed, with the hosts and networks before and after.
	Interfaces map[string]Moved
	// Flips are the networks that have become present (true) or absent on a datapath.
	Flips map[Pair]bool
	// Rewired: the default topology's automatic wiring went on or off, so that any network may have come or gone anywhere;
	// Flips says nothing then.
	Rewired bool

	flipsOfNetwork, flipsAtDatapath map[string][]string // the other side of each flip
}

// Changed is one change with what it replaced.
type Changed struct {
	Old, New model.Object
}

// Moved is an interface's attachment before and after.
type Moved struct{ old, new attachment }

// Datapaths gives where the interface was and is, "" for nowhere.
func (m Moved) Datapaths() (before, after string) { return m.old.datapath, m.new.datapath }

// Networks gives the networks that the interface had or has a lease in.
func (m Moved) Networks() []string {
	ns := slices.Concat(m.old.networks, m.new.networks)
	slices.Sort(ns)
	return slices.Compact(ns)
}

// New makes the index of a graph, which the index owns from then on.
func New(g *graph.Graph) *Index {
	x := &Index{g: g, interfaces: map[string]attachment{}, counts: map[string]map[string]int{}, on: map[string]map[string]struct{}{}}
	for _, o := range g.List(model.Interfaces) {
		x.attach(o.Base().UUID, x.derive(o.Base().UUID))
	}
	return x
}

// Graph gives the underlying graph, for reading.
func (x *Index) Graph() *graph.Graph { return x.g }

// Apply makes the changes in the graph and says what they moved.
func (x *Index) Apply(changes []graph.Change) *Effects {
	e := &Effects{Interfaces: map[string]Moved{}, Flips: map[Pair]bool{}, flipsOfNetwork: map[string][]string{}, flipsAtDatapath: map[string][]string{}}
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
		case *model.DatapathNetwork:
			p := Pair{o.NetworkUUID, o.DatapathUUID}
			was[p] = x.Present(p)
		case *model.Network:
			for d := range x.counts[o.UUID] {
				p := Pair{o.UUID, d}
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
		for _, n := range x.interfaces[i].networks {
			p := Pair{n, x.interfaces[i].datapath}
			was[p] = x.Present(p)
		}
	}

	for _, c := range changes {
		old := x.g.Apply(c)
		if old != nil || c.Object != nil {
			e.Changed = append(e.Changed, Changed{Old: old, New: c.Object})
		}
	}
	for i := range e.Interfaces {
		m := Moved{old: x.interfaces[i], new: x.derive(i)}
		for _, n := range m.new.networks {
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
		if n := o.(*model.IPLease).NetworkUUID; !slices.Contains(a.networks, n) {
			a.networks = append(a.networks, n)
		}
	}
	slices.Sort(a.networks)
	return a
}

func (x *Index) attach(uuid string, a attachment) {
	if a.datapath == "" && a.networks == nil {
		delete(x.interfaces, uuid)
		return
	}
	x.interfaces[uuid] = a
	if a.datapath == "" {
		return
	}
	for _, n := range a.networks {
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
	for _, n := range a.networks {
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

// Networks gives the networks that the interface has a lease in, sorted. Do not change the slice.
func (x *Index) Networks(iface string) []string { return x.interfaces[iface].networks }

// Automatic reports whether every virtual network reaches every datapath, nothing having been wired by hand.
func (x *Index) Automatic() bool {
	t, ok := graph.Lookup[*model.Topology](x.g, model.DefaultTopology)
	return ok && t.Automatic
}

// Wired reports whether the network may be on the datapath: by the automatic wiring, or by hand. A physical network is
// wherever a host interface is attached to it.
func (x *Index) Wired(p Pair) bool {
	n, ok := graph.Lookup[*model.Network](x.g, p.Network)
	if !ok {
		return false
	}
	if n.Mode == model.NetworkPhysical || x.Automatic() {
		return true
	}
	for o := range x.g.Referrers(p.Network, refWireNetwork) {
		if o.(*model.DatapathNetwork).DatapathUUID == p.Datapath {
			return true
		}
	}
	return false
}

// Present reports whether the network is present on the datapath: an interface with a lease in it is there, and it is wired.
func (x *Index) Present(p Pair) bool { return x.counts[p.Network][p.Datapath] > 0 && x.Wired(p) }

// NetworksOn gives the networks that are present on the datapath, in no order.
func (x *Index) NetworksOn(datapath string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for n := range x.on[datapath] {
			if x.Wired(Pair{n, datapath}) && !yield(n) {
				return
			}
		}
	}
}

// DatapathsOf gives the datapaths on which the network is present, in no order.
func (x *Index) DatapathsOf(network string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for d := range maps.Keys(x.counts[network]) {
			if x.Wired(Pair{network, d}) && !yield(d) {
				return
			}
		}
	}
}

// InterfacesOf gives the interfaces with a lease in the network, in no order and some of them more than once.
func (x *Index) InterfacesOf(network string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for o := range x.g.Referrers(network, refLeaseNetwork) {
			if i := o.(*model.IPLease).InterfaceUUID; i != "" && !yield(i) {
				return
			}
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

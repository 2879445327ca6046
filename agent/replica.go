package agent

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// replica is the host's share of the store, the ports of its bridge, and the state compiled from both. Changes are compiled as they
// come, and the difference collected until take. The lock is held for arithmetic only, never during I/O; services read
// under it.
type replica struct {
	mu       sync.RWMutex
	in       compile.Input
	state    *state.State
	pending  state.Changes
	errs     map[state.Unit]error // of compilation
	unplaced map[string]struct{}  // guests' ports without an interface, by iface-id or name
	placed   map[string]string    // interfaces that are here because their port was found, by the port's name
	revision int64
	store    string
	// generation counts what has changed of the share and the ports. What services have found out is of no account.
	generation uint64
	renamed    map[string]model.Object // what has changed that names may follow from, by uuid, as it was before
	ways       uint64                  // counts what may have changed of the ways to other hosts
	version    uint64                  // counts all changes, also of what services have found out
	// complete: the share is what the manager said since this agent started, not what the disk remembers.
	complete bool
	bridged  bool   // the bridge's ports are known
	down     bool   // the uplink has no link
	ups      uint64 // counts how often it has got one again, or was another NIC
	datapath string // the bridge's datapath_type
}

func newReplica() *replica {
	r := &replica{state: state.New(), errs: map[state.Unit]error{}, renamed: map[string]model.Object{}, unplaced: map[string]struct{}{}, placed: map[string]string{}}
	r.in = compile.Input{X: span.New(graph.New()), Bridge: compile.NewBridge()}
	r.compile(slices.Values([]state.Unit{compile.HostUnit()}))
	return r
}

// limit sets limits of ports, before there is a share.
func (r *replica) limit(l pipeline.Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.in.Bridge.Limits = l
	r.compile(slices.Values([]state.Unit{compile.HostUnit()}))
}

// load takes a whole share: of the disk (complete is false) or of the manager. Objects that are equal to what is there cost
// nothing further.
func (r *replica) load(store, datapath string, revision int64, objects []model.Object, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rewired := r.in.Self != datapath
	r.in.Self, r.store = datapath, store
	keep := make(map[string]struct{}, len(objects))
	var changes []graph.Change
	g := r.in.X.Graph()
	for _, o := range objects {
		keep[o.Base().UUID] = struct{}{}
		if old, ok := g.Get(o.Base().UUID); !ok || old.Base().Revision != o.Base().Revision || !model.Equal(old, o) {
			changes = append(changes, graph.Change{UUID: o.Base().UUID, Object: o})
		}
	}
	for o := range g.All() {
		if _, ok := keep[o.Base().UUID]; !ok {
			changes = append(changes, graph.Change{UUID: o.Base().UUID})
		}
	}
	// An object that comes after those of lower ids costs least.
	slices.SortFunc(changes, func(a, b graph.Change) int { return cmp.Compare(idOf(a), idOf(b)) })
	units := r.apply(revision, changes)
	r.complete = r.complete || complete
	if rewired {
		r.ways++
		units = r.in.Everything(r.state)
	}
	r.compile(units)
	if rewired {
		r.place(maps.Keys(r.portNames()))
	}
}

// idOf gives the id of what comes, 0 for what goes.
func idOf(c graph.Change) uint32 {
	if c.Object == nil {
		return 0
	}
	return c.Object.Base().ID
}

// change takes a delta of the share.
func (r *replica) change(revision int64, upserts []model.Object, deletes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := make([]graph.Change, 0, len(upserts)+len(deletes))
	for _, o := range upserts {
		changes = append(changes, graph.Change{UUID: o.Base().UUID, Object: o})
	}
	for _, uuid := range deletes {
		changes = append(changes, graph.Change{UUID: uuid})
	}
	r.compile(r.apply(revision, changes))
}

// apply makes changes of the share, and gives the units that have to be compiled.
func (r *replica) apply(revision int64, changes []graph.Change) iter.Seq[state.Unit] {
	r.revision = revision
	r.generation++
	e := r.in.X.Apply(changes)
	if r.concernsWays(e) {
		r.ways++
	}
	units := r.in.Dirty(e, r.state)
	names := map[string]struct{}{}
	for i := range e.Interfaces {
		names[i] = struct{}{}
		for _, p := range graph.Children[*model.InterfacePort](r.in.X.Graph(), i, "interface_ports.interface_uuid") {
			names[p.PortName] = struct{}{}
		}
	}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			if o != nil && concernsNames(o) && r.renamed[o.Base().UUID] == nil {
				r.renamed[o.Base().UUID] = o
			}
		}
		if p, ok := c.Old.(*model.InterfacePort); ok {
			names[p.PortName] = struct{}{}
		}
	}
	r.place(maps.Keys(names))
	return units
}

// setPorts takes what the switch's database says of the bridge.
func (r *replica) setPorts(p ovs.Ports) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.in.Bridge
	if r.down && !p.Down || b.Uplink != p.Uplink {
		r.ups++
	}
	r.bridged, r.datapath, r.down = true, p.Datapath, p.Down
	r.generation++
	touched := map[string]struct{}{}
	names := map[string]struct{}{}
	touch := func(port compile.Port) {
		for _, i := range r.in.InterfacesOfPort(port) {
			touched[i] = struct{}{}
		}
		names[port.Name], names[port.IfaceID] = struct{}{}, struct{}{}
	}
	for old := range b.Ports() {
		if p.Guests[old.Name] != old {
			touch(old)
		}
	}
	for name, port := range p.Guests {
		if old, ok := b.Port(name); !ok || old != port {
			touch(port)
		}
	}
	for old := range maps.Clone(r.portNames()) {
		if _, ok := p.Guests[old]; !ok {
			b.RemovePort(old)
		}
	}
	for _, port := range p.Guests {
		b.SetPort(port)
	}
	if b.Name != p.Name || b.Uplink != p.Uplink || b.Tunnels != p.Tunnels {
		b.Name, b.Uplink, b.Tunnels = p.Name, p.Uplink, p.Tunnels
		r.ways++
		r.compile(r.in.Everything(r.state))
	} else {
		r.compile(r.in.PortsChanged(maps.Keys(touched)))
	}
	r.place(maps.Keys(names))
}

// explore asks a switch what its datapath can do. It reports whether that is new.
func (r *replica) explore(ctx context.Context, sw *ovs.Switch) (news bool, err error) {
	f, err := compile.Advertisement()
	if err != nil {
		return false, err
	}
	takes, err := sw.Takes(ctx, f)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	units := r.in.SetNoND(!takes)
	r.compile(slices.Values(units))
	return len(units) > 0, nil
}

// advertiser says who answers neighbour solicitations.
func (r *replica) advertiser() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.in.Bridge.NoND {
		return "agent"
	}
	return "datapath"
}

// found takes what a service has found out: f tells the bridge, and gives the units that have to be compiled.
func (r *replica) found(f func(*compile.Bridge) []state.Unit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.compile(slices.Values(f(r.in.Bridge)))
}

// generationNow gives a number that changes with the share and the ports.
func (r *replica) generationNow() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.generation
}

// waysNow is generationNow for the ways to other hosts.
func (r *replica) waysNow() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ways
}

// concernsWays reports whether effects may change which ways to other hosts there are, or how large packets are on them.
func (r *replica) concernsWays(e *span.Effects) bool {
	if e.Rewired || len(e.Flips) > 0 || len(e.NeedFlips) > 0 {
		return true
	}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			switch o := o.(type) {
			case *model.Datapath, *model.Topology, *model.Network, *model.Segment, *model.RouteLink, *model.DatapathNetwork, *model.DatapathSegment, *model.DatapathRouteLink:
				return true
			case *model.Interface:
				if o.Mode == model.InterfaceHost {
					return true
				}
			}
		}
	}
	for i := range e.Interfaces {
		if o, ok := graph.Lookup[*model.Interface](r.in.X.Graph(), i); ok && o.Mode == model.InterfaceHost {
			return true
		}
	}
	return false
}

func (r *replica) portNames() map[string]struct{} {
	names := map[string]struct{}{}
	for p := range r.in.Bridge.Ports() {
		names[p.Name] = struct{}{}
	}
	return names
}

func (r *replica) compile(units func(func(state.Unit) bool)) {
	r.version++
	maps.Copy(r.errs, r.state.ReplaceAll(units, func(u state.Unit) (state.Items, error) {
		delete(r.errs, u)
		return r.in.Unit(u)
	}, &r.pending))
}

// place looks again whether the ports of these names (or iface-ids) belong to an interface that is on this host.
func (r *replica) place(names func(func(string) bool)) {
	g := r.in.X.Graph()
	for name := range names {
		delete(r.unplaced, name)
		delete(r.placed, name)
		p, ok := r.in.Bridge.Find(name)
		if !ok {
			continue
		}
		for _, known := range p.IDs() {
			delete(r.unplaced, known)
		}
		delete(r.placed, p.Name)
		ids := r.in.InterfacesOfPort(p)
		k := slices.IndexFunc(ids, func(i string) bool { own, ok := r.in.PortOf(i); return ok && own == p })
		if k < 0 {
			for _, known := range p.IDs() {
				r.unplaced[known] = struct{}{}
			}
			continue
		}
		for range g.Referrers(ids[k], "active_interfaces.interface_uuid") {
			r.placed[p.Name] = ids[k]
		}
	}
}

package span

import (
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// Delta is what a host's share has gained, lost or seen changed.
type Delta struct {
	Upserts []model.Object
	Deletes []string // uuids
}

// Empty reports whether there is nothing in it.
func (d *Delta) Empty() bool { return len(d.Upserts) == 0 && len(d.Deletes) == 0 }

// View is one host's share of an index, as far as the host has been told. Views of one index are updated together, by
// Update, after every Apply.
type View struct {
	host string
	has  map[string]struct{}
}

// NewView gives a view that has been told nothing; call Snapshot first.
func NewView(datapath string) *View { return &View{host: datapath, has: map[string]struct{}{}} }

// Host gives the datapath's uuid.
func (v *View) Host() string { return v.host }

// Has reports whether the host has been told of the object.
func (v *View) Has(uuid string) bool { _, ok := v.has[uuid]; return ok }

// Len gives the number of objects that the host has been told of.
func (v *View) Len() int { return len(v.has) }

// Snapshot gives the host's whole share, resources in order of reference, and takes it as told.
func (v *View) Snapshot(x *Index) []model.Object {
	c := candidates{x: x}
	c.add(model.DefaultTopology)
	for _, r := range model.All() {
		if r.Reach.Rule == "everywhere" {
			for _, o := range x.g.List(r) {
				c.add(o.Base().UUID)
			}
		}
	}
	c.datapath(v.host)
	for i := range x.placedAt(v.host) {
		c.object(i)
	}
	for n := range x.NetworksOn(v.host) {
		c.domainAndDatapaths(n)
		for d := range x.neededOn[n] {
			c.datapath(d)
		}
	}
	for n := range x.needs[v.host] {
		c.domainAndDatapaths(n)
	}
	for n := range x.hears[v.host] {
		c.object(n)
	}
	v.has = make(map[string]struct{}, len(c.set))
	byResource := map[*model.Resource][]model.Object{}
	for uuid := range c.set {
		if o, ok := x.g.Get(uuid); ok && x.Reaches(v.host, o) {
			v.has[uuid] = struct{}{}
			byResource[model.Of(o)] = append(byResource[model.Of(o)], o)
		}
	}
	out := make([]model.Object, 0, len(v.has))
	for _, r := range model.All() {
		out = append(out, byResource[r]...)
	}
	return out
}

// Update works out what each of the views gains and loses by the effects of one Apply. The result holds no empty delta.
func Update(x *Index, e *Effects, views map[string]*View) map[string]*Delta {
	deltas := map[string]*Delta{}
	if e.Rewired {
		for host, v := range views {
			if d := v.rebuild(x, e); !d.Empty() {
				deltas[host] = d
			}
		}
		return deltas
	}
	for host, c := range concerned(x, e, views) {
		v, d := views[host], &Delta{}
		for uuid, changed := range c.set {
			v.settle(x, uuid, changed, d)
		}
		if !d.Empty() {
			deltas[host] = d
		}
	}
	return deltas
}

// settle compares what the host has been told of one object with what it should be told.
func (v *View) settle(x *Index, uuid string, changed bool, d *Delta) {
	o, ok := x.g.Get(uuid)
	has := v.Has(uuid)
	switch reaches := ok && x.Reaches(v.host, o); {
	case reaches && (changed || !has):
		v.has[uuid] = struct{}{}
		d.Upserts = append(d.Upserts, o)
	case !reaches && has:
		delete(v.has, uuid)
		d.Deletes = append(d.Deletes, uuid)
	}
}

func (v *View) rebuild(x *Index, e *Effects) *Delta {
	old, d := v.has, &Delta{}
	changed := map[string]struct{}{}
	for _, c := range e.Changed {
		if c.New != nil {
			changed[c.New.Base().UUID] = struct{}{}
		}
	}
	for _, o := range v.Snapshot(x) {
		_, had := old[o.Base().UUID]
		if _, ch := changed[o.Base().UUID]; ch || !had {
			d.Upserts = append(d.Upserts, o)
		}
	}
	for uuid := range old {
		if !v.Has(uuid) {
			d.Deletes = append(d.Deletes, uuid)
		}
	}
	return d
}

// concerned gives, for each host that has a view, the objects whose place in its share may have changed.
func concerned(x *Index, e *Effects, views map[string]*View) map[string]*candidates {
	cs := map[string]*candidates{}
	of := func(host string) *candidates {
		if views[host] == nil {
			return nil
		}
		c := cs[host]
		if c == nil {
			c = &candidates{x: x}
			cs[host] = c
		}
		return c
	}
	// A changed object: the hosts that had to do with it before or after.
	for _, ch := range e.Changed {
		followed := ch.changesReach()
		for _, o := range []model.Object{ch.Old, ch.New} {
			if o == nil {
				continue
			}
			for host := range hostsOf(x, e, views, o) {
				if c := of(host); c != nil {
					c.changed(o.Base().UUID)
					if followed {
						c.object(o.Base().UUID)
					}
				}
			}
		}
	}
	// An interface that moved, or came to other domains: what hangs from it, on the hosts of both sides.
	for i, m := range e.Interfaces {
		if m.old.equal(m.new) {
			continue
		}
		for host := range m.hosts(x, e, x.isHost(i)) {
			if c := of(host); c != nil {
				c.object(i)
			}
		}
	}
	// A network or segment that hosts have come to carry between them, or carry no more: they have come to know each other, or cease to.
	for domain := range e.recast(x) {
		hs := map[string]struct{}{}
		x.hostsOfNetwork(e, domain, hs)
		for host := range hs {
			c := of(host)
			if c == nil {
				continue
			}
			c.domain(domain)
			for d := range hs {
				c.datapath(d)
			}
		}
	}
	// A domain that came to a host or left it: all of the domain there, and the host among the domain's others.
	for p := range e.Flips {
		hs := map[string]struct{}{}
		x.hostsOfNetwork(e, p.Network, hs)
		here := of(p.Datapath)
		if here != nil {
			here.domain(p.Network)
		}
		for d := range hs {
			if here != nil {
				here.datapath(d)
			}
			if c := of(d); c != nil && d != p.Datapath {
				c.datapath(p.Datapath)
			}
		}
	}
	// What a host has come to need, or needs no more: all of it there, and the host among those on which it is present.
	for _, p := range e.NeedFlips {
		here := of(p.Datapath)
		if here != nil {
			here.domain(p.Network)
		}
		hs := map[string]struct{}{}
		x.hostsWith(e, p.Network, hs)
		for d := range hs {
			if here != nil {
				here.datapath(d)
			}
			if c := of(d); c != nil && d != p.Datapath {
				c.datapath(p.Datapath)
			}
		}
	}
	return cs
}

// changesReach reports whether the change may move what follows the object, apart from what Effects says of interfaces and domains.
func (c Changed) changesReach() bool {
	if c.Old == nil || c.New == nil {
		return true
	}
	r := model.Of(c.New)
	switch old := c.Old.(type) {
	case *model.Interface:
		return old.Mode != c.New.(*model.Interface).Mode
	case *model.IPLease:
		l := c.New.(*model.IPLease)
		return old.InterfaceUUID != l.InterfaceUUID || old.NetworkUUID != l.NetworkUUID
	case *model.Translation:
		if old.Mode != c.New.(*model.Translation).Mode {
			return true
		}
	}
	return slices.ContainsFunc(r.Reach.With, func(name string) bool {
		f := r.Field(name)
		return f.Text(c.Old) != f.Text(c.New)
	}) // nothing follows a row with If
}

// recast gives the networks and segments of another mode, or on another segment, than before.
func (e *Effects) recast(x *Index) map[string]struct{} {
	out := map[string]struct{}{}
	for _, c := range e.Changed {
		switch was := c.Old.(type) {
		case *model.Network:
			if is, ok := c.New.(*model.Network); ok && (is.Mode != was.Mode || is.SegmentUUID != was.SegmentUUID) {
				out[is.UUID] = struct{}{}
			}
		case *model.Segment:
			if is, ok := c.New.(*model.Segment); ok && is.Mode != was.Mode {
				out[is.UUID] = struct{}{}
				for n := range x.g.Referrers(is.UUID, refNetworkSegment) {
					out[n.Base().UUID] = struct{}{}
				}
			}
		}
	}
	return out
}

// hosts gives the datapaths that the interface's old and new attachment have to do with; a host interface's are also those that know its
// datapath.
func (m Moved) hosts(x *Index, e *Effects, host bool) map[string]struct{} {
	hs := map[string]struct{}{}
	for _, a := range []attachment{m.old, m.new} {
		for d := range a.places() {
			hs[d] = struct{}{}
		}
		if host {
			x.hostsOfDatapath(e, a.datapath, hs)
		}
		for _, n := range a.domains {
			x.hostsOfNetwork(e, n, hs)
		}
	}
	return hs
}

// hostsOfNetwork adds the datapaths on which the network, or other domain, has interfaces, those that need it or hear of it, and those that it
// has just left or that do so no more.
func (x *Index) hostsOfNetwork(e *Effects, network string, hs map[string]struct{}) {
	x.hostsWith(e, network, hs)
	maps.Copy(hs, x.neededOn[network])
	maps.Copy(hs, x.heardOn[network])
}

// hostsWith adds the datapaths on which the network, or other domain, has interfaces, and those that it has just left.
func (x *Index) hostsWith(e *Effects, network string, hs map[string]struct{}) {
	for d := range x.counts[network] {
		hs[d] = struct{}{}
	}
	for _, d := range e.flipsOfNetwork[network] {
		hs[d] = struct{}{}
	}
}

// hostsOf gives the datapaths that a changed object may have to do with, before or after the change.
func hostsOf(x *Index, e *Effects, views map[string]*View, o model.Object) map[string]struct{} {
	hs := map[string]struct{}{}
	r := model.Of(o)
	switch r.Reach.Rule {
	case "default", "everywhere":
		if r == model.Topologies && o.Base().UUID != model.DefaultTopology {
			x.hostsOfNetwork(e, o.Base().UUID, hs)
			break
		}
		for h := range views {
			hs[h] = struct{}{}
		}
	case "needed":
		x.hostsOfNetwork(e, o.Base().UUID, hs)
	case "datapath":
		x.hostsOfDatapath(e, o.Base().UUID, hs)
	case "interface":
		return x.hostsOfInterface(e, o.Base().UUID)
	case "lease":
		return x.hostsOfInterface(e, o.(*model.IPLease).InterfaceUUID)
	default:
		// It reaches no host that one of its referents does not reach, as it is or as it was.
		if len(r.Reach.With) == 0 {
			break
		}
		target := r.Field(r.Reach.With[0]).Text(o)
		now, _ := x.g.Get(target)
		for _, t := range []model.Object{now, e.before[target]} {
			if t != nil {
				maps.Copy(hs, hostsOf(x, e, views, t))
			}
		}
	}
	return hs
}

// hostsOfInterface gives the datapaths that the interface may have to do with, before or after.
func (x *Index) hostsOfInterface(e *Effects, iface string) map[string]struct{} {
	if iface == "" {
		return nil
	}
	m, moved := e.Interfaces[iface]
	if !moved {
		m = Moved{old: x.interfaces[iface], new: x.interfaces[iface]}
	}
	return m.hosts(x, e, x.isHost(iface) || isHostInterface(e.before[iface]))
}

func isHostInterface(o model.Object) bool {
	i, ok := o.(*model.Interface)
	return ok && i.Mode == model.InterfaceHost
}

func (x *Index) isHost(iface string) bool {
	o, ok := x.g.Get(iface)
	return ok && isHostInterface(o)
}

// hostsOfDatapath adds the datapath itself and those that exchange frames with it, or have just ceased to.
func (x *Index) hostsOfDatapath(e *Effects, datapath string, hs map[string]struct{}) {
	if datapath == "" {
		return
	}
	hs[datapath] = struct{}{}
	for n := range x.on[datapath] {
		x.hostsOfNetwork(e, n, hs)
	}
	for n := range x.needs[datapath] {
		x.hostsWith(e, n, hs)
	}
	for _, n := range e.flipsAtDatapath[datapath] {
		x.hostsOfNetwork(e, n, hs)
	}
}

// candidates collects uuids of objects to look at for one host; true for those that have changed themselves.
type candidates struct {
	x        *Index
	set      map[string]bool
	followed map[string]struct{} // whose followers are in it
	hosts    map[string]struct{} // whose host interfaces are in it
}

func (c *candidates) add(uuid string) {
	if c.set == nil {
		c.set = map[string]bool{}
	}
	if _, ok := c.set[uuid]; !ok {
		c.set[uuid] = false
	}
}

func (c *candidates) changed(uuid string) {
	c.add(uuid)
	c.set[uuid] = true
}

// object adds an object and everything whose reach follows it.
func (c *candidates) object(uuid string) {
	c.add(uuid)
	r := model.ByUUID(uuid)
	if _, done := c.followed[uuid]; done || r == nil {
		return
	}
	if c.followed == nil {
		c.followed = map[string]struct{}{}
	}
	c.followed[uuid] = struct{}{}
	for _, ref := range followers()[r.Plural] {
		for o := range c.x.g.Referrers(uuid, ref) {
			c.object(o.Base().UUID)
		}
	}
}

// domain adds a network, another domain or a route link, and everything that a host which has it has to know of it.
func (c *candidates) domain(uuid string) {
	c.object(uuid)
	for i := range c.x.InterfacesOf(uuid) {
		c.object(i)
	}
}

// domainAndDatapaths adds a domain and the hosts on which it is present.
func (c *candidates) domainAndDatapaths(uuid string) {
	c.domain(uuid)
	for d := range c.x.DatapathsOf(uuid) {
		c.datapath(d)
	}
}

// datapath adds a datapath and its host interfaces.
func (c *candidates) datapath(uuid string) {
	if _, done := c.hosts[uuid]; done {
		return
	}
	if c.hosts == nil {
		c.hosts = map[string]struct{}{}
	}
	c.hosts[uuid] = struct{}{}
	c.object(uuid)
	for i := range c.x.InterfacesAt(uuid) {
		if c.x.isHost(i) {
			c.object(i)
		}
	}
}

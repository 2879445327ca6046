package span

import (
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
	for _, r := range model.All() {
		if r.Reach.Rule == "everywhere" {
			for _, o := range x.g.List(r) {
				c.add(o.Base().UUID)
			}
		}
	}
	c.datapath(v.host)
	for i := range x.InterfacesAt(v.host) {
		c.object(i)
	}
	for n := range x.NetworksOn(v.host) {
		c.network(n)
		for d := range x.DatapathsOf(n) {
			c.datapath(d)
		}
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
		for _, o := range []model.Object{ch.Old, ch.New} {
			if o == nil {
				continue
			}
			for host := range hostsOf(x, e, views, o) {
				if c := of(host); c != nil {
					c.changed(o.Base().UUID)
				}
			}
		}
	}
	// An interface that moved, or came to other networks: what hangs from it, on the hosts of both sides.
	for i, m := range e.Interfaces {
		if m.old.datapath == m.new.datapath && slices.Equal(m.old.networks, m.new.networks) {
			continue
		}
		for host := range m.hosts(x, e, x.isHost(i)) {
			if c := of(host); c != nil {
				c.object(i)
			}
		}
	}
	// A network that came to a host or left it: all of the network there, and the host among the network's others.
	for p := range e.Flips {
		hs := map[string]struct{}{}
		x.hostsOfNetwork(e, p.Network, hs)
		here := of(p.Datapath)
		if here != nil {
			here.network(p.Network)
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
	return cs
}

// hosts gives the datapaths that the interface's old and new attachment have to do with; a host interface's are also those that know its
// datapath.
func (m Moved) hosts(x *Index, e *Effects, host bool) map[string]struct{} {
	hs := map[string]struct{}{}
	for _, a := range []attachment{m.old, m.new} {
		hs[a.datapath] = struct{}{}
		if host {
			x.hostsOfDatapath(e, a.datapath, hs)
		}
		for _, n := range a.networks {
			x.hostsOfNetwork(e, n, hs)
		}
	}
	return hs
}

// hostsOfNetwork adds the datapaths on which the network has interfaces, and those that it has just left.
func (x *Index) hostsOfNetwork(e *Effects, network string, hs map[string]struct{}) {
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
	case "everywhere":
		for h := range views {
			hs[h] = struct{}{}
		}
		return hs
	case "network":
		x.hostsOfNetwork(e, o.Base().UUID, hs)
		return hs
	case "datapath":
		x.hostsOfDatapath(e, o.Base().UUID, hs)
		return hs
	}
	iface := ""
	for _, f := range r.Fields {
		switch {
		case f.Name == "interface_uuid":
			iface = f.Text(o)
		case f.Ref == "networks":
			x.hostsOfNetwork(e, f.Text(o), hs)
		case f.Ref == "datapaths":
			hs[f.Text(o)] = struct{}{}
		}
	}
	if r == model.Interfaces {
		iface = o.Base().UUID
	}
	if iface == "" {
		return hs
	}
	m, moved := e.Interfaces[iface]
	if !moved {
		m = Moved{old: x.interfaces[iface], new: x.interfaces[iface]}
	}
	for h := range m.hosts(x, e, x.isHost(iface) || isHostInterface(o)) {
		hs[h] = struct{}{}
	}
	return hs
}

func isHostInterface(o model.Object) bool {
	i, ok := o.(*model.Interface)
	return ok && i.Mode == model.InterfaceHost
}

func (x *Index) isHost(iface string) bool {
	o, ok := x.g.Get(iface)
	return ok && isHostInterface(o)
}

// hostsOfDatapath adds the datapath itself and those that share a network with it, or have just ceased to.
func (x *Index) hostsOfDatapath(e *Effects, datapath string, hs map[string]struct{}) {
	if datapath == "" {
		return
	}
	hs[datapath] = struct{}{}
	for n := range x.on[datapath] {
		x.hostsOfNetwork(e, n, hs)
	}
	for _, n := range e.flipsAtDatapath[datapath] {
		x.hostsOfNetwork(e, n, hs)
	}
}

// candidates collects uuids of objects to look at for one host; true for those that have changed themselves.
type candidates struct {
	x   *Index
	set map[string]bool
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
	if r == nil {
		return
	}
	for _, ref := range followers()[r.Plural] {
		for o := range c.x.g.Referrers(uuid, ref) {
			c.object(o.Base().UUID)
		}
	}
}

// network adds a network and everything that a host on which it is present has to know of it.
func (c *candidates) network(uuid string) {
	c.object(uuid)
	for i := range c.x.InterfacesOf(uuid) {
		c.object(i)
	}
}

// datapath adds a datapath and its host interfaces.
func (c *candidates) datapath(uuid string) {
	c.object(uuid)
	for i := range c.x.InterfacesAt(uuid) {
		if c.x.isHost(i) {
			c.object(i)
		}
	}
}

package topology

import (
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model"
)

// notePlace notes where a touched object puts an interface, and what it makes the interface belong to.
func (t *relations) notePlace(o model.Object) {
	at := func(iface, datapath string) {
		if iface != "" {
			t.at[iface] = append(t.at[iface], datapath)
		}
	}
	in := func(iface string, k *kind, uuid string) {
		if o := (object{k, uuid}); iface != "" && uuid != "" {
			t.in[iface] = append(t.in[iface], o)
			t.holders[o] = append(t.holders[o], iface)
		}
	}
	switch o := o.(type) {
	case *model.InterfacePort:
		at(o.InterfaceUUID, o.DatapathUUID)
	case *model.ActiveInterface:
		for _, d := range placesOfRow(o) {
			at(o.InterfaceUUID, d)
		}
	case *model.IPLease:
		in(o.InterfaceUUID, networks, o.NetworkUUID)
	case *model.MACLease:
		in(o.InterfaceUUID, segments, o.SegmentUUID)
	case *model.InterfaceNetwork:
		in(o.InterfaceUUID, networks, o.NetworkUUID)
	case *model.InterfaceSegment:
		in(o.InterfaceUUID, segments, o.SegmentUUID)
	case *model.InterfaceRouteLink:
		in(o.InterfaceUUID, routeLinks, o.RouteLinkUUID)
	}
}

// affectPlaces adds the pairs of objects and datapaths that touched interfaces belonged to or belong to now, as far as a topology
// that goes by activity may have the object.
func (r *reconciler) affectPlaces() {
	moved := map[string]struct{}{}
	for i := range r.touched.at {
		moved[i] = struct{}{}
	}
	for i := range r.touched.in {
		moved[i] = struct{}{}
	}
	for _, i := range slices.Sorted(maps.Keys(moved)) {
		in := slices.Clone(r.touched.in[i])
		if r.touched.at[i] != nil { // the interface itself may have moved, with all that it is in
			in = append(in, r.objectsOf(i)...)
		}
		for _, d := range unique(append(slices.Clone(r.touched.at[i]), r.placesOf(i)...)) {
			if d == "" {
				continue
			}
			for _, o := range in {
				if !r.settled(i, d, o) {
					r.affectPlace(d, o)
				}
			}
		}
	}
}

// settled reports whether a network is active on a datapath by a touched interface, and was so before by its row: nothing can follow
// then. It spares the common case, one more guest, to read what all guests of the network refer to.
func (r *reconciler) settled(iface, datapath string, o object) bool {
	if o.kind != networks {
		return false
	}
	row := r.rd.ByUnique(o.kind.rows, "pair", datapath, o.uuid)
	if row == nil {
		return false
	}
	owner := *fieldsOf(row).topology
	if _, changed := r.touched.activity[owner]; changed || owner == "" {
		return false
	}
	t, ok := r.rd.Get(owner)
	return ok && t.(*model.Topology).Activity && slices.Contains(r.placesOf(iface), datapath) && slices.Contains(r.objectsOf(iface), o)
}

// affectPlace adds an object on a datapath, and what is active there with it: a network's segment and route links.
func (r *reconciler) affectPlace(datapath string, o object) {
	p := pair{o.kind, datapath, o.uuid}
	if _, done := r.places.affected[p]; done {
		return
	}
	r.places.affected[p] = struct{}{}
	r.pairs[p] = struct{}{}
	if o.kind != networks {
		return
	}
	if n, ok := r.rd.Get(o.uuid); ok && n.(*model.Network).SegmentUUID != "" {
		r.pairs[pair{segments, datapath, n.(*model.Network).SegmentUUID}] = struct{}{}
	}
	for l := range r.rd.Referrers(o.uuid, "routes.network_uuid") {
		r.pairs[pair{routeLinks, datapath, l.(*model.Route).RouteLinkUUID}] = struct{}{}
	}
}

// places is what was read of where interfaces are and what they belong to.
type places struct {
	affected map[pair]struct{}
	of       map[string][]string            // datapaths, by interface
	in       map[string][]object            // by interface
	on       map[string]map[object]struct{} // what interfaces on a datapath belong to
	active   map[pair]bool
}

func newPlaces() places {
	return places{
		affected: map[pair]struct{}{}, of: map[string][]string{}, in: map[string][]object{},
		on: map[string]map[object]struct{}{}, active: map[pair]bool{},
	}
}

// placesOfRow gives the datapaths where an interface was found: also where it moves to, which must be ready, and where it came from, which still gets its frames.
func placesOfRow(a *model.ActiveInterface) []string {
	return slices.DeleteFunc([]string{a.DatapathUUID, a.TargetDatapathUUID, a.PreviousDatapathUUID}, func(d string) bool { return d == "" })
}

// placesOf gives the datapaths where an interface is: those that its ports are pinned to, and where its port was found.
func (r *reconciler) placesOf(iface string) []string {
	if ds, ok := r.places.of[iface]; ok {
		return ds
	}
	var out []string
	for o := range r.rd.Referrers(iface, "interface_ports.interface_uuid") {
		if d := o.(*model.InterfacePort).DatapathUUID; d != "" {
			out = append(out, d)
		}
	}
	for o := range r.rd.Referrers(iface, "active_interfaces.interface_uuid") {
		out = append(out, placesOfRow(o.(*model.ActiveInterface))...)
	}
	r.places.of[iface] = unique(out)
	return r.places.of[iface]
}

// objectsOf gives what an interface belongs to: the networks of its leases, the segments of its MAC addresses, what it is
// associated with for good, and the route links that it leads into.
func (r *reconciler) objectsOf(iface string) []object {
	if os, ok := r.places.in[iface]; ok {
		return os
	}
	var out []object
	for o := range r.rd.Referrers(iface, "ip_leases.interface_uuid") {
		out = append(out, object{networks, o.(*model.IPLease).NetworkUUID})
	}
	for o := range r.rd.Referrers(iface, "mac_leases.interface_uuid") {
		if s := o.(*model.MACLease).SegmentUUID; s != "" {
			out = append(out, object{segments, s})
		}
	}
	for o := range r.rd.Referrers(iface, "interface_networks.interface_uuid") {
		if n := o.(*model.InterfaceNetwork); n.Static {
			out = append(out, object{networks, n.NetworkUUID})
		}
	}
	for o := range r.rd.Referrers(iface, "interface_segments.interface_uuid") {
		if s := o.(*model.InterfaceSegment); s.Static {
			out = append(out, object{segments, s.SegmentUUID})
		}
	}
	for o := range r.rd.Referrers(iface, "interface_route_links.interface_uuid") {
		if l := o.(*model.InterfaceRouteLink); l.Static {
			out = append(out, object{routeLinks, l.RouteLinkUUID})
		}
	}
	for o := range r.rd.Referrers(iface, "routes.interface_uuid") {
		out = append(out, object{routeLinks, o.(*model.Route).RouteLinkUUID})
	}
	r.places.in[iface] = out
	return out
}

// active reports whether an interface that belongs to the object is on the datapath. A segment is also active with a network that
// lies on it, a route link with a network that has a route into it.
func (r *reconciler) active(p pair) bool {
	if a, ok := r.places.active[p]; ok {
		return a
	}
	a := r.hasInterface(p)
	switch {
	case a:
	case p.kind == segments:
		for o := range r.rd.Referrers(p.object, "networks.segment_uuid") {
			a = a || r.active(pair{networks, p.datapath, o.Base().UUID})
		}
	case p.kind == routeLinks:
		for o := range r.rd.Referrers(p.object, "routes.route_link_uuid") {
			a = a || r.active(pair{networks, p.datapath, o.(*model.Route).NetworkUUID})
		}
	}
	r.places.active[p] = a
	return a
}

// witnesses bounds how many touched interfaces are asked before all of a datapath are read.
const witnesses = 16

// hasInterface looks at interfaces that this transaction has touched first: what else is on the datapath is then not read, so
// that changes of it do not get in the way.
func (r *reconciler) hasInterface(p pair) bool {
	want := object{p.kind, p.object}
	touched := r.touched.holders[want]
	for _, i := range touched[:min(len(touched), witnesses)] {
		if slices.Contains(r.placesOf(i), p.datapath) && slices.Contains(r.objectsOf(i), want) {
			return true
		}
	}
	_, ok := r.onDatapath(p.datapath)[want]
	return ok
}

// onDatapath gives all that the interfaces on a datapath belong to.
func (r *reconciler) onDatapath(datapath string) map[object]struct{} {
	if on, ok := r.places.on[datapath]; ok {
		return on
	}
	on := map[object]struct{}{}
	add := func(iface string) {
		for _, o := range r.objectsOf(iface) {
			on[o] = struct{}{}
		}
	}
	for o := range r.rd.Referrers(datapath, "interface_ports.datapath_uuid") {
		add(o.(*model.InterfacePort).InterfaceUUID)
	}
	for _, ref := range []string{"active_interfaces.datapath_uuid", "active_interfaces.target_datapath_uuid", "active_interfaces.previous_datapath_uuid"} {
		for o := range r.rd.Referrers(datapath, ref) {
			add(o.(*model.ActiveInterface).InterfaceUUID)
		}
	}
	r.places.on[datapath] = on
	return on
}

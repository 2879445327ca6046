package topology

import (
	"slices"

	"github.com/openvnet/openvnet/model"
)

// kind is one of the three kinds of objects that topologies wire.
type kind struct {
	rows    *model.Resource // datapath_networks
	members *model.Resource // topology_networks
}

var (
	networks   = &kind{model.DatapathNetworks, model.TopologyNetworks}
	segments   = &kind{model.DatapathSegments, model.TopologySegments}
	routeLinks = &kind{model.DatapathRouteLinks, model.TopologyRouteLinks}
	kinds      = [...]*kind{networks, segments, routeLinks}
)

func kindOfRow(o model.Object) *kind {
	for _, k := range kinds {
		if k.rows == model.Of(o) {
			return k
		}
	}
	return nil
}

func kindOfMember(o model.Object) *kind {
	for _, k := range kinds {
		if k.members == model.Of(o) {
			return k
		}
	}
	return nil
}

// memberOf gives what a member's row joins.
func (k *kind) memberOf(o model.Object) (topology, object string) {
	switch o := o.(type) {
	case *model.TopologyNetwork:
		return o.TopologyUUID, o.NetworkUUID
	case *model.TopologySegment:
		return o.TopologyUUID, o.SegmentUUID
	case *model.TopologyRouteLink:
		return o.TopologyUUID, o.RouteLinkUUID
	}
	return "", ""
}

// fields are those that the rows of all kinds have.
type fields struct {
	datapath, object, iface, lease, topology, layer, group *string
	mac                                                    *model.MAC
}

func fieldsOf(o model.Object) fields {
	switch d := o.(type) {
	case *model.DatapathNetwork:
		return fields{&d.DatapathUUID, &d.NetworkUUID, &d.InterfaceUUID, &d.IPLeaseUUID, &d.TopologyUUID, &d.TopologyLayerUUID, &d.TopologyMACRangeGroupUUID, &d.MACAddress}
	case *model.DatapathSegment:
		return fields{&d.DatapathUUID, &d.SegmentUUID, &d.InterfaceUUID, &d.IPLeaseUUID, &d.TopologyUUID, &d.TopologyLayerUUID, &d.TopologyMACRangeGroupUUID, &d.MACAddress}
	case *model.DatapathRouteLink:
		return fields{&d.DatapathUUID, &d.RouteLinkUUID, &d.InterfaceUUID, &d.IPLeaseUUID, &d.TopologyUUID, &d.TopologyLayerUUID, &d.TopologyMACRangeGroupUUID, &d.MACAddress}
	}
	return fields{}
}

// object is what topologies wire to datapaths.
type object struct {
	kind *kind
	uuid string
}

// relations are those of touched objects, as they were or as they are: what is gone is not found by reading.
type relations struct {
	datapaths map[string][]string // by underlay
	activity  map[string][2]bool  // by topology, that it was or is off, and on
	at        map[string][]string // datapaths, by interface
	in        map[string][]object // by interface
	holders   map[object][]string // interfaces, by what is in
}

func newRelations() *relations {
	return &relations{
		datapaths: map[string][]string{},
		activity:  map[string][2]bool{}, at: map[string][]string{}, in: map[string][]object{}, holders: map[object][]string{},
	}
}

func (t *relations) note(o model.Object) {
	switch o := o.(type) {
	case *model.Topology:
		v := t.activity[o.UUID]
		t.activity[o.UUID] = [2]bool{v[0] || !o.Activity, v[1] || o.Activity}
	case *model.TopologyDatapath:
		t.datapaths[o.TopologyUUID] = append(t.datapaths[o.TopologyUUID], o.DatapathUUID)
	default:
		t.notePlace(o)
	}
}

// datapaths gives the datapaths of an underlay, those that have left it among them.
func (r *reconciler) datapaths(underlay string) []string {
	out := slices.Clone(r.touched.datapaths[underlay])
	for o := range r.rd.Referrers(underlay, "topology_datapaths.topology_uuid") {
		out = append(out, o.(*model.TopologyDatapath).DatapathUUID)
	}
	return unique(out)
}

// datapathsUnder gives the datapaths that a topology may wire to: its own, and those of the underlays that it lies over. A layer that is
// gone has taken its rows along, and they are looked at themselves.
func (r *reconciler) datapathsUnder(topology string) []string {
	out := r.datapaths(topology)
	var under []string
	for o := range r.rd.Referrers(topology, "topology_layers.overlay_uuid") {
		under = append(under, o.(*model.TopologyLayer).UnderlayUUID)
	}
	for _, u := range unique(under) {
		out = append(out, r.datapaths(u)...)
	}
	return unique(out)
}

// members gives what a topology wires. What has left it is not needed: each member that has left is looked at itself.
func (r *reconciler) members(topology string) []object {
	var out []object
	for _, k := range kinds {
		for o := range r.rd.Referrers(topology, k.members.Plural+".topology_uuid") {
			_, member := k.memberOf(o)
			out = append(out, object{k, member})
		}
	}
	return out
}

// membersOver gives what is wired to the datapaths of a topology: its own members, and those of the overlays over it.
func (r *reconciler) membersOver(topology string) []object {
	out := r.members(topology)
	var over []string
	for o := range r.rd.Referrers(topology, "topology_layers.underlay_uuid") {
		over = append(over, o.(*model.TopologyLayer).OverlayUUID)
	}
	for _, v := range unique(over) {
		out = append(out, r.members(v)...)
	}
	return out
}

func unique(ss []string) []string {
	slices.Sort(ss)
	return slices.Compact(ss)
}

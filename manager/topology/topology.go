package topology

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/model"
)

// Reader is what is read of a transaction: *store.Tx has it.
type Reader interface {
	Get(uuid string) (model.Object, bool)
	Referrers(uuid, ref string) iter.Seq[model.Object]
	ByUnique(r *model.Resource, group string, values ...string) model.Object
	List(r *model.Resource) []model.Object // of topologies only
}

// Draw gives a MAC address that nobody has, of the ranges of a MAC range group, or with "" any. It gives no address twice
// to one Reconcile. When the group has nothing left the error is a *model.Error of class Exhausted.
type Draw func(macRangeGroupUUID string) (model.MAC, error)

// Plan is what is to be written so that the rows are what the topologies say.
type Plan struct {
	Delete []model.Object // rows to delete, before anything is put
	Put    []model.Object // rows to write: to change where the uuid is there, else to create; without uuid it gets one
}

// Reconcile gives what has to follow in the rows of topologies from the changes of a transaction. rd reads the state with
// them; touched are the objects that were created, changed or deleted, deletions that cascaded included, both as they were
// and as they are (one that was both created and deleted need not be there). What it costs grows with the pairs of datapath
// and object that the changes concern, not with the topologies. The error is a *model.Error of class Exhausted when there
// is no MAC address left for a row.
//
// A row that a deletion took along although another layer still asks for it comes back with its uuid and its MAC address.
func Reconcile(rd Reader, touched []model.Object, draw Draw) (Plan, error) {
	if !slices.ContainsFunc(touched, concerns) {
		return Plan{}, nil
	}
	r := &reconciler{
		rd: rd, draw: draw, topologies: rd.List(model.Topologies), touched: newRelations(),
		pairs: map[pair]struct{}{}, lost: map[pair]model.Object{}, crowded: map[pair]struct{}{},
		sources: map[string][]source{}, groups: map[string][]group{}, rows: map[pair]map[string][]model.Object{}, places: newPlaces(),
	}
	for _, o := range r.topologies {
		r.demand = r.demand || o.(*model.Topology).Activity
	}
	for _, o := range touched {
		r.touched.note(o)
	}
	for _, o := range touched {
		r.affect(o)
	}
	if r.demand {
		r.affectPlaces()
	}
	return r.plan()
}

// concerns reports whether anything here can follow from a change of the object.
func concerns(o model.Object) bool {
	switch o.(type) {
	case *model.Topology, *model.TopologyDatapath, *model.TopologyLayer, *model.TopologyMACRangeGroup, *model.TopologyNetwork, *model.TopologySegment, *model.TopologyRouteLink,
		*model.MACRange, *model.DatapathNetwork, *model.DatapathSegment, *model.DatapathRouteLink,
		*model.IPLease, *model.MACLease, *model.InterfacePort, *model.ActiveInterface, *model.InterfaceNetwork, *model.InterfaceSegment, *model.InterfaceRouteLink,
		*model.Network, *model.Route:
		return true
	}
	return false
}

// pair is where there is at most one row: an object on a datapath.
type pair struct {
	kind     *kind
	datapath string
	object   string
}

type reconciler struct {
	rd         Reader
	draw       Draw
	topologies []model.Object // by id
	demand     bool           // one of them goes by activity
	touched    *relations

	pairs   map[pair]struct{}
	lost    map[pair]model.Object // rows of topologies that are gone
	crowded map[pair]struct{}     // pairs that may have, or may have had, a row made by hand beside one of a topology

	// Remembered of what was read:
	sources map[string][]source // by datapath
	groups  map[string][]group  // by underlay
	rows    map[pair]map[string][]model.Object
	places  places
}

// affect adds the pairs that a change of one object concerns.
func (r *reconciler) affect(o model.Object) {
	switch o := o.(type) {
	case *model.Topology:
		if v := r.touched.activity[o.UUID]; v[0] && v[1] { // nothing else of a topology itself matters
			r.cross(r.datapathsUnder(o.UUID), r.membersOver(o.UUID))
		}
	case *model.TopologyDatapath:
		r.cross([]string{o.DatapathUUID}, r.membersOver(o.TopologyUUID))
	case *model.TopologyLayer:
		r.cross(r.datapaths(o.UnderlayUUID), r.members(o.OverlayUUID))
	case *model.TopologyMACRangeGroup:
		r.cross(r.datapaths(o.TopologyUUID), r.membersOver(o.TopologyUUID))
	case *model.MACRange:
		for t := range r.rd.Referrers(o.MACRangeGroupUUID, "topology_mac_range_groups.mac_range_group_uuid") {
			r.affect(t)
		}
	case *model.IPLease:
		r.affectHost(o)
	case *model.Network:
		if o.SegmentUUID != "" && r.demand {
			r.anywhere(object{segments, o.SegmentUUID})
		}
	case *model.Route:
		if r.demand {
			r.anywhere(object{routeLinks, o.RouteLinkUUID})
		}
	default:
		if k := kindOfRow(o); k != nil {
			r.affectRow(k, o)
		} else if k := kindOfMember(o); k != nil {
			topology, member := k.memberOf(o)
			r.cross(r.datapathsUnder(topology), []object{{k, member}})
		}
	}
}

func (r *reconciler) cross(datapaths []string, objects []object) {
	for _, d := range datapaths {
		for _, o := range objects {
			r.pairs[pair{o.kind, d, o.uuid}] = struct{}{}
		}
	}
}

// affectRow adds the pair of a row that was made, changed or deleted, by whomever.
func (r *reconciler) affectRow(k *kind, o model.Object) {
	f := fieldsOf(o)
	p := pair{k, *f.datapath, *f.object}
	r.pairs[p] = struct{}{}
	if *f.topology == "" {
		r.crowded[p] = struct{}{}
	} else if _, there := r.rd.Get(o.Base().UUID); !there {
		r.lost[p] = o
	}
}

// affectHost adds what hangs on the lease of a host interface: the datapaths that have no lease of their own choice.
func (r *reconciler) affectHost(l *model.IPLease) {
	if o, ok := r.rd.Get(l.InterfaceUUID); !ok || o.(*model.Interface).Mode != model.InterfaceHost {
		return
	}
	for o := range r.rd.Referrers(l.InterfaceUUID, "topology_datapaths.interface_uuid") {
		if t := o.(*model.TopologyDatapath); t.IPLeaseUUID == "" {
			r.affect(t)
		}
	}
}

// anywhere adds an object on every datapath on which a topology that goes by activity may wire it.
func (r *reconciler) anywhere(o object) {
	for _, t := range r.topologies {
		if t.(*model.Topology).Activity && r.isMember(t.Base().UUID, o) {
			r.cross(r.datapathsUnder(t.Base().UUID), []object{o})
		}
	}
}

func (r *reconciler) isMember(topology string, o object) bool {
	return r.rd.ByUnique(o.kind.members, "pair", topology, o.uuid) != nil
}

// source is one reason for rows on a datapath: an underlay that it is in, or an overlay over that.
type source struct {
	topology *model.Topology
	layer    string // uuid of the overlay's layer; "" of the underlay itself
	underlay string
	iface    string // host interface of the datapath in the underlay
	lease    string // where tunnels end, "" while the interface has no lease
}

// sourcesOf gives the reasons for rows on a datapath, the one that goes before the others first.
func (r *reconciler) sourcesOf(datapath string) []source {
	if ss, ok := r.sources[datapath]; ok {
		return ss
	}
	var own []source
	type laid struct {
		source
		id uint32
	}
	var over []laid
	for _, o := range r.topologies {
		u := o.(*model.Topology)
		if u.Mode != model.TopologyUnderlay {
			continue
		}
		td, _ := r.rd.ByUnique(model.TopologyDatapaths, "pair", u.UUID, datapath).(*model.TopologyDatapath)
		if td == nil {
			continue
		}
		s := source{topology: u, underlay: u.UUID, iface: td.InterfaceUUID, lease: r.lease(td)}
		own = append(own, s)
		for o := range r.rd.Referrers(u.UUID, "topology_layers.underlay_uuid") {
			l := o.(*model.TopologyLayer)
			if v, ok := r.rd.Get(l.OverlayUUID); ok {
				s.topology, s.layer = v.(*model.Topology), l.UUID
				over = append(over, laid{s, l.ID})
			}
		}
	}
	slices.SortFunc(over, func(a, b laid) int {
		return cmp.Or(cmp.Compare(a.topology.ID, b.topology.ID), cmp.Compare(a.id, b.id))
	})
	for _, l := range over {
		own = append(own, l.source)
	}
	r.sources[datapath] = own
	return own
}

// source gives the reason for a row, nil if there is none.
func (r *reconciler) source(p pair) *source {
	if _, ok := r.rd.Get(p.object); !ok {
		return nil
	}
	ss := r.sourcesOf(p.datapath)
	for i := range ss {
		if s := &ss[i]; r.isMember(s.topology.UUID, object{p.kind, p.object}) && (!s.topology.Activity || r.active(p)) {
			return s
		}
	}
	return nil
}

func (r *reconciler) plan() (Plan, error) {
	ordered := make([]pair, 0, len(r.pairs))
	for p := range r.pairs {
		ordered = append(ordered, p)
	}
	slices.SortFunc(ordered, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.datapath, b.datapath), strings.Compare(a.kind.rows.Plural, b.kind.rows.Plural), strings.Compare(a.object, b.object))
	})
	var plan Plan
	var wants []wanted
	for _, p := range ordered {
		row, byHand := r.row(p)
		if want := r.want(p, row, byHand); want.row != nil {
			wants = append(wants, want)
		} else if row != nil {
			plan.Delete = append(plan.Delete, row)
		}
	}
	// Rows that come back keep their addresses, which look free by now: they go first.
	kept := map[model.MAC]bool{}
	for _, w := range wants {
		kept[*fieldsOf(w.row).mac] = true
	}
	for _, w := range wants {
		if f := fieldsOf(w.row); *f.mac == (model.MAC{}) {
			var err error
			if *f.mac, *f.group, err = r.drawFrom(w.underlay, kept); err != nil {
				return Plan{}, err
			}
		}
		if w.has == nil || !model.Equal(w.has, w.row) {
			plan.Put = append(plan.Put, w.row)
		}
	}
	return plan, nil
}

// wanted is a row that there is to be, nil for none, and the one that there is.
type wanted struct {
	row, has model.Object
	underlay string
}

// want gives what a pair's row is to be; its MAC address is missing where one has to be drawn.
func (r *reconciler) want(p pair, has model.Object, byHand bool) wanted {
	if byHand {
		return wanted{}
	}
	s := r.source(p)
	if s == nil {
		return wanted{}
	}
	var row model.Object
	switch {
	case has != nil:
		row = model.Clone(has)
	case r.lost[p] != nil:
		row = model.Clone(r.lost[p])
	default:
		row = p.kind.rows.New()
	}
	f := fieldsOf(row)
	*f.datapath, *f.object, *f.iface, *f.lease, *f.topology, *f.layer = p.datapath, p.object, s.iface, s.lease, s.topology.UUID, s.layer
	*f.mac, *f.group = r.keep(s.underlay, *f.mac)
	return wanted{row, has, s.underlay}
}

// row gives the row of a topology that a pair has, nil if it has none, and whether there is one made by hand.
func (r *reconciler) row(p pair) (row model.Object, byHand bool) {
	look := func(o model.Object) {
		if *fieldsOf(o).topology == "" {
			byHand = true
		} else {
			row = o
		}
	}
	if o := r.rd.ByUnique(p.kind.rows, "pair", p.datapath, p.object); o != nil {
		look(o)
	}
	if _, ok := r.crowded[p]; ok {
		for _, o := range r.rowsOn(p.kind, p.datapath)[p.object] {
			look(o)
		}
	}
	return row, byHand
}

// rowsOn gives the rows of a datapath by object; of a pair with several the index of unique values knows but one.
func (r *reconciler) rowsOn(k *kind, datapath string) map[string][]model.Object {
	on := pair{k, datapath, ""}
	if rows, ok := r.rows[on]; ok {
		return rows
	}
	rows := map[string][]model.Object{}
	for o := range r.rd.Referrers(datapath, k.rows.Plural+".datapath_uuid") {
		object := *fieldsOf(o).object
		rows[object] = append(rows[object], o)
	}
	r.rows[on] = rows
	return rows
}

// lease gives the lease at which a datapath's tunnels end: the one that its row names, or else the host interface's first.
func (r *reconciler) lease(t *model.TopologyDatapath) string {
	if t.IPLeaseUUID != "" {
		return t.IPLeaseUUID
	}
	var first *model.IPLease
	for o := range r.rd.Referrers(t.InterfaceUUID, "ip_leases.interface_uuid") {
		if l := o.(*model.IPLease); first == nil || l.ID < first.ID {
			first = l
		}
	}
	if first == nil {
		return ""
	}
	return first.UUID
}

// group is a MAC range group of an underlay that has ranges.
type group struct {
	uuid   string // of the row that gives it to the underlay
	of     string // of the group itself
	ranges []*model.MACRange
}

func (g *group) holds(m model.MAC) bool {
	return slices.ContainsFunc(g.ranges, func(r *model.MACRange) bool {
		return r.BeginMACAddress.Uint64() <= m.Uint64() && m.Uint64() <= r.EndMACAddress.Uint64()
	})
}

// groupsOf gives the MAC range groups of an underlay that have ranges, the oldest first.
func (r *reconciler) groupsOf(underlay string) []group {
	if gs, ok := r.groups[underlay]; ok {
		return gs
	}
	var rows []*model.TopologyMACRangeGroup
	for o := range r.rd.Referrers(underlay, "topology_mac_range_groups.topology_uuid") {
		rows = append(rows, o.(*model.TopologyMACRangeGroup))
	}
	slices.SortFunc(rows, func(a, b *model.TopologyMACRangeGroup) int { return cmp.Compare(a.ID, b.ID) })
	var gs []group
	for _, row := range rows {
		g := group{uuid: row.UUID, of: row.MACRangeGroupUUID}
		for o := range r.rd.Referrers(row.MACRangeGroupUUID, "mac_ranges.mac_range_group_uuid") {
			g.ranges = append(g.ranges, o.(*model.MACRange))
		}
		if g.ranges != nil {
			gs = append(gs, g)
		}
	}
	r.groups[underlay] = gs
	return gs
}

// keep gives a row's address back, and the row of the group that it is of, if a group of the underlay holds it; in an underlay
// without ranges every address will do. If it cannot stay the address is zero.
func (r *reconciler) keep(underlay string, has model.MAC) (m model.MAC, group string) {
	gs := r.groupsOf(underlay)
	for i := range gs {
		if gs[i].holds(has) {
			return has, gs[i].uuid
		}
	}
	if gs != nil {
		return model.MAC{}, ""
	}
	return has, ""
}

// drawFrom draws an address that is none of those kept of the underlay's first group that has any left.
func (r *reconciler) drawFrom(underlay string, kept map[model.MAC]bool) (m model.MAC, group string, err error) {
	one := func(of string) (m model.MAC, err error) {
		for {
			if m, err = r.draw(of); err != nil || !kept[m] {
				return m, err
			}
		}
	}
	gs := r.groupsOf(underlay)
	if gs == nil {
		m, err = one("")
		return m, "", err
	}
	for i := range gs {
		m, err = one(gs[i].of)
		if err == nil {
			return m, gs[i].uuid, nil
		}
		var e *model.Error
		if !errors.As(err, &e) || e.Class != model.Exhausted {
			return m, "", err
		}
	}
	return m, "", model.Errorf(model.Exhausted, "mac_address", "the MAC range groups of %s have no address left", underlay)
}

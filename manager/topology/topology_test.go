package topology

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// world is a store in memory.
type world struct {
	g    *graph.Graph
	id   uint32
	macs int // drawn without a group
}

func newWorld() *world { return &world{g: graph.New()} }

func (w *world) Get(uuid string) (model.Object, bool) { return w.g.Get(uuid) }

func (w *world) Referrers(uuid, ref string) iter.Seq[model.Object] { return w.g.Referrers(uuid, ref) }

func (w *world) List(r *model.Resource) []model.Object { return w.g.List(r) }

func (w *world) ByUnique(r *model.Resource, group string, values ...string) model.Object {
	uuid, ok := w.g.ByUnique(r, group, values...)
	if !ok {
		return nil
	}
	o, _ := w.g.Get(uuid)
	return o
}

// tx is one transaction; what it touches is remembered.
type tx struct {
	*world
	touched []model.Object
}

func (x *tx) put(o model.Object) {
	old, ok := x.g.Get(o.Base().UUID)
	if ok {
		o.Base().ID = old.Base().ID
		x.touched = append(x.touched, old)
	} else {
		x.id++
		o.Base().ID = x.id
	}
	x.g.Put(o)
	x.touched = append(x.touched, o)
}

// delete removes an object and what its deletion takes along.
func (x *tx) delete(uuid string) {
	o, ok := x.g.Get(uuid)
	if !ok {
		return
	}
	for _, ref := range model.References() {
		if ref.To != model.Of(o) || ref.Field.OnDelete != model.Cascade {
			continue
		}
		for _, from := range slices.Collect(x.g.Referrers(uuid, ref.Name)) {
			x.delete(from.Base().UUID)
		}
	}
	x.touched = append(x.touched, o)
	x.g.Delete(uuid)
}

// free gives whether nobody has the address.
func (w *world) free(m model.MAC) bool {
	return w.ByUnique(model.DatapathNetworks, "mac", m.String()) == nil && w.ByUnique(model.DatapathSegments, "mac", m.String()) == nil &&
		w.ByUnique(model.DatapathRouteLinks, "mac", m.String()) == nil
}

func (w *world) draw(drawn map[model.MAC]bool) Draw {
	return func(uuid string) (model.MAC, error) {
		if uuid == "" {
			w.macs++
			return model.MACFromUint64(0x0200_0000_0000 + uint64(w.macs)), nil
		}
		for o := range w.g.Referrers(uuid, "mac_ranges.mac_range_group_uuid") {
			r := o.(*model.MACRange)
			for n := r.BeginMACAddress.Uint64(); n <= r.EndMACAddress.Uint64(); n++ {
				if m := model.MACFromUint64(n); w.free(m) && !drawn[m] {
					drawn[m] = true
					return m, nil
				}
			}
		}
		return model.MAC{}, model.Errorf(model.Exhausted, "mac_address", "%s is empty", uuid)
	}
}

// commit makes changes and what follows from them; with an error nothing has happened.
func (w *world) commit(change func(*tx)) (Plan, error) {
	before := slices.Collect(w.g.All())
	x := &tx{world: w}
	change(x)
	plan, err := Reconcile(w, x.touched, w.draw(map[model.MAC]bool{}))
	if err != nil {
		w.g = graph.New()
		for _, o := range before {
			w.g.Put(o)
		}
		return plan, err
	}
	for _, o := range plan.Delete {
		w.g.Delete(o.Base().UUID)
	}
	for _, o := range plan.Put {
		r := model.Of(o)
		if o.Base().UUID == "" {
			w.id++
			o.Base().UUID = fmt.Sprintf("%s-%d", r.Prefix, w.id)
		}
		if old, ok := w.g.Get(o.Base().UUID); ok {
			o.Base().ID = old.Base().ID
		} else {
			w.id++
			o.Base().ID = w.id
		}
		w.g.Put(o)
	}
	for _, k := range kinds { // the graph's index of pairs knows the last row that was put; a row that came and went has taken the entry along
		for _, o := range slices.Clone(w.g.List(k.rows)) {
			w.g.Put(o)
		}
	}
	return plan, nil
}

// rows gives all rows in words, by "kind datapath object"; addresses are left to others.
func (w *world) rows() map[string]string {
	out := map[string]string{}
	for _, k := range kinds {
		for _, o := range w.g.List(k.rows) {
			f := fieldsOf(o)
			key := k.rows.Name + " " + *f.datapath + " " + *f.object
			if out[key] != "" {
				out[key] += " and "
			}
			out[key] += words(*f.topology, *f.layer, *f.iface, *f.lease)
		}
	}
	return out
}

func words(topology, layer, iface, lease string) string {
	if topology == "" {
		return "by hand"
	}
	return fmt.Sprintf("by %s %s through %s %s", topology, layer, iface, lease)
}

func all[T model.Object](w *world, r *model.Resource) []T {
	var out []T
	for _, o := range w.g.List(r) {
		out = append(out, o.(T))
	}
	return out
}

// naive is what the rows have to be, computed from everything by the words of the package comment.
func (w *world) naive() map[string]string {
	type claim struct {
		rank  [3]uint32 // underlays first, then by age of topology and layer
		words string
	}
	claims := map[string][]claim{}
	wanted := func(t *model.Topology, layer string, layerID uint32, td *model.TopologyDatapath) {
		lease := td.IPLeaseUUID
		if lease == "" {
			for _, l := range all[*model.IPLease](w, model.IPLeases) {
				if l.InterfaceUUID == td.InterfaceUUID && lease == "" {
					lease = l.UUID
				}
			}
		}
		members := map[string][]string{}
		for _, m := range all[*model.TopologyNetwork](w, model.TopologyNetworks) {
			members[m.TopologyUUID] = append(members[m.TopologyUUID], "datapath_network "+td.DatapathUUID+" "+m.NetworkUUID)
		}
		for _, m := range all[*model.TopologySegment](w, model.TopologySegments) {
			members[m.TopologyUUID] = append(members[m.TopologyUUID], "datapath_segment "+td.DatapathUUID+" "+m.SegmentUUID)
		}
		for _, m := range all[*model.TopologyRouteLink](w, model.TopologyRouteLinks) {
			members[m.TopologyUUID] = append(members[m.TopologyUUID], "datapath_route_link "+td.DatapathUUID+" "+m.RouteLinkUUID)
		}
		rank := [3]uint32{0, t.ID, layerID}
		if layer != "" {
			rank[0] = 1
		}
		active := w.activeKeys()
		for _, key := range members[t.UUID] {
			if !t.Activity || active[key] {
				claims[key] = append(claims[key], claim{rank, words(t.UUID, layer, td.InterfaceUUID, lease)})
			}
		}
	}
	topologies := map[string]*model.Topology{}
	for _, t := range all[*model.Topology](w, model.Topologies) {
		topologies[t.UUID] = t
	}
	for _, td := range all[*model.TopologyDatapath](w, model.TopologyDatapaths) {
		wanted(topologies[td.TopologyUUID], "", 0, td)
		for _, l := range all[*model.TopologyLayer](w, model.TopologyLayers) {
			if l.UnderlayUUID == td.TopologyUUID {
				wanted(topologies[l.OverlayUUID], l.UUID, l.ID, td)
			}
		}
	}
	out := map[string]string{}
	for key, cs := range claims {
		out[key] = slices.MinFunc(cs, func(a, b claim) int { return slices.Compare(a.rank[:], b.rank[:]) }).words
	}
	for _, k := range kinds {
		for _, o := range w.g.List(k.rows) {
			if f := fieldsOf(o); *f.topology == "" {
				out[k.rows.Name+" "+*f.datapath+" "+*f.object] = "by hand"
			}
		}
	}
	return out
}

// activeKeys gives the keys of rows of which an interface is on the datapath.
func (w *world) activeKeys() map[string]bool {
	at := map[string][]string{}
	for _, p := range all[*model.InterfacePort](w, model.InterfacePorts) {
		if p.DatapathUUID != "" {
			at[p.InterfaceUUID] = append(at[p.InterfaceUUID], p.DatapathUUID)
		}
	}
	for _, a := range all[*model.ActiveInterface](w, model.ActiveInterfaces) {
		for _, d := range []string{a.DatapathUUID, a.TargetDatapathUUID, a.PreviousDatapathUUID} {
			if d != "" {
				at[a.InterfaceUUID] = append(at[a.InterfaceUUID], d)
			}
		}
	}
	out := map[string]bool{}
	link := func(d, l string) { out["datapath_route_link "+d+" "+l] = true }
	segment := func(d, s string) { out["datapath_segment "+d+" "+s] = true }
	network := func(d, n string) {
		out["datapath_network "+d+" "+n] = true
		o, _ := w.g.Get(n)
		segment(d, o.(*model.Network).SegmentUUID)
		for _, r := range all[*model.Route](w, model.Routes) {
			if r.NetworkUUID == n {
				link(d, r.RouteLinkUUID)
			}
		}
	}
	for _, l := range all[*model.IPLease](w, model.IPLeases) {
		for _, d := range at[l.InterfaceUUID] {
			network(d, l.NetworkUUID)
		}
	}
	for _, l := range all[*model.MACLease](w, model.MACLeases) {
		for _, d := range at[l.InterfaceUUID] {
			segment(d, l.SegmentUUID)
		}
	}
	for _, r := range all[*model.Route](w, model.Routes) {
		for _, d := range at[r.InterfaceUUID] {
			link(d, r.RouteLinkUUID)
		}
	}
	for _, n := range all[*model.InterfaceNetwork](w, model.InterfaceNetworks) {
		for _, d := range at[n.InterfaceUUID] {
			if n.Static {
				network(d, n.NetworkUUID)
			}
		}
	}
	for _, n := range all[*model.InterfaceSegment](w, model.InterfaceSegments) {
		for _, d := range at[n.InterfaceUUID] {
			if n.Static {
				segment(d, n.SegmentUUID)
			}
		}
	}
	for _, n := range all[*model.InterfaceRouteLink](w, model.InterfaceRouteLinks) {
		for _, d := range at[n.InterfaceUUID] {
			if n.Static {
				link(d, n.RouteLinkUUID)
			}
		}
	}
	return out
}

// addressProblem says what is wrong with the rows' MAC addresses, "" if nothing is.
func (w *world) addressProblem() string {
	seen := map[model.MAC]string{}
	for _, k := range kinds {
		for _, o := range w.g.List(k.rows) {
			f := fieldsOf(o)
			if other := seen[*f.mac]; other != "" || *f.mac == (model.MAC{}) {
				return fmt.Sprintf("%s has %s, as has %s", o.Base().UUID, *f.mac, other)
			}
			seen[*f.mac] = o.Base().UUID
			if *f.topology == "" {
				continue
			}
			underlay := *f.topology
			if *f.layer != "" {
				l, _ := w.g.Get(*f.layer)
				underlay = l.(*model.TopologyLayer).UnderlayUUID
			}
			if held, any := w.groupOf(underlay, *f.mac); any && (held == "" || held != *f.group) || !any && *f.group != "" {
				return fmt.Sprintf("%s has %s of %q, which is of %q", o.Base().UUID, *f.mac, *f.group, held)
			}
		}
	}
	return ""
}

// groupOf gives the first row of an underlay whose group holds the address, and whether there are any ranges.
func (w *world) groupOf(underlay string, m model.MAC) (row string, any bool) {
	for _, g := range all[*model.TopologyMACRangeGroup](w, model.TopologyMACRangeGroups) {
		for _, r := range all[*model.MACRange](w, model.MACRanges) {
			if g.TopologyUUID != underlay || r.MACRangeGroupUUID != g.MACRangeGroupUUID {
				continue
			}
			any = true
			if row == "" && r.BeginMACAddress.Uint64() <= m.Uint64() && m.Uint64() <= r.EndMACAddress.Uint64() {
				row = g.UUID
			}
		}
	}
	return row, any
}

func meta(uuid string) model.Meta { return model.Meta{UUID: uuid} }

// base puts an object that is not there.
func (x *tx) base(o model.Object) {
	if _, ok := x.g.Get(o.Base().UUID); !ok {
		x.put(o)
	}
}

// furnish makes two underlays and three overlays, three hosts with two host interfaces each, three networks, two segments, two route
// links and two MAC range groups, and nothing that joins them.
func (x *tx) furnish() {
	for i := range 2 {
		x.base(&model.Topology{Meta: meta(fmt.Sprintf("topo-u%d", i)), Mode: model.TopologyUnderlay})
		x.base(&model.MACRangeGroup{Meta: meta(fmt.Sprintf("mrg-%d", i))})
		x.base(&model.Segment{Meta: meta(fmt.Sprintf("seg-%d", i)), Mode: model.SegmentVirtual})
		x.base(&model.RouteLink{Meta: meta(fmt.Sprintf("rl-%d", i))})
	}
	for i := range 3 {
		x.base(&model.Topology{Meta: meta(fmt.Sprintf("topo-v%d", i)), Mode: model.TopologyOverlay, Activity: i == 2})
		x.base(&model.Network{Meta: meta(fmt.Sprintf("nw-%d", i)), Mode: model.NetworkVirtual})
		x.host(i)
	}
	for i := range 4 {
		x.base(&model.Interface{Meta: meta(fmt.Sprintf("if-g%d", i)), Mode: model.InterfaceVIF})
	}
}

func (x *tx) host(i int) {
	d := fmt.Sprintf("dp-%d", i)
	x.base(&model.Datapath{Meta: meta(d), DPID: model.DPID(i + 1)})
	for j := range 2 {
		h := fmt.Sprintf("if-h%d%d", i, j)
		x.base(&model.Interface{Meta: meta(h), Mode: model.InterfaceHost})
		x.base(&model.InterfacePort{Meta: meta("ifp-" + h[3:]), InterfaceUUID: h, DatapathUUID: d})
	}
}

// step draws one change.
func (x *tx) step(t *rapid.T) {
	n := func(label string, limit int) int { // evenly, where rapid prefers small numbers
		return int(uint64(rapid.Uint32().Draw(t, label)) * 0x9e3779b97f4a7c15 >> 33 % uint64(limit))
	}
	pick := func(label, format string, limit int) string { return fmt.Sprintf(format, n(label, limit)) }
	datapath := func() string { return pick("datapath", "dp-%d", 3) }
	network := func() string { return pick("network", "nw-%d", 3) }
	segment := func() string { return pick("segment", "seg-%d", 2) }
	link := func() string { return pick("route link", "rl-%d", 2) }
	guest := func() string { return pick("guest", "if-g%d", 4) }
	topology := func() string {
		return []string{"topo-u0", "topo-u1", "topo-v0", "topo-v1", "topo-v2"}[n("topology", 5)]
	}
	tail := func(uuid string) string { _, s, _ := strings.Cut(uuid, "-"); return s }
	name := func(r *model.Resource, parts ...string) model.Meta {
		return meta(r.Prefix + "-" + strings.Join(parts, ""))
	}
	var o model.Object
	switch n("kind", 35) {
	case 0, 1, 23, 24, 20, 31, 32:
		u, d := n("underlay", 2), n("host", 3)
		td := &model.TopologyDatapath{Meta: name(model.TopologyDatapaths, fmt.Sprint(u, d)), TopologyUUID: fmt.Sprintf("topo-u%d", u),
			DatapathUUID: fmt.Sprintf("dp-%d", d), InterfaceUUID: fmt.Sprintf("if-h%d%d", d, n("host interface", 2))}
		if l := fmt.Sprintf("il-%s%d", tail(td.InterfaceUUID), n("lease", 2)); n("with lease", 3) == 0 {
			td.IPLeaseUUID = l
		}
		o = td
	case 2, 3, 25, 26, 34:
		topo, nw := topology(), network()
		o = &model.TopologyNetwork{Meta: name(model.TopologyNetworks, tail(topo), tail(nw)), TopologyUUID: topo, NetworkUUID: nw}
	case 4, 29:
		topo, s := topology(), segment()
		o = &model.TopologySegment{Meta: name(model.TopologySegments, tail(topo), tail(s)), TopologyUUID: topo, SegmentUUID: s}
	case 5, 30:
		topo, l := pick("overlay", "topo-v%d", 3), link()
		o = &model.TopologyRouteLink{Meta: name(model.TopologyRouteLinks, tail(topo), tail(l)), TopologyUUID: topo, RouteLinkUUID: l}
	case 6, 7, 27, 28, 33:
		v, u := n("overlay", 3), n("underlay", 2)
		o = &model.TopologyLayer{Meta: name(model.TopologyLayers, fmt.Sprint(v, u)), OverlayUUID: fmt.Sprintf("topo-v%d", v), UnderlayUUID: fmt.Sprintf("topo-u%d", u)}
	case 8:
		u, g := n("underlay", 2), n("group", 2)
		o = &model.TopologyMACRangeGroup{Meta: name(model.TopologyMACRangeGroups, fmt.Sprint(u, g)), TopologyUUID: fmt.Sprintf("topo-u%d", u), MACRangeGroupUUID: fmt.Sprintf("mrg-%d", g)}
	case 9:
		k := n("range", 3)
		begin := uint64(0x0600_0000_0000) + uint64(n("begin", 3))*20
		o = &model.MACRange{Meta: name(model.MACRanges, fmt.Sprint(k)), MACRangeGroupUUID: fmt.Sprintf("mrg-%d", k%2),
			BeginMACAddress: model.MACFromUint64(begin), EndMACAddress: model.MACFromUint64(begin + uint64(n("length", 40)))}
	case 10: // by hand
		d := datapath()
		m := model.MACFromUint64(0x0a00_0000_0000 + uint64(rapid.Uint32().Draw(t, "mac")))
		if !x.free(m) {
			return
		}
		switch n("kind of row", 3) {
		case 0:
			nw := network()
			o = &model.DatapathNetwork{Meta: name(model.DatapathNetworks, "hand", tail(d), tail(nw)), DatapathUUID: d, NetworkUUID: nw, MACAddress: m}
		case 1:
			s := segment()
			o = &model.DatapathSegment{Meta: name(model.DatapathSegments, "hand", tail(d), tail(s)), DatapathUUID: d, SegmentUUID: s, MACAddress: m}
		case 2:
			l := link()
			o = &model.DatapathRouteLink{Meta: name(model.DatapathRouteLinks, "hand", tail(d), tail(l)), DatapathUUID: d, RouteLinkUUID: l, MACAddress: m}
		}
	case 11: // a lease of a host interface
		h := fmt.Sprintf("h%d%d", n("host", 3), n("host interface", 2))
		o = &model.IPLease{Meta: name(model.IPLeases, h, fmt.Sprint(n("lease", 2))), NetworkUUID: network(), InterfaceUUID: "if-" + h, IPv4Address: netip.AddrFrom4([4]byte{192, 0, 2, 1})}
	case 12, 13:
		g := guest()
		p := &model.InterfacePort{Meta: name(model.InterfacePorts, tail(g)), InterfaceUUID: g}
		if n("pinned", 3) > 0 {
			p.DatapathUUID = datapath()
		}
		o = p
	case 14:
		g := guest()
		a := &model.ActiveInterface{Meta: name(model.ActiveInterfaces, tail(g)), InterfaceUUID: g, DatapathUUID: datapath()}
		if n("moves", 3) == 0 {
			a.TargetDatapathUUID = datapath()
		} else if n("moved", 3) == 0 {
			a.PreviousDatapathUUID = datapath()
		}
		o = a
	case 15, 16:
		l := &model.IPLease{Meta: name(model.IPLeases, "g", fmt.Sprint(n("lease", 5))), NetworkUUID: network(), IPv4Address: netip.AddrFrom4([4]byte{10, 0, 0, 1})}
		if n("leased", 5) > 0 {
			l.InterfaceUUID = guest()
		}
		o = l
	case 17:
		switch g := guest(); n("association", 4) {
		case 0:
			o = &model.MACLease{Meta: name(model.MACLeases, tail(g)), InterfaceUUID: g, SegmentUUID: segment()}
		case 1:
			nw := network()
			o = &model.InterfaceNetwork{Meta: name(model.InterfaceNetworks, tail(g), tail(nw)), InterfaceUUID: g, NetworkUUID: nw, Static: n("static", 2) == 0}
		case 2:
			s := segment()
			o = &model.InterfaceSegment{Meta: name(model.InterfaceSegments, tail(g), tail(s)), InterfaceUUID: g, SegmentUUID: s, Static: n("static", 2) == 0}
		case 3:
			l := link()
			o = &model.InterfaceRouteLink{Meta: name(model.InterfaceRouteLinks, tail(g), tail(l)), InterfaceUUID: g, RouteLinkUUID: l, Static: n("static", 2) == 0}
		}
	case 18:
		o = &model.Route{Meta: name(model.Routes, fmt.Sprint(n("route", 3))), InterfaceUUID: guest(), NetworkUUID: network(), RouteLinkUUID: link()}
	case 19: // several relations end at once
		var relations []model.Object
		for _, r := range []*model.Resource{model.TopologyDatapaths, model.TopologyNetworks, model.TopologySegments, model.TopologyRouteLinks, model.TopologyLayers} {
			relations = append(relations, x.g.List(r)...)
		}
		for range min(len(relations), 2) {
			x.delete(relations[n("relation", len(relations))].Base().UUID)
		}
		return
	case 21: // the topology's activity changes with something else
		v := pick("overlay", "topo-v%d", 3)
		o = &model.Topology{Meta: meta(v), Mode: model.TopologyOverlay, Activity: n("activity", 2) == 0}
		if _, ok := x.g.Get(v); ok {
			x.put(o)
		}
		return
	case 22:
		switch n("basis", 6) {
		case 0:
			o = &model.Topology{Meta: meta(pick("overlay", "topo-v%d", 3)), Mode: model.TopologyOverlay, Activity: n("activity", 2) == 0}
		case 1:
			o = &model.Topology{Meta: meta(pick("underlay", "topo-u%d", 2)), Mode: model.TopologyUnderlay}
		case 2:
			nw := &model.Network{Meta: meta(network()), Mode: model.NetworkVirtual}
			if n("on segment", 2) == 0 {
				nw.SegmentUUID = segment()
			}
			o = nw
		case 3:
			o = &model.Segment{Meta: meta(segment()), Mode: model.SegmentVirtual}
		case 4, 29:
			o = &model.RouteLink{Meta: meta(link())}
		case 5:
			if h := n("host", 3); n("gone", 2) == 0 {
				x.delete(fmt.Sprintf("dp-%d", h))
			}
			return
		}
	}
	if n("removed", 10) == 0 {
		x.delete(o.Base().UUID)
		return
	}
	// What it refers to must be there; what is unique must stay so.
	for _, ref := range model.Of(o).Refs {
		for uuid := range ref.Targets(o) {
			if _, ok := x.g.Get(uuid); !ok {
				return
			}
		}
	}
	if row := kindOfRow(o); row != nil {
		f := fieldsOf(o)
		*f.iface = "if-h" + (*f.datapath)[3:] + "0"
	}
	x.put(o)
}

// TestRandomWalk: after any changes the rows are what a computation from everything gives, addresses that may stay have stayed, and
// rows made by hand are as they were made.
func TestRandomWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		if _, err := w.commit((*tx).furnish); err != nil {
			t.Fatal(err)
		}
		for range 25 {
			if _, err := w.commit((*tx).furnish); err != nil {
				t.Fatal(err)
			}
			before := w.topologyRows()
			var byHand []model.Object
			_, err := w.commit(func(x *tx) {
				for range 1 + rapid.Uint32().Draw(t, "changes")%5 {
					x.step(t)
				}
				byHand = x.handRows()
			})
			var refused *model.Error
			if errors.As(err, &refused) && refused.Class == model.Exhausted {
				if now := w.topologyRows(); !gocmp.Equal(now, before, gocmp.Comparer(model.Equal)) {
					t.Fatal("a refused transaction has left something")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := gocmp.Diff(w.naive(), w.rows()); d != "" {
				t.Fatalf("-naive +incremental:\n%s", d)
			}
			if problem := w.addressProblem(); problem != "" {
				t.Fatal(problem)
			}
			w.checkStable(t, before)
			if now := w.handRows(); !gocmp.Equal(now, byHand, gocmp.Comparer(model.Equal)) {
				t.Fatal("rows made by hand have changed")
			}
		}
	})
}

// topologyRows gives the rows of topologies by pair.
func (w *world) topologyRows() map[string]model.Object {
	out := map[string]model.Object{}
	for _, k := range kinds {
		for _, o := range w.g.List(k.rows) {
			if f := fieldsOf(o); *f.topology != "" {
				out[k.rows.Name+" "+*f.datapath+" "+*f.object] = o
			}
		}
	}
	return out
}

func (w *world) handRows() []model.Object {
	var out []model.Object
	for _, k := range kinds {
		for _, o := range w.g.List(k.rows) {
			if *fieldsOf(o).topology == "" {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b model.Object) int { return cmp.Compare(a.Base().UUID, b.Base().UUID) })
	return out
}

// checkStable: a row that was there and is there has its uuid, and its address unless the ranges are against it.
func (w *world) checkStable(t *rapid.T, before map[string]model.Object) {
	for key, now := range w.topologyRows() {
		old := before[key]
		if old == nil {
			continue
		}
		f := fieldsOf(now)
		if old.Base().UUID != now.Base().UUID {
			t.Fatalf("the row of %s was %s and is %s", key, old.Base().UUID, now.Base().UUID)
		}
		underlay := *f.topology
		if *f.layer != "" {
			l, _ := w.g.Get(*f.layer)
			underlay = l.(*model.TopologyLayer).UnderlayUUID
		}
		was := *fieldsOf(old).mac
		if held, any := w.groupOf(underlay, was); (held != "" || !any) && was != *f.mac {
			t.Fatalf("the address of %s was %s, which is of its ranges, and is %s", key, was, *f.mac)
		}
	}
}

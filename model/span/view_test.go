package span_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/modeltest"
	"github.com/openvnet/openvnet/model/span"
)

// Views that are updated change by change must always hold what a new view of the same graph holds.
func TestUpdateEqualsSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := span.New(graph.New())
		views := map[string]*span.View{}
		replicas := map[string]map[string]int64{}
		for _, uuid := range modeltest.Hosts {
			views[uuid] = span.NewView(uuid)
			replicas[uuid] = map[string]int64{}
			views[uuid].Snapshot(x)
		}
		for rev := int64(1); rev <= 20; rev++ {
			batch := modeltest.Batch(t, rev+20)
			if rev == 1 && rapid.Bool().Draw(t, "populated") {
				batch = modeltest.World(t, rev)
			}
			e := x.Apply(batch)
			for host, d := range span.Update(x, e, views) {
				for _, o := range d.Upserts {
					replicas[host][o.Base().UUID] = o.Base().Revision
				}
				for _, uuid := range d.Deletes {
					if _, ok := replicas[host][uuid]; !ok {
						t.Fatalf("revision %d: %s is told to delete %s, which it does not have", rev, host, uuid)
					}
					delete(replicas[host], uuid)
				}
			}
			fresh := span.New(copyOf(x.Graph()))
			for host := range views {
				want := map[string]int64{}
				share := graph.New()
				for _, o := range span.NewView(host).Snapshot(fresh) {
					want[o.Base().UUID] = o.Base().Revision
					share.Put(o)
				}
				for o := range fresh.Graph().All() {
					if _, ok := want[o.Base().UUID]; fresh.Reaches(host, o) != ok {
						t.Fatalf("revision %d: %s reaches %s: %v, but the snapshot says %v", rev, o.Base().UUID, host, !ok, ok)
					}
				}
				sameThere(t, host, fresh, span.New(share))
				if diff := cmp.Diff(want, replicas[host]); diff != "" {
					t.Fatalf("revision %d, batch %v: the share of %s differs from a snapshot (-snapshot +updated):\n%s", rev, names(batch), host, diff)
				}
			}
		}
	})
}

// sameThere fails the test unless the host's share says the same as the whole: of what the host has, which interfaces are at it, where the virtual
// networks, segments, route links and mirrors that it has are present, and which addresses security groups have.
func sameThere(t *rapid.T, host string, whole, share *span.Index) {
	for o := range whole.Graph().All() {
		uuid := o.Base().UUID
		p := span.Pair{Network: uuid, Datapath: host}
		if got, want := share.Has(p), whole.Has(p); got != want {
			t.Fatalf("the share of %s says that it has %s: %v, not %v", host, uuid, got, want)
		}
		if got, want := share.At(uuid, host), whole.At(uuid, host); got != want {
			t.Fatalf("the share of %s says that %s is there: %v, not %v", host, uuid, got, want)
		}
		if r := model.Of(o); (r == model.RouteLinks || r == model.Mirrors) && whole.Has(p) {
			got, want := slices.Sorted(share.DatapathsOf(uuid)), slices.Sorted(whole.DatapathsOf(uuid))
			if !slices.Equal(got, want) {
				t.Fatalf("the share of %s says that %s is present on %v, not %v", host, uuid, got, want)
			}
		}
	}
	for _, r := range []*model.Resource{model.Networks, model.Segments} {
		for _, o := range whole.Graph().List(r) {
			n := o.Base().UUID
			if !whole.Present(span.Pair{Network: n, Datapath: host}) && !whole.Needs(span.Pair{Network: n, Datapath: host}) {
				if share.Present(span.Pair{Network: n, Datapath: host}) {
					t.Fatalf("the share of %s says that %s is present there; it is not", host, n)
				}
				continue
			}
			if !virtual(whole.Graph(), n) {
				continue // it is not carried between hosts
			}
			for _, d := range modeltest.Hosts {
				if got, want := share.Present(span.Pair{Network: n, Datapath: d}), whole.Present(span.Pair{Network: n, Datapath: d}); got != want {
					t.Fatalf("the share of %s says that %s is present on %s: %v, not %v", host, n, d, got, want)
				}
			}
		}
	}
	for _, o := range whole.Graph().List(model.SecurityGroups) {
		g := o.Base().UUID
		if !whole.Present(span.Pair{Network: g, Datapath: host}) && !whole.Needs(span.Pair{Network: g, Datapath: host}) {
			continue
		}
		if diff := cmp.Diff(addresses(whole, g), addresses(share, g)); diff != "" {
			t.Fatalf("the addresses of %s (-whole +share of %s):\n%s", g, host, diff)
		}
	}
}

// addresses gives the leases of a group's members.
func addresses(x *span.Index, group string) []string {
	var ls []string
	for i := range x.InterfacesOf(group) {
		o, ok := x.Graph().Get(i)
		if !ok || o.(*model.Interface).Mode == model.InterfaceHost {
			continue
		}
		for l := range x.Graph().Referrers(i, "ip_leases.interface_uuid") {
			ls = append(ls, l.Base().UUID)
		}
	}
	slices.Sort(ls)
	return ls
}

func copyOf(g *graph.Graph) *graph.Graph {
	c := graph.New()
	for o := range g.All() {
		c.Put(o)
	}
	return c
}

func names(batch []graph.Change) []string {
	var ns []string
	for _, c := range batch {
		ns = append(ns, fmt.Sprintf("%s:%+v", c.UUID, c.Object))
	}
	return ns
}

// A change in one network must not reach a host without it.
func TestChangeReachesOnlyHostsOfItsNetwork(t *testing.T) {
	x := span.New(graph.New())
	views := map[string]*span.View{}
	id := uint32(0)
	put := func(os ...model.Object) map[string]*span.Delta {
		var batch []graph.Change
		for _, o := range os {
			id++
			o.Base().ID = id
			batch = append(batch, graph.Change{UUID: o.Base().UUID, Object: o})
		}
		return span.Update(x, x.Apply(batch), views)
	}
	put(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology}, Automatic: true})
	for _, d := range []string{"dp-1", "dp-2", "dp-3"} {
		put(&model.Datapath{Meta: model.Meta{UUID: d}})
		views[d] = span.NewView(d)
		views[d].Snapshot(x)
	}
	guest := func(name, dp, nw string) []model.Object {
		return []model.Object{
			&model.Interface{Meta: model.Meta{UUID: "if-" + name}, Mode: model.InterfaceVIF},
			&model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + name}, InterfaceUUID: "if-" + name, DatapathUUID: dp},
			&model.IPLease{Meta: model.Meta{UUID: "il-" + name}, InterfaceUUID: "if-" + name, NetworkUUID: nw, IPv4Address: netip.MustParseAddr("10.0.0.1")},
		}
	}
	put(&model.Network{Meta: model.Meta{UUID: "nw-a"}, Mode: model.NetworkVirtual}, &model.Network{Meta: model.Meta{UUID: "nw-b"}, Mode: model.NetworkVirtual})
	put(guest("a1", "dp-1", "nw-a")...)
	put(guest("b3", "dp-3", "nw-b")...)

	deltas := put(guest("a2", "dp-2", "nw-a")...)
	if got, want := slices.Sorted(maps.Keys(deltas)), []string{"dp-1", "dp-2"}; !slices.Equal(got, want) {
		t.Errorf("a guest of nw-a on dp-2 reaches %v, want %v", got, want)
	}
	var told []string
	for _, o := range deltas["dp-1"].Upserts {
		told = append(told, o.Base().UUID)
	}
	slices.Sort(told)
	if want := []string{"dp-2", "if-a2", "ifp-a2", "il-a2"}; !slices.Equal(told, want) {
		t.Errorf("dp-1 is told of %v, want %v", told, want)
	}
}

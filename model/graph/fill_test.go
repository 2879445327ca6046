package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
)

// Of gives what Put gives, whatever the order and the gaps.
func TestOf(t *testing.T) {
	for name, step := range map[string]uint32{"dense": 1, "gaps": 3, "sparse": 1000} {
		t.Run(name, func(t *testing.T) {
			want := New()
			var parts [3][]model.Object
			id := uint32(1)
			for n := range 200 {
				id += 1 + rand.Uint32N(step)
				iface := fmt.Sprintf("if-%d", n)
				for i, o := range []model.Object{
					&model.Interface{Meta: model.Meta{UUID: iface, ID: id}},
					&model.MACLease{Meta: model.Meta{UUID: fmt.Sprintf("ml-%d", n), ID: id}, InterfaceUUID: iface, MACAddress: model.MAC{2, byte(n)}},
					&model.InterfacePort{Meta: model.Meta{UUID: fmt.Sprintf("ifp-%d", n), ID: id}, InterfaceUUID: fmt.Sprintf("if-%d", n%40)},
				} {
					want.Put(o)
					parts[(n+i)%3] = append(parts[(n+i)%3], o)
				}
			}
			for _, part := range parts {
				rand.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
			}
			got := Of(parts[:]...)
			if !slices.Equal(slices.Collect(want.All()), slices.Collect(got.All())) || got.Len() != want.Len() {
				t.Error("other objects, or another order")
			}
			for n := range 200 {
				uuid := fmt.Sprintf("if-%d", n)
				for _, ref := range []string{"interface_ports.interface_uuid", "mac_leases.interface_uuid"} {
					if d := cmp.Diff(uuids(want, uuid, ref), uuids(got, uuid, ref)); d != "" {
						t.Errorf("%s of %s: %s", ref, uuid, d)
					}
				}
			}
		})
	}
	if Of().Len() != 0 {
		t.Error("of nothing there is something")
	}
}

func uuids(g *Graph, uuid, ref string) []string {
	var us []string
	for o := range g.Referrers(uuid, ref) {
		us = append(us, o.Base().UUID)
	}
	slices.Sort(us)
	return us
}

func TestMembers(t *testing.T) {
	var m members
	want := map[string]struct{}{}
	for n := range 5000 {
		uuid := fmt.Sprintf("if-%d", rand.IntN(1+n/50%40))
		if rand.IntN(2) == 0 {
			m.add(uuid)
			want[uuid] = struct{}{}
		} else {
			empty := m.remove(uuid)
			if delete(want, uuid); empty != (len(want) == 0) {
				t.Fatalf("empty is %v with %d members", empty, len(want))
			}
			if empty {
				m = members{} // as the graph drops it
			}
		}
		got := map[string]struct{}{}
		for u := range m.all() {
			if _, twice := got[u]; twice {
				t.Fatalf("%s is there twice", u)
			}
			got[u] = struct{}{}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	}
}

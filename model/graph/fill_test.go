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

// Alike finds what a look at all objects finds, whatever was put, changed and deleted.
func TestAlike(t *testing.T) {
	g := New()
	record := func(n, service, name int) *model.DNSRecord {
		return &model.DNSRecord{Meta: model.Meta{UUID: fmt.Sprintf("dnsr-%d", n), ID: uint32(n + 1)}, DNSServiceUUID: fmt.Sprintf("dnss-%d", service), Name: model.RecordName(fmt.Sprintf("n%d.example", name))}
	}
	for range 2000 {
		if n := rand.IntN(100); rand.IntN(3) == 0 {
			g.Delete(record(n, 0, 0).UUID)
		} else {
			g.Put(record(n, rand.IntN(3), rand.IntN(5)))
		}
		o := record(0, rand.IntN(3), rand.IntN(5))
		var want, got []string
		for _, other := range g.List(model.DNSRecords) {
			if r := other.(*model.DNSRecord); r.DNSServiceUUID == o.DNSServiceUUID && r.Name == o.Name {
				want = append(want, r.UUID)
			}
		}
		for other := range g.Alike(o, "name") {
			got = append(got, other.Base().UUID)
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s of %s: -scan +index:\n%s", o.Name, o.DNSServiceUUID, d)
		}
	}
	for n := range 100 {
		g.Delete(record(n, 0, 0).UUID)
	}
	if left := g.tables[model.DNSRecords].indexes[0]; len(left) > 0 {
		t.Errorf("of no objects the index has %v", left)
	}
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

package compile_test

import (
	"fmt"
	"iter"
	"net/netip"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// crowd is groups of so many members in one network, on so many hosts, with 10 rules each that allow the group's own members. The network's
// first member of each host has its port there.
func crowd(groups, members, hosts int) (*world, *compile.Input) {
	w := newWorld()
	w.network("nw-a", 100, "10.0.0.0/8", "")
	for h := range hosts {
		w.put(&model.Datapath{Meta: model.Meta{UUID: fmt.Sprintf("dp-%d", h)}, DPID: model.DPID(h + 1)})
	}
	bridge := compile.NewBridge()
	for g := range groups {
		group := fmt.Sprintf("sg-%d", g)
		w.group(group, "", model.SecurityGroup{})
		for r := range 10 {
			w.rule(model.SecurityGroupRule{SecurityGroupUUID: group, Protocol: "tcp", PortFirst: uint16(1000*g + r + 1), RemoteGroupUUID: group})
		}
		for m := range members {
			n := g*members + m
			guest(w, n, group, fmt.Sprintf("dp-%d", n%hosts))
			if n%hosts == 0 {
				bridge.SetPort(compile.Port{Name: fmt.Sprintf("if-%d", n), IfaceID: fmt.Sprintf("if-%d", n), OFPort: flow.Port(10 + n/hosts)})
			}
		}
	}
	return w, &compile.Input{X: span.New(w.g), Self: "dp-0", Bridge: bridge}
}

func guest(w *world, n int, group, datapath string) {
	for _, o := range member(w, n, group, datapath) {
		w.g.Put(o)
	}
}

func member(w *world, n int, group, datapath string) []model.Object {
	uuid := fmt.Sprintf("if-%d", n)
	objects := []model.Object{
		&model.Interface{Meta: model.Meta{UUID: uuid}, Mode: model.InterfaceVIF},
		&model.InterfacePort{Meta: model.Meta{UUID: fmt.Sprintf("ifp-%d", n)}, InterfaceUUID: uuid, DatapathUUID: datapath, PortName: uuid},
		&model.MACLease{Meta: model.Meta{UUID: fmt.Sprintf("ml-%d", n)}, InterfaceUUID: uuid, MACAddress: model.MAC{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}},
		&model.IPLease{Meta: model.Meta{UUID: fmt.Sprintf("il-%d", n)}, NetworkUUID: "nw-a", InterfaceUUID: uuid, MACLeaseUUID: fmt.Sprintf("ml-%d", n),
			IPv4Address: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})},
	}
	if group != "" {
		objects = append(objects, &model.SecurityGroupInterface{Meta: model.Meta{UUID: fmt.Sprintf("sgi-%d", n)}, SecurityGroupUUID: group, InterfaceUUID: uuid})
	}
	for _, o := range objects {
		w.ids[model.Of(o)]++
		o.Base().ID = w.ids[model.Of(o)]
	}
	return objects
}

// compileAll gives the state of a host.
func compileAll(t testing.TB, in *compile.Input) *state.State {
	t.Helper()
	s := state.New()
	compileUnits(t, in, s, in.Units(), &state.Changes{})
	return s
}

// compileUnits compiles units, without any error.
func compileUnits(t testing.TB, in *compile.Input, s *state.State, units iter.Seq[state.Unit], c *state.Changes) {
	t.Helper()
	for u, err := range s.ReplaceAll(units, in.Unit, c) {
		t.Fatalf("%s: %s: %v", in.Self, u, err)
	}
}

// filterFlows counts the flows in the tables of filters.
func filterFlows(s *state.State) int {
	n := 0
	for k := range s.Flows.All() {
		if isFilterTable(k.Table) {
			n++
		}
	}
	return n
}

// What security groups cost a host does not grow with members times rules.
func TestFlowsOfGroups(t *testing.T) {
	_, none := crowd(0, 0, 3)
	base := filterFlows(compileAll(t, none))
	for _, tc := range []struct{ groups, members, hosts, most int }{{1, 1000, 3, 1100}, {2, 2000, 1000, 8000}} {
		_, in := crowd(tc.groups, tc.members, tc.hosts)
		s := compileAll(t, in)
		added := filterFlows(s) - base
		t.Logf("%d groups of %d members on %d hosts: %d flows for filters, %d in all", tc.groups, tc.members, tc.hosts, added, s.Flows.Len())
		if added > tc.most {
			t.Errorf("%d groups of %d members on %d hosts: %d flows, more than %d", tc.groups, tc.members, tc.hosts, added, tc.most)
		}
	}
}

// One more member elsewhere costs one flow, whatever the number of rules that name its group.
func TestFlowsOfOneMoreMember(t *testing.T) {
	w, in := crowd(1, 100, 3)
	s := compileAll(t, in)
	c := join(t, in, s, member(w, 100, "sg-0", "dp-1"))
	n := 0
	for k := range c.Flows.Set {
		if isFilterTable(k.Table) {
			n++
		}
	}
	if n != 1 || len(c.Flows.Del) != 0 {
		t.Errorf("%d flows for filters, %d removed; want 1 and 0", n, len(c.Flows.Del))
	}
}

// join adds objects to a world and compiles what they have changed.
func join(t testing.TB, in *compile.Input, s *state.State, objects []model.Object) *state.Changes {
	t.Helper()
	var changes []graph.Change
	for _, o := range objects {
		changes = append(changes, graph.Change{UUID: o.Base().UUID, Object: o})
	}
	var c state.Changes
	compileUnits(t, in, s, in.Dirty(in.X.Apply(changes), s), &c)
	return &c
}

// One more member of a group, of which a third is here, comes and leaves.
func BenchmarkMember(b *testing.B) {
	for _, members := range []int{100, 1000, 10_000} {
		for name, at := range map[string]string{"here": "dp-0", "elsewhere": "dp-1"} {
			b.Run(fmt.Sprintf("%d/%s", members, name), func(b *testing.B) {
				w, in := crowd(1, members, 3)
				s := compileAll(b, in)
				one := member(w, members, "sg-0", at)
				var leave []graph.Change
				for _, o := range one {
					leave = append(leave, graph.Change{UUID: o.Base().UUID})
				}
				for b.Loop() {
					join(b, in, s, one)
					compileUnits(b, in, s, in.Dirty(in.X.Apply(leave), s), &state.Changes{})
				}
			})
		}
	}
}

func BenchmarkGroups(b *testing.B) {
	for _, size := range [][3]int{{1, 1000, 3}, {1, 10000, 3}, {2, 2000, 1000}} {
		b.Run(fmt.Sprintf("%dx%d on %d hosts", size[0], size[1], size[2]), func(b *testing.B) {
			_, in := crowd(size[0], size[1], size[2])
			for b.Loop() {
				compileAll(b, in)
			}
		})
	}
}

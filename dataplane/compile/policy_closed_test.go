package compile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// An interface whose filters cannot be realised is closed, and why is said.
func TestFilterErrorsClose(t *testing.T) {
	for name, tc := range map[string]struct {
		port  flow.Port
		world func(w *world)
		says  string
	}{
		"too many rules": {11, func(w *world) {
			w.filter("a1", model.Filter{IngressPassthrough: true, EgressPassthrough: true})
			for n := range 1001 {
				w.put(&model.FilterStatic{FilterUUID: w.first(model.Filters), Protocol: "tcp", DstPort: uint16(n + 1), Action: "drop"})
			}
		}, "1001 rules"},
		"the host itself": {flow.PortLocal, func(w *world) { w.group("sg-1", "", model.SecurityGroup{}, "a1") }, "the host itself"},
		"group beyond numbers": {11, func(w *world) {
			w.ids[model.SecurityGroups] = 1 << 22
			w.group("sg-1", "tcp:22:0.0.0.0/0", model.SecurityGroup{}, "a1")
		}, "sg-1 has id"},
	} {
		t.Run(name, func(t *testing.T) {
			w := guests()
			tc.world(w)
			in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: compile.NewBridge()}
			in.Bridge.SetPort(compile.Port{Name: "a1", OFPort: tc.port})
			in.Bridge.SetPort(compile.Port{Name: "a2", OFPort: 12})
			items, err := in.Unit(compile.InterfaceUnit("if-a1"))
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "closed") {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
			for _, f := range items.Flows {
				if f.Table == pipeline.Classify.ID || f.Table == pipeline.Output.ID {
					t.Errorf("open: %s", f)
				}
			}
			if _, err := in.Unit(compile.InterfaceUnit("if-a2")); err != nil {
				t.Errorf("another interface: %v", err)
			}
		})
	}
}

// Ports have the slot of their number, or else the next that is free, and keep it.
func TestSlots(t *testing.T) {
	w := guests()
	in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: compile.NewBridge()}
	slots := func() map[string]pipeline.Slot {
		got := map[string]pipeline.Slot{}
		for s, name := range in.Names().Slot {
			got[name] = s
		}
		return got
	}
	const round = flow.Port(pipeline.MaxSlot) + 1
	for _, p := range []compile.Port{{Name: "a", OFPort: 7}, {Name: "b", OFPort: 7 + round}, {Name: "c", OFPort: 8}, {Name: "d", OFPort: round}} {
		in.Bridge.SetPort(p)
	}
	if diff := cmp.Diff(map[string]pipeline.Slot{"a": 7, "b": 8, "c": 9, "d": 1}, slots()); diff != "" {
		t.Error(diff)
	}
	in.Bridge.RemovePort("a")
	in.Bridge.SetPort(compile.Port{Name: "e", OFPort: 7 + 2*round})
	if diff := cmp.Diff(map[string]pipeline.Slot{"e": 7, "b": 8, "c": 9, "d": 1}, slots()); diff != "" {
		t.Error(diff)
	}
}

// A host with more ports than slots: the interface of one too many is closed.
func TestNoSlot(t *testing.T) {
	w := guests()
	in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: compile.NewBridge()}
	for n := range int(pipeline.MaxSlot) {
		in.Bridge.SetPort(compile.Port{Name: fmt.Sprint("other", n), OFPort: flow.Port(n + 1)})
	}
	in.Bridge.SetPort(compile.Port{Name: "a1", OFPort: 40_000})
	items, err := in.Unit(compile.InterfaceUnit("if-a1"))
	if err == nil || !strings.Contains(err.Error(), "one too many") || !strings.Contains(err.Error(), "closed") {
		t.Errorf("error %v", err)
	}
	for _, f := range items.Flows {
		if f.Table == pipeline.Classify.ID || f.Table == pipeline.Output.ID {
			t.Errorf("open: %s", f)
		}
	}
	in.Bridge.RemovePort("other0")
	in.Bridge.SetPort(compile.Port{Name: "a1", OFPort: 40_000})
	if _, err := in.Unit(compile.InterfaceUnit("if-a1")); err != nil {
		t.Error(err)
	}
}

// first gives the uuid of the first object of a resource.
func (w *world) first(r *model.Resource) string { return w.g.List(r)[0].Base().UUID }

// Members in other networks are peers by the addresses that are in no subnet of the judged interface's.
func TestPeersOfOtherNetworks(t *testing.T) {
	w := guests()
	w.network("nw-b", 200, "10.0.1.0/24", "fd00:b::/64")
	w.network("nw-c", 300, "10.0.0.0/24", "")
	w.datapath("dp-2", "172.16.90.2")
	w.iface("if-b1", model.InterfaceVIF, "dp-2", "b1", "02:00:00:00:01:01", "nw-b", "10.0.1.1", "fd00:b::1")
	w.iface("if-c1", model.InterfaceVIF, "dp-2", "c1", "02:00:00:00:02:01", "nw-c", "10.0.0.77")
	w.group("sg-1", "", model.SecurityGroup{TrustMembers: true}, "a1", "b1", "c1")
	var got []string
	for k := range host(t, w).Flows.All() {
		for _, f := range []flow.Field{flow.IPv4Src, flow.IPv6Src} {
			if v, mask := k.Match.Get(f); k.Table == pipeline.InRules.ID && !mask.IsZero() {
				network, _ := k.Match.Get(pipeline.Network.Bits.Field)
				addr := v.Addr6()
				if f == flow.IPv4Src {
					addr = v.Addr4()
				}
				got = append(got, fmt.Sprintf("%s in %d", addr, network.Lo))
			}
		}
	}
	slices.Sort(got)
	want := []string{"10.0.0.1 in 100", "10.0.1.1 in 100", "fd00:a::1 in 100", "fd00:b::1 in 100", "fe80::ff:fe00:1 in 100"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// More rules share a flow than one message has room for.
func TestLongLists(t *testing.T) {
	w := guests()
	w.group("sg-1", "", model.SecurityGroup{}, "a2")
	for n := range 4100 {
		w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 53, RemoteAddresses: model.PrefixList(fmt.Sprintf("10.9.%d.%d/32", n/256, n%256))})
	}
	w.rule(model.SecurityGroupRule{SecurityGroupUUID: "sg-1", Protocol: "udp", PortFirst: 53, RemoteAddresses: "10.0.0.1/32"})
	s := host(t, w)
	lists := 0
	for k := range s.Flows.All() {
		if u, _ := s.Flows.Unit(k); u.Kind == "clauses" {
			if _, mask := k.Match.Get(pipeline.RuleSet.Bits.Field); !mask.IsZero() {
				lists++
			}
		}
	}
	if lists != 2 {
		t.Errorf("%d flows list the rules of the rule set, not 2", lists)
	}
	sw := memorySwitch(t, s)
	if got := send(t, sw, "a1 > a2 udp 1 53"); got != pass { // by the last rule, which the second flow lists
		t.Error(got)
	}
	if got := send(t, sw, "a3 > a2 udp 1 53"); got == pass {
		t.Error("a packet that no rule allows passes")
	}
	// All lists go with their rules.
	in := &compile.Input{X: span.New(guests().g), Self: "dp-1", Bridge: compile.NewBridge()}
	compileUnits(t, in, s, in.Everything(s), &state.Changes{})
	for k := range s.Flows.All() {
		if u, _ := s.Flows.Unit(k); u.Kind == "clauses" {
			t.Errorf("left: %v", k)
		}
	}
}

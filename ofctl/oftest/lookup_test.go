package oftest

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// naive is the lookup by the book: the highest rule whose predicates hold.
func naive(t *table, k *key) *rule {
	look := *k
	if look.frag()&fragAny != 0 {
		look[wTp] &= 0xffffffff
	}
	var best *rule
	for _, r := range t.rules {
		ok := true
		for p := range r.Match.Preds() {
			ok = ok && look.get(p.Field).And(p.Mask) == p.Value
		}
		if ok && (best == nil || r.Priority > best.Priority) {
			best = r
		}
	}
	return best
}

// The tuple space finds what a scan finds, whatever was added and removed before.
func TestLookupEqualsScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGen(rapid.Uint64().Draw(t, "seed"))
		tbl := newTable()
		var rules []*rule
		for i := range 60 {
			if i%4 == 3 {
				j := g.IntN(len(rules))
				if r := rules[j]; tbl.rules[r.Key()] == r {
					tbl.remove(r)
				}
				continue
			}
			r := &rule{Flow: flow.Flow{Priority: uint16(i + 1), Match: g.match(frameOptions{})}}
			rules = append(rules, r)
			tbl.insert(r)
		}
		for range 50 {
			var k key
			k.setInPort(flow.Port(1 + g.IntN(4)))
			k.put(flow.Reg(g.IntN(2)), flow.Uint(g.Uint64()&3), flow.Ones(32))
			parse(g.frame(frameOptions{}), &k)
			before := k
			if got, want := tbl.lookup(&k), naive(tbl, &k); got != want {
				t.Fatalf("got %v, want %v", got, want)
			}
			if k != before {
				t.Fatal("the lookup changed the key")
			}
		}
	})
}

const conjunctions = `table=0, priority=10,ip,nw_src=10.0.0.1 actions=conjunction(1,1/2),conjunction(2,1/3)
	table=0, priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(1,2/2),conjunction(2,2/3)
	table=0, priority=10,conj_id=1,ip actions=output:2
	table=0, priority=10,conj_id=2,ip actions=output:3
`

// Conjunctive matches: hard flows win from above, lose from below; ids need all of their clauses at one priority. The cases are
// compared with Open vSwitch in TestPrivilegedActions.
var conjunctionCases = []struct {
	name, flows string
	want        flow.Port
}{
	{"complete", conjunctions, 2},
	{"hard above", conjunctions + "priority=11,ip actions=output:4", 4},
	{"hard below", conjunctions + "priority=9,ip actions=output:4", 2},
	{"of another priority", conjunctions + "priority=12,udp actions=conjunction(3,1/2)", 2},
	{"same match below", conjunctions + "priority=5,ip,nw_src=10.0.0.1 actions=output:4", 2},
	{"incomplete", `priority=10,ip,nw_src=10.0.0.1 actions=conjunction(1,1/2)
		priority=10,conj_id=1,ip actions=output:2
		priority=5,ip,nw_src=10.0.0.1 actions=output:4`, 4},
	{"clauses of two priorities", `priority=10,ip,nw_src=10.0.0.1 actions=conjunction(1,1/2)
		priority=9,ip,nw_dst=10.0.0.2 actions=conjunction(1,2/2)
		priority=10,conj_id=1,ip actions=output:2
		priority=5,ip actions=output:4`, 4},
	{"lower one complete", `priority=10,ip,nw_src=10.0.0.1 actions=conjunction(1,1/2)
		priority=7,udp,tp_dst=80 actions=conjunction(5,1/2)
		priority=7,ip,nw_src=10.0.0.1 actions=conjunction(5,2/2)
		priority=6,ip actions=output:3
		priority=7,conj_id=5,udp actions=output:4`, 4},
	{"what it leads to is lower", `priority=10,ip,nw_src=10.0.0.1 actions=conjunction(1,1/2)
		priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(1,2/2)
		priority=3,conj_id=1,ip actions=output:2
		priority=5,ip actions=output:4`, 4},
	{"nothing for the id", `priority=10,ip,nw_src=10.0.0.1 actions=conjunction(1,1/2)
		priority=10,ip,nw_dst=10.0.0.2 actions=conjunction(1,2/2)
		priority=5,udp actions=output:4`, 4},
}

func TestConjunctions(t *testing.T) {
	for _, c := range conjunctionCases {
		t.Run(c.name, func(t *testing.T) {
			s := model(t, parseFlows(t, c.flows), nil)
			res := s.Process(Packet{InPort: 1, Frame: mustHex(udpFrame)})
			if len(res.Outputs) != 1 || res.Outputs[0].Port != c.want {
				t.Errorf("%+v, want %d\n%s", res.Outputs, c.want, res.Trace())
			}
		})
	}
}

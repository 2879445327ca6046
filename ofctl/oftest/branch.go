package oftest

import (
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// listAndSet carries out a list and then the action set, as where the packet ends.
func (t *translator) listAndSet(acts []flow.Action) {
	t.list(acts)
	if t.err == nil {
		t.runSet()
	}
}

// clone carries actions out on a copy of the packet, and the action set on it, too.
func (t *translator) clone(acts []flow.Action) {
	t.commit()
	t.branch(func() { t.listAndSet(acts) }, func(sub []op) op { return op{kind: opClone, sub: sub} })
}

// branch runs do with operations of its own and then puts everything about the packet back.
func (t *translator) branch(do func(), wrap func([]op) op) {
	ops, saved, base, stack, set, has, tracked := t.ops, t.flow, t.base, slices.Clone(t.stack), t.set, t.setHasGroup, t.conntracked
	t.ops = nil
	do()
	sub := t.ops
	t.ops, t.flow, t.base, t.stack, t.set, t.setHasGroup, t.conntracked = ops, saved, base, stack, set, has, tracked
	t.exit = false
	t.ops = append(t.ops, wrap(sub))
}

// checkLarger translates the rest of the list for both answers; the datapath chooses.
func (t *translator) checkLarger(a flow.CheckPktLarger, rest []flow.Action) {
	t.commit()
	o := op{kind: opCheckLen, n: uint32(a.Len)}
	for _, larger := range []uint64{1, 0} {
		t.branch(func() {
			t.flow.putSub(a.Dst, flow.Uint(larger))
			t.listAndSet(rest)
		}, func(sub []op) op {
			if larger == 1 {
				o.sub = sub
			} else {
				o.other = sub
			}
			return o
		})
		if larger == 1 {
			t.ops = t.ops[:len(t.ops)-1]
		}
	}
}

func (t *translator) group(id uint32) {
	if !t.mayLookup() {
		return
	}
	g := t.sw.groups[id]
	if g == nil {
		return
	}
	g.packets++
	g.bytes += uint64(t.size)
	one := -1
	switch g.Type {
	case flow.All:
		for i := range g.Buckets {
			t.bucket(g, i)
		}
		return
	case flow.Indirect:
		one = min(0, len(g.Buckets)-1)
	case flow.FF:
		one = t.sw.firstLive(g, 0)
	case flow.Select:
		one = t.sw.choose(g, &t.flow)
	}
	if one >= 0 {
		t.bucket(g, one)
	}
}

// bucket carries out a bucket on the packet as it is, and puts what the tables see of it back afterwards. What the
// operations have done to the packet itself is put right by the next commit.
func (t *translator) bucket(g *group, i int) {
	saved, was := t.flow, t.inGroup
	t.inGroup = true
	t.depth++
	t.indent++
	t.list(g.acts[i])
	t.indent--
	t.depth--
	t.inGroup, t.exit = was, false
	t.flow = saved
}

package pipeline

import (
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// A flow of one dimension of conjunctive matches lists every conjunction that a packet which it matches may meet: rules of several owners, of one
// priority, share it. Their ids are numbers of this host's own.

// perFlow is how many conjunctions a flow lists: an OpenFlow message is no longer than 65,535 bytes, and a conjunction takes 16; there is room for the
// match, and for the header of a bundle.
const perFlow = 3900

// Conjoin gives the flows of a key that list the conjunctions: one, or where that has no room for all of them several that match the same
// packets and differ in how many bits of register Zero they look at. The conjunctions are sorted; there is at least one.
func Conjoin(k flow.Key, cs []flow.Conjunction) ([]flow.Flow, error) {
	t := TableByID(k.Table)
	if t == nil {
		return nil, fmt.Errorf("conjunctions in table %d, which there is not", k.Table)
	}
	b := NewBuilder(Owner{Kind: KindPeers})
	preds := slices.Collect(k.Match.Preds())
	n := uint64(0)
	for part := range slices.Chunk(cs, perFlow) {
		if n >= 1<<Zero.Bits.Bits {
			return b.Flows(), fmt.Errorf("table %s, %v: %d rules of one priority look at the same thing, more than %d", t.Name, k.Match, len(cs), perFlow<<Zero.Bits.Bits)
		}
		actions := make([]flow.Action, len(part))
		for i, c := range part {
			actions[i] = c
		}
		all := preds
		if n > 0 {
			all = append(slices.Clip(preds), Zero.Bits.Masked(0, n))
		}
		b.Flow(t, k.Priority, all, actions...)
		n++
	}
	return b.Flows(), b.Err()
}

package ovs

import (
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Program gives the messages that bring an empty switch to a state, in their order.
func Program(want *state.Full) []ofp.Message {
	have := &installed{groups: map[uint32]*group{}, meters: map[uint32]state.Meter{}}
	p := newPlan(difference(want, nil, have, false), have)
	var ms []ofp.Message
	for _, steps := range [][]step{p.before, p.bundle, p.after} {
		for _, s := range steps {
			ms = append(ms, s.message)
		}
	}
	return ms
}

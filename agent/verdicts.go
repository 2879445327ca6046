package agent

import (
	"fmt"
	"sync/atomic"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/services/stream"
)

// verdict is what became of a question, as a service calls it.
type verdict interface {
	~uint8
	fmt.Stringer
	Answered() bool
}

// verdicts counts them.
type verdicts[V verdict] struct{ counts [256]atomic.Uint64 }

func (c *verdicts[V]) add(v V) { c.counts[uint8(v)].Add(1) }

// hear counts what became of a question, and tells of it.
func (c *verdicts[V]) hear(d *desk, h Heard, v V) {
	c.add(v)
	if d.heard != nil {
		h.Verdict, h.Answered = v.String(), v.Answered()
		d.heard(h)
	}
}

// heardIn is what there is to say of a packet.
func heardIn(p *ovs.Packet) Heard { return Heard{Class: p.Class, Ingress: p.Ingress, Frame: p.Data} }

func (c *verdicts[V]) of(v V) uint64 { return c.counts[uint8(v)].Load() }

// dropped gives the questions that got no answer, by reason.
func (c *verdicts[V]) dropped(where string) []local.Drop {
	var drops []local.Drop
	for v := range c.counts {
		if n := c.counts[v].Load(); n > 0 && !V(v).Answered() { //nolint:gosec // below 256
			drops = append(drops, local.Drop{Where: where, Reason: V(v).String(), Packets: n}) //nolint:gosec // below 256
		}
	}
	return drops
}

// unheard gives the frames of TCP that came to nothing, by reason.
func unheard(where string, s *stream.Server) []local.Drop {
	var drops []local.Drop
	for v, n := range s.Counts() {
		if v != stream.Taken && v != stream.Sent {
			drops = append(drops, local.Drop{Where: where, Reason: v.String(), Packets: n})
		}
	}
	return drops
}

package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/services/probe"
)

// probeTick is how often the prober looks for something to do.
const probeTick = 250 * time.Millisecond

// probeLook is how often, at most, it looks which ways there are.
const probeLook = 5 * time.Second

// prober probes the ways to the other hosts, and says which of these are not reached, or with small packets only.
type prober struct {
	*desk
	opt        probe.Options
	probe      *probe.Prober
	self       uint32
	generation uint64    // of the ways
	looked     time.Time // when it was last looked which ways there are
	ends       map[probe.Way]tunnelEnd
	found      atomic.Pointer[map[string]string] // uuid of a datapath -> what is wrong with the way to it
}

// tunnelEnd is the other end of a way.
type tunnelEnd struct {
	uuid, node string
	encap      pipeline.Encapsulation
	mtu        int // size of the largest IP packet that has to get there
	underlay   int // size of the packet that carries it
}

func (r *prober) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	if r.probe == nil {
		return dropNotAsked
	}
	next, changed, ok := r.probe.Heard(now, p.Data, p.Length)
	if !ok {
		return dropNotAsked
	}
	r.out(ctx, next)
	if changed {
		r.tell()
	}
	return ""
}

func (r *prober) tick(ctx context.Context, now time.Time) {
	if !r.ready.Load() {
		return // what nobody can send says nothing
	}
	changed := false
	if g := r.replica.waysNow(); (g != r.generation || r.probe == nil) && !now.Before(r.looked.Add(probeLook)) {
		r.generation, r.looked = g, now
		self, ends := r.replica.tunnelsInUse()
		if self == 0 {
			return
		}
		if r.probe == nil || self != r.self {
			r.probe, r.self = probe.New(self, rand.Uint64, r.opt), self
			changed = true
		}
		r.ends = ends
		sizes := make(map[probe.Way]int, len(ends))
		for w, e := range ends {
			sizes[w] = e.mtu + ethernetHeader
		}
		changed = r.probe.Set(now, sizes) || changed
	}
	if r.probe == nil {
		return // this host is not known yet
	}
	probes, more := r.probe.Tick(now)
	r.out(ctx, probes)
	if changed || more {
		r.tell()
	}
}

func (r *prober) out(ctx context.Context, probes []probe.Probe) {
	for _, p := range probes {
		vni := compile.ProbeVNI(pipeline.Encapsulation(p.Way.Tunnel))
		r.send(ctx, p.Frame, ovs.Through(pipeline.Transport, pipeline.Network.Set(vni), pipeline.Egress.Set(p.Way.Host)))
	}
}

// tell puts into words what was found, and has it told.
func (r *prober) tell() {
	found := map[string]string{}
	for w, s := range r.probe.States() {
		e := r.ends[w]
		var text string
		switch s {
		case probe.Silent:
			text = fmt.Sprintf("host %s does not answer through the tunnel (%s)", e.node, e.encap)
		case probe.Narrow:
			text = fmt.Sprintf("host %s cannot be reached with packets of %d bytes (%s): the underlay's MTU on the way there is less than %d", e.node, e.mtu, e.encap, e.underlay)
		default:
			continue
		}
		if before := found[e.uuid]; before != "" {
			both := []string{before, text}
			if text < before {
				both = []string{text, before}
			}
			text = strings.Join(both, "; ")
		}
		found[e.uuid] = text
	}
	r.found.Store(&found)
	r.wake()
}

// problems gives what is wrong with the ways to other hosts, by their datapaths' uuids.
func (r *prober) problems() map[string]string {
	if found := r.found.Load(); found != nil {
		return *found
	}
	return nil
}

const ethernetHeader = 14

// tunnelsInUse gives the ways to other hosts, and this host's datapath id, 0 as long as it has none.
func (r *replica) tunnelsInUse() (self uint32, ends map[probe.Way]tunnelEnd) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	own, ok := graph.Lookup[*model.Datapath](r.in.X.Graph(), r.in.Self)
	if !ok {
		return 0, nil
	}
	ends = map[probe.Way]tunnelEnd{}
	for _, t := range r.in.TunnelsInUse() {
		w := probe.Way{Host: t.Datapath.ID, Tunnel: uint8(t.Encap)}
		ends[w] = tunnelEnd{uuid: t.Datapath.UUID, node: t.Datapath.NodeID, encap: t.Encap, mtu: t.MTU, underlay: t.Underlay}
	}
	return own.ID, ends
}

package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// leastBurst is the burst, in kbit, below which a frame of 1,500 bytes would never pass a meter.
const leastBurst = 16

// rates gives the meters of what an interface may send and get.
func rates(i *model.Interface, slot pipeline.Slot) []state.Meter {
	var ms []state.Meter
	for _, r := range []struct{ kind, rate, burst uint32 }{{pipeline.MeterEgress, i.EgressRate, i.EgressBurst}, {pipeline.MeterIngress, i.IngressRate, i.IngressBurst}} {
		if r.rate == 0 || slot == pipeline.HostSlot {
			continue
		}
		if r.burst == 0 {
			r.burst = r.rate / 10
		}
		ms = append(ms, state.Meter{ID: pipeline.PortMeter(slot, r.kind), Bits: true, Rate: r.rate, Burst: max(r.burst, leastBurst)})
	}
	return ms
}

// classify gives the flows by which what comes from a port is an interface's: at its rate, with a copy for those that mirror it, and its code point. The
// rest says where it goes on.
func (in *Input) classify(b *pipeline.Builder, i *model.Interface, p Port, preds pipeline.Preds, rest []flow.Action) {
	preds = append(pipeline.Preds{flow.InPort.Is(uint64(p.OFPort))}, preds...)
	var actions []flow.Action
	if i.EgressRate != 0 {
		actions = append(actions, flow.ToMeter{Meter: pipeline.PortMeter(in.Bridge.slots[p.Name], pipeline.MeterEgress)})
	}
	actions = append(actions, pipeline.Ingress.Set(i.ID))
	if in.mirrored(i, model.MirrorEgress) {
		actions = append(actions, flow.Resubmit{Table: pipeline.Mirror.ID})
	}
	b.Flow(pipeline.Classify, prioAllow+uint16(len(preds)-1), preds, append(actions[:len(actions):len(actions)], rest...)...)
	if i.DSCP == 0 {
		return
	}
	for _, ip := range []flow.Pred{isIPv4, isIPv6} {
		b.Flow(pipeline.Classify, prioAllow+uint16(len(preds)), append(preds[:len(preds):len(preds)], ip),
			append(append(actions[:len(actions):len(actions)], flow.SetField(flow.IPDSCP.Is(uint64(i.DSCP)))), rest...)...)
	}
}

// output gives the flow to the interface's port of the frames of a domain (0: of all), at its rate, with a copy for those that mirror it. before is what is
// done to the frame first.
func (in *Input) output(b *pipeline.Builder, i *model.Interface, p Port, domain uint32, before ...flow.Action) {
	preds := pipeline.Preds{pipeline.Egress.Is(i.ID)}
	if domain != 0 {
		preds = append(preds, pipeline.Network.Is(domain))
	}
	actions := append(before, flow.Output{Port: p.OFPort})
	if in.mirrored(i, model.MirrorIngress) {
		actions = append(actions, flow.Resubmit{Table: pipeline.Mirror.ID})
	}
	if i.IngressRate != 0 && p.OFPort != flow.PortLocal {
		// A meter drops the packet with all that is still to be done with it: for this port only, not for the others of a flood.
		actions = []flow.Action{flow.Clone{Actions: append([]flow.Action{flow.ToMeter{Meter: pipeline.PortMeter(in.Bridge.slots[p.Name], pipeline.MeterIngress)}}, actions...)}}
	}
	b.Flow(pipeline.Output, prioAllow, preds, actions...)
}

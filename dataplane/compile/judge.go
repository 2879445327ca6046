package compile

import (
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// side is one direction of the filters, seen from the interface.
type side struct {
	filter, filterAnswer, rules, answer, next *pipeline.Table
	self                                      pipeline.Register // holds the interface
	whole                                     pipeline.Register
	peer, own                                 fields
}

// fields are the fields of one end of a packet.
type fields struct{ arp, ipv4, ipv6, tcp, udp flow.Field }

var (
	ofSource      = fields{flow.ARPSPA, flow.IPv4Src, flow.IPv6Src, flow.TCPSrc, flow.UDPSrc}
	ofDestination = fields{flow.ARPTPA, flow.IPv4Dst, flow.IPv6Dst, flow.TCPDst, flow.UDPDst}
	outwards      = side{pipeline.OutFilter, pipeline.OutFilterAnswer, pipeline.OutRules, pipeline.OutRulesAnswer, pipeline.L2, pipeline.Ingress, pipeline.WholeOut, ofDestination, ofSource}
	inwards       = side{pipeline.InFilter, pipeline.InFilterAnswer, pipeline.InRules, pipeline.InRulesAnswer, pipeline.Output, pipeline.Egress, pipeline.WholeIn, ofSource, ofDestination}
)

// Priorities in the tables of filters, from the last to the first that is asked.
const (
	prioRefused = 10     // what no rule decides
	prioNotSet  = 20     // what a rule set does not judge
	prioRules   = 1000   // rules of security groups: see levels
	prioStatic  = 20_000 // the first rule of a static filter; each further one is one less
	prioParts   = 58_000 // fragments, which meet the connection tracker first
	prioND      = 59_000 // what is not judged in any case
	prioNoRules = 60_000 // interfaces that are not judged
)

// The values of register Verdict.
const (
	verdictDrop   = 1
	verdictReject = 2
)

// judgeFeature is what the filters need once on a host.
var judgeFeature = feature{
	kind:  "filters",
	units: func(_ *Input, yield func(state.Unit)) { yield(state.Unit{Kind: "filters"}) },
	items: func(*Input, state.Unit) (state.Items, error) { return judge() },
	dirty: func(*Input, *span.Effects, func(state.Unit)) {},
}

var ipVersions = []flow.Pred{isIPv4, isIPv6}

// judge gives what filters do whatever the rules are.
func judge() (state.Items, error) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindHost})
	for _, s := range []side{outwards, inwards} {
		toRules, on := flow.GotoTable{Table: s.rules.ID}, flow.GotoTable{Table: s.next.ID}
		b.Flow(s.filter, prioNoRules, pipeline.Preds{pipeline.FilterZone.Is(0)}, toRules)
		b.Flow(s.filter, prioRefused, pipeline.Preds{isARP}, toRules)
		b.Flow(s.rules, prioNoRules, pipeline.Preds{pipeline.RuleSet.IsValue(flow.Value{})}, on)
		b.Flow(s.rules, prioND, pipeline.Preds{isARP}, on)
		for _, t := range []uint64{icmpNS, icmpNA} {
			nd := pipeline.Preds{isIPv6, isICMPv6, flow.ICMPv6Type.Is(t)}
			b.Flow(s.filter, prioND, nd, toRules)
			b.Flow(s.rules, prioND, nd, on)
		}
		for _, v := range ipVersions {
			b.Flow(s.rules, prioParts, pipeline.Preds{v, fragment, s.whole.Is(0)},
				flow.Clone{Actions: []flow.Action{s.whole.Set(1), flow.CT{ZoneSrc: pipeline.GroupZone.Bits, Recirc: true, Table: s.rules.ID}}}) // the tracker keeps the packet that it is given: a flooded one's other copies must not wait
			b.Flow(s.rules, prioRefused+1, pipeline.Preds{v, fragment, flow.CTState.Masked(ctTracked|ctEstablished, ctTracked|ctEstablished|ctInvalid)}, on)
			b.Flow(s.rules, prioRefused, pipeline.Preds{v}, s.ask(pipeline.GroupZone, s.answer))
		}
		for _, answer := range answers {
			b.Flow(s.filterAnswer, prioAllow, pipeline.Preds{answer}, toRules)
			b.Flow(s.answer, prioAllow, pipeline.Preds{answer}, pipeline.Verdict.Set(0), on) // who gets the packet judges anew
		}
		b.Drop(s.answer, prioRefuse, reason.Rule, pipeline.Verdict.Is(verdictDrop))
		b.Refuse(s.answer, prioRefuse, reason.Reject, pipeline.Preds{pipeline.Verdict.Is(verdictReject)},
			pipeline.Class.Set(uint32(pipeline.PuntReject)), flow.Resubmit{Table: pipeline.Punt.ID})
	}
	return result(b, state.Items{})
}

// ask gives the packet to the connection tracker, which says in table t whether it is an answer.
func (s side) ask(zone pipeline.Register, t *pipeline.Table) flow.Action {
	return flow.CT{ZoneSrc: zone.Bits, Recirc: true, Table: t.ID}
}

// remember makes a conversation of the packet, if it is in none.
func remember(zone pipeline.Register) flow.Action { return flow.CT{Commit: true, ZoneSrc: zone.Bits} }

// States of a packet in the connection tracker: bits of ct_state.
const (
	ctEstablished = 1 << 1
	ctRelated     = 1 << 2
	ctReply       = 1 << 3
	ctInvalid     = 1 << 4
	ctTracked     = 1 << 5
)

// answers are packets of a conversation the other way round, and ICMP errors about one.
var answers = []flow.Pred{
	flow.CTState.Masked(ctTracked|ctEstablished|ctReply, ctTracked|ctEstablished|ctReply|ctInvalid),
	flow.CTState.Masked(ctTracked|ctRelated, ctTracked|ctRelated|ctInvalid),
}

// Values of ip_frag: bit 0 for all fragments, bit 1 for all but the first.
var (
	fragment      = flow.IPFrag.Masked(1, 1)
	laterFragment = flow.IPFrag.Is(3)
	noFragment    = flow.IPFrag.Is(0)
)

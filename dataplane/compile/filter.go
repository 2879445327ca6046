package compile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// filterFeature is the static filter of each interface on this host.
var filterFeature = feature{
	kind: "filter",
	units: func(in *Input, yield func(state.Unit)) {
		for i := range in.X.InterfacesAt(in.Self) {
			yield(filterUnit(i))
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.staticFilter(u.UUID) },
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		g := in.X.Graph()
		for i := range e.Interfaces {
			add(filterUnit(i))
		}
		for _, c := range e.Changed {
			for _, o := range []model.Object{c.Old, c.New} {
				switch o := o.(type) {
				case *model.Filter:
					add(filterUnit(o.InterfaceUUID))
				case *model.FilterStatic:
					if f, ok := graph.Lookup[*model.Filter](g, o.FilterUUID); ok {
						add(filterUnit(f.InterfaceUUID))
					}
				}
			}
		}
	},
}

func filterUnit(iface string) state.Unit { return state.Unit{Kind: "filter", UUID: iface} }

// maxStaticRules bounds the rules of a filter.
const maxStaticRules = 1000

// staticRules gives the filter of an interface, nil if it has none, and its rules.
func (in *Input) staticRules(iface string) (*model.Filter, []*model.FilterStatic) {
	fs := graph.Children[*model.Filter](in.X.Graph(), iface, "filters.interface_uuid")
	if len(fs) == 0 {
		return nil, nil
	}
	return fs[0], graph.Children[*model.FilterStatic](in.X.Graph(), fs[0].UUID, "filter_statics.filter_uuid")
}

// checkFilter says what keeps the interface's filter from being realised.
func (in *Input) checkFilter(iface string) error {
	if f, rules := in.staticRules(iface); len(rules) > maxStaticRules {
		return fmt.Errorf("filter %s has %d rules, more than %d: the interface is closed", f.UUID, len(rules), maxStaticRules)
	}
	return nil
}

// staticFilter gives the flows of an interface's static filter. Without a filter there are none: the tables refuse all.
func (in *Input) staticFilter(iface string) (state.Items, error) {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), iface)
	if !ok || !i.EnableFiltering || !in.X.Attached(iface, in.Self) {
		return state.Items{}, nil
	}
	f, rules := in.staticRules(iface)
	if f == nil || len(rules) > maxStaticRules { // of the latter the interface's unit tells
		return state.Items{}, nil
	}
	slices.SortStableFunc(rules, compareStatic)
	remembers := slices.ContainsFunc(rules, func(r *model.FilterStatic) bool { return r.Action == "conn" })
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: i.ID})
	for _, s := range []side{outwards, inwards} {
		self := s.self.Is(i.ID)
		if s == outwards && f.EgressPassthrough || s == inwards && f.IngressPassthrough {
			b.Flow(s.filter, prioNotSet, pipeline.Preds{self}, flow.GotoTable{Table: s.rules.ID})
		} else if remembers {
			for _, v := range ipVersions {
				b.Flow(s.filter, prioNotSet, pipeline.Preds{self, v}, s.ask(pipeline.FilterZone, s.filterAnswer))
			}
		}
	}
	if remembers && in.arrived(i) {
		for _, s := range []side{outwards, inwards} {
			for _, p := range midStream(s, i) {
				b.Flow(s.filterAnswer, prioPass, p, flow.GotoTable{Table: s.rules.ID})
			}
		}
	}
	items, err := result(b, state.Items{})
	if err != nil {
		return items, err
	}
	for n, r := range rules {
		flows, err := staticRule(i.ID, r, prioStatic-uint16(n), remembers, in.arrived(i))
		if err != nil {
			return state.Items{}, fmt.Errorf("rule %s: %w", r.UUID, err)
		}
		items.Flows = append(items.Flows, flows...)
	}
	return items, nil
}

// compareStatic sorts rules in the order in which they are asked.
func compareStatic(a, b *model.FilterStatic) int {
	first := func(x, y bool) int {
		switch {
		case x && !y:
			return -1
		case y && !x:
			return 1
		}
		return 0
	}
	special := func(r *model.FilterStatic) bool { return r.Protocol != "ip" }
	return cmp.Or(
		cmp.Compare(max(b.DstAddress.Bits(), 0), max(a.DstAddress.Bits(), 0)), first(a.DstPort != 0, b.DstPort != 0),
		cmp.Compare(max(b.SrcAddress.Bits(), 0), max(a.SrcAddress.Bits(), 0)), first(a.SrcPort != 0, b.SrcPort != 0),
		first(special(a), special(b)), cmp.Compare(a.ID, b.ID),
	)
}

// staticRule gives the flows of a rule, in both directions. Of an interface that has just moved here nothing that a rule drops is taken for an answer: in the middle of
// a TCP conversation all would be.
func staticRule(iface uint32, r *model.FilterStatic, prio uint16, remembers, arrived bool) ([]flow.Flow, error) {
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindFilter, ID: r.ID})
	for _, s := range []side{outwards, inwards} {
		pass := flow.GotoTable{Table: s.rules.ID}
		// Without conversations nothing is an answer, whatever another zone's tracker has said.
		actions := []flow.Action{flow.CTClear{}, flow.GotoTable{Table: s.filterAnswer.ID}}
		switch {
		case r.Action == "pass", r.Action == "conn" && r.Protocol == "arp":
			actions = []flow.Action{pass}
		case r.Action == "conn" && s == outwards:
			actions = []flow.Action{remember(pipeline.FilterZone), pass}
		case r.Action == "drop" && arrived:
			for _, preds := range staticMatches(s, r) {
				b.Drop(s.filter, prio, reason.Filter, append(preds, s.self.Is(iface))...)
			}
			continue
		case remembers && r.Protocol != "arp":
			actions = []flow.Action{s.ask(pipeline.FilterZone, s.filterAnswer)}
		}
		for _, preds := range staticMatches(s, r) {
			b.Flow(s.filter, prio, append(preds, s.self.Is(iface)), actions...)
		}
	}
	return b.Flows(), b.Err()
}

// staticMatches gives what packets of a direction a rule is about: a match for each family, and for fragments of what it drops.
func staticMatches(s side, r *model.FilterStatic) []pipeline.Preds {
	if r.Protocol == "arp" {
		preds := pipeline.Preds{isARP}
		if r.SrcAddress.IsValid() {
			preds = append(preds, s.peer.arp.Prefix(r.SrcAddress))
		}
		if r.DstAddress.IsValid() {
			preds = append(preds, s.own.arp.Prefix(r.DstAddress))
		}
		return []pipeline.Preds{preds}
	}
	var out []pipeline.Preds
	for _, v6 := range []bool{false, true} {
		preds, src, dst, icmp := pipeline.Preds{isIPv4}, s.peer.ipv4, s.own.ipv4, isICMP
		if v6 {
			preds, src, dst, icmp = pipeline.Preds{isIPv6}, s.peer.ipv6, s.own.ipv6, isICMPv6
		}
		if r.SrcAddress.IsValid() && r.SrcAddress.Addr().Is6() != v6 || r.DstAddress.IsValid() && r.DstAddress.Addr().Is6() != v6 {
			continue
		}
		if r.SrcAddress.IsValid() {
			preds = append(preds, src.Prefix(r.SrcAddress))
		}
		if r.DstAddress.IsValid() {
			preds = append(preds, dst.Prefix(r.DstAddress))
		}
		srcPort, dstPort := s.peer.tcp, s.own.tcp
		switch r.Protocol {
		case "tcp":
			preds = append(preds, isTCP)
		case "udp":
			preds = append(preds, isUDP)
			srcPort, dstPort = s.peer.udp, s.own.udp
		case "icmp":
			preds = append(preds, icmp)
		}
		if r.Action == "drop" && (r.SrcPort != 0 || r.DstPort != 0) { // the ports of a fragment are not known
			out = append(out, append(slices.Clip(preds), fragment))
		}
		if r.SrcPort != 0 {
			preds = append(preds, srcPort.Is(uint64(r.SrcPort)))
		}
		if r.DstPort != 0 {
			preds = append(preds, dstPort.Is(uint64(r.DstPort)))
		}
		out = append(out, preds)
	}
	return out
}

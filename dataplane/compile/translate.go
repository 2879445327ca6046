package compile

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Priorities of translations: what has been translated back, rows with ports, rows without, masquerade, passthrough. What matches more comes first among rows.
const (
	prioAnswer      = prioFirst
	prioRowPort     = prioAllow + 20
	prioRow         = prioAllow + 10
	prioMasquerade  = prioAllow
	prioPassthrough = prioRefuse
)

// translations gives what translates at a leg that does, but for rows.
//
// A pinned leg remembers conversations, in two zones of the connection tracker: one for those whose destination is translated on the way in, one for those whose
// source is translated on the way out. What comes in is looked up in the latter first, and translated back if it is an answer there; what leaves
// in the former. A leg that is not pinned translates each packet by itself, for its answer may pass another host.
func (in *Input) translations(l leg) ([]flow.Flow, error) {
	own := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: l.ID})
	builders := []*pipeline.Builder{own}
	var errs []error
	var passes *model.Translation
	sources := map[netip.Prefix]bool{} // that are masqueraded
	for _, t := range graph.Children[*model.Translation](in.X.Graph(), l.UUID, "translations.interface_uuid") {
		if t.Passthrough && passes == nil {
			passes = t
		}
		if t.Mode != model.TranslationMasquerade {
			continue
		}
		if !l.remembers() {
			errs = append(errs, fmt.Errorf("%w: translation %s of mode %s, at an interface without a host of its own (owner_datapath_uuid)", ErrUnrealised, t.UUID, t.Mode))
			continue
		}
		b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindTranslate, ID: t.ID})
		in.masquerade(b, l, t, sources)
		builders = append(builders, b)
	}
	rest := own // of what no row and no masquerade translates
	if passes != nil {
		rest = pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindTranslate, ID: passes.ID})
		builders = append(builders, rest)
	}
	if l.remembers() {
		l.remember(own)
		l.restRemembered(rest, passes != nil)
	} else {
		l.rest(rest, passes != nil)
	}
	var flows []flow.Flow
	for _, b := range builders {
		flows, errs = append(flows, b.Flows()...), append(errs, b.Err())
	}
	return flows, errors.Join(errs...)
}

// remember leads what passes the leg through the connection tracker, and lets go on what that has translated back.
func (l leg) remember(b *pipeline.Builder) {
	zoneIn, zoneOut := pipeline.LegZones(l.ID)
	for _, f := range families {
		at := pipeline.Preds{pipeline.Egress.Is(l.ID), f.is}
		b.Flow(pipeline.L3In, prioAllow, at, append(arrival(), flow.CT{Zone: zoneOut, NAT: &flow.NAT{}, Recirc: true, Table: pipeline.TranslateIn.ID})...)
		b.Flow(pipeline.L3Out, prioAllow, at, flow.DecTTL{}, flow.CT{Zone: zoneIn, NAT: &flow.NAT{}, Recirc: true, Table: pipeline.TranslateOut.ID})
	}
	// A SYN alone that meets another one is translated back but called new. What has come in untranslated is called translated in its source.
	is := func(state uint64) pipeline.Preds {
		return pipeline.Preds{pipeline.Egress.Is(l.ID), flow.CTState.Masked(flow.CTTracked|state, flow.CTTracked|state)}
	}
	for _, state := range []uint64{flow.CTReply, flow.CTRelated, flow.CTDNAT} {
		b.Flow(pipeline.TranslateIn, prioAnswer, is(state), flow.GotoTable{Table: pipeline.L3Source.ID})
	}
	for _, state := range []uint64{flow.CTReply, flow.CTRelated, flow.CTSNAT} {
		b.Flow(pipeline.TranslateOut, prioAnswer, is(state), flow.GotoTable{Table: pipeline.L3Send.ID})
	}
}

// restRemembered is for what no row and no masquerade translates: a conversation, or an error about one, may have begun when one did, and goes on. Other packets
// pass, and begin a conversation, so that their answers are not translated either; or they go nowhere. So does, of a leg where nothing passes untranslated, what a
// row or masquerade was to translate and the tracker has not: there is no port left, or the packet cannot begin a conversation.
func (l leg) restRemembered(b *pipeline.Builder, passes bool) {
	zoneIn, zoneOut := pipeline.LegZones(l.ID)
	nat := flow.NAT{}
	if passes {
		nat.Kind = flow.NATSrc // to its own address: the userspace datapath of Open vSwitch 3.1 takes nat alone for the address 0.0.0.0, and knows no answers then
	}
	for _, f := range families {
		at := pipeline.Preds{pipeline.Egress.Is(l.ID), f.is}
		b.Flow(pipeline.TranslateIn, prioPassthrough, at, flow.CT{Commit: passes, Zone: zoneIn, NAT: &nat, Recirc: true, Table: pipeline.L3Source.ID})
		b.Flow(pipeline.TranslateOut, prioPassthrough, at, flow.CT{Commit: passes, Zone: zoneOut, NAT: &nat, Recirc: true, Table: pipeline.L3Send.ID})
	}
	if passes {
		// A row with a route link has led it there, but it cannot begin a conversation: the routes decide, as if there were no row.
		b.Flow(pipeline.L3Route, prioLost, pipeline.Preds{pipeline.Egress.Is(l.ID), flow.CTZone.Is(uint64(zoneIn)), flow.CTState.Masked(flow.CTTracked|flow.CTInvalid, flow.CTTracked|flow.CTInvalid)},
			flow.CTClear{}, flow.Resubmit{Table: pipeline.L3Source.ID})
	}
	lost := func(t *pipeline.Table, zone uint16, translated uint64) {
		state := flow.CTState.Masked(flow.CTTracked, flow.CTTracked|translated)
		if passes {
			state = flow.CTState.Masked(flow.CTTracked|flow.CTNew, flow.CTTracked|flow.CTNew|flow.CTSNAT|flow.CTDNAT)
		}
		b.Drop(t, prioLost, reason.Translation, pipeline.Egress.Is(l.ID), flow.CTZone.Is(uint64(zone)), state)
	}
	lost(pipeline.L3Source, zoneIn, flow.CTDNAT)
	lost(pipeline.L3Route, zoneIn, flow.CTDNAT)
	lost(pipeline.L3Send, zoneOut, flow.CTSNAT)
}

// rest is for what no row translates at a leg that remembers nothing: it passes, or goes nowhere.
func (l leg) rest(b *pipeline.Builder, passes bool) {
	for _, f := range families {
		at := pipeline.Preds{pipeline.Egress.Is(l.ID), f.is}
		if !passes {
			b.Drop(pipeline.L3In, prioPassthrough, reason.Translation, at...)
			b.Drop(pipeline.L3Out, prioPassthrough, reason.Translation, at...)
			continue
		}
		b.Flow(pipeline.L3In, prioPassthrough, at, append(arrival(), flow.GotoTable{Table: pipeline.L3Source.ID})...)
		b.Flow(pipeline.L3Out, prioPassthrough, at, flow.DecTTL{}, flow.GotoTable{Table: pipeline.L3Send.ID})
	}
}

// masquerade gives sources in the translation's network, or all, the leg's first address of the family. done are those that are seen to.
func (in *Input) masquerade(b *pipeline.Builder, l leg, t *model.Translation, done map[netip.Prefix]bool) {
	n, ok := graph.Lookup[*model.Network](in.X.Graph(), t.NetworkUUID)
	if !ok && t.NetworkUUID != "" {
		return // no packet comes from a network that this host does not know
	}
	_, zone := pipeline.LegZones(l.ID)
	for _, f := range families {
		from := f.all
		if ok {
			from = f.subnet(n)
		}
		if a := in.firstAddress(l, f.v6); a.IsValid() && from.IsValid() && !done[from] {
			done[from] = true
			b.Flow(pipeline.TranslateOut, prioMasquerade, pipeline.Preds{pipeline.Egress.Is(l.ID), f.is, f.src.Prefix(from)},
				flow.CT{Commit: true, Zone: zone, NAT: &flow.NAT{Kind: flow.NATSrc, AddrMin: a}, Recirc: true, Table: pipeline.L3Send.ID})
		}
	}
}

// firstAddress gives the leg's first leased address of the family, the zero Addr if there is none.
func (in *Input) firstAddress(l leg, v6 bool) netip.Addr {
	for _, lease := range graph.Children[*model.IPLease](in.X.Graph(), l.UUID, "ip_leases.interface_uuid") {
		a := lease.Addr()
		if d, ok := in.domain(lease.NetworkUUID); ok && in.stationIn(l.Interface)(d) && a.Is6() == v6 && !a.IsUnspecified() {
			return a
		}
	}
	return netip.Addr{}
}

// rowFeature is each row of static translations.
var rowFeature = feature{
	kind: "translation_static_address",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.TranslationStaticAddresses) {
			yield(state.Unit{Kind: "translation_static_address", UUID: o.Base().UUID})
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.row(u.UUID) },
	dirty: byRouter,
}

// row gives the flows of a row: inwards and outwards, unless another row of the leg translates the same and is older.
func (in *Input) row(uuid string) (state.Items, error) {
	r, ok := graph.Lookup[*model.TranslationStaticAddress](in.X.Graph(), uuid)
	if !ok || !in.counts(r) {
		return state.Items{}, nil
	}
	t, ok := graph.Lookup[*model.Translation](in.X.Graph(), r.TranslationUUID)
	if !ok || t.Mode != model.TranslationStatic {
		return state.Items{}, nil
	}
	l, ok := in.leg(t.InterfaceUUID)
	if !ok || !l.translates() {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindTranslate, ID: t.ID})
	link, _ := in.routeLink(r.RouteLinkUUID)
	if in.oldest(l, r, false) {
		translateIn(b, l, r, link)
	}
	if in.oldest(l, r, true) {
		translateOut(b, l, r, link)
	}
	return result(b, state.Items{})
}

// counts reports whether the row can translate: its route link, if it names one, is known on this host.
func (in *Input) counts(r *model.TranslationStaticAddress) bool {
	_, ok := in.routeLink(r.RouteLinkUUID)
	ingress, egress := rowEnds(r)
	return (ok || r.RouteLinkUUID == "") && ingress.Addr().IsValid() && ingress.Addr().BitLen() == egress.Addr().BitLen()
}

// oldest reports whether no row of the leg that translates the same has a lower id.
func (in *Input) oldest(l leg, r *model.TranslationStaticAddress, out bool) bool {
	key := rowKey(r, out)
	for t := range in.X.Graph().Referrers(l.UUID, "translations.interface_uuid") {
		if t.(*model.Translation).Mode != model.TranslationStatic {
			continue
		}
		key.translation = t.Base().UUID
		if rows := competing(in, key, in.counts); len(rows) > 0 && rows[0].ID < r.ID {
			return false
		}
	}
	return true
}

// transports are the protocols that rows with ports are for. Fragments but the first have no ports, and what the connection tracker says of their packet has none
// either: so a row with ports is for whole packets. Fragments go the way of the conversation that their packet is of.
var transports = []struct {
	is       flow.Pred
	src, dst flow.Field
}{{isTCP, flow.TCPSrc, flow.TCPDst}, {isUDP, flow.UDPSrc, flow.UDPDst}}

func translateIn(b *pipeline.Builder, l leg, r *model.TranslationStaticAddress, link *model.RouteLink) {
	ingress, egress := rowEnds(r)
	f := familyOf(ingress.Addr())
	zone, _ := pipeline.LegZones(l.ID)
	next := pipeline.L3Source.ID
	var enter []flow.Action
	if link != nil { // straight into it
		next, enter = pipeline.L3Route.ID, []flow.Action{pipeline.RouteLink.Set(link.VNI)}
	}
	add := func(priority uint16, match pipeline.Preds, port ...flow.Action) {
		if l.remembers() {
			b.Flow(pipeline.TranslateIn, priority, match, append(enter[:len(enter):len(enter)],
				flow.CT{Commit: true, Zone: zone, NAT: &flow.NAT{Kind: flow.NATDst, AddrMin: egress.Addr(), PortMin: egress.Port()}, Recirc: true, Table: next})...)
			return
		}
		actions := append(append(arrival(), enter...), flow.SetField(f.dst.Addr(egress.Addr())))
		b.Flow(pipeline.L3In, priority, match, append(append(actions, port...), flow.GotoTable{Table: next})...)
	}
	match := pipeline.Preds{pipeline.Egress.Is(l.ID), f.is, f.dst.Addr(ingress.Addr())}
	if ingress.Port() == 0 {
		add(prioRow, match)
		return
	}
	for _, t := range transports {
		add(prioRowPort, append(match[:3:3], t.is, noFragment, t.dst.Is(uint64(ingress.Port()))), flow.SetField(t.dst.Is(uint64(egress.Port()))))
	}
}

func translateOut(b *pipeline.Builder, l leg, r *model.TranslationStaticAddress, link *model.RouteLink) {
	ingress, egress := rowEnds(r)
	f := familyOf(ingress.Addr())
	_, zone := pipeline.LegZones(l.ID)
	match := pipeline.Preds{pipeline.Egress.Is(l.ID), f.is, f.src.Addr(egress.Addr())}
	more := uint16(0)
	if link != nil {
		match, more = append(match, pipeline.RouteLink.Is(link.VNI)), 1
	}
	add := func(priority uint16, match pipeline.Preds, port ...flow.Action) {
		if l.remembers() {
			b.Flow(pipeline.TranslateOut, priority+more, match,
				flow.CT{Commit: true, Zone: zone, NAT: &flow.NAT{Kind: flow.NATSrc, AddrMin: ingress.Addr(), PortMin: ingress.Port()}, Recirc: true, Table: pipeline.L3Send.ID})
			return
		}
		actions := append([]flow.Action{flow.DecTTL{}, flow.SetField(f.src.Addr(ingress.Addr()))}, port...)
		b.Flow(pipeline.L3Out, priority+more, match, append(actions, flow.GotoTable{Table: pipeline.L3Send.ID})...)
	}
	if egress.Port() == 0 {
		add(prioRow, match)
		return
	}
	for _, t := range transports {
		add(prioRowPort, append(match[:len(match):len(match)], t.is, noFragment, t.src.Is(uint64(egress.Port()))), flow.SetField(t.src.Is(uint64(ingress.Port()))))
	}
}

package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// attachOutside gives what a port with devices behind it needs that nobody registered: which domain their frames are in, and how those of the domain look on
// the port. The error says what of it is not possible.
func (in *Input) attachOutside(b *pipeline.Builder, items *state.Items, i *model.Interface, p Port, pol policy, stations []Station) error {
	joins := in.attachedTo(i)
	into := func(d Domain, preds pipeline.Preds, first ...flow.Action) {
		rest := append(first, pipeline.Network.Set(d.Number), pipeline.FromOut.Set(1))
		rest = append(append(rest, pol.sending()...), flow.GotoTable{Table: pipeline.Outside.ID})
		in.classify(b, i, p, preds, rest)
		b.Flow(pipeline.Outside, prioUnderlay, pipeline.Preds{pipeline.Ingress.Is(i.ID), pipeline.Network.Is(d.Number)},
			flow.Clone{Actions: []flow.Action{pipeline.Class.Set(uint32(pipeline.PuntLearn)), flow.Resubmit{Table: pipeline.Punt.ID}}}, flow.GotoTable{Table: pipeline.Service.ID})
	}
	for n, j := range joins {
		if i.Mode == model.InterfaceEdge {
			tag := flow.VLANPresent | uint64(j.vlan)
			into(j.Domain, pipeline.Preds{flow.VLANVID.Is(tag)}, flow.PopVLAN{})
		} else if n == 0 {
			into(j.Domain, nil)
		}
		if slices.ContainsFunc(joins[:n], func(before joined) bool { return before.UUID == j.UUID }) {
			continue // by another VLAN
		}
		if i.Mode == model.InterfaceEdge {
			in.output(b, i, p, j.Number, tags(joins, j.Domain, p)...)
		}
		in.floodTo(b, items, i, p, pol, j.Domain)
		group := pipeline.OutsideGroup(j.Number, false)
		items.Groups = append(items.Groups, state.Group{ID: group})
		items.Buckets = append(items.Buckets, state.Bucket{Group: group,
			Bucket: b.Bucket(pipeline.Unknown, i.ID, pipeline.Egress.Set(i.ID), flow.Resubmit{Table: pipeline.Deliver.ID})})
	}
	if i.Mode == model.InterfaceEdge {
		b.Drop(pipeline.Classify, prioAllow, reason.VLAN, flow.InPort.Is(uint64(p.OFPort)))
	} else {
		in.output(b, i, p, 0)
	}
	for _, s := range stations { // registered devices behind the port
		b.Flow(pipeline.Outside, prioOwn, pipeline.Preds{pipeline.Ingress.Is(i.ID), pipeline.Network.Is(s.Domain.Number), flow.EthSrc.MAC(s.MAC)}, flow.GotoTable{Table: pipeline.Service.ID})
	}
	if i.Mode != model.InterfaceEdge && len(joins) > 1 {
		return fmt.Errorf("%w: frames from an interface of mode %s have nothing that says in which of several domains they are: all of them are in %s", ErrUnrealised, i.Mode, joins[0].UUID)
	}
	return nil
}

// tags gives a frame of the domain the tag that it has on an edge port, ready to be sent; where several VLANs of the port are in the domain, it is sent with the
// others first.
func tags(joins []joined, d Domain, p Port) []flow.Action {
	actions := []flow.Action{flow.PushVLAN{EtherType: 0x8100}}
	for _, j := range joins {
		if j.UUID != d.UUID {
			continue
		}
		if len(actions) > 1 {
			actions = append(actions, flow.Output{Port: p.OFPort})
		}
		actions = append(actions, flow.SetField(flow.VLANVID.Is(flow.VLANPresent|uint64(j.vlan))))
	}
	return actions
}

// attachElsewhere leads frames for nobody that is known to the other host where an interface with devices outside is.
func (in *Input) attachElsewhere(b *pipeline.Builder, items *state.Items, i *model.Interface) {
	dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), in.X.Location(i.UUID))
	if !ok || !outside(i.Mode) {
		return
	}
	for _, j := range in.attachedTo(i) {
		if !j.carried() {
			continue
		}
		group := pipeline.OutsideGroup(j.Number, true)
		items.Groups = append(items.Groups, state.Group{ID: group})
		// Without encapsulation the frame might be taken by every host that the wire shows it to.
		items.Buckets = append(items.Buckets, state.Bucket{Group: group,
			Bucket: b.Bucket(pipeline.Unknown, dp.ID, pipeline.Egress.Set(dp.ID), pipeline.FromOut.Set(1), flow.Resubmit{Table: pipeline.Transport.ID})})
	}
}

// inside keeps devices outside from sending with the MAC address of a station that is not behind their port, where there are any on this host. Devices on
// the wire of a physical network may be the stations of other hosts, and such as are on the way to or from one.
func (in *Input) inside(b *pipeline.Builder, i *model.Interface, s Station) {
	if in.X.Location(i.UUID) == "" && i.Mode != model.InterfaceSimulated || !in.attachedHere(s.Domain) {
		return
	}
	from := pipeline.Preds{pipeline.Network.Is(s.Domain.Number), flow.EthSrc.MAC(s.MAC)}
	if s.Domain.physical() && (in.moving(i) || !in.X.At(i.UUID, in.Self)) {
		for _, a := range in.attachments(s.Domain) {
			if a.at == in.Self {
				b.Drop(pipeline.Outside, prioAllow, reason.WireSource, append(from[:2:2], pipeline.Ingress.Is(a.ID))...)
			}
		}
		return
	}
	b.Drop(pipeline.Outside, prioAllow, reason.WireSource, from...)
}

// attachedHere reports whether a domain has an outside attachment on this host.
func (in *Input) attachedHere(d Domain) bool {
	here, ok := in.attached[d.UUID]
	if !ok {
		here = d.physical() && in.Bridge.Uplink != 0
		for _, a := range in.attachments(d) {
			here = here || a.at == in.Self
		}
		if in.attached == nil {
			in.attached = map[string]bool{}
		}
		in.attached[d.UUID] = here
	}
	return here
}

// reattached gives the domains whose outside attachments may have changed; with here only those where this may be so on this host.
func (in *Input) reattached(e *span.Effects, here bool) map[string]struct{} {
	g := in.X.Graph()
	domains := map[string]struct{}{}
	add := func(uuid string) {
		domains[uuid] = struct{}{}
		if n, ok := graph.Lookup[*model.Network](g, uuid); ok && n.SegmentUUID != "" {
			domains[n.SegmentUUID] = struct{}{}
		}
	}
	modes := map[string]bool{} // interfaces that are, or were, outside
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			if i, ok := o.(*model.Interface); ok {
				modes[i.UUID] = modes[i.UUID] || outside(i.Mode)
			}
		}
	}
	for uuid, m := range e.Interfaces {
		i, ok := graph.Lookup[*model.Interface](g, uuid)
		was, is := m.Datapaths()
		if !modes[uuid] && (!ok || !outside(i.Mode)) || here && was != in.Self && is != in.Self {
			continue
		}
		before, after := m.Domains()
		for _, domain := range before {
			add(domain)
		}
		for _, domain := range after {
			add(domain)
		}
	}
	return domains
}

// learnedFeature is the devices outside whose MAC addresses were learned on this host. The unit's peer is the key.
var learnedFeature = feature{
	kind: "learned",
	units: func(in *Input, yield func(state.Unit)) {
		for k, iface := range in.Bridge.AllLearned() {
			yield(learnedUnit(k, iface))
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.learnedItems(u) },
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		if len(in.Bridge.learned) == 0 {
			return
		}
		concerned := map[string]bool{} // interfaces
		for uuid := range e.Interfaces {
			concerned[uuid] = true
		}
		whole := in.domainsMoved(e)
		for k, iface := range in.Bridge.AllLearned() {
			if concerned[iface] || whole {
				add(learnedUnit(k, iface))
			}
		}
	},
}

func learnedUnit(k LearnedKey, iface string) state.Unit {
	return state.Unit{Kind: "learned", UUID: iface, Peer: k.String()}
}

// learnedItems leads frames for a device outside to the port that it is behind, and those that it sends not to the agent any more.
func (in *Input) learnedItems(u state.Unit) (state.Items, error) {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), u.UUID)
	if !ok || !outside(i.Mode) || in.X.Location(i.UUID) != in.Self {
		return state.Items{}, nil
	}
	number, address, _ := strings.Cut(u.Peer, "/")
	m, err := model.ParseMAC(address)
	if err != nil {
		return state.Items{}, fmt.Errorf("learned MAC address: %w", err)
	}
	for _, j := range in.attachedTo(i) {
		if fmt.Sprint(j.Number) != number || in.Bridge.learned[LearnedKey{j.Number, m}] != i.UUID {
			continue
		}
		b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindLearned, ID: i.ID})
		b.Flow(pipeline.L2, prioPass-1, pipeline.Preds{pipeline.Network.Is(j.Number), flow.EthDst.MAC(m)}, pipeline.Egress.Set(i.ID), flow.GotoTable{Table: pipeline.Deliver.ID})
		b.Drop(pipeline.L2, prioPass, reason.Destination, pipeline.Network.Is(j.Number), flow.EthDst.MAC(m), pipeline.Ingress.Is(i.ID))
		b.Flow(pipeline.Outside, prioPass, pipeline.Preds{pipeline.Ingress.Is(i.ID), pipeline.Network.Is(j.Number), flow.EthSrc.MAC(m)}, flow.GotoTable{Table: pipeline.Service.ID})
		return result(b, state.Items{})
	}
	return state.Items{}, nil
}

// domainsMoved reports whether a network or segment has changed itself, or has come to or gone from this host.
func (in *Input) domainsMoved(e *span.Effects) bool {
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			switch o.(type) {
			case *model.Network, *model.Segment:
				return true
			}
		}
	}
	for p := range e.Flips {
		if p.Datapath == in.Self {
			return true
		}
	}
	for _, p := range e.NeedFlips {
		if p.Datapath == in.Self {
			return true
		}
	}
	return false
}

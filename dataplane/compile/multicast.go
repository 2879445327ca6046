package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// snoop gives the agent a copy of the reports of IGMP and MLD (RFC 3376, RFC 3810), which go on to everybody, and leads multicast to devices outside,
// where routers may be (RFC 4541, section 2.1.2), beside those that have joined.
func (in *Input) snoop(b *pipeline.Builder, d Domain) {
	reports := []pipeline.Preds{{isIPv4, flow.IPProto.Is(2)}}
	for _, t := range mldReports {
		reports = append(reports, pipeline.Preds{isIPv6, isICMPv6, flow.ICMPv6Type.Is(t)})
	}
	for _, r := range reports {
		b.Flow(pipeline.L2, prioReport, append(r, pipeline.Network.Is(d.Number), flow.EthDst.MACMasked(multicastMAC, multicastMAC)),
			flow.Clone{Actions: []flow.Action{pipeline.Class.Set(uint32(pipeline.PuntMembers)), flow.Resubmit{Table: pipeline.Punt.ID}}},
			flow.GotoTable{Table: pipeline.Flood.ID})
	}
	here, elsewhere := in.outsides(b, &state.Items{}, d)
	toOutside(d, here, elsewhere, func(preds pipeline.Preds, groups ...flow.Action) {
		for _, p := range allGroups {
			f := familyOf(p.Addr())
			b.Flow(pipeline.L2, prioRouters, append(preds[:len(preds):len(preds)], flow.EthDst.MACMasked(multicastMAC, multicastMAC), f.is, f.dst.Prefix(p)), groups...)
		}
	})
}

// multicastFeature is a multicast group that somebody has joined (the unit's peer is its key), and each of those that have (the uuid).
var multicastFeature = feature{
	kind: "multicast",
	units: func(in *Input, yield func(state.Unit)) {
		for k, members := range in.Bridge.Members() {
			yield(multicastUnit(k, ""))
			for m := range members {
				yield(multicastUnit(k, m))
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.multicastItems(u) },
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		if len(in.Bridge.members) == 0 {
			return
		}
		concerned := map[string]bool{}
		for uuid := range e.Interfaces {
			concerned[uuid] = true
		}
		for _, c := range e.Changed {
			for _, o := range []model.Object{c.Old, c.New} {
				if o != nil {
					concerned[o.Base().UUID] = true
				}
			}
		}
		for p := range e.Flips {
			concerned[p.Datapath] = true
		}
		whole := in.domainsMoved(e) || len(in.reattached(e, false)) > 0
		for k, members := range in.Bridge.Members() {
			if whole {
				add(multicastUnit(k, ""))
			}
			for m := range members {
				if whole || concerned[m] {
					add(multicastUnit(k, m))
				}
			}
		}
	},
}

func multicastUnit(k MemberKey, member string) state.Unit {
	return state.Unit{Kind: "multicast", UUID: member, Peer: k.String()}
}

// multicastItems gives the way to those that have joined a group, or the bucket of one of them.
func (in *Input) multicastItems(u state.Unit) (state.Items, error) {
	number, address, _ := strings.Cut(u.Peer, "/")
	a, err := netip.ParseAddr(address)
	if err != nil {
		return state.Items{}, fmt.Errorf("multicast group: %w", err)
	}
	var k MemberKey
	if _, err := fmt.Sscan(number, &k.Domain); err != nil {
		return state.Items{}, fmt.Errorf("multicast group: %w", err)
	}
	k.Group = a
	m := in.Bridge.members[k]
	d, ok := in.domainByNumber(k.Domain)
	if m == nil || !ok || !d.Present || d.Multicast != model.MulticastSnoop || !a.IsMulticast() {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(d.owner())
	groups := [2]uint32{pipeline.MembersGroup(m.number, false), pipeline.MembersGroup(m.number, true)}
	items := state.Items{Groups: []state.Group{{ID: groups[0]}, {ID: groups[1]}}}
	if u.UUID != "" {
		if _, joined := m.members[u.UUID]; !joined {
			return state.Items{}, nil
		}
		in.joined(b, &items, d, groups, u.UUID)
		return result(b, items)
	}
	here, elsewhere := in.outsides(b, &state.Items{}, d)
	f := familyOf(a)
	for remote := range uint32(2) {
		actions := []flow.Action{flow.ToGroup{Group: groups[0]}}
		if here > 0 {
			actions = append(actions, flow.ToGroup{Group: pipeline.OutsideGroup(d.Number, false)})
		}
		if remote == 0 {
			actions = append(actions, flow.ToGroup{Group: groups[1]})
			if elsewhere > 0 {
				actions = append(actions, flow.ToGroup{Group: pipeline.OutsideGroup(d.Number, true)})
			}
		}
		b.Flow(pipeline.L2, prioMember, pipeline.Preds{pipeline.Network.Is(d.Number), pipeline.Remote.Is(remote), flow.EthDst.MACMasked(multicastMAC, multicastMAC), f.is, f.dst.Addr(a)}, actions...)
	}
	return result(b, items)
}

// joined gives the bucket of an interface of this host or of another host. Devices outside get the group in any case.
func (in *Input) joined(b *pipeline.Builder, items *state.Items, d Domain, groups [2]uint32, member string) {
	g := in.X.Graph()
	if i, ok := graph.Lookup[*model.Interface](g, member); ok {
		if in.X.Attached(member, in.Self) && !outside(i.Mode) {
			items.Buckets = append(items.Buckets, state.Bucket{Group: groups[0],
				Bucket: b.Bucket(pipeline.L2, i.ID, pipeline.Egress.Set(i.ID), flow.Resubmit{Table: pipeline.Deliver.ID})})
		}
		return
	}
	dp, ok := graph.Lookup[*model.Datapath](g, member)
	if !ok || member == in.Self || !d.carried() || slices.ContainsFunc(in.attachments(d), func(a attachment) bool { return a.at == member }) {
		return
	}
	items.Buckets = append(items.Buckets, state.Bucket{Group: groups[1],
		Bucket: b.Bucket(pipeline.L2, dp.ID, pipeline.Egress.Set(dp.ID), flow.Resubmit{Table: pipeline.Transport.ID})})
}

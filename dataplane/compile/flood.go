package compile

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// domainFeature is what a domain that this host has to do with needs once, and for each other host where it is present (the unit's peer).
var domainFeature = feature{
	kind: "domain",
	units: func(in *Input, yield func(state.Unit)) {
		for _, r := range []*model.Resource{model.Networks, model.Segments} {
			for _, o := range in.X.Graph().List(r) {
				uuid := o.Base().UUID
				yield(state.Unit{Kind: "domain", UUID: uuid})
				for d := range in.X.DatapathsOf(uuid) {
					yield(state.Unit{Kind: "domain", UUID: uuid, Peer: d})
				}
			}
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) {
		d, ok := in.domain(u.UUID)
		switch {
		case !ok || d.UUID != u.UUID: // a network that lies on a segment has nothing of its own
			return state.Items{}, nil
		case u.Peer != "":
			return in.domainOn(d, u.Peer)
		}
		return in.domainHere(d)
	},
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		g := in.X.Graph()
		domain := func(uuid string) {
			add(state.Unit{Kind: "domain", UUID: uuid})
			if n, ok := graph.Lookup[*model.Network](g, uuid); ok && n.SegmentUUID != "" {
				add(state.Unit{Kind: "domain", UUID: n.SegmentUUID})
			}
		}
		whole := func(uuid string) {
			domain(uuid)
			for d := range in.X.DatapathsOf(uuid) {
				add(state.Unit{Kind: "domain", UUID: uuid, Peer: d})
			}
		}
		for _, c := range e.Changed {
			for _, o := range []model.Object{c.Old, c.New} {
				switch o := o.(type) {
				case *model.Datapath:
					for n := range in.X.NetworksOn(o.UUID) {
						add(state.Unit{Kind: "domain", UUID: n, Peer: o.UUID})
					}
				case *model.Network:
					whole(o.UUID)
					if o.SegmentUUID != "" {
						domain(o.SegmentUUID)
					}
				case *model.Segment:
					whole(o.UUID)
				}
			}
		}
		flip := func(p span.Pair) {
			domain(p.Network)
			add(state.Unit{Kind: "domain", UUID: p.Network, Peer: p.Datapath})
			if p.Datapath == in.Self {
				whole(p.Network)
			}
		}
		for p := range e.Flips {
			flip(p)
		}
		for _, p := range e.NeedFlips {
			flip(p)
		}
		for uuid := range in.reattached(e, false) {
			domain(uuid)
		}
		in.retold(e, domain)
		for uuid := range in.domainsRecounted {
			domain(uuid)
		}
		in.rewiredPairs(e, func(p span.Pair) {
			domain(p.Network)
			add(state.Unit{Kind: "domain", UUID: p.Network, Peer: p.Datapath})
		})
	},
}

// Priorities in table l2 of frames to no station: broadcast and multicast.
const (
	prioMulticast = prioUnderlay + 1 // what a policy has instead of a flood
	prioRouters   = prioUnderlay + 2 // what goes to devices outside, as there may be routers
	prioLinkLocal = prioUnderlay + 3 // what no policy keeps from anybody
	prioMember    = prioUnderlay + 4 // a group that somebody has joined
	prioReport    = prioUnderlay + 5 // what members say
	prioQuestion  = prioOwn + 5      // ARP and ND that nobody has answered, whoever it is sent to
)

// domainHere gives a domain's key between hosts, its flood groups, what it lets pass that others do not, and where frames for nobody go.
func (in *Input) domainHere(d Domain) (state.Items, error) {
	if d.physical() && !in.any(countGuests, d.UUID) {
		return state.Items{}, nil // the underlay's own
	}
	b := pipeline.NewBuilder(d.owner())
	items := state.Items{}
	here, elsewhere := in.outsides(b, &items, d)
	if d.Present {
		in.flood(b, &items, d)
		in.multicast(b, &items, d)
		in.passes(b, d, here, elsewhere)
		in.metadata(b, &items, d)
	}
	in.unknown(b, d, here, elsewhere)
	in.arrivesUnencapsulated(b, d)
	return result(b, items)
}

// flood gives a domain's key between hosts and its flood groups. In a physical domain the second group is the host itself and the NIC: both have had already
// what comes from outside.
func (in *Input) flood(b *pipeline.Builder, items *state.Items, d Domain) {
	groups := [2]uint32{pipeline.FloodGroup(d.Number, 0, false), pipeline.FloodGroup(d.Number, 0, true)}
	items.Groups = append(items.Groups, state.Group{ID: groups[0]}, state.Group{ID: groups[1]})
	local, remote := flow.ToGroup{Group: groups[0]}, flow.ToGroup{Group: groups[1]}
	network, other := pipeline.Network.Is(d.Number), pipeline.Preds{pipeline.Remote.Is(1)}
	if d.carried() {
		b.Flow(pipeline.TunnelKey, prioAllow, pipeline.Preds{flow.TunID.Is(uint64(d.VNI))}, pipeline.Network.Set(d.Number), flow.GotoTable{Table: pipeline.L2.ID})
	}
	if d.physical() {
		other = pipeline.Preds{pipeline.FromOut.Is(1), pipeline.Ingress.Is(0)}
		if p := in.Bridge.Uplink; p != 0 {
			items.Buckets = append(items.Buckets, state.Bucket{Group: groups[1], Bucket: b.Bucket(pipeline.Flood, pipeline.BucketNIC, flow.Output{Port: p})})
		}
	}
	b.Flow(pipeline.Flood, prioAllow, pipeline.Preds{network}, local, remote)
	b.Flow(pipeline.Flood, prioOwn, append(other, network), local)
}

// shardOf gives the group of a domain that the bucket of a port or of a host's id is in.
func shardOf(id uint32) uint8 { return uint8(id >> 9 & 0xf) }

// flooded adds a bucket to the flood group of a domain of its shard, which the first one leads to.
func flooded(b *pipeline.Builder, items *state.Items, d Domain, shard uint8, remote bool, bucket flow.Bucket) {
	first, group := pipeline.FloodGroup(d.Number, 0, remote), pipeline.FloodGroup(d.Number, shard, remote)
	items.Groups = append(items.Groups, state.Group{ID: first})
	if shard != 0 {
		items.Groups = append(items.Groups, state.Group{ID: group})
		items.Buckets = append(items.Buckets, state.Bucket{Group: first, Bucket: b.Bucket(pipeline.Flood, pipeline.BucketShards|uint32(shard), flow.ToGroup{Group: group})})
	}
	items.Buckets = append(items.Buckets, state.Bucket{Group: group, Bucket: bucket})
}

// domainOn gives what a domain needs for one other host on which it is present: that broadcast goes there too, and how its frames are carried there.
func (in *Input) domainOn(d Domain, datapath string) (state.Items, error) {
	if !d.carried() || datapath == in.Self || !in.X.Present(span.Pair{Network: d.UUID, Datapath: datapath}) {
		return state.Items{}, nil
	}
	dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), datapath)
	if !ok {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(d.owner())
	items := state.Items{}
	if d.Present {
		flooded(b, &items, d, shardOf(dp.ID), true, b.Bucket(pipeline.Flood, dp.ID, pipeline.Egress.Set(dp.ID), flow.Resubmit{Table: pipeline.Transport.ID}))
	}
	in.carriedTo(b, d.UUID, d.VNI, dp)
	return result(b, items)
}

// outsides gives the groups of a domain's ports with devices outside, and how many there are here and on other hosts.
func (in *Input) outsides(b *pipeline.Builder, items *state.Items, d Domain) (here, elsewhere int) {
	for _, a := range in.attachments(d) {
		if a.at == in.Self {
			here++
		} else if d.carried() {
			elsewhere++
		}
	}
	local := pipeline.OutsideGroup(d.Number, false)
	if d.physical() && d.Present && in.Bridge.Uplink != 0 {
		here++
		items.Buckets = append(items.Buckets, state.Bucket{Group: local, Bucket: b.Bucket(pipeline.Unknown, pipeline.BucketNIC, flow.Output{Port: in.Bridge.Uplink})})
	}
	if here > 0 {
		items.Groups = append(items.Groups, state.Group{ID: local})
	}
	if elsewhere > 0 {
		items.Groups = append(items.Groups, state.Group{ID: pipeline.OutsideGroup(d.Number, true)})
	}
	return here, elsewhere
}

// toOutside calls flow for frames of this host (with Remote 0) and of others, with the actions that lead them to the ports of the domain with devices outside.
// What came from the only one goes nowhere.
func toOutside(d Domain, here, elsewhere int, add func(preds pipeline.Preds, groups ...flow.Action)) {
	var groups []flow.Action
	if here > 0 {
		groups = append(groups, flow.ToGroup{Group: pipeline.OutsideGroup(d.Number, false)})
		add(pipeline.Preds{pipeline.Network.Is(d.Number), pipeline.Remote.Is(1)}, groups...)
	}
	if elsewhere > 0 {
		groups = append(groups[:len(groups):len(groups)], flow.ToGroup{Group: pipeline.OutsideGroup(d.Number, true)})
	}
	if groups != nil {
		add(pipeline.Preds{pipeline.Network.Is(d.Number), pipeline.Remote.Is(0)}, groups...)
	}
}

// unknown says where frames for nobody go.
func (in *Input) unknown(b *pipeline.Builder, d Domain, here, elsewhere int) {
	network := pipeline.Network.Is(d.Number)
	switch d.UnknownUnicast {
	case model.UnknownDrop:
	case model.UnknownFlood:
		flood := []flow.Action{flow.GotoTable{Table: pipeline.Flood.ID}}
		if d.carried() { // never without encapsulation: see attachElsewhere
			flood = append([]flow.Action{pipeline.FromOut.Set(1)}, flood...)
		}
		if d.Present {
			b.Flow(pipeline.Unknown, prioAllow, pipeline.Preds{network}, flood...)
		}
	default:
		toOutside(d, here, elsewhere, func(preds pipeline.Preds, groups ...flow.Action) {
			b.Flow(pipeline.Unknown, prioAllow, preds, groups...)
		})
		if here == 1 && elsewhere == 0 {
			b.Drop(pipeline.Unknown, prioOwn, reason.Destination, network, pipeline.FromOut.Is(1))
		}
	}
}

// passes says what passes table service in a domain that others refuse: in a segment everything, in a network with devices outside ARP and ND, of which questions
// that nobody has answered go to those devices only.
func (in *Input) passes(b *pipeline.Builder, d Domain, here, elsewhere int) {
	network := pipeline.Network.Is(d.Number)
	pass := func(preds ...flow.Pred) {
		b.Flow(pipeline.Service, prioPass, append(pipeline.Preds{network}, preds...), flow.GotoTable{Table: pipeline.OutFilter.ID})
	}
	questions := []pipeline.Preds{{isARP, flow.ARPOp.Is(1)}, {isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNS)}}
	if d.Segment {
		pass()
		for _, question := range questions {
			ask(b, append(question, network), flow.GotoTable{Table: pipeline.Flood.ID})
		}
		return
	}
	if d.Multicast == model.MulticastSnoop {
		for _, t := range mldReports {
			pass(isIPv6, isICMPv6, flow.ICMPv6Type.Is(t))
		}
	}
	if here+elsewhere == 0 {
		return
	}
	pass(isARP)
	pass(isIPv6, isICMPv6, flow.ICMPv6Type.Is(icmpNA))
	pass(questions[1]...)
	if here == 1 && elsewhere == 0 { // not back to the devices that ask
		for n, r := range []reason.Reason{reason.ARPUnknown, reason.NDUnknown} {
			b.Drop(pipeline.Service, prioPass+1, r, append(questions[n][:len(questions[n]):len(questions[n])], network, pipeline.FromOut.Is(1))...)
		}
	}
	for _, question := range questions {
		toOutside(d, here, elsewhere, func(preds pipeline.Preds, groups ...flow.Action) {
			ask(b, append(preds, question...), groups...)
		})
	}
}

// ask sends on questions that nobody has answered: as broadcasts, even if they are for one MAC address.
func ask(b *pipeline.Builder, question pipeline.Preds, on ...flow.Action) {
	b.Flow(pipeline.L2, prioQuestion, question, on...)
	b.Flow(pipeline.L2, prioQuestion+1, append(slices.Clone(question), flow.EthDst.MACMasked(model.MAC{}, multicastMAC)), append([]flow.Action{flow.SetField(flow.EthDst.MAC(broadcastMAC))}, on...)...)
}

// Multicast that no policy keeps from anybody, and all of it.
var (
	linkLocalGroups = []netip.Prefix{netip.MustParsePrefix("224.0.0.0/24"), netip.MustParsePrefix("ff02::/16")}
	allGroups       = []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")}
	broadcastMAC    = model.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	mldReports      = []uint64{icmpMLDReport, icmpMLDDone, icmpMLDv2Report}
)

// multicast says where multicast goes in a domain that does not flood it.
func (in *Input) multicast(b *pipeline.Builder, items *state.Items, d Domain) {
	if d.Multicast != model.MulticastDrop && d.Multicast != model.MulticastSnoop {
		return
	}
	to := func(preds ...flow.Pred) pipeline.Preds {
		return append(pipeline.Preds{pipeline.Network.Is(d.Number), flow.EthDst.MACMasked(multicastMAC, multicastMAC)}, preds...)
	}
	flood := flow.GotoTable{Table: pipeline.Flood.ID}
	for _, p := range linkLocalGroups {
		b.Flow(pipeline.L2, prioLinkLocal, to(familyOf(p.Addr()).is, familyOf(p.Addr()).dst.Prefix(p)), flood)
	}
	if d.Multicast == model.MulticastDrop {
		b.Flow(pipeline.L2, prioLinkLocal, pipeline.Preds{pipeline.Network.Is(d.Number), flow.EthDst.MAC(broadcastMAC)}, flood)
		b.Drop(pipeline.L2, prioMulticast, reason.Multicast, to()...)
		return
	}
	for _, p := range allGroups {
		b.Drop(pipeline.L2, prioMulticast, reason.Multicast, to(familyOf(p.Addr()).is, familyOf(p.Addr()).dst.Prefix(p))...)
	}
	in.snoop(b, d)
}

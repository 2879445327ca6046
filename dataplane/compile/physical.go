package compile

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// The NIC carries the underlay's own frames, and they are not to be disturbed: table classify passes them on between NIC and host whatever else there is.
// Only where frames of the NIC or of the host concern an interface here does a flow lead them to table underlay, which has the same two flows for the rest.

// wired gives the builder of flows that concern the NIC and the host, which any unit that needs them shares, after it has led their frames to table
// underlay.
func (in *Input) wired(own *pipeline.Builder) *pipeline.Builder {
	b := own.For(pipeline.Owner{Kind: pipeline.KindHost})
	local := flow.InPort.Is(uint64(flow.PortLocal))
	b.Flow(pipeline.Classify, prioAllow, pipeline.Preds{local}, flow.GotoTable{Table: pipeline.Underlay.ID})
	if p := in.Bridge.Uplink; p != 0 {
		nic := flow.InPort.Is(uint64(p))
		b.Flow(pipeline.Classify, prioAllow, pipeline.Preds{nic}, flow.GotoTable{Table: pipeline.Underlay.ID})
		b.Flow(pipeline.Underlay, prioUnderlay, pipeline.Preds{nic}, flow.Output{Port: flow.PortLocal})
		b.Flow(pipeline.Underlay, prioUnderlay, pipeline.Preds{local}, flow.Output{Port: p})
	}
	return b
}

// reachable leads frames of the NIC and of the host that concern a station on this host into its physical network. Tagged frames are the underlay's.
func (in *Input) reachable(own *pipeline.Builder, items *state.Items, i *model.Interface, s Station) {
	if !s.Domain.physical() {
		return
	}
	b := in.wired(own)
	multicast, untagged := flow.EthDst.MACMasked(multicastMAC, multicastMAC), flow.VLANVID.Masked(0, flow.VLANPresent)
	network := pipeline.Network.Set(s.Domain.Number)
	items.Groups = append(items.Groups, state.Group{ID: pipeline.FloodGroup(s.Domain.Number, 0, false)})

	// What the host sends is its own: it is neither guarded nor answered, and past what table l2 does with questions that nobody has answered.
	local := flow.InPort.Is(uint64(flow.PortLocal))
	switch i.Mode {
	case model.InterfaceVIF:
		if in.arriving(i) {
			break // the host reaches it over the wire
		}
		own.Flow(pipeline.Underlay, prioAllow, fromHost(s), network, pipeline.Egress.Set(i.ID), flow.GotoTable{Table: pipeline.Deliver.ID})
	case model.InterfaceSimulated: // but for legs: see towardsLeg
		own.Drop(pipeline.Underlay, prioAllow, reason.Destination, fromHost(s)...)
	default:
		own.Flow(pipeline.Underlay, prioAllow, fromHost(s), network, flow.GotoTable{Table: pipeline.L2.ID})
	}
	toWire := []flow.Action{flow.ToGroup{Group: pipeline.GroupFromHost}}
	if p := in.Bridge.Uplink; p != 0 {
		toWire = append([]flow.Action{flow.Output{Port: p}}, toWire...)
	}
	b.Flow(pipeline.Underlay, prioAllow, pipeline.Preds{local, multicast, untagged}, toWire...)
	items.Groups = append(items.Groups, state.Group{ID: pipeline.GroupFromHost})
	items.Buckets = append(items.Buckets, state.Bucket{Group: pipeline.GroupFromHost,
		Bucket: b.Bucket(pipeline.Underlay, bucketOf(s.Domain), network, flow.ToGroup{Group: pipeline.FloodGroup(s.Domain.Number, 0, false)})})

	if in.Bridge.Uplink == 0 {
		return
	}
	nic := flow.InPort.Is(uint64(in.Bridge.Uplink))
	own.Flow(pipeline.Underlay, prioAllow, pipeline.Preds{nic, flow.EthDst.MAC(s.MAC), untagged}, network, pipeline.FromOut.Set(1), flow.GotoTable{Table: pipeline.Outside.ID})
	b.Flow(pipeline.Underlay, prioAllow, pipeline.Preds{nic, multicast, untagged}, flow.Output{Port: flow.PortLocal}, flow.ToGroup{Group: pipeline.GroupFromNIC})
	items.Groups = append(items.Groups, state.Group{ID: pipeline.GroupFromNIC})
	items.Buckets = append(items.Buckets, state.Bucket{Group: pipeline.GroupFromNIC,
		Bucket: b.Bucket(pipeline.Underlay, bucketOf(s.Domain), network, pipeline.FromOut.Set(1), flow.Resubmit{Table: pipeline.Outside.ID})})
	b.Flow(pipeline.Outside, prioUnderlay, pipeline.Preds{pipeline.Ingress.Is(0)}, flow.GotoTable{Table: pipeline.Service.ID})
	b.Flow(pipeline.Output, prioAllow, pipeline.Preds{pipeline.Egress.Is(0)}, flow.Output{Port: in.Bridge.Uplink})
}

// fromHost matches what the host sends to the station.
func fromHost(s Station) pipeline.Preds {
	return pipeline.Preds{flow.InPort.Is(uint64(flow.PortLocal)), flow.EthDst.MAC(s.MAC), flow.VLANVID.Masked(0, flow.VLANPresent)}
}

// bucketOf gives the id of a domain's bucket in the groups of the host. It has no VNI, so that its number is that of LocalDomain.
func bucketOf(d Domain) uint32 { return d.Number }

// attachHost gives what leads to the host itself, as a station of its physical networks.
func (in *Input) attachHost(b *pipeline.Builder, items *state.Items, i *model.Interface, stations []Station) {
	if len(stations) == 0 {
		return
	}
	deliver(b, i, policy{})
	b.Flow(pipeline.Output, prioAllow, pipeline.Preds{pipeline.Egress.Is(i.ID)}, flow.Output{Port: flow.PortLocal})
	for _, s := range stations {
		group := pipeline.FloodGroup(s.Domain.Number, 0, true)
		items.Groups = append(items.Groups, state.Group{ID: group})
		items.Buckets = append(items.Buckets, state.Bucket{Group: group, Bucket: b.Bucket(pipeline.Flood, i.ID, flow.Output{Port: flow.PortLocal})})
	}
}

// attachLocal leads what the host sends from the addresses of an interface of mode internal, whose port is the bridge's own, into its network, and what it asks
// by DHCP before it has any. What else the host sends is the underlay's.
func (in *Input) attachLocal(own *pipeline.Builder, i *model.Interface, stations []Station) {
	in.wired(own)
	enter := func(s Station, sender ...flow.Pred) {
		own.Flow(pipeline.Underlay, prioOwn, append(sender, flow.InPort.Is(uint64(flow.PortLocal)), flow.EthSrc.MAC(s.MAC), flow.VLANVID.Masked(0, flow.VLANPresent)),
			pipeline.Ingress.Set(i.ID), pipeline.Network.Set(s.Domain.Number), flow.GotoTable{Table: pipeline.Service.ID})
	}
	for _, s := range senders(stations) {
		same := slices.DeleteFunc(slices.Clone(stations), func(o Station) bool { return o.MAC != s.MAC })
		if asks := first(same, netip.Addr.Is4); asks != nil && asks.Domain == s.Domain {
			enter(s, isIPv4, isUDP, flow.IPv4Src.Addr(netip.IPv4Unspecified()), flow.UDPSrc.Is(68), flow.UDPDst.Is(67))
		}
		for _, a := range s.Addrs {
			if a.Is6() {
				enter(s, isIPv6, flow.IPv6Src.Addr(a.Addr))
				continue
			}
			enter(s, isIPv4, flow.IPv4Src.Addr(a.Addr))
			enter(s, isARP, flow.ARPSPA.Addr(a.Addr))
		}
	}
}

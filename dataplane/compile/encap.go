package compile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// How frames are carried to another host: by the default topology, unless a row wires a network, segment or route link there in another way. Table transport
// has one flow for each host, and one more for each domain on a host where this is so; nothing before it has to know.

// wiring is a row that wires a network, segment or route link to a datapath; the zero value where there is none.
type wiring struct {
	iface, lease, topology string
	mac                    model.MAC
}

// wiring gives the row of a network, segment or route link on a datapath.
func (in *Input) wiring(uuid, datapath string) wiring {
	g := in.X.Graph()
	row := func(r *model.Resource) model.Object {
		id, _ := g.ByUnique(r, "pair", datapath, uuid)
		o, _ := g.Get(id)
		return o
	}
	switch model.ByUUID(uuid) {
	case model.Networks:
		if o, ok := row(model.DatapathNetworks).(*model.DatapathNetwork); ok {
			return wiring{o.InterfaceUUID, o.IPLeaseUUID, o.TopologyUUID, o.MACAddress}
		}
	case model.Segments:
		if o, ok := row(model.DatapathSegments).(*model.DatapathSegment); ok {
			return wiring{o.InterfaceUUID, o.IPLeaseUUID, o.TopologyUUID, o.MACAddress}
		}
	case model.RouteLinks:
		if o, ok := row(model.DatapathRouteLinks).(*model.DatapathRouteLink); ok {
			return wiring{o.InterfaceUUID, o.IPLeaseUUID, o.TopologyUUID, o.MACAddress}
		}
	}
	return wiring{}
}

// topology is how a topology carries frames.
type topology struct{ *model.Topology }

// topology gives the one of that uuid, or the default one.
func (in *Input) topology(uuid string) topology {
	if t, ok := graph.Lookup[*model.Topology](in.X.Graph(), uuid); ok {
		return topology{t}
	}
	if t, ok := graph.Lookup[*model.Topology](in.X.Graph(), model.DefaultTopology); ok {
		return topology{t}
	}
	return topology{&model.Topology{}}
}

// kind gives the topology's encapsulation.
func (t topology) kind() pipeline.Encapsulation {
	switch t.Encapsulation {
	case model.VXLAN:
		return pipeline.EncapVXLAN
	case model.GRE:
		return pipeline.EncapGRE
	}
	return pipeline.EncapGeneve
}

// Encapsulations gives which kinds of tunnels the replica's topologies ask for, by pipeline.EncapGeneve, EncapVXLAN, EncapGRE. The bridge needs a port for each.
func (in *Input) Encapsulations() [3]bool {
	var used [3]bool
	used[in.topology("").kind()] = true
	for _, o := range in.X.Graph().List(model.Topologies) {
		used[topology{o.(*model.Topology)}.kind()] = true
	}
	return used
}

// encapTo gives how frames of a network, segment or route link go to another host.
func (in *Input) encapTo(uuid, datapath string) pipeline.Encapsulation {
	if in.unencapsulated(uuid, datapath) {
		return pipeline.EncapMAC2MAC
	}
	return in.topology(in.wiring(uuid, datapath).topology).kind()
}

// unencapsulated reports whether frames of a network, segment or route link go to another host as they are: both hosts have a row for it whose topology says
// so, and the rows' host interfaces have addresses in one physical network.
func (in *Input) unencapsulated(uuid, datapath string) bool {
	own, other := in.wiring(uuid, in.Self), in.wiring(uuid, datapath)
	if in.Bridge.Uplink == 0 || own.mac == (model.MAC{}) || other.mac == (model.MAC{}) || !in.topology(own.topology).MAC2MAC || !in.topology(other.topology).MAC2MAC {
		return false
	}
	for _, n := range in.underlays(own.iface) {
		if slices.Contains(in.underlays(other.iface), n) {
			return true
		}
	}
	return false
}

// underlays gives the physical networks that a host interface has addresses in.
func (in *Input) underlays(iface string) []string {
	var ns []string
	for o := range in.X.Graph().Referrers(iface, "ip_leases.interface_uuid") {
		if n, ok := graph.Lookup[*model.Network](in.X.Graph(), o.(*model.IPLease).NetworkUUID); ok && n.Mode == model.NetworkPhysical {
			ns = append(ns, n.UUID)
		}
	}
	return ns
}

// tunnelEnd gives where tunnelled frames of a network, segment or route link are sent to on another host: the address that the row names, the first of the row's
// interface, or the host's first.
func (in *Input) tunnelEnd(uuid, datapath string) netip.Addr {
	g := in.X.Graph()
	w := in.wiring(uuid, datapath)
	if l, ok := graph.Lookup[*model.IPLease](g, w.lease); ok && l.InterfaceUUID == w.iface {
		return l.Addr()
	}
	if ls := graph.Children[*model.IPLease](g, w.iface, "ip_leases.interface_uuid"); w.iface != "" && len(ls) > 0 && in.X.Location(w.iface) == datapath {
		return ls[0].Addr()
	}
	if ends := in.TunnelEnds(datapath); len(ends) > 0 {
		return ends[0]
	}
	return netip.Addr{}
}

// tunnelled gives the actions that send a frame through a tunnel port to an address. The key is the number in register network.
func tunnelled(port flow.Port, to netip.Addr) []flow.Action {
	dst := flow.TunDst
	if to.Is6() {
		dst = flow.TunIPv6Dst
	}
	return []flow.Action{
		flow.SetField(dst.Addr(to)),
		flow.Move{Src: pipeline.Network.Bits.Field.Bits(0, 24), Dst: flow.TunID.Bits(0, 24)},
		flow.Output{Port: port},
	}
}

// carriedTo gives the flows by which the frames of a network, segment or route link of that VNI are carried to another host in another way than by default.
func (in *Input) carriedTo(b *pipeline.Builder, uuid string, vni uint32, dp *model.Datapath) {
	preds := pipeline.Preds{pipeline.Egress.Is(dp.ID), pipeline.Network.Is(vni)}
	kind, end := in.topology(in.wiring(uuid, dp.UUID).topology).kind(), in.tunnelEnd(uuid, dp.UUID)
	ends := in.TunnelEnds(dp.UUID)
	if tunnel := in.Bridge.Tunnels[kind]; end.IsValid() && (kind != in.topology("").kind() || len(ends) == 0 || end != ends[0]) {
		var actions []flow.Action // none if the port is not there yet: not by another encapsulation
		if tunnel != 0 {
			actions = tunnelled(tunnel, end)
		}
		b.Flow(pipeline.Transport, prioOwn, preds, actions...)
	}
	if !in.unencapsulated(uuid, dp.UUID) {
		return
	}
	// What comes from outside goes through the tunnel: the other host knows senders by their MAC addresses.
	preds = append(preds, pipeline.FromOut.Is(0))
	stands := flow.SetField(flow.EthDst.MAC(in.wiring(uuid, dp.UUID).mac))
	out := flow.Output{Port: in.Bridge.Uplink}
	if model.ByUUID(uuid) == model.RouteLinks {
		b.Flow(pipeline.Transport, prioOwn+1, preds, stands, out)
		return
	}
	b.Flow(pipeline.Transport, prioOwn+1, preds, out)
	b.Flow(pipeline.Transport, prioOwn+2, append(preds, flow.EthDst.MACMasked(multicastMAC, multicastMAC)), stands, out)
}

// arrivesUnencapsulated takes in what other hosts send of a domain to the MAC address that stands for it on this host.
func (in *Input) arrivesUnencapsulated(own *pipeline.Builder, d Domain) {
	w := in.wiring(d.UUID, in.Self)
	if !d.carried() || !in.takesUnencapsulated(w) {
		return
	}
	in.wired(own)
	own.Flow(pipeline.Underlay, prioOwn, pipeline.Preds{flow.InPort.Is(uint64(in.Bridge.Uplink)), flow.EthDst.MAC(w.mac)},
		pipeline.Network.Set(d.Number), pipeline.Remote.Set(1), flow.GotoTable{Table: pipeline.Restore.ID})
}

// takesUnencapsulated reports whether other hosts may send frames as they are to what the row wires to this host.
func (in *Input) takesUnencapsulated(w wiring) bool {
	return in.Bridge.Uplink != 0 && w.mac != (model.MAC{}) && in.topology(w.topology).MAC2MAC
}

// sendsUnencapsulated takes in what a station on another host, or a leg on any, sends as it is: the MAC address says the domain. Of one that is in several, or in a physical
// network besides, it says the first; the error says so.
func (in *Input) sendsUnencapsulated(own *pipeline.Builder, i *model.Interface, stations []Station) error {
	taken := map[model.MAC]Domain{}
	for _, s := range stations {
		if _, ok := taken[s.MAC]; ok || !in.comesUnencapsulated(i, s.Domain) {
			continue
		}
		taken[s.MAC] = s.Domain
		in.wired(own)
		own.Flow(pipeline.Underlay, prioAllow, pipeline.Preds{flow.InPort.Is(uint64(in.Bridge.Uplink)), flow.EthSrc.MAC(s.MAC)},
			pipeline.Network.Set(s.Domain.Number), pipeline.Remote.Set(1), flow.GotoTable{Table: pipeline.L2.ID})
	}
	var errs []error
	for _, s := range stations {
		if d, ok := taken[s.MAC]; ok && d != s.Domain && (s.Domain.physical() || in.comesUnencapsulated(i, s.Domain)) {
			errs = append(errs, fmt.Errorf("%w: MAC address %s is in %s and in %s: what other hosts send from it without encapsulation (mac2mac) is taken to be of %s; lease one for each",
				ErrUnrealised, s.MAC, d.UUID, s.Domain.UUID, d.UUID))
		}
	}
	return errors.Join(errs...)
}

// comesUnencapsulated reports whether another host may send what the interface sends in a domain here as it is.
func (in *Input) comesUnencapsulated(i *model.Interface, d Domain) bool {
	if !d.carried() || !in.takesUnencapsulated(in.wiring(d.UUID, in.Self)) {
		return false
	}
	at, target := in.X.Location(i.UUID), in.X.Move(i.UUID).Target
	from := func(dp string) bool { return dp != "" && dp != in.Self && in.unencapsulated(d.UUID, dp) }
	return from(at) || from(target) || at == "" && i.Mode == model.InterfaceSimulated
}

// restore gives a multicast frame that came to the address that stands for its domain its destination back (RFC 1112, section 6.4; RFC 2464, section 7).
func restore(b *pipeline.Builder) {
	l2 := flow.GotoTable{Table: pipeline.L2.ID}
	b.Flow(pipeline.Restore, prioAllow, pipeline.Preds{isIPv4, flow.IPv4Dst.Prefix(allGroups[0])},
		flow.SetField(flow.EthDst.MAC(model.MAC{0x01, 0x00, 0x5e})), flow.Move{Src: flow.IPv4Dst.Bits(0, 23), Dst: flow.EthDst.Bits(0, 23)}, l2)
	b.Flow(pipeline.Restore, prioAllow, pipeline.Preds{isIPv6, flow.IPv6Dst.Prefix(allGroups[1])},
		flow.SetField(flow.EthDst.MAC(model.MAC{0x33, 0x33})), flow.Move{Src: flow.IPv6Dst.Bits(0, 32), Dst: flow.EthDst.Bits(0, 32)}, l2)
	b.Flow(pipeline.Restore, prioUnderlay, nil, flow.SetField(flow.EthDst.MAC(broadcastMAC)), l2)
}

// linkWireFeature is how the packets of a route link are carried to each host which legs of it are pinned to (the unit's peer), and how they arrive as they are.
var linkWireFeature = feature{
	kind: "route_link_wire",
	units: func(in *Input, yield func(state.Unit)) {
		for _, o := range in.X.Graph().List(model.RouteLinks) {
			in.linkWires(o.Base().UUID, yield)
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) {
		l, ok := in.routeLink(u.UUID)
		if !ok {
			return state.Items{}, nil
		}
		b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindRouteLink, ID: l.ID})
		if u.Peer != "" {
			if dp, ok := graph.Lookup[*model.Datapath](in.X.Graph(), u.Peer); ok && u.Peer != in.Self && in.X.Present(span.Pair{Network: u.UUID, Datapath: u.Peer}) {
				in.carriedTo(b, u.UUID, l.VNI, dp)
			}
		} else if w := in.wiring(u.UUID, in.Self); in.takesUnencapsulated(w) {
			in.wired(b)
			b.Flow(pipeline.Underlay, prioOwn, pipeline.Preds{flow.InPort.Is(uint64(in.Bridge.Uplink)), flow.EthDst.MAC(w.mac)},
				pipeline.Remote.Set(1), pipeline.RouteLink.Set(l.VNI), flow.GotoTable{Table: pipeline.L3Route.ID})
		}
		return result(b, state.Items{})
	},
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		for _, c := range e.Changed {
			for _, o := range []model.Object{c.Old, c.New} {
				switch o := o.(type) {
				case *model.RouteLink:
					in.linkWires(o.UUID, add)
				case *model.Datapath:
					for n := range in.X.NetworksOn(o.UUID) {
						add(state.Unit{Kind: "route_link_wire", UUID: n, Peer: o.UUID})
					}
				}
			}
		}
		flip := func(p span.Pair) {
			add(state.Unit{Kind: "route_link_wire", UUID: p.Network, Peer: p.Datapath})
			if p.Datapath == in.Self {
				in.linkWires(p.Network, add)
			}
		}
		for p := range e.Flips {
			flip(p)
		}
		for _, p := range e.NeedFlips {
			flip(p)
		}
		in.rewiredPairs(e, func(p span.Pair) {
			add(state.Unit{Kind: "route_link_wire", UUID: p.Network})
			add(state.Unit{Kind: "route_link_wire", UUID: p.Network, Peer: p.Datapath})
		})
	},
}

func (in *Input) linkWires(uuid string, yield func(state.Unit)) {
	yield(state.Unit{Kind: "route_link_wire", UUID: uuid})
	for d := range in.X.DatapathsOf(uuid) {
		yield(state.Unit{Kind: "route_link_wire", UUID: uuid, Peer: d})
	}
}

// rewiredPairs gives the domains and route links on datapaths that may be carried there in another way than before: their rows, the topologies of these, or the
// hosts' own interfaces have changed.
func (in *Input) rewiredPairs(e *span.Effects, yield func(span.Pair)) {
	g := in.X.Graph()
	whole := func(uuid string) {
		for d := range in.X.DatapathsOf(uuid) {
			yield(span.Pair{Network: uuid, Datapath: d})
		}
	}
	row := func(uuid, datapath string) {
		yield(span.Pair{Network: uuid, Datapath: datapath})
		if datapath == in.Self {
			whole(uuid)
		}
	}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			switch o := o.(type) {
			case *model.DatapathNetwork:
				row(o.NetworkUUID, o.DatapathUUID)
			case *model.DatapathSegment:
				row(o.SegmentUUID, o.DatapathUUID)
			case *model.DatapathRouteLink:
				row(o.RouteLinkUUID, o.DatapathUUID)
			case *model.Topology: // rare, and nearly everything may hang on it
				for _, r := range []*model.Resource{model.Networks, model.Segments, model.RouteLinks} {
					for _, d := range g.List(r) {
						whole(d.Base().UUID)
						yield(span.Pair{Network: d.Base().UUID, Datapath: in.Self})
					}
				}
			case *model.Network:
				if o.Mode == model.NetworkPhysical { // host interfaces may have come to share one
					in.ofHostInterfaces(o.UUID, row)
				}
			}
		}
	}
	for d := range in.endsMoved(e) {
		for uuid := range in.X.NetworksOn(d) {
			row(uuid, d)
		}
		for _, o := range g.List(model.RouteLinks) {
			row(o.Base().UUID, d)
		}
	}
}

// ofHostInterfaces gives what is on the hosts whose interfaces have addresses in a physical network.
func (in *Input) ofHostInterfaces(network string, yield func(uuid, datapath string)) {
	for o := range in.X.Graph().Referrers(network, "ip_leases.network_uuid") {
		i, ok := graph.Lookup[*model.Interface](in.X.Graph(), o.(*model.IPLease).InterfaceUUID)
		if !ok || i.Mode != model.InterfaceHost {
			continue
		}
		at := in.X.Location(i.UUID)
		for uuid := range in.X.NetworksOn(at) {
			yield(uuid, at)
		}
	}
}

// rewired gives the domains whose frames may go between hosts as they are, or do so no more.
func (in *Input) rewired(e *span.Effects) map[string]struct{} {
	domains := map[string]struct{}{}
	as := false // whether a topology carries frames as they are, or did
	for _, o := range in.X.Graph().List(model.Topologies) {
		as = as || o.(*model.Topology).MAC2MAC
	}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			if t, ok := o.(*model.Topology); ok {
				as = as || t.MAC2MAC
			}
		}
	}
	if as {
		in.rewiredPairs(e, func(p span.Pair) { domains[p.Network] = struct{}{} })
	}
	return domains
}

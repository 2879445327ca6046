package compile

import (
	"errors"
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

// interfaceFeature is what each interface needs on this host.
var interfaceFeature = feature{
	kind: "interface",
	units: func(in *Input, yield func(state.Unit)) {
		in.counted = nil // everything is compiled anew
		for _, o := range in.X.Graph().List(model.Interfaces) {
			yield(state.Unit{Kind: "interface", UUID: o.Base().UUID})
		}
	},
	items: func(in *Input, u state.Unit) (state.Items, error) { return in.iface(u.UUID) },
	dirty: func(in *Input, e *span.Effects, add func(state.Unit)) {
		iface := func(uuid string) {
			if uuid == "" {
				return
			}
			add(state.Unit{Kind: "interface", UUID: uuid})
			for o := range in.X.Graph().Referrers(uuid, "mirrors.target_interface_uuid") { // its copies go to where it is
				add(state.Unit{Kind: "interface", UUID: o.(*model.Mirror).InterfaceUUID})
			}
		}
		for i := range e.Interfaces {
			iface(i)
		}
		for _, c := range e.Changed {
			appeared := c.New == nil || c.Old == nil
			for _, o := range []model.Object{c.Old, c.New} {
				switch o := o.(type) {
				case *model.Datapath:
					if appeared {
						for i := range in.X.InterfacesAt(o.UUID) {
							iface(i)
						}
					}
				case *model.Network, *model.Segment:
					in.X.InterfacesOf(o.Base().UUID)(func(i string) bool { iface(i); return true })
				case *model.NetworkService:
					iface(o.InterfaceUUID)
				}
			}
		}
		flip := func(p span.Pair) {
			if p.Datapath == in.Self {
				for i := range in.X.InterfacesOf(p.Network) {
					iface(i)
				}
				return
			}
			for i := range in.X.InterfacesAt(p.Datapath) {
				if slices.Contains(in.X.Domains(i), p.Network) {
					iface(i)
				}
			}
		}
		for p := range e.Flips {
			flip(p)
		}
		for _, p := range e.NeedFlips {
			flip(p)
		}
		for domain := range in.reattached(e, true) {
			for i := range in.X.InterfacesOf(domain) {
				iface(i)
			}
		}
		for domain := range in.domainsRecounted {
			for i := range in.X.InterfacesOf(domain) {
				iface(i)
			}
		}
		for domain := range in.rewired(e) {
			for i := range in.X.InterfacesOf(domain) {
				iface(i)
			}
		}
	},
}

// iface gives what an interface needs on this host: towards it, and, where it has its port here, from it.
func (in *Input) iface(uuid string) (state.Items, error) {
	i, ok := graph.Lookup[*model.Interface](in.X.Graph(), uuid)
	if !ok {
		return state.Items{}, nil
	}
	b := pipeline.NewBuilder(pipeline.Owner{Kind: pipeline.KindInterface, ID: i.ID})
	items := state.Items{}
	stations := in.Stations(uuid)
	here := in.X.At(uuid, in.Self)
	for _, s := range stations {
		if s.Domain.physical() && !in.any(countGuests, s.Domain.UUID) {
			continue // of the underlay's own, which is not the data plane's
		}
		in.answer(b, i, s, here)
		if s.Domain.Segment || in.any(countRouting, s.Domain.UUID) {
			taken(b, i, s, here)
		}
		items.Neighbors = append(items.Neighbors, neighbors(i, s)...)
		in.inside(b, i, s)
		if i.Mode != model.InterfaceSimulated {
			in.towards(b, i, s)
			in.sentOn(b, i, s)
			continue
		}
		if here {
			echo(b, s)
			closed(b, s)
			items.Simulated = append(items.Simulated, simulated(i, s)...)
			in.named(b, i, s)
			in.reachable(b, &items, i, s)
		}
		in.towardsSimulated(b, i, s)
		in.served(b, i, s)
	}
	errs := []error{in.sendsUnencapsulated(b, i, stations)}
	switch {
	case i.Mode == model.InterfaceSimulated:
	case !here:
		in.attachElsewhere(b, &items, i)
	case i.Mode == model.InterfaceHost:
		stations = slices.DeleteFunc(stations, func(s Station) bool { return !in.any(countGuests, s.Domain.UUID) })
		in.attachHost(b, &items, i, stations)
	default:
		in.copied(b, i)
		errs = append(errs, in.attachHere(b, &items, i, stations))
	}
	items, err := result(b, items)
	return items, errors.Join(append(errs, err)...)
}

// towards leads frames for the interface's MAC address to its host, and on that host to its port.
func (in *Input) towards(b *pipeline.Builder, i *model.Interface, s Station) {
	at := in.X.Location(i.UUID)
	preds := pipeline.Preds{pipeline.Network.Is(s.Domain.Number), flow.EthDst.MAC(s.MAC)}
	d, known := graph.Lookup[*model.Datapath](in.X.Graph(), at)
	switch {
	case at == in.Self && s.Domain.carried() && !s.Domain.Present: // its host does not take part, for others or itself
		b.Drop(pipeline.L2, prioAllow, reason.Transport, preds...)
	case at == in.Self && in.leaving(i, s.Domain):
		in.sendOn(b, s, in.X.Move(i.UUID).Target, preds)
	case at == in.Self && at != "":
		b.Flow(pipeline.L2, prioAllow, preds, pipeline.Egress.Set(i.ID), flow.GotoTable{Table: pipeline.Deliver.ID})
		b.Drop(pipeline.L2, prioOwn, reason.Destination, append(preds, pipeline.Ingress.Is(i.ID))...)
	case at == "":
		b.Drop(pipeline.L2, prioAllow, reason.NoPort, preds...)
	case s.Domain.physical():
		in.toWire(b, prioAllow, preds)
		if in.arriving(i) && in.hasPort(i) { // the wire leads here what is for it as soon as it has sent something
			b.Flow(pipeline.L2, prioOwn, append(preds, pipeline.FromOut.Is(1), pipeline.Ingress.Is(0)), pipeline.Egress.Set(i.ID), flow.GotoTable{Table: pipeline.Deliver.ID})
		}
	case in.left(i, s.Domain) && in.unencapsulated(s.Domain.UUID, at): // the wire leads here what is for it until it has sent something there
		in.sendOn(b, s, at, preds)
	case known && s.Domain.carried() && in.X.Present(span.Pair{Network: s.Domain.UUID, Datapath: at}):
		b.Flow(pipeline.L2, prioAllow, append(preds, pipeline.Remote.Is(0)), pipeline.Egress.Set(d.ID), flow.GotoTable{Table: pipeline.Transport.ID})
		in.onlyThere(b, preds, s.Domain)
		in.passing(b, i, s, append(preds, pipeline.Remote.Is(1)))
	case s.Domain.carried():
		b.Drop(pipeline.L2, prioAllow, reason.Transport, preds...)
	}
}

// onlyThere keeps frames for a station on another host, which that host alone should have got, from what this host does with frames for nobody.
func (in *Input) onlyThere(b *pipeline.Builder, to pipeline.Preds, d Domain) {
	if in.attachedHere(d) || d.UnknownUnicast == model.UnknownFlood {
		b.Drop(pipeline.L2, prioPass, reason.Destination, to...)
	}
}

// toWire leads frames for a station of a physical network that is on another host to the NIC.
func (in *Input) toWire(b *pipeline.Builder, priority uint16, preds pipeline.Preds) {
	if in.Bridge.Uplink == 0 {
		b.Drop(pipeline.L2, priority, reason.Destination, preds...)
		return
	}
	b.Flow(pipeline.L2, priority, preds, pipeline.Egress.Set(0), flow.GotoTable{Table: pipeline.Output.ID})
	b.For(pipeline.Owner{Kind: pipeline.KindHost}).Flow(pipeline.Output, prioAllow, pipeline.Preds{pipeline.Egress.Is(0)}, flow.Output{Port: in.Bridge.Uplink})
}

// towardsSimulated refuses frames for a simulated interface that no table of routing takes. One that is pinned to another host and routes may be a leg there, by
// routes that this host is not told of.
func (in *Input) towardsSimulated(b *pipeline.Builder, i *model.Interface, s Station) {
	to := pipeline.Preds{pipeline.Network.Is(s.Domain.Number), flow.EthDst.MAC(s.MAC)}
	at := in.X.Location(i.UUID)
	dp, known := graph.Lookup[*model.Datapath](in.X.Graph(), at)
	switch elsewhere := at != "" && at != in.Self; {
	case elsewhere && s.Domain.physical():
		in.toWire(b, prioAllow-1, to)
	case elsewhere && i.EnableRouting && s.Domain.carried() && known && in.X.Present(span.Pair{Network: s.Domain.UUID, Datapath: at}):
		b.Flow(pipeline.L2, prioAllow-1, append(to, pipeline.Remote.Is(0)), pipeline.Egress.Set(dp.ID), flow.GotoTable{Table: pipeline.Transport.ID})
		in.onlyThere(b, to, s.Domain)
	case elsewhere && i.EnableRouting && s.Domain.carried():
		b.Drop(pipeline.L2, prioAllow-1, reason.Transport, append(to, pipeline.Remote.Is(0))...)
	default:
		b.Drop(pipeline.L2, prioAllow-2, reason.Destination, to...)
	}
}

// closed tells who sends to an address of a simulated interface that nothing serves it there. A leg's MAC address leads to the tables of routing before.
func closed(b *pipeline.Builder, s Station) {
	for _, a := range s.Addrs {
		f := familyOf(a.Addr)
		refuse(b, pipeline.L2, prioAllow-1, reason.Destination, pipeline.Network.Is(s.Domain.Number), flow.EthDst.MAC(s.MAC), f.is, f.dst.Addr(a.Addr))
	}
}

// asks lets an interface send packets to the agent, each class through a meter of its own.
func (in *Input) asks(b *pipeline.Builder, items *state.Items, i *model.Interface, slot pipeline.Slot) {
	for _, c := range pipeline.PuntClasses {
		switch c.Class {
		case pipeline.PuntLearn, pipeline.PuntNeighbor: // what devices behind the port say
			if !outside(i.Mode) {
				continue
			}
		case pipeline.PuntActivate:
			if !in.arriving(i) {
				continue
			}
		case pipeline.PuntND:
			if !in.Bridge.NoND {
				continue
			}
		}
		in.toAgent(b, items, i.ID, slot, c.Class)
	}
}

// toAgent leads packets of a class to the agent, of an interface or with id 0 of nobody's port, through the meter of a slot. The meter is the controller action's: before it,
// it would drop what a copy was made of, too.
func (in *Input) toAgent(b *pipeline.Builder, items *state.Items, ingress uint32, slot pipeline.Slot, class pipeline.PuntClass) {
	for _, c := range pipeline.PuntClasses {
		limit := in.Bridge.Limits.Port(class)
		if ingress == 0 {
			limit = c.Host
		}
		if c.Class != class || limit == (pipeline.Limit{}) {
			continue
		}
		b.Flow(pipeline.Punt, prioAllow, pipeline.Preds{pipeline.Ingress.Is(ingress), pipeline.Class.Is(uint32(class))}, flow.Controller{Meter: class.Meter(slot), MaxLen: c.Captured})
		if slot != pipeline.HostSlot || ingress == 0 { // the host's interface shares the host's
			items.Meters = append(items.Meters, state.Meter{ID: class.Meter(slot), Rate: limit.Rate, Burst: limit.Burst})
		}
	}
}

// attachHere gives what an interface with a port here needs: its way in, its way out, its place in the flood groups, its meters, and its entry in the
// fast path. The error says why it stays closed, or works in part only.
func (in *Input) attachHere(b *pipeline.Builder, items *state.Items, i *model.Interface, stations []Station) error {
	p, ok := in.portOf(i)
	if !ok {
		return nil
	}
	pol, err := in.policy(i, p)
	if err != nil {
		return err
	}
	items.Zones = pol.zones()
	slot, err := in.Bridge.slot(p)
	if err != nil {
		return err
	}
	in.asks(b, items, i, slot)
	in.midStream(b, i, pol)
	items.Meters = append(items.Meters, rates(i, slot)...)
	deliver(b, i, pol)
	in.copies(b, i)

	if outside(i.Mode) {
		err = in.attachOutside(b, items, i, p, pol, stations)
	} else if p.OFPort == flow.PortLocal {
		in.attachLocal(b, i, stations)
		in.output(b, i, p, 0)
	} else {
		in.classify(b, i, p, nil, append(pol.sending(), flow.GotoTable{Table: pipeline.GuardMAC.ID}))
		in.guards(b, i, stations)
		in.output(b, i, p, 0)
		in.fast(items, i, p, stations)
	}
	for _, s := range stations {
		if !outside(i.Mode) {
			in.floodTo(b, items, i, p, pol, s.Domain)
		}
		in.reachable(b, items, i, s)
	}
	return err
}

// deliver gives what the filters have to know when the interface gets a packet, and keeps what it sent itself from it.
func deliver(b *pipeline.Builder, i *model.Interface, pol policy) {
	b.Flow(pipeline.Deliver, prioAllow, pipeline.Preds{pipeline.Egress.Is(i.ID)}, append(pol.getting(), flow.GotoTable{Table: pipeline.InFilter.ID})...)
	b.Flow(pipeline.Deliver, prioOwn, pipeline.Preds{pipeline.Egress.Is(i.ID), pipeline.Ingress.Is(i.ID)})
}

// floodTo gives the interface its place in the flood group of a domain. Where nothing is to be done on the way to its port, the bucket leads there.
func (in *Input) floodTo(b *pipeline.Builder, items *state.Items, i *model.Interface, p Port, pol policy, d Domain) {
	to := []flow.Action{pipeline.Egress.Set(i.ID), flow.Resubmit{Table: pipeline.Deliver.ID}}
	if pol == (policy{}) && i.IngressRate == 0 && i.Mode != model.InterfaceEdge && !in.mirrored(i, model.MirrorIngress) {
		to = []flow.Action{flow.Output{Port: p.OFPort}}
	}
	shard := uint8(0)
	if p.OFPort != flow.PortLocal {
		shard = shardOf(uint32(p.OFPort))
	}
	flooded(b, items, d, shard, false, b.Bucket(pipeline.Flood, i.ID, to...))
}

// simulated gives what programs at ports know the station by, as what is for it is limited. What is sent to an address that is translated is for others.
func simulated(i *model.Interface, s Station) []state.Simulated {
	all := []state.Simulated{{MAC: s.MAC, Interface: i.ID}}
	for _, a := range s.Addrs {
		if !i.EnableRouteTranslation {
			all = append(all, state.Simulated{MAC: s.MAC, Addr: a.Addr, Interface: i.ID})
		}
	}
	return all
}

// fast gives the interface's entry in the fast path. The program limits what the port asks the host for; if it can, it answers and guards as well.
func (in *Input) fast(items *state.Items, i *model.Interface, p Port, stations []Station) {
	if p.Ifindex == 0 {
		return
	}
	entry := state.FastPort{Name: p.Name, Ifindex: p.Ifindex, Interface: i.ID, Hook: state.HookAuto}
	stations = slices.DeleteFunc(slices.Clone(stations), func(s Station) bool { return !s.Domain.Present })
	if items.Sources = in.sources(i, stations); items.Sources != nil {
		entry.Guard = true
		if asks := first(stations, netip.Addr.Is4); asks != nil {
			entry.Network, entry.MAC = asks.Domain.Number, asks.MAC
		}
	}
	items.Ports = []state.FastPort{entry}
}

// sources gives the addresses by which the program guards the interface, none if it cannot: it guards ARP and neighbour solicitations by the interface's own addresses, and
// knows of one MAC address only that it may ask with before it has an IPv4 address; it makes no copies, and does not tell who comes.
func (in *Input) sources(i *model.Interface, stations []Station) []state.FastSource {
	for _, ml := range graph.Children[*model.MACLease](in.X.Graph(), i.UUID, "mac_leases.interface_uuid") {
		if ml.SegmentUUID != "" {
			return nil
		}
	}
	if in.arriving(i) || in.mirrored(i, model.MirrorEgress) || in.mirrored(i, model.MirrorIngress) {
		return nil
	}
	var sources []state.FastSource
	seen := map[state.SourceKey]bool{}
	for _, s := range stations {
		for _, a := range s.Addrs {
			src := state.FastSource{Interface: i.ID, Addr: a.Addr, MAC: s.MAC, Network: s.Domain.Number}
			if seen[src.Key()] || len(sources) > 0 && s.MAC != sources[0].MAC {
				return nil
			}
			seen[src.Key()] = true
			sources = append(sources, src)
		}
	}
	return sources
}

package compile

import (
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// prioMetadata is of what guests send to the addresses of metadata; what nothing else is for is refused at prioFirst.
const prioMetadata = prioFirst + 10

// metadata gives what guests here get from the addresses of metadata, if the domain has a service for it at this host: ARP, ND and echo are answered, HTTP goes to the agent.
func (in *Input) metadata(b *pipeline.Builder, items *state.Items, d Domain) {
	i, s := in.teller(d)
	if s == nil {
		return
	}
	from := func(preds ...flow.Pred) pipeline.Preds {
		return append(pipeline.Preds{pipeline.Network.Is(d.Number), pipeline.FromOut.Is(0)}, preds...)
	}
	for _, a := range []netip.Addr{model.MetadataIPv4(), model.MetadataIPv6()} {
		at := Station{MAC: s.MAC, Domain: d, Addrs: []Address{{Addr: a}}}
		items.Neighbors = append(items.Neighbors, neighbors(i, at)...)
		items.Simulated = append(items.Simulated, state.Simulated{Addr: a}) // whatever the MAC address: guests ask as their routes say
		f := familyOf(a)
		if a.Is4() {
			b.Flow(pipeline.Service, prioMetadata, from(isARP, flow.ARPOp.Is(1), flow.ARPTPA.Addr(a)), arpReply(s.MAC, a)...)
		} else {
			b.Flow(pipeline.Service, prioMetadata, from(append(discovery(icmpNS), flow.ICMPv6Code.Is(0), flow.NDTarget.Addr(a))...),
				flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}, flow.SetField(flow.EthSrc.MAC(s.MAC)), flow.GotoTable{Table: pipeline.ND.ID})
		}
		b.Flow(pipeline.Service, prioMetadata, from(f.is, isTCP, f.dst.Addr(a), flow.TCPDst.Is(80)), pipeline.Class.Set(uint32(pipeline.PuntMetadata)), flow.GotoTable{Table: pipeline.Punt.ID})
		b.Flow(pipeline.Service, prioMetadata, from(f.is, f.icmp, f.icmpType.Is(f.request), f.code.Is(0), f.dst.Addr(a)), echoReply(f, s.MAC, a)...)
		b.Drop(pipeline.Service, prioFirst, reason.Metadata, from(f.is, f.dst.Addr(a))...)
	}
}

// teller gives who answers for metadata in a domain: the interface with the lowest id that has such a service and is at this host, with its first MAC address there.
func (in *Input) teller(d Domain) (*model.Interface, *Station) {
	var who *model.Interface
	var with *Station
	for _, o := range in.X.Graph().List(model.NetworkServices) {
		s := o.(*model.NetworkService)
		i, ok := graph.Lookup[*model.Interface](in.X.Graph(), s.InterfaceUUID)
		if !ok || s.Mode != model.ServiceMetadata || i.Mode != model.InterfaceSimulated || who != nil && who.ID <= i.ID || !in.X.At(i.UUID, in.Self) {
			continue
		}
		for _, st := range in.Stations(i.UUID) {
			if st.Domain.UUID == d.UUID {
				who, with = i, &st
				break
			}
		}
	}
	return who, with
}

// Tells reports whether the interface's guests in the domain of that number are told their metadata.
func (in *Input) Tells(number uint32) bool {
	d, ok := in.domainByNumber(number)
	if !ok || !d.Present {
		return false
	}
	i, _ := in.teller(d)
	return i != nil
}

// retold calls domain for each domain in which who answers for metadata may have changed.
func (in *Input) retold(e *span.Effects, domain func(uuid string)) {
	g := in.X.Graph()
	tells := map[string]bool{}
	for _, c := range e.Changed {
		for _, o := range []model.Object{c.Old, c.New} {
			if s, ok := o.(*model.NetworkService); ok && s.Mode == model.ServiceMetadata && s.InterfaceUUID != "" {
				tells[s.InterfaceUUID] = true
				for _, d := range in.X.Domains(s.InterfaceUUID) {
					domain(d)
				}
			}
		}
	}
	for uuid, m := range e.Interfaces {
		for o := range g.Referrers(uuid, "network_services.interface_uuid") {
			tells[uuid] = tells[uuid] || o.(*model.NetworkService).Mode == model.ServiceMetadata
		}
		if !tells[uuid] {
			continue
		}
		before, after := m.Domains()
		for _, ds := range [][]string{before, after} {
			for _, d := range ds {
				domain(d)
			}
		}
	}
}

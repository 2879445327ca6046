package compile

import (
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// named leads questions for names to the agent, if the interface, which is here, has a service for them: those of the domain, and those that routers bring.
func (in *Input) named(b *pipeline.Builder, i *model.Interface, s Station) {
	if !in.Serves(i.UUID, model.ServiceDNS) {
		return
	}
	for _, a := range s.Addrs {
		f := familyOf(a.Addr)
		for _, transport := range []pipeline.Preds{{isUDP, flow.UDPDst.Is(portDNS)}, {isTCP, flow.TCPDst.Is(portDNS)}} {
			question := append(pipeline.Preds{pipeline.Network.Is(s.Domain.Number), flow.EthDst.MAC(s.MAC), f.is, f.dst.Addr(a.Addr)}, transport...)
			b.Flow(pipeline.Service, prioAllow, question, pipeline.Class.Set(uint32(pipeline.PuntDNS)), flow.GotoTable{Table: pipeline.Punt.ID})
			routed := append(question[:len(question):len(question)], pipeline.Ingress.Is(0), pipeline.Remote.Is(0), pipeline.FromOut.Is(0))
			b.Flow(pipeline.L2, prioOwn, routed, pipeline.Class.Set(uint32(pipeline.PuntDNS)), flow.Resubmit{Table: pipeline.Punt.ID})
		}
	}
}

const portDNS = 53

// Serves reports whether an interface has a service of that mode.
func (in *Input) Serves(iface, mode string) bool {
	for o := range in.X.Graph().Referrers(iface, "network_services.interface_uuid") {
		if o.(*model.NetworkService).Mode == mode {
			return true
		}
	}
	return false
}

// AddressOf gives the uuid of the interface that has an address in a domain, "" if there is none.
func (in *Input) AddressOf(d Domain, a netip.Addr) string {
	g := in.X.Graph()
	if mac, ok := model.OfMAC(a); ok && model.LinkLocals().Contains(a) {
		uuid, _ := g.ByUnique(model.MACLeases, "mac", mac.String())
		l, _ := graph.Lookup[*model.MACLease](g, uuid)
		if l == nil {
			return ""
		}
		return l.InterfaceUUID
	}
	group := "ipv6"
	if a.Is4() {
		group = "ipv4"
	}
	networks := []string{d.UUID}
	if d.Segment {
		networks = nil
		for o := range g.Referrers(d.UUID, "networks.segment_uuid") {
			networks = append(networks, o.Base().UUID)
		}
	}
	for _, n := range networks {
		uuid, _ := g.ByUnique(model.IPLeases, group, n, a.String())
		if l, ok := graph.Lookup[*model.IPLease](g, uuid); ok {
			return l.InterfaceUUID
		}
	}
	return ""
}

// HostAddresses gives the addresses of interfaces with a service of that mode that hosts themselves may reach: those in networks that are not virtual.
func (in *Input) HostAddresses(mode string) []netip.Addr {
	g := in.X.Graph()
	var out []netip.Addr
	for _, o := range g.List(model.NetworkServices) {
		s := o.(*model.NetworkService)
		if s.Mode != mode {
			continue
		}
		for o := range g.Referrers(s.InterfaceUUID, "ip_leases.interface_uuid") {
			l := o.(*model.IPLease)
			if n, ok := graph.Lookup[*model.Network](g, l.NetworkUUID); ok && n.Mode != model.NetworkVirtual {
				out = append(out, l.Addr())
			}
		}
	}
	return out
}

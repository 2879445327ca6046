package compile

import (
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Server is a simulated interface in a domain that something answers for.
type Server struct {
	Station
	Interface *model.Interface
	Service   string // uuid of its service of mode dhcp; "" if it has none
}

// DHCPServers gives the interfaces with a service of mode dhcp in a domain, by id of the service.
func (in *Input) DHCPServers(d Domain) []Server {
	var out []Server
	for _, o := range in.X.Graph().List(model.NetworkServices) {
		svc := o.(*model.NetworkService)
		i, ok := graph.Lookup[*model.Interface](in.X.Graph(), svc.InterfaceUUID)
		if !ok || svc.Mode != model.ServiceDHCP {
			continue
		}
		for _, s := range in.Stations(i.UUID) {
			if s.Domain == d {
				out = append(out, Server{s, i, svc.UUID})
			}
		}
	}
	return out
}

// Advertisers gives the interfaces that advertise themselves in a domain, by id: those that have their link-local address there, and route or have a service of mode dhcp.
func (in *Input) Advertisers(d Domain) []Server {
	var out []Server
	for uuid := range in.X.InterfacesOf(d.UUID) {
		i, ok := graph.Lookup[*model.Interface](in.X.Graph(), uuid)
		if !ok || i.Mode != model.InterfaceSimulated || slices.ContainsFunc(out, func(s Server) bool { return s.Interface == i }) {
			continue
		}
		for _, s := range in.Stations(uuid) {
			if service := in.dhcpService(i); s.Domain == d && s.linkLocal() && (i.EnableRouting || service != "") {
				out = append(out, Server{s, i, service})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Server) int { return int(a.Interface.ID) - int(b.Interface.ID) })
	return out
}

// dhcpService gives the uuid of an interface's first service of mode dhcp, "" if it has none.
func (in *Input) dhcpService(i *model.Interface) string {
	for _, s := range graph.Children[*model.NetworkService](in.X.Graph(), i.UUID, "network_services.interface_uuid") {
		if s.Mode == model.ServiceDHCP {
			return s.UUID
		}
	}
	return ""
}

// served leads questions to the agent that it answers with what the interface says: DHCP and DHCPv6 of a service, in a domain where the interface has an address of the
// family, and router solicitations of guests, where it has its link-local address and has such a service or routes.
func (in *Input) served(own *pipeline.Builder, i *model.Interface, s Station) {
	dhcp := in.dhcpService(i) != ""
	b := own.For(s.Domain.owner()) // services of one domain share the flows
	punt := func(class pipeline.PuntClass, preds ...flow.Pred) {
		b.Flow(pipeline.Service, prioAllow, append(preds, pipeline.Network.Is(s.Domain.Number)), pipeline.Class.Set(uint32(class)), flow.GotoTable{Table: pipeline.Punt.ID})
	}
	if dhcp && len(s.Addrs) > 0 {
		punt(pipeline.PuntDHCP4, isIPv4, isUDP, flow.UDPSrc.Is(68), flow.UDPDst.Is(67))
	}
	if dhcp && slices.ContainsFunc(s.Addrs, func(a Address) bool { return a.Is6() && a.Network != nil }) {
		punt(pipeline.PuntDHCP6, isIPv6, isUDP, flow.UDPSrc.Is(546), flow.UDPDst.Is(547))
	}
	if (dhcp || i.EnableRouting) && s.linkLocal() {
		punt(pipeline.PuntRA, append(discovery(icmpRS), pipeline.FromOut.Is(0))...)
	}
}

// linkLocal reports whether the station has its link-local address in its domain.
func (s *Station) linkLocal() bool {
	return slices.ContainsFunc(s.Addrs, func(a Address) bool { return a.Network == nil })
}

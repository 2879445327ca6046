package agent

import (
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp"
)

// services answers the packets that the switch sends up.
type services struct {
	replica *replica
	log     *slog.Logger
	mtu     atomic.Int32 // of guests on this host; 0: not known
	dhcp    [dhcp.NumVerdicts]atomic.Uint64
	strays  atomic.Uint64 // packets of no known class or interface
	askers  askers
}

// answer gives the answer to a packet that was sent up, nil for none.
func (s *services) answer(p ovs.Packet) []byte {
	switch p.Class {
	case pipeline.PuntDHCP4:
		reply, verdict := dhcp.Respond(p.Data, func(chaddr model.MAC) *dhcp.Binding {
			return s.binding(p.Ingress, p.Network, chaddr)
		})
		s.dhcp[verdict].Add(1)
		if verdict == dhcp.UnknownClient && p.Network == 0 {
			s.unleased(p)
		}
		return reply
	}
	s.strays.Add(1)
	return nil
}

// binding gives what DHCP says to a client with that MAC address on an interface and network, nil if it has no lease there.
func (s *services) binding(iface, vni uint32, mac model.MAC) *dhcp.Binding {
	s.replica.mu.RLock()
	defer s.replica.mu.RUnlock()
	in := &s.replica.in
	g := in.X.Graph()
	i, ok := g.ByID(model.Interfaces, iface)
	if !ok {
		return nil
	}
	client := station(in.Stations(i.Base().UUID), vni, func(st compile.Station) bool { return st.MAC == mac })
	if client == nil {
		return nil
	}
	for _, o := range g.List(model.NetworkServices) {
		svc := o.(*model.NetworkService)
		if svc.Mode != model.ServiceDHCP {
			continue
		}
		server := station(in.Stations(svc.InterfaceUUID), vni, func(compile.Station) bool { return true })
		if server == nil {
			continue
		}
		b, err := dhcp.NewBinding(dhcp.Config{
			Client: mac, Address: netip.PrefixFrom(client.IPv4(), client.Network.IPv4Prefix), Server: server.IPv4(), ServerMAC: server.MAC,
			Domain: client.Network.DomainName, MTU: uint16(s.mtu.Load()),
		})
		if err != nil {
			s.log.Warn("a DHCP client cannot be configured", "interface", i.Base().UUID, "error", err)
			return nil
		}
		return b
	}
	return nil
}

// station gives the first of the stations in the network that has an IPv4 address and passes the test, nil if there is none.
func station(stations []compile.Station, vni uint32, pass func(compile.Station) bool) *compile.Station {
	for _, st := range stations {
		if st.Network.VNI == vni && st.IPv4().IsValid() && pass(st) {
			return &st
		}
	}
	return nil
}

package agent

import (
	"context"
	"net/netip"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/guide"
	"github.com/openvnet/openvnet/services/dhcp"
)

// dhcpService answers DHCP. What it says is that of the replica at the time, so that a change counts from the next packet on.
type dhcpService struct {
	*desk
	verdicts verdicts[dhcp.Verdict]
	askers   *askers
	tenants  *tenants
	clients  recall[sender, *dhcpClient]
}

func newDHCPService(d *desk) *dhcpService {
	return &dhcpService{desk: d, askers: newAskers(4), tenants: &tenants{log: d.log, tell: func(string, bool) {}}}
}

// words are what clients' messages say of their leases.
var words = map[dhcp.Verdict]word{
	dhcp.AckSelecting: taken, dhcp.AckInitReboot: used, dhcp.AckRenewing: used, dhcp.AckRebinding: used, dhcp.Released: released, dhcp.Declined: declined,
}

func (s *dhcpService) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	reply := s.answer(p, now)
	if reply == nil {
		return "" // counted by verdict
	}
	if err := s.inject(ctx, reply, p.Back()); err != nil {
		return dropNoSwitch
	}
	return ""
}

func (s *dhcpService) tick(_ context.Context, now time.Time) {
	if s.tenants.expire(now, s.replica.holds) {
		s.wake()
	}
}

// answer gives the answer to a question, nil for none.
func (s *dhcpService) answer(p ovs.Packet, now time.Time) []byte {
	var c *dhcpClient
	reply, verdict := dhcp.Respond(p.Data, func(chaddr model.MAC) *dhcp.Binding {
		found := s.clients.get(s.replica, sender{p.Ingress, p.Network, chaddr}, func(in *compile.Input) (*dhcpClient, bool) {
			c := s.client(in, &p, chaddr)
			return c, c != nil
		})
		if found == nil {
			return nil
		}
		c = found
		return c.binding
	})
	s.verdicts.hear(s.desk, heardIn(&p), verdict)
	switch {
	case verdict == dhcp.UnknownClient && p.Network == 0:
		s.askers.unleased(s.replica, p, now)
	case c != nil && words[verdict] != 0 && s.tenants.heard(c.held, words[verdict], now):
		s.wake()
	}
	return reply
}

// dhcpClient is who asks, with the lease that the question is about.
type dhcpClient struct {
	held
	binding *dhcp.Binding // what DHCP says
}

// client gives who has sent the packet; nil if the MAC address has no lease there or no service is for it.
func (s *dhcpService) client(in *compile.Input, p *ovs.Packet, mac model.MAC) *dhcpClient {
	g := in.X.Graph()
	i, addrs := whoAsks(in, p, mac)
	for _, a := range addrs {
		l, ok := g.ByID(model.IPLeases, a.Lease)
		if !ok {
			continue
		}
		service, server := serverOf(in, a.Network, p)
		if service == nil {
			continue
		}
		c := dhcpConfig(in, i, mac, a, service, server)
		b, err := dhcp.NewBinding(c)
		if err != nil {
			s.log.Warn("a DHCP client cannot be configured", "interface", i.UUID, "error", err)
			return nil
		}
		return &dhcpClient{held{i.UUID, l.Base().UUID, a.Addr, c.Lease, c.Lease / 2}, b}
	}
	return nil
}

// whoAsks gives the interface that a question is of, with its IPv4 addresses in the domain that go with the MAC address. Who is behind a port of devices, or on the
// wire, is known by the MAC address: the flows have seen to it that it is nobody else's.
func whoAsks(in *compile.Input, p *ovs.Packet, mac model.MAC) (*model.Interface, []compile.Address) {
	g := in.X.Graph()
	if o, ok := g.ByID(model.Interfaces, p.Ingress); ok {
		switch i := o.(*model.Interface); i.Mode {
		case model.InterfaceEdge, model.InterfacePromiscuous, model.InterfacePatch:
		default:
			return i, addressesOf(in, i.UUID, p.Network, mac)
		}
	}
	uuid, _ := g.ByUnique(model.MACLeases, "mac", mac.String())
	ml, ok := graph.Lookup[*model.MACLease](g, uuid)
	if !ok {
		return nil, nil
	}
	i, ok := graph.Lookup[*model.Interface](g, ml.InterfaceUUID)
	if !ok || i.Mode == model.InterfaceSimulated {
		return nil, nil
	}
	if i.Mode != model.InterfaceHost {
		return i, addressesOf(in, i.UUID, p.Network, mac)
	}
	var out []compile.Address // of another host, which is behind the wire
	for _, l := range graph.Children[*model.IPLease](g, i.UUID, "ip_leases.interface_uuid") {
		n, ok := graph.Lookup[*model.Network](g, l.NetworkUUID)
		if d, here := in.DomainByNumber(p.Network); ok && here && l.Addr().Is4() && (d.UUID == n.UUID || d.UUID == n.SegmentUUID) {
			out = append(out, compile.Address{Addr: l.Addr(), Network: n, Lease: l.ID})
		}
	}
	return i, out
}

// addressesOf gives the IPv4 addresses that an interface uses with a MAC address in the domain of that number.
func addressesOf(in *compile.Input, iface string, domain uint32, mac model.MAC) []compile.Address {
	var out []compile.Address
	for _, st := range in.Stations(iface) {
		if st.Domain.Number != domain || st.MAC != mac {
			continue
		}
		for _, a := range st.Addrs {
			if a.Is4() {
				out = append(out, a)
			}
		}
	}
	return out
}

// server is a simulated interface in a network.
type server struct {
	addr netip.Addr
	mac  model.MAC
}

// serverOf gives the first service for the network with the interface that answers; nil if there is none. What comes from the wire is the answer of that host alone which
// the interface is pinned to.
func serverOf(in *compile.Input, n *model.Network, p *ovs.Packet) (*model.NetworkService, server) {
	for _, o := range in.X.Graph().List(model.NetworkServices) {
		svc := o.(*model.NetworkService)
		if svc.Mode != model.ServiceDHCP || p.Ingress == 0 && !in.X.At(svc.InterfaceUUID, in.Self) {
			continue
		}
		for _, st := range in.Stations(svc.InterfaceUUID) {
			for _, a := range st.Addrs {
				if a.Is4() && a.Network == n && st.Domain.Number == p.Network {
					return svc, server{a.Addr, st.MAC}
				}
			}
		}
	}
	return nil, server{}
}

// dhcpConfig gives what a service says to the client with that address.
func dhcpConfig(in *compile.Input, i *model.Interface, mac model.MAC, a compile.Address, svc *model.NetworkService, by server) dhcp.Config {
	n := a.Network
	told := guide.Of(in.X.Graph(), n, guide.IPv4)
	c := dhcp.Config{
		Client: mac, Address: netip.PrefixFrom(a.Addr, n.IPv4Prefix), Server: by.addr, ServerMAC: by.mac,
		DNS: told.DNS, Host: i.GuestName(), Domain: told.Domain, Lease: lasting(in, a),
	}
	if told.Domain != "" {
		c.Search = []string{told.Domain}
	}
	if mtu := in.MTU(n.UUID); mtu >= dhcp.MinMTU {
		c.MTU = uint16(min(mtu, 65535)) //nolint:gosec // it fits
	}
	for _, r := range told.Routers {
		c.Routers = append(c.Routers, r.Addr)
	}
	for _, r := range told.Routes {
		c.Routes = append(c.Routes, dhcp.Route{Destination: r.Destination, Via: r.Via.Addr})
	}
	for code, data := range guide.Options(in.X.Graph(), svc.UUID, n.UUID, i.UUID, guide.IPv4) {
		c.Options = append(c.Options, dhcp.Option{Code: uint8(code), Data: data}) //nolint:gosec // up to 254, of DHCP
	}
	return c
}

// holds reports whether the interface has the lease with that address.
func (r *replica) holds(h held) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	l, ok := graph.Lookup[*model.IPLease](r.in.X.Graph(), h.lease)
	return ok && l.InterfaceUUID == h.iface && l.Addr() == h.addr
}

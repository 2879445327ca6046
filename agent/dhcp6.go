package agent

import (
	"context"
	"slices"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/guide"
	"github.com/openvnet/openvnet/services/dhcp6"
)

// dhcp6Service answers DHCPv6. What it says is that of the replica at the time, so that a change counts from the next packet on.
type dhcp6Service struct {
	*desk
	verdicts verdicts[dhcp6.Verdict]
	askers   *askers
	tenants  *tenants
	clients  recall[sender, *dhcp6Client]
}

// words6 are what clients' messages say of their leases.
var words6 = map[dhcp6.Verdict]word{
	dhcp6.ReplyRapid: taken, dhcp6.ReplyRequest: taken, dhcp6.ReplyRenew: used, dhcp6.ReplyRebind: used, dhcp6.ReplyRelease: released, dhcp6.ReplyDecline: declined,
}

// dhcp6Client is who asks, with its leases.
type dhcp6Client struct {
	leases  []held
	binding *dhcp6.Binding // what DHCPv6 says
}

func (s *dhcp6Service) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	reply := s.answer(p, now)
	if reply == nil {
		return "" // counted by verdict
	}
	if err := s.inject(ctx, reply, p.Back()); err != nil {
		return dropNoSwitch
	}
	return ""
}

// answer gives the answer to a question, nil for none.
func (s *dhcp6Service) answer(p ovs.Packet, now time.Time) []byte {
	var c *dhcp6Client
	reply, verdict, own := dhcp6.Respond(p.Data, func(mac model.MAC) *dhcp6.Binding {
		c = s.clients.get(s.replica, sender{p.Ingress, p.Network, mac}, func(in *compile.Input) (*dhcp6Client, bool) {
			c := s.client(in, &p, mac)
			return c, c != nil
		})
		if c == nil {
			return nil
		}
		return c.binding
	})
	s.verdicts.hear(s.desk, heardIn(&p), verdict)
	if verdict == dhcp6.UnknownClient {
		s.askers.unleased(s.replica, p, now)
	}
	if w := words6[verdict]; w != 0 {
		for _, l := range c.leases {
			if slices.Contains(own, l.addr) && s.tenants.heard(l, w, now) {
				s.wake()
			}
		}
	}
	return reply
}

func (*dhcp6Service) tick(context.Context, time.Time) {}

// client gives who has sent the packet, nil if it has no IPv6 address there or no service is for it.
func (s *dhcp6Service) client(in *compile.Input, p *ovs.Packet, mac model.MAC) *dhcp6Client {
	guest, at := guestAt(in, p.Ingress, p.Network, mac)
	if guest == nil {
		return nil
	}
	for _, n := range networksOf(at) {
		for _, server := range in.DHCPServers(at.Domain) {
			if !slices.ContainsFunc(server.Addrs, func(a compile.Address) bool { return a.Is6() && a.Network == n }) {
				continue
			}
			b, err := dhcp6.NewBinding(dhcp6Config(in, guest, at, n, server))
			if err != nil {
				s.log.Warn("a DHCPv6 client cannot be configured", "interface", guest.UUID, "error", err)
				return nil
			}
			c := &dhcp6Client{binding: b}
			lease, renew := b.Times()
			for _, a := range at.Addrs {
				if l, ok := leaseByID(in.X.Graph(), a.Lease); ok && a.Is6() && a.Network == n {
					c.leases = append(c.leases, held{guest.UUID, l.UUID, a.Addr, lease, renew})
				}
			}
			return c
		}
	}
	return nil
}

// dhcp6Config gives what a service says to a guest of a network. Where guests make their addresses themselves they get none.
func dhcp6Config(in *compile.Input, guest *model.Interface, at *compile.Station, n *model.Network, server compile.Server) dhcp6.Config {
	told := guide.Of(in.X.Graph(), n, guide.IPv6)
	c := dhcp6.Config{
		Client: at.MAC, Prefix: n.Prefix6(), ServerMAC: server.MAC, DNS: told.DNS[:min(len(told.DNS), 8)], MTU: mtu16(in.MTU(n.UUID)),
		Lease: leaseTime(n),
	}
	for _, a := range at.Addrs {
		if a.Is6() && a.Network == n && !n.Autonomous().IsValid() && len(c.Addresses) < dhcp6.MaxAddresses {
			c.Addresses = append(c.Addresses, a.Addr)
			c.Lease = min(c.Lease, lasting(in, a))
		}
	}
	if told.Domain != "" {
		c.Search = []string{told.Domain}
	}
	for code, data := range guide.Options(in.X.Graph(), server.Service, n.UUID, guest.UUID, guide.IPv6) {
		c.Options = append(c.Options, dhcp6.Option{Code: code, Data: data})
	}
	slices.SortFunc(c.Options, func(a, b dhcp6.Option) int { return int(a.Code) - int(b.Code) })
	return c
}

// guestAt gives the interface of that id, if it is a guest's, with what it is in the domain of that number with the MAC address.
func guestAt(in *compile.Input, id, domain uint32, mac model.MAC) (*model.Interface, *compile.Station) {
	o, ok := in.X.Graph().ByID(model.Interfaces, id)
	if !ok {
		return nil, nil
	}
	i := o.(*model.Interface)
	for _, st := range in.Stations(i.UUID) {
		if st.Domain.Number == domain && st.MAC == mac {
			return i, &st
		}
	}
	return nil, nil
}

// networksOf gives the networks of a station's IPv6 addresses, each once, in the order of the addresses.
func networksOf(st *compile.Station) []*model.Network {
	var out []*model.Network
	for _, a := range st.Addrs {
		if a.Is6() && a.Network != nil && !slices.Contains(out, a.Network) {
			out = append(out, a.Network)
		}
	}
	return out
}

// mtu16 gives an MTU as messages say it: 0 for none that IPv6 could go by.
func mtu16(mtu int) uint16 {
	if mtu < minMTU6 {
		return 0
	}
	return uint16(min(mtu, 65535)) //nolint:gosec // it fits
}

// minMTU6 is the smallest MTU of a link with IPv6 (RFC 8200, section 5).
const minMTU6 = 1280

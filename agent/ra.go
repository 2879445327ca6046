package agent

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/guide"
	"github.com/openvnet/openvnet/services/ra"
)

const (
	advertisePerTick = 200 // guests that are told without having asked
	prefixLifetime   = 24 * time.Hour
	maxRA            = 8 // DNS servers
)

// metadataPrefix is on the link of networks with a service of mode metadata, so that guests reach it without a route.
var metadataPrefix = netip.MustParsePrefix("fd00:ec2::254/128")

// routerService advertises networks to their guests on this host: to who asks, now and then, and at once when what there is to say changes.
type routerService struct {
	*desk
	verdicts   verdicts[ra.Verdict]
	askers     *askers
	answers    recall[sender, routerAnswer]
	schedule   *ra.Schedule
	generation uint64
}

// routerAnswer is what a guest is told that asks, and who it is with the first router.
type routerAnswer struct {
	told  []*ra.Advertisement
	first ra.Guest
}

func newRouterService(d *desk) *routerService {
	return &routerService{desk: d, askers: newAskers(6), schedule: ra.NewSchedule()}
}

func (s *routerService) handle(ctx context.Context, now time.Time, p ovs.Packet) string {
	var first ra.Guest
	replies, verdict := ra.Respond(p.Data, func(mac model.MAC) []*ra.Advertisement {
		a := s.answers.get(s.replica, sender{p.Ingress, p.Network, mac}, func(in *compile.Input) (routerAnswer, bool) {
			a := s.answer(in, &p, mac)
			return a, len(a.told) > 0
		})
		first = a.first
		return a.told
	})
	s.verdicts.hear(s.desk, heardIn(&p), verdict)
	if verdict == ra.NoRouter {
		s.askers.unleased(s.replica, p, now) // routers are advertised to it when its lease comes, as to every guest
	}
	if verdict == ra.ToAll && !s.schedule.Asked(now, first) {
		return dropSuppressed
	}
	for _, reply := range replies {
		if err := s.inject(ctx, reply, p.Back()); err != nil {
			return dropNoSwitch
		}
	}
	return ""
}

// answer gives what the guest that has sent the packet is told, nothing if there is none.
func (s *routerService) answer(in *compile.Input, p *ovs.Packet, mac model.MAC) (a routerAnswer) {
	_, at := guestAt(in, p.Ingress, p.Network, mac)
	if at == nil {
		return a
	}
	for _, r := range s.advertised(in, at, map[string]guide.Guide{}) {
		a.first = cmp.Or(a.first, ra.Guest{Interface: p.Ingress, Domain: p.Network, Router: r.router})
		a.told = append(a.told, r.Advertisement)
	}
	return a
}

func (s *routerService) tick(ctx context.Context, now time.Time) {
	if !s.ready.Load() {
		return // guests' ports may not be there yet
	}
	if g := s.replica.generationNow(); g != s.generation {
		s.generation = g
		s.schedule.Want(now, s.wanted())
	}
	for _, t := range s.schedule.Due(now, advertisePerTick) {
		s.send(ctx, t.Frame(), ovs.Through(pipeline.Output, pipeline.Network.Set(t.Domain), pipeline.Egress.Set(t.Interface)))
	}
}

// wanted gives what each guest on this host is to be told.
func (s *routerService) wanted() map[ra.Guest]*ra.Advertisement {
	s.replica.mu.RLock()
	defer s.replica.mu.RUnlock()
	in := &s.replica.in
	want, guides := map[ra.Guest]*ra.Advertisement{}, map[string]guide.Guide{}
	for port := range in.Bridge.Ports() {
		for _, uuid := range in.InterfacesOfPort(port) {
			o, ok := in.X.Graph().Get(uuid)
			if own, here := in.PortOf(uuid); !ok || !here || own != port || o.(*model.Interface).Mode != model.InterfaceVIF {
				continue
			}
			for _, st := range in.Stations(uuid) {
				for _, a := range s.advertised(in, &st, guides) {
					g := ra.Guest{Interface: o.Base().ID, Domain: st.Domain.Number, Router: a.router}
					if want[g] == nil {
						want[g] = a.Advertisement
					}
				}
			}
		}
	}
	return want
}

// advertised is what one router says.
type advertised struct {
	*ra.Advertisement
	router uint32 // id of the interface
}

// advertised gives what the routers of a domain say to a guest there: the first one all that there is to say, the others of themselves. guides keeps what is the
// same for all guests of a network.
func (s *routerService) advertised(in *compile.Input, at *compile.Station, guides map[string]guide.Guide) []advertised {
	networks := networksOf(at)
	if len(networks) == 0 || !at.Domain.Present {
		return nil
	}
	var out []advertised
	routers := in.Advertisers(at.Domain)
	for k, r := range routers {
		c := ra.Config{Source: r.MAC}
		for _, n := range networks {
			told, ok := guides[n.UUID]
			if !ok {
				told = guide.Of(in.X.Graph(), n, guide.IPv6)
				guides[n.UUID] = told
			}
			if k == 0 {
				describe(in, &c, at.Domain, n, told)
			}
			c.Default = c.Default || slices.ContainsFunc(told.Routers, func(x guide.Router) bool { return x.Interface == r.Interface.UUID })
			for _, x := range told.Routes {
				if x.Via.Interface == r.Interface.UUID && !slices.Contains(c.Routes, x.Destination) {
					c.Routes = append(c.Routes, x.Destination)
				}
			}
		}
		if k > 0 && !c.Default && len(c.Routes) == 0 {
			continue
		}
		a, err := ra.New(c)
		if err != nil {
			s.log.Warn("a network cannot be advertised", "network", networks[0].UUID, "error", err)
			continue
		}
		out = append(out, advertised{a, r.Interface.ID})
	}
	return out
}

// describe adds what a network says of itself, whoever routes. Guests are told to ask DHCPv6 only where somebody answers.
func describe(in *compile.Input, c *ra.Config, d compile.Domain, n *model.Network, told guide.Guide) {
	lifetime := prefixLifetime
	if n.DHCPLeaseTime != 0 {
		lifetime = time.Duration(n.DHCPLeaseTime) * time.Second
	}
	c.Prefixes = append(c.Prefixes, ra.Prefix{Prefix: n.Prefix6().Masked(), Autonomous: n.Autonomous().IsValid(), Lifetime: lifetime})
	if mtu := mtu16(in.MTU(n.UUID)); mtu != 0 && (c.MTU == 0 || mtu < c.MTU) {
		c.MTU = mtu
	}
	dns, search := told.DNS, []string(nil)
	if told.Domain != "" {
		search = []string{told.Domain}
	}
	for _, server := range in.DHCPServers(d) {
		if !slices.ContainsFunc(server.Addrs, func(a compile.Address) bool { return a.Is6() && a.Network == n }) {
			continue
		}
		switch n.IPv6Addressing {
		case model.AddressingStateless:
			c.Other = true
		case model.AddressingSLAAC:
		default:
			c.Managed = true
		}
		options := guide.Options(in.X.Graph(), server.Service, n.UUID, "", guide.IPv6)
		if data, given := options[optDNS6]; given {
			dns = nil
			for ; len(data) >= 16; data = data[16:] {
				dns = append(dns, netip.AddrFrom16([16]byte(data)))
			}
		}
		if data, given := options[optSearch6]; given {
			search = nil
			if l, err := rfc1035label.FromBytes(data); err == nil && len(data) > 0 {
				search = l.Labels
			}
		}
		break
	}
	c.DNS = append(c.DNS, dns...)
	c.DNS = c.DNS[:min(len(c.DNS), maxRA)]
	for _, name := range search {
		if !slices.Contains(c.Search, name) {
			c.Search = append(c.Search, name)
		}
	}
	for _, o := range in.X.Graph().List(model.NetworkServices) {
		svc := o.(*model.NetworkService)
		if svc.Mode != model.ServiceMetadata || slices.ContainsFunc(c.Prefixes, func(p ra.Prefix) bool { return p.Prefix == metadataPrefix }) {
			continue
		}
		if slices.ContainsFunc(in.Stations(svc.InterfaceUUID), func(st compile.Station) bool {
			return slices.ContainsFunc(st.Addrs, func(a compile.Address) bool { return a.Network == n })
		}) {
			c.Prefixes = append(c.Prefixes, ra.Prefix{Prefix: metadataPrefix, Lifetime: lifetime})
		}
	}
}

// Options of DHCPv6 that router advertisements say too (RFC 3646).
const (
	optDNS6    = 23
	optSearch6 = 24
)

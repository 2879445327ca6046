package agent

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp"
)

// services work on the packets that the switch sends up.
type services struct {
	*desk
	lanes   []*lane
	workers map[*lane]worker
	strays  atomic.Uint64 // packets of no known class
	lost    atomic.Uint64 // that earlier sessions have not taken

	dhcp      *dhcpService
	teller    *teller
	nextHops  *nextHops
	learner   *learner
	prober    *prober
	arrivals  *arrivals
	announcer *announcer
}

// worker is a service, and how often it looks for something to do.
type worker struct {
	service
	every time.Duration
}

func newServices(d *desk) *services {
	t := &teller{desk: d}
	s := &services{
		desk: d, workers: map[*lane]worker{},
		dhcp: &dhcpService{desk: d}, teller: t, nextHops: newNextHops(d, t), learner: newLearner(d), prober: &prober{desk: d}, arrivals: &arrivals{desk: d}, announcer: newAnnouncer(d),
	}
	add := func(c pipeline.PuntClass, work service, every time.Duration) {
		l := newLane(c)
		s.lanes = append(s.lanes, l)
		s.workers[l] = worker{work, every}
	}
	add(pipeline.PuntDHCP4, s.dhcp, tickEvery)
	add(pipeline.PuntNeighbor, s.nextHops, tickEvery)
	add(pipeline.PuntLearn, s.learner, tickEvery)
	add(pipeline.PuntMembers, newSnooper(d), tickEvery)
	add(pipeline.PuntReject, &rejecter{d}, tickEvery)
	add(pipeline.PuntError, t, tickEvery)
	add(pipeline.PuntLog, &ruleLog{desk: d}, tickEvery)
	add(pipeline.PuntProbe, s.prober, probeTick)
	add(pipeline.PuntND, &advertiser{d}, tickEvery)
	add(pipeline.PuntActivate, s.arrivals, tickEvery)
	return s
}

// run works until ctx ends.
func (s *services) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.lanes {
		g.Go(func() error { return l.run(ctx, s.workers[l].service, s.workers[l].every) })
	}
	g.Go(func() error { return s.usage(ctx) })
	g.Go(func() error { return s.announcer.run(ctx) })
	return g.Wait()
}

// take gives a packet to the lane of its class. It never blocks.
func (s *services) take(p ovs.Packet) {
	for _, l := range s.lanes {
		if l.class == p.Class {
			l.offer(p)
			return
		}
	}
	s.strays.Add(1)
}

// dhcpService answers DHCP.
type dhcpService struct {
	*desk
	verdicts [dhcp.NumVerdicts]atomic.Uint64
	askers   askers
}

func (s *dhcpService) handle(ctx context.Context, _ time.Time, p ovs.Packet) string {
	reply := s.answer(p)
	if reply == nil {
		return "" // counted by verdict
	}
	if err := s.reply(ctx, p, reply); err != nil {
		return dropNoSwitch
	}
	return ""
}

func (*dhcpService) tick(context.Context, time.Time) {}

// answer gives the answer to a question, nil for none.
func (s *dhcpService) answer(p ovs.Packet) []byte {
	reply, verdict := dhcp.Respond(p.Data, func(chaddr model.MAC) *dhcp.Binding {
		return s.binding(p.Ingress, p.Network, chaddr)
	})
	s.verdicts[verdict].Add(1)
	if verdict == dhcp.UnknownClient && p.Network == 0 {
		s.unleased(p)
	}
	return reply
}

// binding gives what DHCP says to a client with that MAC address on an interface and network, nil if it has no lease there.
func (s *dhcpService) binding(iface, vni uint32, mac model.MAC) *dhcp.Binding {
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
	address := client.IPv4()
	for _, o := range g.List(model.NetworkServices) {
		svc := o.(*model.NetworkService)
		if svc.Mode != model.ServiceDHCP {
			continue
		}
		server := station(in.Stations(svc.InterfaceUUID), vni, func(st compile.Station) bool { return st.IPv4().Network == address.Network })
		if server == nil {
			continue
		}
		b, err := dhcp.NewBinding(dhcp.Config{
			Client: mac, Address: netip.PrefixFrom(address.Addr, address.Network.IPv4Prefix), Server: server.IPv4().Addr, ServerMAC: server.MAC,
			Domain: address.Network.DomainName, MTU: uint16(in.MTU(address.Network.UUID)),
		})
		if err != nil {
			s.log.Warn("a DHCP client cannot be configured", "interface", i.Base().UUID, "error", err)
			return nil
		}
		return b
	}
	return nil
}

// station gives the first of the stations in the domain of that number that has an IPv4 address and passes the test, nil if there is none.
func station(stations []compile.Station, domain uint32, pass func(compile.Station) bool) *compile.Station {
	for _, st := range stations {
		if st.Domain.Number == domain && st.IPv4().IsValid() && pass(st) {
			return &st
		}
	}
	return nil
}

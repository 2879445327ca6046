package agent

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
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
	dhcp6     *dhcp6Service
	routers   *routerService
	dns       *dnsService
	claims    *claims
	nextHops  *nextHops
	learner   *learner
	prober    *prober
	arrivals  *arrivals
	announcer *announcer
	metadata  *metadataService
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
		dhcp: newDHCPService(d), dns: newDNSService(d), teller: t, nextHops: newNextHops(d, t), learner: newLearner(d), prober: &prober{desk: d}, arrivals: &arrivals{desk: d}, announcer: newAnnouncer(d), metadata: newMetadataService(d),
	}
	s.dhcp6, s.routers, s.claims = &dhcp6Service{desk: d, askers: newAskers(6), tenants: s.dhcp.tenants}, newRouterService(d), newClaims(d)
	add := func(c pipeline.PuntClass, work service, every time.Duration) {
		l := newLane(c)
		l.heard = d.heard
		s.lanes = append(s.lanes, l)
		s.workers[l] = worker{work, every}
	}
	add(pipeline.PuntDHCP4, s.dhcp, tickEvery)
	add(pipeline.PuntDHCP6, s.dhcp6, tickEvery)
	add(pipeline.PuntRA, s.routers, tickEvery)
	add(pipeline.PuntDNS, s.dns, tickEvery)
	add(pipeline.PuntClaim, s.claims, tickEvery)
	add(pipeline.PuntNeighbor, s.nextHops, tickEvery)
	add(pipeline.PuntLearn, s.learner, tickEvery)
	add(pipeline.PuntMembers, newSnooper(d), tickEvery)
	add(pipeline.PuntReject, &rejecter{d}, tickEvery)
	add(pipeline.PuntError, t, tickEvery)
	add(pipeline.PuntMetadata, s.metadata, tickEvery)
	add(pipeline.PuntLog, &ruleLog{desk: d}, tickEvery)
	add(pipeline.PuntProbe, s.prober, probeTick)
	add(pipeline.PuntND, &advertiser{d}, tickEvery)
	add(pipeline.PuntActivate, s.arrivals, tickEvery)
	return s
}

// tell makes a manager the one that is told.
func (s *services) tell(m Manager) {
	s.dhcp.askers.tell, s.dhcp6.askers.tell, s.routers.askers.tell = m.Asked, m.Asked, m.Asked
	s.dhcp.tenants.tell, s.arrivals.tell, s.claims.tell = m.Lease, m.Arrived, m.Claimed
}

// run works until ctx ends.
func (s *services) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range s.lanes {
		g.Go(func() error { return l.run(ctx, s.workers[l].service, s.workers[l].every) })
	}
	g.Go(func() error { return s.usage(ctx) })
	g.Go(func() error { return s.announcer.run(ctx) })
	g.Go(func() error { return s.dns.forward.Run(ctx) })
	g.Go(func() error { return s.dns.streams.Run(ctx) })
	g.Go(func() error { return s.metadata.run(ctx) })
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

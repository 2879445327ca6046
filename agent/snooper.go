package agent

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/services/members"
)

// Bounds of queries.
const (
	queryEvery  = 125 * time.Second // RFC 3376, section 8.2
	queryAgain  = queryEvery / 4    // after the first, which may be lost (section 8.6)
	queryWithin = 10 * time.Second  // for answers
	queryFirst  = time.Second       // for the first ones: until they come the interface gets nothing
	queryBatch  = 64                // interfaces of one message to the switch
)

// snooper keeps who has joined which multicast group, in domains with the policy snoop, and asks the interfaces of this host for it. Each host asks its own; what they
// report goes to the other hosts as well.
type snooper struct {
	*desk
	table      *members.Table
	generation uint64
	hosts      map[netip.Addr]uint32 // ids of datapaths, by the ends of their tunnels
	asked      map[uint32]*asked     // by domain
}

// asked are the interfaces of a domain that are asked.
type asked struct {
	ifaces []uint32
	fresh  []uint32 // those of them that are asked at the next tick: by then the switch has them
	begun  bool
	due    time.Time // when all are asked again
}

func newSnooper(d *desk) *snooper {
	return &snooper{desk: d, table: members.New(members.Options{}), asked: map[uint32]*asked{}}
}

func (s *snooper) handle(_ context.Context, now time.Time, p ovs.Packet) string {
	m, ok := s.reporter(p)
	if !ok {
		return dropSender
	}
	before := s.table.Refused()
	s.changed(s.table.Heard(now, p.Network, m, p.Data))
	if s.table.Refused() > before {
		return dropLimit
	}
	return ""
}

// changed brings what the bridge knows of groups up to date.
func (s *snooper) changed(groups []members.Key) {
	if len(groups) == 0 {
		return
	}
	s.replica.foundIn(func(in *compile.Input) []state.Unit {
		var units []state.Unit
		for _, k := range groups {
			key := compile.MemberKey(k)
			now := map[string]struct{}{}
			for _, m := range s.table.Members(k) {
				if o, ok := in.X.Graph().ByID(resourceOf(m), m.ID); ok {
					now[o.Base().UUID] = struct{}{}
				}
			}
			for _, uuid := range in.Bridge.MembersOf(key) {
				if _, still := now[uuid]; !still {
					units = append(units, in.Bridge.Leave(key, uuid)...)
				}
			}
			for uuid := range now {
				units = append(units, in.Bridge.Join(key, uuid)...)
			}
		}
		return units
	})
	s.wake()
}

func resourceOf(m members.Member) *model.Resource {
	if m.Remote {
		return model.Datapaths
	}
	return model.Interfaces
}

func (s *snooper) tick(ctx context.Context, now time.Time) {
	changed := s.table.Expire(now)
	if g := s.replica.generationNow(); g != s.generation {
		s.generation = g
		s.hosts = s.replica.hosts()
		snooped := s.replica.snooped()
		changed = append(changed, s.table.Retain(func(domain uint32, m members.Member) bool {
			ifaces, ok := snooped[domain]
			if !m.Remote {
				_, here := slices.BinarySearch(ifaces, m.ID)
				return ok && here
			}
			return ok && s.replica.has(model.Datapaths, m.ID)
		})...)
		defer s.take(now, snooped)
	}
	s.changed(changed)
	for domain, a := range s.asked {
		switch {
		case !s.ready.Load():
		case now.Before(a.due):
			s.query(ctx, domain, a.fresh, queryFirst)
			a.fresh = nil
		case a.begun:
			a.due = now.Add(queryEvery)
			s.query(ctx, domain, a.ifaces, queryWithin)
		default:
			a.begun, a.due = true, now.Add(queryAgain)
			s.query(ctx, domain, a.ifaces, queryFirst)
		}
	}
}

// take takes the interfaces that are to be asked; those that are new are asked soon: they may have joined before anybody listened.
func (s *snooper) take(now time.Time, snooped map[uint32][]uint32) {
	for domain := range s.asked {
		if _, ok := snooped[domain]; !ok {
			delete(s.asked, domain)
		}
	}
	for domain, ifaces := range snooped {
		a := s.asked[domain]
		if a == nil {
			s.asked[domain] = &asked{ifaces: ifaces, due: now} // all are asked now
			continue
		}
		for _, i := range ifaces {
			if _, known := slices.BinarySearch(a.ifaces, i); !known && a.begun {
				a.fresh = append(a.fresh, i)
				a.due = now.Add(queryAgain)
			}
		}
		a.ifaces = ifaces
	}
}

// querier is the MAC address that queries are from, which no interface has: it is of no vendor.
var querier = model.MAC{2, 'v', 'n', 'q', 'r', 'y'}

// query asks interfaces. Filters do not judge what the network itself says.
func (s *snooper) query(ctx context.Context, domain uint32, ifaces []uint32, within time.Duration) {
	for batch := range slices.Chunk(ifaces, queryBatch) {
		var ways []ovs.Way
		for _, i := range batch {
			ways = append(ways, ovs.Through(pipeline.Output, pipeline.Network.Set(domain), pipeline.Egress.Set(i)))
		}
		for _, q := range members.Query(querier, within) {
			s.send(ctx, q, ways...)
		}
	}
}

// foundIn is found with the whole input.
func (r *replica) foundIn(f func(*compile.Input) []state.Unit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.compile(slices.Values(f(&r.in)))
}

// reporter gives who has sent a report: an interface of this host, or another host, by its tunnel's end or, without encapsulation, by whose MAC address it is.
func (s *snooper) reporter(p ovs.Packet) (m members.Member, ok bool) {
	if !p.Remote {
		return members.Member{ID: p.Ingress}, s.replica.has(model.Interfaces, p.Ingress)
	}
	m.Remote = true
	if from := p.TunnelSource(); from.IsValid() {
		m.ID, ok = s.hosts[from]
	} else if mac, valid := sourceOf(p.Data); valid {
		m.ID, ok = s.replica.hostOf(mac)
	}
	return m, ok
}

// hosts gives the ids of other datapaths, by the ends of their tunnels.
func (r *replica) hosts() map[netip.Addr]uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ids := map[netip.Addr]uint32{}
	for _, o := range r.in.X.Graph().List(model.Datapaths) {
		if d := o.Base(); d.UUID != r.in.Self {
			for _, a := range r.in.TunnelEnds(d.UUID) {
				ids[a] = d.ID
			}
		}
	}
	return ids
}

// hostOf gives the id of the datapath where the interface with a MAC address is.
func (r *replica) hostOf(mac model.MAC) (uint32, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.in.X.Graph()
	uuid, _ := g.ByUnique(model.MACLeases, "mac", mac.String())
	l, ok := graph.Lookup[*model.MACLease](g, uuid)
	if !ok {
		return 0, false
	}
	dp, ok := graph.Lookup[*model.Datapath](g, r.in.X.Location(l.InterfaceUUID))
	if !ok || dp.UUID == r.in.Self {
		return 0, false
	}
	return dp.ID, true
}

// has reports whether there is an object of that id.
func (r *replica) has(res *model.Resource, id uint32) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.in.X.Graph().ByID(res, id)
	return ok
}

// snooped gives the domains with the policy snoop that are here, by number, with the interfaces that have ports here, sorted by id.
func (r *replica) snooped() map[uint32][]uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	domains := map[uint32][]uint32{}
	for d := range r.in.DomainsHere() {
		if d.Multicast != model.MulticastSnoop {
			continue
		}
		ifaces := []uint32{}
		for uuid := range r.in.PortsIn(d) {
			if o, ok := r.in.X.Graph().Get(uuid); ok {
				ifaces = append(ifaces, o.Base().ID)
			}
		}
		slices.Sort(ifaces)
		domains[d.Number] = ifaces
	}
	return domains
}

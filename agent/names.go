package agent

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/services/dns"
)

// automaticTTL is for how long the names of guests may be kept, in seconds.
const automaticTTL = 60

// names are the zones of this host's DNS servers: of each simulated interface with a dns service one, which knows its records and the names of the guests of its networks. They follow
// the replica, at the next question, by what has changed of it.
type names struct {
	replica *replica

	mu      sync.Mutex
	servers map[string]*nameServer // by uuid of the interface
	leases  map[string]struct{}    // the servers' own, by uuid
	ways    uint64                 // of the replica, when rooms were found
	rooms   map[uint32]int         // the MTU of domains, by number
}

// nameServer is what a simulated interface answers names by.
type nameServer struct {
	as       nameServerConfig
	zone     *dns.Zone
	networks []*model.Network // that it has leases in, by id
}

// nameServerConfig is what makes a zone another one as a whole.
type nameServerConfig struct {
	networks, services string // uuids
	upstreams          []netip.Addr
	config             dns.Config
}

func newNames(r *replica) *names {
	return &names{replica: r, servers: map[string]*nameServer{}, leases: map[string]struct{}{}, rooms: map[uint32]int{}}
}

// concernsNames reports whether names may follow from an object.
func concernsNames(o model.Object) bool {
	switch o.(type) {
	case *model.Interface, *model.IPLease, *model.Network, *model.NetworkService, *model.DNSService, *model.DNSRecord:
		return true
	}
	return false
}

// follow brings the zones up to date.
func (n *names) follow() {
	changed := n.replica.takeRenamed()
	if len(changed) == 0 {
		return
	}
	n.replica.mu.RLock()
	defer n.replica.mu.RUnlock()
	in := &n.replica.in
	if n.concernsServers(in, changed) {
		n.findServers(in)
	}
	if len(n.servers) == 0 {
		return
	}
	g := in.X.Graph()
	leases, records := map[string]struct{}{}, map[string]struct{}{}
	for uuid, was := range changed {
		switch was.(type) {
		case *model.IPLease:
			leases[uuid] = struct{}{}
		case *model.DNSRecord:
			records[uuid] = struct{}{}
		case *model.Interface:
			for o := range g.Referrers(uuid, "ip_leases.interface_uuid") {
				leases[o.Base().UUID] = struct{}{}
			}
		}
	}
	for iface, s := range n.servers {
		e := s.zone.Edit()
		for uuid := range leases {
			e.Put(uuid, s.guest(g, uuid)...)
		}
		for uuid := range records {
			e.Put(uuid, recorded(g, iface, uuid)...)
		}
		s.zone = e.Zone()
	}
}

// concernsServers reports whether what has changed may be more than guests and records of servers.
func (n *names) concernsServers(in *compile.Input, changed map[string]model.Object) bool {
	for uuid, o := range changed {
		switch o := o.(type) {
		case *model.NetworkService, *model.DNSService, *model.Network:
			return true
		case *model.Interface:
			if n.servers[uuid] != nil {
				return true
			}
		case *model.IPLease:
			l, _ := graph.Lookup[*model.IPLease](in.X.Graph(), uuid)
			_, own := n.leases[uuid]
			if own || n.servers[o.InterfaceUUID] != nil || l != nil && n.servers[l.InterfaceUUID] != nil {
				return true
			}
		}
	}
	return false
}

// findServers finds the servers there are. A zone is made anew if its networks or services are others.
func (n *names) findServers(in *compile.Input) {
	g := in.X.Graph()
	found := map[string]*nameServer{}
	n.leases = map[string]struct{}{}
	reachable := in.HostAddresses(model.ServiceDNS)
	for _, o := range g.List(model.NetworkServices) {
		ns := o.(*model.NetworkService)
		i, ok := graph.Lookup[*model.Interface](g, ns.InterfaceUUID)
		if ns.Mode != model.ServiceDNS || !ok || found[i.UUID] != nil {
			continue
		}
		s := &nameServer{}
		own := slices.Clone(reachable)
		for _, l := range graph.Children[*model.IPLease](g, i.UUID, "ip_leases.interface_uuid") {
			n.leases[l.UUID] = struct{}{}
			own = append(own, l.Addr())
			if nw, ok := graph.Lookup[*model.Network](g, l.NetworkUUID); ok && !slices.Contains(s.networks, nw) {
				s.networks = append(s.networks, nw)
			}
		}
		for _, nw := range s.networks {
			s.as.networks += nw.UUID + " "
			c := &s.as.config
			c.Domains = append(c.Domains, nw.GuestDomain())
			for _, p := range []netip.Prefix{nw.Prefix4(), nw.Prefix6()} {
				if p.IsValid() {
					c.Prefixes = append(c.Prefixes, p)
				}
			}
			if c.Server == "" {
				c.Server = i.GuestName() + "." + nw.GuestDomain()
			}
		}
		for _, d := range dnsServicesOf(g, i.UUID) {
			s.as.services += d.UUID + " "
			for _, a := range d.PublicDNS.Addrs() {
				if !slices.Contains(own, a) && !slices.Contains(s.as.upstreams, a) {
					s.as.upstreams = append(s.as.upstreams, a)
				}
			}
		}
		s.as.config.Forwards = len(s.as.upstreams) > 0
		found[i.UUID] = s
		old := n.servers[i.UUID]
		same := old != nil && old.as.networks == s.as.networks && old.as.services == s.as.services && slices.Equal(old.as.config.Domains, s.as.config.Domains)
		if !same {
			s.fill(g, i.UUID)
			continue
		}
		e := old.zone.Edit()
		e.Configure(s.as.config)
		s.zone = e.Zone()
	}
	n.servers = found
}

// dnsServicesOf gives the DNS services of an interface, by id.
func dnsServicesOf(g *graph.Graph, iface string) []*model.DNSService {
	var out []*model.DNSService
	for _, ns := range graph.Children[*model.NetworkService](g, iface, "network_services.interface_uuid") {
		if ns.Mode == model.ServiceDNS {
			out = append(out, graph.Children[*model.DNSService](g, ns.UUID, "dns_services.network_service_uuid")...)
		}
	}
	return out
}

// fill makes the zone of everything.
func (s *nameServer) fill(g *graph.Graph, iface string) {
	e := dns.NewZone(s.as.config).Edit()
	for _, nw := range s.networks {
		for o := range g.Referrers(nw.UUID, "ip_leases.network_uuid") {
			e.Put(o.Base().UUID, s.guest(g, o.Base().UUID)...)
		}
	}
	for _, d := range dnsServicesOf(g, iface) {
		for o := range g.Referrers(d.UUID, "dns_records.dns_service_uuid") {
			e.Put(o.Base().UUID, recorded(g, iface, o.Base().UUID)...)
		}
	}
	s.zone = e.Zone()
}

// guest gives the records of a lease: none if it is not there, or in no network of the server, or nobody has it.
func (s *nameServer) guest(g *graph.Graph, uuid string) []dns.Record {
	l, ok := graph.Lookup[*model.IPLease](g, uuid)
	if !ok || l.Addr().IsUnspecified() || l.LinkLocal() {
		return nil
	}
	k := slices.IndexFunc(s.networks, func(nw *model.Network) bool { return nw.UUID == l.NetworkUUID })
	i, ok := graph.Lookup[*model.Interface](g, l.InterfaceUUID)
	if k < 0 || !ok {
		return nil
	}
	return withReverse(dns.Record{Name: i.GuestName() + "." + s.networks[k].GuestDomain(), Address: l.Addr(), TTL: automaticTTL, Automatic: true})
}

// withReverse gives the record of an address, and the one by which its name is found.
func withReverse(r dns.Record) []dns.Record {
	r.Type = dns.TypeA
	if r.Address.Is6() {
		r.Type = dns.TypeAAAA
	}
	return []dns.Record{r, {Name: model.ReverseName(r.Address), Type: dns.TypePTR, Target: r.Name, TTL: r.TTL, Automatic: true}}
}

// recorded gives what a DNS record of a server says: nothing if it is not there, or another server's.
func recorded(g *graph.Graph, iface, uuid string) []dns.Record {
	r, ok := graph.Lookup[*model.DNSRecord](g, uuid)
	if !ok {
		return nil
	}
	d, _ := graph.Lookup[*model.DNSService](g, r.DNSServiceUUID)
	if d == nil {
		return nil
	}
	if ns, ok := graph.Lookup[*model.NetworkService](g, d.NetworkServiceUUID); !ok || ns.InterfaceUUID != iface || ns.Mode != model.ServiceDNS {
		return nil
	}
	out := dns.Record{Name: string(r.Name), Target: r.Target, Text: string(r.Text), Priority: r.Priority, Weight: r.Weight, Port: r.Port, TTL: r.TTL}
	switch r.Type {
	case model.RecordCNAME:
		out.Type = dns.TypeCNAME
	case model.RecordPTR:
		out.Type = dns.TypePTR
	case model.RecordSRV:
		out.Type = dns.TypeSRV
	case model.RecordTXT:
		out.Type = dns.TypeTXT
	default:
		var both []dns.Record
		for _, a := range []netip.Addr{r.IPv4Address, r.IPv6Address} {
			if !a.IsValid() {
				continue
			}
			out.Address = a
			rs := withReverse(out)
			if r.Name[0] == '*' {
				rs = rs[:1]
			}
			both = append(both, rs...)
		}
		return both
	}
	return []dns.Record{out}
}

// view is what a question is answered by.
type view struct {
	zone      *dns.Zone
	upstreams []netip.Addr // servers elsewhere
	mtu       int          // how long an IP packet may be in the domain
}

// at gives what the server that has an address in a domain answers by; false if there is none.
func (n *names) at(domain uint32, to netip.Addr) (view, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.follow()
	n.replica.mu.RLock()
	defer n.replica.mu.RUnlock()
	in := &n.replica.in
	if n.ways != n.replica.ways {
		n.ways = n.replica.ways
		clear(n.rooms)
	}
	d, ok := in.DomainByNumber(domain)
	if !ok {
		return view{}, false
	}
	mtu, known := n.rooms[domain]
	if !known {
		mtu = in.MTU(d.UUID)
		n.rooms[domain] = mtu
	}
	s := n.servers[in.AddressOf(d, to)]
	if s == nil {
		return view{}, false
	}
	return view{s.zone, s.as.upstreams, mtu}, true
}

// takeRenamed gives what has changed since it was called last that names may follow from: by uuid the object that there was or is, of which only the kind is to be relied on.
func (r *replica) takeRenamed() map[string]model.Object {
	r.mu.RLock()
	none := len(r.renamed) == 0
	r.mu.RUnlock()
	if none {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := r.renamed
	r.renamed = map[string]model.Object{}
	return changed
}

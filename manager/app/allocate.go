package app

import (
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/openvnet/openvnet/manager/app/pool"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// spaces know which of the addresses that are handed out are taken: by objects of the store, or by a transaction under way, so
// that transactions of this process which run at the same time get different ones. Those of several managers conflict
// at the commit, and run again. A space is read from the store when it is first asked for, and follows it from then on.
type spaces struct {
	mu   sync.Mutex
	mac  *space
	ip   map[subnet]*space
	last map[source]*pool.Number // where the last allocation was; nil when there has been none
	free chan struct{}           // closed when a held address is given back
}

// subnet is the addresses of one family, 4 or 6, of a network.
type subnet struct {
	network string
	family  int
}

// source is a range group, and what is taken from it: addresses of a subnet, or MAC addresses.
type source struct {
	group string
	of    subnet
}

// space is the taken addresses of one kind.
type space struct {
	taken pool.Set
	held  map[pool.Number]struct{} // those of transactions under way
	used  func(*graph.Graph, pool.Number) bool
}

// holding is an address that a transaction holds until it is over.
type holding struct {
	space *space
	value pool.Number
	from  source
	found bool // taken already, by a write of the transaction itself
}

// errBusy makes a transaction run again: all that is left is held by others that may yet fail.
var errBusy = errors.New("addresses are held by other transactions")

func newSpaces() *spaces {
	return &spaces{ip: map[subnet]*space{}, last: map[source]*pool.Number{}, free: make(chan struct{})}
}

// observe follows the store: a store.Observer.
func (s *spaces) observe(_ int64, _ *span.Index, e *span.Effects) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mac == nil && len(s.ip) == 0 {
		return
	}
	for _, c := range e.Changed {
		if c.Old != nil {
			s.each(c.Old, (*space).gone)
			s.forget(c)
		}
	}
	for _, c := range e.Changed {
		if c.New != nil {
			s.each(c.New, func(in *space, n pool.Number) { in.taken.Add(n) })
		}
	}
}

// each calls f with the addresses of an object, in the spaces that have been read.
func (s *spaces) each(o model.Object, f func(*space, pool.Number)) {
	if l, ok := o.(*model.IPLease); ok {
		if in := s.ip[subnetOf(l)]; in != nil {
			f(in, pool.OfAddr(l.Addr()))
		}
	}
	if s.mac == nil {
		return
	}
	if m, ok := macOf(o); ok {
		f(s.mac, pool.OfMAC(m))
	}
}

// gone gives up an address that an object had.
func (s *space) gone(n pool.Number) {
	if _, held := s.held[n]; !held {
		s.taken.Remove(n)
	}
}

// forget drops what is known of a network or a range group that is gone.
func (s *spaces) forget(c span.Changed) {
	if c.New != nil {
		return
	}
	uuid := c.Old.Base().UUID
	switch c.Old.(type) {
	case *model.Network:
		delete(s.ip, subnet{uuid, 4})
		delete(s.ip, subnet{uuid, 6})
	case *model.IPRangeGroup, *model.MACRangeGroup:
	default:
		return
	}
	for from := range s.last {
		if from.group == uuid || from.of.network == uuid {
			delete(s.last, from)
		}
	}
}

func subnetOf(l *model.IPLease) subnet { return subnet{l.NetworkUUID, familyOf(l.Addr())} }

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// macGroup is the uniqueness group that all have whose MAC address nobody else may have.
const macGroup = "mac"

// macOf gives the MAC address of an object that takes part in that group.
func macOf(o model.Object) (model.MAC, bool) {
	for _, u := range model.Of(o).Uniques {
		if u.Name == macGroup {
			m, ok := u.Fields[0].Get(o).(model.MAC)
			return m, ok && m != (model.MAC{})
		}
	}
	return model.MAC{}, false
}

// macSpace gives the space of MAC addresses.
func (s *spaces) macSpace(g *graph.Graph) *space {
	if s.mac != nil {
		return s.mac
	}
	s.mac = &space{held: map[pool.Number]struct{}{}, used: func(g *graph.Graph, n pool.Number) bool {
		_, ok := g.ByUnique(model.MACLeases, macGroup, n.MAC().String())
		return ok
	}}
	for o := range g.All() {
		if m, ok := macOf(o); ok {
			s.mac.taken.Add(pool.OfMAC(m))
		}
	}
	return s.mac
}

// ipSpace gives the space of a subnet's addresses.
func (s *spaces) ipSpace(g *graph.Graph, of subnet) *space {
	if in := s.ip[of]; in != nil {
		return in
	}
	in := &space{held: map[pool.Number]struct{}{}, used: func(g *graph.Graph, n pool.Number) bool {
		a := n.Addr(of.family)
		_, ok := g.ByUnique(model.IPLeases, ipGroup(a), of.network, a.String())
		return ok
	}}
	for o := range g.Referrers(of.network, "ip_leases.network_uuid") {
		if l := o.(*model.IPLease); subnetOf(l) == of {
			in.taken.Add(pool.OfAddr(l.Addr()))
		}
	}
	s.ip[of] = in
	return in
}

// ipGroup gives the uniqueness group of a lease's network and address.
func ipGroup(a netip.Addr) string {
	if a.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// want is what an allocation asks for.
type want struct {
	space  func(*graph.Graph) *space // called with the spaces' lock held
	from   source
	ranges pool.Ranges
	order  string                 // one of model's allocation types
	newest func() *pool.Number    // the allocation of before this process, nil if there was none
	taken  func(pool.Number) bool // by this transaction's own writes
	none   func() error           // the refusal when nothing is left
}

// take finds an address that nobody has, and holds it until the transaction is over. errBusy means that others hold all that is left.
func (u *unit) take(w want) (pool.Number, error) {
	s := u.app.spaces
	s.mu.Lock()
	defer s.mu.Unlock()
	in := w.space(u.tx.Base())
	last, known := s.last[w.from]
	if !known && w.order != model.AllocateRandom {
		last = w.newest()
		s.last[w.from] = last
	}
	for {
		var n pool.Number
		var ok bool
		switch w.order {
		case model.AllocateRandom:
			n, ok = w.ranges.Random(&in.taken)
		case model.AllocateDecremental:
			n, ok = w.ranges.Prev(&in.taken, last)
		default:
			n, ok = w.ranges.Next(&in.taken, last)
		}
		if !ok {
			if u.othersHold(in, w.ranges) {
				u.busy = s.free
				return pool.Number{}, errBusy
			}
			return pool.Number{}, w.none()
		}
		in.taken.Add(n)
		in.held[n] = struct{}{}
		found := w.taken(n)
		u.held = append(u.held, holding{in, n, w.from, found})
		if !found {
			return n, nil
		}
	}
}

// reserveMACs keeps the MAC addresses that documents name from being taken for others of them.
func (u *unit) reserveMACs(docs []Document, decoded []*decodedParams) {
	if len(u.tx.Base().List(model.MACRangeGroups)) == 0 && !slices.ContainsFunc(docs, func(d Document) bool { return d.Resource == model.MACRangeGroups }) {
		return // nothing to take from
	}
	s := u.app.spaces
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range decoded {
		for _, v := range d.values {
			m, ok := v.(model.MAC)
			if !ok || m == (model.MAC{}) {
				continue
			}
			if in, n := s.macSpace(u.tx.Base()), pool.OfMAC(m); !in.taken.Has(n) {
				in.taken.Add(n)
				in.held[n] = struct{}{}
				u.held = append(u.held, holding{in, n, source{}, true})
			}
		}
	}
}

// othersHold reports whether another transaction holds an address of the ranges.
func (u *unit) othersHold(in *space, rs pool.Ranges) bool {
	own := map[pool.Number]bool{}
	for _, h := range u.held {
		own[h.value] = own[h.value] || h.space == in
	}
	for n := range in.held {
		if !own[n] && rs.Contains(n) {
			return true
		}
	}
	return false
}

// release ends the hold of a transaction that is over. What it has committed is in the graph by then.
func (s *spaces) release(held []holding, g *graph.Graph, committed bool) {
	if len(held) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range held {
		delete(h.space.held, h.value)
		if !h.space.used(g, h.value) {
			h.space.taken.Remove(h.value)
		}
		if committed && !h.found {
			s.last[h.from] = &h.value
		}
	}
	close(s.free)
	s.free = make(chan struct{})
}

// macFrom takes a MAC address from a range group.
func (u *unit) macFrom(field, group string) (model.MAC, error) {
	o, ok := u.tx.Get(group)
	g, isGroup := o.(*model.MACRangeGroup)
	if !ok || !isGroup {
		return model.MAC{}, unknownReference(model.MACRangeGroups, field, group)
	}
	var ranges []pool.Range
	for _, r := range children[*model.MACRange](u, group, "mac_ranges.mac_range_group_uuid") {
		ranges = append(ranges, unicast(pool.OfMAC(r.BeginMACAddress), pool.OfMAC(r.EndMACAddress))...)
	}
	w := want{
		from: source{group: group}, ranges: pool.Join(ranges...), order: g.AllocationType,
		space: u.app.spaces.macSpace,
		taken: func(n pool.Number) bool { return u.macHolder(n.MAC()) },
		none: func() error {
			if len(ranges) == 0 {
				return model.Errorf(model.Exhausted, field, "mac range group %s has no range of unicast addresses", group)
			}
			return model.Errorf(model.Exhausted, field, "all addresses of mac range group %s are in use", group)
		},
	}
	w.newest = func() *pool.Number {
		var newest model.Object
		var at *pool.Number
		for o := range u.tx.Base().All() {
			m, ok := macOf(o)
			if n := pool.OfMAC(m); ok && w.ranges.Contains(n) && u.app.maybeFrom(g, o) && (newest == nil || !o.Base().CreatedAt.Before(newest.Base().CreatedAt)) {
				newest, at = o, &n
			}
		}
		return at
	}
	n, err := u.take(w)
	return n.MAC(), err
}

// maybeFrom reports whether an address may have been taken from a range group before this process began: then the next allocation goes on
// behind it. What this process has taken it knows, and what else is there was given by hand.
func (a *App) maybeFrom(group, o model.Object) bool {
	return o.Base().Revision <= a.since && !o.Base().CreatedAt.Before(group.Base().CreatedAt)
}

// unicast gives the unicast addresses between two MAC addresses: those whose first byte is even.
func unicast(first, last pool.Number) []pool.Range {
	var rs []pool.Range
	for b := 0; b < 256; b += 2 {
		even := pool.Range{First: pool.OfMAC(model.MAC{byte(b)}), Last: pool.OfMAC(model.MAC{byte(b), 255, 255, 255, 255, 255})}
		if b == 0 {
			even.First = pool.OfMAC(model.MAC{5: 1}) // 0 is no address
		}
		if r, ok := even.Intersect(pool.Range{First: first, Last: last}); ok {
			rs = append(rs, r)
		}
	}
	return rs
}

func (u *unit) macHolder(m model.MAC) bool {
	return u.tx.ByUnique(model.MACLeases, macGroup, m.String()) != nil
}

// ipRanges gives what a range group has of a network's subnet of a family.
func (u *unit) ipRanges(group string, n *model.Network, family int) pool.Ranges {
	usable, ok := usableOf(n, family)
	if !ok {
		return nil
	}
	var ranges []pool.Range
	for _, r := range children[*model.IPRange](u, group, "ip_ranges.ip_range_group_uuid") {
		begin, end := r.Bounds()
		if familyOf(begin) != family {
			continue
		}
		if in, ok := usable.Intersect(pool.Range{First: pool.OfAddr(begin), Last: pool.OfAddr(end)}); ok {
			ranges = append(ranges, in)
		}
	}
	return pool.Join(ranges...)
}

// usableOf gives the addresses of a network's subnet of a family that an interface can have: without the subnet's own, which in IPv6
// is the routers' (RFC 4291, section 2.6.1), and the IPv4 broadcast address.
func usableOf(n *model.Network, family int) (pool.Range, bool) {
	p := n.Prefix6()
	if family == 4 {
		p = n.Prefix4()
	}
	if !p.IsValid() {
		return pool.Range{}, false
	}
	first, last := p.Addr(), lastOf(p)
	if host := p.Addr().BitLen() - p.Bits(); host > 1 {
		first = first.Next()
		if family == 4 {
			last = last.Prev()
		}
	}
	return pool.Range{First: pool.OfAddr(first), Last: pool.OfAddr(last)}, true
}

// lastOf gives the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// addressFrom takes an address of a network's subnet from a range group, whose ranges there are given.
func (u *unit) addressFrom(g *model.IPRangeGroup, n *model.Network, family int, ranges pool.Ranges) (netip.Addr, error) {
	of := subnet{n.UUID, family}
	got, err := u.take(want{
		from: source{g.UUID, of}, ranges: ranges, order: g.AllocationType,
		space: func(base *graph.Graph) *space { return u.app.spaces.ipSpace(base, of) },
		newest: func() *pool.Number {
			var id uint32
			var at *pool.Number
			for o := range u.tx.Base().Referrers(n.UUID, "ip_leases.network_uuid") {
				l := o.(*model.IPLease)
				if a := pool.OfAddr(l.Addr()); subnetOf(l) == of && l.ID >= id && ranges.Contains(a) && u.app.maybeFrom(g, l) {
					id, at = l.ID, &a
				}
			}
			return at
		},
		taken: func(a pool.Number) bool {
			addr := a.Addr(family)
			return u.tx.ByUnique(model.IPLeases, ipGroup(addr), n.UUID, addr.String()) != nil
		},
		none: func() error {
			return model.Errorf(model.Exhausted, "network_uuid", "all addresses of ip range group %s in network %s are in use", g.UUID, n.UUID)
		},
	})
	return got.Addr(family), err
}

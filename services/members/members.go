// Package members keeps who has joined which multicast group, as IGMP and MLD reports say: interfaces on this host, and other hosts. It sees the reports that the switch
// sends up and programs nothing; the agent does what it says. Groups that everybody gets (link-local) are not kept.
package members

import (
	"net/netip"
	"time"
)

// Key is a group in a domain.
type Key struct {
	Domain uint32
	Group  netip.Addr
}

// Member is an interface of this host, or another host.
type Member struct {
	Remote bool
	ID     uint32 // of the interface, or the datapath
}

// Options bound a Table. The zero value of each is its default.
type Options struct {
	Age       time.Duration // how long a member is one that does not report again; 260 s (RFC 3376, section 8.4)
	PerMember int           // groups of a member; 256
}

// Table is the memberships in the domains of one host. Not safe for concurrent use.
type Table struct {
	opt    Options
	groups map[Key]map[Member]time.Time
	counts map[Member]int
	full   uint64
}

// New gives an empty table.
func New(o Options) *Table {
	if o.Age == 0 {
		o.Age = 260 * time.Second
	}
	if o.PerMember == 0 {
		o.PerMember = 256
	}
	return &Table{opt: o, groups: map[Key]map[Member]time.Time{}, counts: map[Member]int{}}
}

// Heard takes a frame that a member has sent in a domain, and gives the groups whose members have changed.
func (t *Table) Heard(now time.Time, domain uint32, from Member, b []byte) []Key {
	var changed []Key
	for _, r := range Decode(b) {
		k := Key{domain, r.Group}
		_, in := t.groups[k][from]
		switch {
		case r.Leave && in:
			t.leave(k, from)
			changed = append(changed, k)
		case r.Leave:
		case !in && t.counts[from] >= t.opt.PerMember:
			t.full++
		default:
			if t.groups[k] == nil {
				t.groups[k] = map[Member]time.Time{}
			}
			t.groups[k][from] = now
			if !in {
				t.counts[from]++
				changed = append(changed, k)
			}
		}
	}
	return changed
}

func (t *Table) leave(k Key, m Member) {
	if delete(t.groups[k], m); len(t.groups[k]) == 0 {
		delete(t.groups, k)
	}
	if t.counts[m]--; t.counts[m] == 0 {
		delete(t.counts, m)
	}
}

// Expire removes who has not reported for too long, and gives the groups whose members have changed.
func (t *Table) Expire(now time.Time) []Key {
	return t.remove(func(_ Key, _ Member, heard time.Time) bool { return now.Sub(heard) >= t.opt.Age })
}

// Retain removes members, and memberships in domains, that are here no more, and gives the groups whose members have changed. keep is asked once for each
// domain and member.
func (t *Table) Retain(keep func(domain uint32, m Member) bool) []Key {
	type place struct {
		domain uint32
		member Member
	}
	kept := map[place]bool{}
	return t.remove(func(k Key, m Member, _ time.Time) bool {
		p := place{k.Domain, m}
		here, asked := kept[p]
		if !asked {
			here = keep(k.Domain, m)
			kept[p] = here
		}
		return !here
	})
}

func (t *Table) remove(which func(Key, Member, time.Time) bool) []Key {
	var changed []Key
	for k, ms := range t.groups {
		before := len(ms)
		for m, heard := range ms {
			if which(k, m, heard) {
				t.leave(k, m)
			}
		}
		if len(ms) != before {
			changed = append(changed, k)
		}
	}
	return changed
}

// Members gives the members of a group, in no order.
func (t *Table) Members(k Key) []Member {
	var ms []Member
	for m := range t.groups[k] {
		ms = append(ms, m)
	}
	return ms
}

// Refused counts the reports of members that were in too many groups already.
func (t *Table) Refused() uint64 { return t.full }

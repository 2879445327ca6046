package compile

import (
	"iter"
	"maps"
	"slices"

	"github.com/openvnet/openvnet/model/span"
)

// What the agent asks of domains, for its services.

// DomainByNumber gives the domain of that number in register Network. The bool is false if it is not present on this host, nor routed to from here.
func (in *Input) DomainByNumber(number uint32) (Domain, bool) { return in.domainByNumber(number) }

// DomainsHere gives the domains that are present on this host, in no order.
func (in *Input) DomainsHere() iter.Seq[Domain] {
	return func(yield func(Domain) bool) {
		for n := range in.X.NetworksOn(in.Self) {
			if d, ok := in.domain(n); ok && d.UUID == n && !yield(d) { // a network that lies on a segment is in the segment's
				return
			}
		}
	}
}

// Elsewhere reports whether other hosts are sent frames of the domain.
func (in *Input) Elsewhere(d Domain) bool {
	if !d.carried() {
		return false
	}
	for dp := range in.X.DatapathsOf(d.UUID) {
		if dp != in.Self && in.X.Present(span.Pair{Network: d.UUID, Datapath: dp}) {
			return true
		}
	}
	return false
}

// PortsIn gives the interfaces in a domain that have a port on this host, each once, in no order.
func (in *Input) PortsIn(d Domain) iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := map[string]struct{}{}
		for i := range in.X.InterfacesOf(d.UUID) {
			if _, again := seen[i]; again {
				continue
			}
			seen[i] = struct{}{}
			if _, here := in.PortOf(i); here && !yield(i) {
				return
			}
		}
	}
}

// MembersOf gives the members of a multicast group, by uuid, in no order.
func (b *Bridge) MembersOf(k MemberKey) []string {
	m := b.members[k]
	if m == nil {
		return nil
	}
	return slices.Collect(maps.Keys(m.members))
}

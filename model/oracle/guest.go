package oracle

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
)

// may is what an interface may send with one of its MAC addresses.
//
// Open: where an interface is located on a host at which its domain is not present, it has no addresses of that domain to send from.
type may struct {
	addresses      map[netip.Addr]*domain // the addresses of its stations; of one that several have, the first's
	first4, first6 *domain                // of the first address of the family
	leased4        bool                   // it has an IPv4 address in a domain that is here
	leased6        bool                   // likewise IPv6
	subnets        []netip.Prefix         // of which it may make addresses
	segment        *domain                // on which addresses are free for it
	chooses        bool                   // link-local addresses, where it has an IPv6 address: it is on no segment
}

func (m *may) add(a netip.Addr, d *domain) {
	if m.addresses[a] == nil {
		m.addresses[a] = d
	}
	switch {
	case a.Is4() && m.first4 == nil:
		m.first4 = d
	case a.Is6() && m.first6 == nil:
		m.first6 = d
	}
}

// fromGuest takes a frame of an interface of mode vif.
//
// Open: dscp is set behind the guard, so that what is answered carries it too.
func (r *run) fromGuest(h *host, i *iface, p packet) {
	r.mirror(i, model.MirrorEgress, p.frame)
	m := i.sends[p.src]
	switch {
	case p.tagged:
		r.drop(h, reason.Tagged, i)
		return
	case m == nil:
		r.drop(h, reason.MACSource, i)
		return
	}
	if m.claims(&p) {
		r.punt(PuntClaim, h, i)
		return
	}
	d, why := m.registered(&p)
	if why != reason.None {
		if d = m.excepted(i, &p); d == nil {
			r.drop(h, why, i)
			return
		}
	}
	if d == nil {
		r.punt(p.question(), h, i)
		return
	}
	if i.DSCP != 0 && p.parsed {
		p.own()
		p.setDSCP(i.DSCP)
	}
	r.serve(d, p)
}

// question gives what the agent is told of a question for a lease.
func (p *packet) question() PuntClass {
	switch {
	case p.ether == etherIPv4:
		return PuntDHCP
	case p.isICMP6(icmp6RouterSolicit):
		return PuntRA
	}
	return PuntDHCP6
}

// registered gives the domain that the frame is in by its sender's address, or why there is none. It is in no domain, and nothing is wrong with
// it, if it is the DHCP request of a MAC address without an IPv4 address, or the DHCPv6 request or router solicitation of one without an IPv6 address.
//
// Open: of IPv4 that holds of a MAC address on a segment too. Neighbour discovery with a wrong source address counts as [nd_sender].
func (m *may) registered(p *packet) (*domain, reason.Reason) {
	switch p.ether {
	case etherARP:
		d := m.addresses[p.arp.from]
		if p.arp.from == zero4 {
			d = m.first4
		}
		if p.arp.sender != p.src || d == nil {
			return nil, reason.ARPSender
		}
		return d, reason.None
	case etherIPv4:
		d := m.addresses[p.from]
		if p.from == zero4 && p.isUDP4(dhcpClient, dhcpServer) {
			if d = m.first4; !m.leased4 {
				return nil, reason.None
			}
		}
		if d == nil {
			return nil, reason.IPv4Source
		}
		return d, reason.None
	case etherIPv6:
		d := m.addresses[p.from]
		switch {
		case p.isND():
			if d = m.discovering(p); d == nil {
				return nil, reason.NDSender
			}
		case !m.leased6 && m.segment == nil && model.LinkLocals().Contains(p.from) && (p.isUDP6(dhcp6Client, dhcp6Server) || p.isICMP6(icmp6RouterSolicit)):
			return nil, reason.None
		case d == nil && p.from == zero6 && p.isICMP6(icmp6RouterSolicit) && m.first6 != nil:
			return m.first6, reason.None
		case d == nil && p.from == zero6 && p.isICMP6(icmp6ReportV2):
			return nil, reason.MLD
		case d == nil:
			return nil, reason.IPv6Source
		}
		return d, reason.None
	}
	return nil, reason.EtherType
}

// claims reports whether a frame asks if an address is free that is not the MAC address's own, and which it may take, or is a question from a link-local address of that kind.
func (m *may) claims(p *packet) bool {
	chooses := func(a netip.Addr) bool {
		return m.mayChoose() && m.addresses[a] == nil && model.LinkLocals().Contains(a)
	}
	solicits := p.isND() && p.icmp.kind == icmp6Solicit
	switch {
	case solicits && p.from == zero6:
		made := slices.ContainsFunc(m.subnets, func(s netip.Prefix) bool { return s.Contains(p.icmp.target) }) && m.addresses[p.icmp.target] == nil
		return p.icmp.link == (model.MAC{}) && (made || chooses(p.icmp.target))
	case solicits:
		return (p.icmp.link == (model.MAC{}) || p.icmp.link == p.src) && chooses(p.from)
	}
	return (p.isICMP6(icmp6RouterSolicit) || p.isUDP6(dhcp6Client, dhcp6Server)) && chooses(p.from)
}

// mayChoose reports whether link-local addresses may be taken.
func (m *may) mayChoose() bool { return m.chooses && m.first6 != nil && !m.first6.physical }

// claims reports whether the interface may take addresses that it has made, with any of its MAC addresses.
func (i *iface) claims() bool {
	for _, m := range i.sends {
		if i.Mode == model.InterfaceVIF && (len(m.subnets) > 0 || m.mayChoose()) {
			return true
		}
	}
	return false
}

// discovering gives the domain of a neighbour solicitation or advertisement that is the MAC address's to send.
func (m *may) discovering(p *packet) *domain {
	d := m.addresses[p.from]
	link := p.icmp.link == model.MAC{} || p.icmp.link == p.src
	switch {
	case p.icmp.kind == icmp6Advert:
		if link && d != nil && m.addresses[p.icmp.target] == d {
			return d
		}
	case p.from == zero6: // duplicate address detection
		if p.icmp.link == (model.MAC{}) {
			return m.addresses[p.icmp.target]
		}
	case link:
		return d
	}
	return nil
}

// excepted gives the domain of a frame whose sender is not registered and need not be, nil if it has to.
//
// Open: a MAC address on a segment is nowhere else what no address says. On a segment an advertisement's target is a sender's address too. A guest that routes may not do neighbour discovery for others.
func (m *may) excepted(i *iface, p *packet) *domain {
	if m.segment != nil {
		free := func(a netip.Addr) bool {
			s := m.segment.addresses[a]
			return !s.known(i.location) || s.iface == i && s.mac == p.src
		}
		sender, target := p.from, netip.Addr{}
		if p.isARP() {
			sender = p.arp.from
		}
		if p.isND() && p.icmp.kind == icmp6Advert {
			target = p.icmp.target
		}
		if free(sender) && free(target) {
			return m.segment
		}
		return nil
	}
	if !i.EnableRouting || !p.isIP() || p.isND() || p.from == zero6 && p.isICMP6(icmp6ReportV2) {
		return nil
	}
	d := m.first4
	if p.ether == etherIPv6 {
		d = m.first6
	}
	if d == nil || d.addresses[p.from].known(i.location) {
		return nil
	}
	return d
}

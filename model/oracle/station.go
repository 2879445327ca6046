package oracle

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// station is an interface with one of its MAC addresses in one domain.
type station struct {
	iface     *iface
	mac       model.MAC
	domain    *domain
	addresses []netip.Addr
}

// lease is an IP lease of an interface, with the MAC address that it is used with.
type lease struct {
	lease *model.IPLease
	mac   model.MAC
}

// leases gives an interface's IP leases that have a MAC address, by id: the lease's MAC lease, or the interface's first.
func (w *World) leases(i *iface) func(func(lease) bool) {
	return func(yield func(lease) bool) {
		for _, l := range graph.Children[*model.IPLease](w.g, i.UUID, "ip_leases.interface_uuid") {
			at := 0
			if l.MACLeaseUUID != "" {
				at = slices.IndexFunc(i.macs, func(m macLease) bool { return m.uuid == l.MACLeaseUUID })
			}
			if at < 0 || at >= len(i.macs) || !l.Addr().IsValid() {
				continue
			}
			if !yield(lease{l, i.macs[at].mac}) {
				return
			}
		}
	}
}

// addStations makes the stations of all interfaces, and what guests may send follows from them.
func (w *World) addStations() {
	for o := range each[*model.Interface](w.g, model.Interfaces) {
		i := w.interfaces[o.UUID]
		for _, l := range i.macs {
			if i.sends[l.mac] == nil {
				i.sends[l.mac] = &may{addresses: map[netip.Addr]*domain{}, chooses: l.segment == ""}
			}
		}
		for _, h := range w.placesOf(i) {
			w.addStationsAt(i, h)
		}
		for _, s := range i.stations {
			switch {
			case i.Mode == model.InterfaceSimulated || i.behindAttachment():
			case !slices.Contains(s.domain.receivers, i):
				s.domain.receivers = append(s.domain.receivers, i)
			}
			if h := i.location; h != nil && i.port == Local && s.domain.present[h] {
				h.local = append(h.local, s)
			}
		}
	}
	for s := range each[*model.NetworkService](w.g, model.NetworkServices) {
		i := w.interfaces[s.InterfaceUUID]
		switch {
		case i == nil:
		case s.Mode == model.ServiceDHCP:
			for _, s := range i.stations {
				leased := func(a netip.Addr) bool { return !a.IsLinkLocalUnicast() }
				s.domain.dhcp = s.domain.dhcp || slices.ContainsFunc(s.addresses, leased)
				s.domain.dhcp6 = s.domain.dhcp6 || slices.ContainsFunc(s.addresses, func(a netip.Addr) bool { return a.Is6() && leased(a) })
				s.domain.router = s.domain.router || slices.Contains(s.addresses, linkLocalOf(s.mac))
			}
		case s.Mode == model.ServiceDNS:
			i.dns = true
		}
	}
	for _, i := range w.interfaces {
		if i.Mode == model.InterfaceSimulated && i.EnableRouting {
			for _, s := range i.stations {
				s.domain.router = s.domain.router || slices.Contains(s.addresses, linkLocalOf(s.mac))
			}
		}
	}
	for s := range each[*model.NetworkService](w.g, model.NetworkServices) {
		if i := w.interfaces[s.InterfaceUUID]; i != nil && s.Mode == model.ServiceMetadata && i.Mode == model.InterfaceSimulated {
			for _, s := range i.stations {
				s.domain.tellers = append(s.domain.tellers, s)
			}
		}
	}
	for _, d := range w.domains {
		slices.SortStableFunc(d.tellers, func(a, b *station) int {
			return cmp.Or(cmp.Compare(a.iface.ID, b.iface.ID), cmp.Compare(a.iface.order(a.mac), b.iface.order(b.mac)))
		})
	}
}

// order gives the place of a MAC address among the interface's.
func (i *iface) order(mac model.MAC) int {
	return slices.IndexFunc(i.macs, func(l macLease) bool { return l.mac == mac })
}

// placesOf gives the hosts at which an interface's domains have to be looked for: of a simulated one without an owner every host where one of
// its domains is present that is not physical, and nil, at which only domains are that are not of one host.
func (w *World) placesOf(i *iface) []*host {
	if i.Mode != model.InterfaceSimulated || i.pinned() {
		return []*host{i.location}
	}
	places := []*host{nil}
	uuids := w.belongsTo(i)
	for _, h := range w.hosts {
		if slices.ContainsFunc(uuids, func(uuid string) bool { d := w.domainAt(uuid, h); return d != nil && !d.physical && d.present[h] }) {
			places = append(places, h)
		}
	}
	return places
}

// addStationsAt adds what the interface's leases make it in the domains of the host.
func (w *World) addStationsAt(i *iface, h *host) {
	for l := range w.leases(i) {
		d := w.domainAt(l.lease.NetworkUUID, h)
		if d == nil {
			continue
		}
		a := l.lease.Addr()
		if l.lease.LinkLocal() {
			continue // with the others
		}
		if m := i.sends[l.mac]; !a.IsUnspecified() && d.present[i.location] {
			m.leased4, m.leased6 = m.leased4 || a.Is4(), m.leased6 || a.Is6()
		}
		if s := w.station(i, l.mac, d); s != nil && !a.IsUnspecified() {
			s.add(a)
			if n, ok := graph.Lookup[*model.Network](w.g, l.lease.NetworkUUID); ok && a.Is6() && !d.segment && d.present[i.location] && n.Autonomous().IsValid() {
				m := i.sends[l.mac]
				m.subnets = append(m.subnets, n.Autonomous())
			}
			if a.Is6() {
				s.add(linkLocalOf(l.mac))
				for chosen := range w.leases(i) {
					if chosen.mac == l.mac && chosen.lease.LinkLocal() && w.domainAt(chosen.lease.NetworkUUID, h) == d {
						s.add(chosen.lease.Addr())
					}
				}
			}
		}
	}
	for _, l := range i.macs {
		if d := w.domains[l.segment]; d != nil && d.segment {
			w.station(i, l.mac, d)
			if m := i.sends[l.mac]; m.segment == nil && d.present[i.location] {
				m.segment = d
			}
		}
	}
}

// station gives the interface's station in the domain, which it makes if need be; nil if there is none:
//
//	host       in physical networks only (LOCAL), internal in internal ones only
//	simulated  in a physical network if it is pinned; in an internal one, if it is not, where that is present
//	any        while no other interface has the MAC address there
func (w *World) station(i *iface, mac model.MAC, d *domain) *station {
	switch {
	case i.Mode == model.InterfaceHost && !d.physical, i.Mode == model.InterfaceInternal && d.home == nil:
		return nil
	case i.Mode == model.InterfaceSimulated && !i.pinned() && (d.physical || d.home != nil && !d.present[d.home]):
		return nil
	}
	s := d.stations[mac]
	if s == nil {
		s = &station{iface: i, mac: mac, domain: d}
		d.stations[mac] = s
		i.stations = append(i.stations, s)
	}
	if s.iface != i {
		return nil
	}
	return s
}

// add gives the station an address, which is that of the first station that has it.
func (s *station) add(a netip.Addr) {
	if slices.Contains(s.addresses, a) {
		return
	}
	s.addresses = append(s.addresses, a)
	if s.domain.addresses[a] == nil {
		s.domain.addresses[a] = s
	}
	if m := s.iface.sends[s.mac]; s.domain.present[s.iface.location] {
		m.add(a, s.domain)
	}
}

func (d *domain) remove(s *station) {
	delete(d.stations, s.mac)
	for _, a := range s.addresses {
		if d.addresses[a] == s {
			delete(d.addresses, a)
		}
	}
}

// linkLocalOf makes the link-local address of a MAC address (RFC 4291, appendix A).
func linkLocalOf(m model.MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// behindAttachment reports whether the interface's stations are devices behind its port.
//
// Open: the stations of patch, promiscuous and edge interfaces are devices behind their attachment, and none if it is no attachment of the domain.
func (i *iface) behindAttachment() bool {
	return i.Mode == model.InterfacePatch || i.Mode == model.InterfacePromiscuous || i.Mode == model.InterfaceEdge
}

// attachment gives the attachment that the station is behind.
func (s *station) attachment() *attachment {
	for _, a := range s.iface.attachments {
		if a.domain == s.domain {
			return a
		}
	}
	return nil
}

// here reports whether the station is at the host: a simulated one where its domain is, another where it is located.
func (s *station) here(h *host) bool {
	if s.iface.Mode == model.InterfaceSimulated {
		return s.iface.at(h)
	}
	return s.iface.location == h
}

// known reports whether the host knows the station, which may be nil. The other hosts of a physical network are devices behind the wire.
func (s *station) known(h *host) bool {
	return s != nil && (s.iface.Mode != model.InterfaceHost || s.here(h))
}

// named reports whether the station, which may be nil, answers questions for names at one of its addresses on the host.
func (s *station) named(h *host, at netip.Addr) bool {
	return s != nil && s.iface.Mode == model.InterfaceSimulated && s.iface.dns && s.iface.at(h) && slices.Contains(s.addresses, at)
}

// reachableBelow reports whether the station, at a host with a physical network, is one that frames of the NIC may be for: not the host itself, and with a port unless it is simulated.
func (s *station) reachableBelow() bool {
	return !s.ofHost() && (s.iface.port != "" || s.iface.Mode == model.InterfaceSimulated)
}

// ofHost reports whether the station is the host itself, and not a guest, a simulated interface, or a device.
func (s *station) ofHost() bool { return s.iface.port == Local }

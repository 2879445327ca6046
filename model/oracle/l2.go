package oracle

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
)

var (
	broadcast  = model.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	linkLocal4 = netip.MustParsePrefix("224.0.0.0/24")
	linkLocal6 = netip.MustParsePrefix("ff02::/16")
)

// forward is section 5, for a frame at host h in the domain d. from is where it came in, nil for what a router sends; routers is how many
// routers of this host it has passed.
//
// Open: what is not routed does not go back to the interface that it came from, nor to the attachment [destination]. The multicast policy
// snoop is like flood. A MAC address that an attachment has learned is there, whatever the policy for unknown ones.
func (r *run) forward(h *host, d *domain, from *origin, p packet, routers int) {
	if p.dst.IsMulticast() {
		if d.multicast == model.MulticastDrop && p.dst != broadcast && !linkLocal4.Contains(p.to) && !linkLocal6.Contains(p.to) {
			r.drop(h, reason.Multicast, from.name())
			return
		}
		r.flood(h, d, from, p)
		return
	}
	s := d.stations[p.dst]
	switch {
	case !s.known(h):
		r.toNobody(h, d, from, p)
	case from == nil && p.isDNS() && s.named(h, p.to):
		r.punt(PuntDNS, h, from.name())
	case s.iface.leg:
		r.toLeg(h, d, s, from, p, routers)
	case s.iface.Mode == model.InterfaceSimulated && d.physical && !s.here(h): // it is there, behind the NIC
		r.toOneAttachment(h, d, d.uplink(h), from, p)
	case s.iface.Mode == model.InterfaceSimulated && s.iface.EnableRouting && s.iface.location != nil && !d.reaches(h, s.iface.location): // it may be a leg there
		r.drop(h, reason.Transport, from.name())
	case s.iface.Mode == model.InterfaceSimulated && !from.isHost() && s.iface.at(h) && p.isIP() && slices.Contains(s.addresses, p.to):
		r.refuse(h, reason.Destination, s.iface)
		r.reset(p, func(r *run, p packet) { r.forward(h, d, nil, p, 0) })
	case s.iface.Mode == model.InterfaceSimulated:
		r.drop(h, reason.Destination, from.name())
	case s.iface.behindAttachment():
		r.toOneAttachment(h, d, s.attachment(), from, p)
	default:
		r.toStation(h, d, s, from, p)
	}
}

// name gives the interface that a frame came from, nil for a router's.
func (o *origin) name() *iface {
	if o == nil {
		return nil
	}
	return o.iface
}

// isHost reports whether the frame is of the host itself, and not as a guest in an internal network.
func (o *origin) isHost() bool { return o != nil && o.port == Local && o.iface == nil }

// isUplink reports whether the frame came from the NIC, so that the host itself has it already.
func (o *origin) isUplink() bool { return o != nil && o.at != nil && o.at.iface == nil }

// flood gives a frame to everybody, and reports whether there is anybody.
func (r *run) flood(h *host, d *domain, from *origin, p packet) bool {
	anybody := false
	for _, i := range d.receivers {
		if d.reaches(h, i.location) && i != from.name() && !(from.isUplink() && i.port == Local) {
			anybody = true
			r.receive(i, d, p)
		}
	}
	for _, a := range d.outsideFrom(h, from) {
		anybody = true
		r.toAttachment(a, p)
	}
	return anybody
}

// reaches reports whether frames of the domain come from one host to the other: virtual domains to where they are present.
func (d *domain) reaches(from, to *host) bool {
	if d.carried {
		return d.present[to]
	}
	return from == to
}

// outsideFrom gives the outside attachments that a frame can go to from the host: but for the one it came from.
func (d *domain) outsideFrom(h *host, from *origin) []*attachment {
	if len(d.outside) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(d.outside), func(a *attachment) bool {
		return from != nil && a == from.at || !d.reaches(h, a.host)
	})
}

// toNobody is for a MAC address that no station of the domain has.
func (r *run) toNobody(h *host, d *domain, from *origin, p packet) {
	if a := d.learned[p.dst]; a != nil && d.reaches(h, a.host) {
		r.toOneAttachment(h, d, a, from, p)
		return
	}
	switch d.unknownUnicast {
	case model.UnknownDrop:
	case model.UnknownFlood:
		if r.flood(h, d, from, p) {
			return
		}
	default:
		outside := d.outsideFrom(h, from)
		for _, a := range outside {
			r.toAttachment(a, p)
		}
		if len(outside) > 0 {
			return
		}
	}
	r.drop(h, reason.Destination, from.name())
}

// toStation is for a station of mode vif, host or internal. That of another host of a physical network is behind the NIC.
//
// Open: for a station that is located nowhere [no_port]; for one on a host where its domain is not present [transport].
func (r *run) toStation(h *host, d *domain, s *station, from *origin, p packet) {
	i := s.iface
	switch {
	case i.location == nil:
		r.drop(h, reason.NoPort, i)
	case i == from.name():
		r.drop(h, reason.Destination, i)
	case d.physical && i.location != h:
		r.toOneAttachment(h, d, d.uplink(h), from, p)
	case !d.reaches(h, i.location):
		r.drop(h, reason.Transport, i)
	default:
		r.receive(i, d, p)
	}
}

// toLeg is for a leg's MAC address: a pinned one routes at its host, another at this one.
func (r *run) toLeg(h *host, d *domain, s *station, from *origin, p packet, routers int) {
	i := s.iface
	switch {
	case i.at(h):
		r.enterRouter(h, i, p, routers)
	case d.physical:
		r.toOneAttachment(h, d, d.uplink(h), from, p)
	case !d.reaches(h, i.location):
		r.drop(h, reason.Transport, i)
	default:
		r.enterRouter(i.location, i, p, 0)
	}
}

// uplink gives the attachment that is the host's NIC, nil if there is none.
func (d *domain) uplink(h *host) *attachment {
	for _, a := range d.outside {
		if a.iface == nil && a.host == h {
			return a
		}
	}
	return nil
}

// toOneAttachment gives a frame to the one attachment behind which it has to go.
func (r *run) toOneAttachment(h *host, d *domain, a *attachment, from *origin, p packet) {
	if a == nil || from != nil && a == from.at || !d.reaches(h, a.host) {
		r.drop(h, reason.Destination, from.name())
		return
	}
	r.toAttachment(a, p)
}

// toAttachment gives a frame to an outside attachment, with its VLAN tag.
func (r *run) toAttachment(a *attachment, p packet) {
	if a.iface == nil {
		r.out.Deliveries = append(r.out.Deliveries, Delivery{a.host.uuid, a.host.uplink, p.frame})
		return
	}
	if a.vlan == 0 {
		r.receive(a.iface, a.domain, p)
	} else if r.mayReceive(a.iface, a.domain, &p) {
		r.handOver(a.iface, tag(p.frame, a.vlan))
	}
}

// receive gives a frame to the interface's port, if its filters let it.
func (r *run) receive(i *iface, d *domain, p packet) {
	if r.mayReceive(i, d, &p) {
		r.handOver(i, p.frame)
	}
}

// mayReceive reports whether the interface has a port and its filters pass the frame. Without a port no filter is asked.
func (r *run) mayReceive(i *iface, d *domain, p *packet) bool {
	if i.port == "" {
		r.drop(i.location, reason.NoPort, i)
		return false
	}
	return r.passes(i, inward, i.location, d, p)
}

package oracle

import (
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
)

// Entry is where a frame comes in: a guest's port, the port of an outside attachment, a host's uplink, or Local.
type Entry struct {
	Datapath string
	Port     string
}

// enter is section 2. A port of no interface, and of one that sends nothing: [port]. Open: an interface of mode internal with a port of its own is
// guarded as a guest is.
func (r *run) enter(e Entry, p packet) {
	h := r.w.hostByUUID[e.Datapath]
	if h == nil {
		r.out.Drops = append(r.out.Drops, Drop{Datapath: e.Datapath, Reason: reason.Port})
		return
	}
	r.from = origin{host: h, port: e.Port}
	switch i := h.ports[e.Port]; {
	case e.Port == Local:
		r.fromLocal(h, p)
	case e.Port == h.uplink && h.uplink != "":
		r.fromUplink(h, p)
	case i != nil && (i.Mode == model.InterfaceVIF || i.Mode == model.InterfaceInternal):
		r.from.iface = i
		r.fromGuest(h, i, p)
	case i != nil && i.behindAttachment():
		r.from.iface = i
		r.fromOutside(h, i, p)
	default:
		r.drop(h, reason.Port, nil)
	}
}

// fromOutside takes a frame from the port of an edge, promiscuous or patch interface.
//
// Open: a promiscuous or patch interface with several static associations brings frames into the first, segments before networks; one without
// any brings none [port].
func (r *run) fromOutside(h *host, i *iface, p packet) {
	if i.Mode == model.InterfaceEdge {
		at := slices.IndexFunc(i.attachments, func(a *attachment) bool { return p.tagged && a.vlan == p.vlan })
		if at < 0 {
			r.drop(h, reason.VLAN, i)
			return
		}
		r.fromAttachment(i.attachments[at], parse(untag(p.frame)))
		return
	}
	switch {
	case len(i.attachments) == 0:
		r.drop(h, reason.Port, i)
	case p.tagged:
		r.drop(h, reason.Tagged, i)
	default:
		r.fromAttachment(i.attachments[0], p)
	}
}

// fromUplink takes a frame that the NIC brings. It is the underlay's, and passes to the host itself as it is; but what is for a station here that
// is not the host's is in its physical network, and broadcast and multicast is in each such network besides.
// In those networks there are untagged frames only. What other hosts announce ends here.
//
// Open: of broadcasts the host itself gets one copy.
func (r *run) fromUplink(h *host, p packet) {
	if p.dst == model.AnnouncementGroup() {
		r.drop(h, reason.Announcement, nil)
		return
	}
	if s := h.stationBelow(p.dst); s != nil && !p.tagged {
		r.fromAttachment(s.domain.uplink(h), p)
		return
	}
	r.out.Deliveries = append(r.out.Deliveries, Delivery{h.uuid, Local, p.frame})
	if p.dst.IsMulticast() && !p.tagged {
		for _, d := range h.below {
			r.fromAttachment(d.uplink(h), p)
		}
	}
}

// stationBelow gives the station of a physical network at this host that has the MAC address and is not the host's own.
func (h *host) stationBelow(mac model.MAC) *station {
	for _, d := range h.below {
		if s := d.stations[mac]; s != nil && s.here(h) && s.reachableBelow() {
			return s
		}
	}
	return nil
}

// fromLocal takes a frame of the host itself. What it sends as an interface of mode internal, or asks by DHCP, is in that network, at section 3. All else is the
// underlay's, and passes to the NIC as it is; but what is for a station here that is not the host's is in its physical network, at section 5, and
// broadcast and multicast reaches the interfaces and outside attachments of each such network besides.
//
// Open: a host without a NIC has nowhere to send to [no_port].
func (r *run) fromLocal(h *host, p packet) {
	sender := p.from
	if p.isARP() {
		sender = p.arp.from
	}
	for _, s := range h.local {
		m := s.iface.sends[s.mac]
		asks := p.from == zero4 && p.isUDP4(dhcpClient, dhcpServer) && m.first4 == s.domain
		if s.domain.home != nil && s.mac == p.src && (asks || m.addresses[sender] == s.domain) && !p.tagged {
			r.from.iface = s.iface
			r.serve(s.domain, p)
			return
		}
	}
	if s := h.stationBelow(p.dst); s != nil && !p.tagged {
		r.forward(h, s.domain, &r.from, p, 0)
		return
	}
	if h.uplink == "" {
		r.drop(h, reason.NoPort, nil)
	} else {
		r.out.Deliveries = append(r.out.Deliveries, Delivery{h.uuid, h.uplink, p.frame})
	}
	if p.dst.IsMulticast() && !p.tagged {
		for _, d := range h.below {
			for _, i := range d.receivers {
				if i.location == h && i.port != Local {
					r.receive(i, d, p)
				}
			}
			for _, a := range d.outside {
				if a.host == h && a.iface != nil {
					r.toAttachment(a, p)
				}
			}
		}
	}
}

// fromAttachment refuses the source MAC addresses of stations that are not behind the attachment. Open: what is too short for Ethernet has no
// source MAC address [mac_source].
func (r *run) fromAttachment(a *attachment, p packet) {
	r.from.at = a
	if len(p.frame) < 14 {
		r.drop(a.host, reason.MACSource, a.iface)
		return
	}
	if s := a.domain.stations[p.src]; s.known(a.host) && a.excludes(s) {
		r.drop(a.host, reason.WireSource, a.iface)
		return
	}
	r.serve(a.domain, p)
}

// excludes reports whether frames of the station cannot come from the attachment.
//
// Open: what is on other hosts, simulated or not, is behind this host's NIC, and so may be what is on its way from one to another.
func (a *attachment) excludes(s *station) bool {
	switch {
	case a.iface == nil:
		return s.here(a.host) && len(s.iface.passing) == 0
	case s.iface.Mode == model.InterfaceSimulated:
		return true
	}
	return s.iface.location != nil && s.attachment() != a
}

func (d *domain) inSubnet(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(d.subnets, func(p netip.Prefix) bool { return p.Contains(a) })
}

package oracle

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// domain is a broadcast domain.
type domain struct {
	uuid           string // of the network, or of the segment
	carried        bool   // between hosts: virtual
	physical       bool
	home           *host // of an internal network's
	segment        bool  // addresses are free on it, and what nobody answers is forwarded
	unknownUnicast string
	multicast      string
	subnets        []netip.Prefix
	present        map[*host]bool

	stations  map[model.MAC]*station
	addresses map[netip.Addr]*station
	receivers []*iface // with a station that broadcasts reach, each once
	outside   []*attachment
	learned   map[model.MAC]*attachment
	neighbors map[netip.Addr]model.MAC
	carriers  map[*host]carrier
	dhcp      bool       // a dhcp service has a lease in it
	dhcp6     bool       // and one of an IPv6 address
	router    bool       // a simulated interface advertises it
	tellers   []*station // with a service of metadata, who answers first in front
}

func internalKey(network string, h *host) string { return network + "@" + h.uuid }

// addDomains makes a domain of each network that lies on no segment, of each segment, and on each host of each internal network.
func (w *World) addDomains() {
	add := func(key string, d *domain) {
		d.present, d.stations, d.addresses = map[*host]bool{}, map[model.MAC]*station{}, map[netip.Addr]*station{}
		d.learned, d.neighbors = map[model.MAC]*attachment{}, map[netip.Addr]model.MAC{}
		for n, mac := range w.env.Neighbors {
			if n.Domain == d.uuid {
				d.neighbors[n.Address] = mac
			}
		}
		w.domains[key] = d
	}
	for s := range each[*model.Segment](w.g, model.Segments) {
		add(s.UUID, &domain{
			uuid: s.UUID, segment: true, carried: s.Mode != model.SegmentPhysical, physical: s.Mode == model.SegmentPhysical,
			unknownUnicast: s.UnknownUnicast, multicast: s.Multicast,
		})
	}
	for n := range each[*model.Network](w.g, model.Networks) {
		if d := w.domains[n.SegmentUUID]; d != nil {
			d.subnets = append(d.subnets, subnets(n)...)
			continue
		}
		d := domain{uuid: n.UUID, unknownUnicast: n.UnknownUnicast, multicast: n.Multicast, subnets: subnets(n)}
		switch n.Mode {
		case model.NetworkInternal:
			for _, h := range w.hosts {
				each := d
				each.home = h
				add(internalKey(n.UUID, h), &each)
			}
			continue
		case model.NetworkPhysical:
			d.physical = true
		default:
			d.carried = true
		}
		add(n.UUID, &d)
	}
	w.addPresence()
}

func subnets(n *model.Network) []netip.Prefix {
	return slices.DeleteFunc([]netip.Prefix{n.Prefix4(), n.Prefix6()}, func(p netip.Prefix) bool { return !p.IsValid() })
}

// domainAt gives the domain of a network or segment, of an internal network that at the host; nil if there is none.
func (w *World) domainAt(uuid string, h *host) *domain {
	if n, ok := graph.Lookup[*model.Network](w.g, uuid); ok && w.domains[n.SegmentUUID] != nil {
		return w.domains[n.SegmentUUID]
	}
	if d := w.domains[uuid]; d != nil || h == nil {
		return d
	}
	return w.domains[internalKey(uuid, h)]
}

// addPresence finds the hosts where each domain is present: an interface of it is located there, moves there or has just left, and if it is virtual it
// is wired to the host.
//
// Open: of a segment with networks the wiring of the segment counts, and an interface is of it by a lease in one of its networks too.
func (w *World) addPresence() {
	t, _ := graph.Lookup[*model.Topology](w.g, model.DefaultTopology)
	automatic := t != nil && t.Automatic
	for _, i := range w.interfaces {
		if i.location == nil {
			continue
		}
		for _, h := range append([]*host{i.location}, i.passing...) {
			for _, uuid := range w.belongsTo(i) {
				if d := w.domainAt(uuid, h); d != nil && (!d.carried || automatic || w.wired(d, h)) {
					d.present[h] = true
				}
			}
		}
	}
}

// wired reports whether a row wires the domain to the host.
func (w *World) wired(d *domain, h *host) bool {
	rows := model.DatapathNetworks
	if d.segment {
		rows = model.DatapathSegments
	}
	_, ok := w.g.ByUnique(rows, "pair", h.uuid, d.uuid)
	return ok
}

// belongsTo gives the uuids of networks and segments that the interface is in: by leases, static associations, and VLAN translations.
func (w *World) belongsTo(i *iface) []string {
	var uuids []string
	for l := range w.leases(i) {
		uuids = append(uuids, l.lease.NetworkUUID)
	}
	for _, l := range i.macs {
		uuids = append(uuids, l.segment)
	}
	for _, a := range w.associations(i) {
		uuids = append(uuids, a.domain)
	}
	return uuids
}

// association is a domain that an interface is in without a lease: statically, or by a VLAN.
type association struct {
	domain string
	vlan   uint16
}

// associations gives the static ones, segments before networks and each by id, and of an edge interface the VLAN translations.
func (w *World) associations(i *iface) []association {
	var as []association
	for _, s := range graph.Children[*model.InterfaceSegment](w.g, i.UUID, "interface_segments.interface_uuid") {
		if s.Static {
			as = append(as, association{domain: s.SegmentUUID})
		}
	}
	for _, n := range graph.Children[*model.InterfaceNetwork](w.g, i.UUID, "interface_networks.interface_uuid") {
		if n.Static {
			as = append(as, association{domain: n.NetworkUUID})
		}
	}
	for _, t := range graph.Children[*model.Translation](w.g, i.UUID, "translations.interface_uuid") {
		if t.Mode != model.TranslationEdge {
			continue
		}
		for _, v := range graph.Children[*model.VLANTranslation](w.g, t.UUID, "vlan_translations.translation_uuid") {
			as = append(as, association{v.NetworkUUID, v.VLANID})
		}
	}
	return as
}

// attachment is an outside attachment of a domain: a port behind which are devices that nobody registered.
type attachment struct {
	domain *domain
	host   *host
	iface  *iface // nil for the host's NIC
	vlan   uint16 // of an edge interface
}

// addOutside finds the outside attachments. An interface is one where it is located, whether or not its port is there now.
func (w *World) addOutside() {
	for o := range each[*model.Interface](w.g, model.Interfaces) {
		i := w.interfaces[o.UUID]
		edge := i.Mode == model.InterfaceEdge
		if i.location == nil || !edge && i.Mode != model.InterfacePromiscuous && i.Mode != model.InterfacePatch {
			continue
		}
		for _, as := range w.associations(i) {
			d := w.domainAt(as.domain, i.location)
			if d == nil || !d.present[i.location] || edge != (as.vlan != 0) {
				continue
			}
			a := &attachment{d, i.location, i, as.vlan}
			i.attachments = append(i.attachments, a)
			d.outside = append(d.outside, a)
		}
	}
	for _, d := range w.domains {
		for _, h := range w.hosts {
			if d.physical && d.present[h] && h.uplink != "" {
				d.outside = append(d.outside, &attachment{domain: d, host: h})
			}
		}
		for from, uuid := range w.env.Learned {
			for _, a := range d.outside {
				if from.Domain == d.uuid && a.iface != nil && a.iface.UUID == uuid && d.learned[from.MAC] == nil {
					d.learned[from.MAC] = a
				}
			}
		}
		// Devices behind an attachment that are registered are stations of it only there.
		for _, s := range d.stations {
			if s.iface.behindAttachment() && s.attachment() == nil {
				d.remove(s)
			}
		}
	}
	for _, h := range w.hosts {
		for _, d := range w.domains {
			for _, s := range d.stations {
				if d.physical && d.present[h] && s.here(h) && s.reachableBelow() && !slices.Contains(h.below, d) {
					h.below = append(h.below, d)
				}
			}
		}
		slices.SortFunc(h.below, func(a, b *domain) int { return cmp.Compare(a.uuid, b.uuid) })
	}
}

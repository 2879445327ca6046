package verify

import (
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// actor is a port that frames are sent from, with what it may send, or what others would like it to.
type actor struct {
	entry     Entry
	outside   bool // devices that nobody registered are behind it
	vlans     []uint16
	macs      []model.MAC
	addresses []addressOf
}

// addressOf is a leased address.
type addressOf struct {
	addr    netip.Addr
	mac     model.MAC
	network string
}

// actors is what a world has, from the view of who draws packets.
type actors struct {
	from      []actor
	addresses []addressOf // of all interfaces
	legs      []addressOf // of simulated interfaces
	trips     []trip
	macs      []model.MAC
	sizes     []int // of IP packets that may be too big somewhere
	tracked   bool  // something remembers conversations: there a fragment waits for the others
}

func newActors(w *World) *actors {
	a := &actors{}
	macs := map[string][]model.MAC{}
	macOf := map[string]model.MAC{}
	addrs := map[string][]addressOf{}
	modes := map[string]string{}
	vlans := map[string][]uint16{}
	edges := map[string]string{}
	for _, o := range w.Objects {
		switch o := o.(type) {
		case *model.Interface:
			modes[o.UUID] = o.Mode
			a.tracked = a.tracked || o.EnableFiltering || o.IngressFilteringEnabled || o.EnableRouteTranslation
		case *model.SecurityGroup:
			a.tracked = true
		case *model.Network:
			if o.MTU != 0 {
				a.sizes = append(a.sizes, int(o.MTU))
			}
		case *model.Datapath:
			for _, headers := range []int{0, 42, 50} { // of no encapsulation, GRE, and others
				a.sizes = append(a.sizes, int(o.MTU)-headers)
			}
		case *model.MACLease:
			macs[o.InterfaceUUID] = append(macs[o.InterfaceUUID], o.MACAddress)
			macOf[o.UUID] = o.MACAddress
			a.macs = append(a.macs, o.MACAddress)
		case *model.Translation:
			edges[o.UUID] = o.InterfaceUUID
		case *model.VLANTranslation:
			vlans[edges[o.TranslationUUID]] = append(vlans[edges[o.TranslationUUID]], o.VLANID)
		}
	}
	for _, o := range w.Objects {
		if l, ok := o.(*model.IPLease); ok {
			x := addressOf{l.Addr(), macOf[l.MACLeaseUUID], l.NetworkUUID}
			addrs[l.InterfaceUUID] = append(addrs[l.InterfaceUUID], x)
			a.addresses = append(a.addresses, x)
			if modes[l.InterfaceUUID] == model.InterfaceSimulated {
				a.legs = append(a.legs, x)
			}
		}
	}
	for _, p := range w.Ports {
		iface := p.IfaceID
		if iface == "" {
			iface = p.Name[len("p-"):]
		}
		outside := modes[iface] != model.InterfaceVIF
		x := actor{Entry{p.Datapath, p.Name}, outside, vlans[iface], macs[iface], addrs[iface]}
		if outside {
			x.macs = []model.MAC{{0x02, 0xee, 0, 0, 0, byte(p.Number)}, {0x02, 0xee, 0, 0, 1, byte(p.Number)}}
		}
		a.from = append(a.from, x)
	}
	for n, host := range w.Hosts() {
		if w.unencapsulated() {
			break // frames of the underlay could be taken for those between hosts
		}
		a.from = append(a.from,
			actor{entry: Entry{host, NIC}, outside: true, macs: []model.MAC{{0x02, 0xdd, 0, 0, 0, 1}, {0x02, 0xdd, 0, 0, 0, 2}}},
			actor{entry: Entry{host, Local}, macs: []model.MAC{HostMAC(n + 1)}, addresses: []addressOf{{HostAddr(n + 1), HostMAC(n + 1), "nw-under"}}})
	}
	for _, o := range w.Objects {
		i, ok := o.(*model.Interface)
		if !ok || i.Mode != model.InterfaceInternal || w.unencapsulated() {
			continue
		}
		for _, o := range w.Objects {
			if p, ok := o.(*model.InterfacePort); ok && p.InterfaceUUID == i.UUID && p.DatapathUUID != "" {
				a.from = append(a.from, actor{entry: Entry{p.DatapathUUID, Local}, macs: macs[i.UUID], addresses: addrs[i.UUID]})
			}
		}
	}
	a.travel(w)
	return a
}

// trip is from a guest, by a router in its network, to an address that nobody registered in a network with devices outside.
type trip struct {
	entry  Entry
	from   addressOf
	router model.MAC
	to     netip.Addr
}

// travel finds the trips.
func (a *actors) travel(w *World) {
	var routes []*model.Route
	strangers := map[string][]netip.Addr{}
	for _, o := range w.Objects {
		if r, ok := o.(*model.Route); ok {
			routes = append(routes, r)
		}
	}
	for _, n := range w.withOutside() {
		strangers[n.UUID] = strangersOf(n)
	}
	for _, in := range routes {
		for _, out := range routes {
			if in.Ingress && out.Egress && in.RouteLinkUUID == out.RouteLinkUUID && in.NetworkUUID != out.NetworkUUID {
				for _, to := range strangers[out.NetworkUUID] {
					a.travels(in.NetworkUUID, to)
				}
				if out.Prefix4().IsValid() && out.IPv4Prefix == 0 && strangers[out.NetworkUUID] != nil {
					a.travels(in.NetworkUUID, foreign4[0])
					a.travels(in.NetworkUUID, foreign6[0])
				}
			}
		}
	}
}

// travels adds the trips from a network to an address.
func (a *actors) travels(network string, to netip.Addr) {
	for _, x := range a.from {
		for _, from := range x.addresses {
			for _, leg := range a.legs {
				if from.network == network && leg.network == network && from.addr.Is6() == to.Is6() {
					a.trips = append(a.trips, trip{x.entry, from, leg.mac, to})
				}
			}
		}
	}
}

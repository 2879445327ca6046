package oracle

import (
	"encoding/binary"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// What an encapsulation takes from a host's MTU, over IPv4: the headers of IP and, but for GRE, UDP; its own; the guest's Ethernet header.
var overheads = map[string]int{model.Geneve: 20 + 8 + 8 + 14, model.VXLAN: 20 + 8 + 8 + 14, model.GRE: 20 + 8 + 14}

// carrier is how a host carries a domain, and what it could take.
type carrier struct {
	mtu      int  // of the host's NIC
	overhead int  // of the encapsulation
	asItIs   bool // it may carry the domain's frames unencapsulated
	wires    []string
}

// addSizes finds what bounds the MTU of networks.
//
// Open: hosts reach each other by IPv4.
func (w *World) addSizes() {
	for n := range each[*model.Network](w.g, model.Networks) {
		w.bounds[n.UUID] = []int{int(n.MTU)}
		if s, ok := graph.Lookup[*model.Segment](w.g, n.SegmentUUID); ok {
			w.bounds[n.UUID] = append(w.bounds[n.UUID], int(s.MTU))
		}
	}
	for _, d := range w.domains {
		d.carriers = map[*host]carrier{}
		for _, h := range w.hosts {
			d.carriers[h] = w.carrier(d, h)
		}
	}
}

func (w *World) carrier(d *domain, h *host) carrier {
	dp, _ := graph.Lookup[*model.Datapath](w.g, h.uuid)
	c := carrier{mtu: int(dp.MTU)}
	var top, iface string
	mac := model.MAC{}
	rows := model.DatapathNetworks
	if d.segment {
		rows = model.DatapathSegments
	}
	uuid, _ := w.g.ByUnique(rows, "pair", h.uuid, d.uuid)
	o, _ := w.g.Get(uuid)
	switch o := o.(type) {
	case *model.DatapathNetwork:
		top, iface, mac = o.TopologyUUID, o.InterfaceUUID, o.MACAddress
	case *model.DatapathSegment:
		top, iface, mac = o.TopologyUUID, o.InterfaceUUID, o.MACAddress
	}
	t, ok := graph.Lookup[*model.Topology](w.g, top)
	if !ok {
		t, ok = graph.Lookup[*model.Topology](w.g, model.DefaultTopology)
	}
	if !ok {
		t = &model.Topology{Encapsulation: model.Geneve}
	}
	c.overhead = overheads[t.Encapsulation]
	c.asItIs = t.MAC2MAC && mac != (model.MAC{}) && h.uplink != ""
	for _, l := range graph.Children[*model.IPLease](w.g, iface, "ip_leases.interface_uuid") {
		if n, ok := graph.Lookup[*model.Network](w.g, l.NetworkUUID); ok && n.Mode == model.NetworkPhysical {
			c.wires = append(c.wires, n.UUID)
		}
	}
	return c
}

// unencapsulated reports whether two hosts send each other frames of a domain as they are.
func unencapsulated(a, b carrier) bool {
	return a.asItIs && b.asItIs && slices.ContainsFunc(a.wires, func(n string) bool { return slices.Contains(b.wires, n) })
}

// mtu gives the largest IP packet of the network that the route leads into, as a host sees it: what each host where that is present leaves of its own MTU for what others
// send there, and at most what the network and its segment say. It is 0 if nothing says anything.
//
// Open: of an underlay with hosts of different MTUs a host knows those that it has to do with.
func (w *World) mtu(t *route, h *host) int {
	mtu := 0
	bound := func(n int) {
		if n > 0 && (mtu == 0 || n < mtu) {
			mtu = n
		}
	}
	for _, n := range w.bounds[t.network.UUID] {
		bound(n)
	}
	d := t.at(h)
	if d == nil || d.home != nil { // it never leaves the host
		return mtu
	}
	for at := range d.present {
		c := d.carriers[at]
		if c.mtu != 0 {
			bound(c.mtu - d.overhead(h, at))
		}
	}
	return mtu
}

// overhead gives what is put before what is sent to a host, as host h sees it. Nobody sends to who is alone, but somebody may come.
func (d *domain) overhead(h, at *host) int {
	if !d.carried {
		return 0
	}
	others := 0
	plain := true
	for o := range d.present {
		if at == h && o != h {
			others++
			plain = plain && unencapsulated(d.carriers[h], d.carriers[o])
		}
	}
	if at != h && unencapsulated(d.carriers[h], d.carriers[at]) || others > 0 && plain {
		return 0
	}
	return d.carriers[at].overhead
}

// mayExceed reports whether sizes are looked at of what a route leads out of the route link: if another network of the link's routes has a larger MTU than the route's, or one that
// nothing bounds, or is behind a leg that is pinned to another host.
func (l *link) mayExceed(w *World, t *route, h *host, mtu int) bool {
	return slices.ContainsFunc(l.all, func(o *route) bool {
		switch {
		case !o.leg.at(h):
			return true
		case !o.stands || o.at(h) == nil:
			return false
		}
		other := w.mtu(o, h)
		return other == 0 || other > mtu
	})
}

// size gives the length of the IP packet, of what claims none that of all there is.
func (p *packet) size() int {
	b := p.frame[p.l3:]
	switch {
	case !p.parsed:
		return len(b)
	case p.ether == etherIPv4:
		return int(binary.BigEndian.Uint16(b[2:]))
	}
	return 40 + int(binary.BigEndian.Uint16(b[4:]))
}

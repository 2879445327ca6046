package modeltest

import (
	"fmt"

	"github.com/openvnet/openvnet/model"
)

func (d draw) datapath() model.Object {
	k := d.n("datapath", len(Hosts))
	m := numbered("dp", k)
	return &model.Datapath{Meta: m, DPID: model.DPID(k + 1), MTU: uint16(1500 * d.n("mtu", 2)), EnableOVSLearnAction: d.flag("learn")}
}

func (d draw) network() model.Object {
	k := d.n("network", networks)
	n := &model.Network{
		Meta: numbered("nw", k), Mode: model.NetworkVirtual, VNI: uint32(100 + k), IPv4Network: subnet4(k), IPv4Prefix: 24, IPv6Network: subnet6(k), IPv6Prefix: 64,
		MTU: uint16(1400 * d.n("mtu", 2)), UnknownUnicast: d.unknown(), Multicast: d.multicast(),
	}
	switch k {
	case 2:
		n.Mode, n.VNI = model.NetworkPhysical, 0
	case 3:
		n.Mode, n.VNI = model.NetworkInternal, 0
	default:
		n.SegmentUUID = d.sometimes(d.segmentUUID)
	}
	return n
}

func (d draw) unknown() string {
	return d.of("unknown", model.UnknownOutside, model.UnknownOutside, model.UnknownFlood, model.UnknownDrop)
}

func (d draw) multicast() string {
	return d.of("multicast", model.MulticastFlood, model.MulticastFlood, model.MulticastSnoop, model.MulticastDrop)
}

func (d draw) segment() model.Object {
	k := d.n("segment", 2)
	s := &model.Segment{
		Meta: numbered("seg", k), Mode: model.SegmentVirtual, VNI: uint32(200 + k), MTU: uint16(1400 * d.n("mtu", 2)),
		UnknownUnicast: d.unknown(), Multicast: d.multicast(),
	}
	if k == 1 && d.n("physical", 4) == 0 {
		s.Mode, s.VNI = model.SegmentPhysical, 0
	}
	return s
}

func (d draw) topology() model.Object {
	t := &model.Topology{
		Meta: numbered("topo", 1), Mode: model.TopologyOverlay, Encapsulation: d.of("encapsulation", model.Geneve, model.VXLAN, model.GRE), MAC2MAC: d.n("mac2mac", 4) == 0,
	}
	if t.UUID = topology; d.mostly("default") {
		t.Meta, t.Automatic = model.Meta{UUID: model.DefaultTopology, ID: 1}, d.mostly("automatic")
	}
	return t
}

// iface draws an interface: mostly of the mode that those of its number have.
func (d draw) iface() model.Object {
	k := d.n("interface", interfaces)
	i := &model.Interface{Meta: numbered("if", k), Mode: model.InterfaceVIF}
	switch k {
	case 4, 5:
		i.Mode, i.EnableRouting, i.EnableRouteTranslation = model.InterfaceSimulated, d.mostly("routing"), d.flag("translation")
	case 6:
		i.Mode = model.InterfaceHost
	case 7:
		i.Mode = d.of("outside mode", model.InterfaceEdge, model.InterfacePromiscuous, model.InterfacePatch, model.InterfaceInternal)
	default:
		i.EnableFiltering, i.IngressFilteringEnabled, i.EnableRouting = d.n("filtering", 3) == 0, d.n("judged", 3) == 0, d.n("router", 6) == 0
		if d.n("limited", 3) == 0 {
			i.IngressRate, i.EgressRate, i.DSCP, i.ConnectionLimit = 1000, 2000, uint16(d.n("dscp", 64)), uint32(d.n("conversations", 3))
			i.EgressBurst = uint32(100 * d.n("burst", 2))
		}
	}
	if d.n("other mode", 12) == 0 {
		i.Mode = d.of("mode", model.InterfaceVIF, model.InterfaceHost, model.InterfaceSimulated, model.InterfaceEdge)
	}
	return i
}

// hostInterface draws a part of the interface that one of the hosts has: itself, its port, its address in the physical network.
func (d draw) hostInterface() model.Object {
	k := d.n("host", len(Hosts))
	i := numbered("if", 10+k)
	switch d.n("part", 3) {
	case 0:
		return &model.Interface{Meta: i, Mode: model.InterfaceHost}
	case 1:
		return &model.InterfacePort{Meta: meta("ifp", 10+k), InterfaceUUID: i.UUID, DatapathUUID: Hosts[k], PortName: fmt.Sprintf("uplink%d", k)}
	}
	return &model.IPLease{Meta: meta("il", 10+k), InterfaceUUID: i.UUID, NetworkUUID: "nw-2", IPv4Address: address4(2, byte(201+k))}
}

func (d draw) port() model.Object {
	k := d.n("interface", interfaces)
	p := &model.InterfacePort{Meta: meta("ifp", k), InterfaceUUID: fmt.Sprintf("if-%d", k), PortName: fmt.Sprintf("port%d", k)}
	if k == 4 || k == 5 {
		p.PortName = ""
	}
	if d.flag("owned") {
		p.DatapathUUID = d.host()
	}
	return p
}

func (d draw) active() model.Object {
	k := d.n("interface", interfaces)
	a := &model.ActiveInterface{Meta: meta("aif", k), InterfaceUUID: fmt.Sprintf("if-%d", k), DatapathUUID: d.host(), PortName: fmt.Sprintf("port%d", k)}
	if d.n("moves", 3) == 0 {
		a.TargetDatapathUUID, a.PreviousDatapathUUID = d.sometimes(d.host), d.sometimes(d.host)
	}
	return a
}

func (d draw) macLease() model.Object {
	k := d.n("interface", interfaces)
	return &model.MACLease{Meta: meta("ml", k), InterfaceUUID: fmt.Sprintf("if-%d", k), MACAddress: model.MAC{2, 0, 0, 0, 0, byte(k)}, SegmentUUID: d.sometimes(d.segmentUUID)}
}

func (d draw) ipLease() model.Object {
	k, i, n := d.n("lease", 10), d.n("interface", interfaces), d.n("network", networks)
	l := &model.IPLease{Meta: meta("il", k), NetworkUUID: fmt.Sprintf("nw-%d", n), InterfaceUUID: fmt.Sprintf("if-%d", i), EnableRouting: d.n("routed", 4) == 0}
	if k%3 == 2 {
		l.IPv6Address = address6(n, byte(k+1))
	} else {
		l.IPv4Address = address4(n, byte(k+1))
	}
	if d.n("released", 8) == 0 {
		l.InterfaceUUID = ""
	} else if d.flag("of mac lease") {
		l.MACLeaseUUID = fmt.Sprintf("ml-%d", i)
	}
	return l
}

// retention draws a container or a lease in one. The lease may be given to no interface, be one of a host, or not be there.
func (d draw) retention() model.Object {
	k := d.n("container", 2)
	c := &model.IPRetentionContainer{Meta: meta("irc", k)}
	if d.flag("itself") {
		return c
	}
	l := d.n("lease", 12)
	return &model.IPRetention{Meta: meta("ipret", l), IPRetentionContainerUUID: c.UUID, IPLeaseUUID: fmt.Sprintf("il-%d", l)}
}

// association draws an interface's place in a network or segment that no lease gives it; those with devices behind them have no other.
func (d draw) association() model.Object {
	i := d.ifaceUUID()
	if d.flag("outside") {
		i = "if-7"
	}
	if d.flag("segment") {
		s := d.segmentUUID()
		return &model.InterfaceSegment{Meta: pair("ifs", i, s), InterfaceUUID: i, SegmentUUID: s, Static: d.mostly("static")}
	}
	n := d.networkUUID()
	return &model.InterfaceNetwork{Meta: pair("ifn", i, n), InterfaceUUID: i, NetworkUUID: n, Static: d.mostly("static")}
}

// wiring draws a row that says what may be on a host, by hand or by a topology.
func (d draw) wiring() model.Object {
	k := d.n("host", len(Hosts))
	host, iface, topo := Hosts[k], fmt.Sprintf("if-%d", 10+k), d.sometimes(d.topologyUUID)
	switch d.n("wired", 4) {
	case 0:
		s := d.n("segment", 2)
		uuid := fmt.Sprintf("seg-%d", s)
		return &model.DatapathSegment{Meta: pair("dps", host, uuid), DatapathUUID: host, SegmentUUID: uuid, InterfaceUUID: iface, MACAddress: model.MAC{2, 0, 0, 3, byte(k), byte(s)}, TopologyUUID: topo}
	case 1:
		l := d.n("link", 2)
		uuid := fmt.Sprintf("rl-%d", l)
		return &model.DatapathRouteLink{Meta: pair("dprl", host, uuid), DatapathUUID: host, RouteLinkUUID: uuid, InterfaceUUID: iface, MACAddress: model.MAC{2, 0, 0, 4, byte(k), byte(l)}, TopologyUUID: topo}
	}
	n := d.n("network", networks)
	uuid := fmt.Sprintf("nw-%d", n)
	return &model.DatapathNetwork{Meta: pair("dpn", host, uuid), DatapathUUID: host, NetworkUUID: uuid, InterfaceUUID: iface, MACAddress: model.MAC{2, 0, 0, 2, byte(k), byte(n)}, TopologyUUID: topo}
}

func (d draw) mirror() model.Object {
	from, to := d.n("guest", 4), d.n("guest", 4)
	uuid := func(k int) string { return fmt.Sprintf("if-%d", k) }
	return &model.Mirror{
		Meta: pair("mir", uuid(from), uuid(to)), InterfaceUUID: uuid(from), TargetInterfaceUUID: uuid(to), VNI: uint32(400 + 4*from + to),
		Direction: d.of("direction", model.MirrorBoth, model.MirrorIngress, model.MirrorEgress),
	}
}

func (d draw) service() model.Object {
	switch d.n("part", 5) {
	case 4:
		k := 2 + d.n("teller", 2)
		return &model.NetworkService{Meta: meta("ns", k), Mode: d.of("told", model.ServiceMetadata, model.ServiceRouter), InterfaceUUID: d.legUUID()}
	case 0:
		return &model.NetworkService{Meta: meta("ns", 0), Mode: model.ServiceDHCP, InterfaceUUID: "if-5"}
	case 1:
		return &model.NetworkService{Meta: meta("ns", 1), Mode: model.ServiceDNS, InterfaceUUID: d.legUUID()}
	case 2:
		return &model.DNSService{Meta: meta("dnss", 0), NetworkServiceUUID: "ns-1"}
	}
	return &model.DNSRecord{Meta: meta("dnsr", d.n("record", 3)), DNSServiceUUID: "dnss-0", Name: "a"}
}

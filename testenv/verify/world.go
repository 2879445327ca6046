package verify

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// World is a network as it is stored, and what there is on the hosts.
type World struct {
	Objects []model.Object
	Ports   []Port
}

// Port is a guest's or outside port of a host's bridge.
type Port struct {
	Datapath string
	Name     string
	IfaceID  string
	Number   uint32
}

// The fixed numbers of each host's bridge.
const (
	NICPort    = 1
	GenevePort = 2
	VXLANPort  = 3
	GREPort    = 4
	firstGuest = 10
)

// unencapsulated reports whether hosts exchange frames as they are. Such worlds have no other physical network than the hosts' own, and nothing else is on that: what leaves by a NIC
// is then for another host.
func (w *World) unencapsulated() bool {
	for _, o := range w.Objects {
		if t, ok := o.(*model.Topology); ok && t.MAC2MAC {
			return true
		}
	}
	return false
}

// NIC is the name of each host's port to the underlay.
const NIC = "eth0"

// Graph gives the objects as a graph of their own.
func (w *World) Graph() *graph.Graph {
	g := graph.New()
	for _, o := range w.Objects {
		g.Put(o)
	}
	return g
}

// PortsOf gives the ports of one host.
func (w *World) PortsOf(datapath string) []Port {
	var ps []Port
	for _, p := range w.Ports {
		if p.Datapath == datapath {
			ps = append(ps, p)
		}
	}
	return ps
}

// Hosts gives the uuids of the datapaths.
func (w *World) Hosts() []string {
	var hs []string
	for _, o := range w.Objects {
		if d, ok := o.(*model.Datapath); ok {
			hs = append(hs, d.UUID)
		}
	}
	return hs
}

// HostAddr gives the underlay address of the n-th host (from 1).
func HostAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{172, 16, 90, byte(n)}) }

// HostMAC gives the MAC address of the n-th host's bridge.
func HostMAC(n int) model.MAC { return model.MAC{0x02, 0x01, 0, 0, 0, byte(n)} }

// builder draws a world.
type builder struct {
	r     *rand.Rand
	w     *World
	ids   map[*model.Resource]uint32
	vni   uint32
	ports map[string]uint32 // next number by host

	hosts          []string
	hostInterfaces []string
	networks       []*model.Network
	segments       []*model.Segment
	links          []*model.RouteLink
	interfaces     []*model.Interface
	macs           map[string][]*model.MACLease // by interface
	located        map[string]string            // interface -> host
	groups         []*model.SecurityGroup
	sets           []*model.AddressGroup
	taken          map[string]bool // domain/address
	nmac           byte
	mac2mac        bool // hosts exchange frames as they are
}

// Generate draws a world. Equal seeds give equal worlds.
func Generate(r *rand.Rand) *World {
	b := &builder{
		r: r, w: &World{}, ids: map[*model.Resource]uint32{}, vni: 99, ports: map[string]uint32{}, macs: map[string][]*model.MACLease{},
		located: map[string]string{}, taken: map[string]bool{},
	}
	b.mac2mac = b.oneIn(5)
	b.underlay()
	b.domains()
	b.addressGroups()
	for range 2 + b.n(5) {
		b.guest()
	}
	b.outsides()
	b.services()
	b.routers()
	b.filters()
	b.securityGroups()
	b.mirrors()
	b.wire()
	return b.w
}

func (b *builder) n(limit int) int { return b.r.IntN(limit) }

// oneIn is true once in n times.
func (b *builder) oneIn(n int) bool { return b.r.IntN(n) == 0 }

func pick[T any](b *builder, from []T) T { return from[b.r.IntN(len(from))] }

// put adds an object with the next id of its resource and, unless it has one, a uuid made of it.
func (b *builder) put(o model.Object) {
	res := model.Of(o)
	b.ids[res]++
	o.Base().ID = b.ids[res]
	if o.Base().UUID == "" {
		o.Base().UUID = fmt.Sprintf("%s-%d", res.Prefix, b.ids[res])
	}
	b.w.Objects = append(b.w.Objects, o)
}

func (b *builder) nextVNI() uint32 { b.vni++; return b.vni }

func (b *builder) mac() model.MAC { b.nmac++; return model.MAC{0x02, 0, 0, 0, 0, b.nmac} }

// underlay makes one physical network, the hosts on it, and their interfaces.
func (b *builder) underlay() {
	under := &model.Network{Meta: model.Meta{UUID: "nw-under"}, Mode: model.NetworkPhysical, IPv4Network: HostAddr(0), IPv4Prefix: 24, UnknownUnicast: model.UnknownOutside, Multicast: model.MulticastFlood}
	b.put(under)
	mtu := pick(b, []uint16{1500, 1400, 1350})
	for n := 1; n <= 1+b.n(3); n++ {
		dp := &model.Datapath{Meta: model.Meta{UUID: fmt.Sprintf("dp-%d", n)}, DPID: model.DPID(n), NodeID: fmt.Sprintf("node%d", n), DisplayName: "host", MTU: mtu}
		b.put(dp)
		b.hosts = append(b.hosts, dp.UUID)
		b.ports[dp.UUID] = firstGuest
		i := &model.Interface{Mode: model.InterfaceHost}
		b.put(i)
		b.hostInterfaces = append(b.hostInterfaces, i.UUID)
		b.put(&model.InterfacePort{InterfaceUUID: i.UUID, DatapathUUID: dp.UUID, PortName: NIC, Singular: true})
		ml := &model.MACLease{InterfaceUUID: i.UUID, MACAddress: HostMAC(n)}
		b.put(ml)
		b.put(&model.IPLease{NetworkUUID: under.UUID, InterfaceUUID: i.UUID, MACLeaseUUID: ml.UUID, IPv4Address: HostAddr(n)})
		b.taken[domainOf(under)+"/"+HostAddr(n).String()] = true
	}
	if !b.mac2mac && b.oneIn(3) { // guests and gateways may be on the underlay as well
		b.networks = append(b.networks, under)
	}
}

// The subnets that networks are drawn from: few, so that tenants overlap.
var (
	subnets4 = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("10.0.0.0/23"), netip.MustParsePrefix("192.168.7.0/29")}
	subnets6 = []netip.Prefix{netip.MustParsePrefix("fd00:a::/64"), netip.MustParsePrefix("fd00:b::/64"), netip.MustParsePrefix("fd00:a::/48")}
	policies = []string{model.UnknownOutside, model.UnknownOutside, model.UnknownOutside, model.UnknownFlood, model.UnknownDrop}
	casts    = []string{model.MulticastFlood, model.MulticastFlood, model.MulticastDrop}
	mtus     = []uint16{0, 0, 300, 600, 1280}
)

func (b *builder) domains() {
	for range b.n(3) {
		s := &model.Segment{Mode: model.SegmentVirtual, VNI: b.nextVNI(), UnknownUnicast: pick(b, policies), Multicast: pick(b, casts)}
		if !b.mac2mac && b.oneIn(8) {
			s.Mode, s.VNI = model.SegmentPhysical, 0
		}
		b.put(s)
		b.segments = append(b.segments, s)
	}
	for range 1 + b.n(4) {
		n := &model.Network{Mode: model.NetworkVirtual, UnknownUnicast: pick(b, policies), Multicast: pick(b, casts), DomainName: "x", MTU: pick(b, mtus)}
		kind := b.n(10)
		if kind != 0 {
			p := pick(b, subnets4)
			n.IPv4Network, n.IPv4Prefix = p.Addr(), p.Bits()
		}
		if kind < 4 {
			p := pick(b, subnets6)
			n.IPv6Network, n.IPv6Prefix = p.Addr(), p.Bits()
			if p.Bits() == 64 && b.oneIn(2) {
				n.IPv6Addressing = model.AddressingSLAAC
			}
		}
		switch {
		case b.oneIn(8):
			n.Mode = model.NetworkInternal
		case !b.mac2mac && b.oneIn(8):
			n.Mode = model.NetworkPhysical
		default:
			n.VNI = b.nextVNI()
			if len(b.segments) > 0 && b.oneIn(3) {
				n.SegmentUUID = pick(b, b.segments).UUID
			}
		}
		b.put(n)
		b.networks = append(b.networks, n)
	}
}

// address draws a free address of the network, of that family, the zero Addr if there is none. Low numbers are likely.
func (b *builder) address(n *model.Network, v6 bool) netip.Addr {
	p := n.Prefix4()
	if v6 {
		p = n.Prefix6()
	}
	if !p.IsValid() {
		return netip.Addr{}
	}
	for range 8 {
		a := p.Addr()
		limit := 6
		if b.oneIn(6) && p.Bits() < 28 {
			limit = 200
		}
		for range 1 + b.n(limit) {
			a = a.Next()
		}
		if k := domainOf(n) + "/" + a.String(); p.Contains(a) && !b.taken[k] {
			b.taken[k] = true
			return a
		}
	}
	return netip.Addr{}
}

// domainOf gives the uuid of what a network's stations share.
func domainOf(n *model.Network) string { return cmp.Or(n.SegmentUUID, n.UUID) }

// place gives an interface a port row and mostly a port on a host.
func (b *builder) place(i *model.Interface) {
	port := &model.InterfacePort{InterfaceUUID: i.UUID, PortName: "p-" + i.UUID}
	host := pick(b, b.hosts)
	owned := b.n(3) > 0
	if owned {
		port.DatapathUUID = host
	}
	b.put(port)
	if !owned {
		if b.oneIn(6) {
			return // nowhere
		}
		at := &model.ActiveInterface{InterfaceUUID: i.UUID, DatapathUUID: host}
		if n := len(b.hosts); n > 1 && b.nmac%3 == 0 { // a move is announced, which changes nothing as yet; no draw, so that a seed's world is what it was but for this
			at.TargetDatapathUUID = b.hosts[(slices.Index(b.hosts, host)+1)%n]
		}
		b.put(at)
	}
	b.located[i.UUID] = host
	if b.oneIn(8) {
		return // its port is not there (yet)
	}
	p := Port{Datapath: host, Name: port.PortName, Number: b.ports[host]}
	if b.oneIn(3) {
		p.Name, p.IfaceID = fmt.Sprintf("tap%d", p.Number), i.UUID
	}
	b.ports[host]++
	b.w.Ports = append(b.w.Ports, p)
}

func (b *builder) lease(i *model.Interface, ml *model.MACLease, n *model.Network, routed bool) {
	for _, v6 := range []bool{false, true} {
		if v6 != n.Prefix4().IsValid() && b.oneIn(3) {
			continue
		}
		a := b.address(n, v6)
		if !a.IsValid() {
			continue
		}
		l := &model.IPLease{NetworkUUID: n.UUID, InterfaceUUID: i.UUID, MACLeaseUUID: ml.UUID, EnableRouting: routed}
		if v6 {
			l.IPv6Address = a
		} else {
			l.IPv4Address = a
		}
		b.put(l)
	}
}

// macLease gives an interface a MAC address, on the segment if a network is given that lies on one.
func (b *builder) macLease(i *model.Interface, n *model.Network) *model.MACLease {
	ml := &model.MACLease{InterfaceUUID: i.UUID, MACAddress: b.mac()}
	if n != nil {
		ml.SegmentUUID = n.SegmentUUID
	}
	b.put(ml)
	b.macs[i.UUID] = append(b.macs[i.UUID], ml)
	return ml
}

// guest makes an interface of mode vif, now and then internal.
func (b *builder) guest() {
	i := &model.Interface{Mode: model.InterfaceVIF, EnableRouting: b.oneIn(12)}
	if b.oneIn(6) {
		i.DSCP = uint16(b.n(64))
	}
	b.put(i)
	b.interfaces = append(b.interfaces, i)
	b.place(i)
	for range 1 + b.n(6)/5 {
		n := pick(b, b.networks)
		ml := b.macLease(i, n)
		if s := b.segment(); s != nil && n.SegmentUUID == "" && !b.mac2mac && b.oneIn(4) && !(n.Mode == model.NetworkPhysical && s.Mode == model.SegmentPhysical) {
			ml.SegmentUUID = s.UUID
		}
		if b.oneIn(8) {
			continue // no address
		}
		b.lease(i, ml, n, false)
		if b.oneIn(4) && !b.mac2mac {
			// One MAC address is in one physical network: what a NIC brings for it could not be told apart. Without encapsulation that holds of any.
			if m := pick(b, b.networks); m.SegmentUUID == "" && m.Mode != model.NetworkPhysical || m.SegmentUUID != "" && m.SegmentUUID == ml.SegmentUUID {
				b.lease(i, ml, m, false)
			}
		}
		if b.oneIn(3) {
			b.choose(i, ml)
		}
	}
}

// choose leases a link-local address in all networks that a MAC address may be in, or only some.
func (b *builder) choose(i *model.Interface, ml *model.MACLease) {
	a := model.LinkLocals().Addr().Next()
	for range b.n(3) {
		a = a.Next()
	}
	for _, n := range b.networks {
		if k := domainOf(n) + "/" + a.String(); n.SegmentUUID == "" && n.Mode != model.NetworkPhysical && !b.taken[k] && !b.oneIn(4) {
			b.taken[k] = true
			b.put(&model.IPLease{NetworkUUID: n.UUID, InterfaceUUID: i.UUID, MACLeaseUUID: ml.UUID, IPv6Address: a, Origin: model.OriginSLAAC})
		}
	}
}

// segment draws a segment, nil if there is none.
func (b *builder) segment() *model.Segment {
	if len(b.segments) == 0 {
		return nil
	}
	return pick(b, b.segments)
}

// outsides makes ports with devices behind them that nobody registered.
func (b *builder) outsides() {
	if b.oneIn(4) { // the host itself in an internal network
		for _, n := range b.networks {
			if n.Mode != model.NetworkInternal {
				continue
			}
			i := &model.Interface{Mode: model.InterfaceInternal}
			b.put(i)
			host := pick(b, b.hosts)
			b.put(&model.InterfacePort{InterfaceUUID: i.UUID, DatapathUUID: host})
			b.located[i.UUID] = host
			b.lease(i, b.macLease(i, n), n, false)
			break
		}
	}
	for range b.n(3) {
		i, t := b.outside()
		if t != nil {
			domains := map[string]bool{} // under one VLAN each
			for k, n := range b.networks {
				domain := cmp.Or(n.SegmentUUID, n.UUID)
				if n.Mode == model.NetworkVirtual && !domains[domain] && b.n(2) == 0 {
					domains[domain] = true
					b.put(&model.VLANTranslation{TranslationUUID: t.UUID, NetworkUUID: n.UUID, VLANID: uint16(10 + k)})
				}
			}
			continue
		}
		if len(b.segments) > 0 && b.oneIn(2) {
			b.put(&model.InterfaceSegment{InterfaceUUID: i.UUID, SegmentUUID: pick(b, b.segments).UUID, Static: true})
		} else {
			b.put(&model.InterfaceNetwork{InterfaceUUID: i.UUID, NetworkUUID: pick(b, b.networks).UUID, Static: true})
		}
	}
}

// outside makes a port with devices behind it, which is in no domain yet; of an edge with its translation.
func (b *builder) outside() (*model.Interface, *model.Translation) {
	i := &model.Interface{Mode: pick(b, []string{model.InterfacePromiscuous, model.InterfacePatch, model.InterfaceEdge})}
	b.put(i)
	b.place(i)
	if i.Mode != model.InterfaceEdge {
		return i, nil
	}
	t := &model.Translation{Mode: model.TranslationEdge, InterfaceUUID: i.UUID}
	b.put(t)
	return i, t
}

// away makes networks in which there are devices outside and nearly nobody else, so that they are present on few hosts. It gives them.
func (b *builder) away() []*model.Network {
	var away []*model.Network
	for range 1 + b.n(2) {
		n := &model.Network{Mode: model.NetworkVirtual, VNI: b.nextVNI(), UnknownUnicast: pick(b, policies), Multicast: pick(b, casts), DomainName: "x"}
		if p := pick(b, subnets4); !b.oneIn(8) {
			n.IPv4Network, n.IPv4Prefix = p.Addr(), p.Bits()
		}
		if p := pick(b, subnets6); b.oneIn(2) {
			n.IPv6Network, n.IPv6Prefix = p.Addr(), p.Bits()
		}
		var s *model.Segment
		if b.oneIn(5) {
			s = b.segment()
		}
		if s != nil && s.Mode == model.SegmentVirtual {
			n.SegmentUUID = s.UUID
		}
		b.put(n)
		away = append(away, n)
		for range 1 + b.n(2) {
			i, t := b.outside()
			if t != nil {
				b.put(&model.VLANTranslation{TranslationUUID: t.UUID, NetworkUUID: n.UUID, VLANID: uint16(50 + len(away))})
			} else {
				b.put(&model.InterfaceNetwork{InterfaceUUID: i.UUID, NetworkUUID: n.UUID, Static: true})
			}
			if b.oneIn(4) { // a device that is registered
				b.lease(i, b.macLease(i, n), n, false)
			}
		}
		if b.oneIn(3) {
			i := &model.Interface{Mode: model.InterfaceVIF}
			b.put(i)
			b.interfaces = append(b.interfaces, i)
			b.place(i)
			b.lease(i, b.macLease(i, n), n, false)
		}
	}
	return away
}

// services makes services and simulated interfaces that only answer.
func (b *builder) services() {
	for range b.n(3) {
		n := pick(b, b.networks)
		i := b.simulated(n, false, false)
		if b.n(3) > 0 {
			b.put(&model.NetworkService{Mode: model.ServiceDHCP, InterfaceUUID: i.UUID, DisplayName: "dhcp"})
		}
		if b.oneIn(2) {
			b.put(&model.NetworkService{Mode: model.ServiceDNS, InterfaceUUID: i.UUID, DisplayName: "dns"})
		}
		if b.n(3) > 0 {
			b.put(&model.NetworkService{Mode: model.ServiceMetadata, InterfaceUUID: i.UUID, DisplayName: "metadata"})
		}
	}
}

// simulated makes a simulated interface with addresses in the network, pinned to a host if it has to be.
func (b *builder) simulated(n *model.Network, routing, pinned bool) *model.Interface {
	i := &model.Interface{Mode: model.InterfaceSimulated, EnableRouting: routing}
	b.put(i)
	port := &model.InterfacePort{InterfaceUUID: i.UUID}
	if pinned || n.Mode == model.NetworkPhysical || b.oneIn(5) {
		port.DatapathUUID = pick(b, b.hosts)
		b.located[i.UUID] = port.DatapathUUID
	}
	b.put(port)
	b.lease(i, b.macLease(i, n), n, false)
	return i
}

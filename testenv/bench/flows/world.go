package flows

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// world is a network that is built object by object, as a manager would store it.
type world struct {
	g    *graph.Graph
	ids  map[*model.Resource]uint32
	vni  uint32
	nmac uint32
}

// newWorld gives a world with so many hosts in one physical network.
func newWorld(hosts int) *world {
	w := &world{g: graph.New(), ids: map[*model.Resource]uint32{}}
	w.put(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology}, Mode: model.TopologyOverlay, Automatic: true, Encapsulation: model.Geneve})
	w.put(&model.Network{Meta: model.Meta{UUID: "nw-under"}, Mode: model.NetworkPhysical, IPv4Network: netip.MustParseAddr("172.16.0.0"), IPv4Prefix: 16})
	for n := range hosts {
		w.put(&model.Datapath{Meta: model.Meta{UUID: host(n)}, DPID: model.DPID(n + 1), MTU: 1500})
		i := &model.Interface{Mode: model.InterfaceHost}
		w.put(i)
		w.put(&model.InterfacePort{InterfaceUUID: i.UUID, DatapathUUID: host(n), PortName: "eth0", Singular: true})
		w.lease(i.UUID, w.mac(i.UUID), "nw-under", netip.AddrFrom4([4]byte{172, 16, byte((n + 1) >> 8), byte(n + 1)}))
	}
	return w
}

// host is the uuid of the n-th host.
func host(n int) string { return fmt.Sprintf("dp-%d", n) }

func (w *world) put(o model.Object) {
	r := model.Of(o)
	w.ids[r]++
	o.Base().ID = w.ids[r]
	if o.Base().UUID == "" {
		o.Base().UUID = fmt.Sprintf("%s-%d", r.Prefix, o.Base().ID)
	}
	w.g.Put(o)
}

func (w *world) network(subnet netip.Prefix) *model.Network {
	w.vni++
	n := &model.Network{Mode: model.NetworkVirtual, VNI: w.vni, UnknownUnicast: model.UnknownOutside, Multicast: model.MulticastFlood}
	if subnet.Addr().Is4() {
		n.IPv4Network, n.IPv4Prefix = subnet.Addr(), subnet.Bits()
	} else {
		n.IPv6Network, n.IPv6Prefix = subnet.Addr(), subnet.Bits()
	}
	w.put(n)
	return n
}

func (w *world) mac(iface string) string {
	w.nmac++
	ml := &model.MACLease{InterfaceUUID: iface, MACAddress: model.MAC{2, 0, byte(w.nmac >> 24), byte(w.nmac >> 16), byte(w.nmac >> 8), byte(w.nmac)}}
	w.put(ml)
	return ml.UUID
}

func (w *world) lease(iface, mac, network string, a netip.Addr) {
	l := &model.IPLease{NetworkUUID: network, InterfaceUUID: iface, MACLeaseUUID: mac}
	if a.Is4() {
		l.IPv4Address = a
	} else {
		l.IPv6Address = a
	}
	w.put(l)
}

// port makes an interface with an address, whose port is on a host under the interface's uuid.
func (w *world) port(hostN int, n *model.Network, a netip.Addr) *model.Interface {
	i := &model.Interface{Mode: model.InterfaceVIF}
	w.put(i)
	w.put(&model.InterfacePort{InterfaceUUID: i.UUID, DatapathUUID: host(hostN), PortName: i.UUID, Singular: true})
	w.lease(i.UUID, w.mac(i.UUID), n.UUID, a)
	return i
}

// group makes a security group with rules that allow a port each.
func (w *world) group(rules int, each func(r *model.SecurityGroupRule, g *model.SecurityGroup)) *model.SecurityGroup {
	g := &model.SecurityGroup{DisplayName: "group"}
	w.put(g)
	for n := range rules {
		r := &model.SecurityGroupRule{
			SecurityGroupUUID: g.UUID, Direction: model.RuleIngress, Protocol: "tcp", PortFirst: uint16(1000 + n), ICMPType: -1, ICMPCode: -1, Action: model.RuleAllow,
		}
		each(r, g)
		w.put(r)
	}
	return g
}

func (w *world) join(g *model.SecurityGroup, i *model.Interface) *model.SecurityGroupInterface {
	m := &model.SecurityGroupInterface{SecurityGroupUUID: g.UUID, InterfaceUUID: i.UUID}
	w.put(m)
	return m
}

// address gives the n-th address of a subnet.
func address(p netip.Prefix, n int) netip.Addr {
	b := p.Addr().As16()
	for i := 15; n > 0; i-- {
		n += int(b[i])
		b[i] = byte(n)
		n >>= 8
	}
	a := netip.AddrFrom16(b)
	if p.Addr().Is4() {
		return a.Unmap()
	}
	return a
}

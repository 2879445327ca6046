// Package modeltest draws random small worlds of the model for property tests: a few hosts, networks and interfaces, so that
// changes meet each other often. References may dangle, as they may in what a host is sent. Imported by tests only.
package modeltest

import (
	"fmt"
	"net/netip"
	"strings"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Hosts are the uuids of the world's datapaths.
var Hosts = []string{"dp-0", "dp-1", "dp-2"}

// Batch draws a few writes and removals; rev is the revision of each and must grow from batch to batch.
func Batch(t *rapid.T, rev int64) []graph.Change {
	var batch []graph.Change
	for n := range rapid.IntRange(1, 4).Draw(t, "batch") {
		batch = append(batch, Change(t, uint32(rev)*8+uint32(n), rev))
	}
	return batch
}

// Change draws a write or a removal of one object, whose id is id when it is new to the reader.
func Change(t *rapid.T, id uint32, rev int64) graph.Change {
	n := func(label string, limit int) int { return rapid.IntRange(0, limit-1).Draw(t, label) }
	datapath := func() string { return Hosts[n("datapath", len(Hosts))] }
	network := func() string { return fmt.Sprintf("nw-%d", n("network", 3)) }
	iface := func() int { return n("interface", 7) }
	ifUUID := func(k int) string { return fmt.Sprintf("if-%d", k) }
	segment := func() string { return fmt.Sprintf("seg-%d", n("segment", 2)) }
	group := func() string { return fmt.Sprintf("sg-%d", n("group", 3)) }
	sometimes := func(uuid func() string) string {
		if n("given", 3) > 0 {
			return ""
		}
		return uuid()
	}
	var o model.Object
	switch n("kind", 22) {
	case 0:
		d := n("datapath", len(Hosts))
		o, id = &model.Datapath{Meta: model.Meta{UUID: Hosts[d]}, DPID: model.DPID(d + 1)}, uint32(d+1)
	case 1:
		k := n("network", 3)
		nw := &model.Network{Meta: model.Meta{UUID: fmt.Sprintf("nw-%d", k)}, Mode: model.NetworkVirtual, VNI: uint32(100 + k),
			IPv4Network: netip.MustParseAddr("10.0.0.0"), IPv4Prefix: 24, IPv6Network: netip.MustParseAddr("fd00::"), IPv6Prefix: 64}
		if k == 2 {
			nw.Mode, nw.VNI = model.NetworkPhysical, 0
		}
		nw.SegmentUUID = sometimes(segment)
		o, id = nw, uint32(k+1)
	case 2, 3:
		k := iface()
		mode := model.InterfaceVIF
		switch k {
		case 5:
			mode = model.InterfaceSimulated
		case 6:
			mode = model.InterfaceHost
		}
		if n("other mode", 10) == 0 {
			mode = []string{model.InterfaceVIF, model.InterfaceHost, model.InterfaceSimulated, model.InterfaceEdge}[n("mode", 4)]
		}
		o, id = &model.Interface{Meta: model.Meta{UUID: ifUUID(k)}, Mode: mode}, uint32(k+1)
	case 4, 5:
		k := iface()
		p := &model.InterfacePort{Meta: model.Meta{UUID: fmt.Sprintf("ifp-%d", k)}, InterfaceUUID: ifUUID(k), PortName: fmt.Sprintf("port%d", k)}
		if rapid.Bool().Draw(t, "owned") {
			p.DatapathUUID = datapath()
		}
		o = p
	case 6:
		k := iface()
		o = &model.ActiveInterface{Meta: model.Meta{UUID: fmt.Sprintf("aif-%d", k)}, InterfaceUUID: ifUUID(k), DatapathUUID: datapath()}
	case 7, 8:
		k := iface()
		o = &model.MACLease{Meta: model.Meta{UUID: fmt.Sprintf("ml-%d", k)}, InterfaceUUID: ifUUID(k), MACAddress: model.MAC{2, 0, 0, 0, 0, byte(k)}, SegmentUUID: sometimes(segment)}
	case 9, 10:
		k, i := n("lease", 9), iface()
		l := &model.IPLease{Meta: model.Meta{UUID: fmt.Sprintf("il-%d", k)}, NetworkUUID: network(), InterfaceUUID: ifUUID(i)}
		if k%3 == 2 {
			l.IPv6Address = netip.MustParseAddr(fmt.Sprintf("fd00::%d", k+1))
		} else {
			l.IPv4Address = netip.AddrFrom4([4]byte{10, 0, 0, byte(k + 1)})
		}
		if rapid.Bool().Draw(t, "of mac lease") {
			l.MACLeaseUUID = fmt.Sprintf("ml-%d", i)
		}
		o = l
	case 11:
		if rapid.Bool().Draw(t, "service") {
			o = &model.NetworkService{Meta: model.Meta{UUID: "ns-0"}, Mode: model.ServiceDHCP, InterfaceUUID: ifUUID(5)}
		} else {
			d, nw := datapath(), network()
			o = &model.DatapathNetwork{Meta: model.Meta{UUID: pair("dpn", d, nw)}, DatapathUUID: d, NetworkUUID: nw}
		}
	case 12:
		o = &model.Topology{Meta: model.Meta{UUID: model.DefaultTopology}, Automatic: n("automatic", 4) > 0}
	case 13:
		k := n("segment", 2)
		o, id = &model.Segment{Meta: model.Meta{UUID: fmt.Sprintf("seg-%d", k)}, Mode: model.SegmentVirtual, VNI: uint32(200 + k)}, uint32(k+1)
	case 14:
		d, s := datapath(), segment()
		o = &model.DatapathSegment{Meta: model.Meta{UUID: pair("dps", d, s)}, DatapathUUID: d, SegmentUUID: s}
	case 15:
		i := ifUUID(iface())
		if rapid.Bool().Draw(t, "segment") {
			s := segment()
			o = &model.InterfaceSegment{Meta: model.Meta{UUID: pair("ifs", i, s)}, InterfaceUUID: i, SegmentUUID: s, Static: rapid.Bool().Draw(t, "static")}
		} else {
			nw := network()
			o = &model.InterfaceNetwork{Meta: model.Meta{UUID: pair("ifn", i, nw)}, InterfaceUUID: i, NetworkUUID: nw, Static: rapid.Bool().Draw(t, "static")}
		}
	case 16:
		o = &model.RouteLink{Meta: model.Meta{UUID: fmt.Sprintf("rl-%d", n("link", 2))}, VNI: 300}
	case 17:
		o = &model.Route{Meta: model.Meta{UUID: fmt.Sprintf("r-%d", n("route", 5))}, InterfaceUUID: ifUUID(iface()), NetworkUUID: network(), RouteLinkUUID: fmt.Sprintf("rl-%d", n("link", 2))}
	case 18:
		g := &model.SecurityGroup{Meta: model.Meta{UUID: group()}}
		if rapid.Bool().Draw(t, "rule") {
			g.Rules = model.SecurityRules("tcp:22:" + group())
		}
		o = g
	case 19:
		g, i := group(), ifUUID(iface())
		o = &model.SecurityGroupInterface{Meta: model.Meta{UUID: pair("sgi", g, i)}, SecurityGroupUUID: g, InterfaceUUID: i}
	case 20:
		tr := fmt.Sprintf("tr-%d", n("translation", 2))
		switch n("part", 3) {
		case 0:
			o = &model.Translation{Meta: model.Meta{UUID: tr}, Mode: model.TranslationEdge, InterfaceUUID: ifUUID(iface())}
		case 1:
			k := n("vlan", 3)
			o = &model.VLANTranslation{Meta: model.Meta{UUID: fmt.Sprintf("vt-%d", k)}, TranslationUUID: tr, NetworkUUID: network(), VLANID: uint16(k + 1)}
		case 2:
			o = &model.TranslationStaticAddress{Meta: model.Meta{UUID: fmt.Sprintf("trs-%d", n("row", 3))}, TranslationUUID: tr}
		}
	case 21:
		switch n("part", 4) {
		case 0:
			o = &model.Filter{Meta: model.Meta{UUID: fmt.Sprintf("fil-%d", n("filter", 3))}, InterfaceUUID: ifUUID(iface())}
		case 1:
			o = &model.FilterStatic{Meta: model.Meta{UUID: fmt.Sprintf("fils-%d", n("rule", 4))}, FilterUUID: fmt.Sprintf("fil-%d", n("filter", 3)), Protocol: "tcp"}
		case 2:
			o = &model.DNSService{Meta: model.Meta{UUID: "dnss-0"}, NetworkServiceUUID: "ns-0"}
		case 3:
			o = &model.DNSRecord{Meta: model.Meta{UUID: fmt.Sprintf("dnsr-%d", n("record", 3))}, DNSServiceUUID: "dnss-0", Name: "a"}
		}
	}
	o.Base().ID, o.Base().Revision = id, rev
	if n("removed", 8) == 0 {
		return graph.Change{UUID: o.Base().UUID}
	}
	return graph.Change{UUID: o.Base().UUID, Object: o}
}

// pair gives the uuid of a row that links two objects, of which there is but one.
func pair(prefix, a, b string) string {
	suffix := func(uuid string) string { return uuid[strings.IndexByte(uuid, '-')+1:] }
	return prefix + "-" + suffix(a) + "x" + suffix(b)
}

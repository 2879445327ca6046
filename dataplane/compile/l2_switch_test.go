package compile_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/oftest"
)

// site is the hosts of a world in switches in memory, with their tunnels and the wire that their NICs are on.
type site struct {
	t      *testing.T
	hosts  map[string]*oftest.Switch
	inputs map[string]*compile.Input
	ends   map[netip.Addr]string
	trace  []string
}

func newSite(t *testing.T, w *world, known func(dp string, b *compile.Bridge)) *site {
	t.Helper()
	return newSiteOf(t, func(string) *world { return w }, known)
}

// newSiteOf is newSite of hosts that have heard of different things.
func newSiteOf(t *testing.T, heard func(dp string) *world, known func(dp string, b *compile.Bridge)) *site {
	t.Helper()
	s := &site{t: t, hosts: map[string]*oftest.Switch{}, inputs: map[string]*compile.Input{}, ends: map[netip.Addr]string{}}
	for _, o := range heard("").g.List(model.Datapaths) {
		dp := o.Base().UUID
		w := heard(dp)
		x := span.New(w.g)
		g := graph.New()
		for _, o := range span.NewView(dp).Snapshot(x) {
			g.Put(o)
		}
		in := &compile.Input{X: span.New(g), Self: dp, Bridge: w.bridge(dp)}
		if known != nil {
			known(dp, in.Bridge)
		}
		for _, a := range in.TunnelEnds(dp) {
			s.ends[a] = dp
		}
		opt := oftest.Options{Trace: true, Ports: []oftest.Port{{No: 1, Name: "eth0"}, {No: flow.PortLocal, Name: "br0"}}}
		for n := range in.Bridge.Tunnels {
			opt.Ports = append(opt.Ports, oftest.Port{No: in.Bridge.Tunnels[n], Name: fmt.Sprint("tunnel", n), Kind: oftest.PortTunnel})
		}
		for p := range in.Bridge.Ports() {
			opt.Ports = append(opt.Ports, oftest.Port{No: p.OFPort, Name: p.Name})
		}
		full := compileAll(t, in).Full()
		s.hosts[dp], s.inputs[dp] = oftest.New(opt), in
		for _, m := range ovs.Program(&full) {
			if err := s.hosts[dp].Apply(m); err != nil {
				t.Fatalf("%s: %v: %+v", dp, err, m)
			}
		}
	}
	return s
}

func (s *site) name(dp string, no flow.Port) string {
	switch no {
	case 1:
		return dp + " wire"
	case flow.PortLocal:
		return dp + " host"
	}
	for p := range s.inputs[dp].Bridge.Ports() {
		if p.OFPort == no {
			return p.Name
		}
	}
	return fmt.Sprint(dp, " port ", no)
}

// send puts a frame in at a port and gives what comes out, in words; or why it was dropped. What leaves by a NIC comes to those of the other hosts.
func (s *site) send(port string, frame []byte) []string {
	s.t.Helper()
	type arrival struct {
		dp string
		in oftest.Packet
	}
	var queue []arrival
	for dp, in := range s.inputs {
		for p := range in.Bridge.Ports() {
			if p.Name == port {
				queue = append(queue, arrival{dp, oftest.Packet{InPort: p.OFPort, Frame: frame}})
			}
		}
		for _, no := range []flow.Port{1, flow.PortLocal} {
			if s.name(dp, no) == port {
				queue = append(queue, arrival{dp, oftest.Packet{InPort: no, Frame: frame}})
			}
		}
	}
	if len(queue) != 1 {
		s.t.Fatalf("port %s is at %d hosts", port, len(queue))
	}
	var out []string
	dropped := ""
	s.trace = nil
	for n := 0; n < len(queue); n++ {
		a := queue[n]
		r := s.hosts[a.dp].Process(a.in)
		s.trace = append(s.trace, s.name(a.dp, a.in.InPort)+":\n"+r.Trace())
		if len(r.Errors) > 0 || n > 50 {
			s.t.Fatalf("errors %v; trace:\n%s", r.Errors, strings.Join(s.trace, "\n"))
		}
		dropped = pipeline.Cookie(r.LastCookie).Reason().String()
		for _, in := range r.PacketIns {
			out = append(out, fmt.Sprintf("agent of %s, class %d", a.dp, in.Field(flow.Reg(3)).Lo>>8&0xff))
		}
		for _, o := range r.Outputs {
			switch {
			case o.Port == 1:
				out = append(out, s.name(a.dp, 1)+": "+words(o.Frame))
				for dp := range s.hosts {
					if dp != a.dp {
						queue = append(queue, arrival{dp, oftest.Packet{InPort: 1, Frame: o.Frame}})
					}
				}
			case slices.Contains(s.inputs[a.dp].Bridge.Tunnels[:], o.Port):
				queue = append(queue, arrival{s.ends[o.Tunnel.Dst], oftest.Packet{InPort: o.Port, Frame: o.Frame,
					Tunnel: oftest.Tunnel{ID: o.Tunnel.ID, Src: s.inputs[a.dp].TunnelEnds(a.dp)[0], Dst: o.Tunnel.Dst}}})
				out = append(out, fmt.Sprintf("tunnel %d to %s", o.Port, o.Tunnel.Dst))
			case o.Port != flow.PortLocal || s.name(a.dp, a.in.InPort) != a.dp+" wire" || n == 0:
				out = append(out, s.name(a.dp, o.Port)+": "+words(o.Frame))
			} // other hosts themselves get whatever is on the wire, and take what is theirs
		}
	}
	if out == nil {
		out = []string{"dropped: " + dropped}
	}
	slices.Sort(out)
	return out
}

func (s *site) want(port string, frame []byte, want ...string) {
	s.t.Helper()
	got := s.send(port, frame)
	slices.Sort(want)
	if diff := gocmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s sends %s (-want +got):\n%s\n%s", port, words(frame), diff, strings.Join(s.trace, "\n"))
	}
}

// eth makes a frame: MAC addresses by their last two bytes, 4 digits, or "ff" for broadcast.
func eth(dst, src string, etherType uint16, payload ...byte) []byte {
	f := append(shortAddr(dst), shortAddr(src)...)
	return append(binary.BigEndian.AppendUint16(f, etherType), payload...)
}

func shortAddr(s string) []byte {
	if s == "ff" {
		return []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	m, err := model.ParseMAC("02:00:00:00:" + s[:2] + ":" + s[2:])
	if err != nil {
		panic(err)
	}
	return m[:]
}

// tagged puts a VLAN tag into a frame.
func tagged(vlan uint16, frame []byte) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0, byte(vlan >> 8), byte(vlan)}, frame[12:])
}

// udp4 makes a UDP packet without checksums that anybody looks at.
func udp4(dst, src, to, from string) []byte {
	ip := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0}, netip.MustParseAddr(from).AsSlice()...)
	ip = append(ip, netip.MustParseAddr(to).AsSlice()...)
	sum := uint32(0)
	for n := 0; n < 20; n += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[n:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	return eth(dst, src, 0x0800, append(ip, 0x10, 0, 0x20, 0, 0, 8, 0, 0)...)
}

// udp6 is udp4 of IPv6.
func udp6(dst, src, to, from string) []byte {
	ip := append([]byte{0x60, 0, 0, 0, 0, 8, 17, 64}, netip.MustParseAddr(from).AsSlice()...)
	ip = append(ip, netip.MustParseAddr(to).AsSlice()...)
	return eth(dst, src, 0x86dd, append(ip, 0x10, 0, 0x20, 0, 0, 8, 0, 0)...)
}

// arp makes a question (1) or answer (2).
func arp(op byte, dst, src, from, to string) []byte {
	p := append([]byte{0, 1, 8, 0, 6, 4, 0, op}, shortAddr(src)...)
	p = append(append(p, netip.MustParseAddr(from).AsSlice()...), 0, 0, 0, 0, 0, 0)
	return eth(dst, src, 0x0806, append(p, netip.MustParseAddr(to).AsSlice()...)...)
}

// words gives destination and source of a frame, its VLAN, and what it is.
func words(f []byte) string {
	short := func(m []byte) string {
		if m[0] == 2 && m[1] == 0 {
			return fmt.Sprintf("%02x%02x", m[4], m[5])
		}
		return fmt.Sprintf("%x", m)
	}
	text := short(f[6:12]) + ">" + short(f[0:6])
	if binary.BigEndian.Uint16(f[12:]) == 0x8100 {
		text += fmt.Sprintf(" vlan %d", binary.BigEndian.Uint16(f[14:])&0xfff)
		f = f[4:]
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case 0x0806:
		text += fmt.Sprintf(" arp %d %s", f[21], netip.AddrFrom4([4]byte(f[28:32])))
	case 0x0800:
		text += fmt.Sprintf(" %s tos %d", netip.AddrFrom4([4]byte(f[30:34])), f[15])
	}
	return text
}

// On a segment a guest sends what it likes, but with nobody else's address; one that routes likewise, but ARP.
func TestSegmentInSwitches(t *testing.T) {
	s := newSite(t, segments(), nil)
	s.want("s1", udp4("0502", "0501", "10.5.0.2", "10.5.0.1"), "tunnel 2 to 172.16.90.2", "s2: 0501>0502 10.5.0.2 tos 0")
	s.want("s3", udp4("0502", "0503", "10.5.0.2", "192.168.7.7"), "tunnel 2 to 172.16.90.2", "s2: 0503>0502 10.5.0.2 tos 0")
	s.want("s3", udp4("0502", "0503", "10.5.0.2", "10.5.0.1"), "dropped: ipv4_source")
	s.want("s3", arp(1, "ff", "0503", "10.5.0.2", "10.5.0.9"), "dropped: arp_sender")
	s.want("s3", arp(1, "ff", "0503", "10.5.0.9", "10.5.0.9"), "tunnel 2 to 172.16.90.2", "s1: 0503>ffffffffffff arp 1 10.5.0.9", "s2: 0503>ffffffffffff arp 1 10.5.0.9")
	s.want("s3", arp(1, "ff", "0503", "10.5.0.9", "10.5.0.1"), "s3: 0501>0503 arp 2 10.5.0.1")
	s.want("s3", eth("0501", "0503", 0x88b5, 1, 2, 3), "s1: 0503>0501")
	s.want("s3", eth("0501", "0502", 0x88b5, 1, 2, 3), "dropped: mac_source")
	s.want("s3", tagged(5, eth("0501", "0503", 0x88b5)), "dropped: tagged")
	s.want("s3", udp4("0599", "0503", "10.5.0.99", "10.5.0.9"), "dropped: destination")
	s.want("s1", udp4("0501", "0501", "10.5.0.1", "10.5.0.1"), "dropped: destination")

	s.want("r1", udp4("0602", "0601", "10.6.0.2", "192.168.7.7"), "tunnel 2 to 172.16.90.2", "r2: 0601>0602 10.6.0.2 tos 0")
	s.want("r1", udp4("0602", "0601", "10.6.0.2", "10.6.0.2"), "dropped: ipv4_source")
	s.want("r1", arp(1, "ff", "0601", "192.168.7.7", "10.6.0.2"), "dropped: arp_sender")
	s.want("r1", arp(1, "ff", "0601", "10.6.0.1", "10.6.0.9"), "dropped: arp_unknown")
	s.want("r1", eth("0602", "0601", 0x88b5), "dropped: ethertype")
	s.want("r2", udp4("0601", "0602", "10.6.0.1", "192.168.7.7"), "dropped: ipv4_source")
}

// What is sent from a link-local address is in the domain of the MAC address's first IPv6 lease, of those domains that are here: the host may never have heard of others.
func TestLinkLocalInSwitches(t *testing.T) {
	w := hosts()
	change(w, model.DefaultTopology, func(t *model.Topology) { t.Automatic = false })
	w.network("nw-v", 100, "", "fd00:1::/64") // not wired
	for _, n := range []string{"i", "j"} {
		w.network("nw-"+n, 0, "10.0.0.0/24", "fd00:2::/64")
		change(w, "nw-"+n, func(n *model.Network) { n.Mode = model.NetworkInternal })
	}
	w.iface("if-m", model.InterfaceVIF, "dp-1", "m", "02:00:00:00:0a:01", "nw-v", "fd00:1::1")
	for _, l := range []model.IPLease{
		{NetworkUUID: "nw-i", IPv4Address: netip.MustParseAddr("10.0.0.1")},
		{NetworkUUID: "nw-j", IPv6Address: netip.MustParseAddr("fd00:2::1")},
		{NetworkUUID: "nw-i", IPv6Address: netip.MustParseAddr("fd00:2::2")},
		{NetworkUUID: "nw-i", IPv6Address: netip.MustParseAddr("fe80::7"), Origin: model.OriginSLAAC}, // its guest has chosen it
		{NetworkUUID: "nw-j", IPv6Address: netip.MustParseAddr("fe80::7"), Origin: model.OriginSLAAC},
	} {
		l.InterfaceUUID = "if-m"
		w.put(&l)
	}
	w.iface("if-i", model.InterfaceVIF, "dp-1", "i", "02:00:00:00:0a:02", "nw-i", "fd00:2::9")
	w.iface("if-j", model.InterfaceVIF, "dp-1", "j", "02:00:00:00:0a:03", "nw-j", "fd00:2::9")
	s := newSite(t, w, func(dp string, b *compile.Bridge) {
		for n, p := range []string{"m", "i", "j"} {
			if dp == "dp-1" {
				b.SetPort(compile.NewPort(p, "if-"+p, uint32(50+n), 150+n))
			}
		}
	})
	s.want("m", udp6("ff", "0a01", "ff02::1", "fe80::ff:fe00:a01"), "j: 0a01>ffffffffffff")
	s.want("m", udp6("ff", "0a01", "ff02::1", "fd00:2::2"), "i: 0a01>ffffffffffff")
	s.want("m", udp6("ff", "0a01", "ff02::1", "fd00:1::1"), "dropped: ipv6_source")
	s.want("i", udp6("0a01", "0a02", "fe80::ff:fe00:a01", "fd00:2::9"), "m: 0a02>0a01")
	s.want("m", udp6("ff", "0a01", "ff02::1", "fe80::7"), "j: 0a01>ffffffffffff")
	s.want("i", udp6("ff", "0a02", "ff02::1", "fe80::7"), "dropped: ipv6_source")
}

// Frames for nobody go to ports with devices outside, here and on the other host that has one, and not back; what was learned goes to one port.
func TestOutsideInSwitches(t *testing.T) {
	s := newSite(t, outsiders(), func(dp string, b *compile.Bridge) {
		if dp == "dp-1" {
			b.Learn(compile.LearnedKey{Domain: 100, MAC: model.MAC(shortAddr("ee01"))}, "if-patch")
		}
	})
	stranger := func(port string) []string {
		return map[string][]string{
			"a1":     {"patch1: 0a01>ee09 10.0.0.9 tos 0", "edge1: 0a01>ee09 vlan 7 10.0.0.9 tos 0", "tunnel 2 to 172.16.90.2", "prom2: 0a01>ee09 10.0.0.9 tos 0"},
			"a2":     {"prom2: 0a02>ee09 10.0.0.9 tos 0", "tunnel 2 to 172.16.90.1", "patch1: 0a02>ee09 10.0.0.9 tos 0", "edge1: 0a02>ee09 vlan 7 10.0.0.9 tos 0"},
			"patch1": {"agent of dp-1, class 3", "edge1: ee02>ee09 vlan 7 10.0.0.9 tos 0", "tunnel 2 to 172.16.90.2", "prom2: ee02>ee09 10.0.0.9 tos 0"},
		}[port]
	}
	s.want("a1", udp4("ee09", "0a01", "10.0.0.9", "10.0.0.1"), stranger("a1")...)
	s.want("a2", udp4("ee09", "0a02", "10.0.0.9", "10.0.0.2"), stranger("a2")...)
	s.want("patch1", udp4("ee09", "ee02", "10.0.0.9", "10.0.0.8"), stranger("patch1")...)
	s.want("a1", udp4("ee01", "0a01", "10.0.0.9", "10.0.0.1"), "patch1: 0a01>ee01 10.0.0.9 tos 0")
	s.want("patch1", udp4("0a01", "ee01", "10.0.0.1", "10.0.0.9"), "a1: ee01>0a01 10.0.0.1 tos 0") // known: not to the agent
	s.want("edge1", tagged(7, udp4("0a02", "ee03", "10.0.0.2", "10.0.0.9")), "agent of dp-1, class 3", "tunnel 2 to 172.16.90.2", "a2: ee03>0a02 10.0.0.2 tos 0")
	s.want("edge1", tagged(8, udp4("0a02", "ee03", "10.0.0.2", "10.0.0.9")), "dropped: vlan")
	s.want("edge1", udp4("0a02", "ee03", "10.0.0.2", "10.0.0.9"), "dropped: vlan")
	s.want("patch1", tagged(7, udp4("0a02", "ee03", "10.0.0.2", "10.0.0.9")), "dropped: tagged")
	s.want("patch1", udp4("0a01", "0a02", "10.0.0.1", "10.0.0.2"), "dropped: wire_source")
	s.want("edge1", tagged(7, arp(1, "ff", "ee03", "10.0.0.9", "10.0.0.2")), "agent of dp-1, class 3", "edge1: 0a02>ee03 vlan 7 arp 2 10.0.0.2")
	s.want("a1", arp(1, "ff", "0a01", "10.0.0.1", "10.0.0.9"), "patch1: 0a01>ffffffffffff arp 1 10.0.0.1", "edge1: 0a01>ffffffffffff vlan 7 arp 1 10.0.0.1", "tunnel 2 to 172.16.90.2", "prom2: 0a01>ffffffffffff arp 1 10.0.0.1")
	s.want("patch1", arp(2, "0a01", "ee01", "10.0.0.9", "10.0.0.1"), "a1: ee01>0a01 arp 2 10.0.0.9")
	s.want("a1", udp4("ff", "0a01", "255.255.255.255", "10.0.0.1"), "patch1: 0a01>ffffffffffff 255.255.255.255 tos 0", "edge1: 0a01>ffffffffffff vlan 7 255.255.255.255 tos 0",
		"tunnel 2 to 172.16.90.2", "a2: 0a01>ffffffffffff 255.255.255.255 tos 0", "prom2: 0a01>ffffffffffff 255.255.255.255 tos 0")
}

// Stations of a physical network and the hosts are on one wire; what the hosts say to one another is not touched.
func TestPhysicalInSwitches(t *testing.T) {
	s := newSite(t, underlay(), nil)
	s.want("u1", udp4("0902", "0901", "172.16.90.102", "172.16.90.101"), "dp-1 wire: 0901>0902 172.16.90.102 tos 0", "u2: 0901>0902 172.16.90.102 tos 0")
	s.want("u1", arp(1, "ff", "0901", "172.16.90.101", "172.16.90.102"), "u1: 0902>0901 arp 2 172.16.90.102")
	s.want("u1", arp(1, "ff", "0901", "172.16.90.101", "172.16.90.77"), "dp-1 wire: 0901>ffffffffffff arp 1 172.16.90.101")
	s.want("u1", udp4("0999", "0901", "172.16.90.77", "172.16.90.101"), "dp-1 wire: 0901>0999 172.16.90.77 tos 0")
	s.want("dp-2 wire", arp(1, "ff", "0999", "172.16.90.77", "172.16.90.102"), "dp-2 host: 0999>ffffffffffff arp 1 172.16.90.77", "dp-2 wire: 0902>0999 arp 2 172.16.90.102")
	s.want("dp-2 wire", arp(1, "ff", "0999", "172.16.90.77", "172.16.90.101"), "dp-2 host: 0999>ffffffffffff arp 1 172.16.90.77")
	s.want("dp-2 wire", udp4("0902", "0999", "172.16.90.102", "172.16.90.77"), "u2: 0999>0902 172.16.90.102 tos 0")
	s.want("dp-2 wire", udp4("0902", "0902", "172.16.90.102", "172.16.90.102"), "dropped: wire_source")
	s.want("dp-2 wire", udp4("0998", "0999", "172.16.90.66", "172.16.90.77"), "dp-2 host: 0999>0998 172.16.90.66 tos 0")
	s.want("dp-2 wire", tagged(5, udp4("0998", "0999", "172.16.90.66", "172.16.90.77")), "dp-2 host: 0999>0998 vlan 5 172.16.90.66 tos 0")
	s.want("dp-3 wire", udp4("0902", "0999", "172.16.90.102", "172.16.90.77"), "dp-3 host: 0999>0902 172.16.90.102 tos 0") // as if there were no agent
	s.want("dp-1 host", udp4("0901", "0888", "172.16.90.101", "172.16.90.1"), "u1: 0888>0901 172.16.90.101 tos 0")
	s.want("dp-1 host", udp4("ff", "0888", "255.255.255.255", "172.16.90.1"), "dp-1 wire: 0888>ffffffffffff 255.255.255.255 tos 0", "u1: 0888>ffffffffffff 255.255.255.255 tos 0", "u2: 0888>ffffffffffff 255.255.255.255 tos 0")

	s.want("dp-1 host", udp4("0801", "08fe", "192.168.9.1", "192.168.9.254"), "i1: 08fe>0801 192.168.9.1 tos 0")
	s.want("dp-1 host", arp(1, "ff", "08fe", "192.168.9.254", "192.168.9.1"), "dp-1 host: 0801>08fe arp 2 192.168.9.1")
	s.want("i1", udp4("08fe", "0801", "192.168.9.254", "192.168.9.1"), "dp-1 host: 0801>08fe 192.168.9.254 tos 0")
	s.want("i1", udp4("ff", "0801", "255.255.255.255", "192.168.9.1"), "dp-1 host: 0801>ffffffffffff 255.255.255.255 tos 0")
}

// Each host is reached as its row says: by VXLAN to another address, or as it is.
func TestTransportInSwitches(t *testing.T) {
	s := newSite(t, wires(), nil)
	s.want("a1", udp4("0a02", "0a01", "10.0.0.2", "10.0.0.1"), "tunnel 3 to 172.16.90.22", "a2: 0a01>0a02 10.0.0.2 tos 0")
	s.want("a2", udp4("0a01", "0a02", "10.0.0.1", "10.0.0.2"), "tunnel 4 to 172.16.90.1", "a1: 0a02>0a01 10.0.0.1 tos 0")
	s.want("a1", udp4("0a03", "0a01", "10.0.0.3", "10.0.0.1"), "dp-1 wire: 0a01>0a03 10.0.0.3 tos 0", "a3: 0a01>0a03 10.0.0.3 tos 0")
	s.want("a1", udp4("ff", "0a01", "255.255.255.255", "10.0.0.1"), "tunnel 3 to 172.16.90.22", "a2: 0a01>ffffffffffff 255.255.255.255 tos 0",
		"dp-1 wire: 0a01>020900000003 255.255.255.255 tos 0", "a3: 0a01>ffffffffffff 255.255.255.255 tos 0")
	multicast := udp4("ff", "0a01", "239.1.130.3", "10.0.0.1")
	copy(multicast, []byte{0x01, 0x00, 0x5e, 0x01, 0x82, 0x03})
	s.want("a1", multicast, "tunnel 3 to 172.16.90.22", "a2: 0a01>01005e018203 239.1.130.3 tos 0",
		"dp-1 wire: 0a01>020900000003 239.1.130.3 tos 0", "a3: 0a01>01005e018203 239.1.130.3 tos 0")
}

// Copies go to the targets as the frames were sent and as they were delivered, and nobody copies copies.
func TestMirrorInSwitches(t *testing.T) {
	s := newSite(t, shaped(), nil)
	s.want("a1", udp4("0a02", "0a01", "10.0.0.2", "10.0.0.1"), "a3: 0a01>0a02 10.0.0.2 tos 0", "tunnel 2 to 172.16.90.2", "a2: 0a01>0a02 10.0.0.2 tos 184")
	s.want("a1", udp4("0a02", "0a09", "10.0.0.2", "10.0.0.1"), "a3: 0a09>0a02 10.0.0.2 tos 0")
	s.want("a2", udp4("0a01", "0a02", "10.0.0.1", "10.0.0.2"), "tunnel 2 to 172.16.90.1", "a1: 0a02>0a01 10.0.0.1 tos 0", "a3: 0a02>0a01 10.0.0.1 tos 0",
		"tunnel 2 to 172.16.90.2", "a2: 0a02>0a01 10.0.0.1 tos 0")
	s.want("a1", arp(1, "ff", "0a01", "10.0.0.1", "10.0.0.2"), "a3: 0a01>ffffffffffff arp 1 10.0.0.1", "a1: 0a02>0a01 arp 2 10.0.0.2", "a3: 0a02>0a01 arp 2 10.0.0.2",
		"tunnel 2 to 172.16.90.2", "a2: 0a02>0a01 arp 2 10.0.0.2")
	s.want("a3", udp4("0a01", "0a03", "10.0.0.1", "10.0.0.3"), "a1: 0a03>0a01 10.0.0.1 tos 0", "a3: 0a03>0a01 10.0.0.1 tos 0", "tunnel 2 to 172.16.90.2", "a2: 0a03>0a01 10.0.0.1 tos 0")
}

// Multicast goes to those that have joined and to ports with devices outside; reports go to everybody and to the agent.
func TestSnoopInSwitches(t *testing.T) {
	group := compile.MemberKey{Domain: 100, Group: netip.MustParseAddr("239.1.2.3")}
	w := snooped()
	w.iface("if-a3", model.InterfaceVIF, "dp-1", "a3", "02:00:00:00:0a:03", "nw-a", "10.0.0.3")
	w.iface("if-a4", model.InterfaceVIF, "dp-3", "a4", "02:00:00:00:0a:04", "nw-a", "10.0.0.4")
	s := newSite(t, w, func(dp string, b *compile.Bridge) {
		if dp == "dp-1" {
			b.Join(group, "if-a3")
			b.Join(group, "dp-3")
		} else {
			b.Join(group, "if-a4")
		}
	})
	to := func(mac string, addr string) []byte {
		f := udp4("ff", "0a01", addr, "10.0.0.1")
		m, err := model.ParseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		copy(f, m[:])
		return f
	}
	s.want("a1", to("01:00:5e:01:02:03", "239.1.2.3"), "a3: 0a01>01005e010203 239.1.2.3 tos 0", "tunnel 2 to 172.16.90.3", "a4: 0a01>01005e010203 239.1.2.3 tos 0",
		"patch1: 0a01>01005e010203 239.1.2.3 tos 0", "edge1: 0a01>01005e010203 vlan 7 239.1.2.3 tos 0", "tunnel 2 to 172.16.90.2", "prom2: 0a01>01005e010203 239.1.2.3 tos 0")
	s.want("a1", to("01:00:5e:01:02:04", "239.1.2.4"), "patch1: 0a01>01005e010204 239.1.2.4 tos 0", "edge1: 0a01>01005e010204 vlan 7 239.1.2.4 tos 0",
		"tunnel 2 to 172.16.90.2", "prom2: 0a01>01005e010204 239.1.2.4 tos 0")
	if got := s.send("a1", to("01:00:5e:00:00:05", "224.0.0.5")); len(got) != 8 { // two guests, two ports outside, two hosts with a guest and with a port
		t.Errorf("link-local: %q", got)
	}
	report := to("01:00:5e:01:02:03", "239.1.2.3")
	report[23] = 2 // IGMP
	report[24], report[25] = report[24]+byte(0), report[25]+15
	if got := s.send("a1", report); !slices.Contains(got, "agent of dp-1, class 4") || !slices.Contains(got, "a4: 0a01>01005e010203 239.1.2.3 tos 0") {
		t.Errorf("a report: %q", got)
	}
}

package compile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/oftest"
	"github.com/openvnet/openvnet/testenv/rig"
)

// tunnelPort is the number of every host's Geneve port.
const tunnelPort = 2

// fabric is the hosts of a world, each with the share that a manager would send it, in switches in memory.
type fabric struct {
	t      *testing.T
	hosts  map[string]*oftest.Switch
	inputs map[string]*compile.Input
	ports  map[string]map[flow.Port]string
	ends   map[netip.Addr]string
	choose int                                // bucket of select groups
	trace  string                             // of what was sent last
	met    func(host string, l oftest.Lookup) // is told of every lookup in the switches in memory, if set
	rig    *rig.World                         // in which frames are sent; nil: in the switches in memory
}

func newFabric(t *testing.T, w *world) *fabric {
	t.Helper()
	f := &fabric{t: t, hosts: map[string]*oftest.Switch{}, inputs: map[string]*compile.Input{}, ports: map[string]map[flow.Port]string{}, ends: map[netip.Addr]string{}}
	x := span.New(w.g)
	for _, o := range w.g.List(model.Datapaths) {
		dp := o.Base().UUID
		g := graph.New()
		for _, o := range span.NewView(dp).Snapshot(x) {
			g.Put(o)
		}
		in := &compile.Input{X: span.New(g), Self: dp, Bridge: compile.NewBridge()}
		in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{tunnelPort}
		f.ends[in.TunnelEnds(dp)[0]] = dp
		opt := oftest.Options{Trace: true, Ports: []oftest.Port{{No: 1, Name: "eth0"}, {No: flow.PortLocal, Name: "br0"}, {No: tunnelPort, Name: "geneve", Kind: oftest.PortTunnel}},
			Bucket: func(_ *flow.Group, live []int) int { return f.choose % len(live) }}
		f.ports[dp] = map[flow.Port]string{}
		for n, o := range w.g.List(model.InterfacePorts) {
			if p := o.(*model.InterfacePort); p.DatapathUUID == dp && p.PortName != "" && p.PortName != "eth0" {
				no := flow.Port(n + 10) //nolint:gosec // small
				in.Bridge.SetPort(compile.Port{Name: p.PortName, OFPort: no})
				opt.Ports = append(opt.Ports, oftest.Port{No: no, Name: p.PortName})
				f.ports[dp][no] = p.PortName
			}
		}
		s := compileAll(t, in)
		full := s.Full()
		sw := oftest.New(opt)
		for _, m := range ovs.Program(&full) {
			if err := sw.Apply(m); err != nil {
				t.Fatalf("%s: %v: %+v", dp, err, m)
			}
		}
		f.hosts[dp], f.inputs[dp] = sw, in
	}
	return f
}

// send puts a frame in at a port and gives what comes out at guests' ports, as "port: summary", sorted; or why it was dropped.
func (f *fabric) send(port string, frame []byte) []string {
	f.t.Helper()
	if f.rig != nil {
		return f.sendOVS(port, frame)
	}
	type arrival struct {
		host string
		in   oftest.Packet
	}
	var queue []arrival
	for dp, ports := range f.ports {
		for no, name := range ports {
			if name == port {
				queue = append(queue, arrival{dp, oftest.Packet{InPort: no, Frame: frame}})
			}
		}
	}
	var out, trace []string
	dropped := "none"
	for n := 0; n < len(queue); n++ {
		a := queue[n]
		r := f.hosts[a.host].Process(a.in)
		trace = append(trace, a.host+":\n"+r.Trace())
		for _, l := range r.Lookups() {
			if f.met != nil && l.Hit {
				f.met(a.host, l)
			}
		}
		if len(r.Errors) > 0 || n > 100 {
			f.t.Fatalf("errors %v; trace:\n%s", r.Errors, strings.Join(trace, "\n"))
		}
		dropped = pipeline.Cookie(r.LastCookie).Reason().String()
		for _, in := range r.PacketIns {
			out = append(out, agent(a.host, in.Field(flow.Reg(3)).Lo, in.Field(flow.Reg(13)).Lo, in.Data))
		}
		for _, o := range r.Outputs {
			if o.Port != tunnelPort {
				out = append(out, f.ports[a.host][o.Port]+": "+summary(o.Frame))
				continue
			}
			var from netip.Addr
			for end, dp := range f.ends {
				if dp == a.host {
					from = end
				}
			}
			queue = append(queue, arrival{f.ends[o.Tunnel.Dst], oftest.Packet{InPort: tunnelPort, Frame: o.Frame, Tunnel: oftest.Tunnel{ID: o.Tunnel.ID, Src: from, Dst: o.Tunnel.Dst}}})
		}
	}
	if out == nil {
		out = []string{"dropped: " + dropped}
	}
	f.trace = strings.Join(trace, "\n")
	slices.Sort(out)
	return out
}

// agent says which packet the agent of a host gets, or what it tells a sender of; reg3 and reg13 are the registers with the class and the reason.
func agent(host string, reg3, reg13 uint64, frame []byte) string {
	if why := reason.Reason(reg13 & 0xff); why != reason.None {
		return host + " tells why: " + why.String()
	}
	return fmt.Sprintf("agent of %s, class %d: %s", host, reg3>>8&0xff, summary(frame))
}

// want sends a frame and compares what becomes of it. Open vSwitch only says that a packet is dropped, not why.
func (f *fabric) want(port string, frame []byte, want ...string) {
	f.t.Helper()
	got := f.send(port, frame)
	if f.rig != nil && len(want) > 0 && strings.HasPrefix(want[0], "dropped: ") {
		want = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("%s sends %s (-want +got):\n%s\n%s", port, summary(frame), diff, f.trace)
	}
}

// probe says what a frame is made of; ports of 0 make an echo request, of -1 the reply.
type probe struct {
	ethSrc, ethDst string
	src, dst       string
	ttl            uint8
	sport, dport   int
	size           int // of what it carries
}

func (p probe) frame() []byte {
	eth := &layers.Ethernet{SrcMAC: shortMAC(p.ethSrc), DstMAC: shortMAC(p.ethDst), EthernetType: layers.EthernetTypeIPv4}
	src, dst := netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst)
	if p.ttl == 0 {
		p.ttl = 64
	}
	var ip gopacket.SerializableLayer
	proto := layers.IPProtocolUDP
	if p.dport <= 0 {
		proto = layers.IPProtocolICMPv4
	}
	var network gopacket.NetworkLayer
	if src.Is6() {
		if proto == layers.IPProtocolICMPv4 {
			proto = layers.IPProtocolICMPv6
		}
		eth.EthernetType = layers.EthernetTypeIPv6
		l := &layers.IPv6{Version: 6, HopLimit: p.ttl, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		ip, network = l, l
	} else {
		l := &layers.IPv4{Version: 4, IHL: 5, TTL: p.ttl, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		ip, network = l, l
	}
	ls := []gopacket.SerializableLayer{eth, ip}
	switch {
	case p.dport > 0:
		udp := &layers.UDP{SrcPort: layers.UDPPort(p.sport), DstPort: layers.UDPPort(p.dport)} //nolint:gosec // of the test
		_ = udp.SetNetworkLayerForChecksum(network)
		ls = append(ls, udp)
	case src.Is6():
		typ := layers.ICMPv6TypeEchoRequest
		if p.dport < 0 {
			typ = layers.ICMPv6TypeEchoReply
		}
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(uint8(typ), 0)}
		_ = icmp.SetNetworkLayerForChecksum(network)
		ls = append(ls, icmp, &layers.ICMPv6Echo{Identifier: 7, SeqNumber: 1})
	default:
		typ := layers.ICMPv4TypeEchoRequest
		if p.dport < 0 {
			typ = layers.ICMPv4TypeEchoReply
		}
		ls = append(ls, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(uint8(typ), 0), Id: 7, Seq: 1})
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(ls, gopacket.Payload(bytes.Repeat([]byte("x"), 5+p.size)))...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// refusal gives an ICMP error (port unreachable) about a UDP packet.
func refusal(p, about probe) []byte {
	src, dst := netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst)
	eth := &layers.Ethernet{SrcMAC: shortMAC(p.ethSrc), DstMAC: shortMAC(p.ethDst), EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	icmp := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort)}
	about.ethSrc, about.ethDst = p.ethSrc, p.ethDst
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, icmp, gopacket.Payload(about.frame()[14:42])); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func shortMAC(s string) []byte {
	m, err := model.ParseMAC("02:00:00:00:" + s)
	if err != nil {
		panic(err)
	}
	return m[:]
}

// summary gives the addresses of a frame, and what it carries.
func summary(frame []byte) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth := p.LinkLayer().(*layers.Ethernet)
	short := func(m []byte) string { return fmt.Sprintf("%02x:%02x", m[4], m[5]) }
	what := fmt.Sprintf("%s>%s", short(eth.SrcMAC), short(eth.DstMAC))
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		what += fmt.Sprintf(" %s>%s ttl %d", ip.SrcIP, ip.DstIP, ip.TTL)
		if ip.FragOffset > 0 || ip.Flags&layers.IPv4MoreFragments != 0 {
			return what
		}
	case *layers.IPv6:
		what += fmt.Sprintf(" %s>%s ttl %d", ip.SrcIP, ip.DstIP, ip.HopLimit)
	}
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.UDP:
			what += fmt.Sprintf(" udp %d>%d", l.SrcPort, l.DstPort)
		case *layers.ICMPv4:
			what += " " + l.TypeCode.String()
			if l.TypeCode.Type() == layers.ICMPv4TypeDestinationUnreachable {
				var ip layers.IPv4
				_ = ip.DecodeFromBytes(l.Payload, gopacket.NilDecodeFeedback) // of a packet that is cut short
				what += fmt.Sprintf(" about %s:%d>%s:%d", ip.SrcIP, binary.BigEndian.Uint16(l.Payload[20:]), ip.DstIP, binary.BigEndian.Uint16(l.Payload[22:]))
			}
		case *layers.ICMPv6:
			what += " " + l.TypeCode.String()
		}
	}
	return what
}

// leg makes a simulated interface that routes; datapath "" leaves it unpinned.
func (w *world) leg(uuid, datapath, mac, network string, addrs ...string) {
	w.iface(uuid, model.InterfaceSimulated, datapath, "", mac, network, addrs...)
	w.edit(uuid, func(i *model.Interface) { i.EnableRouting = true })
}

// routing makes the interface's leases ones whose packets may be routed on.
func (w *world) routing(iface string) {
	for _, l := range graph.Children[*model.IPLease](w.g, iface, "ip_leases.interface_uuid") {
		l = model.Clone(l)
		l.EnableRouting = true
		w.g.Put(l)
	}
}

func (w *world) route(uuid, leg, network, link string, prefixes ...string) {
	r := &model.Route{Meta: model.Meta{UUID: uuid}, Mode: model.RouteGateway, InterfaceUUID: leg, NetworkUUID: network, RouteLinkUUID: link, Ingress: true, Egress: true}
	if leg == "" {
		r.Mode = model.RouteBlackhole
	}
	for _, s := range prefixes {
		if p := netip.MustParsePrefix(s); p.Addr().Is4() {
			r.IPv4Network, r.IPv4Prefix = p.Addr(), p.Bits()
		} else {
			r.IPv6Network, r.IPv6Prefix = p.Addr(), p.Bits()
		}
	}
	w.put(r)
}

// routed is two networks with guests on two hosts, joined by a route link.
func routed() *world {
	w := newWorld()
	w.network("nw-under", 0, "172.16.90.0/24", "")
	w.datapath("dp-1", "172.16.90.1")
	w.datapath("dp-2", "172.16.90.2")
	w.network("nw-a", 100, "10.0.0.0/24", "fd00:a::/64")
	w.network("nw-b", 200, "10.0.1.0/24", "fd00:b::/64")
	w.put(&model.RouteLink{Meta: model.Meta{UUID: "rl-1"}, VNI: 300, MACAddress: model.MAC{2, 0, 0, 0, 3, 0}})
	w.leg("if-ga", "", "02:00:00:00:0a:fe", "nw-a", "10.0.0.254", "fd00:a::fe")
	w.leg("if-gb", "", "02:00:00:00:0b:fe", "nw-b", "10.0.1.254", "fd00:b::fe")
	w.route("r-a", "if-ga", "nw-a", "rl-1", "10.0.0.0/24", "fd00:a::/64")
	w.route("r-b", "if-gb", "nw-b", "rl-1", "10.0.1.0/24", "fd00:b::/64")
	w.iface("if-a1", model.InterfaceVIF, "dp-1", "a1", "02:00:00:00:0a:01", "nw-a", "10.0.0.1", "fd00:a::1")
	w.iface("if-b1", model.InterfaceVIF, "dp-1", "b1", "02:00:00:00:0b:01", "nw-b", "10.0.1.1", "fd00:b::1")
	w.iface("if-b2", model.InterfaceVIF, "dp-2", "b2", "02:00:00:00:0b:02", "nw-b", "10.0.1.2", "fd00:b::2")
	return w
}

// natted adds a network outside, with a server and a leg of dp-2 that translates.
func natted(passthrough bool) *world {
	w := routed()
	w.network("nw-x", 400, "203.0.113.0/24", "2001:db8::/64")
	w.leg("if-gx", "dp-2", "02:00:00:00:0c:fe", "nw-x", "203.0.113.1", "2001:db8::1", "203.0.113.10", "2001:db8::10")
	w.edit("if-gx", func(i *model.Interface) { i.EnableRouteTranslation = true })
	w.routing("if-gx")
	w.route("r-x", "if-gx", "nw-x", "rl-1", "0.0.0.0/0", "::/0")
	w.iface("if-x1", model.InterfaceVIF, "dp-2", "x1", "02:00:00:00:0c:09", "nw-x", "203.0.113.9", "2001:db8::9")
	w.put(&model.Translation{Meta: model.Meta{UUID: "tr-m"}, Mode: model.TranslationMasquerade, InterfaceUUID: "if-gx", Passthrough: passthrough})
	w.put(&model.Translation{Meta: model.Meta{UUID: "tr-s"}, Mode: model.TranslationStatic, InterfaceUUID: "if-gx"})
	w.put(&model.TranslationStaticAddress{TranslationUUID: "tr-s", IngressIPv4Address: netip.MustParseAddr("203.0.113.10"), EgressIPv4Address: netip.MustParseAddr("10.0.1.2"),
		IngressPortNumber: 80, EgressPortNumber: 8080, RouteLinkUUID: "rl-1"})
	w.put(&model.TranslationStaticAddress{TranslationUUID: "tr-s", IngressIPv6Address: netip.MustParseAddr("2001:db8::10"), EgressIPv6Address: netip.MustParseAddr("fd00:b::2")})
	return w
}

func TestRouted(t *testing.T) { crossing(newFabric(t, routed())) }

func crossing(f *fabric) {
	a1 := probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "10.0.1.1", sport: 5, dport: 6}
	to := func(p probe, dst string) probe { p.dst = dst; return p }
	f.want("a1", a1.frame(), "b1: 0b:fe>0b:01 10.0.0.1>10.0.1.1 ttl 63 udp 5>6")
	f.want("a1", to(a1, "10.0.1.2").frame(), "b2: 0b:fe>0b:02 10.0.0.1>10.0.1.2 ttl 63 udp 5>6")
	f.want("b2", probe{ethSrc: "0b:02", ethDst: "0b:fe", src: "10.0.1.2", dst: "10.0.0.1", sport: 6, dport: 5}.frame(), "a1: 0a:fe>0a:01 10.0.1.2>10.0.0.1 ttl 63 udp 6>5")
	f.want("a1", to(a1, "10.0.0.1").frame(), "a1: 0a:fe>0a:01 10.0.0.1>10.0.0.1 ttl 63 udp 5>6") // back to where it came from
	f.want("a1", to(a1, "10.0.1.77").frame(), "dp-1 tells why: no_neighbor")
	f.want("a1", to(a1, "10.0.2.1").frame(), "dp-1 tells why: no_route")
	f.want("a1", to(a1, "10.0.1.254").frame(), "dp-1 tells why: gateway")
	old := a1
	old.ttl = 1
	f.want("a1", old.frame(), "dp-1 tells why: ttl")
	ping := probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "10.0.1.254"}
	f.want("a1", ping.frame(), "a1: 0a:fe>0a:01 10.0.1.254>10.0.0.1 ttl 63 EchoReply")
	f.want("a1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "fd00:a::1", dst: "fd00:b::fe"}.frame(), "a1: 0a:fe>0a:01 fd00:b::fe>fd00:a::1 ttl 63 EchoReply")
	f.want("a1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "fd00:a::1", dst: "fd00:b::2", sport: 5, dport: 6}.frame(), "b2: 0b:fe>0b:02 fd00:a::1>fd00:b::2 ttl 63 udp 5>6")
}

// The routes of a leg decide who may come in by it.
func TestRoutedSource(t *testing.T) {
	w := routed()
	o, _ := w.g.Get("r-a")
	r := model.Clone(o.(*model.Route))
	r.IPv4Network, r.IPv4Prefix = netip.MustParseAddr("10.0.0.128"), 25
	w.g.Put(r)
	f := newFabric(t, w)
	f.want("a1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "10.0.1.1", sport: 5, dport: 6}.frame(), "dp-1 tells why: no_ingress_route")
}

// What no subnet has goes to the route's gateway, or to the network's first address; a black hole swallows.
func TestRoutedGateway(t *testing.T) {
	w := routed()
	w.route("r-far", "if-gb", "nw-b", "rl-1", "192.0.2.0/24", "2001:db8:1::/48")
	w.route("r-all", "if-gb", "nw-b", "rl-1", "0.0.0.0/0", "::/0")
	w.route("r-hole", "", "", "rl-1", "198.51.100.0/24")
	o, _ := w.g.Get("r-far")
	r := model.Clone(o.(*model.Route))
	r.IPv4Gateway = netip.MustParseAddr("10.0.1.2")
	w.g.Put(r)
	f := newFabric(t, w)
	a1 := func(dst string) []byte {
		src := "10.0.0.1"
		if strings.Contains(dst, ":") {
			src = "fd00:a::1"
		}
		return probe{ethSrc: "0a:01", ethDst: "0a:fe", src: src, dst: dst, sport: 5, dport: 6}.frame()
	}
	f.want("a1", a1("192.0.2.7"), "b2: 0b:fe>0b:02 10.0.0.1>192.0.2.7 ttl 63 udp 5>6")
	f.want("a1", a1("198.51.100.1"), "dropped: blackhole")
	f.want("a1", a1("9.9.9.9"), "b1: 0b:fe>0b:01 10.0.0.1>9.9.9.9 ttl 63 udp 5>6") // 10.0.1.1 is the first address
	f.want("a1", a1("2001:db8:1::7"), "b1: 0b:fe>0b:01 fd00:a::1>2001:db8:1::7 ttl 63 udp 5>6")
}

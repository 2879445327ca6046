package verify

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

// drawer draws frames that are aimed at a world's edges.
type drawer struct {
	*actors
	r    *rand.Rand
	past []Delivery // frames that have arrived somewhere
	sent []Step
	// restores says that the MAC address that a multicast frame is for gets lost between hosts.
	restores bool
	wire     *wire
	known    map[[2]netip.Addr]bool // an address inside, and that outside which a static translation has for it
}

func newDrawer(w *World, r *rand.Rand) *drawer {
	d := &drawer{actors: newActors(w), r: r, restores: w.unencapsulated(), wire: newWire(w), known: map[[2]netip.Addr]bool{}}
	for _, o := range w.Objects {
		if t, ok := o.(*model.TranslationStaticAddress); ok {
			d.known[[2]netip.Addr{t.EgressIPv4Address, t.IngressIPv4Address}] = true
			d.known[[2]netip.Addr{t.EgressIPv6Address, t.IngressIPv6Address}] = true
		}
	}
	return d
}

func (d *drawer) oneIn(n int) bool { return d.r.IntN(n) == 0 }

func draw[T any](d *drawer, from []T) T { return from[d.r.IntN(len(from))] }

// next draws a step. The bool is false if the world has nobody who could send.
func (d *drawer) next() (Step, bool) {
	if len(d.from) == 0 {
		return Step{}, false
	}
	var s Step
	ok := false
	if len(d.past) > 0 && d.r.IntN(5) < 2 {
		s, ok = d.answer(draw(d, d.past))
	}
	for !ok || isHost(s.Frame) || toItself(s.Frame) || d.ofItself(s.Frame) || d.fromInside(s) {
		s, ok = d.fresh(), true
	}
	if d.oneIn(60) && len(s.Frame) > 20 {
		s.Frame, s.Note = s.Frame[:14+d.r.IntN(len(s.Frame)-14)], s.Note+", cut short"
	}
	if d.restores {
		s.Frame = restored(s.Frame)
	}
	d.sent = append(d.sent, s)
	return s, true
}

// isHost reports whether a frame says by ARP that somebody else has a host's address: what comes of that is the underlay's affair.
func isHost(frame []byte) bool {
	if len(frame) >= 18 && binary.BigEndian.Uint16(frame[12:]) == 0x8100 { // Open vSwitch does not look at the VLAN
		frame = frame[4:]
	}
	if len(frame) < 32 || binary.BigEndian.Uint16(frame[12:]) != 0x0806 {
		return false
	}
	n := int(frame[31])
	return n >= 1 && n <= maxHosts && netip.AddrFrom4([4]byte(frame[28:])) == HostAddr(n) && model.MAC(frame[22:]) != HostMAC(n)
}

// fromInside reports whether a NIC brings what no device sends: on an underlay without encapsulation a frame that comes from a station. And whether any port brings a frame of a
// tunnel to a host, which is no delivery to it: the tunnel ends there.
func (d *drawer) fromInside(s Step) bool {
	return s.Port == NIC && len(s.Frame) >= 12 && d.wire.inside[model.MAC(s.Frame[6:12])] || d.wire.forTunnel(s.Frame)
}

// toItself reports whether a packet is for the address that it comes from. No host sends such; whether a router that translates takes it for an answer to itself is nobody's concern.
func toItself(frame []byte) bool {
	if len(frame) < 14 {
		return false
	}
	switch kind := binary.BigEndian.Uint16(frame[12:]); {
	case kind == 0x0800 && len(frame) >= 34:
		return bytes.Equal(frame[26:30], frame[30:34])
	case kind == 0x86dd && len(frame) >= 54:
		return bytes.Equal(frame[22:38], frame[38:54])
	}
	return false
}

// errors4 are the types of ICMP errors (RFC 1122, section 3.2.2); those of ICMPv6 are less than 128 (RFC 4443, section 2.1).
var errors4 = []byte{3, 4, 5, 11, 12}

// ofItself reports whether a packet is an ICMP error to the address outside that a translation has for its sender: about what it has sent to itself.
func (d *drawer) ofItself(frame []byte) bool {
	if len(frame) < 14 {
		return false
	}
	switch kind := binary.BigEndian.Uint16(frame[12:]); {
	case kind == 0x0800 && len(frame) >= 34:
		return frame[23] == 1 && len(frame) > 34 && slices.Contains(errors4, frame[34]) && d.known[[2]netip.Addr{netip.AddrFrom4([4]byte(frame[26:])), netip.AddrFrom4([4]byte(frame[30:]))}]
	case kind == 0x86dd && len(frame) >= 54:
		return frame[20] == 58 && len(frame) > 54 && frame[54] < 128 && d.known[[2]netip.Addr{netip.AddrFrom16([16]byte(frame[22:])), netip.AddrFrom16([16]byte(frame[38:]))}]
	}
	return false
}

// saw takes note of what has arrived, to be answered.
func (d *drawer) saw(ds []Delivery) {
	d.past = append(d.past, ds...)
	if len(d.past) > 64 {
		d.past = d.past[len(d.past)-64:]
	}
}

var (
	broadcast = model.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	foreign4  = []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.77"), netip.MustParseAddr("10.0.1.77"), netip.MustParseAddr("172.16.90.200"), netip.MustParseAddr("192.168.7.6")}
	foreign6  = []netip.Addr{netip.MustParseAddr("2001:db8::8"), netip.MustParseAddr("fd00:a::77"), netip.MustParseAddr("fd00:b::77"), netip.MustParseAddr("fe80::77")}
	casts4    = []netip.Addr{netip.MustParseAddr("224.0.0.5"), netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("10.0.0.255")}
	casts6    = []netip.Addr{netip.MustParseAddr("ff02::1"), netip.MustParseAddr("ff05::123")}
	ports     = []uint16{22, 53, 80, 1000, 1001, 40000}
)

// ends are the two ends of a packet.
type ends struct {
	srcMAC, dstMAC model.MAC
	src, dst       netip.Addr
	vlan           uint16 // 0: none
	ttl            uint8
}

// fresh draws a frame that answers none.
func (d *drawer) fresh() Step {
	from := draw(d, d.from)
	e := ends{ttl: 64}
	if d.oneIn(12) {
		e.ttl = uint8(d.r.IntN(4))
	}
	if len(d.trips) > 0 && d.oneIn(4) {
		t := draw(d, d.trips)
		e.srcMAC, e.src, e.dstMAC, e.dst = t.from.mac, t.from.addr, t.router, t.to
		frame, note := d.packet(e, t.to.Is6())
		return Step{t.entry, frame, note + " to a stranger"}
	}
	e.srcMAC = d.anyMAC()
	if len(from.macs) > 0 && !d.oneIn(25) {
		e.srcMAC = draw(d, from.macs)
	}
	if len(from.vlans) > 0 && !d.oneIn(10) {
		e.vlan = draw(d, from.vlans)
	} else if d.oneIn(60) {
		e.vlan = 10
	}
	v6 := d.oneIn(3)
	var own []addressOf
	for _, a := range from.addresses {
		if a.addr.Is6() == v6 {
			own = append(own, a)
		}
	}
	network := ""
	switch {
	case len(own) > 0 && !d.oneIn(12):
		a := draw(d, own)
		e.src, network = a.addr, a.network
		if !d.oneIn(12) {
			e.srcMAC = a.mac
		}
	default:
		e.src = d.someAddr(v6)
	}
	d.aim(&e, v6, network)
	frame, note := d.packet(e, v6)
	return Step{from.entry, frame, note}
}

// aim draws the destination.
func (d *drawer) aim(e *ends, v6 bool, network string) {
	var near, all, legs []addressOf
	for _, a := range d.addresses {
		if a.addr.Is6() != v6 {
			continue
		}
		all = append(all, a)
		if a.network == network && a.addr != e.src {
			near = append(near, a)
		}
	}
	for _, a := range d.legs {
		if a.network == network {
			legs = append(legs, a)
		}
	}
	if d.oneIn(15) {
		e.dst, e.dstMAC = model.MetadataIPv4(), d.anyMAC()
		if v6 {
			e.dst = model.MetadataIPv6()
		}
		if len(legs) > 0 && d.oneIn(2) {
			e.dstMAC = draw(d, legs).mac
		}
		return
	}
	switch n := d.r.IntN(20); {
	case n < 9 && len(near) > 0:
		a := draw(d, near)
		e.dst, e.dstMAC = a.addr, a.mac
	case n < 17 && len(all) > 0 && len(legs) > 0:
		e.dst, e.dstMAC = draw(d, all).addr, draw(d, legs).mac
	case n < 18 && len(legs) > 0:
		e.dst, e.dstMAC = d.someForeign(v6), draw(d, legs).mac
	case n == 18:
		e.dst, e.dstMAC = draw(d, casts4), broadcast
		if v6 {
			e.dst = draw(d, casts6)
		}
		if !d.oneIn(3) {
			e.dstMAC = groupMAC(e.dst)
		}
	default:
		e.dst, e.dstMAC = d.someAddr(v6), d.anyMAC()
	}
}

// groupMAC gives the MAC address of an IP multicast group (RFC 1112, section 6.4; RFC 2464, section 7), broadcast of IPv4's broadcast addresses.
func groupMAC(a netip.Addr) model.MAC {
	b := a.As16()
	switch {
	case a.Is6():
		return model.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
	case a.IsMulticast():
		return model.MAC{0x01, 0x00, 0x5e, b[13] & 0x7f, b[14], b[15]}
	}
	return broadcast
}

func (d *drawer) anyMAC() model.MAC {
	switch {
	case d.oneIn(8):
		return broadcast
	case d.oneIn(40):
		return model.AnnouncementGroup()
	case d.oneIn(8):
		return model.MAC{0x02, 0xee, 0, 0, byte(d.r.IntN(2)), byte(10 + d.r.IntN(3))}
	case len(d.macs) > 0 && !d.oneIn(8):
		return draw(d, d.macs)
	}
	return model.MAC{0x02, 0x99, 0, 0, 0, byte(d.r.IntN(4))}
}

func (d *drawer) someForeign(v6 bool) netip.Addr {
	if v6 {
		return draw(d, foreign6)
	}
	return draw(d, foreign4)
}

func (d *drawer) someAddr(v6 bool) netip.Addr {
	for range 4 {
		if len(d.addresses) > 0 && !d.oneIn(4) {
			if a := draw(d, d.addresses); a.addr.Is6() == v6 {
				return a.addr
			}
		}
	}
	if d.oneIn(8) {
		if v6 {
			return netip.IPv6Unspecified()
		}
		return netip.IPv4Unspecified()
	}
	return d.someForeign(v6)
}

// biggest is how much a packet may carry to pass everywhere, with what is put before it between hosts.
const biggest = 1400

// packet draws what the frame carries.
func (d *drawer) packet(e ends, v6 bool) ([]byte, string) {
	payload := gopacket.Payload(make([]byte, 8+d.r.IntN(24)))
	sport, dport := draw(d, ports), draw(d, ports)
	if d.oneIn(8) { // about as big as a network takes
		room := draw(d, d.sizes) + d.r.IntN(3) - 1 - 28
		if v6 {
			room -= 20
		}
		payload = make([]byte, min(room, biggest))
	}
	switch n := d.r.IntN(100); {
	case n < 24:
		t := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: 1000, SYN: true, Window: 8192}
		return e.ip(t, payload[:0]), "tcp"
	case n < 44:
		return e.ip(&layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}, payload), "udp"
	case n < 60:
		return e.ip(echo(v6, true, uint16(d.r.IntN(3)), 1), payload), "echo request"
	case n < 63:
		return e.ip(echo(v6, false, uint16(d.r.IntN(3)), 1), payload), "echo reply unasked"
	case n < 66 && len(d.past) > 0:
		return d.icmpError(e, v6, draw(d, d.past).Frame)
	case n < 69:
		return d.dhcp(e), "dhcp"
	case n < 71: // of equal ports: the connection tracker of Open vSwitch 3.1 in userspace does not look at them
		return e.ip(nil, append(gopacket.Payload{0, 22, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0}, payload...), 132), "sctp"
	case n < 73:
		return e.ip(nil, payload, 47), "gre of a guest"
	case n < 76 && !d.tracked:
		return d.fragment(e, sport, dport), "fragment"
	case n < 86:
		return d.ask(e, v6)
	case n < 90:
		return d.tell(e, v6)
	case n < 93:
		return d.routerDiscovery(e), "router discovery or multicast listener report"
	case n < 95:
		return e.frame(layers.EthernetType(0x88b5), payload), "another protocol"
	case n < 96 && !v6:
		return e.ip(nil, gopacket.Payload{0x16, 0, 0x09, 0xfd, 239, 1, 2, 3}, 2), "igmp report"
	}
	return e.ip(&layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}, payload), "udp"
}

// frame gives an Ethernet frame with that payload.
func (e ends) frame(t layers.EthernetType, ls ...gopacket.SerializableLayer) []byte {
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr(e.srcMAC[:]), DstMAC: net.HardwareAddr(e.dstMAC[:]), EthernetType: t}
	all := []gopacket.SerializableLayer{eth}
	if e.vlan != 0 {
		eth.EthernetType = layers.EthernetTypeDot1Q
		all = append(all, &layers.Dot1Q{VLANIdentifier: e.vlan, Type: t})
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(all, ls...)...); err != nil {
		panic(err) //nolint:forbidigo // what is drawn can be written
	}
	return append([]byte(nil), buf.Bytes()...)
}

// ip gives a frame with an IP packet; proto is needed without a transport layer only.
func (e ends) ip(transport gopacket.SerializableLayer, payload gopacket.Payload, proto ...layers.IPProtocol) []byte {
	p := layers.IPProtocol(0)
	var network gopacket.NetworkLayer
	ls := []gopacket.SerializableLayer{}
	switch transport.(type) {
	case *layers.TCP:
		p = layers.IPProtocolTCP
	case *layers.UDP:
		p = layers.IPProtocolUDP
	case *layers.ICMPv4:
		p = layers.IPProtocolICMPv4
	case *layers.ICMPv6:
		p = layers.IPProtocolICMPv6
	default:
		p = proto[0]
	}
	t := layers.EthernetTypeIPv4
	if e.src.Is6() && e.dst.Is6() {
		t = layers.EthernetTypeIPv6
		h := &layers.IPv6{Version: 6, HopLimit: e.ttl, NextHeader: p, SrcIP: e.src.AsSlice(), DstIP: e.dst.AsSlice()}
		network, ls = h, append(ls, h)
	} else {
		h := &layers.IPv4{Version: 4, IHL: 5, TTL: e.ttl, Protocol: p, SrcIP: as4(e.src), DstIP: as4(e.dst), Id: 7}
		network, ls = h, append(ls, h)
	}
	if transport != nil {
		type summed interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}
		if s, ok := transport.(summed); ok {
			if err := s.SetNetworkLayerForChecksum(network); err != nil {
				panic(err) //nolint:forbidigo // it is of IP
			}
		}
		ls = append(ls, transport)
	}
	if six, ok := transport.(*layers.ICMPv6); ok && (six.TypeCode.Type() == layers.ICMPv6TypeEchoRequest || six.TypeCode.Type() == layers.ICMPv6TypeEchoReply) {
		ls = append(ls, payload[:4])
		payload = payload[4:]
	}
	return e.frame(t, append(ls, payload)...)
}

// as4 gives the four bytes of an IPv4 address, of another the last four.
func as4(a netip.Addr) net.IP {
	if a.Is4() {
		return a.AsSlice()
	}
	b := a.As16()
	return net.IP(b[12:])
}

// echo gives an echo request or reply. Of ICMPv6, identifier and sequence number stand in the payload's first bytes.
func echo(v6, request bool, id, seq uint16) gopacket.SerializableLayer {
	if v6 {
		t := uint8(layers.ICMPv6TypeEchoReply)
		if request {
			t = layers.ICMPv6TypeEchoRequest
		}
		return &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(t, 0)}
	}
	t := uint8(layers.ICMPv4TypeEchoReply)
	if request {
		t = layers.ICMPv4TypeEchoRequest
	}
	return &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(t, 0), Id: id, Seq: seq}
}

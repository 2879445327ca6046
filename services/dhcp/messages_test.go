package dhcp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

var (
	clientMAC  = model.MAC{2, 0, 0, 0, 0, 1}
	serverMAC  = model.MAC{2, 0, 0, 0, 1, 0}
	unknownMAC = model.MAC{2, 0, 0, 0, 0, 9}

	clientIP = netip.MustParseAddr("10.100.0.10")
	serverIP = netip.MustParseAddr("10.100.0.100")
	otherIP  = netip.MustParseAddr("10.100.0.11")
	awayIP   = netip.MustParseAddr("192.0.2.7")
	none     = netip.IPv4Unspecified()

	compare = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}
)

// config is a full configuration of the test's client.
func config() Config {
	return Config{
		Client:    clientMAC,
		Address:   netip.MustParsePrefix("10.100.0.10/24"),
		Server:    serverIP,
		ServerMAC: serverMAC,
		Routers:   []netip.Addr{netip.MustParseAddr("10.100.0.1")},
		DNS:       []netip.Addr{netip.MustParseAddr("10.100.0.53"), netip.MustParseAddr("192.0.2.53")},
		Domain:    "example.org",
		MTU:       1400,
	}
}

func binding(t testing.TB, c Config) *Binding {
	t.Helper()
	b, err := NewBinding(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// only is a lookup that knows one binding.
func only(b *Binding) Lookup {
	return func(mac model.MAC) *Binding {
		if mac != b.client {
			return nil
		}
		return b
	}
}

// message is what a client sends. The zero value of a field leaves it out.
type message struct {
	kind      dhcpv4.MessageType
	from      model.MAC // default clientMAC
	chaddr    model.MAC // default from
	src, dst  netip.Addr
	tci       uint16
	op        byte // default BOOTREQUEST
	hops      byte
	flags     uint16
	ciaddr    netip.Addr
	giaddr    netip.Addr
	requested netip.Addr
	server    netip.Addr
	wants     []byte
	clientID  []byte
	options   []Option // further ones, after those above
}

var xid = [4]byte{0xde, 0xad, 0xbe, 0xef}

// bytes builds the DHCP message by hand: the server's own code has no part in it.
func (m message) bytes() []byte {
	b := make([]byte, 240)
	b[0], b[1], b[2], b[3] = 1, 1, 6, m.hops
	if m.op != 0 {
		b[0] = m.op
	}
	copy(b[4:], xid[:])
	binary.BigEndian.PutUint16(b[8:], 3) // secs, which no answer repeats
	binary.BigEndian.PutUint16(b[10:], m.flags)
	for at, a := range map[int]netip.Addr{12: m.ciaddr, 24: m.giaddr} {
		if a.IsValid() {
			copy(b[at:], a.AsSlice())
		}
	}
	chaddr := m.chaddr
	if chaddr == (model.MAC{}) {
		chaddr = m.source()
	}
	copy(b[28:], chaddr[:])
	copy(b[236:], []byte{99, 130, 83, 99})
	add := func(code byte, v []byte) { b = append(append(b, code, byte(len(v))), v...) }
	if m.kind != 0 {
		add(53, []byte{byte(m.kind)})
	}
	if m.requested.IsValid() {
		add(50, m.requested.AsSlice())
	}
	if m.server.IsValid() {
		add(54, m.server.AsSlice())
	}
	if m.clientID != nil {
		add(61, m.clientID)
	}
	if m.wants != nil {
		add(55, m.wants)
	}
	for _, o := range m.options {
		add(o.Code, o.Data)
	}
	return append(b, 255)
}

func (m message) source() model.MAC {
	if m.from == (model.MAC{}) {
		return clientMAC
	}
	return m.from
}

func (m message) frame() []byte { return m.carry(m.bytes()) }

// carry puts any payload into a frame such as m's.
func (m message) carry(payload []byte) []byte {
	d := frame.Datagram{
		Ethernet: frame.Ethernet{Src: m.source(), Dst: frame.Broadcast(), Tagged: m.tci != 0, TCI: m.tci},
		IP:       frame.IPv4{TTL: 64, Src: none, Dst: limitedBroadcast},
		UDP:      frame.UDP{SrcPort: 68, DstPort: 67},
		Payload:  payload,
	}
	if m.src.IsValid() {
		d.IP.Src = m.src
	}
	if m.dst.IsValid() {
		d.IP.Dst = m.dst
	}
	if d.IP.Dst == serverIP {
		d.Ethernet.Dst = serverMAC
	}
	return d.Encode()
}

// reply is every field of an answer, as gopacket reads it.
type reply struct {
	EthSrc, EthDst model.MAC
	TCI            uint16
	Src, Dst       netip.Addr
	TTL            uint8
	SrcPort        uint16
	DstPort        uint16

	Op, HType, HLen, Hops byte
	XID                   [4]byte
	Secs, Flags           uint16
	CIAddr, YIAddr        netip.Addr
	SIAddr, GIAddr        netip.Addr
	CHAddr                model.MAC
	SName, File           string
	Options               []Option // in the order on the wire, without padding and end
	PayloadLen            int
}

func decode(t testing.TB, b []byte) reply {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("gopacket: %v in %x", e.Error(), b)
	}
	addr := func(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b); return a.Unmap() }
	var r reply
	eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	m, _ := p.Layer(layers.LayerTypeDHCPv4).(*layers.DHCPv4)
	if eth == nil || ip == nil || udp == nil || m == nil {
		t.Fatalf("gopacket finds no DHCP in %x", b)
	}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	if err, bad := p.VerifyChecksums(); err != nil || len(bad) > 0 {
		t.Fatalf("gopacket: checksums: %v %v in %x", err, bad, b)
	}
	r.EthSrc, r.EthDst = model.MAC(eth.SrcMAC), model.MAC(eth.DstMAC)
	if tag, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		r.TCI = uint16(tag.Priority)<<13 | tag.VLANIdentifier
	}
	r.Src, r.Dst, r.TTL = addr(ip.SrcIP), addr(ip.DstIP), ip.TTL
	r.SrcPort, r.DstPort = uint16(udp.SrcPort), uint16(udp.DstPort)
	r.Op, r.HType, r.HLen, r.Hops = byte(m.Operation), byte(m.HardwareType), m.HardwareLen, m.RelayHops
	binary.BigEndian.PutUint32(r.XID[:], m.Xid)
	r.Secs, r.Flags = m.Secs, m.Flags
	r.CIAddr, r.YIAddr = addr(m.ClientIP), addr(m.YourClientIP)
	r.SIAddr, r.GIAddr = addr(m.NextServerIP), addr(m.RelayAgentIP)
	r.CHAddr = model.MAC(m.ClientHWAddr)
	r.SName, r.File = text(m.ServerName), text(m.File)
	for _, o := range m.Options {
		if o.Type != layers.DHCPOptPad {
			r.Options = append(r.Options, Option{byte(o.Type), o.Data})
		}
	}
	r.PayloadLen = len(udp.Payload)
	if end := bytes.TrimRight(udp.Payload, "\x00"); end[len(end)-1] != 255 {
		t.Fatalf("no end option in %x", b)
	}
	return r
}

// text cuts a field at its first zero byte.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

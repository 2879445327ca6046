package dhcp6

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

var (
	clientMAC  = model.MAC{2, 0, 0, 0, 0, 1}
	serverMAC  = model.MAC{2, 0, 0, 0, 1, 0}
	unknownMAC = model.MAC{2, 0, 0, 0, 0, 9}

	clientLL = netip.MustParseAddr("fe80::ff:fe00:1")
	serverLL = netip.MustParseAddr("fe80::ff:fe00:100")
	clientIP = netip.MustParseAddr("fd00:1::10")
	otherIP  = netip.MustParseAddr("fd00:1::11")
	awayIP   = netip.MustParseAddr("fd00:9::10")

	clientDUID = []byte{0, 1, 0, 1, 1, 2, 3, 4, 2, 0, 0, 0, 0, 1}
	serverDUID = []byte{0, 3, 0, 1, 2, 0, 0, 0, 1, 0}
	otherDUID  = []byte{0, 3, 0, 1, 2, 0, 0, 0, 1, 9}
)

func config() Config {
	return Config{
		Client: clientMAC, Prefix: netip.MustParsePrefix("fd00:1::/64"), Addresses: []netip.Addr{clientIP}, ServerMAC: serverMAC,
		DNS:    []netip.Addr{netip.MustParseAddr("fd00:1::53"), netip.MustParseAddr("2001:db8::53")},
		Search: []string{"example.org", "lab.example.org."}, MTU: 1400, Lease: 1000 * time.Second,
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

func only(b *Binding) Lookup {
	return func(mac model.MAC) *Binding {
		if mac != b.client {
			return nil
		}
		return b
	}
}

// message is what a client sends. The zero value of a field leaves it out, but for those with a default.
type message struct {
	kind     dhcpv6.MessageType
	from     model.MAC  // default clientMAC
	src, dst netip.Addr // default clientLL, ff02::1:2
	tci      uint16
	client   []byte
	server   []byte
	wants    []byte
	rapid    bool
	ias      []Option
	options  []Option // further ones, after those above
}

// na is an IA_NA, ta an IA_TA, pd an IA_PD of that id.
func na(id byte, addrs ...netip.Addr) Option {
	return Option{3, append([]byte{0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0, 0}, addresses(addrs)...)}
}
func ta(id byte, addrs ...netip.Addr) Option {
	return Option{4, append([]byte{0, 0, 0, id}, addresses(addrs)...)}
}
func pd(id byte) Option { return Option{25, []byte{0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0, 0}} }

func addresses(addrs []netip.Addr) (b []byte) {
	for _, a := range addrs {
		b = append(append(b, 0, 5, 0, 24), a.AsSlice()...)
		b = append(b, 0, 0, 0, 9, 0, 0, 0, 9) // wishes, which count for nothing
	}
	return b
}

// bytes builds the message by hand: the server's own code has no part in it.
func (m message) bytes() []byte {
	b := []byte{byte(m.kind), 0xab, 0xcd, 0xef}
	add := func(code uint16, v []byte) {
		b = binary.BigEndian.AppendUint16(b, code)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
	}
	if m.client != nil {
		add(1, m.client)
	}
	if m.server != nil {
		add(2, m.server)
	}
	if m.wants != nil {
		add(6, m.wants)
	}
	if m.rapid {
		add(14, nil)
	}
	for _, o := range append(m.ias, m.options...) {
		add(o.Code, o.Data)
	}
	return b
}

func (m message) frame() []byte { return m.carry(m.bytes()) }

// carry puts a DHCP message into a frame of the message's sender.
func (m message) carry(b []byte) []byte {
	if m.from == (model.MAC{}) {
		m.from = clientMAC
	}
	if !m.src.IsValid() {
		m.src = clientLL
	}
	if !m.dst.IsValid() {
		m.dst = allServers
	}
	return frame.Datagram6{
		Ethernet: frame.Ethernet{Dst: model.MAC{0x33, 0x33, 0, 1, 0, 2}, Src: m.from, Tagged: m.tci != 0, TCI: m.tci},
		IP:       frame.IPv6{HopLimit: 1, Src: m.src, Dst: m.dst},
		UDP:      frame.UDP{SrcPort: 546, DstPort: 547},
		Payload:  b,
	}.Encode()
}

// decoded gives, in words, what second implementations read in an answer: gopacket of the headers, the library of the message, which the service does not use to write it.
func decoded(t testing.TB, f []byte) string {
	t.Helper()
	p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.NoCopy)
	if p.ErrorLayer() != nil || p.Layer(layers.LayerTypeDHCPv6) == nil {
		t.Fatalf("gopacket: %v", p)
	}
	eth, ip, udp := p.LinkLayer().(*layers.Ethernet), p.NetworkLayer().(*layers.IPv6), p.TransportLayer().(*layers.UDP)
	sum := udp.Checksum
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	again := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(again, gopacket.SerializeOptions{ComputeChecksums: true}, udp, gopacket.Payload(udp.Payload)); err != nil || udp.Checksum != sum {
		t.Fatalf("checksum %x, gopacket's is %x: %v", sum, udp.Checksum, err)
	}
	m, err := dhcpv6.MessageFromBytes(udp.Payload)
	if err != nil {
		t.Fatalf("the library refuses the answer: %v", err)
	}
	var b strings.Builder
	if tag, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		fmt.Fprintf(&b, "vlan %d ", tag.VLANIdentifier)
	}
	fmt.Fprintf(&b, "%s>%s %s>%s hops %d %s>%s\n%s %x", eth.SrcMAC, eth.DstMAC, ip.SrcIP, ip.DstIP, ip.HopLimit, udp.SrcPort, udp.DstPort, m.MessageType, m.TransactionID[:])
	for _, o := range m.Options.Options {
		b.WriteString("\n" + option(o))
	}
	return b.String()
}

func option(o dhcpv6.Option) string {
	inner := func(head string, os dhcpv6.Options) string {
		for _, o := range os {
			head += " " + option(o)
		}
		return head
	}
	switch o := o.(type) {
	case *dhcpv6.OptIANA:
		return inner(fmt.Sprintf("na %x T1 %d T2 %d:", o.IaId, int(o.T1.Seconds()), int(o.T2.Seconds())), o.Options.Options)
	case *dhcpv6.OptIATA:
		return inner(fmt.Sprintf("ta %x:", o.IaId), o.Options.Options)
	case *dhcpv6.OptIAPD:
		return inner(fmt.Sprintf("pd %x T1 %d T2 %d:", o.IaId, int(o.T1.Seconds()), int(o.T2.Seconds())), o.Options.Options)
	case *dhcpv6.OptIAAddress:
		return inner(fmt.Sprintf("%s %d/%d", o.IPv6Addr, int(o.PreferredLifetime.Seconds()), int(o.ValidLifetime.Seconds())), o.Options.Options)
	case *dhcpv6.OptStatusCode:
		if (o.StatusCode == iana.StatusSuccess) != (o.StatusMessage == "") {
			return fmt.Sprintf("%s says %q", o.StatusCode, o.StatusMessage)
		}
		return o.StatusCode.String()
	}
	switch o.Code() {
	case dhcpv6.OptionClientID, dhcpv6.OptionServerID:
		return fmt.Sprintf("%s %x", map[dhcpv6.OptionCode]string{1: "client", 2: "server"}[o.Code()], o.ToBytes())
	case dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionInformationRefreshTime:
		return strings.TrimSpace(o.String())
	}
	return fmt.Sprintf("%d %x", o.Code(), o.ToBytes())
}

package frame

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

func header6() IPv6 {
	return IPv6{HopLimit: 255, Src: netip.MustParseAddr("fe80::1"), Dst: netip.MustParseAddr("ff02::1:2")}
}

func datagram6(payload string) Datagram6 {
	d := Datagram6{Ethernet{Dst: dstMAC, Src: srcMAC, Type: TypeIPv6}, header6(), UDP{SrcPort: 546, DstPort: 547}, []byte(payload)}
	d.IP.Protocol = ProtocolUDP
	return d
}

func message6(body string) ICMPv6 {
	m := ICMPv6{Ethernet{Dst: dstMAC, Src: srcMAC, Type: TypeIPv6}, header6(), 133, 0, []byte(body)}
	m.IP.Protocol = protocolICMPv6
	return m
}

// second6 decodes the datagram in a frame with gopacket.
func second6(b []byte) (d Datagram6) {
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, _ := p.LinkLayer().(*layers.Ethernet)
	ip, _ := p.NetworkLayer().(*layers.IPv6)
	udp, _ := p.TransportLayer().(*layers.UDP)
	if eth == nil || ip == nil || udp == nil {
		return Datagram6{}
	}
	d.Ethernet = Ethernet{Dst: model.MAC(eth.DstMAC), Src: model.MAC(eth.SrcMAC), Type: uint16(eth.EthernetType)}
	if tag, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		d.Ethernet.Tagged, d.Ethernet.Type = true, uint16(tag.Type)
		d.Ethernet.TCI = uint16(tag.Priority)<<13 | tag.VLANIdentifier
		if tag.DropEligible {
			d.Ethernet.TCI |= 1 << 12
		}
	}
	from, _ := netip.AddrFromSlice(ip.SrcIP)
	to, _ := netip.AddrFromSlice(ip.DstIP)
	d.IP = IPv6{HopLimit: ip.HopLimit, Protocol: uint8(ip.NextHeader), Src: from, Dst: to}
	d.UDP, d.Payload = UDP{SrcPort: uint16(udp.SrcPort), DstPort: uint16(udp.DstPort)}, udp.Payload
	return d
}

func TestIPv6RoundTrip(t *testing.T) {
	d, m := datagram6("odd"), message6("odd")
	d.Ethernet.Tagged, d.Ethernet.TCI = true, 3<<13|42
	got, reason := DecodeDatagram6(append(d.Encode(), 0, 0, 0)) // padding
	if diff := cmp.Diff(d, got, compare); reason != OK || diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
	if diff := cmp.Diff(d, second6(d.Encode()), compare); diff != "" {
		t.Errorf("gopacket reads (-want +got):\n%s", diff)
	}
	back, reason := DecodeICMPv6(append(m.Encode(), 0, 0, 0))
	if diff := cmp.Diff(m, back, compare); reason != OK || diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

func TestIPv6Refused(t *testing.T) {
	put := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint16(b[at:], v); return b }
	}
	datagram, message := datagram6("payload").Encode(), message6("body").Encode()
	for _, c := range []struct {
		name   string
		frame  []byte
		change func([]byte) []byte
		udp    Reason
		icmp   Reason
	}{
		{"UDP", datagram, put(0, 0), OK, NotICMPv6},
		{"ICMPv6", message, put(0, 0), NotUDP, OK},
		{"captured too short for Ethernet", datagram, func(b []byte) []byte { return b[:13] }, EthernetShort, EthernetShort},
		{"IPv4", datagram, put(12, TypeIPv4), NotIPv6, NotIPv6},
		{"captured too short for IPv6", datagram, func(b []byte) []byte { return b[:14+39] }, IPv6Header, IPv6Header},
		{"version", datagram, put(14, 0x4000), IPv6Header, IPv6Header},
		{"length beyond the frame", message, put(18, 9), IPv6Length, IPv6Length},
		{"no room for UDP", datagram, put(18, 7), UDPShort, NotICMPv6},
		{"no room for ICMPv6", message, put(18, 3), NotUDP, ICMPv6Short},
		{"UDP length", datagram, put(14+40+4, 14), UDPLength, NotICMPv6},
		{"UDP without checksum", datagram, put(14+40+6, 0), UDPChecksum, NotICMPv6},
		{"UDP checksum left to the device", datagram, put(14+40+6, fold(pseudoSum(header6().Src, header6().Dst, ProtocolUDP, 15))), OK, NotICMPv6},
		{"ICMPv6 checksum", message, put(14+40+2, 1), NotUDP, ICMPv6Checksum},
		{"extension header", message, func(b []byte) []byte { b[14+6] = 0; return b }, NotUDP, NotICMPv6},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.change(bytes.Clone(c.frame))
			d, udp := DecodeDatagram6(b)
			m, icmp := DecodeICMPv6(b)
			if udp != c.udp || icmp != c.icmp {
				t.Errorf("UDP %q, ICMPv6 %q, want %q and %q", udp, icmp, c.udp, c.icmp)
			}
			if udp != OK && cmp.Diff(Datagram6{}, d, compare) != "" || icmp != OK && cmp.Diff(ICMPv6{}, m, compare) != "" {
				t.Errorf("a refusal came with a value: %+v %+v", d, m)
			}
		})
	}
}

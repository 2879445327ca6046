package frame

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

var (
	srcMAC = model.MAC{2, 0, 0, 0, 0, 1}
	dstMAC = model.MAC{2, 0, 0, 0, 0, 2}
	src    = netip.MustParseAddr("10.100.0.10")
	dst    = netip.MustParseAddr("10.100.0.100")

	compare = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}
)

func datagram(payload string) Datagram {
	return Datagram{
		Ethernet: Ethernet{Dst: dstMAC, Src: srcMAC, Type: TypeIPv4},
		IP:       IPv4{TOS: 0x10, ID: 7, DontFragment: true, TTL: 64, Protocol: ProtocolUDP, Src: src, Dst: dst},
		UDP:      UDP{SrcPort: 68, DstPort: 67},
		Payload:  []byte(payload),
	}
}

// second decodes a frame with gopacket.
func second(b []byte) (d Datagram, ok bool) {
	var (
		eth     layers.Ethernet
		tag     layers.Dot1Q
		ip      layers.IPv4
		udp     layers.UDP
		payload gopacket.Payload
		decoded []gopacket.LayerType
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &tag, &ip, &udp, &payload)
	parser.IgnoreUnsupported = true
	if err := parser.DecodeLayers(b, &decoded); err != nil {
		return Datagram{}, false
	}
	for _, l := range decoded {
		switch l {
		case layers.LayerTypeEthernet:
			d.Ethernet = Ethernet{Dst: model.MAC(eth.DstMAC), Src: model.MAC(eth.SrcMAC), Type: uint16(eth.EthernetType)}
		case layers.LayerTypeDot1Q:
			d.Ethernet.Tagged = true
			d.Ethernet.TCI = uint16(tag.Priority)<<13 | tag.VLANIdentifier
			if tag.DropEligible {
				d.Ethernet.TCI |= 1 << 12
			}
			d.Ethernet.Type = uint16(tag.Type)
		case layers.LayerTypeIPv4:
			s, _ := netip.AddrFromSlice(ip.SrcIP)
			t, _ := netip.AddrFromSlice(ip.DstIP)
			d.IP = IPv4{TOS: ip.TOS, ID: ip.Id, DontFragment: ip.Flags&layers.IPv4DontFragment != 0, TTL: ip.TTL,
				Protocol: uint8(ip.Protocol), Src: s.Unmap(), Dst: t.Unmap()}
		case layers.LayerTypeUDP:
			d.UDP = UDP{SrcPort: uint16(udp.SrcPort), DstPort: uint16(udp.DstPort)}
			d.Payload = udp.Payload
			ok = true
		}
	}
	return d, ok
}

func TestDatagramRoundTrip(t *testing.T) {
	tagged := datagram("odd")
	tagged.Ethernet.Tagged, tagged.Ethernet.TCI = true, 5<<13|1<<12|100
	long := datagram(string(make([]byte, MaxUDPPayload)))
	for name, d := range map[string]Datagram{
		"even": datagram("even"), "odd": datagram("odd"), "empty": datagram(""), "tagged": tagged, "longest": long,
	} {
		t.Run(name, func(t *testing.T) {
			b := d.Encode()
			got, reason := DecodeDatagram(b)
			if reason != OK {
				t.Fatalf("decode: %s", reason)
			}
			if diff := cmp.Diff(d, got, compare); diff != "" {
				t.Errorf("round trip (-want +got):\n%s", diff)
			}
			other, ok := second(b)
			if !ok {
				t.Fatal("gopacket does not decode it")
			}
			if diff := cmp.Diff(d, other, compare); diff != "" {
				t.Errorf("gopacket (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEncodeAgainstGopacket compares the bytes, checksums among them, with those that gopacket computes.
func TestEncodeAgainstGopacket(t *testing.T) {
	for _, payload := range []string{"", "x", "some payload", "\xff\xff\xff\xff\xff"} {
		d := datagram(payload)
		ip := &layers.IPv4{Version: 4, IHL: 5, TOS: d.IP.TOS, Id: d.IP.ID, Flags: layers.IPv4DontFragment, TTL: d.IP.TTL,
			Protocol: layers.IPProtocolUDP, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		udp := &layers.UDP{SrcPort: 68, DstPort: 67}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		buf := gopacket.NewSerializeBuffer()
		err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{DstMAC: dstMAC[:], SrcMAC: srcMAC[:], EthernetType: layers.EthernetTypeIPv4},
			ip, udp, gopacket.Payload(payload))
		if err != nil {
			t.Fatal(err)
		}
		want := buf.Bytes()
		got := d.Encode()
		if diff := cmp.Diff(want[:len(got)], got); diff != "" { // gopacket pads to 60 bytes
			t.Errorf("payload %q (-gopacket +ours):\n%s", payload, diff)
		}
	}
}

func TestDecodeDatagramRefusals(t *testing.T) {
	const ip, udp = ethernetLen, ethernetLen + ipv4Len
	// fix recomputes the IPv4 checksum after a change of the header.
	fix := func(b []byte) []byte {
		h := int(b[ip]&15) * 4
		binary.BigEndian.PutUint16(b[ip+10:], 0)
		binary.BigEndian.PutUint16(b[ip+10:], ^fold(sum(0, b[ip:ip+h])))
		return b
	}
	put := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint16(b[at:], v); return b }
	}
	putFix := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { return fix(put(at, v)(b)) }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n:n] } }
	length := len(datagram("payload").Encode())

	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   Reason
	}{
		{"unchanged", func(b []byte) []byte { return b }, OK},
		{"nothing", cut(0), EthernetShort},
		{"13 bytes", cut(13), EthernetShort},
		{"ends in the tag", func(b []byte) []byte { return put(12, typeVLAN)(b)[:17] }, EthernetShort},
		{"802.3 length", put(12, 100), EthernetType},
		{"ARP", put(12, 0x0806), NotIPv4},
		{"two tags", func(b []byte) []byte {
			return append(b[:12:12], append([]byte{0x81, 0, 0, 1, 0x81, 0, 0, 2}, b[12:]...)...)
		}, NotIPv4},
		{"no IPv4 header", cut(ip), IPv4Short},
		{"19 bytes of IPv4", cut(ip + 19), IPv4Short},
		{"version 6", func(b []byte) []byte { b[ip] = 0x65; return fix(b) }, IPv4Version},
		{"header of 16", func(b []byte) []byte { b[ip] = 0x44; return fix(b) }, IPv4HeaderLength},
		{"header beyond the frame", func(b []byte) []byte { b[ip] = 0x4f; return b }, IPv4HeaderLength},
		{"total length below the header", putFix(ip+2, 19), IPv4TotalLength},
		{"total length beyond the frame", putFix(ip+2, uint16(length)), IPv4TotalLength},
		{"captured too short", cut(length - 1), IPv4TotalLength},
		{"IPv4 checksum", put(ip+10, 0x1234), IPv4Checksum},
		{"more fragments", putFix(ip+6, 0x2000), IPv4Fragment},
		{"last fragment", putFix(ip+6, 1), IPv4Fragment},
		{"may be fragmented", putFix(ip+6, 0), OK},
		{"reserved flag", putFix(ip+6, 0x8000), OK},
		{"TCP", func(b []byte) []byte { b[ip+9] = 6; return fix(b) }, NotUDP},
		{"no room for UDP", putFix(ip+2, ipv4Len+7), UDPShort},
		{"UDP length 0", put(udp+4, 0), UDPLength},
		{"UDP length below the header", put(udp+4, 7), UDPLength},
		{"UDP length below the payload", put(udp+4, uint16(length-udp-1)), UDPLength},
		{"UDP length beyond the payload", put(udp+4, uint16(length-udp+1)), UDPLength},
		{"UDP checksum", put(udp+6, 0x1234), UDPChecksum},
		{"UDP checksum none", put(udp+6, 0), OK},
		{"UDP checksum left to the device", put(udp+6, fold(pseudoSum(src, dst, ProtocolUDP, length-udp))), OK},
		{"payload changed", func(b []byte) []byte { b[length-1] ^= 1; return b }, UDPChecksum},
		{"padding", func(b []byte) []byte { return append(b, make([]byte, 30)...) }, OK},
		{"options", func(b []byte) []byte {
			b = append(b[:udp:udp], append([]byte{1, 1, 1, 0}, b[udp:]...)...)
			b[ip] = 0x46
			return putFix(ip+2, uint16(length+4-ip))(b)
		}, OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, reason := DecodeDatagram(c.change(datagram("payload").Encode()))
			if reason != c.want {
				t.Fatalf("got %q, want %q", reason, c.want)
			}
			if reason == OK && c.name != "payload changed" && string(got.Payload) != "payload" {
				t.Errorf("payload %q", got.Payload)
			}
			if reason != OK && cmp.Diff(Datagram{}, got, compare) != "" {
				t.Errorf("a refusal came with a value: %+v", got)
			}
		})
	}
}

func TestUDPChecksumNeverNone(t *testing.T) {
	// A payload whose sum makes the complement 0 must be sent as 0xffff.
	h := UDP{SrcPort: 1, DstPort: 2}
	b := h.Append(nil, src, dst, []byte{0, 0})
	b = h.Append(nil, src, dst, b[6:8]) // adding the complement makes the sum 0xffff
	if got := binary.BigEndian.Uint16(b[6:]); got != 0xffff {
		t.Errorf("checksum %#x, want 0xffff", got)
	}
	if _, _, reason := DecodeUDP(b, src, dst); reason != OK {
		t.Errorf("decode: %s", reason)
	}
}

func TestReasonText(t *testing.T) {
	seen := map[string]Reason{}
	for r := range Reason(NumReasons) {
		s := r.String()
		if other, twice := seen[s]; s == "" || twice {
			t.Errorf("reason %d has the text %q of reason %d", r, s, other)
		}
		seen[s] = r
	}
	if got := Reason(255).String(); got != "unknown reason" {
		t.Errorf("Reason(255) is %q", got)
	}
}

func BenchmarkDatagram(b *testing.B) {
	d := datagram(string(make([]byte, 300)))
	f := d.Encode()
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, reason := DecodeDatagram(f); reason != OK {
				b.Fatal(reason)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.Encode()
		}
	})
}

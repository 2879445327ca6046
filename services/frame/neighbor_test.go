package frame

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
)

var (
	asker  = Ethernet{Dst: Broadcast(), Src: model.MAC{2, 0, 0, 0, 0, 1}, Type: typeARP}
	anARP  = ARP{Op: ARPRequest, SenderMAC: asker.Src, SenderAddr: netip.MustParseAddr("10.0.0.1"), TargetAddr: netip.MustParseAddr("10.0.0.2")}
	target = netip.MustParseAddr("fd00::12:3456")
)

func aND() (Ethernet, ND) {
	dst, mac := SolicitedNode(target)
	return Ethernet{Dst: mac, Src: asker.Src, Type: TypeIPv6}, ND{Src: netip.MustParseAddr("fd00::1"), Dst: dst, Target: target, Link: asker.Src}
}

// What is encoded is what a second implementation reads.
func TestNeighborsAgainstGopacket(t *testing.T) {
	p := gopacket.NewPacket(anARP.Encode(asker), layers.LayerTypeEthernet, gopacket.Default)
	a, _ := p.Layer(layers.LayerTypeARP).(*layers.ARP)
	if p.ErrorLayer() != nil || a == nil || a.Operation != layers.ARPRequest || !net.IP(a.SourceProtAddress).Equal(net.IP{10, 0, 0, 1}) || !net.IP(a.DstProtAddress).Equal(net.IP{10, 0, 0, 2}) ||
		!bytes.Equal(a.SourceHwAddress, asker.Src[:]) {
		t.Errorf("the second implementation reads %v, error %v", a, p.ErrorLayer())
	}
	for _, advertisement := range []bool{false, true} {
		eth, m := aND()
		m.Advertisement = advertisement
		if advertisement {
			m.Flags = 0x60000000
		}
		b := m.Encode(eth)
		p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
		var opts layers.ICMPv6Options
		var got net.IP
		if s, ok := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation); ok {
			opts, got = s.Options, s.TargetAddress
		}
		if s, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement); ok {
			opts, got = s.Options, s.TargetAddress
		}
		if p.ErrorLayer() != nil || !got.Equal(target.AsSlice()) || len(opts) != 1 || !bytes.Equal(opts[0].Data, asker.Src[:]) {
			t.Errorf("the second implementation reads %v", p)
		}
		c, _ := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		sum := c.Checksum
		if err := c.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{ComputeChecksums: true}, c, gopacket.Payload(c.Payload)); err != nil {
			t.Fatal(err)
		}
		if want := binary.BigEndian.Uint16(buf.Bytes()[2:]); sum != want {
			t.Errorf("checksum %#x, want %#x", sum, want)
		}
		gotEth, gotND, reason := DecodeND(b)
		if diff := cmp.Diff([]any{eth, m, OK}, []any{gotEth, gotND, reason}, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("what was encoded is not what is decoded:\n%s", diff)
		}
	}
	if eth, got, reason := DecodeARP(anARP.Encode(asker)); eth != asker || got != anARP || reason != OK {
		t.Errorf("decoded %+v %+v, %s", eth, got, reason)
	}
}

func TestNeighborRefusals(t *testing.T) {
	eth, m := aND()
	good := m.Encode(eth)
	change := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	for name, tc := range map[string]struct {
		frame []byte
		want  Reason
	}{
		"cut in the address": {good[:50], NDShort}, "cut in the option": {good[:len(good)-1], NDShort}, "hop limit": {change(21, 64), NDHopLimit},
		"checksum": {change(60, 9), NDChecksum}, "another type": {change(54, 133), NotND}, "ipv4": {change(12, 8), NotND},
		"lying length": {change(19, 8), NDShort}, "arp": {anARP.Encode(asker), NotND},
	} {
		if _, _, got := DecodeND(tc.frame); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	m.Link = model.MAC{}
	bare := m.Encode(eth)
	bare = append(bare, 1, 0, 0, 0, 0, 0, 0, 0) // an option of length 0
	bare[19] += 8
	binary.BigEndian.PutUint16(bare[56:], 0)
	binary.BigEndian.PutUint16(bare[56:], ^fold(sum(pseudoSum(m.Src, m.Dst, protocolICMPv6, len(bare)-54), bare[54:])))
	if _, _, got := DecodeND(bare); got != NDOption {
		t.Errorf("an option without length: %s", got)
	}
	b := anARP.Encode(asker)
	b[15] = 6 // a hardware that is none
	if _, _, got := DecodeARP(b); got != ARPFormat {
		t.Errorf("another hardware: %s", got)
	}
	if _, _, got := DecodeARP(anARP.Encode(asker)[:30]); got != ARPShort {
		t.Errorf("cut short: %s", got)
	}
}

func FuzzDecodeNeighbors(f *testing.F) {
	eth, m := aND()
	f.Add(m.Encode(eth))
	f.Add(anARP.Encode(asker))
	f.Fuzz(func(t *testing.T, b []byte) {
		if eth, a, reason := DecodeARP(b); reason == OK {
			if eth2, again, reason := DecodeARP(a.Encode(eth)); eth2 != eth || again != a || reason != OK {
				t.Fatalf("decoded %+v, encoded and decoded again %+v, %s", a, again, reason)
			}
		}
		if len(b) >= 78 && b[20] == protocolICMPv6 { // or the fuzzer would never see what comes after the checksum
			if n := int(binary.BigEndian.Uint16(b[18:])); n >= ndLen && 54+n <= len(b) {
				binary.BigEndian.PutUint16(b[56:], 0)
				binary.BigEndian.PutUint16(b[56:], ^fold(sum(pseudoSum(netip.AddrFrom16([16]byte(b[22:38])), netip.AddrFrom16([16]byte(b[38:54])), protocolICMPv6, n), b[54:54+n])))
			}
		}
		if eth, m, reason := DecodeND(b); reason == OK {
			if eth2, again, reason := DecodeND(m.Encode(eth)); eth2 != eth || again != m || reason != OK {
				t.Fatalf("decoded %+v, encoded and decoded again %+v, %s", m, again, reason)
			}
		}
	})
}

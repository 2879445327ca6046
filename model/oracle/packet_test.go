package oracle

import (
	"encoding/binary"
	"slices"
	"testing"
)

// What the headers say, and where they end.
func TestParse(t *testing.T) {
	v4 := udp(a2, a1, "10.0.0.1", "10.0.0.2")
	v6 := udp(a2, a1, "fd00::1", "fd00::2")
	extend := func(d datagram, options ...byte) []byte {
		d.options = options
		return d.frame()
	}
	edit := func(frame []byte, at int, b ...byte) []byte {
		frame = slices.Clone(frame)
		copy(frame[at:], b)
		return frame
	}
	type says struct {
		parsed       bool
		proto        uint8
		ports, later bool
	}
	const hop, dst, route, auth, frag = 0, 60, 43, 51, 44
	for name, tc := range map[string]struct {
		frame []byte
		want  says
	}{
		"IPv4":                        {v4.frame(), says{true, 17, true, false}},
		"options":                     {extend(v4, 1, 1, 1, 0), says{true, 17, true, false}},
		"header shorter than 20":      {edit(v4.frame(), 14, 0x44), says{}},
		"header longer than packet":   {edit(v4.frame(), 14, 0x4f), says{}},
		"total length too long":       {edit(v4.frame(), 16, 0xff), says{}},
		"total less than header":      {edit(v4.frame(), 16, 0, 19), says{}},
		"UDP cut short":               {edit(v4.frame(), 16, 0, 27), says{true, 17, false, false}},
		"UDP just there":              {edit(v4.frame(), 16, 0, 28), says{true, 17, true, false}},
		"first fragment":              {fragmentOf(v4, 0x2000), says{true, 17, false, false}},
		"later fragment":              {fragmentOf(v4, 0x2005), says{true, 17, false, true}},
		"last fragment":               {fragmentOf(v4, 5), says{true, 17, false, true}},
		"do not fragment":             {fragmentOf(v4, 0x4000), says{true, 17, true, false}},
		"TCP cut short":               {datagram{dst: a2, src: a1, from: "10.0.0.1", to: "10.0.0.2", proto: 99, rest: make([]byte, 19)}.as(6), says{true, 6, false, false}},
		"SCTP cut short":              {datagram{dst: a2, src: a1, from: "10.0.0.1", to: "10.0.0.2", proto: 99, rest: make([]byte, 11)}.as(132), says{true, 132, false, false}},
		"IPv6":                        {v6.frame(), says{true, 17, true, false}},
		"IPv6 cut short":              {v6.frame()[:50], says{}},
		"payload too long":            {edit(v6.frame(), 18, 1), says{}},
		"hop by hop":                  {extend(v6, hop, 17, 0, 0, 0, 0, 0, 0, 0), says{true, 17, true, false}},
		"destination options, longer": {extend(v6, append([]byte{dst, 17, 1}, make([]byte, 14)...)...), says{true, 17, true, false}},
		"routing":                     {extend(v6, route, 17, 0, 0, 0, 0, 0, 0, 0), says{true, 17, true, false}},
		"authentication":              {extend(v6, append([]byte{auth, 17, 1}, make([]byte, 10)...)...), says{true, 17, true, false}},
		"two headers":                 {extend(v6, hop, dst, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0), says{true, 17, true, false}},
		"header longer than packet 6": {extend(v6, hop, 17, 200, 0, 0, 0, 0, 0, 0), says{true, 0, false, false}},
		"header cut short":            {edit(v6.frame(), 18, 0, 7, 0), says{true, 0, false, false}},
		"atomic fragment":             {extend(v6, frag, 17, 0, 0, 0, 1, 2, 3, 4), says{true, 17, true, false}},
		"first fragment 6":            {extend(v6, frag, 17, 0, 0, 1, 1, 2, 3, 4), says{true, 17, false, false}},
		"later fragment 6":            {extend(v6, frag, 17, 0, 0, 8, 1, 2, 3, 4), says{true, 17, false, true}},
		"later fragment of options":   {extend(v6, frag, dst, 0, 0, 9, 1, 2, 3, 4), says{true, 60, false, true}},
		"ICMP in IPv6":                {edit(v6.frame(), 20, 1), says{true, 1, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(tc.frame)
			if got := (says{p.parsed, p.proto, p.hasPorts, p.later}); got != tc.want {
				t.Errorf("it says %+v, not %+v", got, tc.want)
			}
			if p.hasPorts && (p.fromPort != 1000 || p.toPort != 2000) {
				t.Errorf("ports %d, %d", p.fromPort, p.toPort)
			}
		})
	}
}

// as builds a datagram of an opaque payload and another protocol.
func (d datagram) as(proto byte) []byte {
	b := d.frame()
	b[14+9] = proto
	return b
}

// Checksums follow what is written, whatever they were; UDP's zero means none.
func TestWrite(t *testing.T) {
	for _, d := range []datagram{udp(a2, a1, "10.0.0.1", "10.0.0.2"), udp(a2, a1, "fd00::1", "fd00::2")} {
		for n := range 1 << 12 {
			p := parse(d.frame())
			p.setToPort(uint16(n * 16))
			p.setDSCP(uint16(n % 64))
			p.setTTL(uint8(n%254 + 1))
			want := d
			want.toPort, want.tos, want.ttl = uint16(n*16), byte(n%64)<<2, uint8(n%254+1)
			if !slices.Equal(p.frame, want.frame()) {
				t.Fatalf("%x\n%x", p.frame, want.frame())
			}
		}
	}
	f := udp(a2, a1, "10.0.0.1", "10.0.0.2").frame()
	f[40], f[41] = 0, 0
	p := parse(f)
	p.setFrom(addr("10.9.9.9"))
	if n := binary.BigEndian.Uint16(f[40:]); n != 0 {
		t.Errorf("a checksum of %04x was made", n)
	}
	wrong := udp(a2, a1, "10.0.0.1", "10.0.0.2").frame()
	wrong[41] ^= 1
	p = parse(wrong)
	p.setFrom(addr("10.9.9.9"))
	p.setFrom(addr("10.0.0.1"))
	if again := udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(); wrong[41] != again[41]^1 {
		t.Error("a wrong checksum was mended")
	}
}

// Which ICMP messages tell of another packet.
func TestEmbedded(t *testing.T) {
	about, about6 := packetOf(udp(a2, a1, "10.0.0.1", "10.0.0.2").frame()), packetOf(udp(a2, a1, "fd00::1", "fd00::2").frame())
	for kind := range 256 {
		e := datagram{dst: a1, src: a2, from: "10.0.0.9", to: "10.0.0.1", proto: protoICMP, kind: uint8(kind), rest: about}
		p := parse(e.frame())
		if _, ok := p.embedded(); ok != slices.Contains([]int{3, 4, 5, 11, 12}, kind) {
			t.Errorf("ICMP type %d: %v", kind, ok)
		}
		e = datagram{dst: a1, src: a2, from: "fd00::9", to: "fd00::1", proto: protoICMPv6, kind: uint8(kind), rest: about6}
		p = parse(e.frame())
		if _, ok := p.embedded(); ok != slices.Contains([]int{1, 2, 3, 4}, kind) {
			t.Errorf("ICMPv6 type %d: %v", kind, ok)
		}
	}
	// ICMP of eight bytes is there; of seven, or in the other family's packets, is not.
	bare := datagram{dst: a1, src: a2, from: "10.0.0.9", to: "10.0.0.1", proto: protoICMP, kind: 8}
	if p := parse(bare.frame()); !p.isEchoRequest() {
		t.Error("an echo request of eight bytes is none")
	}
	short := bare.frame()
	short[17]--
	crossed, crossed6 := bare.as(protoICMPv6), ping(a2, a1, "fd00::1", "fd00::2").frame()
	crossed6[20] = protoICMP
	for _, f := range [][]byte{short, crossed, crossed6} {
		if p := parse(f); p.icmp.known || p.proto == 0 {
			t.Errorf("protocol %d, ICMP %v", p.proto, p.icmp)
		}
	}
}

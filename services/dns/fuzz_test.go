package dns

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

var (
	guestMAC  = model.MAC{2, 0, 0, 0, 0, 1}
	serverMAC = model.MAC{2, 0, 0, 0, 0, 2}
)

// datagram gives the frame that brings a payload from a guest to the server.
func datagram(payload []byte, v6 bool) []byte {
	eth := frame.Ethernet{Dst: serverMAC, Src: guestMAC}
	udp := frame.UDP{SrcPort: 4000, DstPort: 53}
	if v6 {
		return frame.Datagram6{Ethernet: eth, IP: frame.IPv6{HopLimit: 64, Src: addr("fd00::1"), Dst: addr("fd00::2")}, UDP: udp, Payload: payload}.Encode()
	}
	return frame.Datagram{Ethernet: eth, IP: frame.IPv4{TTL: 64, Src: addr("10.0.0.1"), Dst: addr("10.0.0.2")}, UDP: udp, Payload: payload}.Encode()
}

var seeds = [][]byte{
	ask("web.shop.example", TypeA), ask("db.shop.example", dns.TypeANY), ask("x.apps.shop.example", TypeTXT, func(m *dns.Msg) { m.SetEdns0(4096, true) }), ask("far.shop.example", TypeA),
	ask("_sip._udp.shop.example", TypeSRV), ask("10.0.0.10.in-addr.arpa", TypePTR), ask(`a\.b\000c.shop.example`, TypeA), ask("shop.example", dns.TypeSOA), ask("shop.example", dns.TypeAXFR),
	ask("example.org", TypeA, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }),
}

// FuzzFrame takes any frame.
func FuzzFrame(f *testing.F) {
	for _, s := range seeds {
		f.Add(datagram(s, false))
		f.Add(datagram(s, true))
	}
	z := zoneOf(f, shop, records)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, v := ReadDatagram(b)
		if v != 0 {
			if int(v) >= NumVerdicts || v.Answered() || v.String() == "unknown verdict" {
				t.Errorf("verdict %d", v)
			}
			return
		}
		check(t, d.Payload, z, d.Room(1500), &d)
	})
}

// FuzzQuestion takes any payload.
func FuzzQuestion(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, 1472)
	}
	z := zoneOf(f, shop, records)
	f.Fuzz(func(t *testing.T, b []byte, room int) { check(t, b, z, room, nil) })
}

func check(t *testing.T, b []byte, z *Zone, room int, d *Datagram) {
	a, e, v := Respond(b, z, Options{Size: room})
	if v == 0 || int(v) >= NumVerdicts || (a != nil) && e != nil || e != nil && v != Forwarded {
		t.Fatalf("%s: %x, %+v", v, a, e)
	}
	if e != nil {
		if _, err := e.Question(1, true); err != nil {
			t.Fatalf("%q cannot be asked elsewhere: %v", e.Name, err)
		}
		a = e.Fail()
	}
	if a == nil {
		if v != Short && v != NotQuery {
			t.Fatalf("no answer: %s", v)
		}
		return
	}
	if len(a) > max(512, room) || a[0] != b[0] || a[1] != b[1] || a[2]&0x80 == 0 {
		t.Fatalf("%s: %x answered by %x", v, b, a)
	}
	second(t, a)
	if d == nil {
		return
	}
	back, why := ReadDatagram(d.Answer(a))
	if why != NotDNS && (why != 0 || back.Src != d.Dst || back.Dst != d.Src) { // to another port, unless the asker's was the server's
		t.Fatalf("the answer goes from %s to %s (%s)", back.Src, back.Dst, why)
	}
}

// FuzzElsewhere takes anything for what another server says.
func FuzzElsewhere(f *testing.F) {
	e := elsewhere(f, "www.example.org", TypeA)
	f.Add(says(f, e, 0, "www.example.org. 60 IN A 192.0.2.1", ""))
	f.Add(says(f, e, 0, "www.example.org. 60 IN CNAME a.example.org.; a.example.org. 3 IN A 192.0.2.1; a.example.org. 3 IN TXT \"a\"", soa+"3"))
	f.Add(says(f, e, dns.RcodeNameError, "", soa+"3"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2 {
			b[0], b[1] = 0, 7
		}
		a, err := e.Read(b, 7, true, start)
		if err != nil {
			return
		}
		r := e.Reply(a, start)
		var m dns.Msg
		if err := m.Unpack(r); err != nil || len(r) > 1472 {
			t.Fatalf("%x becomes %x: %v", b, r, err)
		}
		c := NewCache(CacheOptions{})
		c.Put(e.Key(""), a)
		if a.ttl > maxTTL {
			t.Fatalf("kept for %d s", a.ttl)
		}
	})
}

func TestDatagrams(t *testing.T) {
	for name, tc := range map[string]struct {
		in   []byte
		want Verdict
	}{
		"IPv4": {datagram(seeds[0], false), 0}, "IPv6": {datagram(seeds[0], true), 0},
		"cut": {datagram(seeds[0], false)[:30], refusedFrame(frame.IPv4Short)}, "another port": {frame.Datagram{IP: frame.IPv4{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2")}}.Encode(), NotDNS},
		"a fragment": {fragment(datagram(seeds[0], false)), refusedFrame(frame.IPv4Fragment)},
	} {
		d, v := ReadDatagram(tc.in)
		if v != tc.want {
			t.Errorf("%s: %s, want %s", name, v, tc.want)
		}
		if v != 0 {
			continue
		}
		back := d.Answer([]byte("answer"))
		var src, dst netip.AddrPort
		var eth frame.Ethernet
		if d.Src.Addr().Is4() {
			a, why := frame.DecodeDatagram(back)
			src, dst, eth = netip.AddrPortFrom(a.IP.Src, a.UDP.SrcPort), netip.AddrPortFrom(a.IP.Dst, a.UDP.DstPort), a.Ethernet
			if why != frame.OK || string(a.Payload) != "answer" || d.Room(1500) != 1472 || d.Room(0) != 1472 {
				t.Errorf("%s: %s", name, why)
			}
		} else {
			a, why := frame.DecodeDatagram6(back)
			src, dst, eth = netip.AddrPortFrom(a.IP.Src, a.UDP.SrcPort), netip.AddrPortFrom(a.IP.Dst, a.UDP.DstPort), a.Ethernet
			if why != frame.OK || string(a.Payload) != "answer" || d.Room(1500) != 1452 {
				t.Errorf("%s: %s", name, why)
			}
		}
		if src != d.Dst || dst != d.Src || src.Port() != 53 || eth.Src != serverMAC || eth.Dst != guestMAC || d.MAC != serverMAC {
			t.Errorf("%s: from %s to %s, %+v", name, src, dst, eth)
		}
	}
}

// fragment makes a datagram over IPv4 the first fragment of one.
func fragment(b []byte) []byte {
	b[14+6] |= 0x20
	b[14+10], b[14+11] = 0, 0
	sum := uint32(0)
	for i := 14; i < 34; i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	b[24], b[25] = byte(^sum>>8), byte(^sum)
	return b
}

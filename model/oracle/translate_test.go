package oracle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// translated networks: inside nw-i with v1 and v2 on host a; outside nw-o with o1 on host b, where the leg to it is pinned, and translates.
const inside = hosts + `
networks uuid=nw-i ipv4_network=10.0.0.0 ipv6_network=fd00::
networks uuid=nw-o ipv4_network=192.0.2.0 ipv6_network=2001:db8::
vif if-v1 dp-a 02:00:00:00:00:01 nw-i=10.0.0.1 nw-i=fd00::1
vif if-v2 dp-a 02:00:00:00:00:02 nw-i=10.0.0.2 nw-i=fd00::2
vif if-o1 dp-b 02:00:00:00:00:0a nw-o=192.0.2.10 nw-o=2001:db8::10
simulated if-li - 02:00:00:00:00:f1 nw-i=10.0.0.254 nw-i=fd00::fe enable_routing=true
simulated if-lo dp-b 02:00:00:00:00:f2 nw-o=192.0.2.1/r nw-o=2001:db8::1/r nw-o=192.0.2.2/r nw-o=2001:db8::2/r enable_routing=true enable_route_translation=true
route_links uuid=rl-1
route_links uuid=rl-2
routes uuid=r-i route_link_uuid=rl-1 interface_uuid=if-li network_uuid=nw-i ipv4_network=10.0.0.0 ipv6_network=fd00::
routes uuid=r-o route_link_uuid=rl-1 interface_uuid=if-lo network_uuid=nw-o ipv4_network=0.0.0.0 ipv4_prefix=0 ipv6_network=:: ipv6_prefix=0
`

// unleased is the same without the addresses that rows translate: a leg would answer echo requests to its own.
var unleased = strings.Replace(inside, " nw-o=192.0.2.2/r nw-o=2001:db8::2/r", "", 1)

const (
	masq  = "translations uuid=tr-m mode=masquerade interface_uuid=if-lo\n"
	rows  = "translations uuid=tr-s mode=static_address interface_uuid=if-lo\n"
	row2  = "translation_static_addresses uuid=trs-4 translation_uuid=tr-s ingress_ipv4_address=192.0.2.2 egress_ipv4_address=10.0.0.2\n"
	row26 = "translation_static_addresses uuid=trs-6 translation_uuid=tr-s ingress_ipv6_address=2001:db8::2 egress_ipv6_address=fd00::2\n"
)

var v1, v2, o1, li, lo = mac(1), mac(2), mac(0x0a), mac(0xf1), mac(0xf2)

// moved gives the datagram as it is between the MAC addresses, after some routers.
func (d datagram) moved(dst, src [6]byte, routers uint8) datagram {
	d.dst, d.src, d.ttl = dst, src, 64-routers
	return d
}

var families = map[string][3]string{ // v2, its address outside, o1
	"IPv4": {"10.0.0.2", "192.0.2.2", "192.0.2.10"},
	"IPv6": {"fd00::2", "2001:db8::2", "2001:db8::10"},
}

// protocols gives a datagram of each kind.
func protocols(dst, src [6]byte, from, to string) map[string]datagram {
	u := udp(dst, src, from, to)
	tcp, sctp, gre := u, u, u
	tcp.proto, sctp.proto, gre.proto = protoTCP, protoSCTP, 47
	gre.fromPort, gre.toPort = 0, 0
	return map[string]datagram{"udp": u, "tcp": tcp, "sctp": sctp, "gre": gre, "echo": ping(dst, src, from, to)}
}

// Section 7: static rows, of a pinned leg and of one that is not.
func TestStaticTranslation(t *testing.T) {
	for _, leg := range []string{"pinned", "everywhere"} {
		for family, a := range families {
			for name, in := range protocols(lo, o1, a[2], a[1]) {
				t.Run(leg+" "+family+" "+name, func(t *testing.T) {
					text := unleased + rows + row2 + row26
					if leg == "everywhere" {
						text = strings.Replace(text, "if-lo dp-b ", "if-lo - ", 1)
					}
					l := newLab(t, text)
					out := in.moved(v2, li, 1)
					out.to = a[0]
					l.expectFrame("dp-b/if-o1", in.frame(), "dp-a/if-v2", out.frame())
					back := in.back(li, v2)
					back.from = a[0]
					out = back.moved(o1, lo, 1)
					out.from = a[1]
					l.expectFrame("dp-a/if-v2", back.frame(), "dp-b/if-o1", out.frame())
				})
			}
		}
	}
}

// What no row translates, ports, and links.
func TestTranslationRows(t *testing.T) {
	in := udp(lo, o1, "192.0.2.10", "192.0.2.2")
	out := udp(li, v2, "10.0.0.2", "192.0.2.10")
	tcp := in
	tcp.proto = protoTCP
	const drop = "drop dp-b translation"
	ports := rows + "translation_static_addresses translation_uuid=tr-s ingress_ipv4_address=192.0.2.2 egress_ipv4_address=10.0.0.1 ingress_port_number=2000 egress_port_number=3000\n"

	newLab(t, unleased).expect("dp-b/if-o1", in.frame(), drop) // a leg without translations
	newLab(t, unleased).expect("dp-a/if-v2", out.frame(), drop)
	newLab(t, unleased+rows).expect("dp-b/if-o1", in.frame(), drop)
	for _, leg := range []string{"if-lo dp-b", "if-lo -"} {
		pass := strings.Replace(unleased, "if-lo dp-b", leg, 1) + strings.Replace(rows, "\n", " passthrough=true\n", 1)
		l := newLab(t, pass)
		l.expect("dp-b/if-o1", in.frame(), "told dp-b no_neighbor") // in the route link, and back from there
		direct := udp(lo, o1, "192.0.2.10", "10.0.0.2")
		l.expectFrame("dp-b/if-o1", direct.frame(), "dp-a/if-v2", direct.moved(v2, li, 1).frame())

		// A row with ports before one without, for TCP and UDP; back, too.
		l = newLab(t, strings.Replace(unleased, "if-lo dp-b", leg, 1)+ports+row2)
		for _, in := range []datagram{in, tcp} {
			to := in.moved(v1, li, 1)
			to.to, to.toPort = "10.0.0.1", 3000
			l.expectFrame("dp-b/if-o1", in.frame(), "dp-a/if-v1", to.frame())
			l.expectFrame("dp-a/if-v1", to.back(li, v1).frame64(), "dp-b/if-o1", in.back(o1, lo).moved(o1, lo, 1).frame())
			in.toPort = 2001
			to = in.moved(v2, li, 1)
			to.to = "10.0.0.2"
			l.expectFrame("dp-b/if-o1", in.frame(), "dp-a/if-v2", to.frame())
		}
		l.expect("dp-a/if-v1", udp(li, v1, "10.0.0.1", "192.0.2.10").frame(), strings.Replace(drop, "dp-b", map[string]string{"if-lo dp-b": "dp-b", "if-lo -": "dp-a"}[leg], 1))
		ping := ping(lo, o1, "192.0.2.10", "192.0.2.2")
		l.expect("dp-b/if-o1", ping.frame(), "dp-a/if-v2") // no ports: the row without
	}

	// A row's link: packets are led there, and only those from there are translated.
	l := newLab(t, unleased+rows+"translation_static_addresses translation_uuid=tr-s ingress_ipv4_address=192.0.2.2 egress_ipv4_address=10.0.0.2 route_link_uuid=rl-2\n")
	l.expect("dp-b/if-o1", in.frame(), "told dp-b no_route")
	l.expect("dp-a/if-v2", out.frame(), drop)
	l.again(`routes uuid=r-2 route_link_uuid=rl-2 interface_uuid=if-li network_uuid=nw-i ipv4_network=10.0.0.0 ingress=false`)
	l.expect("dp-b/if-o1", in.frame(), "dp-a/if-v2")
}

// frame64 is frame with a whole TTL.
func (d datagram) frame64() []byte {
	d.ttl = 64
	return d.frame()
}

// A pinned leg remembers: the rows may change.
func TestTranslationMemory(t *testing.T) {
	in, out := udp(lo, o1, "192.0.2.10", "192.0.2.2"), udp(li, v2, "10.0.0.2", "192.0.2.10")
	in.fromPort = 5000
	l := newLab(t, unleased+rows+row2)
	l.expect("dp-b/if-o1", in.frame(), "dp-a/if-v2")
	l.expect("dp-a/if-v2", out.frame(), "dp-b/if-o1")
	back := in.back(li, v2)
	back.from = "10.0.0.2"
	l.again("", "trs-4")
	l.expect("dp-a/if-v2", back.frame(), "dp-b/if-o1")
	l.expect("dp-b/if-o1", in.frame(), "dp-a/if-v2")
	other := in
	other.fromPort++
	l.expect("dp-b/if-o1", other.frame(), "drop dp-b translation")
	l.expect("dp-b/if-o1", out.back(lo, o1).frame(), "drop dp-b translation") // an answer, but not to the address outside
	answer := out.back(lo, o1)
	answer.to = "192.0.2.2"
	l.expect("dp-b/if-o1", answer.frame(), "dp-a/if-v2")

	// A leg that is not pinned does not.
	l = newLab(t, strings.Replace(unleased, "if-lo dp-b", "if-lo -", 1)+rows+row2)
	l.expect("dp-b/if-o1", in.frame(), "dp-a/if-v2")
	l.again("", "trs-4")
	l.expect("dp-a/if-v2", back.frame(), "drop dp-a translation")
	if l.c.Len() != 0 {
		t.Error("it remembers something")
	}

	// What has passed untranslated is not translated on its way back.
	l = newLab(t, unleased+strings.Replace(masq, "\n", " passthrough=true\n", 1))
	direct := udp(lo, o1, "192.0.2.10", "10.0.0.2")
	l.expect("dp-b/if-o1", direct.frame(), "dp-a/if-v2")
	l.expectFrame("dp-a/if-v2", direct.back(li, v2).frame(), "dp-b/if-o1", direct.back(o1, lo).moved(o1, lo, 1).frame())
}

// masquerade: the leg's own address for others, with another port where the port is taken.
func TestMasquerade(t *testing.T) {
	outsideAddress := map[string]string{"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"}
	for family, a := range families {
		for name, out := range protocols(li, v2, a[0], a[2]) {
			t.Run(family+" "+name, func(t *testing.T) {
				l := newLab(t, unleased+masq)
				seen := out.moved(o1, lo, 1)
				seen.from = outsideAddress[family]
				l.expectFrame("dp-a/if-v2", out.frame(), "dp-b/if-o1", seen.frame())
				back := seen.back(lo, o1)
				back.ttl = 64
				home := back.moved(v2, li, 1)
				home.to = a[0]
				l.expectFrame("dp-b/if-o1", back.frame(), "dp-a/if-v2", home.frame())
				back.fromPort++
				if name != "echo" && name != "gre" {
					l.expect("dp-b/if-o1", back.frame(), "drop dp-b translation")
				}

				// Another guest with the same port.
				other := out
				other.src, other.from = v1, map[string]string{"IPv4": "10.0.0.1", "IPv6": "fd00::1"}[family]
				if name == "gre" {
					l.expect("dp-a/if-v1", other.frame(), "drop dp-b translation")
					return
				}
				seen.fromPort++
				if name == "echo" { // by another id, or not at all
					seen.fromPort = 8
					os := l.w.Judge(at("dp-a/if-v1"), other.frame(), &l.c)
					if len(os) != 2 || cmp.Diff(summary(os[0]), []string{"drop dp-b translation"}) != "" {
						t.Fatalf("%d outcomes: %v", len(os), os)
					}
					l.c.Learn(os[1])
				}
				l.expectFrame("dp-a/if-v1", other.frame(), "dp-b/if-o1", seen.frame())
				l.expectFrame("dp-a/if-v1", other.frame(), "dp-b/if-o1", seen.frame()) // the same again
				back = seen.back(lo, o1)
				back.ttl = 64
				home = back.moved(v1, li, 1)
				home.to = other.from
				if name == "echo" {
					home.fromPort = 7
				} else {
					home.toPort = 1000
				}
				l.expectFrame("dp-b/if-o1", back.frame(), "dp-a/if-v1", home.frame())
			})
		}
	}
	l := newLab(t, unleased+strings.Replace(masq, "\n", " network_uuid=nw-i\n", 1)+rows+row2)
	l.expect("dp-a/if-v1", udp(li, v1, "10.0.0.1", "192.0.2.10").frame(), "dp-b/if-o1")
	static := udp(li, v2, "10.0.0.2", "192.0.2.10") // rows first
	seen := static.moved(o1, lo, 1)
	seen.from = "192.0.2.2"
	l.expectFrame("dp-a/if-v2", static.frame(), "dp-b/if-o1", seen.frame())
	l = newLab(t, unleased+strings.Replace(masq, "\n", " network_uuid=nw-o\n", 1))
	l.expect("dp-a/if-v1", udp(li, v1, "10.0.0.1", "192.0.2.10").frame(), "drop dp-b translation")
	l = newLab(t, strings.Replace(unleased, "if-lo dp-b", "if-lo -", 1)+masq)
	l.expect("dp-a/if-v1", udp(li, v1, "10.0.0.1", "192.0.2.10").frame(), "drop dp-a translation") // not pinned

	// Ports that an executor was seen to take.
	l = newLab(t, unleased+masq)
	l.expect("dp-a/if-v1", udp(li, v1, "10.0.0.1", "192.0.2.10").frame(), "dp-b/if-o1")
	again := udp(li, v2, "10.0.0.2", "192.0.2.10").frame()
	os := l.w.Judge(at("dp-a/if-v2"), again, &l.c, 1000, 40000, 50000)
	if len(os) != 2 || parse(os[0].Deliveries[0].Frame).fromPort != 40000 || parse(os[1].Deliveries[0].Frame).fromPort != 50000 {
		t.Errorf("%d outcomes: %v", len(os), os)
	}
}

// ICMP errors about what is translated, of both directions.
func TestTranslatedErrors(t *testing.T) {
	for family, a := range families {
		t.Run(family, func(t *testing.T) {
			proto, kind := uint8(protoICMP), uint8(3)
			if family == "IPv6" {
				proto, kind = protoICMPv6, 1
			}
			for name, out := range protocols(li, v2, a[0], a[2]) {
				l := newLab(t, unleased+rows+row2+row26)
				o := l.expect("dp-a/if-v2", out.frame(), "dp-b/if-o1")
				// The peer outside tells of a packet from inside.
				e := datagram{dst: lo, src: o1, from: a[2], to: a[1], proto: proto, kind: kind, rest: packetOf(o.Deliveries[0].Frame)}
				want := e.moved(v2, li, 1)
				inner := out.moved(o1, lo, 1)
				want.to, want.rest = a[0], packetOf(inner.frame())
				t.Log(name)
				l.expectFrame("dp-b/if-o1", e.frame(), "dp-a/if-v2", want.frame())
				// The guest inside tells of a packet from outside.
				back := o1Answer(out, a[1])
				o = l.expect("dp-b/if-o1", back.frame(), "dp-a/if-v2")
				e = datagram{dst: li, src: v2, from: a[0], to: a[2], proto: proto, kind: kind, rest: packetOf(o.Deliveries[0].Frame)}
				want = e.moved(o1, lo, 1)
				want.from, want.rest = a[1], packetOf(back.moved(v2, li, 1).frame())
				l.expectFrame("dp-a/if-v2", e.frame(), "dp-b/if-o1", want.frame())
			}
		})
	}
	// Masqueraded, with another port; cut to the eight bytes that are told at least.
	l := newLab(t, unleased+masq)
	l.expect("dp-a/if-v1", udp(li, v1, "10.0.0.1", "192.0.2.10").frame(), "dp-b/if-o1")
	o := l.expect("dp-a/if-v2", udp(li, v2, "10.0.0.2", "192.0.2.10").frame(), "dp-b/if-o1")
	e := datagram{dst: lo, src: o1, from: "192.0.2.10", to: "192.0.2.1", proto: protoICMP, kind: 11, rest: packetOf(o.Deliveries[0].Frame)[:28]}
	want := e.moved(v2, li, 1)
	want.to, want.rest = "10.0.0.2", packetOf(udp(li, v2, "10.0.0.2", "192.0.2.10").moved(o1, lo, 1).frame())[:28]
	l.expectFrame("dp-b/if-o1", e.frame(), "dp-a/if-v2", want.frame())
	e.rest = e.rest[:27]
	l.expect("dp-b/if-o1", e.frame(), "drop dp-b translation")
}

// o1Answer is what the peer answers to a datagram that it has got from the address.
func o1Answer(out datagram, from string) datagram {
	back := out.back(lo, o1)
	back.to = from
	return back
}

// Inside to inside by the address outside: out of the leg, and in again; and back.
func TestHairpin(t *testing.T) {
	l := newLab(t, inside+masq+rows+row2+row26)
	for _, a := range [][4]string{{"10.0.0.1", "192.0.2.2", "192.0.2.1", "10.0.0.2"}, {"fd00::1", "2001:db8::2", "2001:db8::1", "fd00::2"}} {
		out := udp(li, v1, a[0], a[1])
		in := out.moved(v2, li, 2)
		in.from, in.to = a[2], a[3]
		l.expectFrame("dp-a/if-v1", out.frame(), "dp-a/if-v2", in.frame())
		back := in.back(li, v2)
		back.ttl = 64
		home := out.back(v1, li).moved(v1, li, 2)
		l.expectFrame("dp-a/if-v2", back.frame(), "dp-a/if-v1", home.frame())
	}
}

// Fragments at a pinned leg have the translation of their packet's first.
func TestTranslatedFragments(t *testing.T) {
	l := newLab(t, unleased+masq)
	out := udp(li, v2, "10.0.0.2", "192.0.2.10")
	l.expect("dp-a/if-v2", fragmentOf(out, 1), "drop dp-b translation")
	for _, offset := range []uint16{0x2000, 0x2001, 2} {
		out.fragment = offset
		got := l.expect("dp-a/if-v2", out.frame(), "dp-b/if-o1").Deliveries[0].Frame
		p := parse(got)
		if p.from != addr("192.0.2.1") || checksum(got[14:34]) != 0 {
			t.Errorf("from %s, % x", p.from, got)
		}
		if want := out.frame()[34:]; offset&0xfff != 0 && string(got[34:]) != string(want) {
			t.Error("the payload was changed")
		}
	}
}

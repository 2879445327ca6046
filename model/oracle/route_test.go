package oracle

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// routed is three networks in a row: a - rl-1 - b - rl-2 - c, by legs that are everywhere. Guests: a1 on host a; b1 on b; c1 on b.
const routed = hosts + `
networks uuid=nw-a ipv4_network=10.1.0.0 ipv6_network=fd01::
networks uuid=nw-b ipv4_network=10.2.0.0 ipv6_network=fd02::
networks uuid=nw-c ipv4_network=10.3.0.0 ipv6_network=fd03::
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.1.0.1 nw-a=fd01::1
vif if-b1 dp-b 02:00:00:00:00:b1 nw-b=10.2.0.1 nw-b=fd02::1
vif if-c1 dp-b 02:00:00:00:00:c1 nw-c=10.3.0.1 nw-c=fd03::1
simulated if-la - 02:00:00:00:00:1a nw-a=10.1.0.254 nw-a=fd01::fe enable_routing=true
simulated if-lb - 02:00:00:00:00:1b nw-b=10.2.0.254 nw-b=fd02::fe enable_routing=true
simulated if-lc - 02:00:00:00:00:1c nw-b=10.2.0.253 nw-b=fd02::fd enable_routing=true
simulated if-ld - 02:00:00:00:00:1d nw-c=10.3.0.254 nw-c=fd03::fe enable_routing=true
route_links uuid=rl-1
route_links uuid=rl-2
routes uuid=r-a route_link_uuid=rl-1 interface_uuid=if-la network_uuid=nw-a ipv4_network=10.1.0.0 ipv6_network=fd01::
routes uuid=r-b route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-b ipv4_network=10.2.0.0 ipv6_network=fd02::
routes uuid=r-c route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-b ipv4_network=10.3.0.0 ipv6_network=fd03:: ipv4_gateway=10.2.0.253 ipv6_gateway=fd02::fd
routes uuid=r-d route_link_uuid=rl-2 interface_uuid=if-ld network_uuid=nw-c ipv4_network=10.3.0.0 ipv6_network=fd03::
routes uuid=r-e route_link_uuid=rl-2 interface_uuid=if-lc network_uuid=nw-b ipv4_network=10.0.0.0 ipv4_prefix=8 ipv6_network=fd00:: ipv6_prefix=8 ipv4_gateway=10.2.0.254 ipv6_gateway=fd02::fe
`

var la, lb, ld, c1 = mac(0x1a), mac(0x1b), mac(0x1d), mac(0xc1)

// Section 6: between two networks, over several routers, and to routers themselves.
func TestRouting(t *testing.T) {
	l := newLab(t, routed)
	for _, ip := range [][4]string{{"10.1.0.1", "10.2.0.1", "10.3.0.1"}, {"fd01::1", "fd02::1", "fd03::1"}} {
		in := udp(la, a1, ip[0], ip[1])
		out := in
		out.dst, out.src, out.ttl = b1, lb, 63
		l.expectFrame("dp-a/if-a1", in.frame(), "dp-b/if-b1", out.frame())
		back := in.back(lb, b1)
		out = back
		out.dst, out.src, out.ttl = a1, la, 63
		l.expectFrame("dp-b/if-b1", back.frame(), "dp-a/if-a1", out.frame())
		far := udp(la, a1, ip[0], ip[2]) // two routers
		far.options = map[bool][]byte{true: {1, 1, 1, 0}, false: nil}[in.proto == protoUDP && strings.Contains(ip[0], ".")]
		out = far
		out.dst, out.src, out.ttl = c1, ld, 62
		l.expectFrame("dp-a/if-a1", far.frame(), "dp-b/if-c1", out.frame())
		back = udp(ld, c1, ip[2], ip[0])
		out = back
		out.dst, out.src, out.ttl = a1, la, 62
		l.expectFrame("dp-b/if-c1", back.frame(), "dp-a/if-a1", out.frame())
	}
	// The routers themselves.
	for _, ip := range [][2]string{{"10.1.0.1", "10.2.0.254"}, {"fd01::1", "fd02::fe"}} {
		ask := ping(la, a1, ip[0], ip[1])
		answer := ask.back(a1, la)
		answer.ttl = 63
		l.expectFrame("dp-a/if-a1", ask.frame(), "dp-a/if-a1", answer.frame())
		l.expect("dp-a/if-a1", udp(la, a1, ip[0], ip[1]).frame(), "told dp-a gateway")
	}
	closed := udp(la, a1, "10.1.0.1", "10.2.0.254")
	closed.proto = protoTCP
	if rs := l.w.Judge(Entry{"dp-a", "if-a1"}, closed.frame(), nil)[0].Resets; len(rs) != 1 || rs[0].Port != "if-a1" || parse(rs[0].Frame).from != addr("10.2.0.254") {
		t.Errorf("resets: %+v", rs)
	}
	near := ping(la, a1, "10.1.0.1", "10.1.0.254") // section 3 answers
	l.expectFrame("dp-a/if-a1", near.frame(), "dp-a/if-a1", near.back(a1, la).frame())
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.1.0.254").frame(), "told dp-a gateway")
	// What goes wrong.
	last := udp(la, a1, "10.1.0.1", "10.3.0.1")
	last.ttl = 1
	l.expect("dp-a/if-a1", last.frame(), "told dp-a ttl")
	last.ttl = 2
	l.expect("dp-a/if-a1", last.frame(), "told dp-a ttl")
	last.ttl = 3
	l.expect("dp-a/if-a1", last.frame(), "dp-b/if-c1")
	l.expect("dp-a/if-a1", udp(la, a1, linkLocalA1, "fd02::1").frame(), "told dp-a no_ingress_route")
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.9.0.1").frame(), "told dp-a no_route")
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.2.0.9").frame(), "told dp-a no_neighbor")
	loop := udp(la, a1, "10.1.0.1", "10.3.0.1") // rl-2 sends what is in no other route back
	l.again("routes route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-b ipv4_network=10.1.0.0 egress=false", "r-d")
	l.expect("dp-a/if-a1", loop.frame(), "drop dp-a hops")
	loop.ttl = 15
	l.expect("dp-a/if-a1", loop.frame(), "told dp-a ttl")
	loop.ttl = 16
	l.expect("dp-a/if-a1", loop.frame(), "drop dp-a hops")
}

// Which routes let in, and which out.
func TestRoutes(t *testing.T) {
	in := udp(la, a1, "10.1.0.1", "10.2.0.1").frame()
	for name, tc := range map[string]struct{ change, want string }{
		"no ingress":               {"routes uuid=r-a route_link_uuid=rl-1 interface_uuid=if-la network_uuid=nw-a ipv4_network=10.1.0.0 ingress=false", "told dp-a no_ingress_route"},
		"no egress":                {"routes uuid=r-b route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-b ipv4_network=10.2.0.0 egress=false", "told dp-a no_route"},
		"longest ingress":          {"routes uuid=r-z route_link_uuid=rl-2 interface_uuid=if-la network_uuid=nw-a ipv4_network=10.1.0.1 ipv4_prefix=32", "told dp-a no_ingress_route"},
		"not the longest":          {"routes uuid=r-z route_link_uuid=rl-2 interface_uuid=if-la network_uuid=nw-a ipv4_network=10.1.0.0 ipv4_prefix=16", "dp-b/if-b1"},
		"of equals the lowest id":  {"routes uuid=r-z route_link_uuid=rl-2 interface_uuid=if-la network_uuid=nw-a ipv4_network=10.1.0.0", "dp-b/if-b1"},
		"black hole":               {"routes uuid=r-z route_link_uuid=rl-1 mode=blackhole ipv4_network=10.2.0.0 ipv4_prefix=25", "drop dp-a blackhole"},
		"shorter black hole":       {"routes uuid=r-z route_link_uuid=rl-1 mode=blackhole ipv4_network=10.2.0.0 ipv4_prefix=16", "dp-b/if-b1"},
		"black hole of the others": {"routes uuid=r-z route_link_uuid=rl-2 mode=blackhole ipv4_network=10.2.0.0 ipv4_prefix=25", "dp-b/if-b1"},
		"through another network":  {"routes uuid=r-z route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-c ipv4_network=10.2.0.0 ipv4_prefix=25", "dp-b/if-b1"},
		"not a leg":                {"routes uuid=r-z route_link_uuid=rl-1 interface_uuid=if-b1 network_uuid=nw-b ipv4_network=10.2.0.0 ipv4_prefix=25", "dp-b/if-b1"},
		"without routing":          {"interfaces uuid=if-la mode=simulated", "drop dp-a destination"},
		"gateway is nobody":        {"routes uuid=r-z route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-b ipv4_network=10.2.0.0 ipv4_prefix=25 ipv4_gateway=10.2.0.99", "told dp-a no_neighbor"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, routed)
			l.again(tc.change)
			l.expect("dp-a/if-a1", in, tc.want)
		})
	}
	// A lease with enable_routing is no router's own.
	l := newLab(t, strings.Replace(routed, "nw-b=10.2.0.254 ", "nw-b=10.2.0.254/r ", 1))
	l.expect("dp-a/if-a1", ping(la, a1, "10.1.0.1", "10.2.0.254").frame(), "told dp-a no_ingress_route") // in at lb again
	// Other protocols end at a leg; broadcasts do not enter it.
	s := newLab(t, segments+`
simulated if-la - 02:00:00:00:00:1a nw-s=10.0.0.254 enable_routing=true
routes route_link_uuid=rl-1 interface_uuid=if-la network_uuid=nw-s ipv4_network=10.0.0.0
`)
	s.expect("dp-a/if-a1", ether(la, a1, 0x88cc), "drop dp-a destination")
	s.expect("dp-a/if-a1", udp(broadcast, a1, "10.0.0.1", "10.9.0.1").frame(), "dp-a/if-a3", "dp-b/if-a2")
	s.expect("dp-a/if-a3", udp(la, a3, "10.9.0.1", "10.0.0.1").frame(), "told dp-a no_ingress_route")
	back := udp(la, a1, "10.0.0.1", "10.0.0.1") // it may go back to where it came from
	out := back
	out.dst, out.src, out.ttl = a1, la, 63
	s.expectFrame("dp-a/if-a1", back.frame(), "dp-a/if-a1", out.frame())
}

// A next hop in no subnet, which a device outside has.
func TestNextHop(t *testing.T) {
	text := routed + `
promiscuous if-wire dp-b -
interface_networks interface_uuid=if-wire network_uuid=nw-b static=true
routes route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-b ipv4_network=0.0.0.0 ipv4_prefix=0 ipv6_network=:: ipv6_prefix=0
`
	in, in6 := udp(la, a1, "10.1.0.1", "192.0.2.1"), udp(la, a1, "fd01::1", "2001:db8::1")
	unknown := newLab(t, text)
	unknown.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.2.0.77").frame(), "punt dp-b neighbor") // where the network is
	known := newLab(t, text, func(e *Environment) { e.Neighbors[Neighbor{"nw-b", addr("10.2.0.77")}] = device })
	out := udp(device, lb, "10.1.0.1", "10.2.0.77")
	out.ttl = 63
	known.expectFrame("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.2.0.77").frame(), "dp-b/if-wire", out.frame())

	// Without a gateway, the first address of the network's subnet: a station's, or a device's.
	for _, in := range []datagram{in, in6} {
		out := in
		out.dst, out.src, out.ttl = b1, lb, 63
		unknown.expectFrame("dp-a/if-a1", in.frame(), "dp-b/if-b1", out.frame())
	}
	first := newLab(t, strings.Replace(strings.Replace(text, "nw-b=10.2.0.1 ", "nw-b=10.2.0.9 ", 1), "nw-b=fd02::1\n", "nw-b=fd02::9\n", 1), func(e *Environment) {
		e.Neighbors[Neighbor{"nw-b", addr("10.2.0.1")}] = device
		e.Neighbors[Neighbor{"nw-b", addr("fd02::1")}] = device
	})
	for _, in := range []datagram{in, in6} {
		out := in
		out.dst, out.src, out.ttl = device, lb, 63
		first.expectFrame("dp-a/if-a1", in.frame(), "dp-b/if-wire", out.frame())
	}
	first.again("networks uuid=nw-b ipv4_network=10.2.0.0")
	first.expect("dp-a/if-a1", in6.frame(), "told dp-a no_neighbor") // no subnet of the family
}

// A network that is not present at the guest's host, with devices outside at two others: what may be for one of them is carried to the host of the lower id, and
// leaves there, once.
func TestDevicesElsewhere(t *testing.T) {
	text := strings.Replace(routed, "vif if-b1 dp-b", "datapaths uuid=dp-c display_name=c node_id=c dpid=3\npromiscuous if-out dp-c -\ninterface_networks interface_uuid=if-out network_uuid=nw-b static=true\nvif if-b1 dp-b", 1) + `
promiscuous if-wire dp-b -
interface_networks interface_uuid=if-wire network_uuid=nw-b static=true
routes route_link_uuid=rl-1 interface_uuid=if-lb network_uuid=nw-b ipv4_network=0.0.0.0 ipv4_prefix=0 ipv4_gateway=10.2.0.78
`
	l := newLab(t, text)
	in, far := udp(la, a1, "10.1.0.1", "10.2.0.77"), udp(la, a1, "10.1.0.1", "192.0.2.1")
	l.expect("dp-a/if-a1", in.frame(), "punt dp-b neighbor")
	l.expect("dp-a/if-a1", far.frame(), "punt dp-b neighbor")
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.2.0.1").frame(), "dp-b/if-b1") // who is registered, from here
	last := in
	last.ttl = 1
	l.expect("dp-a/if-a1", last.frame(), "told dp-b ttl")
	l.again("networks uuid=nw-b ipv4_network=10.2.0.0 unknown_unicast=drop") // of which dp-b has learned nothing
	l.env.Neighbors[Neighbor{"nw-b", addr("10.2.0.77")}] = device
	l.again("")
	l.expect("dp-a/if-a1", in.frame(), "drop dp-b destination")
	l.env.Learned[LearnedFrom{"nw-b", device}] = "if-wire"
	l.again("")
	out := in
	out.dst, out.src, out.ttl = device, lb, 63
	l.expectFrame("dp-a/if-a1", in.frame(), "dp-b/if-wire", out.frame())
	// A leg that is pinned does not leave its host; a guest makes the network present.
	pinned := newLab(t, strings.Replace(text, "if-lb - ", "if-lb dp-c ", 1))
	pinned.expect("dp-a/if-a1", in.frame(), "punt dp-c neighbor")
	here := newLab(t, text+"vif if-b9 dp-a 02:00:00:00:00:b9 nw-b=10.2.0.99\n")
	here.expect("dp-a/if-a1", in.frame(), "punt dp-a neighbor")
	// What was carried to dp-b takes no route of equal cost into a network that is not present there.
	equal := newLab(t, text+`
networks uuid=nw-z ipv4_network=10.9.0.0
promiscuous if-z dp-c -
interface_networks interface_uuid=if-z network_uuid=nw-z static=true
simulated if-lz - 02:00:00:00:00:2c nw-z=10.9.0.254 enable_routing=true
routes route_link_uuid=rl-1 interface_uuid=if-lz network_uuid=nw-z ipv4_network=0.0.0.0 ipv4_prefix=0 ipv4_gateway=10.9.0.78
`)
	var all []string
	for _, o := range equal.w.Judge(at("dp-a/if-a1"), far.frame(), nil) {
		all = append(all, summary(o)...)
	}
	slices.Sort(all)
	if d := cmp.Diff([]string{"punt dp-b neighbor", "punt dp-c neighbor", "punt dp-c neighbor"}, all); d != "" { // dp-c has both networks
		t.Error(d)
	}
}

// Legs of one host: packets are carried to it, and let out there.
func TestPinnedLegs(t *testing.T) {
	l := newLab(t, `
networks uuid=nw-p ipv4_network=172.16.0.0 mode=physical
`+strings.Replace(routed, "if-lb - ", "if-lb dp-b ", 1)+`
host if-hb dp-b 02:00:00:00:00:0b nw-p=172.16.0.11
simulated if-nat dp-b 02:00:00:00:00:0f nw-p=172.16.0.254 enable_routing=true
routes uuid=r-p route_link_uuid=rl-1 interface_uuid=if-nat network_uuid=nw-p ipv4_network=0.0.0.0 ipv4_prefix=0 ipv4_gateway=172.16.0.1
`)
	in := udp(la, a1, "10.1.0.1", "10.2.0.1")
	out := in
	out.dst, out.src, out.ttl = b1, lb, 63
	l.expectFrame("dp-a/if-a1", in.frame(), "dp-b/if-b1", out.frame())
	l.expect("dp-b/if-b1", in.back(lb, b1).frame(), "dp-a/if-a1")
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "192.0.2.1").frame(), "punt dp-b neighbor")
	l.env.Neighbors[Neighbor{"nw-p", addr("172.16.0.1")}] = device
	l.again("")
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "192.0.2.1").frame(), "dp-b/nic-b")
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.2.0.9").frame(), "told dp-b no_neighbor")
	ask := ping(la, a1, "10.1.0.1", "10.2.0.254") // the pinned leg itself, at its host
	answer := ask.back(a1, la)
	answer.ttl = 63
	l.expectFrame("dp-a/if-a1", ask.frame(), "dp-a/if-a1", answer.frame())
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.2.0.254").frame(), "told dp-b gateway")
	// In from the physical network: only where the leg is.
	back := udp(mac(0x0f), device, "192.0.2.1", "10.1.0.1").frame()
	l.expect("dp-b/nic-b", back, "dp-a/if-a1")
	l.expect("dp-a/nic-a", back, "dp-a/LOCAL") // the leg is not there
	// By layer 2 to a leg of another host.
	pinned := newLab(t, strings.Replace(routed, "if-la - ", "if-la dp-b ", 1))
	pinned.expect("dp-a/if-a1", in.frame(), "dp-b/if-b1")
	pinned.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.9.0.1").frame(), "told dp-b no_route")
}

// Routes of equal cost: each is right, but one conversation stays with one.
func TestEqualCost(t *testing.T) {
	l := newLab(t, routed+`
simulated if-l2 - 02:00:00:00:00:2b nw-b=10.2.0.252 enable_routing=true
simulated if-l3 dp-b 02:00:00:00:00:3b nw-b=10.2.0.251 enable_routing=true
routes uuid=r-y route_link_uuid=rl-1 interface_uuid=if-l2 network_uuid=nw-b ipv4_network=10.2.0.0
routes uuid=r-z route_link_uuid=rl-1 interface_uuid=if-l3 network_uuid=nw-b ipv4_network=10.2.0.0
`)
	in := udp(la, a1, "10.1.0.1", "10.2.0.1")
	frames := func(os []Outcome) []string {
		var macs []string
		for _, o := range os {
			for _, d := range o.Deliveries {
				macs = append(macs, parse(d.Frame).src.String())
			}
		}
		slices.Sort(macs)
		return slices.Compact(macs)
	}
	all := []string{"02:00:00:00:00:1b", "02:00:00:00:00:2b", "02:00:00:00:00:3b"}
	for range 2 {
		os := l.w.Judge(at("dp-a/if-a1"), in.frame(), &l.c)
		if d := cmp.Diff(all, frames(os)); d != "" {
			t.Fatal(d)
		}
	}
	for taken := range 3 {
		in.fromPort++
		os := l.w.Judge(at("dp-a/if-a1"), in.frame(), &l.c)
		l.c.Learn(os[taken])
		for range 2 {
			again := l.w.Judge(at("dp-a/if-a1"), in.frame(), &l.c)
			if d := cmp.Diff(frames(os[taken:taken+1]), frames(again)); len(again) != 1 || d != "" {
				t.Fatalf("%d outcomes %s", len(again), d)
			}
		}
	}
	in.fromPort++
	if n := len(frames(l.w.Judge(at("dp-a/if-a1"), in.frame(), &l.c))); n != 3 {
		t.Errorf("another conversation has %d ways", n)
	}
	// A packet of which nobody saw which way it took says nothing of the next one.
	lost := in
	lost.ttl = 1
	os := l.w.Judge(at("dp-a/if-a1"), lost.frame(), &l.c)
	l.c.Learn(os[0], os[1:]...)
	if n := len(frames(l.w.Judge(at("dp-a/if-a1"), in.frame(), &l.c))); len(os) < 2 || n != 3 {
		t.Errorf("after %d outcomes that look alike a conversation has %d ways", len(os), n)
	}
	l.again("", "r-b", "r-y", "r-z") // the way is gone
	l.expect("dp-a/if-a1", udp(la, a1, "10.1.0.1", "10.2.0.1").frame(), "told dp-a no_route")
}

// Filters of the first sender and the last receiver.
func TestRoutedAndFiltered(t *testing.T) {
	l := newLab(t, routed+`
security_groups uuid=sg-a display_name=a trust_members=false rules=udp:2000:sg-b
security_groups uuid=sg-b display_name=b trust_members=false
security_group_interfaces security_group_uuid=sg-a interface_uuid=if-c1
security_group_interfaces security_group_uuid=sg-b interface_uuid=if-a1
`)
	in := udp(la, a1, "10.1.0.1", "10.3.0.1")
	l.expect("dp-a/if-a1", in.frame(), "dp-b/if-c1")
	l.expect("dp-b/if-c1", in.back(ld, c1).frame(), "dp-a/if-a1")
	in.toPort++
	l.expect("dp-a/if-a1", in.frame(), "drop dp-b security_group")
	l.expect("dp-b/if-b1", udp(lb, b1, "10.2.0.1", "10.1.0.1").frame(), "drop dp-a security_group")
}

// Legs in networks of other kinds: internal, physical, on a segment; and on a host that their network is not wired to.
func TestLegsOfOtherNetworks(t *testing.T) {
	l := newLab(t, hosts+`
networks uuid=nw-a ipv4_network=10.1.0.0
networks uuid=nw-l ipv4_network=172.17.0.0 mode=internal
networks uuid=nw-p ipv4_network=172.16.0.0 mode=physical
networks uuid=nw-q ipv4_network=10.9.0.0 ipv4_prefix=31
segments uuid=seg-s mode=virtual
networks uuid=nw-s ipv4_network=10.4.0.0 segment_uuid=seg-s
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.1.0.1
vif if-l1 dp-a 02:00:00:00:00:01 nw-l=172.17.0.1
vif if-l2 dp-b 02:00:00:00:00:02 nw-l=172.17.0.2
vif if-p1 dp-a 02:00:00:00:00:03 nw-p=172.16.0.1
vif if-s1 dp-b 02:00:00:00:00:04 nw-s=10.4.0.1 segment_uuid=seg-s
vif if-q0 dp-b 02:00:00:00:00:05 nw-q=10.9.0.0
host if-hb dp-b 02:00:00:00:00:0b nw-p=172.16.0.11
simulated if-la - 02:00:00:00:00:1a nw-a=10.1.0.254 enable_routing=true
simulated if-ll dp-a 02:00:00:00:00:1b nw-l=172.17.0.254 enable_routing=true
simulated if-lp dp-b 02:00:00:00:00:1c nw-p=172.16.0.254 enable_routing=true
simulated if-ls - 02:00:00:00:00:1d nw-s=10.4.0.254 segment_uuid=seg-s enable_routing=true
simulated if-lq dp-b 02:00:00:00:00:1e nw-q=10.9.0.1 enable_routing=true
routes route_link_uuid=rl-1 interface_uuid=if-la network_uuid=nw-a ipv4_network=10.1.0.0
routes route_link_uuid=rl-1 interface_uuid=if-ll network_uuid=nw-l ipv4_network=172.17.0.0
routes uuid=r-p route_link_uuid=rl-1 interface_uuid=if-lp network_uuid=nw-p ipv4_network=172.16.0.0
routes route_link_uuid=rl-1 interface_uuid=if-ls network_uuid=nw-s ipv4_network=10.4.0.0
routes route_link_uuid=rl-1 interface_uuid=if-lq network_uuid=nw-q ipv4_network=10.8.0.0
`)
	to := func(a string) []byte { return udp(la, a1, "10.1.0.1", a).frame() }
	l.expect("dp-a/if-a1", to("172.17.0.1"), "dp-a/if-l1")
	l.expect("dp-a/if-a1", to("172.17.0.2"), "told dp-a no_neighbor") // another host's network
	l.expect("dp-a/if-l1", udp(mac(0x1b), mac(1), "172.17.0.1", "10.1.0.1").frame(), "dp-a/if-a1")
	l.expect("dp-a/if-a1", to("10.4.0.1"), "dp-b/if-s1")
	l.expect("dp-b/if-s1", udp(mac(0x1d), mac(4), "10.4.0.1", "10.1.0.1").frame(), "dp-a/if-a1")
	l.expect("dp-a/if-a1", to("10.8.0.1"), "dp-b/if-q0") // the first address of so small a subnet is its own
	l.expect("dp-a/if-p1", udp(mac(0x1c), mac(3), "172.16.0.1", "10.1.0.1").frame(), "dp-a/nic-a")
	l.expect("dp-b/nic-b", udp(mac(0x1c), mac(3), "172.16.0.1", "10.1.0.1").frame(), "dp-a/if-a1")
	l.expect("dp-a/nic-a", udp(mac(0x1c), device, "172.16.0.77", "10.1.0.1").frame(), "dp-a/LOCAL")
	l.expect("dp-a/if-a1", to("172.16.0.1"), "dp-b/nic-b") // to the host where it is

	l = newLab(t, `
datapaths uuid=dp-a display_name=a node_id=a dpid=1
datapaths uuid=dp-b display_name=b node_id=b dpid=2
networks uuid=nw-a ipv4_network=10.1.0.0
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.1.0.1
simulated if-la dp-b 02:00:00:00:00:1a nw-a=10.1.0.254 enable_routing=true
routes route_link_uuid=rl-1 interface_uuid=if-la network_uuid=nw-a ipv4_network=10.1.0.0
datapath_networks datapath_uuid=dp-a network_uuid=nw-a interface_uuid=if-host
`)
	l.expect("dp-a/if-a1", to("10.1.0.9"), "drop dp-a transport")
}

package compile_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/oftest"
)

// A pinned leg remembers what it has translated: in both directions, over two hosts, and for those inside who ask for an address outside.
func TestTranslatedConversations(t *testing.T) { conversations(newFabric(t, natted(false))) }

func conversations(f *fabric) {
	p := func(from, gateway, src, dst string, sport, dport int) []byte {
		return probe{ethSrc: from, ethDst: gateway, src: src, dst: dst, sport: sport, dport: dport}.frame()
	}
	// Out, by masquerade, and back.
	f.want("a1", p("0a:01", "0a:fe", "10.0.0.1", "203.0.113.9", 5, 53), "x1: 0c:fe>0c:09 203.0.113.1>203.0.113.9 ttl 63 udp 5>53")
	f.want("x1", p("0c:09", "0c:fe", "203.0.113.9", "203.0.113.1", 53, 5), "a1: 0a:fe>0a:01 203.0.113.9>10.0.0.1 ttl 63 udp 53>5")
	f.want("a1", p("0a:01", "0a:fe", "fd00:a::1", "2001:db8::9", 5, 53), "x1: 0c:fe>0c:09 2001:db8::1>2001:db8::9 ttl 63 udp 5>53")
	f.want("x1", p("0c:09", "0c:fe", "2001:db8::9", "2001:db8::1", 53, 5), "a1: 0a:fe>0a:01 2001:db8::9>fd00:a::1 ttl 63 udp 53>5")
	f.want("b1", p("0b:01", "0b:fe", "10.0.1.1", "203.0.113.9", 0, 0), "x1: 0c:fe>0c:09 203.0.113.1>203.0.113.9 ttl 63 EchoRequest")
	f.want("x1", p("0c:09", "0c:fe", "203.0.113.9", "203.0.113.1", 0, -1), "b1: 0b:fe>0b:01 203.0.113.9>10.0.1.1 ttl 63 EchoReply")
	// In, by a row with a port, and back.
	f.want("x1", p("0c:09", "0c:fe", "203.0.113.9", "203.0.113.10", 999, 80), "b2: 0b:fe>0b:02 203.0.113.9>10.0.1.2 ttl 63 udp 999>8080")
	f.want("b2", p("0b:02", "0b:fe", "10.0.1.2", "203.0.113.9", 8080, 999), "x1: 0c:fe>0c:09 203.0.113.10>203.0.113.9 ttl 63 udp 80>999")
	// Errors about them, from either end.
	f.want("x1", refusal(probe{ethSrc: "0c:09", ethDst: "0c:fe", src: "203.0.113.9", dst: "203.0.113.1"}, probe{src: "203.0.113.1", dst: "203.0.113.9", sport: 5, dport: 53}),
		"a1: 0a:fe>0a:01 203.0.113.9>10.0.0.1 ttl 63 DestinationUnreachable(Port) about 10.0.0.1:5>203.0.113.9:53")
	f.want("a1", refusal(probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "203.0.113.9"}, probe{src: "203.0.113.9", dst: "10.0.0.1", sport: 53, dport: 5}),
		"x1: 0c:fe>0c:09 203.0.113.1>203.0.113.9 ttl 63 DestinationUnreachable(Port) about 203.0.113.9:53>203.0.113.1:5")
	f.want("b2", refusal(probe{ethSrc: "0b:02", ethDst: "0b:fe", src: "10.0.1.2", dst: "203.0.113.9"}, probe{src: "203.0.113.9", dst: "10.0.1.2", sport: 999, dport: 8080}),
		"x1: 0c:fe>0c:09 203.0.113.10>203.0.113.9 ttl 63 DestinationUnreachable(Port) about 203.0.113.9:999>203.0.113.10:80")
	f.want("x1", refusal(probe{ethSrc: "0c:09", ethDst: "0c:fe", src: "203.0.113.9", dst: "203.0.113.10"}, probe{src: "203.0.113.10", dst: "203.0.113.9", sport: 80, dport: 999}),
		"b2: 0b:fe>0b:02 203.0.113.9>10.0.1.2 ttl 63 DestinationUnreachable(Port) about 10.0.1.2:8080>203.0.113.9:999")
	// Out by a row without a port.
	f.want("b2", p("0b:02", "0b:fe", "fd00:b::2", "2001:db8::9", 7, 8), "x1: 0c:fe>0c:09 2001:db8::10>2001:db8::9 ttl 63 udp 7>8")
	// Hairpin: inside to inside by the address outside.
	f.want("b1", p("0b:01", "0b:fe", "10.0.1.1", "203.0.113.10", 7, 80), "b2: 0b:fe>0b:02 203.0.113.1>10.0.1.2 ttl 62 udp 7>8080")
	f.want("b2", p("0b:02", "0b:fe", "10.0.1.2", "203.0.113.1", 8080, 7), "b1: 0b:fe>0b:01 203.0.113.10>10.0.1.1 ttl 62 udp 80>7")
	// What nothing translates.
	f.want("x1", p("0c:09", "0c:fe", "203.0.113.9", "203.0.113.1", 1, 2), "dropped: translation")
	f.want("x1", p("0c:09", "0c:fe", "203.0.113.9", "203.0.113.10", 999, 81), "dropped: translation")
	// An answer to a question that nobody asked begins no conversation, so that it is not translated, and does not leave as it is.
	f.want("a1", p("0a:01", "0a:fe", "10.0.0.1", "203.0.113.9", 0, -1), "dropped: translation")
}

func TestTranslationPassthrough(t *testing.T) {
	f := newFabric(t, natted(true))
	f.want("x1", probe{ethSrc: "0c:09", ethDst: "0c:fe", src: "203.0.113.9", dst: "10.0.0.1", dport: -1}.frame(), "a1: 0a:fe>0a:01 203.0.113.9>10.0.0.1 ttl 63 EchoReply")
	f.want("x1", probe{ethSrc: "0c:09", ethDst: "0c:fe", src: "203.0.113.9", dst: "10.0.0.1", sport: 1, dport: 2}.frame(), "a1: 0a:fe>0a:01 203.0.113.9>10.0.0.1 ttl 63 udp 1>2")
}

// A leg that is at every host translates each packet by itself.
func TestTranslationWithoutMemory(t *testing.T) { statelessly(newFabric(t, stateless())) }

func stateless() *world {
	w := routed()
	w.edit("if-gb", func(i *model.Interface) { i.EnableRouteTranslation = true })
	w.put(&model.Translation{Meta: model.Meta{UUID: "tr-s"}, Mode: model.TranslationStatic, InterfaceUUID: "if-gb"})
	row := func(in, out string, inPort, outPort uint16) {
		w.put(&model.TranslationStaticAddress{TranslationUUID: "tr-s", IngressIPv4Address: netip.MustParseAddr(in), EgressIPv4Address: netip.MustParseAddr(out), IngressPortNumber: inPort, EgressPortNumber: outPort})
	}
	row("10.0.9.9", "10.0.0.1", 0, 0)
	row("10.0.9.9", "10.0.0.1", 80, 8080)
	row("10.0.9.9", "10.0.0.2", 0, 0) // the same inwards as an older row
	return w
}

func statelessly(f *fabric) {
	f.want("b2", probe{ethSrc: "0b:02", ethDst: "0b:fe", src: "10.0.1.2", dst: "10.0.9.9", sport: 5, dport: 80}.frame(), "a1: 0a:fe>0a:01 10.0.1.2>10.0.0.1 ttl 63 udp 5>8080")
	f.want("a1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "10.0.1.2", sport: 8080, dport: 5}.frame(), "b2: 0b:fe>0b:02 10.0.9.9>10.0.1.2 ttl 63 udp 80>5")
	f.want("b1", probe{ethSrc: "0b:01", ethDst: "0b:fe", src: "10.0.1.1", dst: "10.0.9.9", sport: 5, dport: 81}.frame(), "a1: 0a:fe>0a:01 10.0.1.1>10.0.0.1 ttl 63 udp 5>81")
	f.want("b1", probe{ethSrc: "0b:01", ethDst: "0b:fe", src: "10.0.1.1", dst: "10.0.0.1", sport: 5, dport: 81}.frame(), "dropped: translation")
}

// Packets to a prefix with several routes leave by any of them; by a leg of another host too, but from there by its own only.
func TestEqualCost(t *testing.T) {
	w := natted(false)
	w.leg("if-gy", "", "02:00:00:00:0b:fd", "nw-b", "10.0.1.253", "fd00:b::fd")
	w.route("r-y", "if-gy", "nw-b", "rl-1", "0.0.0.0/0", "::/0")
	f := newFabric(t, w)
	out := probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "203.0.113.9", sport: 5, dport: 53}.frame()
	for range 2 { // the other host has the other leg as well, and both are its own
		f.choose = 0
		f.want("a1", out, "x1: 0c:fe>0c:09 203.0.113.1>203.0.113.9 ttl 63 udp 5>53")
		f.choose = 1
		f.want("a1", out, "b1: 0b:fd>0b:01 10.0.0.1>203.0.113.9 ttl 63 udp 5>53") // 10.0.1.1 is the first address
	}
}

// A black hole among routes of equal prefix decides.
func TestBlackholeDecides(t *testing.T) {
	w := routed()
	w.route("r-hole", "", "", "rl-1", "10.0.1.0/24")
	f := newFabric(t, w)
	f.want("a1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "10.0.1.1", sport: 5, dport: 6}.frame(), "dropped: blackhole")
}

// Two routers that lead to each other: the packet goes round until it has met too many.
func TestHops(t *testing.T) {
	f := newFabric(t, circle())
	f.want("a1", aroundCircle, "dropped: hops")
	if n := strings.Count(f.trace, "table=50,"); n != 16 {
		t.Errorf("it has met %d routers, want 15 and the one that refuses", n)
	}
}

var aroundCircle = probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "8.8.8.8", sport: 5, dport: 6}.frame()

func circle() *world {
	w := routed()
	w.put(&model.RouteLink{Meta: model.Meta{UUID: "rl-2"}, VNI: 301, MACAddress: model.MAC{2, 0, 0, 0, 3, 1}})
	w.leg("if-gc", "", "02:00:00:00:0b:fc", "nw-b", "10.0.1.252")
	o, _ := w.g.Get("r-b")
	r := model.Clone(o.(*model.Route))
	r.IPv4Gateway = netip.MustParseAddr("10.0.1.252")
	r.IPv4Network, r.IPv4Prefix = netip.MustParseAddr("0.0.0.0"), 0
	w.g.Put(r)
	w.route("r-c", "if-gc", "nw-b", "rl-2", "0.0.0.0/0")
	o, _ = w.g.Get("r-c")
	r = model.Clone(o.(*model.Route))
	r.IPv4Gateway = netip.MustParseAddr("10.0.1.254")
	w.g.Put(r)
	return w
}

// A next hop that nobody is known to be is asked for where devices outside may be it, and taken from their answers.
func TestOutsideNextHop(t *testing.T) {
	w := routed()
	withOutside(w)
	f := newFabric(t, w)
	f.want("a1", toOutside, agentAsked)
	in := f.inputs["dp-1"]
	k := compile.NeighborKey{Domain: 200, Addr: netip.MustParseAddr("10.0.1.77")}
	in.Bridge.SetNeighbor(k, model.MAC{2, 0, 0, 0, 0x0d, 77})
	items, err := in.Unit(compile.NeighborUnit(k))
	if err != nil || len(items.Flows) != 1 || items.Flows[0].Table != pipeline.NextHopMAC.ID {
		t.Fatalf("%v: %v", items.Flows, err)
	}
	for _, bad := range []string{"", "200", "x/10.0.0.1", "200/x", "200/10.0.1.78"} {
		u := compile.NeighborUnit(k)
		u.UUID = bad
		if items, _ := in.Unit(u); len(items.Flows) > 0 {
			t.Errorf("unit %q has flows", bad)
		}
	}
}

var toOutside = probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "10.0.1.77", sport: 5, dport: 6}.frame()

const agentAsked = "agent of dp-1, class 2: 0b:fe>0a:fe 10.0.0.1>10.0.1.77 ttl 63 udp 5>6"

// withOutside gives a network of routed a port with devices that nobody registered.
func withOutside(w *world) {
	w.iface("if-p", model.InterfacePromiscuous, "dp-1", "p1", "02:00:00:00:0d:01", "")
	w.put(&model.InterfaceNetwork{InterfaceUUID: "if-p", NetworkUUID: "nw-b", Static: true})
}

// distant is routed with a network of which dp-1 has nothing: on dp-2 there are devices outside that nobody registered, and one guest.
func distant() *world {
	w := routed()
	w.network("nw-o", 500, "10.0.9.0/24", "fd00:9::/64")
	w.leg("if-go", "", "02:00:00:00:09:fe", "nw-o", "10.0.9.254", "fd00:9::fe")
	w.route("r-o", "if-go", "nw-o", "rl-1", "10.0.9.0/24", "fd00:9::/64")
	w.route("r-any", "if-go", "nw-o", "rl-1", "0.0.0.0/0", "::/0")
	w.iface("if-o1", model.InterfaceVIF, "dp-2", "o1", "02:00:00:00:09:01", "nw-o", "10.0.9.1")
	w.iface("if-p", model.InterfacePromiscuous, "dp-2", "p1", "02:00:00:00:0d:01", "")
	w.put(&model.InterfaceNetwork{Meta: model.Meta{UUID: "ifn-p"}, InterfaceUUID: "if-p", NetworkUUID: "nw-o", Static: true})
	return w
}

// What may be for devices outside of a network that is not present here is routed where they are; who is registered is reached from here.
func TestOutsideElsewhere(t *testing.T) {
	f := newFabric(t, distant())
	a1 := func(dst string) probe {
		src := "10.0.0.1"
		if strings.Contains(dst, ":") {
			src = "fd00:a::1"
		}
		return probe{ethSrc: "0a:01", ethDst: "0a:fe", src: src, dst: dst, sport: 5, dport: 6}
	}
	crosses := map[string]bool{} // hosts that route
	f.met = func(host string, l oftest.Lookup) {
		crosses[host] = crosses[host] || l.Table == pipeline.L3Out.ID
	}
	for dst, want := range map[string]string{
		"10.0.9.77":   "agent of dp-2, class 2: 09:fe>0a:fe 10.0.0.1>10.0.9.77 ttl 63 udp 5>6",
		"fd00:9::77":  "agent of dp-2, class 2: 09:fe>0a:fe fd00:a::1>fd00:9::77 ttl 63 udp 5>6",
		"2001:db8::1": "agent of dp-2, class 2: 09:fe>0a:fe fd00:a::1>2001:db8::1 ttl 63 udp 5>6",
	} {
		clear(crosses)
		f.want("a1", a1(dst).frame(), want)
		if crosses["dp-1"] || !crosses["dp-2"] {
			t.Errorf("%s is routed out by %v", dst, crosses)
		}
	}
	for dst, want := range map[string]string{
		"10.0.9.1":  "o1: 09:fe>09:01 10.0.0.1>10.0.9.1 ttl 63 udp 5>6",
		"192.0.2.1": "o1: 09:fe>09:01 10.0.0.1>192.0.2.1 ttl 63 udp 5>6", // it has the first address
	} {
		clear(crosses)
		f.want("a1", a1(dst).frame(), want)
		if !crosses["dp-1"] || crosses["dp-2"] {
			t.Errorf("%s is routed out by %v", dst, crosses)
		}
	}
	old := a1("10.0.9.77")
	old.ttl = 1
	f.want("a1", old.frame(), "dp-2 tells why: ttl")
}

// What cannot be realised is said, and does not keep the rest from working.
func TestUnrealisedRouting(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *world)
		unit   string
	}{
		"leg of a physical network that is not pinned": {func(w *world) {
			w.leg("if-gu", "", "02:00:00:00:0e:01", "nw-under", "172.16.90.100")
			w.route("r-u", "if-gu", "nw-under", "rl-1", "172.16.90.0/24")
		}, "if-gu"},
		"masquerade at a leg that is not pinned": {func(w *world) {
			w.edit("if-gb", func(i *model.Interface) { i.EnableRouteTranslation = true })
			w.put(&model.Translation{Mode: model.TranslationMasquerade, InterfaceUUID: "if-gb", Passthrough: true})
		}, "if-gb"},
		"route through a guest": {func(w *world) { w.route("r-g", "if-b1", "nw-b", "rl-1", "192.0.2.0/24") }, "r-g"},
	} {
		t.Run(name, func(t *testing.T) {
			w := routed()
			tc.change(w)
			in := &compile.Input{X: span.New(w.g), Self: "dp-1", Bridge: compile.NewBridge()}
			said := false
			for u := range in.Units() {
				_, err := in.Unit(u)
				if err != nil && !errors.Is(err, compile.ErrUnrealised) {
					t.Errorf("%s: %v", u, err)
				}
				said = said || err != nil && u.UUID == tc.unit
			}
			if !said {
				t.Error("nothing is said")
			}
		})
	}
}

// Of two legs whose zones of the connection tracker are the same, the later one stays closed.
func TestLegZonesConflict(t *testing.T) {
	w := natted(false)
	o, _ := w.g.Get("if-gx")
	w.leg("if-gz", "dp-2", "02:00:00:00:0c:fd", "nw-x", "203.0.113.2")
	w.route("r-z", "if-gz", "nw-x", "rl-1", "192.0.2.0/24")
	w.edit("if-gz", func(i *model.Interface) {
		i.EnableRouteTranslation = true
		i.ID = o.Base().ID + 2*pipeline.LegZoneStep
	})
	in := &compile.Input{X: span.New(w.g), Self: "dp-2", Bridge: compile.NewBridge()}
	said := false
	for u := range in.Units() {
		items, err := in.Unit(u)
		if u.UUID == "if-gz" && u.Kind == "leg" {
			said = said || err != nil && strings.Contains(err.Error(), "if-gx")
		}
		if u.UUID == "r-z" || u.UUID == "if-gz" && u.Kind == "leg" {
			for _, f := range items.Flows {
				t.Errorf("%s: %s", u, f)
			}
		}
	}
	if !said {
		t.Error("nothing is said")
	}
}

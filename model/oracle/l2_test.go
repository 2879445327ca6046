package oracle

import (
	"testing"

	"github.com/openvnet/openvnet/model"
)

// outside is a network with devices outside on both hosts: VLAN 10 behind an edge port of a, everything behind a promiscuous port of b.
const outside = tenants + `
edge if-edge dp-a -
translations uuid=tr-edge mode=vnet_edge interface_uuid=if-edge
vlan_translations translation_uuid=tr-edge network_uuid=nw-a vlan_id=10
promiscuous if-wire dp-b 02:00:00:00:00:0c nw-a=10.0.0.12
interface_networks interface_uuid=if-wire network_uuid=nw-a static=true
simulated if-gw - 02:00:00:00:00:fe nw-a=10.0.0.254
`

var device = mac(0x77)

// Section 5: where frames go.
func TestLayer2(t *testing.T) {
	multicast := udp(model.MAC{1, 0, 0x5e, 1, 1, 1}, a1, "10.0.0.1", "239.1.1.1")
	linkLocal := udp(model.MAC{1, 0, 0x5e, 0, 0, 5}, a1, "10.0.0.1", "224.0.0.5")
	linkLocal6 := udp(multicast6, a1, "fd00::1", "ff02::1")
	wide6 := udp(multicast6, a1, "fd00::1", "ff05::1")
	toAll := udp(broadcast, a1, "10.0.0.1", "255.255.255.255")
	unknown := udp(device, a1, "10.0.0.1", "10.0.0.77")
	all := []string{"dp-a/if-a3", "dp-b/if-a2"}
	for name, tc := range map[string]struct {
		policy string
		frame  []byte
		want   []string
	}{
		"broadcast":                  {"", toAll.frame(), all},
		"multicast":                  {"", multicast.frame(), all},
		"IPv6 multicast":             {"", wide6.frame(), all},
		"dropped broadcast":          {"multicast=drop", toAll.frame(), all},
		"dropped multicast":          {"multicast=drop", multicast.frame(), []string{"drop dp-a multicast"}},
		"dropped IPv6 multicast":     {"multicast=drop", wide6.frame(), []string{"drop dp-a multicast"}},
		"link-local multicast":       {"multicast=drop", linkLocal.frame(), all},
		"IPv6 link-local multicast":  {"multicast=drop", linkLocal6.frame(), all},
		"snooped":                    {"multicast=snoop", multicast.frame(), all},
		"here":                       {"", udp(a3, a1, "10.0.0.1", "10.0.0.3").frame(), []string{"dp-a/if-a3"}},
		"on another host":            {"", udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(), []string{"dp-b/if-a2"}},
		"itself":                     {"", udp(a1, a1, "10.0.0.1", "10.0.0.1").frame(), []string{"drop dp-a destination"}},
		"another network's":          {"", udp(b2, a1, "10.0.0.1", "10.0.0.2").frame(), []string{"drop dp-a destination"}},
		"nobody":                     {"", unknown.frame(), []string{"drop dp-a destination"}},
		"nobody, flooded":            {"unknown_unicast=flood", unknown.frame(), all},
		"nobody, multicast as well":  {"unknown_unicast=flood multicast=drop", unknown.frame(), all},
		"nobody, dropped":            {"unknown_unicast=drop", unknown.frame(), []string{"drop dp-a destination"}},
		"simulated, not for a route": {"", udp(mac(0xfe), a1, "10.0.0.1", "10.0.0.254").frame(), []string{"told dp-a destination"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, tenants+`
simulated if-gw - 02:00:00:00:00:fe nw-a=10.0.0.254
networks uuid=nw-a ipv4_network=10.0.0.0 ipv6_network=fd00:: `+tc.policy)
			o := l.expect("dp-a/if-a1", tc.frame, tc.want...)
			for _, d := range o.Deliveries {
				if string(d.Frame) != string(tc.frame) {
					t.Errorf("the frame was changed on its way to %s", d.Port)
				}
			}
		})
	}
	alone := newLab(t, hosts+`
networks uuid=nw-a ipv4_network=10.0.0.0 unknown_unicast=flood
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.0.0.1
`)
	alone.expect("dp-a/if-a1", toAll.frame())
	alone.expect("dp-a/if-a1", unknown.frame(), "drop dp-a destination")

	noPort := newLab(t, tenants, func(e *Environment) { e.Hosts["dp-b"] = Host{} })
	noPort.expect("dp-a/if-a1", udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(), "drop dp-b no_port")
	noPort.expect("dp-a/if-a1", toAll.frame(), "dp-a/if-a3", "drop dp-b no_port")
}

// On a segment the segment's policies count.
func TestSegmentPolicies(t *testing.T) {
	l := newLab(t, segments+`
segments uuid=seg-a mode=virtual multicast=drop unknown_unicast=flood
`)
	l.expect("dp-a/if-a3", udp(multicast6, a3, "fd09::1", "ff05::1").frame(), "drop dp-a multicast")
	l.expect("dp-a/if-a3", ether(multicast6, a3, 0x88cc), "drop dp-a multicast")
	l.expect("dp-a/if-a3", ether(device, a3, 0x88cc), "dp-a/if-a1", "dp-b/if-a2")
}

// Outside attachments: by VLAN on one host, whole on the other.
func TestOutside(t *testing.T) {
	l := newLab(t, outside)
	wire := mac(12) // registered behind the promiscuous port
	const all = "dp-a/if-a3"
	// From guests.
	unknown := udp(device, a1, "10.0.0.1", "10.0.0.77").frame()
	l.expect("dp-a/if-a1", unknown, "dp-a/if-edge", "dp-b/if-wire")
	l.expect("dp-a/if-a1", udp(broadcast, a1, "10.0.0.1", "10.0.0.255").frame(), all, "dp-b/if-a2", "dp-a/if-edge", "dp-b/if-wire")
	ask := arpAsk(a1, "10.0.0.1", "10.0.0.77")
	o := l.expect("dp-a/if-a1", ask, "dp-a/if-edge", "dp-b/if-wire")
	if got := o.Deliveries[0].Frame; string(got) != string(tag(ask, 10)) {
		t.Errorf("at the edge % x", got)
	}
	l.expect("dp-a/if-a1", nd(multicast6, a1, "fd00::1", "ff02::1:ff00:77", 135, "fd00::77", a1), "dp-a/if-edge", "dp-b/if-wire")
	l.expect("dp-a/if-a1", arpFrame(device, a1, 2, a1, "10.0.0.1", device, "10.0.0.77"), "dp-a/if-edge", "dp-b/if-wire")
	l.expect("dp-a/if-a1", nd(device, a1, "fd00::1", "fd00::77", 136, "fd00::1", a1), "dp-a/if-edge", "dp-b/if-wire")
	l.expect("dp-a/if-a1", arpAsk(a1, "10.0.0.1", "10.0.0.12"), "dp-a/if-a1")
	l.expect("dp-a/if-a1", udp(wire, a1, "10.0.0.1", "10.0.0.12").frame(), "dp-b/if-wire")
	l.expect("dp-a/if-b1", udp(device, b1, "10.0.0.1", "10.0.0.77").frame(), "drop dp-a destination")

	// From devices.
	from := func(frame []byte) []byte { return tag(frame, 10) }
	toGuest := udp(a1, device, "10.0.0.77", "10.0.0.1").frame()
	l.expectFrame("dp-a/if-edge", from(toGuest), "dp-a/if-a1", toGuest)
	l.expect("dp-b/if-wire", toGuest, "dp-a/if-a1")
	l.expect("dp-a/if-edge", toGuest, "drop dp-a vlan")
	l.expect("dp-a/if-edge", tag(toGuest, 11), "drop dp-a vlan")
	l.expect("dp-b/if-wire", from(toGuest), "drop dp-b tagged")
	l.expectFrame("dp-a/if-edge", from(arpAsk(device, "10.0.0.77", "10.0.0.1")), "dp-a/if-edge",
		from(arpFrame(device, a1, 2, a1, "10.0.0.1", device, "10.0.0.77")))
	l.expect("dp-a/if-edge", from(arpAsk(device, "10.0.0.77", "10.0.0.78")), "dp-b/if-wire")
	l.expect("dp-a/if-edge", from(arpFrame(a1, device, 2, device, "10.0.0.77", a1, "10.0.0.1")), "dp-a/if-a1")
	l.expect("dp-a/if-edge", from(udp(broadcast, device, "10.0.0.77", "10.0.0.255").frame()), "dp-a/if-a1", all, "dp-b/if-a2", "dp-b/if-wire")
	l.expect("dp-a/if-edge", from(udp(mac(0x78), device, "10.0.0.77", "10.0.0.78").frame()), "dp-b/if-wire")
	l.expect("dp-b/if-wire", udp(wire, device, "10.0.0.77", "10.0.0.12").frame(), "drop dp-b destination") // back
	// Whose MAC addresses they may not have.
	for _, m := range []model.MAC{a1, a2, mac(0xfe)} {
		l.expect("dp-b/if-wire", udp(a3, m, "10.0.0.77", "10.0.0.1").frame(), "drop dp-b wire_source")
	}
	l.expect("dp-b/if-wire", udp(a3, wire, "10.0.0.12", "10.0.0.1").frame(), "dp-a/if-a3")
	l.expect("dp-a/if-edge", from(udp(a3, wire, "10.0.0.12", "10.0.0.1").frame()), "drop dp-a wire_source")
	l.expect("dp-b/if-wire", udp(a3, b1, "10.0.0.77", "10.0.0.1").frame(), "dp-a/if-a3") // another network's
	// A device asks for one that is registered behind the same port, and for itself.
	l.expect("dp-b/if-wire", arpAsk(device, "10.0.0.77", "10.0.0.12"), "dp-b/if-wire")
	l.expect("dp-b/if-wire", arpAsk(wire, "10.0.0.12", "10.0.0.12"), "drop dp-b arp_own")
	// DHCP and router advertisements of devices are not a guest's.
	offer := datagram{dst: a1, src: device, from: "10.0.0.77", to: "10.0.0.1", proto: protoUDP, fromPort: 67, toPort: 68}
	l.expect("dp-b/if-wire", offer.frame(), "dp-a/if-a1")

	learned := newLab(t, outside, func(e *Environment) { e.Learned[LearnedFrom{"nw-a", device}] = "if-wire" })
	learned.expect("dp-a/if-a1", unknown, "dp-b/if-wire")
	learned.expect("dp-b/if-wire", udp(device, mac(0x78), "10.0.0.78", "10.0.0.77").frame(), "drop dp-b destination")
	gone := newLab(t, outside, func(e *Environment) { e.Hosts["dp-b"] = Host{Ports: []Port{{Name: "if-a2"}}} })
	gone.expect("dp-a/if-a1", unknown, "dp-a/if-edge", "drop dp-b no_port")
	bare := newLab(t, tenants+"patch if-patch dp-a -")
	bare.expect("dp-a/if-patch", unknown, "drop dp-a port")
}

// A physical network, with the hosts in it, and internal networks.
func TestPhysicalAndInternal(t *testing.T) {
	l := newLab(t, hosts+`
networks uuid=nw-p ipv4_network=172.16.0.0 mode=physical
networks uuid=nw-i ipv4_network=10.0.0.0 mode=internal
host if-ha dp-a 02:00:00:00:00:0a nw-p=172.16.0.10
host if-hb dp-b 02:00:00:00:00:0b nw-p=172.16.0.11
vif if-p1 dp-a 02:00:00:00:00:01 nw-p=172.16.0.1
vif if-p2 dp-b 02:00:00:00:00:02 nw-p=172.16.0.2
simulated if-free - 02:00:00:00:00:f0 nw-p=172.16.0.240
simulated if-gw dp-a 02:00:00:00:00:f1 nw-p=172.16.0.241
internal if-ia dp-a 02:00:00:00:00:1a nw-i=10.0.0.10
internal if-ib dp-b 02:00:00:00:00:1b nw-i=10.0.0.11
vif if-i1 dp-a 02:00:00:00:00:11 nw-i=10.0.0.1
vif if-i2 dp-b 02:00:00:00:00:12 nw-i=10.0.0.2
`)
	p1, p2, ha, hb, i1 := mac(1), mac(2), mac(10), mac(11), mac(0x11)
	l.expect("dp-a/if-p1", udp(ha, p1, "172.16.0.1", "172.16.0.10").frame(), "dp-a/LOCAL")
	l.expect("dp-a/if-p1", udp(hb, p1, "172.16.0.1", "172.16.0.11").frame(), "dp-a/nic-a")
	l.expect("dp-a/if-p1", udp(p2, p1, "172.16.0.1", "172.16.0.2").frame(), "dp-a/nic-a")
	l.expect("dp-a/if-p1", udp(device, p1, "172.16.0.1", "172.16.0.77").frame(), "dp-a/nic-a")
	l.expect("dp-a/if-p1", udp(broadcast, p1, "172.16.0.1", "172.16.0.255").frame(), "dp-a/LOCAL", "dp-a/nic-a")
	l.expect("dp-a/if-p1", arpAsk(p1, "172.16.0.1", "172.16.0.77"), "dp-a/nic-a")
	l.expect("dp-a/if-p1", arpAsk(p1, "172.16.0.1", "172.16.0.240"), "dp-a/nic-a") // not pinned: does nothing
	l.expect("dp-a/if-p1", arpAsk(p1, "172.16.0.1", "172.16.0.241"), "dp-a/if-p1")
	// What the NIC brings: for a guest, for the host, for both.
	l.expect("dp-b/nic-b", udp(p2, p1, "172.16.0.1", "172.16.0.2").frame(), "dp-b/if-p2")
	l.expect("dp-b/nic-b", tag(udp(p2, p1, "172.16.0.1", "172.16.0.2").frame(), 3), "dp-b/LOCAL")
	l.expect("dp-b/nic-b", udp(p2, p2, "172.16.0.2", "172.16.0.2").frame(), "drop dp-b wire_source")
	l.expect("dp-b/nic-b", udp(broadcast, p1, "172.16.0.1", "172.16.0.255").frame(), "dp-b/LOCAL", "dp-b/if-p2")
	l.expect("dp-b/nic-b", tag(udp(broadcast, p1, "172.16.0.1", "172.16.0.255").frame(), 3), "dp-b/LOCAL")
	l.expect("dp-b/nic-b", udp(broadcast, hb, "172.16.0.11", "172.16.0.255").frame(), "dp-b/LOCAL", "drop dp-b wire_source")
	l.expect("dp-b/nic-b", arpAsk(device, "172.16.0.77", "172.16.0.2"), "dp-b/LOCAL", "dp-b/nic-b")
	l.expect("dp-b/nic-b", arpAsk(device, "172.16.0.77", "172.16.0.1"), "dp-b/LOCAL", "drop dp-b arp_unknown") // its host answers
	l.expect("dp-b/nic-b", udp(p1, device, "172.16.0.77", "172.16.0.1").frame(), "dp-b/LOCAL")
	l.expect("dp-b/nic-b", udp(hb, p2, "172.16.0.2", "172.16.0.11").frame(), "dp-b/LOCAL") // from whatever address
	l.expect("dp-b/nic-b", tag(udp(hb, p1, "172.16.0.1", "172.16.0.11").frame(), 3), "dp-b/LOCAL")
	l.expect("dp-a/nic-a", ping(mac(0xf1), device, "172.16.0.77", "172.16.0.241").frame(), "dp-a/nic-a") // a simulated one
	l.expect("dp-b/nic-b", udp(model.AnnouncementGroup(), device, "172.16.0.77", "172.16.0.2").frame(), "drop dp-b announcement")
	// What the host sends.
	l.expect("dp-a/LOCAL", udp(p1, ha, "172.16.0.10", "172.16.0.1").frame(), "dp-a/if-p1")
	l.expect("dp-a/LOCAL", tag(udp(p1, ha, "172.16.0.10", "172.16.0.1").frame(), 3), "dp-a/nic-a")
	l.expect("dp-a/LOCAL", ping(mac(0xf1), ha, "172.16.0.10", "172.16.0.241").frame(), "drop dp-a destination") // nor is it answered
	l.expect("dp-a/LOCAL", udp(hb, ha, "172.16.0.10", "172.16.0.11").frame(), "dp-a/nic-a")
	l.expect("dp-a/LOCAL", udp(p2, p1, "172.16.0.11", "172.16.0.10").frame(), "dp-a/nic-a")
	l.expect("dp-a/LOCAL", arpAsk(ha, "172.16.0.10", "172.16.0.1"), "dp-a/nic-a", "dp-a/if-p1")
	l.expect("dp-a/LOCAL", tag(arpAsk(ha, "172.16.0.10", "172.16.0.77"), 1), "dp-a/nic-a")

	l.expect("dp-a/if-i1", udp(broadcast, i1, "10.0.0.1", "10.0.0.255").frame(), "dp-a/LOCAL")
	l.expect("dp-a/if-i1", udp(mac(0x1a), i1, "10.0.0.1", "10.0.0.10").frame(), "dp-a/LOCAL")
	l.expect("dp-a/if-i1", udp(mac(0x12), i1, "10.0.0.1", "10.0.0.2").frame(), "drop dp-a destination")
	l.expect("dp-a/if-i1", arpAsk(i1, "10.0.0.1", "10.0.0.11"), "drop dp-a arp_unknown")
	l.expect("dp-b/LOCAL", udp(mac(0x12), mac(0x1b), "10.0.0.11", "10.0.0.2").frame(), "dp-b/if-i2")
	l.expect("dp-b/LOCAL", arpAsk(mac(0x1b), "10.0.0.11", "10.0.0.2"), "dp-b/LOCAL")
	l.expect("dp-b/LOCAL", udp(mac(0x12), mac(0x1b), "10.0.0.99", "10.0.0.2").frame(), "dp-b/nic-b") // not its address
	asks := datagram{dst: broadcast, src: mac(0x1b), from: "0.0.0.0", to: "255.255.255.255", proto: protoUDP, fromPort: 68, toPort: 67}
	l.expect("dp-b/LOCAL", asks.frame(), "drop dp-b dhcp_none") // in its internal network
	l.expect("dp-b/LOCAL", tag(asks.frame(), 3), "dp-b/nic-b")
	asks.src = hb
	l.expect("dp-b/LOCAL", asks.frame(), "dp-b/nic-b", "dp-b/if-p2") // the underlay's

	none := newLab(t, tenants)
	none.expect("dp-a/nic-a", udp(p2, p1, "172.16.0.1", "172.16.0.2").frame(), "dp-a/LOCAL")
	none.expect("dp-a/LOCAL", udp(broadcast, p1, "172.16.0.1", "172.16.0.2").frame(), "dp-a/nic-a")
	bare := newLab(t, tenants, func(e *Environment) { e.Hosts["dp-a"] = Host{} })
	bare.expect("dp-a/LOCAL", udp(p2, p1, "172.16.0.1", "172.16.0.2").frame(), "drop dp-a no_port")
}

// A segment whose devices are behind a patch port.
func TestPatchedSegment(t *testing.T) {
	l := newLab(t, segments+`
patch if-patch dp-b -
interface_segments interface_uuid=if-patch segment_uuid=seg-a static=true
`)
	l.expect("dp-a/if-a3", ether(device, a3, 0x88cc), "dp-b/if-patch")
	l.expect("dp-b/if-patch", ether(broadcast, device, 0x88cc), "dp-a/if-a1", "dp-a/if-a3", "dp-b/if-a2")
	l.expect("dp-b/if-patch", arpAsk(device, "10.9.0.1", "10.0.0.1"), "dp-b/if-patch")
	l.expect("dp-b/if-patch", arpAsk(device, "10.9.0.1", "10.9.0.2"), "dp-a/if-a1", "dp-a/if-a3", "dp-b/if-a2")
}

// An interface of mode internal with a port of its own is like a guest.
func TestInternalPort(t *testing.T) {
	l := newLab(t, hosts+`
networks uuid=nw-i ipv4_network=10.0.0.0 mode=internal
internal if-ia dp-a 02:00:00:00:00:1a nw-i=10.0.0.10
vif if-i1 dp-a 02:00:00:00:00:11 nw-i=10.0.0.1
`, func(e *Environment) {
		e.Hosts["dp-a"] = Host{Ports: []Port{{Name: "if-i1"}, {Name: "br-int0", IfaceID: "if-ia"}}}
	})
	l.expect("dp-a/if-i1", udp(mac(0x1a), mac(0x11), "10.0.0.1", "10.0.0.10").frame(), "dp-a/br-int0")
	l.expect("dp-a/br-int0", udp(mac(0x11), mac(0x1a), "10.0.0.10", "10.0.0.1").frame(), "dp-a/if-i1")
	l.expect("dp-a/br-int0", udp(mac(0x11), mac(0x1a), "10.0.0.9", "10.0.0.1").frame(), "drop dp-a ipv4_source")
	l.expect("dp-a/LOCAL", udp(mac(0x11), mac(0x1a), "10.0.0.10", "10.0.0.1").frame(), "drop dp-a no_port")
	l.again("interfaces uuid=if-ia mode=internal enable_filtering=true\nfilters interface_uuid=if-ia mode=static ingress_passthrough=true")
	l.expect("dp-a/if-i1", udp(mac(0x1a), mac(0x11), "10.0.0.1", "10.0.0.10").frame(), "dp-a/br-int0")
	l.expect("dp-a/br-int0", udp(mac(0x11), mac(0x1a), "10.0.0.10", "10.0.0.1").frame(), "drop dp-a filter")
}

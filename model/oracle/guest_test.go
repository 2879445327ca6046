package oracle

import (
	"strings"
	"testing"

	"github.com/openvnet/openvnet/model"
)

const hosts = `
datapaths uuid=dp-a display_name=a node_id=a dpid=1
datapaths uuid=dp-b display_name=b node_id=b dpid=2
topologies uuid=topo-default mode=simple_overlay automatic=true
`

// tenants is two tenants with the same addresses, a network of each on both hosts.
const tenants = hosts + `
networks uuid=nw-a ipv4_network=10.0.0.0 ipv6_network=fd00::
networks uuid=nw-b ipv4_network=10.0.0.0 ipv6_network=fd00::
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.0.0.1 nw-a=fd00::1
vif if-a2 dp-b 02:00:00:00:00:a2 nw-a=10.0.0.2 nw-a=fd00::2
vif if-a3 dp-a 02:00:00:00:00:a3 nw-a=10.0.0.3 nw-a=fd00::3
vif if-b1 dp-a 02:00:00:00:00:b1 nw-b=10.0.0.1 nw-b=fd00::1
vif if-b2 dp-b 02:00:00:00:00:b2 nw-b=10.0.0.2 nw-b=fd00::2
vif if-none dp-a 02:00:00:00:00:ee
`

var none, multicast6 = model.MAC{}, model.MAC{0x33, 0x33, 0, 0, 0, 1}

var a1, a2, a3, b1, b2 = mac(0xa1), mac(0xa2), mac(0xa3), mac(0xb1), mac(0xb2)

// linkLocalA1 is the link-local address of 02:00:00:00:00:a1.
const linkLocalA1, linkLocalA2 = "fe80::ff:fe00:a1", "fe80::ff:fe00:a2"

// Section 2: what a guest may send.
func TestGuest(t *testing.T) {
	dhcp := datagram{dst: broadcast, src: a1, from: "0.0.0.0", to: "255.255.255.255", proto: protoUDP, fromPort: 68, toPort: 67}
	unleased := dhcp
	unleased.src = mac(0xee)
	mld := datagram{dst: mac(9), src: a1, from: "::", to: "ff02::16", proto: protoICMPv6, kind: icmp6ReportV2}
	mld.dst[0] = 0x33
	fromNobody := mld
	fromNobody.kind = 130
	short := udp(a2, a1, "10.0.0.1", "10.0.0.2").frame()
	for name, tc := range map[string]struct {
		frame []byte
		want  string
	}{
		"own address":               {udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(), "dp-b/if-a2"},
		"own IPv6 address":          {udp(a2, a1, "fd00::1", "fd00::2").frame(), "dp-b/if-a2"},
		"own link-local address":    {udp(a2, a1, linkLocalA1, linkLocalA2).frame(), "dp-b/if-a2"},
		"tagged":                    {tag(udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(), 5), "drop dp-a tagged"},
		"tagged QinQ":               {ether(a2, a1, etherQinQ, 0, 1, 8, 0, 0), "drop dp-a tagged"},
		"tag cut short":             {ether(a2, a1, etherVLAN, 0, 1), "drop dp-a ethertype"},
		"MAC of another":            {udp(a2, a3, "10.0.0.3", "10.0.0.2").frame(), "drop dp-a mac_source"},
		"tagged with other's MAC":   {tag(udp(a2, a3, "10.0.0.3", "10.0.0.2").frame(), 5), "drop dp-a tagged"},
		"address of another":        {udp(a2, a1, "10.0.0.3", "10.0.0.2").frame(), "drop dp-a ipv4_source"},
		"IPv6 address of another":   {udp(a2, a1, "fd00::3", "fd00::2").frame(), "drop dp-a ipv6_source"},
		"link-local of another":     {udp(a2, a1, linkLocalA2, linkLocalA2).frame(), "drop dp-a ipv6_source"},
		"unspecified":               {udp(a2, a1, "0.0.0.0", "10.0.0.2").frame(), "drop dp-a ipv4_source"},
		"DHCP without a service":    {dhcp.frame(), "drop dp-a dhcp_none"},
		"ARP":                       {arpAsk(a1, "10.0.0.1", "10.0.0.2"), "dp-a/if-a1"},
		"ARP probe":                 {arpAsk(a1, "0.0.0.0", "10.0.0.2"), "dp-a/if-a1"},
		"ARP of another's address":  {arpAsk(a1, "10.0.0.2", "10.0.0.3"), "drop dp-a arp_sender"},
		"ARP of another's MAC":      {arpFrame(broadcast, a1, 1, a2, "10.0.0.1", none, "10.0.0.2"), "drop dp-a arp_sender"},
		"ARP cut short":             {arpAsk(a1, "10.0.0.1", "10.0.0.2")[:40], "drop dp-a arp_sender"},
		"ND":                        {nd(mac(1), a1, "fd00::1", "ff02::1:ff00:2", 135, "fd00::2", a1), "dp-a/if-a1"},
		"ND without option":         {nd(mac(1), a1, "fd00::1", "ff02::1:ff00:2", 135, "fd00::2", none), "dp-a/if-a1"},
		"ND with another's option":  {nd(mac(1), a1, "fd00::1", "ff02::1:ff00:2", 135, "fd00::2", a3), "drop dp-a nd_sender"},
		"ND of another":             {nd(mac(1), a1, "fd00::3", "ff02::1:ff00:2", 135, "fd00::2", a1), "drop dp-a nd_sender"},
		"advertisement":             {nd(a2, a1, "fd00::1", "fd00::2", 136, "fd00::1", a1), "drop dp-a nd_unasked"},
		"advertisement of another":  {nd(a2, a1, "fd00::1", "fd00::2", 136, "fd00::3", a1), "drop dp-a nd_sender"},
		"advertised MAC":            {nd(a2, a1, "fd00::1", "fd00::2", 136, "fd00::1", a3), "drop dp-a nd_sender"},
		"DAD for own":               {nd(mac(1), a1, "::", "ff02::1:ff00:1", 135, "fd00::1", none), "drop dp-a nd_own"},
		"DAD with option":           {nd(mac(1), a1, "::", "ff02::1:ff00:1", 135, "fd00::1", a1), "drop dp-a nd_sender"},
		"DAD for another's":         {nd(mac(1), a1, "::", "ff02::1:ff00:2", 135, "fd00::2", none), "drop dp-a nd_sender"},
		"MLDv2 from ::":             {mld.frame(), "drop dp-a mld"},
		"MLD query from ::":         {fromNobody.frame(), "drop dp-a ipv6_source"},
		"another protocol":          {ether(a2, a1, 0x88cc, 1, 2, 3), "drop dp-a ethertype"},
		"IEEE 802.3":                {ether(a2, a1, 3, 1, 2, 3), "drop dp-a ethertype"},
		"SNAP":                      {ether(a2, a1, 100, append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, packetOf(udp(a2, a1, "10.0.0.1", "10.0.0.2").frame())...)...), "dp-b/if-a2"},
		"nothing":                   {nil, "drop dp-a mac_source"},
		"IPv4 cut short":            {short[:30], "drop dp-a ipv4_source"},
		"IPv4 shorter than it says": {short[:len(short)-1], "drop dp-a ipv4_source"},
		"IPv4 with padding":         {append(short[:len(short):len(short)], 0, 0, 0), "dp-b/if-a2"},
	} {
		t.Run(name, func(t *testing.T) { newLab(t, tenants).expect("dp-a/if-a1", tc.frame, tc.want) })
	}
	l := newLab(t, tenants)
	l.expect("dp-a/if-none", unleased.frame(), "punt dp-a dhcp4")
	l.expect("dp-a/if-none", arpAsk(mac(0xee), "0.0.0.0", "10.0.0.2"), "drop dp-a arp_sender")
	l.expect("dp-a/if-a2", udp(a1, a2, "10.0.0.2", "10.0.0.1").frame(), "drop dp-a port") // which is a port of the other host
	l.expect("dp-c/if-a2", nil, "drop dp-c port")
}

// Who has no IPv6 address in a domain that is here asks the agent for one, from any link-local address, and says nothing else.
func TestGuestWithoutIPv6(t *testing.T) {
	const four = "vif if-none dp-a 02:00:00:00:00:ee nw-a=10.0.0.9\n"
	const own = "fe80::ff:fe00:ee"
	m := mac(0xee)
	say := func(from string, kind uint8) datagram {
		return datagram{dst: multicast6, src: m, from: from, to: "ff02::2", proto: protoICMPv6, kind: kind}
	}
	ask := func(from string, sport, dport uint16) []byte {
		return datagram{dst: multicast6, src: m, from: from, to: "ff02::1:2", proto: protoUDP, fromPort: sport, toPort: dport}.frame()
	}
	v4 := strings.Replace(tenants, "vif if-none dp-a 02:00:00:00:00:ee\n", four, 1)
	v6 := strings.Replace(tenants, "vif if-none dp-a 02:00:00:00:00:ee\n", strings.Replace(four, "10.0.0.9", "fd00::9", 1), 1)
	segment := strings.Replace(segments, "vif if-a3 dp-a 02:00:00:00:00:a3 ", "vif if-none dp-a 02:00:00:00:00:ee ", 1)
	for name, tc := range map[string]struct {
		text  string
		frame []byte
		want  string
	}{
		"DHCPv6":                        {tenants, ask(own, 546, 547), "punt dp-a dhcp6"},
		"DHCPv6 with an IPv4 address":   {v4, ask(own, 546, 547), "punt dp-a dhcp6"},
		"DHCPv6 with an IPv6 address":   {v6, ask(own, 546, 547), "drop dp-a dhcp_none"},
		"DHCPv6 on a segment":           {segment, ask(own, 546, 547), "dp-a/if-a1, dp-b/if-a2"},
		"DHCPv6 as a server":            {tenants, ask(own, 547, 546), "drop dp-a ipv6_source"},
		"DHCPv6 from a chosen address":  {tenants, ask("fe80::9", 546, 547), "punt dp-a dhcp6"},
		"DHCPv6 from beyond":            {tenants, ask("fe80:1::9", 546, 547), "drop dp-a ipv6_source"},
		"DHCPv6 from nowhere":           {tenants, ask("::", 546, 547), "drop dp-a ipv6_source"},
		"DHCPv6 from a subnet":          {tenants, ask("fd00::ff:fe00:ee", 546, 547), "drop dp-a ipv6_source"},
		"router solicitation":           {v4, say(own, 133).frame(), "punt dp-a ra"},
		"router solicitation with IPv6": {v6, say(own, 133).frame(), "drop dp-a nd_router"},
		"router solicitation from ::":   {v4, say("::", 133).frame(), "drop dp-a ipv6_source"},
		"router advertisement":          {v4, say(own, 134).frame(), "drop dp-a ipv6_source"},
		"echo request":                  {v4, say(own, 128).frame(), "drop dp-a ipv6_source"},
		"DAD for its own":               {v4, nd(multicast6, m, "::", "ff02::1:ff00:ee", 135, own, none), "drop dp-a nd_sender"},
	} {
		t.Run(name, func(t *testing.T) {
			newLab(t, tc.text).expect("dp-a/if-none", tc.frame, strings.Split(tc.want, ", ")...)
		})
	}
}

// Two tenants with the same addresses do not see each other.
func TestTenants(t *testing.T) {
	l := newLab(t, tenants)
	l.expectFrame("dp-a/if-a1", arpAsk(a1, "10.0.0.1", "10.0.0.2"), "dp-a/if-a1", arpFrame(a1, a2, 2, a2, "10.0.0.2", a1, "10.0.0.1"))
	l.expectFrame("dp-a/if-b1", arpAsk(b1, "10.0.0.1", "10.0.0.2"), "dp-a/if-b1", arpFrame(b1, b2, 2, b2, "10.0.0.2", b1, "10.0.0.1"))
	l.expect("dp-a/if-b1", arpAsk(b1, "10.0.0.1", "10.0.0.3"), "drop dp-a arp_unknown")
	l.expect("dp-a/if-b1", udp(a2, b1, "10.0.0.1", "10.0.0.2").frame(), "drop dp-a destination")
	l.expect("dp-a/if-b1", udp(broadcast, b1, "10.0.0.1", "10.0.0.255").frame(), "dp-b/if-b2")
	l.expect("dp-b/if-a2", udp(broadcast, a2, "10.0.0.2", "10.0.0.255").frame(), "dp-a/if-a1", "dp-a/if-a3")
}

// An interface with two MAC addresses, of which one is in two networks.
func TestGuestOfSeveralNetworks(t *testing.T) {
	l := newLab(t, hosts+`
networks uuid=nw-a ipv4_network=10.0.0.0
networks uuid=nw-b ipv4_network=10.1.0.0 ipv6_network=fd01::
networks uuid=nw-c ipv6_network=fd02::
vif if-m dp-a 02:00:00:00:00:a1 nw-a=10.0.0.1 nw-b=10.1.0.1 nw-b=fd01::1 nw-c=fd02::1
mac_leases uuid=ml-m2 interface_uuid=if-m mac_address=02:00:00:00:00:a2
ip_leases interface_uuid=if-m mac_lease_uuid=ml-m2 network_uuid=nw-b ipv4_address=10.1.0.2
vif if-a dp-a 02:00:00:00:00:01 nw-a=10.0.0.9
vif if-b dp-a 02:00:00:00:00:02 nw-b=10.1.0.9 nw-b=fd01::9
vif if-c dp-a 02:00:00:00:00:03 nw-c=fd02::9
`)
	l.expect("dp-a/if-m", udp(broadcast, a1, "10.0.0.1", "10.0.0.255").frame(), "dp-a/if-a")
	l.expect("dp-a/if-m", udp(broadcast, a1, "10.1.0.1", "10.1.0.255").frame(), "dp-a/if-b")
	l.expect("dp-a/if-m", udp(broadcast, a1, "10.1.0.2", "10.1.0.255").frame(), "drop dp-a ipv4_source") // of the other MAC address
	l.expect("dp-a/if-m", udp(broadcast, a2, "10.1.0.2", "10.1.0.255").frame(), "dp-a/if-b")
	l.expect("dp-a/if-m", udp(broadcast, a1, linkLocalA1, "ff02::1").frame(), "dp-a/if-b") // the first domain with IPv6
	l.expect("dp-a/if-m", udp(broadcast, a1, "fd02::1", "ff02::1").frame(), "dp-a/if-c")
	l.expect("dp-a/if-m", arpAsk(a1, "0.0.0.0", "10.0.0.9"), "dp-a/if-m")                       // a probe is in the first
	l.expect("dp-a/if-m", arpAsk(a1, "0.0.0.0", "10.1.0.9"), "drop dp-a arp_unknown")           // and in no other
	l.expect("dp-a/if-m", arpAsk(a1, "10.1.0.1", "10.1.0.2"), "drop dp-a arp_own")              // of the same interface
	l.expect("dp-a/if-m", udp(a2, a1, "10.1.0.1", "10.1.0.2").frame(), "drop dp-a destination") // back where it came from
}

// A link-local address is one of each domain with IPv6, as what hosts know of other domains must not count. What is sent from it is in the first that is present where it is sent.
func TestLinkLocalOfSeveralNetworks(t *testing.T) {
	l := newLab(t, strings.Replace(hosts, "automatic=true", "automatic=false", 1)+`
networks uuid=nw-under ipv4_network=172.16.90.0 mode=physical
host if-ha dp-a 02:01:00:00:00:01 nw-under=172.16.90.1
host if-hb dp-b 02:01:00:00:00:02 nw-under=172.16.90.2
networks uuid=nw-v ipv6_network=fd01::
networks uuid=nw-i ipv4_network=10.0.0.0 ipv6_network=fd02:: mode=internal
networks uuid=nw-w ipv6_network=fd03::
datapath_networks datapath_uuid=dp-a network_uuid=nw-w interface_uuid=if-ha
datapath_networks datapath_uuid=dp-b network_uuid=nw-w interface_uuid=if-hb
interfaces uuid=if-m mode=vif
interface_ports interface_uuid=if-m datapath_uuid=dp-a port_name=if-m
mac_leases uuid=ml-m interface_uuid=if-m mac_address=02:00:00:00:00:a1
ip_leases interface_uuid=if-m mac_lease_uuid=ml-m network_uuid=nw-v ipv6_address=fd01::1
ip_leases interface_uuid=if-m mac_lease_uuid=ml-m network_uuid=nw-i ipv6_address=fd02::1
ip_leases interface_uuid=if-m mac_lease_uuid=ml-m network_uuid=nw-w ipv6_address=fd03::1
vif if-i dp-a 02:00:00:00:00:a2 nw-i=fd02::2
vif if-w dp-b 02:00:00:00:00:a3 nw-w=fd03::3
`)
	l.expect("dp-a/if-m", udp(broadcast, a1, linkLocalA1, "ff02::1").frame(), "dp-a/if-i")
	l.expect("dp-a/if-m", udp(broadcast, a1, "fd01::1", "ff02::1").frame(), "drop dp-a ipv6_source")
	l.expect("dp-a/if-m", udp(broadcast, a1, "fd03::1", "ff02::1").frame(), "dp-b/if-w")
	l.expect("dp-a/if-i", nd(mac(1), a2, "fd02::2", "ff02::1:ff00:a1", 135, linkLocalA1, a2), "dp-a/if-i")
	l.expect("dp-b/if-w", nd(mac(1), a3, "fd03::3", "ff02::1:ff00:a1", 135, linkLocalA1, a3), "dp-b/if-w")
}

const segments = hosts + `
segments uuid=seg-a mode=virtual
networks uuid=nw-s ipv4_network=10.0.0.0 ipv6_network=fd00:: segment_uuid=seg-a
vif if-a1 dp-a 02:00:00:00:00:a1 nw-s=10.0.0.1 nw-s=fd00::1 segment_uuid=seg-a
vif if-a2 dp-b 02:00:00:00:00:a2 nw-s=10.0.0.2 nw-s=fd00::2 segment_uuid=seg-a
vif if-a3 dp-a 02:00:00:00:00:a3 segment_uuid=seg-a
`

// On a segment addresses are free, but for those of others.
func TestSegment(t *testing.T) {
	dhcp := datagram{dst: broadcast, src: a1, from: "0.0.0.0", to: "255.255.255.255", proto: protoUDP, fromPort: 68, toPort: 67}
	offer := datagram{dst: a2, src: a1, from: "10.9.0.1", to: "10.9.0.2", proto: protoUDP, fromPort: 67, toPort: 68}
	mld := datagram{dst: mac(9), src: a3, from: "::", to: "ff02::16", proto: protoICMPv6, kind: icmp6ReportV2}
	mld.dst[0] = 0x33
	advert := mld
	advert.kind, advert.from, advert.src = icmp6RouterAdvert, linkLocalA1, a1
	for name, tc := range map[string]struct {
		from  string
		frame []byte
		want  []string
	}{
		"own address":             {"if-a1", udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(), []string{"dp-b/if-a2"}},
		"free address":            {"if-a1", udp(a2, a1, "10.9.0.1", "10.9.0.2").frame(), []string{"dp-b/if-a2"}},
		"free IPv6 address":       {"if-a3", udp(a2, a3, "fd09::1", "fd09::2").frame(), []string{"dp-b/if-a2"}},
		"another's address":       {"if-a1", udp(a2, a1, "10.0.0.2", "10.9.0.2").frame(), []string{"drop dp-a ipv4_source"}},
		"another's IPv6 address":  {"if-a3", udp(a2, a3, "fd00::1", "fd09::2").frame(), []string{"drop dp-a ipv6_source"}},
		"another's link-local":    {"if-a3", udp(a2, a3, linkLocalA1, "fd09::2").frame(), []string{"drop dp-a ipv6_source"}},
		"another protocol":        {"if-a3", ether(a2, a3, 0x88cc, 1, 2, 3), []string{"dp-b/if-a2"}},
		"tagged":                  {"if-a3", tag(ether(a2, a3, 0x88cc, 1, 2, 3), 1), []string{"drop dp-a tagged"}},
		"another's MAC":           {"if-a3", ether(a2, a1, 0x88cc, 1, 2, 3), []string{"drop dp-a mac_source"}},
		"ARP for a station":       {"if-a3", arpAsk(a3, "10.9.0.1", "10.0.0.2"), []string{"dp-a/if-a3"}},
		"ARP for another":         {"if-a3", arpAsk(a3, "10.9.0.1", "10.9.0.2"), []string{"dp-a/if-a1", "dp-b/if-a2"}},
		"ARP announcement":        {"if-a3", arpAsk(a3, "10.9.0.1", "10.9.0.1"), []string{"dp-a/if-a1", "dp-b/if-a2"}},
		"ARP for own":             {"if-a1", arpAsk(a1, "10.0.0.1", "10.0.0.1"), []string{"drop dp-a arp_own"}},
		"ARP of another":          {"if-a3", arpAsk(a3, "10.0.0.1", "10.9.0.2"), []string{"drop dp-a arp_sender"}},
		"ARP reply":               {"if-a3", arpFrame(a2, a3, 2, a3, "10.9.0.1", a2, "10.0.0.2"), []string{"dp-b/if-a2"}},
		"ND for a station":        {"if-a3", nd(mac(1), a3, "fd09::1", "ff02::1:ff00:2", 135, "fd00::2", a3), []string{"dp-a/if-a3"}},
		"ND for another":          {"if-a3", nd(multicast6, a3, "fd09::1", "ff02::1:ff00:2", 135, "fd09::2", a3), []string{"dp-a/if-a1", "dp-b/if-a2"}},
		"DAD for another's":       {"if-a3", nd(multicast6, a3, "::", "ff02::1:ff00:2", 135, "fd00::2", none), []string{"dp-a/if-a3"}},
		"DAD for a free address":  {"if-a3", nd(multicast6, a3, "::", "ff02::1:ff00:2", 135, "fd09::2", none), []string{"dp-a/if-a1", "dp-b/if-a2"}},
		"advertisement":           {"if-a3", nd(a2, a3, "fd09::1", "fd00::2", 136, "fd09::1", a3), []string{"dp-b/if-a2"}},
		"advertisement of others": {"if-a3", nd(a2, a3, "fd09::1", "fd00::2", 136, "fd00::1", a3), []string{"drop dp-a nd_sender"}},
		"DHCP":                    {"if-a1", dhcp.frame(), []string{"dp-a/if-a3", "dp-b/if-a2"}},
		"DHCP answer":             {"if-a1", offer.frame(), []string{"dp-b/if-a2"}},
		"MLD":                     {"if-a3", mld.frame(), []string{"dp-a/if-a1", "dp-b/if-a2"}},
		"router advertisement":    {"if-a1", advert.frame(), []string{"dp-a/if-a3", "dp-b/if-a2"}},
	} {
		t.Run(name, func(t *testing.T) { newLab(t, segments).expect("dp-a/"+tc.from, tc.frame, tc.want...) })
	}
}

// A guest that routes sends from any address but those of stations.
func TestGuestRouter(t *testing.T) {
	l := newLab(t, tenants+`
vif if-r dp-a 02:00:00:00:00:0f nw-a=10.0.0.15 nw-a=fd00::15 enable_routing=true
`)
	r := mac(15)
	l.expect("dp-a/if-r", udp(a2, r, "192.0.2.1", "10.0.0.2").frame(), "dp-b/if-a2")
	l.expect("dp-a/if-r", udp(a2, r, "2001:db8::1", "fd00::2").frame(), "dp-b/if-a2")
	l.expect("dp-a/if-r", udp(a2, r, "10.0.0.1", "10.0.0.2").frame(), "drop dp-a ipv4_source")
	l.expect("dp-a/if-r", udp(a2, r, "fd00::1", "fd00::2").frame(), "drop dp-a ipv6_source")
	l.expect("dp-a/if-r", arpAsk(r, "192.0.2.1", "10.0.0.2"), "drop dp-a arp_sender")
	l.expect("dp-a/if-r", nd(a2, r, "2001:db8::1", "fd00::2", 135, "fd00::2", r), "drop dp-a nd_sender")
	l.expect("dp-a/if-a1", udp(r, a1, "10.0.0.1", "192.0.2.1").frame(), "dp-a/if-r")
}

// A host that a network is not wired to has no guests of it.
func TestWiring(t *testing.T) {
	l := newLab(t, `
datapaths uuid=dp-a display_name=a node_id=a dpid=1
datapaths uuid=dp-b display_name=b node_id=b dpid=2
networks uuid=nw-a ipv4_network=10.0.0.0
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.0.0.1
vif if-a2 dp-b 02:00:00:00:00:a2 nw-a=10.0.0.2
vif if-a3 - 02:00:00:00:00:a3 nw-a=10.0.0.3
datapath_networks datapath_uuid=dp-a network_uuid=nw-a interface_uuid=if-host
`)
	l.expect("dp-b/if-a2", udp(a1, a2, "10.0.0.2", "10.0.0.1").frame(), "drop dp-b ipv4_source")
	l.expect("dp-a/if-a1", udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(), "drop dp-a transport")
	l.expect("dp-a/if-a1", udp(a3, a1, "10.0.0.1", "10.0.0.3").frame(), "drop dp-a no_port") // which is nowhere
	l.expect("dp-a/if-a1", udp(broadcast, a1, "10.0.0.1", "10.0.0.255").frame())
	l.again("datapath_networks uuid=dpn-b datapath_uuid=dp-b network_uuid=nw-a interface_uuid=if-host")
	l.expect("dp-a/if-a1", udp(a2, a1, "10.0.0.1", "10.0.0.2").frame(), "dp-b/if-a2")
}

// Ports are found by iface-id = uuid, by iface-id = port_name, and by name, in this order.
func TestPorts(t *testing.T) {
	ports := func(ps ...Port) func(*Environment) {
		return func(e *Environment) { e.Hosts["dp-a"] = Host{Ports: ps} }
	}
	const world = hosts + `
networks uuid=nw-a ipv4_network=10.0.0.0
interfaces uuid=if-a1 mode=vif
interface_ports interface_uuid=if-a1 port_name=tap0
active_interfaces interface_uuid=if-a1 datapath_uuid=dp-a
mac_leases uuid=ml-1 interface_uuid=if-a1 mac_address=02:00:00:00:00:a1
ip_leases interface_uuid=if-a1 network_uuid=nw-a ipv4_address=10.0.0.1
`
	ask := arpAsk(a1, "10.0.0.1", "10.0.0.1")
	for name, tc := range map[string]struct {
		ports []Port
		at    string
	}{
		"by name":                     {[]Port{{"tap0", ""}}, "tap0"},
		"by iface-id":                 {[]Port{{"tap0", ""}, {"x", "tap0"}}, "x"},
		"by uuid":                     {[]Port{{"tap0", ""}, {"x", "tap0"}, {"y", "if-a1"}}, "y"},
		"the first of several":        {[]Port{{"z", "if-a1"}, {"y", "if-a1"}}, "y"},
		"whatever the other's say of": {[]Port{{"y", "if-a2"}, {"tap0", "if-a2"}}, "tap0"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, world, ports(tc.ports...))
			l.expect("dp-a/"+tc.at, ask, "drop dp-a arp_own")
			for _, p := range tc.ports {
				if p.Name != tc.at {
					l.expect("dp-a/"+p.Name, ask, "drop dp-a port")
				}
			}
		})
	}
}

// A simulated interface is pinned by its owner only, not by where something was found.
func TestPlaces(t *testing.T) {
	l := newLab(t, tenants+`
simulated if-gw - 02:00:00:00:00:fe nw-a=10.0.0.254
active_interfaces interface_uuid=if-gw datapath_uuid=dp-b
vif if-two dp-a 02:00:00:00:00:22 nw-a=10.0.0.22
interface_ports uuid=ifp-two interface_uuid=if-two datapath_uuid=dp-b port_name=other
active_interfaces interface_uuid=if-two datapath_uuid=dp-b
`)
	gw := mac(0xfe)
	l.expect("dp-a/if-a1", ping(gw, a1, "10.0.0.1", "10.0.0.254").frame(), "dp-a/if-a1")
	l.expect("dp-b/if-a2", ping(gw, a2, "10.0.0.2", "10.0.0.254").frame(), "dp-b/if-a2")
	l.expect("dp-b/if-a2", udp(mac(0x22), a2, "10.0.0.2", "10.0.0.22").frame(), "dp-a/if-two") // the first owner counts
}

// A guest asks whether an address is free that it has made of its network's subnet: the agent hears of it, and of no other.
func TestClaims(t *testing.T) {
	dad := func(target string) []byte {
		return nd(multicast6, a1, "::", "ff02::1:ff00:9", 135, target, none)
	}
	slaac := strings.Replace(tenants, "uuid=nw-a ", "uuid=nw-a ipv6_addressing=slaac ", 1)
	answer := nd(model.ClaimAsker(), a1, "fd00::1", "fe80::9", 136, "fd00::1", a1)
	for name, tc := range map[string]struct {
		text  string
		frame []byte
		want  string
	}{
		"nobody's":              {slaac, dad("fd00::9"), "punt dp-a claim"},
		"another's":             {slaac, dad("fd00::2"), "punt dp-a claim"},
		"its own":               {slaac, dad("fd00::1"), "drop dp-a nd_own"},
		"its own link-local":    {slaac, dad(linkLocalA1), "drop dp-a nd_own"},
		"of another subnet":     {slaac, dad("fd01::9"), "drop dp-a nd_sender"},
		"link-local":            {slaac, dad("fe80::9"), "punt dp-a claim"},
		"with a link address":   {slaac, nd(multicast6, a1, "::", "ff02::1:ff00:9", 135, "fd00::9", a1), "drop dp-a nd_sender"},
		"from an address":       {slaac, nd(multicast6, a1, "fd00::1", "ff02::1:ff00:9", 135, "fd00::9", a1), "drop dp-a nd_unknown"},
		"by DHCPv6":             {tenants, dad("fd00::9"), "drop dp-a nd_sender"},
		"an answer":             {slaac, answer, "punt dp-a claim"},
		"an answer, by DHCPv6":  {tenants, answer, "punt dp-a claim"},
		"an answer for others":  {slaac, nd(model.ClaimAsker(), a1, "fd00::1", "fe80::9", 136, "fd00::9", a1), "drop dp-a nd_sender"},
		"an answer to somebody": {slaac, nd(a2, a1, "fd00::1", "fd00::2", 136, "fd00::1", a1), "drop dp-a nd_unasked"},
	} {
		t.Run(name, func(t *testing.T) { newLab(t, tc.text).expect("dp-a/if-a1", tc.frame, tc.want) })
	}
}

// A guest with an IPv6 address chooses link-local ones as well. Those that are leased to it are its own in each domain where it has an IPv6 address, and nobody else's.
func TestChosenLinkLocals(t *testing.T) {
	dad := func(target string) []byte {
		return nd(multicast6, a1, "::", "ff02::1:ff00:9", 135, target, none)
	}
	from := func(source string, sport, dport uint16) []byte {
		d := udp(multicast6, a1, source, "ff02::1:2")
		d.fromPort, d.toPort = sport, dport
		return d.frame()
	}
	router := func(source string) []byte {
		return datagram{dst: multicast6, src: a1, from: source, to: "ff02::2", proto: protoICMPv6, kind: icmp6RouterSolicit}.frame()
	}
	chosen := tenants + `
networks uuid=nw-c ipv6_network=fd02::
networks uuid=nw-d ipv4_network=10.9.0.0 ipv6_network=fd03::
mac_leases uuid=ml-x interface_uuid=if-a1 mac_address=02:00:00:00:00:a9
ip_leases interface_uuid=if-a1 mac_lease_uuid=ml-x network_uuid=nw-a ipv6_address=fd00::99
ip_leases interface_uuid=if-a1 mac_lease_uuid=ml-x network_uuid=nw-c ipv6_address=fd02::99
ip_leases interface_uuid=if-a1 mac_lease_uuid=ml-x network_uuid=nw-d ipv4_address=10.9.0.9
ip_leases interface_uuid=if-a1 mac_lease_uuid=ml-x network_uuid=nw-a ipv6_address=fe80::9 origin=slaac
ip_leases interface_uuid=if-a1 mac_lease_uuid=ml-x network_uuid=nw-c ipv6_address=fe80::9 origin=slaac
ip_leases interface_uuid=if-a1 mac_lease_uuid=ml-x network_uuid=nw-d ipv6_address=fe80::9 origin=slaac
vif if-c dp-b 02:00:00:00:00:c1 nw-c=fd02::1
vif if-d dp-b 02:00:00:00:00:d1 nw-d=fd03::1
`
	ml9 := mac(0xa9)
	for name, tc := range map[string]struct {
		text, at string
		frame    []byte
		want     string
	}{
		"is it free":                  {tenants, "dp-a/if-a1", dad("fe80::9"), "punt dp-a claim"},
		"another's":                   {tenants, "dp-a/if-a1", dad("fe80::ff:fe00:a2"), "punt dp-a claim"},
		"beyond fe80::/64":            {tenants, "dp-a/if-a1", dad("fe80:1::9"), "drop dp-a nd_sender"},
		"a router":                    {tenants, "dp-a/if-a1", router("fe80::9"), "punt dp-a claim"},
		"DHCPv6":                      {tenants, "dp-a/if-a1", from("fe80::9", 546, 547), "punt dp-a claim"},
		"an answer of DHCPv6":         {tenants, "dp-a/if-a1", from("fe80::9", 547, 546), "drop dp-a ipv6_source"},
		"other UDP":                   {tenants, "dp-a/if-a1", from("fe80::9", 1000, 547), "drop dp-a ipv6_source"},
		"a question":                  {tenants, "dp-a/if-a1", nd(multicast6, a1, "fe80::9", "ff02::1:ff00:2", 135, "fd00::2", a1), "punt dp-a claim"},
		"a question, MAC forged":      {tenants, "dp-a/if-a1", nd(multicast6, a1, "fe80::9", "ff02::1:ff00:2", 135, "fd00::2", a2), "drop dp-a nd_sender"},
		"without an IPv6 address":     {tenants, "dp-a/if-none", nd(multicast6, mac(0xee), "::", "ff02::1:ff00:9", 135, "fe80::9", none), "drop dp-a nd_sender"},
		"on a segment":                {segments, "dp-a/if-a1", udp(a2, a1, "fe80::9", "fd00::2").frame(), "dp-b/if-a2"},
		"its own, free":               {chosen, "dp-a/if-a1", nd(multicast6, ml9, "::", "ff02::1:ff00:9", 135, "fe80::9", none), "drop dp-a nd_own"},
		"from its own":                {chosen, "dp-a/if-a1", udp(a3, ml9, "fe80::9", "fe80::ff:fe00:a3").frame(), "dp-a/if-a3"},
		"its own, in the second":      {chosen, "dp-b/if-c", nd(multicast6, mac(0xc1), "fd02::1", "ff02::1:ff00:9", 135, "fe80::9", mac(0xc1)), "dp-b/if-c"},
		"without another IPv6 there":  {chosen, "dp-b/if-d", nd(multicast6, mac(0xd1), "fd03::1", "ff02::1:ff00:9", 135, "fe80::9", mac(0xd1)), "drop dp-b nd_unknown"},
		"of its other MAC":            {chosen, "dp-a/if-a1", udp(a3, a1, "fe80::9", "fe80::ff:fe00:a3").frame(), "drop dp-a ipv6_source"},
		"another's, that it may want": {chosen, "dp-a/if-a3", nd(multicast6, a3, "fe80::9", "ff02::1:ff00:2", 135, "fd00::2", a3), "punt dp-a claim"},
		"asked for":                   {chosen, "dp-a/if-a3", nd(multicast6, a3, "fd00::3", "ff02::1:ff00:9", 135, "fe80::9", a3), "dp-a/if-a3"},
	} {
		t.Run(name, func(t *testing.T) { newLab(t, tc.text).expect(tc.at, tc.frame, tc.want) })
	}
}

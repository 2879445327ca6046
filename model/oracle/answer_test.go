package oracle

import (
	"encoding/binary"
	"testing"
)

const gateways = tenants + `
simulated if-gw - 02:00:00:00:00:fe nw-a=10.0.0.254 nw-a=fd00::254
network_services mode=dhcp interface_uuid=if-gw
simulated if-pin dp-b 02:00:00:00:00:fd nw-a=10.0.0.253
`

var gw, pin = mac(0xfe), mac(0xfd)

// Section 3: what the host answers itself, byte for byte.
func TestAnswers(t *testing.T) {
	l := newLab(t, gateways)
	l.expectFrame("dp-a/if-a1", arpAsk(a1, "10.0.0.1", "10.0.0.254"), "dp-a/if-a1", arpFrame(a1, gw, 2, gw, "10.0.0.254", a1, "10.0.0.1"))
	l.expectFrame("dp-a/if-a1", arpAsk(a1, "10.0.0.1", "10.0.0.253"), "dp-a/if-a1", arpFrame(a1, pin, 2, pin, "10.0.0.253", a1, "10.0.0.1"))
	l.expectFrame("dp-a/if-a1", arpAsk(a1, "0.0.0.0", "10.0.0.2"), "dp-a/if-a1", arpFrame(a1, a2, 2, a2, "10.0.0.2", a1, "0.0.0.0"))
	l.expectFrame("dp-a/if-a1", arpFrame(a2, a1, 1, a1, "10.0.0.1", a2, "10.0.0.2"), "dp-a/if-a1", // a refresh, unicast
		arpFrame(a1, a2, 2, a2, "10.0.0.2", a1, "10.0.0.1"))

	ask := nd(multicast6, a1, "fd00::1", "ff02::1:ff00:2", 135, "fd00::2", a1)
	answer := nd(a1, a2, "fd00::2", "fd00::1", 136, "fd00::2", a2)
	l.expectFrame("dp-a/if-a1", ask, "dp-a/if-a1", solicited(answer))
	ask = nd(multicast6, a1, linkLocalA1, "ff02::1:ff00:2", 135, linkLocalA2, none)
	answer = nd(a1, a2, linkLocalA2, linkLocalA1, 136, linkLocalA2, none)
	l.expectFrame("dp-a/if-a1", ask, "dp-a/if-a1", solicited(answer))
	s := newLab(t, segments)
	s.expectFrame("dp-a/if-a3", nd(multicast6, a3, "::", "ff02::1:ff00:2", 135, "fd00::2", none), "dp-a/if-a3",
		solicited(nd(a3, a2, "fd00::2", "::", 136, "fd00::2", none)))

	for _, family := range [][3]string{{"10.0.0.1", "10.0.0.254"}, {"fd00::1", "fd00::254"}} {
		echo := ping(gw, a1, family[0], family[1])
		echo.ttl, echo.tos = 3, 0x20
		back := echo.back(a1, gw)
		back.ttl = 64
		l.expectFrame("dp-a/if-a1", echo.frame(), "dp-a/if-a1", back.frame())
	}
	withOptions := ping(gw, a1, "10.0.0.1", "10.0.0.254")
	withOptions.options = []byte{1, 1, 1, 1}
	l.expectFrame("dp-a/if-a1", withOptions.frame(), "dp-a/if-a1", withOptions.back(a1, gw).frame())
	extended := ping(gw, a1, "fd00::1", "fd00::254")
	extended.options = []byte{60, protoICMPv6, 0, 1, 4, 0, 0, 0, 0}
	l.expectFrame("dp-a/if-a1", extended.frame(), "dp-a/if-a1", extended.back(a1, gw).frame())
}

// solicited sets the flags of an advertisement that was made without.
func solicited(frame []byte) []byte {
	at := 14 + 40
	frame[at+4] = 0x60
	s := int(^binary.BigEndian.Uint16(frame[at+2:])) + 0x6000
	binary.BigEndian.PutUint16(frame[at+2:], ^uint16(s>>16+s))
	return frame
}

// Section 3: what is not answered, and what becomes of it.
func TestNotAnswered(t *testing.T) {
	request := datagram{dst: broadcast, src: a1, from: "0.0.0.0", to: "255.255.255.255", proto: protoUDP, fromPort: 68, toPort: 67}
	renewal := datagram{dst: gw, src: a1, from: "10.0.0.1", to: "10.0.0.254", proto: protoUDP, fromPort: 68, toPort: 67}
	rogue := datagram{dst: a2, src: a1, from: "10.0.0.1", to: "10.0.0.2", proto: protoUDP, fromPort: 67, toPort: 68}
	solicit := datagram{dst: multicast6, src: a1, from: linkLocalA1, to: "ff02::2", proto: protoICMPv6, kind: icmp6RouterSolicit}
	advert, redirect, listener, unknown := solicit, solicit, solicit, solicit
	unknown.from = "::"
	request6 := datagram{dst: multicast6, src: a1, from: linkLocalA1, to: "ff02::1:2", proto: protoUDP, fromPort: 546, toPort: 547}
	rogue6 := request6
	rogue6.fromPort, rogue6.toPort = 547, 546
	advert.kind, redirect.kind, listener.kind = icmp6RouterAdvert, icmp6Redirect, icmp6Report
	foreign := ping(gw, a1, "10.0.0.1", "10.0.0.9")
	reply := ping(gw, a1, "10.0.0.1", "10.0.0.254")
	reply.kind = 0
	for name, tc := range map[string]struct {
		frame []byte
		want  string
	}{
		"own address":              {arpAsk(a1, "10.0.0.1", "10.0.0.1"), "drop dp-a arp_own"},
		"probe for own address":    {arpAsk(a1, "0.0.0.0", "10.0.0.1"), "drop dp-a arp_own"},
		"own IPv6 address":         {nd(multicast6, a1, "fd00::1", "ff02::1:ff00:1", 135, "fd00::1", a1), "drop dp-a nd_own"},
		"nobody":                   {arpAsk(a1, "10.0.0.1", "10.0.0.9"), "drop dp-a arp_unknown"},
		"nobody of IPv6":           {nd(multicast6, a1, "fd00::1", "ff02::1:ff00:9", 135, "fd00::9", a1), "drop dp-a nd_unknown"},
		"solicitation cut short":   {datagram{dst: a2, src: a1, from: "fd00::1", to: "fd00::2", proto: protoICMPv6, kind: 135}.frame(), "drop dp-a nd_unknown"},
		"reply":                    {arpFrame(a2, a1, 2, a1, "10.0.0.1", a2, "10.0.0.2"), "drop dp-a arp_reply"},
		"reverse ARP":              {arpFrame(a2, a1, 3, a1, "10.0.0.1", a2, "10.0.0.2"), "drop dp-a arp_reply"},
		"advertisement":            {nd(a2, a1, "fd00::1", "fd00::2", 136, "fd00::1", a1), "drop dp-a nd_unasked"},
		"DHCP":                     {request.frame(), "punt dp-a dhcp4"},
		"DHCP renewal":             {renewal.frame(), "punt dp-a dhcp4"},
		"DHCP answer":              {rogue.frame(), "drop dp-a dhcp_rogue"},
		"DHCPv6":                   {request6.frame(), "punt dp-a dhcp6"},
		"DHCPv6 answer":            {rogue6.frame(), "drop dp-a dhcp_rogue"},
		"router solicitation":      {solicit.frame(), "punt dp-a ra"},
		"the same from nobody":     {unknown.frame(), "punt dp-a ra"},
		"router advertisement":     {advert.frame(), "drop dp-a nd_router"},
		"redirect":                 {redirect.frame(), "drop dp-a nd_router"},
		"MLD":                      {listener.frame(), "drop dp-a mld"},
		"echo elsewhere":           {foreign.frame(), "drop dp-a destination"},
		"echo answer":              {reply.frame(), "told dp-a destination"},
		"UDP to the gateway":       {udp(gw, a1, "10.0.0.1", "10.0.0.254").frame(), "told dp-a destination"},
		"echo to a pinned one":     {ping(pin, a1, "10.0.0.1", "10.0.0.253").frame(), "drop dp-a destination"},
		"echo to a guest":          {ping(a2, a1, "10.0.0.1", "10.0.0.2").frame(), "dp-b/if-a2"},
		"echo in later fragments":  {fragmentOf(ping(gw, a1, "10.0.0.1", "10.0.0.254"), 100), "told dp-a destination"},
		"type 135 with code 1":     {withCode(nd(a2, a1, "fd00::1", "fd00::2", 135, "fd00::2", a1)), "dp-b/if-a2"},
		"source option said twice": {datagram{dst: a2, src: a1, from: "fd00::1", to: "fd00::2", proto: protoICMPv6, kind: 135, rest: twice(a1)}.frame(), "drop dp-a nd_unknown"},
	} {
		t.Run(name, func(t *testing.T) { newLab(t, gateways).expect("dp-a/if-a1", tc.frame, tc.want) })
	}
	for name, tc := range map[string]struct{ text, solicited, asked string }{
		"no service":                 {tenants, "drop dp-a nd_router", "drop dp-a dhcp_none"},
		"a service of IPv4":          {tenants + "simulated if-gw - 02:00:00:00:00:fe nw-a=10.0.0.254\nnetwork_services mode=dhcp interface_uuid=if-gw\n", "drop dp-a nd_router", "drop dp-a dhcp_none"},
		"a gateway":                  {tenants + "simulated if-gw - 02:00:00:00:00:fe nw-a=fd00::254 enable_routing=true\n", "punt dp-a ra", "drop dp-a dhcp_none"},
		"one that does neither":      {tenants + "simulated if-gw - 02:00:00:00:00:fe nw-a=fd00::254\n", "drop dp-a nd_router", "drop dp-a dhcp_none"},
		"a service pinned elsewhere": {tenants + "simulated if-gw dp-b 02:00:00:00:00:fe nw-a=fd00::254\nnetwork_services mode=dhcp interface_uuid=if-gw\n", "punt dp-a ra", "punt dp-a dhcp6"},
	} {
		t.Run(name, func(t *testing.T) {
			newLab(t, tc.text).expect("dp-a/if-a1", solicit.frame(), tc.solicited)
			newLab(t, tc.text).expect("dp-a/if-a1", request6.frame(), tc.asked)
		})
	}
	newLab(t, gateways).expect("dp-b/if-a2", ping(pin, a2, "10.0.0.2", "10.0.0.253").frame(), "dp-b/if-a2")
}

func fragmentOf(d datagram, offset uint16) []byte {
	d.fragment = offset
	return d.frame()
}

func withCode(frame []byte) []byte {
	frame[14+40+1] = 1
	return frame
}

// twice is a target, and two options of the same type.
func twice(m [6]byte) []byte {
	b := addr("fd00::2").AsSlice()
	for range 2 {
		b = append(append(b, 1, 1), m[:]...)
	}
	return b
}

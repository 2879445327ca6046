package scenarios

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/wait"
)

// forgeries are the frames that a guest must not get through to another one, by the reason that counts them.
func forgeries(t *testing.T, from, to guest) []forgery {
	text := fmt.Sprintf("from %s, %s", from, forgedText)
	linkLocal := netip.MustParseAddr("fe80::99")
	all, allMAC := netip.MustParseAddr("ff02::1"), model.MAC{0x33, 0x33, 0, 0, 0, 1}
	own4, own6 := at(from.v4(), 1), at(from.v6(), 1)
	to4, to6 := at(to.v4(), echoPort), at(to.v6(), echoPort)
	plain := udp(t, from.mac, to.mac, own4, to4, text)
	ask := arp(t, from.mac, broadcast, 1, from.mac, from.v4(), model.MAC{}, to.v4())
	offer := udp(t, from.mac, to.mac, at(from.v4(), 67), at(to.v4(), 68), text)
	return []forgery{
		{"source MAC address of nobody", "mac_source", udp(t, nobody, to.mac, own4, to4, text)},
		{"source MAC address of the other", "mac_source", udp(t, to.mac, to.mac, own6, to6, text)},
		{"ARP from the MAC address of nobody", "arp_sender", arp(t, nobody, broadcast, 1, nobody, from.v4(), model.MAC{}, to.v4())},
		{"IPv4 source of nobody", "ipv4_source", udp(t, from.mac, to.mac, at(stranger4, 1), to4, text)},
		{"IPv4 source of the other", "ipv4_source", udp(t, from.mac, broadcast, to4, at(netip.MustParseAddr("255.255.255.255"), 1), text)},
		{"IPv4 source of the gateway", "ipv4_source", udp(t, from.mac, to.mac, at(server4, 67), to4, text)},
		{"IPv4 unspecified, but not to DHCP", "ipv4_source", udp(t, from.mac, to.mac, at(netip.IPv4Unspecified(), 68), to4, text)},
		{"IPv6 source of nobody", "ipv6_source", udp(t, from.mac, to.mac, at(stranger6, 1), to6, text)},
		{"IPv6 source of the other", "ipv6_source", udp(t, from.mac, allMAC, to6, at(all, 1), text)},
		{"link-local source of another MAC address", "ipv6_source", udp(t, from.mac, to.mac, at(linkLocal, 1), to6, text)},
		{"ARP sender's MAC address", "arp_sender", arp(t, from.mac, broadcast, 1, nobody, from.v4(), model.MAC{}, to.v4())},
		{"ARP sender's IP address", "arp_sender", arp(t, from.mac, broadcast, 1, from.mac, stranger4, model.MAC{}, to.v4())},
		{"ARP reply for nobody", "arp_sender", arp(t, from.mac, to.mac, 2, from.mac, stranger4, to.mac, to.v4())},
		{"ARP announcement of the other's address", "arp_sender", arp(t, from.mac, broadcast, 1, from.mac, to.v4(), model.MAC{}, to.v4())},
		{"ARP reply for the gateway", "arp_sender", arp(t, from.mac, to.mac, 2, from.mac, server4, to.mac, to.v4())},
		{"ND source address", "nd_sender", nd{from.mac, to.mac, stranger6, to.v6(), to.v6(), from.mac}.solicitation(t)},
		{"ND source link-layer address", "nd_sender", nd{from.mac, to.mac, from.v6(), to.v6(), to.v6(), nobody}.solicitation(t)},
		{"ND target", "nd_sender", nd{from.mac, to.mac, from.v6(), to.v6(), stranger6, from.mac}.advertisement(t)},
		{"ND target of the other", "nd_sender", nd{from.mac, allMAC, from.v6(), all, to.v6(), from.mac}.advertisement(t)},
		{"ND target link-layer address", "nd_sender", nd{from.mac, to.mac, from.v6(), to.v6(), from.v6(), nobody}.advertisement(t)},
		{"tagged packet", "tagged", tagged(plain, 7)},
		{"priority-tagged packet", "tagged", tagged(plain, 0)},
		{"tagged ARP", "tagged", tagged(ask, 7)},
		{"DHCP answer", "dhcp_rogue", offer},
		{"neither IPv4, IPv6 nor ARP", "ethertype", build(t, ether(from.mac, to.mac, 0x88b5), gopacket.Payload(text))},
		{"router advertisement", "nd_router", router(t, from, all, allMAC)},
	}
}

// forgedText is in every forged packet that has room for it.
const forgedText = "a forged packet"

type forgery struct {
	name   string
	reason string // that counts it
	frame  []byte
}

// router gives a router advertisement (RFC 4861, section 4.2) from the guest's link-local address.
func router(t *testing.T, from guest, to netip.Addr, dst model.MAC) []byte {
	t.Helper()
	m := from.mac
	ll := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
	return nd{srcMAC: from.mac, dstMAC: dst, src: ll, dst: to}.icmp(t, layers.ICMPv6TypeRouterAdvertisement,
		&layers.ICMPv6RouterAdvertisement{HopLimit: 64, RouterLifetime: 1800})
}

// counted are the reasons whose counters forgeries alone move. That of router advertisements counts guests' solicitations too.
var counted = []string{"mac_source", "ipv4_source", "ipv6_source", "arp_sender", "nd_sender", "tagged", "dhcp_rogue", "ethertype"}

// sums gives what a host has dropped by reason, in the switch and in the fast path together.
func sums(drops map[counter]uint64) map[string]uint64 {
	sums := map[string]uint64{}
	for c, n := range drops {
		if slices.Contains(counted, c.reason) {
			sums[c.reason] += n
		}
	}
	return sums
}

// forge sends what a guest must not, to a guest on the same host and to one on another: nothing arrives, and on the guest's own host
// exactly the counters of the reasons grow.
func (s *scene) forge(t *testing.T, tn tenant) {
	const host = "node1"
	from := tn.guests[0]
	marks := map[string]int{}
	for _, g := range tn.guests {
		marks[g.name] = s.watches[g.name].mark()
	}
	before := s.drops(t, host)
	want := sums(before)
	names := map[string][]string{} // by reason
	var sent []forgery
	var routers uint64
	for _, to := range []guest{tn.guests[1], tn.guests[3]} {
		for _, f := range forgeries(t, from, to) {
			s.send(t, from, f.frame)
			sent = append(sent, f)
			if f.reason == "nd_router" {
				routers++
				continue
			}
			want[f.reason]++
			names[f.reason] = append(names[f.reason], f.name)
		}
	}
	wait.For(t, patience, "the counters", func() error {
		now := s.drops(t, host)
		r := counter{"flow", "nd_router"}
		if d := cmp.Diff(want, sums(now)); d != "" || now[r] < before[r]+routers {
			return fmt.Errorf("sent by reason %v; before %v, now %v; -want +got:\n%s", names, before, now, d)
		}
		return nil
	})
	// What was sent later has arrived: so would the forgeries have.
	for _, g := range tn.guests[1:] {
		if err := s.ping(from, g.v4()); err != nil {
			t.Error(err)
		}
		for _, x := range s.watches[g.name].since(marks[g.name]) {
			for _, f := range sent {
				if bytes.Equal(x, f.frame) || bytes.Equal(x, untagged(f.frame)) || holds(forgedText)(x) {
					t.Errorf("a forgery (%s) has come to %s:\n%s", f.name, g, words(x))
					break
				}
			}
		}
	}
}

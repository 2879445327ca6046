package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/services/frame"
)

// isFree is duplicate address detection.
func isFree(from model.MAC, target string) []byte {
	a := netip.MustParseAddr(target)
	to, group := frame.SolicitedNode(a)
	return frame.ND{Src: netip.IPv6Unspecified(), Dst: to, Target: a}.Encode(frame.Ethernet{Src: from, Dst: group})
}

// claimed gives the leases of addresses that guest 1 has made.
func claimedBy1(from, n int) []model.Object {
	var out []model.Object
	for k := range n {
		l := addressed6(1, "nw-a", fmt.Sprintf("fd00:6::1:%x", from+k))
		l.UUID, l.ID, l.Origin = fmt.Sprintf("il-made%d", from+k), uint32(1000+from+k), model.OriginSLAAC
		out = append(out, l)
	}
	return out
}

func (b *bench) claimsAre(told chan wire.Claim, want wire.Claim) {
	b.t.Helper()
	select {
	case got := <-told:
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			b.t.Errorf("(-want +got):\n%s", diff)
		}
	case <-b.ctx().Done():
		b.t.Fatal("the manager is not told")
	}
}

// A guest makes an address: the manager is told, unless another has it; of a guest with as many as it may have when that one has given some up.
func TestClaims(t *testing.T) {
	objects := slices.Concat(six(model.AddressingSLAAC), guest(2, "dp-0", "p2"), []model.Object{addressed6(2, "nw-a", "fd00:6::20")}, claimedBy1(0, model.MaxClaims-1))
	told := make(chan wire.Claim, 10)
	b := newBench(t, objects, port("p1", "", 11), port("p2", "", 12))
	b.claims.tell = func(c wire.Claim) { told <- c }

	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: isFree(mac(1), "fd00:6::abcd")})
	b.claimsAre(told, wire.Claim{InterfaceUUID: "if-b", MAC: mac(1), Address: netip.MustParseAddr("fd00:6::abcd")})

	// Another has it: who asks hears so.
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: isFree(mac(1), "fd00:6::20")})
	if b.sw.Sent(b.ctx(), func(f ovstest.Frame) bool {
		eth, m, reason := frame.DecodeND(f.Data)
		return reason == frame.OK && f.Port == 11 && m.Advertisement && m.Target == netip.MustParseAddr("fd00:6::20") && m.Link == mac(2) && eth.Src == mac(2) &&
			m.Dst == netip.IPv6LinkLocalAllNodes() && m.Flags == 1<<29
	}) == nil {
		t.Error("the address is not defended")
	}
	b.until("it is counted", func() bool { return b.count("claim", dropTaken) == 1 })

	// The last one has room; then the guest is asked, and gives up what it does not answer for.
	b.change(claimedBy1(model.MaxClaims-1, 1))
	b.until("it is there", func() bool {
		return len(b.replica.standing(1, 100, mac(1), netip.MustParseAddr("fd00:6::1")).made) == model.MaxClaims && strings.Contains(b.flows(), "ipv6_src=fd00:6::1:f")
	})
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: isFree(mac(1), "fd00:6::beef")})
	var gone []netip.Addr
	for k := range model.MaxClaims {
		a := netip.MustParseAddr(fmt.Sprintf("fd00:6::1:%x", k))
		if b.sw.Sent(b.ctx(), func(f ovstest.Frame) bool {
			eth, m, reason := frame.DecodeND(f.Data)
			return reason == frame.OK && f.Port == 11 && !m.Advertisement && m.Target == a && m.Link == model.ClaimAsker() && eth.Dst == mac(1) && m.Src == model.ClaimAsker().LinkLocal()
		}) == nil {
			t.Fatalf("the guest is not asked for %s", a)
		}
		if k%2 == 0 {
			gone = append(gone, a)
			continue
		}
		b.sw.Receive(t, ovstest.Frame{Port: 11, Data: frame.ND{Advertisement: true, Src: a, Dst: model.ClaimAsker().LinkLocal(), Flags: 3 << 29, Target: a, Link: mac(1)}.
			Encode(frame.Ethernet{Src: mac(1), Dst: model.ClaimAsker()})})
	}
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: isFree(mac(1), "fd00:6::beee")})
	b.claimsAre(told, wire.Claim{InterfaceUUID: "if-b", MAC: mac(1), Address: netip.MustParseAddr("fd00:6::beef"), Gone: gone})
	b.until("another is refused meanwhile", func() bool { return b.count("claim", dropLimit) >= 1 })
}

// A guest that has an IPv6 address chooses a link-local one, in whatever way its network has addresses: it asks whether it is free, or asks from it. Nobody gets another's, or one made from another's MAC address.
func TestLinkLocalClaims(t *testing.T) {
	leased := func(guest int, address string) *model.IPLease {
		l := addressed6(guest, "nw-a", address)
		l.UUID, l.ID, l.Origin = "il-"+address[6:], uint32(1000+guest), model.OriginSLAAC
		return l
	}
	objects := slices.Concat(six(model.AddressingStateful), guest(2, "dp-0", "p2"), []model.Object{addressed6(2, "nw-a", "fd00:6::20"), leased(2, "fe80::22")})
	told := make(chan wire.Claim, 10)
	b := newBench(t, objects, port("p1", "", 11), port("p2", "", 12))
	b.claims.tell = func(c wire.Claim) { told <- c }
	wants := func(address string) wire.Claim {
		return wire.Claim{InterfaceUUID: "if-b", MAC: mac(1), Address: netip.MustParseAddr(address)}
	}
	from := func(address string) frame.IPv6 {
		return frame.IPv6{HopLimit: 255, Src: netip.MustParseAddr(address), Dst: netip.MustParseAddr("ff02::2")}
	}
	eth := frame.Ethernet{Src: mac(1), Dst: model.MAC{0x33, 0x33, 0, 0, 0, 2}}

	for address, f := range map[string][]byte{
		"fe80::1:1": isFree(mac(1), "fe80::1:1"),
		"fe80::1:2": frame.ICMPv6{Ethernet: eth, IP: from("fe80::1:2"), Type: 133, Body: make([]byte, 4)}.Encode(),
		"fe80::1:3": frame.Datagram6{Ethernet: eth, IP: from("fe80::1:3"), UDP: frame.UDP{SrcPort: 546, DstPort: 547}, Payload: []byte{1, 2, 3, 4}}.Encode(),
		"fe80::1:4": frame.ND{Src: netip.MustParseAddr("fe80::1:4"), Dst: netip.MustParseAddr("ff02::1:ff00:20"), Target: netip.MustParseAddr("fd00:6::20"), Link: mac(1)}.Encode(eth),
	} {
		b.sw.Receive(t, ovstest.Frame{Port: 11, Data: f})
		b.claimsAre(told, wants(address))
	}

	for n, address := range []string{"fe80::22", mac(2).LinkLocal().String(), mac(77).LinkLocal().String()} {
		by := []model.MAC{mac(2), mac(2), mac(77)}[n]
		b.sw.Receive(t, ovstest.Frame{Port: 11, Data: isFree(mac(1), address)})
		if b.sw.Sent(b.ctx(), func(f ovstest.Frame) bool {
			_, m, reason := frame.DecodeND(f.Data)
			return reason == frame.OK && f.Port == 11 && m.Advertisement && m.Target == netip.MustParseAddr(address) && m.Link == by
		}) == nil {
			t.Errorf("%s is not defended", address)
		}
		b.sw.Receive(t, ovstest.Frame{Port: 11, Data: frame.ICMPv6{Ethernet: eth, IP: from(address), Type: 133, Body: make([]byte, 4)}.Encode()})
		b.until("it is counted", func() bool { return b.count("claim", dropTaken) == uint64(2*n+2) })
	}

	// What is leased is the guest's own.
	b.change([]model.Object{leased(1, "fe80::1:1")})
	b.until("it may send from it", func() bool { return strings.Contains(b.flows(), "ipv6_src=fe80::1:1") })
	if made := b.replica.standing(1, 100, mac(1), netip.MustParseAddr("fe80::9")).made; !slices.Equal(made, []netip.Addr{netip.MustParseAddr("fe80::1:1")}) {
		t.Errorf("it has made %v", made)
	}
}

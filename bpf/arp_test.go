package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

type (
	mac = [6]uint8
	ip4 = [4]uint8
	ip6 = [16]uint8
)

// The world of the tests: interface 7, behind the loopback device (what BPF_PROG_TEST_RUN gives as the port), has an address
// in network 100 and one, with another MAC, in network 200.
var (
	me       = mac{2, 0, 0, 0, 0, 1}
	meToo    = mac{2, 0, 0, 0, 0, 2}
	peer     = mac{2, 0, 0, 0, 0, 9}
	stranger = mac{2, 0, 0, 0, 0, 0xee}
	everyone = mac{255, 255, 255, 255, 255, 255}

	mine      = ip4{10, 0, 0, 1}
	mine2     = ip4{10, 0, 0, 2}
	mineToo   = ip4{10, 9, 0, 1}
	peers     = ip4{10, 0, 0, 9}
	unknown   = ip4{10, 0, 0, 77}
	nothing   = ip4{}
	elsewhere = ip4{10, 9, 0, 9} // known in network 200 only

	mine6      = ip6{0: 0xfd, 15: 1}
	mine26     = ip6{0: 0xfd, 15: 2}
	mineToo6   = ip6{0: 0xfd, 1: 9, 15: 1}
	peers6     = ip6{0: 0xfd, 12: 7, 13: 8, 14: 9, 15: 9}
	unknown6   = ip6{0: 0xfd, 15: 77}
	nothing6   = ip6{}
	chosen6    = ip6{0: 0xfe, 1: 0x80, 15: 9}
	elsewhere6 = ip6{0: 0xfd, 1: 9, 15: 9} // known in network 200 only
)

const (
	loopback    = uint32(1)
	myInterface = 7
)

var world = struct {
	port       Port
	sources    map[SourceKey]Source
	neighbors  map[NeighborKey]Neighbor
	sources6   map[Source6Key]Source
	neighbors6 map[Neighbor6Key]Neighbor
}{
	port: Port{InterfaceId: myInterface, NetworkId: 100, Features: FeatureARP | FeatureND, Mac: me},
	sources: map[SourceKey]Source{
		{InterfaceId: myInterface, Addr: mine}:    {NetworkId: 100, Mac: me},
		{InterfaceId: myInterface, Addr: mine2}:   {NetworkId: 100, Mac: me},
		{InterfaceId: myInterface, Addr: mineToo}: {NetworkId: 200, Mac: meToo},
		{InterfaceId: 9, Addr: peers}:             {NetworkId: 100, Mac: peer},
	},
	neighbors: map[NeighborKey]Neighbor{
		{NetworkId: 100, Addr: mine}:      {InterfaceId: myInterface, Mac: me},
		{NetworkId: 100, Addr: mine2}:     {InterfaceId: myInterface, Mac: me},
		{NetworkId: 100, Addr: peers}:     {InterfaceId: 9, Mac: peer},
		{NetworkId: 200, Addr: mineToo}:   {InterfaceId: myInterface, Mac: meToo},
		{NetworkId: 200, Addr: elsewhere}: {InterfaceId: 10, Mac: peer},
	},
	sources6: map[Source6Key]Source{
		{InterfaceId: myInterface, Addr: mine6}:    {NetworkId: 100, Mac: me},
		{InterfaceId: myInterface, Addr: mine26}:   {NetworkId: 100, Mac: me},
		{InterfaceId: myInterface, Addr: mineToo6}: {NetworkId: 200, Mac: meToo},
		{InterfaceId: 9, Addr: peers6}:             {NetworkId: 100, Mac: peer},
	},
	neighbors6: map[Neighbor6Key]Neighbor{
		{NetworkId: 100, Addr: mine6}:      {InterfaceId: myInterface, Mac: me},
		{NetworkId: 100, Addr: mine26}:     {InterfaceId: myInterface, Mac: me},
		{NetworkId: 100, Addr: peers6}:     {InterfaceId: 9, Mac: peer},
		{NetworkId: 200, Addr: mineToo6}:   {InterfaceId: myInterface, Mac: meToo},
		{NetworkId: 200, Addr: elsewhere6}: {InterfaceId: 10, Mac: peer},
	},
}

func loadWorld(t testing.TB) kernel {
	t.Helper()
	k := load(t)
	k.put(t, PortsMap, loopback, world.port)
	for key, v := range world.sources {
		k.put(t, SourcesMap, key, v)
	}
	for key, v := range world.neighbors {
		k.put(t, NeighborsMap, key, v)
	}
	for key, v := range world.sources6 {
		k.put(t, Sources6Map, key, v)
	}
	for key, v := range world.neighbors6 {
		k.put(t, Neighbor6Map, key, v)
	}
	return k
}

// arpFrame builds a frame with gopacket; the zero values of a field are those of a broadcast request.
type arpFrame struct {
	dst, src, sha mac
	spa, tpa      ip4
	op            uint16
	change        func(*layers.ARP)
	trailer       int
}

func (a arpFrame) bytes(t testing.TB) []byte {
	t.Helper()
	if a.dst == (mac{}) {
		a.dst = everyone
	}
	if a.src == (mac{}) {
		a.src = me
	}
	if a.sha == (mac{}) {
		a.sha = a.src
	}
	if a.op == 0 {
		a.op = layers.ARPRequest
	}
	arp := layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: a.op, SourceHwAddress: a.sha[:], SourceProtAddress: a.spa[:],
		DstHwAddress: make([]byte, 6), DstProtAddress: a.tpa[:],
	}
	if a.change != nil {
		a.change(&arp)
	}
	return serialize(t,
		&layers.Ethernet{SrcMAC: a.src[:], DstMAC: a.dst[:], EthernetType: layers.EthernetTypeARP},
		&arp, gopacket.Payload(make([]byte, a.trailer)))[:42+a.trailer] // gopacket pads to 60 bytes
}

func serialize(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{}, l...); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(buf.Bytes())
}

// reply is the answer to a request of the world: who has tpa is at owner.
func reply(t testing.TB, owner mac, tpa ip4, to mac, spa ip4, trailer int) []byte {
	t.Helper()
	return arpFrame{dst: to, src: owner, spa: tpa, tpa: spa, op: layers.ARPReply, trailer: trailer,
		change: func(a *layers.ARP) { a.DstHwAddress = to[:] }}.bytes(t)
}

const uncounted = Reason(1 << 31)

func TestPrivilegedARP(t *testing.T) {
	full := arpFrame{spa: mine, tpa: peers}.bytes(t)
	cases := []testCase{
		{"request for a known lease", full, AnswerARP, reply(t, peer, peers, me, mine, 0)},
		{"padded to 60 bytes", arpFrame{spa: mine, tpa: peers, trailer: 18}.bytes(t), AnswerARP, reply(t, peer, peers, me, mine, 18)},
		{"from the second address", arpFrame{spa: mine2, tpa: peers}.bytes(t), AnswerARP, reply(t, peer, peers, me, mine2, 0)},
		{"in the second network", arpFrame{src: meToo, spa: mineToo, tpa: elsewhere}.bytes(t), AnswerARP, reply(t, peer, elsewhere, meToo, mineToo, 0)},
		{"refresh, unicast to the owner", arpFrame{dst: peer, spa: mine, tpa: peers}.bytes(t), AnswerARP, reply(t, peer, peers, me, mine, 0)},
		{"target MAC filled in", arpFrame{spa: mine, tpa: peers, change: func(a *layers.ARP) { a.DstHwAddress = stranger[:] }}.bytes(t), AnswerARP, reply(t, peer, peers, me, mine, 0)},
		{"probe for an address that is taken", arpFrame{spa: nothing, tpa: peers}.bytes(t), AnswerARP, reply(t, peer, peers, me, nothing, 0)},

		{"unknown address", arpFrame{spa: mine, tpa: unknown}.bytes(t), PassARPMiss, nil},
		{"known in the other network only", arpFrame{spa: mine, tpa: elsewhere}.bytes(t), PassARPMiss, nil},
		{"the first network's from the second", arpFrame{src: meToo, spa: mineToo, tpa: peers}.bytes(t), PassARPMiss, nil},
		{"for 0.0.0.0", arpFrame{spa: mine, tpa: nothing}.bytes(t), PassARPMiss, nil},
		{"probe for a free address", arpFrame{spa: nothing, tpa: unknown}.bytes(t), PassARPMiss, nil},

		{"probe for the own address", arpFrame{spa: nothing, tpa: mine}.bytes(t), PassARPOwn, nil},
		{"for the other own address", arpFrame{spa: mine, tpa: mine2}.bytes(t), PassARPOwn, nil},
		{"announcement", arpFrame{spa: mine, tpa: mine}.bytes(t), PassARPOwn, nil},

		{"unicast to a stranger", arpFrame{dst: stranger, spa: mine, tpa: peers}.bytes(t), PassARPOther, nil},
		{"multicast", arpFrame{dst: mac{1, 0, 0x5e, 0, 0, 1}, spa: mine, tpa: peers}.bytes(t), PassARPOther, nil},
		{"reply", arpFrame{dst: peer, spa: mine, tpa: peers, op: layers.ARPReply}.bytes(t), PassARPOther, nil},
		{"gratuitous reply", arpFrame{spa: mine, tpa: mine, op: layers.ARPReply}.bytes(t), PassARPOther, nil},
		{"inverse ARP", arpFrame{spa: mine, tpa: peers, op: 8}.bytes(t), PassARPOther, nil},
		{"operation 0x0100", arpFrame{spa: mine, tpa: peers, op: 0x100}.bytes(t), PassARPOther, nil},

		{"spoofed sha", arpFrame{src: me, sha: peer, spa: mine, tpa: peers}.bytes(t), DropARPSender, nil},
		{"spoofed Ethernet source", arpFrame{src: stranger, sha: me, spa: mine, tpa: peers}.bytes(t), DropARPSender, nil},
		{"spoofed both MACs", arpFrame{src: peer, spa: mine, tpa: peers}.bytes(t), DropARPSender, nil},
		{"spoofed spa", arpFrame{spa: peers, tpa: unknown}.bytes(t), DropARPSender, nil},
		{"unregistered spa", arpFrame{spa: unknown, tpa: peers}.bytes(t), DropARPSender, nil},
		{"the second MAC with the first address", arpFrame{src: meToo, spa: mine, tpa: peers}.bytes(t), DropARPSender, nil},
		{"spoofed announcement", arpFrame{spa: peers, tpa: peers}.bytes(t), DropARPSender, nil},
		{"spoofed reply", arpFrame{spa: peers, tpa: mine, op: layers.ARPReply}.bytes(t), DropARPSender, nil},
		{"probe with a strange MAC", arpFrame{src: stranger, spa: nothing, tpa: unknown}.bytes(t), DropARPSender, nil},
		{"reply from 0.0.0.0", arpFrame{spa: nothing, tpa: peers, op: layers.ARPReply}.bytes(t), DropARPSender, nil},

		{"hardware type 6", arpFrame{spa: mine, tpa: peers, change: func(a *layers.ARP) { a.AddrType = 6 }}.bytes(t), DropARPMalformed, nil},
		{"protocol IPv6", arpFrame{spa: mine, tpa: peers, change: func(a *layers.ARP) { a.Protocol = layers.EthernetTypeIPv6 }}.bytes(t), DropARPMalformed, nil},

		{"VLAN-tagged", serialize(t,
			&layers.Ethernet{SrcMAC: me[:], DstMAC: everyone[:], EthernetType: layers.EthernetTypeDot1Q},
			&layers.Dot1Q{VLANIdentifier: 5, Type: layers.EthernetTypeARP}, gopacket.Payload(full[14:])), uncounted, nil},
		{"IPv4", serialize(t, &layers.Ethernet{SrcMAC: me[:], DstMAC: peer[:], EthernetType: layers.EthernetTypeIPv4},
			&layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: mine[:], DstIP: peers[:]}), uncounted, nil},
		{"RARP", serialize(t, &layers.Ethernet{SrcMAC: me[:], DstMAC: everyone[:], EthernetType: 0x8035}, gopacket.Payload(full[14:])), uncounted, nil},
		{"only a header, no ARP", append(slices.Clone(full[:12]), 0x88, 0xb5), uncounted, nil},
	}
	for _, offset := range []int{18, 19} {
		for _, v := range []byte{0, 5, 16, 255} {
			f := slices.Clone(full)
			f[offset] = v
			cases = append(cases, testCase{fmt.Sprintf("byte %d, an address length, is %d", offset, v), f, DropARPMalformed, nil})
		}
	}
	for n := 14; n < len(full); n++ {
		cases = append(cases, testCase{fmt.Sprintf("truncated to %d bytes", n), full[:n], DropARPMalformed, nil})
	}

	runCases(t, cases)
}

type testCase struct {
	name   string
	frame  []byte
	want   Reason
	answer []byte
}

// runCases runs frames through both programs, and through the model that random frames are compared with.
func runCases(t *testing.T, cases []testCase) {
	t.Helper()
	k := loadWorld(t)
	for _, program := range []string{GuestXDP, GuestTC} {
		for _, c := range cases {
			t.Run(program+"/"+c.name, func(t *testing.T) { k.check(t, program, c.frame, c.want, c.answer) })
		}
	}
	for _, c := range cases {
		if r, answer := expect(c.frame); r != c.want || !bytes.Equal(answer, c.answer) {
			t.Errorf("%s: the model of the fuzz test says %v\n%x\nbut the table %v\n%x", c.name, r, answer, c.want, c.answer)
		}
	}
}

// check runs a frame and compares the verdict, the frame, and every counter.
func (k kernel) check(t *testing.T, program string, frame []byte, want Reason, answer []byte) {
	t.Helper()
	counters := k.counters(t)
	verdict, got := k.run(t, program, frame)
	wantVerdict, wantFrame := Pass, frame
	if want != uncounted {
		counters[want]++
		wantVerdict = want.Verdict()
	}
	if answer != nil {
		wantFrame = answer
	}
	if verdict != wantVerdict {
		t.Errorf("%s of %x: %s, want %s (%v)", program, frame, verdict, wantVerdict, want)
	}
	if !bytes.Equal(got, wantFrame) {
		t.Errorf("%s of %x leaves\n%x, want\n%x", program, frame, got, wantFrame)
	}
	if d := cmp.Diff(counters, k.counters(t)); d != "" {
		t.Errorf("%s of %x: counters (-want +got):\n%s", program, frame, d)
	}
}

func TestPrivilegedPortsOfOthersAreLeftAlone(t *testing.T) {
	spoofed := arpFrame{spa: peers, tpa: unknown}.bytes(t)
	request := arpFrame{spa: mine, tpa: peers}.bytes(t)
	probe := arpFrame{spa: nothing, tpa: unknown}.bytes(t)
	spoofed6, solicitation := ndFrame{src6: peers6, target: unknown6}.bytes(t), ndFrame{src6: mine6, target: peers6}.bytes(t)
	k := loadWorld(t)
	for _, program := range []string{GuestXDP, GuestTC} {
		noFeature := world.port
		noFeature.Features = 0
		k.put(t, PortsMap, loopback, noFeature)
		for _, f := range [][]byte{spoofed, request, spoofed[:20], spoofed6, solicitation, solicitation[:60]} {
			k.check(t, program, f, uncounted, nil)
		}
		noNetwork := world.port
		noNetwork.NetworkId, noNetwork.Mac = 0, mac{}
		k.put(t, PortsMap, loopback, noNetwork)
		k.check(t, program, probe, DropARPSender, nil)
		k.check(t, program, request, AnswerARP, reply(t, peer, peers, me, mine, 0))

		for feature, f := range map[Feature][]byte{FeatureARP: solicitation, FeatureND: request} {
			other := world.port
			other.Features = feature
			k.put(t, PortsMap, loopback, other)
			k.check(t, program, f, uncounted, nil)
		}

		if err := k.Maps[PortsMap].Delete(loopback); err != nil {
			t.Fatal(err)
		}
		for _, f := range [][]byte{spoofed, request, spoofed[:20], spoofed6, solicitation, solicitation[:60]} {
			k.check(t, program, f, uncounted, nil)
		}
	}
}

// expect is what the programs must do, written again in Go: the reason, and the answer if there is one.
func expect(f []byte) (Reason, []byte) {
	if len(f) < 14 {
		return uncounted, nil
	}
	switch binary.BigEndian.Uint16(f[12:]) {
	case 0x0806:
		return expectARP(f)
	case 0x86dd:
		return expectND(f)
	}
	return uncounted, nil
}

func expectARP(f []byte) (Reason, []byte) {
	if len(f) < 42 || !bytes.Equal(f[14:20], []byte{0, 1, 8, 0, 6, 4}) {
		return DropARPMalformed, nil
	}
	dst, src, op := mac(f[0:]), mac(f[6:]), binary.BigEndian.Uint16(f[20:])
	sha, spa, tpa := mac(f[22:]), ip4(f[28:]), ip4(f[38:])

	source, ok := world.sources[SourceKey{InterfaceId: myInterface, Addr: spa}]
	if spa == nothing {
		source, ok = Source{NetworkId: world.port.NetworkId, Mac: world.port.Mac}, op == 1
	}
	if !ok || source.Mac != sha || src != sha {
		return DropARPSender, nil
	}
	if op != 1 {
		return PassARPOther, nil
	}
	if spa == tpa {
		return PassARPOwn, nil
	}
	owner, ok := world.neighbors[NeighborKey{NetworkId: source.NetworkId, Addr: tpa}]
	switch {
	case !ok:
		return PassARPMiss, nil
	case owner.InterfaceId == myInterface:
		return PassARPOwn, nil
	case dst != everyone && dst != owner.Mac:
		return PassARPOther, nil
	}
	a := slices.Concat(sha[:], owner.Mac[:], f[12:20], []byte{0, 2}, owner.Mac[:], tpa[:], sha[:], spa[:], f[42:])
	return AnswerARP, a
}

// TestPrivilegedRandomFrames mixes valid and invalid values in every field, and compares with the model.
func TestPrivilegedRandomFrames(t *testing.T) {
	k, limited := loadWorld(t), loadLimited(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	macs := []mac{me, me, meToo, peer, stranger, everyone, {}}
	ips := []ip4{mine, mine, mine2, mineToo, peers, peers, unknown, nothing, elsewhere, {255, 255, 255, 255}}
	ips6 := []ip6{mine6, mine6, mine26, mineToo6, peers6, peers6, unknown6, nothing6, elsewhere6, chosen6, {0: 0xff, 15: 1}}
	pick := func(n int) int { return r.IntN(n) }
	seen := map[Reason]int{}
	for range 5000 {
		a := arpFrame{dst: macs[pick(len(macs))], src: macs[pick(len(macs))], spa: ips[pick(len(ips))], tpa: ips[pick(len(ips))],
			op: uint16(1 + pick(2)*pick(3)), trailer: pick(3) * 9}
		if pick(4) == 0 {
			a.sha = macs[pick(len(macs))]
		}
		f := a.bytes(t)
		shortest := 14
		if pick(2) == 0 {
			n := ndFrame{dst: macs[pick(len(macs))], src: macs[pick(len(macs))], src6: ips6[pick(len(ips6))], target: ips6[pick(len(ips6))], trailer: pick(3) * 9}
			if pick(3) > 0 { // as it should be
				n.dst = mac{}
			}
			switch pick(4) {
			case 0:
				n.dst6 = n.target
			case 1:
				n.dst6 = ips6[pick(len(ips6))]
			}
			switch pick(6) {
			case 0:
				n.link = macs[pick(len(macs))]
			case 1:
				n.options = [][]byte{}
			case 2:
				n.options = [][]byte{linkOption(byte(1+pick(2)), n.src), linkOption(14, me)}[:1+pick(2)]
			}
			f, shortest = n.bytes(t), 54
		}
		if pick(2) == 0 {
			f, shortest = randomPacket(t, pick), 54
		}
		switch pick(5) {
		case 0:
			f[12+pick(len(f)-12)] ^= 1 << pick(8)
		case 1:
			f = f[:shortest+pick(len(f)-shortest)]
		}
		want, answer := expect(f)
		seen[want]++
		for _, program := range []string{GuestXDP, GuestTC} {
			k.check(t, program, f, want, answer)
			limited.check(t, program, f, atLimit(f, want), answer)
		}
		seen[atLimit(f, want)]++
		if t.Failed() {
			t.FailNow()
		}
	}
	for _, reason := range append(Reasons(), uncounted) {
		if seen[reason] == 0 {
			t.Errorf("no frame for %v", reason)
		}
	}
}

// FuzzPrivilegedGuest: whatever the bytes, both programs do what the model says; above all they never answer anything but
// a valid request.
func FuzzPrivilegedGuest(f *testing.F) {
	k, limited := loadWorld(f), loadLimited(f)
	f.Add(arpFrame{spa: mine, tpa: peers}.bytes(f))
	f.Add(arpFrame{spa: mine, tpa: unknown}.bytes(f))
	f.Add(arpFrame{spa: nothing, tpa: peers, trailer: 18}.bytes(f))
	f.Add(arpFrame{dst: peer, spa: mine, tpa: peers, op: 2}.bytes(f))
	f.Add(make([]byte, 14))
	f.Add(ndFrame{src6: mine6, target: peers6}.bytes(f))
	f.Add(ndFrame{src6: mine6, target: peers6, dst6: peers6, dst: peer, options: [][]byte{}}.bytes(f))
	f.Add(ndFrame{src6: nothing6, target: unknown6, options: [][]byte{}}.bytes(f))
	for _, c := range asked(f) {
		f.Add(c.frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 1514 {
			return // the kernel gives a program no shorter frame
		}
		etherType := binary.BigEndian.Uint16(frame[12:])
		if etherType == 0x0800 && len(frame) < 34 || etherType == 0x86dd && len(frame) < 54 {
			return // BPF_PROG_TEST_RUN refuses those without a whole header
		}
		want, answer := expect(frame)
		for _, program := range []string{GuestXDP, GuestTC} {
			k.check(t, program, frame, want, answer)
			limited.check(t, program, frame, atLimit(frame, want), answer)
		}
	})
}

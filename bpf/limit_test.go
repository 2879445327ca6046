package bpf

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// The world has one simulated interface: gateway, with two addresses.
var (
	gateway  = mac{2, 0, 0, 0, 0, 0xfe}
	gateway4 = ip4{10, 0, 0, 254}
	gateway6 = ip6{0: 0xfd, 15: 0xfe}

	everywhere4 = ip4{169, 254, 169, 254} // served whatever the MAC address
)

// simulatedAt is the key of an address of the world's simulated interface, nil for that of its MAC address.
func simulatedAt(addr []byte) SimulatedKey {
	key := SimulatedKey{Mac: gateway}
	switch len(addr) {
	case 4:
		key.Addr = ip6(slices.Concat(make([]byte, 10), []byte{255, 255}, addr))
	case 16:
		key.Addr = ip6(addr)
	}
	return key
}

// loadLimited loads the world with an empty bucket for each class, which is not filled while a test runs.
func loadLimited(t testing.TB) kernel {
	t.Helper()
	k := loadWorld(t)
	for _, c := range Classes() {
		k.put(t, LimitsMap, c, Limit{Interval: math.MaxInt64, Saved: math.MaxInt64})
	}
	k.put(t, BucketsMap, loopback, Buckets{})
	for _, addr := range [][]byte{nil, gateway4[:], gateway6[:]} {
		k.put(t, SimulatedMap, simulatedAt(addr), uint32(3))
	}
	k.put(t, SimulatedMap, SimulatedKey{Addr: simulatedAt(everywhere4[:]).Addr}, uint32(0))
	return k
}

// packet is a packet over IPv4, or over IPv6 if from6 is set.
type packet struct {
	dst      mac
	to       ip4
	to6      ip6
	six      bool
	ttl      uint8
	protocol layers.IPProtocol
	l4       []byte
	options  int // words, of IPv4
	fragment uint16
}

// monotonic is the clock of the programs.
func monotonic(t testing.TB) uint64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return uint64(now.Nano())
}

func (p packet) bytes(t testing.TB) []byte {
	t.Helper()
	if p.ttl == 0 {
		p.ttl = 64
	}
	if p.dst == (mac{}) {
		p.dst = gateway
	}
	eth := &layers.Ethernet{SrcMAC: me[:], DstMAC: p.dst[:], EthernetType: layers.EthernetTypeIPv4}
	buf := gopacket.NewSerializeBuffer()
	var ip gopacket.SerializableLayer = &layers.IPv4{
		Version: 4, IHL: uint8(5 + p.options), TTL: p.ttl, Protocol: p.protocol, SrcIP: mine[:], DstIP: p.to[:], FragOffset: p.fragment,
	}
	if p.six {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip = &layers.IPv6{Version: 6, HopLimit: p.ttl, NextHeader: p.protocol, SrcIP: mine6[:], DstIP: p.to6[:], Length: uint16(len(p.l4))}
	}
	payload := slices.Concat(make([]byte, 4*p.options*map[bool]int{false: 1}[p.six]), p.l4, make([]byte, 20))
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{}, eth, ip, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	f := slices.Clone(buf.Bytes())
	if !p.six {
		f[14] = 4<<4 | uint8(5+p.options)
	}
	return f
}

func udpPorts(src, dst uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
}

// asking is a frame, and the class that it is in; none if free.
type asking struct {
	name  string
	frame []byte
	class Class
	free  bool
}

const (
	overUDP   = layers.IPProtocolUDP
	overTCP   = layers.IPProtocolTCP
	overICMP  = layers.IPProtocolICMPv4
	overICMP6 = layers.IPProtocolICMPv6
)

// asked gives frames of every class, and frames that are nearly so.
func asked(t testing.TB) []asking {
	p := func(p packet) []byte { return p.bytes(t) }
	ping, ping6 := []byte{8, 0, 0, 0}, []byte{128, 0, 0, 0}
	return []asking{
		{"ARP for an unknown address", arpFrame{spa: mine, tpa: unknown}.bytes(t), ClassARP, false},
		{"an ARP reply", arpFrame{dst: peer, spa: mine, tpa: peers, op: 2}.bytes(t), ClassARP, false},
		{"ARP for the own address", arpFrame{spa: mine, tpa: mine}.bytes(t), ClassARP, false},
		{"ND of an unknown address", ndFrame{src6: mine6, target: unknown6}.bytes(t), ClassND, false},
		{"duplicate address detection", ndFrame{src6: nothing6, target: mine6, options: [][]byte{}}.bytes(t), ClassND, false},
		{"an advertisement", ndFrame{answer: true, src6: mine6, dst6: peers6, dst: peer, target: mine6}.bytes(t), ClassND, false},
		{"a router advertisement", p(packet{six: true, dst: everyone, to6: ip6{0: 255, 1: 2, 15: 1}, ttl: 255, protocol: overICMP6, l4: []byte{134, 0, 0, 0}}), ClassND, false},
		{"a redirect", p(packet{six: true, dst: peer, to6: peers6, ttl: 255, protocol: overICMP6, l4: []byte{137, 0, 0, 0}}), ClassND, false},
		{"a router solicitation", p(packet{six: true, dst: everyone, to6: ip6{0: 255, 1: 2, 15: 2}, ttl: 255, protocol: overICMP6, l4: []byte{133, 0, 0, 0}}), ClassRA, false},
		{"a DHCP question", p(packet{dst: everyone, to: ip4{255, 255, 255, 255}, protocol: overUDP, l4: udpPorts(68, 67)}), ClassDHCP4, false},
		{"a DHCP question with options of IPv4", p(packet{dst: everyone, options: 10, protocol: overUDP, l4: udpPorts(68, 67)}), ClassDHCP4, false},
		{"a DHCP question to one server", p(packet{dst: peer, to: peers, protocol: overUDP, l4: udpPorts(68, 67)}), ClassDHCP4, false},
		{"a DHCP answer", p(packet{dst: peer, to: peers, protocol: overUDP, l4: udpPorts(67, 68)}), 0, true},
		{"TCP with the ports of DHCP", p(packet{dst: peer, to: peers, protocol: overTCP, l4: udpPorts(68, 67)}), 0, true},
		{"a fragment with the ports of DHCP", p(packet{dst: everyone, fragment: 1, protocol: overUDP, l4: udpPorts(68, 67)}), 0, true},
		{"a DHCPv6 question", p(packet{six: true, dst: everyone, to6: ip6{0: 255, 1: 2, 13: 1, 15: 2}, protocol: overUDP, l4: udpPorts(546, 547)}), ClassDHCP6, false},
		{"a DHCPv6 answer", p(packet{six: true, dst: peer, to6: peers6, protocol: overUDP, l4: udpPorts(547, 546)}), 0, true},
		{"DNS", p(packet{to: gateway4, protocol: overUDP, l4: udpPorts(5353, 53)}), ClassDNS, false},
		{"DNS over TCP", p(packet{to: gateway4, protocol: overTCP, l4: udpPorts(4000, 53)}), ClassDNS, false},
		{"DNS over IPv6", p(packet{six: true, to6: gateway6, protocol: overUDP, l4: udpPorts(4000, 53)}), ClassDNS, false},
		{"DNS through the gateway", p(packet{to: unknown, protocol: overUDP, l4: udpPorts(4000, 53)}), 0, true},
		{"DNS to another guest", p(packet{dst: peer, to: peers, protocol: overUDP, l4: udpPorts(4000, 53)}), 0, true},
		{"DNS to another guest with the gateway's address", p(packet{dst: peer, to: gateway4, protocol: overUDP, l4: udpPorts(4000, 53)}), 0, true},
		{"an answer of DNS", p(packet{to: gateway4, protocol: overUDP, l4: udpPorts(53, 4000)}), 0, true},
		{"metadata", p(packet{to: gateway4, protocol: overTCP, l4: udpPorts(4000, 80)}), ClassMetadata, false},
		{"metadata over IPv6", p(packet{six: true, to6: gateway6, protocol: overTCP, l4: udpPorts(4000, 80)}), ClassMetadata, false},
		{"metadata by another MAC address", p(packet{dst: peer, to: everywhere4, protocol: overTCP, l4: udpPorts(4000, 80)}), ClassMetadata, false},
		{"another port of the address of metadata", p(packet{dst: peer, to: everywhere4, protocol: overTCP, l4: udpPorts(4000, 443)}), 0, true},
		{"UDP to the port of metadata", p(packet{to: gateway4, protocol: overUDP, l4: udpPorts(4000, 80)}), 0, true},
		{"a web server through the gateway", p(packet{to: unknown, protocol: overTCP, l4: udpPorts(4000, 80)}), 0, true},
		{"echo of the gateway", p(packet{to: gateway4, protocol: overICMP, l4: ping}), ClassEcho, false},
		{"echo of the gateway over IPv6", p(packet{six: true, to6: gateway6, protocol: overICMP6, l4: ping6}), ClassEcho, false},
		{"echo of the gateway on its last hop", p(packet{ttl: 1, to: gateway4, protocol: overICMP, l4: ping}), ClassEcho, false},
		{"echo through the gateway", p(packet{to: unknown, protocol: overICMP, l4: ping}), 0, true},
		{"an echo reply to the gateway", p(packet{to: gateway4, protocol: overICMP, l4: []byte{0, 0, 0, 0}}), 0, true},
		{"the last hop at the gateway", p(packet{ttl: 1, to: unknown, protocol: overUDP, l4: udpPorts(4000, 33434)}), ClassError, false},
		{"the last hop at the gateway, DNS", p(packet{ttl: 1, to: unknown, protocol: overUDP, l4: udpPorts(4000, 53)}), ClassError, false},
		{"the last hop at the gateway, a fragment", p(packet{ttl: 1, fragment: 7, to: unknown, protocol: overUDP}), ClassError, false},
		{"the last hop at the gateway over IPv6", p(packet{six: true, ttl: 1, to6: unknown6, protocol: overUDP, l4: udpPorts(4000, 33434)}), ClassError, false},
		{"the last hop to another guest", p(packet{dst: peer, ttl: 1, to: peers, protocol: overUDP, l4: udpPorts(4000, 33434)}), 0, true},
		{"the last hop but one", p(packet{ttl: 2, to: unknown, protocol: overUDP, l4: udpPorts(4000, 33434)}), 0, true},
		{"a packet for another guest", p(packet{dst: peer, to: peers, protocol: overTCP, l4: udpPorts(4000, 443)}), 0, true},
	}
}

// TestPrivilegedClasses: what is in a class is dropped and counted when its bucket is empty, and what is for others is not.
func TestPrivilegedClasses(t *testing.T) {
	k, limited := loadWorld(t), loadLimited(t)
	for _, a := range asked(t) {
		t.Run(a.name, func(t *testing.T) {
			reason, _ := expect(a.frame)
			want := reason
			if !a.free {
				want = a.class.Dropped()
			}
			if got := atLimit(a.frame, reason); got != want {
				t.Errorf("the model of the fuzz test says %v, the table %v", got, want)
			}
			for _, program := range []string{GuestXDP, GuestTC} {
				k.check(t, program, a.frame, reason, nil)
				limited.check(t, program, a.frame, want, nil)
			}
		})
	}
}

// Answers of the program itself are not limited, nor is what it refuses for another reason counted twice.
func TestPrivilegedAnswersAreFree(t *testing.T) {
	k := loadLimited(t)
	for _, program := range []string{GuestXDP, GuestTC} {
		k.check(t, program, arpFrame{spa: mine, tpa: peers}.bytes(t), AnswerARP, reply(t, peer, peers, me, mine, 0))
		k.check(t, program, ndFrame{src6: mine6, target: peers6}.bytes(t), AnswerND, advertised(t, peer, peers6, me, mine6).bytes(t))
		k.check(t, program, arpFrame{spa: peers, tpa: unknown}.bytes(t), DropARPSender, nil)
	}
}

// A port without a guard, and one with limits of some classes only, is limited all the same.
func TestPrivilegedLimitsWithoutGuard(t *testing.T) {
	k := loadLimited(t)
	if err := k.Maps[PortsMap].Delete(loopback); err != nil {
		t.Fatal(err)
	}
	spoofed, spoofed6 := arpFrame{spa: peers, tpa: unknown}.bytes(t), ndFrame{src6: peers6, target: unknown6}.bytes(t)
	for _, program := range []string{GuestXDP, GuestTC} {
		k.check(t, program, spoofed, ClassARP.Dropped(), nil)
		k.check(t, program, spoofed6, ClassND.Dropped(), nil)
	}
	if err := k.Maps[LimitsMap].Delete(ClassARP); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{GuestXDP, GuestTC} {
		k.check(t, program, spoofed, uncounted, nil)
		k.check(t, program, spoofed6, ClassND.Dropped(), nil)
	}
	if err := k.Maps[BucketsMap].Delete(loopback); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{GuestXDP, GuestTC} {
		k.check(t, program, spoofed6, uncounted, nil)
	}
}

// A bucket holds its burst, is filled with time, and never holds more; each class and each port has its own.
func TestPrivilegedBuckets(t *testing.T) {
	k := loadLimited(t)
	dns, ping := packet{to: gateway4, protocol: overUDP, l4: udpPorts(4000, 53)}.bytes(t), packet{to: gateway4, protocol: overICMP, l4: []byte{8, 0, 0, 0}}.bytes(t)
	const burst = 5
	// As long as the clock has room for, which begins with the machine: however slow that is, the bucket gets nothing more meanwhile.
	long := time.Duration(monotonic(t)) / (3 * burst)
	k.put(t, LimitsMap, ClassDNS, Limit{Interval: uint64(long), Saved: burst * uint64(long)})
	for _, program := range []string{GuestXDP, GuestTC} {
		b := Buckets{}
		for _, tc := range []struct {
			saved time.Duration
			pass  int
		}{{2 * burst * long, burst}, {burst * long, burst}, {2*long + long/10, 2}, {0, 0}} {
			b.Of[ClassDNS] = xdpOvBucket{From: monotonic(t) - uint64(tc.saved)}
			k.put(t, BucketsMap, loopback, b)
			for i := range 2 * burst {
				want := uncounted
				if i >= tc.pass {
					want = ClassDNS.Dropped()
				}
				k.check(t, program, dns, want, nil)
				k.check(t, program, ping, ClassEcho.Dropped(), nil)
			}
			var got Buckets
			if err := k.Maps[BucketsMap].Lookup(loopback, &got); err != nil {
				t.Fatal(err)
			}
			if d := got.Of[ClassDNS]; d.Passed != uint64(tc.pass) || d.Dropped != uint64(2*burst-tc.pass) {
				t.Errorf("%s: %v saved up: %d passed and %d dropped are counted", program, tc.saved, d.Passed, d.Dropped)
			}
		}
	}
	// Nanoseconds: whatever passes is no more than the rate gives.
	const interval = 20 * time.Microsecond
	k.put(t, LimitsMap, ClassDNS, Limit{Interval: uint64(interval), Saved: burst * uint64(interval)})
	k.put(t, BucketsMap, loopback, Buckets{})
	began, passed := time.Now(), 0
	for range 2000 {
		if v, _ := k.run(t, GuestXDP, dns); v == Pass {
			passed++
		}
	}
	if most := burst + 1 + int(time.Since(began)/interval); passed < burst || passed > most {
		t.Errorf("%d of 2000 frames passed in %v, at most %d may", passed, time.Since(began), most)
	}
}

// atLimit is what becomes of a frame whose class has used up its bucket, written again in Go; r is what becomes of it otherwise.
func atLimit(f []byte, r Reason) Reason {
	if len(f) < 14 {
		return r
	}
	ether := binary.BigEndian.Uint16(f[12:])
	if r != uncounted {
		if r.Verdict() == Pass {
			return map[uint16]Class{0x0806: ClassARP, 0x86dd: ClassND}[ether].Dropped()
		}
		return r
	}
	var dst []byte
	var protocol, ttl uint8
	var l4 []byte
	switch {
	case ether == 0x0800 && len(f) >= 34:
		dst, protocol, ttl = f[30:34], f[23], f[22]
		if header := 14 + int(f[14]&0xf)*4; binary.BigEndian.Uint16(f[20:])&0x1fff == 0 && len(f) >= header {
			l4 = f[header:]
		} else if binary.BigEndian.Uint16(f[20:])&0x1fff != 0 {
			protocol = 0
		}
	case ether == 0x86dd && len(f) >= 54:
		dst, protocol, ttl, l4 = f[38:54], f[20], f[21], f[54:]
	default:
		return r
	}
	toGateway := mac(f[0:]) == gateway
	own := toGateway && (slices.Equal(dst, gateway4[:]) || slices.Equal(dst, gateway6[:])) || slices.Equal(dst, everywhere4[:])
	six := ether == 0x86dd
	switch {
	case protocol == 17 || protocol == 6:
		if len(l4) < 4 {
			return r
		}
		from, to := binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
		switch {
		case !six && protocol == 17 && from == 68 && to == 67:
			return ClassDHCP4.Dropped()
		case six && protocol == 17 && from == 546 && to == 547:
			return ClassDHCP6.Dropped()
		case own && to == 53:
			return ClassDNS.Dropped()
		case own && protocol == 6 && to == 80:
			return ClassMetadata.Dropped()
		}
	case !six && protocol == 1 || six && protocol == 58:
		if len(l4) < 1 {
			return r
		}
		switch {
		case six && l4[0] == 133:
			return ClassRA.Dropped()
		case six && l4[0] > 133 && l4[0] <= 137:
			return ClassND.Dropped()
		case own && l4[0] == map[bool]uint8{false: 8, true: 128}[six]:
			return ClassEcho.Dropped()
		}
	}
	if toGateway && ttl <= 1 {
		return ClassError.Dropped()
	}
	return r
}

// randomPacket mixes the values that classes are told by.
func randomPacket(t testing.TB, pick func(int) int) []byte {
	macs := []mac{gateway, gateway, gateway, peer, everyone}
	ports := []uint16{53, 53, 67, 68, 80, 80, 546, 547, 4000}
	p := packet{
		six: pick(2) == 0, dst: macs[pick(len(macs))], to: []ip4{gateway4, gateway4, peers, everywhere4}[pick(4)], to6: []ip6{gateway6, gateway6, peers6}[pick(3)],
		ttl: []uint8{1, 64, 255}[pick(3)], protocol: []layers.IPProtocol{overUDP, overTCP, overICMP, overICMP6, 0}[pick(5)],
		l4: udpPorts(ports[pick(len(ports))], ports[pick(len(ports))]), options: pick(2) * pick(11), fragment: uint16(pick(8) / 7 * pick(3)),
	}
	switch {
	case pick(6) == 0:
		p.protocol, p.l4 = overUDP, [][]byte{udpPorts(68, 67), udpPorts(546, 547)}[pick(2)]
	case p.protocol == overICMP || p.protocol == overICMP6:
		p.l4 = []byte{[]byte{8, 128, 133, 134, 136, 137, 138, 0}[pick(8)], 0, 0, 0}
	}
	return p.bytes(t)
}

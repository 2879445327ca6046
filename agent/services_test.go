package agent

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

// A device outside is learned when it sends first, is known from then on, and forgotten when its port goes.
func TestLearning(t *testing.T) {
	p1, p2 := port("p1", "", 11), port("p2", "", 12)
	b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1"), attached(2, "p2")), p1, p2)
	device := mac(77)
	question := frame.ARP{Op: frame.ARPRequest, SenderMAC: device, SenderAddr: netip.MustParseAddr("10.0.0.77"), TargetAddr: netip.MustParseAddr("10.0.0.1")}.
		Encode(frame.Ethernet{Src: device, Dst: frame.Broadcast()})
	b.sw.Receive(t, ovstest.Frame{Port: 12, Data: question})
	toDevice := func() bool {
		return slices.ContainsFunc(strings.Split(b.flows(), "\n"), func(f string) bool { return strings.Contains(f, "dl_dst=02:00:00:00:00:4d") })
	}
	b.until("the switch knows the device", toDevice)
	sent := b.count("learn", "")
	b.sw.Receive(t, ovstest.Frame{Port: 12, Data: question})
	if n := b.count("learn", ""); n != sent {
		t.Errorf("a device that is known goes to the agent %d more times", n-sent)
	}
	out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: udp(mac(1), device, "10.0.0.1", "10.0.0.77")})
	if len(out) != 1 || out[0].Port != 12 {
		t.Errorf("to the device: %v", out)
	}
	b.replica.setPorts(bridge(p1))
	signal(b.wakes)
	b.until("the device is forgotten with its port", func() bool {
		b.replica.mu.RLock()
		defer b.replica.mu.RUnlock()
		for range b.replica.in.Bridge.AllLearned() {
			return false
		}
		return true
	})
	if toDevice() {
		b.until("the flow goes", func() bool { return !toDevice() })
	}
}

// router gives a leg of nw-a at 10.0.0.254 and one of the physical network nw-w at 192.0.2.1 on this host, joined by a route link.
func router() []model.Object {
	leg := func(n uint32, name, network, addr string) []model.Object {
		return []model.Object{
			&model.Interface{Meta: model.Meta{UUID: "if-" + name, ID: n}, Mode: model.InterfaceSimulated, EnableRouting: true},
			&model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + name, ID: n}, InterfaceUUID: "if-" + name, DatapathUUID: "dp-0"},
			&model.MACLease{Meta: model.Meta{UUID: "ml-" + name, ID: n}, InterfaceUUID: "if-" + name, MACAddress: mac(byte(n))},
			&model.IPLease{Meta: model.Meta{UUID: "il-" + name, ID: n}, InterfaceUUID: "if-" + name, NetworkUUID: network, MACLeaseUUID: "ml-" + name, IPv4Address: netip.MustParseAddr(addr), EnableRouting: true},
			&model.Route{
				Meta: model.Meta{UUID: "r-" + name, ID: n}, InterfaceUUID: "if-" + name, NetworkUUID: network, RouteLinkUUID: "rl-a", Mode: model.RouteGateway,
				IPv4Network: netip.PrefixFrom(netip.MustParseAddr(addr), 24).Masked().Addr(), IPv4Prefix: 24, Ingress: true, Egress: true,
			},
		}
	}
	return slices.Concat([]model.Object{
		&model.Network{Meta: model.Meta{UUID: "nw-w", ID: 30}, Mode: model.NetworkPhysical, IPv4Network: netip.MustParseAddr("192.0.2.0"), IPv4Prefix: 24},
		&model.RouteLink{Meta: model.Meta{UUID: "rl-a", ID: 1}, VNI: 900, MACAddress: mac(250)},
	}, leg(101, "in", "nw-a", "10.0.0.254"), leg(102, "out", "nw-w", "192.0.2.1"))
}

// A packet for a next hop that nobody registered waits while the agent asks, and goes on when it is answered; the next one meets a flow.
func TestNextHopIsAskedFor(t *testing.T) {
	b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1"), router()), port("p1", "", 11))
	device := mac(77)
	packet := udp(mac(1), mac(101), "10.0.0.1", "192.0.2.7")
	if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet}); len(out) != 0 {
		t.Fatalf("the packet does not wait: %v", out)
	}
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet})
	q := b.sent("a question", func(f ovstest.Frame) bool { return f.Port == portNIC })
	_, a, reason := frame.DecodeARP(q.Data)
	if reason != frame.OK || a.Op != frame.ARPRequest || a.TargetAddr.String() != "192.0.2.7" || a.SenderAddr.String() != "192.0.2.1" || a.SenderMAC != mac(102) {
		t.Fatalf("asked %+v (%s)", a, reason)
	}
	b.until("both packets wait", func() bool { return b.count("neighbor", "") == 2 })
	answer := frame.ARP{Op: frame.ARPReply, SenderMAC: device, SenderAddr: a.TargetAddr, TargetMAC: a.SenderMAC, TargetAddr: a.SenderAddr}.Encode(frame.Ethernet{Src: device, Dst: a.SenderMAC})
	b.sw.Receive(t, ovstest.Frame{Port: portNIC, Data: answer})
	want := func(f ovstest.Frame) {
		t.Helper()
		eth, _, _ := frame.DecodeEthernet(f.Data)
		d, reason := frame.DecodeDatagram(f.Data)
		if f.Port != portNIC || eth.Dst != device || eth.Src != mac(102) || reason != frame.OK || d.IP.TTL != 63 {
			t.Errorf("out of port %d from %s to %s, TTL %d (%s)", f.Port, eth.Src, eth.Dst, d.IP.TTL, reason)
		}
	}
	for range 2 {
		want(b.sent("a packet that waited", func(ovstest.Frame) bool { return true }))
	}
	b.until("the next packet meets a flow", func() bool {
		out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet})
		if len(out) == 1 {
			want(out[0])
		}
		return len(out) == 1
	})
	// The leg goes, and with it what it knew.
	b.replica.change(2, nil, []string{"if-out", "ifp-out", "ml-out", "il-out", "r-out"})
	signal(b.wakes)
	b.until("the next hop is forgotten", func() bool {
		b.replica.mu.RLock()
		defer b.replica.mu.RUnlock()
		for range b.replica.in.Bridge.Neighbors() {
			return false
		}
		return true
	})
}

// The same by neighbour discovery.
func TestNextHopIsSolicited(t *testing.T) {
	objects := slices.Concat(base(), guest(1, "dp-0", "p1"), router())
	addr := map[string]string{"if-b": "fd00:a::1", "if-in": "fd00:a::fe", "if-out": "fd00:b::1"}
	for _, o := range objects {
		switch o := o.(type) {
		case *model.Network:
			o.IPv6Network, o.IPv6Prefix = netip.MustParseAddr(map[string]string{"nw-a": "fd00:a::", "nw-w": "fd00:b::"}[o.UUID]), 64
		case *model.IPLease:
			o.IPv4Address, o.IPv6Address = netip.Addr{}, netip.MustParseAddr(addr[o.InterfaceUUID])
		case *model.Route:
			o.IPv4Network, o.IPv4Prefix = netip.Addr{}, 0
			o.IPv6Network, o.IPv6Prefix = netip.PrefixFrom(netip.MustParseAddr(addr[o.InterfaceUUID]), 64).Masked().Addr(), 64
		}
	}
	b := newBench(t, objects, port("p1", "", 11))
	device, far := mac(77), netip.MustParseAddr("fd00:b::7")
	src, dst := netip.MustParseAddr(addr["if-b"]).As16(), far.As16()
	packet := append([]byte{2, 0, 0, 0, 0, 101, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 17, 64}, append(src[:], dst[:]...)...)
	packet = append(packet, 3, 0xe8, 7, 0xd0, 0, 8, 0, 0)
	if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet}); len(out) != 0 {
		t.Fatalf("the packet does not wait: %v", out)
	}
	q := b.sent("a solicitation", func(f ovstest.Frame) bool { return f.Port == portNIC })
	eth, m, reason := frame.DecodeND(q.Data)
	if reason != frame.OK || m.Advertisement || m.Target != far || m.Src.String() != addr["if-out"] || m.Link != mac(102) || eth.Dst != (model.MAC{0x33, 0x33, 0xff, 0, 0, 7}) {
		t.Fatalf("asked %+v to %s (%s)", m, eth.Dst, reason)
	}
	answer := frame.ND{Advertisement: true, Flags: 0x6000_0000, Src: far, Dst: m.Src, Target: far, Link: device}.Encode(frame.Ethernet{Src: device, Dst: mac(102)})
	b.sw.Receive(t, ovstest.Frame{Port: portNIC, Data: answer})
	f := b.sent("the packet that waited", func(ovstest.Frame) bool { return true })
	eth, _, _ = frame.DecodeEthernet(f.Data)
	if f.Port != portNIC || eth.Dst != device || eth.Src != mac(102) || f.Data[21] != 63 {
		t.Errorf("out of port %d: %+v, hop limit %d", f.Port, eth, f.Data[21])
	}
}

// A leg that is at every host asks from one of them, and the answer comes in where the device is, at another.
func TestNextHopBehindAnotherHost(t *testing.T) {
	objects := slices.Concat(base(), guest(1, "dp-0", "p1"), guest(3, "dp-0", "p3"), peer(), router(), attached(2, "p2"))
	for _, o := range objects {
		switch o := o.(type) {
		case *model.Network:
			if o.UUID == "nw-w" {
				o.Mode, o.VNI = model.NetworkVirtual, 200
			}
		case *model.InterfacePort:
			switch o.InterfaceUUID {
			case "if-in", "if-out":
				o.DatapathUUID = ""
			case "if-c":
				o.DatapathUUID = "dp-1"
			}
		case *model.InterfaceNetwork:
			o.NetworkUUID = "nw-w"
		case *model.IPLease:
			if o.InterfaceUUID == "if-d" { // the network is present on both hosts
				o.NetworkUUID, o.IPv4Address = "nw-w", netip.MustParseAddr("192.0.2.3")
			}
		}
	}
	here := newBenchAt(t, "dp-0", ovstest.Options{}, objects, port("p1", "", 11), port("p3", "", 13))
	there := newBenchAt(t, "dp-1", ovstest.Options{}, objects, port("p2", "", 12))
	addrs := map[*bench]netip.Addr{here: netip.MustParseAddr("198.51.100.1"), there: netip.MustParseAddr("198.51.100.2")}
	out := make(chan ovstest.Frame, 100) // that leaves a host for no other
	var carry func(from *bench, f ovstest.Frame)
	carry = func(from *bench, f ovstest.Frame) {
		if f.Port != portGeneve {
			out <- f
			return
		}
		for b, a := range addrs {
			if a == f.Remote {
				for _, g := range b.sw.Receive(t, ovstest.Frame{Port: portGeneve, Key: f.Key, Remote: addrs[from], Data: f.Data}) {
					carry(b, g)
				}
			}
		}
	}
	var carrying sync.WaitGroup
	for b := range addrs {
		carrying.Go(func() {
			for f := b.sw.Sent(b.ctx(), func(ovstest.Frame) bool { return true }); f != nil; f = b.sw.Sent(b.ctx(), func(ovstest.Frame) bool { return true }) {
				carry(b, *f)
			}
		})
	}
	defer func() { here.stop(); there.stop(); carrying.Wait() }()
	next := func() ovstest.Frame {
		select {
		case f := <-out:
			return f
		case <-here.ctx().Done():
			t.Fatalf("nothing goes out\nhere: %+v\nthere: %+v\n%s", here.dropped(), there.dropped(), there.flows())
		}
		return ovstest.Frame{}
	}
	device := mac(77)
	if got := here.sw.Receive(t, ovstest.Frame{Port: 11, Data: udp(mac(1), mac(101), "10.0.0.1", "192.0.2.7")}); len(got) != 0 {
		t.Fatalf("the packet does not wait: %v", got)
	}
	q := next()
	_, a, reason := frame.DecodeARP(q.Data)
	if q.Port != 12 || reason != frame.OK || a.TargetAddr.String() != "192.0.2.7" {
		t.Fatalf("asked out of port %d: %+v (%s)", q.Port, a, reason)
	}
	answer := frame.ARP{Op: frame.ARPReply, SenderMAC: device, SenderAddr: a.TargetAddr, TargetMAC: a.SenderMAC, TargetAddr: a.SenderAddr}.Encode(frame.Ethernet{Src: device, Dst: a.SenderMAC})
	there.sw.Receive(t, ovstest.Frame{Port: 12, Data: answer})
	f := next()
	eth, _, _ := frame.DecodeEthernet(f.Data)
	if f.Port != 12 || eth.Dst != device || eth.Src != mac(102) || eth.Type != frame.TypeIPv4 {
		t.Errorf("out of port %d: %+v", f.Port, eth)
	}
}

// Interfaces of a domain that snoops are asked which groups they are in, and what they say leads there, also what other hosts say.
func TestSnooping(t *testing.T) {
	third := guest(3, "dp-0", "p3")
	objects := slices.Concat(base(), guest(1, "dp-0", "p1"), guest(2, "dp-0", "p2"), peer())
	for _, o := range objects {
		if n, ok := o.(*model.Network); ok && n.UUID == "nw-a" {
			n.Multicast = model.MulticastSnoop
		}
	}
	ports := []compile.Port{port("p1", "", 11), port("p2", "", 12), port("p3", "", 13)}
	b := newBench(t, objects, ports...)
	asked := map[uint32]int{}
	for len(asked) < 2 || asked[11] < 2 || asked[12] < 2 {
		f := b.sent("queries to both guests", func(f ovstest.Frame) bool { return f.Data[0]&1 == 1 })
		asked[f.Port]++
	}
	if len(asked) != 2 {
		t.Errorf("asked out of ports %v", asked)
	}
	group := netip.MustParseAddr("239.1.2.3")
	report := func(src model.MAC, from netip.Addr) []byte {
		eth := frame.Ethernet{Src: src, Dst: model.MAC{1, 0, 0x5e, 1, 2, 3}, Type: frame.TypeIPv4}
		ip := frame.IPv4{TTL: 1, Protocol: 2, Src: from, Dst: group}.Append(eth.Append(nil), 8)
		return append(ip, 0x16, 0, 0xf9, 0xfc, 239, 1, 2, 3)
	}
	members := func() []string {
		b.replica.mu.RLock()
		defer b.replica.mu.RUnlock()
		return slices.Sorted(slices.Values(b.replica.in.Bridge.MembersOf(compile.MemberKey{Domain: 100, Group: group})))
	}
	b.sw.Receive(t, ovstest.Frame{Port: 12, Data: report(mac(2), netip.MustParseAddr("10.0.0.2"))})
	b.until("the guest is a member", func() bool { return slices.Equal(members(), []string{"if-c"}) })
	b.sw.Receive(t, ovstest.Frame{Port: portGeneve, Key: 100, Remote: netip.MustParseAddr("198.51.100.2"), Data: report(mac(60), netip.MustParseAddr("10.0.0.60"))})
	b.until("the other host is a member", func() bool { return slices.Equal(members(), []string{"dp-1", "if-c"}) })
	packet := udp(mac(1), model.MAC{1, 0, 0x5e, 1, 2, 3}, "10.0.0.1", "239.1.2.3")
	b.until("multicast goes to the members only", func() bool {
		out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: packet})
		ports := []uint32{}
		for _, f := range out {
			ports = append(ports, f.Port)
		}
		slices.Sort(ports)
		return slices.Equal(ports, []uint32{portGeneve, 12})
	})
	// A guest that comes is asked; the others are not.
	b.replica.change(2, third, nil)
	signal(b.wakes)
	for range 2 {
		if f := b.sent("a query", func(f ovstest.Frame) bool { return f.Data[0]&1 == 1 }); f.Port != 13 {
			t.Errorf("asked out of port %d", f.Port)
		}
	}
	// The host goes.
	b.replica.change(3, nil, []string{"dp-1"})
	signal(b.wakes)
	b.until("the other host is no member any more", func() bool { return slices.Equal(members(), []string{"if-c"}) })
}

// guarded gives a security group of the guests with these numbers that logs and rejects what is for UDP port 2000.
func guarded(direction string, numbers ...int) []model.Object {
	objects := []model.Object{
		&model.SecurityGroup{Meta: model.Meta{UUID: "sg-a", ID: 1}, EgressFilteringEnabled: direction == model.RuleEgress},
		&model.SecurityGroupRule{
			Meta: model.Meta{UUID: "sgr-a", ID: 7}, SecurityGroupUUID: "sg-a", Direction: direction, Protocol: "udp", PortFirst: 2000, PortLast: 2000, ICMPType: -1, ICMPCode: -1,
			Action: model.RuleReject, Log: true,
		},
		&model.SecurityGroupRule{
			Meta: model.Meta{UUID: "sgr-b", ID: 8}, SecurityGroupUUID: "sg-a", Direction: model.RuleEgress, Protocol: "any", ICMPType: -1, ICMPCode: -1, Action: model.RuleAllow,
		},
	}
	for _, n := range numbers {
		uuid := "if-" + string(rune('a'+n))
		objects = append(objects, &model.SecurityGroupInterface{Meta: model.Meta{UUID: "sgif-" + uuid[3:], ID: uint32(n)}, SecurityGroupUUID: "sg-a", InterfaceUUID: uuid})
	}
	return objects
}

// Who sends what a rule rejects is told, on this host and on another, whichever side rejects, and the packet is logged.
func TestRejectedSendersAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		direction string
		member    int
		in        ovstest.Frame
		back      uint32
	}{
		"by the sender's rule":   {model.RuleEgress, 1, ovstest.Frame{Port: 11, Data: udp(mac(1), mac(2), "10.0.0.1", "10.0.0.2")}, 11},
		"by the receiver's rule": {model.RuleIngress, 2, ovstest.Frame{Port: 11, Data: udp(mac(1), mac(2), "10.0.0.1", "10.0.0.2")}, 11},
		"to a sender on another host": {model.RuleIngress, 2, ovstest.Frame{
			Port: portGeneve, Key: 100, Remote: netip.MustParseAddr("198.51.100.2"), Data: udp(mac(60), mac(2), "10.0.0.60", "10.0.0.2"),
		}, portGeneve},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1"), guest(2, "dp-0", "p2"), peer(), guarded(tc.direction, tc.member)), port("p1", "", 11), port("p2", "", 12))
			if out := b.sw.Receive(t, tc.in); len(out) != 0 {
				t.Fatalf("the packet passes: %v", out)
			}
			f := b.sent("an answer", func(f ovstest.Frame) bool { return f.Port == tc.back && f.Data[0]&1 == 0 })
			sent, _, _ := frame.DecodeEthernet(tc.in.Data)
			eth, ip, _ := frame.DecodeEthernet(f.Data)
			h, body, reason := frame.DecodeIPv4(ip)
			if eth.Dst != sent.Src || eth.Src != sent.Dst || reason != frame.OK || h.Protocol != 1 || body[0] != 3 || !bytes.Equal(body[8:28], tc.in.Data[14:34]) {
				t.Errorf("from %s to %s: %+v % x (%s)", eth.Src, eth.Dst, h, body, reason)
			}
			b.until("the packet is logged", func() bool { return strings.Contains(b.logged.String(), "sgr-a") })
			for _, want := range []string{
				`"rule":"sgr-a"`, `"verdict":"reject"`, `"direction":"` + tc.direction + `"`, `"interface":"if-` + string(rune('a'+tc.member)) + `"`,
				`"protocol":"udp"`, `"dst":"10.0.0.2"`, `"src_port":1000`, `"dst_port":2000`,
			} {
				if !strings.Contains(b.logged.String(), want) {
					t.Errorf("the log lacks %s: %s", want, b.logged.String())
				}
			}
		})
	}
}

// addressed6 gives an interface of mode vif an IPv6 address of a network.
func addressed6(n int, network, addr string) *model.IPLease {
	uuid := string(rune('a' + n))
	return &model.IPLease{Meta: model.Meta{UUID: "il-six" + uuid, ID: uint32(100 + n)}, InterfaceUUID: "if-" + uuid, NetworkUUID: network, MACLeaseUUID: "ml-" + uuid, IPv6Address: netip.MustParseAddr(addr)}
}

// Where the datapath cannot answer solicitations, the agent does, as the flows do elsewhere: to the port, to the byte.
func TestSolicitationsAreAnswered(t *testing.T) {
	network := *base()[2].(*model.Network)
	network.IPv6Network, network.IPv6Prefix = netip.MustParseAddr("fd00::"), 64
	objects := slices.Concat(base()[:2], []model.Object{
		&network,
		&model.Network{Meta: model.Meta{UUID: "nw-w", ID: 30}, Mode: model.NetworkPhysical, IPv6Network: netip.MustParseAddr("fd01::"), IPv6Prefix: 64},
		&model.Datapath{Meta: model.Meta{UUID: "dp-1", ID: 2}, DPID: 2},
	}, guest(1, "dp-0", "p1"), guest(2, "dp-1", "p2"), attached(3, "p3"), guest(4, "dp-0", "p4"),
		[]model.Object{addressed6(1, "nw-a", "fd00::1"), addressed6(2, "nw-a", "fd00::2"), addressed6(4, "nw-w", "fd01::4")})
	ports := []compile.Port{port("p1", "", 11), port("p3", "", 13), port("p4", "", 14)}
	byFlows := newBenchAt(t, "dp-0", ovstest.Options{}, objects, ports...)
	byAgent := newBenchAt(t, "dp-0", ovstest.Options{NoND: true}, objects, ports...)

	ask := func(m model.MAC, from, target string, change func(f []byte) []byte) []byte {
		to, group := frame.SolicitedNode(netip.MustParseAddr(target))
		f := frame.ND{Src: netip.MustParseAddr(from), Dst: to, Target: netip.MustParseAddr(target), Link: m}.Encode(frame.Ethernet{Src: m, Dst: group})
		if change != nil {
			f = change(f)
		}
		return f
	}
	for name, tc := range map[string]struct {
		port  uint32
		frame []byte
	}{
		"another host's":         {11, ask(mac(1), "fd00::1", "fd00::2", nil)},
		"link-local":             {11, ask(mac(1), "fe80::ff:fe00:1", "fe80::ff:fe00:2", nil)},
		"padded":                 {11, ask(mac(1), "fd00::1", "fd00::2", func(f []byte) []byte { return append(f, 1, 2, 3, 4) })},
		"of a class":             {11, ask(mac(1), "fd00::1", "fd00::2", func(f []byte) []byte { f[14], f[15] = 0x6b, 0x81; return f })},
		"a wrong checksum":       {11, ask(mac(1), "fd00::1", "fd00::2", func(f []byte) []byte { f[56] ^= 1; return f })},
		"through a router":       {11, ask(mac(1), "fd00::1", "fd00::2", func(f []byte) []byte { f[21] = 64; return f })},
		"a nonce":                {11, ask(mac(1), "fd00::1", "fd00::2", func(f []byte) []byte { f[19] += 8; return append(f, 14, 1, 1, 2, 3, 4, 5, 6) })},
		"without option":         {11, ask(mac(1), "fd00::1", "fd00::2", func(f []byte) []byte { f[19] -= 8; return f[:len(f)-8] })},
		"of a device outside":    {13, ask(mac(77), "fd00::77", "fd00::1", nil)},
		"of the wire":            {portNIC, ask(mac(78), "fd01::78", "fd01::4", nil)},
		"behind options":         {11, ask(mac(1), "fd00::1", "fd00::2", hopByHop)},
		"of a device, by option": {13, ask(mac(77), "fd00::77", "fe80::ff:fe00:2", nil)},
	} {
		out := byFlows.sw.Receive(t, ovstest.Frame{Port: tc.port, Data: tc.frame})
		if len(out) != 1 || out[0].Port != tc.port {
			t.Fatalf("%s: the flows do not answer: %+v", name, out)
		}
		if now := byAgent.sw.Receive(t, ovstest.Frame{Port: tc.port, Data: tc.frame}); len(now) != 0 {
			t.Errorf("%s: goes to %+v", name, now)
		}
		got := byAgent.sw.Sent(byAgent.ctx(), func(ovstest.Frame) bool { return true })
		if got == nil || got.Port != tc.port || !bytes.Equal(got.Data, out[0].Data) {
			t.Errorf("%s: the agent answers\n%x, the flows\n%x", name, got, out[0].Data)
		}
	}
	for name, f := range map[string][]byte{
		"spoofed":              ask(mac(1), "fd00::2", "fd00::1", nil),
		"duplicate address":    ask(mac(1), "::", "fd00::1", func(f []byte) []byte { f[19] -= 8; return f[:len(f)-8] }),
		"nobody has it":        ask(mac(1), "fd00::1", "fd00::99", nil),
		"link-layer of others": ask(mac(1), "fd00::1", "fd00::2", func(f []byte) []byte { f[85] = 2; return f }),
	} {
		asked := byAgent.count("nd", "")
		for _, q := range [][]byte{f, ask(mac(1), "fd00::1", "fd00::2", nil)} {
			byAgent.sw.Receive(t, ovstest.Frame{Port: 11, Data: q})
		}
		byAgent.sw.Sent(byAgent.ctx(), func(ovstest.Frame) bool { return true })
		if n := byAgent.count("nd", ""); n != asked+1 {
			t.Errorf("%s: goes to the agent", name)
		}
	}
}

// hopByHop gives the frame with an extension header that says nothing.
func hopByHop(f []byte) []byte {
	f = slices.Insert(f, 54, 58, 0, 1, 4, 0, 0, 0, 0)
	f[20], f[19] = 0, f[19]+8
	return f
}

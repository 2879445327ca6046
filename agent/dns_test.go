package agent

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/openvnet/openvnet/agent/forward"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dns"
	"github.com/openvnet/openvnet/services/frame"
)

// dnsServer gives the objects of a DNS server at an address of nw-a.
func dnsServer(upstreams model.AddressList) []model.Object {
	return []model.Object{
		&model.Interface{Meta: model.Meta{UUID: "if-dns", ID: 98}, Mode: model.InterfaceSimulated},
		&model.MACLease{Meta: model.Meta{UUID: "ml-dns", ID: 98}, InterfaceUUID: "if-dns", MACAddress: mac(98)},
		&model.IPLease{Meta: model.Meta{UUID: "il-dns", ID: 98}, InterfaceUUID: "if-dns", NetworkUUID: "nw-a", MACLeaseUUID: "ml-dns", IPv4Address: netip.MustParseAddr("10.0.0.98")},
		&model.NetworkService{Meta: model.Meta{UUID: "ns-dns", ID: 98}, Mode: model.ServiceDNS, InterfaceUUID: "if-dns"},
		&model.DNSService{Meta: model.Meta{UUID: "dnss-a", ID: 98}, NetworkServiceUUID: "ns-dns", PublicDNS: upstreams},
		record(1, "www.example", "10.0.0.80"),
	}
}

func record(n int, name, addr string) *model.DNSRecord {
	return &model.DNSRecord{Meta: model.Meta{UUID: fmt.Sprint("dnsr-", n), ID: uint32(n)}, DNSServiceUUID: "dnss-a", Type: model.RecordAddress, Name: model.RecordName(name), IPv4Address: netip.MustParseAddr(addr), TTL: 300}
}

// question encodes one.
func question(t testing.TB, name string, typ uint16) []byte {
	t.Helper()
	m := new(mdns.Msg)
	m.SetQuestion(mdns.Fqdn(name), typ)
	q, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// look gives what a server of the replica answers to a name or the name of an address, in words.
func look(t *testing.T, s *dnsService, name string) string {
	t.Helper()
	typ := mdns.TypeA
	if strings.HasSuffix(name, ".arpa") {
		typ = mdns.TypePTR
	}
	at, ok := s.names.at(100, netip.MustParseAddr("10.0.0.98"))
	if !ok {
		return "no server"
	}
	said := ""
	s.answer(at, 1, question(t, name, typ), dns.Options{TCP: true}, func(b []byte) { said = inWords(t, b) })
	return said
}

func inWords(t *testing.T, b []byte) string {
	t.Helper()
	var m mdns.Msg
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, rr := range m.Answer {
		out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(out)
	if out == nil {
		return mdns.RcodeToString[m.Rcode]
	}
	return strings.Join(out, " ")
}

// Names follow every change of what they are made of, and a zone that has followed is as one that is made anew.
func TestNamesFollow(t *testing.T) {
	r := newReplica()
	server := dnsServer("")
	network := *base()[2].(*model.Network)
	r.load("store", "dp-0", 1, slices.Concat(base(), guest(1, "dp-0", "p1"), guest(2, "dp-0", "p2"), guest(3, "dp-0", "p3"), server, []model.Object{
		&model.Network{Meta: model.Meta{UUID: "nw-b", ID: 2}, Mode: model.NetworkVirtual, VNI: 200, IPv4Network: netip.MustParseAddr("10.0.0.0"), IPv4Prefix: 24},
	}), true)
	s := newDNSService(&desk{replica: r, log: slog.New(slog.DiscardHandler)})
	put := func(os ...model.Object) { r.change(r.revision+1, os, nil) }
	drop := func(uuids ...string) { r.change(r.revision+1, nil, uuids) }
	check := func(step string, want map[string]string) {
		t.Helper()
		for name, said := range want {
			if got := look(t, s, name); got != said {
				t.Errorf("%s: %s is %s, want %s", step, name, got, said)
			}
		}
		for o := range r.in.X.Graph().All() {
			if concernsNames(o) {
				r.renamed[o.Base().UUID] = o
			}
		}
		fresh := newDNSService(s.desk)
		for name, said := range want {
			if got := look(t, fresh, name); got != said {
				t.Errorf("%s: made anew, %s is %s, want %s", step, name, got, said)
			}
		}
	}
	check("at first", map[string]string{"b.a": "10.0.0.1", "c.a": "10.0.0.2", "dns.a": "10.0.0.98", "1.0.0.10.in-addr.arpa": "b.a.", "www.example": "10.0.0.80", "80.0.0.10.in-addr.arpa": "www.example.", "x.a": "NXDOMAIN"})

	put(&model.Interface{Meta: model.Meta{UUID: "if-b", ID: 1}, Mode: model.InterfaceVIF, Hostname: "web"})
	check("renamed", map[string]string{"b.a": "NXDOMAIN", "web.a": "10.0.0.1", "1.0.0.10.in-addr.arpa": "web.a."})

	network.DomainName = "shop.example"
	put(&network)
	check("another domain", map[string]string{"web.a": "NXDOMAIN", "web.shop.example": "10.0.0.1", "c.shop.example": "10.0.0.2", "1.0.0.10.in-addr.arpa": "web.shop.example."})

	l := *guest(1, "dp-0", "p1")[3].(*model.IPLease)
	l.IPv4Address = netip.MustParseAddr("10.0.0.11")
	moved := l
	put(&moved)
	check("another address", map[string]string{"web.shop.example": "10.0.0.11", "1.0.0.10.in-addr.arpa": "NXDOMAIN", "11.0.0.10.in-addr.arpa": "web.shop.example."})
	l.NetworkUUID = "nw-b"
	put(&l)
	check("in another network", map[string]string{"web.shop.example": "NXDOMAIN", "web.b": "NXDOMAIN", "11.0.0.10.in-addr.arpa": "NXDOMAIN"})

	put(record(1, "www.example", "10.0.0.81"), record(2, "c.shop.example", "10.0.0.82"))
	check("records", map[string]string{"www.example": "10.0.0.81", "c.shop.example": "10.0.0.82", "2.0.0.10.in-addr.arpa": "c.shop.example.", "81.0.0.10.in-addr.arpa": "www.example."})
	put(&model.DNSRecord{Meta: model.Meta{UUID: "dnsr-3", ID: 3}, DNSServiceUUID: "dnss-a", Type: model.RecordPTR, Name: "81.0.0.10.in-addr.arpa", Target: "better.example"})
	check("a record of an address", map[string]string{"81.0.0.10.in-addr.arpa": "better.example."})
	put(&model.IPLease{Meta: model.Meta{UUID: "il-chosen", ID: 90}, InterfaceUUID: "if-c", NetworkUUID: "nw-a", MACLeaseUUID: "ml-c", IPv6Address: netip.MustParseAddr("fe80::7"), Origin: model.OriginSLAAC})
	check("a link-local address", map[string]string{"7." + strings.Repeat("0.", 28) + "8.e.f.ip6.arpa": "NXDOMAIN"})
	put(&model.DNSRecord{Meta: model.Meta{UUID: "dnsr-2", ID: 2}, DNSServiceUUID: "dnss-a", Type: model.RecordCNAME, Name: "c.shop.example", Target: "www.example"})
	check("an alias", map[string]string{"c.shop.example": "10.0.0.81 www.example."})
	drop("dnsr-1", "dnsr-2", "dnsr-3")
	check("records gone", map[string]string{"www.example": "NXDOMAIN", "c.shop.example": "10.0.0.2", "81.0.0.10.in-addr.arpa": "NXDOMAIN"})

	// A second network of the server: its guests' names are answered too.
	put(&model.IPLease{Meta: model.Meta{UUID: "il-dnsb", ID: 97}, InterfaceUUID: "if-dns", NetworkUUID: "nw-b", MACLeaseUUID: "ml-dns", IPv4Address: netip.MustParseAddr("10.0.0.97")})
	check("in two networks", map[string]string{"web.b": "10.0.0.11", "dns.b": "10.0.0.97", "c.shop.example": "10.0.0.2"})
	drop("il-dnsb")
	check("in one again", map[string]string{"web.b": "NXDOMAIN", "c.shop.example": "10.0.0.2"})

	drop("il-c")
	check("a guest gone", map[string]string{"c.shop.example": "NXDOMAIN"})
	drop("ns-dns")
	check("the service gone", map[string]string{"web.shop.example": "no server"})
	put(server[3], record(4, "*.apps.example", "10.0.0.84"))
	check("again", map[string]string{"any.apps.example": "10.0.0.84", "dns.shop.example": "10.0.0.98"})
}

// A guest's questions are answered over UDP, from the address that was asked, and over TCP.
func TestGuestsAskForNames(t *testing.T) {
	b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1"), dnsServer("")), port("p1", "", 11))
	q := question(t, "www.example", mdns.TypeA)
	ask := func(payload []byte) []byte {
		return frame.Datagram{
			Ethernet: frame.Ethernet{Src: mac(1), Dst: mac(98)}, IP: frame.IPv4{TTL: 64, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.98")},
			UDP: frame.UDP{SrcPort: 4000, DstPort: 53}, Payload: payload,
		}.Encode()
	}
	if out := b.sw.Receive(t, ovstest.Frame{Port: 11, Data: ask(q)}); len(out) != 0 {
		t.Fatalf("goes to %+v", out)
	}
	f := b.sent("an answer", func(f ovstest.Frame) bool { return f.Port == 11 })
	d, why := frame.DecodeDatagram(f.Data)
	if why != frame.OK || d.UDP != (frame.UDP{SrcPort: 53, DstPort: 4000}) || d.IP.Src.String() != "10.0.0.98" || d.Ethernet.Dst != mac(1) || d.Ethernet.Src != mac(98) {
		t.Fatalf("%+v, %s", d, why)
	}
	if got := inWords(t, d.Payload); got != "10.0.0.80" {
		t.Errorf("says %s", got)
	}
	// What is malformed is counted.
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: ask(q[:5])})
	b.until("it is counted", func() bool { return b.dns.verdicts.of(dns.Short) == 1 })
	// A connection begins.
	b.sw.Receive(t, ovstest.Frame{Port: 11, Data: opening(frame.Ethernet{Src: mac(1), Dst: mac(98)}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.98"))})
	f = b.sent("the connection", func(f ovstest.Frame) bool { return f.Port == 11 && f.Data[23] == 6 })
	if f.Data[47] != 0x12 {
		t.Errorf("answers with flags %#x", f.Data[47])
	}
}

// Through a router a guest of another network is answered too, over UDP and TCP: the answer goes back by the router.
func TestRoutersBringQuestions(t *testing.T) {
	leg := func(id uint32, name, network, addr, subnet string) []model.Object {
		return []model.Object{
			&model.Interface{Meta: model.Meta{UUID: "if-" + name, ID: id}, Mode: model.InterfaceSimulated, EnableRouting: true},
			&model.MACLease{Meta: model.Meta{UUID: "ml-" + name, ID: id}, InterfaceUUID: "if-" + name, MACAddress: mac(byte(id))},
			&model.IPLease{Meta: model.Meta{UUID: "il-" + name, ID: id}, InterfaceUUID: "if-" + name, NetworkUUID: network, MACLeaseUUID: "ml-" + name, IPv4Address: netip.MustParseAddr(addr)},
			&model.Route{
				Meta: model.Meta{UUID: "r-" + name, ID: id}, InterfaceUUID: "if-" + name, NetworkUUID: network, RouteLinkUUID: "rl-a", Mode: model.RouteGateway,
				IPv4Network: netip.MustParseAddr(subnet), IPv4Prefix: 24, Ingress: true, Egress: true,
			},
		}
	}
	far := guest(2, "dp-0", "p2")
	far[3].(*model.IPLease).NetworkUUID, far[3].(*model.IPLease).IPv4Address = "nw-b", netip.MustParseAddr("10.0.1.2")
	b := newBench(t, slices.Concat(base(), far, dnsServer(""), leg(101, "la", "nw-a", "10.0.0.101", "10.0.0.0"), leg(102, "lb", "nw-b", "10.0.1.102", "10.0.1.0"), []model.Object{
		&model.Network{Meta: model.Meta{UUID: "nw-b", ID: 2}, Mode: model.NetworkVirtual, VNI: 200, IPv4Network: netip.MustParseAddr("10.0.1.0"), IPv4Prefix: 24},
		&model.RouteLink{Meta: model.Meta{UUID: "rl-a", ID: 1}, VNI: 900, MACAddress: mac(250)},
	}), port("p2", "", 12))
	back := func(what string) (frame.Ethernet, frame.IPv4, []byte) {
		t.Helper()
		f := b.sent(what, func(f ovstest.Frame) bool { return f.Port == 12 && f.Data[12] == 8 && f.Data[13] == 0 })
		eth, rest, _ := frame.DecodeEthernet(f.Data)
		ip, payload, why := frame.DecodeIPv4(rest)
		if why != frame.OK || eth.Src != mac(102) || eth.Dst != mac(2) || ip.Src.String() != "10.0.0.98" || ip.Dst.String() != "10.0.1.2" || ip.TTL != 63 {
			t.Fatalf("%s: %+v %+v, %s", what, eth, ip, why)
		}
		return eth, ip, payload
	}
	from, to := netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("10.0.0.98")
	b.sw.Receive(t, ovstest.Frame{Port: 12, Data: frame.Datagram{
		Ethernet: frame.Ethernet{Src: mac(2), Dst: mac(102)}, IP: frame.IPv4{TTL: 64, Src: from, Dst: to}, UDP: frame.UDP{SrcPort: 4000, DstPort: 53}, Payload: question(t, "www.example", mdns.TypeA),
	}.Encode()})
	_, ip, payload := back("an answer")
	if _, payload, why := frame.DecodeUDP(payload, ip.Src, ip.Dst); why != frame.OK || inWords(t, payload) != "10.0.0.80" {
		t.Errorf("says %x, %s", payload, why)
	}
	b.sw.Receive(t, ovstest.Frame{Port: 12, Data: opening(frame.Ethernet{Src: mac(2), Dst: mac(102)}, from, to)})
	if _, _, payload := back("the connection"); payload[13] != 0x12 {
		t.Errorf("answers with flags %#x", payload[13])
	}
}

// opening gives the first segment of a connection to port 53, over IPv4.
func opening(eth frame.Ethernet, from, to netip.Addr) []byte {
	tcp := []byte{0x10, 0, 0, 53, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0}
	sum := uint32(6 + len(tcp))
	for _, b := range [][]byte{from.AsSlice(), to.AsSlice(), tcp} {
		for i := 0; i < len(b); i += 2 {
			sum += uint32(b[i])<<8 | uint32(b[i+1])
		}
	}
	sum = ^(sum&0xffff + sum>>16)
	tcp[16], tcp[17] = byte(sum>>8), byte(sum)
	eth.Type = frame.TypeIPv4
	return append(frame.IPv4{TTL: 64, Protocol: 6, Src: from, Dst: to}.Append(eth.Append(nil), len(tcp)), tcp...)
}

// What a zone does not know is asked of servers elsewhere; the server's own address is none of them.
func TestQuestionsGoOn(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, ended := make(chan struct{}), make(chan struct{})
	srv := &mdns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(started) }, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		m := new(mdns.Msg)
		m.SetReply(q)
		m.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: q.Question[0].Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		_ = w.WriteMsg(m)
	})}
	go func() { defer close(ended); _ = srv.ActivateAndServe() }()
	<-started
	defer func() { _ = srv.Shutdown(); <-ended }()
	r := newReplica()
	r.load("store", "dp-0", 1, slices.Concat(base(), guest(1, "dp-0", "p1"), dnsServer("10.0.0.98,127.0.0.1")), true)
	s := newDNSService(&desk{replica: r, log: slog.New(slog.DiscardHandler)})
	s.forward = forward.New(forward.Options{Port: uint16(pc.LocalAddr().(*net.UDPAddr).Port)})
	running := make(chan struct{})
	go func() { defer close(running); _ = s.forward.Run(t.Context()) }()
	t.Cleanup(func() { <-running })
	at, _ := s.names.at(100, netip.MustParseAddr("10.0.0.98"))
	if len(at.upstreams) != 1 {
		t.Errorf("asks %v", at.upstreams)
	}
	for range 100 { // until it runs
		said := make(chan string, 1)
		s.answer(at, 1, question(t, "www.example.org", mdns.TypeA), dns.Options{}, func(b []byte) { said <- inWords(t, b) })
		if got := <-said; got == "192.0.2.1" {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Error("no answer")
}

// What a question and a change cost with ten thousand guests.
func BenchmarkNames(b *testing.B) {
	r := newReplica()
	objects := slices.Concat(base(), guest(1, "dp-0", "p1"), dnsServer(""))
	network := *base()[2].(*model.Network)
	network.IPv4Prefix = 8
	objects[2] = &network
	for n := range 10_000 {
		id, uuid := uint32(1000+n), fmt.Sprint("g", n)
		objects = append(objects,
			&model.Interface{Meta: model.Meta{UUID: "if-" + uuid, ID: id}, Mode: model.InterfaceVIF},
			&model.MACLease{Meta: model.Meta{UUID: "ml-" + uuid, ID: id}, InterfaceUUID: "if-" + uuid, MACAddress: model.MAC{2, 1, 0, 0, byte(n >> 8), byte(n)}},
			&model.IPLease{Meta: model.Meta{UUID: "il-" + uuid, ID: id}, InterfaceUUID: "if-" + uuid, NetworkUUID: "nw-a", MACLeaseUUID: "ml-" + uuid, IPv4Address: netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})})
	}
	r.load("store", "dp-0", 1, objects, true)
	s := newDNSService(&desk{replica: r, log: slog.New(slog.DiscardHandler)})
	q, to := question(b, "g77.a", mdns.TypeA), netip.MustParseAddr("10.0.0.98")
	answer := func() {
		at, ok := s.names.at(100, to)
		if !ok {
			b.Fatal("no server")
		}
		s.answer(at, 1, q, dns.Options{}, func(a []byte) {
			if len(a) < 12 || a[7] != 1 {
				b.Fatalf("%x", a)
			}
		})
	}
	l, _ := r.in.X.Graph().Get("il-g78")
	service, _ := r.in.X.Graph().Get("ns-dns")
	for _, c := range []struct {
		name    string
		changed model.Object
		anew    bool
	}{{"question", nil, false}, {"change and question", l, false}, {"first question", service, true}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if c.anew {
					s.names = newNames(r)
				}
				if c.changed != nil {
					r.mu.Lock()
					r.renamed[c.changed.Base().UUID] = c.changed
					r.mu.Unlock()
				}
				answer()
			}
		})
	}
}

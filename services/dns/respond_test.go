package dns

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/miekg/dns"
)

// lines of records: name, type, and what it says.
const records = `
web.shop.example A 10.0.0.10
web.shop.example AAAA fd00::10
db.shop.example A 10.0.0.11 automatic
db.shop.example A 10.0.0.12 automatic
10.0.0.10 PTR web.shop.example automatic
10.0.0.11 PTR db.shop.example automatic
10.0.0.11 PTR database.shop.example
fd00::10 PTR web.shop.example automatic
taken.shop.example A 10.0.0.20 automatic
taken.shop.example CNAME web.shop.example
own.shop.example A 10.0.0.21 automatic
own.shop.example A 10.0.0.22
www.shop.example CNAME web.shop.example
far.shop.example CNAME www.example.org
void.shop.example CNAME nobody.shop.example
one.shop.example CNAME two.shop.example
two.shop.example CNAME one.shop.example
_sip._udp.shop.example SRV web.shop.example
note.shop.example TXT v=spf1 "a" \ -all
*.apps.shop.example A 10.0.0.30
*.apps.shop.example TXT any
fixed.apps.shop.example A 10.0.0.31
x.below.apps.shop.example A 10.0.0.32
www.example.com A 10.0.0.40
printer A 10.0.0.50
`

// zoneOf makes a zone of lines.
func zoneOf(t testing.TB, c Config, lines string) *Zone {
	t.Helper()
	e := NewZone(c).Edit()
	for i, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		f := strings.SplitN(line, " ", 3)
		r := Record{Name: f[0], Type: dns.StringToType[f[1]], TTL: 300}
		r.Target, r.Automatic = strings.CutSuffix(f[2], " automatic")
		if a, err := netip.ParseAddr(r.Name); err == nil {
			r.Name, _ = strings.CutSuffix(reverse(a), ".")
		}
		switch r.Type {
		case TypeA, TypeAAAA:
			r.Address = addr(r.Target)
		case TypeSRV:
			r.Priority, r.Weight, r.Port = 10, 20, 5060
		case TypeTXT:
			r.Text = r.Target
		}
		e.Put(fmt.Sprint(i), r)
	}
	return e.Zone()
}

func reverse(a netip.Addr) string {
	s, _ := dns.ReverseAddr(a.String())
	return s
}

var shop = Config{Domains: []string{"shop.example"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParsePrefix("8.8.4.0/24")},
	Server: "dns.shop.example", Forwards: true}

// ask encodes a question.
func ask(name string, t uint16, change ...func(*dns.Msg)) []byte {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), t)
	m.Id = 0x1234
	for _, c := range change {
		c(m)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// say gives an answer in words: code, flags, and the sections, but for the EDNS record.
func say(t testing.TB, b []byte) string {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	out := []string{dns.RcodeToString[m.Rcode]}
	for flag, set := range map[string]bool{"aa": m.Authoritative, "tc": m.Truncated} {
		if set {
			out = append(out, flag)
		}
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		text := ""
		for _, rr := range section {
			switch rr := rr.(type) {
			case *dns.OPT:
				continue
			case *dns.SOA:
				text += fmt.Sprintf(" %s SOA", rr.Hdr.Name)
			default:
				f := strings.Fields(strings.TrimPrefix(rr.String(), rr.Header().String()))
				text += fmt.Sprintf(" %s %s %s", rr.Header().Name, dns.TypeToString[rr.Header().Rrtype], strings.Join(f, " "))
			}
		}
		out = append(out, strings.TrimSpace(text))
	}
	return strings.TrimRight(strings.Join(out, " | "), " |")
}

func TestAnswers(t *testing.T) {
	z := zoneOf(t, shop, records)
	for _, tc := range []struct {
		name, typ string
		want      string
		verdict   Verdict
	}{
		{"web.shop.example", "A", "NOERROR | aa | web.shop.example. A 10.0.0.10", Answered},
		{"WEB.shOp.exaMple", "A", "NOERROR | aa | WEB.shOp.exaMple. A 10.0.0.10", Answered},
		{"web.shop.example", "AAAA", "NOERROR | aa | web.shop.example. AAAA fd00::10", Answered},
		{"db.shop.example", "A", "NOERROR | aa | db.shop.example. A 10.0.0.11 db.shop.example. A 10.0.0.12", Answered},
		{"db.shop.example", "AAAA", "NOERROR | aa |  | shop.example. SOA", NoData},
		{"db.shop.example", "MX", "NOERROR | aa |  | shop.example. SOA", NoData},
		{"nobody.shop.example", "A", "NXDOMAIN | aa |  | shop.example. SOA", NoName},
		{"a.web.shop.example", "A", "NXDOMAIN | aa |  | shop.example. SOA", NoName},
		{"own.shop.example", "A", "NOERROR | aa | own.shop.example. A 10.0.0.22", Answered},
		{"taken.shop.example", "A", "NOERROR | aa | taken.shop.example. CNAME web.shop.example. web.shop.example. A 10.0.0.10", Answered},
		{"www.shop.example", "A", "NOERROR | aa | www.shop.example. CNAME web.shop.example. web.shop.example. A 10.0.0.10", Answered},
		{"www.shop.example", "CNAME", "NOERROR | aa | www.shop.example. CNAME web.shop.example.", Answered},
		{"www.shop.example", "MX", "NOERROR | aa | www.shop.example. CNAME web.shop.example. | shop.example. SOA", NoData},
		{"void.shop.example", "A", "NXDOMAIN | aa | void.shop.example. CNAME nobody.shop.example. | shop.example. SOA", NoName},
		{"one.shop.example", "A", "SERVFAIL", Failed},
		{"_udp.shop.example", "A", "NOERROR | aa |  | shop.example. SOA", NoData}, // an empty non-terminal (RFC 4592, section 2.2.2)
		{"_sip._udp.shop.example", "SRV", "NOERROR | aa | _sip._udp.shop.example. SRV 10 20 5060 web.shop.example. |  | web.shop.example. A 10.0.0.10 web.shop.example. AAAA fd00::10", Answered},
		{"note.shop.example", "TXT", `NOERROR | aa | note.shop.example. TXT "v=spf1 \"a\" \\ -all"`, Answered},
		{"shop.example", "SOA", "NOERROR | aa | shop.example. SOA", Answered},
		{"shop.example", "NS", "NOERROR | aa | shop.example. NS dns.shop.example.", Answered},
		{"shop.example", "A", "NOERROR | aa |  | shop.example. SOA", NoData},
		// RFC 4592: a wildcard is for names that do not exist, and not for those below others that do.
		{"x.apps.shop.example", "A", "NOERROR | aa | x.apps.shop.example. A 10.0.0.30", Answered},
		{"y.x.apps.shop.example", "A", "NOERROR | aa | y.x.apps.shop.example. A 10.0.0.30", Answered},
		{"x.apps.shop.example", "AAAA", "NOERROR | aa |  | shop.example. SOA", NoData},
		{"fixed.apps.shop.example", "A", "NOERROR | aa | fixed.apps.shop.example. A 10.0.0.31", Answered},
		{"fixed.apps.shop.example", "TXT", "NOERROR | aa |  | shop.example. SOA", NoData},
		{"below.apps.shop.example", "A", "NOERROR | aa |  | shop.example. SOA", NoData},
		{"z.below.apps.shop.example", "A", "NXDOMAIN | aa |  | shop.example. SOA", NoName},
		{"apps.shop.example", "A", "NOERROR | aa |  | shop.example. SOA", NoData},
		{"*.apps.shop.example", "A", "NOERROR | aa | *.apps.shop.example. A 10.0.0.30", Answered},
		// Addresses.
		{"10.0.0.10.in-addr.arpa", "PTR", "NOERROR | aa | 10.0.0.10.in-addr.arpa. PTR web.shop.example.", Answered},
		{"11.0.0.10.in-addr.arpa", "PTR", "NOERROR | aa | 11.0.0.10.in-addr.arpa. PTR database.shop.example.", Answered},
		{"99.0.0.10.in-addr.arpa", "PTR", "NXDOMAIN | aa |  | 99.0.0.10.in-addr.arpa. SOA", NoName},
		{"1.4.8.8.in-addr.arpa", "PTR", "NXDOMAIN | aa |  | 1.4.8.8.in-addr.arpa. SOA", NoName}, // of the network
		{"1.0.168.192.in-addr.arpa", "PTR", "NXDOMAIN | aa |  | 1.0.168.192.in-addr.arpa. SOA", NoName},
		{"0.10.in-addr.arpa", "PTR", "NOERROR | aa |  | 0.10.in-addr.arpa. SOA", NoData},
		// What has a record is the server's own, what is beside it is not.
		{"www.example.com", "A", "NOERROR | aa | www.example.com. A 10.0.0.40", Answered},
		{"www.example.com", "AAAA", "NOERROR | aa |  | www.example.com. SOA", NoData},
		{"printer", "A", "NOERROR | aa | printer. A 10.0.0.50", Answered},
		{"plotter", "A", "NXDOMAIN | aa |  | . SOA", NoName},
		{"localhost", "A", "NOERROR | aa | localhost. A 127.0.0.1", Answered},
		{"a.localhost", "AAAA", "NOERROR | aa | a.localhost. AAAA ::1", Answered},
		{"localhost", "TXT", "NOERROR | aa |  | localhost. SOA", NoData},
		{"secret.onion", "A", "NXDOMAIN | aa |  | onion. SOA", NoName},
		// RFC 8482, also of names elsewhere.
		{"web.shop.example", "ANY", `NOERROR | aa | web.shop.example. HINFO "RFC8482" ""`, Minimal},
		{"www.shop.example", "ANY", `NOERROR | aa | www.shop.example. HINFO "RFC8482" ""`, Minimal},
		{"nobody.shop.example", "ANY", "NXDOMAIN | aa |  | shop.example. SOA", NoName},
		{"www.example.org", "ANY", `NOERROR | www.example.org. HINFO "RFC8482" ""`, Minimal},
		// Elsewhere.
		{"mail.example.com", "A", "elsewhere mail.example.com", Forwarded},
		{"example.com", "A", "elsewhere example.com", Forwarded},
		{"notshop.example", "A", "elsewhere notshop.example", Forwarded},
		{"com", "NS", "elsewhere com", Forwarded},
		{"", "NS", "elsewhere ", Forwarded},
		{"8.8.8.8.in-addr.arpa", "PTR", "elsewhere 8.8.8.8.in-addr.arpa", Forwarded},
		{"far.shop.example", "A", "elsewhere www.example.org after far.shop.example.", Forwarded},
		{`a\.shop.example`, "A", `elsewhere a\.shop.example`, Forwarded},
		{"web.shop.example", "AXFR", "REFUSED", RefusedType},
		{"web.shop.example", "TSIG", "REFUSED", RefusedType},
	} {
		b, e, v := Respond(ask(tc.name, dns.StringToType[tc.typ]), z, Options{Size: 1472})
		got := ""
		switch {
		case e != nil:
			got = "elsewhere " + e.Name
			for _, rr := range e.chain {
				got += " after " + rr.Header().Name
			}
		case b != nil:
			got = say(t, b)
			second(t, b)
		}
		if got != tc.want || v != tc.verdict {
			t.Errorf("%s %s: %s (%s)\nwant %s (%s)", tc.name, tc.typ, got, v, tc.want, tc.verdict)
		}
	}
}

// Without servers to ask, names do not exist that are not known here.
func TestAloneNothingElseExists(t *testing.T) {
	c := shop
	c.Forwards = false
	b, e, v := Respond(ask("www.example.org", TypeA), zoneOf(t, c, records), Options{})
	if e != nil || v != NoName || say(t, b) != "NXDOMAIN | aa |  | . SOA" {
		t.Errorf("%s, %s, %+v", say(t, b), v, e)
	}
	var m dns.Msg
	if err := m.Unpack(b); err != nil || m.RecursionAvailable {
		t.Errorf("says that it asks others: %v", m.MsgHdr)
	}
}

func TestHeaders(t *testing.T) {
	z := zoneOf(t, shop, records)
	edns := func(size uint16, do bool) func(*dns.Msg) { return func(m *dns.Msg) { m.SetEdns0(size, do) } }
	raw := func(b []byte, change func([]byte) []byte) []byte { return change(b) }
	good := ask("web.shop.example", TypeA)
	for name, tc := range map[string]struct {
		in      []byte
		verdict Verdict
		code    int // -1 for silence
		edns    bool
	}{
		"a question":               {good, Answered, 0, false},
		"with EDNS":                {ask("web.shop.example", TypeA, edns(4096, true)), Answered, 0, true},
		"of a later version":       {ask("web.shop.example", TypeA, edns(4096, false), func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }), BadVersion, dns.RcodeBadVers, true},
		"two EDNS records":         {ask("web.shop.example", TypeA, edns(4096, false), func(m *dns.Msg) { m.Extra = append(m.Extra, m.Extra[0]) }), BadOption, dns.RcodeFormatError, false},
		"an EDNS record of a name": {ask("web.shop.example", TypeA, edns(4096, false), func(m *dns.Msg) { m.Extra[0].Header().Name = "a." }), BadOption, dns.RcodeFormatError, false},
		"of class CHAOS":           {ask("version.bind", dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), RefusedClass, dns.RcodeRefused, false},
		"of any class":             {ask("web.shop.example", TypeA, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }), RefusedClass, dns.RcodeRefused, false},
		"an update":                {ask("shop.example", dns.TypeSOA, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), NotImplemented, dns.RcodeNotImplemented, false},
		"a notification":           {ask("shop.example", dns.TypeSOA, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), NotImplemented, dns.RcodeNotImplemented, false},
		"an answer":                {ask("shop.example", dns.TypeSOA, func(m *dns.Msg) { m.Response = true }), NotQuery, -1, false},
		"two questions":            {ask("a", TypeA, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), BadQuestion, dns.RcodeFormatError, false},
		"no question":              {good[:12], BadRecord, dns.RcodeFormatError, false},
		"none counted":             {raw(bytes.Clone(good), func(b []byte) []byte { b[5] = 0; return b }), BadQuestion, dns.RcodeFormatError, false},
		"with an answer":           {raw(bytes.Clone(good), func(b []byte) []byte { b[7] = 1; return b }), BadSection, dns.RcodeFormatError, false},
		"cut in the name":          {good[:20], BadRecord, dns.RcodeFormatError, false},
		"cut in the class":         {good[:len(good)-1], BadRecord, dns.RcodeFormatError, false},
		"cut in the header":        {good[:11], Short, -1, false},
		"nothing":                  {nil, Short, -1, false},
		"a name that goes round":   {raw(bytes.Clone(good), func(b []byte) []byte { b[12], b[13] = 0xc0, 12; return b }), BadRecord, dns.RcodeFormatError, false},
		"a lacking record":         {raw(bytes.Clone(good), func(b []byte) []byte { b[11] = 1; return b }), BadRecord, dns.RcodeFormatError, false},
		"elsewhere, by itself":     {ask("www.example.org", TypeA, func(m *dns.Msg) { m.RecursionDesired = false }), RefusedElsewhere, dns.RcodeRefused, false},
	} {
		b, _, v := Respond(tc.in, z, Options{Size: 1472})
		if v != tc.verdict {
			t.Errorf("%s: %s, want %s", name, v, tc.verdict)
		}
		if b == nil || tc.code < 0 {
			if b != nil || tc.code >= 0 {
				t.Errorf("%s: answer %x", name, b)
			}
			continue
		}
		var m, q dns.Msg
		if err := m.Unpack(b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = q.Unpack(tc.in)
		opt := m.IsEdns0()
		if m.Rcode != tc.code || !m.Response || m.Id != 0x1234 || m.Opcode != q.Opcode || m.RecursionDesired != (tc.in[2]&1 == 1) || (opt != nil) != tc.edns {
			t.Errorf("%s: %v", name, &m)
		}
		if tc.edns && (opt.Version() != 0 || opt.UDPSize() != ednsSize || opt.Do() != q.IsEdns0().Do()) {
			t.Errorf("%s: %v", name, opt)
		}
	}
}

// An answer is as long as the asker, the network and UDP let it be, and says so if it lacks something.
func TestTruncation(t *testing.T) {
	var lines strings.Builder
	for i := range 250 {
		fmt.Fprintf(&lines, "many.shop.example A 10.0.1.%d\n", i)
	}
	z := zoneOf(t, shop, lines.String())
	for _, tc := range []struct {
		edns uint16
		o    Options
		most int
		tc   bool
	}{
		{0, Options{Size: 1472}, 512, true}, {100, Options{Size: 1472}, 512, true}, {1232, Options{Size: 1472}, 1232, true}, {4096, Options{Size: 1472}, 1472, true},
		{4096, Options{Size: 1222}, 1222, true}, {4096, Options{Size: 100}, 512, true}, {2048, Options{Size: 8972}, 2048, true}, {8192, Options{Size: 8972}, 8192, false},
		{0, Options{TCP: true}, 65535, false}, {512, Options{TCP: true}, 65535, false},
	} {
		b, _, v := Respond(ask("many.shop.example", TypeA, func(m *dns.Msg) {
			if tc.edns > 0 {
				m.SetEdns0(tc.edns, false)
			}
		}), z, tc.o)
		var m dns.Msg
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		if len(b) > tc.most || len(b) < tc.most-30 && tc.tc || m.Truncated != tc.tc || (v == Truncated) != tc.tc || (m.IsEdns0() != nil) != (tc.edns > 0) {
			t.Errorf("%d, %+v: %d bytes, %d records, truncated %v, %s", tc.edns, tc.o, len(b), len(m.Answer), m.Truncated, v)
		}
		second(t, b)
	}
}

// Addresses take turns, each as often as the others.
func TestRotation(t *testing.T) {
	z := zoneOf(t, shop, records)
	first := map[string]int{}
	for turn := range 10 {
		b, _, _ := Respond(ask("db.shop.example", TypeA), z, Options{Turn: uint32(turn)})
		var m dns.Msg
		if err := m.Unpack(b); err != nil || len(m.Answer) != 2 {
			t.Fatal(err, &m)
		}
		first[m.Answer[0].(*dns.A).A.String()]++
	}
	if first["10.0.0.11"] != 5 || first["10.0.0.12"] != 5 {
		t.Errorf("came first: %v", first)
	}
}

// A long text is sent in strings.
func TestLongText(t *testing.T) {
	text := strings.Repeat(`0123456789\"ä`, 100)
	e := NewZone(shop).Edit()
	e.Put("a", Record{Name: "t.shop.example", Type: TypeTXT, Text: text})
	b, _, _ := Respond(ask("t.shop.example", TypeTXT), e.Zone(), Options{TCP: true})
	d := second(t, b)
	got := bytes.Join(d.Answers[0].TXTs, nil)
	if string(got) != text || len(d.Answers[0].TXTs) != (len(text)+254)/255 {
		t.Errorf("%d strings: %s", len(d.Answers[0].TXTs), got)
	}
}

// second reads an answer with another implementation, and compares every field.
func second(t testing.TB, b []byte) *layers.DNS {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	d := &layers.DNS{}
	if err := d.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		t.Fatalf("the second implementation does not read %x: %v", b, err)
	}
	if d.ID != m.Id || d.QR != m.Response || int(d.OpCode) != m.Opcode || d.AA != m.Authoritative || d.TC != m.Truncated || d.RD != m.RecursionDesired || d.RA != m.RecursionAvailable ||
		int(d.ResponseCode) != m.Rcode && int(d.ResponseCode) != m.Rcode&15 || len(d.Questions) != len(m.Question) || (d.Z == 1) != m.CheckingDisabled || d.Z > 1 {
		t.Errorf("header %+v, want %+v", d, m.MsgHdr)
	}
	name := func(got []byte, want string) bool { return string(got) == strings.TrimSuffix(want, ".") }
	for i, q := range m.Question {
		if g := d.Questions[i]; !name(g.Name, q.Name) && !strings.Contains(q.Name, `\`) || uint16(g.Type) != q.Qtype || uint16(g.Class) != q.Qclass {
			t.Errorf("question %s, want %s", g.Name, q.Name)
		}
	}
	for section, both := range map[string]struct {
		got  []layers.DNSResourceRecord
		want []dns.RR
	}{"answer": {d.Answers, m.Answer}, "authority": {d.Authorities, m.Ns}, "additional": {d.Additionals, m.Extra}} {
		if len(both.got) != len(both.want) {
			t.Errorf("%s: %d records, want %d", section, len(both.got), len(both.want))
			continue
		}
		for i, rr := range both.want {
			g, h := both.got[i], rr.Header()
			ok := uint16(g.Type) == h.Rrtype && uint16(g.Class) == h.Class && g.TTL == h.Ttl && (name(g.Name, h.Name) || strings.Contains(h.Name, `\`))
			switch rr := rr.(type) {
			case *dns.A:
				ok = ok && g.IP.Equal(rr.A)
			case *dns.AAAA:
				ok = ok && g.IP.Equal(rr.AAAA)
			case *dns.CNAME:
				ok = ok && name(g.CNAME, rr.Target)
			case *dns.PTR:
				ok = ok && name(g.PTR, rr.Ptr)
			case *dns.NS:
				ok = ok && name(g.NS, rr.Ns)
			case *dns.SRV:
				ok = ok && name(g.SRV.Name, rr.Target) && g.SRV.Port == rr.Port && g.SRV.Weight == rr.Weight && g.SRV.Priority == rr.Priority
			case *dns.SOA:
				ok = ok && name(g.SOA.MName, rr.Ns) && name(g.SOA.RName, rr.Mbox) && g.SOA.Serial == rr.Serial && g.SOA.Refresh == rr.Refresh && g.SOA.Retry == rr.Retry &&
					g.SOA.Expire == rr.Expire && g.SOA.Minimum == rr.Minttl
			}
			if !ok {
				t.Errorf("%s: %+v, want %s", section, g, rr)
			}
		}
	}
	return d
}

func BenchmarkRespond(b *testing.B) {
	e := NewZone(shop).Edit()
	for i := range 10_000 {
		n := fmt.Sprintf("guest%d.shop.example", i)
		a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		e.Put(n, Record{Name: n, Type: TypeA, Address: a, Automatic: true}, Record{Name: strings.TrimSuffix(reverse(a), "."), Type: TypePTR, Target: n, Automatic: true})
	}
	z := e.Zone()
	for name, q := range map[string][]byte{"address": ask("guest77.shop.example", TypeA), "none": ask("nobody.shop.example", TypeA), "reverse": ask(reverse(addr("10.1.0.9")), TypePTR)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r, _, _ := Respond(q, z, Options{Size: 1472}); r == nil {
					b.Fatal("no answer")
				}
			}
		})
	}
	b.Run("change", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e := z.Edit()
			e.Put("guest77.shop.example", Record{Name: "guest77.shop.example", Type: TypeA, Address: addr("10.1.0.1"), Automatic: true})
			z = e.Zone()
		}
	})
}

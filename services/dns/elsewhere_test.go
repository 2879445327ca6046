package dns

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// elsewhere gives what has to be asked for a question.
func elsewhere(t testing.TB, name string, typ uint16, change ...func(*dns.Msg)) *Elsewhere {
	t.Helper()
	_, e, v := Respond(ask(name, typ, change...), zoneOf(t, shop, records), Options{Size: 1472})
	if e == nil {
		t.Fatalf("%s: %s", name, v)
	}
	return e
}

// says gives the answer of a server: sections of lines.
func says(t testing.TB, e *Elsewhere, code int, answer, authority string, change ...func(*dns.Msg)) []byte {
	t.Helper()
	b, err := e.Question(7, true)
	if err != nil {
		t.Fatal(err)
	}
	var q dns.Msg
	if err := q.Unpack(b); err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	m.SetRcode(&q, code)
	m.RecursionAvailable = true
	m.SetEdns0(1232, false)
	for _, s := range []struct {
		to   *[]dns.RR
		text string
	}{{&m.Answer, answer}, {&m.Ns, authority}} {
		for line := range strings.SplitSeq(s.text, ";") {
			if line = strings.TrimSpace(line); line != "" {
				rr, err := dns.NewRR(line)
				if err != nil {
					t.Fatal(err)
				}
				*s.to = append(*s.to, rr)
			}
		}
	}
	for _, c := range change {
		c(m)
	}
	if b, err = m.Pack(); err != nil {
		t.Fatal(err)
	}
	return b
}

const soa = "example.org. 1000 IN SOA ns.example.org. mail.example.org. 1 2 3 4 "

// What another server says reaches who asked, in the case of the question, without what it was not asked for, and is kept as long as it may be.
func TestWhatServersSay(t *testing.T) {
	for name, tc := range map[string]struct {
		question          string
		code              int
		answer, authority string
		after             time.Duration
		want              string
		ttls              string
		kept              int // seconds
	}{
		"an address":        {"Www.Example.org", 0, "www.example.org. 60 IN A 192.0.2.1", "", 0, "NOERROR | Www.Example.org. A 192.0.2.1", "60", 60},
		"later":             {"www.example.org", 0, "www.example.org. 60 IN A 192.0.2.1", "", 25 * time.Second, "NOERROR | www.example.org. A 192.0.2.1", "35", 60},
		"much too long":     {"www.example.org", 0, "www.example.org. 2000000 IN A 192.0.2.1", "", 0, "NOERROR | www.example.org. A 192.0.2.1", "86400", 86400},
		"an alias":          {"www.example.org", 0, "www.example.org. 60 IN CNAME a.example.net.; a.example.net. 30 IN A 192.0.2.1", "", 0, "NOERROR | www.example.org. CNAME a.example.net. a.example.net. A 192.0.2.1", "60 30", 30},
		"after ours":        {"far.shop.example", 0, "www.example.org. 60 IN A 192.0.2.1", "", 0, "NOERROR | aa | far.shop.example. CNAME www.example.org. www.example.org. A 192.0.2.1", "300 60", 60},
		"what nobody asked": {"www.example.org", 0, "www.example.org. 60 IN A 192.0.2.1; bank.example.com. 60 IN A 192.0.2.66", "", 0, "NOERROR | www.example.org. A 192.0.2.1", "60", 60},
		"no name":           {"www.example.org", dns.RcodeNameError, "", soa + "500", 0, "NXDOMAIN |  | example.org. SOA", "500", 500},
		"no name, later":    {"www.example.org", dns.RcodeNameError, "", soa + "5000", 40 * time.Second, "NXDOMAIN |  | example.org. SOA", "960", 1000},
		"no record":         {"www.example.org", 0, "", soa + "20", 0, "NOERROR |  | example.org. SOA", "20", 20},
		"no proof":          {"www.example.org", dns.RcodeNameError, "", "", 0, "NXDOMAIN", "", 0},
		"a referral":        {"www.example.org", 0, "", "example.org. 60 IN NS ns.example.org.", 0, "NOERROR", "", 0},
		"an alias to none":  {"www.example.org", dns.RcodeNameError, "www.example.org. 60 IN CNAME a.example.org.", soa + "20", 0, "NXDOMAIN | www.example.org. CNAME a.example.org. | example.org. SOA", "60 20", 20},
		"no time":           {"www.example.org", 0, "www.example.org. 0 IN A 192.0.2.1", "", 0, "NOERROR | www.example.org. A 192.0.2.1", "0", 0},
		"a wider alias":     {"a.www.example.org", 0, "example.org. 60 IN DNAME example.net.; a.www.example.org. 60 IN CNAME a.www.example.net.; a.www.example.net. 9 IN A 192.0.2.1", "", 0, "NOERROR | example.org. DNAME example.net. a.www.example.org. CNAME a.www.example.net. a.www.example.net. A 192.0.2.1", "60 60 9", 9},
	} {
		e := elsewhere(t, tc.question, TypeA)
		a, err := e.Read(says(t, e, tc.code, tc.answer, tc.authority), 7, true, start)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := e.Reply(a, start.Add(tc.after))
		if got := say(t, b); got != tc.want {
			t.Errorf("%s: %s\nwant %s", name, got, tc.want)
		}
		d := second(t, b)
		var ttls []string
		for _, s := range [][]uint32{ttlsOf(t, b)} {
			for _, ttl := range s {
				ttls = append(ttls, fmt.Sprint(ttl))
			}
		}
		if got := strings.Join(ttls, " "); got != tc.ttls || !d.RA {
			t.Errorf("%s: for %s seconds, want %s", name, got, tc.ttls)
		}
		c := NewCache(CacheOptions{})
		k := e.Key("")
		c.Put(k, a)
		last := time.Duration(tc.kept) * time.Second
		if kept := c.Get(k, start.Add(last-time.Millisecond)) != nil; kept != (tc.kept > 0) {
			t.Errorf("%s: is kept: %v", name, kept)
		}
		if c.Get(k, start.Add(last)) != nil {
			t.Errorf("%s: is kept for too long", name)
		}
	}
}

func ttlsOf(t testing.TB, b []byte) []uint32 {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	var out []uint32
	for _, s := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range s {
			out = append(out, rr.Header().Ttl)
		}
	}
	return out
}

func TestWhatIsNoAnswer(t *testing.T) {
	e := elsewhere(t, "www.example.org", TypeA)
	good := "www.example.org. 60 IN A 192.0.2.1"
	for name, tc := range map[string]struct {
		in   []byte
		want error
	}{
		"another id":             {says(t, e, 0, good, "", func(m *dns.Msg) { m.Id++ }), ErrOther},
		"a question":             {says(t, e, 0, good, "", func(m *dns.Msg) { m.Response = false }), ErrOther},
		"of another name":        {says(t, e, 0, good, "", func(m *dns.Msg) { m.Question[0].Name = "a.example.org." }), ErrOther},
		"of another type":        {says(t, e, 0, good, "", func(m *dns.Msg) { m.Question[0].Qtype = TypeAAAA }), ErrOther},
		"of another class":       {says(t, e, 0, good, "", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), ErrOther},
		"without question":       {says(t, e, 0, good, "", func(m *dns.Msg) { m.Question = nil }), ErrOther},
		"cut":                    {says(t, e, 0, good, "")[:40], ErrOther},
		"short":                  {says(t, e, 0, good, "")[:11], ErrOther},
		"truncated":              {says(t, e, 0, good, "", func(m *dns.Msg) { m.Truncated = true }), ErrTruncated},
		"truncated in a record":  {says(t, e, 0, good, "", func(m *dns.Msg) { m.Truncated = true })[:40], ErrTruncated},
		"a failure":              {says(t, e, dns.RcodeServerFailure, "", ""), ErrUseless},
		"a refusal":              {says(t, e, dns.RcodeRefused, "", ""), ErrUseless},
		"that EDNS is not known": {says(t, e, dns.RcodeFormatError, "", "", func(m *dns.Msg) { m.Extra = nil }), ErrNoEDNS},
		"no more than that":      {says(t, e, dns.RcodeFormatError, "", "", func(m *dns.Msg) { m.Extra, m.Question = nil, nil }), ErrNoEDNS},
	} {
		if a, err := e.Read(tc.in, 7, true, start); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, %v; want %v", name, a, err, tc.want)
		}
	}
	if _, err := e.Read(says(t, e, dns.RcodeFormatError, "", "", func(m *dns.Msg) { m.Extra = nil }), 7, false, start); !errors.Is(err, ErrUseless) {
		t.Errorf("without EDNS: %v", err)
	}
	if got := say(t, e.Fail()); got != "SERVFAIL" {
		t.Errorf("no answer: %s", got)
	}
	if a := Failure(start); !a.Failed() || say(t, e.Reply(a, start)) != "SERVFAIL" {
		t.Error("no failure")
	}
}

// What is asked elsewhere says what the asker wants of signatures, and is kept apart by that.
func TestFlagsGoAlong(t *testing.T) {
	plain := elsewhere(t, "www.example.org", TypeA)
	signed := elsewhere(t, "www.Example.org", TypeA, func(m *dns.Msg) { m.SetEdns0(4096, true); m.CheckingDisabled = true })
	for _, e := range []*Elsewhere{plain, signed} {
		b, err := e.Question(9, true)
		if err != nil {
			t.Fatal(err)
		}
		var m dns.Msg
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		if do := e == signed; m.IsEdns0().Do() != do || m.CheckingDisabled != do || !m.RecursionDesired || m.Id != 9 || m.Question[0].Name != "www.example.org." || m.IsEdns0().UDPSize() != ednsSize {
			t.Errorf("asks %v", &m)
		}
		second(t, b)
	}
	if plain.Key("a") == signed.Key("a") || plain.Key("a") == plain.Key("b") || plain.Key("a") != elsewhere(t, "WWW.example.org", TypeA).Key("a") {
		t.Error("keys")
	}
}

// A cache stays within its bounds; what was asked for last stays.
func TestCacheIsBounded(t *testing.T) {
	c := NewCache(CacheOptions{Entries: 10, Bytes: 10_000})
	answer := func(n int) (*Elsewhere, *Answer) {
		e := elsewhere(t, fmt.Sprintf("n%d.example.org", n), TypeTXT)
		a, err := e.Read(says(t, e, 0, fmt.Sprintf("n%d.example.org. 60 IN TXT %s", n, strings.Repeat("a", 200)), ""), 7, true, start)
		if err != nil {
			t.Fatal(err)
		}
		return e, a
	}
	first, a := answer(0)
	c.Put(first.Key(""), a)
	for n := range 100 {
		e, a := answer(n + 1)
		c.Put(e.Key(""), a)
		if entries, bytes := c.Len(); entries > 10 || bytes > 10_000 {
			t.Fatalf("%d entries of %d bytes", entries, bytes)
		}
		if c.Get(first.Key(""), start) == nil {
			t.Fatalf("what is asked for has gone after %d", n)
		}
	}
	if entries, _ := c.Len(); entries < 7 {
		t.Errorf("%d entries", entries)
	}
	big, b := answer(1000)
	b.size = 10_000
	c.Put(big.Key(""), b)
	if c.Get(big.Key(""), start) != nil {
		t.Error("an answer is kept that is longer than the cache")
	}
}

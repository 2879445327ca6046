package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of how long answers are kept.
const (
	maxTTL         = 86400 // seconds; what servers say beyond is not believed
	maxNegativeTTL = 3600  // RFC 2308, section 5: one to three hours
	failureTTL     = 1     // RFC 9520, section 3.2: at least a second
)

// Answer is what another server says to a question. It does not change and is safe for concurrent use.
type Answer struct {
	code    int
	records []dns.RR // of the question's name, and of those that it is an alias for
	proof   []dns.RR // of a negative answer
	size    int      // bytes of it all
	ttl     uint32   // seconds for which it may be kept
	at      time.Time
}

// Question gives what is sent to another server. edns is false for those that do not know EDNS.
func (e *Elsewhere) Question(id uint16, edns bool) ([]byte, error) {
	m := dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: id, RecursionDesired: true, CheckingDisabled: e.CD},
		Question: []dns.Question{{Name: dns.Fqdn(e.Name), Qtype: e.Type, Qclass: dns.ClassINET}},
	}
	if edns {
		m.SetEdns0(ednsSize, e.DO)
	}
	b, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("question for %s: %w", e.Name, err)
	}
	return b, nil
}

// Errors of Read.
var (
	ErrOther     = errors.New("no answer to the question")     // to be passed over: who sent it need not be the server
	ErrTruncated = errors.New("truncated")                     // to be asked again over TCP
	ErrNoEDNS    = errors.New("the server does not know EDNS") // to be asked again without
	ErrUseless   = errors.New("the server cannot answer")      // another one may
)

// Read reads what a server has said to the question of that id.
func (e *Elsewhere) Read(b []byte, id uint16, edns bool, now time.Time) (*Answer, error) {
	if len(b) < headerLen || binary.BigEndian.Uint16(b) != id || b[2]&0x80 == 0 {
		return nil, ErrOther
	}
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		// The header is the server's: it knew the id. What follows may be cut, or be of no use.
		if b[2]&2 != 0 && e.asked(&m) {
			return nil, ErrTruncated
		}
		return nil, ErrOther
	}
	switch {
	case len(m.Question) == 0 && m.Rcode == dns.RcodeFormatError && edns:
		return nil, ErrNoEDNS
	case !e.asked(&m) || m.Opcode != dns.OpcodeQuery:
		return nil, ErrOther
	case edns && m.IsEdns0() == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented):
		return nil, ErrNoEDNS
	case m.Truncated:
		return nil, ErrTruncated
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("%w: %s", ErrUseless, dns.RcodeToString[m.Rcode])
	}
	a := e.take(&m, now)
	// The library takes records that end early, and then writes what nobody reads.
	again := dns.Msg{Compress: true, Answer: a.records, Ns: a.proof}
	if p, err := again.Pack(); err != nil || again.Unpack(p) != nil {
		return nil, fmt.Errorf("%w: a bad record", ErrUseless)
	}
	return a, nil
}

// asked reports whether a message is about the question.
func (e *Elsewhere) asked(m *dns.Msg) bool {
	return len(m.Question) == 1 && canonical(m.Question[0].Name) == e.Name && m.Question[0].Qtype == e.Type && m.Question[0].Qclass == dns.ClassINET
}

// take takes of an answer what is about the question: the records of its name and of what that is an alias for, in the order of the aliases' chain or not.
func (e *Elsewhere) take(m *dns.Msg, now time.Time) *Answer {
	a := &Answer{code: m.Rcode, at: now, ttl: maxTTL}
	names := []string{e.Name}
	for range maxAliases {
		known := len(names)
		for _, rr := range m.Answer {
			if c, ok := rr.(*dns.CNAME); ok && slices.Contains(names, canonical(c.Hdr.Name)) && !slices.Contains(names, canonical(c.Target)) {
				names = append(names, canonical(c.Target))
			}
		}
		if len(names) == known {
			break
		}
	}
	positive := false
	for _, rr := range m.Answer {
		h := rr.Header()
		owner := canonical(h.Name)
		_, dname := rr.(*dns.DNAME)
		if !sound(h) || !slices.Contains(names, owner) && !(dname && slices.ContainsFunc(names, func(n string) bool { return below(n, owner) })) {
			continue
		}
		positive = positive || h.Rrtype == e.Type
		a.add(&a.records, rr)
	}
	if positive && a.code == dns.RcodeSuccess {
		return a
	}
	// What is not there may be kept as long as the domain says (RFC 2308, section 5), not at all if it says nothing.
	said := false
	for _, rr := range m.Ns {
		if !sound(rr.Header()) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.SOA:
			said = true
			rr.Hdr.Ttl = min(rr.Hdr.Ttl, rr.Minttl, maxNegativeTTL)
			a.add(&a.proof, rr)
		case *dns.NSEC, *dns.NSEC3, *dns.RRSIG:
			if e.DO {
				a.add(&a.proof, rr)
			}
		}
	}
	if !said {
		a.ttl = 0
	}
	return a
}

// sound reports whether a record says anything: the library takes those without data, as updates have them.
func sound(h *dns.RR_Header) bool { return h.Class == dns.ClassINET && h.Rdlength > 0 }

func (a *Answer) add(to *[]dns.RR, rr dns.RR) {
	h := rr.Header()
	if h.Ttl > 1<<31-1 {
		h.Ttl = 0 // RFC 2181, section 8
	}
	h.Ttl = min(h.Ttl, maxTTL)
	a.ttl = min(a.ttl, h.Ttl)
	a.size += dns.Len(rr)
	*to = append(*to, rr)
}

// Failure gives the answer that stands for none: no server has given any.
func Failure(now time.Time) *Answer {
	return &Answer{code: dns.RcodeServerFailure, ttl: failureTTL, at: now}
}

// Failed reports whether it stands for none.
func (a *Answer) Failed() bool { return a.code == dns.RcodeServerFailure }

// Reply gives the answer to who asked: by what another server has said, of which some time has passed since.
func (e *Elsewhere) Reply(a *Answer, now time.Time) []byte {
	m := e.query.answer()
	m.Rcode = a.code
	if a.Failed() {
		return pack(m, &e.query)
	}
	m.Authoritative = len(e.chain) > 0
	passed := uint32(max(0, now.Sub(a.at)/time.Second))
	m.Answer = slices.Clone(e.chain)
	for _, rr := range a.records {
		rr = aged(rr, passed)
		if len(e.chain) == 0 && strings.EqualFold(rr.Header().Name, e.query.question.Name) {
			rr.Header().Name = e.query.question.Name
		}
		m.Answer = append(m.Answer, rr)
	}
	for _, rr := range a.proof {
		m.Ns = append(m.Ns, aged(rr, passed))
	}
	return pack(m, &e.query)
}

// Fail gives the answer to who asked that there is none.
func (e *Elsewhere) Fail() []byte { return e.Reply(&Answer{code: dns.RcodeServerFailure}, time.Time{}) }

func aged(rr dns.RR, passed uint32) dns.RR {
	rr = dns.Copy(rr)
	h := rr.Header()
	h.Ttl -= min(h.Ttl, passed)
	return rr
}

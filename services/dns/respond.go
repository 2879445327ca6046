package dns

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

const (
	headerLen = 12
	minSize   = 512 // bytes of an answer that every asker takes over UDP (RFC 1035, section 2.3.4)
	// ednsSize is what the server says that it takes over UDP: what passes everywhere in one piece.
	ednsSize = 1232
	maxSize  = 65535 // over TCP

	maxAliases = 8    // that are followed for one question
	maxRecords = 2000 // of an answer: more do not fit in any

	negativeTTL = 30 // seconds for which it may be kept that a name, or a record, does not exist
	minimalTTL  = 3600
	localTTL    = 86400
)

// Options say how an answer is made.
type Options struct {
	TCP  bool   // optional: the answer may have any length
	Size int    // optional: bytes that the network has room for in one answer over UDP; 512 and more
	Turn uint32 // optional: the number of the question, by which addresses take turns
}

// query is a question that can be answered.
type query struct {
	id       uint16
	question dns.Question // as it was asked
	rd, cd   bool
	ra       bool // other servers can be asked
	edns, do bool
	limit    int // bytes of the answer
}

// Elsewhere is a question that the zone does not know the answer to: others have to be asked.
type Elsewhere struct {
	Name   string // in lower case
	Type   uint16
	DO, CD bool // the asker's flags (RFC 3225, RFC 4035)

	query query
	chain []dns.RR // what the zone knows: the aliases that lead to the name
}

// Respond gives the answer to a question, nil for none; or what has to be asked elsewhere before, which makes the answer then.
func Respond(b []byte, z *Zone, o Options) ([]byte, *Elsewhere, Verdict) {
	q, m, v := read(b)
	if v != 0 {
		return z.refuse(b, m, v), nil, v
	}
	q.ra = z.config.Forwards
	q.limit = maxSize
	if !o.TCP {
		q.limit = min(q.limit, max(minSize, o.Size), ednsLimit(m))
	}
	if q.edns && m.IsEdns0().Version() != 0 {
		a := q.answer()
		a.Rcode = dns.RcodeBadVers
		return pack(a, &q), nil, BadVersion
	}
	return z.respond(&q, o)
}

// Asked gives what is asked for in words, as "www.example.org A"; "" of what cannot be read. It is for people: an answer takes no heed of it.
func Asked(b []byte) string {
	var m dns.Msg
	if err := m.Unpack(b); err != nil || len(m.Question) != 1 {
		return ""
	}
	return strings.TrimSuffix(m.Question[0].Name, ".") + " " + dns.Type(m.Question[0].Qtype).String()
}

// ednsLimit gives how long an answer the asker takes over UDP.
func ednsLimit(m *dns.Msg) int {
	if opt := m.IsEdns0(); opt != nil {
		return max(minSize, int(opt.UDPSize()))
	}
	return minSize
}

// read reads a question, or says what is wrong with it.
func read(b []byte) (q query, m *dns.Msg, v Verdict) {
	switch {
	case len(b) < headerLen:
		return q, nil, Short
	case b[2]&0x80 != 0:
		return q, nil, NotQuery
	case b[2]>>3&15 != dns.OpcodeQuery:
		return q, nil, NotImplemented
	case binary.BigEndian.Uint16(b[4:]) != 1:
		return q, nil, BadQuestion
	case binary.BigEndian.Uint32(b[6:]) != 0:
		return q, nil, BadSection
	}
	m = new(dns.Msg)
	if err := m.Unpack(b); err != nil || len(m.Question) != 1 || len(m.Extra) != int(binary.BigEndian.Uint16(b[10:])) {
		return q, nil, BadRecord
	}
	q = query{id: m.Id, question: m.Question[0], rd: m.RecursionDesired, cd: m.CheckingDisabled}
	for _, rr := range m.Extra {
		if opt, ok := rr.(*dns.OPT); ok {
			if q.edns || opt.Hdr.Name != "." {
				return q, nil, BadOption
			}
			q.edns, q.do = true, opt.Do()
		}
	}
	switch t := q.question.Qtype; {
	case q.question.Qclass != dns.ClassINET:
		return q, m, RefusedClass
	case t == dns.TypeNone || t == dns.TypeOPT || t != dns.TypeANY && t >= 249 && t <= 255: // RFC 6895, section 3.1: QTYPEs and meta types
		return q, m, RefusedType
	}
	return q, m, 0
}

// refuse gives what a question that cannot be answered is told, nil for nothing. Of what cannot be read only the header is given back.
func (z *Zone) refuse(b []byte, m *dns.Msg, v Verdict) []byte {
	code := dns.RcodeFormatError
	switch v {
	case Short, NotQuery:
		return nil
	case NotImplemented:
		code = dns.RcodeNotImplemented
	case RefusedClass, RefusedType:
		q := query{id: m.Id, question: m.Question[0], rd: m.RecursionDesired, cd: m.CheckingDisabled, ra: z.config.Forwards, limit: minSize, edns: m.IsEdns0() != nil}
		a := q.answer()
		a.Rcode = dns.RcodeRefused
		return pack(a, &q)
	}
	h := make([]byte, headerLen)
	copy(h, b[:4])
	h[2] = 0x80 | h[2]&0x79 // an answer; operation and recursion desired as they were
	h[3] = byte(code) | h[3]&0x10
	return h
}

// answer begins an answer.
func (q *query) answer() *dns.Msg {
	return &dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: q.id, Response: true, RecursionDesired: q.rd, RecursionAvailable: q.ra, CheckingDisabled: q.cd},
		Question: []dns.Question{q.question},
	}
}

// pack encodes an answer within what the asker takes. It says so in the answer if it had to leave something out.
func pack(m *dns.Msg, q *query) []byte {
	if q.edns {
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		opt.SetUDPSize(ednsSize)
		if q.do {
			opt.SetDo()
		}
		m.Extra = append(m.Extra, opt)
	}
	if m.Len() > q.limit { // without compression, which is as long at least
		m.Truncate(q.limit)
	}
	m.Compress = true
	b, err := m.Pack()
	if err != nil { // what other servers say may be what cannot be written
		f := &dns.Msg{MsgHdr: dns.MsgHdr{Id: q.id, Response: true, RecursionDesired: q.rd, Rcode: dns.RcodeServerFailure}}
		b, _ = f.Pack()
	}
	return b
}

// canonical gives the name in lower case and without the last dot.
func canonical(name string) string { return strings.TrimSuffix(dns.CanonicalName(name), ".") }

// respond answers by the zone's authority.
func (z *Zone) respond(q *query, o Options) ([]byte, *Elsewhere, Verdict) {
	m := q.answer()
	m.Authoritative = true
	name, owner, t := canonical(q.question.Name), q.question.Name, q.question.Qtype
	for range maxAliases {
		n, records := z.find(name), []Record(nil)
		domain, own := z.authority(name)
		if single(name, t) && !own {
			domain, own = "", true
		}
		if n != nil && len(n.records) == 0 && !own {
			n = nil // it exists only for the sake of others below it
		}
		if n != nil {
			if !own {
				domain, own = name, true
			}
			if a, ok := n.alias(); ok && t != TypeCNAME && t != dns.TypeANY {
				m.Answer = append(m.Answer, z.rr(a, owner))
				name, owner = a.Target, dns.Fqdn(a.Target)
				continue
			}
			records = n.of(t)
		}
		rrs := z.made(name, owner, domain, t)
		switch {
		case !own:
			return z.elsewhere(q, m, name, t)
		case t == dns.TypeANY && (n != nil || name == domain && z.isDomain(domain)):
			m.Answer = append(m.Answer, &dns.HINFO{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: minimalTTL}, Cpu: "RFC8482"})
			return pack(m, q), nil, Minimal
		}
		for i := range records[:min(len(records), maxRecords)] {
			rrs = append(rrs, z.rr(records[(i+int(o.Turn%uint32(len(records))))%len(records)], owner))
		}
		v := Answered
		if len(rrs) == 0 {
			v = NoData
			m.Ns = append(m.Ns, z.soa(domain))
			if n == nil && (name != domain || !z.isDomain(domain)) && !below(name, "localhost") {
				v, m.Rcode = NoName, dns.RcodeNameError
			}
		}
		m.Answer = append(m.Answer, rrs...)
		z.additional(m, q)
		b := pack(m, q)
		if m.Truncated {
			v = Truncated
		}
		return b, nil, v
	}
	m.Answer, m.Authoritative, m.Rcode = nil, false, dns.RcodeServerFailure // aliases go round, or on and on
	return pack(m, q), nil, Failed
}

// elsewhere is the end of what the zone knows: a name that servers elsewhere do.
func (z *Zone) elsewhere(q *query, m *dns.Msg, name string, t uint16) ([]byte, *Elsewhere, Verdict) {
	switch {
	case len(m.Answer) > 0 && !q.rd: // the aliases are what this server knows
		return pack(m, q), nil, Answered
	case !q.rd:
		m.Authoritative, m.Rcode = false, dns.RcodeRefused
		return pack(m, q), nil, RefusedElsewhere
	case t == dns.TypeANY:
		m.Authoritative = len(m.Answer) > 0
		m.Answer = append(m.Answer, &dns.HINFO{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: minimalTTL}, Cpu: "RFC8482"})
		return pack(m, q), nil, Minimal
	}
	return nil, &Elsewhere{Name: name, Type: t, DO: q.do, CD: q.cd, query: *q, chain: m.Answer}, Forwarded
}

// single reports whether a question is for a host by one label. Only servers' own domains have such names; what resolvers ask of top-level domains is another matter.
func single(name string, t uint16) bool {
	if name == "" {
		return false
	}
	_, more := parent(name)
	return !more && t != dns.TypeNS && t != dns.TypeSOA && t != dns.TypeDS && t != dns.TypeDNSKEY
}

func below(name, domain string) bool { return domain != "" && within(name, domain) }

func (z *Zone) isDomain(name string) bool { return slices.Contains(z.config.Domains, name) }

// made gives the records that no object is behind: those of a domain itself, and of localhost (RFC 6761, section 6.3).
func (z *Zone) made(name, owner, domain string, t uint16) []dns.RR {
	header := dns.RR_Header{Name: owner, Rrtype: t, Class: dns.ClassINET, Ttl: localTTL}
	switch {
	case below(name, "localhost") && t == TypeA:
		return []dns.RR{&dns.A{Hdr: header, A: []byte{127, 0, 0, 1}}}
	case below(name, "localhost") && t == TypeAAAA:
		return []dns.RR{&dns.AAAA{Hdr: header, AAAA: netip.IPv6Loopback().AsSlice()}}
	case name != domain || !z.isDomain(domain):
	case t == dns.TypeSOA:
		soa := z.soa(domain)
		soa.Hdr.Name = owner
		return []dns.RR{soa}
	case t == dns.TypeNS && z.config.Server != "":
		header.Ttl = negativeTTL
		return []dns.RR{&dns.NS{Hdr: header, Ns: dns.Fqdn(z.config.Server)}}
	}
	return nil
}

// soa gives what says how long a negative answer is good for (RFC 2308, section 3).
func (z *Zone) soa(domain string) *dns.SOA {
	server := z.config.Server
	if server == "" {
		server = domain
	}
	mail := "hostmaster." + domain
	if len(mail) > 253 {
		mail = domain
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: dns.Fqdn(domain), Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: negativeTTL},
		Ns:  dns.Fqdn(server), Mbox: dns.Fqdn(mail), Serial: z.serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL,
	}
}

// additional adds the addresses of what services are at, if there is room: no answer is incomplete without.
func (z *Zone) additional(m *dns.Msg, q *query) {
	for _, rr := range m.Answer {
		target := ""
		switch rr := rr.(type) {
		case *dns.SRV:
			target = rr.Target
		case *dns.NS:
			target = rr.Ns
		default:
			continue
		}
		n := z.find(canonical(target))
		if n == nil {
			continue
		}
		var extra []dns.RR
		for _, r := range slices.Concat(n.of(TypeA), n.of(TypeAAAA)) {
			if rr := z.rr(r, target); len(m.Extra) < maxRecords && !slices.ContainsFunc(m.Extra, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) }) {
				extra = append(extra, rr)
			}
		}
		before := m.Extra
		m.Extra = slices.Concat(before, extra)
		if m.Len() > q.limit-11 { // the EDNS record comes yet
			m.Extra = before
			return
		}
	}
}

// rr gives a record as it is sent.
func (z *Zone) rr(r Record, owner string) dns.RR {
	h := dns.RR_Header{Name: owner, Rrtype: r.Type, Class: dns.ClassINET, Ttl: r.TTL}
	switch r.Type {
	case TypeA:
		return &dns.A{Hdr: h, A: r.Address.AsSlice()}
	case TypeAAAA:
		return &dns.AAAA{Hdr: h, AAAA: r.Address.AsSlice()}
	case TypeCNAME:
		return &dns.CNAME{Hdr: h, Target: dns.Fqdn(r.Target)}
	case TypePTR:
		return &dns.PTR{Hdr: h, Ptr: dns.Fqdn(r.Target)}
	case TypeSRV:
		return &dns.SRV{Hdr: h, Priority: r.Priority, Weight: r.Weight, Port: r.Port, Target: dns.Fqdn(r.Target)}
	}
	return &dns.TXT{Hdr: h, Txt: pieces(r.Text)}
}

// pieces cuts a text into strings of 255 bytes, in the library's notation.
func pieces(text string) []string {
	var out []string
	for rest := text; rest != "" || out == nil; {
		n := min(len(rest), 255)
		out = append(out, strings.ReplaceAll(rest[:n], `\`, `\\`))
		rest = rest[n:]
	}
	return out
}

package dns

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// The types of records that a zone holds.
const (
	TypeA     = dns.TypeA
	TypeAAAA  = dns.TypeAAAA
	TypeCNAME = dns.TypeCNAME
	TypePTR   = dns.TypePTR
	TypeSRV   = dns.TypeSRV
	TypeTXT   = dns.TypeTXT
)

// Record is something that is answered to a name. Names are in lower case and without the last dot.
type Record struct {
	Name      string     // required: with *. before it, it is that of all names below which there are no others of
	Type      uint16     // required
	Address   netip.Addr // required with TypeA, TypeAAAA
	Target    string     // required with TypeCNAME, TypePTR, TypeSRV
	Text      string     // required with TypeTXT
	Priority  uint16     // of TypeSRV
	Weight    uint16     // of TypeSRV
	Port      uint16     // of TypeSRV
	TTL       uint32     // in seconds
	Automatic bool       // it gives way to others of its name and type, and to an alias
}

// Config says what a zone is for, beyond its records.
type Config struct {
	Domains  []string       // optional: names without a record that are in one of these do not exist
	Prefixes []netip.Prefix // optional: the same of addresses in these
	Server   string         // optional: the server's own name
	Forwards bool           // optional: servers elsewhere are asked for what the zone does not know
}

// Zone is what a server knows. It does not change: Edit makes another one. It is safe for concurrent use.
type Zone struct {
	config  Config
	names   *table[*node]
	sources *table[[]string] // the names of which a source has records
	serial  uint32
}

// node is a name that exists: it has records, or there are names below it.
type node struct {
	records []sourced
	below   int // names that exist one label below
}

type sourced struct {
	Record
	source string
}

// NewZone gives a zone without records.
func NewZone(c Config) *Zone {
	return &Zone{config: c, names: &table[*node]{}, sources: &table[[]string]{}, serial: 1}
}

// Names gives the number of names that have records or are above some.
func (z *Zone) Names() int { return z.names.size }

// Editor makes a zone of another one. It is used by one goroutine.
type Editor struct {
	zone    Zone
	names   *editor[*node]
	sources *editor[[]string]
}

// Edit begins another zone, which is as this one until it is changed.
func (z *Zone) Edit() *Editor {
	return &Editor{zone: *z, names: z.names.edit(), sources: z.sources.edit()}
}

// Configure replaces what the zone is for.
func (e *Editor) Configure(c Config) { e.zone.config = c }

// Put replaces the records of a source: of an object that they follow from. None removes them.
func (e *Editor) Put(source string, records ...Record) {
	old, known := e.sources.table.get(source)
	for _, name := range old {
		e.change(name, func(rs []sourced) []sourced {
			return slices.DeleteFunc(slices.Clone(rs), func(r sourced) bool { return r.source == source })
		})
	}
	var names []string
	for _, r := range records {
		e.change(r.Name, func(rs []sourced) []sourced { return append(slices.Clip(rs), sourced{r, source}) })
		if !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	switch {
	case names != nil:
		e.sources.put(source, names)
	case known:
		e.sources.remove(source)
	}
}

// change changes the records of a name, which begins or ceases to exist with them, and so do those above it.
func (e *Editor) change(name string, f func([]sourced) []sourced) {
	var next node
	old, existed := e.names.table.get(name)
	if existed {
		next = *old
	}
	next.records = f(next.records)
	e.set(name, next, existed)
}

func (e *Editor) set(name string, n node, existed bool) {
	exists := len(n.records) > 0 || n.below > 0
	if exists {
		e.names.put(name, &n)
	} else {
		e.names.remove(name)
	}
	_, up, ok := strings.Cut(name, ".")
	if !ok || exists == existed {
		return
	}
	var above node
	old, there := e.names.table.get(up)
	if there {
		above = *old
	}
	if exists {
		above.below++
	} else {
		above.below--
	}
	e.set(up, above, there)
}

// Zone gives the zone as it is now. The editor is of no more use.
func (e *Editor) Zone() *Zone {
	z := e.zone
	z.names, z.sources = e.names.table, e.sources.table
	z.serial++
	return &z
}

// find gives what a name leads to, by itself or by a wildcard (RFC 4592, section 3.3.1); nil if there is nothing.
func (z *Zone) find(name string) *node {
	if n, ok := z.names.get(name); ok {
		return n
	}
	for up, ok := parent(name); ok; up, ok = parent(up) {
		if _, exists := z.names.get(up); exists {
			n, _ := z.names.get("*." + up)
			return n
		}
	}
	return nil
}

// within reports whether a name is a domain's own or below it.
func within(name, domain string) bool {
	rest, ok := strings.CutSuffix(name, domain)
	return ok && (rest == "" || strings.HasSuffix(rest, ".") && !strings.HasSuffix(rest, `\.`))
}

// parent gives the name without its first label, which may have escaped dots.
func parent(name string) (string, bool) {
	i, end := dns.NextLabel(name, 0)
	if end || i >= len(name) {
		return "", false
	}
	return name[i:], true
}

// of gives the records of a type, those that are not automatic if there are any.
func (n *node) of(t uint16) []Record {
	var out, automatic []Record
	for _, r := range n.records {
		switch {
		case r.Type != t:
		case r.Automatic:
			automatic = append(automatic, r.Record)
		default:
			out = append(out, r.Record)
		}
	}
	if out == nil {
		return automatic
	}
	return out
}

// alias gives what the name is another one for.
func (n *node) alias() (Record, bool) {
	for _, r := range n.records {
		if r.Type == TypeCNAME {
			return r.Record, true
		}
	}
	return Record{}, false
}

// authority gives the domain by whose authority a name does not exist if it has no record; false if servers elsewhere know.
func (z *Zone) authority(name string) (string, bool) {
	best, own := "", false
	for _, d := range z.config.Domains {
		if within(name, d) && (!own || len(d) > len(best)) {
			best, own = d, true
		}
	}
	if own {
		return best, true
	}
	if p, ok := reversed(name); ok {
		for _, q := range z.config.Prefixes {
			if q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
				return name, true
			}
		}
	}
	for up, ok := name, name != ""; ok; up, ok = parent(up) {
		if local(up) {
			return up, true
		}
	}
	return "", !z.config.Forwards
}

// reversed gives the prefix whose name in in-addr.arpa or ip6.arpa it is.
func reversed(name string) (netip.Prefix, bool) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		labels := strings.Split(rest, ".")
		var b [4]byte
		if len(labels) > len(b) {
			return netip.Prefix{}, false
		}
		for i, l := range labels {
			n, ok := octet(l)
			if !ok {
				return netip.Prefix{}, false
			}
			b[len(labels)-1-i] = n
		}
		return netip.PrefixFrom(netip.AddrFrom4(b), 8*len(labels)), true
	}
	if rest, ok := strings.CutSuffix(name, ".ip6.arpa"); ok {
		labels := strings.Split(rest, ".")
		var b [16]byte
		if len(labels) > 2*len(b) {
			return netip.Prefix{}, false
		}
		for i, l := range labels {
			n := strings.IndexByte("0123456789abcdef", (l + "x")[0])
			if len(l) != 1 || n < 0 {
				return netip.Prefix{}, false
			}
			at := len(labels) - 1 - i
			b[at/2] |= byte(n) << (4 * (1 - at%2))
		}
		return netip.PrefixFrom(netip.AddrFrom16(b), 4*len(labels)), true
	}
	return netip.Prefix{}, false
}

func octet(s string) (byte, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i > 2 {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return byte(n), s != "" && n < 256 && (s[0] != '0' || len(s) == 1)
}

// private are the prefixes whose reverse names nobody elsewhere knows (RFC 6303, section 4; RFC 7793; RFC 4193).
var private = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("2001:db8::/32"),
}

// local reports whether a domain is one that servers elsewhere are not asked about: it is that of private addresses, or for special use (RFC 6761, RFC 6762, RFC 7686).
func local(name string) bool {
	switch name {
	case "localhost", "invalid", "local", "onion":
		return true
	}
	p, ok := reversed(name)
	return ok && slices.ContainsFunc(private, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
}

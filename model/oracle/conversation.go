package oracle

import (
	"maps"
	"net/netip"
	"slices"
)

// Conversations is what filters and routers remember: of each interface's filters the conversations that they have allowed (section 4), of each
// pinned leg what it has translated (section 7), and of routes of equal cost which one a conversation takes (section 6). World.Judge only reads
// it; Learn adds what a judgement says. The zero value remembers nothing. One goroutine at a time may learn.
type Conversations struct {
	allowed  map[allowance]struct{}
	outside  map[translated]binding // by what is seen in the leg's network
	inside   map[translated]binding // by what is seen in the route link
	balanced map[balance]string     // uuid of the route
	firsts   map[fragmented]transport
	answers  map[allowance]progress
}

// Learn adds what the filters and routers on the frame's way remember of it. The outcome is of Judge with these conversations. like are others of that judgement that look the same from outside: which route of
// equal cost the frame has taken is learned if it has in all of them.
func (c *Conversations) Learn(o Outcome, like ...Outcome) {
	if len(o.memos) > 0 && c.allowed == nil {
		*c = *(&Conversations{}).Clone()
	}
	for _, m := range o.memos {
		b, isChoice := m.(balancedTo)
		if isChoice && slices.ContainsFunc(like, func(o Outcome) bool { return !slices.ContainsFunc(o.memos, func(m memo) bool { return m == memo(b) }) }) {
			continue
		}
		m.add(c)
	}
}

// Clone gives a copy that learns by itself.
func (c *Conversations) Clone() *Conversations {
	return &Conversations{copied(c.allowed), copied(c.outside), copied(c.inside), copied(c.balanced), copied(c.firsts), copied(c.answers)}
}

// copied is maps.Clone that makes a map of nil too.
func copied[K comparable, V any](m map[K]V) map[K]V {
	n := make(map[K]V, len(m))
	maps.Copy(n, m)
	return n
}

// Len gives the number of things that are remembered.
func (c *Conversations) Len() int {
	return len(c.allowed) + len(c.inside) + len(c.balanced) + len(c.firsts)
}

// tuple is what makes packets one conversation: protocol, addresses and ports. The ports of an echo are its id; without ports they are 0.
type tuple struct {
	proto    uint8
	echo     echo
	from, to netip.AddrPort
}

type echo uint8

const (
	noEcho echo = iota
	echoRequest
	echoAnswer
)

// tuple gives that of the packet. There is none of ICMP other than echo, which has no answers, nor where a header does not parse.
func (p *packet) tuple() (tuple, bool) {
	if !p.isIP() || !p.parsed || p.proto == 0 && p.l4 == 0 {
		return tuple{}, false
	}
	t := tuple{proto: p.proto, from: netip.AddrPortFrom(p.from, p.fromPort), to: netip.AddrPortFrom(p.to, p.toPort)}
	if p.icmp.known {
		switch request, answer := p.isEcho(p.proto); {
		case request:
			t.echo = echoRequest
		case answer:
			t.echo = echoAnswer
		default:
			return tuple{}, false
		}
		t.from, t.to = netip.AddrPortFrom(p.from, p.icmp.id), netip.AddrPortFrom(p.to, p.icmp.id)
	}
	return t, true
}

// begins reports whether a packet with that tuple can be the first of a conversation. An answer to a beginning, of TCP or echo, cannot.
func (p *packet) begins(t tuple) bool { return !p.synAck && t.echo != echoAnswer }

// answer gives the tuple of answers.
func (t tuple) answer() tuple {
	t.from, t.to = t.to, t.from
	switch t.echo {
	case echoRequest:
		t.echo = echoAnswer
	case echoAnswer:
		t.echo = echoRequest
	}
	return t
}

// memo is one thing to remember.
type memo interface{ add(c *Conversations) }

// allowance is a conversation that an interface's filter has passed with memory, by its first packet.
type allowance struct {
	iface  string
	filter statefulFilter
	tuple  tuple
}

// progress is how far a conversation that a filter has allowed has come.
type progress uint8

const (
	unanswered   progress = iota
	answered              // an answer has passed the filter
	acknowledged          // and then a TCP segment with ACK of the end that began
)

type progressed struct {
	allowance
	to progress
}

func (a progressed) add(c *Conversations) { c.answers[a.allowance] = a.to }

type statefulFilter uint8

const (
	staticFilter statefulFilter = iota
	groupFilter
)

func (a allowance) add(c *Conversations) { c.allowed[a] = struct{}{} }

// knows reports whether the filter has passed a conversation of that first packet, before or on this frame's way.
func (r *run) knows(a allowance) bool {
	if _, ok := r.c.allowed[a]; ok {
		return true
	}
	for _, m := range r.out.memos {
		if m == memo(a) {
			return true
		}
	}
	return false
}

// translated is one side of a conversation at a leg that began with a packet that passed it that way. There peer is who is talked to in the leg's
// network, and own the other end: by its address there (outside), or in the route link (inside). Answers have the same key.
type translated struct {
	leg   string
	began towards
	proto uint8
	sides
}

// binding is a conversation at a pinned leg as it is outside and inside, which is the same if nothing is translated.
type binding struct {
	outside, inside sides
	passed          bool // it came in untranslated, but for the port of its peer
}

// sides are the ends of a conversation; see translated.
type sides struct{ peer, own netip.AddrPort }

type bound struct {
	outside, inside translated
	binding         binding
}

func (b bound) add(c *Conversations) {
	c.outside[b.outside], c.inside[b.inside] = b.binding, b.binding
}

// bound gives the conversation at the leg with those ends in its network (the way is into the route link) or in the route link.
func (r *run) bound(k translated, way towards) (binding, bool) {
	known := r.c.outside
	if way == towardsOutside {
		known = r.c.inside
	}
	if b, ok := known[k]; ok {
		return b, true
	}
	for _, m := range r.out.memos {
		if b, ok := m.(bound); ok && (way == towardsInside && b.outside == k || way == towardsOutside && b.inside == k) {
			return b.binding, true
		}
	}
	return binding{}, false
}

// recalled is a conversation at a pinned leg with a packet's place in it.
type recalled struct {
	binding
	answers bool // it is of the end that answers
	isError bool // it is an ICMP error about a packet that has gone the other way
}

// recall looks a packet up in one of a pinned leg's two memories, that of what began in that way, and makes it what it is on the other side of the leg. A packet
// of a conversation has its place there whichever way it passes the leg.
func (r *run) recall(leg *iface, began towards, p, whole *packet) (m recalled, ok bool) {
	r.untracked = allowance{}
	t, ok := whole.tuple()
	in, isError := p.embedded()
	if m.isError = isError; isError {
		t, ok = in.tuple()
		t = t.answer()
	}
	if !ok {
		return m, false
	}
	find := func(way towards) bool {
		m.binding, ok = r.bound(translated{leg.UUID, began, t.proto, t.sides(way)}, way)
		return ok
	}
	m.answers = t.echo == echoAnswer || !find(began)
	if m.answers && (t.echo == echoRequest || !find(began.back())) {
		return m, false
	}
	way, ends := began, m.inside
	if m.answers {
		way = way.back()
	}
	if way == towardsOutside {
		ends = m.outside
	}
	switch {
	case isError && m.passed: // in which the peer has another port, if anything has changed
		p.setTranslatedError(sides{ends.own, ends.peer}, way.back())
	case isError:
		p.setTranslatedError(ends, way)
	default:
		p.setTranslated(ends, way)
	}
	whole.isNow(ends, way)
	return m, true
}

// balance is a choice among routes of equal cost, of all or of those through legs at the host, for a packet that was another when it entered, and has met so many
// routers since.
type balance struct {
	host, link     string
	among          reach
	routers        int
	entered, tuple tuple
}

type balancedTo struct {
	balance balance
	route   string
}

func (b balancedTo) add(c *Conversations) { c.balanced[b.balance] = b.route }

func (r *run) balancedRoute(k balance) string {
	for _, m := range r.out.memos {
		if b, ok := m.(balancedTo); ok && b.balance == k {
			return b.route
		}
	}
	return r.c.balanced[k]
}

// fragmented is a packet that comes in fragments (RFC 791, RFC 8200).
type fragmented struct {
	from, to netip.Addr
	proto    uint8
	id       uint32
}

type firstSeen struct {
	packet fragmented
	first  transport
}

func (f firstSeen) add(c *Conversations) { c.firsts[f.packet] = f.first }

// together gives a fragment with the ports of the packet that it belongs to, as those have it that put packets together; whole packets as they
// are. It is false if the packet's first fragment was not seen.
func (r *run) together(p *packet) (packet, bool) {
	whole := *p
	if !p.fragment {
		return whole, true
	}
	k := fragmented{p.from, p.to, p.proto, p.id}
	if p.ether == etherIPv6 {
		k.proto = 0 // of which headers may stand between
	}
	if !p.later {
		r.out.memos = append(r.out.memos, firstSeen{k, p.first})
		whole.transport = p.first
		return whole, true
	}
	first, ok := r.c.firsts[k]
	whole.transport = first
	return whole, ok
}

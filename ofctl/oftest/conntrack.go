package oftest

import (
	"net/netip"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// tuple identifies one direction of a connection. For ICMP the ports are the identifier, and type and code are those of the
// direction.
type tuple struct {
	src, dst     [16]byte // IPv4 in the last 4 bytes
	sport, dport uint16
	zone         uint16
	proto        uint8
	v6           bool
	styp, scode  uint8 // of ICMP
	dtyp, dcode  uint8
}

func (t tuple) reverse() tuple {
	t.src, t.dst = t.dst, t.src
	t.sport, t.dport = t.dport, t.sport
	t.styp, t.dtyp = t.dtyp, t.styp
	t.scode, t.dcode = t.dcode, t.scode
	return t
}

func (t *tuple) icmp() bool { return t.proto == protoICMP && !t.v6 || t.proto == protoICMPv6 && t.v6 }

// ports gives what ct_tp_src and ct_tp_dst show: of ICMP the type and the code.
func (t *tuple) ports() (src, dst uint16) {
	if t.icmp() {
		return uint16(t.styp), uint16(t.scode)
	}
	return t.sport, t.dport
}

func addrOf(b [16]byte, v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}

// ctConn is a connection.
type ctConn struct {
	key, rev tuple
	mark     uint32
	label    flow.Value
	nat      natKind
	tcp      *tcpState
	replied  bool // a reply was seen; not for TCP
}

// half is one direction of a connection.
type half struct {
	conn  *ctConn
	reply bool
}

// tracker is the connection table.
type tracker struct {
	halves map[tuple]half
	count  int
	most   int
	zones  map[uint16]int // connections by zone
	limits map[uint16]int
}

func newTracker(most int) *tracker {
	return &tracker{halves: map[tuple]half{}, most: most, zones: map[uint16]int{}, limits: map[uint16]int{}}
}

// ctState is what a packet carries of its connection.
type ctState struct {
	state uint8
	zone  uint16
	mark  uint32
	label flow.Value
	orig  tuple
	known bool // orig is set
}

// describe writes the fields of the connection.
func (c *ctState) describe(k *key) {
	k[wCT] = uint64(c.state)<<32 | uint64(c.mark)
	k[wCTLabel], k[wCTLabel+1] = c.label.Hi, c.label.Lo
	k[wCTTuple] = uint64(c.zone) << 48
	if !c.known {
		return
	}
	src, dst := c.orig.ports()
	k[wCTTuple] |= uint64(c.orig.proto)<<32 | uint64(src)<<16 | uint64(dst)
	if !c.orig.v6 {
		k[wCTIPv4] = uint64(be32(c.orig.src[12:]))<<32 | uint64(be32(c.orig.dst[12:]))
		return
	}
	k[wCTSrc6], k[wCTSrc6+1] = be64(c.orig.src[:]), be64(c.orig.src[8:])
	k[wCTDst6], k[wCTDst6+1] = be64(c.orig.dst[:]), be64(c.orig.dst[8:])
}

// track gives a packet to conntrack.
func (x *execution) track(a *ctAction, p *packet, hop int) {
	t, related, ok := p.tuple(a.zone)
	if ok {
		x.sw.ct.process(a, p, t, related)
	} else {
		p.ct.state = flow.CTInvalid
		p.ct.write(a.zone, nil, nil)
	}
	l := CTLookup{Zone: a.zone, Commit: a.commit, Recirc: a.recirc, Depth: hop, State: p.ct.state, Proto: t.proto, SrcPort: t.sport, DstPort: t.dport}
	if ok {
		l.Src, l.Dst = addrOf(t.src, t.v6), addrOf(t.dst, t.v6)
	}
	x.res.Conntrack = append(x.res.Conntrack, l)
}

// write fills in what the packet carries, of the connection or of its own tuple.
func (c *ctState) write(zone uint16, n *ctConn, own *tuple) {
	c.state |= flow.CTTracked
	c.zone, c.mark, c.label, c.known, c.orig = zone, 0, flow.Value{}, false, tuple{}
	if n != nil {
		c.mark, c.label = n.mark, n.label
		own = &n.key
	}
	if own != nil {
		c.known, c.orig = true, *own
	}
}

// annotate sets mark and label of a connection and its packet.
func (p *packet) annotate(a *ctAction, n *ctConn) {
	if a.markMask != 0 {
		n.mark = a.mark&a.markMask | p.ct.mark&^a.markMask
		p.ct.mark = n.mark
	}
	if !a.labelMask.IsZero() {
		n.label = a.label.And(a.labelMask).Or(p.ct.label.AndNot(a.labelMask))
		p.ct.label = n.label
	}
}

// process does what the connection table says of a packet.
func (ct *tracker) process(a *ctAction, p *packet, t tuple, related bool) {
	const translated = flow.CTSNAT | flow.CTDNAT
	if p.ct.zone != a.zone {
		p.ct.state = 0
	}
	h, found := ct.find(&t, p.ct.state&translated != 0)
	if found && a.force && h.reply { // force: the connection is to be in this direction
		ct.remove(h.conn)
		found = false
	}
	create := false
	n := h.conn
	switch {
	case found:
		create = ct.update(p, n, h.reply, related)
		if a.nat != nil && !create {
			p.handleNAT(n, a.zone, h.reply, related)
		}
	case ct.original(a, p, &t, &h):
		n = h.conn
		create = ct.update(p, n, h.reply, related)
	case related:
		p.ct.state = flow.CTInvalid
		n = nil
	default:
		create = true
	}
	if create {
		n = ct.create(a, p, t, related)
	}
	p.ct.write(a.zone, n, &t)
	if n != nil {
		p.annotate(a, n)
	}
}

// find gives the connection of a tuple. That of a packet which was translated in this zone before is known by the answer to what
// the packet is now; the tuple then becomes what it was.
func (ct *tracker) find(t *tuple, translated bool) (half, bool) {
	if !translated {
		h, ok := ct.halves[*t]
		return h, ok
	}
	h, ok := ct.halves[t.reverse()]
	if ok {
		h.reply = !h.reply
		*t = h.conn.key
		if h.reply {
			*t = h.conn.rev
		}
	}
	return h, ok
}

// original finds the connection of a packet that was translated before, by the original tuple that it carries.
func (ct *tracker) original(a *ctAction, p *packet, t *tuple, h *half) bool {
	if !p.ct.known || p.ct.orig.proto == 0 || p.ct.orig.v6 != t.v6 || p.ct.state&(flow.CTSNAT|flow.CTDNAT) == 0 || a.nat != nil {
		return false
	}
	o := p.ct.orig
	if o.icmp() {
		o.sport, o.dport = t.sport, t.dport
	}
	o.zone = p.ct.zone
	found, ok := ct.halves[o]
	if ok {
		*h = found
	}
	return ok
}

// update takes a packet of a connection in. It reports whether the connection is over and this is the first packet of another.
func (ct *tracker) update(p *packet, n *ctConn, reply, related bool) bool {
	s := &p.ct.state
	if related {
		*s |= flow.CTRelated
		if reply {
			*s |= flow.CTReply
		}
		return false
	}
	verdict := ctValid
	if n.tcp != nil {
		verdict = n.tcp.update(p.l4Bytes(), reply)
	} else {
		n.replied = n.replied || reply
		if !n.replied {
			verdict = ctValidNew
		}
	}
	switch verdict {
	case ctValid:
		*s = *s&^flow.CTNew | flow.CTEstablished
		if reply {
			*s |= flow.CTReply
		}
	case ctValidNew:
		*s |= flow.CTNew
	case ctInvalid:
		*s = flow.CTInvalid
	case ctAnew:
		ct.remove(n)
		return true
	}
	return false
}

// verdict is what a protocol says of a packet.
type verdict uint8

const (
	ctValid    verdict = iota
	ctValidNew         // valid, but the other end has not answered
	ctInvalid
	ctAnew // the connection is over: this packet begins another
)

// create makes a connection of a packet, if it may begin one; only a commit puts it into the table.
func (ct *tracker) create(a *ctAction, p *packet, t tuple, related bool) *ctConn {
	l4 := p.l4Bytes()
	if !validNew(&t, l4) {
		p.ct.state = flow.CTInvalid
		return nil
	}
	p.ct.state = flow.CTNew
	if !a.commit {
		return nil
	}
	if limit, ok := ct.limits[t.zone]; ok && ct.zones[t.zone] >= limit {
		return nil
	}
	if ct.count >= ct.most {
		return nil
	}
	n := &ctConn{key: t, rev: t.reverse()}
	if a.nat != nil && !ct.translate(n, a.nat) {
		return nil // no free tuple
	}
	if t.proto == protoTCP {
		n.tcp = newTCP(l4)
	}
	if n.nat != 0 {
		p.nat(n, false, related)
	}
	ct.insert(n)
	return n
}

func (ct *tracker) insert(n *ctConn) {
	ct.halves[n.key] = half{n, false}
	if _, taken := ct.halves[n.rev]; !taken {
		ct.halves[n.rev] = half{n, true}
	}
	ct.count++
	ct.zones[n.key.zone]++
}

func (ct *tracker) remove(n *ctConn) {
	for _, t := range [...]tuple{n.key, n.rev} {
		if ct.halves[t].conn == n {
			delete(ct.halves, t)
		}
	}
	ct.count--
	ct.zones[n.key.zone]--
}

// validNew reports whether a packet may begin a connection.
func validNew(t *tuple, l4 []byte) bool {
	switch {
	case t.proto == protoTCP:
		return validNewTCP(l4)
	case t.proto == protoICMP && !t.v6:
		return (t.styp == 8 || t.styp == 13 || t.styp == 15) && t.scode == 0
	case t.proto == protoICMPv6 && t.v6:
		return t.styp == 128 && t.scode == 0
	}
	return true
}

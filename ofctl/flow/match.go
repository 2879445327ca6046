package flow

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Match is an immutable set of predicates on a packet: the empty Match, its zero value, accepts every packet. Two matches
// that say the same are equal by ==, so that a Match can be a map key: it holds the predicates as OpenFlow 1.5 OXM TLVs
// in one canonical form (ascending fields, no duplicate, values zeroed outside their masks, full masks and empty
// predicates dropped, XReg, XXReg, VLANTCI, IPTOS and InPort16 taken apart).
type Match struct{ tlv string }

// maxPreds bounds the predicates of one match: every canonical field once.
const maxPreds = int(tunMetadata63)

// NewMatch builds a match that holds where all of preds hold. Predicates on different bits of a field are merged. It is
// an error if two contradict each other, if a value does not fit its field, if a field that is not maskable is masked,
// or if a field is used without its prerequisite (such as TCPDst without IPProto 6).
func NewMatch(preds ...Pred) (Match, error) {
	var b matchBuilder
	for _, p := range preds {
		if err := b.add(p); err != nil {
			return Match{}, fmt.Errorf("match: %w", err)
		}
	}
	return b.finish()
}

// MustMatch is NewMatch for static declarations: it panics on error.
func MustMatch(preds ...Pred) Match {
	m, err := NewMatch(preds...)
	if err != nil {
		panic("flow: " + err.Error())
	}
	return m
}

// DecodeMatch reads the TLVs of an OpenFlow 1.5 match (without header and padding) into its canonical form. It accepts
// any order. A field that this package does not declare is an error, as is a missing prerequisite.
func DecodeMatch(tlvs []byte) (Match, error) {
	var b matchBuilder
	for len(tlvs) > 0 {
		p, n, err := decodePred(tlvs)
		if err != nil {
			return Match{}, fmt.Errorf("match: %w", err)
		}
		tlvs = tlvs[n:]
		if err := b.add(p); err != nil {
			return Match{}, fmt.Errorf("match: %w", err)
		}
	}
	return b.finish()
}

// DecodeMetadata reads the TLVs that describe a packet in a packet-in: like DecodeMatch, but it does not ask for
// prerequisites and skips fields that this package does not declare.
func DecodeMetadata(tlvs []byte) (Match, error) {
	var b matchBuilder
	for len(tlvs) > 0 {
		p, n, err := decodePred(tlvs)
		if err != nil && n == 0 {
			return Match{}, fmt.Errorf("metadata: %w", err)
		}
		tlvs = tlvs[n:]
		if err != nil {
			continue
		}
		if err := b.add(p); err != nil {
			return Match{}, fmt.Errorf("metadata: %w", err)
		}
	}
	return b.encode(), nil
}

// Encoded gives the canonical TLVs, without header and padding.
func (m Match) Encoded() string { return m.tlv }

// Equal reports whether both say the same; it is == for go-cmp.
func (m Match) Equal(n Match) bool { return m == n }

// Preds gives the canonical predicates in ascending order of their fields.
func (m Match) Preds() iter.Seq[Pred] {
	return func(yield func(Pred) bool) {
		for s := m.tlv; s != ""; {
			p, n := nextPred(s)
			if !yield(p) {
				return
			}
			s = s[n:]
		}
	}
}

// And gives the match that holds where m and all of preds hold. Errors are those of NewMatch.
func (m Match) And(preds ...Pred) (Match, error) {
	var b matchBuilder
	for p := range m.Preds() {
		if err := b.insert(p); err != nil {
			return Match{}, fmt.Errorf("match: %w", err)
		}
	}
	for _, p := range preds {
		if err := b.add(p); err != nil {
			return Match{}, fmt.Errorf("match: %w", err)
		}
	}
	return b.finish()
}

// Get gives value and mask of what m says about f; the mask is zero when it says nothing. It puts the other views (XReg,
// VLANTCI ...) together from their parts.
func (m Match) Get(f Field) (value, mask Value) {
	if i := f.index(); i < tunMetadata0 || f.isTunMetadata() {
		for p := range m.Preds() {
			if p.Field.index() == i {
				return p.Value, p.Mask
			}
		}
		return Value{}, Value{}
	}
	switch f {
	case IPTOS:
		v, k := m.Get(IPDSCP)
		return v.Shl(2), k.Shl(2)
	case InPort16:
		v, k := m.Get(InPort)
		return v.And(Ones(16)), k.And(Ones(16))
	}
	for _, part := range f.Parts() {
		v, k := m.Get(part)
		value = value.Shl(part.Width()).Or(v)
		mask = mask.Shl(part.Width()).Or(k)
	}
	return value, mask
}

// matchBuilder collects canonical predicates in ascending order.
type matchBuilder struct {
	n int
	p [40]Pred
	x []Pred // instead of p, for matches of more than 40 predicates
}

func (b *matchBuilder) preds() []Pred {
	if b.x != nil {
		return b.x
	}
	return b.p[:b.n]
}

// add checks p and inserts its canonical parts.
func (b *matchBuilder) add(p Pred) error {
	if err := p.check(); err != nil {
		return err
	}
	f := p.Field
	if !f.isTunMetadata() {
		if p.Mask.IsZero() {
			return nil
		}
		if f.index() >= tunMetadata0 {
			return b.addParts(p)
		}
	}
	if p.Mask != Ones(f.Width()) && !f.Maskable() {
		return fmt.Errorf("%v=%v/%v: the field cannot be masked", f, p.Value, p.Mask)
	}
	return b.insert(p)
}

func (b *matchBuilder) addParts(p Pred) error {
	switch p.Field {
	case IPTOS:
		if p.Mask.And(Value{Lo: 0xfc}) != (Value{Lo: 0xfc}) || p.Value.Lo&3 != 0 {
			return fmt.Errorf("nw_tos=%v/%v: not exactly the six bits of ip_dscp", p.Value, p.Mask)
		}
		return b.insert(IPDSCP.IsValue(p.Value.Shr(2)))
	case InPort16:
		if p.Mask != Ones(16) {
			return fmt.Errorf("in_port=%v/%v: the field cannot be masked", p.Value, p.Mask)
		}
		return b.insert(InPort.Is(uint64(portFrom16(uint16(p.Value.Lo)))))
	}
	if p.Field == VLANTCI && p.Mask.Lo&VLANPresent != 0 && p.Value.Lo == 0 {
		p.Mask.Lo &= 0x1fff // no tag: there is no priority to look at
	}
	parts := p.Field.Parts()
	for i := len(parts) - 1; i >= 0; i-- {
		w := parts[i].Width()
		part := Pred{parts[i], p.Value.And(Ones(w)), p.Mask.And(Ones(w))}
		p.Value, p.Mask = p.Value.Shr(w), p.Mask.Shr(w)
		if part.Mask.IsZero() {
			continue
		}
		if part.Mask != Ones(w) && !part.Field.Maskable() {
			return fmt.Errorf("%v=%v/%v: the field cannot be masked", part.Field, part.Value, part.Mask)
		}
		if err := b.insert(part); err != nil {
			return err
		}
	}
	return nil
}

// check tells whether value and mask fit the field.
func (p Pred) check() error {
	f := p.Field
	if !f.Valid() {
		return fmt.Errorf("%v is not a field", f)
	}
	if w := f.Width(); p.Value.Len() > w || p.Mask.Len() > w {
		return fmt.Errorf("%v=%v/%v: does not fit %d bits", f, p.Value, p.Mask, w)
	}
	if p.Value.AndNot(p.Mask) != (Value{}) {
		return fmt.Errorf("%v=%v/%v: the value is too wide for the mask or of another kind", f, p.Value, p.Mask)
	}
	switch f {
	case ARPOp:
		if p.Value.Lo > 0xff {
			return fmt.Errorf("arp_op=%d: Open vSwitch knows operations up to 255", p.Value.Lo)
		}
	case InPort, ActsetOutput:
		if !Port(p.Value.Lo).valid() {
			return fmt.Errorf("%v=%v: not a port number", f, p.Value)
		}
	}
	return nil
}

// insert merges a canonical predicate into the ordered list.
func (b *matchBuilder) insert(p Pred) error {
	l := b.preds()
	i := len(l)
	for i > 0 && l[i-1].Field.index() >= p.Field.index() {
		i--
	}
	if i < len(l) && l[i].Field.index() == p.Field.index() {
		q := &l[i]
		if q.Field != p.Field {
			return fmt.Errorf("%v with %d and with %d bytes", p.Field, q.Field.bytes(), p.Field.bytes())
		}
		both := q.Mask.And(p.Mask)
		if q.Value.And(both) != p.Value.And(both) {
			return fmt.Errorf("%v is to be %v/%v and %v/%v at once", p.Field, q.Value, q.Mask, p.Value, p.Mask)
		}
		q.Value, q.Mask = q.Value.Or(p.Value), q.Mask.Or(p.Mask)
		return nil
	}
	if b.x == nil && b.n < len(b.p) {
		copy(b.p[i+1:b.n+1], b.p[i:b.n])
		b.p[i] = p
		b.n++
		return nil
	}
	if b.x == nil {
		b.x = append(make([]Pred, 0, maxPreds), b.p[:]...)
	}
	b.x = append(b.x, Pred{})
	copy(b.x[i+1:], b.x[i:])
	b.x[i] = p
	return nil
}

// find gives what is said about f.
func (b *matchBuilder) find(f Field) (value, mask uint64) {
	for _, p := range b.preds() {
		if p.Field == f {
			return p.Value.Lo, p.Mask.Lo
		}
	}
	return 0, 0
}

func (b *matchBuilder) exact(f Field) (uint64, bool) {
	v, m := b.find(f)
	return v, m != 0 && m == Ones(f.Width()).Lo
}

// finish checks the prerequisites and encodes.
func (b *matchBuilder) finish() (Match, error) {
	for _, p := range b.preds() {
		if !b.met(p.Field) {
			return Match{}, fmt.Errorf("match: %v needs %s", p.Field, prereqText[p.Field.info().prereq])
		}
	}
	return b.encode(), nil
}

func (b *matchBuilder) encode() Match {
	l := b.preds()
	var buf [512]byte
	out := buf[:0]
	for i := range l {
		if l[i].Field == PacketType && l[i].Value.IsZero() {
			continue // Ethernet is implied
		}
		out = appendPred(out, &l[i])
	}
	return Match{string(out)}
}

// met reports whether the match may look at f.
func (b *matchBuilder) met(f Field) bool {
	pre := f.info().prereq
	if pre == preNone {
		return true
	}
	if pt, ok := b.exact(PacketType); ok && pt != 0 {
		return pre != preEthernet && pre != preVLAN && b.metEtherType(pre, pt&0xffff)
	}
	switch pre {
	case preEthernet:
		return true
	case preVLAN:
		v, m := b.find(VLANVID)
		return v&m&VLANPresent != 0
	}
	et, _ := b.exact(EthType)
	return b.metEtherType(pre, et)
}

func (b *matchBuilder) metEtherType(pre prereq, et uint64) bool {
	ip := et == etherIPv4 || et == etherIPv6
	proto, _ := b.exact(IPProto)
	switch pre {
	case preMPLS:
		return et == 0x8847 || et == 0x8848
	case preIPv4:
		return et == etherIPv4
	case preIPv6:
		return et == etherIPv6
	case preIP:
		return ip
	case preARP:
		return et == etherARP || et == etherRARP
	case preTCP:
		return ip && proto == protoTCP && b.firstFragment()
	case preUDP:
		return ip && proto == protoUDP && b.firstFragment()
	case preSCTP:
		return ip && proto == protoSCTP && b.firstFragment()
	case preICMP:
		return et == etherIPv4 && proto == protoICMP
	case preICMPv6:
		return et == etherIPv6 && proto == protoICMPv6
	case preND, preNDSolicit, preNDAdvert:
		t, okT := b.exact(ICMPv6Type)
		c, okC := b.exact(ICMPv6Code)
		return et == etherIPv6 && proto == protoICMPv6 && okT && okC && c == 0 &&
			(t == 135 && pre != preNDAdvert || t == 136 && pre != preNDSolicit)
	case preCT:
		return ip && b.connection()
	case preCTIPv4:
		return et == etherIPv4 && b.connection()
	case preCTIPv6:
		return et == etherIPv6 && b.connection()
	case preCTProto:
		ctProto, _ := b.exact(CTNwProto)
		return ctProto != 0
	}
	return false
}

// firstFragment: later fragments have no ports.
func (b *matchBuilder) firstFragment() bool {
	v, _ := b.find(IPFrag)
	return v&2 == 0
}

// connection reports whether the match is on packets that have a connection.
func (b *matchBuilder) connection() bool {
	v, m := b.find(CTState)
	return v&(CTNew|CTEstablished|CTRelated|CTReply|CTSNAT|CTDNAT) != 0 ||
		v&CTTracked != 0 && m&CTInvalid != 0 && v&CTInvalid == 0
}

const (
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherRARP   = 0x8035
	etherIPv6   = 0x86dd
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

// appendPred appends the TLV of a predicate.
func appendPred(b []byte, p *Pred) []byte {
	n := p.Field.bytes()
	h := p.Field.oxmHeader()
	masked := p.Mask != Ones(p.Field.Width())
	if masked {
		h = h&^0xff | 1<<8 | uint32(2*n)
	}
	b = append(b, byte(h>>24), byte(h>>16), byte(h>>8), byte(h))
	b = appendValue(b, p.Value, n)
	if masked {
		b = appendValue(b, p.Mask, n)
	}
	return b
}

var errShortTLV = errors.New("truncated OXM field")

// decodePred reads the first TLV of b and gives its size, which is not 0 if only the field is unknown.
func decodePred(b []byte) (Pred, int, error) {
	if len(b) < 4 {
		return Pred{}, 0, errShortTLV
	}
	h := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := int(h & 0xff)
	masked := h&(1<<8) != 0
	if len(b) < 4+n {
		return Pred{}, 0, errShortTLV
	}
	size := n
	if masked {
		size /= 2
	}
	f, ok := fieldByHeader(h&^0x1ff, size)
	if !ok || masked && n%2 != 0 {
		return Pred{}, 4 + n, fmt.Errorf("unknown OXM field: class %#x, number %d, %d bytes", h>>16, h>>9&0x7f, n)
	}
	p := Pred{Field: f, Mask: Ones(f.Width())}
	p.Value = readValue(b[4 : 4+size])
	if masked {
		// A mask may cover the unused bits above a narrow field (ipv6_label, tcp_flags), or leave them out.
		p.Mask = readValue(b[4+size : 4+n]).And(p.Mask)
		if p.Value.AndNot(readValue(b[4+size:4+n])) != (Value{}) {
			return Pred{}, 0, fmt.Errorf("%v: value bits outside the mask", f)
		}
	}
	return p, 4 + n, nil
}

// nextPred reads the first TLV of a canonical match.
func nextPred(s string) (Pred, int) {
	h := uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
	n := int(h & 0xff)
	if h&(1<<8) != 0 {
		f, _ := fieldByHeader(h&^0x1ff, n/2)
		return Pred{f, readValue(s[4 : 4+n/2]), readValue(s[4+n/2 : 4+n])}, 4 + n
	}
	f, _ := fieldByHeader(h&^0x1ff, n)
	return Pred{f, readValue(s[4 : 4+n]), Ones(f.Width())}, 4 + n
}

// String gives the match as ovs-ofctl dumps it, without the priority.
func (m Match) String() string {
	return strings.TrimSuffix(string(appendMatch(nil, m, Names{})), ",")
}

// AppendField appends a whole field as lists of fields in group properties have it: a header and a mask of ones.
func AppendField(b []byte, f Field) ([]byte, error) {
	if !f.Valid() {
		return b, fmt.Errorf("%v is not a field", f)
	}
	return appendValue(append32(b, f.oxmHeader()), Ones(128), f.bytes()), nil
}

// DecodeField reads what AppendField writes and gives the rest.
func DecodeField(b []byte) (f Field, rest []byte, err error) {
	if len(b) < 4 {
		return noField, nil, errShortTLV
	}
	h := be32(b)
	n := int(h & 0xff)
	f, ok := fieldByHeader(h, n)
	switch {
	case !ok || h&0x100 != 0:
		return noField, nil, fmt.Errorf("unknown OXM field: class %#x, number %d, %d bytes", h>>16, h>>9&0x7f, n)
	case len(b) < 4+n:
		return noField, nil, errShortTLV
	case readValue(b[4:4+n]) != Ones(8*n):
		return noField, nil, fmt.Errorf("%v with a mask", f)
	}
	return f, b[4+n:], nil
}

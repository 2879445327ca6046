package flow

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Parse reads a flow as "ovs-ofctl dump-flows" prints it with or without statistics, which it skips, and as "ovs-ofctl
// add-flow" takes it in the same words. names gives the numbers of named tables and ports.
func Parse(text string, names Names) (Flow, error) {
	p := parser{names: names}
	f, err := p.flow(text)
	if err != nil {
		return Flow{}, fmt.Errorf("parse flow %q: %w", text, err)
	}
	return f, nil
}

// ParseMatch reads a match in the words of Match.String.
func ParseMatch(text string, names Names) (Match, error) {
	f, err := Parse(text+",actions=drop", names)
	if err == nil && (f != Flow{Priority: DefaultPriority, Match: f.Match}) {
		err = fmt.Errorf("parse match %q: more than a match", text)
	}
	return f.Match, err
}

// ParseActions reads actions in the words of Actions.String.
func ParseActions(text string, names Names) (Actions, error) {
	p := parser{names: names}
	l, err := p.actions(text)
	if err == nil {
		var a Actions
		if a, err = NewActions(l...); err == nil {
			return a, nil
		}
	}
	return Actions{}, fmt.Errorf("parse actions %q: %w", text, err)
}

type parser struct {
	names Names
}

// pair is a key with its value: "key", "key=value", "key:value" or "key(value)".
type pair struct {
	key, value string
	hasValue   bool
}

// next takes the first pair off *s; ok is false at the end. Parentheses and quotes nest.
func next(s *string) (p pair, ok bool, err error) {
	*s = strings.TrimLeft(*s, ", \t\r\n")
	if *s == "" {
		return p, false, nil
	}
	n, err := span(*s, ":=(, \t\r\n")
	if err != nil {
		return p, false, err
	}
	p.key = (*s)[:n]
	*s = (*s)[n:]
	if *s == "" || !strings.ContainsRune(":=(", rune((*s)[0])) {
		return p, true, nil
	}
	p.hasValue = true
	end := ", \t\r\n"
	if (*s)[0] == '(' {
		end = ")"
	}
	*s = (*s)[1:]
	if n, err = span(*s, end); err != nil {
		return p, false, err
	}
	if end == ")" {
		if n == len(*s) {
			return p, false, fmt.Errorf("%s(%s: missing parenthesis", p.key, *s)
		}
		if strings.HasPrefix((*s)[n:], ")->") { // check_pkt_larger(N)->subfield
			m, err := span((*s)[n:], ", \t\r\n")
			if err != nil {
				return p, false, err
			}
			p.value, *s = (*s)[:n+m], (*s)[n+m:]
			return p, true, nil
		}
		p.value, *s = (*s)[:n], (*s)[n+1:]
		return p, true, nil
	}
	p.value, *s = (*s)[:n], (*s)[n:]
	return p, true, nil
}

// span gives the size of the prefix of s without any of the characters of end outside of parentheses and quotes. (A
// parenthesis in end counts where none is open.)
func span(s, end string) (int, error) {
	depth := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case depth == 0 && strings.IndexByte(end, c) >= 0:
			return i, nil
		case c == '(':
			depth++
		case c == ')':
			depth = max(0, depth-1)
		case c == '"':
			j := i + 1
			for ; j < len(s) && s[j] != '"'; j++ {
				if s[j] == '\\' {
					j++
				}
			}
			if j >= len(s) {
				return 0, fmt.Errorf("missing quote in %q", s)
			}
			i = j
		}
	}
	return len(s), nil
}

func (p *parser) flow(text string) (Flow, error) {
	f := Flow{Priority: DefaultPriority}
	m := matchParser{parser: p}
	for {
		text = strings.TrimLeft(text, ", \t\r\n")
		if actions, ok := strings.CutPrefix(text, "actions="); ok {
			l, err := p.actions(actions)
			if err != nil {
				return f, err
			}
			if f.Actions, err = NewActions(l...); err != nil {
				return f, err
			}
			f.Match, err = m.match()
			return f, err
		}
		kv, ok, err := next(&text)
		if err != nil {
			return f, err
		}
		if !ok {
			return f, fmt.Errorf("no actions")
		}
		if err := p.flowPart(&f, &m, kv); err != nil {
			return f, err
		}
	}
}

func (p *parser) flowPart(f *Flow, m *matchParser, kv pair) (err error) {
	switch kv.key {
	case "cookie":
		f.Cookie, err = parseUint(kv.value, 64)
	case "table":
		f.Table, err = p.table(kv.value)
	case "priority":
		f.Priority, err = parse16(kv.value)
	case "idle_timeout":
		f.IdleTimeout, err = parse16(kv.value)
	case "hard_timeout":
		f.HardTimeout, err = parse16(kv.value)
	case "importance":
		f.Importance, err = parse16(kv.value)
	case "duration", "n_packets", "n_bytes", "idle_age", "hard_age":
		return nil
	default:
		for i, name := range flagNames {
			if kv.key == name && !kv.hasValue {
				f.Flags |= 1 << i
				return nil
			}
		}
		return m.add(kv)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", kv.key, err)
	}
	return nil
}

// matchParser collects a match. Which field tp_src or icmp_type means is known when all has been read.
type matchParser struct {
	*parser
	preds          []Pred
	ethType, proto uint64
	late           []pair
}

var shorthands = map[string]struct{ ethType, proto uint64 }{
	"ip": {etherIPv4, 0}, "ipv6": {etherIPv6, 0}, "arp": {etherARP, 0}, "rarp": {etherRARP, 0},
	"mpls": {0x8847, 0}, "mplsm": {0x8848, 0},
	"icmp": {etherIPv4, protoICMP}, "tcp": {etherIPv4, protoTCP}, "udp": {etherIPv4, protoUDP},
	"sctp":  {etherIPv4, protoSCTP},
	"icmp6": {etherIPv6, protoICMPv6}, "tcp6": {etherIPv6, protoTCP}, "udp6": {etherIPv6, protoUDP},
	"sctp6": {etherIPv6, protoSCTP},
}

func (m *matchParser) add(kv pair) error {
	if s, ok := shorthands[kv.key]; ok && !kv.hasValue {
		m.ethType = s.ethType
		m.preds = append(m.preds, EthType.Is(s.ethType))
		if s.proto != 0 {
			m.proto = s.proto
			m.preds = append(m.preds, IPProto.Is(s.proto))
		}
		return nil
	}
	switch kv.key {
	case "tp_src", "tp_dst", "icmp_type", "icmp_code":
		m.late = append(m.late, kv)
		return nil
	case "dl_vlan":
		v, err := parseUint(kv.value, 12)
		m.preds = append(m.preds, VLANVID.Is(v|VLANPresent))
		return err
	case "dl_vlan_pcp":
		v, err := parseUint(kv.value, 3)
		m.preds = append(m.preds, VLANPCP.Is(v), VLANVID.Masked(VLANPresent, VLANPresent))
		return err
	case "eth":
		return nil
	}
	f, ok := FieldByName(kv.key)
	if !ok {
		return fmt.Errorf("%q is not a field", kv.key)
	}
	switch {
	case f == InPort16:
		f = InPort
	case f.isTunMetadata():
		f = f.index() | Field(hexSize(kv.value))<<8
		if !kv.hasValue {
			m.preds = append(m.preds, Pred{Field: f})
			return nil
		}
	}
	pred, err := m.value(f, kv.value)
	if err != nil {
		return fmt.Errorf("%s=%s: %w", kv.key, kv.value, err)
	}
	switch f {
	case EthType:
		m.ethType = pred.Value.Lo
	case IPProto:
		m.proto = pred.Value.Lo
	}
	m.preds = append(m.preds, pred)
	return nil
}

func (m *matchParser) match() (Match, error) {
	for _, kv := range m.late {
		f := lateField(kv.key, m.ethType, m.proto)
		if f == noField {
			return Match{}, fmt.Errorf("%s without a protocol that has it", kv.key)
		}
		pred, err := m.value(f, kv.value)
		if err != nil {
			return Match{}, fmt.Errorf("%s=%s: %w", kv.key, kv.value, err)
		}
		m.preds = append(m.preds, pred)
	}
	return NewMatch(m.preds...)
}

func lateField(key string, ethType, proto uint64) Field {
	src := key == "tp_src" || key == "icmp_type"
	pick := func(a, b Field) Field {
		if src {
			return a
		}
		return b
	}
	switch {
	case proto == protoTCP:
		return pick(TCPSrc, TCPDst)
	case proto == protoUDP:
		return pick(UDPSrc, UDPDst)
	case proto == protoSCTP:
		return pick(SCTPSrc, SCTPDst)
	case proto == protoICMP && ethType == etherIPv4:
		return pick(ICMPType, ICMPCode)
	case proto == protoICMPv6 && ethType == etherIPv6:
		return pick(ICMPv6Type, ICMPv6Code)
	}
	return noField
}

// value reads "value" or "value/mask" as the form of the field says.
func (p *parser) value(f Field, s string) (Pred, error) {
	switch f.info().form {
	case formMAC:
		return parseMACPred(f, s)
	case formIPv4, formIPv6:
		return parseAddrPred(f, s)
	case formPort:
		port, err := p.port(s)
		if f == InPort16 {
			return f.Is(uint64(port.to16())), err
		}
		return f.Is(uint64(port)), err
	case formFrag:
		for _, c := range [...]uint8{0x30, 0x11, 0x20, 0x33, 0x31} {
			if v, m := uint64(c&15), uint64(c>>4); fragName(v, m) == s {
				return f.Masked(v, m), nil
			}
		}
		return Pred{}, fmt.Errorf("not a kind of fragment")
	case formCTState:
		return parseFlags(f, s, ctStateNames[:])
	case formTCPFlags:
		return parseFlags(f, s, tcpFlagNames[:])
	case formTunFlags:
		return parseFlags(f, s, []string{"oam"})
	case formPacketType:
		ns, typ, ok := strings.Cut(strings.Trim(s, "()"), ",")
		n, err := parse16(ns)
		t, err2 := parse16(typ)
		if !ok || err != nil || err2 != nil {
			return Pred{}, fmt.Errorf("not a packet type")
		}
		return f.Is(uint64(n)<<16 | uint64(t)), nil
	}
	return parseMasked(f, s)
}

func parseMasked(f Field, s string) (Pred, error) {
	v, m, masked := strings.Cut(s, "/")
	value, err := parseValue(v)
	if err != nil || !masked {
		return f.IsValue(value), err
	}
	mask, err := parseValue(m)
	return f.MaskedValue(value, mask), err
}

func parseMACPred(f Field, s string) (Pred, error) {
	v, m, masked := strings.Cut(s, "/")
	value, err := parseMAC(v)
	if err != nil || !masked {
		return f.IsValue(value), err
	}
	mask, err := parseMAC(m)
	return f.MaskedValue(value, mask), err
}

func parseMAC(s string) (Value, error) {
	var v Value
	if len(s) != 17 {
		return v, fmt.Errorf("%q is not a MAC address", s)
	}
	for i := 0; i < 17; i += 3 {
		o, err := strconv.ParseUint(s[i:i+2], 16, 8)
		if err != nil || i < 15 && s[i+2] != ':' {
			return v, fmt.Errorf("%q is not a MAC address", s)
		}
		v = v.Shl(8).Or(Value{Lo: o})
	}
	return v, nil
}

func parseAddrPred(f Field, s string) (Pred, error) {
	v, m, masked := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(v)
	if err != nil {
		return Pred{}, err
	}
	if !masked {
		return f.Addr(addr), nil
	}
	if n, err := strconv.ParseUint(m, 10, 8); err == nil {
		return f.Prefix(netip.PrefixFrom(addr, int(n))), nil
	}
	mask, err := netip.ParseAddr(m)
	if err != nil || mask.BitLen() != addr.BitLen() || addr.BitLen() != f.Width() {
		return Pred{}, fmt.Errorf("%q is not a mask", m)
	}
	return f.MaskedValue(AddrValue(addr), AddrValue(mask)), nil
}

// parseFlags reads "a|b", "+a-b" or a number.
func parseFlags(f Field, s string, names []string) (Pred, error) {
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		return parseMasked(f, s)
	}
	bit := func(name string) (uint64, error) {
		for i, n := range names {
			if n == name {
				return 1 << i, nil
			}
		}
		return 0, fmt.Errorf("unknown flag %q", name)
	}
	var v, m uint64
	if s[0] != '+' && s[0] != '-' {
		for _, name := range strings.Split(s, "|") {
			b, err := bit(name)
			if err != nil {
				return Pred{}, err
			}
			v |= b
		}
		return f.Is(v), nil
	}
	for s != "" {
		n := strings.IndexAny(s[1:], "+-") + 1
		if n == 0 {
			n = len(s)
		}
		b, err := bit(s[1:n])
		if err != nil {
			return Pred{}, err
		}
		m |= b
		if s[0] == '+' {
			v |= b
		}
		s = s[n:]
	}
	return f.Masked(v, m), nil
}

// parseValue reads a number of up to 128 bits; more than 64 only in hexadecimal.
func parseValue(s string) (Value, error) {
	if h, ok := strings.CutPrefix(s, "0x"); ok && len(h) > 16 && len(h) <= 32 {
		hi, err := strconv.ParseUint(h[:len(h)-16], 16, 64)
		if err != nil {
			return Value{}, err
		}
		lo, err := strconv.ParseUint(h[len(h)-16:], 16, 64)
		return Value{hi, lo}, err
	}
	v, err := strconv.ParseUint(s, 0, 64)
	return Value{Lo: v}, err
}

// hexSize gives the bytes that the longer number of "value/mask" needs, at least 1 and at most 16.
func hexSize(s string) int {
	v, m, _ := strings.Cut(s, "/")
	n := 1
	for _, h := range []string{v, m} {
		n = max(n, (len(strings.TrimPrefix(h, "0x"))+1)/2)
	}
	return min(n, 16)
}

func parseUint(s string, bits int) (uint64, error) {
	v, err := strconv.ParseUint(s, 0, 64)
	if err == nil && bits < 64 && v >= 1<<bits {
		err = fmt.Errorf("%q is more than %d bits", s, bits)
	}
	return v, err
}

func parse16(s string) (uint16, error) {
	v, err := parseUint(s, 16)
	return uint16(v), err
}

func parse32(s string) (uint32, error) {
	v, err := parseUint(s, 32)
	return uint32(v), err
}

func unquote(s string) string {
	var name string
	if strings.HasPrefix(s, `"`) && json.Unmarshal([]byte(s), &name) == nil {
		return name
	}
	return s
}

func (p *parser) table(s string) (uint8, error) {
	if v, err := strconv.ParseUint(s, 0, 8); err == nil {
		return uint8(v), nil
	}
	if id, ok := p.names.tableIDs[unquote(s)]; ok {
		return id, nil
	}
	return 0, fmt.Errorf("unknown table %s", s)
}

func (p *parser) port(s string) (Port, error) {
	if v, err := strconv.ParseUint(s, 0, 32); err == nil {
		if v < 1<<16 {
			return portFrom16(uint16(v)), nil
		}
		return Port(v), nil
	}
	for i, name := range reservedPorts {
		if strings.EqualFold(s, name) {
			return portReserve + Port(i), nil
		}
	}
	if port, ok := p.names.portIDs[unquote(s)]; ok {
		return port, nil
	}
	return 0, fmt.Errorf("unknown port %s", s)
}

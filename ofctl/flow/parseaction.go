package flow

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

func (p *parser) actions(s string) ([]Action, error) {
	var out []Action
	drop := false
	for {
		kv, ok, err := next(&s)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		switch kv.key {
		case "drop":
			drop = true
			continue
		case "enqueue":
			port, queue, _ := strings.Cut(kv.value, ":")
			o, err := p.port(port)
			q, err2 := parse32(queue)
			if err != nil || err2 != nil {
				return nil, fmt.Errorf("enqueue:%s: not port:queue", kv.value)
			}
			out = append(out, SetQueue{q}, Output{o}, PopQueue{})
			continue
		}
		a, err := p.action(kv)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kv.key, err)
		}
		out = append(out, a)
	}
	if drop && len(out) > 0 {
		return nil, fmt.Errorf("drop with other actions")
	}
	return out, nil
}

// simpleActions are the actions without arguments.
var simpleActions = map[string]Action{
	"pop_vlan": PopVLAN{}, "strip_vlan": PopVLAN{}, "dec_ttl": DecTTL{}, "pop_queue": PopQueue{},
	"clear_actions": ClearActions{}, "ct_clear": CTClear{}, "exit": Exit{},
}

func (p *parser) action(kv pair) (a Action, err error) {
	v := kv.value
	if a, ok := simpleActions[kv.key]; ok && v == "" {
		return a, nil
	}
	switch kv.key {
	case "output":
		return p.output(v)
	case "CONTROLLER", "controller":
		return parseController(v)
	case "set_field", "load":
		return p.setField(v, kv.key == "load")
	case "move":
		m := Move{}
		m.Src, m.Dst, err = parseArrow(v)
		return m, err
	case "push_vlan":
		t, err := parse16(v)
		return PushVLAN{t}, err
	case "mod_nw_ttl", "set_nw_ttl":
		t, err := parseUint(v, 8)
		return SetTTL{uint8(t)}, err
	case "set_queue":
		n, err := parse32(v)
		return SetQueue{n}, err
	case "group":
		n, err := parse32(v)
		return ToGroup{n}, err
	case "meter":
		n, err := parse32(v)
		return ToMeter{n}, err
	case "resubmit":
		return p.resubmit(v)
	case "goto_table":
		t, err := p.table(v)
		return GotoTable{t}, err
	case "write_metadata":
		m, err := parseMasked(Metadata, v)
		return WriteMetadata{m.Value.Lo, m.Mask.Lo}, err
	case "write_actions":
		l, err := p.actions(v)
		return WriteActions{l}, err
	case "clone":
		l, err := p.actions(v)
		return Clone{l}, err
	case "ct":
		return p.ct(v)
	case "nat":
		return parseNAT(v)
	case "learn":
		return p.learn(v)
	case "conjunction":
		return parseConjunction(v)
	case "note":
		d, err := parseDotted(v)
		return Note{d}, err
	case "check_pkt_larger":
		n, dst, ok := strings.Cut(v, ")->")
		if !ok {
			return nil, fmt.Errorf("no destination")
		}
		size, err := parse16(n)
		if err != nil {
			return nil, err
		}
		s, err := parseSubfield(dst)
		return CheckPktLarger{size, s}, err
	case "fin_timeout":
		return parseFinTimeout(v)
	case "push":
		s, err := parseSubfield(v)
		return Push{s}, err
	case "pop":
		s, err := parseSubfield(v)
		return Pop{s}, err
	case "delete_field":
		f, ok := FieldByName(v)
		if !ok {
			return nil, fmt.Errorf("unknown field %q", v)
		}
		return DeleteField{f}, nil
	case "unknown":
		b, err := hex.DecodeString(v)
		return Unknown{b}, err
	}
	if !kv.hasValue {
		if port, err := p.port(kv.key); err == nil {
			return Output{port}, nil
		}
	}
	return nil, fmt.Errorf("unknown action")
}

func (p *parser) output(v string) (Action, error) {
	if strings.HasPrefix(v, "port=") {
		var o OutputTrunc
		err := eachArg(v, func(kv pair) (err error) {
			switch kv.key {
			case "port":
				o.Port, err = p.port(kv.value)
			case "max_len":
				o.MaxLen, err = parse32(kv.value)
			default:
				err = errUnknownArg
			}
			return err
		})
		return o, err
	}
	port, err := p.port(v)
	if err == nil {
		return Output{port}, nil
	}
	if s, err := parseSubfield(v); err == nil {
		return OutputReg{s}, nil
	}
	return nil, err
}

var errUnknownArg = fmt.Errorf("unknown argument")

// eachArg calls f for each argument of an action.
func eachArg(v string, f func(pair) error) error {
	for {
		kv, ok, err := next(&v)
		if err != nil || !ok {
			return err
		}
		if err := f(kv); err != nil {
			return fmt.Errorf("%s: %w", kv.key, err)
		}
	}
}

func parseController(v string) (Action, error) {
	if n, err := parse16(v); err == nil {
		return controllerOf(n), nil
	}
	c := Controller{}
	err := eachArg(v, func(kv pair) (err error) {
		var n uint16
		switch kv.key {
		case "reason":
			for i, name := range reasonNames {
				if name == kv.value {
					c.Reason = Reason(i)
					return nil
				}
			}
			var u uint64
			u, err = parseUint(kv.value, 8)
			c.Reason = Reason(u)
		case "max_len":
			n, err = parse16(kv.value)
			m := controllerOf(n)
			c.MaxLen, c.NoData = m.MaxLen, m.NoData
		case "id":
			c.ID, err = parse16(kv.value)
		case "userdata":
			c.Userdata, err = parseDotted(kv.value)
		case "pause":
			c.Pause = true
		case "meter_id":
			c.Meter, err = parse32(kv.value)
		default:
			err = errUnknownArg
		}
		return err
	})
	return c, err
}

func parseDotted(s string) ([]byte, error) {
	return hex.DecodeString(strings.ReplaceAll(s, ".", ""))
}

func (p *parser) setField(v string, load bool) (Action, error) {
	value, dst, ok := strings.Cut(v, "->")
	if !ok {
		return nil, fmt.Errorf("no destination in %q", v)
	}
	if load {
		s, err := parseSubfield(dst)
		if err != nil {
			return nil, err
		}
		n, err := parseValue(value)
		return SetField(s.IsValue(n)), err
	}
	f, ok := FieldByName(dst)
	if !ok {
		return nil, fmt.Errorf("unknown field %q", dst)
	}
	if f.isTunMetadata() {
		f = f.index() | Field(hexSize(value))<<8
	}
	pred, err := p.value(f, value)
	if pred.Mask == Ones(f.Width()) && strings.Contains(value, "/") && f.isTunMetadata() && f.bytes() < 16 {
		pred.Field += 1 << 8 // the field is wider than its mask
	}
	return SetField(pred), err
}

func parseArrow(v string) (src, dst Subfield, err error) {
	a, b, ok := strings.Cut(v, "->")
	if !ok {
		return src, dst, fmt.Errorf("no destination in %q", v)
	}
	if src, err = parseSubfield(a); err == nil {
		dst, err = parseSubfield(b)
	}
	return src, dst, err
}

// parseSubfield reads "FIELD[]", "FIELD[n]", "FIELD[n..m]" or "FIELD".
func parseSubfield(s string) (Subfield, error) {
	name, bits, ranged := strings.Cut(s, "[")
	f, ok := FieldByName(name)
	if !ok {
		return Subfield{}, fmt.Errorf("unknown field %q", name)
	}
	if !ranged || bits == "]" {
		return f.All(), nil
	}
	bits, ok = strings.CutSuffix(bits, "]")
	lo, hi, pair := strings.Cut(bits, "..")
	if !pair {
		hi = lo
	}
	l, err1 := strconv.ParseUint(lo, 10, 8)
	h, err2 := strconv.ParseUint(hi, 10, 8)
	if !ok || err1 != nil || err2 != nil || h < l || int(h) >= f.subWidth() {
		return Subfield{}, fmt.Errorf("%q is not a subfield", s)
	}
	return Subfield{f, uint8(l), uint8(h - l + 1)}, nil
}

func (p *parser) resubmit(v string) (Action, error) {
	part := strings.Split(v, ",")
	a := Resubmit{Table: 255}
	var err error
	if part[0] != "" {
		if a.Port, err = p.port(part[0]); err != nil {
			return nil, err
		}
	}
	if len(part) > 1 && part[1] != "" {
		if a.Table, err = p.table(part[1]); err != nil {
			return nil, err
		}
	}
	switch {
	case len(part) == 3 && part[2] == "ct":
		a.CT = true
	case len(part) > 2:
		return nil, fmt.Errorf("too many arguments")
	}
	return a, nil
}

func parseConjunction(v string) (Action, error) {
	id, rest, ok1 := strings.Cut(v, ",")
	clause, n, ok2 := strings.Cut(rest, "/")
	i, err1 := parse32(id)
	c, err2 := parseUint(clause, 8)
	m, err3 := parseUint(n, 8)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil {
		return nil, fmt.Errorf("%q is not id,clause/n", v)
	}
	return Conjunction{i, uint8(c), uint8(m)}, nil
}

func parseFinTimeout(v string) (Action, error) {
	var a FinTimeout
	err := eachArg(v, func(kv pair) (err error) {
		switch kv.key {
		case "idle_timeout":
			a.Idle, err = parse16(kv.value)
		case "hard_timeout":
			a.Hard, err = parse16(kv.value)
		default:
			err = errUnknownArg
		}
		return err
	})
	return a, err
}

func (p *parser) ct(v string) (Action, error) {
	var a CT
	err := eachArg(v, func(kv pair) (err error) {
		switch kv.key {
		case "commit":
			a.Commit = true
		case "force":
			a.Force = true
		case "table":
			a.Recirc = true
			a.Table, err = p.table(kv.value)
		case "zone":
			if a.Zone, err = parse16(kv.value); err != nil {
				a.ZoneSrc, err = parseSubfield(kv.value)
			}
		case "nat":
			var n Action
			if n, err = parseNAT(kv.value); err == nil {
				nat := n.(NAT)
				a.NAT = &nat
			}
		case "exec":
			a.Exec, err = p.actions(kv.value)
		case "alg":
			switch kv.value {
			case "ftp":
				a.ALG = 21
			case "tftp":
				a.ALG = 69
			default:
				a.ALG, err = parse16(kv.value)
			}
		default:
			err = errUnknownArg
		}
		return err
	})
	return a, err
}

func parseNAT(v string) (Action, error) {
	var a NAT
	err := eachArg(v, func(kv pair) error {
		switch kv.key {
		case "src", "dst":
			a.Kind = NATSrc
			if kv.key == "dst" {
				a.Kind = NATDst
			}
			if kv.value != "" {
				return parseNATRange(&a, kv.value)
			}
		case "persistent":
			a.Persistent = true
		case "hash":
			a.Hash = true
		case "random":
			a.Random = true
		default:
			return errUnknownArg
		}
		return nil
	})
	return a, err
}

// parseNATRange reads "ADDR[-ADDR][:PORT[-PORT]]", with IPv6 addresses in brackets if ports follow.
func parseNATRange(a *NAT, s string) (err error) {
	ports := ""
	if i := strings.LastIndex(s, "]:"); i >= 0 {
		s, ports = s[:i+1], s[i+2:]
	} else if strings.Count(s, ":") == 1 {
		s, ports, _ = strings.Cut(s, ":")
	}
	lo, hi, ranged := strings.Cut(s, "-")
	if a.AddrMin, err = netip.ParseAddr(strings.Trim(lo, "[]")); err != nil {
		return err
	}
	if ranged {
		if a.AddrMax, err = netip.ParseAddr(strings.Trim(hi, "[]")); err != nil {
			return err
		}
		if a.AddrMax == a.AddrMin {
			a.AddrMax = netip.Addr{} // as a dump has it
		}
	}
	if ports == "" {
		return nil
	}
	lo, hi, ranged = strings.Cut(ports, "-")
	if a.PortMin, err = parse16(lo); err == nil && ranged {
		if a.PortMax, err = parse16(hi); a.PortMax == a.PortMin {
			a.PortMax = 0
		}
	}
	return err
}

func (p *parser) learn(v string) (Action, error) {
	a := Learn{Table: 1, Priority: DefaultPriority}
	err := eachArg(v, func(kv pair) (err error) {
		switch kv.key {
		case "table":
			a.Table, err = p.table(kv.value)
		case "priority":
			a.Priority, err = parse16(kv.value)
		case "idle_timeout":
			a.IdleTimeout, err = parse16(kv.value)
		case "hard_timeout":
			a.HardTimeout, err = parse16(kv.value)
		case "fin_idle_timeout":
			a.FinIdleTimeout, err = parse16(kv.value)
		case "fin_hard_timeout":
			a.FinHardTimeout, err = parse16(kv.value)
		case "cookie":
			a.Cookie, err = parseUint(kv.value, 64)
		case "send_flow_rem":
			a.SendFlowRem = true
		case "delete_learned":
			a.DeleteLearned = true
		case "limit":
			a.Limit, err = parse32(kv.value)
		case "result_dst":
			a.ResultDst, err = parseSubfield(kv.value)
		default:
			var s LearnSpec
			if s, err = p.learnSpec(kv); err == nil {
				a.Specs = append(a.Specs, s)
			}
		}
		return err
	})
	return a, err
}

func (p *parser) learnSpec(kv pair) (s LearnSpec, err error) {
	switch kv.key {
	case "output":
		s.Op = LearnOutput
		s.Src, err = parseSubfield(kv.value)
		return s, err
	case "load":
		s.Op = LearnLoad
		src, dst, ok := strings.Cut(kv.value, "->")
		if !ok {
			return s, fmt.Errorf("no destination in %q", kv.value)
		}
		if s.Dst, err = parseSubfield(dst); err != nil {
			return s, err
		}
		if s.Value, err = parseValue(src); err != nil {
			s.Value = Value{}
			s.Src, err = parseSubfield(src)
		}
		return s, err
	}
	if s.Dst, err = parseSubfield(kv.key); err != nil {
		return s, err
	}
	if kv.value == "" {
		s.Src = s.Dst
		return s, nil
	}
	if s.Src, err = parseSubfield(kv.value); err == nil {
		return s, nil
	}
	s.Src = Subfield{}
	if s.Dst != s.Dst.Field.All() {
		s.Value, err = parseValue(kv.value)
		return s, err
	}
	pred, err := p.value(s.Dst.Field, kv.value)
	s.Value = pred.Value
	return s, err
}

package pipeline

import (
	"fmt"
	"strings"

	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Names gives words for numbers in a dump. Each function may be nil, and gives "" for what it does not know.
type Names struct {
	Object  func(Owner) string         // uuid of the object
	Number  func(number uint32) string // uuid of the domain, route link or mirror, by its VNI or LocalDomain
	Leg     func(zone uint16) string   // uuid of the leg that has a connection tracking zone
	RuleSet func(number uint64) string // uuids of the security groups
	Rule    func(conj uint32) string   // the rule of a conjunction
	Port    map[uint32]string          // by OpenFlow number
	Slot    map[Slot]string            // the name of the port
}

// none is the word for 0, where that is nobody.
const none = "none"

// Description is a flow in the words of the pipeline.
type Description struct {
	Table   string `json:"table"`
	Owner   string `json:"owner"` // "interface if-v1", "drop arp_sender"
	Match   string `json:"match"`
	Actions string `json:"actions"`
}

// Describe puts a flow into the words of the pipeline: the table's name, the owner, registers by name, and objects for
// the numbers in registers, zones, meters and groups. What is of OpenFlow alone is as ovs-ofctl writes it.
func Describe(f flow.Flow, n Names) Description {
	d := Description{Table: tableName(f.Table), Owner: n.owner(Cookie(f.Cookie))}
	var preds, rest []flow.Pred
	for p := range f.Match.Preds() {
		preds = append(preds, p)
	}
	words, preds := n.registers(f.Table, preds)
	for _, p := range preds {
		if w := n.field(p); w != "" {
			words = append(words, w)
		} else {
			rest = append(rest, p)
		}
	}
	if m, err := flow.NewMatch(rest...); err == nil && len(rest) > 0 {
		text, _, _ := strings.Cut(flow.Format(flow.Flow{Priority: flow.DefaultPriority, Match: m}, flow.Names{}), " actions=")
		words = append(words, strings.Split(text[strings.LastIndexByte(text, ' ')+1:], ",")...)
	}
	d.Match = strings.Join(words, " ")
	switch r := Cookie(f.Cookie).Reason(); {
	case !f.Actions.IsDrop():
		d.Actions = n.Actions(f.Table, f.Actions.List())
	case r != reason.None:
		d.Actions = "drop: " + r.Doc()
	default:
		d.Actions = "drop"
	}
	return d
}

// field gives the words for a predicate that has a name besides its number, "" for others.
func (n Names) field(p flow.Pred) string {
	switch v := p.Value.Lo; p.Field {
	case flow.InPort:
		return "in_port=" + n.port(flow.Port(v))
	case flow.TunID:
		return "tun_id=" + n.number(uint32(v))
	case flow.CTZone:
		return "ct_zone=" + n.Zone(uint16(v))
	case flow.ConjID:
		return "conj_id=" + n.rule(uint32(v))
	}
	return ""
}

// Actions gives the words for the actions of a flow or bucket of a table, with commas between them.
func (n Names) Actions(table uint8, list []flow.Action) string {
	var out []string
	for i, act := range list {
		out = append(out, n.action(nextTable(table, list[i:]), act)...)
	}
	return strings.Join(out, ", ")
}

func (n Names) action(next uint8, act flow.Action) []string {
	switch act := act.(type) {
	case flow.SetField:
		words, rest := n.registers(next, []flow.Pred{flow.Pred(act)})
		for i, w := range words {
			words[i] = strings.Replace(w, "=", ":=", 1)
		}
		if rest == nil {
			return words
		}
		if act.Field == flow.TunID {
			return []string{"tun_id:=" + n.number(uint32(act.Value.Lo))}
		}
		value, _, _ := strings.Cut(format(act), "->")
		return []string{act.Field.String() + ":=" + strings.TrimPrefix(value, "set_field:")}
	case flow.Move:
		return []string{subfield(act.Dst) + ":=" + subfield(act.Src)}
	case flow.CheckPktLarger:
		return []string{fmt.Sprintf("%s:=larger than %d bytes", subfield(act.Dst), act.Len)}
	case flow.SetTTL:
		return []string{fmt.Sprintf("ttl:=%d", act.TTL)}
	case flow.Output:
		return []string{"output " + n.port(act.Port)}
	case flow.Controller:
		return []string{n.controller(act)}
	case flow.GotoTable:
		return []string{"goto " + tableName(act.Table)}
	case flow.Resubmit:
		return []string{"resubmit " + tableName(act.Table)}
	case flow.ToGroup:
		return []string{n.Group(act.Group)}
	case flow.ToMeter:
		return []string{"meter " + n.Meter(act.Meter)}
	case flow.Clone:
		return []string{"clone(" + n.Actions(next, act.Actions) + ")"}
	case flow.CT:
		return []string{n.track(act)}
	case flow.Conjunction:
		return []string{fmt.Sprintf("conjunction(%s, %d/%d)", n.rule(act.ID), act.Clause, act.N)}
	}
	return []string{format(act)}
}

// format gives an action as ovs-ofctl writes it.
func format(act flow.Action) string {
	one, err := flow.NewActions(act)
	if err != nil {
		return fmt.Sprintf("%T", act) // is in no flow
	}
	_, text, _ := strings.Cut(flow.Format(flow.Flow{Actions: one}, flow.Names{}), "actions=")
	return text
}

func (n Names) controller(act flow.Controller) string {
	var how []string
	if act.Meter != 0 {
		how = append(how, "meter "+n.Meter(act.Meter))
	}
	if act.MaxLen != 0 {
		how = append(how, fmt.Sprintf("the first %d bytes", act.MaxLen))
	}
	if how == nil {
		return "agent"
	}
	return "agent(" + strings.Join(how, ", ") + ")"
}

func (n Names) track(act flow.CT) string {
	var how []string
	if act.Commit {
		how = append(how, "commit")
	}
	if act.ZoneSrc != (flow.Subfield{}) {
		how = append(how, "zone="+subfield(act.ZoneSrc))
	} else {
		how = append(how, "zone="+n.Zone(act.Zone))
	}
	if act.NAT != nil {
		how = append(how, format(flow.CT{Commit: act.Commit, NAT: act.NAT}))
		last := &how[len(how)-1]
		*last = strings.TrimSuffix((*last)[strings.Index(*last, "nat"):], ")")
	}
	if act.Recirc {
		how = append(how, "goto "+tableName(act.Table))
	}
	return "ct(" + strings.Join(how, ", ") + ")"
}

// subfield gives the name of a register or field.
func subfield(s flow.Subfield) string {
	name, all := s.Field.String(), s.Field.All()
	for _, r := range append(Registers(), NextHop4) {
		if r.Bits.Field == s.Field && r.Bits.Ofs <= s.Ofs && s.Ofs+s.Bits <= r.Bits.Ofs+r.Bits.Bits {
			name, all = r.Name, r.Bits
		}
	}
	if s == all {
		return name
	}
	return fmt.Sprintf("%s[%d..%d]", name, s.Ofs-all.Ofs, s.Ofs-all.Ofs+s.Bits-1)
}

// nextTable gives the table to which the actions lead: what register Egress means depends on it.
func nextTable(table uint8, list []flow.Action) uint8 {
	for _, a := range list {
		switch a := a.(type) {
		case flow.GotoTable:
			return a.Table
		case flow.Resubmit:
			return a.Table
		}
	}
	return table
}

// registers gives the words for those predicates that are on registers of the pipeline, and the other predicates.
func (n Names) registers(table uint8, preds []flow.Pred) (words []string, rest []flow.Pred) {
	known := make([]bool, len(preds))
	for _, r := range Registers() {
		var value, mask flow.Value
		for i, p := range preds {
			v, m := r.within(p)
			if m.IsZero() {
				continue
			}
			known[i] = true
			value, mask = value.Or(v), mask.Or(m)
		}
		if !mask.IsZero() {
			words = append(words, r.Name+"="+n.value(table, r, value, mask))
		}
	}
	for i, p := range preds {
		if !known[i] {
			rest = append(rest, p)
		}
	}
	return words, rest
}

// within gives value and mask of what a predicate says of a register's bits.
func (r Register) within(p flow.Pred) (value, mask flow.Value) {
	at := int(r.Bits.Ofs)
	if p.Field == r.Bits.Field {
		bits := flow.Ones(int(r.Bits.Bits))
		return p.Value.Shr(at).And(bits), p.Mask.Shr(at).And(bits)
	}
	parts := r.parts() // the most significant first
	for i, part := range parts {
		if p.Field == part.Field && len(parts) > 1 {
			up := int(part.Bits) * (len(parts) - 1 - i)
			return p.Value.Shl(up), p.Mask.Shl(up)
		}
	}
	return flow.Value{}, flow.Value{}
}

// value gives the word for what a register holds.
func (n Names) value(table uint8, r Register, v, mask flow.Value) string {
	all := flow.Ones(int(r.Bits.Bits))
	low := uint32(v.Lo) //nolint:gosec // of registers of 32 bits
	switch {
	case r.Name == NextHop.Name && v.IsZero():
		return none
	case r.Name == NextHop.Name && v.Hi == 0 && v.Lo>>32 == 0 && mask.And(flow.Ones(32)) == flow.Ones(32):
		return v.Addr4().String()
	case r.Name == NextHop.Name && mask == all:
		return v.Addr6().String()
	case mask != all:
		return fmt.Sprintf("%s/%s", v, mask)
	}
	switch r.Name {
	case Ingress.Name:
		if low == IngressCopy {
			return "copy"
		}
		return n.object(KindInterface, low)
	case Egress.Name:
		switch {
		case table == idTransport:
			return n.object(KindDatapath, low)
		case table == idOutput && low == 0:
			return "nic"
		}
		return n.object(KindInterface, low)
	case Network.Name, RouteLink.Name:
		return n.number(low)
	case Subnet.Name:
		return n.object(KindNetwork, low)
	case FilterZone.Name, GroupZone.Name:
		return n.Zone(uint16(low)) //nolint:gosec // 16 bits wide
	case Class.Name:
		if low == 0 {
			return none
		}
		return PuntClass(low).String() //nolint:gosec // 8 bits wide
	case Verdict.Name:
		return [...]string{none, "drop", "reject", "3"}[low&3]
	case RuleSet.Name:
		if v.IsZero() {
			return none
		}
		if n.RuleSet != nil {
			if s := n.RuleSet(v.Lo); s != "" {
				return s
			}
		}
	}
	if v.Hi == 0 {
		return fmt.Sprint(v.Lo)
	}
	return v.String()
}

func (n Names) owner(c Cookie) string {
	o := c.Owner()
	switch o.Kind {
	case 0:
		return "nobody"
	case KindHost, KindPeers:
		return o.Kind.String()
	case KindDrop:
		return o.Kind.String() + " " + c.Reason().String()
	}
	return o.Kind.String() + " " + n.object(o.Kind, o.ID)
}

// Domain gives the uuid of the domain, route link or mirror of a number, or the number.
func (n Names) Domain(number uint32) string { return n.number(number) }

// Interface gives the uuid of an interface, or its id.
func (n Names) Interface(id uint32) string { return n.object(KindInterface, id) }

func (n Names) object(k Kind, id uint32) string {
	if id == 0 {
		return none
	}
	if n.Object != nil {
		if s := n.Object(Owner{k, id}); s != "" {
			return s
		}
	}
	return fmt.Sprint(id)
}

func (n Names) number(v uint32) string {
	if v == 0 {
		return none
	}
	return word(n.Number, v)
}

func (n Names) rule(conj uint32) string { return word(n.Rule, conj) }

func (n Names) port(p flow.Port) string {
	if s := n.Port[uint32(p)]; s != "" {
		return s
	}
	return p.String()
}

func (n Names) slot(s Slot) string {
	if s == HostSlot {
		return "host"
	}
	if name := n.Slot[s]; name != "" {
		return name
	}
	return fmt.Sprint("slot-", s)
}

func word(f func(uint32) string, v uint32) string {
	if f != nil {
		if s := f(v); s != "" {
			return s
		}
	}
	return fmt.Sprint(v)
}

func tableName(id uint8) string {
	if t := TableByID(id); t != nil {
		return t.Name
	}
	return fmt.Sprint(id)
}

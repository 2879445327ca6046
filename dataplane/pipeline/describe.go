package pipeline

import (
	"fmt"
	"strings"

	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Names gives words for numbers in a dump. Each function may be nil, and gives "" for what it does not know.
type Names struct {
	Network   func(domain uint32) string // of register Network: of networks, segments
	Interface func(id uint32) string
	Datapath  func(id uint32) string
	Port      map[uint32]string // by OpenFlow number
}

// Description is a flow in the words of the pipeline.
type Description struct {
	Table   string `json:"table"`
	Owner   string `json:"owner"` // "interface if-v1", "drop arp_sender"
	Match   string `json:"match"`
	Actions string `json:"actions"`
}

// Describe puts a flow into the words of the pipeline: the table's name, the owner, registers by name, and objects for
// the numbers in registers.
func Describe(f flow.Flow, n Names) Description {
	t := TableByID(f.Table)
	d := Description{Table: fmt.Sprint(f.Table), Owner: n.owner(Cookie(f.Cookie))}
	if t != nil {
		d.Table = t.Name
	}
	names := n.flowNames()
	var match []string
	var rest []flow.Pred
	for p := range f.Match.Preds() {
		if words := n.registers(f.Table, p); words != nil {
			match = append(match, words...)
		} else {
			rest = append(rest, p)
		}
	}
	if m, err := flow.NewMatch(rest...); err == nil && len(rest) > 0 {
		text := flow.Format(flow.Flow{Priority: flow.DefaultPriority, Match: m}, names)
		text, _, _ = strings.Cut(text, " actions=")
		match = append(match, strings.Split(text[strings.LastIndexByte(text, ' ')+1:], ",")...)
	}
	d.Match = strings.Join(match, " ")
	d.Actions = n.actions(f.Table, f.Actions, names)
	return d
}

func (n Names) actions(table uint8, a flow.Actions, names flow.Names) string {
	if a.IsDrop() {
		return "drop"
	}
	var out []string
	list := a.List()
	for _, act := range list {
		switch act := act.(type) {
		case flow.SetField:
			if words := n.registers(nextTable(table, list), flow.Pred(act)); words != nil {
				for _, w := range words {
					out = append(out, strings.Replace(w, "=", ":=", 1))
				}
				continue
			}
		case flow.ToGroup:
			out = append(out, describeGroup(act.Group, n.network))
			continue
		}
		if one, err := flow.NewActions(act); err == nil {
			_, text, _ := strings.Cut(flow.Format(flow.Flow{Actions: one}, names), "actions=")
			out = append(out, text)
		}
	}
	return strings.Join(out, " ")
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

// registers gives the words for a predicate on register bits, nil if it is on no register of the pipeline.
func (n Names) registers(table uint8, p flow.Pred) []string {
	var words []string
	for _, r := range Registers() {
		parts := r.parts()
		for i, part := range parts {
			mask := flow.Ones(int(part.Bits)).Shl(int(part.Ofs))
			if part.Field != p.Field || p.Mask.And(mask).IsZero() {
				continue
			}
			v := uint32(p.Value.And(mask).Shr(int(part.Ofs)).Lo)
			if len(parts) > 1 {
				words = append(words, fmt.Sprintf("%s[%d]=%#x", r.Name, i, v)) // the most significant first
				continue
			}
			words = append(words, r.Name+"="+n.value(table, r, v))
		}
	}
	return words
}

func (n Names) value(table uint8, r Register, v uint32) string {
	switch {
	case r.Name == Network.Name:
		return n.network(v)
	case r.Name == Egress.Name && table == idTransport:
		return word(n.Datapath, v)
	case r.Name == Ingress.Name || r.Name == Egress.Name:
		return word(n.Interface, v)
	}
	return fmt.Sprint(v)
}

func (n Names) network(vni uint32) string { return word(n.Network, vni) }

func (n Names) owner(c Cookie) string {
	o := c.Owner()
	switch o.Kind {
	case KindHost:
		return "host"
	case KindDrop:
		return "drop " + reason.Reason(o.ID).String()
	case KindDatapath:
		return "datapath " + word(n.Datapath, o.ID)
	case KindInterface:
		return "interface " + word(n.Interface, o.ID)
	case KindNetwork:
		return fmt.Sprintf("network %d", o.ID)
	}
	return "nobody"
}

func (n Names) flowNames() flow.Names {
	ports := make(map[flow.Port]string, len(n.Port))
	for p, name := range n.Port {
		ports[flow.Port(p)] = name
	}
	return flow.NewNames(tableNames(), ports)
}

func word(f func(uint32) string, v uint32) string {
	if f != nil {
		if s := f(v); s != "" {
			return s
		}
	}
	return fmt.Sprint(v)
}

func tableNames() map[uint8]string {
	m := map[uint8]string{}
	for _, t := range Tables() {
		m[t.ID] = t.Name
	}
	return m
}

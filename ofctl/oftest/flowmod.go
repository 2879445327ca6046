package oftest

import (
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

func refuse(typ ofp.ErrorType, code uint16) *ofp.Error { return &ofp.Error{Type: typ, Code: code} }

// Errors that Open vSwitch gives (OpenFlow 1.5, section 7.5.4).
func badFlowTable() *ofp.Error { return refuse(ofp.ErrFlowModFailed, 2) }
func overlaps() *ofp.Error     { return refuse(ofp.ErrFlowModFailed, 3) }
func badGoto() *ofp.Error      { return refuse(ofp.ErrBadInstruction, 2) }
func badPort() *ofp.Error      { return refuse(ofp.ErrBadAction, 4) }
func badArgument() *ofp.Error  { return refuse(ofp.ErrBadAction, 5) }
func badGroup() *ofp.Error     { return refuse(ofp.ErrBadAction, 9) }
func inconsistent() *ofp.Error { return refuse(ofp.ErrBadAction, 10) }
func badType() *ofp.Error      { return refuse(ofp.ErrBadAction, 0) }
func badSet() *ofp.Error       { return refuse(ofp.ErrBadAction, 15) }
func badMeter() *ofp.Error     { return refuse(ofp.ErrMeterModFailed, 2) }
func badField() *ofp.Error     { return refuse(ofp.ErrBadMatch, 6) }
func badTLV() *ofp.Error {
	return &ofp.Error{Type: ofp.ErrExperimenter, Code: 37, Experimenter: 0x2320}
}

// checkFlow finds what is wrong with a flow-mod alone, whatever the tables hold: Open vSwitch refuses it when it reads it, in a
// bundle when it is added.
func (s *Switch) checkFlow(m *ofp.FlowMod) *ofp.Error {
	f := &m.Flow
	for p := range f.Match.Preds() {
		if err := checkField(p.Field); err != nil {
			return err
		}
	}
	deletes := m.Command == ofp.FlowDelete || m.Command == ofp.FlowDeleteStrict
	if f.Table == ofp.TableAll && !deletes {
		return badFlowTable()
	}
	if deletes {
		return nil
	}
	k := assumed(f.Match)
	return (&checker{table: f.Table, noND: s.opt.NoND}).list(f.Actions.List(), &k)
}

func checkField(f flow.Field) *ofp.Error {
	if f>>8 != 0 {
		return badTLV()
	}
	if !placeOf(f).known() {
		return badField()
	}
	return nil
}

// assumed makes a key of what a match says for sure, to tell whether an action's field will be there.
func assumed(m flow.Match) (k key) {
	for p := range m.Preds() {
		if placeOf(p.Field).known() && (p.Mask == flow.Ones(p.Field.Width()) || p.Field == flow.VLANVID || p.Field == flow.IPFrag) {
			k.put(p.Field, p.Value, p.Mask)
		}
	}
	return k
}

// checker checks the actions of a flow.
type checker struct {
	table uint8
	noND  bool
}

func (c *checker) list(acts []flow.Action, k *key) *ofp.Error {
	conj, other := false, false
	for _, a := range acts {
		if err := c.action(a, k); err != nil {
			return err
		}
		switch a.(type) {
		case flow.Conjunction:
			conj = true
		case flow.Note:
		default:
			other = true
		}
	}
	if conj && other { // conjunction actions stand alone, but for notes
		return &ofp.Error{Type: ofp.ErrExperimenter, Code: 15, Experimenter: 0x2320}
	}
	return nil
}

func (c *checker) action(a flow.Action, k *key) *ofp.Error {
	fields := func(fs ...flow.Subfield) *ofp.Error {
		for _, s := range fs {
			if s.Field == 0 {
				continue
			}
			if err := checkField(s.Field); err != nil {
				return err
			}
			if !k.has(s.Field) {
				return inconsistent()
			}
		}
		return nil
	}
	switch a := a.(type) {
	case flow.Output:
		return checkPort(a.Port)
	case flow.OutputTrunc:
		return checkPort(a.Port)
	case flow.OutputReg:
		return fields(a.Src)
	case flow.Controller:
		if a.Pause {
			return badArgument()
		}
	case flow.SetField:
		if err := fields(flow.Subfield{Field: a.Field}); err != nil {
			return err
		}
		if a.Field == flow.VLANVID && !k.tagged() {
			return inconsistent()
		}
		if c.noND && (a.Field == flow.NDReserved || a.Field == flow.NDOptionsType) {
			return badSet()
		}
	case flow.Move:
		return fields(a.Src, a.Dst)
	case flow.Push:
		return fields(a.Src)
	case flow.Pop:
		return fields(a.Dst)
	case flow.CheckPktLarger:
		return fields(a.Dst)
	case flow.PushVLAN:
		k[wEthDst] |= flow.VLANPresent
	case flow.PopVLAN:
		if !k.tagged() {
			return inconsistent()
		}
		k[wEthDst] &^= 0xffff
	case flow.DecTTL, flow.SetTTL:
		if !k.isIP() {
			return inconsistent()
		}
	case flow.FinTimeout:
		if !k.isIP() || k.proto() != protoTCP {
			return inconsistent()
		}
	case flow.CT:
		if !k.isIP() || a.NAT != nil && a.NAT.AddrMin.IsValid() && a.NAT.AddrMin.Is4() != (k.ethType() == etherIPv4) {
			return inconsistent()
		}
		if err := fields(a.ZoneSrc); err != nil {
			return err
		}
		return c.list(a.Exec, k)
	case flow.Clone:
		inner := *k
		return c.list(a.Actions, &inner)
	case flow.WriteActions:
		inner := *k
		return c.list(a.Actions, &inner)
	case flow.Learn:
		for _, sp := range a.Specs {
			if err := fields(sp.Src); err != nil {
				return err
			}
		}
	case flow.GotoTable:
		if a.Table <= c.table || a.Table == ofp.TableAll {
			return badGoto()
		}
	case flow.DeleteField:
		return badTLV()
	case flow.Unknown:
		return badType()
	}
	return nil
}

func checkPort(p flow.Port) *ofp.Error {
	if p == flow.PortAny || p == flow.PortUnset || p >= 0xff00 && p < 0xffffff00 {
		return badPort()
	}
	return nil
}

// refers finds groups and meters that actions use and the switch does not have.
func (s *Switch) refers(acts []flow.Action) *ofp.Error {
	for _, a := range acts {
		var err *ofp.Error
		switch a := a.(type) {
		case flow.ToGroup:
			if s.groups[a.Group] == nil {
				err = badGroup()
			}
		case flow.ToMeter:
			if s.meters[a.Meter] == nil {
				err = badMeter()
			}
		case flow.Clone:
			err = s.refers(a.Actions)
		case flow.WriteActions:
			err = s.refers(a.Actions)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// flowMod applies a flow-mod that checkFlow has passed.
func (s *Switch) flowMod(m *ofp.FlowMod) *ofp.Error {
	switch m.Command {
	case ofp.FlowAdd:
		return s.addFlow(m.Flow)
	case ofp.FlowModify, ofp.FlowModifyStrict:
		if err := s.refers(m.Flow.Actions.List()); err != nil {
			return err
		}
		for _, r := range s.selectRules(m) {
			f := r.Flow
			f.Actions = m.Flow.Actions
			n := s.newRule(f)
			if m.Flow.Flags&flow.ResetCounts == 0 {
				n.packets, n.bytes = r.packets, r.bytes
			}
			s.replace(r, n)
		}
	default:
		for _, r := range s.selectRules(m) {
			s.replace(r, nil)
			s.tellRemoved(r, ofp.RemovedDelete)
		}
	}
	return nil
}

func (s *Switch) addFlow(f flow.Flow) *ofp.Error {
	r := s.newRule(f)
	r.Flags &^= flow.CheckOverlap | flow.ResetCounts
	if err := s.refers(r.acts); err != nil {
		return err
	}
	t := s.tables[f.Table]
	if t == nil {
		t = newTable()
		s.tables[f.Table] = t
	}
	old := t.rules[f.Key()]
	if f.Flags&flow.CheckOverlap != 0 {
		for _, other := range t.rules {
			if other.Priority == f.Priority && overlap(other.Match, f.Match) {
				return overlaps()
			}
		}
	}
	if old != nil && f.Flags&flow.ResetCounts == 0 {
		r.packets, r.bytes = old.packets, old.bytes
	}
	s.replace(old, r)
	return nil
}

func (s *Switch) newRule(f flow.Flow) *rule {
	r := &rule{Flow: f, acts: f.Actions.List(), added: s.opt.Now()}
	for _, a := range r.acts {
		if c, ok := a.(flow.Conjunction); ok {
			r.conj = append(r.conj, c)
		}
	}
	return r
}

// replace takes old out (if any) and puts new in (if any), and notes how to undo that.
func (s *Switch) replace(old, new *rule) {
	swap := func(old, new *rule) {
		if old != nil {
			s.tables[old.Table].remove(old)
		}
		if new != nil {
			s.tables[new.Table].insert(new)
		}
	}
	swap(old, new)
	s.onUndo(func() { swap(new, old) })
}

func (s *Switch) onUndo(f func()) {
	if s.undo != nil {
		*s.undo = append(*s.undo, f)
	}
}

// selectRules gives the rules that a modify or delete is for.
func (s *Switch) selectRules(m *ofp.FlowMod) []*rule {
	strict := m.Command == ofp.FlowModifyStrict || m.Command == ofp.FlowDeleteStrict
	filter := ruleFilter{table: m.Flow.Table, cookie: m.Flow.Cookie, mask: m.CookieMask, match: m.Flow.Match}
	if m.Command == ofp.FlowDelete || m.Command == ofp.FlowDeleteStrict {
		filter.port, filter.group = m.OutPort, m.OutGroup
	}
	if strict {
		filter.strict, filter.priority = true, m.Flow.Priority
	}
	return s.filter(filter)
}

// ruleFilter selects rules.
type ruleFilter struct {
	table        uint8
	cookie, mask uint64
	match        flow.Match
	port         flow.Port
	group        uint32
	strict       bool
	priority     uint16
}

func (s *Switch) filter(f ruleFilter) []*rule {
	var out []*rule
	for id, t := range s.tables {
		if t == nil || f.table != ofp.TableAll && int(f.table) != id {
			continue
		}
		if f.strict {
			if r := t.rules[flow.Key{Table: uint8(id), Priority: f.priority, Match: f.match}]; r != nil && f.accepts(r) {
				out = append(out, r)
			}
			continue
		}
		for _, r := range t.rules {
			if f.accepts(r) && covers(f.match, r.Match) {
				out = append(out, r)
			}
		}
	}
	return out
}

func (f *ruleFilter) accepts(r *rule) bool {
	return (r.Cookie^f.cookie)&f.mask == 0 && (f.port == 0 || outputsTo(r.acts, f.port)) && (f.group == 0 || usesGroup(r.acts, f.group))
}

func outputsTo(acts []flow.Action, p flow.Port) bool {
	return slices.ContainsFunc(acts, func(a flow.Action) bool {
		switch a := a.(type) {
		case flow.Output:
			return a.Port == p
		case flow.OutputTrunc:
			return a.Port == p
		case flow.Controller:
			return p == flow.PortController
		case flow.WriteActions:
			return outputsTo(a.Actions, p)
		case flow.Clone:
			return outputsTo(a.Actions, p)
		}
		return false
	})
}

func usesGroup(acts []flow.Action, id uint32) bool {
	return slices.ContainsFunc(acts, func(a flow.Action) bool {
		switch a := a.(type) {
		case flow.ToGroup:
			return a.Group == id
		case flow.WriteActions:
			return usesGroup(a.Actions, id)
		case flow.Clone:
			return usesGroup(a.Actions, id)
		}
		return false
	})
}

func usesMeter(acts []flow.Action, id uint32) bool {
	return slices.ContainsFunc(acts, func(a flow.Action) bool {
		switch a := a.(type) {
		case flow.ToMeter:
			return a.Meter == id
		case flow.Controller:
			return a.Meter == id
		case flow.Clone:
			return usesMeter(a.Actions, id)
		}
		return false
	})
}

// covers reports whether every packet that narrow accepts, wide accepts.
func covers(wide, narrow flow.Match) bool {
	if wide == (flow.Match{}) {
		return true
	}
	for p := range wide.Preds() {
		v, m := narrow.Get(p.Field)
		if m.And(p.Mask) != p.Mask || v.And(p.Mask) != p.Value {
			return false
		}
	}
	return true
}

// overlap reports whether a packet may match both.
func overlap(a, b flow.Match) bool {
	for p := range a.Preds() {
		v, m := b.Get(p.Field)
		both := m.And(p.Mask)
		if v.And(both) != p.Value.And(both) {
			return false
		}
	}
	return true
}

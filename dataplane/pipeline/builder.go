package pipeline

import (
	"errors"
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Builder makes the flows of one owner and checks them against the declaration. Mistakes are collected: look at Err when
// done. Not safe for concurrent use.
type Builder struct {
	owner Owner
	*built
}

// built is what a builder and those that For gives have made together.
type built struct {
	flows []flow.Flow
	errs  []error
}

// NewBuilder gives a builder of flows that belong to o.
func NewBuilder(o Owner) *Builder {
	return (&Builder{built: &built{}}).For(o)
}

// For gives a builder of flows that belong to o, which makes them together with b.
func (b *Builder) For(o Owner) *Builder {
	if o.ID > MaxOwnerID {
		b.errs = append(b.errs, fmt.Errorf("id %d of %s is beyond %d, the most that a cookie has room for", o.ID, o.Kind, MaxOwnerID))
	}
	return &Builder{o, b.built}
}

// Preds is a list of predicates, to keep calls readable.
type Preds []flow.Pred

// Flow adds a flow.
func (b *Builder) Flow(t *Table, priority uint16, preds Preds, actions ...flow.Action) {
	b.add(b.owner, t, priority, preds, actions)
}

// Drop adds a flow that drops for a reason; the reason is its owner, so that equal drops of several owners are one flow.
func (b *Builder) Drop(t *Table, priority uint16, r reason.Reason, preds ...flow.Pred) {
	b.add(Owner{KindDrop, uint32(r)}, t, priority, preds, nil)
}

// Refuse adds a flow that drops for a reason and does something besides, such as to tell the sender. Like Drop's, the reason is its owner.
func (b *Builder) Refuse(t *Table, priority uint16, r reason.Reason, preds Preds, actions ...flow.Action) {
	b.add(Owner{KindDrop, uint32(r)}, t, priority, preds, actions)
}

// Misses adds what each table does with a packet that nothing matches.
func (b *Builder) Misses() {
	for _, t := range Tables() {
		if t.Miss != reason.None {
			b.Drop(t, 0, t.Miss)
		} else {
			b.Flow(t, 0, nil, flow.GotoTable{Table: t.MissTo})
		}
	}
}

// Flows gives the flows, in the order they were added.
func (b *Builder) Flows() []flow.Flow { return b.flows }

// Err gives what was wrong with flows that were refused, or nil.
func (b *Builder) Err() error { return errors.Join(b.errs...) }

func (b *Builder) add(o Owner, t *Table, priority uint16, preds Preds, actions []flow.Action) {
	m, err := flow.NewMatch(preds...)
	if err == nil {
		err = t.checkMatch(m)
	}
	var as flow.Actions
	if err == nil {
		as, err = flow.NewActions(actions...)
	}
	if err == nil {
		err = t.checkActions(actions)
	}
	if err != nil {
		b.errs = append(b.errs, fmt.Errorf("flow in table %s, priority %d, %v: %w", t.Name, priority, m, err))
		return
	}
	f := flow.Flow{Table: t.ID, Priority: priority, Match: m, Actions: as}
	f.Cookie = uint64(newCookie(o, f))
	b.flows = append(b.flows, f)
}

func (t *Table) checkMatch(m flow.Match) error {
	for p := range m.Preds() {
		if slices.Contains(t.Matches, p.Field) {
			continue
		}
		if !covered(p.Field, p.Mask, t.Reads) {
			return fmt.Errorf("the table is not declared to match %s", p.Field)
		}
	}
	return nil
}

// covered reports whether every bit of mask in the field belongs to one of the registers.
func covered(f flow.Field, mask flow.Value, rs []Register) bool {
	for _, r := range rs {
		if r.Bits.Field == f {
			mask = mask.AndNot(flow.Ones(int(r.Bits.Bits)).Shl(int(r.Bits.Ofs)))
		}
		for _, s := range r.parts() {
			if s.Field == f {
				mask = mask.AndNot(flow.Ones(int(s.Bits)).Shl(int(s.Ofs)))
			}
		}
	}
	return mask.IsZero()
}

func (t *Table) checkActions(actions []flow.Action) error {
	for _, a := range actions {
		if err := t.checkAction(a); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) checkAction(a flow.Action) error {
	writes := func(f flow.Field, mask flow.Value) error {
		if slices.Contains(t.Sets, f) || covered(f, mask, t.Writes) {
			return nil
		}
		return fmt.Errorf("the table is not declared to set %s", f)
	}
	next := func(id uint8) error {
		if slices.Contains(t.Next, id) {
			return nil
		}
		return fmt.Errorf("the table is not declared to go on to table %d", id)
	}
	switch a := a.(type) {
	case flow.SetField:
		return writes(a.Field, a.Mask)
	case flow.CheckPktLarger:
		return writes(a.Dst.Field, flow.Ones(1).Shl(int(a.Dst.Ofs)))
	case flow.Move:
		return writes(a.Dst.Field, flow.Ones(int(a.Dst.Bits)).Shl(int(a.Dst.Ofs)))
	case flow.SetTTL:
		return writes(flow.IPTTL, flow.Ones(8))
	case flow.DecTTL:
		return writes(flow.IPTTL, flow.Ones(8))
	case flow.PushVLAN, flow.PopVLAN:
		if !slices.Contains(t.Sets, flow.VLANVID) {
			return errors.New("the table is not declared to set the VLAN tag")
		}
		return nil
	case flow.GotoTable:
		return next(a.Table)
	case flow.Resubmit:
		if !slices.Contains(t.Again, a.Table) {
			return fmt.Errorf("the table is not declared to look packets up in table %d once more", a.Table)
		}
		return nil
	case flow.Clone:
		return t.checkActions(a.Actions)
	case flow.CT:
		if !t.Tracks {
			return errors.New("the table is not declared to give packets to the connection tracker")
		}
		if a.Recirc && !slices.Contains(t.Again, a.Table) {
			return next(a.Table)
		}
		return t.checkActions(a.Exec)
	case flow.Conjunction:
		if !slices.Contains(t.Matches, flow.ConjID) {
			return errors.New("the table is not declared to match conj_id, which a conjunction needs")
		}
		return nil
	case flow.Output, flow.Controller:
		if !t.Outputs {
			return errors.New("the table is not declared to let packets out")
		}
		return nil
	case flow.ToGroup, flow.ToMeter, flow.CTClear:
		return nil
	}
	return fmt.Errorf("action %T is not one that the pipeline uses", a)
}

// Bucket builds a bucket of a group that table t's flows use, whose actions must be ones that the table is declared to have.
func (b *Builder) Bucket(t *Table, id uint32, actions ...flow.Action) flow.Bucket {
	as, err := flow.NewActions(actions...)
	if err == nil {
		err = t.checkActions(actions)
	}
	if err != nil {
		b.errs = append(b.errs, fmt.Errorf("bucket %d of a group of table %s: %w", id, t.Name, err))
	}
	return flow.Bucket{ID: id, Actions: as}
}

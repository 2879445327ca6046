package oftest

import "github.com/openvnet/openvnet/ofctl/flow"

// learn adds the flow that a learn action makes of the packet, or changes the one with its key.
func (t *translator) learn(a *flow.Learn) {
	ok := t.learned(a)
	if a.ResultDst.Field != 0 {
		bit := uint64(0)
		if ok {
			bit = 1
		}
		t.flow.putSub(a.ResultDst, flow.Uint(bit))
	}
}

func (t *translator) learned(a *flow.Learn) bool {
	f := flow.Flow{
		Table: a.Table, Priority: a.Priority, Cookie: a.Cookie, IdleTimeout: a.IdleTimeout, HardTimeout: a.HardTimeout,
	}
	if a.SendFlowRem {
		f.Flags |= flow.SendFlowRem
	}
	var preds []flow.Pred
	var acts []flow.Action
	for _, s := range a.Specs {
		v := s.Value
		if s.Src.Field != 0 {
			v = t.flow.sub(s.Src)
		}
		switch s.Op {
		case flow.LearnMatch:
			preds = append(preds, s.Dst.IsValue(v))
		case flow.LearnLoad:
			acts = append(acts, flow.SetField(s.Dst.IsValue(v)))
		case flow.LearnOutput:
			acts = append(acts, flow.Output{Port: port16(v)})
		}
	}
	var err error
	if f.Match, err = flow.NewMatch(preds...); err != nil {
		return false
	}
	if f.Actions, err = flow.NewActions(acts...); err != nil {
		return false
	}
	if a.Limit != 0 && !t.sw.mayLearn(a, f.Key()) {
		return false
	}
	return t.sw.addFlow(f) == nil
}

// mayLearn enforces the limit on the flows with the action's cookie in its table.
func (s *Switch) mayLearn(a *flow.Learn, k flow.Key) bool {
	t := s.table(a.Table)
	if t == nil {
		return true
	}
	if t.rules[k] != nil {
		return true
	}
	n := uint32(0)
	for _, r := range t.rules {
		if r.Cookie == a.Cookie {
			n++
		}
	}
	return n < a.Limit
}

package oftest

import "github.com/openvnet/openvnet/ofctl/flow"

// actionSet is an action set (OpenFlow 1.5, section 5.6): what was written, in order.
type actionSet struct{ acts []flow.Action }

func (s *actionSet) write(acts []flow.Action) {
	s.acts = append(s.acts[:len(s.acts):len(s.acts)], acts...)
}

// list gives the actions in the order in which Open vSwitch carries out a set: of the actions that change a packet's form and of
// the final ones only the last of each kind, all that set fields in the order they came. A set without a final action does
// nothing.
func (s *actionSet) list() []flow.Action {
	var pop, push, dec, queue, group, output, resubmit, ct flow.Action
	var sets []flow.Action
	for _, a := range s.acts {
		switch a.(type) {
		case flow.PopVLAN:
			pop = a
		case flow.PushVLAN:
			push = a
		case flow.DecTTL:
			dec = a
		case flow.SetField, flow.Move, flow.SetTTL:
			sets = append(sets, a)
		case flow.SetQueue:
			queue = a
		case flow.ToGroup:
			group = a
		case flow.Output, flow.OutputReg, flow.OutputTrunc, flow.Controller:
			output = a
		case flow.Resubmit:
			resubmit = a
		case flow.CT:
			ct = a
		}
	}
	var out []flow.Action
	add := func(a flow.Action) bool {
		if a != nil {
			out = append(out, a)
		}
		return a != nil
	}
	add(pop)
	add(push)
	add(dec)
	out = append(out, sets...)
	add(queue)
	if add(group) || add(output) || add(resubmit) || add(ct) {
		return out
	}
	return nil
}

package oftest

import (
	"errors"
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// ctAction is a ct action with its fields filled in.
type ctAction struct {
	commit, force, recirc bool
	zone                  uint16
	nat                   *flow.NAT
	mark, markMask        uint32
	label, labelMask      flow.Value
}

// conntrack gives the packet to the connection tracker and recirculates a copy of it if asked.
func (t *translator) conntrack(a *flow.CT) {
	t.commit()
	c := &ctAction{commit: a.Commit, force: a.Force, zone: a.Zone, nat: a.NAT}
	if a.ZoneSrc.Field != 0 {
		c.zone = uint16(t.flow.sub(a.ZoneSrc).Lo)
	}
	c.exec(a.Exec, t.flow)
	t.ops = append(t.ops, op{kind: opCT, ct: c})
	if a.Recirc && len(t.set.acts) > 0 {
		t.err = errors.New("recirculation by ct with an action set: ovs-vswitchd 3.1 aborts (assertion in recirc_alloc_id__)")
	}
	if a.Recirc {
		f := &frozen{table: a.Table, meta: t.flow, stack: slices.Clone(t.stack), set: t.set, conntracked: true}
		c.recirc = true
		t.ops = append(t.ops, op{kind: opRecirc, frozen: f})
	}
	t.flow.clearCT()
	t.conntracked = false
}

// exec collects what ct(exec(...)) sets.
func (c *ctAction) exec(acts []flow.Action, k key) {
	note := func(f flow.Field, mask flow.Value) {
		if f == flow.CTMark {
			c.markMask |= uint32(mask.Lo)
		} else {
			c.labelMask = c.labelMask.Or(mask)
		}
	}
	for _, a := range acts {
		switch a := a.(type) {
		case flow.SetField:
			k.put(a.Field, a.Value, a.Mask)
			note(a.Field, a.Mask)
		case flow.Move:
			k.putSub(a.Dst, k.sub(a.Src))
			note(a.Dst.Field, flow.Ones(int(a.Dst.Bits)).Shl(int(a.Dst.Ofs)))
		}
	}
	c.mark, c.label = uint32(k.get(flow.CTMark).Lo), k.get(flow.CTLabel)
}

package oftest

import (
	"fmt"
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Limits of Open vSwitch (ofproto-dpif-xlate): depth of resubmits to the same or an earlier table, resubmits and gotos in all,
// and bytes on the stack.
const (
	maxDepth     = 64
	maxResubmits = maxDepth * maxDepth
	maxStack     = 65536
)

// frozen is what a packet keeps across a recirculation, but for its headers.
type frozen struct {
	table       uint8
	meta        key // metadata words only
	stack       []stacked
	set         actionSet
	conntracked bool
}

type stacked struct {
	value flow.Value
	bytes int
}

// translator turns the flows that a packet hits into operations on it, for one pass through the tables up to a recirculation.
type translator struct {
	sw   *Switch
	res  *Result
	flow key // the packet as the tables see it
	base key // the packet as the operations so far leave it
	ops  []op

	table       uint8
	cookie      uint64
	size        int // of the packet, for statistics
	stack       []stacked
	set         actionSet
	setHasGroup bool
	conntracked bool
	exit        bool
	err         error
	depth       int
	resubmits   int
	indent      int
	packetOut   bool
	inGroup     bool
	inSet       bool
}

// start looks the packet up in a table, carries out what that says, and then the action set.
func (t *translator) start(table uint8) []op {
	t.lookup(t.flow.inPort(), table, false)
	return t.finish()
}

func (t *translator) finish() []op {
	if t.err == nil {
		t.runSet()
	}
	if t.err != nil {
		t.res.Errors = append(t.res.Errors, t.err.Error())
		return nil
	}
	return t.ops
}

func (t *translator) runSet() {
	if len(t.set.acts) == 0 {
		return
	}
	was := t.inSet
	t.inSet = true
	t.list(t.set.list())
	t.inSet = was
}

// mayLookup enforces the limits.
func (t *translator) mayLookup() bool {
	switch {
	case t.err != nil:
	case t.depth >= maxDepth:
		t.err = fmt.Errorf("over max translation depth %d", maxDepth)
	case t.resubmits >= maxResubmits:
		t.err = fmt.Errorf("over %d resubmit actions", maxResubmits)
	case len(t.stack)*16 > maxStack:
		t.err = fmt.Errorf("stack over %d bytes", maxStack)
	}
	return t.err == nil
}

// lookup carries out the flow of a table that the packet matches, with another in_port or the connection's original tuple
// if asked.
func (t *translator) lookup(in flow.Port, table uint8, original bool) {
	if !t.mayLookup() {
		return
	}
	if original && (t.flow.get(flow.CTNwProto).IsZero() || !t.flow.isIP()) {
		return
	}
	oldTable, oldCookie := t.table, t.cookie
	t.table = table
	var r *rule
	if tbl := t.sw.table(table); tbl != nil {
		k := &t.flow
		if in != k.inPort() || original {
			other := t.flow
			other.setInPort(in)
			if original {
				other.swapTuple()
			}
			k = &other
		}
		r = tbl.lookup(k)
	}
	t.res.hit(t, r, table)
	if r != nil {
		deeper := 0
		if table <= oldTable && t.resubmits > 0 {
			deeper = 1
		}
		r.packets++
		r.bytes += uint64(t.size)
		t.cookie = r.Cookie
		t.resubmits++
		t.depth += deeper
		t.indent++
		t.list(r.acts)
		t.indent--
		t.depth -= deeper
	}
	t.table, t.cookie = oldTable, oldCookie
}

// swapTuple puts the connection's original tuple in the place of the packet's.
func (k *key) swapTuple() {
	src, dst := k.get(flow.CTTpSrc).Lo, k.get(flow.CTTpDst).Lo
	proto := k.get(flow.CTNwProto)
	k.put(flow.IPProto, proto, flow.Ones(8))
	k[wTp] = k[wTp]&0xffffffff | src<<48 | dst<<32
	if k.ethType() == etherIPv4 {
		k[wIPv4] = k[wCTIPv4]
		return
	}
	copy(k[wIPv6Src:wIPv6Src+4], k[wCTSrc6:wCTSrc6+4])
}

// list carries out a list of actions and instructions.
func (t *translator) list(acts []flow.Action) {
	for i, a := range acts {
		if t.err != nil || t.exit {
			return
		}
		switch a := a.(type) {
		case flow.DecTTL:
			if t.decTTL() {
				return
			}
		case flow.CheckPktLarger:
			if rest := acts[i+1:]; len(rest) > 0 {
				t.checkLarger(a, rest)
			}
			return
		case flow.Exit:
			t.exit = true
		default:
			t.action(a)
		}
	}
}

func (t *translator) action(a flow.Action) {
	k := &t.flow
	switch a := a.(type) {
	case flow.Output:
		t.output(a.Port, 0)
	case flow.OutputTrunc:
		t.output(a.Port, a.MaxLen)
	case flow.OutputReg:
		t.output(port16(k.sub(a.Src)), 0)
	case flow.Controller:
		t.controller(a)
	case flow.SetField:
		if k.has(a.Field) {
			k.put(a.Field, a.Value, a.Mask)
		}
	case flow.Move:
		if k.has(a.Src.Field) && k.has(a.Dst.Field) {
			k.putSub(a.Dst, k.sub(a.Src))
		}
	case flow.PushVLAN:
		k[wVLAN] = uint64(a.EtherType)<<32 | k[wEthDst]&0xffff<<16 | k[wVLAN]>>32&0xffff
		k[wEthDst] = k[wEthDst]&^0xffff | flow.VLANPresent
	case flow.PopVLAN:
		k[wEthDst] = k[wEthDst]&^0xffff | k[wVLAN]>>16&0xffff
		k[wVLAN] = k[wVLAN] & 0xffff << 32
	case flow.SetTTL:
		if k.isIP() {
			k.put(flow.IPTTL, flow.Uint(uint64(a.TTL)), flow.Ones(8))
		}
	case flow.ToGroup:
		t.group(a.Group)
	case flow.ToMeter:
		t.commit()
		t.ops = append(t.ops, op{kind: opMeter, n: a.Meter})
	case flow.Resubmit:
		in, table := a.Port, a.Table
		if in == 0 || in == flow.PortInPort {
			in = k.inPort()
		}
		if table == 255 {
			table = t.table
		}
		t.lookup(in, table, a.CT)
	case flow.GotoTable:
		t.lookup(k.inPort(), a.Table, false)
	case flow.WriteMetadata:
		k[wMetadata] = k[wMetadata]&^a.Mask | a.Value&a.Mask
	case flow.ClearActions:
		t.set, t.setHasGroup = actionSet{}, false
		k.put(flow.ActsetOutput, flow.Uint(uint64(flow.PortUnset)), flow.Ones(32))
	case flow.WriteActions:
		t.writeActions(a.Actions)
	case flow.Clone:
		t.clone(a.Actions)
	case flow.CT:
		t.conntrack(&a)
	case flow.CTClear:
		if t.conntracked {
			k.clearCT()
			t.conntracked = false
			t.ops = append(t.ops, op{kind: opCTClear})
		}
	case flow.Learn:
		t.learn(&a)
	case flow.Push:
		t.stack = append(t.stack, stacked{value: k.sub(a.Src), bytes: int(a.Src.Bits+7) / 8})
	case flow.Pop:
		if n := len(t.stack); n > 0 {
			k.putSub(a.Dst, t.stack[n-1].value)
			t.stack = t.stack[:n-1]
		}
	}
	// Conjunction, Note, FinTimeout, SetQueue and PopQueue change nothing about the packet.
}

// port16 gives the port that a number in a register means.
func port16(v flow.Value) flow.Port {
	n := uint32(v.Lo)
	if n >= 0xff00 && n <= 0xffff {
		n |= 0xffff0000
	}
	return flow.Port(n)
}

// decTTL reports whether the list ends here because the TTL is up.
func (t *translator) decTTL() bool {
	if !t.flow.isIP() {
		return false
	}
	if ttl := t.flow.ttl(); ttl > 1 {
		t.flow.put(flow.IPTTL, flow.Uint(uint64(ttl-1)), flow.Ones(8))
		return false
	}
	t.packetIn(flow.Controller{}, flow.ReasonInvalidTTL)
	return true
}

// commit makes an operation of the changes to the headers since the last one.
func (t *translator) commit() {
	if slices.Equal(t.flow[firstHeader:lastHeader+1], t.base[firstHeader:lastHeader+1]) {
		return
	}
	e := &edit{from: t.base, to: t.flow}
	t.ops = append(t.ops, op{kind: opEdit, edit: e})
	t.base = t.flow
}

func (t *translator) output(p flow.Port, maxLen uint32) {
	in := t.flow.inPort()
	switch p {
	case flow.PortInPort:
		t.compose(in, maxLen)
	case flow.PortTable:
		if t.packetOut {
			t.lookup(in, 0, false)
		}
	case flow.PortNormal, flow.PortFlood, flow.PortAll:
		for _, no := range t.sw.portNumbers() {
			if no != in {
				t.compose(no, maxLen)
			}
		}
	case flow.PortController:
		t.controller(flow.Controller{})
	case flow.PortAny:
	default:
		if p != in {
			t.compose(p, maxLen)
		}
	}
}

// compose sends the packet to a port that is there.
func (t *translator) compose(no flow.Port, maxLen uint32) {
	p := t.sw.ports[no]
	if p == nil || p.Cfg&(ofp.PortNoFwd|ofp.PortDown) != 0 {
		return
	}
	o := op{kind: opOutput, port: no}
	if maxLen != 0 { // counts from the packet as it was before the changes that are to come
		defer func(at int) { t.ops = slices.Insert(t.ops, at, op{kind: opTrunc, n: maxLen}) }(len(t.ops))
	}
	if p.Kind == PortTunnel {
		tun := t.flow.tunnel()
		if !tun.Dst.IsValid() { // no destination: Open vSwitch decides against the output
			return
		}
		o.tunnel = &tun
	}
	t.commit()
	t.ops = append(t.ops, o)
}

func (t *translator) controller(a flow.Controller) {
	reason := a.Reason
	if reason == flow.ReasonAction && a.ID == 0 && len(a.Userdata) == 0 && a.Meter == 0 { // an output to CONTROLLER
		switch {
		case t.packetOut:
			reason = flow.ReasonPacketOut
		case t.inGroup:
			reason = flow.ReasonGroup
		case t.inSet:
			reason = flow.ReasonActionSet
		}
	}
	t.packetIn(a, reason)
}

func (t *translator) packetIn(a flow.Controller, reason flow.Reason) {
	t.commit()
	t.ops = append(t.ops, op{kind: opPacketIn, packetIn: &PacketIn{
		Reason: reason, Table: t.table, Cookie: t.cookie, Userdata: a.Userdata, ControllerID: a.ID, Meter: a.Meter, key: t.flow,
		maxLen: a.MaxLen, noData: a.NoData,
	}})
}

func (t *translator) writeActions(acts []flow.Action) {
	t.set.write(acts)
	for _, a := range acts {
		switch a := a.(type) {
		case flow.Output:
			if !t.setHasGroup {
				t.flow.put(flow.ActsetOutput, flow.Uint(uint64(a.Port)), flow.Ones(32))
			}
		case flow.ToGroup:
			t.setHasGroup = true
			t.flow.put(flow.ActsetOutput, flow.Uint(uint64(flow.PortUnset)), flow.Ones(32))
		}
	}
}

package flow

import (
	"encoding/hex"
	"net/netip"
)

func appendActions(b []byte, a Actions, names Names) []byte {
	return appendActionList(b, a.List(), names)
}

func appendActionList(b []byte, l []Action, names Names) []byte {
	if len(l) == 0 {
		return append(b, "drop"...)
	}
	for i, a := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendActionText(b, a, names)
	}
	return b
}

func appendActionText(b []byte, a Action, names Names) []byte {
	switch a := a.(type) {
	case Output:
		if _, reserved := a.Port.reservedName(); !reserved {
			b = append(b, "output:"...)
		}
		return appendPort(b, a.Port, names)
	case OutputReg:
		return appendSubfield(append(b, "output:"...), a.Src)
	case OutputTrunc:
		b = appendPort(append(b, "output(port="...), a.Port, names)
		return append(appendUint(append(b, ",max_len="...), uint64(a.MaxLen)), ')')
	case Controller:
		return appendControllerText(b, a)
	case SetField:
		b = appendFieldValue(append(b, "set_field:"...), Pred(a), names)
		return append(append(b, "->"...), a.Field.String()...)
	case Move:
		b = appendSubfield(append(b, "move:"...), a.Src)
		return appendSubfield(append(b, "->"...), a.Dst)
	case PushVLAN:
		return appendHash(append(b, "push_vlan:"...), uint64(a.EtherType))
	case PopVLAN:
		return append(b, "pop_vlan"...)
	case DecTTL:
		return append(b, "dec_ttl"...)
	case SetTTL:
		return appendUint(append(b, "mod_nw_ttl:"...), uint64(a.TTL))
	case SetQueue:
		return appendUint(append(b, "set_queue:"...), uint64(a.Queue))
	case PopQueue:
		return append(b, "pop_queue"...)
	case ToGroup:
		return appendUint(append(b, "group:"...), uint64(a.Group))
	case ToMeter:
		return appendUint(append(b, "meter:"...), uint64(a.Meter))
	case Resubmit:
		return appendResubmitText(b, a, names)
	case GotoTable:
		return appendTable(append(b, "goto_table:"...), a.Table, names)
	case WriteMetadata:
		b = appendHash(append(b, "write_metadata:"...), a.Value)
		if a.Mask != ^uint64(0) && a.Mask != 0 {
			b = appendHash(append(b, '/'), a.Mask)
		}
		return b
	case ClearActions:
		return append(b, "clear_actions"...)
	case WriteActions:
		return append(appendActionList(append(b, "write_actions("...), a.Actions, names), ')')
	case Clone:
		return append(appendActionList(append(b, "clone("...), a.Actions, names), ')')
	case CT:
		return appendCTText(b, a, names)
	case NAT:
		return appendNATText(b, a)
	case CTClear:
		return append(b, "ct_clear"...)
	case Learn:
		return appendLearnText(b, &a, names)
	case Conjunction:
		b = append(appendUint(append(b, "conjunction("...), uint64(a.ID)), ',')
		b = append(appendUint(b, uint64(a.Clause)), '/')
		return append(appendUint(b, uint64(a.N)), ')')
	case Note:
		return appendDotted(append(b, "note:"...), a.Data)
	case CheckPktLarger:
		b = appendUint(append(b, "check_pkt_larger("...), uint64(a.Len))
		return appendSubfield(append(b, ")->"...), a.Dst)
	case FinTimeout:
		b = append(b, "fin_timeout("...)
		b = appendArg(b, "idle_timeout=", uint64(a.Idle))
		b = appendArg(b, "hard_timeout=", uint64(a.Hard))
		return closeArgs(b)
	case Push:
		return appendSubfield(append(b, "push:"...), a.Src)
	case Pop:
		return appendSubfield(append(b, "pop:"...), a.Dst)
	case DeleteField:
		return append(append(b, "delete_field:"...), a.Field.String()...)
	case Exit:
		return append(b, "exit"...)
	case Unknown:
		return append(hex.AppendEncode(append(b, "unknown("...), a.Bytes), ')')
	}
	return append(b, "?"...)
}

// appendArg appends name, number and comma, unless the number is zero.
func appendArg(b []byte, name string, v uint64) []byte {
	if v == 0 {
		return b
	}
	return append(appendUint(append(b, name...), v), ',')
}

func appendWord(b []byte, on bool, word string) []byte {
	if !on {
		return b
	}
	return append(append(b, word...), ',')
}

// closeArgs puts a parenthesis in the place of the last comma.
func closeArgs(b []byte) []byte {
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, ')')
}

func appendDotted(b, data []byte) []byte {
	for i := range data {
		if i > 0 {
			b = append(b, '.')
		}
		b = hex.AppendEncode(b, data[i:i+1])
	}
	return b
}

func appendSubfield(b []byte, s Subfield) []byte {
	if s == (Subfield{}) {
		return append(b, "none"...)
	}
	b = append(b, s.Field.info().nxName...)
	switch {
	case s.Ofs == 0 && int(s.Bits) == s.Field.subWidth():
		return append(b, "[]"...)
	case s.Bits == 1:
		b = appendUint(append(b, '['), uint64(s.Ofs))
	default:
		b = appendUint(append(b, '['), uint64(s.Ofs))
		b = appendUint(append(b, ".."...), uint64(s.Ofs)+uint64(s.Bits)-1)
	}
	return append(b, ']')
}

// appendFieldValue writes a value, and its mask if it has one, as set_field and learn do.
func appendFieldValue(b []byte, p Pred, names Names) []byte {
	full := p.Mask == Ones(p.Field.Width())
	switch fm := p.Field.info().form; {
	case fm == formMAC:
		return appendMACMasked(b, p)
	case fm == formIPv4 || fm == formIPv6:
		return appendAddr(b, p)
	case fm == formCTState:
		return appendFlags(b, &p, ctStateNames[:], 0xff)
	case fm == formTCPFlags:
		return appendFlags(b, &p, tcpFlagNames[:], 0xfff)
	case fm == formTunFlags && full:
		return append(b, [...]string{"0", "oam"}[p.Value.Lo&1]...)
	case fm == formFrag:
		return append(b, fragName(p.Value.Lo, p.Mask.Lo)...)
	case fm == formPort && full:
		port := Port(p.Value.Lo)
		if p.Field == InPort16 {
			port = portFrom16(uint16(port))
		}
		return appendPort(b, port, names)
	case fm == formDec:
		b = appendUint(b, p.Value.Lo)
	default:
		b = appendValueHex(b, p.Value)
	}
	if !full {
		b = appendValueHex(append(b, '/'), p.Mask)
	}
	return b
}

var reasonNames = [...]string{"action", "no_match", "invalid_ttl", "action_set", "group", "packet_out"}

// String gives the name that ovs-ofctl uses.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return string(appendUint(nil, uint64(r)))
}

func appendControllerText(b []byte, a Controller) []byte {
	maxLen := a.MaxLen
	if maxLen == 0 && !a.NoData {
		maxLen = 0xffff
	}
	if a.Reason == ReasonAction && a.ID == 0 && len(a.Userdata) == 0 && !a.Pause && a.Meter == 0 {
		return appendUint(append(b, "CONTROLLER:"...), uint64(maxLen))
	}
	b = append(b, "controller("...)
	if a.Reason != ReasonAction {
		b = append(append(append(b, "reason="...), a.Reason.String()...), ',')
	}
	if maxLen != 0xffff {
		b = append(appendUint(append(b, "max_len="...), uint64(maxLen)), ',')
	}
	b = appendArg(b, "id=", uint64(a.ID))
	if len(a.Userdata) > 0 {
		b = append(appendDotted(append(b, "userdata="...), a.Userdata), ',')
	}
	b = appendWord(b, a.Pause, "pause")
	b = appendArg(b, "meter_id=", uint64(a.Meter))
	return closeArgs(b)
}

func appendResubmitText(b []byte, a Resubmit, names Names) []byte {
	inPort := a.Port == 0 || a.Port == PortInPort
	if !inPort && a.Table == 255 {
		return appendPort(append(b, "resubmit:"...), a.Port, names)
	}
	b = append(b, "resubmit("...)
	if !inPort {
		b = appendPort(b, a.Port, names)
	}
	b = append(b, ',')
	if a.Table != 255 {
		b = appendTable(b, a.Table, names)
	}
	if a.CT {
		b = append(b, ",ct"...)
	}
	return append(b, ')')
}

func appendCTText(b []byte, a CT, names Names) []byte {
	b = append(b, "ct("...)
	b = appendWord(b, a.Commit, "commit")
	b = appendWord(b, a.Force, "force")
	if a.Recirc {
		b = append(appendTable(append(b, "table="...), a.Table, names), ',')
	}
	if a.ZoneSrc != (Subfield{}) {
		b = append(appendSubfield(append(b, "zone="...), a.ZoneSrc), ',')
	} else {
		b = appendArg(b, "zone=", uint64(a.Zone))
	}
	if a.NAT != nil {
		b = append(appendNATText(b, *a.NAT), ',')
	}
	if len(a.Exec) > 0 {
		b = append(appendActionList(append(b, "exec("...), a.Exec, names), "),"...)
	}
	switch a.ALG {
	case 21:
		b = append(b, "alg=ftp,"...)
	case 69:
		b = append(b, "alg=tftp,"...)
	default:
		b = appendArg(b, "alg=", uint64(a.ALG))
	}
	return closeArgs(b)
}

func appendNATText(b []byte, a NAT) []byte {
	b = append(b, "nat"...)
	if a.Kind == NATRestore {
		return b
	}
	b = append(b, [...]string{NATSrc: "(src", NATDst: "(dst"}[a.Kind]...)
	if !a.AddrMin.IsValid() {
		return append(b, ')')
	}
	addr := func(ip netip.Addr) {
		bracket := ip.Is6() && a.PortMin != 0
		if bracket {
			b = append(b, '[')
		}
		b = appendIP(b, AddrValue(ip), ip.Is4())
		if bracket {
			b = append(b, ']')
		}
	}
	b = append(b, '=')
	addr(a.AddrMin)
	if a.AddrMax.IsValid() && a.AddrMax != a.AddrMin {
		b = append(b, '-')
		addr(a.AddrMax)
	}
	if a.PortMin != 0 {
		b = appendUint(append(b, ':'), uint64(a.PortMin))
		if a.PortMax != 0 && a.PortMax != a.PortMin {
			b = appendUint(append(b, '-'), uint64(a.PortMax))
		}
	}
	b = append(b, ',')
	b = appendWord(b, a.Persistent, "persistent")
	b = appendWord(b, a.Hash, "hash")
	b = appendWord(b, a.Random, "random")
	return closeArgs(b)
}

func appendLearnText(b []byte, a *Learn, names Names) []byte {
	b = append(appendTable(append(b, "learn(table="...), a.Table, names), ',')
	b = appendArg(b, "idle_timeout=", uint64(a.IdleTimeout))
	b = appendArg(b, "hard_timeout=", uint64(a.HardTimeout))
	b = appendArg(b, "fin_idle_timeout=", uint64(a.FinIdleTimeout))
	b = appendArg(b, "fin_hard_timeout=", uint64(a.FinHardTimeout))
	if a.Priority != DefaultPriority {
		b = append(appendUint(append(b, "priority="...), uint64(a.Priority)), ',')
	}
	b = appendWord(b, a.SendFlowRem, "send_flow_rem")
	b = appendWord(b, a.DeleteLearned, "delete_learned")
	if a.Cookie != 0 {
		b = append(appendHash(append(b, "cookie="...), a.Cookie), ',')
	}
	b = appendArg(b, "limit=", uint64(a.Limit))
	if a.ResultDst != (Subfield{}) {
		b = append(appendSubfield(append(b, "result_dst="...), a.ResultDst), ',')
	}
	for i := range a.Specs {
		b = append(appendLearnSpecText(b, &a.Specs[i], names), ',')
	}
	return closeArgs(b)
}

func appendLearnSpecText(b []byte, s *LearnSpec, names Names) []byte {
	imm := s.Src == Subfield{}
	switch {
	case s.Op == LearnOutput:
		return appendSubfield(append(b, "output:"...), s.Src)
	case s.Op == LearnLoad && imm:
		b = appendValueHex(append(b, "load:"...), s.Value)
		return appendSubfield(append(b, "->"...), s.Dst)
	case s.Op == LearnLoad:
		b = appendSubfield(append(b, "load:"...), s.Src)
		return appendSubfield(append(b, "->"...), s.Dst)
	case imm && s.Dst == s.Dst.Field.All():
		b = append(append(b, s.Dst.Field.String()...), '=')
		return appendFieldValue(b, s.Dst.Field.IsValue(s.Value), names)
	case imm:
		return appendValueHex(append(appendSubfield(b, s.Dst), '='), s.Value)
	}
	b = appendSubfield(b, s.Dst)
	if s.Src != s.Dst {
		b = appendSubfield(append(b, '='), s.Src)
	}
	return b
}

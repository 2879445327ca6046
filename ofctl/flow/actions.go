package flow

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// Actions is the immutable list of actions and instructions of a flow; the zero value drops the packet. Two lists that do
// the same in the same words are equal by ==: an Actions holds the instructions as Open vSwitch encodes them for
// OpenFlow 1.5.
type Actions struct{ wire string }

// NewActions builds a list. Instructions (ClearActions, WriteActions, WriteMetadata, GotoTable) come after the actions,
// each at most once and in this order. It is an error if a value does not fit, if a field is not writable, if the list
// is longer than a message can be, or if a group is used twice: when such a group is deleted, ovs-vswitchd 3.1 aborts
// (assertion in ofproto_rule_remove__).
func NewActions(acts ...Action) (Actions, error) {
	if err := checkGroups(acts); err != nil {
		return Actions{}, err
	}
	var buf [256]byte
	b, err := appendInstructions(buf[:0], acts)
	if err != nil {
		return Actions{}, err
	}
	return Actions{string(b)}, nil
}

// MustActions is NewActions for static declarations: it panics on error.
func MustActions(acts ...Action) Actions {
	a, err := NewActions(acts...)
	if err != nil {
		panic("flow: " + err.Error())
	}
	return a
}

// DecodeActions takes OpenFlow 1.5 instructions. It keeps the bytes as they are; it is an error if they cannot be read.
// Actions that this package does not know are read as Unknown.
func DecodeActions(instructions []byte) (Actions, error) {
	if err := checkInstructions(instructions); err != nil {
		return Actions{}, fmt.Errorf("actions: %w", err)
	}
	return Actions{string(instructions)}, nil
}

// ActionsFromList takes an OpenFlow 1.5 action list, as in a bucket or packet-out, without instructions around it.
func ActionsFromList(list []byte) (Actions, error) {
	if len(list) == 0 {
		return Actions{}, nil
	}
	if len(list) > maxActions {
		return Actions{}, errTooLong
	}
	b := make([]byte, 0, 8+len(list))
	b = append(b, 0, instApply, byte((8+len(list))>>8), byte(8+len(list)), 0, 0, 0, 0)
	return DecodeActions(append(b, list...))
}

// Encoded gives the instructions.
func (a Actions) Encoded() string { return a.wire }

// EncodedList gives the action list, without instructions around it. It is an error if there are instructions other
// than applied actions.
func (a Actions) EncodedList() (string, error) {
	if a.wire == "" {
		return "", nil
	}
	if n := int(a.wire[2])<<8 | int(a.wire[3]); a.wire[1] != instApply || n != len(a.wire) {
		return "", errors.New("actions: instructions are not allowed here")
	}
	return a.wire[8:], nil
}

// Equal reports whether both are the same; it is == for go-cmp.
func (a Actions) Equal(b Actions) bool { return a == b }

// IsDrop reports whether the list is empty.
func (a Actions) IsDrop() bool { return a.wire == "" }

// String gives the list as ovs-ofctl dumps it, such as "load..." or "drop".
func (a Actions) String() string { return string(appendActions(nil, a, Names{})) }

// Instruction types (OpenFlow 1.5, section 7.2.4, OFPIT_*).
const (
	instGoto          = 1
	instWriteMetadata = 2
	instWrite         = 3
	instApply         = 4
	instClear         = 5
)

// Action types (OpenFlow 1.5, section 7.2.6, OFPAT_*) and Nicira subtypes (NXAST_*).
const (
	actOutput    = 0
	actPushVLAN  = 17
	actPopVLAN   = 18
	actSetQueue  = 21
	actGroup     = 22
	actSetTTL    = 23
	actDecTTL    = 24
	actSetField  = 25
	actCopyField = 28
	actMeter     = 29
	actVendor    = 0xffff

	vendorNicira = 0x00002320

	nxPopQueue       = 5
	nxNote           = 8
	nxResubmitTable  = 14
	nxOutputReg      = 15
	nxLearn          = 16
	nxExit           = 17
	nxFinTimeout     = 19
	nxController     = 20
	nxPush           = 27
	nxPop            = 28
	nxConjunction    = 34
	nxCT             = 35
	nxNAT            = 36
	nxController2    = 37
	nxOutputTrunc    = 39
	nxClone          = 42
	nxCTClear        = 43
	nxResubmitCT     = 44
	nxLearn2         = 45
	nxCheckPktLarger = 49
	nxDeleteField    = 50
)

// maxActions bounds an encoded list, so that it fits a message of 65,535 bytes with its match.
const maxActions = 64<<10 - 2048

var errTooLong = fmt.Errorf("actions: longer than %d bytes", maxActions)

// checkGroups refuses a list that uses a group twice, at any depth.
func checkGroups(acts []Action) error {
	var store [8]uint32
	_, err := appendGroups(store[:0], acts)
	return err
}

func appendGroups(seen []uint32, acts []Action) ([]uint32, error) {
	var err error
	for _, a := range acts {
		switch a := a.(type) {
		case ToGroup:
			if slices.Contains(seen, a.Group) {
				return nil, fmt.Errorf("actions: group:%d twice", a.Group)
			}
			seen = append(seen, a.Group)
		case Clone:
			seen, err = appendGroups(seen, a.Actions)
		case WriteActions:
			seen, err = appendGroups(seen, a.Actions)
		}
		if err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// nesting is what an action is in.
type nesting uint8

const (
	inList nesting = iota
	inCT
)

func appendInstructions(b []byte, acts []Action) ([]byte, error) {
	apply := -1 // start of the applied actions
	last := 0
	for _, a := range acts {
		rank := 0
		switch a.(type) {
		case ClearActions:
			rank = 1
		case WriteActions:
			rank = 2
		case WriteMetadata:
			rank = 3
		case GotoTable:
			rank = 4
		}
		if rank < last || rank == last && rank > 0 {
			return nil, fmt.Errorf("actions: %T after a later instruction or twice", a)
		}
		last = rank
		if rank == 0 && apply < 0 {
			apply = len(b)
			b = append(b, 0, instApply, 0, 0, 0, 0, 0, 0)
		}
		var err error
		if b, err = appendInstruction(b, a); err != nil {
			return nil, fmt.Errorf("actions: %w", err)
		}
		if len(b) > maxActions {
			return nil, errTooLong
		}
		if rank == 0 {
			setLen(b, apply)
		}
	}
	return b, nil
}

func appendInstruction(b []byte, a Action) ([]byte, error) {
	start := len(b)
	switch a := a.(type) {
	case ClearActions:
		return append(b, 0, instClear, 0, 8, 0, 0, 0, 0), nil
	case WriteActions:
		b = append(b, 0, instWrite, 0, 0, 0, 0, 0, 0)
		b, err := appendList(b, a.Actions, inList)
		if err != nil {
			return nil, err
		}
		if len(b) == start+8 {
			return nil, errors.New("write_actions without actions")
		}
		return setLen(b, start), nil
	case WriteMetadata:
		if a.Mask == 0 {
			a.Mask = ^uint64(0)
		}
		b = append(b, 0, instWriteMetadata, 0, 24, 0, 0, 0, 0)
		b = append64(b, a.Value&a.Mask)
		return append64(b, a.Mask), nil
	case GotoTable:
		return append(b, 0, instGoto, 0, 8, a.Table, 0, 0, 0), nil
	}
	return appendAction(b, a, inList)
}

func appendList(b []byte, acts []Action, in nesting) ([]byte, error) {
	var err error
	for _, a := range acts {
		if b, err = appendAction(b, a, in); err != nil {
			return nil, err
		}
		if len(b) > maxActions {
			return nil, errTooLong
		}
	}
	return b, nil
}

// appendAction appends one action. It is one function over all types, so that nothing escapes to the heap.
func appendAction(b []byte, a Action, in nesting) ([]byte, error) {
	start := len(b)
	if in == inCT {
		if err := allowedInCT(a); err != nil {
			return nil, err
		}
	}
	switch a := a.(type) {
	case Output:
		if a.Port == PortController {
			return nil, errors.New("output to CONTROLLER: use Controller")
		}
		if !a.Port.valid() || a.Port == PortAny || a.Port == portUnset {
			return nil, fmt.Errorf("output to %v: not a port", a.Port)
		}
		return appendOutput(b, a.Port, 0), nil
	case OutputReg:
		if !a.Src.valid() {
			return nil, fmt.Errorf("output to %v: not a subfield", a.Src)
		}
		b = append16(appendNX(b, nxOutputReg), ofsBits(a.Src))
		b = append32(b, a.Src.Field.nxmHeader())
		return setLen(append(b, 0xff, 0xff, 0, 0, 0, 0, 0, 0), start), nil
	case OutputTrunc:
		if a.MaxLen < 14 || !a.Port.valid() {
			return nil, fmt.Errorf("output of %d bytes to %v: not a port or less than 14", a.MaxLen, a.Port)
		}
		b = append16(appendNX(b, nxOutputTrunc), a.Port.to16())
		return setLen(append32(b, a.MaxLen), start), nil
	case Controller:
		return appendController(b, a)
	case SetField:
		if err := checkSetField(a, in); err != nil {
			return nil, err
		}
		b = append(b, 0, actSetField, 0, 0)
		p := Pred(a)
		if p.Field.isTunMetadata() {
			return padAction(appendTrimmed(b, &p), start), nil
		}
		return padAction(appendPred(b, &p), start), nil
	case Move:
		if err := checkMove(a, in); err != nil {
			return nil, err
		}
		b = append(b, 0, actCopyField, 0, 24, 0, a.Src.Bits, 0, a.Src.Ofs, 0, a.Dst.Ofs, 0, 0)
		b = append32(append32(b, a.Src.Field.oxmHeader()), a.Dst.Field.oxmHeader())
		return padAction(b, start), nil
	case PushVLAN:
		if a.EtherType != 0x8100 && a.EtherType != 0x88a8 {
			return nil, fmt.Errorf("push_vlan of %#x: not 0x8100 or 0x88a8", a.EtherType)
		}
		return append(append16(append(b, 0, actPushVLAN, 0, 8), a.EtherType), 0, 0), nil
	case PopVLAN:
		return append(b, 0, actPopVLAN, 0, 8, 0, 0, 0, 0), nil
	case DecTTL:
		return append(b, 0, actDecTTL, 0, 8, 0, 0, 0, 0), nil
	case SetTTL:
		return append(b, 0, actSetTTL, 0, 8, a.TTL, 0, 0, 0), nil
	case SetQueue:
		return append32(append(b, 0, actSetQueue, 0, 8), a.Queue), nil
	case ToGroup:
		return append32(append(b, 0, actGroup, 0, 8), a.Group), nil
	case ToMeter:
		return append32(append(b, 0, actMeter, 0, 8), a.Meter), nil
	case PopQueue:
		return padAction(appendNX(b, nxPopQueue), start), nil
	case CTClear:
		return padAction(appendNX(b, nxCTClear), start), nil
	case Exit:
		return padAction(appendNX(b, nxExit), start), nil
	case Resubmit:
		return appendResubmit(b, a)
	case Conjunction:
		if a.N < 2 || a.N > 64 || a.Clause < 1 || a.Clause > a.N {
			return nil, fmt.Errorf("conjunction(%d,%d/%d): a clause of 2 to 64", a.ID, a.Clause, a.N)
		}
		b = append(appendNX(b, nxConjunction), a.Clause-1, a.N)
		return setLen(append32(b, a.ID), start), nil
	case Note:
		return padAction(append(appendNX(b, nxNote), a.Data...), start), nil
	case CheckPktLarger:
		if !a.Dst.valid() || a.Dst.Bits != 1 || !a.Dst.Field.Writable() {
			return nil, fmt.Errorf("check_pkt_larger to %v: not a writable bit", a.Dst)
		}
		b = append16(append16(appendNX(b, nxCheckPktLarger), a.Len), uint16(a.Dst.Ofs))
		return padAction(append32(b, a.Dst.Field.nxmHeader()), start), nil
	case FinTimeout:
		b = append16(append16(appendNX(b, nxFinTimeout), a.Idle), a.Hard)
		return padAction(b, start), nil
	case Push:
		return appendStack(b, nxPush, a.Src)
	case Pop:
		if !a.Dst.Field.Writable() {
			return nil, fmt.Errorf("pop to %v: not writable", a.Dst)
		}
		return appendStack(b, nxPop, a.Dst)
	case DeleteField:
		if !a.Field.isTunMetadata() || !a.Field.Valid() {
			return nil, fmt.Errorf("delete_field of %v: not tunnel metadata", a.Field)
		}
		b = append32(appendNX(b, nxDeleteField), a.Field.nxmHeader())
		return setLen(append(b, make([]byte, 10)...), start), nil
	case Clone:
		b, err := appendList(append(appendNX(b, nxClone), 0, 0, 0, 0, 0, 0), a.Actions, inList)
		if err != nil {
			return nil, err
		}
		return setLen(b, start), nil
	case CT:
		return appendCT(b, &a)
	case NAT:
		if in != inCT {
			return nil, errors.New("nat outside of ct")
		}
		return appendNAT(b, &a)
	case Learn:
		return appendLearn(b, &a)
	case Unknown:
		if n, err := actionSize(a.Bytes); err != nil || n != len(a.Bytes) {
			return nil, fmt.Errorf("unknown action %s: not one action", hex.EncodeToString(a.Bytes))
		}
		return append(b, a.Bytes...), nil
	case nil:
		return nil, errors.New("action is nil")
	}
	return nil, fmt.Errorf("%T is not allowed here", a)
}

func append16(b []byte, v uint16) []byte { return append(b, byte(v>>8), byte(v)) }
func append32(b []byte, v uint32) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}
func append64(b []byte, v uint64) []byte { return append32(append32(b, uint32(v>>32)), uint32(v)) }

// appendNX appends the header of a Nicira action; setLen or padAction completes it.
func appendNX(b []byte, subtype uint16) []byte {
	return append16(append(b, 0xff, 0xff, 0, 0, 0, 0, 0x23, 0x20), subtype)
}

// setLen writes the length of the action or instruction that begins at start and goes to the end.
func setLen(b []byte, start int) []byte {
	n := len(b) - start
	b[start+2], b[start+3] = byte(n>>8), byte(n)
	return b
}

// padAction pads to a multiple of 8 bytes and writes the length.
func padAction(b []byte, start int) []byte {
	for (len(b)-start)%8 != 0 {
		b = append(b, 0)
	}
	return setLen(b, start)
}

func ofsBits(s Subfield) uint16 { return uint16(s.Ofs)<<6 | uint16(s.Bits-1) }

func appendOutput(b []byte, p Port, maxLen uint16) []byte {
	b = append32(append(b, 0, actOutput, 0, 16), uint32(p))
	return append(append16(b, maxLen), 0, 0, 0, 0, 0, 0)
}

// appendTrimmed appends the TLV of tunnel metadata as Open vSwitch does in set_field, without leading zeros.
func appendTrimmed(b []byte, p *Pred) []byte {
	h, bits := p.Field.nxmHeader(), p.Value.Len()
	masked := p.Mask != Ones(p.Field.Width())
	if masked {
		bits = max(bits, p.Mask.Len())
	}
	n := (bits + 7) / 8
	if !masked {
		return appendValue(append32(b, h&^0xff|uint32(n)), p.Value, n)
	}
	b = appendValue(append32(b, h&^0xff|1<<8|uint32(2*n)), p.Value, n)
	return appendValue(b, p.Mask, n)
}

func checkSetField(a SetField, in nesting) error {
	p := Pred(a)
	if err := p.check(); err != nil {
		return fmt.Errorf("set_field: %w", err)
	}
	f := p.Field
	switch {
	case p.Mask.IsZero():
		return fmt.Errorf("set_field of no bit of %v", f)
	case !f.Writable() || f == InPort:
		return fmt.Errorf("set_field: %v is not writable", f)
	case f == VLANVID && p.Value.Lo&p.Mask.Lo&VLANPresent == 0:
		return errors.New("set_field: vlan_vid without VLANPresent")
	case in != inCT && (f == CTMark || f == CTLabel):
		return fmt.Errorf("set_field: %v is only writable in ct", f)
	}
	return nil
}

func checkMove(a Move, in nesting) error {
	switch {
	case !a.Src.valid() || !a.Dst.valid() || a.Src.Bits != a.Dst.Bits:
		return fmt.Errorf("move:%v->%v: not subfields of equal size", a.Src, a.Dst)
	case !a.Dst.Field.Writable():
		return fmt.Errorf("move: %v is not writable", a.Dst.Field)
	case in != inCT && (a.Dst.Field == CTMark || a.Dst.Field == CTLabel):
		return fmt.Errorf("move: %v is only writable in ct", a.Dst.Field)
	}
	return nil
}

// allowedInCT refuses what Open vSwitch refuses in ct(exec(...)).
func allowedInCT(a Action) error {
	var f Field
	switch a := a.(type) {
	case NAT:
		return nil
	case SetField:
		f = a.Field
	case Move:
		f = a.Dst.Field
	}
	if f != CTMark && f != CTLabel {
		return fmt.Errorf("%T of other than ct_mark and ct_label in ct", a)
	}
	return nil
}

// appendController uses the forms that Open vSwitch uses: an output where that says all, then NXAST_CONTROLLER, then
// NXAST_CONTROLLER2.
func appendController(b []byte, a Controller) ([]byte, error) {
	start := len(b)
	maxLen := a.MaxLen
	switch {
	case a.NoData && maxLen != 0:
		return nil, fmt.Errorf("controller with NoData and MaxLen %d", maxLen)
	case maxLen == 0 && !a.NoData:
		maxLen = 0xffff
	}
	if len(a.Userdata) == 0 && !a.Pause && a.Meter == 0 {
		if a.ID == 0 && a.Reason == ReasonAction {
			return appendOutput(b, PortController, maxLen), nil
		}
		b = append16(append16(appendNX(b, nxController), maxLen), a.ID)
		return setLen(append(b, a.Reason.Wire(), 0), start), nil
	}
	b = append(appendNX(b, nxController2), 0, 0, 0, 0, 0, 0)
	if maxLen != 0xffff {
		b = append(append16(append(b, 0, ctlMaxLen, 0, 8), maxLen), 0, 0)
	}
	if a.ID != 0 {
		b = append(append16(append(b, 0, ctlID, 0, 8), a.ID), 0, 0)
	}
	if a.Reason != ReasonAction {
		b = append(b, 0, ctlReason, 0, 5, a.Reason.Wire(), 0, 0, 0)
	}
	if n := len(a.Userdata); n > 0 {
		if n > maxActions {
			return nil, errTooLong
		}
		b = append(append16(append(b, 0, ctlUserdata), uint16(4+n)), a.Userdata...)
		for (len(b)-start)%8 != 0 {
			b = append(b, 0)
		}
	}
	if a.Pause {
		b = append(b, 0, ctlPause, 0, 4, 0, 0, 0, 0)
	}
	if a.Meter != 0 {
		b = append32(append(b, 0, ctlMeter, 0, 8), a.Meter)
	}
	return setLen(b, start), nil
}

// Properties of NXAST_CONTROLLER2 (NXAC2PT_*).
const (
	ctlMaxLen = iota
	ctlID
	ctlReason
	ctlUserdata
	ctlPause
	ctlMeter
)

func appendResubmit(b []byte, a Resubmit) ([]byte, error) {
	start := len(b)
	if a.Port == 0 {
		a.Port = PortInPort
	}
	if !a.Port.valid() {
		return nil, fmt.Errorf("resubmit to %v: not a port", a.Port)
	}
	if a.Table == 255 && a.Port == PortInPort {
		return nil, errors.New("resubmit to the same table with the same port")
	}
	subtype := uint16(nxResubmitTable)
	if a.CT {
		subtype = nxResubmitCT
	}
	b = append16(appendNX(b, subtype), a.Port.to16())
	return setLen(append(b, a.Table, 0, 0, 0), start), nil
}

func appendStack(b []byte, subtype uint16, s Subfield) ([]byte, error) {
	start := len(b)
	if !s.valid() {
		return nil, fmt.Errorf("push or pop of %v: not a subfield", s)
	}
	b = append16(appendNX(b, subtype), uint16(s.Ofs))
	b = append16(append32(b, s.Field.nxmHeader()), uint16(s.Bits))
	return padAction(b, start), nil
}

package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errShortAction = errors.New("truncated action")

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// List gives the actions and instructions. What was encoded in another way than this package does may read as an action
// that encodes differently.
func (a Actions) List() []Action {
	l, _ := decodeInstructions([]byte(a.wire))
	return l
}

func checkInstructions(b []byte) error {
	_, err := decodeInstructions(b)
	return err
}

func decodeInstructions(b []byte) ([]Action, error) {
	if len(b) > maxActions {
		return nil, errTooLong
	}
	var out []Action
	last := -1
	for len(b) > 0 {
		n, err := actionSize(b)
		if err != nil {
			return nil, fmt.Errorf("instruction: %w", err)
		}
		inst := b[:n]
		b = b[n:]
		typ := int(be16(inst))
		rank, ok := map[int]int{instApply: 0, instClear: 1, instWrite: 2, instWriteMetadata: 3, instGoto: 4}[typ]
		if !ok {
			return nil, fmt.Errorf("unknown instruction type %d", typ)
		}
		if rank <= last {
			return nil, fmt.Errorf("instruction type %d: twice or not in the order of Open vSwitch", typ)
		}
		last = rank
		switch {
		case typ == instApply:
			if out, err = decodeList(inst[8:]); err != nil {
				return nil, err
			}
		case typ == instClear && n == 8:
			out = append(out, ClearActions{})
		case typ == instWrite:
			l, err := decodeList(inst[8:])
			if err != nil {
				return nil, err
			}
			out = append(out, WriteActions{l})
		case typ == instWriteMetadata && n == 24:
			out = append(out, WriteMetadata{be64(inst[8:]), be64(inst[16:])})
		case typ == instGoto && n == 8:
			out = append(out, GotoTable{inst[4]})
		default:
			return nil, fmt.Errorf("instruction type %d of %d bytes", typ, n)
		}
	}
	return out, nil
}

// actionSize gives the size of the first action or instruction of b, a multiple of 8.
func actionSize(b []byte) (int, error) {
	if len(b) < 8 {
		return 0, errShortAction
	}
	n := int(be16(b[2:]))
	if n < 8 || n%8 != 0 || n > len(b) {
		return 0, fmt.Errorf("length %d of an action of type %d, where %d bytes follow", n, be16(b), len(b))
	}
	return n, nil
}

func decodeList(b []byte) ([]Action, error) {
	var out []Action
	for len(b) > 0 {
		n, err := actionSize(b)
		if err != nil {
			return nil, err
		}
		a, err := decodeAction(b[:n])
		if err != nil {
			return nil, err
		}
		out = append(out, a)
		b = b[n:]
	}
	return out, nil
}

func decodeAction(b []byte) (Action, error) {
	typ := be16(b)
	if typ == actVendor {
		return decodeNX(b)
	}
	switch {
	case typ == actOutput && len(b) == 16:
		p := Port(be32(b[4:]))
		if p == PortController {
			return controllerOf(be16(b[8:])), nil
		}
		return Output{p}, nil
	case typ == actSetField:
		p, n, err := decodeSetField(b[4:])
		if err != nil {
			return nil, fmt.Errorf("set_field: %w", err)
		}
		if !zero(b[4+n:]) {
			return nil, errors.New("set_field: garbage after the value")
		}
		if p.Value.AndNot(p.Mask) != (Value{}) {
			return unknown(b)
		}
		return SetField(p), nil
	case typ == actCopyField && len(b) == 24:
		src, err := subfieldFromHeader(be32(b[12:]), be16(b[6:]), be16(b[4:]))
		if err != nil {
			return nil, fmt.Errorf("copy_field: %w", err)
		}
		dst, err := subfieldFromHeader(be32(b[16:]), be16(b[8:]), be16(b[4:]))
		if err != nil {
			return nil, fmt.Errorf("copy_field: %w", err)
		}
		return Move{src, dst}, nil
	case len(b) != 8:
		return unknown(b)
	case typ == actPushVLAN:
		return PushVLAN{be16(b[4:])}, nil
	case typ == actPopVLAN:
		return PopVLAN{}, nil
	case typ == actDecTTL:
		return DecTTL{}, nil
	case typ == actSetTTL:
		return SetTTL{b[4]}, nil
	case typ == actSetQueue:
		return SetQueue{be32(b[4:])}, nil
	case typ == actGroup:
		return ToGroup{be32(b[4:])}, nil
	case typ == actMeter:
		return ToMeter{be32(b[4:])}, nil
	}
	return unknown(b)
}

// decodeSetField reads a TLV as decodePred does. Tunnel metadata comes without its leading zeros, so the size of its field
// is only what the value needs.
func decodeSetField(b []byte) (Pred, int, error) {
	if len(b) < 4 {
		return Pred{}, 0, errShortTLV
	}
	h := be32(b)
	f := byHeader[h>>9]
	if !f.isTunMetadata() {
		return decodePred(b)
	}
	n := int(h & 0xff)
	size := n
	if h&0x100 != 0 {
		size = n / 2
	}
	if len(b) < 4+n || size > 16 || h&0x100 != 0 && n%2 != 0 {
		return Pred{}, 0, errShortTLV
	}
	p := Pred{Field: f | Field(max(size, 1))<<8, Value: readValue(b[4 : 4+size])}
	p.Mask = Ones(p.Field.Width())
	if h&0x100 != 0 {
		p.Mask = readValue(b[4+size : 4+n])
		if p.Mask == Ones(8*size) && size < 16 {
			p.Field += 1 << 8 // the field is wider than its mask
		}
	}
	return p, 4 + n, nil
}

// decodeNX reads an action of Nicira.
func decodeNX(b []byte) (Action, error) {
	if len(b) < 16 || be32(b[4:]) != vendorNicira {
		return unknown(b)
	}
	switch sub := be16(b[8:]); {
	case sub == nxNote:
		return Note{append([]byte(nil), b[10:]...)}, nil
	case sub == nxController2:
		return decodeController2(b)
	case sub == nxClone:
		l, err := decodeList(b[16:])
		if err != nil {
			return nil, fmt.Errorf("clone: %w", err)
		}
		return Clone{l}, nil
	case sub == nxCT:
		return decodeCT(b)
	case sub == nxNAT:
		return decodeNAT(b)
	case sub == nxLearn:
		return decodeLearn(b, false)
	case sub == nxLearn2:
		return decodeLearn(b, true)
	case len(b) == 24:
		return decodeNX24(sub, b)
	case len(b) != 16:
		return unknown(b)
	case sub == nxResubmitTable, sub == nxResubmitCT:
		p := portFrom16(be16(b[10:]))
		if p == PortInPort {
			p = 0
		}
		return Resubmit{p, b[12], sub == nxResubmitCT}, nil
	case sub == nxConjunction:
		return Conjunction{be32(b[12:]), b[10] + 1, b[11]}, nil
	case sub == nxController:
		c := controllerOf(be16(b[10:]))
		c.ID, c.Reason = be16(b[12:]), ReasonFromWire(b[14])
		return c, nil
	case sub == nxOutputTrunc:
		return OutputTrunc{portFrom16(be16(b[10:])), be32(b[12:])}, nil
	case sub == nxFinTimeout:
		return FinTimeout{be16(b[10:]), be16(b[12:])}, nil
	case sub == nxPopQueue:
		return PopQueue{}, nil
	case sub == nxCTClear:
		return CTClear{}, nil
	case sub == nxExit:
		return Exit{}, nil
	}
	return unknown(b)
}

// decodeNX24 reads an action of Nicira of 24 bytes.
func decodeNX24(sub uint16, b []byte) (Action, error) {
	switch sub {
	case nxOutputReg:
		s, err := subfieldFromOfsBits(be32(b[12:]), be16(b[10:]))
		if err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
		return OutputReg{s}, nil
	case nxCheckPktLarger:
		s, err := subfieldFromHeader(be32(b[14:]), be16(b[12:]), 1)
		if err != nil {
			return nil, fmt.Errorf("check_pkt_larger: %w", err)
		}
		return CheckPktLarger{be16(b[10:]), s}, nil
	case nxPush, nxPop:
		s, err := subfieldFromHeader(be32(b[12:]), be16(b[10:]), be16(b[16:]))
		if err != nil {
			return nil, fmt.Errorf("push or pop: %w", err)
		}
		if sub == nxPush {
			return Push{s}, nil
		}
		return Pop{s}, nil
	case nxDeleteField:
		h := be32(b[10:])
		f, ok := fieldByHeader(h, int(h&0xff))
		if !ok || !f.isTunMetadata() {
			return nil, fmt.Errorf("delete_field: unknown field %#x", h)
		}
		return DeleteField{f}, nil
	}
	return unknown(b)
}

func controllerOf(maxLen uint16) Controller {
	switch maxLen {
	case 0:
		return Controller{NoData: true}
	case 0xffff:
		return Controller{}
	}
	return Controller{MaxLen: maxLen}
}

func decodeController2(b []byte) (Action, error) {
	var c Controller
	for p := b[16:]; len(p) > 0; {
		if len(p) < 4 {
			return nil, errShortAction
		}
		typ, n := be16(p), int(be16(p[2:]))
		if n < 4 || n > len(p) {
			return nil, errors.New("controller: bad length of a property")
		}
		v := p[4:n]
		p = p[min((n+7)&^7, len(p)):]
		switch {
		case typ == ctlMaxLen && len(v) == 4:
			m := controllerOf(be16(v))
			c.MaxLen, c.NoData = m.MaxLen, m.NoData
		case typ == ctlID && len(v) == 4:
			c.ID = be16(v)
		case typ == ctlReason && len(v) == 1:
			c.Reason = ReasonFromWire(v[0])
		case typ == ctlUserdata:
			c.Userdata = append([]byte(nil), v...)
		case typ == ctlPause && len(v) == 0:
			c.Pause = true
		case typ == ctlMeter && len(v) == 4:
			c.Meter = be32(v)
		default:
			return unknown(b)
		}
	}
	return c, nil
}

// subfieldFromHeader makes the subfield of a field without mask.
func subfieldFromHeader(h uint32, ofs, bits uint16) (Subfield, error) {
	f, ok := fieldByHeader(h, int(h&0xff))
	if !ok || h&0x100 != 0 {
		return Subfield{}, fmt.Errorf("unknown field: class %#x, number %d, %d bytes", h>>16, h>>9&0x7f, h&0xff)
	}
	if bits < 1 || int(ofs)+int(bits) > f.subWidth() {
		return Subfield{}, fmt.Errorf("%v has no %d bits from %d", f, bits, ofs)
	}
	return Subfield{f, uint8(ofs), uint8(bits)}, nil
}

func subfieldFromOfsBits(h uint32, ofsBits uint16) (Subfield, error) {
	return subfieldFromHeader(h, ofsBits>>6, ofsBits&0x3f+1)
}

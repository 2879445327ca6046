package flow

import (
	"errors"
	"fmt"
)

// Flags of NXAST_LEARN and the header bits of its specs.
const (
	learnSendFlowRem   = 1 << 0
	learnDeleteLearned = 1 << 1
	learnWriteResult   = 1 << 2

	learnImmediate = 1 << 13
	learnBits      = 0x3ff
)

// bits is the number of bits that a spec copies.
func (s *LearnSpec) bits() int {
	if s.Op == LearnOutput {
		return int(s.Src.Bits)
	}
	return int(s.Dst.Bits)
}

func (s *LearnSpec) check() error {
	imm := s.Src == Subfield{}
	switch {
	case s.Op > LearnOutput:
		return fmt.Errorf("learn: operation %d", s.Op)
	case s.Op == LearnOutput && (s.Dst != Subfield{} || imm):
		return errors.New("learn: output takes a source and nothing else")
	case !imm && !s.Src.valid(), s.Op != LearnOutput && !s.Dst.valid():
		return fmt.Errorf("learn: %v or %v is not a subfield", s.Src, s.Dst)
	case s.Op != LearnOutput && !imm && s.Src.Bits != s.Dst.Bits:
		return fmt.Errorf("learn: %v and %v differ in size", s.Src, s.Dst)
	case s.Op == LearnLoad && !s.Dst.Field.Writable():
		return fmt.Errorf("learn: %v is not writable", s.Dst.Field)
	case imm && s.Value.Len() > s.bits(), !imm && !s.Value.IsZero():
		return fmt.Errorf("learn: value %v does not fit %v", s.Value, s.Dst)
	}
	return nil
}

func appendLearn(b []byte, a *Learn) ([]byte, error) {
	start := len(b)
	result := a.ResultDst != Subfield{}
	if result && (!a.ResultDst.valid() || a.ResultDst.Bits != 1 || !a.ResultDst.Field.Writable()) {
		return nil, fmt.Errorf("learn: result to %v: not a writable bit", a.ResultDst)
	}
	if a.Table == 255 {
		return nil, errors.New("learn: table 255")
	}
	var flags uint16
	if a.SendFlowRem {
		flags |= learnSendFlowRem
	}
	if a.DeleteLearned {
		flags |= learnDeleteLearned
	}
	if result {
		flags |= learnWriteResult
	}
	subtype := uint16(nxLearn)
	if result || a.Limit != 0 {
		subtype = nxLearn2
	}
	b = append16(append16(append16(appendNX(b, subtype), a.IdleTimeout), a.HardTimeout), a.Priority)
	b = append(append16(append64(b, a.Cookie), flags), a.Table, 0)
	b = append16(append16(b, a.FinIdleTimeout), a.FinHardTimeout)
	if subtype == nxLearn2 {
		b = append(append16(append32(b, a.Limit), uint16(a.ResultDst.Ofs)), 0, 0)
		if result {
			b = append32(b, a.ResultDst.Field.nxmHeader())
		}
	}
	for i := range a.Specs {
		s := &a.Specs[i]
		if err := s.check(); err != nil {
			return nil, err
		}
		head := uint16(s.bits()) | uint16(s.Op)<<11
		if s.Src == (Subfield{}) {
			b = append16(b, head|learnImmediate)
			b = appendValue(b, s.Value, (s.bits()+15)/16*2)
		} else {
			b = append16(append32(append16(b, head), s.Src.Field.nxmHeader()), uint16(s.Src.Ofs))
		}
		if s.Op != LearnOutput {
			b = append16(append32(b, s.Dst.Field.nxmHeader()), uint16(s.Dst.Ofs))
		}
	}
	return padAction(b, start), nil
}

func decodeLearn(b []byte, v2 bool) (Action, error) {
	if len(b) < 32 || v2 && len(b) < 40 {
		return nil, errShortAction
	}
	flags := be16(b[24:])
	a := Learn{
		IdleTimeout: be16(b[10:]), HardTimeout: be16(b[12:]), Priority: be16(b[14:]),
		Cookie: be64(b[16:]), Table: b[26],
		FinIdleTimeout: be16(b[28:]), FinHardTimeout: be16(b[30:]),
		SendFlowRem: flags&learnSendFlowRem != 0, DeleteLearned: flags&learnDeleteLearned != 0,
	}
	rest := b[32:]
	known := uint16(learnSendFlowRem | learnDeleteLearned)
	if v2 {
		known |= learnWriteResult
		a.Limit = be32(b[32:])
		ofs := be16(b[36:])
		rest = b[40:]
		if flags&learnWriteResult != 0 {
			if len(rest) < 4 {
				return nil, errShortAction
			}
			s, err := subfieldFromHeader(be32(rest), ofs, 1)
			if err != nil {
				return nil, fmt.Errorf("learn: result: %w", err)
			}
			a.ResultDst, rest = s, rest[4:]
		}
	}
	if flags&^known != 0 {
		return unknown(b)
	}
	for len(rest) >= 2 {
		head := be16(rest)
		if head == 0 {
			break
		}
		s, n, err := decodeLearnSpec(head, rest[2:])
		if err != nil {
			return nil, fmt.Errorf("learn: %w", err)
		}
		a.Specs = append(a.Specs, s)
		rest = rest[2+n:]
	}
	if !zero(rest) {
		return nil, errors.New("learn: garbage after the specs")
	}
	return a, nil
}

func decodeLearnSpec(head uint16, b []byte) (LearnSpec, int, error) {
	s := LearnSpec{Op: LearnOp(head >> 11 & 3)}
	bits := head & learnBits
	n := 0
	take := func(size int) ([]byte, bool) {
		if len(b)-n < size {
			return nil, false
		}
		n += size
		return b[n-size : n], true
	}
	if head&^(learnBits|learnImmediate|3<<11) != 0 || bits == 0 || bits > 128 || s.Op > LearnOutput {
		return s, 0, fmt.Errorf("unknown spec %#x", head)
	}
	if head&learnImmediate != 0 {
		v, ok := take(int(bits+15) / 16 * 2)
		if !ok || s.Op == LearnOutput {
			return s, 0, errShortAction
		}
		s.Value = readValue(v)
	} else {
		v, ok := take(6)
		if !ok {
			return s, 0, errShortAction
		}
		var err error
		if s.Src, err = subfieldFromHeader(be32(v), be16(v[4:]), bits); err != nil {
			return s, 0, err
		}
	}
	if s.Op != LearnOutput {
		v, ok := take(6)
		if !ok {
			return s, 0, errShortAction
		}
		var err error
		if s.Dst, err = subfieldFromHeader(be32(v), be16(v[4:]), bits); err != nil {
			return s, 0, err
		}
	}
	return s, n, s.check()
}

package ofp

import (
	"math"
	"time"
)

// Stats are the statistics of a flow, or the sum over flows (OXS fields, OpenFlow 1.5, section 7.2.5). What the switch did
// not tell is NoCount, or a negative duration.
type Stats struct {
	Duration time.Duration // age; whole nanoseconds
	Idle     time.Duration // time since the last packet; whole seconds
	Packets  uint64
	Bytes    uint64
	Flows    uint64 // in an AggregateReply
}

// NoCount is a count that the switch did not tell.
const NoCount = math.MaxUint64

// OXS fields of the class OFPXSC_OPENFLOW_BASIC.
const (
	oxsClass    = 0x8002
	oxsDuration = 0
	oxsIdle     = 1
	oxsFlows    = 3
	oxsPackets  = 4
	oxsBytes    = 5
)

func (s *Stats) appendTo(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	field := func(n, size byte, v uint64) {
		b = append(b, oxsClass>>8, oxsClass&0xff, n<<1, size)
		if size == 8 {
			b = append64(b, v)
		} else {
			b = append32(b, uint32(v))
		}
	}
	if s.Duration >= 0 {
		field(oxsDuration, 8, uint64(s.Duration/time.Second)<<32|uint64(s.Duration%time.Second))
	}
	if s.Idle >= 0 {
		field(oxsIdle, 8, uint64(s.Idle/time.Second)<<32)
	}
	if s.Packets != NoCount {
		field(oxsPackets, 8, s.Packets)
	}
	if s.Bytes != NoCount {
		field(oxsBytes, 8, s.Bytes)
	}
	if s.Flows != NoCount {
		field(oxsFlows, 4, s.Flows)
	}
	setLen16(b, start+2, start)
	return appendZeros(b, pad8(len(b)-start))
}

// stats reads the fields; those of other classes and numbers are skipped.
func (r *reader) stats() Stats {
	s := Stats{Duration: -1, Idle: -1, Packets: NoCount, Bytes: NoCount, Flows: NoCount}
	r.skip(2)
	n := int(r.u16())
	if n < 4 {
		r.fail("statistics of length %d", n)
		return s
	}
	f := r.sub(n - 4)
	r.skip(pad8(n))
	for len(f.b) > 0 && f.err == nil {
		class, num, size := f.u16(), f.u8()>>1, int(f.u8())
		v := f.sub(size)
		if class == oxsClass {
			s.set(num, &v)
		}
	}
	r.join(f)
	return s
}

func (s *Stats) set(num uint8, v *reader) {
	switch n := len(v.b); {
	case num == oxsDuration && n == 8:
		s.Duration = seconds(v.u32()) + time.Duration(min(v.u32(), 999999999))
	case num == oxsIdle && n == 8:
		s.Idle = seconds(v.u32())
	case num == oxsPackets && n == 8:
		s.Packets = v.u64()
	case num == oxsBytes && n == 8:
		s.Bytes = v.u64()
	case num == oxsFlows && n == 4:
		s.Flows = uint64(v.u32())
	}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

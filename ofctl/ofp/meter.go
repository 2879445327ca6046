package ofp

import (
	"time"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// MeterCommand is what a MeterMod does (OFPMC_*).
type MeterCommand uint16

// Commands of MeterMod.
const (
	MeterAdd MeterCommand = iota
	MeterModify
	MeterDelete
)

// MeterAll stands for all meters in MeterDelete and in requests (OFPM_ALL).
const MeterAll = 0xffffffff

// MeterMod changes the meter table (OpenFlow 1.5, section 7.3.4.5). It cannot be in a bundle.
type MeterMod struct {
	Command MeterCommand
	Meter   flow.Meter
}

// Flags of meters (OFPMF_*) and the band type drop.
const (
	meterKbps  = 1 << 0
	meterPktps = 1 << 1
	meterBurst = 1 << 2
	meterStats = 1 << 3

	bandDrop = 1
	bandSize = 16
)

func (*MeterMod) typ() uint8 { return typeMeterMod }

func (m *MeterMod) appendTo(b []byte) ([]byte, error) {
	flags := meterFlags(&m.Meter)
	if m.Command == MeterDelete {
		flags = 0
	}
	b = append32(append16(append16(b, uint16(m.Command)), flags), m.Meter.ID)
	return appendBands(b, m.Meter.Bands), nil
}

func decodeMeterMod(r *reader) Message {
	m := &MeterMod{Command: MeterCommand(r.u16())}
	flags := r.u16()
	m.Meter.ID = r.u32()
	r.meter(&m.Meter, flags, m.Command == MeterDelete)
	return m
}

func meterFlags(m *flow.Meter) uint16 {
	flags := uint16(meterKbps)
	if m.Unit == flow.Pktps {
		flags = meterPktps
	}
	if m.Burst {
		flags |= meterBurst
	}
	if m.Stats {
		flags |= meterStats
	}
	return flags
}

func appendBands(b []byte, bands []flow.Band) []byte {
	for _, d := range bands {
		b = append16(append16(b, bandDrop), bandSize)
		b = append32(append32(append32(b, d.Rate), d.Burst), 0)
	}
	return b
}

// meter reads the bands to the end. anyFlags is for deletes, which have none.
func (r *reader) meter(m *flow.Meter, flags uint16, anyFlags bool) {
	switch {
	case anyFlags:
	case flags&^(meterKbps|meterPktps|meterBurst|meterStats) != 0,
		flags&(meterKbps|meterPktps) == meterKbps|meterPktps:
		r.fail("meter %d: flags %#x", m.ID, flags)
	case flags&meterPktps != 0:
		m.Unit = flow.Pktps
	}
	m.Burst, m.Stats = flags&meterBurst != 0 && !anyFlags, flags&meterStats != 0 && !anyFlags
	for len(r.b) > 0 && r.err == nil {
		typ, n := r.u16(), r.u16()
		if r.err == nil && (typ != bandDrop || n != bandSize) {
			r.fail("meter %d: band of type %d, length %d", m.ID, typ, n)
		}
		d := flow.Band{Rate: r.u32(), Burst: r.u32()}
		if !m.Burst { // Open vSwitch does not look at it
			d.Burst = 0
		}
		m.Bands = append(m.Bands, d)
		r.skip(4)
	}
}

// MeterRequest asks for a MeterDescReply, or with Stats for a MeterStatsReply. Meter is MeterAll for all meters.
type MeterRequest struct {
	Stats bool
	Meter uint32
}

func (*MeterRequest) typ() uint8 { return typeMultipartRequest }

func (m *MeterRequest) appendTo(b []byte) ([]byte, error) {
	typ := uint16(mpMeterDesc)
	if m.Stats {
		typ = mpMeterStats
	}
	return append32(append32(appendMultipart(b, typ, false), m.Meter), 0), nil
}

// MeterDescReply is one part of the list of meters.
type MeterDescReply struct {
	More   bool
	Meters []flow.Meter
}

func (*MeterDescReply) typ() uint8 { return typeMultipartReply }

func (m *MeterDescReply) appendTo(b []byte) ([]byte, error) {
	b = appendMultipart(b, mpMeterDesc, m.More)
	for i := range m.Meters {
		start := len(b)
		b = append32(append16(append16(b, 0), meterFlags(&m.Meters[i])), m.Meters[i].ID)
		b = appendBands(b, m.Meters[i].Bands)
		setLen16(b, start, start)
	}
	return b, nil
}

func decodeMeterDescReply(r *reader, more bool) Message {
	m := &MeterDescReply{More: more}
	for len(r.b) > 0 && r.err == nil {
		n := int(r.u16())
		if n < 8 {
			r.fail("meter of length %d", n)
			break
		}
		v := r.sub(n - 2)
		flags := v.u16()
		t := flow.Meter{ID: v.u32()}
		v.meter(&t, flags, false)
		r.join(v)
		m.Meters = append(m.Meters, t)
	}
	return m
}

// MeterStatsReply is one part of the statistics of meters.
type MeterStatsReply struct {
	More   bool
	Meters []MeterStats
}

// MeterStats are the statistics of a meter.
type MeterStats struct {
	Meter    uint32
	RefCount uint32 // flows that use it
	Packets  uint64
	Bytes    uint64
	Duration time.Duration
	Bands    []Counter // what was above each band
}

func (*MeterStatsReply) typ() uint8 { return typeMultipartReply }

func (m *MeterStatsReply) appendTo(b []byte) ([]byte, error) {
	b = appendMultipart(b, mpMeterStats, m.More)
	for i := range m.Meters {
		t := &m.Meters[i]
		start := len(b)
		b = append32(appendZeros(append32(b, t.Meter), 8), t.RefCount)
		b = appendDuration(append64(append64(b, t.Packets), t.Bytes), t.Duration)
		b = appendCounters(b, t.Bands)
		setLen16(b, start+4, start)
	}
	return b, nil
}

func decodeMeterStatsReply(r *reader, more bool) Message {
	m := &MeterStatsReply{More: more}
	for len(r.b) > 0 && r.err == nil {
		t := MeterStats{Meter: r.u32()}
		n := int(r.u16())
		if n < 40 {
			r.fail("meter statistics of length %d", n)
			break
		}
		v := r.sub(n - 6)
		v.skip(6)
		t.RefCount, t.Packets, t.Bytes, t.Duration = v.u32(), v.u64(), v.u64(), v.duration()
		t.Bands = v.counters()
		r.join(v)
		m.Meters = append(m.Meters, t)
	}
	return m
}

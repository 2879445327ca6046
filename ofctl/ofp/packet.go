package ofp

import "github.com/openvnet/openvnet/ofctl/flow"

// PacketOut sends a packet through actions (OpenFlow 1.5, section 7.3.6).
type PacketOut struct {
	InPort  flow.Port    // of the packet: a port, flow.PortLocal, or flow.PortController
	Actions flow.Actions // actions only; Output to flow.PortTable starts at table 0
	Data    []byte       // the packet, from the Ethernet header
	// Metadata sets further fields of the packet, such as registers and TunID; all of each field. The in_port goes into
	// InPort.
	Metadata flow.Match
}

func (*PacketOut) typ() uint8 { return typePacketOut }

func (m *PacketOut) appendTo(b []byte) ([]byte, error) {
	list, err := m.Actions.EncodedList()
	if err != nil {
		return nil, err
	}
	match, err := m.Metadata.And(flow.InPort.Is(uint64(m.InPort)))
	if err != nil {
		return nil, err
	}
	b = append16(append16(append32(b, noBuffer), uint16(len(list))), 0)
	b = append(appendMatch(b, match), list...)
	return append(b, m.Data...), nil
}

func decodePacketOut(r *reader) Message {
	m := &PacketOut{}
	if id := r.u32(); id != noBuffer && r.err == nil {
		r.fail("buffer %#x: buffers are not supported", id)
	}
	n := int(r.u16())
	r.skip(2)
	match := r.match()
	if v, mask := match.Get(flow.InPort); !mask.IsZero() {
		m.InPort = flow.Port(v.Lo)
	} else {
		r.fail("no in_port")
	}
	var preds []flow.Pred
	for p := range match.Preds() {
		if p.Field != flow.InPort {
			preds = append(preds, p)
		}
	}
	m.Metadata, _ = flow.NewMatch(preds...)
	m.Actions = r.actions(n)
	m.Data = r.rest()
	return m
}

// PacketIn is a packet that the switch sends to the controller: OFPT_PACKET_IN, or NXT_PACKET_IN2 after
// SetPacketInFormat.
type PacketIn struct {
	Standard bool // OFPT_PACKET_IN: no Userdata, no Continuation
	Reason   flow.Reason
	Table    uint8
	Cookie   uint64     // of the flow; all ones if no flow matched
	Metadata flow.Match // in_port, tunnel, registers, connection: all of each field
	Data     []byte     // the packet, from the Ethernet header; less than Length if it was cut
	Length   uint32     // of the whole packet
	Userdata []byte     // of the Controller action
	// Continuation is the state of a packet that a Controller action with Pause holds; give the PacketIn to Resume to
	// let it go on.
	Continuation []byte
}

// InPort gives the port where the packet came in; 0 if the switch did not tell.
func (m *PacketIn) InPort() flow.Port {
	v, _ := m.Metadata.Get(flow.InPort)
	return flow.Port(v.Lo)
}

// Properties of NXT_PACKET_IN2 (NXPINT_*).
const (
	pinPacket = iota
	pinFullLen
	pinBufferID
	pinTable
	pinCookie
	pinReason
	pinMetadata
	pinUserdata
	pinContinuation
)

func (m *PacketIn) typ() uint8 {
	if m.Standard {
		return typePacketIn
	}
	return typeExperimenter
}

func (m *PacketIn) appendTo(b []byte) ([]byte, error) {
	if !m.Standard {
		return m.appendProperties(appendNicira(b, nxtPacketIn2))
	}
	b = append16(append32(b, noBuffer), uint16(min(m.Length, MaxSize)))
	b = append64(append(b, m.Reason.Wire(), m.Table), m.Cookie)
	return append(append(appendMatch(b, m.Metadata), 0, 0), m.Data...), nil
}

func (m *PacketIn) appendProperties(b []byte) ([]byte, error) {
	if len(m.Data)+len(m.Userdata)+len(m.Continuation) > MaxSize-1024 {
		return nil, ErrTooLong
	}
	b = appendProperty(b, pinPacket, m.Data)
	if int(m.Length) != len(m.Data) {
		b = appendProperty(b, pinFullLen, append32(nil, m.Length))
	}
	b = appendProperty(b, pinTable, []byte{m.Table})
	if m.Cookie != ^uint64(0) {
		b = appendProperty(b, pinCookie, append64([]byte{0, 0, 0, 0}, m.Cookie))
	}
	b = appendProperty(b, pinReason, []byte{m.Reason.Wire()})
	b = appendProperty(b, pinMetadata, []byte(m.Metadata.Encoded()))
	if len(m.Userdata) > 0 {
		b = appendProperty(b, pinUserdata, m.Userdata)
	}
	if len(m.Continuation) > 0 {
		b = appendProperty(b, pinContinuation, m.Continuation)
	}
	return b, nil
}

func decodePacketIn(r *reader) Message {
	m := &PacketIn{Standard: true}
	if id := r.u32(); id != noBuffer && r.err == nil {
		r.fail("buffer %#x: buffers are not supported", id)
	}
	m.Length = uint32(r.u16())
	m.Reason, m.Table, m.Cookie = flow.ReasonFromWire(r.u8()), r.u8(), r.u64()
	m.Metadata = r.metadata()
	r.skip(2)
	m.Data = r.rest()
	return m
}

func decodePacketIn2(r *reader) *PacketIn {
	m := &PacketIn{Cookie: ^uint64(0)}
	full := uint32(0)
	for len(r.b) > 0 && r.err == nil {
		typ, v := r.property()
		switch typ {
		case pinPacket:
			m.Data = v.rest()
		case pinFullLen:
			full = v.u32()
		case pinTable:
			m.Table = v.u8()
		case pinCookie:
			v.skip(4)
			m.Cookie = v.u64()
		case pinReason:
			m.Reason = flow.ReasonFromWire(v.u8())
		case pinMetadata:
			var err error
			if m.Metadata, err = flow.DecodeMetadata(v.take(len(v.b))); err != nil {
				v.fail("%w", err)
			}
		case pinUserdata:
			m.Userdata = v.rest()
		case pinContinuation:
			m.Continuation = v.rest()
		default:
			v.fail("unknown property %d", typ)
		}
		r.join(v)
	}
	m.Length = uint32(len(m.Data))
	if full > m.Length {
		m.Length = full
	}
	return m
}

package ofp

// Subtypes of Nicira's messages (NXT_*).
const (
	nxtSetPacketInFormat = 16
	nxtSetControllerID   = 20
	nxtTLVTableMod       = 24
	nxtTLVTableRequest   = 25
	nxtTLVTableReply     = 26
	nxtResume            = 28
	nxtCTFlushZone       = 29
	nxtPacketIn2         = 30
)

func appendNicira(b []byte, subtype uint32) []byte {
	return append32(append32(b, vendorNicira), subtype)
}

// Experimenter is an experimenter message that this package does not know.
type Experimenter struct {
	Experimenter uint32
	Type         uint32
	Body         []byte
}

func (*Experimenter) typ() uint8 { return typeExperimenter }

func (m *Experimenter) appendTo(b []byte) ([]byte, error) {
	return append(append32(append32(b, m.Experimenter), m.Type), m.Body...), nil
}

func decodeExperimenter(r *reader) Message {
	vendor, subtype := r.u32(), r.u32()
	if vendor == vendorNicira {
		switch subtype {
		case nxtSetPacketInFormat:
			return &SetPacketInFormat{r.u32()}
		case nxtSetControllerID:
			r.skip(6)
			return &SetControllerID{r.u16()}
		case nxtTLVTableMod:
			m := &TLVTableMod{Command: TLVCommand(r.u16())}
			r.skip(6)
			m.Maps = r.tlvMaps()
			return m
		case nxtTLVTableRequest:
			return &TLVTableRequest{}
		case nxtTLVTableReply:
			m := &TLVTableReply{MaxSpace: r.u32(), MaxFields: r.u16()}
			r.skip(10)
			m.Maps = r.tlvMaps()
			return m
		case nxtResume:
			return &Resume{*decodePacketIn2(r)}
		case nxtCTFlushZone:
			r.skip(6)
			return &CTFlushZone{r.u16()}
		case nxtPacketIn2:
			return decodePacketIn2(r)
		}
	}
	return &Experimenter{vendor, subtype, r.rest()}
}

// Formats of packet-ins for SetPacketInFormat (NXPIF_*).
const (
	PacketInStandard = 0
	PacketInNicira2  = 2
)

// SetPacketInFormat chooses how packet-ins of this connection are sent (NXT_SET_PACKET_IN_FORMAT).
type SetPacketInFormat struct{ Format uint32 }

func (*SetPacketInFormat) typ() uint8 { return typeExperimenter }

func (m *SetPacketInFormat) appendTo(b []byte) ([]byte, error) {
	return append32(appendNicira(b, nxtSetPacketInFormat), m.Format), nil
}

// SetControllerID sets the id of this connection, which Controller actions name (NXT_SET_CONTROLLER_ID).
type SetControllerID struct{ ID uint16 }

func (*SetControllerID) typ() uint8 { return typeExperimenter }

func (m *SetControllerID) appendTo(b []byte) ([]byte, error) {
	return append16(appendZeros(appendNicira(b, nxtSetControllerID), 6), m.ID), nil
}

// Resume lets a packet go on that a Controller action with Pause holds (NXT_RESUME). Metadata and Data of the PacketIn
// may be changed before.
type Resume struct{ PacketIn PacketIn }

func (*Resume) typ() uint8 { return typeExperimenter }

func (m *Resume) appendTo(b []byte) ([]byte, error) {
	return m.PacketIn.appendProperties(appendNicira(b, nxtResume))
}

// CTFlushZone forgets all connections of a zone (NXT_CT_FLUSH_ZONE).
type CTFlushZone struct{ Zone uint16 }

func (*CTFlushZone) typ() uint8 { return typeExperimenter }

func (m *CTFlushZone) appendTo(b []byte) ([]byte, error) {
	return append16(appendZeros(appendNicira(b, nxtCTFlushZone), 6), m.Zone), nil
}

// TLVCommand is what a TLVTableMod does (NXTTMC_*).
type TLVCommand uint16

// Commands of TLVTableMod.
const (
	TLVAdd TLVCommand = iota
	TLVDelete
	TLVClear
)

// TLVMap gives a Geneve option to a field flow.TunMetadata(Index, Len).
type TLVMap struct {
	Class uint16
	Type  uint8
	Len   uint8 // bytes, a multiple of 4
	Index uint16
}

// TLVTableMod changes the table of Geneve options of the bridge (NXT_TLV_TABLE_MOD).
type TLVTableMod struct {
	Command TLVCommand
	Maps    []TLVMap
}

// TLVTableRequest asks for a TLVTableReply.
type TLVTableRequest struct{}

// TLVTableReply is the table of Geneve options.
type TLVTableReply struct {
	MaxSpace  uint32 // bytes of options
	MaxFields uint16
	Maps      []TLVMap
}

func (*TLVTableMod) typ() uint8     { return typeExperimenter }
func (*TLVTableRequest) typ() uint8 { return typeExperimenter }
func (*TLVTableReply) typ() uint8   { return typeExperimenter }

func (m *TLVTableMod) appendTo(b []byte) ([]byte, error) {
	b = append16(appendNicira(b, nxtTLVTableMod), uint16(m.Command))
	return appendTLVMaps(appendZeros(b, 6), m.Maps), nil
}

func (*TLVTableRequest) appendTo(b []byte) ([]byte, error) {
	return appendNicira(b, nxtTLVTableRequest), nil
}

func (m *TLVTableReply) appendTo(b []byte) ([]byte, error) {
	b = append16(append32(appendNicira(b, nxtTLVTableReply), m.MaxSpace), m.MaxFields)
	return appendTLVMaps(appendZeros(b, 10), m.Maps), nil
}

func appendTLVMaps(b []byte, maps []TLVMap) []byte {
	for _, m := range maps {
		b = append(append16(b, m.Class), m.Type, m.Len)
		b = append16(append16(b, m.Index), 0)
	}
	return b
}

func (r *reader) tlvMaps() []TLVMap {
	var maps []TLVMap
	for len(r.b) > 0 && r.err == nil {
		maps = append(maps, TLVMap{r.u16(), r.u8(), r.u8(), r.u16()})
		r.skip(2)
	}
	return maps
}

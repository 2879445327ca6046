package ofp

// Hello opens a session; it says which versions the sender speaks (OpenFlow 1.5, section 7.5.1).
type Hello struct {
	// Versions is the bitmap of versions: bit n is wire version n. A peer that sends no bitmap speaks all up to the
	// version of its header.
	Versions uint32
}

// VersionBit is the bit of Version in Hello.Versions.
const VersionBit = 1 << Version

func (*Hello) typ() uint8 { return typeHello }

func (m *Hello) appendTo(b []byte) ([]byte, error) {
	return append32(append16(append16(b, 1), 8), m.Versions), nil // OFPHET_VERSIONBITMAP
}

func decodeHello(h Header, r *reader) Message {
	m := &Hello{Versions: 1<<(min(h.Version, 30)+1) - 2}
	if len(r.b) > 0 && len(r.b) < 4 || h.Version == 0 {
		r.fail("garbage")
	}
	for len(r.b) > 0 && r.err == nil {
		typ, v := r.property()
		if typ != 1 { // elements of other types must be ignored
			continue
		}
		if len(v.b) < 4 {
			r.fail("version bitmap of %d bytes", len(v.b))
			break
		}
		m.Versions = v.u32() // later words are for versions from 32
	}
	return m
}

// EchoRequest asks for an EchoReply with the same data.
type EchoRequest struct{ Data []byte }

// EchoReply answers an EchoRequest.
type EchoReply struct{ Data []byte }

func (*EchoRequest) typ() uint8                          { return typeEchoRequest }
func (m *EchoRequest) appendTo(b []byte) ([]byte, error) { return append(b, m.Data...), nil }
func (*EchoReply) typ() uint8                            { return typeEchoReply }
func (m *EchoReply) appendTo(b []byte) ([]byte, error)   { return append(b, m.Data...), nil }

// BarrierRequest asks the switch to finish all messages before it.
type BarrierRequest struct{}

// BarrierReply says that all messages before the request are done, and that all their errors were sent.
type BarrierReply struct{}

func (*BarrierRequest) typ() uint8                        { return typeBarrierRequest }
func (*BarrierRequest) appendTo(b []byte) ([]byte, error) { return b, nil }
func (*BarrierReply) typ() uint8                          { return typeBarrierReply }
func (*BarrierReply) appendTo(b []byte) ([]byte, error)   { return b, nil }

// FeaturesRequest asks for a FeaturesReply.
type FeaturesRequest struct{}

// FeaturesReply describes the switch (OpenFlow 1.5, section 7.3.1).
type FeaturesReply struct {
	DatapathID   uint64
	Buffers      uint32
	Tables       uint8
	AuxiliaryID  uint8
	Capabilities uint32 // OFPC_*
}

func (*FeaturesRequest) typ() uint8                        { return typeFeaturesRequest }
func (*FeaturesRequest) appendTo(b []byte) ([]byte, error) { return b, nil }
func (*FeaturesReply) typ() uint8                          { return typeFeaturesReply }

func (m *FeaturesReply) appendTo(b []byte) ([]byte, error) {
	b = append(append32(append64(b, m.DatapathID), m.Buffers), m.Tables, m.AuxiliaryID, 0, 0)
	return append32(append32(b, m.Capabilities), 0), nil
}

func decodeFeatures(r *reader) Message {
	m := &FeaturesReply{DatapathID: r.u64(), Buffers: r.u32(), Tables: r.u8(), AuxiliaryID: r.u8()}
	r.skip(2)
	m.Capabilities = r.u32()
	r.skip(4)
	return m
}

// GetConfigRequest asks for a GetConfigReply.
type GetConfigRequest struct{}

// GetConfigReply is the configuration of the switch.
type GetConfigReply struct {
	Flags       uint16
	MissSendLen uint16 // bytes of packets that no flow matches
}

// SetConfig sets the configuration of the switch.
type SetConfig struct {
	Flags       uint16
	MissSendLen uint16
}

func (*GetConfigRequest) typ() uint8                        { return typeGetConfigRequest }
func (*GetConfigRequest) appendTo(b []byte) ([]byte, error) { return b, nil }
func (*GetConfigReply) typ() uint8                          { return typeGetConfigReply }
func (m *GetConfigReply) appendTo(b []byte) ([]byte, error) {
	return append16(append16(b, m.Flags), m.MissSendLen), nil
}
func (*SetConfig) typ() uint8 { return typeSetConfig }
func (m *SetConfig) appendTo(b []byte) ([]byte, error) {
	return append16(append16(b, m.Flags), m.MissSendLen), nil
}

// ControllerRole is a controller's role (OpenFlow 1.5, section 7.3.9).
type ControllerRole struct {
	Role       uint32 // RoleNoChange ...
	ID         uint32 // short id of the controller
	Generation uint64
}

// Roles.
const (
	RoleNoChange = iota
	RoleEqual
	RolePrimary
	RoleSecondary
)

// RoleRequest asks for a role.
type RoleRequest struct{ ControllerRole }

// RoleReply tells the role.
type RoleReply struct{ ControllerRole }

func (*RoleRequest) typ() uint8 { return typeRoleRequest }
func (*RoleReply) typ() uint8   { return typeRoleReply }

func (m *ControllerRole) appendTo(b []byte) ([]byte, error) {
	return append64(append32(append32(b, m.Role), m.ID), m.Generation), nil
}

func decodeRole(r *reader) ControllerRole { return ControllerRole{r.u32(), r.u32(), r.u64()} }

// SetAsync chooses which messages the switch sends unasked; each mask has a bit per reason (OpenFlow 1.5, section
// 7.3.10). The masks are for the roles equal and primary; a secondary gets nothing.
type SetAsync struct {
	PacketIn    uint32 // bits of OFPR_* (flow.Reason.Wire)
	PortStatus  uint32 // bits of PortReason
	FlowRemoved uint32 // bits of RemovedReason
}

// Properties of the asynchronous configuration for equal and primary roles (OFPACPT_*).
const (
	asyncPacketIn    = 1
	asyncPortStatus  = 3
	asyncFlowRemoved = 5
)

func (*SetAsync) typ() uint8 { return typeSetAsync }

func (m *SetAsync) appendTo(b []byte) ([]byte, error) {
	b = appendProperty(b, asyncPacketIn, append32(nil, m.PacketIn))
	b = appendProperty(b, asyncPortStatus, append32(nil, m.PortStatus))
	return appendProperty(b, asyncFlowRemoved, append32(nil, m.FlowRemoved)), nil
}

func decodeSetAsync(r *reader) Message {
	m := &SetAsync{}
	for len(r.b) > 0 && r.err == nil {
		typ, v := r.property()
		mask := v.u32()
		r.join(v)
		switch typ {
		case asyncPacketIn:
			m.PacketIn = mask
		case asyncPortStatus:
			m.PortStatus = mask
		case asyncFlowRemoved:
			m.FlowRemoved = mask
		}
	}
	return m
}

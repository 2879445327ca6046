package ofp

import "github.com/openvnet/openvnet/ofctl/flow"

// Port is a port of the switch (OpenFlow 1.5, section 7.2.1).
type Port struct {
	No        flow.Port
	HWAddr    [6]byte
	Name      string // up to 15 bytes
	Config    uint32 // PortDown ...
	State     uint32 // LinkDown ...
	Features  PortFeatures
	CurrSpeed uint32 // kb/s
	MaxSpeed  uint32 // kb/s
}

// PortFeatures are bitmaps of speeds and media (OFPPF_*).
type PortFeatures struct{ Current, Advertised, Supported, Peer uint32 }

// Bits of Port.Config (OFPPC_*).
const (
	PortDown       = 1 << 0
	PortNoRecv     = 1 << 2
	PortNoFwd      = 1 << 5
	PortNoPacketIn = 1 << 6
)

// Bits of Port.State (OFPPS_*).
const (
	LinkDown    = 1 << 0
	PortBlocked = 1 << 1
	PortLive    = 1 << 2
)

const (
	portSize         = 40
	portNameSize     = 16
	portPropEthernet = 0
)

func (p *Port) appendTo(b []byte) []byte {
	start := len(b)
	b = append(append32(b, uint32(p.No)), 0, 0, 0, 0)
	b = append(append(b, p.HWAddr[:]...), 0, 0)
	b = append32(append32(appendText(b, p.Name, portNameSize), p.Config), p.State)
	v := []byte{0, 0, 0, 0}
	for _, n := range [...]uint32{p.Features.Current, p.Features.Advertised, p.Features.Supported, p.Features.Peer,
		p.CurrSpeed, p.MaxSpeed} {
		v = append32(v, n)
	}
	b = appendProperty(b, portPropEthernet, v)
	setLen16(b, start+4, start)
	return b
}

// port reads a port; properties other than that of Ethernet are skipped.
func (r *reader) port() Port {
	p := Port{No: decodePortNo(r)}
	n := int(r.u16())
	if n < portSize {
		r.fail("port of length %d", n)
		return p
	}
	v := r.sub(n - 6)
	v.skip(2)
	p.HWAddr = v.mac()
	v.skip(2)
	p.Name = v.text(portNameSize)
	p.Config, p.State = v.u32(), v.u32()
	for len(v.b) > 0 && v.err == nil {
		typ, e := v.property()
		if typ != portPropEthernet {
			continue
		}
		e.skip(4)
		p.Features = PortFeatures{e.u32(), e.u32(), e.u32(), e.u32()}
		p.CurrSpeed, p.MaxSpeed = e.u32(), e.u32()
		v.join(e)
	}
	r.join(v)
	return p
}

func decodePortNo(r *reader) flow.Port { return flow.Port(r.u32()) }

// PortReason says what happened to a port (OFPPR_*).
type PortReason uint8

// Reasons of PortStatus.
const (
	PortAdd PortReason = iota
	PortDelete
	PortModify
)

// PortStatus tells that a port came, went or changed.
type PortStatus struct {
	Reason PortReason
	Port   Port
}

func (*PortStatus) typ() uint8 { return typePortStatus }

func (m *PortStatus) appendTo(b []byte) ([]byte, error) {
	return m.Port.appendTo(append(b, byte(m.Reason), 0, 0, 0, 0, 0, 0, 0)), nil
}

func decodePortStatus(r *reader) Message {
	m := &PortStatus{Reason: PortReason(r.u8())}
	r.skip(7)
	m.Port = r.port()
	return m
}

// PortMod changes the configuration of a port.
type PortMod struct {
	No     flow.Port
	HWAddr [6]byte // must be that of the port
	Config uint32
	Mask   uint32 // bits of Config to change
}

func (*PortMod) typ() uint8 { return typePortMod }

func (m *PortMod) appendTo(b []byte) ([]byte, error) {
	b = append(append32(append32(b, uint32(m.No)), 0), m.HWAddr[:]...)
	return append32(append32(append16(b, 0), m.Config), m.Mask), nil
}

func decodePortMod(r *reader) Message {
	m := &PortMod{No: decodePortNo(r)}
	r.skip(4)
	m.HWAddr = r.mac()
	r.skip(2)
	m.Config, m.Mask = r.u32(), r.u32()
	for len(r.b) > 0 && r.err == nil {
		r.property()
	}
	return m
}

// PortDescRequest asks for a PortDescReply. No is flow.PortAny for all ports.
type PortDescRequest struct{ No flow.Port }

func (*PortDescRequest) typ() uint8 { return typeMultipartRequest }

func (m *PortDescRequest) appendTo(b []byte) ([]byte, error) {
	return append32(append32(appendMultipart(b, mpPortDesc, false), uint32(m.No)), 0), nil
}

// PortDescReply is one part of the list of ports.
type PortDescReply struct {
	More  bool
	Ports []Port
}

func (*PortDescReply) typ() uint8 { return typeMultipartReply }

func (m *PortDescReply) appendTo(b []byte) ([]byte, error) {
	b = appendMultipart(b, mpPortDesc, m.More)
	for i := range m.Ports {
		b = m.Ports[i].appendTo(b)
	}
	return b, nil
}

func decodePortDescReply(r *reader, more bool) Message {
	m := &PortDescReply{More: more}
	for len(r.b) > 0 && r.err == nil {
		m.Ports = append(m.Ports, r.port())
	}
	return m
}

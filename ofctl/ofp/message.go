// Package ofp turns OpenFlow messages into bytes and back: OpenFlow 1.5 (wire version 0x06) with the Nicira extensions
// that Open vSwitch 3.1 speaks and ofctl/conn needs. It holds no state and does no I/O; flows, groups and meters are the
// values of ofctl/flow. Structures and numbers are those of the OpenFlow 1.5.1 specification and of Open vSwitch's
// nicira-ext.h. It is imported by ofctl/conn, by what handles packet-ins, and by the in-memory switch.
package ofp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is the wire version of OpenFlow 1.5.
const Version = 0x06

// HeaderSize is the size of the header of every message.
const HeaderSize = 8

// MaxSize is the size of the longest message.
const MaxSize = 0xffff

// Header begins every message (OpenFlow 1.5, section 7.1.1).
type Header struct {
	Version uint8
	Type    uint8
	Length  uint16 // of the message with its header
	XID     uint32
}

// Message is one OpenFlow message: a pointer to one of the struct types of this package.
type Message interface {
	typ() uint8 // OFPT_*
	// appendTo appends what follows the header.
	appendTo(b []byte) ([]byte, error)
}

// Types of messages (OFPT_*).
const (
	typeHello            = 0
	typeError            = 1
	typeEchoRequest      = 2
	typeEchoReply        = 3
	typeExperimenter     = 4
	typeFeaturesRequest  = 5
	typeFeaturesReply    = 6
	typeGetConfigRequest = 7
	typeGetConfigReply   = 8
	typeSetConfig        = 9
	typePacketIn         = 10
	typeFlowRemoved      = 11
	typePortStatus       = 12
	typePacketOut        = 13
	typeFlowMod          = 14
	typeGroupMod         = 15
	typePortMod          = 16
	typeMultipartRequest = 18
	typeMultipartReply   = 19
	typeBarrierRequest   = 20
	typeBarrierReply     = 21
	typeRoleRequest      = 24
	typeRoleReply        = 25
	typeSetAsync         = 28
	typeMeterMod         = 29
	typeBundleControl    = 33
	typeBundleAdd        = 34
)

// Unknown is a message that this package does not know, as it was on the wire without its header.
type Unknown struct {
	Type uint8
	Body []byte
}

func (m *Unknown) typ() uint8                        { return m.Type }
func (m *Unknown) appendTo(b []byte) ([]byte, error) { return append(b, m.Body...), nil }

// ErrTooLong says that a message would be longer than 65,535 bytes.
var ErrTooLong = errors.New("message is longer than 65535 bytes")

// Append appends the message m with the transaction id xid to b. b is unchanged on error.
func Append(b []byte, xid uint32, m Message) ([]byte, error) {
	start := len(b)
	out := append(b, Version, m.typ(), 0, 0)
	out = binary.BigEndian.AppendUint32(out, xid)
	var err error
	if add, ok := m.(*BundleAdd); ok {
		out, err = add.appendWith(out, xid)
	} else {
		out, err = m.appendTo(out)
	}
	if err != nil {
		return b, fmt.Errorf("encode %s: %w", Name(m), err)
	}
	n := len(out) - start
	if n > MaxSize {
		return b, fmt.Errorf("encode %s: %w", Name(m), ErrTooLong)
	}
	binary.BigEndian.PutUint16(out[start+2:], uint16(n))
	return out, nil
}

// ParseHeader reads the header at the beginning of b. It is an error if there are less than 8 bytes or the length is less
// than 8.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("OpenFlow header of %d bytes", len(b))
	}
	h := Header{b[0], b[1], binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])}
	if h.Length < HeaderSize {
		return Header{}, fmt.Errorf("OpenFlow message of length %d", h.Length)
	}
	return h, nil
}

// Decode reads one whole message: b begins with a header and has the length that it says. The message does not refer to
// b. Decode gives either a message or an error, and never panics.
func Decode(b []byte) (Header, Message, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return Header{}, nil, err
	}
	if int(h.Length) != len(b) {
		return Header{}, nil, fmt.Errorf("OpenFlow message of length %d in %d bytes", h.Length, len(b))
	}
	// Hello and error may come in other versions, before the version is agreed.
	if h.Version != Version && h.Type != typeHello && h.Type != typeError {
		return Header{}, nil, fmt.Errorf("OpenFlow version %#x, not %#x", h.Version, Version)
	}
	r := &reader{b: b[HeaderSize:]}
	m := decodeBody(h, r)
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err != nil {
		return Header{}, nil, fmt.Errorf("decode %s: %w", typeName(h.Type), r.err)
	}
	return h, m, nil
}

func decodeBody(h Header, r *reader) Message {
	switch h.Type {
	case typeHello:
		return decodeHello(h, r)
	case typeError:
		return decodeError(r)
	case typeEchoRequest:
		return &EchoRequest{r.rest()}
	case typeEchoReply:
		return &EchoReply{r.rest()}
	case typeExperimenter:
		return decodeExperimenter(r)
	case typeFeaturesRequest:
		return &FeaturesRequest{}
	case typeFeaturesReply:
		return decodeFeatures(r)
	case typeGetConfigRequest:
		return &GetConfigRequest{}
	case typeGetConfigReply:
		return &GetConfigReply{r.u16(), r.u16()}
	case typeSetConfig:
		return &SetConfig{r.u16(), r.u16()}
	case typePacketIn:
		return decodePacketIn(r)
	case typeFlowRemoved:
		return decodeFlowRemoved(r)
	case typePortStatus:
		return decodePortStatus(r)
	case typePacketOut:
		return decodePacketOut(r)
	case typeFlowMod:
		return decodeFlowMod(r)
	case typeGroupMod:
		return decodeGroupMod(r)
	case typePortMod:
		return decodePortMod(r)
	case typeMultipartRequest:
		return decodeMultipartRequest(r)
	case typeMultipartReply:
		return decodeMultipartReply(r)
	case typeBarrierRequest:
		return &BarrierRequest{}
	case typeBarrierReply:
		return &BarrierReply{}
	case typeRoleRequest:
		return &RoleRequest{decodeRole(r)}
	case typeRoleReply:
		return &RoleReply{decodeRole(r)}
	case typeSetAsync:
		return decodeSetAsync(r)
	case typeMeterMod:
		return decodeMeterMod(r)
	case typeBundleControl:
		return decodeBundleControl(r)
	case typeBundleAdd:
		return decodeBundleAdd(h.XID, r)
	}
	return &Unknown{h.Type, r.rest()}
}

// Name gives a short name of the kind of a message for errors and logs, such as "flow-mod".
func Name(m Message) string {
	switch m := m.(type) {
	case nil:
		return "nothing"
	case *BundleAdd:
		return "bundle-add of " + Name(m.Message)
	}
	return typeName(m.typ())
}

var typeNames = map[uint8]string{
	typeHello: "hello", typeError: "error", typeEchoRequest: "echo-request", typeEchoReply: "echo-reply",
	typeExperimenter: "experimenter", typeFeaturesRequest: "features-request", typeFeaturesReply: "features-reply",
	typeGetConfigRequest: "get-config-request", typeGetConfigReply: "get-config-reply", typeSetConfig: "set-config",
	typePacketIn: "packet-in", typeFlowRemoved: "flow-removed", typePortStatus: "port-status",
	typePacketOut: "packet-out", typeFlowMod: "flow-mod", typeGroupMod: "group-mod", typePortMod: "port-mod",
	typeMultipartRequest: "multipart-request", typeMultipartReply: "multipart-reply",
	typeBarrierRequest: "barrier-request", typeBarrierReply: "barrier-reply", typeRoleRequest: "role-request",
	typeRoleReply: "role-reply", typeSetAsync: "set-async", typeMeterMod: "meter-mod",
	typeBundleControl: "bundle-control", typeBundleAdd: "bundle-add",
}

func typeName(t uint8) string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("message of type %d", t)
}

package ofp

import "errors"

// BundleFlags say how a bundle is applied (OFPBF_*).
type BundleFlags uint16

// Flags of bundles.
const (
	BundleAtomic  BundleFlags = 1 << 0 // all or nothing
	BundleOrdered BundleFlags = 1 << 1 // in the order of the messages
)

// BundleControlType is a step in the life of a bundle (OFPBCT_*).
type BundleControlType uint16

// Steps of bundles.
const (
	BundleOpenRequest BundleControlType = iota
	BundleOpenReply
	BundleCloseRequest
	BundleCloseReply
	BundleCommitRequest
	BundleCommitReply
	BundleDiscardRequest
	BundleDiscardReply
)

// BundleControl opens, closes, commits or discards a bundle (OpenFlow 1.5, section 7.3.12).
type BundleControl struct {
	ID    uint32
	Type  BundleControlType
	Flags BundleFlags
}

func (*BundleControl) typ() uint8 { return typeBundleControl }

func (m *BundleControl) appendTo(b []byte) ([]byte, error) {
	return append16(append16(append32(b, m.ID), uint16(m.Type)), uint16(m.Flags)), nil
}

func decodeBundleControl(r *reader) Message {
	m := &BundleControl{ID: r.u32(), Type: BundleControlType(r.u16()), Flags: BundleFlags(r.u16())}
	for len(r.b) > 0 && r.err == nil {
		r.property()
	}
	return m
}

// BundleAdd adds a message to a bundle: a *FlowMod, *GroupMod, *PortMod or *PacketOut. The message inside has the xid of
// the BundleAdd.
type BundleAdd struct {
	ID      uint32
	Flags   BundleFlags
	Message Message
}

func (*BundleAdd) typ() uint8 { return typeBundleAdd }

func (m *BundleAdd) appendTo(b []byte) ([]byte, error) { return m.appendWith(b, 0) }

func (m *BundleAdd) appendWith(b []byte, xid uint32) ([]byte, error) {
	if _, nested := m.Message.(*BundleAdd); nested || m.Message == nil {
		return nil, errors.New("no message to add")
	}
	return Append(append16(append16(append32(b, m.ID), 0), uint16(m.Flags)), xid, m.Message)
}

func decodeBundleAdd(xid uint32, r *reader) Message {
	m := &BundleAdd{ID: r.u32()}
	r.skip(2)
	m.Flags = BundleFlags(r.u16())
	if len(r.b) < HeaderSize {
		r.fail("no message inside")
		return m
	}
	h, err := ParseHeader(r.b)
	if err == nil && h.Type == typeBundleAdd {
		err = errors.New("a bundle-add inside")
	}
	if err == nil && h.XID != xid {
		err = errors.New("the message inside has another xid")
	}
	if err != nil {
		r.fail("%w", err)
		return m
	}
	inner := r.take(int(h.Length))
	if r.err != nil {
		return m
	}
	if _, m.Message, err = Decode(inner); err != nil {
		r.fail("%w", err)
		return m
	}
	if len(r.b) > 0 { // properties
		r.skip(min(pad8(len(inner)), len(r.b)))
		for len(r.b) > 0 && r.err == nil {
			r.property()
		}
	}
	return m
}

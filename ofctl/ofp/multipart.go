package ofp

// Types of multipart messages (OFPMP_*).
const (
	mpDesc        = 0
	mpFlowDesc    = 1
	mpAggregate   = 2
	mpGroupStats  = 6
	mpGroupDesc   = 7
	mpMeterStats  = 9
	mpMeterDesc   = 10
	mpPortDesc    = 13
	mpFlagMore    = 1 // OFPMPF_REQ_MORE, OFPMPF_REPLY_MORE
	mpHeaderBytes = 8
)

// appendMultipart appends the header of a multipart message.
func appendMultipart(b []byte, typ uint16, more bool) []byte {
	flags := uint16(0)
	if more {
		flags = mpFlagMore
	}
	return append32(append16(append16(b, typ), flags), 0)
}

// UnknownMultipart is a multipart request or reply of a type that this package does not know.
type UnknownMultipart struct {
	Reply bool
	Type  uint16
	More  bool
	Body  []byte
}

func (m *UnknownMultipart) typ() uint8 {
	if m.Reply {
		return typeMultipartReply
	}
	return typeMultipartRequest
}

func (m *UnknownMultipart) appendTo(b []byte) ([]byte, error) {
	return append(appendMultipart(b, m.Type, m.More), m.Body...), nil
}

// MultipartReply is implemented by the replies that may come in several parts.
type MultipartReply interface {
	Message
	// HasMore reports whether further parts follow.
	HasMore() bool
}

// HasMore reports whether further parts follow.
func (m *UnknownMultipart) HasMore() bool { return m.More }

// HasMore reports whether further parts follow.
func (m *FlowStatsReply) HasMore() bool { return m.More }

// HasMore reports whether further parts follow.
func (m *GroupDescReply) HasMore() bool { return m.More }

// HasMore reports whether further parts follow.
func (m *GroupStatsReply) HasMore() bool { return m.More }

// HasMore reports whether further parts follow.
func (m *MeterDescReply) HasMore() bool { return m.More }

// HasMore reports whether further parts follow.
func (m *MeterStatsReply) HasMore() bool { return m.More }

// HasMore reports whether further parts follow.
func (m *PortDescReply) HasMore() bool { return m.More }

func multipartHeader(r *reader) (typ uint16, more bool) {
	typ, more = r.u16(), r.u16()&mpFlagMore != 0
	r.skip(4)
	return typ, more
}

func decodeMultipartRequest(r *reader) Message {
	typ, more := multipartHeader(r)
	if more {
		return &UnknownMultipart{Type: typ, More: true, Body: r.rest()}
	}
	switch typ {
	case mpDesc:
		return &DescRequest{}
	case mpFlowDesc, mpAggregate:
		return decodeFlowStatsRequest(r, typ == mpAggregate)
	case mpGroupStats, mpGroupDesc:
		m := &GroupRequest{Stats: typ == mpGroupStats, Group: r.u32()}
		r.skip(4)
		return m
	case mpMeterStats, mpMeterDesc:
		m := &MeterRequest{Stats: typ == mpMeterStats, Meter: r.u32()}
		r.skip(4)
		return m
	case mpPortDesc:
		m := &PortDescRequest{decodePortNo(r)}
		r.skip(4)
		return m
	}
	return &UnknownMultipart{Type: typ, Body: r.rest()}
}

func decodeMultipartReply(r *reader) Message {
	typ, more := multipartHeader(r)
	switch {
	case typ == mpFlowDesc:
		return decodeFlowStatsReply(r, more)
	case typ == mpGroupDesc:
		return decodeGroupDescReply(r, more)
	case typ == mpGroupStats:
		return decodeGroupStatsReply(r, more)
	case typ == mpMeterDesc:
		return decodeMeterDescReply(r, more)
	case typ == mpMeterStats:
		return decodeMeterStatsReply(r, more)
	case typ == mpPortDesc:
		return decodePortDescReply(r, more)
	case typ == mpDesc && !more:
		return decodeDesc(r)
	case typ == mpAggregate && !more:
		return &AggregateReply{r.stats()}
	}
	return &UnknownMultipart{Reply: true, Type: typ, More: more, Body: r.rest()}
}

// DescRequest asks for a DescReply.
type DescRequest struct{}

// DescReply describes the switch in words.
type DescReply struct{ Manufacturer, Hardware, Software, Serial, Datapath string }

func (*DescRequest) typ() uint8                        { return typeMultipartRequest }
func (*DescRequest) appendTo(b []byte) ([]byte, error) { return appendMultipart(b, mpDesc, false), nil }
func (*DescReply) typ() uint8                          { return typeMultipartReply }

func (m *DescReply) appendTo(b []byte) ([]byte, error) {
	b = appendMultipart(b, mpDesc, false)
	b = appendText(appendText(appendText(b, m.Manufacturer, 256), m.Hardware, 256), m.Software, 256)
	return appendText(appendText(b, m.Serial, 32), m.Datapath, 256), nil
}

func decodeDesc(r *reader) Message {
	return &DescReply{r.text(256), r.text(256), r.text(256), r.text(32), r.text(256)}
}

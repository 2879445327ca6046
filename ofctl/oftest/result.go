package oftest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// Packet is a packet that comes in.
type Packet struct {
	InPort flow.Port
	Frame  []byte // from the Ethernet header, without frame check sequence
	Tunnel Tunnel // if it came from a tunnel port
}

// Tunnel is the outside of a packet in a tunnel.
type Tunnel struct {
	ID       uint64
	Src, Dst netip.Addr
	Flags    uint8 // as flow.TunFlags
}

// Result is what became of a packet. The frames in it may share memory: do not write to them.
type Result struct {
	Outputs   []Output
	PacketIns []PacketIn
	// Conntrack has what conntrack did, in order of time. Where a packet takes several ways with recirculations of
	// their own, ofproto/trace asks for their states in the order of Depth.
	Conntrack []CTLookup
	// Errors are those of the translation: each costs the outputs of its pass.
	Errors []string
	// Hits is how many flows were hit.
	Hits int
	// LastTable and LastCookie are of the lookup that was made last: where the packet was dropped, if it was. The
	// cookie is all ones if no flow matched there.
	LastTable  uint8
	LastCookie uint64
	// Held tells that a fragment waits in conntrack for the others.
	Held bool

	tracing bool
	names   flow.Names
	trace   []traced
}

// Output is a frame that is sent.
type Output struct {
	Port   flow.Port
	Frame  []byte
	Tunnel Tunnel // if the port is a tunnel
}

// PacketIn is a packet for the controller.
type PacketIn struct {
	Reason       flow.Reason
	Table        uint8
	Cookie       uint64
	ControllerID uint16
	Meter        uint32
	Userdata     []byte
	Data         []byte // the frame, at most max_len bytes of it
	Length       int    // of the whole frame

	key    key
	maxLen uint16
	noData bool
}

// Field gives a field of the packet as the tables saw it when it was sent to the controller, such as a register.
func (p *PacketIn) Field(f flow.Field) flow.Value {
	if !placeOf(f).known() {
		return flow.Value{}
	}
	return p.key.get(f)
}

// metadataFields are those that Open vSwitch puts into packet-ins if they are not zero.
var metadataFields = func() []flow.Field {
	fs := []flow.Field{
		flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunFlags, flow.TunGBPID, flow.TunGBPFlag,
		flow.Metadata, flow.PktMark,
	}
	for i := range 16 {
		fs = append(fs, flow.Reg(i))
	}
	return append(fs, flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel)
}()

// Metadata gives in_port, tunnel, registers and connection as a packet-in carries them (ofp.PacketIn).
func (p *PacketIn) Metadata() flow.Match {
	preds := []flow.Pred{flow.InPort.Is(uint64(p.key.inPort()))}
	for _, f := range metadataFields {
		if v := p.key.get(f); !v.IsZero() {
			preds = append(preds, f.IsValue(v.And(flow.Ones(f.Width()))))
		}
	}
	if tracked := p.key[wCTTuple] >> 32 & 0xff; tracked != 0 && p.key.isIP() {
		preds = append(preds, flow.EthType.Is(uint64(p.key.ethType())), flow.CTNwProto.Is(tracked))
		src, dst := flow.CTNwSrc, flow.CTNwDst
		if p.key.ethType() == etherIPv6 {
			src, dst = flow.CTIPv6Src, flow.CTIPv6Dst
		}
		for _, f := range []flow.Field{src, dst, flow.CTTpSrc, flow.CTTpDst} {
			preds = append(preds, f.IsValue(p.key.get(f)))
		}
	}
	m, err := flow.NewMatch(preds...)
	if err != nil { // a packet whose connection's tuple cannot be told
		m, _ = flow.NewMatch(preds[0])
	}
	return m
}

// traced is one lookup.
type traced struct {
	indent int
	table  uint8
	rule   *rule
}

func (r *Result) hit(t *translator, u *rule, table uint8) {
	r.LastTable, r.LastCookie = table, ^uint64(0)
	if u != nil {
		r.Hits++
		r.LastCookie = u.Cookie
	}
	if r.tracing {
		r.trace = append(r.trace, traced{t.indent, table, u})
	}
}

// Lookup is one lookup in a table.
type Lookup struct {
	Table uint8
	Flow  flow.Flow // that was hit
	Hit   bool
}

// Lookups gives the lookups in their order. Options.Trace must be set.
func (r *Result) Lookups() []Lookup {
	out := make([]Lookup, 0, len(r.trace))
	for _, h := range r.trace {
		l := Lookup{Table: h.table, Hit: h.rule != nil}
		if l.Hit {
			l.Flow = h.rule.Flow
		}
		out = append(out, l)
	}
	return out
}

// Trace gives one line for each lookup, with the flow that was hit. Options.Trace must be set.
func (r *Result) Trace() string {
	var b strings.Builder
	for _, h := range r.trace {
		b.WriteString(strings.Repeat("  ", h.indent))
		if h.rule == nil {
			name, ok := r.names.Table(h.table)
			if !ok {
				name = fmt.Sprint(h.table)
			}
			fmt.Fprintf(&b, "table=%s: no match\n", name)
			continue
		}
		b.WriteString(flow.Format(h.rule.Flow, r.names))
		b.WriteByte('\n')
	}
	for _, c := range r.Conntrack {
		fmt.Fprintln(&b, c)
	}
	for _, e := range r.Errors {
		fmt.Fprintln(&b, "error:", e)
	}
	for _, o := range r.Outputs {
		fmt.Fprintf(&b, "output to %v: %d bytes\n", o.Port, len(o.Frame))
	}
	return b.String()
}

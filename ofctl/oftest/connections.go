package oftest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// CTLookup is what conntrack did with a packet.
type CTLookup struct {
	Zone             uint16
	Commit           bool
	Recirc           bool // the packet went on with the state: ofproto/trace takes a --ct-next for it
	Depth            int  // recirculations before
	Src, Dst         netip.Addr
	Proto            uint8
	SrcPort, DstPort uint16 // ICMP: identifier
	State            uint8  // bits flow.CTNew ...
}

// String gives a line for traces.
func (c CTLookup) String() string {
	return fmt.Sprintf("ct zone=%d proto=%d %v:%d > %v:%d: %s", c.Zone, c.Proto, c.Src, c.SrcPort, c.Dst, c.DstPort, StateText(c.State))
}

// StateText gives a connection state as ofproto/trace --ct-next takes it, such as "est,rpl,trk".
func StateText(state uint8) string {
	var b []byte
	for i, name := range [...]string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"} {
		if state&(1<<i) != 0 {
			b = append(append(b, name...), ',')
		}
	}
	return string(b[:max(0, len(b)-1)])
}

// Connection is an entry of the connection table.
type Connection struct {
	Zone             uint16
	Proto            uint8
	Src, Dst         netip.Addr // original direction
	SrcPort, DstPort uint16     // ICMP: identifier
	// What a reply has: without translation the same the other way round.
	ReplySrc, ReplyDst         netip.Addr
	ReplySrcPort, ReplyDstPort uint16
	Mark                       uint32
	Label                      flow.Value
}

// Connections gives the connection table, by zone and original tuple.
func (s *Switch) Connections() []Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Connection
	for _, h := range s.ct.halves {
		if h.reply {
			continue
		}
		k, r := &h.conn.key, &h.conn.rev
		out = append(out, Connection{
			Zone: k.zone, Proto: k.proto, Src: addrOf(k.src, k.v6), Dst: addrOf(k.dst, k.v6), SrcPort: k.sport, DstPort: k.dport,
			ReplySrc: addrOf(r.src, r.v6), ReplyDst: addrOf(r.dst, r.v6), ReplySrcPort: r.sport, ReplyDstPort: r.dport,
			Mark: h.conn.mark, Label: h.conn.label,
		})
	}
	slices.SortFunc(out, func(a, b Connection) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Proto, b.Proto), a.Src.Compare(b.Src), a.Dst.Compare(b.Dst),
			cmp.Compare(a.SrcPort, b.SrcPort), cmp.Compare(a.DstPort, b.DstPort))
	})
	return out
}

// SetZoneLimit bounds the connections of a zone; negative: no bound.
func (s *Switch) SetZoneLimit(zone uint16, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most < 0 {
		delete(s.ct.limits, zone)
		return
	}
	s.ct.limits[zone] = most
}

// Flush forgets the connections of a zone.
func (s *Switch) Flush(zone uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush(zone)
}

func (s *Switch) flush(zone uint16) {
	for _, h := range s.ct.halves {
		if h.conn.key.zone == zone && !h.reply {
			s.ct.remove(h.conn)
		}
	}
}

// FlushAll forgets all connections.
func (s *Switch) FlushAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.ct.halves)
	clear(s.ct.zones)
	s.ct.count = 0
}

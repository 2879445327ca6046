// Package flowtest makes random flows that Open vSwitch 3.1 accepts and dumps as they were sent. It is for tests only.
package flowtest

import (
	"net/netip"
	"strconv"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// Source is where the randomness comes from: a *rand.Rand of math/rand/v2, or a rapid.T behind an adapter.
type Source interface {
	IntN(n int) int
	Uint64() uint64
}

// Limits of what the generator refers to: groups 1 to Groups and meters 1 to Meters must exist in the switch.
const (
	Groups = 4
	Meters = 3
)

// Gen makes flows from a Source.
type Gen struct {
	Source
	// profile of the flow that is being made
	ethType uint64
	proto   uint64
	vlan    bool
	tracked bool
}

// Flow makes a flow. Two flows may have the same key.
func (g *Gen) Flow() flow.Flow {
	f := flow.Flow{
		Table: uint8(g.IntN(250)), Priority: uint16(g.Uint64()), Match: g.match(),
	}
	if g.one(2) {
		f.Cookie = g.Uint64()
	}
	if g.one(8) {
		f.Priority = flow.DefaultPriority
	}
	if g.one(4) {
		f.IdleTimeout = uint16(1000 + g.IntN(60000))
	}
	if g.one(4) {
		f.HardTimeout = uint16(1000 + g.IntN(60000))
	}
	if g.one(8) {
		f.Importance = uint16(g.Uint64())
	}
	for _, flag := range []flow.Flags{flow.SendFlowRem, flow.NoPacketCounts, flow.NoByteCounts} {
		if g.one(6) {
			f.Flags |= flag
		}
	}
	f.Actions = flow.MustActions(g.actions(f.Table)...)
	return f
}

// Match makes a match.
func (g *Gen) Match() flow.Match { return g.match() }

// Actions makes actions that go with the last match, for a flow in the table.
func (g *Gen) Actions(table uint8) flow.Actions { return flow.MustActions(g.actions(table)...) }

// one is true once in n times.
func (g *Gen) one(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *Gen, from ...T) T { return from[g.IntN(len(from))] }

func (g *Gen) bits(n int) flow.Value {
	return flow.Value{Hi: g.Uint64(), Lo: g.Uint64()}.And(flow.Ones(n))
}

// pred makes a predicate on a field, masked or not.
func (g *Gen) pred(f flow.Field) flow.Pred {
	w := f.Width()
	p := f.IsValue(g.bits(w))
	if !f.Maskable() || !g.one(3) {
		return p
	}
	mask := g.bits(w)
	if w == 128 { // ovs-ofctl takes an IPv6 mask that begins with a digit for a prefix length
		mask = mask.Or(flow.Value{Hi: 0xf << 60})
	}
	if g.one(2) {
		n := g.IntN(w) + 1
		mask = flow.Ones(n).Shl(w - n)
	}
	if mask.IsZero() {
		return p
	}
	return f.MaskedValue(p.Value, mask)
}

func (g *Gen) some(preds []flow.Pred, n int, fields ...flow.Field) []flow.Pred {
	for _, f := range fields {
		if g.one(n) {
			preds = append(preds, g.pred(f))
		}
	}
	return preds
}

func (g *Gen) match() flow.Match {
	*g = Gen{Source: g.Source}
	p := g.metadata(nil)
	p = g.some(p, 4, flow.EthSrc, flow.EthDst)
	switch g.IntN(6) {
	case 0:
		g.vlan = true
		p = append(p, flow.VLANVID.Is(flow.VLANPresent|uint64(g.IntN(4096))))
		if g.one(2) {
			p = append(p, flow.VLANPCP.Is(uint64(g.IntN(8))))
		}
	case 1:
		p = append(p, pick(g, flow.VLANVID.Is(0), flow.VLANVID.Masked(flow.VLANPresent, flow.VLANPresent),
			flow.VLANTCI.Is(0), flow.VLANTCI.Masked(0x1005, 0x100f)))
	}
	g.ethType = pick[uint64](g, 0, 0x800, 0x800, 0x800, 0x86dd, 0x86dd, 0x806, 0x806, 0x8035, 0x88cc)
	if g.ethType == 0 {
		return flow.MustMatch(p...)
	}
	p = append(p, flow.EthType.Is(g.ethType))
	switch g.ethType {
	case 0x800:
		p = g.some(p, 2, flow.IPv4Src, flow.IPv4Dst)
	case 0x86dd:
		p = g.some(p, 2, flow.IPv6Src, flow.IPv6Dst)
		p = g.some(p, 8, flow.IPv6Label)
	case 0x806, 0x8035:
		if g.one(2) {
			p = append(p, flow.ARPOp.Is(uint64(g.IntN(256))))
		}
		return flow.MustMatch(g.some(p, 2, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA)...)
	default:
		return flow.MustMatch(p...)
	}
	p = g.some(p, 6, flow.IPDSCP, flow.IPECN, flow.IPTTL)
	switch g.IntN(8) {
	case 0:
		p = append(p, pick(g, flow.IPFrag.Is(0), flow.IPFrag.Masked(1, 1), flow.IPFrag.Masked(0, 2), flow.IPFrag.Is(1)))
	case 1: // a later fragment has no ports
		p = append(p, pick(g, flow.IPFrag.Is(3)))
		return flow.MustMatch(g.conntrack(p)...)
	}
	return flow.MustMatch(g.conntrack(g.transport(p))...)
}

func (g *Gen) metadata(p []flow.Pred) []flow.Pred {
	if g.one(3) {
		p = append(p, flow.InPort.Is(uint64(g.port())))
	}
	if g.one(10) {
		p = append(p, flow.ConjID.Is(uint64(uint32(g.Uint64())|1)))
	}
	p = g.some(p, 8, flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunGBPID, flow.Metadata,
		flow.PktMark, flow.CTMark, flow.CTLabel, flow.CTZone)
	if g.one(10) {
		p = append(p, flow.TunFlags.Is(uint64(g.IntN(2))))
	}
	for range g.IntN(4) {
		r := g.IntN(16)
		switch g.IntN(4) {
		case 0:
			p = append(p[:len(p):len(p)], flow.Reg(r).Is(uint64(uint32(g.Uint64()))))
		case 1:
			p = append(p, flow.XReg(r/2).IsValue(g.bits(64)))
		case 2:
			p = append(p, flow.XXReg(r/4).IsValue(g.bits(128)))
		default:
			p = append(p, g.subfield(flow.Reg(r)).Is(0))
		}
		if _, err := flow.NewMatch(p...); err != nil { // the same register twice
			p = p[:len(p)-1]
		}
	}
	return p
}

func (g *Gen) subfield(f flow.Field) flow.Subfield {
	w := int(f.All().Bits)
	ofs := g.IntN(w)
	return f.Bits(ofs, 1+g.IntN(w-ofs))
}

func (g *Gen) transport(p []flow.Pred) []flow.Pred {
	icmp := uint64(1)
	if g.ethType == 0x86dd {
		icmp = 58
	}
	g.proto = pick[uint64](g, 0, 6, 17, 132, icmp, icmp, 89)
	if g.proto == 0 {
		return p
	}
	p = append(p, flow.IPProto.Is(g.proto))
	switch g.proto {
	case 6:
		return g.some(p, 2, flow.TCPSrc, flow.TCPDst, flow.TCPFlags)
	case 17:
		return g.some(p, 2, flow.UDPSrc, flow.UDPDst)
	case 132:
		return g.some(p, 2, flow.SCTPSrc, flow.SCTPDst)
	case 1:
		return g.some(p, 2, flow.ICMPType, flow.ICMPCode)
	case 58:
		if g.one(2) {
			return g.some(p, 2, flow.ICMPv6Type, flow.ICMPv6Code)
		}
		typ := uint64(135 + g.IntN(2))
		p = append(p, flow.ICMPv6Type.Is(typ), flow.ICMPv6Code.Is(0))
		p = g.some(p, 2, flow.NDTarget, flow.NDReserved, flow.NDOptionsType)
		if typ == 135 {
			return g.some(p, 2, flow.NDSLL)
		}
		return g.some(p, 2, flow.NDTLL)
	}
	return p
}

func (g *Gen) conntrack(p []flow.Pred) []flow.Pred {
	switch g.IntN(4) {
	case 0:
		g.tracked = true
		state := uint64(flow.CTTracked) | pick[uint64](g, flow.CTNew, flow.CTEstablished, flow.CTReply)
		p = append(p, flow.CTState.Masked(state, state|g.Uint64()&0xff))
		if g.one(2) {
			p = append(p, flow.CTNwProto.Is(6))
			p = g.some(p, 2, flow.CTTpSrc, flow.CTTpDst)
			if g.ethType == 0x800 {
				return g.some(p, 2, flow.CTNwSrc, flow.CTNwDst)
			}
			return g.some(p, 2, flow.CTIPv6Src, flow.CTIPv6Dst)
		}
	case 1:
		p = append(p, flow.CTState.Masked(0, 1+uint64(g.IntN(255))))
	}
	return p
}

func (g *Gen) port() flow.Port {
	if g.one(6) {
		return flow.PortLocal
	}
	return flow.Port(1 + g.IntN(9))
}

func (g *Gen) addr() netip.Addr {
	if g.ethType == 0x86dd {
		return flow.Value{Hi: 0x20010db8_00000000, Lo: g.Uint64() | 1}.Addr6()
	}
	return flow.Uint(0x0a000001 | g.Uint64()&0xffffff).Addr4()
}

// Group makes a group with an id from 1 to Groups.
func (g *Gen) Group(id uint32) flow.Group {
	*g = Gen{Source: g.Source}
	k := flow.Group{ID: id, Type: flow.GroupType(g.IntN(4))}
	n := 1
	if k.Type != flow.Indirect {
		n += g.IntN(5)
	}
	for i := range n {
		b := flow.Bucket{ID: uint32(i*3 + g.IntN(3)), Actions: flow.MustActions(g.bucketActions()...)}
		switch k.Type {
		case flow.Select:
			b.Weight = uint16(1 + g.IntN(100))
		case flow.FF:
			b.WatchPort = flow.Port(1 + g.IntN(9)) // ovs-ofctl does not read LOCAL here
		}
		k.Buckets = append(k.Buckets, b)
	}
	if k.Type == flow.Select && g.one(2) {
		k.Selection, k.Param = "hash", uint64(g.IntN(3))
		k.Fields = pick(g, nil, []flow.Field{flow.EthSrc, flow.EthDst}, []flow.Field{flow.IPv4Dst})
	} else if k.Type == flow.Select && g.one(2) {
		k.Selection = "dp_hash"
	}
	return k
}

func (g *Gen) bucketActions() []flow.Action {
	var l []flow.Action
	if g.one(2) {
		l = append(l, g.load())
	}
	if !g.one(8) {
		l = append(l, flow.Output{Port: g.port()})
	}
	return l
}

// Meter makes a meter with an id from 1 to Meters.
func (g *Gen) Meter(id uint32) flow.Meter {
	m := flow.Meter{ID: id, Unit: flow.MeterUnit(g.IntN(2)), Burst: g.one(2), Stats: g.one(2)}
	d := flow.Band{Rate: uint32(1 + g.IntN(1e6))}
	if m.Burst {
		d.Burst = uint32(g.IntN(1e6))
	}
	m.Bands = append(m.Bands, d)
	return m
}

// Names gives names to some tables and ports, some of which need quotes.
func Names() flow.Names {
	tables := map[uint8]string{0: "classify", 10: "guard", 20: "egress filter", 30: `a"b`}
	for i := uint8(100); i < 140; i++ {
		tables[i] = "t" + strconv.Itoa(int(i))
	}
	return flow.NewNames(tables, map[flow.Port]string{1: "p1", 2: "if-v2", 3: "vethabc3", 4: "p.4"})
}

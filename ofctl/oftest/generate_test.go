package oftest

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// gen makes packets and flows that often meet.
type gen struct {
	*rand.Rand
	nat bool // connections are translated; else they may be forced
}

func newGen(seed uint64) *gen { return &gen{rand.New(rand.NewPCG(seed, 1)), seed%2 == 0} }

func (g *gen) one(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *gen, of ...T) T { return of[g.IntN(len(of))] }

var (
	macs = [][6]byte{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	v4s  = []string{"10.0.0.1", "10.0.0.2", "10.0.1.3"}
	v6s  = []string{"fd00::1", "fd00::2", "fd00:1::3"}
)

// frameOptions choose what frame makes.
type frameOptions struct {
	valid bool // whole, with right checksums, no fragments
	track bool // only what conntrack knows
}

func (g *gen) frame(o frameOptions) []byte {
	a, b := pick(g, macs[:3]...), pick(g, macs...)
	f := append(append([]byte{}, b[:]...), a[:]...)
	if !o.track && g.one(5) {
		f = binary.BigEndian.AppendUint16(append(f, 0x81, 0), uint16(pick(g, 5, 0x6005, 0x7007)))
	}
	switch k := g.IntN(8); {
	case k < 4 || o.track && k < 6:
		f = append(f, 8, 0)
		f = append(f, g.ipv4(o)...)
	case k < 7 || o.track:
		f = append(f, 0x86, 0xdd)
		f = append(f, g.ipv6(o)...)
	default:
		f = append(f, 8, 6)
		f = append(f, 0, 1, 8, 0, 6, 4, 0, byte(1+g.IntN(2)))
		f = append(append(f, a[:]...), g.addr4()...)
		f = append(append(f, b[:]...), g.addr4()...)
	}
	if !o.valid && g.one(15) {
		f = f[:max(14, len(f)-1-g.IntN(30))]
	}
	if !o.valid && g.one(10) && len(f) > 20 {
		f[14+g.IntN(len(f)-14)] ^= byte(1 << g.IntN(8))
	}
	if g.one(4) || len(f) < 14 {
		f = append(f, make([]byte, g.IntN(8))...)
	}
	return f
}

func (g *gen) addr4() []byte { a := netip.MustParseAddr(pick(g, v4s...)).As4(); return a[:] }
func (g *gen) addr6() []byte { a := netip.MustParseAddr(pick(g, v6s...)).As16(); return a[:] }

func (g *gen) port() uint16 { return pick[uint16](g, 80, 1000, 2000, 40000) }

func (g *gen) ipv4(o frameOptions) []byte {
	h := make([]byte, 20)
	h[0], h[1], h[8] = 0x45, pick[byte](g, 0, 0xb8, 1), pick[byte](g, 1, 2, 64)
	copy(h[12:], g.addr4())
	copy(h[16:], g.addr4())
	if g.one(8) {
		h = append(h, 1, 1, 1, 1)
		h[0] = 0x46
	}
	if !o.valid && g.one(10) {
		put16(h[6:], pick[uint16](g, 0x2000, 0x2001, 0x0001))
	}
	h[9] = pick[byte](g, 1, 6, 6, 17, 17, 132, 89)
	if o.track {
		h[9] = pick[byte](g, 1, 6, 17)
	}
	p := g.l4(h[9], o)
	put16(h[2:], uint16(len(h)+len(p)))
	put16(h[10:], ^fold(add(0, h)))
	seal(h[9], p, add(uint32(h[9])+uint32(len(p)), h[12:20]))
	return append(h, p...)
}

func (g *gen) ipv6(o frameOptions) []byte {
	h := make([]byte, 40)
	h[0], h[1], h[3], h[7] = 0x60|byte(g.IntN(2)), byte(g.IntN(3)<<4), byte(g.IntN(3)), pick[byte](g, 1, 2, 64)
	copy(h[8:], g.addr6())
	copy(h[24:], g.addr6())
	proto := pick[byte](g, 58, 58, 6, 17, 132)
	if o.track {
		proto = pick[byte](g, 58, 6, 17)
	}
	p := g.l4(proto, o)
	seal(proto, p, add(uint32(proto)+uint32(len(p)), h[8:40]))
	next := proto
	var ext []byte
	if g.one(8) {
		ext, next = append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, ext...), pick[byte](g, 0, 60)
	}
	if !o.valid && g.one(8) {
		off := pick[uint16](g, 0, 1, 8, 9)
		ext, next = append([]byte{next, 0, byte(off >> 8), byte(off), 0, 0, 0, 1}, ext...), 44
	}
	h[6] = next
	put16(h[4:], uint16(len(ext)+len(p)))
	return append(append(h, ext...), p...)
}

// l4 makes a packet of a protocol, without its checksum.
func (g *gen) l4(proto byte, o frameOptions) []byte {
	data := make([]byte, g.IntN(5))
	switch proto {
	case 6:
		b := make([]byte, 20)
		put16(b, g.port())
		put16(b[2:], g.port())
		put32(b[4:], uint32(1000+g.IntN(3)))
		put32(b[8:], uint32(1000+g.IntN(3)))
		put16(b[12:], 0x5000|pick[uint16](g, tcpSYN, tcpSYN, tcpSYN|tcpACK, tcpACK, tcpACK, tcpACK|tcpPSH, tcpFIN|tcpACK, tcpRST, tcpRST|tcpACK, uint16(g.IntN(64))))
		put16(b[14:], 500)
		return append(b, data...)
	case 17:
		b := make([]byte, 8)
		put16(b, g.port())
		put16(b[2:], g.port())
		put16(b[4:], uint16(8+len(data)))
		return append(b, data...)
	case 132:
		b := make([]byte, 12)
		put16(b, g.port())
		put16(b[2:], g.port())
		return append(b, 1, 0, 0, 4)
	case 1:
		return append([]byte{pick[byte](g, 8, 8, 0, 13), byte(g.IntN(8) / 7), 0, 0, 0, byte(g.IntN(2)), 0, 1}, data...)
	case 58:
		if o.track || g.one(3) {
			return append([]byte{pick[byte](g, 128, 129), 0, 0, 0, 0, byte(g.IntN(2)), 0, 1}, data...)
		}
		typ := pick[byte](g, 135, 136)
		b := append([]byte{typ, 0, 0, 0, byte(g.IntN(2)) << 6, 0, 0, 0}, g.addr6()...)
		if g.one(4) {
			return b
		}
		m := pick(g, macs...)
		b = append(b, pick[byte](g, typ-134, typ-134, 1, 2, 14), 1)
		b = append(b, m[:]...)
		if g.one(4) {
			b = append(b, pick[byte](g, 1, 2, 14), pick[byte](g, 1, 1, 0), 1, 2, 3, 4, 5, 6)
		}
		return b
	}
	return data
}

// seal writes the checksum.
func seal(proto byte, b []byte, pseudo uint32) {
	switch {
	case proto == 6:
		put16(b[16:], ^fold(add(pseudo, b)))
	case proto == 17:
		put16(b[6:], max(1, ^fold(add(pseudo, b))))
	case proto == 1:
		put16(b[2:], ^fold(add(0, b)))
	case proto == 58:
		put16(b[2:], ^fold(add(pseudo, b)))
	case proto == 132:
		binary.LittleEndian.PutUint32(b[8:], sctpSum(b))
	}
}

// flows makes tables 0 to 5 of different priorities (who of equals is hit is not defined) whose matches are taken from packets like those of frame.
func (g *gen) flows(o frameOptions, ct bool) []flow.Flow {
	var out []flow.Flow
	seen := map[flow.Key]bool{}
	for table := range uint8(6) {
		for n := 8; n > 0; {
			f := flow.Flow{Table: table, Priority: uint16(n), Cookie: g.Uint64()>>1 | 1, Match: g.match(o)}
			acts, err := flow.NewActions(g.actions(table, f.Match, ct)...)
			if err != nil {
				continue
			}
			f.Actions = acts
			if seen[f.Key()] || New(Options{}).checkFlow(&modAdd(f)[0]) != nil {
				continue
			}
			seen[f.Key()] = true
			out = append(out, f)
			n--
		}
	}
	return out
}

var matchFields = []flow.Field{
	flow.EthSrc, flow.EthDst, flow.EthType, flow.VLANVID, flow.VLANPCP, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label,
	flow.IPProto, flow.IPDSCP, flow.IPECN, flow.IPTTL, flow.IPFrag, flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA,
	flow.TCPSrc, flow.TCPDst, flow.TCPFlags, flow.UDPSrc, flow.UDPDst, flow.SCTPSrc, flow.SCTPDst, flow.ICMPType, flow.ICMPCode,
	flow.ICMPv6Type, flow.ICMPv6Code, flow.NDTarget, flow.NDSLL, flow.NDTLL, flow.NDReserved, flow.NDOptionsType,
}

func (g *gen) match(o frameOptions) flow.Match {
	var k key
	parse(g.frame(o), &k)
	var preds []flow.Pred
	if k.isIP() {
		preds = append(preds, flow.EthType.Is(uint64(k.ethType())))
	} else if g.one(2) {
		preds = append(preds, flow.EthType.Is(uint64(k.ethType())))
	}
	if k.isIP() && g.one(2) {
		preds = append(preds, flow.IPProto.Is(uint64(k.proto())))
	}
	if k.isND() && g.one(2) {
		preds = append(preds, flow.ICMPv6Type.IsValue(k.get(flow.ICMPv6Type)), flow.ICMPv6Code.Is(0))
	}
	if k.tagged() && g.one(2) {
		preds = append(preds, flow.VLANVID.IsValue(k.get(flow.VLANVID)))
	}
	if g.one(3) {
		preds = append(preds, flow.Reg(g.IntN(2)).Masked(g.Uint64()&3, 3))
	}
	if g.one(6) {
		preds = append(preds, flow.InPort.Is(uint64(1+g.IntN(4))))
	}
	m, err := flow.NewMatch(preds...)
	if err != nil {
		return flow.Match{}
	}
	for range g.IntN(3) {
		f := pick(g, matchFields...)
		p := f.IsValue(k.get(f))
		if f.Maskable() && g.one(2) {
			mask := flow.Value{Hi: g.Uint64(), Lo: g.Uint64()}.And(flow.Ones(f.Width()))
			p = f.MaskedValue(k.get(f).And(flow.Ones(f.Width())), mask)
		}
		if n, err := m.And(p); err == nil {
			m = n
		}
	}
	return m
}

func (g *gen) set(f flow.Field) flow.SetField {
	var k key
	parse(g.frame(frameOptions{valid: true}), &k)
	v := k.get(f)
	if g.one(2) {
		v = flow.Value{Hi: g.Uint64(), Lo: g.Uint64()}.And(flow.Ones(f.Width()))
	}
	if f == flow.VLANVID {
		v.Lo |= flow.VLANPresent
	}
	if f == flow.ARPOp {
		v.Lo &= 3
	}
	if f.Maskable() && f != flow.VLANVID && g.one(3) {
		mask := flow.Value{Hi: g.Uint64(), Lo: g.Uint64()}.And(flow.Ones(f.Width()))
		mask.Lo |= 1
		return flow.SetField(f.MaskedValue(v, mask))
	}
	return flow.SetField(f.IsValue(v))
}

func (g *gen) actions(table uint8, m flow.Match, ct bool) []flow.Action {
	var l []flow.Action
	for range g.IntN(4) {
		l = append(l, g.action(table, m, ct))
	}
	if g.one(12) {
		l = append(l, flow.ClearActions{})
	}
	if !ct && g.one(8) { // with ct they end ovs-vswitchd
		l = append(l, flow.WriteActions{Actions: []flow.Action{g.setReg(), flow.Output{Port: flow.Port(1 + g.IntN(4))}}})
	}
	if table < 5 && g.one(2) {
		l = append(l, flow.GotoTable{Table: table + 1 + uint8(g.IntN(int(5-table)))})
	}
	return l
}

// ahead is how far a resubmit goes: with ct not to the same table, which would take for ever.
func (g *gen) ahead(ct bool) uint8 {
	if ct {
		return 1 + uint8(g.IntN(2))
	}
	return uint8(g.IntN(3))
}

func (g *gen) setReg() flow.Action {
	return flow.SetField(flow.Reg(g.IntN(2)).Bits(g.IntN(4), 2).Is(g.Uint64() & 3))
}

func (g *gen) action(table uint8, m flow.Match, ct bool) flow.Action {
	et, _ := m.Get(flow.EthType)
	ip := et.Lo == etherIPv4 || et.Lo == etherIPv6
	if ct && ip && g.one(2) {
		return g.ct(table, m)
	}
	kind := g.IntN(16)
	if ct && (kind == 6 || kind > 10) {
		// Open vSwitch may write back addresses that it has looked at when it writes others, also after a translation that
		// it does not know of before the packet recirculates.
		return g.set(flow.EthSrc)
	}
	switch kind {
	case 0, 1:
		return flow.Output{Port: flow.Port(1 + g.IntN(4))}
	case 2:
		return pick[flow.Action](g, flow.Output{Port: flow.PortInPort}, flow.OutputTrunc{Port: 2, MaxLen: uint32(14 + g.IntN(60))},
			flow.OutputReg{Src: flow.Reg(0).Bits(0, 16)})
	case 3:
		return g.setReg()
	case 4:
		return flow.Move{Src: flow.EthSrc.All(), Dst: flow.EthDst.All()}
	case 5:
		return pick[flow.Action](g, flow.PopVLAN{}, flow.PushVLAN{EtherType: 0x8100}, g.set(flow.VLANVID), g.set(flow.VLANPCP))
	case 6:
		return pick[flow.Action](g, flow.DecTTL{}, flow.DecTTL{}, flow.SetTTL{TTL: 9})
	case 7:
		return flow.Resubmit{Table: table + g.ahead(ct), Port: pick[flow.Port](g, 0, 0, 2)}
	case 8:
		return flow.Clone{Actions: []flow.Action{g.setReg(), g.set(flow.EthSrc), flow.Output{Port: flow.Port(1 + g.IntN(4))}}}
	case 9:
		return pick[flow.Action](g, flow.CheckPktLarger{Len: uint16(40 + g.IntN(40)), Dst: flow.Reg(1).Bit(0)}, flow.Exit{}, flow.CTClear{},
			flow.Push{Src: flow.EthDst.All()}, flow.Pop{Dst: flow.EthSrc.All()}, flow.Push{Src: flow.Reg(1).All()}, flow.Pop{Dst: flow.Reg(0).All()})
	case 10:
		return flow.ToGroup{Group: uint32(1 + g.IntN(4))}
	}
	for range 20 {
		f := pick(g, matchFields...)
		if !f.Writable() {
			continue
		}
		if k := assumed(m); !k.has(f) {
			continue
		}
		return g.set(f)
	}
	return g.set(flow.EthSrc)
}

func (g *gen) ct(table uint8, m flow.Match) flow.Action {
	c := flow.CT{Zone: uint16(1 + g.IntN(2)), Commit: g.one(2), Recirc: table < 5 && !g.one(4), Table: min(5, table+1+uint8(g.IntN(2)))}
	// A connection with a translation that was forced out stays half in the table of Open vSwitch until its sweep.
	if c.Commit && !g.nat && g.one(4) {
		c.Force = true
	}
	if c.Commit && g.one(3) {
		c.Exec = []flow.Action{flow.SetField(flow.CTMark.Masked(g.Uint64()&0xff, 0xff)), flow.SetField(flow.CTLabel.Masked(1, g.Uint64()|1))}
	}
	if g.nat && (c.Commit || g.one(2)) {
		c.NAT = &flow.NAT{}
		if et, _ := m.Get(flow.EthType); c.Commit {
			c.NAT.Kind, c.NAT.AddrMin = pick(g, flow.NATSrc, flow.NATDst), netip.MustParseAddr(pick(g, "10.9.9.9", "10.0.0.2"))
			if et.Lo == etherIPv6 {
				c.NAT.AddrMin = netip.MustParseAddr(pick(g, "fd09::9", "fd00::2"))
			}
			if g.one(3) {
				c.NAT.PortMin = 3000
			}
		}
	}
	return c
}

// groups are some of every kind.
func (g *gen) groups() []flow.Group {
	bucket := func(id uint32, acts ...flow.Action) flow.Bucket {
		return flow.Bucket{ID: id, Actions: flow.MustActions(acts...)}
	}
	return []flow.Group{
		{ID: 1, Type: flow.All, Buckets: []flow.Bucket{
			bucket(1, flow.Output{Port: 1}, g.setReg(), g.set(flow.EthSrc)), bucket(2, g.set(flow.EthDst), flow.Output{Port: 2}), bucket(3, flow.Resubmit{Table: 7}),
		}},
		{ID: 2, Type: flow.Indirect, Buckets: []flow.Bucket{bucket(1, flow.Output{Port: 3}, g.setReg(), flow.Resubmit{Table: 7})}},
		{ID: 3, Type: flow.Select, Selection: "hash", Buckets: []flow.Bucket{{ID: 1, Weight: 1, Actions: flow.MustActions(g.set(flow.EthSrc), flow.Output{Port: 4})}}},
		{ID: 4, Type: flow.All, Buckets: []flow.Bucket{bucket(1, g.setReg()), bucket(2, g.set(flow.EthSrc), flow.ToGroup{Group: 2}, flow.Output{Port: 1})}},
	}
}

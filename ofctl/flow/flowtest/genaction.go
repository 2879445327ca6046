package flowtest

import "github.com/openvnet/openvnet/ofctl/flow"

func (g *Gen) actions(table uint8) []flow.Action {
	if g.one(10) {
		return nil
	}
	if g.one(12) {
		return g.conjunctions()
	}
	var l []flow.Action
	if g.one(10) { // ovs-ofctl reads it only in the first place
		l = append(l, flow.ToMeter{Meter: uint32(1 + g.IntN(Meters))})
	}
	if g.one(10) && !g.vlan {
		l = append(l, flow.PushVLAN{EtherType: 0x8100})
	}
	group := false
	for range g.IntN(5) {
		a := g.action()
		if _, ok := a.(flow.ToGroup); ok {
			if group { // not twice the same
				continue
			}
			group = true
		}
		l = append(l, a)
	}
	if g.one(20) {
		l = append(l, flow.ClearActions{})
	}
	if g.one(10) {
		l = append(l, flow.WriteActions{Actions: []flow.Action{flow.Output{Port: g.port()}}})
	}
	if g.one(10) {
		m := flow.WriteMetadata{Value: g.Uint64(), Mask: ^uint64(0)}
		if g.one(2) {
			m.Mask = g.Uint64() | 1
			m.Value &= m.Mask
		}
		l = append(l, m)
	}
	if g.one(3) {
		l = append(l, flow.GotoTable{Table: table + 1 + uint8(g.IntN(3))})
	}
	return l
}

func (g *Gen) conjunctions() []flow.Action {
	var l []flow.Action
	for range 1 + g.IntN(3) {
		n := 2 + g.IntN(3)
		l = append(l, flow.Conjunction{ID: uint32(g.Uint64()), Clause: uint8(1 + g.IntN(n)), N: uint8(n)})
	}
	if g.one(3) {
		l = append(l, flow.Note{Data: []byte{1, 2, 3, 4, 5, 6}})
	}
	return l
}

func (g *Gen) load() flow.Action {
	if g.one(2) {
		s := g.subfield(pick(g, flow.Reg(g.IntN(16)), flow.Metadata, flow.TunID, flow.PktMark, flow.XReg(g.IntN(8)),
			flow.XXReg(g.IntN(4)), flow.EthSrc, flow.EthDst, flow.TunDst))
		return flow.SetField(s.IsValue(g.bits(int(s.Bits))))
	}
	return flow.SetField(pick(g, flow.EthSrc, flow.EthDst, flow.TunSrc, flow.TunDst, flow.Reg(0), flow.TunIPv6Dst, flow.XXReg(1),
		flow.TunFlags).IsValue(g.bits(1)))
}

func (g *Gen) move() flow.Action {
	src := pick(g, flow.EthSrc, flow.Reg(1), flow.TunID, flow.Metadata, flow.InPort, flow.InPort16, flow.XXReg(2), flow.TunSrc)
	dst := pick(g, flow.EthDst, flow.Reg(2), flow.Metadata, flow.XReg(3), flow.XXReg(0), flow.TunDst, flow.PktMark)
	n := 1 + g.IntN(int(min(src.All().Bits, dst.All().Bits)))
	return flow.Move{
		Src: src.Bits(g.IntN(int(src.All().Bits)-n+1), n), Dst: dst.Bits(g.IntN(int(dst.All().Bits)-n+1), n),
	}
}

func (g *Gen) action() flow.Action {
	switch g.IntN(16) {
	case 0:
		return flow.Output{Port: g.port()}
	case 1:
		return pick[flow.Action](g, flow.Output{Port: flow.PortInPort}, flow.Output{Port: flow.PortNormal},
			flow.Output{Port: flow.PortFlood}, flow.Output{Port: flow.PortAll}, flow.OutputReg{Src: flow.Reg(3).Bits(0, 16)},
			flow.OutputReg{Src: flow.XReg(2).Bits(7, 32)}, flow.OutputTrunc{Port: g.port(), MaxLen: 14 + uint32(g.IntN(1000))})
	case 2:
		return g.controller()
	case 3, 4:
		return g.load()
	case 5:
		return g.move()
	case 6, 7:
		return g.resubmit()
	case 8:
		return flow.ToGroup{Group: uint32(1 + g.IntN(Groups))}
	case 9:
		return g.learn()
	case 10:
		return pick[flow.Action](g, flow.SetQueue{Queue: uint32(g.IntN(1000))}, flow.PopQueue{}, flow.CTClear{},
			flow.Note{Data: []byte{0xde, 0xad, 0xbe, 0xef, 0, 1}}, flow.Push{Src: g.subfield(flow.Reg(4))},
			flow.Pop{Dst: g.subfield(flow.XReg(5))})
	case 11:
		return flow.Clone{Actions: []flow.Action{g.load(), flow.Output{Port: g.port()}}}
	case 12:
		return flow.CheckPktLarger{Len: uint16(g.Uint64()), Dst: flow.Reg(g.IntN(16)).Bit(g.IntN(32))}
	default:
		return g.header()
	}
}

// header makes an action that needs what the match says.
func (g *Gen) header() flow.Action {
	switch {
	case g.vlan && g.one(4):
		g.vlan = false
		return flow.PopVLAN{}
	case g.vlan && g.one(3):
		return pick[flow.Action](g, flow.SetField(flow.VLANVID.Is(flow.VLANPresent|7)), flow.SetField(flow.VLANPCP.Is(3)))
	case g.ethType == 0x806:
		return flow.SetField(g.plain(pick(g, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA)))
	case g.ethType != 0x800 && g.ethType != 0x86dd:
		return flow.Resubmit{Table: 77}
	case g.one(2):
		return g.ct()
	case g.proto == 6 && g.one(2):
		return pick[flow.Action](g, flow.FinTimeout{Idle: 10, Hard: 20}, flow.SetField(flow.TCPDst.Is(80)),
			flow.SetField(flow.TCPSrc.Masked(0x1200, 0xff00)))
	case g.proto == 58 && g.one(2):
		return flow.SetField(flow.ICMPv6Type.Is(129))
	case g.ethType == 0x800 && g.one(2):
		return flow.SetField(g.plain(pick(g, flow.IPv4Src, flow.IPv4Dst)))
	case g.ethType == 0x86dd && g.one(2):
		return flow.SetField(g.plain(pick(g, flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label)))
	}
	return pick[flow.Action](g, flow.DecTTL{}, flow.SetTTL{TTL: uint8(g.IntN(256))}, flow.SetField(flow.IPDSCP.Is(46)),
		flow.SetField(flow.IPECN.Is(1)), flow.SetField(flow.IPTTL.Is(9)))
}

// plain is a predicate without a mask, or with one that is not a prefix.
func (g *Gen) plain(f flow.Field) flow.Pred {
	if g.one(4) {
		return f.MaskedValue(g.bits(f.Width()), flow.Uint(0xf0f1).And(flow.Ones(f.Width())))
	}
	return f.IsValue(g.bits(f.Width()))
}

func (g *Gen) controller() flow.Action {
	c := flow.Controller{}
	if g.one(2) {
		c.MaxLen = uint16(1 + g.IntN(2000))
	} else if g.one(6) {
		c.NoData = true
	}
	if g.one(3) {
		c.ID = uint16(g.Uint64())
	}
	if g.one(3) {
		c.Reason = flow.Reason(g.IntN(3))
	}
	for range g.IntN(3) * g.IntN(20) {
		c.Userdata = append(c.Userdata, byte(g.Uint64()))
	}
	if g.one(4) {
		c.Pause = true
	}
	if g.one(4) {
		c.Meter = uint32(1 + g.IntN(Meters))
	}
	return c
}

func (g *Gen) resubmit() flow.Action {
	r := flow.Resubmit{Table: uint8(g.IntN(250))}
	switch g.IntN(4) {
	case 0:
		r.Port = g.port()
	case 1:
		r.Port, r.Table = g.port(), 255
	case 2:
		r.CT = g.tracked
	}
	return r
}

func (g *Gen) ct() flow.Action {
	c := flow.CT{Commit: !g.one(3), Zone: uint16(g.Uint64())}
	c.Force = c.Commit && g.one(4)
	if g.one(3) {
		c.Zone, c.ZoneSrc = 0, flow.Reg(6).Bits(g.IntN(17), 16)
	}
	if g.one(2) {
		c.Recirc, c.Table = true, uint8(g.IntN(250))
	}
	if g.proto == 6 && g.one(4) {
		c.ALG = 21
	}
	if g.proto == 17 && g.one(4) {
		c.ALG = 69
	}
	if g.one(2) {
		c.NAT = &flow.NAT{}
		if c.Commit && !g.one(3) {
			c.NAT = g.nat()
		}
	}
	if c.Commit && g.one(2) {
		c.Exec = append(c.Exec, flow.SetField(g.plain(pick(g, flow.CTMark, flow.CTLabel))))
		if g.one(2) {
			c.Exec = append(c.Exec, flow.Move{Src: flow.Reg(0).All(), Dst: flow.CTLabel.Bits(32, 32)})
		}
	}
	return c
}

func (g *Gen) nat() *flow.NAT {
	n := &flow.NAT{Kind: pick(g, flow.NATSrc, flow.NATDst)}
	if g.one(6) {
		return n
	}
	n.AddrMin = g.addr()
	if g.one(2) {
		if a := g.addr(); n.AddrMin.Less(a) {
			n.AddrMax = a
		}
	}
	if g.one(2) {
		n.PortMin = uint16(1 + g.IntN(30000))
		if g.one(2) {
			n.PortMax = n.PortMin + 1 + uint16(g.IntN(30000))
		}
	}
	n.Persistent = g.one(3)
	if g.one(3) {
		n.Hash = true
	} else if g.one(3) {
		n.Random = true
	}
	return n
}

func (g *Gen) learn() flow.Action {
	l := flow.Learn{Table: uint8(g.IntN(250)), Priority: uint16(g.Uint64()), Cookie: g.Uint64()}
	if g.one(3) {
		l.IdleTimeout, l.HardTimeout = 30, uint16(g.IntN(60))
	}
	if g.one(4) {
		l.FinIdleTimeout, l.FinHardTimeout = 1, 2
	}
	l.SendFlowRem, l.DeleteLearned = g.one(4), g.one(4)
	if g.one(3) {
		l.Limit = uint32(1 + g.IntN(1000))
	}
	if g.one(4) {
		l.ResultDst = flow.Reg(7).Bit(g.IntN(32))
	}
	specs := []flow.LearnSpec{
		{Op: flow.LearnMatch, Dst: flow.EthDst.All(), Src: flow.EthSrc.All()},
		{Op: flow.LearnMatch, Dst: flow.VLANTCI.Bits(0, 12), Src: flow.VLANTCI.Bits(0, 12)},
		{Op: flow.LearnMatch, Dst: flow.Reg(0).Bits(4, 8), Value: g.bits(8)},
		{Op: flow.LearnMatch, Dst: flow.Reg(1).All(), Value: g.bits(32)},
		{Op: flow.LearnMatch, Dst: flow.EthType.All(), Value: flow.Uint(0x800)},
		{Op: flow.LearnMatch, Dst: flow.InPort16.All(), Value: flow.Uint(uint64(1 + g.IntN(4)))},
		{Op: flow.LearnMatch, Dst: flow.TunID.All(), Src: flow.Metadata.All()},
		{Op: flow.LearnMatch, Dst: flow.Metadata.Bits(8, 16), Src: flow.Reg(3).Bits(0, 16)},
		{Op: flow.LearnLoad, Dst: flow.Reg(9).Bits(0, 16), Src: flow.InPort16.All()},
		{Op: flow.LearnLoad, Dst: flow.Reg(8).Bit(3), Value: flow.Uint(1)},
		{Op: flow.LearnLoad, Dst: flow.XXReg(3).All(), Value: g.bits(128)},
		{Op: flow.LearnLoad, Dst: flow.TunDst.All(), Src: flow.TunSrc.All()},
		{Op: flow.LearnOutput, Src: flow.InPort16.All()},
		{Op: flow.LearnOutput, Src: flow.Reg(9).Bits(0, 16)},
	}
	for _, s := range specs {
		if g.one(3) {
			l.Specs = append(l.Specs, s)
		}
	}
	return l
}

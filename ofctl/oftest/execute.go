package oftest

import (
	"bytes"
	"maps"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/ofctl/flow"
)

// opKind is what an operation does to a packet.
type opKind uint8

const (
	opOutput opKind = iota
	opTrunc
	opEdit
	opPacketIn
	opMeter
	opClone
	opCheckLen
	opCT
	opCTClear
	opRecirc
)

// op is one operation on a packet, as the datapath carries it out.
type op struct {
	kind     opKind
	port     flow.Port // opOutput
	n        uint32    // length of opTrunc, meter, length of opCheckLen
	tunnel   *Tunnel   // opOutput to a tunnel
	edit     *edit
	packetIn *PacketIn
	ct       *ctAction
	frozen   *frozen
	sub      []op // opClone; opCheckLen: if the packet is larger
	other    []op // opCheckLen: if not
}

// edit is a change of headers: those words that differ.
type edit struct{ from, to key }

// packet is a frame in the datapath.
type packet struct {
	layout
	frame  []byte
	shared bool // others hold the frame: copy it before writing
	cut    int  // bytes that the next output leaves out
	proto  uint8
	frag   uint8
	ip6    bool
	ip     bool
	ct     ctState
}

// own makes the frame writable.
func (p *packet) own() {
	if p.shared {
		p.frame, p.shared = bytes.Clone(p.frame), false
	}
}

// copy gives a packet that can be changed by itself.
func (p *packet) copy() *packet {
	p.shared = true
	c := *p
	return &c
}

// Process sends a packet through the tables. The frame is not changed and not kept. Sessions of Serve get its packet-ins, too.
// A frame of less than an Ethernet header is dropped.
func (s *Switch) Process(in Packet) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := Result{tracing: s.opt.Trace, names: s.opt.Names}
	if len(in.Frame) < ethHeader {
		return res
	}
	x := &execution{sw: s, res: &res}
	x.through(&in)
	s.deliver(&res)
	return res
}

// through is the first pass of a packet from a port.
func (x *execution) through(in *Packet) {
	if p := x.sw.ports[in.InPort]; p != nil && p.Cfg&0x4 != 0 { // OFPPC_NO_RECV
		return
	}
	if in.Tunnel.Dst.IsValid() {
		x.spent = 1 // to take the tunnel's headers off
	}
	t := x.translator(in)
	p := &packet{frame: bytes.Clone(in.Frame)}
	p.parse(&t.flow)
	t.base = t.flow
	x.run(t.start(0), p, 0)
}

// translator begins a pass with the metadata of a packet that came in.
func (x *execution) translator(in *Packet) *translator {
	t := &translator{sw: x.sw, res: x.res, size: len(in.Frame)}
	t.flow.setInPort(in.InPort)
	t.flow.put(flow.ActsetOutput, flow.Uint(uint64(flow.PortUnset)), flow.Ones(32))
	t.flow.setTunnel(&in.Tunnel)
	return t
}

// parse reads the headers into k and notes what conntrack and edits need.
func (p *packet) parse(k *key) {
	p.layout = parse(p.frame, k)
	p.proto, p.frag = k.proto(), k.frag()
	p.ip6, p.ip = k.ethType() == etherIPv6, k.isIP()
}

// execution carries out operations and the passes that they lead to.
type execution struct {
	sw    *Switch
	res   *Result
	spent int // recirculations before the first pass
}

// run carries out operations. The packet belongs to it.
func (x *execution) run(ops []op, p *packet, hop int) {
	for i := range ops {
		o := &ops[i]
		switch o.kind {
		case opOutput:
			x.output(o, p)
		case opTrunc:
			p.cut = max(0, len(p.frame)-int(o.n))
		case opEdit:
			p.own()
			p.rewrite(o.edit)
		case opPacketIn:
			x.packetIn(o.packetIn, p)
		case opMeter:
			if m := x.sw.meters[o.n]; m != nil {
				m.packets++
				m.bytes += uint64(len(p.frame))
			}
			if x.sw.opt.MeterDrops != nil && x.sw.opt.MeterDrops(o.n, p.frame) {
				return
			}
		case opClone:
			x.run(o.sub, p.copy(), hop)
		case opCheckLen:
			if len(p.frame)-p.pad > int(o.n) { // padding of IP packets does not count
				x.run(o.sub, p.copy(), hop)
			} else {
				x.run(o.other, p.copy(), hop)
			}
		case opCT:
			if p.frag&fragAny != 0 {
				x.res.Held = true // waits for the rest of the packet
				return
			}
			x.track(o.ct, p, hop)
		case opCTClear:
			p.ct = ctState{}
		case opRecirc:
			if hop+x.spent >= x.sw.opt.Depth {
				x.res.Errors = append(x.res.Errors, "packet dropped: max recirculation depth exceeded")
				return
			}
			x.recirculate(o.frozen, p.copy(), hop+1)
		}
	}
}

func (x *execution) output(o *op, p *packet) {
	frame := p.frame
	p.shared = true
	if n := len(frame) - p.cut; p.cut != 0 {
		frame, p.cut = frame[:n:n], 0
	}
	out := Output{Port: o.port, Frame: frame}
	if o.tunnel != nil {
		out.Tunnel = *o.tunnel
	}
	x.res.Outputs = append(x.res.Outputs, out)
}

func (x *execution) packetIn(in *PacketIn, p *packet) {
	c := *in
	p.shared = true
	c.Data, c.Length = p.frame, len(p.frame)
	switch {
	case c.noData:
		c.Data = nil
	case c.maxLen != 0 && int(c.maxLen) < len(p.frame):
		c.Data = p.frame[:c.maxLen:c.maxLen]
	}
	x.res.PacketIns = append(x.res.PacketIns, c)
}

// recirculate sends a packet through the tables again, from the table where it goes on.
func (x *execution) recirculate(f *frozen, p *packet, hop int) {
	t := &translator{sw: x.sw, res: x.res, size: len(p.frame), stack: f.stack, set: f.set, conntracked: f.conntracked, indent: hop}
	t.flow = f.meta
	clear(t.flow[firstHeader:])
	t.flow.put(flow.ConjID, flow.Value{}, flow.Ones(32))
	p.parse(&t.flow)
	if f.conntracked {
		p.ct.describe(&t.flow)
	}
	for _, a := range f.set.acts {
		if _, ok := a.(flow.ToGroup); ok {
			t.setHasGroup = true
		}
	}
	t.base = t.flow
	x.run(t.start(f.table), p, hop)
}

func (s *Switch) portNumbers() []flow.Port { return slices.Sorted(maps.Keys(s.ports)) }

// tunnel reads the tunnel fields.
func (k *key) tunnel() Tunnel {
	t := Tunnel{ID: k[wTunID], Flags: uint8(k.get(flow.TunFlags).Lo)}
	addr := func(v4, v6 flow.Field) netip.Addr {
		if v := k.get(v4); !v.IsZero() {
			return v.Addr4()
		}
		if v := k.get(v6); !v.IsZero() {
			return v.Addr6()
		}
		return netip.Addr{}
	}
	t.Src, t.Dst = addr(flow.TunSrc, flow.TunIPv6Src), addr(flow.TunDst, flow.TunIPv6Dst)
	return t
}

func (k *key) setTunnel(t *Tunnel) {
	k[wTunID] = t.ID
	k.put(flow.TunFlags, flow.Uint(uint64(t.Flags)), flow.Ones(1))
	set := func(a netip.Addr, v4, v6 flow.Field) {
		f := v6
		if a.Is4() {
			f = v4
		}
		k.put(f, flow.AddrValue(a), flow.Ones(f.Width()))
	}
	set(t.Src, flow.TunSrc, flow.TunIPv6Src)
	set(t.Dst, flow.TunDst, flow.TunIPv6Dst)
}

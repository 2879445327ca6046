package ovs

import (
	"context"
	"net/netip"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// Packet is a packet that the pipeline has sent up to the agent.
type Packet struct {
	Class    pipeline.PuntClass
	Table    uint8         // that sent it up
	Network  uint32        // number of the domain
	Ingress  uint32        // id of the interface that sent it
	Egress   uint32        // id of the interface that gets it, or of the leg
	Link     uint32        // VNI of the route link that it is in, or was
	Subnet   uint32        // id of the network that a route leads it to
	Refused  reason.Reason // why it was dropped, if its sender is to be told
	Remote   bool          // it came from another host
	Userdata []byte        // that the flow has added
	Data     []byte        // the frame, from the Ethernet header on, perhaps cut
	Length   int           // of the whole frame

	port   flow.Port // that it came in on
	meta   flow.Match
	routed bool
}

func newPacket(in *ofp.PacketIn) Packet {
	var registers [16]uint32
	for r := range in.Metadata.Preds() {
		if n := r.Field - flow.Reg(0); r.Field >= flow.Reg(0) && int(n) < len(registers) {
			registers[n] = uint32(r.Value.Lo) //nolint:gosec // a register has 32 bits
		}
	}
	of := func(r pipeline.Register) uint32 {
		return registers[r.Bits.Field-flow.Reg(0)] >> r.Bits.Ofs & (1<<r.Bits.Bits - 1)
	}
	p := Packet{Table: in.Table, Userdata: in.Userdata, Data: in.Data, Length: int(in.Length), port: in.InPort(), meta: in.Metadata}
	p.Class = pipeline.PuntClass(of(pipeline.Class)) //nolint:gosec // of 8 bits
	p.Network, p.Ingress, p.Egress = of(pipeline.Network), of(pipeline.Ingress), of(pipeline.Egress)
	p.Link, p.Subnet, p.Refused = of(pipeline.RouteLink), of(pipeline.Subnet), reason.Reason(of(pipeline.Refused)) //nolint:gosec // of 8 bits
	p.Remote, p.routed = of(pipeline.Remote) == 1, of(pipeline.Hops) != 0
	return p
}

// NextHop gives the address of the next hop that the packet was on its way to, the zero Addr if it was not being routed.
func (p *Packet) NextHop() netip.Addr {
	v, _ := p.meta.Get(pipeline.NextHop.Bits.Field)
	switch {
	case v.IsZero():
		return netip.Addr{}
	case v.Hi == 0 && v.Lo>>32 == 0:
		return v.Addr4()
	}
	return v.Addr6()
}

// Routed reports whether a router of this host has brought the packet to where it is.
func (p *Packet) Routed() bool { return p.routed }

// TunnelSource gives the address of the host that sent the packet through a tunnel, the zero Addr if it came in no tunnel.
func (p *Packet) TunnelSource() netip.Addr {
	if v, _ := p.meta.Get(flow.TunSrc); !v.IsZero() {
		return v.Addr4()
	}
	if v, _ := p.meta.Get(flow.TunIPv6Src); !v.IsZero() {
		return v.Addr6()
	}
	return netip.Addr{}
}

// Serve gives every packet that is sent up to take, one after the other, until the session ends. What take does not keep up with is dropped and
// counted (Lost).
func (s *Switch) Serve(take func(Packet)) {
	for in := range s.conn.PacketIns() {
		take(newPacket(in))
	}
}

// Lost counts the packets that were sent up and not taken.
func (s *Switch) Lost() uint64 { return s.conn.Counters().DroppedPacketIns }

// Reply sends a frame out of the port that p came in on.
func (s *Switch) Reply(ctx context.Context, p Packet, frame []byte) error {
	back, err := flow.NewActions(flow.Output{Port: flow.PortInPort})
	if err != nil {
		return err
	}
	return s.packetOut(ctx, &ofp.PacketOut{InPort: p.port, Actions: back, Data: frame})
}

// Way is how a packet goes on that the agent puts into the pipeline.
type Way struct{ actions []flow.Action }

// Back gives the way to the interface that p came from, as anything that it gets; what came from the NIC goes to the NIC.
func (p *Packet) Back() Way {
	return Through(pipeline.Output, pipeline.Network.Set(p.Network), pipeline.Egress.Set(p.Ingress))
}

// Through gives the way through a table, with registers set: all others are zero.
func Through(t *pipeline.Table, registers ...flow.Action) Way {
	return Way{append(registers[:len(registers):len(registers)], flow.Resubmit{Table: t.ID})}
}

// OutOf gives the way out of a port, past the pipeline.
func OutOf(p flow.Port) Way { return Way{[]flow.Action{flow.Output{Port: p}}} }

// Again gives the way of a packet through a table, with the registers that p had, but for its class and those that others replace.
func (p *Packet) Again(t *pipeline.Table, others ...flow.Action) Way {
	var registers []flow.Action
	for n := range 16 {
		f := flow.Reg(n)
		v, _ := p.meta.Get(f)
		if f == pipeline.Class.Bits.Field {
			v = v.AndNot(flow.Ones(int(pipeline.Class.Bits.Bits)).Shl(int(pipeline.Class.Bits.Ofs)))
		}
		if !v.IsZero() {
			registers = append(registers, flow.SetField(f.IsValue(v)))
		}
	}
	return Through(t, append(registers, others...)...)
}

// ToOtherHosts gives the way to every other host where the domain of that number is present. There must be one.
func ToOtherHosts(domain uint32) Way {
	return Way{[]flow.Action{pipeline.Network.Set(domain), flow.ToGroup{Group: pipeline.FloodGroup(domain, 0, true)}}}
}

// Inject puts a frame into the pipeline, once for each way. It does not wait for the switch: what that refuses is logged.
func (s *Switch) Inject(ctx context.Context, frame []byte, ways ...Way) error {
	m, err := PacketOut(frame, ways...)
	if err != nil {
		return err
	}
	return s.packetOut(ctx, m)
}

// PacketOut gives the message by which Inject puts a frame into the pipeline.
func PacketOut(frame []byte, ways ...Way) (*ofp.PacketOut, error) {
	var actions []flow.Action
	for _, w := range ways {
		if len(ways) == 1 {
			actions = w.actions
		} else { // none sees the registers of another
			actions = append(actions, flow.Clone{Actions: w.actions})
		}
	}
	as, err := flow.NewActions(actions...)
	return &ofp.PacketOut{InPort: flow.PortController, Actions: as, Data: frame}, err
}

func (s *Switch) packetOut(ctx context.Context, m *ofp.PacketOut) error {
	s.packets.Add(1)
	err := s.conn.PacketOut(ctx, m)
	if err != nil {
		s.packets.Add(^uint64(0)) // it was not sent
	}
	return err
}

// Learned is a flow of what was found out about devices outside, with its counter.
type Learned struct {
	Source  bool // it is passed by frames of the device; otherwise by packets to the next hop
	Domain  uint32
	MAC     model.MAC  // with Source
	Addr    netip.Addr // of the next hop
	Packets uint64
}

// Learned reads how often what was found out about devices outside has been used.
func (s *Switch) Learned(ctx context.Context) ([]Learned, error) {
	stats, err := s.Flows(ctx, pipeline.KindLearned)
	if err != nil {
		return nil, err
	}
	var out []Learned
	for _, f := range stats {
		domain, _ := f.Match.Get(pipeline.Network.Bits.Field)
		l := Learned{Domain: uint32(domain.Lo), Packets: f.Packets}
		switch f.Table {
		case pipeline.Outside.ID:
			mac, _ := f.Match.Get(flow.EthSrc)
			l.Source, l.MAC = true, mac.MAC()
		case pipeline.NextHopMAC.ID:
			hop := Packet{meta: f.Match}
			l.Addr = hop.NextHop()
		default:
			continue
		}
		out = append(out, l)
	}
	return out, nil
}

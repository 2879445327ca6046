package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/ofctl/oftest"
	"github.com/openvnet/openvnet/services/nd"
)

// memory is a world in in-memory switches.
type memory struct {
	hosts    []*host
	switches []*oftest.Switch
	names    []map[flow.Port]string
	wire     *wire
	sent     []*oftest.Result // of the last packet-out
	// choose, if set, chooses the bucket of a select group.
	choose func(g *flow.Group, live []int) int
	traces []string // of the last step, if tracing
	trace  bool
}

// errDepth is of a packet that Open vSwitch would have to look up more often than it does. What becomes of it is not said.
var errDepth = errors.New("looked up too often")

// errNoEntry is of a frame that enters where there is nothing (any more).
var errNoEntry = errors.New("is not there")

var errRounds = errors.New("the frame goes round between hosts for ever")

// newMemory compiles a world and loads it; about noND see compileHosts.
func newMemory(w *World, noND, trace bool) (*memory, error) {
	hs, err := compileHosts(w, noND)
	if err != nil {
		return nil, err
	}
	return loadMemory(w, hs, trace)
}

func loadMemory(w *World, hs []*host, trace bool) (*memory, error) {
	m := &memory{hosts: hs, wire: newWire(w), trace: trace}
	for n, h := range hs {
		m.sent = append(m.sent, nil)
		opt := h.switchOptions(m, trace)
		opt.Sent = func(_ *ofp.PacketOut, r oftest.Result) { m.sent[n] = &r }
		sw := oftest.New(opt)
		full := h.state.Full()
		for _, msg := range ovs.Program(&full) {
			if err := sw.Apply(msg); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", h.datapath, ofp.Name(msg), err)
			}
		}
		m.switches, m.names = append(m.switches, sw), append(m.names, h.portNames())
	}
	return m, nil
}

func (h *host) switchOptions(m *memory, trace bool) oftest.Options {
	tables := map[uint8]string{}
	for _, t := range pipeline.Tables() {
		tables[t.ID] = t.Name
	}
	opt := oftest.Options{
		DatapathID: uint64(h.number), NoND: h.in.Bridge.NoND, Trace: trace, Names: flow.NewNames(tables, h.portNames()),
		Ports: []oftest.Port{
			{No: NICPort, Name: NIC}, {No: flow.PortLocal, Name: "br0"}, {No: GenevePort, Name: "ov-geneve", Kind: oftest.PortTunnel},
			{No: VXLANPort, Name: "ov-vxlan", Kind: oftest.PortTunnel}, {No: GREPort, Name: "ov-gre", Kind: oftest.PortTunnel},
		},
		Bucket: func(g *flow.Group, live []int) int {
			if m.choose == nil {
				return 0
			}
			return m.choose(g, live)
		},
	}
	for _, p := range h.ports {
		opt.Ports = append(opt.Ports, oftest.Port{No: flow.Port(p.Number), Name: p.Name})
	}
	return opt
}

// arrival is a frame that comes to a host.
type arrival struct {
	host    int
	pkt     oftest.Packet
	carried bool // from another host
}

// step runs one frame through all switches until nothing moves.
func (m *memory) step(s Step) (*Outcome, error) {
	at := slices.IndexFunc(m.hosts, func(h *host) bool { return h.datapath == s.Datapath })
	if at < 0 {
		return nil, fmt.Errorf("host %s: %w", s.Datapath, errNoEntry)
	}
	no, ok := flow.Port(0), false
	for n, name := range m.names[at] {
		if name == s.Port {
			no, ok = n, true
		}
	}
	if !ok {
		return nil, fmt.Errorf("port %s of %s: %w", s.Port, s.Datapath, errNoEntry)
	}
	m.traces = m.traces[:0]
	o, crossed := &Outcome{}, false
	queue := []arrival{{host: at, pkt: oftest.Packet{InPort: no, Frame: s.Frame}}}
	for n := 0; len(queue) > 0; n++ {
		if n > 200 {
			return nil, errRounds
		}
		a := queue[0]
		r := m.switches[a.host].Process(a.pkt)
		if m.trace {
			m.traces = append(m.traces, fmt.Sprintf("%s, in port %s:\n%s", m.hosts[a.host].datapath, m.names[a.host][a.pkt.InPort], r.Trace()))
		}
		if len(r.Errors) > 0 {
			if slices.ContainsFunc(r.Errors, func(e string) bool { return strings.Contains(e, "recirculation depth") }) {
				return nil, errDepth
			}
			return nil, fmt.Errorf("%s: %s", m.hosts[a.host].datapath, strings.Join(r.Errors, "; "))
		}
		on := m.outputs(a, &r, o)
		for _, a := range on { // hosts for which it is not drop it for reasons of their own
			crossed = crossed || a.pkt.InPort == NICPort
		}
		queue = append(queue[1:], on...)
		if why := pipeline.Cookie(r.LastCookie).Reason(); r.LastCookie != ^uint64(0) && why != reason.None {
			o.Drop = why
		}
	}
	if len(o.Deliveries)+len(o.Punts) > 0 || crossed {
		o.Drop = reason.None
	}
	o.sort()
	return o, nil
}

// outputs sorts what left a switch into deliveries, punts, and frames for other hosts.
func (m *memory) outputs(a arrival, r *oftest.Result, o *Outcome) []arrival {
	var on []arrival
	at := a.host
	dp := m.hosts[at].datapath
	for _, out := range r.Outputs {
		switch {
		case out.Port == GenevePort || out.Port == VXLANPort || out.Port == GREPort:
			if to, ok := m.wire.hosts[out.Tunnel.Dst]; ok {
				t := oftest.Tunnel{ID: out.Tunnel.ID, Src: HostAddr(at + 1), Dst: out.Tunnel.Dst}
				on = append(on, arrival{to, oftest.Packet{InPort: out.Port, Frame: out.Frame, Tunnel: t}, true})
			}
		case out.Port == NICPort && m.wire.between(out.Frame) && !(a.pkt.InPort == flow.PortLocal && bytes.Equal(a.pkt.Frame, out.Frame)): // but what the host itself sends
			owner, known := m.wire.standsFor[model.MAC(out.Frame[:6])]
			for to := range m.hosts {
				if to != at && (!known || to == owner) {
					on = append(on, arrival{to, oftest.Packet{InPort: NICPort, Frame: out.Frame}, true})
				}
			}
		case out.Port == flow.PortLocal && a.carried && m.wire.between(out.Frame):
			// the wire brings every host what is for one of them
		default:
			o.Deliveries = append(o.Deliveries, Delivery{dp, m.names[at][out.Port], out.Frame})
		}
	}
	for _, p := range r.PacketIns {
		if answer := m.answered(at, &p); answer != nil {
			on = append(on, m.outputs(a, answer, o)...)
			continue
		}
		o.punt(dp, p.Field(pipeline.Class.Bits.Field), p.Field(pipeline.NextHop.Bits.Field), p.Field(pipeline.Refused.Bits.Field), p.Data)
	}
	return on
}

// answered is what becomes of the agent's answer to a neighbour solicitation that the datapath cannot answer, nil for all other packets: part of what becomes of the frame,
// as elsewhere what the datapath answers is.
func (m *memory) answered(at int, p *oftest.PacketIn) *oftest.Result {
	if classOf(p.Field(pipeline.Class.Bits.Field)) != pipeline.PuntND {
		return nil
	}
	from := ovs.Packet{Network: uint32(p.Field(pipeline.Network.Bits.Field).Lo), Ingress: uint32(p.Field(pipeline.Ingress.Bits.Field).Lo)}
	m.sent[at] = &oftest.Result{}
	if out, err := ovs.PacketOut(nd.Answer(p.Data), from.Back()); err == nil {
		_ = m.switches[at].Apply(out) // what it refuses goes nowhere
	}
	return m.sent[at]
}

package verify

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/testenv/rig"
)

const (
	maxHosts = 3
	maxPorts = 24 // of a host, for guests and outside devices
	bridge   = "br0"
)

// realWorld is hosts of Open vSwitch, which serve one world after another.
type realWorld struct {
	rig   *rig.World
	hosts []*host
	wire  *wire
	names []map[string]string // of ports: the rig's to the world's

	entered []byte // the frame of the step, if it is of a host itself
}

// inside reports whether a frame that leaves by a NIC is for another host: one of a tunnel, or without encapsulation. What has entered and passes as it is, is not.
func (x *realWorld) inside(frame []byte) bool {
	return (x.wire.between(frame) || x.wire.tunnelled(frame)) && !bytes.Equal(frame, x.entered)
}

func startReal(ctx context.Context) (*realWorld, error) {
	var hosts []rig.HostOptions
	for n := 1; n <= maxHosts; n++ {
		h := rig.HostOptions{
			Name: fmt.Sprintf("dp-%d", n), MAC: HostMAC(n), Addresses: []netip.Prefix{netip.PrefixFrom(HostAddr(n), 24)}, Bridge: bridge, NIC: rig.Port{Name: NIC, OFPort: NICPort},
			Tunnels: []rig.Tunnel{
				{Port: rig.Port{Name: "ov-geneve", OFPort: GenevePort}, Kind: rig.Geneve}, {Port: rig.Port{Name: "ov-vxlan", OFPort: VXLANPort}, Kind: rig.VXLAN},
				{Port: rig.Port{Name: "ov-gre", OFPort: GREPort}, Kind: rig.GRE},
			},
		}
		for p := range maxPorts {
			h.Ports = append(h.Ports, rig.Port{Name: fmt.Sprintf("n%d", firstGuest+p), OFPort: flow.Port(firstGuest + p)})
		}
		hosts = append(hosts, h)
	}
	w, err := rig.Start(ctx, rig.Options{Hosts: hosts, PacketIns: true, Uncached: true, StopClock: true})
	if err != nil {
		return nil, err
	}
	return &realWorld{rig: w}, nil
}

func (x *realWorld) close() error { return x.rig.Close() }

// load empties the switches and programs them with a compiled world.
func (x *realWorld) load(ctx context.Context, w *World, hs []*host) error {
	if err := x.rig.Reset(ctx); err != nil {
		return err
	}
	x.hosts, x.wire, x.names = hs, newWire(w), nil
	x.rig.SetOutside(func(frame []byte) bool { return !x.inside(frame) })
	for n, h := range hs {
		var macs []model.MAC
		for m, host := range x.wire.standsFor {
			if host == n {
				macs = append(macs, m)
			}
		}
		x.rig.SetMACs(h.datapath, macs)
		names := map[string]string{NIC: NIC, bridge: Local}
		for _, p := range h.ports {
			names[fmt.Sprintf("n%d", p.Number)] = p.Name
		}
		x.names = append(x.names, names)
		full := h.state.Full()
		var meters, rest []ofp.Message
		for _, m := range ovs.Program(&full) {
			if mod, ok := m.(*ofp.MeterMod); ok {
				free := *mod // the clock stands still: what is used up would not come back
				free.Meter.Bands = []flow.Band{{Rate: 1_000_000, Burst: 1_000_000}}
				meters = append(meters, &free)
			} else {
				rest = append(rest, m)
			}
		}
		s := x.rig.Host(h.datapath).Session()
		if err := s.Send(ctx, meters); err != nil {
			return fmt.Errorf("%s: %w", h.datapath, err)
		}
		if err := s.Bundle(ctx, rest, conn.BundleOptions{Ordered: true, Atomic: true}); err != nil {
			return fmt.Errorf("%s: %w", h.datapath, err)
		}
	}
	return nil
}

// withoutAnswers gives the outcomes without one or all of what hosts of the rig may have answered themselves, as hosts do that are asked for their address.
func withoutAnswers(o *Outcome) iter.Seq[*Outcome] {
	byHost := func(d Delivery) bool { return d.Port != Local && answerOfHost(d.Frame) }
	return func(yield func(*Outcome) bool) {
		for n, d := range o.Deliveries {
			if byHost(d) && !yield(&Outcome{Punts: o.Punts, Drop: o.Drop, Deliveries: slices.Delete(slices.Clone(o.Deliveries), n, n+1)}) {
				return
			}
		}
		yield(&Outcome{Punts: o.Punts, Drop: o.Drop, Deliveries: slices.DeleteFunc(slices.Clone(o.Deliveries), byHost)})
	}
}

// step runs one frame.
func (x *realWorld) step(ctx context.Context, s Step) (*Outcome, error) {
	at := slices.IndexFunc(x.hosts, func(h *host) bool { return h.datapath == s.Datapath })
	if at < 0 {
		return nil, fmt.Errorf("there is no host %s", s.Datapath)
	}
	if x.entered = nil; s.Port == Local {
		x.entered = s.Frame
	}
	before, err := x.drops(ctx)
	if err != nil {
		return nil, err
	}
	r, err := x.rig.Inject(ctx, s.Datapath, x.portOf(at, s.Port), s.Frame)
	if err != nil {
		return nil, err
	}
	o := &Outcome{}
	for _, d := range append(r.Delivered, r.Local...) {
		if d.Port == bridge && x.wire.between(d.Frame) && !(d.Host == s.Datapath && bytes.Equal(d.Frame, s.Frame)) {
			continue // the wire brings every host what is for one of them
		}
		n := slices.IndexFunc(x.hosts, func(h *host) bool { return h.datapath == d.Host })
		o.Deliveries = append(o.Deliveries, Delivery{d.Host, x.names[n][d.Port], d.Frame})
	}
	crossed := false
	for _, t := range r.Wire {
		crossed = crossed || t.To != "" && x.wire.between(t.Sent)
		if t.To == "" && !x.inside(t.Sent) {
			o.Deliveries = append(o.Deliveries, Delivery{t.From, NIC, t.Sent})
		}
	}
	for _, p := range r.PacketIns {
		v, _ := p.Metadata.Get(pipeline.Class.Bits.Field)
		next, _ := p.Metadata.Get(pipeline.NextHop.Bits.Field)
		refused, _ := p.Metadata.Get(pipeline.Refused.Bits.Field)
		o.punt(p.Host, v, next, refused, p.Data)
	}
	if len(o.Deliveries)+len(o.Punts) == 0 && !crossed {
		after, err := x.drops(ctx)
		if err != nil {
			return nil, err
		}
		for why, n := range after {
			if n != before[why] {
				o.Drop = why
			}
		}
	}
	o.sort()
	return o, nil
}

// drops gives the counters of all hosts' drops by reason.
func (x *realWorld) drops(ctx context.Context) (map[reason.Reason]uint64, error) {
	counts := map[reason.Reason]uint64{}
	for _, h := range x.hosts {
		var f conn.FlowFilter
		f.Cookie, f.CookieMask = pipeline.KindCookie(pipeline.KindDrop)
		stats, err := x.rig.Host(h.datapath).Session().DumpFlowStats(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, s := range stats {
			counts[pipeline.Cookie(s.Flow.Cookie).Reason()] += s.Packets
		}
	}
	return counts, nil
}

// portOf gives the rig's name of a world's port.
func (x *realWorld) portOf(at int, name string) string {
	for there, here := range x.names[at] {
		if here == name {
			return there
		}
	}
	return name
}

// explain gives what Open vSwitch says of a frame's way through the first host.
func (x *realWorld) explain(ctx context.Context, s Step) string {
	at := slices.IndexFunc(x.hosts, func(h *host) bool { return h.datapath == s.Datapath })
	text, err := x.rig.Host(s.Datapath).TraceFrame(ctx, x.portOf(at, s.Port), s.Frame)
	for _, h := range x.hosts {
		for _, c := range [][]string{{"dpctl/dump-flows", "-m"}, {"dpctl/dump-conntrack"}} {
			out, derr := x.rig.Host(h.datapath).Control(ctx, c[0], c[1:]...)
			text, err = text+h.datapath+" "+c[0]+":\n"+out, errors.Join(err, derr)
		}
	}
	if err != nil {
		text += err.Error() + "\n"
	}
	return text
}

// tunnelled reports whether a frame is of a tunnel between two hosts.
func (x *wire) tunnelled(frame []byte) bool {
	if len(frame) < 38 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return false
	}
	_, from := x.hosts[netip.AddrFrom4([4]byte(frame[26:]))]
	return from && x.forTunnel(frame)
}

// forTunnel reports whether a frame is for the tunnel end of a host.
func (x *wire) forTunnel(frame []byte) bool {
	if len(frame) < 38 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return false
	}
	_, to := x.hosts[netip.AddrFrom4([4]byte(frame[30:]))]
	port := binary.BigEndian.Uint16(frame[36:])
	return to && (frame[23] == 47 || frame[23] == 17 && (port == genevePort || port == vxlanPort))
}

// UDP ports of tunnels (RFC 8926, RFC 7348).
const (
	genevePort = 6081
	vxlanPort  = 4789
)

// answerOfHost reports whether a frame is the answer of a host to a question of ARP: the one in the rig answers itself.
func answerOfHost(frame []byte) bool {
	return len(frame) >= 22 && frame[6] == 2 && frame[7] == 1 && binary.BigEndian.Uint16(frame[12:]) == 0x0806 && frame[21] == 2
}

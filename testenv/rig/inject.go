package rig

import (
	"context"
	"errors"
	"fmt"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/ofp"
)

// ErrLoop says that a frame went round in the underlay until it was stopped.
var ErrLoop = errors.New("frames go round in the underlay")

// maxArrivals bounds the frames that hosts get of the underlay because of one frame.
const maxArrivals = 1000

// Result is what became of a frame: in the order of hops, and of ports within a host.
type Result struct {
	Delivered []Delivery // left at ports for guests and outside devices
	Local     []Delivery // left at LOCAL, for the host's own stack, which there is none of
	Wire      []Transit  // passed through the underlay
	PacketIns []PacketIn // with Options.PacketIns
}

// Delivery is a frame that left a host.
type Delivery struct {
	Host  string
	Port  string
	Frame []byte
}

// Transit is a frame that a NIC sent: one for each host that it came to, or one with To "" if it came to none.
type Transit struct {
	From, To string
	Sent     []byte
	Received []byte // the same as Sent but for what a router changes; nil if To is ""
}

// PacketIn is a packet that a bridge sent to its controllers.
type PacketIn struct {
	Host string
	*ofp.PacketIn
}

// Inject puts a frame in at a port, any but a tunnel's, and gives what became of it when all hosts are quiet again. Frames
// that left before for another reason (packet-outs) are among them: Collect them first. After an error, Reset; after the end
// of ctx within a call the world, as with its other methods, can only be closed.
func (w *World) Inject(ctx context.Context, host, port string, frame []byte) (*Result, error) {
	i, ok := w.index[host]
	if !ok {
		return nil, fmt.Errorf("there is no host %s", host)
	}
	r := &Result{}
	if err := w.neighbours(ctx); err != nil {
		return r, err
	}
	left, err := w.hosts[i].send(ctx, port, frame)
	if err != nil {
		return r, err
	}
	return r, w.carry(ctx, r, i, left)
}

// Collect gives what became of packet-outs whose sessions have had a barrier answered.
func (w *World) Collect(ctx context.Context) (*Result, error) {
	r := &Result{}
	if err := w.neighbours(ctx); err != nil {
		return r, err
	}
	for i, h := range w.hosts {
		left, err := h.collect(ctx)
		if err != nil {
			return r, err
		}
		if err := w.carry(ctx, r, i, left); err != nil {
			return r, err
		}
	}
	return r, nil
}

// carry sorts what left a host, and takes what goes to the underlay on to other hosts until nothing does.
func (w *World) carry(ctx context.Context, r *Result, host int, left []arrival) error {
	visited := map[int]bool{host: true}
	queue := w.leave(r, host, left)
	for n := 0; len(queue) > 0; n++ {
		if n == maxArrivals {
			return ErrLoop
		}
		a := queue[0]
		queue = queue[1:]
		visited[a.host] = true
		left, err := w.hosts[a.host].send(ctx, a.port, a.frame)
		if err != nil {
			return err
		}
		queue = append(queue, w.leave(r, a.host, left)...)
	}
	if !w.opt.PacketIns {
		return nil
	}
	for i, h := range w.hosts {
		if !visited[i] {
			continue
		}
		in, err := h.packetIns(ctx)
		if err != nil {
			return err
		}
		for _, p := range in {
			r.PacketIns = append(r.PacketIns, PacketIn{h.opt.Name, p})
		}
	}
	return nil
}

// SetOutside has the underlay bring frames to no host for which outside is true: they are for others in the same physical network. nil: there is none.
func (w *World) SetOutside(outside func(frame []byte) bool) { w.outside = outside }

// SetMACs has the underlay know, from now on, which MAC addresses lead to a host besides its own.
func (w *World) SetMACs(host string, macs []model.MAC) {
	for i := range w.under.nodes {
		if w.under.nodes[i].Name == host {
			w.under.nodes[i].MACs = macs
		}
	}
}

// leave puts what left a host into the result, and gives what arrives at others.
func (w *World) leave(r *Result, host int, left []arrival) []arrival {
	o := &w.hosts[host].opt
	var queue []arrival
	for _, l := range left {
		switch l.port {
		case o.NIC.Name:
			var to []arrival
			if w.outside == nil || !w.outside(l.frame) {
				to = w.under.carry(host, l.frame)
			}
			for _, a := range to {
				r.Wire = append(r.Wire, Transit{o.Name, w.hosts[a.host].opt.Name, l.frame, a.frame})
			}
			if len(to) == 0 {
				r.Wire = append(r.Wire, Transit{From: o.Name, Sent: l.frame})
			}
			queue = append(queue, to...)
		case o.Bridge:
			r.Local = append(r.Local, Delivery{o.Name, l.port, l.frame})
		default:
			r.Delivered = append(r.Delivered, Delivery{o.Name, l.port, l.frame})
		}
	}
	return queue
}

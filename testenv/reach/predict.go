package reach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/oracle"
)

// Answers is who answered each probe: the name of a node, Itself, Refused, or "" for nobody.
type Answers map[Probe]string

const (
	// Itself is what answers in the name of gateways and services: the virtual network.
	Itself = "the network itself"
	// Refused is the answer to a TCP connection that a rule rejects, or that is for the network itself.
	Refused = "a refusal"
)

// Predict says who answers each probe, of which each is asked by itself, with nothing remembered of others.
func (n *Net) Predict(w *oracle.World, probes []Probe) (Answers, error) {
	as := make(Answers, len(probes))
	for k, p := range probes {
		var err error
		if as[p], err = n.predict(w, p, uint16(20000+k%40000)); err != nil {
			return nil, fmt.Errorf("%v: %w", p, err)
		}
	}
	return as, nil
}

// maxFrames ends what would go round for ever.
const maxFrames = 400

// play is one probe under way. Frames arrive at once: what a node sends has come to its end when send returns.
type play struct {
	net      *Net
	world    *oracle.World
	memory   oracle.Conversations
	probe    Probe
	from     *Node
	port     uint16 // the asker's, or the id of its echo
	known    map[neighbor]model.MAC
	answered string // who has answered last, whether or not the answer came back
	result   string
	frames   int
	err      error
}

// neighbor is an address as a node knows it.
type neighbor struct {
	node string
	addr netip.Addr
}

func (n *Net) predict(w *oracle.World, p Probe, port uint16) (string, error) {
	y := &play{net: n, world: w, probe: p, from: n.Node(p.From), port: port, known: map[neighbor]model.MAC{}, answered: Itself}
	question := datagram{from: y.from.source(p.To), to: p.To, proto: p.Proto, fromPort: port, toPort: p.Port}
	y.sendIP(y.from, question)
	return y.result, y.err
}

// sendIP sends a packet to its next hop, which is asked for first.
func (y *play) sendIP(n *Node, d datagram) {
	hop := n.nextHop(d.to)
	if !hop.IsValid() {
		return
	}
	if _, ok := y.known[neighbor{n.Name, hop}]; !ok {
		y.send(n)(who(n.MAC, n.source(hop), hop))
	}
	if mac, ok := y.known[neighbor{n.Name, hop}]; ok {
		y.send(n)(d.frame(n.MAC, mac))
	}
}

// send lets a node send a frame that could be built, and follows it and all that comes of it.
func (y *play) send(n *Node) func(frame []byte, err error) {
	return func(frame []byte, err error) {
		switch {
		case err != nil:
			y.err = errors.Join(y.err, err)
		case n.Wire == "":
			y.enter(n.At, frame)
		case n.VLAN != 0:
			y.carry(n.Wire, oracle.Entry{}, n, tag(frame, n.VLAN))
		default:
			y.carry(n.Wire, oracle.Entry{}, n, frame)
		}
	}
}

// enter has the oracle judge a frame, and hands over what it delivers. Of outcomes of which each is right the first is followed.
func (y *play) enter(e oracle.Entry, frame []byte) {
	if y.frames++; y.frames > maxFrames {
		return
	}
	o := y.world.Judge(e, frame, &y.memory)[0]
	y.memory.Learn(o)
	for _, p := range o.Punts {
		if d := read(frame).datagram; p.Class == oracle.PuntReject && d.proto == TCP && !d.answer && y.result == "" {
			y.result = Refused
		}
	}
	y.arrive(o.Deliveries)
	if len(o.Resets) > 0 {
		y.answered = Refused
		y.arrive(o.Resets)
	}
}

// arrive hands over what comes out of ports.
func (y *play) arrive(ds []oracle.Delivery) {
	for _, d := range ds {
		at := oracle.Entry{Datapath: d.Datapath, Port: d.Port}
		for i := range y.net.Nodes {
			if n := &y.net.Nodes[i]; n.Wire == "" && n.At == at {
				y.receive(n, d.Frame)
			}
		}
		for wire, ports := range y.net.Wires {
			if slices.Contains(ports, at) {
				y.carry(wire, at, nil, d.Frame)
			}
		}
	}
}

// carry hands a frame to all that are on a wire, but its sender: a port, or a machine.
func (y *play) carry(wire string, port oracle.Entry, sender *Node, frame []byte) {
	for i := range y.net.Nodes {
		n := &y.net.Nodes[i]
		if n == sender || n.Wire != wire {
			continue
		}
		if f, vlan := untag(frame); vlan == n.VLAN {
			y.receive(n, f)
		}
	}
	for _, e := range y.net.Wires[wire] {
		if e != port {
			y.enter(e, frame)
		}
	}
}

// receive is what a node's stack does with a frame.
func (y *play) receive(n *Node, frame []byte) {
	m := read(frame)
	if m.dst != n.MAC && !m.dst.IsMulticast() {
		return
	}
	switch {
	case m.kind == asks && n.has(m.target):
		y.known[neighbor{n.Name, m.sender}] = m.senderMAC // as every stack learns from who asks it
		y.send(n)(here(n.MAC, m.target, m.senderMAC, m.sender))
	case m.kind == tells && m.dst == n.MAC:
		y.known[neighbor{n.Name, m.target}] = m.senderMAC
	case m.kind == carries && n.has(m.datagram.to):
		y.take(n, m.datagram)
	}
}

// take answers a question, or is content with an answer.
func (y *play) take(n *Node, d datagram) {
	if !d.answer {
		y.answered = n.Name
		y.sendIP(n, datagram{from: d.to, to: d.from, proto: d.proto, fromPort: d.toPort, toPort: d.fromPort, answer: true})
		return
	}
	same := d.from == y.probe.To && d.proto == y.probe.Proto && d.toPort == y.port && (d.proto == Ping || d.fromPort == y.probe.Port)
	if n == y.from && same {
		y.result = y.answered
	}
}

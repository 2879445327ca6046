package oracle

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/reason"
)

// Outcome is what becomes of a frame. What hosts exchange between themselves is not in it. The lists are sorted; equal elements count.
type Outcome struct {
	Deliveries []Delivery
	Punts      []Punt
	Drops      []Drop // where and why copies of it ended
	// Resets are what comes of the TCP resets by which the network itself answers: of packets to a router or a simulated interface. Of their frames addresses and ports are right.
	Resets []Delivery
	memos  []memo // for Conversations.Learn
}

// Delivery is a frame that comes out: at a guest's port, at an outside attachment's, at a host's uplink into the physical network, or at Local.
// An answer comes out where the question came in. The frame may share memory with the one that was judged.
type Delivery struct {
	Datapath string
	Port     string
	Frame    []byte
}

// Punt is something that a host's agent is told, and does the rest of.
type Punt struct {
	Class     PuntClass
	Datapath  string
	Interface string        // whose question it is, or whose rule; of PuntNeighbor and PuntError the leg
	Told      reason.Reason // of PuntError: why the packet was dropped, which its sender is told
}

// PuntClass says what the agent is told for.
type PuntClass string

// The classes.
const (
	PuntDHCP     PuntClass = "dhcp4"    // a DHCP request
	PuntDHCP6    PuntClass = "dhcp6"    // a DHCPv6 request
	PuntRA       PuntClass = "ra"       // a router solicitation
	PuntClaim    PuntClass = "claim"    // a guest asks whether an address is free, to take it, or says that it has one
	PuntDNS      PuntClass = "dns"      // a question for a name
	PuntNeighbor PuntClass = "neighbor" // a packet that waits for a device outside to answer who it is
	PuntReject   PuntClass = "reject"   // a packet whose sender is to be told that a rule rejects it; it is among the drops too
	PuntError    PuntClass = "error"    // a packet that was dropped, whose sender is told why; it is among the drops too
	PuntMetadata PuntClass = "metadata" // a guest asks for its metadata
	PuntLog      PuntClass = "log"      // a packet that was judged by a rule which logs
)

// Drop is a copy that ended.
type Drop struct {
	Datapath  string
	Reason    reason.Reason
	Interface string // whose guard, filter, route or missing port it was; "" if none's
}

// MaxOutcomes is how many outcomes Judge gives at most.
const MaxOutcomes = 64

// Judge says what becomes of a frame that enters: one outcome, or several of which each is right, where routes are of equal cost or where a
// masquerade needs another port because the packet's own is taken. Of such ports chosen names those that an executor was seen to take, so that
// there is an outcome for each that is free; without any, there is one with the next free port. c, which may be nil, is what filters and
// routers remember; it is not changed. It is safe for concurrent use while nobody learns.
func (w *World) Judge(e Entry, frame []byte, c *Conversations, chosen ...uint16) []Outcome {
	if c == nil {
		c = &Conversations{}
	}
	var outcomes []Outcome
	scripts := [][]int{nil}
	for ; len(scripts) > 0 && len(outcomes) < MaxOutcomes; scripts = scripts[1:] {
		p := parse(frame)
		r := run{w: w, c: c, chosen: chosen, script: scripts[0], entered: p.flow()}
		r.enter(e, p)
		r.out.sort()
		outcomes = append(outcomes, r.out)
		scripts = append(scripts, r.otherwise()...)
	}
	return outcomes
}

// run follows a frame once, with one decision at each choice.
type run struct {
	w       *World
	c       *Conversations
	chosen  []uint16
	from    origin
	entered tuple
	// untracked is the filter that the packet has met last among what remembers, if it was neither of a conversation there nor can begin one. Open: if it comes back
	// to that filter at once, it is no answer there.
	untracked allowance
	out       Outcome
	script    []int // what to decide at the choices met, 0 at later ones
	widths    []int // how much there was to choose from
}

// origin is where a frame came in.
type origin struct {
	host  *host
	port  string
	iface *iface      // whose port it is; nil for a NIC
	at    *attachment // nil for a guest and for the host itself
}

// guest reports whether the frame is of a guest, or of the host as one in an internal network.
func (o *origin) guest() bool {
	return o.iface != nil && (o.iface.Mode == model.InterfaceVIF || o.iface.Mode == model.InterfaceInternal)
}

// choose decides between n possibilities.
func (r *run) choose(n int) int {
	if n == 1 {
		return 0
	}
	k := len(r.widths)
	r.widths = append(r.widths, n)
	if k < len(r.script) {
		return r.script[k]
	}
	return 0
}

// otherwise gives the decisions of the runs that differ from this one for the first time at a choice after its script: at the first choices first.
func (r *run) otherwise() [][]int {
	var scripts [][]int
	for k := len(r.script); k < len(r.widths); k++ {
		taken := make([]int, k+1) // what is not in the script was 0
		copy(taken, r.script)
		for n := 1; n < r.widths[k]; n++ {
			taken[k] = n
			scripts = append(scripts, slices.Clone(taken))
		}
	}
	return scripts
}

func (r *run) drop(h *host, why reason.Reason, i *iface) {
	r.out.Drops = append(r.out.Drops, Drop{h.uuid, why, i.name()})
}

func (r *run) punt(class PuntClass, h *host, i *iface) {
	r.out.Punts = append(r.out.Punts, Punt{Class: class, Datapath: h.uuid, Interface: i.name()})
}

// refuse drops a packet, whose sender is told why.
func (r *run) refuse(h *host, why reason.Reason, i *iface) {
	r.drop(h, why, i)
	r.out.Punts = append(r.out.Punts, Punt{PuntError, h.uuid, i.name(), why})
}

// reset follows the TCP reset that answers a packet, from where send sends it. What it meets remembers what the packet has begun.
func (r *run) reset(p packet, send func(*run, packet)) {
	if p.proto != protoTCP || !p.hasPorts || p.frame[p.l4+13]&0x04 != 0 { // a reset is not answered
		return
	}
	p.own()
	p.begun, p.through = nil, nil
	from, to, fromPort, toPort := p.from, p.to, p.fromPort, p.toPort
	p.setFrom(to)
	p.setTo(from)
	p.setFromPort(toPort)
	p.setToPort(fromPort)
	p.setTTL(64)
	p.setMACs(p.src, p.dst)
	p.frame[p.l4+13] = 0x14 // RST, ACK
	p.syn, p.synAck, p.ack = false, false, true
	answer := run{w: r.w, c: r.c, from: origin{host: r.from.host}, entered: r.entered}
	answer.out.memos = slices.Clone(r.out.memos)
	send(&answer, p)
	r.out.Resets = append(r.out.Resets, answer.out.Deliveries...)
}

// name gives the interface's uuid, "" for none.
func (i *iface) name() string {
	if i == nil {
		return ""
	}
	return i.UUID
}

// handOver delivers a frame to an interface's port, and copies to its mirrors.
func (r *run) handOver(i *iface, frame []byte) {
	r.out.Deliveries = append(r.out.Deliveries, Delivery{i.location.uuid, i.port, frame})
	r.mirror(i, model.MirrorIngress, frame)
}

// answer gives a frame to whoever asked.
func (r *run) answer(frame []byte) {
	switch o := &r.from; {
	case o.iface == nil:
		r.out.Deliveries = append(r.out.Deliveries, Delivery{o.host.uuid, o.port, frame})
	case o.at != nil && o.at.vlan != 0:
		r.handOver(o.iface, tag(frame, o.at.vlan))
	default:
		r.handOver(o.iface, frame)
	}
}

// mirror is a target of copies.
type mirror struct {
	target    *iface
	direction string
}

func (w *World) addMirrors() {
	for m := range each[*model.Mirror](w.g, model.Mirrors) {
		source, target := w.interfaces[m.InterfaceUUID], w.interfaces[m.TargetInterfaceUUID]
		if source != nil && target != nil && source.Mode == model.InterfaceVIF && target.Mode == model.InterfaceVIF {
			source.mirrors = append(source.mirrors, mirror{target, m.Direction})
		}
	}
}

// mirror gives the interface's mirrors a copy of what it sends or gets.
//
// Open: a target without a port gets none, and that is no drop.
func (r *run) mirror(i *iface, direction string, frame []byte) {
	for _, m := range i.mirrors {
		if (m.direction == direction || m.direction == model.MirrorBoth) && m.target.port != "" {
			r.out.Deliveries = append(r.out.Deliveries, Delivery{m.target.location.uuid, m.target.port, frame})
		}
	}
}

func (o *Outcome) sort() {
	slices.SortFunc(o.Deliveries, func(a, b Delivery) int {
		return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Port, b.Port), bytes.Compare(a.Frame, b.Frame))
	})
	slices.SortFunc(o.Punts, func(a, b Punt) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Told, b.Told))
	})
	slices.SortFunc(o.Drops, func(a, b Drop) int {
		return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Interface, b.Interface))
	})
}

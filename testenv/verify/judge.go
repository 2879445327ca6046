package verify

import (
	"encoding/binary"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/oracle"
	"github.com/openvnet/openvnet/model/reason"
)

// judge is the oracle with what it remembers.
type judge struct {
	world *oracle.World
	seen  *oracle.Conversations
	// restores says that hosts put the MAC address that a multicast frame is for into it again, from its IP address: without encapsulation it gets lost between them.
	restores bool
}

func newJudge(w *World) *judge {
	env := oracle.Environment{Hosts: map[string]oracle.Host{}, Neighbors: map[oracle.Neighbor]model.MAC{}}
	for _, n := range w.neighbors() {
		env.Neighbors[oracle.Neighbor{Domain: n.domain, Address: n.addr}] = n.mac
	}
	for _, dp := range w.Hosts() {
		h := oracle.Host{Uplink: NIC}
		for _, p := range w.PortsOf(dp) {
			h.Ports = append(h.Ports, oracle.Port{Name: p.Name, IfaceID: p.IfaceID})
		}
		env.Hosts[dp] = h
	}
	return &judge{oracle.New(w.Graph(), env), &oracle.Conversations{}, w.unencapsulated()}
}

const or = "or\n" // between outcomes of which each is right

// judge compares what became of a step with what may become of it. It gives "" and remembers if they agree, else what the oracle says.
func (j *judge) judge(s Step, got *Outcome) string {
	verdicts := j.world.Judge(oracle.Entry{Datapath: s.Datapath, Port: s.Port}, s.Frame, j.seen, chosen(got)...)
	if j.restores {
		got = got.restored()
	}
	want := ""
	var right []oracle.Outcome
	for i := range verdicts {
		o := outcome(&verdicts[i])
		if j.restores {
			o = o.restored()
		}
		if o.equal(got) {
			right = append(right, verdicts[i])
		}
		if i > 0 {
			want += or
		}
		want += o.String()
	}
	if len(right) > 0 {
		j.seen.Learn(right[0], right[1:]...)
		return ""
	}
	return want
}

// chosen gives the ports and identifiers of what was delivered: a masquerade may have chosen them.
func chosen(o *Outcome) []uint16 {
	var ports []uint16
	for _, d := range o.Deliveries {
		p := gopacket.NewPacket(d.Frame, layers.LayerTypeEthernet, gopacket.NoCopy)
		for _, l := range p.Layers() {
			switch l := l.(type) {
			case *layers.TCP:
				ports = append(ports, uint16(l.SrcPort))
			case *layers.UDP:
				ports = append(ports, uint16(l.SrcPort))
			case *layers.ICMPv4:
				ports = append(ports, l.Id)
			case *layers.ICMPv6:
				if b := l.LayerPayload(); len(b) >= 2 {
					ports = append(ports, binary.BigEndian.Uint16(b))
				}
			}
		}
	}
	return ports
}

// outcome puts an outcome of the oracle into the words that executors share.
func outcome(o *oracle.Outcome) *Outcome {
	out := &Outcome{}
	for _, d := range o.Deliveries {
		out.Deliveries = append(out.Deliveries, Delivery{d.Datapath, d.Port, d.Frame})
	}
	for _, p := range o.Punts {
		out.Punts = append(out.Punts, Punt{p.Datapath, told(string(p.Class), p.Told)})
	}
	if len(out.Deliveries)+len(out.Punts) == 0 && len(o.Drops) > 0 {
		out.Drop = o.Drops[0].Reason
		if slices.ContainsFunc(o.Drops, func(d oracle.Drop) bool { return d.Reason != out.Drop }) {
			out.Drop = reason.None // copies of it ended for several reasons
		}
	}
	out.sort()
	return out
}

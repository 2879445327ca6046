package verify

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Outcome is what an executor makes of a step.
type Outcome struct {
	Deliveries []Delivery
	Punts      []Punt
	// Drop is why the frame went nowhere at all; reason.None if it went somewhere, or if the executor cannot tell.
	Drop reason.Reason
}

// Punt is a packet for the agent of a host.
type Punt struct {
	Datapath string
	Class    string // of an error with the reason
}

// punt adds a packet for an agent, whose class stands in a register. Copies by which an agent only learns something are no part of what becomes of a frame: where MAC addresses outside are, who
// is in a multicast group, who has an address.
func (o *Outcome) punt(datapath string, register, nextHop, refused flow.Value, frame []byte) {
	class := classOf(register)
	hears := class == pipeline.PuntNeighbor && nextHop == flow.Value{} && discovery(frame)
	if class != pipeline.PuntLearn && class != pipeline.PuntMembers && !hears {
		o.Punts = append(o.Punts, Punt{datapath, told(class.String(), reason.Reason(refused.Lo&0xff))})
	}
}

// told adds to a class what the sender is told of, if anything.
func told(class string, why reason.Reason) string {
	if why == reason.None {
		return class
	}
	return class + " " + why.String()
}

// classOf gives the class that stands in a register.
func classOf(register flow.Value) pipeline.PuntClass {
	return pipeline.PuntClass(register.Lo >> pipeline.Class.Bits.Ofs & (1<<pipeline.Class.Bits.Bits - 1))
}

// discovery reports whether a frame is of ARP, or an ND advertisement.
func discovery(frame []byte) bool {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	if p.Layer(layers.LayerTypeARP) != nil {
		return true
	}
	c, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	return ok && c.TypeCode.Type() == layers.ICMPv6TypeNeighborAdvertisement
}

// restored gives the frame, if it is a multicast one, for the MAC address that follows from its IP address (RFC 1112, section 6.4; RFC 2464, section 7), or else for
// the broadcast one.
func restored(f []byte) []byte {
	if len(f) < 14 || f[0]&1 == 0 {
		return f
	}
	to := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	switch kind := binary.BigEndian.Uint16(f[12:]); {
	case kind == 0x0800 && len(f) >= 34 && f[30]>>4 == 0xe:
		to = []byte{0x01, 0x00, 0x5e, f[31] & 0x7f, f[32], f[33]}
	case kind == 0x86dd && len(f) >= 54 && f[38] == 0xff:
		to = append([]byte{0x33, 0x33}, f[50:54]...)
	}
	return append(to, f[6:]...)
}

// restored gives the outcome with its frames restored.
func (o *Outcome) restored() *Outcome {
	out := &Outcome{Punts: o.Punts, Drop: o.Drop}
	for _, d := range o.Deliveries {
		d.Frame = restored(d.Frame)
		out.Deliveries = append(out.Deliveries, d)
	}
	out.sort()
	return out
}

// sort puts an outcome into an order in which equal ones are equal.
func (o *Outcome) sort() {
	slices.SortFunc(o.Deliveries, func(a, b Delivery) int {
		return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Port, b.Port), bytes.Compare(a.Frame, b.Frame))
	})
	slices.SortFunc(o.Punts, func(a, b Punt) int {
		return cmp.Or(cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Class, b.Class))
	})
}

// isNothing reports whether nothing is seen of what became of the frame.
func (o *Outcome) isNothing() bool {
	return len(o.Deliveries)+len(o.Punts) == 0 && o.Drop == reason.None
}

// equal reports whether two sorted outcomes are the same. Reasons count where both have one.
func (o *Outcome) equal(p *Outcome) bool {
	return slices.EqualFunc(o.Deliveries, p.Deliveries, func(a, b Delivery) bool {
		return a.Datapath == b.Datapath && a.Port == b.Port && bytes.Equal(a.Frame, b.Frame)
	}) && slices.Equal(o.Punts, p.Punts) && (o.Drop == p.Drop || o.Drop == reason.None || p.Drop == reason.None)
}

// String gives the outcome for people.
func (o *Outcome) String() string {
	var b strings.Builder
	for _, d := range o.Deliveries {
		fmt.Fprintf(&b, "  %s %s gets %s\n", d.Datapath, d.Port, describe(d.Frame))
	}
	for _, p := range o.Punts {
		fmt.Fprintf(&b, "  the agent of %s gets a packet for %s\n", p.Datapath, p.Class)
	}
	if o.Drop != reason.None {
		fmt.Fprintf(&b, "  dropped: %s\n", o.Drop)
	}
	if b.Len() == 0 {
		return "  nothing\n"
	}
	return b.String()
}

package flow

import "net/netip"

// Action is one action or instruction of a flow: one of the struct types of this file. Where several names exist the
// Go name says what happens and the comment gives the name in ovs-actions(7).
type Action interface{ isAction() }

// Output sends the packet to a port (output). To send it to the controller use Controller.
type Output struct{ Port Port }

// OutputReg sends the packet to the port whose number is in the subfield (output:NXM_NX_REG0[]).
type OutputReg struct{ Src Subfield }

// OutputTrunc sends the first MaxLen bytes of the packet to a port (output(port=P,max_len=N)). MaxLen is at least 14.
type OutputTrunc struct {
	Port   Port
	MaxLen uint32
}

// Controller sends the packet to the controller (controller). Its zero value sends the whole packet as an action.
type Controller struct {
	MaxLen   uint16 // bytes of the packet; 0: all of it
	NoData   bool   // no byte of the packet (max_len=0)
	ID       uint16 // id of the controller connection (ofp.SetControllerID)
	Reason   Reason
	Userdata []byte // given back in the packet-in
	Meter    uint32 // meter that limits the packet-ins; 0: none
	Pause    bool   // with a continuation, by which the controller lets the packet go on
}

// Reason says why a packet is sent to the controller. The zero Reason is ReasonAction.
type Reason uint8

// Reasons of packet-ins. The numbers on the wire (OFPR_*) have the first two in the other order.
const (
	ReasonAction Reason = iota
	ReasonNoMatch
	ReasonInvalidTTL
	ReasonActionSet
	ReasonGroup
	ReasonPacketOut
)

// Wire gives the number of OFPR_*; ReasonFromWire is its inverse.
func (r Reason) Wire() uint8 {
	if r <= ReasonNoMatch {
		return uint8(r) ^ 1
	}
	return uint8(r)
}

// ReasonFromWire gives the Reason of a number of OFPR_*.
func ReasonFromWire(n uint8) Reason { return Reason(Reason(n).Wire()) }

// SetField writes the bits of a field that are in its mask (set_field; what other tools dump as load). It is made by a
// conversion: SetField(EthDst.MAC(m)), SetField(Reg(0).Bits(0, 24).Is(5)).
type SetField Pred

// Load writes the value v to the subfield; it is SetField(s.Is(v)).
func Load(s Subfield, v uint64) SetField { return SetField(s.Is(v)) }

// Move copies a subfield to another of the same size (move).
type Move struct{ Src, Dst Subfield }

// PushVLAN pushes an empty VLAN tag (push_vlan). EtherType is 0x8100 or 0x88a8.
type PushVLAN struct{ EtherType uint16 }

// PopVLAN removes the outer VLAN tag (pop_vlan).
type PopVLAN struct{}

// DecTTL decrements the TTL or hop limit; a packet whose TTL is up is sent to the controller instead (dec_ttl).
type DecTTL struct{}

// SetTTL sets the TTL or hop limit (mod_nw_ttl).
type SetTTL struct{ TTL uint8 }

// SetQueue selects the queue of later outputs (set_queue).
type SetQueue struct{ Queue uint32 }

// PopQueue goes back to the queue that was selected when the packet came (pop_queue). Enqueue of OpenFlow 1.0 is SetQueue,
// Output, PopQueue.
type PopQueue struct{}

// ToGroup gives the packet to a group (group).
type ToGroup struct{ Group uint32 }

// ToMeter gives the packet to a meter, which may drop it (meter). In OpenFlow 1.5 it is an action.
type ToMeter struct{ Meter uint32 }

// Resubmit looks the packet up in a table and comes back (resubmit(port,table)).
type Resubmit struct {
	Port  Port  // in_port of the lookup; 0: unchanged
	Table uint8 // 255: the current table
	CT    bool  // with the addresses of the connection's original direction (resubmit(port,table,ct))
}

// GotoTable goes on in a later table after all actions; it is an instruction and comes last (goto_table).
type GotoTable struct{ Table uint8 }

// WriteMetadata sets bits of Metadata; an instruction (write_metadata). A Mask of 0 means all bits.
type WriteMetadata struct{ Value, Mask uint64 }

// ClearActions empties the action set; an instruction (clear_actions).
type ClearActions struct{}

// WriteActions adds to the action set; an instruction (write_actions).
type WriteActions struct{ Actions []Action }

// Clone runs actions on a copy of the packet (clone).
type Clone struct{ Actions []Action }

// CT gives the packet to the connection tracker (ct).
type CT struct {
	Commit  bool
	Force   bool     // needs Commit
	Zone    uint16   // zone, unless ZoneSrc is set
	ZoneSrc Subfield // zone from 16 bits of a field
	Recirc  bool     // go on in Table with the connection's state
	Table   uint8
	NAT     *NAT     // address translation
	Exec    []Action // SetField and Move of CTMark and CTLabel, with Commit
	ALG     uint16   // port number of a protocol helper: 21 ftp, 69 tftp
}

// NAT translates addresses in a CT action (nat). With NATRestore it only applies what the connection has already.
type NAT struct {
	Kind             NATKind
	AddrMin, AddrMax netip.Addr // range; AddrMax may be zero
	PortMin, PortMax uint16     // range; 0: any
	Persistent       bool
	Hash             bool
	Random           bool
}

// NATKind says what a NAT action translates.
type NATKind uint8

// Kinds of NAT.
const (
	NATRestore NATKind = iota // nat
	NATSrc                    // nat(src=...)
	NATDst                    // nat(dst=...)
)

// CTClear forgets the connection's state of the packet (ct_clear).
type CTClear struct{}

// Learn adds or changes a flow (learn).
type Learn struct {
	Table          uint8
	Priority       uint16
	IdleTimeout    uint16 // seconds
	HardTimeout    uint16 // seconds
	FinIdleTimeout uint16 // seconds, after FIN or RST
	FinHardTimeout uint16 // seconds, after FIN or RST
	Cookie         uint64
	SendFlowRem    bool
	DeleteLearned  bool     // remove the learned flows with this one
	Limit          uint32   // most learned flows; 0: no limit
	ResultDst      Subfield // one bit: set if the flow was learned
	Specs          []LearnSpec
}

// LearnSpec is one part of the flow that Learn makes. The sizes of Dst and Src are equal.
type LearnSpec struct {
	Op    LearnOp
	Dst   Subfield // none for LearnOutput
	Src   Subfield // none: take Value
	Value Value
}

// LearnOp says what becomes of a LearnSpec.
type LearnOp uint8

// Uses of a LearnSpec.
const (
	LearnMatch  LearnOp = iota // Dst=Src: match on Dst with the value of Src in this packet, or with Value
	LearnLoad                  // load:Src->Dst: action that sets Dst to the value of Src in this packet, or to Value
	LearnOutput                // output:Src: action that sends to the port in Src
)

// Conjunction says that the flow is one of the alternatives of clause Clause of N of the conjunctive match ID, which a
// flow with ConjID completes (conjunction(ID,Clause/N)). Clause counts from 1 as in the text form.
type Conjunction struct {
	ID     uint32
	Clause uint8
	N      uint8
}

// Note does nothing; it holds data (note). Open vSwitch pads it with zeros to 6, 14, 22 ... bytes.
type Note struct{ Data []byte }

// CheckPktLarger sets the bit Dst if the packet is larger than Len bytes, Ethernet header included
// (check_pkt_larger(Len)->Dst).
type CheckPktLarger struct {
	Len uint16
	Dst Subfield
}

// FinTimeout lowers the flow's timeouts when it sees FIN or RST (fin_timeout). Seconds; 0: unchanged.
type FinTimeout struct{ Idle, Hard uint16 }

// Push and Pop move a subfield to and from a stack (push, pop).
type Push struct{ Src Subfield }

// Pop takes the top of the stack to a subfield (pop).
type Pop struct{ Dst Subfield }

// DeleteField removes a tunnel metadata field (delete_field).
type DeleteField struct{ Field Field }

// Exit ends the processing of the packet, also in the tables that resubmitted it (exit).
type Exit struct{}

// Unknown is an action that this package does not know, as it was on the wire.
type Unknown struct{ Bytes []byte }

func (Output) isAction()         {}
func (OutputReg) isAction()      {}
func (OutputTrunc) isAction()    {}
func (Controller) isAction()     {}
func (SetField) isAction()       {}
func (Move) isAction()           {}
func (PushVLAN) isAction()       {}
func (PopVLAN) isAction()        {}
func (DecTTL) isAction()         {}
func (SetTTL) isAction()         {}
func (SetQueue) isAction()       {}
func (PopQueue) isAction()       {}
func (ToGroup) isAction()        {}
func (ToMeter) isAction()        {}
func (Resubmit) isAction()       {}
func (GotoTable) isAction()      {}
func (WriteMetadata) isAction()  {}
func (ClearActions) isAction()   {}
func (WriteActions) isAction()   {}
func (Clone) isAction()          {}
func (CT) isAction()             {}
func (NAT) isAction()            {}
func (CTClear) isAction()        {}
func (Learn) isAction()          {}
func (Conjunction) isAction()    {}
func (Note) isAction()           {}
func (CheckPktLarger) isAction() {}
func (FinTimeout) isAction()     {}
func (Push) isAction()           {}
func (Pop) isAction()            {}
func (DeleteField) isAction()    {}
func (Exit) isAction()           {}
func (Unknown) isAction()        {}

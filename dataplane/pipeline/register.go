package pipeline

import (
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Register is a named run of bits of a register.
type Register struct {
	Name string
	Bits flow.Subfield
	Doc  string
}

// Is gives the predicate that the register has the value.
func (r Register) Is(v uint32) flow.Pred { return r.Bits.Is(uint64(v)) }

// IsValue is Is for registers of more than 32 bits.
func (r Register) IsValue(v flow.Value) flow.Pred { return r.Bits.IsValue(v) }

// Set gives the action that sets the register.
func (r Register) Set(v uint32) flow.Action { return flow.Load(r.Bits, uint64(v)) }

// SetValue is Set for registers of more than 32 bits.
func (r Register) SetValue(v flow.Value) flow.Action { return flow.SetField(r.Bits.IsValue(v)) }

// The registers. Bits that are not declared are zero.
var (
	Network    = Register{"network", flow.Reg(0).Bits(0, 32), "domain that the packet is in: the VNI of a virtual network or segment; a number of LocalDomain for others"}
	Ingress    = Register{"ingress", flow.Reg(1).Bits(0, 32), "id of the interface that sent the packet; 0 if it came from another host or has been routed"}
	Egress     = Register{"egress", flow.Reg(2).Bits(0, 32), "id of the interface that gets the packet, of the leg that routes it; in table transport of the datapath"}
	Remote     = Register{"remote", flow.Reg(3).Bit(0), "1 if the packet came from another host"}
	FromOut    = Register{"from_outside", flow.Reg(3).Bit(1), "1 if the packet came from a device outside that nobody registered"}
	Sized      = Register{"sized", flow.Reg(3).Bit(2), "1 if table l3_out has looked whether the packet is too big for the network that it leaves into"}
	Oversize   = Register{"oversize", flow.Reg(3).Bit(3), "1 if it is"}
	Verdict    = Register{"verdict", flow.Reg(3).Bits(4, 2), "why a packet was refused that may be an answer: 0 by no rule, 1 by one that drops, 2 by one that rejects"}
	WholeOut   = Register{"whole_out", flow.Reg(3).Bit(6), "1 of a fragment that has been in the connection tracker with its siblings before table out_rules judges it"}
	WholeIn    = Register{"whole_in", flow.Reg(3).Bit(7), "the same before table in_rules"}
	Class      = Register{"class", flow.Reg(3).Bits(8, 8), "why a packet goes to the agent: a class, see below"}
	Hops       = Register{"hops", flow.Reg(3).Bits(16, 16), "as many bits, from the lowest, as the packet has met routers on this host"}
	RouteLink  = Register{"route_link", flow.Reg(4).Bits(0, 24), "VNI of the route link that the packet is in"}
	Zero       = Register{"zero", flow.Reg(4).Bits(24, 4), "always 0: flows that differ in nothing else than how many of these bits they look at share a list that is too long for one"}
	FilterZone = Register{"filter_zone", flow.Reg(5).Bits(0, 16), "connection tracking zone of the static filter"}
	GroupZone  = Register{"group_zone", flow.Reg(5).Bits(16, 16), "connection tracking zone of the security groups"}
	RuleSet    = Register{"rule_set", flow.XReg(3).Bits(0, 64), "the number of the interface's security groups together, a hash of their names; 0 for none"}
	Subnet     = Register{"subnet", flow.Reg(12).Bits(0, 32), "id of the network that the route leads to, through the leg in egress"}
	Refused    = Register{"refused", flow.Reg(13).Bits(0, 8), "why a packet is dropped whose sender the agent is to tell: the number of a drop reason"}
	NextHop    = Register{"next_hop", flow.XXReg(2).Bits(0, 128), "address of the next hop; of IPv4 in the lowest 32 bits"}
)

// NextHop4 is the part of NextHop that holds an IPv4 address.
var NextHop4 = Register{NextHop.Name, flow.Reg(11).Bits(0, 32), NextHop.Doc}

// Registers gives all registers in order of their bits.
func Registers() []Register {
	return []Register{Network, Ingress, Egress, Remote, FromOut, Sized, Oversize, Verdict, WholeOut, WholeIn, Class, Hops, RouteLink, Zero, FilterZone, GroupZone, RuleSet, NextHop, Subnet, Refused}
}

// parts gives the registers that a wide register is made of, as matches name them.
func (r Register) parts() []flow.Subfield {
	fields := r.Bits.Field.Parts()
	if len(fields) == 1 {
		return []flow.Subfield{r.Bits}
	}
	var subs []flow.Subfield
	for _, f := range fields {
		subs = append(subs, f.All())
	}
	return subs
}

// IngressCopy is the value of register Ingress of a copy that a mirror has made. No interface has this id.
const IngressCopy = 0xffff_ffff

// Encapsulation is how frames travel between hosts; but for the last one a kind of tunnel.
type Encapsulation uint8

// How a packet goes to another host.
const (
	EncapGeneve  Encapsulation = 0
	EncapVXLAN   Encapsulation = 1
	EncapGRE     Encapsulation = 2
	EncapMAC2MAC Encapsulation = 3 // as it is, over the underlay
)

// String gives the encapsulation's name, as topologies say it.
func (e Encapsulation) String() string {
	return [...]string{"geneve", "vxlan", "gre", "mac2mac"}[e&3]
}

// Package pipeline declares the OpenFlow pipeline once, as constants: tables with what they may match, set and go to; register
// fields; flags; cookies; drop reasons; group ids. Flows are built through a Builder, which refuses one that matches an
// undeclared field, sets an undeclared one, or goes to a table that is not declared as a next one. Table ids, register
// bits, cookie kinds and reasons are never used again for something else: a dump of one host reads like that of another,
// and of an older version.
//
// It builds no flow of its own (dataplane/compile does) and talks to no switch. Imported by dataplane/compile, dataplane/ovs,
// dataplane/trace and the agent's debugger; docs/pipeline.md is generated from it.
package pipeline

import (
	"fmt"

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

// Set gives the action that sets the register.
func (r Register) Set(v uint32) flow.Action { return flow.Load(r.Bits, uint64(v)) }

// The registers. Bits that are not declared are zero.
var (
	Network = Register{"network", flow.Reg(0).Bits(0, 24), "VNI of the network that the packet is in"}
	Remote  = Register{"remote", flow.Reg(0).Bit(24), "1 if the packet came from another host"}
	Class   = Register{"class", flow.Reg(0).Bits(28, 4), "why a packet goes to the agent: a Class"}
	Ingress = Register{"ingress", flow.Reg(1).Bits(0, 32), "id of the interface that sent the packet; 0 if it came from another host"}
	Egress  = Register{"egress", flow.Reg(2).Bits(0, 32), "id of the interface that gets the packet; in table transport, of the datapath"}
)

// Registers gives all registers in order of their bits.
func Registers() []Register { return []Register{Network, Remote, Class, Ingress, Egress} }

// PuntClass says what a packet that goes to the agent is for; it stands in register Class.
type PuntClass uint8

// The classes.
const (
	PuntDHCP4 PuntClass = 1
)

// Table is one flow table: what may stand in it.
type Table struct {
	ID      uint8
	Name    string
	Doc     string
	Matches []flow.Field // besides registers
	Reads   []Register   // that may be matched
	Sets    []flow.Field // that actions may write, besides registers
	Writes  []Register   // that actions may write
	Next    []uint8      // tables that may follow
	Outputs bool         // whether packets may leave here
	Miss    Reason       // why a packet that nothing matches is dropped; NoReason where it goes on to MissTo
	MissTo  uint8
}

// Ids of the tables.
const (
	idClassify     = 0
	idTunnelPeer   = 4
	idTunnelKey    = 6
	idGuardMAC     = 10
	idGuardAddress = 12
	idService      = 30
	idPunt         = 32
	idND           = 34
	idL2           = 40
	idFlood        = 60
	idTransport    = 70
	idOutput       = 90
)

// The tables. A packet of a guest goes classify, guard_mac, guard_address, service, l2 and then output, transport or flood; a packet of another host
// goes classify, tunnel_peer, tunnel_key, l2, and never to transport.
var (
	Classify = &Table{
		ID: idClassify, Name: "classify", Doc: "By the port: which interface sends, or whether another host does. Frames of the underlay pass between the NIC and the host.",
		Matches: []flow.Field{flow.InPort}, Writes: []Register{Ingress, Remote}, Next: []uint8{idTunnelPeer, idGuardMAC}, Outputs: true, Miss: DropPort,
	}
	TunnelPeer = &Table{
		ID: idTunnelPeer, Name: "tunnel_peer", Doc: "Only hosts that are known may send through the tunnel.",
		Matches: []flow.Field{flow.TunSrc, flow.TunIPv6Src}, Next: []uint8{idTunnelKey}, Miss: DropTunnelPeer,
	}
	TunnelKey = &Table{
		ID: idTunnelKey, Name: "tunnel_key", Doc: "The tunnel's key is the network.",
		Matches: []flow.Field{flow.TunID}, Writes: []Register{Network}, Next: []uint8{idL2}, Miss: DropTunnelKey,
	}
	GuardMAC = &Table{
		ID: idGuardMAC, Name: "guard_mac", Doc: "Port security, first half: an interface sends from its own MAC addresses only.",
		Matches: []flow.Field{flow.EthSrc, flow.VLANVID}, Reads: []Register{Ingress}, Next: []uint8{idGuardAddress}, Miss: DropMACSource,
	}
	GuardAddress = &Table{
		ID: idGuardAddress, Name: "guard_address", Doc: "Port security, second half: an interface sends from its own IP addresses only, also as the sender of ARP and ND. The address says which network the packet is in; who has none yet may ask by DHCP for one, in no network.",
		Matches: []flow.Field{flow.EthSrc, flow.EthType, flow.IPProto, flow.IPv4Src, flow.IPv6Src, flow.IPv6Dst, flow.ARPSHA, flow.ARPSPA, flow.UDPSrc, flow.UDPDst,
			flow.ICMPv6Type, flow.ICMPv6Code, flow.NDTarget, flow.NDSLL, flow.NDTLL},
		Reads: []Register{Ingress}, Writes: []Register{Network, Class}, Next: []uint8{idService, idPunt}, Miss: DropEtherType,
	}
	Service = &Table{
		ID: idService, Name: "service", Doc: "What is answered on the guest's own host: ARP and ND for every known address, DHCP, echo of simulated interfaces.",
		Matches: []flow.Field{flow.EthType, flow.EthDst, flow.ARPOp, flow.ARPTPA, flow.IPProto, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.UDPSrc, flow.UDPDst,
			flow.ICMPType, flow.ICMPCode, flow.ICMPv6Type, flow.ICMPv6Code, flow.NDTarget},
		Reads: []Register{Network, Ingress},
		Sets: []flow.Field{flow.EthSrc, flow.EthDst, flow.ARPOp, flow.ARPSHA, flow.ARPTHA, flow.ARPSPA, flow.ARPTPA, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst,
			flow.IPTTL, flow.ICMPType, flow.ICMPv6Type},
		Writes: []Register{Class}, Next: []uint8{idPunt, idND, idL2}, Outputs: true, MissTo: idL2,
	}
	Punt = &Table{
		ID: idPunt, Name: "punt", Doc: "To the agent's services, through the meter of the interface's port: a guest that floods costs itself only.",
		Reads: []Register{Ingress}, Outputs: true, Miss: DropPunt,
	}
	ND = &Table{
		ID: idND, Name: "nd", Doc: "A neighbour solicitation that table service has turned into an advertisement gets the rest of it. (A flow that matches solicitations may not set the fields of advertisements.)",
		Matches: []flow.Field{flow.EthType, flow.IPProto, flow.ICMPv6Type}, Sets: []flow.Field{flow.IPv6Src, flow.IPv6Dst, flow.NDTLL, flow.NDReserved, flow.NDOptionsType}, Outputs: true, Miss: DropNDUnknown,
	}
	L2 = &Table{
		ID: idL2, Name: "l2", Doc: "Where the destination MAC address is: an interface of this host, or another host. Broadcast and multicast are flooded.",
		Matches: []flow.Field{flow.EthDst}, Reads: []Register{Network, Remote}, Writes: []Register{Egress}, Next: []uint8{idTransport, idFlood, idOutput}, Miss: DropDestination,
	}
	Flood = &Table{
		ID: idFlood, Name: "flood", Doc: "To every interface of the network on this host, and to the other hosts where it is present if the packet came from a guest here (split horizon).",
		Reads: []Register{Network, Remote}, Next: []uint8{idOutput, idTransport}, Writes: []Register{Egress}, Miss: DropFlood,
	}
	Transport = &Table{
		ID: idTransport, Name: "transport", Doc: "To another host: tunnel end, and the network as the key.",
		Reads: []Register{Egress}, Sets: []flow.Field{flow.TunID, flow.TunDst, flow.TunIPv6Dst}, Outputs: true, Miss: DropTransport,
	}
	Output = &Table{
		ID: idOutput, Name: "output", Doc: "The port of the interface.",
		Reads: []Register{Egress}, Outputs: true, Miss: DropNoPort,
	}
)

// Tables gives all tables in the order of their ids.
func Tables() []*Table {
	return []*Table{Classify, TunnelPeer, TunnelKey, GuardMAC, GuardAddress, Service, Punt, ND, L2, Flood, Transport, Output}
}

// TableByID gives the table of that id, or nil.
func TableByID(id uint8) *Table {
	for _, t := range Tables() {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// Reason says why a packet is dropped. A drop flow's cookie holds it, so that its counter counts the reason.
type Reason uint8

// The reasons.
const (
	NoReason        Reason = 0
	DropPort        Reason = 1
	DropTunnelPeer  Reason = 2
	DropTunnelKey   Reason = 3
	DropMACSource   Reason = 4
	DropIPv4Source  Reason = 5
	DropIPv6Source  Reason = 6
	DropARPSender   Reason = 7
	DropNDSender    Reason = 8
	DropEtherType   Reason = 9
	DropARPOwn      Reason = 10
	DropARPUnknown  Reason = 11
	DropARPReply    Reason = 12
	DropNDOwn       Reason = 13
	DropNDUnknown   Reason = 14
	DropNDUnasked   Reason = 15
	DropNDRouter    Reason = 16
	DropMLD         Reason = 17
	DropDHCPNone    Reason = 18
	DropDHCPRogue   Reason = 19
	DropDestination Reason = 20
	DropTransport   Reason = 21
	DropFlood       Reason = 22
	DropNoPort      Reason = 23
	DropTagged      Reason = 24
	DropPunt        Reason = 25
	numberOfReasons Reason = 26
)

var reasons = [numberOfReasons]struct{ name, doc string }{
	NoReason:        {"none", "not dropped"},
	DropPort:        {"port", "the port belongs to no interface"},
	DropTunnelPeer:  {"tunnel_peer", "a tunnelled packet from an address that is no host's"},
	DropTunnelKey:   {"tunnel_key", "a tunnelled packet of a network that is not on this host"},
	DropMACSource:   {"mac_source", "the source MAC address is not the interface's"},
	DropIPv4Source:  {"ipv4_source", "the source IPv4 address is not the interface's"},
	DropIPv6Source:  {"ipv6_source", "the source IPv6 address is not the interface's"},
	DropARPSender:   {"arp_sender", "the ARP sender's MAC or IPv4 address is not the interface's"},
	DropNDSender:    {"nd_sender", "the ND source, target or link-layer address is not the interface's"},
	DropEtherType:   {"ethertype", "neither IPv4, IPv6 nor ARP"},
	DropARPOwn:      {"arp_own", "ARP for the interface's own address: a probe or announcement, which nobody answers"},
	DropARPUnknown:  {"arp_unknown", "ARP for an address that nobody in the network has"},
	DropARPReply:    {"arp_reply", "an ARP reply that nobody asked for"},
	DropNDOwn:       {"nd_own", "ND for the interface's own address: duplicate address detection, which nobody answers"},
	DropNDUnknown:   {"nd_unknown", "ND for an address that nobody in the network has"},
	DropNDUnasked:   {"nd_unasked", "a neighbour advertisement that nobody asked for"},
	DropNDRouter:    {"nd_router", "a router solicitation without a router, or a router advertisement or redirect of a guest"},
	DropMLD:         {"mld", "multicast listener reports, which are not needed"},
	DropDHCPNone:    {"dhcp_none", "a DHCP request in a network without a DHCP service"},
	DropDHCPRogue:   {"dhcp_rogue", "a DHCP answer of a guest"},
	DropDestination: {"destination", "the destination MAC address is nobody's in the network"},
	DropTransport:   {"transport", "the destination's host cannot be reached"},
	DropFlood:       {"flood", "broadcast or multicast in a network that is not on this host"},
	DropNoPort:      {"no_port", "the destination's interface has no port on this host now"},
	DropPunt:        {"punt", "for a service, from a port that is gone"},
	DropTagged:      {"tagged", "a frame with a VLAN tag from a port that is not a trunk"},
}

// String gives the reason's name, as counters show it.
func (r Reason) String() string {
	if r < numberOfReasons {
		return reasons[r].name
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// Doc says in words why the packet was dropped.
func (r Reason) Doc() string {
	if r < numberOfReasons {
		return reasons[r].doc
	}
	return "a reason of another version"
}

// Reasons gives all reasons but NoReason.
func Reasons() []Reason {
	var rs []Reason
	for r := Reason(1); r < numberOfReasons; r++ {
		rs = append(rs, r)
	}
	return rs
}

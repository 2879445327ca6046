package pipeline

import (
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// toInterface are the registers that are set when the interface that gets a packet is known.
var toInterface = []Register{Egress, FilterZone, GroupZone, RuleSet}

// The tables of layer 2, and those from there to ports and other hosts.
var (
	L2 = &Table{
		ID: idL2, Name: "l2", Doc: "Where the destination MAC address is: an interface of this host, a leg, or another host, which frames for an interface that has left this host are sent on to. Broadcast and multicast are flooded, or go to those that have joined. Routed questions of DNS go to the agent. Questions of ARP and ND that nobody has answered go to ports with devices outside.",
		Matches: []flow.Field{flow.EthDst, flow.EthType, flow.ARPOp, flow.IPv4Dst, flow.IPv6Dst, flow.IPProto, flow.UDPDst, flow.TCPDst, flow.ICMPv6Type}, Reads: []Register{Network, Remote, FromOut, Ingress}, Writes: append([]Register{Network, Class, Refused}, toInterface...), Sets: []flow.Field{flow.EthDst, flow.InPort16},
		Next: []uint8{idUnknown, idL3In, idFlood, idDeliver, idInFilter, idTransport, idOutput}, Again: []uint8{idPunt, idDeliver, idTransport}, MissTo: idUnknown,
	}
	Unknown = &Table{
		ID: idUnknown, Name: "unknown", Doc: "Frames for nobody that is known: to the ports of the domain with devices outside, here or on other hosts, or as the domain's policy says.",
		Reads: []Register{Network, Remote, FromOut}, Writes: []Register{Egress, FromOut},
		Next: []uint8{idFlood}, Again: []uint8{idDeliver, idTransport}, Outputs: true, Miss: reason.Destination,
	}
	Flood = &Table{
		ID: idFlood, Name: "flood", Doc: "To every interface of the domain on this host, and to the other hosts where it is present if the packet came from here (split horizon).",
		Reads: []Register{Network, Remote, FromOut, Ingress}, Writes: []Register{Egress}, Again: []uint8{idDeliver, idTransport}, Outputs: true, Miss: reason.Flood,
	}
	Deliver = &Table{
		ID: idDeliver, Name: "deliver", Doc: "What the filters have to know of the interface that gets the packet. Nothing goes back to where it came from, unless it was routed.",
		Reads: []Register{Ingress, Egress}, Writes: toInterface, Next: []uint8{idInFilter}, Miss: reason.NoPort,
	}
	Transport = &Table{
		ID: idTransport, Name: "transport", Doc: "To another host: the tunnel's end, and register network, which holds the number of the domain, the route link or the mirror, as the key; or as it is over the underlay. By the host; by host and number where a row wires that in another way.",
		Matches: []flow.Field{flow.EthDst}, Reads: []Register{Egress, Network, FromOut}, Sets: []flow.Field{flow.EthDst, flow.TunID, flow.TunDst, flow.TunIPv6Dst}, Outputs: true, Miss: reason.Transport,
	}
	Output = &Table{
		ID: idOutput, Name: "output", Doc: "The port of the interface, at its rate, with the copies for those that mirror it. Egress 0 is the NIC.",
		Reads: []Register{Egress, Network}, Sets: []flow.Field{flow.VLANVID}, Again: []uint8{idMirror}, Outputs: true, Miss: reason.NoPort,
	}
)

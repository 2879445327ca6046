package pipeline

import (
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// The tables of routing. A packet comes from table l2 when it is for a leg's MAC address, and goes back to it when it has a next hop.
var (
	L3In = &Table{
		ID: idL3In, Name: "l3_in", Doc: "A packet for a leg: counts the routers that it has met here, refuses what is not IP, translates, or gives it to the connection tracker where the leg remembers conversations. The agent hears what devices outside answer to a leg, and the packet is looked up once more.",
		Matches: []flow.Field{flow.EthType, flow.IPFrag, flow.ARPOp, flow.IPv4Dst, flow.IPv6Dst, flow.IPProto, flow.TCPDst, flow.UDPDst, flow.ICMPv6Type}, Reads: []Register{Egress, Hops, Class}, Writes: []Register{Hops, RouteLink, Remote, FromOut, Sized, Class},
		Sets: []flow.Field{flow.IPv4Dst, flow.IPv6Dst, flow.TCPDst, flow.UDPDst}, Next: []uint8{idTranslateIn, idL3Source, idL3Route}, Again: []uint8{idL3In, idPunt}, Tracks: true, Miss: reason.Destination,
	}
	TranslateIn = &Table{
		ID: idTranslateIn, Name: "translate_in", Doc: "Translation of destinations, behind the connection tracker: answers are translated back by now, others by the leg's rows.",
		Matches: []flow.Field{flow.CTState, flow.EthType, flow.IPFrag, flow.IPv4Dst, flow.IPv6Dst, flow.IPProto, flow.TCPDst, flow.UDPDst}, Reads: []Register{Egress}, Writes: []Register{RouteLink},
		Next: []uint8{idL3Source, idL3Route}, Tracks: true, Miss: reason.Translation,
	}
	L3Source = &Table{
		ID: idL3Source, Name: "l3_source", Doc: "The route link that the source may enter through the leg, by the longest prefix. What the connection tracker should have translated, and has not, ends here.",
		Matches: []flow.Field{flow.EthType, flow.IPv4Src, flow.IPv6Src, flow.CTState, flow.CTZone}, Reads: []Register{Egress}, Writes: []Register{RouteLink, Class, Refused}, Next: []uint8{idL3Route}, Again: []uint8{idPunt}, Miss: reason.NoIngressRoute,
	}
	L3Route = &Table{
		ID: idL3Route, Name: "l3_route", Doc: "The route to the destination, by the longest prefix: leg and next hop here, or the host of the leg. What is for a leg itself is answered or refused. What a row with a route link should have translated, and the connection tracker has not, ends here.",
		Matches: []flow.Field{flow.EthType, flow.IPv4Dst, flow.IPv6Dst, flow.IPProto, flow.ICMPType, flow.ICMPCode, flow.ICMPv6Type, flow.ICMPv6Code, flow.CTState, flow.CTZone}, Reads: []Register{RouteLink, Remote, Egress},
		Sets:   []flow.Field{flow.InPort16, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.IPTTL, flow.ICMPType, flow.ICMPv6Type},
		Writes: []Register{Network, Egress, NextHop, Subnet, Remote, Class, Refused}, Next: []uint8{idL3Away, idL3Out, idTransport}, Again: []uint8{idPunt, idL3Source, idL3Route, idL3Away, idL3Out, idTransport}, Miss: reason.NoRoute,
	}
	L3Away = &Table{
		ID: idL3Away, Name: "l3_away", Doc: "Leaving into a domain that is not present here, but has devices outside elsewhere: a packet whose next hop is registered leaves here, any other is carried to a host that can ask for it.",
		Matches: []flow.Field{flow.EthType, flow.IPv4Dst, flow.IPv6Dst}, Reads: []Register{Network, RouteLink, Subnet, NextHop}, Sets: []flow.Field{flow.InPort16}, Writes: []Register{Network, Egress},
		Next: []uint8{idL3Out, idTransport}, MissTo: idL3Out,
	}
	L3Out = &Table{
		ID: idL3Out, Name: "l3_out", Doc: "Leaving through a leg: the TTL; the size, where a network that the packet may be from has a larger MTU; translation, or the connection tracker where the leg remembers conversations.",
		Matches: []flow.Field{flow.EthType, flow.IPTTL, flow.IPFrag, flow.IPv4Src, flow.IPv6Src, flow.IPProto, flow.TCPSrc, flow.UDPSrc}, Reads: []Register{Egress, RouteLink, Subnet, Sized, Oversize},
		Sets: []flow.Field{flow.IPTTL, flow.IPv4Src, flow.IPv6Src, flow.TCPSrc, flow.UDPSrc}, Writes: []Register{Sized, Oversize, Class, Refused}, Next: []uint8{idTranslateOut, idL3Send}, Again: []uint8{idPunt, idL3Out},
		Tracks: true, Miss: reason.NoRoute,
	}
	TranslateOut = &Table{
		ID: idTranslateOut, Name: "translate_out", Doc: "Translation of sources, behind the connection tracker: answers are translated back by now, others by the leg's rows, or to the leg's own address.",
		Matches: []flow.Field{flow.CTState, flow.EthType, flow.IPFrag, flow.IPv4Src, flow.IPv6Src, flow.IPProto, flow.TCPSrc, flow.UDPSrc}, Reads: []Register{Egress, RouteLink},
		Next: []uint8{idL3Send}, Tracks: true, Miss: reason.Translation,
	}
	L3Send = &Table{
		ID: idL3Send, Name: "l3_send", Doc: "From the leg's MAC address, into its domain; the next hop, where the route has no gateway: the destination if it is in the network, else the network's first address. What the connection tracker should have translated, and has not, ends here.",
		Matches: []flow.Field{flow.EthType, flow.IPv4Dst, flow.IPv6Dst, flow.CTState, flow.CTZone}, Reads: []Register{Egress, Subnet, NextHop}, Sets: []flow.Field{flow.EthSrc, flow.InPort16},
		Writes: []Register{Network, FromOut, Ingress, NextHop, Remote}, Next: []uint8{idNextHop}, Miss: reason.NoRoute,
	}
	NextHopMAC = &Table{
		ID: idNextHop, Name: "next_hop", Doc: "The MAC address of the next hop; then on as any frame of the domain. Where devices outside may have the address, the agent asks.",
		Matches: []flow.Field{flow.EthType}, Reads: []Register{Network, NextHop}, Sets: []flow.Field{flow.EthDst}, Writes: []Register{Class, Refused}, Again: []uint8{idL2, idPunt}, Miss: reason.NoNeighbor,
	}
)

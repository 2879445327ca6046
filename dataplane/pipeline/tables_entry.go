package pipeline

import (
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// The tables from a port to the domain that a packet is in.
var (
	Classify = &Table{
		ID: idClassify, Name: "classify", Doc: "By the port: which interface sends, or whether another host or the underlay does. The interface's rate, the copies for those that mirror it, and its code point.",
		Matches: []flow.Field{flow.InPort, flow.EthDst, flow.VLANVID, flow.EthType}, Writes: []Register{Ingress, Network, Remote, FromOut, FilterZone, GroupZone, RuleSet}, Sets: []flow.Field{flow.IPDSCP, flow.VLANVID},
		Next: []uint8{idTunnelPeer, idUnderlay, idGuardMAC, idOutside}, Again: []uint8{idMirror}, Outputs: true, Miss: reason.Port,
	}
	Mirror = &Table{
		ID: idMirror, Name: "mirror", Doc: "Copies of what an interface sends (egress is 0) or gets, to the interfaces that mirror it, here or on other hosts. Those that are here are looked up once more: ingress is that of a copy then.",
		Reads: []Register{Ingress, Egress}, Sets: []flow.Field{flow.InPort16}, Writes: []Register{Network, Ingress, Egress, FromOut},
		Again: []uint8{idMirror, idTransport}, Outputs: true, Miss: reason.NoPort,
	}
	TunnelPeer = &Table{
		ID: idTunnelPeer, Name: "tunnel_peer", Doc: "Only hosts that are known may send through a tunnel.",
		Matches: []flow.Field{flow.TunSrc, flow.TunIPv6Src}, Next: []uint8{idTunnelKey}, Miss: reason.TunnelPeer,
	}
	TunnelKey = &Table{
		ID: idTunnelKey, Name: "tunnel_key", Doc: "The tunnel's key is the domain, the route link, or the mirror. What the former host of an interface sends on has a key of its own, and goes to that interface or nowhere.",
		Matches: []flow.Field{flow.TunID, flow.EthDst}, Writes: []Register{Network, RouteLink, Class, Ingress, Egress}, Sets: []flow.Field{flow.InPort, flow.TunID, flow.TunDst, flow.TunIPv6Dst}, Next: []uint8{idPunt, idL2, idL3Route, idDeliver}, Again: []uint8{idMirror}, Outputs: true, Miss: reason.TunnelKey,
	}
	Underlay = &Table{
		ID: idUnderlay, Name: "underlay", Doc: "Frames of the NIC and of the host, where there is more to do with them than to pass them on: those of other hosts without encapsulation, by the MAC address that sends or that stands for a domain; those for a physical network's stations on this host; those of the host's interface of mode internal. All others pass between NIC and host, and nothing here keeps them from it.",
		Matches: []flow.Field{flow.InPort, flow.EthSrc, flow.EthDst, flow.VLANVID, flow.EthType, flow.ARPSPA, flow.IPv4Src, flow.IPv6Src, flow.IPProto, flow.UDPSrc, flow.UDPDst}, Writes: []Register{Network, Egress, RouteLink, Remote, FromOut, Ingress},
		Next: []uint8{idRestore, idOutside, idService, idL2, idL3In, idL3Route, idDeliver}, Again: []uint8{idOutside}, Outputs: true, Miss: reason.Port,
	}
	Restore = &Table{
		ID: idRestore, Name: "restore", Doc: "A broadcast or multicast frame that came without encapsulation, to the MAC address that stands for its domain, gets its own destination back: that of the IP multicast group, or broadcast.",
		Matches: []flow.Field{flow.EthType, flow.IPv4Dst, flow.IPv6Dst}, Sets: []flow.Field{flow.EthDst}, Next: []uint8{idL2}, MissTo: idL2,
	}
	GuardMAC = &Table{
		ID: idGuardMAC, Name: "guard_mac", Doc: "Port security, first half: an interface sends from its own MAC addresses only. The agent hears of what an interface sends that is about to move here: it has come.",
		Matches: []flow.Field{flow.EthSrc, flow.VLANVID}, Reads: []Register{Ingress}, Writes: []Register{Class}, Next: []uint8{idGuardAddress}, Again: []uint8{idPunt}, Miss: reason.MACSource,
	}
	GuardAddress = &Table{
		ID: idGuardAddress, Name: "guard_address", Doc: "Port security, second half: an interface sends from its own IP addresses only, also as the sender of ARP and ND. The address says which domain the packet is in; who has none yet may ask by DHCP for one, in no domain. On a segment addresses are free, and for an interface that routes.",
		Matches: []flow.Field{flow.EthSrc, flow.EthType, flow.IPProto, flow.IPv4Src, flow.IPv6Src, flow.IPv6Dst, flow.ARPSHA, flow.ARPSPA, flow.UDPSrc, flow.UDPDst,
			flow.ICMPv6Type, flow.ICMPv6Code, flow.NDTarget, flow.NDSLL, flow.NDTLL},
		Reads: []Register{Ingress}, Writes: []Register{Network, Class}, Next: []uint8{idGuardFree, idService, idPunt}, Miss: reason.EtherType,
	}
	GuardFree = &Table{
		ID: idGuardFree, Name: "guard_free", Doc: "Where addresses are free the sender's is not that of another station of the domain.",
		Matches: []flow.Field{flow.EthSrc, flow.EthType, flow.IPProto, flow.IPv4Src, flow.IPv6Src, flow.ARPSPA, flow.ICMPv6Type},
		Reads:   []Register{Network, Ingress}, Next: []uint8{idGuardTarget}, MissTo: idGuardTarget,
	}
	GuardTarget = &Table{
		ID: idGuardTarget, Name: "guard_target", Doc: "Where addresses are free no neighbour advertisement is for the address of another station of the domain.",
		Matches: []flow.Field{flow.EthSrc, flow.EthType, flow.IPProto, flow.ICMPv6Type, flow.ICMPv6Code, flow.NDTarget},
		Reads:   []Register{Network, Ingress}, Next: []uint8{idService}, MissTo: idService,
	}
	Outside = &Table{
		ID: idOutside, Name: "outside", Doc: "Frames of devices that nobody registered, behind promiscuous, patch and edge ports and on a physical network: not from a MAC address that is an interface's inside. MAC addresses that are not known go to the agent as well.",
		Matches: []flow.Field{flow.EthSrc, flow.VLANVID}, Reads: []Register{Ingress, Network}, Writes: []Register{Class}, Next: []uint8{idService}, Again: []uint8{idPunt}, Miss: reason.VLAN,
	}
)

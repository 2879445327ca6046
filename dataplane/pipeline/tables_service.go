package pipeline

import (
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// The tables of what the host answers itself.
var (
	Service = &Table{
		ID: idService, Name: "service", Doc: "What is answered on the guest's own host: ARP and ND for every known address, DHCP, DNS, metadata and echo of simulated interfaces.",
		Matches: []flow.Field{flow.EthType, flow.EthSrc, flow.EthDst, flow.ARPOp, flow.ARPTPA, flow.IPProto, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.UDPSrc, flow.UDPDst, flow.TCPDst,
			flow.ICMPType, flow.ICMPCode, flow.ICMPv6Type, flow.ICMPv6Code, flow.NDTarget},
		Reads: []Register{Network, Ingress, FromOut},
		Sets: []flow.Field{flow.EthSrc, flow.EthDst, flow.ARPOp, flow.ARPSHA, flow.ARPTHA, flow.ARPSPA, flow.ARPTPA, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst,
			flow.IPTTL, flow.ICMPType, flow.ICMPv6Type, flow.InPort16},
		Writes: []Register{Class, Egress}, Next: []uint8{idPunt, idND, idOutFilter, idOutput}, MissTo: idOutFilter,
	}
	Punt = &Table{
		ID: idPunt, Name: "punt", Doc: "To the agent's services, through the meter of the interface's port: a guest that floods costs itself only.",
		Reads: []Register{Ingress, Class}, Outputs: true, Miss: reason.Punt,
	}
	ND = &Table{
		ID: idND, Name: "nd", Doc: "A neighbour solicitation for a known address, whose MAC addresses table service has turned round: it is made an advertisement. (A flow that matches solicitations may not set the fields of advertisements, so that takes two.) Where the datapath cannot do that, as the kernel's, the agent does.",
		Matches: []flow.Field{flow.EthType, flow.IPProto, flow.ICMPv6Type}, Sets: []flow.Field{flow.ICMPv6Type, flow.IPv6Src, flow.IPv6Dst, flow.NDTLL, flow.NDReserved, flow.NDOptionsType, flow.InPort16},
		Writes: []Register{Class, Egress}, Next: []uint8{idOutput}, Again: []uint8{idND, idPunt}, Miss: reason.NDUnknown,
	}
)

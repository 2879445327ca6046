package compile

import (
	"slices"

	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/internal/cover"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// service is what a rule says of protocol and ports.
type service struct {
	protocol           string // any, tcp, udp, sctp or icmp
	first, last        uint16 // destination ports, 0 with last 0 for all
	icmpType, icmpCode int    // -1 for all
}

var anyService = service{protocol: "any", icmpType: -1, icmpCode: -1}

// named reports whether the service names ports or a type of ICMP, which the fields of fragments do not tell.
func (s service) named() bool { return s.last != 0 || s.icmpType >= 0 }

// matches gives what matches the service, of both families. Of fragments the ports are not known: a service that names some is that of no fragment, for
// rules that allow, and that of every fragment of its protocol for rules that refuse.
func (s service) matches(refuses bool) []pipeline.Preds {
	switch s.protocol {
	case "tcp":
		return s.of(6, 6, flow.TCPDst, flow.TCPDst, refuses)
	case "udp":
		return s.of(17, 17, flow.UDPDst, flow.UDPDst, refuses)
	case "sctp":
		return s.of(132, 132, flow.SCTPDst, flow.SCTPDst, refuses)
	case "icmp":
		return s.of(1, 58, flow.ICMPType, flow.ICMPv6Type, refuses)
	}
	return []pipeline.Preds{{isIPv4}, {isIPv6}}
}

// of gives the matches of a service of these protocols over IPv4 and IPv6, whose ports or types are these fields.
func (s service) of(proto4, proto6 uint64, field4, field6 flow.Field, refuses bool) []pipeline.Preds {
	v4, v6 := pipeline.Preds{isIPv4, flow.IPProto.Is(proto4)}, pipeline.Preds{isIPv6, flow.IPProto.Is(proto6)}
	// In a later fragment of IPv6 the protocol is that of fragments: the connection tracker knows that of the packet.
	later := pipeline.Preds{isIPv6, laterFragment, flow.CTState.Masked(ctTracked, ctTracked|ctInvalid), flow.CTNwProto.Is(proto6)}
	if !s.named() {
		return []pipeline.Preds{v4, v6, later}
	}
	var out []pipeline.Preds
	for _, v := range []struct {
		preds pipeline.Preds
		field flow.Field
	}{{v4, field4}, {v6, field6}} {
		whole := append(slices.Clip(v.preds), noFragment)
		if s.protocol == "icmp" {
			whole = append(whole, v.field.Is(uint64(s.icmpType)))
			if s.icmpCode >= 0 {
				whole = append(whole, icmpCodes[v.field].Is(uint64(s.icmpCode)))
			}
			out = append(out, whole)
		} else {
			for _, m := range cover.Ports(s.first, s.last) {
				out = append(out, append(slices.Clip(whole), v.field.Masked(uint64(m.Value), uint64(m.Mask))))
			}
		}
		if refuses {
			out = append(out, append(slices.Clip(v.preds), fragment))
		}
	}
	if refuses {
		out = append(out, later)
	}
	return out
}

var icmpCodes = map[flow.Field]flow.Field{flow.ICMPType: flow.ICMPCode, flow.ICMPv6Type: flow.ICMPv6Code}

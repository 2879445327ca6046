package pipeline

import (
	"github.com/openvnet/openvnet/model/reason"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// What rules look at.
var (
	filterFields = []flow.Field{flow.EthType, flow.ARPSPA, flow.ARPTPA, flow.IPProto, flow.IPFrag, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst,
		flow.TCPSrc, flow.TCPDst, flow.UDPSrc, flow.UDPDst, flow.ICMPv6Type}
	ruleFields = []flow.Field{flow.EthType, flow.IPProto, flow.IPFrag, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst,
		flow.TCPDst, flow.UDPDst, flow.SCTPDst, flow.ICMPType, flow.ICMPCode, flow.ICMPv6Type, flow.ICMPv6Code,
		flow.ConjID, flow.CTState, flow.CTNwProto}
	answerFields = []flow.Field{flow.CTState, flow.EthType, flow.IPProto, flow.TCPFlags}
)

// The tables of filters: outwards, of the interface that sends, and inwards, of the interface that gets. What is not judged goes on by a flow that says
// so; what nothing matches is dropped. What a filter refuses is looked up in the connection tracker: it may be an answer.
var (
	OutFilter = &Table{
		ID: idOutFilter, Name: "out_filter", Doc: "The static filter of the interface that sends.",
		Matches: filterFields, Reads: []Register{Ingress, FilterZone}, Next: []uint8{idOutFilterAnswer, idOutRules}, Tracks: true, Miss: reason.Filter,
	}
	OutFilterAnswer = &Table{
		ID: idOutFilterAnswer, Name: "out_filter_answer", Doc: "What the static filter refuses, unless it is an answer, or, of an interface that has just moved here, the middle of a TCP conversation.",
		Matches: answerFields, Reads: []Register{Ingress}, Next: []uint8{idOutRules}, Miss: reason.Filter,
	}
	OutRules = &Table{
		ID: idOutRules, Name: "out_rules", Doc: "The security groups of the interface that sends: conjunctions of its rule set, the protocol and ports, and the peer's address. Fragments meet the connection tracker first, all of a packet together.",
		Matches: ruleFields, Reads: []Register{RuleSet, Network, WholeOut, Zero}, Writes: []Register{Verdict, Class, WholeOut}, Next: []uint8{idOutRulesAnswer, idL2}, Again: []uint8{idOutRules},
		Tracks: true, Outputs: true, Miss: reason.SecurityGroup,
	}
	OutRulesAnswer = &Table{
		ID: idOutRulesAnswer, Name: "out_rules_answer", Doc: "What the security groups refuse, unless it is an answer, or, of an interface that has just moved here, the middle of a TCP conversation.",
		Matches: answerFields, Reads: []Register{Ingress, Verdict}, Writes: []Register{Verdict, Class}, Next: []uint8{idL2}, Again: []uint8{idPunt}, Miss: reason.SecurityGroup,
	}
	InFilter = &Table{
		ID: idInFilter, Name: "in_filter", Doc: "The static filter of the interface that gets the packet.",
		Matches: filterFields, Reads: []Register{Egress, FilterZone}, Next: []uint8{idInFilterAnswer, idInRules}, Tracks: true, Miss: reason.Filter,
	}
	InFilterAnswer = &Table{
		ID: idInFilterAnswer, Name: "in_filter_answer", Doc: "What the static filter refuses, unless it is an answer, or, of an interface that has just moved here, the middle of a TCP conversation.",
		Matches: answerFields, Reads: []Register{Egress}, Next: []uint8{idInRules}, Miss: reason.Filter,
	}
	InRules = &Table{
		ID: idInRules, Name: "in_rules", Doc: "The security groups of the interface that gets the packet; see out_rules.",
		Matches: ruleFields, Reads: []Register{RuleSet, Network, WholeIn, Zero}, Writes: []Register{Verdict, Class, WholeIn}, Next: []uint8{idInRulesAnswer, idOutput}, Again: []uint8{idInRules},
		Tracks: true, Outputs: true, Miss: reason.SecurityGroup,
	}
	InRulesAnswer = &Table{
		ID: idInRulesAnswer, Name: "in_rules_answer", Doc: "What the security groups refuse, unless it is an answer, or, of an interface that has just moved here, the middle of a TCP conversation.",
		Matches: answerFields, Reads: []Register{Egress, Verdict}, Writes: []Register{Verdict, Class}, Next: []uint8{idOutput}, Again: []uint8{idPunt}, Miss: reason.SecurityGroup,
	}
)

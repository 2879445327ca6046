package compile

import "github.com/openvnet/openvnet/ofctl/flow"

// ethTypes and protocols that flows match.
var (
	isARP    = flow.EthType.Is(0x0806)
	isIPv4   = flow.EthType.Is(0x0800)
	isIPv6   = flow.EthType.Is(0x86dd)
	isTCP    = flow.IPProto.Is(6)
	isUDP    = flow.IPProto.Is(17)
	isICMP   = flow.IPProto.Is(1)
	isICMPv6 = flow.IPProto.Is(58)
)

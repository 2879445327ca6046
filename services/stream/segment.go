package stream

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/openvnet/openvnet/services/frame"
)

// parsed is an IP packet with a TCP segment, whose headers and checksums are right.
type parsed struct {
	eth      frame.Ethernet
	src, dst netip.Addr
	data     []byte // from the IP header to the end of the segment
}

// decode takes a frame apart, as far as it must be known where it is for.
func decode(b []byte) (parsed, Verdict) {
	eth, rest, reason := frame.DecodeEthernet(b)
	if reason != frame.OK {
		return parsed{}, firstFrame + Verdict(reason)
	}
	p := parsed{eth: eth, data: rest}
	var segment []byte
	switch eth.Type {
	case uint16(header.IPv4ProtocolNumber):
		ip, payload, reason := frame.DecodeIPv4(rest)
		switch {
		case reason != frame.OK:
			return parsed{}, firstFrame + Verdict(reason)
		case ip.Protocol != uint8(header.TCPProtocolNumber):
			return parsed{}, NotTCP
		}
		p.src, p.dst, segment = ip.Src, ip.Dst, payload
		p.data = rest[:header.IPv4(rest).TotalLength()]
	case uint16(header.IPv6ProtocolNumber):
		ip := header.IPv6(rest)
		switch {
		case !ip.IsValid(len(rest)):
			return parsed{}, firstFrame + Verdict(frame.IPv6Header)
		case ip.NextHeader() != uint8(header.TCPProtocolNumber):
			return parsed{}, NotTCP
		}
		p.data = rest[:header.IPv6MinimumSize+int(ip.PayloadLength())]
		p.src, p.dst, segment = addr(ip.SourceAddress()), addr(ip.DestinationAddress()), p.data[header.IPv6MinimumSize:]
	default:
		return parsed{}, firstFrame + Verdict(frame.NotIP)
	}
	if !single(p.src) || !single(p.dst) || p.src == p.dst || eth.Dst.IsMulticast() || eth.Src.IsMulticast() {
		return parsed{}, BadAddress
	}
	tcp := header.TCP(segment)
	if len(tcp) < header.TCPMinimumSize || int(tcp.DataOffset()) < header.TCPMinimumSize || int(tcp.DataOffset()) > len(tcp) {
		return parsed{}, TCPShort
	}
	payload := tcp.Payload()
	if !tcp.IsChecksumValid(tcpip.AddrFromSlice(p.src.AsSlice()), tcpip.AddrFromSlice(p.dst.AsSlice()), checksum.Checksum(payload, 0), uint16(len(payload))) {
		return parsed{}, TCPChecksum
	}
	return p, Taken
}

// single reports whether an address is one that a single station may have.
func single(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.Is4In6() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// frame makes the frame to the guest of the parts of a packet.
func (g *guest) frame(etherType uint16, packet [][]byte) []byte {
	n := ethernetLen
	for _, part := range packet {
		n += len(part)
	}
	b := frame.Ethernet{Dst: g.mac, Src: g.local, Tagged: g.tagged, TCI: g.tci, Type: etherType}.Append(make([]byte, 0, n))
	for _, part := range packet {
		b = append(b, part...)
	}
	return b
}

const ethernetLen = 18 // with a VLAN tag

// acknowledges reports whether a segment does nothing else than to acknowledge what came in order.
func acknowledges(h header.TCP, payload int) bool {
	const timestamp = 12 // the length of the only option there may be; others say what did not come in order
	return payload == 0 && h.Flags() == header.TCPFlagAck && int(h.DataOffset()) <= header.TCPMinimumSize+timestamp
}

func addr(a tcpip.Address) netip.Addr {
	n, _ := netip.AddrFromSlice(a.AsSlice())
	return n
}

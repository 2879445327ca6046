// Package frame takes apart and builds the headers of the frames that the simulated services answer: Ethernet with at
// most one VLAN tag, IPv4 and IPv6 with UDP, ICMPv6, ARP, and neighbour discovery. It is a codec for a handful of headers at the size that a service needs, not a
// packet library: it keeps no layers, knows no application protocol and never copies a payload while decoding. The
// packages below services import it.
//
// Every decoder reads bytes that a guest chose. It never panics, looks at nothing beyond the bytes that it was given,
// and gives either a value or the [Reason] why there is none. Payloads are slices of the input. All functions are pure
// and safe for concurrent use.
package frame

// Reason says why a decoder refused its input. The zero value, [OK], is no refusal. Reasons are dense from 0 to
// NumReasons-1, so that an array counts them.
type Reason uint8

// The reasons, in the order in which a frame is looked at.
const (
	OK               Reason = iota
	EthernetShort           // ends within the Ethernet header or its VLAN tag
	EthernetType            // an IEEE 802.3 length instead of an EtherType
	NotIPv4                 // the EtherType is not IPv4's
	IPv4Short               // ends within the IPv4 header
	IPv4Version             // the version is not 4
	IPv4HeaderLength        // the header length is below 20 or beyond the captured bytes
	IPv4TotalLength         // the total length is below the header's or beyond the captured bytes
	IPv4Checksum            // the header checksum is wrong
	IPv4Fragment            // a fragment of a datagram; services do not reassemble
	NotUDP                  // the protocol is not UDP
	UDPShort                // ends within the UDP header
	UDPLength               // the UDP length is not that of the IPv4 payload
	UDPChecksum             // the UDP checksum is wrong
	NotARP                  // the EtherType is not ARP's
	ARPShort                // ends within the ARP packet
	ARPFormat               // not of IPv4 over Ethernet
	NotND                   // no neighbour solicitation or advertisement
	NDShort                 // ends within the IPv6 header or the message, or lies about its length
	NDOption                // an option without length, or beyond the message
	NDHopLimit              // the hop limit is not 255: it came through a router (RFC 4861, section 7.1)
	NDChecksum              // the ICMPv6 checksum is wrong
	NotIP                   // neither IPv4 nor IPv6
	IPv6Header              // ends within the IPv6 header, or the version is not 6
	NotIPv6                 // the EtherType is not IPv6's
	IPv6Length              // the payload length is beyond the captured bytes
	NotICMPv6               // the next header is not ICMPv6; what has extension headers is not looked into
	ICMPv6Short             // ends within the ICMPv6 header
	ICMPv6Checksum          // the ICMPv6 checksum is wrong

	// NumReasons is one more than the highest reason.
	NumReasons = iota
)

var reasonText = [NumReasons]string{
	OK:               "ok",
	EthernetShort:    "ethernet: short",
	EthernetType:     "ethernet: length instead of a type",
	NotIPv4:          "not ipv4",
	IPv4Short:        "ipv4: short",
	IPv4Version:      "ipv4: bad version",
	IPv4HeaderLength: "ipv4: bad header length",
	IPv4TotalLength:  "ipv4: bad total length",
	IPv4Checksum:     "ipv4: bad checksum",
	IPv4Fragment:     "ipv4: fragment",
	NotUDP:           "not udp",
	UDPShort:         "udp: short",
	UDPLength:        "udp: bad length",
	UDPChecksum:      "udp: bad checksum",
	NotARP:           "not arp",
	ARPShort:         "arp: short",
	ARPFormat:        "arp: not of ipv4 over ethernet",
	NotND:            "not neighbour discovery",
	NDShort:          "nd: short",
	NDOption:         "nd: bad option",
	NDHopLimit:       "nd: bad hop limit",
	NDChecksum:       "nd: bad checksum",
	NotIP:            "not ip",
	IPv6Header:       "ipv6: bad header",
	NotIPv6:          "not ipv6",
	IPv6Length:       "ipv6: bad payload length",
	NotICMPv6:        "not icmpv6",
	ICMPv6Short:      "icmpv6: short",
	ICMPv6Checksum:   "icmpv6: bad checksum",
}

// String gives the reason in a few words, stable enough to label a counter.
func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r]
	}
	return "unknown reason"
}

// Datagram is a UDP datagram over IPv4 over Ethernet: what a service takes and gives.
type Datagram struct {
	Ethernet Ethernet
	IP       IPv4
	UDP      UDP
	Payload  []byte
}

// DecodeDatagram takes a whole frame apart. The payload is a slice of b.
func DecodeDatagram(b []byte) (Datagram, Reason) {
	eth, rest, reason := DecodeEthernet(b)
	if reason != OK {
		return Datagram{}, reason
	}
	if eth.Type != TypeIPv4 {
		return Datagram{}, NotIPv4
	}
	ip, rest, reason := DecodeIPv4(rest)
	if reason != OK {
		return Datagram{}, reason
	}
	if ip.Protocol != ProtocolUDP {
		return Datagram{}, NotUDP
	}
	udp, payload, reason := DecodeUDP(rest, ip.Src, ip.Dst)
	if reason != OK {
		return Datagram{}, reason
	}
	return Datagram{eth, ip, udp, payload}, OK
}

// Encode builds the frame, with lengths and checksums. EtherType and protocol are those of a datagram, whatever d says.
// The payload must not be longer than [MaxUDPPayload]. The result is not padded to Ethernet's minimum: that is the
// device's.
func (d Datagram) Encode() []byte {
	d.Ethernet.Type = TypeIPv4
	d.IP.Protocol = ProtocolUDP
	b := make([]byte, 0, ethernetLen+vlanLen+ipv4Len+udpLen+len(d.Payload))
	b = d.Ethernet.Append(b)
	b = d.IP.Append(b, udpLen+len(d.Payload))
	return d.UDP.Append(b, d.IP.Src, d.IP.Dst, d.Payload)
}

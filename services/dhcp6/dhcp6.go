// Package dhcp6 is the simulated DHCPv6 server of virtual networks (RFC 8415), stateful and stateless: one function from a guest's
// frame to the frame that answers it. Every client has a fixed reservation, its [Binding], found by its MAC address, which port security
// vouches for; whatever identifiers it says of itself and of its associations are repeated, and mean nothing. So the server has no state:
// nothing is allocated, stored or timed here. It knows no flow, no socket and no clock; the agent feeds it packet-ins, and the
// tests run it alone on a raw socket. Relay agents, temporary addresses and prefixes are not served; router advertisements are not here.
package dhcp6

import (
	"bytes"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

const (
	serverPort = 547
	clientPort = 546
	hopLimit   = 255
)

// allServers is where clients send to: All_DHCP_Relay_Agents_and_Servers (RFC 8415, 7.1).
var allServers = netip.MustParseAddr("ff02::1:2")

// Lookup gives the binding of a client on the network of the interface from which the frame came, and nil when the network has no
// server for it.
type Lookup func(client model.MAC) *Binding

// Respond answers one frame, from the Ethernet header on, of an interface that the caller knows; the reply is to leave
// through that same interface. A reply comes with an answering verdict, and with no other. The reply keeps a VLAN tag
// of the frame. Whether the frame's destination MAC address is the server's is the caller's to have decided. own are the
// client's addresses that it takes, goes on using, gives back or declines by a message with such a verdict, not to be changed.
//
// It reads f only during the call and is safe for concurrent use if lookup is. lookup is called at most once, for a
// well-formed message.
func Respond(f []byte, lookup Lookup) (reply []byte, verdict Verdict, own []netip.Addr) {
	d, reason := frame.DecodeDatagram6(f)
	if reason != frame.OK {
		return nil, refusedFrame(reason), nil
	}
	if d.UDP.DstPort != serverPort {
		return nil, NotDHCP, nil
	}
	r, refusal := parse(d.Payload)
	if refusal == 0 {
		refusal = r.invalid(d.IP)
	}
	if refusal != 0 {
		return nil, refusal, nil
	}
	b := lookup(d.Ethernet.Src)
	if b == nil || b.client != d.Ethernet.Src {
		return nil, UnknownClient, nil
	}
	verdict = b.judge(&r, d.IP)
	if !verdict.Answered() {
		return nil, verdict, nil
	}
	eth := d.Ethernet
	eth.Src, eth.Dst = b.serverMAC, d.Ethernet.Src
	return frame.Datagram6{
		Ethernet: eth,
		IP:       frame.IPv6{HopLimit: hopLimit, Src: b.server, Dst: d.IP.Src},
		UDP:      frame.UDP{SrcPort: serverPort, DstPort: clientPort},
		Payload:  b.message(&r, verdict),
	}.Encode(), verdict, b.own(&r, verdict)
}

// needs says what a message must have, and may not have (RFC 8415, section 16).
type needs struct {
	client, server   bool // must have the identifier
	noServer, noIA   bool // must not have it
	anyServer        bool // may have the identifier
	unicast, confirm bool // may be answered by UseMulticast; must say addresses
}

var required = map[dhcpv6.MessageType]needs{
	dhcpv6.MessageTypeSolicit:            {client: true, noServer: true},
	dhcpv6.MessageTypeRequest:            {client: true, server: true, unicast: true},
	dhcpv6.MessageTypeConfirm:            {client: true, noServer: true, confirm: true},
	dhcpv6.MessageTypeRenew:              {client: true, server: true, unicast: true},
	dhcpv6.MessageTypeRebind:             {client: true, noServer: true},
	dhcpv6.MessageTypeRelease:            {client: true, server: true, unicast: true},
	dhcpv6.MessageTypeDecline:            {client: true, server: true, unicast: true},
	dhcpv6.MessageTypeInformationRequest: {anyServer: true, noIA: true},
}

// invalid gives the reason why a message is to be discarded, whoever the client is, 0 if there is none.
func (r *request) invalid(ip frame.IPv6) Verdict {
	n := required[r.kind]
	switch {
	case ip.Src.IsUnspecified() || ip.Src.IsMulticast() || ip.Src.IsLoopback() || !ip.Src.IsLinkLocalUnicast() && ip.Dst.IsMulticast():
		return BadSource
	case n.client && r.client == nil:
		return NoClient
	case n.server && r.server == nil:
		return NoServer
	case n.noServer && r.server != nil:
		return UnwantedServer
	case n.noIA && len(r.ias) > 0:
		return UnwantedIA
	case !ip.Dst.IsMulticast() && !n.unicast:
		return Unicast
	}
	return 0
}

// judge decides about a valid message of this binding's client.
//
// CONFIRM is about the client's own addresses, not about the link alone as the RFC has it: a reservation is always a record, and who goes on with an address that is not
// its own any more is heard by nobody.
func (b *Binding) judge(r *request, ip frame.IPv6) Verdict {
	switch {
	case ip.Dst != allServers && ip.Dst != b.server, r.server != nil && !bytes.Equal(r.server, b.duid):
		return OtherServer
	case ip.Dst == b.server:
		return UseMulticast
	}
	serves := b.serves(r) >= 0
	switch r.kind {
	case dhcpv6.MessageTypeSolicit:
		switch {
		case !serves:
			return AdvertiseNone
		case r.rapid:
			return ReplyRapid
		}
		return Advertise
	case dhcpv6.MessageTypeRequest:
		switch {
		case r.names(func(a netip.Addr) bool { return !b.prefix.Contains(a) }):
			return ReplyElsewhere
		case !serves:
			return ReplyNone
		}
		return ReplyRequest
	case dhcpv6.MessageTypeConfirm:
		switch {
		case !r.names(func(netip.Addr) bool { return true }):
			return NoAddress
		case r.names(func(a netip.Addr) bool { return !b.has(a) }):
			return ReplyMoved
		}
		return ReplyConfirm
	case dhcpv6.MessageTypeRenew:
		return ReplyRenew
	case dhcpv6.MessageTypeRebind:
		return ReplyRebind
	case dhcpv6.MessageTypeRelease:
		return ReplyRelease
	case dhcpv6.MessageTypeDecline:
		return ReplyDecline
	}
	return ReplyInformation
}

// names reports whether the message names an address of which f is true.
func (r *request) names(f func(netip.Addr) bool) bool {
	for _, ia := range r.ias {
		for _, a := range ia.addrs {
			if f(a) {
				return true
			}
		}
	}
	return false
}

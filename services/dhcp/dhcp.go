// Package dhcp is the simulated DHCPv4 server of virtual networks (RFC 2131): one function from a guest's frame to the
// frame that answers it. Every client has a fixed reservation, its [Binding], so the server has no state: nothing is
// allocated, stored or timed here. A binding is what the topology says ([Config]), with the options that a site gives
// instead; an answer has as much of it as the client takes, what it asks for first. It knows no flow, no socket and no clock;
// the agent feeds it packet-ins and makes something of what clients say (RELEASE, DECLINE, renewals), and the tests run it
// alone on a raw socket with the clients of Debian. DHCPv6 is not here.
package dhcp

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

const (
	serverPort = 67
	clientPort = 68
	ttl        = 64
)

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Lookup gives the binding of a client on the network of the interface from which the frame came, and nil when it has none.
type Lookup func(chaddr model.MAC) *Binding

// Respond answers one frame, from the Ethernet header on, of an interface that the caller knows; the reply is to leave
// through that same interface. A reply comes with an answering verdict, and with no other. The reply keeps a VLAN tag
// of the frame. Whether the frame's destination MAC address is the server's is the caller's to have decided.
//
// It reads f only during the call and is safe for concurrent use if lookup is. lookup is called at most once, for a
// well-formed message whose chaddr is the source of the frame.
func Respond(f []byte, lookup Lookup) (reply []byte, verdict Verdict) {
	d, reason := frame.DecodeDatagram(f)
	if reason != frame.OK {
		return nil, refusedFrame(reason)
	}
	if d.UDP.DstPort != serverPort {
		return nil, NotDHCP
	}
	r, refusal := parse(d.Payload)
	if refusal != 0 {
		return nil, refusal
	}
	if r.chaddr != d.Ethernet.Src {
		return nil, ForeignHardware
	}
	b := lookup(r.chaddr)
	if b == nil || b.client != r.chaddr {
		return nil, UnknownClient
	}
	verdict = b.judge(&r, d.IP)
	if !verdict.Answered() {
		return nil, verdict
	}

	eth := d.Ethernet
	eth.Src, eth.Dst = b.serverMAC, r.chaddr
	to, port := b.destination(&r, verdict)
	if to == limitedBroadcast {
		eth.Dst = frame.Broadcast()
	}
	return frame.Datagram{
		Ethernet: eth,
		IP:       frame.IPv4{DontFragment: true, TTL: ttl, Src: b.server, Dst: to},
		UDP:      frame.UDP{SrcPort: serverPort, DstPort: port},
		Payload:  b.message(&r, verdict),
	}.Encode(), verdict
}

// judge decides about a well-formed message of this binding's client. An INFORM without ciaddr gets it from the IP header,
// as some clients mean it.
func (b *Binding) judge(r *request, ip frame.IPv4) Verdict {
	if ip.Dst != b.server && ip.Dst != limitedBroadcast && ip.Dst != b.broadcast {
		return OtherServer
	}
	if r.server.IsValid() && r.server != b.server {
		return OtherServer
	}
	switch r.kind {
	case dhcpv4.MessageTypeDiscover:
		return Offer
	case dhcpv4.MessageTypeRequest:
		return b.judgeRequest(r, ip.Dst)
	case dhcpv4.MessageTypeInform:
		if !r.ciaddr.IsValid() && !ip.Src.IsUnspecified() {
			r.ciaddr = ip.Src
		}
		if !r.ciaddr.IsValid() {
			return NoAddress
		}
		if !b.prefix.Contains(r.ciaddr) || r.ciaddr == b.server || r.ciaddr == b.broadcast {
			return WrongAddress
		}
		return AckInform
	case dhcpv4.MessageTypeRelease:
		if r.ciaddr != b.address {
			return WrongAddress
		}
		return Released
	case dhcpv4.MessageTypeDecline:
		if r.requested != b.address {
			return WrongAddress
		}
		return Declined
	}
	return UnknownType
}

// judgeRequest tells the client's state from what the message carries (RFC 2131, 4.3.2). Whatever the state, each address
// that the client claims must be its own. The exceptions of the RFC, where a server stays silent for want of a
// record, are those of a server that allocates: a reservation is always a record.
func (b *Binding) judgeRequest(r *request, dst netip.Addr) Verdict {
	if !r.requested.IsValid() && !r.ciaddr.IsValid() {
		return NoAddress
	}
	if r.requested.IsValid() && r.requested != b.address || r.ciaddr.IsValid() && r.ciaddr != b.address {
		return Nak
	}
	switch {
	case r.server.IsValid():
		return AckSelecting
	case r.requested.IsValid():
		return AckInitReboot
	case dst == b.server:
		return AckRenewing
	}
	return AckRebinding
}

// destination is where the answer goes (RFC 2131, 4.1 and 4.3.5).
func (b *Binding) destination(r *request, v Verdict) (netip.Addr, uint16) {
	switch {
	case v == AckInform:
		return r.ciaddr, clientPort
	case r.giaddr.IsValid():
		return r.giaddr, serverPort
	case v == Nak:
		return limitedBroadcast, clientPort
	// A DISCOVER may carry anything as ciaddr, but the client can receive at its own address only.
	case r.ciaddr == b.address:
		return r.ciaddr, clientPort
	case r.broadcast:
		return limitedBroadcast, clientPort
	}
	return b.address, clientPort
}

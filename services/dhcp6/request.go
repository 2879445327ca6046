package dhcp6

import (
	"encoding/binary"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// MaxAddresses bounds the addresses of a client, and of DNS servers.
const MaxAddresses = 8

// Bounds of what a client may say. Their answer fits into the smallest MTU of IPv6, with options besides.
const (
	maxIAs       = 8
	maxAddresses = MaxAddresses // in all of them

	minDUID = 3   // its type and something more
	maxDUID = 130 // RFC 8415, 11.1
)

// request is what we need of a client's message. Slices are those of the message.
type request struct {
	kind   dhcpv6.MessageType
	xid    [3]byte
	client []byte // nil without
	server []byte // nil without
	ias    []association
	wants  []byte // option codes; nil without the option
	rapid  bool
}

// association is an identity association: of addresses, of temporary ones or of prefixes.
type association struct {
	code  uint16 // of the option
	id    [4]byte
	addrs []netip.Addr
}

// parse reads a message, or gives the reason why not and 0 otherwise.
func parse(b []byte) (request, Verdict) {
	if len(b) < headerLen {
		return request{}, Short
	}
	r := request{kind: dhcpv6.MessageType(b[0]), xid: [3]byte(b[1:])}
	switch r.kind {
	case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind,
		dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline, dhcpv6.MessageTypeInformationRequest:
	case dhcpv6.MessageTypeRelayForward, dhcpv6.MessageTypeRelayReply:
		return request{}, Relayed
	default:
		return request{}, UnknownType
	}
	var seen [optRapid + 1]bool
	addresses := 0
	refusal := walk(b[headerLen:], func(code uint16, data []byte) Verdict {
		switch code {
		case optClientID, optServerID, optWants, optElapsed, optRapid:
			if seen[code] {
				return Repeated
			}
			seen[code] = true
		}
		switch code {
		case optClientID, optServerID:
			if len(data) < minDUID || len(data) > maxDUID {
				return BadDUID
			}
			if code == optClientID {
				r.client = data
			} else {
				r.server = data
			}
		case optWants:
			if len(data)%2 != 0 {
				return BadOption
			}
			r.wants = data
		case optElapsed:
			if len(data) != 2 {
				return BadOption
			}
		case optRapid:
			if len(data) != 0 {
				return BadOption
			}
			r.rapid = true
		case optIANA, optIATA, optIAPD:
			ia, refusal := parseAssociation(code, data)
			if refusal != 0 {
				return refusal
			}
			addresses += len(ia.addrs)
			if len(r.ias) == maxIAs || addresses > maxAddresses {
				return TooMany
			}
			r.ias = append(r.ias, ia)
		}
		return 0
	})
	if refusal != 0 {
		return request{}, refusal
	}
	return r, 0
}

func parseAssociation(code uint16, data []byte) (association, Verdict) {
	fixed := iaLen
	if code == optIATA {
		fixed = 4 // it has no T1 and T2
	}
	if len(data) < fixed {
		return association{}, BadOption
	}
	ia := association{code: code, id: [4]byte(data)}
	refusal := walk(data[fixed:], func(sub uint16, data []byte) Verdict {
		if sub != optIAAddr || code == optIAPD {
			return 0
		}
		if len(data) < iaAddrLen {
			return BadOption
		}
		ia.addrs = append(ia.addrs, netip.AddrFrom16([16]byte(data)))
		return walk(data[iaAddrLen:], func(uint16, []byte) Verdict { return 0 })
	})
	return ia, refusal
}

// asks reports whether the client wants an option: one that says nothing of that wants all.
func (r *request) asks(code uint16) bool {
	if r.wants == nil {
		return true
	}
	for b := r.wants; len(b) > 0; b = b[2:] {
		if binary.BigEndian.Uint16(b) == code {
			return true
		}
	}
	return false
}

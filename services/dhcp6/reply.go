package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

func (b *Binding) has(a netip.Addr) bool { return slices.Contains(b.addresses, a) }

// serves gives the association of a message that gets the client's addresses: the first of addresses that names one of them, else the first that may; -1 without one.
// A client has one reservation, whatever it calls its associations.
func (b *Binding) serves(r *request) int {
	if len(b.addresses) == 0 {
		return -1
	}
	at := slices.IndexFunc(r.ias, func(ia association) bool { return ia.code == optIANA && slices.ContainsFunc(ia.addrs, b.has) })
	if at < 0 {
		at = slices.IndexFunc(r.ias, func(ia association) bool { return ia.code == optIANA })
	}
	return at
}

// own gives the client's addresses that a message takes, uses, gives back or declines.
func (b *Binding) own(r *request, v Verdict) []netip.Addr {
	switch v {
	case ReplyRapid, ReplyRequest, ReplyRenew, ReplyRebind:
		if b.serves(r) >= 0 {
			return b.addresses
		}
	case ReplyRelease, ReplyDecline:
		var own []netip.Addr
		for _, ia := range r.ias {
			for _, a := range ia.addrs {
				if ia.code == optIANA && b.has(a) && !slices.Contains(own, a) {
					own = append(own, a)
				}
			}
		}
		return own
	}
	return nil
}

// message builds the DHCP message of an answer.
func (b *Binding) message(r *request, v Verdict) []byte {
	kind := dhcpv6.MessageTypeReply
	if v == Advertise || v == AdvertiseNone {
		kind = dhcpv6.MessageTypeAdvertise
	}
	m := append(make([]byte, 0, b.limit), byte(kind))
	m = append(m, r.xid[:]...)
	m = appendOption(m, optServerID, b.duid)
	if r.client != nil {
		m = appendOption(m, optClientID, r.client)
	}
	switch v {
	case UseMulticast:
		return appendStatus(m, iana.StatusUseMulticast)
	case ReplyMoved:
		return appendStatus(m, iana.StatusNotOnLink)
	case ReplyConfirm:
		return appendStatus(m, iana.StatusSuccess)
	case ReplyRelease, ReplyDecline:
		m = appendStatus(m, iana.StatusSuccess)
		for _, ia := range r.ias {
			if ia.code != optIANA || !slices.ContainsFunc(ia.addrs, b.has) {
				m = ia.append(m, 0, 0, appendStatus(nil, iana.StatusNoBinding))
			}
		}
		return m
	case ReplyRapid:
		m = appendOption(m, optRapid, nil)
	}
	serves := b.serves(r)
	for k, ia := range r.ias {
		m = b.answer(m, r, ia, k == serves)
	}
	if v == ReplyInformation && r.asks(optRefreshAfter) {
		m = appendOption(m, optRefreshAfter, b.refreshAfter())
	}
	for _, o := range b.options {
		if r.asks(o.Code) && len(m)+optionLen+len(o.Data) <= b.limit {
			m = appendOption(m, o.Code, o.Data)
		}
	}
	return m
}

// answer adds what the server says of an association (RFC 8415, 18.3). An address that is not the client's is over at once, where the client has it already.
func (b *Binding) answer(m []byte, r *request, ia association, served bool) []byte {
	extends := r.kind == dhcpv6.MessageTypeRenew || r.kind == dhcpv6.MessageTypeRebind
	var over []byte
	if extends {
		for k, a := range ia.addrs {
			if (!served || !b.has(a)) && !slices.Contains(ia.addrs[:k], a) {
				over = appendAddress(over, a, 0, 0)
			}
		}
	}
	switch {
	case ia.code == optIAPD && extends, ia.code == optIATA && extends && over == nil:
		return ia.append(m, 0, 0, appendStatus(nil, iana.StatusNoBinding))
	case ia.code == optIAPD:
		return ia.append(m, 0, 0, appendStatus(nil, iana.StatusNoPrefixAvail))
	case r.kind == dhcpv6.MessageTypeRequest && slices.ContainsFunc(ia.addrs, func(a netip.Addr) bool { return !b.prefix.Contains(a) }):
		return ia.append(m, 0, 0, appendStatus(nil, iana.StatusNotOnLink))
	case served:
		var addrs []byte
		for _, a := range b.addresses {
			addrs = appendAddress(addrs, a, b.preferred, b.valid)
		}
		return ia.append(m, b.renew, b.rebind, append(addrs, over...))
	case over != nil:
		return ia.append(m, 0, 0, over)
	case extends:
		return ia.append(m, 0, 0, appendStatus(nil, iana.StatusNoBinding))
	}
	return ia.append(m, 0, 0, appendStatus(nil, iana.StatusNoAddrsAvail))
}

// append adds the association with the options in it.
func (ia association) append(m []byte, renew, rebind uint32, options []byte) []byte {
	data := append(make([]byte, 0, iaLen+len(options)), ia.id[:]...)
	if ia.code != optIATA {
		data = binary.BigEndian.AppendUint32(data, renew)
		data = binary.BigEndian.AppendUint32(data, rebind)
	}
	return appendOption(m, ia.code, append(data, options...))
}

func appendAddress(b []byte, a netip.Addr, preferred, valid uint32) []byte {
	data := binary.BigEndian.AppendUint32(a.AsSlice(), preferred)
	return appendOption(b, optIAAddr, binary.BigEndian.AppendUint32(data, valid))
}

// statusText is what people see in a client's log.
var statusText = map[iana.StatusCode]string{
	iana.StatusNoAddrsAvail:  "no address",
	iana.StatusNoBinding:     "not leased",
	iana.StatusNotOnLink:     "not here",
	iana.StatusUseMulticast:  "use multicast",
	iana.StatusNoPrefixAvail: "no prefix",
}

func appendStatus(b []byte, s iana.StatusCode) []byte {
	return appendOption(b, optStatus, append(binary.BigEndian.AppendUint16(nil, uint16(s)), statusText[s]...))
}

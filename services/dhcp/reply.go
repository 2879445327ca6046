package dhcp

import (
	"bytes"
	"encoding/binary"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	minMessage = 300 // bytes of a BOOTP message (RFC 1542, 2.1)
	ipOverhead = 28  // IPv4 and UDP headers

	nakText = "the requested address is not this client's"
)

// message builds the DHCP message of an answer (RFC 2131, table 3).
func (b *Binding) message(r *request, v Verdict) []byte {
	kind := dhcpv4.MessageTypeAck
	switch v {
	case Offer:
		kind = dhcpv4.MessageTypeOffer
	case Nak:
		kind = dhcpv4.MessageTypeNak
	}

	limit := min(r.maxSize, b.maxSize) - ipOverhead
	m := make([]byte, headerLen, limit)
	m[offOp] = byte(dhcpv4.OpcodeBootReply)
	m[offHType] = htypeEthernet
	m[offHLen] = byte(len(r.chaddr))
	copy(m[offXID:], r.xid[:])
	copy(m[offCHAddr:], r.chaddr[:])
	binary.BigEndian.PutUint32(m[offCookie:], magicCookie)
	if r.broadcast || v == Nak && r.giaddr.IsValid() { // the relay must broadcast a NAK (RFC 2131, 4.3.2)
		binary.BigEndian.PutUint16(m[offFlags:], flagBroadcast)
	}
	if r.giaddr.IsValid() {
		copy(m[offGIAddr:], r.giaddr.AsSlice())
	}
	if v != Nak {
		if v != Offer && r.ciaddr.IsValid() {
			copy(m[offCIAddr:], r.ciaddr.AsSlice())
		}
		if v != AckInform {
			copy(m[offYIAddr:], b.address.AsSlice())
		}
		copy(m[offSIAddr:], b.nextServer.AsSlice())
		copy(m[offSName:offSName+snameLen], b.serverName)
		copy(m[offFile:offFile+fileLen], b.bootFile)
	}

	w := optionWriter{b: m, limit: limit}
	w.add(optType, kind.ToBytes())
	w.add(optServer, b.server.AsSlice())
	if len(r.clientID) > 0 {
		w.add(optClientID, r.clientID) // in every answer (RFC 6842)
	}
	switch v {
	case Nak:
		w.add(optMessage, []byte(nakText))
	case AckInform:
		b.addConfiguration(&w, r.wants)
	default:
		for _, o := range b.times {
			w.add(o.Code, o.Data)
		}
		b.addConfiguration(&w, r.wants)
	}
	m = append(w.b, optEnd)
	for len(m) < minMessage {
		m = append(m, optPad)
	}
	return m
}

// addConfiguration adds the options that the client asks for, in its order, then the others in ours: some clients use what
// they do not ask for, the MTU above all.
func (b *Binding) addConfiguration(w *optionWriter, wants []byte) {
	mask := b.options[0]
	w.add(mask.Code, mask.Data) // before the routers (RFC 2132, 3.3)
	// Who asks for routes gets them, and then no routers, which are among the routes (RFC 3442).
	if bytes.IndexByte(wants, optRoutes) >= 0 {
		if data := b.routesWithin(w, wants); len(data) > 0 && w.add(optRoutes, data) {
			w.written[optRouter] = true
		}
		w.written[optRoutes] = true
	}
	for _, code := range wants {
		if data, ok := b.option(code); ok {
			w.add(code, data)
		}
	}
	for _, o := range b.options {
		w.add(o.Code, o.Data)
	}
}

// routesWithin gives option 121 as far as there is room for it beside what else the client asks for. One that is not to be cut is given whole.
func (b *Binding) routesWithin(w *optionWriter, wants []byte) []byte {
	data, _ := b.option(optRoutes)
	room := w.limit - len(w.b) - 1
	for _, o := range b.options {
		if o.Code != optRoutes && o.Code != optRouter && !w.written[o.Code] && bytes.IndexByte(wants, o.Code) >= 0 {
			room -= optionLen(len(o.Data))
		}
	}
	for n := len(b.routes) - 1; n >= 0 && optionLen(len(data)) > room; n-- {
		data = data[:b.routes[n]]
	}
	return data
}

func (b *Binding) option(code uint8) ([]byte, bool) {
	for _, o := range b.options {
		if o.Code == code {
			return o.Data, true
		}
	}
	return nil, false
}

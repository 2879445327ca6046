package dhcp

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/model"
)

// The BOOTP header (RFC 2131, section 2): offsets of what we read and write.
const (
	offOp     = 0
	offHType  = 1
	offHLen   = 2
	offHops   = 3
	offXID    = 4
	offFlags  = 10
	offCIAddr = 12
	offYIAddr = 16
	offSIAddr = 20
	offGIAddr = 24
	offCHAddr = 28
	offSName  = 44
	offFile   = 108
	offCookie = 236
	headerLen = 240 // with the magic cookie

	snameLen      = 64
	fileLen       = 128
	magicCookie   = 0x63825363
	htypeEthernet = 1
	maxHops       = 16
	flagBroadcast = 0x8000

	minMaxSize  = 576 // what every client takes, in bytes of the IP datagram (RFC 2132, 9.10)
	maxClientID = 255
)

// request is what we need of a client's message. Addresses that it does not give are the zero Addr.
type request struct {
	kind      dhcpv4.MessageType
	xid       [4]byte
	broadcast bool
	ciaddr    netip.Addr
	giaddr    netip.Addr
	chaddr    model.MAC
	requested netip.Addr // option 50
	server    netip.Addr // option 54
	wants     []byte     // option 55
	maxSize   int        // option 57, not below minMaxSize
	clientID  []byte     // option 61
}

// parse reads a message, or gives the reason why not and 0 otherwise. The checks before the library are those that it
// leaves out or reports without saying which. The library reads no options from sname and file (option overload), so
// what a client puts there does not exist for us; nor does option 82.
func parse(b []byte) (request, Verdict) {
	switch {
	case len(b) < headerLen:
		return request{}, Short
	case b[offOp] != byte(dhcpv4.OpcodeBootRequest):
		return request{}, NotRequest
	case b[offHType] != htypeEthernet || b[offHLen] != byte(len(model.MAC{})):
		return request{}, BadHardware
	case b[offHops] > maxHops:
		return request{}, TooManyHops
	case binary.BigEndian.Uint32(b[offCookie:]) != magicCookie:
		return request{}, BadCookie
	}
	m, err := dhcpv4.FromBytes(b)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return request{}, NoEnd
	case err != nil:
		return request{}, BadOption
	}

	r := request{
		xid:       m.TransactionID,
		broadcast: m.IsBroadcast(),
		ciaddr:    given(b[offCIAddr:]),
		giaddr:    given(b[offGIAddr:]),
		chaddr:    model.MAC(b[offCHAddr : offCHAddr+6]),
		maxSize:   minMaxSize,
		wants:     m.Options[optWants],
		clientID:  m.Options[optClientID],
	}
	if r.giaddr.IsMulticast() || r.giaddr == limitedBroadcast {
		r.giaddr = netip.Addr{} // no relay can have it
	}
	for code, v := range m.Options {
		want := len(v)
		switch code {
		case optRequested, optServer:
			want = 4
		case optMaxSize:
			want = 2
		case optType:
			want = 1
		case optClientID:
			want = min(len(v), maxClientID)
		}
		if len(v) != want {
			return request{}, BadOption
		}
	}
	if v := m.Options[optRequested]; v != nil {
		r.requested = given(v)
	}
	if v := m.Options[optServer]; v != nil {
		r.server = netip.AddrFrom4([4]byte(v))
	}
	if v := m.Options[optMaxSize]; v != nil {
		r.maxSize = max(minMaxSize, int(binary.BigEndian.Uint16(v)))
	}
	v := m.Options[optType]
	if v == nil {
		return request{}, NoType
	}
	r.kind = dhcpv4.MessageType(v[0])
	switch r.kind {
	case dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeDecline, dhcpv4.MessageTypeRelease,
		dhcpv4.MessageTypeInform:
		return r, 0
	}
	return request{}, UnknownType
}

// given reads an address, of which 0.0.0.0 says "none".
func given(b []byte) netip.Addr {
	a := netip.AddrFrom4([4]byte(b[:4]))
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

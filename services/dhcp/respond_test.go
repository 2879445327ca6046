package dhcp

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

const (
	discover = dhcpv4.MessageTypeDiscover
	offer    = dhcpv4.MessageTypeOffer
	req      = dhcpv4.MessageTypeRequest
	decline  = dhcpv4.MessageTypeDecline
	ack      = dhcpv4.MessageTypeAck
	nak      = dhcpv4.MessageTypeNak
	release  = dhcpv4.MessageTypeRelease
	inform   = dhcpv4.MessageTypeInform
)

// The options of config() in the order for a client that asks for none.
var (
	oServer    = Option{54, []byte{10, 100, 0, 100}}
	oTimes     = []Option{{51, []byte{0, 1, 0x51, 0x80}}, {58, []byte{0, 0, 0xa8, 0xc0}}, {59, []byte{0, 1, 0x27, 0x50}}}
	oMask      = Option{1, []byte{255, 255, 255, 0}}
	oRouter    = Option{3, []byte{10, 100, 0, 1}}
	oDNS       = Option{6, []byte{10, 100, 0, 53, 192, 0, 2, 53}}
	oMTU       = Option{26, []byte{0x05, 0x78}}
	oBroadcast = Option{28, []byte{10, 100, 0, 255}}
	oDomain    = Option{15, []byte("example.org")}

	oAll = []Option{oMask, oRouter, oDNS, oMTU, oBroadcast, oDomain}
)

func options(kind dhcpv4.MessageType, parts ...any) []Option {
	out := []Option{{53, []byte{byte(kind)}}, oServer}
	for _, p := range parts {
		switch p := p.(type) {
		case Option:
			out = append(out, p)
		case []Option:
			out = append(out, p...)
		}
	}
	return out
}

// answer is the reply to the test's client in the common case, unicast to its leased address; change adjusts it.
func answer(kind dhcpv4.MessageType, change func(*reply)) *reply {
	r := &reply{
		EthSrc: serverMAC, EthDst: clientMAC, Src: serverIP, Dst: clientIP, TTL: 64, SrcPort: 67, DstPort: 68,
		Op: 2, HType: 1, HLen: 6, XID: xid, CIAddr: none, YIAddr: clientIP, SIAddr: serverIP, GIAddr: none, CHAddr: clientMAC,
		Options: options(kind, oTimes, oAll), PayloadLen: 313,
	}
	if kind == nak {
		r.Dst, r.EthDst = limitedBroadcast, frame.Broadcast()
		r.YIAddr, r.SIAddr = none, none
		r.Options = options(nak, Option{56, []byte(nakText)})
		r.PayloadLen = 300
	}
	if change != nil {
		change(r)
	}
	return r
}

func broadcasted(r *reply) {
	r.Dst, r.EthDst, r.Flags = limitedBroadcast, frame.Broadcast(), 0x8000
}

// TestMessages is the behaviour of RFC 2131 for a server of fixed reservations: message and state, expected answer.
func TestMessages(t *testing.T) {
	relay := netip.MustParseAddr("10.100.0.2")
	ciaddr := func(a netip.Addr) func(*reply) { return func(r *reply) { r.CIAddr = a } }
	for _, c := range []struct {
		name    string
		message message
		verdict Verdict
		reply   *reply
	}{
		// DISCOVER -> OFFER (4.3.1)
		{"discover", message{kind: discover}, Offer, answer(offer, nil)},
		{"discover, broadcast flag", message{kind: discover, flags: 0x8000}, Offer, answer(offer, broadcasted)},
		{"discover, reserved flags", message{kind: discover, flags: 0x7fff}, Offer, answer(offer, nil)},
		{"discover, wishes another address", message{kind: discover, requested: otherIP}, Offer, answer(offer, nil)},
		{"discover, wishes a lease time", message{kind: discover, options: []Option{{51, []byte{0, 0, 0, 60}}}}, Offer, answer(offer, nil)},
		{"discover, ciaddr not its own", message{kind: discover, ciaddr: awayIP}, Offer, answer(offer, nil)},
		{"discover, ciaddr its own", message{kind: discover, ciaddr: clientIP, flags: 0x8000}, Offer,
			answer(offer, func(r *reply) { r.Flags = 0x8000 })},
		{"discover to the directed broadcast", message{kind: discover, dst: netip.MustParseAddr("10.100.0.255")}, Offer, answer(offer, nil)},
		{"discover, rapid commit", message{kind: discover, options: []Option{{80, nil}}}, Offer, answer(offer, nil)},
		{"discover, client id", message{kind: discover, clientID: []byte{1, 2, 0, 0, 0, 0, 1}}, Offer, answer(offer, func(r *reply) {
			r.Options = options(offer, Option{61, []byte{1, 2, 0, 0, 0, 0, 1}}, oTimes, oAll)
			r.PayloadLen += 9
		})},
		{"discover, relay agent information", message{kind: discover, options: []Option{{82, []byte{1, 2, 'e', '0'}}}}, Offer, answer(offer, nil)},
		{"discover in a VLAN", message{kind: discover, tci: 3<<13 | 42}, Offer, answer(offer, func(r *reply) { r.TCI = 3<<13 | 42 })},
		{"discover through a relay", message{kind: discover, giaddr: relay, hops: 1}, Offer, answer(offer, func(r *reply) {
			r.Dst, r.DstPort, r.GIAddr = relay, 67, relay
		})},
		{"discover through an impossible relay", message{kind: discover, giaddr: limitedBroadcast}, Offer, answer(offer, nil)},
		{"discover by an unknown client", message{kind: discover, from: unknownMAC}, UnknownClient, nil},
		{"discover to another address", message{kind: discover, dst: otherIP}, OtherServer, nil},

		// REQUEST in SELECTING (4.3.2): server identifier and requested address
		{"selecting", message{kind: req, server: serverIP, requested: clientIP}, AckSelecting, answer(ack, nil)},
		{"selecting, broadcast flag", message{kind: req, server: serverIP, requested: clientIP, flags: 0x8000}, AckSelecting, answer(ack, broadcasted)},
		{"selecting another server", message{kind: req, server: otherIP, requested: clientIP}, OtherServer, nil},
		{"selecting server 0.0.0.0", message{kind: req, server: none, requested: clientIP}, OtherServer, nil},
		{"selecting another address", message{kind: req, server: serverIP, requested: otherIP}, Nak, answer(nak, nil)},
		{"selecting no address", message{kind: req, server: serverIP}, NoAddress, nil},
		{"selecting with ciaddr alone", message{kind: req, server: serverIP, ciaddr: clientIP}, AckSelecting, answer(ack, ciaddr(clientIP))},
		{"selecting with another ciaddr", message{kind: req, server: serverIP, requested: clientIP, ciaddr: otherIP}, Nak, answer(nak, nil)},
		{"selecting by an unknown client", message{kind: req, from: unknownMAC, server: serverIP, requested: clientIP}, UnknownClient, nil},
		{"selecting through a relay, nak", message{kind: req, server: serverIP, requested: otherIP, giaddr: relay}, Nak,
			answer(nak, func(r *reply) {
				r.Dst, r.EthDst, r.DstPort, r.GIAddr, r.Flags = relay, clientMAC, 67, relay, 0x8000
			})},

		// REQUEST in INIT-REBOOT: requested address, no server identifier
		{"init-reboot", message{kind: req, requested: clientIP}, AckInitReboot, answer(ack, nil)},
		{"init-reboot, wrong address", message{kind: req, requested: otherIP}, Nak, answer(nak, nil)},
		{"init-reboot, wrong network", message{kind: req, requested: awayIP}, Nak, answer(nak, nil)},
		{"init-reboot, nak keeps the broadcast flag", message{kind: req, requested: awayIP, flags: 0x8000}, Nak,
			answer(nak, func(r *reply) { r.Flags = 0x8000 })},
		{"init-reboot, nak with client id", message{kind: req, requested: awayIP, clientID: []byte{0, 'x'}}, Nak,
			answer(nak, func(r *reply) { r.Options = options(nak, Option{61, []byte{0, 'x'}}, Option{56, []byte(nakText)}) })},
		{"init-reboot by an unknown client", message{kind: req, from: unknownMAC, requested: clientIP}, UnknownClient, nil},

		// REQUEST in RENEWING: unicast, ciaddr alone
		{"renewing", message{kind: req, src: clientIP, dst: serverIP, ciaddr: clientIP}, AckRenewing, answer(ack, ciaddr(clientIP))},
		{"renewing, broadcast flag", message{kind: req, src: clientIP, dst: serverIP, ciaddr: clientIP, flags: 0x8000}, AckRenewing,
			answer(ack, func(r *reply) { r.CIAddr, r.Flags = clientIP, 0x8000 })},
		{"renewing, wrong address", message{kind: req, src: otherIP, dst: serverIP, ciaddr: otherIP}, Nak, answer(nak, nil)},
		{"renewing at another server", message{kind: req, src: clientIP, dst: otherIP, ciaddr: clientIP}, OtherServer, nil},

		// REQUEST in REBINDING: broadcast, ciaddr alone
		{"rebinding", message{kind: req, src: clientIP, ciaddr: clientIP}, AckRebinding, answer(ack, ciaddr(clientIP))},
		{"rebinding, wrong address", message{kind: req, src: otherIP, ciaddr: otherIP}, Nak, answer(nak, nil)},
		{"rebinding, no address", message{kind: req, src: clientIP}, NoAddress, nil},

		// INFORM -> ACK without lease (4.3.5)
		{"inform", message{kind: inform, src: clientIP, ciaddr: clientIP, flags: 0x8000}, AckInform, answer(ack, func(r *reply) {
			r.CIAddr, r.YIAddr, r.Flags = clientIP, none, 0x8000
			r.Options, r.PayloadLen = options(ack, oAll), 300
		})},
		{"inform, another address of the network", message{kind: inform, src: otherIP, ciaddr: otherIP}, AckInform, answer(ack, func(r *reply) {
			r.Dst, r.CIAddr, r.YIAddr = otherIP, otherIP, none
			r.Options, r.PayloadLen = options(ack, oAll), 300
		})},
		{"inform, address in the IP header only", message{kind: inform, src: clientIP}, AckInform, answer(ack, func(r *reply) {
			r.CIAddr, r.YIAddr = clientIP, none
			r.Options, r.PayloadLen = options(ack, oAll), 300
		})},
		{"inform, no address", message{kind: inform}, NoAddress, nil},
		{"inform, another network", message{kind: inform, src: awayIP, ciaddr: awayIP}, WrongAddress, nil},
		{"inform, the server's address", message{kind: inform, ciaddr: serverIP}, WrongAddress, nil},

		// DECLINE, RELEASE: no answer (4.3.3, 4.3.4)
		{"decline", message{kind: decline, server: serverIP, requested: clientIP}, Declined, nil},
		{"decline at another server", message{kind: decline, server: otherIP, requested: clientIP}, OtherServer, nil},
		{"decline another address", message{kind: decline, server: serverIP, requested: otherIP}, WrongAddress, nil},
		{"decline nothing", message{kind: decline, server: serverIP}, WrongAddress, nil},
		{"release", message{kind: release, src: clientIP, dst: serverIP, server: serverIP, ciaddr: clientIP}, Released, nil},
		{"release at another server", message{kind: release, src: clientIP, dst: serverIP, server: otherIP, ciaddr: clientIP}, OtherServer, nil},
		{"release another address", message{kind: release, src: clientIP, dst: serverIP, server: serverIP, ciaddr: otherIP}, WrongAddress, nil},

		// What is not a client's message
		{"offer", message{kind: offer}, UnknownType, nil},
		{"ack", message{kind: ack}, UnknownType, nil},
		{"nak", message{kind: nak}, UnknownType, nil},
		{"lease query", message{kind: 10}, UnknownType, nil},
		{"type 0", message{options: []Option{{53, []byte{0}}}}, UnknownType, nil},
		{"bootp", message{}, NoType, nil},
		{"a reply", message{kind: discover, op: 2}, NotRequest, nil},
		{"16 hops", message{kind: discover, hops: 16}, Offer, answer(offer, nil)},
		{"17 hops", message{kind: discover, hops: 17}, TooManyHops, nil},
		{"another's hardware address", message{kind: discover, chaddr: unknownMAC}, ForeignHardware, nil},
		{"from another station", message{kind: discover, from: unknownMAC, chaddr: clientMAC}, ForeignHardware, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, c.message.frame(), only(binding(t, config())), c.verdict, c.reply)
		})
	}
}

func check(t *testing.T, f []byte, lookup Lookup, want Verdict, reply *reply) {
	t.Helper()
	got, verdict := Respond(f, lookup)
	if verdict != want {
		t.Fatalf("verdict %q, want %q", verdict, want)
	}
	if reply == nil {
		if got != nil {
			t.Fatalf("a reply with verdict %q: %+v", verdict, decode(t, got))
		}
		return
	}
	if got == nil {
		t.Fatal("no reply")
	}
	if diff := cmp.Diff(*reply, decode(t, got), compare); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

// TestMalformed changes one thing of a good DISCOVER at a time.
func TestMalformed(t *testing.T) {
	good := message{kind: discover}
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	tail := func(v ...byte) func([]byte) []byte { // the options after the message type
		return func(b []byte) []byte { return append(b[:243], v...) }
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   Verdict
	}{
		{"unchanged", func(b []byte) []byte { return b }, Offer},
		{"empty", func([]byte) []byte { return nil }, Short},
		{"ends in the header", func(b []byte) []byte { return b[:235] }, Short},
		{"ends in the cookie", func(b []byte) []byte { return b[:239] }, Short},
		{"op 0", set(0, 0), NotRequest},
		{"htype 6", set(1, 6), BadHardware},
		{"hlen 0", set(2, 0), BadHardware},
		{"hlen 16", set(2, 16), BadHardware},
		{"hlen 255", set(2, 255), BadHardware},
		{"cookie", set(236, 1), BadCookie},
		{"no options", func(b []byte) []byte { return b[:240] }, NoType},
		{"no end", func(b []byte) []byte { return b[:243] }, NoEnd},
		{"only padding", tail(0, 0, 0), NoEnd},
		{"padding, then end", tail(0, 0, 0, 255), Offer},
		{"anything after the end", tail(255, 53, 200, 1), Offer},
		{"code without length", tail(50), NoEnd},
		{"length beyond the end", tail(50, 4, 10, 0, 0), BadOption},
		{"length 255", tail(12, 255, 'x', 255), BadOption},
		{"length swallows the end", tail(12, 1, 255), NoEnd},
		{"message type of 0 bytes", func(b []byte) []byte { return append(b[:240], 53, 0, 255) }, BadOption},
		{"message type of 2 bytes", func(b []byte) []byte { return append(b[:240], 53, 2, 1, 1, 255) }, BadOption},
		{"message type twice", tail(53, 1, 1, 255), BadOption},
		{"requested address of 3 bytes", tail(50, 3, 10, 0, 0, 255), BadOption},
		{"requested address of 0 bytes", tail(50, 0, 255), BadOption},
		{"requested address twice", tail(50, 4, 1, 2, 3, 4, 50, 4, 1, 2, 3, 4, 255), BadOption},
		{"server of 5 bytes", tail(54, 5, 10, 100, 0, 100, 0, 255), BadOption},
		{"maximum size of 1 byte", tail(57, 1, 9, 255), BadOption},
		{"client id of 256 bytes", tail(append(append(append([]byte{61, 255}, make([]byte, 255)...), 61, 1, 7), 255)...), BadOption},
		{"empty client id", tail(61, 0, 255), Offer},
		{"empty parameter list", tail(55, 0, 255), Offer},
		{"overload, options in file", func(b []byte) []byte {
			copy(b[108:], []byte{54, 4, 1, 2, 3, 4, 255})
			return append(b[:243], 52, 1, 1, 255)
		}, Offer},
		{"overload, type in file only", func(b []byte) []byte {
			copy(b[108:], []byte{53, 1, 1, 255})
			return append(b[:240], 52, 1, 1, 255)
		}, NoType},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := good.carry(c.change(good.bytes()))
			got, verdict := Respond(f, only(binding(t, config())))
			if verdict != c.want {
				t.Fatalf("verdict %q, want %q", verdict, c.want)
			}
			if (got != nil) != c.want.Answered() {
				t.Fatalf("reply %x", got)
			}
		})
	}
}

// TestRefusedFrames: what is below DHCP is refused with the frame decoder's reason.
func TestRefusedFrames(t *testing.T) {
	good := message{kind: discover}.frame()
	change := func(at int, v ...byte) []byte { b := append([]byte(nil), good...); copy(b[at:], v); return b }
	for _, c := range []struct {
		name  string
		frame []byte
		want  frame.Reason
	}{
		{"nothing", nil, frame.EthernetShort},
		{"arp", change(12, 8, 6), frame.NotIPv4},
		{"ipv4 checksum", change(24, 1, 2), frame.IPv4Checksum},
		{"cut", good[:len(good)-1], frame.IPv4TotalLength},
		{"udp length", change(38, 0, 9), frame.UDPLength},
		{"udp checksum", change(40, 1, 2), frame.UDPChecksum},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, verdict := Respond(c.frame, only(binding(t, config())))
			if got != nil || verdict.Frame() != c.want {
				t.Errorf("reply %x, verdict %q, want %q", got, verdict, c.want)
			}
		})
	}

	d := frame.Datagram{
		Ethernet: frame.Ethernet{Src: clientMAC, Dst: frame.Broadcast()},
		IP:       frame.IPv4{TTL: 64, Src: none, Dst: limitedBroadcast},
		UDP:      frame.UDP{SrcPort: 68, DstPort: 53},
		Payload:  message{kind: discover}.bytes(),
	}
	if got, verdict := Respond(d.Encode(), only(binding(t, config()))); got != nil || verdict != NotDHCP {
		t.Errorf("to port 53: reply %x, verdict %q", got, verdict)
	}
}

// TestLookupOfAnother: a lookup that gives the binding of another client leaks nothing of it.
func TestLookupOfAnother(t *testing.T) {
	b := binding(t, config())
	got, verdict := Respond(message{kind: discover, from: unknownMAC}.frame(), func(model.MAC) *Binding { return b })
	if got != nil || verdict != UnknownClient {
		t.Errorf("reply %x, verdict %q", got, verdict)
	}
}

func TestVerdictText(t *testing.T) {
	seen := map[string]Verdict{}
	for v := range Verdict(NumVerdicts) {
		s := v.String()
		if other, twice := seen[s]; s == "" || twice {
			t.Errorf("verdict %d has the text %q of verdict %d", v, s, other)
		}
		seen[s] = v
		if v.Answered() && v.Frame() != frame.OK {
			t.Errorf("%q is answered and refused", v)
		}
	}
	if got := Verdict(255).String(); got != "unknown verdict" {
		t.Errorf("Verdict(255) is %q", got)
	}
}

// TestPartialChecksum: a renewal leaves the guest's kernel with the checksum left to a device that never sees it.
func TestPartialChecksum(t *testing.T) {
	f := message{kind: req, src: clientIP, dst: serverIP, ciaddr: clientIP}.frame()
	const ip, udp = 14, 34
	var sum uint32
	for i := ip + 12; i < ip+20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(f[i:]))
	}
	sum += 17 + uint32(len(f)-udp)
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(f[udp+6:], uint16(sum))
	if _, verdict := Respond(f, only(binding(t, config()))); verdict != AckRenewing {
		t.Errorf("verdict %q", verdict)
	}
}

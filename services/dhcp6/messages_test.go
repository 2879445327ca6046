package dhcp6

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

const (
	solicit     = dhcpv6.MessageTypeSolicit
	request6    = dhcpv6.MessageTypeRequest
	confirm     = dhcpv6.MessageTypeConfirm
	renew       = dhcpv6.MessageTypeRenew
	rebind      = dhcpv6.MessageTypeRebind
	release     = dhcpv6.MessageTypeRelease
	decline     = dhcpv6.MessageTypeDecline
	information = dhcpv6.MessageTypeInformationRequest
)

const (
	served     = "na 00000001 T1 312 T2 500: fd00:1::10 625/1000" // of the lease of config()
	dns        = "DNS: [fd00:1::53 2001:db8::53]"
	search     = "Domain Search List: [example.org lab.example.org]"
	everything = "\n" + dns + "\n" + search
)

// said is an answer in words: its type, the identifiers that are in each, and the rest.
func said(kind, rest string) string {
	return "02:00:00:00:01:00>02:00:00:00:00:01 fe80::ff:fe00:100>fe80::ff:fe00:1 hops 255 547(dhcpv6-server)>546(dhcpv6-client)\n" +
		kind + " abcdef\nserver " + hex.EncodeToString(serverDUID) + "\nclient " + hex.EncodeToString(clientDUID) + rest
}

func advertises(rest string) string { return said("ADVERTISE", rest) }
func replies(rest string) string    { return said("REPLY", rest) }

// TestMessages is the behaviour of RFC 8415 for a server of fixed reservations: message and state, expected answer. "" is silence.
func TestMessages(t *testing.T) {
	c, s := clientDUID, serverDUID
	leaseless := func(c *Config) { c.Addresses = nil }
	two := func(c *Config) { c.Addresses = append(c.Addresses, otherIP) }
	infinite := func(c *Config) { c.Lease = Infinite }
	for _, tc := range []struct {
		name    string
		message message
		verdict Verdict
		answer  string
		change  func(*Config)
	}{
		// SOLICIT (18.3.1): ADVERTISE, or REPLY at once
		{"solicit", message{kind: solicit, client: c, ias: []Option{na(1)}}, Advertise, advertises("\n" + served + everything), nil},
		{"solicit in a VLAN", message{kind: solicit, client: c, ias: []Option{na(1)}, tci: 42}, Advertise, "vlan 42 " + advertises("\n"+served+everything), nil},
		{"solicit, rapid commit", message{kind: solicit, client: c, ias: []Option{na(1)}, rapid: true}, ReplyRapid, replies("\n14 \n" + served + everything), nil},
		{"solicit, wishes another address", message{kind: solicit, client: c, ias: []Option{na(1, otherIP)}}, Advertise, advertises("\n" + served + everything), nil},
		{"solicit, wishes DNS only", message{kind: solicit, client: c, ias: []Option{na(1)}, wants: []byte{0, 23, 0, 82}}, Advertise, advertises("\n" + served + "\n" + dns), nil},
		{"solicit, wishes nothing", message{kind: solicit, client: c, ias: []Option{na(1)}, wants: []byte{}}, Advertise, advertises("\n" + served), nil},
		{"solicit, two associations", message{kind: solicit, client: c, ias: []Option{na(7), na(1)}, wants: []byte{}}, Advertise,
			advertises("\nna 00000007 T1 312 T2 500: fd00:1::10 625/1000\nna 00000001 T1 0 T2 0: NoAddrsAvail"), nil},
		{"solicit, two associations, the second has the address", message{kind: solicit, client: c, ias: []Option{na(7), na(1, clientIP)}, wants: []byte{}}, Advertise,
			advertises("\nna 00000007 T1 0 T2 0: NoAddrsAvail\n" + served), nil},
		{"solicit of who has two addresses", message{kind: solicit, client: c, ias: []Option{na(1)}, wants: []byte{}}, Advertise, advertises("\n" + served + " fd00:1::11 625/1000"), two},
		{"solicit, lease without end", message{kind: solicit, client: c, ias: []Option{na(1)}, wants: []byte{}}, Advertise,
			advertises("\nna 00000001 T1 4294967295 T2 4294967295: fd00:1::10 4294967295/4294967295"), infinite},
		{"solicit, temporary addresses and prefixes too", message{kind: solicit, client: c, ias: []Option{ta(3), na(1), pd(2)}, wants: []byte{}}, Advertise,
			advertises("\nta 00000003: NoAddrsAvail\n" + served + "\npd 00000002 T1 0 T2 0: NoPrefixAvail"), nil},
		{"solicit of who has no address", message{kind: solicit, client: c, ias: []Option{na(1)}}, AdvertiseNone, advertises("\nna 00000001 T1 0 T2 0: NoAddrsAvail" + everything), leaseless},
		{"solicit of who has no address, rapid commit", message{kind: solicit, client: c, ias: []Option{na(1)}, rapid: true}, AdvertiseNone,
			advertises("\nna 00000001 T1 0 T2 0: NoAddrsAvail" + everything), leaseless},
		{"solicit without association", message{kind: solicit, client: c}, AdvertiseNone, advertises(everything), nil},
		{"solicit of an unknown client", message{kind: solicit, client: c, from: unknownMAC, ias: []Option{na(1)}}, UnknownClient, "", nil},
		{"solicit without client", message{kind: solicit, ias: []Option{na(1)}}, NoClient, "", nil},
		{"solicit with our server", message{kind: solicit, client: c, server: s}, UnwantedServer, "", nil},
		{"solicit with a server", message{kind: solicit, client: c, server: otherDUID}, UnwantedServer, "", nil},
		{"solicit to us alone", message{kind: solicit, client: c, dst: serverLL}, Unicast, "", nil},
		{"solicit from a global address", message{kind: solicit, client: c, src: clientIP}, BadSource, "", nil},
		{"solicit from ::", message{kind: solicit, client: c, src: netip.IPv6Unspecified()}, BadSource, "", nil},
		{"solicit to another group", message{kind: solicit, client: c, dst: netip.MustParseAddr("ff05::1:3")}, OtherServer, "", nil},

		// REQUEST (18.3.2)
		{"request", message{kind: request6, client: c, server: s, ias: []Option{na(1, clientIP)}}, ReplyRequest, replies("\n" + served + everything), nil},
		{"request of no address", message{kind: request6, client: c, server: s, ias: []Option{na(1)}, wants: []byte{}}, ReplyRequest, replies("\n" + served), nil},
		{"request of another address", message{kind: request6, client: c, server: s, ias: []Option{na(1, otherIP)}, wants: []byte{}}, ReplyRequest, replies("\n" + served), nil},
		{"request, not on link", message{kind: request6, client: c, server: s, ias: []Option{na(1, awayIP)}, wants: []byte{}}, ReplyElsewhere, replies("\nna 00000001 T1 0 T2 0: NotOnLink"), nil},
		{"request, one of two not on link", message{kind: request6, client: c, server: s, ias: []Option{na(1, clientIP), na(2, awayIP)}, wants: []byte{}}, ReplyElsewhere,
			replies("\n" + served + "\nna 00000002 T1 0 T2 0: NotOnLink"), nil},
		{"request of who has no address", message{kind: request6, client: c, server: s, ias: []Option{na(1, clientIP)}, wants: []byte{}}, ReplyNone, replies("\nna 00000001 T1 0 T2 0: NoAddrsAvail"), leaseless},
		{"request of another server", message{kind: request6, client: c, server: otherDUID, ias: []Option{na(1)}}, OtherServer, "", nil},
		{"request without server", message{kind: request6, client: c, ias: []Option{na(1)}}, NoServer, "", nil},
		{"request without client", message{kind: request6, server: s, ias: []Option{na(1)}}, NoClient, "", nil},
		{"request to us alone", message{kind: request6, client: c, server: s, ias: []Option{na(1)}, dst: serverLL}, UseMulticast, replies("\nUseMulticast"), nil},
		{"request to another alone", message{kind: request6, client: c, server: s, ias: []Option{na(1)}, dst: otherIP}, OtherServer, "", nil},

		// CONFIRM (18.3.3)
		{"confirm", message{kind: confirm, client: c, ias: []Option{na(1, clientIP)}}, ReplyConfirm, replies("\nSuccess"), nil},
		{"confirm, another link", message{kind: confirm, client: c, ias: []Option{na(1, awayIP)}}, ReplyMoved, replies("\nNotOnLink"), nil},
		{"confirm, one of two", message{kind: confirm, client: c, ias: []Option{na(1, clientIP, awayIP)}}, ReplyMoved, replies("\nNotOnLink"), nil},
		{"confirm, not the client's any more", message{kind: confirm, client: c, ias: []Option{na(1, otherIP)}}, ReplyMoved, replies("\nNotOnLink"), nil},
		{"confirm of nothing", message{kind: confirm, client: c, ias: []Option{na(1)}}, NoAddress, "", nil},
		{"confirm with a server", message{kind: confirm, client: c, server: s, ias: []Option{na(1, clientIP)}}, UnwantedServer, "", nil},
		{"confirm without client", message{kind: confirm, ias: []Option{na(1, clientIP)}}, NoClient, "", nil},
		{"confirm to us alone", message{kind: confirm, client: c, ias: []Option{na(1, clientIP)}, dst: serverLL}, Unicast, "", nil},

		// RENEW (18.3.4)
		{"renew", message{kind: renew, client: c, server: s, ias: []Option{na(1, clientIP)}}, ReplyRenew, replies("\n" + served + everything), nil},
		{"renew, the address is another one now", message{kind: renew, client: c, server: s, ias: []Option{na(1, otherIP, otherIP)}, wants: []byte{}}, ReplyRenew, replies("\n" + served + " fd00:1::11 0/0"), nil},
		{"renew, an address of elsewhere too", message{kind: renew, client: c, server: s, ias: []Option{na(1, awayIP, clientIP)}, wants: []byte{}}, ReplyRenew, replies("\n" + served + " fd00:9::10 0/0"), nil},
		{"renew, a second association", message{kind: renew, client: c, server: s, ias: []Option{na(1, clientIP), na(2, otherIP), na(3)}, wants: []byte{}}, ReplyRenew,
			replies("\n" + served + "\nna 00000002 T1 0 T2 0: fd00:1::11 0/0\nna 00000003 T1 0 T2 0: NoBinding"), nil},
		{"renew of who has no address", message{kind: renew, client: c, server: s, ias: []Option{na(1, clientIP), na(2)}, wants: []byte{}}, ReplyRenew,
			replies("\nna 00000001 T1 0 T2 0: fd00:1::10 0/0\nna 00000002 T1 0 T2 0: NoBinding"), leaseless},
		{"renew of what is not served", message{kind: renew, client: c, server: s, ias: []Option{ta(1, clientIP), ta(2), pd(3)}, wants: []byte{}}, ReplyRenew,
			replies("\nta 00000001: fd00:1::10 0/0\nta 00000002: NoBinding\npd 00000003 T1 0 T2 0: NoBinding"), nil},
		{"renew of another server", message{kind: renew, client: c, server: otherDUID, ias: []Option{na(1, clientIP)}}, OtherServer, "", nil},
		{"renew without server", message{kind: renew, client: c, ias: []Option{na(1, clientIP)}}, NoServer, "", nil},
		{"renew without client", message{kind: renew, server: s, ias: []Option{na(1, clientIP)}}, NoClient, "", nil},
		{"renew to us alone", message{kind: renew, client: c, server: s, ias: []Option{na(1, clientIP)}, dst: serverLL}, UseMulticast, replies("\nUseMulticast"), nil},
		{"renew to us alone for another", message{kind: renew, client: c, server: otherDUID, ias: []Option{na(1, clientIP)}, dst: serverLL}, OtherServer, "", nil},

		// REBIND (18.3.5)
		{"rebind", message{kind: rebind, client: c, ias: []Option{na(1, clientIP)}}, ReplyRebind, replies("\n" + served + everything), nil},
		{"rebind, the address is another one now", message{kind: rebind, client: c, ias: []Option{na(1, otherIP)}, wants: []byte{}}, ReplyRebind, replies("\n" + served + " fd00:1::11 0/0"), nil},
		{"rebind of who has no address", message{kind: rebind, client: c, ias: []Option{na(1, clientIP)}, wants: []byte{}}, ReplyRebind, replies("\nna 00000001 T1 0 T2 0: fd00:1::10 0/0"), leaseless},
		{"rebind with a server", message{kind: rebind, client: c, server: s, ias: []Option{na(1, clientIP)}}, UnwantedServer, "", nil},
		{"rebind without client", message{kind: rebind, ias: []Option{na(1, clientIP)}}, NoClient, "", nil},
		{"rebind to us alone", message{kind: rebind, client: c, ias: []Option{na(1, clientIP)}, dst: serverLL}, Unicast, "", nil},

		// INFORMATION-REQUEST (18.3.6): no association
		{"information", message{kind: information, client: c}, ReplyInformation, replies("\nInformation Refresh Time: 16m40s" + everything), nil},
		{"information, wishes", message{kind: information, client: c, wants: []byte{0, 24, 0, 23}}, ReplyInformation, replies(everything), nil},
		{"information without client", message{kind: information, wants: []byte{0, 23}}, ReplyInformation,
			strings.Replace(replies("\n"+dns), "\nclient "+hex.EncodeToString(clientDUID), "", 1), nil},
		{"information of who has no address", message{kind: information, client: c, wants: []byte{0, 23}}, ReplyInformation, replies("\n" + dns), leaseless},
		{"information, refreshed not too often", message{kind: information, client: c, wants: []byte{0, 32}}, ReplyInformation, replies("\nInformation Refresh Time: 10m0s"),
			func(c *Config) { c.Lease = time.Minute }},
		{"information of our server", message{kind: information, client: c, server: s, wants: []byte{}}, ReplyInformation, replies(""), nil},
		{"information of another server", message{kind: information, client: c, server: otherDUID}, OtherServer, "", nil},
		{"information with an association", message{kind: information, client: c, ias: []Option{na(1)}}, UnwantedIA, "", nil},
		{"information with temporary addresses", message{kind: information, client: c, ias: []Option{ta(1)}}, UnwantedIA, "", nil},
		{"information with prefixes", message{kind: information, client: c, ias: []Option{pd(1)}}, UnwantedIA, "", nil},
		{"information to us alone", message{kind: information, client: c, dst: serverLL}, Unicast, "", nil},

		// RELEASE (18.3.7) and DECLINE (18.3.8)
		{"release", message{kind: release, client: c, server: s, ias: []Option{na(1, clientIP)}}, ReplyRelease, replies("\nSuccess"), nil},
		{"release of what is not leased", message{kind: release, client: c, server: s, ias: []Option{na(1, clientIP), na(2, otherIP), pd(3)}}, ReplyRelease,
			replies("\nSuccess\nna 00000002 T1 0 T2 0: NoBinding\npd 00000003 T1 0 T2 0: NoBinding"), nil},
		{"release of another server", message{kind: release, client: c, server: otherDUID, ias: []Option{na(1, clientIP)}}, OtherServer, "", nil},
		{"release without server", message{kind: release, client: c, ias: []Option{na(1, clientIP)}}, NoServer, "", nil},
		{"release without client", message{kind: release, server: s, ias: []Option{na(1, clientIP)}}, NoClient, "", nil},
		{"release to us alone", message{kind: release, client: c, server: s, ias: []Option{na(1, clientIP)}, dst: serverLL}, UseMulticast, replies("\nUseMulticast"), nil},
		{"decline", message{kind: decline, client: c, server: s, ias: []Option{na(1, clientIP)}}, ReplyDecline, replies("\nSuccess"), nil},
		{"decline of what is not leased", message{kind: decline, client: c, server: s, ias: []Option{na(2, otherIP)}}, ReplyDecline, replies("\nSuccess\nna 00000002 T1 0 T2 0: NoBinding"), nil},
		{"decline of another server", message{kind: decline, client: c, server: otherDUID, ias: []Option{na(1, clientIP)}}, OtherServer, "", nil},
		{"decline without server", message{kind: decline, client: c, ias: []Option{na(1, clientIP)}}, NoServer, "", nil},
		{"decline without client", message{kind: decline, server: s, ias: []Option{na(1, clientIP)}}, NoClient, "", nil},
		{"decline to us alone", message{kind: decline, client: c, server: s, ias: []Option{na(1, clientIP)}, dst: serverLL}, UseMulticast, replies("\nUseMulticast"), nil},

		// What servers and relays say, and what nobody does
		{"advertise", message{kind: dhcpv6.MessageTypeAdvertise, client: c, server: s}, UnknownType, "", nil},
		{"reply", message{kind: dhcpv6.MessageTypeReply, client: c, server: s}, UnknownType, "", nil},
		{"reconfigure", message{kind: dhcpv6.MessageTypeReconfigure, client: c, server: s}, UnknownType, "", nil},
		{"leasequery", message{kind: dhcpv6.MessageTypeLeaseQuery, client: c}, UnknownType, "", nil},
		{"type 0", message{client: c}, UnknownType, "", nil},
		{"relay forward", message{kind: dhcpv6.MessageTypeRelayForward, client: c}, Relayed, "", nil},
		{"relay reply", message{kind: dhcpv6.MessageTypeRelayReply, client: c}, Relayed, "", nil},

		// Malformed
		{"client of two bytes", message{kind: solicit, client: []byte{0, 3}}, BadDUID, "", nil},
		{"client of 131 bytes", message{kind: solicit, client: make([]byte, 131)}, BadDUID, "", nil},
		{"server of two bytes", message{kind: request6, client: c, server: []byte{0, 3}}, BadDUID, "", nil},
		{"two clients", message{kind: solicit, client: c, options: []Option{{1, c}}}, Repeated, "", nil},
		{"odd wishes", message{kind: solicit, client: c, wants: []byte{0, 23, 0}}, BadOption, "", nil},
		{"short association", message{kind: solicit, client: c, ias: []Option{{3, make([]byte, 11)}}}, BadOption, "", nil},
		{"short temporary association", message{kind: solicit, client: c, ias: []Option{{4, make([]byte, 3)}}}, BadOption, "", nil},
		{"short address", message{kind: solicit, client: c, ias: []Option{{3, append(make([]byte, 12), 0, 5, 0, 1, 0)}}}, BadOption, "", nil},
		{"option cut within an association", message{kind: solicit, client: c, ias: []Option{{3, append(make([]byte, 12), 0, 5, 0)}}}, BadOption, "", nil},
		{"option cut within an address", message{kind: solicit, client: c, ias: []Option{{3, append(append(make([]byte, 12), 0, 5, 0, 25), make([]byte, 25)...)}}}, BadOption, "", nil},
		{"elapsed time of a byte", message{kind: solicit, client: c, options: []Option{{8, []byte{1}}}}, BadOption, "", nil},
		{"rapid commit with a value", message{kind: solicit, client: c, options: []Option{{14, []byte{1}}}}, BadOption, "", nil},
		{"nine associations", message{kind: solicit, client: c, ias: []Option{na(1), na(2), na(3), na(4), na(5), na(6), na(7), na(8), na(9)}}, TooMany, "", nil},
		{"nine addresses", message{kind: solicit, client: c, ias: []Option{na(1, clientIP, clientIP, clientIP, clientIP), na(2, clientIP, clientIP, clientIP, clientIP, clientIP)}}, TooMany, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := config()
			if tc.change != nil {
				tc.change(&cfg)
			}
			f := tc.message.frame()
			before := bytes.Clone(f)
			got, verdict, _ := Respond(f, only(binding(t, cfg)))
			if verdict != tc.verdict {
				t.Errorf("verdict %q, want %q", verdict, tc.verdict)
			}
			text := ""
			if got != nil {
				text = decoded(t, got)
			}
			if diff := cmp.Diff(tc.answer, text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !bytes.Equal(before, f) {
				t.Error("the frame was changed")
			}
		})
	}
}

// Which of the client's addresses a message is about.
func TestOwnAddresses(t *testing.T) {
	c, s := clientDUID, serverDUID
	both := []netip.Addr{clientIP, otherIP}
	for name, tc := range map[string]struct {
		message message
		want    []netip.Addr
	}{
		"solicit":                   {message{kind: solicit, client: c, ias: []Option{na(1)}}, nil},
		"solicit, rapid commit":     {message{kind: solicit, client: c, ias: []Option{na(1)}, rapid: true}, both},
		"request":                   {message{kind: request6, client: c, server: s, ias: []Option{na(1, clientIP)}}, both},
		"request of temporary ones": {message{kind: request6, client: c, server: s, ias: []Option{ta(1)}}, nil},
		"confirm":                   {message{kind: confirm, client: c, ias: []Option{na(1, clientIP)}}, nil},
		"renew":                     {message{kind: renew, client: c, server: s, ias: []Option{na(1, clientIP)}}, both},
		"renew of temporary ones":   {message{kind: renew, client: c, server: s, ias: []Option{ta(1, clientIP)}}, nil},
		"rebind":                    {message{kind: rebind, client: c, ias: []Option{na(1, awayIP)}}, both},
		"release of one":            {message{kind: release, client: c, server: s, ias: []Option{na(1, otherIP, awayIP, otherIP)}}, both[1:]},
		"release of both":           {message{kind: release, client: c, server: s, ias: []Option{na(1, clientIP), na(2, otherIP)}}, both},
		"release of another's":      {message{kind: release, client: c, server: s, ias: []Option{na(1, awayIP)}}, nil},
		"release to us alone":       {message{kind: release, client: c, server: s, ias: []Option{na(1, clientIP)}, dst: serverLL}, nil},
		"release of temporary ones": {message{kind: release, client: c, server: s, ias: []Option{ta(1, clientIP)}}, nil},
		"decline":                   {message{kind: decline, client: c, server: s, ias: []Option{na(1, clientIP)}}, both[:1]},
		"information":               {message{kind: information, client: c}, nil},
		"of another server":         {message{kind: release, client: c, server: otherDUID, ias: []Option{na(1, clientIP)}}, nil},
	} {
		cfg := config()
		cfg.Addresses = both
		if _, _, own := Respond(tc.message.frame(), only(binding(t, cfg))); !slices.Equal(own, tc.want) {
			t.Errorf("%s: %v, want %v", name, own, tc.want)
		}
	}
}

func TestRefusedFrames(t *testing.T) {
	good := message{kind: solicit, client: clientDUID, ias: []Option{na(1)}}
	b := good.bytes()
	for _, c := range []struct {
		name  string
		frame []byte
		want  Verdict
	}{
		{"empty", nil, refusedFrame(frame.EthernetShort)},
		{"no message", good.carry(nil), Short},
		{"three bytes", good.carry(b[:3]), Short},
		{"no options", good.carry(b[:4]), NoClient},
		{"cut in an option's head", good.carry(b[:7]), BadOption},
		{"cut in an option", good.carry(b[:12]), BadOption},
		{"cut in the last option", good.carry(b[:len(b)-1]), BadOption},
	} {
		if got, v, _ := Respond(c.frame, func(model.MAC) *Binding { return nil }); got != nil || v != c.want {
			t.Errorf("%s: %q, want %q", c.name, v, c.want)
		}
	}
	f := good.frame()
	f[14+40+3] = 99
	f[14+40+6], f[14+40+7] = 0, 0
	if _, v, _ := Respond(f, nil); v != refusedFrame(frame.UDPChecksum) {
		t.Errorf("checksum: %q", v)
	}
	away := frame.Datagram6{IP: frame.IPv6{Src: clientLL, Dst: allServers}, UDP: frame.UDP{SrcPort: 547, DstPort: 546}, Payload: b}
	if _, v, _ := Respond(away.Encode(), nil); v != NotDHCP {
		t.Errorf("to a client's port: %q", v)
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
	}
	if Verdict(255).String() != "unknown verdict" {
		t.Error("a verdict that is none has a text")
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no client", func(c *Config) { c.Client = model.MAC{} }, "client: "},
		{"group as server", func(c *Config) { c.ServerMAC[0] = 1 }, "server mac: "},
		{"IPv4 prefix", func(c *Config) { c.Prefix = netip.MustParsePrefix("10.0.0.0/8"); c.Addresses = nil }, "prefix: "},
		{"address elsewhere", func(c *Config) { c.Addresses = []netip.Addr{awayIP} }, "addresses: "},
		{"many addresses", func(c *Config) { c.Addresses = make([]netip.Addr, 9) }, "addresses: 9"},
		{"IPv4 DNS", func(c *Config) { c.DNS = []netip.Addr{netip.MustParseAddr("10.0.0.1")} }, "dns: "},
		{"search", func(c *Config) { c.Search = []string{"a b"} }, "search: "},
		{"half a second", func(c *Config) { c.Lease = time.Second / 2 }, "lease: "},
		{"order", func(c *Config) { c.Renew = time.Hour }, "lease: T1"},
		{"infinite", func(c *Config) { c.Lease, c.Renew = Infinite, time.Second }, "lease: an infinite"},
		{"own option", func(c *Config) { c.Options = []Option{{3, nil}} }, "options: option 3"},
		{"twice", func(c *Config) { c.Options = []Option{{99, nil}, {99, nil}} }, "options: option 99 is there twice"},
		{"long", func(c *Config) { c.Options = []Option{{99, make([]byte, 1<<16)}} }, "options: option 99"},
	} {
		cfg := config()
		c.change(&cfg)
		if _, err := NewBinding(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Options by hand take the place of others, or take them away.
func TestOptionsReplace(t *testing.T) {
	c := config()
	c.Options = []Option{{23, otherIP.AsSlice()}, {24, nil}}
	got, _, _ := Respond(message{kind: information, client: clientDUID, wants: []byte{0, 23, 0, 24}}.frame(), only(binding(t, c)))
	if diff := cmp.Diff(replies("\nDNS: [fd00:1::11]"), decoded(t, got)); diff != "" {
		t.Error(diff)
	}
}

// Further options come as they are, where they are asked for and there is room.
func TestExtraOptions(t *testing.T) {
	c := config()
	c.DNS, c.Search, c.MTU = nil, nil, 0
	c.Options = []Option{{59, []byte("tftp://[fd00::1]/x")}, {200, make([]byte, 1300)}, {31, make([]byte, 16)}}
	got, _, _ := Respond(message{kind: information, client: clientDUID, wants: []byte{0, 31, 0, 200, 0, 59}}.frame(), only(binding(t, c)))
	text := decoded(t, got)
	if !strings.Contains(text, "\n59 746674703a") && !strings.Contains(text, "tftp") || !strings.Contains(text, "\n31 ") || strings.Contains(text, "\n200 ") {
		t.Error(text)
	}
}

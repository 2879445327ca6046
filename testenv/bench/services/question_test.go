package services

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/miekg/dns"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/dhcp"
)

func ask(q question, id uint16) []byte {
	q.number(q.text, id)
	return q.text
}

// An answer is known by its number; another guest's address or another type is an error, and another guest's answer is not ours.
func TestDHCP4(t *testing.T) {
	q, err := dhcp4Question(3, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeAck)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(guest int) []byte {
		b, v := dhcp.Respond(ask(q, 777), func(mac model.MAC) *dhcp.Binding {
			b, err := dhcp.NewBinding(dhcp.Config{Client: mac, Address: netip.PrefixFrom(guest4(guest), 16), Server: server4, ServerMAC: serverMAC})
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
		if b == nil {
			t.Fatal(v)
		}
		return b
	}
	if id, mine, err := q.read(answer(3)); id != 777 || !mine || err != nil {
		t.Errorf("%d, %t, %v", id, mine, err)
	}
	if _, mine, err := q.read(answer(4)); !mine || err == nil { // which is a NAK
		t.Errorf("another address: %t, %v", mine, err)
	}
	if _, _, err := readDHCP4(answer(3), 3, guestMAC(3), dhcpv4.MessageTypeOffer); err == nil || !strings.Contains(err.Error(), "ACK") {
		t.Errorf("another type: %v", err)
	}
	other, err := dhcp4Question(4, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeAck)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"empty": {}, "a question": q.text, "cut": answer(3)[:100]} {
		if _, mine, _ := q.read(b); mine {
			t.Errorf("%s is taken for an answer", name)
		}
	}
	if _, mine, _ := other.read(answer(3)); mine {
		t.Error("another guest's is taken for an answer")
	}
}

func TestDHCP6(t *testing.T) {
	for rapid, want := range map[bool]dhcpv6.MessageType{false: dhcpv6.MessageTypeAdvertise, true: dhcpv6.MessageTypeReply} {
		q := solicitation(3, rapid)
		answer := func(guest int) []byte {
			m, err := dhcpv6.MessageFromBytes(ask(q, 999))
			if err != nil {
				t.Fatal(err)
			}
			mods := []dhcpv6.Modifier{dhcpv6.WithIANA(dhcpv6.OptIAAddress{IPv6Addr: guest6(guest).AsSlice()}), dhcpv6.WithServerID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: serverMAC[:]})}
			a, err := dhcpv6.NewAdvertiseFromSolicit(m, mods...)
			if rapid {
				a, err = dhcpv6.NewReplyFromMessage(m, mods...)
			}
			if err != nil {
				t.Fatal(err)
			}
			return a.ToBytes()
		}
		b := answer(3)
		if id, mine, err := q.read(b); id != 999 || !mine || err != nil || dhcpv6.MessageType(b[0]) != want {
			t.Errorf("rapid %t: %d, %t, %v of type %d", rapid, id, mine, err, b[0])
		}
		if _, mine, err := q.read(answer(4)); !mine || err == nil {
			t.Errorf("another address: %t, %v", mine, err)
		}
		if _, _, err := readDHCP6(b, 3, 99); err == nil {
			t.Error("another type is right")
		}
		if _, _, err := q.read(b[:4]); err == nil {
			t.Error("no address is right")
		}
	}
}

func TestRA(t *testing.T) {
	b := append([]byte{routerAdvertisement, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 5, 1, 0, 0, 0, 0, 5, 0xdc) // with an MTU
	if _, mine, err := readRA(b); !mine || err == nil {
		t.Errorf("without a prefix: %t, %v", mine, err)
	}
	p := subnet6.Addr().As16()
	b = append(append(b, 3, 4, 64, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), p[:]...)
	if _, mine, err := readRA(b); !mine || err != nil {
		t.Errorf("%t, %v", mine, err)
	}
	if _, mine, _ := readRA(b[:8]); mine {
		t.Error("a cut one is taken for one")
	}
}

func TestDNS(t *testing.T) {
	for _, n := range []name{ownName, ownAddress, elsewhere} {
		q, err := dnsMessage(n, 259)
		if err != nil {
			t.Fatal(err)
		}
		var m dns.Msg
		if err := m.Unpack(q); err != nil {
			t.Fatal(err)
		}
		answer := func(text string) []byte {
			a := new(dns.Msg).SetReply(&m)
			if text != "" {
				rr, err := dns.NewRR(m.Question[0].Name + " 60 " + dns.TypeToString[m.Question[0].Qtype] + " " + text)
				if err != nil {
					t.Fatal(err)
				}
				a.Answer = []dns.RR{rr}
			}
			b, err := a.Pack()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		ask, _, want := n(259)
		if id, err := readDNS(answer(want), n, 259); id != m.Id || err != nil {
			t.Errorf("%s: %d, %v", ask, id, err)
		}
		if _, err := readDNS(answer(""), n, 259); err == nil {
			t.Errorf("%s: no record is right", ask)
		}
		if _, err := readDNS(answer(map[uint16]string{dns.TypeA: "192.0.2.1", dns.TypePTR: "x."}[m.Question[0].Qtype]), n, 259); err == nil {
			t.Errorf("%s: another answer is right", ask)
		}
	}
}

func TestHTTP(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
	for text, want := range map[string]struct{ whole, ok bool }{
		head + "abc":                        {true, true},
		head + "ab":                         {false, true},
		head[:20]:                           {false, true},
		head + "abd":                        {true, false},
		"HTTP/1.1 404 Not Found\r\n\r\nabc": {true, false},
	} {
		if whole, err := readHTTP([]byte(text), "abc"); whole != want.whole || (err == nil) != want.ok {
			t.Errorf("%q: %t, %v", text, whole, err)
		}
	}
}

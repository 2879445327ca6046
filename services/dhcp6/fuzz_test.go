package dhcp6

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

var seeds = []message{
	{kind: solicit, client: clientDUID, ias: []Option{na(1)}, tci: 7},
	{kind: solicit, client: clientDUID, ias: []Option{na(1), ta(2), pd(3)}, rapid: true, wants: []byte{0, 23, 0, 24}},
	{kind: request6, client: clientDUID, server: serverDUID, ias: []Option{na(1, clientIP), na(2, awayIP)}},
	{kind: request6, client: clientDUID, server: serverDUID, dst: serverLL},
	{kind: confirm, client: clientDUID, ias: []Option{na(1, clientIP)}},
	{kind: renew, client: clientDUID, server: serverDUID, ias: []Option{na(1, otherIP), na(2, otherIP), ta(3, otherIP)}},
	{kind: rebind, client: clientDUID, ias: []Option{na(1, clientIP)}},
	{kind: release, client: clientDUID, server: serverDUID, ias: []Option{na(1, otherIP)}},
	{kind: decline, client: clientDUID, server: serverDUID, ias: []Option{na(1, clientIP)}},
	{kind: information, options: []Option{{8, []byte{0, 0}}, {39, []byte{1, 2}}}},
	{kind: 12},
}

// anyone is a lookup that has a binding for whoever asks.
func anyone(f *testing.F) func(*[]*Binding) Lookup {
	c := config()
	c.Addresses = append(c.Addresses, otherIP)
	c.Options = []Option{{200, make([]byte, 900)}}
	known := binding(f, c)
	return func(asked *[]*Binding) Lookup {
		return func(mac model.MAC) *Binding {
			b := *known
			b.client = mac
			*asked = append(*asked, &b)
			return &b
		}
	}
}

// FuzzRespond takes any frame.
func FuzzRespond(f *testing.F) {
	for _, m := range seeds {
		f.Add(m.frame())
	}
	lookup := anyone(f)
	f.Fuzz(func(t *testing.T, b []byte) { respondAndCheck(t, b, lookup) })
}

// FuzzRespondMessage takes any DHCP message in a frame that is good, which the fuzzer would seldom guess.
func FuzzRespondMessage(f *testing.F) {
	for _, m := range seeds {
		f.Add(m.bytes(), m.dst.IsValid())
	}
	lookup := anyone(f)
	f.Fuzz(func(t *testing.T, b []byte, unicast bool) {
		if len(b) > 9000 {
			return
		}
		m := message{}
		if unicast {
			m.dst = serverLL
		}
		respondAndCheck(t, m.carry(b), lookup)
	})
}

// respondAndCheck asserts what holds for every frame: no panic, an answer xor a reason, the input untouched, and an answer
// that second implementations take apart, in the network's size, addressed to who asked and repeating its question.
func respondAndCheck(t *testing.T, b []byte, lookup func(*[]*Binding) Lookup) {
	before := bytes.Clone(b)
	var asked []*Binding
	got, verdict, own := Respond(b, lookup(&asked))
	if !bytes.Equal(before, b) {
		t.Fatal("the frame was changed")
	}
	if verdict == 0 || int(verdict) >= NumVerdicts || verdict.Answered() != (got != nil) {
		t.Fatalf("verdict %d %q with %d bytes of reply", verdict, verdict, len(got))
	}
	for _, a := range own {
		if got == nil || !asked[0].has(a) {
			t.Fatalf("%q is about %s", verdict, a)
		}
	}
	if got == nil {
		return
	}
	if len(asked) != 1 {
		t.Fatalf("%d lookups", len(asked))
	}
	question, reason := frame.DecodeDatagram6(b)
	if reason != frame.OK {
		t.Fatalf("answered what is refused as %q", reason)
	}
	d, reason := frame.DecodeDatagram6(got)
	if reason != frame.OK {
		t.Fatalf("we refuse our own reply: %s", reason)
	}
	r, _ := parse(question.Payload)
	if _, err := dhcpv6.DUIDFromBytes(r.client); r.client == nil || err == nil { // a server does not look into it (RFC 8415, section 11), as the library does
		decoded(t, got)
	}
	if d.Ethernet.Dst != question.Ethernet.Src || d.IP.Dst != question.IP.Src || d.Ethernet.Src != serverMAC || d.IP.Src != serverLL || d.Ethernet.TCI != question.Ethernet.TCI {
		t.Fatalf("from %s %s to %s %s", d.Ethernet.Src, d.IP.Src, d.Ethernet.Dst, d.IP.Dst)
	}
	if len(d.Payload) > asked[0].limit || !bytes.Equal(d.Payload[1:4], question.Payload[1:4]) {
		t.Fatalf("%d bytes of message, transaction %x", len(d.Payload), d.Payload[1:4])
	}
	leased := map[netip.Addr]bool{}
	for _, a := range asked[0].addresses {
		leased[a] = true
	}
	_ = walk(d.Payload[headerLen:], func(code uint16, data []byte) Verdict {
		if code != optIANA {
			return 0
		}
		ia, refusal := parseAssociation(code, data)
		if refusal != 0 {
			t.Fatalf("an association of the reply: %s", refusal)
		}
		lives := bytes.Contains(data, []byte{0, 0, 2, 113}) // the preferred lifetime
		for _, a := range ia.addrs {
			if lives && !leased[a] && verdict != ReplyRenew && verdict != ReplyRebind {
				t.Fatalf("leased %s", a)
			}
		}
		return 0
	})
}

package dhcp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

var seeds = []message{
	{kind: discover},
	{kind: discover, wants: []byte{1, 121, 3, 6}, clientID: []byte{1, 2, 3}, tci: 7, flags: 0x8000},
	{kind: discover, giaddr: otherIP, hops: 3, options: []Option{{82, []byte{1, 1, 1}}, {57, []byte{5, 0xdc}}}},
	{kind: req, server: serverIP, requested: clientIP},
	{kind: req, requested: awayIP},
	{kind: req, src: clientIP, dst: serverIP, ciaddr: clientIP},
	{kind: inform, src: clientIP, ciaddr: clientIP},
	{kind: release, ciaddr: clientIP},
	{kind: decline, requested: clientIP},
}

// anyone is a lookup that has a binding for whoever asks.
func anyone(f *testing.F) func(*[]*Binding) Lookup {
	c := config()
	c.Routes = []Route{{prefix("10.200.0.0/16"), addr("10.100.0.2")}}
	for n := range 60 { // more than fit into what most clients take
		c.Routes = append(c.Routes, Route{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 201, byte(n), 0}), 24), addr("10.100.0.1")})
	}
	c.Host, c.Search, c.BootFile = "vm1", []string{"example.org"}, "a.efi"
	c.Options = []Option{{224, make([]byte, 300)}, {66, []byte("192.0.2.66")}, {Code: 15}}
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
		f.Add(m.bytes(), m.dst == serverIP)
	}
	lookup := anyone(f)
	f.Fuzz(func(t *testing.T, b []byte, unicast bool) {
		if len(b) < 34 || len(b) > frame.MaxUDPPayload {
			return
		}
		m := message{from: model.MAC(b[28:34])}
		if unicast {
			m.dst = serverIP
		}
		respondAndCheck(t, m.carry(b), lookup)
	})
}

// respondAndCheck asserts what holds for every frame: no panic, an answer xor a reason, the input untouched, and an answer
// that a second implementation takes apart, in the client's size, addressed to who asked and repeating its question.
func respondAndCheck(t *testing.T, b []byte, lookup func(*[]*Binding) Lookup) {
	before := bytes.Clone(b)
	var asked []*Binding
	got, verdict := Respond(b, lookup(&asked))
	if !bytes.Equal(before, b) {
		t.Fatal("the frame was changed")
	}
	if verdict == 0 || int(verdict) >= NumVerdicts || verdict.Answered() != (got != nil) {
		t.Fatalf("verdict %d %q with %d bytes of reply", verdict, verdict, len(got))
	}
	if got == nil {
		return
	}
	if len(asked) != 1 {
		t.Fatalf("%d lookups", len(asked))
	}
	question, reason := frame.DecodeDatagram(b)
	if reason != frame.OK {
		t.Fatalf("answered what is refused as %q", reason)
	}
	r := decode(t, got)
	if d, reason := frame.DecodeDatagram(got); reason != frame.OK {
		t.Fatalf("we refuse our own reply: %s", reason)
	} else if _, err := dhcpv4.FromBytes(d.Payload); err != nil {
		t.Fatalf("the library refuses the reply: %v", err)
	}
	from := question.Ethernet.Src
	if r.EthDst != from && (r.EthDst != frame.Broadcast() || r.Dst != limitedBroadcast) {
		t.Fatalf("to %s %s, asked by %s", r.EthDst, r.Dst, from)
	}
	if r.CHAddr != from || r.EthSrc != asked[0].serverMAC || r.Src != asked[0].server {
		t.Fatalf("chaddr %s, from %s %s", r.CHAddr, r.EthSrc, r.Src)
	}
	if !bytes.Equal(r.XID[:], question.Payload[4:8]) {
		t.Fatalf("xid %x, asked as %x", r.XID, question.Payload[4:8])
	}
	if n := r.PayloadLen; n < minMessage || n+ipOverhead > asked[0].maxSize {
		t.Fatalf("%d bytes of message", n)
	}
	if r.YIAddr != none && r.YIAddr != asked[0].address {
		t.Fatalf("leased %s", r.YIAddr)
	}
	if want := value(r.Options, optServer); !bytes.Equal(want, asked[0].server.AsSlice()) {
		t.Fatalf("server identifier %v", want)
	}
}

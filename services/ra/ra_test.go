package ra

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/mdlayher/ndp"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
)

var (
	guestMAC  = model.MAC{2, 0, 0, 0, 0, 1}
	routerMAC = model.MAC{2, 0, 0, 0, 1, 0}
	guestLL   = netip.MustParseAddr("fe80::ff:fe00:1")
	routers   = netip.MustParseAddr("ff02::2")
	nobody    = netip.IPv6Unspecified()
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func config() Config {
	return Config{
		Source: routerMAC, Default: true, Managed: true, MTU: 1400,
		Prefixes: []Prefix{{Prefix: prefix("fd00:1::/64"), Lifetime: 24 * time.Hour}, {Prefix: prefix("fd00:ec2::254/128"), Lifetime: 24 * time.Hour}},
		Routes:   []netip.Prefix{prefix("fd00:2::/64"), prefix("fd00:3::/72"), prefix("::/0")},
		DNS:      []netip.Addr{addr("fd00:1::53"), addr("2001:db8::53")}, Search: []string{"example.org", "lab.example.org."},
	}
}

func made(t testing.TB, c Config) *Advertisement {
	t.Helper()
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// decoded gives, in words, what second implementations read in a frame: gopacket of the headers and the options' bounds, ndp of the message.
func decoded(t testing.TB, f []byte) string {
	t.Helper()
	p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.NoCopy)
	eth, _ := p.LinkLayer().(*layers.Ethernet)
	ip, _ := p.NetworkLayer().(*layers.IPv6)
	icmp, _ := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if p.ErrorLayer() != nil || p.Layer(layers.LayerTypeICMPv6RouterAdvertisement) == nil {
		t.Fatalf("gopacket: %v", p)
	}
	sum := icmp.Checksum
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	again := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(again, gopacket.SerializeOptions{ComputeChecksums: true}, icmp, gopacket.Payload(icmp.Payload)); err != nil || icmp.Checksum != sum {
		t.Fatalf("checksum %x, gopacket's is %x: %v", sum, icmp.Checksum, err)
	}
	m, err := ndp.ParseMessage(ip.Payload)
	if err != nil {
		t.Fatalf("ndp refuses the message: %v", err)
	}
	ra := m.(*ndp.RouterAdvertisement)
	if ra.ReachableTime != 0 || ra.RetransmitTimer != 0 || ra.RouterSelectionPreference != ndp.Medium || ra.MobileIPv6HomeAgent || ra.NeighborDiscoveryProxy {
		t.Errorf("also said: %+v", ra)
	}
	var b strings.Builder
	if tag, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		fmt.Fprintf(&b, "vlan %d ", tag.VLANIdentifier)
	}
	fmt.Fprintf(&b, "%s>%s %s>%s hops %d\nhops %d M=%t O=%t router %s", eth.SrcMAC, eth.DstMAC, ip.SrcIP, ip.DstIP, ip.HopLimit, ra.CurrentHopLimit, ra.ManagedConfiguration, ra.OtherConfiguration, ra.RouterLifetime)
	for _, o := range ra.Options {
		b.WriteString("\n")
		switch o := o.(type) {
		case *ndp.LinkLayerAddress:
			fmt.Fprintf(&b, "link %d %s", o.Direction, o.Addr)
		case *ndp.MTU:
			fmt.Fprintf(&b, "mtu %d", o.MTU)
		case *ndp.PrefixInformation:
			fmt.Fprintf(&b, "prefix %s/%d L=%t A=%t %s/%s", o.Prefix, o.PrefixLength, o.OnLink, o.AutonomousAddressConfiguration, o.PreferredLifetime, o.ValidLifetime)
		case *ndp.RouteInformation:
			fmt.Fprintf(&b, "route %s/%d %v %s", o.Prefix, o.PrefixLength, o.Preference, o.RouteLifetime)
		case *ndp.RecursiveDNSServer:
			fmt.Fprintf(&b, "dns %v %s", o.Servers, o.Lifetime)
		case *ndp.DNSSearchList:
			fmt.Fprintf(&b, "search %v %s", o.DomainNames, o.Lifetime)
		default:
			fmt.Fprintf(&b, "%T", o)
		}
	}
	return b.String()
}

const (
	toAll = "02:00:00:00:01:00>33:33:00:00:00:01 fe80::ff:fe00:100>ff02::1 hops 255\n"
	link  = "\nlink 1 02:00:00:00:01:00"
)

// Each field and option, as second implementations read it.
func TestAdvertisement(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		want   string
	}{
		{"nothing", Config{Source: routerMAC}, toAll + "hops 64 M=false O=false router 0s" + link},
		{"everything", config(), toAll + "hops 64 M=true O=false router 30m0s" + link + "\nmtu 1400" +
			"\nprefix fd00:1::/64 L=true A=false 15h0m0s/24h0m0s\nprefix fd00:ec2::254/128 L=true A=false 15h0m0s/24h0m0s" +
			"\ndns [fd00:1::53 2001:db8::53] 30m0s\nsearch [example.org lab.example.org] 30m0s" +
			"\nroute fd00:2::/64 Medium 30m0s\nroute fd00:3::/72 Medium 30m0s\nroute ::/0 Medium 30m0s"},
		{"stateless", Config{Source: routerMAC, Other: true, Prefixes: []Prefix{{prefix("fd00:1::/64"), true, Infinite}}},
			toAll + "hops 64 M=false O=true router 0s" + link + "\nprefix fd00:1::/64 L=true A=true 1193046h28m15s/1193046h28m15s"},
		{"short leases", Config{Source: routerMAC, Prefixes: []Prefix{{prefix("fd00:1::/64"), true, time.Minute}}},
			toAll + "hops 64 M=false O=false router 0s" + link + "\nprefix fd00:1::/64 L=true A=true 18m45s/30m0s"},
	} {
		if diff := cmp.Diff(c.want, decoded(t, made(t, c.config).Frame())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// What there is no room for is left out, and no option is cut.
func TestFitsTheSmallestMTU(t *testing.T) {
	c := config()
	for n := range 200 {
		c.Routes = append(c.Routes, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, byte(n)}), 64))
	}
	f := made(t, c).Frame()
	if n := len(f) - 14; n > 1280 || n < 1250 || !strings.Contains(decoded(t, f), "\nroute fd28::/64") {
		t.Errorf("%d bytes:\n%s", n, decoded(t, f))
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Config)
	}{
		{"source: ", func(c *Config) { c.Source[0] = 1 }},
		{"mtu: 1279", func(c *Config) { c.MTU = 1279 }},
		{"prefixes: not", func(c *Config) { c.Prefixes[0].Prefix = prefix("10.0.0.0/8") }},
		{"prefixes: not", func(c *Config) { c.Prefixes[0].Prefix = prefix("fd00::1/64") }},
		{"prefixes: guests", func(c *Config) { c.Prefixes[0] = Prefix{prefix("fd00::/65"), true, 0} }},
		{"prefixes: lifetimes", func(c *Config) { c.Prefixes[0].Lifetime = time.Millisecond }},
		{"routes: ", func(c *Config) { c.Routes[0] = prefix("fd00::1/64") }},
		{"dns: 9", func(c *Config) { c.DNS = make([]netip.Addr, 9) }},
		{"dns: not", func(c *Config) { c.DNS[0] = addr("10.0.0.1") }},
		{"search: ", func(c *Config) { c.Search[0] = "a..b" }},
	} {
		cfg := config()
		c.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// solicitation is what a guest sends. The zero value of a field is the usual.
type solicitation struct {
	src     netip.Addr // default guestLL
	hops    uint8      // default 255
	kind    uint8      // default 133
	code    uint8
	tci     uint16
	body    []byte // default four bytes of zero
	options []byte
}

func (s solicitation) frame() []byte {
	if !s.src.IsValid() {
		s.src = guestLL
	}
	if s.hops == 0 {
		s.hops = 255
	}
	if s.kind == 0 {
		s.kind = 133
	}
	if s.body == nil {
		s.body = make([]byte, 4)
	}
	return frame.ICMPv6{
		Ethernet: frame.Ethernet{Dst: model.MAC{0x33, 0x33, 0, 0, 0, 2}, Src: guestMAC, Tagged: s.tci != 0, TCI: s.tci},
		IP:       frame.IPv6{HopLimit: s.hops, Src: s.src, Dst: routers},
		Type:     s.kind, Code: s.code, Body: append(slices.Clone(s.body), s.options...),
	}.Encode()
}

var slla = []byte{1, 1, 2, 0, 0, 0, 0, 1}

// TestSolicitations is RFC 4861, sections 6.1.1 and 6.2.6: what comes, what it is, where the answer goes.
func TestSolicitations(t *testing.T) {
	toAsker := "02:00:00:00:01:00>02:00:00:00:00:01 fe80::ff:fe00:100>fe80::ff:fe00:1 hops 255\n"
	for _, c := range []struct {
		name string
		s    solicitation
		want Verdict
		head string
	}{
		{"from an address", solicitation{options: slla}, ToAsker, toAsker},
		{"from an address, without option", solicitation{}, ToAsker, toAsker},
		{"from a global address", solicitation{src: addr("fd00:1::5")}, ToAsker, strings.Replace(toAsker, ">fe80::ff:fe00:1 ", ">fd00:1::5 ", 1)},
		{"in a VLAN", solicitation{tci: 42}, ToAsker, "vlan 42 " + toAsker},
		{"from nobody", solicitation{src: nobody}, ToAll, toAll},
		{"from nobody, unknown option", solicitation{src: nobody, options: []byte{14, 1, 0, 0, 0, 0, 0, 0}}, ToAll, toAll},
		{"from nobody, in a VLAN", solicitation{src: nobody, tci: 42}, ToAll, "vlan 42 " + toAll},
		{"reserved field", solicitation{body: []byte{1, 2, 3, 4}}, ToAsker, toAsker},
		{"from nobody, with a link-layer address", solicitation{src: nobody, options: slla}, LinkOfNobody, ""},
		{"through a router", solicitation{hops: 254}, BadHopLimit, ""},
		{"code", solicitation{code: 1}, BadCode, ""},
		{"short", solicitation{body: []byte{0, 0, 0}}, Short, ""},
		{"option of length 0", solicitation{options: []byte{1, 0, 0, 0, 0, 0, 0, 0}}, BadOption, ""},
		{"option beyond the end", solicitation{options: []byte{1, 2, 0, 0, 0, 0, 0, 0}}, BadOption, ""},
		{"a byte of an option", solicitation{options: []byte{1}}, BadOption, ""},
		{"an advertisement", solicitation{kind: 134}, NotSolicitation, ""},
		{"from a group", solicitation{src: routers}, BadSource, ""},
		{"from the guest itself", solicitation{src: netip.IPv6Loopback()}, BadSource, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.s.frame()
			before := bytes.Clone(f)
			got, v := Respond(f, func(m model.MAC) []*Advertisement {
				if m != guestMAC {
					t.Errorf("asked for %s", m)
				}
				return []*Advertisement{made(t, Config{Source: routerMAC})}
			})
			text := ""
			for _, g := range got {
				text += decoded(t, g)
			}
			want := c.head
			if want != "" {
				want += "hops 64 M=false O=false router 0s" + link
			}
			if diff := cmp.Diff(want, text); v != c.want || diff != "" || !bytes.Equal(f, before) {
				t.Errorf("%q, want %q (-want +got):\n%s", v, c.want, diff)
			}
		})
	}
	if got, v := Respond(solicitation{}.frame(), func(model.MAC) []*Advertisement { return nil }); got != nil || v != NoRouter {
		t.Errorf("nothing to advertise: %q", v)
	}
	if _, v := Respond(nil, nil); v != refusedFrame(frame.EthernetShort) {
		t.Errorf("nothing: %q", v)
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

// FuzzRespond takes any frame: an answer xor a reason, and an answer that second implementations read.
func FuzzRespond(f *testing.F) {
	for _, s := range []solicitation{{options: slla}, {src: nobody}, {src: nobody, options: slla}, {tci: 42, hops: 1}, {code: 1}, {options: []byte{14, 2}}, {kind: 134}} {
		f.Add(s.frame(), false)
		f.Add(s.frame(), true)
	}
	a, err := New(config())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, repair bool) {
		if repair && len(b) > 54 { // the fuzzer would not guess the checksum
			s := solicitation{src: netip.AddrFrom16([16]byte(b[22:38])), hops: b[21], kind: b[54], body: b[54:]}
			b = s.frame()
		}
		before := bytes.Clone(b)
		got, v := Respond(b, func(model.MAC) []*Advertisement { return []*Advertisement{a, a} })
		if !bytes.Equal(before, b) || v == 0 || int(v) >= NumVerdicts || v.Answered() != (got != nil) {
			t.Fatalf("verdict %d %q with %d replies", v, v, len(got))
		}
		for _, g := range got {
			decoded(t, g)
		}
	})
}

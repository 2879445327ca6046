package alone

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	mdns "github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/testenv/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

var guestMAC, serverMAC = model.MAC{2, 0, 0, 0, 0, 1}, model.MAC{2, 0, 0, 0, 0, 0x53}

// shop is a network with a guest, and one interface that is everything to it.
func shop() []app.Document {
	doc := func(r *model.Resource, p app.Params) app.Document { return app.Document{Resource: r, Params: p} }
	docs := []app.Document{
		doc(model.Networks, app.Params{"uuid": "nw-shop", "domain_name": "shop.example", "ipv4_network": "10.0.0.0", "ipv6_network": "fd00:6::", "ipv6_prefix": "64", "ipv6_addressing": "slaac"}),
		doc(model.Interfaces, app.Params{"uuid": "if-vm1", "mode": "vif", "network_uuid": "nw-shop", "mac_address": guestMAC.String(), "ipv4_address": "10.0.0.11", "port_name": "tap1"}),
		doc(model.Interfaces, app.Params{"uuid": "if-ns", "mode": "simulated", "hostname": "ns", "network_uuid": "nw-shop", "mac_address": serverMAC.String(), "ipv4_address": "10.0.0.53"}),
		doc(model.DNSServices, app.Params{"uuid": "dnss-shop", "network_service_uuid": "ns-dns"}),
		doc(model.DNSRecords, app.Params{"uuid": "dnsr-www", "dns_service_uuid": "dnss-shop", "name": "www.shop.example", "ipv4_address": "10.0.0.80"}),
	}
	for _, mode := range []string{"dhcp", "dns", "metadata"} {
		docs = append(docs, doc(model.NetworkServices, app.Params{"uuid": "ns-" + mode, "mode": mode, "interface_uuid": "if-ns"}))
	}
	return docs
}

// cable is a host with what it has said and sent.
type cable struct {
	*Host
	t      *testing.T
	mu     sync.Mutex
	events []Event
	frames [][]byte
}

func plug(t *testing.T, o Options) *cable {
	t.Helper()
	c := &cable{t: t}
	o.Logger = slog.New(slog.DiscardHandler)
	o.Said = func(e Event) { c.mu.Lock(); defer c.mu.Unlock(); c.events = append(c.events, e) }
	o.Send = func(f []byte) { c.mu.Lock(); defer c.mu.Unlock(); c.frames = append(c.frames, f) }
	h, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c.Host = h
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-h.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("it has ended: %v", err)
	case <-time.After(patience):
		t.Fatal("it is not ready")
	}
	return c
}

// asks sends a question, waits for what is said of it, and gives the frames that came with it.
func (c *cable) asks(f []byte, service, question, verdict string) [][]byte {
	c.t.Helper()
	c.mu.Lock()
	c.events, c.frames = nil, nil
	c.mu.Unlock()
	c.Take(f)
	var got [][]byte
	wait.For(c.t, patience, question, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, e := range c.events {
			if e.Service == service && strings.Contains(e.Question, question) && e.Verdict == verdict && (!e.Answered || len(c.frames) > 0) {
				got = c.frames
				return nil
			}
		}
		return &missing{c.events}
	})
	return got
}

type missing struct{ events []Event }

func (m *missing) Error() string {
	var b strings.Builder
	for _, e := range m.events {
		b.WriteString("\n" + e.Interface + " " + e.Service + " " + e.Question + ": " + e.Verdict)
	}
	return "it says" + b.String()
}

func udp(dst model.MAC, from, to netip.AddrPort, payload []byte) []byte {
	return frame.Datagram{
		Ethernet: frame.Ethernet{Src: guestMAC, Dst: dst}, IP: frame.IPv4{TTL: 64, Src: from.Addr(), Dst: to.Addr()},
		UDP: frame.UDP{SrcPort: from.Port(), DstPort: to.Port()}, Payload: payload,
	}.Encode()
}

func discover(t *testing.T) []byte {
	m, err := dhcpv4.NewDiscovery(guestMAC[:])
	if err != nil {
		t.Fatal(err)
	}
	return udp(frame.Broadcast(), netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67"), m.ToBytes())
}

func whoHas(sender, target string) []byte {
	return frame.ARP{Op: frame.ARPRequest, SenderMAC: guestMAC, SenderAddr: netip.MustParseAddr(sender), TargetAddr: netip.MustParseAddr(target)}.
		Encode(frame.Ethernet{Src: guestMAC, Dst: frame.Broadcast()})
}

// Each kind of question is answered, or not, and said so, as on a host.
func TestAnswers(t *testing.T) {
	c := plug(t, Options{Documents: shop()})
	query := new(mdns.Msg)
	query.SetQuestion("www.shop.example.", mdns.TypeA)
	q, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c.asks(whoHas("10.0.0.11", "10.0.0.53"), "arp", "who has 10.0.0.53", "answered")
	c.asks(whoHas("10.0.0.11", "10.0.0.99"), "arp", "who has 10.0.0.99", "dropped: arp_unknown")
	c.asks(whoHas("10.0.0.12", "10.0.0.53"), "arp", "asks 10.0.0.12", "dropped: arp_sender")
	c.asks(discover(t), "dhcp4", "DISCOVER of 02:00:00:00:00:01", "offer")
	named := c.asks(udp(serverMAC, netip.MustParseAddrPort("10.0.0.11:4000"), netip.MustParseAddrPort("10.0.0.53:53"), q), "dns", "www.shop.example A", "answered")
	if d, reason := frame.DecodeDatagram(named[0]); reason != frame.OK || d.Ethernet.Dst != guestMAC || !strings.Contains(string(d.Payload), "\x0a\x00\x00\x50") {
		t.Errorf("the name's answer is %x (%s)", named[0], reason)
	}
	c.asks(udp(serverMAC, netip.MustParseAddrPort("10.0.0.11:4000"), netip.MustParseAddrPort("10.0.0.53:54"), nil), "other", "udp 10.0.0.11 port 4000", "error: done")
	c.asks(frame.ICMPv6{
		Ethernet: frame.Ethernet{Src: guestMAC, Dst: model.MAC{0x33, 0x33, 0, 0, 0, 2}}, IP: frame.IPv6{HopLimit: 255, Src: guestMAC.LinkLocal(), Dst: netip.MustParseAddr("ff02::2")},
		Type: 133, Body: make([]byte, 4),
	}.Encode(), "ra", "solicitation of fe80::", "dropped: nd_router")
	if g := c.Guests(); len(g) != 1 || g[0].UUID != "if-vm1" || g[0].MACs[0] != guestMAC.String() {
		t.Errorf("guests %+v", g)
	}
}

// Only what is asked for is answered.
func TestOneService(t *testing.T) {
	c := plug(t, Options{Documents: shop(), Services: []string{"dhcp4"}})
	c.Take(whoHas("10.0.0.11", "10.0.0.53"))
	c.asks(discover(t), "dhcp4", "DISCOVER", "offer")
	for _, e := range c.events {
		if e.Service != "dhcp4" {
			t.Errorf("it says %+v", e)
		}
	}
}

// A guest without a lease gets one by a policy when it asks, and makes itself addresses, as with a manager.
func TestLeasesAreMade(t *testing.T) {
	docs := shop()
	docs[1].Params = app.Params{"uuid": "if-vm1", "mode": "vif", "mac_address": guestMAC.String()}
	for _, d := range []struct {
		resource *model.Resource
		params   app.Params
	}{
		{model.IPRangeGroups, app.Params{"uuid": "iprg-pool"}},
		{model.IPRanges, app.Params{"uuid": "ipr-pool", "ip_range_group_uuid": "iprg-pool", "begin_ipv4_address": "10.0.0.100", "end_ipv4_address": "10.0.0.101"}},
		{model.LeasePolicies, app.Params{"uuid": "lp-pool", "timing": "dhcp"}},
		{model.LeasePolicyBaseNetworks, app.Params{"lease_policy_uuid": "lp-pool", "network_uuid": "nw-shop", "ip_range_group_uuid": "iprg-pool"}},
		{model.LeasePolicyBaseInterfaces, app.Params{"lease_policy_uuid": "lp-pool", "interface_uuid": "if-vm1"}},
	} {
		docs = append(docs, app.Document{Resource: d.resource, Params: d.params})
	}
	c := plug(t, Options{Documents: docs})
	c.asks(discover(t), "dhcp4", "DISCOVER", "offer")
}

func TestRefusals(t *testing.T) {
	hosts := func(uuids ...string) (docs []app.Document) {
		for n, uuid := range uuids {
			docs = append(docs, app.Document{Resource: model.Datapaths, Params: app.Params{"uuid": uuid, "display_name": uuid, "dpid": string(rune('1' + n)), "node_id": uuid[3:]}})
		}
		return docs
	}
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"no guest":         {Options{Documents: shop()[:1]}, "there is nobody to answer"},
		"no such service":  {Options{Documents: shop(), Services: []string{"ntp"}}, `there is no service "ntp": there are arp, nd, icmp, dhcp4, dhcp6, ra, dns, metadata, other`},
		"no such datapath": {Options{Documents: shop(), Datapath: "dp-x"}, "the documents have no datapath dp-x: they have none"},
		"several":          {Options{Documents: append(shop(), hosts("dp-a", "dp-b")...)}, "several datapaths, and which of them answers is not said: dp-a, dp-b"},
		"a mistake":        {Options{Documents: shop()[3:]}, "there is no interface if-ns"},
	} {
		tc.o.Logger = slog.New(slog.DiscardHandler)
		if _, err := New(t.Context(), tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

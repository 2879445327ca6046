package compile_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/rig"
)

// inOpenVSwitch runs the hosts of a fabric in Open vSwitch: what is sent from now on goes through these.
func (f *fabric) inOpenVSwitch() {
	t := f.t
	t.Helper()
	privileged.Programs(t, ovsenv.Programs...)
	opt := rig.Options{PacketIns: true}
	for end, dp := range f.ends {
		h := rig.HostOptions{Name: dp, MAC: model.MAC{2, 1, 0, 0, 0, dp[len(dp)-1] - '0'}, Addresses: []netip.Prefix{netip.PrefixFrom(end, 24)},
			NIC: rig.Port{Name: "eth0", OFPort: 1}, Tunnels: []rig.Tunnel{{Port: rig.Port{Name: "geneve", OFPort: tunnelPort}, Kind: rig.Geneve}}}
		for no, name := range f.ports[dp] {
			h.Ports = append(h.Ports, rig.Port{Name: name, OFPort: no})
		}
		opt.Hosts = append(opt.Hosts, h)
	}
	w, err := rig.Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	for dp, in := range f.inputs {
		full := compileAll(t, in).Full()
		sw, err := ovs.Dial(t.Context(), w.Host(dp).Mgmt(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = sw.Run(ctx) }()
		refused, _, err := sw.Sync(t.Context(), &full, false)
		cancel()
		<-done
		if err != nil || len(refused) > 0 {
			t.Fatalf("%s: %v, refused %v", dp, err, refused)
		}
	}
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.rig = w
}

// sendOVS is send through Open vSwitch, which does not say why it drops.
func (f *fabric) sendOVS(port string, frame []byte) []string {
	f.t.Helper()
	var out []string
	for dp, ports := range f.ports {
		for _, name := range ports {
			if name != port {
				continue
			}
			r, err := f.rig.Inject(f.t.Context(), dp, port, frame)
			if err != nil {
				f.t.Fatal(err)
			}
			for _, d := range r.Delivered {
				out = append(out, d.Port+": "+summary(d.Frame))
			}
			for _, in := range r.PacketIns {
				v, _ := in.Metadata.Get(flow.Reg(3))
				why, _ := in.Metadata.Get(flow.Reg(13))
				out = append(out, agent(in.Host, v.Lo, why.Lo, in.Data))
			}
		}
	}
	return out
}

// The same conversations as in the switch in memory, in Open vSwitch.
func TestPrivilegedRoutedConversations(t *testing.T) {
	f := newFabric(t, natted(false))
	f.inOpenVSwitch()
	conversations(f)
}

// Fragments are translated as the packet that they are of; by a row with ports, if that has begun the conversation. (The switch in memory keeps fragments for ever.)
func TestPrivilegedTranslatedFragments(t *testing.T) {
	for name, f := range map[string]*fabric{"nothing else passes": newFabric(t, natted(false)), "all else passes": newFabric(t, natted(true))} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.inOpenVSwitch()
			for _, tc := range []struct {
				port  string
				p     probe
				begun bool // by a packet in one piece
				want  string
			}{
				{"x1", probe{ethSrc: "0c:09", ethDst: "0c:fe", src: "203.0.113.9", dst: "203.0.113.10", sport: 999, dport: 80}, true, "b2: 0b:fe>0b:02 203.0.113.9>10.0.1.2 ttl 63"},
				{"b2", probe{ethSrc: "0b:02", ethDst: "0b:fe", src: "10.0.1.2", dst: "203.0.113.9", sport: 8080, dport: 999}, false, "x1: 0c:fe>0c:09 203.0.113.10>203.0.113.9 ttl 63"},
				{"b2", probe{ethSrc: "0b:02", ethDst: "0b:fe", src: "10.0.1.2", dst: "203.0.113.9", sport: 8080, dport: 7}, true, "x1: 0c:fe>0c:09 203.0.113.10>203.0.113.9 ttl 63"},
				{"a1", probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: "203.0.113.9", sport: 5, dport: 53}, false, "x1: 0c:fe>0c:09 203.0.113.1>203.0.113.9 ttl 63"},
			} {
				if tc.begun {
					f.send(tc.port, tc.p.frame())
				}
				first, second := halves(tc.p)
				f.want(tc.port, first)
				if diff := cmp.Diff([]string{tc.want, tc.want}, f.send(tc.port, second)); diff != "" {
					t.Errorf("%s sends %s in two fragments (-want +got):\n%s", tc.port, summary(first), diff)
				}
			}
		})
	}
}

// halves gives an IPv4 packet in two. (Open vSwitch takes a fragment of less than 1,200 bytes with others behind it for an attack.)
func halves(p probe) (first, second []byte) {
	p.size = 1300
	whole := p.frame()
	part := func(from, to int, offset uint16) []byte {
		ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Id: 77, Protocol: layers.IPProtocolUDP, SrcIP: whole[26:30], DstIP: whole[30:34], FragOffset: offset}
		if offset == 0 {
			ip.Flags = layers.IPv4MoreFragments
		}
		b := gopacket.NewSerializeBuffer()
		eth := &layers.Ethernet{SrcMAC: shortMAC(p.ethSrc), DstMAC: shortMAC(p.ethDst), EthernetType: layers.EthernetTypeIPv4}
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, gopacket.Payload(whole[from:to])); err != nil {
			panic(err)
		}
		return b.Bytes()
	}
	return part(34, 34+1200, 0), part(34+1200, len(whole), 1200/8)
}

func TestPrivilegedRouted(t *testing.T) {
	f := newFabric(t, routed())
	f.inOpenVSwitch()
	crossing(f)
}

func TestPrivilegedTranslationWithoutMemory(t *testing.T) {
	f := newFabric(t, stateless())
	f.inOpenVSwitch()
	statelessly(f)
}

func TestPrivilegedHops(t *testing.T) {
	f := newFabric(t, circle())
	f.inOpenVSwitch()
	f.want("a1", aroundCircle, "dropped: hops")
}

func TestPrivilegedOutsideNextHop(t *testing.T) {
	w := routed()
	withOutside(w)
	f := newFabric(t, w)
	f.inOpenVSwitch()
	f.want("a1", toOutside, agentAsked)
}

// Open vSwitch spreads conversations over routes of equal cost, and a conversation stays where it is. (Its hash takes the addresses, and the ports of TCP and SCTP.)
func TestPrivilegedEqualCost(t *testing.T) {
	w := routed()
	w.leg("if-gy", "", "02:00:00:00:0b:fd", "nw-b", "10.0.1.253", "fd00:b::fd")
	for _, r := range [][2]string{{"r-1", "if-gb"}, {"r-2", "if-gy"}} {
		w.route(r[0], r[1], "nw-b", "rl-1", "192.0.2.0/24")
	}
	o, _ := w.g.Get("r-2")
	r := model.Clone(o.(*model.Route))
	r.IPv4Gateway = netip.MustParseAddr("10.0.1.2")
	w.g.Put(r)
	f := newFabric(t, w)
	f.inOpenVSwitch()
	ways := map[string]int{}
	for k := range 32 {
		p := probe{ethSrc: "0a:01", ethDst: "0a:fe", src: "10.0.0.1", dst: fmt.Sprintf("192.0.2.%d", k+1), sport: 5, dport: 53}.frame()
		first := f.send("a1", p)
		if again := f.send("a1", p); len(first) != 1 || len(again) != 1 || first[0] != again[0] {
			t.Fatalf("%v, then %v", first, again)
		}
		ways[first[0][:2]]++
	}
	if ways["b1"] < 4 || ways["b2"] < 4 {
		t.Errorf("conversations by port: %v", ways)
	}
}

package oracle

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/modeltest"
)

// everything is a world in which every rule applies somewhere.
var everything = inside + masq + rows + row2 + row26 + `
translation_static_addresses translation_uuid=tr-s ingress_ipv4_address=192.0.2.2 egress_ipv4_address=10.0.0.1 ingress_port_number=2000 egress_port_number=3000
networks uuid=nw-p ipv4_network=172.16.0.0 mode=physical
networks uuid=nw-l ipv4_network=172.17.0.0 mode=internal
segments uuid=seg-a mode=virtual multicast=drop
networks uuid=nw-s ipv4_network=10.4.0.0 ipv6_network=fd04:: segment_uuid=seg-a
host if-h dp-a 02:00:00:00:00:0c nw-p=172.16.0.10
internal if-in dp-a 02:00:00:00:00:0d nw-l=172.17.0.10
vif if-l dp-a 02:00:00:00:00:0e nw-l=172.17.0.1 enable_filtering=true
filters uuid=fil-l interface_uuid=if-l mode=static egress_passthrough=true
filter_statics filter_uuid=fil-l protocol=udp dst_port=53 action=conn
vif if-s1 dp-a 02:00:00:00:00:a1 nw-s=10.4.0.1 nw-s=fd04::1 segment_uuid=seg-a dscp=10
vif if-s2 dp-a 02:00:00:00:00:a2 segment_uuid=seg-a enable_filtering=true
filters uuid=fil-s interface_uuid=if-s2 mode=static ingress_passthrough=true
edge if-edge dp-a -
translations uuid=tr-edge mode=vnet_edge interface_uuid=if-edge
vlan_translations translation_uuid=tr-edge network_uuid=nw-s vlan_id=10
vlan_translations translation_uuid=tr-edge network_uuid=nw-i vlan_id=11
promiscuous if-wire dp-a -
interface_segments interface_uuid=if-wire segment_uuid=seg-a static=true
simulated if-ls - 02:00:00:00:00:f3 nw-s=10.4.0.254 nw-s=fd04::fe enable_routing=true
routes route_link_uuid=rl-1 interface_uuid=if-ls network_uuid=nw-s ipv4_network=0.0.0.0 ipv4_prefix=0 ipv6_network=fd04::
simulated if-lp dp-a 02:00:00:00:00:f4 nw-p=172.16.0.254 enable_routing=true enable_route_translation=true
translations mode=masquerade interface_uuid=if-lp
routes route_link_uuid=rl-1 interface_uuid=if-lp network_uuid=nw-p ipv4_network=172.16.0.0 ipv4_prefix=12
routes route_link_uuid=rl-1 mode=blackhole ipv4_network=10.66.0.0
security_groups uuid=sg-a display_name=a rules=tcp:22:0.0.0.0/0,icmp:-1:sg-a egress_filtering_enabled=true
security_group_rules security_group_uuid=sg-a protocol=udp port_first=1 port_last=3000 action=reject priority=2
security_group_rules security_group_uuid=sg-a direction=egress stateless=true log=true
security_group_interfaces security_group_uuid=sg-a interface_uuid=if-v2
security_group_interfaces security_group_uuid=sg-a interface_uuid=if-s1
mirrors interface_uuid=if-v1 target_interface_uuid=if-s2
network_services mode=dhcp interface_uuid=if-li
`

func everythingLab(t testing.TB) *lab {
	return newLab(t, everything, func(e *Environment) {
		e.Neighbors[Neighbor{"nw-p", addr("172.16.0.77")}] = device
		e.Learned[LearnedFrom{"seg-a", device}] = "if-wire"
	})
}

var fuzzPorts = []string{"dp-a/if-v1", "dp-a/if-v2", "dp-b/if-o1", "dp-a/if-l", "dp-a/if-s1", "dp-a/if-s2", "dp-a/if-edge", "dp-a/if-wire", "dp-a/nic-a", "dp-a/LOCAL", "dp-b/nic-b"}

// No frame makes the judge panic, read what was written, or judge twice differently. To come further than the guard, each frame is judged from
// every port, also with the source and destination MAC addresses that it would need.
func FuzzJudge(f *testing.F) {
	l := everythingLab(f)
	seeds := [][]byte{
		arpAsk(v1, "10.0.0.1", "10.0.0.2"), nd(multicast6, v1, "fd00::1", "ff02::1", 135, "fd00::2", v1), nd(li, v1, "fd00::1", "fd00::2", 136, "fd00::1", v1),
		tag(udp(v1, device, "10.0.0.9", "10.0.0.1").frame(), 10), ether(a2, a1, 0x88cc), udp(broadcast, v1, "10.0.0.1", "10.0.0.255").frame(),
		datagram{dst: lo, src: o1, from: "192.0.2.10", to: "192.0.2.1", proto: protoICMP, kind: 3, rest: packetOf(udp(o1, lo, "192.0.2.1", "192.0.2.10").frame())}.frame(),
		datagram{dst: li, src: v2, from: "fd00::2", to: "2001:db8::10", proto: protoICMPv6, kind: 1, rest: packetOf(udp(o1, lo, "2001:db8::10", "fd00::2").frame())}.frame(),
	}
	for _, d := range protocols(li, v1, "10.0.0.1", "192.0.2.10") {
		seeds = append(seeds, d.frame())
	}
	for _, d := range protocols(lo, o1, "2001:db8::10", "2001:db8::2") {
		d.options = []byte{44, d.proto, 0, 0, 1, 1, 2, 3, 4}
		seeds = append(seeds, d.frame())
	}
	for _, s := range seeds {
		f.Add(s)
	}
	sources := []model.MAC{v1, v2, o1, mac(14), a1, a2, {}, {}, {}, mac(12), {}} // of fuzzPorts
	targets := []model.MAC{{}, li, lo, mac(0xf3), mac(0xf4), v2, o1, broadcast}
	f.Fuzz(func(t *testing.T, frame []byte) {
		c := Conversations{}
		try := func(port string, frame []byte) {
			before := string(frame)
			outcomes := l.w.Judge(at(port), frame, &c)
			again := l.w.Judge(at(port), frame, &c)
			if string(frame) != before {
				t.Fatal("the frame was changed")
			}
			if len(outcomes) == 0 || len(outcomes) != len(again) {
				t.Fatalf("%d outcomes, %d the second time", len(outcomes), len(again))
			}
			c.Learn(outcomes[len(outcomes)-1])
		}
		for i, port := range fuzzPorts {
			try(port, frame)
			if len(frame) < 14 {
				continue
			}
			for _, dst := range targets {
				changed := append([]byte(nil), frame...)
				if dst != (model.MAC{}) {
					copy(changed, dst[:])
				}
				if src := sources[i]; src != (model.MAC{}) {
					copy(changed[6:], src[:])
				}
				try(port, changed)
			}
		}
	})
}

// Whatever the objects are, also such as no store holds, there is a judgement; and the same for the same.
func TestAnyWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := graph.New()
		for rev := range rapid.Int64Range(20, 60).Draw(t, "batches") {
			for _, c := range modeltest.Batch(t, rev+1) {
				g.Apply(c)
			}
		}
		env := Environment{Hosts: map[string]Host{}}
		for _, h := range modeltest.Hosts {
			n := rapid.IntRange(0, 7).Draw(t, "port")
			env.Hosts[h] = Host{Uplink: "nic", Ports: []Port{{Name: fmt.Sprintf("port%d", n)}, {Name: "x", IfaceID: fmt.Sprintf("if-%d", (n+1)%7)}}}
		}
		w, same := New(g, env), New(g, env)
		var c Conversations
		octet := func(label string) byte { return byte(rapid.IntRange(0, 9).Draw(t, label)) }
		for range 20 {
			src, dst := mac(octet("src")), mac(octet("dst"))
			from, to := fmt.Sprintf("10.0.0.%d", octet("from")), fmt.Sprintf("10.0.0.%d", octet("to"))
			frame := udp(dst, src, from, to).frame()
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				frame = arpAsk(src, from, to)
			case 1:
				frame = tag(frame, uint16(octet("vlan")))
			}
			e := Entry{rapid.SampledFrom(modeltest.Hosts).Draw(t, "host"), rapid.SampledFrom([]string{"x", "nic", Local, "port1", "port2"}).Draw(t, "at")}
			a, b := w.Judge(e, frame, &c), same.Judge(e, frame, &c)
			if len(a) == 0 || len(a) != len(b) {
				t.Fatalf("%d and %d outcomes", len(a), len(b))
			}
			if d := cmp.Diff(a[0], b[0], cmpopts.IgnoreUnexported(Outcome{})); d != "" {
				t.Fatal(d)
			}
			c.Learn(a[0])
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	l := everythingLab(b)
	for name, tc := range map[string]struct {
		port  string
		frame []byte
	}{
		"unicast":    {"dp-a/if-v1", udp(v2, v1, "10.0.0.1", "10.0.0.2").frame()},
		"ARP":        {"dp-a/if-v1", arpAsk(v1, "10.0.0.1", "10.0.0.2")},
		"masquerade": {"dp-a/if-v1", udp(li, v1, "10.0.0.1", "192.0.2.10").frame()},
		"dropped":    {"dp-a/if-v1", udp(v2, v1, "10.0.0.7", "10.0.0.2").frame()},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.w.Judge(at(tc.port), tc.frame, &l.c)
			}
		})
	}
}

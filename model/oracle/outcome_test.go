package oracle

import (
	"slices"
	"testing"
)

// Section 8: code points and copies.
func TestMarksAndMirrors(t *testing.T) {
	marked := hosts + `
networks uuid=nw-a ipv4_network=10.0.0.0 ipv6_network=fd00::
vif if-a1 dp-a 02:00:00:00:00:a1 nw-a=10.0.0.1 nw-a=fd00::1 dscp=46
vif if-a2 dp-b 02:00:00:00:00:a2 nw-a=10.0.0.2 nw-a=fd00::2
vif if-m1 dp-a 02:00:00:00:00:01
vif if-m2 dp-b 02:00:00:00:00:02
`
	l := newLab(t, marked)
	for _, in := range []datagram{udp(a2, a1, "10.0.0.1", "10.0.0.2"), udp(a2, a1, "fd00::1", "fd00::2")} {
		in.tos = 0xff
		out := in
		out.tos = 46<<2 | 3 // the bits of ECN stay
		l.expectFrame("dp-a/if-a1", in.frame(), "dp-b/if-a2", out.frame())
		l.expectFrame("dp-b/if-a2", in.back(a1, a2).frame(), "dp-a/if-a1", in.back(a1, a2).frame())
	}

	l = newLab(t, marked+`
mirrors interface_uuid=if-a1 target_interface_uuid=if-m1 direction=egress
mirrors interface_uuid=if-a1 target_interface_uuid=if-m2 direction=both
mirrors interface_uuid=if-a2 target_interface_uuid=if-m1 direction=ingress
mirrors interface_uuid=if-m1 target_interface_uuid=if-m2 direction=both
security_groups uuid=sg-a display_name=a
security_group_interfaces security_group_uuid=sg-a interface_uuid=if-m2
`)
	in := udp(a2, a1, "10.0.0.1", "10.0.0.2")
	out := in
	out.tos = 46 << 2
	o := l.expect("dp-a/if-a1", in.frame(), "dp-a/if-m1", "dp-b/if-m2", "dp-b/if-a2", "dp-a/if-m1")
	var before, after int
	for _, d := range o.Deliveries {
		switch string(d.Frame) {
		case string(in.frame()):
			before++
		case string(out.frame()):
			after++
		}
	}
	if before != 2 || after != 2 {
		t.Errorf("%d copies as sent, %d as delivered", before, after)
	}
	tagged := tag(in.frame(), 5) // a copy of what is dropped, too
	l.expect("dp-a/if-a1", tagged, "dp-a/if-m1", "dp-b/if-m2", "drop dp-a tagged")
	l.expect("dp-a/if-a1", arpAsk(a1, "10.0.0.1", "10.0.0.2"), "dp-a/if-m1", "dp-b/if-m2", "dp-b/if-m2", "dp-a/if-a1")
	l.expect("dp-b/if-a2", in.back(a1, a2).frame(), "dp-a/if-a1", "dp-b/if-m2")

	gone := newLab(t, marked+"mirrors interface_uuid=if-a1 target_interface_uuid=if-m2", func(e *Environment) {
		e.Hosts["dp-b"] = Host{Ports: []Port{{Name: "if-a2"}}}
	})
	gone.expect("dp-a/if-a1", in.frame(), "dp-b/if-a2")
}

// What is remembered of one outcome is not of another, nor of a clone.
func TestConversations(t *testing.T) {
	l := newLab(t, inside+masq+members()[len(hosts):])
	var c Conversations
	out := udp(li, v1, "10.0.0.1", "192.0.2.10").frame()
	before := l.w.Judge(at("dp-a/if-v1"), out, &c)
	if c.Len() != 0 {
		t.Fatal("Judge has learned")
	}
	clone := c.Clone()
	c.Learn(before[0])
	if c.Len() == 0 || clone.Len() != 0 {
		t.Errorf("%d and %d are remembered", c.Len(), clone.Len())
	}
	n := c.Len()
	if again := l.w.Judge(at("dp-a/if-v1"), out, &c); len(again[0].memos) != 0 {
		t.Errorf("there is more to learn of a packet that is known: %v", again[0].memos)
	}
	clone = c.Clone()
	other := l.w.Judge(at("dp-a/if-v2"), udp(li, v2, "10.0.0.2", "192.0.2.10").frame(), clone)
	clone.Learn(other[0])
	if c.Len() != n || clone.Len() <= n {
		t.Errorf("%d and %d are remembered", c.Len(), clone.Len())
	}
	if d := l.w.Judge(at("dp-a/if-v1"), out, nil)[0].Deliveries; len(d) != 1 {
		t.Errorf("without memory %v", d)
	}
}

// Outcomes are bounded, and those that differ early come first.
func TestChoices(t *testing.T) {
	n := 0
	var seen [][2]int
	for scripts := [][]int{nil}; len(scripts) > 0; scripts = scripts[1:] {
		r := run{script: scripts[0]}
		first := r.choose(2)
		second := 0
		if first == 0 {
			second = r.choose(3)
		}
		r.choose(1)
		seen = append(seen, [2]int{first, second})
		scripts = append(scripts, r.otherwise()...)
		n++
	}
	if want := [][2]int{{0, 0}, {1, 0}, {0, 1}, {0, 2}}; n != 4 || !slices.Equal(want, seen) {
		t.Errorf("%d: %v", n, seen)
	}
	text := routed
	for _, leg := range []string{"01", "02", "03", "04", "05", "06", "07", "08", "09"} {
		text += "simulated if-b" + leg + " - 02:00:00:00:01:" + leg + " nw-b=10.2.0.1" + leg + " enable_routing=true\n" +
			"routes route_link_uuid=rl-1 interface_uuid=if-b" + leg + " network_uuid=nw-b ipv4_network=10.3.0.0 ipv4_gateway=10.2.0.253\n" +
			"simulated if-c" + leg + " - 02:00:00:00:02:" + leg + " nw-c=10.3.0.1" + leg + " enable_routing=true\n" +
			"routes route_link_uuid=rl-2 interface_uuid=if-c" + leg + " network_uuid=nw-c ipv4_network=10.3.0.0\n"
	}
	l := newLab(t, text)
	l.again("routes route_link_uuid=rl-2 interface_uuid=if-lc network_uuid=nw-b ipv4_network=10.1.0.0")
	if n := len(l.w.Judge(at("dp-a/if-a1"), udp(la, a1, "10.1.0.1", "10.3.0.1").frame(), nil)); n != MaxOutcomes {
		t.Errorf("%d outcomes of 100", n)
	}
}

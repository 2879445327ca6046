package rig_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openvnet/openvnet/testenv/rig"
)

// BenchmarkInject measures a frame with various options: run it with -benchtime=2000x.
func BenchmarkInject(b *testing.B) {
	for name, opt := range map[string]rig.Options{"cached": {}, "uncached": {Uncached: true}, "all": {Uncached: true, PacketIns: true, StopClock: true}} {
		opt.Hosts = options().Hosts
		w := start(b, opt)
		for _, c := range []struct {
			name       string
			one, other []string // flows of host one, and of the others
			want       string
		}{
			{"local", []string{"in_port=11,actions=output:12"}, nil, "[one/p2]"},
			{"hosts", append(slices.Clone(underlayFlows), "in_port=11,actions=set_field:192.0.2.2->tun_dst,set_field:0x4d->tun_id,output:2"), underlayFlows, "[two/p1]"},
			{"router", append(slices.Clone(underlayFlows), "in_port=11,actions=set_field:192.0.2.65->tun_dst,set_field:0x4d->tun_id,output:2"), underlayFlows, "[three/p1]"},
			{"conntrack", []string{"in_port=11,ip,actions=ct(commit,zone=1,table=1)", "table=1,actions=output:12"}, nil, "[one/p2]"},
			{"conntrack3", []string{
				"in_port=11,ip,actions=ct(commit,zone=1,table=1)", "table=1,ip,actions=ct(commit,zone=2,nat(src=198.51.100.1),table=2)",
				"table=2,ip,actions=ct(commit,zone=3,table=3)", "table=3,actions=output:12",
			}, nil, "[one/p2]"},
		} {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				if err := w.Reset(b.Context()); err != nil {
					b.Fatal(err)
				}
				program(b, w, "one", c.one...)
				program(b, w, "two", c.other...)
				program(b, w, "three", c.other...)
				frame := aToB(b, 50)
				for b.Loop() {
					if got := fmt.Sprint(ports(inject(b, w, "one", "p1", frame))); got != c.want {
						b.Fatalf("delivered at %s, not %s", got, c.want)
					}
				}
			})
		}
	}
}

// BenchmarkState measures what a change of states costs: a Reset of three hosts, 500 flows for each, and Settle.
func BenchmarkState(b *testing.B) {
	w := start(b, options())
	var flows []string
	for i := range 500 {
		flows = append(flows, fmt.Sprintf("table=1,priority=%d,udp,nw_dst=10.1.%d.%d,actions=output:12", 1+i%7, i/250, i%250))
	}
	messages := messages(b, flows...)
	for name, do := range map[string]func(*rig.World) error{
		"reset": func(w *rig.World) error { return w.Reset(b.Context()) },
		"reset+load": func(w *rig.World) error {
			if err := w.Reset(b.Context()); err != nil {
				return err
			}
			for _, h := range w.Hosts() {
				if err := h.Session().Send(b.Context(), messages); err != nil {
					return err
				}
			}
			return w.Settle(b.Context())
		},
		"settle": func(w *rig.World) error { return w.Settle(b.Context()) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

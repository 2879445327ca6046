package span_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
)

// mesh is 100 networks with 100 guests each, spread over three hosts, all joined by one router.
func mesh() []model.Object {
	os := []model.Object{&model.Topology{Meta: named(model.DefaultTopology), Automatic: true}, &model.RouteLink{Meta: named("rl-1")}}
	for d := range 3 {
		os = append(os, &model.Datapath{Meta: named(fmt.Sprintf("dp-%d", d))})
	}
	for n := range 100 {
		nw, leg := fmt.Sprintf("nw-%d", n), fmt.Sprintf("if-r%d", n)
		os = append(os, &model.Network{Meta: named(nw), Mode: model.NetworkVirtual}, &model.Interface{Meta: named(leg), Mode: model.InterfaceSimulated},
			&model.IPLease{Meta: named("il-r" + nw), InterfaceUUID: leg, NetworkUUID: nw}, &model.Route{Meta: named("r-" + nw), InterfaceUUID: leg, NetworkUUID: nw, RouteLinkUUID: "rl-1"})
		for p := range 100 {
			os = append(os, guest(fmt.Sprintf("%dx%d", n, p), fmt.Sprintf("dp-%d", p%3), nw)...)
		}
	}
	for i, o := range os {
		o.Base().ID = uint32(i + 1)
	}
	return os
}

func guest(name, host, network string) []model.Object {
	return []model.Object{
		&model.Interface{Meta: named("if-" + name), Mode: model.InterfaceVIF},
		&model.InterfacePort{Meta: named("ifp-" + name), InterfaceUUID: "if-" + name, DatapathUUID: host},
		&model.IPLease{Meta: named("il-" + name), InterfaceUUID: "if-" + name, NetworkUUID: network, IPv4Address: netip.MustParseAddr("10.0.0.1")},
	}
}

// What changes cost where everything is routed to everything: a guest, a route, and a host's first guest.
func BenchmarkUpdate(b *testing.B) {
	x := indexOf(mesh())
	views := map[string]*span.View{}
	for d := range 4 {
		views[fmt.Sprintf("dp-%d", d)] = span.NewView(fmt.Sprintf("dp-%d", d))
		views[fmt.Sprintf("dp-%d", d)].Snapshot(x)
	}
	write := func(os []model.Object, gone bool) {
		var batch []graph.Change
		for i, o := range os {
			o.Base().ID = uint32(1_000_000 + i)
			c := graph.Change{UUID: o.Base().UUID, Object: o}
			if gone {
				c.Object = nil
			}
			batch = append(batch, c)
		}
		span.Update(x, x.Apply(batch), views)
	}
	for name, os := range map[string][]model.Object{
		"guest":       guest("new", "dp-0", "nw-7"),
		"route":       {&model.Route{Meta: named("r-new"), InterfaceUUID: "if-r1", NetworkUUID: "nw-1", RouteLinkUUID: "rl-1"}},
		"first guest": guest("new", "dp-3", "nw-7"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() { // coming and going
				write(os, false)
				write(os, true)
			}
		})
	}
	b.Run("index", func(b *testing.B) {
		g := x.Graph()
		for b.Loop() {
			span.New(g)
		}
	})
}

package oracle

import (
	"fmt"
	"testing"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Sizes: what is larger than the MTU of the network that it leaves into is told, if something in the route link could be that large.
func TestSizes(t *testing.T) {
	l := newLab(t, routed)
	sized := func(size int) []byte {
		d := udp(la, a1, "10.1.0.1", "10.2.0.1")
		d.rest = make([]byte, size-28)
		return d.frame()
	}
	six := udp(la, a1, "fd01::1", "fd02::1")
	six.rest = append(six.rest, make([]byte, 1400)...)
	l.expect("dp-a/if-a1", sized(1500), "dp-b/if-b1") // nothing bounds
	set := func(a, b, host int) {
		for uuid, n := range map[string]int{"nw-a": a, "nw-b": b} {
			o, _ := graph.Lookup[*model.Network](l.g, uuid)
			o = model.Clone(o)
			o.MTU = uint16(n)
			l.g.Put(o)
		}
		for _, o := range l.g.List(model.Datapaths) {
			dp := model.Clone(o.(*model.Datapath))
			dp.MTU = uint16(host)
			l.g.Put(dp)
		}
		l.w = New(l.g, l.env)
	}
	for _, tc := range []struct{ a, b, host, fits int }{
		{0, 1400, 0, 1400}, {1500, 1400, 0, 1400}, {1400, 1400, 0, 1500}, {1300, 1400, 0, 1500}, // who could send more than 1,300 has been let into nw-a
		{0, 0, 1500, 1500}, {1500, 1420, 1450, 1450}, // both are carried: 1,450 less Geneve's 50 bytes bound either
	} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			set(tc.a, tc.b, tc.host)
			l.t = t
			l.expect("dp-a/if-a1", sized(tc.fits), "dp-b/if-b1")
			if tc.fits < 1450 {
				l.expect("dp-a/if-a1", sized(tc.fits+1), "told dp-a too_big")
				l.expect("dp-a/if-a1", six.frame(), "told dp-a too_big")
			}
		})
	}
}

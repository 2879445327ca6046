package topology

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/model"
)

// small is an underlay u0 with the hosts 0 and 1, an overlay v0 over it, a MAC range group of ten addresses, and nw-0 in the overlay.
func small(t *testing.T) *world {
	t.Helper()
	w := newWorld()
	must(t, w, (*tx).furnish)
	must(t, w, func(x *tx) {
		x.lease("il-h00", "if-h00", 10)
		x.lease("il-h01", "if-h01", 11)
		x.lease("il-h10", "if-h10", 12)
		x.host2underlay(0, 0)
		x.host2underlay(1, 0)
		x.put(&model.TopologyLayer{Meta: meta("tpl-0"), OverlayUUID: "topo-v0", UnderlayUUID: "topo-u0"})
		x.put(&model.MACRange{Meta: meta("mr-0"), MACRangeGroupUUID: "mrg-0", BeginMACAddress: model.MACFromUint64(0x06_00_00_00_00_10), EndMACAddress: model.MACFromUint64(0x06_00_00_00_00_19)})
		x.put(&model.TopologyMACRangeGroup{Meta: meta("tpmrg-0"), TopologyUUID: "topo-u0", MACRangeGroupUUID: "mrg-0"})
		x.member("topo-v0", "nw-0")
	})
	return w
}

func (x *tx) lease(uuid, iface string, n byte) {
	x.put(&model.IPLease{Meta: meta(uuid), NetworkUUID: "nw-2", InterfaceUUID: iface, IPv4Address: netip.AddrFrom4([4]byte{192, 0, 2, n})})
}

func (x *tx) host2underlay(host, underlay int) {
	x.put(&model.TopologyDatapath{Meta: meta(fmt.Sprintf("tpd-%d%d", host, underlay)), TopologyUUID: fmt.Sprintf("topo-u%d", underlay),
		DatapathUUID: fmt.Sprintf("dp-%d", host), InterfaceUUID: fmt.Sprintf("if-h%d0", host)})
}

func (x *tx) member(topology, network string) {
	x.put(&model.TopologyNetwork{Meta: meta("tpn-" + topology[5:] + network[3:]), TopologyUUID: topology, NetworkUUID: network})
}

func must(t *testing.T, w *world, change func(*tx)) Plan {
	t.Helper()
	plan, err := w.commit(change)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func expect(t *testing.T, w *world, want map[string]string) {
	t.Helper()
	if d := gocmp.Diff(want, w.rows()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if problem := w.addressProblem(); problem != "" {
		t.Error(problem)
	}
}

func (w *world) network(t *testing.T, host int, network string) *model.DatapathNetwork {
	t.Helper()
	o, ok := w.ByUnique(model.DatapathNetworks, "pair", fmt.Sprintf("dp-%d", host), network).(*model.DatapathNetwork)
	if !ok {
		t.Fatalf("host %d has no row of %s", host, network)
	}
	return o
}

const (
	byOverlay0 = "by topo-v0 tpl-0 through if-h00 il-h00"
	byOverlay1 = "by topo-v0 tpl-0 through if-h10 il-h10"
)

func TestMembers(t *testing.T) {
	w := small(t)
	expect(t, w, map[string]string{"datapath_network dp-0 nw-0": byOverlay0, "datapath_network dp-1 nw-0": byOverlay1})
	if r := w.network(t, 0, "nw-0"); r.TopologyMACRangeGroupUUID != "tpmrg-0" {
		t.Errorf("the address is of %q", r.TopologyMACRangeGroupUUID)
	}
	must(t, w, func(x *tx) {
		x.put(&model.TopologySegment{Meta: meta("tps-0"), TopologyUUID: "topo-u0", SegmentUUID: "seg-0"})
		x.put(&model.TopologyRouteLink{Meta: meta("tprl-0"), TopologyUUID: "topo-v0", RouteLinkUUID: "rl-0"})
		x.delete("tpd-10")
	})
	expect(t, w, map[string]string{
		"datapath_network dp-0 nw-0": byOverlay0, "datapath_route_link dp-0 rl-0": byOverlay0,
		"datapath_segment dp-0 seg-0": "by topo-u0  through if-h00 il-h00",
	})
	// A host and a network that leave together: neither is found by way of the other.
	must(t, w, func(x *tx) {
		x.delete("tpd-00")
		x.delete("tpn-v00")
	})
	expect(t, w, map[string]string{})
}

func TestEndsTogether(t *testing.T) {
	for name, ends := range map[string][]string{
		"host and member":   {"tpd-00", "tpd-10", "tpn-v00"},
		"member and host":   {"tpn-v00", "tpd-00", "tpd-10"},
		"layer and member":  {"tpl-0", "tpn-v00"},
		"host and layer":    {"tpd-00", "tpl-0", "tpd-10"},
		"overlay":           {"topo-v0"},
		"underlay":          {"topo-u0"},
		"network":           {"nw-0"},
		"hosts":             {"dp-0", "dp-1"},
		"host's interfaces": {"if-h00", "if-h10"},
	} {
		t.Run(name, func(t *testing.T) {
			w := small(t)
			must(t, w, func(x *tx) {
				for _, uuid := range ends {
					x.delete(uuid)
				}
			})
			expect(t, w, map[string]string{})
		})
	}
}

func TestByHandGoesFirst(t *testing.T) {
	w := small(t)
	was := w.network(t, 0, "nw-0")
	hand := &model.DatapathNetwork{Meta: meta("dpn-hand"), DatapathUUID: "dp-0", NetworkUUID: "nw-0", InterfaceUUID: "if-h01", MACAddress: model.MACFromUint64(0x0a0000000001)}
	if plan := must(t, w, func(x *tx) {
		x.put(hand)
		x.delete(hand.UUID)
	}); plan.Put != nil || plan.Delete != nil {
		t.Errorf("a row that came and went leads to %v", plan)
	}
	plan := must(t, w, func(x *tx) { x.put(hand) })
	if len(plan.Delete) != 1 || plan.Delete[0].Base().UUID != was.UUID || plan.Put != nil {
		t.Errorf("the plan is %v", plan)
	}
	expect(t, w, map[string]string{"datapath_network dp-0 nw-0": "by hand", "datapath_network dp-1 nw-0": byOverlay1})
	must(t, w, func(x *tx) { x.delete("tpl-0") })
	expect(t, w, map[string]string{"datapath_network dp-0 nw-0": "by hand"})
	must(t, w, func(x *tx) {
		x.put(&model.TopologyLayer{Meta: meta("tpl-0"), OverlayUUID: "topo-v0", UnderlayUUID: "topo-u0"})
		x.delete("dpn-hand")
	})
	expect(t, w, map[string]string{"datapath_network dp-0 nw-0": byOverlay0, "datapath_network dp-1 nw-0": byOverlay1})
}

// TestOwnershipMoves: when another layer asks for the row too, its end goes without notice but for whom the row belongs to.
func TestOwnershipMoves(t *testing.T) {
	w := small(t)
	must(t, w, func(x *tx) {
		x.put(&model.TopologyLayer{Meta: meta("tpl-1"), OverlayUUID: "topo-v1", UnderlayUUID: "topo-u0"})
		x.member("topo-v1", "nw-0")
	})
	before := w.network(t, 0, "nw-0")
	if before.TopologyUUID != "topo-v0" {
		t.Errorf("the row is of %s, the younger topology", before.TopologyUUID)
	}
	for _, end := range []string{"tpn-v00", "tpl-0", "topo-v0"} {
		w := w.clone()
		must(t, w, func(x *tx) { x.delete(end) })
		expect(t, w, map[string]string{
			"datapath_network dp-0 nw-0": "by topo-v1 tpl-1 through if-h00 il-h00", "datapath_network dp-1 nw-0": "by topo-v1 tpl-1 through if-h10 il-h10",
		})
		if after := w.network(t, 0, "nw-0"); after.UUID != before.UUID || after.MACAddress != before.MACAddress {
			t.Errorf("%s with %s has become %s with %s", before.UUID, before.MACAddress, after.UUID, after.MACAddress)
		}
	}
}

func (w *world) clone() *world {
	c := newWorld()
	c.id, c.macs = w.id, w.macs
	for o := range w.g.All() {
		c.g.Put(o)
	}
	return c
}

func TestHostInterface(t *testing.T) {
	w := small(t)
	mac := w.network(t, 0, "nw-0").MACAddress
	through := func(want string) {
		t.Helper()
		expect(t, w, map[string]string{"datapath_network dp-0 nw-0": "by topo-v0 tpl-0 through " + want, "datapath_network dp-1 nw-0": byOverlay1})
		if got := w.network(t, 0, "nw-0").MACAddress; got != mac {
			t.Errorf("the address was %s and is %s", mac, got)
		}
	}
	must(t, w, func(x *tx) {
		o, _ := x.g.Get("tpd-00")
		td := model.Clone(o.(*model.TopologyDatapath))
		td.InterfaceUUID = "if-h01"
		x.put(td)
	})
	through("if-h01 il-h01")
	must(t, w, func(x *tx) { x.lease("il-more", "if-h01", 20) })
	through("if-h01 il-h01")
	must(t, w, func(x *tx) { x.delete("il-h01") })
	through("if-h01 il-more")
	must(t, w, func(x *tx) { x.delete("il-more") })
	through("if-h01 ")
	must(t, w, func(x *tx) { x.lease("il-new", "if-h01", 21) })
	through("if-h01 il-new")
	must(t, w, func(x *tx) {
		o, _ := x.g.Get("tpd-00")
		td := model.Clone(o.(*model.TopologyDatapath))
		td.InterfaceUUID, td.IPLeaseUUID = "if-h00", "il-h00"
		x.put(td)
		x.lease("il-h00b", "if-h00", 22)
	})
	through("if-h00 il-h00")
}

func TestRanges(t *testing.T) {
	w := small(t)
	at := func(begin, end uint64) *model.MACRange {
		return &model.MACRange{Meta: meta("mr-0"), MACRangeGroupUUID: "mrg-0", BeginMACAddress: model.MACFromUint64(0x06_00_00_00_00_00 + begin), EndMACAddress: model.MACFromUint64(0x06_00_00_00_00_00 + end)}
	}
	first, second := w.network(t, 0, "nw-0").MACAddress, w.network(t, 1, "nw-0").MACAddress
	must(t, w, func(x *tx) { x.put(at(0x11, 0x20)) }) // dp-0 had 10
	if now := w.network(t, 0, "nw-0").MACAddress; now == first || w.network(t, 1, "nw-0").MACAddress != second {
		t.Errorf("%s is outside of the range, %s is not: they are %s and %s now", first, second, now, w.network(t, 1, "nw-0").MACAddress)
	}
	expect(t, w, w.naive())

	// One address is too few for two rows, with the next group it is enough.
	_, err := w.commit(func(x *tx) { x.put(at(0x40, 0x40)) })
	var refused *model.Error
	if !errors.As(err, &refused) || refused.Class != model.Exhausted {
		t.Errorf("got %v", err)
	}
	expect(t, w, w.naive())
	must(t, w, func(x *tx) {
		x.put(at(0x40, 0x40))
		x.put(&model.MACRange{Meta: meta("mr-1"), MACRangeGroupUUID: "mrg-1", BeginMACAddress: model.MACFromUint64(0x06_00_00_00_00_50), EndMACAddress: model.MACFromUint64(0x06_00_00_00_00_50)})
		x.put(&model.TopologyMACRangeGroup{Meta: meta("tpmrg-1"), TopologyUUID: "topo-u0", MACRangeGroupUUID: "mrg-1"})
	})
	if r := w.network(t, 0, "nw-0"); r.MACAddress.String() != "06:00:00:00:00:40" || r.TopologyMACRangeGroupUUID != "tpmrg-0" {
		t.Errorf("the first has %s of %s", r.MACAddress, r.TopologyMACRangeGroupUUID)
	}
	if r := w.network(t, 1, "nw-0"); r.MACAddress.String() != "06:00:00:00:00:50" || r.TopologyMACRangeGroupUUID != "tpmrg-1" {
		t.Errorf("the second has %s of %s", r.MACAddress, r.TopologyMACRangeGroupUUID)
	}
	// Without ranges they stay as they are.
	must(t, w, func(x *tx) {
		x.delete("mr-0")
		x.delete("mrg-1")
	})
	if a, b := w.network(t, 0, "nw-0").MACAddress, w.network(t, 1, "nw-0").MACAddress; a.String() != "06:00:00:00:00:40" || b.String() != "06:00:00:00:00:50" {
		t.Errorf("they have %s and %s", a, b)
	}
	expect(t, w, w.naive())
}

func TestActivity(t *testing.T) {
	w := small(t)
	active := func(on bool) {
		must(t, w, func(x *tx) {
			x.put(&model.Topology{Meta: meta("topo-v0"), Mode: model.TopologyOverlay, Activity: on})
		})
	}
	active(true)
	expect(t, w, map[string]string{})
	must(t, w, func(x *tx) {
		x.put(&model.IPLease{Meta: meta("il-g0"), NetworkUUID: "nw-0", InterfaceUUID: "if-g0", IPv4Address: netip.AddrFrom4([4]byte{10, 0, 0, 5})})
		x.put(&model.TopologyRouteLink{Meta: meta("tprl-0"), TopologyUUID: "topo-v0", RouteLinkUUID: "rl-0"})
		x.put(&model.Route{Meta: meta("r-0"), InterfaceUUID: "if-g3", NetworkUUID: "nw-0", RouteLinkUUID: "rl-0"})
	})
	expect(t, w, map[string]string{})
	place := func(dp string) {
		must(t, w, func(x *tx) {
			x.put(&model.ActiveInterface{Meta: meta("aif-g0"), InterfaceUUID: "if-g0", DatapathUUID: dp})
		})
	}
	place("dp-0")
	expect(t, w, map[string]string{"datapath_network dp-0 nw-0": byOverlay0, "datapath_route_link dp-0 rl-0": byOverlay0})
	place("dp-1")
	expect(t, w, map[string]string{"datapath_network dp-1 nw-0": byOverlay1, "datapath_route_link dp-1 rl-0": byOverlay1})
	active(false)
	expect(t, w, map[string]string{
		"datapath_network dp-0 nw-0": byOverlay0, "datapath_route_link dp-0 rl-0": byOverlay0,
		"datapath_network dp-1 nw-0": byOverlay1, "datapath_route_link dp-1 rl-0": byOverlay1,
	})
	active(true)
	must(t, w, func(x *tx) { x.delete("if-g0") })
	expect(t, w, map[string]string{})

	// The network's row was there without a guest; the guest comes with the very change after which it takes one.
	active(false)
	must(t, w, func(x *tx) {
		x.delete("tprl-0")
		x.put(&model.TopologyLayer{Meta: meta("tpl-2"), OverlayUUID: "topo-v2", UnderlayUUID: "topo-u0"})
		x.put(&model.TopologyRouteLink{Meta: meta("tprl-2"), TopologyUUID: "topo-v2", RouteLinkUUID: "rl-0"})
	})
	expect(t, w, map[string]string{"datapath_network dp-0 nw-0": byOverlay0, "datapath_network dp-1 nw-0": byOverlay1})
	must(t, w, func(x *tx) {
		x.put(&model.Topology{Meta: meta("topo-v0"), Mode: model.TopologyOverlay, Activity: true})
		x.put(&model.ActiveInterface{Meta: meta("aif-g1"), InterfaceUUID: "if-g1", DatapathUUID: "dp-0"})
		x.put(&model.IPLease{Meta: meta("il-g1"), NetworkUUID: "nw-0", InterfaceUUID: "if-g1", IPv4Address: netip.AddrFrom4([4]byte{10, 0, 0, 6})})
	})
	expect(t, w, map[string]string{"datapath_network dp-0 nw-0": byOverlay0, "datapath_route_link dp-0 rl-0": "by topo-v2 tpl-2 through if-h00 il-h00"})
}

// TestNothingFollows: asked again there is nothing to do, and what concerns no topology costs nothing.
func TestNothingFollows(t *testing.T) {
	w := small(t)
	var everything []model.Object
	for o := range w.g.All() {
		everything = append(everything, o)
	}
	plan, err := Reconcile(w, everything, nil)
	if err != nil || plan.Put != nil || plan.Delete != nil {
		t.Errorf("got %v, %v", plan, err)
	}
	must(t, w, func(x *tx) { x.put(&model.Topology{Meta: meta("topo-v2"), Mode: model.TopologyOverlay}) })
	c := &counter{Reader: w}
	nw, _ := w.g.Get("nw-0")
	guest, _ := w.g.Get("if-g0")
	if _, err := Reconcile(c, []model.Object{nw, guest, &model.InterfacePort{InterfaceUUID: "if-g0"}}, nil); err != nil || c.reads > 1 {
		t.Errorf("%d reads, %v", c.reads, err)
	}
}

// counter counts what is read.
type counter struct {
	Reader
	reads int
}

func (c *counter) Get(uuid string) (model.Object, bool) {
	c.reads++
	return c.Reader.Get(uuid)
}

func (c *counter) Referrers(uuid, ref string) iter.Seq[model.Object] {
	return func(yield func(model.Object) bool) {
		c.reads++
		for o := range c.Reader.Referrers(uuid, ref) {
			c.reads++
			if !yield(o) {
				return
			}
		}
	}
}

func (c *counter) ByUnique(r *model.Resource, group string, values ...string) model.Object {
	c.reads++
	return c.Reader.ByUnique(r, group, values...)
}

func (c *counter) List(r *model.Resource) []model.Object {
	c.reads++
	return c.Reader.List(r)
}

// TestCost: a network more is looked at on its hosts, a host more with its networks; the others do not matter.
func TestCost(t *testing.T) {
	const hosts, networks = 30, 200
	w := newWorld()
	must(t, w, func(x *tx) {
		x.put(&model.Topology{Meta: meta("topo-u0"), Mode: model.TopologyUnderlay})
		x.put(&model.Topology{Meta: meta("topo-v0"), Mode: model.TopologyOverlay})
		x.put(&model.TopologyLayer{Meta: meta("tpl-0"), OverlayUUID: "topo-v0", UnderlayUUID: "topo-u0"})
		for i := range hosts {
			x.host(i)
			x.host2underlay(i, 0)
		}
		for i := range networks {
			uuid := fmt.Sprintf("nw-%d", i)
			x.put(&model.Network{Meta: meta(uuid)})
			x.member("topo-v0", uuid)
		}
	})
	if n := len(w.rows()); n != hosts*networks {
		t.Fatalf("%d rows", n)
	}
	cost := func(what string, limit int, change func(*tx)) {
		t.Helper()
		x := &tx{world: w}
		change(x)
		c := &counter{Reader: w}
		plan, err := Reconcile(c, x.touched, w.draw(map[model.MAC]bool{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d rows, %d reads", what, len(plan.Put), c.reads)
		if c.reads > limit*len(plan.Put) {
			t.Errorf("%s: %d reads for %d rows", what, c.reads, len(plan.Put))
		}
	}
	cost("a network", 20, func(x *tx) {
		x.put(&model.Network{Meta: meta("nw-more")})
		x.member("topo-v0", "nw-more")
	})
	cost("a host", 10, func(x *tx) {
		x.host(hosts)
		x.host2underlay(hosts, 0)
	})
}

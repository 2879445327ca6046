package app_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

// policy makes a range group with one range, in that order, and a lease policy that takes from it in nw-v.
func (c *cases) policy(order, begin, end string) {
	c.t.Helper()
	c.create(model.IPRangeGroups, app.Params{"uuid": "iprg-a", "allocation_type": order})
	family := "ipv4"
	if netip.MustParseAddr(begin).Is6() {
		family = "ipv6"
	}
	c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-a", "begin_" + family + "_address": begin, "end_" + family + "_address": end})
	c.create(model.LeasePolicies, app.Params{"uuid": "lp-a"})
	c.create(model.LeasePolicyBaseNetworks, app.Params{"lease_policy_uuid": "lp-a", "network_uuid": "nw-v", "ip_range_group_uuid": "iprg-a"})
}

func (c *cases) allocate(p app.Params) []*model.IPLease {
	c.t.Helper()
	res, err := c.AllocateIPLease(c.t.Context(), "lp-a", p, app.Write{})
	if err != nil {
		c.t.Fatal(err)
	}
	var ls []*model.IPLease
	for _, out := range res.Outcomes {
		ls = append(ls, out.Object.(*model.IPLease))
	}
	return ls
}

// Many clients get different addresses, as many as there are, and then a clear error.
func TestConcurrentAllocation(t *testing.T) {
	t.Parallel()
	clients, size := 64, 10_000
	if raceDetector {
		size = 500
	}
	for _, test := range []struct{ order, begin, end string }{
		{model.AllocateIncremental, "10.1.1.0", netip.AddrFrom4([4]byte{10, 1, byte(1 + (size-1)/256), byte((size - 1) % 256)}).String()},
		{model.AllocateRandom, "10.1.1.0", "10.1.1.255"},
		{model.AllocateDecremental, "fd00::1:0", "fd00::1:ff"},
	} {
		t.Run(test.order, func(t *testing.T) {
			c := newCases(t)
			c.world()
			c.policy(test.order, test.begin, test.end)
			var mu sync.Mutex
			got := map[netip.Addr]int{}
			exhausted := 0
			var g errgroup.Group
			for range clients {
				g.Go(func() error {
					for {
						res, err := c.AllocateIPLease(t.Context(), "lp-a", nil, app.Write{})
						mu.Lock()
						if err != nil {
							c.refused(err, model.Exhausted, "network_uuid", "iprg-a")
							exhausted++
							mu.Unlock()
							return nil
						}
						got[res.Outcomes[0].Object.(*model.IPLease).Addr()]++
						mu.Unlock()
					}
				})
			}
			_ = g.Wait()
			want := 256
			if test.order == model.AllocateIncremental {
				want = size
			}
			if len(got) != want || exhausted != clients {
				t.Errorf("%d addresses, want %d; %d clients were told that none is left", len(got), want, exhausted)
			}
			for a, times := range got {
				if times != 1 {
					t.Errorf("%s was given %d times", a, times)
				}
			}
		})
	}
}

// Managers that share a store do not know what the others are about to give: they meet at the commit, and try again.
func TestManagersShareARange(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.policy(model.AllocateIncremental, "10.1.1.1", "10.1.1.60")
	var mu sync.Mutex
	got := map[netip.Addr]int{}
	var g errgroup.Group
	for range 3 {
		a := newApp(c.store)
		for range 4 {
			g.Go(func() error {
				for range 5 {
					res, err := a.AllocateIPLease(t.Context(), "lp-a", nil, app.Write{})
					if err != nil {
						return err
					}
					mu.Lock()
					got[res.Outcomes[0].Object.(*model.IPLease).Addr()]++
					mu.Unlock()
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil || len(got) != 60 {
		t.Errorf("%d addresses, want 60: %v", len(got), err)
	}
	_, err := c.AllocateIPLease(t.Context(), "lp-a", nil, app.Write{})
	c.refused(err, model.Exhausted, "network_uuid", "in use")
}

func TestAllocationOrders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		order, begin, end string
		want              []string
	}{
		{model.AllocateIncremental, "10.1.0.254", "10.1.1.2", []string{"10.1.0.254", "10.1.0.255", "10.1.1.0", "10.1.1.2", "10.1.0.254"}},
		{model.AllocateDecremental, "10.1.0.254", "10.1.1.2", []string{"10.1.1.2", "10.1.1.0", "10.1.0.255", "10.1.0.254", "10.1.1.2"}},
		{model.AllocateIncremental, "10.0.0.0", "10.1.0.2", []string{"10.1.0.1", "10.1.0.2"}},
		{model.AllocateDecremental, "10.1.255.253", "10.2.0.5", []string{"10.1.255.254", "10.1.255.253"}},
		{model.AllocateIncremental, "fd00::", "fd00::2", []string{"fd00::1", "fd00::2"}},
	} {
		t.Run(test.order+" from "+test.begin, func(t *testing.T) {
			c := newCases(t)
			c.world()
			c.create(model.IPLeases, app.Params{"network_uuid": "nw-v", "ipv4_address": "10.1.1.1"}) // in the way
			c.policy(test.order, test.begin, test.end)
			for i, want := range test.want {
				c.unchanged(func() { // a dry run takes nothing
					if _, err := c.AllocateIPLease(t.Context(), "lp-a", nil, app.Write{DryRun: true}); err != nil {
						t.Error(err)
					}
				})
				l := c.allocate(nil)[0]
				if l.Addr().String() != want {
					t.Errorf("address %d is %s, want %s", i, l.Addr(), want)
				}
				if len(test.want) == 5 { // the order goes on behind what is free again
					c.delete(model.IPLeases, l.UUID)
				}
			}
			if len(test.want) == 2 {
				_, err := c.AllocateIPLease(t.Context(), "lp-a", nil, app.Write{})
				c.refused(err, model.Exhausted, "network_uuid", "in use")
			}
		})
	}
}

// A manager that starts goes on where the last one was.
func TestAllocationGoesOn(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.policy(model.AllocateIncremental, "10.1.1.1", "10.1.1.9")
	for range 3 {
		c.allocate(nil)
	}
	c.delete(model.IPLeases, c.allocate(nil)[0].UUID)
	next := newApp(c.store)
	res, err := next.AllocateIPLease(t.Context(), "lp-a", nil, app.Write{})
	if err != nil || res.Outcomes[0].Object.(*model.IPLease).Addr().String() != "10.1.1.4" {
		t.Errorf("%+v %v", res, err)
	}
	if a := c.allocate(nil)[0].Addr().String(); a != "10.1.1.5" {
		t.Errorf("the first manager's next is %s", a)
	}
}

func TestMACAllocation(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.MACRangeGroups, app.Params{"uuid": "mrg-a", "allocation_type": "incremental"})
	_, err := c.Create(t.Context(), model.Interfaces, app.Params{"mode": "vif", "mac_range_group_uuid": "mrg-a"}, app.Write{})
	c.refused(err, model.Exhausted, "mac_range_group_uuid", "no range")
	c.create(model.MACRanges, app.Params{"mac_range_group_uuid": "mrg-a", "begin_mac_address": "02:00:00:00:00:fe", "end_mac_address": "02:00:00:00:01:02"})
	c.create(model.RouteLinks, app.Params{"mac_address": "02:00:00:00:01:00"})
	for i, want := range []string{"02:00:00:00:00:fe", "02:00:00:00:00:ff", "02:00:00:00:01:01", "02:00:00:00:01:02"} {
		uuid := fmt.Sprintf("if-m%d", i)
		c.create(model.Interfaces, app.Params{"uuid": uuid, "mode": "vif", "mac_range_group_uuid": "mrg-a"})
		if l := one[*model.MACLease](c, uuid, "mac_leases.interface_uuid"); l.MACAddress.String() != want {
			t.Errorf("%s, want %s", l.MACAddress, want)
		}
	}
	_, err = c.Create(t.Context(), model.Interfaces, app.Params{"mode": "vif", "mac_range_group_uuid": "mrg-a"}, app.Write{})
	c.refused(err, model.Exhausted, "mac_range_group_uuid", "in use")
	_, err = c.Create(t.Context(), model.Interfaces, app.Params{"mode": "vif", "mac_range_group_uuid": "mrg-x"}, app.Write{})
	c.refused(err, model.UnknownUUIDResource, "mac_range_group_uuid", "mrg-x")

	// Several in one transaction, which leave what other documents of it name.
	c.create(model.MACRanges, app.Params{"uuid": "mr-b", "mac_range_group_uuid": "mrg-a", "begin_mac_address": "02:00:00:00:02:01", "end_mac_address": "02:00:00:00:02:03"})
	docs := []app.Document{doc(model.MACLeases, app.Params{"mac_address": "02:00:00:00:02:01"})}
	for i := range 2 {
		docs = append(docs, doc(model.Interfaces, app.Params{"uuid": fmt.Sprintf("if-r%d", i), "mode": "vif", "mac_range_group_uuid": "mrg-a"}))
	}
	c.apply(docs...)
	c.unchanged(func() { c.apply(docs...) })
	for i, want := range []string{"02:00:00:00:02:02", "02:00:00:00:02:03"} {
		if l := one[*model.MACLease](c, fmt.Sprintf("if-r%d", i), "mac_leases.interface_uuid"); l.MACAddress.String() != want {
			t.Errorf("%s, want %s", l.MACAddress, want)
		}
	}

	// Multicast addresses between a range's ends are none.
	c.update(model.MACRanges, "mr-b", app.Params{"begin_mac_address": "02:ff:ff:ff:ff:ff", "end_mac_address": "04:00:00:00:00:00"})
	for _, want := range []string{"02:ff:ff:ff:ff:ff", "04:00:00:00:00:00"} {
		i := made[*model.Interface](c, model.Interfaces, app.Params{"mode": "vif", "mac_range_group_uuid": "mrg-a"})
		if l := one[*model.MACLease](c, i.UUID, "mac_leases.interface_uuid"); l.MACAddress.String() != want {
			t.Errorf("%s, want %s", l.MACAddress, want)
		}
	}
	if amiss := c.Inconsistencies(); len(amiss) > 0 {
		t.Errorf("%q", amiss)
	}
}

// Route links and rows of datapaths take their addresses from the group that is there for it.
func TestDatapathMACGroup(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.MACRangeGroups, app.Params{"uuid": app.DatapathMACGroup})
	c.create(model.MACRanges, app.Params{"mac_range_group_uuid": app.DatapathMACGroup, "begin_mac_address": "02:aa:00:00:00:00", "end_mac_address": "02:aa:00:00:00:ff"})
	rl := c.create(model.RouteLinks, app.Params{}).Outcomes[0].Object.(*model.RouteLink)
	row := c.create(model.DatapathRouteLinks, app.Params{"datapath_uuid": "dp-a", "route_link_uuid": rl.UUID, "interface_uuid": "if-host"}).Outcomes[0].Object.(*model.DatapathRouteLink)
	for _, m := range []model.MAC{rl.MACAddress, row.MACAddress} {
		if m[1] != 0xaa {
			t.Errorf("%s is not of the group", m)
		}
	}
	if amiss := c.Inconsistencies(); len(amiss) > 0 {
		t.Errorf("%q", amiss)
	}
	if rl.MACAddress == row.MACAddress || rl.VNI == 0 || row.IPLeaseUUID == "" {
		t.Errorf("%+v %+v", rl, row)
	}
}

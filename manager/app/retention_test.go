package app_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/model/wire"
	"github.com/openvnet/openvnet/store"
)

// clock is a time that the test moves.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	alarms []alarm
	asked  chan struct{} // receives whenever someone waits for a time
}

type alarm struct {
	at time.Time
	c  chan time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), asked: make(chan struct{}, 1)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := alarm{c.now.Add(d), make(chan time.Time, 1)}
	c.alarms = append(c.alarms, a)
	select {
	case c.asked <- struct{}{}:
	default:
	}
	return a.c
}

// pass moves the time on.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	var later []alarm
	for _, a := range c.alarms {
		if a.at.After(c.now) {
			later = append(later, a)
			continue
		}
		a.c <- c.now
	}
	c.alarms = later
}

// earliest gives how long the one who waits the shortest has to wait.
func (c *clock) earliest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	least := time.Duration(1<<63 - 1)
	for _, a := range c.alarms {
		least = min(least, a.at.Sub(c.now))
	}
	return least
}

// timed are cases on a store whose time is the clock's.
func timed(t *testing.T, dir string, k *clock) (c *cases, end func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), Now: k.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the store's Run: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close store: %v", err)
			}
		})
	}
	t.Cleanup(end)
	<-s.Ready()
	c = &cases{App: newApp(s), t: t, store: s}
	if err := c.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c, end
}

// retain runs the retentions until end is called.
func (c *cases) retain(k *clock) (end func()) {
	c.t.Helper()
	r, err := app.NewRetention(app.RetentionOptions{App: c.App, Log: slog.New(slog.DiscardHandler), Clock: k})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				c.t.Errorf("Run: %v", err)
			}
		})
	}
	c.t.Cleanup(end)
	return end
}

// until waits for a state of the store.
func (c *cases) until(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	var from int64
	c.store.View(func(_ *span.Index, r int64) { from = r })
	if ok() {
		return
	}
	for _, err := range c.store.Watch(ctx, from) {
		if err != nil {
			c.t.Fatal(err)
		}
		if ok() {
			return
		}
	}
	c.t.Fatalf("waited in vain: %s", what)
}

// isIdle waits until the retentions wait for nothing sooner than that.
func (c *cases) isIdle(k *clock, d time.Duration) {
	c.t.Helper()
	for k.earliest() < d {
		select {
		case <-k.asked:
		case <-time.After(30 * time.Second):
			c.t.Fatalf("they wait %v, not %v", k.earliest(), d)
		}
	}
}

func (c *cases) owner(lease string) string { return get[*model.IPLease](c, lease).InterfaceUUID }

func (c *cases) leased() {
	c.t.Helper()
	c.world()
	c.guestMACs()
	c.guests("if-a")
	c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-a", "lease_time": "60", "grace_time": "30"})
	c.create(model.IPLeases, app.Params{"uuid": "il-a", "network_uuid": "nw-v", "interface_uuid": "if-a", "ipv4_address": "10.1.0.1"})
	c.create(model.IPRetentions, app.Params{"uuid": "ipret-a", "ip_retention_container_uuid": "irc-a", "ip_lease_uuid": "il-a"})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, _ := timed(t, t.TempDir(), k)
	c.leased()
	c.retain(k)
	if r := get[*model.IPRetention](c, "ipret-a"); !r.LeasedAt.Equal(k.Now()) || !r.ReleasedAt.IsZero() {
		t.Errorf("%+v", r)
	}
	k.pass(59 * time.Second)
	c.unchanged(func() { c.isIdle(k, time.Second) })
	if c.owner("il-a") != "if-a" {
		t.Fatal("released early")
	}
	k.pass(time.Second)
	c.until("released", func() bool { return c.owner("il-a") == "" })
	if r := get[*model.IPRetention](c, "ipret-a"); !r.ReleasedAt.Equal(k.Now()) {
		t.Errorf("%+v", r)
	}

	// Attached again, its time begins anew.
	k.pass(20 * time.Second)
	if _, err := c.AttachIPLease(t.Context(), "il-a", app.Params{"interface_uuid": "if-a"}, app.Write{}); err != nil {
		t.Fatal(err)
	}
	if r := get[*model.IPRetention](c, "ipret-a"); !r.ReleasedAt.IsZero() || !r.LeasedAt.Equal(k.Now()) {
		t.Errorf("%+v", r)
	}
	k.pass(59 * time.Second)
	if c.owner("il-a") != "if-a" {
		t.Error("released by its first time")
	}

	// Released by hand, the grace time runs; a change of the container's times counts at once.
	if _, err := c.ReleaseIPLease(t.Context(), "il-a", app.Write{}); err != nil {
		t.Fatal(err)
	}
	k.pass(10 * time.Second)
	c.update(model.IPRetentionContainers, "irc-a", app.Params{"grace_time": nil})
	k.pass(time.Hour)
	if !c.has("il-a") {
		t.Error("destroyed although there is no grace time")
	}
	c.update(model.IPRetentionContainers, "irc-a", app.Params{"grace_time": "4000"})
	k.pass(time.Hour)
	c.until("destroyed", func() bool { return !c.has("il-a") && !c.has("ipret-a") })
}

// Many at once, in two containers, and what has no times stays.
func TestRetentionOfMany(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, _ := timed(t, t.TempDir(), k)
	c.world()
	c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-a", "lease_time": "60", "grace_time": "0"})
	c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-b"})
	c.policy(model.AllocateIncremental, "10.1.1.0", "10.1.9.255")
	c.create(model.LeasePolicyIPRetentionContainers, app.Params{"lease_policy_uuid": "lp-a", "ip_retention_container_uuid": "irc-a"})
	for range 300 {
		c.allocate(nil)
	}
	c.create(model.IPLeases, app.Params{"uuid": "il-stays", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1"})
	c.create(model.IPRetentions, app.Params{"ip_retention_container_uuid": "irc-b", "ip_lease_uuid": "il-stays"})
	c.retain(k)
	k.pass(time.Minute)
	c.until("all destroyed", func() bool {
		return len(children[model.Object](c, "irc-a", "ip_retentions.ip_retention_container_uuid")) == 0
	})
	if ls := children[*model.IPLease](c, "nw-v", "ip_leases.network_uuid"); len(ls) != 1 || ls[0].UUID != "il-stays" {
		t.Errorf("%d leases stay", len(ls))
	}
}

// What was due while no manager ran is done when one starts.
func TestRetentionSurvivesARestart(t *testing.T) {
	t.Parallel()
	k := newClock()
	dir := t.TempDir()
	c, end := timed(t, dir, k)
	c.leased()
	c.retain(k)()
	end()
	k.pass(61 * time.Second)

	c, end = timed(t, dir, k)
	stop := c.retain(k)
	c.until("released", func() bool { return c.owner("il-a") == "" })
	stop()
	end()
	k.pass(29 * time.Second)

	c, _ = timed(t, dir, k)
	c.retain(k)
	if !c.has("il-a") {
		t.Error("destroyed early")
	}
	k.pass(time.Second)
	c.until("destroyed", func() bool { return !c.has("il-a") })
}

// What guests say by DHCP of leases that were made when they asked: who renews keeps them, what is given back is released.
func TestLeasesOfDHCP(t *testing.T) {
	t.Parallel()
	k := newClock()
	c, _ := timed(t, t.TempDir(), k)
	c.world()
	c.guestMACs()
	c.policy(model.AllocateDecremental, "10.1.0.1", "10.1.0.200")
	c.update(model.LeasePolicies, "lp-a", app.Params{"timing": "dhcp"})
	c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-a", "lease_time": "60", "grace_time": "3600"})
	c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-b", "lease_time": "60"})
	c.create(model.LeasePolicyIPRetentionContainers, app.Params{"lease_policy_uuid": "lp-a", "ip_retention_container_uuid": "irc-a"})
	c.guests("if-a", "if-b")
	for _, i := range []string{"if-a", "if-b"} {
		c.create(model.InterfacePorts, app.Params{"interface_uuid": i, "datapath_uuid": map[string]string{"if-a": "dp-a", "if-b": "dp-b"}[i]})
	}
	c.member("if-a", nil)
	ls, err := c.LeaseForDHCP(t.Context(), "if-a", 4)
	if err != nil || len(ls) != 1 {
		t.Fatal(ls, err)
	}
	own := ls[0].UUID
	c.create(model.IPLeases, app.Params{"uuid": "il-b", "network_uuid": "nw-v", "interface_uuid": "if-b", "ipv4_address": "10.1.0.9"})
	c.create(model.IPRetentions, app.Params{"uuid": "ipret-b", "ip_retention_container_uuid": "irc-b", "ip_lease_uuid": "il-b"})
	c.retain(k)
	say := func(datapath string, m wire.Leases) []string {
		t.Helper()
		released, err := c.LeasesOfDHCP(t.Context(), datapath, m)
		if err != nil {
			t.Fatal(err)
		}
		return released
	}
	k.pass(45 * time.Second)
	c.unchanged(func() {
		say("dp-b", wire.Leases{Renewed: []string{own}, Released: []string{own}})                  // which is not there
		say("dp-b", wire.Leases{Renewed: []string{"il-b", "il-none"}, Released: []string{"il-b"}}) // nor made by a policy
		say("dp-a", wire.Leases{})
	})
	if got := say("dp-a", wire.Leases{Renewed: []string{own}}); got != nil {
		t.Errorf("released %v", got)
	}
	k.pass(45 * time.Second)
	c.until("the lease of the other is over", func() bool { return c.owner("il-b") == "" })
	if c.owner(own) != "if-a" {
		t.Error("released although it was renewed")
	}
	if got := say("dp-a", wire.Leases{Released: []string{own}}); len(got) != 1 || got[0] != own || c.owner(own) != "" {
		t.Errorf("released %v, of %q", got, c.owner(own))
	}
	c.unchanged(func() {
		say("dp-a", wire.Leases{Released: []string{own}})
		say("dp-b", wire.Leases{Renewed: []string{own}})
	})
	if say("dp-a", wire.Leases{Renewed: []string{own}}); c.owner(own) != "if-a" { // it was given back and asked for at once
		t.Errorf("it is of %q", c.owner(own))
	}
	say("dp-a", wire.Leases{Released: []string{own}})
	c.create(model.IPLeases, app.Params{"network_uuid": "nw-v", "interface_uuid": "if-a", "ipv4_address": "10.1.0.7"})
	c.unchanged(func() { say("dp-a", wire.Leases{Renewed: []string{own}}) })
	k.pass(time.Hour)
	c.until("its address is free", func() bool { return !c.has(own) })
}

// An address that was given back, or whose time is over, is kept for the interface that had it until its grace time is over.
func TestFormerAddress(t *testing.T) {
	t.Parallel()
	const first, second, first6, second6 = "nw-v 10.1.0.1", "nw-v 10.1.0.2", "nw-v fd00::5", "nw-v fd00::6"
	type step func(c *cases, k *clock)
	asksFor := func(family int, iface string, want ...string) step {
		return func(c *cases, _ *clock) {
			c.t.Helper()
			_, err := c.LeaseForDHCP(c.t.Context(), iface, family)
			if want == nil {
				c.refused(err, model.Exhausted, "network_uuid", "in use")
			} else if err != nil {
				c.t.Error(iface, err)
			}
			c.hasAddresses(iface, want...)
		}
	}
	asks := func(iface string, want ...string) step { return asksFor(4, iface, want...) }
	gives := func(iface string, family int, by string) step {
		return func(c *cases, _ *clock) {
			for _, l := range children[*model.IPLease](c, iface, "ip_leases.interface_uuid") {
				if l.Addr().Is4() != (family == 4) {
					continue
				}
				if by == "hand" {
					if _, err := c.ReleaseIPLease(c.t.Context(), l.UUID, app.Write{}); err != nil {
						c.t.Fatal(err)
					}
				} else if got, err := c.LeasesOfDHCP(c.t.Context(), "dp-a", wire.Leases{Released: []string{l.UUID}}); err != nil || len(got) != 1 {
					c.t.Fatal(got, err)
				}
				if r := one[*model.IPRetention](c, l.UUID, "ip_retentions.ip_lease_uuid"); r.FormerInterfaceUUID != iface || r.ReleasedAt.IsZero() {
					c.t.Errorf("%+v", r)
				}
			}
		}
	}
	passes := func(d time.Duration, left ...string) step {
		return func(c *cases, k *clock) {
			k.pass(d)
			c.until("the time is over", func() bool {
				var got []string
				for _, iface := range []string{"if-a", "if-b"} {
					got = append(got, c.addresses(iface)...)
				}
				return slices.Equal(got, left)
			})
		}
	}
	free := func(n int) step {
		return func(c *cases, _ *clock) {
			c.until("leases end", func() bool { return len(children[*model.IPLease](c, "nw-v", "ip_leases.network_uuid")) == n })
		}
	}
	six := func(c *cases, _ *clock) {
		c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-a", "begin_ipv6_address": "fd00::5", "end_ipv6_address": "fd00::6"})
	}
	for name, steps := range map[string][]step{
		"given back and asked for, again and again": {
			asks("if-a", first), gives("if-a", 4, "dhcp"), asks("if-a", first), gives("if-a", 4, "dhcp"), asks("if-a", first), asks("if-b", second),
		},
		"nobody else gets it":             {asks("if-a", first), gives("if-a", 4, "dhcp"), asks("if-b", second), asks("if-a", first)},
		"not even when there is no other": {asks("if-b", first), asks("if-a", second), gives("if-a", 4, "dhcp"), asks("if-c"), asks("if-a", second)},
		"its time runs out":               {asks("if-a", first), passes(time.Minute), asks("if-b", second), asks("if-a", first), passes(59*time.Second, first, second)},
		"taken by hand":                   {asks("if-a", first), gives("if-a", 4, "hand"), asks("if-b", second), asks("if-a", first)},
		"its grace time is over":          {asks("if-a", first), gives("if-a", 4, "dhcp"), passes(30 * time.Second), free(0), asks("if-b", second), asks("if-a", first)},
		"its grace time begins anew":      {asks("if-a", first), gives("if-a", 4, "dhcp"), passes(20 * time.Second), asks("if-a", first), gives("if-a", 4, "dhcp"), passes(20 * time.Second), asks("if-a", first)},
		"both families":                   {six, asks("if-a", first, first6), gives("if-a", 4, "dhcp"), gives("if-a", 6, "dhcp"), asks("if-b", second, second6), asks("if-a", first, first6)},
		"one of both families":            {six, asks("if-a", first, first6), gives("if-a", 6, "dhcp"), asks("if-b", second, second6), asksFor(6, "if-a", first, first6)},
		"the other one of both families":  {six, asks("if-a", first, first6), gives("if-a", 4, "dhcp"), asks("if-a", first, first6)},
		"its range is the policy's no more": {
			asks("if-a", first), gives("if-a", 4, "dhcp"),
			func(c *cases, _ *clock) {
				c.delete(model.IPRanges, one[*model.IPRange](c, "iprg-a", "ip_ranges.ip_range_group_uuid").UUID)
				c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-a", "begin_ipv4_address": "10.1.0.2", "end_ipv4_address": "10.1.0.2"})
			}, asks("if-a", second),
		},
		"its interface goes": {
			asks("if-a", first), gives("if-a", 4, "dhcp"),
			func(c *cases, _ *clock) {
				c.delete(model.Interfaces, "if-a")
				if r := one[*model.IPRetention](c, "irc-a", "ip_retentions.ip_retention_container_uuid"); r.FormerInterfaceUUID != "" || r.ReleasedAt.IsZero() {
					c.t.Errorf("%+v", r)
				}
			}, asks("if-b", second), passes(30*time.Second, second), free(1),
		},
		"another interface got it by hand": {
			asks("if-a", first), gives("if-a", 4, "dhcp"),
			func(c *cases, _ *clock) {
				r := one[*model.IPRetention](c, "irc-a", "ip_retentions.ip_retention_container_uuid")
				if _, err := c.AttachIPLease(c.t.Context(), r.IPLeaseUUID, app.Params{"interface_uuid": "if-b"}, app.Write{}); err != nil {
					c.t.Fatal(err)
				}
				if r = get[*model.IPRetention](c, r.UUID); r.FormerInterfaceUUID != "" || !r.ReleasedAt.IsZero() {
					c.t.Errorf("%+v", r)
				}
			}, asks("if-a", second),
		},
		"a member again of a policy that leases at once": {
			asks("if-a", first), gives("if-a", 4, "hand"),
			func(c *cases, _ *clock) {
				c.delete(model.LeasePolicyBaseInterfaces, one[*model.LeasePolicyBaseInterface](c, "if-a", "lease_policy_base_interfaces.interface_uuid").UUID)
				c.update(model.LeasePolicies, "lp-a", app.Params{"timing": "immediate"})
				c.member("if-a", nil)
				c.hasAddresses("if-a", first)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newClock()
			c, _ := timed(t, t.TempDir(), k)
			c.world()
			c.guestMACs()
			c.policy(model.AllocateIncremental, "10.1.0.1", "10.1.0.2")
			c.update(model.LeasePolicies, "lp-a", app.Params{"timing": "dhcp"})
			c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-a", "lease_time": "60", "grace_time": "30"})
			c.create(model.LeasePolicyIPRetentionContainers, app.Params{"lease_policy_uuid": "lp-a", "ip_retention_container_uuid": "irc-a"})
			for _, iface := range []string{"if-a", "if-b", "if-c"} {
				c.guests(iface)
				c.create(model.InterfacePorts, app.Params{"interface_uuid": iface, "datapath_uuid": "dp-a"})
				c.member(iface, nil)
			}
			c.retain(k)
			for _, s := range steps {
				s(c, k)
			}
		})
	}
}

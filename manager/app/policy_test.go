package app_test

import (
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

func (c *cases) member(iface string, p app.Params) *app.Result {
	c.t.Helper()
	q := app.Params{"lease_policy_uuid": "lp-a", "interface_uuid": iface}
	for k, v := range p {
		q[k] = v
	}
	return c.create(model.LeasePolicyBaseInterfaces, q)
}

func (c *cases) addresses(iface string) (as []string) {
	for _, l := range children[*model.IPLease](c, iface, "ip_leases.interface_uuid") {
		as = append(as, l.NetworkUUID+" "+l.Addr().String())
	}
	return as
}

func (c *cases) hasAddresses(iface string, want ...string) {
	c.t.Helper()
	got := c.addresses(iface)
	if len(got) != len(want) {
		c.t.Errorf("%s has %v, want %v", iface, got, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			c.t.Errorf("%s has %v, want %v", iface, got, want)
		}
	}
}

func (c *cases) guests(uuids ...string) {
	c.t.Helper()
	for _, uuid := range uuids {
		c.create(model.Interfaces, app.Params{"uuid": uuid, "mode": "vif", "mac_range_group_uuid": "mrg-g"})
	}
}

func (c *cases) guestMACs() {
	c.t.Helper()
	c.create(model.MACRangeGroups, app.Params{"uuid": "mrg-g"})
	c.create(model.MACRanges, app.Params{"mac_range_group_uuid": "mrg-g", "begin_mac_address": "02:cc:00:00:00:00", "end_mac_address": "02:cc:00:00:ff:ff"})
}

func TestLeasePolicy(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.guestMACs()
	c.policy(model.AllocateIncremental, "10.1.0.1", "10.1.0.2")
	c.create(model.Networks, app.Params{"uuid": "nw-w", "ipv4_network": "10.2.0.0", "ipv6_network": "fd01::"})
	c.create(model.LeasePolicyBaseNetworks, app.Params{"lease_policy_uuid": "lp-a", "network_uuid": "nw-w", "ip_range_group_uuid": "iprg-a"})
	c.guests("if-a", "if-b", "if-c")
	c.create(model.Interfaces, app.Params{"uuid": "if-bare", "mode": "vif"})
	c.createRefused(model.LeasePolicyBaseInterfaces, app.Params{"lease_policy_uuid": "lp-a", "interface_uuid": "if-bare"}, model.ArgumentError, "interface_uuid", "mac lease")
	c.createRefused(model.LeasePolicyBaseInterfaces, app.Params{"lease_policy_uuid": "lp-x", "interface_uuid": "if-a"}, model.UnknownUUIDResource, "lease_policy_uuid", "lp-x")

	res := c.member("if-a", nil)
	if len(res.Notes) != 1 || len(res.Outcomes) != 1 {
		t.Errorf("%+v", res)
	}
	c.hasAddresses("if-a", "nw-v 10.1.0.1")
	if l := one[*model.IPLease](c, "if-a", "ip_leases.interface_uuid"); l.MACLeaseUUID == "" {
		t.Errorf("%+v", l)
	}
	c.member("if-b", nil)
	c.hasAddresses("if-b", "nw-v 10.1.0.2")
	c.createRefused(model.LeasePolicyBaseInterfaces, app.Params{"lease_policy_uuid": "lp-a", "interface_uuid": "if-c"}, model.Exhausted, "network_uuid", "iprg-a")

	// The next network when the first has none left, and a lease of each family.
	c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-a", "begin_ipv4_address": "10.2.0.200", "end_ipv4_address": "10.2.0.200"})
	c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-a", "begin_ipv6_address": "fd01::5", "end_ipv6_address": "fd01::6"})
	c.member("if-c", nil)
	c.hasAddresses("if-c", "nw-w 10.2.0.200", "nw-w fd01::5")

	// Leaving a policy leaves the leases.
	c.delete(model.LeasePolicyBaseInterfaces, res.Outcomes[0].Object.Base().UUID)
	c.hasAddresses("if-a", "nw-v 10.1.0.1")
}

func TestLeasePolicyContainers(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.guestMACs()
	c.policy(model.AllocateIncremental, "10.1.0.1", "10.1.0.200")
	for _, k := range []struct{ uuid, label string }{{"ilc-x", "x"}, {"ilc-y", "y"}, {"ilc-none", ""}} {
		c.create(model.IPLeaseContainers, app.Params{"uuid": k.uuid})
		c.create(model.LeasePolicyIPLeaseContainers, app.Params{"lease_policy_uuid": "lp-a", "ip_lease_container_uuid": k.uuid, "label": k.label})
	}
	c.create(model.IPRetentionContainers, app.Params{"uuid": "irc-a", "lease_time": "60"})
	c.create(model.LeasePolicyIPRetentionContainers, app.Params{"lease_policy_uuid": "lp-a", "ip_retention_container_uuid": "irc-a"})
	c.guests("if-a", "if-x")
	c.member("if-a", nil)
	c.member("if-x", app.Params{"label": "x"})
	free := c.allocate(app.Params{"ip_lease_uuid": "il-free", "label": "y"})
	if len(free) != 1 || free[0].UUID != "il-free" || free[0].InterfaceUUID != "" {
		t.Errorf("%+v", free)
	}
	for uuid, want := range map[string]int{"ilc-x": 2, "ilc-y": 2, "ilc-none": 1} {
		if n := len(children[model.Object](c, uuid, "ip_lease_container_ip_leases.ip_lease_container_uuid")); n != want {
			t.Errorf("%d leases in %s, want %d", n, uuid, want)
		}
	}
	for _, r := range children[*model.IPRetention](c, "irc-a", "ip_retentions.ip_retention_container_uuid") {
		if r.LeasedAt.IsZero() || !r.ReleasedAt.IsZero() {
			t.Errorf("%+v", r)
		}
	}
	for _, test := range []struct {
		policy      string
		p           app.Params
		class       model.Class
		field, text string
	}{
		{"lp-x", nil, model.UnknownUUIDResource, "uuid", "lp-x"},
		{"x", nil, model.InvalidUUID, "uuid", ""},
		{"lp-a", app.Params{"ip_lease_uuid": "il-free"}, model.DuplicateUUID, "uuid", "il-free"},
		{"lp-a", app.Params{"ip_lease_uuid": "if-a"}, model.InvalidUUID, "ip_lease_uuid", ""},
		{"lp-a", app.Params{"label": true}, model.ArgumentError, "label", ""},
		{"lp-a", app.Params{"colour": "red"}, model.ArgumentError, "colour", "ip_lease_uuid"},
	} {
		c.unchanged(func() {
			_, err := c.AllocateIPLease(t.Context(), test.policy, test.p, app.Write{})
			c.refused(err, test.class, test.field, test.text)
		})
	}
	c.create(model.LeasePolicies, app.Params{"uuid": "lp-empty"})
	_, err := c.AllocateIPLease(t.Context(), "lp-empty", nil, app.Write{})
	c.refused(err, model.Exhausted, "lease_policy_uuid", "no range")
}

func TestLeaseForDHCP(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.guestMACs()
	c.policy(model.AllocateDecremental, "10.1.0.1", "10.1.0.200")
	c.update(model.LeasePolicies, "lp-a", app.Params{"timing": "dhcp"})
	c.guests("if-a", "if-b")
	c.member("if-a", nil)
	c.hasAddresses("if-a")
	ls, err := c.LeaseForDHCP(t.Context(), "if-a", 4)
	if err != nil || len(ls) != 1 || ls[0].Addr().String() != "10.1.0.200" || ls[0].InterfaceUUID != "if-a" {
		t.Errorf("%+v %v", ls, err)
	}
	c.unchanged(func() { // asked again
		if ls, err := c.LeaseForDHCP(t.Context(), "if-a", 4); err != nil || len(ls) != 0 {
			t.Errorf("%+v %v", ls, err)
		}
		_, err := c.LeaseForDHCP(t.Context(), "if-a", 6)
		c.refused(err, model.UnknownResource, "interface_uuid", "if-a")
	})
	_, err = c.LeaseForDHCP(t.Context(), "if-b", 4)
	c.refused(err, model.UnknownResource, "interface_uuid", "if-b")
	_, err = c.LeaseForDHCP(t.Context(), "if-x", 4)
	c.refused(err, model.UnknownUUIDResource, "interface_uuid", "if-x")

	// Of the family that is lacking, also where the other one has no address left.
	c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-a", "begin_ipv6_address": "fd00::5", "end_ipv6_address": "fd00::6"})
	c.create(model.IPRangeGroups, app.Params{"uuid": "iprg-none"})
	c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-none", "begin_ipv4_address": "172.16.0.10", "end_ipv4_address": "172.16.0.10"}) // the host's
	c.create(model.LeasePolicies, app.Params{"uuid": "lp-none", "timing": "dhcp"})
	c.create(model.LeasePolicyBaseNetworks, app.Params{"lease_policy_uuid": "lp-none", "network_uuid": "nw-p", "ip_range_group_uuid": "iprg-none"})
	for _, iface := range []string{"if-a", "if-b"} {
		family := map[string]int{"if-a": 6, "if-b": 4}[iface]
		if iface == "if-b" {
			c.create(model.LeasePolicyBaseInterfaces, app.Params{"lease_policy_uuid": "lp-none", "interface_uuid": iface})
			_, err = c.LeaseForDHCP(t.Context(), iface, family)
			c.refused(err, model.Exhausted, "network_uuid", "iprg-none")
			c.member(iface, nil)
		}
		if ls, err := c.LeaseForDHCP(t.Context(), iface, family); err != nil || len(ls) != 1 {
			t.Errorf("%+v %v", ls, err)
		}
	}
	c.hasAddresses("if-a", "nw-v 10.1.0.200", "nw-v fd00::6")
	c.hasAddresses("if-b", "nw-v fd00::5")

	// Who asks for an IPv6 address gets that alone, who asks for an IPv4 address both.
	c.guests("if-c", "if-d")
	c.create(model.IPRanges, app.Params{"ip_range_group_uuid": "iprg-a", "begin_ipv6_address": "fd00::7", "end_ipv6_address": "fd00::8"})
	for _, test := range []struct {
		iface  string
		family int
		want   []string
	}{
		{"if-c", 6, []string{"nw-v fd00::8"}}, {"if-c", 4, []string{"nw-v fd00::8", "nw-v 10.1.0.199"}}, {"if-d", 4, []string{"nw-v 10.1.0.198", "nw-v fd00::7"}}, {"if-d", 6, []string{"nw-v 10.1.0.198", "nw-v fd00::7"}},
	} {
		if len(c.addresses(test.iface)) == 0 {
			c.member(test.iface, nil)
		}
		if _, err := c.LeaseForDHCP(t.Context(), test.iface, test.family); err != nil {
			t.Error(err)
		}
		c.hasAddresses(test.iface, test.want...)
	}
}

func TestAttachAndRelease(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.guestMACs()
	c.guests("if-a", "if-b")
	c.create(model.IPLeases, app.Params{"uuid": "il-a", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1"})
	attach := func(p app.Params) (*app.Result, error) { return c.AttachIPLease(t.Context(), "il-a", p, app.Write{}) }
	for _, test := range []struct {
		p           app.Params
		class       model.Class
		field, text string
	}{
		{nil, model.MissingArgument, "interface_uuid", "mac_lease_uuid"},
		{app.Params{"interface_uuid": ""}, model.MissingArgument, "interface_uuid", ""},
		{app.Params{"interface_uuid": "if-x"}, model.UnknownUUIDResource, "interface_uuid", "if-x"},
		{app.Params{"mac_lease_uuid": "ml-x"}, model.UnknownUUIDResource, "mac_lease_uuid", "ml-x"},
		{app.Params{"network_uuid": "nw-v"}, model.ArgumentError, "network_uuid", "attach"},
		{app.Params{"interface_uuid": "if-a", "mac_lease_uuid": one[*model.MACLease](c, "if-b", "mac_leases.interface_uuid").UUID}, model.ArgumentError, "mac_lease_uuid", "if-b"},
	} {
		c.unchanged(func() {
			_, err := attach(test.p)
			c.refused(err, test.class, test.field, test.text)
		})
	}
	res, err := attach(app.Params{"interface_uuid": "if-a"})
	if err != nil || res.Outcomes[0].Action != app.Updated || len(res.Outcomes[0].Changes) != 2 {
		t.Errorf("%+v %v", res, err)
	}
	c.hasAddresses("if-a", "nw-v 10.1.0.1")
	if _, err := attach(app.Params{"mac_lease_uuid": one[*model.MACLease](c, "if-b", "mac_leases.interface_uuid").UUID}); err != nil {
		t.Error(err)
	}
	c.hasAddresses("if-a")
	c.hasAddresses("if-b", "nw-v 10.1.0.1")
	for _, want := range []string{app.Updated, app.Unchanged} {
		if res, err := c.ReleaseIPLease(t.Context(), "il-a", app.Write{}); err != nil || res.Outcomes[0].Action != want {
			t.Errorf("%+v %v, want %s", res, err, want)
		}
	}
	_, err = c.ReleaseIPLease(t.Context(), "il-x", app.Write{})
	c.refused(err, model.UnknownUUIDResource, "uuid", "il-x")
	_, err = c.ReleaseIPLease(t.Context(), "il-a", app.Write{IfRevision: 1})
	c.refused(err, model.Conflict, "If-Match", "")
}

// A policy and its members are applied at once, and applied elsewhere with the leases that came of it they are the same.
func TestApplyLeasePolicy(t *testing.T) {
	t.Parallel()
	docs := []app.Document{
		doc(model.LeasePolicyBaseInterfaces, app.Params{"lease_policy_uuid": "lp-a", "interface_uuid": "if-a"}),
		doc(model.LeasePolicyBaseNetworks, app.Params{"lease_policy_uuid": "lp-a", "network_uuid": "nw-v", "ip_range_group_uuid": "iprg-a"}),
		doc(model.LeasePolicies, app.Params{"uuid": "lp-a"}),
		doc(model.IPRanges, app.Params{"uuid": "ipr-a", "ip_range_group_uuid": "iprg-a", "begin_ipv4_address": "10.1.0.1", "end_ipv4_address": "10.1.0.9"}),
		doc(model.IPRangeGroups, app.Params{"uuid": "iprg-a"}),
		doc(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "mac_range_group_uuid": "mrg-g"}),
	}
	c := newCases(t)
	c.world()
	c.guestMACs()
	c.apply(docs...)
	c.hasAddresses("if-a", "nw-v 10.1.0.1")
	c.unchanged(func() { c.apply(docs...) })

	c = newCases(t)
	c.world()
	c.guestMACs()
	c.apply(append(docs, doc(model.IPLeases, app.Params{"uuid": "il-a", "network_uuid": "nw-v", "interface_uuid": "if-a", "ipv4_address": "10.1.0.7"}))...)
	c.hasAddresses("if-a", "nw-v 10.1.0.7")
}

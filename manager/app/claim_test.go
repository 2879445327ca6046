package app_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// claim gives what is refused of a claim, "" if nothing is.
func (c *cases) claim(iface, mac, address string, gone ...netip.Addr) string {
	c.t.Helper()
	m, err := model.ParseMAC(mac)
	if err != nil {
		c.t.Fatal(err)
	}
	a := netip.MustParseAddr(address)
	refused, err := c.Claim(c.t.Context(), []wire.Claim{{InterfaceUUID: iface, MAC: m, Address: a, Gone: gone}})
	if err != nil {
		c.t.Fatal(err)
	}
	if refused[a] != nil {
		return refused[a].Error()
	}
	return ""
}

func TestClaim(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.create(model.Networks, app.Params{"uuid": "nw-s", "ipv4_network": "10.1.0.0", "ipv6_network": "fd00:1::", "ipv6_addressing": "slaac"})
	c.create(model.Networks, app.Params{"uuid": "nw-d", "ipv6_network": "fd00:2::"})
	vif := func(uuid, mac, network string, p app.Params) {
		q := app.Params{"uuid": uuid, "mode": "vif", "mac_address": mac, "network_uuid": network}
		for k, v := range p {
			q[k] = v
		}
		c.create(model.Interfaces, q)
	}
	// The first address comes with the interface, unless it has one.
	vif("if-a", "02:00:00:00:00:0a", "nw-s", app.Params{"ipv4_address": "10.1.0.10"})
	vif("if-b", "02:00:00:00:00:0b", "nw-s", app.Params{"ipv6_address": "fd00:1::b"})
	vif("if-c", "02:00:00:00:00:0c", "nw-s", nil)
	vif("if-d", "02:00:00:00:00:0d", "nw-d", app.Params{"ipv6_address": "fd00:2::d"})
	c.hasAddresses("if-a", "nw-s 10.1.0.10", "nw-s fd00:1::ff:fe00:a")
	c.hasAddresses("if-b", "nw-s fd00:1::b")
	c.hasAddresses("if-c", "nw-s fd00:1::ff:fe00:c")

	for _, tc := range []struct{ iface, mac, address, refused string }{
		{"if-a", "02:00:00:00:00:0a", "fd00:1::1:1", ""},
		{"if-a", "02:00:00:00:00:0a", "fd00:1::1:1", ""}, // it has it
		{"if-b", "02:00:00:00:00:0b", "fd00:1::1:1", "leased already"},
		{"if-b", "02:00:00:00:00:0b", "fd00:1::", "the subnet"},
		{"if-b", "02:00:00:00:00:0b", "fd00:2::1", "guests make addresses"},
		{"if-b", "02:00:00:00:00:0a", "fd00:1::1:2", "no guest with the MAC"},
		{"if-x", "02:00:00:00:00:0a", "fd00:1::1:2", "no guest with the MAC"},
		{"if-d", "02:00:00:00:00:0d", "fd00:2::1:1", "guests make addresses"},
	} {
		got := c.claim(tc.iface, tc.mac, tc.address)
		if (got == "") != (tc.refused == "") || !strings.Contains(got, tc.refused) {
			t.Errorf("%s claims %s: %q, want %q", tc.iface, tc.address, got, tc.refused)
		}
	}
	for field, claim := range map[string]wire.Claim{ // malformed ones
		"interface_uuid": {MAC: model.MAC{2, 0, 0, 0, 0, 0xa}, Address: netip.MustParseAddr("fd00:1::1:2")},
		"interface_uuid: if-a has no guest with the MAC address ": {InterfaceUUID: "if-a", Address: netip.MustParseAddr("fd00:1::1:2")},
		"ipv6_address": {InterfaceUUID: "if-a", MAC: model.MAC{2, 0, 0, 0, 0, 0xa}},
		"ipv6_address: if-a has no network in which guests make addresses that has 10.1.0.11": {InterfaceUUID: "if-a", MAC: model.MAC{2, 0, 0, 0, 0, 0xa}, Address: netip.MustParseAddr("10.1.0.11")},
	} {
		refused, err := c.Claim(t.Context(), []wire.Claim{claim})
		if err != nil || refused[claim.Address] == nil || !strings.HasPrefix(refused[claim.Address].Error(), field) {
			t.Errorf("%+v: %v, %v, want %s", claim, refused, err, field)
		}
	}
	for k := range model.MaxClaims - 2 {
		if got := c.claim("if-a", "02:00:00:00:00:0a", fmt.Sprintf("fd00:1::2:%x", k)); got != "" {
			t.Fatal(got)
		}
	}
	if got := c.claim("if-a", "02:00:00:00:00:0a", "fd00:1::3:1"); !strings.Contains(got, "16 addresses") {
		t.Error(got)
	}
	if got := c.claim("if-a", "02:00:00:00:00:0a", "fd00:1::3:1", netip.MustParseAddr("fd00:1::2:0"), netip.MustParseAddr("fd00:1::2:1"), netip.MustParseAddr("fd00:1::b")); got != "" {
		t.Error(got)
	}
	if n := len(c.addresses("if-a")); n != 16 { // one of IPv4
		t.Errorf("%d addresses", n)
	}
	c.hasAddresses("if-b", "nw-s fd00:1::b")

	// They go with what lets the guest have them, and come with it.
	c.update(model.Networks, "nw-s", app.Params{"ipv6_addressing": "stateful"})
	c.hasAddresses("if-a", "nw-s 10.1.0.10")
	c.hasAddresses("if-b", "nw-s fd00:1::b")
	c.update(model.Networks, "nw-s", app.Params{"ipv6_addressing": "stateless"})
	c.hasAddresses("if-a", "nw-s 10.1.0.10", "nw-s fd00:1::ff:fe00:a")
	if _, err := c.Update(t.Context(), model.Networks, "nw-s", app.Params{"ipv6_prefix": "60"}, app.Write{}); err == nil || !strings.Contains(err.Error(), "64 bits") {
		t.Errorf("a prefix of 60 bits: %v", err)
	}
	vif("if-e", "02:00:00:00:00:0e", "nw-d", app.Params{"ipv6_address": "fd00:2::e"})
	c.create(model.IPLeases, app.Params{"interface_uuid": "if-e", "network_uuid": "nw-s", "ipv4_address": "10.1.0.14"})
	c.hasAddresses("if-e", "nw-d fd00:2::e", "nw-s 10.1.0.14", "nw-s fd00:1::ff:fe00:e")
}

// A link-local address is leased in every network where the MAC address has an IPv6 address, if nobody else has it in any, and goes with these addresses.
func TestClaimLinkLocal(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	for uuid, p := range map[string]app.Params{
		"nw-a": {"ipv6_network": "fd00:a::"}, "nw-b": {"ipv6_network": "fd00:b::", "ipv6_addressing": "slaac"}, "nw-4": {"ipv4_network": "10.4.0.0"},
		"nw-p": {"ipv6_network": "fd00:c::", "mode": "physical"}, "nw-e": {"ipv6_network": "fd00:e::"}, "nw-f": {"ipv6_network": "fd00:f::"},
	} {
		p["uuid"] = uuid
		c.create(model.Networks, p)
	}
	c.create(model.Segments, app.Params{"uuid": "seg-a", "mode": "virtual"})
	c.create(model.Networks, app.Params{"uuid": "nw-s", "ipv6_network": "fd00:d::", "segment_uuid": "seg-a"})
	c.create(model.Interfaces, app.Params{"uuid": "if-patch", "mode": "patch"})
	c.create(model.InterfaceNetworks, app.Params{"interface_uuid": "if-patch", "network_uuid": "nw-e", "static": true})
	for n, network := range []string{"nw-a", "nw-a", "nw-4", "nw-p", "nw-e", "nw-s", "nw-b"} {
		p := app.Params{"uuid": fmt.Sprintf("if-%d", n), "mode": "vif", "mac_address": fmt.Sprintf("02:00:00:00:00:0%d", n), "network_uuid": network}
		if a := get[*model.Network](c, network).IPv6Network; a.IsValid() {
			p["ipv6_address"] = fmt.Sprintf("%s%d", a, n)
		} else {
			p["ipv4_address"] = "10.4.0.2"
		}
		c.create(model.Interfaces, p)
	}
	c.create(model.IPLeases, app.Params{"uuid": "il-0b", "interface_uuid": "if-0", "network_uuid": "nw-b", "ipv6_address": "fd00:b::f0"})

	for _, tc := range []struct {
		n                int
		address, refused string
	}{
		{0, "fe80::1", ""},
		{0, "fe80::1", ""}, // it has it
		{1, "fe80::1", "leased already"},
		{6, "fe80::1", "leased already"}, // it is leased in both
		{1, "fe80::2", ""},
		{0, "fe80::2", "leased already"}, // in one of its networks
		{6, "fe80::2", ""},
		{1, "fe80::", "the subnet"},
		{1, "fe80:1::1", "outside"},
		{1, "fe80::ff:fe00:6", "made from a MAC address"},
		{1, "fe80::1234:56ff:fe78:9abc", "made from a MAC address"}, // nobody's yet
		{2, "fe80::3", "no IPv6 address"},
		{3, "fe80::3", "no IPv6 address"},
		{4, "fe80::3", "devices outside"},
		{5, "fe80::3", "no IPv6 address"},
	} {
		got := c.claim(fmt.Sprintf("if-%d", tc.n), fmt.Sprintf("02:00:00:00:00:0%d", tc.n), tc.address)
		if (got == "") != (tc.refused == "") || !strings.Contains(got, tc.refused) {
			t.Errorf("if-%d claims %s: %q, want %q", tc.n, tc.address, got, tc.refused)
		}
	}
	c.hasAddresses("if-0", "nw-a fd00:a::", "nw-b fd00:b::f0", "nw-a fe80::1", "nw-b fe80::1")
	if _, err := c.Create(t.Context(), model.IPLeases, app.Params{"interface_uuid": "if-0", "network_uuid": "nw-a", "ipv6_address": "fe80::5"}, app.Write{}); err == nil || !strings.Contains(err.Error(), "guests choose") {
		t.Errorf("a lease by hand: %v", err)
	}

	// They are bounded, each counted once, and go when the guest has them no more.
	for k := range model.MaxClaims - 1 {
		if got := c.claim("if-0", "02:00:00:00:00:00", fmt.Sprintf("fe80::10:%x", k)); got != "" {
			t.Fatal(got)
		}
	}
	if got := c.claim("if-0", "02:00:00:00:00:00", "fe80::7"); !strings.Contains(got, "16 addresses") {
		t.Error(got)
	}
	var gone []netip.Addr
	for k := range model.MaxClaims - 1 {
		gone = append(gone, netip.MustParseAddr(fmt.Sprintf("fe80::10:%x", k)))
	}
	if got := c.claim("if-0", "02:00:00:00:00:00", "fe80::7", gone...); got != "" {
		t.Error(got)
	}
	c.hasAddresses("if-0", "nw-a fd00:a::", "nw-b fd00:b::f0", "nw-a fe80::1", "nw-b fe80::1", "nw-a fe80::7", "nw-b fe80::7")

	// They follow the other addresses: to another network, into one more, where the guest may not choose any more, and away.
	c.update(model.IPLeases, "il-0b", app.Params{"network_uuid": "nw-f", "ipv6_address": "fd00:f::f0"})
	c.hasAddresses("if-0", "nw-a fd00:a::", "nw-f fd00:f::f0", "nw-a fe80::1", "nw-a fe80::7", "nw-f fe80::1", "nw-f fe80::7")
	c.create(model.IPLeases, app.Params{"uuid": "il-6a", "interface_uuid": "if-6", "network_uuid": "nw-a", "ipv6_address": "fd00:a::66"})
	c.hasAddresses("if-6", "nw-b fd00:b::6", "nw-b fe80::2", "nw-a fd00:a::66") // if-1 has fe80::2 in nw-a
	c.update(model.Networks, "nw-b", app.Params{"ipv6_addressing": "stateful"})
	c.hasAddresses("if-6", "nw-b fd00:b::6", "nw-b fe80::2", "nw-a fd00:a::66")
	c.update(model.Networks, "nw-f", app.Params{"segment_uuid": "seg-a"})
	c.hasAddresses("if-0", "nw-a fd00:a::", "nw-f fd00:f::f0")
	c.update(model.IPLeases, "il-0b", app.Params{"ipv6_address": "fd00:f::f1"})
	c.delete(model.IPLeases, children[*model.IPLease](c, "if-1", "ip_leases.interface_uuid")[0].UUID)
	c.hasAddresses("if-1")
}

// Whatever becomes of networks, interfaces and leases: a link-local address is leased where its MAC address has another IPv6 address and may choose one, and nowhere else; and no claim fails in another way than by being refused.
func TestRandomLinkLocals(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.create(model.Segments, app.Params{"uuid": "seg-a", "mode": "virtual"})
	networks, macs := []string{"nw-a", "nw-b", "nw-c"}, []string{"02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"}
	for n, uuid := range networks {
		c.create(model.Networks, app.Params{"uuid": uuid, "ipv6_network": fmt.Sprintf("fd00:%d::", n), "ipv4_network": "10.1.0.0"})
	}
	leased, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, what) }
		iface := draw("interface", "if-a", "if-b")
		mac := draw("mac", macs...)
		ctx := t.Context()
		all := func() (leases []*model.IPLease) {
			for _, n := range networks {
				leases = append(leases, children[*model.IPLease](c, n, "ip_leases.network_uuid")...)
			}
			return leases
		}
		for range 60 {
			var err error
			n := draw("network", networks...)
			address := fmt.Sprintf("%s%d", get[*model.Network](c, n).IPv6Network, rapid.IntRange(1, 3).Draw(rt, "address"))
			switch rapid.IntRange(0, 11).Draw(rt, "what") {
			case 0:
				_, err = c.Create(ctx, model.Interfaces, app.Params{"uuid": iface, "mode": "vif", "mac_address": mac, "network_uuid": n, "ipv6_address": address}, app.Write{})
			case 1:
				_, err = c.Create(ctx, model.IPLeases, app.Params{"interface_uuid": iface, "network_uuid": n, draw("family", "ipv6_address", "ipv4_address"): address}, app.Write{})
			case 2:
				if ls := all(); len(ls) > 0 {
					l := rapid.SampledFrom(ls).Draw(rt, "lease")
					_, err = c.Update(ctx, model.IPLeases, l.UUID, app.Params{"network_uuid": n, "ipv6_address": address}, app.Write{})
				}
			case 3:
				if ls := all(); len(ls) > 0 {
					_, err = c.Delete(ctx, model.IPLeases, rapid.SampledFrom(ls).Draw(rt, "lease").UUID, app.Write{})
				}
			case 4:
				_, err = c.Update(ctx, model.Networks, n, app.Params{"ipv6_addressing": draw("addressing", "slaac", "stateful"), "segment_uuid": draw("segment", "", "", "seg-a")}, app.Write{})
			case 5:
				_, err = c.Update(ctx, model.Interfaces, iface, app.Params{"mode": draw("mode", "vif", "simulated")}, app.Write{})
			case 6:
				if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
					_, err = c.Delete(ctx, model.Interfaces, iface, app.Write{})
				}
			default:
				m, e := model.ParseMAC(mac)
				if e != nil {
					rt.Fatal(e)
				}
				claim := wire.Claim{InterfaceUUID: iface, MAC: m, Address: netip.MustParseAddr(draw("claim", "fe80::1", "fe80::2", "fe80::", "fe80:1::1", "fe80::ff:fe00:1", address))}
				no, err := c.Claim(ctx, []wire.Claim{claim})
				if err != nil {
					rt.Fatalf("%+v: %v", claim, err)
				}
				leased, refused = leased+1-len(no), refused+len(no)
			}
			if e := (*model.Error)(nil); err != nil && !errors.As(err, &e) {
				rt.Fatal(err)
			}
			for _, l := range all() {
				if !l.LinkLocal() {
					continue
				}
				ml, nw := get[*model.MACLease](c, l.MACLeaseUUID), get[*model.Network](c, l.NetworkUUID)
				beside := slices.ContainsFunc(children[*model.IPLease](c, ml.UUID, "ip_leases.mac_lease_uuid"), func(o *model.IPLease) bool {
					return o.NetworkUUID == l.NetworkUUID && o.Addr().Is6() && !o.LinkLocal()
				})
				if !beside || !nw.ChoosesLinkLocal() || ml.SegmentUUID != "" || get[*model.Interface](c, l.InterfaceUUID).Mode != model.InterfaceVIF || l.Origin != model.OriginSLAAC {
					rt.Fatalf("%+v is leased; of %+v, in %+v", l, ml, nw)
				}
			}
		}
	})
	t.Logf("%d claims leased, %d refused", leased, refused)
	if leased < 20 || refused < 20 {
		t.Errorf("%d claims leased, %d refused", leased, refused)
	}
}

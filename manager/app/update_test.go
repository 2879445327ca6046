package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

func changed(res *app.Result) string {
	var cs []string
	for _, out := range res.Outcomes {
		for _, f := range out.Changes {
			cs = append(cs, f.Field+" "+f.From+">"+f.To)
		}
	}
	return strings.Join(cs, ", ")
}

func TestUpdateIPLease(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.guestMACs()
	c.guests("if-a", "if-b")
	c.create(model.Interfaces, app.Params{"uuid": "if-bare", "mode": "vif"})
	c.create(model.IPLeases, app.Params{"uuid": "il-a", "network_uuid": "nw-v", "interface_uuid": "if-a", "ipv4_address": "10.1.0.1"})
	macOf := func(iface string) string { return one[*model.MACLease](c, iface, "mac_leases.interface_uuid").UUID }

	c.update(model.IPLeases, "il-a", app.Params{"interface_uuid": "if-b"})
	if l := get[*model.IPLease](c, "il-a"); l.MACLeaseUUID != macOf("if-b") {
		t.Errorf("%+v", l)
	}
	c.update(model.IPLeases, "il-a", app.Params{"mac_lease_uuid": macOf("if-a")})
	c.hasAddresses("if-a", "nw-v 10.1.0.1")
	c.updateRefused(model.IPLeases, "il-a", app.Params{"interface_uuid": "if-bare"}, model.ArgumentError, "interface_uuid", "mac lease")
	c.updateRefused(model.IPLeases, "il-a", app.Params{"interface_uuid": "if-b", "mac_lease_uuid": macOf("if-a")}, model.ArgumentError, "mac_lease_uuid", "if-a")
	c.updateRefused(model.IPLeases, "il-a", app.Params{"ipv4_address": "10.2.0.1"}, model.ArgumentError, "ipv4_address", "outside")
	c.update(model.IPLeases, "il-a", app.Params{"ipv6_address": "fd00::1"})
	c.hasAddresses("if-a", "nw-v fd00::1")
	c.update(model.IPLeases, "il-a", app.Params{"interface_uuid": nil})
	if l := get[*model.IPLease](c, "il-a"); l.InterfaceUUID != "" || l.MACLeaseUUID != "" {
		t.Errorf("%+v after null", l)
	}
}

func TestUpdateMACLease(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1", "mac_address": "02:00:00:00:00:0a"})
	ml := one[*model.MACLease](c, "if-a", "mac_leases.interface_uuid")
	c.update(model.MACLeases, ml.UUID, app.Params{"mac_address": "02:00:00:00:00:0b"})
	c.hasAddresses("if-a", "nw-v 10.1.0.1")
	c.create(model.MACLeases, app.Params{"mac_address": "02:00:00:00:00:0a"}) // free again
	c.updateRefused(model.MACLeases, ml.UUID, app.Params{"mac_address": "02:00:00:00:00:0a"}, model.Conflict, "mac_address", "taken")
	c.updateRefused(model.MACLeases, ml.UUID, app.Params{"mac_address": nil}, model.MissingArgument, "mac_address", "required")
}

func TestUpdateSubnet(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.IPLeases, app.Params{"uuid": "il-a", "network_uuid": "nw-v", "ipv4_address": "10.1.3.5"})
	c.create(model.IPLeases, app.Params{"uuid": "il-b", "network_uuid": "nw-v", "ipv6_address": "fd00::5"})
	for _, test := range []struct {
		p           app.Params
		field, text string
	}{
		{app.Params{"ipv4_prefix": "24"}, "ipv4_prefix", "il-a has the address 10.1.3.5"},
		{app.Params{"ipv4_network": "10.2.0.0"}, "ipv4_network", "il-a"},
		{app.Params{"ipv4_network": nil}, "ipv4_network", "no subnet"},
		{app.Params{"ipv4_network": "10.1.3.4", "ipv4_prefix": "31", "ipv6_network": "fd01::"}, "ipv6_network", "il-b"},
		{app.Params{"ipv4_network": "10.1.3.4", "ipv4_prefix": "30", "ipv6_prefix": "126"}, "ipv6_prefix", "il-b"},
	} {
		c.updateRefused(model.Networks, "nw-v", test.p, model.Conflict, test.field, test.text)
	}
	c.update(model.Networks, "nw-v", app.Params{"ipv4_network": "10.1.3.0", "ipv4_prefix": "29", "ipv6_prefix": "125"})
	c.update(model.Networks, "nw-v", app.Params{"ipv4_network": "10.1.0.0", "ipv4_prefix": "16"})
}

func TestUpdateInterfaceMode(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "simulated", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1"})
	c.create(model.NetworkServices, app.Params{"mode": "dhcp", "interface_uuid": "if-a"})
	_, err := c.Update(t.Context(), model.Interfaces, "if-a", app.Params{"mode": "vif"}, app.Write{})
	c.refused(err, model.ArgumentError, "interface_uuid", "simulated")
	c.create(model.Interfaces, app.Params{"uuid": "if-b", "mode": "simulated", "network_uuid": "nw-v", "ipv4_address": "10.1.0.2"})
	c.updateRefused(model.Interfaces, "if-b", app.Params{"mode": "host"}, model.MissingArgument, "owner_datapath_uuid", "host")
	c.updateRefused(model.Interfaces, "if-host", app.Params{"mode": "remote"}, model.ArgumentError, "mode", "remote")
	c.update(model.Interfaces, "if-b", app.Params{"mode": "vif"})
	if p := one[*model.InterfacePort](c, "if-b", "interface_ports.interface_uuid"); p.PortName != "if-b" {
		t.Errorf("%+v", p)
	}
	c.place("dp-a", wire.Ports{Unplaced: []string{"if-b"}})
	c.update(model.Interfaces, "if-b", app.Params{"mode": "simulated"})
	if where := c.where("if-b"); where != "" {
		t.Errorf("a simulated interface is on %s", where)
	}
	c.create(model.Interfaces, app.Params{"uuid": "if-nic", "mode": "host", "owner_datapath_uuid": "dp-b", "network_uuid": "nw-p", "ipv4_address": "172.16.0.11"})
	c.updateRefused(model.Interfaces, "if-nic", app.Params{"mode": "vif"}, model.Conflict, "mode", "mac lease")
	c.update(model.Interfaces, "if-b", app.Params{"mode": "host", "owner_datapath_uuid": "dp-a"})
}

func TestUpdateInterfaceOwner(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "port_name": "tap0"})
	c.place("dp-a", wire.Ports{Unplaced: []string{"tap0"}})
	res := c.update(model.Interfaces, "if-a", app.Params{"owner_datapath_uuid": "dp-b"})
	if got := changed(res); got != "owner_datapath_uuid >dp-b" {
		t.Errorf("changed %q", got)
	}
	if p := one[*model.InterfacePort](c, "if-a", "interface_ports.interface_uuid"); p.DatapathUUID != "dp-b" || p.PortName != "tap0" || c.where("if-a") != "" {
		t.Errorf("%+v, found on %q", p, c.where("if-a"))
	}
	c.update(model.Interfaces, "if-a", app.Params{"port_name": "tap1", "display_name": "a"})
	c.updateRefused(model.Interfaces, "if-a", app.Params{"owner_datapath_uuid": "dp-x"}, model.UnknownUUIDResource, "owner_datapath_uuid", "dp-x")
	c.updateRefused(model.Interfaces, "if-host", app.Params{"owner_datapath_uuid": nil}, model.MissingArgument, "owner_datapath_uuid", "host")
	c.unchanged(func() {
		c.update(model.Interfaces, "if-a", app.Params{"owner_datapath_uuid": "dp-b", "port_name": "tap1"})
	})
	c.update(model.Interfaces, "if-a", app.Params{"owner_datapath_uuid": nil})
	if p := one[*model.InterfacePort](c, "if-a", "interface_ports.interface_uuid"); p.DatapathUUID != "" || p.PortName != "tap1" {
		t.Errorf("%+v after null", p)
	}
	res = c.update(model.Interfaces, "if-a", app.Params{"network_uuid": "nw-v", "ipv4_address": "10.1.0.7", "mac_address": "02:00:00:00:00:07"})
	if got := changed(res); !strings.Contains(got, "ipv4_address >10.1.0.7") || !strings.Contains(got, "mac_address >02:00:00:00:00:07") {
		t.Errorf("changed %q", got)
	}
	c.hasAddresses("if-a", "nw-v 10.1.0.7")
}

func TestApplyMovesLeases(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Networks, app.Params{"uuid": "nw-w", "ipv4_network": "10.2.0.0"})
	iface := func(network, address string) app.Document {
		return doc(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": network, "ipv4_address": address, "mac_address": "02:00:00:00:00:0b"})
	}
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1", "mac_address": "02:00:00:00:00:0a"})
	c.create(model.MACLeases, app.Params{"uuid": "ml-second", "interface_uuid": "if-a", "mac_address": "02:00:00:00:00:0b"})
	c.unchanged(func() { c.apply(iface("nw-v", "10.1.0.1")) }) // the second address is the one that is meant
	res := c.apply(iface("nw-w", "10.2.0.1"))
	c.hasAddresses("if-a", "nw-w 10.2.0.1")
	if got := changed(res); !strings.Contains(got, "network_uuid nw-v>nw-w") {
		t.Errorf("changed %q", got)
	}

	// A lease with a document of its own stays where that says.
	own := doc(model.IPLeases, app.Params{"uuid": "il-own", "network_uuid": "nw-w", "interface_uuid": "if-a", "ipv4_address": "10.2.0.9"})
	c.apply(own)
	for range 2 {
		c.apply(iface("nw-v", "10.1.0.1"), own)
		got := c.addresses("if-a")
		slices.Sort(got)
		if !slices.Equal(got, []string{"nw-v 10.1.0.1", "nw-w 10.2.0.9"}) {
			t.Errorf("%v", got)
		}
	}
}

func TestApplySaysWhatChanges(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	docs := []app.Document{
		doc(model.Networks, app.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0", "display_name": "one"}),
		doc(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.1"}),
	}
	plan := func() *app.Result {
		t.Helper()
		res, err := c.Apply(t.Context(), docs, app.ApplyOptions{Write: app.Write{DryRun: true}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	c.unchanged(func() {
		if got := changed(plan()); !strings.Contains(got, "display_name >one") || !strings.Contains(got, "ipv4_address >10.0.0.1") {
			t.Errorf("changes %q", got)
		}
	})
	c.apply(docs...)
	docs[0].Params["display_name"], docs[1].Params["ipv4_address"] = "two", "10.0.0.2"
	if got := changed(plan()); got != "display_name one>two, ipv4_address 10.0.0.1>10.0.0.2" {
		t.Errorf("changes %q", got)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	apply := func(prune string, docs ...app.Document) (*app.Result, error) {
		return c.Apply(t.Context(), docs, app.ApplyOptions{Prune: prune})
	}
	a := doc(model.Networks, app.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0", "labels": "tier=web"})
	b := doc(model.Interfaces, app.Params{"uuid": "if-b", "mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.1"})
	if _, err := apply("app=shop", a, b); err != nil {
		t.Fatal(err)
	}
	if got := get[*model.Network](c, "nw-a").Labels; got != "app=shop,tier=web" {
		t.Errorf("labels %q", got)
	}
	c.unchanged(func() {
		if _, err := apply("app=shop", a, b); err != nil {
			t.Error(err)
		}
		_, err := apply("app=shop,Bad=x", a, b)
		c.refused(err, model.ArgumentError, "prune", "label")
	})
	c.create(model.Networks, app.Params{"uuid": "nw-other", "ipv4_network": "10.0.0.0", "labels": "app=bank"})
	c.unchanged(func() { // what is kept needs what would go
		_, err := apply("app=shop", doc(model.IPLeases, app.Params{"network_uuid": "nw-a", "interface_uuid": "if-b", "ipv4_address": "10.0.0.1"}), b)
		c.refused(err, model.Conflict, "", "nw-a")
	})
	res, err := apply("app=shop", a)
	if err != nil || len(res.Outcomes) != 2 || res.Outcomes[1].Action != app.Deleted || res.Outcomes[1].Object.Base().UUID != "if-b" || c.has("if-b") || !slices.Contains(res.Deleted, "if-b") {
		t.Errorf("%+v %v", res, err)
	}
	if res, err := apply("app=shop"); err != nil || c.has("nw-a") || !c.has("nw-other") || len(res.Outcomes) != 1 {
		t.Errorf("%+v %v", res, err)
	}
}

type connected map[string]bool

func (p connected) Connected(datapath string) bool { return p[datapath] }

// An interface comes to where its port is when the host that had it is gone.
func TestPlaceTakesOver(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	here := connected{"dp-a": true, "dp-b": true}
	c.SetPresence(here)
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "port_name": "tap0"})
	ports := wire.Ports{Unplaced: []string{"tap0"}}
	c.place("dp-a", ports)
	if conflicts := c.place("dp-b", ports); len(conflicts) != 1 || c.where("if-a") != "dp-a" {
		t.Errorf("%v, on %s", conflicts, c.where("if-a"))
	}
	here["dp-a"] = false
	if conflicts := c.place("dp-b", ports); len(conflicts) != 1 || c.where("if-a") != "dp-a" {
		t.Errorf("%v, on %s when the manager has just started", conflicts, c.where("if-a"))
	}
	c.Settle()
	if conflicts := c.place("dp-b", ports); len(conflicts) != 0 || c.where("if-a") != "dp-b" {
		t.Errorf("%v, on %s", conflicts, c.where("if-a"))
	}
	here["dp-a"] = true
	if conflicts := c.place("dp-a", wire.Ports{Placed: []string{"if-a"}, Unplaced: []string{"tap0"}}); len(conflicts) != 1 || c.where("if-a") != "dp-b" {
		t.Errorf("%v, on %s", conflicts, c.where("if-a"))
	}
}

// An operator's host interface gets its NIC's address from the agent, and follows it.
func TestRegisterGivesTheMAC(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-nic", "mode": "host", "owner_datapath_uuid": "dp-b", "port_name": "eth0", "network_uuid": "nw-p", "ipv4_address": "172.16.0.11"})
	h := hello("172.16.0.11/24")
	h.NodeID, h.DPID = "b", 0xb
	for _, last := range []byte{9, 8} {
		h.Uplink.MAC[5] = last
		c.register(h)
		if l := one[*model.MACLease](c, "if-nic", "mac_leases.interface_uuid"); l.MACAddress != h.Uplink.MAC {
			t.Errorf("%+v", l)
		}
		c.unchanged(func() { c.register(h) })
	}
	h.Uplink.MAC = one[*model.MACLease](c, "if-host", "mac_leases.interface_uuid").MACAddress
	c.unchanged(func() { c.register(h) }) // another's
}

package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

func TestBootstrapTwice(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	if !get[*model.Topology](c, model.DefaultTopology).Automatic {
		t.Error("the default topology is not automatic")
	}
	c.unchanged(func() {
		if err := c.Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCreateInterface(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1", "ipv6_address": "fd00::1", "mac_address": "02:00:00:00:00:01"})
	p := one[*model.InterfacePort](c, "if-a", "interface_ports.interface_uuid")
	if p.PortName != "if-a" || p.DatapathUUID != "" || p.Singular {
		t.Errorf("port %+v", p)
	}
	ml := one[*model.MACLease](c, "if-a", "mac_leases.interface_uuid")
	if ml.MACAddress.String() != "02:00:00:00:00:01" {
		t.Errorf("mac lease %+v", ml)
	}
	ls := children[*model.IPLease](c, "if-a", "ip_leases.interface_uuid")
	if len(ls) != 2 || ls[0].MACLeaseUUID != ml.UUID || ls[0].IPv4Address.String() != "10.1.0.1" || ls[1].IPv6Address.String() != "fd00::1" {
		t.Errorf("ip leases %+v", ls)
	}

	c.create(model.Interfaces, app.Params{"uuid": "if-b", "mode": "vif", "owner_datapath_uuid": "dp-a", "port_name": "tap", "network_uuid": "nw-v"})
	if p := one[*model.InterfacePort](c, "if-b", "interface_ports.interface_uuid"); p.PortName != "tap" || p.DatapathUUID != "dp-a" || !p.Singular {
		t.Errorf("port %+v", p)
	}
	if m := one[*model.MACLease](c, "if-b", "mac_leases.interface_uuid").MACAddress; m.IsMulticast() || m[0]&2 == 0 {
		t.Errorf("generated %s is not a local unicast address", m)
	}

	c.create(model.Interfaces, app.Params{"uuid": "if-c", "mode": "simulated"})
	if p := one[*model.InterfacePort](c, "if-c", "interface_ports.interface_uuid"); p.PortName != "" {
		t.Errorf("port %+v of a simulated interface", p)
	}
	if ls := children[*model.MACLease](c, "if-c", "mac_leases.interface_uuid"); len(ls) != 0 {
		t.Errorf("mac leases %+v that nobody asked for", ls)
	}
}

func TestCreateNetwork(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	n := get[*model.Network](c, "nw-v")
	if n.DomainName != "v" || n.VNI == 0 || n.IPv6Prefix != 64 {
		t.Errorf("%+v", n)
	}
	if n := get[*model.Network](c, "nw-p"); n.VNI != 0 {
		t.Errorf("a physical network has a vni: %+v", n)
	}
	made := c.create(model.Networks, app.Params{"ipv4_network": "10.0.0.0", "domain_name": "example"}).Outcomes[0].Object.(*model.Network)
	if made.DomainName != "example" || made.VNI == n.VNI || made.ID == 0 || made.Revision == 0 {
		t.Errorf("%+v", made)
	}
	c.update(model.Networks, "nw-v", app.Params{"domain_name": "other"})
	c.update(model.Networks, "nw-v", app.Params{"domain_name": nil})
	if n := get[*model.Network](c, "nw-v"); n.DomainName != "v" {
		t.Errorf("domain name %q after null", n.DomainName)
	}
}

func TestWiringByHand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		r    *model.Resource
		p    app.Params
	}{
		{"topology", model.Topologies, app.Params{"mode": "simple_overlay"}},
		{"datapath network", model.DatapathNetworks, app.Params{"datapath_uuid": "dp-a", "network_uuid": "nw-v", "interface_uuid": "if-host"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCases(t)
			c.world()
			before := c.revision()
			res := c.create(test.r, test.p)
			topo := get[*model.Topology](c, model.DefaultTopology)
			if topo.Automatic || topo.Revision != res.Revision || res.Revision <= before {
				t.Errorf("%+v after the wiring at %d", topo, res.Revision)
			}
			if len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "automatic") {
				t.Errorf("notes %q", res.Notes)
			}
			c.update(model.Topologies, model.DefaultTopology, app.Params{"automatic": "true"})
			if err := c.Bootstrap(t.Context()); err != nil || !get[*model.Topology](c, model.DefaultTopology).Automatic {
				t.Errorf("automatic is off again: %v", err)
			}
		})
	}
}

func TestDatapathNetwork(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	res := c.create(model.DatapathNetworks, app.Params{"datapath_uuid": "dp-a", "network_uuid": "nw-v", "interface_uuid": "if-host"})
	d := res.Outcomes[0].Object.(*model.DatapathNetwork)
	if l := one[*model.IPLease](c, "if-host", "ip_leases.interface_uuid"); d.IPLeaseUUID != l.UUID || d.MACAddress == (model.MAC{}) {
		t.Errorf("%+v; the lease is %s", d, l.UUID)
	}
	c.create(model.Interfaces, app.Params{"uuid": "if-v", "mode": "vif", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1"})
	other := one[*model.IPLease](c, "if-v", "ip_leases.interface_uuid").UUID
	_, err := c.Create(t.Context(), model.DatapathNetworks, app.Params{"datapath_uuid": "dp-a", "network_uuid": "nw-p", "interface_uuid": "if-host", "ip_lease_uuid": other}, app.Write{})
	c.refused(err, model.ArgumentError, "ip_lease_uuid", "if-host")
}

func TestIPLeaseInfersItsOther(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif"})
	_, err := c.Create(t.Context(), model.IPLeases, app.Params{"network_uuid": "nw-v", "interface_uuid": "if-a", "ipv4_address": "10.1.0.1"}, app.Write{})
	c.refused(err, model.ArgumentError, "interface_uuid", "mac lease")
	c.create(model.MACLeases, app.Params{"uuid": "ml-a", "interface_uuid": "if-a", "mac_address": "02:00:00:00:00:01"})
	c.create(model.IPLeases, app.Params{"uuid": "il-a", "network_uuid": "nw-v", "interface_uuid": "if-a", "ipv4_address": "10.1.0.1"})
	c.create(model.IPLeases, app.Params{"uuid": "il-b", "network_uuid": "nw-v", "mac_lease_uuid": "ml-a", "ipv4_address": "10.1.0.2"})
	c.create(model.IPLeases, app.Params{"uuid": "il-c", "network_uuid": "nw-v", "ipv4_address": "10.1.0.3"})
	for uuid, want := range map[string]string{"il-a": "if-a ml-a", "il-b": "if-a ml-a", "il-c": " "} {
		if l := get[*model.IPLease](c, uuid); l.InterfaceUUID+" "+l.MACLeaseUUID != want {
			t.Errorf("%s is of %q, want %q", uuid, l.InterfaceUUID+" "+l.MACLeaseUUID, want)
		}
	}
	c.create(model.Interfaces, app.Params{"uuid": "if-b", "mode": "vif"})
	c.update(model.MACLeases, "ml-a", app.Params{"interface_uuid": "if-b"})
	if l := get[*model.IPLease](c, "il-a"); l.InterfaceUUID != "if-b" {
		t.Errorf("il-a stayed on %s when its mac lease moved", l.InterfaceUUID)
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	for _, test := range []struct {
		name        string
		r           *model.Resource
		p           app.Params
		class       model.Class
		field, text string
	}{
		{"unknown with suggestion", model.Networks, app.Params{"ipv4_netwrk": "10.0.0.0"}, model.ArgumentError, "ipv4_netwrk", "did you mean ipv4_network?"},
		{"unknown without", model.Networks, app.Params{"colour": "red"}, model.ArgumentError, "colour", "is not a parameter of networks"},
		{"read only", model.Networks, app.Params{"ipv4_network": "10.0.0.0", "vni": "7"}, model.ArgumentError, "vni", "set by the manager"},
		{"uuid of another", model.Networks, app.Params{"uuid": "if-a", "ipv4_network": "10.0.0.0"}, model.InvalidUUID, "uuid", ""},
		{"uuid taken", model.Networks, app.Params{"uuid": "nw-v", "ipv4_network": "10.0.0.0"}, model.DuplicateUUID, "uuid", "nw-v"},
		{"no subnet", model.Networks, app.Params{}, model.MissingArgument, "ipv4_network", ""},
		{"missing", model.Datapaths, app.Params{"dpid": "1", "node_id": "n"}, model.MissingArgument, "display_name", ""},
		{"address without network", model.Interfaces, app.Params{"mode": "vif", "ipv4_address": "10.1.0.1"}, model.MissingArgument, "network_uuid", "ipv4_address"},
		{"outside the subnet", model.Interfaces, app.Params{"mode": "vif", "network_uuid": "nw-v", "ipv4_address": "10.2.0.1"}, model.ArgumentError, "ipv4_address", "outside"},
		{"address taken", model.Interfaces, app.Params{"mode": "vif", "network_uuid": "nw-p", "ipv4_address": "172.16.0.10"}, model.Conflict, "ipv4_address", "taken"},
		{"mac taken", model.Interfaces, app.Params{"mode": "vif", "mac_address": "02:01:00:00:00:01"}, model.Conflict, "mac_address", "taken"},
		{"input refers to nothing", model.Interfaces, app.Params{"mode": "vif", "network_uuid": "nw-x"}, model.UnknownUUIDResource, "network_uuid", "nw-x"},
		{"field refers to nothing", model.NetworkServices, app.Params{"mode": "dhcp", "interface_uuid": "if-x"}, model.UnknownUUIDResource, "interface_uuid", "if-x"},
		{"host without datapath", model.Interfaces, app.Params{"mode": "host"}, model.MissingArgument, "owner_datapath_uuid", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.unchanged(func() {
				_, err := c.Create(t.Context(), test.r, test.p, app.Write{})
				c.refused(err, test.class, test.field, test.text)
			})
		})
	}
}

func TestUpdateRules(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	rev := get[*model.Network](c, "nw-v").Revision
	for _, test := range []struct {
		name        string
		uuid        string
		p           app.Params
		w           app.Write
		class       model.Class
		field, text string
	}{
		{"immutable", "nw-v", app.Params{"mode": "physical"}, app.Write{}, model.ArgumentError, "mode", "display_name"},
		{"read only", "nw-v", app.Params{"id": "4"}, app.Write{}, model.ArgumentError, "id", "set by the manager"},
		{"unknown", "nw-v", app.Params{"domain": "x"}, app.Write{}, model.ArgumentError, "domain", ""},
		{"not there", "nw-x", app.Params{"domain_name": "x"}, app.Write{}, model.UnknownUUIDResource, "uuid", "nw-x"},
		{"no uuid", "x", app.Params{}, app.Write{}, model.InvalidUUID, "uuid", ""},
		{"old revision", "nw-v", app.Params{"domain_name": "x"}, app.Write{IfRevision: rev - 1}, model.Conflict, "If-Match", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.unchanged(func() {
				_, err := c.Update(t.Context(), model.Networks, test.uuid, test.p, test.w)
				c.refused(err, test.class, test.field, test.text)
			})
		})
	}
	res, err := c.Update(t.Context(), model.Networks, "nw-v", app.Params{"domain_name": "x"}, app.Write{IfRevision: rev})
	if err != nil || res.Outcomes[0].Action != app.Updated {
		t.Fatalf("%+v %v", res, err)
	}
	c.unchanged(func() {
		if res := c.update(model.Networks, "nw-v", app.Params{"domain_name": "x"}); res.Outcomes[0].Action != app.Unchanged {
			t.Errorf("the same again: %+v", res.Outcomes)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	_, err := c.Delete(t.Context(), model.Topologies, model.DefaultTopology, app.Write{})
	c.refused(err, model.Conflict, "uuid", "automatic")
	_, err = c.Delete(t.Context(), model.Networks, "nw-x", app.Write{})
	c.refused(err, model.UnknownUUIDResource, "uuid", "nw-x")
	_, err = c.Delete(t.Context(), model.Networks, "if-host", app.Write{})
	c.refused(err, model.InvalidUUID, "uuid", "")
	_, err = c.Delete(t.Context(), model.Networks, "nw-v", app.Write{IfRevision: 1})
	c.refused(err, model.Conflict, "If-Match", "")

	lease := one[*model.IPLease](c, "if-host", "ip_leases.interface_uuid").UUID
	if got := c.delete(model.Networks, "nw-p"); len(got) != 3 || got[0] != "nw-p" || !slices.Contains(got, lease) {
		t.Errorf("deleted %v", got)
	}
	if got := c.delete(model.Interfaces, "if-host"); len(got) != 3 || got[0] != "if-host" {
		t.Errorf("deleted %v; want the interface, its port and its mac lease", got)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	dry := app.Write{DryRun: true}
	c.unchanged(func() {
		res, err := c.Create(t.Context(), model.Topologies, app.Params{"uuid": "topo-a", "mode": "simple_overlay"}, dry)
		if err != nil || len(res.Notes) != 1 || res.Outcomes[0].Action != app.Created || res.Outcomes[0].Object.Base().ID != 0 {
			t.Errorf("%+v %v", res, err)
		}
		_, err = c.Create(t.Context(), model.Networks, app.Params{"uuid": "nw-v", "ipv4_network": "10.0.0.0"}, dry)
		c.refused(err, model.DuplicateUUID, "uuid", "")
		_, err = c.Update(t.Context(), model.Networks, "nw-v", app.Params{"domain_name": "x"}, dry)
		if err != nil {
			t.Error(err)
		}
		if res, err := c.Delete(t.Context(), model.Networks, "nw-p", dry); err != nil || len(res.Deleted) != 3 {
			t.Errorf("%+v %v", res, err)
		}
		if _, err := c.Apply(t.Context(), []app.Document{doc(model.Networks, app.Params{"uuid": "nw-d", "ipv4_network": "10.0.0.0"})}, app.ApplyOptions{Write: dry}); err != nil {
			t.Error(err)
		}
	})
	if n := get[*model.Network](c, "nw-v"); n.DomainName != "v" {
		t.Errorf("a dry run changed %+v", n)
	}
}

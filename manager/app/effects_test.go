package app_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/store"
)

// made creates an object and gives it.
func made[T model.Object](c *cases, r *model.Resource, p app.Params) T {
	c.t.Helper()
	return c.create(r, p).Outcomes[0].Object.(T)
}

func (c *cases) createRefused(r *model.Resource, p app.Params, class model.Class, field, text string) {
	c.t.Helper()
	c.unchanged(func() {
		_, err := c.Create(c.t.Context(), r, p, app.Write{})
		c.refused(err, class, field, text)
	})
}

func (c *cases) updateRefused(r *model.Resource, uuid string, p app.Params, class model.Class, field, text string) {
	c.t.Helper()
	c.unchanged(func() {
		_, err := c.Update(c.t.Context(), r, uuid, p, app.Write{})
		c.refused(err, class, field, text)
	})
}

func TestIdentifiersOnTheWire(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	seen := map[uint32]string{get[*model.Network](c, "nw-v").VNI: "nw-v"}
	for _, vni := range []uint32{
		made[*model.Segment](c, model.Segments, app.Params{"mode": "virtual"}).VNI,
		made[*model.RouteLink](c, model.RouteLinks, app.Params{}).VNI,
		made[*model.Network](c, model.Networks, app.Params{"ipv4_network": "10.9.0.0"}).VNI,
		made[*model.Segment](c, model.Segments, app.Params{"mode": "virtual"}).VNI,
	} {
		if vni == 0 || seen[vni] != "" {
			t.Errorf("vni %d is given twice, or none: %v", vni, seen)
		}
		seen[vni] = "another"
	}
	if vni := made[*model.Segment](c, model.Segments, app.Params{"mode": "physical"}).VNI; vni != 0 {
		t.Errorf("a physical segment has vni %d", vni)
	}
	if vni := made[*model.Network](c, model.Networks, app.Params{"ipv4_network": "10.8.0.0", "network_mode": "internal"}).VNI; vni != 0 {
		t.Errorf("an internal network has vni %d", vni)
	}
}

func TestRouteLinkMAC(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	rl := made[*model.RouteLink](c, model.RouteLinks, app.Params{"uuid": "rl-a"})
	if rl.MACAddress == (model.MAC{}) || rl.MACAddress.IsMulticast() {
		t.Errorf("%+v", rl)
	}
	c.update(model.RouteLinks, "rl-a", app.Params{"mac_address": nil})
	if got := get[*model.RouteLink](c, "rl-a").MACAddress; got != rl.MACAddress {
		t.Errorf("%s after null, was %s", got, rl.MACAddress)
	}
	c.update(model.RouteLinks, "rl-a", app.Params{"mac_address": "02:00:00:00:00:07"})
	c.createRefused(model.MACLeases, app.Params{"mac_address": "02:00:00:00:00:07"}, model.Conflict, "mac_address", "rl-a")
}

func TestTopologyAtCreation(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.create(model.Topologies, app.Params{"uuid": "topo-a", "mode": "simple_overlay"})
	for _, r := range []struct {
		of, rows *model.Resource
		p        app.Params
	}{
		{model.Networks, model.TopologyNetworks, app.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0"}},
		{model.Segments, model.TopologySegments, app.Params{"uuid": "seg-a", "mode": "virtual"}},
		{model.RouteLinks, model.TopologyRouteLinks, app.Params{"uuid": "rl-a"}},
	} {
		p := app.Params{"topology_uuid": "topo-x"}
		for k, v := range r.p {
			p[k] = v
		}
		c.createRefused(r.of, p, model.UnknownUUIDResource, "topology_uuid", "topo-x")
		p["topology_uuid"] = "topo-a"
		c.create(r.of, p)
		if n := len(children[model.Object](c, "topo-a", r.rows.Plural+".topology_uuid")); n != 1 {
			t.Errorf("%d %s", n, r.rows.Plural)
		}
		c.unchanged(func() { c.apply(doc(r.of, p)) })
	}
	c.create(model.Topologies, app.Params{"uuid": "topo-b", "mode": "simple_overlay"})
	c.update(model.Networks, "nw-a", app.Params{"topology_uuid": "topo-b"})
	if n := len(children[model.Object](c, "nw-a", "topology_networks.network_uuid")); n != 2 {
		t.Errorf("in %d topologies", n)
	}
}

func TestNetworkOnSegment(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.create(model.Segments, app.Params{"uuid": "seg-a", "mode": "virtual"})
	c.create(model.Segments, app.Params{"uuid": "seg-b", "mode": "virtual"})
	c.create(model.Networks, app.Params{"uuid": "nw-s", "ipv4_network": "10.0.0.0", "segment_uuid": "seg-a"})
	c.createRefused(model.Interfaces, app.Params{"mode": "vif", "network_uuid": "nw-s", "segment_uuid": "seg-b"}, model.InvalidID, "segment_uuid", "seg-a")
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-s", "ipv4_address": "10.0.0.1"})
	c.create(model.Interfaces, app.Params{"uuid": "if-b", "mode": "vif", "segment_uuid": "seg-a"})
	for _, uuid := range []string{"if-a", "if-b"} {
		if ml := one[*model.MACLease](c, uuid, "mac_leases.interface_uuid"); ml.SegmentUUID != "seg-a" {
			t.Errorf("%+v", ml)
		}
		if row := one[*model.InterfaceSegment](c, uuid, "interface_segments.interface_uuid"); row.SegmentUUID != "seg-a" || row.Static {
			t.Errorf("%+v", row)
		}
	}
	c.update(model.Networks, "nw-s", app.Params{"segment_uuid": "seg-b"})
	if row := one[*model.InterfaceSegment](c, "if-a", "interface_segments.interface_uuid"); row.SegmentUUID != "seg-b" {
		t.Errorf("%+v after the network has moved", row)
	}
	c.delete(model.Segments, "seg-b")
	if c.has("nw-s") {
		t.Error("the network stays without its segment")
	}
}

func TestAssociations(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Networks, app.Params{"uuid": "nw-w", "ipv4_network": "10.2.0.0"})
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-v", "ipv4_address": "10.1.0.1"})
	networks := func(want ...string) {
		t.Helper()
		var got []string
		for _, row := range children[*model.InterfaceNetwork](c, "if-a", "interface_networks.interface_uuid") {
			got = append(got, row.NetworkUUID)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("in %v, want %v", got, want)
		}
	}
	networks("nw-v")
	c.create(model.IPLeases, app.Params{"uuid": "il-b", "network_uuid": "nw-v", "interface_uuid": "if-a", "ipv4_address": "10.1.0.2"})
	first := children[*model.IPLease](c, "if-a", "ip_leases.interface_uuid")[0]
	c.delete(model.IPLeases, first.UUID)
	networks("nw-v")
	c.update(model.IPLeases, "il-b", app.Params{"network_uuid": "nw-w", "ipv4_address": "10.2.0.2"})
	networks("nw-w")
	row := one[*model.InterfaceNetwork](c, "if-a", "interface_networks.interface_uuid")
	c.update(model.InterfaceNetworks, row.UUID, app.Params{"static": true})
	if _, err := c.ReleaseIPLease(t.Context(), "il-b", app.Write{}); err != nil {
		t.Error(err)
	}
	networks("nw-w")
	c.update(model.InterfaceNetworks, row.UUID, app.Params{"static": "false"})
	networks()
	c.createRefused(model.InterfaceNetworks, app.Params{"interface_uuid": "if-a", "network_uuid": "nw-v"}, model.ArgumentError, "static", "nothing else")
	c.create(model.InterfaceNetworks, app.Params{"interface_uuid": "if-a", "network_uuid": "nw-v", "static": true})
	networks("nw-v")

	// A document may say the row, and another one what justifies it.
	row2 := doc(model.InterfaceNetworks, app.Params{"uuid": "ifn-w", "interface_uuid": "if-a", "network_uuid": "nw-w"})
	_, err := c.Apply(t.Context(), []app.Document{row2}, app.ApplyOptions{})
	c.refused(err, model.ArgumentError, "static", "nothing else")
	if !errors.As(err, new(*app.DocumentError)) {
		t.Errorf("%v names no document", err)
	}
	c.apply(row2, doc(model.IPLeases, app.Params{"network_uuid": "nw-w", "interface_uuid": "if-a", "ipv4_address": "10.2.0.7"}))
	networks("nw-v", "nw-w")

	c.create(model.RouteLinks, app.Params{"uuid": "rl-a"})
	c.create(model.Interfaces, app.Params{"uuid": "if-r", "mode": "simulated", "network_uuid": "nw-v", "ipv4_address": "10.1.0.9", "enable_routing": true})
	c.create(model.Routes, app.Params{"uuid": "r-a", "interface_uuid": "if-r", "network_uuid": "nw-v", "route_link_uuid": "rl-a", "ipv4_network": "10.1.0.0", "ipv4_prefix": "16"})
	if row := one[*model.InterfaceRouteLink](c, "if-r", "interface_route_links.interface_uuid"); row.RouteLinkUUID != "rl-a" {
		t.Errorf("%+v", row)
	}
	deleted := c.delete(model.Routes, "r-a")
	if n := len(children[model.Object](c, "if-r", "interface_route_links.interface_uuid")); n != 0 || len(deleted) != 2 {
		t.Errorf("%d rows stay; deleted %v", n, deleted)
	}
}

// Rows that an older version has not made are made when the manager starts.
func TestBootstrapAssociates(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Segments, app.Params{"uuid": "seg-a", "mode": "physical"})
	_, err := c.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Create(&model.MACLease{Meta: model.Meta{UUID: "ml-old"}, InterfaceUUID: "if-host", SegmentUUID: "seg-a", MACAddress: model.MAC{2, 9, 9, 9, 9, 9}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	one[*model.InterfaceSegment](c, "if-host", "interface_segments.interface_uuid")
	c.unchanged(func() { _ = c.Bootstrap(t.Context()) })
}

func TestInterfacesWithoutMAC(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-nic", "mode": "host", "owner_datapath_uuid": "dp-b", "port_name": "eth0", "network_uuid": "nw-p", "ipv4_address": "172.16.0.11"})
	if ls := children[*model.MACLease](c, "if-nic", "mac_leases.interface_uuid"); len(ls) != 0 {
		t.Errorf("a host's interface was given %s", ls[0].MACAddress)
	}
	if l := one[*model.IPLease](c, "if-nic", "ip_leases.interface_uuid"); l.MACLeaseUUID != "" || l.InterfaceUUID != "if-nic" {
		t.Errorf("%+v", l)
	}
	c.create(model.Segments, app.Params{"uuid": "seg-a", "mode": "physical"})
	c.create(model.Interfaces, app.Params{"uuid": "if-p", "mode": "promiscuous", "owner_datapath_uuid": "dp-a", "port_name": "eth1", "segment_uuid": "seg-a"})
	if row := one[*model.InterfaceSegment](c, "if-p", "interface_segments.interface_uuid"); !row.Static || row.SegmentUUID != "seg-a" {
		t.Errorf("%+v", row)
	}
	c.create(model.Interfaces, app.Params{"uuid": "if-q", "mode": "promiscuous", "owner_datapath_uuid": "dp-a", "port_name": "eth2", "network_uuid": "nw-v"})
	if row := one[*model.InterfaceNetwork](c, "if-q", "interface_networks.interface_uuid"); !row.Static {
		t.Errorf("%+v", row)
	}
}

func TestDatapathRows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rows, of *model.Resource
		ref      string
		p        app.Params
	}{
		{model.DatapathNetworks, model.Networks, "network_uuid", app.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0"}},
		{model.DatapathSegments, model.Segments, "segment_uuid", app.Params{"uuid": "seg-a", "mode": "virtual"}},
		{model.DatapathRouteLinks, model.RouteLinks, "route_link_uuid", app.Params{"uuid": "rl-a"}},
	} {
		t.Run(test.rows.Name, func(t *testing.T) {
			c := newCases(t)
			c.world()
			c.create(test.of, test.p)
			c.createRefused(test.rows, app.Params{"datapath_uuid": "dp-b", test.ref: test.p["uuid"], "interface_uuid": "if-host"}, model.ArgumentError, "interface_uuid", "dp-b")
			res := c.create(test.rows, app.Params{"datapath_uuid": "dp-a", test.ref: test.p["uuid"], "interface_uuid": "if-host"})
			row := res.Outcomes[0].Object
			field := func(name string) string { return test.rows.Field(name).Text(row) }
			if len(res.Notes) != 1 || field("mac_address") == "" || field("ip_lease_uuid") != one[*model.IPLease](c, "if-host", "ip_leases.interface_uuid").UUID {
				t.Errorf("%+v %q", row, res.Notes)
			}
			c.createRefused(test.rows, app.Params{"datapath_uuid": "dp-a", test.ref: test.p["uuid"], "interface_uuid": "if-host"}, model.RelationAlreadyExists, test.ref, "taken")
			c.create(model.Interfaces, app.Params{"uuid": "if-other", "mode": "host", "owner_datapath_uuid": "dp-a", "port_name": "eth1", "network_uuid": "nw-p", "ipv4_address": "172.16.0.20"})
			row = c.update(test.rows, row.Base().UUID, app.Params{"interface_uuid": "if-other", "mac_address": nil}).Outcomes[0].Object
			if field("mac_address") == "" || field("ip_lease_uuid") != one[*model.IPLease](c, "if-other", "ip_leases.interface_uuid").UUID {
				t.Errorf("%+v after a change of the interface", row)
			}
		})
	}
}

// An overlay's network is wired to the datapaths of its underlay, and no longer when either goes.
func TestTopologiesWire(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.MACRangeGroups, app.Params{"uuid": "mrg-a"})
	c.create(model.MACRanges, app.Params{"mac_range_group_uuid": "mrg-a", "begin_mac_address": "02:bb:00:00:00:00", "end_mac_address": "02:bb:00:00:00:ff"})
	c.create(model.Topologies, app.Params{"uuid": "topo-u", "mode": "simple_underlay"})
	c.create(model.Topologies, app.Params{"uuid": "topo-o", "mode": "simple_overlay"})
	c.create(model.TopologyMACRangeGroups, app.Params{"topology_uuid": "topo-u", "mac_range_group_uuid": "mrg-a"})
	member := made[*model.TopologyDatapath](c, model.TopologyDatapaths, app.Params{"topology_uuid": "topo-u", "datapath_uuid": "dp-a", "interface_uuid": "if-host"})
	lease := one[*model.IPLease](c, "if-host", "ip_leases.interface_uuid").UUID
	if member.IPLeaseUUID != lease {
		t.Errorf("%+v; the lease is %s", member, lease)
	}
	c.create(model.TopologyLayers, app.Params{"overlay_uuid": "topo-o", "underlay_uuid": "topo-u"})
	c.create(model.Networks, app.Params{"uuid": "nw-o", "ipv4_network": "10.7.0.0", "topology_uuid": "topo-o"})
	row := one[*model.DatapathNetwork](c, "nw-o", "datapath_networks.network_uuid")
	if row.DatapathUUID != "dp-a" || row.IPLeaseUUID != lease || row.MACAddress[1] != 0xbb || row.TopologyUUID == "" {
		t.Errorf("%+v", row)
	}
	c.updateRefused(model.DatapathNetworks, row.UUID, app.Params{"mac_address": "02:00:00:00:00:01"}, model.Conflict, "topology_uuid", row.TopologyUUID)
	deleted := c.delete(model.TopologyDatapaths, member.UUID)
	if c.has(row.UUID) || !slices.Contains(deleted, row.UUID) {
		t.Errorf("the row stays; deleted %v", deleted)
	}
}

func TestTenantsAreInherited(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.create(model.Tenants, app.Params{"uuid": "tn-a"})
	c.create(model.Tenants, app.Params{"uuid": "tn-b"})
	c.create(model.Networks, app.Params{"uuid": "nw-a", "ipv4_network": "10.0.0.0", "tenant_uuid": "tn-a"})
	c.create(model.Networks, app.Params{"uuid": "nw-all", "ipv4_network": "10.1.0.0"})
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.1"})
	c.create(model.Interfaces, app.Params{"uuid": "if-b", "mode": "vif", "network_uuid": "nw-all", "ipv4_address": "10.1.0.1", "tenant_uuid": "tn-b"})
	for uuid, want := range map[string]string{"if-a": "tn-a", "if-b": "tn-b"} {
		if got := get[*model.Interface](c, uuid).TenantUUID; got != want {
			t.Errorf("%s is of %q, want %q", uuid, got, want)
		}
		for _, ref := range []string{"interface_ports.interface_uuid", "mac_leases.interface_uuid", "ip_leases.interface_uuid", "interface_networks.interface_uuid"} {
			if got := one[model.Object](c, uuid, ref).Base().TenantUUID; got != want {
				t.Errorf("%s of %s is of %q, want %q", ref, uuid, got, want)
			}
		}
	}
	c.createRefused(model.Interfaces, app.Params{"mode": "vif", "network_uuid": "nw-a", "ipv4_address": "10.0.0.2", "tenant_uuid": "tn-b"}, model.UnknownUUIDResource, "network_uuid", "nw-a")
	c.create(model.MACRangeGroups, app.Params{"uuid": "mrg-b", "tenant_uuid": "tn-b"})
	c.createRefused(model.Interfaces, app.Params{"mode": "vif", "mac_range_group_uuid": "mrg-b", "tenant_uuid": "tn-a"}, model.UnknownUUIDResource, "mac_range_group_uuid", "mrg-b")
	if f := made[*model.Filter](c, model.Filters, app.Params{"mode": "static", "interface_uuid": "if-a"}); f.TenantUUID != "tn-a" {
		t.Errorf("%+v", f)
	}
}

func TestDeleteMatching(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif"})
	c.create(model.InterfacePorts, app.Params{"interface_uuid": "if-a", "datapath_uuid": "dp-a", "port_name": "tap0"})
	c.create(model.InterfacePorts, app.Params{"interface_uuid": "if-a", "datapath_uuid": "dp-b", "port_name": "tap0"})
	del := func(match map[string]string) (*app.Result, error) {
		return c.DeleteMatching(t.Context(), model.InterfacePorts, match, app.Write{})
	}
	_, err := del(map[string]string{"interface_uuid": "if-a", "port_name": "tap1"})
	c.refused(err, model.UnknownResource, "", "no interface port")
	_, err = del(map[string]string{"colour": "red"})
	c.refused(err, model.ArgumentError, "colour", "")
	_, err = del(map[string]string{"singular": "perhaps"})
	c.refused(err, model.ArgumentError, "singular", "")
	if res, err := del(map[string]string{"interface_uuid": "if-a", "port_name": "tap0"}); err != nil || len(res.Outcomes) != 2 || len(res.Deleted) != 2 || res.Outcomes[0].Action != app.Deleted {
		t.Errorf("%+v %v", res, err)
	}
	if p := one[*model.InterfacePort](c, "if-a", "interface_ports.interface_uuid"); p.PortName != "if-a" {
		t.Errorf("%+v", p)
	}
	if res, err := del(map[string]string{"interface_uuid": "if-a", "datapath_uuid": ""}); err != nil || len(res.Deleted) != 1 {
		t.Errorf("%+v %v", res, err)
	}
}

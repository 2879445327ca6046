package topology_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/store"
	"github.com/openvnet/openvnet/store/storetest"
)

// manager is the use cases on a store of the test's own.
type manager struct {
	*app.App
	t     *testing.T
	store *store.Store
}

// newManager gives one with the hosts a and b in an underlay with a MAC range group, an overlay over it, and a network in that.
func newManager(t *testing.T) *manager {
	s := storetest.Open(t, "")
	m := &manager{app.New(s, slog.New(slog.DiscardHandler)), t, s}
	if err := m.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	docs := []app.Document{
		{Resource: model.Networks, Params: app.Params{"uuid": "nw-p", "ipv4_network": "172.16.0.0", "mode": "physical"}},
		{Resource: model.Networks, Params: app.Params{"uuid": "nw-v", "ipv4_network": "10.1.0.0"}},
		{Resource: model.MACRangeGroups, Params: app.Params{"uuid": "mrg-u"}},
		{Resource: model.MACRanges, Params: app.Params{"uuid": "mr-u", "mac_range_group_uuid": "mrg-u", "begin_mac_address": "06:00:00:00:00:00", "end_mac_address": "06:00:00:00:00:0f"}},
		{Resource: model.Topologies, Params: app.Params{"uuid": "topo-u", "mode": "simple_underlay"}},
		{Resource: model.Topologies, Params: app.Params{"uuid": "topo-v", "mode": "simple_overlay"}},
		{Resource: model.TopologyLayers, Params: app.Params{"uuid": "tpl-v", "overlay_uuid": "topo-v", "underlay_uuid": "topo-u"}},
		{Resource: model.TopologyMACRangeGroups, Params: app.Params{"uuid": "tpmrg-u", "topology_uuid": "topo-u", "mac_range_group_uuid": "mrg-u"}},
		{Resource: model.TopologyNetworks, Params: app.Params{"uuid": "tpn-v", "topology_uuid": "topo-v", "network_uuid": "nw-v"}},
	}
	for i, host := range []string{"a", "b"} {
		docs = append(docs,
			app.Document{Resource: model.Datapaths, Params: app.Params{"uuid": "dp-" + host, "display_name": host, "dpid": fmt.Sprintf("0x%d", i+1), "node_id": host}},
			app.Document{Resource: model.Interfaces, Params: app.Params{"uuid": "if-h" + host, "mode": "host", "owner_datapath_uuid": "dp-" + host, "port_name": "eth0",
				"network_uuid": "nw-p", "ipv4_address": fmt.Sprintf("172.16.0.%d", i+1)}},
			app.Document{Resource: model.TopologyDatapaths, Params: app.Params{"uuid": "tpd-" + host, "topology_uuid": "topo-u", "datapath_uuid": "dp-" + host, "interface_uuid": "if-h" + host}},
		)
	}
	m.apply(docs...)
	return m
}

func (m *manager) apply(docs ...app.Document) {
	m.t.Helper()
	if _, err := m.Apply(m.t.Context(), docs, app.ApplyOptions{}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *manager) delete(uuid string) {
	m.t.Helper()
	if _, err := m.Delete(m.t.Context(), model.ByUUID(uuid), uuid, app.Write{}); err != nil {
		m.t.Fatal(err)
	}
}

// row gives the row of nw-v on a host, nil if there is none.
func (m *manager) row(host string) (row *model.DatapathNetwork) {
	m.store.View(func(x *span.Index, _ int64) {
		uuid, _ := x.Graph().ByUnique(model.DatapathNetworks, "pair", "dp-"+host, "nw-v")
		row, _ = graph.Lookup[*model.DatapathNetwork](x.Graph(), uuid)
	})
	return row
}

// TestInTheStore: what the plan says is what the store then has, with its deletions that cascade and its unique pairs.
func TestInTheStore(t *testing.T) {
	m := newManager(t)
	a, b := m.row("a"), m.row("b")
	if a == nil || b == nil || a.TopologyUUID != "topo-v" || a.TopologyLayerUUID != "tpl-v" || a.InterfaceUUID != "if-ha" || a.IPLeaseUUID == "" || a.TopologyMACRangeGroupUUID != "tpmrg-u" || a.MACAddress == b.MACAddress {
		t.Fatalf("the rows are %+v and %+v", a, b)
	}
	same := func(what string) {
		t.Helper()
		if now := m.row("a"); now == nil || now.UUID != a.UUID || now.MACAddress != a.MACAddress {
			t.Errorf("%s: the row was %+v and is %+v", what, a, now)
		}
	}
	m.delete(a.UUID)
	same("it was deleted, and the topology still asks for it")
	m.apply(
		app.Document{Resource: model.Topologies, Params: app.Params{"uuid": "topo-w", "mode": "simple_overlay"}},
		app.Document{Resource: model.TopologyLayers, Params: app.Params{"uuid": "tpl-w", "overlay_uuid": "topo-w", "underlay_uuid": "topo-u"}},
		app.Document{Resource: model.TopologyNetworks, Params: app.Params{"uuid": "tpn-w", "topology_uuid": "topo-w", "network_uuid": "nw-v"}},
	)
	m.delete("topo-v")
	same("another layer asks for it")
	if now := m.row("a"); now.TopologyUUID != "topo-w" || now.TopologyLayerUUID != "tpl-w" {
		t.Errorf("it belongs to %s %s", now.TopologyUUID, now.TopologyLayerUUID)
	}
	if _, err := m.Create(t.Context(), model.DatapathNetworks, app.Params{"uuid": "dpn-hand", "datapath_uuid": "dp-a", "network_uuid": "nw-v", "interface_uuid": "if-ha"}, app.Write{}); err != nil {
		t.Fatal(err)
	}
	if now := m.row("a"); now == nil || now.UUID != "dpn-hand" {
		t.Errorf("a row made by hand goes first; there is %+v", now)
	}
	m.delete("dpn-hand")
	if now := m.row("a"); now == nil || now.TopologyUUID != "topo-w" {
		t.Errorf("without it there is %+v", now)
	}
	m.delete("tpn-w")
	if m.row("a") != nil || m.row("b") != nil {
		t.Error("nothing asks for the rows, which are there")
	}
}

// TestGuestsInTheStore: an overlay that goes by activity follows the guests.
func TestGuestsInTheStore(t *testing.T) {
	m := newManager(t)
	m.apply(app.Document{Resource: model.Topologies, Params: app.Params{"uuid": "topo-v", "mode": "simple_overlay", "activity": "true"}})
	at := func(a, b bool) {
		t.Helper()
		if (m.row("a") != nil) != a || (m.row("b") != nil) != b {
			t.Errorf("the rows are %+v and %+v", m.row("a"), m.row("b"))
		}
	}
	guest := func(host string) {
		m.apply(app.Document{Resource: model.Interfaces, Params: app.Params{"uuid": "if-g", "mode": "vif", "network_uuid": "nw-v", "ipv4_address": "10.1.0.10", "owner_datapath_uuid": host}})
	}
	at(false, false)
	guest("dp-a")
	at(true, false)
	guest("dp-b")
	at(false, true)
	m.delete("if-g")
	at(false, false)
}

package app_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

// way gives where an interface was found, where it moves to and where it came from.
func (c *cases) way(iface string) string {
	for _, r := range children[*model.ActiveInterface](c, iface, "active_interfaces.interface_uuid") {
		return strings.TrimSpace(strings.Join([]string{r.DatapathUUID, r.TargetDatapathUUID, r.PreviousDatapathUUID}, " "))
	}
	return ""
}

func (c *cases) move(iface, to string) *app.Result {
	c.t.Helper()
	res, err := c.MoveInterface(c.t.Context(), iface, app.Params{"datapath_uuid": to}, app.Write{})
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

func (c *cases) arrive(datapath string, ifaces ...string) []string {
	c.t.Helper()
	var as []wire.Arrival
	for _, i := range ifaces {
		as = append(as, wire.Arrival{UUID: i, Port: "tap0"})
	}
	here, err := c.Arrive(c.t.Context(), datapath, as)
	if err != nil {
		c.t.Fatal(err)
	}
	return here
}

func moving(t *testing.T) *cases {
	c := newCases(t)
	c.world()
	c.create(model.Datapaths, app.Params{"uuid": "dp-c", "display_name": "c", "dpid": "0xc", "node_id": "c"})
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "port_name": "tap0"})
	c.place("dp-a", wire.Ports{Unplaced: []string{"tap0"}})
	return c
}

func TestMove(t *testing.T) {
	t.Parallel()
	c := moving(t)
	if res := c.move("if-a", "dp-b"); res.Outcomes[0].Action != app.Updated || cmp.Diff([]app.FieldChange{{Field: "target_datapath_uuid", To: "dp-b"}}, res.Outcomes[0].Changes) != "" {
		t.Errorf("%+v", res.Outcomes)
	}
	if got := c.way("if-a"); got != "dp-a dp-b" {
		t.Errorf("announced: %s", got)
	}
	c.unchanged(func() {
		if res := c.move("if-a", "dp-b"); res.Outcomes[0].Action != app.Unchanged {
			t.Errorf("again: %+v", res.Outcomes)
		}
		c.place("dp-a", wire.Ports{Placed: []string{"if-a"}})
		c.place("dp-b", wire.Ports{Placed: []string{"if-a"}}) // ready
		if conflicts := c.place("dp-b", wire.Ports{Unplaced: []string{"tap0"}}); conflicts != nil {
			t.Errorf("the port appears before the agent has heard of the move: %v", conflicts)
		}
		c.place("dp-a", wire.Ports{}) // the port is gone first: dp-a sends on what comes
		if here := c.arrive("dp-c", "if-a", "if-x", ""); here != nil {
			t.Errorf("arrived on the wrong host: %v", here)
		}
		if got := c.place("dp-c", wire.Ports{Unplaced: []string{"tap0"}}); len(got) != 1 || !strings.Contains(got[0].Reason, "about to move from dp-a to dp-b") {
			t.Errorf("a port elsewhere: %v", got)
		}
	})
	if here := c.arrive("dp-b", "if-a", "if-a", "if-host"); cmp.Diff([]string{"if-a"}, here) != "" || c.way("if-a") != "dp-b  dp-a" {
		t.Errorf("arrived %v: %s", here, c.way("if-a"))
	}
	c.unchanged(func() {
		c.arrive("dp-b", "if-a")
		if conflicts := c.place("dp-a", wire.Ports{Unplaced: []string{"tap0"}}); conflicts != nil {
			t.Errorf("the port is on the former host for a while: %v", conflicts)
		}
	})
	c.move("if-a", "dp-a") // and back, at once
	if got := c.way("if-a"); got != "dp-b dp-a dp-a" {
		t.Errorf("back: %s", got)
	}
	if c.arrive("dp-a", "if-a"); c.way("if-a") != "dp-a  dp-b" {
		t.Errorf("came back: %s", c.way("if-a"))
	}
}

func TestCancelMove(t *testing.T) {
	t.Parallel()
	c := moving(t)
	c.move("if-a", "dp-b")
	if _, err := c.CancelMove(t.Context(), "if-a", app.Write{}); err != nil || c.way("if-a") != "dp-a" {
		t.Fatalf("%v; %s", err, c.way("if-a"))
	}
	c.unchanged(func() {
		if here := c.arrive("dp-b", "if-a"); here != nil {
			t.Errorf("a move that was cancelled: %v", here)
		}
		if got := c.place("dp-b", wire.Ports{Unplaced: []string{"tap0"}}); len(got) != 1 {
			t.Errorf("its port: %v", got)
		}
	})
	c.place("dp-a", wire.Ports{})
	if got := c.way("if-a"); got != "" {
		t.Errorf("without a port on %s", got)
	}
}

func TestMoveIsRefused(t *testing.T) {
	t.Parallel()
	c := moving(t)
	c.create(model.Interfaces, app.Params{"uuid": "if-n", "mode": "vif"})
	c.create(model.Interfaces, app.Params{"uuid": "if-o", "mode": "vif", "owner_datapath_uuid": "dp-a", "port_name": "tap1"})
	c.create(model.Interfaces, app.Params{"uuid": "if-m", "mode": "vif", "port_name": "tap2"})
	c.place("dp-a", wire.Ports{Unplaced: []string{"tap2"}, Placed: []string{"if-a"}})
	c.move("if-m", "dp-b")
	for name, test := range map[string]struct {
		iface string
		p     app.Params
		class model.Class
		field string
		say   string
	}{
		"no datapath":       {"if-a", app.Params{}, model.MissingArgument, "datapath_uuid", "required"},
		"unknown datapath":  {"if-a", app.Params{"datapath_uuid": "dp-x"}, model.UnknownUUIDResource, "datapath_uuid", "dp-x"},
		"no uuid":           {"if-a", app.Params{"datapath_uuid": "b"}, model.ArgumentError, "datapath_uuid", ""},
		"unknown parameter": {"if-a", app.Params{"to": "dp-b"}, model.ArgumentError, "to", "datapath_uuid"},
		"there already":     {"if-a", app.Params{"datapath_uuid": "dp-a"}, model.Conflict, "datapath_uuid", "already"},
		"elsewhere":         {"if-m", app.Params{"datapath_uuid": "dp-c"}, model.Conflict, "datapath_uuid", "moving to dp-b; cancel"},
		"unknown interface": {"if-x", app.Params{"datapath_uuid": "dp-b"}, model.UnknownUUIDResource, "uuid", "if-x"},
		"not an interface":  {"nw-v", app.Params{"datapath_uuid": "dp-b"}, model.InvalidUUID, "uuid", ""},
		"of the host":       {"if-host", app.Params{"datapath_uuid": "dp-b"}, model.Conflict, "uuid", "mode host"},
		"pinned":            {"if-o", app.Params{"datapath_uuid": "dp-b"}, model.Conflict, "uuid", "pinned to dp-a"},
		"nowhere":           {"if-n", app.Params{"datapath_uuid": "dp-b"}, model.Conflict, "uuid", "on no host"},
	} {
		t.Run(name, func(t *testing.T) {
			c.unchanged(func() {
				var refused *model.Error
				_, err := c.MoveInterface(t.Context(), test.iface, test.p, app.Write{})
				if !errors.As(err, &refused) || refused.Class != test.class || refused.Field != test.field || !strings.Contains(refused.Reason, test.say) {
					t.Errorf("%v", err)
				}
			})
		})
	}
	if _, err := c.MoveInterface(t.Context(), "if-a", app.Params{"datapath_uuid": "dp-b"}, app.Write{DryRun: true}); err != nil || c.way("if-a") != "dp-a" {
		t.Errorf("dry run: %v, %s", err, c.way("if-a"))
	}
}

// Whoever has the interface by his topology has it on both hosts, and no longer than that.
func TestMoveWiresItsNetworks(t *testing.T) {
	t.Parallel()
	c := moving(t)
	c.create(model.IPLeases, app.Params{"mac_lease_uuid": c.create(model.MACLeases, app.Params{"interface_uuid": "if-a", "mac_address": "02:00:00:00:00:0a"}).Outcomes[0].Object.Base().UUID,
		"network_uuid": "nw-v", "ipv4_address": "10.1.0.5"})
	c.create(model.Interfaces, app.Params{"uuid": "if-hostb", "mode": "host", "owner_datapath_uuid": "dp-b", "port_name": "eth0", "network_uuid": "nw-p", "ipv4_address": "172.16.0.11", "mac_address": "02:01:00:00:00:02"})
	c.create(model.Topologies, app.Params{"uuid": "topo-u", "mode": "simple_underlay"})
	c.create(model.TopologyNetworks, app.Params{"topology_uuid": "topo-u", "network_uuid": "nw-p"})
	c.create(model.TopologyDatapaths, app.Params{"topology_uuid": "topo-u", "datapath_uuid": "dp-a", "interface_uuid": "if-host"})
	c.create(model.TopologyDatapaths, app.Params{"topology_uuid": "topo-u", "datapath_uuid": "dp-b", "interface_uuid": "if-hostb"})
	c.create(model.Topologies, app.Params{"uuid": "topo-o", "mode": "simple_overlay", "activity": true})
	c.create(model.TopologyNetworks, app.Params{"topology_uuid": "topo-o", "network_uuid": "nw-v"})
	c.create(model.TopologyLayers, app.Params{"overlay_uuid": "topo-o", "underlay_uuid": "topo-u"})
	want := func(when string, hosts ...string) {
		t.Helper()
		var got []string
		for _, r := range children[*model.DatapathNetwork](c, "nw-v", "datapath_networks.network_uuid") {
			got = append(got, r.DatapathUUID)
		}
		if diff := cmp.Diff(hosts, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("at first", "dp-a")
	c.move("if-a", "dp-b")
	want("announced", "dp-a", "dp-b")
	c.arrive("dp-b", "if-a")
	want("arrived", "dp-a", "dp-b")
	c.ended(time.Hour)
	want("over", "dp-b")
}

// ended runs the retentions for a moment, so much later.
func (c *cases) ended(later time.Duration) {
	c.t.Helper()
	k := newClock()
	k.now = time.Now().Add(later)
	end := c.retain(k)
	select {
	case <-k.asked: // there is nothing to do but wait
	case <-time.After(30 * time.Second):
		c.t.Error("the retentions have not come to an end")
	}
	end()
}

// The former host sends on for some seconds, also if the manager starts anew meanwhile.
func TestMoveEnds(t *testing.T) {
	t.Parallel()
	c := moving(t)
	c.move("if-a", "dp-b")
	c.arrive("dp-b", "if-a")
	if c.ended(20 * time.Second); c.way("if-a") != "dp-b  dp-a" {
		t.Errorf("over too early: %s", c.way("if-a"))
	}
	if c.ended(time.Minute); c.way("if-a") != "dp-b" {
		t.Errorf("not over: %s", c.way("if-a"))
	}
}

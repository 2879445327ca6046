package app_test

import (
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

func (c *cases) place(datapath string, p wire.Ports) []wire.Problem {
	c.t.Helper()
	conflicts, err := c.Place(c.t.Context(), datapath, p)
	if err != nil {
		c.t.Fatal(err)
	}
	return conflicts
}

// where gives the datapath that an interface was found on, "" if on none.
func (c *cases) where(iface string) string {
	for _, r := range children[*model.ActiveInterface](c, iface, "active_interfaces.interface_uuid") {
		return r.DatapathUUID
	}
	return ""
}

func TestPlace(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "port_name": "tap0"})
	c.create(model.Interfaces, app.Params{"uuid": "if-b", "mode": "vif", "port_name": "tap1", "owner_datapath_uuid": "dp-b"})
	c.create(model.Interfaces, app.Params{"uuid": "if-s", "mode": "simulated", "port_name": "tap2"})
	here := wire.Ports{Unplaced: []string{"br0", "tap0", "tap1", "tap2", "if-b", "if-x", ""}}
	if conflicts := c.place("dp-a", here); conflicts != nil || c.where("if-a") != "dp-a" || c.where("if-b") != "" || c.where("if-s") != "" {
		t.Errorf("%v; if-a on %q, if-b on %q, if-s on %q", conflicts, c.where("if-a"), c.where("if-b"), c.where("if-s"))
	}
	c.unchanged(func() {
		c.place("dp-a", here) // the agent has not heard of it yet
		c.place("dp-a", wire.Ports{Placed: []string{"if-a"}})
		c.place("dp-x", here)
		if got := c.place("dp-b", wire.Ports{Unplaced: []string{"tap0"}}); len(got) != 1 || got[0].UUID != "if-a" {
			t.Errorf("conflicts %+v", got)
		}
	})
	c.place("dp-a", wire.Ports{})
	if at := c.where("if-a"); at != "" {
		t.Errorf("without a port on %s", at)
	}
	if got := c.place("dp-b", wire.Ports{Unplaced: []string{"if-a"}}); got != nil || c.where("if-a") != "dp-b" {
		t.Errorf("by its iface-id: %v; on %q", got, c.where("if-a"))
	}
}

func TestPlaceIsForgottenWithThePort(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*cases)
	}{
		{"an owner", func(c *cases) {
			c.apply(doc(model.Interfaces, app.Params{"uuid": "if-a", "owner_datapath_uuid": "dp-b"}))
		}},
		{"another name", func(c *cases) { c.apply(doc(model.Interfaces, app.Params{"uuid": "if-a", "port_name": "tap9"})) }},
		{"another port with an owner", func(c *cases) {
			c.create(model.InterfacePorts, app.Params{"interface_uuid": "if-a", "datapath_uuid": "dp-b", "port_name": "tap0"})
		}},
		{"deleted", func(c *cases) {
			c.delete(model.InterfacePorts, one[*model.InterfacePort](c, "if-a", "interface_ports.interface_uuid").UUID)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCases(t)
			c.world()
			c.create(model.Interfaces, app.Params{"uuid": "if-a", "mode": "vif", "port_name": "tap0"})
			c.place("dp-a", wire.Ports{Unplaced: []string{"tap0"}})
			if c.where("if-a") != "dp-a" {
				t.Fatal("not placed")
			}
			test.change(c)
			if at := c.where("if-a"); at != "" {
				t.Errorf("still on %s", at)
			}
		})
	}
}

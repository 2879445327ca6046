package app_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
)

// documents refer to each other in every way there is, the referrers first.
func documents() []app.Document {
	return []app.Document{
		doc(model.NetworkServices, app.Params{"uuid": "ns-a", "mode": "dhcp", "interface_uuid": "if-s"}),
		doc(model.DatapathNetworks, app.Params{"datapath_uuid": "dp-c", "network_uuid": "nw-w", "interface_uuid": "if-u", "ip_lease_uuid": nil}),
		doc(model.IPLeases, app.Params{"network_uuid": "nw-w", "interface_uuid": "if-g", "ipv4_address": "10.3.0.9"}),
		doc(model.MACLeases, app.Params{"interface_uuid": "if-g", "mac_address": "02:00:00:03:00:09"}),
		doc(model.Interfaces, app.Params{"uuid": "if-g", "mode": "vif"}),
		doc(model.Interfaces, app.Params{"uuid": "if-s", "mode": "simulated", "network_uuid": "nw-w", "ipv4_address": "10.3.0.1"}),
		doc(model.Interfaces, app.Params{"uuid": "if-u", "mode": "host", "owner_datapath_uuid": "dp-c", "port_name": "eth0", "network_uuid": "nw-u", "ipv4_address": "172.17.0.1"}),
		doc(model.Networks, app.Params{"uuid": "nw-w", "ipv4_network": "10.3.0.0", "domain_name": nil}),
		doc(model.Networks, app.Params{"uuid": "nw-u", "ipv4_network": "172.17.0.0", "mode": "physical"}),
		doc(model.Datapaths, app.Params{"display_name": "c", "dpid": "0xc", "node_id": "c", "uuid": "dp-c"}),
	}
}

func TestApplyInAnyOrderTwice(t *testing.T) {
	t.Parallel()
	for _, reverse := range []bool{false, true} {
		docs := documents()
		if reverse {
			slices.Reverse(docs)
		}
		c := newCases(t)
		res := c.apply(docs...)
		for i, out := range res.Outcomes {
			if out.Action != app.Created || model.Of(out.Object) != docs[i].Resource {
				t.Errorf("document %d: %s %s", i, out.Action, out.Object.Base().UUID)
			}
		}
		if len(res.Notes) != 1 {
			t.Errorf("notes %q", res.Notes)
		}
		c.unchanged(func() {
			res := c.apply(docs...)
			for i, out := range res.Outcomes {
				if out.Action != app.Unchanged {
					t.Errorf("document %d, applied again: %s", i, out.Action)
				}
			}
		})
	}
}

func TestApplySaysTheWiring(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	docs := append(documents(), doc(model.Topologies, app.Params{"uuid": model.DefaultTopology, "mode": "simple_overlay", "automatic": "true"}))
	if res := c.apply(docs...); len(res.Notes) != 0 {
		t.Errorf("notes %q", res.Notes)
	}
	c.unchanged(func() { c.apply(docs...) })
}

func TestApplyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	good := doc(model.Networks, app.Params{"uuid": "nw-g", "ipv4_network": "10.4.0.0"})
	for _, test := range []struct {
		name        string
		bad         app.Document
		class       model.Class
		field, text string
	}{
		{"parameter", doc(model.Networks, app.Params{"uuid": "nw-h", "colour": "red"}), model.ArgumentError, "colour", ""},
		{"twice", doc(model.Networks, app.Params{"uuid": "nw-g", "ipv4_network": "10.4.0.0"}), model.ArgumentError, "uuid", "twice"},
		{"twice, other values", doc(model.Networks, app.Params{"uuid": "nw-g", "ipv4_network": "10.5.0.0"}), model.ArgumentError, "uuid", "twice"},
		{"reference", doc(model.NetworkServices, app.Params{"uuid": "ns-g", "mode": "dhcp", "interface_uuid": "if-x"}), model.UnknownUUIDResource, "interface_uuid", "if-x"},
		{"immutable", doc(model.Networks, app.Params{"uuid": "nw-v", "mode": "physical"}), model.ArgumentError, "mode", "cannot be changed"},
		{"no name", doc(model.Networks, app.Params{"ipv4_network": "10.4.0.0"}), model.MissingArgument, "uuid", "document"},
		{"what it makes", doc(model.Interfaces, app.Params{"uuid": "if-g", "mode": "vif", "network_uuid": "nw-g", "ipv4_address": "10.99.0.1"}), model.ArgumentError, "ipv4_address", "outside"},
		{"what it changes", doc(model.Interfaces, app.Params{"uuid": "if-host", "network_uuid": "nw-p", "ipv4_address": "172.16.9.1"}), model.ArgumentError, "ipv4_address", "outside"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.unchanged(func() {
				_, err := c.Apply(t.Context(), []app.Document{good, test.bad}, app.ApplyOptions{})
				c.refused(err, test.class, test.field, test.text)
				var at *app.DocumentError
				if !errors.As(err, &at) || at.Index != 1 {
					t.Errorf("%v does not name document 1", err)
				}
			})
		})
	}
}

func TestApplyReconcilesAnInterface(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	apply := func(p app.Params, want string) {
		t.Helper()
		p["uuid"], p["mode"] = "if-a", "vif"
		if got := c.apply(doc(model.Interfaces, p)).Outcomes[0].Action; got != want {
			t.Errorf("%v: %s, want %s", p, got, want)
		}
		c.unchanged(func() { c.apply(doc(model.Interfaces, p)) })
	}
	apply(app.Params{}, app.Created)
	apply(app.Params{"port_name": "tap0"}, app.Updated)
	apply(app.Params{"network_uuid": "nw-v", "ipv4_address": "10.1.0.5"}, app.Updated)
	apply(app.Params{"network_uuid": "nw-v", "ipv4_address": "10.1.0.6", "mac_address": "02:00:00:00:00:06"}, app.Updated)
	apply(app.Params{"owner_datapath_uuid": "dp-b"}, app.Updated)
	apply(app.Params{"network_uuid": "nw-v", "ipv6_address": "fd00::6", "display_name": "a"}, app.Updated)
	if p := one[*model.InterfacePort](c, "if-a", "interface_ports.interface_uuid"); p.PortName != "tap0" || p.DatapathUUID != "dp-b" || !p.Singular {
		t.Errorf("port %+v", p)
	}
	if m := one[*model.MACLease](c, "if-a", "mac_leases.interface_uuid"); m.MACAddress.String() != "02:00:00:00:00:06" {
		t.Errorf("mac lease %+v", m)
	}
	if ls := children[*model.IPLease](c, "if-a", "ip_leases.interface_uuid"); len(ls) != 2 || ls[0].IPv4Address.String() != "10.1.0.6" || ls[1].IPv6Address.String() != "fd00::6" {
		t.Errorf("ip leases %+v", ls)
	}
}

func TestApplyTenThousandInterfaces(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	n := 10_000
	if raceDetector {
		n = 500
	}
	var docs []app.Document
	for i := range n {
		docs = append(docs, doc(model.Interfaces, app.Params{"uuid": fmt.Sprintf("if-n%d", i), "mode": "vif",
			"network_uuid": "nw-v", "ipv4_address": fmt.Sprintf("10.1.%d.%d", 1+i/250, 1+i%250), "ipv6_address": fmt.Sprintf("fd00::1:%x", i)}))
	}
	c.apply(docs...)
	c.unchanged(func() { c.apply(docs...) })
}

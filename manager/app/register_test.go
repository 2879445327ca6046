package app_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/openvnet/openvnet/manager/app"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/wire"
)

func hello(addresses ...string) wire.Hello {
	h := wire.Hello{NodeID: "node1", DPID: 0xabc, Uplink: &wire.Uplink{Name: "eth0", MAC: model.MAC{2, 1, 0, 0, 0, 9}}}
	for _, a := range addresses {
		h.Uplink.Addresses = append(h.Uplink.Addresses, netip.MustParsePrefix(a))
	}
	return h
}

func (c *cases) register(h wire.Hello) string {
	c.t.Helper()
	uuid, err := c.Register(c.t.Context(), h)
	if err != nil {
		c.t.Fatal(err)
	}
	return uuid
}

const registeredInterface = "if-0000000000000abc"

func TestRegister(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	h := hello("172.16.0.5/24", "fe80::1/64", "127.0.0.1/8")
	dp := c.register(h)
	if d := get[*model.Datapath](c, dp); dp != "dp-node1" || d.NodeID != "node1" || !d.EnableOVSLearnAction {
		t.Errorf("%+v", d)
	}
	if p := one[*model.InterfacePort](c, dp, "interface_ports.datapath_uuid"); p.InterfaceUUID != registeredInterface || p.PortName != "eth0" {
		t.Errorf("port %+v", p)
	}
	l := one[*model.IPLease](c, registeredInterface, "ip_leases.interface_uuid")
	if n := get[*model.Network](c, l.NetworkUUID); n.Mode != model.NetworkPhysical || n.Prefix4().String() != "172.16.0.0/24" || l.MACLeaseUUID == "" {
		t.Errorf("lease %+v in %+v", l, n)
	}
	c.update(model.MACLeases, l.MACLeaseUUID, app.Params{"labels": "a=b"})
	c.update(model.IPLeases, l.UUID, app.Params{"labels": "a=b", "enable_routing": true})
	c.unchanged(func() {
		if again := c.register(h); again != dp {
			t.Errorf("%s, and again %s", dp, again)
		}
	})

	other := h
	other.NodeID = "node2"
	_, err := c.Register(t.Context(), other)
	c.refused(err, model.Conflict, "node_id", "node1")
	_, err = c.Register(t.Context(), wire.Hello{NodeID: "node3"})
	c.refused(err, model.MissingArgument, "node_id", "")

	// The lease stays the same object, so that a tunnel end wired to it stays.
	h.Uplink.Addresses = []netip.Prefix{netip.MustParsePrefix("172.16.0.6/24"), netip.MustParsePrefix("172.16.0.7/24")}
	h.Uplink.Name = "bond0"
	c.register(h)
	ls := children[*model.IPLease](c, registeredInterface, "ip_leases.interface_uuid")
	if len(ls) != 2 || ls[0].UUID != l.UUID || ls[0].Addr().String() != "172.16.0.6" || ls[1].Addr().String() != "172.16.0.7" {
		t.Errorf("leases %+v", ls)
	}
	if p := one[*model.InterfacePort](c, dp, "interface_ports.datapath_uuid"); p.PortName != "bond0" {
		t.Errorf("port %+v", p)
	}
	h.Uplink.Addresses = h.Uplink.Addresses[1:]
	c.register(h)
	if l := one[*model.IPLease](c, registeredInterface, "ip_leases.interface_uuid"); l.Addr().String() != "172.16.0.7" {
		t.Errorf("lease %+v", l)
	}

	// An operator's lease stays.
	c.create(model.IPLeases, app.Params{"uuid": "il-mine", "network_uuid": l.NetworkUUID, "interface_uuid": registeredInterface, "ipv4_address": "172.16.0.99"})
	c.unchanged(func() { c.register(h) })

	if deleted := c.delete(model.Datapaths, dp); !slices.Contains(deleted, registeredInterface) || c.has("il-mine") {
		t.Errorf("deleted %v with the datapath", deleted)
	}
	c.register(h)
}

// The datapath's mtu is that of the agent's uplink, and one that is known costs no revision.
func TestRegisterMTU(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	h := hello("172.16.0.5/24")
	for _, step := range []struct {
		said  int
		want  uint16
		quiet bool
	}{{1500, 1500, false}, {1500, 1500, true}, {9000, 9000, false}, {0, 9000, true}, {1 << 20, 9000, true}} {
		h.Uplink.MTU = step.said
		register := func() {
			if d := get[*model.Datapath](c, c.register(h)); d.MTU != step.want {
				t.Errorf("mtu %d is kept as %d, want %d", step.said, d.MTU, step.want)
			}
		}
		if register(); step.quiet {
			c.unchanged(register)
		}
	}
}

func TestRegisterWiredByHand(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.update(model.Topologies, model.DefaultTopology, app.Params{"automatic": "no"})
	_, err := c.Register(t.Context(), hello("172.16.0.5/24"))
	c.refused(err, model.UnknownUUIDResource, "dpid", "vnctl datapaths add")
	c.create(model.Datapaths, app.Params{"uuid": "dp-x", "display_name": "x", "dpid": "0xabc", "node_id": "node1"})
	c.unchanged(func() {
		if got := c.register(hello("172.16.0.5/24")); got != "dp-x" {
			t.Error(got)
		}
	})
}

func TestRegisterLeavesTheOperatorsInterface(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	c.world()
	h := hello("172.16.0.20/24")
	h.NodeID, h.DPID = "a", 0xa
	c.unchanged(func() { c.register(h) })
	if deleted := c.delete(model.Datapaths, "dp-a"); slices.Contains(deleted, "if-host") {
		t.Errorf("deleted %v", deleted)
	}
}

func TestRegisterNodesWithOddNames(t *testing.T) {
	t.Parallel()
	c := newCases(t)
	h := hello()
	h.NodeID = "Node.1 of ours"
	if dp := c.register(h); dp != "dp-0000000000000abc" {
		t.Error(dp)
	}
}

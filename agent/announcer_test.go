package agent

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/agent/local"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
)

// unencapsulated has frames of network nw-a go between this host and dp-1 as they are.
func unencapsulated() []model.Object {
	return []model.Object{
		&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1, Revision: 2}, Mode: model.TopologyOverlay, MAC2MAC: true},
		&model.DatapathNetwork{Meta: model.Meta{UUID: "dpn-0", ID: 1}, DatapathUUID: "dp-0", NetworkUUID: "nw-a", InterfaceUUID: "if-host0", MACAddress: mac(150)},
		&model.DatapathNetwork{Meta: model.Meta{UUID: "dpn-1", ID: 2}, DatapathUUID: "dp-1", NetworkUUID: "nw-a", InterfaceUUID: "if-host1", MACAddress: mac(151)},
	}
}

// What other hosts send to without encapsulation is announced out of the NIC: what is new at once, everything anew when the NIC's link comes back, and nothing that has
// gone. The other hosts drop it.
func TestAddressesAreAnnounced(t *testing.T) {
	b := newBench(t, slices.Concat(base(), guest(1, "dp-0", "p1"), peer()), port("p1", "", 11))
	heard := func(m model.MAC) []byte {
		t.Helper()
		return b.sent(m.String(), func(f ovstest.Frame) bool {
			return f.Port == portNIC && binary.BigEndian.Uint16(f.Data[12:]) == 0x8035 && model.MAC(f.Data[6:12]) == m
		}).Data
	}
	counted := func() []local.Counter {
		cs := b.announcer.counters("")
		slices.SortFunc(cs, byObject)
		for n := range cs {
			cs[n].Packets, cs[n].Bytes = min(1, cs[n].Packets), min(1, cs[n].Bytes)
		}
		return cs
	}
	if cs := counted(); len(cs) > 0 {
		t.Fatalf("with tunnels: %v", cs)
	}
	b.replica.change(2, unencapsulated(), nil)
	heard(mac(1)) // together, in the order of the addresses
	frame := heard(mac(150))
	b.until("both are counted", func() bool {
		return cmp.Equal(counted(), []local.Counter{{Resource: "interface", Object: "if-b", What: "announced", Packets: 1, Bytes: 1}, {Resource: "network", Object: "nw-a", What: "announced", Packets: 1, Bytes: 1}})
	})
	if one := b.announcer.counters("nw-a"); len(one) != 1 || one[0].Bytes != 60*one[0].Packets {
		t.Errorf("of nw-a: %v", one)
	}

	b.replica.change(3, guest(2, "dp-0", "p2"), nil)
	b.replica.setPorts(bridge(port("p1", "", 11), port("p2", "", 12)))
	heard(mac(2))

	for _, down := range []bool{true, false} {
		p := bridge(port("p1", "", 11), port("p2", "", 12))
		p.Down = down
		b.replica.setPorts(p)
	}
	for _, m := range []model.MAC{mac(1), mac(2), mac(150)} {
		heard(m)
	}

	b.replica.change(4, nil, []string{"dpn-1"})
	b.until("nothing is announced", func() bool { return len(counted()) == 0 })

	other := newReplica()
	other.load("store", "dp-1", 1, slices.Concat(base(), guest(1, "dp-0", "p1"), peer()), true)
	other.setPorts(bridge(port("far", "", 11)))
	far := ovstest.New(t, ovstest.Port{Number: portNIC}, ovstest.Port{Number: portGeneve, Tunnel: true}, ovstest.Port{Number: 11})
	ovstest.Load(t, far.Dial(t, func(p ovs.Packet) { t.Errorf("the other host's agent gets %s", p.Class) }), other.work(true).full)
	if out := far.Receive(t, ovstest.Frame{Port: portNIC, Data: frame}); len(out) > 0 {
		t.Errorf("the other host passes it on: %v", out)
	}
}

package agent

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/modeltest"
)

func port(name, ifaceID string, n int) compile.Port {
	return compile.NewPort(name, ifaceID, uint32(n), 100+n)
}

func bridge(ports ...compile.Port) ovs.Ports {
	p := ovs.Ports{DPID: 1, Uplink: 1, Tunnels: compile.Tunnels{2}, Guests: map[string]compile.Port{}}
	for _, x := range ports {
		p.Guests[x.Name] = x
	}
	return p
}

// guest gives the objects of a guest on dp-0, or without a host if datapath is "".
func guest(n int, datapath, portName string) []model.Object {
	id := uint32(n)
	uuid := "if-" + string(rune('a'+n))
	return []model.Object{
		&model.Interface{Meta: model.Meta{UUID: uuid, ID: id}, Mode: model.InterfaceVIF},
		&model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + uuid[3:], ID: id}, InterfaceUUID: uuid, DatapathUUID: datapath, PortName: portName},
		&model.MACLease{Meta: model.Meta{UUID: "ml-" + uuid[3:], ID: id}, InterfaceUUID: uuid, MACAddress: model.MAC{2, 0, 0, 0, 0, byte(n)}},
		&model.IPLease{Meta: model.Meta{UUID: "il-" + uuid[3:], ID: id}, InterfaceUUID: uuid, NetworkUUID: "nw-a", MACLeaseUUID: "ml-" + uuid[3:], IPv4Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})},
	}
}

func base() []model.Object {
	return []model.Object{
		&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}, Automatic: true},
		&model.Datapath{Meta: model.Meta{UUID: "dp-0", ID: 1}, DPID: 1},
		&model.Network{Meta: model.Meta{UUID: "nw-a", ID: 1}, Mode: model.NetworkVirtual, VNI: 100, IPv4Network: netip.MustParseAddr("10.0.0.0"), IPv4Prefix: 24},
	}
}

// A port is unplaced until an interface on this host claims it, by port name, iface-id or uuid, in whatever order things come.
func TestPlacement(t *testing.T) {
	active := func(n int) model.Object {
		uuid := "if-" + string(rune('a'+n))
		return &model.ActiveInterface{Meta: model.Meta{UUID: "aif-" + uuid[3:], ID: uint32(n)}, InterfaceUUID: uuid, DatapathUUID: "dp-0"}
	}
	for _, tc := range []struct {
		name     string
		do       func(*replica)
		unplaced []string
		placed   []string
		ports    []string // with a way in: interfaces of classify flows
	}{
		{"port before interface", func(r *replica) {
			r.setPorts(bridge(port("tap1", "", 11)))
			r.change(2, guest(1, "dp-0", "tap1"), nil)
		}, nil, nil, []string{"if-b"}},
		{"interface before port", func(r *replica) {
			r.change(2, guest(1, "dp-0", "tap1"), nil)
			r.setPorts(bridge(port("tap1", "", 11)))
		}, nil, nil, []string{"if-b"}},
		{"by iface-id", func(r *replica) {
			r.setPorts(bridge(port("tap1", "web", 11)))
			r.change(2, guest(1, "dp-0", "web"), nil)
		}, nil, nil, []string{"if-b"}},
		{"by uuid", func(r *replica) {
			r.setPorts(bridge(port("tap1", "if-b", 11)))
			r.change(2, guest(1, "dp-0", ""), nil)
		}, nil, nil, []string{"if-b"}},
		{"of another host", func(r *replica) {
			r.setPorts(bridge(port("tap1", "", 11)))
			r.change(2, guest(1, "dp-9", "tap1"), nil)
		}, []string{"tap1"}, nil, nil},
		{"without a host, found here", func(r *replica) {
			r.setPorts(bridge(port("tap1", "", 11)))
			r.change(2, append(guest(1, "", "tap1"), active(1)), nil)
		}, nil, []string{"if-b"}, []string{"if-b"}},
		{"without a host, by the name of a port with an iface-id", func(r *replica) {
			r.setPorts(bridge(port("tap1", "4f1c", 11)))
			r.change(2, guest(1, "", "tap1"), nil)
		}, []string{"4f1c", "tap1"}, nil, nil},
		{"the iface-id changes", func(r *replica) {
			r.setPorts(bridge(port("tap1", "4f1c", 11)))
			r.setPorts(bridge(port("tap1", "web", 11)))
		}, []string{"tap1", "web"}, nil, nil},
		{"without a host, not found yet", func(r *replica) {
			r.change(2, guest(1, "", "tap1"), nil)
			r.setPorts(bridge(port("tap1", "", 11)))
		}, []string{"tap1"}, nil, nil},
		{"the interface goes", func(r *replica) {
			r.setPorts(bridge(port("tap1", "", 11)))
			r.change(2, guest(1, "dp-0", "tap1"), nil)
			r.change(3, nil, []string{"if-b", "ifp-b", "ml-b", "il-b"})
		}, []string{"tap1"}, nil, nil},
		{"the port goes", func(r *replica) {
			r.setPorts(bridge(port("tap1", "", 11)))
			r.change(2, append(guest(1, "", "tap1"), active(1)), nil)
			r.setPorts(bridge())
		}, nil, nil, nil},
		{"the port gets an iface-id", func(r *replica) {
			r.setPorts(bridge(port("tap1", "", 11)))
			r.change(2, guest(1, "dp-0", "web"), nil)
			r.setPorts(bridge(port("tap1", "web", 11)))
		}, nil, nil, []string{"if-b"}},
		{"the interface is renamed away", func(r *replica) {
			r.setPorts(bridge(port("tap1", "", 11)))
			r.change(2, guest(1, "dp-0", "tap1"), nil)
			r.change(3, guest(1, "dp-0", "tap2")[1:2], nil)
		}, []string{"tap1"}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newReplica()
			r.load("s", "dp-0", 1, base(), true)
			tc.do(r)
			w := r.work(true)
			if w.ports == nil {
				w.ports = r.report()
			}
			if !slices.Equal(w.ports.Unplaced, tc.unplaced) || !slices.Equal(w.ports.Placed, tc.placed) {
				t.Errorf("unplaced %v, placed %v; want %v and %v", w.ports.Unplaced, w.ports.Placed, tc.unplaced, tc.placed)
			}
			var in []string
			for k := range w.full.Flows {
				if u, _ := r.state.Flows.Unit(k); k.Table == 0 && u.Kind == "interface" {
					in = append(in, u.UUID)
				}
			}
			if !slices.Equal(in, tc.ports) {
				t.Errorf("ports of %v have a way in, want %v", in, tc.ports)
			}
		})
	}
}

// A share that is loaded again, equal, changes nothing; another one leads to what a fresh replica of it has.
func TestLoadEqualsFresh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() map[string]model.Object {
			m := map[string]model.Object{}
			for n := range rapid.IntRange(0, 40).Draw(t, "objects") {
				c := modeltest.Change(t, uint32(n+1), int64(n+1))
				delete(m, c.UUID)
				if c.Object != nil {
					m[c.UUID] = c.Object
				}
			}
			return m
		}
		ports := bridge(port("port0", "", 10), port("port1", "", 11), port("port2", "", 12))
		one, two := draw(), draw()
		r := newReplica()
		r.setPorts(ports)
		r.load("s", "dp-0", 1, slices.Collect(maps.Values(one)), true)
		r.work(false)
		r.load("s", "dp-0", 1, slices.Collect(maps.Values(one)), true)
		if w := r.work(false); !w.changes.Empty() {
			t.Fatalf("loading the same share again changes %+v", w.changes)
		}
		r.load("s", "dp-0", 2, slices.Collect(maps.Values(two)), true)
		fresh := newReplica()
		fresh.load("s", "dp-0", 2, slices.Collect(maps.Values(two)), true)
		fresh.setPorts(ports)
		got, want := r.work(true), fresh.work(true)
		if diff := cmp.Diff(slices.Sorted(flowTexts(want)), slices.Sorted(flowTexts(got))); diff != "" {
			t.Fatalf("flows (-fresh +loaded):\n%s", diff)
		}
		if !maps.Equal(got.full.Buckets, want.full.Buckets) || !maps.Equal(got.full.Ports, want.full.Ports) || !maps.Equal(got.full.Neighbors, want.full.Neighbors) {
			t.Fatal("buckets, ports or neighbours differ")
		}
		if !slices.Equal(got.ports.Unplaced, want.ports.Unplaced) || !slices.Equal(got.ports.Placed, want.ports.Placed) {
			t.Fatalf("ports: loaded %+v, fresh %+v", got.ports, want.ports)
		}
	})
}

func flowTexts(w work) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, f := range w.full.Flows {
			if !yield(f.String()) {
				return
			}
		}
	}
}

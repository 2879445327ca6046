package compile_test

import (
	"cmp"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

var update = flag.Bool("update", false, "rewrite golden files")

// world builds a set of objects in few words.
type world struct {
	g   *graph.Graph
	ids map[*model.Resource]uint32
}

func newWorld() *world {
	w := &world{graph.New(), map[*model.Resource]uint32{}}
	w.put(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology}, Automatic: true})
	return w
}

func (w *world) put(o model.Object) {
	r := model.Of(o)
	w.ids[r]++
	o.Base().ID = w.ids[r]
	if o.Base().UUID == "" {
		o.Base().UUID = r.NewUUID()
	}
	w.g.Put(o)
}

func (w *world) network(uuid string, vni uint32, v4, v6 string) {
	n := &model.Network{Meta: model.Meta{UUID: uuid}, Mode: model.NetworkVirtual, VNI: vni}
	if vni == 0 {
		n.Mode = model.NetworkPhysical
	}
	if v4 != "" {
		p := netip.MustParsePrefix(v4)
		n.IPv4Network, n.IPv4Prefix = p.Addr(), p.Bits()
	}
	if v6 != "" {
		p := netip.MustParsePrefix(v6)
		n.IPv6Network, n.IPv6Prefix = p.Addr(), p.Bits()
	}
	w.put(n)
}

func (w *world) datapath(uuid, addr string) {
	w.put(&model.Datapath{Meta: model.Meta{UUID: uuid}, DPID: model.DPID(w.ids[model.Datapaths] + 1)})
	w.iface("if-"+uuid, model.InterfaceHost, uuid, "eth0", "02:01:00:00:00:0"+uuid[len(uuid)-1:], "nw-under", addr)
}

func (w *world) iface(uuid, mode, datapath, port, mac, network string, addrs ...string) {
	w.put(&model.Interface{Meta: model.Meta{UUID: uuid}, Mode: mode})
	w.put(&model.InterfacePort{InterfaceUUID: uuid, DatapathUUID: datapath, PortName: port})
	m, err := model.ParseMAC(mac)
	if err != nil {
		panic(err)
	}
	ml := &model.MACLease{InterfaceUUID: uuid, MACAddress: m}
	w.put(ml)
	for _, a := range addrs {
		l := &model.IPLease{NetworkUUID: network, InterfaceUUID: uuid, MACLeaseUUID: ml.UUID}
		if ip := netip.MustParseAddr(a); ip.Is4() {
			l.IPv4Address = ip
		} else {
			l.IPv6Address = ip
		}
		w.put(l)
	}
}

// Two hosts; a network with a guest on each and a DHCP service, IPv4 and IPv6; another tenant's network with the same subnet.
func twoTenants() *world {
	w := newWorld()
	w.network("nw-under", 0, "172.16.90.0/24", "")
	w.datapath("dp-1", "172.16.90.1")
	w.datapath("dp-2", "172.16.90.2")
	w.network("nw-a", 100, "10.0.0.0/24", "fd00:a::/64")
	w.network("nw-b", 200, "10.0.0.0/24", "")
	w.iface("if-dhcp", model.InterfaceSimulated, "", "", "02:00:00:00:00:fe", "nw-a", "10.0.0.254")
	w.put(&model.NetworkService{Mode: model.ServiceDHCP, InterfaceUUID: "if-dhcp"})
	w.put(&model.NetworkService{Mode: model.ServiceDNS, InterfaceUUID: "if-dhcp"})
	w.put(&model.NetworkService{Mode: model.ServiceMetadata, InterfaceUUID: "if-dhcp"})
	w.iface("if-a1", model.InterfaceVIF, "dp-1", "a1", "02:00:00:00:00:01", "nw-a", "10.0.0.1", "fd00:a::1")
	w.iface("if-a2", model.InterfaceVIF, "dp-2", "a2", "02:00:00:00:00:02", "nw-a", "10.0.0.2")
	w.iface("if-b1", model.InterfaceVIF, "dp-1", "b1", "02:00:00:00:01:01", "nw-b", "10.0.0.1")
	return w
}

// unleased has an interface that is to ask by DHCP for its address, and one that has only an IPv6 one.
func unleased() *world {
	w := newWorld()
	w.datapath("dp-1", "172.16.90.1")
	w.network("nw-a", 100, "10.0.0.0/24", "fd00:a::/64")
	w.iface("if-a1", model.InterfaceVIF, "dp-1", "a1", "02:00:00:00:00:01", "")
	w.iface("if-b1", model.InterfaceVIF, "dp-1", "b1", "02:00:00:00:01:01", "nw-a", "fd00:a::1")
	return w
}

// edit changes an interface.
func (w *world) edit(uuid string, change func(*model.Interface)) {
	o, _ := w.g.Get(uuid)
	i := model.Clone(o.(*model.Interface))
	change(i)
	w.g.Put(i)
}

func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		name string
		w    *world
	}{
		{"empty", newWorld()},
		{"two-tenants", twoTenants()},
		{"unleased", unleased()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := &compile.Input{X: span.New(tc.w.g), Self: "dp-1", Bridge: compile.NewBridge()}
			in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{2}
			in.Bridge.SetPort(compile.Port{Name: "a1", OFPort: 11, Ifindex: 111})
			in.Bridge.SetPort(compile.Port{Name: "tapb1", IfaceID: "if-b1", OFPort: 12, Ifindex: 112})
			golden(t, filepath.Join("testdata", tc.name+".txt"), text(compileAll(t, in)))
		})
	}
}

func text(s *state.State) string {
	f := s.Full()
	tables := map[uint8]string{}
	for _, t := range pipeline.Tables() {
		tables[t.ID] = t.Name
	}
	names := flow.NewNames(tables, nil)
	var flows []flow.Flow
	for _, x := range f.Flows {
		flows = append(flows, x)
	}
	slices.SortFunc(flows, func(a, b flow.Flow) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority), strings.Compare(a.String(), b.String()))
	})
	var b strings.Builder
	for _, x := range flows {
		x.Cookie &= 0xffffffff_00000000 // without the hash: it says what the actions say
		b.WriteString(flow.Format(x, names) + "\n")
	}
	f.Flows = nil
	b.WriteString(pretty(f) + "\n")
	return b.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it:\n%s", path, diff)
	}
}

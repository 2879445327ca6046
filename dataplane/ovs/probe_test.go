package ovs_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/dataplane/pipeline"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	ovsenv "github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/privileged"
	"github.com/openvnet/openvnet/testenv/rig"
)

// probed gives host n of two, with an end of tunnels at that address.
func probed(n int, ends ...netip.Addr) *compile.Input {
	in := &compile.Input{X: span.New(graph.New()), Self: fmt.Sprintf("dp-%d", n), Bridge: compile.NewBridge()}
	in.Bridge.Uplink, in.Bridge.Tunnels = 1, compile.Tunnels{2, 3, 4}
	var changes []graph.Change
	put := func(o model.Object) { changes = append(changes, graph.Change{UUID: o.Base().UUID, Object: o}) }
	put(&model.Topology{Meta: model.Meta{UUID: model.DefaultTopology, ID: 1}, Automatic: true, Encapsulation: model.Geneve})
	put(&model.Topology{Meta: model.Meta{UUID: "topo-b", ID: 2}, Encapsulation: model.VXLAN})
	put(&model.Topology{Meta: model.Meta{UUID: "topo-c", ID: 3}, Encapsulation: model.GRE})
	put(&model.Network{Meta: model.Meta{UUID: "nw-u", ID: 1}, Mode: model.NetworkPhysical})
	for k, end := range ends {
		meta := func(prefix string) model.Meta {
			return model.Meta{UUID: fmt.Sprintf("%s-%d", prefix, k), ID: uint32(k + 1)}
		}
		put(&model.Datapath{Meta: meta("dp"), DPID: model.DPID(k + 1)})
		put(&model.Interface{Meta: meta("if"), Mode: model.InterfaceHost})
		put(&model.InterfacePort{Meta: meta("ifp"), InterfaceUUID: fmt.Sprintf("if-%d", k), DatapathUUID: fmt.Sprintf("dp-%d", k)})
		put(&model.MACLease{Meta: meta("ml"), InterfaceUUID: fmt.Sprintf("if-%d", k), MACAddress: model.MAC{2, 1, 0, 0, 0, byte(k)}})
		lease := &model.IPLease{Meta: meta("il"), InterfaceUUID: fmt.Sprintf("if-%d", k), NetworkUUID: "nw-u", MACLeaseUUID: fmt.Sprintf("ml-%d", k), IPv4Address: end}
		if end.Is6() {
			lease.IPv4Address, lease.IPv6Address = netip.Addr{}, end
		}
		put(lease)
	}
	in.X.Apply(changes)
	return in
}

// A probe comes back from another host's Open vSwitch, through each kind of tunnel and over either family, in its full size, of which the agent gets at least the
// beginning.
func TestProbesComeBack(t *testing.T) {
	privileged.Programs(t, ovsenv.Programs...)
	for name, prefix := range map[string]string{"ipv4": "192.0.2.%d/24", "ipv6": "2001:db8::%d/64"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ends := []netip.Addr{}
			opt := rig.Options{}
			for n := range 2 {
				p := netip.MustParsePrefix(fmt.Sprintf(prefix, n+1))
				ends = append(ends, p.Addr())
				opt.Hosts = append(opt.Hosts, rig.HostOptions{
					Name: fmt.Sprintf("dp-%d", n), MAC: model.MAC{2, 1, 0, 0, 0, byte(n)}, Addresses: []netip.Prefix{p}, NIC: rig.Port{Name: "eth0", OFPort: 1},
					Tunnels: []rig.Tunnel{
						{Port: rig.Port{Name: "geneve", OFPort: 2}, Kind: rig.Geneve}, {Port: rig.Port{Name: "vxlan", OFPort: 3}, Kind: rig.VXLAN}, {Port: rig.Port{Name: "gre", OFPort: 4}, Kind: rig.GRE},
					},
				})
			}
			w, err := rig.Start(ctx, opt)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			})
			up := make(chan ovs.Packet, 16)
			var sessions []*ovs.Switch
			for n, h := range w.Hosts() {
				in := probed(n, ends...)
				s := state.New()
				for u, err := range s.ReplaceAll(in.Units(), in.Unit, &state.Changes{}) {
					t.Fatalf("%s: %v", u, err)
				}
				full := s.Full()
				sw := dial(t, h.Mgmt())
				go sw.Serve(func(p ovs.Packet) {
					if n == 0 {
						up <- p
					}
				})
				if refused, _, err := sw.Sync(ctx, &full, false); err != nil || len(refused) > 0 {
					t.Fatal(err, refused)
				}
				sessions = append(sessions, sw)
			}
			for e := range pipeline.EncapMAC2MAC {
				frame := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, bytes.Repeat([]byte{byte(e) + 1}, 1400)...)
				if err := sessions[0].Inject(ctx, frame, ovs.Through(pipeline.Transport, pipeline.Network.Set(compile.ProbeVNI(e)), pipeline.Egress.Set(2))); err != nil {
					t.Fatal(err)
				}
				if _, err := sessions[0].Flows(ctx, pipeline.KindHost); err != nil { // the switch has done what came before
					t.Fatal(err)
				}
				if _, err := w.Collect(ctx); err != nil {
					t.Fatal(err)
				}
				select {
				case p := <-up:
					if p.Class != pipeline.PuntProbe || p.Length != len(frame) || len(p.Data) < 60 || !bytes.HasPrefix(frame, p.Data) || p.TunnelSource() != ends[1] {
						t.Errorf("%s: %+v from %s", e, p, p.TunnelSource())
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("%s: nothing came back", e)
				}
			}
		})
	}
}

package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/ovs/ovstest"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/services/announce"
	"github.com/openvnet/openvnet/services/frame"
	"github.com/openvnet/openvnet/services/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Ports of the switch in memory.
const (
	portNIC    = 1
	portGeneve = 2
	portLocal  = 0xfffffffe
)

var start = time.Unix(1_000_000, 0)

// bench is the services of a host with a switch in memory that holds what the replica compiles to.
type bench struct {
	*Alone
	t      *testing.T
	ctx    func() context.Context // that ends with the test, or when it takes too long
	stop   context.CancelFunc
	sw     *ovstest.Switch
	logged lockedBuffer
	asked  chan string // the family and the interface that the manager is told of
}

// lockedBuffer is a log that several write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func logTo(l *lockedBuffer) *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newBench starts the services of dp-0 with these objects and guests' ports.
func newBench(t *testing.T, objects []model.Object, ports ...compile.Port) *bench {
	t.Helper()
	return newBenchAt(t, "dp-0", ovstest.Options{}, objects, ports...)
}

// newBenchAt starts the services of a host, whose switch has these options.
func newBenchAt(t *testing.T, self string, opt ovstest.Options, objects []model.Object, ports ...compile.Port) *bench {
	t.Helper()
	b := &bench{t: t, asked: make(chan string, 100)}
	all := []ovstest.Port{{Number: portNIC}, {Number: portGeneve, Tunnel: true}}
	for _, p := range ports {
		all = append(all, ovstest.Port{Number: uint32(p.OFPort)})
	}
	b.sw = ovstest.NewWith(t, opt, all...)
	b.Alone = NewAlone(AloneOptions{Logger: logTo(&b.logged)})
	tell := func(iface string, family int) { b.asked <- fmt.Sprint(family, " ", iface) }
	b.dhcp.askers.tell, b.dhcp6.askers.tell, b.routers.askers.tell = tell, tell, tell
	b.prober.opt = probe.Options{Every: time.Second, Wait: 10 * time.Millisecond}
	b.announcer.announce = announce.New(rand.Uint64, announce.Options{Every: time.Hour, First: []time.Duration{}}) // once
	b.Load(self, 1, objects)
	b.SetPorts(bridge(ports...))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	b.ctx, b.stop = func() context.Context { return ctx }, cancel
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx, b.sw.Target()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	b.until("the switch has what it should have", b.Ready)
	return b
}

// until waits until the condition holds.
func (b *bench) until(what string, holds func() bool) {
	b.t.Helper()
	for !holds() {
		select {
		case <-b.ctx().Done():
			b.t.Fatalf("%s: not within the time\ndropped: %+v\nflows:\n%s", what, b.dropped(), b.flows())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (b *bench) flows() string {
	var out bytes.Buffer
	for _, f := range b.sw.Flows() {
		out.WriteString(f.String() + "\n")
	}
	return out.String()
}

// sent waits for a frame of the agent to go out of a port, and gives it.
func (b *bench) sent(what string, want func(ovstest.Frame) bool) ovstest.Frame {
	b.t.Helper()
	f := b.sw.Sent(b.ctx(), want)
	if f == nil {
		b.t.Fatalf("%s: nothing of the kind went out\ndropped: %+v\nflows:\n%s", what, b.dropped(), b.flows())
	}
	return *f
}

// count gives a counter of a service.
func (b *bench) count(class, reason string) uint64 {
	for _, s := range b.status() {
		if s.Class == class {
			if reason == "" {
				return s.Packets
			}
			return s.Dropped[reason]
		}
	}
	return 0
}

// udp gives an IPv4 packet.
func udp(src, dst model.MAC, from, to string) []byte {
	return frame.Datagram{
		Ethernet: frame.Ethernet{Src: src, Dst: dst}, IP: frame.IPv4{TTL: 64, Src: netip.MustParseAddr(from), Dst: netip.MustParseAddr(to)},
		UDP: frame.UDP{SrcPort: 1000, DstPort: 2000}, Payload: []byte("hello"),
	}.Encode()
}

func mac(n byte) model.MAC { return model.MAC{2, 0, 0, 0, 0, n} }

// peer gives another host, dp-1, at 198.51.100.2, with an interface if-far of network nw-a; this host is at 198.51.100.1.
func peer() []model.Object {
	host := func(n uint32, dp string) []model.Object {
		suffix := dp[3:]
		return []model.Object{
			&model.Interface{Meta: model.Meta{UUID: "if-host" + suffix, ID: 500 + n}, Mode: model.InterfaceHost},
			&model.InterfacePort{Meta: model.Meta{UUID: "ifp-host" + suffix, ID: 500 + n}, InterfaceUUID: "if-host" + suffix, DatapathUUID: dp},
			&model.MACLease{Meta: model.Meta{UUID: "ml-host" + suffix, ID: 500 + n}, InterfaceUUID: "if-host" + suffix, MACAddress: mac(200 + byte(n))},
			&model.IPLease{
				Meta: model.Meta{UUID: "il-host" + suffix, ID: 500 + n}, InterfaceUUID: "if-host" + suffix, NetworkUUID: "nw-u", MACLeaseUUID: "ml-host" + suffix,
				IPv4Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}),
			},
		}
	}
	objects := []model.Object{
		&model.Datapath{Meta: model.Meta{UUID: "dp-1", ID: 2}, DPID: 2, NodeID: "node2", MTU: 1500},
		&model.Network{Meta: model.Meta{UUID: "nw-u", ID: 50}, Mode: model.NetworkPhysical, IPv4Network: netip.MustParseAddr("198.51.100.0"), IPv4Prefix: 24},
	}
	objects = append(objects, host(1, "dp-0")...)
	objects = append(objects, host(2, "dp-1")...)
	return append(objects,
		&model.Interface{Meta: model.Meta{UUID: "if-far", ID: 600}, Mode: model.InterfaceVIF},
		&model.InterfacePort{Meta: model.Meta{UUID: "ifp-far", ID: 600}, InterfaceUUID: "if-far", DatapathUUID: "dp-1", PortName: "far"},
		&model.MACLease{Meta: model.Meta{UUID: "ml-far", ID: 600}, InterfaceUUID: "if-far", MACAddress: mac(60)},
		&model.IPLease{Meta: model.Meta{UUID: "il-far", ID: 600}, InterfaceUUID: "if-far", NetworkUUID: "nw-a", MACLeaseUUID: "ml-far", IPv4Address: netip.MustParseAddr("10.0.0.60")},
	)
}

// attached gives an interface with devices outside in network nw-a.
func attached(n int, portName string) []model.Object {
	id := uint32(n)
	uuid := "if-" + string(rune('a'+n))
	return []model.Object{
		&model.Interface{Meta: model.Meta{UUID: uuid, ID: id}, Mode: model.InterfacePromiscuous},
		&model.InterfacePort{Meta: model.Meta{UUID: "ifp-" + uuid[3:], ID: id}, InterfaceUUID: uuid, DatapathUUID: "dp-0", PortName: portName},
		&model.InterfaceNetwork{Meta: model.Meta{UUID: "ifn-" + uuid[3:], ID: id}, InterfaceUUID: uuid, NetworkUUID: "nw-a", Static: true},
	}
}

// Package rig drives Open vSwitch processes with real frames: hosts of a virtual network, each a bridge with a NIC,
// tunnel ports and guests' ports, joined by an underlay that the package plays itself. A frame that is injected at a port
// goes through the bridge's flows in Open vSwitch's userspace datapath, with conntrack, NAT, groups, meters, learn,
// recirculation and encapsulation, over the underlay and through the other hosts, until nothing moves any more; what left
// at which port is given byte for byte. It needs Open vSwitch (3.1 is what it was written against), but neither root, nor
// namespaces, nor devices. It programs no flow: an OpenFlow session with Host.Mgmt does (dataplane/ovs, ofctl/conn). It is
// not a lab: guests have no stacks. Tests and cmd/vnlab import it.
//
// # What is real
//
// The hosts run ovs-vswitchd --enable-dummy=system with datapath_type=dummy, which is dpif-netdev, the datapath of
// production with DPDK, under another name. Only the devices are dummies. (With --enable-dummy=override tunnel ports are
// dummies too, and nothing is encapsulated.) Each host is a process of its own, for routes, neighbours and the listening
// ports of tunnels are global in one.
//
// # How frames go in and out
//
// In by the command netdev-dummy/receive on the control socket, in hexadecimal, out through options:tx_pcap, a file of
// each port that Open vSwitch opens for appending and flushes frame by frame. The streams of dummy devices
// (options:pstream; two bytes of length in network order before each frame) are as exact, but the daemon reads the length
// in one turn of its main loop and the frame in the next, so that they are slower (0.30 against 0.20 ms), and they do not
// tell when no more comes. A frame has at least 14 bytes; nothing is padded. A port's queue holds 100 frames, and one
// leaves it in a turn.
//
// # When a frame is done
//
// Dummy ports have no thread: the main loop runs the datapath (one frame of each port's queue, in whole: upcall,
// translation, recirculation, encapsulation and output happen inline), then the bridges (they send the packet-ins), then the
// control socket's connections in the order in which they were made. Each turn does this, and the answer to a command is
// sent while it is handled. So there are two connections: the older, gate, and the younger, inlet. A frame goes in by
// inlet; a command that is sent by gate after inlet's answer cannot be handled in the same turn, for gate's was already
// over, and in the next turn the datapath comes first. When gate answers, the frame is done, and its packet-ins are in
// the OpenFlow sockets: a session that then has a barrier answered has them all. (On one connection the second command
// is handled in the same turn, before the frame, once in some hundred times.) LOCAL answers ARP requests for its IPv4
// address: that answer is a frame in LOCAL's queue and takes a turn more.
//
// # Caches
//
// The flow caches are real: a flow that is changed reaches cached megaflows when the revalidator thread comes by, for two
// of three next frames too late. revalidator/wait takes up to 500 ms and may end with a round that began before the change.
// revalidator/purge does not stop the thread: an action list that the thread worked out before may be written to a megaflow
// that has been made since (so we explain stale megaflows after 1 of 6,000 changes on a busy machine). upcall/enable-megaflows, whatever is enabled
// already, ends the thread, empties the datapath and starts another, all before it answers: that is Settle. Doing so it
// counts the packets of the caches, which may bring flows of a learn action to life again that have been deleted meanwhile:
// therefore Reset does it first. Flows that a learn action adds are a change like any other. With Options.Uncached
// (other_config:flow-limit=0) there is no cache and no Settle: every frame is translated by the flows as they are. The
// counters of flows follow the caches: they are exact after Settle, with Options.Uncached after every frame.
//
// # Time
//
// With Options.StopClock nothing expires and no meter's bucket refills but by World.Advance (time/stop and time/warp, which
// --enable-dummy brings). Without it times are the clock's.
//
// # What does not work
//
// Conntrack takes fragments of less than 1200 bytes (IPv6: 1280) but for the last for invalid. Those that never become a
// packet cannot be flushed: after 15 s they may come out with another packet, marked invalid; with a stopped clock Reset
// waits until they are gone. A frame that is longer than the MTU of its port, with 14 bytes for Ethernet and 4 for a VLAN
// tag, is dropped there without a trace. The UDP source port of tunnels is a hash that may differ between CPUs. No stack is
// behind LOCAL but that answer to ARP: neighbours are set beforehand, and a solicitation of IPv6 is not answered.
package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// Options describe a World.
type Options struct {
	Hosts     []HostOptions // required; names, MAC addresses and underlay addresses differ
	Router    model.MAC     // optional: the router's between subnets of the underlay; 0: 02:00:5e:00:53:fe
	PacketIns bool          // optional; give the packet-ins in results, for one more round trip for each host and frame
	Uncached  bool          // optional; no flow cache: a changed flow counts for the next frame without Settle
	StopClock bool          // optional; in the switches time passes by Advance only
}

// HostOptions describe a Host.
type HostOptions struct {
	Name      string         // required
	MAC       model.MAC      // required: of LOCAL in the underlay
	MACs      []model.MAC    // optional: further ones for which the underlay brings frames to this host
	Addresses []netip.Prefix // optional: of LOCAL, with the length of the subnet; at most one IPv4 and one IPv6
	Segment   string         // optional: hosts of a segment share a wire; "": those of the first address's subnet do
	Bridge    string         // optional: name of bridge and LOCAL; "": br0
	NIC       Port           // required
	Tunnels   []Tunnel       // optional
	Ports     []Port         // optional: for guests and outside devices
	MTU       int            // optional: of Ports; 0: 1500
	NICMTU    int            // optional: of the NIC and LOCAL; 0: 9000
}

// Port is a port of a bridge.
type Port struct {
	Name   string    // required
	OFPort flow.Port // required
}

// Tunnel is a port whose ends and key come from the flows.
type Tunnel struct {
	Port
	Kind    TunnelKind        // required
	Options map[string]string // optional: besides remote_ip=flow and key=flow, see ovs-vswitchd.conf.db(5)
}

// TunnelKind is an encapsulation, in Open vSwitch's word.
type TunnelKind string

// The encapsulations.
const (
	Geneve TunnelKind = "geneve"
	VXLAN  TunnelKind = "vxlan"
	GRE    TunnelKind = "gre"
)

// World is some hosts and the underlay between them. It is for one goroutine.
type World struct {
	hosts    []*Host
	index    map[string]int
	under    *underlay
	outside  func(frame []byte) bool
	opt      Options
	dir      string
	sessions *errgroup.Group
	stop     context.CancelFunc
	refresh  time.Time     // when the neighbours were set
	advanced time.Duration // by Advance since then
}

// neighbourLife is how long the neighbours are relied on; they are kept for neighbourAge.
const (
	neighbourLife = 30 * time.Minute
	neighbourAge  = time.Hour // the longest that tnl/neigh/aging takes
)

// Start starts the hosts. The daemons die with this program. The caller closes the world. The error carries the end of
// the log of a daemon that failed. ctx is for the start only.
func Start(ctx context.Context, opt Options) (*World, error) {
	if opt.Router == (model.MAC{}) {
		opt.Router = model.MAC{0x02, 0x00, 0x5e, 0x00, 0x53, 0xfe}
	}
	opt.Hosts = slices.Clone(opt.Hosts)
	for i := range opt.Hosts {
		opt.Hosts[i] = opt.Hosts[i].withDefaults()
	}
	under, err := newUnderlay(opt)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		return nil, err
	}
	sessionCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &World{under: under, opt: opt, dir: dir, index: map[string]int{}, sessions: &errgroup.Group{}, stop: stop}
	for i, o := range opt.Hosts {
		w.index[o.Name] = i
		w.hosts = append(w.hosts, &Host{opt: o})
	}
	g, startCtx := errgroup.WithContext(ctx)
	for i, h := range w.hosts {
		g.Go(func() error {
			if err := h.start(startCtx, fmt.Sprintf("%s/%d", dir, i), under.routes(i), opt); err != nil {
				return fmt.Errorf("host %s: %w", h.opt.Name, err)
			}
			w.sessions.Go(func() error { return h.session.Run(sessionCtx) })
			return h.listen(startCtx, opt.PacketIns)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if opt.StopClock {
		err := w.each(ctx, func(ctx context.Context, h *Host) error {
			_, err := h.Control(ctx, "time/stop")
			return err
		})
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	w.refresh = time.Now()
	return w, nil
}

// Close ends the hosts and removes what they left on disk.
func (w *World) Close() error {
	w.stop()
	_ = w.sessions.Wait() // that the context is done
	var errs []error
	for _, h := range w.hosts {
		errs = append(errs, h.close())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// Hosts are the hosts, in the order of the options.
func (w *World) Hosts() []*Host { return slices.Clone(w.hosts) }

// Host is the host of a name, or nil.
func (w *World) Host(name string) *Host {
	if i, ok := w.index[name]; ok {
		return w.hosts[i]
	}
	return nil
}

// each does the same at all hosts at once, to the end: a call that is broken off would cost a host its connection.
func (w *World) each(ctx context.Context, do func(context.Context, *Host) error) error {
	errs := make([]error, len(w.hosts))
	var wg sync.WaitGroup
	for i, h := range w.hosts {
		wg.Go(func() { errs[i] = do(ctx, h) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Settle makes the flows, groups and meters as they are now count for the next frame. The session that changed them must
// have had a barrier answered before. A learn action of packets before may bring back flows that were deleted meanwhile:
// where there are such, Settle before the deletion, too.
func (w *World) Settle(ctx context.Context) error {
	if w.opt.Uncached {
		return nil
	}
	return w.each(ctx, func(ctx context.Context, h *Host) error { return h.forget(ctx) })
}

// FlushConntrack forgets the connections of all hosts.
func (w *World) FlushConntrack(ctx context.Context) error {
	return w.each(ctx, func(ctx context.Context, h *Host) error { return h.flushConntrack(ctx) })
}

// Reset makes the hosts as they were after Start but for statistics of ports: without flows, groups, meters, connections
// and learned MAC addresses. Conntrack's incomplete fragments go only with Options.StopClock, and time passes if there are
// any. A dataplane/ovs.Switch must Sync afterwards.
func (w *World) Reset(ctx context.Context) error {
	w.refresh = time.Now().Add(-neighbourLife) // Open vSwitch learns neighbours from ARP that goes to LOCAL
	if err := w.each(ctx, func(ctx context.Context, h *Host) error { return h.reset(ctx) }); err != nil {
		return err
	}
	for w.opt.StopClock {
		var waiting atomic.Bool
		err := w.each(ctx, func(ctx context.Context, h *Host) error {
			some, err := h.fragments(ctx)
			if some {
				waiting.Store(true)
			}
			return err
		})
		if err != nil || !waiting.Load() {
			return err
		}
		if err := w.Advance(ctx, advanceStep); err != nil {
			return err
		}
	}
	return nil
}

// advanceStep is short against the 60 s of silence after which Open vSwitch asks an OpenFlow session for an echo.
const advanceStep = 50 * time.Second

// Advance lets time pass in the switches, by milliseconds; Options.StopClock is required. What depends on the time when a
// packet comes (meters, expired connections) is as it should be when Advance returns. What threads do from time to time
// (remove idle flows) is done soon after.
func (w *World) Advance(ctx context.Context, d time.Duration) error {
	if !w.opt.StopClock {
		return errors.New("the clock was not stopped")
	}
	w.advanced += d
	return w.each(ctx, func(ctx context.Context, h *Host) error {
		for left := d; left > 0; left -= advanceStep {
			if err := h.advance(ctx, min(left, advanceStep)); err != nil {
				return err
			}
		}
		return nil
	})
}

// neighbours sets the neighbours again before Open vSwitch forgets them.
func (w *World) neighbours(ctx context.Context) error {
	if time.Since(w.refresh)+w.advanced < neighbourLife {
		return nil
	}
	err := w.each(ctx, func(ctx context.Context, h *Host) error {
		return h.neighbours(ctx, w.under.routes(w.index[h.opt.Name]))
	})
	if err == nil {
		w.refresh, w.advanced = time.Now(), 0
	}
	return err
}

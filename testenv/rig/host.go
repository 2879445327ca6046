package rig

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openvnet/openvnet/dataplane/ovs/unixctl"
	"github.com/openvnet/openvnet/ofctl/conn"
	"github.com/openvnet/openvnet/ofctl/flow"
	"github.com/openvnet/openvnet/ofctl/ofp"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/proc"
)

// Host is one Open vSwitch with one bridge. Like its World it is for one goroutine.
type Host struct {
	opt         HostOptions
	instance    *ovs.Instance
	gate, inlet *unixctl.Conn // the older and the younger connection, see the package comment
	session     *conn.Conn
	captures    []*capture // of all ports but tunnels, in the order of ports()
	buf         []byte
}

func (o HostOptions) withDefaults() HostOptions {
	if o.Bridge == "" {
		o.Bridge = "br0"
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.NICMTU == 0 {
		o.NICMTU = 9000
	}
	return o
}

// ports are all: guests' and outside ones, the NIC, LOCAL, tunnels.
func (o HostOptions) ports() []Port {
	ports := append(slices.Clone(o.Ports), o.NIC, Port{o.Bridge, flow.PortLocal})
	for _, t := range o.Tunnels {
		ports = append(ports, t.Port)
	}
	return ports
}

// Name is the host's name.
func (h *Host) Name() string { return h.opt.Name }

// Bridge is the name of the bridge, and of its LOCAL port.
func (h *Host) Bridge() string { return h.opt.Bridge }

// Mgmt is the OpenFlow target of the bridge, for ofctl/conn and dataplane/ovs.
func (h *Host) Mgmt() string { return h.instance.Mgmt(h.opt.Bridge) }

// Session is the rig's own OpenFlow session with the bridge. Its packet-ins go into results.
func (h *Host) Session() *conn.Conn { return h.session }

// Instance is the Open vSwitch.
func (h *Host) Instance() *ovs.Instance { return h.instance }

func (h *Host) start(ctx context.Context, dir string, r routes, opt Options) (err error) {
	h.buf = make([]byte, bufferSize)
	h.instance, err = ovs.Open(ovs.Options{Dir: dir, Dummy: true, Tunnels: true, Session: proc.Tied})
	if err != nil {
		return err
	}
	if err := h.instance.Start(ctx); err != nil {
		return err
	}
	if _, err := h.instance.Vsctl(ctx, h.provision(dir, opt.Uncached)...); err != nil {
		return err
	}
	for _, c := range []**unixctl.Conn{&h.gate, &h.inlet} {
		if *c, err = h.instance.Control(ctx, ovs.Switch); err != nil {
			return err
		}
		if _, err := (*c).Call(ctx, nothing); err != nil { // has been accepted: the next one is younger
			return err
		}
	}
	for _, p := range h.opt.ports()[:len(h.opt.Ports)+2] {
		c, err := openCapture(p.Name, capturePath(dir, p))
		if err != nil {
			return err
		}
		h.captures = append(h.captures, c)
	}
	if err := h.address(ctx, r); err != nil {
		return err
	}
	if opt.Uncached { // at once; what is in the database counts from the next round of the revalidator
		if _, err := h.gate.Call(ctx, "upcall/set-flow-limit", "0"); err != nil {
			return err
		}
	}
	h.session, err = conn.Dial(ctx, h.Mgmt(), conn.Options{EchoInterval: -1})
	return err
}

// capturePath is short and knows no characters of names.
func capturePath(dir string, p Port) string {
	return filepath.Join(dir, fmt.Sprintf("%d.pcap", uint32(p.OFPort)))
}

// provision gives the arguments of ovs-vsctl that make the bridge, in one transaction.
func (h *Host) provision(dir string, uncached bool) []string {
	o := h.opt
	args := []string{
		"add-br", o.Bridge, "--", "set", "bridge", o.Bridge, "datapath_type=dummy", "fail_mode=secure",
		"protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15",
		fmt.Sprintf("other_config:hwaddr=%q", o.MAC), "other_config:disable-in-band=true",
	}
	tx := func(p Port) string { return fmt.Sprintf("options:tx_pcap=%q", capturePath(dir, p)) }
	port := func(p Port, settings ...string) {
		args = append(args, "--", "add-port", o.Bridge, p.Name, "--", "set", "interface", p.Name, fmt.Sprintf("ofport_request=%d", p.OFPort))
		args = append(args, settings...)
	}
	for _, p := range o.Ports {
		port(p, "type=dummy", fmt.Sprintf("mtu_request=%d", o.MTU), tx(p))
	}
	port(o.NIC, "type=dummy", fmt.Sprintf("mtu_request=%d", o.NICMTU), tx(o.NIC))
	for _, t := range o.Tunnels {
		settings := []string{"type=" + string(t.Kind), "options:remote_ip=flow", "options:key=flow"}
		for k, v := range t.Options {
			settings = append(settings, fmt.Sprintf("options:%s=%q", k, v))
		}
		port(t.Port, settings...)
	}
	args = append(args, "--", "set", "interface", o.Bridge, fmt.Sprintf("mtu_request=%d", o.NICMTU), tx(Port{o.Bridge, flow.PortLocal}))
	args = append(args, "--", "set", "open_vswitch", ".", "other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1")
	if uncached {
		args = append(args, "other_config:flow-limit=0")
	}
	return args
}

// address gives LOCAL its addresses, and the process its routes and neighbours.
func (h *Host) address(ctx context.Context, r routes) error {
	call := func(command string, args ...string) error {
		_, err := h.gate.Call(ctx, command, args...)
		return err
	}
	for _, a := range h.opt.Addresses {
		command := "netdev-dummy/ip6addr"
		if a.Addr().Is4() {
			command = "netdev-dummy/ip4addr"
		}
		if err := call(command, h.opt.Bridge, a.String()); err != nil {
			return err
		}
	}
	for _, s := range r.subnets {
		if err := call("ovs/route/add", s.String(), h.opt.Bridge); err != nil {
			return err
		}
	}
	for s, gw := range r.via {
		if err := call("ovs/route/add", s.String(), h.opt.Bridge, gw.String()); err != nil {
			return err
		}
	}
	if err := call("tnl/neigh/aging", fmt.Sprint(int(neighbourAge.Seconds()))); err != nil {
		return err
	}
	return h.neighbours(ctx, r)
}

func (h *Host) neighbours(ctx context.Context, r routes) error {
	for a, m := range r.neighbours {
		if _, err := h.gate.Call(ctx, "tnl/neigh/set", h.opt.Bridge, a.String(), m.String()); err != nil {
			return err
		}
	}
	return nil
}

// listen asks for packet-ins, which without it go to nobody.
func (h *Host) listen(ctx context.Context, packetIns bool) error {
	if !packetIns {
		return nil
	}
	return h.session.Listen(ctx, 0)
}

func (h *Host) close() error {
	var errs []error
	for _, c := range []*unixctl.Conn{h.gate, h.inlet} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	for _, c := range h.captures {
		errs = append(errs, c.file.Close())
	}
	if h.instance != nil {
		errs = append(errs, h.instance.Kill(context.Background()))
	}
	return errors.Join(errs...)
}

// Control runs a command of ovs-appctl, such as "dpctl/dump-conntrack", and gives its output.
func (h *Host) Control(ctx context.Context, command string, args ...string) (string, error) {
	out, err := h.gate.Call(ctx, command, args...)
	return out, h.explain(err)
}

// Trace asks ofproto/trace what the bridge does with a packet in the syntax of ovs-fields(7). Each ctNext is the state
// that a conntrack lookup finds, in order, such as "trk,est"; without it is "trk,new".
func (h *Host) Trace(ctx context.Context, packet string, ctNext ...string) (string, error) {
	return h.trace(ctx, []string{h.opt.Bridge, packet}, ctNext)
}

// TraceFrame is Trace for a frame that comes in at a port.
func (h *Host) TraceFrame(ctx context.Context, port string, frame []byte, ctNext ...string) (string, error) {
	i := slices.IndexFunc(h.opt.ports(), func(p Port) bool { return p.Name == port })
	if i < 0 {
		return "", fmt.Errorf("host %s has no port %s", h.opt.Name, port)
	}
	args := []string{h.opt.Bridge, "in_port=" + h.opt.ports()[i].OFPort.String(), hex.EncodeToString(frame)}
	return h.trace(ctx, args, ctNext)
}

func (h *Host) trace(ctx context.Context, args, ctNext []string) (string, error) {
	for _, s := range ctNext {
		args = append(args, "--ct-next", s)
	}
	return h.Control(ctx, "ofproto/trace", args...)
}

// send puts a frame in at a port and gives what left when the frame was done.
func (h *Host) send(ctx context.Context, port string, frame []byte) ([]arrival, error) {
	if len(frame) < 14 {
		return nil, fmt.Errorf("a frame of %d bytes has no Ethernet header", len(frame))
	}
	return h.turn(ctx, "netdev-dummy/receive", port, hex.EncodeToString(frame))
}

// collect gives the frames that have left since the last call.
func (h *Host) collect(ctx context.Context) ([]arrival, error) { return h.turn(ctx, nothing) }

// nothing is the shortest command.
const nothing = "version"

// turn runs a command, waits for a whole turn of the main loop, and gives the frames that have left, port by port. The
// command must be inlet's and the wait gate's, see the package comment: two calls of gate may be handled in one turn.
func (h *Host) turn(ctx context.Context, command string, args ...string) ([]arrival, error) {
	var left []arrival
	for again := true; again; command, args = nothing, nil {
		if _, err := h.inlet.Call(ctx, command, args...); err != nil {
			return nil, h.explain(err)
		}
		if _, err := h.gate.Call(ctx, nothing); err != nil {
			return nil, h.explain(err)
		}
		again = false
		for _, c := range h.captures {
			frames, err := c.next(h.buf)
			if err != nil {
				return nil, err
			}
			for _, f := range frames {
				left = append(left, arrival{port: c.port, frame: f})
				// The answer of LOCAL to an ARP request is done in the next turn.
				again = again || c.port == h.opt.Bridge && len(f) >= 14 && f[12] == 0x08 && f[13] == 0x06
			}
		}
	}
	return left, nil
}

// packetIns gives the packet-ins up to now.
func (h *Host) packetIns(ctx context.Context) ([]*ofp.PacketIn, error) {
	if err := h.session.Barrier(ctx); err != nil {
		return nil, h.explain(err)
	}
	if n := h.session.Counters().DroppedPacketIns; n > 0 {
		return nil, fmt.Errorf("%d packet-ins were lost: they were not taken", n)
	}
	var all []*ofp.PacketIn
	for {
		select {
		case p, ok := <-h.session.PacketIns():
			if !ok {
				return all, conn.ErrClosed
			}
			all = append(all, p)
		default:
			return all, nil
		}
	}
}

// forget empties the flow caches, see the package comment.
func (h *Host) forget(ctx context.Context) error {
	_, err := h.Control(ctx, "upcall/enable-megaflows")
	return err
}

func (h *Host) flushConntrack(ctx context.Context) error {
	_, err := h.Control(ctx, "dpctl/flush-conntrack")
	return err
}

func (h *Host) reset(ctx context.Context) error {
	if err := h.forget(ctx); err != nil { // first, see the package comment
		return err
	}
	err := h.session.Send(ctx, []ofp.Message{
		&ofp.FlowMod{Command: ofp.FlowDelete, Flow: flow.Flow{Table: ofp.TableAll}},
		&ofp.GroupMod{Command: ofp.GroupDelete, Group: flow.Group{ID: ofp.GroupAll}},
		&ofp.MeterMod{Command: ofp.MeterDelete, Meter: flow.Meter{ID: ofp.MeterAll}},
	})
	if err != nil {
		return h.explain(err)
	}
	if _, err := h.Control(ctx, "fdb/flush", h.opt.Bridge); err != nil {
		return err
	}
	if err := h.flushConntrack(ctx); err != nil {
		return err
	}
	if _, err := h.collect(ctx); err != nil {
		return err
	}
	for _, c := range h.captures {
		if err := c.truncate(); err != nil {
			return err
		}
	}
	return nil
}

// noFragments is the line of dpctl/ipf-get-status that says that none waits.
const noFragments = "num frag: 0\n"

// fragments tells whether conntrack holds fragments that wait for others.
func (h *Host) fragments(ctx context.Context) (bool, error) {
	out, err := h.Control(ctx, "dpctl/ipf-get-status")
	return !strings.Contains(out, noFragments), err
}

// advance lets time pass, in one step.
func (h *Host) advance(ctx context.Context, d time.Duration) error {
	if _, err := h.Control(ctx, "time/warp", fmt.Sprint(d.Milliseconds())); err != nil {
		return err
	}
	// The bridge has seen the new time after a turn, and heard of the session after a barrier. Frames that leave
	// are kept for the next turn that collects.
	if _, err := h.inlet.Call(ctx, nothing); err != nil {
		return h.explain(err)
	}
	if _, err := h.gate.Call(ctx, nothing); err != nil {
		return h.explain(err)
	}
	return h.explain(h.session.Barrier(ctx))
}

// explain adds to an error the end of the daemon's log if the daemon is gone.
func (h *Host) explain(err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("host %s: %w", h.opt.Name, err)
	if r, loadErr := h.instance.Record(ovs.Switch); loadErr == nil && !r.Alive() {
		err = fmt.Errorf("%w; ovs-vswitchd is gone, its log ends with:\n%s", err, strings.TrimSpace(ovs.Tail(h.instance.Log(ovs.Switch), 5)))
	}
	return err
}

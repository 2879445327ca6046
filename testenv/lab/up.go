package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/deploy"
	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
)

// Options say how a lab is built.
type Options struct {
	Root     string      // optional; DefaultRoot
	API      string      // optional; DefaultAPI: where the manager answers on this machine
	Bin      string      // optional; the directory of vnmgr and vna; by default that of the running program, else $PATH
	Agents   Agents      // optional; StartAgents
	Existing Existing    // optional; Refuse
	Progress func(Event) // optional; called as things happen, from several goroutines
}

// Agents says whether the product's processes are started.
type Agents int

// The choices about agents.
const (
	StartAgents Agents = iota
	NoAgents
)

// Existing says what becomes of a whole lab of the same name. A half built one is always removed.
type Existing int

// The choices about an existing lab.
const (
	Refuse Existing = iota
	Replace
)

// Event is a step of Up or Down that is done.
type Event struct {
	Elapsed time.Duration // since Up or Down was called
	Node    string        // "" for the lab as a whole
	Text    string
}

// build is a lab while it is being built.
type build struct {
	*Lab
	net  *netns.NS // the underlays
	legs atomic.Int32
	say  func(node, format string, args ...any)
}

// Up builds a lab and returns when every Open vSwitch answers and guests are plugged in; DHCP clients and agents have
// been started by then, and no more is waited for. When it fails or ctx ends, everything is removed again. Leftovers
// of an interrupted lab of the same name are removed first.
func Up(ctx context.Context, spec Spec, o Options) (*Lab, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("lab %s:\n%w", spec.Name, err)
	}
	l := newLab(o.Root, spec.Name)
	b := &build{Lab: l, say: sayer(o.Progress)}
	unlock, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.clearOld(ctx, o.Existing); err != nil {
		unlock(false)
		return nil, err
	}
	l.st = state{Phase: phaseStarting, Created: time.Now().UTC(), API: o.API, Bin: o.Bin, Placement: map[string]string{}, Spec: spec}
	if l.st.API == "" {
		l.st.API = DefaultAPI
	}
	l.st.Datapath = chooseDatapath(ctx)
	if err := l.requirements(o.Agents); err != nil {
		unlock(true)
		return nil, err
	}
	if err := b.all(ctx, o.Agents); err != nil {
		b.say("", "failed, removing what was built")
		switch ctx.Err() {
		case context.Canceled: // what failed failed because of that
			err = context.Cause(ctx)
		case context.DeadlineExceeded:
			err = fmt.Errorf("%w; still under way: %w", context.Cause(ctx), err)
		}
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, l.sweep(undo))
		unlock(true)
		return nil, fmt.Errorf("bring lab %s up: %w", spec.Name, err)
	}
	unlock(false)
	b.say("", "up")
	return l, nil
}

func sayer(progress func(Event)) func(node, format string, args ...any) {
	start := time.Now()
	return func(node, format string, args ...any) {
		if progress != nil {
			progress(Event{time.Since(start), node, fmt.Sprintf(format, args...)})
		}
	}
}

// clearOld removes leftovers, or refuses when the lab is whole.
func (b *build) clearOld(ctx context.Context, existing Existing) error {
	err := b.load()
	if err == nil && b.st.Phase == phaseUp && existing == Refuse {
		return fmt.Errorf("%w: %s", ErrIsUp, b.Name())
	}
	left, err2 := b.leftovers()
	if err2 != nil {
		return err2
	}
	if !left {
		return nil
	}
	b.say("", "removing what is left of an earlier lab")
	return b.sweep(ctx)
}

// requirements checks before anything is touched that the programs are there and the manager's address is free.
func (l *Lab) requirements(agents Agents) error {
	need := append([]string{"sh", "ip"}, ovs.Programs...)
	for _, ip := range l.st.Spec.ips() {
		if ip.DHCP {
			need = append(need, ip.DHCPClient)
		}
	}
	var missing []string
	for _, p := range need {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs missing in $PATH: %s", strings.Join(missing, ", "))
	}
	if os.Geteuid() != 0 {
		return errors.New("labs need root: they create network namespaces")
	}
	if agents == NoAgents {
		return nil
	}
	for _, p := range []string{managerName, agentName} {
		if _, err := l.binary(p); err != nil {
			return err
		}
	}
	probe, err := net.Listen("tcp", l.st.API)
	if err != nil {
		return fmt.Errorf("the manager cannot listen on %s: %w; name another address, or start no agents", l.st.API, err)
	}
	return probe.Close()
}

func (s *Spec) ips() []IP {
	var ips []IP
	for _, g := range s.Guests {
		ips = append(ips, g.IP)
	}
	for _, m := range s.Machines {
		ips = append(ips, m.IP)
	}
	return ips
}

func (b *build) all(ctx context.Context, agents Agents) error {
	if err := b.files(); err != nil {
		return err
	}
	net, err := b.buildNet()
	if err != nil {
		return err
	}
	defer net.Close()
	b.net = net
	b.say("", "%d underlays, management network %v", len(b.st.Spec.Underlays), b.st.Spec.Management)
	for _, g := range b.st.Spec.Guests {
		b.st.Placement[g.Name] = g.Host
	}
	if err := b.save(); err != nil {
		return err
	}
	if agents == StartAgents {
		if err := b.startManager(); err != nil {
			return err
		}
		b.say(managerName, "started on %s", b.st.API)
	}
	// Everything below waits for other processes or for the kernel's locks most of the time.
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range b.st.Spec.Hosts {
		g.Go(func() error { return b.host(ctx, i, agents) })
	}
	for _, r := range b.st.Spec.Routers {
		g.Go(func() error { return b.router(ctx, r) })
	}
	for _, m := range b.st.Spec.Machines {
		g.Go(func() error { return b.machine(ctx, m) })
	}
	for _, guest := range b.st.Spec.Guests {
		if guest.Host == "" {
			g.Go(func() error { return b.unpluggedGuest(ctx, guest) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	b.reportEnded()
	b.st.Phase = phaseUp
	return b.save()
}

// reportEnded tells of processes of the product that have ended already. That does not fail the lab, in which they
// can be looked into.
func (b *build) reportEnded() {
	nodes := []string{managerName}
	for _, h := range b.st.Spec.Hosts {
		nodes = append(nodes, h.Name)
	}
	for _, node := range nodes {
		for _, c := range []Component{Manager, Agent} {
			if r, err := b.Record(node, c); err == nil && !r.Alive() {
				b.say(node, "WARNING: %s has ended: %s", c, ovs.Tail(r.Log, 1))
			}
		}
	}
}

// files makes the lab's directory, with its bpffs and the scripts.
func (b *build) files() error {
	if err := os.MkdirAll(b.path(bpffsDir), 0o755); err != nil {
		return err
	}
	if err := b.save(); err != nil { // from here on a crash is recognised as one
		return err
	}
	if err := unix.Mount("bpf", b.path(bpffsDir), "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount a bpffs on %s: %w", b.path(bpffsDir), err)
	}
	if err := os.MkdirAll(b.path(scriptsDir), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"host.sh": deploy.HostScript, "dhcp-script.sh": deploy.DHCPScript, "dhclient.conf": deploy.DHClientConfig,
	} {
		if err := os.WriteFile(b.path(scriptsDir, name), []byte(content), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// node makes the namespace and the directory of a node.
func (b *build) node(ctx context.Context, name string, settings ...netns.Setting) (*netns.NS, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(b.Dir(name), 0o755); err != nil {
		return nil, err
	}
	ns, err := netns.Create(b.nsName(name))
	if err != nil {
		return nil, err
	}
	if err := ns.Sysctl(settings...); err != nil {
		ns.Close()
		return nil, err
	}
	return ns, nil
}

// leg plugs a new link of a node into an underlay and leaves the node's end down. The bridge's end is named after the
// node where that fits.
func (b *build) leg(e end, node, bridge string) error {
	port := end{ns: b.net, name: node + "." + e.name, mtu: e.mtu}
	if len(port.name) > 15 {
		port.name = fmt.Sprintf("p..%d", b.legs.Add(1))
	}
	if err := cable(e, port); err != nil {
		return err
	}
	return port.up(bridge)
}

func (b *build) router(ctx context.Context, r Router) error {
	ns, err := b.node(ctx, r.Name,
		netns.Setting{Name: "net/ipv4/ip_forward", Value: "1"},
		netns.Setting{Name: "net/ipv6/conf/all/forwarding", Value: "1"},
		netns.Setting{Name: "net/ipv4/conf/all/rp_filter", Value: "0"},
		netns.Setting{Name: "net/ipv4/conf/default/rp_filter", Value: "0"},
	)
	if err != nil {
		return err
	}
	defer ns.Close()
	routes := b.st.Spec.routes(r)
	for _, leg := range r.Legs {
		u := b.st.Spec.underlay(leg.Underlay)
		e := end{ns: ns, name: u.Name, mtu: u.MTU}
		if err := b.leg(e, r.Name, u.Name); err != nil {
			return err
		}
		if err := errors.Join(b.offload(e), e.up(""), e.setAddresses(noDAD, u.on(leg.Addresses)...)); err != nil {
			return err
		}
	}
	for leg, routes := range routes { // when all legs are up, so that every next router is on a connected network
		if err := (end{ns: ns, name: leg}).setRoutes(routes...); err != nil {
			return err
		}
	}
	b.say(r.Name, "router ready")
	return nil
}

// on gives addresses the lengths of the underlay's prefixes.
func (u *Underlay) on(addrs []netip.Addr) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(addrs))
	for _, a := range addrs {
		p, _ := u.prefixOf(a) // validated
		out = append(out, netip.PrefixFrom(a, p.Bits()))
	}
	return out
}

func (b *build) machine(ctx context.Context, m Machine) error {
	ns, err := b.node(ctx, m.Name)
	if err != nil {
		return err
	}
	defer ns.Close()
	e := end{ns: ns, name: guestNIC, mac: m.MAC, mtu: m.MTU}
	if err := b.leg(e, m.Name, m.Underlay); err != nil {
		return err
	}
	if err := b.offload(e); err != nil {
		return err
	}
	if m.VLAN != 0 { // before the link is up: no frame may leave without the tag
		if err := tag(ns, e.name, uint16(m.VLAN), b.path(bpffsDir, m.Name)); err != nil {
			return err
		}
	}
	via := m.Gateways
	if len(via) == 0 && m.VLAN == 0 && len(m.Addresses) > 0 {
		via = reachable(b.st.Spec.gateways(m.Underlay), m.Addresses)
	}
	if err := errors.Join(e.up(""), e.setAddresses(noDAD, m.Addresses...), e.setRoutes(defaults(via)...)); err != nil {
		return err
	}
	if m.DHCP {
		if err := b.startDHCP(m.Name, m.DHCPClient, ns); err != nil {
			return err
		}
	}
	b.say(m.Name, "machine on underlay %s ready", m.Underlay)
	return nil
}

// reachable leaves out the routers that are in the subnet of no address.
func reachable(routers []netip.Addr, addrs []netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for _, r := range routers {
		for _, a := range addrs {
			if a.Contains(r) {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

func defaults(via []netip.Addr) []route {
	routes := make([]route, len(via))
	for i, v := range via {
		routes[i] = route{via: v}
	}
	return routes
}

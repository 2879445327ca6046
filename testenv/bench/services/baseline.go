package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/ovs"
	"github.com/openvnet/openvnet/testenv/proc"
	"github.com/openvnet/openvnet/testenv/wait"
)

// bridge is the baseline: a Linux bridge with guests on it and dnsmasq behind its own address, as an administrator would build it by hand.
// The names hold the tag of a lab, so that what a killed run has left is replaced.
type bridge struct {
	tag     string
	bin     string // directory of vnlab
	dir     string
	host    *netns.NS
	guests  []*netns.NS
	servers map[string]proc.Record
	ended   func() // ends the server of the names that dnsmasq does not know
}

const bridgeName = "br"

func (b *bridge) nsName(node string) string { return "vs" + b.tag + "-" + node }

// start returns when all guests are on the bridge and dnsmasq has started.
func (b *bridge) start(ctx context.Context, guests int) (err error) {
	if b.dir, err = os.MkdirTemp("/tmp", "vns"); err != nil {
		return err
	}
	b.servers = map[string]proc.Record{}
	if err := b.makeHost(); err != nil {
		return fmt.Errorf("make the bridge: %w", err)
	}
	for n := range guests {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := b.makeGuest(n); err != nil {
			return fmt.Errorf("put guest %d on the bridge: %w", n, err)
		}
	}
	if b.ended, err = serveUpstream(ctx, b.host); err != nil {
		return err
	}
	err = errors.Join(b.startDNSmasq(guests), b.serve(nethttp, filepath.Join(b.bin, "vnlab"), "bench", "services", "--web", netip.AddrPortFrom(metadata4, httpPort).String()))
	if err != nil {
		return err
	}
	return b.listening(ctx)
}

// quiet is what guests of both worlds have set: they ask through the benchmark's sockets only, and take nothing of the answers.
func quiet(nic string) []netns.Setting {
	at := "net/ipv6/conf/" + nic + "/"
	return []netns.Setting{{Name: at + "accept_ra", Value: "0"}, {Name: at + "router_solicitations", Value: "0"}}
}

// space makes a namespace, in place of one that was left.
func (b *bridge) space(node string) (*netns.NS, error) {
	name := b.nsName(node)
	if err := netns.Delete(name); err != nil {
		return nil, err
	}
	ns, err := netns.Create(name)
	if err != nil {
		return nil, err
	}
	settings := append(quiet("default"), netns.Setting{Name: "net/ipv6/conf/default/accept_dad", Value: "0"})
	if err := ns.Sysctl(settings...); err != nil {
		return nil, errors.Join(err, ns.Close(), netns.Delete(name))
	}
	return ns, nil
}

// makeHost makes the bridge, past no packet filter.
func (b *bridge) makeHost() (err error) {
	if b.host, err = b.space("host"); err != nil {
		return err
	}
	for _, f := range []string{"iptables", "ip6tables", "arptables"} { // kernels without br_netfilter have no such file
		err := b.host.Sysctl(netns.Setting{Name: "net/bridge/bridge-nf-call-" + f, Value: "0"})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return b.host.Link(func(h *netlink.Handle) error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName, HardwareAddr: serverMAC[:]}}
		err := errors.Join(h.LinkAdd(br), h.LinkSetUp(br))
		return errors.Join(err, setAddresses(h, br, netip.PrefixFrom(metadata4, 32), netip.PrefixFrom(server4, subnet4.Bits()), netip.PrefixFrom(server6, subnet6.Bits())))
	})
}

// makeGuest makes a namespace whose eth0 is on the bridge. What guests send to all goes to the bridge's own address only: the ports are
// isolated from each other, so that no copy for each guest is in the way of the server.
func (b *bridge) makeGuest(n int) error {
	ns, err := b.space(guestName(n))
	if err != nil {
		return err
	}
	b.guests = append(b.guests, ns)
	err = b.host.Link(func(h *netlink.Handle) error {
		mac := guestMAC(n)
		cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: guestName(n)}, PeerName: guestNIC, PeerHardwareAddr: mac[:], PeerNamespace: netlink.NsFd(ns.FD())}
		if err := h.LinkAdd(cable); err != nil {
			return err
		}
		master, err := h.LinkByName(bridgeName)
		if err != nil {
			return err
		}
		// dnsmasq looks for the MAC address of each client of DHCPv6, and waits 0.1 s and longer where it is not known.
		known := &netlink.Neigh{LinkIndex: master.Attrs().Index, IP: linkLocal(mac).AsSlice(), HardwareAddr: mac[:], State: netlink.NUD_PERMANENT}
		return errors.Join(h.LinkSetMaster(cable, master), h.LinkSetIsolated(cable, true), h.LinkSetUp(cable), h.NeighSet(known))
	})
	if err != nil {
		return err
	}
	return ns.Link(func(h *netlink.Handle) error {
		nic, err := h.LinkByName(guestNIC)
		if err != nil {
			return err
		}
		return errors.Join(h.LinkSetUp(nic), setAddresses(h, nic, addresses(n)...), routeMetadata(h, nic))
	})
}

func setAddresses(h *netlink.Handle, link netlink.Link, all ...netip.Prefix) error {
	for _, p := range all {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if err := h.AddrReplace(link, a); err != nil {
			return fmt.Errorf("add %s: %w", p, err)
		}
	}
	return nil
}

// startDNSmasq starts it with a reservation and a name for each guest. Nothing is logged for each question, and no lease is written to a file.
func (b *bridge) startDNSmasq(guests int) error {
	var conf strings.Builder
	fmt.Fprintf(&conf, `user=root
interface=%s
bind-interfaces
except-interface=lo
no-resolv
server=%s
no-hosts
domain=%s
dhcp-range=%s,static,255.255.0.0,1h
dhcp-range=%s,static,%d,1h
dhcp-rapid-commit
leasefile-ro
dhcp-lease-max=%d
dhcp-authoritative
no-ping
enable-ra
quiet-dhcp
quiet-dhcp6
quiet-ra
cache-size=10000
dns-forward-max=1000
`, bridgeName, upstream, domain, subnet4.Addr(), subnet6.Addr(), subnet6.Bits(), 2*maxGuests)
	for n := range guests {
		fmt.Fprintf(&conf, "dhcp-host=%s,%s\n", guestMAC(n), guest4(n))
		fmt.Fprintf(&conf, "dhcp-host=id:%s,[%s]\n", hexColons(duid(n)), guest6(n))
		fmt.Fprintf(&conf, "host-record=%s.%s,%s,%s\n", guestName(n), domain, guest4(n), guest6(n))
	}
	file := filepath.Join(b.dir, "dnsmasq.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		return err
	}
	return b.serve(dnsmasq, dnsmasq, "--keep-in-foreground", "--conf-file="+file, "--pid-file="+filepath.Join(b.dir, "dnsmasq.pid"), "--log-facility=-")
}

// serve starts a server in the bridge's namespace.
func (b *bridge) serve(name string, args ...string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	args[0], err = filepath.Abs(path)
	if err != nil {
		return err
	}
	r, err := proc.Start(proc.Spec{
		Args: args, Log: filepath.Join(b.dir, name+".log"), Record: filepath.Join(b.dir, name+".json"), NS: b.host, Session: proc.Tied,
	})
	if err != nil {
		return err
	}
	b.servers[name] = r
	return nil
}

// listening waits until both servers take connections.
func (b *bridge) listening(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("not within 10 s"))
	defer cancel()
	for _, a := range []netip.AddrPort{netip.AddrPortFrom(server4, dnsPort), netip.AddrPortFrom(metadata4, httpPort)} {
		err := wait.Until(ctx, 0, func() error {
			return b.host.Do(func() error {
				c, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.String())
				if err != nil {
					return err
				}
				return c.Close()
			})
		})
		if err != nil {
			return fmt.Errorf("the server at %s: %w", a, err)
		}
	}
	return nil
}

// logs gives the ends of what the servers have said.
func (b *bridge) logs() string {
	var all strings.Builder
	for name, r := range b.servers {
		fmt.Fprintf(&all, "%s:\n%s\n", name, ovs.Tail(r.Log, 10))
	}
	return all.String()
}

func (b *bridge) do(guest int, fn func() error) error { return b.guests[guest].Do(fn) }

func (b *bridge) cpu() (map[string]time.Duration, error) {
	var used time.Duration
	for _, r := range b.servers {
		own, err := proc.CPUTime(r.PID)
		if err != nil {
			return nil, err
		}
		ended, err := proc.ChildrenCPUTime(r.PID)
		if err != nil {
			return nil, err
		}
		used += own + ended
	}
	return map[string]time.Duration{"server": used}, nil
}

// remove ends the servers and removes the namespaces, and with them all that is in them.
func (b *bridge) remove(ctx context.Context) error {
	var errs []error
	if b.ended != nil {
		b.ended()
	}
	for _, r := range b.servers {
		errs = append(errs, r.Kill(ctx))
	}
	for _, ns := range append(b.guests, b.host) {
		if ns != nil {
			errs = append(errs, ns.Close(), netns.Delete(ns.Name()))
		}
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}

// hexColons is how dnsmasq's configuration has bytes.
func hexColons(b []byte) string { return net.HardwareAddr(b).String() }

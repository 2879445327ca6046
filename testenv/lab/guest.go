package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/openvnet/openvnet/testenv/netns"
	"github.com/openvnet/openvnet/testenv/proc"
)

// guestLink makes a guest's namespace and its cable; the far end is up, but on no bridge yet. Its MTU is not the
// guest's where that is less: Open vSwitch gives its bridge the least MTU of the ports.
func (b *build) guestLink(ctx context.Context, g Guest, far end) error {
	ns, err := b.node(ctx, g.Name)
	if err != nil {
		return err
	}
	defer ns.Close()
	near := end{ns: ns, name: guestNIC, mac: g.MAC, mtu: g.MTU}
	far.mtu = max(g.MTU, 1500)
	if g.Live {
		err = b.liveCable(g, near, far)
	} else {
		err = cable(near, far)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(far.quiet(), b.offload(near), far.up(""), near.up("")); err != nil {
		return err
	}
	return errors.Join(near.setAddresses(withDAD, g.Addresses...), near.setRoutes(defaults(g.Gateways)...))
}

// quiet keeps the kernel from answering ARP on the host's end of a guest's cable.
func (e end) quiet() error {
	return e.ns.Link(func(h *netlink.Handle) error {
		link, err := h.LinkByName(e.name)
		if err != nil {
			return fmt.Errorf("%s in %s: %w", e.name, e.ns.Name(), err)
		}
		return h.LinkSetARPOff(link)
	})
}

func (b *build) unpluggedGuest(ctx context.Context, g Guest) error {
	if err := b.guestLink(ctx, g, end{ns: b.net, name: b.parkName(g.Name)}); err != nil {
		return err
	}
	return b.finishGuest(ctx, g)
}

// finishGuest starts what runs inside a guest once it is plugged in.
func (b *build) finishGuest(ctx context.Context, g Guest) error {
	if g.DHCP {
		ns, err := b.open(g.Name)
		if err != nil {
			return err
		}
		defer ns.Close()
		if err := b.startDHCP(g.Name, g.DHCPClient, ns); err != nil {
			return err
		}
	}
	where := "unplugged"
	if g.Host != "" {
		where = "plugged into " + g.Host + " as " + g.Port
	}
	b.say(g.Name, "guest %s", where)
	return nil
}

// startDHCP starts a DHCP client on a node's eth0.
func (l *Lab) startDHCP(node, client string, ns *netns.NS) error {
	etc := filepath.Join(netns.EtcDir, ns.Name())
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	resolv := filepath.Join(etc, "resolv.conf")
	if f, err := os.OpenFile(resolv, os.O_CREATE, 0o644); err != nil {
		return err
	} else if err := f.Close(); err != nil {
		return err
	}
	script, dir := l.path(scriptsDir, "dhcp-script.sh"), l.Dir(node)
	env := append(l.mark(), "RESOLV_CONF="+resolv)
	var args []string
	switch client {
	case "dhclient":
		args = []string{
			"dhclient", "-4", "-d", "-sf", script, "-cf", l.path(scriptsDir, "dhclient.conf"), "-lf", filepath.Join(dir, "leases"),
			"-pf", filepath.Join(dir, "dhclient.pid"), "-e", "RESOLV_CONF=" + resolv, guestNIC,
		}
	default:
		// A request each second: the server may be configured long after the guest has started.
		args = []string{
			"udhcpc", "-f", "-i", guestNIC, "-s", script, "-O", "staticroutes", "-O", "mtu", "-t", "3", "-T", "1", "-A", "1",
			"-x", "hostname:" + node,
		}
	}
	_, err := proc.Start(proc.Spec{
		Args: args, Env: env, Log: filepath.Join(dir, "dhcp.log"), Record: filepath.Join(dir, "dhcp.json"), NS: ns,
	})
	return err
}

// parkName is the name of the far end of a guest's cable while it is unplugged, unique in the lab.
func (l *Lab) parkName(guest string) string {
	i := slices.IndexFunc(l.st.Spec.Guests, func(g Guest) bool { return g.Name == guest })
	return fmt.Sprintf("g..%d", i)
}

// Attach plugs a guest into a host, after unplugging it from another: a move. The guest's own end keeps its
// addresses; its carrier goes and comes back.
func (l *Lab) Attach(ctx context.Context, guest, host string) error {
	return l.replug(ctx, guest, host)
}

// Detach unplugs a guest. Its namespace and processes stay.
func (l *Lab) Detach(ctx context.Context, guest string) error {
	return l.replug(ctx, guest, "")
}

func (l *Lab) replug(ctx context.Context, guest, host string) error {
	unlock, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock(false)
	if err := l.load(); err != nil { // another program may have changed it
		return err
	}
	g := l.st.Spec.guest(guest)
	if g == nil {
		return fmt.Errorf("lab %s has no guest %q", l.Name(), guest)
	}
	to := l.st.Spec.host(host)
	if host != "" && to == nil {
		return fmt.Errorf("lab %s has no host %q", l.Name(), host)
	}
	if host == l.st.Placement[guest] {
		return nil
	}
	for other, at := range l.st.Placement {
		if host != "" && at == host && l.st.Spec.guest(other).Port == g.Port {
			return fmt.Errorf("host %s has a port %s already, of guest %s", host, g.Port, other)
		}
	}
	if err := l.unplug(ctx, g); err != nil {
		return fmt.Errorf("unplug guest %s: %w", guest, err)
	}
	if to != nil {
		if err := l.plug(ctx, g, to); err != nil {
			return fmt.Errorf("plug guest %s into %s: %w", guest, host, err)
		}
	}
	return nil
}

// unplug takes the port off the bridge and parks the cable's end.
func (l *Lab) unplug(ctx context.Context, g *Guest) error {
	at := l.st.Placement[g.Name]
	if at == "" {
		return nil
	}
	sw, err := l.instance(at, nil)
	if err != nil {
		return err
	}
	if _, err := sw.Vsctl(ctx, "--if-exists", "del-port", bridgeName, g.Port); err != nil {
		return err
	}
	if err := l.moveEnd(at, g.Port, "", l.parkName(g.Name)); err != nil {
		return err
	}
	l.st.Placement[g.Name] = ""
	return l.save()
}

func (l *Lab) plug(ctx context.Context, g *Guest, h *Host) error {
	if err := l.moveEnd("", l.parkName(g.Name), h.Name, g.Port); err != nil {
		return err
	}
	l.st.Placement[g.Name] = h.Name
	return errors.Join(l.save(), l.addPorts(ctx, h, []Guest{*g}))
}

// moveEnd moves a link between hosts, "" being the parking place, under a name that is free on both sides.
func (l *Lab) moveEnd(from, name, to, newName string) error {
	open := func(node string) (*netns.NS, error) {
		if node == "" {
			return netns.Open(l.netName())
		}
		return l.open(node)
	}
	src, err := open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := open(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	transit := name
	if to == "" {
		transit = newName
	}
	err = src.Link(func(h *netlink.Handle) error {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		return errors.Join(h.LinkSetDown(link), h.LinkSetName(link, transit), h.LinkSetNsFd(link, dst.FD()))
	})
	if err != nil {
		return fmt.Errorf("move %s out of %s: %w", name, src.Name(), err)
	}
	err = dst.Link(func(h *netlink.Handle) error {
		link, err := h.LinkByName(transit)
		if err != nil {
			return err
		}
		return errors.Join(h.LinkSetName(link, newName), h.LinkSetUp(link))
	})
	if err != nil {
		return fmt.Errorf("name %s %s in %s: %w", transit, newName, dst.Name(), err)
	}
	return nil
}

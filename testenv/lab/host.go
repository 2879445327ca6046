package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/openvnet/openvnet/testenv/netns"
)

// host builds one host with its guests.
func (b *build) host(ctx context.Context, index int, agents Agents) error {
	h := &b.st.Spec.Hosts[index]
	ns, err := b.node(ctx, h.Name,
		// The kernel must handle no frame of a port of the bridge, whose copy Open vSwitch has: no IPv6 there, no
		// IPv4 without a route back, and no ARP for an address of another interface. host.sh switches IPv6 on for
		// br0.
		netns.Setting{Name: "net/ipv6/conf/default/disable_ipv6", Value: "1"},
		netns.Setting{Name: "net/ipv4/conf/default/rp_filter", Value: "1"},
		netns.Setting{Name: "net/ipv4/conf/all/arp_ignore", Value: "1"},
		netns.Setting{Name: "net/ipv4/ip_forward", Value: "0"},
	)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := os.Mkdir(b.path(bpffsDir, h.Name), 0o700); err != nil {
		return err
	}
	mgmt := end{ns: ns, name: mgmtNIC, mtu: 1500}
	if err := b.leg(mgmt, h.Name, managementBridge); err != nil {
		return err
	}
	if err := mgmt.up(""); err != nil {
		return err
	}
	if err := mgmt.setAddresses(noDAD, netip.PrefixFrom(b.hostAddr(index), b.st.Spec.Management.Bits())); err != nil {
		return err
	}
	for _, n := range h.NICs {
		if err := b.leg(end{ns: ns, name: n.Name, mac: n.MAC, mtu: b.st.Spec.underlay(n.Underlay).MTU}, h.Name, n.Underlay); err != nil {
			return err
		}
	}
	// Guests' links are made while Open vSwitch starts.
	var guests []Guest
	g, gctx := errgroup.WithContext(ctx)
	for _, guest := range b.st.Spec.Guests {
		if guest.Host == h.Name {
			guests = append(guests, guest)
			g.Go(func() error { return b.guestLink(gctx, guest, end{ns: ns, name: guest.Port}) })
		}
	}
	switchErr := b.startSwitch(ctx, h, ns)
	if err := errors.Join(switchErr, g.Wait()); err != nil {
		return err
	}
	b.say(h.Name, "Open vSwitch answers")
	if err := b.addPorts(ctx, h, guests); err != nil {
		return err
	}
	for _, guest := range guests {
		if err := b.finishGuest(ctx, guest); err != nil {
			return err
		}
	}
	if agents == StartAgents {
		if err := b.startAgent(h, ns); err != nil {
			return err
		}
		b.say(h.Name, "agent started")
	}
	return nil
}

// startSwitch starts the host's Open vSwitch and provisions it, which is needed again after every start: flows, and
// with the userspace datapath the bridge's device with its addresses, go with ovs-vswitchd.
func (l *Lab) startSwitch(ctx context.Context, h *Host, ns *netns.NS) error {
	sw, err := l.instance(h.Name, ns)
	if err != nil {
		return err
	}
	if err := sw.Start(ctx); err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	return l.provision(ctx, h, ns)
}

// provision runs deploy/host.sh inside the host.
func (l *Lab) provision(ctx context.Context, h *Host, ns *netns.NS) error {
	sw, err := l.instance(h.Name, ns)
	if err != nil {
		return err
	}
	args := []string{l.path(scriptsDir, "host.sh"), "--bridge", bridgeName, "--datapath", string(l.st.Datapath), "--dpid", h.DPID, "--mac", h.MAC.String()}
	uplink := h.uplink()
	if uplink != nil {
		u := l.st.Spec.underlay(uplink.Underlay)
		args = append(args, "--nic", uplink.Name, "--mtu", strconv.Itoa(u.MTU))
		for _, a := range u.on(uplink.Addresses) {
			args = append(args, "--address", a.String())
		}
		for _, g := range reachable(l.st.Spec.gateways(u.Name), u.on(uplink.Addresses)) {
			args = append(args, "--gateway", g.String())
		}
	}
	for i := range h.NICs {
		if n := &h.NICs[i]; n != uplink {
			args = append(args, "--port", n.Name)
		}
	}
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Env = append(os.Environ(), append(sw.Env(), l.mark()...)...)
	if _, err := ns.Output(cmd); err != nil {
		return fmt.Errorf("provision host %s: %w", h.Name, err)
	}
	return nil
}

// addPorts adds guests' links to the bridge, in one transaction.
func (l *Lab) addPorts(ctx context.Context, h *Host, guests []Guest) error {
	if len(guests) == 0 {
		return nil
	}
	sw, err := l.instance(h.Name, nil)
	if err != nil {
		return err
	}
	var args []string
	for _, g := range guests {
		args = append(args, "--", "--may-exist", "add-port", bridgeName, g.Port)
		if g.IfaceID != "" {
			args = append(args, "--", "set", "interface", g.Port,
				fmt.Sprintf("external_ids:iface-id=%q", g.IfaceID), fmt.Sprintf("external_ids:attached-mac=%q", g.MAC.String()))
		}
	}
	if _, err := sw.Vsctl(ctx, args...); err != nil {
		return fmt.Errorf("add the ports of guests to host %s: %w", h.Name, err)
	}
	return nil
}

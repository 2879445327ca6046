package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/openvnet/openvnet/testenv/netns"
)

// A live guest has a Linux bridge between itself and its host's, so that it can be behind the port of another host from one moment to the next: its own link, its
// addresses and its connections know nothing of it, as in a virtual machine that is migrated.

// liveName gives the name of a link of a live guest in the namespace of the underlays: its bridge ("l"), the guest's cable ("n"), or the cable to a host, which has
// another name each time.
func (l *Lab) liveName(guest, what string) string {
	i := slices.IndexFunc(l.st.Spec.Guests, func(g Guest) bool { return g.Name == guest })
	return fmt.Sprintf("%s..%d", what, i)
}

func (l *Lab) hostCable(guest string, times int) string {
	return l.liveName(guest, []string{"u", "v"}[times%2])
}

// liveCable is cable with the guest's bridge between the ends.
func (b *build) liveCable(g Guest, near, far end) error {
	bridge := b.liveName(g.Name, "l")
	err := b.net.Link(func(h *netlink.Handle) error {
		noSnooping := false
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge, MTU: far.mtu}, MulticastSnooping: &noSnooping}
		if err := h.LinkAdd(br); err != nil {
			return fmt.Errorf("add bridge %s: %w", bridge, err)
		}
		return h.LinkSetUp(br)
	})
	if err != nil {
		return err
	}
	inner, outer := end{ns: b.net, name: b.liveName(g.Name, "n"), mtu: far.mtu}, end{ns: b.net, name: b.hostCable(g.Name, 0), mtu: far.mtu}
	if err := errors.Join(cable(near, inner), cable(outer, far)); err != nil {
		return err
	}
	return errors.Join(inner.up(bridge), outer.up(bridge))
}

// Migration is a live guest on its way to another host, which has a port for it already.
type Migration struct {
	lab      *Lab
	guest    *Guest
	from, to *Host
	net      *netns.NS
	old, new netlink.Link // the cables' ends at the guest's bridge
	bridge   netlink.Link
}

// Migrate begins to move a live guest to another host as a hypervisor does: that host has a port for it, behind which nobody is as yet. Switch has the guest be there,
// and Finish removes what is left.
func (l *Lab) Migrate(ctx context.Context, guest, host string) (*Migration, error) {
	unlock, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock(false)
	if err := l.load(); err != nil {
		return nil, err
	}
	m := &Migration{lab: l, guest: l.st.Spec.guest(guest), to: l.st.Spec.host(host)}
	switch {
	case m.guest == nil:
		return nil, fmt.Errorf("lab %s has no guest %q", l.Name(), guest)
	case !m.guest.Live:
		return nil, fmt.Errorf("guest %s is not live: only such are moved while they run", guest)
	case m.to == nil:
		return nil, fmt.Errorf("lab %s has no host %q", l.Name(), host)
	case l.st.Placement[guest] == host:
		return nil, fmt.Errorf("guest %s is on host %s already", guest, host)
	case l.st.Placement[guest] == "":
		return nil, fmt.Errorf("guest %s is unplugged", guest)
	}
	m.from = l.st.Spec.host(l.st.Placement[guest])
	for other, at := range l.st.Placement {
		if at == host && l.st.Spec.guest(other).Port == m.guest.Port {
			return nil, fmt.Errorf("host %s has a port %s already, of guest %s", host, m.guest.Port, other)
		}
	}
	if err := m.prepare(ctx); err != nil {
		m.close()
		return nil, fmt.Errorf("migrate guest %s to %s: %w", guest, host, err)
	}
	return m, nil
}

func (m *Migration) prepare(ctx context.Context) error {
	l, times := m.lab, m.lab.st.Migrated[m.guest.Name]
	ns, err := l.open(m.to.Name)
	if err != nil {
		return err
	}
	defer ns.Close()
	if m.net, err = netns.Open(l.netName()); err != nil {
		return err
	}
	mtu := max(m.guest.MTU, 1500)
	outer, far := end{ns: m.net, name: l.hostCable(m.guest.Name, times+1), mtu: mtu}, end{ns: ns, name: m.guest.Port, mtu: mtu}
	if err := cable(outer, far); err != nil {
		return err
	}
	if err := errors.Join(far.quiet(), far.up(""), outer.up("")); err != nil {
		return err
	}
	err = m.net.Link(func(h *netlink.Handle) error {
		var errs [3]error
		m.bridge, errs[0] = h.LinkByName(l.liveName(m.guest.Name, "l"))
		m.old, errs[1] = h.LinkByName(l.hostCable(m.guest.Name, times))
		m.new, errs[2] = h.LinkByName(outer.name)
		return errors.Join(errs[:]...)
	})
	if err != nil {
		return err
	}
	return l.addPorts(ctx, m.to, []Guest{*m.guest})
}

// Switch has the guest be behind the other host's port, and no more behind the former one's.
func (m *Migration) Switch() error {
	return m.net.Link(func(h *netlink.Handle) error {
		return errors.Join(h.LinkSetNoMaster(m.old), h.LinkSetMaster(m.new, m.bridge))
	})
}

// Finish removes the port at the former host.
func (m *Migration) Finish(ctx context.Context) error {
	defer m.close()
	l := m.lab
	unlock, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock(false)
	if err := l.load(); err != nil {
		return err
	}
	sw, err := l.instance(m.from.Name, nil)
	if err != nil {
		return err
	}
	if _, err := sw.Vsctl(ctx, "--if-exists", "del-port", bridgeName, m.guest.Port); err != nil {
		return err
	}
	if err := m.net.Link(func(h *netlink.Handle) error { return h.LinkDel(m.old) }); err != nil {
		return fmt.Errorf("remove the cable of guest %s: %w", m.guest.Name, err)
	}
	if l.st.Migrated == nil {
		l.st.Migrated = map[string]int{}
	}
	l.st.Migrated[m.guest.Name]++
	l.st.Placement[m.guest.Name] = m.to.Name
	return l.save()
}

func (m *Migration) close() {
	if m.net != nil {
		m.net.Close()
		m.net = nil
	}
}

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/testenv/netns"
)

// managementBridge joins the hosts' and the manager's legs; an underlay may not have its name.
const managementBridge = "management"

// The management network: the manager has the first address, hosts those from the tenth on.
const firstHostAddress = 10

func (l *Lab) managerAddr() netip.Addr { return l.st.Spec.Management.Addr().Next() }

func (l *Lab) hostAddr(index int) netip.Addr {
	a := l.st.Spec.Management.Addr().As4()
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	n += uint32(firstHostAddress + index)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// buildNet makes the namespace of the underlays with its bridges, and the manager's leg. The management prefix is
// chosen here, under a lock that all labs of the machine share, since each must see the others' links.
func (l *Lab) buildNet() (*netns.NS, error) {
	ns, err := netns.Create(l.netName())
	if err != nil {
		return nil, err
	}
	err = l.bridges(ns)
	if err == nil {
		err = l.managerLeg(ns)
	}
	if err != nil {
		ns.Close()
		return nil, err
	}
	return ns, nil
}

func (l *Lab) bridges(ns *netns.NS) error {
	err := ns.Sysctl(
		netns.Setting{Name: "net/ipv4/ip_forward", Value: "0"},
		netns.Setting{Name: "net/ipv6/conf/default/disable_ipv6", Value: "1"},
	)
	if err != nil {
		return err
	}
	// A bridge must hand frames on as they are, past no packet filter. Kernels without br_netfilter have no such file.
	for _, f := range []string{"iptables", "ip6tables", "arptables"} {
		err := ns.Sysctl(netns.Setting{Name: "net/bridge/bridge-nf-call-" + f, Value: "0"})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	names := map[string]int{managementBridge: 1500}
	for _, u := range l.st.Spec.Underlays {
		names[u.Name] = u.MTU
	}
	return ns.Link(func(h *netlink.Handle) error {
		for name, mtu := range names {
			noSnooping := false
			br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu}, MulticastSnooping: &noSnooping}
			if err := h.LinkAdd(br); err != nil {
				return fmt.Errorf("add bridge %s: %w", name, err)
			}
			if err := h.LinkSetUp(br); err != nil {
				return fmt.Errorf("set bridge %s up: %w", name, err)
			}
		}
		return nil
	})
}

func (l *Lab) managerLeg(ns *netns.NS) error {
	unlock, err := lockMachine()
	if err != nil {
		return err
	}
	defer unlock()
	root, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := l.chooseManagement(root); err != nil {
		return err
	}
	leg := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: l.rootLink(), MTU: 1500}, PeerName: managerName + ".m", PeerNamespace: netlink.NsFd(ns.FD()),
	}
	if err := root.LinkAdd(leg); err != nil {
		return fmt.Errorf("add the manager's link %s: %w", leg.Name, err)
	}
	off := "/proc/sys/net/ipv6/conf/" + leg.Name + "/disable_ipv6"
	if err := os.WriteFile(off, []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	addr := netip.PrefixFrom(l.managerAddr(), l.st.Spec.Management.Bits())
	if err := root.AddrReplace(leg, &netlink.Addr{IPNet: ipNet(addr)}); err != nil {
		return fmt.Errorf("add %v to %s: %w", addr, leg.Name, err)
	}
	if err := root.LinkSetUp(leg); err != nil {
		return fmt.Errorf("set %s up: %w", leg.Name, err)
	}
	return end{ns: ns, name: leg.PeerName}.up(managementBridge)
}

// chooseManagement takes the prefix that the lab asks for, or the first /24 of 198.18.0.0/15 (RFC 2544: for
// benchmarks between network devices) that no address or route of the machine lies in.
func (l *Lab) chooseManagement(root *netlink.Handle) error {
	used, err := usedPrefixes(root)
	if err != nil {
		return err
	}
	taken := func(p netip.Prefix) string {
		for u, link := range used {
			if u.Overlaps(p) {
				return fmt.Sprintf("%v on %s", u, link)
			}
		}
		return ""
	}
	if asked := l.st.Spec.Management; asked.IsValid() {
		if by := taken(asked); by != "" {
			return fmt.Errorf("management: %v overlaps %s of this machine", asked, by)
		}
		return nil
	}
	for n := range 512 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, byte(18 + n/256), byte(n), 0}), 24)
		if taken(p) == "" && !l.st.Spec.overlaps(p) {
			l.st.Spec.Management = p
			return l.save()
		}
	}
	return errors.New("management: no /24 of 198.18.0.0/15 is free on this machine; name one in the lab's description")
}

func (s *Spec) overlaps(p netip.Prefix) bool {
	for _, u := range s.Underlays {
		for _, up := range u.Prefixes {
			if up.Overlaps(p) {
				return true
			}
		}
	}
	return false
}

// usedPrefixes gives the IPv4 prefixes of the machine's routes, but not the default one, and the link of each.
func usedPrefixes(root *netlink.Handle) (map[netip.Prefix]string, error) {
	routes, err := root.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list the routes of this machine: %w", err)
	}
	used := map[netip.Prefix]string{}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		a, ok := netip.AddrFromSlice(r.Dst.IP)
		if bits, _ := r.Dst.Mask.Size(); ok && bits > 0 {
			used[netip.PrefixFrom(a.Unmap(), bits)] = fmt.Sprintf("link %d", r.LinkIndex)
		}
	}
	return used, nil
}

// lockMachine holds all labs of the machine off; it locks the directory of namespaces, which all of them share.
func lockMachine() (unlock func(), err error) {
	d, err := os.Open(netns.Dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", netns.Dir, err)
	}
	return func() { d.Close() }, nil
}

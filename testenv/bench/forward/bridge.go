package forward

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"github.com/openvnet/openvnet/testenv/netns"
)

// bridges are the baseline: for each host a namespace with a Linux bridge and a VXLAN device in it, and for each of three guests a namespace
// on one of them, as an administrator would build it by hand. The names hold the tag of a lab, so that what a killed run has left is replaced.
type bridges struct {
	tag    string
	spaces map[string]*netns.NS
}

const (
	baselineBridge = "br"
	baselineVNI    = 80
	vxlanPort      = 4789 // RFC 7348, section 5
)

// baselineSeats are two on the near host and one on the far host.
var baselineSeats = []seat{{host: near, last: 1}, {host: near, last: 2}, {host: far, last: 3}}

func newBridges(tag string) *bridges { return &bridges{tag: tag, spaces: map[string]*netns.NS{}} }

func (b *bridges) nsName(node string) string { return "vb" + b.tag + "-" + node }

func guestNode(s seat) string { return fmt.Sprintf("guest%d", s.last) }

// seat gives the namespace of a guest; make has made it.
func (b *bridges) seat(s seat) place { return b.spaces[guestNode(s)] }

// make builds all of it.
func (b *bridges) make() error {
	for _, h := range hosts {
		if err := b.host(h); err != nil {
			return fmt.Errorf("make the bridge of %s: %w", h, err)
		}
	}
	if err := b.wire(); err != nil {
		return fmt.Errorf("join the bridges: %w", err)
	}
	for _, s := range baselineSeats {
		if err := b.guest(s); err != nil {
			return fmt.Errorf("put a namespace on the bridge of %s: %w", s.host, err)
		}
	}
	return nil
}

// space makes a namespace, in place of one that was left.
func (b *bridges) space(node string) (*netns.NS, error) {
	name := b.nsName(node)
	if err := netns.Delete(name); err != nil {
		return nil, err
	}
	ns, err := netns.Create(name)
	if err != nil {
		return nil, err
	}
	b.spaces[node] = ns
	return ns, ns.Sysctl(netns.Setting{Name: "net/ipv6/conf/default/disable_ipv6", Value: "1"})
}

// host makes a host with its bridge, past no packet filter.
func (b *bridges) host(name string) error {
	ns, err := b.space(name)
	if err != nil {
		return err
	}
	for _, f := range []string{"iptables", "ip6tables", "arptables"} { // kernels without br_netfilter have no such file
		err := ns.Sysctl(netns.Setting{Name: "net/bridge/bridge-nf-call-" + f, Value: "0"})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return ns.Link(func(h *netlink.Handle) error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: baselineBridge, MTU: guestMTU}}
		return errors.Join(h.LinkAdd(br), h.LinkSetUp(br))
	})
}

// underlayAddr is that of the n-th host.
func underlayAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{172, 16, 81, byte(10 + n)}) }

// wire joins the hosts by a cable, with a VXLAN device on each.
func (b *bridges) wire() error {
	const nic = "eth0"
	err := b.spaces[near].Link(func(h *netlink.Handle) error {
		return h.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: nic, MTU: underlayMTU}, PeerName: nic, PeerMTU: underlayMTU, PeerNamespace: netlink.NsFd(b.spaces[far].FD()),
		})
	})
	if err != nil {
		return err
	}
	for n, name := range hosts {
		own, other := underlayAddr(n), underlayAddr(1-n)
		err := b.spaces[name].Link(func(h *netlink.Handle) error {
			cable, err := h.LinkByName(nic)
			if err != nil {
				return err
			}
			if err := errors.Join(addAddress(h, cable, netip.PrefixFrom(own, 24)), h.LinkSetUp(cable)); err != nil {
				return err
			}
			tunnel := &netlink.Vxlan{
				LinkAttrs: netlink.LinkAttrs{Name: "vxlan0", MTU: guestMTU}, VxlanId: baselineVNI, SrcAddr: own.AsSlice(), Group: other.AsSlice(),
				Port: vxlanPort, Learning: true, VtepDevIndex: cable.Attrs().Index,
			}
			if err := h.LinkAdd(tunnel); err != nil {
				return fmt.Errorf("add a VXLAN device: %w", err)
			}
			return enslave(h, tunnel)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// guest makes a namespace whose eth0 is on a host's bridge.
func (b *bridges) guest(s seat) error {
	ns, err := b.space(guestNode(s))
	if err != nil {
		return err
	}
	port := guestNode(s)
	err = b.spaces[s.host].Link(func(h *netlink.Handle) error {
		cable := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: port, MTU: guestMTU}, PeerName: guestNIC, PeerMTU: guestMTU, PeerNamespace: netlink.NsFd(ns.FD()),
		}
		if err := h.LinkAdd(cable); err != nil {
			return err
		}
		return enslave(h, cable)
	})
	if err != nil {
		return err
	}
	return ns.Link(func(h *netlink.Handle) error {
		nic, err := h.LinkByName(guestNIC)
		if err != nil {
			return err
		}
		return errors.Join(addAddress(h, nic, netip.PrefixFrom(s.addr(), 24)), h.LinkSetUp(nic))
	})
}

func enslave(h *netlink.Handle, link netlink.Link) error {
	master, err := h.LinkByName(baselineBridge)
	if err != nil {
		return err
	}
	return errors.Join(h.LinkSetMaster(link, master), h.LinkSetUp(link))
}

func addAddress(h *netlink.Handle, link netlink.Link, p netip.Prefix) error {
	return h.AddrReplace(link, &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}})
}

// remove removes the namespaces, and with them all that is in them.
func (b *bridges) remove() error {
	var errs []error
	for _, ns := range b.spaces {
		errs = append(errs, ns.Close(), netns.Delete(ns.Name()))
	}
	return errors.Join(errs...)
}

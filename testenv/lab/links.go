package lab

import (
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/netns"
)

// end is one end of a cable (a veth pair).
type end struct {
	ns   *netns.NS // required
	name string    // required
	mac  model.MAC // optional; random
	mtu  int       // required
}

// cable creates a veth pair, both ends down.
func cable(a, b end) error {
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: a.name, MTU: a.mtu}, PeerName: b.name, PeerMTU: uint32(b.mtu)}
	if a.mac != (model.MAC{}) {
		v.HardwareAddr = net.HardwareAddr(a.mac[:])
	}
	if b.mac != (model.MAC{}) {
		v.PeerHardwareAddr = net.HardwareAddr(b.mac[:])
	}
	v.PeerNamespace = netlink.NsFd(b.ns.FD())
	if err := a.ns.Link(func(h *netlink.Handle) error { return h.LinkAdd(v) }); err != nil {
		return fmt.Errorf("cable %s:%s to %s:%s: %w", a.ns.Name(), a.name, b.ns.Name(), b.name, err)
	}
	return nil
}

// up sets a link up, after enslaving it to a bridge if one is named.
func (e end) up(bridge string) error {
	err := e.ns.Link(func(h *netlink.Handle) error {
		link, err := h.LinkByName(e.name)
		if err != nil {
			return err
		}
		if bridge != "" {
			master, err := h.LinkByName(bridge)
			if err != nil {
				return fmt.Errorf("%s: %w", bridge, err)
			}
			if err := h.LinkSetMaster(link, master); err != nil {
				return fmt.Errorf("enslave to %s: %w", bridge, err)
			}
		}
		return h.LinkSetUp(link)
	})
	if err != nil {
		return fmt.Errorf("set %s up in %s: %w", e.name, e.ns.Name(), err)
	}
	return nil
}

// setAddresses adds addresses; without duplicate address detection the IPv6 ones can be used at once.
func (e end) setAddresses(dad dad, addrs ...netip.Prefix) error {
	if len(addrs) == 0 {
		return nil
	}
	return e.ns.Link(func(h *netlink.Handle) error {
		link, err := h.LinkByName(e.name)
		if err != nil {
			return fmt.Errorf("%s in %s: %w", e.name, e.ns.Name(), err)
		}
		for _, a := range addrs {
			addr := &netlink.Addr{IPNet: ipNet(a)}
			if a.Addr().Is6() && dad == noDAD {
				addr.Flags = unix.IFA_F_NODAD
			}
			if err := h.AddrReplace(link, addr); err != nil {
				return fmt.Errorf("add %v to %s in %s: %w", a, e.name, e.ns.Name(), err)
			}
		}
		return nil
	})
}

// dad says whether duplicate address detection (RFC 4862, section 5.4) is done.
type dad int

const (
	withDAD dad = iota
	noDAD
)

// route is a route by way of a router; the zero prefix is the default route.
type route struct {
	dst netip.Prefix
	via netip.Addr
}

// setRoutes adds routes over the link.
func (e end) setRoutes(routes ...route) error {
	if len(routes) == 0 {
		return nil
	}
	return e.ns.Link(func(h *netlink.Handle) error {
		link, err := h.LinkByName(e.name)
		if err != nil {
			return fmt.Errorf("%s in %s: %w", e.name, e.ns.Name(), err)
		}
		for _, r := range routes {
			nr := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: r.via.AsSlice(), Protocol: unix.RTPROT_STATIC}
			if r.dst.IsValid() {
				nr.Dst = ipNet(r.dst)
			}
			if err := h.RouteReplace(nr); err != nil {
				return fmt.Errorf("add route to %v via %v in %s: %w", r.dst, r.via, e.ns.Name(), err)
			}
		}
		return nil
	})
}

// txOff turns transmit checksum offload off, and with it segmentation offload, as "ethtool -K NAME tx off": a frame
// that userspace Open vSwitch copies off the other end must have its checksum already.
func (e end) txOff() error {
	// linux/ethtool.h: struct ethtool_value with the command ETHTOOL_STXCSUM, by the ioctl SIOCETHTOOL.
	value := struct{ cmd, data uint32 }{unix.ETHTOOL_STXCSUM, 0}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], e.name)
	req.data = unsafe.Pointer(&value)
	return e.ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a socket for ethtool: %w", err)
		}
		defer unix.Close(fd)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			return fmt.Errorf("turn checksum offload of %s in %s off: %w", e.name, e.ns.Name(), errno)
		}
		return nil
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Package link reads and sets the host's network links through netlink. It knows no flow and no object of the model.
// Imported by agent.
package link

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/openvnet/openvnet/model"
)

// Uplink is the host's attachment to the underlay: a NIC that is a port of the bridge, and the bridge's own interface with
// the host's addresses.
type Uplink struct {
	MAC       model.MAC      // of the bridge's own interface
	Addresses []netip.Prefix // of the bridge's own interface, without link-local ones
	MTU       int            // of the NIC, in bytes without the Ethernet header
}

// ReadUplink reads the addresses of the bridge's own interface, and the MTU of the NIC.
func ReadUplink(bridge, nic string) (Uplink, error) {
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return Uplink{}, fmt.Errorf("find the link of bridge %s: %w", bridge, err)
	}
	n, err := netlink.LinkByName(nic)
	if err != nil {
		return Uplink{}, fmt.Errorf("find the NIC %s: %w", nic, err)
	}
	u := Uplink{MTU: n.Attrs().MTU}
	copy(u.MAC[:], br.Attrs().HardwareAddr)
	var addrs []netlink.Addr
	for try := 0; ; try++ {
		addrs, err = netlink.AddrList(br, netlink.FAMILY_ALL)
		if errors.Is(err, netlink.ErrDumpInterrupted) && try < 5 {
			continue // changed while it was read
		}
		break
	}
	if err != nil {
		return Uplink{}, fmt.Errorf("read the addresses of %s: %w", bridge, err)
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if ip = ip.Unmap(); ok && !ip.IsLinkLocalUnicast() {
			u.Addresses = append(u.Addresses, netip.PrefixFrom(ip, bits))
		}
	}
	return u, nil
}

package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
)

// Solicit asks for the link-layer addresses of the next hops to the given addresses through a link, and does not wait for
// answers. Open vSwitch's userspace tunnels need it: they learn the address of a tunnel's next hop from what passes through
// the bridge, and drop the packet that first needs one. IPv4 next hops are asked by ARP (RFC 826) in any case, IPv6 ones by the
// kernel, if it does not know them.
func Solicit(link string, addrs []netip.Addr) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return fmt.Errorf("find the link %s: %w", link, err)
	}
	var errs []error
	asked := map[netip.Addr]bool{}
	for _, a := range addrs {
		hop, source, err := nextHop(l, a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if asked[hop] {
			continue
		}
		asked[hop] = true
		if hop.Is4() {
			err = sendARP(l, source, hop)
		} else {
			err = netlink.NeighAdd(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: hop.AsSlice(), State: netlink.NUD_NONE, Flags: netlink.NTF_USE})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("ask for the neighbour %s on %s: %w", hop, link, err))
		}
	}
	return errors.Join(errs...)
}

// nextHop gives where packets to an address go through the link, and the source address that they have.
func nextHop(l netlink.Link, a netip.Addr) (hop, source netip.Addr, err error) {
	routes, err := netlink.RouteGet(a.AsSlice())
	if err != nil {
		return hop, source, fmt.Errorf("find the route to %s: %w", a, err)
	}
	if len(routes) == 0 || routes[0].LinkIndex != l.Attrs().Index {
		return hop, source, fmt.Errorf("the route to %s is not through %s", a, l.Attrs().Name)
	}
	hop = a
	if gw, ok := netip.AddrFromSlice(routes[0].Gw); ok {
		hop = gw.Unmap()
	}
	source, _ = netip.AddrFromSlice(routes[0].Src)
	return hop, source.Unmap(), nil
}

func sendARP(l netlink.Link, source, target netip.Addr) error {
	if !source.Is4() {
		return errors.New("the route has no source address")
	}
	conn, err := packet.Listen(&net.Interface{Index: l.Attrs().Index, Name: l.Attrs().Name, HardwareAddr: l.Attrs().HardwareAddr, MTU: l.Attrs().MTU}, packet.Raw, 0x0806, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	own := l.Attrs().HardwareAddr
	f := append(append([]byte{}, broadcast...), own...)
	f = binary.BigEndian.AppendUint16(f, 0x0806)
	f = append(f, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, lengths, request
	f = append(append(f, own...), source.AsSlice()...)
	f = append(append(f, 0, 0, 0, 0, 0, 0), target.AsSlice()...)
	_, err = conn.WriteTo(f, &packet.Addr{HardwareAddr: broadcast})
	return err
}

package rig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// underlay is what joins the NICs: a switch for each segment, which knows the hosts' MAC addresses and floods the others,
// and a router with a leg in each.
type underlay struct {
	router model.MAC
	nodes  []HostOptions
}

// arrival is a frame at a port of a host.
type arrival struct {
	host  int
	port  string
	frame []byte
}

func newUnderlay(opt Options) (*underlay, error) {
	u := &underlay{router: opt.Router}
	names := map[string]bool{}
	macs := map[model.MAC]string{opt.Router: "the router"}
	addresses := map[netip.Addr]string{}
	for _, o := range opt.Hosts {
		if err := o.check(); err != nil {
			return nil, fmt.Errorf("host %q: %w", o.Name, err)
		}
		if names[o.Name] {
			return nil, fmt.Errorf("two hosts are named %s", o.Name)
		}
		names[o.Name] = true
		for _, m := range append([]model.MAC{o.MAC}, o.MACs...) {
			if other := macs[m]; other != "" {
				return nil, fmt.Errorf("%s and host %s both have the MAC address %s", other, o.Name, m)
			}
			macs[m] = "host " + o.Name
		}
		for _, p := range o.Addresses {
			if other := addresses[p.Addr()]; other != "" {
				return nil, fmt.Errorf("hosts %s and %s both have the address %s", other, o.Name, p.Addr())
			}
			addresses[p.Addr()] = o.Name
			if p.Addr() == gateway(p) {
				return nil, fmt.Errorf("host %s has the router's address %s", o.Name, p.Addr())
			}
		}
		if o.Segment == "" && len(o.Addresses) > 0 {
			o.Segment = o.Addresses[0].Masked().String()
		}
		u.nodes = append(u.nodes, o)
	}
	return u, nil
}

func (o HostOptions) check() error {
	if o.Name == "" || o.MAC == (model.MAC{}) || o.NIC.Name == "" {
		return errors.New("name, MAC address and NIC are required")
	}
	names := map[string]bool{o.Bridge: true}
	numbers := map[uint32]string{}
	for _, p := range o.ports() {
		if p == (Port{o.Bridge, flow.PortLocal}) {
			continue
		}
		if p.OFPort == 0 || p.Name == "" {
			return fmt.Errorf("port %q has no name or no number", p.Name)
		}
		if names[p.Name] || numbers[uint32(p.OFPort)] != "" {
			return fmt.Errorf("port %s has the name or the number of another", p.Name)
		}
		names[p.Name], numbers[uint32(p.OFPort)] = true, p.Name
	}
	families := map[bool]bool{}
	for _, a := range o.Addresses {
		if !a.IsValid() || a.Addr().Is4In6() || families[a.Addr().Is4()] {
			return fmt.Errorf("address %s is invalid or the second of its family", a)
		}
		families[a.Addr().Is4()] = true
	}
	return nil
}

// gateway is the router's address in a subnet: the last one, in IPv4 the last before broadcast.
func gateway(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	if p.Addr().Is4() && p.Bits() < 31 {
		return last.Prev()
	}
	return last
}

// routes are what a host needs to know of the underlay.
type routes struct {
	subnets    []netip.Prefix              // on its own wire
	via        map[netip.Prefix]netip.Addr // subnets of others, and the router's address for them
	neighbours map[netip.Addr]model.MAC
}

func (u *underlay) routes(host int) routes {
	r := routes{via: map[netip.Prefix]netip.Addr{}, neighbours: map[netip.Addr]model.MAC{}}
	for _, own := range u.nodes[host].Addresses {
		r.subnets = append(r.subnets, own.Masked())
		r.neighbours[gateway(own)] = u.router
		for i, n := range u.nodes {
			for _, other := range n.Addresses {
				switch {
				case i == host || other.Addr().Is4() != own.Addr().Is4():
				case own.Contains(other.Addr()):
					r.neighbours[other.Addr()] = n.MAC
				default:
					r.via[other.Masked()] = gateway(own)
				}
			}
		}
	}
	return r
}

// carry tells where a frame that a host's NIC has sent arrives. The frame is not changed, but may be shared.
func (u *underlay) carry(from int, frame []byte) []arrival {
	if len(frame) < 14 {
		return nil
	}
	to := model.MAC(frame[:6])
	if to == u.router {
		return u.route(frame)
	}
	var flooded []arrival
	for i, n := range u.nodes {
		if i == from || n.Segment != u.nodes[from].Segment {
			continue
		}
		a := arrival{i, n.NIC.Name, frame}
		if n.MAC == to || slices.Contains(n.MACs, to) {
			return []arrival{a}
		}
		flooded = append(flooded, a)
	}
	if own := u.nodes[from]; own.MAC == to || slices.Contains(own.MACs, to) {
		return nil // the switch does not send it back
	}
	return flooded
}

// route forwards a frame to the host that has the packet's destination address.
func (u *underlay) route(frame []byte) []arrival {
	b := bytes.Clone(frame)
	packet := b[14:]
	var dst netip.Addr
	switch binary.BigEndian.Uint16(b[12:]) {
	case 0x0800:
		if len(packet) < 20 || packet[0]>>4 != 4 || packet[8] <= 1 {
			return nil
		}
		dst = netip.AddrFrom4([4]byte(packet[16:20]))
		packet[8]--
		// RFC 1624, equation 3: the word of the TTL went down by 0x100. A checksum is never 0xffff.
		sum := uint32(binary.BigEndian.Uint16(packet[10:])) + 0x100
		if sum >= 0xffff {
			sum++
		}
		binary.BigEndian.PutUint16(packet[10:], uint16(sum))
	case 0x86dd:
		if len(packet) < 40 || packet[0]>>4 != 6 || packet[7] <= 1 {
			return nil
		}
		dst = netip.AddrFrom16([16]byte(packet[24:40]))
		packet[7]--
	default:
		return nil
	}
	for i, n := range u.nodes {
		for _, a := range n.Addresses {
			if a.Addr() == dst {
				copy(b, n.MAC[:])
				copy(b[6:], u.router[:])
				return []arrival{{i, n.NIC.Name, b}}
			}
		}
	}
	return nil
}

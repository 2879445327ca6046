package lab

import (
	"net/netip"

	"github.com/openvnet/openvnet/model"
)

// Spec describes a lab. Slices keep the order of the file, which decides the defaults that count up.
type Spec struct {
	Name       string       `json:"name"`                // required; Parse takes the file's name when there is none
	Management netip.Prefix `json:"management,omitzero"` // optional; the first free /24 of 198.18.0.0/15 by default
	Underlays  []Underlay   `json:"underlays,omitempty"`
	Routers    []Router     `json:"routers,omitempty"`
	Hosts      []Host       `json:"hosts,omitempty"`
	Guests     []Guest      `json:"guests,omitempty"`
	Machines   []Machine    `json:"machines,omitempty"`
}

// Underlay is a layer 2 segment, a Linux bridge. Without prefixes it carries frames only.
type Underlay struct {
	Name     string         `json:"name"`
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	MTU      int            `json:"mtu,omitempty"` // optional; bytes, 1500 by default
}

// Router forwards IPv4 and IPv6 between underlays. Its interfaces bear the underlays' names.
type Router struct {
	Name string      `json:"name"`
	Legs []RouterLeg `json:"legs"`
}

// RouterLeg is a router's interface.
type RouterLeg struct {
	Underlay  string       `json:"underlay"`
	Addresses []netip.Addr `json:"addresses"`
}

// Host is a hypervisor host with the bridge br0. The NIC that has addresses is its uplink: the addresses are on br0
// itself, and the default route goes to the first router of that underlay.
type Host struct {
	Name string    `json:"name"`
	DPID string    `json:"dpid"` // optional; 16 hexadecimal digits, derived from the MAC by default
	MAC  model.MAC `json:"mac"`  // optional; of br0, counted up by default
	NICs []NIC     `json:"nics,omitempty"`
}

// NIC is a network interface of a host, always a port of br0. It has another MAC than br0, since with the userspace
// datapath the kernel would otherwise answer in its name.
type NIC struct {
	Name      string       `json:"name"`
	Underlay  string       `json:"underlay"`
	Addresses []netip.Addr `json:"addresses,omitempty"` // optional; at most one NIC of a host has any
	MAC       model.MAC    `json:"mac,omitzero"`        // optional; random by default
}

// Guest is a namespace whose eth0 is plugged into a host's bridge.
type Guest struct {
	Name    string    `json:"name"`
	Host    string    `json:"host,omitempty"` // optional; unplugged at first when empty
	Port    string    `json:"port"`           // optional; name of the port on the bridge, "if-<name>" by default
	IfaceID string    `json:"iface_id,omitempty"`
	MAC     model.MAC `json:"mac"`            // optional; counted up by default
	MTU     int       `json:"mtu,omitempty"`  // optional; 1400 by default
	Live    bool      `json:"live,omitempty"` // optional; Migrate can move it while it runs
	IP
}

// Machine is a namespace whose eth0 is on an underlay, as a computer outside of the hypervisor would be.
type Machine struct {
	Name     string    `json:"name"`
	Underlay string    `json:"underlay"`
	VLAN     int       `json:"vlan,omitempty"` // optional; 1-4094: it sends and takes only frames with this 802.1Q tag
	MAC      model.MAC `json:"mac,omitzero"`   // optional; random by default
	MTU      int       `json:"mtu,omitempty"`  // optional; the underlay's by default
	IP
}

// IP is how an interface gets its addresses.
type IP struct {
	DHCP       bool           `json:"dhcp,omitempty"`
	DHCPClient string         `json:"dhcp_client,omitempty"` // optional; udhcpc (default) or dhclient
	Addresses  []netip.Prefix `json:"addresses,omitempty"`
	Gateways   []netip.Addr   `json:"gateways,omitempty"` // default routers, at most one per address family
}

// bridgeName is the bridge of every host, mgmtNIC its interface on the management network, guestNIC the interface
// inside guests and machines.
const (
	bridgeName = "br0"
	mgmtNIC    = "mgmt0"
	guestNIC   = "eth0"
)

// uplink gives the NIC with the host's underlay address, nil when there is none.
func (h *Host) uplink() *NIC {
	for i := range h.NICs {
		if len(h.NICs[i].Addresses) > 0 {
			return &h.NICs[i]
		}
	}
	return nil
}

func (s *Spec) underlay(name string) *Underlay {
	return byName(s.Underlays, name, func(u *Underlay) string { return u.Name })
}
func (s *Spec) host(name string) *Host {
	return byName(s.Hosts, name, func(h *Host) string { return h.Name })
}
func (s *Spec) guest(name string) *Guest {
	return byName(s.Guests, name, func(g *Guest) string { return g.Name })
}

func byName[T any](items []T, name string, nameOf func(*T) string) *T {
	for i := range items {
		if nameOf(&items[i]) == name {
			return &items[i]
		}
	}
	return nil
}

// prefixOf gives the underlay's prefix that holds the address.
func (u *Underlay) prefixOf(a netip.Addr) (netip.Prefix, bool) {
	for _, p := range u.Prefixes {
		if p.Contains(a) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// complete fills in the defaults. It changes nothing that is set, so that it may be applied twice.
func (s *Spec) complete() {
	macs := map[model.MAC]bool{}
	for _, h := range s.Hosts {
		macs[h.MAC] = true
		for _, n := range h.NICs {
			macs[n.MAC] = true
		}
	}
	for _, g := range s.Guests {
		macs[g.MAC] = true
	}
	for _, m := range s.Machines {
		macs[m.MAC] = true
	}
	next := func(kind byte, from int) model.MAC {
		for n := from; ; n++ {
			m := model.MAC{2, kind, 0, byte(n >> 16), byte(n >> 8), byte(n)}
			if !macs[m] {
				macs[m] = true
				return m
			}
		}
	}
	for i := range s.Underlays {
		if u := &s.Underlays[i]; u.MTU == 0 {
			u.MTU = 1500
		}
	}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		if h.MAC == (model.MAC{}) {
			h.MAC = next(1, i+1)
		}
		if h.DPID == "" {
			h.DPID = dpidOf(h.MAC)
		}
	}
	for i := range s.Guests {
		g := &s.Guests[i]
		if g.MAC == (model.MAC{}) {
			g.MAC = next(0, i+1)
		}
		if g.Port == "" {
			g.Port = "if-" + g.Name
		}
		if g.MTU == 0 {
			g.MTU = 1400
		}
		g.IP.complete()
	}
	for i := range s.Machines {
		m := &s.Machines[i]
		if u := s.underlay(m.Underlay); m.MTU == 0 && u != nil {
			m.MTU = u.MTU
		}
		m.IP.complete()
	}
}

func (ip *IP) complete() {
	if ip.DHCP && ip.DHCPClient == "" {
		ip.DHCPClient = "udhcpc"
	}
}

func dpidOf(m model.MAC) string {
	const hex = "0123456789abcdef"
	b := []byte("0000")
	for _, o := range m {
		b = append(b, hex[o>>4], hex[o&15])
	}
	return string(b)
}

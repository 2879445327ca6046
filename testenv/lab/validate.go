package lab

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"

	"github.com/openvnet/openvnet/model"
)

// Validate fills in the defaults of a Spec that was built in Go and says what is wrong with it: nil or Problems.
func (s *Spec) Validate() error {
	s.complete()
	var ps Problems
	s.validate(func(path, reason string) { ps = append(ps, Problem{Path: path, Reason: reason}) })
	if len(ps) > 0 {
		return ps
	}
	return nil
}

var (
	nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,30}$`)
	linkForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,14}$`)
	dpidForm = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// reservedLinks are the names that hosts need for themselves.
var reservedLinks = map[string]bool{"lo": true, bridgeName: true, mgmtNIC: true, "ovs-netdev": true, "ovs-system": true}

// check collects what must be unique while it goes through a Spec.
type check struct {
	spec   *Spec
	report func(path, reason string)
	names  map[string]string                // name -> path
	macs   map[model.MAC]string             // MAC -> path
	dpids  map[string]string                // datapath id -> path
	ifaces map[string]string                // iface-id -> path
	addrs  map[string]map[netip.Addr]string // underlay -> address -> path
}

func (s *Spec) validate(report func(path, reason string)) {
	c := check{
		spec: s, report: report, names: reserved(), macs: map[model.MAC]string{},
		dpids: map[string]string{}, ifaces: map[string]string{}, addrs: map[string]map[netip.Addr]string{},
	}
	if !nameForm.MatchString(s.Name) {
		report("name", fmt.Sprintf("%q is not a name: %s", s.Name, nameHelp))
	}
	c.underlays()
	c.management()
	for _, r := range s.Routers {
		c.router(r)
	}
	for _, h := range s.Hosts {
		c.host(h)
	}
	for _, g := range s.Guests {
		c.guest(g)
	}
	for _, m := range s.Machines {
		c.machine(m)
	}
}

// reserved gives the names that mean something else in commands, in the state directory or among links.
func reserved() map[string]string {
	return map[string]string{managerName: "", "all": "", "lo": "", bpffsDir: "", scriptsDir: "", managementBridge: ""}
}

const nameHelp = "up to 31 lower-case letters, digits, '-' and '_', the first a letter or digit"

func (c *check) name(kind, name string) string {
	path := kind + "." + name
	if !nameForm.MatchString(name) {
		c.report(path, fmt.Sprintf("%q is not a name: %s", name, nameHelp))
	}
	if other, taken := c.names[name]; taken && other == "" {
		c.report(path, "the name is reserved")
	} else if taken {
		c.report(path, "the name is taken by "+other)
	}
	c.names[name] = path
	return path
}

func (c *check) underlays() {
	for i, u := range c.spec.Underlays {
		path := c.name("underlays", u.Name)
		if len(u.Name) > 15 {
			c.report(path, "longer than the 15 characters of a link's name")
		}
		c.mtu(path, u.MTU)
		for _, p := range u.Prefixes {
			if p.Masked() != p {
				c.report(path, fmt.Sprintf("%v is not a network: its address has bits beyond the length; %v is one", p, p.Masked()))
			}
			for _, o := range c.spec.Underlays[:i] {
				for _, op := range o.Prefixes {
					if p.Overlaps(op) {
						c.report(path, fmt.Sprintf("%v overlaps %v of underlays.%s", p, op, o.Name))
					}
				}
			}
		}
	}
}

func (c *check) management() {
	m := c.spec.Management
	if !m.IsValid() {
		return
	}
	if !m.Addr().Is4() || m.Masked() != m {
		c.report("management", fmt.Sprintf("%v is not an IPv4 network", m))
		return
	}
	if room := 1<<(32-m.Bits()) - 1 - firstHostAddress; room < len(c.spec.Hosts) {
		c.report("management", fmt.Sprintf("%v has room for %d hosts, the lab has %d", m, max(room, 0), len(c.spec.Hosts)))
	}
	for _, u := range c.spec.Underlays {
		for _, p := range u.Prefixes {
			if p.Overlaps(m) {
				c.report("management", fmt.Sprintf("%v overlaps %v of underlays.%s", m, p, u.Name))
			}
		}
	}
}

func (c *check) router(r Router) {
	path := c.name("routers", r.Name)
	if len(r.Legs) == 0 {
		c.report(path, "joins no underlay")
	}
	for _, l := range r.Legs {
		leg := join(path, l.Underlay)
		if len(l.Addresses) == 0 {
			c.report(leg, "has no address")
		}
		c.onUnderlay(leg, leg, l.Underlay, l.Addresses)
	}
}

func (c *check) host(h Host) {
	path := c.name("hosts", h.Name)
	if !dpidForm.MatchString(h.DPID) || h.DPID == "0000000000000000" {
		c.report(path+".dpid", fmt.Sprintf("%q is not a datapath id of 16 hexadecimal digits, not all 0", h.DPID))
	}
	c.unique(path+".dpid", h.DPID, c.dpids)
	c.mac(path+".mac", h.MAC)
	uplink, links := "", map[string]bool{}
	for _, n := range h.NICs {
		nic := path + ".nics." + n.Name
		c.link(nic, n.Name)
		if links[n.Name] {
			c.report(nic, "the name is taken by another NIC")
		}
		links[n.Name] = true
		c.onUnderlay(nic+".underlay", nic+".address", n.Underlay, n.Addresses)
		if n.MAC != (model.MAC{}) {
			c.mac(nic+".mac", n.MAC)
		}
		if len(n.Addresses) > 0 && uplink != "" {
			c.report(nic+".address", fmt.Sprintf("only one NIC of a host may have an address, and %s has one", uplink))
		} else if len(n.Addresses) > 0 {
			uplink = n.Name
		}
	}
}

func (c *check) guest(g Guest) {
	path := c.name("guests", g.Name)
	c.link(path+".port", g.Port)
	if g.Host != "" {
		h := c.spec.host(g.Host)
		if h == nil {
			c.report(path+".host", fmt.Sprintf("no host is named %q", g.Host))
		} else {
			c.freePort(path+".port", g, h)
		}
	}
	if g.IfaceID != "" {
		c.unique(path+".iface_id", g.IfaceID, c.ifaces)
	}
	c.mac(path+".mac", g.MAC)
	c.mtu(path+".mtu", g.MTU)
	c.ip(path, g.IP)
}

func (c *check) freePort(path string, g Guest, h *Host) {
	for _, n := range h.NICs {
		if n.Name == g.Port {
			c.report(path, fmt.Sprintf("%s has a NIC named %s", h.Name, g.Port))
		}
	}
	for _, o := range c.spec.Guests {
		if o.Name == g.Name {
			break
		}
		if o.Host == g.Host && o.Port == g.Port {
			c.report(path, fmt.Sprintf("guests.%s has the port %s on the same host", o.Name, g.Port))
		}
	}
}

func (c *check) machine(m Machine) {
	path := c.name("machines", m.Name)
	var own []netip.Addr
	if m.VLAN == 0 { // a tagged machine is on a network of its own, whose addresses the underlay does not know
		for _, p := range m.Addresses {
			own = append(own, p.Addr())
		}
	}
	c.onUnderlay(path+".underlay", path+".addresses", m.Underlay, own)
	if m.VLAN < 0 || m.VLAN > 4094 {
		c.report(path+".vlan", "a VLAN id is a number from 1 to 4094")
	}
	if m.MAC != (model.MAC{}) {
		c.mac(path+".mac", m.MAC)
	}
	c.mtu(path+".mtu", m.MTU)
	c.ip(path, m.IP)
}

// onUnderlay checks that the underlay exists and the addresses are free ones of it.
func (c *check) onUnderlay(path, addrPath, underlay string, addrs []netip.Addr) {
	u := c.spec.underlay(underlay)
	if u == nil {
		c.report(path, fmt.Sprintf("no underlay is named %q", underlay))
		return
	}
	if c.addrs[underlay] == nil {
		c.addrs[underlay] = map[netip.Addr]string{}
	}
	for _, a := range addrs {
		p, ok := u.prefixOf(a)
		switch other, taken := c.addrs[underlay][a]; {
		case !a.IsValid(): // reported where it was read
		case !ok:
			c.report(addrPath, fmt.Sprintf("%v is outside of underlay %s (%v)", a, underlay, u.Prefixes))
		case unusable(a, p):
			c.report(addrPath, fmt.Sprintf("%v is the network or broadcast address of %v", a, p))
		case taken:
			c.report(addrPath, fmt.Sprintf("%v is the address of %s", a, other))
		default:
			c.addrs[underlay][a] = addrPath
		}
	}
}

// unusable reports the two addresses of an IPv4 prefix that no host may have; RFC 3021 lifts that for /31.
func unusable(a netip.Addr, p netip.Prefix) bool {
	if !a.Is4() || p.Bits() >= 31 {
		return false
	}
	return a == p.Masked().Addr() || !p.Contains(a.Next())
}

func (c *check) ip(path string, ip IP) {
	switch {
	case ip.DHCPClient != "" && !ip.DHCP:
		c.report(path+".dhcp_client", "needs dhcp: true")
	case ip.DHCP && ip.DHCPClient != "udhcpc" && ip.DHCPClient != "dhclient":
		c.report(path+".dhcp_client", fmt.Sprintf("%q is neither udhcpc nor dhclient", ip.DHCPClient))
	}
	for _, p := range ip.Addresses {
		if p.IsValid() && p.Addr().Is4() && ip.DHCP {
			c.report(path+".addresses", fmt.Sprintf("%v cannot be set beside dhcp: true, whose client owns the IPv4 addresses", p))
		}
		if p.IsValid() && (unusable(p.Addr(), p) || p.Addr().IsUnspecified() || p.Addr().IsMulticast()) {
			c.report(path+".addresses", fmt.Sprintf("%v is not an address for an interface", p))
		}
	}
	families := map[bool]bool{}
	for _, g := range ip.Gateways {
		if families[g.Is4()] {
			c.report(path+".gateway", "more than one of an address family")
		}
		families[g.Is4()] = true
		inside := g.Is6() && g.IsLinkLocalUnicast()
		for _, p := range ip.Addresses {
			inside = inside || p.Contains(g) && p.Addr() != g
		}
		if !inside {
			c.report(path+".gateway", fmt.Sprintf("%v is in the subnet of none of the addresses", g))
		}
	}
}

func (c *check) link(path, name string) {
	switch {
	case len(name) > 15:
		c.report(path, fmt.Sprintf("%q is longer than the 15 characters of a link's name", name))
	case !linkForm.MatchString(name):
		c.report(path, fmt.Sprintf("%q is not a link's name", name))
	case reservedLinks[name]:
		c.report(path, fmt.Sprintf("%q is a link that every host has", name))
	}
}

func (c *check) mac(path string, m model.MAC) {
	if m.IsMulticast() {
		c.report(path, fmt.Sprintf("%v is a multicast address", m))
	}
	if other, taken := c.macs[m]; taken {
		c.report(path, fmt.Sprintf("%v is the MAC address of %s", m, other))
		return
	}
	c.macs[m] = path
}

func (c *check) unique(path, value string, seen map[string]string) {
	if other, taken := seen[value]; taken {
		c.report(path, fmt.Sprintf("%s is taken by %s", strconv.Quote(value), other))
		return
	}
	seen[value] = path
}

// mtu keeps to what a veth accepts: at least IPv4's 68 (RFC 791), at most what a frame's length field can say.
func (c *check) mtu(path string, mtu int) {
	if mtu != 0 && (mtu < 68 || mtu > 65535) {
		c.report(path, fmt.Sprintf("%d is not an MTU from 68 to 65535", mtu))
	}
}

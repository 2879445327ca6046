package forward

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/openvnet/openvnet/dataplane/ovs"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/testenv/lab"
)

// The hosts of the lab, on one underlay.
const (
	near = "node1" // whose guests send
	far  = "node2"
)

var hosts = []string{near, far}

// overlay is a topology over the one underlay. All are there at the same time, so that going from case to case changes nothing.
type overlay struct {
	name          string
	encapsulation string
	mac2mac       bool
	port          string // of the switch, through which its frames go to other hosts; "" where they go as they are
}

var overlays = []overlay{
	{name: "geneve", encapsulation: model.Geneve, port: ovs.GeneveName},
	{name: "vxlan", encapsulation: model.VXLAN, port: ovs.VXLANName},
	{name: "gre", encapsulation: model.GRE, port: ovs.GREName},
	{name: "macmac", encapsulation: model.Geneve, mac2mac: true},
}

func (o overlay) uuid() string { return "topo-bf" + o.name }

// network is one of the virtual networks; the n-th of networks is 10.n+1.0.0/24.
type network struct {
	name    string
	overlay string
	routed  bool // a leg of the router
	secured bool // its guests are members of the security group
}

var networks = []network{
	{name: "geneve", overlay: "geneve"},
	{name: "vxlan", overlay: "vxlan"},
	{name: "gre", overlay: "gre"},
	{name: "macmac", overlay: "macmac"},
	{name: "left", overlay: "geneve", routed: true},
	{name: "right", overlay: "geneve", routed: true},
	{name: "secured", overlay: "geneve", secured: true},
}

func (n network) uuid() string { return "nw-bf" + n.name }
func (n network) leg() string  { return "if-bfleg" + n.name }

// prefix is the network's subnet.
func (n network) prefix() netip.Prefix {
	at := slices.IndexFunc(networks, func(m network) bool { return m.name == n.name })
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(at + 1), 0, 0}), 24)
}

// at is an address of the subnet.
func (n network) at(last byte) netip.Addr {
	a := n.prefix().Addr().As4()
	a[3] = last
	return netip.AddrFrom4(a)
}

const gateway = 254 // the last byte of the router's addresses

// seat is where packets come from or go to: a guest of the lab, or beside the bridges a namespace of the baseline.
type seat struct {
	network string // "" for a namespace of the baseline
	host    string
	last    byte // of its address
}

// guests of the lab: in each network two on the near host, where a case needs the second, and one on the far host.
func (s seat) name() string  { return fmt.Sprintf("%s%d", s.network, s.last) }
func (s seat) iface() string { return "if-bf" + s.name() }
func (s seat) port() string  { return fmt.Sprintf("bf%d", slices.Index(seats(), s)) }

func (s seat) addr() netip.Addr {
	if s.network == "" {
		return netip.AddrFrom4([4]byte{10, 100, 0, s.last})
	}
	return networkOf(s.network).at(s.last)
}

func networkOf(name string) network {
	return networks[slices.IndexFunc(networks, func(n network) bool { return n.name == name })]
}

// subject is one case.
type subject struct {
	name, baseline string
	from, to       seat
	port           string // of the near switch that the packets must go out through; "" for none of the tunnels'
}

// The baselines.
const (
	bridgeSame   = "bridge-same-host"
	bridgeAcross = "bridge-across"
)

var subjects = []subject{
	{name: bridgeSame, from: seat{host: near, last: 1}, to: seat{host: near, last: 2}},
	same("same-host", "geneve", "geneve"),
	same("routed-same-host", "left", "right"),
	same("stateful-same-host", "secured", "secured"),
	{name: bridgeAcross, from: seat{host: near, last: 1}, to: seat{host: far, last: 3}},
	across("across-geneve", "geneve", "geneve"),
	across("across-vxlan", "vxlan", "vxlan"),
	across("across-gre", "gre", "gre"),
	across("across-mac2mac", "macmac", "macmac"),
	across("routed-across", "left", "right"),
}

func same(name, from, to string) subject {
	return subject{name: name, baseline: bridgeSame, from: seat{from, near, 1}, to: seat{to, near, 2}}
}

func across(name, from, to string) subject {
	s := subject{name: name, baseline: bridgeAcross, from: seat{from, near, 1}, to: seat{to, far, 3}}
	for _, o := range overlays {
		if o.name == networkOf(to).overlay {
			s.port = o.port
		}
	}
	return s
}

// choose gives the cases of these names, all if there are none, with the baselines that they are compared with.
func choose(names []string) ([]subject, error) {
	want := map[string]bool{}
	for _, n := range names {
		at := slices.IndexFunc(subjects, func(c subject) bool { return c.name == n })
		if at < 0 {
			var known []string
			for _, c := range subjects {
				known = append(known, c.name)
			}
			return nil, fmt.Errorf("benchmark forward: --cases has %q, and there are %s", n, strings.Join(known, ", "))
		}
		want[n] = true
		if b := subjects[at].baseline; b != "" {
			want[b] = true
		}
	}
	var chosen []subject
	for _, c := range subjects {
		if len(names) == 0 || want[c.name] {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

// seats gives all guests of the lab.
func seats() []seat {
	var all []seat
	for _, c := range subjects {
		for _, s := range []seat{c.from, c.to} {
			if s.network != "" && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// guestMTU leaves room for every encapsulation within the underlay's 1500. All cases have it, also those that need no room.
const (
	guestMTU    = 1400
	underlayMTU = 1500
)

// spec is two hosts on one underlay, with all guests.
func spec() lab.Spec {
	const underlay = "u"
	s := lab.Spec{Name: "bench-forward", Underlays: []lab.Underlay{{Name: underlay, Prefixes: []netip.Prefix{netip.MustParsePrefix("172.16.80.0/24")}, MTU: underlayMTU}}}
	for n, h := range hosts {
		nic := lab.NIC{Name: "eth0", Underlay: underlay, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{172, 16, 80, byte(10 + n)})}}
		s.Hosts = append(s.Hosts, lab.Host{Name: h, NICs: []lab.NIC{nic}})
	}
	for _, g := range seats() {
		n := networkOf(g.network)
		ip := lab.IP{Addresses: []netip.Prefix{netip.PrefixFrom(g.addr(), n.prefix().Bits())}}
		if n.routed {
			ip.Gateways = []netip.Addr{n.at(gateway)}
		}
		s.Guests = append(s.Guests, lab.Guest{Name: g.name(), Host: g.host, Port: g.port(), MTU: guestMTU, IP: ip})
	}
	return s
}

// stateful reports whether the near switch is to remember the conversations of the case.
func (c subject) stateful() bool { return c.from.network != "" && networkOf(c.from.network).secured }

// plausible looks at what the tunnel ports of the near host have sent during so many requests.
func (c subject) plausible(requests uint64, before, after map[string]uint64) error {
	for port := range after {
		sent := after[port] - before[port]
		switch {
		case port == c.port && sent < requests:
			return fmt.Errorf("%d requests were sent, and %s has sent only %d packets: they went another way", requests, port, sent)
		case port != c.port && sent > requests/10+10:
			return fmt.Errorf("%d requests were sent, and %s has sent %d packets: they should not go that way", requests, port, sent)
		}
	}
	return nil
}

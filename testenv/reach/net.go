package reach

import (
	"fmt"
	"net/netip"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/oracle"
)

// Node is a computer with one interface: a guest, a machine outside, or a host's own stack.
type Node struct {
	Name      string
	MAC       model.MAC
	Addresses []netip.Prefix
	Gateways  []netip.Addr // default routers, at most one of each family
	At        oracle.Entry // where its frames enter; of a machine the zero value
	Wire      string       // of a machine: the network of cables that it is on
	VLAN      uint16       // of a machine: it sends and takes only frames with this tag
}

// Net is the computers, and what is between the hosts' NICs and the machines outside.
type Net struct {
	Nodes []Node
	Wires map[string][]oracle.Entry // the hosts' ports on each
}

// Protocol is what a probe is made of.
type Protocol string

// The protocols.
const (
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	Ping Protocol = "ping"
)

// Probe is a question of one node to an address.
type Probe struct {
	From  string
	To    netip.Addr
	Proto Protocol
	Port  uint16 // of TCP and UDP
}

func (p Probe) String() string {
	to := p.To.String()
	if p.Proto != Ping {
		to = netip.AddrPortFrom(p.To, p.Port).String()
	}
	return fmt.Sprintf("%s %s to %s", p.From, p.Proto, to)
}

// Node gives the node of that name, nil if there is none.
func (n *Net) Node(name string) *Node {
	for i := range n.Nodes {
		if n.Nodes[i].Name == name {
			return &n.Nodes[i]
		}
	}
	return nil
}

func (n *Node) has(a netip.Addr) bool {
	for _, p := range n.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// Speaks reports whether the node has an address of a's family which is not a itself.
func (n *Node) Speaks(a netip.Addr) bool {
	return n.source(a).IsValid() && !n.has(a)
}

// nextHop gives whom the node asks for by ARP or neighbour discovery to reach an address; the zero Addr if nobody.
func (n *Node) nextHop(to netip.Addr) netip.Addr {
	for _, p := range n.Addresses {
		if p.Contains(to) {
			return to
		}
	}
	for _, g := range n.Gateways {
		if g.Is4() == to.Is4() {
			return g
		}
	}
	return netip.Addr{}
}

// source gives the address that the node sends from: that of the subnet with the next hop, else the first of the family.
func (n *Node) source(to netip.Addr) netip.Addr {
	hop := n.nextHop(to)
	var first netip.Addr
	for _, p := range n.Addresses {
		if p.Contains(hop) {
			return p.Addr()
		}
		if !first.IsValid() && p.Addr().Is4() == to.Is4() {
			first = p.Addr()
		}
	}
	return first
}

// Pairs gives the probes of every ordered pair of nodes of different names, by each protocol at each address of the second whose family the first
// speaks. ports are those of TCP and UDP.
func (n *Net) Pairs(ports ...uint16) []Probe {
	var ps []Probe
	for i := range n.Nodes {
		for j := range n.Nodes {
			if i == j {
				continue
			}
			for _, a := range n.Nodes[j].Addresses {
				ps = append(ps, n.Probes(n.Nodes[i].Name, a.Addr(), ports...)...)
			}
		}
	}
	return unique(ps)
}

// Probes gives the probes of one node to an address; none if it does not speak its family, or has it itself.
func (n *Net) Probes(from string, to netip.Addr, ports ...uint16) []Probe {
	if !n.Node(from).Speaks(to) {
		return nil
	}
	ps := []Probe{{from, to, Ping, 0}}
	for _, port := range ports {
		ps = append(ps, Probe{from, to, TCP, port}, Probe{from, to, UDP, port})
	}
	return ps
}

func unique(ps []Probe) []Probe {
	seen := make(map[Probe]bool, len(ps))
	kept := ps[:0]
	for _, p := range ps {
		if !seen[p] {
			seen[p] = true
			kept = append(kept, p)
		}
	}
	return kept
}

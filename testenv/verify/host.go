package verify

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/dataplane/compile"
	"github.com/openvnet/openvnet/dataplane/state"
	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
	"github.com/openvnet/openvnet/model/span"
	"github.com/openvnet/openvnet/ofctl/flow"
)

// host is one host of a world with its compiled state.
type host struct {
	datapath string
	number   int // from 1
	ports    []Port
	in       compile.Input
	state    *state.State
}

// compileHosts gives each host its share of the world, as a manager would, and compiles it. With noND, every other host has a datapath without extensions of
// neighbour discovery, as the kernel's.
func compileHosts(w *World, noND bool) ([]*host, error) {
	x := span.New(w.Graph())
	var hs []*host
	for n, dp := range w.Hosts() {
		g := graph.New()
		for _, o := range span.NewView(dp).Snapshot(x) {
			g.Put(o)
		}
		h := newHost(dp, n+1, g)
		h.in.Bridge.NoND = noND && n%2 == 0
		h.ports = w.PortsOf(dp)
		for _, p := range h.ports {
			h.setPort(p)
		}
		for _, n := range w.neighbors() {
			if d, ok := h.in.DomainByNumber(n.number); ok && d.Present {
				h.in.Bridge.SetNeighbor(compile.NeighborKey{Domain: n.number, Addr: n.addr}, n.mac)
			}
		}
		if err := h.compile(h.in.Units()); err != nil {
			return nil, err
		}
		hs = append(hs, h)
	}
	return hs, nil
}

// newHost gives a host that has compiled nothing. The graph is its share.
func newHost(datapath string, number int, g *graph.Graph) *host {
	h := &host{datapath: datapath, number: number, state: state.New()}
	h.in = compile.Input{X: span.New(g), Self: datapath, Bridge: compile.NewBridge()}
	h.in.Bridge.Uplink, h.in.Bridge.Tunnels = NICPort, compile.Tunnels{GenevePort, VXLANPort, GREPort}
	return h
}

func (h *host) setPort(p Port) { h.in.Bridge.SetPort(compile.NewPort(p.Name, p.IfaceID, p.Number, 0)) }

// compile compiles units. What the data plane has no feature for is no error here.
func (h *host) compile(units func(func(state.Unit) bool)) error {
	for u, err := range h.state.ReplaceAll(units, h.in.Realised, &state.Changes{}) {
		return fmt.Errorf("%s: %s: %w", h.datapath, u, err)
	}
	return nil
}

// wire says where frames go between hosts.
type wire struct {
	hosts  map[netip.Addr]int // by underlay address
	inside map[model.MAC]bool // MAC addresses that frames between hosts without encapsulation are for
	// standsFor says to which host a MAC address that stands for a domain there leads: the wire has learned it.
	standsFor map[model.MAC]int
}

func newWire(w *World) *wire {
	x := &wire{hosts: map[netip.Addr]int{}, inside: map[model.MAC]bool{}, standsFor: map[model.MAC]int{}}
	for n := range w.Hosts() {
		x.hosts[HostAddr(n+1)] = n
	}
	if !w.unencapsulated() {
		return x
	}
	standsFor := func(datapath string, m model.MAC) {
		x.inside[m], x.standsFor[m] = true, slices.Index(w.Hosts(), datapath)
	}
	virtual := map[string]bool{}
	for _, o := range w.Objects {
		switch o := o.(type) {
		case *model.Network:
			virtual[o.UUID] = o.Mode == model.NetworkVirtual
		case *model.DatapathNetwork:
			standsFor(o.DatapathUUID, o.MACAddress)
		case *model.DatapathSegment:
			standsFor(o.DatapathUUID, o.MACAddress)
		case *model.DatapathRouteLink:
			standsFor(o.DatapathUUID, o.MACAddress)
		}
	}
	leases := map[string]model.MAC{}
	for _, o := range w.Objects {
		switch o := o.(type) {
		case *model.MACLease:
			leases[o.UUID] = o.MACAddress
			if o.SegmentUUID != "" {
				x.inside[o.MACAddress] = true
			}
		case *model.IPLease:
			if virtual[o.NetworkUUID] {
				x.inside[leases[o.MACLeaseUUID]] = true
			}
		}
	}
	return x
}

// between reports whether a frame that leaves by a NIC is for another host, without encapsulation.
func (x *wire) between(frame []byte) bool {
	return len(frame) >= 6 && x.inside[model.MAC(frame[:6])]
}

// portNames gives the names of a host's ports by number.
func (h *host) portNames() map[flow.Port]string {
	m := map[flow.Port]string{NICPort: NIC, flow.PortLocal: Local}
	for _, p := range h.ports {
		m[flow.Port(p.Number)] = p.Name
	}
	return m
}

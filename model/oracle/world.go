package oracle

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/openvnet/openvnet/model"
	"github.com/openvnet/openvnet/model/graph"
)

// Local is the port of a host's own stack.
const Local = "LOCAL"

// Environment is what is so whatever the objects say: ports, and devices outside.
type Environment struct {
	Hosts     map[string]Host        // by the datapath's uuid
	Neighbors map[Neighbor]model.MAC // what devices outside have answered, as the agents know it
	Learned   map[LearnedFrom]string // uuid of the interface behind which the MAC address was seen
}

// Host is what is there at a datapath.
type Host struct {
	Ports  []Port // without the uplink and Local
	Uplink string // name of the NIC's port, "" without one
}

// Port is a port of the bridge.
type Port struct {
	Name    string
	IfaceID string // external_ids:iface-id
}

// Neighbor is an address in a domain: the uuid of a network, or of the segment that it lies on.
type Neighbor struct {
	Domain  string
	Address netip.Addr
}

// LearnedFrom is a MAC address in a domain.
type LearnedFrom struct {
	Domain string
	MAC    model.MAC
}

// World is a network and what is there, made ready for judging. It is immutable and safe for concurrent use.
type World struct {
	g          *graph.Graph // while the world is being made
	env        Environment
	hosts      []*host // by uuid
	hostByUUID map[string]*host
	interfaces map[string]*iface
	domains    map[string]*domain // by the domain's uuid; of internal networks by internalKey
	groups     map[string]*group
	links      map[string]*link
	bounds     map[string][]int // what networks and their segments say of their MTU
}

// host is a datapath.
type host struct {
	uuid   string
	id     uint32
	uplink string
	ports  map[string]*iface // whose ports they are
	local  []*station        // of the host itself
	below  []*domain         // physical networks with a station here that is not the host\'s own, by uuid
}

// New makes the world of the objects, all of the network's. The graph may change afterwards, the objects and the environment may not.
func New(g *graph.Graph, env Environment) *World {
	w := &World{
		g: g, env: env, hostByUUID: map[string]*host{}, interfaces: map[string]*iface{}, domains: map[string]*domain{},
		groups: map[string]*group{}, links: map[string]*link{}, bounds: map[string][]int{},
	}
	for o := range each[*model.Datapath](g, model.Datapaths) {
		h := &host{uuid: o.UUID, id: o.ID, uplink: env.Hosts[o.UUID].Uplink, ports: map[string]*iface{}}
		w.hosts = append(w.hosts, h)
		w.hostByUUID[h.uuid] = h
	}
	slices.SortFunc(w.hosts, func(a, b *host) int { return cmp.Compare(a.uuid, b.uuid) })
	for o := range each[*model.Interface](g, model.Interfaces) {
		w.addInterface(o)
	}
	w.addDomains()
	w.addStations()
	w.addOutside()
	w.addFilters()
	w.addGroups()
	w.addRouting()
	w.addSizes()
	w.addMirrors()
	w.g = nil
	return w
}

// each gives the objects of a resource by ascending id.
func each[T model.Object](g *graph.Graph, r *model.Resource) func(func(T) bool) {
	return func(yield func(T) bool) {
		for _, o := range g.List(r) {
			if !yield(o.(T)) {
				return
			}
		}
	}
}

// iface is an interface: where it is, and what it may and must.
type iface struct {
	*model.Interface
	location *host              // nil for nowhere, and for a simulated interface without an owner
	passing  []*host            // those that it moves to or has just left: its domains are present there too
	port     string             // its port at location, "" without one
	macs     []macLease         // by id
	sends    map[model.MAC]*may // what it may send with each
	stations []*station

	filter        *static
	groups        []*group
	ingress       []rule // of all its groups, what decides first in front
	egress        []rule
	judgedInward  bool
	judgedOutward bool

	attachments  []*attachment
	leg          bool
	dns          bool     // a dns service is at it
	routes       []*route // by id, with ingress through it
	translations *translations
	mirrors      []mirror
}

type macLease struct {
	uuid    string
	mac     model.MAC
	segment string
}

// addInterface reads an interface's MAC leases and ports, and finds it. Located means: the owner datapath of the interface's port (of several,
// the first), else where its port was found.
func (w *World) addInterface(o *model.Interface) {
	i := &iface{Interface: o, sends: map[model.MAC]*may{}}
	w.interfaces[o.UUID] = i
	for _, l := range graph.Children[*model.MACLease](w.g, o.UUID, "mac_leases.interface_uuid") {
		i.macs = append(i.macs, macLease{l.UUID, l.MACAddress, l.SegmentUUID})
	}
	ports := graph.Children[*model.InterfacePort](w.g, o.UUID, "interface_ports.interface_uuid")
	for _, p := range ports {
		if h := w.hostByUUID[p.DatapathUUID]; h != nil && i.location == nil {
			i.location = h
		}
	}
	if i.location == nil && o.Mode != model.InterfaceSimulated {
		for _, a := range graph.Children[*model.ActiveInterface](w.g, o.UUID, "active_interfaces.interface_uuid") {
			if h := w.hostByUUID[a.DatapathUUID]; h != nil && i.location == nil {
				i.location = h
				for _, other := range []string{a.TargetDatapathUUID, a.PreviousDatapathUUID} {
					if h := w.hostByUUID[other]; h != nil && o.Mode == model.InterfaceVIF {
						i.passing = append(i.passing, h)
					}
				}
			}
		}
	}
	switch h := i.location; {
	case h == nil || o.Mode == model.InterfaceSimulated:
	case o.Mode == model.InterfaceHost:
		i.port = Local
	default:
		if name := w.findPort(i.UUID, h, ports); name != "" && h.ports[name] == nil {
			i.port = name
			h.ports[name] = i
		} else if name == "" && o.Mode == model.InterfaceInternal {
			i.port = Local
		}
	}
}

// findPort gives the interface's port on the host: by iface-id = uuid; or by iface-id, or name, = the port_name of an interface port that may be
// on this host. Earlier of these count before later ones, and of equal ones the first by name.
func (w *World) findPort(uuid string, h *host, ports []*model.InterfacePort) string {
	best, name := 0, ""
	for _, p := range w.env.Hosts[h.uuid].Ports {
		match := 0
		for _, ip := range ports {
			if ip.PortName == "" || ip.DatapathUUID != "" && ip.DatapathUUID != h.uuid {
				continue
			}
			if p.Name == ip.PortName {
				match = max(match, 1)
			}
			if p.IfaceID == ip.PortName {
				match = max(match, 2)
			}
		}
		if p.IfaceID == uuid {
			match = 3
		}
		if match > best || match == best && match > 0 && p.Name < name {
			best, name = match, p.Name
		}
	}
	return name
}

// pinned reports whether a simulated interface is at one host only.
func (i *iface) pinned() bool { return i.location != nil }

// at reports whether a simulated interface whose domain is here is at the host.
func (i *iface) at(h *host) bool { return i.location == nil || i.location == h }
